/* JSONPath and the intrinsic functions of the Amazon States Language. */
#include "common/mem.h"
#include "common/utf8.h"
#include "workflow/expr_private.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEGMENTS_MAX = FLOW_EXPR_DEPTH_MAX };

static struct flow_expr *
node(struct flow_parser *p, enum flow_op op, size_t kids)
{
    struct flow_expr *x = p->failed ? NULL : flow_expr_new(p->pool, op, kids);

    if (x == NULL)
        return flow_parse_fail(p, p->at, "the definition is too large");
    x->column = (unsigned)(p->at - p->text) + 1;
    return x;
}

static bool
at_char(const struct flow_parser *p, char c)
{
    return p->at < p->end && *p->at == c;
}

/* A bare name: letters, digits, '_', '-' and all beyond ASCII. */
static const char *
take_name(struct flow_parser *p)
{
    const char *start = p->at;
    const char *name;

    while (p->at < p->end && (isalnum((unsigned char)*p->at) || *p->at == '_' ||
                              *p->at == '-' || (unsigned char)*p->at >= 0x80))
        p->at++;
    if (p->at == start) {
        flow_parse_fail(p, start, "a name is expected in the path");
        return NULL;
    }
    name = plex_arena_strndup(&p->pool->arena, start, (size_t)(p->at - start));
    if (name == NULL)
        flow_parse_fail(p, start, "the definition is too large");
    return name;
}

static bool
take_number(struct flow_parser *p, int64_t *out)
{
    char *end;

    flow_parse_space(p);
    if (p->at >= p->end || !(isdigit((unsigned char)*p->at) ||
                             (*p->at == '-' && p->at + 1 < p->end &&
                              isdigit((unsigned char)p->at[1]))))
        return false;
    errno = 0;
    *out = strtoll(p->at, &end, 10);
    if (errno != 0 || *out > INT32_MAX || *out < INT32_MIN)
        flow_parse_fail(p, p->at, "the index is too large");
    p->at = end;
    return true;
}

static struct flow_expr *
parse_filter(struct flow_parser *p)
{
    struct flow_expr *x = node(p, SEG_FILTER, 1);
    const int outer = p->at_slot;

    if (x == NULL)
        return NULL;
    if (!at_char(p, '('))
        return flow_parse_fail(p, p->at, "'(' is expected after '?'");
    p->at++;
    if (p->n_locals == EXPR_LOCALS_MAX)
        return flow_parse_fail(p, p->at, "nested too deep");
    x->slot = p->n_locals;
    p->at_slot = (int)p->n_locals;
    p->locals[p->n_locals++] = NULL;
    x->kids[0] = flow_parse_expr(p, 0);
    p->n_locals--;
    p->at_slot = outer;
    flow_parse_space(p);
    if (!p->failed && !at_char(p, ')'))
        return flow_parse_fail(p, p->at, "')' is expected");
    p->at++;
    return x;
}

/* [a:b:c], after its first number, if it has one. */
static struct flow_expr *
parse_slice(struct flow_parser *p, json_t *first)
{
    struct flow_expr *x = node(p, SEG_SLICE, 0);
    json_t *parts = flow_pool_keep(p->pool, json_array());
    int64_t number;

    json_array_append_new(parts, first);
    while (at_char(p, ':') && json_array_size(parts) < 3) {
        p->at++;
        json_array_append_new(parts, take_number(p, &number)
                                         ? json_integer(number)
                                         : json_null());
        flow_parse_space(p);
    }
    if (x != NULL)
        x->value = parts;
    number = json_integer_value(json_array_get(parts, 2));
    if (json_is_integer(json_array_get(parts, 2)) && number < 1)
        return flow_parse_fail(p, p->at, "a slice's step is 1 or more");
    return x;
}

static struct flow_expr *
parse_union(struct flow_parser *p, json_t *first)
{
    struct flow_expr *x = node(p, SEG_UNION, 0);
    json_t *parts = flow_pool_keep(p->pool, json_array());
    int64_t number;

    json_array_append_new(parts, first);
    flow_parse_space(p);
    while (!p->failed && at_char(p, ',')) {
        p->at++;
        flow_parse_space(p);
        if (at_char(p, '\'') || at_char(p, '"')) {
            const char *name = flow_parse_quoted(p);

            if (name != NULL)
                json_array_append_new(parts, json_string(name));
        } else if (take_number(p, &number)) {
            json_array_append_new(parts, json_integer(number));
        } else {
            return flow_parse_fail(p, p->at,
                                   "a name in quotes or an index is "
                                   "expected after ','");
        }
        flow_parse_space(p);
    }
    if (x != NULL)
        x->value = parts;
    return x;
}

