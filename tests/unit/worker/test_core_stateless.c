/* Types without state: who gets a message, how many of them there are. */
#include "tests/unit/worker/test_core.h"
#include "tests/unit/worker/world.h"

#include <stdio.h>
#include <string.h>

static struct world *
open(uint32_t max_local, enum plex_spread route)
{
    struct world *world = world_create(NULL);

    world->shape = (struct work_type){.max_local = max_local, .route = route};
    world_start(world);
    world_wait(world, 1);
    return world;
}

static uint64_t
post(struct world *world, const char *key, const char *payload)
{
    return world_post(world, (struct world_send){.type = "volatile",
                                                 .key = key,
                                                 .payload = payload});
}

static const struct world_answer *
ask(struct world *world, const char *key, const char *payload)
{
    return world_call(world, (struct world_send){.type = "volatile",
                                                 .key = key,
                                                 .payload = payload});
}

/* The activations that the RUNs held are of, "012". */
static const char *
held(const struct world *world)
{
    static char text[WORLD_HELD_MAX + 1];

    for (size_t i = 0; i < world->n_held; i++) {
        const char *key = world->held[i].action.run.actor->key;

        text[i] = key[strlen(key) - 1];
    }
    text[world->n_held] = '\0';
    return text;
}

static void
release(struct world *world)
{
    world->hold_runs = false;
    for (size_t i = 0; i < world->n_held; i++)
        if (world->held[i].action.token != 0)
            world_unhold(world, i);
    world->n_held = 0;
}

START_TEST(there_are_as_many_as_work_asks_for_and_no_more)
{
    struct world *world = open(3, PLEX_SPREAD_ROUND_ROBIN);

    ck_assert_str_eq(ask(world, "a", "get")->payload, "0");
    ck_assert_str_eq(ask(world, "b", "get")->payload, "0");
    ck_assert_uint_eq(world_stats(world).stateless, 1); /* it was idle */
    world->hold_runs = true;
    for (int i = 0; i < 5; i++)
        (void)post(world, "same", "get");
    world_go(world);
    ck_assert_str_eq(held(world), "012");
    ck_assert_uint_eq(world_stats(world).stateless, 3);
    ck_assert_uint_eq(world_stats(world).stateless_waiting, 2);
    release(world);
    ck_assert_uint_eq(world_stats(world).stateless_waiting, 0);
    world_wait(world, 60000);
    ck_assert_uint_eq(world_stats(world).stateless, 0); /* they were idle */
    ck_assert_uint_eq(world->n_loads + world->n_appends, 0);
    world_free(world);
}
END_TEST

/* How many messages each of 3 busy ones has after 3 + 6 messages. */
static void
spread(enum plex_spread route, size_t waiting[3])
{
    struct world *world = open(3, route);
    struct work_actor actors[4];
    struct plex_arena arena;
    const struct work_core_filter filter = {"acme", "", "volatile", ""};

    plex_arena_init(&arena, 1 << 16);
    world->hold_runs = true;
    for (int i = 0; i < 9; i++)
        (void)post(world, "k", "get");
    world_go(world);
    ck_assert_uint_eq(
        work_core_list(world->core, world->t, &filter, 4, &arena, actors), 3);
    ck_assert_str_eq(actors[0].actor_id, "acme/default/volatile/worker-1~0");
    ck_assert_uint_eq(actors[0].shard, 0);
    for (int i = 0; i < 3; i++)
        waiting[i] = actors[i].mailbox_length;
    release(world);
    plex_arena_fini(&arena);
    world_free(world);
}

START_TEST(busy_ones_get_the_rest_by_the_route)
{
    size_t waiting[3];

    spread(PLEX_SPREAD_ROUND_ROBIN, waiting);
    ck_assert(waiting[0] == 2 && waiting[1] == 2 && waiting[2] == 2);
    spread(PLEX_SPREAD_LEAST_LOADED, waiting);
    ck_assert(waiting[0] == 2 && waiting[1] == 2 && waiting[2] == 2);
    spread(PLEX_SPREAD_RANDOM, waiting);
    ck_assert_uint_eq(waiting[0] + waiting[1] + waiting[2], 6);
}
END_TEST

