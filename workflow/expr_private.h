#ifndef WORKFLOW_EXPR_PRIVATE_H
#define WORKFLOW_EXPR_PRIVATE_H

#include "workflow/expr.h"

enum flow_op {
    OP_LITERAL, /* value */
    OP_ROOT,    /* which = enum flow_root; name for a step */
    OP_LOCAL,   /* which = slot: map's and filter's variable, a path's @ */
    OP_MEMBER,  /* kid 0, name; lenient: null for what is not there */
    OP_INDEX,   /* kid 0, kid 1; lenient too */
    OP_SELECT,  /* kid 0 and segments: a JSONPath that may match many */
    OP_NOT,
    OP_NEGATE,
    OP_AND, /* any number of kids */
    OP_OR,
    OP_COALESCE, /* kid 0, or kid 1 where that is missing or null */
    OP_CHOOSE,   /* kid 0 ? kid 1 : kid 2 */
    OP_BINARY,   /* which = enum flow_binary */
    OP_ARRAY,
    OP_OBJECT,  /* kids: name, value, name, value ... */
    OP_JOIN,    /* texts and values to one text */
    OP_CALL,    /* function */
    OP_EACH,    /* which = enum flow_each; kid 0 list, kid 1 body; slot */
    OP_EXISTS,  /* kid 0 */
    OP_COMPARE, /* which = index of ASL comparisons; kids 0 and 1 */
    /* segments of OP_SELECT */
    SEG_NAME,  /* name */
    SEG_INDEX, /* number, from the end if negative */
    SEG_WILD,
    SEG_DESCEND, /* the segments after it apply at every level */
    SEG_SLICE,   /* value: [from, to, step], null where not given */
    SEG_UNION,   /* value: [names and numbers] */
    SEG_FILTER   /* kid 0; slot */
};

enum flow_binary {
    BIN_EQ,
    BIN_NE,
    BIN_LT,
    BIN_LE,
    BIN_GT,
    BIN_GE,
    BIN_IN,
    BIN_ADD,
    BIN_SUB,
    BIN_MUL,
    BIN_DIV,
    BIN_MOD
};

enum flow_each { EACH_MAP, EACH_FILTER, EACH_ANY, EACH_ALL };

struct flow_expr {
    enum flow_op op;
    unsigned which;
    unsigned slot;
    unsigned column; /* in its text, from 1; 0: it has none */
    bool lenient;
    int64_t number;
    const char *name;
    const struct flow_function *function;
    json_t *value;
    struct flow_expr **kids;
    size_t count;
};

enum { EXPR_LOCALS_MAX = FLOW_EXPR_DEPTH_MAX };

struct flow_eval {
    const struct flow_env *env;
    struct flow_fault *fault;
    unsigned work;
    unsigned column; /* of what is being evaluated, for faults */
    json_t *locals[EXPR_LOCALS_MAX]; /* borrowed */
};

typedef json_t *(*flow_call_fn)(struct flow_eval *ev, json_t **args,
                                size_t count);

struct flow_function {
    const char *name;
    unsigned min, max; /* arguments */
    flow_call_fn call;
};

/* The native ones; flow_states_functions are ASL's. A NULL name ends. */
extern const struct flow_function flow_functions[];
extern const struct flow_function flow_list_functions[];
extern const struct flow_function flow_states_functions[];
/* NULL: there is none of this name. */
const struct flow_function *flow_function_find(const char *name, size_t len,
                                               bool states);

struct flow_expr *flow_expr_new(struct flow_pool *pool, enum flow_op op,
                                size_t kids);

/* -- parsing --------------------------------------------------------------- */
struct flow_parser {
    struct flow_pool *pool;
    const char *text, *at, *end;
    unsigned roots;
    unsigned depth;
    const char *locals[EXPR_LOCALS_MAX];
    unsigned n_locals;
    int at_slot;  /* of '@', or -1 */
    bool in_path; /* '$' is allowed: inside a filter of a path */
    struct plex_err *err;
    bool failed;
};

/* An expression up to something that cannot be part of it; NULL: failed. */
struct flow_expr *flow_parse_expr(struct flow_parser *p, int min_power);
struct flow_expr *flow_parse_fail(struct flow_parser *p, const char *at,
                                  const char *fmt, ...) PLEX_PRINTF(3, 4);
void flow_parse_space(struct flow_parser *p);
/* A quoted text at p->at; NULL: failed. In the pool. */
const char *flow_parse_quoted(struct flow_parser *p);
/* "$..." or "$$..." at p->at. */
struct flow_expr *flow_parse_path(struct flow_parser *p);
/* The segments after a root: ".a[0]". */
struct flow_expr *flow_parse_segments(struct flow_parser *p,
                                      struct flow_expr *base);

/* -- evaluating --------------------------------------------------------------
 */
/* A new reference or NULL, fault filled. */
json_t *flow_eval(struct flow_eval *ev, const struct flow_expr *x);
json_t *flow_eval_select(struct flow_eval *ev, const struct flow_expr *x);
json_t *flow_eval_compare(struct flow_eval *ev, const struct flow_expr *x);
json_t *flow_eval_binary(struct flow_eval *ev, enum flow_binary how, json_t *a,
                         json_t *b);
int flow_compare_find(const char *name);
/* Always NULL. */
json_t *flow_eval_fault(struct flow_eval *ev, enum flow_fault_kind kind,
                        const char *fmt, ...) PLEX_PRINTF(3, 4);
/* false, fault filled: too much. */
bool flow_eval_charge(struct flow_eval *ev, size_t work);
uint64_t flow_eval_random(struct flow_eval *ev);
const char *flow_type_name(const json_t *value);
/* A list of `count` texts of `len` bytes, checked: a new text. */
json_t *flow_eval_text(struct flow_eval *ev, const char *text, size_t len);

/* -- shared by functions of both languages --------------------------------- */
json_t *flow_fn_base64_encode(struct flow_eval *ev, json_t **args, size_t n);
json_t *flow_fn_base64_decode(struct flow_eval *ev, json_t **args, size_t n);
json_t *flow_fn_hash(struct flow_eval *ev, json_t **args, size_t n);
json_t *flow_fn_uuid(struct flow_eval *ev, json_t **args, size_t n);
json_t *flow_fn_unique(struct flow_eval *ev, json_t **args, size_t n);
json_t *flow_fn_json(struct flow_eval *ev, json_t **args, size_t n);
json_t *flow_fn_parse_json(struct flow_eval *ev, json_t **args, size_t n);
json_t *flow_fn_merge(struct flow_eval *ev, json_t **args, size_t n);

/* '*' any text, '?' (if `one`) any character, '\\' escapes. */
bool flow_glob(const char *pattern, const char *text, bool one);

#endif
