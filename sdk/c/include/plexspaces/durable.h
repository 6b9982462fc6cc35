#ifndef PLEXSPACES_DURABLE_H
#define PLEXSPACES_DURABLE_H

#include "process.h"

/*
 * Durable execution: a callback of a durable actor that waits in the middle of
 * its work, written as ordinary code. What it asked for and what came of it is
 * in the journal; when its worker is lost, another one runs the callback again
 * from the start, and every call below that has a recorded result returns that
 * instead of doing anything. So the code between these calls must do the same
 * each time: time comes from plex_turn_ms(), randomness from
 * plex_run_random(), everything outside through plex_run(). Where a replay asks
 * for something else than the record holds, the run is parked and names both.
 *
 * The actor handles no other message meanwhile. plex_state_put() takes effect
 * when the callback returns 0; when it fails, the state is as it was at the
 * start (what plex_run() did outside has happened: undo it with a saga).
 * A run that waits for long leaves memory: do not hold memory, locks or files
 * across a wait other than what plex_keep() gives.
 *
 * Functions return 0, or (status.h):
 *   PLEX_E_CANCELLED    the run was cancelled: undo and return
 *   PLEX_E_TIMEOUT      in time nothing came
 *   PLEX_E_FAILED       the callee's handler or the effect failed for good
 *   PLEX_E_UNSUPPORTED  the actor is not durable
 */
/* A result; borrowed until the callback returns. Ends with a 0 byte. */
struct plex_value {
    const void *data;
    size_t len;
};

/* How often and when an effect is tried again. Zeroes: the defaults. */
struct plex_retry {
    uint32_t attempts;   /* 0: 5; UINT32_MAX: for ever */
    uint32_t initial_ms; /* 0: 100 */
    uint32_t factor_pct; /* 0: 200 */
    uint32_t max_ms;     /* 0: 60,000 */
    uint32_t jitter_pct; /* of each wait, at random; 0: 20 */
    /* Codes that are not worth another try, ended by 0; or NULL. */
    const int *fatal;
};
/*
 * Do it: 0 and a result by plex_effect_result(), or a code other than 0 and a
 * reason by plex_effect_error(). It may wait with plex_ask() or plex_sleep(),
 * and may run more than once until its result is in the journal, never after.
 */
typedef int (*plex_effect_fn)(struct plex_ctx *ctx, void *arg);
/* Answer what somebody asks of a run: plex_on_query(), plex_on_update(). */
typedef int (*plex_asked_fn)(struct plex_ctx *ctx, const struct plex_msg *msg,
                             void *arg);

/* Only runtimes fill this in. */
struct plex_durable_ops {
    void (*effect_result)(struct plex_ctx *ctx, const void *data, size_t len);
    void (*effect_error)(struct plex_ctx *ctx, const char *reason);
    int (*run)(struct plex_ctx *ctx, const char *name, plex_effect_fn fn,
               void *arg, const struct plex_retry *retry,
               struct plex_value *out);
    int (*sleep)(struct plex_ctx *ctx, uint64_t ms);
    int (*call)(struct plex_ctx *ctx, const char *type, const char *key,
                const void *payload, size_t len, uint64_t timeout_ms);
    int (*promise)(struct plex_ctx *ctx, char *id, size_t size);
    int (*signal)(struct plex_ctx *ctx, const char *name);
    int (*wait)(struct plex_ctx *ctx, const int *futures, size_t n,
                uint64_t timeout_ms, size_t *which, struct plex_value *out);
    int (*version)(struct plex_ctx *ctx, const char *name, int newest);
    void (*random)(struct plex_ctx *ctx, void *out, size_t len);
    void *(*keep)(struct plex_ctx *ctx, size_t size);
    void (*shield)(struct plex_ctx *ctx, bool on);
    int (*continue_as_new)(struct plex_ctx *ctx, const void *payload,
                           size_t len);
    int (*on_query)(struct plex_ctx *ctx, const char *name, plex_asked_fn fn,
                    void *arg);
    int (*on_update)(struct plex_ctx *ctx, const char *name,
                     plex_asked_fn check, plex_asked_fn fn, void *arg);
};

static inline void
plex_effect_result(struct plex_ctx *ctx, const void *data, size_t len)
{
    if (ctx->ops->durable != NULL)
        ctx->ops->durable->effect_result(ctx, data, len);
}
static inline void
plex_effect_error(struct plex_ctx *ctx, const char *reason)
{
    if (ctx->ops->durable != NULL)
        ctx->ops->durable->effect_error(ctx, reason);
}
/*
 * The recorded result of `fn`, or do it now, after everything before it is
 * durable. When all attempts are used up, the run is parked with the reason
 * until somebody resumes or cancels it; a fatal code gives -FAILED, and *out
 * is the reason.
 */
static inline int
plex_run(struct plex_ctx *ctx, const char *name, plex_effect_fn fn, void *arg,
         const struct plex_retry *retry, struct plex_value *out)
{
    if (ctx->ops->durable == NULL)
        return PLEX_E_UNSUPPORTED;
    return ctx->ops->durable->run(ctx, name, fn, arg, retry, out);
}
/* Survives everything; never early. At most ten years. */
static inline int
plex_durable_sleep(struct plex_ctx *ctx, uint64_t ms)
{
    if (ctx->ops->durable == NULL)
        return PLEX_E_UNSUPPORTED;
    return ctx->ops->durable->sleep(ctx, ms);
}

/* -- futures: something that will come. Start several, then wait -- */

/* A call to another actor, delivered exactly once. Negative on error, else the
 * future. */
