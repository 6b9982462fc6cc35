#include "services/placement/store_backend.h"

#include "common/dsn.h"

#include <assert.h>
#include <string.h>

static const struct place_store_ops *const backends[] = {
    &place_store_mem,
    &place_store_sqlite,
    &place_store_pg,
};

static const struct place_store_ops *
backend_find(const char *dsn, struct plex_err *err)
{
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++)
        if (plex_dsn_rest(dsn, backends[i]->scheme) != NULL)
            return backends[i];
    (void)plex_dsn_unknown(dsn, "mem:, sqlite:PATH or postgres://...", err);
    return NULL;
}

enum plex_status
place_store_check(const char *dsn, struct plex_err *err)
{
    return backend_find(dsn, err) == NULL ? err->status : PLEX_OK;
}

enum plex_status
place_store_open(struct place_store **out, const char *dsn,
                 struct plex_err *err)
{
    const struct place_store_ops *ops = backend_find(dsn, err);

    return ops == NULL ? err->status : ops->open(out, dsn, err);
}

void
place_store_close(struct place_store *store)
{
    if (store != NULL)
        store->ops->close(store);
}

enum plex_status
place_store_lead(struct place_store *store, const char *holder, uint64_t now_ms,
                 uint64_t ttl_ms, uint64_t *epoch, struct plex_err *err)
{
    assert(holder[0] != '\0' && ttl_ms > 0);
    if (strlen(holder) > PLACE_HOLDER_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "the leader's name must be at most %d bytes",
                            PLACE_HOLDER_MAX);
    return store->ops->lead(store, holder, now_ms, ttl_ms, epoch, err);
}

enum plex_status
place_store_renew(struct place_store *store, uint64_t epoch, uint64_t now_ms,
                  uint64_t ttl_ms, struct plex_err *err)
{
    assert(ttl_ms > 0);
    return store->ops->renew(store, epoch, now_ms, ttl_ms, err);
}

enum plex_status
place_store_load(struct place_store *store, place_table_fn each, void *arg,
                 struct plex_err *err)
{
    return store->ops->load(store, each, arg, err);
}

enum plex_status
place_store_save(struct place_store *store, const struct place_save *save,
                 struct plex_err *err)
{
    assert(save->version > save->expect_version);
    if (save->pool[0] == '\0' || strlen(save->pool) > PLACE_POOL_MAX)
        return plex_err_set(err, PLEX_INVALID, "pool must be 1 to %d bytes",
                            PLACE_POOL_MAX);
    if (save->body.len > PLACE_BODY_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "the table of pool %s has %zu bytes, at most %d",
                            save->pool, save->body.len, PLACE_BODY_MAX);
    return store->ops->save(store, save, err);
}
