/* Which shards are ours, and how they become so. */
#include "services/worker/core_private.h"

#include "common/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { REFRESHES_MAX = 4 /* that read at a time */ };

struct shard *
work_shard_get(const struct work_core *core, uint32_t shard)
{
    return core->shards != NULL && shard <= core->n_shards
               ? &core->shards[shard]
               : NULL;
}

bool
work_lease_holds(const struct work_core *core)
{
    return work_core_lease_holds(core, core->t.now_ns);
}

bool
work_core_lease_holds(const struct work_core *core, uint64_t now_ns)
{
    return now_ns < core->lease_until && core->version >= core->lease_version;
}

void
work_core_lease(struct work_core *core, struct work_time t, uint64_t until_ns,
                uint64_t version)
{
    core->t = t;
    /* Without a gap nobody can have been given our shards meanwhile. */
    if (core->lease_until <= t.now_ns)
        core->lease_version = version;
    if (until_ns > core->lease_until)
        core->lease_until = until_ns;
}

uint64_t
work_core_applied_version(const struct work_core *core)
{
    return core->version;
}

const char *
work_core_owner(const struct work_core *core, const struct plex_actor_id *actor,
                uint32_t *shard, uint64_t *epoch)
{
    const uint32_t at = plex_shard_of(plex_actor_hash(actor), core->shard_bits);
    const struct shard *s = work_shard_get(core, at);

    if (s != NULL && work_stateless_type(core, actor) != NULL)
        return work_stateless_owner(core);
    if (s == NULL)
        return NULL;
    if (shard != NULL)
        *shard = at;
    if (epoch != NULL)
        *epoch = s->epoch;
    if (s->owner < 0 || s->state == SHARD_FENCED)
        return NULL;
    return s->owner == core->self ? "" : core->urls[s->owner];
}

/* -- losing
 * --------------------------------------------------------------------- */

/* The next owner finds them in the journal. */
static void
pends_forget(struct work_core *core, struct actor *actor)
{
    struct pend *pend, *next;

    for (pend = TAILQ_FIRST(&actor->pends); pend != NULL; pend = next) {
        next = TAILQ_NEXT(pend, of_actor);
        if (pend->made)
            work_pend_forget(core, pend);
    }
}

static void
shard_lose(struct work_core *core, struct shard *shard)
{
    struct actor *actor, *next;

    shard->take = NULL;
    work_window_lose(core, (uint32_t)(shard - core->shards));
    for (actor = TAILQ_FIRST(&shard->actors); actor != NULL; actor = next) {
        next = TAILQ_NEXT(actor, of_shard);
        pends_forget(core, actor);
        if (actor->state == ACTOR_COLD)
            work_actor_settle_down(core, actor);
        else
            work_actor_drop(core, actor, false, PLEX_NOT_OWNER,
                            "another worker owns the actor's shard now");
    }
}

void
work_shard_fenced(struct work_core *core, uint32_t at, uint64_t epoch)
{
    struct shard *shard = work_shard_get(core, at);

    if (epoch < shard->epoch)
        return; /* it was lost meanwhile, and given to us again */
    if (shard->state != SHARD_SERVING && shard->state != SHARD_TAKING)
        return;
    shard->state = SHARD_FENCED;
    shard_lose(core, shard);
}

/* -- taking over
 * ------------------------------------------------------------------ */

static struct take *
take_make(size_t n)
{
    struct take *take = plex_calloc(1, sizeof *take);

    take->ranges = plex_calloc(n, sizeof *take->ranges);
    take->retry.kind = NODE_TAKE;
    return take;
}

static void
take_free(struct work_core *core, struct take *take)
{
    if (take->out)
        work_gone_end(core);
    work_heap_take(&take->retry);
    free(take->ranges);
    free(take);
}

static void
take_start(struct work_core *core, struct take *take)
{
    TAILQ_INSERT_TAIL(&core->takes, take, link);
    work_take_go(core, take);
}

