/* What a step does when its turn has come, and with its result. */
#include "common/mem.h"
#include "common/name.h"
#include "workflow/asl.h"
#include "workflow/run_private.h"
#include "workflow/value.h"
#include "workflow/when.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
is_chain(const struct act *act)
{
    return act->frame == NULL || !act->frame->scope->net;
}

/* `x` over the act's data (chain) or what the run knows (net). */
json_t *
flow_act_eval(struct flow_run *run, struct act *act, json_t *data,
              json_t *result, const struct flow_expr *x)
{
    struct flow_fault fault;
    json_t *value = flow_eval_in(run, act->frame, act, data, result, x, &fault);

    if (value == NULL)
        flow_act_fault(run, act, &fault);
    else
        run->estimate += fault.size;
    return value;
}

/* InputPath, then Parameters; or the native mapping. False: it failed. */
static bool
map_input(struct flow_run *run, struct act *act)
{
    const struct flow_node *node = act->node;
    json_t *data;

    if (act->input != NULL)
        return true;
    if (!is_chain(act)) {
        if (node->params != NULL)
            data = flow_act_eval(run, act, NULL, NULL, node->params);
        else if (node->kind == FLOW_HTTP_STEP)
            data = json_null();
        else
            data = json_incref(run->input);
        if (data != NULL)
            act->input = data;
        return data != NULL;
    }
    if (node->in_discard)
        data = json_object();
    else if (node->in_path != NULL)
        data = flow_act_eval(run, act, act->data, NULL, node->in_path);
    else
        data = json_incref(act->data);
    if (data != NULL && node->params != NULL) {
        json_t *mapped = flow_act_eval(run, act, data, NULL, node->params);

        json_decref(data);
        data = mapped;
    }
    if (data != NULL) /* else the act is gone */
        act->input = data;
    return data != NULL;
}

/* A text from an expression; NULL: the act has failed. */
static char *
eval_text(struct flow_run *run, struct act *act, const struct flow_expr *x,
          const char *what, size_t max)
{
    json_t *value = flow_act_eval(run, act, act->input, NULL, x);
    struct flow_fault fault = {.kind = FLOW_FAULT_TYPE};
    char *text = NULL;

    if (value == NULL)
        return NULL;
    if (json_is_string(value) && json_string_length(value) > 0 &&
        json_string_length(value) <= max) {
        text = plex_strdup(json_string_value(value));
    } else if (json_is_integer(value)) {
        text = flow_value_text(value);
    } else {
        (void)snprintf(fault.text, sizeof fault.text,
                       "%s should be a text of 1 to %zu bytes", what, max);
        flow_act_fault(run, act, &fault);
    }
    json_decref(value);
    return text;
}

/* Seconds from a path (ASL) or the fixed time. False: the act has failed. */
static bool
limit_of(struct flow_run *run, struct act *act, const struct flow_expr *path,
         int64_t fixed_ms, int64_t *out)
{
    struct flow_fault fault = {.kind = FLOW_FAULT_TYPE};
    json_t *value;
    double seconds;

    *out = fixed_ms;
    if (path == NULL)
        return true;
    value = flow_act_eval(run, act, act->input, NULL, path);
    if (value == NULL)
        return false;
    seconds = json_number_value(value);
    if (json_is_integer(value) && seconds >= 1 && seconds <= 99999999) {
        *out = (int64_t)seconds * 1000;
        json_decref(value);
        return true;
    }
    json_decref(value);
    (void)snprintf(fault.text, sizeof fault.text,
                   "a timeout should be from 1 to 99999999 seconds");
    flow_act_fault(run, act, &fault);
    return false;
}

/* Start the clocks of an act that waits for an answer. */
bool
flow_act_clocks(struct flow_run *run, struct act *act)
{
    const struct flow_node *node = act->node;
    int64_t timeout, beat;

    if (!limit_of(run, act, node->timeout_path, node->timeout_ms, &timeout) ||
        !limit_of(run, act, node->heartbeat_path, node->heartbeat_ms, &beat))
        return false;
    act->limit_ms = timeout > 0 ? flow_wake_at(run, run->now_ms + timeout) : 0;
    act->beat_every_ms = beat;
    act->beat_ms = beat > 0 ? flow_wake_at(run, run->now_ms + beat) : 0;
    return true;
}

