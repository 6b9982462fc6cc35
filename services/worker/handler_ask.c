/* What others ask of a run that waits: queries, and the checks of updates. They
 * look only, and leave nothing in the journal. */
#include "services/worker/handler_private.h"

#include "common/context.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASKS_MAX = 64, NAMES_MAX = 1024 };

/* -- what the run answers ---------------------------------------------------
 */

struct work_asked_of *
work_ask_find(const struct work_handler *h, const char *name, bool is_update)
{
    for (size_t i = 0; i < h->open.n_asks; i++)
        if (h->open.asks[i].is_update == is_update &&
            strcmp(h->open.asks[i].name, name) == 0)
            return &h->open.asks[i];
    return NULL;
}

static int
ask_set(struct plex_ctx *ctx, const struct work_asked_of *ask)
{
    struct work_handler *h = work_handler_of(ctx);
    struct work_handler_run *open = &h->open;
    struct work_asked_of *at;

    if (!h->durable || h->wait == NULL)
        return PLEX_E_UNSUPPORTED;
    if (ask->name == NULL || ask->name[0] == '\0' || ask->fn == NULL ||
        strlen(ask->name) > WORK_STEP_NAME_MAX) {
        (void)work_handler_fail(ctx, "a query or update needs a function and a "
                                     "name of 1 to 255 bytes");
        return PLEX_E_INVALID;
    }
    at = work_ask_find(h, ask->name, ask->is_update);
    if (at == NULL && open->n_asks == ASKS_MAX) {
        (void)work_handler_fail(ctx, "a run answers 64 queries and updates");
        return PLEX_E_LIMIT;
    }
    if (open->asks == NULL)
        open->asks =
            plex_arena_alloc(&open->arena, ASKS_MAX * sizeof *open->asks);
    if (open->asks == NULL) {
        (void)work_handler_fail(ctx, "the run's memory is used up");
        return PLEX_E_LIMIT;
    }
    if (at == NULL) {
        at = &open->asks[open->n_asks++];
        *at = *ask;
        at->name = work_run_text(h, ask->name);
        return 0;
    }
    at->check = ask->check;
    at->fn = ask->fn;
    at->arg = ask->arg;
    return 0;
}

int
work_ask_on_query(struct plex_ctx *ctx, const char *name, plex_asked_fn fn,
                  void *arg)
{
    return ask_set(ctx,
                   &(struct work_asked_of){.name = name, .fn = fn, .arg = arg});
}

int
work_ask_on_update(struct plex_ctx *ctx, const char *name, plex_asked_fn check,
                   plex_asked_fn fn, void *arg)
{
    return ask_set(ctx, &(struct work_asked_of){.name = name,
                                                .is_update = true,
                                                .check = check,
                                                .fn = fn,
                                                .arg = arg});
}

/* -- answering --------------------------------------------------------------
 */

static struct work_handler_ask *
ask_of(struct plex_ctx *ctx)
{
    struct work_handler *h = work_handler_of(ctx);

    return h->look.on ? &h->look : &h->update;
}

static int
ask_fail(struct plex_ctx *ctx, const char *reason)
{
    struct work_handler_ask *ask = ask_of(ctx);

    if (!ask->failed)
        (void)snprintf(ask->error, sizeof ask->error, "%s",
                       reason == NULL ? "no reason given" : reason);
    ask->failed = true;
    return -1;
}

static bool
is_header_value(const char *text)
{
    size_t n = 0;

    for (; text[n] != '\0'; n++)
        if ((unsigned char)text[n] < 0x20 || text[n] == 0x7f)
            return false;
    return n <= CONTENT_TYPE_MAX;
}

static void
ask_reply(struct plex_ctx *ctx, uint32_t http_status, const char *content_type,
          const void *payload, size_t len)
{
    struct work_handler_ask *ask = ask_of(ctx);
    const char *type = content_type == NULL ? "" : content_type;
    void *copy;

    if (ask->replied || http_status < 200 || http_status > 599 ||
        !is_header_value(type) || len > ask->reply_max) {
        (void)ask_fail(ctx, ask->replied ? "it replied twice"
                            : len > ask->reply_max
                                ? "its reply is larger than may be"
                                : "its reply is not one that HTTP allows");
        return;
    }
    ask->replied = true;
    copy = plex_arena_alloc(&ask->arena, len + 1);
    type = plex_arena_strndup(&ask->arena, type, strlen(type));
    assert(copy != NULL && type != NULL); /* the arena has room for it */
    if (len > 0)
        memcpy(copy, payload, len);
    ask->reply.http_status = http_status;
    ask->reply.content_type = type;
    ask->reply.payload = (struct plex_bytes){copy, len};
}

