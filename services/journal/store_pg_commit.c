#include "services/journal/store_pg.h"

#include "common/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#define HASH_FUNCTION(key, len, hash) (hash) = (unsigned)XXH3_64bits(key, len)
#include <uthash.h>

/* An actor of the commit. */
struct head {
    const char *name;
    size_t name_len;
    uint64_t id, last_seq, state_seq;
    bool failed; /* an entry of it */
    bool moved;  /* last_seq or state_seq changed */
};

/* What the commit knows of one id of one actor: a recorded message, or the
 * last thing that happened to a pending. */
struct mark {
    UT_hash_handle hh; /* by actor and id */
    size_t head;
    struct plex_bytes id;
    /* message */
    bool recorded; /* before this commit */
    uint64_t request_hash, expires_ms;
    struct plex_bytes reply;
    uint64_t seq; /* turn of this commit that took the id, 0: none */
    /* pending */
    const struct journal_pending *pending; /* NULL: settled */
    uint32_t shard;
    size_t key_len;
    uint8_t key[];
};

struct work {
    struct pg_store *store;
    struct journal_commit *commit;
    struct plex_arena arena;
    struct head *heads; /* by name */
    size_t n_heads;
    size_t *head_of; /* per entry */
    bool *ok;        /* per entry */
    struct mark *messages, *pendings;
    PGresult *recorded;           /* replies borrow from it */
    struct journal_epochs before; /* epochs, when they were changed */
    bool raised, exclusive;
};

static void *
take(struct work *w, size_t size)
{
    void *p = plex_arena_alloc(&w->arena, size ? size : 1);

    assert(p != NULL); /* bounded by the limits of a commit */
    return p;
}

/* -- actors of the commit, sorted and unique ------------------------------- */

struct named {
    char *name;
    size_t len, entry;
};

static int
by_name(const void *a, const void *b)
{
    const struct named *x = a, *y = b;

    return strcmp(x->name, y->name);
}

static void
heads_make(struct work *w)
{
    const size_t n = w->commit->n_entries;
    struct named *names = take(w, n * sizeof *names);

    for (size_t i = 0; i < n; i++) {
        char name[PLEX_ACTOR_NAME_MAX + 1];
        const size_t len =
            journal_actor_name(&w->commit->entries[i]->actor, name);

        names[i] = (struct named){take(w, len + 1), len, i};
        memcpy(names[i].name, name, len + 1);
    }
    if (n > 0)
        qsort(names, n, sizeof *names, by_name);
    w->heads = take(w, n * sizeof *w->heads);
    w->head_of = take(w, n * sizeof *w->head_of);
    w->ok = take(w, n * sizeof *w->ok);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || strcmp(names[i].name, names[i - 1].name) != 0)
            w->heads[w->n_heads++] =
                (struct head){.name = names[i].name, .name_len = names[i].len};
        w->head_of[names[i].entry] = w->n_heads - 1;
        w->ok[i] = false;
    }
}

static void
param_names(struct work *w)
{
    pg_array_text(w->store);
    for (size_t i = 0; i < w->n_heads; i++)
        pg_add_bytes(w->store, 0,
                     (struct plex_bytes){(const uint8_t *)w->heads[i].name,
                                         w->heads[i].name_len});
}

/* -- marks ----------------------------------------------------------------- */

static struct mark *
mark_find(struct work *w, struct mark **set, size_t head, struct plex_bytes id,
          bool make)
{
    uint8_t key[sizeof head + JOURNAL_ID_MAX];
    const size_t len = sizeof head + id.len;
    struct mark *mark;

    memcpy(key, &head, sizeof head);
    if (id.len > 0)
        memcpy(key + sizeof head, id.data, id.len);
    HASH_FIND(hh, *set, key, len, mark);
    if (mark != NULL || !make)
        return mark;
    mark = take(w, sizeof *mark + len);
    memset(mark, 0, sizeof *mark);
    mark->head = head;
    mark->id = id;
    mark->key_len = len;
    memcpy(mark->key, key, len);
    HASH_ADD_KEYPTR(hh, *set, mark->key, len, mark);
    return mark;
}

