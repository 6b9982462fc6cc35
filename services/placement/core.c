/* Requests and leases. */
#include "services/placement/core_private.h"

#include "common/mem.h"
#include "common/name.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WATCH_MS_MAX = 60000, BEHIND_LEASES = 10 };

const struct place_core_config place_core_defaults = {
    .shard_bits = PLACE_SHARD_BITS,
    .lease_ms = 1500,
    .settle_ms = 2000,
    .forget_ms = 600000,
    .pools_max = 64,
    .workers_max = 1024,
    .watchers_max = 4096,
    .reservations_max = 65536,
};

struct place_core *
place_core_create(const struct place_core_config *config)
{
    struct place_core *core = plex_calloc(1, sizeof *core);

    assert(config->shard_bits >= 1 && config->shard_bits <= 16);
    core->config = *config;
    core->nodes = plex_calloc(config->workers_max, sizeof *core->nodes);
    core->active = plex_calloc(config->workers_max, sizeof(void *));
    core->pools_tail = &core->pools;
    core->watchers_tail = &core->watchers;
    core->book = place_book_new(config);
    return core;
}

static void
nodes_clear(struct place_core *core)
{
    for (uint32_t i = 0; i < core->config.workers_max; i++)
        free(core->nodes[i].url);
    memset(core->nodes, 0, core->config.workers_max * sizeof *core->nodes);
}

void
place_core_free(struct place_core *core)
{
    struct place_action action;

    if (core == NULL)
        return;
    place_core_resign(core, "placement stops");
    while (place_core_next(core, &action))
        place_table_unref(action.table);
    place_book_free(core->book);
    free(core->actions);
    free(core->nodes);
    free(core->active);
    free(core);
}

/* -- actions --------------------------------------------------------------- */

struct place_action *
place_push(struct place_core *core, enum place_action_kind kind, void *call)
{
    struct place_action *action;

    if (core->actions_tail == core->actions_cap) {
        core->actions_cap = core->actions_cap == 0 ? 16 : core->actions_cap * 2;
        core->actions = plex_reallocarray(core->actions, core->actions_cap,
                                          sizeof *core->actions);
    }
    action = &core->actions[core->actions_tail++];
    memset(action, 0, sizeof *action);
    action->kind = kind;
    action->call = call;
    return action;
}

void
place_note(struct place_core *core, const char *fmt, ...)
{
    struct place_action *action = place_push(core, PLACE_ACTION_NOTE, NULL);
    va_list args;

    va_start(args, fmt);
    vsnprintf(action->text, sizeof action->text, fmt, args);
    va_end(args);
}

static void
push_fail(struct place_core *core, void *call, const struct plex_err *err)
{
    struct place_action *action = place_push(core, PLACE_ACTION_FAIL, call);

    action->status = err->status;
    snprintf(action->text, sizeof action->text, "%.*s",
             (int)sizeof action->text - 1, err->text);
}

/* `version` of a heartbeat's answer is looked up when it leaves: a save that
 * was queued before it has usually been published by then. */
static uint64_t
version_now(const struct place_core *core, const char *pool)
{
    const struct place_table *table = place_core_table(core, pool);

    return table == NULL ? 0 : table->version;
}

bool
place_core_next(struct place_core *core, struct place_action *out)
{
    if (core->actions_head == core->actions_tail) {
        core->actions_head = core->actions_tail = 0;
        return false;
    }
    *out = core->actions[core->actions_head++];
    if (out->kind == PLACE_ACTION_HEARTBEAT) {
        out->version = version_now(core, out->text);
        out->text[0] = '\0';
    } else if (out->kind == PLACE_ACTION_TABLE && out->table != NULL) {
        out->version = out->table->version;
    }
    return true;
}

/* -- leadership ------------------------------------------------------------ */

void
place_core_lead(struct place_core *core, uint64_t leader_epoch,
                uint64_t until_ns, struct place_table *const *tables,
                size_t n_tables, uint64_t now_ns)
{
    place_core_resign(core, "placement begins anew");
    core->leads = true;
    core->leader_epoch = leader_epoch;
    core->lead_until_ns = until_ns;
    for (size_t i = 0; i < n_tables; i++)
        place_pool_load(core, tables[i], now_ns);
}

void
place_core_renewed(struct place_core *core, uint64_t until_ns)
{
    if (core->leads && until_ns > core->lead_until_ns)
        core->lead_until_ns = until_ns;
}

