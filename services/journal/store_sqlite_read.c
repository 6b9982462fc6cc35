#include "services/journal/store_sqlite.h"

#include <string.h>

/* What a row says, as it was before it was stored. */
static enum plex_status
row_decode(struct sql_store *store, enum journal_piece piece,
           const struct journal_row *row, const char *name, size_t name_len,
           struct plex_bytes in, struct plex_arena *arena,
           struct plex_bytes *out, struct plex_err *err)
{
    const struct journal_coding coding = {.piece = piece,
                                          .flags = row->flags,
                                          .name = name,
                                          .name_len = name_len,
                                          .seq = row->seq};

    return journal_decode(&store->base, &coding, in, arena, out, err);
}

static enum plex_status
corrupt(const struct sql_store *store, const char *what, const char *name,
        uint64_t seq, struct plex_err *err)
{
    return plex_err_set(err, PLEX_CORRUPT,
                        "%s: %s of actor %s at seq %llu does not match its "
                        "checksum",
                        store->path, what, name, (unsigned long long)seq);
}

enum plex_status
journal_sql_turn_get(struct sql_store *store, uint64_t id, const char *name,
                     size_t name_len, struct sql_turn *out,
                     struct plex_err *err)
{
    sqlite3_stmt *stmt = journal_sql_get(store, SQL_TURN_GET);
    int rc;

    plex_sqlite_bind_u64(stmt, 1, id);
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_DONE) {
        sqlite3_reset(stmt);
        return plex_err_set(err, PLEX_NOT_FOUND, "turn %llu is gone",
                            (unsigned long long)id);
    }
    if (rc != SQLITE_ROW)
        return journal_sql_error(store, "could not read", err);
    out->actor = plex_sqlite_u64(stmt, 0);
    out->prev = plex_sqlite_u64(stmt, 2);
    out->row = (struct journal_row){
        .seq = plex_sqlite_u64(stmt, 1),
        .at_ms = plex_sqlite_u64(stmt, 3),
        .expires_ms = plex_sqlite_u64(stmt, 4),
        .request_hash = plex_sqlite_u64(stmt, 5),
        .has_state = plex_sqlite_u64(stmt, 6) != 0,
        .schema_version = (uint32_t)plex_sqlite_u64(stmt, 7),
        .state_hash = plex_sqlite_u64(stmt, 8),
        .message_id = plex_sqlite_bytes(stmt, 10),
        .reply = plex_sqlite_bytes(stmt, 11),
        .flags = plex_sqlite_u64(stmt, 12),
        .record_hash = plex_sqlite_u64(stmt, 13),
    };
    if (journal_row_checksum(&out->row, name, name_len) !=
        plex_sqlite_u64(stmt, 9)) {
        (void)corrupt(store, "turn", name, out->row.seq, err);
        sqlite3_reset(stmt);
        return PLEX_CORRUPT;
    }
    return PLEX_OK;
}

/* -- load ------------------------------------------------------------------ */

bool
journal_sql_snapshot_read(sqlite3_stmt *stmt, const char *name, size_t name_len,
                          struct journal_row *out)
{
    *out = (struct journal_row){
        .seq = plex_sqlite_u64(stmt, 0),
        .has_state = 1,
        .schema_version = (uint32_t)plex_sqlite_u64(stmt, 1),
        .state_hash = plex_sqlite_u64(stmt, 2),
        .state = plex_sqlite_bytes(stmt, 4),
        .flags = plex_sqlite_u64(stmt, 5),
    };
    return journal_row_checksum(out, name, name_len) ==
               plex_sqlite_u64(stmt, 3) &&
           journal_state_hash(out->state) == out->state_hash;
}

/* The newest snapshot that is whole and no older than the newest turn with a
 * state; not finding one is no error. */
static enum plex_status
load_snapshot(struct sql_store *store, const struct sql_head *head,
              struct plex_arena *arena, struct journal_loaded *out,
              struct plex_err *err)
{
    sqlite3_stmt *stmt = journal_sql_get(store, SQL_SNAPSHOT_GET);
    int rc;

    err->status = PLEX_OK;
    (void)sqlite3_bind_int64(stmt, 1, head->id);
    plex_sqlite_bind_u64(stmt, 2, head->now.state_seq);
    plex_sqlite_bind_u64(stmt, 3, INT64_MAX);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct journal_row row;

        if (!journal_sql_snapshot_read(stmt, head->name, head->name_len, &row))
            continue;
        out->has_state = true;
        out->schema_version = row.schema_version;
        out->state_seq = row.seq;
        if (row_decode(store, JOURNAL_PIECE_STATE, &row, head->name,
                       head->name_len, row.state, arena, &out->state,
                       err) != PLEX_OK)
            out->has_state = false;
        break;
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        (void)journal_sql_error(store, "could not read", err);
    sqlite3_reset(stmt);
    return err->status;
}

