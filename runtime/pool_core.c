#include "runtime/pool_core.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

#define MS UINT64_C(1000000)

const struct rt_pool_config rt_pool_defaults = {
    .min = 1,
    .max = 10,
    .initial = 1,
    .scale_up = 0.8,
    .scale_down = 0.3,
    .strategy = RT_POOL_INCREMENTAL,
    .step = 1,
    .percent = 50,
    .check_ms = 10000,
    .cooldown_ms = 30000,
    .checkout_ms = 5000,
    .waiters_max = 1000,
};

struct worker {
    uint64_t id;
    uint64_t checkout; /* 0: idle */
};
struct waiter {
    void *call;
    uint64_t deadline_ns;
};
struct rt_pool {
    struct rt_pool_config config;
    struct worker *workers; /* room for max */
    uint32_t n, out, starting, target;
    struct waiter *waiters; /* in order; room for waiters_max */
    uint32_t n_waiters;
    bool paused, draining, drained;
    uint64_t check_ns, changed_ns;
    bool changed;
    uint64_t checkouts, timeouts, lost;
    struct rt_pool_action *actions;
    size_t head, tail, cap;
};

static void
push(struct rt_pool *pool, struct rt_pool_action action)
{
    if (pool->tail == pool->cap) {
        pool->cap = pool->cap == 0 ? 16 : pool->cap * 2;
        pool->actions =
            plex_reallocarray(pool->actions, pool->cap, sizeof *pool->actions);
    }
    pool->actions[pool->tail++] = action;
}

bool
rt_pool_next(struct rt_pool *pool, struct rt_pool_action *out)
{
    if (pool->head == pool->tail) {
        pool->head = pool->tail = 0;
        return false;
    }
    *out = pool->actions[pool->head++];
    return true;
}

/* -- workers and who wants them -------------------------------------------- */

static void
refuse(struct rt_pool *pool, void *call, enum plex_status status,
       const char *text)
{
    push(pool, (struct rt_pool_action){.kind = RT_POOL_REFUSE,
                                       .call = call,
                                       .status = status,
                                       .text = text});
}

static void
give(struct rt_pool *pool, struct worker *worker, void *call)
{
    worker->checkout = ++pool->checkouts;
    pool->out++;
    push(pool, (struct rt_pool_action){.kind = RT_POOL_GIVE,
                                       .call = call,
                                       .worker = worker->id,
                                       .checkout = worker->checkout});
}

static void
worker_remove(struct rt_pool *pool, struct worker *worker, bool stop)
{
    if (worker->checkout != 0)
        pool->out--;
    if (stop)
        push(pool, (struct rt_pool_action){.kind = RT_POOL_STOP,
                                           .worker = worker->id});
    *worker = pool->workers[--pool->n];
}

static struct worker *
worker_idle(struct rt_pool *pool)
{
    for (uint32_t i = 0; i < pool->n; i++)
        if (pool->workers[i].checkout == 0)
            return &pool->workers[i];
    return NULL;
}

/* Start and stop towards the target; who is out is stopped when it is back. */
static void
settle(struct rt_pool *pool)
{
    struct worker *idle;

    while (pool->n + pool->starting < pool->target) {
        pool->starting++;
        push(pool, (struct rt_pool_action){.kind = RT_POOL_START});
    }
    while (pool->n + pool->starting > pool->target && pool->n > 0 &&
           (idle = worker_idle(pool)) != NULL)
        worker_remove(pool, idle, true);
    if (pool->draining && !pool->drained && pool->n == 0 &&
        pool->starting == 0) {
        pool->drained = true;
        push(pool, (struct rt_pool_action){.kind = RT_POOL_DRAINED});
    }
}

static void
serve(struct rt_pool *pool)
{
    struct worker *idle;
    uint32_t served = 0;

    while (served < pool->n_waiters && (idle = worker_idle(pool)) != NULL)
        give(pool, idle, pool->waiters[served++].call);
    pool->n_waiters -= served;
    memmove(pool->waiters, pool->waiters + served,
            pool->n_waiters * sizeof *pool->waiters);
}

/* -- scaling --------------------------------------------------------------- */

static uint32_t
bounded(const struct rt_pool *pool, uint64_t workers)
{
    if (workers < pool->config.min)
        return pool->config.min;
    return workers > pool->config.max ? pool->config.max : (uint32_t)workers;
}

