#ifndef LATTICE_LATTICE_H
#define LATTICE_LATTICE_H

#include "common/bytes.h"

#include <stdbool.h>

/*
 * Lattices: values that are merged. Merging is commutative, associative and
 * idempotent, so replicas that have heard of the same updates are equal,
 * whatever was lost, repeated or reordered. docs/lattices.md. Pure: no clock,
 * no randomness; allocation never fails.
 *
 * An update of a lattice is itself one, a delta: merging the delta is the same
 * as merging the whole updated lattice, and the delta is small.
 */
struct lattice;

/* As they are stored: append only. Of two kinds the greater one stays. */
enum lattice_kind {
    LATTICE_MAX = 1,
    LATTICE_MIN,
    LATTICE_LWW,
    LATTICE_G_SET,
    LATTICE_OR_SET,
    LATTICE_G_COUNTER,
    LATTICE_PN_COUNTER,
    LATTICE_VECTOR_CLOCK,
    LATTICE_PAIR,
    LATTICE_MAP,
    LATTICE_KINDS, /* none: one more than the last */
};
enum {
    LATTICE_BYTES_MAX = 1 << 20, /* encoded */
    LATTICE_ENTRIES_MAX = 65536, /* of all levels together */
    LATTICE_DEPTH_MAX = 8,       /* pairs and maps around the innermost */
    LATTICE_TEXT_MAX = 1024,     /* an element, a name in a map */
    LATTICE_VALUE_MAX = 65536,   /* of a last-writer-wins register */
};
static const uint64_t lattice_count_max = UINT64_C(1) << 62; /* one replica's */

/* "or_set"; 0 for what is none. And the other way round. */
enum lattice_kind lattice_kind_parse(const char *text, size_t len);
const char *lattice_kind_text(enum lattice_kind kind);

/* The least of its kind: merging it changes nothing. */
struct lattice *lattice_create(enum lattice_kind kind);
struct lattice *lattice_clone(const struct lattice *lattice);
void lattice_free(struct lattice *lattice); /* accepts NULL */
enum lattice_kind lattice_kind_of(const struct lattice *lattice);

/* The least that is at least both; true when that is not what `into` was. */
bool lattice_merge(struct lattice *into, const struct lattice *from);
/* Is `a` at least `b`: has it all of b's updates? */
bool lattice_covers(const struct lattice *a, const struct lattice *b);
/* Encoded bytes; entries of all levels. */
size_t lattice_bytes(const struct lattice *lattice);
size_t lattice_entries(const struct lattice *lattice);
/* Would they be within the limits, merged? PLEX_TOO_LARGE says which is passed.
 */
PLEX_MUST_USE enum plex_status lattice_room(const struct lattice *into,
                                            const struct lattice *from,
                                            struct plex_err *err);

/* -- encoding: proto/internal/plexspaces/lattice/v1/lattice.proto ---------- */

/* Canonical: equal lattices have equal bytes. PLEX_TOO_LARGE past out->max. */
PLEX_MUST_USE enum plex_status lattice_encode(const struct lattice *lattice,
                                              struct plex_buf *out,
                                              struct plex_err *err);
/* PLEX_INVALID for anything but canonical bytes, PLEX_TOO_LARGE past a limit.
 */
PLEX_MUST_USE enum plex_status lattice_decode(struct plex_bytes in,
                                              struct lattice **out,
                                              struct plex_err *err);

/* -- updates: each gives a delta to merge; `self` is the replica, not 0 ---- */

struct lattice *lattice_set_number(enum lattice_kind max_or_min, int64_t value);
/* Newer than what `now` (or NULL) has, and not older than `at_ms`. */
struct lattice *lattice_set_value(const struct lattice *now, uint64_t self,
                                  uint64_t at_ms, const char *value,
                                  size_t len);
/* NULL: past lattice_count_max. */
struct lattice *lattice_add(enum lattice_kind set, const struct lattice *now,
                            uint64_t self, const char *text, size_t len);
/* Of an OR-set: what `now` has of the element goes. */
struct lattice *lattice_remove(const struct lattice *now, const char *text,
                               size_t len);
/* Counters and clocks; `down` of a PN-counter. NULL: past lattice_count_max. */
struct lattice *lattice_count(enum lattice_kind counter,
                              const struct lattice *now, uint64_t self,
                              uint64_t by, bool down);
/* A map or pair (text "first", "second") with one lattice in it, which is
 * taken. */
struct lattice *lattice_wrap(enum lattice_kind outer, const char *text,
                             size_t len, struct lattice *inner);

/* -- reading --------------------------------------------------------------- */

bool lattice_number(const struct lattice *max_or_min, int64_t *out);
/* Sums saturate. */
int64_t lattice_total(const struct lattice *counter);
/* NULL before the first write. */
const char *lattice_value(const struct lattice *lww, size_t *len);
uint64_t lattice_clock(const struct lattice *vector_clock, uint64_t replica);
/* The lattice of that name; NULL. */
const struct lattice *lattice_inside(const struct lattice *map_or_pair,
                                     const char *text, size_t len);
/* Elements, names or replicas in order, each once: begin with *at 0; false at
 * the end. Any of the outputs may be NULL. */
struct lattice_item {
    const char *text;
    size_t len;
    uint64_t replica, count;
    const struct lattice *inner;
};
bool lattice_next(const struct lattice *lattice, size_t *at,
                  struct lattice_item *out);

#endif
