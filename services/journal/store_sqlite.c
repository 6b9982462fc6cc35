#include "services/journal/store_sqlite.h"

#include "common/mem.h"
#include "journal_schema_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCHEMA_VERSION \
    (sizeof journal_schema_sqlite / sizeof *journal_schema_sqlite)

const char *const sql_texts[SQL_STATEMENTS] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_ACTOR_FIND] = "SELECT id, last_seq, last_turn, state_seq, state_turn "
                       "FROM journal_actor WHERE name = ?",
    [SQL_ACTOR_ADD] = "INSERT INTO journal_actor (name) VALUES (?)",
    [SQL_ACTOR_HEAD] = "UPDATE journal_actor SET last_seq = ?2, last_turn = "
                       "?3, state_seq = ?4, state_turn = ?5 WHERE id = ?1",
    [SQL_ACTOR_NAME] = "SELECT name, last_turn, state_turn FROM journal_actor "
                       "WHERE id = ?",
    [SQL_MARK] = "UPDATE journal_mark SET head_turn = ?",
    [SQL_TURN_ADD] = "INSERT INTO journal_turn (id, actor, seq, prev, at_ms, "
                     "expires_ms, request_hash, has_state, schema_version, "
                     "state_hash, checksum, message_id, reply, state) VALUES "
                     "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [SQL_TURN_GET] = "SELECT actor, seq, prev, at_ms, expires_ms, "
                     "request_hash, has_state, schema_version, state_hash, "
                     "checksum, message_id, reply FROM journal_turn "
                     "WHERE id = ?",
    [SQL_TURN_STATE] = "SELECT state FROM journal_turn WHERE id = ?",
    [SQL_TURN_SCAN] = "SELECT id, actor, expires_ms, has_state, message_id "
                      "FROM journal_turn WHERE id >= ? ORDER BY id LIMIT ?",
    [SQL_TURN_DROP] = "DELETE FROM journal_turn WHERE id = ?",
    [SQL_MESSAGE_ADD] = "INSERT INTO journal_message (message_id, actor, turn) "
                        "VALUES (?, ?, ?)",
    [SQL_MESSAGE_GET] = "SELECT turn FROM journal_message WHERE message_id = "
                        "? AND actor = ?",
    [SQL_MESSAGE_SET] = "REPLACE INTO journal_message (message_id, actor, "
                        "turn) VALUES (?, ?, ?)",
    [SQL_MESSAGE_DROP] = "DELETE FROM journal_message WHERE message_id = ? "
                         "AND actor = ? AND turn = ?",
    [SQL_MESSAGE_FIND] = "SELECT m.turn, a.name FROM journal_message m JOIN "
                         "journal_actor a ON a.id = m.actor WHERE "
                         "m.message_id = ?",
    [SQL_PENDING_ADD] = "REPLACE INTO journal_pending (shard, due_ms, actor, "
                        "checksum, pending_id, message) VALUES (?, ?, ?, ?, "
                        "?, ?)",
    [SQL_PENDING_DROP] = "DELETE FROM journal_pending WHERE pending_id = ? "
                         "AND actor = ?",
    [SQL_PENDING_FIND] = "SELECT p.due_ms, a.name FROM journal_pending p JOIN "
                         "journal_actor a ON a.id = p.actor WHERE "
                         "p.pending_id = ?",
    [SQL_PENDING_PAGE] =
        "SELECT p.id, p.shard, p.due_ms, p.checksum, p.pending_id, p.message, "
        "a.name FROM journal_pending p CROSS JOIN journal_actor a ON a.id = "
        "p.actor WHERE p.shard <= ?4 AND (p.shard, p.due_ms, p.id) > (?1, ?2, "
        "?3) ORDER BY p.shard, p.due_ms, p.id",
    [SQL_SNAPSHOT_ADD] = "REPLACE INTO journal_snapshot (actor, seq, "
                         "schema_version, state_hash, checksum, state) VALUES "
                         "(?, ?, ?, ?, ?, ?)",
    [SQL_SNAPSHOT_TRIM] = "DELETE FROM journal_snapshot WHERE actor = ?1 AND "
                          "seq < (SELECT seq FROM journal_snapshot WHERE "
                          "actor = ?1 ORDER BY seq DESC LIMIT 1 OFFSET 1)",
    [SQL_SNAPSHOT_GET] = "SELECT seq, schema_version, state_hash, checksum, "
                         "state FROM journal_snapshot WHERE actor = ? AND seq "
                         ">= ? ORDER BY seq DESC",
    [SQL_EPOCH_SET] = "REPLACE INTO journal_epoch (chunk, epochs) VALUES (?, "
                      "?)",
    [SQL_EPOCH_GET] = "SELECT chunk, epochs FROM journal_epoch ORDER BY chunk",
};

