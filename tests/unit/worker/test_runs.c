/* Turns whose handler waits: every stretch, every crash. */
#include "tests/unit/worker/runs.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(a_handler_that_does_not_wait_writes_one_turn)
{
    struct runs *runs = runs_create();
    const uint64_t call = runs_post(runs, "a", "i i", "m1");

    runs_go(runs);
    ck_assert_str_eq(runs->reply[call], "2");
    ck_assert_uint_eq(runs->actors[0].seq, 1);
    ck_assert_int_eq(runs_state(runs, "a"), 2);
    runs_free(runs);
}
END_TEST

START_TEST(a_run_of_one_effect_writes_one_turn)
{
    struct runs *runs = runs_create();
    const uint64_t call = runs_post(runs, "a", "e i", "m1");

    runs_go(runs);
    ck_assert_str_eq(runs->reply[call], "1");
    ck_assert_uint_eq(runs->actors[0].seq, 1);
    ck_assert_int_eq(runs->effects[0], 1);
    ck_assert_uint_eq(runs_pendings(runs), 0);
    runs_free(runs);
}
END_TEST

/* The worker remembers one answer, the journal all of them. */
START_TEST(a_run_that_was_answered_long_ago_is_not_carried_out_again)
{
    struct runs *runs = runs_create();
    uint64_t first, again, other;
    int effects;

    runs->recent_max = 1;
    runs_crash(runs);
    runs_go(runs);
    first = runs_post(runs, "a", "e cb e i", "m1");
    runs_go(runs);
    ck_assert_str_eq(runs->reply[first], "1");
    (void)runs_post(runs, "a", "i", "m2");
    runs_go(runs);
    effects = runs->effects[0];
    again = runs_post(runs, "a", "e cb e i", "m1");
    runs_go(runs);
    ck_assert(runs->answered[again]);
    ck_assert_str_eq(runs->reply[again], "1");
    ck_assert_int_eq(runs->effects[0], effects);
    ck_assert_int_eq(runs_state(runs, "b"), 1);
    ck_assert_uint_eq(runs->lookups, 1);
    ck_assert_uint_eq(runs->abandoned, 1);
    other = runs_post(runs, "a", "e e i", "m3");
    runs_go(runs);
    ck_assert_str_eq(runs->reply[other], "3");
    ck_assert_uint_eq(runs->lookups, 2);
    runs->fresh = true; /* nobody has to ask for a new id */
    other = runs_post(runs, "a", "e i", "m4");
    runs_go(runs);
    ck_assert_str_eq(runs->reply[other], "4");
    ck_assert_uint_eq(runs->lookups, 2);
    runs->fresh = false;
    again = runs_post(runs, "a", "s50 i", "m2");
    runs_go(runs); /* it never slept the first time */
    ck_assert_str_eq(runs->reply[again], "2");
    runs_free(runs);
}
END_TEST

START_TEST(an_id_that_was_used_long_ago_by_another_request_is_refused)
{
    struct runs *runs = runs_create();
    uint64_t again;
    int effects;

    runs->recent_max = 1;
    runs_crash(runs);
    runs_go(runs);
    (void)runs_post(runs, "a", "e cb e i", "m1");
    runs_go(runs);
    (void)runs_post(runs, "a", "i", "m2");
    runs_go(runs);
    effects = runs->effects[0];
    runs->hash = 6;
    again = runs_post(runs, "a", "e e i", "m1");
    runs_go(runs);
    ck_assert(runs->answered[again]);
    ck_assert_int_eq(runs->status[again], PLEX_MISMATCH);
    ck_assert_int_eq(runs->effects[0], effects);
    again = runs_post(runs, "a", "i", "m3"); /* it goes on */
    runs_go(runs);
    ck_assert_str_eq(runs->reply[again], "3");
    runs_free(runs);
}
END_TEST

