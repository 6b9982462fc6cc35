#include "services/journal/store_pg.h"

#include <string.h>

static enum plex_status
corrupt(const char *what, const char *name, uint64_t seq, struct plex_err *err)
{
    return plex_err_set(err, PLEX_CORRUPT,
                        "%s of actor %s at seq %llu does not match its "
                        "checksum",
                        what, name, (unsigned long long)seq);
}

bool
journal_pg_row_read(const PGresult *result, int i, const char *name,
                    size_t name_len, struct journal_row *out)
{
    *out = (struct journal_row){
        .seq = journal_pg_u64(result, i, 0),
        .at_ms = journal_pg_u64(result, i, 1),
        .expires_ms = journal_pg_u64(result, i, 2),
        .request_hash = journal_pg_u64(result, i, 3),
        .has_state =
            journal_pg_u64(result, i, 4) == journal_pg_u64(result, i, 0),
        .schema_version = (uint32_t)journal_pg_u64(result, i, 5),
        .state_hash = journal_pg_u64(result, i, 6),
        .message_id = journal_pg_bytes(result, i, 8),
        .reply = journal_pg_bytes(result, i, 9),
        .flags = journal_pg_u64(result, i, 10),
        .record_hash = journal_pg_u64(result, i, 11),
    };
    return journal_row_checksum(out, name, name_len) ==
           journal_pg_u64(result, i, 7);
}

static enum plex_status
row_read(const PGresult *result, int i, const char *name, size_t name_len,
         struct journal_row *out, struct plex_err *err)
{
    if (!journal_pg_row_read(result, i, name, name_len, out))
        return corrupt("turn", name, out->seq, err);
    return PLEX_OK;
}

bool
journal_pg_snapshot_read(const PGresult *result, int i, const char *name,
                         size_t name_len, struct journal_row *out)
{
    *out = (struct journal_row){
        .seq = journal_pg_u64(result, i, 0),
        .has_state = 1,
        .schema_version = (uint32_t)journal_pg_u64(result, i, 1),
        .state_hash = journal_pg_u64(result, i, 2),
        .state = journal_pg_bytes(result, i, 4),
        .flags = journal_pg_u64(result, i, 5),
    };
    return journal_row_checksum(out, name, name_len) ==
               journal_pg_u64(result, i, 3) &&
           journal_state_hash(out->state) == out->state_hash;
}

