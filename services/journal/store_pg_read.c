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
        const char *name = PQgetvalue(result, 0, 1);
        const struct journal_coding coding = {
            .piece = JOURNAL_PIECE_REPLY,
            .flags = journal_pg_u64(result, 0, 3),
            .name = name,
            .name_len = (size_t)PQgetlength(result, 0, 1),
            .seq = journal_pg_u64(result, 0, 4)};

        out->at_ms = journal_pg_u64(result, 0, 0);
        status = journal_decode(&store->base, &coding,
                                journal_pg_bytes(result, 0, 2), arena,
                                &out->reply, err);
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

/* What is due is followed by a row with the id 0: when the next one is. */
static int
next_take(const PGresult *result, struct journal_paged *out)
{
    const int n = PQntuples(result);

    if (n == 0 || journal_pg_u64(result, n - 1, 0) != 0)
        return n;
    out->next_due_ms = journal_pg_u64(result, n - 1, 2);
    return n - 1;
}

static enum plex_status
page_read(struct pg_store *store, const PGresult *result, uint32_t limit,
          struct plex_arena *arena, struct journal_paged *out,
          struct plex_err *err)
{
    const int n = next_take(result, out);
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
    if (i == n)
        return PLEX_OK;
    out->next_due_ms = 0;
    return page_token(result, i - 1, arena, out, err);
}

/* Of the shards that only pages before this one looked at. */
static enum plex_status
next_due(struct pg_store *store, const struct journal_page *page,
         uint32_t before, struct journal_paged *out, struct plex_err *err)
{
    PGresult *result;
    uint64_t due_ms;

    if (before <= page->first)
        return PLEX_OK;
    journal_pg_param_u64(store, page->first);
    journal_pg_param_u64(store, before - 1);
    journal_pg_param_u64(store, page->until_ms);
    if (journal_pg_query(store, PG_PENDING_NEXT, &result, err) != PLEX_OK)
        return err->status;
    due_ms = journal_pg_u64(result, 0, 0);
    if (due_ms != 0 && (out->next_due_ms == 0 || due_ms < out->next_due_ms))
        out->next_due_ms = due_ms;
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
               ? next_due(store, page, after.shard, out, err)
               : status;
}
