#include "services/channel-broker/store.h"

#include "services/channel-broker/store_backend.h"

#include "common/dsn.h"

#include <assert.h>

static const struct broker_store_ops *const backends[] = {
    &broker_store_mem,
    &broker_store_sqlite,
};

static const struct broker_store_ops *
backend_find(const char *dsn, const char **rest, struct plex_err *err)
{
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++) {
        *rest = plex_dsn_rest(dsn, backends[i]->scheme);
        if (*rest != NULL)
            return backends[i];
    }
    (void)plex_dsn_unknown(dsn, "mem: or sqlite:FILE", err);
    return NULL;
}

enum plex_status
broker_store_check(const char *dsn, struct plex_err *err)
{
    const char *rest;
    const struct broker_store_ops *ops = backend_find(dsn, &rest, err);

    if (ops == NULL)
        return err->status;
    if (ops == &broker_store_sqlite && rest[0] == '\0')
        return plex_err_set(err, PLEX_INVALID,
                            "store \"%s\" names no file; \"sqlite:FILE\" does",
                            dsn);
    return PLEX_OK;
}

enum plex_status
broker_store_open(struct broker_store **out, const char *dsn,
                  struct plex_err *err)
{
    const struct broker_store_ops *ops;
    const char *rest;

    if (broker_store_check(dsn, err) != PLEX_OK)
        return err->status;
    ops = backend_find(dsn, &rest, err);
    if (ops->open(out, rest, err) != PLEX_OK)
        return plex_err_wrap(err, "channel store \"%s\"", dsn);
    (*out)->ops = ops;
    return PLEX_OK;
}

void
broker_store_close(struct broker_store *store)
{
    if (store == NULL)
        return;
    broker_store_rollback(store);
    store->ops->close(store);
}

enum plex_status
broker_store_apply(struct broker_store *store,
                   const struct broker_action *action, struct plex_err *err)
{
    assert(action->kind != BROKER_REPLY);
    if (!store->in_transaction) {
        if (store->ops->begin(store, err) != PLEX_OK)
            return plex_err_wrap(err, "could not begin a transaction");
        store->in_transaction = true;
    }
    return store->ops->apply(store, action, err);
}

enum plex_status
broker_store_commit(struct broker_store *store, struct plex_err *err)
{
    if (!store->in_transaction)
        return PLEX_OK;
    if (store->ops->commit(store, err) != PLEX_OK) {
        broker_store_rollback(store);
        return plex_err_wrap(err, "could not commit");
    }
    store->in_transaction = false;
    return PLEX_OK;
}

void
broker_store_rollback(struct broker_store *store)
{
    if (store->in_transaction)
        store->ops->rollback(store);
    store->in_transaction = false;
}

enum plex_status
broker_store_load(struct broker_store *store, struct broker_core *core,
                  struct plex_err *err)
{
    return store->ops->load(store, core, err);
}
