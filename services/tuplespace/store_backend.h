#ifndef SERVICES_TUPLESPACE_STORE_BACKEND_H
#define SERVICES_TUPLESPACE_STORE_BACKEND_H

#include "services/tuplespace/store.h"

/* One back end. All calls are required; store.h says what they do. `begin` is
 * called once before the first apply of a transaction. */
struct tspace_store_ops {
    const char *scheme; /* "sqlite" */
    enum plex_status (*open)(struct tspace_store **out, const char *rest,
                             struct plex_err *err);
    void (*close)(struct tspace_store *store);
    enum plex_status (*begin)(struct tspace_store *store, struct plex_err *err);
    enum plex_status (*apply)(struct tspace_store *store,
                              const struct tspace_action *action,
                              struct plex_err *err);
    enum plex_status (*commit)(struct tspace_store *store,
                               struct plex_err *err);
    void (*rollback)(struct tspace_store *store);
    enum plex_status (*load)(struct tspace_store *store,
                             struct tspace_core *core, struct plex_err *err);
};
/* First member of each implementation. */
struct tspace_store {
    const struct tspace_store_ops *ops;
    bool in_transaction;
};

extern const struct tspace_store_ops tspace_store_mem;
extern const struct tspace_store_ops tspace_store_sqlite;

#endif
