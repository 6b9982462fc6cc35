#ifndef SERVICES_TUPLESPACE_WIRE_H
#define SERVICES_TUPLESPACE_WIRE_H

#include "common/arena.h"
#include "services/tuplespace/core.h"

/*
 * Requests and replies between bytes and the core's structs. Decoders check
 * every limit of tuplespace.proto; results live in `arena` and borrow the
 * tenant and namespace given. Errors: PLEX_INVALID naming field and rule.
 */
PLEX_MUST_USE enum plex_status tspace_wire_write(struct plex_bytes in,
                                                 struct plex_arena *arena,
                                                 struct tspace_write *out,
                                                 struct plex_err *err);
PLEX_MUST_USE enum plex_status tspace_wire_read(struct plex_bytes in, bool take,
                                                struct plex_arena *arena,
                                                struct tspace_read *out,
                                                struct plex_err *err);
/* Only where.space and the patterns of `out` are set. */
PLEX_MUST_USE enum plex_status tspace_wire_count(struct plex_bytes in,
                                                 struct plex_arena *arena,
                                                 struct tspace_read *out,
                                                 struct plex_err *err);

/* Append a WriteReply or a ReadReply; `answer` NULL is an empty ReadReply. */
PLEX_MUST_USE enum plex_status tspace_wire_answer(
    const struct tspace_answer *answer, struct plex_arena *arena,
    struct plex_buf *out, struct plex_err *err);
PLEX_MUST_USE enum plex_status tspace_wire_count_reply(uint64_t count,
                                                       struct plex_buf *out,
                                                       struct plex_err *err);

#endif
