/* Going back, going another way, going on with another version. Every case is
 * run once as it is and once with a crash after every event. */
#include "tests/unit/workflow/script.h"

static const char to_reset[] =
    "id: a\nsteps:\n- {id: a, actor: echo}\n"
    "- {id: b, actor: flaky, input: {ok_at: 1}, depends_on: [a]}\n"
    "- {id: c, actor: fail, depends_on: [b]}";

START_TEST(a_reset_does_a_step_and_what_follows_again)
{
    begin(to_reset, "1", _i);
    ck_assert_int_eq(send(FLOW_EVENT_RESET, "c", NULL), PLEX_CONFLICT);
    world_pump(&w, 5);
    is(FLOW_FAILED);
    ck_assert_int_eq(send(FLOW_EVENT_RESET, "nope", NULL), PLEX_NOT_FOUND);
    ck_assert_int_eq(send(FLOW_EVENT_RESET, "b", NULL), PLEX_OK);
    is(FLOW_RUNNING);
    query_is("steps", "0/status", "\"COMPLETED\"");
    query_is("steps", "2/status", "\"PENDING\"");
    world_pump(&w, 5);
    is(FLOW_FAILED);
    ck_assert_str_eq(world_log(&w),
                     "echo/run-1.run(1)\nflaky/run-1.run({\"ok_at\":1})\n"
                     "fail/run-1.run(1)\nflaky/run-1.run({\"ok_at\":1})\n"
                     "fail/run-1.run(1)\n");
    world_close(&w);
}
END_TEST

START_TEST(a_fork_goes_its_own_way_from_a_step)
{
    struct flow_command command;
    struct flow_run *fork = NULL;

    begin(to_reset, "1", _i);
    world_pump(&w, 5);
    is(FLOW_FAILED);
    ck_assert_int_eq(flow_run_fork(w.run, "run-2", "b", &w.now, &fork, &err),
                     PLEX_OK);
    ck_assert_str_eq(flow_run_id(fork), "run-2");
    ck_assert_int_eq(flow_run_status(fork), FLOW_RUNNING);
    is(FLOW_FAILED);
    ck_assert(flow_run_command(fork, &command));
    ck_assert_int_eq(command.kind, FLOW_CALL);
    ck_assert_str_eq(command.step, "b");
    ck_assert_str_eq(command.key, "run-2");
    flow_run_free(fork);
    ck_assert_int_eq(flow_run_fork(w.run, "run-3", "x", &w.now, &fork, &err),
                     PLEX_NOT_FOUND);
    world_close(&w);
}
END_TEST

/* A run that cannot go on is moved to a version that is mended. */
START_TEST(a_parked_run_goes_on_with_a_mended_definition)
{
    static const char mended[] =
        "id: a\nversion: 1.0.1\non_failure: park\nsteps:\n"
        "- {id: new, actor: extra}\n- {id: a, actor: echo}\n"
        "- {id: b, type: pass, input: '${steps.a.output + 1}', depends_on: "
        "[a]}\n"
        "- {id: late, actor: echo, depends_on: [b, new]}\n";
    struct flow_def *def = world_def(mended);

    begin("id: a\non_failure: park\nsteps:\n- {id: a, actor: echo}\n"
          "- {id: old, type: pass}\n"
          "- {id: b, type: pass, input: '${steps.a.output.x}', depends_on: "
          "[a]}",
          "1", _i);
    world_pump(&w, 5);
    is(FLOW_PARKED);
    w.now.ms++;
    ck_assert_int_eq(flow_run_move(w.run, def, &w.now, &err), PLEX_OK);
    flow_def_unref(w.def);
    w.def = def;
    ck_assert_int_eq(send(FLOW_EVENT_RESUME, NULL, NULL), PLEX_OK);
    world_pump(&w, 9);
    output_is("1");
    ck_assert_str_eq(world_log(&w), "echo/run-1.run(1)\nextra/run-1.run(1)\n"
                                    "echo/run-1.run(1)\n");
    query_is("steps", "2/output", "2");
    world_close(&w);
}
END_TEST

START_TEST(a_run_is_not_moved_where_its_steps_are_not)
{
    static const char *const others[] = {
        "id: b\nsteps:\n- {id: a, actor: never, compensate: {actor: u}}",
        "id: a\nsteps:\n- {id: c, actor: never}",
        "id: a\nsteps:\n- {id: a, type: pass}",
        "id: a\nsteps:\n- {id: a, actor: never}\n- {id: s, actor: echo}\n"
        "- {id: p, branches: [{id: y, steps: [{id: i, actor: never}]}]}",
        "id: a\nsteps:\n- {id: a, actor: never}\n- {id: s, actor: echo, "
        "compensate: {actor: u}}\n"
        "- {id: p, branches: [{id: z, steps: [{id: i, actor: never}]}]}"};

    begin("id: a\nsteps:\n- {id: a, actor: never}\n"
          "- {id: s, actor: echo, compensate: {actor: u}}\n"
          "- {id: p, branches: [{id: y, steps: [{id: i, actor: never}]}]}",
          "1", _i);
    world_pump(&w, 1);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct flow_def *def = world_def(others[i]);

        ck_assert_int_eq(flow_run_move(w.run, def, &w.now, &err),
                         PLEX_CONFLICT);
        flow_def_unref(def);
    }
    world_close(&w);
}
END_TEST

START_TEST(what_was_compensated_cannot_be_reset)
{
    begin("id: a\nsteps:\n"
          "- {id: a, actor: echo, compensate: {actor: undo/a}}\n"
          "- {id: b, actor: fail, depends_on: [a]}",
          "1", _i);
    world_pump(&w, 10);
    is(FLOW_FAILED);
    ck_assert_int_eq(send(FLOW_EVENT_RESET, "b", NULL), PLEX_CONFLICT);
    world_close(&w);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        a_reset_does_a_step_and_what_follows_again,
        a_fork_goes_its_own_way_from_a_step,
        a_parked_run_goes_on_with_a_mended_definition,
        a_run_is_not_moved_where_its_steps_are_not,
        what_was_compensated_cannot_be_reset,
    };
    Suite *suite = suite_create("reset");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int failed;

    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        tcase_add_loop_test(tc, tests[i], 0, 2);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
