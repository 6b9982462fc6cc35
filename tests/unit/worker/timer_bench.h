#ifndef TESTS_UNIT_WORKER_TIMER_BENCH_H
#define TESTS_UNIT_WORKER_TIMER_BENCH_H

#include "services/worker/client.h"

/* The builtin actor-timers, alone: its state, its clock, when its own timers
 * are due, and what it sends. Used by a test and a fuzz target. */
struct timer_bench;

struct timer_bench *timer_bench_create(void);
void timer_bench_free(struct timer_bench *bench);
/* A request, as JSON. The HTTP status of the reply; 500: the turn failed. */
unsigned timer_bench_ask(struct timer_bench *bench, const char *request,
                         size_t len);
const char *timer_bench_reply(const struct timer_bench *bench);
/* To that time without a turn: everything was down. */
void timer_bench_sleep(struct timer_bench *bench, uint64_t ms);
/* Time goes on, at most `turns` timers fire on time. How many did. */
unsigned timer_bench_pass(struct timer_bench *bench, uint64_t ms,
                          unsigned turns);
/* Messages sent so far, and the newest. */
unsigned timer_bench_sent(const struct timer_bench *bench);
const char *timer_bench_newest(const struct timer_bench *bench);
/* Wall clock. */
uint64_t timer_bench_now(const struct timer_bench *bench);

#endif
