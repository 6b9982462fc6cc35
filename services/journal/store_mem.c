#include "services/journal/store_mem.h"

#include "common/mem.h"
#include "services/journal/chain.h"

#include <stdlib.h>
#include <string.h>

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

struct mem_actor *
journal_mem_actor(struct mem_store *store, const struct plex_actor_id *id)
{
    return actor_find(store, id, false);
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

struct mem_turn *
journal_mem_remembered(struct mem_store *store, const struct mem_actor *actor,
                       struct plex_bytes id)
{
    uint8_t key[2 + JOURNAL_ID_MAX + PLEX_ACTOR_NAME_MAX];
    struct mem_turn *turn;
    size_t len;

    if (id.len == 0 || id.len > JOURNAL_ID_MAX)
        return NULL;
    len = turn_id(key, actor, id);
    HASH_FIND(hh, store->ids, key, len, turn);
    return turn;
}

struct mem_turn *
journal_mem_turn(const struct mem_actor *actor, uint64_t seq)
{
    struct mem_turn *turn;

    /* From the end that most are asked for. */
    TAILQ_FOREACH_REVERSE(turn, &actor->turns, mem_turns, link)
    if (turn->row.seq <= seq)
        return turn->row.seq == seq ? turn : NULL;
    return NULL;
}

static void
turn_forget(struct mem_store *store, struct mem_turn *turn)
{
    if (turn->remembered)
        HASH_DEL(store->ids, turn);
    turn->remembered = false;
}

static void
turn_drop(struct mem_store *store, struct mem_turn *turn)
{
    turn_forget(store, turn);
    TAILQ_REMOVE(&turn->actor->turns, turn, link);
    TAILQ_REMOVE(&store->written, turn, written);
    bytes_drop(store, &turn->row.reply);
    bytes_drop(store, &turn->row.record);
    bytes_drop(store, &turn->row.state);
    free(turn);
}

static void
turn_add(struct mem_store *store, struct mem_actor *actor,
         const struct journal_entry *entry)
{
    const struct plex_bytes id = entry->message_id;
    const struct journal_keep keep =
        journal_policy_of(&store->policy, entry->actor.type);
    struct mem_turn *turn =
        plex_calloc(1, sizeof *turn + 2 + id.len + actor->name_len);
    struct journal_row *row = &turn->row;

    *row = journal_row_of(entry);
    journal_chain_next(store->base.chain, actor->chain, actor->name,
                       actor->name_len, row, actor->chain);
    memcpy(turn->chain, actor->chain, sizeof turn->chain);
    turn->actor = actor;
    turn->state_seq = entry->has_state ? entry->seq : actor->state_seq;
    turn->keep_ms = entry->at_ms + keep.ms > entry->expires_ms
                        ? entry->at_ms + keep.ms
                        : entry->expires_ms;
    turn->keep_turns = keep.turns;
    row->reply = bytes_dup(store, entry->reply);
    row->record = bytes_dup(store, entry->record);
    row->state = bytes_dup(store, row->state);
    row->message_id = (struct plex_bytes){0};
    if (id.len > 0) {
        turn->id_len = turn_id(turn->id, actor, id);
        row->message_id = (struct plex_bytes){turn->id + 2, id.len};
        turn->remembered = true;
        HASH_ADD(hh, store->ids, id, (unsigned)turn->id_len, turn);
    }
    TAILQ_INSERT_TAIL(&actor->turns, turn, link);
    TAILQ_INSERT_TAIL(&store->written, turn, written);
    actor->last_seq = entry->seq;
    actor->state_seq = turn->state_seq;
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
snapshot_add(struct mem_store *store, struct mem_actor *actor, uint64_t seq,
             uint32_t schema_version, struct plex_bytes state)
{
    struct mem_snapshot *s = actor->snapshots;
    int at = 0;

    while (at < MEM_SNAPSHOTS && s[at].seq > seq)
        at++;
    if (at == MEM_SNAPSHOTS)
        return;
    if (s[at].seq == seq) {
        bytes_drop(store, &s[at].state);
    } else {
        bytes_drop(store, &s[MEM_SNAPSHOTS - 1].state);
        memmove(s + at + 1, s + at,
                (size_t)(MEM_SNAPSHOTS - 1 - at) * sizeof *s);
    }
    s[at] = (struct mem_snapshot){seq, schema_version, bytes_dup(store, state)};
}

static enum plex_status
apply_turn(struct mem_store *store, struct mem_actor *actor,
           const struct journal_entry *entry, struct journal_result *result,
           uint64_t wall_ms)
{
    struct mem_turn *known =
        journal_mem_remembered(store, actor, entry->message_id);

    if (known != NULL && known->row.expires_ms > wall_ms) {
        result->request_hash = known->row.request_hash;
        result->reply = known->row.reply;
        return PLEX_EXISTS;
    }
    if (entry->seq != actor->last_seq + 1)
        return PLEX_CONFLICT;
    if (known != NULL)
        turn_forget(store, known);
    turn_add(store, actor, entry);
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
        snapshot_add(store, actor, entry->seq, entry->schema_version,
                     entry->state);
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
        const struct journal_row *row = &turn->row;

        bytes += row->reply.len + row->message_id.len;
        if (out->n_recent == load->recent_max ||
            bytes > JOURNAL_RECENT_BYTES_MAX)
            break;
        if (row->message_id.len == 0 || row->expires_ms <= wall_ms)
            continue;
        *r = (struct journal_recorded){.request_hash = row->request_hash,
                                       .expires_ms = row->expires_ms,
                                       .seq = row->seq};
        if (journal_bytes_copy(row->message_id, arena, &r->message_id, err) !=
                PLEX_OK ||
            journal_bytes_copy(row->reply, arena, &r->reply, err) != PLEX_OK)
            return err->status;
        out->n_recent++;
    }
    return PLEX_OK;
}

/* The newest snapshot unless a turn with a state is newer. */
static enum plex_status
load_state(const struct mem_actor *actor, struct plex_arena *arena,
           struct journal_loaded *out, struct plex_err *err)
{
    const struct mem_snapshot *snapshot = &actor->snapshots[0];
    const struct mem_turn *turn;

    if (snapshot->seq > 0 && snapshot->seq >= actor->state_seq) {
        out->has_state = true;
        out->schema_version = snapshot->schema_version;
        out->state_seq = snapshot->seq;
        return journal_bytes_copy(snapshot->state, arena, &out->state, err);
    }
    turn = journal_mem_turn(actor, actor->state_seq);
    if (turn == NULL)
        return PLEX_OK;
    out->has_state = true;
    out->schema_version = turn->row.schema_version;
    out->state_seq = turn->row.seq;
    return journal_bytes_copy(turn->row.state, arena, &out->state, err);
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
    if (load_state(actor, arena, out, err) != PLEX_OK)
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
        turn = journal_mem_remembered(store, a, id);
        if (turn != NULL && turn->row.expires_ms > wall_ms &&
            (found == NULL || turn->row.at_ms > found->row.at_ms))
            found = turn;
    }
    if (found == NULL)
        return plex_err_set(err, PLEX_NOT_FOUND,
                            "no message of that id is recorded");
    out->at_ms = found->row.at_ms;
    if (journal_bytes_copy(found->row.reply, arena, &out->reply, err) !=
        PLEX_OK)
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
                cursor_compare(&at, after) <= 0 ||
                (page->until_ms > 0 && at.due_ms >= page->until_ms))
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

