/*
 * An activation remembers the newest answers only, and the journal looks at a
 * message's id when its turn is written. For a run that would be too late: its
 * effects have been carried out by then. So when an older answer may exist, the
 * first stretch waits until the journal has said that there is none. Of a
 * message that is sent for the first time, under an id that was made for it,
 * there is none.
 *
 * What is asked in one iteration of the loop, or while earlier questions are
 * out, becomes one question: it costs the journal as much as one alone.
 */
#include "services/worker/core_private.h"
#include "services/worker/run_log.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

enum { LOOKUPS_OUT_MAX = 2 };

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

/* -- asking ---------------------------------------------------------------- */

static void
wait_push(struct work_core *core, uint64_t token)
{
    struct lookups *lookups = &core->lookups;

    if (lookups->n == lookups->cap) {
        lookups->cap = lookups->cap == 0 ? 64 : lookups->cap * 2;
        lookups->waiting =
            plex_reallocarray(lookups->waiting, lookups->cap, sizeof(uint64_t));
    }
    lookups->waiting[lookups->n++] = token;
}

void
work_lookup_begin(struct work_core *core, struct actor *actor,
                  const struct work_outcome *first)
{
    actor->phase = OPEN_LOOKUP;
    actor->first = plex_calloc(1, sizeof *actor->first);
    *actor->first = *first;
    wait_push(core, work_actor_token_new(core, actor));
}

void
work_lookups_flush(struct work_core *core)
{
    size_t left = core->lookups.n;

    while (left > 0 && core->lookups.n_out < LOOKUPS_OUT_MAX) {
        core->lookups.n_out++;
        work_todo_push(core, TODO_LOOKUP, 0, NULL);
        left -= left < JOURNAL_ASKED_MAX ? left : JOURNAL_ASKED_MAX;
    }
}

static struct actor *
waits(const struct work_core *core, uint64_t token)
{
    struct actor *actor = work_actor_by_token(core, token);

    return actor != NULL && actor->state == ACTOR_ACTIVE &&
                   actor->phase == OPEN_LOOKUP && actor->first != NULL
               ? actor
               : NULL;
}

/* Those that wait longest, without who has gone meanwhile. */
bool
work_lookup_action(struct work_core *core, struct work_action *out)
{
    struct lookups *lookups = &core->lookups;
    struct lookup *lookup = plex_calloc(1, sizeof *lookup);
    size_t at = 0;

    while (at < lookups->n && lookup->n < JOURNAL_ASKED_MAX) {
        const uint64_t token = lookups->waiting[at++];
        const struct actor *actor = waits(core, token);

        if (actor == NULL)
            continue;
        lookups->asked[lookup->n] = (struct journal_asked){
            actor->id,
            actor->open->message.id,
        };
        lookup->actors[lookup->n++] = token;
    }
    lookups->n -= at;
    if (lookups->n > 0)
        memmove(lookups->waiting, lookups->waiting + at,
                lookups->n * sizeof(uint64_t));
    if (lookup->n == 0) {
        lookups->n_out--;
        free(lookup);
        return false;
    }
    lookup->token = ++core->tokens;
    TAILQ_INSERT_TAIL(&lookups->out, lookup, link);
    out->kind = WORK_DO_LOOKUP;
    out->token = lookup->token;
    out->lookup.asked = lookups->asked;
    out->lookup.n = lookup->n;
    return true;
}

void
work_lookups_free(struct work_core *core)
{
    struct lookup *lookup;

    while ((lookup = TAILQ_FIRST(&core->lookups.out)) != NULL) {
        TAILQ_REMOVE(&core->lookups.out, lookup, link);
        free(lookup);
    }
    free(core->lookups.waiting);
}

/* -- answers --------------------------------------------------------------- */

/* The handler that has just begun is forgotten: its message is answered with
 * what is recorded, or with why it cannot be. */
static void
run_ends(struct work_core *core, struct actor *actor, enum plex_status status,
         const char *text, struct plex_bytes reply)
{
    struct item *open = actor->open;

    free(actor->first);
    actor->first = NULL;
    work_open_abandon(core, actor);
    actor->activation = ++core->tokens;
    actor->open = NULL;
    actor->phase = OPEN_RUNNING;
    if (status == PLEX_OK) {
        core->stats.replays_total++;
        work_item_reply_set(core, open, reply);
        open->replayed = true;
        open->recorded = true;
    }
    work_item_finish(core, open, status, text);
}

static void
run_goes_on(struct work_core *core, struct actor *actor)
{
    struct work_outcome *first = actor->first;

    actor->first = NULL;
    actor->open->looked = true;
    work_open_ran(core, actor, actor->open, first);
    free(first);
}

static void
looked_up(struct work_core *core, struct actor *actor, uint64_t token,
          const struct journal_result *result)
{
    switch (result->status) {
    case PLEX_LIMIT: /* its answer did not fit: the next one begins with it */
        wait_push(core, token);
        return;
    case PLEX_NOT_FOUND:
        run_goes_on(core, actor);
        break;
    case PLEX_EXISTS:
        if (result->request_hash == actor->open->message.request_hash)
            run_ends(core, actor, PLEX_OK, NULL, result->reply);
        else
            run_ends(core, actor, PLEX_MISMATCH,
                     "the message id was used by another request",
                     (struct plex_bytes){0});
        break;
    default:
        run_ends(core, actor, result->status,
                 "what is recorded for the message cannot be read",
                 (struct plex_bytes){0});
        break;
    }
    work_turns_release(core, actor);
    work_actor_pump(core, actor);
}

void
work_core_looked_up(struct work_core *core, struct work_time t, uint64_t token,
                    enum plex_status status, const char *text,
                    const struct journal_result *results, size_t n)
{
    struct lookup *lookup;

    core->t = t;
    TAILQ_FOREACH(lookup, &core->lookups.out, link)
    if (lookup->token == token)
        break;
    if (lookup == NULL)
        return;
    TAILQ_REMOVE(&core->lookups.out, lookup, link);
    core->lookups.n_out--;
    for (size_t i = 0; i < lookup->n; i++) {
        struct actor *actor = waits(core, lookup->actors[i]);

        if (actor == NULL)
            continue;
        if (status == PLEX_OK && i < n)
            looked_up(core, actor, lookup->actors[i], &results[i]);
        else
            work_actor_drop(core, actor, false, PLEX_UNAVAILABLE, text);
    }
    free(lookup);
}
