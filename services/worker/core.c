#include "services/worker/core.h"

#include "common/mem.h"
#include "services/worker/core_private.h"
#include "services/worker/run_log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const struct work_core_config work_core_defaults = {
    .node_id = "",
    .activations_max = 1000000,
    .messages_max = 200000,
    .bytes_max = UINT64_C(512) << 20,
    .unreleased_max = 1024,
    .recent_max = 32,
    .appends_max = 8,
    .loading_max = 1024,
    .window_pends = 200000,
};

struct work_core *
work_core_create(const struct work_core_config *config)
{
    struct work_core *core = plex_calloc(1, sizeof *core);

    core->config = *config;
    core->node_id = plex_strdup(config->node_id);
    core->config.node_id = core->node_id;
    core->self = -1;
    core->idle_next = core->warm_next = UINT64_MAX;
    core->room.max = (struct work_needs){UINT64_MAX, UINT64_MAX};
    TAILQ_INIT(&core->takes);
    TAILQ_INIT(&core->refreshes);
    TAILQ_INIT(&core->types);
    work_outlets_init(&core->outlets);
    TAILQ_INIT(&core->settles);
    TAILQ_INIT(&core->batches);
    TAILQ_INIT(&core->lookups.out);
    work_window_init(core);
    return core;
}

/* -- freeing ------------------------------------------------------------------
 */

static void
item_drop(struct work_core *core, struct item *item)
{
    work_id_leave(core, item);
    work_item_free(core, item);
}

static void
items_free(struct work_core *core, struct item_list *items)
{
    struct item *item;

    while ((item = TAILQ_FIRST(items)) != NULL) {
        TAILQ_REMOVE(items, item, link);
        item_drop(core, item);
    }
}

static void
actor_free(struct work_core *core, struct actor *actor)
{
    if (actor->open != NULL && actor->open != actor->running)
        item_drop(core, actor->open);
    if (actor->running != NULL)
        item_drop(core, actor->running);
    if (actor->update != NULL && actor->update->state == ITEM_OPEN)
        item_drop(core, actor->update);
    actor->update = NULL;
    actor->open = actor->running = NULL;
    items_free(core, &actor->asides);
    items_free(core, &actor->woken);
    items_free(core, &actor->ahead);
    items_free(core, &actor->mailbox);
    items_free(core, &actor->unreleased);
    while (!TAILQ_EMPTY(&actor->pends))
        work_pend_forget(core, TAILQ_FIRST(&actor->pends));
    work_actor_destroy(core, actor);
}

static void
writes_free(struct work_core *core)
{
    struct batch *batch;
    struct write *write;

    while ((batch = TAILQ_FIRST(&core->batches)) != NULL) {
        TAILQ_REMOVE(&core->batches, batch, link);
        for (size_t i = 0; i < batch->n; i++)
            if (batch->entries[i].kind != JOURNAL_TURN)
                work_write_free(core, batch->writes[i]);
        work_batch_free(batch);
    }
    for (uint32_t i = 0; i < core->outlets.n; i++) {
        struct write_list *unwritten = &core->outlets.at[i].unwritten;

        while ((write = TAILQ_FIRST(unwritten)) != NULL) {
            TAILQ_REMOVE(unwritten, write, link);
            if (write->kind != WRITE_TURN)
                work_write_free(core, write);
        }
    }
}

static void
todo_free(struct work_core *core)
{
    if (core->popped != NULL)
        work_item_free(core, core->popped);
    for (; core->todo_n > 0; core->todo_n--) {
        struct todo *todo =
            &core->todo[core->todo_head++ & (core->todo_cap - 1)];

        if (todo->kind == TODO_ANSWER)
            work_item_free(core, todo->what);
    }
    free(core->todo);
}

static void
sent_free(struct work_core *core)
{
    for (size_t i = 0; i < core->pends_by_token.cap; i++) {
        struct hnode *node;

        while ((node = core->pends_by_token.rows[i]) != NULL) {
            work_htab_take(&core->pends_by_token, node);
            work_pend_unref(plex_container_of(node, struct pend, by_token));
        }
    }
}