static struct flow_expr *
one_or_union(struct flow_parser *p, json_t *first)
{
    struct flow_expr *x;

    flow_parse_space(p);
    if (at_char(p, ','))
        return parse_union(p, first);
    flow_pool_keep(p->pool, first);
    x = node(p, json_is_string(first) ? SEG_NAME : SEG_INDEX, 0);
    if (x == NULL)
        return NULL;
    if (json_is_string(first))
        x->name = json_string_value(first);
    x->number = json_integer_value(first);
    return x;
}

static struct flow_expr *
parse_bracket(struct flow_parser *p)
{
    struct flow_expr *x = NULL;
    int64_t number;

    flow_parse_space(p);
    if (at_char(p, '*')) {
        x = node(p, SEG_WILD, 0);
        p->at++;
    } else if (at_char(p, '?')) {
        p->at++;
        x = parse_filter(p);
    } else if (at_char(p, ':')) {
        x = parse_slice(p, json_null());
    } else if (at_char(p, '\'') || at_char(p, '"')) {
        const char *name = flow_parse_quoted(p);

        x = name != NULL ? one_or_union(p, json_string(name)) : NULL;
    } else if (take_number(p, &number)) {
        flow_parse_space(p);
        x = at_char(p, ':') ? parse_slice(p, json_integer(number))
                            : one_or_union(p, json_integer(number));
    } else {
        return flow_parse_fail(p, p->at,
                               "an index, a name in quotes, '*', a "
                               "slice or '?(...)' is expected");
    }
    flow_parse_space(p);
    if (!p->failed && !at_char(p, ']'))
        return flow_parse_fail(p, p->at, "']' is expected");
    p->at++;
    return p->failed ? NULL : x;
}

static struct flow_expr *
parse_segment(struct flow_parser *p)
{
    struct flow_expr *x;

    if (at_char(p, '[')) {
        p->at++;
        return parse_bracket(p);
    }
    p->at++; /* '.' */
    if (at_char(p, '.')) {
        x = node(p, SEG_DESCEND, 0);
        /* "..name" and "..[": the next segment begins here or at '.'. */
        if (p->at + 1 < p->end && p->at[1] == '[')
            p->at++;
        return x;
    }
    if (at_char(p, '*')) {
        x = node(p, SEG_WILD, 0);
        p->at++;
        return x;
    }
    x = node(p, SEG_NAME, 0);
    if (x != NULL)
        x->name = take_name(p);
    return p->failed ? NULL : x;
}

static bool
is_definite(struct flow_expr *const *segments, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (segments[i]->op != SEG_NAME && segments[i]->op != SEG_INDEX)
            return false;
    }
    return true;
}

/* Names and indexes only: a chain of members, of which one must be there. */
static struct flow_expr *
chain(struct flow_parser *p, struct flow_expr *base,
      struct flow_expr *const *segments, size_t count)
{
    for (size_t i = 0; i < count && !p->failed; i++) {
        const bool named = segments[i]->op == SEG_NAME;
        struct flow_expr *x =
            node(p, named ? OP_MEMBER : OP_INDEX, named ? 1 : 2);

        if (x == NULL)
            return NULL;
        x->column = segments[i]->column;
        x->name = segments[i]->name;
        x->kids[0] = base;
        if (!named)
            x->kids[1] =
                flow_expr_literal(p->pool, json_integer(segments[i]->number));
        base = x;
    }
    return base;
}

struct flow_expr *
flow_parse_segments(struct flow_parser *p, struct flow_expr *base)
{
    struct flow_expr **segments, *x;
    size_t count = 0;

    /* In the pool, not on the stack: callers run on small stacks. */
    segments = flow_pool_alloc(p->pool, SEGMENTS_MAX, sizeof *segments);
    if (segments == NULL)
        return flow_parse_fail(p, p->at, "the definition is too large");
    while (!p->failed && (at_char(p, '.') || at_char(p, '['))) {
        if (count == SEGMENTS_MAX)
            return flow_parse_fail(p, p->at, "a path has at most %d parts",
                                   SEGMENTS_MAX);
        segments[count++] = parse_segment(p);
    }
    if (p->failed)
        return NULL;
    if (count > 0 && segments[count - 1]->op == SEG_DESCEND)
        return flow_parse_fail(p, p->at, "a name is expected after '..'");
    if (is_definite(segments, count))
        return chain(p, base, segments, count);
    x = node(p, OP_SELECT, count + 1);
    if (x == NULL)
        return NULL;
    x->kids[0] = base;
    memcpy(x->kids + 1, segments, count * sizeof *segments);
    return x;
}

