/* One actor is loaded, and what it has in common with several at once. */
#include "services/journal/store_pg_load.h"

#include <string.h>

static enum plex_status
corrupt(const char *what, const struct pg_loading *l, uint64_t seq,
        struct plex_err *err)
{
    return plex_err_set(err, PLEX_CORRUPT,
                        "%s of actor %s at seq %llu does not match its "
                        "checksum",
                        what, l->name, (unsigned long long)seq);
}

static enum plex_status
row_read(const struct pg_loading *l, const PGresult *result, int i,
         struct journal_row *out, struct plex_err *err)
{
    if (!journal_pg_row_read(result, i, l->name, l->head.name_len, out))
        return corrupt("turn", l, out->seq, err);
    return PLEX_OK;
}

/* What a row says, as it was before it was stored. */
static enum plex_status
row_decode(const struct pg_loading *l, enum journal_piece piece,
           const struct journal_row *row, struct plex_bytes in,
           struct plex_bytes *out, struct plex_err *err)
{
    const struct journal_coding coding = {.piece = piece,
                                          .flags = row->flags,
                                          .name = l->name,
                                          .name_len = l->head.name_len,
                                          .seq = row->seq};

    return journal_decode(&l->store->base, &coding, in, l->arena, out, err);
}

static enum plex_status
state_take(struct pg_loading *l, const struct journal_row *row,
           struct plex_bytes state, struct plex_err *err)
{
    l->out->has_state = true;
    l->out->schema_version = row->schema_version;
    l->out->state_seq = row->seq;
    return row_decode(l, JOURNAL_PIECE_STATE, row, state, &l->out->state, err);
}

void
journal_pg_loading_init(struct pg_loading *l, struct pg_store *store,
                        const struct journal_load *load,
                        struct plex_arena *arena, struct journal_loaded *out)
{
    l->store = store;
    l->load = load;
    l->arena = arena;
    l->out = out;
    l->head = (struct head){
        .name = l->name, .name_len = journal_actor_name(&load->actor, l->name)};
}

void
journal_pg_loading_head(struct pg_loading *l, const PGresult *result, int i)
{
    journal_work_head_read(&l->head, result, i);
    l->out->last_seq = l->head.last_seq;
    journal_pg_head_learn(l->store, &l->head);
}

enum plex_status
journal_pg_loading_fenced(const struct pg_loading *l, uint64_t *newest_epoch,
                          struct plex_err *err)
{
    const uint32_t shard = l->load->shard;
    const uint64_t newest = journal_epochs_get(&l->store->epochs, shard);

    if (l->load->epoch >= newest)
        return PLEX_OK;
    *newest_epoch = newest;
    return plex_err_set(err, PLEX_FENCED, "shard %u is at epoch %llu", shard,
                        (unsigned long long)newest);
}

enum plex_status
journal_pg_loading_snapshot(struct pg_loading *l, const PGresult *result, int i,
                            struct plex_err *err)
{
    struct journal_row row;

    if (!journal_pg_snapshot_read(result, i, l->name, l->head.name_len, &row))
        return PLEX_OK;
    return state_take(l, &row, row.state, err);
}

enum plex_status
journal_pg_loading_turn(struct pg_loading *l, const PGresult *result, int i,
                        struct plex_err *err)
{
    const struct plex_bytes state = journal_pg_bytes(result, i, 12);
    struct journal_row row;

    if (row_read(l, result, i, &row, err) != PLEX_OK)
        return err->status;
    if (journal_state_hash(state) != row.state_hash)
        return corrupt("state", l, row.seq, err);
    return state_take(l, &row, state, err);
}

enum plex_status
journal_pg_loading_recent(struct pg_loading *l, const PGresult *result,
                          int from, int to, struct plex_err *err)
{
    const uint32_t max = l->load->recent_max;
    struct journal_recorded *recent =
        plex_arena_alloc(l->arena, max * sizeof *recent + 1);
    size_t bytes = 0;

    if (recent == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE, "no memory for %u answers",
                            max);
    l->out->recent = recent;
    for (int i = from; i < to && l->out->n_recent < max; i++) {
        struct journal_recorded *r = &recent[l->out->n_recent];
        struct journal_row row;

        if (row_read(l, result, i, &row, err) != PLEX_OK)
            return err->status;
        bytes += row.reply.len + row.message_id.len;
        if (bytes > JOURNAL_RECENT_BYTES_MAX)
            break;
        *r = (struct journal_recorded){.request_hash = row.request_hash,
                                       .expires_ms = row.expires_ms,
                                       .seq = row.seq};
        if (journal_bytes_copy(row.message_id, l->arena, &r->message_id, err) !=
                PLEX_OK ||
            row_decode(l, JOURNAL_PIECE_REPLY, &row, row.reply, &r->reply,
                       err) != PLEX_OK)
            return err->status;
        l->out->n_recent++;
    }
    return PLEX_OK;
}

/* -- one by itself --------------------------------------------------------- */

