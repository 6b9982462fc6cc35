#include "runtime/around.h"

#include "common/mem.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * struct plex_ctx_ops for processes: what actor.h calls. Unlike the turn of a
 * virtual actor, messages and timers of a process take effect at once; a reply
 * leaves when the callback succeeds.
 */

enum { TIMERS_MAX = 10000, STATE_MAX = 8 << 20 };

static struct rt_exec *
exec_of(struct plex_ctx *ctx)
{
    return rt_turn_of(ctx)->fiber->exec;
}

/* "label=where another node finds it": people know the label. */
static const char *
label_of(struct rt_turn *turn, const char *name)
{
    const size_t len = strcspn(name, "=");
    struct rt_ext *ext;

    if (name[len] == '\0')
        return name;
    ext = rt_ext(turn->fiber->exec, turn->proc);
    if (ext->label == NULL || strncmp(ext->label, name, len) != 0 ||
        ext->label[len] != '\0') {
        free(ext->label);
        ext->label = plex_calloc(1, len + 1);
        memcpy(ext->label, name, len);
    }
    return ext->label;
}

static const char *
op_self(struct plex_ctx *ctx, const char **tenant, const char **ns,
        const char **type)
{
    struct rt_proc *proc = rt_turn_of(ctx)->proc;
    struct rt_where where = rt_scope_text(rt_of(ctx), proc->scope);

    if (tenant != NULL)
        *tenant = where.tenant;
    if (ns != NULL)
        *ns = where.ns;
    if (type != NULL)
        *type = label_of(rt_turn_of(ctx), rt_behaviour(ctx)->name);
    return proc->ext != NULL && proc->ext->name != NULL ? proc->ext->name : "";
}

static uint64_t
op_now_ms(struct plex_ctx *ctx)
{
    return rt_wall(exec_of(ctx));
}

static uint64_t
op_epoch(struct plex_ctx *ctx)
{
    return rt_of(ctx)->config.node;
}

static void
op_random(struct plex_ctx *ctx, void *out, size_t len)
{
    struct rt_exec *exec = exec_of(ctx);
    unsigned char *bytes = out;

    for (size_t i = 0; i < len; i++) {
        uint64_t x = exec->noise += 0x9e3779b97f4a7c15u;

        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
        bytes[i] = (unsigned char)(x >> 56);
    }
}

static const void *
op_state(struct plex_ctx *ctx, size_t *len)
{
    struct rt_ext *ext = rt_turn_of(ctx)->proc->ext;

    *len = ext == NULL ? 0 : ext->state_len;
    return ext == NULL ? NULL : ext->state;
}

static int op_fail(struct plex_ctx *ctx, const char *reason);

static void
op_state_put(struct plex_ctx *ctx, const void *state, size_t len)
{
    struct rt_ext *ext = rt_ext(exec_of(ctx), rt_turn_of(ctx)->proc);
    void *copy;

    if (len > STATE_MAX) {
        (void)op_fail(ctx, "a state of more than 8 MiB");
        return;
    }
    copy = plex_calloc(1, len + 1);
    if (len > 0)
        memcpy(copy, state, len);
    free(ext->state);
    ext->state = copy;
    ext->state_len = len;
}

/* What was set for the caller from outside before; NULL: nothing. */
static const struct rt_http *
reply_http(const struct rt_turn *turn)
{
    return turn->reply == NULL ? NULL : rt_msg_http(turn->reply);
}

static struct rt_msg *
reply_new(struct rt_turn *turn, const struct plex_post *post,
          uint32_t http_status)
{
    struct rt_exec *exec = turn->fiber->exec;
    struct rt_msg *reply = rt_msg_post(exec, post, RT_KIND_ANSWER);

    if (reply == NULL)
        return NULL;
    rt_msg_free(exec, turn->reply);
    turn->reply = reply;
    reply->tag = http_status;
    return reply;
}

static bool
is_known(const char *content_type)
{
    return content_type == NULL ||
           strcmp(content_type,
                  rt_content_types[rt_content_code(content_type)]) == 0;
}