struct flow_expr *
flow_parse_path(struct flow_parser *p)
{
    struct flow_expr *root = node(p, OP_ROOT, 0);

    if (root == NULL)
        return NULL;
    p->at++;
    root->which = FLOW_ROOT_DATA;
    if (at_char(p, '$')) {
        root->which = FLOW_ROOT_CONTEXT;
        p->at++;
    }
    return flow_parse_segments(p, root);
}

/* -- intrinsic functions ------------------------------------------------------
 */

static struct flow_expr *parse_argument(struct flow_parser *p);

static struct flow_expr *
parse_arguments(struct flow_parser *p, const struct flow_function *f)
{
    enum { ARGUMENTS_MAX = 16 };
    struct flow_expr *list[ARGUMENTS_MAX], *x;
    size_t count = 0;

    flow_parse_space(p);
    while (!p->failed && !at_char(p, ')')) {
        if (count == ARGUMENTS_MAX)
            return flow_parse_fail(p, p->at, "at most %d arguments",
                                   ARGUMENTS_MAX);
        list[count++] = parse_argument(p);
        flow_parse_space(p);
        if (at_char(p, ','))
            p->at++;
        else if (!p->failed && !at_char(p, ')'))
            return flow_parse_fail(p, p->at, "',' or ')' is expected");
    }
    if (p->failed)
        return NULL;
    p->at++;
    if (count < f->min || count > f->max)
        return flow_parse_fail(p, p->at, "%s has %u to %u arguments, not %zu",
                               f->name, f->min, f->max, count);
    x = node(p, OP_CALL, count);
    if (x != NULL) {
        x->function = f;
        if (count > 0)
            memcpy(x->kids, list, count * sizeof *list);
    }
    return x;
}

static struct flow_expr *
parse_intrinsic(struct flow_parser *p)
{
    const char *start = p->at;
    const struct flow_function *f;
    struct flow_expr *x;

    while (p->at < p->end &&
           (isalnum((unsigned char)*p->at) || *p->at == '.' || *p->at == '_'))
        p->at++;
    f = flow_function_find(start, (size_t)(p->at - start), true);
    if (f == NULL)
        return flow_parse_fail(
            p, start, "there is no intrinsic function '%.*s'",
            (int)(p->at - start < 40 ? p->at - start : 40), start);
    flow_parse_space(p);
    if (!at_char(p, '('))
        return flow_parse_fail(p, p->at, "'(' is expected");
    p->at++;
    if (++p->depth > 10) /* as ASL says */
        return flow_parse_fail(p, p->at, "functions nest at most 10 deep");
    x = parse_arguments(p, f);
    p->depth--;
    return x;
}

/* A text in ASL keeps "\{" for States.Format: only \' and \\ are escapes. */
static struct flow_expr *
parse_text(struct flow_parser *p)
{
    const char *start = p->at++;
    char *text = flow_pool_alloc(p->pool, (size_t)(p->end - p->at) + 1, 1);
    size_t len = 0;

    if (text == NULL)
        return flow_parse_fail(p, start, "the definition is too large");
    while (p->at < p->end && *p->at != '\'') {
        if (*p->at == '\\' && p->at + 1 < p->end && p->at[1] == '\'')
            p->at++;
        else if (*p->at == '\\' && p->at + 1 < p->end)
            text[len++] = *p->at++;
        text[len++] = *p->at++;
    }
    if (p->at >= p->end)
        return flow_parse_fail(p, start,
                               "the text that begins here does not "
                               "end");
    p->at++;
    return flow_expr_literal(p->pool, json_stringn(text, len));
}

static struct flow_expr *
parse_literal(struct flow_parser *p)
{
    static const char *const words[] = {"true", "false", "null"};
    const char *start = p->at;
    json_t *value;

    for (size_t i = 0; i < 3; i++) {
        const size_t len = strlen(words[i]);

        if ((size_t)(p->end - p->at) >= len &&
            memcmp(p->at, words[i], len) == 0) {
            p->at += len;
            return flow_expr_literal(p->pool, i == 2 ? json_null()
                                                     : json_boolean(i == 0));
        }
    }
    while (p->at < p->end && strchr("0123456789+-.eE", *p->at) != NULL)
        p->at++;
    value = json_loadb(start, (size_t)(p->at - start), JSON_DECODE_ANY, NULL);
    if (value == NULL)
        return flow_parse_fail(p, start,
                               "a path, a text in single quotes, a number or "
                               "a function is expected");
    return flow_expr_literal(p->pool, value);
}

