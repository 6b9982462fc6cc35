/* The native language: a Pratt parser over the text, without a token list. */
#include "common/mem.h"
#include "common/utf8.h"
#include "workflow/expr_private.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct flow_expr *
flow_parse_fail(struct flow_parser *p, const char *at, const char *fmt, ...)
{
    char text[PLEX_ERR_TEXT_MAX];
    unsigned line = 1, column = 1;
    va_list args;

    if (p->failed)
        return NULL;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    for (const char *c = p->text; c < at && c < p->end; c++) {
        if (*c == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)*c & 0xC0) != 0x80) {
            column++;
        }
    }
    p->failed = true;
    plex_err_set(p->err, PLEX_INVALID, "%u:%u: %s", line, column, text);
    return NULL;
}

static struct flow_expr *
node(struct flow_parser *p, enum flow_op op, size_t kids)
{
    struct flow_expr *x = p->failed ? NULL : flow_expr_new(p->pool, op, kids);

    if (x == NULL)
        return flow_parse_fail(p, p->at, "the definition is too large");
    x->column = (unsigned)(p->at - p->text) + 1;
    return x;
}

void
flow_parse_space(struct flow_parser *p)
{
    while (p->at < p->end && isspace((unsigned char)*p->at))
        p->at++;
}

static bool
peek(struct flow_parser *p, const char *token)
{
    const size_t len = strlen(token);

    flow_parse_space(p);
    return (size_t)(p->end - p->at) >= len && memcmp(p->at, token, len) == 0;
}

static bool
accept(struct flow_parser *p, const char *token)
{
    if (p->failed || !peek(p, token))
        return false;
    p->at += strlen(token);
    return true;
}

static bool
expect(struct flow_parser *p, const char *token)
{
    if (accept(p, token))
        return true;
    if (p->at < p->end)
        flow_parse_fail(p, p->at, "'%s' is expected before '%.1s'", token,
                        p->at);
    else
        flow_parse_fail(p, p->at, "'%s' is expected at the end", token);
    return false;
}

static size_t
word_len(const struct flow_parser *p)
{
    const char *c = p->at;

    if (c < p->end && (isalpha((unsigned char)*c) || *c == '_')) {
        while (c < p->end && (isalnum((unsigned char)*c) || *c == '_'))
            c++;
    }
    return (size_t)(c - p->at);
}

static const char *
take_word(struct flow_parser *p)
{
    const size_t len = word_len(p);
    const char *word = plex_arena_strndup(&p->pool->arena, p->at, len);

    if (word == NULL)
        flow_parse_fail(p, p->at, "the definition is too large");
    p->at += len;
    return word;
}

static bool
parse_hex(struct flow_parser *p, unsigned *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++, p->at++) {
        if (p->at >= p->end || !isxdigit((unsigned char)*p->at))
            return false;
        *out = *out * 16 + (unsigned)(isdigit((unsigned char)*p->at)
                                          ? *p->at - '0'
                                          : (*p->at | 32) - 'a' + 10);
    }
    return true;
}

/* The escape after a backslash, as UTF-8; 0: not an escape. */
static size_t
parse_escape(struct flow_parser *p, char out[4])
{
    static const char from[] = "ntrbf", to[] = "\n\t\r\b\f";
    const char c = *p->at++;
    const char *simple = c != '\0' ? strchr(from, c) : NULL;
    unsigned code;

    if (c != 'u') {
        out[0] = simple != NULL ? to[simple - from] : c;
        return simple != NULL || strchr("\\'\"/$", c) != NULL ? 1 : 0;
    }
    if (!parse_hex(p, &code) || code == 0 || (code >= 0xD800 && code < 0xE000))
        return 0;
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    out[0] = (char)(0xE0 | code >> 12);
    out[1] = (char)(0x80 | (code >> 6 & 0x3F));
    out[2] = (char)(0x80 | (code & 0x3F));
    return 3;
}

