/*
 * Turns of one actor in a row. Handing a turn to an executor and taking it back
 * costs more than most turns: so what waits in the mailbox goes along with a
 * RUN, and whoever runs it may go on with that, each turn on the state that the
 * one before it left. The outcomes come back together and are taken one by one,
 * as if each had been asked for by itself; what was not run goes back.
 *
 * Only messages that nothing about the turns before them can call off go along:
 * no timers (a turn may cancel them), nothing that is older than the activation
 * (it may have been answered).
 */
#include "services/worker/core_private.h"

#include <assert.h>

/* A turn larger than that may turn out to be more than the journal takes. */
enum { CHAIN_BYTES_MAX = 1 << 20 };

bool
work_outcome_chains(const struct work_outcome *outcome)
{
    return outcome->phase == WORK_ENDED && outcome->n_outputs == 0 &&
           outcome->state.len < CHAIN_BYTES_MAX &&
           outcome->record.len < CHAIN_BYTES_MAX &&
           outcome->reply.len < CHAIN_BYTES_MAX;
}

/* -- out ------------------------------------------------------------------- */

static bool
may_go_along(const struct work_core *core, const struct actor *actor,
             const struct item *item)
{
    return (item->message.kind == WORK_CALL ||
            item->message.kind == WORK_CAST) &&
           item->from == NULL && !item->accept && !item->activation &&
           item->attempts == 0 && item->arrived > actor->activated_at &&
           (item->deadline == 0 || item->deadline > core->t.now_ns);
}

/* After the RUN of `actor->running`, whose how is MESSAGE. */
void
work_ahead_take(struct work_core *core, struct actor *actor,
                struct work_action *out)
{
    const struct item *first = actor->running;
    size_t room = core->config.unreleased_max - actor->unreleased_n;
    struct item *item;

    if (room > core->config.ahead_max)
        room = core->config.ahead_max;
    if (room > WORK_AHEAD_MAX)
        room = WORK_AHEAD_MAX;
    if (actor->type->info.reentrancy != WORK_REENTRANT_NONE ||
        TAILQ_EMPTY(&actor->mailbox) || first->activation ||
        first->attempts > 1 || !work_lease_holds(core) ||
        (actor->has_data &&
         actor->schema_version != actor->type->info.schema_version))
        return;
    out->run.ahead = core->ahead;
    while (out->run.n_ahead < room &&
           (item = TAILQ_FIRST(&actor->mailbox)) != NULL &&
           may_go_along(core, actor, item)) {
        TAILQ_REMOVE(&actor->mailbox, item, link);
        TAILQ_INSERT_TAIL(&actor->ahead, item, link);
        core->ahead[out->run.n_ahead++] = (struct work_ahead){
            .message = &item->message,
            .request_id = item->request_id,
            .wait_ns = core->t.now_ns - item->arrived,
        };
    }
}

/* -- back ------------------------------------------------------------------ */

/* Those that were not run: in front of all that came after them. */
static void
give_back(struct actor *actor)
{
    struct item *item;

    while ((item = TAILQ_LAST(&actor->ahead, item_list)) != NULL) {
        TAILQ_REMOVE(&actor->ahead, item, link);
        TAILQ_INSERT_HEAD(&actor->mailbox, item, link);
    }
}

/* Handlers without a journal have run: nobody may ask them again. */
static void
were_run(struct work_core *core, struct actor *actor, size_t n)
{
    for (; n > 0; n--) {
        struct item *item = TAILQ_FIRST(&actor->ahead);

        TAILQ_REMOVE(&actor->ahead, item, link);
        actor->mailbox_n--;
        work_item_finish(core, item, PLEX_UNKNOWN,
                         "the actor was dropped while it handled the message");
    }
}

/* The mailbox was refused when the actor was dropped. */
static void
refuse(struct work_core *core, struct actor *actor)
{
    struct item *item;

    while ((item = TAILQ_FIRST(&actor->ahead)) != NULL) {
        TAILQ_REMOVE(&actor->ahead, item, link);
        actor->mailbox_n--;
        work_item_finish(core, item, actor->drop_status, actor->drop_text);
    }
}

static void
ran_next(struct work_core *core, struct actor *actor, struct item *item,
         const struct work_outcome *outcome)
{
    actor->mailbox_n--;
    actor->running = item;
    item->state = ITEM_RUNNING;
    item->attempts++;
    actor->messages++;
    work_turn_ran(core, core->t, work_actor_token_new(core, actor), outcome);
}

void
work_core_ran_ahead(struct work_core *core, struct work_time t, uint64_t token,
                    const struct work_outcome *outcomes, size_t n)
{
    struct actor *actor = work_actor_by_token(core, token);
    struct item_list ran;
    struct item *item;

    core->t = t;
    if (actor == NULL || TAILQ_EMPTY(&actor->ahead)) {
        work_turn_ran(core, t, token, &outcomes[0]);
        return;
    }
    if (actor->state == ACTOR_DROPPED) {
        if (!actor->durable)
            were_run(core, actor, n - 1);
        if (!actor->drop_requeues)
            refuse(core, actor);
        give_back(actor);
        work_turn_ran(core, t, token, &outcomes[0]);
        return;
    }
    TAILQ_INIT(&ran);
    for (size_t i = 1; i < n; i++) {
        item = TAILQ_FIRST(&actor->ahead);
        TAILQ_REMOVE(&actor->ahead, item, link);
        TAILQ_INSERT_TAIL(&ran, item, link);
    }
    give_back(actor);
    actor->taking = n > 1; /* then it does not look at its mailbox */
    work_turn_ran(core, t, token, &outcomes[0]);
    for (size_t i = 1; i < n; i++) {
        assert(work_outcome_chains(&outcomes[i - 1]));
        assert(actor->state == ACTOR_ACTIVE && actor->running == NULL);
        item = TAILQ_FIRST(&ran);
        TAILQ_REMOVE(&ran, item, link);
        actor->taking = i + 1 < n;
        ran_next(core, actor, item, &outcomes[i]);
    }
}

void
work_core_ran(struct work_core *core, struct work_time t, uint64_t token,
              const struct work_outcome *outcome)
{
    work_core_ran_ahead(core, t, token, outcome, 1);
}
