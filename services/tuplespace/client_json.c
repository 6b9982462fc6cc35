/* The JSON form: which messages have one, and values. */
#include "services/tuplespace/client_json.h"

#include "services/tuplespace/client.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Beyond it, not every reader of JSON keeps whole numbers whole. */
#define SAFE_INTEGER_MAX ((1LL << 53) - 1)

void *
tspace_json_alloc(struct tspace_json *in, size_t size)
{
    void *room = plex_arena_alloc(in->arena, size);

    if (room == NULL)
        (void)plex_err_set(in->err, PLEX_TOO_LARGE,
                           "the message needs more than %zu bytes of memory",
                           in->arena->max);
    return room;
}

enum plex_status
tspace_json_list(struct tspace_json *in, const json_t *json, const char *what)
{
    const size_t n = json_array_size(json);

    if (!json_is_array(json))
        return plex_err_set(in->err, PLEX_INVALID, "must be a list of %s",
                            what);
    if (n == 0 || n > TSPACE_JSON_LIST_MAX)
        return plex_err_set(in->err, PLEX_INVALID,
                            "has %zu %s, 1 to %d are allowed", n, what,
                            TSPACE_JSON_LIST_MAX);
    return PLEX_OK;
}

/* -- values ------------------------------------------------------------------
 */

bool
tspace_json_is_value(const json_t *object)
{
    static const char *const names[] = {"bytes", "tuple", "int", "float"};

    if (json_object_size(object) != 1)
        return false;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (json_object_get(object, names[i]) != NULL)
            return true;
    return false;
}

static enum plex_status
int_in(struct tspace_json *in, const json_t *json, PB(Field) * out)
{
    const char *text = json_string_value(json);
    char *end;

    out->value_case = PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_INT;
    if (json_is_integer(json)) {
        out->int_ = json_integer_value(json);
        return PLEX_OK;
    }
    errno = 0;
    if (text != NULL && text[strspn(text, "-0123456789")] == '\0') {
        out->int_ = strtoll(text, &end, 10);
        if (text[0] != '\0' && *end == '\0' && errno == 0)
            return PLEX_OK;
    }
    return plex_err_set(in->err, PLEX_INVALID,
                        "\"int\" must be a whole number of 64 bits, such as "
                        "\"9223372036854775807\"");
}

static enum plex_status
float_in(struct tspace_json *in, const json_t *json, PB(Field) * out)
{
    const char *text = json_string_value(json);

    out->value_case = PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_FLOAT;
    if (json_is_number(json)) {
        out->float_ = json_number_value(json);
        return PLEX_OK;
    }
    if (text != NULL &&
        (strcmp(text, "Infinity") == 0 || strcmp(text, "-Infinity") == 0)) {
        out->float_ = text[0] == '-' ? -(double)INFINITY : (double)INFINITY;
        return PLEX_OK;
    }
    return plex_err_set(in->err, PLEX_INVALID,
                        "\"float\" must be a number, \"Infinity\" or "
                        "\"-Infinity\"");
}

static enum plex_status
bytes_in(struct tspace_json *in, const json_t *json, PB(Field) * out)
{
    const struct plex_bytes text = {(const uint8_t *)json_string_value(json),
                                    json_string_length(json)};
    struct plex_bytes bytes;

    if (!json_is_string(json))
        return plex_err_set(in->err, PLEX_INVALID,
                            "\"bytes\" must be base64 text");
    if (plex_json_unbase64(text, in->arena, &bytes, in->err) != PLEX_OK)
        return plex_err_set(in->err, in->err->status,
                            "\"bytes\" must be base64 text");
    out->value_case = PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_BYTES;
    out->bytes.data = (uint8_t *)(uintptr_t)bytes.data;
    out->bytes.len = bytes.len;
    return PLEX_OK;
}

static enum plex_status
tuple_in(struct tspace_json *in, const json_t *json, PB(Field) * out)
{
    PB(FieldList) *list = tspace_json_alloc(in, sizeof *list);
    enum plex_status status;

    if (list == NULL)
        return in->err->status;
    if (in->depth + 1 >= TSPACE_JSON_DEPTH_MAX)
        return plex_err_set(in->err, PLEX_INVALID,
                            "has tuples within tuples, at most %d are allowed",
                            TSPACE_JSON_DEPTH_MAX);
    plexspaces__tuplespace__v1__field_list__init(list);
    out->value_case = PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_TUPLE;
    out->tuple = list;
    in->depth++;
    status = tspace_json_fields(in, json, &list->n_fields, &list->fields);
    in->depth--;
    return status;
}

static enum plex_status
object_in(struct tspace_json *in, const json_t *json, PB(Field) * out)
{
    json_t *value;

    if (!tspace_json_is_value(json))
        return plex_err_set(in->err, PLEX_INVALID,
                            "is an object, which as a value must be "
                            "{\"bytes\": ...}, {\"tuple\": [...]}, "
                            "{\"int\": ...} or {\"float\": ...}");
    if ((value = json_object_get(json, "bytes")) != NULL)
        return bytes_in(in, value, out);
    if ((value = json_object_get(json, "tuple")) != NULL)
        return tuple_in(in, value, out);
    if ((value = json_object_get(json, "int")) != NULL)
        return int_in(in, value, out);
    return float_in(in, json_object_get(json, "float"), out);
}

