#include "workflow/value.h"

#include "common/mem.h"
#include "workflow/limits.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- size, text, equality ---------------------------------------------------
 */

static size_t
text_size(const char *text, size_t len)
{
    size_t size = len + 2;

    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)text[i];

        if (c == '"' || c == '\\' || c == '\n' || c == '\t' || c == '\r')
            size++;
        else if (c < 0x20)
            size += 5;
    }
    return size;
}

static size_t
size_at(const json_t *value, size_t max, unsigned depth)
{
    char number[40];
    size_t size = 2, i;
    const char *key;
    json_t *item;

    if (depth > FLOW_DEPTH_MAX)
        return max + 1;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        json_object_foreach((json_t *)value, key, item)
        {
            size += text_size(key, strlen(key)) + 2;
            if (size <= max)
                size += size_at(item, max - size, depth + 1);
            if (size > max)
                return max + 1;
        }
        return size;
    case JSON_ARRAY:
        json_array_foreach((json_t *)value, i, item)
        {
            size += 1;
            if (size <= max)
                size += size_at(item, max - size, depth + 1);
            if (size > max)
                return max + 1;
        }
        return size;
    case JSON_STRING:
        return text_size(json_string_value(value), json_string_length(value));
    case JSON_INTEGER:
        return (size_t)snprintf(number, sizeof number, "%lld",
                                (long long)json_integer_value(value));
    case JSON_REAL:
        return (size_t)snprintf(number, sizeof number, "%.17g",
                                json_real_value(value));
    default:
        return 5;
    }
}

size_t
flow_value_size(const json_t *value, size_t max)
{
    return size_at(value, max, 0);
}

bool
flow_json_shallow(const char *text, size_t len)
{
    size_t depth = 0;
    bool quoted = false;

    for (size_t i = 0; i < len; i++) {
        if (quoted) {
            if (text[i] == '\\')
                i++;
            else if (text[i] == '"')
                quoted = false;
        } else if (text[i] == '"') {
            quoted = true;
        } else if (text[i] == '[' || text[i] == '{') {
            if (++depth > FLOW_DEPTH_MAX)
                return false;
        } else if ((text[i] == ']' || text[i] == '}') && depth > 0) {
            depth--;
        }
    }
    return true;
}

char *
flow_value_text(const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

    return text != NULL ? text : plex_strdup("null");
}

static bool
number_equal(const json_t *a, const json_t *b)
{
    if (json_is_integer(a) && json_is_integer(b))
        return json_integer_value(a) == json_integer_value(b);
    return json_number_value(a) == json_number_value(b);
}

bool
flow_value_equal(const json_t *a, const json_t *b)
{
    const char *key;
    json_t *item;
    size_t i;

    if (a == b)
        return true;
    if (json_is_number(a) && json_is_number(b))
        return number_equal(a, b);
    if (json_typeof(a) != json_typeof(b))
        return false;
    if (json_is_object(a)) {
        if (json_object_size(a) != json_object_size(b))
            return false;
        json_object_foreach((json_t *)a, key, item)
        {
            const json_t *other = json_object_get(b, key);

            if (other == NULL || !flow_value_equal(item, other))
                return false;
        }
        return true;
    }
    if (json_is_array(a)) {
        if (json_array_size(a) != json_array_size(b))
            return false;
        json_array_foreach((json_t *)a, i, item)
        {
            if (!flow_value_equal(item, json_array_get(b, i)))
                return false;
        }
        return true;
    }
    return json_equal(a, b);
}
