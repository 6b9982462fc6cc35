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

/*
 * Another JSON form, in which some messages are written in a way of their own,
 * and the others plainly: fields named as in the proto, 64-bit integers as
 * numbers (but ids, "..._id" and "cursor", which stay text: not every reader
 * of JSON has 64 bits), enum values in lower case without their type's name.
 * What the canonical mapping reads is read here too.
 */
struct plex_json_form {
    /* Read a message that has a way of its own; false: it has none. */
    bool (*read)(const json_t *json, ProtobufCMessage *message,
                 struct plex_arena *arena, enum plex_status *status,
                 struct plex_err *err);
    /* A new reference, or NULL: it has none. */
    json_t *(*write)(const ProtobufCMessage *message);
};
/* As the three above. A parameter may be a message: its text is JSON. */
PLEX_MUST_USE enum plex_status plex_json_to_pb_as(
    const struct plex_json_form *form, const json_t *json,
    const ProtobufCMessageDescriptor *type, struct plex_arena *arena,
    ProtobufCMessage **out, struct plex_err *err);
PLEX_MUST_USE enum plex_status plex_pb_set_text_as(
    const struct plex_json_form *form, ProtobufCMessage *message,
    const char *name, const char *text, struct plex_arena *arena,
    struct plex_err *err);
json_t *plex_json_from_pb_as(const struct plex_json_form *form,
                             const ProtobufCMessage *message);
/* Base64 with padding, a new reference; and back, in either alphabet. */
json_t *plex_json_base64(struct plex_bytes bytes);
PLEX_MUST_USE enum plex_status plex_json_unbase64(struct plex_bytes text,
                                                  struct plex_arena *arena,
                                                  struct plex_bytes *out,
                                                  struct plex_err *err);

#endif
