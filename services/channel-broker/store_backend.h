#ifndef SERVICES_CHANNEL_BROKER_STORE_BACKEND_H
#define SERVICES_CHANNEL_BROKER_STORE_BACKEND_H

#include "services/channel-broker/store.h"

/* One back end. All calls are required; store.h says what they do. `begin` is
 * called once before the first apply of a transaction. */
struct broker_store_ops {
    const char *scheme; /* "sqlite" */
    enum plex_status (*open)(struct broker_store **out, const char *rest,
                             struct plex_err *err);
    void (*close)(struct broker_store *store);
    enum plex_status (*begin)(struct broker_store *store, struct plex_err *err);
    enum plex_status (*apply)(struct broker_store *store,
                              const struct broker_action *action,
                              struct plex_err *err);
    enum plex_status (*commit)(struct broker_store *store,
                               struct plex_err *err);
    void (*rollback)(struct broker_store *store);
    enum plex_status (*load)(struct broker_store *store,
                             struct broker_core *core, struct plex_err *err);
};
/* First member of each implementation. */
struct broker_store {
    const struct broker_store_ops *ops;
    bool in_transaction;
};

extern const struct broker_store_ops broker_store_mem;
extern const struct broker_store_ops broker_store_sqlite;

#endif
