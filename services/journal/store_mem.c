#include "services/journal/store_backend.h"
#include "services/journal/store_lib.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#define HASH_FUNCTION(key, len, hash) (hash) = (unsigned)XXH3_64bits(key, len)
#include <uthash.h>

/*
 * The reference: small and obviously right rather than fast. It keeps only
 * the newest state of an actor, and a turn only as long as its message id.
 */

struct mem_turn {
    UT_hash_handle hh; /* by id: length and message id, then actor name */
    TAILQ_ENTRY(mem_turn) link;
    struct mem_actor *actor;
    struct plex_bytes message_id; /* into id */
    size_t id_len;                /* of the hash key */
    uint64_t seq, request_hash, expires_ms, at_ms;
    struct plex_bytes reply; /* owned */
    uint8_t id[];
};

struct mem_pending {
    UT_hash_handle hh; /* by pending.id, within the actor */
    struct mem_actor *actor;
    uint64_t row;
    uint32_t shard;
    struct journal_pending pending; /* owned */
};

struct mem_actor {
    UT_hash_handle hh; /* by name */
    uint64_t last_seq, state_seq;
    uint64_t failed_commit; /* the commit that failed an entry of it */
    bool has_state;
    uint32_t schema_version;
    struct plex_bytes state; /* owned */
    struct mem_pending *pendings;
    TAILQ_HEAD(mem_turns, mem_turn) turns; /* remembered ones, oldest first */
    size_t name_len;
    char name[];
};

struct mem_store {
    struct journal_store base;
    struct journal_epochs epochs;
    struct mem_actor *actors;
    struct mem_turn *turns;
    uint64_t commits, rows, bytes;
};

static struct plex_bytes
bytes_dup(struct mem_store *store, struct plex_bytes from)
{
    uint8_t *copy;

    if (from.len == 0)
        return (struct plex_bytes){0};
    copy = plex_calloc(1, from.len);
    memcpy(copy, from.data, from.len);
    store->bytes += from.len;
    return (struct plex_bytes){copy, from.len};
}

static void
bytes_drop(struct mem_store *store, struct plex_bytes *bytes)
{
    store->bytes -= bytes->len;
    free((void *)(uintptr_t)bytes->data);
    *bytes = (struct plex_bytes){0};
}

static struct mem_actor *
actor_find(struct mem_store *store, const struct plex_actor_id *id, bool make)
{
    char name[PLEX_ACTOR_NAME_MAX + 1];
    const size_t len = journal_actor_name(id, name);
    struct mem_actor *actor;

    HASH_FIND(hh, store->actors, name, len, actor);
    if (actor != NULL || !make)
        return actor;
    actor = plex_calloc(1, sizeof *actor + len + 1);
    actor->name_len = len;
    memcpy(actor->name, name, len);
    TAILQ_INIT(&actor->turns);
    HASH_ADD_KEYPTR(hh, store->actors, actor->name, len, actor);
    return actor;
}

/* -- turns ----------------------------------------------------------------- */

static size_t
turn_id(uint8_t *out, const struct mem_actor *actor, struct plex_bytes id)
{
    /* The length keeps two splits of the same bytes apart. */
    out[0] = (uint8_t)(id.len >> 8);
    out[1] = (uint8_t)id.len;
    memcpy(out + 2, id.data, id.len);
    memcpy(out + 2 + id.len, actor->name, actor->name_len);
    return 2 + id.len + actor->name_len;
}

static struct mem_turn *
turn_find(struct mem_store *store, const struct mem_actor *actor,
          struct plex_bytes id)
{
    uint8_t key[2 + JOURNAL_ID_MAX + PLEX_ACTOR_NAME_MAX];
    struct mem_turn *turn;
    size_t len;

    if (id.len == 0 || id.len > JOURNAL_ID_MAX)
        return NULL;
    len = turn_id(key, actor, id);
    HASH_FIND(hh, store->turns, key, len, turn);
    return turn;
}

static void
turn_drop(struct mem_store *store, struct mem_turn *turn)
{
    HASH_DEL(store->turns, turn);
    TAILQ_REMOVE(&turn->actor->turns, turn, link);
    bytes_drop(store, &turn->reply);
    free(turn);
}

