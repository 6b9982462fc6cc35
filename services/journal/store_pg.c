#include "services/journal/store_pg.h"

#include "common/loop.h"
#include "common/mem.h"
#include "journal_postgres_schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA_VERSION \
    (sizeof journal_postgres_schema / sizeof *journal_postgres_schema)
/* Any number that others are unlikely to use: "journal" in ASCII, and one
 * more: store_pg_sql.c has the other. */
#define MIGRATION_LOCK "29959110190424429"

enum { RETRY_MS = 500 };

/* -- connection ------------------------------------------------------------ */

static void
disconnect(struct pg_store *store)
{
    PQfinish(store->conn);
    store->conn = NULL;
    store->n_params = 0;
    store->n_sent = 0;
    journal_pg_heads_forget(store);
}

/* libpq's messages end with a newline and may have several lines. */
static void
message_in(const char *message, struct plex_err *err, enum plex_status status)
{
    (void)plex_err_set(err, status, "Postgres: %.*s",
                       (int)strcspn(message, "\n"), message);
}

enum plex_status
journal_pg_failed(struct pg_store *store, const PGresult *result,
                  struct plex_err *err)
{
    const char *state =
        result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    enum plex_status status = PLEX_UNAVAILABLE;

    if (state != NULL && strcmp(state, "53100") == 0)
        status = PLEX_LIMIT; /* disk full */
    else if (state != NULL && strncmp(state, "XX", 2) == 0)
        status = PLEX_CORRUPT;
    else if (state != NULL &&
             (strcmp(state, "23505") == 0 || strcmp(state, "40P01") == 0 ||
              strcmp(state, "PXJ01") == 0))
        status = PLEX_CONFLICT; /* unique violation, deadlock, see the schema */
    message_in(result && *PQresultErrorMessage(result)
                   ? PQresultErrorMessage(result)
                   : PQerrorMessage(store->conn),
               err, status);
    if (PQstatus(store->conn) != CONNECTION_OK)
        disconnect(store);
    return status;
}

static enum plex_status
exec(struct pg_store *store, const char *text, struct plex_err *err)
{
    PGresult *result = PQexec(store->conn, text);
    const ExecStatusType status = PQresultStatus(result);

    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) {
        PQclear(result);
        return PLEX_OK;
    }
    (void)journal_pg_failed(store, result, err);
    PQclear(result);
    return err->status;
}

/* Every statement here can use an index and must: a plan made while a table
 * was empty would scan it for ever after (that it is forbidden makes some plans
 * look dear enough to be compiled, which takes 40 ms: no jit). A stopped
 * journal must not hold locks, and an operator's synchronous_commit = off must
 * not lose turns. */
static const char session[] =
    "SET default_transaction_isolation = 'read committed'; "
    "SET enable_seqscan = off; SET enable_hashjoin = off; "
    "SET enable_mergejoin = off; SET plan_cache_mode = force_generic_plan; "
    "SET jit = off; "
    "SET statement_timeout = '5s'; SET lock_timeout = '3s'; "
    "SET idle_in_transaction_session_timeout = '10s'; "
    "SET client_min_messages = warning; "
    "SELECT set_config('synchronous_commit', 'on', false) "
    "WHERE current_setting('synchronous_commit') = 'off'";

static enum plex_status
prepare_all(struct pg_store *store, struct plex_err *err)
{
    for (unsigned i = 0; i < PG_STATEMENTS; i++) {
        char name[16];
        PGresult *result;

        (void)snprintf(name, sizeof name, "journal_%02u", i);
        result = PQprepare(store->conn, name, journal_pg_texts[i], 0, NULL);
        if (PQresultStatus(result) != PGRES_COMMAND_OK) {
            (void)journal_pg_failed(store, result, err);
            PQclear(result);
            return plex_err_wrap(err, "statement %u", i);
        }
        PQclear(result);
    }
    return PLEX_OK;
}

static enum plex_status
migrate_from(struct pg_store *store, size_t version, struct plex_err *err)
{
    char text[128];

    if (version > SCHEMA_VERSION)
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "the database has journal schema version %zu, "
                            "this program knows versions up to %zu",
                            version, SCHEMA_VERSION);
    for (size_t i = version; i < SCHEMA_VERSION; i++) {
        (void)snprintf(text, sizeof text,
                       "INSERT INTO plex_migration VALUES ('journal', %zu)",
                       i + 1);
        if (exec(store, journal_postgres_schema[i], err) != PLEX_OK ||
            exec(store, text, err) != PLEX_OK)
            return err->status;
    }
    return exec(store, "COMMIT", err);
}

static enum plex_status
migrate(struct pg_store *store, struct plex_err *err)
{
    PGresult *result;
    size_t version;

    if (exec(store,
             "BEGIN; SELECT pg_advisory_xact_lock(" MIGRATION_LOCK "); "
             "CREATE TABLE IF NOT EXISTS plex_migration (service text NOT "
             "NULL, version bigint NOT NULL, PRIMARY KEY (service, version))",
             err) != PLEX_OK)
        return err->status;
    result = PQexec(store->conn, "SELECT COALESCE(max(version), 0) FROM "
                                 "plex_migration WHERE service = 'journal'");
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        (void)journal_pg_failed(store, result, err);
        PQclear(result);
        return err->status;
    }
    version = (size_t)strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return migrate_from(store, version, err);
}

