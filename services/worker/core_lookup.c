/*
 * An activation remembers the newest answers only, and the journal looks at a
 * message's id when its turn is written. For a run that would be too late: its
 * effects have been carried out by then. So when an older answer may exist, the
 * first stretch waits until the journal has said that there is none. Of a
 * message that is sent for the first time, under an id that was made for it,
 * there is none.
 */
#include "services/worker/core_private.h"
#include "services/worker/run_log.h"

#include "common/mem.h"

#include <stdlib.h>

bool
work_lookup_wanted(const struct work_core *core, const struct actor *actor,
                   const struct item *item)
{
    return actor->durable && item->message.id.len > 0 &&
           (!item->message.fresh || item->maybe_done) && !item->reopened &&
           !item->opened && !item->looked && !item->step &&
           (actor->open == NULL || actor->open == item) &&
           core->config.recent_max > 0 && !core->config.unsafe_no_dedup &&
           actor->recents_n >= core->config.recent_max;
}

void
work_lookup_begin(struct work_core *core, struct actor *actor,
                  const struct work_outcome *first)
{
    actor->phase = OPEN_LOOKUP;
    actor->first = plex_calloc(1, sizeof *actor->first);
    *actor->first = *first;
    work_todo_push(core, TODO_LOOKUP, work_actor_token_new(core, actor), NULL);
}

bool
work_lookup_action(const struct work_core *core, uint64_t token,
                   struct work_action *out)
{
    const struct actor *actor = work_actor_by_token(core, token);

    if (actor == NULL || actor->first == NULL || actor->open == NULL)
        return false;
    out->kind = WORK_DO_LOOKUP;
    out->token = token;
    out->lookup.tenant = actor->id.tenant;
    out->lookup.message_id = actor->open->message.id;
    return true;
}

/* It was answered before: the handler that has just begun is forgotten. */
static void
answered_before(struct work_core *core, struct actor *actor,
                struct plex_bytes reply)
{
    struct item *open = actor->open;

    work_open_abandon(core, actor);
    actor->activation = ++core->tokens;
    actor->open = NULL;
    actor->phase = OPEN_RUNNING;
    core->stats.replays_total++;
    work_item_reply_set(core, open, reply);
    open->replayed = true;
    open->recorded = true;
    work_item_finish(core, open, PLEX_OK, NULL);
}

void
work_core_looked_up(struct work_core *core, struct work_time t, uint64_t lookup,
                    enum plex_status status, const char *text,
                    const struct journal_lookup *found)
{
    struct actor *actor;
    struct work_outcome *first;

    core->t = t;
    actor = work_actor_by_token(core, lookup);
    if (actor == NULL || actor->state != ACTOR_ACTIVE ||
        actor->phase != OPEN_LOOKUP || actor->first == NULL)
        return;
    if (status != PLEX_OK && status != PLEX_NOT_FOUND) {
        work_actor_drop(core, actor, false, PLEX_UNAVAILABLE, text);
        return;
    }
    first = actor->first;
    actor->first = NULL;
    if (status == PLEX_OK && !found->waiting &&
        plex_actor_equal(&found->actor, &actor->id)) {
        answered_before(core, actor, found->reply);
    } else {
        actor->open->looked = true;
        work_open_ran(core, actor, actor->open, first);
    }
    free(first);
    work_turns_release(core, actor);
    work_actor_pump(core, actor);
}
