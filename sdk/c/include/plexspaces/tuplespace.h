#ifndef PLEXSPACES_TUPLESPACE_H
#define PLEXSPACES_TUPLESPACE_H

#include "durable.h"
#include "kv.h"

/*
 * The tuple space of this actor's tenant and namespace (docs/tuplespace.md).
 * Tuples and templates are JSON as over HTTP: ["job",1,{"any":true}]. Each
 * call waits for the answer; the executor runs others meanwhile. Answers are
 * borrowed until this actor asks again, waits or returns.
 *
 * All return 0 or a negative plex_status (status.h; -14: a request id used
 * with another request; -17: it may have been done). `text` of the answer then
 * says what is wrong. A read or take that found nothing in time is
 * PLEX_E_NOT_FOUND.
 *
 * A durable actor uses plex_tuple_once(), or calls these inside plex_run().
 * Outside of both, a run that is repeated repeats them.
 */
enum plex_tuple_method { /* numbers of the proto */
                         PLEX_TUPLE_WRITE = 801,
                         PLEX_TUPLE_READ = 802,
                         PLEX_TUPLE_TAKE = 803,
                         PLEX_TUPLE_COUNT = 804,
                         PLEX_TUPLE_EXISTS = 805,
                         PLEX_TUPLE_CAS = 806,
                         PLEX_TUPLE_CLEAR = 808,
                         PLEX_TUPLE_RENEW_LEASE = 810,
                         PLEX_TUPLE_CANCEL_LEASE = 811,
                         PLEX_TUPLE_CONFIRM_CLAIM = 816,
                         PLEX_TUPLE_RELEASE_CLAIM = 817,
                         PLEX_TUPLE_RENEW_CLAIM = 818,
};
enum {
    PLEX_TUPLE_JSON_MAX = 8 << 20, /* bytes of a request */
    PLEX_TUPLE_WAIT_MAX_MS = 3600000,
};
#define PLEX_SERVICE_TUPLES ((struct plex_ref){PLEX_SERVICE_NODE, 3})

/* What goes to the worker, in its memory: this, tenant, namespace, JSON. */
struct plex_tuple_wire {
    uint32_t method, tenant_len, ns_len, json_len;
    uint32_t id_len, spare;
    uint8_t id[16];
};
/* And back: this, JSON or the reason. */
struct plex_tuple_wire_answer {
    int32_t status;
    uint32_t len;
};

struct plex_tuple_op {
    enum plex_tuple_method method;
    const char *json;  /* the request as over HTTP, without namespace */
    uint64_t wait_ms;  /* its timeout_ms */
    const uint8_t *id; /* 16 bytes: the same id within ten minutes is the same
                          request and gets the same answer; or NULL */
};

/* Any of them: the answer's JSON, or the reason. */
static inline int
plex_tuple_do(struct plex_ctx *ctx, const struct plex_tuple_op *op,
              struct plex_value *out)
{
    const char *tenant, *ns, *type;
    struct plex_tuple_wire wire = {.method = op->method};
    struct plex_tuple_wire_answer back;
    struct plex_msg answer;
    unsigned char *bytes, *at;
    size_t json_len = strlen(op->json), size;
    int status;

    *out = (struct plex_value){"", 0};
    if (ctx->process == NULL)
        return PLEX_E_UNSUPPORTED;
    if (json_len > PLEX_TUPLE_JSON_MAX)
        return PLEX_E_TOO_LARGE;
    if (op->wait_ms > PLEX_TUPLE_WAIT_MAX_MS)
        return PLEX_E_INVALID;
    (void)plex_self(ctx, &tenant, &ns, &type);
    wire.tenant_len = (uint32_t)strlen(tenant);
    wire.ns_len = (uint32_t)strlen(ns);
    wire.json_len = (uint32_t)json_len;
    if (op->id != NULL) {
        wire.id_len = sizeof wire.id;
        memcpy(wire.id, op->id, sizeof wire.id);
    }
    size = sizeof wire + wire.tenant_len + wire.ns_len + json_len;
    at = bytes = (unsigned char *)malloc(size);
    if (bytes == NULL)
        return PLEX_E_LIMIT;
    memcpy(at, &wire, sizeof wire);
    memcpy(at += sizeof wire, tenant, wire.tenant_len);
    memcpy(at += wire.tenant_len, ns, wire.ns_len);
    memcpy(at + wire.ns_len, op->json, json_len);
    {
        struct plex_post post = {.kind = PLEX_MSG_CALL};

        post.payload = bytes;
        post.len = size;
        status = ctx->process->ask(ctx, PLEX_SERVICE_TUPLES, &post,
                                   op->wait_ms + 10000, &answer);
    }
    free(bytes);
    if (status != 0)
        return status;
    if (answer.len < sizeof back)
        return PLEX_E_UNSUPPORTED;
    memcpy(&back, answer.payload, sizeof back);
    if (answer.len - sizeof back < back.len)
        return PLEX_E_UNSUPPORTED;
    out->data = (const char *)answer.payload + sizeof back;
    out->len = back.len;
    return back.status;
}

