#include "services/journal/store_sqlite.h"

#include "common/mem.h"
#include "journal_sqlite_schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *const journal_sql_texts[SQL_STATEMENTS] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_BEGIN_READ] = "BEGIN",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_ACTOR_FIND] =
        "SELECT a.id, a.last_seq, a.last_turn, a.state_seq, a.state_turn, "
        "t.chain FROM journal_actor a LEFT JOIN journal_turn t ON t.id = "
        "a.last_turn WHERE a.name = ?",
    [SQL_ACTOR_ADD] = "INSERT INTO journal_actor (name) VALUES (?)",
    [SQL_ACTOR_HEAD] = "UPDATE journal_actor SET last_seq = ?2, last_turn = "
                       "?3, state_seq = ?4, state_turn = ?5 WHERE id = ?1",
    [SQL_ACTOR_NAME] = "SELECT name, last_turn, state_turn, last_seq FROM "
                       "journal_actor WHERE id = ?",
    [SQL_MARK] = "UPDATE journal_mark SET head_turn = ?",
    [SQL_TURN_ADD] = "INSERT INTO journal_turn (id, actor, seq, prev, at_ms, "
                     "expires_ms, request_hash, has_state, schema_version, "
                     "state_hash, checksum, message_id, reply, state, "
                     "keep_more_ms, keep_turns, state_back, record_hash, "
                     "flags, chain, record) VALUES (?, ?, ?, ?, ?, ?, ?, ?, "
                     "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [SQL_TURN_GET] = "SELECT actor, seq, prev, at_ms, expires_ms, "
                     "request_hash, has_state, schema_version, state_hash, "
                     "checksum, message_id, reply, flags, record_hash FROM "
                     "journal_turn WHERE id = ?",
    [SQL_TURN_STATE] = "SELECT state FROM journal_turn WHERE id = ?",
    [SQL_TURN_LINK] = "SELECT seq, prev, at_ms, has_state, state_back FROM "
                      "journal_turn WHERE id = ?",
    [SQL_TURN_PAST] = "SELECT seq, at_ms, expires_ms, request_hash, has_state, "
                      "schema_version, state_hash, checksum, flags, "
                      "record_hash, chain, message_id, reply, record, CASE "
                      "WHEN ?2 THEN state END, prev FROM journal_turn WHERE id "
                      "= ?1",
    [SQL_TURN_SCAN] = "SELECT id, actor, expires_ms + keep_more_ms, flags, "
                      "message_id, seq, prev, keep_turns, chain FROM "
                      "journal_turn WHERE id >= ? ORDER BY id LIMIT ?",
    [SQL_TURN_UNKEEP] = "UPDATE journal_turn SET keep_more_ms = 0, keep_turns "
                        "= 0 WHERE id = ?",
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
    [SQL_PENDING_ADD] =
        "INSERT INTO journal_pending (shard, due_ms, actor, checksum, "
        "pending_id, message, flags) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT "
        "(pending_id, actor) DO UPDATE SET shard = excluded.shard, due_ms = "
        "excluded.due_ms, checksum = excluded.checksum, message = "
        "excluded.message, flags = excluded.flags",
    [SQL_PENDING_DROP] = "DELETE FROM journal_pending WHERE pending_id = ? "
                         "AND actor = ?",
    [SQL_PENDING_FIND] = "SELECT p.due_ms, a.name FROM journal_pending p JOIN "
                         "journal_actor a ON a.id = p.actor WHERE "
                         "p.pending_id = ?",
    [SQL_PENDING_PAGE] =
        "SELECT p.id, p.shard, p.due_ms, p.checksum, p.pending_id, p.message, "
        "a.name, p.flags FROM journal_pending p CROSS JOIN journal_actor a ON "
        "a.id = "
        "p.actor WHERE p.shard <= ?4 AND (p.shard, p.due_ms, p.id) > (?1, ?2, "
        "?3) ORDER BY p.shard, p.due_ms, p.id",
    [SQL_SNAPSHOT_ADD] = "REPLACE INTO journal_snapshot (actor, seq, "
                         "schema_version, state_hash, checksum, state, flags) "
                         "VALUES (?, ?, ?, ?, ?, ?, ?)",
    [SQL_SNAPSHOT_TRIM] = "DELETE FROM journal_snapshot WHERE actor = ?1 AND "
                          "seq < (SELECT seq FROM journal_snapshot WHERE "
                          "actor = ?1 ORDER BY seq DESC LIMIT 1 OFFSET 1)",
    [SQL_SNAPSHOT_GET] = "SELECT seq, schema_version, state_hash, checksum, "
                         "state, flags FROM journal_snapshot WHERE actor = ? "
                         "AND seq BETWEEN ? AND ? ORDER BY seq DESC",
    [SQL_SNAPSHOT_SECOND] = "SELECT seq FROM journal_snapshot WHERE actor = ? "
                            "ORDER BY seq DESC LIMIT 1 OFFSET 1",
    [SQL_SNAPSHOT_CARRY] =
        "REPLACE INTO journal_snapshot (actor, seq, schema_version, "
        "state_hash, checksum, state, flags) SELECT actor, seq, "
        "schema_version, state_hash, ?2, state, flags & ?3 FROM journal_turn "
        "WHERE id = ?1",
    [SQL_SEEK_ADD] = "REPLACE INTO journal_seek (actor, seq, turn, at_ms) "
                     "VALUES (?, ?, ?, ?)",
    [SQL_SEEK_FIND] = "SELECT turn FROM journal_seek WHERE actor = ? AND seq "
                      ">= ? ORDER BY seq LIMIT 1",
    [SQL_SEEK_AT] = "SELECT turn FROM journal_seek WHERE actor = ? AND at_ms "
                    "> ? ORDER BY seq LIMIT 1",
    [SQL_SEEK_DROP] = "DELETE FROM journal_seek WHERE actor = ? AND seq = ?",
    [SQL_ANCHOR_SET] = "REPLACE INTO journal_anchor (actor, seq, chain) VALUES "
                       "(?, ?, ?)",
    [SQL_ANCHOR_GET] = "SELECT seq, chain FROM journal_anchor WHERE actor = ?",
    [SQL_ACTORS_LIST] = "SELECT name FROM journal_actor WHERE name > ? ORDER "
                        "BY name LIMIT ?",
    [SQL_KEY_GET] = "SELECT id, tenant, born, master, wrapped FROM "
                    "journal_tenant_key WHERE id = ?1 OR (?1 = 0 AND tenant = "
                    "?2 AND born = ?3)",
    [SQL_KEY_ADD] = "INSERT INTO journal_tenant_key (tenant, born, master, "
                    "wrapped) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
    [SQL_KEY_STALE] = "SELECT id, tenant, born, master, wrapped FROM "
                      "journal_tenant_key WHERE id > ? AND master <> ? ORDER "
                      "BY id LIMIT 1",
    [SQL_KEY_SET] = "UPDATE journal_tenant_key SET master = ?2, wrapped = ?3 "
                    "WHERE id = ?1",
    [SQL_KEY_DROP] = "DELETE FROM journal_tenant_key WHERE tenant = ?",
    [SQL_EPOCH_SET] = "REPLACE INTO journal_epoch (chunk, epochs) VALUES (?, "
                      "?)",
    [SQL_EPOCH_GET] = "SELECT chunk, epochs FROM journal_epoch ORDER BY chunk",
};

