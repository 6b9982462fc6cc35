#ifndef SERVICES_GATEWAY_JSON_CHECK_H
#define SERVICES_GATEWAY_JSON_CHECK_H

#include "common/bytes.h"

/*
 * Is it one JSON text (RFC 8259), in well-formed UTF-8? Builds nothing, so it
 * is cheap enough for every request. Errors: PLEX_INVALID with the offset and
 * what stands there; more than GATE_JSON_DEPTH_MAX nested values are refused.
 */
enum { GATE_JSON_DEPTH_MAX = 256 };

PLEX_MUST_USE enum plex_status gate_json_check(struct plex_bytes text,
                                               struct plex_err *err);

#endif
