/* Timers, delayed casts, messages between actors. */
#include "tests/unit/worker/test_core.h"
#include "tests/unit/worker/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* -- timers that are not in memory ----------------------------------------- */

/* Timers leave memory with their actor. */
static struct world *
forgetful(void)
{
    struct work_core_config config = work_core_defaults;
    struct world *world;

    config.window_pends = 1;
    world = world_create(&config);
    world_start(world);
    return world;
}

/* "a" and "b" have a timer due after 100 s and are not in memory. */
static struct world *
forgotten(void)
{
    struct world *world = forgetful();

    (void)tell(world, NULL, "a", "timer 100000");
    (void)tell(world, NULL, "b", "timer 100000");
    world_wait(world, 61000);
    ck_assert_uint_eq(world_stats(world).activations, 0);
    ck_assert_uint_eq(world_stats(world).pendings, 0);
    ck_assert_uint_eq(world_pending(world), 2);
    return world;
}

/* To the moment that the core asked for, but not further than that many ms. */
static void
sleep_through(struct world *world, uint64_t ms)
{
    const uint64_t until = world->t.now_ns + ms * 1000000;

    while (world->t.now_ns < until) {
        uint64_t ns = work_core_due_in(world->core, world->t);

        if (ns > until - world->t.now_ns)
            ns = until - world->t.now_ns;
        world_wait(world, (ns + 999999) / 1000000);
    }
}

START_TEST(a_timer_that_left_memory_comes_back_in_time)
{
    struct world *world = forgotten();

    sleep_through(world, 38990);
    ck_assert_int_eq(world_stored(world, "a"), 0);
    sleep_through(world, 20);
    ck_assert_int_eq(world_stored(world, "a"), 100);
    ck_assert_int_eq(world_stored(world, "b"), 100);
    ck_assert_uint_eq(world_pending(world), 0);
    sleep_through(world, 200000);
    ck_assert_int_eq(world_stored(world, "a"), 100);
    world_free(world);
}
END_TEST

START_TEST(a_timer_that_left_memory_can_be_cancelled_and_replaced)
{
    struct world *world = forgotten();

    (void)tell(world, NULL, "a", "cancel");
    (void)tell(world, NULL, "b", "timer 1000");
    ck_assert_uint_eq(world_pending(world), 1);
    sleep_through(world, 1010);
    ck_assert_int_eq(world_stored(world, "b"), 100);
    sleep_through(world, 200000);
    ck_assert_int_eq(world_stored(world, "a"), 0);
    ck_assert_int_eq(world_stored(world, "b"), 100);
    ck_assert_uint_eq(world_pending(world), 0);
    world_free(world);
}
END_TEST

/* The page with the timer was read before it was cancelled, and comes after. */
START_TEST(a_page_that_comes_late_brings_no_cancelled_timer_back)
{
    struct world *world = forgotten();
    struct world_pending old[2];
    struct journal_pending_item items[2];

    world->hold_pages = true;
    sleep_through(world, 38900);
    ck_assert_uint_eq(world->n_held, 1);
    memcpy(old, world->pendings, sizeof old);
    for (int i = 0; i < 2; i++)
        items[i] = (struct journal_pending_item){
            .owner = {"acme", "default", "counter", i == 0 ? "a" : "b"},
            .pending = {{(const uint8_t *)old[i].id, strlen(old[i].id)},
                        old[i].due_ms,
                        {old[i].message, old[i].len}}};
    (void)tell(world, NULL, "a", "cancel");
    work_core_pendings(world->core, world->t, world->held[0].action.token,
                       PLEX_OK, items, 2, (struct plex_bytes){0}, 0);
    world->hold_pages = false;
    world_go(world);
    sleep_through(world, 200000);
    ck_assert_int_eq(world_stored(world, "a"), 0);
    ck_assert_int_eq(world_stored(world, "b"), 100);
    world_free(world);
}
END_TEST

/* It is loaded between the turn that cancels it and that turn's commit. */
START_TEST(a_timer_that_is_loaded_while_its_end_is_written_does_not_come)
{
    struct world *world = forgotten();

    sleep_through(world, 38000);
    world->hold_appends = true;
    (void)world_call(world,
                     (struct world_send){.key = "a", .payload = "cancel"});
    sleep_through(world, 2000);
    world->hold_appends = false;
    for (size_t i = 0; i < world->n_held; i++)
        world_unhold(world, i);
    sleep_through(world, 2000);
    ck_assert_int_eq(world_stored(world, "a"), 0);
    ck_assert_int_eq(world_stored(world, "b"), 100);
    world_free(world);
}
END_TEST

START_TEST(a_cancellation_of_a_timer_elsewhere_that_is_not_written_is_undone)
{
    struct world *world = forgotten();

    sleep_through(world, 38000);
    world->hold_appends = true;
    (void)world_call(world,
                     (struct world_send){.key = "a", .payload = "cancel"});
    world_fail_append(world, 0, PLEX_INTERNAL);
    world_fail_append(world, 1, PLEX_INTERNAL); /* the second attempt */
    world->hold_appends = false;
    sleep_through(world, 2000);
    ck_assert_int_eq(world_stored(world, "a"), 100);
    world_free(world);
}
END_TEST

