#include "tests/unit/workflow/world.h"
#include "workflow/value.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* A definition, what goes in, and what comes of it. */
static const struct {
    const char *name, *text, *input;
    enum flow_status status;
    const char *output; /* or the error's code */
    const char *log;    /* all calls; NULL: not looked at */
} cases[] = {
    {"one_task", "id: a\nsteps:\n- {id: t, actor: echo}", "{\"x\":1}",
     FLOW_COMPLETED, "{\"x\":1}", "echo/run-1.run({\"x\":1})\n"},
    {"mapped",
     "id: a\nsteps:\n"
     "- {id: t, actor: 'stock/${input.sku}', method: reserve,\n"
     "   input: {n: '${input.n * 2}', note: 'for ${input.sku}'},\n"
     "   output: '${result[\"stock.reserve\"].n}'}\n"
     "output: {reserved: '${steps.t.output}'}",
     "{\"sku\":\"s1\",\"n\":2}", FLOW_COMPLETED, "{\"reserved\":4}",
     "stock/s1.reserve({\"n\":4,\"note\":\"for s1\"})\n"},
    {"diamond",
     "id: a\nsteps:\n- {id: a, actor: echo}\n"
     "- {id: b, actor: b, depends_on: [a]}\n"
     "- {id: c, actor: c, depends_on: [a]}\n"
     "- {id: d, actor: add, depends_on: [b, c],\n"
     "   input: {a: '${length(steps.b.output)}', b: 3}}",
     "1", FLOW_COMPLETED, "4",
     "echo/run-1.run(1)\nb/run-1.run(1)\nc/run-1.run(1)\n"
     "add/run-1.run({\"a\":1,\"b\":3})\n"},
    {"two_sinks",
     "id: a\nsteps:\n- {id: a, actor: echo}\n- {id: b, type: pass,\n"
     "   input: 2}",
     "1", FLOW_COMPLETED, "{\"a\":1,\"b\":2}", NULL},
    {"choice_picks",
     "id: a\nsteps:\n- id: r\n  type: choice\n  choices:\n"
     "  - {when: '${input.n > 10}', next: big}\n"
     "  - {variable: $.n, operator: '==', value: 5, next: five}\n"
     "  default: small\n"
     "- {id: big, type: pass, input: big}\n"
     "- {id: five, type: pass, input: five}\n"
     "- {id: small, type: pass, input: small}\n"
     "- {id: after, type: pass, depends_on: [big, five, small],\n"
     "   input: '${steps.big?.output ?? steps.five?.output ?? "
     "steps.small.output}'}",
     "{\"n\":5}", FLOW_COMPLETED, "\"five\"", ""},
    {"choice_default",
     "id: a\nsteps:\n- {id: r, choices: [{when: '${false}', next: x}],\n"
     "   default: y}\n- {id: x, actor: x}\n- {id: y, type: pass,\n"
     "   input: y}",
     "1", FLOW_COMPLETED, "\"y\"", ""},
    {"no_choice",
     "id: a\nsteps:\n- {id: r, choices: [{when: '${false}', next: x}]}\n"
     "- {id: x, actor: x}",
     "1", FLOW_FAILED, "NO_CHOICE", ""},
    {"wait_then_go",
     "id: a\nsteps:\n- {id: w, duration: 90d}\n"
     "- {id: t, actor: echo, depends_on: [w], input: '${now() - "
     "time(run.started_at)}'}",
     "1", FLOW_COMPLETED, "7776000001", NULL},
    {"wait_past", "id: a\nsteps:\n- {id: w, until: '2001-01-01T00:00:00Z'}",
     "{\"a\":1}", FLOW_COMPLETED, "{\"a\":1}", ""},
    {"wait_too_long", "id: a\nsteps:\n- {id: w, duration: '${\"400d\"}'}", "1",
     FLOW_FAILED, "EXPRESSION", ""},
    {"retried",
     "id: a\nsteps:\n- {id: t, actor: flaky, input: {ok_at: 3},\n"
     "   retry: {max_attempts: 3, initial_interval: 1s}}",
     "1", FLOW_COMPLETED, "3", NULL},
    {"retried_too_little",
     "id: a\nsteps:\n- {id: t, actor: flaky, input: {ok_at: 4},\n"
     "   retry: {max_attempts: 3}}",
     "1", FLOW_FAILED, "UNAVAILABLE", NULL},
    {"retry_by_code",
     "id: a\nsteps:\n- {id: t, actor: fail, input: {code: NOPE},\n"
     "   retry: {max_attempts: 9, retryable_errors: [UNAVAIL*]}}",
     "1", FLOW_FAILED, "NOPE", "fail/run-1.run({\"code\":\"NOPE\"})\n"},
    {"not_retried",
     "id: a\ndefault_retry: {max_attempts: 9, non_retryable_errors: [NOPE]}\n"
     "steps:\n- {id: t, actor: fail, input: {code: NOPE}}",
     "1", FLOW_FAILED, "NOPE", "fail/run-1.run({\"code\":\"NOPE\"})\n"},
    {"on_error",
     "id: a\nsteps:\n- {id: t, actor: fail, on_error: h}\n"
     "- {id: n, actor: never, depends_on: [t]}\n"
     "- {id: h, type: pass, input: '${steps.t.error.code}'}",
     "1", FLOW_COMPLETED, "\"FAILED\"", "fail/run-1.run(1)\n"},
    {"catch_by_code",
     "id: a\nsteps:\n- {id: t, actor: fail, input: {code: B},\n"
     "   catch: [{errors: [A], next: a}, {errors: [B], next: b}]}\n"
     "- {id: a, type: pass, input: a}\n- {id: b, type: pass, input: b}",
     "1", FLOW_COMPLETED, "\"b\"", NULL},
    {"handler_skipped",
     "id: a\nsteps:\n- {id: t, actor: echo, on_error: h}\n"
     "- {id: h, actor: never}",
     "1", FLOW_COMPLETED, "1", "echo/run-1.run(1)\n"},
    {"after_either_way",
     "id: a\nsteps:\n- {id: t, actor: fail, on_error: f}\n"
     "- {id: f, type: pass, depends_on: [t], input: finally}",
     "1", FLOW_COMPLETED, "\"finally\"", NULL},
    {"timeout",
     "id: a\nsteps:\n- {id: t, actor: never, timeout: 5s, on_error: h}\n"
     "- {id: h, type: pass, input: '${steps.t.error.code}'}",
     "1", FLOW_COMPLETED, "\"TIMEOUT\"", "never/run-1.run(1)\ncancel t\n"},
    {"heartbeat", "id: a\nsteps:\n- {id: t, actor: never, heartbeat: 5s}", "1",
     FLOW_FAILED, "HEARTBEAT_TIMEOUT", NULL},
    {"run_timeout",
     "id: a\ndefault_timeout: 1h\nsteps:\n- {id: w, duration: 2h}", "1",
     FLOW_TIMED_OUT, "TIMEOUT", ""},
    {"parallel",
     "id: a\nsteps:\n- id: p\n  branches:\n"
     "  - {id: x, steps: [{id: s, actor: add, input: {a: 1, b: 2}}]}\n"
     "  - {id: y, steps: [{id: s, type: pass, input: 9}],\n"
     "     output: {v: '${steps.s.output}'}}",
     "1", FLOW_COMPLETED, "{\"x\":3,\"y\":{\"v\":9}}", NULL},
    {"parallel_fails",
     "id: a\nsteps:\n- id: p\n  on_error: h\n  branches:\n"
     "  - {id: x, steps: [{id: s, actor: fail}]}\n"
     "  - {id: y, steps: [{id: s, actor: never}]}\n"
     "- {id: h, type: pass, input: '${steps.p.error.code}'}",
     "1", FLOW_COMPLETED, "\"FAILED\"",
     "fail/run-1.run(1)\nnever/run-1.run(1)\ncancel p.y/s\n"},
    {"map",
     "id: a\nsteps:\n- id: m\n  items: '${input}'\n  max_concurrency: 2\n"
     "  each:\n    steps:\n"
     "    - {id: s, actor: add, input: {a: '${item}', b: '${index}'}}",
     "[10,20,30]", FLOW_COMPLETED, "[10,21,32]", NULL},
    {"map_of_nothing",
     "id: a\nsteps:\n- {id: m, items: '${[]}', each: {steps: [{id: s, actor: "
     "x}]}}",
     "1", FLOW_COMPLETED, "[]", ""},
    {"map_of_maps",
     "id: a\nsteps:\n- id: m\n  items: '${input}'\n  each:\n    steps:\n"
     "    - id: n\n      items: '${range(0, item)}'\n      each:\n"
     "        steps: [{id: s, type: pass, input: '${item + 1}'}]",
     "[1,2]", FLOW_COMPLETED, "[[1],[1,2]]", ""},
    {"map_tolerates",
     "id: a\nsteps:\n- id: m\n  items: '${input}'\n  tolerated_failures: 1\n"
     "  each: {steps: [{id: s, actor: {type: '${item}'}}]}",
     "[\"echo\",\"fail\"]", FLOW_COMPLETED,
     "[[\"echo\",\"fail\"],{\"error\":{\"code\":\"FAILED\",\"cause\":"
     "\"as asked\"}}]",
     NULL},
    {"map_tolerates_so_many",
     "id: a\nsteps:\n- id: m\n  items: '${input}'\n  tolerated_failures: 1\n"
     "  each: {steps: [{id: s, actor: {type: '${item}'}}]}",
     "[\"fail\",\"fail\"]", FLOW_FAILED, "TOO_MANY_FAILURES", NULL},
    {"fail_step",
     "id: a\nsteps:\n- {id: f, error: OUT_OF_STOCK, cause: 'no ${input}'}",
     "\"tea\"", FLOW_FAILED, "OUT_OF_STOCK", ""},
    {"succeed_ends_early",
     "id: a\nsteps:\n- {id: n, actor: never}\n"
     "- {id: s, type: succeed, input: done}",
     "1", FLOW_COMPLETED, "\"done\"", "never/run-1.run(1)\ncancel n\n"},
    {"http", "id: a\nsteps:\n- {id: h, url: 'http://x/201', body: {a: 1}}", "1",
     FLOW_COMPLETED, "{\"status\":201,\"body\":{\"method\":\"POST\"}}", NULL},
    {"http_get_fails",
     "id: a\nsteps:\n- {id: h, url: 'http://x/503',\n"
     "   retry: {max_attempts: 2, retryable_errors: ['HTTP_5*']}}",
     "1", FLOW_FAILED, "HTTP_503",
     "http://x/503/.GET(null)\nhttp://x/503/.GET(null)\n"},
    {"child",
     "id: a\nsteps:\n- {id: c, workflow: other, workflow_version: 1.0.0,\n"
     "   input: {q: 1}}",
     "1", FLOW_COMPLETED, "{\"other.1.0.0\":{\"q\":1}}",
     "other/run-1.1.1.0.0({\"q\":1})\n"},
    {"detached_child",
     "id: a\nsteps:\n- {id: c, workflow: never, detached: true, run_id: k}",
     "1", FLOW_COMPLETED, "{\"run_id\":\"k\"}", NULL},
    {"saga",
     "id: a\nsteps:\n"
     "- {id: a, actor: echo, compensate: {actor: undo/a}}\n"
     "- {id: b, actor: echo, depends_on: [a],\n"
     "   compensate: {actor: undo/b, method: back, input: '${result + 1}'}}\n"
     "- {id: c, actor: fail, depends_on: [b], compensate: {actor: undo/c}}",
     "1", FLOW_FAILED, "FAILED",
     "echo/run-1.run(1)\necho/run-1.run(1)\nfail/run-1.run(1)\n"
     "~undo/b.back(2)\n~undo/a.run(1)\n"},
    {"saga_in_a_map",
     "id: a\nsteps:\n- id: m\n  items: '${[1,2]}'\n  each:\n    steps:\n"
     "    - {id: s, actor: echo, input: '${item}', compensate: {actor: "
     "'undo/${item}'}}\n"
     "- {id: f, actor: fail, depends_on: [m]}",
     "1", FLOW_FAILED, "FAILED",
     "echo/run-1.run(1)\necho/run-1.run(2)\nfail/run-1.run(1)\n"
     "~undo/2.run(2)\n~undo/1.run(1)\n"},
    {"expression_fails",
     "id: a\nsteps:\n- {id: t, actor: echo, input: '${input.nope}'}", "{}",
     FLOW_FAILED, "EXPRESSION", ""},
    {"assertion",
     "id: a\nsteps:\n- {id: t, type: pass, input: '${fail(\"no\")}'}", "{}",
     FLOW_FAILED, "FAILED", ""},
    {"vars",
     "id: a\nvars: {n: 3}\nsteps:\n- {id: t, type: pass, input: "
     "'${vars.n + 1}'}",
     "{}", FLOW_COMPLETED, "4", ""},
    {"config_form",
     "{\"id\":\"a\",\"steps\":[{\"id\":\"t\",\"type\":\"TASK\",\"config\":{"
     "\"actor\":\"echo\"},\"timeout\":\"30s\"}]}",
     "5", FLOW_COMPLETED, "5", NULL},
};

