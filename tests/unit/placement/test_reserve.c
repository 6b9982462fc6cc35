/* Reservations through the core: leases, leadership, what workers hold. */
#include "tests/unit/placement/cluster.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { LEASE_MS = 1500, TTL = 10000 };

static struct cluster c;
static struct plex_err err;
static struct place_granted got;

static void
setup(void)
{
    cluster_open(&c, 4);
}

static void
teardown(void)
{
    cluster_close(&c);
}

static void
beat(const char *node_id, uint64_t cpu)
{
    const struct place_offer offer = {.amounts = {{[PLACE_CPU] = cpu}}};
    struct place_heartbeat heartbeat = {.node_id = node_id,
                                        .url = "inproc://w",
                                        .incarnation = 1,
                                        .pool = "default",
                                        .offer = &offer};

    heartbeat.applied_version = cluster_version(&c);
    ck_assert_int_eq(cluster_beat_as(&c, &heartbeat).kind,
                     PLACE_ACTION_HEARTBEAT);
}

static enum plex_status
hold(const char *node_id, uint64_t sequence, bool full, const char *id,
     bool *again)
{
    const struct place_holding holding = {
        .request_id = id, .actor = "", .amounts = {{[PLACE_CPU] = 600}}};
    const struct place_holds holds = {.node_id = node_id,
                                      .incarnation = 1,
                                      .sequence = sequence,
                                      .full = full,
                                      .held = &holding,
                                      .n_held = id != NULL};
    const enum plex_status status =
        place_core_hold(c.core, &holds, c.now, again, &err);

    cluster_pump(&c);
    return status;
}

static void
worker(const char *node_id)
{
    bool again;

    beat(node_id, 1000);
    ck_assert_int_eq(hold(node_id, 1, true, NULL, &again), PLEX_OK);
}

static enum plex_status
reserve(const char *id, uint64_t cpu)
{
    const struct place_ask ask = {
        .request_id = id,
        .actor = "",
        .need = {.amounts = {{[PLACE_CPU] = cpu}}},
        .until_ns = c.now + TTL * UINT64_C(1000000),
    };
    const enum plex_status status =
        place_core_reserve(c.core, &ask, c.now, &got, &err);

    cluster_pump(&c);
    return status;
}

static bool
is_there(const char *id)
{
    return place_core_find(c.core, id, c.now, &got, &err) == PLEX_OK;
}

START_TEST(nothing_is_reserved_before_the_worker_said_what_it_holds)
{
    bool again;

    beat("w1", 1000);
    ck_assert_int_eq(reserve("a", 600), PLEX_UNAVAILABLE);
    ck_assert_str_eq(err.text, "none of 1 workers fits: 1 not ready");
    ck_assert_int_eq(hold("w1", 1, true, "old", &again), PLEX_OK);
    ck_assert_int_eq(reserve("a", 600), PLEX_UNAVAILABLE);
    ck_assert_str_eq(err.text,
                     "none of 1 workers fits: 1 with too little cpu left; "
                     "asked for 600 thousandths of a core, the most that is "
                     "left is 400 on w1");
    ck_assert_int_eq(reserve("a", 400), PLEX_OK);
    ck_assert_str_eq(got.held.node_id, "w1");
    ck_assert_str_eq(got.url, "inproc://w");
    ck_assert(!got.held.runs);
}
END_TEST

START_TEST(what_is_never_held_runs_out_and_what_is_held_does_not)
{
    bool again;

    worker("w1");
    ck_assert_int_eq(reserve("a", 100), PLEX_OK);
    ck_assert_int_eq(reserve("b", 600), PLEX_OK);
    ck_assert_int_eq(hold("w1", 2, false, "b", &again), PLEX_OK);
    ck_assert(!again);
    for (int ms = 0; ms <= TTL; ms += LEASE_MS / 3) {
        cluster_run(&c, LEASE_MS / 3);
        beat("w1", 1000);
    }
    ck_assert(!is_there("a"));
    ck_assert(is_there("b"));
    ck_assert(got.held.runs);
    ck_assert_uint_eq(place_core_stats(c.core).reservations, 1);
}
END_TEST

START_TEST(a_worker_that_lapses_takes_its_reservations_along)
{
    bool again;

    worker("w1");
    worker("w2");
    ck_assert_int_eq(reserve("a", 900), PLEX_OK);
    ck_assert_str_eq(got.held.node_id, "w1");
    for (int i = 0; i < 4; i++) {
        cluster_run(&c, LEASE_MS / 2);
        beat("w2", 1000);
    }
    ck_assert(!is_there("a"));
    ck_assert_int_eq(reserve("a", 900), PLEX_OK);
    ck_assert_str_eq(got.held.node_id, "w2");
    ck_assert_int_eq(hold("w1", 2, false, "x", &again), PLEX_NOT_FOUND);
}
END_TEST

START_TEST(a_gap_in_what_a_worker_says_makes_it_say_all)
{
    bool again;

    worker("w1");
    ck_assert_int_eq(hold("w1", 3, false, "x", &again), PLEX_OK);
    ck_assert(again);
    ck_assert(!is_there("x"));
    ck_assert_int_eq(hold("w1", 4, true, "x", &again), PLEX_OK);
    ck_assert(!again);
    ck_assert(is_there("x"));
    /* One that was sent before and comes late says nothing. */
    ck_assert_int_eq(hold("w1", 1, true, NULL, &again), PLEX_OK);
    ck_assert(is_there("x"));
    ck_assert_int_eq(hold("w1", 5, true, NULL, &again), PLEX_OK);
    ck_assert(!is_there("x"));
}
END_TEST

START_TEST(a_new_leader_learns_from_the_workers_before_it_gives_anything)
{
    bool again;

    worker("w1");
    ck_assert_int_eq(reserve("a", 600), PLEX_OK);
    ck_assert_int_eq(hold("w1", 2, false, "a", &again), PLEX_OK);
    cluster_restart(&c);
    ck_assert_int_eq(reserve("b", 600), PLEX_UNAVAILABLE);
    beat("w1", 1000);
    ck_assert_int_eq(reserve("b", 600), PLEX_UNAVAILABLE);
    ck_assert_int_eq(hold("w1", 3, false, "a", &again), PLEX_OK);
    ck_assert(again);
    ck_assert_int_eq(hold("w1", 4, true, "a", &again), PLEX_OK);
    ck_assert_int_eq(reserve("b", 600), PLEX_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(err.text, "left is 400 on w1"));
    ck_assert_int_eq(reserve("b", 400), PLEX_OK);
}
END_TEST

START_TEST(a_drained_worker_gets_nothing_new_at_once)
{
    worker("w1");
    worker("w2");
    (void)cluster_drain(&c, "w1");
    ck_assert_int_eq(reserve("a", 600), PLEX_OK);
    ck_assert_str_eq(got.held.node_id, "w2");
    ck_assert_int_eq(reserve("b", 600), PLEX_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(err.text, "1 not ready"));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("placement.reserve");
    TCase *tc = tcase_create("reserve");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc,
                   nothing_is_reserved_before_the_worker_said_what_it_holds);
    tcase_add_test(tc, what_is_never_held_runs_out_and_what_is_held_does_not);
    tcase_add_test(tc, a_worker_that_lapses_takes_its_reservations_along);
    tcase_add_test(tc, a_gap_in_what_a_worker_says_makes_it_say_all);
    tcase_add_test(
        tc, a_new_leader_learns_from_the_workers_before_it_gives_anything);
    tcase_add_test(tc, a_drained_worker_gets_nothing_new_at_once);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