static void
op_reply(struct plex_ctx *ctx, uint32_t http_status, const char *content_type,
         const void *payload, size_t len)
{
    struct rt_turn *turn = rt_turn_of(ctx);
    const struct rt_http *set = reply_http(turn);
    struct plex_post post = {.payload = payload, .len = len};
    struct rt_msg *reply;

    if (len > RT_PAYLOAD_MAX) {
        (void)op_fail(ctx, "a reply of more than 5 MiB");
        return;
    }
    if (http_status < 200 || http_status > 599) {
        (void)op_fail(ctx, "an HTTP status outside 200 to 599");
        return;
    }
    if ((set != NULL || !is_known(content_type)) && turn->msg != NULL &&
        rt_msg_http(turn->msg) != NULL) {
        if (!rt_http_value_ok(content_type, 255) ||
            !rt_http_reply(set, content_type, NULL, payload, len, &post)) {
            (void)op_fail(ctx, "the reply's content type is no header value");
            return;
        }
    }
    reply = reply_new(turn, &post, http_status);
    if (reply != NULL)
        reply->content = rt_content_code(content_type);
}

static void
op_reply_header(struct plex_ctx *ctx, const char *name, const char *value)
{
    struct rt_turn *turn = rt_turn_of(ctx);
    const struct rt_msg *old = turn->reply;
    const struct rt_http *set = reply_http(turn);
    const char *const header[2] = {name, value};
    const uint64_t status = old == NULL ? 0 : old->tag;
    struct plex_post post = {0};
    struct plex_msg view = {.content_type = "", .payload = ""};
    const char *last[2];

    if (turn->msg == NULL || rt_msg_http(turn->msg) == NULL)
        return; /* a process has asked: it has no use for it */
    if (!rt_http_header_ok(name, value)) {
        (void)op_fail(ctx, "a header that HTTP does not allow");
        return;
    }
    if (old != NULL)
        rt_msg_view_all(old, &view);
    if ((set != NULL && rt_http_header_at(set, RT_HTTP_REPLY_HEADERS - 1,
                                          &last[0], &last[1])) ||
        !rt_http_reply(set, view.content_type, header, view.payload, view.len,
                       &post)) {
        (void)op_fail(ctx, "the reply has more than 32 headers");
        return;
    }
    (void)reply_new(turn, &post, (uint32_t)status);
}

static int
op_fail(struct plex_ctx *ctx, const char *reason)
{
    struct rt_turn *turn = rt_turn_of(ctx);

    free(turn->reason);
    turn->reason = plex_strdup(reason == NULL ? "failed" : reason);
    turn->failed = true;
    return -1;
}

static void
op_problem(struct plex_ctx *ctx, uint32_t http_status, const char *text)
{
    json_t *root =
        json_pack("{s:s, s:i, s:s, s:s, s:s, s:s}", "type", "about:blank",
                  "status", (int)http_status, "title", "the actor refused",
                  "code", "ACTOR_REFUSED", "detail", text, "source", "actor");
    char *json = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);

    if (json == NULL)
        (void)op_fail(ctx, "a problem whose text is no UTF-8");
    else
        op_reply(ctx, http_status, "application/problem+json", json,
                 strlen(json));
    free(json);
    json_decref(root);
}

static void
op_send(struct plex_ctx *ctx, bool is_call, uint64_t tag, uint64_t timeout_ms,
        const char *type, const char *key, const void *payload, size_t len)
{
    struct rt_proc *proc = rt_turn_of(ctx)->proc;
    struct plex_post post = {.kind = is_call ? PLEX_MSG_CALL : PLEX_MSG_CAST,
                             .tag = tag,
                             .payload = payload,
                             .len = len};
    struct plex_ref to;
    char name[512];
    int n = snprintf(name, sizeof name, "%s/%s", type, key);

    if (n < 0 || n >= (int)sizeof name) {
        (void)op_fail(ctx, "the name of a virtual actor is too long");
        return;
    }
    to = rt_alias(rt_of(ctx), atomic_load(&proc->scope), name);
    if (is_call)
        ctx->process->call(ctx, to, &post, timeout_ms);
    else
        (void)ctx->process->send(ctx, to, &post);
}

/* -- timers by name -- */

static void
op_timer_cancel(struct plex_ctx *ctx, const char *name)
{
    struct rt_ext *ext = rt_turn_of(ctx)->proc->ext;

    if (ext == NULL)
        return;
    for (struct rt_named_timer **at = &ext->named; *at != NULL;
         at = &(*at)->next) {
        struct rt_named_timer *named = *at;

        if (strcmp(named->name, name) != 0)
            continue;
        *at = named->next;
        (void)rt_timer_cancel(exec_of(ctx), named->timer);
        free(named);
        return;
    }
}

