#include "services/journal/epochs.h"

#include "common/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void
journal_epochs_fini(struct journal_epochs *epochs)
{
    free(epochs->by_shard);
    *epochs = (struct journal_epochs){0};
}

uint64_t
journal_epochs_get(const struct journal_epochs *epochs, uint32_t shard)
{
    return shard < epochs->n ? epochs->by_shard[shard] : 0;
}

uint64_t
journal_epochs_max(const struct journal_epochs *epochs, uint32_t first,
                   uint32_t last)
{
    uint64_t max = 0;

    for (uint32_t s = first; s <= last && s < epochs->n; s++)
        if (epochs->by_shard[s] > max)
            max = epochs->by_shard[s];
    return max;
}

/* Doubling from 4096 keeps the array as long as the cluster's shard count. */
static void
epochs_grow(struct journal_epochs *epochs, uint32_t last)
{
    uint32_t n = epochs->n ? epochs->n : 4096;

    while (n <= last)
        n *= 2;
    if (n == epochs->n)
        return;
    epochs->by_shard = plex_reallocarray(epochs->by_shard, n, sizeof(uint64_t));
    memset(epochs->by_shard + epochs->n, 0, (n - epochs->n) * sizeof(uint64_t));
    epochs->n = n;
}

bool
journal_epochs_raise(struct journal_epochs *epochs,
                     const struct journal_fence *range)
{
    bool changed = false;

    assert(range->first <= range->last && range->last <= JOURNAL_SHARD_MAX);
    epochs_grow(epochs, range->last);
    for (uint32_t s = range->first; s <= range->last; s++) {
        if (epochs->by_shard[s] >= range->epoch)
            continue;
        epochs->by_shard[s] = range->epoch;
        changed = true;
    }
    return changed;
}

void
journal_epochs_copy(const struct journal_epochs *from,
                    struct journal_epochs *to)
{
    assert(to->by_shard == NULL);
    if (from->n == 0)
        return;
    to->by_shard = plex_calloc(from->n, sizeof(uint64_t));
    memcpy(to->by_shard, from->by_shard, from->n * sizeof(uint64_t));
    to->n = from->n;
}
