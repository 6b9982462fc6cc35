#ifndef PLEXSPACES_TUPLE_FIELDS_H
#define PLEXSPACES_TUPLE_FIELDS_H

#include "tuplespace.h"

/* Reading what plex_tuple_rd() and plex_tuple_in() gave: [...], in which the
 * fields are counted from 0. */

/* Field number `i` as it stands in the JSON; false: there are fewer. */
static inline bool
plex_tuple_field(const struct plex_value *fields, size_t i,
                 struct plex_value *out)
{
    const char *at = (const char *)fields->data, *end = at + fields->len, *from;
    bool quoted = false;
    int depth = 0;

    if (fields->len < 2)
        return false;
    for (from = ++at; at < end; at++) {
        if (quoted) {
            if (*at == '\\')
                at++;
            else if (*at == '"')
                quoted = false;
        } else if (*at == '"') {
            quoted = true;
        } else if (*at == '[' || *at == '{') {
            depth++;
        } else if (depth > 0 && (*at == ']' || *at == '}')) {
            depth--;
        } else if (depth == 0 && (*at == ',' || *at == ']')) {
            if (i-- == 0) {
                *out = (struct plex_value){from, (size_t)(at - from)};
                return true;
            }
            from = at + 1;
        }
    }
    return false;
}
static inline bool
plex_tuple_number(const struct plex_value *fields, size_t i, int64_t *out)
{
    struct plex_value field;
    char text[24], *end;

    if (!plex_tuple_field(fields, i, &field) || field.len == 0 ||
        field.len >= sizeof text)
        return false;
    memcpy(text, field.data, field.len);
    text[field.len] = '\0';
    *out = strtoll(text, &end, 10);
    return *end == '\0';
}
static inline bool
plex_tuple_field_is(const struct plex_value *field, const char *json)
{
    return field->len == strlen(json) &&
           memcmp(field->data, json, field->len) == 0;
}
/* A copy with a final 0; the caller frees. NULL: no memory, or no such field.
 */
static inline char *
plex_tuple_field_copy(const struct plex_value *fields, size_t i)
{
    struct plex_value field;

    return !plex_tuple_field(fields, i, &field)
               ? NULL
               : plex_tuple_format("%.*s", (int)field.len,
                                   (const char *)field.data);
}
/* A string without its quotes, in place, cut at `size`. */
static inline void
plex_tuple_field_text(const struct plex_value *field, char *out, size_t size)
{
    const char *at = (const char *)field->data, *end = at + field->len;
    size_t used = 0;

    for (at++; at + 1 < end && used + 1 < size; at++) {
        if (*at == '\\')
            at++; /* printable ones only: a quote or a backslash */
        out[used++] = *at;
    }
    out[used] = '\0';
}

#endif
