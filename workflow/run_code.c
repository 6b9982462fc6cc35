/* The state as bytes. Everything here is on disk: a change is a new form. */
#include "common/mem.h"
#include "workflow/run_private.h"
#include "workflow/value.h"

#include <stdlib.h>
#include <string.h>

enum { FORM = 1, TEXT_MAX = 2048 };

/* -- writing
 * ----------------------------------------------------------------------- */

static void
put_node(struct flow_writer *w, const struct flow_node *node)
{
    flow_put_u(w, node->index);
}

static void
put_frame(struct flow_writer *w, const struct frame *frame)
{
    flow_put_u(w, frame->id);
    flow_put_u(w, frame->owner != NULL ? frame->owner->id : 0);
    flow_put_u(w, frame->slot);
    flow_put_value(w, frame->item);
    flow_put_u(w, frame->stopped);
    flow_put_text(w, frame->code);
    flow_put_text(w, frame->cause);
    for (uint32_t i = 0; i < frame->scope->n_nodes; i++) {
        if (frame->nodes != NULL) {
            const struct node_run *node = &frame->nodes[i];

            flow_put_u(w, node->state);
            if (node->state <= NODE_ACTIVE)
                continue;
            flow_put_u(w, (uint64_t)node->picked + 1);
            flow_put_value(w, node->output);
            flow_put_text(w, node->code);
            flow_put_text(w, node->cause);
        }
        if (frame->entries != NULL)
            flow_put_value(w, frame->entries[i]);
    }
}

static void
put_results(struct flow_writer *w, const struct act *act)
{
    flow_put_u(w, act->results != NULL);
    if (act->results == NULL)
        return;
    flow_put_u(w, act->total);
    flow_put_u(w, act->launched);
    flow_put_u(w, act->finished);
    flow_put_u(w, act->running);
    flow_put_u(w, act->failed);
    flow_put_u(w, act->width);
    for (uint32_t i = 0; i < act->total; i++)
        flow_put_value(w, json_array_get(act->results, i));
}

static void
put_act(struct flow_writer *w, const struct act *act)
{
    flow_put_u(w, act->id);
    put_node(w, act->node);
    flow_put_u(w, act->frame != NULL ? act->frame->id : 0);
    flow_put_u(w, act->phase);
    flow_put_u(w, act->attempt);
    for (uint32_t i = 0; i <= act->node->n_retriers; i++)
        flow_put_u(w, act->tries[i]);
    flow_put_value(w, act->data);
    flow_put_value(w, act->input);
    flow_put_value(w, act->items);
    put_results(w, act);
    flow_put_i(w, act->started_ms);
    flow_put_i(w, act->since_ms);
    flow_put_i(w, act->due_ms);
    flow_put_i(w, act->limit_ms);
    flow_put_i(w, act->beat_ms);
    flow_put_i(w, act->beat_every_ms);
    flow_put_text(w, act->what);
    flow_put_u(w, act->stopping);
    flow_put_text(w, act->code);
    flow_put_text(w, act->cause);
    flow_put_text(w, act->type);
    flow_put_text(w, act->key);
    flow_put_text(w, act->method);
}

static void
put_head(struct flow_writer *w, const struct flow_run *run)
{
    flow_put_u(w, FORM);
    flow_put_u(w, run->def->digest);
    flow_put_text(w, run->id);
    flow_put_u(w, run->status);
    flow_put_u(w, run->ending);
    flow_put_u(w, run->undoing);
    flow_put_value(w, run->input);
    flow_put_value(w, run->vars);
    flow_put_value(w, run->output);
    flow_put_text(w, run->code);
    flow_put_text(w, run->cause);
    flow_put_text(w, run->reason);
    flow_put_i(w, run->started_ms);
    flow_put_i(w, run->since_ms);
    flow_put_i(w, run->limit_ms);
    flow_put_i(w, run->now_ms);
    flow_put_i(w, run->ended_ms);
    flow_put_i(w, run->armed_ms);
    flow_put_u(w, run->next_act);
    flow_put_u(w, run->next_frame);
    flow_put_u(w, run->history_seq);
    flow_put_u(w, run->entered);
    flow_put_u(w, run->undone);
    flow_put_u(w, run->estimate);
}

