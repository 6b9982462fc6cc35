#ifndef WORKFLOW_ASL_H
#define WORKFLOW_ASL_H

#include "workflow/graph.h"

/* The Amazon States Language's front end: asl.c machines and what states
 * have in common, asl_state.c their types, asl_choice.c choice rules,
 * asl_resource.c what a Resource stands for. */
struct asl {
    struct flow_def *def;
    const struct flow_asl_options *options;
    struct plex_err *err;
};

PLEX_MUST_USE enum plex_status asl_machine(struct asl *a,
                                           const struct flow_at *at,
                                           uint32_t owner, const char *name,
                                           uint32_t *index);
PLEX_MUST_USE enum plex_status asl_state(struct asl *a,
                                         const struct flow_at *at,
                                         struct flow_node *node);
PLEX_MUST_USE enum plex_status asl_choices(struct asl *a,
                                           const struct flow_at *at,
                                           struct flow_node *node);
PLEX_MUST_USE enum plex_status asl_resource(struct asl *a,
                                            const struct flow_at *at,
                                            struct flow_node *node);

/* The state of the scope of `node` that the member `key` names; absent:
 * FLOW_NONE. */
PLEX_MUST_USE enum plex_status asl_target(struct asl *a,
                                          const struct flow_at *at,
                                          const char *key,
                                          const struct flow_node *node,
                                          uint32_t *out);
/* A path at a member; absent: *out is left alone. "$" gives NULL if `whole`. */
PLEX_MUST_USE enum plex_status asl_path(struct asl *a, const struct flow_at *at,
                                        const char *key, bool functions,
                                        struct flow_expr **out);
enum plex_status asl_full(struct asl *a, const struct flow_at *at);
PLEX_MUST_USE enum plex_status asl_unsupported(struct asl *a,
                                               const struct flow_at *at,
                                               const char *key,
                                               const char *instead);
PLEX_MUST_USE enum plex_status asl_errors(struct asl *a,
                                          const struct flow_at *at,
                                          const char *const **out);

/* The actor type that a Lambda's name or ARN stands for: what follows its
 * last ':' (a version or alias after the name left out) in lower case, words
 * parted by '-': "ProcessOrder" is "process-order". Free with free(). */
char *flow_asl_actor_type(const char *resource);

#endif
