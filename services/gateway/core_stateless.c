/* Calls to stateless types: any worker of the pool may have one. */
#include "services/gateway/core_stateless.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

static bool
is_ready(const struct reg_catalog *catalog, const struct place_worker *worker)
{
    size_t n = 0;
    const struct reg_node *nodes =
        catalog == NULL ? NULL : reg_catalog_nodes(catalog, &n);

    for (size_t i = 0; i < n; i++)
        if (nodes[i].incarnation == worker->incarnation &&
            strcmp(nodes[i].node_id, worker->node_id) == 0)
            return nodes[i].status == REG_NODE_READY;
    return false;
}

static struct gate_spot *
spot_find(const struct gate_spots *spots, uint64_t incarnation)
{
    for (size_t i = 0; i < spots->n; i++)
        if (spots->at[i].worker->incarnation == incarnation)
            return &spots->at[i];
    return NULL;
}

void
gate_spots_set(struct gate_spots *spots, const struct reg_catalog *catalog,
               const struct place_table *table)
{
    const size_t n = table == NULL ? 0 : table->n_workers;
    struct gate_spot *at = plex_calloc(n + 1, sizeof *at);

    for (size_t i = 0; i < n; i++) {
        const struct place_worker *worker = &table->workers[i];
        const struct gate_spot *old = NULL;

        for (size_t o = 0; o < spots->n; o++)
            if (spots->at[o].incarnation == worker->incarnation)
                old = &spots->at[o];
        at[i] = (struct gate_spot){
            .worker = worker,
            .incarnation = worker->incarnation,
            .ready = !worker->draining && is_ready(catalog, worker),
            .flying = old == NULL ? 0 : old->flying,
        };
    }
    free(spots->at);
    spots->at = at;
    spots->n = n;
    spots->loads = plex_reallocarray(spots->loads, n + 1, sizeof *spots->loads);
}

void
gate_spots_fini(struct gate_spots *spots)
{
    free(spots->at);
    free(spots->loads);
}

static uint64_t
random_next(struct gate_spots *spots, const struct work_message *message)
{
    uint64_t value = ++spots->picks * UINT64_C(0x9e3779b97f4a7c15);

    for (size_t i = 0; i < message->id.len; i++)
        value = (value ^ message->id.data[i]) * UINT64_C(0x100000001b3);
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    return value ^ value >> 31;
}

const struct place_worker *
gate_spots_pick(struct gate_spots *spots, enum plex_spread route,
                const struct work_message *message, uint64_t refused)
{
    const uint64_t random = random_next(spots, message);
    bool other = false;
    size_t at;

    for (size_t i = 0; i < spots->n; i++)
        other = other ||
                (spots->at[i].ready && spots->at[i].incarnation != refused);
    for (size_t i = 0; i < spots->n; i++) {
        const struct gate_spot *spot = &spots->at[i];

        spots->loads[i] =
            !spot->ready || (other && spot->incarnation == refused)
                ? PLEX_SPREAD_NOT
                : spot->flying;
    }
    at = plex_spread_pick(route, spots->loads, spots->n, &spots->last, random);
    if (at == PLEX_SPREAD_NOBODY)
        return NULL;
    spots->at[at].flying++;
    return spots->at[at].worker;
}

const struct place_worker *
gate_spots_find(const struct gate_spots *spots, uint64_t incarnation)
{
    const struct gate_spot *spot = spot_find(spots, incarnation);

    return spot == NULL ? NULL : spot->worker;
}

void
gate_spots_leave(struct gate_spots *spots, uint64_t incarnation)
{
    struct gate_spot *spot = spot_find(spots, incarnation);

    if (spot != NULL && spot->flying > 0)
        spot->flying--;
}

bool
gate_spots_any(const struct gate_spots *spots)
{
    for (size_t i = 0; i < spots->n; i++)
        if (spots->at[i].ready)
            return true;
    return false;
}
