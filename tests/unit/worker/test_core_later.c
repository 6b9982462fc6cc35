/* Timers, delayed casts, messages between actors. */
#include "tests/unit/worker/test_core.h"
#include "tests/unit/worker/world.h"

#include <stdio.h>
#include <stdlib.h>

static struct world *
started(void)
{
    struct world *world = world_create(NULL);

    world_start(world);
    return world;
}

static const char *
tell(struct world *world, const char *type, const char *key,
     const char *payload)
{
    return world_call(world, (struct world_send){.type = type,
                                                 .key = key,
                                                 .payload = payload})
        ->payload;
}

START_TEST(a_timer_fires_once_when_it_is_due)
{
    struct world *world = started();

    (void)tell(world, NULL, "a", "timer 1000");
    ck_assert_uint_eq(world_pending(world), 1);
    ck_assert_uint_eq(work_core_due_in(world->core, world->t), 1000000000);
    world_wait(world, 999);
    ck_assert_str_eq(tell(world, NULL, "a", "get"), "0");
    world_wait(world, 1);
    ck_assert_str_eq(tell(world, NULL, "a", "get"), "100");
    ck_assert_uint_eq(world_pending(world), 0);
    world_wait(world, 5000);
    ck_assert_str_eq(tell(world, NULL, "a", "get"), "100");
    ck_assert_uint_eq(world_stats(world).pendings, 0);
    world_free(world);
}
END_TEST

START_TEST(a_timer_set_again_is_replaced_and_can_be_cancelled)
{
    struct world *world = started();

    (void)tell(world, NULL, "a", "timer 1000");
    (void)tell(world, NULL, "a", "timer 3000");
    ck_assert_uint_eq(world_pending(world), 1);
    world_wait(world, 1500);
    ck_assert_str_eq(tell(world, NULL, "a", "get"), "0");
    (void)tell(world, NULL, "a", "cancel");
    ck_assert_uint_eq(world_pending(world), 0);
    world_wait(world, 5000);
    ck_assert_str_eq(tell(world, NULL, "a", "get"), "0");
    ck_assert_uint_eq(world_stats(world).pendings, 0);
    world_free(world);
}
END_TEST

START_TEST(a_timer_wakes_a_passivated_actor)
{
    struct world *world = started();

    (void)tell(world, NULL, "a", "timer 100000");
    world_wait(world, 61000);
    ck_assert_uint_eq(world_stats(world).activations, 0);
    world_wait(world, 40000);
    ck_assert_int_eq(world_stored(world, "a"), 100);
    world_free(world);
}
END_TEST

START_TEST(a_cancellation_that_is_not_written_leaves_the_timer_alone)
{
    struct world *world = started();

    (void)tell(world, NULL, "a", "timer 1000");
    world->hold_appends = true;
    (void)world_call(world,
                     (struct world_send){.key = "a", .payload = "cancel"});
    world_wait(world, 1200); /* due, but perhaps cancelled */
    world_fail_append(world, 0, PLEX_INTERNAL);
    world_fail_append(world, 1, PLEX_INTERNAL); /* the second attempt */
    world->hold_appends = false;
    ck_assert_int_eq(world->answers[2].status, PLEX_UNAVAILABLE);
    world_wait(world, 500);
    ck_assert_int_eq(world_stored(world, "a"), 100);
    world_free(world);
}
END_TEST

/* The store did it and its answer was lost: the timer is not there any more. */
START_TEST(a_cancellation_that_was_written_after_all_holds)
{
    struct world *world = started();

    (void)tell(world, NULL, "a", "timer 1000");
    world->hold_appends = true;
    (void)world_call(world,
                     (struct world_send){.key = "a", .payload = "cancel"});
    ck_assert_uint_eq(world_pending(world), 1);
    for (size_t i = 0; i < 256; i++)
        if (world->pendings[i].used) {
            free((char *)(uintptr_t)world->pendings[i].owner_id.key);
            world->pendings[i].used = false;
        }
    world->hold_appends = false;
    world_fail_append(world, 0, PLEX_UNKNOWN);
    world_wait(world, 2000);
    ck_assert_int_eq(world_stored(world, "a"), 0);
    world_free(world);
}
END_TEST

START_TEST(timers_survive_in_the_journal_for_the_next_owner)
{
    struct world *world = started();

    (void)tell(world, NULL, "a", "timer 1000");
    world->table.version = 2;
    world->ranges[0].worker = 1;
    world->ranges[0].epoch = 2;
    work_core_table(world->core, world->t, &world->table);
    world_go(world);
    ck_assert_uint_eq(world_stats(world).pendings, 0);
    world_wait(world, 2000);
    ck_assert_uint_eq(world_pending(world), 1);
    world->table.version = 3;
    world->ranges[0].worker = 0;
    world->ranges[0].epoch = 3;
    work_core_table(world->core, world->t, &world->table);
    world_go(world);
    world_wait(world, 1);
    ck_assert_int_eq(world_stored(world, "a"), 100);
    ck_assert_uint_eq(world_pending(world), 0);
    world_free(world);
}
END_TEST

