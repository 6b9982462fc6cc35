/*
 * A run of a workflow as a durable actor: every message is one event of the
 * pure engine (workflow/run.h), its commands are the turn's outputs, its state
 * is the actor's. What the engine waits for costs nothing but that state.
 */
#include "services/worker/builtin_private.h"

#include "common/mem.h"
#include "workflow/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STATE_VERSION = 1,
    TAG_DEFINITION = 0,
    ATTEMPT_BITS = 20,
    CALL_DEFAULT_MS = 3600000,
    DEFINITION_MS = 60000,
};
static const char timer_name[] = "workflow";

struct wf {
    struct plex_ctx *ctx;
    json_t *definition; /* as the catalogue gave it; NULL: not yet */
    json_t *meta;       /* input, labels, parent, status, ... */
    json_t *history;
    struct flow_def *def;
    struct flow_run *run;
};

static const char *
self(const struct wf *wf)
{
    return plex_self(wf->ctx, NULL, NULL, NULL);
}

static const char *
text_of(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));

    return text == NULL ? "" : text;
}

/* -- state -------------------------------------------------------------------
 */

static void
wf_free(struct wf *wf)
{
    flow_run_free(wf->run);
    flow_def_unref(wf->def);
    json_decref(wf->definition);
    json_decref(wf->meta);
    json_decref(wf->history);
}

static int
wf_run_load(struct wf *wf, struct plex_bytes bytes)
{
    struct plex_err err;

    if (bytes.len == 0)
        return 0;
    wf->def = work_definition_parse(wf->definition, &err);
    if (wf->def != NULL &&
        flow_run_decode(wf->def, bytes, &wf->run, &err) == PLEX_OK)
        return 0;
    return plex_fail(wf->ctx, err.text);
}

/* 1: there is a run; 0: there is none; negative: it does not decode. */
static int
wf_load(struct wf *wf, struct plex_ctx *ctx)
{
    struct flow_reader r = {0};
    struct plex_bytes run;
    const void *state;
    size_t len;

    *wf = (struct wf){.ctx = ctx};
    state = plex_state(ctx, &len);
    if (state == NULL || len == 0)
        return 0;
    r.at = state;
    r.end = r.at + len;
    if (flow_get_u(&r) != STATE_VERSION)
        return plex_fail(ctx, "the run was written by newer code");
    wf->definition = flow_get_value(&r);
    wf->meta = flow_get_value(&r);
    wf->history = flow_get_value(&r);
    run.len = flow_get_max(&r, FLOW_ENCODED_MAX);
    run.data = r.at;
    if (r.bad || run.len > (size_t)(r.end - r.at)) {
        flow_reader_fini(&r);
        return plex_fail(ctx, "the stored run does not decode");
    }
    flow_reader_fini(&r);
    if (json_is_null(wf->definition)) {
        json_decref(wf->definition);
        wf->definition = NULL;
    }
    return wf_run_load(wf, run) == 0 ? 1 : -1;
}

static int
wf_save(struct wf *wf)
{
    struct plex_buf run = {.max = FLOW_ENCODED_MAX};
    struct plex_buf buf = {.max = 8 << 20};
    struct flow_writer w = {.buf = &buf};
    struct plex_err err;
    bool ok =
        wf->run == NULL || flow_run_encode(wf->run, &run, &err) == PLEX_OK;
    uint8_t *at;

    flow_put_u(&w, STATE_VERSION);
    flow_put_value(&w, wf->definition);
    flow_put_value(&w, wf->meta);
    flow_put_value(&w, wf->history);
    flow_put_u(&w, run.len);
    at = ok && !w.full ? plex_buf_grow(&buf, run.len) : NULL;
    if (at != NULL && run.len > 0)
        memcpy(at, run.data, run.len);
    if (at != NULL)
        plex_state_put(wf->ctx, buf.data, buf.len);
    flow_writer_fini(&w);
    plex_buf_free(&run);
    plex_buf_free(&buf);
    return at != NULL ? 0
                      : plex_fail(wf->ctx, "the run's state is larger than "
                                           "8 MiB");
}

/* -- commands
 * ------------------------------------------------------------------ */

