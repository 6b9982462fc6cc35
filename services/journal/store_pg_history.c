#include "services/journal/store_pg.h"

#include <string.h>

static void
param_name(struct pg_store *store, const struct plex_actor_id *actor)
{
    char name[PLEX_ACTOR_NAME_MAX + 1];

    journal_pg_param_text(store, name, journal_actor_name(actor, name));
}

static enum plex_status
pg_head(struct journal_store *base, const struct plex_actor_id *actor,
        struct journal_stored_head *out, struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)base;
    struct plex_bytes chain;
    PGresult *result;

    if (journal_pg_connect(store, err) != PLEX_OK)
        return err->status;
    param_name(store, actor);
    if (journal_pg_query(store, PG_HEAD, &result, err) != PLEX_OK)
        return err->status;
    if (PQntuples(result) > 0) {
        out->newest_seq = journal_pg_u64(result, 0, 0);
        out->state_seq = journal_pg_u64(result, 0, 1);
        out->anchor_seq = journal_pg_u64(result, 0, 2);
        chain = journal_pg_bytes(result, 0, 3);
        out->anchor_chained = chain.len == sizeof out->anchor;
        if (out->anchor_chained)
            memcpy(out->anchor, chain.data, chain.len);
    }
    PQclear(result);
    return PLEX_OK;
}

/* -- turns ----------------------------------------------------------------- */

static enum plex_status
past_copy(struct plex_bytes *bytes, struct plex_arena *arena,
          struct plex_err *err)
{
    return journal_bytes_copy(*bytes, arena, bytes, err);
}

/* A row of PG_TURNS_PAST. */
static enum plex_status
past_read(const PGresult *result, int i, const char *name, size_t name_len,
          bool with_state, struct plex_arena *arena, struct journal_stored *out,
          struct plex_err *err)
{
    const struct plex_bytes chain = journal_pg_bytes(result, i, 12);
    struct journal_row *row = &out->row;

    *out = (struct journal_stored){0};
    out->damaged = !journal_pg_row_read(result, i, name, name_len, row);
    row->record = journal_pg_bytes(result, i, 13);
    row->state = journal_pg_bytes(result, i, 14);
    out->damaged = out->damaged ||
                   journal_record_hash(row->record) != row->record_hash ||
                   (with_state && row->has_state &&
                    journal_state_hash(row->state) != row->state_hash);
    out->chained = chain.len == sizeof out->chain;
    if (out->chained)
        memcpy(out->chain, chain.data, chain.len);
    if (past_copy(&row->message_id, arena, err) != PLEX_OK ||
        past_copy(&row->reply, arena, err) != PLEX_OK ||
        past_copy(&row->record, arena, err) != PLEX_OK)
        return err->status;
    return past_copy(&row->state, arena, err);
}

static enum plex_status
pg_turns(struct journal_store *base, const struct plex_actor_id *actor,
         const struct journal_stored_range *range, struct plex_arena *arena,
         struct journal_stored **out, size_t *n, struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)base;
    char name[PLEX_ACTOR_NAME_MAX + 1];
    const size_t name_len = journal_actor_name(actor, name);
    PGresult *result;
    enum plex_status status = PLEX_OK;

    *n = 0;
    if (journal_pg_connect(store, err) != PLEX_OK)
        return err->status;
    journal_pg_param_text(store, name, name_len);
    journal_pg_param_u64(store, range->first);
    journal_pg_param_u64(store, range->last);
    journal_pg_param_u64(store, range->limit);
    journal_pg_param_u64(store, range->with_state);
    if (journal_pg_query(store, PG_TURNS_PAST, &result, err) != PLEX_OK)
        return err->status;
    *out =
        plex_arena_alloc(arena, (size_t)PQntuples(result) * sizeof **out + 1);
    if (*out == NULL)
        status = plex_err_set(err, PLEX_TOO_LARGE, "no memory for %d turns",
                              PQntuples(result));
    for (int i = 0; i < PQntuples(result) && status == PLEX_OK; i++, (*n)++)
        status = past_read(result, i, name, name_len, range->with_state, arena,
                           &(*out)[i], err);
    PQclear(result);
    return status;
}

static enum plex_status
pg_seq_at(struct journal_store *base, const struct plex_actor_id *actor,
          uint64_t at_ms, uint64_t *seq, struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)base;
    PGresult *result;

    *seq = 0;
    if (journal_pg_connect(store, err) != PLEX_OK)
        return err->status;
    param_name(store, actor);
    journal_pg_param_u64(store, at_ms);
    if (journal_pg_query(store, PG_SEQ_AT, &result, err) != PLEX_OK)
        return err->status;
    if (PQntuples(result) > 0)
        *seq = journal_pg_u64(result, 0, 0);
    PQclear(result);
    return PLEX_OK;
}

/* -- state ----------------------------------------------------------------- */

static enum plex_status
state_snapshot(struct pg_store *store, uint64_t id, const char *name,
               size_t name_len, uint64_t seq, struct plex_arena *arena,
               struct journal_stored_state *out, struct plex_err *err)
{
    struct journal_row row;
    PGresult *result;

