#ifndef SERVICES_WORKER_DIST_PRIVATE_H
#define SERVICES_WORKER_DIST_PRIVATE_H

#include "services/worker/dist.h"
#include "services/worker/dist_code.h"
#include "services/worker/node_queue.h"

/* The default one falls through switch labels in a way clang dislikes. */
#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

/* What dist.c (peers and sessions), dist_push.c (from executors), dist_send.c
 * and dist_group.c (who joined what) share. */

enum { DIST_ALL = WORK_DIST_PEERS_MAX, DIST_ACTOR, DIST_NOBODY };

/* One signal, packed; from an executor. */
struct dist_item {
    struct work_link link;
    struct dist_item *next; /* in a peer's queue */
    unsigned to;            /* slot, or one of DIST_... */
    bool is_start;          /* RT_SPAWN, of: */
    struct plex_from starter;
    uint32_t generation; /* of the slot when it was packed */
    size_t len;
    uint8_t data[];
};

/* What executors read of a peer. A slot keeps its name for ever. */
struct dist_slot {
    char node_id[65];
    _Atomic uint64_t node; /* 0: nobody */
    _Atomic uint32_t generation;
    _Atomic size_t bytes; /* packed and not answered yet */
};

/* A start that the peer has been asked for and has not answered: nobody but us
 * knows that it was lost with the session. */
struct dist_start {
    struct dist_start *next;
    struct plex_from starter;
};

struct dist_peer {
    struct work_dist *dist;
    unsigned slot;
    uint64_t node; /* 0: nobody */
    uint64_t last; /* node, or who was there before */
    char *url;
    bool listed;      /* the catalogue has had it */
    bool open;        /* batches may leave */
    uint64_t session; /* the latest; 0: none */
    uint64_t out_sequence, in_sequence;
    struct dist_item *out, **out_tail;
    unsigned flights;
    struct dist_start *starts;
    uint64_t attach; /* call, 0: none */
    struct plex_timer *retry;
};

/* Local members of groups, to tell those who come later. */
struct dist_join {
    UT_hash_handle hh;
    struct plex_ref ref;
    uint64_t count;
    char *tenant, *ns, *group;
    size_t key_len;
    char key[];
};

struct dist_held {
    struct dist_held *next;
    struct plex_call *call;
};

struct work_dist {
    struct work_dist_config config;
    uint64_t self; /* our incarnation */
    struct rt *rt;
    struct dist_slot slots[WORK_DIST_PEERS_MAX];
    _Atomic unsigned n_slots;
    struct dist_peer *peers[WORK_DIST_PEERS_MAX];
    struct work_queue queue;
    struct plex_task task;
    struct dist_join *joins;
    struct dist_held *held; /* attached to us */
    bool draining;
    struct plex_arena arena;
    struct plex_buf frame;
    _Atomic uint64_t refused;
    struct work_dist_stats stats;
};

/* dist.c */
/* What was under way is lost; `again`: and begin anew. */
void dist_break(struct dist_peer *peer, const char *why);

/* dist_send.c */
void dist_task(struct plex_task *task);
void dist_flush(struct dist_peer *peer);
/* Takes the item. */
void dist_queue(struct dist_peer *peer, struct dist_item *item);
void dist_forget(struct dist_peer *peer);
/* The starter hears that it was in vain. */
void dist_start_fail(struct work_dist *dist, const struct plex_from *starter);
/* An answer to one has come. */
void dist_started(struct dist_peer *peer, const struct rt_signal *signal);
/* The first batch of a session, or an empty one of it. */
void dist_greet(struct dist_peer *peer);
struct dist_item *dist_pack(const struct rt_signal *signal, uint64_t self);

/* dist_group.c */
void dist_join_note(struct work_dist *dist, const struct rt_signal *signal);
void dist_joins_send(struct dist_peer *peer);
void dist_joins_free(struct work_dist *dist);

#endif
