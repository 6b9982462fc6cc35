#include "services/placement/book.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS_MAX = 4, RESERVATIONS_MAX = 40, FOREVER = 1000000 };

static struct place_book *book;
static struct plex_err err;
static struct place_held held;

static void
setup(void)
{
    book = place_book_create(
        &(struct place_book_config){WORKERS_MAX, RESERVATIONS_MAX});
}

static void
teardown(void)
{
    place_book_free(book);
}

static enum plex_status
worker(const char *node_id, uint64_t incarnation, uint64_t cpu, bool draining)
{
    const struct place_capacity capacity = {
        .node_id = node_id,
        .incarnation = incarnation,
        .draining = draining,
        .amounts = {{[PLACE_CPU] = cpu, [PLACE_MEMORY] = PLACE_UNLIMITED}},
    };

    return place_book_worker(book, &capacity, &err);
}

static enum plex_status
reserve(const char *request_id, uint64_t cpu, uint64_t until)
{
    const struct place_ask ask = {
        .request_id = request_id,
        .actor = request_id,
        .need = {.amounts = {{[PLACE_CPU] = cpu}}},
        .until_ns = until,
    };

    return place_book_reserve(book, &ask, &held, &err);
}

static uint64_t
reserved(const char *node_id)
{
    size_t n;
    const struct place_candidate *workers = place_book_workers(book, &n);

    for (size_t i = 0; i < n; i++)
        if (strcmp(workers[i].node_id, node_id) == 0)
            return workers[i].reserved.of[PLACE_CPU];
    return UINT64_MAX;
}

START_TEST(what_is_reserved_is_not_given_twice)
{
    ck_assert_int_eq(reserve("a", 600, FOREVER), PLEX_UNAVAILABLE);
    ck_assert_int_eq(worker("w1", 1, 1000, false), PLEX_OK);
    ck_assert_int_eq(reserve("a", 600, FOREVER), PLEX_OK);
    ck_assert_str_eq(held.node_id, "w1");
    ck_assert(!held.again);
    ck_assert_int_eq(reserve("b", 600, FOREVER), PLEX_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(err.text, "too little cpu left"));
    ck_assert_int_eq(worker("w2", 1, 1000, false), PLEX_OK);
    ck_assert_int_eq(reserve("b", 600, FOREVER), PLEX_OK);
    ck_assert_str_eq(held.node_id, "w2");
    ck_assert_int_eq(reserve("c", 400, FOREVER), PLEX_OK);
    ck_assert_str_eq(held.node_id, "w1");
    ck_assert_uint_eq(reserved("w1"), 1000);
    ck_assert_uint_eq(reserved("w2"), 600);
}
END_TEST

START_TEST(the_same_request_again_reserves_nothing_more)
{
    ck_assert_int_eq(worker("w1", 7, 1000, false), PLEX_OK);
    ck_assert_int_eq(reserve("a", 600, FOREVER), PLEX_OK);
    ck_assert_int_eq(worker("w2", 1, 700, false), PLEX_OK);
    ck_assert_int_eq(reserve("a", 600, FOREVER), PLEX_OK);
    ck_assert(held.again);
    ck_assert_str_eq(held.node_id, "w1");
    ck_assert_uint_eq(held.incarnation, 7);
    ck_assert_uint_eq(reserved("w1"), 600);
    ck_assert_uint_eq(reserved("w2"), 0);
    ck_assert_int_eq(reserve("a", 601, FOREVER), PLEX_MISMATCH);
    ck_assert_uint_eq(reserved("w1"), 600);
    ck_assert_int_eq(place_book_find(book, "a", &held, &err), PLEX_OK);
    ck_assert_int_eq(place_book_find(book, "b", &held, &err), PLEX_NOT_FOUND);
}
END_TEST

START_TEST(a_release_frees_it_once)
{
    ck_assert_int_eq(worker("w1", 1, 1000, false), PLEX_OK);
    ck_assert_int_eq(reserve("a", 600, FOREVER), PLEX_OK);
    ck_assert_int_eq(reserve("b", 400, FOREVER), PLEX_OK);
    ck_assert(place_book_release(book, "a"));
    ck_assert(!place_book_release(book, "a"));
    ck_assert_uint_eq(reserved("w1"), 400);
    ck_assert_int_eq(reserve("c", 600, FOREVER), PLEX_OK);
}
END_TEST

