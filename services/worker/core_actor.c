/* Actors in memory: activation, their mailboxes, passivation, dropping. */
#include "services/worker/core_private.h"
#include "services/worker/run_log.h"

#include "common/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- the table --------------------------------------------------------------
 */

struct actor *
work_actor_find(const struct work_core *core, const struct plex_actor_id *id,
                uint64_t hash)
{
    struct hnode *node = work_htab_first(&core->actors, hash);

    for (; node != NULL; node = work_htab_next(node)) {
        struct actor *actor = plex_container_of(node, struct actor, node);

        if (plex_actor_equal(&actor->id, id))
            return actor;
    }
    return NULL;
}

static void
slot_take(struct work_core *core, struct actor *actor)
{
    if (core->n_free_slots > 0) {
        actor->slot = core->free_slots[--core->n_free_slots];
    } else {
        if (core->n_slots == core->slots_cap) {
            core->slots_cap = core->slots_cap == 0 ? 64 : core->slots_cap * 2;
            core->slots = plex_reallocarray(core->slots, core->slots_cap,
                                            sizeof(struct actor *));
            core->free_slots = plex_reallocarray(
                core->free_slots, core->slots_cap, sizeof(uint32_t));
        }
        actor->slot = core->n_slots++;
    }
    core->slots[actor->slot] = actor;
}

static struct actor *
actor_make(struct work_core *core, const struct plex_actor_id *id,
           uint64_t hash, uint32_t shard)
{
    const char *const from[] = {id->tenant, id->ns, id->type, id->key};
    struct actor *actor;
    const char *part[4];
    size_t size = 0;
    char *at;

    for (int i = 0; i < 4; i++)
        size += strlen(from[i]) + 1;
    actor = plex_calloc(1, sizeof *actor + size);
    at = (char *)(actor + 1);
    for (int i = 0; i < 4; i++) {
        part[i] = at;
        at = stpcpy(at, from[i]) + 1;
    }
    actor->id = (struct plex_actor_id){part[0], part[1], part[2], part[3]};
    actor->shard = shard;
    actor->state = ACTOR_COLD;
    work_asides_init(actor);
    TAILQ_INIT(&actor->mailbox);
    TAILQ_INIT(&actor->ahead);
    TAILQ_INIT(&actor->unreleased);
    TAILQ_INIT(&actor->pends);
    TAILQ_INIT(&actor->recents);
    slot_take(core, actor);
    work_htab_put(&core->actors, &actor->node, hash);
    TAILQ_INSERT_TAIL(&work_shard_get(core, actor->shard)->actors, actor,
                      of_shard);
    return actor;
}

struct actor *
work_actor_get(struct work_core *core, const struct plex_actor_id *id,
               uint64_t hash)
{
    struct actor *actor = work_actor_find(core, id, hash);

    return actor != NULL ? actor
                         : actor_make(core, id, hash,
                                      plex_shard_of(hash, core->shard_bits));
}

struct actor *
work_actor_local(struct work_core *core, const struct plex_actor_id *id)
{
    return actor_make(core, id, plex_actor_hash(id), (uint32_t)core->n_shards);
}

/* A token names one LOAD or RUN: a late answer to another finds nothing. */
uint64_t
work_actor_token(const struct actor *actor)
{
    return (uint64_t)actor->generation << 32 | actor->slot;
}

uint64_t
work_actor_token_new(struct work_core *core, struct actor *actor)
{
    actor->generation = (uint32_t)++core->tokens;
    return work_actor_token(actor);
}

struct actor *
work_actor_by_token(const struct work_core *core, uint64_t token)
{
    const uint32_t slot = (uint32_t)token;
    struct actor *actor = slot < core->n_slots ? core->slots[slot] : NULL;

    return actor != NULL && work_actor_token(actor) == token ? actor : NULL;
}

void
work_actor_destroy(struct work_core *core, struct actor *actor)
{
    assert(TAILQ_EMPTY(&actor->mailbox) && TAILQ_EMPTY(&actor->unreleased));
    assert(TAILQ_EMPTY(&actor->pends) && actor->running == NULL);
    assert(TAILQ_EMPTY(&actor->ahead));
    work_ids_clear(core, actor);
    if (actor->is_idle)
        TAILQ_REMOVE(&actor->type->idle, actor, idle);
    if (work_actor_is_local(core, actor))
        work_stateless_forget(actor);
    if (actor->type != NULL)
        TAILQ_REMOVE(&actor->type->actors, actor, of_type);
    TAILQ_REMOVE(&work_shard_get(core, actor->shard)->actors, actor, of_shard);
    work_htab_take(&core->actors, &actor->node);
    core->slots[actor->slot] = NULL;
    core->free_slots[core->n_free_slots++] = actor->slot;
    work_restore_free(core, actor);
    work_fold_free(actor);
    free(actor->first);
    free(actor->data);
    free(actor->drop_text);
    free(actor->waits_for);
    free(actor);
}

