#ifndef TESTS_UNIT_PLACEMENT_CLUSTER_H
#define TESTS_UNIT_PLACEMENT_CLUSTER_H

#include "services/placement/core.h"

/* A core with a fake clock and a fake store that holds what was saved. */
enum { CLUSTER_POOLS = 4, CLUSTER_CALLS = 64 };

struct cluster_answer {
    enum place_action_kind kind; /* 0: none yet */
    enum plex_status status;
    uint64_t lease_ms;
    uint64_t version;
    uint32_t shards_left;
    bool unchanged;
    char text[PLACE_NOTE_MAX];
};
struct cluster {
    struct place_core *core;
    struct place_core_config config;
    uint64_t now, wall; /* ns, ms */
    struct place_table *saved[CLUSTER_POOLS];
    size_t n_saved;
    bool hold_saves; /* saves wait in `held` */
    struct place_action held[CLUSTER_POOLS];
    size_t n_held;
    enum plex_status save_status;
    struct cluster_answer answers[CLUSTER_CALLS]; /* by call - 1 */
    uint64_t leader_epoch;
};

void cluster_open(struct cluster *c, unsigned shard_bits);
void cluster_close(struct cluster *c);
/* Kill placement and start it anew from what was saved. */
void cluster_restart(struct cluster *c);
void cluster_pump(struct cluster *c);
/* Let the held saves reach the store, or lose them. */
void cluster_release(struct cluster *c, enum plex_status status);
/* Time passes; ticks happen when the core asks for them. */
void cluster_run(struct cluster *c, uint64_t ms);
/* Each returns the answer to the call it makes. */
struct cluster_answer cluster_beat(struct cluster *c, const char *node_id,
                                   uint64_t incarnation, uint64_t applied);
struct cluster_answer cluster_beat_as(struct cluster *c,
                                      const struct place_heartbeat *heartbeat);
struct cluster_answer cluster_leave(struct cluster *c, const char *node_id,
                                    uint64_t incarnation);
struct cluster_answer cluster_drain(struct cluster *c, const char *node_id);
/* Every worker named renews twice a second for `ms`, always up to date. */
void cluster_live(struct cluster *c, uint64_t ms, const char *const *nodes);
uint64_t cluster_version(const struct cluster *c);
unsigned cluster_owned(const struct cluster *c, const char *node_id);
unsigned cluster_moving(const struct cluster *c);

#endif