static void
take_end(struct work_core *core, struct take *take)
{
    TAILQ_REMOVE(&core->takes, take, link);
    if (take->refresh) {
        core->refreshing--;
        take_free(core, take);
        take = TAILQ_FIRST(&core->refreshes);
        if (take == NULL)
            return;
        TAILQ_REMOVE(&core->refreshes, take, link);
        core->refreshing++;
        take_start(core, take);
    } else {
        take_free(core, take);
    }
}

static void
list_free(struct work_core *core, struct take_list *list)
{
    struct take *take;

    while ((take = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, take, link);
        take_free(core, take);
    }
}

void
work_takes_free(struct work_core *core)
{
    list_free(core, &core->takes);
    list_free(core, &core->refreshes);
}

static void
take_add(struct work_core *core, struct take *take, uint32_t at)
{
    struct shard *shard = work_shard_get(core, at);
    struct journal_fence *last =
        take->n == 0 ? NULL : &take->ranges[take->n - 1];

    shard->take = take;
    if (last != NULL && last->last + 1 == at && last->epoch == shard->epoch)
        last->last = at;
    else
        take->ranges[take->n++] = (struct journal_fence){at, at, shard->epoch};
}

/* Leave out what a newer table has taken away again. */
static void
take_trim(struct work_core *core, struct take *take)
{
    struct journal_fence *old = take->ranges;
    const size_t n = take->n;
    size_t shards = 0;

    for (size_t i = 0; i < n; i++)
        shards += old[i].last - old[i].first + 1;
    take->ranges = plex_calloc(shards + 1, sizeof *take->ranges);
    take->n = 0;
    for (size_t i = 0; i < n; i++)
        for (uint32_t at = old[i].first; at <= old[i].last; at++)
            if (core->shards[at].take == take)
                take_add(core, take, at);
    free(old);
}

void
work_take_go(struct work_core *core, struct take *take)
{
    if (!take->refresh && !take->fenced) {
        take_trim(core, take);
        if (take->n == 0) {
            take_end(core, take);
            return;
        }
    }
    take->token = ++core->tokens;
    work_todo_push(core, TODO_TAKE, take->token, NULL);
}

static void
take_retry(struct work_core *core, struct take *take)
{
    const uint64_t ms = UINT64_C(50)
                        << (take->attempts < 5 ? take->attempts : 5);

    take->attempts++;
    work_heap_put(&core->retry, &take->retry, core->t.now_ns + ms * WORK_MS);
}

static struct take *
take_find(const struct work_core *core, uint64_t token)
{
    struct take *take;

    TAILQ_FOREACH(take, &core->takes, link)
    if (take->token == token)
        return take;
    return NULL;
}

/* Whoever asks from now on may want to know of something later. */
static void
refresh_begun(struct work_core *core, const struct take *take)
{
    struct shard *shard = work_shard_get(core, take->ranges[0].first);

    if (shard->refresh == take)
        shard->refresh = NULL;
}

bool
work_take_action(struct work_core *core, uint64_t token,
                 struct work_action *out)
{
    struct take *take = take_find(core, token);

    if (take == NULL)
        return false;
    out->token = take->token;
    if (take->fenced) {
        out->kind = WORK_DO_PENDINGS;
        out->pendings.first = take->ranges[take->at].first;
        out->pendings.last = take->ranges[take->at].last;
        out->pendings.until_ms = take->refresh ? INT64_MAX : 1;
        out->pendings.after = (struct plex_bytes){take->after, take->after_len};
        out->pendings.limit = WORK_PENDINGS_PAGE;
        if (take->refresh) {
            take->out = true;
            take->began = work_gone_begin(core);
            refresh_begun(core, take);
        }
    } else {
        out->kind = WORK_DO_FENCE;
        out->fence.ranges = take->ranges;
        out->fence.n = take->n;
    }
    return true;
}

/* One of the ranges is stale: each half for itself, so that the others need
 * not wait for it. */
