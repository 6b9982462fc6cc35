#include "workflow/text.h"

#include "common/mem.h"
#include "common/utf8.h"
#include "workflow/limits.h"
#include "workflow/text_private.h"
#include "workflow/value.h"
#include "workflow/when.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
text_is_json(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (strchr(" \t\r\n", text[i]) == NULL || text[i] == '\0')
            return text[i] == '{' || text[i] == '[';
    }
    return false;
}

static enum plex_status
json_read(const char *text, size_t len, json_t **out, struct plex_err *err)
{
    json_error_t error;

    if (!flow_json_shallow(text, len))
        return plex_err_set(err, PLEX_INVALID,
                            "the definition nests deeper than %d levels",
                            FLOW_DEPTH_MAX);
    *out = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (*out == NULL)
        return plex_err_set(err, PLEX_INVALID, "%d:%d: not JSON: %s",
                            error.line, error.column, error.text);
    return PLEX_OK;
}

enum plex_status
flow_text_load(const char *text, size_t len, json_t **out, struct plex_err *err)
{
    enum plex_status status;

    *out = NULL;
    if (len > FLOW_TEXT_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "the definition has %zu bytes: at most %d are "
                            "allowed",
                            len, FLOW_TEXT_MAX);
    if (!plex_utf8_valid((const uint8_t *)text, len) ||
        memchr(text, 0, len) != NULL)
        return plex_err_set(err, PLEX_INVALID,
                            "the definition is not UTF-8 text");
    status = text_is_json(text, len) ? json_read(text, len, out, err)
                                     : flow_yaml_read(text, len, out, err);
    if (status != PLEX_OK)
        return status;
    if (flow_value_size(*out, SIZE_MAX / 2) > SIZE_MAX / 2) {
        json_decref(*out);
        *out = NULL;
        return plex_err_set(err, PLEX_INVALID,
                            "the definition nests deeper than %d levels",
                            FLOW_DEPTH_MAX);
    }
    return PLEX_OK;
}

struct flow_at
flow_at_member(const struct flow_at *at, const char *key)
{
    return (struct flow_at){.up = at,
                            .key = key,
                            .value = json_object_get(at->value, key),
                            .source = at->source};
}

struct flow_at
flow_at_index(const struct flow_at *at, size_t index)
{
    return (struct flow_at){.up = at,
                            .index = index,
                            .value = json_array_get(at->value, index),
                            .source = at->source};
}

void
flow_at_where(const struct flow_at *at, unsigned *line, unsigned *column)
{
    const struct flow_source *source = at->source;
    size_t offset = 0;

    while (at->value == NULL && at->up != NULL)
        at = at->up;
    *line = *column = 0;
    if (source == NULL)
        return;
    if (!text_is_json(source->text, source->len)) {
        flow_yaml_where(source, at, line, column);
        return;
    }
    if (!flow_json_where(source, at, &offset))
        return;
    *line = *column = 1;
    for (size_t i = 0; i < offset; i++) {
        if (source->text[i] == '\n') {
            (*line)++;
            *column = 1;
        } else if (((unsigned char)source->text[i] & 0xC0) != 0x80) {
            (*column)++;
        }
    }
}

/* "steps[2].retry" */
static void
write_path(const struct flow_at *at, char *out, size_t size)
{
    size_t len;

    if (at->up == NULL) {
        out[0] = '\0';
        return;
    }
    write_path(at->up, out, size);
    len = strlen(out);
    if (at->key != NULL)
        (void)snprintf(out + len, size - len, "%s%.64s", len ? "." : "",
                       at->key);
    else
        (void)snprintf(out + len, size - len, "[%zu]", at->index);
}

enum plex_status
flow_at_error(const struct flow_at *at, struct plex_err *err, const char *fmt,
              ...)
{
    char text[PLEX_ERR_TEXT_MAX], path[160];
    unsigned line, column;
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    write_path(at, path, sizeof path);
    flow_at_where(at, &line, &column);
    return plex_err_set(err, PLEX_INVALID, "%u:%u: %s%s%s", line, column, path,
                        path[0] ? ": " : "", text);
}

/* Levenshtein's distance of two short names, case ignored. */
static size_t
distance(const char *a, const char *b)
{
    enum { LEN = 40 };
    const size_t m = strlen(a), n = strlen(b);
    size_t row[LEN + 1];

    if (m > LEN || n > LEN)
        return LEN;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; i <= m; i++) {
        size_t corner = row[0];

        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            const bool same = (a[i - 1] | 32) == (b[j - 1] | 32);
            const size_t change = corner + !same;
            const size_t other = (row[j] < row[j - 1] ? row[j] : row[j - 1]);

            corner = row[j];
            row[j] = change < other + 1 ? change : other + 1;
        }
    }
    return row[n];
}