/* -- statements ------------------------------------------------------------ */

sqlite3_stmt *
sql_get(struct sql_store *store, enum sql_statement which)
{
    sqlite3_stmt *stmt = store->statements[which];

    sqlite3_reset(stmt);
    return stmt;
}

enum plex_status
sql_error(struct sql_store *store, const char *what, struct plex_err *err)
{
    const int code = sqlite3_errcode(store->db) & 0xff;
    enum plex_status status = PLEX_UNAVAILABLE;

    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
        status = PLEX_CORRUPT;
    else if (code == SQLITE_FULL)
        status = PLEX_LIMIT;
    else if (code == SQLITE_TOOBIG)
        status = PLEX_TOO_LARGE;
    return plex_err_set(err, status, "%s %s: %s", what, store->path,
                        sqlite3_errmsg(store->db));
}

enum plex_status
sql_run(struct sql_store *store, sqlite3_stmt *stmt, struct plex_err *err)
{
    const int rc = sqlite3_step(stmt);

    if (rc == SQLITE_DONE || rc == SQLITE_ROW) {
        sqlite3_reset(stmt);
        return PLEX_OK;
    }
    (void)sql_error(store, "could not write", err);
    sqlite3_reset(stmt);
    return err->status;
}

void
sql_bind_u64(sqlite3_stmt *stmt, int at, uint64_t value)
{
    /* Two's complement: hashes use all 64 bits, the rest fits anyway. */
    (void)sqlite3_bind_int64(stmt, at, (sqlite3_int64)value);
}

void
sql_bind_bytes(sqlite3_stmt *stmt, int at, struct plex_bytes bytes)
{
    (void)sqlite3_bind_blob64(stmt, at,
                              bytes.len ? (const void *)bytes.data : "",
                              bytes.len, SQLITE_STATIC);
}

uint64_t
sql_u64(sqlite3_stmt *stmt, int column)
{
    return (uint64_t)sqlite3_column_int64(stmt, column);
}

struct plex_bytes
sql_bytes(sqlite3_stmt *stmt, int column)
{
    const void *data = sqlite3_column_blob(stmt, column);
    const int len = sqlite3_column_bytes(stmt, column);

    return (struct plex_bytes){data, data == NULL ? 0 : (size_t)len};
}

static enum plex_status
exec(struct sql_store *store, const char *what, const char *text,
     struct plex_err *err)
{
    if (sqlite3_exec(store->db, text, NULL, NULL, NULL) != SQLITE_OK)
        return sql_error(store, what, err);
    return PLEX_OK;
}

/* The number of a one-row query, 0 when there is no row. */
static enum plex_status
query_u64(struct sql_store *store, const char *text, uint64_t *out,
          struct plex_err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc;

    *out = 0;
    if (sqlite3_prepare_v2(store->db, text, -1, &stmt, NULL) != SQLITE_OK)
        return sql_error(store, "could not read", err);
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *out = sql_u64(stmt, 0);
    else if (rc != SQLITE_DONE)
        (void)sql_error(store, "could not read", err);
    (void)sqlite3_finalize(stmt);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? PLEX_OK : err->status;
}

/* -- opening --------------------------------------------------------------- */

/* A lock file of its own: closing any descriptor of the database file would
 * drop the locks SQLite holds on it. */
static enum plex_status
take_lock(struct sql_store *store, struct plex_err *err)
{
    char path[4096];
    const int len = snprintf(path, sizeof path, "%s-lock", store->path);

    if (len < 0 || (size_t)len >= sizeof path)
        return plex_err_set(err, PLEX_INVALID, "store_dsn: path is too long");
    store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (store->lock_fd < 0)
        return plex_err_set(err, PLEX_UNAVAILABLE, "could not open %s: %s",
                            path, strerror(errno));
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return plex_err_set(err, PLEX_UNAVAILABLE,
                            "%s is in use by another journal; one at a time "
                            "may open a SQLite file",
                            store->path);
    return PLEX_OK;
}

static enum plex_status
open_db(struct sql_store *store, const struct journal_store_config *config,
        struct plex_err *err)
{
    char pragma[80];

