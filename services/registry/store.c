#include "services/registry/store_backend.h"

#include "common/dsn.h"

#include <assert.h>

static const struct reg_store_ops *const backends[] = {
    &reg_store_mem,
    &reg_store_sqlite,
    &reg_store_pg,
};

static const struct reg_store_ops *
backend_find(const char *dsn, struct plex_err *err)
{
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++)
        if (plex_dsn_rest(dsn, backends[i]->scheme) != NULL)
            return backends[i];
    (void)plex_dsn_unknown(dsn, "mem:, sqlite:PATH or postgres://...", err);
    return NULL;
}

enum plex_status
reg_store_check(const char *dsn, struct plex_err *err)
{
    return backend_find(dsn, err) == NULL ? err->status : PLEX_OK;
}

enum plex_status
reg_store_open(struct reg_store **out, const char *dsn, struct plex_err *err)
{
    const struct reg_store_ops *ops = backend_find(dsn, err);

    return ops == NULL ? err->status : ops->open(out, dsn, err);
}

void
reg_store_close(struct reg_store *store)
{
    if (store != NULL)
        store->ops->close(store);
}

enum plex_status
reg_store_load(struct reg_store *store, reg_store_fn each, void *arg,
               uint64_t *revision, struct plex_err *err)
{
    *revision = 0;
    return store->ops->load(store, each, arg, revision, err);
}

enum plex_status
reg_store_put(struct reg_store *store, const struct reg_store_app *app,
              struct plex_err *err)
{
    assert(app->tenant[0] != '\0' && app->ns[0] != '\0' &&
           app->name[0] != '\0');
    if (app->body.len > REG_BODY_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "application %s has %zu bytes, at most %d",
                            app->name, app->body.len, REG_BODY_MAX);
    return store->ops->put(store, app, err);
}

enum plex_status
reg_store_delete(struct reg_store *store, const char *tenant, const char *ns,
                 const char *name, struct plex_err *err)
{
    const struct reg_store_app app = {.tenant = tenant, .ns = ns, .name = name};

    return store->ops->remove(store, &app, err);
}