/* -- first round trip ------------------------------------------------------ */

static bool
needs_exclusive(const struct work *w)
{
    if (w->commit->n_fences > 0)
        return true;
    for (size_t i = 0; i < w->commit->n_entries; i++) {
        const struct journal_entry *entry = w->commit->entries[i];

        if (entry->epoch > journal_epochs_get(&w->store->epochs, entry->shard))
            return !w->commit->unsafe_no_fencing;
    }
    return false;
}

static bool
has_id(const struct journal_entry *entry)
{
    return entry->kind == JOURNAL_TURN && entry->message_id.len > 0;
}

static bool
send_messages_get(struct work *w)
{
    pg_array_text(w->store);
    pg_array_bytes(w->store);
    for (size_t i = 0; i < w->commit->n_entries; i++) {
        const struct journal_entry *entry = w->commit->entries[i];
        const struct head *head = &w->heads[w->head_of[i]];

        /* Empty names and ids keep row numbers equal to entry numbers. */
        pg_add_bytes(w->store, 1,
                     (struct plex_bytes){(const uint8_t *)head->name,
                                         has_id(entry) ? head->name_len : 0});
        pg_add_bytes(w->store, 0,
                     has_id(entry) ? entry->message_id
                                   : (struct plex_bytes){0});
    }
    return pg_send(w->store, PG_MESSAGES_GET);
}

enum { GOT_BEGIN, GOT_LOCK, GOT_VERSION, GOT_HEADS, GOT_MESSAGES, GOT_ALL };

static enum plex_status
first_trip(struct work *w, PGresult **got, struct plex_err *err)
{
    struct pg_store *store = w->store;

    w->exclusive = needs_exclusive(w);
    if (!pg_send(store, PG_BEGIN) ||
        !pg_send(store, w->exclusive ? PG_LOCK_EXCLUSIVE : PG_LOCK_SHARED) ||
        !pg_send(store, PG_EPOCH_VERSION))
        return pg_failed(store, NULL, err);
    param_names(w);
    if (!pg_send(store, PG_ACTORS_LOCK) || !send_messages_get(w))
        return pg_failed(store, NULL, err);
    return pg_collect(store, got, GOT_ALL, err);
}

static void
heads_read(struct work *w, const PGresult *result)
{
    for (size_t i = 0; i < w->n_heads; i++) {
        w->heads[i].id = pg_u64(result, (int)i, 0);
        w->heads[i].last_seq = pg_u64(result, (int)i, 1);
        w->heads[i].state_seq = pg_u64(result, (int)i, 2);
    }
}

/* Some actors are new: make their rows, then lock all, in name order. */
static enum plex_status
heads_add(struct work *w, struct plex_err *err)
{
    PGresult *got[2];

    param_names(w);
    if (!pg_send(w->store, PG_ACTORS_MAKE))
        return pg_failed(w->store, NULL, err);
    param_names(w);
    if (!pg_send(w->store, PG_ACTORS_LOCK))
        return pg_failed(w->store, NULL, err);
    if (pg_collect(w->store, got, 2, err) != PLEX_OK)
        return err->status;
    if ((size_t)PQntuples(got[1]) == w->n_heads)
        heads_read(w, got[1]);
    else
        (void)plex_err_set(err, PLEX_INTERNAL,
                           "Postgres: %d of %zu actors have a row",
                           PQntuples(got[1]), w->n_heads);
    PQclear(got[0]);
    PQclear(got[1]);
    return err->status;
}

