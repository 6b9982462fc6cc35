/* The service skeleton as a thread and, in child processes, as a daemon. */
#include "common/service.h"

#include "common/context.h"
#include "common/wire.h"
#include "tests/unit/common/http_client.h"

#include <check.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plexspaces/system/v1/system.pb-c.h"

/* -- a service to test with ------------------------------------------------ */

enum { METHOD_ECHO = 5, METHOD_SLOW = 6 };

struct probe_config {
    struct plex_base_config base;
    uint32_t linger_ms;
    uint32_t count_max;
    bool fail_start;
    bool stay_unready;
};

struct probe {
    const struct plex_host *host;
    struct plex_timer *linger;
    uint32_t linger_ms;
    bool finished;
    struct plex_call *held;
};

static const struct plex_option probe_options[] = {
    {"linger_ms", PLEX_OPTION_U32, offsetof(struct probe_config, linger_ms),
     "0", "how long a drain takes", 0, 60000},
    {"count_max", PLEX_OPTION_U32, offsetof(struct probe_config, count_max),
     "7", "a number", 1, 10},
    {"fail_start", PLEX_OPTION_BOOL, offsetof(struct probe_config, fail_start),
     "false", "refuse to start"},
    {"stay_unready", PLEX_OPTION_BOOL,
     offsetof(struct probe_config, stay_unready), "false", "never ready"},
    {"drain_ms", PLEX_OPTION_U32, offsetof(struct probe_config, base.drain_ms),
     "1500", "how long requests in service may take", 0, 60000},
    {0},
};

static enum plex_status
probe_check(const void *config, struct plex_err *err)
{
    const struct probe_config *c = config;

    if (c->count_max == 9)
        return plex_err_set(err, PLEX_INVALID, "count_max must not be 9");
    return PLEX_OK;
}

static void
probe_lingered(void *arg)
{
    struct probe *probe = arg;

    probe->finished = true;
}

static enum plex_status
probe_render(void *arg, struct plex_buf *out, struct plex_err *err)
{
    (void)arg;
    (void)err;
    memcpy(plex_buf_grow(out, 5), "probe", 5);
    return PLEX_OK;
}

static enum plex_status
probe_start(void *state, const void *config, const struct plex_host *host,
            struct plex_err *err)
{
    const struct probe_config *c = config;
    struct probe *probe = state;

    if (c->fail_start)
        return plex_err_set(err, PLEX_UNAVAILABLE, "told to fail");
    probe->host = host;
    probe->linger_ms = c->linger_ms;
    probe->linger = plex_timer_create(host->loop, probe_lingered, probe);
    plex_service_admin_route(host, "/probe", "text/plain", probe_render, NULL);
    plex_service_ready(host, !c->stay_unready, "waiting for \"nothing\"");
    return PLEX_OK;
}

static void
probe_drain(void *state)
{
    struct probe *probe = state;

    plex_timer_start(probe->linger, probe->linger_ms);
}

static bool
probe_drained(void *state)
{
    return ((struct probe *)state)->finished;
}

static void
probe_stop(void *state)
{
    plex_timer_free(((struct probe *)state)->linger);
}

static void
probe_echo(void *state, struct plex_call *call)
{
    (void)state;
    plex_call_reply(call, plex_call_payload(call));
}

static const struct plex_method probe_methods[] = {
    {METHOD_ECHO, "Echo", probe_echo},
    {0},
};

static const struct plex_service probe_service = {
    .name = "probe-one",
    .summary = "a service for tests",
    .options = probe_options,
    .config_size = sizeof(struct probe_config),
    .state_size = sizeof(struct probe),
    .methods = probe_methods,
    .port = 7499,
    .check = probe_check,
    .start = probe_start,
    .drain = probe_drain,
    .drained = probe_drained,
    .stop = probe_stop,
};

/* -- helpers ----------------------------------------------------------------
 */

