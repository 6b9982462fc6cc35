#include "services/placement/table.h"
#include "tests/unit/placement/cluster.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct cluster c;

static void
setup(void)
{
    cluster_open(&c, 12);
}

static void
teardown(void)
{
    struct plex_err err = {0};
    const struct place_table *table = place_core_table(c.core, "default");

    if (table != NULL)
        ck_assert_msg(place_table_check(table, &err) == PLEX_OK, "%s",
                      err.text);
    cluster_close(&c);
}

static uint64_t
epoch_of(uint32_t shard)
{
    return place_table_find(place_core_table(c.core, "default"), shard)->epoch;
}

START_TEST(the_first_heartbeat_gives_the_whole_table_at_once)
{
    struct cluster_answer answer = cluster_beat(&c, "w1", 1, 0);

    ck_assert_int_eq(answer.kind, PLACE_ACTION_HEARTBEAT);
    ck_assert_uint_eq(answer.lease_ms, 1500);
    ck_assert_uint_eq(answer.version, cluster_version(&c));
    ck_assert_uint_ge(answer.version, c.wall);
    ck_assert_uint_eq(cluster_owned(&c, "w1"), 4096);
    ck_assert_uint_ge(epoch_of(0), c.wall);
    ck_assert_uint_eq(place_core_table(c.core, "default")->n_ranges, 1);
}
END_TEST

START_TEST(a_late_joiner_gets_its_share_after_the_settle_delay)
{
    const char *const both[] = {"w1", "w2", NULL};
    uint64_t before;

    (void)cluster_beat(&c, "w1", 1, 0);
    before = cluster_version(&c);
    (void)cluster_beat(&c, "w2", 1, 0);
    cluster_live(&c, 1500, both);
    ck_assert_uint_eq(cluster_version(&c), before);
    cluster_live(&c, 2000, both);
    ck_assert_uint_eq(cluster_owned(&c, "w1"), 2048);
    ck_assert_uint_eq(cluster_owned(&c, "w2"), 2048);
    ck_assert_uint_eq(place_core_table(c.core, "default")->n_ranges, 2);
    ck_assert_uint_eq(cluster_version(&c), before + 2);
}
END_TEST

START_TEST(a_move_waits_until_the_old_owner_has_seen_it)
{
    const char *const both[] = {"w1", "w2", NULL};
    uint64_t epoch, old;

    (void)cluster_beat(&c, "w1", 1, 0);
    (void)cluster_beat(&c, "w2", 1, 0);
    epoch = epoch_of(4095);
    cluster_live(&c, 1500, both);
    old = cluster_version(&c);
    cluster_run(&c, 600);
    ck_assert_uint_eq(cluster_moving(&c), 2048);
    ck_assert_uint_eq(epoch_of(4095), epoch);
    /* It renews, but with the table before: nothing may move. */
    (void)cluster_beat(&c, "w1", 1, old);
    (void)cluster_beat(&c, "w2", 1, cluster_version(&c));
    ck_assert_uint_eq(cluster_owned(&c, "w2"), 0);
    (void)cluster_beat(&c, "w1", 1, cluster_version(&c));
    ck_assert_uint_eq(cluster_owned(&c, "w2"), 2048);
    ck_assert_uint_eq(cluster_moving(&c), 0);
    ck_assert_uint_gt(epoch_of(4095), epoch);
    ck_assert_uint_eq(epoch_of(0), epoch);
}
END_TEST

START_TEST(a_moving_shard_is_free_once_its_old_owner_lapsed)
{
    const char *const both[] = {"w1", "w2", NULL};
    const char *const second[] = {"w2", NULL};

    (void)cluster_beat(&c, "w1", 1, 0);
    (void)cluster_beat(&c, "w2", 1, 0);
    cluster_live(&c, 1500, both);
    cluster_run(&c, 600);
    ck_assert_uint_eq(cluster_moving(&c), 2048);
    cluster_live(&c, 2000, second);
    ck_assert_uint_eq(cluster_owned(&c, "w2"), 4096);
}
END_TEST

static void
two_workers(void)
{
    const char *const both[] = {"w1", "w2", NULL};

    (void)cluster_beat(&c, "w1", 1, 0);
    cluster_live(&c, 4000, both);
    ck_assert_uint_eq(cluster_owned(&c, "w2"), 2048);
}

