/* How a run ends: stopping what is under way, undoing what was done. */
#include "common/mem.h"
#include "workflow/run_private.h"
#include "workflow/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNDO_TIMEOUT_MS = 60000 };

void
flow_act_forget(struct flow_run *run, struct act *act)
{
    struct out *out;

    if (act->phase == ACT_CALLED && act->node->kind == FLOW_CHILD &&
        act->frame != NULL) {
        out = flow_emit(run, FLOW_CANCEL_CHILD, act);
        flow_say(out, SAY_KEY, act->key);
    } else if (act->phase == ACT_CALLED) {
        (void)flow_emit(run, FLOW_CALL_CANCEL, act);
    } else if (act->phase == ACT_ASKED) {
        (void)flow_emit(run, FLOW_CANCEL_ASK, act);
    }
}

void
flow_act_stop_frames(struct flow_run *run, struct act *act)
{
    struct frame *frame, *next;

    for (frame = TAILQ_FIRST(&run->frames); frame != NULL; frame = next) {
        next = TAILQ_NEXT(frame, link);
        if (frame->owner != act)
            continue;
        flow_frame_stop(run, frame, true);
        /* Stopping closes frames further in, perhaps the next one. */
        next = TAILQ_NEXT(frame, link);
        if (frame->active == 0) {
            flow_frame_close(run, frame);
            act->running--;
        }
    }
}

static void
stop_act(struct flow_run *run, struct act *act, bool drain)
{
    const struct flow_node *node = act->node;
    struct frame *frame = act->frame;

    if (act->phase == ACT_SPLIT) {
        if (drain) {
            flow_act_stop_frames(run, act);
        } else {
            struct frame *inner, *next;

            for (inner = TAILQ_FIRST(&run->frames); inner; inner = next) {
                next = TAILQ_NEXT(inner, link);
                if (inner->owner != act)
                    continue;
                flow_frame_stop(run, inner, false);
                next = TAILQ_NEXT(inner, link);
                flow_frame_close(run, inner);
                act->running--;
            }
        }
        flow_set_text(&act->code, NULL);
        act->limit_ms = act->beat_ms = 0;
        act->stopping = act->running > 0;
    } else {
        act->stopping = drain && act->phase == ACT_CALLED && node->compensated;
    }
    if (act->stopping)
        return;
    if (frame->scope->net)
        flow_node_run(frame, node)->state = NODE_STOPPED;
    flow_note(run, "STEP_CANCELLED", node->path, act->id, act->attempt, "%s",
              "");
    flow_act_forget(run, act);
    flow_act_free(run, act);
}

void
flow_frame_stop(struct flow_run *run, struct frame *frame, bool drain)
{
    struct act *act, *next;

    frame->stopped = true;
    /* Whoever stops it decides what comes after. */
    flow_set_text(&frame->code, NULL);
    flow_set_text(&frame->cause, NULL);
    for (act = TAILQ_FIRST(&frame->acts); act != NULL; act = next) {
        next = TAILQ_NEXT(act, beside);
        stop_act(run, act, drain);
    }
}

/* -- compensation
 * -------------------------------------------------------------------- */

void
flow_undo_free(struct undo *undo)
{
    free(undo->type);
    free(undo->key);
    free(undo->method);
    free(undo->error);
    json_decref(undo->input);
}

static char *
undo_text(struct flow_run *run, struct act *act, json_t *result,
          const struct flow_expr *x, const char *otherwise, char **error)
{
    struct flow_fault fault;
    json_t *value;
    char *text = NULL;

    if (x == NULL)
        return plex_strdup(otherwise);
    value = flow_eval_in(run, act->frame, act, act->input, result, x, &fault);
    if (json_is_string(value) && json_string_length(value) <= FLOW_TARGET_MAX)
        text = plex_strdup(json_string_value(value));
    else if (json_is_integer(value))
        text = flow_value_text(value);
    else if (*error == NULL)
        *error = plex_strdup(value == NULL ? fault.text
                                           : "type, key and method should be "
                                             "short texts");
    json_decref(value);
    return text;
}

/* The mappings see what the run knows now: later it may be gone. */
void
flow_undo_push(struct flow_run *run, struct act *act, json_t *result)
{
    const struct flow_target *target = &act->node->undo;
    struct undo undo = {.node = act->node};
    struct flow_fault fault;

    undo.type = undo_text(run, act, result, target->type, "", &undo.error);
    undo.key = undo_text(run, act, result, target->key, run->id, &undo.error);
    undo.method =
        undo_text(run, act, result, target->method, "run", &undo.error);
    if (target->input != NULL)
        undo.input = flow_eval_in(run, act->frame, act, act->input, result,
                                  target->input, &fault);
    else
        undo.input = json_incref(result);
    if (undo.input == NULL && undo.error == NULL)
        undo.error = plex_strdup(fault.text);
    if (undo.input != NULL)
        run->estimate += flow_value_size(undo.input, FLOW_VALUE_MAX);
    if (run->n_undos == run->cap_undos) {
        run->cap_undos = run->cap_undos ? 2 * run->cap_undos : 8;
        run->undos =
            plex_reallocarray(run->undos, run->cap_undos, sizeof *run->undos);
    }
    run->undos[run->n_undos++] = undo;
}

