#include "tests/unit/workflow/world.h"
#include "workflow/value.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define LAMBDA "arn:aws:lambda:us-east-1:123456789012:function:"
#define ONE(state) "{\"StartAt\":\"S\",\"States\":{\"S\":" state "}}"
#define PASS(rest) ONE("{\"Type\":\"Pass\",\"End\":true" rest "}")
#define TASK(rest) \
    ONE("{\"Type\":\"Task\",\"Resource\":\"actor:echo\",\"End\":true" rest "}")
#define CHOICE(rule)                                                          \
    "{\"StartAt\":\"C\",\"States\":{\"C\":{\"Type\":\"Choice\",\"Choices\":[" \
    "{" rule ",\"Next\":\"Y\"}],\"Default\":\"N\"},\"Y\":{\"Type\":\"Pass\"," \
    "\"Result\":true,\"End\":true},\"N\":{\"Type\":\"Pass\",\"Result\":"      \
    "false,\"End\":true}}}"
#define WAIT(rest) ONE("{\"Type\":\"Wait\",\"End\":true," rest "}")

static const struct {
    const char *name, *text, *input;
    enum flow_status status;
    const char *output; /* or the error's code */
    const char *log;
} cases[] = {
    {"hello",
     "{\"Comment\":\"hello\",\"StartAt\":\"Hello\",\"States\":{\"Hello\":{"
     "\"Type\":\"Pass\",\"Result\":\"Hello\",\"Next\":\"World\"},\"World\":{"
     "\"Type\":\"Pass\",\"Result\":\"World\",\"End\":true}}}",
     "{}", FLOW_COMPLETED, "\"World\"", ""},
    {"pass_input", PASS(""), "{\"a\":1}", FLOW_COMPLETED, "{\"a\":1}", ""},
    {"pass_result_path",
     PASS(",\"Result\":{\"x\":1},\"ResultPath\":\"$.coords\""), "{\"a\":1}",
     FLOW_COMPLETED, "{\"a\":1,\"coords\":{\"x\":1}}", ""},
    {"pass_discard", PASS(",\"Result\":1,\"ResultPath\":null"), "{\"a\":1}",
     FLOW_COMPLETED, "{\"a\":1}", ""},
    {"input_path", PASS(",\"InputPath\":\"$.a.b\""), "{\"a\":{\"b\":[1]}}",
     FLOW_COMPLETED, "[1]", ""},
    {"input_path_null", PASS(",\"InputPath\":null"), "{\"a\":1}",
     FLOW_COMPLETED, "{}", ""},
    {"output_path", PASS(",\"OutputPath\":\"$.a\""), "{\"a\":2}",
     FLOW_COMPLETED, "2", ""},
    {"output_path_null", PASS(",\"OutputPath\":null"), "{\"a\":2}",
     FLOW_COMPLETED, "{}", ""},
    {"parameters",
     PASS(",\"Parameters\":{\"fixed\":1,\"v.$\":\"$.a\",\"id.$\":\"$$."
          "Execution.Id\",\"list\":[{\"w.$\":\"$.a\"}],\"f.$\":\"States."
          "Format('<{}>', $.a)\"}"),
     "{\"a\":5}", FLOW_COMPLETED,
     "{\"fixed\":1,\"v\":5,\"id\":\"run-1\",\"list\":[{\"w\":5}],\"f\":"
     "\"<5>\"}",
     ""},
    {"parameters_fail", PASS(",\"Parameters\":{\"v.$\":\"$.nope\"}"), "{}",
     FLOW_FAILED, "States.ParameterPathFailure", ""},
    {"intrinsic_fails",
     PASS(",\"Parameters\":{\"v.$\":\"States.MathAdd('a', 1)\"}"), "{}",
     FLOW_FAILED, "States.IntrinsicFailure", ""},
    {"result_path_fails", PASS(",\"Result\":1,\"ResultPath\":\"$.a.b\""),
     "{\"a\":1}", FLOW_FAILED, "States.ResultPathMatchFailure", ""},
    {"context",
     PASS(",\"Parameters\":{\"s.$\":\"$$.State.Name\",\"t.$\":\"$$.Execution."
          "StartTime\",\"i.$\":\"$$.Execution.Input.q\",\"m.$\":\"$$."
          "StateMachine.Name\"}"),
     "{\"q\":3}", FLOW_COMPLETED,
     "{\"s\":\"S\",\"t\":\"2023-11-14T22:13:20Z\",\"i\":3,\"m\":\"machine\"}",
     ""},
    {"task", TASK(""), "{\"a\":1}", FLOW_COMPLETED, "{\"a\":1}",
     "echo/run-1.run({\"a\":1})\n"},
    {"lambda",
     ONE("{\"Type\":\"Task\",\"Resource\":\"" LAMBDA
         "ProcessOrder:3\",\"End\":true}"),
     "1", FLOW_COMPLETED, "{\"process-order.run\":1}",
     "process-order/run-1.run(1)\n"},
    {"lambda_invoke",
     ONE("{\"Type\":\"Task\",\"Resource\":\"arn:aws:states:::lambda:invoke\","
         "\"Parameters\":{\"FunctionName\":\"" LAMBDA
         "echo:$LATEST\",\"Payload.$\":\"$\"},\"OutputPath\":\"$.Payload\","
         "\"End\":true}"),
     "{\"a\":1}", FLOW_COMPLETED, "{\"a\":1}", "echo/run-1.run({\"a\":1})\n"},
    {"service",
     ONE("{\"Type\":\"Task\",\"Resource\":\"arn:aws:states:::sqs:sendMessage\""
         ",\"Parameters\":{\"Body\":1},\"ResultPath\":\"$.r\",\"End\":true}"),
     "{}", FLOW_COMPLETED, "{\"r\":{\"sqs.sendMessage\":{\"Body\":1}}}",
     "sqs/run-1.sendMessage({\"Body\":1})\n"},
    {"sdk_service",
     ONE("{\"Type\":\"Task\",\"Resource\":\"arn:aws:states:::aws-sdk:dynamodb:"
         "getItem\",\"ResultPath\":null,\"End\":true}"),
     "{}", FLOW_COMPLETED, "{}", "dynamodb/run-1.getItem({})\n"},
    {"actor_key_method",
     ONE("{\"Type\":\"Task\",\"Resource\":\"arn:plexspaces:actor:echo/k1/"
         "go\",\"End\":true}"),
     "1", FLOW_COMPLETED, "1", "echo/k1.go(1)\n"},
    {"mapped_resource",
     ONE("{\"Type\":\"Task\",\"Resource\":\"my-old-arn\",\"End\":true}"), "1",
     FLOW_COMPLETED, "1", "echo/fixed.run(1)\n"},
    {"child",
     ONE("{\"Type\":\"Task\",\"Resource\":\"arn:aws:states:::states:"
         "startExecution.sync:2\",\"Parameters\":{\"StateMachineArn\":\"arn:"
         "aws:states:us-east-1:1:stateMachine:echo\",\"Input\":{\"v.$\":\"$."
         "a\"}},\"OutputPath\":\"$.Output\",\"End\":true}"),
     "{\"a\":4}", FLOW_COMPLETED, "{\"v\":4}", NULL},
    {"result_selector",
     TASK(",\"ResultSelector\":{\"only.$\":\"$.a\"},\"ResultPath\":\"$.r\""),
     "{\"a\":1,\"b\":2}", FLOW_COMPLETED,
     "{\"a\":1,\"b\":2,\"r\":{\"only\":1}}", NULL},
    {"retry",
     ONE("{\"Type\":\"Task\",\"Resource\":\"actor:flaky\",\"Retry\":[{"
         "\"ErrorEquals\":[\"OTHER\"],\"MaxAttempts\":0},{\"ErrorEquals\":["
         "\"UNAVAILABLE\"],\"IntervalSeconds\":2,\"BackoffRate\":1.5,"
         "\"MaxAttempts\":2,\"MaxDelaySeconds\":3,\"JitterStrategy\":"
         "\"FULL\"}],\"End\":true}"),
     "{\"ok_at\":3}", FLOW_COMPLETED, "3", NULL},
    {"retry_exhausted",
     ONE("{\"Type\":\"Task\",\"Resource\":\"actor:flaky\",\"Retry\":[{"
         "\"ErrorEquals\":[\"States.TaskFailed\"],\"MaxAttempts\":1}],"
         "\"End\":true}"),
     "{\"ok_at\":3}", FLOW_FAILED, "UNAVAILABLE", NULL},
    {"catch",
     "{\"StartAt\":\"T\",\"States\":{\"T\":{\"Type\":\"Task\",\"Resource\":"
     "\"actor:fail\",\"Catch\":[{\"ErrorEquals\":[\"OTHER\"],\"Next\":\"A\"},"
     "{\"ErrorEquals\":[\"States.ALL\"],\"ResultPath\":\"$.error\",\"Next\":"
     "\"B\"}],\"End\":true},\"A\":{\"Type\":\"Fail\",\"Error\":\"no\"},\"B\":"
     "{\"Type\":\"Pass\",\"End\":true}}}",
     "{\"code\":\"Custom\"}", FLOW_COMPLETED,
     "{\"code\":\"Custom\",\"error\":{\"Error\":\"Custom\",\"Cause\":"
     "\"as asked\"}}",
     NULL},
    {"timeout",
     ONE("{\"Type\":\"Task\",\"Resource\":\"actor:never\",\"TimeoutSeconds\":"
         "5,\"HeartbeatSeconds\":4,\"End\":true}"),
     "{}", FLOW_FAILED, "States.HeartbeatTimeout", NULL},
    {"timeout_path",
     ONE("{\"Type\":\"Task\",\"Resource\":\"actor:never\","
         "\"TimeoutSecondsPath\":\"$.t\",\"End\":true}"),
     "{\"t\":7}", FLOW_FAILED, "States.Timeout", NULL},
    {"task_failed_is_not_a_timeout",
     "{\"StartAt\":\"T\",\"States\":{\"T\":{\"Type\":\"Task\",\"Resource\":"
     "\"actor:never\",\"TimeoutSeconds\":1,\"Catch\":[{\"ErrorEquals\":["
     "\"States.TaskFailed\"],\"Next\":\"A\"},{\"ErrorEquals\":[\"States."
     "Timeout\"],\"ResultPath\":null,\"Next\":\"B\"}],\"End\":true},\"A\":{"
     "\"Type\":\"Fail\"},\"B\":{\"Type\":\"Succeed\"}}}",
     "{}", FLOW_COMPLETED, "{}", NULL},
    {"fail",
     ONE("{\"Type\":\"Fail\",\"Error\":\"ErrorA\",\"Cause\":\"Kaiju\"}"), "{}",
     FLOW_FAILED, "ErrorA", ""},
    {"fail_path",
     ONE("{\"Type\":\"Fail\",\"ErrorPath\":\"$.e\",\"CausePath\":"
         "\"States.Format('because {}', $.c)\"}"),
     "{\"e\":\"X\",\"c\":\"y\"}", FLOW_FAILED, "X", ""},
    {"succeed", ONE("{\"Type\":\"Succeed\",\"InputPath\":\"$.a\"}"),
     "{\"a\":1}", FLOW_COMPLETED, "1", ""},
    {"wait_seconds", WAIT("\"Seconds\":10"), "{\"a\":1}", FLOW_COMPLETED,
     "{\"a\":1}", ""},
    {"wait_seconds_path", WAIT("\"SecondsPath\":\"$.a\""), "{\"a\":1}",
     FLOW_COMPLETED, "{\"a\":1}", ""},
    {"wait_timestamp", WAIT("\"Timestamp\":\"2023-12-01T00:00:00Z\""), "{}",
     FLOW_COMPLETED, "{}", ""},
    {"wait_timestamp_path", WAIT("\"TimestampPath\":\"$.t\""),
     "{\"t\":\"2023-12-01T00:00:00+02:00\"}", FLOW_COMPLETED,
     "{\"t\":\"2023-12-01T00:00:00+02:00\"}", ""},
    {"wait_wrong", WAIT("\"SecondsPath\":\"$.t\""), "{\"t\":\"x\"}",
     FLOW_FAILED, "States.Runtime", ""},
    {"parallel",
     "{\"StartAt\":\"P\",\"States\":{\"P\":{\"Type\":\"Parallel\",\"Branches\""
     ":[{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\",\"Resource\":"
     "\"actor:add\",\"End\":true}}},{\"StartAt\":\"B\",\"States\":{\"B\":{"
     "\"Type\":\"Pass\",\"OutputPath\":\"$.a\",\"End\":true}}}],\"End\":true}}"
     "}",
     "{\"a\":3,\"b\":4}", FLOW_COMPLETED, "[7,3]", NULL},
    {"parallel_catch",
     "{\"StartAt\":\"P\",\"States\":{\"P\":{\"Type\":\"Parallel\",\"Branches\""
     ":[{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\",\"Resource\":"
     "\"actor:fail\",\"End\":true}}},{\"StartAt\":\"B\",\"States\":{\"B\":{"
     "\"Type\":\"Task\",\"Resource\":\"actor:never\",\"End\":true}}}],"
     "\"Catch\":[{\"ErrorEquals\":[\"States.BranchFailed\"],\"Next\":\"E\"}],"
     "\"End\":true},\"E\":{\"Type\":\"Pass\",\"InputPath\":\"$.Error\","
     "\"End\":true}}}",
     "{}", FLOW_COMPLETED, "\"FAILED\"", NULL},
    {"map",
     "{\"StartAt\":\"M\",\"States\":{\"M\":{\"Type\":\"Map\",\"ItemsPath\":"
     "\"$.list\",\"ItemSelector\":{\"n.$\":\"$$.Map.Item.Value\",\"i.$\":"
     "\"$$.Map.Item.Index\",\"k.$\":\"$.k\"},\"MaxConcurrency\":2,"
     "\"ItemProcessor\":{\"ProcessorConfig\":{\"Mode\":\"INLINE\"},"
     "\"StartAt\":\"E\",\"States\":{\"E\":{\"Type\":\"Task\",\"Resource\":"
     "\"actor:echo\",\"End\":true}}},\"ResultPath\":\"$.out\",\"End\":true}}}",
     "{\"list\":[5,6,7],\"k\":\"z\"}", FLOW_COMPLETED,
     "{\"list\":[5,6,7],\"k\":\"z\",\"out\":[{\"n\":5,\"i\":0,\"k\":\"z\"},{"
     "\"n\":6,\"i\":1,\"k\":\"z\"},{\"n\":7,\"i\":2,\"k\":\"z\"}]}",
     NULL},
    {"map_iterator",
     "{\"StartAt\":\"M\",\"States\":{\"M\":{\"Type\":\"Map\",\"Iterator\":{"
     "\"StartAt\":\"E\",\"States\":{\"E\":{\"Type\":\"Pass\",\"End\":true}}},"
     "\"MaxConcurrencyPath\":\"$[0]\",\"End\":true}}}",
     "[1,2]", FLOW_COMPLETED, "[1,2]", ""},
    {"map_not_a_list",
     "{\"StartAt\":\"M\",\"States\":{\"M\":{\"Type\":\"Map\",\"Iterator\":{"
     "\"StartAt\":\"E\",\"States\":{\"E\":{\"Type\":\"Pass\",\"End\":true}}},"
     "\"End\":true}}}",
     "{}", FLOW_FAILED, "States.Runtime", ""},
    {"map_too_many_fail",
     "{\"StartAt\":\"M\",\"States\":{\"M\":{\"Type\":\"Map\","
     "\"ToleratedFailurePercentage\":30,\"Iterator\":{\"StartAt\":\"E\","
     "\"States\":{\"E\":{\"Type\":\"Task\",\"Resource\":\"actor:fail\","
     "\"End\":true}}},\"End\":true}}}",
     "[1,2,3]", FLOW_FAILED, "States.ExceedToleratedFailureThreshold", NULL},
    {"loop",
     "{\"StartAt\":\"Add\",\"States\":{\"Add\":{\"Type\":\"Pass\","
     "\"Parameters\":{\"n.$\":\"States.MathAdd($.n, 1)\"},\"Next\":\"More\"},"
     "\"More\":{\"Type\":\"Choice\",\"Choices\":[{\"Variable\":\"$.n\","
     "\"NumericLessThan\":3000,\"Next\":\"Add\"}],\"Default\":\"Done\"},"
     "\"Done\":{\"Type\":\"Succeed\"}}}",
     "{\"n\":0}", FLOW_COMPLETED, "{\"n\":3000}", ""},
    {"no_choice",
     "{\"StartAt\":\"C\",\"States\":{\"C\":{\"Type\":\"Choice\",\"Choices\":[{"
     "\"Variable\":\"$.a\",\"IsPresent\":true,\"Next\":\"S\"}]},\"S\":{"
     "\"Type\":\"Succeed\"}}}",
     "{}", FLOW_FAILED, "States.NoChoiceMatched", ""},
    {"string_equals", CHOICE("\"Variable\":\"$.s\",\"StringEquals\":\"b\""),
     "{\"s\":\"b\"}", FLOW_COMPLETED, "true", ""},
    {"string_other_type", CHOICE("\"Variable\":\"$.s\",\"StringEquals\":\"1\""),
     "{\"s\":1}", FLOW_COMPLETED, "false", ""},
    {"string_less", CHOICE("\"Variable\":\"$.s\",\"StringLessThan\":\"c\""),
     "{\"s\":\"b\"}", FLOW_COMPLETED, "true", ""},
    {"string_greater_equals_path",
     CHOICE("\"Variable\":\"$.s\",\"StringGreaterThanEqualsPath\":\"$.t\""),
     "{\"s\":\"b\",\"t\":\"b\"}", FLOW_COMPLETED, "true", ""},
    {"string_matches",
     CHOICE("\"Variable\":\"$.s\",\"StringMatches\":\"log-*\\\\*.txt\""),
     "{\"s\":\"log-17*.txt\"}", FLOW_COMPLETED, "true", ""},
    {"string_matches_not",
     CHOICE("\"Variable\":\"$.s\",\"StringMatches\":\"log-?.txt\""),
     "{\"s\":\"log-1.txt\"}", FLOW_COMPLETED, "false", ""},
    {"numeric_equals", CHOICE("\"Variable\":\"$.s\",\"NumericEquals\":1"),
     "{\"s\":1.0}", FLOW_COMPLETED, "true", ""},
    {"numeric_greater_path",
     CHOICE("\"Variable\":\"$.s\",\"NumericGreaterThanPath\":\"$.t\""),
     "{\"s\":2,\"t\":1}", FLOW_COMPLETED, "true", ""},
    {"boolean_equals", CHOICE("\"Variable\":\"$.s\",\"BooleanEquals\":false"),
     "{\"s\":false}", FLOW_COMPLETED, "true", ""},
    {"timestamp_less",
     CHOICE("\"Variable\":\"$.s\",\"TimestampLessThan\":\"2026-01-01T00:00:00Z"
            "\""),
     "{\"s\":\"2026-01-01T00:30:00+01:00\"}", FLOW_COMPLETED, "true", ""},
    {"timestamp_equals_path",
     CHOICE("\"Variable\":\"$.s\",\"TimestampEqualsPath\":\"$.t\""),
     "{\"s\":\"2026-01-01T00:00:00Z\",\"t\":\"2026-01-01T01:00:00+01:00\"}",
     FLOW_COMPLETED, "true", ""},
    {"is_present_not", CHOICE("\"Variable\":\"$.s\",\"IsPresent\":false"), "{}",
     FLOW_COMPLETED, "true", ""},
    {"is_null", CHOICE("\"Variable\":\"$.s\",\"IsNull\":true"), "{\"s\":null}",
     FLOW_COMPLETED, "true", ""},
    {"is_numeric", CHOICE("\"Variable\":\"$.s\",\"IsNumeric\":true"),
     "{\"s\":\"1\"}", FLOW_COMPLETED, "false", ""},
    {"is_string", CHOICE("\"Variable\":\"$.s\",\"IsString\":true"),
     "{\"s\":\"1\"}", FLOW_COMPLETED, "true", ""},
    {"is_boolean", CHOICE("\"Variable\":\"$.s\",\"IsBoolean\":true"),
     "{\"s\":true}", FLOW_COMPLETED, "true", ""},
    {"is_timestamp", CHOICE("\"Variable\":\"$.s\",\"IsTimestamp\":true"),
     "{\"s\":\"2026-01-01\"}", FLOW_COMPLETED, "false", ""},
    {"and_or_not",
     CHOICE("\"And\":[{\"Variable\":\"$.s\",\"NumericGreaterThan\":1},{\"Or\":["
            "{\"Variable\":\"$.t\",\"IsPresent\":true},{\"Not\":{\"Variable\":"
            "\"$.s\",\"NumericEquals\":9}}]}]"),
     "{\"s\":5}", FLOW_COMPLETED, "true", ""},
    {"choice_missing_variable",
     CHOICE("\"Variable\":\"$.nope\",\"NumericEquals\":1"), "{}", FLOW_FAILED,
     "States.Runtime", ""},
    {"machine_timeout",
     "{\"TimeoutSeconds\":5,\"StartAt\":\"W\",\"States\":{\"W\":{\"Type\":"
     "\"Wait\",\"Seconds\":9,\"End\":true}}}",
     "{}", FLOW_TIMED_OUT, "States.Timeout", ""},
};

