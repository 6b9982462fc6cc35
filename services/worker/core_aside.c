/* Turns that wait while others of their actor run. */
#include "services/worker/core_private.h"

void
work_asides_init(struct actor *actor)
{
    TAILQ_INIT(&actor->asides);
    TAILQ_INIT(&actor->woken);
}

void
work_aside_yields(struct work_core *core, struct actor *actor,
                  struct item *item, uint64_t token,
                  const struct work_outcome *outcome)
{
    item->yielded = true;
    item->floor = token;
    if (actor->state == ACTOR_DROPPED) {
        work_turn_ready(actor, item);
        work_actor_drop_continue(core, actor);
        return;
    }
    item->state = ITEM_ASIDE;
    TAILQ_INSERT_TAIL(&actor->asides, item, link);
    actor->n_asides++;
    work_turn_effects(core, actor, item, outcome);
    work_actor_pump(core, actor);
}

static struct item *
find(struct item_list *list, uint64_t token)
{
    struct item *item;

    TAILQ_FOREACH(item, list, link)
    if (item->floor == token)
        break;
    return item;
}

/* Its process has gone. */
static void
fails(struct work_core *core, struct actor *actor, struct item *item,
      const struct work_outcome *outcome)
{
    actor->n_asides--;
    core->stats.turns_total++;
    if (outcome->reply.len > 0)
        work_item_reply_set(core, item, outcome->reply);
    else
        work_turn_failed_reply(core, item,
                               "the turn was ended while it waited");
    work_turn_ready(actor, item);
    work_turns_release(core, actor);
    work_actor_pump(core, actor);
}

void
work_aside_ran(struct work_core *core, uint64_t token,
               const struct work_outcome *outcome)
{
    const uint32_t slot = (uint32_t)token;
    struct actor *actor = slot < core->n_slots ? core->slots[slot] : NULL;
    struct item *item;

    if (actor == NULL || actor->n_asides == 0 || actor->state != ACTOR_ACTIVE)
        return; /* dropped meanwhile: it is answered when that is over */
    item = find(&actor->asides, token);
    if (item != NULL) {
        TAILQ_REMOVE(&actor->asides, item, link);
    } else if (outcome->phase != WORK_WAKES) {
        item = find(&actor->woken, token);
        if (item != NULL)
            TAILQ_REMOVE(&actor->woken, item, link);
    }
    if (item == NULL)
        return;
    if (outcome->phase != WORK_WAKES) {
        fails(core, actor, item, outcome);
        return;
    }
    TAILQ_INSERT_TAIL(&actor->woken, item, link);
    work_actor_pump(core, actor);
}

/* -- what comes next --------------------------------------------------------
 */

static bool
is_waited_for(const struct actor *actor, const struct item *item)
{
    const struct item *aside;

    TAILQ_FOREACH(aside, &actor->asides, link)
    if (work_chain_has(actor, aside, item))
        return true;
    TAILQ_FOREACH(aside, &actor->woken, link)
    if (work_chain_has(actor, aside, item))
        return true;
    return false;
}

/* Of the mailbox. NULL: none may run now. */
static struct item *
let_in(const struct actor *actor)
{
    const bool any = actor->type->info.reentrancy == WORK_REENTRANT_ALWAYS;
    struct item *item;

    TAILQ_FOREACH(item, &actor->mailbox, link)
    {
        if (!item->let_in)
            return any && actor->n_asides < WORK_ASIDES_MAX ? item : NULL;
        if (any || is_waited_for(actor, item))
            return item;
    }
    return NULL;
}

bool
work_aside_next(struct work_core *core, struct actor *actor)
{
    struct item *item = TAILQ_FIRST(&actor->woken);

    if (item != NULL) {
        TAILQ_REMOVE(&actor->woken, item, link);
        actor->n_asides--;
        actor->running = item;
        item->state = ITEM_RUNNING;
        work_todo_push(core, TODO_RUN, work_actor_token_new(core, actor), NULL);
        return true;
    }
    item = let_in(actor);
    if (item == NULL)
        return false;
    TAILQ_REMOVE(&actor->mailbox, item, link);
    actor->mailbox_n--;
    if (actor->n_asides >= WORK_ASIDES_MAX) {
        /* Who waits for it would wait in vain. */
        work_item_finish(core, item, PLEX_LIMIT,
                         "256 turns of the actor wait already");
        return true;
    }
    work_item_begin(core, actor, item);
    return true;
}

bool
work_aside_leads_to(const struct actor *actor, const struct item *item)
{
    if (actor->type->info.reentrancy == WORK_REENTRANT_NONE || actor->durable)
        return false;
    return (actor->running != NULL &&
            work_chain_has(actor, actor->running, item)) ||
           is_waited_for(actor, item);
}

void
work_aside_let_in(struct actor *actor, struct item *item)
{
    struct item *before = TAILQ_FIRST(&actor->mailbox);

    while (before != NULL && before->let_in)
        before = TAILQ_NEXT(before, link);
    if (before != NULL)
        TAILQ_INSERT_BEFORE(before, item, link);
    else
        TAILQ_INSERT_TAIL(&actor->mailbox, item, link);
}

/* -- dropping ---------------------------------------------------------------
 */

void
work_asides_take(struct actor *actor, struct item_list *out)
{
    TAILQ_CONCAT(out, &actor->asides, link);
    TAILQ_CONCAT(out, &actor->woken, link);
    actor->n_asides = 0;
}

void
work_aside_cut(struct work_core *core, struct item *item)
{
    /* An answer, not "try again": part of it is done. */
    work_turn_failed_reply(core, item,
                           "the actor left this worker while the turn waited; "
                           "what it had done before stays done");
    work_item_finish(core, item, PLEX_OK, NULL);
}
