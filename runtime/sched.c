#include "runtime/core.h"

#include "common/loop.h"
#include "common/mem.h"
#include "common/park.h"

#include <stdlib.h>

/*
 * Who runs what. Each executor has a slot for the process that was woken last
 * (its message is still in the cache), a ring from which others steal half,
 * and behind all of them a shared overflow list. Nobody is woken while
 * somebody searches: a searcher that finds something wakes the next one, and
 * looks at every queue once more after it has said that it goes to sleep.
 */

/* What was stored before is seen by who stores before loading this. gcc's
 * thread sanitizer does not know fences: nothing here relies on one to order
 * plain memory. */
static void
barrier(void)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wtsan"
    atomic_thread_fence(memory_order_seq_cst);
#pragma GCC diagnostic pop
}

enum {
    WORK_PER_LOOK = 256, /* messages, about, between looks at the clock */
    WORK_PER_TURN = 16,
    SHORT_TURN_NS = 50000,
    SHORT_NS = 200, /* per message on top of that */
    VOTES = 4,
};

uint64_t
rt_now(const struct rt_exec *exec)
{
    return exec->rt->config.executors == 0
               ? atomic_load_explicit(&exec->rt->clock_ns, memory_order_relaxed)
               : plex_now();
}

uint64_t
rt_wall(const struct rt_exec *exec)
{
    return exec->rt->config.executors == 0
               ? atomic_load_explicit(&exec->rt->clock_wall_ms,
                                      memory_order_relaxed)
               : plex_wall_ms();
}

struct rt_exec *
rt_outside_enter(struct rt *rt)
{
    pthread_mutex_lock(&rt->outside_lock);
    return &rt->outside;
}

void
rt_outside_leave(struct rt_exec *exec)
{
    pthread_mutex_unlock(&exec->rt->outside_lock);
}

uint64_t
rt_number(struct rt_exec *exec)
{
    if (exec->number == exec->number_end) {
        exec->number = atomic_fetch_add_explicit(&exec->rt->numbers, 1024,
                                                 memory_order_relaxed);
        exec->number_end = exec->number + 1024;
    }
    return ++exec->number;
}

static uint64_t
draw(struct rt_exec *exec)
{
    uint64_t x = exec->random;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    exec->random = x;
    return x * 0x2545f4914f6cdd1du >> 16;
}

static uint32_t
execs(const struct rt *rt)
{
    return atomic_load_explicit(&rt->exec_count, memory_order_acquire);
}

/* -- waking -- */

static void
wake_one(struct rt *rt)
{
    uint32_t none = 0;
    uint64_t mask;

    barrier();
    if (atomic_load_explicit(&rt->sleepers, memory_order_relaxed) == 0 ||
        atomic_load_explicit(&rt->searching, memory_order_relaxed) != 0 ||
        !atomic_compare_exchange_strong(&rt->searching, &none, 1))
        return;
    mask = atomic_load(&rt->sleepers);
    while (mask != 0) {
        uint64_t bit = mask & (~mask + 1);

        if ((atomic_fetch_and(&rt->sleepers, ~bit) & bit) != 0) {
            struct rt_exec *exec = &rt->execs[__builtin_ctzll(bit)];

            atomic_fetch_add_explicit(&rt->wakes, 1, memory_order_relaxed);
            atomic_store(&exec->park, RT_PARK_SEARCH);
            plex_park_wake(&exec->park);
            return;
        }
        mask = atomic_load(&rt->sleepers);
    }
    atomic_fetch_sub(&rt->searching, 1);
}

/* -- the overflow list -- */

static void
overflow_add(struct rt *rt, struct rt_proc *first, struct rt_proc *last,
             size_t count)
{
    last->next = NULL;
    pthread_mutex_lock(&rt->overflow_lock);
    if (rt->overflow == NULL)
        rt->overflow = first;
    else
        rt->overflow_tail->next = first;
    rt->overflow_tail = last;
    atomic_fetch_add_explicit(&rt->overflow_count, count, memory_order_relaxed);
    pthread_mutex_unlock(&rt->overflow_lock);
}