static void
turn_add(struct mem_store *store, struct mem_actor *actor,
         const struct journal_entry *entry)
{
    const struct plex_bytes id = entry->message_id;
    struct mem_turn *turn;

    if (id.len == 0)
        return;
    turn = plex_calloc(1, sizeof *turn + 2 + id.len + actor->name_len);
    turn->actor = actor;
    turn->id_len = turn_id(turn->id, actor, id);
    turn->message_id = (struct plex_bytes){turn->id + 2, id.len};
    turn->seq = entry->seq;
    turn->request_hash = entry->request_hash;
    turn->expires_ms = entry->expires_ms;
    turn->at_ms = entry->at_ms;
    turn->reply = bytes_dup(store, entry->reply);
    HASH_ADD(hh, store->turns, id, (unsigned)turn->id_len, turn);
    TAILQ_INSERT_TAIL(&actor->turns, turn, link);
}

/* -- pendings -------------------------------------------------------------- */

static void
pending_settle(struct mem_store *store, struct mem_actor *actor,
               struct plex_bytes id)
{
    struct mem_pending *p;

    HASH_FIND(hh, actor->pendings, id.data, id.len, p);
    if (p == NULL)
        return;
    HASH_DEL(actor->pendings, p);
    bytes_drop(store, &p->pending.id);
    bytes_drop(store, &p->pending.message);
    free(p);
}

static void
pending_add(struct mem_store *store, struct mem_actor *actor, uint32_t shard,
            const struct journal_pending *pending)
{
    struct mem_pending *p;

    pending_settle(store, actor, pending->id);
    p = plex_calloc(1, sizeof *p);
    p->actor = actor;
    p->row = ++store->rows;
    p->shard = shard;
    p->pending.due_ms = pending->due_ms;
    p->pending.id = bytes_dup(store, pending->id);
    p->pending.message = bytes_dup(store, pending->message);
    HASH_ADD_KEYPTR(hh, actor->pendings, p->pending.id.data, p->pending.id.len,
                    p);
}

/* -- commit ---------------------------------------------------------------- */

static void
state_set(struct mem_store *store, struct mem_actor *actor,
          const struct journal_entry *entry)
{
    bytes_drop(store, &actor->state);
    actor->state = bytes_dup(store, entry->state);
    actor->has_state = true;
    actor->schema_version = entry->schema_version;
    actor->state_seq = entry->seq;
}

static enum plex_status
apply_turn(struct mem_store *store, struct mem_actor *actor,
           const struct journal_entry *entry, struct journal_result *result,
           uint64_t wall_ms)
{
    struct mem_turn *known = turn_find(store, actor, entry->message_id);

    if (known != NULL && known->expires_ms > wall_ms) {
        result->request_hash = known->request_hash;
        result->reply = known->reply;
        return PLEX_EXISTS;
    }
    if (entry->seq != actor->last_seq + 1)
        return PLEX_CONFLICT;
    if (known != NULL)
        turn_drop(store, known);
    actor->last_seq = entry->seq;
    turn_add(store, actor, entry);
    if (entry->has_state)
        state_set(store, actor, entry);
    for (size_t i = 0; i < entry->n_settled; i++)
        pending_settle(store, actor, entry->settled[i]);
    for (size_t i = 0; i < entry->n_pending; i++)
        pending_add(store, actor, entry->shard, &entry->pending[i]);
    return PLEX_OK;
}

static enum plex_status
apply_other(struct mem_store *store, struct mem_actor *actor,
            const struct journal_entry *entry)
{
    if (entry->kind == JOURNAL_SNAPSHOT) {
        if (entry->seq > actor->last_seq)
            return PLEX_CONFLICT;
        if (entry->seq >= actor->state_seq)
            state_set(store, actor, entry);
        return PLEX_OK;
    }
    for (size_t i = 0; i < entry->n_settled; i++)
        pending_settle(store, actor, entry->settled[i]);
    return PLEX_OK;
}

