/* What happens when a step fails: again, elsewhere, parked, or upwards. */
#include "common/mem.h"
#include "workflow/expr_private.h"
#include "workflow/run_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *
flow_error_code(const struct flow_run *run, enum engine_error error)
{
    static const char *const codes[][2] = {
        {"TIMEOUT", "States.Timeout"},
        {"HEARTBEAT_TIMEOUT", "States.HeartbeatTimeout"},
        {"EXPRESSION", "States.ParameterPathFailure"},
        {"EXPRESSION", "States.Runtime"},
        {"NO_CHOICE", "States.NoChoiceMatched"},
        {"EXPRESSION", "States.ResultPathMatchFailure"},
        {"TOO_MANY_FAILURES", "States.ExceedToleratedFailureThreshold"},
        {"REJECTED", "REJECTED"},
    };

    return codes[error][run->def->language == FLOW_ASL];
}

static const char *
fault_code(const struct flow_run *run, const struct act *act,
           enum flow_fault_kind kind)
{
    const bool asl = run->def->language == FLOW_ASL;

    if (kind == FLOW_FAULT_FAILED)
        return "FAILED";
    if (kind == FLOW_FAULT_FUNCTION && asl)
        return "States.IntrinsicFailure";
    return flow_error_code(run, kind == FLOW_FAULT_TYPE ||
                                        act->node->kind == FLOW_CHOICE
                                    ? ERROR_RUNTIME
                                    : ERROR_EXPRESSION);
}

void
flow_act_fault(struct flow_run *run, struct act *act,
               const struct flow_fault *fault)
{
    if (fault->kind == FLOW_FAULT_LIMIT)
        flow_act_park(run, act, fault->text);
    else
        flow_act_fail(run, act, fault_code(run, act, fault->kind), fault->text);
}

/* -- which errors
 * ------------------------------------------------------------------ */

static bool
asl_matches(const struct act *act, const char *pattern, const char *code)
{
    if (strcmp(pattern, code) == 0)
        return true;
    if (strcmp(pattern, "States.ALL") == 0)
        return strcmp(code, "States.Runtime") != 0 &&
               strcmp(code, "States.DataLimitExceeded") != 0;
    if (strcmp(pattern, "States.Timeout") == 0)
        return strcmp(code, "States.HeartbeatTimeout") == 0;
    if (strcmp(pattern, "States.TaskFailed") == 0)
        return act->node->kind == FLOW_TASK && strncmp(code, "States.", 7) != 0;
    if (strcmp(pattern, "States.BranchFailed") == 0)
        return act->node->kind == FLOW_PARALLEL;
    return false;
}

/* Without a list, everything but what trying again cannot change. */
static bool
native_default(const char *code)
{
    return strcmp(code, "EXPRESSION") != 0 && strcmp(code, "NO_CHOICE") != 0;
}

static bool
matches(const struct flow_run *run, const struct act *act,
        const char *const *patterns, const char *code, bool retry)
{
    if (patterns == NULL)
        return !retry || native_default(code);
    for (; *patterns != NULL; patterns++) {
        if (run->def->language == FLOW_ASL ? asl_matches(act, *patterns, code)
                                           : flow_glob(*patterns, code, true))
            return true;
    }
    return false;
}

/* -- again
 * ------------------------------------------------------------------------- */

