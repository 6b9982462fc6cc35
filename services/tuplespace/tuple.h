#ifndef SERVICES_TUPLESPACE_TUPLE_H
#define SERVICES_TUPLESPACE_TUPLE_H

#include "common/arena.h"
#include "services/tuplespace/core.h"

/* Tuples on the heap and in the store. */

/* A tuple in one allocation, counted. */
struct tspace_held {
    struct tspace_tuple tuple; /* first: a held tuple is a tuple */
    unsigned refs;
    size_t bytes; /* of the allocation */
};
struct tspace_held *tspace_held_make(const struct tspace_tuple *tuple);
struct tspace_held *tspace_held_ref(struct tspace_held *held);
void tspace_held_unref(struct tspace_held *held); /* accepts NULL */

/* The stored form: little endian, never changes. Errors: PLEX_TOO_LARGE past
 * out's maximum; PLEX_CORRUPT. Decoded into `arena`. */
PLEX_MUST_USE enum plex_status tspace_tuple_encode(
    const struct tspace_tuple *tuple, struct plex_buf *out,
    struct plex_err *err);
PLEX_MUST_USE enum plex_status tspace_tuple_decode(struct plex_bytes in,
                                                   struct plex_arena *arena,
                                                   struct tspace_tuple *out,
                                                   struct plex_err *err);
PLEX_MUST_USE enum plex_status tspace_answer_encode(
    const struct tspace_answer *answer, struct plex_buf *out,
    struct plex_err *err);
PLEX_MUST_USE enum plex_status tspace_answer_decode(struct plex_bytes in,
                                                    struct plex_arena *arena,
                                                    struct tspace_answer *out,
                                                    struct plex_err *err);

#endif
