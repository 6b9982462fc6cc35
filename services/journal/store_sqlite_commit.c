#include "services/journal/store_sqlite.h"

#include "common/mem.h"
#include "services/journal/chain.h"

#include <stdlib.h>
#include <string.h>

/* -- heads ----------------------------------------------------------------- */

void
journal_sql_heads_fini(struct sql_store *store)
{
    struct sql_head *head, *next;

    for (head = store->heads; head != NULL; head = next) {
        next = head->hh.next;
        HASH_DEL(store->heads, head);
        free(head);
    }
}

/* Forget the oldest clean heads; their rows say all. Never inside a commit,
 * whose touched ones must stay. */
static void
heads_trim(struct sql_store *store)
{
    struct sql_head *head, *next;
    unsigned looked = 0;

    if (HASH_COUNT(store->heads) <= SQL_HEADS_MAX)
        return;
    for (head = store->heads; head != NULL && looked < SQL_HEADS_MAX / 4;
         head = next, looked++) {
        next = head->hh.next;
        if (head->now.first_dirty != 0)
            continue;
        HASH_DEL(store->heads, head);
        free(head);
    }
}

static struct sql_head *
head_make(struct sql_store *store, const char *name, size_t len, int64_t id)
{
    struct sql_head *head = plex_calloc(1, sizeof *head + len + 1);

    head->id = id;
    head->name_len = len;
    memcpy(head->name, name, len);
    HASH_ADD_KEYPTR(hh, store->heads, head->name, len, head);
    return head;
}

static void
chain_in(struct plex_bytes from, uint8_t out[JOURNAL_CHAIN_BYTES])
{
    if (from.len == JOURNAL_CHAIN_BYTES)
        memcpy(out, from.data, JOURNAL_CHAIN_BYTES);
}

static enum plex_status
head_read(struct sql_store *store, const char *name, size_t len,
          struct sql_head **out, struct plex_err *err)
{
    sqlite3_stmt *stmt = journal_sql_get(store, SQL_ACTOR_FIND);
    struct sql_head *head;
    int rc;

    *out = NULL;
    (void)sqlite3_bind_text(stmt, 1, name, (int)len, SQLITE_STATIC);
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        head = head_make(store, name, len, sqlite3_column_int64(stmt, 0));
        head->now.last_seq = plex_sqlite_u64(stmt, 1);
        head->now.last_turn = plex_sqlite_u64(stmt, 2);
        head->now.state_seq = plex_sqlite_u64(stmt, 3);
        head->now.state_turn = plex_sqlite_u64(stmt, 4);
        chain_in(plex_sqlite_bytes(stmt, 5), head->now.chain);
        *out = head;
    } else if (rc != SQLITE_DONE) {
        return journal_sql_error(store, "could not read", err);
    }
    sqlite3_reset(stmt);
    return PLEX_OK;
}

enum plex_status
journal_sql_head_find(struct sql_store *store, const struct plex_actor_id *id,
                      struct sql_head **out, struct plex_err *err)
{
    char name[PLEX_ACTOR_NAME_MAX + 1];
    const size_t len = journal_actor_name(id, name);

    HASH_FIND(hh, store->heads, name, len, *out);
    return *out != NULL ? PLEX_OK : head_read(store, name, len, out, err);
}

/* Remember what a failed commit has to give back. */
static void
head_touch(struct sql_store *store, struct sql_head *head)
{
    if (head->touched == store->commit)
        return;
    head->touched = store->commit;
    head->made = false;
    head->before = head->now;
    head->touched_next = store->touched;
    store->touched = head;
}

static enum plex_status
head_find_or_make(struct sql_store *store, const struct plex_actor_id *id,
                  struct sql_head **out, struct plex_err *err)
{
    char name[PLEX_ACTOR_NAME_MAX + 1];
    sqlite3_stmt *stmt;
    size_t len;