/* Two questions are out at most, and what did not fit is asked again. */
START_TEST(many_runs_ask_for_older_answers_in_one_question)
{
    static const char *const keys[] = {"a", "b", "c"};
    struct runs *runs = runs_create();
    uint64_t calls[3];
    char id[8];

    runs->recent_max = 1;
    runs_crash(runs);
    runs_go(runs);
    for (int i = 0; i < 6; i++) {
        (void)snprintf(id, sizeof id, "m%d", i);
        (void)runs_post(runs, keys[i % 3], i < 3 ? "e e i" : "i", id);
        runs_go(runs);
    }
    ck_assert_uint_eq(runs->lookups, 0);
    runs->one_answer = true;
    for (int i = 0; i < 3; i++) {
        (void)snprintf(id, sizeof id, "m%d", i);
        calls[i] = runs_post(runs, keys[i], "e e i", id);
    }
    runs_go(runs);
    for (int i = 0; i < 3; i++)
        ck_assert_str_eq(runs->reply[calls[i]], "1");
    ck_assert_uint_eq(runs->lookups, 3);
    ck_assert_uint_eq(runs->asked, 3 + 2 + 1);
    runs_free(runs);
}
END_TEST

START_TEST(each_effect_waits_until_the_one_before_it_is_durable)
{
    struct runs *runs = runs_create();
    const uint64_t call = runs_post(runs, "a", "e e e i", "m1");

    runs_go(runs);
    ck_assert_str_eq(runs->reply[call], "1");
    ck_assert_uint_eq(runs->actors[0].seq, 3);
    ck_assert_uint_eq(runs_pendings(runs), 0);
    runs_free(runs);
}
END_TEST

START_TEST(sleeps_calls_and_promises_go_on_when_their_result_comes)
{
    struct runs *runs = runs_create();
    const uint64_t call = runs_post(runs, "a", "s50 cb p i", "m1");
    uint64_t resolve;

    runs_go(runs);
    ck_assert(!runs->answered[call]);
    ck_assert_str_eq(runs->waits_for, "s50");
    runs_wait(runs, 100);
    ck_assert_int_eq(runs_state(runs, "b"), 1);
    ck_assert_str_eq(runs->waits_for, "p");
    ck_assert(runs_is_open(runs, "a"));
    resolve = runs_resolve(runs, "a", "promise:2", "yes");
    runs_go(runs);
    ck_assert_int_eq(runs->status[resolve], PLEX_OK);
    ck_assert_str_eq(runs->reply[call], "1");
    ck_assert_uint_eq(runs_pendings(runs), 0);
    runs_free(runs);
}
END_TEST

START_TEST(other_messages_wait_until_the_run_is_closed)
{
    struct runs *runs = runs_create();
    const uint64_t first = runs_post(runs, "a", "i s50 i", "m1");
    const uint64_t second = runs_post(runs, "a", "i", "m2");

    runs_go(runs);
    ck_assert(!runs->answered[second]);
    runs_wait(runs, 100);
    ck_assert_str_eq(runs->reply[first], "2");
    ck_assert_str_eq(runs->reply[second], "3");
    runs_free(runs);
}
END_TEST

START_TEST(calls_in_a_circle_fail_at_once_and_name_it)
{
    struct runs *runs = runs_create();
    const uint64_t call = runs_post(runs, "a", "kb i", "m1");

    for (int i = 0; i < 5; i++) /* without a timeout's help */
        runs_wait(runs, 1);
    ck_assert(runs->answered[call]);
    ck_assert_str_eq(runs->reply[call], "1");
    ck_assert_int_eq(runs_state(runs, "b"), 1); /* it went on as well */
    ck_assert_str_eq(runs->bad,
                     "calls in a circle: flow/a -> flow/b -> flow/a, which "
                     "waits for this very call");
    ck_assert_uint_eq(runs_pendings(runs), 0);
    runs_free(runs);
}
END_TEST

START_TEST(a_call_to_itself_is_a_circle)
{
    struct runs *runs = runs_create();
    const uint64_t call = runs_post(runs, "a", "ca i", "m1");

    for (int i = 0; i < 5; i++)
        runs_wait(runs, 1);
    ck_assert(runs->answered[call]);
    ck_assert_str_eq(runs->reply[call], "1");
    ck_assert_ptr_nonnull(strstr(runs->bad, "flow/a -> flow/a, which"));
    runs_free(runs);
}
END_TEST

START_TEST(a_circle_is_found_after_a_crash_too)
{
    for (size_t at = 1; at < 40; at++) {
        struct runs *runs = runs_create();

        runs->crash_at = runs->actions + at;
        (void)runs_post(runs, "a", "kb i", "m1");
        for (int i = 0; i < 50; i++)
            runs_wait(runs, 100);
        (void)runs_post(runs, "a", "kb i", "m1"); /* asked again */
        for (int i = 0; i < 50; i++)
            runs_wait(runs, 100);
        ck_assert_int_eq(runs_state(runs, "a"), 1);
        ck_assert_ptr_nonnull(strstr(runs->bad, "calls in a circle"));
        ck_assert_uint_eq(runs_pendings(runs), 0);
        runs_free(runs);
    }
}
END_TEST

