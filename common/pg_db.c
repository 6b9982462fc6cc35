#include "common/pg_db.h"

#include "common/loop.h"
#include "common/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY_MS = 500 };
/* One program at a time migrates, of whatever service: they share the table
 * plex_migration. The journal's store takes the same lock. */
#define MIGRATION_LOCK "29959110190424429"

/* -- statements ------------------------------------------------------------ */

void
plex_pg_add_text(struct plex_pg_params *params, const char *text)
{
    params->values[params->n++] = text;
}

void
plex_pg_add_u64(struct plex_pg_params *params, uint64_t number)
{
    (void)snprintf(params->numbers[params->n], PLEX_PG_NUMBER_MAX, "%" PRIu64,
                   number);
    plex_pg_add_text(params, params->numbers[params->n]);
}

void
plex_pg_add_bytes(struct plex_pg_params *params, struct plex_bytes bytes)
{
    params->lengths[params->n] = (int)bytes.len;
    params->formats[params->n] = 1;
    plex_pg_add_text(params, bytes.len == 0 ? "" : (const char *)bytes.data);
}

enum plex_status
plex_pg_failure(const struct plex_pg *pg, const PGresult *result,
                struct plex_err *err)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorMessage(result);
    enum plex_status status = PLEX_UNAVAILABLE;
    size_t len;

    if (state != NULL && strcmp(state, "53100") == 0) /* disk_full */
        status = PLEX_LIMIT;
    else if (state != NULL && (strcmp(state, "XX001") == 0 ||
                               strcmp(state, "XX002") == 0)) /* *_corrupted */
        status = PLEX_CORRUPT;
    if (text[0] == '\0')
        text = PQerrorMessage(pg->conn);
    len = strcspn(text, "\n");
    return plex_err_set(err, status, "Postgres: %.*s",
                        len > 200 ? 200 : (int)len, text);
}

/* Takes `result`; NULL when it is a failure. */
static PGresult *
result_check(struct plex_pg *pg, PGresult *result, struct plex_err *err)
{
    if (PQresultStatus(result) == PGRES_TUPLES_OK ||
        PQresultStatus(result) == PGRES_COMMAND_OK)
        return result;
    (void)plex_pg_failure(pg, result, err);
    PQclear(result);
    return NULL;
}

static PGresult *
query(struct plex_pg *pg, const char *sql, const struct plex_pg_params *params,
      int binary, struct plex_err *err)
{
    static const struct plex_pg_params none = {0};

    if (params == NULL)
        params = &none;
    return result_check(pg,
                        PQexecParams(pg->conn, sql, params->n, NULL,
                                     params->values, params->lengths,
                                     params->formats, binary),
                        err);
}

PGresult *
plex_pg_query(struct plex_pg *pg, const char *sql,
              const struct plex_pg_params *params, struct plex_err *err)
{
    return query(pg, sql, params, 1, err);
}

enum plex_status
plex_pg_run(struct plex_pg *pg, const char *sql, struct plex_err *err)
{
    PGresult *result = result_check(pg, PQexec(pg->conn, sql), err);

    if (result == NULL)
        return err->status;
    PQclear(result);
    return PLEX_OK;
}

enum plex_status
plex_pg_execute(struct plex_pg *pg, const char *sql,
                const struct plex_pg_params *params, uint64_t *rows,
                uint64_t *first, struct plex_err *err)
{
    PGresult *result = query(pg, sql, params, 0, err);

    if (result == NULL)
        return err->status;
    *rows = strtoull(PQcmdTuples(result), NULL, 10);
    if (first != NULL && PQntuples(result) > 0)
        *first = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return PLEX_OK;
}

uint64_t
plex_pg_u64(const PGresult *result, int row, int column)
{
    const struct plex_bytes at = plex_pg_bytes(result, row, column);
    uint64_t value = 0;

    for (size_t i = 0; i < at.len && i < 8; i++)
        value = value << 8 | at.data[i];
    return value;
}

struct plex_bytes
plex_pg_bytes(const PGresult *result, int row, int column)
{
    return (struct plex_bytes){(const uint8_t *)PQgetvalue(result, row, column),
                               (size_t)PQgetlength(result, row, column)};
}

