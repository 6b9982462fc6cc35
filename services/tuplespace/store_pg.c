/*
 * Postgres over libpq. What an iteration changed goes out as one statement,
 * which is one transaction and one round trip; the epoch's row is locked and
 * looked at in it. It is sent and waited for apart. A connection that was lost
 * ends the store: the service opens a new one, which raises the epoch.
 */
#include "common/mem.h"
#include "common/pg_db.h"
#include "services/tuplespace/store_backend.h"
#include "tuplespace_postgres_schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    ARRAY_HEAD = 20, /* dimensions, nulls, type, size, lower bound */
    LOAD_PAGE = 2000,
};

static const char prepare_sql[] =
    "PREPARE tspace_commit (int, bigint, bigint[], bigint[], int[], bytea[],"
    " int[], smallint[], bytea[], int[], smallint[], bytea[], bytea[]) AS"
    " WITH fence AS MATERIALIZED (SELECT 1 FROM tspace_epoch"
    "  WHERE shard = $1 AND epoch = $2 FOR SHARE),"
    " a AS (DELETE FROM tspace_item WHERE shard = $1 AND id = ANY($3)"
    "  AND EXISTS (SELECT 1 FROM fence)),"
    " b AS (INSERT INTO tspace_item (shard, id, place, body)"
    "  SELECT $1, n.* FROM unnest($4, $5, $6) n"
    "  WHERE EXISTS (SELECT 1 FROM fence)"
    "  ON CONFLICT (shard, id) DO UPDATE SET place = excluded.place,"
    "  body = excluded.body),"
    " c AS (DELETE FROM tspace_record t"
    "  USING unnest($7, $8, $9) AS d (place, record, key)"
    "  WHERE t.shard = $1 AND t.key = d.key AND t.record = d.record"
    "  AND t.place = d.place AND EXISTS (SELECT 1 FROM fence)),"
    " d AS (INSERT INTO tspace_record (shard, place, record, key, body)"
    "  SELECT $1, n.* FROM unnest($10, $11, $12, $13) n"
    "  WHERE EXISTS (SELECT 1 FROM fence)"
    "  ON CONFLICT (shard, key, record, place)"
    "  DO UPDATE SET body = excluded.body)"
    " SELECT count(*) FROM fence";
static const char verify_sql[] =
    "PREPARE tspace_verify (int, bigint) AS SELECT count(*) FROM tspace_epoch"
    " WHERE shard = $1 AND epoch = $2";
/* Plans are made once, when the tables may still be empty. */
static const char settings_sql[] =
    "SET enable_seqscan = off; SET enable_hashjoin = off;"
    "SET enable_mergejoin = off; SET plan_cache_mode = force_generic_plan";

/* The parameters of the statement, from the third on. */
enum array {
    ITEM_GONE,
    ITEM_ID,
    ITEM_PLACE,
    ITEM_BODY,
    GONE_PLACE,
    GONE_RECORD,
    GONE_KEY,
    PUT_PLACE,
    PUT_RECORD,
    PUT_KEY,
    PUT_BODY,
    N_ARRAYS,
};
static const uint32_t array_types[N_ARRAYS] = {
    [ITEM_GONE] = OID_INT8,  [ITEM_ID] = OID_INT8,    [ITEM_PLACE] = OID_INT4,
    [ITEM_BODY] = OID_BYTEA, [GONE_PLACE] = OID_INT4, [GONE_RECORD] = OID_INT2,
    [GONE_KEY] = OID_BYTEA,  [PUT_PLACE] = OID_INT4,  [PUT_RECORD] = OID_INT2,
    [PUT_KEY] = OID_BYTEA,   [PUT_BODY] = OID_BYTEA,
};

struct pg_store {
    struct tspace_store base;
    struct plex_pg pg;
    uint32_t shard;
    uint64_t epoch;
    struct plex_buf arrays[N_ARRAYS];
    uint32_t counts[N_ARRAYS];
};

static enum plex_status
pg_check(const char *rest, struct plex_err *err)
{
    if (rest[0] != '\0')
        return PLEX_OK;
    return plex_err_set(err, PLEX_INVALID,
                        "store \"postgres:\" names no database; "
                        "\"postgres://USER@HOST/DATABASE\" does");
}

static void
pg_close(struct tspace_store *base)
{
    struct pg_store *store = (struct pg_store *)base;

    for (int i = 0; i < N_ARRAYS; i++)
        plex_buf_free(&store->arrays[i]);
    plex_pg_close(&store->pg);
    free(store);
}

