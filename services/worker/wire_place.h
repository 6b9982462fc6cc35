#ifndef SERVICES_WORKER_WIRE_PLACE_H
#define SERVICES_WORKER_WIRE_PLACE_H

#include "common/arena.h"

/* placement.v1 StartRequest and its answer. */
enum { WORK_METHOD_START_PLACED = 627 };
struct work_start {
    const char *tenant, *ns, *module, *behaviour, *name, *args, *request_id;
    struct plex_bytes held;
};
PLEX_MUST_USE enum plex_status work_start_unpack(struct plex_bytes in,
                                                 struct plex_arena *arena,
                                                 struct work_start *out,
                                                 struct plex_err *err);
PLEX_MUST_USE enum plex_status work_started_pack(const char *process,
                                                 struct plex_buf *out,
                                                 struct plex_err *err);

#endif
