/* What a pool does, over its state alone. */
#include "services/worker/builtin_pool.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static json_t *pool;
static struct plex_err err;
static uint64_t now;

static void
make(const char *json)
{
    json_t *request = json_loads(json, 0, NULL);

    json_decref(pool);
    now = 1000000;
    pool = work_pool_create("p", request, now, &err);
    json_decref(request);
}

static void
teardown(void)
{
    json_decref(pool);
    pool = NULL;
}

/* Time passes; the pool looks when it wants to. */
static void
pass(uint64_t ms)
{
    for (const uint64_t end = now + ms; now < end;) {
        const uint64_t due = work_pool_due(pool, now);

        now = due < end ? due : end;
        work_pool_look(pool, now);
    }
}

static enum plex_status
borrow(const char *id, bool waits)
{
    json_t *out = NULL;
    enum plex_status status;

    work_pool_look(pool, now);
    status = work_pool_checkout(pool, id, waits, now, &out, &err);
    json_decref(out);
    return status;
}

static const char *
key_of(const char *id)
{
    static char key[64];
    json_t *out = NULL;

    key[0] = '\0';
    if (work_pool_checkout(pool, id, false, now, &out, &err) == PLEX_OK)
        (void)snprintf(key, sizeof key, "%s",
                       json_string_value(json_object_get(out, "actor_key")));
    json_decref(out);
    return key;
}

static json_int_t
stat_of(const char *field)
{
    json_t *stats = work_pool_stats(pool, now);
    const json_int_t value = json_integer_value(json_object_get(stats, field));

    json_decref(stats);
    return value;
}

START_TEST(a_member_is_lent_to_one_at_a_time)
{
    make("{\"actor_type\":\"t\",\"min\":2,\"max\":2}");
    ck_assert_str_eq(key_of("a"), "p~1");
    ck_assert_str_eq(key_of("a"), "p~1"); /* the same checkout, again */
    ck_assert_str_eq(key_of("b"), "p~2");
    ck_assert_int_eq(borrow("c", false), PLEX_UNAVAILABLE);
    ck_assert_int_eq(work_pool_checkin(pool, "a", true, now, &err), PLEX_OK);
    ck_assert_int_eq(work_pool_checkin(pool, "a", true, now, &err),
                     PLEX_NOT_FOUND);
    ck_assert_str_eq(key_of("c"), "p~1");
}
END_TEST

START_TEST(who_came_first_is_served_first)
{
    make("{\"actor_type\":\"t\",\"min\":1,\"max\":1}");
    ck_assert_int_eq(borrow("a", false), PLEX_OK);
    ck_assert_int_eq(borrow("b", true), PLEX_UNAVAILABLE);
    ck_assert_int_eq(borrow("c", true), PLEX_UNAVAILABLE);
    ck_assert_int_eq(stat_of("waiting"), 2);
    ck_assert_int_eq(work_pool_checkin(pool, "a", true, now, &err), PLEX_OK);
    ck_assert_int_eq(borrow("d", false), PLEX_UNAVAILABLE);
    ck_assert_int_eq(borrow("c", true), PLEX_UNAVAILABLE);
    ck_assert_int_eq(borrow("b", true), PLEX_OK);
    /* One that is not heard of any more does not stand in the way. */
    ck_assert_int_eq(work_pool_checkin(pool, "b", true, now, &err), PLEX_OK);
    ck_assert_int_eq(borrow("d", false), PLEX_UNAVAILABLE);
    pass(BUILTIN_POOL_WAITER_MS);
    ck_assert_int_eq(borrow("d", false), PLEX_OK);
}
END_TEST

