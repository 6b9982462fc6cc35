/*
 * Round trips over a link: calls per second, CPU per call and the median, at
 * several numbers in flight, for each transport. The two ends are threads of
 * this process.
 *
 *   bench_link [seconds per line]
 */
#include "common/link.h"
#include "common/mem.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { METHOD_ECHO = 1, SAMPLES_MAX = 1 << 20 };

struct server {
    struct plex_loop *loop;
    struct plex_link *link;
    struct plex_task stop;
    pthread_t thread;
};

struct client {
    struct plex_loop *loop;
    struct plex_link *link;
    struct plex_timer *timer;
    const char *peer;
    unsigned window;
    unsigned pending;
    bool over;
    uint64_t done;
    uint64_t failed;
    uint32_t *samples; /* ns */
    size_t sample_count;
};

struct slot {
    struct client *client;
    uint64_t started;
};

static void
echo(void *state, struct plex_call *call)
{
    (void)state;
    plex_call_reply(call, plex_call_payload(call));
}

static const struct plex_method methods[] = {{METHOD_ECHO, "echo", echo},
                                             {0, NULL, NULL}};

static void
must(enum plex_status status, const struct plex_err *err)
{
    if (status == PLEX_OK)
        return;
    fprintf(stderr, "bench_link: %s\n", err->text);
    exit(1);
}

static void
open_link(struct plex_loop **loop, struct plex_link **link, const char *url)
{
    const struct plex_link_config config = {.listen_url = url,
                                            .methods = methods};
    struct plex_err err;

    must(plex_loop_create(loop, &err), &err);
    must(plex_link_open(link, *loop, &config, &err), &err);
}

static void *
serve(void *arg)
{
    struct server *server = arg;

    plex_loop_run(server->loop);
    plex_link_close(server->link);
    plex_loop_free(server->loop);
    return NULL;
}

static void answered(void *arg, const struct plex_link_result *result);

static void
call(struct slot *slot)
{
    static const uint8_t payload[128];
    static const struct plex_context *const context = &plex_context_none;
    struct plex_context with = *context;
    const struct plex_link_request request = {
        .peer = slot->client->peer,
        .method = METHOD_ECHO,
        .context = &with,
        .payload = {payload, sizeof payload},
        .done = answered,
        .arg = slot,
    };

    with.tenant = "default";
    with.ns = "default";
    with.request_id = "01HZXW9QJ7V1S6C3Z4N5M6K7P8";
    slot->started = plex_now();
    slot->client->pending++;
    (void)plex_link_call(slot->client->link, &request);
}

static void
answered(void *arg, const struct plex_link_result *result)
{
    struct slot *slot = arg;
    struct client *client = slot->client;

    client->pending--;
    client->done++;
    if (result->status != PLEX_OK)
        client->failed++;
    if (client->sample_count < SAMPLES_MAX)
        client->samples[client->sample_count++] =
            (uint32_t)(plex_now() - slot->started);
    if (!client->over)
        call(slot);
    else if (client->pending == 0)
        plex_loop_quit(client->loop);
}

static void
time_over(void *arg)
{
    struct client *client = arg;

    client->over = true;
}

static int
by_value(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static double
cpu_us(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void
run(const char *server_url, const char *client_url, unsigned window,
    double seconds)
{
    struct server server = {0};
    struct client client = {.window = window, .peer = server_url};
    struct slot *slots = plex_calloc(window, sizeof *slots);
    double cpu, wall;

    open_link(&server.loop, &server.link, server_url);
    open_link(&client.loop, &client.link, client_url);
    client.samples = plex_calloc(SAMPLES_MAX, sizeof *client.samples);
    (void)pthread_create(&server.thread, NULL, serve, &server);
    client.timer = plex_timer_create(client.loop, time_over, &client);
    plex_timer_start(client.timer, (uint64_t)(seconds * 1000));
    cpu = cpu_us();
    wall = (double)plex_now();
    for (unsigned i = 0; i < window; i++) {
        slots[i].client = &client;
        call(&slots[i]);
    }
    plex_loop_run(client.loop);
    cpu = cpu_us() - cpu;
    wall = ((double)plex_now() - wall) / 1e9;
    qsort(client.samples, client.sample_count, sizeof *client.samples,
          by_value);
    printf("%-9.9s %9u %12.0f %12.2f %10.1f %10.1f %8llu\n", server_url, window,
           (double)client.done / wall, cpu / (double)client.done,
           client.samples[client.sample_count / 2] / 1e3,
           client.samples[client.sample_count * 99 / 100] / 1e3,
           (unsigned long long)client.failed);
    (void)fflush(stdout);
    plex_timer_free(client.timer);
    plex_link_close(client.link);
    plex_loop_quit(server.loop);
    (void)pthread_join(server.thread, NULL);
    plex_loop_free(client.loop);
    free(client.samples);
    free(slots);
}

int
main(int argc, char **argv)
{
    static const unsigned windows[] = {1, 16, 64, 256};
    const double seconds = argc > 1 ? atof(argv[1]) : 1.0;
    char ipc[2][64];
    const char *urls[3][2] = {
        {"inproc://bench-server", "inproc://bench-client"},
        {ipc[0], ipc[1]},
        {"tcp://127.0.0.1:17471", "tcp://127.0.0.1:17472"}};

    for (int i = 0; i < 2; i++)
        (void)snprintf(ipc[i], sizeof ipc[i], "ipc:///tmp/bench-link-%d-%d",
                       (int)getpid(), i);
    printf("%-9s %9s %12s %12s %10s %10s %8s\n", "transport", "in flight",
           "calls/s", "us CPU/call", "p50 us", "p99 us", "failed");
    for (size_t t = 0; t < 3; t++)
        for (size_t w = 0; w < sizeof windows / sizeof windows[0]; w++)
            run(urls[t][0], urls[t][1], windows[w], seconds);
    return 0;
}
