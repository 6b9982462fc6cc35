/* The stored form of what one stretch added to the log of a run. */
#include "services/worker/wire_run.h"

#include "common/wire.h"

#include <string.h>

typedef Plexspaces__Worker__V1__RunDelta pb_delta;

bool
work_wire_delta_out(const struct work_run_delta *delta,
                    struct plex_arena *arena, pb_delta *pb)
{
    plexspaces__worker__v1__run_delta__init(pb);
    pb->first_step = (uint32_t)delta->first_step;
    pb->n_steps = delta->n_steps;
    pb->n_changed = pb->n_changes = delta->n_changed;
    pb->changed = (uint32_t *)(uintptr_t)delta->changed;
    pb->first_signal = (uint32_t)delta->first_signal;
    pb->n_signals = delta->n_signals;
    pb->n_used = delta->n_used;
    pb->used = (uint32_t *)(uintptr_t)delta->used;
    pb->parked = plex_wire_text(delta->parked);
    pb->cancelled = delta->cancelled;
    pb->told = delta->told;
    pb->order = delta->order;
    return work_wire_steps_out(delta->steps, delta->n_steps, arena,
                               &pb->steps) &&
           work_wire_steps_out(delta->changes, delta->n_changed, arena,
                               &pb->changes) &&
           work_wire_steps_out(delta->signals, delta->n_signals, arena,
                               &pb->signals);
}

enum plex_status
work_wire_delta_in(const pb_delta *pb, struct plex_arena *arena,
                   struct work_run_delta *out, struct plex_err *err)
{
    if (pb->n_changed != pb->n_changes || pb->first_step > WORK_STEPS_MAX ||
        pb->first_signal > WORK_STEPS_MAX || pb->n_used > WORK_STEPS_MAX)
        return plex_err_set(err, PLEX_CORRUPT,
                            "the record of a turn does not continue a run");
    *out = (struct work_run_delta){
        .first_step = pb->first_step,
        .n_steps = pb->n_steps,
        .changed = pb->changed,
        .n_changed = pb->n_changed,
        .first_signal = pb->first_signal,
        .n_signals = pb->n_signals,
        .used = pb->used,
        .n_used = pb->n_used,
        .parked = pb->parked,
        .cancelled = pb->cancelled,
        .told = pb->told,
        .order = pb->order,
    };
    if (work_wire_steps_in(pb->steps, pb->n_steps, arena, &out->steps, err) !=
            PLEX_OK ||
        work_wire_steps_in(pb->changes, pb->n_changes, arena, &out->changes,
                           err) != PLEX_OK)
        return err->status;
    return work_wire_steps_in(pb->signals, pb->n_signals, arena, &out->signals,
                              err);
}