static uint64_t
next_due(const struct mem_store *store, const struct journal_page *page)
{
    uint64_t due_ms = 0;

    for (struct mem_actor *a = store->actors; a != NULL; a = a->hh.next)
        for (struct mem_pending *p = a->pendings; p != NULL; p = p->hh.next)
            if (p->shard >= page->first && p->shard <= page->last &&
                p->pending.due_ms >= page->until_ms &&
                (due_ms == 0 || p->pending.due_ms < due_ms))
                due_ms = p->pending.due_ms;
    return due_ms;
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
    if (err->status == PLEX_OK && page->until_ms > 0 && out->next.len == 0)
        out->next_due_ms = next_due(store, page);
    return err->status;
}

/* -- the rest -------------------------------------------------------------- */

/* Is nothing but the history holding it? */
static bool
is_spent(const struct mem_turn *turn)
{
    const struct mem_actor *actor = turn->actor;
    const uint64_t seq = turn->row.seq;

    if (TAILQ_FIRST(&actor->turns) != turn || seq == actor->last_seq ||
        seq + turn->keep_turns > actor->last_seq)
        return false;
    return (turn->row.flags & JOURNAL_FLAG_REBUILDS) == 0 ||
           seq <= actor->snapshots[1].seq || seq < actor->state_seq;
}

static void
turn_retire(struct mem_store *store, struct mem_turn *turn)
{
    struct mem_actor *actor = turn->actor;

    if (turn->row.seq == actor->state_seq)
        snapshot_add(store, actor, turn->row.seq, turn->row.schema_version,
                     turn->row.state);
    actor->anchor_seq = turn->row.seq;
    memcpy(actor->anchor, turn->chain, sizeof actor->anchor);
    turn_drop(store, turn);
}

static enum plex_status
mem_retain(struct journal_store *base, uint64_t wall_ms, uint32_t limit,
           struct journal_retained *out, struct plex_err *err)
{
    struct mem_store *store = (struct mem_store *)base;
    struct mem_turn *turn, *next;

    (void)err;
    for (turn = TAILQ_FIRST(&store->written); turn != NULL; turn = next) {
        next = TAILQ_NEXT(turn, written);
        if (turn->keep_ms > wall_ms) {
            if (out->next_ms == 0 || turn->keep_ms < out->next_ms)
                out->next_ms = turn->keep_ms;
            continue;
        }
        if (!is_spent(turn))
            continue;
        if (out->removed == limit) {
            out->more = true;
            break;
        }
        turn_retire(store, turn);
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

    if (journal_policy_parse(config->history ? config->history : "",
                             &store->policy, err) != PLEX_OK) {
        journal_policy_fini(&store->policy);
        free(store);
        return err->status;
    }
    TAILQ_INIT(&store->written);
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
        for (int i = 0; i < MEM_SNAPSHOTS; i++)
            bytes_drop(store, &actor->snapshots[i].state);
        HASH_DEL(store->actors, actor);
        free(actor);
    }
    journal_epochs_fini(&store->epochs);
    journal_policy_fini(&store->policy);
    free(store);
}

const struct journal_store_ops journal_store_mem = {
    .scheme = "mem",
    .open = mem_open,
    .close = mem_close,
    .epochs = mem_epochs,
    .commit = mem_commit,
    .load = mem_load,
    .loads = journal_loads_each,
    .lookup = mem_lookup,
    .answers = journal_mem_answers,
    .pending = mem_pending,
    .retain = mem_retain,
    .bytes = mem_bytes,
    .history = &journal_mem_history,
};
