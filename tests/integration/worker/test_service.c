#include "tests/integration/worker/cluster.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static const char inc[] = "{\"action\":\"increment\"}";
static const char get[] = "{\"action\":\"get\"}";

START_TEST(counters_count_with_and_without_a_journal)
{
    const struct cluster_call durable = {.key = "a", .payload = inc};
    const struct cluster_call quick = {
        .type = "volatile", .key = "a", .payload = inc};
    struct cluster_reply reply;

    cluster_start(1);
    for (int i = 1; i <= 3; i++) {
        char expected[32];

        (void)snprintf(expected, sizeof expected, "{\"count\":%d}", i);
        reply = cluster_call(&durable);
        ck_assert_msg(reply.status == PLEX_OK, "%s", reply.text);
        ck_assert_str_eq(reply.payload, expected);
        ck_assert(reply.recorded);
        reply = cluster_call(&quick);
        ck_assert_str_eq(reply.payload, expected);
        ck_assert(!reply.recorded);
    }
    reply = cluster_call(&(struct cluster_call){
        .key = "a", .payload = "{\"action\":\"divide\"}"});
    ck_assert_uint_eq(reply.http_status, 400);
    cluster_stop();
}
END_TEST

START_TEST(a_retry_is_answered_from_the_record_even_by_another_life)
{
    const struct cluster_call call = {
        .key = "a", .payload = inc, .id = "once", .hash = 5};
    struct cluster_call other = call;
    struct cluster_reply reply;

    cluster_start(1);
    (void)cluster_call(&call);
    reply = cluster_call(&call);
    ck_assert(reply.replayed);
    cluster_worker_kill(0);
    cluster_worker_start(0);
    reply = cluster_call(&call);
    ck_assert_msg(reply.status == PLEX_OK, "%s", reply.text);
    ck_assert(reply.replayed && reply.recorded);
    ck_assert_str_eq(reply.payload, "{\"count\":1}");
    other.hash = 6;
    ck_assert_int_eq(cluster_call(&other).status, PLEX_MISMATCH);
    cluster_stop();
}
END_TEST

START_TEST(another_worker_takes_over_what_a_dead_one_had)
{
    struct cluster_call call = {.payload = inc};
    char key[16];

    cluster_start(2);
    for (int i = 0; i < 8; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        call.key = key;
        ck_assert_int_eq(cluster_call(&call).status, PLEX_OK);
    }
    cluster_worker_kill(0);
    for (int i = 0; i < 8; i++) {
        struct cluster_reply reply;

        (void)snprintf(key, sizeof key, "k%d", i);
        call.key = key;
        reply = cluster_call(&call);
        ck_assert_msg(reply.status == PLEX_OK, "%s", reply.text);
        ck_assert_str_eq(reply.payload, "{\"count\":2}");
    }
    cluster_stop();
}
END_TEST

START_TEST(a_drained_worker_hands_its_shards_over)
{
    struct cluster_call call = {.payload = inc};
    char key[16];

    cluster_start(2);
    for (int i = 0; i < 8; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        call.key = key;
        ck_assert_int_eq(cluster_call(&call).status, PLEX_OK);
    }
    cluster_worker_stop(1);
    for (int i = 0; i < 8; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        call.key = key;
        ck_assert_str_eq(cluster_call(&call).payload, "{\"count\":2}");
    }
    cluster_stop();
}
END_TEST

START_TEST(the_wrong_worker_names_the_table_it_knows)
{
    struct cluster_call call = {.payload = inc};
    struct cluster_reply reply;
    int wrong = 0;
    char key[16];

    cluster_start(2);
    /* Shards may still be on the move: which one is wrong is not fixed. */
    for (int i = 0; i < 16; i++) {
        (void)snprintf(key, sizeof key, "w%d", i / 2);
        call.key = key;
        if (i % 2 == 0)
            (void)cluster_call(&call);
        reply = cluster_try(&call, i % 2);
        if (reply.status != PLEX_NOT_OWNER)
            continue;
        wrong++;
        ck_assert_uint_gt(reply.table_version, 0);
    }
    ck_assert_int_gt(wrong, 0);
    cluster_stop();
}
END_TEST

START_TEST(delayed_casts_are_delivered_also_by_the_next_life)
{
    const struct cluster_call cast = {
        .key = "a", .payload = inc, .kind = WORK_CAST, .delay_ms = 300};
    const struct cluster_call look = {.key = "a", .payload = get};
    struct cluster_call late = cast;

    cluster_start(1);
    ck_assert_uint_eq(cluster_call(&cast).http_status, 202);
    ck_assert_str_eq(cluster_call(&look).payload, "{\"count\":0}");
    cluster_until(&look, "{\"count\":1}");
    late.delay_ms = 500;
    ck_assert_uint_eq(cluster_call(&late).http_status, 202);
    cluster_worker_kill(0);
    cluster_worker_start(0);
    cluster_until(&look, "{\"count\":2}");
    cluster_stop();
}
END_TEST