START_TEST(it_runs_out_unless_it_is_renewed)
{
    ck_assert_uint_eq(place_book_due(book), UINT64_MAX);
    ck_assert_int_eq(worker("w1", 1, 1000, false), PLEX_OK);
    ck_assert_int_eq(reserve("a", 100, 50), PLEX_OK);
    ck_assert_int_eq(reserve("b", 200, 60), PLEX_OK);
    ck_assert_uint_eq(place_book_due(book), 50);
    ck_assert_uint_eq(place_book_expire(book, 49), 0);
    ck_assert_int_eq(reserve("a", 100, 80), PLEX_OK);
    ck_assert_uint_eq(place_book_due(book), 60);
    ck_assert_uint_eq(place_book_expire(book, 60), 1);
    ck_assert_uint_eq(reserved("w1"), 100);
    ck_assert_int_eq(place_book_find(book, "b", &held, &err), PLEX_NOT_FOUND);
    ck_assert_uint_eq(place_book_expire(book, 80), 1);
    ck_assert_uint_eq(reserved("w1"), 0);
}
END_TEST

START_TEST(with_the_worker_goes_what_it_held)
{
    ck_assert_int_eq(worker("w1", 1, 1000, false), PLEX_OK);
    ck_assert_int_eq(worker("w2", 1, 900, false), PLEX_OK);
    ck_assert_int_eq(reserve("a", 1000, FOREVER), PLEX_OK);
    ck_assert_int_eq(reserve("b", 900, FOREVER), PLEX_OK);
    place_book_worker_gone(book, "w9");
    place_book_worker_gone(book, "w2");
    ck_assert_int_eq(place_book_find(book, "b", &held, &err), PLEX_NOT_FOUND);
    ck_assert_int_eq(place_book_find(book, "a", &held, &err), PLEX_OK);
    /* The list of workers still grows at its end. */
    ck_assert_int_eq(worker("w3", 1, 900, false), PLEX_OK);
    ck_assert_int_eq(reserve("b", 900, FOREVER), PLEX_OK);
    ck_assert_str_eq(held.node_id, "w3");
}
END_TEST

START_TEST(a_restarted_worker_begins_empty)
{
    ck_assert_int_eq(worker("w1", 1, 1000, false), PLEX_OK);
    ck_assert_int_eq(reserve("a", 600, FOREVER), PLEX_OK);
    ck_assert_int_eq(worker("w1", 1, 1000, false), PLEX_OK);
    ck_assert_uint_eq(reserved("w1"), 600);
    ck_assert_int_eq(worker("w1", 2, 1000, false), PLEX_OK);
    ck_assert_uint_eq(reserved("w1"), 0);
    ck_assert_int_eq(place_book_find(book, "a", &held, &err), PLEX_NOT_FOUND);
}
END_TEST

START_TEST(a_draining_worker_hands_over_what_is_renewed)
{
    ck_assert_int_eq(worker("w1", 1, 1000, false), PLEX_OK);
    ck_assert_int_eq(reserve("a", 600, FOREVER), PLEX_OK);
    ck_assert_int_eq(worker("w1", 1, 1000, true), PLEX_OK);
    ck_assert_int_eq(reserve("b", 100, FOREVER), PLEX_UNAVAILABLE);
    /* Nobody else: it stays. */
    ck_assert_int_eq(reserve("a", 600, FOREVER), PLEX_OK);
    ck_assert_str_eq(held.node_id, "w1");
    ck_assert(held.again);
    ck_assert_int_eq(worker("w2", 1, 1000, false), PLEX_OK);
    ck_assert_int_eq(reserve("a", 600, FOREVER), PLEX_OK);
    ck_assert_str_eq(held.node_id, "w2");
    ck_assert(!held.again);
    ck_assert_uint_eq(reserved("w1"), 0);
    ck_assert_uint_eq(reserved("w2"), 600);
}
END_TEST