static void
check_case(size_t i, bool crash)
{
    struct flow_def *def = world_def(cases[i].text);
    json_t *input = json_loads(cases[i].input, JSON_DECODE_ANY, NULL);
    struct plex_err err = {0};
    static struct world w;
    char *output;

    world_open(&w, def);
    w.crash = crash;
    ck_assert_msg(world_start(&w, input, &err) == PLEX_OK, "%s: %s",
                  cases[i].name, err.text);
    world_pump(&w, 1000);
    ck_assert_msg(flow_run_status(w.run) == cases[i].status,
                  "%s: %s, error %s: %s\n%s%s", cases[i].name,
                  flow_status_name(flow_run_status(w.run)), w.code, w.cause,
                  world_past(&w), world_log(&w));
    if (cases[i].status == FLOW_COMPLETED) {
        output = flow_value_text(w.output);
        ck_assert_msg(strcmp(output, cases[i].output) == 0, "%s: %s",
                      cases[i].name, output);
        free(output);
    } else if (cases[i].output[0] != '\0') {
        ck_assert_msg(strcmp(w.code, cases[i].output) == 0, "%s: %s: %s",
                      cases[i].name, w.code, w.cause);
    }
    if (cases[i].log != NULL)
        ck_assert_msg(strcmp(world_log(&w), cases[i].log) == 0, "%s:\n%s",
                      cases[i].name, world_log(&w));
    ck_assert_int_eq(w.timer_ms, 0);
    world_close(&w);
    json_decref(input);
    flow_def_unref(def);
}

START_TEST(a_definition_does_what_it_says)
{
    check_case((size_t)_i, false);
}
END_TEST

START_TEST(a_crash_after_every_event_changes_nothing)
{
    check_case((size_t)_i, true);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("run");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tc, a_definition_does_what_it_says, 0,
                        sizeof cases / sizeof *cases);
    tcase_add_loop_test(tc, a_crash_after_every_event_changes_nothing, 0,
                        sizeof cases / sizeof *cases);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