START_TEST(a_lapse_gives_the_shards_to_the_others_with_a_higher_epoch)
{
    const char *const second[] = {"w2", NULL};
    uint64_t epoch;

    two_workers();
    epoch = epoch_of(0);
    cluster_live(&c, 500, second);
    ck_assert_uint_eq(cluster_owned(&c, "w1"), 2048);
    cluster_live(&c, 1500, second);
    ck_assert_uint_eq(cluster_owned(&c, "w1"), 0);
    ck_assert_uint_eq(cluster_owned(&c, "w2"), 4096);
    ck_assert_uint_gt(epoch_of(0), epoch);
    ck_assert_uint_eq(place_core_stats(c.core).lapses, 1);
}
END_TEST

START_TEST(a_lapsed_worker_gets_no_lease_before_it_knows_what_it_lost)
{
    const char *const second[] = {"w2", NULL};
    uint64_t old;
    struct cluster_answer answer;

    two_workers();
    old = cluster_version(&c);
    cluster_live(&c, 2000, second);
    answer = cluster_beat(&c, "w1", 1, old);
    ck_assert_int_eq(answer.kind, PLACE_ACTION_HEARTBEAT);
    ck_assert_uint_eq(answer.lease_ms, 0);
    ck_assert_uint_gt(answer.version, old);
    answer = cluster_beat(&c, "w1", 1, answer.version);
    ck_assert_uint_eq(answer.lease_ms, 1500);
}
END_TEST

START_TEST(a_forgotten_worker_gets_no_lease_for_an_old_table)
{
    const char *const second[] = {"w2", NULL};
    uint64_t old;

    two_workers();
    old = cluster_version(&c);
    cluster_live(&c, 700000, second);
    ck_assert_uint_eq(cluster_beat(&c, "w1", 1, old).lease_ms, 0);
}
END_TEST

START_TEST(a_second_incarnation_waits_for_the_first_ones_lease)
{
    struct cluster_answer answer;
    uint64_t epoch;

    (void)cluster_beat(&c, "w1", 1, 0);
    epoch = epoch_of(7);
    cluster_run(&c, 1000);
    answer = cluster_beat(&c, "w1", 2, 0);
    ck_assert_int_eq(answer.status, PLEX_EXISTS);
    ck_assert_ptr_nonnull(strstr(answer.text, "inproc://w1"));
    ck_assert_ptr_nonnull(strstr(answer.text, "500 ms"));
    cluster_run(&c, 500);
    ck_assert_uint_eq(cluster_owned(&c, "w1"), 0);
    answer = cluster_beat(&c, "w1", 2, 0);
    ck_assert_uint_eq(answer.lease_ms, 1500);
    ck_assert_uint_eq(cluster_owned(&c, "w1"), 4096);
    ck_assert_uint_gt(epoch_of(7), epoch);
    ck_assert_uint_eq(
        place_core_table(c.core, "default")->workers[0].incarnation, 2);
}
END_TEST

START_TEST(leaving_gives_the_shards_away_at_once)
{
    two_workers();
    ck_assert_int_eq(cluster_leave(&c, "w1", 9).kind, PLACE_ACTION_LEFT);
    ck_assert_uint_eq(cluster_owned(&c, "w1"), 2048);
    ck_assert_int_eq(cluster_leave(&c, "w1", 1).kind, PLACE_ACTION_LEFT);
    ck_assert_uint_eq(cluster_owned(&c, "w1"), 0);
    ck_assert_uint_eq(cluster_owned(&c, "w2"), 4096);
    ck_assert_int_eq(cluster_leave(&c, "nobody", 1).kind, PLACE_ACTION_LEFT);
    ck_assert_uint_eq(cluster_beat(&c, "w1", 2, 0).lease_ms, 1500);
}
END_TEST

START_TEST(a_drained_worker_loses_its_shards_until_it_restarts)
{
    const char *const both[] = {"w1", "w2", NULL};
    const char *const second[] = {"w2", NULL};

    two_workers();
    ck_assert_int_eq(cluster_drain(&c, "w9").status, PLEX_NOT_FOUND);
    ck_assert_uint_eq(cluster_drain(&c, "w1").shards_left, 2048);
    ck_assert_uint_eq(cluster_owned(&c, "w1"), 0);
    ck_assert_uint_eq(cluster_moving(&c), 2048);
    cluster_live(&c, 500, both);
    ck_assert_uint_eq(cluster_owned(&c, "w2"), 4096);
    ck_assert_uint_eq(cluster_drain(&c, "w1").shards_left, 0);
    cluster_live(&c, 5000, both);
    ck_assert_uint_eq(cluster_owned(&c, "w2"), 4096);
    /* Placement itself restarts: still drained. */
    cluster_restart(&c);
    cluster_live(&c, 5000, both);
    ck_assert_uint_eq(cluster_owned(&c, "w1"), 0);
    /* The worker restarts. */
    cluster_live(&c, 2000, second);
    (void)cluster_beat(&c, "w1", 2, 0);
    for (int i = 0; i < 10; i++) {
        (void)cluster_beat(&c, "w1", 2, cluster_version(&c));
        (void)cluster_beat(&c, "w2", 1, cluster_version(&c));
        cluster_run(&c, 500);
    }
    ck_assert_uint_eq(cluster_owned(&c, "w1"), 2048);
}
END_TEST