static enum plex_status
reserve_alone(const char *request_id, const char *actor, uint64_t cpu)
{
    static const char *const rather[] = {"w1"};
    const struct place_label mark = {"kind", "video"};
    const struct place_affinity apart = {.apart = true, .label = mark};
    const struct place_ask ask = {
        .request_id = request_id,
        .actor = actor,
        .marks = &mark,
        .n_marks = 1,
        .need = {.amounts = {{[PLACE_CPU] = cpu}},
                 .prefer = rather,
                 .n_prefer = 1,
                 .affinity = &apart,
                 .n_affinity = 1},
        .until_ns = FOREVER,
        .alone = true,
    };

    return place_book_reserve(book, &ask, &held, &err);
}

/* The start comes from its supervisor, the end from where it ran: in either
 * order. */
START_TEST(an_actor_that_is_started_again_has_what_it_had)
{
    const struct place_holding runs = {
        "first", "video", NULL, 0, {{[PLACE_CPU] = 900}}};

    ck_assert_int_eq(worker("w1", 1, 1000, false), PLEX_OK);
    ck_assert_int_eq(worker("w2", 1, 1000, false), PLEX_OK);
    ck_assert_int_eq(reserve_alone("first", "video", 900), PLEX_OK);
    ck_assert_str_eq(held.node_id, "w1");
    ck_assert_int_eq(place_book_hold(book, "w1", &runs, &err), PLEX_OK);
    ck_assert_int_eq(reserve_alone("second", "video", 900), PLEX_OK);
    ck_assert_str_eq(held.node_id, "w1");
    ck_assert_uint_eq(reserved("w1"), 900);
    ck_assert_uint_eq(place_book_count(book), 1);
    ck_assert(!place_book_release(book, "first"));
    ck_assert_uint_eq(reserved("w1"), 900);
    ck_assert(place_book_release(book, "second"));
    ck_assert_uint_eq(reserved("w1"), 0);
}
END_TEST

START_TEST(what_an_actor_had_stays_if_it_cannot_be_started_again)
{
    ck_assert_int_eq(worker("w1", 1, 1000, false), PLEX_OK);
    ck_assert_int_eq(reserve_alone("first", "video", 600), PLEX_OK);
    ck_assert_int_eq(reserve("other", 300, FOREVER), PLEX_OK);
    ck_assert_int_eq(reserve_alone("second", "video", 800), PLEX_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(err.text, "left is 700 on w1"));
    ck_assert_uint_eq(reserved("w1"), 900);
    ck_assert_int_eq(place_book_find(book, "first", &held, &err), PLEX_OK);
    /* Another one is nobody's room. */
    ck_assert_int_eq(reserve_alone("third", "audio", 600), PLEX_UNAVAILABLE);
    ck_assert_uint_eq(place_book_count(book), 2);
}
END_TEST

START_TEST(a_full_book_has_room_for_what_takes_over)
{
    char id[16];

    ck_assert_int_eq(worker("w1", 1, 1000, false), PLEX_OK);
    ck_assert_int_eq(reserve_alone("first", "video", 5), PLEX_OK);
    for (int i = 1; i < RESERVATIONS_MAX; i++) {
        (void)snprintf(id, sizeof id, "r%d", i);
        ck_assert_int_eq(reserve(id, 1, FOREVER), PLEX_OK);
    }
    ck_assert_int_eq(reserve_alone("x", "audio", 1), PLEX_LIMIT);
    ck_assert_int_eq(reserve_alone("second", "video", 5), PLEX_OK);
    ck_assert_uint_eq(place_book_count(book), RESERVATIONS_MAX);
}
END_TEST

START_TEST(actors_are_kept_together_and_apart_by_what_is_reserved)
{
    const struct place_label web = {"app", "web"};
    const struct place_affinity near = {.actor = "a"};
    const struct place_affinity apart = {.apart = true, .label = web};
    struct place_ask ask = {.request_id = "a",
                            .actor = "a",
                            .marks = &web,
                            .n_marks = 1,
                            .until_ns = FOREVER};

    ck_assert_int_eq(worker("w1", 1, 1000, false), PLEX_OK);
    ck_assert_int_eq(worker("w2", 1, 1000, false), PLEX_OK);
    ck_assert_int_eq(place_book_reserve(book, &ask, &held, &err), PLEX_OK);
    ck_assert_str_eq(held.node_id, "w1");
    ask.request_id = ask.actor = "b";
    ask.need.affinity = &apart;
    ask.need.n_affinity = 1;
    ck_assert_int_eq(place_book_reserve(book, &ask, &held, &err), PLEX_OK);
    ck_assert_str_eq(held.node_id, "w2");
    ask.request_id = ask.actor = "c";
    ck_assert_int_eq(place_book_reserve(book, &ask, &held, &err),
                     PLEX_UNAVAILABLE);
    ask.need.affinity = &near;
    ck_assert_int_eq(place_book_reserve(book, &ask, &held, &err), PLEX_OK);
    ck_assert_str_eq(held.node_id, "w1");
}
END_TEST