/* -- waking ------------------------------------------------------------------
 */

void
work_actor_state_set(struct actor *actor, struct plex_bytes state)
{
    if (state.len > actor->data_cap || actor->data == NULL) {
        actor->data_cap = state.len + 16;
        free(actor->data);
        actor->data = plex_reallocarray(NULL, 1, actor->data_cap);
    }
    if (state.len > 0)
        memcpy(actor->data, state.data, state.len);
    actor->type->bytes += state.len - actor->data_len;
    actor->data_len = state.len;
    actor->has_data = true;
}

void
work_actor_clear(struct work_core *core, struct actor *actor)
{
    work_restore_free(core, actor);
    work_fold_free(actor);
    free(actor->first);
    actor->first = NULL;
    free(actor->data);
    actor->type->bytes -= actor->data_len;
    actor->data = NULL;
    actor->data_len = actor->data_cap = 0;
    actor->has_data = actor->dirty = false;
    if (actor->known < actor->committed)
        actor->known = actor->committed;
    actor->seq = actor->committed = actor->activation = 0;
    actor->since_snapshot = 0;
    actor->bytes_since_snapshot = 0;
}

void
work_actor_busy(struct actor *actor)
{
    if (!actor->is_idle)
        return;
    actor->is_idle = false;
    TAILQ_REMOVE(&actor->type->idle, actor, idle);
}

static void
passivate(struct work_core *core, struct actor *actor)
{
    work_actor_busy(actor);
    actor->state = ACTOR_COLD;
    actor->leaves = actor->pinned = false;
    core->stats.activations--;
    actor->type->active--;
    work_room_give(core, actor->type);
    core->stats.passivated_total++;
    work_open_passivate(core, actor);
    work_ids_clear(core, actor);
    work_actor_clear(core, actor);
    work_pends_evict(core, actor);
    if (TAILQ_EMPTY(&actor->pends))
        work_actor_destroy(core, actor);
}

static struct item *
own_item(struct work_core *core, struct actor *actor)
{
    const struct work_message nothing = {
        .to = actor->id,
        .kind = WORK_CAST,
        .method = "",
        .path = "",
        .subpath = "",
        .query = "",
        .content_type = "",
        .sender = "",
        .timer = "",
    };
    struct item *item = work_item_make(core, &plex_context_none, &nothing);

    item->actor = actor;
    return item;
}

/* A turn that is nothing but the state of an actor that is not durable. */
static void
persist(struct work_core *core, struct actor *actor)
{
    const struct plex_bytes state = {actor->data, actor->data_len};
    struct item *item = own_item(core, actor);
    struct write *write = work_turn_begin(core, actor, item, state);

    item->step = true;
    write->entry.has_state = true;
    actor->dirty = false;
    work_turn_queue(core, actor, item, write);
}

void
work_actor_leave(struct work_core *core, struct actor *actor)
{
    if (!actor->dirty) {
        passivate(core, actor);
        return;
    }
    work_actor_busy(actor);
    actor->leaves = true;
    persist(core, actor);
}

/* An idle actor goes. One whose state must be written first may still be
 * there when the other one has come: room is made as soon as can be. */
static bool
make_room(struct work_core *core)
{
    struct actor *oldest = NULL;
    struct type *type;

    TAILQ_FOREACH(type, &core->types, link)
    {
        struct actor *victim = work_type_victim(type);

        if (victim != NULL &&
            (oldest == NULL || victim->last_used < oldest->last_used))
            oldest = victim;
    }
    if (oldest == NULL)
        return false;
    core->stats.evicted_total++;
    work_actor_leave(core, oldest);
    return true;
}

/* The behaviour's `activated` is a turn of its own before the first. */
static void
activation_turn(struct work_core *core, struct actor *actor)
{
    struct item *item = own_item(core, actor);

    item->activation = true;
    TAILQ_INSERT_HEAD(&actor->mailbox, item, link);
    actor->mailbox_n++;
}

static void
actor_activated(struct work_core *core, struct actor *actor)
{
    core->loading -= actor->state == ACTOR_LOADING;
    actor->state = ACTOR_ACTIVE;
    actor->activated_at = core->t.now_ns;
    if (actor->activation == 0) /* else it was restored under that number */
        actor->activation = ++core->tokens;
    actor->messages = 0;
    actor->held = false;
    core->stats.activated_total++;
    if ((actor->schema_version & WORK_SCHEMA_OPEN) != 0) {
        if (!work_open_restore(core, actor))
            work_actor_drop(core, actor, false, PLEX_CORRUPT,
                            "the stored run of the actor does not decode");
    } else if (actor->type->info.has_activated) {
        activation_turn(core, actor);
    }
}