START_TEST(a_worker_drains_itself_by_its_heartbeat)
{
    struct place_heartbeat heartbeat = {.node_id = "w1",
                                        .url = "inproc://w1",
                                        .incarnation = 1,
                                        .pool = "default",
                                        .draining = true};

    two_workers();
    heartbeat.applied_version = cluster_version(&c);
    (void)cluster_beat_as(&c, &heartbeat);
    ck_assert_uint_eq(cluster_moving(&c), 2048);
    heartbeat.applied_version = cluster_version(&c);
    ck_assert_uint_eq(cluster_beat_as(&c, &heartbeat).lease_ms, 1500);
    ck_assert_uint_eq(cluster_owned(&c, "w2"), 4096);
}
END_TEST

START_TEST(the_only_worker_drains_by_force)
{
    struct place_action action;

    (void)cluster_beat(&c, "w1", 1, 0);
    place_core_drain(c.core, (void *)1, "w1", false, c.now, c.wall);
    ck_assert(place_core_next(c.core, &action));
    ck_assert_int_eq(action.status, PLEX_CONFLICT);
    ck_assert_str_eq(action.text,
                     "worker \"w1\" is the only one of pool default: its 4096 "
                     "shards would have no owner, and calls would be refused; "
                     "start another one first, or drain it by force");
    ck_assert_uint_eq(cluster_owned(&c, "w1"), 4096);
    ck_assert_uint_eq(cluster_drain(&c, "w1").shards_left, 4096);
    (void)cluster_beat(&c, "w1", 1, cluster_version(&c));
    ck_assert_uint_eq(cluster_drain(&c, "w1").shards_left, 0);
    ck_assert_uint_eq(cluster_moving(&c), 0);
    (void)cluster_beat(&c, "w2", 1, 0);
    ck_assert_uint_eq(cluster_owned(&c, "w2"), 4096);
}
END_TEST

START_TEST(minimal_movement_when_a_third_joins_and_one_leaves)
{
    const char *const three[] = {"w1", "w2", "w3", NULL};
    const struct place_table *table;
    uint64_t moves;

    two_workers();
    moves = place_core_stats(c.core).moves;
    cluster_live(&c, 5000, three);
    ck_assert_uint_eq(place_core_stats(c.core).moves - moves, 1365);
    ck_assert_uint_eq(cluster_owned(&c, "w3"), 1365);
    table = place_core_table(c.core, "default");
    ck_assert_uint_le(table->n_ranges, 6);
    (void)cluster_leave(&c, "w2", 1);
    ck_assert_uint_eq(cluster_owned(&c, "w1"), 2048);
    ck_assert_uint_eq(cluster_owned(&c, "w3"), 2048);
    ck_assert_uint_eq(place_core_stats(c.core).moves - moves, 1365);
}
END_TEST

START_TEST(nothing_is_published_before_it_is_saved)
{
    c.hold_saves = true;
    ck_assert_uint_eq(cluster_beat(&c, "w1", 1, 0).version, 0);
    ck_assert_uint_eq(cluster_version(&c), 0);
    place_core_watch(c.core, (void *)5, "", 0, 1000, c.now);
    cluster_pump(&c);
    ck_assert_int_eq(c.answers[4].kind, 0);
    cluster_release(&c, PLEX_OK);
    ck_assert_int_eq(c.answers[4].kind, PLACE_ACTION_TABLE);
    ck_assert_uint_eq(c.answers[4].version, cluster_version(&c));
    ck_assert_uint_ne(cluster_version(&c), 0);
}
END_TEST

START_TEST(a_failed_save_resigns_and_fails_who_waits)
{
    c.hold_saves = true;
    (void)cluster_beat(&c, "w1", 1, 0);
    place_core_watch(c.core, (void *)5, "", 0, 1000, c.now);
    cluster_release(&c, PLEX_UNAVAILABLE);
    ck_assert(!place_core_leads(c.core));
    ck_assert_int_eq(c.answers[4].status, PLEX_UNAVAILABLE);
    ck_assert_int_eq(cluster_beat(&c, "w1", 1, 0).status, PLEX_UNAVAILABLE);
    c.hold_saves = false;
    cluster_restart(&c);
    ck_assert_uint_eq(cluster_beat(&c, "w1", 1, 0).lease_ms, 1500);
}
END_TEST