/* What a row says, as it was before it was stored. */
static enum plex_status
row_decode(struct pg_store *store, enum journal_piece piece,
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

struct loading {
    struct pg_store *store;
    const struct journal_load *load;
    char name[PLEX_ACTOR_NAME_MAX + 1];
    size_t name_len;
    uint64_t id, state_seq;
    struct plex_arena *arena;
    struct journal_loaded *out;
};

static enum plex_status
load_snapshot(struct loading *l, struct plex_err *err)
{
    PGresult *result;

    journal_pg_param_u64(l->store, l->id);
    journal_pg_param_u64(l->store, l->state_seq);
    journal_pg_param_u64(l->store, INT64_MAX);
    if (journal_pg_query(l->store, PG_SNAPSHOT_GET, &result, err) != PLEX_OK)
        return err->status;
    for (int i = 0; i < PQntuples(result); i++) {
        struct journal_row row;

        if (!journal_pg_snapshot_read(result, i, l->name, l->name_len, &row))
            continue;
        l->out->has_state = true;
        l->out->schema_version = row.schema_version;
        l->out->state_seq = row.seq;
        err->status =
            row_decode(l->store, JOURNAL_PIECE_STATE, &row, l->name,
                       l->name_len, row.state, l->arena, &l->out->state, err);
        break;
    }
    PQclear(result);
    return err->status;
}

/* A row that is not there leaves l->out->has_state false. */
static enum plex_status
load_turn_state(struct loading *l, struct plex_err *err)
{
    struct journal_row row;
    PGresult *result;
    enum plex_status status = PLEX_OK;

    journal_pg_param_u64(l->store, l->id);
    journal_pg_param_u64(l->store, l->state_seq);
    if (journal_pg_query(l->store, PG_TURN_STATE, &result, err) != PLEX_OK)
        return err->status;
    if (PQntuples(result) > 0) {
        const struct plex_bytes state = journal_pg_bytes(result, 0, 12);

        status = row_read(result, 0, l->name, l->name_len, &row, err);
        if (status == PLEX_OK && journal_state_hash(state) != row.state_hash)
            status = corrupt("state", l->name, row.seq, err);
        if (status == PLEX_OK) {
            l->out->has_state = true;
            l->out->schema_version = row.schema_version;
            l->out->state_seq = row.seq;
            status =
                row_decode(l->store, JOURNAL_PIECE_STATE, &row, l->name,
                           l->name_len, state, l->arena, &l->out->state, err);
        }
    }
    PQclear(result);
    return status;
}

static enum plex_status
recent_read(struct loading *l, const PGresult *result,
            struct journal_recorded *recent, struct plex_err *err)
{
    size_t bytes = 0;

    for (int i = 0; i < PQntuples(result); i++) {
        struct journal_recorded *r = &recent[l->out->n_recent];
        struct journal_row row;

        if (row_read(result, i, l->name, l->name_len, &row, err) != PLEX_OK)
            return err->status;
        bytes += row.reply.len + row.message_id.len;
        if (bytes > JOURNAL_RECENT_BYTES_MAX)
            break;
        *r = (struct journal_recorded){.request_hash = row.request_hash,
                                       .expires_ms = row.expires_ms,
                                       .seq = row.seq};
        if (journal_bytes_copy(row.message_id, l->arena, &r->message_id, err) !=
                PLEX_OK ||
            row_decode(l->store, JOURNAL_PIECE_REPLY, &row, l->name,
                       l->name_len, row.reply, l->arena, &r->reply,
                       err) != PLEX_OK)
            return err->status;
        l->out->n_recent++;
    }
    return PLEX_OK;
}

static enum plex_status
load_recent(struct loading *l, uint64_t wall_ms, struct plex_err *err)
{
    const uint32_t max = l->load->recent_max;
    struct journal_recorded *recent =
        plex_arena_alloc(l->arena, max * sizeof *recent + 1);
    PGresult *result;
    enum plex_status status;

    if (recent == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE, "no memory for %u answers",
                            max);
    l->out->recent = recent;
    journal_pg_param_u64(l->store, l->id);
    journal_pg_param_u64(l->store, wall_ms);
    journal_pg_param_u64(l->store, max);
    if (journal_pg_query(l->store, PG_TURNS_RECENT, &result, err) != PLEX_OK)
        return err->status;
    status = recent_read(l, result, recent, err);
    PQclear(result);
    return status;
}

/* The epochs' version and the actor's row in one trip. */
static enum plex_status
load_head(struct loading *l, struct plex_err *err)
{
    PGresult *got[2];
    uint64_t version;

    if (!journal_pg_send(l->store, PG_EPOCH_VERSION))
        return journal_pg_failed(l->store, NULL, err);
    journal_pg_array_text(l->store);
    journal_pg_add_bytes(
        l->store, 0,
        (struct plex_bytes){(const uint8_t *)l->name, l->name_len});
    if (!journal_pg_send(l->store, PG_ACTORS_GET))
        return journal_pg_failed(l->store, NULL, err);
    if (journal_pg_collect(l->store, got, 2, err) != PLEX_OK)
        return err->status;
    version = journal_pg_u64(got[0], 0, 0);
    if (PQntuples(got[1]) > 0) {
        l->id = journal_pg_u64(got[1], 0, 1);
        l->out->last_seq = journal_pg_u64(got[1], 0, 2);
        l->state_seq = journal_pg_u64(got[1], 0, 3);
    }
    PQclear(got[0]);
    PQclear(got[1]);
    return journal_pg_epochs_refresh(l->store, version, err);
}

static enum plex_status
load_unfenced_head(struct loading *l, uint64_t *newest_epoch,
                   struct plex_err *err)
{
    const uint32_t shard = l->load->shard;
    uint64_t newest;

    if (load_head(l, err) != PLEX_OK)
        return err->status;
    newest = journal_epochs_get(&l->store->epochs, shard);
    if (l->load->epoch >= newest)
        return PLEX_OK;
    *newest_epoch = newest;
    return plex_err_set(err, PLEX_FENCED, "shard %u is at epoch %llu", shard,
                        (unsigned long long)newest);
}

/* Where the state is missing that the head named, another journal may have
 * written a newer one and removed it meanwhile: the head tells. */
static enum plex_status
load_state(struct loading *l, uint64_t *newest_epoch, struct plex_err *err)
{
    enum { TRIES = 8 };

    for (int i = 0; i < TRIES; i++) {
        const uint64_t state_seq = l->state_seq;

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
        if (l->state_seq == state_seq)
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
    struct loading l = {.store = (struct pg_store *)base,
                        .load = load,
                        .arena = arena,
                        .out = out};

    l.name_len = journal_actor_name(&load->actor, l.name);
    if (journal_pg_connect(l.store, err) != PLEX_OK ||
        load_unfenced_head(&l, newest_epoch, err) != PLEX_OK)
        return err->status;
    if (l.id == 0)
        return PLEX_OK;
    if (load_state(&l, newest_epoch, err) != PLEX_OK)
        return err->status;
    return load_recent(&l, wall_ms, err);
}

/* -- lookup ---------------------------------------------------------------- */

static enum plex_status
actor_read(const PGresult *result, int i, int column, struct plex_arena *arena,
           struct plex_actor_id *out, struct plex_err *err)
{
    return journal_actor_split(PQgetvalue(result, i, column),
                               (size_t)PQgetlength(result, i, column), arena,
                               out, err);
}

static enum plex_status
lookup_turn(struct pg_store *store, const char *tenant, struct plex_bytes id,
            uint64_t wall_ms, struct plex_arena *arena,
            struct journal_lookup *out, struct plex_err *err)
{
    PGresult *result;
    enum plex_status status;

    journal_pg_param_bytes(store, id);
    journal_pg_param_u64(store, wall_ms);
    journal_pg_param_text(store, tenant, strlen(tenant));
    if (journal_pg_query(store, PG_MESSAGE_FIND, &result, err) != PLEX_OK)
        return err->status;
    if (PQntuples(result) == 0) {
        status = plex_err_set(err, PLEX_NOT_FOUND,
                              "no message of that id is recorded");
    } else {
        const struct journal_row row = {.flags = journal_pg_u64(result, 0, 3),
                                        .seq = journal_pg_u64(result, 0, 4)};

        out->at_ms = journal_pg_u64(result, 0, 0);
        status = row_decode(
            store, JOURNAL_PIECE_REPLY, &row, PQgetvalue(result, 0, 1),
            (size_t)PQgetlength(result, 0, 1), journal_pg_bytes(result, 0, 2),
            arena, &out->reply, err);
        if (status == PLEX_OK)
            status = actor_read(result, 0, 1, arena, &out->actor, err);
    }
    PQclear(result);
    return status;
}

enum plex_status
journal_pg_lookup(struct journal_store *base, const char *tenant,
                  struct plex_bytes id, uint64_t wall_ms,
                  struct plex_arena *arena, struct journal_lookup *out,
                  struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)base;
    PGresult *result;
    enum plex_status status = PLEX_NOT_FOUND;

    if (journal_pg_connect(store, err) != PLEX_OK)
        return err->status;
    journal_pg_param_bytes(store, id);
    journal_pg_param_text(store, tenant, strlen(tenant));
    if (journal_pg_query(store, PG_PENDING_FIND, &result, err) != PLEX_OK)
        return err->status;
    if (PQntuples(result) > 0) {
        out->waiting = true;
        out->due_ms = journal_pg_u64(result, 0, 0);
        status = actor_read(result, 0, 1, arena, &out->actor, err);
    }
    PQclear(result);
    if (status != PLEX_NOT_FOUND)
        return status;
    return lookup_turn(store, tenant, id, wall_ms, arena, out, err);
}

/* -- answers --------------------------------------------------------------- */

enum plex_status
journal_pg_answers(struct journal_answering *answering, struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)answering->store;
    char name[PLEX_ACTOR_NAME_MAX + 1];
    PGresult *result;

    if (journal_pg_connect(store, err) != PLEX_OK)
        return err->status;
    journal_pg_array_text(store);
    journal_pg_array_bytes(store);
    for (size_t i = 0; i < answering->n; i++) {
        const struct journal_asked *asked = &answering->asked[i];
        const size_t len = journal_actor_name(&asked->actor, name);

        journal_pg_add_bytes(store, 1,
                             (struct plex_bytes){(const uint8_t *)name, len});
        journal_pg_add_bytes(store, 0, asked->message_id);
    }
    if (journal_pg_query(store, PG_MESSAGES_GET, &result, err) != PLEX_OK)
        return err->status;
    for (int i = 0; i < PQntuples(result); i++) {
        const size_t at = (size_t)journal_pg_u64(result, i, 0) - 1;
        const struct journal_row row = {
            .request_hash = journal_pg_u64(result, i, 1),
            .expires_ms = journal_pg_u64(result, i, 2),
            .reply = journal_pg_bytes(result, i, 3),
            .flags = journal_pg_u64(result, i, 4),
            .seq = journal_pg_u64(result, i, 5),
        };

        if (at < answering->n)
            journal_answer_take(
                answering, at, &row, name,
                journal_actor_name(&answering->asked[at].actor, name));
    }
    PQclear(result);
    return PLEX_OK;
}

