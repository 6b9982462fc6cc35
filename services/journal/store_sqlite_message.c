#include "services/journal/store_sqlite.h"

#include <string.h>

/* Recorded message ids and their answers. */

static enum plex_status
message_turn(struct sql_store *store, const struct sql_head *head,
             struct plex_bytes id, uint64_t *turn, struct plex_err *err)
{
    sqlite3_stmt *stmt = journal_sql_get(store, SQL_MESSAGE_GET);
    int rc;

    plex_sqlite_bind_bytes(stmt, 1, id);
    (void)sqlite3_bind_int64(stmt, 2, head->id);
    rc = sqlite3_step(stmt);
    *turn = rc == SQLITE_ROW ? plex_sqlite_u64(stmt, 0) : 0;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return journal_sql_error(store, "could not read", err);
    sqlite3_reset(stmt);
    return PLEX_OK;
}

/* Copied aside: results point into store->replies only once it has stopped
 * growing, so its offset goes where the pointer will be. Too many large ones
 * for one answer, or one that cannot be read: a conflict, after which the
 * worker loads the actor and so gets the recorded answer, or is told. */
static void
reply_keep(struct sql_store *store, const struct sql_head *head,
           const struct journal_row *row, struct journal_result *result)
{
    const size_t at_byte = store->replies.len;
    const struct journal_coding coding = {.piece = JOURNAL_PIECE_REPLY,
                                          .flags = row->flags,
                                          .name = head->name,
                                          .name_len = head->name_len,
                                          .seq = row->seq};
    struct plex_arena arena;
    struct plex_bytes reply;
    struct plex_err err;
    uint8_t *copy = NULL;

    plex_arena_init(&arena, 2 * JOURNAL_EXISTS_BYTES_MAX);
    if (journal_decode(&store->base, &coding, row->reply, &arena, &reply,
                       &err) == PLEX_OK)
        copy = plex_buf_grow(&store->replies, reply.len);
    result->status = copy == NULL ? PLEX_CONFLICT : PLEX_EXISTS;
    result->request_hash = row->request_hash;
    if (copy != NULL && reply.len > 0) {
        memcpy(copy, reply.data, reply.len);
        result->reply.len = reply.len;
        result->reply.data = (const uint8_t *)(uintptr_t)at_byte;
    }
    plex_arena_fini(&arena);
}

/* The answer recorded for the id. */
enum plex_status
journal_sql_message_known(struct sql_store *store, const struct sql_head *head,
                          struct plex_bytes id, uint64_t wall_ms,
                          struct journal_result *result, struct plex_err *err)
{
    struct sql_turn turn;
    uint64_t at;

    if (id.len == 0)
        return PLEX_OK;
    if (message_turn(store, head, id, &at, err) != PLEX_OK)
        return err->status;
    if (at == 0)
        return PLEX_OK;
    if (journal_sql_turn_get(store, at, head->name, head->name_len, &turn,
                             err) != PLEX_OK)
        return err->status == PLEX_NOT_FOUND ? PLEX_OK : err->status;
    if (turn.row.expires_ms > wall_ms)
        reply_keep(store, head, &turn.row, result);
    (void)journal_sql_get(store, SQL_TURN_GET); /* ends the read */
    return PLEX_OK;
}

enum plex_status
journal_sql_message_add(struct sql_store *store, const struct sql_head *head,
                        enum sql_statement how, struct plex_bytes id,
                        bool *known, struct plex_err *err)
{
    sqlite3_stmt *stmt = journal_sql_get(store, how);
    int rc;

    *known = false;
    plex_sqlite_bind_bytes(stmt, 1, id);
    (void)sqlite3_bind_int64(stmt, 2, head->id);
    plex_sqlite_bind_u64(stmt, 3, store->next_turn);
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_CONSTRAINT)
        *known = true;
    else if (rc != SQLITE_DONE)
        (void)journal_sql_error(store, "could not write", err);
    sqlite3_reset(stmt);
    return rc == SQLITE_DONE || *known ? PLEX_OK : err->status;
}

/* -- answers --------------------------------------------------------------- */

static enum plex_status
answer_get(struct journal_answering *answering, size_t i, struct plex_err *err)
{
    struct sql_store *store = (struct sql_store *)answering->store;
    const struct journal_asked *asked = &answering->asked[i];
    struct sql_head *head;
    struct sql_turn turn;
    uint64_t at;

    if (journal_sql_head_find(store, &asked->actor, &head, err) != PLEX_OK)
        return err->status;
    if (head == NULL)
        return PLEX_OK;
    if (message_turn(store, head, asked->message_id, &at, err) != PLEX_OK)
        return err->status;
    if (at == 0)
        return PLEX_OK;
    switch (journal_sql_turn_get(store, at, head->name, head->name_len, &turn,
                                 err)) {
    case PLEX_OK:
        journal_answer_take(answering, i, &turn.row, head->name,
                            head->name_len);
        (void)journal_sql_get(store, SQL_TURN_GET); /* ends the read */
        return PLEX_OK;
    case PLEX_NOT_FOUND:
        return PLEX_OK;
    case PLEX_CORRUPT:
        answering->out[i].status = PLEX_CORRUPT;
        return PLEX_OK;
    default:
        return err->status;
    }
}

/* The store is in this process: one by one is as good as all at once. */
enum plex_status
journal_sql_answers(struct journal_answering *answering, struct plex_err *err)
{
    for (size_t i = 0; i < answering->n; i++)
        if (answer_get(answering, i, err) != PLEX_OK)
            return err->status;
    return PLEX_OK;
}
