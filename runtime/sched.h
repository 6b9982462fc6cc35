#ifndef RUNTIME_SCHED_H
#define RUNTIME_SCHED_H

#include "runtime/fiber.h"
#include "runtime/internal.h"
#include "runtime/timer.h"

#include <pthread.h>

/*
 * The runtime as a whole and its executors. Without threads there is one
 * executor, driven by rt_step(). Calls from outside run under a lock as an
 * executor without a thread, rt->outside: it has pools and can send, but runs
 * nothing.
 */
enum {
    RT_CHUNK_BITS = 12,
    RT_CHUNK = 1 << RT_CHUNK_BITS, /* processes */
    RT_RING = 256,                 /* runnable processes of one executor */
    RT_BUDGET_MOST = 4096,
    RT_LIFO_MAX = 16, /* in a row, before the ring has its turn */
    RT_EXECUTORS_MAX = 64,
    RT_SPARES_MAX = 8,
    RT_PAYLOAD_MAX = 5 << 20,
    RT_STRIPES = 64,
    RT_IDLE_FIBERS = 1024, /* stacks kept by one executor */
    RT_FIBERS_MAX = 24000, /* where the number of mappings is unknown */
};

enum {
    RT_PARK_ASLEEP = 1,
    RT_PARK_SEARCH, /* woken, and counted in rt->searching */
};

struct rt_exec {
    struct rt *rt;
    uint32_t index;
    uint32_t spent; /* messages received and sent in this turn */
    uint32_t budget;
    uint32_t lifo_used;
    uint32_t idle_count;
    struct rt_proc *last_to; /* who was sent to last */
    struct rt_proc *pair[2]; /* that are better off on one core */
    uint32_t work;           /* since the last look at the timers */
    uint32_t votes;          /* turns that sent to somebody elsewhere */
    uint64_t requeue_ns;
    uint32_t ticks;
    struct rt_fiber *current;
    struct rt_fiber *idle; /* loops that left for a resumed callback */
    struct rt_proc *after; /* suspended: let it rest after the switch */
    struct rt_fiber host;
    uint64_t now_ns;             /* of this turn */
    uint64_t random;             /* order of things */
    uint64_t noise;              /* plex_turn_random() */
    uint64_t number, number_end; /* rt_number()'s block */
    size_t limit;                /* rt_step(): callbacks that may run */
    size_t done;                 /* that did */
    struct rt_cache msgs, slots;
    struct rt_timers timers;
    struct rt_proc *moving[RT_RING / 2];
    _Atomic uint64_t spawned, exited, handled, dropped, steals, parks;
    _Atomic uint64_t waits, resumes; /* callbacks that began to, and ceased */
    pthread_t thread;

    /* Others look at these. */
    _Alignas(64) _Atomic uint32_t ring_head;
    _Atomic uint32_t ring_tail;
    _Atomic(struct rt_proc *) ring[RT_RING];
    _Atomic(struct rt_proc *) lifo;
    _Atomic(struct rt_proc *) guests; /* that came to be a pair with one */
    _Atomic bool paired; /* the one in the ring is to be left alone */
    _Alignas(64) _Atomic uint32_t park; /* RT_PARK_... */
    _Atomic uint64_t turn_id;           /* of the process that runs */
    _Atomic uint64_t turns;
    /* Of the watchdog: what it had handled when it was seen to have handled
     * something since, and when that was. */
    _Atomic uint64_t seen_progress, seen_ns;
    _Atomic(struct rt_timer *) cancelled;
    /* rt_step(): what is ready, in no order. */
    struct rt_proc **ready;
    size_t ready_count, ready_max;
};

struct rt {
    struct rt_config config;
    char *node_id;
    _Atomic uint32_t exec_count; /* that run */
    uint32_t exec_max;           /* with spares */
    struct rt_exec *execs;
    struct rt_exec outside;
    pthread_mutex_t outside_lock;
    struct rt_depot msgs, slots;
    uint32_t slots_made; /* under slots.lock */
    void **slabs;        /* of messages; under msgs.lock */
    size_t slab_count, slab_max;
    size_t chunk_count;
    _Atomic(struct rt_proc *) *chunks;
    _Atomic uint64_t clock_ns; /* rt_step()'s */
    _Atomic uint64_t clock_wall_ms;
    _Atomic uint32_t fibers;
    uint32_t fibers_max;
    _Atomic uint64_t sequence; /* of events */
    _Atomic uint64_t numbers;  /* monitors and the like, in blocks */
    struct rt_timer_table *timers;
    struct rt_names *names;
    struct rt_groups *groups;
    pthread_mutex_t stripes[RT_STRIPES]; /* ext of a process, for lookers */

    _Alignas(64) _Atomic bool stopping;
    bool started;
    _Atomic uint32_t searching;
    _Atomic uint64_t sleepers; /* bits of executors */
    _Atomic uint64_t wakes, stuck;
    pthread_mutex_t overflow_lock;
    struct rt_proc *overflow, *overflow_tail;
    _Atomic size_t overflow_count;
    pthread_t watchdog;
    bool watching;
    _Atomic uint32_t watch_park; /* 1: it sleeps, as everybody does */
    _Atomic uint32_t watch_stop;
};

