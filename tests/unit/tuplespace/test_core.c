#include "services/tuplespace/core.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct tspace_where here = {"default", "default", "jobs"};
static const struct tspace_config config = {
    .spaces_max = 10,
    .tuples_max = 100,
    .bytes_max = 1 << 20,
    .waiters_max = 4,
    .requests_max = 3,
};
static struct tspace_now now = {1000000, 5000};

/* The answers so far, by the number that stands for the call. */
static struct {
    bool done;
    enum plex_status status;
    uint32_t n;
    int64_t first;
    bool is_write;
    uint8_t id[TSPACE_ID_BYTES];
} answers[16];
static unsigned n_puts, removes, remembers, forgets;

static void *
call(uintptr_t number)
{
    return (void *)number;
}

static void
drain(struct tspace_core *core)
{
    struct tspace_action action;

    while (tspace_core_next(core, &action)) {
        const uintptr_t number = (uintptr_t)action.call;

        n_puts += action.kind == TSPACE_PUT;
        removes += action.kind == TSPACE_REMOVE;
        remembers += action.kind == TSPACE_REMEMBER;
        forgets += action.kind == TSPACE_FORGET;
        if (action.kind != TSPACE_REPLY)
            continue;
        ck_assert(!answers[number].done);
        answers[number].done = true;
        answers[number].status = action.status;
        if (action.answer == NULL)
            continue;
        answers[number].n = action.answer->n;
        answers[number].is_write = action.answer->is_write;
        memcpy(answers[number].id, action.answer->first_id, TSPACE_ID_BYTES);
        if (!action.answer->is_write && action.answer->n > 0)
            answers[number].first = action.answer->tuples[0]->fields[1].integer;
    }
}

static struct tspace_core *
fresh(const struct tspace_config *with)
{
    memset(answers, 0, sizeof answers);
    n_puts = removes = remembers = forgets = 0;
    now = (struct tspace_now){1000000, 5000};
    return tspace_core_create(with);
}

static void
write_id(struct tspace_core *core, uintptr_t number, const char *name,
         int64_t value, uint64_t ttl_ms, const char *request_id)
{
    const struct tspace_field fields[] = {
        {.type = TSPACE_STRING, .bytes = {(const uint8_t *)name, strlen(name)}},
        {.type = TSPACE_INTEGER, .integer = value},
    };
    const struct tspace_tuple tuple = {.fields = fields, .n_fields = 2};
    struct tspace_write write = {
        .where = here, .tuples = &tuple, .n_tuples = 1, .ttl_ms = ttl_ms};

    write.first_id[15] = (uint8_t)number;
    if (request_id != NULL)
        write.request_id =
            (struct plex_bytes){(const uint8_t *)request_id, TSPACE_ID_BYTES};
    tspace_core_write(core, now, call(number), &write);
    drain(core);
}

static void
write_one(struct tspace_core *core, uintptr_t number, const char *name,
          int64_t value)
{
    write_id(core, number, name, value, 0, NULL);
}

static void
find(struct tspace_core *core, uintptr_t number, const char *name, bool take,
     uint32_t max, uint64_t timeout_ms, const char *request_id)
{
    const struct tspace_pattern patterns[] = {
        {TSPACE_EXACT,
         {.type = TSPACE_STRING,
          .bytes = {(const uint8_t *)name, strlen(name)}}},
        {TSPACE_OF_TYPE, {.type = TSPACE_INTEGER}},
    };
    struct tspace_read read = {.where = here,
                               .patterns = patterns,
                               .n_patterns = 2,
                               .timeout_ms = timeout_ms,
                               .max_results = max,
                               .take = take};

    if (request_id != NULL)
        read.request_id =
            (struct plex_bytes){(const uint8_t *)request_id, TSPACE_ID_BYTES};
    tspace_core_read(core, now, call(number), &read);
    drain(core);
}

START_TEST(take_returns_tuples_in_the_order_of_writing)
{
    struct tspace_core *core = fresh(&config);

    write_one(core, 1, "a", 10);
    write_one(core, 2, "b", 20);
    write_one(core, 3, "a", 30);
    find(core, 4, "a", true, 1, 0, NULL);
    find(core, 5, "a", true, 1, 0, NULL);
    find(core, 6, "a", true, 1, 0, NULL);
    ck_assert_int_eq(answers[4].first, 10);
    ck_assert_int_eq(answers[5].first, 30);
    ck_assert(answers[6].done && answers[6].n == 0);
    ck_assert_uint_eq(removes, 2);
    tspace_core_free(core);
}
END_TEST

