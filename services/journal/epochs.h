#ifndef SERVICES_JOURNAL_EPOCHS_H
#define SERVICES_JOURNAL_EPOCHS_H

#include "services/journal/client.h"

/*
 * The newest epoch of every shard, as sorted runs of equal epochs: a cluster
 * of 3 workers has a handful, never more than there are shards. A shard that
 * was never fenced has epoch 0.
 */
enum { JOURNAL_SHARD_MAX = (1 << 20) - 1 };

struct journal_epochs {
    struct journal_fence *runs; /* sorted, disjoint, epoch > 0 */
    size_t n, cap;
};

void journal_epochs_fini(struct journal_epochs *epochs);
uint64_t journal_epochs_get(const struct journal_epochs *epochs,
                            uint32_t shard);
/* The newest epoch of any shard in first..last. */
uint64_t journal_epochs_max(const struct journal_epochs *epochs,
                            uint32_t first, uint32_t last);
/* Raise to at least range->epoch. True when anything changed. */
bool journal_epochs_raise(struct journal_epochs *epochs,
                          const struct journal_fence *range);

#endif
