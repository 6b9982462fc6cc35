/* Journals that fail, epochs that pass, shards that go. */
#include "tests/unit/worker/test_core.h"
#include "tests/unit/worker/world.h"

#include <stdio.h>
#include <stdlib.h>

static const struct world_send inc_a = {.key = "a", .payload = "inc"};
static const struct world_send get_a = {.key = "a", .payload = "get"};

static struct world *
started(void)
{
    struct world *world = world_create(NULL);

    world_start(world);
    return world;
}

START_TEST(a_failed_append_rebuilds_the_actor_and_runs_the_messages_again)
{
    struct world *world = started();

    (void)world_call(world, inc_a);
    world->append_status = PLEX_UNAVAILABLE;
    ck_assert_str_eq(world_call(world, inc_a)->payload, "2");
    ck_assert_uint_eq(world->n_loads, 2);
    ck_assert_uint_eq(world_stats(world).dropped_total, 1);
    ck_assert_int_eq(world_stored(world, "a"), 2);
    world_free(world);
}
END_TEST

START_TEST(a_store_that_goes_on_failing_is_reported)
{
    struct world *world = started();

    world->hold_appends = true;
    (void)world_call(world, inc_a);
    world_fail_append(world, 0, PLEX_INTERNAL);
    ck_assert(!world->answers[1].given);
    world_fail_append(world, 1, PLEX_INTERNAL);
    ck_assert_int_eq(world->answers[1].status, PLEX_UNAVAILABLE);
    ck_assert_str_eq(world->answers[1].text, "the store failed");
    ck_assert_uint_eq(world_stats(world).messages, 0);
    world_free(world);
}
END_TEST

START_TEST(all_unreleased_turns_go_with_a_failed_append)
{
    struct world *world = started();
    uint64_t get;

    world->hold_appends = true;
    (void)world_call(world, inc_a);
    (void)world_call(world, inc_a);
    get = world_post(world, get_a);
    world_go(world);
    world_fail_append(world, 0, PLEX_UNAVAILABLE);
    /* The second batch is on its way: nothing can be said before it ends. */
    ck_assert_uint_eq(world->n_loads, 1);
    world->hold_appends = false;
    world_unhold(world, 1); /* CONFLICT: the first is missing */
    ck_assert_str_eq(world->answers[1].payload, "1");
    ck_assert_str_eq(world->answers[2].payload, "2");
    ck_assert_str_eq(world->answers[get].payload, "2");
    ck_assert_int_eq(world_stored(world, "a"), 2);
    world_free(world);
}
END_TEST

START_TEST(an_unknown_append_is_reported_as_unknown)
{
    struct world *world = started();

    world->hold_appends = true;
    (void)world_call(world, inc_a);
    world_fail_append(world, 0, PLEX_UNKNOWN);
    ck_assert_int_eq(world->answers[1].status, PLEX_UNKNOWN);
    world->hold_appends = false;
    ck_assert_str_eq(world_call(world, inc_a)->payload, "1");
    ck_assert_uint_eq(world->n_loads, 2);
    world_free(world);
}
END_TEST

START_TEST(an_entry_that_exists_answers_with_the_recorded_reply)
{
    struct world *world = started();
    struct world_send inc = {
        .key = "a", .payload = "inc", .id = "x", .hash = 5};

    (void)world_call(world, get_a);
    world_write_behind(world, "a", 41, "x", 5, "41");
    ck_assert_str_eq(world_call(world, inc)->payload, "41");
    ck_assert(world->answers[2].replayed && world->answers[2].recorded);
    ck_assert_str_eq(world_call(world, get_a)->payload, "41");
    world_write_behind(world, "a", 42, "y", 5, "42");
    inc.id = "y";
    inc.hash = 6;
    ck_assert_int_eq(world_call(world, inc)->status, PLEX_MISMATCH);
    ck_assert_int_eq(world_stored(world, "a"), 42);
    world_free(world);
}
END_TEST

START_TEST(a_conflict_rebuilds_and_runs_again)
{
    struct world *world = started();

    (void)world_call(world, inc_a);
    world_write_behind(world, "a", 10, "other", 0, "10");
    ck_assert_str_eq(world_call(world, inc_a)->payload, "11");
    world_free(world);
}
END_TEST