static void
put_run(struct flow_writer *w, const struct flow_run *run)
{
    const struct kept_signal *kept;
    const struct frame *frame;
    const struct act *act;
    uint64_t frames = 0, ready = 0;

    put_head(w, run);
    TAILQ_FOREACH(frame, &run->frames, link)
    frames++;
    flow_put_u(w, frames);
    /* Scopes first: the reader can then make all frames, and acts in them. */
    TAILQ_FOREACH(frame, &run->frames, link)
    flow_put_u(w, frame->scope->nodes[0]);
    TAILQ_FOREACH(frame, &run->frames, link)
    put_frame(w, frame);
    flow_put_u(w, run->n_acts);
    TAILQ_FOREACH(act, &run->acts, link)
    put_act(w, act);
    TAILQ_FOREACH(act, &run->ready, ready)
    ready++;
    flow_put_u(w, ready);
    TAILQ_FOREACH(act, &run->ready, ready)
    flow_put_u(w, act->id);
    flow_put_u(w, run->n_undos);
    for (uint32_t i = 0; i < run->n_undos; i++) {
        put_node(w, run->undos[i].node);
        flow_put_text(w, run->undos[i].type);
        flow_put_text(w, run->undos[i].key);
        flow_put_text(w, run->undos[i].method);
        flow_put_value(w, run->undos[i].input);
        flow_put_text(w, run->undos[i].error);
    }
    flow_put_u(w, run->n_signals);
    TAILQ_FOREACH(kept, &run->signals, link)
    {
        flow_put_text(w, kept->name);
        flow_put_value(w, kept->value);
    }
}

enum plex_status
flow_run_encode(const struct flow_run *run, struct plex_buf *buf,
                struct plex_err *err)
{
    const size_t before = buf->len;
    struct flow_writer w = {.buf = buf};

    put_run(&w, run);
    flow_writer_fini(&w);
    if (!w.full)
        return PLEX_OK;
    buf->len = before;
    return plex_err_set(err, PLEX_TOO_LARGE,
                        "the state of run '%s' does not fit in %zu bytes",
                        run->id, buf->max - before);
}

size_t
flow_run_size(const struct flow_run *run)
{
    struct plex_buf buf = {.max = FLOW_ENCODED_MAX};
    struct flow_writer w = {.buf = &buf};
    size_t size;

    put_run(&w, run);
    flow_writer_fini(&w);
    size = w.full ? FLOW_ENCODED_MAX : buf.len;
    plex_buf_free(&buf);
    return size;
}

/* -- reading
 * ----------------------------------------------------------------------- */

static const struct flow_node *
get_node(struct flow_reader *r, const struct flow_run *run)
{
    const uint64_t index = flow_get_max(r, run->def->n_nodes - 1);

    return run->def->nodes[index];
}

static void
get_frame(struct flow_reader *r, struct flow_run *run, struct frame *frame,
          uint64_t *owner)
{
    frame->id = (uint32_t)flow_get_max(r, run->next_frame);
    *owner = flow_get_u(r);
    frame->slot = (uint32_t)flow_get_max(r, UINT32_MAX);
    frame->item = flow_get_value(r);
    frame->stopped = flow_get_max(r, 1);
    frame->code = flow_get_text(r, TEXT_MAX);
    frame->cause = flow_get_text(r, TEXT_MAX);
    for (uint32_t i = 0; i < frame->scope->n_nodes && !r->bad; i++) {
        if (frame->nodes != NULL) {
            struct node_run *node = &frame->nodes[i];

            node->state = (enum node_state)flow_get_max(r, NODE_STOPPED);
            if (node->state <= NODE_ACTIVE)
                continue;
            node->picked =
                (uint32_t)(flow_get_max(r, (uint64_t)FLOW_NONE + 1) - 1);
            if (node->picked != FLOW_NONE && node->picked >= run->def->n_nodes)
                r->bad = true;
            node->output = flow_get_value(r);
            node->code = flow_get_text(r, TEXT_MAX);
            node->cause = flow_get_text(r, TEXT_MAX);
        }
        if (frame->entries != NULL)
            frame->entries[i] = flow_get_value(r);
    }
}

