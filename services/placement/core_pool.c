/* Tables: from shards to ranges and back, saving, publishing, watching. */
#include "services/placement/core_private.h"

#include "common/mem.h"
#include "services/placement/table.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct place_pool *
place_pool_find(const struct place_core *core, const char *name)
{
    struct place_pool *pool;

    for (pool = core->pools; pool != NULL; pool = pool->next)
        if (strcmp(pool->name, name) == 0)
            return pool;
    return NULL;
}

struct place_pool *
place_pool_add(struct place_core *core, const char *name, unsigned bits)
{
    struct place_pool *pool;

    if (core->n_pools == core->config.pools_max)
        return NULL;
    pool = plex_calloc(1, sizeof *pool);
    pool->name = plex_strdup(name);
    pool->bits = bits;
    pool->n = 1U << bits;
    pool->shards = plex_calloc(pool->n, sizeof *pool->shards);
    for (uint32_t i = 0; i < pool->n; i++) {
        pool->shards[i].owner = PLACE_NOBODY;
        pool->shards[i].leaving = PLACE_NOBODY;
    }
    *core->pools_tail = pool;
    core->pools_tail = &pool->next;
    core->n_pools++;
    return pool;
}

void
place_pools_free(struct place_core *core)
{
    struct place_pool *pool;

    while ((pool = core->pools) != NULL) {
        core->pools = pool->next;
        place_table_unref(pool->published);
        place_table_unref(pool->saving);
        free(pool->shards);
        free(pool->name);
        free(pool);
    }
    core->pools_tail = &core->pools;
    core->n_pools = 0;
}

/* -- loading --------------------------------------------------------------- */

/* The slot of a worker of a saved table; PLACE_NOBODY when its name is taken
 * by another life in another pool, which a crash between two saves can leave:
 * its shards are then quarantined. */
static int32_t
worker_load(struct place_core *core, struct place_pool *pool,
            const struct place_worker *worker, uint64_t now_ns)
{
    struct place_node *node = place_node_find(core, worker->node_id);

    if (node != NULL)
        return PLACE_NOBODY;
    node = place_node_add(core, worker->node_id);
    if (node == NULL)
        return PLACE_NOBODY;
    node->url = plex_strdup(worker->url);
    node->incarnation = worker->incarnation;
    node->drained = worker->draining;
    node->pool = pool;
    node->seen_ns = now_ns;
    node->required = pool->version;
    return (int32_t)(node - core->nodes);
}

static void
range_load(struct place_core *core, struct place_pool *pool,
           const struct place_range *range, int32_t slot, uint64_t lease_end)
{
    /* Whoever it was moving from may have been granted a lease until now. */
    const bool unsure = range->worker < 0 ? range->moving : slot < 0;

    for (uint32_t i = range->first; i <= range->last; i++) {
        struct place_shard *shard = &pool->shards[i];

        shard->epoch = range->epoch;
        shard->owner = slot;
        shard->quarantined = unsure;
    }
    if (unsure)
        pool->quarantine_ns = lease_end;
    if (slot >= 0) {
        struct place_node *node = &core->nodes[slot];

        node->owned += range->last - range->first + 1;
        node->live = true;
        node->lease_end_ns = lease_end;
    }
}

void
place_pool_load(struct place_core *core, struct place_table *table,
                uint64_t now_ns)
{
    const uint64_t lease_end = now_ns + place_ms(core->config.lease_ms);
    struct place_pool *pool =
        place_pool_add(core, table->pool, table->shard_bits);
    int32_t *slots;

    if (pool == NULL) {
        place_note(core, "pool %s is not served: there are more than %u pools",
                   table->pool, core->config.pools_max);
        return;
    }
    pool->version = table->version;
    pool->published = place_table_ref(table);
    slots = plex_calloc(table->n_workers + 1, sizeof *slots);
    for (size_t i = 0; i < table->n_workers; i++)
        slots[i] = worker_load(core, pool, &table->workers[i], now_ns);
    for (size_t i = 0; i < table->n_ranges; i++) {
        const struct place_range *range = &table->ranges[i];

        range_load(core, pool, range,
                   range->worker < 0 ? PLACE_NOBODY : slots[range->worker],
                   lease_end);
    }
    free(slots);
}

/* -- publishing ------------------------------------------------------------ */

static int
by_node_id(const void *left, const void *right)
{
    const struct place_node *a = *(struct place_node *const *)left;
    const struct place_node *b = *(struct place_node *const *)right;

    return strcmp(a->node_id, b->node_id);
}

/* Listed are owners, and drained nodes so that a restart remembers. `index`
 * maps slots to list positions. */
static size_t
workers_list(struct place_core *core, const struct place_pool *pool,
             struct place_worker *workers, int32_t *index)
{
    struct place_node **nodes = core->active;
    size_t n = 0;