const char *
flow_parse_quoted(struct flow_parser *p)
{
    const char *start = p->at;
    const char quote = *p->at++;
    char *text = flow_pool_alloc(p->pool, (size_t)(p->end - p->at) + 1, 1);
    size_t len = 0;

    if (text == NULL) {
        flow_parse_fail(p, start, "the definition is too large");
        return NULL;
    }
    while (p->at < p->end && *p->at != quote) {
        if (*p->at == '\\' && p->at + 1 < p->end) {
            const char *escape = p->at++;
            const size_t more = parse_escape(p, text + len);

            if (more == 0) {
                flow_parse_fail(p, escape, "unknown escape in a text");
                return NULL;
            }
            len += more;
        } else {
            text[len++] = *p->at++;
        }
    }
    if (p->at >= p->end) {
        flow_parse_fail(p, start, "the text that begins here does not end");
        return NULL;
    }
    p->at++;
    text[len] = '\0';
    return text;
}

static struct flow_expr *
literal(struct flow_parser *p, json_t *value)
{
    struct flow_expr *x = node(p, OP_LITERAL, 0);

    flow_pool_keep(p->pool, value);
    if (x != NULL)
        x->value = value;
    return x;
}

static struct flow_expr *
parse_number(struct flow_parser *p)
{
    const char *start = p->at, *c = p->at;
    char digits[64];
    char *end;
    bool real = false;

    while (c < p->end && (isdigit((unsigned char)*c) || *c == '.' ||
                          ((*c | 32) == 'e' && c > start) ||
                          ((*c == '+' || *c == '-') && (c[-1] | 32) == 'e'))) {
        real |= !isdigit((unsigned char)*c);
        c++;
    }
    if ((size_t)(c - start) >= sizeof digits)
        return flow_parse_fail(p, start, "the number is too long");
    memcpy(digits, start, (size_t)(c - start));
    digits[c - start] = '\0';
    p->at = c;
    errno = 0;
    if (!real) {
        const long long number = strtoll(digits, &end, 10);

        if (errno != 0)
            return flow_parse_fail(p, start, "the number is too large");
        return literal(p, json_integer(number));
    }
    const double number = strtod(digits, &end);
    if (*end != '\0' || !isfinite(number))
        return flow_parse_fail(p, start, "'%s' is not a number", digits);
    return literal(p, json_real(number));
}

/* Comma-separated expressions up to `close`; their number, kids in `list`. */
enum { LIST_MAX = 64 };

/* In the pool, not on the stack: callers run on small stacks. */
static struct flow_expr **
new_list(struct flow_parser *p)
{
    struct flow_expr **list =
        flow_pool_alloc(p->pool, LIST_MAX, sizeof(struct flow_expr *));

    if (list == NULL)
        flow_parse_fail(p, p->at, "the definition is too large");
    return list;
}

static size_t
parse_list(struct flow_parser *p, const char *close, struct flow_expr ***out)
{
    struct flow_expr **list = new_list(p);
    size_t count = 0;

    *out = list;
    if (list == NULL)
        return 0;
    if (accept(p, close))
        return 0;
    do {
        if (count == LIST_MAX) {
            flow_parse_fail(p, p->at, "a list has at most %d items", LIST_MAX);
            return 0;
        }
        list[count++] = flow_parse_expr(p, 0);
    } while (accept(p, ","));
    expect(p, close);
    return p->failed ? 0 : count;
}

static struct flow_expr *
with_kids(struct flow_parser *p, enum flow_op op, struct flow_expr **list,
          size_t count)
{
    struct flow_expr *x = node(p, op, count);

    if (x != NULL && count > 0)
        memcpy(x->kids, list, count * sizeof(struct flow_expr *));
    return x;
}

