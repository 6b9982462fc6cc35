#ifndef PLEXSPACES_KV_H
#define PLEXSPACES_KV_H

#include "facet.h"
#include "process.h"

/*
 * Keys and values of this actor's tenant and namespace, through its facet
 * key_value (docs/facets.md). Each call waits for the answer; the executor runs
 * others meanwhile. Values are borrowed until this actor asks again, waits or
 * returns. All return 0 or a negative plex_status: -2 (-NOT_FOUND) no such key,
 * or the facet is not attached; -1 (-INVALID); -5 (-DENIED) read_only; -7, -8
 * (-UNAVAILABLE, -TIMEOUT) the store is not there.
 */
enum plex_kv_op {
    PLEX_KV_GET = 1,
    PLEX_KV_PUT,
    PLEX_KV_DELETE,
    PLEX_KV_CAS,
    PLEX_KV_INCREMENT,
    PLEX_KV_LIST,
    PLEX_KV_WATCH,
};
enum plex_kv_flag {
    PLEX_KV_DONE = 1,     /* answer: swapped, deleted */
    PLEX_KV_EXPECTED = 2, /* request: there is an expected value */
};
/* What goes to the worker, in its memory: this, key, value, expected, and,
 * added by the facet, "tenant/namespace". */
struct plex_kv_wire {
    uint32_t op, flags;
    uint32_t key_len, value_len, expected_len, where_len;
    uint32_t strip; /* bytes of prefix that the actor does not see */
    uint32_t spare;
    int64_t number; /* delta; how many keys */
    uint64_t version, ttl_ms, timeout_ms;
};
/* And back: this, value. */
struct plex_kv_wire_answer {
    int32_t status;
    uint32_t flags;
    uint32_t value_len, spare;
    int64_t number;
    uint64_t version;
};
struct plex_kv_call {
    enum plex_kv_op op;
    const char *key; /* or a prefix */
    const void *value;
    size_t len;
    const void *expected; /* CAS; NULL: the key must not exist */
    size_t expected_len;
    int64_t number;
    uint64_t version, ttl_ms, timeout_ms;
};
struct plex_kv_result {
    bool done;
    const void *value;
    size_t len;
    int64_t number;
    uint64_t version;
};
#define PLEX_SERVICE_NODE ((uint64_t)1) /* never a worker's incarnation */
#define PLEX_SERVICE_KV ((struct plex_ref){PLEX_SERVICE_NODE, 1})
#define PLEX_SERVICE_HTTP ((struct plex_ref){PLEX_SERVICE_NODE, 2})

/* Through facet `facet`'s op "request" to a service of the worker. */
static inline int
plex_service_ask(struct plex_ctx *ctx, const char *facet, struct plex_ref to,
                 void *request, size_t len, uint64_t timeout_ms,
                 struct plex_msg *answer)
{
    const void *passed = NULL;
    size_t passed_len = 0;
    int status = plex_facet_invoke(ctx, facet, "request", request, len, &passed,
                                   &passed_len);

    free(request);
    if (status != 0)
        return status;
    if (ctx->process == NULL)
        return -19;
    return plex_ask(ctx, to, 0, passed, passed_len, timeout_ms, answer);
}

static inline int
plex_kv_do(struct plex_ctx *ctx, const struct plex_kv_call *call,
           struct plex_kv_result *out)
{
    const size_t key_len = strlen(call->key);
    const size_t size =
        sizeof(struct plex_kv_wire) + key_len + call->len + call->expected_len;
    struct plex_kv_wire wire = {
        .op = call->op,
        .flags = call->expected != NULL ? PLEX_KV_EXPECTED : 0,
        .key_len = (uint32_t)key_len,
        .value_len = (uint32_t)call->len,
        .expected_len = (uint32_t)call->expected_len,
        .number = call->number,
        .version = call->version,
        .ttl_ms = call->ttl_ms,
        .timeout_ms = call->timeout_ms,
    };
    struct plex_kv_wire_answer back;
    struct plex_msg answer;
    unsigned char *bytes;
    int status;

