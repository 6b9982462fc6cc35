#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

/*
 * The loop: one thread that owns all of a service's state, over libuv.
 *
 * Library threads (nng, libpq helpers, librdkafka) never touch that state;
 * they post a task and return. One iteration is: timers; posted tasks and
 * descriptors; then everything deferred, in order, until nothing is left;
 * then sleep. Batching lives in deferral: an outbox or a group commit defers
 * itself once and so takes all that the iteration queued.
 */
struct plex_loop;

/* Embed this in the object being handed over; it must outlive its run(). */
struct plex_task {
    struct plex_task *next; /* private to the loop */
    void (*run)(struct plex_task *task);
};

#define plex_container_of(ptr, type, member) \
    ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

PLEX_MUST_USE enum plex_status plex_loop_create(struct plex_loop **out,
                                                struct plex_err *err);
/* Every timer and watcher must have been closed. Accepts NULL. */
void plex_loop_free(struct plex_loop *loop);

/* Any thread. Cannot fail, does not allocate. Tasks run in post order. The
 * sleeping loop is woken once for many posts. */
void plex_loop_post(struct plex_loop *loop, struct plex_task *task);
/*
 * The same in two steps, for who holds a lock that the task is going to want:
 * else the loop wakes only to wait for it. plex_loop_put() returns whom to wake
 * once the lock is free, or NULL when nobody has to; a loop that was returned
 * stays there until plex_loop_wake(), which accepts NULL.
 */
PLEX_MUST_USE struct plex_loop *plex_loop_put(struct plex_loop *loop,
                                              struct plex_task *task);
void plex_loop_wake(struct plex_loop *loop);

/* Loop thread. Run `task` at the end of this iteration, before sleeping. A
 * task that is already deferred must not be deferred again. */
void plex_loop_defer(struct plex_loop *loop, struct plex_task *task);

/* Run until plex_loop_quit(). */
void plex_loop_run(struct plex_loop *loop);
/* Any thread. */
void plex_loop_quit(struct plex_loop *loop);
/* Loop thread: run what waits, also what is posted meanwhile, until nothing
 * does. What somebody posts later is his business: a peer in this process may
 * still be sending. */
void plex_loop_flush(struct plex_loop *loop);

/* Monotonic nanoseconds, as of the start of the iteration: cheap, and equal
 * for all events of one iteration. */
uint64_t plex_loop_now(const struct plex_loop *loop);
/* Monotonic nanoseconds, now: a clock read. Any thread. */
uint64_t plex_now(void);
/* Milliseconds since 1970, UTC, now. Any thread. */
uint64_t plex_wall_ms(void);

/* The uv_loop_t behind it, for files of common/ only. */
void *plex_loop_uv(struct plex_loop *loop);

/* One-shot timer of the loop thread. */
struct plex_timer;
typedef void (*plex_timer_fn)(void *arg);

struct plex_timer *plex_timer_create(struct plex_loop *loop, plex_timer_fn fn,
                                     void *arg);
/* (Re)arm: fires once, `delay_ms` from now (0: next iteration). */
void plex_timer_start(struct plex_timer *timer, uint64_t delay_ms);
void plex_timer_stop(struct plex_timer *timer);
/* Accepts NULL. Safe inside the timer's own function. */
void plex_timer_free(struct plex_timer *timer);

#endif
