#ifndef SERVICES_PLACEMENT_WIRE_H
#define SERVICES_PLACEMENT_WIRE_H

#include "common/arena.h"
#include "services/placement/core.h"

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
    PLACE_METHOD_RESERVE = 404,
    PLACE_METHOD_RELEASE = 405,
    PLACE_METHOD_HOLD = 406,
};

struct place_request {
    enum place_method method;
    struct place_heartbeat heartbeat; /* HEARTBEAT */
    const char *node_id;              /* LEAVE, DRAIN_NODE */
    bool force;                       /* DRAIN_NODE */
    uint64_t incarnation;             /* LEAVE */
    const char *pool;                 /* WATCH */
    uint64_t have_version;            /* WATCH */
    uint64_t timeout_ms;              /* WATCH */
    struct place_ask ask;             /* RESERVE; until_ns is not set */
    uint64_t ttl_ms;                  /* RESERVE */
    const char *request_id;           /* RELEASE */
    struct place_holds holds;         /* HOLD */
};
PLEX_MUST_USE enum plex_status place_wire_request(enum place_method method,
                                                  struct plex_bytes in,
                                                  struct plex_arena *arena,
                                                  struct place_request *out,
                                                  struct plex_err *err);

PLEX_MUST_USE enum plex_status place_wire_heartbeat(uint64_t lease_ms,
                                                    uint64_t version, bool hold,
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

PLEX_MUST_USE enum plex_status place_wire_reserved(
    const struct place_ask *ask, const struct place_held *held,
    struct plex_arena *arena, struct plex_buf *out, struct plex_err *err);
/* What placement wants to hear again of the worker that holds it. */
PLEX_MUST_USE enum plex_status place_wire_held(const struct place_ask *ask,
                                               const struct place_held *held,
                                               struct plex_arena *arena,
                                               struct plex_buf *out,
                                               struct plex_err *err);
PLEX_MUST_USE enum plex_status place_wire_released(bool was,
                                                   struct plex_buf *out,
                                                   struct plex_err *err);
PLEX_MUST_USE enum plex_status place_wire_hold(bool again, struct plex_buf *out,
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