static void
op_timer_set(struct plex_ctx *ctx, const char *name, uint64_t delay_ms,
             const void *payload, size_t len)
{
    struct rt_exec *exec = exec_of(ctx);
    struct rt_proc *proc = rt_turn_of(ctx)->proc;
    struct rt_ext *ext = rt_ext(exec, proc);
    struct rt_named_timer *named;
    struct rt_timer_set set = {.to = rt_ref(exec->rt, proc),
                               .kind = RT_KIND_NAMED_TIMER};
    size_t count = 0;

    op_timer_cancel(ctx, name);
    for (named = ext->named; named != NULL; named = named->next)
        count++;
    if (count >= TIMERS_MAX || len > RT_PAYLOAD_MAX) {
        (void)op_fail(ctx, "too many timers, or a payload over 5 MiB");
        return;
    }
    named = plex_calloc(1, sizeof *named + strlen(name) + 1 + len);
    memcpy(named->name, name, strlen(name) + 1);
    named->payload = named->name + strlen(name) + 1;
    named->len = len;
    if (len > 0)
        memcpy(named->payload, payload, len);
    set.deadline_ns = delay_ms > UINT64_MAX / 2000000
                          ? UINT64_MAX
                          : rt_now(exec) + delay_ms * 1000000;
    named->timer = rt_timer_set(exec, &set);
    named->next = ext->named;
    ext->named = named;
}

static void
op_log(struct plex_ctx *ctx, int level, const char *text)
{
    struct rt *rt = rt_of(ctx);
    char name[512];

    if (rt->config.on_log == NULL)
        return;
    (void)rt_ref_text(rt, rt_ref(rt, rt_turn_of(ctx)->proc), name, sizeof name);
    rt->config.on_log(rt->config.arg, name, level, text);
}

/* -- reading the request -- */

static json_t *
root_of(struct plex_ctx *ctx)
{
    struct rt_turn *turn = rt_turn_of(ctx);

    if (turn->json == NULL && turn->msg != NULL && turn->msg->len > 0)
        turn->json = json_loadb(turn->msg->payload, turn->msg->len, 0, NULL);
    return turn->json;
}

static bool
empty(struct plex_ctx *ctx)
{
    const struct rt_msg *msg = rt_turn_of(ctx)->msg;

    return msg == NULL || msg->len == 0;
}

void
rt_turn_json_free(struct rt_turn *turn)
{
    json_decref(turn->json);
    turn->json = NULL;
}

void
rt_turn_json_set(struct rt_turn *turn, const void *payload, size_t len)
{
    rt_turn_json_free(turn);
    if (len > 0)
        turn->json = json_loadb(payload, len, 0, NULL);
    if (turn->json == NULL)
        turn->json = json_null();
}

static int
op_json_text(struct plex_ctx *ctx, const char *field, const char **out)
{
    json_t *root = root_of(ctx), *value;

    if (!json_is_object(root))
        return empty(ctx) ? 0 : -1;
    value = json_object_get(root, field);
    if (value == NULL)
        return 0;
    *out = json_string_value(value);
    return *out != NULL ? 1 : -1;
}

static int
op_json_int(struct plex_ctx *ctx, const char *field, int64_t *out)
{
    json_t *root = root_of(ctx), *value;
    const char *text;
    char *end;

    if (!json_is_object(root))
        return empty(ctx) ? 0 : -1;
    value = json_object_get(root, field);
    if (value == NULL)
        return 0;
    if (json_is_integer(value)) {
        *out = json_integer_value(value);
        return 1;
    }
    text = json_string_value(value);
    if (text == NULL || *text == '\0')
        return -1;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return errno == 0 && *end == '\0' ? 1 : -1;
}

static const char *
op_header(struct plex_ctx *ctx, const char *name)
{
    const struct rt_msg *msg = rt_turn_of(ctx)->msg;
    const struct rt_http *http = msg == NULL ? NULL : rt_msg_http(msg);

    return http == NULL ? NULL : rt_http_header(http, name);
}

const struct plex_ctx_ops rt_ctx_ops = {
    .abi = PLEX_ABI,
    .self = op_self,
    .now_ms = op_now_ms,
    .epoch = op_epoch,
    .random = op_random,
    .state = op_state,
    .state_put = op_state_put,
    .reply = op_reply,
    .reply_header = op_reply_header,
    .fail = op_fail,
    .send = op_send,
    .timer_set = op_timer_set,
    .timer_cancel = op_timer_cancel,
    .log = op_log,
    .json_text = op_json_text,
    .json_int = op_json_int,
    .header = op_header,
    .problem = op_problem,
    .facet = rt_op_facet,
};
