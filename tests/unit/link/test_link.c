/* Calls between two daemons, over each transport (_i is the transport). */
#include "tests/unit/link/link_fixture.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

static struct node *server, *client;

static void
open_pair(int transport)
{
    char url[128];

    url_make(url, transport, "server");
    server = node_start(url);
    url_make(url, transport, "client");
    client = node_here(url);
}

static void
close_pair(void)
{
    node_stop(client);
    node_stop(server);
}

START_TEST(a_call_is_answered_and_carries_its_context)
{
    struct outcome out;

    open_pair(_i);
    (void)call_to(client, server->url, METHOD_ECHO, "hello", &out);
    wait_count(client, &out.done, 1);
    ck_assert_int_eq(out.status, PLEX_OK);
    ck_assert_str_eq(out.text, "");
    ck_assert_uint_eq(out.len, 5);
    ck_assert_mem_eq(out.bytes, "hello", 5);
    ck_assert_str_eq(server->tenant, "acme");
    ck_assert_str_eq(server->request_id, "req-1");
    ck_assert(server->had_deadline);
    close_pair();
}
END_TEST

static void
on_count(void *arg, const struct plex_link_result *result)
{
    unsigned *done = arg;

    ck_assert_int_eq(result->status, PLEX_OK);
    (*done)++;
}

START_TEST(thousands_in_flight_arrive_in_order)
{
    enum { CALLS = 20000 };
    struct plex_context context = plex_context_none;
    unsigned done = 0;

    open_pair(_i);
    for (uint32_t i = 0; i < CALLS; i++) {
        const struct plex_link_request request = {
            .peer = server->url,
            .method = METHOD_ORDER,
            .context = &context,
            .payload = {(const uint8_t *)&i, sizeof i},
            .done = on_count,
            .arg = &done,
        };

        (void)plex_link_call(client->link, &request);
    }
    wait_count(client, &done, CALLS);
    ck_assert_uint_eq(done, CALLS);
    ck_assert_uint_eq(server->disorder, 0);
    close_pair();
}
END_TEST

START_TEST(a_failure_carries_status_text_and_payload)
{
    struct outcome out;

    open_pair(_i);
    (void)call_to(client, server->url, METHOD_FAIL, "", &out);
    wait_count(client, &out.done, 1);
    ck_assert_int_eq(out.status, PLEX_CONFLICT);
    ck_assert_str_eq(out.text, "no such luck");
    ck_assert_mem_eq(out.bytes, "seven", 5);
    ck_assert(!out.unknown);
    close_pair();
}
END_TEST

START_TEST(an_unknown_method_is_unsupported)
{
    struct outcome out;

    open_pair(_i);
    (void)call_to(client, server->url, METHOD_NONE, "", &out);
    wait_count(client, &out.done, 1);
    ck_assert_int_eq(out.status, PLEX_UNSUPPORTED);
    ck_assert(!out.unknown);
    close_pair();
}
END_TEST

static bool
all_abandoned(struct node *here, struct node *node, unsigned want)
{
    for (int i = 0; i < 1000; i++) {
        node_do(node, node_look);
        if (node->abandoned >= want)
            return true;
        run_ms(here, 5);
    }
    return false;
}

START_TEST(a_deadline_ends_the_call_and_tells_the_server)
{
    struct outcome out;
    uint64_t began;

    open_pair(_i);
    (void)call_to(client, server->url, METHOD_ECHO, "", &out);
    wait_count(client, &out.done, 1);
    began = plex_now();
    (void)call_with(client, server->url, METHOD_HOLD, "x", 50, false, &out);
    wait_count(client, &out.done, 1);
    ck_assert_int_eq(out.status, PLEX_TIMEOUT);
    ck_assert(out.unknown);
    ck_assert_uint_ge(plex_now() - began, 50 * 1000000U);
    wait_atomic(client, &server->held, 1);
    ck_assert(all_abandoned(client, server, 1));
    node_do(server, node_release); /* goes nowhere */
    (void)call_to(client, server->url, METHOD_ECHO, "y", &out);
    wait_count(client, &out.done, 1);
    ck_assert_int_eq(out.status, PLEX_OK);
    close_pair();
}
END_TEST

START_TEST(a_cancelled_call_is_abandoned_at_the_server)
{
    struct outcome out;
    uint64_t id;

    open_pair(_i);
    id = call_to(client, server->url, METHOD_HOLD, "x", &out);
    wait_atomic(client, &server->held, 1);
    plex_link_cancel(client->link, id);
    ck_assert_uint_eq(out.done, 0);
    plex_link_cancel(client->link, id); /* the second time is ignored */
    wait_count(client, &out.done, 1);
    ck_assert_int_eq(out.status, PLEX_CANCELLED);
    ck_assert(all_abandoned(client, server, 1));
    ck_assert_uint_eq(server->told, 1);
    node_do(server, node_release);
    run_ms(client, 20);
    ck_assert_uint_eq(out.done, 1);
    close_pair();
}
END_TEST

