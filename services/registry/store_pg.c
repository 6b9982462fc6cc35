/* Postgres over libpq, reconnecting when the connection was lost. */
#include "services/registry/store_backend.h"

#include "common/mem.h"
#include "registry_pg_schema.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SCHEMA = sizeof registry_pg_schema / sizeof registry_pg_schema[0],
    PARAMS_MAX = 6,
    NUMBER_MAX = 24,
};

struct pg_store {
    struct reg_store base;
    char *dsn;
    PGconn *conn;
};

/* -- statements ------------------------------------------------------------ */

/* Parameters of one statement, all as text but bodies. */
struct params {
    int n;
    const char *values[PARAMS_MAX];
    int lengths[PARAMS_MAX];
    int formats[PARAMS_MAX]; /* 1: binary */
    char numbers[PARAMS_MAX][NUMBER_MAX];
};

static void
add_text(struct params *params, const char *text)
{
    params->values[params->n++] = text;
}

static void
add_number(struct params *params, uint64_t number)
{
    snprintf(params->numbers[params->n], NUMBER_MAX, "%" PRIu64, number);
    add_text(params, params->numbers[params->n]);
}

static void
add_body(struct params *params, struct plex_bytes body)
{
    params->lengths[params->n] = (int)body.len;
    params->formats[params->n] = 1;
    add_text(params, body.len == 0 ? "" : (const char *)body.data);
}

static enum plex_status
failure(const struct pg_store *store, const char *text, struct plex_err *err)
{
    int len;

    if (text == NULL || text[0] == '\0')
        text = PQerrorMessage(store->conn);
    len = (int)strcspn(text, "\n");
    return plex_err_set(err, PLEX_UNAVAILABLE, "Postgres: %.*s",
                        len > 200 ? 200 : len, text);
}

/* NULL on failure, else to be cleared. */
static PGresult *
query(struct pg_store *store, const char *sql, const struct params *params,
      int binary, struct plex_err *err)
{
    static const struct params none = {0};
    PGresult *result;

    if (params == NULL)
        params = &none;
    result = PQexecParams(store->conn, sql, params->n, NULL, params->values,
                          params->lengths, params->formats, binary);
    if (PQresultStatus(result) == PGRES_TUPLES_OK ||
        PQresultStatus(result) == PGRES_COMMAND_OK)
        return result;
    (void)failure(store, PQresultErrorMessage(result), err);
    PQclear(result);
    return NULL;
}

/* Several statements at once, no results. */
static enum plex_status
script(struct pg_store *store, const char *sql, struct plex_err *err)
{
    PGresult *result = PQexec(store->conn, sql);
    enum plex_status status = PLEX_OK;

    if (PQresultStatus(result) != PGRES_COMMAND_OK &&
        PQresultStatus(result) != PGRES_TUPLES_OK)
        status = failure(store, PQresultErrorMessage(result), err);
    PQclear(result);
    return status;
}

/* How many rows it changed or returned; the first column of the first one. */
static enum plex_status
execute(struct pg_store *store, const char *sql, const struct params *params,
        uint64_t *rows, uint64_t *first, struct plex_err *err)
{
    PGresult *result = query(store, sql, params, 0, err);

    if (result == NULL)
        return err->status;
    *rows = strtoull(PQcmdTuples(result), NULL, 10);
    if (first != NULL && PQntuples(result) > 0)
        *first = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return PLEX_OK;
}

static uint64_t
get_int8(const PGresult *result, int row, int column)
{
    const unsigned char *at =
        (const unsigned char *)PQgetvalue(result, row, column);
    uint64_t value = 0;

    for (int i = 0; i < 8; i++)
        value = value << 8 | at[i];
    return value;
}

static struct plex_bytes
get_body(const PGresult *result, int row, int column)
{
    return (struct plex_bytes){(const uint8_t *)PQgetvalue(result, row, column),
                               (size_t)PQgetlength(result, row, column)};
}

static enum plex_status
finish(struct pg_store *store, enum plex_status status, struct plex_err *err)
{
    struct plex_err ignored;

    if (status == PLEX_OK)
        return script(store, "COMMIT", err);
    (void)script(store, "ROLLBACK", &ignored);
    return status;
}

/* -- connecting ------------------------------------------------------------ */

