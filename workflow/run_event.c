/* What each event does to a run. */
#include "common/mem.h"
#include "workflow/run_private.h"
#include "workflow/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The outcome of a call that only decides what has to be undone. */
static void
drained(struct flow_run *run, struct act *act, const struct flow_event *event)
{
    struct frame *frame = act->frame;
    struct flow_fault fault;
    json_t *result = NULL;

    if (event->ok) {
        json_t *raw = event->value != NULL ? event->value : json_null();

        if (act->node->selector != NULL)
            result = flow_eval_in(run, frame, act,
                                  run->def->language == FLOW_ASL ? raw : NULL,
                                  raw, act->node->selector, &fault);
        if (result == NULL)
            result = json_incref(raw);
        flow_undo_push(run, act, result);
        json_decref(result);
    }
    flow_note(run, event->ok ? "STEP_COMPLETED" : "STEP_CANCELLED",
              act->node->path, act->id, act->attempt, "%s", "while stopping");
    if (frame->scope->net)
        flow_node_run(frame, act->node)->state = NODE_STOPPED;
    flow_act_free(run, act);
    flow_frame_drained(run, frame);
}

static void
undone(struct flow_run *run, struct act *act, const struct flow_event *event)
{
    if (!event->ok) {
        flow_act_fail(run, act, event->code != NULL ? event->code : "FAILED",
                      event->cause != NULL ? event->cause : "");
        return;
    }
    run->undone++;
    flow_note(run, "STEP_COMPENSATED", act->node->path, act->id, act->attempt,
              "%s", "");
    flow_act_free(run, act);
    flow_undo_next(run);
}

static json_t *
http_result(const struct flow_event *event)
{
    return json_pack("{s:i, s:O*, s:O*}", "status", (int)event->http, "headers",
                     event->headers, "body", event->value);
}

/* As states:startExecution.sync gives it: Output as a text, or as it is. */
static json_t *
child_result(const struct act *act, const struct flow_event *event)
{
    json_t *output =
        event->value != NULL ? json_incref(event->value) : json_null();
    char *text;

    if (act->node->text_output) {
        text = flow_value_text(output);
        json_decref(output);
        output = json_string(text);
        free(text);
    }
    return json_pack("{s:s, s:s, s:o}", "ExecutionArn", act->key, "Status",
                     "SUCCEEDED", "Output", output);
}

static void
answer_ok(struct flow_run *run, struct act *act, const struct flow_event *event)
{
    const struct flow_node *node = act->node;
    char code[32];
    json_t *result;

    if (node->kind == FLOW_HTTP_STEP && event->http >= 400) {
        char *body =
            flow_value_text(event->value != NULL ? event->value : json_null());

        (void)snprintf(code, sizeof code, "HTTP_%u", event->http % 1000);
        flow_act_fail(run, act, code, body);
        free(body);
        return;
    }
    if (node->kind == FLOW_HTTP_STEP)
        result = http_result(event);
    else if (node->wrapped && node->kind == FLOW_CHILD)
        result = child_result(act, event);
    else if (node->wrapped)
        result = json_pack("{s:O?, s:i, s:s}", "Payload", event->value,
                           "StatusCode", 200, "ExecutedVersion", "$LATEST");
    else
        result = event->value != NULL ? json_incref(event->value) : json_null();
    flow_act_succeed(run, act, result);
}

static const char *
error_code(const struct flow_run *run, const struct flow_event *event)
{
    const char *code =
        event->code != NULL && event->code[0] != '\0' ? event->code : "FAILED";

    return strcmp(code, "TIMEOUT") == 0 ? flow_error_code(run, ERROR_TIMEOUT)
                                        : code;
}

/* Nothing outside is to be cancelled any more, no clock runs. */
static void
answered(struct flow_run *run, struct act *act)
{
    flow_act_phase(run, act, ACT_PARKED);
}

