#ifndef SERVICES_PLACEMENT_WIRE_H
#define SERVICES_PLACEMENT_WIRE_H

#include "common/arena.h"
#include "services/placement/client.h"

/*
 * Requests and replies of placement.v1, and node.v1 DrainNode. Decoded strings
 * live in the arena. Encoders append to `out`.
 *
 * Errors of decoders: PLEX_INVALID for people. Of encoders: PLEX_TOO_LARGE.
 */
enum place_method {
    PLACE_METHOD_DRAIN_NODE = 203,
    PLACE_METHOD_HEARTBEAT = 401,
    PLACE_METHOD_WATCH = 402,
    PLACE_METHOD_LEAVE = 403,
};

struct place_request {
    enum place_method method;
    struct place_heartbeat heartbeat; /* HEARTBEAT */
    const char *node_id;              /* LEAVE, DRAIN_NODE */
    uint64_t incarnation;             /* LEAVE */
    const char *pool;                 /* WATCH */
    uint64_t have_version;            /* WATCH */
    uint64_t timeout_ms;              /* WATCH */
};
PLEX_MUST_USE enum plex_status place_wire_request(enum place_method method,
                                                  struct plex_bytes in,
                                                  struct plex_arena *arena,
                                                  struct place_request *out,
                                                  struct plex_err *err);

PLEX_MUST_USE enum plex_status place_wire_heartbeat(uint64_t lease_ms,
                                                    uint64_t version,
                                                    struct plex_buf *out,
                                                    struct plex_err *err);
/* `table` NULL: unchanged. */
PLEX_MUST_USE enum plex_status place_wire_watch(uint64_t version,
                                                const struct place_table *table,
                                                struct plex_arena *arena,
                                                struct plex_buf *out,
                                                struct plex_err *err);
PLEX_MUST_USE enum plex_status place_wire_drain(uint32_t shards_left,
                                                struct plex_buf *out,
                                                struct plex_err *err);

/* A table as the store keeps it. PLEX_CORRUPT when it cannot be read. */
PLEX_MUST_USE enum plex_status place_wire_body_out(
    const struct place_table *table, struct plex_arena *arena,
    struct plex_buf *out, struct plex_err *err);
PLEX_MUST_USE enum plex_status place_wire_body_in(struct plex_bytes in,
                                                  struct plex_arena *arena,
                                                  struct place_table **out,
                                                  struct plex_err *err);

#endif
