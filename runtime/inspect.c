#include "runtime/core.h"

#include "common/loop.h"

#include <stdio.h>
#include <string.h>

/* Looking at processes from outside: the slot's atomic fields, and what hangs
 * on the extension under the lock that its end takes. */

static const char *const states[] = {"",      "starting", "idle",
                                     "ready", "running",  "waiting"};

/* For how long its callback has run, less what the watchdog did not look for:
 * executors pay nothing for it. */
static uint64_t
running_ns(struct rt *rt, const struct rt_proc *proc, uint64_t id)
{
    const struct rt_exec *exec = &rt->execs[atomic_load(&proc->exec)];
    const uint64_t seen_ns = atomic_load(&exec->seen_ns);
    const uint64_t now = plex_now();

    if (atomic_load(&exec->turn_id) != id || !rt->watching ||
        atomic_load(&exec->seen_progress) != rt_progress(exec))
        return 0;
    return now > seen_ns ? now - seen_ns : 0;
}

static int
look(struct rt *rt, struct rt_proc *proc, uint32_t generation,
     struct rt_info *out)
{
    pthread_mutex_t *stripe = &rt->stripes[proc->slot % RT_STRIPES];
    const struct plex_behaviour *behaviour;
    uint8_t state = atomic_load(&proc->state);
    int32_t count;

    memset(out, 0, sizeof *out);
    behaviour = atomic_load(&proc->behaviour);
    if (behaviour == NULL || behaviour == &rt_outside_behaviour)
        return -PLEX_NOT_FOUND;
    out->ref = (struct plex_ref){rt->config.node,
                                 (uint64_t)generation << 32 | proc->slot};
    (void)snprintf(out->behaviour, sizeof out->behaviour, "%s",
                   behaviour->name);
    out->where = rt_scope_text(rt, atomic_load(&proc->scope));
    out->state = states[state <= RT_WAITING ? state : 0];
    if (state == RT_RUNNING)
        out->running_ns = running_ns(rt, proc, out->ref.id);
    out->messages = atomic_load(&proc->messages);
    out->is_supervisor = behaviour->supervisor != NULL;
    out->of_many = out->is_supervisor &&
                   behaviour->supervisor->strategy == PLEX_SIMPLE_ONE_FOR_ONE;
    /* As it was declared; what plex_trap_exit() says is the owner's. */
    out->trap_exit = behaviour->trap_exit || out->is_supervisor;
    out->bytes = sizeof *proc + behaviour->data_size;
    count = (int32_t)atomic_load(&proc->count);
    out->mailbox = count > 0 ? (uint32_t)count : 0;
    out->parent = (struct plex_ref){atomic_load(&proc->parent_node),
                                    atomic_load(&proc->parent_id)};
    pthread_mutex_lock(stripe);
    if (proc->ext != NULL) {
        struct rt_ext *ext = proc->ext;

        out->bytes += sizeof *ext;
        out->links = atomic_load(&ext->links);
        out->monitors = atomic_load(&ext->monitors);
        out->supervisor = ext->supervisor;
        if (ext->name != NULL)
            (void)snprintf(out->name, sizeof out->name, "%s", ext->name);
        if (ext->child != NULL)
            (void)snprintf(out->child, sizeof out->child, "%s", ext->child);
    }
    pthread_mutex_unlock(stripe);
    if (atomic_load(&proc->generation) != generation ||
        atomic_load(&proc->inbox) == RT_DEAD)
        return -PLEX_NOT_FOUND;
    return 0;
}

int
rt_inspect(struct rt *rt, struct plex_ref ref, struct rt_info *out)
{
    struct rt_proc *proc = rt_is_local(rt, ref) ? rt_slot(rt, ref.id) : NULL;
    uint32_t generation = (uint32_t)(ref.id >> 32);

    if (proc == NULL || atomic_load(&proc->generation) != generation)
        return -PLEX_NOT_FOUND;
    return look(rt, proc, generation, out);
}

static bool
is_in(const struct rt_info *info, struct rt_where where)
{
    return (where.tenant == NULL || where.tenant[0] == '\0' ||
            strcmp(info->where.tenant, where.tenant) == 0) &&
           (where.ns == NULL || where.ns[0] == '\0' ||
            strcmp(info->where.ns, where.ns) == 0);
}

size_t
rt_list(struct rt *rt, struct rt_where where, uint64_t *cursor,
        struct rt_info *out, size_t max)
{
    size_t count = 0;

    while (count < max) {
        struct rt_proc *proc = rt_slot(rt, (uint32_t)*cursor);

        if (proc == NULL)
            break;
        (*cursor)++;
        if (atomic_load(&proc->inbox) == RT_DEAD)
            continue;
        if (look(rt, proc, atomic_load(&proc->generation), &out[count]) == 0 &&
            is_in(&out[count], where))
            count++;
    }
    return count;
}

void
rt_stats(const struct rt *rt, struct rt_stats *out)
{
    uint64_t waits = 0, resumes = 0;

    memset(out, 0, sizeof *out);
    for (uint32_t i = 0; i <= rt->exec_max; i++) {
        const struct rt_exec *exec =
            i == rt->exec_max ? &rt->outside : &rt->execs[i];

        out->spawned += rt_count_get(&exec->spawned);
        out->exited += rt_count_get(&exec->exited);
        out->messages += rt_count_get(&exec->handled);
        out->dropped += rt_count_get(&exec->dropped);
        out->steals += rt_count_get(&exec->steals);
        out->parks += rt_count_get(&exec->parks);
        waits += rt_count_get(&exec->waits);
        resumes += rt_count_get(&exec->resumes);
        out->timers += rt_count_get(&exec->timers.live);
    }
    out->processes = out->spawned - out->exited;
    out->waiting = waits < resumes ? 0 : waits - resumes; /* read one by one */
    out->wakes = atomic_load(&rt->wakes);
    out->stuck = atomic_load(&rt->stuck);
    out->bytes = out->processes * sizeof(struct rt_proc);
}
