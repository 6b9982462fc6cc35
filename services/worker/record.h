#ifndef SERVICES_WORKER_RECORD_H
#define SERVICES_WORKER_RECORD_H

#include "services/worker/client.h"

/*
 * The record of a turn in the journal: what the turn was made of, beside its
 * id, reply and state. The records of an event-sourced actor rebuild its state:
 * its behaviour's apply() over the events, in order.
 */
enum {
    WORK_EVENTS_MAX = 1000, /* of one turn */
    WORK_EVENT_TYPE_MAX = 255,
    WORK_EVENT_BYTES_MAX = 1 << 20,
};

struct work_event {
    const char *type; /* never NULL */
    struct plex_bytes data;
};
struct work_record {
    uint64_t at_ms; /* wall clock that the callback was given */
    const struct work_event *events;
    size_t n_events;
};

/* TOO_LARGE over out's maximum. */
PLEX_MUST_USE enum plex_status work_record_pack(
    const struct work_record *record, struct plex_buf *out,
    struct plex_err *err);
/* Bytes are borrowed from `in` or in `arena`. CORRUPT. */
PLEX_MUST_USE enum plex_status work_record_unpack(struct plex_bytes in,
                                                  struct plex_arena *arena,
                                                  struct work_record *out,
                                                  struct plex_err *err);

#endif
