/* What is due. */
#include "common/mem.h"
#include "workflow/run_private.h"

#include <stdlib.h>
#include <string.h>

int64_t
flow_wake_at(struct flow_run *run, int64_t ms)
{
    if (ms < run->soonest)
        run->soonest = ms;
    return ms;
}

/* The earliest of an act's times; INT64_MAX: none. */
static int64_t
act_due(const struct act *act)
{
    int64_t due = INT64_MAX;

    if (act->due_ms > 0 && act->due_ms < due)
        due = act->due_ms;
    if (act->limit_ms > 0 && act->limit_ms < due)
        due = act->limit_ms;
    if (act->beat_ms > 0 && act->beat_ms < due)
        due = act->beat_ms;
    return due;
}

int64_t
flow_run_next_due(const struct flow_run *run)
{
    int64_t due = INT64_MAX;
    struct act *act;

    TAILQ_FOREACH(act, &run->acts, link)
    {
        const int64_t one = act_due(act);

        due = one < due ? one : due;
    }
    if (run->limit_ms > 0 && run->ending == 0 && run->limit_ms < due)
        due = run->limit_ms;
    return due;
}

static void
act_is_due(struct flow_run *run, struct act *act)
{
    const int64_t due = act_due(act);
    struct frame *frame = act->frame;

    if (act->due_ms > 0 && act->due_ms == due) {
        if (act->phase == ACT_BACKOFF)
            flow_act_phase(run, act, ACT_READY);
        else
            flow_act_succeed(run, act, json_incref(act->input));
    } else if (act->stopping) {
        /* The outcome stays unknown: there is nothing to compensate by. */
        flow_note(run, "STEP_CANCELLED", act->node->path, act->id, act->attempt,
                  "%s", "its outcome is not known");
        flow_act_forget(run, act);
        if (frame->scope->net)
            flow_node_run(frame, act->node)->state = NODE_STOPPED;
        flow_act_free(run, act);
        flow_frame_drained(run, frame);
    } else if (act->limit_ms == due) {
        flow_act_fail(run, act, flow_error_code(run, ERROR_TIMEOUT),
                      "it took longer than its timeout");
    } else {
        flow_act_fail(run, act, flow_error_code(run, ERROR_HEARTBEAT),
                      "no heartbeat came in time");
    }
}

struct due {
    int64_t ms;
    uint64_t id;
};

static int
due_order(const void *a, const void *b)
{
    const struct due *x = a, *y = b;

    if (x->ms != y->ms)
        return x->ms < y->ms ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* In due order; what one does may remove or move another. */
void
flow_run_due(struct flow_run *run)
{
    struct due *list = plex_calloc(run->n_acts + 1, sizeof *list);
    size_t count = 0;
    struct act *act;

    TAILQ_FOREACH(act, &run->acts, link)
    {
        if (act_due(act) <= run->now_ms)
            list[count++] = (struct due){act_due(act), act->id};
    }
    qsort(list, count, sizeof *list, due_order);
    for (size_t i = 0; i < count && !flow_status_final(run->status); i++) {
        act = flow_act_find(run, list[i].id);
        if (act != NULL && act_due(act) <= run->now_ms)
            act_is_due(run, act);
    }
    free(list);
    if (run->limit_ms > 0 && run->limit_ms <= run->now_ms && run->ending == 0 &&
        !flow_status_final(run->status))
        flow_run_end(run, FLOW_TIMED_OUT, flow_error_code(run, ERROR_TIMEOUT),
                     "the run took longer than its timeout");
}
