#include "runtime/core.h"

#include "common/loop.h"
#include "common/park.h"

#include <string.h>

/*
 * Callbacks that run too long. A thread looks now and then at what each
 * executor has done since: an executor that is not asleep and has handled no
 * message is in the same callback still. Then others may have the process that
 * it woke last, and after watchdog_ms it is reported. The executors pay
 * nothing for it. While all of them sleep, so does this thread, until the
 * first that is woken wakes it.
 */
enum { IDLE_LOOKS = 8, LOOK_MS = 20 };

struct look {
    uint64_t progress;
    uint64_t since_ns;
    bool stuck, released, last;
};

static void
emit(struct rt *rt, struct rt_exec *exec, enum rt_event_kind kind,
     const struct look *look, uint64_t now)
{
    uint64_t id = atomic_load(&exec->turn_id);
    struct rt_proc *proc = rt_slot(rt, id);
    const struct plex_behaviour *behaviour =
        proc == NULL ? NULL : atomic_load(&proc->behaviour);
    struct rt_info info;
    struct rt_event event = {
        .kind = kind,
        .sequence = atomic_fetch_add(&rt->sequence, 1) + 1,
        .wall_ms = plex_wall_ms(),
        .process = {rt->config.node, id},
        .where = {"", ""},
        .name = "",
        .child = "",
        .behaviour = behaviour == NULL ? "" : behaviour->name,
        .reason = "",
        .ns = now - look->since_ns,
        .last = look->last,
    };

    if (rt_inspect(rt, event.process, &info) == 0) {
        event.where = info.where;
        event.name = info.name;
        event.child = info.child;
        event.supervisor = info.supervisor;
    }
    if (rt->config.on_event != NULL)
        rt->config.on_event(rt->config.arg, &event);
}

/* Another executor while this one is held up: it takes over the queue. */
static void
spare(struct rt *rt)
{
    uint32_t count = atomic_load(&rt->exec_count);

    if (!rt->config.watchdog_spare || count == rt->exec_max)
        return;
    if (pthread_create(&rt->execs[count].thread, NULL, rt_exec_main,
                       &rt->execs[count]) == 0)
        atomic_store(&rt->exec_count, count + 1);
}

/* 0: never. */
static uint64_t
ms_ns(uint32_t ms)
{
    return ms == 0 ? UINT64_MAX : (uint64_t)ms * 1000000;
}

static bool
look(struct rt *rt, struct rt_exec *exec, struct look *look, uint64_t now)
{
    uint64_t progress = rt_progress(exec);
    uint64_t limit = ms_ns(rt->config.watchdog_ms);
    bool asleep = atomic_load(&exec->park) == RT_PARK_ASLEEP;

    if (look->since_ns == 0 || asleep || progress != look->progress) {
        if (look->stuck)
            emit(rt, exec, RT_RESUMED, look, now);
        *look = (struct look){.progress = progress, .since_ns = now};
        atomic_store(&exec->seen_progress, progress);
        atomic_store(&exec->seen_ns, now);
        return !asleep;
    }
    if (!look->released) {
        look->released = true;
        rt_release_lifo(exec);
    }
    if (!look->stuck && now - look->since_ns >= limit) {
        look->stuck = true;
        atomic_fetch_add(&rt->stuck, 1);
        emit(rt, exec, RT_STUCK, look, now);
        spare(rt);
    }
    if (look->stuck && !look->last &&
        now - look->since_ns >= ms_ns(rt->config.watchdog_last_ms)) {
        look->last = true;
        emit(rt, exec, RT_STUCK, look, now);
    }
    return true;
}

static void *
watch(void *arg)
{
    struct rt *rt = arg;
    uint32_t ms = rt->config.watchdog_ms / 2;
    uint64_t period = (ms == 0 || ms > LOOK_MS ? LOOK_MS : ms) * 1000000u;
    struct look looks[RT_EXECUTORS_MAX] = {0};
    uint32_t idle = 0;

    while (!atomic_load(&rt->stopping)) {
        uint64_t now = plex_now();
        bool busy = false;

        for (uint32_t i = 0; i < atomic_load(&rt->exec_count); i++)
            busy |= look(rt, &rt->execs[i], &looks[i], now);
        idle = busy ? 0 : idle + 1;
        if (idle < IDLE_LOOKS) {
            plex_park_wait(&rt->watch_stop, 0, now + period, now);
            continue;
        }
        atomic_store(&rt->watch_park, 1);
        for (uint32_t i = 0; i < atomic_load(&rt->exec_count); i++)
            busy |= atomic_load(&rt->execs[i].park) != RT_PARK_ASLEEP;
        if (busy || atomic_load(&rt->stopping)) {
            atomic_store(&rt->watch_park, 0);
            continue;
        }
        plex_park_wait(&rt->watch_park, 1, UINT64_MAX, now);
        memset(looks, 0, sizeof looks); /* all have slept as long as we */
        idle = 0;
    }
    return NULL;
}

void
rt_watch_start(struct rt *rt)
{
    if (rt->config.watchdog_ms != 0 || rt->exec_max > 1)
        rt->watching = pthread_create(&rt->watchdog, NULL, watch, rt) == 0;
}

void
rt_watch_wake(struct rt *rt)
{
    if (atomic_exchange(&rt->watch_park, 0) != 0)
        plex_park_wake(&rt->watch_park);
}

void
rt_watch_stop(struct rt *rt)
{
    if (!rt->watching)
        return;
    atomic_store(&rt->watch_stop, 1);
    plex_park_wake(&rt->watch_stop);
    rt_watch_wake(rt);
    (void)pthread_join(rt->watchdog, NULL);
}
