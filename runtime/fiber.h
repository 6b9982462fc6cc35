#ifndef RUNTIME_FIBER_H
#define RUNTIME_FIBER_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Stacks that an executor's loop runs on and that a waiting callback stays
 * behind on. Reserved memory with a guard page below; only touched pages cost.
 *
 * A fiber runs on one thread at a time, but not always the same: code on it
 * must not keep addresses of thread-local variables over a switch, and finds
 * its executor as fiber->exec.
 */
struct rt_exec;

struct rt_fiber {
    void *sp; /* while it does not run */
    struct rt_fiber *next;
    struct rt_exec *exec;
    void *memory; /* guard page and stack; NULL: a thread's own stack */
    size_t bytes; /* of memory */
    void (*entry)(struct rt_fiber *fiber);
    void *fake;         /* the address sanitizer's */
    const void *bottom; /* of a thread's own stack, as it told */
    size_t size;
    void *tsan;
};

/* A stack of `stack_bytes`; entry never returns. NULL: no memory mapping. */
struct rt_fiber *rt_fiber_create(size_t stack_bytes,
                                 void (*entry)(struct rt_fiber *fiber));
void rt_fiber_free(struct rt_fiber *fiber);
/* Forget what it was doing: it starts at its entry when switched to. */
void rt_fiber_reset(struct rt_fiber *fiber);
/* The calling thread's own stack as a fiber to come back to. */
void rt_fiber_host(struct rt_fiber *fiber);
/* Go on with `to`; returns when somebody switches to `from`. */
void rt_fiber_switch(struct rt_fiber *from, struct rt_fiber *to);

#endif
