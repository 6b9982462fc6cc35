#include "tests/unit/workflow/dice.h"

#include <stdio.h>
#include <string.h>

static json_t *
name_of(unsigned i)
{
    return json_sprintf("S%u", i);
}

static void
add_errors(struct dice *dice, json_t *state, unsigned i, unsigned count)
{
    static const char *const errors[] = {"States.ALL", "States.TaskFailed",
                                         "States.Timeout", "FAILED",
                                         "UNAVAILABLE"};

    if (roll(dice, 3) == 0)
        json_object_set_new(state, "Retry",
                            json_pack("[{s:[s], s:i, s:i, s:s}]", "ErrorEquals",
                                      errors[roll(dice, 5)], "IntervalSeconds",
                                      1 + roll(dice, 3), "MaxAttempts",
                                      roll(dice, 4), "JitterStrategy",
                                      roll(dice, 2) ? "FULL" : "NONE"));
    if (i + 1 < count && roll(dice, 2) == 0)
        json_object_set_new(
            state, "Catch",
            json_pack("[{s:[s], s:o, s:s}]", "ErrorEquals",
                      errors[roll(dice, 5)], "Next",
                      name_of(i + 1 + roll(dice, count - i - 1)), "ResultPath",
                      roll(dice, 2) ? "$.error" : "$.e.f"));
}

static json_t *
make_task(struct dice *dice, unsigned i, unsigned count)
{
    static const char *const types[] = {"echo",  "echo", "work",
                                        "flaky", "fail", "never"};
    json_t *state = json_pack("{s:s, s:o, s:i}", "Type", "Task", "Resource",
                              json_sprintf("actor:%s", types[roll(dice, 6)]),
                              "TimeoutSeconds", 2 + roll(dice, 8));

    json_object_set_new(state, "Parameters",
                        json_pack("{s:i, s:s}", "ok_at", 1 + roll(dice, 4),
                                  "id.$", "States.UUID()"));
    if (roll(dice, 2) == 0)
        json_object_set_new(state, "ResultPath", json_string("$.r"));
    if (roll(dice, 4) == 0)
        json_object_set_new(state, "HeartbeatSeconds", json_integer(1));
    add_errors(dice, state, i, count);
    return state;
}

static json_t *
make_choice(struct dice *dice, unsigned i, unsigned count)
{
    const unsigned later = count - i - 1;

    return json_pack("{s:s, s:[{s:s, s:b, s:o}], s:o}", "Type", "Choice",
                     "Choices", "Variable", "$.r.ok_at", "IsPresent",
                     roll(dice, 2), "Next", name_of(i + 1 + roll(dice, later)),
                     "Default", name_of(i + 1 + roll(dice, later)));
}

static json_t *
make_parallel(struct dice *dice, unsigned i, unsigned count, unsigned depth)
{
    json_t *list = json_array(), *state;

    for (unsigned b = 0; b < 1 + roll(dice, 3); b++)
        json_array_append_new(list, dice_machine(dice, depth + 1));
    state = json_pack("{s:s, s:o}", "Type", "Parallel", "Branches", list);
    json_object_set_new(state, "ResultPath", json_string("$.p"));
    add_errors(dice, state, i, count);
    return state;
}

static json_t *
make_map(struct dice *dice, unsigned i, unsigned count, unsigned depth)
{
    json_t *state =
        json_pack("{s:s, s:s, s:o, s:s}", "Type", "Map", "ItemsPath",
                  "$$.Execution.Input.list", "ItemProcessor",
                  dice_machine(dice, depth + 1), "ResultPath", "$.m");

    json_object_set_new(state, "ItemSelector",
                        json_pack("{s:s, s:s}", "i.$", "$$.Map.Item.Index",
                                  "v.$", "$$.Map.Item.Value"));
    json_object_set_new(state, "MaxConcurrency", json_integer(roll(dice, 3)));
    json_object_set_new(state, "ToleratedFailureCount",
                        json_integer(roll(dice, 3)));
    add_errors(dice, state, i, count);
    return state;
}

static json_t *
make_state(struct dice *dice, unsigned i, unsigned count, unsigned depth)
{
    json_t *state = NULL;

    switch (roll(dice, 9)) {
    case 0:
        if (i + 1 < count)
            return make_choice(dice, i, count);
        break;
    case 1:
        state =
            json_pack("{s:s, s:i}", "Type", "Wait", "Seconds", roll(dice, 5));
        break;
    case 2:
        state = depth < 3 ? make_parallel(dice, i, count, depth) : NULL;
        break;
    case 3:
        state = depth < 3 ? make_map(dice, i, count, depth) : NULL;
        break;
    case 4:
        state = json_pack("{s:s, s:{s:i}, s:s}", "Type", "Pass", "Result", "x",
                          roll(dice, 9), "ResultPath", "$.pass");
        break;
    case 5:
        if (roll(dice, 4) == 0)
            return json_pack("{s:s, s:s}", "Type", "Fail", "Error", "GAVE_UP");
        break;
    default:
        break;
    }
    if (state == NULL)
        state = make_task(dice, i, count);
    if (i + 1 < count)
        json_object_set_new(state, "Next",
                            name_of(i + 1 + roll(dice, count - i - 1)));
    else
        json_object_set_new(state, "End", json_true());
    return state;
}

json_t *
dice_machine(struct dice *dice, unsigned depth)
{
    const unsigned count = 1 + roll(dice, depth == 0 ? 7 : 3);
    json_t *states = json_object();
    char name[16];

    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(name, sizeof name, "S%u", i);
        json_object_set_new(states, name, make_state(dice, i, count, depth));
    }
    return json_pack("{s:s, s:o}", "StartAt", "S0", "States", states);
}
