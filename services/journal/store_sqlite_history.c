#include "services/journal/store_sqlite.h"

#include <string.h>

/*
 * An actor's turns are chained backwards by row id; journal_seek knows each
 * 64th of them. So a turn is found by its sequence in at most 64 steps.
 */

/* -- finding --------------------------------------------------------------- */

struct link {
    uint64_t seq, prev, at_ms;
    bool has_state;
    uint64_t state_back;
};

static enum plex_status
link_get(struct sql_store *store, uint64_t turn, struct link *out, bool *found,
         struct plex_err *err)
{
    sqlite3_stmt *stmt = journal_sql_get(store, SQL_TURN_LINK);
    int rc;

    plex_sqlite_bind_u64(stmt, 1, turn);
    rc = sqlite3_step(stmt);
    *found = rc == SQLITE_ROW;
    if (*found)
        *out = (struct link){plex_sqlite_u64(stmt, 0), plex_sqlite_u64(stmt, 1),
                             plex_sqlite_u64(stmt, 2),
                             plex_sqlite_u64(stmt, 3) != 0,
                             plex_sqlite_u64(stmt, 4)};
    else if (rc != SQLITE_DONE)
        return journal_sql_error(store, "could not read", err);
    sqlite3_reset(stmt);
    return PLEX_OK;
}

/* Where to begin walking back: a row of `which` or the newest turn. */
static enum plex_status
walk_start(struct sql_store *store, const struct sql_head *head,
           enum sql_statement which, uint64_t value, uint64_t *turn,
           struct plex_err *err)
{
    sqlite3_stmt *stmt = journal_sql_get(store, which);
    int rc;

    (void)sqlite3_bind_int64(stmt, 1, head->id);
    plex_sqlite_bind_u64(stmt, 2, value);
    rc = sqlite3_step(stmt);
    *turn = rc == SQLITE_ROW ? plex_sqlite_u64(stmt, 0) : head->now.last_turn;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return journal_sql_error(store, "could not read", err);
    sqlite3_reset(stmt);
    return PLEX_OK;
}

/* The row of turn `seq`, 0 when it is gone. */
static enum plex_status
turn_find(struct sql_store *store, const struct sql_head *head, uint64_t seq,
          uint64_t *turn, struct link *link, struct plex_err *err)
{
    bool found = true;

    if (walk_start(store, head, SQL_SEEK_FIND, seq, turn, err) != PLEX_OK)
        return err->status;
    while (*turn != 0) {
        if (link_get(store, *turn, link, &found, err) != PLEX_OK)
            return err->status;
        if (!found || link->seq < seq)
            *turn = 0;
        else if (link->seq == seq)
            break;
        else
            *turn = link->prev;
    }
    return PLEX_OK;
}

static enum plex_status
sql_seq_at(struct journal_store *base, const struct plex_actor_id *actor,
           uint64_t at_ms, uint64_t *seq, struct plex_err *err)
{
    struct sql_store *store = (struct sql_store *)base;
    struct sql_head *head;
    uint64_t turn;

    *seq = 0;
    if (journal_sql_head_find(store, actor, &head, err) != PLEX_OK)
        return err->status;
    if (head == NULL)
        return PLEX_OK;
    if (walk_start(store, head, SQL_SEEK_AT, at_ms, &turn, err) != PLEX_OK)
        return err->status;
    while (turn != 0) {
        struct link link;
        bool found;

        if (link_get(store, turn, &link, &found, err) != PLEX_OK)
            return err->status;
        if (!found)
            break;
        if (link.at_ms <= at_ms) {
            *seq = link.seq;
            break;
        }
        turn = link.prev;
    }
    return PLEX_OK;
}

static enum plex_status
sql_head(struct journal_store *base, const struct plex_actor_id *actor,
         struct journal_stored_head *out, struct plex_err *err)
{
    struct sql_store *store = (struct sql_store *)base;
    struct sql_head *head;
    sqlite3_stmt *stmt;
    int rc;