static void
messages_read(struct work *w)
{
    for (int i = 0; i < PQntuples(w->recorded); i++) {
        const size_t at = (size_t)pg_u64(w->recorded, i, 0) - 1;
        struct mark *mark;

        if (at >= w->commit->n_entries)
            continue;
        mark = mark_find(w, &w->messages, w->head_of[at],
                         w->commit->entries[at]->message_id, true);
        mark->recorded = true;
        mark->request_hash = pg_u64(w->recorded, i, 1);
        mark->expires_ms = pg_u64(w->recorded, i, 2);
        mark->reply = pg_bytes(w->recorded, i, 3);
    }
}

static enum plex_status
read_first(struct work *w, struct plex_err *err)
{
    PGresult *got[GOT_ALL];
    uint64_t version;
    bool all;

    if (first_trip(w, got, err) != PLEX_OK)
        return err->status;
    version = pg_u64(got[GOT_VERSION], 0, 0);
    all = (size_t)PQntuples(got[GOT_HEADS]) == w->n_heads;
    if (all)
        heads_read(w, got[GOT_HEADS]);
    w->recorded = got[GOT_MESSAGES];
    for (int i = 0; i < GOT_MESSAGES; i++)
        PQclear(got[i]);
    messages_read(w);
    if (!all && heads_add(w, err) != PLEX_OK)
        return err->status;
    return pg_epochs_refresh(w->store, version, err);
}

/* -- deciding -------------------------------------------------------------- */

static void
epoch_raise(struct work *w, const struct journal_fence *range)
{
    if (!w->raised)
        journal_epochs_copy(&w->store->epochs, &w->before);
    w->raised = true;
    (void)journal_epochs_raise(&w->store->epochs, range);
}

static void
decide_fences(struct work *w)
{
    struct journal_commit *commit = w->commit;

    for (size_t i = 0; i < commit->n_fences; i++) {
        const struct journal_fence *range = &commit->fences[i];
        const uint64_t max =
            journal_epochs_max(&w->store->epochs, range->first, range->last);

        commit->fence_newest[i] = max > range->epoch ? max : 0;
        if (commit->fence_newest[i] == 0)
            epoch_raise(w, range);
    }
}

static bool
exists(struct work *w, const struct mark *mark, struct journal_result *result)
{
    struct plex_buf *replies = &w->store->replies;
    const size_t at = replies->len;
    uint8_t *copy;

    if (mark == NULL || mark->expires_ms <= w->commit->wall_ms ||
        (!mark->recorded && mark->seq == 0))
        return false;
    /* Too many large ones for one answer: the worker will load them. */
    copy = plex_buf_grow(replies, mark->reply.len);
    result->status = copy == NULL ? PLEX_CONFLICT : PLEX_EXISTS;
    result->request_hash = mark->request_hash;
    if (copy != NULL && mark->reply.len > 0) {
        memcpy(copy, mark->reply.data, mark->reply.len);
        result->reply.len = mark->reply.len;
        result->reply.data = (const uint8_t *)(uintptr_t)at;
    }
    return true;
}

static void
mark_pendings(struct work *w, const struct journal_entry *entry, size_t head)
{
    for (size_t i = 0; i < entry->n_settled; i++)
        mark_find(w, &w->pendings, head, entry->settled[i], true)->pending =
            NULL;
    for (size_t i = 0; i < entry->n_pending; i++) {
        struct mark *mark =
            mark_find(w, &w->pendings, head, entry->pending[i].id, true);

        mark->pending = &entry->pending[i];
        mark->shard = entry->shard;
    }
}

static void
decide_turn(struct work *w, size_t i, struct journal_result *result)
{
    const struct journal_entry *entry = w->commit->entries[i];
    struct head *head = &w->heads[w->head_of[i]];
    struct mark *mark = NULL;

    if (has_id(entry)) {
        mark =
            mark_find(w, &w->messages, w->head_of[i], entry->message_id, true);
        if (exists(w, mark, result))
            return;
    }
    if (entry->seq != head->last_seq + 1) {
        result->status = PLEX_CONFLICT;
        return;
    }
    if (mark != NULL) {
        mark->seq = entry->seq;
        mark->request_hash = entry->request_hash;
        mark->expires_ms = entry->expires_ms;
        mark->reply = entry->reply;
    }
    head->moved = true;
    head->last_seq = entry->seq;
    if (entry->has_state)
        head->state_seq = entry->seq;
    mark_pendings(w, entry, w->head_of[i]);
}

