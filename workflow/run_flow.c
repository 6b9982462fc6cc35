/* What follows what. */
#include "common/mem.h"
#include "workflow/run_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* -- acts
 * ---------------------------------------------------------------------- */

struct act *
flow_act_blank(struct flow_run *run, const struct flow_node *node)
{
    struct act *act = plex_calloc(1, sizeof *act);

    act->node = node;
    act->attempt = 1;
    act->tries = plex_calloc(node->n_retriers + 1, sizeof *act->tries);
    TAILQ_INSERT_TAIL(&run->acts, act, link);
    run->n_acts++;
    return act;
}

/* Phase is READY: it is in the queue from the start. */
struct act *
flow_act_new(struct flow_run *run, struct frame *frame,
             const struct flow_node *node, json_t *data)
{
    struct act *act = flow_act_blank(run, node);

    act->id = ++run->next_act;
    flow_act_index(run, act);
    flow_act_join(act, frame);
    act->data = json_incref(data);
    act->started_ms = act->since_ms = run->now_ms;
    act->phase = ACT_READY;
    TAILQ_INSERT_TAIL(&run->ready, act, ready);
    if (frame == NULL)
        return act;
    if (frame->scope->net) {
        flow_node_run(frame, node)->state = NODE_ACTIVE;
    } else if (frame->entries != NULL) {
        json_t **entry = &frame->entries[node->index - frame->scope->nodes[0]];

        json_decref(*entry);
        *entry = json_incref(data);
    }
    return act;
}

void
flow_act_free(struct flow_run *run, struct act *act)
{
    if (act->phase == ACT_READY)
        TAILQ_REMOVE(&run->ready, act, ready);
    TAILQ_REMOVE(&run->acts, act, link);
    HASH_DELETE(hh, run->by_id, act);
    run->n_acts--;
    if (act->frame != NULL) {
        TAILQ_REMOVE(&act->frame->acts, act, beside);
        act->frame->active--;
    }
    json_decref(act->data);
    json_decref(act->input);
    json_decref(act->items);
    json_decref(act->results);
    free(act->tries);
    free(act->what);
    free(act->code);
    free(act->cause);
    free(act->type);
    free(act->key);
    free(act->method);
    free(act);
}

struct act *
flow_act_find(const struct flow_run *run, uint64_t id)
{
    struct act *act;

    HASH_FIND(hh, run->by_id, &id, sizeof id, act);
    return act;
}

void
flow_act_join(struct act *act, struct frame *frame)
{
    act->frame = frame;
    if (frame == NULL)
        return;
    frame->active++;
    TAILQ_INSERT_TAIL(&frame->acts, act, beside);
}

void
flow_act_index(struct flow_run *run, struct act *act)
{
    HASH_ADD(hh, run->by_id, id, sizeof act->id, act);
}

void
flow_act_phase(struct flow_run *run, struct act *act, enum phase phase)
{
    if (act->phase == ACT_READY)
        TAILQ_REMOVE(&run->ready, act, ready);
    act->phase = phase;
    act->since_ms = run->now_ms;
    act->due_ms = 0;
    if (phase == ACT_READY)
        TAILQ_INSERT_TAIL(&run->ready, act, ready);
    if (phase == ACT_READY || phase == ACT_BACKOFF || phase == ACT_PARKED)
        act->limit_ms = act->beat_ms = 0;
}

/* -- frames
 * ---------------------------------------------------------------------- */

struct frame *
flow_frame_blank(struct flow_run *run, const struct flow_scope *scope)
{
    struct frame *frame = plex_calloc(1, sizeof *frame);

    frame->scope = scope;
    TAILQ_INIT(&frame->acts);
    if (scope->net) {
        frame->nodes = plex_calloc(scope->n_nodes, sizeof *frame->nodes);
        for (uint32_t i = 0; i < scope->n_nodes; i++)
            frame->nodes[i].picked = FLOW_NONE;
    } else if (scope->owner == FLOW_NONE) {
        frame->entries = plex_calloc(scope->n_nodes, sizeof(json_t *));
    }
    TAILQ_INSERT_TAIL(&run->frames, frame, link);
    return frame;
}

