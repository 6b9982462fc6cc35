/* Messages that go along with a RUN: turns of one actor in a row. */
#include "tests/unit/worker/test_core.h"
#include "tests/unit/worker/world.h"

#include <stdio.h>
#include <string.h>

static struct world *
ahead_world(uint32_t ahead_max)
{
    struct work_core_config config = work_core_defaults;
    struct world *world;

    config.ahead_max = ahead_max;
    world = world_create(&config);
    world->ahead_runs = WORK_AHEAD_MAX;
    world_start(world);
    (void)world_call(world, (struct world_send){.key = "a", .payload = "get"});
    world->n_visits = world->n_runs = 0;
    world->t.now_ns++; /* it is in memory since before what comes now */
    return world;
}

/* One RUN is out with nothing behind it; then these come. */
static void
behind(struct world *world, const char *type, const char *const *payloads,
       size_t n)
{
    world->hold_runs = true;
    for (size_t i = 0; i < n; i++)
        (void)world_call(world, (struct world_send){.type = type,
                                                    .key = "a",
                                                    .payload = payloads[i]});
    world->hold_runs = false;
    ck_assert_uint_eq(world->n_held, 1);
    world_unhold(world, 0);
}

START_TEST(what_waits_is_handled_in_one_visit_and_in_order)
{
    static const char *const payloads[] = {"get", "inc", "inc", "fail", "inc"};
    static const char *const replies[] = {"0", "1", "2", "2", "3"};

    for (int round = 0; round < 2; round++) {
        struct world *world = ahead_world(8);
        const char *type = round == 0 ? "counter" : "volatile";

        if (round == 1)
            (void)world_call(world, (struct world_send){.type = type,
                                                        .key = "a",
                                                        .payload = "get"});
        world->t.now_ns++;
        world->n_visits = 0;
        behind(world, type, payloads, 5);
        ck_assert_uint_eq(world->n_visits, 2); /* the first went alone */
        for (uint64_t i = 0; i < 5; i++) {
            const struct world_answer *answer =
                &world->answers[world->calls - 4 + i];

            ck_assert_int_eq(answer->status, PLEX_OK);
            ck_assert_int_eq(answer->failed, i == 3);
            ck_assert_str_eq(answer->payload, replies[i]);
        }
        if (round == 0)
            ck_assert_int_eq(world_stored(world, "a"), 3);
        world_free(world);
    }
}
END_TEST

START_TEST(what_was_not_run_is_asked_for_again_in_order)
{
    static const char *const payloads[] = {"get", "inc", "inc", "inc",
                                           "inc", "inc", "inc"};
    struct world *world = ahead_world(3);

    world->ahead_runs = 1; /* of 3 */
    behind(world, NULL, payloads, 7);
    ck_assert_uint_eq(world->n_visits, 1 + 3);
    for (uint64_t i = 0; i < 7; i++) {
        char want[8];

        snprintf(want, sizeof want, "%d", (int)i);
        ck_assert_str_eq(world->answers[2 + i].payload, want);
    }
    ck_assert_int_eq(world_stored(world, "a"), 6);
    world_free(world);
}
END_TEST

START_TEST(a_turn_that_sends_or_sets_a_timer_ends_the_visit)
{
    static const char *const payloads[] = {"get", "inc", "timer 50", "inc"};
    struct world *world = ahead_world(8);

    behind(world, NULL, payloads, 4);
    ck_assert_uint_eq(world->n_visits, 3);
    ck_assert_str_eq(world->answers[5].payload, "2");
    world_wait(world, 100);
    ck_assert_int_eq(world_stored(world, "a"), 102);
    world_free(world);
}
END_TEST

START_TEST(a_deadline_that_has_passed_does_not_go_along)
{
    struct world *world = ahead_world(8);

    world->hold_runs = true;
    (void)world_call(world, (struct world_send){.key = "a", .payload = "get"});
    (void)world_call(
        world,
        (struct world_send){.key = "a", .payload = "inc", .deadline_ms = 5});
    (void)world_call(world, (struct world_send){.key = "a", .payload = "inc"});
    world->hold_runs = false;
    world->t.now_ns += 10 * 1000000;
    world_unhold(world, 0);
    ck_assert_int_eq(world->answers[3].status, PLEX_TIMEOUT);
    ck_assert_str_eq(world->answers[4].payload, "1");
    world_free(world);
}
END_TEST

/* Four increments are out together when the activation is dropped. */
static struct world *
dropped(bool requeues)
{
    struct world *world = ahead_world(8);

    world->hold_appends = world->hold_runs = true;
    (void)world_call(world, (struct world_send){.key = "a", .payload = "inc"});
    for (int i = 0; i < 4; i++)
        (void)world_call(world,
                         (struct world_send){.key = "a", .payload = "inc"});
    world_unhold(world, 0); /* its append is held, and so is the visit */
    ck_assert_uint_eq(world->n_held, 3);
    ck_assert_int_eq(world->held[1].action.kind, WORK_DO_RUN);
    ck_assert_uint_eq(world->held[1].action.run.n_ahead, 3);
    ck_assert_int_eq(world->held[2].action.kind, WORK_DO_APPEND);
    if (requeues)
        world_fail_append(world, 2, PLEX_UNAVAILABLE);
    else
        world_types(world, WORK_TYPE_STOPPED, NULL);
    (void)world_call(world, (struct world_send){.key = "a", .payload = "inc"});
    world->hold_appends = world->hold_runs = false;
    return world;
}

START_TEST(a_dropped_activation_gets_back_what_went_along)
{
    struct world *world = dropped(true);

    world_unhold(world, 1);
    for (uint64_t i = 0; i < 6; i++) {
        char want[8];

        snprintf(want, sizeof want, "%d", (int)i + 1);
        ck_assert_msg(strcmp(world->answers[2 + i].payload, want) == 0,
                      "%d: %s %s", (int)i, world->answers[2 + i].payload,
                      world->answers[2 + i].text);
    }
    ck_assert_int_eq(world_stored(world, "a"), 6);
    world_free(world);
}
END_TEST

START_TEST(a_stopped_type_refuses_what_went_along)
{
    struct world *world = dropped(false);

    world_unhold(world, 2); /* the append of the first */
    world_unhold(world, 1);
    ck_assert_str_eq(world->answers[2].payload, "1");
    for (uint64_t i = 1; i < 6; i++) {
        ck_assert(world->answers[2 + i].given);
        ck_assert_int_ne(world->answers[2 + i].status, PLEX_OK);
    }
    ck_assert_int_eq(world_stored(world, "a"), 1);
    ck_assert_uint_eq(world_stats(world).messages, 0);
    world_free(world);
}
END_TEST

TCase *
core_ahead_tests(void)
{
    TCase *t = tcase_create("ahead");

    tcase_add_test(t, what_waits_is_handled_in_one_visit_and_in_order);
    tcase_add_test(t, what_was_not_run_is_asked_for_again_in_order);
    tcase_add_test(t, a_turn_that_sends_or_sets_a_timer_ends_the_visit);
    tcase_add_test(t, a_deadline_that_has_passed_does_not_go_along);
    tcase_add_test(t, a_dropped_activation_gets_back_what_went_along);
    tcase_add_test(t, a_stopped_type_refuses_what_went_along);
    return t;
}