static inline int
plex_start_call(struct plex_ctx *ctx, const char *type, const char *key,
                const void *payload, size_t len, uint64_t timeout_ms)
{
    if (ctx->ops->durable == NULL)
        return PLEX_E_UNSUPPORTED;
    return ctx->ops->durable->call(ctx, type, key, payload, len, timeout_ms);
}
/* A promise, which somebody else keeps: `id` (at least 1,200 bytes) is the text
 * to hand out; POST /api/v1/promises/{id}:resolve keeps it. */
static inline int
plex_start_promise(struct plex_ctx *ctx, char *id, size_t size)
{
    if (ctx->ops->durable == NULL)
        return PLEX_E_UNSUPPORTED;
    return ctx->ops->durable->promise(ctx, id, size);
}
/* The next signal of that name, in the order of arrival; also one that came
 * before it was asked for. */
static inline int
plex_start_signal(struct plex_ctx *ctx, const char *name)
{
    if (ctx->ops->durable == NULL)
        return PLEX_E_UNSUPPORTED;
    return ctx->ops->durable->signal(ctx, name);
}
/* Wait for a future; timeout_ms 0: without limit. */
static inline int
plex_wait(struct plex_ctx *ctx, int future, uint64_t timeout_ms,
          struct plex_value *out)
{
    if (ctx->ops->durable == NULL)
        return PLEX_E_UNSUPPORTED;
    return ctx->ops->durable->wait(ctx, &future, 1, timeout_ms, NULL, out);
}
/* Wait for the first of several; *which is its index. */
static inline int
plex_wait_any(struct plex_ctx *ctx, const int *futures, size_t n,
              uint64_t timeout_ms, size_t *which, struct plex_value *out)
{
    if (ctx->ops->durable == NULL)
        return PLEX_E_UNSUPPORTED;
    return ctx->ops->durable->wait(ctx, futures, n, timeout_ms, which, out);
}
static inline int
plex_call_wait(struct plex_ctx *ctx, const char *type, const char *key,
               const void *payload, size_t len, uint64_t timeout_ms,
               struct plex_value *out)
{
    const int future =
        plex_start_call(ctx, type, key, payload, len, timeout_ms);

    return future < 0 ? future : plex_wait(ctx, future, 0, out);
}
static inline int
plex_wait_signal(struct plex_ctx *ctx, const char *name, uint64_t timeout_ms,
                 struct plex_value *out)
{
    const int future = plex_start_signal(ctx, name);

    return future < 0 ? future : plex_wait(ctx, future, timeout_ms, out);
}

/* -- code that changes while runs are under way -- */

/* Newest version of the change `name` for runs that reach it for the first
 * time, what was recorded for those that did before, 0 for those that passed
 * it before the change was made. */
static inline int
plex_code_version(struct plex_ctx *ctx, const char *name, int newest)
{
    if (ctx->ops->durable == NULL)
        return newest;
    return ctx->ops->durable->version(ctx, name, newest);
}
/* The same in every replay of this run. */
static inline void
plex_run_random(struct plex_ctx *ctx, void *out, size_t len)
{
    if (ctx->ops->durable != NULL)
        ctx->ops->durable->random(ctx, out, len);
}
/* Zeroed memory that lives until the callback returns. NULL over 1 MiB. */
static inline void *
plex_keep(struct plex_ctx *ctx, size_t size)
{
    if (ctx->ops->durable == NULL)
        return NULL;
    return ctx->ops->durable->keep(ctx, size);
}

/*
 * Begin anew: return 0 after this, and the callback is called again as if the
 * message had had this payload, over the state that was put, without the log
 * that has grown. For runs that never end, or of very many steps. The run stays
 * the same: who waits for its reply goes on waiting, signals that nobody has
 * waited for yet are kept, and no other message comes between; futures of the
 * log that is left come to nothing. Not with plex_reply() before, nor with
 * events of an event-sourced actor. What plex_keep() gave is gone.
 */
static inline int
plex_continue_as_new(struct plex_ctx *ctx, const void *payload, size_t len)
{
    if (ctx->ops->durable == NULL)
        return PLEX_E_UNSUPPORTED;
    return ctx->ops->durable->continue_as_new(ctx, payload, len);
}

/* -- sagas: undo in reverse order what was done -- */

enum { PLEX_SAGA_MAX = 64 };
struct plex_saga {
    struct {
        const char *name;
        plex_effect_fn undo;
        void *arg;
    } steps[PLEX_SAGA_MAX];
    size_t n;
};
/* Before or after the step that it undoes. The name must outlive the saga. */
static inline int
plex_saga_add(struct plex_saga *saga, const char *name, plex_effect_fn undo,
              void *arg)
{
    if (saga->n == PLEX_SAGA_MAX)
        return -1;
    saga->steps[saga->n].name = name;
    saga->steps[saga->n].undo = undo;
    saga->steps[saga->n].arg = arg;
    saga->n++;
    return 0;
}
/* Undo everything, newest first; works in a cancelled run too. The first
 * error, after all were tried. */
static inline int
plex_saga_undo(struct plex_ctx *ctx, struct plex_saga *saga)
{
    struct plex_value ignored;
    int first = 0;

    if (ctx->ops->durable == NULL)
        return PLEX_E_UNSUPPORTED;
    ctx->ops->durable->shield(ctx, true);
    while (saga->n > 0) {
        const int status = plex_run(
            ctx, saga->steps[saga->n - 1].name, saga->steps[saga->n - 1].undo,
            saga->steps[saga->n - 1].arg, NULL, &ignored);

        saga->n--;
        if (first == 0)
            first = status;
    }
    ctx->ops->durable->shield(ctx, false);
    return first;
}

#include "asked.h" // IWYU pragma: export

#endif