    if (journal_sql_head_find(store, actor, &head, err) != PLEX_OK)
        return err->status;
    if (head == NULL)
        return PLEX_OK;
    out->newest_seq = head->now.last_seq;
    out->state_seq = head->now.state_seq;
    stmt = journal_sql_get(store, SQL_ANCHOR_GET);
    (void)sqlite3_bind_int64(stmt, 1, head->id);
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        const struct plex_bytes chain = plex_sqlite_bytes(stmt, 1);

        out->anchor_seq = plex_sqlite_u64(stmt, 0);
        out->anchor_chained = chain.len == sizeof out->anchor;
        if (out->anchor_chained)
            memcpy(out->anchor, chain.data, sizeof out->anchor);
    } else if (rc != SQLITE_DONE) {
        return journal_sql_error(store, "could not read", err);
    }
    sqlite3_reset(stmt);
    return PLEX_OK;
}

/* -- turns ----------------------------------------------------------------- */

static enum plex_status
past_copy(struct plex_bytes *bytes, struct plex_arena *arena,
          struct plex_err *err)
{
    return journal_bytes_copy(*bytes, arena, bytes, err);
}

/* A row of SQL_TURN_PAST. */
static enum plex_status
past_read(sqlite3_stmt *stmt, const struct sql_head *head, bool with_state,
          struct plex_arena *arena, struct journal_stored *out,
          struct plex_err *err)
{
    const struct plex_bytes chain = plex_sqlite_bytes(stmt, 10);
    struct journal_row *row = &out->row;

    *out = (struct journal_stored){
        .row = {
            .seq = plex_sqlite_u64(stmt, 0),
            .at_ms = plex_sqlite_u64(stmt, 1),
            .expires_ms = plex_sqlite_u64(stmt, 2),
            .request_hash = plex_sqlite_u64(stmt, 3),
            .has_state = plex_sqlite_u64(stmt, 4) != 0,
            .schema_version = (uint32_t)plex_sqlite_u64(stmt, 5),
            .state_hash = plex_sqlite_u64(stmt, 6),
            .flags = plex_sqlite_u64(stmt, 8),
            .record_hash = plex_sqlite_u64(stmt, 9),
            .message_id = plex_sqlite_bytes(stmt, 11),
            .reply = plex_sqlite_bytes(stmt, 12),
            .record = plex_sqlite_bytes(stmt, 13),
            .state = plex_sqlite_bytes(stmt, 14),
        }};
    out->chained = chain.len == sizeof out->chain;
    if (out->chained)
        memcpy(out->chain, chain.data, sizeof out->chain);
    out->damaged = journal_row_checksum(row, head->name, head->name_len) !=
                       plex_sqlite_u64(stmt, 7) ||
                   journal_record_hash(row->record) != row->record_hash ||
                   (with_state && row->has_state &&
                    journal_state_hash(row->state) != row->state_hash);
    if (past_copy(&row->message_id, arena, err) != PLEX_OK ||
        past_copy(&row->reply, arena, err) != PLEX_OK ||
        past_copy(&row->record, arena, err) != PLEX_OK)
        return err->status;
    return past_copy(&row->state, arena, err);
}

static uint64_t
range_room(const struct journal_stored_range *range)
{
    return range->last - range->first < range->limit
               ? range->last - range->first + 1
               : range->limit;
}

static bool
range_begin(struct sql_store *store, const struct sql_head *head,
            const struct journal_stored_range *range, uint64_t *turn,
            struct link *link, struct plex_err *err)
{
    uint64_t last = range->first + range_room(range) - 1;

    if (last > head->now.last_seq)
        last = head->now.last_seq;
    return turn_find(store, head, last, turn, link, err) == PLEX_OK;
}

/* The rows of the turns in the range, oldest first. */
static enum plex_status
rows_collect(struct sql_store *store, const struct sql_head *head,
             const struct journal_stored_range *range, uint64_t *rows,
             size_t *n, struct plex_err *err)
{
    const uint64_t room = range_room(range);
    uint64_t turn;
    struct link link;
    bool found;
    size_t at = (size_t)room;

    *n = 0;
    if (!range_begin(store, head, range, &turn, &link, err))
        return err->status;
    while (turn != 0 && at > 0) {
        rows[--at] = turn;
        turn = link.prev;
        if (turn == 0)
            break;
        if (link_get(store, turn, &link, &found, err) != PLEX_OK)
            return err->status;
        if (!found || link.seq < range->first)
            break;
    }
    *n = (size_t)room - at;
    memmove(rows, rows + at, *n * sizeof *rows);
    return PLEX_OK;
}

