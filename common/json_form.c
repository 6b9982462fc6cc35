/* JSON forms beside protobuf's canonical one: see plex_json_form. */
#include "common/json_pb_private.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* "EVENT_TAKEN" of enum TupleEvent or Event is "taken": the words of the
 * type's name that begin the value's are left out. */
static const char *
value_name(const ProtobufCEnumDescriptor *type, const char *name)
{
    const char *full = name;

    for (const char *t = type->short_name; *t != '\0'; t++) {
        if (isupper((unsigned char)*t) && t != type->short_name && *name == '_')
            name++;
        if (toupper((unsigned char)*t) != *name)
            return full;
        name++;
    }
    return *name == '_' ? name + 1 : full;
}

static void
lower(const char *text, char out[JSON_PB_NAME_MAX])
{
    size_t n = 0;

    for (; text[n] != '\0' && n + 1 < JSON_PB_NAME_MAX; n++)
        out[n] = (char)tolower((unsigned char)text[n]);
    out[n] = '\0';
}

static const ProtobufCEnumValue *
value_find(const ProtobufCEnumDescriptor *type, struct plex_bytes text)
{
    char name[JSON_PB_NAME_MAX];

    for (unsigned i = 0; i < type->n_values; i++) {
        lower(value_name(type, type->values[i].name), name);
        if (strlen(name) == text.len && memcmp(name, text.data, text.len) == 0)
            return &type->values[i];
    }
    return NULL;
}

bool
json_form_text(const struct json_pb_in *in, const struct json_pb_path *path,
               const ProtobufCFieldDescriptor *field, struct plex_bytes text,
               void *member, enum plex_status *status)
{
    const ProtobufCEnumDescriptor *type = field->descriptor;
    const ProtobufCEnumValue *value;
    char name[JSON_PB_NAME_MAX];

    if (in->form == NULL || field->type != PROTOBUF_C_TYPE_ENUM)
        return false;
    value = value_find(type, text);
    if (value != NULL) {
        *(int *)member = value->value;
        *status = PLEX_OK;
        return true;
    }
    if (text.len > 0 && (isdigit(text.data[0]) || isupper(text.data[0])))
        return false;
    lower(value_name(type, type->values[type->n_values - 1].name), name);
    *status = json_pb_refuse(in, path,
                             "is \"%.*s\", it must be a %s, for example "
                             "\"%s\"",
                             text.len < 40 ? (int)text.len : 40,
                             (const char *)text.data, type->short_name, name);
    return true;
}

bool
json_form_read(const struct json_pb_in *in, const struct json_pb_path *path,
               const json_t *json, ProtobufCMessage *message,
               enum plex_status *status)
{
    struct plex_err err;

    if (in->form == NULL ||
        !in->form->read(json, message, in->arena, status, &err))
        return false;
    if (*status == PLEX_INVALID)
        *status = json_pb_refuse(in, path, "%s", err.text);
    else if (*status != PLEX_OK)
        *in->err = err;
    return true;
}

enum plex_status
json_form_read_text(const struct json_pb_in *in,
                    const struct json_pb_path *path, const char *text,
                    ProtobufCMessage *message)
{
    json_error_t wrong;
    json_t *json =
        json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &wrong);
    enum plex_status status;

    if (json == NULL)
        return json_pb_refuse(in, path, "is not JSON: column %d: %.80s",
                              wrong.column, wrong.text);
    if (!json_form_read(in, path, json, message, &status))
        status = json_pb_refuse(in, path, "cannot be given as a parameter");
    json_decref(json);
    return status;
}

static bool
is_id(const char *name)
{
    const size_t len = strlen(name);

    return strcmp(name, "id") == 0 || strcmp(name, "ids") == 0 ||
           strcmp(name, "cursor") == 0 ||
           (len > 3 && strcmp(name + len - 3, "_id") == 0) ||
           (len > 4 && strcmp(name + len - 4, "_ids") == 0);
}

json_t *
json_form_value(const struct plex_json_form *form,
                const ProtobufCFieldDescriptor *field, const void *member)
{
    const ProtobufCEnumValue *value;
    char name[JSON_PB_NAME_MAX];

    (void)form;
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return is_id(field->name) ? NULL
                                  : json_integer(*(const int64_t *)member);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        if (is_id(field->name) || *(const uint64_t *)member > INT64_MAX)
            return NULL;
        return json_integer((json_int_t) * (const uint64_t *)member);
    case PROTOBUF_C_TYPE_ENUM:
        value = protobuf_c_enum_descriptor_get_value(field->descriptor,
                                                     *(const int *)member);
        if (value == NULL)
            return NULL;
        lower(value_name(field->descriptor, value->name), name);
        return json_string(name);
    default:
        return NULL;
    }
}
