#include "services/journal/store_sqlite.h"

#include <stdio.h>
#include <string.h>

/* Steps a statement with a key's columns. PLEX_NOT_FOUND. */
static enum plex_status
row_step(struct sql_store *store, sqlite3_stmt *stmt,
         struct journal_key_row *row, struct plex_err *err)
{
    const int rc = sqlite3_step(stmt);
    struct plex_bytes wrapped;

    if (rc == SQLITE_ROW) {
        wrapped = plex_sqlite_bytes(stmt, 4);
        row->id = (uint32_t)plex_sqlite_u64(stmt, 0);
        (void)snprintf(row->tenant, sizeof row->tenant, "%s",
                       plex_sqlite_text(stmt, 1));
        row->born = (uint32_t)plex_sqlite_u64(stmt, 2);
        row->master = (uint32_t)plex_sqlite_u64(stmt, 3);
        memset(row->wrapped, 0, sizeof row->wrapped);
        if (wrapped.len == sizeof row->wrapped)
            memcpy(row->wrapped, wrapped.data, wrapped.len);
        sqlite3_reset(stmt);
        return PLEX_OK;
    }
    if (rc != SQLITE_DONE)
        return journal_sql_error(store, "could not read", err);
    sqlite3_reset(stmt);
    return plex_err_set(err, PLEX_NOT_FOUND, "there is no such key");
}

static enum plex_status
sql_key_get(struct journal_store *base, struct journal_key_row *row,
            struct plex_err *err)
{
    struct sql_store *store = (struct sql_store *)base;
    sqlite3_stmt *stmt = journal_sql_get(store, SQL_KEY_GET);

    plex_sqlite_bind_u64(stmt, 1, row->id);
    plex_sqlite_bind_text(stmt, 2, row->tenant);
    plex_sqlite_bind_u64(stmt, 3, row->born);
    return row_step(store, stmt, row, err);
}

static enum plex_status
sql_key_add(struct journal_store *base, const struct journal_key_row *row,
            struct plex_err *err)
{
    struct sql_store *store = (struct sql_store *)base;
    sqlite3_stmt *stmt = journal_sql_get(store, SQL_KEY_ADD);

    plex_sqlite_bind_text(stmt, 1, row->tenant);
    plex_sqlite_bind_u64(stmt, 2, row->born);
    plex_sqlite_bind_u64(stmt, 3, row->master);
    plex_sqlite_bind_bytes(
        stmt, 4, (struct plex_bytes){row->wrapped, sizeof row->wrapped});
    return journal_sql_run(store, stmt, err);
}

static enum plex_status
sql_key_stale(struct journal_store *base, uint32_t after, uint32_t master,
              struct journal_key_row *row, struct plex_err *err)
{
    struct sql_store *store = (struct sql_store *)base;
    sqlite3_stmt *stmt = journal_sql_get(store, SQL_KEY_STALE);

    plex_sqlite_bind_u64(stmt, 1, after);
    plex_sqlite_bind_u64(stmt, 2, master);
    return row_step(store, stmt, row, err);
}

/* What was there must not be left in a free page or in the log. */
static enum plex_status
wipe(struct sql_store *store, struct plex_err *err)
{
    if (sqlite3_wal_checkpoint_v2(store->sqlite.db, NULL,
                                  SQLITE_CHECKPOINT_TRUNCATE, NULL,
                                  NULL) == SQLITE_OK)
        return PLEX_OK;
    return plex_err_set(err, PLEX_UNAVAILABLE,
                        "%s: the log that still has the former key could not "
                        "be emptied, try again",
                        store->path);
}

static enum plex_status
changed(struct sql_store *store, sqlite3_stmt *stmt, struct plex_err *err)
{
    if (plex_sqlite_run(&store->sqlite, "PRAGMA secure_delete = ON", err) !=
        PLEX_OK)
        return err->status;
    err->status = journal_sql_run(store, stmt, err);
    (void)sqlite3_exec(store->sqlite.db, "PRAGMA secure_delete = OFF", NULL,
                       NULL, NULL);
    return err->status;
}

static enum plex_status
sql_key_set(struct journal_store *base, const struct journal_key_row *row,
            struct plex_err *err)
{
    struct sql_store *store = (struct sql_store *)base;
    sqlite3_stmt *stmt = journal_sql_get(store, SQL_KEY_SET);

    plex_sqlite_bind_u64(stmt, 1, row->id);
    plex_sqlite_bind_u64(stmt, 2, row->master);
    plex_sqlite_bind_bytes(
        stmt, 3, (struct plex_bytes){row->wrapped, sizeof row->wrapped});
    err->status = PLEX_OK;
    return changed(store, stmt, err);
}

static enum plex_status
sql_key_drop(struct journal_store *base, const char *tenant, uint64_t *n,
             struct plex_err *err)
{
    struct sql_store *store = (struct sql_store *)base;
    sqlite3_stmt *stmt = journal_sql_get(store, SQL_KEY_DROP);

    plex_sqlite_bind_text(stmt, 1, tenant);
    err->status = PLEX_OK;
    if (changed(store, stmt, err) != PLEX_OK)
        return err->status;
    *n = (uint64_t)sqlite3_changes(store->sqlite.db);
    return wipe(store, err);
}

const struct journal_key_ops journal_sql_keys = {
    .get = sql_key_get,
    .add = sql_key_add,
    .stale = sql_key_stale,
    .set = sql_key_set,
    .drop = sql_key_drop,
};
