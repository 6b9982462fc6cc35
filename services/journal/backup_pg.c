#include "services/journal/backup.h"

#include "common/pg_db.h"

#include <stdio.h>
#include <string.h>

#include "journal_postgres_schema.h"

#define SCHEMA_VERSION \
    (sizeof journal_postgres_schema / sizeof *journal_postgres_schema)

/* Parts 1, 2, ... of the file, in the order of restoring. Columns are named:
 * their order depends on how a database came to its schema. */
static const struct table {
    const char *name, *columns, *sequence;
} tables[] = {
    {"journal_actor", "id, name", "id"},
    {"journal_tenant_key", "id, tenant, born, master, wrapped", "id"},
    {"journal_turn",
     "actor, seq, at_ms, expires_ms, request_hash, state_seq, schema_version, "
     "state_hash, checksum, remembered, message_id, reply, state, keep_ms, "
     "keep_turns, flags, chain, record_hash, record",
     NULL},
    {"journal_pending",
     "id, shard, due_ms, actor, checksum, pending_id, message, flags", "id"},
    {"journal_snapshot",
     "actor, seq, schema_version, state_hash, checksum, state, flags", NULL},
    {"journal_anchor", "actor, seq, chain", NULL},
};
enum { TABLES = sizeof tables / sizeof *tables };

static enum plex_status
pg_open(struct plex_pg *pg, const char *dsn, struct plex_err *err)
{
    const struct plex_pg_config config = {.dsn = dsn,
                                          .service = "journal",
                                          .schema = journal_postgres_schema,
                                          .n_schema = SCHEMA_VERSION};

    if (plex_pg_open(pg, &config, err) != PLEX_OK)
        return err->status;
    /* It takes as long as it takes. */
    return plex_pg_run(pg,
                       "SET statement_timeout = 0; SET "
                       "idle_in_transaction_session_timeout = 0",
                       err);
}

/* -- create ---------------------------------------------------------------- */

static enum plex_status
copy_begin(struct plex_pg *pg, const char *text, ExecStatusType want,
           struct plex_err *err)
{
    PGresult *result = PQexec(pg->conn, text);
    enum plex_status status = PLEX_OK;

    if (PQresultStatus(result) != want)
        status = plex_pg_failure(pg, result, err);
    PQclear(result);
    return status;
}

/* The result of a COPY, after all its data. */
static enum plex_status
copy_end(struct plex_pg *pg, struct plex_err *err)
{
    enum plex_status status = PLEX_OK;
    PGresult *result;

    while ((result = PQgetResult(pg->conn)) != NULL) {
        if (PQresultStatus(result) != PGRES_COMMAND_OK && status == PLEX_OK)
            status = plex_pg_failure(pg, result, err);
        PQclear(result);
    }
    return status;
}

static enum plex_status
table_save(struct plex_pg *pg, uint32_t at, struct backup_writer *w,
           struct plex_err *err)
{
    enum plex_status status = PLEX_OK, ended;
    char text[600], *row;
    int n;

    (void)snprintf(text, sizeof text, "COPY %s (%s) TO STDOUT (FORMAT binary)",
                   tables[at].name, tables[at].columns);
    if (copy_begin(pg, text, PGRES_COPY_OUT, err) != PLEX_OK)
        return err->status;
    while ((n = PQgetCopyData(pg->conn, &row, 0)) > 0) {
        if (status == PLEX_OK)
            status = backup_write(
                w, at + 1, (struct plex_bytes){(const uint8_t *)row, (size_t)n},
                err);
        PQfreemem(row);
    }
    if (status != PLEX_OK)
        return status;
    ended = n == -2 ? plex_pg_failure(pg, NULL, err) : copy_end(pg, err);
    return ended;
}

static enum plex_status
pg_create(const char *dsn, const char *path, uint64_t wall_ms,
          struct plex_err *err)
{
    const struct backup_header header = {BACKUP_POSTGRES, SCHEMA_VERSION,
                                         wall_ms};
    struct backup_writer w;
    struct plex_pg pg;
    enum plex_status status = pg_open(&pg, dsn, err);