static int64_t
time_left(const struct flow_run *run, const struct act *act)
{
    return act->limit_ms > 0 ? act->limit_ms - run->now_ms : 0;
}

static void
wait_for(struct act *act, const char *what, const char *type, const char *key,
         const char *method)
{
    char text[512];

    (void)snprintf(text, sizeof text, "%s %.128s%s%.255s%s%.64s", what, type,
                   key[0] ? "/" : "", key, method[0] ? " " : "", method);
    flow_set_text(&act->what, text);
}

/* -- tasks
 * ---------------------------------------------------------------------- */

/* lambda:invoke: the function is in the parameters, the payload inside. */
static bool
unwrap(struct flow_run *run, struct act *act, char **type, json_t **payload)
{
    const char *name =
        json_string_value(json_object_get(act->input, "FunctionName"));
    json_t *inner = json_object_get(act->input, "Payload");
    struct flow_fault fault = {.kind = FLOW_FAULT_TYPE};

    if (name == NULL) {
        (void)snprintf(fault.text, sizeof fault.text,
                       "Parameters should have a FunctionName");
        flow_act_fault(run, act, &fault);
        return false;
    }
    *type = flow_asl_actor_type(name);
    *payload = inner != NULL ? json_incref(inner) : json_object();
    return true;
}

static bool
names_valid(struct flow_run *run, struct act *act, const char *type,
            const char *key)
{
    struct flow_fault fault = {.kind = FLOW_FAULT_TYPE};
    struct plex_err err;

    if (plex_name_type(type, strlen(type), &err) == PLEX_OK &&
        plex_name_key(key, strlen(key), &err) == PLEX_OK)
        return true;
    (void)snprintf(fault.text, sizeof fault.text, "%.180s", err.text);
    flow_act_fault(run, act, &fault);
    return false;
}

static void
call(struct flow_run *run, struct act *act, const char *type, const char *key,
     const char *method, json_t *payload)
{
    struct out *out;

    if (!names_valid(run, act, type, key) || !flow_act_clocks(run, act))
        return;
    out = flow_emit(run, FLOW_CALL, act);
    flow_say(out, SAY_TYPE, type);
    flow_say(out, SAY_KEY, key);
    flow_say(out, SAY_METHOD, method);
    out->command.value = json_incref(payload);
    out->command.timeout_ms = time_left(run, act);
    out->command.detached = act->node->token;
    wait_for(act, act->node->token ? "a task token from" : "an answer of", type,
             key, method);
    flow_act_phase(run, act, ACT_CALLED);
}

static void
begin_task(struct flow_run *run, struct act *act)
{
    const struct flow_target *target = &act->node->target;
    char *type = NULL, *key = NULL, *method = NULL;
    json_t *payload = json_incref(act->input);

    if (act->node->wrapped) {
        json_decref(payload);
        if (!unwrap(run, act, &type, &payload))
            return;
    } else {
        type = eval_text(run, act, target->type, "the actor's type",
                         FLOW_TARGET_MAX);
        if (type == NULL)
            goto done;
    }
    key = target->key != NULL ? eval_text(run, act, target->key,
                                          "the actor's key", FLOW_TARGET_MAX)
                              : plex_strdup(run->id);
    if (key == NULL)
        goto done;
    method = target->method != NULL ? eval_text(run, act, target->method,
                                                "the method", FLOW_TARGET_MAX)
                                    : plex_strdup("run");
    if (method != NULL)
        call(run, act, type, key, method, payload);
done:
    json_decref(payload);
    free(type);
    free(key);
    free(method);
}