static void
apply(struct mem_store *store, const struct journal_commit *commit, size_t i)
{
    const struct journal_entry *entry = commit->entries[i];
    struct journal_result *result = commit->results[i];
    struct mem_actor *actor;

    *result = (struct journal_result){0};
    if (!commit->unsafe_no_fencing) {
        const uint64_t newest =
            journal_epochs_get(&store->epochs, entry->shard);

        if (entry->epoch < newest) {
            result->status = PLEX_FENCED;
            result->newest_epoch = newest;
            return;
        }
        (void)journal_epochs_raise(
            &store->epochs,
            &(struct journal_fence){entry->shard, entry->shard, entry->epoch});
    }
    actor = actor_find(store, &entry->actor, true);
    if (actor->failed_commit == store->commits)
        result->status = PLEX_CONFLICT;
    else if (entry->kind == JOURNAL_TURN)
        result->status =
            apply_turn(store, actor, entry, result, commit->wall_ms);
    else
        result->status = apply_other(store, actor, entry);
    if (result->status != PLEX_OK)
        actor->failed_commit = store->commits;
}

static enum plex_status
mem_commit(struct journal_store *base, struct journal_commit *commit,
           struct plex_err *err)
{
    struct mem_store *store = (struct mem_store *)base;

    (void)err;
    store->commits++;
    for (size_t i = 0; i < commit->n_fences; i++) {
        const struct journal_fence *range = &commit->fences[i];
        const uint64_t max =
            journal_epochs_max(&store->epochs, range->first, range->last);

        commit->fence_newest[i] = max > range->epoch ? max : 0;
        if (commit->fence_newest[i] == 0)
            (void)journal_epochs_raise(&store->epochs, range);
    }
    for (size_t i = 0; i < commit->n_entries; i++)
        apply(store, commit, i);
    return PLEX_OK;
}

/* -- reads ----------------------------------------------------------------- */

static enum plex_status
load_recent(const struct mem_actor *actor, const struct journal_load *load,
            uint64_t wall_ms, struct plex_arena *arena,
            struct journal_loaded *out, struct plex_err *err)
{
    struct journal_recorded *recent =
        plex_arena_alloc(arena, (load->recent_max + 1) * sizeof *recent);
    const struct mem_turn *turn;
    size_t bytes = 0;

    if (recent == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE, "no memory for %u answers",
                            load->recent_max);
    out->recent = recent;
    TAILQ_FOREACH_REVERSE(turn, &actor->turns, mem_turns, link)
    {
        struct journal_recorded *r = &recent[out->n_recent];

        bytes += turn->reply.len + turn->message_id.len;
        if (out->n_recent == load->recent_max ||
            bytes > JOURNAL_RECENT_BYTES_MAX)
            break;
        if (turn->expires_ms <= wall_ms)
            continue;
        *r = (struct journal_recorded){.request_hash = turn->request_hash,
                                       .expires_ms = turn->expires_ms,
                                       .seq = turn->seq};
        if (journal_bytes_copy(turn->message_id, arena, &r->message_id, err) !=
                PLEX_OK ||
            journal_bytes_copy(turn->reply, arena, &r->reply, err) != PLEX_OK)
            return err->status;
        out->n_recent++;
    }
    return PLEX_OK;
}

static enum plex_status
mem_load(struct journal_store *base, const struct journal_load *load,
         uint64_t wall_ms, struct plex_arena *arena, struct journal_loaded *out,
         uint64_t *newest_epoch, struct plex_err *err)
{
    struct mem_store *store = (struct mem_store *)base;
    const uint64_t newest = journal_epochs_get(&store->epochs, load->shard);
    const struct mem_actor *actor;

    if (load->epoch < newest) {
        *newest_epoch = newest;
        return plex_err_set(err, PLEX_FENCED, "shard %u is at epoch %llu",
                            load->shard, (unsigned long long)newest);
    }
    actor = actor_find(store, &load->actor, false);
    if (actor == NULL)
        return PLEX_OK;
    out->last_seq = actor->last_seq;
    out->has_state = actor->has_state;
    out->schema_version = actor->schema_version;
    out->state_seq = actor->state_seq;
    if (journal_bytes_copy(actor->state, arena, &out->state, err) != PLEX_OK)
        return err->status;
    return load_recent(actor, load, wall_ms, arena, out, err);
}

