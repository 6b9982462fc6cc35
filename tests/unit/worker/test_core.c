#include "tests/unit/worker/test_core.h"
#include "tests/unit/worker/world.h"

#include <stdio.h>

static struct world *
started(void)
{
    struct world *world = world_create(NULL);

    world_start(world);
    return world;
}

START_TEST(a_first_message_activates_the_actor)
{
    struct world *world = started();
    const struct world_answer *answer =
        world_call(world, (struct world_send){.key = "a", .payload = "inc"});

    ck_assert_int_eq(answer->status, PLEX_OK);
    ck_assert_str_eq(answer->payload, "1");
    ck_assert(answer->recorded);
    ck_assert_uint_eq(world->n_loads, 1);
    answer =
        world_call(world, (struct world_send){.key = "a", .payload = "inc"});
    ck_assert_str_eq(answer->payload, "2");
    ck_assert_uint_eq(world->n_loads, 1);
    ck_assert_int_eq(world_stored(world, "a"), 2);
    world_free(world);
}
END_TEST

START_TEST(an_actor_that_is_not_durable_never_meets_the_journal)
{
    struct world *world = started();
    const struct world_send inc = {
        .type = "volatile", .key = "a", .payload = "inc"};

    (void)world_call(world, inc);
    ck_assert_str_eq(world_call(world, inc)->payload, "2");
    ck_assert(world->answers[2].needs_lease);
    ck_assert(!world->answers[2].recorded);
    ck_assert_uint_eq(world->n_loads + world->n_appends, 0);
    world_free(world);
}
END_TEST

START_TEST(a_reply_waits_until_its_turn_is_written)
{
    struct world *world = started();
    uint64_t call;

    world->hold_appends = true;
    call = world_post(world, (struct world_send){.key = "a", .payload = "inc"});
    world_go(world);
    ck_assert_uint_eq(world->n_held, 1);
    ck_assert(!world->answers[call].given);
    world_unhold(world, 0);
    ck_assert_str_eq(world->answers[call].payload, "1");
    world_free(world);
}
END_TEST

START_TEST(turns_run_ahead_of_the_journal_and_answer_in_order)
{
    struct world *world = started();
    uint64_t calls[3];

    world->hold_appends = true;
    for (int i = 0; i < 3; i++) {
        calls[i] = world_post(
            world, (struct world_send){.key = "a", .payload = "inc"});
        world_go(world);
    }
    ck_assert_uint_eq(world->n_runs, 3);
    ck_assert_uint_eq(world->n_held, 3);
    /* The journal writes in order; that it says so late must not matter. */
    world_unhold(world, 0);
    ck_assert_str_eq(world->answers[calls[0]].payload, "1");
    ck_assert(!world->answers[calls[1]].given);
    world_unhold(world, 1);
    world_unhold(world, 2);
    ck_assert_str_eq(world->answers[calls[2]].payload, "3");
    world_free(world);
}
END_TEST

START_TEST(a_read_waits_for_the_writes_before_it)
{
    struct world *world = started();
    uint64_t get;

    world->hold_appends = true;
    (void)world_post(world, (struct world_send){.key = "a", .payload = "inc"});
    world_go(world);
    get = world_post(world, (struct world_send){.key = "a", .payload = "get"});
    world_go(world);
    ck_assert(!world->answers[get].given);
    world_unhold(world, 0);
    ck_assert_str_eq(world->answers[get].payload, "1");
    ck_assert(world->answers[get].needs_lease);
    ck_assert(!world->answers[get].recorded);
    ck_assert_uint_eq(world->n_entries, 1);
    world_free(world);
}
END_TEST

START_TEST(turns_of_one_flush_share_a_batch)
{
    struct world *world = started();

    for (int i = 0; i < 5; i++)
        (void)world_call(world,
                         (struct world_send){.key = i % 2 == 0 ? "a" : "b",
                                             .payload = "get"});
    for (int i = 0; i < 6; i++)
        (void)world_post(world,
                         (struct world_send){.key = i % 2 == 0 ? "a" : "b",
                                             .payload = "inc"});
    world_go(world);
    ck_assert_uint_eq(world->n_appends, 1);
    ck_assert_uint_eq(world->n_entries, 6);
    ck_assert_int_eq(world_stored(world, "b"), 3);
    world_free(world);
}
END_TEST