static void
take_split(struct work_core *core, struct take *take)
{
    const size_t half = take->n / 2;
    struct take *other = take_make(take->n - half);

    for (size_t i = half; i < take->n; i++)
        for (uint32_t at = take->ranges[i].first; at <= take->ranges[i].last;
             at++)
            if (core->shards[at].take == take)
                core->shards[at].take = other;
    memcpy(other->ranges, take->ranges + half,
           (take->n - half) * sizeof *other->ranges);
    other->n = take->n - half;
    take->n = half;
    take_start(core, other);
    work_take_go(core, take);
}

void
work_core_fenced(struct work_core *core, struct work_time t, uint64_t fence,
                 enum plex_status status, uint64_t newest_epoch)
{
    struct take *take;

    (void)newest_epoch;
    core->t = t;
    take = take_find(core, fence);
    if (take == NULL || take->fenced)
        return;
    if (status == PLEX_FENCED && take->n > 1) {
        take_split(core, take);
    } else if (status == PLEX_OK) {
        take->fenced = true;
        take->attempts = 0;
        work_take_go(core, take);
    } else {
        take_retry(core, take);
    }
}

static void
take_range_done(struct work_core *core, struct take *take)
{
    const struct journal_fence *range = &take->ranges[take->at];

    for (uint32_t at = range->first; at <= range->last; at++) {
        struct shard *shard = &core->shards[at];

        if (shard->take == take && shard->state == SHARD_TAKING) {
            shard->state = SHARD_SERVING;
            shard->take = NULL;
            work_window_serve(core, shard);
            work_types_warm_soon(core);
        }
        if (shard->state == SHARD_SERVING)
            work_pends_go(core, shard);
    }
    take->after_len = 0;
    take->at++;
}

static void
pendings_take(struct work_core *core, struct take *take,
              const struct journal_pending_item *items, size_t n)
{
    struct plex_arena arena;
    struct work_message message;
    struct plex_err err;

    plex_arena_init(&arena, PLEX_LINK_FRAME_MAX);
    for (size_t i = 0; i < n; i++) {
        const uint32_t at =
            plex_shard_of(plex_actor_hash(&items[i].owner), core->shard_bits);
        const struct shard *shard = &core->shards[at];
        const bool ours = take->refresh
                              ? shard->state == SHARD_SERVING &&
                                    shard->epoch == take->ranges[0].epoch
                              : shard->take == take;

        plex_arena_reset(&arena);
        if (!ours || (take->refresh &&
                      work_gone_since(core, take->began, &items[i].owner,
                                      items[i].pending.id)))
            continue;
        if (work_message_unpack(items[i].pending.message, &arena, &message,
                                &err) == PLEX_OK)
            (void)work_pend_load(core, &items[i], &message, false);
        else
            core->stats.corrupt_total++;
    }
    plex_arena_fini(&arena);
}

static void
actors_checked(struct work_core *core, const struct take *take)
{
    struct shard *shard = work_shard_get(core, take->ranges[0].first);
    struct actor *actor, *next;

    for (actor = TAILQ_FIRST(&shard->actors); actor != NULL; actor = next) {
        next = TAILQ_NEXT(actor, of_shard);
        if (actor->check == take)
            work_actor_checked(core, actor);
    }
}

void
work_core_pendings(struct work_core *core, struct work_time t,
                   uint64_t pendings, enum plex_status status,
                   const struct journal_pending_item *items, size_t n,
                   struct plex_bytes next, uint64_t next_due_ms)
{
    struct take *take;

    core->t = t;
    if (work_window_answered(core, pendings, status, items, n, next,
                             next_due_ms))
        return;
    take = take_find(core, pendings);
    if (take == NULL || !take->fenced)
        return;
    if (status == PLEX_OK)
        pendings_take(core, take, items, n);
    if (take->out)
        work_gone_end(core);
    take->out = false;
    if (status != PLEX_OK || next.len > sizeof take->after) {
        take_retry(core, take);
        return;
    }
    take->attempts = 0;
    take->after_len = next.len;
    if (next.len > 0)
        memcpy(take->after, next.data, next.len);
    else
        take_range_done(core, take);
    if (take->at < take->n) {
        work_take_go(core, take);
        return;
    }
    if (take->refresh)
        actors_checked(core, take);
    take_end(core, take);
    work_window_go(core);
}

