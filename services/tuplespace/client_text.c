/* Templates as people type them, rewritten as the JSON form. */
#include "services/tuplespace/client.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 1 << 20, DEPTH_MAX = 16 };

struct text {
    const char *start, *at;
    struct plex_buf out;
    struct plex_err *err;
    unsigned depth;
};

static enum plex_status matcher(struct text *t);

static enum plex_status
wrong(struct text *t, const char *want)
{
    return plex_err_set(t->err, PLEX_INVALID,
                        "template, character %zu: \"%.20s\" stands where %s "
                        "is wanted",
                        (size_t)(t->at - t->start) + 1, t->at, want);
}

static enum plex_status
put(struct text *t, const char *text, size_t len)
{
    uint8_t *to = plex_buf_grow(&t->out, len);

    if (to == NULL)
        return plex_err_set(t->err, PLEX_TOO_LARGE,
                            "the template is longer than %d bytes", TEXT_MAX);
    memcpy(to, text, len);
    return PLEX_OK;
}

static enum plex_status
puts_(struct text *t, const char *text)
{
    return put(t, text, strlen(text));
}

static void
blanks(struct text *t)
{
    while (*t->at != '\0' && isspace((unsigned char)*t->at))
        t->at++;
}

/* The end of a JSON string that begins at `at`, or NULL. */
static const char *
string_end(const char *at)
{
    for (at++; *at != '"'; at++) {
        if (*at == '\\' && at[1] != '\0')
            at++;
        if (*at == '\0')
            return NULL;
    }
    return at + 1;
}

static enum plex_status
string(struct text *t)
{
    const char *end = *t->at == '"' ? string_end(t->at) : NULL;
    enum plex_status status;

    if (end == NULL)
        return wrong(t, "a string in double quotes");
    status = put(t, t->at, (size_t)(end - t->at));
    t->at = end;
    return status;
}

/* An object is JSON already: copied up to its end. */
static enum plex_status
object(struct text *t)
{
    const char *at = t->at;
    unsigned depth = 0;
    enum plex_status status;

    do {
        if (*at == '"') {
            at = string_end(at);
            if (at == NULL)
                return wrong(t, "a whole JSON object");
            continue;
        }
        if (*at == '\0')
            return wrong(t, "a whole JSON object");
        depth += *at == '{' || *at == '[';
        depth -= *at == '}' || *at == ']';
        at++;
    } while (depth > 0);
    status = put(t, t->at, (size_t)(at - t->at));
    t->at = at;
    return status;
}

static size_t
word_length(const char *at)
{
    size_t n = 0;

    while (isalnum((unsigned char)at[n]) || at[n] == '_' || at[n] == '-' ||
           at[n] == '+' || at[n] == '.')
        n++;
    return n;
}

static enum plex_status
list(struct text *t)
{
    if (++t->depth > DEPTH_MAX)
        return wrong(t, "less nesting");
    if (*t->at != '[')
        return wrong(t, "[");
    t->at++;
    if (puts_(t, "[") != PLEX_OK)
        return t->err->status;
    blanks(t);
    while (*t->at != ']') {
        if (matcher(t) != PLEX_OK)
            return t->err->status;
        blanks(t);
        if (*t->at != ',' && *t->at != ']')
            return wrong(t, ", or ]");
        if (*t->at == ',') {
            t->at++;
            if (puts_(t, ",") != PLEX_OK)
                return t->err->status;
            blanks(t);
            if (*t->at == ']')
                return wrong(t, "a value after the comma");
        }
    }
    t->at++;
    t->depth--;
    return puts_(t, "]");
}

static enum plex_status
value(struct text *t)
{
    const size_t len = word_length(t->at);
    enum plex_status status;

    if (*t->at == '"')
        return string(t);
    if (*t->at == '{')
        return object(t);
    if (len == 0)
        return wrong(t, "a value, ?, a comparison or a list");
    status = put(t, t->at, len);
    t->at += len;
    return status;
}

