#ifndef RUNTIME_CIRCLE_H
#define RUNTIME_CIRCLE_H

#include "runtime/core.h"

/* Calls in a circle: who waits for whom, on this node. */

static inline void
rt_awaits_set(const struct rt *rt, struct rt_proc *proc, struct plex_ref whom)
{
    /* Seen by whoever says the same after us: one of two sees the other. */
    atomic_store(&proc->awaits, rt_is_local(rt, whom) ? whom.id : 0);
}
static inline void
rt_awaits_end(struct rt_proc *proc)
{
    atomic_store_explicit(&proc->awaits, 0, memory_order_relaxed);
}
/* `proc` waits for `to`, who may wait, through others, for it. */
bool rt_circle_suspected(const struct rt *rt, const struct rt_proc *proc,
                         struct plex_ref to);
/* Wait for the answer of `to` while that is so. True: it will not come; *why,
 * for free(), names the circle. */
bool rt_circle_await(struct rt_turn *turn, struct plex_ref to,
                     uint64_t deadline_ns, char **why);
/* A call of `caller` to us is somebody else's from now on. */
void rt_awaits_forward(const struct rt *rt, struct plex_ref caller,
                       struct plex_ref self, struct plex_ref to);

#endif
