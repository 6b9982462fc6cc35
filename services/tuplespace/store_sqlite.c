/* One SQLite file, opened by one process: WAL, every commit flushed. */
#include "common/mem.h"
#include "services/tuplespace/store_backend.h"
#include "services/tuplespace/tuple.h"
#include "tuplespace_schema.h"

#include <sqlite3.h>
#include <stdlib.h>

enum { LOAD_ROW_MAX = 64 << 20 };

enum statement { PUT, REMOVE, REMEMBER, FORGET, N_STATEMENTS };
static const char *const statements[N_STATEMENTS] = {
    [PUT] = "INSERT INTO tspace_tuple (id, tenant, namespace, space, body)"
            " VALUES (?1, ?2, ?3, ?4, ?5)",
    [REMOVE] = "DELETE FROM tspace_tuple WHERE id = ?1",
    [REMEMBER] = "INSERT OR REPLACE INTO tspace_request (tenant, namespace,"
                 " space, request_id, expires_ms, answer)"
                 " VALUES (?2, ?3, ?4, ?1, ?6, ?5)",
    [FORGET] = "DELETE FROM tspace_request WHERE request_id = ?1 AND"
               " tenant = ?2 AND namespace = ?3 AND space = ?4",
};

struct sqlite_store {
    struct tspace_store base;
    sqlite3 *db;
    sqlite3_stmt *statements[N_STATEMENTS];
    struct plex_buf body;
};

static enum plex_status
failure(struct sqlite_store *store, struct plex_err *err)
{
    const int code = sqlite3_errcode(store->db);
    enum plex_status status = PLEX_UNAVAILABLE;

    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
        status = PLEX_CORRUPT;
    else if (code == SQLITE_FULL)
        status = PLEX_LIMIT;
    return plex_err_set(err, status, "SQLite: %s",
                        code == SQLITE_BUSY
                            ? "the file is in use by another process"
                            : sqlite3_errmsg(store->db));
}

static enum plex_status
run(struct sqlite_store *store, const char *sql, struct plex_err *err)
{
    if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return failure(store, err);
    return PLEX_OK;
}

static enum plex_status
prepare(struct sqlite_store *store, const char *sql, sqlite3_stmt **out,
        struct plex_err *err)
{
    if (sqlite3_prepare_v2(store->db, sql, -1, out, NULL) != SQLITE_OK)
        return failure(store, err);
    return PLEX_OK;
}

static enum plex_status
version_read(struct sqlite_store *store, int *version, struct plex_err *err)
{
    sqlite3_stmt *stmt;
    enum plex_status status;

    status = prepare(store,
                     "SELECT coalesce(max(version), 0) FROM plex_migration"
                     " WHERE service = 'tuplespace'",
                     &stmt, err);
    if (status != PLEX_OK)
        return status;
    if (sqlite3_step(stmt) == SQLITE_ROW)
        *version = sqlite3_column_int(stmt, 0);
    else
        status = failure(store, err);
    (void)sqlite3_finalize(stmt);
    return status;
}

static enum plex_status
migrate(struct sqlite_store *store, struct plex_err *err)
{
    const int known =
        (int)(sizeof tuplespace_schema / sizeof tuplespace_schema[0]);
    char record[128];
    int version = 0;

    if (run(store,
            "CREATE TABLE IF NOT EXISTS plex_migration (service TEXT,"
            " version INTEGER, PRIMARY KEY (service, version))",
            err) != PLEX_OK ||
        version_read(store, &version, err) != PLEX_OK)
        return err->status;
    if (version > known)
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "schema version %d is newer than this program's %d",
                            version, known);
    for (; version < known; version++) {
        (void)sqlite3_snprintf(sizeof record, record,
                               "INSERT INTO plex_migration VALUES"
                               " ('tuplespace', %d)",
                               version + 1);
        if (run(store, tuplespace_schema[version], err) != PLEX_OK ||
            run(store, record, err) != PLEX_OK)
            return plex_err_wrap(err, "migration %d", version + 1);
    }
    return PLEX_OK;
}