static void
ask_reply_header(struct plex_ctx *ctx, const char *name, const char *value)
{
    (void)name;
    (void)value;
    (void)ask_fail(ctx, "answers of queries and updates have no headers");
}

void
work_ask_problem(struct work_handler *h, uint32_t http_status, const char *code,
                 const char *text)
{
    json_t *json =
        json_pack("{s:i, s:s, s:s, s:s, s:s}", "status", (int)http_status,
                  "title", "the run refused", "code", code, "detail",
                  text == NULL ? "" : text, "source", "actor");
    char *out = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);

    if (out == NULL)
        (void)ask_fail(&h->ctx, "the text of a problem is not UTF-8");
    else
        ask_reply(&h->ctx, http_status, "application/problem+json", out,
                  strlen(out));
    free(out);
    json_decref(json);
}

static void
ask_refuse(struct plex_ctx *ctx, uint32_t http_status, const char *text)
{
    if (http_status < 400)
        (void)ask_fail(ctx, "a problem needs an HTTP status of 400 to 599");
    else
        work_ask_problem(work_handler_of(ctx), http_status, "ACTOR_REFUSED",
                         text);
}

static int
ask_json_text(struct plex_ctx *ctx, const char *field, const char **out)
{
    return work_json_text(&ask_of(ctx)->json, field, out);
}

static int
ask_json_int(struct plex_ctx *ctx, const char *field, int64_t *out)
{
    return work_json_int(&ask_of(ctx)->json, field, out);
}

static const char *
ask_header(struct plex_ctx *ctx, const char *name)
{
    (void)ctx;
    (void)name;
    return NULL;
}

void
work_ask_begin(struct work_handler *h, struct work_handler_ask *ask,
               const struct work_message *m)
{
    plex_arena_reset(&ask->arena);
    work_json_fini(&ask->json);
    work_json_init(&ask->json, m->payload);
    ask->reply = (struct work_reply){.content_type = "", .error = ""};
    ask->replied = ask->failed = false;
    ask->reply_max =
        ask == &h->update ? WORK_STEP_RESULT_MAX / 2 : WORK_PAYLOAD_MAX;
    ask->rest = h->ctx.ops;
    ask->ops = *h->ctx.ops;
    ask->ops.reply = ask_reply;
    ask->ops.reply_header = ask_reply_header;
    ask->ops.problem = ask_refuse;
    ask->ops.fail = ask_fail;
    ask->ops.json_text = ask_json_text;
    ask->ops.json_int = ask_json_int;
    ask->ops.header = ask_header;
    ask->on = true;
    h->ctx.ops = &ask->ops;
}

struct plex_bytes
work_ask_end(struct work_handler *h, struct work_handler_ask *ask)
{
    enum plex_status packed;
    struct plex_err err;

    h->ctx.ops = ask->rest;
    ask->on = false;
    if (ask->failed)
        ask->reply = (struct work_reply){.http_status = 500,
                                         .content_type = "",
                                         .failed = true,
                                         .error = ask->error};
    ask->packed.len = 0;
    packed = work_reply_pack(&ask->reply, &ask->packed, &err);
    assert(packed == PLEX_OK); /* it was checked when it was made */
    (void)packed;
    return (struct plex_bytes){ask->packed.data, ask->packed.len};
}

int
work_ask_call(struct work_handler *h, plex_asked_fn fn, void *arg,
              const struct work_message *m)
{
    char id[2 * JOURNAL_ID_MAX + 1];
    size_t len = 0;
    const struct plex_msg msg = {
        .sender = m->sender,
        .id = id,
        .method = "",
        .path = "",
        .subpath = m->method,
        .query = "",
        .content_type = m->content_type,
        .payload = m->payload.data,
        .len = m->payload.len,
        .kind = PLEX_MSG_CALL,
        .reason = "",
    };

    for (size_t i = 0; i < m->id.len && i < JOURNAL_ID_MAX; i++)
        len +=
            (size_t)snprintf(id + len, sizeof id - len, "%02x", m->id.data[i]);
    id[len] = '\0';
    return fn(&h->ctx, &msg, arg);
}