/* -- requests from parts -- */

/* printf; the caller frees. NULL: no memory. */
__attribute__((format(printf, 1, 2))) static inline char *
plex_tuple_format(const char *fmt, ...)
{
    va_list args, twice;
    char *text = NULL;
    int len;

    va_start(args, fmt);
    va_copy(twice, args);
    len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (len >= 0 && (text = (char *)malloc((size_t)len + 1)) != NULL)
        (void)vsnprintf(text, (size_t)len + 1, fmt, twice);
    va_end(twice);
    return text;
}
/* `text` as a JSON string with its quotes; false when `out` is too small. */
static inline bool
plex_tuple_quote(const char *text, char *out, size_t size)
{
    size_t used = 0;

    if (size < 3)
        return false;
    out[used++] = '"';
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;

        if (used + 8 > size)
            return false;
        if (c == '"' || c == '\\') {
            out[used++] = '\\';
            out[used++] = (char)c;
        } else if (c < 0x20) {
            used += (size_t)snprintf(out + used, size - used, "\\u%04x", c);
        } else {
            out[used++] = (char)c;
        }
    }
    if (used + 2 > size)
        return false;
    out[used++] = '"';
    out[used] = '\0';
    return true;
}
/* As plex_tuple_do(), with a request that plex_tuple_format() made: freed. */
static inline int
plex_tuple_send(struct plex_ctx *ctx, enum plex_tuple_method method,
                uint64_t wait_ms, char *json, struct plex_value *out)
{
    const struct plex_tuple_op op = {
        .method = method, .json = json, .wait_ms = wait_ms};
    int status = PLEX_E_LIMIT;

    if (json != NULL)
        status = plex_tuple_do(ctx, &op, out);
    free(json);
    return status;
}
/* The fields of the first tuple of an answer, [...], inside of it. False:
 * there is none. */
static inline bool
plex_tuple_first(const struct plex_value *answer, struct plex_value *fields)
{
    static const char mark[] = "\"fields\":";
    const char *at = (const char *)answer->data, *end = at + answer->len, *from;
    int depth = 0;
    bool quoted = false;

    for (; end - at > (ptrdiff_t)sizeof mark - 1; at++)
        if (memcmp(at, mark, sizeof mark - 1) == 0)
            break;
    if (end - at <= (ptrdiff_t)sizeof mark - 1)
        return false;
    for (from = at += sizeof mark - 1; at < end; at++) {
        if (quoted && *at == '\\')
            at++;
        else if (*at == '"')
            quoted = !quoted;
        else if (!quoted && *at == '[')
            depth++;
        else if (!quoted && *at == ']' && --depth == 0) {
            *fields = (struct plex_value){from, (size_t)(at + 1 - from)};
            return true;
        }
    }
    return false;
}

/* -- Linda: `space` is a plain name; tuples and templates are JSON -- */

/* out. ttl_ms 0: the space's default. */
static inline int
plex_tuple_out(struct plex_ctx *ctx, const char *space, const char *tuple,
               uint64_t ttl_ms)
{
    struct plex_value ignored;

    return plex_tuple_send(
        ctx, PLEX_TUPLE_WRITE, 0,
        plex_tuple_format("{\"space\":\"%s\",\"tuples\":[%s],\"ttl_ms\":%llu}",
                          space, tuple, (unsigned long long)ttl_ms),
        &ignored);
}
static inline int
plex_tuple_get(struct plex_ctx *ctx, enum plex_tuple_method method,
               const char *space, const char *pattern, uint64_t timeout_ms,
               struct plex_value *fields)
{
    struct plex_value answer;
    int status = plex_tuple_send(
        ctx, method, timeout_ms,
        plex_tuple_format(
            "{\"space\":\"%s\",\"template\":%s,\"timeout_ms\":%llu}", space,
            pattern, (unsigned long long)timeout_ms),
        &answer);

    *fields = (struct plex_value){"", 0};
    if (status != 0)
        *fields = answer;
    else if (!plex_tuple_first(&answer, fields))
        status = PLEX_E_NOT_FOUND;
    return status;
}
/* rd, and with timeout_ms 0 rdp: *fields is [...]. */
static inline int
plex_tuple_rd(struct plex_ctx *ctx, const char *space, const char *pattern,
              uint64_t timeout_ms, struct plex_value *fields)
{
    return plex_tuple_get(ctx, PLEX_TUPLE_READ, space, pattern, timeout_ms,
                          fields);
}
/* in, and with timeout_ms 0 inp. A tuple that comes to an actor whose worker
 * dies just then is lost, unless plex_tuple_once() or a claim asks for it. */