    if (journal_sql_head_find(store, id, out, err) != PLEX_OK || *out != NULL)
        return *out != NULL ? PLEX_OK : err->status;
    len = journal_actor_name(id, name);
    stmt = journal_sql_get(store, SQL_ACTOR_ADD);
    (void)sqlite3_bind_text(stmt, 1, name, (int)len, SQLITE_STATIC);
    if (journal_sql_run(store, stmt, err) != PLEX_OK)
        return err->status;
    *out = head_make(store, name, len,
                     sqlite3_last_insert_rowid(store->sqlite.db));
    head_touch(store, *out);
    (*out)->made = true;
    return PLEX_OK;
}

static void
head_clean(struct sql_store *store, struct sql_head *head)
{
    TAILQ_REMOVE(&store->dirty, head, dirty_link);
    head->now.first_dirty = 0;
    store->n_dirty--;
}

static void
head_dirty(struct sql_store *store, struct sql_head *head, uint64_t turn)
{
    if (head->now.first_dirty != 0)
        return;
    head->now.first_dirty = turn;
    TAILQ_INSERT_TAIL(&store->dirty, head, dirty_link);
    store->n_dirty++;
}

static enum plex_status
head_write(struct sql_store *store, struct sql_head *head, struct plex_err *err)
{
    sqlite3_stmt *stmt = journal_sql_get(store, SQL_ACTOR_HEAD);

    (void)sqlite3_bind_int64(stmt, 1, head->id);
    plex_sqlite_bind_u64(stmt, 2, head->now.last_seq);
    plex_sqlite_bind_u64(stmt, 3, head->now.last_turn);
    plex_sqlite_bind_u64(stmt, 4, head->now.state_seq);
    plex_sqlite_bind_u64(stmt, 5, head->now.state_turn);
    return journal_sql_run(store, stmt, err);
}

enum plex_status
journal_sql_heads_write(struct sql_store *store, uint64_t keep, size_t min,
                        struct plex_err *err)
{
    struct sql_head *head;
    uint64_t mark = store->next_turn;
    sqlite3_stmt *stmt;

    for (size_t n = 0; (head = TAILQ_FIRST(&store->dirty)) != NULL; n++) {
        if (n >= min && head->now.first_dirty + keep >= store->next_turn)
            break;
        if (head_write(store, head, err) != PLEX_OK)
            return err->status;
        head_touch(store, head);
        head_clean(store, head);
    }
    if (head != NULL)
        mark = head->now.first_dirty;
    if (mark == store->mark)
        return PLEX_OK;
    stmt = journal_sql_get(store, SQL_MARK);
    plex_sqlite_bind_u64(stmt, 1, mark);
    if (journal_sql_run(store, stmt, err) != PLEX_OK)
        return err->status;
    store->mark = mark;
    return PLEX_OK;
}

/* -- one entry ------------------------------------------------------------- */

/* A timer that is set again has its old id: its row is changed. */
static bool
is_added_again(const struct journal_entry *entry, struct plex_bytes id)
{
    enum { LOOK_AT = 8 };

    for (size_t i = 0; i < entry->n_pending && i < LOOK_AT; i++) {
        const struct plex_bytes added = entry->pending[i].id;

        if (added.len == id.len && memcmp(added.data, id.data, id.len) == 0)
            return true;
    }
    return false;
}

static enum plex_status
pendings_settle(struct sql_store *store, const struct sql_head *head,
                const struct journal_entry *entry, struct plex_err *err)
{
    for (size_t i = 0; i < entry->n_settled; i++) {
        sqlite3_stmt *stmt;

        if (is_added_again(entry, entry->settled[i]))
            continue;
        stmt = journal_sql_get(store, SQL_PENDING_DROP);
        plex_sqlite_bind_bytes(stmt, 1, entry->settled[i]);
        (void)sqlite3_bind_int64(stmt, 2, head->id);
        if (journal_sql_run(store, stmt, err) != PLEX_OK)
            return err->status;
    }
    return PLEX_OK;
}