static void
get_results(struct flow_reader *r, struct act *act)
{
    if (flow_get_max(r, 1) == 0)
        return;
    /* Each result takes a byte at least. */
    act->total = (uint32_t)flow_get_max(r, (uint64_t)(r->end - r->at));
    act->launched = (uint32_t)flow_get_max(r, act->total);
    act->finished = (uint32_t)flow_get_max(r, act->total);
    act->running = (uint32_t)flow_get_max(r, act->total);
    act->failed = (uint32_t)flow_get_max(r, act->total);
    act->width = (uint32_t)flow_get_max(r, UINT32_MAX);
    act->results = json_array();
    for (uint32_t i = 0; i < act->total && !r->bad; i++) {
        json_t *item = flow_get_value(r);

        if (item == NULL)
            r->bad = true;
        else
            json_array_append_new(act->results, item);
    }
}

static struct frame *
frame_by_id(const struct flow_run *run, uint64_t id)
{
    struct frame *frame;

    TAILQ_FOREACH(frame, &run->frames, link)
    {
        if (frame->id == id)
            return frame;
    }
    return NULL;
}

/* Frames come in the order of their ids, and so do acts mostly: look on from
 * where the last one was. */
static struct frame *
frame_near(const struct flow_run *run, struct frame *last, uint64_t id)
{
    struct frame *frame = last;

    for (int i = 0; frame != NULL && i < 4; i++) {
        if (frame->id == id)
            return frame;
        frame = TAILQ_NEXT(frame, link);
    }
    return frame_by_id(run, id);
}

static void
get_act(struct flow_reader *r, struct flow_run *run, struct frame **last)
{
    const uint64_t id = flow_get_u(r);
    const struct flow_node *node = get_node(r, run);
    const uint64_t frame_id = flow_get_u(r);
    struct act *act;

    if (r->bad || id == 0 || id > run->next_act ||
        flow_act_find(run, id) != NULL) {
        r->bad = true;
        return;
    }
    act = flow_act_blank(run, node);
    act->id = id;
    flow_act_index(run, act);
    if (frame_id != 0) {
        *last = frame_near(run, *last, frame_id);
        if (*last == NULL || run->def->scopes[node->scope] != (*last)->scope)
            r->bad = true;
        else
            flow_act_join(act, *last);
    }
    act->phase = ACT_CALLED; /* it is not in the queue yet */
    if (!r->bad) {
        const enum phase phase = (enum phase)flow_get_max(r, ACT_PARKED);

        act->attempt = (uint32_t)flow_get_max(r, UINT32_MAX);
        for (uint32_t i = 0; i <= node->n_retriers; i++)
            act->tries[i] = (uint32_t)flow_get_max(r, UINT32_MAX);
        act->data = flow_get_value(r);
        act->input = flow_get_value(r);
        act->items = flow_get_value(r);
        get_results(r, act);
        act->started_ms = flow_get_i(r);
        act->since_ms = flow_get_i(r);
        act->due_ms = flow_get_i(r);
        act->limit_ms = flow_get_i(r);
        act->beat_ms = flow_get_i(r);
        act->beat_every_ms = flow_get_i(r);
        act->what = flow_get_text(r, TEXT_MAX);
        act->stopping = flow_get_max(r, 1);
        act->code = flow_get_text(r, TEXT_MAX);
        act->cause = flow_get_text(r, TEXT_MAX);
        act->type = flow_get_text(r, TEXT_MAX);
        act->key = flow_get_text(r, TEXT_MAX);
        act->method = flow_get_text(r, TEXT_MAX);
        if (phase != ACT_READY)
            act->phase = phase;
        /* READY ones stay CALLED until the queue names them. */
        else
            act->due_ms = INT64_MIN;
    }
}

/* What the engine takes for granted about an act. */
static bool
act_sound(const struct flow_run *run, const struct act *act)
{
    const bool chain = run->def->language == FLOW_ASL;

    if (act->attempt == 0 || act->due_ms < 0 || act->limit_ms < 0 ||
        act->beat_ms < 0 || act->due_ms == INT64_MIN)
        return false;
    if (act->due_ms != 0 && act->phase != ACT_WAITING &&
        act->phase != ACT_BACKOFF)
        return false;
    if (act->frame == NULL)
        return act->node->compensated && !act->stopping &&
               (act->phase == ACT_READY || act->phase == ACT_CALLED ||
                act->phase == ACT_BACKOFF || act->phase == ACT_PARKED);
    if (chain && act->data == NULL)
        return false;
    if (!chain && flow_node_run(act->frame, act->node)->state != NODE_ACTIVE)
        return false;
    if (act->phase != ACT_READY && act->phase != ACT_PARKED &&
        act->phase != ACT_BACKOFF && act->input == NULL)
        return false;
    if (act->phase == ACT_SIGNAL && act->what == NULL)
        return false;
    if (act->phase == ACT_WAITING && act->node->kind != FLOW_WAIT)
        return false;
    if (act->phase == ACT_CALLED && act->node->kind == FLOW_CHILD &&
        act->key == NULL)
        return false;
    if (act->code != NULL && act->cause == NULL)
        return false;
    if (act->phase == ACT_SPLIT)
        return act->results != NULL &&
               (act->node->kind == FLOW_PARALLEL ||
                (act->node->kind == FLOW_MAP &&
                 json_array_size(act->items) == act->total)) &&
               (act->node->kind != FLOW_PARALLEL ||
                act->total == act->node->n_branches);
    return !act->stopping || act->phase == ACT_CALLED;
}