START_TEST(a_call_to_an_actor_whose_run_is_another_one_waits)
{
    struct runs *runs = runs_create();
    uint64_t other;

    /* b calls a, which does something else: no circle, so it waits. */
    other = runs_post(runs, "a", "s200 i", "m1");
    runs_go(runs);
    (void)runs_post(runs, "b", "ca i", "m2");
    runs_wait(runs, 100);
    ck_assert(!runs->answered[other]);
    ck_assert_str_eq(runs->bad, "");
    for (int i = 0; i < 5; i++)
        runs_wait(runs, 100);
    ck_assert_str_eq(runs->reply[other], "1");
    ck_assert_int_eq(runs_state(runs, "a"), 2);
    ck_assert_int_eq(runs_state(runs, "b"), 1);
    runs_free(runs);
}
END_TEST

START_TEST(an_open_run_does_not_keep_an_activation_waiting)
{
    struct runs *runs = runs_create();
    const struct work_message activate = {
        .to = {"acme", "default", "flow", "a"},
        .kind = WORK_ACTIVATE,
        .method = "",
        .path = "",
        .subpath = "",
        .query = "",
        .content_type = "",
        .sender = "",
        .timer = ""};

    (void)runs_post(runs, "a", "s5000 i", "m1");
    runs_go(runs);
    runs_crash(runs);
    runs_go(runs);
    work_core_deliver(runs->core, runs->t, ++runs->calls, &plex_context_none,
                      &activate);
    runs_go(runs);
    ck_assert(runs->answered[runs->calls]);
    ck_assert_int_eq(runs->status[runs->calls], PLEX_OK);
    ck_assert(runs_is_open(runs, "a"));
    runs_free(runs);
}
END_TEST

START_TEST(a_result_that_nobody_waits_for_is_refused)
{
    struct runs *runs = runs_create();
    uint64_t resolve;

    (void)runs_post(runs, "a", "i", "m1");
    runs_go(runs);
    resolve = runs_resolve(runs, "a", "promise:0", "yes");
    runs_go(runs);
    ck_assert_int_eq(runs->status[resolve], PLEX_CONFLICT);
    runs_free(runs);
}
END_TEST

START_TEST(a_run_that_fails_keeps_nothing_of_the_state)
{
    struct runs *runs = runs_create();
    uint64_t call;

    (void)runs_post(runs, "a", "i", "m1");
    runs_go(runs);
    call = runs_post(runs, "a", "i s50 i f", "m2");
    runs_wait(runs, 100);
    ck_assert(runs->failed[call]);
    ck_assert_int_eq(runs_state(runs, "a"), 1);
    ck_assert_uint_eq(runs_pendings(runs), 0);
    runs_free(runs);
}
END_TEST

START_TEST(a_waiting_run_without_a_caller_costs_no_memory_and_comes_back)
{
    struct runs *runs = runs_create();
    struct work_core_stats stats;

    (void)runs_post(runs, "a", "e s5000 i", "m1");
    runs_go(runs);
    runs_crash(runs); /* the caller goes with the worker */
    runs_wait(runs, 2000);
    work_core_stats(runs->core, &stats);
    ck_assert_uint_eq(stats.activations, 0);
    ck_assert_uint_eq(runs->abandoned, 1);
    runs_wait(runs, 4000);
    ck_assert_int_eq(runs_state(runs, "a"), 1);
    ck_assert_int_eq(runs->effects[0], 1);
    runs_free(runs);
}
END_TEST

START_TEST(who_asks_again_after_a_crash_gets_the_reply_of_the_run)
{
    struct runs *runs = runs_create();
    uint64_t again;

    (void)runs_post(runs, "a", "e s50 i", "m1");
    runs_go(runs);
    runs_crash(runs);
    runs_go(runs);
    again = runs_post(runs, "a", "e s50 i", "m1");
    runs_wait(runs, 100);
    ck_assert_int_eq(runs->status[again], PLEX_OK);
    ck_assert_str_eq(runs->reply[again], "1");
    ck_assert_int_eq(runs->effects[0], 1);
    ck_assert_int_eq(runs_state(runs, "a"), 1);
    runs_free(runs);
}
END_TEST