    journal_pg_param_u64(store, id);
    journal_pg_param_u64(store, out->expected);
    journal_pg_param_u64(store, seq);
    if (journal_pg_query(store, PG_SNAPSHOT_GET, &result, err) != PLEX_OK)
        return err->status;
    for (int i = 0; i < PQntuples(result) && !out->found; i++) {
        if (!journal_pg_snapshot_read(result, i, name, name_len, &row))
            continue;
        out->found = true;
        out->seq = row.seq;
        out->schema_version = row.schema_version;
        out->flags = row.flags;
        err->status = journal_bytes_copy(row.state, arena, &out->state, err);
    }
    PQclear(result);
    return err->status;
}

static enum plex_status
state_turn(struct journal_store *base, const struct plex_actor_id *actor,
           const char *name, struct plex_arena *arena,
           struct journal_stored_state *out, struct plex_err *err)
{
    const struct journal_stored_range range = {out->expected, out->expected, 1,
                                               true};
    struct journal_stored *turns;
    size_t n;

    if (pg_turns(base, actor, &range, arena, &turns, &n, err) != PLEX_OK)
        return err->status;
    if (n == 0)
        return PLEX_OK; /* removed */
    if (turns[0].damaged)
        return plex_err_set(err, PLEX_CORRUPT,
                            "turn of actor %s at seq %llu does not match its "
                            "checksum",
                            name, (unsigned long long)out->expected);
    out->found = true;
    out->seq = turns[0].row.seq;
    out->schema_version = turns[0].row.schema_version;
    out->state = turns[0].row.state;
    out->flags = turns[0].row.flags;
    return PLEX_OK;
}

static enum plex_status
pg_state_at(struct journal_store *base, const struct plex_actor_id *actor,
            uint64_t seq, struct plex_arena *arena,
            struct journal_stored_state *out, struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)base;
    char name[PLEX_ACTOR_NAME_MAX + 1];
    const size_t name_len = journal_actor_name(actor, name);
    PGresult *result;
    uint64_t id = 0;

    if (journal_pg_connect(store, err) != PLEX_OK)
        return err->status;
    journal_pg_param_text(store, name, name_len);
    journal_pg_param_u64(store, seq);
    if (journal_pg_query(store, PG_STATE_SEQ, &result, err) != PLEX_OK)
        return err->status;
    if (PQntuples(result) > 0) {
        id = journal_pg_u64(result, 0, 0);
        out->known = !PQgetisnull(result, 0, 1);
        out->expected = journal_pg_u64(result, 0, 2);
    }
    PQclear(result);
    if (id == 0)
        return PLEX_OK;
    if (state_snapshot(store, id, name, name_len, seq, arena, out, err) !=
        PLEX_OK)
        return err->status;
    return out->found || out->expected == 0
               ? PLEX_OK
               : state_turn(base, actor, name, arena, out, err);
}

static enum plex_status
pg_actors(struct journal_store *base, const char *after, uint32_t limit,
          struct plex_arena *arena, const char *const **out, size_t *n,
          struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)base;
    const char **names = plex_arena_alloc(arena, limit * sizeof *names + 1);
    PGresult *result;

    *n = 0;
    *out = names;
    if (journal_pg_connect(store, err) != PLEX_OK)
        return err->status;
    journal_pg_param_text(store, after, strlen(after));
    journal_pg_param_u64(store, limit);
    if (journal_pg_query(store, PG_ACTORS_LIST, &result, err) != PLEX_OK)
        return err->status;
    for (int i = 0; i < PQntuples(result) && names != NULL; i++) {
        names[i] = plex_arena_strndup(arena, PQgetvalue(result, i, 0),
                                      (size_t)PQgetlength(result, i, 0));
        if (names[(*n)++] == NULL)
            names = NULL;
    }
    PQclear(result);
    return names != NULL
               ? PLEX_OK
               : plex_err_set(err, PLEX_TOO_LARGE, "no memory for names");
}

static enum plex_status
pg_unkeep(struct journal_store *base, const struct plex_actor_id *actor,
          uint64_t first, uint64_t last, uint64_t wall_ms, struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)base;
    char name[PLEX_ACTOR_NAME_MAX + 1];
    PGresult *result;

    if (journal_pg_connect(store, err) != PLEX_OK)
        return err->status;
    journal_pg_param_text(store, name, journal_actor_name(actor, name));
    journal_pg_param_u64(store, first);
    journal_pg_param_u64(store, last);
    journal_pg_param_u64(store, wall_ms);
    if (journal_pg_query(store, PG_UNKEEP, &result, err) != PLEX_OK)
        return err->status;
    PQclear(result);
    store->retain_after = (struct pg_expiry){0};
    return PLEX_OK;
}

const struct journal_history_ops journal_pg_history = {
    .head = pg_head,
    .turns = pg_turns,
    .seq_at = pg_seq_at,
    .state_at = pg_state_at,
    .actors = pg_actors,
    .unkeep = pg_unkeep,
};