void
place_core_resign(struct place_core *core, const char *why)
{
    size_t kept = core->actions_head;

    /* A save that nobody has popped yet must not reach the store any more. */
    for (size_t i = core->actions_head; i < core->actions_tail; i++) {
        if (core->actions[i].kind == PLACE_ACTION_SAVE)
            place_table_unref(core->actions[i].table);
        else
            core->actions[kept++] = core->actions[i];
    }
    core->actions_tail = kept;
    if (core->leads)
        place_note(core, "no longer the leader: %s", why);
    core->leads = false;
    place_watchers_fail(core, why);
    nodes_clear(core);
    place_pools_free(core);
    place_book_free(core->book);
    core->book = place_book_new(&core->config);
}

bool
place_core_leads(const struct place_core *core)
{
    return core->leads;
}

/* Every input comes through here. */
static enum plex_status
leading(struct place_core *core, uint64_t now_ns, struct plex_err *err)
{
    if (core->leads && now_ns >= core->lead_until_ns)
        place_core_resign(core, "its lease in the store ran out");
    if (core->leads)
        return PLEX_OK;
    return plex_err_set(err, PLEX_UNAVAILABLE,
                        "this placement does not lead now");
}

/* -- nodes ----------------------------------------------------------------- */

struct place_node *
place_node_find(struct place_core *core, const char *node_id)
{
    for (uint32_t i = 0; i < core->config.workers_max; i++)
        if (strcmp(core->nodes[i].node_id, node_id) == 0)
            return &core->nodes[i];
    return NULL;
}

struct place_node *
place_node_add(struct place_core *core, const char *node_id)
{
    for (uint32_t i = 0; i < core->config.workers_max; i++) {
        struct place_node *node = &core->nodes[i];

        if (node->node_id[0] != '\0')
            continue;
        snprintf(node->node_id, sizeof node->node_id, "%s", node_id);
        return node;
    }
    return NULL;
}

/* It holds nothing any more; should this very life come back, it must learn
 * that before it gets another lease. */
static void
node_end(struct place_core *core, struct place_node *node)
{
    node->live = false;
    node->asked = false;
    node->holds = false;
    place_book_worker_gone(core->book, node->node_id);
    if (node->owned + node->leaving > 0)
        node->required = node->pool->version + 1;
    place_node_strip(core, node);
}

/* When we look much later than we should, it was us who slept (a stopped
 * process, a blocked disk), and the heartbeats are still in the queue. To wait
 * longer than was promised is always safe. */
static void
leases_extend(struct place_core *core, uint64_t now_ns)
{
    const uint64_t lease_ns = place_ms(core->config.lease_ms);
    uint64_t due = UINT64_MAX;

    for (uint32_t i = 0; i < core->config.workers_max; i++)
        if (core->nodes[i].live && core->nodes[i].lease_end_ns < due)
            due = core->nodes[i].lease_end_ns;
    if (due >= now_ns || now_ns - due < lease_ns / 2)
        return;
    for (uint32_t i = 0; i < core->config.workers_max; i++)
        if (core->nodes[i].live)
            core->nodes[i].lease_end_ns = now_ns + lease_ns;
}

static void
nodes_expire(struct place_core *core, uint64_t now_ns)
{
    leases_extend(core, now_ns);
    for (uint32_t i = 0; i < core->config.workers_max; i++) {
        struct place_node *node = &core->nodes[i];

        if (node->node_id[0] == '\0')
            continue;
        if (node->live && node->lease_end_ns <= now_ns) {
            core->totals.lapses++;
            place_note(core, "worker %s lost its lease with %u shards",
                       node->node_id, node->owned + node->leaving);
            node_end(core, node);
        } else if (!node->live &&
                   now_ns >= node->seen_ns + place_ms(core->config.forget_ms)) {
            if (node->drained)
                node->pool->dirty = true;
            free(node->url);
            memset(node, 0, sizeof *node);
        }
    }
}

/* What follows from every change. */
static void
settle(struct place_core *core, uint64_t now_ns, uint64_t wall_ms)
{
    struct place_pool *pool;

    for (pool = core->pools; pool != NULL; pool = pool->next) {
        place_pool_plan(core, pool, now_ns, wall_ms);
        place_pool_flush(core, pool, wall_ms);
    }
}

enum plex_status
place_leading(struct place_core *core, uint64_t now_ns, struct plex_err *err)
{
    return leading(core, now_ns, err);
}