static struct flow_def *
machine(const char *text)
{
    json_t *resources = json_pack("{s:s}", "my-old-arn", "actor:echo/fixed");
    const struct flow_asl_options options = {"machine", NULL, resources};
    struct flow_def *def = NULL;
    struct plex_err err = {0};

    ck_assert_msg(flow_asl_parse(text, strlen(text), &options, &def, &err) ==
                      PLEX_OK,
                  "%s\n%s", err.text, text);
    json_decref(resources);
    return def;
}

static void
check_case(size_t i, bool crash)
{
    struct flow_def *def = machine(cases[i].text);
    json_t *input = json_loads(cases[i].input, JSON_DECODE_ANY, NULL);
    struct plex_err err = {0};
    static struct world w;
    char *output;

    world_open(&w, def);
    w.crash = crash;
    ck_assert_int_eq(world_start(&w, input, &err), PLEX_OK);
    world_pump(&w, 20000);
    ck_assert_msg(flow_run_status(w.run) == cases[i].status,
                  "%s: %s, error %s: %s\n%s%s", cases[i].name,
                  flow_status_name(flow_run_status(w.run)), w.code, w.cause,
                  world_past(&w), world_log(&w));
    if (cases[i].status == FLOW_COMPLETED) {
        output = flow_value_text(w.output);
        ck_assert_msg(strcmp(output, cases[i].output) == 0, "%s: %s",
                      cases[i].name, output);
        free(output);
    } else {
        ck_assert_msg(strcmp(w.code, cases[i].output) == 0, "%s: %s: %s",
                      cases[i].name, w.code, w.cause);
    }
    if (cases[i].log != NULL)
        ck_assert_msg(strcmp(world_log(&w), cases[i].log) == 0, "%s:\n%s",
                      cases[i].name, world_log(&w));
    world_close(&w);
    json_decref(input);
    flow_def_unref(def);
}