START_TEST(read_leaves_the_tuple_and_respects_the_maximum)
{
    struct tspace_core *core = fresh(&config);

    write_one(core, 1, "a", 10);
    write_one(core, 2, "a", 20);
    find(core, 3, "a", false, 1, 0, NULL);
    find(core, 4, "a", false, 9, 0, NULL);
    ck_assert_uint_eq(answers[3].n, 1);
    ck_assert_uint_eq(answers[4].n, 2);
    ck_assert_uint_eq(removes, 0);
    tspace_core_free(core);
}
END_TEST

START_TEST(waiting_takers_are_served_first_come_first_served)
{
    struct tspace_core *core = fresh(&config);

    find(core, 1, "a", true, 1, 1000, NULL);
    find(core, 2, "a", true, 1, 1000, NULL);
    find(core, 3, "a", false, 1, 1000, NULL);
    write_one(core, 4, "b", 1);
    ck_assert(!answers[1].done);
    write_one(core, 5, "a", 10);
    ck_assert_int_eq(answers[1].first, 10);
    ck_assert(!answers[2].done && !answers[3].done);
    write_one(core, 6, "a", 20);
    ck_assert_int_eq(answers[2].first, 20);
    write_one(core, 7, "a", 30);
    ck_assert_int_eq(answers[3].first, 30); /* a reader does not take it */
    ck_assert_uint_eq(tspace_core_stats(core).tuples, 2);
    tspace_core_free(core);
}
END_TEST

START_TEST(a_wait_ends_empty_at_its_time)
{
    struct tspace_core *core = fresh(&config);

    find(core, 1, "a", true, 1, 50, NULL);
    ck_assert_uint_eq(tspace_core_wait_ms(core, now), 50);
    now.mono_ns += 49 * 1000000;
    tspace_core_tick(core, now);
    drain(core);
    ck_assert(!answers[1].done);
    now.mono_ns += 1000000;
    tspace_core_tick(core, now);
    drain(core);
    ck_assert(answers[1].done && answers[1].status == PLEX_OK);
    ck_assert_uint_eq(answers[1].n, 0);
    ck_assert_uint_eq(tspace_core_wait_ms(core, now), UINT64_MAX);
    tspace_core_free(core);
}
END_TEST

START_TEST(expired_tuples_are_invisible_at_once_and_removed_later)
{
    struct tspace_core *core = fresh(&config);

    write_id(core, 1, "a", 10, 100, NULL);
    now.wall_ms += 100;
    find(core, 2, "a", true, 1, 0, NULL);
    ck_assert_uint_eq(answers[2].n, 0);
    ck_assert_uint_eq(tspace_core_stats(core).tuples, 1);
    tspace_core_tick(core, now);
    drain(core);
    ck_assert_uint_eq(tspace_core_stats(core).tuples, 0);
    ck_assert_uint_eq(removes, 1);
    tspace_core_free(core);
}
END_TEST

START_TEST(the_same_request_id_writes_once_and_takes_once)
{
    struct tspace_core *core = fresh(&config);

    write_id(core, 1, "a", 10, 0, "write-one-------");
    write_id(core, 2, "a", 10, 0, "write-one-------");
    ck_assert_uint_eq(n_puts, 1);
    ck_assert_mem_eq(answers[1].id, answers[2].id, TSPACE_ID_BYTES);
    find(core, 3, "a", true, 1, 0, "take-one--------");
    find(core, 4, "a", true, 1, 0, "take-one--------");
    ck_assert_int_eq(answers[3].first, 10);
    ck_assert_int_eq(answers[4].first, 10);
    ck_assert_uint_eq(removes, 1);
    tspace_core_free(core);
}
END_TEST

