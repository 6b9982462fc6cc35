#include "runtime/core.h"

#include "common/loop.h"
#include "common/mem.h"
#include "common/park.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STACK_BYTES = 64 * 1024, PROCESSES = 16 << 20, BUDGET = 200 };

static void
exec_init(struct rt *rt, struct rt_exec *exec, uint32_t index)
{
    exec->rt = rt;
    exec->index = index;
    exec->budget = rt->config.executors == 0 ? 1 : rt->config.budget;
    exec->random = (rt->config.seed + index + 1) * 0x9e3779b97f4a7c15u;
    if (exec->random == 0)
        exec->random = 1;
    exec->noise = exec->random ^ rt->config.node;
    exec->host.exec = exec;
    rt_pool_init_exec(exec);
}

static enum plex_status
check(const struct rt_config *config, struct plex_err *err)
{
    if (config->executors > RT_EXECUTORS_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "%u executors: at most %d are possible",
                            config->executors, RT_EXECUTORS_MAX);
    if (config->node == 0)
        return plex_err_set(err, PLEX_INVALID,
                            "a runtime wants a node that is not 0");
    if (config->stack_bytes != 0 && config->stack_bytes < 16384)
        return plex_err_set(err, PLEX_INVALID,
                            "stacks of %u bytes: at least 16384 are wanted",
                            config->stack_bytes);
    return PLEX_OK;
}

/* A stack is two mappings, with its guard; the others of the process need some
 * too. */
static uint32_t
stacks_max(void)
{
    FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
    unsigned long count = 0;

    if (file == NULL)
        return RT_FIBERS_MAX;
    if (fscanf(file, "%lu", &count) != 1 || count < 4096)
        count = (unsigned long)RT_FIBERS_MAX * 8 / 3;
    (void)fclose(file);
    if (count > 1u << 24)
        count = 1u << 24;
    return (uint32_t)(count / 8 * 3);
}

enum plex_status
rt_create(const struct rt_config *config, struct rt **out, struct plex_err *err)
{
    struct rt *rt;
    enum plex_status status = check(config, err);
    void *memory;

    *out = NULL;
    if (status != PLEX_OK)
        return status;
    if (posix_memalign(&memory, 64, sizeof *rt) != 0)
        return plex_err_set(err, PLEX_LIMIT, "no memory for a runtime");
    rt = memory;
    memset(rt, 0, sizeof *rt);
    rt->config = *config;
    rt->node_id =
        plex_strdup(config->node_id == NULL ? "local" : config->node_id);
    rt->config.node_id = rt->node_id;
    if (rt->config.processes_max == 0)
        rt->config.processes_max = PROCESSES;
    if (rt->config.stack_bytes == 0)
        rt->config.stack_bytes = STACK_BYTES;
    if (rt->config.budget == 0)
        rt->config.budget = BUDGET;
    rt->exec_max = config->executors == 0 ? 1 : config->executors;
    rt->fibers_max = stacks_max();
    if (config->waiting_max != 0 && config->waiting_max < rt->fibers_max)
        rt->fibers_max = config->waiting_max + rt->exec_max;
    atomic_init(&rt->exec_count, rt->exec_max);
    if (config->watchdog_spare)
        rt->exec_max += rt->exec_max + RT_SPARES_MAX > RT_EXECUTORS_MAX
                            ? RT_EXECUTORS_MAX - rt->exec_max
                            : (uint32_t)RT_SPARES_MAX;
    if (posix_memalign(&memory, 64, rt->exec_max * sizeof *rt->execs) != 0)
        memory = plex_calloc(1, SIZE_MAX); /* exits */
    rt->execs = memory;
    memset(rt->execs, 0, rt->exec_max * sizeof *rt->execs);
    for (uint32_t i = 0; i < rt->exec_max; i++)
        exec_init(rt, &rt->execs[i], i);
    exec_init(rt, &rt->outside, UINT32_MAX);
    (void)pthread_mutex_init(&rt->outside_lock, NULL);
    (void)pthread_mutex_init(&rt->overflow_lock, NULL);
    for (size_t i = 0; i < RT_STRIPES; i++)
        (void)pthread_mutex_init(&rt->stripes[i], NULL);
    rt_pool_init(rt);
    rt->timers = rt_timer_table_create();
    rt->names = rt_names_create();
    rt->groups = rt_groups_create();
    (void)rt_scope_of(rt, (struct rt_where){"", ""}); /* scope 0 */
    *out = rt;
    return PLEX_OK;
}