START_TEST(an_event_arrives_and_wants_no_answer)
{
    open_pair(_i);
    for (int i = 0; i < 3; i++)
        plex_link_event(client->link, server->url, METHOD_NOTE,
                        &plex_context_none, (struct plex_bytes){0});
    wait_atomic(client, &server->notes, 3);
    close_pair();
}
END_TEST

START_TEST(sixteen_mebibytes_pass_and_one_byte_more_does_not)
{
    enum { MAX = 16 << 20 };
    struct plex_context context = plex_context_none;
    struct outcome out = {0};
    struct plex_link_request request = {.context = &context,
                                        .method = METHOD_ECHO,
                                        .done = on_done,
                                        .arg = &out};
    uint8_t *big = plex_calloc(1, MAX + 1);

    open_pair(_i);
    big[0] = 'b';
    request.peer = server->url;
    request.payload = (struct plex_bytes){big, MAX};
    (void)plex_link_call(client->link, &request);
    wait_count(client, &out.done, 1);
    ck_assert_int_eq(out.status, PLEX_OK);
    ck_assert_uint_eq(out.len, MAX);
    ck_assert_uint_eq(out.bytes[0], 'b');
    out.done = 0;
    request.payload.len = MAX + 1;
    (void)plex_link_call(client->link, &request);
    wait_count(client, &out.done, 1);
    ck_assert_int_eq(out.status, PLEX_TOO_LARGE);
    close_pair();
    free(big);
}
END_TEST

START_TEST(an_instance_can_call_itself)
{
    struct outcome out;

    open_pair(_i);
    (void)call_to(client, client->url, METHOD_ECHO, "me", &out);
    wait_count(client, &out.done, 1);
    ck_assert_int_eq(out.status, PLEX_OK);
    ck_assert_mem_eq(out.bytes, "me", 2);
    close_pair();
}
END_TEST

START_TEST(closing_cancels_what_is_pending)
{
    struct outcome held, queued;

    open_pair(_i);
    (void)call_to(client, server->url, METHOD_HOLD, "x", &held);
    wait_atomic(client, &server->held, 1);
    (void)call_to(client, server->url, METHOD_HOLD, "x", &queued);
    node_stop(client);
    ck_assert_uint_eq(held.done, 1);
    ck_assert_int_eq(held.status, PLEX_CANCELLED);
    ck_assert(held.unknown);
    ck_assert_uint_eq(queued.done, 1);
    ck_assert_int_eq(queued.status, PLEX_CANCELLED);
    ck_assert(!queued.unknown);
    node_stop(server); /* with a held call unanswered */
}
END_TEST

START_TEST(a_draining_server_refuses_new_and_answers_old_requests)
{
    struct outcome old, fresh;

    open_pair(_i);
    (void)call_to(client, server->url, METHOD_HOLD, "x", &old);
    wait_atomic(client, &server->held, 1);
    node_do(server, node_drain);
    (void)call_to(client, server->url, METHOD_ECHO, "x", &fresh);
    wait_count(client, &fresh.done, 1);
    ck_assert_int_eq(fresh.status, PLEX_UNAVAILABLE);
    ck_assert(!fresh.unknown);
    node_do(server, node_release);
    wait_count(client, &old.done, 1);
    ck_assert_int_eq(old.status, PLEX_OK);
    close_pair();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("link");
    TCase *tcase = tcase_create("calls");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, a_call_is_answered_and_carries_its_context, 0,
                        3);
    tcase_add_loop_test(tcase, thousands_in_flight_arrive_in_order, 0, 3);
    tcase_add_loop_test(tcase, a_failure_carries_status_text_and_payload, 0, 3);
    tcase_add_loop_test(tcase, an_unknown_method_is_unsupported, 0, 3);
    tcase_add_loop_test(tcase, a_deadline_ends_the_call_and_tells_the_server, 0,
                        3);
    tcase_add_loop_test(tcase, a_cancelled_call_is_abandoned_at_the_server, 0,
                        3);
    tcase_add_loop_test(tcase, an_event_arrives_and_wants_no_answer, 0, 3);
    tcase_add_loop_test(
        tcase, sixteen_mebibytes_pass_and_one_byte_more_does_not, 0, 3);
    tcase_add_loop_test(tcase, an_instance_can_call_itself, 0, 3);
    tcase_add_loop_test(tcase, closing_cancels_what_is_pending, 0, 3);
    tcase_add_loop_test(
        tcase, a_draining_server_refuses_new_and_answers_old_requests, 0, 3);
    suite_add_tcase(suite, tcase);
    suite_add_tcase(suite, tcase_link_peer());
    suite_add_tcase(suite, tcase_link_restarts());
    suite_add_tcase(suite, tcase_link_bad());
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
