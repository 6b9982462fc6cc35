/* One SQLite file, opened by one process: WAL, every commit flushed. */
#include "common/log.h"
#include "common/mem.h"
#include "common/sqlite_db.h"
#include "services/tuplespace/store_backend.h"
#include "tuplespace_sqlite_schema.h"

#include <inttypes.h>
#include <stdlib.h>

enum statement {
    ITEM_PUT,
    ITEM_REMOVE,
    RECORD_PUT,
    RECORD_REMOVE,
    PLACE_ADD,
    N_STATEMENTS,
};
static const char *const statements[N_STATEMENTS] = {
    [ITEM_PUT] = "INSERT OR REPLACE INTO tspace_item (id, place, body)"
                 " VALUES (?1, ?2, ?3)",
    [ITEM_REMOVE] = "DELETE FROM tspace_item WHERE id = ?1",
    [RECORD_PUT] = "INSERT INTO tspace_record (key, place, body, record)"
                   " VALUES (?1, ?2, ?3, ?4)"
                   " ON CONFLICT DO UPDATE SET body = excluded.body",
    [RECORD_REMOVE] = "DELETE FROM tspace_record WHERE key = ?1 AND"
                      " record = ?4 AND place = ?2",
    [PLACE_ADD] = "INSERT INTO tspace_place (number, tenant, namespace, space)"
                  " VALUES (?1, ?2, ?3, ?4)",
};

struct sqlite_store {
    struct tspace_store base;
    struct plex_sqlite sqlite;
    sqlite3_stmt *statements[N_STATEMENTS];
    uint64_t n_places; /* the highest number */
};

static enum plex_status
sqlite_check(const char *rest, struct plex_err *err)
{
    if (rest[0] != '\0')
        return PLEX_OK;
    return plex_err_set(err, PLEX_INVALID,
                        "store \"sqlite:\" names no file; \"sqlite:FILE\" "
                        "does");
}

static void
sqlite_close(struct tspace_store *base)
{
    struct sqlite_store *store = (struct sqlite_store *)base;

    for (int i = 0; i < N_STATEMENTS; i++)
        (void)sqlite3_finalize(store->statements[i]);
    plex_sqlite_close(&store->sqlite);
    free(store);
}

static enum plex_status
epoch_raise(struct sqlite_store *store, uint64_t *epoch, struct plex_err *err)
{
    uint64_t old = 0;

    if (plex_sqlite_run(&store->sqlite,
                        "INSERT INTO tspace_epoch VALUES (0, 1) ON CONFLICT DO"
                        " UPDATE SET epoch = epoch + 1",
                        err) != PLEX_OK ||
        plex_sqlite_get(&store->sqlite,
                        "SELECT epoch FROM tspace_epoch WHERE shard = 0", epoch,
                        err) != PLEX_OK ||
        plex_sqlite_get(&store->sqlite, "SELECT max(number) FROM tspace_place",
                        &store->n_places, err) != PLEX_OK ||
        plex_sqlite_get(&store->sqlite,
                        "SELECT count(*) FROM tspace_tuple_0001", &old,
                        err) != PLEX_OK)
        return err->status;
    if (old > 0)
        plex_log(PLEX_LOG_WARN, "store_old_tuples",
                 "%" PRIu64 " tuples of the earlier form are in the table "
                 "tspace_tuple_0001 and are not served",
                 old);
    return PLEX_OK;
}

static enum plex_status
sqlite_open(struct tspace_store **out, const char *path, uint32_t shard,
            uint64_t *epoch, struct plex_err *err)
{
    const struct plex_sqlite_config config = {
        .path = path,
        .service = "tuplespace",
        .schema = tuplespace_sqlite_schema,
        .n_schema = sizeof tuplespace_sqlite_schema /
                    sizeof tuplespace_sqlite_schema[0],
        .owner = PLEX_SQLITE_ALONE,
    };
    struct sqlite_store *store;

    if (shard != 0)
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "a SQLite file serves one tuple space; several "
                            "share Postgres or Redis");
    store = plex_calloc(1, sizeof *store);
    if (plex_sqlite_open(&store->sqlite, &config, err) != PLEX_OK ||
        epoch_raise(store, epoch, err) != PLEX_OK ||
        plex_sqlite_prepare_all(&store->sqlite, statements, N_STATEMENTS,
                                store->statements, err) != PLEX_OK) {
        sqlite_close(&store->base);
        return err->status;
    }
    *out = &store->base;
    return PLEX_OK;
}

/* -- commit ------------------------------------------------------------------
 */

static uint64_t
id_of(struct plex_bytes key)
{
    uint64_t id = 0;

    for (size_t i = 0; i < 8; i++)
        id = id << 8 | key.data[i];
    return id;
}

static enum plex_status
place_add(struct sqlite_store *store, struct tspace_place *place,
          struct plex_err *err)
{
    sqlite3_stmt *stmt = store->statements[PLACE_ADD];

    plex_sqlite_bind_u64(stmt, 1, store->n_places + 1);
    plex_sqlite_bind_text(stmt, 2, place->where.tenant);
    plex_sqlite_bind_text(stmt, 3, place->where.ns);
    plex_sqlite_bind_text(stmt, 4, place->where.space);
    if (plex_sqlite_step(&store->sqlite, stmt, err) != PLEX_OK)
        return err->status;
    place->number = ++store->n_places;
    return PLEX_OK;
}

