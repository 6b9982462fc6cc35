#include "common/json_pb_private.h"

#include "common/wire.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

bool
json_pb_camel(const char *name, char out[JSON_PB_NAME_MAX])
{
    size_t used = 0;
    bool upper = false;

    for (; *name != '\0'; name++) {
        if (*name == '_') {
            upper = true;
            continue;
        }
        if (used + 1 == JSON_PB_NAME_MAX)
            return false;
        out[used++] = upper && *name >= 'a' && *name <= 'z'
                          ? (char)(*name - 'a' + 'A')
                          : *name;
        upper = false;
    }
    out[used] = '\0';
    return true;
}

bool
json_pb_is_map(const ProtobufCMessageDescriptor *parent,
               const ProtobufCFieldDescriptor *field)
{
    char want[2 * JSON_PB_NAME_MAX + 16], camel[JSON_PB_NAME_MAX];
    const ProtobufCMessageDescriptor *entry = field->descriptor;

    if (field->label != PROTOBUF_C_LABEL_REPEATED ||
        field->type != PROTOBUF_C_TYPE_MESSAGE || entry->n_fields != 2 ||
        strcmp(entry->fields[0].name, "key") != 0 ||
        strcmp(entry->fields[1].name, "value") != 0 ||
        !json_pb_camel(field->name, camel))
        return false;
    if (camel[0] >= 'a' && camel[0] <= 'z')
        camel[0] = (char)(camel[0] - 'a' + 'A');
    (void)snprintf(want, sizeof want, "%s.%sEntry", parent->name, camel);
    return strcmp(want, entry->name) == 0;
}

static void *
member_of(ProtobufCMessage *message, unsigned offset)
{
    return (char *)message + offset;
}

static ProtobufCMessage *
make_message(const struct json_pb_in *in,
             const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *message =
        plex_arena_alloc(in->arena, type->sizeof_message);

    if (message != NULL)
        protobuf_c_message_init(type, message);
    return message;
}

/* -- from JSON ------------------------------------------------------------ */

static enum plex_status read_message(const struct json_pb_in *in,
                                     const struct json_pb_path *path,
                                     unsigned depth, const json_t *json,
                                     ProtobufCMessage *message);

/* One value, not a list. */
static enum plex_status
read_value(const struct json_pb_in *in, const struct json_pb_path *path,
           unsigned depth, const ProtobufCFieldDescriptor *field,
           const json_t *json, void *member)
{
    ProtobufCMessage *sub;
    enum plex_status status;

    if (field->type != PROTOBUF_C_TYPE_MESSAGE)
        return json_pb_scalar_json(in, path, field, json, member);
    sub = make_message(in, field->descriptor);
    if (sub == NULL)
        return json_pb_full(in);
    *(ProtobufCMessage **)member = sub;
    if (json_form_read(in, path, json, sub, &status))
        return status;
    return read_message(in, path, depth + 1, json, sub);
}

static enum plex_status
read_list(const struct json_pb_in *in, const struct json_pb_path *path,
          unsigned depth, const ProtobufCFieldDescriptor *field,
          const json_t *json, ProtobufCMessage *message)
{
    const size_t size = json_pb_value_size(field->type);
    const size_t count = json_array_size(json);
    char *items;

    if (!json_is_array(json))
        return json_pb_refuse(in, path, "must be a list");
    items = plex_arena_alloc(in->arena, count * size);
    if (items == NULL)
        return json_pb_full(in);
    memset(items, 0, count * size);
    for (size_t i = 0; i < count; i++) {
        const struct json_pb_path at = {path, NULL, i};

        if (read_value(in, &at, depth, field, json_array_get(json, i),
                       items + i * size) != PLEX_OK)
            return in->err->status;
    }
    *(size_t *)member_of(message, field->quantifier_offset) = count;
    *(void **)member_of(message, field->offset) = count ? items : NULL;
    return PLEX_OK;
}

static enum plex_status
read_map(const struct json_pb_in *in, const struct json_pb_path *path,
         unsigned depth, const ProtobufCFieldDescriptor *field, json_t *json,
         ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *type = field->descriptor;
    const size_t size = json_object_size(json);
    ProtobufCMessage **items;
    size_t count = 0;

    if (!json_is_object(json))
        return json_pb_refuse(in, path, "must be an object");
    items = plex_arena_alloc(in->arena, size * sizeof(void *));
    if (items == NULL)
        return json_pb_full(in);
    for (void *it = json_object_iter(json); it != NULL;
         it = json_object_iter_next(json, it)) {
        const char *name = json_object_iter_key(it);
        const struct json_pb_path at = {path, name, SIZE_MAX};
        const struct plex_bytes key = {(const uint8_t *)name, strlen(name)};
        ProtobufCMessage *entry = make_message(in, type);

        if (entry == NULL)
            return json_pb_full(in);
        if (json_pb_scalar_text(in, &at, &type->fields[0], key,
                                member_of(entry, type->fields[0].offset)) !=
                PLEX_OK ||
            read_value(in, &at, depth, &type->fields[1],
                       json_object_iter_value(it),
                       member_of(entry, type->fields[1].offset)) != PLEX_OK)
            return in->err->status;
        items[count++] = entry;
    }
    *(size_t *)member_of(message, field->quantifier_offset) = count;
    *(void **)member_of(message, field->offset) = count ? items : NULL;
    return PLEX_OK;
}