static struct plex_err err;

static struct plex_instance *
start_probe(const struct plex_setting *given)
{
    struct plex_instance *instance;

    ck_assert_msg(plex_instance_start(&instance, &probe_service, given, &err) ==
                      PLEX_OK,
                  "%s", err.text);
    return instance;
}

/* One answer of the admin port; the text stays until the next call. */
static const char *
get(const struct plex_instance *instance, const char *path)
{
    char request[256];

    (void)snprintf(request, sizeof request,
                   "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                   path);
    return http_client_once(plex_instance_admin_addr(instance), request);
}

struct daemon {
    pid_t pid;
    int ready_fd; /* the newline comes here */
    int log_fd;   /* its standard output and error */
};

static struct daemon
spawn(char **argv)
{
    int ready[2], log[2], argc = 0;
    char fd[16];
    struct daemon d;

    ck_assert_int_eq(pipe(ready), 0);
    ck_assert_int_eq(pipe(log), 0);
    (void)fflush(NULL);
    d.pid = fork();
    ck_assert_int_ge(d.pid, 0);
    if (d.pid == 0) {
        (void)dup2(log[1], STDOUT_FILENO);
        (void)dup2(log[1], STDERR_FILENO);
        (void)close(ready[0]);
        (void)close(log[0]);
        (void)close(log[1]);
        (void)snprintf(fd, sizeof fd, "%d", ready[1]);
        (void)setenv("PLEXSPACES_NOTIFY_FD", fd, 1);
        while (argv[argc] != NULL)
            argc++;
        exit(plex_service_main(&probe_service, argc, argv));
    }
    (void)close(ready[1]);
    (void)close(log[1]);
    d.ready_fd = ready[0];
    d.log_fd = log[0];
    return d;
}

/* Its exit code; what it wrote goes to `text`. */
static int
reap(struct daemon d, char *text, size_t size)
{
    size_t used = 0;
    ssize_t n;
    int status;

    while (used + 1 < size &&
           (n = read(d.log_fd, text + used, size - 1 - used)) > 0)
        used += (size_t)n;
    text[used] = '\0';
    ck_assert_int_eq(waitpid(d.pid, &status, 0), d.pid);
    (void)close(d.ready_fd);
    (void)close(d.log_fd);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void
wait_newline(struct daemon d)
{
    char c = 0;

    ck_assert_int_eq(read(d.ready_fd, &c, 1), 1);
    ck_assert_int_eq(c, '\n');
}

#define ARGV(...) ((char *[]){(char *)"plex-probe-one", __VA_ARGS__, NULL})

/* -- as a thread ------------------------------------------------------------
 */

START_TEST(an_instance_becomes_ready_and_answers_its_admin_port)
{
    struct plex_instance *instance = start_probe(NULL);

    ck_assert(plex_instance_wait_ready(instance, 5000));
    ck_assert_ptr_nonnull(strstr(get(instance, "/healthz"), "200 OK"));
    ck_assert_ptr_nonnull(strstr(get(instance, "/readyz"), "200 OK"));
    ck_assert_ptr_nonnull(
        strstr(get(instance, "/readyz"), "{\"ready\":true,\"reason\":\"\"}"));
    ck_assert_ptr_nonnull(strstr(get(instance, "/startupz"), "200 OK"));
    ck_assert_ptr_nonnull(
        strstr(get(instance, "/metrics"), "plexspaces_service_ready 1\n"));
    ck_assert_ptr_nonnull(
        strstr(get(instance, "/metrics"), "process_resident_memory_bytes "));
    ck_assert_ptr_nonnull(strstr(get(instance, "/probe"), "\r\n\r\nprobe"));
    ck_assert_ptr_nonnull(strstr(get(instance, "/nothing"), "404 Not Found"));
    ck_assert_ptr_nonnull(
        strstr(get(instance, "/nothing"), "application/problem+json"));
    ck_assert_ptr_nonnull(strstr(
        http_client_once(plex_instance_admin_addr(instance),
                         "POST /healthz HTTP/1.1\r\nHost: x\r\nConnection: "
                         "close\r\nContent-Length: 0\r\n\r\n"),
        "405 Method Not Allowed"));
    plex_instance_stop(instance);
}
END_TEST

START_TEST(an_instance_that_is_not_ready_says_why)
{
    static const struct plex_setting given[] = {{"stay_unready", "true"}, {0}};
    struct plex_instance *instance = start_probe(given);

    ck_assert(!plex_instance_wait_ready(instance, 50));
    ck_assert_ptr_nonnull(strstr(get(instance, "/readyz"), "503 "));
    ck_assert_ptr_nonnull(strstr(get(instance, "/readyz"),
                                 "\"reason\":\"waiting for \\\"nothing\\\"\""));
    ck_assert_ptr_nonnull(strstr(get(instance, "/startupz"), "503 "));
    plex_instance_stop(instance);
}
END_TEST

START_TEST(a_failed_start_leaves_nothing_and_says_why)
{
    static const struct plex_setting given[] = {{"fail_start", "true"}, {0}};
    struct plex_instance *instance;

    ck_assert_int_eq(
        plex_instance_start(&instance, &probe_service, given, &err),
        PLEX_UNAVAILABLE);
    ck_assert_str_eq(err.text, "told to fail");
}
END_TEST

START_TEST(unknown_settings_are_refused_with_the_nearest_name)
{
    static const struct plex_setting given[] = {{"linger_s", "1"}, {0}};
    struct plex_instance *instance;

    ck_assert_int_eq(
        plex_instance_start(&instance, &probe_service, given, &err),
        PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "linger_ms"));
}
END_TEST

START_TEST(stop_waits_for_the_drain)
{
    static const struct plex_setting given[] = {{"linger_ms", "150"}, {0}};
    struct plex_instance *instance = start_probe(given);
    const uint64_t before = plex_now();

    plex_instance_stop(instance);
    ck_assert_uint_ge(plex_now() - before, 150 * 1000000U);
}
END_TEST

START_TEST(stop_waits_no_longer_than_drain_ms)
{
    static const struct plex_setting given[] = {
        {"linger_ms", "60000"}, {"drain_ms", "100"}, {0}};
    struct plex_instance *instance = start_probe(given);
    const uint64_t before = plex_now();

    plex_instance_stop(instance);
    ck_assert_uint_lt(plex_now() - before, 5000 * 1000000ULL);
}
END_TEST

START_TEST(kill_does_not_drain)
{
    static const struct plex_setting given[] = {
        {"linger_ms", "60000"}, {"drain_ms", "50000"}, {0}};
    struct plex_instance *instance = start_probe(given);
    const uint64_t before = plex_now();

    plex_instance_kill(instance);
    ck_assert_uint_lt(plex_now() - before, 5000 * 1000000ULL);
}
END_TEST

/* -- a client of the link ---------------------------------------------------
 */

struct asked {
    struct plex_loop *loop;
    enum plex_status status;
    char text[16384];
};

static void
on_metrics(void *arg, const struct plex_link_result *result)
{
    struct asked *asked = arg;
    struct plex_arena arena;
    ProtobufCMessage *message;

    asked->status = result->status;
    plex_arena_init(&arena, 1 << 20);
    ck_assert_int_eq(
        plex_wire_unpack(
            &plexspaces__system__v1__get_metrics_response__descriptor,
            result->payload, &arena, &message, &err),
        PLEX_OK);
    (void)snprintf(
        asked->text, sizeof asked->text, "%s",
        ((Plexspaces__System__V1__GetMetricsResponse *)message)->text);
    plex_arena_fini(&arena);
    plex_loop_quit(asked->loop);
}

START_TEST(metrics_are_served_over_the_link)
{
    static const struct plex_setting given[] = {
        {"listen_url", "inproc://test-service-metrics"}, {0}};
    static const struct plex_method none[] = {{0}};
    const struct plex_link_config config = {
        .listen_url = "inproc://test-service-asker", .methods = none};
    struct plex_instance *instance = start_probe(given);
    static struct asked asked;
    struct plex_link_request request = {
        .peer = "inproc://test-service-metrics",
        .method =
            PLEXSPACES__SYSTEM__V1__SYSTEM_METHOD__SYSTEM_METHOD_GET_METRICS,
        .context = &plex_context_none,
        .done = on_metrics,
        .arg = &asked,
    };
    struct plex_link *link;

    ck_assert_int_eq(plex_loop_create(&asked.loop, &err), PLEX_OK);
    ck_assert_int_eq(plex_link_open(&link, asked.loop, &config, &err), PLEX_OK);
    (void)plex_link_call(link, &request);
    plex_loop_run(asked.loop);
    ck_assert_int_eq(asked.status, PLEX_OK);
    ck_assert_ptr_nonnull(strstr(asked.text, "plexspaces_service_info{"));
    plex_link_close(link);
    plex_loop_free(asked.loop);
    plex_instance_stop(instance);
}
END_TEST

/* -- as a process -----------------------------------------------------------
 */

START_TEST(a_daemon_says_ready_and_ends_with_0_on_sigterm)
{
    char text[8192];
    struct daemon d = spawn(ARGV((char *)"--linger-ms=20"));

    wait_newline(d);
    ck_assert_int_eq(kill(d.pid, SIGTERM), 0);
    ck_assert_int_eq(reap(d, text, sizeof text), 0);
    ck_assert_ptr_nonnull(strstr(text, "\"event\":\"started\""));
    ck_assert_ptr_nonnull(strstr(text, "\"event\":\"ready\""));
    ck_assert_ptr_nonnull(strstr(text, "\"event\":\"draining\""));
    ck_assert_ptr_nonnull(strstr(text, "\"event\":\"stopped\""));
    ck_assert_ptr_nonnull(strstr(text, "\"service\":\"probe-one\""));
}
END_TEST

START_TEST(a_second_signal_ends_a_daemon_at_once)
{
    char text[8192], c;
    struct daemon d =
        spawn(ARGV((char *)"--linger-ms=60000", (char *)"--drain-ms=50000"));
    const uint64_t before = plex_now();
    size_t used = 0;

    wait_newline(d);
    ck_assert_int_eq(kill(d.pid, SIGTERM), 0);
    do { /* until the drain has begun */
        ck_assert_int_eq(read(d.log_fd, &c, 1), 1);
        text[used++] = c;
        text[used] = '\0';
    } while (strstr(text, "draining for") == NULL);
    ck_assert_int_eq(kill(d.pid, SIGINT), 0);
    ck_assert_int_eq(reap(d, text, sizeof text), PLEX_EXIT_TEMPORARY);
    ck_assert_uint_lt(plex_now() - before, 20000 * 1000000ULL);
}
END_TEST

START_TEST(check_accepts_and_refuses_without_starting)
{
    char text[8192];

    ck_assert_int_eq(reap(spawn(ARGV((char *)"--check")), text, sizeof text),
                     0);
    ck_assert_ptr_null(strstr(text, "started"));
    ck_assert_int_eq(
        reap(spawn(ARGV((char *)"--check", (char *)"--count-max", (char *)"9")),
             text, sizeof text),
        PLEX_EXIT_CONFIG);
    ck_assert_ptr_nonnull(strstr(text, "count_max must not be 9"));
    ck_assert_int_eq(
        reap(spawn(ARGV((char *)"--count-max=11")), text, sizeof text),
        PLEX_EXIT_CONFIG);
    ck_assert_ptr_nonnull(strstr(text, "from 1 to 10"));
    ck_assert_int_eq(
        reap(spawn(ARGV((char *)"--count-mix=3")), text, sizeof text),
        PLEX_EXIT_CONFIG);
    ck_assert_ptr_nonnull(strstr(text, "count_max"));
}
END_TEST

START_TEST(help_lists_every_option_once_with_its_default)
{
    char text[16384], *drain;

    ck_assert_int_eq(reap(spawn(ARGV((char *)"--help")), text, sizeof text), 0);
    ck_assert_ptr_nonnull(strstr(text, "a service for tests"));
    ck_assert_ptr_nonnull(strstr(text, "--count-max"));
    ck_assert_ptr_nonnull(strstr(text, "PLEXSPACES_PROBE_ONE_LISTEN_URL"));
    drain = strstr(text, "--drain-ms");
    ck_assert_ptr_nonnull(drain);
    ck_assert_ptr_nonnull(strstr(drain, "default 1500"));
    ck_assert_ptr_null(strstr(drain + 1, "--drain-ms"));
    ck_assert_ptr_nonnull(strstr(text, "default tcp://127.0.0.1:7499"));
    ck_assert_ptr_nonnull(strstr(text, "default 127.0.0.1:9199"));
}
END_TEST

START_TEST(a_busy_address_is_a_temporary_failure)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in name = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof name;
    char text[8192], addr[128];

    ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, len), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&name, &len), 0);
    (void)snprintf(addr, sizeof addr, "--admin-addr=127.0.0.1:%d",
                   ntohs(name.sin_port));
    ck_assert_int_eq(reap(spawn(ARGV(addr)), text, sizeof text),
                     PLEX_EXIT_TEMPORARY);
    ck_assert_ptr_nonnull(strstr(text, "could not listen on"));
    (void)close(fd);
    ck_assert_int_eq(
        reap(spawn(ARGV((char *)"--admin-addr=nonsense")), text, sizeof text),
        PLEX_EXIT_CONFIG);
}
END_TEST

