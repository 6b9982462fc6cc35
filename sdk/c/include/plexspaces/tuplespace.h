#ifndef PLEXSPACES_TUPLESPACE_H
#define PLEXSPACES_TUPLESPACE_H

#include "tuple_request.h" /* what all of these have in common */

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
/* in, and with timeout_ms 0 inp. A process that ends while it waits takes
 * nothing, and what it has not read yet goes back. A tuple that comes to an
 * actor whose worker dies just then can be lost, unless plex_tuple_once() or a
 * claim asks for it. */
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
        plex_effect_error(ctx, answer.len > 0 ? (const char *)answer.data
                                              : "the tuple space refused it");
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
 * actor's worker dies in between, the actor ran and there is no tuple. An
 * actor tuple-eval/ID (plexspaces tuplespace enable) does it whoever dies: send
 * it {"action":"eval","space":...,"actor_type":...,"message":...}.
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
