/*
 * A run of a workflow as a durable actor: every message is one event of the
 * pure engine (workflow/run.h), its commands are the turn's outputs, its state
 * is the actor's. What the engine waits for costs nothing but that state.
 */
#include "services/worker/builtin_workflow.h"

#include "workflow/value.h"
#include "workflow/when.h"

#include <stdlib.h>
#include <string.h>

/* -- events
 * ---------------------------------------------------------------------- */

/* A refusal of the callee is an error with a code; anything else is a
 * result. */
static void
answer_event(struct flow_event *event, enum plex_result_status status,
             json_t *value)
{
    static const char *const codes[] = {"", "FAILED", "TIMEOUT", "UNAVAILABLE"};
    const json_int_t http =
        json_integer_value(json_object_get(value, "status"));

    event->kind = FLOW_EVENT_TASK_DONE;
    event->ok = status == PLEX_CALL_OK;
    if (!event->ok) {
        event->code = codes[status];
        event->cause = status == PLEX_CALL_FAILED ? "the actor failed"
                       : status == PLEX_CALL_TIMEOUT
                           ? "the actor did not answer in time"
                           : "the actor could not be reached";
        if (work_wf_text(value, "detail")[0] != '\0')
            event->cause = work_wf_text(value, "detail");
    } else if (http >= 400 && http <= 599 &&
               strcmp(work_wf_text(value, "source"), "actor") == 0) {
        event->ok = false;
        event->code = work_wf_text(value, "code");
        event->cause = work_wf_text(value, "detail");
    } else if (json_object_get(value, "http_error") != NULL) {
        event->ok = false;
        event->code = work_wf_text(value, "code");
        event->cause = work_wf_text(value, "http_error");
    } else if (json_object_get(value, "http_status") != NULL) {
        event->http =
            (unsigned)json_integer_value(json_object_get(value, "http_status"));
        event->value = json_object_get(value, "body");
        event->headers = json_object_get(value, "http_headers");
    } else {
        event->value = value;
    }
}

int
work_workflow_reply(struct plex_ctx *ctx, uint64_t tag,
                    enum plex_result_status status, const void *payload,
                    size_t len)
{
    struct flow_event event = {0};
    struct flow_now now = work_wf_now(ctx);
    json_t *value = NULL;
    struct plex_err err;
    struct wf wf;
    int result = work_wf_load(&wf, ctx);

    if (result == 1 && tag <= WF_TAG_MOVE) {
        result = work_wf_definition(&wf, tag, status, payload, len);
    } else if (result == 1 && wf.run != NULL) {
        value = len == 0 ? json_null()
                         : json_loadb(payload, len, JSON_DECODE_ANY, NULL);
        if (value == NULL) /* not JSON: as text */
            value = json_stringn(payload, len);
        event.id = tag >> WF_ATTEMPT_BITS;
        event.attempt = (uint32_t)(tag & ((1u << WF_ATTEMPT_BITS) - 1));
        answer_event(&event, status, value == NULL ? json_null() : value);
        result = flow_run_event(wf.run, &event, &now, &err) == PLEX_OK
                     ? work_wf_apply(&wf)
                     : 0;
    } else if (result == 1) {
        result = 0;
    }
    json_decref(value);
    work_wf_forget(&wf);
    return result;
}

int
work_workflow_timer(struct plex_ctx *ctx, const char *timer,
                    const void *payload, size_t len)
{
    const struct flow_event event = {.kind = FLOW_EVENT_TIMER};
    struct flow_now now = work_wf_now(ctx);
    struct plex_err err;
    struct wf wf;
    int result = work_wf_load(&wf, ctx);

    (void)payload;
    (void)len;
    if (result == 1 && strcmp(timer, WF_TIMER_RETENTION) == 0) {
        if (work_wf_ended(&wf))
            work_wf_erase(&wf);
        result = 0;
    } else if (result == 1)
        result = wf.run != NULL &&
                         flow_run_event(wf.run, &event, &now, &err) == PLEX_OK
                     ? work_wf_apply(&wf)
                     : 0;
    work_wf_forget(&wf);
    return result;
}