START_TEST(a_machine_does_what_the_language_says)
{
    check_case((size_t)_i, false);
}
END_TEST

START_TEST(and_the_same_when_it_crashes_after_every_event)
{
    check_case((size_t)_i, true);
}
END_TEST

static const struct {
    const char *text, *error;
} wrong[] = {
    {"{", "1:1: not JSON"},
    {"{\"States\":{\"S\":{\"Type\":\"Succeed\"}}}", "1:1: StartAt"},
    {"{\"StartAt\":\"S\"}", "1:1: States"},
    {"{\n \"StartAt\": \"T\",\n \"States\": {\"S\": {\"Type\":"
     "\"Succeed\"}}}",
     "2:13: StartAt: there is no state 'T'"},
    {"{\"StartAt\":\"S\",\n\"States\":{\"S\":\n  {\"Type\":\"Pas\"}}}",
     "3:11: States.S.Type: Type should be"},
    {ONE("{\"Type\":\"Pass\"}"), "1:30: States.S: should have a Next"},
    {ONE("{\"Type\":\"Pass\",\"Next\":\"X\"}"),
     "1:52: States.S.Next: there is no state 'X'"},
    {ONE("{\"Type\":\"Pass\",\"Next\":\"S\",\"End\":true}"),
     "1:30: States.S: has both"},
    {PASS(",\"ResultPth\":\"$\""),
     "1:68: States.S.ResultPth: unknown field 'ResultPth'; did you mean "
     "'ResultPath'?"},
    {PASS(",\"InputPath\":\"a\""), "1:68: States.S.InputPath: 1:1: a path"},
    {PASS(",\"Parameters\":{\"a.$\":5}"), "should be a path or an intrinsic"},
    {PASS(",\"Parameters\":{\"a.$\":\"States.No()\"}"),
     "there is no intrinsic function 'States.No'"},
    {PASS(",\"Assign\":{}"), "Assign is not supported here"},
    {"{\"QueryLanguage\":\"JSONata\",\"StartAt\":\"S\",\"States\":{\"S\":{"
     "\"Type\":\"Succeed\"}}}",
     "QueryLanguage is not supported here"},
    {ONE("{\"Type\":\"Wait\",\"End\":true}"), "should have one of Seconds"},
    {WAIT("\"Seconds\":-1"), "whole number from 0"},
    {WAIT("\"Timestamp\":\"tomorrow\""), "should be a time"},
    {CHOICE("\"Variable\":\"$.a\",\"StringEqual\":\"x\""),
     "unknown comparison 'StringEqual'"},
    {CHOICE("\"Variable\":\"$.a\",\"StringEquals\":1"), "should be a text"},
    {CHOICE("\"Variable\":\"$.a\""), "a comparison is missing"},
    {CHOICE("\"Variable\":\"$.a\",\"IsNull\":true,\"IsString\":true"),
     "has one comparison"},
    {CHOICE("\"And\":[]"), "should be a list of rules"},
    {ONE("{\"Type\":\"Task\",\"End\":true}"), "Resource should be a text"},
    {ONE("{\"Type\":\"Task\",\"Resource\":\"actor:Up\",\"End\":true}"),
     "names no actor"},
    {TASK(",\"Retry\":[{\"ErrorEquals\":[]}]"), "at least one error name"},
    {TASK(",\"Retry\":[{\"ErrorEquals\":[\"States.ALL\",\"a\"]}]"),
     "must appear alone"},
    {TASK(",\"Catch\":[{\"ErrorEquals\":[\"States.ALL\"]}]"),
     "Next is missing"},
    {TASK(",\"TimeoutSeconds\":3,\"HeartbeatSeconds\":3"), "less than"},
    {ONE("{\"Type\":\"Map\",\"End\":true}"), "should have an ItemProcessor"},
    {ONE("{\"Type\":\"Parallel\",\"Branches\":[],\"End\":true}"),
     "should be a list of machines"},
};