static enum plex_status
turn_type(struct pg_store *store, struct plex_err *err)
{
    PGresult *result =
        PQexec(store->conn, "SELECT 'journal_turn'::regtype::oid");
    enum plex_status status = PLEX_OK;

    if (PQresultStatus(result) == PGRES_TUPLES_OK)
        store->turn_oid = (uint32_t)strtoul(PQgetvalue(result, 0, 0), NULL, 10);
    else
        status = journal_pg_failed(store, result, err);
    PQclear(result);
    return status;
}

/* Who connects elsewhere, by whatever name, has another text. Where the server
 * does not tell its number, nothing is known to be shared. */
static void
shared_read(struct pg_store *store)
{
    PGresult *result = PQexec(
        store->conn, "SELECT 'postgres:' || system_identifier || '/' || "
                     "'journal_turn'::regclass::oid || '/' || (SELECT oid FROM "
                     "pg_database WHERE datname = current_database()) FROM "
                     "pg_control_system()");

    (void)snprintf(store->shared, sizeof store->shared, "%s",
                   PQresultStatus(result) == PGRES_TUPLES_OK
                       ? PQgetvalue(result, 0, 0)
                       : "");
    PQclear(result);
}

enum plex_status
journal_pg_connect(struct pg_store *store, struct plex_err *err)
{
    static const char *const keys[] = {
        "connect_timeout",  "tcp_user_timeout",
        "keepalives_idle",  "keepalives_interval",
        "keepalives_count", "application_name",
        "dbname",           NULL};
    const char *const values[] = {"2", "5000",         "5",        "2",
                                  "3", "plex-journal", store->dsn, NULL};

    if (store->conn != NULL && PQstatus(store->conn) == CONNECTION_OK)
        return PLEX_OK;
    if (plex_now() < store->retry_ns)
        return plex_err_set(err, PLEX_UNAVAILABLE,
                            "Postgres: not connected, trying again soon");
    if (store->conn != NULL)
        disconnect(store);
    store->retry_ns = plex_now() + (uint64_t)RETRY_MS * 1000000;
    store->conn = PQconnectdbParams(keys, values, 1);
    if (PQstatus(store->conn) != CONNECTION_OK) {
        message_in(PQerrorMessage(store->conn), err, PLEX_UNAVAILABLE);
        disconnect(store);
        return PLEX_UNAVAILABLE;
    }
    if (exec(store, session, err) != PLEX_OK ||
        migrate(store, err) != PLEX_OK || turn_type(store, err) != PLEX_OK ||
        prepare_all(store, err) != PLEX_OK) {
        if (store->conn != NULL)
            disconnect(store);
        return err->status;
    }
    shared_read(store);
    if (PQenterPipelineMode(store->conn) != 1) {
        (void)journal_pg_failed(store, NULL, err);
        disconnect(store);
        return err->status;
    }
    store->retry_ns = 0;
    store->epoch_version = 0; /* what was known may be another database's */
    return PLEX_OK;
}

/* -- pipeline -------------------------------------------------------------- */

static bool
is_good(const PGresult *result)
{
    const ExecStatusType status = PQresultStatus(result);

    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

/* Results up to and including the synchronisation point. */
static enum plex_status
collect(struct pg_store *store, PGresult **results, int n, struct plex_err *err)
{
    const int sent = store->n_sent;
    int at = 0, good = 0, nulls = 0;

    store->n_sent = 0;
    store->refused = false;

    while (nulls < 2) { /* one ends each statement; two: connection lost */
        PGresult *result = PQgetResult(store->conn);

        if (result == NULL) {
            nulls++;
            continue;
        }
        nulls = 0;
        if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
            PQclear(result);
            return err->status;
        }
        if (!is_good(result)) {
            /* The statements after a failed one are only "aborted". */
            if (err->status == PLEX_OK) {
                store->refused =
                    good < sent &&
                    PQresultErrorField(result, PG_DIAG_SQLSTATE) != NULL;
                (void)journal_pg_failed(store, result, err);
            }
            PQclear(result);
            if (store->conn == NULL)
                return err->status;
        } else if (good++, at < n) {
            results[at++] = result;
        } else {
            PQclear(result);
        }
    }
    if (err->status == PLEX_OK)
        (void)plex_err_set(err, PLEX_UNAVAILABLE,
                           "Postgres: the connection was lost");
    disconnect(store);
    return err->status;
}

enum plex_status
journal_pg_collect(struct pg_store *store, PGresult **results, int n,
                   struct plex_err *err)
{
    for (int i = 0; i < n; i++)
        results[i] = NULL;
    err->status = PLEX_OK;
    if (PQpipelineSync(store->conn) != 1) {
        const enum plex_status status = journal_pg_failed(store, NULL, err);

        store->refused = false;
        if (store->conn != NULL)
            disconnect(store); /* no telling what was sent */
        return status;
    }
    if (collect(store, results, n, err) == PLEX_OK)
        return PLEX_OK;
    for (int i = 0; i < n; i++) {
        PQclear(results[i]);
        results[i] = NULL;
    }
    return err->status;
}

