#ifndef SERVICES_WORKER_BUILTIN_POOL_H
#define SERVICES_WORKER_BUILTIN_POOL_H

#include "common/err.h"
#include "sdk/c/include/plexspaces/actor.h"

#include <jansson.h>

/*
 * Elastic pools as built-in behaviours (docs/groups.md):
 *
 *   pool           a pool; the key is its name
 *   pool-checkout  one checkout, which may wait; the key is its id
 *
 * builtin_pool_state.c is what a pool does, over its state as JSON: pure, time
 * comes in. builtin_pool.c are the behaviours.
 */
enum {
    BUILTIN_POOL_MEMBERS_MAX = 1000,
    BUILTIN_POOL_WAITERS_MAX = 1000,
    BUILTIN_POOL_WAITER_MS = 5000, /* one not heard of for so long has gone */
};

/* A new pool of what was asked for, or NULL: INVALID says what is wrong. */
json_t *work_pool_create(const char *name, const json_t *request,
                         uint64_t now_ms, struct plex_err *err);
/* Leases that have run out, waiters that have gone, and scaling when it is
 * due. Before every other input. */
void work_pool_look(json_t *pool, uint64_t now_ms);
/* When to look again, ms since 1970. */
uint64_t work_pool_due(const json_t *pool, uint64_t now_ms);

/*
 * To `id`, which may have it already: *out is the checkout, new. UNAVAILABLE:
 * none is left; with `waits` it has its place in the queue, and asks again.
 * LIMIT: too many wait. CONFLICT: the pool drains.
 */
PLEX_MUST_USE enum plex_status work_pool_checkout(json_t *pool, const char *id,
                                                  bool waits, uint64_t now_ms,
                                                  json_t **out,
                                                  struct plex_err *err);
/* It waits no longer. */
void work_pool_forget(json_t *pool, const char *id);
/* NOT_FOUND: it has not, or not any more. */
PLEX_MUST_USE enum plex_status work_pool_checkin(json_t *pool, const char *id,
                                                 bool healthy, uint64_t now_ms,
                                                 struct plex_err *err);
PLEX_MUST_USE enum plex_status work_pool_renew(json_t *pool, const char *id,
                                               uint64_t now_ms, json_t **out,
                                               struct plex_err *err);
/* To `workers`, or by `delta`; within min and max. */
PLEX_MUST_USE enum plex_status work_pool_scale(json_t *pool, int64_t workers,
                                               int64_t delta, uint64_t now_ms,
                                               struct plex_err *err);
void work_pool_pause(json_t *pool, bool paused);
void work_pool_drain(json_t *pool);
json_t *work_pool_stats(const json_t *pool); /* new */

/* -- behaviours ------------------------------------------------------------ */

int work_pool_call(struct plex_ctx *ctx, const struct plex_msg *msg);
int work_pool_timer(struct plex_ctx *ctx, const char *timer,
                    const void *payload, size_t len);
int work_pool_checkout_call(struct plex_ctx *ctx, const struct plex_msg *msg);

#endif