/* Say that the field is there, where its message keeps that. */
static enum plex_status
mark_present(const struct json_pb_in *in, const struct json_pb_path *path,
             const ProtobufCFieldDescriptor *field, ProtobufCMessage *message)
{
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
        uint32_t *which = member_of(message, field->quantifier_offset);

        if (*which != 0 && *which != field->id)
            return json_pb_refuse(in, path,
                                  "is given beside another one of which only "
                                  "one may be");
        *which = field->id;
    } else if (field->label == PROTOBUF_C_LABEL_OPTIONAL &&
               field->quantifier_offset != 0) {
        *(protobuf_c_boolean *)member_of(message, field->quantifier_offset) = 1;
    }
    return PLEX_OK;
}

static enum plex_status
read_field(const struct json_pb_in *in, const struct json_pb_path *path,
           unsigned depth, const ProtobufCFieldDescriptor *field, json_t *json,
           ProtobufCMessage *message)
{
    if (json_is_null(json))
        return PLEX_OK; /* as if it were not there */
    if (json_pb_is_map(message->descriptor, field))
        return read_map(in, path, depth, field, json, message);
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return read_list(in, path, depth, field, json, message);
    if (mark_present(in, path, field, message) != PLEX_OK)
        return in->err->status;
    return read_value(in, path, depth, field, json,
                      member_of(message, field->offset));
}

static const ProtobufCFieldDescriptor *
find_field(const ProtobufCMessageDescriptor *type, const char *name)
{
    char camel[JSON_PB_NAME_MAX];

    for (unsigned i = 0; i < type->n_fields; i++) {
        if (strcmp(type->fields[i].name, name) == 0 ||
            (json_pb_camel(type->fields[i].name, camel) &&
             strcmp(camel, name) == 0))
            return &type->fields[i];
    }
    return NULL;
}

static enum plex_status
refuse_unknown(const struct json_pb_in *in, const struct json_pb_path *path,
               const ProtobufCMessageDescriptor *type, json_t *json)
{
    for (void *it = json_object_iter(json); it != NULL;
         it = json_object_iter_next(json, it)) {
        const struct json_pb_path at = {path, json_object_iter_key(it),
                                        SIZE_MAX};

        if (find_field(type, at.name) == NULL)
            return json_pb_refuse(in, &at, "is not a field of %s",
                                  type->short_name);
    }
    return json_pb_refuse(in, path, "has a field twice");
}

/* Field by field in the order of the declaration, not of the object, so that
 * the first error is always the same one. */
static enum plex_status
read_message(const struct json_pb_in *in, const struct json_pb_path *path,
             unsigned depth, const json_t *json, ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    char camel[JSON_PB_NAME_MAX];
    size_t used = 0;

    if (depth > PLEX_WIRE_DEPTH_MAX)
        return json_pb_refuse(in, path, "is nested deeper than %d messages",
                              PLEX_WIRE_DEPTH_MAX);
    if (!json_is_object(json))
        return json_pb_refuse(in, path, "must be an object");
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        const struct json_pb_path at = {path, field->name, SIZE_MAX};
        json_t *value = json_object_get(json, field->name);

        if (value == NULL && json_pb_camel(field->name, camel))
            value = json_object_get(json, camel);
        if (value == NULL)
            continue;
        used++;
        if (read_field(in, &at, depth, field, value, message) != PLEX_OK)
            return in->err->status;
    }
    if (used != json_object_size(json))
        return refuse_unknown(in, path, type, (json_t *)(uintptr_t)json);
    return PLEX_OK;
}

enum plex_status
plex_json_to_pb_as(const struct plex_json_form *form, const json_t *json,
                   const ProtobufCMessageDescriptor *type,
                   struct plex_arena *arena, ProtobufCMessage **out,
                   struct plex_err *err)
{
    const struct json_pb_in in = {arena, err, form};
    ProtobufCMessage *message = make_message(&in, type);