static inline int
plex_tuple_in(struct plex_ctx *ctx, const char *space, const char *pattern,
              uint64_t timeout_ms, struct plex_value *fields)
{
    return plex_tuple_get(ctx, PLEX_TUPLE_TAKE, space, pattern, timeout_ms,
                          fields);
}
static inline int
plex_tuple_rdp(struct plex_ctx *ctx, const char *space, const char *pattern,
               struct plex_value *fields)
{
    return plex_tuple_rd(ctx, space, pattern, 0, fields);
}
static inline int
plex_tuple_inp(struct plex_ctx *ctx, const char *space, const char *pattern,
               struct plex_value *fields)
{
    return plex_tuple_in(ctx, space, pattern, 0, fields);
}
/* read_all, take_all: at most `max` (10,000); *answer is {"tuples":[...]}. */
static inline int
plex_tuple_all(struct plex_ctx *ctx, bool take, const char *space,
               const char *pattern, uint32_t max, struct plex_value *answer)
{
    return plex_tuple_send(
        ctx, take ? PLEX_TUPLE_TAKE : PLEX_TUPLE_READ, 0,
        plex_tuple_format(
            "{\"space\":\"%s\",\"template\":%s,\"max_results\":%u}", space,
            pattern, max),
        answer);
}
static inline int
plex_tuple_count(struct plex_ctx *ctx, const char *space, const char *pattern,
                 uint64_t *count)
{
    struct plex_value answer;
    const int status = plex_tuple_send(
        ctx, PLEX_TUPLE_COUNT, 0,
        plex_tuple_format("{\"space\":\"%s\",\"template\":%s}", space, pattern),
        &answer);

    *count = 0;
    if (status == 0 && answer.len > 9) /* {"count":N} */
        *count = strtoull((const char *)answer.data + 9, NULL, 10);
    return status;
}
/* The oldest match becomes `tuple`; *swapped: there was one. */
static inline int
plex_tuple_cas(struct plex_ctx *ctx, const char *space, const char *pattern,
               const char *tuple, bool *swapped)
{
    static const char yes[] = "{\"swapped\":true";
    struct plex_value answer;
    const int status = plex_tuple_send(
        ctx, PLEX_TUPLE_CAS, 0,
        plex_tuple_format("{\"space\":\"%s\",\"template\":%s,\"tuple\":%s}",
                          space, pattern, tuple),
        &answer);

    *swapped = status == 0 && answer.len >= sizeof yes - 1 &&
               memcmp(answer.data, yes, sizeof yes - 1) == 0;
    return status;
}
/* Removes all that match; "[]": all. */
static inline int
plex_tuple_clear(struct plex_ctx *ctx, const char *space, const char *pattern)
{
    struct plex_value ignored;

    return plex_tuple_send(
        ctx, PLEX_TUPLE_CLEAR, 0,
        plex_tuple_format("{\"space\":\"%s\",\"template\":%s}", space, pattern),
        &ignored);
}

/* -- durable actors: exactly once -- */

static inline int
plex_tuple_effect(struct plex_ctx *ctx, void *arg)
{
    struct plex_value answer;
    const int status =
        plex_tuple_do(ctx, (const struct plex_tuple_op *)arg, &answer);

    if (status == 0)
        plex_effect_result(ctx, answer.data, answer.len);
    else
        plex_effect_error(ctx, "the tuple space refused it");
    return status;
}
/*
 * As a step of a durable run: repeated after a crash under the same request
 * id, so a take gives the tuple that it took (within ten minutes of it). *out
 * is the answer's JSON. PLEX_E_UNSUPPORTED: the actor is not durable.
 */
static inline int
plex_tuple_once(struct plex_ctx *ctx, const char *name,
                const struct plex_tuple_op *op, struct plex_value *out)
{
    static const int fatal[] = {PLEX_E_INVALID, PLEX_E_TOO_LARGE, -14,
                                PLEX_E_UNSUPPORTED, 0};
    const struct plex_retry retry = {.fatal = fatal};
    struct plex_tuple_op copy = *op;
    uint8_t id[16];

    if (ctx->ops->durable == NULL)
        return PLEX_E_UNSUPPORTED;
    plex_run_random(ctx, id, sizeof id);
    copy.id = id;
    return plex_run(ctx, name, plex_tuple_effect, &copy, &retry, out);
}

/*
 * eval: actor `key` of `type` is called, and its reply, which must be a JSON
 * list, becomes a tuple of `space`. Waits for both. Not atomic: when this
 * actor's worker dies in between, the actor ran and there is no tuple.
 */
static inline int
plex_tuple_eval(struct plex_ctx *ctx, const char *space, const char *type,
                const char *key, const char *payload, uint64_t timeout_ms)
{
    char name[600];
    struct plex_msg reply;
    char *tuple;
    int status;

    if (snprintf(name, sizeof name, "%s/%s", type, key) >= (int)sizeof name)
        return PLEX_E_INVALID;
    status = plex_ask(ctx, plex_whereis(ctx, name), 0, payload, strlen(payload),
                      timeout_ms, &reply);
    if (status != 0)
        return status;
    tuple =
        plex_tuple_format("%.*s", (int)reply.len, (const char *)reply.payload);
    status =
        tuple == NULL ? PLEX_E_LIMIT : plex_tuple_out(ctx, space, tuple, 0);
    free(tuple);
    return status;
}

#endif