/* What somebody sends to a run, by the message's action. */
static bool
event_of(const char *action, const json_t *request, struct flow_event *event)
{
    static const struct {
        const char *action;
        enum flow_event_kind kind;
    } rows[] = {
        {"signal", FLOW_EVENT_SIGNAL},
        {"approve", FLOW_EVENT_APPROVAL},
        {"cancel", FLOW_EVENT_CANCEL},
        {"pause", FLOW_EVENT_PAUSE},
        {"resume", FLOW_EVENT_RESUME},
        {"terminate", FLOW_EVENT_TERMINATE},
        {"reset", FLOW_EVENT_RESET},
        {"update", FLOW_EVENT_UPDATE},
        {"heartbeat", FLOW_EVENT_HEARTBEAT},
        {"task_done", FLOW_EVENT_TASK_TOKEN},
        {"child_done", FLOW_EVENT_TASK_DONE},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].action, action) != 0)
            continue;
        *event = (struct flow_event){
            .kind = rows[i].kind,
            .id = (uint64_t)json_integer_value(json_object_get(request, "id")),
            .attempt = (uint32_t)json_integer_value(
                json_object_get(request, "attempt")),
            .ok = !json_is_false(json_object_get(request, "ok")),
            .name = work_wf_text(request, "name"),
            .code = work_wf_text(request, "code"),
            .cause = work_wf_text(request, "reason"),
            .value = json_object_get(request, "value"),
        };
        if (event->cause[0] == '\0')
            event->cause = work_wf_text(request, "cause");
        if (event->value == NULL)
            event->value = json_object_get(request, "data");
        if (event->kind == FLOW_EVENT_RESET && event->name[0] == '\0')
            event->name = work_wf_text(request, "step");
        return true;
    }
    return false;
}

/* A run whose definition is still being fetched keeps signals, and can be
 * stopped. */
static int
take_early(struct wf *wf, const struct flow_event *event)
{
    json_t *early = json_object_get(wf->meta, "early");
    int result = 0;

    if (early == NULL || work_wf_ended(wf)) {
        plex_reply_problem(wf->ctx, 409, "the run is %s",
                           work_wf_text(wf->meta, "status"));
        return 0;
    }
    if (event->kind == FLOW_EVENT_CANCEL) {
        result = work_wf_never(wf, "CANCELLED", "CANCELLED", event->cause);
    } else if (event->kind == FLOW_EVENT_TERMINATE) {
        result = work_wf_never(wf, "TERMINATED", "TERMINATED", event->cause);
    } else if (event->kind == FLOW_EVENT_SIGNAL &&
               json_array_size(early) < WF_EARLY_MAX) {
        json_array_append_new(
            early,
            json_pack("{s:s, s:O}", "name", event->name, "value",
                      event->value == NULL ? json_null() : event->value));
        result = work_wf_save(wf);
    } else {
        plex_reply_problem(wf->ctx, 409,
                           "the run has not begun yet; try again");
        return 0;
    }
    return result != 0 ? result
                       : work_builtin_reply(wf->ctx, 200, work_wf_describe(wf));
}

static int
take_event(struct wf *wf, const struct flow_event *event)
{
    const struct flow_now now = work_wf_now(wf->ctx);
    struct plex_err err;

    if (event->kind == FLOW_EVENT_SIGNAL && event->name[0] == '\0') {
        plex_reply_problem(wf->ctx, 400, "name is missing: the signal's");
        return 0;
    }
    if (event->value != NULL &&
        flow_value_size(event->value, FLOW_VALUE_MAX) > FLOW_VALUE_MAX) {
        plex_reply_problem(wf->ctx, 413, "the value is larger than 256 KiB");
        return 0;
    }
    if (wf->run == NULL)
        return take_early(wf, event);
    if (flow_run_event(wf->run, event, &now, &err) != PLEX_OK)
        return work_builtin_refuse(wf->ctx, &err);
    if (work_wf_apply(wf) != 0)
        return -1;
    return work_builtin_reply(wf->ctx, 200, work_wf_describe(wf));
}

/* With a signal in it, a start is for a run that may be there already. */
static int
start_or_signal(struct wf *wf, const json_t *request)
{
    const json_t *signal = json_object_get(request, "signal");
    const struct flow_event event = {.kind = FLOW_EVENT_SIGNAL,
                                     .name = work_wf_text(signal, "name"),
                                     .value = json_object_get(signal, "value")};

    if (signal == NULL)
        return work_wf_start_again(wf, request);
    if (strcmp(work_wf_text(request, "definition"),
               work_wf_text(wf->meta, "definition")) != 0) {
        plex_reply_problem(wf->ctx, 409, "the run is one of definition %.100s",
                           work_wf_text(wf->meta, "definition"));
        return 0;
    }
    return take_event(wf, &event);
}

/* Of a run that has not begun, or ended before it could. */
static json_t *
why_early(const struct wf *wf)
{
    char since[FLOW_TIME_TEXT];
    json_t *out =
        json_pack("{s:O, s:O?, s:s, s:[]}", "status",
                  json_object_get(wf->meta, "status"), "since_ms",
                  json_object_get(wf->meta, work_wf_ended(wf) ? "ended_ms"
                                                              : "started_ms"),
                  "reason", work_wf_text(wf->meta, "cause"), "steps");

    flow_time_format(
        json_integer_value(json_object_get(wf->meta, "started_ms")), since);
    if (!work_wf_ended(wf))
        json_array_append_new(
            json_object_get(out, "steps"),
            json_pack("{s:s, s:s, s:s, s:s, s:s}", "step", "", "state",
                      "WAITING_DEFINITION", "since", since, "waits_for",
                      "its definition, from workflow-catalog/definitions",
                      "remedy", "nothing: it goes on by itself"));
    return out;
}

