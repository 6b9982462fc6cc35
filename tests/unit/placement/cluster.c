#include "tests/unit/placement/cluster.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static void
lead(struct cluster *c)
{
    place_core_lead(c->core, ++c->leader_epoch, UINT64_MAX, c->saved,
                    c->n_saved, c->now);
    cluster_pump(c);
}

void
cluster_open(struct cluster *c, unsigned shard_bits)
{
    memset(c, 0, sizeof *c);
    c->config = place_core_defaults;
    c->config.shard_bits = shard_bits;
    c->config.workers_max = 16;
    c->now = 1000000000U;
    c->wall = 1700000000000U;
    c->core = place_core_create(&c->config);
    lead(c);
}

void
cluster_close(struct cluster *c)
{
    for (size_t i = 0; i < c->n_held; i++)
        place_table_unref(c->held[i].table);
    place_core_free(c->core);
    for (size_t i = 0; i < c->n_saved; i++)
        place_table_unref(c->saved[i]);
}

void
cluster_restart(struct cluster *c)
{
    for (size_t i = 0; i < c->n_held; i++)
        place_table_unref(c->held[i].table);
    c->n_held = 0;
    place_core_free(c->core);
    c->core = place_core_create(&c->config);
    lead(c);
}

static enum plex_status
store_save(struct cluster *c, const struct place_action *action)
{
    size_t i;

    if (c->save_status != PLEX_OK)
        return c->save_status;
    if (action->leader_epoch != c->leader_epoch)
        return PLEX_FENCED;
    for (i = 0; i < c->n_saved; i++)
        if (strcmp(c->saved[i]->pool, action->table->pool) == 0)
            break;
    if ((i < c->n_saved ? c->saved[i]->version : 0) != action->expect_version)
        return PLEX_CONFLICT;
    assert(i < CLUSTER_POOLS);
    if (i == c->n_saved)
        c->n_saved++;
    else
        place_table_unref(c->saved[i]);
    c->saved[i] = place_table_ref(action->table);
    return PLEX_OK;
}

static void
save(struct cluster *c, const struct place_action *action)
{
    place_core_saved(c->core, action->table->pool, action->version,
                     store_save(c, action), c->now, c->wall);
}

void
cluster_pump(struct cluster *c)
{
    struct place_action action;

    while (place_core_next(c->core, &action)) {
        const uintptr_t call = (uintptr_t)action.call;

        if (action.kind == PLACE_ACTION_SAVE && c->hold_saves) {
            assert(c->n_held < CLUSTER_POOLS);
            c->held[c->n_held++] = action;
            continue;
        }
        if (action.kind == PLACE_ACTION_SAVE)
            save(c, &action);
        if (call != 0) {
            struct cluster_answer *answer = &c->answers[call - 1];

            assert(call <= CLUSTER_CALLS && answer->kind == 0);
            answer->kind = action.kind;
            answer->status = action.status;
            answer->lease_ms = action.lease_ms;
            answer->version = action.version;
            answer->shards_left = action.shards_left;
            answer->unchanged = action.table == NULL;
            snprintf(answer->text, sizeof answer->text, "%s", action.text);
        }
        place_table_unref(action.table);
    }
}

void
cluster_release(struct cluster *c, enum plex_status status)
{
    struct place_action held[CLUSTER_POOLS];
    const size_t n = c->n_held;

    memcpy(held, c->held, sizeof held);
    c->n_held = 0;
    for (size_t i = 0; i < n; i++) {
        if (status == PLEX_OK)
            save(c, &held[i]);
        else
            place_core_saved(c->core, held[i].table->pool, held[i].version,
                             status, c->now, c->wall);
        place_table_unref(held[i].table);
    }
    cluster_pump(c);
}

void
cluster_run(struct cluster *c, uint64_t ms)
{
    const uint64_t end = c->now + ms * 1000000U;

    for (int ticks = 0; place_core_wake(c->core) <= end; ticks++) {
        const uint64_t wake = place_core_wake(c->core);

        assert(ticks < 100000);
        if (wake > c->now) {
            c->wall += (wake - c->now) / 1000000U;
            c->now = wake;
        }
        place_core_tick(c->core, c->now, c->wall);
        cluster_pump(c);
    }
    c->wall += (end - c->now) / 1000000U;
    c->now = end;
}

static struct cluster_answer
answer_take(struct cluster *c)
{
    struct cluster_answer answer;

    cluster_pump(c);
    answer = c->answers[0];
    memset(&c->answers[0], 0, sizeof answer);
    return answer;
}

struct cluster_answer
cluster_beat_as(struct cluster *c, const struct place_heartbeat *heartbeat)
{
    place_core_heartbeat(c->core, (void *)1, heartbeat, c->now, c->wall);
    return answer_take(c);
}

struct cluster_answer
cluster_beat(struct cluster *c, const char *node_id, uint64_t incarnation,
             uint64_t applied)
{
    char url[100];
    const struct place_heartbeat heartbeat = {
        .node_id = node_id,
        .url = url,
        .incarnation = incarnation,
        .pool = "",
        .applied_version = applied,
    };

    snprintf(url, sizeof url, "inproc://%s", node_id);
    return cluster_beat_as(c, &heartbeat);
}

struct cluster_answer
cluster_leave(struct cluster *c, const char *node_id, uint64_t incarnation)
{
    place_core_leave(c->core, (void *)1, node_id, incarnation, c->now, c->wall);
    return answer_take(c);
}

struct cluster_answer
cluster_drain(struct cluster *c, const char *node_id)
{
    place_core_drain(c->core, (void *)1, node_id, true, c->now, c->wall);
    return answer_take(c);
}

void
cluster_live(struct cluster *c, uint64_t ms, const char *const *nodes)
{
    for (uint64_t at = 0; at < ms; at += 500) {
        for (size_t i = 0; nodes[i] != NULL; i++)
            (void)cluster_beat(c, nodes[i], 1, cluster_version(c));
        cluster_run(c, 500);
    }
}

uint64_t
cluster_version(const struct cluster *c)
{
    const struct place_table *table = place_core_table(c->core, "default");

    return table == NULL ? 0 : table->version;
}

unsigned
cluster_owned(const struct cluster *c, const char *node_id)
{
    const struct place_table *table = place_core_table(c->core, "default");
    unsigned owned = 0;

    for (uint32_t i = 0; table != NULL && i < 1U << table->shard_bits; i++) {
        const struct place_worker *worker = place_table_owner(table, i);

        owned += worker != NULL && strcmp(worker->node_id, node_id) == 0;
    }
    return owned;
}

unsigned
cluster_moving(const struct cluster *c)
{
    const struct place_table *table = place_core_table(c->core, "default");
    unsigned moving = 0;

    for (size_t i = 0; table != NULL && i < table->n_ranges; i++)
        if (table->ranges[i].moving)
            moving += table->ranges[i].last - table->ranges[i].first + 1;
    return moving;
}
