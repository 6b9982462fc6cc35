/* Runs: turns whose handler waits. Each stretch between two waits is written
 * as a turn of its own; the last one closes the run and answers its message. */
#include "services/worker/core_private.h"
#include "services/worker/run_log.h"

#include "common/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const struct work_message no_message = {
    .to = {"", "", "", ""},
    .kind = WORK_CAST,
    .method = "",
    .path = "",
    .subpath = "",
    .query = "",
    .content_type = "",
    .sender = "",
    .timer = "",
};

/* What carries the turn of a stretch that no message began. */
static struct item *
step_make(struct work_core *core, struct actor *actor)
{
    struct work_message message = no_message;
    struct item *item;

    message.to = actor->id;
    item = work_item_make(core, &plex_context_none, &message);
    item->actor = actor;
    item->step = true;
    return item;
}

/* -- the guard: wakes the actor when its worker is lost while its run has
 * nothing else that would -- */

static struct plex_bytes
guard_id(const struct item *open, uint8_t space[JOURNAL_ID_MAX])
{
    const struct plex_bytes id = open->message.id;

    memcpy(space, "w:", 2);
    if (id.len > 0)
        memcpy(space + 2, id.data, id.len);
    return (struct plex_bytes){space, id.len + 2};
}

static struct pend *
guard_find(const struct work_core *core, const struct actor *actor)
{
    uint8_t space[JOURNAL_ID_MAX];

    return work_pend_find(core, actor, guard_id(actor->open, space));
}

/* Into the turn's made pends, unless it is there from an earlier one. */
static bool
guard_make(struct work_core *core, struct actor *actor, struct write *write)
{
    struct work_message message = no_message;
    uint8_t space[JOURNAL_ID_MAX];
    struct pend *pend = guard_find(core, actor);
    struct plex_err err;

    if (pend != NULL)
        return true;
    message.to = actor->id;
    message.kind = WORK_GUARD;
    message.id = guard_id(actor->open, space);
    pend = work_pend_make(core, actor, message.id, core->t.wall_ms, &message);
    if (pend == NULL)
        return false;
    pend->packed.max = WORK_TURN_BYTES_MAX;
    if (work_message_pack(&message, &pend->packed, &err) != PLEX_OK) {
        work_pend_forget(core, pend);
        return false;
    }
    pend->refs++;
    write->made = plex_reallocarray(write->made, write->n_made + 1,
                                    sizeof(struct pend *));
    write->made[write->n_made++] = pend;
    write->bytes += pend->packed.len;
    return true;
}

/* -- stretches ------------------------------------------------------------- */

void
work_open_accepted(struct work_core *core, struct item *item)
{
    static const struct work_reply accepted = {
        .http_status = 202, .content_type = "", .error = "", .recorded = true};
    struct plex_buf buf = {.max = 4096};
    struct plex_err err;

    if (work_reply_pack(&accepted, &buf, &err) == PLEX_OK)
        work_item_reply_set(core, item, (struct plex_bytes){buf.data, buf.len});
    plex_buf_free(&buf);
}

static void
waits_for(struct work_core *core, struct actor *actor,
          const struct work_outcome *outcome)
{
    free(actor->waits_for);
    actor->waits_for =
        outcome->waits_for == NULL ? NULL : plex_strdup(outcome->waits_for);
    actor->waits_since = core->t.wall_ms;
}

/* The run cannot be kept: it fails as a turn that fails does. */
static void run_fails(struct work_core *core, struct actor *actor,
                      struct item *item, const char *text);

/* Who cast the run's message hears of it as soon as it is durable. */
static void
cast_accept(struct work_core *core, struct item *open, struct item *carrier)
{
    if (open->message.kind != WORK_CAST)
        return;
    carrier->call = open->call;
    carrier->carries = open->carries;
    open->call = 0;
    open->carries = NULL;
    if (carrier->call != 0 || carrier->carries != NULL)
        work_open_accepted(core, carrier);
}

/* False when it could not be queued: the run has been closed. */
static bool
stretch_write(struct work_core *core, struct actor *actor, struct item *item,
              const struct work_outcome *outcome)
{
    struct item *carrier = item == actor->open ? step_make(core, actor) : item;
    struct write *write = work_turn_begin(
        core, actor, carrier,
        outcome->state_changed ? outcome->state : (struct plex_bytes){0});

    write->entry.has_state = outcome->state_changed;
    work_turn_record(write, outcome);
    write->entry.schema_version =
        (actor->schema_version & WORK_SCHEMA_MASK) | WORK_SCHEMA_OPEN;
    if (!work_turn_outputs(core, actor, carrier, outcome, write)) {
        if (carrier != item)
            work_item_finish(core, carrier, PLEX_CANCELLED, NULL);
        run_fails(core, actor, item,
                  "the run's state, messages and timers are more than the "
                  "journal takes");
        return false;
    }
    if (!guard_make(core, actor, write)) {
        core->stats.bytes += write->bytes;
        work_write_free(core, write);
        if (carrier != item)
            work_item_finish(core, carrier, PLEX_CANCELLED, NULL);
        run_fails(core, actor, item,
                  "the worker keeps as many timers as it may");
        return false;
    }
    if (outcome->state_changed) {
        work_actor_state_set(actor, outcome->state);
        actor->schema_version = write->entry.schema_version;
        actor->since_snapshot++;
    }
    if (carrier != item)
        cast_accept(core, actor->open, carrier);
    work_turn_queue(core, actor, carrier, write);
    actor->open->maybe_done = true;
    return true;
}

