/* Peers that are away, restart, or do not keep up. */
#include "tests/unit/link/link_fixture.h"

#include "common/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

START_TEST(an_absent_peer_is_unavailable_and_surely_was_not_reached)
{
    struct outcome out;
    struct node *client;
    char url[128];
    uint64_t began;

    url_make(url, _i, "client");
    client = node_here(url);
    url_make(url, _i, "absent");
    began = plex_now();
    (void)call_to(client, url, METHOD_ECHO, "x", &out);
    wait_count(client, &out.done, 1);
    ck_assert_int_eq(out.status, PLEX_UNAVAILABLE);
    ck_assert(!out.unknown);
    ck_assert_uint_lt(plex_now() - began, 3000 * 1000000ULL);
    node_stop(client);
}
END_TEST

START_TEST(an_unsent_call_that_ended_is_never_delivered)
{
    struct outcome out, other;
    struct node *client, *server;
    char url[128];
    uint64_t id;

    url_make(url, _i, "client");
    client = node_here(url);
    url_make(url, _i, "tardy");
    id = call_with(client, url, METHOD_HOLD, "x", WAIT_MS, true, &out);
    (void)call_with(client, url, METHOD_ECHO, "x", WAIT_MS, true, &other);
    run_ms(client, 10);
    plex_link_cancel(client->link, id);
    wait_count(client, &out.done, 1);
    ck_assert_int_eq(out.status, PLEX_CANCELLED);
    ck_assert(!out.unknown);
    server = node_start(url);
    wait_count(client, &other.done, 1);
    ck_assert_int_eq(other.status, PLEX_OK);
    ck_assert_uint_eq(server->held, 0);
    node_stop(client);
    node_stop(server);
}
END_TEST

START_TEST(a_retried_call_waits_for_its_peer)
{
    struct outcome out;
    struct node *client, *server;
    char url[128];

    url_make(url, _i, "client");
    client = node_here(url);
    url_make(url, _i, "late");
    (void)call_with(client, url, METHOD_ECHO, "x", WAIT_MS, true, &out);
    run_ms(client, 1300); /* past PLEX_LINK_CONNECT_MS */
    ck_assert_uint_eq(out.done, 0);
    server = node_start(url);
    wait_count(client, &out.done, 1);
    ck_assert_int_eq(out.status, PLEX_OK);
    ck_assert_uint_eq(server->handled, 1);
    node_stop(client);
    node_stop(server);
}
END_TEST

START_TEST(a_lost_peer_ends_calls_at_once_with_outcome_unknown)
{
    struct outcome out;
    struct node *client, *server;
    char url[128];
    uint64_t began;

    url_make(url, _i, "client");
    client = node_here(url);
    url_make(url, _i, "mortal");
    server = node_start(url);
    (void)call_to(client, url, METHOD_HOLD, "x", &out);
    wait_atomic(client, &server->held, 1);
    node_stop(server);
    began = plex_now();
    wait_count(client, &out.done, 1);
    ck_assert_int_eq(out.status, PLEX_UNKNOWN);
    ck_assert(out.unknown);
    ck_assert_uint_lt(plex_now() - began, 2000 * 1000000ULL);
    node_stop(client);
}
END_TEST

START_TEST(a_retried_call_survives_its_peers_restart)
{
    struct outcome out, first;
    struct node *client, *server;
    char url[128];

    url_make(url, _i, "client");
    client = node_here(url);
    url_make(url, _i, "phoenix");
    server = node_start(url);
    (void)call_to(client, url, METHOD_ECHO, "x", &first);
    wait_count(client, &first.done, 1);
    (void)call_with(client, url, METHOD_HOLD, "x", WAIT_MS, true, &out);
    wait_atomic(client, &server->held, 1);
    node_stop(server);
    server = node_start(url);
    wait_atomic(client, &server->held, 1);
    ck_assert_uint_eq(out.done, 0);
    node_do(server, node_release);
    wait_count(client, &out.done, 1);
    ck_assert_int_eq(out.status, PLEX_OK);
    ck_assert_mem_eq(out.bytes, "late", 4);
    ck_assert_uint_eq(server->handled, 1);
    node_stop(client);
    node_stop(server);
}
END_TEST