/* ?, ?int64, ?name */
static enum plex_status
question(struct text *t)
{
    static const char *const types[] = {"int64", "double", "string", "bool",
                                        "bytes", "null",   "tuple"};
    const char *kind = "bind";
    size_t len;

    t->at++;
    len = word_length(t->at);
    if (len == 0)
        return puts_(t, "{\"any\":true}");
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strlen(types[i]) == len && memcmp(types[i], t->at, len) == 0)
            kind = "type";
    if (puts_(t, "{\"") != PLEX_OK || puts_(t, kind) != PLEX_OK ||
        puts_(t, "\":\"") != PLEX_OK || put(t, t->at, len) != PLEX_OK)
        return t->err->status;
    t->at += len;
    return puts_(t, "\"}");
}

/* An operator of `len` characters before what `rest` reads. */
static enum plex_status
operator_(struct text *t, size_t len, const char *name,
          enum plex_status (*rest)(struct text *))
{
    t->at += len;
    blanks(t);
    if (puts_(t, "{\"") != PLEX_OK || puts_(t, name) != PLEX_OK ||
        puts_(t, "\":") != PLEX_OK || rest(t) != PLEX_OK)
        return t->err->status;
    return puts_(t, "}");
}

/* "a"* is a prefix, *"a" a suffix, *"a"* contained. */
static enum plex_status
starred(struct text *t)
{
    const bool before = *t->at == '*';
    const char *text = t->at + before;
    const char *end = *text == '"' ? string_end(text) : NULL;
    const bool after = end != NULL && *end == '*';
    const char *name = before ? (after ? "contains" : "suffix") : "prefix";

    if (end == NULL || (!before && !after))
        return value(t);
    if (operator_(t, before, name, string) != PLEX_OK)
        return t->err->status;
    t->at += after;
    return PLEX_OK;
}

static enum plex_status
single(struct text *t)
{
    const bool equal = t->at[0] != '\0' && t->at[1] == '=';

    switch (*t->at) {
    case '?':
        return question(t);
    case '>':
        return operator_(t, equal ? 2 : 1, equal ? "gte" : "gt", value);
    case '<':
        return operator_(t, equal ? 2 : 1, equal ? "lte" : "lt", value);
    case '!':
        return operator_(t, 1, "not", matcher);
    case '~':
        return operator_(t, 1, "regex", string);
    case '[':
        return operator_(t, 0, "tuple", list);
    default:
        return starred(t);
    }
}

/* One, or several with & between them. */
static enum plex_status
matcher(struct text *t)
{
    const size_t start = t->out.len;
    bool several = false;

    if (++t->depth > DEPTH_MAX)
        return wrong(t, "less nesting");
    for (;;) {
        if (single(t) != PLEX_OK)
            return t->err->status;
        blanks(t);
        if (*t->at != '&')
            break;
        t->at++;
        blanks(t);
        if (puts_(t, ",") != PLEX_OK)
            return t->err->status;
        several = true;
    }
    t->depth--;
    if (!several)
        return PLEX_OK;
    if (puts_(t, "{\"all\":[") != PLEX_OK)
        return t->err->status;
    /* What was written before its own beginning was known. */
    memmove(t->out.data + start + 8, t->out.data + start,
            t->out.len - start - 8);
    memcpy(t->out.data + start, "{\"all\":[", 8);
    return puts_(t, "]}");
}

json_t *
tspace_text_template(const char *text, struct plex_err *err)
{
    struct text t = {text, text, {.max = TEXT_MAX}, err, 0};
    json_error_t error;
    json_t *json = NULL;

    blanks(&t);
    if (list(&t) == PLEX_OK) {
        blanks(&t);
        if (*t.at != '\0')
            (void)wrong(&t, "the end");
        else
            json = json_loadb((const char *)t.out.data, t.out.len,
                              JSON_REJECT_DUPLICATES, &error);
        if (*t.at == '\0' && json == NULL)
            (void)plex_err_set(err, PLEX_INVALID,
                               "template: %.100s (strings are written in "
                               "double quotes)",
                               error.text);
    }
    plex_buf_free(&t.out);
    return json;
}