static void
task_done(struct flow_run *run, struct act *act, const struct flow_event *event)
{
    json_t *value = event->value;

    if (act == NULL || act->phase != ACT_CALLED ||
        act->attempt != event->attempt) {
        flow_note(run, "ANSWER_IGNORED", act != NULL ? act->node->path : "",
                  event->id, event->attempt, "%s", "nobody waits for it");
        return;
    }
    if (act->node->token && event->kind != FLOW_EVENT_TASK_TOKEN && event->ok)
        return; /* the call was taken; the token's answer is awaited */
    answered(run, act);
    if (act->frame == NULL) {
        undone(run, act, event);
    } else if (act->stopping) {
        drained(run, act, event);
    } else if (!event->ok) {
        flow_act_fail(run, act, error_code(run, event),
                      event->cause != NULL ? event->cause : "");
    } else if (value != NULL &&
               flow_value_size(value, FLOW_VALUE_MAX) > FLOW_VALUE_MAX) {
        flow_act_succeed(run, act, json_incref(value)); /* parks */
    } else {
        answer_ok(run, act, event);
    }
}

/* "RUN:ID:ATTEMPT" */
static struct act *
by_token(struct flow_run *run, const char *token, uint32_t *attempt)
{
    const char *colon = token != NULL ? strrchr(token, ':') : NULL;
    const char *start = colon;

    if (colon == NULL)
        return NULL;
    while (start > token && start[-1] != ':')
        start--;
    *attempt = (uint32_t)strtoul(colon + 1, NULL, 10);
    return flow_act_find(run, strtoull(start, NULL, 10));
}

static enum plex_status
on_signal(struct flow_run *run, const struct flow_event *event,
          struct plex_err *err)
{
    json_t *value = event->value != NULL ? event->value : json_null();
    const size_t len = event->name != NULL ? strlen(event->name) : 0;
    enum plex_status status = flow_check_value(value, "the signal's data", err);
    struct kept_signal *kept;
    struct act *act;

    if (status != PLEX_OK)
        return status;
    if (len == 0 || len > FLOW_NAME_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "a signal's name has 1 to %d bytes", FLOW_NAME_MAX);
    TAILQ_FOREACH(act, &run->acts, link)
    {
        if (act->phase == ACT_SIGNAL && strcmp(act->what, event->name) == 0)
            break;
    }
    if (act == NULL && run->n_signals == FLOW_SIGNALS_MAX)
        return plex_err_set(err, PLEX_LIMIT,
                            "run '%s' has %d signals that no step has asked "
                            "for",
                            run->id, FLOW_SIGNALS_MAX);
    flow_note(run, "SIGNAL_RECEIVED", act != NULL ? act->node->path : "",
              act != NULL ? act->id : 0, 0, "%s", event->name);
    run->estimate += flow_value_size(value, FLOW_VALUE_MAX);
    if (act != NULL) {
        answered(run, act);
        flow_act_succeed(run, act, json_incref(value));
        return PLEX_OK;
    }
    kept = plex_calloc(1, sizeof *kept);
    kept->name = plex_strdup(event->name);
    kept->value = json_incref(value);
    TAILQ_INSERT_TAIL(&run->signals, kept, link);
    run->n_signals++;
    return PLEX_OK;
}

static enum plex_status
on_approval(struct flow_run *run, const struct flow_event *event,
            struct plex_err *err)
{
    enum plex_status status =
        flow_check_value(event->value, "the decision's data", err);
    struct act *act;
    json_t *result;

