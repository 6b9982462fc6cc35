#ifndef LATTICE_JSON_H
#define LATTICE_JSON_H

#include "lattice/lattice.h"

#include <jansson.h>

/* Lattices as people write and read them: docs/lattices.md. */

/* What kinds a lattice of that declaration may have: "map/or_set", outermost
 * first. PLEX_INVALID lists what is known. */
PLEX_MUST_USE enum plex_status lattice_kinds_check(const char *kinds,
                                                   struct plex_err *err);
/*
 * The delta of an update {"op", "value" or "by", "path", "kind"} of `now`
 * (NULL: there is none yet) by replica `self` at `at_ms`. `kinds` is what is
 * declared,
 * "" for nothing.
 *
 * Errors: PLEX_INVALID (what is wrong), PLEX_CONFLICT (it is of another kind),
 * PLEX_TOO_LARGE.
 */
PLEX_MUST_USE enum plex_status lattice_update(
    const struct lattice *now, const char *kinds, uint64_t self, uint64_t at_ms,
    const json_t *request, struct lattice **delta, struct plex_err *err);
/* Its value; a new reference. */
json_t *lattice_view(const struct lattice *lattice);

#endif