void
work_core_free(struct work_core *core)
{
    if (core == NULL)
        return;
    writes_free(core);
    for (uint32_t i = 0; i < core->n_slots; i++)
        if (core->slots[i] != NULL)
            actor_free(core, core->slots[i]);
    todo_free(core);
    sent_free(core);
    work_takes_free(core);
    work_lookups_free(core);
    work_types_free(core);
    work_window_fini(core);
    for (size_t i = 0; i < core->n_urls; i++)
        free(core->urls[i]);
    free(core->urls);
    free(core->shards);
    free(core->slots);
    free(core->free_slots);
    work_htab_fini(&core->actors);
    work_htab_fini(&core->ids);
    work_htab_fini(&core->pends_by_id);
    work_htab_fini(&core->pends_by_token);
    work_htab_fini(&core->lanes);
    work_heap_fini(&core->due);
    work_heap_fini(&core->retry);
    free(core->node_id);
    free(core);
}

/* -- actions
 * --------------------------------------------------------------------- */

void
work_todo_push(struct work_core *core, enum todo_kind kind, uint64_t token,
               void *what)
{
    if (core->todo_n == core->todo_cap) {
        const size_t cap = core->todo_cap == 0 ? 256 : core->todo_cap * 2;
        struct todo *ring = plex_calloc(cap, sizeof *ring);

        for (size_t i = 0; i < core->todo_n; i++)
            ring[i] = core->todo[(core->todo_head + i) & (core->todo_cap - 1)];
        free(core->todo);
        core->todo = ring;
        core->todo_cap = cap;
        core->todo_head = 0;
    }
    core->todo[(core->todo_head + core->todo_n++) & (core->todo_cap - 1)] =
        (struct todo){kind, token, what};
}

static bool
run_action(struct work_core *core, uint64_t token, struct work_action *out)
{
    struct actor *actor = work_actor_by_token(core, token);
    const struct work_outcome nothing = {0};

    if (actor != NULL && actor->restore != NULL)
        return work_restore_action(core, actor, token, out);
    if (actor == NULL || actor->running == NULL)
        return false;
    if (actor->state == ACTOR_DROPPED) {
        work_core_ran(core, core->t, token, &nothing);
        return false;
    }
    actor->hosted = actor->running->out = true;
    out->kind = WORK_DO_RUN;
    out->token = token;
    out->run.how = work_open_how(actor);
    out->run.activation = actor->activation;
    /* An effect that comes first then waits for what the journal says. */
    out->run.settled = actor->unreleased_n == 0 &&
                       !work_lookup_wanted(core, actor, actor->running);
    out->run.durable = actor->durable;
    out->run.yields = actor->type->info.reentrancy != WORK_REENTRANT_NONE &&
                      !actor->durable && !actor->running->activation;
    out->run.resumes = actor->running->floor;
    out->run.actor = &actor->id;
    out->run.user = actor->type->info.user;
    out->run.message =
        actor->running->activation ? NULL : &actor->running->message;
    out->run.asked = NULL;
    out->run.request_id = actor->running->request_id;
    out->run.state = (struct plex_bytes){actor->data, actor->data_len};
    out->run.has_state = actor->has_data;
    out->run.schema_version = actor->schema_version;
    out->run.delta_bytes = actor->delta_bytes;
    out->run.epoch = actor->epoch;
    out->run.wait_ns =
        actor->running->yielded ? 0 : core->t.now_ns - actor->running->arrived;
    out->run.n_ahead = 0;
    if (core->config.ahead_max > 0 && out->run.how == WORK_RUN_MESSAGE)
        work_ahead_take(core, actor, out);
    return true;
}

static bool
load_action(struct work_core *core, uint64_t token, struct work_action *out)
{
    const struct actor *actor = work_actor_by_token(core, token);

    if (actor == NULL || actor->state != ACTOR_LOADING)
        return false;
    out->kind = WORK_DO_LOAD;
    out->token = token;
    out->load = (struct journal_load){
        .actor = actor->id,
        .shard = actor->shard,
        .epoch = actor->epoch,
        .recent_max =
            core->config.unsafe_no_dedup ? 0 : core->config.recent_max,
        .records = actor->type->info.sourced,
        .records_from = actor->fold != NULL      ? actor->fold->next
                        : actor->restore != NULL ? actor->restore->next
                                                 : 0,
    };
    return true;
}

/* The answer to a message that another actor of this worker sent. */
static void
answer_inside(struct work_core *core, struct item *item)
{
    const struct plex_bytes bytes = {item->reply, item->reply_len};
    const uint64_t token = item->carries->token;
    enum plex_status status = item->status;
    struct plex_arena arena;
    struct work_reply reply;
    struct plex_err err;

    if (status == PLEX_OK && item->needs_lease && !work_lease_holds(core))
        status = PLEX_UNAVAILABLE;
    plex_arena_init(&arena, PLEX_LINK_FRAME_MAX);
    if (status == PLEX_OK)
        status = work_reply_unpack(bytes, &arena, &reply, &err);
    work_core_sent(core, core->t, token, status,
                   status == PLEX_OK ? &reply : NULL);
    plex_arena_fini(&arena);
    work_item_free(core, item);
}