static void
begin_child(struct flow_run *run, struct act *act)
{
    const struct flow_target *target = &act->node->target;
    char *type =
             eval_text(run, act, target->type, "the workflow", FLOW_TARGET_MAX),
         *key = NULL;
    char *version = NULL, own[512];
    bool started = false;
    struct out *out;

    (void)snprintf(own, sizeof own, "%.230s.%llu", run->id,
                   (unsigned long long)act->id);
    if (type != NULL && strrchr(type, ':') != NULL) /* an ARN */
        memmove(type, strrchr(type, ':') + 1, strlen(strrchr(type, ':')));
    if (type != NULL)
        key = target->key != NULL ? eval_text(run, act, target->key,
                                              "the run's id", FLOW_TARGET_MAX)
                                  : plex_strdup(own);
    if (key != NULL)
        version = target->method != NULL
                      ? eval_text(run, act, target->method, "the version",
                                  FLOW_TARGET_MAX)
                      : plex_strdup("");
    started = version != NULL && flow_act_clocks(run, act);
    if (started) {
        out = flow_emit(run, FLOW_START_CHILD, act);
        flow_say(out, SAY_TYPE, type);
        flow_say(out, SAY_KEY, key);
        flow_say(out, SAY_METHOD, version);
        out->command.value = json_incref(act->input);
        out->command.detached = act->node->detached;
        wait_for(act, "the run of workflow", type, key, version);
        flow_set_text(&act->key, key);
        flow_act_phase(run, act, ACT_CALLED);
    }
    if (started && act->node->detached)
        flow_act_succeed(run, act,
                         run->def->language == FLOW_ASL
                             ? json_pack("{s:s}", "ExecutionArn", key)
                             : json_pack("{s:s}", "run_id", key));
    free(type);
    free(key);
    free(version);
}

static void
begin_http(struct flow_run *run, struct act *act)
{
    const struct flow_node *node = act->node;
    char *url = eval_text(run, act, node->value, "the URL", 8192),
         *method = NULL;
    json_t *headers = NULL;
    struct out *out;

    if (url == NULL)
        return;
    method =
        node->detail != NULL
            ? eval_text(run, act, node->detail, "the method", FLOW_TARGET_MAX)
            : plex_strdup(json_is_null(act->input) ? "GET" : "POST");
    if (method != NULL)
        headers = node->headers != NULL
                      ? flow_act_eval(run, act, act->input, NULL, node->headers)
                      : json_object();
    if (headers != NULL && flow_act_clocks(run, act)) {
        out = flow_emit(run, FLOW_HTTP, act);
        flow_say(out, SAY_URL, url);
        flow_say(out, SAY_METHOD, method);
        out->command.headers = json_incref(headers);
        out->command.value = json_incref(act->input);
        out->command.timeout_ms = time_left(run, act);
        wait_for(act, "an answer of", url, "", "");
        flow_act_phase(run, act, ACT_CALLED);
    }
    json_decref(headers);
    free(url);
    free(method);
}

/* -- waiting
 * --------------------------------------------------------------------- */

/* What a wait's value means; false: nothing. */
static bool
wait_until(const struct flow_run *run, enum flow_wait_how how,
           const json_t *value, int64_t *due)
{
    const char *text = json_string_value(value);
    const double number = json_number_value(value);
    int64_t ms;

    if (how == FLOW_WAIT_UNTIL) {
        if (json_is_integer(value)) {
            *due = json_integer_value(value);
            return true;
        }
        return text != NULL && flow_time_parse(text, due);
    }
    if (text != NULL && how == FLOW_WAIT_MS) {
        if (!flow_duration_parse(text, &ms))
            return false;
    } else if (json_is_number(value) && number >= 0 && number < 1e14) {
        ms = how == FLOW_WAIT_SECONDS ? (int64_t)(number * 1000)
                                      : (int64_t)number;
    } else {
        return false;
    }
    *due = run->now_ms + ms;
    return true;
}

