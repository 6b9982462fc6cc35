#ifndef SERVICES_WORKER_CORE_STATS_H
#define SERVICES_WORKER_CORE_STATS_H

#include <stddef.h>
#include <stdint.h>

/* What a worker's core counts. */
struct work_core_stats {
    size_t activations; /* in memory, loading or active */
    size_t messages;    /* waiting, running or not released */
    uint64_t bytes;
    size_t appends;         /* batches in flight */
    size_t pendings;        /* timers, delayed casts, messages under way */
    uint32_t shards;        /* served */
    uint32_t shards_taking; /* owned, being taken over */
    uint64_t turns_total;
    uint64_t replays_total; /* answered from the record */
    uint64_t fenced_total;  /* entries refused by a newer epoch */
    uint64_t dropped_total; /* activations thrown away to be rebuilt */
    uint64_t activated_total;
    uint64_t passivated_total;
    uint64_t evicted_total; /* of those, to make room */
    uint64_t corrupt_total; /* pendings that did not decode */
};

#endif
