/* One SQLite file, opened by one process: WAL, every commit flushed. */
#include "common/mem.h"
#include "common/sqlite_db.h"
#include "services/tuplespace/store_backend.h"
#include "services/tuplespace/tuple.h"
#include "tuplespace_sqlite_schema.h"

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
    struct plex_sqlite sqlite;
    sqlite3_stmt *statements[N_STATEMENTS];
    struct plex_buf body;
};

static void
sqlite_close(struct tspace_store *base)
{
    struct sqlite_store *store = (struct sqlite_store *)base;

    for (int i = 0; i < N_STATEMENTS; i++)
        (void)sqlite3_finalize(store->statements[i]);
    plex_sqlite_close(&store->sqlite);
    plex_buf_free(&store->body);
    free(store);
}

static enum plex_status
sqlite_open(struct tspace_store **out, const char *path, struct plex_err *err)
{
    const struct plex_sqlite_config config = {
        .path = path,
        .service = "tuplespace",
        .schema = tuplespace_sqlite_schema,
        .n_schema = sizeof tuplespace_sqlite_schema /
                    sizeof tuplespace_sqlite_schema[0],
        .owner = PLEX_SQLITE_ALONE,
    };
    struct sqlite_store *store = plex_calloc(1, sizeof *store);

    store->body.max = LOAD_ROW_MAX;
    if (plex_sqlite_open(&store->sqlite, &config, err) != PLEX_OK ||
        plex_sqlite_prepare_all(&store->sqlite, statements, N_STATEMENTS,
                                store->statements, err) != PLEX_OK) {
        sqlite_close(&store->base);
        return err->status;
    }
    *out = &store->base;
    return PLEX_OK;
}

static enum plex_status
sqlite_begin(struct tspace_store *base, struct plex_err *err)
{
    return plex_sqlite_run(&((struct sqlite_store *)base)->sqlite, "BEGIN",
                           err);
}

static enum plex_status
sqlite_commit(struct tspace_store *base, struct plex_err *err)
{
    return plex_sqlite_run(&((struct sqlite_store *)base)->sqlite, "COMMIT",
                           err);
}

static void
sqlite_rollback(struct tspace_store *base)
{
    plex_sqlite_rollback(&((struct sqlite_store *)base)->sqlite);
}

static void
bind_bytes(sqlite3_stmt *stmt, int index, const void *data, size_t len)
{
    plex_sqlite_bind_bytes(stmt, index, (struct plex_bytes){data, len});
}

static void
bind_where(sqlite3_stmt *stmt, const struct tspace_where *where)
{
    plex_sqlite_bind_text(stmt, 2, where->tenant);
    plex_sqlite_bind_text(stmt, 3, where->ns);
    plex_sqlite_bind_text(stmt, 4, where->space);
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

    if (status != PLEX_OK)
        return status;
    return plex_sqlite_step(&store->sqlite, stmt, err);
}

static struct tspace_where
column_where(sqlite3_stmt *stmt)
{
    return (struct tspace_where){plex_sqlite_text(stmt, 0),
                                 plex_sqlite_text(stmt, 1),
                                 plex_sqlite_text(stmt, 2)};
}

/* What is restored, and memory for one row. */
struct loading {
    struct tspace_core *core;
    struct plex_arena arena;
};

static enum plex_status
load_tuple(void *arg, sqlite3_stmt *row, struct plex_err *err)
{
    struct loading *loading = arg;
    const struct tspace_where where = column_where(row);
    struct tspace_tuple tuple;

    plex_arena_reset(&loading->arena);
    if (tspace_tuple_decode(plex_sqlite_bytes(row, 3), &loading->arena, &tuple,
                            err) != PLEX_OK)
        return plex_err_wrap(err, "a tuple of space \"%s\"", where.space);
    tspace_core_restore_tuple(loading->core, &where, &tuple);
    return PLEX_OK;
}

static enum plex_status
load_request(void *arg, sqlite3_stmt *row, struct plex_err *err)
{
    struct loading *loading = arg;
    const struct tspace_where where = column_where(row);
    const struct plex_bytes id = plex_sqlite_bytes(row, 4);
    struct tspace_answer answer;

    if (id.len != TSPACE_ID_BYTES)
        return plex_err_set(err, PLEX_CORRUPT,
                            "a request id of space \"%s\" has %zu bytes",
                            where.space, id.len);
    plex_arena_reset(&loading->arena);
    if (tspace_answer_decode(plex_sqlite_bytes(row, 3), &loading->arena,
                             &answer, err) != PLEX_OK)
        return plex_err_wrap(err, "an answer of space \"%s\"", where.space);
    tspace_core_restore_request(loading->core, &where, id,
                                plex_sqlite_u64(row, 5), &answer);
    return PLEX_OK;
}

static enum plex_status
sqlite_load(struct tspace_store *base, struct tspace_core *core,
            struct plex_err *err)
{
    struct plex_sqlite *sqlite = &((struct sqlite_store *)base)->sqlite;
    struct loading loading = {.core = core};
    enum plex_status status;

    plex_arena_init(&loading.arena, LOAD_ROW_MAX);
    status = plex_sqlite_each(sqlite,
                              "SELECT tenant, namespace, space, body"
                              " FROM tspace_tuple ORDER BY seq",
                              load_tuple, &loading, err);
    if (status == PLEX_OK)
        status = plex_sqlite_each(
            sqlite,
            "SELECT tenant, namespace, space, answer, request_id, expires_ms"
            " FROM tspace_request ORDER BY seq",
            load_request, &loading, err);
    plex_arena_fini(&loading.arena);
    return status;
}

const struct tspace_store_ops tspace_store_sqlite = {
    .scheme = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .begin = sqlite_begin,
    .apply = sqlite_apply,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .load = sqlite_load,
};
