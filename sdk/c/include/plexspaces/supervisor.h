#ifndef PLEXSPACES_SUPERVISOR_H
#define PLEXSPACES_SUPERVISOR_H

#include "process.h"

/*
 * Supervisors with the semantics of OTP's supervisor. A behaviour whose
 * `supervisor` points here is one: started with plex_spawn(.wait = true) it
 * starts its children in order, each when the one before has finished its
 * init; if one fails, those before it are stopped in reverse order and the
 * start fails. A child whose init ends itself with the reason "ignore" counts
 * as started, without a process. Manifests declare the same as a tree
 * (docs/supervision.md).
 */
enum plex_strategy {
    PLEX_ONE_FOR_ONE = 1,
    PLEX_ONE_FOR_ALL = 2,
    PLEX_REST_FOR_ONE = 3,
    PLEX_SIMPLE_ONE_FOR_ONE = 4, /* children[0] is the template */
};
enum plex_restart {
    PLEX_PERMANENT = 0, /* always restarted */
    PLEX_TRANSIENT = 1, /* unless it ended normal, shutdown, shutdown:... */
    PLEX_TEMPORARY = 2, /* never */
};
enum { PLEX_BRUTAL_KILL = 0 };
#define PLEX_SHUTDOWN_DEFAULT                      \
    0xfffffffeu /* worker 5 s, supervisor infinity \
                 */
#define PLEX_SHUTDOWN_INFINITY 0xffffffffu

enum plex_auto_shutdown {
    PLEX_AUTO_NEVER = 0,
    PLEX_AUTO_ANY_SIGNIFICANT = 1,
    PLEX_AUTO_ALL_SIGNIFICANT = 2,
};
struct plex_child {
    const char *id; /* a row without an id ends the table */
    const struct plex_behaviour *behaviour;
    const void *args;
    size_t args_len;
    const char *name; /* registered; NULL: none */
    const char *node; /* as of plex_spawn; NULL: where the supervisor is */
    enum plex_restart restart;
    uint32_t shutdown_ms; /* PLEX_BRUTAL_KILL, PLEX_SHUTDOWN_..., or ms */
    bool significant;     /* not for permanent ones */
};
struct plex_supervisor {
    enum plex_strategy strategy;
    uint32_t intensity; /* restarts allowed within period_ms; 0: none */
    uint32_t period_ms; /* 0: 5,000 */
    enum plex_auto_shutdown auto_shutdown;
    const struct plex_child *children;
    /* Exponential back-off between restarts of one child; 0: at once. */
    uint32_t backoff_initial_ms;
    uint32_t backoff_max_ms; /* 0: 60,000 */
};
struct plex_child_info {
    char id[128];
    struct plex_ref ref; /* none: not running */
    enum plex_restart restart;
    bool is_supervisor;
    bool restarting; /* waits for its back-off, or its start failed */
    bool significant;
    uint32_t restarts;
};
struct plex_child_count {
    uint32_t specs, active, supervisors, workers;
};
/* The plan of a supervisor that runs. */
enum plex_plan_part {
    PLEX_PLAN_STRATEGY = 1,
    PLEX_PLAN_INTENSITY = 2,
    PLEX_PLAN_PERIOD = 4,
    PLEX_PLAN_AUTO_SHUTDOWN = 8,
    PLEX_PLAN_BACKOFF = 16, /* both of them */
};
struct plex_plan {
    uint32_t set; /* which of these are to be changed; 0: none */
    enum plex_strategy strategy;
    uint32_t intensity, period_ms;
    enum plex_auto_shutdown auto_shutdown;
    uint32_t backoff_initial_ms, backoff_max_ms;
};
enum plex_supervisor_verb {
    PLEX_SUP_START = 1, /* child; out: struct plex_ref */
    PLEX_SUP_TERMINATE, /* id, or for simple_one_for_one ref */
    PLEX_SUP_RESTART,   /* id; out: struct plex_ref */
    PLEX_SUP_DELETE,    /* id */
    PLEX_SUP_WHICH,     /* out: struct plex_child_info[out_max] */
    PLEX_SUP_COUNT,     /* out: struct plex_child_count */
    /* id, or for simple_one_for_one ref: stop it and start it again, which is
     * no restart; a child with needs is placed anew. CONFLICT: it does not
     * run. FAILED: it is restarted as one that has crashed. */
    PLEX_SUP_MOVE,
    PLEX_SUP_PLAN,   /* out: struct plex_plan; first what it is to be */
    PLEX_SUP_CHANGE, /* child: what the one of that id is from now on */
};
struct plex_supervisor_request {
    enum plex_supervisor_verb verb;
    const char *id;
    struct plex_ref ref;
    const struct plex_child *child;
    void *out;
    size_t out_max; /* elements */
};