static enum plex_status
migrate(struct pg_store *store, struct plex_err *err)
{
    uint64_t version = 0, rows = 0;

    if (execute(store,
                "SELECT coalesce(max(version), 0) FROM plex_migration"
                " WHERE service = 'registry'",
                NULL, &rows, &version, err) != PLEX_OK)
        return err->status;
    if (version > SCHEMA)
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "the database's schema is newer than this program");
    for (; version < SCHEMA; version++) {
        struct params params = {0};

        add_number(&params, version + 1);
        if (script(store, registry_pg_schema[version], err) != PLEX_OK ||
            execute(store,
                    "INSERT INTO plex_migration (service, version)"
                    " VALUES ('registry', $1)",
                    &params, &rows, NULL, err) != PLEX_OK)
            return err->status;
    }
    return PLEX_OK;
}

/* The advisory lock lets one program at a time migrate; "plex" in ASCII. */
static enum plex_status
migrate_locked(struct pg_store *store, struct plex_err *err)
{
    if (script(store,
               "SET client_min_messages = warning;"
               "SET statement_timeout = '5s';"
               "BEGIN; SELECT pg_advisory_xact_lock(1886152056);"
               "CREATE TABLE IF NOT EXISTS plex_migration (service TEXT,"
               " version BIGINT, PRIMARY KEY (service, version))",
               err) != PLEX_OK)
        return finish(store, err->status, err);
    return finish(store, migrate(store, err), err);
}

static enum plex_status
connect_now(struct pg_store *store, struct plex_err *err)
{
    static const char *const keys[] = {"dbname", "connect_timeout",
                                       "application_name", NULL};
    const char *const values[] = {store->dsn, "2", "plex-registry", NULL};

    PQfinish(store->conn);
    store->conn = PQconnectdbParams(keys, values, 1);
    if (PQstatus(store->conn) != CONNECTION_OK)
        return failure(store, NULL, err);
    return migrate_locked(store, err);
}

static enum plex_status
connected(struct pg_store *store, struct plex_err *err)
{
    if (PQstatus(store->conn) == CONNECTION_OK &&
        PQtransactionStatus(store->conn) == PQTRANS_IDLE)
        return PLEX_OK;
    return connect_now(store, err);
}

static void
pg_close(struct reg_store *base)
{
    struct pg_store *store = (struct pg_store *)base;

    PQfinish(store->conn);
    free(store->dsn);
    free(store);
}

static enum plex_status
pg_open(struct reg_store **out, const char *dsn, struct plex_err *err)
{
    struct pg_store *store = plex_calloc(1, sizeof *store);

    store->base.ops = &reg_store_pg;
    store->dsn = plex_strdup(dsn);
    if (connect_now(store, err) != PLEX_OK) {
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

    if (connected(store, err) != PLEX_OK ||
        execute(store, "SELECT value FROM reg_counter WHERE name = 'revision'",
                NULL, &rows, revision, err) != PLEX_OK)
        return err->status;
    result = query(store,
                   "SELECT tenant, namespace, name, revision, body FROM reg_app"
                   " ORDER BY tenant COLLATE \"C\", namespace COLLATE \"C\","
                   " name COLLATE \"C\"",
                   NULL, 1, err);
    if (result == NULL)
        return err->status;
    for (int row = 0; row < PQntuples(result) && status == PLEX_OK; row++) {
        const struct reg_store_app app = {
            .tenant = PQgetvalue(result, row, 0),
            .ns = PQgetvalue(result, row, 1),
            .name = PQgetvalue(result, row, 2),
            .revision = get_int8(result, row, 3),
            .body = get_body(result, row, 4),
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
    struct params params = {0};
    uint64_t rows = 0;

    add_text(&params, app->tenant);
    add_text(&params, app->ns);
    add_text(&params, app->name);
    add_number(&params, app->revision);
    add_body(&params, app->body);
    if (connected(store, err) != PLEX_OK)
        return err->status;
    return execute(
        store,
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
    struct params params = {0};
    uint64_t rows = 0;

    add_text(&params, app->tenant);
    add_text(&params, app->ns);
    add_text(&params, app->name);
    if (connected(store, err) != PLEX_OK)
        return err->status;
    return execute(store,
                   "DELETE FROM reg_app"
                   " WHERE tenant = $1 AND namespace = $2 AND name = $3",
                   &params, &rows, NULL, err);
}

#define REG_PG_OPS(text)                                                       \
    {                                                                          \
        .scheme = (text), .open = pg_open, .close = pg_close, .load = pg_load, \
        .put = pg_put, .remove = pg_remove,                                    \
    }
const struct reg_store_ops reg_store_pg = REG_PG_OPS("postgres");
const struct reg_store_ops reg_store_postgresql = REG_PG_OPS("postgresql");