START_TEST(a_fenced_append_gives_the_shard_up)
{
    struct world *world = started();

    (void)world_call(world, inc_a);
    world->fence_epoch = 2;
    /* The link may have sent it before: nobody may say "not done". */
    ck_assert_int_eq(world_call(world, inc_a)->status, PLEX_UNKNOWN);
    ck_assert_int_eq(world_call(world, get_a)->status, PLEX_NOT_OWNER);
    ck_assert_uint_eq(world_stats(world).fenced_total, 1);
    ck_assert_int_eq(world_stored(world, "a"), 1);
    /* A table with a newer epoch gives it back. */
    world->table.version = 2;
    world->ranges[0].epoch = 3;
    work_core_table(world->core, world->t, &world->table);
    world_go(world);
    ck_assert_str_eq(world_call(world, inc_a)->payload, "2");
    world_free(world);
}
END_TEST

START_TEST(lost_shards_take_their_actors_and_waiting_calls_along)
{
    struct world *world = started();

    world->hold_appends = true;
    (void)world_call(world, inc_a); /* is being written */
    world->hold_loads = true;
    (void)world_call(world, (struct world_send){.key = "b", .payload = "inc"});
    world->table.version = 2;
    world->ranges[0] = (struct place_range){0, 4095, 2, 1};
    work_core_table(world->core, world->t, &world->table);
    world_go(world);
    ck_assert_int_eq(world->answers[2].status, PLEX_NOT_OWNER);
    ck_assert(!world->answers[1].given);
    ck_assert_int_eq(world_call(world, get_a)->status, PLEX_NOT_OWNER);
    world_unhold(world, 0); /* it was written before the new owner fenced */
    ck_assert_str_eq(world->answers[1].payload, "1");
    ck_assert_uint_eq(world_stats(world).activations, 0);
    ck_assert_uint_eq(work_core_applied_version(world->core), 2);
    world_free(world);
}
END_TEST

/* Whoever asked must not be told that it was done. */
START_TEST(an_upgrade_does_not_change_why_an_actor_that_is_lost_goes)
{
    static const char other[] = "other";
    struct world *world = started();
    struct work_outcome outcome = {0};

    world->hold_runs = true;
    (void)world_call(world, inc_a);
    ck_assert_uint_eq(world->n_held, 1);
    world->table.version = 2;
    world->ranges[0] = (struct place_range){0, 4095, 2, 1};
    work_core_table(world->core, world->t, &world->table);
    world_types(world, WORK_TYPE_RUNNING, other);
    world_go(world);
    ck_assert(!world->answers[1].given);
    work_core_ran(world->core, world->t, world->held[0].action.token, &outcome);
    world_go(world);
    ck_assert(world->answers[1].given);
    ck_assert_int_eq(world->answers[1].status, PLEX_NOT_OWNER);
    world_free(world);
}
END_TEST

START_TEST(a_shard_is_served_only_when_it_is_fenced_and_its_pendings_are_here)
{
    struct world *world = world_create(NULL);
    struct work_action action;
    uint64_t token;

    world_types(world, WORK_TYPE_RUNNING, "x");
    work_core_table(world->core, world->t, &world->table);
    world_lease(world, 100000);
    ck_assert(work_core_next(world->core, &action));
    ck_assert_int_eq(action.kind, WORK_DO_FENCE);
    ck_assert_uint_eq(action.fence.n, 1);
    ck_assert_uint_eq(action.fence.ranges[0].last, 4095);
    token = action.token;
    ck_assert_int_eq(world_call(world, inc_a)->status, PLEX_UNAVAILABLE);
    work_core_fenced(world->core, world->t, token, PLEX_TIMEOUT, 0);
    ck_assert_uint_le(work_core_due_in(world->core, world->t), 50000000);
    world_wait(world, 50);
    ck_assert_str_eq(world_call(world, inc_a)->payload, "1");
    world_free(world);
}
END_TEST

