/* The HTTP server, asked by a client that sends raw bytes. */
#include "common/http.h"

#include "common/mem.h"
#include "tests/unit/common/http_client.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BODY_MAX = 1000, LATER_MS = 30 };

struct server {
    struct plex_loop *loop;
    struct plex_http *http;
    struct plex_http_config config;
    struct plex_http_exchange *held; /* /hold waits for /release */
    struct plex_timer *later;
    struct plex_http_exchange *later_ex;
    struct plex_task close_task, drain_task;
    atomic_bool drained;
    atomic_bool later_began;
    pthread_t thread;
};

static struct server server;
static struct plex_err err;
static char text[1 << 20];

static struct plex_bytes
bytes_of(const char *s)
{
    return (struct plex_bytes){(const uint8_t *)s, strlen(s)};
}

static void
count_header(void *arg, const char *name, const char *value)
{
    (void)name;
    (void)value;
    ++*(size_t *)arg;
}

/* Says what it saw. */
static void
answer_echo(struct plex_http_exchange *ex)
{
    const struct plex_http_header headers[] = {
        {"X-One", "1"}, {"X-Bad", "a\r\nInjected: yes"}, {0}};
    const char *probe = plex_http_request_header(ex, "x-PROBE");
    const struct plex_bytes body = plex_http_body(ex);
    size_t n_headers = 0;
    char *out = plex_calloc(body.len + 4096, 1);

    plex_http_each_header(ex, count_header, &n_headers);
    (void)snprintf(out, body.len + 4096, "%s|%s|%s|%s|%zu|%.*s",
                   plex_http_method(ex), plex_http_path(ex),
                   plex_http_query(ex), probe ? probe : "-", n_headers,
                   (int)body.len, (const char *)body.data);
    plex_http_respond(ex, 200, "text/plain", headers, bytes_of(out));
    free(out);
}

static void
on_later(void *arg)
{
    struct server *s = arg;

    plex_http_respond(s->later_ex, 200, "text/plain", NULL, bytes_of("late"));
}

static void
on_request(void *arg, struct plex_http_exchange *ex)
{
    struct server *s = arg;
    const char *path = plex_http_path(ex);

    ck_assert_ptr_null(*plex_http_user(ex));
    *plex_http_user(ex) = s;
    if (strcmp(path, "/later") == 0) {
        s->later_ex = ex;
        atomic_store(&s->later_began, true);
        plex_timer_start(s->later, LATER_MS);
    } else if (strcmp(path, "/hold") == 0) {
        s->held = ex;
    } else if (strcmp(path, "/held") == 0) {
        plex_http_respond(ex, 200, NULL, NULL,
                          bytes_of(s->held == NULL           ? "none"
                                   : plex_http_gone(s->held) ? "gone"
                                                             : "there"));
    } else if (strcmp(path, "/release") == 0) {
        plex_http_respond(s->held, 200, "text/plain", NULL, bytes_of("held"));
        s->held = NULL;
        plex_http_respond(ex, 200, "text/plain", NULL, bytes_of("released"));
    } else if (strcmp(path, "/problem") == 0) {
        plex_http_respond_problem(
            ex,
            &(struct plex_http_problem){404, "ROUTE_NOT_FOUND",
                                        "no \"such\"\nthing", "gateway", "r1"},
            NULL);
    } else if (strcmp(path, "/empty") == 0) {
        plex_http_respond(ex, 204, NULL, NULL, (struct plex_bytes){0});
    } else {
        answer_echo(ex);
    }
}

static void
close_server(struct plex_task *task)
{
    struct server *s = plex_container_of(task, struct server, close_task);

    plex_http_close(s->http);
    plex_timer_free(s->later);
    plex_loop_quit(s->loop);
}

static void
drain_server(struct plex_task *task)
{
    struct server *s = plex_container_of(task, struct server, drain_task);

    plex_http_drain(s->http);
    atomic_store(&s->drained, true);
}

static void *
run_server(void *arg)
{
    plex_loop_run(((struct server *)arg)->loop);
    return NULL;
}

static void
start_at(const char *addr)
{
    memset(&server, 0, sizeof server);
    server.config = (struct plex_http_config){
        .addr = addr,
        .body_max = BODY_MAX,
        .header_max = 4096,
        .connections_max = 64,
        .idle_s = 1,
        .source = "http",
        .handle = on_request,
        .arg = &server,
    };
    server.close_task.run = close_server;
    server.drain_task.run = drain_server;
    ck_assert_int_eq(plex_loop_create(&server.loop, &err), PLEX_OK);
    ck_assert_msg(plex_http_open(&server.http, server.loop, &server.config,
                                 &err) == PLEX_OK,
                  "%s", err.text);
    server.later = plex_timer_create(server.loop, on_later, &server);
    ck_assert_int_eq(pthread_create(&server.thread, NULL, run_server, &server),
                     0);
}

