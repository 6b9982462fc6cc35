/* One SQLite file: WAL, every commit flushed. */
#include "services/placement/store_backend.h"

#include "common/dsn.h"
#include "common/mem.h"
#include "common/sqlite_db.h"
#include "placement_sqlite_schema.h"

#include <stdlib.h>

struct sqlite_store {
    struct place_store base;
    struct plex_sqlite sqlite;
};

static void
sqlite_close(struct place_store *base)
{
    struct sqlite_store *store = (struct sqlite_store *)base;

    plex_sqlite_close(&store->sqlite);
    free(store);
}

static enum plex_status
sqlite_open(struct place_store **out, const char *dsn, struct plex_err *err)
{
    const struct plex_sqlite_config config = {
        .path = plex_dsn_rest(dsn, "sqlite"),
        .service = "placement",
        .schema = placement_sqlite_schema,
        .n_schema =
            sizeof placement_sqlite_schema / sizeof placement_sqlite_schema[0],
    };
    struct sqlite_store *store = plex_calloc(1, sizeof *store);

    store->base.ops = &place_store_sqlite;
    if (plex_sqlite_open(&store->sqlite, &config, err) != PLEX_OK) {
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

    if (plex_sqlite_prepare(
            &store->sqlite,
            "SELECT holder FROM place_lease WHERE name = 'leader'", &stmt,
            err) != PLEX_OK)
        return err->status;
    if (sqlite3_step(stmt) == SQLITE_ROW)
        (void)plex_err_set(err, PLEX_CONFLICT, "%s leads",
                           plex_sqlite_text(stmt, 0));
    else
        (void)plex_sqlite_failure(&store->sqlite, err);
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

    if (plex_sqlite_prepare(
            &store->sqlite,
            "INSERT INTO place_lease (name, holder, epoch, until_ms)"
            " VALUES ('leader', ?1, 1, ?2 + ?3) ON CONFLICT (name)"
            " DO UPDATE SET holder = ?1, epoch = epoch + 1,"
            " until_ms = ?2 + ?3 WHERE until_ms <= ?2 OR holder = ?1"
            " RETURNING epoch",
            &stmt, err) != PLEX_OK)
        return err->status;
    plex_sqlite_bind_text(stmt, 1, holder);
    plex_sqlite_bind_u64(stmt, 2, now_ms);
    plex_sqlite_bind_u64(stmt, 3, ttl_ms);
    if (plex_sqlite_number(&store->sqlite, stmt, &found, epoch, err) != PLEX_OK)
        return err->status;
    return found ? PLEX_OK : leader_name(store, err);
}

static enum plex_status
sqlite_renew(struct place_store *base, uint64_t epoch, uint64_t now_ms,
             uint64_t ttl_ms, struct plex_err *err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    sqlite3_stmt *stmt;

    if (plex_sqlite_prepare(&store->sqlite,
                            "UPDATE place_lease SET until_ms = ?2"
                            " WHERE name = 'leader' AND epoch = ?1",
                            &stmt, err) != PLEX_OK)
        return err->status;
    plex_sqlite_bind_u64(stmt, 1, epoch);
    plex_sqlite_bind_u64(stmt, 2, now_ms + ttl_ms);
    if (plex_sqlite_done(&store->sqlite, stmt, err) != PLEX_OK)
        return err->status;
    if (sqlite3_changes(store->sqlite.db) == 0)
        return plex_err_set(err, PLEX_FENCED, "another placement leads");
    return PLEX_OK;
}

/* -- tables ---------------------------------------------------------------- */

struct loading {
    place_table_fn each;
    void *arg;
};

static enum plex_status
load_row(void *arg, sqlite3_stmt *row, struct plex_err *err)
{
    const struct loading *loading = arg;

    return loading->each(loading->arg, plex_sqlite_text(row, 0),
                         plex_sqlite_u64(row, 1), plex_sqlite_bytes(row, 2),
                         err);
}

static enum plex_status
sqlite_load(struct place_store *base, place_table_fn each, void *arg,
            struct plex_err *err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    struct loading loading = {each, arg};

    return plex_sqlite_each(
        &store->sqlite,
        "SELECT pool, version, body FROM place_table ORDER BY pool", load_row,
        &loading, err);
}

static enum plex_status
save_locked(struct sqlite_store *store, const struct place_save *save,
            struct plex_err *err)
{
    sqlite3_stmt *stmt;
    uint64_t epoch;

    if (plex_sqlite_get(&store->sqlite,
                        "SELECT epoch FROM place_lease WHERE name = 'leader'",
                        &epoch, err) != PLEX_OK)
        return err->status;
    if (epoch != save->leader_epoch)
        return plex_err_set(err, PLEX_FENCED, "another placement leads");
    if (plex_sqlite_prepare(
            &store->sqlite,
            save->expect_version == 0
                ? "INSERT OR IGNORE INTO place_table (pool, version, body)"
                  " VALUES (?1, ?2, ?3)"
                : "UPDATE place_table SET version = ?2, body = ?3"
                  " WHERE pool = ?1 AND version = ?4",
            &stmt, err) != PLEX_OK)
        return err->status;
    plex_sqlite_bind_text(stmt, 1, save->pool);
    plex_sqlite_bind_u64(stmt, 2, save->version);
    plex_sqlite_bind_bytes(stmt, 3, save->body);
    if (save->expect_version != 0)
        plex_sqlite_bind_u64(stmt, 4, save->expect_version);
    if (plex_sqlite_done(&store->sqlite, stmt, err) != PLEX_OK)
        return err->status;
    if (sqlite3_changes(store->sqlite.db) == 0)
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

    if (plex_sqlite_run(&store->sqlite, "BEGIN IMMEDIATE", err) != PLEX_OK)
        return err->status;
    return plex_sqlite_end(&store->sqlite, save_locked(store, save, err), err);
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
