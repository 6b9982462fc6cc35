#ifndef SERVICES_TUPLESPACE_ENGINE_CORE_TYPES_H
#define SERVICES_TUPLESPACE_ENGINE_CORE_TYPES_H

/* What the core consists of. Only its own files see this. */

#include "services/tuplespace/engine/action.h"
#include "services/tuplespace/engine/index.h"

#include <stddef.h>
#include <sys/queue.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#define uthash_malloc(size) plex_calloc(1, size)
#define HASH_FUNCTION(key, len, hash) ((hash) = (unsigned)XXH3_64bits(key, len))
#include <uthash.h>

enum {
    REALM_KEY_MAX = 64 + 32 + 2,
    SPACE_KEY_MAX = REALM_KEY_MAX + TSPACE_NAME_MAX + 1,
    TICK_MAX = 4096, /* things that one tick ends */
};

#define container_of(ptr, type, member) \
    ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* -- time (core_due.c) ----------------------------------------------------- */

enum due_kind { DUE_ITEM, DUE_CLAIM, DUE_SUBSCRIPTION, DUE_WAITER, DUE_TX };
struct due {
    uint64_t at;
    uint32_t *place; /* the owner's: 1 + where this is in the heap */
    enum due_kind kind;
};
struct due_heap {
    struct due *dues;
    uint32_t n, room;
};
void due_add(struct due_heap *heap, uint64_t at, uint32_t *place,
             enum due_kind kind);
void due_remove(struct due_heap *heap, uint32_t *place); /* 0: nothing */

/* -- who and where --------------------------------------------------------- */

struct tenant {
    UT_hash_handle hh;
    char *name;
    uint64_t tuples, bytes;
    uint64_t remembered_bytes;
    uint32_t waiters;
    uint32_t realms;
    uint32_t spaces, requests, transactions, subscriptions;
    TAILQ_HEAD(, request) by_age; /* answers remembered */
};
/* A tenant's namespace. */
struct realm {
    UT_hash_handle hh;
    struct tenant *tenant;
    char *key; /* tenant and namespace, each with its NUL */
    const char *ns;
    uint32_t users; /* spaces, requests, claims, transactions, actions */
    uint32_t apart; /* spaces with a partition_field */
};
struct space {
    UT_hash_handle hh;
    struct realm *realm;
    char *key; /* tenant, namespace, name, each with its NUL */
    struct tspace_where where;
    struct shape **shapes; /* by number of fields; NULL where there is none */
    uint32_t n_shapes;     /* room in `shapes` */
    uint64_t tuples, bytes;
    uint32_t waiters;
    uint32_t outputs; /* actions that point here */
    bool configured;
    struct tspace_options options;
    TAILQ_HEAD(, subscription) watchers; /* of everything */
    uint32_t subscriptions;              /* all */
};

/* -- who holds a tuple ----------------------------------------------------- */

enum entry_kind { ENTRY_WRITTEN, ENTRY_TAKEN, ENTRY_READ };
/* One tuple that a transaction wrote, took or read. */
struct tx_entry {
    TAILQ_ENTRY(tx_entry) of_tx;
    LIST_ENTRY(tx_entry) of_shape; /* written and taken ones, and read ones */
    LIST_ENTRY(tx_entry) of_item;
    struct tx *tx;
    struct item *item; /* a reference */
    enum entry_kind kind;
};
struct hold {
    struct tx *writer;   /* not committed: seen by it only */
    struct tx *taker;    /* hidden */
    struct claim *claim; /* hidden */
    LIST_HEAD(, tx_entry) entries;
    uint32_t readers;
    TAILQ_ENTRY(hold) of_claim;
    struct item *item;
};
TAILQ_HEAD(tx_entries, tx_entry);
struct tx {
    UT_hash_handle hh;
    uint64_t id;
    struct realm *realm;
    struct tx_entries entries;
    uint32_t n_entries;
    TAILQ_HEAD(, waiter) waiters;
    uint32_t due_place;
    bool prepared;
    uint64_t visited; /* by the search for deadlocks of this number */
};
struct claim {
    UT_hash_handle hh;
    struct realm *realm;
    uint8_t *key; /* realm pointer, turn (big endian), owner */
    size_t key_len;
    uint64_t turn;
    struct plex_bytes owner;
    uint64_t expires_ms;
    uint32_t due_place;
    TAILQ_HEAD(, hold) holds;
    uint32_t n;
};

/* -- who listens ----------------------------------------------------------- */