static bool
in_tenant(const struct mem_actor *actor, const char *tenant)
{
    const size_t len = strlen(tenant);

    return actor->name_len > len && memcmp(actor->name, tenant, len) == 0 &&
           actor->name[len] == '/';
}

static enum plex_status
mem_lookup(struct journal_store *base, const char *tenant, struct plex_bytes id,
           uint64_t wall_ms, struct plex_arena *arena,
           struct journal_lookup *out, struct plex_err *err)
{
    struct mem_store *store = (struct mem_store *)base;
    const struct mem_turn *found = NULL;

    for (struct mem_actor *a = store->actors; a != NULL; a = a->hh.next) {
        const struct mem_pending *p;
        const struct mem_turn *turn;

        if (!in_tenant(a, tenant))
            continue;
        HASH_FIND(hh, a->pendings, id.data, id.len, p);
        if (p != NULL) {
            out->waiting = true;
            out->due_ms = p->pending.due_ms;
            return journal_actor_split(a->name, a->name_len, arena, &out->actor,
                                       err);
        }
        turn = turn_find(store, a, id);
        if (turn != NULL && turn->expires_ms > wall_ms &&
            (found == NULL || turn->at_ms > found->at_ms))
            found = turn;
    }
    if (found == NULL)
        return plex_err_set(err, PLEX_NOT_FOUND,
                            "no message of that id is recorded");
    out->at_ms = found->at_ms;
    if (journal_bytes_copy(found->reply, arena, &out->reply, err) != PLEX_OK)
        return err->status;
    return journal_actor_split(found->actor->name, found->actor->name_len,
                               arena, &out->actor, err);
}

