/* Timers and reminders of an actor, over their state and clock alone. */
#include "tests/unit/worker/timer_bench.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOUR = 3600000 };

static struct timer_bench *bench;

static void
setup(void)
{
    bench = timer_bench_create();
}

static void
teardown(void)
{
    timer_bench_free(bench);
}

static void
ask(const char *request, unsigned status, const char *pattern)
{
    const unsigned got = timer_bench_ask(bench, request, strlen(request));

    ck_assert_msg(got == status, "%u: %s", got, timer_bench_reply(bench));
    ck_assert_msg(strstr(timer_bench_reply(bench), pattern) != NULL, "%s",
                  timer_bench_reply(bench));
}

/* A registration of timer t with these fields. */
static void
add(const char *fields, unsigned status, const char *pattern)
{
    char text[600];

    (void)snprintf(text, sizeof text,
                   "{\"action\":\"timer.register\",\"timer_name\":\"t\",%s}",
                   fields);
    ask(text, status, pattern);
}

static const char get[] = "{\"action\":\"timer.get\",\"timer_name\":\"t\"}";

START_TEST(an_interval_fires_on_its_times_until_its_last)
{
    add("\"interval\":\"10s\",\"max_occurrences\":3", 200,
        "\"is_active\":true");
    ck_assert_uint_eq(timer_bench_pass(bench, 9999, 10), 0);
    ck_assert_uint_eq(timer_bench_pass(bench, 1, 10), 1);
    ck_assert_ptr_nonnull(strstr(timer_bench_newest(bench),
                                 "\"action\":\"timer\",\"timer\":\"t\","
                                 "\"payload\":null"));
    ck_assert_uint_eq(timer_bench_pass(bench, HOUR, 100), 2);
    ck_assert_uint_eq(timer_bench_sent(bench), 3);
    ask(get, 200, "\"is_active\":false,\"fire_count\":3,\"missed\":0");
}
END_TEST

START_TEST(of_what_was_missed_the_last_one_comes)
{
    add("\"interval_ms\":1000", 200, "");
    timer_bench_sleep(bench, 5500);
    ck_assert_uint_eq(timer_bench_pass(bench, 0, 10), 1);
    ask(get, 200, "\"fire_count\":1,\"missed\":4");
    ck_assert_uint_eq(timer_bench_pass(bench, 499, 10), 0);
    ck_assert_uint_eq(timer_bench_pass(bench, 1, 10), 1);
}
END_TEST

START_TEST(of_a_cron_too)
{
    add("\"cron\":\"*/10 * * * *\",\"callback_data\":{\"a\":1}", 200, "");
    timer_bench_sleep(bench, 2 * HOUR);
    ck_assert_uint_eq(timer_bench_pass(bench, 0, 10), 1);
    ask(get, 200, "\"fire_count\":1,\"missed\":11");
    ck_assert_ptr_nonnull(
        strstr(timer_bench_newest(bench), "\"payload\":{\"a\":1}"));
    timer_bench_sleep(bench, UINT64_C(9000) * HOUR);
    ck_assert_uint_eq(timer_bench_pass(bench, 0, 10), 1);
}
END_TEST

START_TEST(once_is_once_also_when_it_is_late)
{
    add("\"first_fire_time_ms\":1000", 200, "");
    ck_assert_uint_eq(timer_bench_pass(bench, 0, 10), 1);
    ask(get, 200, "\"is_active\":false,\"fire_count\":1");
    add("\"delay\":\"1h\"", 200, "\"is_active\":true,\"fire_count\":0");
    ck_assert_uint_eq(timer_bench_pass(bench, HOUR - 1, 10), 0);
    timer_bench_sleep(bench, UINT64_C(800) * HOUR);
    ck_assert_uint_eq(timer_bench_pass(bench, 0, 10), 1);
    ck_assert_uint_eq(timer_bench_pass(bench, HOUR, 10), 0);
}
END_TEST

START_TEST(a_first_one_at_once_is_not_late)
{
    add("\"delay_ms\":0,\"interval_ms\":1000", 200, "");
    ck_assert_uint_eq(timer_bench_pass(bench, 0, 10), 1);
    ask(get, 200, "\"fire_count\":1,\"missed\":0");
    ck_assert_uint_eq(timer_bench_pass(bench, 1000, 10), 1);
}
END_TEST