static void
call(struct wf *wf, const struct flow_command *c)
{
    json_t *value = c->value == NULL ? json_object() : json_deep_copy(c->value);
    const uint64_t tag = c->id << ATTEMPT_BITS | c->attempt;
    uint64_t timeout = (uint64_t)c->timeout_ms;
    char *text;

    if (timeout == 0 || timeout > CALL_DEFAULT_MS)
        timeout = CALL_DEFAULT_MS;
    if (c->method != NULL && c->method[0] != '\0' && json_is_object(value) &&
        json_object_get(value, "action") == NULL)
        json_object_set_new(value, "action", json_string(c->method));
    text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(value);
    if (text == NULL) {
        (void)plex_fail(wf->ctx, "a task's input cannot be written as JSON");
        return;
    }
    if (c->detached)
        plex_cast(wf->ctx, c->type, c->key, text, strlen(text));
    else
        plex_call(wf->ctx, c->type, c->key, text, strlen(text), timeout, tag);
    free(text);
}

static void
child(struct wf *wf, const struct flow_command *c)
{
    json_t *start =
        json_pack("{s:s, s:s, s:s, s:O}", "action", "start", "definition",
                  c->type, "version", c->method == NULL ? "" : c->method,
                  "input", c->value == NULL ? json_null() : c->value);

    if (!c->detached)
        json_object_set_new(start, "parent",
                            json_pack("{s:s, s:I, s:i}", "execution", self(wf),
                                      "id", (json_int_t)c->id, "attempt",
                                      (int)c->attempt));
    work_builtin_cast(wf->ctx, "workflow", c->key, start);
}

/* An http step is carried out by an actor of its own: it may wait. */
static void
http(struct wf *wf, const struct flow_command *c)
{
    char key[600];
    json_t *request = json_pack(
        "{s:s, s:s, s:s, s:I}", "action", "request", "method",
        c->method == NULL ? "GET" : c->method, "url", c->url, "timeout_ms",
        (json_int_t)(c->timeout_ms == 0 ? 30000 : c->timeout_ms));
    char *text;

    if (c->headers != NULL)
        json_object_set(request, "headers", c->headers);
    if (c->value != NULL)
        json_object_set(request, "body", c->value);
    (void)snprintf(key, sizeof key, "%.400s.%" PRIu64 ".%u", self(wf), c->id,
                   c->attempt);
    text = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    if (text != NULL)
        plex_call(wf->ctx, "workflow-http", key, text, strlen(text),
                  CALL_DEFAULT_MS, c->id << ATTEMPT_BITS | c->attempt);
    free(text);
}

static void
cancel_child(struct wf *wf, const struct flow_command *c)
{
    work_builtin_cast(wf->ctx, "workflow", c->key,
                      json_pack("{s:s, s:s}", "action", "cancel", "reason",
                                "the parent does not wait any more"));
}

static void
tell_parent(struct wf *wf, const struct flow_command *c)
{
    const json_t *parent = json_object_get(wf->meta, "parent");
    json_t *done;

    if (!json_is_object(parent))
        return;
    done = json_pack("{s:s, s:O, s:O, s:b}", "action", "child_done", "id",
                     json_object_get(parent, "id"), "attempt",
                     json_object_get(parent, "attempt"), "ok",
                     c->kind == FLOW_COMPLETE);
    if (c->kind == FLOW_COMPLETE)
        json_object_set(done, "value",
                        c->value == NULL ? json_null() : c->value);
    else
        json_object_update_new(
            done, json_pack("{s:s, s:s}", "code", c->code, "cause", c->cause));
    work_builtin_cast(wf->ctx, "workflow", text_of(parent, "execution"), done);
}

static void
obey(struct wf *wf, const struct flow_command *c)
{
    const int64_t now = (int64_t)plex_turn_ms(wf->ctx);

    switch (c->kind) {
    case FLOW_CALL:
        call(wf, c);
        break;
    case FLOW_SET_TIMER:
        plex_timer_set(wf->ctx, timer_name,
                       c->due_ms > now ? (uint64_t)(c->due_ms - now) : 0, "",
                       0);
        break;
    case FLOW_CANCEL_TIMER:
        plex_timer_cancel(wf->ctx, timer_name);
        break;
    case FLOW_START_CHILD:
        child(wf, c);
        break;
    case FLOW_CANCEL_CHILD:
        cancel_child(wf, c);
        break;
    case FLOW_HTTP:
        http(wf, c);
        break;
    case FLOW_COMPLETE:
    case FLOW_FAIL:
        tell_parent(wf, c);
        break;
    case FLOW_CALL_CANCEL:  /* a late answer is ignored */
    case FLOW_ASK_APPROVAL: /* "why" and "steps" show it */
    case FLOW_CANCEL_ASK:
    case FLOW_PARK:
        break;
    }
}

