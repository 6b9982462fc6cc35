#include "services/journal/store_pg_work.h"

#include <assert.h>
#include <string.h>

void *
journal_work_alloc(struct work *w, size_t size)
{
    void *p = plex_arena_alloc(&w->arena, size ? size : 1);

    assert(p != NULL); /* bounded by the limits of a commit */
    return p;
}

bool
journal_work_has_id(const struct journal_entry *entry)
{
    return entry->kind == JOURNAL_TURN && entry->message_id.len > 0;
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

    const int order = strcmp(x->name, y->name);

    return order ? order : (x->entry > y->entry) - (x->entry < y->entry);
}

static void
heads_make(struct work *w)
{
    const size_t n = w->commit->n_entries;
    struct named *names = journal_work_alloc(w, n * sizeof *names);

    for (size_t i = 0; i < n; i++) {
        char name[PLEX_ACTOR_NAME_MAX + 1];
        const size_t len =
            journal_actor_name(&w->commit->entries[i]->actor, name);

        names[i] = (struct named){journal_work_alloc(w, len + 1), len, i};
        memcpy(names[i].name, name, len + 1);
    }
    if (n > 0)
        qsort(names, n, sizeof *names, by_name);
    w->heads = journal_work_alloc(w, n * sizeof *w->heads);
    w->head_of = journal_work_alloc(w, n * sizeof *w->head_of);
    w->order = journal_work_alloc(w, n * sizeof *w->order);
    w->ok = journal_work_alloc(w, n * sizeof *w->ok);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || strcmp(names[i].name, names[i - 1].name) != 0)
            w->heads[w->n_heads++] =
                (struct head){.name = names[i].name, .name_len = names[i].len};
        w->head_of[names[i].entry] = w->n_heads - 1;
        w->order[i] = names[i].entry;
        w->ok[i] = false;
    }
}

/* -- marks ----------------------------------------------------------------- */

struct mark *
journal_work_mark(struct work *w, struct mark **set, size_t head,
                  struct plex_bytes id, bool make)
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
    mark = journal_work_alloc(w, sizeof *mark + len);
    memset(mark, 0, sizeof *mark);
    mark->head = head;
    mark->id = id;
    mark->key_len = len;
    memcpy(mark->key, key, len);
    HASH_ADD_KEYPTR(hh, *set, mark->key, len, mark);
    return mark;
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

/* A turn of this commit is not coded yet. */
static bool
reply_decode(struct work *w, const struct mark *mark, struct plex_arena *arena,
             struct plex_bytes *out)
{
    const struct head *head = &w->heads[mark->head];
    const struct journal_coding coding = {.piece = JOURNAL_PIECE_REPLY,
                                          .flags = mark->flags,
                                          .name = head->name,
                                          .name_len = head->name_len,
                                          .seq = mark->reply_seq};
    struct plex_err err;

    *out = mark->reply;
    return mark->seq != 0 ||
           journal_decode(&w->store->base, &coding, mark->reply, arena, out,
                          &err) == PLEX_OK;
}

static bool
exists(struct work *w, const struct mark *mark, struct journal_result *result)
{
    struct plex_buf *replies = &w->store->replies;
    const size_t at = replies->len;
    struct plex_arena arena;
    struct plex_bytes reply;
    uint8_t *copy = NULL;

    if (mark == NULL || mark->expires_ms <= w->commit->wall_ms ||
        (!mark->recorded && mark->seq == 0))
        return false;
    /* Too many large ones for one answer, or one that cannot be read: the
     * worker will load it, and get it or be told. */
    plex_arena_init(&arena, 2 * JOURNAL_EXISTS_BYTES_MAX);
    if (reply_decode(w, mark, &arena, &reply))
        copy = plex_buf_grow(replies, reply.len);
    result->status = copy == NULL ? PLEX_CONFLICT : PLEX_EXISTS;
    result->request_hash = mark->request_hash;
    if (copy != NULL && reply.len > 0) {
        memcpy(copy, reply.data, reply.len);
        result->reply.len = reply.len;
        result->reply.data = (const uint8_t *)(uintptr_t)at;
    }
    plex_arena_fini(&arena);
    return true;
}

static void
mark_pendings(struct work *w, const struct journal_entry *entry, size_t head)
{
    for (size_t i = 0; i < entry->n_settled; i++)
        journal_work_mark(w, &w->pendings, head, entry->settled[i], true)
            ->pending = NULL;
    for (size_t i = 0; i < entry->n_pending; i++) {
        struct mark *mark = journal_work_mark(w, &w->pendings, head,
                                              entry->pending[i].id, true);

        mark->pending = &entry->pending[i];
        mark->shard = entry->shard;
        mark->tenant = entry->actor.tenant;
    }
}

static void
decide_turn(struct work *w, size_t i, struct journal_result *result)
{
    const struct journal_entry *entry = w->commit->entries[i];
    struct head *head = &w->heads[w->head_of[i]];
    struct mark *mark = NULL;

    if (journal_work_has_id(entry)) {
        mark = journal_work_mark(w, &w->messages, w->head_of[i],
                                 entry->message_id, true);
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

void
journal_work_decide(struct work *w)
{
    for (size_t i = 0; i < w->n_heads; i++)
        w->heads[i].first_seq = w->heads[i].last_seq;
    decide_fences(w);
    for (size_t i = 0; i < w->commit->n_entries; i++)
        decide(w, i);
}

/* -- begin and end --------------------------------------------------------- */

void
journal_work_init(struct work *w, struct pg_store *store,
                  struct journal_commit *commit)
{
    *w = (struct work){.store = store, .commit = commit};
    plex_arena_init(&w->arena, (size_t)1 << 30);
    store->replies.len = 0;
    heads_make(w);
}

void
journal_work_fini(struct work *w)
{
    HASH_CLEAR(hh, w->messages);
    HASH_CLEAR(hh, w->pendings);
    PQclear(w->recorded);
    journal_epochs_fini(&w->before);
    plex_arena_fini(&w->arena);
}
