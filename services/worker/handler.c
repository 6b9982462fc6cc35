#include "services/worker/handler_private.h"

#include "common/log.h"
#include "common/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
work_handler_fail(struct plex_ctx *ctx, const char *reason)
{
    struct work_handler *h = work_handler_of(ctx);

    if (!h->failed) {
        h->failed = true;
        (void)snprintf(h->error, sizeof h->error, "%s",
                       reason == NULL ? "no reason given" : reason);
    }
    return -1;
}

/* -- who and when
 * -------------------------------------------------------------- */

const char *
work_handler_self(struct plex_ctx *ctx, const char **tenant, const char **ns,
                  const char **type)
{
    const struct plex_actor_id *id = work_handler_of(ctx)->run->run.actor;

    if (tenant != NULL)
        *tenant = id->tenant;
    if (ns != NULL)
        *ns = id->ns;
    if (type != NULL)
        *type = id->type;
    return id->key;
}

static uint64_t
ctx_now_ms(struct plex_ctx *ctx)
{
    return work_handler_of(ctx)->open.now_ms;
}

static uint64_t
ctx_epoch(struct plex_ctx *ctx)
{
    return work_handler_of(ctx)->run->run.epoch;
}

static void
ctx_random(struct plex_ctx *ctx, void *out, size_t len)
{
    work_record_random(work_handler_of(ctx), out, len);
}

/* -- state
 * ------------------------------------------------------------------------ */

const void *
work_handler_state(struct plex_ctx *ctx, size_t *len)
{
    const struct work_handler *h = work_handler_of(ctx);
    const bool has = h->state_changed || h->has_base;
    const struct plex_bytes now =
        h->state_changed ? (struct plex_bytes){h->state.data, h->state.len}
                         : h->base;

    if (len != NULL)
        *len = has ? now.len : 0;
    if (!has)
        return NULL;
    return now.data != NULL ? (const void *)now.data : "";
}

void
work_handler_state_put(struct work_handler *h, const void *state, size_t len)
{
    /* `state` may be the state itself: replaced only once it is copied. */
    struct plex_buf next = {.max = JOURNAL_STATE_MAX};
    uint8_t *at;

    if (len > JOURNAL_STATE_MAX) {
        (void)work_handler_fail(&h->ctx, "the state is larger than 8 MiB");
        return;
    }
    h->state_changed = true;
    if (len <= h->state.cap && h->state.data != NULL) {
        if (len > 0)
            memmove(h->state.data, state, len);
        h->state.len = len;
        return;
    }
    at = plex_buf_grow(&next, len);
    if (at != NULL && len > 0)
        memcpy(at, state, len);
    plex_buf_free(&h->state);
    h->state = next;
}

static void
ctx_state_put(struct plex_ctx *ctx, const void *state, size_t len)
{
    struct work_handler *h = work_handler_of(ctx);

    if (h->turn->behaviour->apply != NULL)
        (void)work_handler_fail(ctx, "an event-sourced actor changes its state "
                                     "by events: plex_persist()");
    else
        work_handler_state_put(h, state, len);
}

/* -- answering
 * ---------------------------------------------------------------------- */

struct plex_bytes
work_handler_copy(struct work_handler *h, const void *data, size_t len)
{
    void *out = plex_arena_alloc(&h->arena, len + 1);

    if (out == NULL) {
        (void)work_handler_fail(&h->ctx,
                                "the turn's reply and messages are larger than "
                                "13 MiB");
        return (struct plex_bytes){0};
    }
    if (len > 0)
        memcpy(out, data, len);
    ((char *)out)[len] = '\0';
    return (struct plex_bytes){out, len};
}

const char *
work_handler_text(struct work_handler *h, const char *text)
{
    const struct plex_bytes out = work_handler_copy(h, text, strlen(text));

    return out.data == NULL ? "" : (const char *)out.data;
}

/* Nothing in it may end a header line. */
static bool
header_safe(const char *text, size_t max)
{
    const size_t len = strlen(text);

    if (len > max)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    return true;
}