    for (uint32_t i = 0; i < core->config.workers_max; i++) {
        struct place_node *node = &core->nodes[i];

        if (node->node_id[0] != '\0' && node->pool == pool &&
            (node->owned > 0 || node->drained))
            nodes[n++] = node;
    }
    if (n > 1)
        qsort(nodes, n, sizeof *nodes, by_node_id);
    for (size_t i = 0; i < n; i++) {
        workers[i] = (struct place_worker){
            .node_id = nodes[i]->node_id,
            .url = nodes[i]->url,
            .incarnation = nodes[i]->incarnation,
            .draining = nodes[i]->drained,
        };
        index[nodes[i] - core->nodes] = (int32_t)i;
    }
    return n;
}

static size_t
ranges_list(const struct place_pool *pool, const int32_t *index,
            struct place_range *ranges)
{
    size_t n = 0;

    for (uint32_t i = 0; i < pool->n; i++) {
        const struct place_shard *shard = &pool->shards[i];
        const int32_t worker =
            shard->owner == PLACE_NOBODY ? -1 : index[shard->owner];
        const bool moving = worker < 0 && (shard->leaving != PLACE_NOBODY ||
                                           shard->quarantined);
        struct place_range *last = n > 0 ? &ranges[n - 1] : NULL;

        if (last != NULL && last->worker == worker &&
            last->epoch == shard->epoch && last->moving == moving) {
            last->last = i;
            continue;
        }
        ranges[n++] = (struct place_range){.first = i,
                                           .last = i,
                                           .epoch = shard->epoch,
                                           .worker = worker,
                                           .moving = moving};
    }
    return n;
}

static struct place_table *
table_build(struct place_core *core, const struct place_pool *pool)
{
    struct place_worker *workers =
        plex_calloc(core->config.workers_max, sizeof *workers);
    int32_t *index = plex_calloc(core->config.workers_max, sizeof *index);
    struct place_range *ranges = plex_calloc(pool->n, sizeof *ranges);
    const size_t n_workers = workers_list(core, pool, workers, index);
    const size_t n_ranges = ranges_list(pool, index, ranges);
    struct place_table *table =
        place_table_make(pool->name, pool->version, pool->bits, workers,
                         n_workers, ranges, n_ranges);

    free(workers);
    free(index);
    free(ranges);
    return table;
}

void
place_pool_flush(struct place_core *core, struct place_pool *pool,
                 uint64_t wall_ms)
{
    struct place_action *action;

    if (!pool->dirty || pool->saving != NULL)
        return;
    pool->dirty = false;
    /* A store that was lost must not begin again with versions and epochs
     * that have been seen: the first ones are the wall clock. */
    if (pool->version == 0) {
        pool->version = wall_ms > 0 ? wall_ms - 1 : 0;
        for (uint32_t i = 0; i < pool->n; i++)
            if (pool->shards[i].epoch == 0)
                pool->shards[i].epoch = wall_ms > 0 ? wall_ms : 1;
    }
    pool->version++;
    pool->saving = table_build(core, pool);
    core->totals.versions++;
    action = place_push(core, PLACE_ACTION_SAVE, NULL);
    action->table = place_table_ref(pool->saving);
    action->version = pool->version;
    action->leader_epoch = core->leader_epoch;
    action->expect_version =
        pool->published == NULL ? 0 : pool->published->version;
}

/* -- watching -------------------------------------------------------------- */

static void
watcher_remove(struct place_core *core, struct place_watcher **at)
{
    struct place_watcher *watcher = *at;

    *at = watcher->next;
    if (core->watchers_tail == &watcher->next)
        core->watchers_tail = at;
    core->n_watchers--;
    free(watcher->pool);
    free(watcher);
}

void
place_watchers_answer(struct place_core *core, struct place_pool *pool)
{
    struct place_watcher **at = &core->watchers;

    while (*at != NULL) {
        struct place_watcher *watcher = *at;

        if (strcmp(watcher->pool, pool->name) != 0 ||
            pool->published->version <= watcher->have) {
            at = &watcher->next;
            continue;
        }
        place_push(core, PLACE_ACTION_TABLE, watcher->call)->table =
            place_table_ref(pool->published);
        watcher_remove(core, at);
    }
}

void
place_watchers_expire(struct place_core *core, uint64_t now_ns)
{
    struct place_watcher **at = &core->watchers;

    while (*at != NULL) {
        struct place_watcher *watcher = *at;

        if (watcher->deadline_ns > now_ns) {
            at = &watcher->next;
            continue;
        }
        place_push(core, PLACE_ACTION_TABLE, watcher->call)->version =
            watcher->have;
        watcher_remove(core, at);
    }
}

void
place_watchers_fail(struct place_core *core, const char *why)
{
    while (core->watchers != NULL) {
        struct place_action *action =
            place_push(core, PLACE_ACTION_FAIL, core->watchers->call);

        action->status = PLEX_UNAVAILABLE;
        snprintf(action->text, sizeof action->text, "%s", why);
        watcher_remove(core, &core->watchers);
    }
}
