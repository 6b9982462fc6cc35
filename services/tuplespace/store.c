#include "services/tuplespace/store_lib.h"

#include "common/dsn.h"
#include "services/tuplespace/store_batch.h"

#include <assert.h>
#include <string.h>

static const struct tspace_store_ops *const backends[] = {
    &tspace_store_mem,
    &tspace_store_sqlite,
    &tspace_store_pg,
    &tspace_store_redis,
};

static const struct tspace_store_ops *
backend_find(const char *dsn, const char **rest, struct plex_err *err)
{
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++) {
        *rest = plex_dsn_rest(dsn, backends[i]->scheme);
        if (*rest != NULL)
            return backends[i];
    }
    (void)plex_dsn_unknown(
        dsn, "mem:, sqlite:FILE, postgres://... or redis://...", err);
    return NULL;
}

enum plex_status
tspace_store_check(const char *dsn, struct plex_err *err)
{
    const char *rest;
    const struct tspace_store_ops *ops = backend_find(dsn, &rest, err);

    return ops == NULL ? err->status : ops->check(rest, err);
}

enum plex_status
tspace_store_open_shard(struct tspace_store **out, const char *dsn,
                        uint32_t shard, uint64_t *epoch, struct plex_err *err)
{
    const struct tspace_store_ops *ops;
    const char *rest;

    if (tspace_store_check(dsn, err) != PLEX_OK)
        return err->status;
    ops = backend_find(dsn, &rest, err);
    if (ops->open(out, ops == &tspace_store_pg ? dsn : rest, shard, epoch,
                  err) != PLEX_OK)
        return plex_err_wrap(err, "tuple space store");
    (*out)->ops = ops;
    (*out)->batch = tspace_batch_create();
    return PLEX_OK;
}

enum plex_status
tspace_store_open(struct tspace_store **out, const char *dsn, uint64_t *epoch,
                  struct plex_err *err)
{
    return tspace_store_open_shard(out, dsn, 0, epoch, err);
}

void
tspace_store_close(struct tspace_store *store)
{
    struct tspace_batch *batch;

    if (store == NULL)
        return;
    batch = store->batch;
    store->ops->close(store);
    tspace_batch_free(batch);
}

bool
tspace_store_is_transient(const struct tspace_store *store)
{
    return store->ops == &tspace_store_mem;
}

bool
tspace_store_is_shared(const char *dsn)
{
    const char *rest;
    struct plex_err err;
    const struct tspace_store_ops *ops = backend_find(dsn, &rest, &err);

    return ops != NULL && (ops->shared || (ops == &tspace_store_mem &&
                                           strcmp(rest, "shared") == 0));
}

struct tspace_place *
tspace_store_place(struct tspace_store *store, const struct tspace_where *where)
{
    return tspace_batch_place(store->batch, where);
}

enum plex_status
tspace_store_apply(struct tspace_store *store,
                   const struct tspace_action *action, struct plex_err *err)
{
    assert(action->kind == TSPACE_PUT || action->kind == TSPACE_REMOVE);
    if (tspace_store_is_transient(store))
        return PLEX_OK;
    return tspace_batch_add(store->batch, action, err);
}

size_t
tspace_store_waiting(const struct tspace_store *store)
{
    return tspace_batch_bytes(store->batch);
}

static enum plex_status
failed(const struct tspace_store *store, struct plex_err *err)
{
    /* Nothing was to be changed: nothing is unknown. */
    if (store->verifying && err->status == PLEX_UNKNOWN)
        err->status = PLEX_UNAVAILABLE;
    if (!store->verifying)
        (void)plex_err_wrap(err, "could not commit");
    return err->status;
}

static enum plex_status
verify_send(struct tspace_store *store, struct plex_err *err)
{
    store->verifying = true;
    if (store->ops->verify(store, err) != PLEX_OK)
        return failed(store, err);
    store->sent = store->ops->finish != NULL;
    return PLEX_OK;
}

enum plex_status
tspace_store_send(struct tspace_store *store, struct plex_err *err)
{
    const struct tspace_change *changes;
    enum plex_status status;
    size_t n;

    assert(!store->sent);
    changes = tspace_batch_changes(store->batch, &n);
    if (n == 0)
        return verify_send(store, err);
    store->verifying = false;
    status = store->ops->commit(store, changes, n, err);
    if (status == PLEX_OK)
        store->sent = store->ops->finish != NULL;
    else
        status = failed(store, err);
    tspace_batch_clear(store->batch);
    return status;
}

enum plex_status
tspace_store_finish(struct tspace_store *store, struct plex_err *err)
{
    if (!store->sent)
        return PLEX_OK;
    store->sent = false;
    return store->ops->finish(store, err) == PLEX_OK ? PLEX_OK
                                                     : failed(store, err);
}

enum plex_status
tspace_store_verify(struct tspace_store *store, struct plex_err *err)
{
    return verify_send(store, err) == PLEX_OK ? tspace_store_finish(store, err)
                                              : err->status;
}

enum plex_status
tspace_store_commit(struct tspace_store *store, struct plex_err *err)
{
    if (tspace_store_waiting(store) == 0)
        return PLEX_OK;
    return tspace_store_send(store, err) == PLEX_OK
               ? tspace_store_finish(store, err)
               : err->status;
}

void
tspace_store_rollback(struct tspace_store *store)
{
    tspace_batch_clear(store->batch);
}

static enum plex_status
restore(void *arg, const struct tspace_where *where, enum tspace_record record,
        struct plex_bytes key, struct plex_bytes body, struct plex_err *err)
{
    if (tspace_core_restore(arg, where, record, key, body, err) == PLEX_OK)
        return PLEX_OK;
    return plex_err_wrap(err, "space \"%s\" of %s/%s", where->space,
                         where->tenant, where->ns);
}

enum plex_status
tspace_store_load(struct tspace_store *store, struct tspace_core *core,
                  struct tspace_now now, struct plex_err *err)
{
    if (store->ops->load(store, restore, core, err) != PLEX_OK)
        return plex_err_wrap(err, "could not restore");
    return tspace_core_restored(core, now, err);
}