enum plex_status
work_actor_wake(struct work_core *core, struct actor *actor)
{
    if (actor->state != ACTOR_COLD)
        return PLEX_OK;
    if (!work_type_admits(core, actor->type) ||
        !work_room_admits(core, actor->type) ||
        (core->stats.activations >= core->config.activations_max &&
         !make_room(core)))
        return PLEX_LIMIT;
    core->stats.activations++;
    actor->type->active++;
    work_room_take(core, actor->type);
    actor->durable = actor->type->info.durable;
    actor->schema_version = actor->type->info.schema_version;
    actor->epoch = work_shard_get(core, actor->shard)->epoch;
    actor->last_used = core->t.now_ns;
    if (!actor->durable && !actor->type->info.persist) {
        actor_activated(core, actor);
        return PLEX_OK;
    }
    actor->check = NULL; /* asked for again once it is loaded */
    actor->state = ACTOR_LOADING;
    core->loading++;
    work_todo_push(core, TODO_LOAD, work_actor_token_new(core, actor), NULL);
    return PLEX_OK;
}

/* A store that loses what it has confirmed cannot be helped, but it can be
 * told: the actor goes on from what is there. */
static void
lost_note(struct work_core *core, struct actor *actor, uint64_t last_seq)
{
    struct work_core_stats *stats = &core->stats;

    if (last_seq >= actor->known)
        return;
    stats->lost_total++;
    (void)snprintf(stats->lost, sizeof stats->lost,
                   "the store has %" PRIu64 " turns of %.60s/%.120s, and had "
                   "confirmed %" PRIu64,
                   last_seq, actor->id.type, actor->id.key, actor->known);
    actor->known = last_seq;
}

static void
loaded_ok(struct work_core *core, struct actor *actor,
          const struct journal_loaded *loaded)
{
    lost_note(core, actor, loaded->last_seq);
    actor->seq = actor->committed = loaded->last_seq;
    if (loaded->has_state) {
        work_actor_state_set(actor, loaded->state);
        actor->has_data = (loaded->schema_version & WORK_SCHEMA_NONE) == 0;
        actor->schema_version = loaded->schema_version & ~WORK_SCHEMA_NONE;
    }
    for (size_t i = 0; i < loaded->n_recent; i++)
        work_id_record(core, actor, &loaded->recent[i], false);
    if (!work_fold_begin(core, actor, loaded) &&
        !work_restore_begin(core, actor, loaded))
        work_actor_restored(core, actor);
}

void
work_actor_restored(struct work_core *core, struct actor *actor)
{
    /* What a turn of unknown fate left must be sent before what new turns
     * send. Asked only now: it shows at least the turns just loaded. */
    if (actor->suspect &&
        (actor->check = work_shard_refresh(core, actor->shard)) != NULL)
        return;
    work_actor_checked(core, actor);
}

void
work_actor_checked(struct work_core *core, struct actor *actor)
{
    actor->check = NULL;
    actor->suspect = false;
    if (actor->state == ACTOR_LOADING)
        actor_activated(core, actor);
    work_actor_pump(core, actor);
}

void
work_core_loaded(struct work_core *core, struct work_time t, uint64_t load,
                 enum plex_status status, const char *text,
                 const struct journal_loaded *loaded)
{
    struct actor *actor;

    core->t = t;
    actor = work_actor_by_token(core, load);
    if (actor == NULL || actor->state != ACTOR_LOADING || actor->check != NULL)
        return;
    if (status == PLEX_OK && loaded->has_state &&
        (loaded->schema_version & WORK_SCHEMA_MASK) >
            actor->type->info.schema_version) {
        work_actor_drop(core, actor, false, PLEX_UNSUPPORTED,
                        "the stored state has a newer schema version than the "
                        "module");
    } else if (status == PLEX_OK && !actor->durable &&
               (loaded->schema_version & WORK_SCHEMA_OPEN) != 0) {
        work_actor_drop(core, actor, false, PLEX_UNSUPPORTED,
                        "what is stored is an open run, and the type is not "
                        "durable any more");
    } else if (status == PLEX_OK && actor->restore != NULL) {
        work_restore_page(core, actor, loaded);
    } else if (status == PLEX_OK && actor->fold != NULL) {
        work_fold_page(core, actor, loaded);
    } else if (status == PLEX_OK) {
        loaded_ok(core, actor, loaded);
    } else if (status == PLEX_FENCED) {
        work_shard_fenced(core, actor->shard, actor->epoch);
    } else {
        work_actor_drop(core, actor, false,
                        status == PLEX_CORRUPT ? status : PLEX_UNAVAILABLE,
                        text);
    }
}

/* -- working
 * ------------------------------------------------------------------- */