static enum plex_status
epoch_raise(struct pg_store *store, struct plex_err *err)
{
    struct plex_pg_params params = {0};
    uint64_t rows;

    plex_pg_add_u64(&params, store->shard);
    if (plex_pg_execute(&store->pg,
                        "INSERT INTO tspace_epoch VALUES ($1::int, 1)"
                        " ON CONFLICT (shard) DO UPDATE"
                        " SET epoch = tspace_epoch.epoch + 1 RETURNING epoch",
                        &params, &rows, &store->epoch, err) != PLEX_OK)
        return err->status;
    return PLEX_OK;
}

static enum plex_status
pg_open(struct tspace_store **out, const char *dsn, uint32_t shard,
        uint64_t *epoch, struct plex_err *err)
{
    const struct plex_pg_config config = {
        .dsn = dsn,
        .service = "tuplespace",
        .schema = tuplespace_postgres_schema,
        .n_schema = sizeof tuplespace_postgres_schema /
                    sizeof tuplespace_postgres_schema[0],
    };
    struct pg_store *store = plex_calloc(1, sizeof *store);

    store->shard = shard;
    for (int i = 0; i < N_ARRAYS; i++)
        store->arrays[i].max = 1 << 30;
    if (plex_pg_open(&store->pg, &config, err) != PLEX_OK ||
        plex_pg_run(&store->pg, settings_sql, err) != PLEX_OK ||
        plex_pg_run(&store->pg, prepare_sql, err) != PLEX_OK ||
        plex_pg_run(&store->pg, verify_sql, err) != PLEX_OK ||
        epoch_raise(store, err) != PLEX_OK) {
        pg_close(&store->base);
        return err->status;
    }
    *epoch = store->epoch;
    *out = &store->base;
    return PLEX_OK;
}

/* -- arrays ------------------------------------------------------------------
 */