/* -- what may only look -----------------------------------------------------
 */

bool
work_ask_only_looks(struct work_handler *h, const char *what)
{
    char text[FAIL_TEXT_MAX];

    if (!h->look.on)
        return h->run != NULL && h->run->run.asked != NULL;
    (void)snprintf(text, sizeof text,
                   "%s: queries and the checks of updates only look", what);
    (void)ask_fail(&h->ctx, text);
    return true;
}

static int
look_refuses(struct plex_ctx *ctx, const char *what)
{
    (void)work_ask_only_looks(work_handler_of(ctx), what);
    return PLEX_E_UNSUPPORTED;
}

static void
look_random(struct plex_ctx *ctx, void *out, size_t len)
{
    (void)ctx;
    plex_random(out, len);
}

static void
look_state_put(struct plex_ctx *ctx, const void *state, size_t len)
{
    (void)state;
    (void)len;
    (void)look_refuses(ctx, "plex_state_put()");
}

static void
look_send(struct plex_ctx *ctx, bool is_call, uint64_t tag, uint64_t timeout_ms,
          const char *type, const char *key, const void *payload, size_t len)
{
    (void)is_call, (void)tag, (void)timeout_ms, (void)type, (void)key;
    (void)payload, (void)len;
    (void)look_refuses(ctx, "a message");
}

static void
look_timer_set(struct plex_ctx *ctx, const char *name, uint64_t delay_ms,
               const void *payload, size_t len)
{
    (void)name, (void)delay_ms, (void)payload, (void)len;
    (void)look_refuses(ctx, "a timer");
}

static void
look_timer_cancel(struct plex_ctx *ctx, const char *name)
{
    (void)name;
    (void)look_refuses(ctx, "a timer");
}

static int
look_facet(struct plex_ctx *ctx, struct plex_facet_request *request)
{
    (void)request;
    return look_refuses(ctx, "a request to a facet");
}

static int
look_persist(struct plex_ctx *ctx, const char *type, const void *data,
             size_t len)
{
    (void)type, (void)data, (void)len;
    return look_refuses(ctx, "plex_persist()");
}

static void
look_begin(struct work_handler *h, const struct work_message *m)
{
    struct plex_ctx_ops *ops = &h->look.ops;

    work_ask_begin(h, &h->look, m);
    ops->random = look_random;
    ops->state_put = look_state_put;
    ops->send = look_send;
    ops->timer_set = look_timer_set;
    ops->timer_cancel = look_timer_cancel;
    ops->facet = look_facet;
    ops->persist = look_persist;
    ops->durable = NULL; /* effects, waits: PLEX_E_UNSUPPORTED */
}

/* -- what came --------------------------------------------------------------
 */

/* And which there are. */
static void
unknown(struct work_handler *h, const char *name, bool is_update)
{
    const char *what = is_update ? "update" : "query";
    char text[NAMES_MAX];
    size_t len;
    bool any = false;

    len = (size_t)snprintf(text, sizeof text, "the run has no %s \"%.255s\"; ",
                           what, name);
    for (size_t i = 0; i < h->open.n_asks && len < sizeof text; i++) {
        if (h->open.asks[i].is_update != is_update)
            continue;
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s",
                                any ? ", " : "it has ", h->open.asks[i].name);
        any = true;
    }
    if (!any && len < sizeof text)
        (void)snprintf(text + len, sizeof text - len, "it has none");
    work_ask_problem(h, 404, is_update ? "UNKNOWN_UPDATE" : "UNKNOWN_QUERY",
                     text);
}