/* -- heartbeats ------------------------------------------------------------ */

static enum plex_status
heartbeat_check(const struct place_heartbeat *heartbeat, const char *pool,
                struct plex_err *err)
{
    if (plex_name_plain("node_id", heartbeat->node_id,
                        strlen(heartbeat->node_id), err) != PLEX_OK)
        return err->status;
    if (plex_name_plain("pool", pool, strlen(pool), err) != PLEX_OK)
        return err->status;
    if (heartbeat->url[0] == '\0' || strlen(heartbeat->url) > PLACE_URL_MAX)
        return plex_err_set(err, PLEX_INVALID, "url must be 1 to %d bytes",
                            PLACE_URL_MAX);
    if (heartbeat->incarnation == 0)
        return plex_err_set(err, PLEX_INVALID, "incarnation must not be 0");
    return PLEX_OK;
}

static enum plex_status
node_take(struct place_core *core, const struct place_heartbeat *heartbeat,
          const char *pool_name, uint64_t now_ns, struct place_node **out,
          struct plex_err *err)
{
    struct place_pool *pool = place_pool_find(core, pool_name);
    struct place_node *node = place_node_find(core, heartbeat->node_id);

    if (node != NULL && node->live &&
        node->incarnation != heartbeat->incarnation)
        return plex_err_set(err, PLEX_EXISTS,
                            "worker \"%s\" already runs at %s; its lease ends "
                            "in %" PRIu64 " ms",
                            node->node_id, node->url,
                            (node->lease_end_ns - now_ns) / 1000000U);
    if (node != NULL && node->incarnation == heartbeat->incarnation &&
        node->pool != pool)
        return plex_err_set(err, PLEX_INVALID,
                            "worker \"%s\" is in pool %s until it restarts",
                            node->node_id, node->pool->name);
    if (pool == NULL)
        pool = place_pool_add(core, pool_name, core->config.shard_bits);
    if (pool == NULL)
        return plex_err_set(err, PLEX_LIMIT, "there are %u pools already",
                            core->config.pools_max);
    if (node == NULL)
        node = place_node_add(core, heartbeat->node_id);
    if (node == NULL)
        return plex_err_set(err, PLEX_LIMIT, "there are %u workers already",
                            core->config.workers_max);
    if (node->incarnation != heartbeat->incarnation) {
        if (node->drained)
            node->pool->dirty = true;
        node->incarnation = heartbeat->incarnation;
        node->pool = pool;
        node->drained = false;
        node->behind_version = 0;
        node->holds = false;
        node->applied = 0;
        /* One that we have forgotten may still believe an old table. */
        node->required = heartbeat->applied_version == 0 ? 0 : pool->version;
    }
    *out = node;
    return PLEX_OK;
}

/* A worker that renews its lease but never sees new tables would hold what it
 * should let go of for ever: after a while it gets no lease either. */
static bool
node_keeps_up(struct place_core *core, struct place_node *node, uint64_t now_ns)
{
    const struct place_table *table = node->pool->published;

    if (table == NULL || node->applied >= table->version) {
        node->behind_version = 0;
        return true;
    }
    if (node->behind_version == 0 || node->applied >= node->behind_version) {
        node->behind_version = table->version;
        node->behind_ns = now_ns;
    }
    return now_ns - node->behind_ns <
           place_ms((uint64_t)core->config.lease_ms * BEHIND_LEASES);
}

static void
node_update(struct place_node *node, const struct place_heartbeat *heartbeat,
            uint64_t now_ns)
{
    if (node->url == NULL || strcmp(node->url, heartbeat->url) != 0) {
        free(node->url);
        node->url = plex_strdup(heartbeat->url);
        if (node->owned > 0)
            node->pool->dirty = true;
    }
    node->seen_ns = now_ns;
    node->load = heartbeat->load;
    node->asked = heartbeat->draining;
    if (heartbeat->applied_version > node->applied)
        node->applied = heartbeat->applied_version;
}