START_TEST(reads_go_on_without_the_journal_and_writes_come_back_with_it)
{
    const struct cluster_call write = {.key = "a", .payload = inc};
    const struct cluster_call look = {.key = "a", .payload = get};

    cluster_start(1);
    (void)cluster_call(&write);
    cluster_journal_kill();
    ck_assert_str_eq(cluster_try(&look, 0).payload, "{\"count\":1}");
    cluster_journal_start();
    ck_assert_str_eq(cluster_call(&write).payload, "{\"count\":2}");
    ck_assert_str_eq(cluster_call(&look).payload, "{\"count\":2}");
    cluster_stop();
}
END_TEST

START_TEST(a_stopped_or_missing_type_is_refused_with_the_reason)
{
    const struct cluster_call call = {.key = "a", .payload = inc};
    struct cluster_reply reply;
    uint64_t until;

    cluster_start(1);
    (void)cluster_call(&call);
    reply = cluster_call(
        &(struct cluster_call){.type = "absent", .key = "a", .payload = inc});
    ck_assert_int_eq(reply.status, PLEX_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(reply.text, "absent.so"));
    cluster_application(304); /* stop */
    until = plex_now() + UINT64_C(5000000000);
    do
        reply = cluster_try(&call, 0);
    while (reply.status == PLEX_OK && plex_now() < until);
    ck_assert_int_eq(reply.status, PLEX_UNAVAILABLE);
    ck_assert_str_eq(reply.text, "application stopped");
    cluster_application(305); /* start */
    ck_assert_int_eq(cluster_call(&call).status, PLEX_OK);
    cluster_application(306); /* undeploy */
    do
        reply = cluster_try(&call, 0);
    while (reply.status == PLEX_OK && plex_now() < until);
    ck_assert_int_eq(reply.status, PLEX_NOT_FOUND);
    cluster_stop();
}
END_TEST

START_TEST(strangers_and_broken_messages_are_refused)
{
    static const uint8_t broken[] = {0x0a, 0xff, 0xff, 0x01};
    struct cluster_call call = {.key = "a", .payload = inc, .tenant = "evil"};

    cluster_start(1);
    ck_assert_int_eq(cluster_try(&call, 0).status, PLEX_DENIED);
    call.tenant = NULL;
    call.kind = WORK_TIMER;
    ck_assert_int_eq(cluster_try(&call, 0).status, PLEX_INVALID);
    call.kind = WORK_CALL;
    call.key = "a/b";
    ck_assert_int_eq(cluster_try(&call, 0).status, PLEX_INVALID);
    ck_assert_int_eq(cluster_raw((struct plex_bytes){broken, sizeof broken}),
                     PLEX_INVALID);
    ck_assert_int_eq(cluster_raw((struct plex_bytes){0}), PLEX_INVALID);
    cluster_stop();
}
END_TEST

START_TEST(actors_are_listed_and_inspected)
{
    const struct cluster_call call = {.key = "a", .payload = inc};
    enum work_actor_state state;
    uint64_t sequence;
    char first[256];

    cluster_start(1);
    (void)cluster_call(&call);
    (void)cluster_call(&call);
    ck_assert_uint_eq(cluster_list("counter", first), 1);
    ck_assert_str_eq(first, "default/default/counter/a");
    ck_assert_uint_eq(cluster_list("volatile", first), 0);
    ck_assert_int_eq(cluster_inspect("counter", "a", &state, &sequence),
                     PLEX_OK);
    ck_assert_int_eq(state, WORK_ACTOR_ACTIVE);
    ck_assert_uint_eq(sequence, 2);
    ck_assert_int_eq(cluster_inspect("counter", "none", &state, &sequence),
                     PLEX_NOT_FOUND);
    cluster_worker_kill(0);
    cluster_worker_start(0);
    (void)cluster_call(&(struct cluster_call){.key = "b", .payload = inc});
    ck_assert_int_eq(cluster_inspect("counter", "a", &state, &sequence),
                     PLEX_OK);
    ck_assert_int_eq(state, WORK_ACTOR_INACTIVE);
    ck_assert_uint_eq(sequence, 2);
    cluster_stop();
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("worker service");
    TCase *tests = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, counters_count_with_and_without_a_journal);
    tcase_add_test(tests,
                   a_retry_is_answered_from_the_record_even_by_another_life);
    tcase_add_test(tests, another_worker_takes_over_what_a_dead_one_had);
    tcase_add_test(tests, a_drained_worker_hands_its_shards_over);
    tcase_add_test(tests, the_wrong_worker_names_the_table_it_knows);
    tcase_add_test(tests, delayed_casts_are_delivered_also_by_the_next_life);
    tcase_add_test(
        tests, reads_go_on_without_the_journal_and_writes_come_back_with_it);
    tcase_add_test(tests, a_stopped_or_missing_type_is_refused_with_the_reason);
    tcase_add_test(tests, strangers_and_broken_messages_are_refused);
    tcase_add_test(tests, actors_are_listed_and_inspected);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