static void
begin_wait(struct flow_run *run, struct act *act)
{
    json_t *value = flow_act_eval(run, act, act->input, NULL, act->node->value);
    struct flow_fault fault = {.kind = FLOW_FAULT_TYPE};
    int64_t due;
    bool ok;

    if (value == NULL)
        return;
    ok = wait_until(run, act->node->wait_how, value, &due);
    json_decref(value);
    if (!ok || due > run->now_ms + FLOW_WAIT_MAX_MS) {
        (void)snprintf(fault.text, sizeof fault.text,
                       "a wait should be a time or a duration of at most 366 "
                       "days");
        flow_act_fault(run, act, &fault);
    } else if (due <= run->now_ms) {
        flow_act_succeed(run, act, json_incref(act->input));
    } else {
        flow_set_text(&act->what, "the time to come");
        flow_act_phase(run, act, ACT_WAITING);
        act->due_ms = flow_wake_at(run, due);
    }
}

static void
begin_signal(struct flow_run *run, struct act *act)
{
    char *name = eval_text(run, act, act->node->value, "the signal's name",
                           FLOW_NAME_MAX);
    struct kept_signal *kept;
    json_t *value;

    if (name == NULL)
        return;
    TAILQ_FOREACH(kept, &run->signals, link)
    {
        if (strcmp(kept->name, name) == 0)
            break;
    }
    if (kept != NULL) {
        value = kept->value;
        TAILQ_REMOVE(&run->signals, kept, link);
        run->n_signals--;
        free(kept->name);
        free(kept);
        flow_act_succeed(run, act, value);
    } else if (flow_act_clocks(run, act)) {
        flow_set_text(&act->what, name);
        flow_act_phase(run, act, ACT_SIGNAL);
    }
    free(name);
}

static void
begin_approval(struct flow_run *run, struct act *act)
{
    const struct flow_node *node = act->node;
    json_t *title = NULL, *people = NULL;
    struct out *out;

    title = node->value != NULL
                ? flow_act_eval(run, act, NULL, NULL, node->value)
                : json_string(node->title);
    if (title != NULL)
        people = node->detail != NULL
                     ? flow_act_eval(run, act, NULL, NULL, node->detail)
                     : json_array();
    if (people != NULL && flow_act_clocks(run, act)) {
        out = flow_emit(run, FLOW_ASK_APPROVAL, act);
        out->command.value = json_pack("{s:O, s:O, s:O}", "title", title,
                                       "assignees", people, "data", act->input);
        flow_set_text(&act->what, "a decision");
        flow_act_phase(run, act, ACT_ASKED);
    }
    json_decref(title);
    json_decref(people);
}

/* -- routing
 * ----------------------------------------------------------------------- */

/* What a step that passes its data on gives: after OutputPath in a chain. */
static json_t *
pass_output(struct flow_run *run, struct act *act, json_t *data)
{
    const struct flow_node *node = act->node;

    if (node->out_discard)
        return json_object();
    if (node->out_path != NULL)
        return flow_act_eval(run, act, data, NULL, node->out_path);
    return json_incref(data);
}

static void
begin_choice(struct flow_run *run, struct act *act)
{
    const struct flow_node *node = act->node;
    uint32_t picked = node->otherwise;
    json_t *output;

    for (uint32_t i = 0; i < node->n_rules; i++) {
        json_t *value =
            flow_act_eval(run, act, act->input, NULL, node->rules[i].when);
        const bool yes = flow_value_true(value);

        if (value == NULL)
            return;
        json_decref(value);
        if (yes) {
            picked = node->rules[i].next;
            break;
        }
    }
    if (picked == FLOW_NONE) {
        flow_act_fail(run, act, flow_error_code(run, ERROR_NO_CHOICE),
                      "no choice matched and there is no default");
        return;
    }
    if (is_chain(act))
        output = pass_output(run, act, act->input);
    else
        output = json_string(run->def->nodes[picked]->id);
    if (output == NULL)
        return;
    flow_note(run, "STEP_COMPLETED", node->path, act->id, act->attempt, "%s",
              run->def->nodes[picked]->id);
    flow_act_settle(run, act, output, NODE_DONE, picked);
}

