#ifndef SERVICES_PLACEMENT_CLIENT_H
#define SERVICES_PLACEMENT_CLIENT_H

#include "common/arena.h"
#include "common/link.h"
#include "services/placement/select.h"

/*
 * What others may know of plex-placement: the shard table and the worker's
 * lease. Field meanings: proto/internal/.../placement.proto.
 */
enum { PLACE_SHARD_BITS = 12, PLACE_SHARD_BITS_MAX = 20 };

struct place_worker {
    char *node_id;
    char *url;
    uint64_t incarnation;
    bool draining; /* an operator drained this life of the node */
};
struct place_range {
    uint32_t first, last; /* inclusive */
    uint64_t epoch;
    int32_t worker; /* index into workers; -1: nobody for now */
    bool moving;    /* worker is -1 and its last owner may still serve it */
};
/* Owned, immutable once published, counted. */
struct place_table {
    unsigned refs;
    uint64_t version;
    char *pool;
    unsigned shard_bits;
    struct place_worker *workers;
    size_t n_workers;
    struct place_range *ranges; /* cover all shards, ascending */
    size_t n_ranges;
};

struct place_table *place_table_ref(struct place_table *table);
void place_table_unref(struct place_table *table); /* accepts NULL */
/* The range that holds `shard`: never NULL for a shard below 1 << shard_bits.
 */
const struct place_range *place_table_find(const struct place_table *table,
                                           uint32_t shard);
/* The owner's entry, or NULL when the shard has none now. */
const struct place_worker *place_table_owner(const struct place_table *table,
                                             uint32_t shard);

/* -- over a link ------------------------------------------------------------
 */

struct place_heartbeat {
    const char *node_id;
    const char *url;
    uint64_t incarnation;
    const char *pool;
    uint64_t applied_version;
    uint64_t load;
    bool draining;
    const struct place_offer *offer; /* NULL: nothing can be reserved there */
};
/* What processes may reserve on a worker. */
struct place_offer {
    struct place_amounts amounts;
    const struct place_label *labels; /* at most PLACE_LABELS_MAX */
    size_t n_labels;
};
struct place_lease {
    uint64_t sent; /* plex_now() when it was asked for: it runs from there */
    uint64_t lease_ms;
    uint64_t version;
    bool hold; /* say what is held (place_client_hold(), full) */
};
typedef void (*place_heartbeat_fn)(void *arg, enum plex_status status,
                                   const char *text,
                                   const struct place_lease *lease);
void place_client_heartbeat(struct plex_link *link, const char *url,
                            const struct place_heartbeat *heartbeat,
                            uint64_t timeout_ms, place_heartbeat_fn done,
                            void *arg);
void place_client_leave(struct plex_link *link, const char *url,
                        const char *node_id, uint64_t incarnation,
                        void (*done)(void *arg, enum plex_status status),
                        void *arg);

/* -- reservations (docs/placement.md) --------------------------------------
 */

enum {
    PLACE_LABELS_MAX = 16,      /* of a worker, of a process */
    PLACE_LABEL_BYTES_MAX = 63, /* of a key, of a value */
    PLACE_NODES_MAX = 64,       /* preferred, avoided, unreachable */
    PLACE_HELD_MAX = 4096,      /* reservations on one worker */
    PLACE_TTL_MAX_MS = 60000,
};
struct place_reserve {
    const char *request_id, *tenant, *ns, *actor;
    struct plex_bytes placement; /* application.v1 Placement */
    const char *node_id;         /* who asks */
    uint64_t ttl_ms;
    const char *const *unreachable;
    size_t n_unreachable;
    /* There is one of this actor at a time: it gives up what it had. */
    bool alone;
};
struct place_reserved {
    const char *node_id;
    uint64_t incarnation;
    struct plex_bytes held; /* for that worker, as it is, to place_hold */
};
/* `got` is borrowed for the call, NULL unless PLEX_OK. */
typedef void (*place_reserve_fn)(void *arg, enum plex_status status,
                                 const char *text,
                                 const struct place_reserved *got);
void place_client_reserve(struct plex_link *link, const char *url,
                          const struct place_reserve *reserve,
                          uint64_t timeout_ms, place_reserve_fn done,
                          void *arg);
/* Nobody waits for the outcome: what is not released runs out. */
void place_client_release(struct plex_link *link, const char *url,
                          const char *request_id);
struct place_hold {
    const char *node_id;
    uint64_t incarnation;
    uint64_t sequence; /* of the one before plus 1 */
    bool full;         /* begins anew */
    const struct plex_bytes *held;
    size_t n_held;
    const char *const *ended; /* request ids */
    size_t n_ended;
};
/* `again`: it takes a full one. */
typedef void (*place_hold_fn)(void *arg, enum plex_status status, bool again);
void place_client_hold(struct plex_link *link, const char *url,
                       const struct place_hold *hold, place_hold_fn done,
                       void *arg);
/* What such a `held` reserves; nothing if it is none. And one that a worker
 * makes itself, for what nobody asked placement about. */
struct place_amounts place_client_held_amounts(struct plex_bytes held);
PLEX_MUST_USE enum plex_status place_client_held_make(
    const char *request_id, const struct place_amounts *amounts,
    struct plex_buf *out, struct plex_err *err);
/* Placement from JSON, as a manifest has it; packed, in the arena. */
PLEX_MUST_USE enum plex_status place_client_need_json(const char *json,
                                                      struct plex_arena *arena,
                                                      struct plex_bytes *out,
                                                      struct plex_err *err);
/* May a packed application.v1 Placement be asked for? INVALID says why not. */
PLEX_MUST_USE enum plex_status place_client_need_check(
    struct plex_bytes placement, struct plex_err *err);

/* -- the table -------------------------------------------------------------
 */

/* Keeps the newest table: long-polls placement for ever, from the start, and
 * calls changed() with a borrowed table for each new version. `url` is asked
 * for before each poll (NULL while placement is not known: tried again in
 * 100 ms). */
struct place_watch;
struct place_watch *place_watch_start(
    struct plex_link *link, struct plex_loop *loop, const char *pool,
    const char *(*url)(void *arg),
    void (*changed)(void *arg, struct place_table *table), void *arg);
/* Somebody said that a newer version exists: poll at once. */
void place_watch_hint(struct place_watch *watch, uint64_t version);
/* The newest table, borrowed, NULL before the first. */
struct place_table *place_watch_table(const struct place_watch *watch);
void place_watch_stop(struct place_watch *watch); /* accepts NULL */

#endif