static const char *
nearest(const char *name, const char *const *known)
{
    const char *best = NULL;
    size_t least = 3;

    for (; *known != NULL; known++) {
        const size_t d = distance(name, *known);

        if (d < least) {
            least = d;
            best = *known;
        }
    }
    return best;
}

enum plex_status
flow_at_known(const struct flow_at *at, const char *const *known,
              struct plex_err *err)
{
    const char *key;
    json_t *value;

    if (!json_is_object(at->value))
        return flow_at_error(at, err, "should be an object");
    json_object_foreach(at->value, key, value)
    {
        const char *const *k = known;
        const char *like;

        while (*k != NULL && strcmp(*k, key) != 0)
            k++;
        if (*k == NULL) {
            const struct flow_at member = flow_at_member(at, key);

            like = nearest(key, known);
            return flow_at_error(&member, err, "unknown field '%.64s'%s%s%s",
                                 key, like ? "; did you mean '" : "",
                                 like ? like : "", like ? "'?" : "");
        }
    }
    return PLEX_OK;
}

enum plex_status
flow_at_text(const struct flow_at *at, const char *key, size_t max,
             const char **out, struct plex_err *err)
{
    const struct flow_at member = flow_at_member(at, key);
    const char *text = json_string_value(member.value);

    if (member.value == NULL)
        return PLEX_OK;
    if (text == NULL || strlen(text) != json_string_length(member.value))
        return flow_at_error(&member, err, "should be a text");
    if (text[0] == '\0' || strlen(text) > max)
        return flow_at_error(&member, err, "should have 1 to %zu bytes", max);
    *out = text;
    return PLEX_OK;
}

enum plex_status
flow_at_int(const struct flow_at *at, const char *key, int64_t min, int64_t max,
            int64_t *out, struct plex_err *err)
{
    const struct flow_at member = flow_at_member(at, key);
    int64_t number;

    if (member.value == NULL)
        return PLEX_OK;
    number = json_integer_value(member.value);
    if (!json_is_integer(member.value) || number < min || number > max)
        return flow_at_error(&member, err,
                             "should be a whole number from %lld to %lld",
                             (long long)min, (long long)max);
    *out = number;
    return PLEX_OK;
}

enum plex_status
flow_at_number(const struct flow_at *at, const char *key, double min,
               double max, double *out, struct plex_err *err)
{
    const struct flow_at member = flow_at_member(at, key);
    double number;

    if (member.value == NULL)
        return PLEX_OK;
    number = json_number_value(member.value);
    if (!json_is_number(member.value) || !(number >= min && number <= max))
        return flow_at_error(&member, err, "should be a number from %g to %g",
                             min, max);
    *out = number;
    return PLEX_OK;
}

enum plex_status
flow_at_bool(const struct flow_at *at, const char *key, bool *out,
             struct plex_err *err)
{
    const struct flow_at member = flow_at_member(at, key);

    if (member.value == NULL)
        return PLEX_OK;
    if (!json_is_boolean(member.value))
        return flow_at_error(&member, err, "should be true or false");
    *out = json_is_true(member.value);
    return PLEX_OK;
}

enum plex_status
flow_at_duration(const struct flow_at *at, const char *key, int64_t max,
                 int64_t *out, struct plex_err *err)
{
    const struct flow_at text = flow_at_member(at, key);
    char in_ms[64];
    struct flow_at number;
    int64_t ms;

    (void)snprintf(in_ms, sizeof in_ms, "%s_ms", key);
    number = flow_at_member(at, in_ms);
    if (text.value != NULL && number.value != NULL)
        return flow_at_error(&number, err, "give either '%s' or '%s', not both",
                             key, in_ms);
    if (number.value != NULL)
        return flow_at_int(at, in_ms, 1, max, out, err);
    if (text.value == NULL)
        return PLEX_OK;
    if (!json_is_string(text.value) ||
        !flow_duration_parse(json_string_value(text.value), &ms))
        return flow_at_error(&text, err,
                             "should be a duration such as \"500ms\", "
                             "\"90s\", \"1h30m\" or \"2d\"");
    if (ms < 1 || ms > max)
        return flow_at_error(&text, err, "should be from 1 ms to %lld ms",
                             (long long)max);
    *out = ms;
    return PLEX_OK;
}
