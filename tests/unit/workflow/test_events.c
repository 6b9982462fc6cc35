/* What comes from outside while a run is under way. Every case is run once
 * as it is and once with a crash after every event. */
#include "common/mem.h"
#include "tests/unit/workflow/script.h"
#include "workflow/limits.h"

START_TEST(a_signal_that_is_waited_for_goes_on)
{
    begin("id: a\nsteps:\n- {id: s, signal: go, timeout: 300d}", "1", _i);
    world_pump(&w, 0);
    is(FLOW_RUNNING);
    query_is("why", "steps/0/waits_for", "\"go\"");
    ck_assert_int_eq(send(FLOW_EVENT_SIGNAL, "other", "1"), PLEX_OK);
    is(FLOW_RUNNING);
    ck_assert_int_eq(send(FLOW_EVENT_SIGNAL, "go", "{\"x\":1}"), PLEX_OK);
    output_is("{\"x\":1}");
    ck_assert_int_eq(send(FLOW_EVENT_SIGNAL, "go", "1"), PLEX_CONFLICT);
    ck_assert_msg(strstr(err.text, "has ended: COMPLETED") != NULL, "%s",
                  err.text);
    world_close(&w);
}
END_TEST

START_TEST(signals_that_came_early_are_kept_in_order)
{
    begin("id: a\nsteps:\n- {id: w, duration: 1h}\n"
          "- {id: s, signal: go, depends_on: [w]}\n"
          "- {id: t, signal: go, depends_on: [s]}\n"
          "output: '${[steps.s.output, steps.t.output]}'",
          "1", _i);
    ck_assert_int_eq(send(FLOW_EVENT_SIGNAL, "go", "1"), PLEX_OK);
    ck_assert_int_eq(send(FLOW_EVENT_SIGNAL, "go", "2"), PLEX_OK);
    world_pump(&w, 5);
    output_is("[1,2]");
    world_close(&w);
}
END_TEST

START_TEST(a_signal_can_come_before_the_start)
{
    struct flow_def *def = world_def("id: a\nsteps:\n- {id: s, signal: go}");

    world_open(&w, def);
    w.crash = _i != 0;
    ck_assert_int_eq(send(FLOW_EVENT_SIGNAL, "go", "5"), PLEX_OK);
    ck_assert_int_eq(send(FLOW_EVENT_PAUSE, "x", NULL), PLEX_CONFLICT);
    ck_assert_int_eq(world_start(&w, json_null(), &err), PLEX_OK);
    output_is("5");
    ck_assert_int_eq(world_start(&w, json_null(), &err), PLEX_EXISTS);
    world_close(&w);
    flow_def_unref(def);
}
END_TEST

START_TEST(a_signal_that_does_not_come_times_out)
{
    begin("id: a\nsteps:\n- {id: s, signal: go, timeout: 7d, on_error: h}\n"
          "- {id: h, type: pass, input: late}",
          "1", _i);
    world_pump(&w, 5);
    output_is("\"late\"");
    world_close(&w);
}
END_TEST

START_TEST(too_many_signals_are_refused)
{
    begin("id: a\nsteps:\n- {id: w, duration: 1h}", "1", 0);
    for (int i = 0; i < FLOW_SIGNALS_MAX; i++)
        ck_assert_int_eq(send(FLOW_EVENT_SIGNAL, "go", "1"), PLEX_OK);
    ck_assert_int_eq(send(FLOW_EVENT_SIGNAL, "go", "1"), PLEX_LIMIT);
    world_close(&w);
}
END_TEST

static const char approval[] =
    "id: a\nsteps:\n- {id: ask, approval: 'Pay ${input}?', assignees: [ann],\n"
    "   data: {sum: '${input}'}, timeout: 2d}\n"
    "- {id: pay, actor: echo, depends_on: [ask],\n"
    "   input: '${steps.ask.output.by}'}";

START_TEST(an_approval_goes_on_and_says_who)
{
    begin(approval, "10", _i);
    ck_assert_str_eq(json_string_value(json_object_get(w.asked, "title")),
                     "Pay 10?");
    ck_assert_int_eq(decide("nope", true, "{}"), PLEX_NOT_FOUND);
    ck_assert_int_eq(decide("ask", true, "{\"by\":\"ann\"}"), PLEX_OK);
    world_pump(&w, 5);
    output_is("\"ann\"");
    world_close(&w);
}
END_TEST

