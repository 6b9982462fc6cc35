#include "services/journal/store_pg.h"

#include <arpa/inet.h>
#include <assert.h>
#include <endian.h>
#include <string.h>

/* Parameters in Postgres' binary format. Element types by their fixed oids. */
enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_TEXT = 25,
    ARRAY_COUNT_AT = 12
};

static void
put(struct plex_buf *buf, const void *data, size_t len)
{
    uint8_t *to = plex_buf_grow(buf, len);

    assert(to != NULL); /* a commit is bounded far below the maximum */
    if (len > 0)
        memcpy(to, data, len);
}

static void
put_u32(struct plex_buf *buf, uint32_t value)
{
    const uint32_t be = htonl(value);

    put(buf, &be, sizeof be);
}

static void
put_u64(struct plex_buf *buf, uint64_t value)
{
    const uint64_t be = htobe64(value);

    put(buf, &be, sizeof be);
}

static struct plex_buf *
param_next(struct pg_store *store)
{
    struct plex_buf *buf;

    assert(store->n_params < PG_PARAMS_MAX);
    buf = &store->params[store->n_params++];
    buf->max = 1 << 30;
    buf->len = 0;
    return buf;
}

void
journal_pg_param_u64(struct pg_store *store, uint64_t value)
{
    put_u64(param_next(store), value);
}

void
journal_pg_param_bytes(struct pg_store *store, struct plex_bytes bytes)
{
    put(param_next(store), bytes.data, bytes.len);
}

void
journal_pg_param_text(struct pg_store *store, const char *text, size_t len)
{
    put(param_next(store), text, len);
}

/* Header: dimensions, has nulls, element type, then per dimension its length
 * (patched as elements come) and lower bound. */
static void
array_begin(struct pg_store *store, uint32_t oid)
{
    struct plex_buf *buf = param_next(store);

    put_u32(buf, 1);
    put_u32(buf, 0);
    put_u32(buf, oid);
    put_u32(buf, 0);
    put_u32(buf, 1);
}

void
journal_pg_array_u64(struct pg_store *store)
{
    array_begin(store, OID_INT8);
}

void
journal_pg_array_bytes(struct pg_store *store)
{
    array_begin(store, OID_BYTEA);
}

void
journal_pg_array_text(struct pg_store *store)
{
    array_begin(store, OID_TEXT);
}

static struct plex_buf *
array_grow(struct pg_store *store, int back)
{
    struct plex_buf *buf = &store->params[store->n_params - 1 - back];
    uint32_t n;

    memcpy(&n, buf->data + ARRAY_COUNT_AT, sizeof n);
    n = htonl(ntohl(n) + 1);
    memcpy(buf->data + ARRAY_COUNT_AT, &n, sizeof n);
    return buf;
}

void
journal_pg_add_u64(struct pg_store *store, int back, uint64_t value)
{
    struct plex_buf *buf = array_grow(store, back);

    put_u32(buf, sizeof value);
    put_u64(buf, value);
}

void
journal_pg_add_bytes(struct pg_store *store, int back, struct plex_bytes bytes)
{
    struct plex_buf *buf = array_grow(store, back);

    put_u32(buf, (uint32_t)bytes.len);
    put(buf, bytes.data, bytes.len);
}

/* -- rows: their length, patched at the end, then the number of columns, then
 * type, length and value of each. */

static struct plex_buf *
newest(struct pg_store *store)
{
    return &store->params[store->n_params - 1];
}

void
journal_pg_array_turns(struct pg_store *store)
{
    array_begin(store, store->turn_oid);
}

void
journal_pg_row_begin(struct pg_store *store, uint32_t n_columns)
{
    struct plex_buf *buf = array_grow(store, 0);

    store->row_at = buf->len;
    put_u32(buf, 0);
    put_u32(buf, n_columns);
}

void
journal_pg_row_u64(struct pg_store *store, uint64_t value)
{
    struct plex_buf *buf = newest(store);

    put_u32(buf, OID_INT8);
    put_u32(buf, sizeof value);
    put_u64(buf, value);
}

void
journal_pg_row_bool(struct pg_store *store, bool value)
{
    struct plex_buf *buf = newest(store);

    put_u32(buf, OID_BOOL);
    put_u32(buf, 1);
    put(buf, value ? "\1" : "\0", 1);
}

void
journal_pg_row_bytes(struct pg_store *store, struct plex_bytes bytes)
{
    struct plex_buf *buf = newest(store);

    put_u32(buf, OID_BYTEA);
    put_u32(buf, (uint32_t)bytes.len);
    put(buf, bytes.data, bytes.len);
}

void
journal_pg_row_end(struct pg_store *store)
{
    struct plex_buf *buf = newest(store);
    const uint32_t len =
        htonl((uint32_t)(buf->len - store->row_at - sizeof len));

    memcpy(buf->data + store->row_at, &len, sizeof len);
}

bool
journal_pg_send(struct pg_store *store, enum pg_statement which)
{
    const char *values[PG_PARAMS_MAX];
    int lengths[PG_PARAMS_MAX], formats[PG_PARAMS_MAX];
    const int n = store->n_params;
    char name[16] = "journal_00";

    for (int i = 0; i < n; i++) {
        const struct plex_buf *buf = &store->params[i];

        values[i] = buf->len ? (const char *)buf->data : "";
        lengths[i] = (int)buf->len;
        formats[i] = 1;
    }
    store->n_params = 0;
    store->n_sent++;
    name[8] = (char)('0' + which / 10);
    name[9] = (char)('0' + which % 10);
    return PQsendQueryPrepared(store->conn, name, n, values, lengths, formats,
                               1) == 1;
}

uint64_t
journal_pg_u64(const PGresult *result, int row, int column)
{
    uint64_t be;

    if (PQgetlength(result, row, column) != sizeof be)
        return 0;
    memcpy(&be, PQgetvalue(result, row, column), sizeof be);
    return be64toh(be);
}

struct plex_bytes
journal_pg_bytes(const PGresult *result, int row, int column)
{
    return (struct plex_bytes){(const uint8_t *)PQgetvalue(result, row, column),
                               (size_t)PQgetlength(result, row, column)};
}
