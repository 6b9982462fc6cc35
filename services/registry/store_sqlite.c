/* One SQLite file: WAL, every commit flushed. */
#include "services/registry/store_backend.h"

#include "common/dsn.h"
#include "common/mem.h"
#include "common/sqlite_db.h"
#include "registry_sqlite_schema.h"

#include <stdlib.h>

struct sqlite_store {
    struct reg_store base;
    struct plex_sqlite sqlite;
};

static void
sqlite_close(struct reg_store *base)
{
    struct sqlite_store *store = (struct sqlite_store *)base;

    plex_sqlite_close(&store->sqlite);
    free(store);
}

static enum plex_status
sqlite_open(struct reg_store **out, const char *dsn, struct plex_err *err)
{
    const struct plex_sqlite_config config = {
        .path = plex_dsn_rest(dsn, "sqlite"),
        .service = "registry",
        .schema = registry_sqlite_schema,
        .n_schema =
            sizeof registry_sqlite_schema / sizeof registry_sqlite_schema[0],
    };
    struct sqlite_store *store = plex_calloc(1, sizeof *store);

    store->base.ops = &reg_store_sqlite;
    if (plex_sqlite_open(&store->sqlite, &config, err) != PLEX_OK) {
        sqlite_close(&store->base);
        return err->status;
    }
    *out = &store->base;
    return PLEX_OK;
}

/* -- applications ---------------------------------------------------------- */

struct loading {
    reg_store_fn each;
    void *arg;
};

static enum plex_status
load_row(void *arg, sqlite3_stmt *row, struct plex_err *err)
{
    const struct loading *loading = arg;
    const struct reg_store_app app = {
        .tenant = plex_sqlite_text(row, 0),
        .ns = plex_sqlite_text(row, 1),
        .name = plex_sqlite_text(row, 2),
        .revision = plex_sqlite_u64(row, 3),
        .body = plex_sqlite_bytes(row, 4),
    };

    return loading->each(loading->arg, &app, err);
}

static enum plex_status
sqlite_load(struct reg_store *base, reg_store_fn each, void *arg,
            uint64_t *revision, struct plex_err *err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    struct loading loading = {each, arg};

    if (plex_sqlite_get(&store->sqlite,
                        "SELECT value FROM reg_counter WHERE name = 'revision'",
                        revision, err) != PLEX_OK)
        return err->status;
    return plex_sqlite_each(
        &store->sqlite,
        "SELECT tenant, namespace, name, revision, body FROM reg_app"
        " ORDER BY tenant, namespace, name",
        load_row, &loading, err);
}

static enum plex_status
put_locked(struct sqlite_store *store, const struct reg_store_app *app,
           struct plex_err *err)
{
    sqlite3_stmt *stmt;

    if (plex_sqlite_prepare(&store->sqlite,
                            "INSERT OR REPLACE INTO reg_app"
                            " (tenant, namespace, name, revision, body)"
                            " VALUES (?1, ?2, ?3, ?4, ?5)",
                            &stmt, err) != PLEX_OK)
        return err->status;
    plex_sqlite_bind_text(stmt, 1, app->tenant);
    plex_sqlite_bind_text(stmt, 2, app->ns);
    plex_sqlite_bind_text(stmt, 3, app->name);
    plex_sqlite_bind_u64(stmt, 4, app->revision);
    plex_sqlite_bind_bytes(stmt, 5, app->body);
    if (plex_sqlite_done(&store->sqlite, stmt, err) != PLEX_OK ||
        plex_sqlite_prepare(
            &store->sqlite,
            "INSERT INTO reg_counter (name, value) VALUES ('revision', ?1)"
            " ON CONFLICT (name) DO UPDATE SET value = max(value, ?1)",
            &stmt, err) != PLEX_OK)
        return err->status;
    plex_sqlite_bind_u64(stmt, 1, app->revision);
    return plex_sqlite_done(&store->sqlite, stmt, err);
}

static enum plex_status
sqlite_put(struct reg_store *base, const struct reg_store_app *app,
           struct plex_err *err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;

    if (plex_sqlite_run(&store->sqlite, "BEGIN IMMEDIATE", err) != PLEX_OK)
        return err->status;
    return plex_sqlite_end(&store->sqlite, put_locked(store, app, err), err);
}

static enum plex_status
sqlite_remove(struct reg_store *base, const struct reg_store_app *app,
              struct plex_err *err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    sqlite3_stmt *stmt;

    if (plex_sqlite_prepare(
            &store->sqlite,
            "DELETE FROM reg_app"
            " WHERE tenant = ?1 AND namespace = ?2 AND name = ?3",
            &stmt, err) != PLEX_OK)
        return err->status;
    plex_sqlite_bind_text(stmt, 1, app->tenant);
    plex_sqlite_bind_text(stmt, 2, app->ns);
    plex_sqlite_bind_text(stmt, 3, app->name);
    return plex_sqlite_done(&store->sqlite, stmt, err);
}

const struct reg_store_ops reg_store_sqlite = {
    .scheme = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .load = sqlite_load,
    .put = sqlite_put,
    .remove = sqlite_remove,
};