static uint32_t
stride(const struct rt_pool *pool, bool up)
{
    const uint64_t share = (uint64_t)pool->target * pool->config.percent / 100;

    switch (pool->config.strategy) {
    case RT_POOL_PERCENTAGE:
        return share == 0 ? 1 : (uint32_t)share;
    case RT_POOL_EXPONENTIAL:
        return up ? pool->target : (pool->target + 1) / 2;
    default:
        return pool->config.step;
    }
}

static void
autoscale(struct rt_pool *pool, uint64_t now_ns)
{
    const double wanted = (double)pool->out + (double)pool->n_waiters;
    const double share =
        wanted / (double)(pool->target == 0 ? 1 : pool->target);
    uint32_t target = pool->target;

    if (pool->paused || pool->draining ||
        (pool->changed &&
         now_ns - pool->changed_ns < pool->config.cooldown_ms * MS))
        return;
    if (share >= pool->config.scale_up)
        target = bounded(pool, (uint64_t)target + stride(pool, true));
    else if (share < pool->config.scale_down)
        target = bounded(pool, target - (stride(pool, false) < target
                                             ? stride(pool, false)
                                             : target));
    if (target == pool->target)
        return;
    pool->target = target;
    pool->changed = true;
    pool->changed_ns = now_ns;
}

void
rt_pool_scale(struct rt_pool *pool, uint32_t workers, uint64_t now_ns)
{
    if (pool->draining)
        return;
    pool->target = bounded(pool, workers);
    pool->changed = true;
    pool->changed_ns = now_ns;
    settle(pool);
}

void
rt_pool_pause(struct rt_pool *pool, bool paused)
{
    pool->paused = paused;
}

void
rt_pool_drain(struct rt_pool *pool, uint64_t now_ns)
{
    (void)now_ns;
    pool->draining = true;
    pool->target = 0;
    for (uint32_t i = 0; i < pool->n_waiters; i++)
        refuse(pool, pool->waiters[i].call, PLEX_UNAVAILABLE,
               "the pool is being drained");
    pool->n_waiters = 0;
    settle(pool);
}

/* -- inputs ---------------------------------------------------------------- */

void
rt_pool_started(struct rt_pool *pool, uint64_t worker, uint64_t now_ns)
{
    (void)now_ns;
    if (pool->starting > 0)
        pool->starting--;
    if (pool->n == pool->config.max) {
        push(pool,
             (struct rt_pool_action){.kind = RT_POOL_STOP, .worker = worker});
        return;
    }
    pool->workers[pool->n++] = (struct worker){worker, 0};
    serve(pool);
    settle(pool);
}

/* Tried again at the next check, not at once: it would fail at once again. */
void
rt_pool_start_failed(struct rt_pool *pool, uint64_t now_ns)
{
    (void)now_ns;
    if (pool->starting > 0)
        pool->starting--;
    if (pool->draining)
        settle(pool);
}

void
rt_pool_lost(struct rt_pool *pool, uint64_t worker, uint64_t now_ns)
{
    (void)now_ns;
    for (uint32_t i = 0; i < pool->n; i++)
        if (pool->workers[i].id == worker) {
            worker_remove(pool, &pool->workers[i], false);
            pool->lost++;
            settle(pool);
            return;
        }
}

void
rt_pool_checkout(struct rt_pool *pool, void *call, uint64_t now_ns)
{
    struct worker *idle = worker_idle(pool);

    if (pool->draining)
        refuse(pool, call, PLEX_UNAVAILABLE, "the pool is being drained");
    else if (idle != NULL && pool->n_waiters == 0)
        give(pool, idle, call);
    else if (pool->n_waiters == pool->config.waiters_max)
        refuse(pool, call, PLEX_LIMIT, "too many wait for a worker already");
    else
        pool->waiters[pool->n_waiters++] =
            (struct waiter){call, now_ns + pool->config.checkout_ms * MS};
}

