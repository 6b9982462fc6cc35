#ifndef WORKFLOW_GRAPH_H
#define WORKFLOW_GRAPH_H

#include "workflow/def.h"
#include "workflow/expr.h"

/*
 * The one internal form: what both languages compile to and the engine runs.
 *
 * A scope is a set of nodes that run together: the definition itself, a branch
 * of a parallel, the body of a map. In a *chain* (ASL) one node follows
 * another and data flows along; in a *net* (native) a node runs when all it
 * depends on is settled, and reads what it wants from the steps before it.
 */
#define FLOW_NONE UINT32_MAX

enum flow_kind {
    FLOW_TASK,
    FLOW_PASS,
    FLOW_CHOICE,
    FLOW_WAIT,
    FLOW_PARALLEL,
    FLOW_MAP,
    FLOW_SIGNAL,
    FLOW_CHILD,
    FLOW_APPROVAL,
    FLOW_HTTP_STEP,
    FLOW_SUCCEED,
    FLOW_FAIL_STEP,
    FLOW_CONTINUE_STEP /* the run begins anew */
};
const char *flow_kind_name(enum flow_kind kind); /* "task" */

struct flow_retrier {
    const char *const *errors; /* codes, NULL ends; NULL: all */
    int64_t first_ms, max_ms;
    double rate;
    uint32_t retries;
    bool jitter; /* a random time up to the interval instead of it */
};

struct flow_catcher {
    const char *const *errors;
    uint32_t next;
    struct flow_place place; /* chain: where the error goes in the input */
    bool discard;            /* chain: nowhere */
};

struct flow_rule {
    struct flow_expr *when;
    uint32_t next;
};

/* An incoming edge of a net. Chosen and caught edges are live when `from`
 * picked this node; the others when it completed. */
struct flow_edge {
    uint32_t from;
    bool on_done;
};

/* What a task calls. Each is an expression; a missing key is the run's id. */
struct flow_target {
    struct flow_expr *type, *key, *method, *input;
};

enum flow_wait_how { FLOW_WAIT_MS, FLOW_WAIT_SECONDS, FLOW_WAIT_UNTIL };

struct flow_node {
    const char *id;
    const char *path; /* "outer/inner": unique in the definition */
    const char *title;
    enum flow_kind kind;
    uint32_t index, scope;

    /* chain */
    uint32_t next; /* FLOW_NONE: the scope ends here */
    /* net */
    struct flow_edge *deps;
    uint32_t *outs;
    uint32_t n_deps, n_outs;

    /* data; NULL: as it is */
    struct flow_expr *in_path, *params, *selector, *out_path;
    struct flow_place place;
    bool in_discard, result_discard, out_discard;

    /* errors */
    int64_t timeout_ms, heartbeat_ms;                /* 0: none */
    struct flow_expr *timeout_path, *heartbeat_path; /* seconds */
    struct flow_retrier *retriers;
    struct flow_catcher *catchers;
    uint32_t n_retriers, n_catchers;

    /* by kind */
    struct flow_target target; /* task; child: type = id, method = version */
    bool token, wrapped;       /* ASL: .waitForTaskToken; lambda:invoke */
    bool text_output;          /* ASL child: its output as a text */
    bool detached;             /* child: not waited for */
    bool reject_passes;        /* approval: a refusal is a result */
    struct flow_rule *rules;   /* choice */
    uint32_t n_rules, otherwise;
    enum flow_wait_how wait_how;
    struct flow_expr *value;    /* wait: when; map: items; signal: name; fail:
                                   code; http: url; approval: title */
    struct flow_expr *detail;   /* fail: cause; http: method; approval:
                                   assignees; map: max concurrency */
    struct flow_expr *headers;  /* http */
    struct flow_expr *per_item; /* map: the input of an item (chain) */
    uint32_t *branches;         /* scopes: of parallel; the one of map */
    uint32_t n_branches;
    int64_t concurrency; /* map: 0: all at once */
    int64_t tolerated;   /* map: items that may fail */
    double tolerated_percent;

    bool compensated; /* run `undo` if the run fails later */
    struct flow_target undo;
    struct flow_retrier *undo_retrier; /* NULL: the default */
};

struct flow_scope {
    const char *name; /* of a branch; "" */
    bool net;
    uint32_t owner;    /* node whose branch or body it is; FLOW_NONE: root */
    uint32_t start;    /* chain */
    uint32_t *nodes;   /* in the order of the definition */
    uint32_t *by_name; /* sorted by id */
    uint32_t n_nodes;
    uint32_t depth;
    struct flow_expr *output; /* net: NULL: of the steps nothing depends on */
};

/* A named, validated change of vars; or a named question. */
struct flow_named {
    const char *name;
    struct flow_expr *check; /* update: must be true; NULL: always */
    struct flow_expr *value; /* update: the new vars, merged; query: answer */
};

struct flow_def {
    struct flow_pool pool;
    unsigned refs;
    enum flow_language language;
    const char *id, *name, *version;
    char *text;
    size_t text_len;
    uint64_t digest;
    json_t *labels, *vars;
    int64_t timeout_ms; /* of the run; 0: none */
    bool park;          /* on failure: park instead of failing */
    struct flow_node **nodes;
    struct flow_scope **scopes; /* 0 is the root */
    uint32_t n_nodes, n_scopes;
    struct flow_named *updates, *queries;
    uint32_t n_updates, n_queries;
};

/* FLOW_NONE: no such step in the scope. */
uint32_t flow_scope_find(const struct flow_def *def,
                         const struct flow_scope *scope, const char *id);

/* -- for the front ends ------------------------------------------------------
 */
struct flow_def *flow_def_new(enum flow_language language, const char *text,
                              size_t len);
/* NULL: FLOW_STEPS_MAX, or too large. */
struct flow_node *flow_def_add_node(struct flow_def *def,
                                    struct flow_scope *scope, const char *id);
struct flow_scope *flow_def_add_scope(struct flow_def *def, uint32_t owner,
                                      const char *name, size_t nodes);
void flow_scope_sort(struct flow_def *def, struct flow_scope *scope);
char *flow_def_strdup(struct flow_def *def, const char *text);
void flow_def_seal(struct flow_def *def); /* the digest */

PLEX_MUST_USE enum plex_status flow_native_compile(struct flow_def *def,
                                                   const struct flow_at *root,
                                                   struct plex_err *err);
PLEX_MUST_USE enum plex_status flow_asl_compile(
    struct flow_def *def, const struct flow_at *root,
    const struct flow_asl_options *options, struct plex_err *err);

#endif