enum plex_status
tspace_json_field(struct tspace_json *in, const json_t *json, PB(Field) * out)
{
    switch (json_typeof(json)) {
    case JSON_STRING:
        out->value_case = PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_STRING;
        out->string = plex_arena_strndup(in->arena, json_string_value(json),
                                         json_string_length(json));
        return out->string != NULL                             ? PLEX_OK
               : tspace_json_alloc(in, in->arena->max) == NULL ? in->err->status
                                                               : PLEX_TOO_LARGE;
    case JSON_INTEGER:
        return int_in(in, json, out);
    case JSON_REAL:
        return float_in(in, json, out);
    case JSON_TRUE:
    case JSON_FALSE:
        out->value_case = PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_BOOL;
        out->bool_ = json_is_true(json);
        return PLEX_OK;
    case JSON_NULL:
        return PLEX_OK;
    case JSON_OBJECT:
        return object_in(in, json, out);
    case JSON_ARRAY:
        break;
    }
    return plex_err_set(in->err, PLEX_INVALID,
                        "is a list; a nested tuple is written {\"tuple\": "
                        "[...]}");
}

enum plex_status
tspace_json_fields(struct tspace_json *in, const json_t *json, size_t *n,
                   PB(Field) * **out)
{
    const size_t count = json_array_size(json);
    PB(Field) * fields;
    PB(Field) * *list;

    if (tspace_json_list(in, json, "fields") != PLEX_OK)
        return in->err->status;
    fields = tspace_json_alloc(in, count * sizeof *fields);
    list = tspace_json_alloc(in, count * sizeof *list);
    if (fields == NULL || list == NULL)
        return in->err->status;
    for (size_t i = 0; i < count; i++) {
        plexspaces__tuplespace__v1__field__init(&fields[i]);
        list[i] = &fields[i];
        if (tspace_json_field(in, json_array_get(json, i), list[i]) != PLEX_OK)
            return plex_err_wrap(in->err, "field %zu", i);
    }
    *n = count;
    *out = list;
    return PLEX_OK;
}

/* A list, or an object with the list as "fields". */
static enum plex_status
tuple_message_in(struct tspace_json *in, const json_t *json, PB(Tuple) * out)
{
    if (json_is_object(json)) {
        const json_t *fields = json_object_get(json, "fields");

        if (fields == NULL)
            return plex_err_set(in->err, PLEX_INVALID,
                                "must be a list of fields");
        json = fields;
    }
    return tspace_json_fields(in, json, &out->n_fields, &out->fields);
}

static bool
form_read(const json_t *json, ProtobufCMessage *message,
          struct plex_arena *arena, enum plex_status *status,
          struct plex_err *err)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    struct tspace_json in = {arena, err, 0};

    if (type == &plexspaces__tuplespace__v1__tuple__descriptor)
        *status = tuple_message_in(&in, json, (PB(Tuple) *)message);
    else if (type == &plexspaces__tuplespace__v1__template__descriptor)
        *status = tspace_json_template(&in, json, (PB(Template) *)message);
    else if (type == &plexspaces__tuplespace__v1__field__descriptor)
        *status = tspace_json_field(&in, json, (PB(Field) *)message);
    else
        return false;
    return true;
}

/* -- out ---------------------------------------------------------------------
 */

static json_t *fields_out(size_t n, PB(Field) * *fields);

static json_t *
field_out(const PB(Field) * field)
{
    char text[24];

    switch (field->value_case) {
    case PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_INT:
        if (field->int_ <= SAFE_INTEGER_MAX && field->int_ >= -SAFE_INTEGER_MAX)
            return json_integer(field->int_);
        (void)snprintf(text, sizeof text, "%" PRId64, field->int_);
        return json_pack("{s:s}", "int", text);
    case PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_FLOAT:
        if (isfinite(field->float_))
            return json_real(field->float_);
        return json_pack("{s:s}", "float",
                         field->float_ < 0 ? "-Infinity" : "Infinity");
    case PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_STRING:
        return json_string(field->string);
    case PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_BOOL:
        return json_boolean(field->bool_);
    case PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_BYTES:
        return json_pack("{s:o}", "bytes",
                         plex_json_base64((struct plex_bytes){
                             field->bytes.data, field->bytes.len}));
    case PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE_TUPLE:
        return json_pack(
            "{s:o}", "tuple",
            fields_out(field->tuple->n_fields, field->tuple->fields));
    case PLEXSPACES__TUPLESPACE__V1__FIELD__VALUE__NOT_SET:
    default:
        return json_null();
    }
}

static json_t *
fields_out(size_t n, PB(Field) * *fields)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(list, field_out(fields[i]));
    return list;
}

/* What a tuple does not have is left out. */
static json_t *
form_write(const ProtobufCMessage *message)
{
    const PB(Tuple) *tuple = (const void *)message;
    char id[24];
    json_t *json;

    if (message->descriptor != &plexspaces__tuplespace__v1__tuple__descriptor)
        return NULL;
    (void)snprintf(id, sizeof id, "%" PRIu64, tuple->id);
    json = json_pack("{s:s, s:o}", "id", id, "fields",
                     fields_out(tuple->n_fields, tuple->fields));
    if (tuple->expires_ms != 0)
        (void)json_object_set_new(json, "expires_ms",
                                  json_integer((json_int_t)tuple->expires_ms));
    if (tuple->owner[0] != '\0')
        (void)json_object_set_new(json, "owner", json_string(tuple->owner));
    if (tuple->metadata[0] != '\0')
        (void)json_object_set_new(json, "metadata",
                                  json_string(tuple->metadata));
    return json;
}

const struct plex_json_form tspace_json_form = {form_read, form_write};