START_TEST(a_rejection_fails_the_step)
{
    begin(approval, "10", _i);
    ck_assert_int_eq(decide("ask", false, "{\"comment\":\"too much\"}"),
                     PLEX_OK);
    is(FLOW_FAILED);
    ck_assert_str_eq(w.code, "REJECTED");
    ck_assert_str_eq(w.cause, "too much");
    world_close(&w);
}
END_TEST

START_TEST(nobody_decides_and_it_times_out)
{
    begin(approval, "10", _i);
    world_pump(&w, 5);
    is(FLOW_FAILED);
    ck_assert_str_eq(w.code, "TIMEOUT");
    world_close(&w);
}
END_TEST

START_TEST(a_paused_run_starts_nothing_but_forgets_nothing)
{
    begin("id: a\nsteps:\n- {id: a, actor: echo}\n"
          "- {id: b, actor: echo, depends_on: [a]}",
          "1", _i);
    ck_assert_int_eq(send(FLOW_EVENT_PAUSE, "holiday", NULL), PLEX_OK);
    is(FLOW_PAUSED);
    query_is("why", "reason", "\"holiday\"");
    world_pump(&w, 5);
    ck_assert_str_eq(world_log(&w), "echo/run-1.run(1)\n");
    ck_assert_int_eq(send(FLOW_EVENT_PAUSE, "again", NULL), PLEX_CONFLICT);
    ck_assert_int_eq(send(FLOW_EVENT_RESUME, NULL, NULL), PLEX_OK);
    ck_assert_int_eq(send(FLOW_EVENT_RESUME, NULL, NULL), PLEX_CONFLICT);
    world_pump(&w, 5);
    output_is("1");
    world_close(&w);
}
END_TEST

START_TEST(a_cancelled_run_compensates_backwards)
{
    begin("id: a\nsteps:\n"
          "- {id: a, actor: echo, compensate: {actor: undo/a}}\n"
          "- {id: b, actor: echo, depends_on: [a], compensate: {actor: "
          "undo/b}}\n"
          "- {id: c, duration: 1h, depends_on: [b]}",
          "1", _i);
    world_pump(&w, 2);
    ck_assert_int_eq(send(FLOW_EVENT_CANCEL, "no longer wanted", NULL),
                     PLEX_OK);
    is(FLOW_RUNNING);
    query_is("status", "ending", "\"CANCELLED\"");
    ck_assert_int_eq(send(FLOW_EVENT_CANCEL, "again", NULL), PLEX_CONFLICT);
    world_pump(&w, 5);
    is(FLOW_CANCELLED);
    ck_assert_str_eq(w.cause, "no longer wanted");
    ck_assert_str_eq(world_log(&w), "echo/run-1.run(1)\necho/run-1.run(1)\n"
                                    "~undo/b.run(1)\n~undo/a.run(1)\n");
    world_close(&w);
}
END_TEST

/* A call under way may have had its effect: its answer is waited for, and
 * what it did is undone. */
START_TEST(what_was_under_way_is_compensated_too)
{
    begin("id: a\nsteps:\n"
          "- {id: a, actor: pay, compensate: {actor: undo/a, input: "
          "'${result}'}}\n"
          "- {id: b, actor: never}\n",
          "1", _i);
    ck_assert_int_eq(send(FLOW_EVENT_CANCEL, "stop", NULL), PLEX_OK);
    is(FLOW_RUNNING);
    world_pump(&w, 5);
    is(FLOW_CANCELLED);
    ck_assert_str_eq(world_log(&w),
                     "pay/run-1.run(1)\nnever/run-1.run(1)\ncancel b\n"
                     "~undo/a.run({\"pay.run\":1})\n");
    world_close(&w);
}
END_TEST

START_TEST(an_answer_that_never_comes_does_not_hold_the_end)
{
    begin("id: a\nsteps:\n- {id: p\n, branches: [{id: x, steps: [\n"
          "{id: a, actor: never, timeout: 9s, compensate: {actor: undo}}]}]}",
          "1", _i);
    ck_assert_int_eq(send(FLOW_EVENT_CANCEL, "stop", NULL), PLEX_OK);
    is(FLOW_RUNNING);
    world_pump(&w, 5);
    is(FLOW_CANCELLED);
    ck_assert_str_eq(world_log(&w), "never/run-1.run(1)\ncancel p.x/a\n");
    world_close(&w);
}
END_TEST

