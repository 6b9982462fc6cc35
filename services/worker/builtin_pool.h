#ifndef SERVICES_WORKER_BUILTIN_POOL_H
#define SERVICES_WORKER_BUILTIN_POOL_H

#include "common/err.h"
#include "sdk/c/include/plexspaces/actor.h"

#include <jansson.h>

/*
 * Elastic pools as built-in behaviours (docs/groups.md):
 *
 *   pool           a pool; the key is its name
 *   pool-index     the pools of a namespace; builtin_names.c
 *   pool-checkout  one checkout, which may wait; the key is its id
 *
 * builtin_pool_state.c and builtin_pool_lend.c are what a pool does, over its
 * state as JSON: pure, time comes in. builtin_pool.c are the behaviours.
 */
enum {
    BUILTIN_POOL_MEMBERS_MAX = 1000,
    BUILTIN_POOL_WAITERS_MAX = 1000,
    BUILTIN_POOL_WAITER_MS = 5000, /* one not heard of for so long has gone */
    BUILTIN_POOL_PROBES_MAX = 100, /* members asked at once how they are */
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
 * LIMIT: too many wait. CONFLICT: the pool drains. FENCED: its circuit breaker
 * is open.
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
json_t *work_pool_stats(const json_t *pool, uint64_t now_ms); /* new */
json_t *work_pool_row(const json_t *pool); /* of the list of pools; new */

/* The key of a member's actor. */
void work_pool_member_key(const json_t *pool, uint64_t number, char out[256]);
/* The numbers of idle members that are to be asked now how they are; and what
 * one of them said: one that is not well is replaced, unless it is lent. */
size_t work_pool_probe(json_t *pool, uint64_t now_ms,
                       uint64_t out[BUILTIN_POOL_PROBES_MAX]);
void work_pool_probed(json_t *pool, uint64_t number, bool well,
                      uint64_t now_ms);

/* -- behaviours ------------------------------------------------------------ */

int work_pool_call(struct plex_ctx *ctx, const struct plex_msg *msg);
int work_pool_timer(struct plex_ctx *ctx, const char *timer,
                    const void *payload, size_t len);
int work_pool_reply(struct plex_ctx *ctx, uint64_t tag,
                    enum plex_result_status status, const void *payload,
                    size_t len);
int work_pool_checkout_call(struct plex_ctx *ctx, const struct plex_msg *msg);

#endif