enum plex_status
journal_pg_collect_commit(struct pg_store *store, struct plex_err *err)
{
    if (journal_pg_collect(store, NULL, 0, err) == PLEX_OK)
        return PLEX_OK;
    if (store->conn == NULL && !store->refused)
        err->status = PLEX_UNKNOWN;
    return err->status;
}

enum plex_status
journal_pg_query(struct pg_store *store, enum pg_statement which,
                 PGresult **out, struct plex_err *err)
{
    *out = NULL;
    if (!journal_pg_send(store, which))
        return journal_pg_failed(store, NULL, err);
    return journal_pg_collect(store, out, 1, err);
}

/* -- epochs ---------------------------------------------------------------- */

static void
epochs_read_chunk(struct pg_store *store, uint64_t chunk,
                  struct plex_bytes blob)
{
    for (size_t i = 0; i + 8 <= blob.len && i / 8 < 4096 && chunk < 256;
         i += 8) {
        const uint32_t shard = (uint32_t)(chunk * 4096 + i / 8);
        uint64_t epoch = 0;

        for (size_t k = 0; k < 8; k++)
            epoch = epoch << 8 | blob.data[i + k];
        if (epoch > 0)
            (void)journal_epochs_raise(
                &store->epochs, &(struct journal_fence){shard, shard, epoch});
    }
}

enum plex_status
journal_pg_epochs_refresh(struct pg_store *store, uint64_t version,
                          struct plex_err *err)
{
    PGresult *result;

    if (version == store->epoch_version)
        return PLEX_OK;
    if (journal_pg_query(store, PG_EPOCH_GET, &result, err) != PLEX_OK)
        return err->status;
    journal_epochs_fini(&store->epochs);
    journal_keys_forget(&store->base); /* some may have been destroyed */
    journal_pg_heads_forget(
        store); /* it may even be another database's version */
    for (int i = 0; i < PQntuples(result); i++)
        epochs_read_chunk(store, journal_pg_u64(result, i, 0),
                          journal_pg_bytes(result, i, 1));
    PQclear(result);
    store->epoch_version = version;
    return PLEX_OK;
}

static enum plex_status
pg_epochs(struct journal_store *base, struct journal_epochs *out,
          struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)base;
    PGresult *result;
    uint64_t version;

    if (journal_pg_connect(store, err) != PLEX_OK ||
        journal_pg_query(store, PG_EPOCH_VERSION, &result, err) != PLEX_OK)
        return err->status;
    version = journal_pg_u64(result, 0, 0);
    PQclear(result);
    if (journal_pg_epochs_refresh(store, version, err) != PLEX_OK)
        return err->status;
    journal_epochs_copy(&store->epochs, out);
    return PLEX_OK;
}

/* -- the rest -------------------------------------------------------------- */

/* The size of a shared database says little of ours, and costs a query. */
static uint64_t
pg_store_bytes(struct journal_store *base)
{
    (void)base;
    return 0;
}

static const char *
pg_shared(const struct journal_store *base)
{
    return ((const struct pg_store *)base)->shared;
}

static void
pg_close(struct journal_store *base)
{
    struct pg_store *store = (struct pg_store *)base;

    if (store->conn != NULL)
        disconnect(store);
    for (int i = 0; i < PG_PARAMS_MAX; i++)
        plex_buf_free(&store->params[i]);
    plex_buf_free(&store->replies);
    journal_epochs_fini(&store->epochs);
    journal_policy_fini(&store->policy);
    free(store->dsn);
    free(store);
}

static enum plex_status
pg_open(struct journal_store **out, const struct journal_store_config *config,
        struct plex_err *err)
{
    struct pg_store *store = plex_calloc(1, sizeof *store);

    store->base.ops = &journal_store_pg;
    store->dsn = plex_strdup(config->dsn);
    store->replies.max = JOURNAL_EXISTS_BYTES_MAX;
    if (journal_policy_parse(config->history ? config->history : "",
                             &store->policy, err) != PLEX_OK ||
        journal_pg_connect(store, err) != PLEX_OK) {
        pg_close(&store->base);
        return err->status;
    }
    *out = &store->base;
    return PLEX_OK;
}

const struct journal_store_ops journal_store_pg = {
    .scheme = "postgres",
    .open = pg_open,
    .close = pg_close,
    .epochs = pg_epochs,
    .commit = journal_pg_commit,
    .load = journal_pg_load,
    .loads = journal_pg_loads,
    .lookup = journal_pg_lookup,
    .answers = journal_pg_answers,
    .pending = journal_pg_pending,
    .retain = journal_pg_retain,
    .bytes = pg_store_bytes,
    .shared = pg_shared,
    .history = &journal_pg_history,
    .keys = &journal_pg_keys,
};