START_TEST(the_least_loaded_is_the_one_with_fewest_messages)
{
    struct world *world = open(2, PLEX_SPREAD_LEAST_LOADED);

    world->hold_runs = true;
    (void)post(world, "k", "get");
    (void)post(world, "k", "get");
    world_go(world);
    (void)post(world, "worker-1~0", "get"); /* by its name */
    (void)post(world, "worker-1~0", "get");
    (void)post(world, "k", "one");
    (void)post(world, "k", "two");
    world_go(world);
    world->hold_runs = false;
    world->n_runs = 0;
    world_unhold(world, 1);
    world->held[1].action.token = 0;
    ck_assert_str_eq(world->ran[1], "worker-1~1 one");
    ck_assert_str_eq(world->ran[2], "worker-1~1 two");
    release(world);
    world_free(world);
}
END_TEST

START_TEST(only_when_all_mailboxes_are_full_is_a_message_refused)
{
    struct world *world = open(2, PLEX_SPREAD_RANDOM);
    uint64_t last;

    world->hold_runs = true;
    for (int i = 0; i < 22; i++) /* 2 run, 10 wait for each */
        last = post(world, "k", "get");
    world_go(world);
    ck_assert(!world->answers[last].given);
    last = post(world, "k", "get");
    world_go(world);
    ck_assert_int_eq(world->answers[last].status, PLEX_LIMIT);
    release(world);
    world_free(world);
}
END_TEST

START_TEST(neither_shard_nor_lease_is_needed)
{
    struct world *world = open(2, PLEX_SPREAD_ROUND_ROBIN);
    const struct world_answer *answer;

    world->table.version = 2;
    world->ranges[0].worker = 1; /* all are another worker's */
    world->ranges[0].epoch = 2;
    work_core_table(world->core, world->t, &world->table);
    world_go(world);
    world_wait(world, 200000000);
    answer = ask(world, "k", "inc");
    ck_assert_int_eq(answer->status, PLEX_OK);
    ck_assert(!answer->needs_lease);
    ck_assert_str_eq(answer->payload, "1");
    answer =
        world_call(world, (struct world_send){.key = "k", .payload = "get"});
    ck_assert_int_eq(answer->status, PLEX_NOT_OWNER); /* a type with keys */
    world_free(world);
}
END_TEST

START_TEST(a_name_is_of_one_activation)
{
    struct world *world = open(3, PLEX_SPREAD_ROUND_ROBIN);

    (void)ask(world, "k", "inc");
    ck_assert_str_eq(ask(world, "worker-1~0", "get")->payload, "1");
    ck_assert_int_eq(
        world_call(world, (struct world_send){.type = "volatile",
                                              .key = "worker-1~0",
                                              .payload = "",
                                              .kind = WORK_DEACTIVATE})
            ->status,
        PLEX_OK);
    ck_assert_uint_eq(world_stats(world).stateless, 0);
    ck_assert_int_eq(
        world_call(world, (struct world_send){.type = "volatile",
                                              .key = "k",
                                              .payload = "",
                                              .kind = WORK_DEACTIVATE})
            ->status,
        PLEX_NOT_FOUND);
    ck_assert_str_eq(ask(world, "worker-1~0", "get")->payload, "0");
    world_free(world);
}
END_TEST

START_TEST(timers_and_answers_come_to_the_one_that_asked)
{
    struct world *world = open(2, PLEX_SPREAD_ROUND_ROBIN);

    (void)ask(world, "k", "timer 50");
    world->hold_runs = true;
    (void)post(world, "k", "get");
    world_go(world);
    world->hold_runs = false;
    (void)ask(world, "k", "ask x"); /* ~1: ~0 is busy */
    release(world);
    world_wait(world, 1);
    ck_assert_str_eq(ask(world, "worker-1~1", "get")->payload, "1001");
    world_wait(world, 60);
    ck_assert_str_eq(ask(world, "worker-1~0", "get")->payload, "100");
    world_free(world);
}
END_TEST

