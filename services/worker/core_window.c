/* Which of the stored timers are in memory: windows of due times. */
#include "services/worker/core_private.h"

#include "common/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define AGAIN_NS (100 * WORK_MS)

void
work_window_init(struct work_core *core)
{
    core->window.next_ms = WORK_HORIZON_ALL;
    core->window.span_ms = WORK_SPAN_MIN_MS;
    STAILQ_INIT(&core->window.gones);
}

/* -- what left while a read was out ----------------------------------------
 */

static uint64_t
gone_hash(uint64_t owner_hash, struct plex_bytes id)
{
    return XXH3_64bits_withSeed(id.data, id.len, owner_hash);
}

static void
gones_clear(struct window *w)
{
    struct gone *gone;

    while ((gone = STAILQ_FIRST(&w->gones)) != NULL) {
        STAILQ_REMOVE_HEAD(&w->gones, next);
        work_htab_take(&w->gones_by_id, &gone->node);
        free(gone);
    }
}

/* Those before the oldest read could go earlier: reads overlap only when
 * shards are refreshed. */
uint64_t
work_gone_begin(struct work_core *core)
{
    struct window *w = &core->window;

    if (w->reads++ == 0)
        gones_clear(w);
    return w->numbers;
}

void
work_gone_end(struct work_core *core)
{
    assert(core->window.reads > 0);
    if (--core->window.reads == 0)
        gones_clear(&core->window);
}

void
work_gone_add(struct work_core *core, const struct actor *owner,
              struct plex_bytes id)
{
    struct window *w = &core->window;
    struct gone *gone;

    if (w->reads == 0)
        return;
    gone = plex_calloc(1, sizeof *gone);
    gone->number = ++w->numbers;
    work_htab_put(&w->gones_by_id, &gone->node,
                  gone_hash(owner->node.hash, id));
    STAILQ_INSERT_TAIL(&w->gones, gone, next);
}

bool
work_gone_since(const struct work_core *core, uint64_t began,
                const struct plex_actor_id *owner, struct plex_bytes id)
{
    const struct hnode *node = work_htab_first(
        &core->window.gones_by_id, gone_hash(plex_actor_hash(owner), id));

    for (; node != NULL; node = work_htab_next(node))
        if (plex_container_of(node, struct gone, node)->number > began)
            return true;
    return false;
}

void
work_window_fini(struct work_core *core)
{
    gones_clear(&core->window);
    work_htab_fini(&core->window.gones_by_id);
}

/* -- horizons --------------------------------------------------------------
 */

static void
horizon_lower(struct work_core *core, struct shard *shard, uint64_t due_ms)
{
    struct window *w = &core->window;

    if (due_ms < shard->horizon_ms)
        shard->horizon_ms = due_ms;
    if (due_ms < w->next_ms)
        w->next_ms = due_ms;
    if (due_ms < w->floor_ms)
        w->floor_ms = due_ms;
}

/* What left memory since the read began may not be in its answer. */
static void
horizon_raise(struct work_core *core, uint32_t at, uint64_t to_ms)
{
    const struct window *w = &core->window;
    struct shard *shard = work_shard_get(core, at);

    if (to_ms > w->floor_ms)
        to_ms = w->floor_ms;
    if (to_ms > shard->horizon_ms)
        shard->horizon_ms = to_ms;
}

void
work_window_serve(struct work_core *core, struct shard *shard)
{
    shard->horizon_ms = 0;
    core->window.next_ms = 0;
}

void
work_window_lose(struct work_core *core, uint32_t shard)
{
    struct window *w = &core->window;

    if (!w->inside || shard < w->first || shard > w->last)
        return;
    /* The others of the range are asked for again. */
    w->inside = false;
    if (w->token != 0)
        work_gone_end(core);
    w->token = 0;
}

/* -- passes ----------------------------------------------------------------
 */

static bool
wants(const struct work_core *core, uint32_t at, uint64_t until_ms)
{
    const struct shard *shard = &core->shards[at];

    return shard->state == SHARD_SERVING && shard->horizon_ms < until_ms;
}

/* The next shards, side by side, that the pass is to look at. */
static bool
range_find(struct work_core *core)
{
    struct window *w = &core->window;
    const uint32_t n = (uint32_t)core->n_shards;

    for (uint32_t i = 0; i < n; i++) {
        const uint32_t at = (w->at + i) % n;

        if (!wants(core, at, w->until_ms))
            continue;
        w->first = w->last = w->raised = at;
        while (w->last + 1 < n && wants(core, w->last + 1, w->until_ms))
            w->last++;
        w->at = (w->last + 1) % n;
        w->inside = true;
        w->floor_ms = WORK_HORIZON_ALL;
        w->after_len = 0;
        return true;
    }
    return false;
}