/* -- statements ------------------------------------------------------------ */

sqlite3_stmt *
journal_sql_get(struct sql_store *store, enum sql_statement which)
{
    sqlite3_stmt *stmt = store->statements[which];

    sqlite3_reset(stmt);
    return stmt;
}

enum plex_status
journal_sql_error(struct sql_store *store, const char *what,
                  struct plex_err *err)
{
    (void)plex_sqlite_failure(&store->sqlite, err);
    return plex_err_wrap(err, "%s %s", what, store->path);
}

enum plex_status
journal_sql_run(struct sql_store *store, sqlite3_stmt *stmt,
                struct plex_err *err)
{
    const int rc = sqlite3_step(stmt);

    if (rc == SQLITE_DONE || rc == SQLITE_ROW) {
        sqlite3_reset(stmt);
        return PLEX_OK;
    }
    (void)journal_sql_error(store, "could not write", err);
    sqlite3_reset(stmt);
    return err->status;
}

/* -- opening --------------------------------------------------------------- */

/* A file small enough to be read in a moment is checked whole; rows carry
 * checksums of their own, so a large one is checked as it is read. */
static enum plex_status
check_row(void *arg, sqlite3_stmt *row, struct plex_err *err)
{
    const char *text = plex_sqlite_text(row, 0);

    (void)arg;
    if (strcmp(text, "ok") == 0)
        return PLEX_OK;
    return plex_err_set(err, PLEX_CORRUPT, "it is damaged: %.150s", text);
}