/* A timer leaves memory while a read is out that began before it was set. */
START_TEST(what_leaves_memory_during_a_read_is_looked_for_again)
{
    struct world *world = forgetful();
    uint64_t token;

    (void)tell(world, NULL, "x", "timer 300000");
    (void)tell(world, NULL, "y", "timer 300000");
    world_wait(world, 61000);
    world->hold_pages = true;
    sleep_through(world, 238990);
    ck_assert_uint_eq(world->n_held, 1);
    token = world->held[0].action.token;
    (void)tell(world, NULL, "a", "timer 500000");
    (void)tell(world, NULL, "b", "timer 500000");
    world_wait(world, 61000);
    ck_assert_uint_eq(world_stats(world).pendings, 0);
    world->hold_pages = false;
    work_core_pendings(world->core, world->t, token, PLEX_OK, NULL, 0,
                       (struct plex_bytes){0}, 0);
    world_go(world);
    sleep_through(world, 440000);
    ck_assert_int_eq(world_stored(world, "a"), 100);
    ck_assert_int_eq(world_stored(world, "b"), 100);
    world_free(world);
}
END_TEST

/* Many timers, pages of two, little room: none early, none late, none lost. */
START_TEST(timers_of_a_shard_that_is_taken_over_are_loaded_page_by_page)
{
    struct work_core_config config = work_core_defaults;
    struct world *world, *next;
    char key[8], payload[32];

    config.window_pends = 4;
    world = world_create(NULL);
    world_start(world);
    for (int i = 0; i < 40; i++) {
        snprintf(key, sizeof key, "k%d", i);
        snprintf(payload, sizeof payload, "timer %d", 1000 + i * 7 % 40 * 2000);
        (void)tell(world, NULL, key, payload);
    }
    next = world_create(&config);
    next->page_max = 2;
    memcpy(next->actors, world->actors, sizeof next->actors);
    next->n_actors = world->n_actors;
    memcpy(next->pendings, world->pendings, sizeof next->pendings);
    memset(world->pendings, 0, sizeof world->pendings);
    next->ranges[0].epoch = 2;
    next->table.version = 2;
    world_start(next);
    ck_assert_uint_le(world_stats(next).pendings, 8);
    for (int ms = 0; ms <= 81000; ms += 500) {
        size_t most = 0;

        for (int i = 0; i < 40; i++) {
            snprintf(key, sizeof key, "k%d", i);
            ck_assert_int_eq(world_stored(next, key),
                             1000 + i * 7 % 40 * 2000 <= ms ? 100 : 0);
        }
        most = world_stats(next).pendings;
        ck_assert_uint_le(most, 34);
        sleep_through(next, 500);
    }
    ck_assert_uint_eq(world_pending(next), 0);
    world_free(world);
    world_free(next);
}
END_TEST

/* What waits for them goes on as they end. */
START_TEST(timers_that_are_due_at_once_do_not_all_load_their_actors_at_once)
{
    struct work_core_config config = work_core_defaults;
    struct world *world;
    char key[8];

    config.loading_max = 4;
    world = world_create(&config);
    world_start(world);
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "k%d", i);
        (void)tell(world, NULL, key, "timer 100000");
    }
    world_wait(world, 61000); /* none is in memory */
    world->hold_loads = true;
    world_wait(world, 40000);
    ck_assert_uint_eq(world->n_held, 4);
    ck_assert_uint_gt(work_core_due_in(world->core, world->t), 1000000);
    world->hold_loads = false;
    for (size_t i = 0; i < 4; i++)
        world_unhold(world, i);
    for (int i = 0; i < 10; i++)
        world_wait(world, 1);
    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "k%d", i);
        ck_assert_int_eq(world_stored(world, key), 100);
    }
    world_free(world);
}
END_TEST

START_TEST(a_clock_that_is_set_forward_brings_what_is_due)
{
    struct world *world = forgotten();

    world->t.wall_ms += 3600000;
    sleep_through(world, 2);
    ck_assert_int_eq(world_stored(world, "a"), 100);
    ck_assert_int_eq(world_stored(world, "b"), 100);
    (void)tell(world, NULL, "a", "timer 100000");
    world->t.wall_ms -= 1800000; /* and back */
    sleep_through(world, 1890000);
    ck_assert_int_eq(world_stored(world, "a"), 100);
    sleep_through(world, 60010);
    ck_assert_int_eq(world_stored(world, "a"), 200);
    world_free(world);
}
END_TEST

START_TEST(a_journal_that_cannot_be_read_is_asked_again)
{
    struct world *world = forgotten();

    world->hold_pages = true;
    sleep_through(world, 38990);
    ck_assert_uint_eq(world->n_held, 1);
    work_core_pendings(world->core, world->t, world->held[0].action.token,
                       PLEX_UNAVAILABLE, NULL, 0, (struct plex_bytes){0}, 0);
    world->hold_pages = false;
    sleep_through(world, 60);
    ck_assert_int_eq(world_stored(world, "a"), 100);
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
    tcase_add_test(tests, a_timer_that_left_memory_comes_back_in_time);
    tcase_add_test(tests,
                   a_timer_that_left_memory_can_be_cancelled_and_replaced);
    tcase_add_test(tests,
                   a_page_that_comes_late_brings_no_cancelled_timer_back);
    tcase_add_test(
        tests, a_timer_that_is_loaded_while_its_end_is_written_does_not_come);
    tcase_add_test(
        tests,
        a_cancellation_of_a_timer_elsewhere_that_is_not_written_is_undone);
    tcase_add_test(tests, what_leaves_memory_during_a_read_is_looked_for_again);
    tcase_add_test(
        tests, timers_of_a_shard_that_is_taken_over_are_loaded_page_by_page);
    tcase_add_test(
        tests,
        timers_that_are_due_at_once_do_not_all_load_their_actors_at_once);
    tcase_add_test(tests, a_clock_that_is_set_forward_brings_what_is_due);
    tcase_add_test(tests, a_journal_that_cannot_be_read_is_asked_again);
    return tests;
}
