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
    /* For a take that waits, without an id, claim or transaction of its own:
     * it gets these. */
    struct plex_bytes own_id;
    struct plex_bytes owner; /* with a final 0 */
    uint64_t turn, lease_ms;
};
struct work_tuple_packed {
    struct plex_bytes bytes; /* in the arena */
    uint64_t timeout_ms;     /* for how long it may wait */
    bool claimed;            /* `turn` has to be confirmed */
};
/* PLEX_INVALID says what is wrong with it, PLEX_UNSUPPORTED: not a method for
 * actors. */
PLEX_MUST_USE enum plex_status work_tuple_pack(const struct work_tuple_ask *ask,
                                               struct plex_arena *arena,
                                               struct work_tuple_packed *out,
                                               struct plex_err *err);
/* PLEX_TUPLE_CONFIRM_CLAIM and _RELEASE_CLAIM of the claim of `ask`. */
PLEX_MUST_USE enum plex_status work_tuple_pack_claim(
    const struct work_tuple_ask *ask, struct plex_arena *arena,
    struct plex_bytes *out, struct plex_err *err);
/*
 * The request that writes tuple number `i` of an answer again, which `request`
 * (JSON) had taken; its lease ends when it would have. The caller frees; NULL:
 * there is none with that number, its lease is over, or the request had a claim
 * or a transaction, whose end gives it back.
 */
char *work_tuple_again(struct plex_bytes request, const char *answer, size_t i,
                       uint64_t wall_ms);
/* There are tuples in the answer. */
bool work_tuple_some(const char *answer);
/* The answer to that method as JSON, which the caller frees. */
PLEX_MUST_USE enum plex_status work_tuple_unpack(uint32_t method,
                                                 struct plex_bytes in,
                                                 struct plex_arena *arena,
                                                 char **json,
                                                 struct plex_err *err);
/* It changes nothing. */
bool work_tuple_is_reading(uint32_t method);

#endif
