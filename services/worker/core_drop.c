/* Activations that are thrown away. */
#include "services/worker/core_private.h"

#include "common/mem.h"

#include <stdlib.h>

static void
mailbox_refuse(struct work_core *core, struct actor *actor)
{
    struct item_list mailbox;
    struct item *item;

    /* Detached first: what fails here must not be queued here again. */
    TAILQ_INIT(&mailbox);
    TAILQ_CONCAT(&mailbox, &actor->mailbox, link);
    while ((item = TAILQ_FIRST(&mailbox)) != NULL) {
        TAILQ_REMOVE(&mailbox, item, link);
        actor->mailbox_n--;
        work_item_finish(core, item, actor->drop_status, actor->drop_text);
    }
}

/* Entries that are in no batch yet will never be written. */
static void
unwritten_undo(struct work_core *core, struct actor *actor)
{
    struct write_list *unwritten = &work_outlet(core, actor->shard)->unwritten;
    struct write *write, *next;
    struct item *item;

    TAILQ_FOREACH(item, &actor->unreleased, link)
    if (item->state == ITEM_UNWRITTEN) {
        TAILQ_REMOVE(unwritten, item->write, link);
        actor->writing--;
        item->state = ITEM_REFUSED;
    }
    for (write = TAILQ_FIRST(unwritten); write != NULL; write = next) {
        next = TAILQ_NEXT(write, link);
        if (write->actor != actor || write->kind != WRITE_SNAPSHOT)
            continue;
        TAILQ_REMOVE(unwritten, write, link);
        actor->writing--;
        work_write_free(core, write);
    }
}

void
work_actor_drop(struct work_core *core, struct actor *actor, bool requeue,
                enum plex_status status, const char *text)
{
    const bool again = actor->state == ACTOR_DROPPED;

    if (actor->state == ACTOR_COLD)
        return;
    if (again && requeue && !actor->drop_requeues)
        return; /* it goes for another reason, which its callers are told */
    free(actor->drop_text);
    actor->drop_text = plex_strdup(text == NULL ? "" : text);
    actor->drop_status = status;
    actor->drop_requeues = requeue && (!again || actor->drop_requeues);
    work_actor_busy(actor);
    core->loading -= actor->state == ACTOR_LOADING;
    actor->state = ACTOR_DROPPED;
    if (!again) {
        core->stats.dropped_total++;
        unwritten_undo(core, actor);
        if (actor->running != NULL && actor->hosted)
            work_todo_push(core, TODO_REVOKE, actor->activation, NULL);
    }
    if (!actor->drop_requeues)
        mailbox_refuse(core, actor);
    work_actor_drop_continue(core, actor);
}

/* Into the mailbox again. Its run may be found in the journal, open: then it
 * is over before the message's turn comes, and its answer perhaps no longer
 * remembered here. */
static void
item_again(struct item *item)
{
    item->state = ITEM_WAITING;
    item->opened = item->looked = item->message.fresh = false;
    item->awaits = false;
}

/* One turn of a dropped activation, oldest first. */
static void
dropped_turn(struct work_core *core, struct actor *actor, struct item *item,
             struct item_list *again)
{
    struct write *write = item->write;
    const bool unknown = item->state == ITEM_UNKNOWN;

    if (item->state == ITEM_EXISTED) {
        work_turn_undo(core, item);
        work_item_finish(core, item, item->status, item->text);
        return;
    }
    if (write != NULL) {
        work_turn_undo(core, item);
    }
    if (unknown) {
        work_item_finish(
            core, item, PLEX_UNKNOWN,
            actor->durable
                ? "the journal did not say whether the turn was written"
                : "the actor was dropped while it handled the message");
    } else if (item->activation ||
               (item->step && item->call == 0 && item->carries == NULL)) {
        work_item_finish(core, item, PLEX_CANCELLED, NULL);
    } else if (item->yielded) {
        work_aside_cut(core, item);
    } else if (!item->step && actor->drop_requeues &&
               item->attempts < WORK_ATTEMPTS_MAX) {
        item_again(item);
        TAILQ_INSERT_TAIL(again, item, link);
        actor->mailbox_n++;
    } else {
        work_item_finish(core, item, actor->drop_status, actor->drop_text);
    }
}

/* Whose handler waited. */
static void
dropped_open(struct work_core *core, struct actor *actor, struct item *item,
             struct item_list *again)
{
    if (actor->drop_requeues) {
        item->attempts = 0;
        item_again(item);
        TAILQ_INSERT_TAIL(again, item, link);
        actor->mailbox_n++;
    } else {
        work_item_finish(core, item, actor->drop_status, actor->drop_text);
    }
}

/* Nothing is under way any more: what can be said of each turn is known. */
static void
dropped_turns(struct work_core *core, struct actor *actor)
{
    struct item_list turns, again;
    struct item *item;

    TAILQ_INIT(&again);
    item = work_open_dropped(core, actor);
    if (item != NULL)
        dropped_open(core, actor, item, &again);
    item = work_ask_dropped(actor);
    if (item != NULL)
        dropped_open(core, actor, item, &again);
    TAILQ_INIT(&turns);
    work_asides_take(actor, &turns);
    TAILQ_CONCAT(&turns, &actor->unreleased, link);
    actor->unreleased_n = 0;
    while ((item = TAILQ_FIRST(&turns)) != NULL) {
        TAILQ_REMOVE(&turns, item, link);
        dropped_turn(core, actor, item, &again);
    }
    TAILQ_CONCAT(&again, &actor->mailbox, link);
    TAILQ_CONCAT(&actor->mailbox, &again, link);
}

void
work_actor_drop_continue(struct work_core *core, struct actor *actor)
{
    if (actor->state != ACTOR_DROPPED)
        return;
    work_turns_release(core, actor); /* what was written is true all the same */
    if (actor->writing > 0 || actor->running != NULL ||
        (actor->restore != NULL && actor->restore->out))
        return;
    dropped_turns(core, actor);
    work_ids_clear(core, actor);
    work_actor_clear(core, actor);
    actor->state = ACTOR_COLD;
    actor->leaves = false;
    if (actor->pinned)
        work_types_warm_soon(core);
    actor->pinned = false;
    actor->check = NULL;
    core->stats.activations--;
    actor->type->active--;
    work_room_give(core, actor->type);
    if (actor->mailbox_n > 0) {
        const struct shard *shard = work_shard_get(core, actor->shard);
        const char *text = "the actor was dropped";
        enum plex_status status = work_type_check(actor->type, &text);

        if (status == PLEX_OK && shard->state != SHARD_SERVING)
            status = PLEX_NOT_OWNER;
        if (status == PLEX_OK)
            status = work_actor_wake(core, actor);
        if (status == PLEX_OK) {
            work_actor_pump(core, actor);
            return;
        }
        actor->drop_status = status;
        free(actor->drop_text);
        actor->drop_text = plex_strdup(text);
        mailbox_refuse(core, actor);
    }
    if (actor->suspect &&
        (actor->check = work_shard_refresh(core, actor->shard)) == NULL)
        actor->suspect = false; /* the next owner looks anyway */
    work_actor_settle_down(core, actor);
}
