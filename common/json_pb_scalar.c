/* Scalars of the JSON mapping: one value from text or JSON. */
#include "common/json_pb_private.h"

#include "common/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_TEXT_MAX = 64 };

static size_t
format_path(const struct json_pb_path *path, char *out, size_t size)
{
    size_t used = 0;
    int n;

    if (path == NULL || size == 0)
        return 0;
    used = format_path(path->parent, out, size);
    if (path->index != SIZE_MAX)
        n = snprintf(out + used, size - used, "[%zu]", path->index);
    else
        n = snprintf(out + used, size - used, "%s%.64s", used ? "." : "",
                     path->name);
    used += n > 0 ? (size_t)n : 0;
    return used < size ? used : size - 1;
}

enum plex_status
json_pb_refuse(const struct json_pb_in *in, const struct json_pb_path *path,
               const char *fmt, ...)
{
    char where[PLEX_ERR_TEXT_MAX / 2] = "", what[PLEX_ERR_TEXT_MAX];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    (void)format_path(path, where, sizeof where);
    return plex_err_set(in->err, PLEX_INVALID, "%s %s",
                        where[0] ? where : "the message", what);
}

enum plex_status
json_pb_full(const struct json_pb_in *in)
{
    return plex_err_set(in->err, PLEX_TOO_LARGE,
                        "the message needs more than %zu bytes of memory",
                        in->arena->max);
}

size_t
json_pb_value_size(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return 4;
    }
}

struct range {
    bool is_signed;
    bool is_wide;
};

static bool
integer_range(ProtobufCType type, struct range *out)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        *out = (struct range){true, false};
        return true;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        *out = (struct range){false, false};
        return true;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        *out = (struct range){true, true};
        return true;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        *out = (struct range){false, true};
        return true;
    default:
        return false;
    }
}

static enum plex_status
refuse_integer(const struct json_pb_in *in, const struct json_pb_path *path,
               struct range range, const char *shown)
{
    const char *min = "0", *max = "18446744073709551615";

    if (range.is_signed && range.is_wide)
        min = "-9223372036854775808", max = "9223372036854775807";
    else if (range.is_signed)
        min = "-2147483648", max = "2147483647";
    else if (!range.is_wide)
        max = "4294967295";
    return json_pb_refuse(in, path,
                          "is %.40s, it must be a whole number from %s to %s",
                          shown, min, max);
}

/* Digits with an optional '-', nothing else; out of range is refused. */
static bool
parse_integer(const char *text, struct range range, void *member)
{
    const bool minus = text[0] == '-';
    unsigned long long limit, value;
    char *end;

    if (text[minus] < '0' || text[minus] > '9')
        return false;
    errno = 0;
    value = strtoull(text + minus, &end, 10);
    if (errno != 0 || *end != '\0')
        return false;
    limit = range.is_wide ? UINT64_MAX : UINT32_MAX;
    if (range.is_signed)
        limit = limit / 2 + (minus ? 1 : 0);
    else if (minus)
        limit = 0;
    if (value > limit)
        return false;
    value = minus ? 0 - value : value;
    if (range.is_wide)
        *(uint64_t *)member = value;
    else
        *(uint32_t *)member = (uint32_t)value;
    return true;
}

static enum plex_status
set_floating(const struct json_pb_in *in, const struct json_pb_path *path,
             ProtobufCType type, double value, void *member)
{
    if (type == PROTOBUF_C_TYPE_DOUBLE) {
        *(double *)member = value;
        return PLEX_OK;
    }
    if (isfinite(value) && fabs(value) > 3.4028234663852886e38)
        return json_pb_refuse(in, path,
                              "is too large for a 32-bit floating number");
    *(float *)member = (float)value;
    return PLEX_OK;
}