struct listener {
    struct listener *next, *prev; /* in its group, by number */
    struct listener_group *group;
    struct shape *shape;
    struct tspace_template *template;
    uint64_t number;
};
struct waiter {
    struct listener listener;
    TAILQ_ENTRY(waiter) of_core;
    TAILQ_ENTRY(waiter) of_tx;
    UT_hash_handle hh; /* by call */
    void *call;
    struct tx *tx;
    struct request *request; /* to be completed; NULL: none */
    uint32_t due_place;
    bool take;
    uint64_t id, after;            /* as in the request */
    struct plex_bytes claim_owner; /* owned */
    uint64_t claim_turn, claim_ms;
};
struct event {
    TAILQ_ENTRY(event) next;
    uint64_t number, lost;
    enum tspace_event kind;
    struct item *item;
};
struct subscription {
    struct listener listener;
    UT_hash_handle hh; /* by id */
    TAILQ_ENTRY(subscription) of_space;
    uint64_t id;
    struct space *space;
    unsigned events;
    bool guaranteed;
    uint64_t expires_ms;
    struct plex_bytes target; /* owned */
    uint32_t expiry_place, redeliver_place;
    uint64_t next_number, acknowledged, lost;
    uint32_t redeliver_ms;
    uint32_t n_events;
    TAILQ_HEAD(event_list, event) waiting;
};

/* -- answers --------------------------------------------------------------- */

struct answer {
    struct tspace_answer pub;
    uint32_t refs;
    uint32_t room;
    struct item *items[];
};
enum outcome {
    OUTCOME_ANSWER,    /* of a request id */
    OUTCOME_COMMITTED, /* of a transaction */
    OUTCOME_ABORTED,
    OUTCOME_TIMED_OUT,
    OUTCOME_DEADLOCK,
    OUTCOME_CONFIRMED, /* of a claim */
    OUTCOME_RELEASED,
    OUTCOME_LAPSED,
};
/* What is known about something that ended: a request id ('r' and the id), a
 * transaction ('t' and its id), a claim ('c', turn and owner). */
enum { MEMORY_KEY_MAX = 1 + 8 + TSPACE_CLAIM_OWNER_MAX };
struct request {
    UT_hash_handle hh;
    TAILQ_ENTRY(request) by_age;
    TAILQ_ENTRY(request) of_tenant;
    struct realm *realm;
    uint64_t expires_ms;
    uint64_t bytes; /* of the tuples in the answer */
    uint64_t fingerprint;
    enum outcome outcome;
    bool stored;
    struct answer *answer; /* NULL: the first request waits */
    size_t key_len;
    uint8_t key[]; /* the realm's pointer, then what is stored */
};

struct output {
    uint8_t kind;   /* enum tspace_action_kind */
    uint8_t record; /* enum tspace_record */
    uint8_t status; /* enum plex_status */
    uint8_t event;  /* enum tspace_event */
    bool guaranteed;
    uint32_t key_len, body_len;
    struct space *space; /* or else the realm */
    struct realm *realm;
    struct item *item;
    struct answer *answer;
    uint8_t *owned; /* key, then body; the text of a refusal; the target */
    void *call;
    uint64_t number, lost, previous;
    uint64_t subscription_id;
};

struct tspace_core {
    struct tspace_config config;
    struct tspace_now now;
    struct tspace_stats stats;
    uint64_t next_id;
    uint64_t next_number; /* of listeners */
    uint64_t searches;    /* for deadlocks */
    struct tenant *tenants;
    uint32_t n_realms;
    struct realm *realms;
    struct space *spaces;
    struct space *last_space; /* found last */
    struct rows ids;          /* struct item *, linear hashing by id */
    uint32_t n_ids, n_id_buckets, id_mask;
    struct request *requests;
    uint64_t remembered_bytes;
    TAILQ_HEAD(request_list, request) by_age;
    struct tx *txs;
    struct claim *claims;
    struct waiter *waiting; /* by call */
    TAILQ_HEAD(, waiter) waiters;
    struct subscription *subscriptions;
    struct due_heap wall, mono;
    struct output *outputs;
    uint32_t n_outputs, first_output, outputs_room;
    uint32_t popped; /* the output given out last is not freed yet */
    struct tspace_notice notice;
    uint8_t key[8];
    struct answer *spare;
    bool postponed;          /* why the last search gave up */
    struct shape *building;  /* has an index to be built */
    struct restore *restore; /* core_restore.c */
    bool restoring;
};

#endif
