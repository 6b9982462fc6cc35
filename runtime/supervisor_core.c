#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "runtime/supervisor_private.h"

enum { BACKOFF_MAX_MS = 60000 };

/* -- single children -- */

void
sup_start_one(struct sup_core *core, struct sup_child *child)
{
    struct plex_ref key = {.id = ++core->last_run};
    struct sup_action *action;

    core->cursor = child;
    action = sup_push(core, SUP_START, child);
    action->run = key.id;
    action->ref = (struct plex_ref){0};
    sup_child_set(core, child, SUP_BEGINNING, key);
}

/* An end that waits in the queue is taken from there: who is stopped is not
 * restarted because it ended by itself just before. */
static void
child_gone(struct sup_core *core, struct sup_child *child)
{
    sup_input_drop(core, &child->turn);
    sup_push(core, SUP_STOPPED, child)->text = child->reason;
    sup_child_set(core, child, SUP_NONE, (struct plex_ref){0});
    core->stats.stops++;
}

static void
retry_cancel(struct sup_core *core, struct sup_child *child)
{
    if (!child->turn.queued)
        sup_push(core, SUP_CANCEL, child)->run = child->key.id;
    sup_input_drop(core, &child->turn);
    sup_child_set(core, child, SUP_NONE, (struct plex_ref){0});
    child->pending = 0;
}

bool
sup_stop_one(struct sup_core *core, struct sup_child *child)
{
    uint32_t patience = child->box->spec.shutdown_ms;
    struct sup_action *timer;

    assert(child->state != SUP_BEGINNING && child->state != SUP_ENDING);
    if (child->state == SUP_RESTARTING)
        retry_cancel(core, child);
    else if (child->state == SUP_RUNNING && child->ended)
        child_gone(core, child);
    if (child->state == SUP_NONE)
        return false;
    sup_push(core, patience == PLEX_BRUTAL_KILL ? SUP_KILL : SUP_STOP, child);
    core->stats.kills += patience == PLEX_BRUTAL_KILL;
    child->state = SUP_ENDING;
    core->ending++;
    if (patience != PLEX_BRUTAL_KILL && patience != PLEX_SHUTDOWN_INFINITY &&
        core->kill_run == 0) {
        core->kill_run = ++core->last_run;
        timer = sup_push(core, SUP_TIMER, child);
        timer->run = core->kill_run;
        timer->ms = patience;
    }
    return true;
}

void
sup_stopped(struct sup_core *core, struct sup_child *child)
{
    if (core->template != NULL || child->box->spec.restart == PLEX_TEMPORARY)
        sup_child_remove(core, child);
}

/* -- operations -- */

static bool
stops(const struct sup_core *core, const struct sup_child *child)
{
    if (core->op == SUP_OP_END || core->op == SUP_OP_ROLLBACK ||
        core->strategy == PLEX_ONE_FOR_ALL)
        return true;
    return core->strategy == PLEX_REST_FOR_ONE && child != core->from;
}

static void
phase_starting(struct sup_core *core)
{
    core->stopping = false;
    core->cursor = core->from;
    if (core->strategy == PLEX_ONE_FOR_ALL)
        core->cursor = TAILQ_FIRST(&core->children);
}

static uint64_t
backoff_next(const struct sup_core *core, struct sup_child *child)
{
    uint64_t first = core->flags.backoff_initial_ms,
             most = core->flags.backoff_max_ms;

    if (first == 0)
        return 0;
    if (most == 0)
        most = BACKOFF_MAX_MS;
    if (!child->failed && child->started_ms + most <= core->now_ms)
        child->backoff_ms = 0;
    child->backoff_ms = child->backoff_ms == 0 ? first : 2 * child->backoff_ms;
    if (child->backoff_ms > most)
        child->backoff_ms = most;
    return child->backoff_ms;
}

/* The siblings are stopped: start, now or after the back-off. */
static void
restart_stopped(struct sup_core *core)
{
    struct sup_child *from = core->from;
    uint64_t delay = backoff_next(core, from);
    struct sup_action *action;

    if (delay == 0) {
        phase_starting(core);
        return;
    }
    sup_child_set(core, from, SUP_RESTARTING,
                  (struct plex_ref){.id = ++core->last_run});
    action = sup_push(core, SUP_TIMER, from);
    action->run = from->key.id;
    action->ms = delay;
    core->op = SUP_OP_NONE;
}