/* Decimal only: strtod alone would take hexadecimal, "inf" and "nan". */
static bool
parse_floating(const char *text, double *out)
{
    char *end;

    if (strcmp(text, "NaN") == 0)
        *out = (double)NAN;
    else if (strcmp(text, "Infinity") == 0)
        *out = (double)INFINITY;
    else if (strcmp(text, "-Infinity") == 0)
        *out = -(double)INFINITY;
    else if (text[0] == '\0' || text[strspn(text, "+-.0123456789eE")] != '\0')
        return false;
    else {
        *out = strtod(text, &end);
        return *end == '\0' && isfinite(*out);
    }
    return true;
}

static enum plex_status
set_floating_text(const struct json_pb_in *in, const struct json_pb_path *path,
                  ProtobufCType type, const char *text, void *member)
{
    double value;

    if (!parse_floating(text, &value))
        return json_pb_refuse(in, path, "is \"%.40s\", it must be a number",
                              text);
    return set_floating(in, path, type, value, member);
}

static int
base64_value(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    if (c == '/' || c == '_')
        return 63;
    return -1;
}

/* Both alphabets, padding optional: what protobuf's mapping accepts. */
static enum plex_status
set_bytes(const struct json_pb_in *in, const struct json_pb_path *path,
          struct plex_bytes text, ProtobufCBinaryData *out)
{
    uint32_t bits = 0;
    unsigned have = 0;

    while (text.len > 0 && text.data[text.len - 1] == '=')
        text.len--;
    out->len = 0;
    out->data = plex_arena_alloc(in->arena, text.len / 4 * 3 + 3);
    if (out->data == NULL)
        return json_pb_full(in);
    for (size_t i = 0; i < text.len; i++) {
        const int value = base64_value(text.data[i]);

        if (value < 0)
            return json_pb_refuse(in, path, "is not base64 at character %zu",
                                  i + 1);
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out->data[out->len++] = (uint8_t)(bits >> have);
        }
    }
    if (have == 6)
        return json_pb_refuse(in, path,
                              "is not base64: a character is missing");
    return PLEX_OK;
}

enum plex_status
plex_json_unbase64(struct plex_bytes text, struct plex_arena *arena,
                   struct plex_bytes *out, struct plex_err *err)
{
    const struct json_pb_in in = {.arena = arena, .err = err};
    ProtobufCBinaryData data = {0};
    const enum plex_status status = set_bytes(&in, NULL, text, &data);

    *out = (struct plex_bytes){data.data, data.len};
    return status;
}

static enum plex_status
set_enum(const struct json_pb_in *in, const struct json_pb_path *path,
         const ProtobufCEnumDescriptor *type, const char *text, void *member)
{
    const struct range range = {true, false};
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value_by_name(type, text);
    int32_t number;

    if (value == NULL && parse_integer(text, range, &number))
        value = protobuf_c_enum_descriptor_get_value(type, number);
    if (value == NULL)
        return json_pb_refuse(in, path,
                              "is \"%.40s\", it must be a %s, for example "
                              "\"%s\"",
                              text, type->short_name,
                              type->values[type->n_values - 1].name);
    *(int32_t *)member = value->value;
    return PLEX_OK;
}

static enum plex_status
set_string(const struct json_pb_in *in, const struct json_pb_path *path,
           struct plex_bytes text, char **member)
{
    if (text.len > 0 && memchr(text.data, 0, text.len) != NULL)
        return json_pb_refuse(in, path, "holds a NUL character");
    if (!plex_utf8_valid(text.data, text.len))
        return json_pb_refuse(in, path, "is not UTF-8");
    *member = plex_arena_strndup(in->arena, (const char *)text.data, text.len);
    return *member != NULL ? PLEX_OK : json_pb_full(in);
}

static enum plex_status
set_bool_text(const struct json_pb_in *in, const struct json_pb_path *path,
              const char *text, protobuf_c_boolean *member)
{
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
        return json_pb_refuse(in, path,
                              "is \"%.40s\", it must be true or "
                              "false",
                              text);
    *member = text[0] == 't';
    return PLEX_OK;
}

enum plex_status
json_pb_scalar_text(const struct json_pb_in *in,
                    const struct json_pb_path *path,
                    const ProtobufCFieldDescriptor *field,
                    struct plex_bytes text, void *member)
{
    char copy[NUMBER_TEXT_MAX];
    struct range range;
    enum plex_status status;

