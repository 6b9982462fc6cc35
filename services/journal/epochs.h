#ifndef SERVICES_JOURNAL_EPOCHS_H
#define SERVICES_JOURNAL_EPOCHS_H

#include "services/journal/client.h"

/*
 * The newest epoch of every shard. A flat array: 32 KiB for the 4096 shards of
 * a cluster, and a look-up on the way of each turn is one load. A shard that
 * was never fenced has epoch 0.
 */
enum { JOURNAL_SHARD_MAX = (1 << 20) - 1 };

struct journal_epochs {
    uint64_t *by_shard; /* NULL when n is 0 */
    uint32_t n;         /* shards beyond have epoch 0 */
};

void journal_epochs_fini(struct journal_epochs *epochs);
uint64_t journal_epochs_get(const struct journal_epochs *epochs,
                            uint32_t shard);
/* The newest epoch of any shard in first..last. */
uint64_t journal_epochs_max(const struct journal_epochs *epochs, uint32_t first,
                            uint32_t last);
/* Raise to at least range->epoch. True when anything changed. */
bool journal_epochs_raise(struct journal_epochs *epochs,
                          const struct journal_fence *range);
/* Deep copy over an empty `to`. */
void journal_epochs_copy(const struct journal_epochs *from,
                         struct journal_epochs *to);

#endif