/* What brought the result ends with the turn that closes the run. */
static void
result_ends(struct write *write, struct item *item)
{
    struct pend *from = item->from;

    if (from == NULL)
        return;
    item->from = NULL;
    if (!from->gone)
        work_turn_ends(write, from);
    work_pend_unref(from);
}

static void
run_close(struct work_core *core, struct actor *actor, struct item *item,
          const struct work_outcome *outcome)
{
    struct item *open = actor->open;
    const bool has = outcome->has_state;
    struct pend *guard = guard_find(core, actor);
    struct write *write;

    write = work_turn_begin(core, actor, open,
                            has ? outcome->state : (struct plex_bytes){0});
    write->entry.has_state = true;
    write->entry.schema_version =
        actor->type->info.schema_version | (has ? 0 : WORK_SCHEMA_NONE);
    work_turn_record(write, outcome);
    work_item_reply_set(core, open, outcome->reply);
    if (!work_turn_outputs(core, actor, open, outcome, write)) {
        run_fails(core, actor, item,
                  "the turn's state, messages and timers are more than the "
                  "journal takes");
        return;
    }
    if (guard != NULL)
        work_turn_ends(write, guard);
    if (item != open)
        result_ends(write, item);
    actor->open = NULL;
    actor->phase = OPEN_RUNNING;
    work_actor_state_set(actor, write->entry.state);
    actor->has_data = has;
    actor->schema_version = actor->type->info.schema_version;
    work_turn_queue(core, actor, open, write);
    work_ask_closed(core, actor, item);
    if (item == open || work_ask_is(item))
        return;
    if (item->step) {
        work_item_finish(core, item, PLEX_CANCELLED, NULL);
    } else {
        work_open_accepted(core, item);
        work_turn_ready(actor, item);
    }
}

static void
run_fails(struct work_core *core, struct actor *actor, struct item *item,
          const char *text)
{
    struct work_outcome failed = {.phase = WORK_CLOSED, .failed = true};
    struct plex_bytes reply;
    struct plex_arena arena;
    struct work_run run;
    struct plex_err err;

    plex_arena_init(&arena, 2 * JOURNAL_STATE_MAX);
    /* Nothing of the run is kept: the state is as it was when it began. */
    if ((actor->schema_version & WORK_SCHEMA_OPEN) != 0) {
        if (work_run_unpack((struct plex_bytes){actor->data, actor->data_len},
                            &arena, &run, &err) == PLEX_OK) {
            failed.has_state = run.has_state;
            failed.state = run.state;
        }
    } else {
        failed.has_state = actor->has_data;
        failed.state = (struct plex_bytes){actor->data, actor->data_len};
    }
    work_turn_failed_reply(core, actor->open, text);
    reply = (struct plex_bytes){actor->open->reply, actor->open->reply_len};
    reply.data = plex_arena_alloc(&arena, reply.len + 1);
    if (reply.data != NULL)
        memcpy((void *)(uintptr_t)reply.data, actor->open->reply, reply.len);
    failed.reply = reply;
    run_close(core, actor, item, &failed);
    plex_arena_fini(&arena);
}

/* A stretch that did nothing new and was begun by nothing needs no turn. */
static bool
must_write(const struct actor *actor, const struct item *item,
           const struct work_outcome *outcome)
{
    return outcome->state_changed || outcome->rebuilds ||
           outcome->n_outputs > 0 || (item != actor->open && !item->step);
}