    if (json_form_text(in, path, field, text, member, &status))
        return status;
    if (field->type == PROTOBUF_C_TYPE_STRING)
        return set_string(in, path, text, member);
    if (field->type == PROTOBUF_C_TYPE_BYTES)
        return set_bytes(in, path, text, member);
    /* All that is left is short; a longer text is wrong, whatever it says. */
    (void)snprintf(copy, sizeof copy, "%.*s",
                   (int)(text.len < sizeof copy ? text.len : sizeof copy),
                   (const char *)text.data);
    if (!plex_utf8_valid((const uint8_t *)copy, strlen(copy)))
        (void)snprintf(copy, sizeof copy, "?");
    switch (field->type) {
    case PROTOBUF_C_TYPE_ENUM:
        return set_enum(in, path, field->descriptor, copy, member);
    case PROTOBUF_C_TYPE_BOOL:
        return set_bool_text(in, path, copy, member);
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        return set_floating_text(in, path, field->type, copy, member);
    default:
        break;
    }
    if (!integer_range(field->type, &range))
        return json_pb_refuse(in, path, "cannot be given as text");
    if (!parse_integer(copy, range, member)) {
        char shown[NUMBER_TEXT_MAX + 2];

        (void)snprintf(shown, sizeof shown, "\"%s\"", copy);
        return refuse_integer(in, path, range, shown);
    }
    return PLEX_OK;
}

static const char *
kind_of(const json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "text";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    case JSON_NULL:
        return "null";
    }
    return "unknown";
}

static enum plex_status
set_number_json(const struct json_pb_in *in, const struct json_pb_path *path,
                const ProtobufCFieldDescriptor *field, const json_t *json,
                void *member)
{
    char text[NUMBER_TEXT_MAX];
    struct range range;
    const double real = json_real_value(json);

    if (field->type == PROTOBUF_C_TYPE_FLOAT ||
        field->type == PROTOBUF_C_TYPE_DOUBLE)
        return set_floating(in, path, field->type, json_number_value(json),
                            member);
    /* 1.0 and 1e3 are whole numbers too. */
    if (json_is_integer(json))
        (void)snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT,
                       json_integer_value(json));
    else
        (void)snprintf(text, sizeof text,
                       fabs(real) < 9e15 && floor(real) >= real ? "%.0f" : "%g",
                       real);
    if (field->type == PROTOBUF_C_TYPE_ENUM)
        return set_enum(in, path, field->descriptor, text, member);
    if (!integer_range(field->type, &range))
        return json_pb_refuse(
            in, path, "is a number, it must be %s",
            field->type == PROTOBUF_C_TYPE_BOOL ? "true or false" : "text");
    if (!parse_integer(text, range, member))
        return refuse_integer(in, path, range, text);
    return PLEX_OK;
}

static const char *
expected(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_STRING:
        return "text";
    case PROTOBUF_C_TYPE_BYTES:
        return "base64 text";
    case PROTOBUF_C_TYPE_BOOL:
        return "true or false";
    case PROTOBUF_C_TYPE_ENUM:
        return "the name of an enum value";
    default:
        return "a number";
    }
}

enum plex_status
json_pb_scalar_json(const struct json_pb_in *in,
                    const struct json_pb_path *path,
                    const ProtobufCFieldDescriptor *field, const json_t *json,
                    void *member)
{
    if (json_is_string(json) && field->type != PROTOBUF_C_TYPE_BOOL) {
        const struct plex_bytes text = {
            (const uint8_t *)json_string_value(json), json_string_length(json)};

        return json_pb_scalar_text(in, path, field, text, member);
    }
    if (json_is_number(json))
        return set_number_json(in, path, field, json, member);
    if (json_is_boolean(json) && field->type == PROTOBUF_C_TYPE_BOOL) {
        *(protobuf_c_boolean *)member = json_is_true(json);
        return PLEX_OK;
    }
    return json_pb_refuse(in, path, "is %s, it must be %s", kind_of(json),
                          expected(field->type));
}