void
place_core_heartbeat(struct place_core *core, void *call,
                     const struct place_heartbeat *heartbeat, uint64_t now_ns,
                     uint64_t wall_ms)
{
    const char *pool = heartbeat->pool[0] == '\0' ? "default" : heartbeat->pool;
    struct place_node *node = NULL;
    struct place_action *action;
    struct plex_err err;
    bool granted;

    if (leading(core, now_ns, &err) != PLEX_OK ||
        heartbeat_check(heartbeat, pool, &err) != PLEX_OK) {
        push_fail(core, call, &err);
        return;
    }
    nodes_expire(core, now_ns);
    if (node_take(core, heartbeat, pool, now_ns, &node, &err) != PLEX_OK) {
        push_fail(core, call, &err);
        settle(core, now_ns, wall_ms);
        return;
    }
    node_update(node, heartbeat, now_ns);
    granted =
        node_keeps_up(core, node, now_ns) && node->applied >= node->required;
    if (granted) {
        node->live = true;
        node->lease_end_ns = now_ns + place_ms(core->config.lease_ms);
    }
    place_node_applied(core, node);
    settle(core, now_ns, wall_ms);
    if (node->live && heartbeat->offer != NULL &&
        place_node_book(core, node, heartbeat->offer, &err) != PLEX_OK) {
        push_fail(core, call, &err);
        return;
    }
    action = place_push(core, PLACE_ACTION_HEARTBEAT, call);
    action->lease_ms = granted ? core->config.lease_ms : 0;
    action->hold = node->live && !node->holds && heartbeat->offer != NULL;
    snprintf(action->text, sizeof action->text, "%s", pool);
}

/* -- the other requests ---------------------------------------------------- */

void
place_core_leave(struct place_core *core, void *call, const char *node_id,
                 uint64_t incarnation, uint64_t now_ns, uint64_t wall_ms)
{
    struct place_node *node;
    struct plex_err err;

    if (leading(core, now_ns, &err) != PLEX_OK) {
        push_fail(core, call, &err);
        return;
    }
    nodes_expire(core, now_ns);
    node = node_id[0] == '\0' ? NULL : place_node_find(core, node_id);
    if (node != NULL && node->live && node->incarnation == incarnation) {
        place_note(core, "worker %s left with %u shards", node->node_id,
                   node->owned + node->leaving);
        node_end(core, node);
    }
    settle(core, now_ns, wall_ms);
    place_push(core, PLACE_ACTION_LEFT, call);
}

/* Nobody else could own what it owns. */
static bool
is_alone(const struct place_core *core, const struct place_node *node)
{
    for (uint32_t i = 0; i < core->config.workers_max; i++)
        if (&core->nodes[i] != node &&
            place_node_active(&core->nodes[i], node->pool))
            return false;
    return place_node_active(node, node->pool);
}

void
place_core_drain(struct place_core *core, void *call, const char *node_id,
                 bool force, uint64_t now_ns, uint64_t wall_ms)
{
    struct place_node *node;
    struct plex_err err;

    if (leading(core, now_ns, &err) != PLEX_OK) {
        push_fail(core, call, &err);
        return;
    }
    nodes_expire(core, now_ns);
    node = node_id[0] == '\0' ? NULL : place_node_find(core, node_id);
    if (node == NULL) {
        (void)plex_err_set(&err, PLEX_NOT_FOUND,
                           "no worker \"%.64s\" is known to placement",
                           node_id);
        push_fail(core, call, &err);
        settle(core, now_ns, wall_ms);
        return;
    }
    if (!force && is_alone(core, node)) {
        (void)plex_err_set(&err, PLEX_CONFLICT,
                           "worker \"%.64s\" is the only one of pool %s: its "
                           "%" PRIu32 " shards would have no owner, and calls "
                           "would be refused; start another one first, or "
                           "drain it by force",
                           node_id, node->pool->name, node->owned);
        push_fail(core, call, &err);
        settle(core, now_ns, wall_ms);
        return;
    }
    if (!node->drained) {
        place_note(core, "worker %s is drained of %u shards", node->node_id,
                   node->owned);
        node->drained = true;
        place_book_drain(core->book, node->node_id);
        node->pool->dirty = true;
    }
    settle(core, now_ns, wall_ms);
    place_push(core, PLACE_ACTION_DRAIN, call)->shards_left =
        node->owned + node->leaving;
}