/* All wait for the supervisor, without limit. Negative: PLEX_E_NOT_FOUND (child
 * or supervisor), PLEX_E_EXISTS (id: running or not), PLEX_E_CONFLICT (running:
 * terminate first; restarting), PLEX_E_INVALID (spec, not for this strategy, or
 * no supervisor), PLEX_E_FAILED (the child's init, or the supervisor ended).
 * PLEX_SUP_WHICH gives the number of children.
 *
 * On another worker (`name@node`, or its ref) the same, and PLEX_E_UNAVAILABLE:
 * it cannot be reached, or was lost meanwhile; what was asked for may have been
 * done. The behaviour of a child to start is the one of that module and name
 * there, PLEX_E_NOT_FOUND when it has none; its `node` NULL is that worker. */
static inline int
plex_supervisor_call(struct plex_ctx *ctx, struct plex_ref supervisor,
                     const struct plex_supervisor_request *request)
{
    return ctx->process->supervisor(ctx, supervisor, request);
}
/* As that, for at most timeout_ms: PLEX_E_TIMEOUT, and it may still be done. */
static inline int
plex_supervisor_call_within(struct plex_ctx *ctx, struct plex_ref supervisor,
                            const struct plex_supervisor_request *request,
                            uint64_t timeout_ms)
{
    return ctx->process->supervisor_within(ctx, supervisor, request,
                                           timeout_ms);
}
static inline int
plex_start_child(struct plex_ctx *ctx, struct plex_ref supervisor,
                 const struct plex_child *child, struct plex_ref *out)
{
    const struct plex_supervisor_request request = {
        .verb = PLEX_SUP_START, .child = child, .out = out, .out_max = 1};
    return plex_supervisor_call(ctx, supervisor, &request);
}
static inline int
plex_terminate_child(struct plex_ctx *ctx, struct plex_ref supervisor,
                     const char *id)
{
    const struct plex_supervisor_request request = {.verb = PLEX_SUP_TERMINATE,
                                                    .id = id};
    return plex_supervisor_call(ctx, supervisor, &request);
}
static inline int
plex_restart_child(struct plex_ctx *ctx, struct plex_ref supervisor,
                   const char *id, struct plex_ref *out)
{
    const struct plex_supervisor_request request = {
        .verb = PLEX_SUP_RESTART, .id = id, .out = out, .out_max = 1};
    return plex_supervisor_call(ctx, supervisor, &request);
}
static inline int
plex_delete_child(struct plex_ctx *ctx, struct plex_ref supervisor,
                  const char *id)
{
    const struct plex_supervisor_request request = {.verb = PLEX_SUP_DELETE,
                                                    .id = id};
    return plex_supervisor_call(ctx, supervisor, &request);
}
static inline int
plex_which_children(struct plex_ctx *ctx, struct plex_ref supervisor,
                    struct plex_child_info *out, size_t max)
{
    const struct plex_supervisor_request request = {
        .verb = PLEX_SUP_WHICH, .out = out, .out_max = max};
    return plex_supervisor_call(ctx, supervisor, &request);
}
/* Ask for the plan (set 0), or change it: what has happened stays, what
 * happens next follows the new one, until the supervisor starts anew. *plan is
 * then the whole of it. Also PLEX_E_CONFLICT: auto_shutdown cannot be never
 * while a child is significant. simple_one_for_one stays what it is. */
static inline int
plex_supervisor_plan(struct plex_ctx *ctx, struct plex_ref supervisor,
                     struct plex_plan *plan)
{
    const struct plex_supervisor_request request = {
        .verb = PLEX_SUP_PLAN, .out = plan, .out_max = 1};
    return plex_supervisor_call(ctx, supervisor, &request);
}
/* Give the child of that id, or under simple_one_for_one those to come, another
 * specification. A process that runs goes on: how it is restarted and stopped
 * is new at once, the rest with its next start. */
static inline int
plex_change_child(struct plex_ctx *ctx, struct plex_ref supervisor,
                  const struct plex_child *child)
{
    const struct plex_supervisor_request request = {.verb = PLEX_SUP_CHANGE,
                                                    .child = child};
    return plex_supervisor_call(ctx, supervisor, &request);
}
static inline int
plex_count_children(struct plex_ctx *ctx, struct plex_ref supervisor,
                    struct plex_child_count *out)
{
    const struct plex_supervisor_request request = {
        .verb = PLEX_SUP_COUNT, .out = out, .out_max = 1};
    return plex_supervisor_call(ctx, supervisor, &request);
}

#endif
