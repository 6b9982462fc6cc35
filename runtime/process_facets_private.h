#ifndef RUNTIME_PROCESS_FACETS_PRIVATE_H
#define RUNTIME_PROCESS_FACETS_PRIVATE_H

#include "runtime/around.h"
#include "runtime/process_facets.h"

/* Shared by process_facets.c (life), process_facets_call.c (messages) and
 * process_facets_ask.c (what is attached while it runs). */

enum { RT_AROUND_CLIENT_MAX = 300 };

struct rt_around {
    struct rt_facets *chain; /* NULL: not made yet */
    const struct rt_facet_plan *plan;
    struct rt_facet_plan *own; /* the same, when it is this process's alone */
    const struct rt_facet_types *types;
    /* The engine that calls the callbacks; NULL: they are the behaviour's. */
    const struct rt_engine *inner;
    /* Callbacks do not nest: one message is on its way. Kept here, since a
     * callback that waits may never come back. */
    struct rt_facet_call call;
    bool calling;
    char client[RT_AROUND_CLIENT_MAX];
    uint64_t timer, due_ns; /* of the facets' wake-ups; 0, UINT64_MAX: none */
    bool told;              /* that the end begins */
};

static inline struct rt_exec *
rt_around_exec(struct plex_ctx *ctx)
{
    return rt_turn_of(ctx)->fiber->exec;
}
static inline struct rt_around *
rt_around_of(struct plex_ctx *ctx)
{
    const struct rt_ext *ext = rt_turn_of(ctx)->proc->ext;

    return ext == NULL ? NULL : ext->around;
}
static inline struct rt_facet_when
rt_around_when_of(struct rt_exec *exec)
{
    return (struct rt_facet_when){rt_now(exec), rt_wall(exec),
                                  exec->noise += 0x9e3779b97f4a7c15u};
}
static inline struct rt_facet_when
rt_around_when(struct plex_ctx *ctx)
{
    return rt_around_when_of(rt_around_exec(ctx));
}

/* process_facets.c */
/* May a process on this engine have facets? PLEX_UNSUPPORTED says why not. */
PLEX_MUST_USE enum plex_status rt_around_may(const struct rt_engine *engine,
                                             struct plex_err *err);
/* For a process that runs and has none yet. */
struct rt_around *rt_around_make(struct plex_ctx *ctx);
PLEX_MUST_USE enum plex_status rt_around_chain(struct plex_ctx *ctx,
                                               struct rt_around *around,
                                               struct plex_err *err);
/* One timer of the process stands for all of its facets'. */
void rt_around_arm(struct plex_ctx *ctx, struct rt_around *around);

/* process_facets_call.c */
/* What facets do; not 0: a callback for one of their timers failed. */
int rt_around_act(struct plex_ctx *ctx, struct rt_around *around);
/* As an engine's. */
int rt_around_handle(struct plex_ctx *ctx, const struct plex_msg *msg);

#endif