static enum plex_status
load_snapshot(struct pg_loading *l, struct plex_err *err)
{
    enum plex_status status = PLEX_OK;
    PGresult *result;

    journal_pg_param_u64(l->store, l->head.id);
    journal_pg_param_u64(l->store, l->head.state_seq);
    journal_pg_param_u64(l->store, INT64_MAX);
    if (journal_pg_query(l->store, PG_SNAPSHOT_GET, &result, err) != PLEX_OK)
        return err->status;
    for (int i = 0;
         status == PLEX_OK && !l->out->has_state && i < PQntuples(result); i++)
        status = journal_pg_loading_snapshot(l, result, i, err);
    PQclear(result);
    return status;
}

/* A row that is not there leaves l->out->has_state false. */
static enum plex_status
load_turn_state(struct pg_loading *l, struct plex_err *err)
{
    enum plex_status status = PLEX_OK;
    PGresult *result;

    journal_pg_param_u64(l->store, l->head.id);
    journal_pg_param_u64(l->store, l->head.state_seq);
    if (journal_pg_query(l->store, PG_TURN_STATE, &result, err) != PLEX_OK)
        return err->status;
    if (PQntuples(result) > 0)
        status = journal_pg_loading_turn(l, result, 0, err);
    PQclear(result);
    return status;
}

static enum plex_status
load_recent(struct pg_loading *l, uint64_t wall_ms, struct plex_err *err)
{
    PGresult *result;
    enum plex_status status;

    journal_pg_param_u64(l->store, l->head.id);
    journal_pg_param_u64(l->store, wall_ms);
    journal_pg_param_u64(l->store, l->load->recent_max);
    if (journal_pg_query(l->store, PG_TURNS_RECENT, &result, err) != PLEX_OK)
        return err->status;
    status = journal_pg_loading_recent(l, result, 0, PQntuples(result), err);
    PQclear(result);
    return status;
}

/* The epochs' version and the actor's row in one trip. */
static enum plex_status
load_head(struct pg_loading *l, struct plex_err *err)
{
    PGresult *got[2];
    uint64_t version;

    if (!journal_pg_send(l->store, PG_EPOCH_VERSION))
        return journal_pg_failed(l->store, NULL, err);
    journal_pg_array_text(l->store);
    journal_pg_add_bytes(
        l->store, 0,
        (struct plex_bytes){(const uint8_t *)l->name, l->head.name_len});
    if (!journal_pg_send(l->store, PG_ACTORS_GET))
        return journal_pg_failed(l->store, NULL, err);
    if (journal_pg_collect(l->store, got, 2, err) != PLEX_OK)
        return err->status;
    version = journal_pg_u64(got[0], 0, 0);
    if (journal_pg_epochs_refresh(l->store, version, err) == PLEX_OK &&
        PQntuples(got[1]) > 0)
        journal_pg_loading_head(l, got[1], 0);
    PQclear(got[0]);
    PQclear(got[1]);
    return err->status;
}

static enum plex_status
load_unfenced_head(struct pg_loading *l, uint64_t *newest_epoch,
                   struct plex_err *err)
{
    if (load_head(l, err) != PLEX_OK)
        return err->status;
    return journal_pg_loading_fenced(l, newest_epoch, err);
}

/* Where the state is missing that the head named, another journal may have
 * written a newer one and removed it meanwhile: the head tells. */
static enum plex_status
load_state(struct pg_loading *l, uint64_t *newest_epoch, struct plex_err *err)
{
    enum { TRIES = 8 };

    for (int i = 0; i < TRIES; i++) {
        const uint64_t state_seq = l->head.state_seq;

        if (load_snapshot(l, err) != PLEX_OK)
            return err->status;
        if (l->out->has_state || state_seq == 0)
            return PLEX_OK;
        if (load_turn_state(l, err) != PLEX_OK)
            return err->status;
        if (l->out->has_state)
            return PLEX_OK;
        if (load_unfenced_head(l, newest_epoch, err) != PLEX_OK)
            return err->status;
        if (l->head.state_seq == state_seq)
            return plex_err_set(err, PLEX_CORRUPT,
                                "the state of actor %s at seq %llu is missing",
                                l->name, (unsigned long long)state_seq);
    }
    return plex_err_set(err, PLEX_UNAVAILABLE,
                        "other journals go on writing actor %s", l->name);
}

enum plex_status
journal_pg_load(struct journal_store *base, const struct journal_load *load,
                uint64_t wall_ms, struct plex_arena *arena,
                struct journal_loaded *out, uint64_t *newest_epoch,
                struct plex_err *err)
{
    struct pg_loading l;

    journal_pg_loading_init(&l, (struct pg_store *)base, load, arena, out);
    err->status = PLEX_OK;
    if (journal_pg_connect(l.store, err) != PLEX_OK ||
        load_unfenced_head(&l, newest_epoch, err) != PLEX_OK)
        return err->status;
    if (l.head.id == 0)
        return PLEX_OK;
    if (load_state(&l, newest_epoch, err) != PLEX_OK)
        return err->status;
    return load_recent(&l, wall_ms, err);
}