START_TEST(a_wrong_machine_is_refused_with_its_place)
{
    const struct flow_asl_options options = {"machine", NULL, NULL};
    struct flow_def *def = NULL;
    struct plex_err err = {0};

    ck_assert_int_ne(flow_asl_parse(wrong[_i].text, strlen(wrong[_i].text),
                                    &options, &def, &err),
                     PLEX_OK);
    ck_assert_msg(strstr(err.text, wrong[_i].error) != NULL,
                  "%s\nwant %s\ngot  %s", wrong[_i].text, wrong[_i].error,
                  err.text);
    ck_assert_msg(strchr(err.text, ':') != NULL, "%s", err.text);
}
END_TEST

/* The token that the task was given finishes it; its own answer does not. */
START_TEST(a_task_token_finishes_its_task)
{
    struct flow_def *def = machine(
        ONE("{\"Type\":\"Task\",\"Resource\":\"arn:aws:states:::sqs:"
            "sendMessage.waitForTaskToken\",\"Parameters\":{\"t.$\":\"$$."
            "Task.Token\"},\"End\":true}"));
    struct flow_event event = {.kind = FLOW_EVENT_TASK_DONE};
    static struct world w;
    struct plex_err err;

    world_open(&w, def);
    ck_assert_int_eq(world_start(&w, json_null(), &err), PLEX_OK);
    ck_assert(w.pending[0].detached);
    event.id = w.pending[0].id;
    event.attempt = 1;
    event.ok = true;
    ck_assert_int_eq(world_event(&w, &event, &err), PLEX_OK);
    ck_assert_int_eq(flow_run_status(w.run), FLOW_RUNNING);
    event = (struct flow_event){
        .kind = FLOW_EVENT_TASK_TOKEN,
        .name = json_string_value(json_object_get(w.pending[0].value, "t")),
        .ok = true,
        .value = json_integer(42)};
    ck_assert_int_eq(world_event(&w, &event, &err), PLEX_OK);
    ck_assert_int_eq(flow_run_status(w.run), FLOW_COMPLETED);
    ck_assert_int_eq(json_integer_value(w.output), 42);
    json_decref(event.value);
    world_close(&w);
    flow_def_unref(def);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("asl");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tc, a_machine_does_what_the_language_says, 0,
                        sizeof cases / sizeof *cases);
    tcase_add_loop_test(tc, and_the_same_when_it_crashes_after_every_event, 0,
                        sizeof cases / sizeof *cases);
    tcase_add_loop_test(tc, a_wrong_machine_is_refused_with_its_place, 0,
                        sizeof wrong / sizeof *wrong);
    tcase_add_test(tc, a_task_token_finishes_its_task);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