START_TEST(turns_ahead_of_the_journal_are_bounded)
{
    struct work_core_config config = work_core_defaults;
    struct world *world;

    config.unreleased_max = 2;
    world = world_create(&config);
    world_start(world);
    world->hold_appends = true;
    for (int i = 0; i < 4; i++)
        (void)world_post(world,
                         (struct world_send){.key = "a", .payload = "inc"});
    world_go(world);
    ck_assert_uint_eq(world->n_runs, 2);
    world->hold_appends = false;
    world_unhold(world, 0);
    ck_assert_uint_eq(world->n_runs, 4);
    ck_assert_str_eq(world->answers[4].payload, "4");
    world_free(world);
}
END_TEST

START_TEST(a_full_mailbox_says_so)
{
    struct world *world = started();

    world->hold_loads = true;
    for (int i = 0; i < 11; i++)
        (void)world_post(world,
                         (struct world_send){.key = "a", .payload = "inc"});
    world_go(world);
    ck_assert_int_eq(world->answers[11].status, PLEX_LIMIT);
    world_unhold(world, 0);
    ck_assert_str_eq(world->answers[10].payload, "10");
    world_free(world);
}
END_TEST

START_TEST(a_deadline_that_passed_in_the_mailbox_means_not_done)
{
    struct world *world = started();
    uint64_t call;

    world->hold_loads = true;
    call = world_post(
        world,
        (struct world_send){.key = "a", .payload = "inc", .deadline_ms = 100});
    world_go(world);
    world_wait(world, 200);
    world_unhold(world, 0);
    ck_assert_int_eq(world->answers[call].status, PLEX_TIMEOUT);
    ck_assert_uint_eq(world->n_runs, 0);
    world_free(world);
}
END_TEST

START_TEST(a_failing_handler_changes_nothing_and_is_recorded)
{
    struct world *world = started();
    const struct world_send fail = {
        .key = "a", .payload = "fail", .id = "f", .hash = 3};
    const struct world_answer *answer = world_call(world, fail);

    ck_assert_int_eq(answer->status, PLEX_OK);
    ck_assert(answer->failed && answer->recorded && !answer->replayed);
    answer = world_call(world, fail);
    ck_assert(answer->failed && answer->replayed);
    ck_assert_uint_eq(world->n_runs, 1);
    world_free(world);
}
END_TEST

START_TEST(a_retry_gets_the_recorded_answer)
{
    struct world *world = started();
    const struct world_send inc = {
        .key = "a", .payload = "inc", .id = "x", .hash = 5};
    struct world_send other = inc;

    (void)world_call(world, inc);
    (void)world_call(world, (struct world_send){.key = "a", .payload = "inc"});
    ck_assert_str_eq(world_call(world, inc)->payload, "1");
    ck_assert(world->answers[3].replayed);
    other.hash = 6;
    ck_assert_int_eq(world_call(world, other)->status, PLEX_MISMATCH);
    ck_assert_int_eq(world_stored(world, "a"), 2);
    world_free(world);
}
END_TEST

START_TEST(a_retry_while_the_first_runs_takes_its_place_or_is_told)
{
    struct world *world = started();
    struct world_send inc = {
        .key = "a", .payload = "inc", .id = "x", .hash = 5, .request_id = "r1"};

    world->hold_appends = true;
    (void)world_call(world, inc);
    (void)world_call(world, inc);
    ck_assert_int_eq(world->answers[1].status, PLEX_CANCELLED);
    inc.request_id = "r2";
    ck_assert_int_eq(world_call(world, inc)->status, PLEX_IN_FLIGHT);
    inc.hash = 6;
    ck_assert_int_eq(world_call(world, inc)->status, PLEX_MISMATCH);
    world_unhold(world, 0);
    ck_assert_str_eq(world->answers[2].payload, "1");
    ck_assert_uint_eq(world->n_runs, 1);
    world_free(world);
}
END_TEST

