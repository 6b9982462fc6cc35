/* One SQLite file: WAL, every commit flushed. */
#include "services/registry/store_backend.h"

#include "common/mem.h"
#include "registry_sqlite_schema.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum {
    SCHEMA = sizeof registry_sqlite_schema / sizeof registry_sqlite_schema[0]
};

struct sqlite_store {
    struct reg_store base;
    sqlite3 *db;
};

static enum plex_status
failure(const struct sqlite_store *store, struct plex_err *err)
{
    const int code = sqlite3_errcode(store->db);
    enum plex_status status = PLEX_UNAVAILABLE;

    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
        status = PLEX_CORRUPT;
    return plex_err_set(err, status, "SQLite: %s", sqlite3_errmsg(store->db));
}

static enum plex_status
run(struct sqlite_store *store, const char *sql, struct plex_err *err)
{
    if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return failure(store, err);
    return PLEX_OK;
}

/* Ends a transaction that BEGIN started; keeps the first error. */
static enum plex_status
finish(struct sqlite_store *store, enum plex_status status,
       struct plex_err *err)
{
    if (status == PLEX_OK)
        status = run(store, "COMMIT", err);
    if (status != PLEX_OK)
        (void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

static enum plex_status
prepare(struct sqlite_store *store, const char *sql, sqlite3_stmt **out,
        struct plex_err *err)
{
    if (sqlite3_prepare_v2(store->db, sql, -1, out, NULL) != SQLITE_OK)
        return failure(store, err);
    return PLEX_OK;
}

static void
bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
    (void)sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC);
}

static void
bind_number(sqlite3_stmt *stmt, int at, uint64_t number)
{
    (void)sqlite3_bind_int64(stmt, at, (sqlite3_int64)number);
}

static void
bind_body(sqlite3_stmt *stmt, int at, struct plex_bytes body)
{
    (void)sqlite3_bind_blob(stmt, at,
                            body.len == 0 ? (const void *)"" : body.data,
                            (int)body.len, SQLITE_STATIC);
}

static uint64_t
column_number(sqlite3_stmt *stmt, int at)
{
    return (uint64_t)sqlite3_column_int64(stmt, at);
}

static struct plex_bytes
column_body(sqlite3_stmt *stmt, int at)
{
    return (struct plex_bytes){sqlite3_column_blob(stmt, at),
                               (size_t)sqlite3_column_bytes(stmt, at)};
}

/* Runs a statement that returns at most one number, and finalizes it; *found
 * says whether it did. */
static enum plex_status
one_number(struct sqlite_store *store, sqlite3_stmt *stmt, bool *found,
           uint64_t *number, struct plex_err *err)
{
    enum plex_status status = PLEX_OK;
    const int code = sqlite3_step(stmt);

    *found = code == SQLITE_ROW;
    if (*found)
        *number = column_number(stmt, 0);
    if ((code != SQLITE_ROW && code != SQLITE_DONE) ||
        (*found && sqlite3_step(stmt) != SQLITE_DONE))
        status = failure(store, err);
    (void)sqlite3_finalize(stmt);
    return status;
}

static enum plex_status
done(struct sqlite_store *store, sqlite3_stmt *stmt, struct plex_err *err)
{
    bool found;
    uint64_t number;

    return one_number(store, stmt, &found, &number, err);
}

/* -- opening --------------------------------------------------------------- */

static enum plex_status
migrate(struct sqlite_store *store, struct plex_err *err)
{
    sqlite3_stmt *stmt;
    uint64_t version = 0;
    bool found;

    if (run(store,
            "CREATE TABLE IF NOT EXISTS plex_migration (service TEXT,"
            " version INTEGER, PRIMARY KEY (service, version))",
            err) != PLEX_OK ||
        prepare(store,
                "SELECT coalesce(max(version), 0) FROM plex_migration"
                " WHERE service = 'registry'",
                &stmt, err) != PLEX_OK ||
        one_number(store, stmt, &found, &version, err) != PLEX_OK)
        return err->status;
    if (version > SCHEMA)
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "the file's schema is newer than this program");
    for (; version < SCHEMA; version++) {
        if (run(store, registry_sqlite_schema[version], err) != PLEX_OK ||
            prepare(store, "INSERT INTO plex_migration VALUES ('registry', ?1)",
                    &stmt, err) != PLEX_OK)
            return err->status;
        bind_number(stmt, 1, version + 1);
        if (done(store, stmt, err) != PLEX_OK)
            return err->status;
    }
    return PLEX_OK;
}

static void
sqlite_close(struct reg_store *base)
{
    struct sqlite_store *store = (struct sqlite_store *)base;

    (void)sqlite3_close(store->db);
    free(store);
}

