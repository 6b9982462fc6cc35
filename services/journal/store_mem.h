#ifndef SERVICES_JOURNAL_STORE_MEM_H
#define SERVICES_JOURNAL_STORE_MEM_H

#include "services/journal/policy.h"
#include "services/journal/store_backend.h"

#include <sys/queue.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#define HASH_FUNCTION(key, len, hash) (hash) = (unsigned)XXH3_64bits(key, len)
#include <uthash.h>

/* The reference: small and obviously right rather than fast. */

struct mem_turn {
    UT_hash_handle hh; /* by id: length and message id, then actor name */
    TAILQ_ENTRY(mem_turn) link;    /* of the actor */
    TAILQ_ENTRY(mem_turn) written; /* of the store */
    struct mem_actor *actor;
    bool remembered;        /* is in the hash */
    size_t id_len;          /* of the hash key */
    struct journal_row row; /* reply, record and state are owned */
    uint64_t state_seq;     /* newest turn up to this with a state */
    uint64_t keep_ms, keep_turns;
    uint8_t chain[JOURNAL_CHAIN_BYTES];
    uint8_t id[];
};
TAILQ_HEAD(mem_turns, mem_turn);

struct mem_pending {
    UT_hash_handle hh; /* by pending.id, within the actor */
    struct mem_actor *actor;
    uint64_t row;
    uint32_t shard;
    struct journal_pending pending; /* owned */
};

enum { MEM_SNAPSHOTS = 2 };
struct mem_snapshot {
    uint64_t seq; /* 0: none */
    uint32_t schema_version;
    struct plex_bytes state; /* owned */
};

struct mem_actor {
    UT_hash_handle hh; /* by name */
    uint64_t last_seq, state_seq;
    uint64_t failed_commit; /* the commit that failed an entry of it */
    struct mem_snapshot snapshots[MEM_SNAPSHOTS]; /* newest first */
    struct mem_pending *pendings;
    struct mem_turns turns; /* oldest first, without gaps */
    uint64_t anchor_seq;    /* newest turn that was removed */
    uint8_t anchor[JOURNAL_CHAIN_BYTES];
    uint8_t chain[JOURNAL_CHAIN_BYTES]; /* of last_seq */
    size_t name_len;
    char name[];
};

struct mem_store {
    struct journal_store base;
    struct journal_policy policy;
    struct journal_epochs epochs;
    struct mem_actor *actors;
    struct mem_turn *ids;
    struct mem_turns written; /* in the order they were */
    uint64_t commits, rows, bytes;
};

/* NULL when it is not there. */
struct mem_actor *journal_mem_actor(struct mem_store *store,
                                    const struct plex_actor_id *id);
struct mem_turn *journal_mem_turn(const struct mem_actor *actor, uint64_t seq);

/* NULL when no turn is remembered under that id. */
struct mem_turn *journal_mem_remembered(struct mem_store *store,
                                        const struct mem_actor *actor,
                                        struct plex_bytes id);

/* -- store_mem_history.c */
enum plex_status journal_mem_answers(struct journal_answering *answering,
                                     struct plex_err *err);
extern const struct journal_history_ops journal_mem_history;

#endif