static struct rt_proc *
overflow_take(struct rt_exec *exec)
{
    struct rt *rt = exec->rt;
    struct rt_proc *first, *rest, *next;
    size_t count, left;

    if (atomic_load_explicit(&rt->overflow_count, memory_order_relaxed) == 0)
        return NULL;
    pthread_mutex_lock(&rt->overflow_lock);
    first = rt->overflow;
    count = atomic_load_explicit(&rt->overflow_count, memory_order_relaxed);
    count = count / execs(rt) + 1;
    count = count > RT_RING / 2 ? RT_RING / 2 : count;
    left = count;
    rest = first;
    while (rest != NULL && left > 0) {
        rest = rest->next;
        left--;
    }
    rt->overflow = rest;
    atomic_fetch_sub_explicit(&rt->overflow_count, count - left,
                              memory_order_relaxed);
    pthread_mutex_unlock(&rt->overflow_lock);
    if (first == NULL)
        return NULL;
    /* The first is for now, the others for the ring (which has room: it is
     * looked at only when that is nearly empty, and else goes back). */
    for (struct rt_proc *proc = first->next; proc != rest; proc = next) {
        next = proc->next;
        rt_ring_push(exec, proc);
    }
    return first;
}

/* -- the ring -- */

void
rt_ring_push(struct rt_exec *exec, struct rt_proc *proc)
{
    uint32_t tail =
        atomic_load_explicit(&exec->ring_tail, memory_order_relaxed);
    uint32_t head =
        atomic_load_explicit(&exec->ring_head, memory_order_acquire);
    struct rt_proc *first = NULL, *last = NULL;
    uint32_t count = RT_RING / 2;

    if (tail - head < RT_RING) {
        atomic_store_explicit(&exec->ring[tail % RT_RING], proc,
                              memory_order_relaxed);
        atomic_store_explicit(&exec->ring_tail, tail + 1, memory_order_release);
        return;
    }
    /* Full: the older half and this one go to everybody. */
    for (uint32_t i = 0; i < count; i++) {
        struct rt_proc *moved = atomic_load_explicit(
            &exec->ring[(head + i) % RT_RING], memory_order_relaxed);

        exec->moving[i] = moved;
    }
    if (!atomic_compare_exchange_strong_explicit(
            &exec->ring_head, &head, head + count, memory_order_acq_rel,
            memory_order_relaxed)) {
        rt_ring_push(exec, proc); /* somebody stole: there is room */
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (first == NULL)
            first = exec->moving[i];
        else
            last->next = exec->moving[i];
        last = exec->moving[i];
    }
    last->next = proc;
    overflow_add(exec->rt, first, proc, count + 1);
}

static struct rt_proc *
ring_pop(struct rt_exec *exec)
{
    uint32_t head =
        atomic_load_explicit(&exec->ring_head, memory_order_acquire);

    for (;;) {
        uint32_t tail =
            atomic_load_explicit(&exec->ring_tail, memory_order_relaxed);
        struct rt_proc *proc;

        if (head == tail)
            return NULL;
        proc = atomic_load_explicit(&exec->ring[head % RT_RING],
                                    memory_order_relaxed);
        if (atomic_compare_exchange_weak_explicit(
                &exec->ring_head, &head, head + 1, memory_order_acq_rel,
                memory_order_acquire))
            return proc;
    }
}

/* Only with an empty ring of one's own: it takes up to half of one. */
static struct rt_proc *
steal(struct rt_exec *exec, struct rt_exec *victim)
{
    uint32_t own = atomic_load_explicit(&exec->ring_tail, memory_order_relaxed);

    for (;;) {
        uint32_t head =
            atomic_load_explicit(&victim->ring_head, memory_order_acquire);
        uint32_t tail =
            atomic_load_explicit(&victim->ring_tail, memory_order_acquire);
        uint32_t count = tail - head;
        struct rt_proc *proc = NULL;

        count -= count / 2;
        if (count == 0 ||
            (tail - head == 1 &&
             atomic_load_explicit(&victim->paired, memory_order_relaxed)))
            return NULL;
        if (count > RT_RING / 2)
            continue; /* read at different moments */
        for (uint32_t i = 0; i < count; i++) {
            proc = atomic_load_explicit(&victim->ring[(head + i) % RT_RING],
                                        memory_order_relaxed);
            atomic_store_explicit(&exec->ring[(own + i) % RT_RING], proc,
                                  memory_order_relaxed);
        }
        if (!atomic_compare_exchange_strong_explicit(
                &victim->ring_head, &head, head + count, memory_order_acq_rel,
                memory_order_relaxed))
            continue;
        rt_count(&exec->steals);
        atomic_store_explicit(&exec->ring_tail, own + count - 1,
                              memory_order_release);
        return proc;
    }
}

