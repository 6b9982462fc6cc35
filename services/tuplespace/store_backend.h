#ifndef SERVICES_TUPLESPACE_STORE_BACKEND_H
#define SERVICES_TUPLESPACE_STORE_BACKEND_H

#include "common/arena.h"
#include "services/tuplespace/engine/store.h"

/* One space, or what belongs to none ("") in a namespace. Lives as long as
 * the store. */
struct tspace_place {
    struct tspace_place *next; /* of its bucket */
    uint64_t hash;
    struct tspace_where where;
    uint64_t number; /* the back end's, 0: none yet */
};

/* What one record becomes. At most one change per record and commit. */
struct tspace_change {
    struct tspace_place *place;
    enum tspace_record record;
    bool remove; /* may be absent */
    struct plex_bytes key;
    struct plex_bytes body;
};

typedef enum plex_status (*tspace_load_fn)(
    void *arg, const struct tspace_where *where, enum tspace_record record,
    struct plex_bytes key, struct plex_bytes body, struct plex_err *err);

/* One back end. All calls but `finish` are required; engine/store.h says what
 * they do. */
struct tspace_store_ops {
    const char *scheme; /* "sqlite" */
    enum plex_status (*check)(const char *rest, struct plex_err *err);
    /* `shard` separates services that share a database. */
    enum plex_status (*open)(struct tspace_store **out, const char *rest,
                             uint32_t shard, uint64_t *epoch,
                             struct plex_err *err);
    void (*close)(struct tspace_store *store);
    /* Is the epoch still the newest? PLEX_FENCED, or PLEX_UNAVAILABLE when
     * nobody can tell. */
    enum plex_status (*verify)(struct tspace_store *store,
                               struct plex_err *err);
    bool shared; /* several services over one database, by shards */
    /* Wait for what the database says to the last verify or commit, which then
     * have only sent it. NULL: they have done it. */
    enum plex_status (*finish)(struct tspace_store *store,
                               struct plex_err *err);
    /* All of it or nothing, durably; PLEX_UNKNOWN: one of the two. */
    enum plex_status (*commit)(struct tspace_store *store,
                               const struct tspace_change *changes, size_t n,
                               struct plex_err *err);
    enum plex_status (*load)(struct tspace_store *store, tspace_load_fn each,
                             void *arg, struct plex_err *err);
};

struct tspace_batch;
/* First member of each implementation. */
struct tspace_store {
    const struct tspace_store_ops *ops;
    struct tspace_batch *batch;
    bool sent;      /* and not finished */
    bool verifying; /* it was a verify */
};

/* The place of these names, made when there is none. */
struct tspace_place *tspace_store_place(struct tspace_store *store,
                                        const struct tspace_where *where);

extern const struct tspace_store_ops tspace_store_mem;
extern const struct tspace_store_ops tspace_store_sqlite;
extern const struct tspace_store_ops tspace_store_pg;
extern const struct tspace_store_ops tspace_store_redis;

#endif