static void
start(void)
{
    start_at("127.0.0.1:0");
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

static void
wait_for(const char *held)
{
    const int fd = dial();

    while (strstr(ask(fd, "GET /held HTTP/1.1\r\nHost: x\r\n\r\n"), held) ==
           NULL)
        ;
    (void)close(fd);
}

START_TEST(a_request_is_seen_as_it_was_sent)
{
    const int fd = dial();

    ask(fd, "GET /a%2Fb/%zz+c?x=1%20&y=a+b?&=& HTTP/1.1\r\nHost: x\r\n"
            "X-Probe: yes\r\nX-Probe: no\r\n\r\n");
    ck_assert_ptr_nonnull(
        strstr(text, "GET|/a%2Fb/%zz+c|x=1%20&y=a+b?&=&|yes|3|"));
    ck_assert_ptr_nonnull(strstr(text, "X-One: 1\r\n"));
    ck_assert_ptr_null(strstr(text, "Injected"));
    ck_assert_ptr_nonnull(strstr(text, "Content-Type: text/plain\r\n"));
    (void)close(fd);
}
END_TEST

START_TEST(a_connection_serves_many_requests)
{
    const int fd = dial();

    for (int i = 0; i < 100; i++) {
        ask(fd, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
        ck_assert_ptr_nonnull(strstr(text, "POST|/x||-|2|abc"));
    }
    ck_assert_ptr_nonnull(strstr(
        ask(fd, "GET /empty HTTP/1.1\r\nHost: x\r\n\r\n"), "204 No Content"));
    (void)close(fd);
}
END_TEST

START_TEST(pipelined_requests_are_answered_in_order)
{
    static const char two[] = "GET /later HTTP/1.1\r\nHost: x\r\n\r\n"
                              "GET /two HTTP/1.1\r\nHost: x\r\n"
                              "Connection: close\r\n\r\n";
    const int fd = dial();
    const char *late;

    http_client_send(fd, two, strlen(two));
    (void)http_client_read_all(fd, text, sizeof text);
    late = strstr(text, "\r\n\r\nlate");
    ck_assert_ptr_nonnull(late);
    ck_assert_ptr_nonnull(strstr(late, "GET|/two|"));
    (void)close(fd);
}
END_TEST

START_TEST(an_answer_may_come_later_from_another_event)
{
    const int held = dial(), fd = dial();
    static const char hold[] = "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n";

    http_client_send(held, hold, strlen(hold));
    wait_for("there");
    ck_assert_ptr_nonnull(strstr(
        ask(fd, "GET /release HTTP/1.1\r\nHost: x\r\n\r\n"), "released"));
    (void)http_client_read_response(held, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "\r\n\r\nheld"));
    (void)close(fd);
    (void)close(held);
}
END_TEST

START_TEST(a_client_that_left_is_noticed)
{
    const int held = dial(), fd = dial();
    static const char hold[] = "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n";

    http_client_send(held, hold, strlen(hold));
    wait_for("there");
    (void)close(held);
    wait_for("gone");
    ask(fd, "GET /release HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert_ptr_nonnull(strstr(text, "released"));
    ck_assert_ptr_nonnull(
        strstr(ask(fd, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n"), "GET|/x|"));
    (void)close(fd);
}
END_TEST

START_TEST(head_gets_headers_only)
{
    const int fd = dial();
    static const char head[] =
        "HEAD /abc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

    http_client_send(fd, head, strlen(head));
    (void)http_client_read_all(fd, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "200 OK"));
    ck_assert_ptr_nonnull(strstr(text, "Content-Length: 15"));
    ck_assert_ptr_null(strstr(text, "HEAD|"));
    (void)close(fd);
}
END_TEST

START_TEST(a_chunked_body_is_put_together)
{
    const int fd = dial();

    ask(fd, "PUT /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            "3\r\nabc\r\n4;ext=1\r\ndefg\r\n0\r\n\r\n");
    ck_assert_ptr_nonnull(strstr(text, "PUT|/c||-|2|abcdefg"));
    (void)close(fd);
}
END_TEST

static void
post_size(int fd, size_t size, const char *more, bool with_body)
{
    const size_t room = (with_body ? size : 0) + 512;
    char *request = plex_calloc(room, 1);
    size_t used;

    used = (size_t)snprintf(request, room,
                            "POST /b HTTP/1.1\r\nHost: x\r\n%s"
                            "Content-Length: %zu\r\n\r\n",
                            more, size);
    if (with_body) {
        memset(request + used, 'x', size);
        used += size;
    }
    http_client_send(fd, request, used);
    free(request);
}

START_TEST(a_body_up_to_the_limit_passes_and_one_more_is_413)
{
    const int fd = dial();

    post_size(fd, BODY_MAX, "", true);
    (void)http_client_read_response(fd, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "200 OK"));
    post_size(fd, BODY_MAX + 1, "", true);
    (void)http_client_read_response(fd, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "413 "));
    ck_assert_ptr_nonnull(strstr(text, "application/problem+json"));
    ck_assert_ptr_nonnull(strstr(text, "\"code\":\"BODY_TOO_LARGE\""));
    /* It was read to its end, so the connection lives on. */
    post_size(fd, 5, "", true);
    (void)http_client_read_response(fd, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "200 OK"));
    (void)close(fd);
}
END_TEST

START_TEST(a_client_that_waits_for_100_continue_is_refused_before_it_sends)
{
    const int fd = dial();

    post_size(fd, BODY_MAX + 1, "Expect: 100-continue\r\n", false);
    (void)http_client_read_response(fd, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "413 "));
    (void)close(fd);
}
END_TEST

START_TEST(a_client_that_waits_for_100_continue_gets_it)
{
    const int fd = dial();

    post_size(fd, 4, "Expect: 100-continue\r\n", false);
    (void)http_client_read_response(fd, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "100 Continue"));
    http_client_send(fd, "abcd", 4);
    (void)http_client_read_response(fd, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "|abcd"));
    (void)close(fd);
}
END_TEST