/* Everything before until_ms is here: when is more needed? */
static void
pass_done(struct work_core *core)
{
    struct window *w = &core->window;

    w->passing = false;
    w->next_ms = WORK_HORIZON_ALL;
    for (size_t i = 0; i < core->n_shards; i++) {
        const struct shard *shard = &core->shards[i];

        if (shard->state == SHARD_SERVING && shard->horizon_ms < w->next_ms)
            w->next_ms = shard->horizon_ms;
    }
    if (w->loaded < core->config.window_pends / 4 &&
        w->span_ms < WORK_SPAN_MAX_MS)
        w->span_ms *= 2;
}

void
work_window_go(struct work_core *core)
{
    struct window *w = &core->window;
    const uint64_t now_ms = core->t.wall_ms;

    if (w->token != 0 || core->t.now_ns < w->again_ns)
        return;
    if (!w->passing) {
        if (w->next_ms == WORK_HORIZON_ALL ||
            now_ms + w->span_ms / 2 < w->next_ms)
            return;
        w->passing = true;
        w->until_ms = now_ms + w->span_ms;
    }
    if (!w->inside && !range_find(core)) {
        pass_done(core);
        return;
    }
    w->token = ++core->tokens;
    w->began = work_gone_begin(core);
    work_todo_push(core, TODO_TAKE, w->token, NULL);
}

uint64_t
work_window_due_in(const struct work_core *core, struct work_time t)
{
    const struct window *w = &core->window;
    const uint64_t look_ms =
        w->next_ms > w->span_ms / 2 ? w->next_ms - w->span_ms / 2 : 0;
    uint64_t ms;

    if (w->token != 0 || (!w->passing && w->next_ms == WORK_HORIZON_ALL))
        return UINT64_MAX;
    if (t.now_ns < w->again_ns)
        return w->again_ns - t.now_ns;
    if (w->passing || look_ms <= t.wall_ms)
        return 0;
    ms = look_ms - t.wall_ms; /* the wall clock may be set */
    return (ms < WORK_SPAN_MAX_MS ? ms : WORK_SPAN_MAX_MS) * WORK_MS;
}

bool
work_window_action(struct work_core *core, uint64_t token,
                   struct work_action *out)
{
    const struct window *w = &core->window;

    if (w->token != token)
        return false;
    out->kind = WORK_DO_PENDINGS;
    out->token = token;
    out->pendings.first = w->first;
    out->pendings.last = w->last;
    out->pendings.until_ms = w->until_ms;
    out->pendings.after = (struct plex_bytes){w->after, w->after_len};
    out->pendings.limit = WORK_PENDINGS_PAGE;
    return true;
}

/* -- answers ---------------------------------------------------------------
 */

/* There is no room for it at all. */
static void
load_later(struct work_core *core, struct shard *shard, uint64_t due_ms)
{
    horizon_lower(core, shard, due_ms);
    core->window.again_ns = core->t.now_ns + 10 * AGAIN_NS;
}

static void
items_take(struct work_core *core, const struct journal_pending_item *items,
           size_t n)
{
    struct plex_arena arena;
    struct work_message message;
    struct plex_err err;

    plex_arena_init(&arena, PLEX_LINK_FRAME_MAX);
    for (size_t i = 0; i < n; i++) {
        const struct journal_pending *pending = &items[i].pending;
        const uint32_t at =
            plex_shard_of(plex_actor_hash(&items[i].owner), core->shard_bits);

        plex_arena_reset(&arena);
        /* Those due at 0 came when the shard was taken over. */
        if (pending->due_ms == 0 ||
            work_gone_since(core, core->window.began, &items[i].owner,
                            pending->id))
            continue;
        if (work_message_unpack(pending->message, &arena, &message, &err) !=
            PLEX_OK)
            core->stats.corrupt_total++;
        else if (!work_pend_load(core, &items[i], &message, true))
            load_later(core, &core->shards[at], pending->due_ms);
    }
    plex_arena_fini(&arena);
}

/* The shards up to the place that the page ends at are complete up to there.
 */
static void
page_raise(struct work_core *core, const struct journal_pending_item *last)
{
    struct window *w = &core->window;
    const uint32_t at =
        plex_shard_of(plex_actor_hash(&last->owner), core->shard_bits);

    for (; w->raised < at && w->raised < w->last; w->raised++)
        horizon_raise(core, w->raised, w->until_ms);
    if (at >= w->first && at <= w->last)
        horizon_raise(core, at, last->pending.due_ms);
}

static void
range_raise(struct work_core *core, uint64_t next_due_ms)
{
    struct window *w = &core->window;
    uint64_t to_ms = next_due_ms == 0 ? WORK_HORIZON_ALL : next_due_ms;

    if (to_ms < w->until_ms)
        to_ms = w->until_ms;
    for (uint32_t at = w->first; at <= w->last; at++)
        horizon_raise(core, at, to_ms);
    w->inside = false;
}

/* With enough in memory a pass looks less far ahead, and then takes its time:
 * what is due soon is not kept waiting for what is due later. */