START_TEST(a_stale_range_does_not_hold_up_the_others)
{
    struct world *world = world_create(NULL);
    struct work_action action;
    int fences = 0;

    world_types(world, WORK_TYPE_RUNNING, "x");
    world->ranges[0] = (struct place_range){0, 2047, 1, 0};
    world->ranges[1] = (struct place_range){2048, 4095, 2, 0};
    world->table.n_ranges = 2;
    work_core_table(world->core, world->t, &world->table);
    world_lease(world, 100000);
    while (work_core_next(world->core, &action)) {
        if (action.kind == WORK_DO_FENCE) {
            const bool stale = action.fence.ranges[0].epoch == 1;

            fences++;
            work_core_fenced(world->core, world->t, action.token,
                             stale ? PLEX_FENCED : PLEX_OK, 5);
        } else {
            work_core_pendings(world->core, world->t, action.token, PLEX_OK,
                               NULL, 0, (struct plex_bytes){0}, 0);
        }
    }
    ck_assert_int_eq(fences, 3);
    ck_assert_uint_eq(world_stats(world).shards, 2048);
    ck_assert_uint_eq(world_stats(world).shards_taking, 2048);
    world_free(world);
}
END_TEST

START_TEST(a_lapsed_lease_silences_everything_but_what_is_written)
{
    struct world *world = started();
    struct world *short_lived = world_create(NULL);

    world_free(world);
    world = short_lived;
    world_types(world, WORK_TYPE_RUNNING, "x");
    work_core_table(world->core, world->t, &world->table);
    world_lease(world, 1000);
    world_go(world);
    world->hold_appends = true;
    (void)world_call(world, inc_a);
    (void)world_call(world, get_a);
    world->t.now_ns += 1500 * UINT64_C(1000000);
    world_unhold(world, 0);
    ck_assert_str_eq(world->answers[1].payload, "1");
    ck_assert_int_eq(world->answers[2].status, PLEX_UNAVAILABLE);
    ck_assert_int_eq(world_call(world, get_a)->status, PLEX_UNAVAILABLE);
    /* After a lapse a renewal counts only with the table of that time. */
    world->table.version = 2;
    world_lease(world, 1000);
    ck_assert_int_eq(world_call(world, get_a)->status, PLEX_UNAVAILABLE);
    work_core_table(world->core, world->t, &world->table);
    ck_assert_str_eq(world_call(world, get_a)->payload, "1");
    world_free(world);
}
END_TEST

START_TEST(stopped_and_undeployed_types_are_refused)
{
    struct world *world = started();

    (void)world_call(world, inc_a);
    world_types(world, WORK_TYPE_STOPPED, "behaviour");
    ck_assert_int_eq(world_call(world, inc_a)->status, PLEX_UNAVAILABLE);
    ck_assert_str_eq(world->answers[2].text, "application stopped");
    ck_assert_uint_eq(world_stats(world).activations, 0);
    work_core_types(world->core, world->t, NULL, 0);
    ck_assert_int_eq(world_call(world, inc_a)->status, PLEX_NOT_FOUND);
    world_types(world, WORK_TYPE_RUNNING, "behaviour");
    ck_assert_str_eq(world_call(world, inc_a)->payload, "2");
    world_free(world);
}
END_TEST

START_TEST(a_redeployed_behaviour_starts_from_the_journal)
{
    struct world *world = started();
    static const char other[] = "other";

    world->hold_appends = true;
    (void)world_call(world, inc_a);
    world_types(world, WORK_TYPE_RUNNING, other);
    world_go(world);
    world->hold_appends = false;
    world_unhold(world, 0);
    ck_assert_str_eq(world->answers[1].payload, "1");
    ck_assert_str_eq(world_call(world, inc_a)->payload, "2");
    ck_assert_uint_eq(world->n_loads, 2);
    world_free(world);
}
END_TEST

START_TEST(an_actor_that_cannot_be_loaded_answers_why)
{
    struct world *world = started();

    world->hold_loads = true;
    (void)world_call(world, inc_a);
    work_core_loaded(world->core, world->t, world->held[0].action.token,
                     PLEX_TIMEOUT, "no journal", NULL);
    world_go(world);
    ck_assert_int_eq(world->answers[1].status, PLEX_UNAVAILABLE);
    ck_assert_str_eq(world->answers[1].text, "no journal");
    (void)world_call(world, inc_a);
    work_core_loaded(
        world->core, world->t, world->held[1].action.token, PLEX_OK, "",
        &(struct journal_loaded){.has_state = true, .schema_version = 9});
    world_go(world);
    ck_assert_int_eq(world->answers[2].status, PLEX_UNSUPPORTED);
    world_free(world);
}
END_TEST