static void
sqlite_close(struct tspace_store *base)
{
    struct sqlite_store *store = (struct sqlite_store *)base;

    for (int i = 0; i < N_STATEMENTS; i++)
        (void)sqlite3_finalize(store->statements[i]);
    (void)sqlite3_close(store->db);
    plex_buf_free(&store->body);
    free(store);
}

static enum plex_status
sqlite_prepare(struct sqlite_store *store, const char *path,
               struct plex_err *err)
{
    if (sqlite3_open_v2(path, &store->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                            SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK)
        return failure(store, err);
    (void)sqlite3_busy_timeout(store->db, 1000);
    if (run(store,
            "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;"
            "PRAGMA synchronous = FULL; BEGIN EXCLUSIVE",
            err) != PLEX_OK ||
        migrate(store, err) != PLEX_OK || run(store, "COMMIT", err) != PLEX_OK)
        return err->status;
    for (int i = 0; i < N_STATEMENTS; i++)
        if (prepare(store, statements[i], &store->statements[i], err) !=
            PLEX_OK)
            return err->status;
    return PLEX_OK;
}

static enum plex_status
sqlite_open(struct tspace_store **out, const char *path, struct plex_err *err)
{
    struct sqlite_store *store = plex_calloc(1, sizeof *store);

    store->body.max = LOAD_ROW_MAX;
    if (sqlite_prepare(store, path, err) != PLEX_OK) {
        sqlite_close(&store->base);
        return err->status;
    }
    *out = &store->base;
    return PLEX_OK;
}

static enum plex_status
sqlite_begin(struct tspace_store *base, struct plex_err *err)
{
    return run((struct sqlite_store *)base, "BEGIN", err);
}

static enum plex_status
sqlite_commit(struct tspace_store *base, struct plex_err *err)
{
    return run((struct sqlite_store *)base, "COMMIT", err);
}

static void
sqlite_rollback(struct tspace_store *base)
{
    struct sqlite_store *store = (struct sqlite_store *)base;

    (void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
}

static void
bind_bytes(sqlite3_stmt *stmt, int index, const void *data, size_t len)
{
    (void)sqlite3_bind_blob(stmt, index, len > 0 ? data : "", (int)len,
                            SQLITE_STATIC);
}

static void
bind_where(sqlite3_stmt *stmt, const struct tspace_where *where)
{
    (void)sqlite3_bind_text(stmt, 2, where->tenant, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(stmt, 3, where->ns, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(stmt, 4, where->space, -1, SQLITE_STATIC);
}

static enum plex_status
bind_action(struct sqlite_store *store, const struct tspace_action *action,
            sqlite3_stmt *stmt, struct plex_err *err)
{
    store->body.len = 0;
    if (action->kind == TSPACE_PUT &&
        tspace_tuple_encode(action->tuple, &store->body, err) != PLEX_OK)
        return err->status;
    if (action->kind == TSPACE_REMEMBER &&
        tspace_answer_encode(action->answer, &store->body, err) != PLEX_OK)
        return err->status;
    if (action->kind == TSPACE_PUT || action->kind == TSPACE_REMOVE)
        bind_bytes(stmt, 1, action->tuple->id, TSPACE_ID_BYTES);
    else
        bind_bytes(stmt, 1, action->request_id.data, action->request_id.len);
    if (action->kind == TSPACE_REMOVE)
        return PLEX_OK;
    bind_where(stmt, &action->where);
    if (action->kind == TSPACE_FORGET)
        return PLEX_OK;
    bind_bytes(stmt, 5, store->body.data, store->body.len);
    if (action->kind == TSPACE_REMEMBER)
        (void)sqlite3_bind_int64(stmt, 6, (sqlite3_int64)action->expires_ms);
    return PLEX_OK;
}

static enum plex_status
sqlite_apply(struct tspace_store *base, const struct tspace_action *action,
             struct plex_err *err)
{
    static const enum statement which[] = {
        [TSPACE_PUT] = PUT,
        [TSPACE_REMOVE] = REMOVE,
        [TSPACE_REMEMBER] = REMEMBER,
        [TSPACE_FORGET] = FORGET,
    };
    struct sqlite_store *store = (struct sqlite_store *)base;
    sqlite3_stmt *stmt = store->statements[which[action->kind]];
    enum plex_status status = bind_action(store, action, stmt, err);

    if (status == PLEX_OK && sqlite3_step(stmt) != SQLITE_DONE)
        status = failure(store, err);
    (void)sqlite3_reset(stmt);
    (void)sqlite3_clear_bindings(stmt);
    return status;
}

static struct plex_bytes
column_bytes(sqlite3_stmt *stmt, int column)
{
    return (struct plex_bytes){sqlite3_column_blob(stmt, column),
                               (size_t)sqlite3_column_bytes(stmt, column)};
}

static struct tspace_where
column_where(sqlite3_stmt *stmt)
{
    return (struct tspace_where){(const char *)sqlite3_column_text(stmt, 0),
                                 (const char *)sqlite3_column_text(stmt, 1),
                                 (const char *)sqlite3_column_text(stmt, 2)};
}

static enum plex_status
load_tuple(struct tspace_core *core, sqlite3_stmt *stmt,
           struct plex_arena *arena, struct plex_err *err)
{
    const struct tspace_where where = column_where(stmt);
    struct tspace_tuple tuple;

    if (tspace_tuple_decode(column_bytes(stmt, 3), arena, &tuple, err) !=
        PLEX_OK)
        return plex_err_wrap(err, "a tuple of space \"%s\"", where.space);
    tspace_core_restore_tuple(core, &where, &tuple);
    return PLEX_OK;
}

static enum plex_status
load_request(struct tspace_core *core, sqlite3_stmt *stmt,
             struct plex_arena *arena, struct plex_err *err)
{
    const struct tspace_where where = column_where(stmt);
    const struct plex_bytes id = column_bytes(stmt, 4);
    struct tspace_answer answer;

    if (id.len != TSPACE_ID_BYTES)
        return plex_err_set(err, PLEX_CORRUPT,
                            "a request id of space \"%s\" has %zu bytes",
                            where.space, id.len);
    if (tspace_answer_decode(column_bytes(stmt, 3), arena, &answer, err) !=
        PLEX_OK)
        return plex_err_wrap(err, "an answer of space \"%s\"", where.space);
    tspace_core_restore_request(core, &where, id,
                                (uint64_t)sqlite3_column_int64(stmt, 5),
                                &answer);
    return PLEX_OK;
}

static enum plex_status
load_rows(struct sqlite_store *store, const char *sql,
          struct tspace_core *core,
          enum plex_status (*row)(struct tspace_core *, sqlite3_stmt *,
                                  struct plex_arena *, struct plex_err *),
          struct plex_err *err)
{
    enum plex_status status = PLEX_OK;
    struct plex_arena arena;
    sqlite3_stmt *stmt;
    int code = SQLITE_DONE;

    if (prepare(store, sql, &stmt, err) != PLEX_OK)
        return err->status;
    plex_arena_init(&arena, LOAD_ROW_MAX);
    while (status == PLEX_OK && (code = sqlite3_step(stmt)) == SQLITE_ROW) {
        plex_arena_reset(&arena);
        status = row(core, stmt, &arena, err);
    }
    if (status == PLEX_OK && code != SQLITE_DONE)
        status = failure(store, err);
    plex_arena_fini(&arena);
    (void)sqlite3_finalize(stmt);
    return status;
}

static enum plex_status
sqlite_load(struct tspace_store *base, struct tspace_core *core,
            struct plex_err *err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    enum plex_status status;

    status = load_rows(store,
                       "SELECT tenant, namespace, space, body"
                       " FROM tspace_tuple ORDER BY seq",
                       core, load_tuple, err);
    if (status == PLEX_OK)
        status = load_rows(store,
                           "SELECT tenant, namespace, space, answer,"
                           " request_id, expires_ms FROM tspace_request"
                           " ORDER BY seq",
                           core, load_request, err);
    return status;
}

const struct tspace_store_ops tspace_store_sqlite = {
    .scheme = "sqlite:",
    .open = sqlite_open,
    .close = sqlite_close,
    .begin = sqlite_begin,
    .apply = sqlite_apply,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .load = sqlite_load,
};