/* splitmix64, as for expressions: one sequence for the turn. */
static uint64_t
draw(struct flow_run *run)
{
    uint64_t z = (run->random += 0x9E3779B97F4A7C15ULL);

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

static int64_t
delay_of(struct flow_run *run, const struct flow_retrier *retrier,
         uint32_t tries)
{
    double delay = (double)retrier->first_ms * pow(retrier->rate, tries);
    const double max = retrier->max_ms > 0 ? (double)retrier->max_ms
                                           : (double)FLOW_WAIT_MAX_MS;

    if (!(delay < max))
        delay = max;
    if (retrier->jitter)
        return (int64_t)(draw(run) % ((uint64_t)delay + 1));
    return (int64_t)delay;
}

static bool
retry_with(struct flow_run *run, struct act *act,
           const struct flow_retrier *retrier, uint32_t *tries,
           const char *code, const char *cause)
{
    int64_t delay;

    if (*tries >= retrier->retries)
        return false;
    delay = delay_of(run, retrier, (*tries)++);
    flow_note(run, "STEP_RETRYING", act->node->path, act->id, act->attempt,
              "%s in %lld ms: %s", code, (long long)delay, cause);
    flow_act_forget(run, act);
    act->attempt++;
    flow_set_text(&act->what, code);
    flow_act_phase(run, act, ACT_BACKOFF);
    act->due_ms = flow_wake_at(run, run->now_ms + delay);
    return true;
}

static bool
retry(struct flow_run *run, struct act *act, const char *code,
      const char *cause)
{
    static const struct flow_retrier undo = {
        .first_ms = 1000, .max_ms = 60000, .rate = 2, .retries = 9};
    const struct flow_node *node = act->node;

    if (act->frame == NULL)
        return retry_with(
            run, act, node->undo_retrier != NULL ? node->undo_retrier : &undo,
            &act->tries[0], code, cause);
    for (uint32_t i = 0; i < node->n_retriers; i++) {
        const struct flow_retrier *retrier = &node->retriers[i];

        if (matches(run, act, retrier->errors, code, true))
            return retry_with(run, act, retrier, &act->tries[i], code, cause);
    }
    return false;
}

/* -- elsewhere
 * --------------------------------------------------------------------- */

static bool catch (struct flow_run *run, struct act *act, const char *code,
                   const char *cause)
{
    const struct flow_node *node = act->node;
    const struct flow_catcher *catcher = NULL;
    struct node_run *settled;
    json_t *error, *output;

    for (uint32_t i = 0; i < node->n_catchers && catcher == NULL; i++) {
        if (matches(run, act, node->catchers[i].errors, code, false))
            catcher = &node->catchers[i];
    }
    if (catcher == NULL)
        return false;
    if (act->frame->scope->net) {
        settled = flow_node_run(act->frame, node);
        flow_set_text(&settled->code, code);
        flow_set_text(&settled->cause, cause);
        output = NULL;
    } else {
        error = json_pack("{s:s, s:s}", "Error", code, "Cause", cause);
        if (error == NULL)
            error = json_pack("{s:s, s:s}", "Error", code, "Cause", "");
        output = catcher->discard
                     ? json_incref(act->data)
                     : flow_place_set(&catcher->place, act->data, error);
        json_decref(error);
        if (output == NULL)
            return false;
    }
    flow_note(run, "STEP_CAUGHT", node->path, act->id, act->attempt, "%s: %s",
              code, cause);
    flow_act_forget(run, act);
    flow_act_settle(run, act, output, NODE_CAUGHT, catcher->next);
    return true;
}

/* -- parked
 * ------------------------------------------------------------------------ */

void
flow_run_park(struct flow_run *run, const char *reason)
{
    struct out *out;

    flow_set_text(&run->reason, reason);
    run->status = FLOW_PARKED;
    run->since_ms = run->now_ms;
    flow_note(run, "RUN_PARKED", "", 0, 0, "%s", reason);
    out = flow_emit(run, FLOW_PARK, NULL);
    flow_say(out, SAY_CAUSE, reason);
    out->command.status = FLOW_PARKED;
}

void
flow_act_park(struct flow_run *run, struct act *act, const char *reason)
{
    char text[FLOW_CAUSE_MAX];

    (void)snprintf(text, sizeof text, "step '%.128s': %.800s", act->node->path,
                   reason);
    if (act->stopping) {
        struct frame *frame = act->frame;

        flow_act_free(run, act);
        flow_frame_drained(run, frame);
        return;
    }
    flow_act_forget(run, act);
    flow_set_text(&act->what, reason);
    flow_act_phase(run, act, ACT_PARKED);
    flow_run_park(run, text);
}

/* -- upwards
 * ----------------------------------------------------------------------- */

static bool
tolerated(const struct act *owner)
{
    const struct flow_node *node = owner->node;
    const double percent = node->tolerated_percent;

    if (node->kind != FLOW_MAP)
        return false;
    return (int64_t)owner->failed + 1 <= node->tolerated ||
           (percent > 0 &&
            (owner->failed + 1) * 100.0 <= percent * owner->total);
}

static void
frame_failed(struct flow_run *run, struct frame *frame)
{
    struct act *owner = frame->owner;
    const uint32_t slot = frame->slot;
    char *code = frame->code, *cause = frame->cause;

    frame->code = frame->cause = NULL;
    if (owner == NULL) {
        flow_run_end(run, FLOW_FAILED, code, cause);
    } else if (tolerated(owner)) {
        owner->failed++;
        flow_frame_close(run, frame);
        flow_slot_done(
            run, owner, slot,
            json_pack("{s:{s:s, s:s}}", "error", "code", code, "cause", cause));
    } else {
        const bool limit =
            owner->node->kind == FLOW_MAP &&
            (owner->node->tolerated > 0 || owner->node->tolerated_percent > 0);

        flow_frame_close(run, frame);
        owner->running--;
        flow_set_text(&owner->code,
                      limit ? flow_error_code(run, ERROR_TOLERANCE) : code);
        flow_set_text(&owner->cause, cause);
        flow_act_stop_frames(run, owner);
        if (owner->running == 0)
            flow_act_fail(run, owner, owner->code, owner->cause);
    }
    free(code);
    free(cause);
}

void
flow_frame_fail(struct flow_run *run, struct frame *frame, const char *code,
                const char *cause)
{
    flow_frame_stop(run, frame, true);
    flow_set_text(&frame->code, code);
    flow_set_text(&frame->cause, cause);
    if (frame->active == 0)
        frame_failed(run, frame);
}

void
flow_frame_drained(struct flow_run *run, struct frame *frame)
{
    struct act *owner = frame->owner;
    struct frame *outer;

    if (!frame->stopped || frame->active > 0)
        return;
    if (frame->code != NULL) {
        frame_failed(run, frame);
        return;
    }
    if (owner == NULL) {
        flow_undo_next(run);
        return;
    }
    flow_frame_close(run, frame);
    if (--owner->running > 0)
        return;
    if (owner->stopping) {
        outer = owner->frame;
        flow_act_free(run, owner);
        flow_frame_drained(run, outer);
    } else if (owner->code != NULL) {
        flow_act_fail(run, owner, owner->code, owner->cause);
    }
}

/* Nobody deals with it: the level fails, or the run is parked. */
static void
give_up(struct flow_run *run, struct act *act, const char *code,
        const char *cause)
{
    struct frame *frame = act->frame;
    struct node_run *failed;

    flow_note(run, "STEP_FAILED", act->node->path, act->id, act->attempt,
              "%s: %s", code, cause);
    if (frame->scope->net) {
        failed = flow_node_run(frame, act->node);
        failed->state = NODE_FAILED;
        flow_set_text(&failed->code, code);
        flow_set_text(&failed->cause, cause);
    }
    flow_act_forget(run, act);
    flow_act_free(run, act);
    flow_frame_fail(run, frame, code, cause);
}

static void
park_for(struct flow_run *run, struct act *act, const char *what,
         const char *code, const char *cause)
{
    char text[FLOW_CAUSE_MAX];

    (void)snprintf(text, sizeof text, "%s%s: %.800s", what, code, cause);
    flow_act_park(run, act, text);
}

static void
act_failed(struct flow_run *run, struct act *act, const char *code,
           const char *cause)
{
    if (act->phase == ACT_SPLIT && act->running > 0) {
        flow_set_text(&act->code, code);
        flow_set_text(&act->cause, cause);
        act->limit_ms = act->beat_ms = 0;
        flow_act_stop_frames(run, act);
        if (act->running > 0)
            return;
    }
    flow_set_text(&act->code, NULL);
    flow_set_text(&act->cause, NULL);
    if (retry(run, act, code, cause))
        return;
    if (act->frame == NULL)
        park_for(run, act, "its compensation failed: ", code, cause);
    else if (catch (run, act, code, cause))
        return;
    else if (run->def->park && act->node->kind != FLOW_FAIL_STEP)
        park_for(run, act, "", code, cause);
    else
        give_up(run, act, code, cause);
}

/* A copy of at most `max` bytes. On the heap: an error climbs through all
 * levels in one go, and callers run on small stacks. */
static char *
bounded(const char *text, size_t max)
{
    const size_t len = strnlen(text, max);
    char *copy = plex_calloc(1, len + 1);

    memcpy(copy, text, len);
    return flow_clean(copy);
}

void
flow_act_fail(struct flow_run *run, struct act *act, const char *code,
              const char *cause)
{
    /* They may be the act's own, or another's that goes. */
    char *own_code = bounded(code, FLOW_CODE_MAX);
    char *own_cause = bounded(cause, FLOW_CAUSE_MAX);

    act_failed(run, act, own_code, own_cause);
    free(own_code);
    free(own_cause);
}