/* -- pendings -------------------------------------------------------------- */

static enum plex_status
pending_read(struct pg_store *store, const PGresult *result, int i,
             struct plex_arena *arena, struct journal_pending_item *out,
             struct plex_err *err)
{
    const struct journal_pending pending = {
        .due_ms = journal_pg_u64(result, i, 2),
        .id = journal_pg_bytes(result, i, 4),
        .message = journal_pg_bytes(result, i, 5)};
    const struct journal_coding coding = {.piece = JOURNAL_PIECE_MESSAGE,
                                          .flags = journal_pg_u64(result, i, 7),
                                          .name = PQgetvalue(result, i, 6),
                                          .name_len =
                                              (size_t)PQgetlength(result, i, 6),
                                          .pending_id = pending.id};

    if (journal_pending_checksum(&pending) != journal_pg_u64(result, i, 3))
        return corrupt("a pending", PQgetvalue(result, i, 6),
                       journal_pg_u64(result, i, 0), err);
    out->pending.due_ms = pending.due_ms;
    if (journal_bytes_copy(pending.id, arena, &out->pending.id, err) !=
            PLEX_OK ||
        journal_decode(&store->base, &coding, pending.message, arena,
                       &out->pending.message, err) != PLEX_OK)
        return err->status;
    return actor_read(result, i, 6, arena, &out->owner, err);
}