struct node_run *
flow_node_run(const struct frame *frame, const struct flow_node *node)
{
    return &frame->nodes[node->index - frame->scope->nodes[0]];
}

void
flow_frame_close(struct flow_run *run, struct frame *frame)
{
    for (uint32_t i = 0; i < frame->scope->n_nodes; i++) {
        if (frame->nodes != NULL) {
            json_decref(frame->nodes[i].output);
            free(frame->nodes[i].code);
            free(frame->nodes[i].cause);
        }
        if (frame->entries != NULL)
            json_decref(frame->entries[i]);
    }
    TAILQ_REMOVE(&run->frames, frame, link);
    free(frame->nodes);
    free(frame->entries);
    json_decref(frame->item);
    free(frame->code);
    free(frame->cause);
    if (run->root == frame)
        run->root = NULL;
    free(frame);
}

struct frame *
flow_frame_open(struct flow_run *run, uint32_t scope, struct act *owner,
                uint32_t slot, json_t *data, json_t *item)
{
    const struct flow_scope *s = run->def->scopes[scope];
    struct frame *frame = flow_frame_blank(run, s);

    frame->id = ++run->next_frame;
    frame->owner = owner;
    frame->slot = slot;
    frame->item = json_incref(item);
    if (owner == NULL)
        run->root = frame;
    if (s->net)
        flow_net_start(run, frame);
    else
        flow_act_new(run, frame, run->def->nodes[s->start], data);
    return frame;
}

/* -- nets
 * ------------------------------------------------------------------------ */

/* Can `node` be decided, and is any way to it live? */
static bool
decided(const struct flow_run *run, const struct frame *frame,
        const struct flow_node *node, bool *live)
{
    *live = node->n_deps == 0;
    for (uint32_t i = 0; i < node->n_deps; i++) {
        const struct flow_edge *edge = &node->deps[i];
        const struct node_run *from =
            flow_node_run(frame, run->def->nodes[edge->from]);

        if (from->state != NODE_DONE && from->state != NODE_CAUGHT &&
            from->state != NODE_SKIPPED)
            return false;
        if ((from->state == NODE_DONE && edge->on_done) ||
            (from->state != NODE_SKIPPED && from->picked == node->index))
            *live = true;
    }
    return true;
}

/* Start what can run; skip what nothing leads to, and what that leads to.
 * With a list, not by recursion: a thousand steps may be skipped at once. */
static void
net_advance(struct flow_run *run, struct frame *frame,
            const struct flow_node *from)
{
    uint32_t *skipped = NULL, count = 0, done = 0;
    bool live;

    for (;;) {
        for (uint32_t i = 0; i < from->n_outs; i++) {
            const struct flow_node *node = run->def->nodes[from->outs[i]];

            if (flow_node_run(frame, node)->state != NODE_PENDING ||
                !decided(run, frame, node, &live))
                continue;
            if (live) {
                flow_act_new(run, frame, node, NULL);
                continue;
            }
            flow_node_run(frame, node)->state = NODE_SKIPPED;
            flow_note(run, "STEP_SKIPPED", node->path, 0, 0, "%s", "");
            if (skipped == NULL)
                skipped = plex_calloc(frame->scope->n_nodes, sizeof *skipped);
            skipped[count++] = node->index;
        }
        if (done == count)
            break;
        from = run->def->nodes[skipped[done++]];
    }
    free(skipped);
}

/* Everything pending that can run: at the start, and after a reset. */
void
flow_net_start(struct flow_run *run, struct frame *frame)
{
    bool live;

    for (uint32_t i = 0; i < frame->scope->n_nodes; i++) {
        const struct flow_node *node = run->def->nodes[frame->scope->nodes[i]];

        if (frame->nodes[i].state == NODE_PENDING &&
            decided(run, frame, node, &live) && live)
            flow_act_new(run, frame, node, NULL);
    }
}