START_TEST(no_answers_once_the_leaders_lease_is_over)
{
    place_core_lead(c.core, 9, c.now + 1000000000U, NULL, 0, c.now);
    c.leader_epoch = 9;
    ck_assert_uint_eq(cluster_beat(&c, "w1", 1, 0).lease_ms, 1500);
    place_core_renewed(c.core, c.now + 2000000000U);
    cluster_run(&c, 1400);
    ck_assert(place_core_leads(c.core));
    cluster_run(&c, 600);
    ck_assert(!place_core_leads(c.core));
    ck_assert_int_eq(cluster_beat(&c, "w1", 1, 0).status, PLEX_UNAVAILABLE);
    ck_assert_uint_eq(place_core_wake(c.core), UINT64_MAX);
}
END_TEST

START_TEST(a_restart_keeps_owners_and_gives_them_a_full_lease)
{
    const char *const both[] = {"w1", "w2", NULL};
    uint64_t version;

    two_workers();
    version = cluster_version(&c);
    cluster_run(&c, 900);
    cluster_restart(&c);
    ck_assert_uint_eq(cluster_version(&c), version);
    cluster_run(&c, 1400);
    ck_assert_uint_eq(cluster_owned(&c, "w1"), 2048);
    cluster_live(&c, 5000, both);
    ck_assert_uint_eq(cluster_version(&c), version);
    cluster_restart(&c);
    cluster_run(&c, 1600);
    ck_assert_uint_eq(cluster_owned(&c, "w1"), 0);
}
END_TEST

START_TEST(a_restart_within_a_move_waits_for_the_unknown_old_owner)
{
    const char *const both[] = {"w1", "w2", NULL};

    (void)cluster_beat(&c, "w1", 1, 0);
    (void)cluster_beat(&c, "w2", 1, 0);
    cluster_live(&c, 1500, both);
    cluster_run(&c, 600);
    ck_assert_uint_eq(cluster_moving(&c), 2048);
    cluster_restart(&c);
    ck_assert_uint_eq(
        cluster_beat(&c, "w1", 1, cluster_version(&c) - 1).lease_ms, 0);
    ck_assert_uint_eq(cluster_beat(&c, "w2", 1, cluster_version(&c)).lease_ms,
                      1500);
    ck_assert_uint_eq(cluster_owned(&c, "w2"), 0);
    ck_assert_uint_eq(cluster_beat(&c, "w1", 1, cluster_version(&c)).lease_ms,
                      1500);
    cluster_live(&c, 2000, both);
    ck_assert_uint_eq(cluster_owned(&c, "w2"), 2048);
}
END_TEST

START_TEST(a_clean_stop_leaves_nothing_to_wait_for)
{
    (void)cluster_beat(&c, "w1", 1, 0);
    (void)cluster_leave(&c, "w1", 1);
    ck_assert_uint_eq(cluster_moving(&c), 0);
    cluster_restart(&c);
    ck_assert_uint_eq(cluster_beat(&c, "w1", 2, 0).lease_ms, 1500);
    ck_assert_uint_eq(cluster_owned(&c, "w1"), 4096);
}
END_TEST

START_TEST(epochs_grow_even_when_the_clock_goes_back)
{
    uint64_t epoch;

    (void)cluster_beat(&c, "w1", 1, 0);
    epoch = epoch_of(0);
    c.wall -= 3600000;
    (void)cluster_leave(&c, "w1", 1);
    (void)cluster_beat(&c, "w1", 2, 0);
    ck_assert_uint_eq(epoch_of(0), epoch + 1);
}
END_TEST

START_TEST(pools_do_not_mix)
{
    struct place_heartbeat gpu = {
        .node_id = "g1", .url = "inproc://g1", .incarnation = 1, .pool = "gpu"};

    (void)cluster_beat(&c, "w1", 1, 0);
    ck_assert_uint_eq(cluster_beat_as(&c, &gpu).lease_ms, 1500);
    ck_assert_uint_eq(cluster_owned(&c, "w1"), 4096);
    ck_assert_uint_eq(place_core_table(c.core, "gpu")->n_ranges, 1);
    gpu.pool = "default";
    ck_assert_int_eq(cluster_beat_as(&c, &gpu).status, PLEX_INVALID);
    gpu.pool = "Not A Pool";
    ck_assert_int_eq(cluster_beat_as(&c, &gpu).status, PLEX_INVALID);
}
END_TEST