/* -- queueing -- */

static void
ready_add(struct rt_exec *exec, struct rt_proc *proc)
{
    if (exec->ready_count == exec->ready_max) {
        exec->ready_max = exec->ready_max == 0 ? 64 : exec->ready_max * 2;
        exec->ready = plex_reallocarray(exec->ready, exec->ready_max,
                                        sizeof *exec->ready);
    }
    exec->ready[exec->ready_count++] = proc;
}

static void
enqueue(struct rt_exec *exec, struct rt_proc *proc)
{
    struct rt *rt = exec->rt;

    if (rt->config.executors == 0)
        ready_add(&rt->execs[0], proc);
    else if (exec == &rt->outside)
        overflow_add(rt, proc, proc, 1);
    else {
        /* Not one of a pair, whatever was the case before. */
        if (atomic_load_explicit(&exec->paired, memory_order_relaxed))
            atomic_store_explicit(&exec->paired, false, memory_order_relaxed);
        rt_ring_push(exec, proc);
    }
    if (rt->config.executors != 0)
        wake_one(rt);
}

static bool
idle_queue(const struct rt_exec *exec)
{
    return atomic_load_explicit(&exec->ring_head, memory_order_relaxed) ==
               atomic_load_explicit(&exec->ring_tail, memory_order_relaxed) &&
           atomic_load_explicit(&exec->lifo, memory_order_relaxed) == NULL;
}

/* The only process that waits here, if it is only one. */
static struct rt_proc *
only_one(const struct rt_exec *exec)
{
    uint32_t head =
        atomic_load_explicit(&exec->ring_head, memory_order_relaxed);
    uint32_t tail =
        atomic_load_explicit(&exec->ring_tail, memory_order_relaxed);
    struct rt_proc *lifo =
        atomic_load_explicit(&exec->lifo, memory_order_relaxed);

    if (tail == head)
        return lifo;
    if (tail - head > 1 || lifo != NULL)
        return NULL;
    return atomic_load_explicit(&exec->ring[head % RT_RING],
                                memory_order_relaxed);
}

/*
 * Two processes that exchange many small messages are several times faster on
 * one core than on two. When one that has used up its budget has sent to the
 * only other that waits here, and turns are short, the two are a pair: nobody
 * is woken for them, and nobody takes one away.
 */
static bool
is_pair(struct rt_exec *exec, struct rt_proc *proc)
{
    struct rt_proc *other = only_one(exec);
    uint64_t now = plex_now(), since = now - exec->requeue_ns;
    bool talks = other != NULL && other == exec->last_to;

    exec->requeue_ns = now;
    if (since >= SHORT_TURN_NS + (uint64_t)exec->spent * SHORT_NS)
        return false;
    if (other == NULL && idle_queue(exec))
        return true; /* nobody waits: it goes on at once */
    if (talks) {
        exec->pair[0] = proc;
        exec->pair[1] = other;
        return true;
    }
    return other != NULL && exec->pair[0] == other &&
           (exec->pair[1] == proc || exec->pair[1] == NULL);
}

/* Turn after turn it sends to one that runs elsewhere: then it goes there.
 * (By lot, so that two who do so to each other do not change places.) */
