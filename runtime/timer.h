#ifndef RUNTIME_TIMER_H
#define RUNTIME_TIMER_H

#include "runtime/internal.h"
#include "runtime/pool.h"

/*
 * Timers: a heap per executor, ordered by deadline and then by age. The
 * executor that set a timer fires it; anybody may cancel it. A timer's state
 * and generation are one word, so that exactly one of firing, delivering and
 * cancelling gets it; its message is delivered only if the word still says so.
 * Timers of processes that have ended are found one by one while others are
 * set, so they are never more than those that live.
 */
struct rt_exec;
struct rt_timer;
struct rt_timer_table;

struct rt_timer_entry {
    uint64_t deadline_ns;
    uint64_t age;
    struct rt_timer *timer;
};
struct rt_timers { /* of one executor */
    struct rt_timer_entry *heap;
    size_t count, max;
    uint64_t age;
    size_t look; /* for timers of the dead */
    struct rt_cache free;
    _Atomic uint64_t live; /* armed */
};

struct rt_timer_set {
    struct plex_ref to;
    struct plex_ref from;
    uint8_t kind; /* PLEX_MSG_TIMER, RT_KIND_WAKE, ... */
    uint64_t deadline_ns;
    uint64_t interval_ns; /* 0: once */
    uint64_t tag;
};

struct rt_timer_table *rt_timer_table_create(void);
void rt_timer_table_free(struct rt_timer_table *table);
void rt_timers_fini(struct rt_timers *timers);

/* Returns its number, 0: too many timers. */
uint64_t rt_timer_set(struct rt_exec *exec, const struct rt_timer_set *set);
/* True when it had not fired. No message of it is delivered after this. */
bool rt_timer_cancel(struct rt_exec *exec, uint64_t number);
/* Whether a message of this timer that has arrived may be delivered. */
bool rt_timer_claim(struct rt_exec *exec, uint64_t number);
/* Fire what is due at exec->now_ns. */
void rt_timers_run(struct rt_exec *exec);
/* UINT64_MAX: none. */
uint64_t rt_timers_due(const struct rt_exec *exec);

#endif
