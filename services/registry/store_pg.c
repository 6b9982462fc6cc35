/* Postgres over libpq, reconnecting when the connection was lost. */
#include "services/registry/store_backend.h"

#include "common/mem.h"
#include "common/pg_db.h"
#include "registry_postgres_schema.h"

#include <stdlib.h>

struct pg_store {
    struct reg_store base;
    struct plex_pg pg;
};

static void
pg_close(struct reg_store *base)
{
    struct pg_store *store = (struct pg_store *)base;

    plex_pg_close(&store->pg);
    free(store);
}

static enum plex_status
pg_open(struct reg_store **out, const char *dsn, struct plex_err *err)
{
    const struct plex_pg_config config = {
        .dsn = dsn,
        .service = "registry",
        .schema = registry_postgres_schema,
        .n_schema = sizeof registry_postgres_schema /
                    sizeof registry_postgres_schema[0],
    };
    struct pg_store *store = plex_calloc(1, sizeof *store);

    store->base.ops = &reg_store_pg;
    if (plex_pg_open(&store->pg, &config, err) != PLEX_OK) {
        pg_close(&store->base);
        return err->status;
    }
    *out = &store->base;
    return PLEX_OK;
}

/* -- applications ---------------------------------------------------------- */

static enum plex_status
pg_load(struct reg_store *base, reg_store_fn each, void *arg,
        uint64_t *revision, struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)base;
    enum plex_status status = PLEX_OK;
    PGresult *result;
    uint64_t rows = 0;

    if (plex_pg_ready(&store->pg, err) != PLEX_OK ||
        plex_pg_execute(&store->pg,
                        "SELECT value FROM reg_counter WHERE name = 'revision'",
                        NULL, &rows, revision, err) != PLEX_OK)
        return err->status;
    result = plex_pg_query(
        &store->pg,
        "SELECT tenant, namespace, name, revision, body FROM reg_app"
        " ORDER BY tenant COLLATE \"C\", namespace COLLATE \"C\","
        " name COLLATE \"C\"",
        NULL, err);
    if (result == NULL)
        return err->status;
    for (int row = 0; row < PQntuples(result) && status == PLEX_OK; row++) {
        const struct reg_store_app app = {
            .tenant = PQgetvalue(result, row, 0),
            .ns = PQgetvalue(result, row, 1),
            .name = PQgetvalue(result, row, 2),
            .revision = plex_pg_u64(result, row, 3),
            .body = plex_pg_bytes(result, row, 4),
        };

        status = each(arg, &app, err);
    }
    PQclear(result);
    return status;
}

/* One statement, so one transaction. */
static enum plex_status
pg_put(struct reg_store *base, const struct reg_store_app *app,
       struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)base;
    struct plex_pg_params params = {0};
    uint64_t rows = 0;

    plex_pg_add_text(&params, app->tenant);
    plex_pg_add_text(&params, app->ns);
    plex_pg_add_text(&params, app->name);
    plex_pg_add_u64(&params, app->revision);
    plex_pg_add_bytes(&params, app->body);
    if (plex_pg_ready(&store->pg, err) != PLEX_OK)
        return err->status;
    return plex_pg_execute(
        &store->pg,
        "WITH counted AS (INSERT INTO reg_counter AS c (name, value)"
        " VALUES ('revision', $4::bigint) ON CONFLICT (name)"
        " DO UPDATE SET value = greatest(c.value, $4::bigint))"
        " INSERT INTO reg_app (tenant, namespace, name, revision, body)"
        " VALUES ($1, $2, $3, $4::bigint, $5)"
        " ON CONFLICT (tenant, namespace, name)"
        " DO UPDATE SET revision = $4::bigint, body = $5",
        &params, &rows, NULL, err);
}

static enum plex_status
pg_remove(struct reg_store *base, const struct reg_store_app *app,
          struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)base;
    struct plex_pg_params params = {0};
    uint64_t rows = 0;

    plex_pg_add_text(&params, app->tenant);
    plex_pg_add_text(&params, app->ns);
    plex_pg_add_text(&params, app->name);
    if (plex_pg_ready(&store->pg, err) != PLEX_OK)
        return err->status;
    return plex_pg_execute(
        &store->pg,
        "DELETE FROM reg_app"
        " WHERE tenant = $1 AND namespace = $2 AND name = $3",
        &params, &rows, NULL, err);
}

const struct reg_store_ops reg_store_pg = {
    .scheme = "postgres",
    .open = pg_open,
    .close = pg_close,
    .load = pg_load,
    .put = pg_put,
    .remove = pg_remove,
};