START_TEST(ids_of_actors_that_are_not_durable_are_known_while_in_flight)
{
    struct world *world = started();
    const struct world_send inc = {
        .type = "volatile", .key = "a", .payload = "inc", .id = "x"};

    world->hold_runs = true;
    (void)world_call(world, inc);
    (void)world_call(world, inc);
    world->hold_runs = false;
    world_unhold(world, 0);
    ck_assert_uint_eq(world->n_runs, 1);
    ck_assert_int_eq(world->answers[1].status, PLEX_CANCELLED);
    ck_assert_str_eq(world->answers[2].payload, "1");
    (void)world_call(world, inc);
    ck_assert_uint_eq(world->n_runs, 2);
    world_free(world);
}
END_TEST

START_TEST(a_keyed_read_is_recorded)
{
    struct world *world = started();
    const struct world_send get = {
        .key = "a", .payload = "get", .id = "kx", .keyed = true};

    ck_assert(world_call(world, get)->recorded);
    (void)world_call(world, (struct world_send){.key = "a", .payload = "inc"});
    ck_assert_str_eq(world_call(world, get)->payload, "0");
    ck_assert(world->answers[3].replayed);
    world_free(world);
}
END_TEST

START_TEST(idle_actors_are_passivated_and_come_back)
{
    struct world *world = started();

    (void)world_call(
        world, (struct world_send){.key = "a", .payload = "inc", .id = "x"});
    ck_assert_uint_eq(world_stats(world).activations, 1);
    ck_assert_uint_le(work_core_due_in(world->core, world->t),
                      60000 * UINT64_C(1000000));
    world_wait(world, 59000);
    ck_assert_uint_eq(world_stats(world).activations, 1);
    world_wait(world, 1500);
    ck_assert_uint_eq(world_stats(world).activations, 0);
    ck_assert_uint_eq(work_core_due_in(world->core, world->t), UINT64_MAX);
    ck_assert_str_eq(
        world_call(world, (struct world_send){.key = "a", .payload = "get"})
            ->payload,
        "1");
    ck_assert_str_eq(
        world_call(world,
                   (struct world_send){.key = "a", .payload = "inc", .id = "x"})
            ->payload,
        "1");
    ck_assert_uint_eq(world_stats(world).messages, 0);
    world_free(world);
}
END_TEST

START_TEST(a_full_worker_makes_room_by_passivating)
{
    struct work_core_config config = work_core_defaults;
    struct world *world;
    char key[8];

    config.activations_max = 3;
    world = world_create(&config);
    world_start(world);
    for (int i = 0; i < 6; i++) {
        snprintf(key, sizeof key, "k%d", i);
        ck_assert_int_eq(
            world_call(world, (struct world_send){.key = key, .payload = "inc"})
                ->status,
            PLEX_OK);
    }
    ck_assert_uint_eq(world_stats(world).activations, 3);
    world->hold_loads = true;
    for (int i = 0; i < 4; i++) {
        snprintf(key, sizeof key, "n%d", i);
        (void)world_call(world,
                         (struct world_send){.key = key, .payload = "inc"});
    }
    ck_assert_int_eq(world->answers[10].status, PLEX_LIMIT);
    world_free(world);
}
END_TEST

START_TEST(every_nth_state_is_a_snapshot)
{
    struct world *world = started();

    for (int i = 0; i < 12; i++)
        (void)world_call(world,
                         (struct world_send){.key = "a", .payload = "inc"});
    ck_assert_uint_eq(world->actors[0].snapshot_seq, 10);
    ck_assert_uint_eq(world->n_entries, 14);
    world_free(world);
}
END_TEST