START_TEST(an_interval_from_the_past_goes_on_with_its_next_time)
{
    char fields[100];

    (void)snprintf(fields, sizeof fields,
                   "\"interval_ms\":1000,\"first_fire_time_ms\":%llu",
                   (unsigned long long)timer_bench_now(bench) - 2500);
    add(fields, 200, "");
    ck_assert_uint_eq(timer_bench_pass(bench, 499, 10), 0);
    ck_assert_uint_eq(timer_bench_pass(bench, 1, 10), 1);
    ask(get, 200, "\"missed\":0");
}
END_TEST

START_TEST(nothing_is_due_at_its_end)
{
    char fields[100];

    (void)snprintf(fields, sizeof fields,
                   "\"interval_ms\":1000,\"end_at_ms\":%llu",
                   (unsigned long long)timer_bench_now(bench) + 3000);
    add(fields, 200, "");
    ck_assert_uint_eq(timer_bench_pass(bench, HOUR, 10), 2);
    ask(get, 200, "\"is_active\":false");
}
END_TEST

START_TEST(what_is_cancelled_never_comes)
{
    add("\"interval_ms\":1000", 200, "");
    ask("{\"action\":\"timer.unregister\",\"timer_name\":\"t\"}", 200, "{}");
    ck_assert_uint_eq(timer_bench_pass(bench, HOUR, 10), 0);
    ask(get, 404, "does not exist");
}
END_TEST

START_TEST(what_is_refused_leaves_what_was)
{
    add("\"interval_ms\":1000", 200, "");
    ask("{\"action\":\"timer.replace\",\"timer_name\":\"t\",\"delay\":\"1h\","
        "\"end_at_ms\":1}",
        400, "never be due");
    ask("{\"action\":\"timer.replace\",\"timer_name\":\"t\","
        "\"first_fire_time\":\"2099-01-01T00:00:00Z\"}",
        400, "over ten years");
    add("\"delay\":\"1h\"", 409, "PUT replaces it");
    ck_assert_uint_eq(timer_bench_pass(bench, 3000, 10), 3);
}
END_TEST

START_TEST(of_those_that_have_ended_the_last_hundred_are_shown)
{
    char text[200];

    for (unsigned i = 0; i < 150; i++) {
        (void)snprintf(text, sizeof text,
                       "{\"action\":\"reminder.register\",\"reminder_name\":"
                       "\"%03u\",\"delay_ms\":%u}",
                       i, i);
        ask(text, 200, "");
    }
    ck_assert_uint_eq(timer_bench_pass(bench, HOUR, 1000), 150);
    ask("{\"action\":\"reminder.get\",\"reminder_name\":\"049\"}", 404, "");
    ask("{\"action\":\"reminder.get\",\"reminder_name\":\"050\"}", 200, "");
    ask("{\"action\":\"reminder.list\",\"page_size\":60}", 200,
        "\"nextPageToken\":\"109\"");
    ask("{\"action\":\"reminder.list\",\"page_token\":\"148\"}", 200,
        "{\"reminders\":[{\"reminder_name\":\"149\"");
    ask("{\"action\":\"timer.list\"}", 200, "{\"timers\":[]}");
}
END_TEST

START_TEST(more_than_an_actor_may_have_are_refused)
{
    char text[200];

    for (unsigned i = 0; i <= 300; i++) {
        (void)snprintf(text, sizeof text,
                       "{\"action\":\"timer.register\",\"timer_name\":\"%u\","
                       "\"delay\":\"1h\"}",
                       i);
        ask(text, i < 300 ? 200 : 429, "");
    }
    ask("{\"action\":\"timer.replace\",\"timer_name\":\"7\",\"delay\":\"2h\"}",
        200, "");
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("timers");
    TCase *t = tcase_create("timers");
    SRunner *runner = srunner_create(s);
    int failed;

    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, an_interval_fires_on_its_times_until_its_last);
    tcase_add_test(t, of_what_was_missed_the_last_one_comes);
    tcase_add_test(t, of_a_cron_too);
    tcase_add_test(t, once_is_once_also_when_it_is_late);
    tcase_add_test(t, a_first_one_at_once_is_not_late);
    tcase_add_test(t, an_interval_from_the_past_goes_on_with_its_next_time);
    tcase_add_test(t, nothing_is_due_at_its_end);
    tcase_add_test(t, what_is_cancelled_never_comes);
    tcase_add_test(t, what_is_refused_leaves_what_was);
    tcase_add_test(t, of_those_that_have_ended_the_last_hundred_are_shown);
    tcase_add_test(t, more_than_an_actor_may_have_are_refused);
    suite_add_tcase(s, t);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