    /* Every table as it was when the first was begun. */
    if (status == PLEX_OK)
        status = plex_pg_run(
            &pg, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", err);
    if (status == PLEX_OK)
        status = backup_create(&w, path, &header, err);
    if (status == PLEX_OK) {
        for (uint32_t i = 0; i < TABLES && status == PLEX_OK; i++)
            status = table_save(&pg, i, &w, err);
        status = backup_finish(&w, status, err);
    }
    plex_pg_close(&pg);
    return status;
}

/* -- restore --------------------------------------------------------------- */

static enum plex_status
table_begin(struct plex_pg *pg, const struct table *table, struct plex_err *err)
{
    char text[600];

    (void)snprintf(text, sizeof text, "COPY %s (%s) FROM STDIN (FORMAT binary)",
                   table->name, table->columns);
    return copy_begin(pg, text, PGRES_COPY_IN, err);
}

static enum plex_status
table_finish(struct plex_pg *pg, const struct table *table,
             struct plex_err *err)
{
    char text[300];

    if (PQputCopyEnd(pg->conn, NULL) != 1)
        return plex_pg_failure(pg, NULL, err);
    if (copy_end(pg, err) != PLEX_OK || table->sequence == NULL)
        return err->status;
    (void)snprintf(text, sizeof text,
                   "SELECT setval(pg_get_serial_sequence('%s', '%s'), "
                   "(SELECT COALESCE(max(%s), 0) + 1 FROM %s), false)",
                   table->name, table->sequence, table->sequence, table->name);
    return copy_begin(pg, text, PGRES_TUPLES_OK, err);
}

static enum plex_status
tables_fill(struct plex_pg *pg, struct backup_reader *r, struct plex_err *err)
{
    uint32_t open = 0, part;
    struct plex_bytes data;
    bool end;

    for (;;) {
        if (backup_read(r, &end, &part, &data, err) != PLEX_OK)
            return err->status;
        if (!end && (part == 0 || part > TABLES || part < open))
            return plex_err_set(err, PLEX_CORRUPT,
                                "the backup has a part %u after part %u", part,
                                open);
        if (open != 0 && (end || part != open) &&
            table_finish(pg, &tables[open - 1], err) != PLEX_OK)
            return err->status;
        if (end)
            return PLEX_OK;
        if (part != open && table_begin(pg, &tables[part - 1], err) != PLEX_OK)
            return err->status;
        open = part;
        if (PQputCopyData(pg->conn, (const char *)data.data, (int)data.len) !=
            1)
            return plex_pg_failure(pg, NULL, err);
    }
}

static enum plex_status
check_empty(struct plex_pg *pg, struct plex_err *err)
{
    uint64_t rows = 0;

    if (plex_pg_execute(pg, "SELECT FROM journal_actor LIMIT 1", NULL, &rows,
                        NULL, err) != PLEX_OK)
        return err->status;
    return rows == 0 ? PLEX_OK
                     : plex_err_set(err, PLEX_CONFLICT,
                                    "the store is not empty; restore into an "
                                    "empty one");
}

/* Journals that run on it notice by the version that all may be different. The
 * master key's own row may be one they made when they started. */
static enum plex_status
fill(struct plex_pg *pg, struct backup_reader *r, struct plex_err *err)
{
    enum plex_status status = plex_pg_run(
        pg, "BEGIN; LOCK TABLE journal_actor, journal_turn IN EXCLUSIVE MODE",
        err);

    if (status == PLEX_OK)
        status = check_empty(pg, err);
    if (status == PLEX_OK)
        status = plex_pg_run(pg, "DELETE FROM journal_tenant_key", err);
    if (status == PLEX_OK)
        status = tables_fill(pg, r, err);
    if (status == PLEX_OK)
        status = plex_pg_run(pg,
                             "UPDATE journal_epoch_version SET version = "
                             "version + 1, removals = removals + 1",
                             err);
    return plex_pg_end(pg, status, err);
}

static enum plex_status
pg_restore(const char *dsn, struct backup_reader *r, struct plex_err *err)
{
    struct plex_pg pg;
    enum plex_status status;

    if (r->header.schema != SCHEMA_VERSION)
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "the backup has schema version %u, this program "
                            "%zu: restore it with its own, then upgrade",
                            r->header.schema, SCHEMA_VERSION);
    status = pg_open(&pg, dsn, err);
    if (status == PLEX_OK)
        status = fill(&pg, r, err);
    plex_pg_close(&pg);
    return status;
}

const struct journal_backup_ops journal_backup_pg = {
    .scheme = "postgres",
    .backend = BACKUP_POSTGRES,
    .create = pg_create,
    .restore = pg_restore,
};