static void
memory_spare(struct work_core *core)
{
    struct window *w = &core->window;
    const size_t enough = core->config.window_pends;

    if (w->loaded >= enough && w->span_ms > WORK_SPAN_MIN_MS) {
        w->span_ms = w->span_ms / 4 > WORK_SPAN_MIN_MS ? w->span_ms / 4
                                                       : WORK_SPAN_MIN_MS;
        if (core->t.wall_ms + w->span_ms < w->until_ms) {
            w->until_ms = core->t.wall_ms + w->span_ms;
            w->inside = false;
        }
    }
    if (w->loaded >= 2 * enough)
        w->again_ns = core->t.now_ns + AGAIN_NS;
}

static void
window_failed(struct work_core *core)
{
    struct window *w = &core->window;
    const uint32_t attempts = w->attempts < 5 ? w->attempts++ : 5;

    w->again_ns = core->t.now_ns + ((UINT64_C(50) << attempts) * WORK_MS);
}

bool
work_window_answered(struct work_core *core, uint64_t token,
                     enum plex_status status,
                     const struct journal_pending_item *items, size_t n,
                     struct plex_bytes next, uint64_t next_due_ms)
{
    struct window *w = &core->window;

    if (w->token == 0 || w->token != token)
        return false;
    if (status == PLEX_OK)
        items_take(core, items, n);
    w->token = 0;
    work_gone_end(core);
    if (status != PLEX_OK || next.len > sizeof w->after) {
        window_failed(core);
        return true;
    }
    w->attempts = 0;
    w->after_len = next.len;
    if (next.len > 0)
        memcpy(w->after, next.data, next.len);
    if (next.len > 0 && n > 0)
        page_raise(core, &items[n - 1]);
    else if (next.len == 0)
        range_raise(core, next_due_ms);
    memory_spare(core);
    work_window_go(core);
    return true;
}

/* -- timers that are not in memory -----------------------------------------
 */

void
work_timer_id(const char *name, uint8_t out[WORK_TIMER_ID_LEN])
{
    static const char digits[] = "0123456789abcdef";
    const XXH128_hash_t hash = XXH3_128bits(name, strlen(name));
    uint64_t half[2] = {hash.high64, hash.low64};

    out[0] = 't';
    out[1] = ':';
    for (size_t i = 0; i < 32; i++)
        out[2 + i] = (uint8_t)digits[half[i / 16] >> (60 - 4 * (i % 16)) & 15];
}

bool
work_window_hides(const struct work_core *core, const struct actor *actor)
{
    return actor->durable && !core->config.unsafe_timer_unseen &&
           core->shards[actor->shard].horizon_ms != WORK_HORIZON_ALL;
}

void
work_blind_add(struct write *write, const char *name)
{
    const size_t n = write->blind == NULL ? 0 : write->blind->n;

    write->blind = plex_reallocarray(
        write->blind, 1, sizeof *write->blind + (n + 1) * WORK_TIMER_ID_LEN);
    write->blind->n = n + 1;
    work_timer_id(name, write->blind->ids[n]);
}

void
work_blind_done(struct work_core *core, const struct write *write)
{
    for (size_t i = 0; write->blind != NULL && i < write->blind->n; i++)
        work_gone_add(
            core, write->actor,
            (struct plex_bytes){write->blind->ids[i], WORK_TIMER_ID_LEN});
}

static bool
blind_has(const struct write *write, struct plex_bytes id)
{
    if (write == NULL || write->blind == NULL || id.len != WORK_TIMER_ID_LEN)
        return false;
    for (size_t i = 0; i < write->blind->n; i++)
        if (memcmp(write->blind->ids[i], id.data, id.len) == 0)
            return true;
    return false;
}

void
work_blind_attach(struct pend *pend)
{
    struct item *item;

    TAILQ_FOREACH(item, &pend->owner->unreleased, link)
    if (blind_has(item->write, pend->id))
        work_turn_ends(item->write, pend);
}

void
work_pends_evict(struct work_core *core, struct actor *actor)
{
    struct shard *shard = work_shard_get(core, actor->shard);
    const uint64_t keep_ms = core->t.wall_ms + core->window.span_ms;
    struct pend *pend, *next;

    if (core->stats.pendings <= core->config.window_pends / 2 ||
        shard->state != SHARD_SERVING || actor->suspect)
        return;
    for (pend = TAILQ_FIRST(&actor->pends); pend != NULL; pend = next) {
        next = TAILQ_NEXT(pend, of_actor);
        if (!pend->durable || !pend->made || pend->cancelled ||
            pend->result != NULL || pend->state != PEND_ARMED ||
            pend->heap.heap != &core->due || pend->due_ms <= keep_ms ||
            pend->message->kind == WORK_GUARD)
            continue;
        if (!core->config.unsafe_timer_edge)
            horizon_lower(core, shard, pend->due_ms);
        work_pend_forget(core, pend);
    }
}
