/* JSON values with expressions in them, of both languages. */
#include "common/mem.h"
#include "workflow/expr_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum plex_status
too_large(const struct flow_at *at, struct plex_err *err)
{
    return flow_at_error(at, err, "the definition is too large");
}

/* A leaf: what a text, or a member with its name, turns into. */
typedef enum plex_status (*leaf_fn)(struct flow_pool *pool,
                                    const struct flow_at *at, unsigned roots,
                                    struct flow_expr **out,
                                    struct plex_err *err);

struct template_rules {
    unsigned roots;
    leaf_fn text;   /* every text; NULL: literal */
    leaf_fn dotted; /* texts of members named "x.$"; NULL: nothing special */
};

static enum plex_status parse_value(struct flow_pool *pool,
                                    const struct flow_at *at,
                                    const struct template_rules *rules,
                                    struct flow_expr **out,
                                    struct plex_err *err);

static enum plex_status
parse_member(struct flow_pool *pool, const struct flow_at *at,
             const struct template_rules *rules, struct flow_expr **name,
             struct flow_expr **value, struct plex_err *err)
{
    const size_t len = strlen(at->key);
    const bool dotted = rules->dotted != NULL && len > 2 &&
                        strcmp(at->key + len - 2, ".$") == 0;

    *name =
        flow_expr_literal(pool, json_stringn(at->key, dotted ? len - 2 : len));
    if (*name == NULL)
        return too_large(at, err);
    if (!dotted)
        return parse_value(pool, at, rules, value, err);
    if (!json_is_string(at->value))
        return flow_at_error(at, err,
                             "should be a path or an intrinsic function, "
                             "since its name ends in \".$\"");
    return rules->dotted(pool, at, rules->roots, value, err);
}

static enum plex_status
parse_object(struct flow_pool *pool, const struct flow_at *at,
             const struct template_rules *rules, struct flow_expr **out,
             struct plex_err *err)
{
    const size_t count = json_object_size(at->value);
    struct flow_expr *x = flow_expr_new(pool, OP_OBJECT, 2 * count);
    enum plex_status status = PLEX_OK;
    const char *key;
    json_t *value;
    size_t i = 0;

    if (x == NULL)
        return too_large(at, err);
    json_object_foreach(at->value, key, value)
    {
        const struct flow_at member = flow_at_member(at, key);

        status = parse_member(pool, &member, rules, &x->kids[i],
                              &x->kids[i + 1], err);
        if (status != PLEX_OK)
            return status;
        i += 2;
    }
    *out = x;
    return PLEX_OK;
}

static enum plex_status
parse_array(struct flow_pool *pool, const struct flow_at *at,
            const struct template_rules *rules, struct flow_expr **out,
            struct plex_err *err)
{
    const size_t count = json_array_size(at->value);
    struct flow_expr *x = flow_expr_new(pool, OP_ARRAY, count);
    enum plex_status status;

    if (x == NULL)
        return too_large(at, err);
    for (size_t i = 0; i < count; i++) {
        const struct flow_at item = flow_at_index(at, i);

        status = parse_value(pool, &item, rules, &x->kids[i], err);
        if (status != PLEX_OK)
            return status;
    }
    *out = x;
    return PLEX_OK;
}

static bool
all_literal(const struct flow_expr *x)
{
    for (size_t i = 0; i < x->count; i++) {
        if (x->kids[i]->op != OP_LITERAL)
            return false;
    }
    return true;
}

/* Constant parts cost nothing at run time: they are one literal. */
static enum plex_status
parse_value(struct flow_pool *pool, const struct flow_at *at,
            const struct template_rules *rules, struct flow_expr **out,
            struct plex_err *err)
{
    enum plex_status status = PLEX_OK;

    if (json_is_string(at->value) && rules->text != NULL)
        return rules->text(pool, at, rules->roots, out, err);
    if (json_is_object(at->value))
        status = parse_object(pool, at, rules, out, err);
    else if (json_is_array(at->value))
        status = parse_array(pool, at, rules, out, err);
    else
        *out = flow_expr_literal(pool, json_incref(at->value));
    if (status == PLEX_OK && *out == NULL)
        return too_large(at, err);
    if (status == PLEX_OK && (*out)->count > 0 && rules->dotted != NULL &&
        json_is_array(at->value) && all_literal(*out))
        *out = flow_expr_literal(pool, json_incref(at->value));
    return status;
}

