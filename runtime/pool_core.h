#ifndef RUNTIME_POOL_CORE_H
#define RUNTIME_POOL_CORE_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Elastic pools: workers that are checked out one at a time, more of them when
 * many are out, fewer when few are. Pure: time comes in, what must happen
 * outside is popped with rt_pool_next(). A worker is the caller's own number,
 * given when it has started; `call` is the caller's token of a checkout.
 *
 * Also which of several workers that all may have work gets the next piece
 * (stateless workers): rt_pool_pick().
 */
struct rt_pool;

enum rt_pool_strategy {
    RT_POOL_INCREMENTAL = 1, /* `step` at a time */
    RT_POOL_PERCENTAGE,      /* `percent` of what there is */
    RT_POOL_EXPONENTIAL,     /* twice as many, half as many */
};
struct rt_pool_config {
    uint32_t min, max, initial; /* workers; 1..10000 */
    double scale_up;            /* more from this share checked out; 0.8 */
    double scale_down;          /* fewer below this share; 0.3 */
    enum rt_pool_strategy strategy;
    uint32_t step;        /* 1..10 */
    uint32_t percent;     /* 1..100 */
    uint64_t check_ms;    /* how often it looks; 10000 */
    uint64_t cooldown_ms; /* between two changes */
    uint64_t checkout_ms; /* how long a checkout waits */
    uint32_t waiters_max; /* checkouts that wait */
};
extern const struct rt_pool_config rt_pool_defaults;

enum rt_pool_action_kind {
    RT_POOL_START = 1, /* a worker; then rt_pool_started() */
    RT_POOL_STOP,      /* worker; it is gone from the pool */
    RT_POOL_GIVE,      /* to `call`: worker, checkout */
    RT_POOL_REFUSE,    /* `call`: status, a text */
    RT_POOL_DRAINED,   /* no worker is out any more; all have been stopped */
};
struct rt_pool_action {
    enum rt_pool_action_kind kind;
    void *call;
    uint64_t worker;
    uint64_t checkout; /* what checkin shows */
    enum plex_status status;
    const char *text; /* static */
};

/* PLEX_INVALID says which field is wrong. */
PLEX_MUST_USE enum plex_status rt_pool_create(
    const struct rt_pool_config *config, uint64_t now_ns, struct rt_pool **out,
    struct plex_err *err);
void rt_pool_free(struct rt_pool *pool); /* accepts NULL */
bool rt_pool_next(struct rt_pool *pool, struct rt_pool_action *out);
uint64_t rt_pool_wake(const struct rt_pool *pool);
void rt_pool_tick(struct rt_pool *pool, uint64_t now_ns);

/* A START has succeeded, or failed. */
void rt_pool_started(struct rt_pool *pool, uint64_t worker, uint64_t now_ns);
void rt_pool_start_failed(struct rt_pool *pool, uint64_t now_ns);
/* A worker has ended by itself: its place is filled again. */
void rt_pool_lost(struct rt_pool *pool, uint64_t worker, uint64_t now_ns);

/* Ends with GIVE or REFUSE: TIMEOUT, LIMIT (waiters_max), UNAVAILABLE
 * (draining). Waiting ones are served in order. */
void rt_pool_checkout(struct rt_pool *pool, void *call, uint64_t now_ns);
/* PLEX_NOT_FOUND: not checked out under that number (any more). An unhealthy
 * one is stopped and replaced. */
PLEX_MUST_USE enum plex_status rt_pool_checkin(struct rt_pool *pool,
                                               uint64_t checkout, bool healthy,
                                               uint64_t now_ns,
                                               struct plex_err *err);
/* To so many, within min and max; by hand also while paused. */
void rt_pool_scale(struct rt_pool *pool, uint32_t workers, uint64_t now_ns);
void rt_pool_pause(struct rt_pool *pool, bool paused);
/* No more checkouts; workers stop as they come back. */
void rt_pool_drain(struct rt_pool *pool, uint64_t now_ns);

struct rt_pool_stats {
    uint32_t workers, idle, out, starting, waiting, target;
    uint64_t checkouts, timeouts, lost;
};
void rt_pool_stats(const struct rt_pool *pool, struct rt_pool_stats *out);

/* -- stateless workers ----------------------------------------------------- */

enum rt_pick {
    RT_PICK_ROUND_ROBIN = 1,
    RT_PICK_LEAST_LOADED, /* of equal ones the one after *last */
    RT_PICK_RANDOM,
};
/* Which of `n` (at least 1) with so much `load` each. *last is the caller's
 * memory, SIZE_MAX at first; `random` a fresh number. */
size_t rt_pool_pick(enum rt_pick how, const uint32_t *load, size_t n,
                    size_t *last, uint64_t random);

#endif
