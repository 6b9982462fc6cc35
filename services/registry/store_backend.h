/* What a back end of the registry's store implements. For store*.c only. */
#ifndef SERVICES_REGISTRY_STORE_BACKEND_H
#define SERVICES_REGISTRY_STORE_BACKEND_H

#include "services/registry/store.h"

/* Every call is required and does what store.h says of its wrapper, which has
 * checked the arguments. */
struct reg_store_ops {
    const char *scheme; /* DSN up to the ':' */
    enum plex_status (*open)(struct reg_store **out, const char *dsn,
                             struct plex_err *err);
    void (*close)(struct reg_store *store);
    enum plex_status (*load)(struct reg_store *store, reg_store_fn each,
                             void *arg, uint64_t *revision,
                             struct plex_err *err);
    enum plex_status (*put)(struct reg_store *store,
                            const struct reg_store_app *app,
                            struct plex_err *err);
    /* `app` has no body. */
    enum plex_status (*remove)(struct reg_store *store,
                               const struct reg_store_app *app,
                               struct plex_err *err);
};

/* A back end's own struct begins with this. */
struct reg_store {
    const struct reg_store_ops *ops;
};

extern const struct reg_store_ops reg_store_mem;
extern const struct reg_store_ops reg_store_sqlite;
extern const struct reg_store_ops reg_store_pg;

#endif
