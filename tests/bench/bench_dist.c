/*
 * Calls between processes of two workers on this machine, over ipc: how many a
 * second with several in flight. Runtime, link and distribution are those of
 * plex-worker; both workers are in this process.
 *
 *   bench_dist [seconds per line]
 */
#include "sdk/c/include/plexspaces/process.h"
#include "tests/integration/worker/pair.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static _Atomic uint64_t calls, failed, running, casts;
static atomic_bool over;

static int
echo_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    plex_reply(ctx, "application/octet-stream", msg->payload, msg->len);
    return 0;
}

static int
echo_cast(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    (void)ctx;
    (void)msg;
    atomic_fetch_add_explicit(&casts, 1, memory_order_relaxed);
    return 0;
}

static int
caller_cast(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const struct plex_ref echo = {msg->tag == 0 ? 1001 : 2002,
                                  *(const uint64_t *)msg->payload};
    struct plex_msg answer;

    while (!atomic_load_explicit(&over, memory_order_relaxed)) {
        if (plex_ask(ctx, echo, 0, "12345678", 8, 5000, &answer) == 0)
            atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
        else
            atomic_fetch_add_explicit(&failed, 1, memory_order_relaxed);
    }
    atomic_fetch_sub(&running, 1);
    return 0;
}

static int
nothing(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    (void)ctx;
    (void)msg;
    return 0;
}

const struct plex_behaviour pair_behaviours[] = {
    {.name = "echo", .handle_call = echo_call, .handle_cast = echo_cast},
    {.name = "caller", .handle_call = nothing, .handle_cast = caller_cast},
    {0},
};

static double
cpu_s(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void
line(struct pair *pair, unsigned flying, unsigned seconds)
{
    const struct plex_ref echo = pair_spawn(&pair->b, "echo", NULL);
    const struct plex_post go = {.kind = PLEX_MSG_CAST,
                                 .tag = 1,
                                 .payload = &echo.id,
                                 .len = sizeof echo.id};
    const struct timespec pause = {.tv_sec = (time_t)seconds};
    uint64_t before, after;
    double cpu, took;

    atomic_store(&over, false);
    atomic_store(&running, flying);
    atomic_store(&calls, 0);
    for (unsigned i = 0; i < flying; i++)
        (void)rt_send(pair->a.rt, pair_spawn(&pair->a, "caller", NULL), &go);
    cpu = cpu_s();
    before = plex_now();
    (void)nanosleep(&pause, NULL);
    after = atomic_load(&calls);
    took = (double)(plex_now() - before) / 1e9;
    cpu = cpu_s() - cpu;
    atomic_store(&over, true);
    while (atomic_load(&running) > 0)
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    printf("%4u in flight  %9.0f calls/s  %6.2f us CPU per call  %" PRIu64
           " failed\n",
           flying, (double)after / took, cpu * 1e6 / (double)after,
           atomic_load(&failed));
}

int
main(int argc, char **argv)
{
    const unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 2;
    static const unsigned flying[] = {1, 16, 64, 256};
    struct pair pair;

    pair_start(&pair, "ipc", 1);
    for (size_t i = 0; i < sizeof flying / sizeof *flying; i++)
        line(&pair, flying[i], seconds);
    pair_stop(&pair);
    return 0;
}
