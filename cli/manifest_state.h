#ifndef CLI_MANIFEST_STATE_H
#define CLI_MANIFEST_STATE_H

#include "common/err.h"

#include <jansson.h>

/* A type's `state` becomes what carries it out: a built-in behaviour
 * (docs/lattices.md), durable or on every worker. A type without one needs a
 * module. PLEX_INVALID: err says what is wrong, without where. */
PLEX_MUST_USE enum plex_status manifest_state(json_t *type,
                                              struct plex_err *err);
/* Of all types: what they are kept in is there, and of the same kind. */
PLEX_MUST_USE enum plex_status manifest_kept(const json_t *manifest,
                                             struct plex_err *err);

#endif
