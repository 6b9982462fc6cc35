/* Postgres over libpq, reconnecting when the connection was lost. */
#include "services/placement/store_backend.h"

#include "common/mem.h"
#include "placement_pg_schema.h"

#include <inttypes.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SCHEMA = sizeof placement_pg_schema / sizeof placement_pg_schema[0],
    PARAMS_MAX = 6,
    NUMBER_MAX = 24,
};

struct pg_store {
    struct place_store base;
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
                " WHERE service = 'placement'",
                NULL, &rows, &version, err) != PLEX_OK)
        return err->status;
    if (version > SCHEMA)
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "the database's schema is newer than this program");
    for (; version < SCHEMA; version++) {
        struct params params = {0};

        add_number(&params, version + 1);
        if (script(store, placement_pg_schema[version], err) != PLEX_OK ||
            execute(store,
                    "INSERT INTO plex_migration (service, version)"
                    " VALUES ('placement', $1)",
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
    const char *const values[] = {store->dsn, "2", "plex-placement", NULL};

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
pg_close(struct place_store *base)
{
    struct pg_store *store = (struct pg_store *)base;

    PQfinish(store->conn);
    free(store->dsn);
    free(store);
}

static enum plex_status
pg_open(struct place_store **out, const char *dsn, struct plex_err *err)
{
    struct pg_store *store = plex_calloc(1, sizeof *store);

    store->base.ops = &place_store_pg;
    store->dsn = plex_strdup(dsn);
    if (connect_now(store, err) != PLEX_OK) {
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
    PGresult *result =
        query(store, "SELECT holder FROM place_lease WHERE name = 'leader'",
              NULL, 0, err);

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
    struct params params = {0};
    uint64_t rows = 0;

    (void)now_ms;
    add_text(&params, holder);
    add_number(&params, ttl_ms);
    if (connected(store, err) != PLEX_OK ||
        execute(store,
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
    struct params params = {0};
    uint64_t rows = 0;

    (void)now_ms;
    add_number(&params, epoch);
    add_number(&params, ttl_ms);
    if (connected(store, err) != PLEX_OK ||
        execute(store,
                "UPDATE place_lease SET until_ms = " NOW_MS " + $2::bigint"
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

    if (connected(store, err) != PLEX_OK)
        return err->status;
    result = query(store,
                   "SELECT pool, version, body FROM place_table"
                   " ORDER BY pool COLLATE \"C\"",
                   NULL, 1, err);
    if (result == NULL)
        return err->status;
    for (int row = 0; row < PQntuples(result) && status == PLEX_OK; row++)
        status = each(arg, PQgetvalue(result, row, 0), get_int8(result, row, 1),
                      get_body(result, row, 2), err);
    PQclear(result);
    return status;
}

static enum plex_status
save_locked(struct pg_store *store, const struct place_save *save,
            struct plex_err *err)
{
    struct params params = {0};
    uint64_t epoch = 0, rows = 0;

    /* The lock keeps a new leader from coming between check and write. */
    if (execute(store,
                "SELECT epoch FROM place_lease WHERE name = 'leader' FOR SHARE",
                NULL, &rows, &epoch, err) != PLEX_OK)
        return err->status;
    if (epoch != save->leader_epoch)
        return plex_err_set(err, PLEX_FENCED, "another placement leads");
    add_text(&params, save->pool);
    add_number(&params, save->version);
    add_body(&params, save->body);
    if (save->expect_version != 0)
        add_number(&params, save->expect_version);
    if (execute(store,
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

    if (connected(store, err) != PLEX_OK ||
        script(store, "BEGIN", err) != PLEX_OK)
        return err->status;
    return finish(store, save_locked(store, save, err), err);
}

#define PLACE_PG_OPS(name)                                                     \
    {                                                                          \
        .scheme = (name), .open = pg_open, .close = pg_close, .lead = pg_lead, \
        .renew = pg_renew, .load = pg_load, .save = pg_save,                   \
    }
const struct place_store_ops place_store_pg = PLACE_PG_OPS("postgres");
const struct place_store_ops place_store_postgresql =
    PLACE_PG_OPS("postgresql");
