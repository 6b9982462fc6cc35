#ifndef COMMON_JSON_PB_H
#define COMMON_JSON_PB_H

#include "common/arena.h"

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

/*
 * protobuf's canonical JSON mapping by descriptors: lowerCamelCase names (the
 * proto's own names are accepted too), 64-bit integers as strings (numbers
 * accepted), bytes as base64, enums by name (numbers accepted), unset fields
 * left out. Durations and timestamps are plain integers with their unit in
 * the name throughout this project, so no well-known types are needed.
 */

/* Errors: PLEX_INVALID with the path of the field, what it holds and what
 * would be right; unknown fields are errors. */
PLEX_MUST_USE enum plex_status plex_json_to_pb(
    const json_t *json, const ProtobufCMessageDescriptor *type,
    struct plex_arena *arena, ProtobufCMessage **out, struct plex_err *err);

/* Set one field by its proto or JSON name from text (a path or query
 * parameter); dots enter sub-messages. PLEX_INVALID names the parameter. */
PLEX_MUST_USE enum plex_status plex_pb_set_text(ProtobufCMessage *message,
                                                const char *name,
                                                const char *text,
                                                struct plex_arena *arena,
                                                struct plex_err *err);

/* New reference. Zero scalars are included, so that tables have columns. */
json_t *plex_json_from_pb(const ProtobufCMessage *message);

#endif
