#include "tests/unit/workflow/world.h"

#include "common/mem.h"
#include "workflow/value.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static uint64_t
draw(struct world *w)
{
    w->random = w->random * 6364136223846793005ULL + 1442695040888963407ULL;
    return w->random >> 33;
}

struct flow_def *
world_def(const char *text)
{
    struct flow_def *def = NULL;
    struct plex_err err = {0};

    ck_assert_msg(flow_def_parse(text, strlen(text), &def, &err) == PLEX_OK,
                  "%s\n%s", err.text, text);
    return def;
}

void
world_open(struct world *w, struct flow_def *def)
{
    memset(w, 0, sizeof *w);
    w->def = flow_def_ref(def);
    w->run = flow_run_create(def, "run-1");
    w->now = (struct flow_now){1700000000000, 7};
    w->random = 1;
    w->log_file = open_memstream(&w->log, &w->log_len);
    w->past_file = open_memstream(&w->past, &w->past_len);
}

void
world_close(struct world *w)
{
    for (size_t i = 0; i < w->n_pending; i++)
        json_decref(w->pending[i].value);
    json_decref(w->asked);
    json_decref(w->output);
    flow_run_free(w->run);
    flow_def_unref(w->def);
    (void)fclose(w->log_file);
    (void)fclose(w->past_file);
    free(w->log);
    free(w->past);
}

const char *
world_log(struct world *w)
{
    (void)fflush(w->log_file);
    return w->log;
}

const char *
world_past(struct world *w)
{
    (void)fflush(w->past_file);
    return w->past;
}

static void
forget(struct world *w, uint64_t id)
{
    for (size_t i = 0; i < w->n_pending; i++) {
        if (w->pending[i].id == id) {
            json_decref(w->pending[i].value);
            memmove(&w->pending[i], &w->pending[i + 1],
                    (w->n_pending - i - 1) * sizeof w->pending[i]);
            w->n_pending--;
            return;
        }
    }
}

static void
keep(struct world *w, const struct flow_command *c)
{
    struct world_call *call = &w->pending[w->n_pending++];
    char *text = flow_value_text(c->value);

    ck_assert_uint_le(w->n_pending, WORLD_PENDING - 1);
    memset(call, 0, sizeof *call);
    call->kind = c->kind;
    call->id = c->id;
    call->attempt = c->attempt;
    call->detached = c->detached;
    (void)snprintf(call->type, sizeof call->type, "%s",
                   c->kind == FLOW_HTTP ? c->url : c->type);
    (void)snprintf(call->method, sizeof call->method, "%s", c->method);
    call->value = json_incref(c->value);
    (void)fprintf(w->log_file, "%s%s/%s.%s(%s)\n", c->compensating ? "~" : "",
                  c->kind == FLOW_HTTP ? c->url : c->type, c->key, c->method,
                  strlen(text) < 200 ? text : "...");
    free(text);
}

static void
carry_out(struct world *w, const struct flow_command *c)
{
    switch (c->kind) {
    case FLOW_CALL:
    case FLOW_HTTP:
        keep(w, c);
        break;
    case FLOW_START_CHILD:
        keep(w, c);
        if (c->detached)
            forget(w, c->id);
        break;
    case FLOW_CALL_CANCEL:
    case FLOW_CANCEL_CHILD:
        (void)fprintf(w->log_file, "cancel %s\n", c->step);
        forget(w, c->id);
        break;
    case FLOW_SET_TIMER:
        w->timer_ms = c->due_ms;
        break;
    case FLOW_CANCEL_TIMER:
        w->timer_ms = 0;
        break;
    case FLOW_ASK_APPROVAL:
        json_decref(w->asked);
        w->asked = json_incref(c->value);
        w->asked_id = c->id;
        break;
    case FLOW_COMPLETE:
        json_decref(w->output);
        w->output = json_incref(c->value);
        break;
    case FLOW_FAIL:
        (void)snprintf(w->code, sizeof w->code, "%s", c->code);
        (void)snprintf(w->cause, sizeof w->cause, "%s", c->cause);
        break;
    default:
        break;
    }
}

/* What a crash after the turn means: only what was written down is left. */
static void
restore(struct world *w)
{
    struct plex_buf first = {.max = (16 << 20)}, second = {.max = (16 << 20)};
    struct flow_run *back = NULL;
    struct plex_err err = {0};

    ck_assert_int_eq(flow_run_encode(w->run, &first, &err), PLEX_OK);
    ck_assert_msg(flow_run_decode(w->def,
                                  (struct plex_bytes){first.data, first.len},
                                  &back, &err) == PLEX_OK,
                  "%s\n%s", err.text, world_past(w));
    ck_assert_int_eq(flow_run_encode(back, &second, &err), PLEX_OK);
    ck_assert_uint_eq(first.len, second.len);
    ck_assert_mem_eq(first.data, second.data, first.len);
    flow_run_free(w->run);
    w->run = back;
    plex_buf_free(&first);
    plex_buf_free(&second);
}

