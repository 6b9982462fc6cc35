#ifndef SERVICES_WORKER_WIRE_REBUILD_H
#define SERVICES_WORKER_WIRE_REBUILD_H

#include "common/arena.h"
#include "services/worker/client.h"

/* The wire form of work_client_rebuild(). */
enum { WORK_METHOD_REBUILD = 604 };

PLEX_MUST_USE enum plex_status work_rebuild_pack(
    const struct work_rebuild *rebuild, struct plex_buf *out,
    struct plex_err *err);
/* Everything is in `arena`, or borrowed from `in`. */
PLEX_MUST_USE enum plex_status work_rebuild_unpack(struct plex_bytes in,
                                                   struct plex_arena *arena,
                                                   struct work_rebuild *out,
                                                   struct plex_err *err);
PLEX_MUST_USE enum plex_status work_rebuilt_pack(
    const struct work_rebuilt *rebuilt, struct plex_buf *out,
    struct plex_err *err);
PLEX_MUST_USE enum plex_status work_rebuilt_unpack(struct plex_bytes in,
                                                   struct plex_arena *arena,
                                                   struct work_rebuilt *out,
                                                   struct plex_err *err);

#endif