static bool
visit(struct rt_exec *exec, struct rt_proc *proc)
{
    struct rt *rt = exec->rt;
    struct rt_proc *to = exec->last_to, *head;
    uint32_t where;
    uint8_t state;

    if (to == NULL || to == only_one(exec))
        return false;
    where = atomic_load_explicit(&to->exec, memory_order_relaxed);
    state = atomic_load_explicit(&to->state, memory_order_relaxed);
    if (where == exec->index || where >= execs(rt) ||
        (state != RT_RUNNING && state != RT_READY)) {
        exec->votes = 0;
        return false;
    }
    if (++exec->votes < VOTES || (draw(exec) & 1) != 0)
        return false;
    exec->votes = 0;
    head = atomic_load_explicit(&rt->execs[where].guests, memory_order_relaxed);
    do
        proc->next = head;
    while (!atomic_compare_exchange_weak_explicit(
        &rt->execs[where].guests, &head, proc, memory_order_acq_rel,
        memory_order_relaxed));
    wake_one(rt); /* should all be asleep there meanwhile */
    return true;
}

static struct rt_proc *
guests_take(struct rt_exec *exec, struct rt_exec *host)
{
    struct rt_proc *first, *next;

    if (atomic_load_explicit(&host->guests, memory_order_relaxed) == NULL)
        return NULL;
    first = atomic_exchange_explicit(&host->guests, NULL, memory_order_acq_rel);
    for (struct rt_proc *proc = first == NULL ? NULL : first->next;
         proc != NULL; proc = next) {
        next = proc->next;
        rt_ring_push(exec, proc);
    }
    exec->pair[0] = first;
    exec->pair[1] = NULL;
    return first;
}

void
rt_requeue(struct rt_exec *exec, struct rt_proc *proc)
{
    struct rt *rt = exec->rt;
    bool pair;

    if (atomic_load_explicit(&rt->stopping, memory_order_relaxed))
        return;
    if (rt->config.executors == 0 || exec == &rt->outside) {
        enqueue(exec, proc);
        return;
    }
    pair = is_pair(exec, proc);
    if (pair && visit(exec, proc))
        return;
    atomic_store_explicit(&exec->paired, pair, memory_order_relaxed);
    rt_ring_push(exec, proc);
    if (!pair && atomic_load_explicit(&rt->sleepers, memory_order_relaxed) != 0)
        wake_one(rt);
}

void
rt_schedule(struct rt_exec *exec, struct rt_proc *proc)
{
    struct rt *rt = exec->rt;

    if (atomic_load_explicit(&rt->stopping, memory_order_relaxed))
        return;
    atomic_store_explicit(&proc->state, RT_READY, memory_order_relaxed);
    if (rt->config.executors != 0 && exec != &rt->outside)
        proc =
            atomic_exchange_explicit(&exec->lifo, proc, memory_order_acq_rel);
    if (proc != NULL)
        enqueue(exec, proc);
}

/* -- choosing -- */

static struct rt_proc *
next_step(struct rt_exec *exec)
{
    struct rt_proc *proc;
    size_t at;

    if (exec->done >= exec->limit)
        return NULL;
    rt_timers_run(exec);
    if (exec->ready_count == 0)
        return NULL;
    at = draw(exec) % exec->ready_count;
    proc = exec->ready[at];
    exec->ready[at] = exec->ready[--exec->ready_count];
    return proc;
}

static struct rt_proc *
lifo_take(struct rt_exec *exec)
{
    if (atomic_load_explicit(&exec->lifo, memory_order_relaxed) == NULL)
        return NULL;
    return atomic_exchange_explicit(&exec->lifo, NULL, memory_order_acq_rel);
}

static struct rt_proc *
next_own(struct rt_exec *exec)
{
    struct rt_proc *proc;

    if (exec->lifo_used++ < RT_LIFO_MAX) {
        if ((proc = lifo_take(exec)) != NULL)
            return proc;
    }
    exec->lifo_used = 0;
    if ((exec->ticks & 63) == 0 && ((proc = overflow_take(exec)) != NULL ||
                                    (proc = guests_take(exec, exec)) != NULL))
        return proc;
    if ((proc = guests_take(exec, exec)) != NULL ||
        (proc = ring_pop(exec)) != NULL || (proc = lifo_take(exec)) != NULL)
        return proc;
    return overflow_take(exec);
}

