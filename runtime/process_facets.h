#ifndef RUNTIME_PROCESS_FACETS_H
#define RUNTIME_PROCESS_FACETS_H

#include "runtime/facet_request.h"
#include "runtime/runtime.h"

/*
 * Facets of processes: every message to a callback of a process that has some
 * goes through its chain (facet.h). They stand around callbacks: of a state
 * machine those for messages (a postponed one goes through each time), of an
 * event manager each handler's. Supervisors have none. Processes without facets
 * pay nothing for this.
 *
 * Unlike a turn of a virtual actor, what a failed attempt has done (plex_data,
 * messages, timers) stays when a facet has the message handled again or gives
 * a default; only its reply is dropped. The process then goes on: the failure
 * was no crash.
 */

/* What a process is started with to have facets: plex_spawn() gets `&is`. Plan
 * and types outlive the processes; types may be NULL. */
struct rt_faceted {
    struct plex_behaviour is;
    const struct rt_facet_plan *plan;
    const struct rt_facet_types *types;
};
/* PLEX_UNSUPPORTED: it is a supervisor. */
PLEX_MUST_USE enum plex_status rt_faceted_init(
    struct rt_faceted *out, const struct plex_behaviour *from,
    const struct rt_facet_plan *plan, const struct rt_facet_types *types,
    struct plex_err *err);

/* ATTACH, DETACH and LIST from outside, in the order of the process's mailbox;
 * answered once, on an executor. The answer has a line "PRIORITY NAME" for each
 * that is attached then, in order of the chain. (any) */
void rt_facets_ask(struct rt *rt, struct plex_ref to,
                   const struct plex_facet_request *request,
                   uint64_t timeout_ms, rt_answer_fn answered, void *arg);

#endif