enum plex_status
rt_pool_checkin(struct rt_pool *pool, uint64_t checkout, bool healthy,
                uint64_t now_ns, struct plex_err *err)
{
    (void)now_ns;
    for (uint32_t i = 0; checkout != 0 && i < pool->n; i++) {
        struct worker *worker = &pool->workers[i];

        if (worker->checkout != checkout)
            continue;
        if (!healthy) {
            worker_remove(pool, worker, true);
            pool->lost++;
        } else {
            worker->checkout = 0;
            pool->out--;
        }
        /* Too many: this one goes before the next caller has it. */
        if (pool->n + pool->starting <= pool->target)
            serve(pool);
        settle(pool);
        serve(pool);
        return PLEX_OK;
    }
    return plex_err_set(err, PLEX_NOT_FOUND,
                        "nothing is checked out under number %llu",
                        (unsigned long long)checkout);
}

void
rt_pool_tick(struct rt_pool *pool, uint64_t now_ns)
{
    uint32_t late = 0;

    while (late < pool->n_waiters && pool->waiters[late].deadline_ns <= now_ns)
        refuse(pool, pool->waiters[late++].call, PLEX_TIMEOUT,
               "no worker came back in time");
    pool->timeouts += late;
    pool->n_waiters -= late;
    memmove(pool->waiters, pool->waiters + late,
            pool->n_waiters * sizeof *pool->waiters);
    if (pool->check_ns > now_ns)
        return;
    pool->check_ns = now_ns + pool->config.check_ms * MS;
    autoscale(pool, now_ns);
    settle(pool);
}

uint64_t
rt_pool_wake(const struct rt_pool *pool)
{
    uint64_t wake = pool->drained ? UINT64_MAX : pool->check_ns;

    if (pool->n_waiters > 0 && pool->waiters[0].deadline_ns < wake)
        wake = pool->waiters[0].deadline_ns;
    return wake;
}

/* -- life ------------------------------------------------------------------ */

enum plex_status
rt_pool_create(const struct rt_pool_config *config, uint64_t now_ns,
               struct rt_pool **out, struct plex_err *err)
{
    struct rt_pool *pool;

    if (config->max < 1 || config->max > 10000 || config->min > config->max ||
        config->initial < config->min || config->initial > config->max)
        return plex_err_set(err, PLEX_INVALID,
                            "min %u, initial %u and max %u workers must be in "
                            "that order, max 1 to 10000",
                            config->min, config->initial, config->max);
    if (!(config->scale_down >= 0 && config->scale_down < config->scale_up &&
          config->scale_up <= 1))
        return plex_err_set(err, PLEX_INVALID,
                            "scale_down must be below scale_up, both 0 to 1");
    if (config->step < 1 || config->step > 10 || config->percent < 1 ||
        config->percent > 100 || config->check_ms == 0 ||
        config->strategy < RT_POOL_INCREMENTAL ||
        config->strategy > RT_POOL_EXPONENTIAL)
        return plex_err_set(err, PLEX_INVALID,
                            "step must be 1 to 10, percent 1 to 100, check_ms "
                            "more than 0, and the strategy one of three");
    pool = plex_calloc(1, sizeof *pool);
    pool->config = *config;
    pool->workers = plex_calloc(config->max, sizeof *pool->workers);
    pool->waiters = plex_calloc(config->waiters_max + 1, sizeof *pool->waiters);
    pool->target = config->initial;
    pool->check_ns = now_ns + config->check_ms * MS;
    settle(pool);
    *out = pool;
    return PLEX_OK;
}

void
rt_pool_free(struct rt_pool *pool)
{
    if (pool == NULL)
        return;
    free(pool->workers);
    free(pool->waiters);
    free(pool->actions);
    free(pool);
}

void
rt_pool_stats(const struct rt_pool *pool, struct rt_pool_stats *out)
{
    *out = (struct rt_pool_stats){
        .workers = pool->n,
        .idle = pool->n - pool->out,
        .out = pool->out,
        .starting = pool->starting,
        .waiting = pool->n_waiters,
        .target = pool->target,
        .checkouts = pool->checkouts,
        .timeouts = pool->timeouts,
        .lost = pool->lost,
    };
}

size_t
rt_pool_pick(enum rt_pick how, const uint32_t *load, size_t n, size_t *last,
             uint64_t random)
{
    const size_t next = *last == SIZE_MAX ? 0 : (*last + 1) % n;
    size_t best = next;

    if (how == RT_PICK_RANDOM) {
        best = (size_t)(random % n);
    } else if (how == RT_PICK_LEAST_LOADED) {
        for (size_t i = 1; i < n; i++) {
            const size_t at = (next + i) % n;

            if (load[at] < load[best])
                best = at;
        }
    }
    *last = best;
    return best;
}