START_TEST(the_book_is_limited_and_checks_what_it_is_told)
{
    char name[400];

    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    ck_assert_int_eq(worker(name, 1, 1, false), PLEX_INVALID);
    ck_assert_int_eq(worker("", 1, 1, false), PLEX_INVALID);
    ck_assert_int_eq(worker("w", 0, 1, false), PLEX_INVALID);
    ck_assert_int_eq(reserve("", 1, 1), PLEX_INVALID);
    ck_assert_int_eq(reserve(name, 1, 1), PLEX_INVALID);
    for (int i = 0; i <= WORKERS_MAX; i++) {
        (void)snprintf(name, sizeof name, "w%d", i);
        ck_assert_int_eq(worker(name, 1, 1000, false),
                         i < WORKERS_MAX ? PLEX_OK : PLEX_LIMIT);
    }
    for (int i = 0; i <= RESERVATIONS_MAX; i++) {
        (void)snprintf(name, sizeof name, "r%d", i);
        ck_assert_int_eq(reserve(name, 1, FOREVER),
                         i < RESERVATIONS_MAX ? PLEX_OK : PLEX_LIMIT);
    }
}
END_TEST

/* However they come and go, the sums are those of what can be found. */
START_TEST(sums_stay_right_over_a_random_life)
{
    uint64_t random = 12345, total, found;
    char name[16];

    for (int step = 0; step < 3000; step++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407U;
        (void)snprintf(name, sizeof name, "r%d", (int)(random >> 33) % 50);
        if (random >> 62 == 0)
            (void)place_book_release(book, name);
        else if ((random >> 40) % 50 == 0)
            place_book_worker_gone(book, (random >> 50) % 2 ? "w1" : "w2");
        else if ((random >> 40) % 10 == 1)
            (void)place_book_expire(book, (uint64_t)step);
        else if ((random >> 40) % 10 == 2)
            (void)worker((random >> 50) % 2 ? "w1" : "w2", 1, 1000,
                         (random >> 51) % 4 == 0);
        else if ((random >> 40) % 10 == 3)
            (void)reserve_alone(name, "video", 100);
        else
            (void)reserve(name, 100, (uint64_t)step + 100);
        total = found = 0;
        for (int w = 1; w <= 2; w++) {
            (void)snprintf(name, sizeof name, "w%d", w);
            if (reserved(name) == UINT64_MAX)
                continue;
            ck_assert_uint_le(reserved(name), 1000);
            total += reserved(name);
        }
        for (int r = 0; r < 50; r++) {
            (void)snprintf(name, sizeof name, "r%d", r);
            found += place_book_find(book, name, &held, &err) == PLEX_OK;
        }
        ck_assert_uint_eq(total, found * 100);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("placement.book");
    TCase *tc = tcase_create("book");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, what_is_reserved_is_not_given_twice);
    tcase_add_test(tc, the_same_request_again_reserves_nothing_more);
    tcase_add_test(tc, a_release_frees_it_once);
    tcase_add_test(tc, it_runs_out_unless_it_is_renewed);
    tcase_add_test(tc, with_the_worker_goes_what_it_held);
    tcase_add_test(tc, a_restarted_worker_begins_empty);
    tcase_add_test(tc, a_draining_worker_hands_over_what_is_renewed);
    tcase_add_test(tc, an_actor_that_is_started_again_has_what_it_had);
    tcase_add_test(tc, what_an_actor_had_stays_if_it_cannot_be_started_again);
    tcase_add_test(tc, a_full_book_has_room_for_what_takes_over);
    tcase_add_test(tc, actors_are_kept_together_and_apart_by_what_is_reserved);
    tcase_add_test(tc, the_book_is_limited_and_checks_what_it_is_told);
    tcase_add_test(tc, sums_stay_right_over_a_random_life);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
