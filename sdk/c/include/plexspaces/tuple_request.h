#ifndef PLEXSPACES_TUPLE_REQUEST_H
#define PLEXSPACES_TUPLE_REQUEST_H

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
    uint32_t id_len;
    uint32_t marks; /* 1: what has arrived is marked, below */
    uint8_t id[16];
};
/* And back: this, JSON or the reason, and two bytes: 0, and one that is set to
 * 1 when it has arrived. What ends without that is given back to the space. */
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
    struct plex_tuple_wire wire = {.method = op->method, .marks = 1};
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
    if (answer.len >= sizeof back + back.len + 2)
        ((char *)(uintptr_t)out->data)[back.len + 1] = 1;
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

#endif