START_TEST(bad_heartbeats_are_refused)
{
    struct place_heartbeat bad = {
        .node_id = "w1", .url = "", .incarnation = 1, .pool = ""};

    ck_assert_int_eq(cluster_beat_as(&c, &bad).status, PLEX_INVALID);
    bad.url = "inproc://w1";
    bad.incarnation = 0;
    ck_assert_int_eq(cluster_beat_as(&c, &bad).status, PLEX_INVALID);
    bad.incarnation = 1;
    bad.node_id = "";
    ck_assert_int_eq(cluster_beat_as(&c, &bad).status, PLEX_INVALID);
}
END_TEST

START_TEST(workers_and_watchers_are_limited)
{
    char name[20];

    for (int i = 0; i < 16; i++) {
        snprintf(name, sizeof name, "w%d", i);
        ck_assert_int_eq(cluster_beat(&c, name, 1, 0).status, PLEX_OK);
    }
    ck_assert_int_eq(cluster_beat(&c, "one-more", 1, 0).status, PLEX_LIMIT);
}
END_TEST

START_TEST(a_watch_times_out_with_nothing_new)
{
    (void)cluster_beat(&c, "w1", 1, 0);
    place_core_watch(c.core, (void *)3, "default", cluster_version(&c), 100,
                     c.now);
    cluster_pump(&c);
    ck_assert_int_eq(c.answers[2].kind, 0);
    cluster_run(&c, 99);
    ck_assert_int_eq(c.answers[2].kind, 0);
    cluster_run(&c, 1);
    ck_assert_int_eq(c.answers[2].kind, PLACE_ACTION_TABLE);
    ck_assert(c.answers[2].unchanged);
}
END_TEST

START_TEST(a_worker_that_never_sees_new_tables_loses_its_lease)
{
    const char *const both[] = {"w1", "w2", NULL};
    uint64_t old;

    (void)cluster_beat(&c, "w1", 1, 0);
    (void)cluster_beat(&c, "w2", 1, 0);
    cluster_live(&c, 1500, both);
    old = cluster_version(&c);
    for (int i = 0; i < 40; i++) {
        (void)cluster_beat(&c, "w1", 1, old);
        (void)cluster_beat(&c, "w2", 1, cluster_version(&c));
        cluster_run(&c, 500);
    }
    ck_assert_uint_eq(cluster_owned(&c, "w2"), 4096);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("placement.core");
    TCase *tc = tcase_create("core");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, the_first_heartbeat_gives_the_whole_table_at_once);
    tcase_add_test(tc, a_late_joiner_gets_its_share_after_the_settle_delay);
    tcase_add_test(tc, a_move_waits_until_the_old_owner_has_seen_it);
    tcase_add_test(tc, a_moving_shard_is_free_once_its_old_owner_lapsed);
    tcase_add_test(tc,
                   a_lapse_gives_the_shards_to_the_others_with_a_higher_epoch);
    tcase_add_test(tc,
                   a_lapsed_worker_gets_no_lease_before_it_knows_what_it_lost);
    tcase_add_test(tc, a_forgotten_worker_gets_no_lease_for_an_old_table);
    tcase_add_test(tc, a_second_incarnation_waits_for_the_first_ones_lease);
    tcase_add_test(tc, leaving_gives_the_shards_away_at_once);
    tcase_add_test(tc, a_drained_worker_loses_its_shards_until_it_restarts);
    tcase_add_test(tc, a_worker_drains_itself_by_its_heartbeat);
    tcase_add_test(tc, the_only_worker_drains_by_force);
    tcase_add_test(tc, minimal_movement_when_a_third_joins_and_one_leaves);
    tcase_add_test(tc, nothing_is_published_before_it_is_saved);
    tcase_add_test(tc, a_failed_save_resigns_and_fails_who_waits);
    tcase_add_test(tc, no_answers_once_the_leaders_lease_is_over);
    tcase_add_test(tc, a_restart_keeps_owners_and_gives_them_a_full_lease);
    tcase_add_test(tc, a_restart_within_a_move_waits_for_the_unknown_old_owner);
    tcase_add_test(tc, a_clean_stop_leaves_nothing_to_wait_for);
    tcase_add_test(tc, epochs_grow_even_when_the_clock_goes_back);
    tcase_add_test(tc, pools_do_not_mix);
    tcase_add_test(tc, bad_heartbeats_are_refused);
    tcase_add_test(tc, workers_and_watchers_are_limited);
    tcase_add_test(tc, a_watch_times_out_with_nothing_new);
    tcase_add_test(tc, a_worker_that_never_sees_new_tables_loses_its_lease);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