void
flow_undo_next(struct flow_run *run)
{
    struct undo undo;
    struct act *act;

    if (run->bug == FLOW_BUG_SKIP_COMPENSATION) {
        while (run->n_undos > 0)
            flow_undo_free(&run->undos[--run->n_undos]);
    }
    if (run->n_undos == 0) {
        flow_run_finish(run, run->ending);
        return;
    }
    run->undoing = true;
    undo = run->undos[--run->n_undos];
    act = flow_act_new(run, NULL, undo.node, NULL);
    act->type = undo.type;
    act->key = undo.key;
    act->method = undo.method;
    act->input = undo.input;
    if (undo.error != NULL) {
        char reason[512];

        (void)snprintf(reason, sizeof reason,
                       "its compensation cannot be made: %.400s", undo.error);
        flow_act_park(run, act, reason);
        free(undo.error);
    }
}

void
flow_undo_begin(struct flow_run *run, struct act *act)
{
    const int64_t timeout =
        act->node->timeout_ms > 0 ? act->node->timeout_ms : UNDO_TIMEOUT_MS;
    char text[512];
    struct out *out;

    if (act->type == NULL || act->key == NULL || act->method == NULL ||
        act->input == NULL) {
        /* Somebody resumed the run although this could not be made. */
        flow_note(run, "STEP_NOT_COMPENSATED", act->node->path, act->id,
                  act->attempt, "%s", "skipped by hand");
        flow_act_free(run, act);
        flow_undo_next(run);
        return;
    }
    if (act->attempt == 1)
        flow_note(run, "STEP_COMPENSATING", act->node->path, act->id, 1, "%s",
                  "");
    out = flow_emit(run, FLOW_CALL, act);
    flow_say(out, SAY_TYPE, act->type);
    flow_say(out, SAY_KEY, act->key);
    flow_say(out, SAY_METHOD, act->method);
    out->command.value = json_incref(act->input);
    out->command.timeout_ms = timeout;
    (void)snprintf(text, sizeof text, "a compensation by %.128s/%.255s",
                   act->type, act->key);
    flow_set_text(&act->what, text);
    flow_act_phase(run, act, ACT_CALLED);
    act->limit_ms = flow_wake_at(run, run->now_ms + timeout);
}

/* -- the end
 * ---------------------------------------------------------------------------
 */

static void
acts_stop(struct flow_run *run)
{
    struct act *act;

    while ((act = TAILQ_FIRST(&run->acts)) != NULL) {
        if (act->frame != NULL && act->frame->scope->net)
            flow_node_run(act->frame, act->node)->state = NODE_STOPPED;
        flow_act_forget(run, act);
        flow_act_free(run, act);
    }
}

static void
undos_drop(struct flow_run *run)
{
    while (run->n_undos > 0)
        flow_undo_free(&run->undos[--run->n_undos]);
}

/* What names a step's execution counts on, so nothing of the round before is
 * taken for this one's; signals that no step has asked for stay, and vars. */
void
flow_run_anew(struct flow_run *run, json_t *input)
{
    struct frame *frame;

    acts_stop(run);
    undos_drop(run);
    while ((frame = TAILQ_LAST(&run->frames, frame_list)) != NULL)
        flow_frame_close(run, frame);
    json_decref(run->input);
    run->input = input;
    run->entered = 0;
    run->since_ms = run->now_ms;
    run->limit_ms = run->def->timeout_ms > 0
                        ? flow_wake_at(run, run->now_ms + run->def->timeout_ms)
                        : 0;
    flow_note(run, "RUN_CONTINUED", "", 0, 0, "%s", "");
    flow_emit(run, FLOW_CONTINUED, NULL)->command.value = json_incref(input);
    run->estimate = flow_run_size(run);
    flow_frame_open(run, 0, NULL, 0, run->input, NULL);
}

void
flow_run_finish(struct flow_run *run, enum flow_status status)
{
    struct frame *frame;
    struct out *out;
    char what[32];

    acts_stop(run);
    while ((frame = TAILQ_LAST(&run->frames, frame_list)) != run->root &&
           frame != NULL)
        flow_frame_close(run, frame);
    run->status = status;
    run->since_ms = run->ended_ms = run->now_ms;
    (void)snprintf(what, sizeof what, "RUN_%s", flow_status_name(status));
    flow_note(run, what, "", 0, 0, "%s%s%s", run->code ? run->code : "",
              run->cause ? ": " : "", run->cause ? run->cause : "");
    out = flow_emit(run, status == FLOW_COMPLETED ? FLOW_COMPLETE : FLOW_FAIL,
                    NULL);
    out->command.status = status;
    if (status == FLOW_COMPLETED) {
        out->command.value = json_incref(run->output);
    } else {
        flow_say(out, SAY_CODE, run->code);
        flow_say(out, SAY_CAUSE, run->cause);
    }
}

void
flow_run_complete(struct flow_run *run, json_t *output)
{
    json_decref(run->output);
    run->output = output;
    undos_drop(run);
    flow_run_finish(run, FLOW_COMPLETED);
}

void
flow_run_end(struct flow_run *run, enum flow_status ending, const char *code,
             const char *cause)
{
    if (run->ending != 0 || flow_status_final(run->status))
        return;
    run->ending = ending;
    flow_set_text(&run->code, code);
    flow_set_text(&run->cause, cause);
    flow_set_text(&run->reason, NULL);
    run->status = FLOW_RUNNING;
    run->since_ms = run->now_ms;
    flow_note(run, "RUN_ENDING", "", 0, 0, "%s: %s", code, cause);
    if (run->root != NULL)
        flow_frame_stop(run, run->root, true);
    if (run->root == NULL || run->root->active == 0)
        flow_undo_next(run);
}