    if (sqlite3_open_v2(store->path, &store->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                            SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK)
        return sql_error(store, "could not open", err);
    (void)sqlite3_busy_timeout(store->db, 5000);
    (void)snprintf(pragma, sizeof pragma, "PRAGMA max_page_count=%llu",
                   (unsigned long long)config->pages_max);
    if (config->pages_max > 0 &&
        exec(store, "could not limit", pragma, err) != PLEX_OK)
        return err->status;
    return exec(store, "could not open",
                "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; "
                "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0; "
                "PRAGMA cache_size=-65536; PRAGMA temp_store=MEMORY;",
                err);
}

/* A file small enough to be read in a moment is checked whole; rows carry
 * checksums of their own, so a large one is checked as it is read. */
static enum plex_status
check_db(struct sql_store *store, struct plex_err *err)
{
    sqlite3_stmt *stmt = NULL;
    uint64_t pages;
    int rc;

    if (query_u64(store, "PRAGMA page_count", &pages, err) != PLEX_OK)
        return err->status;
    if (pages > 16384)
        return PLEX_OK;
    if (sqlite3_prepare_v2(store->db, "PRAGMA quick_check(1)", -1, &stmt,
                           NULL) != SQLITE_OK)
        return sql_error(store, "could not check", err);
    err->status = PLEX_OK;
    rc = sqlite3_step(stmt);
    if (rc != SQLITE_ROW) {
        (void)sql_error(store, "could not check", err);
    } else if (strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") != 0) {
        (void)plex_err_set(err, PLEX_CORRUPT, "%s is damaged: %.150s",
                           store->path, sqlite3_column_text(stmt, 0));
    }
    (void)sqlite3_finalize(stmt);
    return err->status;
}

static enum plex_status
migrate_from(struct sql_store *store, uint64_t version, struct plex_err *err)
{
    char text[160];

    for (uint64_t i = version; i < SCHEMA_VERSION; i++) {
        if (exec(store, "could not migrate", journal_schema_sqlite[i], err) !=
            PLEX_OK)
            return err->status;
        (void)snprintf(text, sizeof text,
                       "INSERT INTO plex_migration VALUES ('journal', %llu)",
                       (unsigned long long)i + 1);
        if (exec(store, "could not migrate", text, err) != PLEX_OK)
            return err->status;
    }
    return PLEX_OK;
}

static enum plex_status
migrate(struct sql_store *store, struct plex_err *err)
{
    uint64_t version;

    if (exec(store, "could not migrate",
             "BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS plex_migration ("
             "service TEXT NOT NULL, version INTEGER NOT NULL, "
             "PRIMARY KEY (service, version))",
             err) != PLEX_OK ||
        query_u64(store,
                  "SELECT MAX(version) FROM plex_migration WHERE service = "
                  "'journal'",
                  &version, err) != PLEX_OK)
        return err->status;
    if (version > SCHEMA_VERSION)
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "%s has schema version %llu, this program knows "
                            "versions up to %zu",
                            store->path, (unsigned long long)version,
                            SCHEMA_VERSION);
    if (migrate_from(store, version, err) != PLEX_OK)
        return err->status;
    return exec(store, "could not migrate", "COMMIT", err);
}

/* Bring the rows of actors up to the turns that were committed after they
 * were last written back. */
static enum plex_status
recover_heads(struct sql_store *store, struct plex_err *err)
{
    static const char text[] =
        "BEGIN IMMEDIATE;"
        "UPDATE journal_actor AS a SET "
        "last_seq = MAX(a.last_seq, n.seq), "
        "last_turn = MAX(a.last_turn, n.turn), "
        "state_seq = MAX(a.state_seq, n.state_seq), "
        "state_turn = MAX(a.state_turn, n.state_turn) "
        "FROM (SELECT actor, MAX(seq) AS seq, MAX(id) AS turn, "
        "MAX(has_state * seq) AS state_seq, "
        "MAX(has_state * id) AS state_turn FROM journal_turn WHERE id >= "
        "(SELECT head_turn FROM journal_mark) GROUP BY actor) AS n "
        "WHERE a.id = n.actor;"
        "UPDATE journal_mark SET head_turn = MAX(head_turn, "
        "(SELECT COALESCE(MAX(id), 0) + 1 FROM journal_turn));"
        "COMMIT";

    if (exec(store, "could not recover", text, err) != PLEX_OK ||
        query_u64(store, "SELECT head_turn FROM journal_mark", &store->mark,
                  err) != PLEX_OK)
        return err->status;
    store->next_turn = store->mark;
    return PLEX_OK;
}

