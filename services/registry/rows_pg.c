/* Postgres over libpq. A lost connection is made again by plex_pg_ready(). */
#include "services/registry/rows_backend.h"

#include "common/mem.h"
#include "common/pg_db.h"
#include "registry_postgres_schema.h"

#include <stdio.h>
#include <stdlib.h>

struct pg_rows {
    struct reg_rows base;
    struct plex_pg pg;
    char area[REG_ROWS_AREA_MAX + 1];
    uint64_t epoch;
};

static void
pg_close(struct reg_rows *base)
{
    struct pg_rows *rows = (struct pg_rows *)base;

    plex_pg_close(&rows->pg);
    free(rows);
}

static enum plex_status
area_take(struct pg_rows *rows, struct plex_err *err)
{
    struct plex_pg_params params = {0};
    uint64_t n = 0;

    plex_pg_add_text(&params, rows->area);
    if (plex_pg_ready(&rows->pg, err) != PLEX_OK)
        return err->status;
    return plex_pg_execute(
        &rows->pg,
        "INSERT INTO reg_owner AS o (area, epoch) VALUES ($1, 1)"
        " ON CONFLICT (area) DO UPDATE SET epoch = o.epoch + 1"
        " RETURNING epoch",
        &params, &n, &rows->epoch, err);
}

static enum plex_status
pg_open(struct reg_rows **out, const char *dsn, const char *area,
        struct plex_err *err)
{
    const struct plex_pg_config config = {
        .dsn = dsn,
        .service = "registry",
        .schema = registry_postgres_schema,
        .n_schema = sizeof registry_postgres_schema /
                    sizeof registry_postgres_schema[0],
    };
    struct pg_rows *rows = plex_calloc(1, sizeof *rows);

    rows->base.ops = &reg_rows_pg;
    (void)snprintf(rows->area, sizeof rows->area, "%s", area);
    if (plex_pg_open(&rows->pg, &config, err) != PLEX_OK ||
        area_take(rows, err) != PLEX_OK) {
        pg_close(&rows->base);
        return err->status;
    }
    *out = &rows->base;
    return PLEX_OK;
}

static enum plex_status
pg_load(struct reg_rows *base, reg_row_fn each, void *arg, struct plex_err *err)
{
    struct pg_rows *rows = (struct pg_rows *)base;
    struct plex_pg_params params = {0};
    enum plex_status status = PLEX_OK;
    PGresult *result;

    plex_pg_add_text(&params, rows->area);
    if (plex_pg_ready(&rows->pg, err) != PLEX_OK)
        return err->status;
    result =
        plex_pg_query(&rows->pg,
                      "SELECT kind, tenant, namespace, name, body FROM reg_row"
                      " WHERE area = $1",
                      &params, err);
    if (result == NULL)
        return err->status;
    for (int i = 0; i < PQntuples(result) && status == PLEX_OK; i++) {
        const struct reg_row row = {
            .kind = (enum reg_row_kind)plex_pg_u64(result, i, 0),
            .tenant = PQgetvalue(result, i, 1),
            .ns = PQgetvalue(result, i, 2),
            .name = PQgetvalue(result, i, 3),
            .body = plex_pg_bytes(result, i, 4),
        };

        status = each(arg, &row, err);
    }
    PQclear(result);
    return status;
}

/* The owner's row is held until the commit, so that nobody takes the area over
 * between the check and the commit. */
static enum plex_status
pg_begin(struct reg_rows *base, struct plex_err *err)
{
    struct pg_rows *rows = (struct pg_rows *)base;
    struct plex_pg_params params = {0};
    uint64_t n = 0, epoch = 0;

    plex_pg_add_text(&params, rows->area);
    if (plex_pg_ready(&rows->pg, err) != PLEX_OK ||
        plex_pg_run(&rows->pg, "BEGIN", err) != PLEX_OK)
        return err->status;
    err->status = plex_pg_execute(
        &rows->pg, "SELECT epoch FROM reg_owner WHERE area = $1 FOR SHARE",
        &params, &n, &epoch, err);
    if (err->status == PLEX_OK && epoch != rows->epoch)
        (void)reg_rows_fenced(rows->area, err);
    return err->status == PLEX_OK ? PLEX_OK
                                  : plex_pg_end(&rows->pg, err->status, err);
}

static enum plex_status
pg_apply(struct reg_rows *base, const struct reg_row *row, struct plex_err *err)
{
    struct pg_rows *rows = (struct pg_rows *)base;
    struct plex_pg_params params = {0};
    uint64_t n = 0;

    plex_pg_add_text(&params, rows->area);
    plex_pg_add_u64(&params, row->kind);
    plex_pg_add_text(&params, row->tenant);
    plex_pg_add_text(&params, row->ns);
    plex_pg_add_text(&params, row->name);
    if (row->gone)
        return plex_pg_execute(
            &rows->pg,
            "DELETE FROM reg_row WHERE area = $1 AND kind = $2::bigint"
            " AND tenant = $3 AND namespace = $4 AND name = $5",
            &params, &n, NULL, err);
    plex_pg_add_bytes(&params, row->body);
    return plex_pg_execute(
        &rows->pg,
        "INSERT INTO reg_row (area, kind, tenant, namespace, name, body)"
        " VALUES ($1, $2::bigint, $3, $4, $5, $6)"
        " ON CONFLICT (area, kind, tenant, namespace, name)"
        " DO UPDATE SET body = $6",
        &params, &n, NULL, err);
}

static enum plex_status
pg_commit(struct reg_rows *base, struct plex_err *err)
{
    return plex_pg_end(&((struct pg_rows *)base)->pg, PLEX_OK, err);
}

static void
pg_rollback(struct reg_rows *base)
{
    struct plex_err err = {.status = PLEX_CANCELLED};

    (void)!plex_pg_end(&((struct pg_rows *)base)->pg, PLEX_CANCELLED, &err);
}

const struct reg_rows_ops reg_rows_pg = {
    .scheme = "postgres",
    .open = pg_open,
    .close = pg_close,
    .load = pg_load,
    .begin = pg_begin,
    .apply = pg_apply,
    .commit = pg_commit,
    .rollback = pg_rollback,
};