START_TEST(a_timer_of_an_actor_that_is_not_durable_fires_and_keeps_it)
{
    struct world *world = started();

    (void)tell(world, "volatile", "a", "timer 100000");
    world_wait(world, 61000);
    ck_assert_uint_eq(world_stats(world).activations, 1);
    world_wait(world, 40000);
    ck_assert_str_eq(tell(world, "volatile", "a", "get"), "100");
    world_wait(world, 61000);
    ck_assert_uint_eq(world_stats(world).activations, 0);
    world_free(world);
}
END_TEST

START_TEST(a_delayed_cast_is_kept_and_delivered_once)
{
    struct world *world = started();
    const struct world_send cast = {.key = "a",
                                    .payload = "inc",
                                    .id = "d",
                                    .delay_ms = 1000,
                                    .kind = WORK_CAST};

    ck_assert_uint_eq(world_call(world, cast)->http_status, 202);
    ck_assert(world_call(world, cast)->replayed);
    ck_assert_uint_eq(world_pending(world), 1);
    ck_assert_str_eq(world->pendings[0].id, "d");
    world_wait(world, 1000);
    ck_assert_int_eq(world_stored(world, "a"), 1);
    ck_assert(world_call(world, cast)->replayed);
    world_wait(world, 2000);
    ck_assert_int_eq(world_stored(world, "a"), 1);
    ck_assert_uint_eq(world_pending(world), 0);
    world_free(world);
}
END_TEST

START_TEST(a_delayed_cast_to_an_actor_that_is_not_durable_is_kept_in_memory)
{
    struct world *world = started();

    ck_assert_uint_eq(world_call(world, (struct world_send){.type = "volatile",
                                                            .key = "a",
                                                            .payload = "inc",
                                                            .delay_ms = 1000,
                                                            .kind = WORK_CAST})
                          ->http_status,
                      202);
    world_wait(world, 1000);
    ck_assert_str_eq(tell(world, "volatile", "a", "get"), "1");
    ck_assert_uint_eq(world->n_appends, 0);
    world_free(world);
}
END_TEST

START_TEST(a_message_to_another_actor_arrives_once_and_is_settled)
{
    struct world *world = started();

    (void)tell(world, NULL, "a", "tell b");
    ck_assert_int_eq(world_stored(world, "b"), 1);
    ck_assert_uint_eq(world_pending(world), 0);
    ck_assert_uint_eq(world->n_settles, 1);
    ck_assert_uint_eq(world_stats(world).pendings, 0);
    world_free(world);
}
END_TEST

START_TEST(a_call_to_another_actor_comes_back_as_a_reply)
{
    struct world *world = started();

    (void)tell(world, NULL, "a", "ask b");
    ck_assert_int_eq(world_stored(world, "b"), 1);
    world_wait(world, 1);
    ck_assert_int_eq(world_stored(world, "a"), 1000);
    ck_assert_uint_eq(world_pending(world), 0);
    (void)tell(world, NULL, "a", "ask a"); /* itself */
    world_wait(world, 1);
    ck_assert_int_eq(world_stored(world, "a"), 2001);
    (void)tell(world, "volatile", "v", "ask w");
    world_wait(world, 1);
    ck_assert_str_eq(tell(world, "volatile", "v", "get"), "1000");
    ck_assert_str_eq(tell(world, "volatile", "w", "get"), "1");
    world_free(world);
}
END_TEST

/* A key whose actor is in the other worker's half. */
static const char *
key_of_other(char *key, size_t size)
{
    for (int i = 0;; i++) {
        struct plex_actor_id id = {"acme", "default", "counter", key};

        snprintf(key, size, "o%d", i);
        if (plex_shard_of(plex_actor_hash(&id), 12) >= 2048)
            return key;
    }
}

static const char *
key_of_ours(char *key, size_t size)
{
    for (int i = 0;; i++) {
        struct plex_actor_id id = {"acme", "default", "counter", key};

        snprintf(key, size, "u%d", i);
        if (plex_shard_of(plex_actor_hash(&id), 12) < 2048)
            return key;
    }
}

static struct world *
halved(void)
{
    struct world *world = world_create(NULL);

    world->ranges[0] = (struct place_range){0, 2047, 1, 0};
    world->ranges[1] = (struct place_range){2048, 4095, 1, 1};
    world->table.n_ranges = 2;
    world_start(world);
    return world;
}

