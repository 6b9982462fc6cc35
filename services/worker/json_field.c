#include "services/worker/json_field.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void
work_json_init(struct work_json *json, struct plex_bytes text)
{
    *json = (struct work_json){.text = text};
}

void
work_json_fini(struct work_json *json)
{
    json_decref(json->root);
    *json = (struct work_json){0};
}

/* 1 and the value, 0, or -1. */
static int
field_get(struct work_json *json, const char *field, const json_t **value)
{
    if (json->text.len == 0)
        return 0;
    if (!json->parsed) {
        json->parsed = true;
        json->root = json_loadb((const char *)json->text.data, json->text.len,
                                JSON_REJECT_DUPLICATES, NULL);
    }
    if (!json_is_object(json->root))
        return -1;
    *value = json_object_get(json->root, field);
    return *value != NULL;
}

int
work_json_text(struct work_json *json, const char *field, const char **out)
{
    const json_t *value;
    const int found = field_get(json, field, &value);

    if (found != 1)
        return found;
    if (!json_is_string(value))
        return -1;
    *out = json_string_value(value);
    return 1;
}

/* strtoll alone would take spaces, signs and "12abc". */
static bool
decimal(const char *text, int64_t *out)
{
    const char *digits = text[0] == '-' ? text + 1 : text;
    intmax_t value;

    if (digits[0] == '\0' || digits[strspn(digits, "0123456789")] != '\0')
        return false;
    errno = 0;
    value = strtoimax(text, NULL, 10);
    if (errno != 0 || value < INT64_MIN || value > INT64_MAX)
        return false;
    *out = (int64_t)value;
    return true;
}

int
work_json_int(struct work_json *json, const char *field, int64_t *out)
{
    const json_t *value;
    const int found = field_get(json, field, &value);

    if (found != 1)
        return found;
    if (json_is_integer(value)) {
        *out = json_integer_value(value);
        return 1;
    }
    return json_is_string(value) && decimal(json_string_value(value), out) ? 1
                                                                           : -1;
}