START_TEST(a_repeated_waiting_take_replaces_the_first)
{
    struct tspace_core *core = fresh(&config);

    find(core, 1, "a", true, 1, 1000, "take-one--------");
    find(core, 2, "a", true, 1, 1000, "take-one--------");
    ck_assert_int_eq(answers[1].status, PLEX_CANCELLED);
    write_one(core, 3, "a", 10);
    ck_assert_int_eq(answers[2].first, 10);
    find(core, 4, "a", true, 1, 1000, "take-one--------");
    ck_assert_int_eq(answers[4].first, 10);
    tspace_core_free(core);
}
END_TEST

START_TEST(old_request_ids_are_forgotten)
{
    struct tspace_core *core = fresh(&config);

    write_id(core, 1, "a", 1, 0, "write-1---------");
    write_id(core, 2, "a", 2, 0, "write-2---------");
    write_id(core, 3, "a", 3, 0, "write-3---------");
    ck_assert_uint_eq(forgets, 0);
    write_id(core, 4, "a", 4, 0, "write-4---------"); /* one too many */
    ck_assert_uint_eq(forgets, 1);
    now.wall_ms += TSPACE_REMEMBER_MS;
    tspace_core_tick(core, now);
    drain(core);
    ck_assert_uint_eq(forgets, 4);
    ck_assert_uint_eq(tspace_core_stats(core).requests, 0);
    tspace_core_free(core);
}
END_TEST

START_TEST(spaces_of_other_tenants_are_other_spaces)
{
    const struct tspace_where other = {"acme", "default", "jobs"};
    const struct tspace_pattern any[] = {{.kind = TSPACE_ANY},
                                         {.kind = TSPACE_ANY}};
    struct tspace_core *core = fresh(&config);

    write_one(core, 1, "a", 10);
    ck_assert_uint_eq(tspace_core_count(core, now, &here, any, 2), 1);
    ck_assert_uint_eq(tspace_core_count(core, now, &here, any, 1), 0);
    ck_assert_uint_eq(tspace_core_count(core, now, &other, any, 2), 0);
    tspace_core_free(core);
}
END_TEST

START_TEST(limits_are_refused_with_limit)
{
    struct tspace_config small = config;
    struct tspace_core *core;

    small.tuples_max = 1;
    core = fresh(&small);
    write_one(core, 1, "a", 1);
    write_one(core, 2, "a", 2);
    ck_assert_int_eq(answers[2].status, PLEX_LIMIT);
    for (uintptr_t i = 3; i < 8; i++)
        find(core, i, "none", true, 1, 1000, NULL);
    ck_assert_int_eq(answers[7].status, PLEX_LIMIT);
    ck_assert(!answers[6].done);
    tspace_core_fail_waiters(core, "bye");
    drain(core);
    ck_assert_int_eq(answers[6].status, PLEX_UNAVAILABLE);
    tspace_core_free(core);
}
END_TEST

static bool
first_is_gone(void *arg, void *number)
{
    (void)arg;
    return number == call(1);
}

START_TEST(a_waiter_that_left_does_not_take)
{
    struct tspace_config with = config;
    struct tspace_core *core;

    with.gone = first_is_gone;
    core = fresh(&with);
    find(core, 1, "a", true, 1, 1000, NULL);
    find(core, 2, "a", true, 1, 1000, NULL);
    write_one(core, 3, "a", 10);
    ck_assert_int_eq(answers[1].status, PLEX_CANCELLED);
    ck_assert_int_eq(answers[2].first, 10);
    tspace_core_free(core);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("tuplespace core");
    TCase *tcase = tcase_create("core");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, take_returns_tuples_in_the_order_of_writing);
    tcase_add_test(tcase, read_leaves_the_tuple_and_respects_the_maximum);
    tcase_add_test(tcase, waiting_takers_are_served_first_come_first_served);
    tcase_add_test(tcase, a_wait_ends_empty_at_its_time);
    tcase_add_test(tcase,
                   expired_tuples_are_invisible_at_once_and_removed_later);
    tcase_add_test(tcase, the_same_request_id_writes_once_and_takes_once);
    tcase_add_test(tcase, a_repeated_waiting_take_replaces_the_first);
    tcase_add_test(tcase, old_request_ids_are_forgotten);
    tcase_add_test(tcase, spaces_of_other_tenants_are_other_spaces);
    tcase_add_test(tcase, limits_are_refused_with_limit);
    tcase_add_test(tcase, a_waiter_that_left_does_not_take);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
