/* One SQLite file, opened by one process: WAL, every commit flushed. */
#include "common/mem.h"
#include "services/channel-broker/store_backend.h"
#include "channel_schema.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum { HEADERS_BYTES_MAX = 1 << 20 };

enum statement {
    PUT,
    REMOVE,
    REMOVE_DELIVERIES,
    GROUP,
    DELIVERY,
    REMEMBER,
    FORGET,
    N_STATEMENTS
};
static const char *const statements[N_STATEMENTS] = {
    [PUT] = "INSERT INTO channel_message (tenant, namespace, channel, seq, id,"
            " key, sent_ms, headers, payload)"
            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [REMOVE] = "DELETE FROM channel_message WHERE seq = ?4",
    [REMOVE_DELIVERIES] = "DELETE FROM channel_delivery WHERE seq = ?4",
    [GROUP] = "INSERT INTO channel_group (tenant, namespace, channel, name,"
              " from_seq) VALUES (?1, ?2, ?3, ?4, ?5)",
    [DELIVERY] = "INSERT OR REPLACE INTO channel_delivery (seq, name, state,"
                 " count) VALUES (?4, ?5, ?6, ?7)",
    [REMEMBER] = "INSERT OR REPLACE INTO channel_request (tenant, namespace,"
                 " channel, request_id, expires_ms, first_id, n)"
                 " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [FORGET] = "DELETE FROM channel_request WHERE tenant = ?1 AND"
               " namespace = ?2 AND channel = ?3 AND request_id = ?4",
};

struct sqlite_store {
    struct broker_store base;
    sqlite3 *db;
    sqlite3_stmt *statements[N_STATEMENTS];
    struct plex_buf headers;
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
                     " WHERE service = 'channel'",
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
        (int)(sizeof channel_schema / sizeof channel_schema[0]);
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
                               " ('channel', %d)",
                               version + 1);
        if (run(store, channel_schema[version], err) != PLEX_OK ||
            run(store, record, err) != PLEX_OK)
            return plex_err_wrap(err, "migration %d", version + 1);
    }
    return PLEX_OK;
}