/* -- running -- */

static void
run(struct rt_exec *exec)
{
    if (exec->current == NULL)
        exec->current = rt_fiber_take(exec);
    if (exec->current == NULL)
        return; /* no memory for a stack: nothing runs */
    rt_fiber_host(&exec->host);
    rt_fiber_switch(&exec->host, exec->current);
}

void *
rt_exec_main(void *arg)
{
    run(arg);
    return NULL;
}

void
rt_start(struct rt *rt)
{
    if (rt->config.executors == 0)
        return;
    rt->started = true;
    for (uint32_t i = 0; i < rt->exec_count; i++)
        (void)pthread_create(&rt->execs[i].thread, NULL, rt_exec_main,
                             &rt->execs[i]);
    rt_watch_start(rt);
}

size_t
rt_step(struct rt *rt, uint64_t now_ns, uint64_t wall_ms, size_t max)
{
    struct rt_exec *exec = &rt->execs[0];

    atomic_store_explicit(&rt->clock_ns, now_ns, memory_order_relaxed);
    atomic_store_explicit(&rt->clock_wall_ms, wall_ms, memory_order_relaxed);
    exec->now_ns = now_ns;
    exec->done = 0;
    exec->limit = max;
    run(exec);
    return exec->done;
}

uint64_t
rt_due_ns(const struct rt *rt)
{
    return rt_timers_due(&rt->execs[0]);
}

/* -- stopping -- */

static void
kill_all(struct rt *rt)
{
    struct rt_exec *exec = &rt->execs[0];

    exec->host.exec = exec;
    rt_fiber_host(&exec->host); /* it was the executor's thread */
    for (size_t c = 0; c < rt->chunk_count; c++) {
        struct rt_proc *chunk = atomic_load(&rt->chunks[c]);

        if (chunk == NULL)
            break;
        for (uint32_t i = 0; i < RT_CHUNK; i++) {
            struct rt_proc *proc = &chunk[i];

            if (atomic_load(&proc->inbox) == RT_DEAD)
                continue;
            /* As if it slept: take clears the tag with what is there. */
            if (atomic_load(&proc->inbox) == RT_ASLEEP)
                atomic_store(&proc->inbox, 0);
            rt_die(exec, proc, "killed", RT_PROC_KILLED);
            rt_kill_now(&exec->host, proc);
        }
    }
}

void
rt_stop(struct rt *rt)
{
    if (atomic_exchange(&rt->stopping, true))
        return;
    if (rt->started) {
        rt_watch_stop(rt);
        for (uint32_t i = 0; i < rt->exec_count; i++) {
            atomic_store(&rt->execs[i].park, 0);
            plex_park_wake(&rt->execs[i].park);
        }
        for (uint32_t i = 0; i < rt->exec_count; i++)
            (void)pthread_join(rt->execs[i].thread, NULL);
    }
    kill_all(rt);
}

static void
exec_fini(struct rt_exec *exec)
{
    while (exec->idle != NULL) {
        struct rt_fiber *fiber = exec->idle;

        exec->idle = fiber->next;
        rt_fiber_free(fiber);
    }
    rt_fiber_free(exec->current);
    rt_timers_fini(&exec->timers);
    free(exec->ready);
}

void
rt_free(struct rt *rt)
{
    if (rt == NULL)
        return;
    rt_stop(rt);
    for (uint32_t i = 0; i < rt->exec_max; i++)
        exec_fini(&rt->execs[i]);
    exec_fini(&rt->outside);
    rt_groups_free(rt->groups);
    rt_names_free(rt->names);
    rt_timer_table_free(rt->timers);
    rt_pool_fini(rt);
    for (size_t i = 0; i < RT_STRIPES; i++)
        (void)pthread_mutex_destroy(&rt->stripes[i]);
    (void)pthread_mutex_destroy(&rt->outside_lock);
    (void)pthread_mutex_destroy(&rt->overflow_lock);
    free(rt->execs);
    free(rt->node_id);
    free(rt);
}