static void
query(struct work_handler *h, const struct work_message *m)
{
    const struct work_asked_of *of = work_ask_find(h, m->method, false);

    if (of == NULL)
        unknown(h, m->method, false);
    else if (h->run->run.asked != NULL && of->arg != NULL &&
             !plex_arena_owns(&h->open.arena, of->arg))
        work_ask_problem(h, 409, "RUN_ENDED",
                         "the run has ended, and what the query looks at is "
                         "gone: it is not from plex_keep()");
    else if (work_ask_call(h, of->fn, of->arg, m) != 0)
        (void)ask_fail(&h->ctx, "the query failed without saying why");
}

/* True: the update may be carried out. */
static bool
check(struct work_handler *h, const struct work_message *m)
{
    const struct work_asked_of *of = work_ask_find(h, m->method, true);
    int code;

    if (of == NULL || m->payload.len > WORK_STEP_RESULT_MAX / 2) {
        if (of == NULL)
            unknown(h, m->method, true);
        else
            work_ask_problem(h, 413, "UPDATE_TOO_LARGE",
                             "an update may have 512 KiB");
        return false;
    }
    if (of->check == NULL)
        return true;
    code = work_ask_call(h, of->check, of->arg, m);
    if (h->look.failed) {
        h->look.failed = h->look.replied = false;
        work_ask_problem(h, 422, "UPDATE_REFUSED", h->look.error);
    } else if (code != 0 && !h->look.replied) {
        work_ask_problem(h, 422, "UPDATE_REFUSED",
                         "the update was refused without saying why");
    }
    return code == 0 && !h->look.replied;
}

bool
work_ask_came(struct work_handler *h)
{
    const struct work_message *m =
        h->run->run.how == WORK_RUN_RESULT ? h->run->run.message : NULL;
    struct plex_bytes reply = {0};
    bool takes = false, same = true, known = false;

    if (m == NULL || (m->kind != WORK_QUERY && m->kind != WORK_UPDATE))
        return false;
    look_begin(h, m);
    if (m->kind == WORK_QUERY)
        query(h, m);
    else if ((known = work_update_known(h, m, &reply, &same)) && !same)
        work_ask_problem(h, 422, "MISMATCH",
                         "the message id was used by another request");
    else if (!known)
        takes = check(h, m);
    if (known && same)
        (void)work_ask_end(h, &h->look);
    else
        reply = work_ask_end(h, &h->look);
    if (takes)
        return false;
    *h->outcome = (struct work_outcome){
        .phase = WORK_ANSWERS, .holds = h->holds, .reply = reply};
    return true;
}

int
work_ask_past_stops(struct work_handler *h, enum work_phase phase,
                    const char *waits_for)
{
    char text[FAIL_TEXT_MAX];

    (void)snprintf(text, sizeof text,
                   "the run has ended, and cannot be gone through again: %s%s",
                   phase == WORK_PARKED ? "" : "the code now waits for ",
                   waits_for);
    h->open.stopped = true;
    h->failed = false; /* whatever the code made of it: this is the reason */
    (void)work_handler_fail(&h->ctx, text);
    return PLEX_E_FAILED;
}

void
work_ask_past(struct work_handler *h)
{
    h->n_outputs = 0;
    if (h->open.stopped)
        return;
    look_begin(h, h->run->run.asked);
    query(h, h->run->run.asked);
    (void)work_ask_end(h, &h->look);
    h->failed = false;
    h->reply = h->look.reply;
    if (h->look.failed)
        (void)work_handler_fail(&h->ctx, h->look.error);
}

void
work_ask_reset(struct work_handler *h)
{
    if (h->look.on)
        h->ctx.ops = h->look.rest;
    h->look.on = false;
    if (h->update.on)
        h->ctx.ops = h->update.rest;
    h->update.on = false;
}

static void
ask_init(struct work_handler_ask *ask)
{
    plex_arena_init(&ask->arena, WORK_PAYLOAD_MAX + (64 << 10));
    ask->packed.max = PLEX_LINK_FRAME_MAX;
}

void
work_ask_init(struct work_handler *h)
{
    ask_init(&h->look);
    ask_init(&h->update);
}

static void
ask_fini(struct work_handler_ask *ask)
{
    work_json_fini(&ask->json);
    plex_arena_fini(&ask->arena);
    plex_buf_free(&ask->packed);
}

void
work_ask_fini(struct work_handler *h)
{
    ask_fini(&h->look);
    ask_fini(&h->update);
}