    *out = (struct plex_kv_result){0};
    if (key_len > 4096 || call->len > (4u << 20) ||
        call->expected_len > (4u << 20))
        return -1;
    bytes = (unsigned char *)malloc(size);
    if (bytes == NULL)
        return -6;
    memcpy(bytes, &wire, sizeof wire);
    memcpy(bytes + sizeof wire, call->key, key_len);
    if (call->len > 0)
        memcpy(bytes + sizeof wire + key_len, call->value, call->len);
    if (call->expected_len > 0)
        memcpy(bytes + sizeof wire + key_len + call->len, call->expected,
               call->expected_len);
    status = plex_service_ask(ctx, "key_value", PLEX_SERVICE_KV, bytes, size,
                              call->timeout_ms + 10000, &answer);
    if (status != 0)
        return status;
    if (answer.len < sizeof back)
        return -9;
    memcpy(&back, answer.payload, sizeof back);
    if (answer.len - sizeof back < back.value_len)
        return -9;
    out->done = (back.flags & PLEX_KV_DONE) != 0;
    out->value = (const unsigned char *)answer.payload + sizeof back;
    out->len = back.value_len;
    out->number = back.number;
    out->version = back.version;
    return back.status;
}

static inline int
plex_kv_get(struct plex_ctx *ctx, const char *key, const void **value,
            size_t *len)
{
    const struct plex_kv_call call = {.op = PLEX_KV_GET, .key = key};
    struct plex_kv_result result;
    const int status = plex_kv_do(ctx, &call, &result);

    *value = result.value;
    *len = result.len;
    return status;
}
/* ttl_ms 0: the facet's default_ttl. */
static inline int
plex_kv_put(struct plex_ctx *ctx, const char *key, const void *value,
            size_t len, uint64_t ttl_ms)
{
    const struct plex_kv_call call = {.op = PLEX_KV_PUT,
                                      .key = key,
                                      .value = value,
                                      .len = len,
                                      .ttl_ms = ttl_ms};
    struct plex_kv_result result;

    return plex_kv_do(ctx, &call, &result);
}
/* 0 also when there was none. */
static inline int
plex_kv_delete(struct plex_ctx *ctx, const char *key)
{
    const struct plex_kv_call call = {.op = PLEX_KV_DELETE, .key = key};
    struct plex_kv_result result;

    return plex_kv_do(ctx, &call, &result);
}
/* `expected` NULL: the key must not exist. */
static inline int
plex_kv_cas(struct plex_ctx *ctx, const char *key, const void *expected,
            size_t expected_len, const void *value, size_t len, bool *swapped)
{
    const struct plex_kv_call call = {.op = PLEX_KV_CAS,
                                      .key = key,
                                      .value = value,
                                      .len = len,
                                      .expected = expected,
                                      .expected_len = expected_len};
    struct plex_kv_result result;
    const int status = plex_kv_do(ctx, &call, &result);

    *swapped = result.done;
    return status;
}
static inline int
plex_kv_increment(struct plex_ctx *ctx, const char *key, int64_t delta,
                  int64_t *number)
{
    const struct plex_kv_call call = {
        .op = PLEX_KV_INCREMENT, .key = key, .number = delta};
    struct plex_kv_result result;
    const int status = plex_kv_do(ctx, &call, &result);

    *number = result.number;
    return status;
}
/* Keys that begin with `prefix`, one a line, at most 1000; *revision is where a
 * watch goes on. */
static inline int
plex_kv_list(struct plex_ctx *ctx, const char *prefix, const char **keys,
             size_t *len, uint64_t *revision)
{
    const struct plex_kv_call call = {.op = PLEX_KV_LIST, .key = prefix};
    struct plex_kv_result result;
    const int status = plex_kv_do(ctx, &call, &result);

    *keys = (const char *)result.value;
    *len = result.len;
    *revision = result.version;
    return status;
}
/* Waits for changes under `prefix` after *revision (0: from now on) and moves
 * it on. Lines "PUT key", "DELETE key", "EXPIRE key"; none: nothing in time;
 * "LOST": too long ago, list again. timeout_ms: at most 60,000. */
static inline int
plex_kv_watch(struct plex_ctx *ctx, const char *prefix, uint64_t timeout_ms,
              uint64_t *revision, const char **events, size_t *len)
{
    const struct plex_kv_call call = {.op = PLEX_KV_WATCH,
                                      .key = prefix,
                                      .version = *revision,
                                      .timeout_ms = timeout_ms};
    struct plex_kv_result result;
    const int status = plex_kv_do(ctx, &call, &result);

    *events = (const char *)result.value;
    *len = result.len;
    if (status == 0)
        *revision = result.version;
    return status;
}

#endif
