/* Postgres over libpq, reconnecting when the connection was lost. */
#include "services/placement/store_backend.h"

#include "common/mem.h"
#include "common/pg_db.h"
#include "placement_postgres_schema.h"

#include <stdlib.h>

struct pg_store {
    struct place_store base;
    struct plex_pg pg;
};

static void
pg_close(struct place_store *base)
{
    struct pg_store *store = (struct pg_store *)base;

    plex_pg_close(&store->pg);
    free(store);
}

static enum plex_status
pg_open(struct place_store **out, const char *dsn, struct plex_err *err)
{
    const struct plex_pg_config config = {
        .dsn = dsn,
        .service = "placement",
        .schema = placement_postgres_schema,
        .n_schema = sizeof placement_postgres_schema /
                    sizeof placement_postgres_schema[0],
    };
    struct pg_store *store = plex_calloc(1, sizeof *store);

    store->base.ops = &place_store_pg;
    if (plex_pg_open(&store->pg, &config, err) != PLEX_OK) {
        pg_close(&store->base);
        return err->status;
    }
    *out = &store->base;
    return PLEX_OK;
}

/* -- leading --------------------------------------------------------------- */

/* The server's clock is the one that all placements share. */
#define NOW_MS "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"

static enum plex_status
leader_name(struct pg_store *store, struct plex_err *err)
{
    PGresult *result = plex_pg_query(
        &store->pg, "SELECT holder FROM place_lease WHERE name = 'leader'",
        NULL, err);

    if (result == NULL)
        return err->status;
    (void)plex_err_set(err, PLEX_CONFLICT, "%s leads",
                       PQntuples(result) == 0 ? "another placement"
                                              : PQgetvalue(result, 0, 0));
    PQclear(result);
    return err->status;
}

static enum plex_status
pg_lead(struct place_store *base, const char *holder, uint64_t now_ms,
        uint64_t ttl_ms, uint64_t *epoch, struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)base;
    struct plex_pg_params params = {0};
    uint64_t rows = 0;

    (void)now_ms;
    plex_pg_add_text(&params, holder);
    plex_pg_add_u64(&params, ttl_ms);
    if (plex_pg_ready(&store->pg, err) != PLEX_OK ||
        plex_pg_execute(
            &store->pg,
            "INSERT INTO place_lease AS l (name, holder, epoch, until_ms)"
            " VALUES ('leader', $1, 1, " NOW_MS " + $2::bigint)"
            " ON CONFLICT (name) DO UPDATE SET holder = $1,"
            " epoch = l.epoch + 1, until_ms = " NOW_MS " + $2::bigint"
            " WHERE l.until_ms <= " NOW_MS " OR l.holder = $1"
            " RETURNING epoch",
            &params, &rows, epoch, err) != PLEX_OK)
        return err->status;
    return rows > 0 ? PLEX_OK : leader_name(store, err);
}

static enum plex_status
pg_renew(struct place_store *base, uint64_t epoch, uint64_t now_ms,
         uint64_t ttl_ms, struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)base;
    struct plex_pg_params params = {0};
    uint64_t rows = 0;

    (void)now_ms;
    plex_pg_add_u64(&params, epoch);
    plex_pg_add_u64(&params, ttl_ms);
    if (plex_pg_ready(&store->pg, err) != PLEX_OK ||
        plex_pg_execute(&store->pg,
                        "UPDATE place_lease SET until_ms = " NOW_MS
                        " + $2::bigint"
                        " WHERE name = 'leader' AND epoch = $1",
                        &params, &rows, NULL, err) != PLEX_OK)
        return err->status;
    if (rows == 0)
        return plex_err_set(err, PLEX_FENCED, "another placement leads");
    return PLEX_OK;
}

/* -- tables ---------------------------------------------------------------- */

static enum plex_status
pg_load(struct place_store *base, place_table_fn each, void *arg,
        struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)base;
    enum plex_status status = PLEX_OK;
    PGresult *result;

    if (plex_pg_ready(&store->pg, err) != PLEX_OK)
        return err->status;
    result = plex_pg_query(&store->pg,
                           "SELECT pool, version, body FROM place_table"
                           " ORDER BY pool COLLATE \"C\"",
                           NULL, err);
    if (result == NULL)
        return err->status;
    for (int row = 0; row < PQntuples(result) && status == PLEX_OK; row++)
        status =
            each(arg, PQgetvalue(result, row, 0), plex_pg_u64(result, row, 1),
                 plex_pg_bytes(result, row, 2), err);
    PQclear(result);
    return status;
}

static enum plex_status
save_locked(struct pg_store *store, const struct place_save *save,
            struct plex_err *err)
{
    struct plex_pg_params params = {0};
    uint64_t epoch = 0, rows = 0;

    /* The lock keeps a new leader from coming between check and write. */
    if (plex_pg_execute(
            &store->pg,
            "SELECT epoch FROM place_lease WHERE name = 'leader' FOR SHARE",
            NULL, &rows, &epoch, err) != PLEX_OK)
        return err->status;
    if (epoch != save->leader_epoch)
        return plex_err_set(err, PLEX_FENCED, "another placement leads");
    plex_pg_add_text(&params, save->pool);
    plex_pg_add_u64(&params, save->version);
    plex_pg_add_bytes(&params, save->body);
    if (save->expect_version != 0)
        plex_pg_add_u64(&params, save->expect_version);
    if (plex_pg_execute(&store->pg,
                        save->expect_version == 0
                            ? "INSERT INTO place_table (pool, version, body)"
                              " VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
                            : "UPDATE place_table SET version = $2, body = $3"
                              " WHERE pool = $1 AND version = $4",
                        &params, &rows, NULL, err) != PLEX_OK)
        return err->status;
    if (rows == 0)
        return plex_err_set(err, PLEX_CONFLICT,
                            "the table of pool %s is not of the version "
                            "expected",
                            save->pool);
    return PLEX_OK;
}

static enum plex_status
pg_save(struct place_store *base, const struct place_save *save,
        struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)base;

    if (plex_pg_ready(&store->pg, err) != PLEX_OK ||
        plex_pg_run(&store->pg, "BEGIN", err) != PLEX_OK)
        return err->status;
    return plex_pg_end(&store->pg, save_locked(store, save, err), err);
}

const struct place_store_ops place_store_pg = {
    .scheme = "postgres",
    .open = pg_open,
    .close = pg_close,
    .lead = pg_lead,
    .renew = pg_renew,
    .load = pg_load,
    .save = pg_save,
};
