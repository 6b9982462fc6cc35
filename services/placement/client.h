#ifndef SERVICES_PLACEMENT_CLIENT_H
#define SERVICES_PLACEMENT_CLIENT_H

#include "common/link.h"

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
};
/* `sent` is plex_now() when it was sent: the lease runs from there. */
typedef void (*place_heartbeat_fn)(void *arg, enum plex_status status,
                                   const char *text, uint64_t sent,
                                   uint64_t lease_ms, uint64_t version);
void place_client_heartbeat(struct plex_link *link, const char *url,
                            const struct place_heartbeat *heartbeat,
                            uint64_t timeout_ms, place_heartbeat_fn done,
                            void *arg);
void place_client_leave(struct plex_link *link, const char *url,
                        const char *node_id, uint64_t incarnation,
                        void (*done)(void *arg, enum plex_status status),
                        void *arg);

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