static void
put_be(uint8_t *to, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        to[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
}

static void
arrays_begin(struct pg_store *store)
{
    for (int i = 0; i < N_ARRAYS; i++) {
        store->arrays[i].len = 0;
        store->counts[i] = 0;
        (void)!plex_buf_grow(&store->arrays[i], ARRAY_HEAD);
    }
}

static enum plex_status
array_add(struct pg_store *store, enum array which, struct plex_bytes bytes,
          struct plex_err *err)
{
    uint8_t *to = plex_buf_grow(&store->arrays[which], 4 + bytes.len);

    if (to == NULL)
        return plex_err_set(err, PLEX_LIMIT, "one transaction is too large");
    put_be(to, bytes.len, 4);
    if (bytes.len > 0)
        memcpy(to + 4, bytes.data, bytes.len);
    store->counts[which]++;
    return PLEX_OK;
}

static enum plex_status
array_add_number(struct pg_store *store, enum array which, uint64_t number,
                 struct plex_err *err)
{
    const size_t size = array_types[which] == OID_INT8   ? 8
                        : array_types[which] == OID_INT4 ? 4
                                                         : 2;
    uint8_t bytes[8];

    put_be(bytes, number, size);
    return array_add(store, which, (struct plex_bytes){bytes, size}, err);
}

static void
array_end(struct pg_store *store, int which)
{
    struct plex_buf *buf = &store->arrays[which];
    const bool empty = store->counts[which] == 0;

    put_be(buf->data, empty ? 0 : 1, 4);
    put_be(buf->data + 4, 0, 4);
    put_be(buf->data + 8, array_types[which], 4);
    put_be(buf->data + 12, store->counts[which], 4);
    put_be(buf->data + 16, 1, 4);
    if (empty)
        buf->len = 12;
}

/* -- commit ------------------------------------------------------------------
 */

static enum plex_status
place_add(struct pg_store *store, struct tspace_place *place,
          struct plex_err *err)
{
    struct plex_pg_params params = {0};
    uint64_t rows;

    plex_pg_add_text(&params, place->where.tenant);
    plex_pg_add_text(&params, place->where.ns);
    plex_pg_add_text(&params, place->where.space);
    return plex_pg_execute(
        &store->pg,
        "INSERT INTO tspace_place (tenant, namespace, space)"
        " VALUES ($1, $2, $3) ON CONFLICT (tenant, namespace, space)"
        " DO UPDATE SET space = excluded.space RETURNING number",
        &params, &rows, &place->number, err);
}

static uint64_t
id_of(struct plex_bytes key)
{
    uint64_t id = 0;

    for (size_t i = 0; i < 8; i++)
        id = id << 8 | key.data[i];
    return id;
}

static enum plex_status
add_item(struct pg_store *store, const struct tspace_change *change,
         struct plex_err *err)
{
    const uint64_t id = id_of(change->key);

    if (change->remove)
        return array_add_number(store, ITEM_GONE, id, err);
    if (array_add_number(store, ITEM_ID, id, err) != PLEX_OK ||
        array_add_number(store, ITEM_PLACE, change->place->number, err) !=
            PLEX_OK)
        return err->status;
    return array_add(store, ITEM_BODY, change->body, err);
}

static enum plex_status
add_record(struct pg_store *store, const struct tspace_change *change,
           struct plex_err *err)
{
    const bool gone = change->remove;

    if (array_add_number(store, gone ? GONE_PLACE : PUT_PLACE,
                         change->place->number, err) != PLEX_OK ||
        array_add_number(store, gone ? GONE_RECORD : PUT_RECORD,
                         (uint64_t)change->record, err) != PLEX_OK ||
        array_add(store, gone ? GONE_KEY : PUT_KEY, change->key, err) !=
            PLEX_OK)
        return err->status;
    return gone ? PLEX_OK : array_add(store, PUT_BODY, change->body, err);
}

/* A failure the server told us of wrote nothing; of any other nobody knows. */
static enum plex_status
failed(struct pg_store *store, const PGresult *result, struct plex_err *err)
{
    (void)plex_pg_failure(&store->pg, result, err);
    if (PQresultErrorField(result, PG_DIAG_SQLSTATE) == NULL ||
        PQstatus(store->pg.conn) != CONNECTION_OK)
        err->status = PLEX_UNKNOWN;
    return err->status;
}

static enum plex_status
fenced(const struct pg_store *store, struct plex_err *err)
{
    return plex_err_set(err, PLEX_FENCED,
                        "another service has taken over shard %" PRIu32
                        " with an epoch above %" PRIu64,
                        store->shard, store->epoch);
}

/* Sends one of the two statements, with the arrays or without. */
static enum plex_status
execute(struct pg_store *store, const char *name, int n, struct plex_err *err)
{
    const char *values[N_ARRAYS + 2];
    int lengths[N_ARRAYS + 2] = {0}, formats[N_ARRAYS + 2] = {0};
    char shard[16], epoch[24];

    (void)snprintf(shard, sizeof shard, "%" PRIu32, store->shard);
    (void)snprintf(epoch, sizeof epoch, "%" PRIu64, store->epoch);
    values[0] = shard;
    values[1] = epoch;
    for (int i = 0; i < n; i++) {
        array_end(store, i);
        values[i + 2] = (const char *)store->arrays[i].data;
        lengths[i + 2] = (int)store->arrays[i].len;
        formats[i + 2] = 1;
    }
    if (PQsendQueryPrepared(store->pg.conn, name, n + 2, values, lengths,
                            formats, 0) == 1)
        return PLEX_OK;
    return failed(store, NULL, err);
}

/* Both statements say how many epochs are the one that is ours. */
static enum plex_status
pg_finish(struct tspace_store *base, struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)base;
    enum plex_status status = PLEX_OK;
    PGresult *result = PQgetResult(store->pg.conn);

    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        status = failed(store, result, err);
    else if (strcmp(PQgetvalue(result, 0, 0), "1") != 0)
        status = fenced(store, err);
    while (result != NULL) {
        PQclear(result);
        result = PQgetResult(store->pg.conn);
    }
    return status;
}

static enum plex_status
pg_commit(struct tspace_store *base, const struct tspace_change *changes,
          size_t n, struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)base;
    enum plex_status status = PLEX_OK;

    arrays_begin(store);
    for (size_t i = 0; status == PLEX_OK && i < n; i++) {
        const struct tspace_change *change = &changes[i];

        if (change->place->number == 0)
            status = place_add(store, change->place, err);
        if (status == PLEX_OK)
            status =
                change->record == TSPACE_RECORD_TUPLE && change->key.len == 8
                    ? add_item(store, change, err)
                    : add_record(store, change, err);
    }
    return status == PLEX_OK ? execute(store, "tspace_commit", N_ARRAYS, err)
                             : status;
}