static void
decide(struct work *w, size_t i)
{
    const struct journal_entry *entry = w->commit->entries[i];
    struct journal_result *result = w->commit->results[i];
    struct head *head = &w->heads[w->head_of[i]];

    *result = (struct journal_result){0};
    if (!w->commit->unsafe_no_fencing) {
        const uint64_t newest =
            journal_epochs_get(&w->store->epochs, entry->shard);

        if (entry->epoch < newest) {
            result->status = PLEX_FENCED;
            result->newest_epoch = newest;
            return;
        }
        if (entry->epoch > newest)
            epoch_raise(w, &(struct journal_fence){entry->shard, entry->shard,
                                                   entry->epoch});
    }
    if (head->failed)
        result->status = PLEX_CONFLICT;
    else if (entry->kind == JOURNAL_TURN)
        decide_turn(w, i, result);
    else if (entry->kind == JOURNAL_SETTLE)
        mark_pendings(w, entry, w->head_of[i]);
    else if (entry->seq > head->last_seq)
        result->status = PLEX_CONFLICT;
    w->ok[i] = result->status == PLEX_OK;
    head->failed = head->failed || !w->ok[i];
}

/* -- second round trip ----------------------------------------------------- */

static void
turn_add(struct work *w, const struct journal_entry *entry,
         const struct head *head)
{
    const struct journal_row row = journal_row_of(entry);
    struct pg_store *store = w->store;

    pg_add_u64(store, 11, head->id);
    pg_add_u64(store, 10, row.seq);
    pg_add_u64(store, 9, row.at_ms);
    pg_add_u64(store, 8, row.expires_ms);
    pg_add_u64(store, 7, row.request_hash);
    pg_add_u64(store, 6, row.has_state);
    pg_add_u64(store, 5, row.schema_version);
    pg_add_u64(store, 4, row.state_hash);
    pg_add_u64(store, 3,
               journal_row_checksum(&row, head->name, head->name_len));
    pg_add_bytes(store, 2, row.message_id);
    pg_add_bytes(store, 1, row.reply);
    pg_add_bytes(store, 0,
                 entry->has_state ? entry->state : (struct plex_bytes){0});
}

/* Arrays without elements are not worth a statement. */
static bool
send_some(struct work *w, size_t n, enum pg_statement which)
{
    if (n > 0)
        return pg_send(w->store, which);
    w->store->n_params = 0;
    return true;
}

static bool
send_turns(struct work *w)
{
    size_t n = 0;

    for (int i = 0; i < 9; i++)
        pg_array_u64(w->store);
    for (int i = 0; i < 3; i++)
        pg_array_bytes(w->store);
    for (size_t i = 0; i < w->commit->n_entries; i++) {
        if (!w->ok[i] || w->commit->entries[i]->kind != JOURNAL_TURN)
            continue;
        turn_add(w, w->commit->entries[i], &w->heads[w->head_of[i]]);
        n++;
    }
    return send_some(w, n, PG_TURNS_ADD);
}

static bool
send_messages(struct work *w)
{
    size_t n = 0;

    pg_array_bytes(w->store);
    pg_array_u64(w->store);
    pg_array_u64(w->store);
    for (struct mark *m = w->messages; m != NULL; m = m->hh.next) {
        if (m->seq == 0)
            continue;
        pg_add_bytes(w->store, 2, m->id);
        pg_add_u64(w->store, 1, w->heads[m->head].id);
        pg_add_u64(w->store, 0, m->seq);
        n++;
    }
    return send_some(w, n, PG_MESSAGES_ADD);
}

