/* protobuf to JSON. */
#include "common/json_pb_private.h"

#include "common/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

json_t *
plex_json_base64(struct plex_bytes bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = plex_calloc(bytes.len / 3 + 2, 4);
    size_t used = 0;
    json_t *json;

    for (size_t i = 0; i < bytes.len; i += 3) {
        const size_t left = bytes.len - i;
        const uint32_t bits =
            (uint32_t)bytes.data[i] << 16 |
            (left > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0) |
            (left > 2 ? (uint32_t)bytes.data[i + 2] : 0);

        text[used++] = digits[bits >> 18 & 63];
        text[used++] = digits[bits >> 12 & 63];
        text[used++] = left > 1 ? digits[bits >> 6 & 63] : '=';
        text[used++] = left > 2 ? digits[bits & 63] : '=';
    }
    json = json_stringn(text, used);
    free(text);
    return json;
}

static json_t *
out_floating(double value)
{
    if (isnan(value))
        return json_string("NaN");
    if (isinf(value))
        return json_string(value > 0 ? "Infinity" : "-Infinity");
    return json_real(value);
}

static json_t *
out_u64(uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    return json_string(text);
}

static json_t *
out_i64(int64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRId64, value);
    return json_string(text);
}

static json_t *
out_enum(const ProtobufCEnumDescriptor *type, int number)
{
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value(type, number);

    return value != NULL ? json_string(value->name) : json_integer(number);
}

static json_t *
out_string(const char *text)
{
    json_t *json = json_string(text != NULL ? text : "");

    /* Only text made inside the process can be anything but UTF-8. */
    return json != NULL ? json : json_string("\xef\xbf\xbd");
}

static json_t *
out_bytes(const ProtobufCBinaryData *bytes)
{
    return plex_json_base64((struct plex_bytes){bytes->data, bytes->len});
}

static json_t *
out_value(const struct plex_json_form *form,
          const ProtobufCFieldDescriptor *field, const void *member)
{
    json_t *json = form != NULL ? json_form_value(form, field, member) : NULL;

    if (json != NULL)
        return json;
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return json_integer(*(const int32_t *)member);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return json_integer(*(const uint32_t *)member);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return out_i64(*(const int64_t *)member);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return out_u64(*(const uint64_t *)member);
    case PROTOBUF_C_TYPE_FLOAT:
        return out_floating((double)*(const float *)member);
    case PROTOBUF_C_TYPE_DOUBLE:
        return out_floating(*(const double *)member);
    case PROTOBUF_C_TYPE_BOOL:
        return json_boolean(*(const protobuf_c_boolean *)member);
    case PROTOBUF_C_TYPE_ENUM:
        return out_enum(field->descriptor, *(const int *)member);
    case PROTOBUF_C_TYPE_STRING:
        return out_string(*(const char *const *)member);
    case PROTOBUF_C_TYPE_BYTES:
        return out_bytes(member);
    case PROTOBUF_C_TYPE_MESSAGE:
        return plex_json_from_pb_as(form,
                                    *(const ProtobufCMessage *const *)member);
    }
    return json_null();
}

static const void *
member_of(const ProtobufCMessage *message, unsigned offset)
{
    return (const char *)message + offset;
}

/* A JSON object's keys are text: numbers and booleans are written as such. */
static void
map_key(const ProtobufCFieldDescriptor *field, const void *member,
        char number[24], const char **out)
{
    *out = number;
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        *out = *(const char *const *)member;
        break;
    case PROTOBUF_C_TYPE_BOOL:
        *out = *(const protobuf_c_boolean *)member ? "true" : "false";
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        (void)snprintf(number, 24, "%" PRId64, *(const int64_t *)member);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        (void)snprintf(number, 24, "%" PRIu64, *(const uint64_t *)member);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        (void)snprintf(number, 24, "%" PRIu32, *(const uint32_t *)member);
        break;
    default:
        (void)snprintf(number, 24, "%" PRId32, *(const int32_t *)member);
        break;
    }
}

static json_t *
out_map(const struct plex_json_form *form,
        const ProtobufCFieldDescriptor *field, size_t count,
        const ProtobufCMessage *const *entries)
{
    const ProtobufCMessageDescriptor *type = field->descriptor;
    json_t *object = json_object();
    char number[24];
    const char *key;

    for (size_t i = 0; i < count; i++) {
        map_key(&type->fields[0], member_of(entries[i], type->fields[0].offset),
                number, &key);
        (void)json_object_set_new(
            object, key,
            out_value(form, &type->fields[1],
                      member_of(entries[i], type->fields[1].offset)));
    }
    return object;
}

static json_t *
out_list(const struct plex_json_form *form,
         const ProtobufCFieldDescriptor *field, size_t count, const char *items)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(
            list, out_value(form, field,
                            items + i * json_pb_value_size(field->type)));
    return list;
}

/* NULL: the field is not there. */
static json_t *
out_field(const struct plex_json_form *form, const ProtobufCMessage *message,
          const ProtobufCFieldDescriptor *field)
{
    const void *member = member_of(message, field->offset);
    const void *quantifier = member_of(message, field->quantifier_offset);

    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        const size_t count = *(const size_t *)quantifier;

        if (json_pb_is_map(message->descriptor, field))
            return out_map(form, field, count,
                           *(const ProtobufCMessage *const *const *)member);
        return out_list(form, field, count, *(const char *const *)member);
    }
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
        if (*(const uint32_t *)quantifier != field->id)
            return NULL;
    } else if (field->label == PROTOBUF_C_LABEL_OPTIONAL &&
               field->quantifier_offset != 0 &&
               !*(const protobuf_c_boolean *)quantifier) {
        return NULL;
    }
    if (field->type == PROTOBUF_C_TYPE_MESSAGE &&
        *(const ProtobufCMessage *const *)member == NULL)
        return NULL;
    return out_value(form, field, member);
}

json_t *
plex_json_from_pb_as(const struct plex_json_form *form,
                     const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    char camel[JSON_PB_NAME_MAX];
    json_t *object = form != NULL ? form->write(message) : NULL;

    if (object != NULL)
        return object;
    object = json_object();
    for (unsigned i = 0; i < type->n_fields; i++) {
        const char *name = type->fields[i].name;
        json_t *value = out_field(form, message, &type->fields[i]);

        if (value == NULL)
            continue;
        if (form == NULL && json_pb_camel(name, camel))
            name = camel;
        (void)json_object_set_new(object, name, value);
    }
    return object;
}

json_t *
plex_json_from_pb(const ProtobufCMessage *message)
{
    return plex_json_from_pb_as(NULL, message);
}