static void
phase_stopped(struct sup_core *core)
{
    if (core->op == SUP_OP_RESTART) {
        restart_stopped(core);
        return;
    }
    sup_push(core, core->op == SUP_OP_END ? SUP_EXIT : SUP_FAILED, NULL)->text =
        core->text;
    core->op = SUP_OP_OVER;
}

static void
phase_started(struct sup_core *core)
{
    if (core->op == SUP_OP_INIT)
        sup_push(core, SUP_READY, NULL);
    core->op = SUP_OP_NONE;
}

/* Backwards from the cursor; true: wait for the one under it. */
static bool
stop_next(struct sup_core *core)
{
    struct sup_child *child;

    while ((child = core->cursor) != NULL && stops(core, child)) {
        if (sup_stop_one(core, child))
            return true;
        core->cursor = TAILQ_PREV(child, sup_children, order);
        sup_stopped(core, child);
    }
    return false;
}

/* Forwards; those that run already are left alone. */
static bool
start_next(struct sup_core *core)
{
    struct sup_child *child;
    bool alone = core->op == SUP_OP_RESTART &&
                 (core->strategy == PLEX_ONE_FOR_ONE ||
                  core->strategy == PLEX_SIMPLE_ONE_FOR_ONE);

    while ((child = core->cursor) != NULL) {
        if (alone && child != core->from)
            return false;
        if (!sup_child_alive(child)) {
            sup_start_one(core, child);
            return true;
        }
        core->cursor = TAILQ_NEXT(child, order);
    }
    return false;
}

static void
advance(struct sup_core *core)
{
    while (core->op >= SUP_OP_INIT && core->op <= SUP_OP_RESTART) {
        if (core->stopping ? stop_next(core) : start_next(core))
            return;
        if (core->stopping)
            phase_stopped(core);
        else
            phase_started(core);
    }
    if (core->op == SUP_OP_END && !stop_next(core))
        phase_stopped(core);
}

/* As many at once: there can be very many, and they are of one kind. */
static void
end_simple(struct sup_core *core)
{
    struct sup_child *child, *next;

    for (child = TAILQ_FIRST(&core->children); child != NULL; child = next) {
        next = TAILQ_NEXT(child, order);
        if (!sup_stop_one(core, child))
            sup_stopped(core, child);
    }
    core->cursor = NULL;
    if (core->ending == 0)
        phase_stopped(core);
}

void
sup_end(struct sup_core *core, const char *reason)
{
    core->op = SUP_OP_END;
    core->stopping = true;
    free(core->text);
    core->text = plex_strdup(reason);
    core->cursor = TAILQ_LAST(&core->children, sup_children);
    if (core->template != NULL)
        end_simple(core);
    else
        advance(core);
}

/* A restart ends by the strategy by which it began, also when it is tried
 * again after another plan: siblings that it has stopped are not forgotten. */
static void
restart_of(struct sup_core *core, struct sup_child *child)
{
    if (child->pending == 0)
        child->pending = (uint8_t)core->flags.strategy;
    core->op = SUP_OP_RESTART;
    core->strategy = (enum plex_strategy)child->pending;
    core->from = child;
}

static void
restart(struct sup_core *core, struct sup_child *child)
{
    struct sup_action *event;

    if (!sup_restart_count(core)) {
        event = sup_push(core, SUP_GAVE_UP, child);
        event->text = child->reason;
        event->count = (uint32_t)core->times_count;
        core->stats.gave_up++;
        sup_end(core, "shutdown");
        return;
    }
    restart_of(core, child);
    core->stopping = true;
    core->cursor = TAILQ_LAST(&core->children, sup_children);
    if (core->strategy == PLEX_ONE_FOR_ONE || core->template != NULL)
        core->cursor = NULL;
    advance(core);
}

/* -- what comes in, one after the other -- */

static bool
is_abnormal(const char *reason)
{
    return strcmp(reason, "normal") != 0 && strcmp(reason, "shutdown") != 0 &&
           strncmp(reason, "shutdown:", 9) != 0;
}

static bool
ends_with(struct sup_core *core, const struct sup_child *child)
{
    const struct sup_child *other;

    if (!child->box->spec.significant ||
        core->flags.auto_shutdown == PLEX_AUTO_NEVER)
        return false;
    if (core->flags.auto_shutdown == PLEX_AUTO_ANY_SIGNIFICANT)
        return true;
    TAILQ_FOREACH(other, &core->children, order)
    {
        if (other->box->spec.significant && sup_child_alive(other))
            return false;
    }
    return true;
}