START_TEST(a_terminated_run_ends_at_once)
{
    begin("id: a\nsteps:\n"
          "- {id: a, actor: echo, compensate: {actor: undo/a}}\n"
          "- {id: b, actor: never, depends_on: [a]}",
          "1", _i);
    world_pump(&w, 1);
    ck_assert_int_eq(send(FLOW_EVENT_TERMINATE, "now", NULL), PLEX_OK);
    is(FLOW_TERMINATED);
    ck_assert_str_eq(world_log(&w),
                     "echo/run-1.run(1)\nnever/run-1.run(1)\ncancel b\n");
    ck_assert_int_eq(w.timer_ms, 0);
    world_close(&w);
}
END_TEST

START_TEST(a_compensation_is_retried_and_then_parks)
{
    begin("id: a\nsteps:\n"
          "- {id: a, actor: echo, compensate: {actor: fail, retry: "
          "{max_attempts: 2}}}\n"
          "- {id: b, error: X, depends_on: [a]}",
          "1", _i);
    world_pump(&w, 10);
    is(FLOW_PARKED);
    query_is("why", "reason",
             "\"step 'a': its compensation failed: FAILED: as asked\"");
    ck_assert_int_eq(send(FLOW_EVENT_RESUME, NULL, NULL), PLEX_OK);
    world_pump(&w, 10);
    is(FLOW_PARKED);
    ck_assert_int_eq(send(FLOW_EVENT_TERMINATE, "give up", NULL), PLEX_OK);
    is(FLOW_TERMINATED);
    world_close(&w);
}
END_TEST

START_TEST(a_result_that_is_too_large_parks_the_run)
{
    begin("id: a\nsteps:\n- {id: a, actor: big, input: {bytes: 300000}}\n"
          "- {id: b, actor: echo, depends_on: [a]}",
          "1", _i);
    world_pump(&w, 5);
    is(FLOW_PARKED);
    query_is("current_steps", "0/state", "\"PARKED\"");
    query_is("why", "reason",
             "\"step 'a': its result has more than 262144 bytes or nests "
             "deeper than 64\"");
    ck_assert_int_eq(send(FLOW_EVENT_CANCEL, "x", NULL), PLEX_OK);
    is(FLOW_CANCELLED);
    world_close(&w);
}
END_TEST

START_TEST(a_state_that_grows_too_large_parks_the_run)
{
    begin("id: a\nsteps:\n- id: m\n  items: '${range(0, 30)}'\n  each:\n"
          "    steps: [{id: s, actor: big, input: {bytes: 200000}}]",
          "1", _i);
    world_pump(&w, 100);
    is(FLOW_PARKED);
    query_is("status", "status", "\"PARKED\"");
    ck_assert_msg(strstr(world_past(&w), "over the limit of 4194304") != NULL,
                  "%s", world_past(&w));
    world_close(&w);
}
END_TEST

/* Inputs count too, before they are more than anybody can keep. */
START_TEST(inputs_that_grow_too_large_park_the_run)
{
    begin("id: a\nvars: {x: 0123456789abcdef}\nsteps:\n- id: m\n"
          "  items: '${range(0, 500)}'\n  each:\n"
          "    steps: [{id: s, actor: echo, input: {a: "
          "'${join(map(range(0, 9000), i, vars.x), text(item))}'}}]",
          "1", _i);
    is(FLOW_PARKED);
    ck_assert_uint_lt(w.n_pending, 50);
    ck_assert_int_eq(send(FLOW_EVENT_RESUME, NULL, NULL), PLEX_OK);
    is(FLOW_PARKED);
    ck_assert_int_eq(send(FLOW_EVENT_CANCEL, "x", NULL), PLEX_OK);
    is(FLOW_CANCELLED);
    world_close(&w);
}
END_TEST

START_TEST(an_input_that_is_too_large_is_refused)
{
    struct flow_def *def = world_def("id: a\nsteps:\n- {id: s, type: pass}");
    char *text = plex_calloc(1, 300000);
    json_t *value;

    memset(text, 'x', 299999);
    value = json_string(text);
    world_open(&w, def);
    ck_assert_int_eq(world_start(&w, value, &err), PLEX_TOO_LARGE);
    is(FLOW_PENDING);
    json_decref(value);
    free(text);
    world_close(&w);
    flow_def_unref(def);
}
END_TEST