void
work_item_run(struct work_core *core, struct actor *actor, struct item *item)
{
    actor->running = item;
    item->state = ITEM_RUNNING;
    item->attempts++;
    actor->messages++;
    work_todo_push(core, TODO_RUN, work_actor_token_new(core, actor), NULL);
}

/* The first message of the mailbox: run it, or answer it without. */
void
work_item_begin(struct work_core *core, struct actor *actor, struct item *item)
{
    if (item->from != NULL && (item->from->cancelled || item->from->gone)) {
        /* A turn before this one cancelled the timer: if that turn is not
         * written after all, the timer is armed again. */
        struct pend *pend = item->from;

        item->from = NULL;
        if (!pend->gone)
            pend->state = PEND_IDLE;
        work_pend_unref(pend);
        work_item_finish(core, item, PLEX_CANCELLED, NULL);
    } else if (item->deadline != 0 && item->deadline <= core->t.now_ns) {
        work_item_finish(core, item, PLEX_TIMEOUT,
                         "the deadline passed in the mailbox; not done");
    } else if (!work_lease_holds(core) && !work_actor_is_local(core, actor)) {
        work_item_finish(core, item, PLEX_UNAVAILABLE,
                         "the worker's lease has lapsed");
    } else if (item->arrived <= actor->activated_at &&
               work_item_replays(core, actor, item)) {
        return; /* it came before its recorded answers were loaded */
    } else if (work_open_stray(core, item)) {
        return;
    } else if (item->message.kind == WORK_ACTIVATE) {
        work_item_activated(core, actor, item);
    } else if (item->accept) {
        work_turn_accept(core, actor, item);
    } else {
        work_item_run(core, actor, item);
    }
}

void
work_actor_pump(struct work_core *core, struct actor *actor)
{
    struct item *item;

    while (actor->state == ACTOR_ACTIVE && actor->running == NULL &&
           !actor->taking &&
           actor->unreleased_n < core->config.unreleased_max) {
        if (actor->open != NULL) {
            item = work_open_next(core, actor);
            if (item == NULL)
                break;
            work_actor_busy(actor);
            work_item_run(core, actor, item);
            continue;
        }
        if (actor->n_asides > 0 && work_aside_next(core, actor))
            continue;
        item = actor->n_asides > 0 ? NULL : TAILQ_FIRST(&actor->mailbox);
        if (item == NULL)
            break;
        work_actor_busy(actor);
        TAILQ_REMOVE(&actor->mailbox, item, link);
        actor->mailbox_n--;
        work_item_begin(core, actor, item);
    }
    work_actor_settle_down(core, actor);
}

/* Idle, or not worth keeping at all. */
void
work_actor_settle_down(struct work_core *core, struct actor *actor)
{
    uint64_t idle_until;

    if (actor->state == ACTOR_COLD) {
        if (TAILQ_EMPTY(&actor->pends) && actor->writing == 0 &&
            actor->check == NULL)
            work_actor_destroy(core, actor);
        return;
    }
    if (actor->state != ACTOR_ACTIVE || actor->running != NULL ||
        actor->mailbox_n > 0 || actor->unreleased_n > 0 || actor->writing > 0 ||
        !work_open_idle(actor) || actor->n_asides > 0 ||
        (!actor->durable && !TAILQ_EMPTY(&actor->pends))) {
        work_actor_busy(actor);
        return;
    }
    if (actor->leaves) {
        work_actor_leave(core, actor);
        return;
    }
    if (actor->pinned || actor->held) {
        work_actor_busy(actor);
        return;
    }
    if (actor->is_idle)
        return;
    if (actor->type->info.memory_max > 0 &&
        actor->type->bytes > actor->type->info.memory_max)
        core->over_memory = true;
    actor->is_idle = true;
    actor->last_used = core->t.now_ns;
    TAILQ_INSERT_TAIL(&actor->type->idle, actor, idle);
    idle_until = core->t.now_ns + actor->type->info.idle_timeout_ms * WORK_MS;
    if (idle_until < core->idle_next)
        core->idle_next = idle_until;
}

void
work_actors_passivate(struct work_core *core)
{
    const uint64_t now = core->t.now_ns;
    struct type *type;

    if (now < core->idle_next)
        return;
    core->idle_next = UINT64_MAX;
    TAILQ_FOREACH(type, &core->types, link)
    {
        const uint64_t idle_ns = type->info.idle_timeout_ms * WORK_MS;
        struct actor *actor;

        while ((actor = TAILQ_FIRST(&type->idle)) != NULL &&
               actor->last_used + idle_ns <= now)
            work_actor_leave(core, actor);
        if (actor != NULL && actor->last_used + idle_ns < core->idle_next)
            core->idle_next = actor->last_used + idle_ns;
    }
}