static enum plex_status
load_turn_state(struct sql_store *store, const struct sql_head *head,
                struct plex_arena *arena, struct journal_loaded *out,
                struct plex_err *err)
{
    struct sql_turn turn;
    struct plex_bytes state;
    sqlite3_stmt *stmt;

    if (head->now.state_turn == 0)
        return PLEX_OK;
    if (journal_sql_turn_get(store, head->now.state_turn, head->name,
                             head->name_len, &turn, err) != PLEX_OK) {
        if (err->status != PLEX_NOT_FOUND)
            return err->status;
        return plex_err_set(err, PLEX_CORRUPT,
                            "%s: the state of actor %s at seq %llu is missing",
                            store->path, head->name,
                            (unsigned long long)head->now.state_seq);
    }
    out->has_state = true;
    out->schema_version = turn.row.schema_version;
    out->state_seq = turn.row.seq;
    stmt = journal_sql_get(store, SQL_TURN_STATE);
    plex_sqlite_bind_u64(stmt, 1, head->now.state_turn);
    err->status = PLEX_OK;
    if (sqlite3_step(stmt) != SQLITE_ROW) {
        (void)journal_sql_error(store, "could not read", err);
    } else {
        state = plex_sqlite_bytes(stmt, 0);
        if (journal_state_hash(state) != turn.row.state_hash)
            (void)corrupt(store, "state", head->name, turn.row.seq, err);
        else
            err->status =
                row_decode(store, JOURNAL_PIECE_STATE, &turn.row, head->name,
                           head->name_len, state, arena, &out->state, err);
    }
    sqlite3_reset(stmt);
    (void)journal_sql_get(store, SQL_TURN_GET);
    return err->status;
}

static enum plex_status
load_recent(struct sql_store *store, const struct sql_head *head,
            const struct journal_load *load, uint64_t wall_ms,
            struct plex_arena *arena, struct journal_loaded *out,
            struct plex_err *err)
{
    struct journal_recorded *recent =
        plex_arena_alloc(arena, load->recent_max * sizeof *recent + 1);
    uint64_t at = head->now.last_turn;
    size_t bytes = 0;

    if (recent == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE, "no memory for %u answers",
                            load->recent_max);
    out->recent = recent;
    /* Looked at are a few times as many rows as wanted: turns without an id
     * and expired ones lie between. */
    for (uint32_t i = 0; at != 0 && out->n_recent < load->recent_max &&
                         i < 4 * load->recent_max;
         i++) {
        struct journal_recorded *r = &recent[out->n_recent];
        struct sql_turn turn;
        enum plex_status status = journal_sql_turn_get(
            store, at, head->name, head->name_len, &turn, err);

        if (status == PLEX_NOT_FOUND)
            break; /* retention has been here */
        if (status != PLEX_OK)
            return status;
        at = turn.prev;
        if (turn.row.message_id.len == 0 || turn.row.expires_ms <= wall_ms)
            continue;
        bytes += turn.row.reply.len + turn.row.message_id.len;
        if (bytes > JOURNAL_RECENT_BYTES_MAX)
            break;
        *r = (struct journal_recorded){.request_hash = turn.row.request_hash,
                                       .expires_ms = turn.row.expires_ms,
                                       .seq = turn.row.seq};
        if (journal_bytes_copy(turn.row.message_id, arena, &r->message_id,
                               err) != PLEX_OK ||
            row_decode(store, JOURNAL_PIECE_REPLY, &turn.row, head->name,
                       head->name_len, turn.row.reply, arena, &r->reply,
                       err) != PLEX_OK)
            return err->status;
        out->n_recent++;
    }
    (void)journal_sql_get(store, SQL_TURN_GET);
    return PLEX_OK;
}

enum plex_status
journal_sql_load(struct journal_store *base, const struct journal_load *load,
                 uint64_t wall_ms, struct plex_arena *arena,
                 struct journal_loaded *out, uint64_t *newest_epoch,
                 struct plex_err *err)
{
    struct sql_store *store = (struct sql_store *)base;
    const uint64_t newest = journal_epochs_get(&store->epochs, load->shard);
    struct sql_head *head;
    enum plex_status status;

