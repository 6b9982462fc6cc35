/* The stored form of what a turn was made of. */
#include "services/worker/record.h"

#include "common/wire.h"
#include "plexspaces/worker/v1/worker.pb-c.h"
#include "services/worker/wire_run.h"

typedef Plexspaces__Worker__V1__TurnRecord pb_record;
typedef Plexspaces__Worker__V1__TurnEvent pb_event;
typedef Plexspaces__Worker__V1__TurnCommand pb_command;

enum {
    EVENTS_BYTES = WORK_EVENTS_MAX * 128,
    COMMANDS_BYTES = WORK_COMMANDS_MAX * 256,
    STEPS_BYTES = WORK_STEPS_MAX * 512,
};

/* -- out ------------------------------------------------------------------- */

static bool
events_out(const struct work_record *record, struct plex_arena *arena,
           pb_record *pb)
{
    pb_event *space = plex_wire_array(arena, record->n_events, sizeof *space);

    pb->n_events = record->n_events;
    pb->events = plex_wire_array(arena, record->n_events, sizeof *pb->events);
    if (space == NULL || pb->events == NULL)
        return false;
    for (size_t i = 0; i < record->n_events; i++) {
        plexspaces__worker__v1__turn_event__init(&space[i]);
        space[i].type = plex_wire_text(record->events[i].type);
        space[i].data = plex_wire_bytes(record->events[i].data);
        pb->events[i] = &space[i];
    }
    return true;
}

static bool
commands_out(const struct work_record *record, struct plex_arena *arena,
             pb_record *pb)
{
    const size_t n = record->n_commands;
    pb_command *space = plex_wire_array(arena, n, sizeof *space);

    pb->n_commands = n;
    pb->commands = plex_wire_array(arena, n, sizeof *pb->commands);
    if (space == NULL || pb->commands == NULL)
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct work_command *command = &record->commands[i];

        plexspaces__worker__v1__turn_command__init(&space[i]);
        space[i].kind = command->kind;
        space[i].type = plex_wire_text(command->type);
        space[i].key = plex_wire_text(command->key);
        space[i].timer = plex_wire_text(command->timer);
        space[i].delay_ms = command->delay_ms;
        space[i].tag = command->tag;
        space[i].payload = plex_wire_bytes(command->payload);
        space[i].payload_bytes = command->payload_bytes;
        space[i].payload_hash = command->payload_hash;
        pb->commands[i] = &space[i];
    }
    return true;
}

static bool
run_out(const struct work_record *record, struct plex_arena *arena,
        pb_record *pb)
{
    if (record->run == NULL)
        return true;
    pb->run = plex_wire_array(arena, 1, sizeof *pb->run);
    return pb->run != NULL && work_wire_delta_out(record->run, arena, pb->run);
}

enum plex_status
work_record_pack(const struct work_record *record, struct plex_buf *out,
                 struct plex_err *err)
{
    pb_record pb = PLEXSPACES__WORKER__V1__TURN_RECORD__INIT;
    enum plex_status status;
    struct plex_arena arena;

    plex_arena_init(&arena, EVENTS_BYTES + COMMANDS_BYTES + STEPS_BYTES);
    pb.at_ms = record->at_ms;
    pb.what = record->what;
    pb.input = plex_wire_bytes(record->input);
    pb.input_bytes = record->input_bytes;
    pb.epoch = record->epoch;
    pb.seed = plex_wire_bytes(record->seed);
    if (!events_out(record, &arena, &pb) ||
        !commands_out(record, &arena, &pb) || !run_out(record, &arena, &pb))
        status = plex_wire_no_room(err);
    else
        status = plex_wire_pack(&pb.base, out, err);
    plex_arena_fini(&arena);
    return status;
}

/* -- in -------------------------------------------------------------------- */

