#ifndef COMMON_JSON_PB_PRIVATE_H
#define COMMON_JSON_PB_PRIVATE_H

#include "common/json_pb.h"

/* What the halves of the JSON mapping share; for json_pb*.c only. */

enum { JSON_PB_NAME_MAX = 128 };

/* "idle_timeout_ms" is "idleTimeoutMs" in JSON. False if it does not fit. */
bool json_pb_camel(const char *name, char out[JSON_PB_NAME_MAX]);
/* protobuf-c shows a map as a repeated message of key and value, named after
 * the field: tell it from one that was declared so. */
bool json_pb_is_map(const ProtobufCMessageDescriptor *parent,
                    const ProtobufCFieldDescriptor *field);
/* Bytes of one value of this type in a message or an array. */
size_t json_pb_value_size(ProtobufCType type);

/* Where we are in a message, for errors; the root has no name. */
struct json_pb_path {
    const struct json_pb_path *parent;
    const char *name;
    size_t index; /* in a list, from 0; SIZE_MAX: none */
};

/* What one conversion carries along. */
struct json_pb_in {
    struct plex_arena *arena;
    struct plex_err *err;
    const struct plex_json_form *form; /* NULL: canonical */
};

/* PLEX_INVALID: "<path> <text>". */
enum plex_status json_pb_refuse(const struct json_pb_in *in,
                                const struct json_pb_path *path,
                                const char *fmt, ...) PLEX_PRINTF(3, 4);
/* PLEX_TOO_LARGE: the arena is full. */
enum plex_status json_pb_full(const struct json_pb_in *in);

/* Set the scalar at `member` from text, and from JSON. */
enum plex_status json_pb_scalar_text(const struct json_pb_in *in,
                                     const struct json_pb_path *path,
                                     const ProtobufCFieldDescriptor *field,
                                     struct plex_bytes text, void *member);
enum plex_status json_pb_scalar_json(const struct json_pb_in *in,
                                     const struct json_pb_path *path,
                                     const ProtobufCFieldDescriptor *field,
                                     const json_t *json, void *member);

/* -- json_form.c: what differs where there is a form ----------------------- */

/* False: nothing does, or the canonical mapping is to be tried. */
bool json_form_text(const struct json_pb_in *in,
                    const struct json_pb_path *path,
                    const ProtobufCFieldDescriptor *field,
                    struct plex_bytes text, void *member,
                    enum plex_status *status);
/* A message whose form is its own. */
bool json_form_read(const struct json_pb_in *in,
                    const struct json_pb_path *path, const json_t *json,
                    ProtobufCMessage *message, enum plex_status *status);
enum plex_status json_form_read_text(const struct json_pb_in *in,
                                     const struct json_pb_path *path,
                                     const char *text,
                                     ProtobufCMessage *message);
/* NULL: as in the canonical mapping. */
json_t *json_form_value(const struct plex_json_form *form,
                        const ProtobufCFieldDescriptor *field,
                        const void *member);

#endif