START_TEST(the_same_request_is_one_while_it_is_under_way)
{
    struct world *world = open(2, PLEX_SPREAD_ROUND_ROBIN);
    const struct world_send send = {.type = "volatile",
                                    .key = "k",
                                    .payload = "inc",
                                    .id = "id-1",
                                    .keyed = true};
    uint64_t first, second;

    world->hold_runs = true;
    first = world_post(world, send);
    second = world_post(world, send);
    world_go(world);
    ck_assert_uint_eq(world->n_held, 1);
    ck_assert(world->answers[first].given != world->answers[second].given);
    release(world);
    world_free(world);
}
END_TEST

START_TEST(a_draining_worker_ends_what_it_has_and_takes_no_more)
{
    struct world *world = open(2, PLEX_SPREAD_ROUND_ROBIN);
    const struct plex_actor_id id = {"acme", "default", "volatile", "k"};
    uint64_t call;

    ck_assert_str_eq(work_core_owner(world->core, &id, NULL, NULL), "");
    world->hold_runs = true;
    call = post(world, "k", "inc");
    world_go(world);
    work_core_drain(world->core, world->t);
    ck_assert_int_eq(ask(world, "k", "inc")->status, PLEX_UNAVAILABLE);
    ck_assert_str_eq(work_core_owner(world->core, &id, NULL, NULL),
                     "inproc://worker-2");
    release(world);
    ck_assert_str_eq(world->answers[call].payload, "1");
    ck_assert_uint_eq(world_stats(world).messages, 0);
    world_free(world);
}
END_TEST

START_TEST(a_type_may_become_stateless_and_keyed_again)
{
    struct world *world = open(2, PLEX_SPREAD_ROUND_ROBIN);
    uint64_t call;

    world->hold_runs = true;
    call = post(world, "k", "inc");
    world_go(world);
    world->shape.max_local = 0;
    world_types(world, WORK_TYPE_RUNNING, "behaviour");
    world_go(world);
    release(world);
    ck_assert(world->answers[call].given);
    ck_assert_uint_eq(world_stats(world).stateless, 0);
    (void)ask(world, "k", "inc");
    ck_assert_str_eq(ask(world, "k", "get")->payload, "1");
    world->shape.max_local = 1;
    world_types(world, WORK_TYPE_RUNNING, "behaviour");
    world_go(world);
    ck_assert_str_eq(ask(world, "k", "get")->payload, "0");
    ck_assert_uint_eq(world_stats(world).activations, 1);
    world_free(world);
}
END_TEST

START_TEST(fewer_may_be_allowed_while_they_run)
{
    struct world *world = open(3, PLEX_SPREAD_ROUND_ROBIN);

    world->hold_runs = true;
    for (int i = 0; i < 3; i++)
        (void)post(world, "k", "get");
    world_go(world);
    world->shape.max_local = 1;
    world_types(world, WORK_TYPE_RUNNING, "behaviour");
    release(world);
    world->n_runs = 0;
    world->hold_runs = true;
    (void)post(world, "k", "get");
    (void)post(world, "k", "get");
    world_go(world);
    ck_assert_str_eq(held(world), "0");
    release(world);
    world_wait(world, 60000);
    ck_assert_uint_eq(world_stats(world).stateless, 0);
    world_free(world);
}
END_TEST

TCase *
core_stateless_tests(void)
{
    TCase *tests = tcase_create("stateless");

    tcase_add_test(tests, there_are_as_many_as_work_asks_for_and_no_more);
    tcase_add_test(tests, busy_ones_get_the_rest_by_the_route);
    tcase_add_test(tests, the_least_loaded_is_the_one_with_fewest_messages);
    tcase_add_test(tests,
                   only_when_all_mailboxes_are_full_is_a_message_refused);
    tcase_add_test(tests, neither_shard_nor_lease_is_needed);
    tcase_add_test(tests, a_name_is_of_one_activation);
    tcase_add_test(tests, timers_and_answers_come_to_the_one_that_asked);
    tcase_add_test(tests, the_same_request_is_one_while_it_is_under_way);
    tcase_add_test(tests, a_draining_worker_ends_what_it_has_and_takes_no_more);
    tcase_add_test(tests, a_type_may_become_stateless_and_keyed_again);
    tcase_add_test(tests, fewer_may_be_allowed_while_they_run);
    return tests;
}