static enum plex_status
pendings_add(struct sql_store *store, const struct sql_head *head,
             const struct journal_entry *entry, struct plex_err *err)
{
    for (size_t i = 0; i < entry->n_pending; i++) {
        struct journal_pending pending = entry->pending[i];
        sqlite3_stmt *stmt = journal_sql_get(store, SQL_PENDING_ADD);
        const struct journal_coded of = {entry->actor.tenant, head->name,
                                         head->name_len};
        const uint64_t flags =
            journal_code_pending(&store->base, &of, &pending);

        plex_sqlite_bind_u64(stmt, 1, entry->shard);
        plex_sqlite_bind_u64(stmt, 2, pending.due_ms);
        (void)sqlite3_bind_int64(stmt, 3, head->id);
        plex_sqlite_bind_u64(stmt, 4, journal_pending_checksum(&pending));
        plex_sqlite_bind_bytes(stmt, 5, pending.id);
        plex_sqlite_bind_bytes(stmt, 6, pending.message);
        plex_sqlite_bind_u64(stmt, 7, flags);
        if (journal_sql_run(store, stmt, err) != PLEX_OK)
            return err->status;
    }
    return PLEX_OK;
}

static void
turn_bind(struct sql_store *store, sqlite3_stmt *stmt,
          const struct sql_head *head, const struct journal_row *row)
{
    plex_sqlite_bind_u64(stmt, 1, store->next_turn);
    (void)sqlite3_bind_int64(stmt, 2, head->id);
    plex_sqlite_bind_u64(stmt, 3, row->seq);
    plex_sqlite_bind_u64(stmt, 4, head->now.last_turn);
    plex_sqlite_bind_u64(stmt, 5, row->at_ms);
    plex_sqlite_bind_u64(stmt, 6, row->expires_ms);
    plex_sqlite_bind_u64(stmt, 7, row->request_hash);
    (void)sqlite3_bind_int(stmt, 8, row->has_state != 0);
    plex_sqlite_bind_u64(stmt, 9, row->schema_version);
    plex_sqlite_bind_u64(stmt, 10, row->state_hash);
    plex_sqlite_bind_u64(stmt, 11,
                         journal_row_checksum(row, head->name, head->name_len));
    plex_sqlite_bind_bytes(stmt, 12, row->message_id);
    plex_sqlite_bind_bytes(stmt, 13, row->reply);
    plex_sqlite_bind_bytes(stmt, 14, row->state);
    plex_sqlite_bind_u64(stmt, 18, row->record_hash);
    plex_sqlite_bind_u64(stmt, 19, row->flags);
    plex_sqlite_bind_bytes(
        stmt, 20, (struct plex_bytes){head->now.chain, sizeof head->now.chain});
    plex_sqlite_bind_bytes(stmt, 21, row->record);
}

/* How long the turn is kept, and where the state after it is. */
static void
turn_bind_keep(struct sql_store *store, sqlite3_stmt *stmt,
               const struct sql_head *head, const struct journal_entry *entry)
{
    const struct journal_keep keep =
        journal_policy_of(&store->policy, entry->actor.type);
    const uint64_t until_ms = entry->at_ms + keep.ms;

    plex_sqlite_bind_u64(
        stmt, 15,
        until_ms > entry->expires_ms ? until_ms - entry->expires_ms : 0);
    plex_sqlite_bind_u64(stmt, 16, keep.turns);
    plex_sqlite_bind_u64(
        stmt, 17, entry->has_state ? 0 : entry->seq - head->now.state_seq);
}

static enum plex_status
seek_add(struct sql_store *store, const struct sql_head *head,
         const struct journal_row *row, struct plex_err *err)
{
    sqlite3_stmt *stmt;

    if (row->seq % SQL_SEEK_EVERY != 0)
        return PLEX_OK;
    stmt = journal_sql_get(store, SQL_SEEK_ADD);
    (void)sqlite3_bind_int64(stmt, 1, head->id);
    plex_sqlite_bind_u64(stmt, 2, row->seq);
    plex_sqlite_bind_u64(stmt, 3, store->next_turn);
    plex_sqlite_bind_u64(stmt, 4, row->at_ms);
    return journal_sql_run(store, stmt, err);
}