START_TEST(the_unsafe_switches_do_what_they_say)
{
    struct work_core_config config = work_core_defaults;
    const struct world_send inc = {.key = "a", .payload = "inc", .id = "x"};
    struct world *world;

    config.unsafe_reply_before_commit = true;
    world = world_create(&config);
    world_start(world);
    world->hold_appends = true;
    ck_assert_str_eq(world_call(world, inc)->payload, "1");
    world_free(world);

    config.unsafe_reply_before_commit = false;
    config.unsafe_no_dedup = true;
    world = world_create(&config);
    world_start(world);
    (void)world_call(world, inc);
    ck_assert_str_eq(world_call(world, inc)->payload, "2");
    world_free(world);
}
END_TEST

/* A store that is slow fails many writes at once; what their actors must know
 * then is asked for few at a time. */
START_TEST(few_ask_at_a_time_what_a_failed_append_has_left)
{
    enum { ACTORS = 40, AT_ONCE = 4 };
    struct world *world = started();
    char key[8];
    size_t pages = 0;

    for (int i = 0; i < ACTORS; i++) {
        snprintf(key, sizeof key, "k%d", i);
        (void)world_call(world,
                         (struct world_send){.key = key, .payload = "inc"});
    }
    world->hold_pages = true;
    for (int i = 0; i < ACTORS; i++) {
        snprintf(key, sizeof key, "k%d", i);
        world->append_status = PLEX_UNAVAILABLE;
        (void)world_post(world,
                         (struct world_send){.key = key, .payload = "inc"});
        world_go(world);
    }
    ck_assert_uint_eq(world->n_held, AT_ONCE);
    world->hold_pages = false;
    for (; pages < world->n_held; pages++)
        work_core_pendings(world->core, world->t,
                           world->held[pages].action.token, PLEX_OK, NULL, 0,
                           (struct plex_bytes){0}, 0);
    world_go(world);
    for (int i = 0; i < ACTORS; i++) {
        snprintf(key, sizeof key, "k%d", i);
        ck_assert_int_eq(world_stored(world, key), 2);
    }
    world_free(world);
}
END_TEST

TCase *
core_fault_tests(void)
{
    TCase *tests = tcase_create("faults");

    tcase_add_test(
        tests, a_failed_append_rebuilds_the_actor_and_runs_the_messages_again);
    tcase_add_test(tests, a_store_that_goes_on_failing_is_reported);
    tcase_add_test(tests, few_ask_at_a_time_what_a_failed_append_has_left);
    tcase_add_test(tests, all_unreleased_turns_go_with_a_failed_append);
    tcase_add_test(tests, an_unknown_append_is_reported_as_unknown);
    tcase_add_test(tests, an_entry_that_exists_answers_with_the_recorded_reply);
    tcase_add_test(tests, a_conflict_rebuilds_and_runs_again);
    tcase_add_test(tests, a_fenced_append_gives_the_shard_up);
    tcase_add_test(tests,
                   lost_shards_take_their_actors_and_waiting_calls_along);
    tcase_add_test(tests,
                   an_upgrade_does_not_change_why_an_actor_that_is_lost_goes);
    tcase_add_test(
        tests,
        a_shard_is_served_only_when_it_is_fenced_and_its_pendings_are_here);
    tcase_add_test(tests, a_stale_range_does_not_hold_up_the_others);
    tcase_add_test(tests,
                   a_lapsed_lease_silences_everything_but_what_is_written);
    tcase_add_test(tests, stopped_and_undeployed_types_are_refused);
    tcase_add_test(tests, a_redeployed_behaviour_starts_from_the_journal);
    tcase_add_test(tests, an_actor_that_cannot_be_loaded_answers_why);
    tcase_add_test(tests, the_unsafe_switches_do_what_they_say);
    return tests;
}