void
work_open_ran(struct work_core *core, struct actor *actor, struct item *item,
              const struct work_outcome *outcome)
{
    if (actor->open == NULL) {
        assert(actor->durable && !item->activation);
        actor->open = item;
    }
    actor->open->state = ITEM_OPEN;
    if (outcome->phase == WORK_ANSWERS) {
        work_ask_answered(core, actor, item, outcome);
        return;
    }
    if (item == actor->open && outcome->phase != WORK_ENDED &&
        outcome->phase != WORK_CLOSED &&
        work_lookup_wanted(core, actor, item)) {
        work_lookup_begin(core, actor, outcome);
        return;
    }
    if (outcome->phase == WORK_CLOSED || outcome->phase == WORK_ENDED) {
        run_close(core, actor, item, outcome);
        return;
    }
    actor->phase = outcome->phase == WORK_WAITS    ? OPEN_WAITING
                   : outcome->phase == WORK_PARKED ? OPEN_PARKED
                                                   : OPEN_COMMITTING;
    actor->takes = outcome->takes;
    waits_for(core, actor, outcome);
    if (work_ask_is(item))
        work_ask_accepted(core, actor, item, outcome);
    else if (item != actor->open && !item->step)
        work_open_accepted(core, item);
    if (must_write(actor, item, outcome)) {
        if (!stretch_write(core, actor, item, outcome))
            return;
        work_ask_done(core, actor, outcome);
    } else if (item->step) {
        work_item_finish(core, item, PLEX_CANCELLED, NULL);
    } else if (item != actor->open) {
        work_turn_ready(actor, item);
    }
}

/* -- what comes next --------------------------------------------------------
 */

static bool
for_run(const struct item *item)
{
    const struct work_message *m = &item->message;

    switch (m->kind) {
    case WORK_REPLY:
        return (m->tag & WORK_TAG_RUN) != 0;
    case WORK_TIMER:
        return m->timer[0] == WORK_TIMER_RUN;
    case WORK_RESOLVE:
    case WORK_GUARD:
    case WORK_QUERY:
    case WORK_UPDATE:
        return true;
    default:
        return false;
    }
}

/* Detach what delivered it, without settling it. */
static struct pend *
from_take(struct item *item)
{
    struct pend *from = item->from;

    item->from = NULL;
    return from;
}

static void
guard_came(struct work_core *core, struct item *item)
{
    struct pend *from = from_take(item);

    if (from != NULL) {
        if (!from->gone)
            from->state = PEND_IDLE;
        work_pend_unref(from);
    }
    work_item_finish(core, item, PLEX_CANCELLED, NULL);
}

bool
work_open_stray(struct work_core *core, struct item *item)
{
    struct pend *from;

    if (!for_run(item))
        return false;
    from = from_take(item);
    if (from != NULL) {
        if (!from->gone)
            work_pend_settle(core, from);
        work_pend_unref(from);
    }
    work_item_finish(core, item, PLEX_CONFLICT,
                     "nothing of this actor waits for that");
    return true;
}

static bool
takes(const struct actor *actor, const struct item *item)
{
    if (item->message.kind == WORK_GUARD)
        return true;
    if (work_ask_is(item))
        return work_ask_takes(actor, item);
    if (actor->phase == OPEN_PARKED)
        return item->message.kind == WORK_RESOLVE;
    return actor->phase == OPEN_WAITING && for_run(item);
}

/* Is it to cancel the run of a call, and the open one is another's? */
static bool
cancels_other(const struct actor *actor, const struct item *item)
{
    const struct plex_bytes id = actor->open->message.id;
    const size_t n = strlen(WORK_CANCEL_CALL);
    const char *what = item->message.timer;

    return item->message.kind == WORK_RESOLVE &&
           strncmp(what, WORK_CANCEL_CALL, n) == 0 &&
           (strlen(what + n) != id.len ||
            memcmp(what + n, id.data, id.len) != 0);
}

/* True for what is answered while the run is open, without it. */
static bool
unhandled(struct work_core *core, struct actor *actor, struct item *item)
{
    const bool circle = work_chain_circle(actor, item);
    const bool other = cancels_other(actor, item);

    const bool parked = work_ask_parked(actor, item);
    const bool edit = item->message.kind == WORK_EDIT;
    const bool facets = item->message.kind == WORK_FACETS;

    if (!circle && !other && !edit && !facets && !parked &&
        item->message.kind != WORK_ACTIVATE)
        return false;
    TAILQ_REMOVE(&actor->mailbox, item, link);
    actor->mailbox_n--;
    if (circle)
        work_chain_refuse(core, actor, item);
    else if (parked)
        work_item_finish(core, item, PLEX_CONFLICT,
                         "the run is parked, and takes no updates until it is "
                         "resumed");
    else if (edit)
        work_item_finish(core, item, PLEX_CONFLICT,
                         "a run of the actor is open, and has its state; wait "
                         "for its end, or cancel it");
    else if (facets)
        work_item_finish(core, item, PLEX_CONFLICT,
                         "a run of the actor is open, inside its facets; wait "
                         "for its end, or cancel it");
    else if (other)
        work_item_finish(core, item, PLEX_UNAVAILABLE,
                         "the call that is to be cancelled has not begun");
    else
        work_item_activated(core, actor, item);
    return true;
}