START_TEST(many_restarts_end_every_call_exactly_once)
{
    enum { CALLS = 400, ROUNDS = 3 };
    static struct outcome out[ROUNDS][CALLS];
    struct node *client, *server;
    char url[128];

    url_make(url, _i, "client");
    client = node_here(url);
    url_make(url, _i, "cat");
    for (int round = 0; round < ROUNDS; round++) {
        server = node_start(url);
        for (int i = 0; i < CALLS; i++)
            (void)call_with(client, url, METHOD_ECHO, "x", WAIT_MS, i % 2 == 0,
                            &out[round][i]);
        run_ms(client, 1);
        node_stop(server);
    }
    server = node_start(url);
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < CALLS; i++) {
            const struct outcome *o = &out[round][i];

            wait_count(client, &o->done, 1);
            ck_assert_uint_eq(o->done, 1);
            if (i % 2 == 0)
                ck_assert_msg(o->status == PLEX_OK, "%d/%d: %s", round, i,
                              o->text);
            else
                ck_assert(o->status == PLEX_OK || o->status == PLEX_UNKNOWN ||
                          o->status == PLEX_UNAVAILABLE);
            ck_assert(o->unknown == (o->status == PLEX_UNKNOWN));
        }
    node_stop(client);
    node_stop(server);
}
END_TEST

static bool
abandoned(struct node *here, struct node *node)
{
    for (int i = 0; i < 1000; i++) {
        node_do(node, node_look);
        if (node->abandoned > 0)
            return true;
        run_ms(here, 5);
    }
    return false;
}

START_TEST(a_lost_callers_request_is_abandoned)
{
    struct outcome out;
    struct node *client, *server, *idle;
    char url[128];

    url_make(url, _i, "server");
    server = node_start(url);
    url_make(url, _i, "idle");
    idle = node_here(url);
    url_make(url, _i, "client");
    client = node_here(url);
    (void)call_to(client, server->url, METHOD_HOLD, "x", &out);
    wait_atomic(client, &server->held, 1);
    node_stop(client);
    ck_assert(abandoned(idle, server));
    ck_assert_uint_eq(server->told, 1);
    node_do(server, node_release); /* goes nowhere */
    node_stop(idle);
    node_stop(server);
}
END_TEST

static void
on_limit(void *arg, const struct plex_link_result *result)
{
    unsigned *limited = arg;

    if (result->status == PLEX_LIMIT)
        (*limited)++;
}

START_TEST(pending_calls_to_one_peer_are_limited)
{
    struct plex_context context = plex_context_none;
    struct plex_link_request request = {
        .method = METHOD_HOLD, .context = &context, .done = on_limit};
    struct node *client, *server;
    struct outcome out;
    unsigned limited = 0;
    char url[128];

    url_make(url, _i, "client");
    client = node_here(url);
    url_make(url, _i, "server");
    server = node_start(url);
    request.peer = url;
    request.arg = &limited;
    for (int i = 0; i < PLEX_LINK_INFLIGHT_MAX + 10; i++)
        (void)plex_link_call(client->link, &request);
    ck_assert_uint_eq(limited, 0);
    wait_count(client, &limited, 10);
    ck_assert_uint_eq(limited, 10);
    (void)call_to(client, client->url, METHOD_ECHO, "", &out);
    wait_count(client, &out.done, 1);
    ck_assert_int_eq(out.status, PLEX_OK); /* other peers are not affected */
    node_stop(client);
    node_stop(server);
}
END_TEST

START_TEST(bytes_waiting_for_one_peer_are_limited)
{
    enum { BIG = 15 << 20 };
    struct plex_context context = plex_context_none;
    struct outcome out[6] = {0};
    uint8_t *big = plex_calloc(1, BIG);
    struct plex_link_request request = {.method = METHOD_ECHO,
                                        .context = &context,
                                        .payload = {big, BIG},
                                        .done = on_done};
    struct node *client;
    char url[128];

    url_make(url, _i, "client");
    client = node_here(url);
    url_make(url, _i, "absent");
    request.peer = url;
    for (int i = 0; i < 6; i++) {
        request.arg = &out[i];
        (void)plex_link_call(client->link, &request);
    }
    for (int i = 0; i < 6; i++) {
        wait_count(client, &out[i].done, 1);
        ck_assert_int_eq(out[i].status, i < 4 ? PLEX_UNAVAILABLE : PLEX_LIMIT);
        ck_assert(!out[i].unknown);
    }
    node_stop(client);
    free(big);
}
END_TEST

static atomic_bool stuck;

static void
stick(struct plex_task *task)
{
    (void)task;
    while (stuck)
        (void)usleep(1000);
}