static void
ctx_reply(struct plex_ctx *ctx, uint32_t http_status, const char *content_type,
          const void *payload, size_t len)
{
    struct work_handler *h = work_handler_of(ctx);

    if (h->replied) {
        (void)work_handler_fail(ctx, "the behaviour replied twice in one turn");
        return;
    }
    if (http_status < 200 || http_status > 599) {
        (void)work_handler_fail(
            ctx, "the behaviour replied with an HTTP status outside "
                 "200 to 599");
        return;
    }
    if (len > WORK_PAYLOAD_MAX) {
        (void)work_handler_fail(ctx, "the reply is larger than 5 MiB");
        return;
    }
    if (content_type == NULL)
        content_type = "";
    if (!header_safe(content_type, CONTENT_TYPE_MAX)) {
        (void)work_handler_fail(ctx,
                                "the reply's content type is no header value");
        return;
    }
    h->replied = true;
    h->reply.http_status = http_status;
    h->reply.content_type = work_handler_text(h, content_type);
    h->reply.payload = work_handler_copy(h, payload, len);
}

static bool
header_name_ok(const char *name)
{
    return name[0] != '\0' && strlen(name) <= 64 &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyz"
                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")] == '\0';
}

static void
ctx_reply_header(struct plex_ctx *ctx, const char *name, const char *value)
{
    struct work_handler *h = work_handler_of(ctx);

    if (name == NULL || value == NULL || !header_name_ok(name) ||
        !header_safe(value, 4096)) {
        (void)work_handler_fail(
            ctx, "the behaviour set a header that HTTP does not allow");
        return;
    }
    if (h->reply.n_headers == REPLY_HEADERS_MAX) {
        (void)work_handler_fail(ctx, "the reply has more than 32 headers");
        return;
    }
    h->headers[h->reply.n_headers++] = (struct work_header){
        work_handler_text(h, name), work_handler_text(h, value)};
}

static void
ctx_problem(struct plex_ctx *ctx, uint32_t http_status, const char *text)
{
    json_t *json;
    char *out;

    if (http_status < 400 || http_status > 599) {
        (void)work_handler_fail(ctx,
                                "a problem needs an HTTP status of 400 to 599");
        return;
    }
    json = json_pack("{s:i, s:s, s:s, s:s, s:s}", "status", (int)http_status,
                     "title", "the actor refused", "code", "ACTOR_REFUSED",
                     "detail", text == NULL ? "" : text, "source", "actor");
    out = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    if (out == NULL)
        (void)work_handler_fail(ctx, "the text of a problem is not UTF-8");
    else
        ctx_reply(ctx, http_status, "application/problem+json", out,
                  strlen(out));
    free(out);
    json_decref(json);
}

/* -- messages and timers
 * --------------------------------------------------------------- */

struct work_output *
work_handler_output(struct work_handler *h)
{
    if (h->n_outputs == WORK_OUTPUTS_MAX) {
        (void)work_handler_fail(
            &h->ctx, "the turn has more than 1000 messages and timers");
        return NULL;
    }
    if (h->n_outputs == h->outputs_cap) {
        h->outputs_cap = h->outputs_cap == 0 ? 8 : h->outputs_cap * 2;
        h->outputs =
            plex_reallocarray(h->outputs, h->outputs_cap, sizeof *h->outputs);
    }
    h->outputs[h->n_outputs] = (struct work_output){0};
    return &h->outputs[h->n_outputs++];
}

void
work_handler_call_cancel(struct plex_ctx *ctx, uint64_t tag)
{
    struct work_output *out = work_handler_output(work_handler_of(ctx));

    if (out == NULL)
        return;
    out->kind = WORK_OUT_CALL_CANCEL;
    out->tag = tag;
}

/* The callback runs again, and this message or timer has left already, with a
 * stretch of a run that was lost. */
static bool
was_told(struct work_handler *h)
{
    return h->open.issued++ < h->open.log.told;
}

static void
ctx_send(struct plex_ctx *ctx, bool is_call, uint64_t tag, uint64_t timeout_ms,
         const char *type, const char *key, const void *payload, size_t len)
{
    struct work_handler *h = work_handler_of(ctx);
    struct work_output *out;
    struct plex_err err;

    if (type == NULL || key == NULL ||
        plex_name_type(type, strlen(type), &err) != PLEX_OK ||
        plex_name_key(key, strlen(key), &err) != PLEX_OK) {
        (void)work_handler_fail(ctx, type == NULL || key == NULL
                                         ? "a message needs a type and a key"
                                         : err.text);
        return;
    }
    if (len > WORK_PAYLOAD_MAX) {
        (void)work_handler_fail(ctx, "a message is larger than 5 MiB");
        return;
    }
    if (is_call && (timeout_ms < 1 || timeout_ms > 3600000)) {
        (void)work_handler_fail(ctx,
                                "the timeout of a call must be 1 ms to 1 h");
        return;
    }
    /* Calls of the run itself are steps: they know whether they are new. */
    if (!(is_call && (tag & WORK_TAG_RUN) != 0) && was_told(h))
        return;
    out = work_handler_output(h);
    if (out == NULL)
        return;
    out->kind = is_call ? WORK_OUT_CALL : WORK_OUT_CAST;
    out->type = work_handler_text(h, type);
    out->key = work_handler_text(h, key);
    out->payload = work_handler_copy(h, payload, len);
    out->delay_ms = timeout_ms;
    out->tag = tag;
}