/* One script with the worker dying at action number `at`. True while there was
 * such an action. The caller asks again with the same id until it is answered.
 */
static bool
crashed_at(const char *script, size_t at, bool after_write, int effects,
           const char *reply)
{
    struct runs *runs = runs_create();
    uint64_t call = 0;
    bool crashed;

    runs->actions = 0;
    runs->crash_at = at;
    runs->lost_append = after_write;
    for (int i = 0; i < 50 && !(call != 0 && runs->answered[call] &&
                                runs->status[call] == PLEX_OK);
         i++) {
        const size_t crashes = runs->crashes;

        if (call == 0 || runs->answered[call])
            call = runs_post(runs, "a", script, "m1");
        runs_wait(runs, 100);
        if (runs_is_open(runs, "a"))
            (void)runs_resolve(runs, "a", "promise:3", "yes");
        runs_wait(runs, 100);
        if (runs->crashes != crashes)
            call = 0; /* the caller's connection went with the worker */
    }
    crashed = runs->crashes > 0;
    ck_assert_msg(call != 0 && runs->answered[call], "%s, crash at %zu: stuck",
                  script, at);
    ck_assert_str_eq(runs->reply[call], reply);
    ck_assert_msg(runs_pendings(runs) == 0, "crash at %zu: %zu pendings left",
                  at, runs_pendings(runs));
    for (int i = 0; i < effects; i++) {
        ck_assert_msg(runs->effects[i] >= 1 && runs->effects[i] <= 2,
                      "crash at %zu: effect %d ran %d times", at, i,
                      runs->effects[i]);
        ck_assert_msg(
            runs->recorded[i] == 0 || runs->recorded[i] == runs->effects[i],
            "crash at %zu: effect %d ran after it was recorded", at, i);
    }
    runs_free(runs);
    return crashed;
}

START_TEST(a_crash_before_any_action_changes_nothing_that_was_recorded)
{
    size_t at = 1;

    while (crashed_at("e e s50 p i cb i", at, false, 2, "2"))
        at++;
    ck_assert_uint_gt(at, 15);
}
END_TEST

START_TEST(a_crash_after_any_write_changes_nothing_that_was_recorded)
{
    for (size_t at = 1; at < 60; at++)
        (void)crashed_at("e e s50 p i cb i", at, true, 2, "2");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("worker runs");
    TCase *tests = tcase_create("runs");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_handler_that_does_not_wait_writes_one_turn);
    tcase_add_test(tests, a_run_of_one_effect_writes_one_turn);
    tcase_add_test(tests, each_effect_waits_until_the_one_before_it_is_durable);
    tcase_add_test(tests,
                   sleeps_calls_and_promises_go_on_when_their_result_comes);
    tcase_add_test(tests,
                   a_run_that_was_answered_long_ago_is_not_carried_out_again);
    tcase_add_test(tests,
                   an_id_that_was_used_long_ago_by_another_request_is_refused);
    tcase_add_test(tests, many_runs_ask_for_older_answers_in_one_question);
    tcase_add_test(tests, other_messages_wait_until_the_run_is_closed);
    tcase_add_test(tests, calls_in_a_circle_fail_at_once_and_name_it);
    tcase_add_test(tests, a_call_to_itself_is_a_circle);
    tcase_add_test(tests, a_circle_is_found_after_a_crash_too);
    tcase_add_test(tests, a_call_to_an_actor_whose_run_is_another_one_waits);
    tcase_add_test(tests, an_open_run_does_not_keep_an_activation_waiting);
    tcase_add_test(tests, a_result_that_nobody_waits_for_is_refused);
    tcase_add_test(tests, a_run_that_fails_keeps_nothing_of_the_state);
    tcase_add_test(
        tests, a_waiting_run_without_a_caller_costs_no_memory_and_comes_back);
    tcase_add_test(tests,
                   who_asks_again_after_a_crash_gets_the_reply_of_the_run);
    tcase_add_test(tests,
                   a_crash_before_any_action_changes_nothing_that_was_recorded);
    tcase_add_test(tests,
                   a_crash_after_any_write_changes_nothing_that_was_recorded);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
