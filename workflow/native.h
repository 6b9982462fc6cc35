#ifndef WORKFLOW_NATIVE_H
#define WORKFLOW_NATIVE_H

#include "workflow/graph.h"

/* The native front end's own: native.c the definition and what all steps
 * have, native_step.c the kinds, native_net.c what depends on what. */

/* One level of nesting while it is read. */
struct native_level {
    const struct native_level *up;
    struct flow_scope *scope;
    uint8_t *before; /* bit (a * n + b): step b is before step a */
    uint32_t now;    /* the step being read; FLOW_NONE: the scope's output */
    bool in_map;     /* here or further out */
};

struct native {
    struct flow_def *def;
    struct plex_err *err;
    struct flow_retrier *retriers; /* default_retry */
    uint32_t n_retriers;
};

/* Steps under `at` (an array) as a new scope. */
PLEX_MUST_USE enum plex_status native_scope(
    struct native *n, const struct flow_at *at, uint32_t owner,
    const char *name, const struct native_level *up, bool in_map,
    const struct flow_at *output, uint32_t *index);

/* Edges and order of a scope whose nodes exist. */
PLEX_MUST_USE enum plex_status native_net(struct native *n,
                                          struct native_level *level,
                                          const struct flow_at *steps);
bool native_before(const struct native_level *level, const struct flow_def *def,
                   uint32_t step, uint32_t earlier);

/* A template at member `key`, its steps checked; absent: *out unchanged. */
PLEX_MUST_USE enum plex_status native_template(struct native *n,
                                               const struct native_level *level,
                                               const struct flow_at *at,
                                               const char *key, unsigned roots,
                                               struct flow_expr **out);
/* Does each step that `x` names exist, and come before? */
PLEX_MUST_USE enum plex_status native_check_steps(
    struct native *n, const struct native_level *level,
    const struct flow_at *at, struct flow_expr *x);
/* The roots every expression of the level may use. */
unsigned native_roots(const struct native_level *level);

/* A step's kind and what belongs to it. `at` is the step. */
PLEX_MUST_USE enum plex_status native_kind(struct native *n,
                                           const struct flow_at *at,
                                           struct flow_node *node);
PLEX_MUST_USE enum plex_status native_step(struct native *n,
                                           struct native_level *level,
                                           const struct flow_at *at,
                                           struct flow_node *node);
/* Where a step's kind-specific members are: in "config", or beside. */
struct flow_at native_config(const struct flow_at *step);

PLEX_MUST_USE enum plex_status native_retry(struct native *n,
                                            const struct flow_at *at,
                                            struct flow_retrier **out,
                                            uint32_t *count);
/* A list of error codes; absent or empty: NULL. */
PLEX_MUST_USE enum plex_status native_codes(struct native *n,
                                            const struct flow_at *at,
                                            const char *key,
                                            const char *const **out);
enum plex_status native_full(struct native *n, const struct flow_at *at);

#endif