static enum plex_status
apply(struct sqlite_store *store, const struct tspace_change *change,
      struct plex_err *err)
{
    const bool item =
        change->record == TSPACE_RECORD_TUPLE && change->key.len == 8;
    sqlite3_stmt *stmt =
        store->statements[item ? (change->remove ? ITEM_REMOVE : ITEM_PUT)
                               : (change->remove ? RECORD_REMOVE : RECORD_PUT)];

    if (change->place->number == 0 &&
        place_add(store, change->place, err) != PLEX_OK)
        return err->status;
    if (item)
        plex_sqlite_bind_u64(stmt, 1, id_of(change->key));
    else
        plex_sqlite_bind_bytes(stmt, 1, change->key);
    if (!item || !change->remove)
        plex_sqlite_bind_u64(stmt, 2, change->place->number);
    if (!change->remove)
        plex_sqlite_bind_bytes(stmt, 3, change->body);
    if (!item)
        plex_sqlite_bind_u64(stmt, 4, (uint64_t)change->record);
    return plex_sqlite_step(&store->sqlite, stmt, err);
}

static enum plex_status
sqlite_commit(struct tspace_store *base, const struct tspace_change *changes,
              size_t n, struct plex_err *err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    const uint64_t n_places = store->n_places;
    enum plex_status status = plex_sqlite_run(&store->sqlite, "BEGIN", err);

    if (status != PLEX_OK)
        return status;
    for (size_t i = 0; status == PLEX_OK && i < n; i++)
        status = apply(store, &changes[i], err);
    status = plex_sqlite_end(&store->sqlite, status, err);
    if (status == PLEX_OK || n_places == store->n_places)
        return status;
    for (size_t i = 0; i < n; i++)
        if (changes[i].place->number > n_places)
            changes[i].place->number = 0;
    store->n_places = n_places;
    return status;
}

/* -- load --------------------------------------------------------------------
 */

struct loading {
    struct sqlite_store *store;
    const struct tspace_place **places; /* by number */
    tspace_load_fn each;
    void *arg;
};

static enum plex_status
load_place(void *arg, sqlite3_stmt *row, struct plex_err *err)
{
    struct loading *loading = arg;
    const struct tspace_where where = {plex_sqlite_text(row, 1),
                                       plex_sqlite_text(row, 2),
                                       plex_sqlite_text(row, 3)};
    struct tspace_place *place =
        tspace_store_place(&loading->store->base, &where);

    place->number = plex_sqlite_u64(row, 0);
    if (place->number == 0 || place->number > loading->store->n_places)
        return plex_err_set(err, PLEX_CORRUPT, "place %" PRIu64, place->number);
    loading->places[place->number] = place;
    return PLEX_OK;
}

static const struct tspace_place *
place_of(const struct loading *loading, uint64_t number, struct plex_err *err)
{
    if (number <= loading->store->n_places && loading->places[number] != NULL)
        return loading->places[number];
    (void)plex_err_set(err, PLEX_CORRUPT,
                       "a record is of place %" PRIu64 ", which is not there",
                       number);
    return NULL;
}

static enum plex_status
load_item(void *arg, sqlite3_stmt *row, struct plex_err *err)
{
    const struct loading *loading = arg;
    const struct tspace_place *place =
        place_of(loading, plex_sqlite_u64(row, 1), err);
    const uint64_t id = plex_sqlite_u64(row, 0);
    uint8_t key[8];

    if (place == NULL)
        return err->status;
    for (int i = 0; i < 8; i++)
        key[i] = (uint8_t)(id >> (56 - 8 * i));
    return loading->each(loading->arg, &place->where, TSPACE_RECORD_TUPLE,
                         (struct plex_bytes){key, sizeof key},
                         plex_sqlite_bytes(row, 2), err);
}

static enum plex_status
load_record(void *arg, sqlite3_stmt *row, struct plex_err *err)
{
    const struct loading *loading = arg;
    const struct tspace_place *place =
        place_of(loading, plex_sqlite_u64(row, 0), err);

    if (place == NULL)
        return err->status;
    return loading->each(loading->arg, &place->where,
                         (enum tspace_record)plex_sqlite_u64(row, 1),
                         plex_sqlite_bytes(row, 2), plex_sqlite_bytes(row, 3),
                         err);
}

static enum plex_status
sqlite_load(struct tspace_store *base, tspace_load_fn each, void *arg,
            struct plex_err *err)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    struct loading loading = {
        .store = store,
        .places = plex_calloc(store->n_places + 1, sizeof *loading.places),
        .each = each,
        .arg = arg,
    };
    enum plex_status status = plex_sqlite_each(
        &store->sqlite,
        "SELECT number, tenant, namespace, space FROM tspace_place", load_place,
        &loading, err);

    if (status == PLEX_OK)
        status = plex_sqlite_each(
            &store->sqlite,
            "SELECT id, place, body FROM tspace_item ORDER BY id", load_item,
            &loading, err);
    if (status == PLEX_OK)
        status = plex_sqlite_each(
            &store->sqlite,
            "SELECT place, record, key, body FROM tspace_record ORDER BY seq",
            load_record, &loading, err);
    free(loading.places);
    return status;
}

/* Nobody else can have it open. */
static enum plex_status
sqlite_verify(struct tspace_store *base, struct plex_err *err)
{
    (void)base;
    (void)err;
    return PLEX_OK;
}

const struct tspace_store_ops tspace_store_sqlite = {
    .scheme = "sqlite",
    .check = sqlite_check,
    .open = sqlite_open,
    .close = sqlite_close,
    .verify = sqlite_verify,
    .commit = sqlite_commit,
    .load = sqlite_load,
};
