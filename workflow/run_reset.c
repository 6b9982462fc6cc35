/* Going back: a step and everything that followed from it is done again. */
#include "common/mem.h"
#include "workflow/run_private.h"

#include <stdlib.h>
#include <string.h>

/* Mark `from` and all that depends on it. */
static void
mark_after(const struct flow_run *run, const struct flow_scope *scope,
           const struct flow_node *from, bool *marked)
{
    uint32_t *list = plex_calloc(scope->n_nodes, sizeof *list);
    uint32_t count = 0, done = 0;

    if (!marked[from->index - scope->nodes[0]]) {
        marked[from->index - scope->nodes[0]] = true;
        list[count++] = from->index;
    }
    while (done < count) {
        from = run->def->nodes[list[done++]];
        for (uint32_t i = 0; i < from->n_outs; i++) {
            const uint32_t place = from->outs[i] - scope->nodes[0];

            if (!marked[place]) {
                marked[place] = true;
                list[count++] = from->outs[i];
            }
        }
    }
    free(list);
}

static void
node_forget(struct node_run *node)
{
    json_decref(node->output);
    free(node->code);
    free(node->cause);
    *node = (struct node_run){.state = NODE_PENDING, .picked = FLOW_NONE};
}

/* Stop what is under way for a step, without waiting for its outcome. */
static void
stop_step(struct flow_run *run, struct frame *frame,
          const struct flow_node *node)
{
    struct frame *inner, *next;
    struct act *act, *beside;

    for (act = TAILQ_FIRST(&frame->acts); act != NULL; act = beside) {
        beside = TAILQ_NEXT(act, beside);
        if (node != NULL && act->node != node)
            continue;
        for (inner = TAILQ_FIRST(&run->frames); inner; inner = next) {
            next = TAILQ_NEXT(inner, link);
            if (inner->owner != act)
                continue;
            flow_frame_stop(run, inner, false);
            next = TAILQ_NEXT(inner, link);
            flow_frame_close(run, inner);
        }
        flow_act_forget(run, act);
        flow_act_free(run, act);
    }
}

/* What was stopped or failed is to be done too, and what follows from that. */
static void
reset_net(struct flow_run *run, struct frame *frame,
          const struct flow_node *step)
{
    const struct flow_scope *scope = frame->scope;
    bool *marked = plex_calloc(scope->n_nodes, sizeof *marked);

    mark_after(run, scope, step, marked);
    for (uint32_t i = 0; i < scope->n_nodes; i++) {
        const enum node_state state = frame->nodes[i].state;

        if (state == NODE_STOPPED || state == NODE_FAILED ||
            (state == NODE_ACTIVE && frame->stopped))
            mark_after(run, scope, run->def->nodes[scope->nodes[i]], marked);
    }
    for (uint32_t i = 0; i < scope->n_nodes; i++) {
        if (!marked[i])
            continue;
        stop_step(run, frame, run->def->nodes[scope->nodes[i]]);
        node_forget(&frame->nodes[i]);
    }
    free(marked);
    frame->stopped = false;
    flow_net_start(run, frame);
}

static enum plex_status
reset_chain(struct flow_run *run, struct frame *frame,
            const struct flow_node *step, struct plex_err *err)
{
    json_t *entry = frame->entries[step->index - frame->scope->nodes[0]];

    if (entry == NULL)
        return plex_err_set(err, PLEX_CONFLICT,
                            "run '%s' has not come to state '%s' yet", run->id,
                            step->id);
    json_incref(entry);
    stop_step(run, frame, NULL);
    frame->stopped = false;
    flow_act_new(run, frame, step, entry);
    json_decref(entry);
    return PLEX_OK;
}

enum plex_status
flow_run_reset(struct flow_run *run, const char *step, struct plex_err *err)
{
    const struct flow_scope *scope = run->def->scopes[0];
    const uint32_t index =
        step != NULL ? flow_scope_find(run->def, scope, step) : FLOW_NONE;
    enum plex_status status = PLEX_OK;

    if (index == FLOW_NONE)
        return plex_err_set(err, PLEX_NOT_FOUND,
                            "workflow '%s' has no step '%.128s' at its "
                            "outermost level",
                            run->def->id, step != NULL ? step : "");
    if (run->root == NULL || run->undoing)
        return plex_err_set(
            err, PLEX_CONFLICT, "run '%s' cannot go back: %s", run->id,
            run->undoing ? "its steps were compensated" : "it did not start");
    if (scope->net) {
        const enum node_state state =
            flow_node_run(run->root, run->def->nodes[index])->state;

        if (state == NODE_PENDING || state == NODE_SKIPPED)
            return plex_err_set(
                err, PLEX_CONFLICT, "run '%s' %s step '%s'", run->id,
                state == NODE_PENDING ? "has not come to" : "has left out",
                step);
    }
    if (scope->net)
        reset_net(run, run->root, run->def->nodes[index]);
    else
        status = reset_chain(run, run->root, run->def->nodes[index], err);
    if (status != PLEX_OK)
        return status;
    run->status = FLOW_RUNNING;
    run->since_ms = run->now_ms;
    run->ending = 0;
    run->ended_ms = 0;
    json_decref(run->output);
    run->output = NULL;
    flow_set_text(&run->code, NULL);
    flow_set_text(&run->cause, NULL);
    flow_set_text(&run->reason, NULL);
    flow_set_text(&run->root->code, NULL);
    flow_set_text(&run->root->cause, NULL);
    if (run->def->timeout_ms > 0)
        run->limit_ms = flow_wake_at(run, run->now_ms + run->def->timeout_ms);
    flow_note(run, "RUN_RESET", run->def->nodes[index]->path, 0, 0, "%s", "");
    return PLEX_OK;
}

enum plex_status
flow_run_fork(const struct flow_run *run, const char *run_id, const char *step,
              const struct flow_now *now, struct flow_run **out,
              struct plex_err *err)
{
    const struct flow_event reset = {.kind = FLOW_EVENT_RESET, .name = step};
    struct plex_buf buf = {.max = FLOW_ENCODED_MAX};
    struct flow_run *copy = NULL;
    enum plex_status status;

    *out = NULL;
    status = flow_run_encode(run, &buf, err);
    if (status == PLEX_OK)
        status = flow_run_decode(
            run->def, (struct plex_bytes){buf.data, buf.len}, &copy, err);
    plex_buf_free(&buf);
    if (status != PLEX_OK)
        return status;
    flow_set_text(&copy->id, run_id);
    copy->history_seq = 0;
    copy->undoing = false;
    copy->armed_ms = 0;
    copy->entered = 0;
    while (copy->n_undos > 0)
        flow_undo_free(&copy->undos[--copy->n_undos]);
    if (copy->root != NULL) {
        struct act *act, *next;

        for (act = TAILQ_FIRST(&copy->acts); act != NULL; act = next) {
            next = TAILQ_NEXT(act, link);
            if (act->frame == NULL)
                flow_act_free(copy, act);
            else if (act->phase != ACT_SPLIT)
                flow_act_phase(copy, act, ACT_PARKED);
        }
        /* What the first run has under way is its own business: nothing is
         * cancelled, and this run starts it itself. */
        copy->root->stopped = true;
    }
    flow_note(copy, "RUN_FORKED", "", 0, 0, "%s", run->id);
    status = flow_run_event(copy, &reset, now, err);
    if (status != PLEX_OK) {
        flow_run_free(copy);
        return status;
    }
    *out = copy;
    return PLEX_OK;
}