static void
history_take(struct wf *wf)
{
    struct flow_history h;

    while (flow_run_history(wf->run, &h)) {
        if (json_array_size(wf->history) >= BUILTIN_HISTORY_MAX)
            json_array_remove(wf->history, 0);
        json_array_append_new(
            wf->history,
            json_pack("{s:I, s:I, s:s, s:s, s:I, s:i, s:s}", "seq",
                      (json_int_t)h.seq, "at_ms", (json_int_t)h.at_ms, "what",
                      h.what, "step", h.step, "id", (json_int_t)h.id, "attempt",
                      (int)h.attempt, "detail", h.detail));
    }
}

static void
status_set(struct wf *wf, const char *status, bool final)
{
    json_t *entry;

    if (strcmp(text_of(wf->meta, "status"), status) == 0)
        return;
    json_object_set_new(wf->meta, "status", json_string(status));
    if (final)
        json_object_set_new(wf->meta, "ended_ms",
                            json_integer((json_int_t)plex_turn_ms(wf->ctx)));
    entry =
        json_pack("{s:s, s:s, s:O, s:O, s:O, s:O}", "id", self(wf), "status",
                  status, "definition", json_object_get(wf->meta, "definition"),
                  "version", json_object_get(wf->meta, "version"), "labels",
                  json_object_get(wf->meta, "labels"), "started_ms",
                  json_object_get(wf->meta, "started_ms"));
    if (final)
        json_object_set(entry, "ended_ms",
                        json_object_get(wf->meta, "ended_ms"));
    work_index_put(wf->ctx, self(wf), entry);
}

/* Everything the engine wants, into this turn. */
static int
wf_apply(struct wf *wf)
{
    struct flow_command c;

    while (flow_run_command(wf->run, &c))
        obey(wf, &c);
    history_take(wf);
    status_set(wf, flow_status_name(flow_run_status(wf->run)),
               flow_status_final(flow_run_status(wf->run)));
    return wf_save(wf);
}

static struct flow_now
now_of(struct plex_ctx *ctx)
{
    struct flow_now now = {.ms = (int64_t)plex_turn_ms(ctx)};

    plex_turn_random(ctx, &now.seed, sizeof now.seed);
    return now;
}

/* -- starting
 * ------------------------------------------------------------------- */

static json_t *
describe(struct wf *wf)
{
    json_t *out =
        json_pack("{s:s, s:O, s:O, s:O, s:O, s:O}", "execution_id", self(wf),
                  "status", json_object_get(wf->meta, "status"), "definition",
                  json_object_get(wf->meta, "definition"), "version",
                  json_object_get(wf->meta, "version"), "labels",
                  json_object_get(wf->meta, "labels"), "started_ms",
                  json_object_get(wf->meta, "started_ms"));
    const char *code =
        wf->run == NULL ? text_of(wf->meta, "code") : flow_run_code(wf->run);
    const char *cause =
        wf->run == NULL ? text_of(wf->meta, "cause") : flow_run_cause(wf->run);
    json_t *output = wf->run == NULL ? NULL : flow_run_output(wf->run);

    if (json_object_get(wf->meta, "ended_ms") != NULL)
        json_object_set(out, "ended_ms", json_object_get(wf->meta, "ended_ms"));
    if (output != NULL)
        json_object_set(out, "output", output);
    if (code[0] != '\0')
        json_object_update_new(
            out, json_pack("{s:s, s:s}", "error", code, "cause", cause));
    return out;
}

static int
start_again(struct wf *wf, const json_t *request)
{
    const json_t *input = json_object_get(request, "input");
    const json_t *first = json_object_get(wf->meta, "input");

    if (strcmp(text_of(request, "definition"),
               text_of(wf->meta, "definition")) != 0 ||
        !flow_value_equal(input == NULL ? json_null() : input, first)) {
        plex_reply_problem(wf->ctx, 409,
                           "execution \"%.100s\" exists with another "
                           "definition or input",
                           self(wf));
        return 0;
    }
    return work_builtin_reply(wf->ctx, 200, describe(wf));
}