int
main(int argc, char **argv)
{
    /* Free ports, so that tests can run beside each other. */
    static const char *const ports[][2] = {
        {"PLEXSPACES_PROBE_ONE_LISTEN_URL", "tcp://127.0.0.1:0"},
        {"PLEXSPACES_PROBE_ONE_ADMIN_ADDR", "127.0.0.1:0"}};
    Suite *suite = suite_create("service");
    TCase *thread = tcase_create("thread"), *process = tcase_create("process");
    SRunner *runner;
    int failed;

    (void)argc;
    (void)argv;
    for (int i = 0; i < 2; i++)
        (void)setenv(ports[i][0], ports[i][1], 1);
    tcase_set_timeout(thread, 60);
    tcase_set_timeout(process, 60);
    /* Processes first: children are forked while there is one thread. */
    tcase_add_test(process, a_daemon_says_ready_and_ends_with_0_on_sigterm);
    tcase_add_test(process, a_second_signal_ends_a_daemon_at_once);
    tcase_add_test(process, check_accepts_and_refuses_without_starting);
    tcase_add_test(process, help_lists_every_option_once_with_its_default);
    tcase_add_test(process, a_busy_address_is_a_temporary_failure);
    tcase_add_test(thread,
                   an_instance_becomes_ready_and_answers_its_admin_port);
    tcase_add_test(thread, an_instance_that_is_not_ready_says_why);
    tcase_add_test(thread, a_failed_start_leaves_nothing_and_says_why);
    tcase_add_test(thread, unknown_settings_are_refused_with_the_nearest_name);
    tcase_add_test(thread, stop_waits_for_the_drain);
    tcase_add_test(thread, stop_waits_no_longer_than_drain_ms);
    tcase_add_test(thread, kill_does_not_drain);
    tcase_add_test(thread, metrics_are_served_over_the_link);
    suite_add_tcase(suite, process);
    suite_add_tcase(suite, thread);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
