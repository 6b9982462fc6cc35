#include "services/journal/store_sqlite.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

/*
 * Forgetting: a cursor goes round the turns in the order they were written,
 * a bounded number of rows at a time. There is no index over the expiry, which
 * every turn would pay for.
 *
 * Kept are turns that have not expired, the newest turn of an actor and the
 * newest with a state, and everything that is not yet in the actors' rows
 * (journal_mark): recovery reads those.
 */
enum { SCAN_PER_ROW = 8, DROPS_MAX = 1024 };

struct drop {
    uint64_t turn, actor;
    uint8_t id[JOURNAL_ID_MAX];
    size_t id_len;
};

struct scan {
    struct drop drops[DROPS_MAX];
    size_t n;
    bool end; /* the cursor has been round */
};

/* 1: superseded, 0: still wanted, -1: error. */
static int
superseded(struct sql_store *store, uint64_t turn, uint64_t actor,
           bool has_state)
{
    sqlite3_stmt *stmt = journal_sql_get(store, SQL_ACTOR_NAME);
    int rc, answer = -1;

    plex_sqlite_bind_u64(stmt, 1, actor);
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        answer = turn < plex_sqlite_u64(stmt, 1) &&
                 (!has_state || turn < plex_sqlite_u64(stmt, 2));
    else if (rc == SQLITE_DONE)
        answer = 1; /* no such actor: nobody can ask for it */
    sqlite3_reset(stmt);
    return answer;
}

static enum plex_status
scan_rows(struct sql_store *store, sqlite3_stmt *stmt, uint64_t wall_ms,
          uint32_t limit, struct scan *scan, struct plex_err *err)
{
    int rc;

    while (scan->n < limit && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        const uint64_t turn = plex_sqlite_u64(stmt, 0),
                       actor = plex_sqlite_u64(stmt, 1);
        const uint64_t expires_ms = plex_sqlite_u64(stmt, 2);
        const struct plex_bytes id = plex_sqlite_bytes(stmt, 4);
        struct drop *drop = &scan->drops[scan->n];
        int gone;

        if (turn >= store->mark) {
            scan->end = true;
            return PLEX_OK;
        }
        store->retain_at = turn + 1;
        if (expires_ms > wall_ms) {
            if (store->retain_next_ms == 0 ||
                expires_ms < store->retain_next_ms)
                store->retain_next_ms = expires_ms;
            continue;
        }
        gone = superseded(store, turn, actor, plex_sqlite_u64(stmt, 3) != 0);
        if (gone < 0)
            return journal_sql_error(store, "could not read", err);
        if (gone == 0 || id.len > JOURNAL_ID_MAX)
            continue;
        drop->turn = turn;
        drop->actor = actor;
        drop->id_len = id.len;
        if (id.len > 0)
            memcpy(drop->id, id.data, id.len);
        scan->n++;
    }
    return PLEX_OK;
}

static enum plex_status
drop_one(struct sql_store *store, const struct drop *drop, struct plex_err *err)
{
    sqlite3_stmt *stmt = journal_sql_get(store, SQL_TURN_DROP);

    plex_sqlite_bind_u64(stmt, 1, drop->turn);
    if (journal_sql_run(store, stmt, err) != PLEX_OK)
        return err->status;
    if (drop->id_len == 0)
        return PLEX_OK;
    stmt = journal_sql_get(store, SQL_MESSAGE_DROP);
    plex_sqlite_bind_bytes(stmt, 1,
                           (struct plex_bytes){drop->id, drop->id_len});
    plex_sqlite_bind_u64(stmt, 2, drop->actor);
    plex_sqlite_bind_u64(stmt, 3, drop->turn);
    return journal_sql_run(store, stmt, err);
}

static enum plex_status
drop_all(struct sql_store *store, const struct scan *scan, struct plex_err *err)
{
    if (scan->n == 0)
        return PLEX_OK;
    if (journal_sql_run(store, journal_sql_get(store, SQL_BEGIN), err) !=
        PLEX_OK)
        return err->status;
    for (size_t i = 0; i < scan->n; i++)
        if (drop_one(store, &scan->drops[i], err) != PLEX_OK)
            goto fail;
    if (journal_sql_run(store, journal_sql_get(store, SQL_COMMIT), err) ==
        PLEX_OK)
        return PLEX_OK;
fail:
    if (!sqlite3_get_autocommit(store->sqlite.db))
        (void)sqlite3_exec(store->sqlite.db, "ROLLBACK", NULL, NULL, NULL);
    return err->status;
}

enum plex_status
journal_sql_retain(struct journal_store *base, uint64_t wall_ms, uint32_t limit,
                   struct journal_retained *out, struct plex_err *err)
{
    struct sql_store *store = (struct sql_store *)base;
    const uint64_t from = store->retain_at;
    sqlite3_stmt *stmt = journal_sql_get(store, SQL_TURN_SCAN);
    struct scan *scan = plex_calloc(1, sizeof *scan);
    enum plex_status status;

    if (limit > DROPS_MAX)
        limit = DROPS_MAX;
    plex_sqlite_bind_u64(stmt, 1, from);
    plex_sqlite_bind_u64(stmt, 2, (uint64_t)limit * SCAN_PER_ROW);
    status = scan_rows(store, stmt, wall_ms, limit, scan, err);
    sqlite3_reset(stmt);
    if (status == PLEX_OK)
        status = drop_all(store, scan, err);
    out->removed = status == PLEX_OK ? scan->n : 0;
    /* Nothing further was read: the round is over. */
    if (scan->end || store->retain_at == from) {
        out->next_ms = store->retain_next_ms;
        store->retain_at = 0;
        store->retain_next_ms = 0;
    } else {
        out->more = true;
    }
    free(scan);
    return status;
}