struct take *
work_shard_refresh(struct work_core *core, uint32_t at)
{
    struct shard *shard = work_shard_get(core, at);
    struct take *take = shard->refresh;

    if (shard->state != SHARD_SERVING)
        return NULL;
    if (take != NULL && take->ranges[0].epoch == shard->epoch)
        return take;
    take = take_make(1);
    take->ranges[0] = (struct journal_fence){at, at, shard->epoch};
    take->n = 1;
    take->refresh = true;
    take->fenced = true;
    shard->refresh = take;
    if (core->refreshing < REFRESHES_MAX) {
        core->refreshing++;
        take_start(core, take);
    } else {
        TAILQ_INSERT_TAIL(&core->refreshes, take, link);
    }
    return take;
}

/* -- the table
 * ------------------------------------------------------------------------- */

static void
urls_set(struct work_core *core, const struct place_table *table)
{
    for (size_t i = 0; i < core->n_urls; i++)
        free(core->urls[i]);
    free(core->urls);
    core->urls = plex_calloc(table->n_workers + 1, sizeof(char *));
    core->n_urls = table->n_workers;
    core->self = -1;
    for (size_t i = 0; i < table->n_workers; i++) {
        const struct place_worker *worker = &table->workers[i];

        core->urls[i] = plex_strdup(worker->url);
        if (worker->incarnation == core->config.incarnation &&
            strcmp(worker->node_id, core->node_id) == 0)
            core->self = (int32_t)i;
    }
}

static void
shards_make(struct work_core *core, unsigned bits)
{
    core->shard_bits = bits;
    core->n_shards = (size_t)1 << bits;
    /* One more: stateless types, always ours. */
    core->shards = plex_calloc(core->n_shards + 1, sizeof *core->shards);
    core->shards[core->n_shards].state = SHARD_SERVING;
    core->shards[core->n_shards].epoch = core->config.incarnation;
    for (size_t i = 0; i <= core->n_shards; i++) {
        core->shards[i].owner = -1;
        TAILQ_INIT(&core->shards[i].actors);
    }
}

static void
shard_apply(struct work_core *core, struct take *take, uint32_t at,
            const struct place_range *range)
{
    struct shard *shard = &core->shards[at];
    const bool ours = range->worker >= 0 && range->worker == core->self;
    const bool same =
        shard->state != SHARD_OTHERS && shard->epoch == range->epoch;

    shard->owner = range->worker;
    if (ours && same)
        return;
    if (shard->state != SHARD_OTHERS) {
        /* Not ours first, so that nothing is queued here again. */
        shard->state = SHARD_OTHERS;
        shard_lose(core, shard);
    }
    shard->epoch = range->epoch;
    if (ours) {
        shard->state = SHARD_TAKING;
        take_add(core, take, at);
    }
}

void
work_core_table(struct work_core *core, struct work_time t,
                const struct place_table *table)
{
    struct take *take;

    core->t = t;
    if (core->shards == NULL)
        shards_make(core, table->shard_bits);
    else if (table->version <= core->version ||
             table->shard_bits != core->shard_bits)
        return;
    core->version = table->version;
    urls_set(core, table);
    take = take_make(core->n_shards);
    for (size_t i = 0; i < table->n_ranges; i++) {
        const struct place_range *range = &table->ranges[i];

        for (uint32_t at = range->first;
             at <= range->last && at < core->n_shards; at++)
            shard_apply(core, take, at, range);
    }
    if (take->n > 0)
        take_start(core, take);
    else
        take_free(core, take);
    work_lanes_wake(core);
}