static void
ask_definition(struct wf *wf)
{
    json_t *get = json_pack("{s:s, s:O, s:O}", "action", "get", "id",
                            json_object_get(wf->meta, "definition"), "version",
                            json_object_get(wf->meta, "version"));
    char *text = json_dumps(get, JSON_COMPACT);

    json_decref(get);
    if (text != NULL)
        plex_call(wf->ctx, "workflow-catalog", "definitions", text,
                  strlen(text), DEFINITION_MS, TAG_DEFINITION);
    free(text);
}

static int
start(struct wf *wf, const json_t *request)
{
    json_t *input = json_object_get(request, "input");
    json_t *labels = json_object_get(request, "labels");
    const char *definition = text_of(request, "definition");

    if (definition[0] == '\0') {
        plex_reply_problem(wf->ctx, 400,
                           "definition is missing: the id of one that exists");
        return 0;
    }
    if (input != NULL &&
        flow_value_size(input, FLOW_VALUE_MAX) > FLOW_VALUE_MAX) {
        plex_reply_problem(wf->ctx, 413, "the input is larger than 256 KiB");
        return 0;
    }
    wf->meta = json_pack("{s:s, s:s, s:O, s:O, s:I}", "definition", definition,
                         "version", text_of(request, "version"), "input",
                         input == NULL ? json_null() : input, "labels",
                         json_is_object(labels) ? labels : json_null(),
                         "started_ms", (json_int_t)plex_turn_ms(wf->ctx));
    if (json_is_object(json_object_get(request, "parent")))
        json_object_set(wf->meta, "parent", json_object_get(request, "parent"));
    wf->history = json_array();
    status_set(wf, "PENDING", false);
    ask_definition(wf);
    if (wf_save(wf) != 0)
        return -1;
    return work_builtin_reply(wf->ctx, 200, describe(wf));
}

/* The run ends before it began. */
static int
start_fails(struct wf *wf, const char *code, const char *cause)
{
    const struct flow_command c = {
        .kind = FLOW_FAIL, .code = code, .cause = cause};

    json_object_set_new(wf->meta, "code", json_string(code));
    json_object_set_new(wf->meta, "cause", json_string(cause));
    status_set(wf, "FAILED", true);
    tell_parent(wf, &c);
    return wf_save(wf);
}

static int
definition_came(struct wf *wf, enum plex_result_status status,
                const void *payload, size_t len)
{
    const struct flow_now now = now_of(wf->ctx);
    json_t *reply;
    struct plex_err err;

    if (wf->run != NULL || wf->definition != NULL)
        return 0;
    reply = status == PLEX_CALL_OK ? json_loadb(payload, len, 0, NULL) : NULL;
    wf->definition = json_incref(json_object_get(reply, "definition"));
    json_decref(reply);
    if (wf->definition == NULL)
        return start_fails(wf, "NOT_FOUND",
                           status == PLEX_CALL_OK
                               ? "no such definition"
                               : "the definitions could not be read");
    json_object_set(wf->meta, "version",
                    json_object_get(wf->definition, "version"));
    wf->def = work_definition_parse(wf->definition, &err);
    if (wf->def == NULL)
        return start_fails(wf, "INVALID", err.text);
    wf->run = flow_run_create(wf->def, self(wf));
    if (flow_run_start(wf->run, json_object_get(wf->meta, "input"), &now,
                       &err) != PLEX_OK)
        return start_fails(wf, plex_status_name(err.status), err.text);
    return wf_apply(wf);
}

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
    } else if (http >= 400 && http <= 599 &&
               strcmp(text_of(value, "source"), "actor") == 0) {
        event->ok = false;
        event->code = text_of(value, "code");
        event->cause = text_of(value, "detail");
    } else if (json_object_get(value, "http_status") != NULL) {
        event->http =
            (unsigned)json_integer_value(json_object_get(value, "http_status"));
        event->value = json_object_get(value, "body");
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
    struct flow_now now = now_of(ctx);
    json_t *value = NULL;
    struct plex_err err;
    struct wf wf;
    int result = wf_load(&wf, ctx);

    if (result == 1 && tag == TAG_DEFINITION) {
        result = definition_came(&wf, status, payload, len);
    } else if (result == 1 && wf.run != NULL) {
        value = len == 0 ? json_null()
                         : json_loadb(payload, len, JSON_DECODE_ANY, NULL);
        if (value == NULL) /* not JSON: as text */
            value = json_stringn(payload, len);
        event.id = tag >> ATTEMPT_BITS;
        event.attempt = (uint32_t)(tag & ((1u << ATTEMPT_BITS) - 1));
        answer_event(&event, status, value == NULL ? json_null() : value);
        result = flow_run_event(wf.run, &event, &now, &err) == PLEX_OK
                     ? wf_apply(&wf)
                     : 0;
    } else if (result == 1) {
        result = 0;
    }
    json_decref(value);
    wf_free(&wf);
    return result;
}