static void
child_ended(struct sup_core *core, struct sup_child *child)
{
    enum plex_restart kind = child->box->spec.restart;
    bool over;

    child_gone(core, child);
    if (kind == PLEX_PERMANENT ||
        (kind == PLEX_TRANSIENT && is_abnormal(child->reason))) {
        restart(core, child);
        return;
    }
    over = ends_with(core, child);
    sup_stopped(core, child);
    if (over)
        sup_end(core, "shutdown");
}

static void
child_due(struct sup_core *core, struct sup_child *child)
{
    sup_child_set(core, child, SUP_NONE, (struct plex_ref){0});
    restart_of(core, child);
    phase_starting(core);
    advance(core);
}

static void
input_do(struct sup_core *core, struct sup_input *input)
{
    switch (input->kind) {
    case SUP_IN_EXIT:
        child_ended(core, input->child);
        break;
    case SUP_IN_RETRY:
        sup_child_set(core, input->child, SUP_NONE, (struct plex_ref){0});
        restart(core, input->child);
        break;
    case SUP_IN_DUE:
        child_due(core, input->child);
        break;
    case SUP_IN_PARENT:
        sup_end(core, core->parent_reason);
        break;
    case SUP_IN_REQUEST:
        sup_request_do(core, input);
        break;
    }
}

static void
pump(struct sup_core *core)
{
    struct sup_input *input;

    while (core->op == SUP_OP_NONE &&
           (input = TAILQ_FIRST(&core->inputs)) != NULL) {
        sup_input_drop(core, input);
        input_do(core, input);
    }
}

static void
enter(struct sup_core *core, uint64_t now_ms)
{
    core->now_ms = now_ms;
    if (core->actions_count == 0)
        sup_gone_free(core);
}

/* -- outcomes -- */

static void
start_failed(struct sup_core *core, struct sup_child *child, const char *reason)
{
    const bool again = core->op == SUP_OP_RESTART || core->op == SUP_OP_MOVE;

    core->stats.failed_starts++;
    child->failed = true;
    free(child->reason);
    child->reason = plex_strdup(reason);
    if (core->op == SUP_OP_MOVE)
        sup_request_done(core, PLEX_FAILED, (struct plex_ref){0},
                         child->reason);
    if (again) {
        child->pending =
            core->op == SUP_OP_RESTART ? (uint8_t)core->strategy : 0;
        /* Behind what waits already: it counts as one more restart. */
        sup_child_set(core, child, SUP_RESTARTING,
                      (struct plex_ref){.id = ++core->last_run});
        child->turn.kind = SUP_IN_RETRY;
        sup_input_add(core, &child->turn);
        core->op = SUP_OP_NONE;
        return;
    }
    sup_child_set(core, child, SUP_NONE, (struct plex_ref){0});
    if (core->op == SUP_OP_INIT) {
        char text[PLEX_ERR_TEXT_MAX];

        (void)snprintf(text, sizeof text,
                       "shutdown: could not start child %s: %s",
                       child->box->spec.id, reason);
        free(core->text);
        core->text = plex_strdup(text);
        core->op = SUP_OP_ROLLBACK;
        core->stopping = true;
        core->cursor = TAILQ_LAST(&core->children, sup_children);
        advance(core);
        return;
    }
    if (core->op == SUP_OP_ADD)
        sup_child_remove(core, child);
    sup_request_done(core, PLEX_FAILED, (struct plex_ref){0}, child->reason);
}

static void
start_done(struct sup_core *core, struct sup_child *child, struct plex_ref ref)
{
    bool again = core->op == SUP_OP_RESTART;
    struct sup_action *event;

    core->cursor = TAILQ_NEXT(child, order);
    sup_child_set(core, child, ref.id == 0 ? SUP_NONE : SUP_RUNNING, ref);
    child->pending = 0;
    if (ref.id == 0) {
        sup_stopped(core, child);
    } else {
        child->started_ms = core->now_ms;
        child->failed = false;
        child->restarts += again;
        core->stats.starts++;
        core->stats.restarts += again;
        event = sup_push(core, again ? SUP_RESTARTED : SUP_STARTED, child);
        event->count = child->restarts;
    }
    if (core->op == SUP_OP_ADD || core->op == SUP_OP_AGAIN ||
        core->op == SUP_OP_MOVE)
        sup_request_done(core, PLEX_OK, ref, "");
    else
        advance(core);
}