static enum plex_status
turn_add(struct sql_store *store, struct sql_head *head,
         const struct journal_entry *entry, struct plex_err *err)
{
    const struct journal_coded of = {entry->actor.tenant, head->name,
                                     head->name_len};
    struct journal_row row = journal_row_of(entry);
    sqlite3_stmt *stmt = journal_sql_get(store, SQL_TURN_ADD);

    journal_code_row(&store->base, &of, false, &row);
    head_touch(store, head);
    journal_chain_next(store->base.chain, head->now.chain, head->name,
                       head->name_len, &row, head->now.chain);
    turn_bind(store, stmt, head, &row);
    turn_bind_keep(store, stmt, head, entry);
    if (journal_sql_run(store, stmt, err) != PLEX_OK ||
        seek_add(store, head, &row, err) != PLEX_OK)
        return err->status;
    head_dirty(store, head, store->next_turn);
    head->now.last_seq = entry->seq;
    head->now.last_turn = store->next_turn;
    if (entry->has_state) {
        head->now.state_seq = entry->seq;
        head->now.state_turn = store->next_turn;
    }
    store->next_turn++;
    return PLEX_OK;
}

static enum plex_status
apply_turn(struct sql_store *store, struct sql_head *head,
           const struct journal_entry *entry, uint64_t wall_ms,
           struct journal_result *result, struct plex_err *err)
{
    const struct plex_bytes id = entry->message_id;
    bool known = false;

    if (entry->seq != head->now.last_seq + 1) {
        result->status = PLEX_CONFLICT;
        return journal_sql_message_known(store, head, id, wall_ms, result, err);
    }
    if (id.len > 0) {
        if (journal_sql_message_add(store, head, SQL_MESSAGE_ADD, id, &known,
                                    err) != PLEX_OK)
            return err->status;
        if (known && journal_sql_message_known(store, head, id, wall_ms, result,
                                               err) != PLEX_OK)
            return err->status;
        if (result->status != PLEX_OK)
            return PLEX_OK;
        if (known && journal_sql_message_add(store, head, SQL_MESSAGE_SET, id,
                                             &known, err) != PLEX_OK)
            return err->status;
    }
    if (turn_add(store, head, entry, err) != PLEX_OK ||
        pendings_settle(store, head, entry, err) != PLEX_OK)
        return err->status;
    return pendings_add(store, head, entry, err);
}

static enum plex_status
apply_snapshot(struct sql_store *store, struct sql_head *head,
               const struct journal_entry *entry, struct journal_result *result,
               struct plex_err *err)
{
    const struct journal_coded of = {entry->actor.tenant, head->name,
                                     head->name_len};
    struct journal_row row = journal_row_of(entry);
    sqlite3_stmt *stmt;

    if (entry->seq > head->now.last_seq) {
        result->status = PLEX_CONFLICT;
        return PLEX_OK;
    }
    journal_code_row(&store->base, &of, true, &row);
    stmt = journal_sql_get(store, SQL_SNAPSHOT_ADD);
    (void)sqlite3_bind_int64(stmt, 1, head->id);
    plex_sqlite_bind_u64(stmt, 2, row.seq);
    plex_sqlite_bind_u64(stmt, 3, row.schema_version);
    plex_sqlite_bind_u64(stmt, 4, row.state_hash);
    plex_sqlite_bind_u64(
        stmt, 5, journal_row_checksum(&row, head->name, head->name_len));
    plex_sqlite_bind_bytes(stmt, 6, row.state);
    plex_sqlite_bind_u64(stmt, 7, row.flags);
    if (journal_sql_run(store, stmt, err) != PLEX_OK)
        return err->status;
    stmt = journal_sql_get(store, SQL_SNAPSHOT_TRIM);
    (void)sqlite3_bind_int64(stmt, 1, head->id);
    return journal_sql_run(store, stmt, err);
}

/* -- epochs ---------------------------------------------------------------- */