static void
after_turn(struct world *w)
{
    struct flow_command command;
    struct flow_history past;

    w->turns++;
    while (flow_run_history(w->run, &past)) {
        ck_assert_uint_eq(past.seq, ++w->past_seq);
        (void)fprintf(w->past_file, "%s %s %u %s\n", past.what, past.step,
                      past.attempt, past.detail);
    }
    while (flow_run_command(w->run, &command))
        carry_out(w, &command);
    if (w->crash)
        restore(w);
    flow_run_seed_bug(w->run, w->bug);
}

enum plex_status
world_start(struct world *w, json_t *input, struct plex_err *err)
{
    enum plex_status status;

    flow_run_seed_bug(w->run, w->bug);
    status = flow_run_start(w->run, input, &w->now, err);
    after_turn(w);
    return status;
}

enum plex_status
world_event(struct world *w, const struct flow_event *event,
            struct plex_err *err)
{
    enum plex_status status;

    w->now.ms++;
    w->now.seed = w->now.seed * 31 + 17;
    status = flow_run_event(w->run, event, &w->now, err);
    after_turn(w);
    return status;
}

static json_t *
member(const json_t *value, const char *key)
{
    return json_object_get(value, key);
}

static void
answer_actor(struct world_call *call, struct flow_event *event)
{
    char *text;

    event->ok = true;
    if (strcmp(call->type, "echo") == 0) {
        event->value = json_incref(call->value);
    } else if (strcmp(call->type, "fail") == 0) {
        const char *code = json_string_value(member(call->value, "code"));

        event->ok = false;
        event->code = code != NULL ? code : "FAILED";
        event->cause = "as asked";
    } else if (strcmp(call->type, "flaky") == 0) {
        event->ok = (json_int_t)call->attempt >=
                    json_integer_value(member(call->value, "ok_at"));
        event->code = "UNAVAILABLE";
        event->cause = "not yet";
        event->value = json_integer((json_int_t)call->attempt);
    } else if (strcmp(call->type, "big") == 0) {
        const size_t size =
            (size_t)json_integer_value(member(call->value, "bytes"));

        text = plex_calloc(1, size + 1);
        memset(text, 'x', size);
        event->value = json_string(text);
        free(text);
    } else if (strcmp(call->type, "add") == 0) {
        event->value =
            json_integer(json_integer_value(member(call->value, "a")) +
                         json_integer_value(member(call->value, "b")));
    } else {
        char name[160];

        (void)snprintf(name, sizeof name, "%s.%s", call->type, call->method);
        event->value = json_pack("{s:O}", name, call->value);
    }
}

static void
answer_http(struct world_call *call, struct flow_event *event)
{
    const char *status = strrchr(call->type, '/');

    event->ok = true;
    event->http = status != NULL ? (unsigned)atoi(status + 1) : 200;
    if (event->http == 0) {
        event->ok = false;
        event->code = "UNAVAILABLE";
    }
    event->value = json_pack("{s:s}", "method", call->method);
}

static size_t
next_call(struct world *w)
{
    size_t start = w->shuffle && w->n_pending > 0 ? draw(w) % w->n_pending : 0;

    for (size_t i = 0; i < w->n_pending; i++) {
        const size_t at = (start + i) % w->n_pending;

        if (strcmp(w->pending[at].type, "never") != 0 &&
            !(w->pending[at].kind == FLOW_CALL && w->pending[at].detached))
            return at;
    }
    return SIZE_MAX;
}

bool
world_step(struct world *w)
{
    struct flow_event event = {.kind = FLOW_EVENT_TASK_DONE};
    const size_t at = next_call(w);
    struct world_call call;
    struct plex_err err;

    if (at != SIZE_MAX) {
        call = w->pending[at];
        json_incref(call.value);
        forget(w, call.id);
        event.id = call.id;
        event.attempt = call.attempt;
        if (call.kind == FLOW_HTTP)
            answer_http(&call, &event);
        else
            answer_actor(&call, &event);
        ck_assert_int_eq(world_event(w, &event, &err), PLEX_OK);
        json_decref(event.value);
        json_decref(call.value);
        return true;
    }
    if (w->timer_ms == 0)
        return false;
    if (w->timer_ms > w->now.ms)
        w->now.ms = w->timer_ms;
    w->timer_ms = 0;
    event.kind = FLOW_EVENT_TIMER;
    ck_assert_int_eq(world_event(w, &event, &err), PLEX_OK);
    return true;
}

void
world_pump(struct world *w, unsigned turns)
{
    while (turns-- > 0 && world_step(w))
        ;
}