static struct flow_expr *
parse_object(struct flow_parser *p)
{
    struct flow_expr **list;
    size_t count = 0;

    if (accept(p, "}"))
        return node(p, OP_OBJECT, 0);
    list = new_list(p);
    if (list == NULL)
        return NULL;
    do {
        const char *name;

        if (count + 2 > LIST_MAX)
            return flow_parse_fail(p, p->at, "an object has at most %d members",
                                   LIST_MAX / 2);
        flow_parse_space(p);
        if (p->at < p->end && (*p->at == '"' || *p->at == '\''))
            name = flow_parse_quoted(p);
        else if (word_len(p) > 0)
            name = take_word(p);
        else
            return flow_parse_fail(p, p->at, "a member's name is expected");
        if (p->failed || !expect(p, ":"))
            return NULL;
        list[count++] = literal(p, json_string(name));
        list[count++] = flow_parse_expr(p, 0);
    } while (accept(p, ","));
    if (!expect(p, "}"))
        return NULL;
    return with_kids(p, OP_OBJECT, list, count);
}

/* map(list, name, body) and its like bind a name. */
static struct flow_expr *
parse_each(struct flow_parser *p, enum flow_each how)
{
    struct flow_expr *x = node(p, OP_EACH, 2);

    if (x == NULL)
        return NULL;
    x->which = how;
    x->kids[0] = flow_parse_expr(p, 0);
    if (!expect(p, ","))
        return NULL;
    flow_parse_space(p);
    if (word_len(p) == 0)
        return flow_parse_fail(p, p->at,
                               "a name for the item is expected: "
                               "map(list, x, x.price)");
    if (p->n_locals == EXPR_LOCALS_MAX)
        return flow_parse_fail(p, p->at, "nested too deep");
    x->slot = p->n_locals;
    p->locals[p->n_locals++] = take_word(p);
    if (expect(p, ","))
        x->kids[1] = flow_parse_expr(p, 0);
    p->n_locals--;
    return expect(p, ")") ? x : NULL;
}

static struct flow_expr *
parse_call(struct flow_parser *p, const char *start, const char *name)
{
    static const char *const each[] = {"map", "filter", "any", "all"};
    struct flow_expr **list, *x;
    const struct flow_function *f;
    size_t count;

    for (unsigned i = 0; i < sizeof each / sizeof *each; i++) {
        if (strcmp(each[i], name) == 0)
            return parse_each(p, (enum flow_each)i);
    }
    count = parse_list(p, ")", &list);
    if (p->failed)
        return NULL;
    if (strcmp(name, "exists") == 0) {
        if (count != 1)
            return flow_parse_fail(p, start, "exists() has one argument");
        return with_kids(p, OP_EXISTS, list, 1);
    }
    f = flow_function_find(name, strlen(name), false);
    if (f == NULL)
        return flow_parse_fail(p, start, "there is no function '%.40s'", name);
    if (count < f->min || count > f->max)
        return flow_parse_fail(p, start, "%s() has %u to %u arguments, not %zu",
                               name, f->min, f->max, count);
    x = with_kids(p, OP_CALL, list, count);
    if (x != NULL) {
        x->function = f;
        x->column = (unsigned)(start - p->text) + 1;
    }
    return x;
}

static const char *const root_names[] = {"input", "vars",  "run",   "steps",
                                         "item",  "index", "result"};

/* steps.NAME, steps["NAME"]: a step is always named, so it can be checked. */
static struct flow_expr *
parse_step(struct flow_parser *p, const char *start, struct flow_expr *x)
{
    if (accept(p, "[")) {
        flow_parse_space(p);
        if (p->at >= p->end || (*p->at != '"' && *p->at != '\''))
            return flow_parse_fail(p, p->at,
                                   "a step's name in quotes is expected");
        x->name = flow_parse_quoted(p);
        return x->name != NULL && expect(p, "]") ? x : NULL;
    }
    if (!accept(p, "."))
        return flow_parse_fail(p, start,
                               "name a step: steps.ID or steps[\"ID\"]");
    flow_parse_space(p);
    if (word_len(p) == 0)
        return flow_parse_fail(p, p->at, "a step's name is expected");
    x->name = take_word(p);
    return p->failed ? NULL : x;
}