struct range_reading {
    struct sql_store *store;
    const struct sql_head *head;
    const struct journal_stored_range *range;
    struct plex_arena *arena;
    size_t bytes;
};

/* The turn of a row of SQL_TURN_PAST, unless the page gets too large. */
static enum plex_status
range_row(struct range_reading *r, sqlite3_stmt *stmt,
          struct journal_stored *out, bool *fits, struct plex_err *err)
{
    for (int i = 12; i <= 14; i++)
        r->bytes += (size_t)sqlite3_column_bytes(stmt, i);
    *fits = r->bytes <= JOURNAL_PAGE_BYTES_MAX;
    if (!*fits)
        return PLEX_OK;
    return past_read(stmt, r->head, r->range->with_state, r->arena, out, err);
}

/* All of the range on the way back, one look at each row. With *fits false they
 * are more than a page, which begins with the oldest. */
static enum plex_status
range_read(struct range_reading *r, struct journal_stored *out, size_t *n,
           bool *fits, struct plex_err *err)
{
    const size_t room = (size_t)range_room(r->range);
    size_t at = room;
    struct link link;
    uint64_t turn;

    if (!range_begin(r->store, r->head, r->range, &turn, &link, err))
        return err->status;
    while (turn != 0 && at > 0) {
        sqlite3_stmt *stmt = journal_sql_get(r->store, SQL_TURN_PAST);
        enum plex_status status;
        int rc;

        plex_sqlite_bind_u64(stmt, 1, turn);
        (void)sqlite3_bind_int(stmt, 2, r->range->with_state);
        rc = sqlite3_step(stmt);
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
            return journal_sql_error(r->store, "could not read", err);
        if (rc == SQLITE_DONE || plex_sqlite_u64(stmt, 0) < r->range->first) {
            sqlite3_reset(stmt);
            break;
        }
        turn = plex_sqlite_u64(stmt, 15);
        status = range_row(r, stmt, &out[at - 1], fits, err);
        sqlite3_reset(stmt);
        if (status != PLEX_OK || !*fits)
            return status;
        at--;
    }
    *n = room - at;
    memmove(out, out + at, *n * sizeof *out);
    return PLEX_OK;
}

static enum plex_status
sql_turns(struct journal_store *base, const struct plex_actor_id *actor,
          const struct journal_stored_range *range, struct plex_arena *arena,
          struct journal_stored **out, size_t *n, struct plex_err *err)
{
    struct sql_store *store = (struct sql_store *)base;
    uint64_t rows[JOURNAL_HISTORY_MAX];
    struct sql_head *head;
    struct range_reading reading = {
        .store = store, .range = range, .arena = arena};
    size_t bytes = 0, n_rows;
    bool fits = true;

    *n = 0;
    *out = plex_arena_alloc(arena, range->limit * sizeof **out + 1);
    if (*out == NULL || range->limit > JOURNAL_HISTORY_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE, "no memory for %u turns",
                            range->limit);
    if (journal_sql_head_find(store, actor, &head, err) != PLEX_OK)
        return err->status;
    if (head == NULL || range->first > head->now.last_seq)
        return PLEX_OK;
    reading.head = head;
    if (range_read(&reading, *out, n, &fits, err) != PLEX_OK)
        return err->status;
    if (fits)
        return PLEX_OK;
    *n = 0;
    if (rows_collect(store, head, range, rows, &n_rows, err) != PLEX_OK)
        return err->status;
    for (size_t i = 0; i < n_rows && bytes < JOURNAL_PAGE_BYTES_MAX; i++) {
        sqlite3_stmt *stmt = journal_sql_get(store, SQL_TURN_PAST);
        struct journal_stored *turn = &(*out)[*n];
        enum plex_status status;

        plex_sqlite_bind_u64(stmt, 1, rows[i]);
        (void)sqlite3_bind_int(stmt, 2, range->with_state);
        if (sqlite3_step(stmt) != SQLITE_ROW)
            return journal_sql_error(store, "could not read", err);
        status = past_read(stmt, head, range->with_state, arena, turn, err);
        sqlite3_reset(stmt);
        if (status != PLEX_OK)
            return status;
        bytes +=
            turn->row.state.len + turn->row.reply.len + turn->row.record.len;
        (*n)++;
    }
    return PLEX_OK;
}

