#include "runtime/core.h"

/*
 * The loop of an executor, on a fiber. A callback that waits keeps the stack,
 * loop and all; the executor takes another loop. When a callback is resumed,
 * the loop that resumes it is put aside in the middle of resume() and goes on
 * from there when a loop is wanted again. So no loop keeps its executor in a
 * variable over a switch.
 */

static void
rest(struct rt_exec *exec, struct rt_proc *proc)
{
    uintptr_t empty = 0;

    atomic_store_explicit(&proc->state,
                          proc->wait != RT_WAIT_NONE ? RT_WAITING : RT_IDLE,
                          memory_order_relaxed);
    if (!atomic_compare_exchange_strong_explicit(
            &proc->inbox, &empty, RT_ASLEEP, memory_order_acq_rel,
            memory_order_relaxed))
        rt_requeue(exec, proc);
}

/* What a suspended callback could not do while it was still on its stack. */
static void
after_switch(struct rt_exec *exec)
{
    struct rt_proc *proc = exec->after;

    if (exec->idle_count > RT_IDLE_FIBERS) {
        struct rt_fiber *fiber = exec->idle;

        exec->idle = fiber->next;
        exec->idle_count--;
        rt_fiber_give(exec, fiber);
    }
    if (proc == NULL)
        return;
    exec->after = NULL;
    if ((proc->flags & (RT_PROC_DUE | RT_PROC_DYING)) != 0)
        rt_requeue(exec, proc);
    else
        rest(exec, proc);
}

struct rt_fiber *
rt_fiber_take(struct rt_exec *exec)
{
    struct rt *rt = exec->rt;
    struct rt_fiber *fiber = exec->idle;

    if (fiber != NULL) {
        exec->idle = fiber->next;
        exec->idle_count--;
        return fiber;
    }
    if (atomic_fetch_add_explicit(&rt->fibers, 1, memory_order_relaxed) <
            rt->fibers_max &&
        (fiber = rt_fiber_create(rt->config.stack_bytes, rt_loop_entry)) !=
            NULL)
        return fiber;
    atomic_fetch_sub_explicit(&rt->fibers, 1, memory_order_relaxed);
    return NULL;
}

void
rt_fiber_give(struct rt_exec *exec, struct rt_fiber *fiber)
{
    if (exec->idle_count < RT_IDLE_FIBERS) {
        fiber->next = exec->idle;
        exec->idle = fiber;
        exec->idle_count++;
        return;
    }
    atomic_fetch_sub_explicit(&exec->rt->fibers, 1, memory_order_relaxed);
    rt_fiber_free(fiber);
}

enum rt_waited
rt_suspend(struct rt_turn *turn, enum rt_wait wait, uint64_t deadline_ns)
{
    struct rt_fiber *fiber = turn->fiber, *next;
    struct rt_exec *exec = fiber->exec;
    struct rt_proc *proc = turn->proc;
    struct rt_ext *ext = rt_ext(exec, proc);

    proc->flags &= (uint8_t)~RT_PROC_DUE;
    proc->wait = (uint8_t)wait;
    ext->deadline_ns = deadline_ns;
    rt_mail_take(exec, proc);
    if ((proc->flags & (RT_PROC_DUE | RT_PROC_DYING)) == RT_PROC_DUE) {
        proc->wait = RT_WAIT_NONE;
        return RT_WAITED_DUE;
    }
    if (deadline_ns != UINT64_MAX)
        rt_wake_at(exec, proc, deadline_ns);
    next = rt_fiber_take(exec);
    if (next == NULL) {
        proc->wait = RT_WAIT_NONE;
        return RT_WAITED_LIMIT;
    }
    ext->fiber = fiber;
    ext->turn = turn;
    rt_count(&exec->waits);
    exec->after = proc;
    exec->current = next;
    rt_fiber_switch(fiber, next);
    exec = fiber->exec;
    after_switch(exec);
    atomic_store_explicit(&proc->state, RT_RUNNING, memory_order_relaxed);
    return deadline_ns == UINT64_MAX || ext->answer != NULL ||
                   rt_now(exec) < deadline_ns
               ? RT_WAITED_DUE
               : RT_WAITED_TIME;
}