static struct flow_expr *
parse_root(struct flow_parser *p, const char *start, const char *name)
{
    struct flow_expr *x;

    for (unsigned i = p->n_locals; i-- > 0;) {
        if (p->locals[i] != NULL && strcmp(p->locals[i], name) == 0) {
            x = node(p, OP_LOCAL, 0);
            if (x != NULL)
                x->which = i;
            return x;
        }
    }
    for (unsigned i = 0; i < sizeof root_names / sizeof *root_names; i++) {
        if (strcmp(root_names[i], name) != 0)
            continue;
        if ((p->roots & FLOW_ROOT_BIT(i)) == 0)
            return flow_parse_fail(p, start, "'%s' is not known here", name);
        x = node(p, OP_ROOT, 0);
        if (x == NULL)
            return NULL;
        x->which = i;
        x->column = (unsigned)(start - p->text) + 1;
        return i == FLOW_ROOT_STEP ? parse_step(p, start, x) : x;
    }
    return flow_parse_fail(p, start,
                           "unknown name '%.40s': texts are quoted; names are "
                           "input, steps, vars, run, item, index, result",
                           name);
}

static struct flow_expr *
parse_word(struct flow_parser *p)
{
    const char *start = p->at;
    const char *name = take_word(p);

    if (p->failed)
        return NULL;
    if (strcmp(name, "true") == 0 || strcmp(name, "false") == 0)
        return literal(p, json_boolean(name[0] == 't'));
    if (strcmp(name, "null") == 0)
        return literal(p, json_null());
    if (accept(p, "("))
        return parse_call(p, start, name);
    return parse_root(p, start, name);
}

static struct flow_expr *
parse_at(struct flow_parser *p)
{
    struct flow_expr *x;

    if (p->at_slot < 0)
        return flow_parse_fail(p, p->at,
                               "'@' is known in filters of paths "
                               "only");
    x = node(p, OP_LOCAL, 0);
    p->at++;
    if (x != NULL)
        x->which = (unsigned)p->at_slot;
    return x;
}

static struct flow_expr *
parse_unary(struct flow_parser *p, enum flow_op op)
{
    struct flow_expr *x = node(p, op, 1);

    if (x != NULL)
        x->kids[0] = flow_parse_expr(p, 9);
    return p->failed ? NULL : x;
}

static struct flow_expr *
parse_prefix(struct flow_parser *p)
{
    struct flow_expr **list, *x;

    flow_parse_space(p);
    if (p->at >= p->end)
        return flow_parse_fail(p, p->at, "an expression is expected");
    if (*p->at == '"' || *p->at == '\'') {
        const char *text = flow_parse_quoted(p);

        return text != NULL ? literal(p, json_string(text)) : NULL;
    }
    if (isdigit((unsigned char)*p->at))
        return parse_number(p);
    if (word_len(p) > 0)
        return parse_word(p);
    if (*p->at == '@')
        return parse_at(p);
    if (*p->at == '$' && p->in_path)
        return flow_parse_path(p);
    if (accept(p, "(")) {
        x = flow_parse_expr(p, 0);
        return expect(p, ")") ? x : NULL;
    }
    if (accept(p, "[")) {
        const size_t count = parse_list(p, "]", &list);

        return with_kids(p, OP_ARRAY, list, count);
    }
    if (accept(p, "{"))
        return parse_object(p);
    if (accept(p, "!"))
        return parse_unary(p, OP_NOT);
    if (accept(p, "-"))
        return parse_unary(p, OP_NEGATE);
    return flow_parse_fail(p, p->at, "an expression cannot begin with '%.1s'",
                           p->at);
}

/* -- what follows a value -----------------------------------------------------
 */

static struct flow_expr *
parse_member(struct flow_parser *p, struct flow_expr *left, bool lenient)
{
    struct flow_expr *x = node(p, OP_MEMBER, 1);

    flow_parse_space(p);
    if (word_len(p) == 0)
        return flow_parse_fail(p, p->at,
                               "a member's name is expected after "
                               "'.'");
    if (x == NULL)
        return NULL;
    x->kids[0] = left;
    x->lenient = lenient;
    x->name = take_word(p);
    return p->failed ? NULL : x;
}

static struct flow_expr *
parse_index(struct flow_parser *p, struct flow_expr *left, bool lenient)
{
    struct flow_expr *x = node(p, OP_INDEX, 2);

    if (x == NULL)
        return NULL;
    x->kids[0] = left;
    x->lenient = lenient;
    x->kids[1] = flow_parse_expr(p, 0);
    return expect(p, "]") ? x : NULL;
}