/* -- state ----------------------------------------------------------------- */

/* The turn whose state the actor had after the turn of `link`; 0: none. */
static enum plex_status
state_seq_of(struct sql_store *store, struct link link, uint64_t *seq,
             struct plex_err *err)
{
    bool found = true;

    while (!link.has_state && link.state_back == 0 && link.prev != 0) {
        /* From before rows said where it is. */
        if (link_get(store, link.prev, &link, &found, err) != PLEX_OK)
            return err->status;
        if (!found)
            break;
    }
    *seq = link.has_state         ? link.seq
           : link.state_back == 0 ? 0
                                  : link.seq - link.state_back;
    return PLEX_OK;
}

static enum plex_status
state_snapshot(struct sql_store *store, const struct sql_head *head,
               uint64_t seq, struct plex_arena *arena,
               struct journal_stored_state *out, struct plex_err *err)
{
    sqlite3_stmt *stmt = journal_sql_get(store, SQL_SNAPSHOT_GET);
    struct journal_row row;
    int rc;

    err->status = PLEX_OK;
    (void)sqlite3_bind_int64(stmt, 1, head->id);
    plex_sqlite_bind_u64(stmt, 2, out->expected);
    plex_sqlite_bind_u64(stmt, 3, seq);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        if (!journal_sql_snapshot_read(stmt, head->name, head->name_len, &row))
            continue;
        out->found = true;
        out->seq = row.seq;
        out->schema_version = row.schema_version;
        out->flags = row.flags;
        err->status = journal_bytes_copy(row.state, arena, &out->state, err);
        break;
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        (void)journal_sql_error(store, "could not read", err);
    sqlite3_reset(stmt);
    return err->status;
}

static enum plex_status
state_turn(struct sql_store *store, const struct sql_head *head, uint64_t turn,
           struct plex_arena *arena, struct journal_stored_state *out,
           struct plex_err *err)
{
    sqlite3_stmt *stmt = journal_sql_get(store, SQL_TURN_PAST);
    struct journal_stored stored;
    enum plex_status status;

    plex_sqlite_bind_u64(stmt, 1, turn);
    (void)sqlite3_bind_int(stmt, 2, 1);
    if (sqlite3_step(stmt) != SQLITE_ROW) {
        sqlite3_reset(stmt);
        return PLEX_OK; /* removed */
    }
    status = past_read(stmt, head, true, arena, &stored, err);
    sqlite3_reset(stmt);
    if (status != PLEX_OK)
        return status;
    if (stored.damaged)
        return plex_err_set(err, PLEX_CORRUPT,
                            "%s: turn of actor %s at seq %llu does not match "
                            "its checksum",
                            store->path, head->name,
                            (unsigned long long)stored.row.seq);
    out->found = true;
    out->seq = stored.row.seq;
    out->schema_version = stored.row.schema_version;
    out->state = stored.row.state;
    out->flags = stored.row.flags;
    return PLEX_OK;
}

static enum plex_status
sql_state_at(struct journal_store *base, const struct plex_actor_id *actor,
             uint64_t seq, struct plex_arena *arena,
             struct journal_stored_state *out, struct plex_err *err)
{
    struct sql_store *store = (struct sql_store *)base;
    struct sql_head *head;
    struct link link;
    uint64_t turn;