static void
sqlite_close(struct broker_store *base)
{
    struct sqlite_store *store = (struct sqlite_store *)base;

    for (int i = 0; i < N_STATEMENTS; i++)
        (void)sqlite3_finalize(store->statements[i]);
    (void)sqlite3_close(store->db);
    plex_buf_free(&store->headers);
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
sqlite_open(struct broker_store **out, const char *path, struct plex_err *err)
{
    struct sqlite_store *store = plex_calloc(1, sizeof *store);

    store->headers.max = HEADERS_BYTES_MAX;
    if (sqlite_prepare(store, path, err) != PLEX_OK) {
        sqlite_close(&store->base);
        return err->status;
    }
    *out = &store->base;
    return PLEX_OK;
}

static enum plex_status
sqlite_begin(struct broker_store *base, struct plex_err *err)
{
    return run((struct sqlite_store *)base, "BEGIN", err);
}

static enum plex_status
sqlite_commit(struct broker_store *base, struct plex_err *err)
{
    return run((struct sqlite_store *)base, "COMMIT", err);
}

static void
sqlite_rollback(struct broker_store *base)
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
bind_number(sqlite3_stmt *stmt, int index, uint64_t number)
{
    (void)sqlite3_bind_int64(stmt, index, (sqlite3_int64)number);
}

static void
bind_text(sqlite3_stmt *stmt, int index, const char *text)
{
    (void)sqlite3_bind_text(stmt, index, text, -1, SQLITE_STATIC);
}

static enum plex_status
headers_encode(struct plex_buf *out, const struct broker_message *message,
               struct plex_err *err)
{
    out->len = 0;
    for (uint32_t i = 0; i < message->n_headers; i++) {
        const char *parts[] = {message->headers[i].name,
                               message->headers[i].value};

        for (int p = 0; p < 2; p++) {
            const size_t len = strlen(parts[p]) + 1;
            uint8_t *at = plex_buf_grow(out, len);

            if (at == NULL)
                return plex_err_set(err, PLEX_TOO_LARGE,
                                    "headers have more than %zu bytes",
                                    out->max);
            memcpy(at, parts[p], len);
        }
    }
    return PLEX_OK;
}

static enum plex_status
bind_message(struct sqlite_store *store, sqlite3_stmt *stmt,
             const struct broker_message *message, struct plex_err *err)
{
    if (headers_encode(&store->headers, message, err) != PLEX_OK)
        return err->status;
    bind_number(stmt, 4, message->seq);
    bind_bytes(stmt, 5, message->id, BROKER_ID_BYTES);
    bind_text(stmt, 6, message->key);
    bind_number(stmt, 7, message->sent_ms);
    bind_bytes(stmt, 8, store->headers.data, store->headers.len);
    bind_bytes(stmt, 9, message->payload.data, message->payload.len);
    return PLEX_OK;
}

static enum plex_status
bind_action(struct sqlite_store *store, sqlite3_stmt *stmt,
            const struct broker_action *action, struct plex_err *err)
{
    if (action->kind != BROKER_REMOVE && action->kind != BROKER_DELIVERY) {
        bind_text(stmt, 1, action->where.tenant);
        bind_text(stmt, 2, action->where.ns);
        bind_text(stmt, 3, action->where.channel);
    }
    switch (action->kind) {
    case BROKER_PUT:
        return bind_message(store, stmt, action->message, err);
    case BROKER_REMOVE:
        bind_number(stmt, 4, action->message->seq);
        break;
    case BROKER_GROUP:
        bind_text(stmt, 4, action->group);
        bind_number(stmt, 5, action->from_seq);
        break;
    case BROKER_DELIVERY:
        bind_number(stmt, 4, action->message->seq);
        bind_text(stmt, 5, action->group);
        bind_number(stmt, 6, (uint64_t)action->state);
        bind_number(stmt, 7, action->count);
        break;
    case BROKER_REMEMBER:
        bind_number(stmt, 5, action->expires_ms);
        bind_bytes(stmt, 6, action->first_id, BROKER_ID_BYTES);
        bind_number(stmt, 7, action->n);
        bind_bytes(stmt, 4, action->request_id.data, action->request_id.len);
        break;
    case BROKER_FORGET:
        bind_bytes(stmt, 4, action->request_id.data, action->request_id.len);
        break;
    case BROKER_REPLY:
        break;
    }
    return PLEX_OK;
}

static enum plex_status
statement_run(struct sqlite_store *store, enum statement which,
              const struct broker_action *action, struct plex_err *err)
{
    sqlite3_stmt *stmt = store->statements[which];
    enum plex_status status = bind_action(store, stmt, action, err);

    if (status == PLEX_OK && sqlite3_step(stmt) != SQLITE_DONE)
        status = failure(store, err);
    (void)sqlite3_reset(stmt);
    (void)sqlite3_clear_bindings(stmt);
    return status;
}

static enum plex_status
sqlite_apply(struct broker_store *base, const struct broker_action *action,
             struct plex_err *err)
{
    static const enum statement which[] = {
        [BROKER_PUT] = PUT,
        [BROKER_REMOVE] = REMOVE,
        [BROKER_GROUP] = GROUP,
        [BROKER_DELIVERY] = DELIVERY,
        [BROKER_REMEMBER] = REMEMBER,
        [BROKER_FORGET] = FORGET,
    };
    struct sqlite_store *store = (struct sqlite_store *)base;

    if (statement_run(store, which[action->kind], action, err) != PLEX_OK)
        return err->status;
    if (action->kind != BROKER_REMOVE)
        return PLEX_OK;
    return statement_run(store, REMOVE_DELIVERIES, action, err);
}

/* -- loading ---------------------------------------------------------------- */

static struct plex_bytes
column_bytes(sqlite3_stmt *stmt, int column)
{
    return (struct plex_bytes){sqlite3_column_blob(stmt, column),
                               (size_t)sqlite3_column_bytes(stmt, column)};
}

static const char *
column_text(sqlite3_stmt *stmt, int column)
{
    return (const char *)sqlite3_column_text(stmt, column);
}

static struct broker_where
column_where(sqlite3_stmt *stmt)
{
    return (struct broker_where){column_text(stmt, 0), column_text(stmt, 1),
                                 column_text(stmt, 2)};
}

static enum plex_status
load_group(struct broker_core *core, sqlite3_stmt *stmt, struct plex_err *err)
{
    const struct broker_where where = column_where(stmt);

    (void)err;
    broker_core_restore_group(core, &where, column_text(stmt, 3),
                              (uint64_t)sqlite3_column_int64(stmt, 4));
    return PLEX_OK;
}

/* False when it is not a list of pairs of strings. */
static bool
headers_decode(struct plex_bytes in, struct broker_header *headers,
               uint32_t *n)
{
    const char *at = (const char *)in.data, *end = at + in.len;

    for (*n = 0; at != end; (*n)++) {
        const char *parts[2];

        if (*n == BROKER_HEADERS_MAX)
            return false;
        for (int p = 0; p < 2; p++) {
            const size_t len = strnlen(at, (size_t)(end - at));

            if (len == (size_t)(end - at))
                return false;
            parts[p] = at;
            at += len + 1;
        }
        headers[*n] = (struct broker_header){parts[0], parts[1]};
    }
    return true;
}

static enum plex_status
load_message(struct broker_core *core, sqlite3_stmt *stmt,
             struct plex_err *err)
{
    struct broker_header headers[BROKER_HEADERS_MAX];
    const struct broker_where where = column_where(stmt);
    const struct plex_bytes id = column_bytes(stmt, 4);
    struct broker_message message = {
        .seq = (uint64_t)sqlite3_column_int64(stmt, 3),
        .key = column_text(stmt, 5),
        .sent_ms = (uint64_t)sqlite3_column_int64(stmt, 6),
        .payload = column_bytes(stmt, 8),
        .headers = headers,
    };

    if (id.len != BROKER_ID_BYTES ||
        !headers_decode(column_bytes(stmt, 7), headers, &message.n_headers))
        return plex_err_set(err, PLEX_CORRUPT,
                            "message %llu of channel \"%s\" does not decode",
                            (unsigned long long)message.seq, where.channel);
    memcpy(message.id, id.data, BROKER_ID_BYTES);
    broker_core_restore_message(core, &where, &message);
    return PLEX_OK;
}

static enum plex_status
load_delivery(struct broker_core *core, sqlite3_stmt *stmt,
              struct plex_err *err)
{
    const uint64_t seq = (uint64_t)sqlite3_column_int64(stmt, 0);
    const char *name = column_text(stmt, 1);

    if (!broker_core_restore_delivery(
            core, seq, name,
            (enum broker_delivery_state)sqlite3_column_int(stmt, 2),
            (uint32_t)sqlite3_column_int(stmt, 3)))
        return plex_err_set(err, PLEX_CORRUPT,
                            "a delivery of message %llu to group \"%s\" "
                            "belongs to nothing",
                            (unsigned long long)seq, name);
    return PLEX_OK;
}

static enum plex_status
load_request(struct broker_core *core, sqlite3_stmt *stmt,
             struct plex_err *err)
{
    const struct broker_where where = column_where(stmt);
    const struct plex_bytes id = column_bytes(stmt, 3);
    const struct plex_bytes first = column_bytes(stmt, 5);

    if (id.len != BROKER_ID_BYTES || first.len != BROKER_ID_BYTES)
        return plex_err_set(err, PLEX_CORRUPT,
                            "a request id of channel \"%s\" does not decode",
                            where.channel);
    broker_core_restore_request(core, &where, id,
                                (uint64_t)sqlite3_column_int64(stmt, 4),
                                first.data,
                                (uint32_t)sqlite3_column_int(stmt, 6));
    return PLEX_OK;
}

static const struct {
    const char *sql;
    enum plex_status (*row)(struct broker_core *, sqlite3_stmt *,
                            struct plex_err *);
} loads[] = {
    {"SELECT tenant, namespace, channel, name, from_seq FROM channel_group"
     " ORDER BY rowid",
     load_group},
    {"SELECT tenant, namespace, channel, seq, id, key, sent_ms, headers,"
     " payload FROM channel_message ORDER BY seq",
     load_message},
    {"SELECT seq, name, state, count FROM channel_delivery ORDER BY seq, name",
     load_delivery},
    {"SELECT tenant, namespace, channel, request_id, expires_ms, first_id, n"
     " FROM channel_request ORDER BY seq",
     load_request},
};

static enum plex_status
sqlite_load(struct broker_store *base, struct broker_core *core,
            struct plex_err *err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    enum plex_status status = PLEX_OK;

    for (size_t i = 0; i < sizeof loads / sizeof loads[0]; i++) {
        sqlite3_stmt *stmt;
        int code = SQLITE_DONE;

        if (prepare(store, loads[i].sql, &stmt, err) != PLEX_OK)
            return err->status;
        while (status == PLEX_OK &&
               (code = sqlite3_step(stmt)) == SQLITE_ROW)
            status = loads[i].row(core, stmt, err);
        if (status == PLEX_OK && code != SQLITE_DONE)
            status = failure(store, err);
        (void)sqlite3_finalize(stmt);
        if (status != PLEX_OK)
            return status;
    }
    return PLEX_OK;
}

const struct broker_store_ops broker_store_sqlite = {
    .scheme = "sqlite:",
    .open = sqlite_open,
    .close = sqlite_close,
    .begin = sqlite_begin,
    .apply = sqlite_apply,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .load = sqlite_load,
};