static void
begin_fail(struct flow_run *run, struct act *act)
{
    const struct flow_node *node = act->node;
    char *code = plex_strdup("States.Failed"), *cause = plex_strdup("");

    if (node->value != NULL) {
        free(code);
        code = eval_text(run, act, node->value, "the error", FLOW_CODE_MAX);
    }
    if (code != NULL && node->detail != NULL) {
        free(cause);
        cause = eval_text(run, act, node->detail, "the cause", FLOW_VALUE_MAX);
    }
    if (code != NULL && cause != NULL)
        flow_act_fail(run, act, code, cause);
    free(code);
    free(cause);
}

void
flow_act_begin(struct flow_run *run, struct act *act)
{
    if (act->frame == NULL) {
        flow_undo_begin(run, act);
        return;
    }
    if (act->attempt == 1)
        flow_note(run, "STEP_STARTED", act->node->path, act->id, 1, "%s", "");
    if (!map_input(run, act))
        return;
    switch (act->node->kind) {
    case FLOW_TASK:
        begin_task(run, act);
        break;
    case FLOW_CHOICE:
        begin_choice(run, act);
        break;
    case FLOW_WAIT:
        begin_wait(run, act);
        break;
    case FLOW_PARALLEL:
        flow_parallel_begin(run, act);
        break;
    case FLOW_MAP:
        flow_map_begin(run, act);
        break;
    case FLOW_SIGNAL:
        begin_signal(run, act);
        break;
    case FLOW_CHILD:
        begin_child(run, act);
        break;
    case FLOW_APPROVAL:
        begin_approval(run, act);
        break;
    case FLOW_HTTP_STEP:
        begin_http(run, act);
        break;
    case FLOW_FAIL_STEP:
        begin_fail(run, act);
        break;
    default:
        flow_act_succeed(run, act, json_incref(act->input));
    }
}

/* -- results
 * ----------------------------------------------------------------------- */

/* ResultSelector, ResultPath, OutputPath. */
static json_t *
chain_output(struct flow_run *run, struct act *act, json_t *result)
{
    const struct flow_node *node = act->node;
    json_t *selected, *placed, *output;

    if (node->kind == FLOW_WAIT || node->kind == FLOW_SUCCEED)
        return pass_output(run, act, act->input);
    selected = node->selector != NULL
                   ? flow_act_eval(run, act, result, NULL, node->selector)
                   : json_incref(result);
    if (selected == NULL)
        return NULL;
    if (node->result_discard)
        placed = json_incref(act->data);
    else
        placed = flow_place_set(&node->place, act->data, selected);
    json_decref(selected);
    if (placed == NULL) {
        flow_act_fail(run, act, flow_error_code(run, ERROR_RESULT_PATH),
                      "ResultPath cannot be applied to the state's input");
        return NULL;
    }
    output = pass_output(run, act, placed);
    json_decref(placed);
    return output;
}

void
flow_act_succeed(struct flow_run *run, struct act *act, json_t *result)
{
    json_t *output;

    if (flow_value_size(result, FLOW_VALUE_MAX) > FLOW_VALUE_MAX) {
        char reason[128];

        json_decref(result);
        (void)snprintf(reason, sizeof reason,
                       "its result has more than %d bytes or nests deeper "
                       "than %d",
                       FLOW_VALUE_MAX, FLOW_DEPTH_MAX);
        flow_act_park(run, act, reason);
        return;
    }
    if (is_chain(act))
        output = chain_output(run, act, result);
    else if (act->node->selector != NULL)
        output = flow_act_eval(run, act, NULL, result, act->node->selector);
    else
        output = json_incref(result);
    json_decref(result);
    if (output == NULL)
        return;
    if (act->node->compensated)
        flow_undo_push(run, act, output);
    run->estimate += flow_value_size(output, FLOW_VALUE_MAX);
    flow_note(run, "STEP_COMPLETED", act->node->path, act->id, act->attempt,
              "%s", "");
    flow_act_settle(run, act, output, NODE_DONE, FLOW_NONE);
}
