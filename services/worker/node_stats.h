#ifndef SERVICES_WORKER_NODE_STATS_H
#define SERVICES_WORKER_NODE_STATS_H

#include "services/worker/node_private.h"

/* How often the children of a supervisor have failed and been restarted, and
 * why. Counted of its events; it is as old as the supervisor. */
enum {
    STATS_SUPERVISORS_MAX = 10000, /* of which it is known */
    STATS_PATTERNS_MAX = 32,       /* reasons, each; then "other" */
    STATS_REASON_MAX = 64,         /* bytes of it */
    STATS_HISTORY_MAX = 10000,
};
struct node_pattern {
    char reason[STATS_REASON_MAX];
    uint64_t count;
};
struct node_stats {
    uint64_t failures, restarts, gave_up;
    size_t n_patterns;
    struct node_pattern patterns[STATS_PATTERNS_MAX];
};
enum { STATS_WAITING_MANY = 1000 }; /* messages: degraded */
/* An end that is not normal. */
bool node_is_failure(const char *reason);
/* "healthy", "degraded", "stuck" */
const char *node_health(const struct work_node *node, const struct rt_info *at);
/* Borrowed; NULL: nothing has happened to its children. */
const struct node_stats *node_stats_of(const struct work_node *node,
                                       struct plex_ref supervisor);

void node_stats_note(struct work_node *node, const struct node_event *event);
void node_stats_free(struct work_node *node);

#endif
