/* What the facet virtual_actor asks for: who is in memory, and for how long. */
#include "tests/unit/worker/test_core.h"
#include "tests/unit/worker/world.h"

#include <stdio.h>
#include <string.h>

static struct world *
shaped(struct work_type shape)
{
    struct world *world = world_create(NULL);

    world->shape = shape;
    world_start(world);
    world_wait(world, 1);
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

static bool
in_memory(struct world *world, const char *type, const char *key)
{
    const struct plex_actor_id id = {"acme", "default", type, key};
    struct work_actor actor;
    struct plex_arena arena;
    bool there;

    plex_arena_init(&arena, 4096);
    there = work_core_inspect(world->core, world->t, &id, &arena, &actor);
    plex_arena_fini(&arena);
    return there;
}

START_TEST(one_type_may_hold_fewer_actors_than_the_worker)
{
    struct world *world = shaped((struct work_type){.max_active = 2});

    (void)tell(world, "counter", "a", "inc");
    world_wait(world, 1);
    (void)tell(world, "counter", "b", "inc");
    world_wait(world, 1);
    (void)tell(world, "counter", "c", "inc");
    ck_assert(!in_memory(world, "counter", "a")); /* used longest ago */
    ck_assert(in_memory(world, "counter", "b"));
    ck_assert_uint_eq(world_stats(world).evicted_total, 1);
    (void)tell(world, "volatile", "a", "inc"); /* another type's bound */
    ck_assert_uint_eq(world_stats(world).activations, 3);
    ck_assert_str_eq(tell(world, "counter", "a", "get"), "1");
    world_free(world);
}
END_TEST

START_TEST(actors_that_need_something_come_in_while_there_is_room)
{
    struct world *world =
        shaped((struct work_type){.needs = {.cpu_millis = 500}});
    const struct work_needs room = {.cpu_millis = 1200,
                                    .memory_bytes = UINT64_MAX};
    const struct world_answer *answer;

    work_core_room(world->core, &room);
    (void)tell(world, "counter", "a", "inc");
    (void)tell(world, "volatile", "b", "inc");
    ck_assert_uint_eq(world_stats(world).reserved_cpu_millis, 1000);
    /* Those that are idle make room, of the same type first. */
    world_wait(world, 1);
    (void)tell(world, "counter", "c", "inc");
    ck_assert(!in_memory(world, "counter", "a"));
    ck_assert(in_memory(world, "volatile", "b"));
    ck_assert_uint_eq(world_stats(world).reserved_cpu_millis, 1000);
    ck_assert_uint_eq(world_stats(world).evicted_total, 1);
    /* And those that are not, do not. */
    world->hold_runs = true;
    (void)world_call(world, (struct world_send){.key = "c", .payload = "inc"});
    (void)world_call(world, (struct world_send){.key = "d", .payload = "inc"});
    ck_assert(!in_memory(world, "volatile", "b"));
    answer =
        world_call(world, (struct world_send){.key = "e", .payload = "inc"});
    ck_assert(answer->given);
    ck_assert_int_eq(answer->status, PLEX_LIMIT);
    ck_assert_ptr_nonnull(strstr(answer->text,
                                 "none is idle: it needs 500 thousandths of a "
                                 "core, of 1200 for actors 200 a"));
    world_free(world);
}
END_TEST

START_TEST(what_actors_reserve_follows_their_type_and_ends_with_them)
{
    struct world *world =
        shaped((struct work_type){.needs = {.memory_bytes = 100}});
    const struct work_needs none = {0};

    (void)tell(world, "counter", "a", "inc");
    (void)tell(world, "counter", "b", "inc");
    ck_assert_uint_eq(world_stats(world).reserved_memory_bytes, 200);
    world->shape.needs.memory_bytes = 30;
    world_types(world, WORK_TYPE_RUNNING, world);
    ck_assert_uint_eq(world_stats(world).reserved_memory_bytes % 30, 0);
    /* Processes took what was left: who is there stays. */
    (void)tell(world, "counter", "a", "inc");
    work_core_room(world->core, &none);
    ck_assert(in_memory(world, "counter", "a"));
    ck_assert_str_eq(tell(world, "counter", "a", "get"), "2");
    world_types(world, WORK_TYPE_STOPPED, world);
    ck_assert_uint_eq(world_stats(world).reserved_memory_bytes, 0);
    world_free(world);
}
END_TEST

START_TEST(a_type_whose_actors_are_all_busy_takes_no_other)
{
    struct world *world = shaped((struct work_type){.max_active = 1});
    const struct world_answer *answer;

    world->hold_runs = true;
    (void)world_call(world, (struct world_send){.key = "a", .payload = "inc"});
    answer =
        world_call(world, (struct world_send){.key = "b", .payload = "inc"});
    ck_assert(answer->given);
    ck_assert_int_eq(answer->status, PLEX_LIMIT);
    ck_assert_ptr_nonnull(strstr(answer->text, "max_active"));
    world->hold_runs = false;
    world_unhold(world, 0);
    answer =
        world_call(world, (struct world_send){.key = "b", .payload = "inc"});
    ck_assert_int_eq(answer->status, PLEX_OK);
    world_free(world);
}
END_TEST

START_TEST(states_larger_than_memory_max_leave)
{
    struct world *world =
        shaped((struct work_type){.memory_max = 16, .evict_largest = true});

    for (int i = 0; i < 5; i++) {
        char key[8];

        snprintf(key, sizeof key, "k%d", i);
        (void)tell(world, "counter", key, "inc");
    }
    ck_assert_uint_eq(world_stats(world).activations, 2);
    ck_assert_uint_eq(world_stats(world).evicted_total, 3);
    ck_assert_str_eq(tell(world, "counter", "k0", "get"), "1");
    world_free(world);
}
END_TEST

START_TEST(a_state_that_persists_outlives_passivation_and_the_worker)
{
    struct world *world = shaped((struct work_type){.persist = true});

    (void)tell(world, "volatile", "a", "inc");
    (void)tell(world, "volatile", "a", "inc");
    ck_assert_uint_eq(world->n_appends, 0); /* not while it is in use */
    world_wait(world, 60000);
    ck_assert(!in_memory(world, "volatile", "a"));
    ck_assert_uint_eq(world->n_entries, 1);
    ck_assert_str_eq(tell(world, "volatile", "a", "get"), "2");
    world_wait(world, 60000);
    ck_assert_uint_eq(world->n_entries, 1); /* nothing new to write */
    ck_assert_str_eq(tell(world, "volatile", "a", "inc"), "3");
    world_wait(world, 60000);
    ck_assert_uint_eq(world->n_entries, 2);
    ck_assert_str_eq(tell(world, "volatile", "a", "get"), "3");
    world_free(world);
}
END_TEST

START_TEST(a_message_that_comes_while_the_state_is_written_is_handled)
{
    struct world *world = shaped((struct work_type){.persist = true});
    uint64_t call;

    (void)tell(world, "volatile", "a", "inc");
    world->hold_appends = true;
    world_wait(world, 60000);
    ck_assert_uint_eq(world->n_held, 1);
    call = world_post(
        world,
        (struct world_send){.type = "volatile", .key = "a", .payload = "inc"});
    world_go(world);
    world->hold_appends = false;
    world_unhold(world, 0);
    ck_assert(world->answers[call].given);
    ck_assert_str_eq(world->answers[call].payload, "2");
    ck_assert_str_eq(tell(world, "volatile", "a", "get"), "2");
    world_free(world);
}
END_TEST

START_TEST(an_older_owner_cannot_write_the_state_it_still_has)
{
    struct world *world = shaped((struct work_type){.persist = true});

    (void)tell(world, "volatile", "a", "inc");
    world->fence_epoch = 9; /* another worker serves the shard */
    world_wait(world, 60000);
    ck_assert_uint_eq(world_stats(world).fenced_total, 1);
    ck_assert_uint_eq(world_stats(world).activations, 0);
    world_free(world);
}
END_TEST

START_TEST(warm_keys_are_in_memory_before_anybody_asks)
{
    struct world *world = shaped(
        (struct work_type){.warm_keys = "a, b ,no/such", .pinned = false});

    ck_assert(in_memory(world, "counter", "a"));
    ck_assert(in_memory(world, "volatile", "b"));
    ck_assert_uint_eq(world_stats(world).activations, 4);
    ck_assert_uint_eq(world->n_runs, 0);
    world_wait(world, 60000);
    ck_assert_uint_eq(world_stats(world).activations, 0);
    world_free(world);
}
END_TEST

START_TEST(pinned_keys_stay_and_come_back_when_they_are_dropped)
{
    struct world *world =
        shaped((struct work_type){.warm_keys = "a", .pinned = true});

    world_wait(world, 600000);
    ck_assert_uint_eq(world_stats(world).activations, 2);
    world->append_status = PLEX_INTERNAL; /* both attempts */
    world->hold_appends = true;
    (void)world_call(world, (struct world_send){.key = "a", .payload = "inc"});
    world->hold_appends = false;
    world_fail_append(world, 0, PLEX_INTERNAL);
    world_go(world);
    world_wait(world, 1);
    ck_assert(in_memory(world, "counter", "a"));
    world_wait(world, 600000);
    ck_assert(in_memory(world, "counter", "a"));
    world_free(world);
}
END_TEST

START_TEST(an_actor_can_be_activated_and_deactivated)
{
    struct world *world = shaped((struct work_type){.persist = true});
    const struct world_answer *answer;

    answer = world_call(world,
                        (struct world_send){.key = "a", .kind = WORK_ACTIVATE});
    ck_assert(answer->given);
    ck_assert_uint_eq(answer->http_status, 200);
    ck_assert(in_memory(world, "counter", "a"));
    answer = world_call(world,
                        (struct world_send){.key = "a", .kind = WORK_ACTIVATE});
    ck_assert_uint_eq(answer->http_status, 200);
    ck_assert_uint_eq(world->n_runs, 0);
    answer = world_call(
        world, (struct world_send){.key = "a", .kind = WORK_DEACTIVATE});
    ck_assert_uint_eq(answer->http_status, 200);
    ck_assert(!in_memory(world, "counter", "a"));
    answer = world_call(/* nothing to do */
                        world, (struct world_send){.key = "z",
                                                   .kind = WORK_DEACTIVATE});
    ck_assert_uint_eq(answer->http_status, 200);
    (void)tell(world, "volatile", "v", "inc");
    (void)world_call(world, (struct world_send){.type = "volatile",
                                                .key = "v",
                                                .kind = WORK_DEACTIVATE});
    ck_assert(!in_memory(world, "volatile", "v"));
    ck_assert_str_eq(tell(world, "volatile", "v", "get"), "1");
    world_free(world);
}
END_TEST

START_TEST(who_is_busy_is_deactivated_after_its_messages)
{
    struct world *world = shaped((struct work_type){0});
    const struct world_answer *answer;

    world->hold_runs = true;
    (void)world_call(world, (struct world_send){.key = "a", .payload = "inc"});
    answer = world_call(
        world, (struct world_send){.key = "a", .kind = WORK_DEACTIVATE});
    ck_assert_uint_eq(answer->http_status, 200);
    ck_assert(in_memory(world, "counter", "a"));
    world->hold_runs = false;
    world_unhold(world, 0);
    ck_assert(!in_memory(world, "counter", "a"));
    ck_assert_int_eq(world_stored(world, "a"), 1);
    world_free(world);
}
END_TEST

TCase *
core_virtual_tests(void)
{
    TCase *tests = tcase_create("virtual");

    tcase_add_test(tests, one_type_may_hold_fewer_actors_than_the_worker);
    tcase_add_test(tests,
                   actors_that_need_something_come_in_while_there_is_room);
    tcase_add_test(tests,
                   what_actors_reserve_follows_their_type_and_ends_with_them);
    tcase_add_test(tests, a_type_whose_actors_are_all_busy_takes_no_other);
    tcase_add_test(tests, states_larger_than_memory_max_leave);
    tcase_add_test(tests,
                   a_state_that_persists_outlives_passivation_and_the_worker);
    tcase_add_test(tests,
                   a_message_that_comes_while_the_state_is_written_is_handled);
    tcase_add_test(tests, an_older_owner_cannot_write_the_state_it_still_has);
    tcase_add_test(tests, warm_keys_are_in_memory_before_anybody_asks);
    tcase_add_test(tests, pinned_keys_stay_and_come_back_when_they_are_dropped);
    tcase_add_test(tests, an_actor_can_be_activated_and_deactivated);
    tcase_add_test(tests, who_is_busy_is_deactivated_after_its_messages);
    return tests;
}
