#ifndef TESTS_INTEGRATION_PLACEMENT_WORKER_H
#define TESTS_INTEGRATION_PLACEMENT_WORKER_H

#include "common/service.h"
#include "services/placement/client.h"
#include "services/registry/client.h"

#include <pthread.h>

/* A worker that does nothing but keep its lease and follow the table. */
struct worker {
    char node[32], url[128];
    struct plex_setting given[6];
    struct plex_instance *instance;
    const struct plex_host *host;
    struct reg_client *registry;
    struct place_watch *watch;
    struct plex_timer *timer;
    bool beating; /* a heartbeat is under way */
    bool leave;   /* say so at the end */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under the lock. */
    uint64_t lease_end;       /* plex_now() scale */
    uint64_t version, epoch0; /* of the newest table; epoch of shard 0 */
    unsigned shards;          /* ours by the newest table */
    enum plex_status drain_status;
    uint32_t shards_left;
    bool drained;
};

struct worker *worker_start(const char *node, const char *folder,
                            const char *registry_url);
void worker_stop(struct worker *worker); /* leaves */
void worker_kill(struct worker *worker); /* does not */
/* Up to 10 s until it owns that many shards, with a lease. */
bool worker_until_owns(struct worker *worker, unsigned shards);
/* DRAIN_NODE through the worker's link, until `left` or fewer are left. */
bool worker_drain(struct worker *worker, const char *node, unsigned left);

#endif