START_TEST(what_is_not_given_back_in_time_is_replaced)
{
    json_t *out = NULL;

    make("{\"actor_type\":\"t\",\"min\":1,\"max\":1,\"lease_ms\":1000}");
    ck_assert_str_eq(key_of("a"), "p~1");
    pass(900);
    ck_assert_int_eq(work_pool_renew(pool, "a", now, &out, &err), PLEX_OK);
    json_decref(out);
    pass(900);
    ck_assert_int_eq(stat_of("out"), 1);
    pass(200);
    ck_assert_int_eq(stat_of("out"), 0);
    ck_assert_int_eq(stat_of("expired"), 1);
    ck_assert_int_eq(work_pool_checkin(pool, "a", true, now, &err),
                     PLEX_NOT_FOUND);
    ck_assert_str_eq(key_of("b"), "p~2");
}
END_TEST

START_TEST(one_that_is_unwell_is_replaced)
{
    make("{\"actor_type\":\"t\",\"min\":1,\"max\":1}");
    ck_assert_str_eq(key_of("a"), "p~1");
    ck_assert_int_eq(work_pool_checkin(pool, "a", false, now, &err), PLEX_OK);
    ck_assert_int_eq(stat_of("replaced"), 1);
    ck_assert_int_eq(stat_of("workers"), 1);
    ck_assert_str_eq(key_of("b"), "p~2");
}
END_TEST

START_TEST(it_grows_when_many_are_lent_and_shrinks_when_few_are)
{
    make("{\"actor_type\":\"t\",\"min\":2,\"max\":4,\"check_ms\":1000,"
         "\"cooldown_ms\":3000}");
    ck_assert_int_eq(borrow("a", false), PLEX_OK);
    ck_assert_int_eq(borrow("b", false), PLEX_OK);
    pass(1000);
    ck_assert_int_eq(stat_of("workers"), 3);
    ck_assert_int_eq(borrow("c", false), PLEX_OK);
    pass(1500); /* too soon for another change */
    ck_assert_int_eq(stat_of("workers"), 3);
    pass(2000);
    ck_assert_int_eq(stat_of("workers"), 4);
    pass(10000); /* not above the most */
    ck_assert_int_eq(stat_of("workers"), 4);
    for (const char *id = "abc"; *id != '\0'; id++)
        ck_assert_int_eq(
            work_pool_checkin(pool, (char[]){*id, '\0'}, true, now, &err),
            PLEX_OK);
    pass(20000);
    ck_assert_int_eq(stat_of("workers"), 2);
    ck_assert_int_eq(stat_of("grown"), 2);
    ck_assert_int_eq(stat_of("shrunk"), 2);
}
END_TEST

START_TEST(it_grows_at_once_for_who_would_have_to_wait)
{
    make("{\"actor_type\":\"t\",\"min\":1,\"max\":8,"
         "\"strategy\":\"exponential\"}");
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(borrow((char[]){(char)('a' + i), '\0'}, false),
                         PLEX_OK);
    ck_assert_int_eq(stat_of("workers"), 8);
    ck_assert_int_eq(stat_of("grown"), 3);
    ck_assert_int_eq(borrow("z", false), PLEX_UNAVAILABLE);
}
END_TEST

START_TEST(a_pause_leaves_it_to_people)
{
    make("{\"actor_type\":\"t\",\"min\":1,\"max\":5,\"check_ms\":1000}");
    work_pool_pause(pool, true);
    ck_assert_int_eq(borrow("a", false), PLEX_OK);
    ck_assert_int_eq(borrow("b", false), PLEX_UNAVAILABLE);
    pass(5000);
    ck_assert_int_eq(stat_of("workers"), 1);
    ck_assert_int_eq(work_pool_scale(pool, 0, 9, now, &err), PLEX_OK);
    ck_assert_int_eq(stat_of("workers"), 5);
    ck_assert_int_eq(work_pool_scale(pool, 1, 0, now, &err), PLEX_OK);
    ck_assert_int_eq(stat_of("workers"), 1);
    ck_assert_int_eq(work_pool_scale(pool, 0, 0, now, &err), PLEX_INVALID);
    ck_assert_int_eq(work_pool_scale(pool, 1, 1, now, &err), PLEX_INVALID);
}
END_TEST