static int
cursor_compare(const struct journal_cursor *a, const struct journal_cursor *b)
{
    if (a->shard != b->shard)
        return a->shard < b->shard ? -1 : 1;
    if (a->due_ms != b->due_ms)
        return a->due_ms < b->due_ms ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

static struct journal_cursor
pending_cursor(const struct mem_pending *p)
{
    return (struct journal_cursor){p->shard, p->pending.due_ms, p->row};
}

static int
pending_compare(const void *a, const void *b)
{
    const struct journal_cursor ca =
        pending_cursor(*(const struct mem_pending *const *)a);
    const struct journal_cursor cb =
        pending_cursor(*(const struct mem_pending *const *)b);

    return cursor_compare(&ca, &cb);
}

/* All pendings of the shards behind the cursor, sorted. Heap memory. */
static struct mem_pending **
pending_select(const struct mem_store *store, const struct journal_page *page,
               const struct journal_cursor *after, size_t *n)
{
    struct mem_pending **all = NULL;
    size_t cap = 0;

    *n = 0;
    for (struct mem_actor *a = store->actors; a != NULL; a = a->hh.next)
        for (struct mem_pending *p = a->pendings; p != NULL; p = p->hh.next) {
            const struct journal_cursor at = pending_cursor(p);

            if (p->shard < page->first || p->shard > page->last ||
                cursor_compare(&at, after) <= 0)
                continue;
            if (*n == cap) {
                cap = cap ? 2 * cap : 64;
                all = plex_reallocarray(all, cap, sizeof(struct mem_pending *));
            }
            all[(*n)++] = p;
        }
    if (*n > 0)
        qsort(all, *n, sizeof(struct mem_pending *), pending_compare);
    return all;
}

static enum plex_status
pending_copy(const struct mem_pending *p, struct plex_arena *arena,
             struct journal_pending_item *out, struct plex_err *err)
{
    out->pending.due_ms = p->pending.due_ms;
    if (journal_bytes_copy(p->pending.id, arena, &out->pending.id, err) !=
            PLEX_OK ||
        journal_bytes_copy(p->pending.message, arena, &out->pending.message,
                           err) != PLEX_OK)
        return err->status;
    return journal_actor_split(p->actor->name, p->actor->name_len, arena,
                               &out->owner, err);
}

static enum plex_status
page_fill(struct mem_pending **all, size_t n, const struct journal_page *page,
          struct plex_arena *arena, struct journal_paged *out,
          struct plex_err *err)
{
    struct journal_pending_item *items = plex_arena_alloc(
        arena, (n < page->limit ? n : page->limit) * sizeof *items + 1);
    size_t bytes = 0, i = 0;

    if (items == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE, "no memory for %u pendings",
                            page->limit);
    for (; i < n && i < page->limit && bytes < JOURNAL_PAGE_BYTES_MAX; i++) {
        if (pending_copy(all[i], arena, &items[i], err) != PLEX_OK)
            return err->status;
        bytes += all[i]->pending.message.len + all[i]->pending.id.len;
    }
    out->items = items;
    out->n = i;
    if (i < n) {
        uint8_t *token = plex_arena_alloc(arena, JOURNAL_TOKEN_BYTES);
        const struct journal_cursor last = pending_cursor(all[i - 1]);

        if (token == NULL)
            return plex_err_set(err, PLEX_TOO_LARGE, "no memory for a token");
        journal_cursor_write(&last, token);
        out->next = (struct plex_bytes){token, JOURNAL_TOKEN_BYTES};
    }
    return PLEX_OK;
}

static enum plex_status
mem_pending(struct journal_store *base, const struct journal_page *page,
            struct plex_arena *arena, struct journal_paged *out,
            struct plex_err *err)
{
    struct mem_store *store = (struct mem_store *)base;
    struct journal_cursor after;
    struct mem_pending **all;
    size_t n;

    if (journal_cursor_read(page->after, page->first, &after, err) != PLEX_OK)
        return err->status;
    err->status = PLEX_OK;
    all = pending_select(store, page, &after, &n);
    if (n > 0)
        (void)page_fill(all, n, page, arena, out, err);
    free(all);
    return err->status;
}

/* -- the rest -------------------------------------------------------------- */

static enum plex_status
mem_retain(struct journal_store *base, uint64_t wall_ms, uint32_t limit,
           struct journal_retained *out, struct plex_err *err)
{
    struct mem_store *store = (struct mem_store *)base;
    struct mem_turn *turn, *next;

    (void)err;
    for (turn = store->turns; turn != NULL; turn = next) {
        next = turn->hh.next;
        if (turn->expires_ms > wall_ms) {
            if (out->next_ms == 0 || turn->expires_ms < out->next_ms)
                out->next_ms = turn->expires_ms;
            continue;
        }
        if (out->removed == limit) {
            out->more = true;
            break;
        }
        turn_drop(store, turn);
        out->removed++;
    }
    return PLEX_OK;
}

static enum plex_status
mem_epochs(struct journal_store *base, struct journal_epochs *out,
           struct plex_err *err)
{
    (void)err;
    journal_epochs_copy(&((struct mem_store *)base)->epochs, out);
    return PLEX_OK;
}

static uint64_t
mem_bytes(struct journal_store *base)
{
    return ((struct mem_store *)base)->bytes;
}

static enum plex_status
mem_open(struct journal_store **out, const struct journal_store_config *config,
         struct plex_err *err)
{
    struct mem_store *store = plex_calloc(1, sizeof *store);

    (void)config;
    (void)err;
    store->base.ops = &journal_store_mem;
    *out = &store->base;
    return PLEX_OK;
}

static void
mem_close(struct journal_store *base)
{
    struct mem_store *store = (struct mem_store *)base;
    struct mem_actor *actor, *next;

    for (actor = store->actors; actor != NULL; actor = next) {
        next = actor->hh.next;
        while (!TAILQ_EMPTY(&actor->turns))
            turn_drop(store, TAILQ_FIRST(&actor->turns));
        while (actor->pendings != NULL)
            pending_settle(store, actor, actor->pendings->pending.id);
        bytes_drop(store, &actor->state);
        HASH_DEL(store->actors, actor);
        free(actor);
    }
    journal_epochs_fini(&store->epochs);
    free(store);
}

const struct journal_store_ops journal_store_mem = {
    .scheme = "mem",
    .open = mem_open,
    .close = mem_close,
    .epochs = mem_epochs,
    .commit = mem_commit,
    .load = mem_load,
    .lookup = mem_lookup,
    .pending = mem_pending,
    .retain = mem_retain,
    .bytes = mem_bytes,
};