static struct work_output *
timer_output(struct work_handler *h, const char *name)
{
    struct work_output *out;

    if (name == NULL || name[0] == '\0' ||
        !header_safe(name, WORK_TIMER_NAME_MAX)) {
        (void)work_handler_fail(
            &h->ctx, "a timer's name must be 1 to 128 bytes of text");
        return NULL;
    }
    if (was_told(h))
        return NULL;
    out = work_handler_output(h);
    if (out != NULL)
        out->timer = work_handler_text(h, name);
    return out;
}

static void
ctx_timer_set(struct plex_ctx *ctx, const char *name, uint64_t delay_ms,
              const void *payload, size_t len)
{
    struct work_handler *h = work_handler_of(ctx);
    struct work_output *out;

    if (delay_ms > WORK_TIMER_DELAY_MAX_DAYS * UINT64_C(86400000) ||
        len > WORK_PAYLOAD_MAX) {
        (void)work_handler_fail(
            ctx, "a timer can wait for ten years and carry 5 MiB");
        return;
    }
    out = timer_output(h, name);
    if (out == NULL)
        return;
    out->kind = WORK_OUT_TIMER_SET;
    out->delay_ms = delay_ms;
    out->payload = work_handler_copy(h, payload, len);
}

static void
ctx_timer_cancel(struct plex_ctx *ctx, const char *name)
{
    struct work_output *out = timer_output(work_handler_of(ctx), name);

    if (out != NULL)
        out->kind = WORK_OUT_TIMER_CANCEL;
}

/* -- the request
 * ------------------------------------------------------------------------ */

void
work_handler_log(struct plex_ctx *ctx, int level, const char *text)
{
    const struct work_handler *h = work_handler_of(ctx);
    char name[PLEX_ACTOR_NAME_MAX + 1];

    plex_actor_format(h->run->run.actor, name, sizeof name);
    plex_log_with(level < 0   ? PLEX_LOG_ERROR
                  : level > 3 ? PLEX_LOG_DEBUG
                              : (enum plex_log_level)level,
                  "actor.log",
                  (struct plex_log_field[]){
                      PLEX_F_TEXT("actor", name),
                      PLEX_F_TEXT("request_id", h->run->run.request_id),
                      {0}},
                  "%s", text);
}

static int
ctx_json_text(struct plex_ctx *ctx, const char *field, const char **out)
{
    return work_json_text(&work_handler_of(ctx)->json, field, out);
}

static int
ctx_json_int(struct plex_ctx *ctx, const char *field, int64_t *out)
{
    return work_json_int(&work_handler_of(ctx)->json, field, out);
}

static const char *
ctx_header(struct plex_ctx *ctx, const char *name)
{
    struct work_handler *h = work_handler_of(ctx);
    const struct work_message *m = h->message;

    for (size_t i = 0; m != NULL && i < m->n_headers; i++)
        if (strcasecmp(m->headers[i].name, name) == 0) {
            work_record_header(h, i);
            return m->headers[i].value;
        }
    return NULL;
}

static const struct plex_ctx_ops ops = {
    .abi = PLEX_ABI,
    .self = work_handler_self,
    .now_ms = ctx_now_ms,
    .epoch = ctx_epoch,
    .random = ctx_random,
    .state = work_handler_state,
    .state_put = ctx_state_put,
    .reply = ctx_reply,
    .reply_header = ctx_reply_header,
    .fail = work_handler_fail,
    .send = ctx_send,
    .timer_set = ctx_timer_set,
    .timer_cancel = ctx_timer_cancel,
    .log = work_handler_log,
    .json_text = ctx_json_text,
    .json_int = ctx_json_int,
    .header = ctx_header,
    .problem = ctx_problem,
    .durable = &work_durable_ops,
    .facet = work_facets_request,
    .persist = work_events_persist,
};