START_TEST(a_peer_that_stopped_reading_is_limited_and_then_catches_up)
{
    enum { CALLS = 26, BIG = 8 << 20 };
    static struct outcome out[CALLS];
    struct plex_context context = plex_context_none;
    uint8_t *big = plex_calloc(1, BIG);
    struct plex_link_request request = {.method = METHOD_ECHO,
                                        .context = &context,
                                        .payload = {big, BIG},
                                        .done = on_done};
    struct plex_task task = {.run = stick};
    struct node *client, *server;
    unsigned limited = 0;
    char url[128];

    url_make(url, _i, "client");
    client = node_here(url);
    url_make(url, _i, "server");
    server = node_start(url);
    (void)call_to(client, url, METHOD_ECHO, "x", &out[0]);
    wait_count(client, &out[0].done, 1);
    stuck = true;
    plex_loop_post(server->loop, &task);
    memset(out, 0, sizeof out);
    request.peer = url;
    for (int i = 0; i < CALLS; i++) {
        request.arg = &out[i];
        (void)plex_link_call(client->link, &request);
        run_ms(client, 10);
    }
    stuck = false;
    for (int i = 0; i < CALLS; i++) {
        wait_count(client, &out[i].done, 1);
        if (out[i].status == PLEX_LIMIT)
            limited++;
        else if (out[i].status != PLEX_UNKNOWN) /* the answer was dropped */
            ck_assert_msg(out[i].status == PLEX_OK && out[i].len == BIG,
                          "call %d: %s", i, out[i].text);
    }
    ck_assert_uint_gt(limited, 0);
    ck_assert_uint_le(limited, CALLS - 8);
    node_stop(client);
    node_stop(server);
    free(big);
}
END_TEST

START_TEST(impossible_addresses_are_invalid)
{
    static const char *const bad[] = {"", "tcp", "http://localhost:1"};
    struct plex_link_config config = {.listen_url = "gopher://x"};
    struct plex_link *link = NULL;
    struct plex_err err;
    struct outcome out;
    struct node *client = node_here("tcp://127.0.0.1:0");
    char url[600];

    ck_assert_str_ne(client->url, "tcp://127.0.0.1:0");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        (void)call_to(client, bad[i], METHOD_ECHO, "", &out);
        wait_count(client, &out.done, 1);
        ck_assert_msg(out.status == PLEX_INVALID, "%s: %s", bad[i], out.text);
    }
    memset(url, 'x', sizeof url);
    memcpy(url, "ipc:///", 7);
    url[599] = '\0';
    (void)call_to(client, url, METHOD_ECHO, "", &out);
    wait_count(client, &out.done, 1);
    ck_assert_int_eq(out.status, PLEX_INVALID);
    ck_assert_int_eq(plex_link_open(&link, client->loop, &config, &err),
                     PLEX_INVALID);
    config.listen_url = client->url;
    ck_assert_int_eq(plex_link_open(&link, client->loop, &config, &err),
                     PLEX_UNAVAILABLE);
    node_stop(client);
}
END_TEST

START_TEST(an_address_in_use_is_unavailable)
{
    struct plex_link_config config = {0};
    struct plex_link *link = NULL;
    struct plex_err err;
    struct node *client;
    char url[128];

    url_make(url, _i, "client");
    client = node_here(url);
    config.listen_url = url;
    ck_assert_int_eq(plex_link_open(&link, client->loop, &config, &err),
                     PLEX_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(err.text, url));
    node_stop(client);
}
END_TEST

TCase *
tcase_link_peer(void)
{
    TCase *tcase = tcase_create("peers");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(
        tcase, an_absent_peer_is_unavailable_and_surely_was_not_reached, 0, 3);
    tcase_add_loop_test(tcase, an_unsent_call_that_ended_is_never_delivered, 0,
                        3);
    tcase_add_loop_test(tcase, a_retried_call_waits_for_its_peer, 0, 3);
    tcase_add_loop_test(
        tcase, a_lost_peer_ends_calls_at_once_with_outcome_unknown, 0, 3);
    tcase_add_loop_test(tcase, a_retried_call_survives_its_peers_restart, 0, 3);
    tcase_add_loop_test(tcase, a_lost_callers_request_is_abandoned, 0, 3);
    tcase_add_loop_test(tcase, pending_calls_to_one_peer_are_limited, 0, 3);
    tcase_add_loop_test(tcase, bytes_waiting_for_one_peer_are_limited, 0, 3);
    tcase_add_loop_test(
        tcase, a_peer_that_stopped_reading_is_limited_and_then_catches_up, 0,
        3);
    tcase_add_loop_test(tcase, an_address_in_use_is_unavailable, 0, 3);
    tcase_add_test(tcase, impossible_addresses_are_invalid);
    return tcase;
}

TCase *
tcase_link_restarts(void)
{
    TCase *tcase = tcase_create("restarts");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, many_restarts_end_every_call_exactly_once, 0, 3);
    return tcase;
}