START_TEST(draining_ends_when_the_last_one_is_back)
{
    json_t *stats;

    make("{\"actor_type\":\"t\",\"min\":3,\"max\":3}");
    ck_assert_int_eq(borrow("a", false), PLEX_OK);
    work_pool_drain(pool);
    ck_assert_int_eq(stat_of("workers"), 1);
    ck_assert_int_eq(borrow("b", true), PLEX_CONFLICT);
    ck_assert_int_eq(work_pool_checkin(pool, "a", true, now, &err), PLEX_OK);
    ck_assert_int_eq(stat_of("workers"), 0);
    stats = work_pool_stats(pool, now);
    ck_assert_str_eq(json_string_value(json_object_get(stats, "state")),
                     "drained");
    json_decref(stats);
}
END_TEST

START_TEST(what_makes_no_pool_is_named)
{
    static const struct {
        const char *json, *why;
    } rows[] = {
        {"{\"min\":0.5}", "min must be 1 to 1000"},
        {"{\"min\":5,\"max\":4}", "max must be 5 to 1000"},
        {"{\"max\":4,\"initial\":5}", "initial must be 1 to 4"},
        {"{\"scale_up\":1.5}", "scale_up must be 0 to 1"},
        {"{\"scale_up\":0.2}", "scale_down must be less than scale_up"},
        {"{\"strategy\":\"lucky\"}",
         "strategy is \"lucky\"; incremental, percentage and exponential are "
         "known"},
        {"{\"lease_ms\":1}", "lease_ms must be 100 to 86400000"},
        {"{\"failure_threshold\":1001}", "failure_threshold must be 0 to 1000"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        make(rows[i].json);
        ck_assert_ptr_null(pool);
        ck_assert_str_eq(err.text, rows[i].why);
    }
}
END_TEST

START_TEST(how_long_they_wait_and_hold_is_counted)
{
    json_t *stats;

    make("{\"actor_type\":\"t\",\"min\":1,\"max\":1}");
    ck_assert_int_eq(borrow("a", false), PLEX_OK);
    ck_assert_int_eq(borrow("b", true), PLEX_UNAVAILABLE);
    pass(1000);
    ck_assert_int_eq(work_pool_checkin(pool, "a", true, now, &err), PLEX_OK);
    ck_assert_int_eq(borrow("b", true), PLEX_OK);
    stats = work_pool_stats(pool, now);
    ck_assert_int_eq(json_integer_value(json_object_get(
                         json_object_get(stats, "wait"), "count")),
                     2);
    ck_assert_int_eq(json_integer_value(json_object_get(
                         json_object_get(stats, "wait"), "p50_ms")),
                     0);
    ck_assert_int_eq(json_integer_value(json_object_get(
                         json_object_get(stats, "wait"), "p99_ms")),
                     1023);
    ck_assert_int_eq(json_integer_value(json_object_get(
                         json_object_get(stats, "hold"), "p99_ms")),
                     1023);
    json_decref(stats);
}
END_TEST

START_TEST(members_that_are_not_wanted_go_after_a_while)
{
    make("{\"actor_type\":\"t\",\"min\":1,\"max\":5,\"initial\":4,"
         "\"scale_down\":0.01,\"idle_ms\":5000}");
    ck_assert_int_eq(borrow("a", false), PLEX_OK);
    pass(4900);
    ck_assert_int_eq(stat_of("workers"), 4);
    pass(200);
    ck_assert_int_eq(stat_of("workers"), 1);
    ck_assert_int_eq(stat_of("out"), 1);
    ck_assert_int_eq(stat_of("shrunk"), 3);
    /* Down to min, however long. */
    ck_assert_int_eq(work_pool_checkin(pool, "a", true, now, &err), PLEX_OK);
    pass(60000);
    ck_assert_int_eq(stat_of("workers"), 1);
}
END_TEST

static json_t *
breaker(void)
{
    static json_t *shown;
    json_t *stats = work_pool_stats(pool, now);

    json_decref(shown);
    shown = json_incref(json_object_get(stats, "breaker"));
    json_decref(stats);
    return shown;
}

static bool
breaker_is(const char *state)
{
    return strcmp(json_string_value(json_object_get(breaker(), "state")),
                  state) == 0;
}

START_TEST(a_breaker_keeps_lending_back_when_members_come_back_unwell)
{
    make("{\"actor_type\":\"t\",\"min\":2,\"max\":2,\"failure_threshold\":2,"
         "\"open_ms\":5000,\"lease_ms\":1000}");
    ck_assert(breaker_is("closed"));
    ck_assert_int_eq(borrow("a", false), PLEX_OK);
    ck_assert_int_eq(work_pool_checkin(pool, "a", false, now, &err), PLEX_OK);
    ck_assert_int_eq(borrow("b", false), PLEX_OK);
    pass(1000); /* its borrower has died: that is the second */
    ck_assert(breaker_is("open"));
    ck_assert_int_eq(borrow("c", false), PLEX_FENCED);
    ck_assert_ptr_nonnull(strstr(err.text, "circuit breaker"));
    ck_assert_int_eq(stat_of("refused"), 1);
    pass(5000);
    /* One is tried. */
    ck_assert_int_eq(borrow("d", false), PLEX_OK);
    ck_assert_int_eq(borrow("e", false), PLEX_FENCED);
    ck_assert_int_eq(work_pool_checkin(pool, "d", true, now, &err), PLEX_OK);
    ck_assert(breaker_is("closed"));
    ck_assert_int_eq(borrow("e", false), PLEX_OK);
}
END_TEST

START_TEST(idle_members_are_asked_and_replaced_when_they_are_not_well)
{
    uint64_t numbers[BUILTIN_POOL_PROBES_MAX];

    make("{\"actor_type\":\"t\",\"min\":3,\"max\":3,\"health_ms\":1000,"
         "\"health_message\":{\"action\":\"health\"}}");
    ck_assert_uint_eq(work_pool_probe(pool, now, numbers), 0);
    ck_assert_str_eq(key_of("a"), "p~1");
    now += 1000;
    ck_assert_uint_eq(work_pool_due(pool, now), now + 1);
    ck_assert_uint_eq(work_pool_probe(pool, now, numbers), 2);
    ck_assert_uint_eq(numbers[0], 2);
    ck_assert_uint_eq(numbers[1], 3);
    ck_assert_uint_eq(work_pool_probe(pool, now, numbers), 0);
    ck_assert_str_eq(key_of("b"), "p~2"); /* lent before it has answered */
    work_pool_probed(pool, 2, false, now);
    work_pool_probed(pool, 3, false, now);
    work_pool_probed(pool, 3, false, now);
    ck_assert_int_eq(stat_of("out"), 2);
    ck_assert_int_eq(stat_of("unwell"), 1);
    ck_assert_int_eq(stat_of("workers"), 3);
    ck_assert_str_eq(key_of("c"), "p~4");
}
END_TEST

START_TEST(a_pool_without_a_message_for_it_asks_nobody)
{
    uint64_t numbers[BUILTIN_POOL_PROBES_MAX];

    make("{\"actor_type\":\"t\",\"min\":3,\"max\":3,\"health_ms\":1000}");
    now += 5000;
    ck_assert_uint_eq(work_pool_probe(pool, now, numbers), 0);
}
END_TEST

/* Nobody has what another one has, and what is counted adds up. */
static void
hold_up(void)
{
    json_t *members = json_object_get(pool, "members"), *member;
    json_t *ids = json_object(), *numbers = json_object();
    json_int_t out = 0;
    size_t i;

    json_array_foreach(members, i, member)
    {
        const char *id = json_string_value(json_object_get(member, "checkout"));
        char number[32];

        (void)snprintf(
            number, sizeof number, "%lld",
            (long long)json_integer_value(json_object_get(member, "n")));
        ck_assert_ptr_null(json_object_get(numbers, number));
        json_object_set_new(numbers, number, json_true());
        if (id == NULL)
            continue;
        out++;
        ck_assert_ptr_null(json_object_get(ids, id));
        json_object_set_new(ids, id, json_true());
    }
    ck_assert_int_eq(out, stat_of("out"));
    ck_assert_int_ge(stat_of("workers"), 2);
    ck_assert_int_le(stat_of("workers"), 6 + out); /* those over go later */
    json_decref(ids);
    json_decref(numbers);
}

static void
act(unsigned random)
{
    enum plex_status status = PLEX_OK; /* refusals are a part of it */
    char id[16];

    (void)snprintf(id, sizeof id, "c%u", random / 16 % 12);
    switch (random % 16) {
    case 0:
        status = work_pool_checkin(pool, id, random / 512 % 4 != 0, now, &err);
        break;
    case 1:
        pass(random / 512 % 900);
        break;
    case 2:
        status = work_pool_scale(pool, 2 + random / 512 % 5, 0, now, &err);
        break;
    case 3:
        work_pool_forget(pool, id);
        break;
    case 4:
        work_pool_probed(pool, random / 512 % 40, random % 2 == 0, now);
        break;
    default:
        if (random % 3 == 0)
            status = work_pool_checkin(pool, id, true, now, &err);
        else
            status = borrow(id, random / 512 % 2 == 0);
    }
    ck_assert_int_ne(status, PLEX_INVALID);
}

START_TEST(random_use_keeps_the_counts_right)
{
    unsigned random = (unsigned)_i * 2654435761U + 1;

    make("{\"actor_type\":\"t\",\"min\":2,\"max\":6,\"check_ms\":300,"
         "\"lease_ms\":700,\"idle_ms\":400,\"failure_threshold\":3,"
         "\"open_ms\":500,\"health_ms\":200,\"health_message\":1}");
    for (int step = 0; step < 300; step++) {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        act(random);
        hold_up();
    }
    /* Whoever has gone, the pool is whole again after a while. */
    pass(20000);
    ck_assert_int_eq(stat_of("out"), 0);
    ck_assert_int_eq(stat_of("waiting"), 0);
    ck_assert_int_eq(stat_of("workers"), 2);
    ck_assert_int_eq(borrow("last", false), PLEX_OK);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("worker.pool");
    TCase *tc = tcase_create("pool");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tc, NULL, teardown);
    tcase_add_test(tc, a_member_is_lent_to_one_at_a_time);
    tcase_add_test(tc, who_came_first_is_served_first);
    tcase_add_test(tc, what_is_not_given_back_in_time_is_replaced);
    tcase_add_test(tc, one_that_is_unwell_is_replaced);
    tcase_add_test(tc, it_grows_when_many_are_lent_and_shrinks_when_few_are);
    tcase_add_test(tc, it_grows_at_once_for_who_would_have_to_wait);
    tcase_add_test(tc, a_pause_leaves_it_to_people);
    tcase_add_test(tc, draining_ends_when_the_last_one_is_back);
    tcase_add_test(tc, how_long_they_wait_and_hold_is_counted);
    tcase_add_test(tc, members_that_are_not_wanted_go_after_a_while);
    tcase_add_test(tc,
                   a_breaker_keeps_lending_back_when_members_come_back_unwell);
    tcase_add_test(tc,
                   idle_members_are_asked_and_replaced_when_they_are_not_well);
    tcase_add_test(tc, a_pool_without_a_message_for_it_asks_nobody);
    tcase_add_loop_test(tc, random_use_keeps_the_counts_right, 0, 20);
    tcase_add_test(tc, what_makes_no_pool_is_named);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