static enum plex_status
page_token(const PGresult *result, int last, struct plex_arena *arena,
           struct journal_paged *out, struct plex_err *err)
{
    const struct journal_cursor cursor = {
        .shard = (uint32_t)journal_pg_u64(result, last, 1),
        .due_ms = journal_pg_u64(result, last, 2),
        .row = journal_pg_u64(result, last, 0)};
    uint8_t *token = plex_arena_alloc(arena, JOURNAL_TOKEN_BYTES);

    if (token == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE, "no memory for a token");
    journal_cursor_write(&cursor, token);
    out->next = (struct plex_bytes){token, JOURNAL_TOKEN_BYTES};
    return PLEX_OK;
}

static enum plex_status
page_read(struct pg_store *store, const PGresult *result, uint32_t limit,
          struct plex_arena *arena, struct journal_paged *out,
          struct plex_err *err)
{
    const int n = PQntuples(result);
    struct journal_pending_item *items =
        plex_arena_alloc(arena, (size_t)n * sizeof *items + 1);
    size_t bytes = 0;
    int i = 0;

    if (items == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE, "no memory for %d pendings",
                            n);
    for (; i < n && (uint32_t)i < limit && bytes < JOURNAL_PAGE_BYTES_MAX;
         i++) {
        if (pending_read(store, result, i, arena, &items[i], err) != PLEX_OK)
            return err->status;
        bytes += items[i].pending.message.len + items[i].pending.id.len;
    }
    out->items = items;
    out->n = (size_t)i;
    return i < n ? page_token(result, i - 1, arena, out, err) : PLEX_OK;
}

static enum plex_status
next_due(struct pg_store *store, const struct journal_page *page,
         struct journal_paged *out, struct plex_err *err)
{
    PGresult *result;

    journal_pg_param_u64(store, page->first);
    journal_pg_param_u64(store, page->last);
    journal_pg_param_u64(store, page->until_ms);
    if (journal_pg_query(store, PG_PENDING_NEXT, &result, err) != PLEX_OK)
        return err->status;
    out->next_due_ms = journal_pg_u64(result, 0, 0);
    PQclear(result);
    return PLEX_OK;
}

enum plex_status
journal_pg_pending(struct journal_store *base, const struct journal_page *page,
                   struct plex_arena *arena, struct journal_paged *out,
                   struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)base;
    struct journal_cursor after;
    PGresult *result;
    enum plex_status status;

    if (journal_cursor_read(page->after, page->first, &after, err) != PLEX_OK ||
        journal_pg_connect(store, err) != PLEX_OK)
        return err->status;
    journal_pg_param_u64(store, after.shard);
    journal_pg_param_u64(store, after.due_ms);
    journal_pg_param_u64(store, after.row);
    journal_pg_param_u64(store, page->last);
    journal_pg_param_u64(store, (uint64_t)page->limit + 1); /* is there more? */
    if (page->until_ms > 0)
        journal_pg_param_u64(store, page->until_ms);
    if (journal_pg_query(store,
                         page->until_ms > 0 ? PG_PENDING_DUE : PG_PENDING_PAGE,
                         &result, err) != PLEX_OK)
        return err->status;
    status = page_read(store, result, page->limit, arena, out, err);
    PQclear(result);
    return status == PLEX_OK && page->until_ms > 0 && out->next.len == 0
               ? next_due(store, page, out, err)
               : status;
}