START_TEST(a_huge_body_is_refused_unread)
{
    const int fd = dial();

    post_size(fd, (size_t)3 << 30, "", false);
    (void)http_client_read_all(fd, text, sizeof text);
    ck_assert_msg(strstr(text, "413 ") != NULL, "got \"%s\"", text);
    (void)close(fd);
}
END_TEST

START_TEST(a_chunked_body_over_the_limit_is_413)
{
    const int fd = dial();
    static const char head[] =
        "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    char chunk[0x400 + 16];

    http_client_send(fd, head, strlen(head));
    (void)snprintf(chunk, sizeof chunk, "400\r\n");
    memset(chunk + 5, 'x', 0x400);
    memcpy(chunk + 5 + 0x400, "\r\n", 2);
    for (int i = 0; i < 8; i++)
        http_client_send(fd, chunk, 5 + 0x400 + 2);
    http_client_send(fd, "0\r\n\r\n", 5);
    (void)http_client_read_response(fd, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "413 "));
    (void)close(fd);
}
END_TEST

START_TEST(headers_over_the_limit_are_431_or_414)
{
    const size_t size = 64 << 10;
    char *request = plex_calloc(size + 256, 1);
    int fd = dial();
    size_t used;

    used = (size_t)snprintf(request, size, "GET / HTTP/1.1\r\nX-Long: ");
    memset(request + used, 'x', size);
    memcpy(request + used + size, "\r\n\r\n", 4);
    http_client_send(fd, request, used + size + 4);
    (void)http_client_read_all(fd, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "431 "));
    (void)close(fd);
    fd = dial();
    memcpy(request, "GET /", 5);
    memset(request + 5, 'y', size);
    http_client_send(fd, request, size);
    (void)http_client_read_all(fd, text, sizeof text);
    ck_assert_msg(strstr(text, "414 ") || strstr(text, "431 "), "%s", text);
    (void)close(fd);
    free(request);
}
END_TEST

START_TEST(malformed_requests_are_400_or_cut)
{
    static const char *const bad[] = {
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n", /* no Host */
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: "
        "99999999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz"
        "\r\n",
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const int fd = dial();

        http_client_send(fd, bad[i], strlen(bad[i]));
        (void)http_client_read_all(fd, text, sizeof text);
        ck_assert_msg(strstr(text, " 200 ") == NULL, "%zu: %s", i, text);
        (void)close(fd);
    }
}
END_TEST

START_TEST(an_idle_connection_is_closed)
{
    const int fd = dial();

    ck_assert_uint_eq(http_client_read_all(fd, text, sizeof text), 0);
    (void)close(fd);
}
END_TEST

START_TEST(a_problem_is_json)
{
    const int fd = dial();

    ask(fd, "GET /problem HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert_ptr_nonnull(
        strstr(text, "{\"status\":404,\"title\":\"Not Found\",\"detail\":\"no "
                     "\\\"such\\\"\\nthing\",\"code\":\"ROUTE_NOT_FOUND\","
                     "\"source\":\"gateway\",\"request_id\":\"r1\"}"));
    (void)close(fd);
}
END_TEST

