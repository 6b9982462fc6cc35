#ifndef RUNTIME_AROUND_H
#define RUNTIME_AROUND_H

#include "runtime/core.h"

/* What process_facets.c has for the rest of the core. */
struct rt_around; /* of a process with facets: ext->around */
struct rt_facet_plan;
struct plex_facet_use;

/* The engine of a process with facets. */
extern const struct rt_engine rt_engine_around;
/* A behaviour with this as `migrate` is a struct rt_faceted. */
int rt_around_mark(struct plex_ctx *ctx, uint32_t from);
/* The new process has facets: of its behaviour, or `own` ones, which it
 * takes. */
void rt_around_start(struct rt_exec *exec, struct rt_proc *proc,
                     struct rt_facet_plan *own);
/* Its init has succeeded; other than 0: a facet's timer failed. */
int rt_around_begun(struct rt_turn *turn);
/* It ends; ext->around is not NULL. */
void rt_around_end(struct rt_exec *exec, struct rt_proc *proc,
                   const char *reason);
/* Whether the timer of the message being handled is that of facets; it is done
 * then. */
bool rt_around_timer(struct rt_turn *turn, int *rc);
/*
 * A message to one callback, through the chain if the process has one: how
 * engines with callbacks of their own call those. What `deliver` returns, or
 * what became of it. `undo` (NULL: nothing to do) drops what a failed attempt
 * has asked its engine for.
 */
struct rt_around_use {
    int (*deliver)(struct plex_ctx *ctx, const struct plex_msg *msg, void *arg);
    void (*undo)(struct plex_ctx *ctx, void *arg);
    void *arg;
};
int rt_around_run(struct plex_ctx *ctx, const struct plex_msg *msg,
                  const struct rt_around_use *use);
/* RT_KIND_ENGINE with this tag, to any process. */
#define RT_FACETS_TAG UINT64_C(0xfacec0de00000001)
int rt_around_asked(struct rt_turn *turn);
/* ops->facet */
int rt_op_facet(struct plex_ctx *ctx, struct plex_facet_request *request);
/* plex_spawn_faceted() */
int rt_op_spawn_faceted(struct plex_ctx *ctx, const struct plex_spawn *how,
                        const struct plex_facet_use *facets, size_t n,
                        struct plex_ref *out);

#endif