    if (journal_sql_head_find(store, actor, &head, err) != PLEX_OK)
        return err->status;
    if (head == NULL)
        return PLEX_OK;
    if (turn_find(store, head, seq, &turn, &link, err) != PLEX_OK)
        return err->status;
    out->known = turn != 0;
    if (turn != 0 && state_seq_of(store, link, &out->expected, err) != PLEX_OK)
        return err->status;
    if (state_snapshot(store, head, seq, arena, out, err) != PLEX_OK)
        return err->status;
    if (out->found || out->expected == 0)
        return PLEX_OK;
    if (out->expected != seq &&
        turn_find(store, head, out->expected, &turn, &link, err) != PLEX_OK)
        return err->status;
    return turn == 0 ? PLEX_OK : state_turn(store, head, turn, arena, out, err);
}

static enum plex_status
sql_actors(struct journal_store *base, const char *after, uint32_t limit,
           struct plex_arena *arena, const char *const **out, size_t *n,
           struct plex_err *err)
{
    struct sql_store *store = (struct sql_store *)base;
    const char **names = plex_arena_alloc(arena, limit * sizeof *names + 1);
    sqlite3_stmt *stmt = journal_sql_get(store, SQL_ACTORS_LIST);
    int rc;

    *n = 0;
    *out = names;
    plex_sqlite_bind_text(stmt, 1, after);
    plex_sqlite_bind_u64(stmt, 2, limit);
    while (names != NULL && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *name = plex_sqlite_text(stmt, 0);

        names[*n] = plex_arena_strndup(arena, name, strlen(name));
        if (names[(*n)++] == NULL)
            names = NULL;
    }
    if (names == NULL)
        (void)plex_err_set(err, PLEX_TOO_LARGE, "no memory for names");
    else
        err->status = rc == SQLITE_DONE
                          ? PLEX_OK
                          : journal_sql_error(store, "could not read", err);
    sqlite3_reset(stmt);
    return err->status;
}

/* From the newest back to the oldest of them. */
static enum plex_status
unkeep(struct sql_store *store, const struct sql_head *head, uint64_t first,
       uint64_t last, struct plex_err *err)
{
    struct link link;
    uint64_t turn;
    bool found = true;

    if (turn_find(store, head, last, &turn, &link, err) != PLEX_OK)
        return err->status;
    while (turn != 0 && found && link.seq >= first) {
        sqlite3_stmt *stmt = journal_sql_get(store, SQL_TURN_UNKEEP);

        plex_sqlite_bind_u64(stmt, 1, turn);
        if (journal_sql_run(store, stmt, err) != PLEX_OK)
            return err->status;
        if (turn < store->retain_at)
            store->retain_at = turn;
        turn = link.prev;
        if (turn != 0 && link_get(store, turn, &link, &found, err) != PLEX_OK)
            return err->status;
    }
    return PLEX_OK;
}

/* Retention does not look at what the actors' rows do not say yet: they are
 * written first. */

static enum plex_status
sql_unkeep(struct journal_store *base, const struct plex_actor_id *actor,
           uint64_t first, uint64_t last, uint64_t wall_ms,
           struct plex_err *err)
{
    struct sql_store *store = (struct sql_store *)base;
    struct sql_head *head;

    (void)wall_ms;
    if (journal_sql_heads_flush(store, err) != PLEX_OK ||
        journal_sql_head_find(store, actor, &head, err) != PLEX_OK)
        return err->status;
    if (head == NULL)
        return PLEX_OK;
    if (journal_sql_run(store, journal_sql_get(store, SQL_BEGIN), err) ==
            PLEX_OK &&
        unkeep(store, head, first, last, err) == PLEX_OK &&
        journal_sql_run(store, journal_sql_get(store, SQL_COMMIT), err) ==
            PLEX_OK)
        return PLEX_OK;
    if (!sqlite3_get_autocommit(store->sqlite.db))
        (void)sqlite3_exec(store->sqlite.db, "ROLLBACK", NULL, NULL, NULL);
    return err->status;
}

const struct journal_history_ops journal_sql_history = {
    .head = sql_head,
    .turns = sql_turns,
    .seq_at = sql_seq_at,
    .state_at = sql_state_at,
    .actors = sql_actors,
    .unkeep = sql_unkeep,
};
