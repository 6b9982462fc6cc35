#ifndef TESTS_BENCH_ACTORS_BENCH_H
#define TESTS_BENCH_ACTORS_BENCH_H

#include <stdatomic.h>

#include "runtime/runtime.h"
#include "sdk/c/include/plexspaces/process.h"

/*
 * Benchmarks of the actor runtime through the SDK, on a runtime embedded here.
 * The same work in Erlang (bench.erl) and CAF (bench.cpp); the three print the
 * same lines.
 */
struct bench {  /* of one run */
    uint64_t n; /* how much: what it counts is the row's affair */
    uint32_t executors;
    struct rt *rt;
    double ops;     /* done: what the row's rate counts */
    double seconds; /* 0: from the start to bench_done() */
    double bytes;   /* per process, where a row measures that */
    double late_us; /* p99 of timers */
};
struct bench_row {
    const char *name;
    uint64_t n; /* by default */
    const struct plex_behaviour *root;
    double ops_per_n;
};
extern const struct bench_row bench_messages[], bench_savina[], bench_life[];

/* Valid during a run; processes find it here. */
extern struct bench *bench_now;
/* From any process: the work is done. */
void bench_done(void);
uint64_t bench_clock_ns(void);

static inline uint32_t
bench_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Spawn without a name or link; refuses to go on when that fails. */
struct plex_ref bench_spawn(struct plex_ctx *ctx,
                            const struct plex_behaviour *behaviour,
                            const void *args, size_t len);

#endif
