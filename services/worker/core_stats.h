#ifndef SERVICES_WORKER_CORE_STATS_H
#define SERVICES_WORKER_CORE_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WORK_AHEAD_MAX = 31 };
/* What a worker's core is told at first, what it counts, and by what its
 * actors are listed. */
struct work_core_config {
    const char *node_id;
    uint64_t incarnation;
    uint64_t hash_seed;       /* random in a daemon */
    uint32_t activations_max; /* actors in memory; idle ones make room */
    uint32_t messages_max;    /* waiting, running or not released, in all */
    uint64_t bytes_max;       /* of those messages and their turns */
    uint32_t unreleased_max;  /* turns of one actor that run ahead of disk */
    uint32_t recent_max;      /* recorded answers kept per activation */
    uint32_t appends_max;     /* append batches in flight */
    uint32_t loading_max;     /* actors being loaded; then timers wait, so that
                                 not all whose time has come are at once */
    uint32_t window_pends;    /* stored timers in memory; about twice as many
                                 when they are due at once */
    uint32_t ahead_max;       /* messages that go along with a RUN; at most
                                 WORK_AHEAD_MAX */
    /* Only for the proof that the simulator's checkers bite. */
    bool unsafe_no_dedup;
    bool unsafe_reply_before_commit;
    bool unsafe_timer_early;  /* by up to 50 ms */
    bool unsafe_timer_edge;   /* what leaves memory is not looked for */
    bool unsafe_timer_unseen; /* what is not in memory is not cancelled */
};
extern const struct work_core_config work_core_defaults;

struct work_core_stats {
    size_t activations; /* in memory, loading or active */
    size_t messages;    /* waiting, running or not released */
    uint64_t bytes;
    size_t appends;         /* batches in flight */
    size_t pendings;        /* timers, delayed casts, messages under way: those
                               in memory */
    uint32_t shards;        /* served */
    uint32_t shards_taking; /* owned, being taken over */
    uint64_t turns_total;
    uint64_t replays_total; /* answered from the record */
    uint64_t fenced_total;  /* entries refused by a newer epoch */
    uint64_t dropped_total; /* activations thrown away to be rebuilt */
    uint64_t activated_total;
    uint64_t passivated_total;
    uint64_t evicted_total;   /* of those, to make room */
    uint64_t corrupt_total;   /* pendings that did not decode */
    uint64_t lost_total;      /* activations of which the journal has less than
                                 it had confirmed */
    char lost[320];           /* the last of these, in words */
    size_t stateless;         /* activations of stateless types */
    size_t stateless_waiting; /* messages in their mailboxes */
    uint64_t reserved_cpu_millis, reserved_memory_bytes; /* by activations */
};

struct work_core_filter {
    const char *tenant;
    const char *ns;    /* "" for all */
    const char *type;  /* "" for all */
    const char *after; /* actor id, "" from the start */
};
struct work_core_runs {
    size_t open, waiting, parked, unexplained;
};

#endif
