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

enum plex_status
tspace_store_verify(struct tspace_store *store, struct plex_err *err)
{
    return store->ops->verify(store, err);
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

enum plex_status
tspace_store_commit(struct tspace_store *store, struct plex_err *err)
{
    const struct tspace_change *changes;
    enum plex_status status;
    size_t n;

    changes = tspace_batch_changes(store->batch, &n);
    if (n == 0)
        return PLEX_OK;
    status = store->ops->commit(store, changes, n, err);
    if (status != PLEX_OK)
        (void)plex_err_wrap(err, "could not commit");
    tspace_batch_clear(store->batch);
    return status;
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