/* Longer tokens first where one begins another. */
static const struct {
    const char *token;
    int power; /* how strongly it binds; 10: what follows a value */
    enum flow_op op;
    unsigned which;
} operators[] = {
    {"?.", 10, OP_MEMBER, 1},     {"?[", 10, OP_INDEX, 1},
    {"??", 2, OP_COALESCE, 0},    {"?", 1, OP_CHOOSE, 0},
    {"||", 3, OP_OR, 0},          {"&&", 4, OP_AND, 0},
    {"==", 5, OP_BINARY, BIN_EQ}, {"!=", 5, OP_BINARY, BIN_NE},
    {"<=", 6, OP_BINARY, BIN_LE}, {">=", 6, OP_BINARY, BIN_GE},
    {"<", 6, OP_BINARY, BIN_LT},  {">", 6, OP_BINARY, BIN_GT},
    {"in", 6, OP_BINARY, BIN_IN}, {"+", 7, OP_BINARY, BIN_ADD},
    {"-", 7, OP_BINARY, BIN_SUB}, {"*", 8, OP_BINARY, BIN_MUL},
    {"/", 8, OP_BINARY, BIN_DIV}, {"%", 8, OP_BINARY, BIN_MOD},
    {".", 10, OP_MEMBER, 0},      {"[", 10, OP_INDEX, 0},
};
enum { OPERATORS = sizeof operators / sizeof *operators };

static size_t
find_operator(struct flow_parser *p)
{
    flow_parse_space(p);
    for (size_t i = 0; i < OPERATORS; i++) {
        if (!peek(p, operators[i].token))
            continue;
        if (operators[i].which == BIN_IN && operators[i].op == OP_BINARY &&
            word_len(p) != 2)
            continue;
        return i;
    }
    return OPERATORS;
}

static struct flow_expr *
parse_choose(struct flow_parser *p, struct flow_expr *left)
{
    struct flow_expr *x = node(p, OP_CHOOSE, 3);

    if (x == NULL)
        return NULL;
    x->kids[0] = left;
    x->kids[1] = flow_parse_expr(p, 0);
    if (!expect(p, ":"))
        return NULL;
    x->kids[2] = flow_parse_expr(p, 1);
    return x;
}

static struct flow_expr *
parse_infix(struct flow_parser *p, struct flow_expr *left, size_t which)
{
    struct flow_expr *x;

    if (operators[which].op == OP_MEMBER)
        return parse_member(p, left, operators[which].which != 0);
    if (operators[which].op == OP_INDEX)
        return parse_index(p, left, operators[which].which != 0);
    if (operators[which].op == OP_CHOOSE)
        return parse_choose(p, left);
    x = node(p, operators[which].op, 2);
    if (x == NULL)
        return NULL;
    x->which = operators[which].which;
    x->kids[0] = left;
    x->kids[1] = flow_parse_expr(p, operators[which].power + 1);
    return x;
}

struct flow_expr *
flow_parse_expr(struct flow_parser *p, int min_power)
{
    struct flow_expr *left;
    unsigned links = 0;

    if (p->failed)
        return NULL;
    if (++p->depth > FLOW_EXPR_DEPTH_MAX)
        return flow_parse_fail(p, p->at, "nested deeper than %d levels",
                               FLOW_EXPR_DEPTH_MAX);
    left = parse_prefix(p);
    while (!p->failed) {
        const size_t which = find_operator(p);

        if (which == OPERATORS || operators[which].power < min_power)
            break;
        /* Chains nest to the left: they count as depth too. */
        if (++links > 4 * FLOW_EXPR_DEPTH_MAX)
            return flow_parse_fail(p, p->at, "more than %d operators in a row",
                                   4 * FLOW_EXPR_DEPTH_MAX);
        p->at += strlen(operators[which].token);
        left = parse_infix(p, left, which);
    }
    p->depth--;
    return p->failed ? NULL : left;
}