START_TEST(limits_and_strangers_are_refused)
{
    struct world *world = started();
    struct plex_context context = plex_context_none;
    struct work_message m = {.to = {"acme", "default", "counter", "a"},
                             .kind = WORK_CALL,
                             .method = "",
                             .path = "",
                             .subpath = "",
                             .query = "",
                             .content_type = "",
                             .sender = "",
                             .timer = "",
                             .payload = {(const uint8_t *)"get", 4}};
    static const uint8_t long_id[299] = {1};

    context.tenant = "other";
    work_core_deliver(world->core, world->t, 1, &context, &m);
    m.id = (struct plex_bytes){long_id, sizeof long_id};
    context.tenant = "acme";
    work_core_deliver(world->core, world->t, 2, &context, &m);
    m.id.len = 0;
    m.to.type = "unheard-of";
    work_core_deliver(world->core, world->t, 3, &context, &m);
    world_go(world);
    ck_assert_int_eq(world->answers[1].status, PLEX_DENIED);
    ck_assert_int_eq(world->answers[2].status, PLEX_INVALID);
    ck_assert_int_eq(world->answers[3].status, PLEX_UNAVAILABLE);
    ck_assert_uint_eq(world_stats(world).messages, 0);
    ck_assert_uint_eq(world_stats(world).bytes, 0);
    world_free(world);
}
END_TEST

START_TEST(activations_are_listed_in_pages)
{
    struct world *world = started();
    struct work_core_filter filter = {"acme", "", "", ""};
    struct work_actor page[2];
    struct plex_arena arena;

    plex_arena_init(&arena, 1 << 20);
    for (int i = 0; i < 3; i++)
        (void)world_call(world, (struct world_send){
                                    .key = (const char *[]){"c", "a", "b"}[i],
                                    .payload = "inc"});
    ck_assert_uint_eq(
        work_core_list(world->core, world->t, &filter, 2, &arena, page), 2);
    ck_assert_str_eq(page[0].actor_id, "acme/default/counter/a");
    ck_assert_uint_eq(page[0].sequence, 1);
    filter.after = page[1].actor_id;
    ck_assert_uint_eq(
        work_core_list(world->core, world->t, &filter, 2, &arena, page), 1);
    ck_assert_str_eq(page[0].actor_id, "acme/default/counter/c");
    plex_arena_fini(&arena);
    world_free(world);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("worker core");
    TCase *tests = tcase_create("turns");
    SRunner *runner;
    int failed;

    tcase_add_test(tests, a_first_message_activates_the_actor);
    tcase_add_test(tests, an_actor_that_is_not_durable_never_meets_the_journal);
    tcase_add_test(tests, a_reply_waits_until_its_turn_is_written);
    tcase_add_test(tests, turns_run_ahead_of_the_journal_and_answer_in_order);
    tcase_add_test(tests, a_read_waits_for_the_writes_before_it);
    tcase_add_test(tests, turns_of_one_flush_share_a_batch);
    tcase_add_test(tests, turns_ahead_of_the_journal_are_bounded);
    tcase_add_test(tests, a_full_mailbox_says_so);
    tcase_add_test(tests, a_deadline_that_passed_in_the_mailbox_means_not_done);
    tcase_add_test(tests, a_failing_handler_changes_nothing_and_is_recorded);
    tcase_add_test(tests, a_retry_gets_the_recorded_answer);
    tcase_add_test(tests,
                   a_retry_while_the_first_runs_takes_its_place_or_is_told);
    tcase_add_test(
        tests, ids_of_actors_that_are_not_durable_are_known_while_in_flight);
    tcase_add_test(tests, a_keyed_read_is_recorded);
    tcase_add_test(tests, idle_actors_are_passivated_and_come_back);
    tcase_add_test(tests, a_full_worker_makes_room_by_passivating);
    tcase_add_test(tests, every_nth_state_is_a_snapshot);
    tcase_add_test(tests, limits_and_strangers_are_refused);
    tcase_add_test(tests, activations_are_listed_in_pages);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, core_ahead_tests());
    suite_add_tcase(suite, core_fault_tests());
    suite_add_tcase(suite, core_journals_tests());
    suite_add_tcase(suite, core_later_tests());
    suite_add_tcase(suite, core_stateless_tests());
    suite_add_tcase(suite, core_virtual_tests());
    suite_add_tcase(suite, core_aside_tests());
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
