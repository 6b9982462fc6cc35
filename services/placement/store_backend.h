/* What a back end of the placement store implements. For store*.c only. */
#ifndef SERVICES_PLACEMENT_STORE_BACKEND_H
#define SERVICES_PLACEMENT_STORE_BACKEND_H

#include "services/placement/store.h"

/* Every call is required and does what store.h says of its wrapper, which has
 * checked the arguments. */
struct place_store_ops {
    const char *scheme; /* DSN up to the ':' */
    enum plex_status (*open)(struct place_store **out, const char *dsn,
                             struct plex_err *err);
    void (*close)(struct place_store *store);
    enum plex_status (*lead)(struct place_store *store, const char *holder,
                             uint64_t now_ms, uint64_t ttl_ms, uint64_t *epoch,
                             struct plex_err *err);
    enum plex_status (*renew)(struct place_store *store, uint64_t epoch,
                              uint64_t now_ms, uint64_t ttl_ms,
                              struct plex_err *err);
    enum plex_status (*load)(struct place_store *store, place_table_fn each,
                             void *arg, struct plex_err *err);
    enum plex_status (*save)(struct place_store *store,
                             const struct place_save *save,
                             struct plex_err *err);
};

/* A back end's own struct begins with this. */
struct place_store {
    const struct place_store_ops *ops;
};

extern const struct place_store_ops place_store_mem;
extern const struct place_store_ops place_store_sqlite;
extern const struct place_store_ops place_store_pg;

#endif