static enum plex_status
prepare_all(struct sql_store *store, struct plex_err *err)
{
    for (int i = 0; i < SQL_STATEMENTS; i++)
        if (sqlite3_prepare_v3(store->db, sql_texts[i], -1,
                               SQLITE_PREPARE_PERSISTENT, &store->statements[i],
                               NULL) != SQLITE_OK)
            return sql_error(store, "could not prepare statements of", err);
    return PLEX_OK;
}

static enum plex_status
read_epochs(struct sql_store *store, struct plex_err *err)
{
    sqlite3_stmt *stmt = sql_get(store, SQL_EPOCH_GET);
    int rc;

    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        const uint64_t chunk = sql_u64(stmt, 0);
        const struct plex_bytes blob = sql_bytes(stmt, 1);

        for (size_t i = 0; i + 8 <= blob.len && i / 8 < 4096; i += 8) {
            const uint32_t shard = (uint32_t)(chunk * 4096 + i / 8);
            uint64_t epoch = 0;

            for (size_t k = 0; k < 8; k++)
                epoch = epoch << 8 | blob.data[i + k];
            if (epoch > 0 && chunk < 256)
                (void)journal_epochs_raise(
                    &store->epochs,
                    &(struct journal_fence){shard, shard, epoch});
        }
    }
    sqlite3_reset(stmt);
    return rc == SQLITE_DONE ? PLEX_OK
                             : sql_error(store, "could not read", err);
}

static void
sql_close(struct journal_store *base)
{
    struct sql_store *store = (struct sql_store *)base;
    struct plex_err err;

    sql_sync_stop(store->sync);
    /* Best effort: what is not written back now is recomputed on open. */
    if (store->n_dirty > 0 &&
        sqlite3_exec(store->db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK &&
        sql_heads_write(store, 0, 0, &err) == PLEX_OK)
        (void)sqlite3_exec(store->db, "COMMIT", NULL, NULL, NULL);
    for (int i = 0; i < SQL_STATEMENTS; i++)
        (void)sqlite3_finalize(store->statements[i]);
    (void)sqlite3_close(store->db);
    if (store->lock_fd >= 0)
        (void)close(store->lock_fd);
    sql_heads_fini(store);
    journal_epochs_fini(&store->epochs);
    journal_epochs_fini(&store->epochs_before);
    plex_buf_free(&store->replies);
    free(store->path);
    free(store);
}

static enum plex_status
sql_open(struct journal_store **out, const struct journal_store_config *config,
         struct plex_err *err)
{
    const char *path = config->dsn + strlen("sqlite:");
    struct sql_store *store;

    if (*path == '\0')
        return plex_err_set(err, PLEX_INVALID,
                            "store_dsn has no path, write sqlite:<path>");
    store = plex_calloc(1, sizeof *store);
    store->base.ops = &journal_store_sqlite;
    store->path = plex_strdup(path);
    store->lock_fd = -1;
    store->checkpoint_pages = config->checkpoint_pages
                                  ? config->checkpoint_pages
                                  : SQL_CHECKPOINT_PAGES;
    store->replies.max = JOURNAL_EXISTS_BYTES_MAX;
    TAILQ_INIT(&store->dirty);
    if (take_lock(store, err) != PLEX_OK ||
        open_db(store, config, err) != PLEX_OK ||
        check_db(store, err) != PLEX_OK || migrate(store, err) != PLEX_OK ||
        recover_heads(store, err) != PLEX_OK ||
        prepare_all(store, err) != PLEX_OK ||
        read_epochs(store, err) != PLEX_OK ||
        sql_sync_start(store, err) != PLEX_OK) {
        sql_close(&store->base);
        return err->status;
    }
    *out = &store->base;
    return PLEX_OK;
}

static enum plex_status
sql_epochs(struct journal_store *base, struct journal_epochs *out,
           struct plex_err *err)
{
    (void)err;
    journal_epochs_copy(&((struct sql_store *)base)->epochs, out);
    return PLEX_OK;
}

static uint64_t
file_bytes(const char *path, const char *suffix)
{
    char full[4096];
    struct stat st;

    (void)snprintf(full, sizeof full, "%s%s", path, suffix);
    return stat(full, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static uint64_t
sql_store_bytes(struct journal_store *base)
{
    const char *path = ((struct sql_store *)base)->path;

    return file_bytes(path, "") + file_bytes(path, "-wal");
}

const struct journal_store_ops journal_store_sqlite = {
    .scheme = "sqlite",
    .open = sql_open,
    .close = sql_close,
    .epochs = sql_epochs,
    .commit = sql_commit,
    .load = sql_load,
    .lookup = sql_lookup,
    .pending = sql_pending,
    .retain = sql_retain,
    .bytes = sql_store_bytes,
};