/* -- running
 * ----------------------------------------------------------------------------
 */

struct work_handler *
work_handler_create(void)
{
    struct work_handler *h = plex_calloc(1, sizeof *h);

    h->ctx.ops = &ops;
    plex_arena_init(&h->arena, OUTPUT_BYTES_MAX);
    work_run_init(h);
    return h;
}

void
work_handler_free(struct work_handler *h)
{
    if (h == NULL)
        return;
    work_json_fini(&h->json);
    plex_arena_fini(&h->arena);
    plex_buf_free(&h->state);
    plex_buf_free(&h->packed);
    work_run_fini(h);
    work_events_fini(h);
    work_record_fini(h);
    free(h->outputs);
    free(h);
}

static void
buf_reset(struct plex_buf *buf, size_t max)
{
    if (buf->cap > KEPT_BYTES_MAX)
        plex_buf_free(buf);
    buf->len = 0;
    buf->max = max;
}

void
work_handler_reset(struct work_handler *h)
{
    h->failed = h->replied = h->state_changed = false;
    h->error[0] = '\0';
    h->n_outputs = 0;
    h->events.n = h->events.bytes = 0;
    h->reply = (struct work_reply){
        .content_type = "", .error = "", .headers = h->headers};
    buf_reset(&h->state, JOURNAL_STATE_MAX);
}

static void
turn_start(struct work_handler *h, const struct work_turn *turn)
{
    const struct work_message *m = turn->run->run.message;

    h->run = turn->run;
    h->turn = turn;
    h->facets = NULL;
    h->message = m;
    h->wall_ms = turn->wall_ms;
    h->durable = turn->run->run.durable && m != NULL;
    h->wait = turn->wait;
    h->wait_arg = turn->wait_arg;
    h->ctx.process = work_process_ops(
        h, turn->process == NULL ? NULL : turn->process->process);
    /* The runtime finds its turn by `of`, or else by the context itself. */
    h->ctx.of = turn->process == NULL       ? NULL
                : turn->process->of != NULL ? turn->process->of
                                            : (void *)(uintptr_t)turn->process;
    h->yielded = false;
    h->has_base = turn->run->run.has_state;
    h->base = turn->run->run.state;
    plex_arena_reset(&h->arena);
    work_json_fini(&h->json);
    work_json_init(&h->json, m == NULL ? (struct plex_bytes){0} : m->payload);
    work_handler_reset(h);
    work_record_begin(h);
    buf_reset(&h->packed, PLEX_LINK_FRAME_MAX);
}

static enum plex_result_status
result_status(enum plex_status status)
{
    switch (status) {
    case PLEX_OK:
        return PLEX_CALL_OK;
    case PLEX_FAILED:
        return PLEX_CALL_FAILED;
    case PLEX_TIMEOUT:
    case PLEX_UNKNOWN:
        return PLEX_CALL_TIMEOUT;
    default:
        return PLEX_CALL_UNREACHABLE;
    }
}

int
work_handler_deliver(struct work_handler *h,
                     const struct plex_behaviour *behaviour,
                     const struct plex_msg *msg)
{
    if (msg->kind >= PLEX_MSG_INFO && behaviour->handle_info != NULL)
        return behaviour->handle_info(&h->ctx, msg);
    if (msg->kind > PLEX_MSG_INFO)
        return 0; /* EXIT, DOWN and the like are nobody's cast */
    if (msg->is_cast && behaviour->handle_cast != NULL)
        return behaviour->handle_cast(&h->ctx, msg);
    if (behaviour->handle_call != NULL)
        return behaviour->handle_call(&h->ctx, msg);
    return work_handler_fail(&h->ctx, "the behaviour answers no calls");
}

/* Of EXIT and DOWN the payload is the reason. */
static const char *
reason_of(struct work_handler *h, const struct work_message *m)
{
    struct plex_bytes text;

    if (m->kind != WORK_INFO ||
        (m->process_kind != PLEX_MSG_EXIT && m->process_kind != PLEX_MSG_DOWN))
        return "";
    text = work_handler_copy(h, m->payload.data, m->payload.len);
    return text.data == NULL ? "" : (const char *)text.data;
}