static bool
frames_sound(struct flow_run *run)
{
    struct frame *frame;
    struct act *act;
    uint32_t last = 0;

    TAILQ_FOREACH(act, &run->acts, link)
    {
        if (!act_sound(run, act))
            return false;
        if (act->phase == ACT_SPLIT)
            act->due_ms = (int64_t)act->running; /* counted down below */
    }
    TAILQ_FOREACH(frame, &run->frames, link)
    {
        const struct flow_scope *scope = frame->scope;

        if (frame->id <= last || (frame->owner == NULL) != (last == 0) ||
            (frame->code != NULL && frame->cause == NULL))
            return false;
        last = frame->id;
        if (frame->owner == NULL) {
            if (scope->owner != FLOW_NONE)
                return false;
            continue;
        }
        if (frame->owner->phase != ACT_SPLIT || frame->owner->due_ms-- <= 0 ||
            scope->owner != frame->owner->node->index ||
            frame->slot >= frame->owner->total ||
            frame->owner->frame->id >= frame->id ||
            (frame->item == NULL) != (frame->owner->node->kind != FLOW_MAP))
            return false;
        if (frame->active == 0)
            return false;
    }
    TAILQ_FOREACH(act, &run->acts, link)
    {
        if (act->phase == ACT_SPLIT && act->due_ms != 0)
            return false;
    }
    return true;
}

static void
get_frames(struct flow_reader *r, struct flow_run *run, uint64_t **owners)
{
    const uint64_t count = flow_get_max(r, (uint64_t)(r->end - r->at));
    struct frame *frame;
    uint64_t i = 0;

    *owners = plex_calloc((size_t)count + 1, sizeof **owners);
    for (; i < count && !r->bad; i++) {
        const struct flow_node *first = get_node(r, run);

        if (run->def->scopes[first->scope]->nodes[0] != first->index)
            r->bad = true;
        else
            (void)flow_frame_blank(run, run->def->scopes[first->scope]);
    }
    i = 0;
    TAILQ_FOREACH(frame, &run->frames, link)
    {
        if (!r->bad)
            get_frame(r, run, frame, &(*owners)[i++]);
    }
    run->root = TAILQ_FIRST(&run->frames);
}

static void
get_ready(struct flow_reader *r, struct flow_run *run)
{
    uint64_t count = flow_get_max(r, run->n_acts);

    for (; count > 0 && !r->bad; count--) {
        struct act *act = flow_act_find(run, flow_get_u(r));

        if (act == NULL || act->due_ms != INT64_MIN) {
            r->bad = true;
            return;
        }
        act->due_ms = 0;
        act->phase = ACT_READY;
        TAILQ_INSERT_TAIL(&run->ready, act, ready);
    }
}

static void
get_undos(struct flow_reader *r, struct flow_run *run)
{
    const uint64_t count = flow_get_max(r, (uint64_t)(r->end - r->at));

    run->cap_undos = (uint32_t)count;
    run->undos = plex_calloc((size_t)count + 1, sizeof *run->undos);
    while (run->n_undos < count && !r->bad) {
        struct undo *undo = &run->undos[run->n_undos++];

        undo->node = get_node(r, run);
        undo->type = flow_get_text(r, TEXT_MAX);
        undo->key = flow_get_text(r, TEXT_MAX);
        undo->method = flow_get_text(r, TEXT_MAX);
        undo->input = flow_get_value(r);
        undo->error = flow_get_text(r, TEXT_MAX);
        if (!undo->node->compensated)
            r->bad = true;
    }
}

