#ifndef SERVICES_PLACEMENT_CORE_PRIVATE_H
#define SERVICES_PLACEMENT_CORE_PRIVATE_H

#include "services/placement/core.h"

/* Shared by the files of the core: core.c (requests, leases), core_pool.c
 * (tables, saving, publishing) and core_plan.c (who gets what). */

enum { PLACE_NOBODY = -1 };

/* A worker as last heard; its index in core->nodes is its slot. */
struct place_node {
    char node_id[PLACE_NODE_ID_MAX + 1]; /* "": the slot is free */
    char *url;
    uint64_t incarnation;
    struct place_pool *pool;
    uint64_t lease_end_ns; /* while live */
    uint64_t seen_ns;
    uint64_t applied;  /* table version it has applied */
    uint64_t required; /* no lease before it has applied this */
    /* It has been asked to reach behind_version since behind_ns; 0: it has. */
    uint64_t behind_version, behind_ns;
    uint64_t load;
    bool live;
    bool asked;              /* it drains itself */
    bool drained;            /* an operator drained it */
    uint32_t owned, leaving; /* shards */
    uint32_t quota;          /* scratch of the planner */
    bool holds;              /* the book knows what runs there */
    uint64_t hold_sequence;
};

struct place_shard {
    uint64_t epoch;
    int32_t owner;            /* slot */
    int32_t leaving;          /* slot that must let go before anybody gets it */
    uint64_t release_version; /* the version that took it from `leaving` */
    bool quarantined;         /* an unknown owner may still hold it */
};

struct place_pool {
    struct place_pool *next; /* in order of creation */
    char *name;
    unsigned bits;
    uint32_t n;
    struct place_shard *shards;
    uint64_t version; /* newest emitted: saving's, else published's */
    struct place_table *published;
    struct place_table *saving;
    bool dirty;
    uint64_t rebalance_ns;  /* 0: nothing to do */
    uint64_t quarantine_ns; /* 0: no shard is quarantined */
};

struct place_watcher {
    struct place_watcher *next;
    void *call;
    char *pool;
    uint64_t have;
    uint64_t deadline_ns;
};

struct place_core {
    struct place_core_config config;
    bool leads;
    uint64_t leader_epoch;
    uint64_t lead_until_ns;
    struct place_node *nodes;   /* config.workers_max */
    struct place_node **active; /* scratch of the planner */
    struct place_pool *pools, **pools_tail;
    uint32_t n_pools;
    struct place_watcher *watchers, **watchers_tail;
    uint32_t n_watchers;
    struct place_action *actions; /* [head, tail) */
    size_t actions_head, actions_tail, actions_cap;
    struct place_core_stats totals; /* the counters only */
    struct place_book *book;        /* empty unless we lead */
};

static inline uint64_t
place_ms(uint64_t ms)
{
    return ms * 1000000U;
}

static inline bool
place_node_active(const struct place_node *node, const struct place_pool *pool)
{
    return node->live && !node->asked && !node->drained && node->pool == pool;
}

/* core.c */
struct place_action *place_push(struct place_core *core,
                                enum place_action_kind kind, void *call);
void place_note(struct place_core *core, const char *fmt, ...)
    PLEX_PRINTF(2, 3);
struct place_node *place_node_find(struct place_core *core,
                                   const char *node_id);
struct place_node *place_node_add(struct place_core *core, const char *node_id);

/* UNAVAILABLE unless we do. */
PLEX_MUST_USE enum plex_status place_leading(struct place_core *core,
                                             uint64_t now_ns,
                                             struct plex_err *err);

/* core_book.c */
struct place_book *place_book_new(const struct place_core_config *config);
PLEX_MUST_USE enum plex_status place_node_book(struct place_core *core,
                                               const struct place_node *node,
                                               const struct place_offer *offer,
                                               struct plex_err *err);

/* core_pool.c */
struct place_pool *place_pool_find(const struct place_core *core,
                                   const char *name);
/* NULL when there are pools_max. */
struct place_pool *place_pool_add(struct place_core *core, const char *name,
                                  unsigned bits);
void place_pool_load(struct place_core *core, struct place_table *table,
                     uint64_t now_ns);
void place_pools_free(struct place_core *core);
/* Emit a save when something changed and none is under way. */
void place_pool_flush(struct place_core *core, struct place_pool *pool,
                      uint64_t wall_ms);
void place_watchers_answer(struct place_core *core, struct place_pool *pool);
void place_watchers_expire(struct place_core *core, uint64_t now_ns);
void place_watchers_fail(struct place_core *core, const char *why);

/* core_plan.c */
/* The node lets go of everything, at once. */
void place_node_strip(struct place_core *core, struct place_node *node);
/* It has applied node->applied: shards it let go of are free. */
void place_node_applied(struct place_core *core, struct place_node *node);
void place_pool_plan(struct place_core *core, struct place_pool *pool,
                     uint64_t now_ns, uint64_t wall_ms);

#endif