static bool
answer_action(struct work_core *core, struct item *item,
              struct work_action *out)
{
    if (item->carries != NULL) {
        answer_inside(core, item);
        return false;
    }
    out->kind = WORK_DO_ANSWER;
    out->token = item->call;
    out->answer.status = item->status;
    out->answer.text = item->text == NULL ? "" : item->text;
    out->answer.reply = (struct plex_bytes){item->reply, item->reply_len};
    out->answer.replayed = item->replayed;
    out->answer.recorded = item->recorded;
    out->answer.needs_lease = item->needs_lease;
    out->answer.table_version =
        item->status == PLEX_NOT_OWNER ? core->version : 0;
    core->popped = item;
    return true;
}

static bool
todo_action(struct work_core *core, const struct todo *todo,
            struct work_action *out)
{
    switch (todo->kind) {
    case TODO_RUN:
        return run_action(core, todo->token, out);
    case TODO_LOAD:
        return load_action(core, todo->token, out);
    case TODO_ANSWER:
        return answer_action(core, todo->what, out);
    case TODO_BATCH:
        work_batch_action(todo->what, out);
        return true;
    case TODO_TAKE:
        return work_take_action(core, todo->token, out) ||
               work_window_action(core, todo->token, out);
    case TODO_ABANDON:
        out->kind = WORK_DO_ABANDON;
        out->token = 0;
        out->abandon.activation = todo->token;
        out->abandon.reason = todo->what;
        return true;
    case TODO_REVOKE:
        out->kind = WORK_DO_REVOKE;
        out->token = 0;
        out->revoke.activation = todo->token;
        return true;
    case TODO_LOOKUP:
        return work_lookup_action(core, out);
    case TODO_SEND:
        break;
    }
    return work_pend_action(core, todo->token, out);
}

bool
work_core_next(struct work_core *core, struct work_action *out)
{
    if (core->popped != NULL) {
        work_item_free(core, core->popped);
        core->popped = NULL;
    }
    while (core->todo_n > 0) {
        const struct todo todo = core->todo[core->todo_head];

        core->todo_head = (core->todo_head + 1) & (core->todo_cap - 1);
        core->todo_n--;
        if (todo_action(core, &todo, out))
            return true;
    }
    return false;
}

/* -- time
 * ---------------------------------------------------------------------------
 */

void
work_core_tick(struct work_core *core, struct work_time t)
{
    core->t = t;
    work_pends_due(core);
    work_window_go(core);
    work_actors_passivate(core);
    work_types_warm(core);
}

static uint64_t
until(uint64_t when, uint64_t now)
{
    return when > now ? when - now : 0;
}

uint64_t
work_core_due_in(const struct work_core *core, struct work_time t)
{
    const uint64_t wall_max = 60000; /* the wall clock may be set */
    const struct heap_node *retry = work_heap_top(&core->retry);
    const struct heap_node *due = work_heap_top(&core->due);
    uint64_t ns = work_window_due_in(core, t);

    if (core->idle_next != UINT64_MAX && until(core->idle_next, t.now_ns) < ns)
        ns = until(core->idle_next, t.now_ns);
    if (core->warm_next != UINT64_MAX && until(core->warm_next, t.now_ns) < ns)
        ns = until(core->warm_next, t.now_ns);
    if (retry != NULL && until(retry->key, t.now_ns) < ns)
        ns = until(retry->key, t.now_ns);
    if (due != NULL && core->loading < core->config.loading_max) {
        uint64_t ms = until(due->key, t.wall_ms);

        ms = ms < wall_max ? ms : wall_max;
        if (ms * WORK_MS < ns)
            ns = ms * WORK_MS;
    }
    return ns;
}

void
work_core_stats(const struct work_core *core, struct work_core_stats *out)
{
    *out = core->stats;
    out->reserved_cpu_millis = core->room.reserved.cpu_millis;
    out->reserved_memory_bytes = core->room.reserved.memory_bytes;
    if (core->n_stateless > 0)
        work_stateless_stats(core, out);
    for (size_t i = 0; i < core->n_shards; i++) {
        out->shards += core->shards[i].state == SHARD_SERVING;
        out->shards_taking += core->shards[i].state == SHARD_TAKING;
    }
}