static int
query(struct wf *wf, const char *name)
{
    struct plex_err err;
    json_t *value;

    if (wf->run == NULL && strcmp(name, "why") == 0)
        return work_builtin_reply(wf->ctx, 200,
                                  json_pack("{s:o}", "result", why_early(wf)));
    if (wf->run == NULL)
        return work_builtin_reply(
            wf->ctx, 200,
            json_pack("{s:O}", "result", json_object_get(wf->meta, "status")));
    value = flow_run_query(wf->run, name, (int64_t)plex_turn_ms(wf->ctx), &err);
    if (value == NULL)
        return work_builtin_refuse(wf->ctx, &err);
    /* What steps share is written out: it may be far more than the state. */
    if (flow_value_size(value, WF_QUERY_MAX) > WF_QUERY_MAX) {
        json_decref(value);
        plex_reply_problem(wf->ctx, 413,
                           "the answer would be larger than 4 MiB; query one "
                           "value by a query of the definition");
        return 0;
    }
    return work_builtin_reply(wf->ctx, 200,
                              json_pack("{s:o}", "result", value));
}

/* One that is under way is terminated first: who waits for it is told, and
 * its children are stopped; nothing is compensated. */
static int
erase(struct wf *wf)
{
    const struct flow_event event = {.kind = FLOW_EVENT_TERMINATE,
                                     .cause = "it was deleted"};
    const struct flow_now now = work_wf_now(wf->ctx);
    struct plex_err err;

    if (wf->run == NULL && !work_wf_ended(wf)) {
        if (work_wf_never(wf, "TERMINATED", "TERMINATED", event.cause) != 0)
            return -1;
    } else if (!work_wf_ended(wf)) {
        if (flow_run_event(wf->run, &event, &now, &err) != PLEX_OK)
            return work_builtin_refuse(wf->ctx, &err);
        if (work_wf_apply(wf) != 0)
            return -1;
        if (!work_wf_ended(wf)) { /* its parent wanted it anew */
            plex_reply_problem(wf->ctx, 409, "the run has begun again");
            return 0;
        }
    }
    work_wf_erase(wf);
    return work_builtin_reply(wf->ctx, 200, json_object());
}

/* Newer ones have ended. Its id may be another run's by now, or it goes on. */
static int
expire(struct wf *wf, const json_t *request)
{
    if (work_wf_ended(wf) &&
        json_integer_value(json_object_get(wf->meta, "ended_ms")) ==
            json_integer_value(json_object_get(request, "ended_ms")))
        work_wf_erase(wf);
    return 0;
}

static int
wf_request(struct wf *wf, const char *action, const json_t *request)
{
    struct flow_event event;

    if (strcmp(action, "start") == 0)
        return start_or_signal(wf, request);
    if (strcmp(action, "fork") == 0)
        return work_wf_fork(wf, request);
    if (strcmp(action, "move") == 0)
        return work_wf_move(wf, request);
    if (strcmp(action, "check_move") == 0)
        return work_wf_check_move(wf, request);
    if (strcmp(action, "adopt") == 0) { /* sent twice, or the id is taken */
        plex_reply_problem(wf->ctx, 409, "the run exists");
        return 0;
    }
    if (strcmp(action, "get") == 0)
        return work_wf_look(wf, request);
    if (strcmp(action, "delete") == 0)
        return erase(wf);
    if (strcmp(action, "expire") == 0)
        return expire(wf, request);
    if (strcmp(action, "history") == 0)
        return work_builtin_reply(wf->ctx, 200,
                                  json_pack("{s:O}", "history", wf->history));
    if (strcmp(action, "query") == 0)
        return query(wf, work_wf_text(request, "name"));
    if (strcmp(action, "steps") == 0 || strcmp(action, "why") == 0)
        return query(wf, action);
    if (event_of(action, request, &event))
        return take_event(wf, &event);
    plex_reply_problem(wf->ctx, 400, "action \"%.40s\" is not known", action);
    return 0;
}

int
work_workflow_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *action;
    json_t *request = work_builtin_request(ctx, msg, &action);
    struct wf wf;
    int result;

    if (request == NULL)
        return 0;
    result = work_wf_load(&wf, ctx);
    if (result == 1) {
        result = wf_request(&wf, action, request);
    } else if (result == 0 && strcmp(action, "start") == 0) {
        result = work_wf_start(&wf, request);
    } else if (result == 0 && strcmp(action, "adopt") == 0) {
        result = work_wf_adopt(&wf, request);
    } else if (result == 0) {
        plex_reply_problem(ctx, 404, "execution \"%.100s\" does not exist",
                           work_wf_self(&wf));
    }
    work_wf_forget(&wf);
    json_decref(request);
    return result;
}
