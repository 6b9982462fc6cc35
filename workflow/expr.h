#ifndef WORKFLOW_EXPR_H
#define WORKFLOW_EXPR_H

#include "common/arena.h"
#include "common/err.h"
#include "workflow/limits.h"
#include "workflow/text.h"

#include <jansson.h>

/*
 * Expressions: pure functions of the values a run knows. Two languages are
 * read, one form is evaluated:
 *
 *  - the native language of docs/workflows.md, in "${ ... }";
 *  - the paths and intrinsic functions of the Amazon States Language.
 *
 * An evaluation is bounded in work and in the size of its result; the time
 * and the randomness it may ask for come in with the environment.
 */

/* What an expression can start from. */
enum flow_root {
    FLOW_ROOT_INPUT,  /* input */
    FLOW_ROOT_VARS,   /* vars */
    FLOW_ROOT_RUN,    /* run */
    FLOW_ROOT_STEP,   /* steps.NAME */
    FLOW_ROOT_ITEM,   /* item */
    FLOW_ROOT_INDEX,  /* index */
    FLOW_ROOT_RESULT, /* result */
    FLOW_ROOT_DATA,   /* $ */
    FLOW_ROOT_CONTEXT /* $$ */
};
#define FLOW_ROOT_BIT(root) (1u << (root))

/* Everything that lives as long as a definition: nodes in the arena, literal
 * values in the array. */
struct flow_pool {
    struct plex_arena arena;
    json_t *literals;
};

struct flow_expr; /* in a pool; immutable */

/* Why an evaluation failed. */
enum flow_fault_kind {
    FLOW_FAULT_NONE,
    FLOW_FAULT_PATH,     /* what a path names is not there */
    FLOW_FAULT_FUNCTION, /* a function's arguments are wrong */
    FLOW_FAULT_TYPE,     /* an operator's operands are wrong */
    FLOW_FAULT_LIMIT,    /* too much work, or too large a result */
    FLOW_FAULT_FAILED    /* asked for: fail("...") */
};
struct flow_fault {
    enum flow_fault_kind kind;
    size_t size; /* no fault: of the result, as compact text */
    char text[192];
};

struct flow_env {
    /* A borrowed value, kept alive until the evaluation ends; NULL: there is
     * none. `name` is the step's for FLOW_ROOT_STEP, else NULL. */
    json_t *(*root)(void *ctx, enum flow_root root, const char *name);
    void *ctx;
    int64_t now_ms;
    uint64_t *random; /* state of the generator, moved on by each use */
};

void flow_pool_init(struct flow_pool *pool, size_t max);
void flow_pool_fini(struct flow_pool *pool);
/* Arena memory, zeroed; NULL past the ceiling. */
void *flow_pool_alloc(struct flow_pool *pool, size_t count, size_t size);
/* Keep a reference to `value` (which is taken over) with the pool. */
json_t *flow_pool_keep(struct flow_pool *pool, json_t *value);

/* One native expression, without "${" and "}". Errors are PLEX_INVALID with
 * "LINE:COLUMN: text". `roots` are the FLOW_ROOT_BITs allowed here. */
PLEX_MUST_USE enum plex_status flow_expr_parse(struct flow_pool *pool,
                                               const char *text, size_t len,
                                               unsigned roots,
                                               struct flow_expr **out,
                                               struct plex_err *err);

/* A template: any JSON value in which texts hold "${...}". A text that is one
 * expression becomes its value, others are joined as text; "$${" is a literal
 * "${". Errors carry the place in the definition. */
PLEX_MUST_USE enum plex_status flow_template_parse(struct flow_pool *pool,
                                                   const struct flow_at *at,
                                                   unsigned roots,
                                                   struct flow_expr **out,
                                                   struct plex_err *err);

/* A JSONPath ("$.a[0]", "$$.Execution.Id", "$..b[?(@.c > 1)]"); with
 * `functions` also "States.Format(...)" and its like. */
PLEX_MUST_USE enum plex_status flow_path_parse(struct flow_pool *pool,
                                               const char *text, bool functions,
                                               struct flow_expr **out,
                                               struct plex_err *err);

/* A Parameters, ItemSelector or ResultSelector template: members whose name
 * ends in ".$" hold paths or intrinsic functions. */
PLEX_MUST_USE enum plex_status flow_payload_parse(struct flow_pool *pool,
                                                  const struct flow_at *at,
                                                  struct flow_expr **out,
                                                  struct plex_err *err);

/* A reference path as the place of a result: only names and indexes. */
struct flow_place {
    size_t count;
    struct flow_place_part {
        const char *name; /* NULL: index */
        size_t index;
    } * parts;
};
PLEX_MUST_USE enum plex_status flow_place_parse(struct flow_pool *pool,
                                                const char *text,
                                                struct flow_place *out,
                                                struct plex_err *err);
/* A copy of `data` with `value` at `place`; NULL: not possible there. */
json_t *flow_place_set(const struct flow_place *place, json_t *data,
                       json_t *value);

/* A new reference, or NULL with `fault` filled. */
json_t *flow_expr_eval(const struct flow_expr *expr, const struct flow_env *env,
                       struct flow_fault *fault);
/* false, null, 0, "", [] and {} are false; so are values that are missing. */
bool flow_value_true(const json_t *value);

/* Steps that the expression names, each once: NULL-terminated, in the pool. */
const char *const *flow_expr_steps(struct flow_pool *pool,
                                   const struct flow_expr *expr);

/* -- used by the front ends to build conditions ---------------------------- */
enum flow_logic { FLOW_AND, FLOW_OR, FLOW_NOT };
struct flow_expr *flow_expr_literal(struct flow_pool *pool, json_t *value);
struct flow_expr *flow_expr_logic(struct flow_pool *pool, enum flow_logic how,
                                  struct flow_expr **parts, size_t count);
/* An ASL comparison ("NumericLessThan", "IsPresent", ...; the Path variants
 * by their plain name with an expression at the right). NULL: unknown. */
struct flow_expr *flow_expr_compare(struct flow_pool *pool, const char *how,
                                    struct flow_expr *left,
                                    struct flow_expr *right);

#endif
