#include "services/placement/table.h"

#include "common/mem.h"
#include "common/name.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct place_table *
place_table_make(const char *pool, uint64_t version, unsigned shard_bits,
                 const struct place_worker *workers, size_t n_workers,
                 const struct place_range *ranges, size_t n_ranges)
{
    struct place_table *table = plex_calloc(1, sizeof *table);

    table->refs = 1;
    table->version = version;
    table->pool = plex_strdup(pool);
    table->shard_bits = shard_bits;
    table->n_workers = n_workers;
    table->workers = plex_calloc(n_workers + 1, sizeof *table->workers);
    for (size_t i = 0; i < n_workers; i++) {
        table->workers[i] = workers[i];
        table->workers[i].node_id = plex_strdup(workers[i].node_id);
        table->workers[i].url = plex_strdup(workers[i].url);
    }
    table->n_ranges = n_ranges;
    table->ranges = plex_calloc(n_ranges + 1, sizeof *table->ranges);
    if (n_ranges > 0)
        memcpy(table->ranges, ranges, n_ranges * sizeof *ranges);
    return table;
}

struct place_table *
place_table_ref(struct place_table *table)
{
    assert(table->refs > 0);
    table->refs++;
    return table;
}

void
place_table_unref(struct place_table *table)
{
    if (table == NULL)
        return;
    assert(table->refs > 0);
    if (--table->refs > 0)
        return;
    for (size_t i = 0; i < table->n_workers; i++) {
        free(table->workers[i].node_id);
        free(table->workers[i].url);
    }
    free(table->workers);
    free(table->ranges);
    free(table->pool);
    free(table);
}

const struct place_range *
place_table_find(const struct place_table *table, uint32_t shard)
{
    size_t low = 0, high = table->n_ranges;

    while (low < high) {
        const size_t mid = low + (high - low) / 2;

        if (shard > table->ranges[mid].last)
            low = mid + 1;
        else
            high = mid;
    }
    assert(low < table->n_ranges && shard >= table->ranges[low].first);
    return &table->ranges[low];
}

const struct place_worker *
place_table_owner(const struct place_table *table, uint32_t shard)
{
    const struct place_range *range = place_table_find(table, shard);

    return range->worker < 0 ? NULL : &table->workers[range->worker];
}

static enum plex_status
ranges_check(const struct place_table *table, struct plex_err *err)
{
    const uint32_t shards = 1U << table->shard_bits;
    uint32_t next = 0;

    for (size_t i = 0; i < table->n_ranges; i++) {
        const struct place_range *range = &table->ranges[i];

        if (range->first != next || range->last < range->first ||
            range->last >= shards)
            return plex_err_set(err, PLEX_INVALID,
                                "range %zu of the shard table is %u..%u, it "
                                "must begin at %u and end below %u",
                                i, range->first, range->last, next, shards);
        if (range->epoch == 0)
            return plex_err_set(err, PLEX_INVALID,
                                "range %zu of the shard table has epoch 0", i);
        if (range->worker < -1 ||
            (range->worker >= 0 && (size_t)range->worker >= table->n_workers))
            return plex_err_set(err, PLEX_INVALID,
                                "range %zu of the shard table names worker %d "
                                "of %zu",
                                i, range->worker, table->n_workers);
        next = range->last + 1;
    }
    if (next != shards)
        return plex_err_set(err, PLEX_INVALID,
                            "the shard table ends at shard %u of %u", next,
                            shards);
    return PLEX_OK;
}

enum plex_status
place_table_check(const struct place_table *table, struct plex_err *err)
{
    if (table->shard_bits > PLACE_SHARD_BITS_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "the shard table has %u shard bits, at most %d",
                            table->shard_bits, PLACE_SHARD_BITS_MAX);
    if (table->version == 0)
        return plex_err_set(err, PLEX_INVALID, "the shard table has version 0");
    for (size_t i = 0; i < table->n_workers; i++) {
        const struct place_worker *worker = &table->workers[i];

        if (plex_name_plain("node_id", worker->node_id, strlen(worker->node_id),
                            err) != PLEX_OK)
            return plex_err_wrap(err, "worker %zu of the shard table", i);
        if (worker->url[0] == '\0')
            return plex_err_set(err, PLEX_INVALID,
                                "worker %zu of the shard table has no url", i);
    }
    return ranges_check(table, err);
}