static void
get_signals(struct flow_reader *r, struct flow_run *run)
{
    const uint64_t count = flow_get_max(r, FLOW_SIGNALS_MAX);

    while (run->n_signals < count && !r->bad) {
        struct kept_signal *kept = plex_calloc(1, sizeof *kept);

        TAILQ_INSERT_TAIL(&run->signals, kept, link);
        run->n_signals++;
        kept->name = flow_get_text(r, FLOW_NAME_MAX);
        kept->value = flow_get_value(r);
        if (kept->name == NULL || kept->value == NULL)
            r->bad = true;
    }
}

static void
get_head(struct flow_reader *r, struct flow_run *run)
{
    run->status = (enum flow_status)flow_get_max(r, FLOW_TIMED_OUT);
    run->ending = (enum flow_status)flow_get_max(r, FLOW_TIMED_OUT);
    run->undoing = flow_get_max(r, 1);
    run->input = flow_get_value(r);
    run->vars = flow_get_value(r);
    run->output = flow_get_value(r);
    run->code = flow_get_text(r, TEXT_MAX);
    run->cause = flow_get_text(r, TEXT_MAX);
    run->reason = flow_get_text(r, TEXT_MAX);
    run->started_ms = flow_get_i(r);
    run->since_ms = flow_get_i(r);
    run->limit_ms = flow_get_i(r);
    run->now_ms = flow_get_i(r);
    run->ended_ms = flow_get_i(r);
    run->armed_ms = flow_get_i(r);
    run->next_act = flow_get_u(r);
    run->next_frame = (uint32_t)flow_get_max(r, UINT32_MAX);
    run->history_seq = flow_get_u(r);
    run->entered = flow_get_max(r, FLOW_RUN_STEPS_MAX);
    run->undone = (uint32_t)flow_get_max(r, UINT32_MAX);
    run->estimate = (size_t)flow_get_max(r, (uint64_t)1 << 40);
}

static void
get_run(struct flow_reader *r, struct flow_run *run)
{
    struct frame *frame, *last;
    uint64_t *owners = NULL, count, i = 0;

    get_head(r, run);
    get_frames(r, run, &owners);
    count = flow_get_max(r, (uint64_t)(r->end - r->at));
    last = run->root;
    for (; count > 0 && !r->bad; count--)
        get_act(r, run, &last);
    TAILQ_FOREACH(frame, &run->frames, link)
    {
        if (r->bad || owners[i] == 0) {
            i++;
            continue;
        }
        frame->owner = flow_act_find(run, owners[i++]);
        if (frame->owner == NULL || frame->owner->frame == NULL)
            r->bad = true;
    }
    free(owners);
    get_ready(r, run);
    get_undos(r, run);
    get_signals(r, run);
    if (r->bad || r->at != r->end)
        r->bad = true;
    else if (!json_is_object(run->vars) || run->now_ms < 0 ||
             (run->input == NULL) !=
                 (run->status == FLOW_PENDING || run->root == NULL) ||
             (run->ending != 0 && !flow_status_final(run->ending)) ||
             !frames_sound(run))
        r->bad = true;
}

enum plex_status
flow_run_decode(struct flow_def *def, struct plex_bytes bytes,
                struct flow_run **out, struct plex_err *err)
{
    struct flow_reader r = {.at = bytes.data, .end = bytes.data + bytes.len};
    const uint64_t form = flow_get_u(&r);
    const uint64_t digest = flow_get_u(&r);
    struct flow_run *run;
    char *id;

    *out = NULL;
    if (!r.bad && form > FORM)
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "the state has form %llu, newer than %d",
                            (unsigned long long)form, FORM);
    if (bytes.len > FLOW_ENCODED_MAX || r.bad || form == 0)
        return plex_err_set(err, PLEX_CORRUPT, "this is no state of a run");
    if (digest != def->digest)
        return plex_err_set(err, PLEX_MISMATCH,
                            "the state is of another definition than '%s' "
                            "version %s as it is now",
                            def->id, def->version);
    id = flow_get_text(&r, TEXT_MAX);
    if (id == NULL)
        return plex_err_set(err, PLEX_CORRUPT, "this is no state of a run");
    run = flow_run_blank(def, id);
    free(id);
    get_run(&r, run);
    flow_reader_fini(&r);
    if (r.bad) {
        flow_run_free(run);
        return plex_err_set(err, PLEX_CORRUPT, "the state of run is corrupt");
    }
    *out = run;
    return PLEX_OK;
}
