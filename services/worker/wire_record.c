/* The stored form of what a turn was made of. */
#include "services/worker/record.h"

#include "common/wire.h"
#include "plexspaces/worker/v1/worker.pb-c.h"

typedef Plexspaces__Worker__V1__TurnRecord pb_record;
typedef Plexspaces__Worker__V1__TurnEvent pb_event;

enum { ROWS_BYTES = WORK_EVENTS_MAX * 128 };

enum plex_status
work_record_pack(const struct work_record *record, struct plex_buf *out,
                 struct plex_err *err)
{
    pb_record pb = PLEXSPACES__WORKER__V1__TURN_RECORD__INIT;
    struct plex_arena arena;
    enum plex_status status;
    pb_event *space;

    plex_arena_init(&arena, ROWS_BYTES);
    space = plex_wire_array(&arena, record->n_events, sizeof *space);
    pb.events = plex_wire_array(&arena, record->n_events, sizeof *pb.events);
    if (space == NULL || pb.events == NULL) {
        plex_arena_fini(&arena);
        return plex_wire_no_room(err);
    }
    pb.at_ms = record->at_ms;
    pb.n_events = record->n_events;
    for (size_t i = 0; i < record->n_events; i++) {
        plexspaces__worker__v1__turn_event__init(&space[i]);
        space[i].type = plex_wire_text(record->events[i].type);
        space[i].data = plex_wire_bytes(record->events[i].data);
        pb.events[i] = &space[i];
    }
    status = plex_wire_pack(&pb.base, out, err);
    plex_arena_fini(&arena);
    return status;
}

enum plex_status
work_record_unpack(struct plex_bytes in, struct plex_arena *arena,
                   struct work_record *out, struct plex_err *err)
{
    struct work_event *events;
    ProtobufCMessage *base;
    const pb_record *pb;

    if (plex_wire_unpack(&plexspaces__worker__v1__turn_record__descriptor, in,
                         arena, &base, err) != PLEX_OK) {
        err->status = PLEX_CORRUPT;
        return plex_err_wrap(err, "the record of a turn");
    }
    pb = (const pb_record *)(const void *)base;
    if (pb->n_events > WORK_EVENTS_MAX)
        return plex_err_set(err, PLEX_CORRUPT,
                            "the record of a turn has %zu events, at most %d "
                            "are allowed",
                            pb->n_events, WORK_EVENTS_MAX);
    events = plex_wire_array(arena, pb->n_events, sizeof *events);
    if (events == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < pb->n_events; i++)
        events[i] = (struct work_event){
            .type = pb->events[i]->type,
            .data = plex_wire_bytes_in(pb->events[i]->data),
        };
    *out = (struct work_record){
        .at_ms = pb->at_ms, .events = events, .n_events = pb->n_events};
    return PLEX_OK;
}