START_TEST(drain_closes_idle_connections_and_finishes_requests)
{
    static const char later[] = "GET /later HTTP/1.1\r\nHost: x\r\n\r\n";
    const int idle = dial(), busy = dial();

    (void)ask(idle, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    http_client_send(busy, later, strlen(later));
    /* The request must have begun, or it may count as idle. */
    while (!atomic_load(&server.later_began))
        (void)sched_yield();
    plex_loop_post(server.loop, &server.drain_task);
    ck_assert_uint_eq(http_client_read_all(idle, text, sizeof text), 0);
    (void)http_client_read_all(busy, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "late"));
    ck_assert_ptr_nonnull(strstr(text, "Connection: close"));
    ck_assert(atomic_load(&server.drained));
    (void)close(idle);
    (void)close(busy);
}
END_TEST

START_TEST(close_drops_what_is_unanswered)
{
    static const char hold[] = "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n";
    const int held = dial();

    http_client_send(held, hold, strlen(hold));
    wait_for("there");
    stop(); /* instead of the fixture's */
    ck_assert_uint_eq(http_client_read_all(held, text, sizeof text), 0);
    (void)close(held);
    start();
}
END_TEST

START_TEST(ipv6_addresses_work)
{
    stop();
    start_at("[::1]:0");
    ck_assert_int_eq(plex_http_addr(server.http)[0], '[');
    ck_assert_ptr_nonnull(
        strstr(http_client_once(plex_http_addr(server.http),
                                "GET /six HTTP/1.1\r\nHost: x\r\nConnection: "
                                "close\r\n\r\n"),
               "GET|/six|"));
}
END_TEST

START_TEST(bad_addresses_are_refused)
{
    static const char *const bad[] = {"",      "x",      "127.0.0.1",
                                      ":80",   "::1:80", "1.2.3.4:",
                                      "[::1]", "a:b",    "127.0.0.1:99999999"};
    struct plex_http_config config = server.config;
    struct plex_http *http;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        config.addr = bad[i];
        ck_assert_int_eq(plex_http_open(&http, server.loop, &config, &err),
                         PLEX_INVALID);
    }
    config.addr = plex_http_addr(server.http);
    ck_assert_int_eq(plex_http_open(&http, server.loop, &config, &err),
                     PLEX_UNAVAILABLE);
}
END_TEST

static const char *
unescape(const char *in, size_t len, bool plus)
{
    static char out[256];

    return plex_http_unescape(in, len, plus, out, &err) == PLEX_OK ? out : NULL;
}

START_TEST(unescape_decodes_and_refuses)
{
    ck_assert_str_eq(unescape("a%20b%2f%C3%a9", 14, false), "a b/\xc3\xa9");
    ck_assert_str_eq(unescape("a+b", 3, false), "a+b");
    ck_assert_str_eq(unescape("a+b", 3, true), "a b");
    ck_assert_str_eq(unescape("", 0, true), "");
    ck_assert_str_eq(unescape("%41", 3, true), "A");
    ck_assert_ptr_null(unescape("%4", 2, true));
    ck_assert_ptr_null(unescape("%41", 2, true)); /* not past the length */
    ck_assert_ptr_null(unescape("%", 1, true));
    ck_assert_ptr_null(unescape("%4g", 3, true));
    ck_assert_ptr_null(unescape("%00", 3, true));
    ck_assert_ptr_null(unescape("a\0b", 3, true));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("http");
    TCase *tcase = tcase_create("server");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, start, stop);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_request_is_seen_as_it_was_sent);
    tcase_add_test(tcase, a_connection_serves_many_requests);
    tcase_add_test(tcase, pipelined_requests_are_answered_in_order);
    tcase_add_test(tcase, an_answer_may_come_later_from_another_event);
    tcase_add_test(tcase, a_client_that_left_is_noticed);
    tcase_add_test(tcase, head_gets_headers_only);
    tcase_add_test(tcase, a_chunked_body_is_put_together);
    tcase_add_test(tcase, a_body_up_to_the_limit_passes_and_one_more_is_413);
    tcase_add_test(
        tcase, a_client_that_waits_for_100_continue_is_refused_before_it_sends);
    tcase_add_test(tcase, a_client_that_waits_for_100_continue_gets_it);
    tcase_add_test(tcase, a_huge_body_is_refused_unread);
    tcase_add_test(tcase, a_chunked_body_over_the_limit_is_413);
    tcase_add_test(tcase, headers_over_the_limit_are_431_or_414);
    tcase_add_test(tcase, malformed_requests_are_400_or_cut);
    tcase_add_test(tcase, an_idle_connection_is_closed);
    tcase_add_test(tcase, a_problem_is_json);
    tcase_add_test(tcase, drain_closes_idle_connections_and_finishes_requests);
    tcase_add_test(tcase, close_drops_what_is_unanswered);
    tcase_add_test(tcase, ipv6_addresses_work);
    tcase_add_test(tcase, bad_addresses_are_refused);
    tcase_add_test(tcase, unescape_decodes_and_refuses);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
