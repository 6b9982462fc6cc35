#include "workflow/run.h"

#include "common/mem.h"
#include "common/utf8.h"
#include "workflow/run_private.h"
#include "workflow/value.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *
flow_status_name(enum flow_status status)
{
    static const char *const names[] = {"PENDING",   "RUNNING",    "PAUSED",
                                        "PARKED",    "COMPLETED",  "FAILED",
                                        "CANCELLED", "TERMINATED", "TIMED_OUT"};

    return names[status];
}

bool
flow_status_final(enum flow_status status)
{
    return status >= FLOW_COMPLETED;
}

char *
flow_clean(char *text)
{
    size_t len = strlen(text), at = 0;

    while (at < len) {
        const size_t step =
            plex_utf8_char((const uint8_t *)text + at, len - at);

        if (step == 0)
            text[len = at] = '\0';
        at += step;
    }
    return text;
}

void
flow_set_text(char **to, const char *text)
{
    char *copy = text != NULL ? flow_clean(plex_strdup(text)) : NULL;

    free(*to);
    *to = copy;
}

/* -- output
 * ------------------------------------------------------------------------ */

void
flow_note(struct flow_run *run, const char *what, const char *step, uint64_t id,
          uint32_t attempt, const char *fmt, ...)
{
    struct past *past = plex_calloc(1, sizeof *past);
    char detail[FLOW_CAUSE_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(detail, sizeof detail, fmt, args);
    va_end(args);
    flow_clean(detail);
    past->detail = plex_calloc(1, strlen(detail) + strlen(what) + 2);
    strcpy(past->detail, detail);
    /* `what` may be on the stack of the caller: it is kept behind. */
    strcpy(past->detail + strlen(detail) + 1, what);
    past->entry = (struct flow_history){
        .seq = ++run->history_seq,
        .at_ms = run->now_ms,
        .what = past->detail + strlen(detail) + 1,
        .step = step,
        .id = id,
        .attempt = attempt,
        .detail = past->detail,
    };
    TAILQ_INSERT_TAIL(&run->history, past, link);
}

struct out *
flow_emit(struct flow_run *run, enum flow_command_kind kind,
          const struct act *act)
{
    struct out *out = plex_calloc(1, sizeof *out);

    out->command = (struct flow_command){.kind = kind,
                                         .step = "",
                                         .type = "",
                                         .key = "",
                                         .method = "",
                                         .url = "",
                                         .code = "",
                                         .cause = ""};
    if (act != NULL) {
        out->command.id = act->id;
        out->command.attempt = act->attempt;
        out->command.step = act->node->path;
        out->command.compensating = act->frame == NULL;
    }
    TAILQ_INSERT_TAIL(&run->commands, out, link);
    return out;
}

void
flow_say(struct out *out, int which, const char *text)
{
    const char **const fields[] = {&out->command.step, &out->command.type,
                                   &out->command.key,  &out->command.method,
                                   &out->command.url,  &out->command.code,
                                   &out->command.cause};

    flow_set_text(&out->texts[which], text != NULL ? text : "");
    *fields[which] = out->texts[which];
}

static void
out_free(struct out *out)
{
    if (out == NULL)
        return;
    for (size_t i = 0; i < sizeof out->texts / sizeof *out->texts; i++)
        free(out->texts[i]);
    json_decref(out->command.value);
    json_decref(out->command.headers);
    free(out);
}

static void
past_free(struct past *past)
{
    if (past != NULL)
        free(past->detail);
    free(past);
}

bool
flow_run_command(struct flow_run *run, struct flow_command *out)
{
    out_free(run->taken);
    run->taken = TAILQ_FIRST(&run->commands);
    if (run->taken == NULL)
        return false;
    TAILQ_REMOVE(&run->commands, run->taken, link);
    *out = run->taken->command;
    return true;
}

bool
flow_run_history(struct flow_run *run, struct flow_history *out)
{
    past_free(run->told);
    run->told = TAILQ_FIRST(&run->history);
    if (run->told == NULL)
        return false;
    TAILQ_REMOVE(&run->history, run->told, link);
    *out = run->told->entry;
    return true;
}

void
flow_drop_commands(struct flow_run *run)
{
    struct flow_command command;

    while (flow_run_command(run, &command))
        ;
}

/* -- life
 * ----------------------------------------------------------------------------
 */

struct flow_run *
flow_run_blank(struct flow_def *def, const char *run_id)
{
    struct flow_run *run = plex_calloc(1, sizeof *run);

    run->def = flow_def_ref(def);
    run->id = plex_strdup(run_id);
    TAILQ_INIT(&run->frames);
    TAILQ_INIT(&run->acts);
    TAILQ_INIT(&run->ready);
    TAILQ_INIT(&run->signals);
    TAILQ_INIT(&run->commands);
    TAILQ_INIT(&run->history);
    return run;
}

struct flow_run *
flow_run_create(struct flow_def *def, const char *run_id)
{
    struct flow_run *run = flow_run_blank(def, run_id);

    run->vars = json_incref(def->vars);
    return run;
}

static void
drop_signals(struct flow_run *run)
{
    struct kept_signal *kept;

    while ((kept = TAILQ_FIRST(&run->signals)) != NULL) {
        TAILQ_REMOVE(&run->signals, kept, link);
        json_decref(kept->value);
        free(kept->name);
        free(kept);
    }
    run->n_signals = 0;
}

void
flow_run_free(struct flow_run *run)
{
    struct flow_history past;
    struct frame *frame;
    struct act *act;

    if (run == NULL)
        return;
    while ((act = TAILQ_FIRST(&run->acts)) != NULL)
        flow_act_free(run, act);
    while ((frame = TAILQ_FIRST(&run->frames)) != NULL)
        flow_frame_close(run, frame);
    flow_drop_commands(run);
    while (flow_run_history(run, &past))
        ;
    drop_signals(run);
    while (run->n_undos > 0)
        flow_undo_free(&run->undos[--run->n_undos]);
    free(run->undos);
    json_decref(run->input);
    json_decref(run->vars);
    json_decref(run->output);
    free(run->code);
    free(run->cause);
    free(run->reason);
    free(run->id);
    flow_def_unref(run->def);
    free(run);
}

/* -- turns
 * -----------------------------------------------------------------------------
 */

void
flow_loop(struct flow_run *run)
{
    struct act *act;

    while (run->status == FLOW_RUNNING &&
           (act = TAILQ_FIRST(&run->ready)) != NULL &&
           run->turn_steps < FLOW_TURN_STEPS_MAX) {
        if (run->entered == FLOW_RUN_STEPS_MAX) {
            char reason[80];

            (void)snprintf(reason, sizeof reason,
                           "it has entered %d steps, the most that is allowed",
                           FLOW_RUN_STEPS_MAX);
            flow_run_park(run, reason);
            return;
        }
        run->entered++;
        run->turn_steps++;
        flow_act_begin(run, act);
    }
}

/* Few: the exact time. Many: the timer may stay too early, so that not every
 * event looks at every step under way. */
enum { EXACT_TIMER_ACTS = 64 };

static void
set_timer(struct flow_run *run)
{
    int64_t due;

    if (flow_status_final(run->status))
        due = INT64_MAX;
    else if (run->status == FLOW_RUNNING && !TAILQ_EMPTY(&run->ready))
        due = run->now_ms; /* more to do than fits in one turn */
    else if (run->armed_ms == 0 || run->n_acts <= EXACT_TIMER_ACTS)
        due = flow_run_next_due(run);
    else
        due = run->soonest < run->armed_ms ? run->soonest : run->armed_ms;
    if (due == INT64_MAX && run->armed_ms != 0) {
        run->armed_ms = 0;
        (void)flow_emit(run, FLOW_CANCEL_TIMER, NULL);
    } else if (due != INT64_MAX && due != run->armed_ms) {
        run->armed_ms = due;
        flow_emit(run, FLOW_SET_TIMER, NULL)->command.due_ms = due;
    }
}

static void
check_size(struct flow_run *run)
{
    char reason[120];

    if (run->estimate <= FLOW_STATE_MAX || flow_status_final(run->status))
        return;
    run->estimate = flow_run_size(run);
    if (run->estimate <= FLOW_STATE_MAX || run->status == FLOW_PARKED)
        return;
    (void)snprintf(reason, sizeof reason,
                   "its state has %zu bytes, over the limit of %d",
                   run->estimate, FLOW_STATE_MAX);
    flow_run_park(run, reason);
}

static void
turn_begin(struct flow_run *run, const struct flow_now *now)
{
    if (now->ms > run->now_ms)
        run->now_ms = now->ms;
    run->random = now->seed;
    run->turn_steps = 0;
    run->soonest = INT64_MAX;
}

void
flow_settle_turn(struct flow_run *run)
{
    flow_loop(run);
    check_size(run);
    set_timer(run);
}

static enum plex_status
check_value(json_t *value, const char *what, struct plex_err *err)
{
    if (value != NULL &&
        flow_value_size(value, FLOW_VALUE_MAX) > FLOW_VALUE_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "%s has more than %d bytes or nests deeper than "
                            "%d",
                            what, FLOW_VALUE_MAX, FLOW_DEPTH_MAX);
    return PLEX_OK;
}

enum plex_status
flow_run_start(struct flow_run *run, json_t *input, const struct flow_now *now,
               struct plex_err *err)
{
    enum plex_status status = check_value(input, "the input", err);

    if (status != PLEX_OK)
        return status;
    if (run->status != FLOW_PENDING)
        return plex_err_set(err, PLEX_EXISTS, "run '%s' was started already",
                            run->id);
    turn_begin(run, now);
    run->input = input != NULL ? json_incref(input) : json_null();
    run->estimate += flow_value_size(run->input, FLOW_VALUE_MAX);
    run->status = FLOW_RUNNING;
    run->started_ms = run->since_ms = run->now_ms;
    if (run->def->timeout_ms > 0)
        run->limit_ms = flow_wake_at(run, run->now_ms + run->def->timeout_ms);
    flow_note(run, "RUN_STARTED", "", 0, 0, "%s %s", run->def->id,
              run->def->version);
    flow_frame_open(run, 0, NULL, 0, run->input, NULL);
    flow_settle_turn(run);
    return PLEX_OK;
}

void
flow_run_seed_bug(struct flow_run *run, enum flow_bug bug)
{
    run->bug = bug;
}

enum flow_status
flow_run_status(const struct flow_run *run)
{
    return run->status;
}

const char *
flow_run_id(const struct flow_run *run)
{
    return run->id;
}

const struct flow_def *
flow_run_def(const struct flow_run *run)
{
    return run->def;
}

json_t *
flow_run_output(const struct flow_run *run)
{
    return run->output;
}

const char *
flow_run_code(const struct flow_run *run)
{
    return run->code != NULL ? run->code : "";
}

const char *
flow_run_cause(const struct flow_run *run)
{
    return run->cause != NULL ? run->cause : "";
}

/* -- events
 * ------------------------------------------------------------------------------
 */

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
    enum plex_status status = check_value(value, "the signal's data", err);
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
        check_value(event->value, "the decision's data", err);
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
    enum plex_status status = check_value(data, "the update's data", err);
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
    turn_begin(run, now);
    status = dispatch(run, event, err);
    if (status == PLEX_OK)
        flow_settle_turn(run);
    else
        run->now_ms = before_ms;
    return status;
}
