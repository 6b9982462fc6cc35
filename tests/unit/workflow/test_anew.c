/* Runs that begin anew, and what a choice leads to. Every case is run once as
 * it is and once with a crash after every event. */
#include "common/mem.h"
#include "tests/unit/workflow/script.h"
#include "workflow/limits.h"

START_TEST(a_run_begins_anew_until_it_has_enough)
{
    begin("id: a\nsteps:\n"
          "- {id: c, choices: [{when: '${input.n == 0}', next: e}], "
          "default: r}\n"
          "- {id: r, type: continue, input: {n: '${input.n - 1}'}}\n"
          "- {id: e, type: pass, input: enough}\n"
          "output: ${steps.e.output}",
          "{\"n\":3000}", _i);
    world_pump(&w, 100); /* 1000 steps a turn */
    output_is("\"enough\"");
    world_close(&w);
}
END_TEST

START_TEST(signals_and_vars_go_over_and_nothing_else)
{
    begin("id: a\nvars: {sum: 0}\n"
          "updates: {add: {set: {sum: '${vars.sum + result}'}}}\n"
          "steps:\n"
          "- {id: s, signal: go}\n"
          "- {id: c, depends_on: [s], choices: [{when: '${vars.sum > 2}', "
          "next: e}], default: r}\n"
          "- {id: r, type: continue, input: '${steps.s.output}'}\n"
          "- {id: e, type: pass, input: '${[input, steps.s.output, vars.sum]}'}"
          "\noutput: ${steps.e.output}",
          "\"first\"", _i);
    ck_assert_int_eq(send(FLOW_EVENT_UPDATE, "add", "2"), PLEX_OK);
    ck_assert_int_eq(send(FLOW_EVENT_SIGNAL, "go", "\"a\""), PLEX_OK);
    is(FLOW_RUNNING);
    query_is("context", "steps/0/status", "\"RUNNING\"");
    ck_assert_int_eq(send(FLOW_EVENT_UPDATE, "add", "1"), PLEX_OK);
    ck_assert_int_eq(send(FLOW_EVENT_SIGNAL, "go", "\"b\""), PLEX_OK);
    output_is("[\"a\",\"b\",3]");
    ck_assert_ptr_nonnull(strstr(world_past(&w), "RUN_CONTINUED"));
    world_close(&w);
}
END_TEST

START_TEST(a_round_that_is_over_is_not_compensated)
{
    begin("id: a\nsteps:\n"
          "- {id: book, actor: hotel, method: book, compensate: {actor: hotel, "
          "method: cancel}}\n"
          "- {id: c, depends_on: [book], choices: [{when: '${input.n == 0}', "
          "next: f}], default: r}\n"
          "- {id: r, type: continue, input: {n: 0}}\n"
          "- {id: f, type: fail, error: NO}\n",
          "{\"n\":1}", _i);
    world_pump(&w, 20);
    is(FLOW_FAILED);
    ck_assert_str_eq(w.code, "NO");
    /* Two bookings, and the second one is undone. */
    ck_assert_ptr_nonnull(strstr(world_log(&w), "hotel/run-1.cancel"));
    ck_assert_ptr_null(strstr(strstr(world_log(&w), "hotel/run-1.cancel") + 1,
                              "hotel/run-1.cancel"));
    world_close(&w);
}
END_TEST

START_TEST(what_was_under_way_is_stopped)
{
    begin("id: a\nsteps:\n"
          "- {id: slow, actor: never}\n"
          "- {id: c, choices: [{when: '${input.n == 0}', next: e}], "
          "default: r}\n"
          "- {id: r, type: continue, input: {n: 0}}\n"
          "- {id: e, type: succeed, input: done}\n",
          "{\"n\":1}", _i);
    world_pump(&w, 20);
    output_is("\"done\"");
    world_close(&w);
}
END_TEST

START_TEST(only_the_outermost_level_begins_anew)
{
    struct flow_def *def = NULL;
    const char *text = "id: a\nsteps:\n- id: p\n  branches:\n  - id: b\n"
                       "    steps: [{id: r, type: continue}]\n";
    const char *undone = "id: a\nsteps:\n- {id: r, type: continue, "
                         "compensate: {actor: x}}\n";

    ck_assert_int_eq(flow_def_parse(text, strlen(text), &def, &err),
                     PLEX_INVALID);
    ck_assert_msg(strstr(err.text, "outermost level only") != NULL, "%s",
                  err.text);
    ck_assert_msg(strstr(err.text, "6:13") != NULL, "%s", err.text);
    ck_assert_int_eq(flow_def_parse(undone, strlen(undone), &def, &err),
                     PLEX_INVALID);
}
END_TEST

START_TEST(what_a_choice_does_not_pick_is_left_out_also_if_it_depends_on_it)
{
    begin("id: a\nsteps:\n"
          "- {id: c, choices: [{when: '${input > 5}', next: ask}], "
          "default: go}\n"
          "- {id: ask, depends_on: [c], actor: ask}\n"
          "- {id: go, depends_on: [ask], actor: go}\n"
          "- {id: log, depends_on: [c], actor: log}\n",
          _i < 2 ? "1" : "9", _i % 2);
    world_pump(&w, 20);
    is(FLOW_COMPLETED);
    ck_assert_int_eq(strstr(world_log(&w), "ask/run-1") != NULL, _i >= 2);
    ck_assert_ptr_nonnull(strstr(world_log(&w), "go/run-1"));
    /* None of its choices: it only waits for it. */
    ck_assert_ptr_nonnull(strstr(world_log(&w), "log/run-1"));
    world_close(&w);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("anew");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(tcase, a_run_begins_anew_until_it_has_enough, 0, 2);
    tcase_add_loop_test(tcase, signals_and_vars_go_over_and_nothing_else, 0, 2);
    tcase_add_loop_test(tcase, a_round_that_is_over_is_not_compensated, 0, 2);
    tcase_add_loop_test(tcase, what_was_under_way_is_stopped, 0, 2);
    tcase_add_test(tcase, only_the_outermost_level_begins_anew);
    tcase_add_loop_test(
        tcase, what_a_choice_does_not_pick_is_left_out_also_if_it_depends_on_it,
        0, 4);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