static void
epochs_save(struct sql_store *store)
{
    if (store->epochs_saved)
        return;
    store->epochs_saved = true;
    journal_epochs_fini(&store->epochs_before);
    journal_epochs_copy(&store->epochs, &store->epochs_before);
}

static void
epochs_raise(struct sql_store *store, const struct journal_fence *range)
{
    epochs_save(store);
    (void)journal_epochs_raise(&store->epochs, range);
}

/* Write the chunks that this commit changed. */
static enum plex_status
epochs_write(struct sql_store *store, struct plex_err *err)
{
    uint8_t blob[4096 * 8];

    for (uint32_t chunk = 0; chunk * 4096 < store->epochs.n; chunk++) {
        const uint64_t *from = store->epochs.by_shard + chunk * 4096;
        sqlite3_stmt *stmt;

        if (chunk * 4096 < store->epochs_before.n &&
            memcmp(from, store->epochs_before.by_shard + chunk * 4096,
                   sizeof blob) == 0)
            continue;
        for (size_t i = 0; i < 4096; i++)
            for (size_t k = 0; k < 8; k++)
                blob[i * 8 + k] = (uint8_t)(from[i] >> (56 - 8 * k));
        stmt = journal_sql_get(store, SQL_EPOCH_SET);
        (void)sqlite3_bind_int64(stmt, 1, chunk);
        plex_sqlite_bind_bytes(stmt, 2, (struct plex_bytes){blob, sizeof blob});
        if (journal_sql_run(store, stmt, err) != PLEX_OK)
            return err->status;
        (void)sqlite3_clear_bindings(stmt);
    }
    return PLEX_OK;
}

static void
apply_fences(struct sql_store *store, struct journal_commit *commit)
{
    for (size_t i = 0; i < commit->n_fences; i++) {
        const struct journal_fence *range = &commit->fences[i];
        const uint64_t max =
            journal_epochs_max(&store->epochs, range->first, range->last);

        commit->fence_newest[i] = max > range->epoch ? max : 0;
        if (commit->fence_newest[i] == 0)
            epochs_raise(store, range);
    }
}

/* True when the entry may go on. */
static bool
check_epoch(struct sql_store *store, const struct journal_entry *entry,
            struct journal_result *result)
{
    const uint64_t newest = journal_epochs_get(&store->epochs, entry->shard);

    if (entry->epoch < newest) {
        result->status = PLEX_FENCED;
        result->newest_epoch = newest;
        return false;
    }
    if (entry->epoch > newest)
        epochs_raise(store, &(struct journal_fence){entry->shard, entry->shard,
                                                    entry->epoch});
    return true;
}

/* -- the transaction ------------------------------------------------------- */

static enum plex_status
apply(struct sql_store *store, const struct journal_commit *commit, size_t i,
      struct plex_err *err)
{
    const struct journal_entry *entry = commit->entries[i];
    struct journal_result *result = commit->results[i];
    struct sql_head *head;
    enum plex_status status;

    *result = (struct journal_result){0};
    if (!commit->unsafe_no_fencing && !check_epoch(store, entry, result))
        return PLEX_OK;
    if (head_find_or_make(store, &entry->actor, &head, err) != PLEX_OK)
        return err->status;
    if (head->failed == store->commit) {
        result->status = PLEX_CONFLICT;
        return PLEX_OK;
    }
    if (entry->kind == JOURNAL_TURN)
        status = apply_turn(store, head, entry, commit->wall_ms, result, err);
    else if (entry->kind == JOURNAL_SNAPSHOT)
        status = apply_snapshot(store, head, entry, result, err);
    else
        status = pendings_settle(store, head, entry, err);
    if (result->status != PLEX_OK)
        head->failed = store->commit;
    return status;
}

static enum plex_status
apply_all(struct sql_store *store, struct journal_commit *commit,
          struct plex_err *err)
{
    if (journal_sql_run(store, journal_sql_get(store, SQL_BEGIN), err) !=
        PLEX_OK)
        return err->status;
    apply_fences(store, commit);
    for (size_t i = 0; i < commit->n_entries; i++)
        if (apply(store, commit, i, err) != PLEX_OK)
            return err->status;
    if (store->epochs_saved && epochs_write(store, err) != PLEX_OK)
        return err->status;
    return journal_sql_heads_write(store, store->flushing ? 0 : SQL_HEAD_LAG, 0,
                                   err);
}

