/* Answers that go on, asked for by a client that sends raw bytes. */
#include "common/http.h"

#include "tests/unit/common/http_client.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct server {
    struct plex_loop *loop;
    struct plex_http *http;
    struct plex_task close_task, drain_task;
    struct plex_http_stream *stream; /* /stream, until it ended */
    atomic_int streams_closed;
    struct plex_http_exchange *held; /* /hold, until its client leaves */
    atomic_int held_begun, held_gone;
    pthread_t thread;
};

static struct server server;
static struct plex_err err;
static char text[1 << 16];

static struct plex_bytes
bytes_of(const char *s)
{
    return (struct plex_bytes){(const uint8_t *)s, strlen(s)};
}

static void
on_stream_closed(void *arg)
{
    struct server *s = arg;

    s->stream = NULL;
    atomic_fetch_add(&s->streams_closed, 1);
}

static void
stream_begin(struct server *s, struct plex_http_exchange *ex)
{
    const struct plex_http_stream_config config = {
        .buffer_max = 64,
        .beat = ":\n\n",
        .beat_ms = 20,
        .closed = on_stream_closed,
        .arg = s,
    };

    s->stream =
        plex_http_stream_begin(ex, 200, "text/event-stream", NULL, &config);
    ck_assert(plex_http_stream_write(s->stream, bytes_of("data: 1\n\n")));
}

/* /write?TEXT to the stream, /end, /flood until its buffer is full. */
static void
stream_ask(struct server *s, struct plex_http_exchange *ex)
{
    const char *path = plex_http_path(ex);
    const char *said = "ok";

    if (s->stream == NULL) {
        said = "closed";
    } else if (strcmp(path, "/write") == 0) {
        if (!plex_http_stream_write(s->stream, bytes_of(plex_http_query(ex))))
            said = "full";
    } else if (strcmp(path, "/flood") == 0) {
        for (int i = 0; i < 3; i++)
            said = plex_http_stream_write(s->stream,
                                          bytes_of("0123456789012345678901234"))
                       ? "room"
                       : "full";
    } else {
        plex_http_stream_end(s->stream);
        s->stream = NULL;
    }
    plex_http_respond(ex, 200, NULL, NULL, bytes_of(said));
}

static void
on_held_gone(void *arg)
{
    struct server *s = arg;

    ck_assert(plex_http_gone(s->held));
    plex_http_respond(s->held, 204, NULL, NULL, (struct plex_bytes){0});
    s->held = NULL;
    atomic_fetch_add(&s->held_gone, 1);
}

static void
on_request(void *arg, struct plex_http_exchange *ex)
{
    struct server *s = arg;

    if (strcmp(plex_http_path(ex), "/stream") == 0)
        stream_begin(s, ex);
    else if (strcmp(plex_http_path(ex), "/hold") == 0) {
        s->held = ex;
        plex_http_on_gone(ex, on_held_gone, s);
        atomic_fetch_add(&s->held_begun, 1);
    } else if (strcmp(plex_http_path(ex), "/release") == 0) {
        plex_http_respond(s->held, 200, NULL, NULL, bytes_of("released"));
        s->held = NULL;
        plex_http_respond(ex, 200, NULL, NULL, bytes_of("ok"));
    } else
        stream_ask(s, ex);
}

static void
close_server(struct plex_task *task)
{
    struct server *s = plex_container_of(task, struct server, close_task);

    plex_http_close(s->http);
    plex_loop_quit(s->loop);
}

static void
drain_server(struct plex_task *task)
{
    plex_http_drain(plex_container_of(task, struct server, drain_task)->http);
}

static void *
run_server(void *arg)
{
    plex_loop_run(((struct server *)arg)->loop);
    return NULL;
}

static void
start(void)
{
    const struct plex_http_config config = {
        .addr = "127.0.0.1:0",
        .body_max = 1000,
        .header_max = 4096,
        .connections_max = 64,
        .idle_s = 1,
        .source = "http",
        .handle = on_request,
        .arg = &server,
    };

    memset(&server, 0, sizeof server);
    server.close_task.run = close_server;
    server.drain_task.run = drain_server;
    ck_assert_int_eq(plex_loop_create(&server.loop, &err), PLEX_OK);
    ck_assert_msg(plex_http_open(&server.http, server.loop, &config, &err) ==
                      PLEX_OK,
                  "%s", err.text);
    ck_assert_int_eq(pthread_create(&server.thread, NULL, run_server, &server),
                     0);
}

static void
stop(void)
{
    plex_loop_post(server.loop, &server.close_task);
    (void)pthread_join(server.thread, NULL);
    plex_loop_free(server.loop);
}

static int
dial(void)
{
    return http_client_connect(plex_http_addr(server.http));
}

/* Send on an open connection and read one response. */
static const char *
ask(int fd, const char *request)
{
    http_client_send(fd, request, strlen(request));
    (void)http_client_read_response(fd, text, sizeof text);
    return text;
}

/* Read until `want` has come. */
static void
expect(int fd, const char *want)
{
    size_t used = 0;

    text[0] = '\0';
    while (strstr(text, want) == NULL) {
        const ssize_t n = recv(fd, text + used, sizeof text - 1 - used, 0);

        ck_assert_msg(n > 0, "no \"%s\" in \"%s\"", want, text);
        used += (size_t)n;
        text[used] = '\0';
    }
}