void
flow_net_catch_up(struct flow_run *run, struct frame *frame)
{
    bool changed = true, live;

    while (changed) {
        changed = false;
        for (uint32_t i = 0; i < frame->scope->n_nodes; i++) {
            const struct flow_node *node =
                run->def->nodes[frame->scope->nodes[i]];

            if (frame->nodes[i].state != NODE_PENDING ||
                !decided(run, frame, node, &live))
                continue;
            changed = true;
            if (live)
                flow_act_new(run, frame, node, NULL);
            else
                frame->nodes[i].state = NODE_SKIPPED;
        }
    }
}

/* Was nothing done after it? */
static bool
is_last(const struct flow_run *run, const struct frame *frame,
        const struct flow_node *node)
{
    for (uint32_t i = 0; i < node->n_outs; i++) {
        if (flow_node_run(frame, run->def->nodes[node->outs[i]])->state !=
            NODE_SKIPPED)
            return false;
    }
    return true;
}

/* Of the steps that were done last: the one's output, or all by id. */
static json_t *
sink_outputs(struct flow_run *run, struct frame *frame)
{
    json_t *all = json_object(), *only = NULL;

    for (uint32_t i = 0; i < frame->scope->n_nodes; i++) {
        const struct flow_node *node = run->def->nodes[frame->scope->nodes[i]];

        if (frame->nodes[i].state == NODE_DONE && is_last(run, frame, node))
            json_object_set(all, node->id, only = frame->nodes[i].output);
    }
    if (json_object_size(all) == 1) {
        json_incref(only);
        json_decref(all);
        return only;
    }
    return all;
}

/* -- the end of a frame
 * ------------------------------------------------------------ */

static void
frame_done(struct flow_run *run, struct frame *frame, json_t *output)
{
    struct act *owner = frame->owner;
    const uint32_t slot = frame->slot;

    if (owner == NULL) {
        flow_run_complete(run, output);
        return;
    }
    flow_frame_close(run, frame);
    flow_slot_done(run, owner, slot, output);
}

static void
net_done(struct flow_run *run, struct frame *frame)
{
    struct flow_fault fault;
    json_t *output;

    if (frame->scope->output == NULL) {
        frame_done(run, frame, sink_outputs(run, frame));
        return;
    }
    output = flow_eval_in(run, frame, NULL, NULL, NULL, frame->scope->output,
                          &fault);
    if (output != NULL)
        frame_done(run, frame, output);
    else
        flow_frame_fail(run, frame, flow_error_code(run, ERROR_EXPRESSION),
                        fault.text);
}

void
flow_act_settle(struct flow_run *run, struct act *act, json_t *output,
                enum node_state state, uint32_t picked)
{
    const struct flow_node *node = act->node;
    struct frame *frame = act->frame;
    const bool last = node->kind == FLOW_SUCCEED && state == NODE_DONE;
    const uint32_t next = picked != FLOW_NONE ? picked : node->next;
    struct node_run *settled;

    if (!frame->scope->net) {
        flow_act_free(run, act);
        if (last || next == FLOW_NONE) {
            frame_done(run, frame, output);
            return;
        }
        flow_act_new(run, frame, run->def->nodes[next], output);
        json_decref(output);
        return;
    }
    settled = flow_node_run(frame, node);
    settled->state = state;
    settled->picked = picked;
    json_decref(settled->output);
    settled->output = output;
    flow_act_free(run, act);
    if (node->kind == FLOW_CONTINUE_STEP && state == NODE_DONE) {
        flow_run_anew(run, json_incref(output));
        return;
    }
    if (last) {
        json_incref(output);
        flow_frame_stop(run, frame, false);
        frame_done(run, frame, output);
        return;
    }
    net_advance(run, frame, node);
    if (frame->active == 0)
        net_done(run, frame);
}
