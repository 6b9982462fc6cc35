#ifndef RUNTIME_PROCESS_FACETS_H
#define RUNTIME_PROCESS_FACETS_H

#include "common/bytes.h"
#include "runtime/facet.h"
#include "runtime/runtime.h"

/*
 * Facets of processes: every message to a callback of a process that has some
 * goes through its chain (facet.h). They stand around callbacks: supervisors,
 * state machines and event managers have none. Processes without facets pay
 * nothing for this.
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
/* PLEX_UNSUPPORTED: the behaviour has no callbacks of its own. */
PLEX_MUST_USE enum plex_status rt_faceted_init(
    struct rt_faceted *out, const struct plex_behaviour *from,
    const struct rt_facet_plan *plan, const struct rt_facet_types *types,
    struct plex_err *err);

/* Does the facet mean something on a process? PLEX_INVALID says why not. */
PLEX_MUST_USE enum plex_status rt_facet_process_check(const char *type,
                                                      struct plex_err *err);

/* ATTACH, DETACH and LIST from outside, in the order of the process's mailbox;
 * answered once, on an executor. The answer has a line "PRIORITY NAME" for each
 * that is attached then, in order of the chain. (any) */
void rt_facets_ask(struct rt *rt, struct plex_ref to,
                   const struct plex_facet_request *request,
                   uint64_t timeout_ms, rt_answer_fn answered, void *arg);

/* A request as bytes: verb and priority, then texts. */
void rt_facets_pack(const struct plex_facet_request *request,
                    struct plex_buf *out);
struct rt_facets_asked { /* texts borrowed from the bytes */
    struct plex_facet_request request;
    struct plex_facet_pair pairs[RT_FACET_PAIRS];
};
bool rt_facets_unpack(const void *bytes, size_t len,
                      struct rt_facets_asked *out);
/* The answer to LIST. */
void rt_facets_describe(const struct rt_facets *chain, struct plex_buf *out);

#endif