static enum plex_status
check_db(struct plex_sqlite *sqlite, struct plex_err *err)
{
    uint64_t pages;

    if (plex_sqlite_get(sqlite, "PRAGMA page_count", &pages, err) != PLEX_OK)
        return err->status;
    if (pages > 16384)
        return PLEX_OK;
    return plex_sqlite_each(sqlite, "PRAGMA quick_check(1)", check_row, NULL,
                            err);
}

static enum plex_status
open_db(struct sql_store *store, const struct journal_store_config *config,
        struct plex_err *err)
{
    char pragmas[240];
    const struct plex_sqlite_config shared = {
        .path = store->path,
        .service = "journal",
        .schema = journal_sqlite_schema,
        .n_schema =
            sizeof journal_sqlite_schema / sizeof *journal_sqlite_schema,
        .owner = PLEX_SQLITE_LOCKED,
        .busy_ms = 5000,
        .pragmas = pragmas,
        .check = check_db,
    };

    /* SQLite does not change a limit of 0. */
    (void)snprintf(pragmas, sizeof pragmas,
                   "PRAGMA max_page_count = %llu; PRAGMA page_size = 4096; "
                   "PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -65536; "
                   "PRAGMA temp_store = MEMORY",
                   (unsigned long long)config->pages_max);
    return plex_sqlite_open(&store->sqlite, &shared, err);
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

    if (plex_sqlite_run(&store->sqlite, text, err) != PLEX_OK ||
        plex_sqlite_get(&store->sqlite, "SELECT head_turn FROM journal_mark",
                        &store->mark, err) != PLEX_OK)
        return plex_err_wrap(err, "could not recover %s", store->path);
    store->next_turn = store->mark;
    return PLEX_OK;
}

static enum plex_status
read_epochs(struct sql_store *store, struct plex_err *err)
{
    sqlite3_stmt *stmt = journal_sql_get(store, SQL_EPOCH_GET);
    int rc;

    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        const uint64_t chunk = plex_sqlite_u64(stmt, 0);
        const struct plex_bytes blob = plex_sqlite_bytes(stmt, 1);

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
                             : journal_sql_error(store, "could not read", err);
}

static void
sql_close(struct journal_store *base)
{
    struct sql_store *store = (struct sql_store *)base;
    struct plex_err err;

    journal_sql_sync_stop(store->sync);
    /* Best effort: what is not written back now is recomputed on open. */
    if (store->n_dirty > 0 &&
        sqlite3_exec(store->sqlite.db, "BEGIN", NULL, NULL, NULL) ==
            SQLITE_OK &&
        journal_sql_heads_write(store, 0, 0, &err) == PLEX_OK)
        (void)sqlite3_exec(store->sqlite.db, "COMMIT", NULL, NULL, NULL);
    for (int i = 0; i < SQL_STATEMENTS; i++)
        (void)sqlite3_finalize(store->statements[i]);
    plex_sqlite_close(&store->sqlite);
    journal_sql_heads_fini(store);
    journal_epochs_fini(&store->epochs);
    journal_epochs_fini(&store->epochs_before);
    plex_buf_free(&store->replies);
    journal_policy_fini(&store->policy);
    free(store->path);
    free(store);
}

static enum plex_status
sql_open(struct journal_store **out, const struct journal_store_config *config,
         struct plex_err *err)
{
    const char *path = config->dsn + strlen("sqlite:");
    struct sql_store *store;

    store = plex_calloc(1, sizeof *store);
    store->base.ops = &journal_store_sqlite;
    store->path = plex_strdup(path);
    store->checkpoint_pages = config->checkpoint_pages
                                  ? config->checkpoint_pages
                                  : SQL_CHECKPOINT_PAGES;
    store->replies.max = JOURNAL_EXISTS_BYTES_MAX;
    TAILQ_INIT(&store->dirty);
    if (journal_policy_parse(config->history ? config->history : "",
                             &store->policy, err) != PLEX_OK ||
        open_db(store, config, err) != PLEX_OK ||
        recover_heads(store, err) != PLEX_OK ||
        plex_sqlite_prepare_all(&store->sqlite, journal_sql_texts,
                                SQL_STATEMENTS, store->statements,
                                err) != PLEX_OK ||
        read_epochs(store, err) != PLEX_OK ||
        journal_sql_sync_start(store, err) != PLEX_OK) {
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
    .commit = journal_sql_commit,
    .load = journal_sql_load,
    .loads = journal_sql_loads,
    .lookup = journal_sql_lookup,
    .answers = journal_sql_answers,
    .pending = journal_sql_pending,
    .retain = journal_sql_retain,
    .bytes = sql_store_bytes,
    .history = &journal_sql_history,
    .keys = &journal_sql_keys,
};
