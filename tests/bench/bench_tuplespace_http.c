/*
 * The tuple space over HTTP: several connections, each of which writes a tuple
 * and takes it, over and over. Registry, tuple space (mem:), gateway and the
 * client are threads of this process.
 *
 *   bench_tuplespace_http [--seconds S] [--connections N] [--store DSN]
 */
#include "common/loop.h"
#include "common/mem.h"
#include "services/gateway/service.h"
#include "services/registry/service.h"
#include "services/tuplespace/service.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_MAX = 4096, SAMPLES_MAX = 1 << 21, PORT = 18488 };

struct connection {
    int fd;
    uint64_t key;
    bool taking;
    uint64_t started;
    char answer[ANSWER_MAX];
    size_t len;
};

static uint32_t *samples; /* ns */
static size_t n_samples;
static uint64_t next_key, done, wrong;

static void
die(const char *what)
{
    perror(what);
    exit(1);
}

static void
ask(struct connection *c)
{
    char body[256], request[512];
    int len, n;

    if (!c->taking)
        c->key = ++next_key;
    len = snprintf(body, sizeof body,
                   c->taking ? "{\"space\":\"bench\",\"template\":[\"order\","
                               "%llu,{\"any\":true},{\"any\":true}]}"
                             : "{\"space\":\"bench\",\"tuples\":[[\"order\","
                               "%llu,\"pending\",1.5]]}",
                   (unsigned long long)c->key);
    n = snprintf(request, sizeof request,
                 "POST /api/v1/tuplespace/%s HTTP/1.1\r\nHost: localhost\r\n"
                 "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                 "%s",
                 c->taking ? "take" : "tuples", len, body);
    c->started = plex_now();
    c->len = 0;
    if (send(c->fd, request, (size_t)n, MSG_NOSIGNAL) != n)
        die("send");
}

static struct connection *
dial(int epoll)
{
    struct connection *c = plex_calloc(1, sizeof *c);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    const int one = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("connect");
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) != 0)
        die("epoll_ctl");
    return c;
}

/* The whole answer is there. */
static bool
complete(const struct connection *c)
{
    const char *end = strstr(c->answer, "\r\n\r\n");
    const char *length = strstr(c->answer, "Content-Length: ");

    return end != NULL && length != NULL &&
           c->len >=
               (size_t)(end + 4 - c->answer) + strtoul(length + 16, NULL, 10);
}

static void
on_data(struct connection *c)
{
    const ssize_t n =
        recv(c->fd, c->answer + c->len, ANSWER_MAX - 1 - c->len, MSG_DONTWAIT);

    if (n <= 0) {
        if (n < 0 && errno == EAGAIN)
            return;
        die("recv");
    }
    c->len += (size_t)n;
    c->answer[c->len] = '\0';
    if (!complete(c))
        return;
    done++;
    wrong += strncmp(c->answer + 9, "200", 3) != 0 ||
             (c->taking && strstr(c->answer, "\"order\"") == NULL);
    if (n_samples < SAMPLES_MAX)
        samples[n_samples++] = (uint32_t)(plex_now() - c->started);
    c->taking = !c->taking;
    ask(c);
}

static int
by_value(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void
measure(unsigned connections, double seconds)
{
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct connection **all = plex_calloc(connections, sizeof(void *));
    const uint64_t began = plex_now();
    const uint64_t end = began + (uint64_t)(seconds * 1e9);
    struct epoll_event events[64];

    for (unsigned i = 0; i < connections; i++)
        ask(all[i] = dial(epoll));
    while (plex_now() < end) {
        const int n = epoll_wait(epoll, events, 64, 100);

        for (int i = 0; i < n; i++)
            on_data(events[i].data.ptr);
    }
    qsort(samples, n_samples, sizeof *samples, by_value);
    printf("%u connections: %.0f ops/s, p50 %.1f us, p99 %.1f us, %llu wrong\n",
           connections, (double)done / ((double)(plex_now() - began) / 1e9),
           n_samples > 0 ? samples[n_samples / 2] / 1e3 : 0,
           n_samples > 0 ? samples[n_samples * 99 / 100] / 1e3 : 0,
           (unsigned long long)wrong);
    for (unsigned i = 0; i < connections; i++) {
        (void)close(all[i]->fd);
        free(all[i]);
    }
    free(all);
    (void)close(epoll);
}

static struct plex_instance *
start(const struct plex_service *service, const struct plex_setting *settings)
{
    struct plex_instance *instance;
    struct plex_err err;

    if (plex_instance_start(&instance, service, settings, &err) == PLEX_OK)
        return instance;
    (void)fprintf(stderr, "bench_tuplespace_http: %s\n", err.text);
    exit(1);
}

int
main(int argc, char **argv)
{
    const char *dsn = "mem:";
    char url[3][64], http[32];
    const struct plex_setting reg[] = {{"listen_url", url[0]},
                                       {"admin_addr", ""},
                                       {"store_dsn", "mem:"},
                                       {"log_level", "error"},
                                       {0}};
    struct plex_setting tspace[] = {
        {"listen_url", url[1]}, {"registry_url", url[0]}, {"admin_addr", ""},
        {"store_dsn", NULL},    {"log_level", "error"},   {0}};
    const struct plex_setting gate[] = {
        {"listen_url", url[2]}, {"registry_url", url[0]}, {"admin_addr", ""},
        {"http_addr", http},    {"log_level", "error"},   {0}};
    struct plex_instance *instances[3];
    unsigned connections = 64;
    double seconds = 2.0;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seconds") == 0)
            seconds = atof(argv[i + 1]);
        else if (strcmp(argv[i], "--connections") == 0)
            connections = (unsigned)atoi(argv[i + 1]);
        else if (strcmp(argv[i], "--store") == 0)
            dsn = argv[i + 1];
    }
    tspace[3].value = dsn;
    for (int i = 0; i < 3; i++)
        (void)snprintf(url[i], sizeof url[i], "ipc:///tmp/bench-thttp-%d-%d",
                       (int)getpid(), i);
    (void)snprintf(http, sizeof http, "127.0.0.1:%d", PORT);
    samples = plex_calloc(SAMPLES_MAX, sizeof *samples);
    instances[0] = start(&reg_service, reg);
    instances[1] = start(&tspace_service, tspace);
    (void)plex_instance_wait_ready(instances[1], 10000);
    instances[2] = start(&gate_service, gate);
    measure(1, 0.5); /* until the gateway knows the tuple space */
    done = wrong = n_samples = 0;
    measure(connections, seconds);
    for (int i = 2; i >= 0; i--)
        plex_instance_stop(instances[i]);
    free(samples);
    return 0;
}