START_TEST(on_failure_park_waits_for_somebody)
{
    begin("id: a\non_failure: park\nsteps:\n"
          "- {id: a, actor: flaky, input: {ok_at: 2}}",
          "1", _i);
    world_pump(&w, 5);
    is(FLOW_PARKED);
    ck_assert_int_eq(send(FLOW_EVENT_RESUME, NULL, NULL), PLEX_OK);
    world_pump(&w, 5);
    output_is("2");
    world_close(&w);
}
END_TEST

static const char updates[] =
    "id: a\nvars: {limit: 5}\nupdates:\n"
    "  raise: {check: '${result.to > vars.limit}', set: {limit: "
    "'${result.to}'}}\n"
    "queries: {limit: '${vars.limit}', seen: '${steps.s?.output ?? 0}'}\n"
    "steps:\n- {id: s, signal: go}\n"
    "- {id: t, type: pass, depends_on: [s], input: '${vars.limit}'}";

START_TEST(an_update_is_checked_and_changes_vars)
{
    begin(updates, "1", _i);
    ck_assert_int_eq(send(FLOW_EVENT_UPDATE, "raise", "{\"to\":3}"),
                     PLEX_INVALID);
    ck_assert_msg(strstr(err.text, "update 'raise': its check refuses it") !=
                      NULL,
                  "%s", err.text);
    query_is("limit", "", "5");
    ck_assert_int_eq(send(FLOW_EVENT_UPDATE, "nope", "1"), PLEX_NOT_FOUND);
    ck_assert_int_eq(send(FLOW_EVENT_UPDATE, "raise", "1"), PLEX_INVALID);
    ck_assert_int_eq(send(FLOW_EVENT_UPDATE, "raise", "{\"to\":8}"), PLEX_OK);
    query_is("limit", "", "8");
    query_is("seen", "", "0");
    ck_assert_ptr_null(flow_run_query(w.run, "nope", 0, &err));
    ck_assert_int_eq(err.status, PLEX_NOT_FOUND);
    ck_assert_int_eq(send(FLOW_EVENT_SIGNAL, "go", "1"), PLEX_OK);
    output_is("8");
    world_close(&w);
}
END_TEST

START_TEST(late_answers_are_ignored)
{
    struct flow_event event = {
        .kind = FLOW_EVENT_TASK_DONE, .id = 1, .attempt = 1, .ok = true};

    begin("id: a\nsteps:\n- {id: a, actor: never, timeout: 1s, retry: "
          "{max_attempts: 2}}",
          "1", _i);
    world_pump(&w, 2); /* timed out, asked again */
    ck_assert_int_eq(world_event(&w, &event, &err), PLEX_OK);
    is(FLOW_RUNNING);
    ck_assert_msg(strstr(world_past(&w), "ANSWER_IGNORED") != NULL, "%s",
                  world_past(&w));
    event.attempt = 2;
    ck_assert_int_eq(world_event(&w, &event, &err), PLEX_OK);
    output_is("null");
    ck_assert_int_eq(world_event(&w, &event, &err), PLEX_OK);
    event.id = 99;
    ck_assert_int_eq(world_event(&w, &event, &err), PLEX_OK);
    world_close(&w);
}
END_TEST

START_TEST(heartbeats_keep_a_task_alive)
{
    struct flow_event beat = {
        .kind = FLOW_EVENT_HEARTBEAT, .id = 1, .attempt = 1};

    begin("id: a\nsteps:\n- {id: a, actor: never, heartbeat: 10s}", "1", _i);
    for (int i = 0; i < 5; i++) {
        w.now.ms += 9000;
        ck_assert_int_eq(world_event(&w, &beat, &err), PLEX_OK);
        ck_assert_int_eq(send(FLOW_EVENT_TIMER, NULL, NULL), PLEX_OK);
        is(FLOW_RUNNING);
    }
    w.now.ms += 11000;
    ck_assert_int_eq(send(FLOW_EVENT_TIMER, NULL, NULL), PLEX_OK);
    is(FLOW_FAILED);
    ck_assert_str_eq(w.code, "HEARTBEAT_TIMEOUT");
    world_close(&w);
}
END_TEST

/* The clock of the machine may go back; that of a run does not, and nothing
 * is early. */
