#include "sdk/c/include/plexspaces/supervisor.h"
#include "tests/bench/actors/bench.h"

#include <stdlib.h>
#include <unistd.h>

/* Calls, spawning, idle processes, restarts, timers. */

enum { BATCH = 1000, GO = 1, UP, OVER, FIRE };

/* -- calls: 64 clients, each with a server, one call at a time -- */

enum { CLIENTS = 64 };

static int
server_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    plex_reply(ctx, "", msg->payload, msg->len);
    return 0;
}
static const struct plex_behaviour server = {.name = "server",
                                             .handle_call = server_call};
struct client {
    struct plex_ref root, server;
};
static int
client_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct client *own = plex_data(ctx);
    struct plex_msg answer;

    (void)msg;
    for (uint64_t i = bench_now->n / CLIENTS; i > 0; i--) {
        if (plex_ask(ctx, own->server, 0, &i, sizeof i, 0, &answer) != 0 ||
            memcmp(answer.payload, &i, sizeof i) != 0)
            abort();
    }
    plex_send(ctx, own->root, OVER, NULL, 0);
    return 0;
}
static int
client_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    struct client *own = plex_data(ctx);

    memcpy(&own->root, args, len);
    own->server = bench_spawn(ctx, &server, NULL, 0);
    plex_send(ctx, plex_self_ref(ctx), GO, NULL, 0);
    return 0;
}
static const struct plex_behaviour client = {.name = "client",
                                             .init = client_init,
                                             .handle_info = client_info,
                                             .data_size =
                                                 sizeof(struct client)};
static int
calls_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    const struct plex_ref self = plex_self_ref(ctx);

    (void)args;
    (void)len;
    *(uint32_t *)plex_data(ctx) = CLIENTS;
    for (int i = 0; i < CLIENTS; i++)
        (void)bench_spawn(ctx, &client, &self, sizeof self);
    return 0;
}
static int
count_down(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    uint32_t *left = plex_data(ctx);

    (void)msg;
    if (--*left == 0)
        bench_done();
    return 0;
}
static const struct plex_behaviour calls = {.name = "calls",
                                            .init = calls_init,
                                            .handle_info = count_down,
                                            .data_size = sizeof(uint32_t)};

/* -- spawn: all alive at the end; what one costs -- */

static atomic_uint_fast64_t born;
static double bytes_before;

static double
resident(void)
{
    unsigned long pages = 0, ignored;
    FILE *file = fopen("/proc/self/statm", "r");

    if (file != NULL) {
        if (fscanf(file, "%lu %lu", &ignored, &pages) != 2)
            pages = 0;
        (void)fclose(file);
    }
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}
static int
idle_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    (void)ctx;
    (void)args;
    (void)len;
    if (atomic_fetch_add(&born, 1) + 1 == bench_now->n) {
        bench_now->bytes = (resident() - bytes_before) / (double)bench_now->n;
        bench_done();
    }
    return 0;
}
static int
idle_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    (void)ctx;
    (void)msg;
    return 0;
}
static const struct plex_behaviour idle = {
    .name = "idle", .init = idle_init, .handle_info = idle_info};

static int
spawn_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    uint64_t *left = plex_data(ctx);

    (void)msg;
    for (int i = 0; i<BATCH && * left> 0; i++, --*left)
        (void)bench_spawn(ctx, &idle, NULL, 0);
    if (*left > 0)
        plex_send(ctx, plex_self_ref(ctx), GO, NULL, 0);
    return 0;
}
static int
spawn_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    (void)args;
    (void)len;
    atomic_store(&born, 0);
    bytes_before = resident();
    *(uint64_t *)plex_data(ctx) = bench_now->n;
    plex_send(ctx, plex_self_ref(ctx), GO, NULL, 0);
    return 0;
}
static const struct plex_behaviour spawns = {.name = "spawns",
                                             .init = spawn_init,
                                             .handle_info = spawn_info,
                                             .data_size = sizeof(uint64_t)};

/* -- restart: a child that is told to crash as soon as it is there -- */

static int
victim_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    struct plex_ref root;

    memcpy(&root, args, len);
    plex_send(ctx, root, UP, NULL, 0);
    return 0;
}
static int
victim_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    (void)msg;
    return plex_fail(ctx, "crash");
}
static const struct plex_behaviour victim = {
    .name = "victim", .init = victim_init, .handle_info = victim_info};