/* Counters that one thread writes and others read. */
static inline void
rt_count(_Atomic uint64_t *counter)
{
    atomic_store_explicit(
        counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
        memory_order_relaxed);
}
static inline uint64_t
rt_count_get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}
/* It is in one callback as long as this is the same. */
static inline uint64_t
rt_progress(const struct rt_exec *exec)
{
    return rt_count_get(&exec->handled) + rt_count_get(&exec->turns);
}

/* -- running (sched.c) -- */

/* Somebody replaced RT_ASLEEP: it is ours to queue. */
void rt_schedule(struct rt_exec *exec, struct rt_proc *proc);
/* A process that has used up its budget. */
void rt_requeue(struct rt_exec *exec, struct rt_proc *proc);
void rt_ring_push(struct rt_exec *exec, struct rt_proc *proc);
/* What to run next; NULL: leave the loop for the host. */
struct rt_proc *rt_next(struct rt_exec *exec);
uint64_t rt_now(const struct rt_exec *exec);
uint64_t rt_wall(const struct rt_exec *exec);
struct rt_exec *rt_outside_enter(struct rt *rt);
void rt_outside_leave(struct rt_exec *exec);
/* A number that nobody else in this runtime has. */
uint64_t rt_number(struct rt_exec *exec);

/* -- processes running (loop.c) -- */

void rt_loop_entry(struct rt_fiber *fiber);
struct rt_fiber *rt_fiber_take(struct rt_exec *exec); /* NULL: too many */
void rt_fiber_give(struct rt_exec *exec, struct rt_fiber *fiber);
/* One turn of a process that was taken from a queue. */
void rt_run(struct rt_fiber *fiber, struct rt_proc *proc);
enum rt_waited {
    RT_WAITED_DUE,
    RT_WAITED_TIME, /* the deadline came first (UINT64_MAX: none) */
    RT_WAITED_LIMIT /* there was no stack to go on with */
};
/* Leave this stack until the process is due. */
enum rt_waited rt_suspend(struct rt_turn *turn, enum rt_wait wait,
                          uint64_t deadline_ns);

/* End a process that was told to die, on this stack. */
void rt_kill_now(struct rt_fiber *fiber, struct rt_proc *proc);

/* -- callbacks that run too long (watch.c) -- */

void rt_watch_start(struct rt *rt);
void rt_watch_stop(struct rt *rt);
void rt_watch_wake(struct rt *rt);
/* Let others have what this executor would run next. */
void rt_release_lifo(struct rt_exec *exec);
void *rt_exec_main(void *exec);

/* -- memory (pool.c) -- */

void rt_msg_refill(struct rt_exec *exec);
void rt_msg_surplus(struct rt_exec *exec);
void rt_msg_release(struct rt_msg *msg); /* its payload, out of line */

static inline struct rt_msg *
rt_msg_new(struct rt_exec *exec, enum rt_kind kind)
{
    struct rt_msg *msg;

    if (__builtin_expect(exec->msgs.first == NULL, 0))
        rt_msg_refill(exec);
    msg = exec->msgs.first;
    exec->msgs.first = msg->next;
    exec->msgs.count--;
    __builtin_prefetch(msg->next, 1);
    msg->next = NULL;
    msg->generation = 0;
    msg->kind = (uint8_t)kind;
    msg->priority = 0;
    msg->flags = 0;
    msg->content = 0;
    msg->from = (struct plex_ref){0, 0};
    msg->number = 0;
    msg->tag = 0;
    msg->payload = msg->bytes;
    msg->len = 0;
    msg->code = 0;
    return msg;
}
static inline void
rt_msg_free(struct rt_exec *exec, struct rt_msg *msg)
{
    if (msg == NULL)
        return;
    if ((msg->flags & RT_MSG_OWNED) != 0)
        rt_msg_release(msg);
    if (__builtin_expect(exec->msgs.count == RT_BATCH, 0))
        rt_msg_surplus(exec);
    msg->next = exec->msgs.first;
    exec->msgs.first = msg;
    exec->msgs.count++;
}
struct rt_proc *rt_slot_new(struct rt_exec *exec); /* NULL: too many */
void rt_slot_free(struct rt_exec *exec, struct rt_proc *proc);
static inline struct rt_proc *
rt_slot(const struct rt *rt, uint64_t id)
{
    uint32_t slot = (uint32_t)id;
    struct rt_proc *chunk;

    if (slot >> RT_CHUNK_BITS >= rt->chunk_count)
        return NULL;
    chunk = atomic_load_explicit(&rt->chunks[slot >> RT_CHUNK_BITS],
                                 memory_order_acquire);
    return chunk == NULL ? NULL : chunk + (slot & (RT_CHUNK - 1));
}
void rt_pool_init(struct rt *rt);
void rt_pool_init_exec(struct rt_exec *exec);
void rt_pool_fini(struct rt *rt);

#endif
