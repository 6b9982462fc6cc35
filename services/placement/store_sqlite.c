/* One SQLite file: WAL, every commit flushed. */
#include "services/placement/store_backend.h"

#include "common/mem.h"
#include "placement_sqlite_schema.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum {
    SCHEMA = sizeof placement_sqlite_schema / sizeof placement_sqlite_schema[0]
};

struct sqlite_store {
    struct place_store base;
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
                " WHERE service = 'placement'",
                &stmt, err) != PLEX_OK ||
        one_number(store, stmt, &found, &version, err) != PLEX_OK)
        return err->status;
    if (version > SCHEMA)
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "the file's schema is newer than this program");
    for (; version < SCHEMA; version++) {
        if (run(store, placement_sqlite_schema[version], err) != PLEX_OK ||
            prepare(store,
                    "INSERT INTO plex_migration VALUES ('placement', ?1)",
                    &stmt, err) != PLEX_OK)
            return err->status;
        bind_number(stmt, 1, version + 1);
        if (done(store, stmt, err) != PLEX_OK)
            return err->status;
    }
    return PLEX_OK;
}

static void
sqlite_close(struct place_store *base)
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
sqlite_open(struct place_store **out, const char *dsn, struct plex_err *err)
{
    struct sqlite_store *store = plex_calloc(1, sizeof *store);
    const char *path = dsn + strlen("sqlite:");

    store->base.ops = &place_store_sqlite;
    if (open_file(store, path, err) != PLEX_OK) {
        (void)plex_err_wrap(err, "could not open %s", path);
        sqlite_close(&store->base);
        return err->status;
    }
    *out = &store->base;
    return PLEX_OK;
}

/* -- leading --------------------------------------------------------------- */

static enum plex_status
leader_name(struct sqlite_store *store, struct plex_err *err)
{
    sqlite3_stmt *stmt;

    if (prepare(store, "SELECT holder FROM place_lease WHERE name = 'leader'",
                &stmt, err) != PLEX_OK)
        return err->status;
    if (sqlite3_step(stmt) == SQLITE_ROW)
        (void)plex_err_set(err, PLEX_CONFLICT, "%s leads",
                           (const char *)sqlite3_column_text(stmt, 0));
    else
        (void)failure(store, err);
    (void)sqlite3_finalize(stmt);
    return err->status;
}

static enum plex_status
sqlite_lead(struct place_store *base, const char *holder, uint64_t now_ms,
            uint64_t ttl_ms, uint64_t *epoch, struct plex_err *err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    sqlite3_stmt *stmt;
    bool found;

    if (prepare(store,
                "INSERT INTO place_lease (name, holder, epoch, until_ms)"
                " VALUES ('leader', ?1, 1, ?2 + ?3) ON CONFLICT (name)"
                " DO UPDATE SET holder = ?1, epoch = epoch + 1,"
                " until_ms = ?2 + ?3 WHERE until_ms <= ?2 OR holder = ?1"
                " RETURNING epoch",
                &stmt, err) != PLEX_OK)
        return err->status;
    bind_text(stmt, 1, holder);
    bind_number(stmt, 2, now_ms);
    bind_number(stmt, 3, ttl_ms);
    if (one_number(store, stmt, &found, epoch, err) != PLEX_OK)
        return err->status;
    return found ? PLEX_OK : leader_name(store, err);
}

static enum plex_status
sqlite_renew(struct place_store *base, uint64_t epoch, uint64_t now_ms,
             uint64_t ttl_ms, struct plex_err *err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    sqlite3_stmt *stmt;

    if (prepare(store,
                "UPDATE place_lease SET until_ms = ?2"
                " WHERE name = 'leader' AND epoch = ?1",
                &stmt, err) != PLEX_OK)
        return err->status;
    bind_number(stmt, 1, epoch);
    bind_number(stmt, 2, now_ms + ttl_ms);
    if (done(store, stmt, err) != PLEX_OK)
        return err->status;
    if (sqlite3_changes(store->db) == 0)
        return plex_err_set(err, PLEX_FENCED, "another placement leads");
    return PLEX_OK;
}

/* -- tables ---------------------------------------------------------------- */

static enum plex_status
sqlite_load(struct place_store *base, place_table_fn each, void *arg,
            struct plex_err *err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    enum plex_status status = PLEX_OK;
    sqlite3_stmt *stmt;
    int code;

    if (prepare(store,
                "SELECT pool, version, body FROM place_table ORDER BY pool",
                &stmt, err) != PLEX_OK)
        return err->status;
    while (status == PLEX_OK && (code = sqlite3_step(stmt)) != SQLITE_DONE) {
        if (code != SQLITE_ROW)
            status = failure(store, err);
        else
            status = each(arg, (const char *)sqlite3_column_text(stmt, 0),
                          column_number(stmt, 1), column_body(stmt, 2), err);
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

static enum plex_status
save_locked(struct sqlite_store *store, const struct place_save *save,
            struct plex_err *err)
{
    sqlite3_stmt *stmt;
    uint64_t epoch = 0;
    bool found;

    if (prepare(store, "SELECT epoch FROM place_lease WHERE name = 'leader'",
                &stmt, err) != PLEX_OK ||
        one_number(store, stmt, &found, &epoch, err) != PLEX_OK)
        return err->status;
    if (epoch != save->leader_epoch)
        return plex_err_set(err, PLEX_FENCED, "another placement leads");
    if (prepare(store,
                save->expect_version == 0
                    ? "INSERT OR IGNORE INTO place_table (pool, version, body)"
                      " VALUES (?1, ?2, ?3)"
                    : "UPDATE place_table SET version = ?2, body = ?3"
                      " WHERE pool = ?1 AND version = ?4",
                &stmt, err) != PLEX_OK)
        return err->status;
    bind_text(stmt, 1, save->pool);
    bind_number(stmt, 2, save->version);
    bind_body(stmt, 3, save->body);
    if (save->expect_version != 0)
        bind_number(stmt, 4, save->expect_version);
    if (done(store, stmt, err) != PLEX_OK)
        return err->status;
    if (sqlite3_changes(store->db) == 0)
        return plex_err_set(err, PLEX_CONFLICT,
                            "the table of pool %s is not of the version "
                            "expected",
                            save->pool);
    return PLEX_OK;
}

static enum plex_status
sqlite_save(struct place_store *base, const struct place_save *save,
            struct plex_err *err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;

    if (run(store, "BEGIN IMMEDIATE", err) != PLEX_OK)
        return err->status;
    return finish(store, save_locked(store, save, err), err);
}

const struct place_store_ops place_store_sqlite = {
    .scheme = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .lead = sqlite_lead,
    .renew = sqlite_renew,
    .load = sqlite_load,
    .save = sqlite_save,
};
