#include "services/journal/store_sqlite.h"

#include "common/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Forgetting: a cursor goes over the turns in the order they were written,
 * a bounded number of rows at a time. There is no index over the expiry, which
 * every turn would pay for. A round begins where the last one found the first
 * turn whose time had not come, and ends when only such turns seem to follow;
 * once an hour it begins at the oldest, for those that were kept for another
 * reason (an actor's newest, mostly).
 *
 * Kept are turns whose time has not come, those behind one that is kept, the
 * newest turn of an actor, and everything that is not yet in the actors' rows
 * (journal_mark): recovery reads those.
 */
enum {
    SCAN_PER_ROW = 8,
    DROPS_MAX = 1024,
    AHEAD_MAX = 20000,
    WHOLE_ROUND_MS = 3600000,
};

struct drop {
    uint64_t turn, actor, seq;
    uint8_t id[JOURNAL_ID_MAX];
    size_t id_len;
    uint8_t chain[JOURNAL_CHAIN_BYTES];
    size_t chain_len;
    bool carry; /* its state is the actor's newest: to a snapshot */
};

struct scan {
    struct drop drops[DROPS_MAX]; /* by turn */
    size_t n;
    bool end; /* the cursor has been round */
};

/* A row of SQL_TURN_SCAN. */
struct candidate {
    uint64_t turn, actor, flags, seq, prev, keep_turns;
};

static int
drop_compare(const void *a, const void *b)
{
    const uint64_t x = ((const struct drop *)a)->turn,
                   y = ((const struct drop *)b)->turn;

    return x < y ? -1 : x > y;
}

/* Are all turns before it gone? */
static enum plex_status
check_first(struct sql_store *store, const struct scan *scan, uint64_t prev,
            bool *first, struct plex_err *err)
{
    const struct drop key = {.turn = prev};
    sqlite3_stmt *stmt;
    int rc;

    *first = prev == 0 || bsearch(&key, scan->drops, scan->n, sizeof key,
                                  drop_compare) != NULL;
    if (*first)
        return PLEX_OK;
    stmt = journal_sql_get(store, SQL_TURN_LINK);
    plex_sqlite_bind_u64(stmt, 1, prev);
    rc = sqlite3_step(stmt);
    *first = rc == SQLITE_DONE;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return journal_sql_error(store, "could not read", err);
    sqlite3_reset(stmt);
    return PLEX_OK;
}

static enum plex_status
second_snapshot(struct sql_store *store, uint64_t actor, uint64_t *seq,
                struct plex_err *err)
{
    sqlite3_stmt *stmt = journal_sql_get(store, SQL_SNAPSHOT_SECOND);
    int rc;

    plex_sqlite_bind_u64(stmt, 1, actor);
    rc = sqlite3_step(stmt);
    *seq = rc == SQLITE_ROW ? plex_sqlite_u64(stmt, 0) : 0;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return journal_sql_error(store, "could not read", err);
    sqlite3_reset(stmt);
    return PLEX_OK;
}

/* May it go, as far as the actor's row says? */
static enum plex_status
check_spent(struct sql_store *store, const struct candidate *c, bool *spent,
            bool *carry, struct plex_err *err)
{
    sqlite3_stmt *stmt = journal_sql_get(store, SQL_ACTOR_NAME);
    const int rc =
        (plex_sqlite_bind_u64(stmt, 1, c->actor), sqlite3_step(stmt));
    uint64_t snapshot, state_turn;

    *carry = false;
    *spent = rc == SQLITE_DONE; /* no such actor: nobody can ask for it */
    if (rc != SQLITE_ROW)
        return rc == SQLITE_DONE
                   ? PLEX_OK
                   : journal_sql_error(store, "could not read", err);
    state_turn = plex_sqlite_u64(stmt, 2);
    *spent = c->turn < plex_sqlite_u64(stmt, 1) &&
             c->seq + c->keep_turns <= plex_sqlite_u64(stmt, 3);
    sqlite3_reset(stmt);
    *carry = c->turn == state_turn;
    if (!*spent || (c->flags & JOURNAL_FLAG_REBUILDS) == 0 ||
        c->turn < state_turn)
        return PLEX_OK;
    if (second_snapshot(store, c->actor, &snapshot, err) != PLEX_OK)
        return err->status;
    *spent = c->seq <= snapshot;
    return PLEX_OK;
}

static enum plex_status
scan_row(struct sql_store *store, sqlite3_stmt *stmt, struct scan *scan,
         struct plex_err *err)
{
    const struct candidate c = {
        .turn = plex_sqlite_u64(stmt, 0),
        .actor = plex_sqlite_u64(stmt, 1),
        .flags = plex_sqlite_u64(stmt, 3),
        .seq = plex_sqlite_u64(stmt, 5),
        .prev = plex_sqlite_u64(stmt, 6),
        .keep_turns = plex_sqlite_u64(stmt, 7),
    };
    const struct plex_bytes id = plex_sqlite_bytes(stmt, 4),
                            chain = plex_sqlite_bytes(stmt, 8);
    struct drop *drop = &scan->drops[scan->n];
    bool spent, first, carry;

    if (check_spent(store, &c, &spent, &carry, err) != PLEX_OK)
        return err->status;
    if (!spent || id.len > JOURNAL_ID_MAX)
        return PLEX_OK;
    if (check_first(store, scan, c.prev, &first, err) != PLEX_OK)
        return err->status;
    if (!first)
        return PLEX_OK;
    *drop = (struct drop){.turn = c.turn,
                          .actor = c.actor,
                          .seq = c.seq,
                          .id_len = id.len,
                          .carry = carry};
    if (id.len > 0)
        memcpy(drop->id, id.data, id.len);
    drop->chain_len = chain.len == sizeof drop->chain ? chain.len : 0;
    if (drop->chain_len > 0)
        memcpy(drop->chain, chain.data, chain.len);
    scan->n++;
    return PLEX_OK;
}

static enum plex_status
scan_rows(struct sql_store *store, sqlite3_stmt *stmt, uint64_t wall_ms,
          uint32_t limit, struct scan *scan, struct plex_err *err)
{
    int rc = SQLITE_DONE;

    while (scan->n < limit && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        const uint64_t turn = plex_sqlite_u64(stmt, 0),
                       keep_ms = plex_sqlite_u64(stmt, 2);

        if (turn >= store->mark) {
            scan->end = true;
            return PLEX_OK;
        }
        store->retain_at = turn + 1;
        if (keep_ms > wall_ms) {
            if (store->retain_next_ms == 0 || keep_ms < store->retain_next_ms)
                store->retain_next_ms = keep_ms;
            if (store->retain_first == 0)
                store->retain_first = turn;
            scan->end = ++store->retain_ahead >= AHEAD_MAX;
            if (scan->end)
                return PLEX_OK;
            continue;
        }
        store->retain_ahead = 0;
        if (scan_row(store, stmt, scan, err) != PLEX_OK)
            return err->status;
    }
    return rc == SQLITE_ROW || rc == SQLITE_DONE
               ? PLEX_OK
               : journal_sql_error(store, "could not read", err);
}

/* The checksum of the snapshot's row is another one than the turn's. */
static enum plex_status
carry_state(struct sql_store *store, const struct drop *drop,
            struct plex_err *err)
{
    const uint64_t mask = ~(uint64_t)JOURNAL_FLAG_REBUILDS;
    char name[PLEX_ACTOR_NAME_MAX + 1];
    struct journal_row row = {.has_state = 1};
    struct sql_turn turn;
    sqlite3_stmt *stmt = journal_sql_get(store, SQL_ACTOR_NAME);

    plex_sqlite_bind_u64(stmt, 1, drop->actor);
    if (sqlite3_step(stmt) != SQLITE_ROW)
        return journal_sql_error(store, "could not read", err);
    (void)snprintf(name, sizeof name, "%s", plex_sqlite_text(stmt, 0));
    sqlite3_reset(stmt);
    if (journal_sql_turn_get(store, drop->turn, name, strlen(name), &turn,
                             err) != PLEX_OK)
        return err->status;
    row.seq = turn.row.seq;
    row.schema_version = turn.row.schema_version;
    row.state_hash = turn.row.state_hash;
    row.flags = turn.row.flags & mask;
    (void)journal_sql_get(store, SQL_TURN_GET);
    stmt = journal_sql_get(store, SQL_SNAPSHOT_CARRY);
    plex_sqlite_bind_u64(stmt, 1, drop->turn);
    plex_sqlite_bind_u64(stmt, 2,
                         journal_row_checksum(&row, name, strlen(name)));
    plex_sqlite_bind_u64(stmt, 3, mask);
    if (journal_sql_run(store, stmt, err) != PLEX_OK)
        return err->status;
    stmt = journal_sql_get(store, SQL_SNAPSHOT_TRIM);
    plex_sqlite_bind_u64(stmt, 1, drop->actor);
    return journal_sql_run(store, stmt, err);
}

static enum plex_status
drop_marks(struct sql_store *store, const struct drop *drop,
           struct plex_err *err)
{
    sqlite3_stmt *stmt = journal_sql_get(store, SQL_ANCHOR_SET);

    plex_sqlite_bind_u64(stmt, 1, drop->actor);
    plex_sqlite_bind_u64(stmt, 2, drop->seq);
    (void)sqlite3_bind_blob(stmt, 3, drop->chain, (int)drop->chain_len,
                            SQLITE_STATIC);
    if (journal_sql_run(store, stmt, err) != PLEX_OK)
        return err->status;
    if (drop->seq % SQL_SEEK_EVERY != 0)
        return PLEX_OK;
    stmt = journal_sql_get(store, SQL_SEEK_DROP);
    plex_sqlite_bind_u64(stmt, 1, drop->actor);
    plex_sqlite_bind_u64(stmt, 2, drop->seq);
    return journal_sql_run(store, stmt, err);
}

static enum plex_status
drop_one(struct sql_store *store, const struct drop *drop, struct plex_err *err)
{
    sqlite3_stmt *stmt;

    if (drop->carry && carry_state(store, drop, err) != PLEX_OK)
        return err->status;
    stmt = journal_sql_get(store, SQL_TURN_DROP);
    plex_sqlite_bind_u64(stmt, 1, drop->turn);
    if (journal_sql_run(store, stmt, err) != PLEX_OK ||
        drop_marks(store, drop, err) != PLEX_OK)
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

/* Where the next one begins. */
static void
round_end(struct sql_store *store, uint64_t wall_ms,
          struct journal_retained *out)
{
    const bool whole = wall_ms - store->retain_whole_ms >= WHOLE_ROUND_MS;

    out->next_ms = store->retain_next_ms;
    if (store->retain_first != 0)
        store->retain_at = store->retain_first;
    if (whole) {
        store->retain_whole_ms = wall_ms;
        store->retain_at = 0;
    }
    store->retain_next_ms = 0;
    store->retain_first = 0;
    store->retain_ahead = 0;
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
    if (status != PLEX_OK)
        store->retain_at = from; /* they are still there */
    else if (scan->end || store->retain_at == from)
        round_end(store, wall_ms, out);
    else
        out->more = true;
    free(scan);
    return status;
}
