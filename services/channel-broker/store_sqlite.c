/* One SQLite file, opened by one process: WAL, every commit flushed. */
#include "channel_sqlite_schema.h"
#include "common/mem.h"
#include "common/sqlite_db.h"
#include "services/channel-broker/store_backend.h"

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
    struct plex_sqlite sqlite;
    sqlite3_stmt *statements[N_STATEMENTS];
    struct plex_buf headers;
};

static void
sqlite_close(struct broker_store *base)
{
    struct sqlite_store *store = (struct sqlite_store *)base;

    for (int i = 0; i < N_STATEMENTS; i++)
        (void)sqlite3_finalize(store->statements[i]);
    plex_sqlite_close(&store->sqlite);
    plex_buf_free(&store->headers);
    free(store);
}

static enum plex_status
sqlite_open(struct broker_store **out, const char *path, struct plex_err *err)
{
    const struct plex_sqlite_config config = {
        .path = path,
        .service = "channel",
        .schema = channel_sqlite_schema,
        .n_schema =
            sizeof channel_sqlite_schema / sizeof channel_sqlite_schema[0],
        .owner = PLEX_SQLITE_ALONE,
    };
    struct sqlite_store *store = plex_calloc(1, sizeof *store);

    store->headers.max = HEADERS_BYTES_MAX;
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
sqlite_begin(struct broker_store *base, struct plex_err *err)
{
    return plex_sqlite_run(&((struct sqlite_store *)base)->sqlite, "BEGIN",
                           err);
}

static enum plex_status
sqlite_commit(struct broker_store *base, struct plex_err *err)
{
    return plex_sqlite_run(&((struct sqlite_store *)base)->sqlite, "COMMIT",
                           err);
}

static void
sqlite_rollback(struct broker_store *base)
{
    plex_sqlite_rollback(&((struct sqlite_store *)base)->sqlite);
}

static void
bind_bytes(sqlite3_stmt *stmt, int index, const void *data, size_t len)
{
    plex_sqlite_bind_bytes(stmt, index, (struct plex_bytes){data, len});
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
    plex_sqlite_bind_u64(stmt, 4, message->seq);
    bind_bytes(stmt, 5, message->id, BROKER_ID_BYTES);
    plex_sqlite_bind_text(stmt, 6, message->key);
    plex_sqlite_bind_u64(stmt, 7, message->sent_ms);
    bind_bytes(stmt, 8, store->headers.data, store->headers.len);
    bind_bytes(stmt, 9, message->payload.data, message->payload.len);
    return PLEX_OK;
}

static enum plex_status
bind_action(struct sqlite_store *store, sqlite3_stmt *stmt,
            const struct broker_action *action, struct plex_err *err)
{
    if (action->kind != BROKER_REMOVE && action->kind != BROKER_DELIVERY) {
        plex_sqlite_bind_text(stmt, 1, action->where.tenant);
        plex_sqlite_bind_text(stmt, 2, action->where.ns);
        plex_sqlite_bind_text(stmt, 3, action->where.channel);
    }
    switch (action->kind) {
    case BROKER_PUT:
        return bind_message(store, stmt, action->message, err);
    case BROKER_REMOVE:
        plex_sqlite_bind_u64(stmt, 4, action->message->seq);
        break;
    case BROKER_GROUP:
        plex_sqlite_bind_text(stmt, 4, action->group);
        plex_sqlite_bind_u64(stmt, 5, action->from_seq);
        break;
    case BROKER_DELIVERY:
        plex_sqlite_bind_u64(stmt, 4, action->message->seq);
        plex_sqlite_bind_text(stmt, 5, action->group);
        plex_sqlite_bind_u64(stmt, 6, (uint64_t)action->state);
        plex_sqlite_bind_u64(stmt, 7, action->count);
        break;
    case BROKER_REMEMBER:
        plex_sqlite_bind_u64(stmt, 5, action->expires_ms);
        bind_bytes(stmt, 6, action->first_id, BROKER_ID_BYTES);
        plex_sqlite_bind_u64(stmt, 7, action->n);
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

    if (status != PLEX_OK)
        return status;
    return plex_sqlite_step(&store->sqlite, stmt, err);
}

static enum plex_status
sqlite_apply(struct broker_store *base, const struct broker_action *action,
             struct plex_err *err)
{
    static const enum statement which[] = {
        [BROKER_PUT] = PUT,           [BROKER_REMOVE] = REMOVE,
        [BROKER_GROUP] = GROUP,       [BROKER_DELIVERY] = DELIVERY,
        [BROKER_REMEMBER] = REMEMBER, [BROKER_FORGET] = FORGET,
    };
    struct sqlite_store *store = (struct sqlite_store *)base;

    if (statement_run(store, which[action->kind], action, err) != PLEX_OK)
        return err->status;
    if (action->kind != BROKER_REMOVE)
        return PLEX_OK;
    return statement_run(store, REMOVE_DELIVERIES, action, err);
}

/* -- loading --------------------------------------------------------------- */

static struct broker_where
column_where(sqlite3_stmt *stmt)
{
    return (struct broker_where){plex_sqlite_text(stmt, 0),
                                 plex_sqlite_text(stmt, 1),
                                 plex_sqlite_text(stmt, 2)};
}

static enum plex_status
load_group(void *core, sqlite3_stmt *stmt, struct plex_err *err)
{
    const struct broker_where where = column_where(stmt);

    (void)err;
    broker_core_restore_group(core, &where, plex_sqlite_text(stmt, 3),
                              plex_sqlite_u64(stmt, 4));
    return PLEX_OK;
}

/* False when it is not a list of pairs of strings. */
static bool
headers_decode(struct plex_bytes in, struct broker_header *headers, uint32_t *n)
{
    /* An empty blob has no address. */
    const char *at = in.len > 0 ? (const char *)in.data : "";
    const char *end = at + in.len;

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
load_message(void *core, sqlite3_stmt *stmt, struct plex_err *err)
{
    struct broker_header headers[BROKER_HEADERS_MAX];
    const struct broker_where where = column_where(stmt);
    const struct plex_bytes id = plex_sqlite_bytes(stmt, 4);
    struct broker_message message = {
        .seq = plex_sqlite_u64(stmt, 3),
        .key = plex_sqlite_text(stmt, 5),
        .sent_ms = plex_sqlite_u64(stmt, 6),
        .payload = plex_sqlite_bytes(stmt, 8),
        .headers = headers,
    };

    if (id.len != BROKER_ID_BYTES ||
        !headers_decode(plex_sqlite_bytes(stmt, 7), headers,
                        &message.n_headers))
        return plex_err_set(err, PLEX_CORRUPT,
                            "message %llu of channel \"%s\" does not decode",
                            (unsigned long long)message.seq, where.channel);
    memcpy(message.id, id.data, BROKER_ID_BYTES);
    broker_core_restore_message(core, &where, &message);
    return PLEX_OK;
}

static enum plex_status
load_delivery(void *core, sqlite3_stmt *stmt, struct plex_err *err)
{
    const uint64_t seq = plex_sqlite_u64(stmt, 0);
    const char *name = plex_sqlite_text(stmt, 1);

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
load_request(void *core, sqlite3_stmt *stmt, struct plex_err *err)
{
    const struct broker_where where = column_where(stmt);
    const struct plex_bytes id = plex_sqlite_bytes(stmt, 3);
    const struct plex_bytes first = plex_sqlite_bytes(stmt, 5);

    if (id.len != BROKER_ID_BYTES || first.len != BROKER_ID_BYTES)
        return plex_err_set(err, PLEX_CORRUPT,
                            "a request id of channel \"%s\" does not decode",
                            where.channel);
    broker_core_restore_request(core, &where, id, plex_sqlite_u64(stmt, 4),
                                first.data,
                                (uint32_t)sqlite3_column_int(stmt, 6));
    return PLEX_OK;
}

static const struct {
    const char *sql;
    plex_sqlite_row_fn row;
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
    struct plex_sqlite *sqlite = &((struct sqlite_store *)base)->sqlite;

    for (size_t i = 0; i < sizeof loads / sizeof loads[0]; i++)
        if (plex_sqlite_each(sqlite, loads[i].sql, loads[i].row, core, err) !=
            PLEX_OK)
            return err->status;
    return PLEX_OK;
}

const struct broker_store_ops broker_store_sqlite = {
    .scheme = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .begin = sqlite_begin,
    .apply = sqlite_apply,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .load = sqlite_load,
};