    if (message == NULL)
        return json_pb_full(&in);
    if (read_message(&in, NULL, 1, json, message) != PLEX_OK)
        return err->status;
    *out = message;
    return PLEX_OK;
}

enum plex_status
plex_json_to_pb(const json_t *json, const ProtobufCMessageDescriptor *type,
                struct plex_arena *arena, ProtobufCMessage **out,
                struct plex_err *err)
{
    return plex_json_to_pb_as(NULL, json, type, arena, out, err);
}

/* -- from parameters ------------------------------------------------------ */

/* Room for one more value at the end of a list; NULL: the arena is full. */
static void *
list_append(const struct json_pb_in *in, const ProtobufCFieldDescriptor *field,
            ProtobufCMessage *message)
{
    const size_t size = json_pb_value_size(field->type);
    size_t *count = member_of(message, field->quantifier_offset);
    char **items = member_of(message, field->offset);

    char *grown = plex_arena_alloc(in->arena, (*count + 1) * size);

    /* Nobody knows what room the list has: it may come from elsewhere. */
    if (grown == NULL)
        return NULL;
    if (*count > 0)
        memcpy(grown, *items, *count * size);
    *items = grown;
    memset(*items + *count * size, 0, size);
    return *items + (*count)++ * size;
}

static enum plex_status
set_text(const struct json_pb_in *in, const struct json_pb_path *path,
         const ProtobufCFieldDescriptor *field, const char *text,
         ProtobufCMessage *message)
{
    const struct plex_bytes bytes = {(const uint8_t *)text, strlen(text)};
    void *member = member_of(message, field->offset);

    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        ProtobufCMessage *sub = make_message(in, field->descriptor);

        if (in->form == NULL || field->label == PROTOBUF_C_LABEL_REPEATED)
            return json_pb_refuse(in, path, "cannot be given as a parameter");
        if (sub == NULL)
            return json_pb_full(in);
        *(ProtobufCMessage **)member = sub;
        return json_form_read_text(in, path, text, sub);
    }
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        member = list_append(in, field, message);
        if (member == NULL)
            return json_pb_full(in);
    } else if (mark_present(in, path, field, message) != PLEX_OK) {
        return in->err->status;
    }
    return json_pb_scalar_text(in, path, field, bytes, member);
}

/* The sub-message a dotted name enters, made if it is not there. */
static ProtobufCMessage *
enter(const struct json_pb_in *in, const ProtobufCFieldDescriptor *field,
      ProtobufCMessage *message)
{
    ProtobufCMessage **sub = member_of(message, field->offset);
    const bool in_oneof = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
    uint32_t *which = member_of(message, field->quantifier_offset);

    if (!in_oneof && *sub != NULL)
        return *sub;
    if (in_oneof && *which == field->id)
        return *sub;
    *sub = make_message(in, field->descriptor);
    if (in_oneof)
        *which = field->id;
    return *sub;
}

enum plex_status
plex_pb_set_text_as(const struct plex_json_form *form,
                    ProtobufCMessage *message, const char *name,
                    const char *text, struct plex_arena *arena,
                    struct plex_err *err)
{
    const struct json_pb_in in = {arena, err, form};
    const struct json_pb_path path = {NULL, name, SIZE_MAX};
    const ProtobufCFieldDescriptor *field;
    char part[JSON_PB_NAME_MAX];
    const char *at = name, *dot;

    for (unsigned depth = 1; depth <= PLEX_WIRE_DEPTH_MAX; depth++) {
        dot = strchr(at, '.');
        (void)snprintf(part, sizeof part, "%.*s",
                       (int)(dot ? dot - at : (ptrdiff_t)strnlen(at, 4096)),
                       at);
        field = find_field(message->descriptor, part);
        if (field == NULL)
            return json_pb_refuse(&in, &path, "is not a parameter of %s",
                                  message->descriptor->short_name);
        if (dot == NULL)
            return set_text(&in, &path, field, text, message);
        if (field->type != PROTOBUF_C_TYPE_MESSAGE ||
            field->label == PROTOBUF_C_LABEL_REPEATED)
            return json_pb_refuse(&in, &path,
                                  "is not a parameter: \"%.64s\" "
                                  "has no fields",
                                  part);
        message = enter(&in, field, message);
        if (message == NULL)
            return json_pb_full(&in);
        at = dot + 1;
    }
    return json_pb_refuse(&in, &path, "is nested too deep");
}

enum plex_status
plex_pb_set_text(ProtobufCMessage *message, const char *name, const char *text,
                 struct plex_arena *arena, struct plex_err *err)
{
    return plex_pb_set_text_as(NULL, message, name, text, arena, err);
}