static struct item *
mailbox_next(struct work_core *core, struct actor *actor)
{
    struct item *item, *next;

    for (item = TAILQ_FIRST(&actor->mailbox); item != NULL; item = next) {
        next = TAILQ_NEXT(item, link);
        if (unhandled(core, actor, item) || !takes(actor, item))
            continue;
        TAILQ_REMOVE(&actor->mailbox, item, link);
        actor->mailbox_n--;
        if (item->message.kind == WORK_GUARD) {
            guard_came(core, item);
            continue;
        }
        if (item->from != NULL && (item->from->cancelled || item->from->gone)) {
            guard_came(core, item);
            continue;
        }
        if (item->arrived <= actor->activated_at &&
            work_item_replays(core, actor, item))
            continue;
        return item;
    }
    return NULL;
}

struct item *
work_open_next(struct work_core *core, struct actor *actor)
{
    if (!work_lease_holds(core))
        return NULL; /* the activation is about to be dropped */
    if (actor->phase == OPEN_COMMITTING && actor->unreleased_n == 0)
        actor->phase = OPEN_CONTINUES;
    switch (actor->phase) {
    case OPEN_CONTINUES:
        return step_make(core, actor);
    case OPEN_REPLAYS:
        return actor->open;
    case OPEN_PARKED:
    case OPEN_WAITING:
        return mailbox_next(core, actor);
    case OPEN_RUNNING:
    case OPEN_COMMITTING:
    case OPEN_LOOKUP:
        break;
    }
    return NULL;
}

enum work_run_how
work_open_how(const struct actor *actor)
{
    if (actor->open == NULL)
        return actor->running->yielded ? WORK_RUN_RESUME : WORK_RUN_MESSAGE;
    if (actor->running == actor->open)
        return WORK_RUN_REPLAY;
    return actor->running->step ? WORK_RUN_CONTINUE : WORK_RUN_RESULT;
}

/* -- life ------------------------------------------------------------------ */

/* What those hear who are linked to it. */
static const char *
gone_why(const struct actor *actor)
{
    if (actor->state != ACTOR_DROPPED)
        return "normal";
    return actor->drop_status == PLEX_NOT_OWNER ? "moved" : "dropped";
}

void
work_open_abandon(struct work_core *core, struct actor *actor)
{
    if (!actor->hosted)
        return;
    actor->hosted = false;
    work_todo_push(core, TODO_ABANDON, actor->activation,
                   (void *)(uintptr_t)gone_why(actor));
}

bool
work_open_restore(struct work_core *core, struct actor *actor)
{
    struct work_message message;
    struct plex_arena arena;
    struct work_run run;
    struct plex_err err;
    bool ok;

    plex_arena_init(&arena, 2 * JOURNAL_STATE_MAX);
    ok = work_run_unpack((struct plex_bytes){actor->data, actor->data_len},
                         &arena, &run, &err) == PLEX_OK &&
         work_message_unpack(run.message, &arena, &message, &err) == PLEX_OK;
    if (ok) {
        struct item *item = work_item_make(core, &plex_context_none, &message);

        item->actor = actor;
        item->reopened = true;
        item->opened = true;
        item->maybe_done = true;
        item->state = ITEM_OPEN;
        work_id_enter(core, item);
        actor->open = item;
        actor->phase = OPEN_REPLAYS;
    }
    plex_arena_fini(&arena);
    return ok;
}

/* Guards that were kept quiet by the run wake the actor again. */
static void
guards_arm(struct work_core *core, struct actor *actor)
{
    struct pend *pend;

    TAILQ_FOREACH(pend, &actor->pends, of_actor)
    if (pend->message->kind == WORK_GUARD && pend->made && !pend->cancelled &&
        pend->state == PEND_IDLE)
        work_pend_arm(core, pend);
}

struct item *
work_open_dropped(struct work_core *core, struct actor *actor)
{
    struct item *open = actor->open;

    work_open_abandon(core, actor);
    if (open == NULL)
        return NULL;
    actor->open = NULL;
    actor->phase = OPEN_RUNNING;
    guards_arm(core, actor);
    if (open->call != 0 || open->carries != NULL || open->from != NULL)
        return open;
    work_item_finish(core, open, PLEX_CANCELLED, NULL);
    return NULL;
}

bool
work_open_idle(const struct actor *actor)
{
    const struct item *open = actor->open;

    return open == NULL ||
           ((actor->phase == OPEN_WAITING || actor->phase == OPEN_PARKED) &&
            actor->update == NULL && open->call == 0 && open->carries == NULL &&
            open->from == NULL);
}

void
work_open_passivate(struct work_core *core, struct actor *actor)
{
    struct item *open = actor->open;

    work_open_abandon(core, actor);
    if (open == NULL)
        return;
    actor->open = NULL;
    actor->phase = OPEN_RUNNING;
    work_item_finish(core, open, PLEX_CANCELLED, NULL);
}
