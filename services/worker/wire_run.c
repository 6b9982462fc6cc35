/* The stored form of an open run. */
#include "services/worker/wire_run.h"

#include "common/wire.h"

typedef Plexspaces__Worker__V1__OpenRun pb_run;
typedef Plexspaces__Worker__V1__RunStep pb_step;

bool
work_wire_steps_out(const struct work_step *steps, size_t n,
                    struct plex_arena *arena, pb_step ***out)
{
    pb_step *space = plex_arena_alloc(arena, (n + 1) * sizeof *space);
    pb_step **rows = plex_arena_alloc(arena, (n + 1) * sizeof(pb_step *));

    if (space == NULL || rows == NULL)
        return false;
    for (size_t i = 0; i < n; i++) {
        plexspaces__worker__v1__run_step__init(&space[i]);
        space[i].kind = steps[i].kind;
        space[i].name = plex_wire_text(steps[i].name);
        space[i].done = steps[i].done;
        space[i].used = steps[i].used;
        space[i].status = steps[i].status;
        space[i].result = plex_wire_bytes(steps[i].result);
        space[i].at_ms = steps[i].at_ms;
        space[i].due_ms = steps[i].due_ms;
        space[i].order = steps[i].order;
        rows[i] = &space[i];
    }
    *out = rows;
    return true;
}

enum plex_status
work_wire_steps_in(pb_step **rows, size_t n, struct plex_arena *arena,
                   const struct work_step **out, struct plex_err *err)
{
    struct work_step *steps;

    if (n > WORK_STEPS_MAX)
        return plex_err_set(err, PLEX_CORRUPT,
                            "an open run of %zu steps, at most %d are allowed",
                            n, WORK_STEPS_MAX);
    steps = plex_arena_alloc(arena, (n + 1) * sizeof *steps);
    if (steps == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "the steps of an open run do not fit");
    for (size_t i = 0; i < n; i++) {
        if (rows[i]->kind < WORK_STEP_EFFECT ||
            rows[i]->kind >= WORK_STEP_KINDS)
            return plex_err_set(err, PLEX_CORRUPT,
                                "step %zu of an open run is of kind %u", i,
                                rows[i]->kind);
        steps[i] = (struct work_step){
            .kind = (enum work_step_kind)rows[i]->kind,
            .name = rows[i]->name,
            .done = rows[i]->done,
            .used = rows[i]->used,
            .status = plex_status_from_wire(rows[i]->status),
            .result = plex_wire_bytes_in(rows[i]->result),
            .at_ms = rows[i]->at_ms,
            .due_ms = rows[i]->due_ms,
            .order = rows[i]->order,
        };
    }
    *out = steps;
    return PLEX_OK;
}

static size_t
run_bytes(const struct work_run *run)
{
    size_t n = run->message.len;

    for (size_t i = 0; i < run->n_steps; i++)
        n += run->steps[i].result.len + 32;
    for (size_t i = 0; i < run->n_signals; i++)
        n += run->signals[i].result.len + 32;
    return n;
}

enum plex_status
work_run_check(const struct work_run *run, struct plex_err *err)
{
    if (run_bytes(run) <= WORK_RUN_BYTES_MAX + WORK_PAYLOAD_MAX)
        return PLEX_OK;
    return plex_err_set(err, PLEX_TOO_LARGE,
                        "the run's steps and results are more than the %d "
                        "bytes that are allowed",
                        WORK_RUN_BYTES_MAX);
}

enum plex_status
work_run_pack(const struct work_run *run, struct plex_buf *out,
              struct plex_err *err)
{
    pb_run pb = PLEXSPACES__WORKER__V1__OPEN_RUN__INIT;
    enum plex_status status;
    struct plex_arena arena;

    if (work_run_check(run, err) != PLEX_OK)
        return err->status;
    plex_arena_init(&arena, 4 << 20);
    pb.has_state = run->has_state;
    pb.state = plex_wire_bytes(run->state);
    pb.message = plex_wire_bytes(run->message);
    pb.started_ms = run->started_ms;
    pb.n_steps = run->n_steps;
    pb.n_signals = run->n_signals;
    pb.parked = plex_wire_text(run->parked);
    pb.cancelled = run->cancelled;
    pb.told = run->told;
    pb.order = run->order;
    pb.continued = run->continued;
    if (!work_wire_steps_out(run->steps, run->n_steps, &arena, &pb.steps) ||
        !work_wire_steps_out(run->signals, run->n_signals, &arena, &pb.signals))
        status = plex_err_set(err, PLEX_TOO_LARGE,
                              "the run's steps do not fit into memory");
    else
        status = plex_wire_pack(&pb.base, out, err);
    plex_arena_fini(&arena);
    return status;
}

enum plex_status
work_run_unpack(struct plex_bytes in, struct plex_arena *arena,
                struct work_run *out, struct plex_err *err)
{
    ProtobufCMessage *base;
    const struct work_step *steps, *signals;
    const pb_run *pb;

    if (plex_wire_unpack(&plexspaces__worker__v1__open_run__descriptor, in,
                         arena, &base, err) != PLEX_OK)
        return err->status;
    pb = (const pb_run *)(const void *)base;
    *out = (struct work_run){
        .has_state = pb->has_state,
        .state = plex_wire_bytes_in(pb->state),
        .message = plex_wire_bytes_in(pb->message),
        .started_ms = pb->started_ms,
        .continued = pb->continued,
        .n_steps = pb->n_steps,
        .n_signals = pb->n_signals,
        .parked = pb->parked,
        .cancelled = pb->cancelled,
        .told = pb->told,
        .order = pb->order,
    };
    if (work_wire_steps_in(pb->steps, pb->n_steps, arena, &steps, err) !=
            PLEX_OK ||
        work_wire_steps_in(pb->signals, pb->n_signals, arena, &signals, err) !=
            PLEX_OK)
        return err->status;
    out->steps = (struct work_step *)(uintptr_t)steps;
    out->signals = (struct work_step *)(uintptr_t)signals;
    return PLEX_OK;
}

enum plex_status
work_run_message(struct plex_bytes packed, struct plex_arena *arena,
                 struct work_message *out, struct plex_err *err)
{
    struct work_run run;

    if (work_run_unpack(packed, arena, &run, err) != PLEX_OK)
        return err->status;
    return work_message_unpack(run.message, arena, out, err);
}
