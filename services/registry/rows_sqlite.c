/* One SQLite file: WAL, every commit flushed. */
#include "services/registry/rows_backend.h"

#include "common/dsn.h"
#include "common/mem.h"
#include "common/sqlite_db.h"
#include "registry_sqlite_schema.h"

#include <stdio.h>
#include <stdlib.h>

enum { PUT, REMOVE, OWNER, STATEMENTS };
static const char *const statements[STATEMENTS] = {
    [PUT] = "INSERT INTO reg_row (area, kind, tenant, namespace, name, body)"
            " VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
            " ON CONFLICT (area, kind, tenant, namespace, name)"
            " DO UPDATE SET body = ?6",
    [REMOVE] = ("DELETE FROM reg_row WHERE area = ?1 AND kind = ?2"
                " AND tenant = ?3 AND namespace = ?4 AND name = ?5"),
    [OWNER] = "SELECT epoch FROM reg_owner WHERE area = ?1",
};

struct sqlite_rows {
    struct reg_rows base;
    struct plex_sqlite sqlite;
    sqlite3_stmt *stmts[STATEMENTS];
    char area[REG_ROWS_AREA_MAX + 1];
    uint64_t epoch;
};

static void
sqlite_close(struct reg_rows *base)
{
    struct sqlite_rows *rows = (struct sqlite_rows *)base;

    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(rows->stmts[i]);
    plex_sqlite_close(&rows->sqlite);
    free(rows);
}

static enum plex_status
epoch_read(struct sqlite_rows *rows, uint64_t *epoch, struct plex_err *err)
{
    sqlite3_stmt *stmt = rows->stmts[OWNER];
    int code;

    plex_sqlite_bind_text(stmt, 1, rows->area);
    code = sqlite3_step(stmt);
    *epoch = code == SQLITE_ROW ? plex_sqlite_u64(stmt, 0) : 0;
    err->status = code == SQLITE_ROW || code == SQLITE_DONE
                      ? PLEX_OK
                      : plex_sqlite_failure(&rows->sqlite, err);
    sqlite3_reset(stmt);
    return err->status;
}

static enum plex_status
area_take(struct sqlite_rows *rows, struct plex_err *err)
{
    sqlite3_stmt *stmt;

    if (epoch_read(rows, &rows->epoch, err) != PLEX_OK)
        return err->status;
    rows->epoch++;
    if (plex_sqlite_prepare(
            &rows->sqlite,
            "INSERT INTO reg_owner (area, epoch) VALUES (?1, ?2)"
            " ON CONFLICT (area) DO UPDATE SET epoch = ?2",
            &stmt, err) != PLEX_OK)
        return err->status;
    plex_sqlite_bind_text(stmt, 1, rows->area);
    plex_sqlite_bind_u64(stmt, 2, rows->epoch);
    return plex_sqlite_done(&rows->sqlite, stmt, err);
}

static enum plex_status
sqlite_open(struct reg_rows **out, const char *dsn, const char *area,
            struct plex_err *err)
{
    const struct plex_sqlite_config config = {
        .path = plex_dsn_rest(dsn, "sqlite"),
        .service = "registry",
        .schema = registry_sqlite_schema,
        .n_schema =
            sizeof registry_sqlite_schema / sizeof registry_sqlite_schema[0],
    };
    struct sqlite_rows *rows = plex_calloc(1, sizeof *rows);

    rows->base.ops = &reg_rows_sqlite;
    (void)snprintf(rows->area, sizeof rows->area, "%s", area);
    if (plex_sqlite_open(&rows->sqlite, &config, err) != PLEX_OK ||
        plex_sqlite_prepare_all(&rows->sqlite, statements, STATEMENTS,
                                rows->stmts, err) != PLEX_OK ||
        plex_sqlite_run(&rows->sqlite, "BEGIN IMMEDIATE", err) != PLEX_OK ||
        plex_sqlite_end(&rows->sqlite, area_take(rows, err), err) != PLEX_OK) {
        sqlite_close(&rows->base);
        return err->status;
    }
    *out = &rows->base;
    return PLEX_OK;
}

struct loading {
    reg_row_fn each;
    void *arg;
};

static enum plex_status
load_row(void *arg, sqlite3_stmt *at, struct plex_err *err)
{
    const struct loading *loading = arg;
    const struct reg_row row = {
        .kind = (enum reg_row_kind)plex_sqlite_u64(at, 0),
        .tenant = plex_sqlite_text(at, 1),
        .ns = plex_sqlite_text(at, 2),
        .name = plex_sqlite_text(at, 3),
        .body = plex_sqlite_bytes(at, 4),
    };

    return loading->each(loading->arg, &row, err);
}

static enum plex_status
sqlite_load(struct reg_rows *base, reg_row_fn each, void *arg,
            struct plex_err *err)
{
    struct sqlite_rows *rows = (struct sqlite_rows *)base;
    struct loading loading = {each, arg};
    char sql[160];

    (void)snprintf(sql, sizeof sql,
                   "SELECT kind, tenant, namespace, name, body FROM reg_row"
                   " WHERE area = '%s'",
                   rows->area);
    return plex_sqlite_each(&rows->sqlite, sql, load_row, &loading, err);
}

static enum plex_status
sqlite_begin(struct reg_rows *base, struct plex_err *err)
{
    struct sqlite_rows *rows = (struct sqlite_rows *)base;
    uint64_t epoch;

    if (plex_sqlite_run(&rows->sqlite, "BEGIN IMMEDIATE", err) != PLEX_OK)
        return err->status;
    if (epoch_read(rows, &epoch, err) == PLEX_OK && epoch != rows->epoch)
        (void)reg_rows_fenced(rows->area, err);
    if (err->status != PLEX_OK)
        plex_sqlite_rollback(&rows->sqlite);
    return err->status;
}

static enum plex_status
sqlite_apply(struct reg_rows *base, const struct reg_row *row,
             struct plex_err *err)
{
    struct sqlite_rows *rows = (struct sqlite_rows *)base;
    sqlite3_stmt *stmt = rows->stmts[row->gone ? REMOVE : PUT];

    plex_sqlite_bind_text(stmt, 1, rows->area);
    plex_sqlite_bind_u64(stmt, 2, row->kind);
    plex_sqlite_bind_text(stmt, 3, row->tenant);
    plex_sqlite_bind_text(stmt, 4, row->ns);
    plex_sqlite_bind_text(stmt, 5, row->name);
    if (!row->gone)
        plex_sqlite_bind_bytes(stmt, 6, row->body);
    return plex_sqlite_step(&rows->sqlite, stmt, err);
}

static enum plex_status
sqlite_commit(struct reg_rows *base, struct plex_err *err)
{
    return plex_sqlite_end(&((struct sqlite_rows *)base)->sqlite, PLEX_OK, err);
}

static void
sqlite_rollback(struct reg_rows *base)
{
    plex_sqlite_rollback(&((struct sqlite_rows *)base)->sqlite);
}

const struct reg_rows_ops reg_rows_sqlite = {
    .scheme = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .load = sqlite_load,
    .begin = sqlite_begin,
    .apply = sqlite_apply,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
};