int
work_workflow_timer(struct plex_ctx *ctx, const char *timer,
                    const void *payload, size_t len)
{
    const struct flow_event event = {.kind = FLOW_EVENT_TIMER};
    struct flow_now now = now_of(ctx);
    struct plex_err err;
    struct wf wf;
    int result = wf_load(&wf, ctx);

    (void)timer;
    (void)payload;
    (void)len;
    if (result == 1)
        result = wf.run != NULL &&
                         flow_run_event(wf.run, &event, &now, &err) == PLEX_OK
                     ? wf_apply(&wf)
                     : 0;
    wf_free(&wf);
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
            .name = text_of(request, "name"),
            .code = text_of(request, "code"),
            .cause = text_of(request, "reason"),
            .value = json_object_get(request, "value"),
        };
        if (event->cause[0] == '\0')
            event->cause = text_of(request, "cause");
        if (event->value == NULL)
            event->value = json_object_get(request, "data");
        if (event->kind == FLOW_EVENT_RESET && event->name[0] == '\0')
            event->name = text_of(request, "step");
        return true;
    }
    return false;
}

static int
take_event(struct wf *wf, const struct flow_event *event)
{
    const struct flow_now now = now_of(wf->ctx);
    struct plex_err err;

    if (wf->run == NULL) {
        plex_reply_problem(wf->ctx, 409, "the run is %s",
                           text_of(wf->meta, "status"));
        return 0;
    }
    if (flow_run_event(wf->run, event, &now, &err) != PLEX_OK)
        return work_builtin_refuse(wf->ctx, &err);
    if (wf_apply(wf) != 0)
        return -1;
    return work_builtin_reply(wf->ctx, 200, describe(wf));
}

static int
query(struct wf *wf, const char *name)
{
    struct plex_err err;
    json_t *value;

    if (wf->run == NULL)
        return work_builtin_reply(
            wf->ctx, 200,
            json_pack("{s:O}", "result", json_object_get(wf->meta, "status")));
    value = flow_run_query(wf->run, name, (int64_t)plex_turn_ms(wf->ctx), &err);
    if (value == NULL)
        return work_builtin_refuse(wf->ctx, &err);
    return work_builtin_reply(wf->ctx, 200,
                              json_pack("{s:o}", "result", value));
}

static int
wf_request(struct wf *wf, const char *action, const json_t *request)
{
    struct flow_event event;

    if (strcmp(action, "start") == 0)
        return start_again(wf, request);
    if (strcmp(action, "get") == 0)
        return work_builtin_reply(wf->ctx, 200, describe(wf));
    if (strcmp(action, "history") == 0)
        return work_builtin_reply(wf->ctx, 200,
                                  json_pack("{s:O}", "history", wf->history));
    if (strcmp(action, "query") == 0)
        return query(wf, text_of(request, "name"));
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
    result = wf_load(&wf, ctx);
    if (result == 1) {
        result = wf_request(&wf, action, request);
    } else if (result == 0 && strcmp(action, "start") == 0) {
        result = start(&wf, request);
    } else if (result == 0) {
        plex_reply_problem(ctx, 404, "execution \"%.100s\" does not exist",
                           self(&wf));
    }
    wf_free(&wf);
    json_decref(request);
    return result;
}
