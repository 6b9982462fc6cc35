#ifndef RUNTIME_CIRCLE_H
#define RUNTIME_CIRCLE_H

#include "runtime/core.h"

/* Calls in a circle: who waits for whom, on this node. */

static inline void
rt_awaits_set(const struct rt *rt, struct rt_proc *proc, struct plex_ref whom)
{
    atomic_store_explicit(&proc->awaits, rt_is_local(rt, whom) ? whom.id : 0,
                          memory_order_relaxed);
}
static inline void
rt_awaits_end(struct rt_proc *proc)
{
    atomic_store_explicit(&proc->awaits, 0, memory_order_relaxed);
}
/* A call has come for one that waits itself: perhaps for who calls. */
void rt_circle_called(struct rt_exec *exec, struct rt_proc *proc,
                      const struct rt_msg *call);
/* Told to look: wait until the answer is there, or it is no circle. True: the
 * answer will not come; *why, for free(), names the circle. */
bool rt_circle_await(struct rt_turn *turn, uint64_t deadline_ns, char **why);
/* A call of `caller` to us is somebody else's from now on. */
void rt_awaits_forward(const struct rt *rt, struct plex_ref caller,
                       struct plex_ref self, struct plex_ref to);

#endif
