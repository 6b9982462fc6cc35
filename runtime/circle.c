#include "runtime/circle.h"

#include "common/mem.h"

#include <stdio.h>

/*
 * Calls in a circle: everybody in it waits for the answer of the next, so
 * nobody will ever answer. Who waits says for whom before its call leaves, and
 * whoever gets a call while it waits itself looks along those it waits for: the
 * last call of a circle to arrive shows all of it. Who made that one is told
 * to look again, for what was seen may be on its way to change: an answer may
 * lie in an inbox. So it waits a little, and is sure when all of them sleep,
 * with nothing in their inboxes, twice. Calls outside of circles pay for two
 * stores.
 */
enum { CIRCLE_MAX = 64, LOOK_FIRST_NS = 1000000, LOOK_LAST_NS = 128000000 };

static struct rt_proc *
proc_of(const struct rt *rt, uint64_t id)
{
    struct rt_proc *proc = rt_slot(rt, id);

    return proc != NULL && atomic_load(&proc->generation) == id >> 32 ? proc
                                                                      : NULL;
}

/* From `id` on back to `self`: how many there are between; 0: it is no circle,
 * or one of them does not sleep and is to. */
static unsigned
walk(const struct rt *rt, uint64_t id, uint64_t self, bool asleep,
     uint64_t *path)
{
    for (unsigned n = 0; n < CIRCLE_MAX; n++) {
        const struct rt_proc *proc = proc_of(rt, id);

        if (proc == NULL || (asleep && atomic_load(&proc->inbox) != RT_ASLEEP))
            return 0;
        if (path != NULL)
            path[n] = id;
        id = atomic_load(&proc->awaits);
        if (id == 0)
            return 0;
        if (id == self)
            return n + 1;
    }
    return 0;
}

/* `proc` waits, through others, for itself. */
static bool
suspected(const struct rt *rt, const struct rt_proc *proc)
{
    const uint64_t first =
        atomic_load_explicit(&proc->awaits, memory_order_relaxed);

    return first != 0 && walk(rt, first, rt_ref(rt, proc).id, false, NULL) > 0;
}

void
rt_circle_called(struct rt_exec *exec, struct rt_proc *proc,
                 const struct rt_msg *call)
{
    if (rt_is_local(exec->rt, call->from) && suspected(exec->rt, proc))
        rt_signal(exec, call->from, RT_KIND_LOOK, rt_ref(exec->rt, proc),
                  call->number, NULL, false);
}

static char *
text_of(struct rt *rt, uint64_t self, const uint64_t *path, unsigned n)
{
    enum { SIZE = 2048 };
    char *text = plex_calloc(1, SIZE), name[512];
    size_t len = (size_t)snprintf(text, SIZE, "deadlock: calls in a circle: ");

    for (unsigned i = 0; i <= n + 1; i++) {
        const uint64_t id = i == 0 || i == n + 1 ? self : path[i - 1];

        (void)rt_ref_text(rt, (struct plex_ref){rt->config.node, id}, name,
                          sizeof name);
        if (len < SIZE)
            len += (size_t)snprintf(text + len, SIZE - len, "%s%s",
                                    i == 0 ? "" : " -> ", name);
    }
    return text;
}

static bool
sure(struct rt_turn *turn, char **why)
{
    struct rt *rt = turn->fiber->exec->rt;
    const uint64_t self = rt_ref(rt, turn->proc).id;
    const uint64_t first = atomic_load(&turn->proc->awaits);
    uint64_t path[CIRCLE_MAX], again[CIRCLE_MAX];
    const unsigned n = walk(rt, first, self, true, path);

    if (n == 0 || walk(rt, first, self, true, again) != n)
        return false;
    for (unsigned i = 0; i < n; i++)
        if (path[i] != again[i])
            return false;
    /* Whoever sleeps has sent before it slept. */
    if (atomic_load(&turn->proc->inbox) != 0)
        return false;
    *why = text_of(rt, self, path, n);
    return true;
}

bool
rt_circle_await(struct rt_turn *turn, uint64_t deadline_ns, char **why)
{
    uint64_t pause = LOOK_FIRST_NS, look;

    while (turn->proc->ext->answer == NULL &&
           suspected(turn->fiber->exec->rt, turn->proc)) {
        look = rt_now(turn->fiber->exec) + pause;
        if (look >= deadline_ns ||
            rt_suspend(turn, RT_WAIT_ANSWER, look) == RT_WAITED_LIMIT)
            return false;
        if (turn->proc->ext->answer == NULL && sure(turn, why))
            return true;
        pause = pause * 2 > LOOK_LAST_NS ? LOOK_LAST_NS : pause * 2;
    }
    return false;
}

void
rt_awaits_forward(const struct rt *rt, struct plex_ref caller,
                  struct plex_ref self, struct plex_ref to)
{
    struct rt_proc *proc =
        rt_is_local(rt, caller) ? proc_of(rt, caller.id) : NULL;
    uint64_t before = self.id;

    if (proc != NULL)
        (void)atomic_compare_exchange_strong(&proc->awaits, &before,
                                             rt_is_local(rt, to) ? to.id : 0);
}