/* -- the native "${...}" -----------------------------------------------------
 */

/* The end of an expression that begins after "${": its '}', past texts and
 * braces inside it; NULL: none. */
static const char *
expr_end(const char *c)
{
    unsigned depth = 0;

    for (; *c != '\0'; c++) {
        if (*c == '\'' || *c == '"') {
            const char quote = *c++;

            while (*c != '\0' && *c != quote)
                c += *c == '\\' && c[1] != '\0' ? 2 : 1;
            if (*c == '\0')
                return NULL;
        } else if (*c == '{') {
            depth++;
        } else if (*c == '}' && depth-- == 0) {
            return c;
        }
    }
    return NULL;
}

/* The literal text up to the next "${", with "$${" as "${". */
static const char *
literal_part(const char *c, char *out)
{
    while (*c != '\0') {
        if (strncmp(c, "$${", 3) == 0) {
            c++;
            *out++ = *c++;
        } else if (c[0] == '$' && c[1] == '{') {
            break;
        }
        if (*c != '\0')
            *out++ = *c++;
    }
    *out = '\0';
    return c;
}

static enum plex_status
parse_part(struct flow_pool *pool, const struct flow_at *at, const char **c,
           unsigned roots, struct flow_expr **out, struct plex_err *err)
{
    const char *text = json_string_value(at->value);
    const char *end = expr_end(*c + 2);
    struct plex_err inner;

    if (end == NULL)
        return flow_at_error(at, err, "\"${\" without its \"}\" at byte %zu",
                             (size_t)(*c - text) + 1);
    if (flow_expr_parse(pool, *c + 2, (size_t)(end - *c - 2), roots, out,
                        &inner) != PLEX_OK)
        return flow_at_error(at, err, "in the expression, %s", inner.text);
    *c = end + 1;
    return PLEX_OK;
}

static size_t
count_parts(const char *text)
{
    size_t count = 1;

    for (; (text = strstr(text, "${")) != NULL; text += 2)
        count += 2;
    return count;
}

static enum plex_status
native_text(struct flow_pool *pool, const struct flow_at *at, unsigned roots,
            struct flow_expr **out, struct plex_err *err)
{
    const char *text = json_string_value(at->value), *c = text;
    struct flow_expr *join;
    size_t n = 0;
    char *part;

    if (strstr(text, "${") == NULL ||
        strlen(text) != json_string_length(at->value)) {
        *out = flow_expr_literal(pool, json_incref(at->value));
        return *out != NULL ? PLEX_OK : too_large(at, err);
    }
    join = flow_expr_new(pool, OP_JOIN, count_parts(text));
    part = flow_pool_alloc(pool, strlen(text) + 1, 1);
    if (join == NULL || part == NULL)
        return too_large(at, err);
    while (*c != '\0') {
        enum plex_status status;

        c = literal_part(c, part);
        if (part[0] != '\0')
            join->kids[n++] = flow_expr_literal(pool, json_string(part));
        if (*c == '\0')
            break;
        status = parse_part(pool, at, &c, roots, &join->kids[n++], err);
        if (status != PLEX_OK)
            return status;
    }
    join->count = n;
    /* "${a}" is a itself; a text with "$${" only is a literal. */
    *out = n == 1 ? join->kids[0] : join;
    return PLEX_OK;
}

enum plex_status
flow_template_parse(struct flow_pool *pool, const struct flow_at *at,
                    unsigned roots, struct flow_expr **out,
                    struct plex_err *err)
{
    const struct template_rules rules = {roots, native_text, NULL};

    return parse_value(pool, at, &rules, out, err);
}

/* -- ASL's "name.$" -----------------------------------------------------------
 */

static enum plex_status
asl_path(struct flow_pool *pool, const struct flow_at *at, unsigned roots,
         struct flow_expr **out, struct plex_err *err)
{
    struct plex_err inner;

    (void)roots;
    if (flow_path_parse(pool, json_string_value(at->value), true, out,
                        &inner) != PLEX_OK)
        return flow_at_error(at, err, "%s", inner.text);
    return PLEX_OK;
}

enum plex_status
flow_payload_parse(struct flow_pool *pool, const struct flow_at *at,
                   struct flow_expr **out, struct plex_err *err)
{
    const struct template_rules rules = {0, NULL, asl_path};

    return parse_value(pool, at, &rules, out, err);
}
