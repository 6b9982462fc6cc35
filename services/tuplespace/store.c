#include "services/tuplespace/store.h"

#include "services/tuplespace/store_backend.h"

#include "common/dsn.h"

#include <assert.h>

static const struct tspace_store_ops *const backends[] = {
    &tspace_store_mem,
    &tspace_store_sqlite,
};

static const struct tspace_store_ops *
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
tspace_store_check(const char *dsn, struct plex_err *err)
{
    const char *rest;
    const struct tspace_store_ops *ops = backend_find(dsn, &rest, err);

    if (ops == NULL)
        return err->status;
    if (ops == &tspace_store_sqlite && rest[0] == '\0')
        return plex_err_set(err, PLEX_INVALID,
                            "store \"%s\" names no file; \"sqlite:FILE\" does",
                            dsn);
    return PLEX_OK;
}

enum plex_status
tspace_store_open(struct tspace_store **out, const char *dsn,
                  struct plex_err *err)
{
    const struct tspace_store_ops *ops;
    const char *rest;

    if (tspace_store_check(dsn, err) != PLEX_OK)
        return err->status;
    ops = backend_find(dsn, &rest, err);
    if (ops->open(out, rest, err) != PLEX_OK)
        return plex_err_wrap(err, "tuple space store \"%s\"", dsn);
    (*out)->ops = ops;
    return PLEX_OK;
}

void
tspace_store_close(struct tspace_store *store)
{
    if (store == NULL)
        return;
    tspace_store_rollback(store);
    store->ops->close(store);
}

enum plex_status
tspace_store_apply(struct tspace_store *store,
                   const struct tspace_action *action, struct plex_err *err)
{
    assert(action->kind != TSPACE_REPLY);
    if (!store->in_transaction) {
        if (store->ops->begin(store, err) != PLEX_OK)
            return plex_err_wrap(err, "could not begin a transaction");
        store->in_transaction = true;
    }
    return store->ops->apply(store, action, err);
}

enum plex_status
tspace_store_commit(struct tspace_store *store, struct plex_err *err)
{
    if (!store->in_transaction)
        return PLEX_OK;
    if (store->ops->commit(store, err) != PLEX_OK) {
        tspace_store_rollback(store);
        return plex_err_wrap(err, "could not commit");
    }
    store->in_transaction = false;
    return PLEX_OK;
}

void
tspace_store_rollback(struct tspace_store *store)
{
    if (store->in_transaction)
        store->ops->rollback(store);
    store->in_transaction = false;
}

enum plex_status
tspace_store_load(struct tspace_store *store, struct tspace_core *core,
                  struct plex_err *err)
{
    return store->ops->load(store, core, err);
}
