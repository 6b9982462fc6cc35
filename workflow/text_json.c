/* Where in a JSON text a value stands: found by skipping over what comes
 * before it, only when an error needs it. */
#include "workflow/text_private.h"

#include <stdlib.h>
#include <string.h>

struct scan {
    const char *at, *end;
};

static void
skip_space(struct scan *s)
{
    while (s->at < s->end && strchr(" \t\r\n", *s->at) != NULL)
        s->at++;
}

static void
skip_text(struct scan *s)
{
    for (s->at++; s->at < s->end && *s->at != '"'; s->at++) {
        if (*s->at == '\\')
            s->at++;
    }
    if (s->at < s->end)
        s->at++;
}

/* Brackets are balanced in valid JSON: counting them is enough. */
static void
skip_value(struct scan *s)
{
    size_t depth = 0;

    do {
        skip_space(s);
        if (s->at >= s->end)
            return;
        if (*s->at == '"') {
            skip_text(s);
        } else if (strchr("{[", *s->at) != NULL) {
            depth++;
            s->at++;
        } else if (strchr("}]", *s->at) != NULL) {
            depth--;
            s->at++;
        } else if (strchr(",:", *s->at) != NULL) {
            s->at++;
        } else {
            while (s->at < s->end && strchr(",:]} \t\r\n", *s->at) == NULL)
                s->at++;
        }
    } while (depth > 0);
}

static bool
key_is(const char *from, const char *to, const char *key)
{
    json_t *text = json_loadb(from, (size_t)(to - from), JSON_DECODE_ANY, NULL);
    const bool same = text != NULL && strcmp(json_string_value(text), key) == 0;

    json_decref(text);
    return same;
}

static bool
enter_member(struct scan *s, const char *key)
{
    s->at++;
    for (;;) {
        const char *from;

        skip_space(s);
        if (s->at >= s->end || *s->at != '"')
            return false;
        from = s->at;
        skip_text(s);
        if (key_is(from, s->at, key)) {
            skip_space(s);
            s->at++;
            return true;
        }
        skip_space(s);
        s->at++;
        skip_value(s);
        skip_space(s);
        if (s->at >= s->end || *s->at != ',')
            return false;
        s->at++;
    }
}

static bool
enter_index(struct scan *s, size_t index)
{
    s->at++;
    for (size_t i = 0; i < index; i++) {
        skip_value(s);
        skip_space(s);
        if (s->at >= s->end || *s->at != ',')
            return false;
        s->at++;
    }
    return true;
}

static bool
walk(struct scan *s, const struct flow_at *at)
{
    if (at->up != NULL && !walk(s, at->up))
        return false;
    skip_space(s);
    if (at->up == NULL)
        return true;
    if (s->at >= s->end || (*s->at != '{' && *s->at != '['))
        return false;
    if (at->key != NULL ? !enter_member(s, at->key)
                        : !enter_index(s, at->index))
        return false;
    skip_space(s);
    return true;
}

bool
flow_json_where(const struct flow_source *source, const struct flow_at *at,
                size_t *offset)
{
    struct scan s = {source->text, source->text + source->len};

    if (!walk(&s, at))
        return false;
    *offset = (size_t)(s.at - source->text);
    return true;
}