static struct plex_ref restart_root;
static const struct plex_child victims[] = {
    {.id = "victim",
     .behaviour = &victim,
     .args = &restart_root,
     .args_len = sizeof restart_root,
     .shutdown_ms = PLEX_SHUTDOWN_DEFAULT},
    {0}};
static const struct plex_supervisor restarter = {.strategy = PLEX_ONE_FOR_ONE,
                                                 .intensity = 10000000,
                                                 .period_ms = 1,
                                                 .children = victims};
static const struct plex_behaviour restart_supervisor = {
    .name = "restarter", .supervisor = &restarter};

static int
restart_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    uint64_t *left = plex_data(ctx);

    if ((*left)-- == 0)
        bench_done();
    else
        plex_send(ctx, msg->from, GO, NULL, 0);
    return 0;
}
static int
restart_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    (void)args;
    (void)len;
    *(uint64_t *)plex_data(ctx) = bench_now->n;
    restart_root = plex_self_ref(ctx);
    (void)bench_spawn(ctx, &restart_supervisor, NULL, 0);
    return 0;
}
static const struct plex_behaviour restarts = {.name = "restarts",
                                               .init = restart_init,
                                               .handle_info = restart_info,
                                               .data_size = sizeof(uint64_t)};

/* -- timers: 200 processes with 100 each, of 1 to 10 ms, set again and again
 * -- */

enum { TIMERS = 200, TIMERS_EACH = 100, LATE_MAX = 100000 /* us */ };

struct timers {
    struct plex_ref root;
    uint64_t left, out;
    uint32_t random;
    uint64_t due[TIMERS_EACH];
};
static _Atomic uint32_t late[LATE_MAX + 1];

static void
timer_again(struct plex_ctx *ctx, struct timers *own, uint64_t slot)
{
    uint64_t ms = 1 + bench_random(&own->random) % 10;

    own->due[slot] = plex_monotonic_ns(ctx) + ms * 1000000;
    (void)plex_send_after(ctx, plex_self_ref(ctx), ms, 0, slot);
}
static int
timers_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct timers *own = plex_data(ctx);
    uint64_t now = bench_clock_ns(), due = own->due[msg->tag];
    uint64_t us = now > due ? (now - due) / 1000 : 0;

    atomic_fetch_add_explicit(&late[us < LATE_MAX ? us : LATE_MAX], 1,
                              memory_order_relaxed);
    if (own->left > 0) {
        own->left--;
        timer_again(ctx, own, msg->tag);
    } else if (--own->out == 0) {
        plex_send(ctx, own->root, OVER, NULL, 0);
    }
    return 0;
}
static int
timers_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    struct timers *own = plex_data(ctx);

    memcpy(&own->root, args, len);
    own->random = (uint32_t)(uintptr_t)own;
    own->out = TIMERS_EACH;
    own->left = bench_now->n / TIMERS - TIMERS_EACH;
    for (uint64_t i = 0; i < TIMERS_EACH; i++)
        timer_again(ctx, own, i);
    return 0;
}
static const struct plex_behaviour timers = {.name = "timers",
                                             .init = timers_init,
                                             .handle_info = timers_info,
                                             .data_size =
                                                 sizeof(struct timers)};
static int
timer_root_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    uint32_t *left = plex_data(ctx);
    uint64_t seen = 0, all = 0;

    (void)msg;
    if (--*left > 0)
        return 0;
    for (int i = 0; i <= LATE_MAX; i++)
        all += late[i];
    for (int i = 0; i <= LATE_MAX && seen * 100 < all * 99; i++) {
        seen += late[i];
        bench_now->late_us = i;
    }
    bench_done();
    return 0;
}
static int
timer_root_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    const struct plex_ref self = plex_self_ref(ctx);

    (void)args;
    (void)len;
    for (int i = 0; i <= LATE_MAX; i++)
        late[i] = 0;
    *(uint32_t *)plex_data(ctx) = TIMERS;
    for (int i = 0; i < TIMERS; i++)
        (void)bench_spawn(ctx, &timers, &self, sizeof self);
    return 0;
}
static const struct plex_behaviour timer_root = {.name = "timer_root",
                                                 .init = timer_root_init,
                                                 .handle_info = timer_root_info,
                                                 .data_size = sizeof(uint32_t)};

const struct bench_row bench_life[] = {
    {"call-64", 2000000, &calls, 1},
    {"spawn", 1000000, &spawns, 1},
    {"restart", 300000, &restarts, 1},
    {"timer", 3000000, &timer_root, 1},
    {0},
};
