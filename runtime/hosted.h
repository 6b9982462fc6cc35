#ifndef RUNTIME_HOSTED_H
#define RUNTIME_HOSTED_H

#include "runtime/runtime.h"

/*
 * For a host whose processes stand for something that others address by name
 * (the worker's virtual actors): links and monitors to a name wait until the
 * host has found the process behind it.
 */

/* Within a callback of a process of ours: who waits for the answer to the
 * message being handled, call 0 for nobody. The process owes it nothing from
 * here on; the host answers with an RT_ANSWER, whatever happens. */
struct plex_from rt_take_call(struct plex_ctx *ctx);

/* The process ends with `reason`, whether it traps exits, waits, or not.
 * (any) */
void rt_end(struct rt *rt, struct plex_ref whom, const char *reason);

/*
 * The answer to an RT_MONITOR (`monitor`: its call) or RT_LINK (0) whose
 * receiver was the name `name` in `where`: it is `found`. The process that had
 * asked is told, asks that one in its turn, and goes on knowing it by the
 * alias, too. When nobody is found: rt_deliver() of an RT_DOWN or RT_EXIT.
 * (any)
 */
struct rt_found {
    struct plex_ref watcher;
    struct rt_where where;
    const char *name;
    struct plex_ref found;
    uint64_t monitor;
};
void rt_name_found(struct rt *rt, const struct rt_found *found);

#endif