static bool
send_heads(struct work *w)
{
    size_t n = 0;

    for (int i = 0; i < 3; i++)
        pg_array_u64(w->store);
    for (size_t i = 0; i < w->n_heads; i++) {
        if (!w->heads[i].moved)
            continue;
        pg_add_u64(w->store, 2, w->heads[i].id);
        pg_add_u64(w->store, 1, w->heads[i].last_seq);
        pg_add_u64(w->store, 0, w->heads[i].state_seq);
        n++;
    }
    return send_some(w, n, PG_ACTORS_SET);
}

static bool
send_settled(struct work *w)
{
    size_t n = 0;

    pg_array_bytes(w->store);
    pg_array_u64(w->store);
    for (struct mark *m = w->pendings; m != NULL; m = m->hh.next) {
        if (m->pending != NULL)
            continue;
        pg_add_bytes(w->store, 1, m->id);
        pg_add_u64(w->store, 0, w->heads[m->head].id);
        n++;
    }
    return send_some(w, n, PG_PENDING_DROP);
}

static bool
send_pendings(struct work *w)
{
    size_t n = 0;

    for (int i = 0; i < 4; i++)
        pg_array_u64(w->store);
    pg_array_bytes(w->store);
    pg_array_bytes(w->store);
    for (struct mark *m = w->pendings; m != NULL; m = m->hh.next) {
        if (m->pending == NULL)
            continue;
        pg_add_u64(w->store, 5, m->shard);
        pg_add_u64(w->store, 4, m->pending->due_ms);
        pg_add_u64(w->store, 3, w->heads[m->head].id);
        pg_add_u64(w->store, 2, journal_pending_checksum(m->pending));
        pg_add_bytes(w->store, 1, m->pending->id);
        pg_add_bytes(w->store, 0, m->pending->message);
        n++;
    }
    return send_some(w, n, PG_PENDING_ADD);
}

static bool
send_snapshots(struct work *w)
{
    for (size_t i = 0; i < w->commit->n_entries; i++) {
        const struct journal_entry *entry = w->commit->entries[i];
        const struct head *head = &w->heads[w->head_of[i]];
        struct journal_row row;

        if (!w->ok[i] || entry->kind != JOURNAL_SNAPSHOT)
            continue;
        row = journal_row_of(entry);
        pg_param_u64(w->store, head->id);
        pg_param_u64(w->store, row.seq);
        pg_param_u64(w->store, row.schema_version);
        pg_param_u64(w->store, row.state_hash);
        pg_param_u64(w->store,
                     journal_row_checksum(&row, head->name, head->name_len));
        pg_param_bytes(w->store, entry->state);
        if (!pg_send(w->store, PG_SNAPSHOT_ADD))
            return false;
        pg_param_u64(w->store, head->id);
        if (!pg_send(w->store, PG_SNAPSHOT_TRIM))
            return false;
    }
    return true;
}

/* The chunks that changed, and the version that tells the others. */
static bool
send_epochs(struct work *w)
{
    const struct journal_epochs *now = &w->store->epochs;
    uint8_t blob[4096 * 8];

    if (!w->raised)
        return true;
    for (uint32_t chunk = 0; chunk * 4096 < now->n; chunk++) {
        const uint64_t *from = now->by_shard + chunk * 4096;

        if (chunk * 4096 < w->before.n &&
            memcmp(from, w->before.by_shard + chunk * 4096, sizeof blob) == 0)
            continue;
        for (size_t i = 0; i < 4096; i++)
            for (size_t k = 0; k < 8; k++)
                blob[i * 8 + k] = (uint8_t)(from[i] >> (56 - 8 * k));
        pg_param_u64(w->store, chunk);
        pg_param_bytes(w->store, (struct plex_bytes){blob, sizeof blob});
        if (!pg_send(w->store, PG_EPOCH_SET))
            return false;
    }
    return pg_send(w->store, PG_EPOCH_BUMP);
}