enum plex_status
plex_pg_end(struct plex_pg *pg, enum plex_status status, struct plex_err *err)
{
    struct plex_err ignored;

    if (status == PLEX_OK)
        return plex_pg_run(pg, "COMMIT", err);
    (void)!plex_pg_run(pg, "ROLLBACK", &ignored);
    return status;
}

/* -- connecting ------------------------------------------------------------ */

static enum plex_status
version_write(struct plex_pg *pg, uint64_t version, struct plex_err *err)
{
    struct plex_pg_params params = {0};
    uint64_t rows;

    plex_pg_add_text(&params, pg->config.service);
    plex_pg_add_u64(&params, version);
    return plex_pg_execute(pg,
                           "INSERT INTO plex_migration (service, version)"
                           " VALUES ($1, $2)",
                           &params, &rows, NULL, err);
}

static enum plex_status
migrate(struct plex_pg *pg, struct plex_err *err)
{
    struct plex_pg_params params = {0};
    uint64_t version = 0, rows;

    plex_pg_add_text(&params, pg->config.service);
    if (plex_pg_execute(pg,
                        "SELECT coalesce(max(version), 0) FROM plex_migration"
                        " WHERE service = $1",
                        &params, &rows, &version, err) != PLEX_OK)
        return err->status;
    if (version > pg->config.n_schema)
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "the database's schema version %" PRIu64
                            " is newer than this program's %zu",
                            version, pg->config.n_schema);
    for (; version < pg->config.n_schema; version++)
        if (plex_pg_run(pg, pg->config.schema[version], err) != PLEX_OK ||
            version_write(pg, version + 1, err) != PLEX_OK)
            return plex_err_wrap(err, "migration %" PRIu64, version + 1);
    return PLEX_OK;
}

static enum plex_status
connect_and_migrate(struct plex_pg *pg, struct plex_err *err)
{
    static const char *const keys[] = {"dbname", "connect_timeout",
                                       "application_name", NULL};
    char name[64];
    const char *const values[] = {pg->dsn, "2", name, NULL};

    (void)snprintf(name, sizeof name, "plex-%s", pg->config.service);
    pg->conn = PQconnectdbParams(keys, values, 1);
    if (PQstatus(pg->conn) != CONNECTION_OK)
        return plex_pg_failure(pg, NULL, err);
    if (plex_pg_run(pg,
                    "SET client_min_messages = warning;"
                    "SET statement_timeout = '5s'; BEGIN;"
                    "SELECT pg_advisory_xact_lock(" MIGRATION_LOCK ");"
                    "CREATE TABLE IF NOT EXISTS plex_migration (service TEXT,"
                    " version BIGINT, PRIMARY KEY (service, version))",
                    err) != PLEX_OK)
        return err->status;
    return plex_pg_end(pg, migrate(pg, err), err);
}

static void
disconnect(struct plex_pg *pg)
{
    PQfinish(pg->conn);
    pg->conn = NULL;
}

enum plex_status
plex_pg_ready(struct plex_pg *pg, struct plex_err *err)
{
    if (PQstatus(pg->conn) == CONNECTION_OK &&
        PQtransactionStatus(pg->conn) == PQTRANS_IDLE)
        return PLEX_OK;
    if (plex_now() < pg->retry_ns)
        return plex_err_set(err, PLEX_UNAVAILABLE,
                            "Postgres: not connected, trying again soon");
    disconnect(pg);
    if (connect_and_migrate(pg, err) != PLEX_OK) {
        disconnect(pg);
        /* From now, not from the beginning: connecting may have taken long. */
        pg->retry_ns = plex_now() + (uint64_t)RETRY_MS * 1000000;
        return err->status;
    }
    pg->retry_ns = 0;
    return PLEX_OK;
}

enum plex_status
plex_pg_open(struct plex_pg *pg, const struct plex_pg_config *config,
             struct plex_err *err)
{
    *pg = (struct plex_pg){.config = *config, .dsn = plex_strdup(config->dsn)};
    pg->config.dsn = pg->dsn;
    return plex_pg_ready(pg, err);
}

void
plex_pg_close(struct plex_pg *pg)
{
    disconnect(pg);
    free(pg->dsn);
    pg->dsn = NULL;
}