    if (status != PLEX_OK)
        return status;
    TAILQ_FOREACH(act, &run->acts, link)
    {
        if (act->phase == ACT_ASKED &&
            (event->id != 0 ? act->id == event->id
                            : event->name != NULL &&
                                  (strcmp(act->node->path, event->name) == 0 ||
                                   strcmp(act->node->id, event->name) == 0)))
            break;
    }
    if (act == NULL)
        return plex_err_set(err, PLEX_NOT_FOUND,
                            "run '%s' waits for no such approval", run->id);
    result =
        json_is_object(event->value) ? json_copy(event->value) : json_object();
    json_object_set_new(result, "approved", json_boolean(event->ok));
    flow_note(run, event->ok ? "APPROVED" : "REJECTED", act->node->path,
              act->id, act->attempt, "%s",
              json_string_value(json_object_get(result, "by")) != NULL
                  ? json_string_value(json_object_get(result, "by"))
                  : "");
    answered(run, act);
    if (event->ok || act->node->reject_passes) {
        flow_act_succeed(run, act, result);
    } else {
        const char *comment =
            json_string_value(json_object_get(result, "comment"));

        flow_act_fail(run, act, flow_error_code(run, ERROR_REJECTED),
                      comment != NULL ? comment : "it was rejected");
        json_decref(result);
    }
    return PLEX_OK;
}

static enum plex_status
on_update(struct flow_run *run, const struct flow_event *event,
          struct plex_err *err)
{
    const struct flow_named *update = NULL;
    json_t *data = event->value != NULL ? event->value : json_null();
    enum plex_status status = flow_check_value(data, "the update's data", err);
    struct flow_fault fault;
    json_t *value;
    bool yes = true;

    if (status != PLEX_OK)
        return status;
    for (uint32_t i = 0; i < run->def->n_updates && event->name != NULL; i++) {
        if (strcmp(run->def->updates[i].name, event->name) == 0)
            update = &run->def->updates[i];
    }
    if (update == NULL)
        return plex_err_set(err, PLEX_NOT_FOUND,
                            "workflow '%s' has no update '%.128s'",
                            run->def->id, event->name ? event->name : "");
    if (update->check != NULL) {
        value = flow_eval_in(run, run->root, NULL, NULL, data, update->check,
                             &fault);
        yes = flow_value_true(value);
        if (value == NULL || !yes)
            status = plex_err_set(
                err, PLEX_INVALID, "update '%s': %s", update->name,
                value == NULL ? fault.text : "its check refuses it");
        json_decref(value);
        if (!yes)
            return status;
    }
    value =
        flow_eval_in(run, run->root, NULL, NULL, data, update->value, &fault);
    if (!json_is_object(value)) {
        json_decref(value);
        return plex_err_set(err, PLEX_INVALID, "update '%s': %s", update->name,
                            value == NULL ? fault.text
                                          : "'set' should be an object");
    }
    data = json_copy(run->vars);
    json_object_update(data, value);
    json_decref(value);
    json_decref(run->vars);
    run->vars = data;
    run->estimate += flow_value_size(data, FLOW_VALUE_MAX);
    flow_note(run, "UPDATED", "", 0, 0, "%s", event->name);
    return PLEX_OK;
}

static enum plex_status
on_resume(struct flow_run *run, struct plex_err *err)
{
    struct act *act, *next;

    if (run->status != FLOW_PAUSED && run->status != FLOW_PARKED)
        return plex_err_set(err, PLEX_CONFLICT,
                            "run '%s' is %s: only PAUSED and PARKED runs can "
                            "be resumed",
                            run->id, flow_status_name(run->status));
    run->status = FLOW_RUNNING;
    run->since_ms = run->now_ms;
    flow_set_text(&run->reason, NULL);
    flow_note(run, "RUN_RESUMED", "", 0, 0, "%s", "");
    for (act = TAILQ_FIRST(&run->acts); act != NULL; act = next) {
        next = TAILQ_NEXT(act, link);
        if (act->phase != ACT_PARKED)
            continue;
        memset(act->tries, 0, (act->node->n_retriers + 1) * sizeof *act->tries);
        act->attempt++;
        flow_act_phase(run, act, ACT_READY);
    }
    return PLEX_OK;
}

static enum plex_status
on_pause(struct flow_run *run, const struct flow_event *event,
         struct plex_err *err)
{
    if (run->status != FLOW_RUNNING)
        return plex_err_set(err, PLEX_CONFLICT,
                            "run '%s' is %s: only a RUNNING run can be paused",
                            run->id, flow_status_name(run->status));
    run->status = FLOW_PAUSED;
    run->since_ms = run->now_ms;
    flow_set_text(&run->reason, event->cause != NULL ? event->cause : "");
    flow_note(run, "RUN_PAUSED", "", 0, 0, "%s", run->reason);
    return PLEX_OK;
}