    if (load->epoch < newest) {
        *newest_epoch = newest;
        return plex_err_set(err, PLEX_FENCED, "shard %u is at epoch %llu",
                            load->shard, (unsigned long long)newest);
    }
    if (journal_sql_head_find(store, &load->actor, &head, err) != PLEX_OK)
        return err->status;
    if (head == NULL)
        return PLEX_OK;
    out->last_seq = head->now.last_seq;
    status = load_snapshot(store, head, arena, out, err);
    if (status == PLEX_OK && !out->has_state)
        status = load_turn_state(store, head, arena, out, err);
    if (status == PLEX_OK)
        status = load_recent(store, head, load, wall_ms, arena, out, err);
    (void)journal_sql_get(store, SQL_TURN_GET); /* ends the read */
    return status;
}

/* One transaction: each takes and gives back the locks of the log. */
void
journal_sql_loads(struct journal_store *base, struct journal_loading *loadings,
                  size_t n, uint64_t wall_ms)
{
    struct sql_store *store = (struct sql_store *)base;
    struct plex_err err;
    const bool together =
        n > 1 && journal_sql_run(store, journal_sql_get(store, SQL_BEGIN_READ),
                                 &err) == PLEX_OK;

    journal_loads_each(base, loadings, n, wall_ms);
    if (together && journal_sql_run(store, journal_sql_get(store, SQL_COMMIT),
                                    &err) != PLEX_OK)
        (void)sqlite3_exec(store->sqlite.db, "ROLLBACK", NULL, NULL, NULL);
}

/* -- lookup ---------------------------------------------------------------- */

static bool
in_tenant(const char *name, const char *tenant)
{
    const size_t len = strlen(tenant);

    return strncmp(name, tenant, len) == 0 && name[len] == '/';
}

/* Steps to the tenant's next row, whose column 1 is the actor's name, which is
 * copied to `name`. */
static bool
next_of_tenant(sqlite3_stmt *stmt, const char *tenant,
               char name[PLEX_ACTOR_NAME_MAX + 1])
{
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(stmt, 1);
        const size_t len = text == NULL ? 0 : strlen(text);

        if (len == 0 || len > PLEX_ACTOR_NAME_MAX || !in_tenant(text, tenant))
            continue;
        memcpy(name, text, len + 1);
        return true;
    }
    return false;
}

static enum plex_status
lookup_turn(struct sql_store *store, const char *tenant, struct plex_bytes id,
            uint64_t wall_ms, struct plex_arena *arena,
            struct journal_lookup *out, struct plex_err *err)
{
    char name[PLEX_ACTOR_NAME_MAX + 1];
    sqlite3_stmt *stmt = journal_sql_get(store, SQL_MESSAGE_FIND);
    enum plex_status status = PLEX_NOT_FOUND;

    plex_sqlite_bind_bytes(stmt, 1, id);
    while (next_of_tenant(stmt, tenant, name)) {
        struct sql_turn turn;

        status = journal_sql_turn_get(store, plex_sqlite_u64(stmt, 0), name,
                                      strlen(name), &turn, err);
        if (status == PLEX_OK && turn.row.expires_ms <= wall_ms)
            status = PLEX_NOT_FOUND;
        if (status == PLEX_NOT_FOUND)
            continue;
        if (status == PLEX_OK) {
            out->at_ms = turn.row.at_ms;
            status = row_decode(store, JOURNAL_PIECE_REPLY, &turn.row, name,
                                strlen(name), turn.row.reply, arena,
                                &out->reply, err);
        }
        if (status == PLEX_OK)
            status = journal_actor_split(name, strlen(name), arena, &out->actor,
                                         err);
        break;
    }
    sqlite3_reset(stmt);
    (void)journal_sql_get(store, SQL_TURN_GET);
    if (status == PLEX_NOT_FOUND)
        return plex_err_set(err, PLEX_NOT_FOUND,
                            "no message of that id is recorded");
    return status;
}

enum plex_status
journal_sql_lookup(struct journal_store *base, const char *tenant,
                   struct plex_bytes id, uint64_t wall_ms,
                   struct plex_arena *arena, struct journal_lookup *out,
                   struct plex_err *err)
{
    struct sql_store *store = (struct sql_store *)base;
    char name[PLEX_ACTOR_NAME_MAX + 1];
    sqlite3_stmt *stmt = journal_sql_get(store, SQL_PENDING_FIND);
    bool waiting;

    plex_sqlite_bind_bytes(stmt, 1, id);
    waiting = next_of_tenant(stmt, tenant, name);
    if (waiting) {
        out->waiting = true;
        out->due_ms = plex_sqlite_u64(stmt, 0);
    }
    sqlite3_reset(stmt);
    if (waiting)
        return journal_actor_split(name, strlen(name), arena, &out->actor, err);
    return lookup_turn(store, tenant, id, wall_ms, arena, out, err);
}