START_TEST(messages_to_another_worker_are_sent_in_order_until_confirmed)
{
    struct world *world = halved();
    struct work_reply good = {.content_type = "", .error = ""};
    char ours[16], theirs[16], payload[32];

    snprintf(payload, sizeof payload, "tell %s",
             key_of_other(theirs, sizeof theirs));
    (void)key_of_ours(ours, sizeof ours);
    world->refuse_others = true;
    (void)tell(world, NULL, ours, payload);
    (void)tell(world, NULL, ours, payload);
    ck_assert_uint_eq(world->n_sends, 1); /* one at a time */
    world_wait(world, 49);
    ck_assert_uint_eq(world->n_sends, 1);
    world->refuse_others = false;
    world_wait(world, 1);
    ck_assert_uint_eq(world->n_sends, 2);
    work_core_sent(world->core, world->t, world->sent_token, PLEX_OK, &good);
    world_go(world);
    ck_assert_uint_eq(world->n_sends, 3);
    ck_assert_uint_eq(world_pending(world), 1);
    work_core_sent(world->core, world->t, world->sent_token, PLEX_OK, &good);
    world_go(world);
    ck_assert_uint_eq(world_pending(world), 0);
    world_free(world);
}
END_TEST

START_TEST(a_call_that_nobody_answers_times_out)
{
    struct world *world = halved();
    char ours[16], theirs[16], payload[32];

    snprintf(payload, sizeof payload, "ask %s",
             key_of_other(theirs, sizeof theirs));
    (void)key_of_ours(ours, sizeof ours);
    world->refuse_others = true;
    (void)tell(world, NULL, ours, payload);
    for (int i = 0; i < 100; i++)
        world_wait(world, 100);
    ck_assert_int_eq(world_stored(world, ours), 10000);
    ck_assert_uint_eq(world_pending(world), 0);
    world_free(world);
}
END_TEST

START_TEST(nothing_is_sent_before_its_turn_is_written)
{
    struct world *world = started();

    (void)tell(world, NULL, "a", "get");
    world->hold_appends = true;
    (void)world_call(world,
                     (struct world_send){.key = "a", .payload = "tell b"});
    ck_assert_uint_eq(world->n_runs, 2);
    ck_assert_int_eq(world_stored(world, "b"), 0);
    world->hold_appends = false;
    world_unhold(world, 0);
    ck_assert_int_eq(world_stored(world, "b"), 1);
    world_free(world);
}
END_TEST

START_TEST(a_core_can_be_freed_with_everything_under_way)
{
    struct world *world = halved();
    char ours[16], theirs[16], payload[32];

    snprintf(payload, sizeof payload, "tell %s",
             key_of_other(theirs, sizeof theirs));
    (void)key_of_ours(ours, sizeof ours);
    (void)tell(world, NULL, ours, payload);
    (void)tell(world, NULL, ours, "timer 1000");
    world->hold_appends = true;
    (void)world_call(world,
                     (struct world_send){.key = ours, .payload = payload});
    (void)world_call(world,
                     (struct world_send){.key = ours, .payload = "cancel"});
    world->hold_runs = true;
    (void)world_call(world, (struct world_send){.key = ours, .payload = "inc"});
    (void)world_post(world, (struct world_send){.key = ours, .payload = "inc"});
    world_free(world);
}
END_TEST

TCase *
core_later_tests(void)
{
    TCase *tests = tcase_create("later");

    tcase_add_test(tests, a_timer_fires_once_when_it_is_due);
    tcase_add_test(tests, a_timer_set_again_is_replaced_and_can_be_cancelled);
    tcase_add_test(tests, a_timer_wakes_a_passivated_actor);
    tcase_add_test(tests,
                   a_cancellation_that_is_not_written_leaves_the_timer_alone);
    tcase_add_test(tests, a_cancellation_that_was_written_after_all_holds);
    tcase_add_test(tests, timers_survive_in_the_journal_for_the_next_owner);
    tcase_add_test(tests,
                   a_timer_of_an_actor_that_is_not_durable_fires_and_keeps_it);
    tcase_add_test(tests, a_delayed_cast_is_kept_and_delivered_once);
    tcase_add_test(
        tests,
        a_delayed_cast_to_an_actor_that_is_not_durable_is_kept_in_memory);
    tcase_add_test(tests,
                   a_message_to_another_actor_arrives_once_and_is_settled);
    tcase_add_test(tests, a_call_to_another_actor_comes_back_as_a_reply);
    tcase_add_test(
        tests, messages_to_another_worker_are_sent_in_order_until_confirmed);
    tcase_add_test(tests, a_call_that_nobody_answers_times_out);
    tcase_add_test(tests, nothing_is_sent_before_its_turn_is_written);
    tcase_add_test(tests, a_core_can_be_freed_with_everything_under_way);
    return tests;
}