START_TEST(a_clock_that_goes_back_makes_nothing_early)
{
    begin("id: a\nsteps:\n- {id: a, duration: 10s}", "1", _i);
    w.now.ms -= 5000;
    ck_assert_int_eq(send(FLOW_EVENT_TIMER, NULL, NULL), PLEX_OK);
    is(FLOW_RUNNING);
    w.now.ms += 14000;
    ck_assert_int_eq(send(FLOW_EVENT_TIMER, NULL, NULL), PLEX_OK);
    is(FLOW_RUNNING);
    w.now.ms += 1000;
    ck_assert_int_eq(send(FLOW_EVENT_TIMER, NULL, NULL), PLEX_OK);
    is(FLOW_COMPLETED);
    world_close(&w);
}
END_TEST

START_TEST(a_map_keeps_to_its_width)
{
    begin("id: a\nsteps:\n- id: m\n  items: '${range(0, 50)}'\n"
          "  max_concurrency: 7\n  each: {steps: [{id: s, actor: echo}]}",
          "1", _i);
    while (flow_run_status(w.run) == FLOW_RUNNING) {
        ck_assert_uint_le(w.n_pending, 7);
        ck_assert(world_step(&w));
    }
    is(FLOW_COMPLETED);
    ck_assert_uint_eq(json_array_size(w.output), 50);
    world_close(&w);
}
END_TEST

START_TEST(a_seeded_skip_of_compensation_is_seen)
{
    begin("id: a\nsteps:\n"
          "- {id: a, actor: echo, compensate: {actor: undo/a}}\n"
          "- {id: b, actor: fail, depends_on: [a]}",
          "1", _i);
    w.bug = FLOW_BUG_SKIP_COMPENSATION;
    flow_run_seed_bug(w.run, w.bug);
    world_pump(&w, 10);
    is(FLOW_FAILED);
    ck_assert_ptr_null(strstr(world_log(&w), "~undo/a"));
    world_close(&w);
}
END_TEST

START_TEST(a_state_is_read_with_its_own_definition_only)
{
    struct flow_def *other = world_def("id: a\nsteps:\n- {id: b, actor: x}");
    struct plex_buf buf = {.max = 1 << 20};
    struct flow_run *back = NULL;

    begin("id: a\nsteps:\n- {id: a, actor: x}", "1", 0);
    ck_assert_int_eq(flow_run_encode(w.run, &buf, &err), PLEX_OK);
    ck_assert_int_eq(flow_run_decode(other,
                                     (struct plex_bytes){buf.data, buf.len},
                                     &back, &err),
                     PLEX_MISMATCH);
    for (size_t len = 0; len < buf.len; len++)
        ck_assert_int_eq(flow_run_decode(w.def,
                                         (struct plex_bytes){buf.data, len},
                                         &back, &err),
                         PLEX_CORRUPT);
    buf.data[0] = 99;
    ck_assert_int_eq(flow_run_decode(w.def,
                                     (struct plex_bytes){buf.data, buf.len},
                                     &back, &err),
                     PLEX_UNSUPPORTED);
    plex_buf_free(&buf);
    buf.max = 10;
    ck_assert_int_eq(flow_run_encode(w.run, &buf, &err), PLEX_TOO_LARGE);
    plex_buf_free(&buf);
    world_close(&w);
    flow_def_unref(other);
}
END_TEST

int
main(void)
{
    const TTest *const tests[] = {
        a_signal_that_is_waited_for_goes_on,
        signals_that_came_early_are_kept_in_order,
        a_signal_can_come_before_the_start,
        a_signal_that_does_not_come_times_out,
        too_many_signals_are_refused,
        an_approval_goes_on_and_says_who,
        a_rejection_fails_the_step,
        nobody_decides_and_it_times_out,
        a_paused_run_starts_nothing_but_forgets_nothing,
        a_cancelled_run_compensates_backwards,
        what_was_under_way_is_compensated_too,
        an_answer_that_never_comes_does_not_hold_the_end,
        a_terminated_run_ends_at_once,
        a_compensation_is_retried_and_then_parks,
        a_result_that_is_too_large_parks_the_run,
        a_state_that_grows_too_large_parks_the_run,
        inputs_that_grow_too_large_park_the_run,
        an_input_that_is_too_large_is_refused,
        on_failure_park_waits_for_somebody,
        an_update_is_checked_and_changes_vars,
        late_answers_are_ignored,
        heartbeats_keep_a_task_alive,
        a_clock_that_goes_back_makes_nothing_early,
        a_map_keeps_to_its_width,
        a_seeded_skip_of_compensation_is_seen,
        a_state_is_read_with_its_own_definition_only,
    };
    Suite *suite = suite_create("events");
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