static enum plex_status
open_file(struct sqlite_store *store, const char *path, struct plex_err *err)
{
    if (path[0] == '\0')
        return plex_err_set(err, PLEX_INVALID,
                            "store_dsn \"sqlite:\" needs a file's path");
    if (sqlite3_open_v2(path, &store->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                            SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK)
        return failure(store, err);
    (void)sqlite3_busy_timeout(store->db, 1000);
    if (run(store, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL",
            err) != PLEX_OK ||
        run(store, "BEGIN IMMEDIATE", err) != PLEX_OK)
        return err->status;
    return finish(store, migrate(store, err), err);
}

static enum plex_status
sqlite_open(struct reg_store **out, const char *dsn, struct plex_err *err)
{
    struct sqlite_store *store = plex_calloc(1, sizeof *store);
    const char *path = dsn + strlen("sqlite:");

    store->base.ops = &reg_store_sqlite;
    if (open_file(store, path, err) != PLEX_OK) {
        (void)plex_err_wrap(err, "could not open %s", path);
        sqlite_close(&store->base);
        return err->status;
    }
    *out = &store->base;
    return PLEX_OK;
}

/* -- applications ---------------------------------------------------------- */

static const char *
column_text(sqlite3_stmt *stmt, int at)
{
    return (const char *)sqlite3_column_text(stmt, at);
}

static enum plex_status
revision_load(struct sqlite_store *store, uint64_t *revision,
              struct plex_err *err)
{
    sqlite3_stmt *stmt;
    bool found;

    if (prepare(store, "SELECT value FROM reg_counter WHERE name = 'revision'",
                &stmt, err) != PLEX_OK)
        return err->status;
    return one_number(store, stmt, &found, revision, err);
}

static enum plex_status
sqlite_load(struct reg_store *base, reg_store_fn each, void *arg,
            uint64_t *revision, struct plex_err *err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    enum plex_status status = PLEX_OK;
    sqlite3_stmt *stmt;
    int code;

    if (revision_load(store, revision, err) != PLEX_OK ||
        prepare(store,
                "SELECT tenant, namespace, name, revision, body FROM reg_app"
                " ORDER BY tenant, namespace, name",
                &stmt, err) != PLEX_OK)
        return err->status;
    while (status == PLEX_OK && (code = sqlite3_step(stmt)) != SQLITE_DONE) {
        const struct reg_store_app app = {
            .tenant = column_text(stmt, 0),
            .ns = column_text(stmt, 1),
            .name = column_text(stmt, 2),
            .revision = column_number(stmt, 3),
            .body = column_body(stmt, 4),
        };

        status =
            code == SQLITE_ROW ? each(arg, &app, err) : failure(store, err);
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

static enum plex_status
put_locked(struct sqlite_store *store, const struct reg_store_app *app,
           struct plex_err *err)
{
    sqlite3_stmt *stmt;

    if (prepare(store,
                "INSERT OR REPLACE INTO reg_app"
                " (tenant, namespace, name, revision, body)"
                " VALUES (?1, ?2, ?3, ?4, ?5)",
                &stmt, err) != PLEX_OK)
        return err->status;
    bind_text(stmt, 1, app->tenant);
    bind_text(stmt, 2, app->ns);
    bind_text(stmt, 3, app->name);
    bind_number(stmt, 4, app->revision);
    bind_body(stmt, 5, app->body);
    if (done(store, stmt, err) != PLEX_OK ||
        prepare(store,
                "INSERT INTO reg_counter (name, value) VALUES ('revision', ?1)"
                " ON CONFLICT (name) DO UPDATE SET value = max(value, ?1)",
                &stmt, err) != PLEX_OK)
        return err->status;
    bind_number(stmt, 1, app->revision);
    return done(store, stmt, err);
}

static enum plex_status
sqlite_put(struct reg_store *base, const struct reg_store_app *app,
           struct plex_err *err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;

    if (run(store, "BEGIN IMMEDIATE", err) != PLEX_OK)
        return err->status;
    return finish(store, put_locked(store, app, err), err);
}

static enum plex_status
sqlite_remove(struct reg_store *base, const struct reg_store_app *app,
              struct plex_err *err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    sqlite3_stmt *stmt;

    if (prepare(store,
                "DELETE FROM reg_app"
                " WHERE tenant = ?1 AND namespace = ?2 AND name = ?3",
                &stmt, err) != PLEX_OK)
        return err->status;
    bind_text(stmt, 1, app->tenant);
    bind_text(stmt, 2, app->ns);
    bind_text(stmt, 3, app->name);
    return done(store, stmt, err);
}

const struct reg_store_ops reg_store_sqlite = {
    .scheme = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .load = sqlite_load,
    .put = sqlite_put,
    .remove = sqlite_remove,
};
