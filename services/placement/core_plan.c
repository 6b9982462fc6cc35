/* Who gets which shard: an even split by count that moves no more than it
 * must. */
#include "services/placement/core_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static int32_t
slot_of(const struct place_core *core, const struct place_node *node)
{
    return (int32_t)(node - core->nodes);
}

void
place_node_strip(struct place_core *core, struct place_node *node)
{
    const int32_t slot = slot_of(core, node);
    struct place_pool *pool = node->pool;

    if (node->owned + node->leaving == 0)
        return;
    for (uint32_t i = 0; i < pool->n; i++) {
        struct place_shard *shard = &pool->shards[i];

        if (shard->owner == slot)
            shard->owner = PLACE_NOBODY;
        if (shard->leaving == slot)
            shard->leaving = PLACE_NOBODY;
    }
    node->owned = 0;
    node->leaving = 0;
    pool->dirty = true;
}

void
place_node_applied(struct place_core *core, struct place_node *node)
{
    const int32_t slot = slot_of(core, node);
    struct place_pool *pool = node->pool;

    if (node->leaving == 0)
        return;
    for (uint32_t i = 0; i < pool->n; i++) {
        struct place_shard *shard = &pool->shards[i];

        if (shard->leaving != slot || node->applied < shard->release_version)
            continue;
        shard->leaving = PLACE_NOBODY;
        node->leaving--;
        pool->dirty = true;
    }
}

/* First step of a move: publish that nobody has it, wait until the owner has
 * seen that. The epoch grows with the second step. */
static void
shard_release(struct place_core *core, struct place_pool *pool,
              struct place_shard *shard)
{
    struct place_node *node = &core->nodes[shard->owner];

    shard->leaving = shard->owner;
    shard->owner = PLACE_NOBODY;
    shard->release_version = pool->version + 1;
    node->owned--;
    node->leaving++;
    pool->dirty = true;
    core->totals.moves++;
}

static void
shard_give(struct place_core *core, struct place_pool *pool,
           struct place_shard *shard, struct place_node *node, uint64_t wall_ms)
{
    shard->epoch = shard->epoch + 1 > wall_ms ? shard->epoch + 1 : wall_ms;
    shard->owner = slot_of(core, node);
    node->owned++;
    pool->dirty = true;
}

/* Those who hold most come first: they keep the odd shard, so it stays. */
static int
holds_more(const void *left, const void *right)
{
    const struct place_node *a = *(struct place_node *const *)left;
    const struct place_node *b = *(struct place_node *const *)right;

    if (a->owned != b->owned)
        return a->owned > b->owned ? -1 : 1;
    if (a->load != b->load)
        return a->load < b->load ? -1 : 1;
    return strcmp(a->node_id, b->node_id);
}

/* Fill core->active and each one's quota; how many there are. */
static size_t
quotas_set(struct place_core *core, const struct place_pool *pool)
{
    size_t n = 0;

    for (uint32_t i = 0; i < core->config.workers_max; i++)
        if (place_node_active(&core->nodes[i], pool))
            core->active[n++] = &core->nodes[i];
    if (n == 0)
        return 0;
    qsort(core->active, n, sizeof *core->active, holds_more);
    for (size_t i = 0; i < n; i++)
        core->active[i]->quota = pool->n / (uint32_t)n + (i < pool->n % n);
    return n;
}

static uint32_t
missing(const struct place_node *node)
{
    return node->quota > node->owned ? node->quota - node->owned : 0;
}

static struct place_node *
neediest(struct place_node *const *active, size_t n)
{
    struct place_node *best = active[0];

    for (size_t i = 1; i < n; i++) {
        struct place_node *node = active[i];

        if (missing(node) != missing(best)) {
            if (missing(node) > missing(best))
                best = node;
        } else if (node->load != best->load) {
            if (node->load < best->load)
                best = node;
        } else if (strcmp(node->node_id, best->node_id) < 0) {
            best = node;
        }
    }
    return best;
}

/* Neighbours go to the same worker, so that the table stays short. */
static void
assign_free(struct place_core *core, struct place_pool *pool, size_t n,
            uint64_t wall_ms)
{
    struct place_node *taker = NULL;

    for (uint32_t i = 0; i < pool->n; i++) {
        struct place_shard *shard = &pool->shards[i];

        if (shard->owner != PLACE_NOBODY) {
            struct place_node *owner = &core->nodes[shard->owner];

            if (place_node_active(owner, pool) && missing(owner) > 0)
                taker = owner;
            continue;
        }
        if (shard->leaving != PLACE_NOBODY || shard->quarantined)
            continue;
        if (taker == NULL || missing(taker) == 0)
            taker = neediest(core->active, n);
        assert(missing(taker) > 0);
        shard_give(core, pool, shard, taker, wall_ms);
    }
}

static uint32_t
excess_of(const struct place_core *core, size_t n)
{
    uint32_t excess = 0;

    for (size_t i = 0; i < n; i++)
        if (core->active[i]->owned > core->active[i]->quota)
            excess += core->active[i]->owned - core->active[i]->quota;
    return excess;
}

static void
release_excess(struct place_core *core, struct place_pool *pool)
{
    for (uint32_t i = pool->n; i-- > 0;) {
        struct place_shard *shard = &pool->shards[i];

        if (shard->owner == PLACE_NOBODY)
            continue;
        if (core->nodes[shard->owner].owned > core->nodes[shard->owner].quota)
            shard_release(core, pool, shard);
    }
}

static void
release_draining(struct place_core *core, struct place_pool *pool)
{
    for (uint32_t i = 0; i < pool->n; i++) {
        struct place_shard *shard = &pool->shards[i];

        if (shard->owner != PLACE_NOBODY &&
            !place_node_active(&core->nodes[shard->owner], pool))
            shard_release(core, pool, shard);
    }
}

static void
quarantine_end(struct place_pool *pool, uint64_t now_ns)
{
    if (pool->quarantine_ns == 0 || now_ns < pool->quarantine_ns)
        return;
    for (uint32_t i = 0; i < pool->n; i++)
        pool->shards[i].quarantined = false;
    pool->quarantine_ns = 0;
    pool->dirty = true;
}

void
place_pool_plan(struct place_core *core, struct place_pool *pool,
                uint64_t now_ns, uint64_t wall_ms)
{
    size_t n;
    uint32_t excess;

    quarantine_end(pool, now_ns);
    release_draining(core, pool);
    n = quotas_set(core, pool);
    if (n == 0) {
        pool->rebalance_ns = 0;
        return;
    }
    assign_free(core, pool, n, wall_ms);
    excess = excess_of(core, n);
    if (excess == 0) {
        pool->rebalance_ns = 0;
    } else if (pool->rebalance_ns == 0) {
        pool->rebalance_ns = now_ns + place_ms(core->config.settle_ms);
    } else if (now_ns >= pool->rebalance_ns) {
        place_note(core, "pool %s: moving %u shards to even out %zu workers",
                   pool->name, excess, n);
        release_excess(core, pool);
        pool->rebalance_ns = 0;
    }
}
