#include "services/journal/store_sqlite.h"

#include <string.h>

/* Pendings by shard and due time. */

struct reading {
    struct sql_store *store;
    const struct journal_page *page;
    struct plex_arena *arena;
    struct journal_pending_item *items;
    struct journal_paged *out;
    struct journal_cursor last; /* item that was read last */
    size_t bytes;
    uint64_t least_ms; /* when the first is due that was not taken, 0: none */
};

static enum plex_status
pending_read(struct reading *r, sqlite3_stmt *stmt,
             struct journal_pending_item *out, struct plex_err *err)
{
    const struct journal_pending pending = {.due_ms = plex_sqlite_u64(stmt, 2),
                                            .id = plex_sqlite_bytes(stmt, 4),
                                            .message =
                                                plex_sqlite_bytes(stmt, 5)};
    const char *name = plex_sqlite_text(stmt, 6);
    const struct journal_coding coding = {.piece = JOURNAL_PIECE_MESSAGE,
                                          .flags = plex_sqlite_u64(stmt, 7),
                                          .name = name,
                                          .name_len = strlen(name),
                                          .pending_id = pending.id};

    if (journal_pending_checksum(&pending) != plex_sqlite_u64(stmt, 3))
        return plex_err_set(err, PLEX_CORRUPT,
                            "%s: a pending of actor %s in row %llu does not "
                            "match its checksum",
                            r->store->path, name,
                            (unsigned long long)plex_sqlite_u64(stmt, 0));
    out->pending.due_ms = pending.due_ms;
    if (journal_bytes_copy(pending.id, r->arena, &out->pending.id, err) !=
            PLEX_OK ||
        journal_decode(&r->store->base, &coding, pending.message, r->arena,
                       &out->pending.message, err) != PLEX_OK)
        return err->status;
    return journal_actor_split(name, strlen(name), r->arena, &out->owner, err);
}

static enum plex_status
page_token(struct reading *r, struct plex_err *err)
{
    uint8_t *token = plex_arena_alloc(r->arena, JOURNAL_TOKEN_BYTES);

    if (token == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE, "no memory for a token");
    journal_cursor_write(&r->last, token);
    r->out->next = (struct plex_bytes){token, JOURNAL_TOKEN_BYTES};
    return PLEX_OK;
}

/* A row into the page; makes a token when that is full. */
static enum plex_status
row_add(struct reading *r, sqlite3_stmt *stmt, struct plex_err *err)
{
    struct journal_pending_item *item = &r->items[r->out->n];

    if (r->out->n == r->page->limit || r->bytes >= JOURNAL_PAGE_BYTES_MAX)
        return page_token(r, err);
    if (pending_read(r, stmt, item, err) != PLEX_OK)
        return err->status;
    r->last = (struct journal_cursor){(uint32_t)plex_sqlite_u64(stmt, 1),
                                      plex_sqlite_u64(stmt, 2),
                                      plex_sqlite_u64(stmt, 0)};
    r->bytes += item->pending.message.len + item->pending.id.len;
    r->out->n++;
    return PLEX_OK;
}

static sqlite3_stmt *
seek(struct reading *r, const struct journal_cursor *after)
{
    sqlite3_stmt *stmt = journal_sql_get(r->store, SQL_PENDING_PAGE);

    plex_sqlite_bind_u64(stmt, 1, after->shard);
    plex_sqlite_bind_u64(stmt, 2, after->due_ms);
    plex_sqlite_bind_u64(stmt, 3, after->row);
    plex_sqlite_bind_u64(stmt, 4, r->page->last);
    return stmt;
}

/* All rows but, with until_ms, those that are due later: one of them says
 * when the shard's next is due, then the next shard is looked for. */
static enum plex_status
rows_read(struct reading *r, const struct journal_cursor *after,
          struct plex_err *err)
{
    const uint64_t until_ms = r->page->until_ms;
    sqlite3_stmt *stmt = seek(r, after);
    enum plex_status status = PLEX_OK;
    int rc = SQLITE_DONE;

    while (status == PLEX_OK && r->out->next.len == 0 &&
           (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        const uint64_t due_ms = plex_sqlite_u64(stmt, 2);

        if (until_ms == 0 || due_ms < until_ms) {
            status = row_add(r, stmt, err);
            continue;
        }
        if (r->least_ms == 0 || due_ms < r->least_ms)
            r->least_ms = due_ms;
        stmt =
            seek(r, &(struct journal_cursor){(uint32_t)plex_sqlite_u64(stmt, 1),
                                             INT64_MAX, INT64_MAX});
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        status = journal_sql_error(r->store, "could not read", err);
    sqlite3_reset(stmt);
    return status;
}

/* When the first pending is due that is not on a page. Each step finds a shard
 * with one, or that a shard has some that are on a page. */
static enum plex_status
next_due(struct reading *r, struct plex_err *err)
{
    const uint64_t until_ms = r->page->until_ms;
    struct journal_cursor at = {r->page->first, until_ms - 1, INT64_MAX};
    int rc;

    if (r->page->after.len == 0) { /* all shards were seen */
        r->out->next_due_ms = r->least_ms;
        return PLEX_OK;
    }
    for (;;) {
        sqlite3_stmt *stmt = seek(r, &at);
        uint64_t due_ms;

        rc = sqlite3_step(stmt);
        if (rc != SQLITE_ROW)
            break;
        at.shard = (uint32_t)plex_sqlite_u64(stmt, 1);
        due_ms = plex_sqlite_u64(stmt, 2);
        sqlite3_reset(stmt);
        if (due_ms < until_ms)
            continue;
        if (r->out->next_due_ms == 0 || due_ms < r->out->next_due_ms)
            r->out->next_due_ms = due_ms;
        at.shard++;
    }
    return rc == SQLITE_DONE
               ? PLEX_OK
               : journal_sql_error(r->store, "could not read", err);
}

enum plex_status
journal_sql_pending(struct journal_store *base, const struct journal_page *page,
                    struct plex_arena *arena, struct journal_paged *out,
                    struct plex_err *err)
{
    struct reading r = {.store = (struct sql_store *)base,
                        .page = page,
                        .arena = arena,
                        .out = out};
    struct journal_cursor after;

    if (journal_cursor_read(page->after, page->first, &after, err) != PLEX_OK)
        return err->status;
    r.items = plex_arena_alloc(arena, page->limit * sizeof *r.items);
    if (r.items == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE, "no memory for %u pendings",
                            page->limit);
    out->items = r.items;
    if (rows_read(&r, &after, err) != PLEX_OK)
        return err->status;
    return page->until_ms > 0 && out->next.len == 0 ? next_due(&r, err)
                                                    : PLEX_OK;
}
