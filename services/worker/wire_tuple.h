#ifndef SERVICES_WORKER_WIRE_TUPLE_H
#define SERVICES_WORKER_WIRE_TUPLE_H

#include "common/arena.h"
#include "common/bytes.h"
#include "common/err.h"

#include <stdbool.h>

/*
 * Requests of actors to the tuple space, as they write them (the JSON form of
 * docs/tuplespace.md), and as links carry them.
 */
struct work_tuple_ask {
    uint32_t method;        /* TupleSpaceMethod */
    struct plex_bytes json; /* the request */
    struct plex_bytes id;   /* of the request, at most 64 bytes; or nothing */
};
/* Packed in `arena`; *timeout_ms is for how long it may wait. PLEX_INVALID
 * says what is wrong with it, PLEX_UNSUPPORTED: not a method for actors. */
PLEX_MUST_USE enum plex_status work_tuple_pack(const struct work_tuple_ask *ask,
                                               struct plex_arena *arena,
                                               struct plex_bytes *out,
                                               uint64_t *timeout_ms,
                                               struct plex_err *err);
/* The answer to that method as JSON, which the caller frees. */
PLEX_MUST_USE enum plex_status work_tuple_unpack(uint32_t method,
                                                 struct plex_bytes in,
                                                 struct plex_arena *arena,
                                                 char **json,
                                                 struct plex_err *err);
/* It changes nothing. */
bool work_tuple_is_reading(uint32_t method);

#endif