static enum plex_status
on_cancel(struct flow_run *run, const struct flow_event *event,
          struct plex_err *err)
{
    const char *cause = event->cause != NULL ? event->cause : "";

    if (run->ending != 0)
        return plex_err_set(err, PLEX_CONFLICT,
                            "run '%s' is ending already: %s", run->id,
                            flow_status_name(run->ending));
    flow_run_end(run, FLOW_CANCELLED, "CANCELLED", cause);
    return PLEX_OK;
}

static enum plex_status
dispatch(struct flow_run *run, const struct flow_event *event,
         struct plex_err *err)
{
    struct flow_event by = *event;
    struct act *act;

    switch (event->kind) {
    case FLOW_EVENT_TASK_DONE:
        task_done(run, flow_act_find(run, event->id), event);
        return PLEX_OK;
    case FLOW_EVENT_TASK_TOKEN:
        act = by_token(run, event->name, &by.attempt);
        by.id = act != NULL ? act->id : 0;
        task_done(run, act, &by);
        return PLEX_OK;
    case FLOW_EVENT_TIMER:
        run->armed_ms = 0;
        flow_run_due(run);
        return PLEX_OK;
    case FLOW_EVENT_SIGNAL:
        return on_signal(run, event, err);
    case FLOW_EVENT_APPROVAL:
        return on_approval(run, event, err);
    case FLOW_EVENT_HEARTBEAT:
        act = flow_act_find(run, event->id);
        if (act != NULL && act->attempt == event->attempt && act->beat_ms > 0)
            act->beat_ms = flow_wake_at(run, run->now_ms + act->beat_every_ms);
        return PLEX_OK;
    case FLOW_EVENT_CANCEL:
        return on_cancel(run, event, err);
    case FLOW_EVENT_PAUSE:
        return on_pause(run, event, err);
    case FLOW_EVENT_RESUME:
        return on_resume(run, err);
    case FLOW_EVENT_TERMINATE:
        flow_set_text(&run->code, "TERMINATED");
        flow_set_text(&run->cause, event->cause != NULL ? event->cause : "");
        flow_run_finish(run, FLOW_TERMINATED);
        return PLEX_OK;
    case FLOW_EVENT_RESET:
        return flow_run_reset(run, event->name, err);
    case FLOW_EVENT_UPDATE:
        return on_update(run, event, err);
    }
    return plex_err_set(err, PLEX_INVALID, "event %d is not known",
                        (int)event->kind);
}

static bool
may_be_late(enum flow_event_kind kind)
{
    return kind == FLOW_EVENT_TASK_DONE || kind == FLOW_EVENT_TASK_TOKEN ||
           kind == FLOW_EVENT_TIMER || kind == FLOW_EVENT_HEARTBEAT;
}

enum plex_status
flow_run_event(struct flow_run *run, const struct flow_event *event,
               const struct flow_now *now, struct plex_err *err)
{
    const int64_t before_ms = run->now_ms;
    enum plex_status status;

    if (flow_status_final(run->status) && event->kind != FLOW_EVENT_RESET)
        return may_be_late(event->kind)
                   ? PLEX_OK
                   : plex_err_set(err, PLEX_CONFLICT, "run '%s' has ended: %s",
                                  run->id, flow_status_name(run->status));
    if (run->status == FLOW_PENDING && event->kind != FLOW_EVENT_CANCEL &&
        event->kind != FLOW_EVENT_TERMINATE && event->kind != FLOW_EVENT_SIGNAL)
        return plex_err_set(err, PLEX_CONFLICT, "run '%s' was not started",
                            run->id);
    flow_turn_begin(run, now);
    status = dispatch(run, event, err);
    if (status == PLEX_OK)
        flow_settle_turn(run);
    else
        run->now_ms = before_ms;
    return status;
}