static int
dial_stream(void)
{
    const int fd = dial();
    static const char request[] = "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n";

    http_client_send(fd, request, sizeof request - 1);
    expect(fd, "data: 1\n\n");
    return fd;
}

static void
wait_closed(int n)
{
    while (atomic_load(&server.streams_closed) < n)
        (void)sched_yield();
}

START_TEST(a_stream_sends_what_is_written_until_it_is_ended)
{
    const int fd = dial_stream(), other = dial();

    ck_assert_ptr_nonnull(strstr(text, "Transfer-Encoding: chunked"));
    (void)ask(other, "GET /write?one HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(fd, "one");
    (void)ask(other, "GET /write?two HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(fd, "two");
    expect(fd, ":\n\n");
    (void)ask(other, "GET /end HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(fd, "0\r\n\r\n");
    ck_assert_int_eq(atomic_load(&server.streams_closed), 0);
    /* The connection is good for another request. */
    ck_assert_ptr_nonnull(
        strstr(ask(fd, "GET /none HTTP/1.1\r\nHost: x\r\n\r\n"), "closed"));
    (void)close(fd);
    (void)close(other);
}
END_TEST

START_TEST(a_stream_has_room_for_its_buffer_and_says_when_it_is_full)
{
    const int fd = dial_stream(), other = dial();

    ck_assert_ptr_nonnull(
        strstr(ask(other, "GET /flood HTTP/1.1\r\nHost: x\r\n\r\n"), "full"));
    expect(fd, "0123456789012345678901234"
               "0123456789012345678901234");
    ck_assert_ptr_nonnull(
        strstr(ask(other, "GET /write?on HTTP/1.1\r\nHost: x\r\n\r\n"), "ok"));
    expect(fd, "on");
    (void)close(fd);
    (void)close(other);
    wait_closed(1);
}
END_TEST

START_TEST(a_stream_whose_client_left_is_closed)
{
    const int fd = dial_stream(), other = dial();

    (void)close(fd);
    wait_closed(1);
    ck_assert_ptr_nonnull(strstr(
        ask(other, "GET /write?x HTTP/1.1\r\nHost: x\r\n\r\n"), "closed"));
    (void)close(other);
}
END_TEST

START_TEST(a_stream_answers_head_without_a_body)
{
    const int fd = dial();
    static const char request[] =
        "HEAD /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

    http_client_send(fd, request, sizeof request - 1);
    (void)http_client_read_all(fd, text, sizeof text);
    ck_assert_ptr_null(strstr(text, "data:"));
    wait_closed(1);
    (void)close(fd);
}
END_TEST

START_TEST(drain_ends_streams)
{
    const int fd = dial_stream();

    plex_loop_post(server.loop, &server.drain_task);
    wait_closed(1);
    (void)http_client_read_all(fd, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "0\r\n\r\n"));
    (void)close(fd);
}
END_TEST

START_TEST(close_ends_streams)
{
    const int fd = dial_stream();

    stop();
    ck_assert_int_eq(atomic_load(&server.streams_closed), 1);
    (void)http_client_read_all(fd, text, sizeof text);
    (void)close(fd);
    start();
}
END_TEST

static int
dial_hold(void)
{
    static const char request[] = "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n";
    const int fd = dial(), begun = atomic_load(&server.held_begun);

    http_client_send(fd, request, sizeof request - 1);
    while (atomic_load(&server.held_begun) == begun)
        (void)sched_yield();
    return fd;
}

START_TEST(a_handler_is_told_at_once_when_its_client_leaves)
{
    const int other = dial();

    for (int i = 0; i < 20; i++) {
        (void)close(dial_hold());
        while (atomic_load(&server.held_gone) <= i)
            (void)sched_yield();
    }
    (void)ask(other, "GET /write?x HTTP/1.1\r\nHost: x\r\n\r\n");
    (void)close(other);
}
END_TEST

START_TEST(an_answered_client_is_not_watched_any_more)
{
    const int fd = dial_hold(), other = dial();

    (void)ask(other, "GET /release HTTP/1.1\r\nHost: x\r\n\r\n");
    expect(fd, "released");
    (void)close(fd);
    (void)ask(other, "GET /write?x HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert_int_eq(atomic_load(&server.held_gone), 0);
    (void)close(other);
}
END_TEST

START_TEST(a_watched_client_may_wait_while_the_server_closes)
{
    const int fd = dial_hold();

    stop();
    ck_assert_int_eq(atomic_load(&server.held_gone), 0);
    (void)close(fd);
    start();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("http_stream");
    TCase *tcase = tcase_create("server");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, start, stop);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_stream_sends_what_is_written_until_it_is_ended);
    tcase_add_test(tcase,
                   a_stream_has_room_for_its_buffer_and_says_when_it_is_full);
    tcase_add_test(tcase, a_stream_whose_client_left_is_closed);
    tcase_add_test(tcase, a_stream_answers_head_without_a_body);
    tcase_add_test(tcase, drain_ends_streams);
    tcase_add_test(tcase, close_ends_streams);
    tcase_add_test(tcase, a_handler_is_told_at_once_when_its_client_leaves);
    tcase_add_test(tcase, an_answered_client_is_not_watched_any_more);
    tcase_add_test(tcase, a_watched_client_may_wait_while_the_server_closes);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