void
sup_core_wake(struct sup_core *core, uint64_t now_ms)
{
    enter(core, now_ms);
    pump(core);
}

void
sup_core_begin(struct sup_core *core, uint64_t now_ms)
{
    enter(core, now_ms);
    assert(core->op == SUP_OP_NONE && core->last_run == 0);
    core->op = SUP_OP_INIT;
    core->cursor = TAILQ_FIRST(&core->children);
    advance(core);
    pump(core);
}

bool
sup_core_started(struct sup_core *core, uint64_t now_ms, uint64_t run,
                 enum plex_status status, struct plex_ref ref,
                 const char *reason)
{
    struct sup_child *child =
        sup_child_by_ref(core, (struct plex_ref){.id = run});

    enter(core, now_ms);
    if (child == NULL || child->state != SUP_BEGINNING)
        return false;
    if (status == PLEX_OK)
        start_done(core, child, ref);
    else
        start_failed(core, child, reason);
    pump(core);
    return true;
}

static void
stop_done(struct sup_core *core, struct sup_child *child)
{
    core->cursor = TAILQ_PREV(child, sup_children, order);
    child_gone(core, child);
    if (core->op != SUP_OP_MOVE)
        sup_stopped(core, child);
    if (--core->ending > 0)
        return;
    if (core->kill_run != 0)
        sup_push(core, SUP_CANCEL, NULL)->run = core->kill_run;
    core->kill_run = 0;
    if (core->op == SUP_OP_TERMINATE)
        sup_request_done(core, PLEX_OK, (struct plex_ref){0}, "");
    else if (core->op == SUP_OP_MOVE)
        sup_start_one(core, child);
    else if (core->op == SUP_OP_END && core->template != NULL)
        phase_stopped(core);
    else
        advance(core);
}

bool
sup_core_exited(struct sup_core *core, uint64_t now_ms, struct plex_ref ref,
                const char *reason)
{
    struct sup_child *child = sup_child_by_ref(core, ref);

    enter(core, now_ms);
    if (ref.node == 0 || child == NULL)
        return false;
    if (child->ended)
        return true;
    free(child->reason);
    child->reason = plex_strdup(reason);
    if (child->state == SUP_ENDING) {
        stop_done(core, child);
    } else {
        child->ended = true;
        child->turn.kind = SUP_IN_EXIT;
        sup_input_add(core, &child->turn);
    }
    pump(core);
    return true;
}

void
sup_core_timer(struct sup_core *core, uint64_t now_ms, uint64_t run)
{
    struct sup_child *child;

    enter(core, now_ms);
    if (run == core->kill_run && run != 0) {
        core->kill_run = 0;
        TAILQ_FOREACH(child, &core->children, order)
        {
            if (child->state != SUP_ENDING)
                continue;
            sup_push(core, SUP_KILL, child);
            core->stats.kills++;
        }
        return;
    }
    child = sup_child_by_ref(core, (struct plex_ref){.id = run});
    if (child != NULL && child->state == SUP_BEGINNING) {
        start_failed(core, child, "its start took too long");
    } else if (child != NULL && child->state == SUP_RESTARTING &&
               !child->turn.queued) {
        child->turn.kind = SUP_IN_DUE;
        sup_input_add(core, &child->turn);
    }
    pump(core);
}

void
sup_core_stop(struct sup_core *core, uint64_t now_ms, const char *reason)
{
    enter(core, now_ms);
    if (core->parent.queued || core->op == SUP_OP_END ||
        core->op == SUP_OP_ROLLBACK || core->op == SUP_OP_OVER)
        return;
    free(core->parent_reason);
    core->parent_reason = plex_strdup(reason);
    core->parent.kind = SUP_IN_PARENT;
    sup_input_add(core, &core->parent);
    pump(core);
}

bool
sup_core_idle(const struct sup_core *core)
{
    return core->op == SUP_OP_NONE || core->op == SUP_OP_OVER;
}

void
sup_core_stats(const struct sup_core *core, struct sup_stats *out)
{
    *out = core->stats;
}