static int
call_message(struct work_handler *h, const struct plex_behaviour *behaviour,
             const struct work_message *m)
{
    char id[2 * JOURNAL_ID_MAX + 1];
    size_t len = 0;
    const struct plex_msg msg = {
        .sender = m->sender,
        .id = id,
        .method = m->method,
        .path = m->path,
        .subpath = m->subpath,
        .query = m->query,
        .content_type = m->content_type,
        .payload = m->payload.data,
        .len = m->payload.len,
        .is_cast = m->kind != WORK_CALL,
        .kind = m->kind == WORK_INFO   ? m->process_kind
                : m->kind == WORK_CALL ? PLEX_MSG_CALL
                                       : PLEX_MSG_CAST,
        .tag = m->tag,
        .from = {m->from_node, m->from_id},
        .reason = reason_of(h, m),
    };
    bool printable = true;

    for (size_t i = 0; i < m->id.len; i++)
        printable = printable && m->id.data[i] > 0x20 && m->id.data[i] < 0x7f;
    for (size_t i = 0; i < m->id.len && i < JOURNAL_ID_MAX; i++) {
        static const char hex[] = "0123456789abcdef";

        if (printable) {
            id[len++] = (char)m->id.data[i];
        } else {
            id[len++] = hex[m->id.data[i] >> 4];
            id[len++] = hex[m->id.data[i] & 15];
        }
    }
    id[len] = '\0';
    return work_facets_message(h, behaviour, &msg);
}

static int
call_behaviour(struct work_handler *h, const struct plex_behaviour *behaviour,
               const struct work_message *m)
{
    if (m == NULL)
        return behaviour->activated == NULL ? 0 : behaviour->activated(&h->ctx);
    if (m->kind == WORK_EDIT)
        return work_handler_edit(h);
    if (m->kind == WORK_FACETS)
        return work_facets_asked(h);
    if (m->kind == WORK_TIMER && strcmp(m->timer, WORK_FACETS_TIMER) == 0)
        return work_facets_tick(h, behaviour);
    if (m->kind == WORK_TIMER)
        return behaviour->handle_timer == NULL
                   ? 0
                   : behaviour->handle_timer(&h->ctx, m->timer, m->payload.data,
                                             m->payload.len);
    if (m->kind == WORK_REPLY)
        return behaviour->handle_reply == NULL
                   ? 0
                   : behaviour->handle_reply(&h->ctx, m->tag,
                                             result_status(m->reply_status),
                                             m->payload.data, m->payload.len);
    return call_message(h, behaviour, m);
}

/* What the core is told when the callback has returned. */
static void
turn_end(struct work_handler *h, struct work_outcome *out)
{
    const bool changed = !h->failed && h->state_changed;
    enum plex_status packed;
    struct plex_err err;

    if (h->failed)
        h->n_outputs = 0;
    work_run_end(h);
    if (h->failed)
        h->reply = (struct work_reply){.http_status = 500,
                                       .content_type = "",
                                       .failed = true,
                                       .error = h->error};
    packed = work_reply_pack(&h->reply, &h->packed, &err);
    assert(packed == PLEX_OK); /* it was checked when it was made */
    (void)packed;
    *out = (struct work_outcome){
        .phase = h->open.is_open ? WORK_CLOSED : WORK_ENDED,
        .has_state = changed || h->has_base,
        .failed = h->failed,
        .holds = h->holds,
        .state_changed = changed,
        .state = changed ? (struct plex_bytes){h->state.data, h->state.len}
                 : h->open.is_open ? h->base
                                   : (struct plex_bytes){0},
        .reply = {h->packed.data, h->packed.len},
        .outputs = h->outputs,
        .n_outputs = h->n_outputs,
    };
    work_events_end(h, out);
    work_run_record(h, out);
}

/* Until it has returned and does not want to begin anew. */
static void
run_behaviour(struct work_handler *h, const struct plex_behaviour *behaviour)
{
    do {
        if (call_behaviour(h, behaviour, h->message) != 0)
            (void)work_handler_fail(&h->ctx,
                                    "the behaviour failed without saying why");
    } while (work_run_left_out(h) ||
             (!h->failed && h->open.continues && work_run_continue(h)));
}

void
work_handler_run(struct work_handler *h, const struct work_turn *turn,
                 struct work_outcome *out)
{
    turn_start(h, turn);
    h->outcome = out;
    if (!work_run_begin(h))
        (void)work_handler_fail(&h->ctx, "the stored run does not decode");
    else if (turn->run->run.how == WORK_RUN_RESTORE)
        work_events_restore(h);
    else if (work_events_reopen(h) && work_facets_begin(h))
        run_behaviour(h, turn->behaviour);
    work_facets_after(h);
    turn_end(h, out);
}