static bool
send_second(struct work *w)
{
    return send_turns(w) && send_messages(w) && send_heads(w) &&
           send_settled(w) && send_pendings(w) && send_snapshots(w) &&
           send_epochs(w) && pg_send(w->store, PG_COMMIT);
}

static enum plex_status
second_trip(struct work *w, struct plex_err *err)
{
    const enum plex_status status = send_second(w)
                                        ? pg_collect(w->store, NULL, 0, err)
                                        : pg_failed(w->store, NULL, err);

    if (status == PLEX_OK) {
        if (w->raised)
            w->store->epoch_version++;
        return PLEX_OK;
    }
    /* COMMIT may have been on its way when the connection was lost. */
    if (w->store->conn == NULL)
        err->status = PLEX_UNKNOWN;
    return err->status;
}

/* -- the whole ------------------------------------------------------------- */

static void
rollback(struct work *w)
{
    struct pg_store *store = w->store;
    struct plex_err err;
    PGresult *result;

    if (w->raised) {
        journal_epochs_fini(&store->epochs);
        store->epochs = w->before;
        w->before = (struct journal_epochs){0};
        store->epoch_version = 0; /* read them again */
    }
    if (store->conn != NULL &&
        PQtransactionStatus(store->conn) != PQTRANS_IDLE &&
        pg_query(store, PG_ROLLBACK, &result, &err) == PLEX_OK)
        PQclear(result);
}

static enum plex_status
run(struct work *w, struct plex_err *err)
{
    if (pg_connect(w->store, err) != PLEX_OK || read_first(w, err) != PLEX_OK)
        return err->status;
    decide_fences(w);
    for (size_t i = 0; i < w->commit->n_entries; i++)
        decide(w, i);
    /* A stale idea of the epochs took the shared lock where raising needs the
     * exclusive one: nothing is written yet, so begin again, knowing more. */
    if (w->raised && !w->exclusive)
        return plex_err_set(err, PLEX_CONFLICT, "epochs have changed");
    return second_trip(w, err);
}

static void
replies_place(const struct work *w)
{
    for (size_t i = 0; i < w->commit->n_entries; i++) {
        struct journal_result *result = w->commit->results[i];

        if (result->reply.len > 0)
            result->reply.data =
                w->store->replies.data + (uintptr_t)result->reply.data;
    }
}

static enum plex_status
try_commit(struct pg_store *store, struct journal_commit *commit,
           struct plex_err *err)
{
    struct work w = {.store = store, .commit = commit};
    enum plex_status status;

    plex_arena_init(&w.arena, (size_t)1 << 30);
    store->replies.len = 0;
    heads_make(&w);
    status = run(&w, err);
    if (status == PLEX_OK)
        replies_place(&w);
    else
        rollback(&w);
    HASH_CLEAR(hh, w.messages);
    HASH_CLEAR(hh, w.pendings);
    PQclear(w.recorded);
    journal_epochs_fini(&w.before);
    plex_arena_fini(&w.arena);
    return status;
}

enum plex_status
pg_commit(struct journal_store *base, struct journal_commit *commit,
          struct plex_err *err)
{
    struct pg_store *store = (struct pg_store *)base;
    enum plex_status status = PLEX_CONFLICT;
    const bool connected = store->conn != NULL;

    for (int i = 0; i < 3 && status == PLEX_CONFLICT; i++)
        status = try_commit(store, commit, err);
    /* An idle connection may have been closed long ago: nothing was done. */
    if (status == PLEX_UNAVAILABLE && connected && store->conn == NULL)
        status = try_commit(store, commit, err);
    return status == PLEX_CONFLICT
               ? plex_err_set(err, PLEX_UNAVAILABLE, "epochs keep changing")
               : status;
}