/* Give back what memory had before the commit. The list of dirty heads must
 * stay sorted by first_dirty, so it is made anew: this is rare. */
static int
by_first_dirty(const void *a, const void *b)
{
    const struct sql_head *x = *(struct sql_head *const *)a;
    const struct sql_head *y = *(struct sql_head *const *)b;

    return x->now.first_dirty < y->now.first_dirty
               ? -1
               : x->now.first_dirty > y->now.first_dirty;
}

static void
dirty_rebuild(struct sql_store *store)
{
    struct sql_head **all =
        plex_calloc(HASH_COUNT(store->heads) + 1, sizeof(struct sql_head *));
    size_t n = 0;

    for (struct sql_head *h = store->heads; h != NULL; h = h->hh.next)
        if (h->now.first_dirty != 0)
            all[n++] = h;
    qsort(all, n, sizeof(struct sql_head *), by_first_dirty);
    TAILQ_INIT(&store->dirty);
    for (size_t i = 0; i < n; i++)
        TAILQ_INSERT_TAIL(&store->dirty, all[i], dirty_link);
    store->n_dirty = n;
    free(all);
}

static void
undo(struct sql_store *store, uint64_t mark)
{
    struct sql_head *head, *next;

    for (head = store->touched; head != NULL; head = next) {
        next = head->touched_next;
        head->now = head->before;
        if (head->made) {
            HASH_DEL(store->heads, head);
            free(head);
        }
    }
    store->touched = NULL;
    dirty_rebuild(store);
    store->next_turn = store->next_turn_before;
    store->mark = mark;
    if (store->epochs_saved) {
        journal_epochs_fini(&store->epochs);
        store->epochs = store->epochs_before;
        store->epochs_before = (struct journal_epochs){0};
    }
    /* SQLite may have rolled back already, after a full disk for one. */
    if (!sqlite3_get_autocommit(store->sqlite.db))
        (void)sqlite3_exec(store->sqlite.db, "ROLLBACK", NULL, NULL, NULL);
}

/* The end of COMMIT failed: a flush that the kernel could not do may still
 * have reached the disk. */
static enum plex_status
commit_failed(struct sql_store *store, struct plex_err *err)
{
    if ((sqlite3_errcode(store->sqlite.db) & 0xff) == SQLITE_IOERR)
        err->status = PLEX_UNKNOWN;
    return err->status;
}

enum plex_status
journal_sql_commit(struct journal_store *base, struct journal_commit *commit,
                   struct plex_err *err)
{
    struct sql_store *store = (struct sql_store *)base;
    const uint64_t mark = store->mark;
    enum plex_status status;

    if (journal_keys_ensure(base, commit, err) != PLEX_OK)
        return err->status;
    heads_trim(store);
    store->commit++;
    store->touched = NULL;
    store->epochs_saved = false;
    store->next_turn_before = store->next_turn;
    store->replies.len = 0;
    status = apply_all(store, commit, err);
    if (status == PLEX_OK &&
        journal_sql_run(store, journal_sql_get(store, SQL_COMMIT), err) !=
            PLEX_OK)
        status = commit_failed(store, err);
    if (status != PLEX_OK) {
        undo(store, mark);
        return err->status;
    }
    for (size_t i = 0; i < commit->n_entries; i++) {
        struct journal_result *result = commit->results[i];

        if (result->reply.len > 0)
            result->reply.data =
                store->replies.data + (uintptr_t)result->reply.data;
    }
    return PLEX_OK;
}

enum plex_status
journal_sql_heads_flush(struct sql_store *store, struct plex_err *err)
{
    struct journal_commit nothing = {0};
    enum plex_status status;

    store->flushing = true;
    status = journal_sql_commit(&store->base, &nothing, err);
    store->flushing = false;
    return status;
}
