#include "workflow/expr.h"

#include "common/mem.h"
#include "common/utf8.h"
#include "workflow/expr_private.h"

#include <stdlib.h>
#include <string.h>

void
flow_pool_init(struct flow_pool *pool, size_t max)
{
    plex_arena_init(&pool->arena, max);
    pool->literals = json_array();
}

void
flow_pool_fini(struct flow_pool *pool)
{
    json_decref(pool->literals);
    pool->literals = NULL;
    plex_arena_fini(&pool->arena);
}

void *
flow_pool_alloc(struct flow_pool *pool, size_t count, size_t size)
{
    void *memory;

    if (count > FLOW_TEXT_MAX)
        return NULL;
    memory = plex_arena_alloc(&pool->arena, count * size + 1);
    if (memory != NULL)
        memset(memory, 0, count * size + 1);
    return memory;
}

json_t *
flow_pool_keep(struct flow_pool *pool, json_t *value)
{
    if (value != NULL)
        json_array_append_new(pool->literals, value);
    return value;
}

struct flow_expr *
flow_expr_new(struct flow_pool *pool, enum flow_op op, size_t kids)
{
    struct flow_expr *x = flow_pool_alloc(pool, 1, sizeof *x);

    if (x == NULL)
        return NULL;
    x->op = op;
    x->count = kids;
    if (kids > 0) {
        x->kids = flow_pool_alloc(pool, kids, sizeof *x->kids);
        if (x->kids == NULL)
            return NULL;
    }
    return x;
}

struct flow_expr *
flow_expr_literal(struct flow_pool *pool, json_t *value)
{
    struct flow_expr *x = flow_expr_new(pool, OP_LITERAL, 0);

    flow_pool_keep(pool, value);
    if (x != NULL)
        x->value = value;
    return x;
}

struct flow_expr *
flow_expr_logic(struct flow_pool *pool, enum flow_logic how,
                struct flow_expr **parts, size_t count)
{
    static const enum flow_op ops[] = {OP_AND, OP_OR, OP_NOT};
    struct flow_expr *x = flow_expr_new(pool, ops[how], count);

    if (x != NULL && count > 0)
        memcpy(x->kids, parts, count * sizeof(struct flow_expr *));
    return x;
}

struct flow_expr *
flow_expr_compare(struct flow_pool *pool, const char *how,
                  struct flow_expr *left, struct flow_expr *right)
{
    const int which = flow_compare_find(how);
    struct flow_expr *x;

    if (which < 0)
        return NULL;
    x = flow_expr_new(pool, OP_COMPARE, 2);
    if (x == NULL)
        return NULL;
    x->which = (unsigned)which;
    x->kids[0] = left;
    x->kids[1] = right;
    return x;
}

enum plex_status
flow_expr_parse(struct flow_pool *pool, const char *text, size_t len,
                unsigned roots, struct flow_expr **out, struct plex_err *err)
{
    struct flow_parser p = {.pool = pool,
                            .text = text,
                            .at = text,
                            .end = text + len,
                            .roots = roots,
                            .at_slot = -1,
                            .err = err};

    if (len > FLOW_EXPR_TEXT_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "an expression has at most %d bytes",
                            FLOW_EXPR_TEXT_MAX);
    if (!plex_utf8_valid((const uint8_t *)text, len))
        return plex_err_set(err, PLEX_INVALID, "1:1: not UTF-8 text");
    *out = flow_parse_expr(&p, 0);
    flow_parse_space(&p);
    if (!p.failed && p.at < p.end)
        flow_parse_fail(
            &p, p.at, "an operator or the end is expected before '%.1s'", p.at);
    return p.failed ? PLEX_INVALID : PLEX_OK;
}

/* -- which steps does it name? ----------------------------------------------
 */

static size_t
steps_in(const struct flow_expr *x, const char **names, size_t count)
{
    if (x == NULL)
        return count;
    if (x->op == OP_ROOT && x->which == FLOW_ROOT_STEP) {
        size_t i = 0;

        while (i < count && strcmp(names[i], x->name) != 0)
            i++;
        if (i == count && count < FLOW_STEPS_MAX)
            names[count++] = x->name;
    }
    for (size_t i = 0; i < x->count; i++)
        count = steps_in(x->kids[i], names, count);
    return count;
}

const char *const *
flow_expr_steps(struct flow_pool *pool, const struct flow_expr *expr)
{
    static const char *const none[] = {NULL};
    const char **names = plex_calloc(FLOW_STEPS_MAX + 1, sizeof *names);
    const size_t count = steps_in(expr, names, 0);
    const char **kept = NULL;

    if (count > 0)
        kept = flow_pool_alloc(pool, count + 1, sizeof *kept);
    if (kept != NULL)
        memcpy(kept, names, count * sizeof *kept);
    free(names);
    return kept != NULL ? kept : none;
}