static struct rt_proc *
next_theirs(struct rt_exec *exec)
{
    struct rt *rt = exec->rt;
    uint32_t count = execs(rt);
    uint32_t start = (uint32_t)draw(exec);
    struct rt_proc *proc;

    for (uint32_t i = 0; i < count; i++) {
        struct rt_exec *victim = &rt->execs[(start + i) % count];

        if (victim != exec && (proc = steal(exec, victim)) != NULL)
            return proc;
        if (atomic_load_explicit(&victim->park, memory_order_relaxed) ==
                RT_PARK_ASLEEP &&
            (proc = guests_take(exec, victim)) != NULL)
            return proc;
    }
    return overflow_take(exec);
}

static bool
anything(const struct rt *rt)
{
    for (uint32_t i = 0; i < execs(rt); i++) {
        const struct rt_exec *exec = &rt->execs[i];
        uint32_t count =
            atomic_load(&exec->ring_tail) - atomic_load(&exec->ring_head);

        if (count > 1 || (count == 1 && !atomic_load(&exec->paired)) ||
            atomic_load(&exec->guests) != NULL)
            return true;
    }
    return atomic_load(&rt->overflow_count) != 0 || atomic_load(&rt->stopping);
}

void
rt_release_lifo(struct rt_exec *exec)
{
    struct rt_proc *proc = lifo_take(exec);

    atomic_store(&exec->paired, false);
    if (proc != NULL)
        overflow_add(exec->rt, proc, proc, 1);
    if (anything(exec->rt))
        wake_one(exec->rt);
}

/* Sleep until woken or the next timer is due. True: woken to search, and
 * counted as searching already. */
static bool
park(struct rt_exec *exec)
{
    struct rt *rt = exec->rt;
    uint64_t bit = (uint64_t)1 << exec->index, due = rt_timers_due(exec);
    bool searching;

    atomic_store(&exec->park, RT_PARK_ASLEEP);
    atomic_fetch_or(&rt->sleepers, bit);
    barrier();
    if (!anything(rt) && idle_queue(exec) &&
        atomic_load(&exec->cancelled) == NULL) {
        rt_count(&exec->parks);
        plex_park_wait(&exec->park, RT_PARK_ASLEEP, due, plex_now());
    }
    /* Who took the bit away counted us as searching and is about to say so;
     * that must not be left for the next time. */
    searching = (atomic_fetch_and(&rt->sleepers, ~bit) & bit) == 0;
    while (searching && atomic_load(&exec->park) == RT_PARK_ASLEEP)
        plex_park_wait(&exec->park, RT_PARK_ASLEEP, UINT64_MAX, 0);
    atomic_store(&exec->park, 0);
    if (atomic_load(&rt->watch_park) != 0)
        rt_watch_wake(rt);
    return searching;
}

static void
look_at_timers(struct rt_exec *exec)
{
    if (exec->timers.count == 0 &&
        atomic_load_explicit(&exec->cancelled, memory_order_relaxed) == NULL)
        return;
    exec->now_ns = plex_now();
    rt_timers_run(exec);
}

struct rt_proc *
rt_next(struct rt_exec *exec)
{
    struct rt *rt = exec->rt;
    struct rt_proc *proc;
    bool counted = false;

    if (rt->config.executors == 0)
        return next_step(exec);
    exec->ticks++;
    exec->work += exec->spent + WORK_PER_TURN;
    if (exec->work >= WORK_PER_LOOK) {
        exec->work = 0;
        look_at_timers(exec);
    }
    while (!atomic_load_explicit(&rt->stopping, memory_order_relaxed)) {
        proc = next_own(exec);
        if (proc == NULL) {
            if (!counted)
                atomic_fetch_add(&rt->searching, 1);
            counted = true;
            proc = next_theirs(exec);
        }
        if (proc == NULL)
            proc = next_theirs(exec);
        if (counted && atomic_fetch_sub(&rt->searching, 1) == 1 && proc != NULL)
            wake_one(rt);
        if (proc != NULL)
            return proc;
        look_at_timers(exec);
        if ((proc = next_own(exec)) != NULL)
            return proc;
        counted = park(exec);
        look_at_timers(exec);
    }
    return NULL;
}