void
place_core_watch(struct place_core *core, void *call, const char *pool_name,
                 uint64_t have_version, uint64_t timeout_ms, uint64_t now_ns)
{
    const char *name = pool_name[0] == '\0' ? "default" : pool_name;
    const uint64_t wait_ms =
        timeout_ms < WATCH_MS_MAX ? timeout_ms : WATCH_MS_MAX;
    struct place_watcher *watcher;
    struct place_table *table;
    struct plex_err err;

    if (leading(core, now_ns, &err) != PLEX_OK ||
        plex_name_plain("pool", name, strlen(name), &err) != PLEX_OK) {
        push_fail(core, call, &err);
        return;
    }
    table = place_core_table(core, name);
    if (table != NULL && table->version > have_version) {
        place_push(core, PLACE_ACTION_TABLE, call)->table =
            place_table_ref(table);
        return;
    }
    if (core->n_watchers == core->config.watchers_max) {
        (void)plex_err_set(&err, PLEX_LIMIT, "%u watchers wait already",
                           core->n_watchers);
        push_fail(core, call, &err);
        return;
    }
    watcher = plex_calloc(1, sizeof *watcher);
    watcher->call = call;
    watcher->pool = plex_strdup(name);
    watcher->have = have_version;
    watcher->deadline_ns = now_ns + place_ms(wait_ms);
    *core->watchers_tail = watcher;
    core->watchers_tail = &watcher->next;
    core->n_watchers++;
}

void
place_core_dismiss(struct place_core *core, const char *why)
{
    place_watchers_fail(core, why);
}

void
place_core_saved(struct place_core *core, const char *pool_name,
                 uint64_t version, enum plex_status status, uint64_t now_ns,
                 uint64_t wall_ms)
{
    struct place_pool *pool;
    struct plex_err err;

    if (leading(core, now_ns, &err) != PLEX_OK)
        return;
    pool = place_pool_find(core, pool_name);
    if (pool == NULL || pool->saving == NULL ||
        pool->saving->version != version)
        return;
    if (status != PLEX_OK) {
        place_core_resign(core, "a table could not be saved");
        return;
    }
    place_table_unref(pool->published);
    pool->published = pool->saving;
    pool->saving = NULL;
    place_watchers_answer(core, pool);
    place_pool_flush(core, pool, wall_ms);
}

void
place_core_tick(struct place_core *core, uint64_t now_ns, uint64_t wall_ms)
{
    struct plex_err err;

    if (leading(core, now_ns, &err) != PLEX_OK)
        return;
    nodes_expire(core, now_ns);
    place_book_expire(core->book, now_ns);
    settle(core, now_ns, wall_ms);
    place_watchers_expire(core, now_ns);
}

/* -- looking in ------------------------------------------------------------ */

static void
sooner(uint64_t *wake, uint64_t at)
{
    if (at < *wake)
        *wake = at;
}

uint64_t
place_core_wake(const struct place_core *core)
{
    const struct place_watcher *watcher;
    const struct place_pool *pool;
    uint64_t wake = UINT64_MAX;

    if (!core->leads)
        return wake;
    sooner(&wake, core->lead_until_ns);
    sooner(&wake, place_book_due(core->book));
    for (uint32_t i = 0; i < core->config.workers_max; i++) {
        const struct place_node *node = &core->nodes[i];

        if (node->live)
            sooner(&wake, node->lease_end_ns);
        else if (node->node_id[0] != '\0')
            sooner(&wake, node->seen_ns + place_ms(core->config.forget_ms));
    }
    for (pool = core->pools; pool != NULL; pool = pool->next) {
        if (pool->rebalance_ns != 0)
            sooner(&wake, pool->rebalance_ns);
        if (pool->quarantine_ns != 0)
            sooner(&wake, pool->quarantine_ns);
    }
    for (watcher = core->watchers; watcher != NULL; watcher = watcher->next)
        sooner(&wake, watcher->deadline_ns);
    return wake;
}

struct place_table *
place_core_table(const struct place_core *core, const char *pool_name)
{
    const struct place_pool *pool = place_pool_find(core, pool_name);

    return pool == NULL ? NULL : pool->published;
}

struct place_core_stats
place_core_stats(const struct place_core *core)
{
    struct place_core_stats stats = core->totals;
    const struct place_pool *pool;

    stats.pools = core->n_pools;
    stats.watchers = core->n_watchers;
    stats.reservations = place_book_count(core->book);
    for (uint32_t i = 0; i < core->config.workers_max; i++) {
        stats.workers_live += core->nodes[i].live;
        stats.workers_draining +=
            core->nodes[i].live &&
            (core->nodes[i].asked || core->nodes[i].drained);
    }
    for (pool = core->pools; pool != NULL; pool = pool->next)
        for (uint32_t i = 0; i < pool->n; i++)
            stats.shards_unowned += pool->shards[i].owner == PLACE_NOBODY;
    return stats;
}