static void
resume(struct rt_fiber *fiber, struct rt_proc *proc)
{
    struct rt_exec *exec = fiber->exec;
    struct rt_fiber *waiting = proc->ext->fiber;

    proc->ext->fiber = NULL;
    proc->ext->turn = NULL;
    proc->wait = RT_WAIT_NONE;
    proc->flags &= (uint8_t)~RT_PROC_DUE;
    rt_count(&exec->resumes);
    /* Not given back: it is still running, in here. */
    fiber->next = exec->idle;
    exec->idle = fiber;
    exec->idle_count++;
    exec->current = waiting;
    rt_fiber_switch(fiber, waiting);
    after_switch(fiber->exec);
}

/* It was told to end while it waited: its callback never goes on. */
static void
abandon(struct rt_exec *exec, struct rt_proc *proc)
{
    struct rt_fiber *waiting = proc->ext->fiber;

    rt_turn_abandon(exec, proc->ext->turn, proc->ext->reason);
    rt_count(&exec->resumes);
    proc->ext->fiber = NULL;
    proc->ext->turn = NULL;
    proc->wait = RT_WAIT_NONE;
    rt_fiber_reset(waiting);
    rt_fiber_give(exec, waiting);
}

void
rt_kill_now(struct rt_fiber *fiber, struct rt_proc *proc)
{
    struct rt_turn turn;

    if (proc->wait != RT_WAIT_NONE)
        abandon(fiber->exec, proc);
    rt_turn_init(&turn, fiber, proc);
    rt_turn_die(&turn);
}

void
rt_run(struct rt_fiber *fiber, struct rt_proc *proc)
{
    struct rt_exec *exec = fiber->exec;
    struct rt_turn turn;
    struct rt_msg *msg;
    uint32_t budget;

    /* Who gets many at once may handle as many: a sender of a thousand in one
     * callback must not run away from a receiver of two hundred in a turn. */
    budget = exec->spent < exec->budget     ? exec->budget
             : exec->spent < RT_BUDGET_MOST ? exec->spent
                                            : (uint32_t)RT_BUDGET_MOST;
    if (exec->rt->config.executors == 0)
        budget = exec->budget;
    exec->spent = 0;
    rt_count(&exec->turns);
    atomic_store_explicit(&proc->exec, (uint8_t)exec->index,
                          memory_order_relaxed);
    atomic_store_explicit(&exec->turn_id, rt_ref(exec->rt, proc).id,
                          memory_order_relaxed);
    rt_mail_take(exec, proc);
    if ((proc->flags & RT_PROC_DYING) != 0) {
        rt_kill_now(fiber, proc);
        return;
    }
    if (proc->wait != RT_WAIT_NONE) {
        if ((proc->flags & RT_PROC_DUE) != 0)
            resume(fiber, proc);
        else
            rest(exec, proc);
        return;
    }
    atomic_store_explicit(&proc->state, RT_RUNNING, memory_order_relaxed);
    rt_turn_init(&turn, fiber, proc);
    while ((msg = rt_mail_pop(exec, proc)) != NULL) {
        exec->done++;
        if (!rt_turn_handle(&turn, msg))
            return;
        exec = fiber->exec;
        if (exec->spent >= budget)
            break;
    }
    atomic_store_explicit(&proc->state, RT_READY, memory_order_relaxed);
    if (rt_mail_any(proc))
        rt_requeue(exec, proc);
    else
        rest(exec, proc);
}

void
rt_loop_entry(struct rt_fiber *fiber)
{
    after_switch(fiber->exec);
    for (;;) {
        struct rt_exec *exec = fiber->exec;
        struct rt_proc *proc = rt_next(exec);

        if (proc != NULL) {
            rt_run(fiber, proc);
            continue;
        }
        exec->current = fiber;
        rt_fiber_switch(fiber, &exec->host);
    }
}