static struct flow_expr *
parse_argument(struct flow_parser *p)
{
    flow_parse_space(p);
    if (at_char(p, '$'))
        return flow_parse_path(p);
    if (at_char(p, '\''))
        return parse_text(p);
    if ((size_t)(p->end - p->at) > 7 && memcmp(p->at, "States.", 7) == 0)
        return parse_intrinsic(p);
    return parse_literal(p);
}

enum plex_status
flow_path_parse(struct flow_pool *pool, const char *text, bool functions,
                struct flow_expr **out, struct plex_err *err)
{
    struct flow_parser p = {.pool = pool,
                            .text = text,
                            .at = text,
                            .end = text + strlen(text),
                            .at_slot = -1,
                            .in_path = true,
                            .err = err};

    if (p.end - p.at > FLOW_EXPR_TEXT_MAX)
        return plex_err_set(err, PLEX_INVALID, "a path has at most %d bytes",
                            FLOW_EXPR_TEXT_MAX);
    if (!plex_utf8_valid((const uint8_t *)text, strlen(text)))
        return plex_err_set(err, PLEX_INVALID, "1:1: not UTF-8 text");
    if (at_char(&p, '$'))
        *out = flow_parse_path(&p);
    else if (functions && strncmp(text, "States.", 7) == 0)
        *out = parse_intrinsic(&p);
    else
        flow_parse_fail(&p, p.at, "a path begins with \"$\"%s",
                        functions ? ", a function with \"States.\"" : "");
    flow_parse_space(&p);
    if (!p.failed && p.at < p.end)
        flow_parse_fail(&p, p.at, "'%.1s' does not belong in a path", p.at);
    return p.failed ? PLEX_INVALID : PLEX_OK;
}

/* -- reference paths as places
 * -------------------------------------------------
 */

static size_t
chain_length(const struct flow_expr *x)
{
    size_t count = 0;

    for (; x->op == OP_MEMBER || x->op == OP_INDEX; x = x->kids[0])
        count++;
    return x->op == OP_ROOT && x->which == FLOW_ROOT_DATA ? count : SIZE_MAX;
}

enum plex_status
flow_place_parse(struct flow_pool *pool, const char *text,
                 struct flow_place *out, struct plex_err *err)
{
    enum plex_status status;
    struct flow_expr *x = NULL;
    size_t count;

    status = flow_path_parse(pool, text, false, &x, err);
    if (status != PLEX_OK)
        return status;
    count = chain_length(x);
    if (count == SIZE_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "a reference path has only \"$\", names and "
                            "indexes");
    out->count = count;
    out->parts = flow_pool_alloc(pool, count, sizeof *out->parts);
    if (out->parts == NULL)
        return plex_err_set(err, PLEX_INVALID, "the definition is too large");
    for (; count-- > 0; x = x->kids[0]) {
        const int64_t index =
            x->op == OP_INDEX ? json_integer_value(x->kids[1]->value) : 0;

        if (index < 0)
            return plex_err_set(err, PLEX_INVALID,
                                "an index of a place is 0 or more");
        out->parts[count].name = x->name;
        out->parts[count].index = (size_t)index;
    }
    return PLEX_OK;
}

static json_t *
set_at(const struct flow_place *place, size_t level, json_t *data,
       json_t *value)
{
    const struct flow_place_part *part;
    json_t *inner, *copy;

    if (level == place->count)
        return json_incref(value);
    part = &place->parts[level];
    if (part->name == NULL) {
        if (!json_is_array(data) || part->index >= json_array_size(data))
            return NULL;
        inner =
            set_at(place, level + 1, json_array_get(data, part->index), value);
        copy = inner != NULL ? json_copy(data) : NULL;
        if (copy != NULL)
            json_array_set_new(copy, part->index, inner);
        return copy;
    }
    if (data != NULL && !json_is_object(data) && !json_is_null(data))
        return NULL;
    inner = set_at(place, level + 1, json_object_get(data, part->name), value);
    if (inner == NULL)
        return NULL;
    copy = json_is_object(data) ? json_copy(data) : json_object();
    json_object_set_new(copy, part->name, inner);
    return copy;
}

json_t *
flow_place_set(const struct flow_place *place, json_t *data, json_t *value)
{
    return set_at(place, 0, data, value);
}