static enum plex_status
pg_verify(struct tspace_store *base, struct plex_err *err)
{
    return execute((struct pg_store *)base, "tspace_verify", 0, err);
}

/* -- load --------------------------------------------------------------------
 */

struct loading {
    struct pg_store *store;
    const struct tspace_place **places; /* by number */
    uint64_t n_places;
    tspace_load_fn each;
    void *arg;
};

static void
load_place(struct loading *loading, const PGresult *result, int row)
{
    const struct tspace_where where = {PQgetvalue(result, row, 1),
                                       PQgetvalue(result, row, 2),
                                       PQgetvalue(result, row, 3)};
    struct tspace_place *place =
        tspace_store_place(&loading->store->base, &where);

    place->number = plex_pg_u64(result, row, 0);
    if (place->number >= loading->n_places) {
        const uint64_t n = place->number * 2 + 64;

        loading->places =
            plex_reallocarray(loading->places, n, sizeof *loading->places);
        memset(loading->places + loading->n_places, 0,
               (n - loading->n_places) * sizeof *loading->places);
        loading->n_places = n;
    }
    loading->places[place->number] = place;
}

/* Columns: place, key (id of a tuple), body, record. */
static enum plex_status
load_row(struct loading *loading, const PGresult *result, int row,
         struct plex_err *err)
{
    const uint64_t number = plex_pg_u64(result, row, 0);

    if (number >= loading->n_places || loading->places[number] == NULL)
        return plex_err_set(
            err, PLEX_CORRUPT,
            "a record is of place %" PRIu64 ", which is not there", number);
    return loading->each(loading->arg, &loading->places[number]->where,
                         (enum tspace_record)plex_pg_u64(result, row, 3),
                         plex_pg_bytes(result, row, 1),
                         plex_pg_bytes(result, row, 2), err);
}

/* Every row of a query, a page at a time, in the open transaction. */
static enum plex_status
load_pages(struct loading *loading, const char *declare, bool places,
           struct plex_err *err)
{
    struct plex_pg *pg = &loading->store->pg;
    enum plex_status status = plex_pg_run(pg, declare, err);
    int rows = 1;

    while (status == PLEX_OK && rows > 0) {
        PGresult *result = plex_pg_query(pg, "FETCH 2000 FROM page", NULL, err);

        if (result == NULL)
            return err->status;
        rows = PQntuples(result);
        for (int i = 0; status == PLEX_OK && i < rows; i++) {
            if (places)
                load_place(loading, result, i);
            else
                status = load_row(loading, result, i, err);
        }
        PQclear(result);
    }
    return status == PLEX_OK ? plex_pg_run(pg, "CLOSE page", err) : status;
}

static enum plex_status
load_all(struct loading *loading, struct plex_err *err)
{
    char items[256], records[256];

    (void)snprintf(items, sizeof items,
                   "DECLARE page NO SCROLL CURSOR FOR SELECT place,"
                   " int8send(id), body, 1::smallint FROM tspace_item"
                   " WHERE shard = %" PRIu32,
                   loading->store->shard);
    (void)snprintf(records, sizeof records,
                   "DECLARE page NO SCROLL CURSOR FOR SELECT place, key, body,"
                   " record FROM tspace_record WHERE shard = %" PRIu32,
                   loading->store->shard);
    if (load_pages(loading,
                   "DECLARE page NO SCROLL CURSOR FOR SELECT number, tenant,"
                   " namespace, space FROM tspace_place",
                   true, err) != PLEX_OK ||
        load_pages(loading, items, false, err) != PLEX_OK)
        return err->status;
    return load_pages(loading, records, false, err);
}

static enum plex_status
pg_load(struct tspace_store *base, tspace_load_fn each, void *arg,
        struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)base;
    struct loading loading = {.store = store, .each = each, .arg = arg};
    enum plex_status status = plex_pg_run(
        &store->pg, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", err);

    if (status == PLEX_OK)
        status = plex_pg_end(&store->pg, load_all(&loading, err), err);
    free(loading.places);
    return status;
}

const struct tspace_store_ops tspace_store_pg = {
    .scheme = "postgres",
    .check = pg_check,
    .open = pg_open,
    .close = pg_close,
    .verify = pg_verify,
    .shared = true,
    .commit = pg_commit,
    .finish = pg_finish,
    .load = pg_load,
};