static enum plex_status
counts_check(const pb_record *pb, struct plex_err *err)
{
    if (pb->n_events > WORK_EVENTS_MAX)
        return plex_err_set(err, PLEX_CORRUPT,
                            "the record of a turn has %zu events, at most %d "
                            "are allowed",
                            pb->n_events, WORK_EVENTS_MAX);
    if (pb->n_commands > WORK_COMMANDS_MAX)
        return plex_err_set(err, PLEX_CORRUPT,
                            "the record of a turn has %zu commands, at most "
                            "%d are allowed",
                            pb->n_commands, WORK_COMMANDS_MAX);
    if (pb->what > WORK_RECORD_REPLAY ||
        (pb->seed.len != 0 && pb->seed.len != WORK_SEED_BYTES))
        return plex_err_set(err, PLEX_CORRUPT,
                            "the record of a turn is of kind %u with a seed "
                            "of %zu bytes",
                            pb->what, pb->seed.len);
    return PLEX_OK;
}

static bool
events_in(const pb_record *pb, struct plex_arena *arena,
          struct work_record *out)
{
    struct work_event *events =
        plex_wire_array(arena, pb->n_events, sizeof *events);

    if (events == NULL)
        return false;
    for (size_t i = 0; i < pb->n_events; i++)
        events[i] = (struct work_event){
            .type = pb->events[i]->type,
            .data = plex_wire_bytes_in(pb->events[i]->data),
        };
    out->events = events;
    out->n_events = pb->n_events;
    return true;
}

static bool
commands_in(const pb_record *pb, struct plex_arena *arena,
            struct work_record *out)
{
    struct work_command *commands =
        plex_wire_array(arena, pb->n_commands, sizeof *commands);

    if (commands == NULL)
        return false;
    for (size_t i = 0; i < pb->n_commands; i++) {
        const pb_command *from = pb->commands[i];

        commands[i] = (struct work_command){
            .kind = from->kind,
            .type = from->type,
            .key = from->key,
            .timer = from->timer,
            .delay_ms = from->delay_ms,
            .tag = from->tag,
            .payload = plex_wire_bytes_in(from->payload),
            .payload_bytes = from->payload_bytes,
            .payload_hash = from->payload_hash,
        };
    }
    out->commands = commands;
    out->n_commands = pb->n_commands;
    return true;
}

static enum plex_status
run_in(const pb_record *pb, struct plex_arena *arena, struct work_record *out,
       struct plex_err *err)
{
    struct work_run_delta *delta;

    if (pb->run == NULL)
        return PLEX_OK;
    delta = plex_wire_array(arena, 1, sizeof *delta);
    if (delta == NULL)
        return plex_wire_no_room(err);
    out->run = delta;
    return work_wire_delta_in(pb->run, arena, delta, err);
}

enum plex_status
work_record_unpack(struct plex_bytes in, struct plex_arena *arena,
                   struct work_record *out, struct plex_err *err)
{
    ProtobufCMessage *base;
    const pb_record *pb;

    if (plex_wire_unpack(&plexspaces__worker__v1__turn_record__descriptor, in,
                         arena, &base, err) != PLEX_OK) {
        err->status = PLEX_CORRUPT;
        return plex_err_wrap(err, "the record of a turn");
    }
    pb = (const pb_record *)(const void *)base;
    if (counts_check(pb, err) != PLEX_OK)
        return err->status;
    *out = (struct work_record){
        .at_ms = pb->at_ms,
        .what = (enum work_record_what)pb->what,
        .input = plex_wire_bytes_in(pb->input),
        .input_bytes = pb->input_bytes,
        .epoch = pb->epoch,
        .seed = plex_wire_bytes_in(pb->seed),
    };
    if (!events_in(pb, arena, out) || !commands_in(pb, arena, out))
        return plex_wire_no_room(err);
    return run_in(pb, arena, out, err);
}

enum plex_status
work_record_events(struct plex_bytes record, struct plex_arena *arena,
                   const struct work_event **events, size_t *n,
                   struct plex_err *err)
{
    struct work_record all;

    if (work_record_unpack(record, arena, &all, err) != PLEX_OK)
        return err->status;
    *events = all.events;
    *n = all.n_events;
    return PLEX_OK;
}
