#include "common/loop.h"
#include "runtime/runtime.h"
#include "sdk/c/include/plexspaces/group.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * Threads: processes that do anything to each other at random, on as many
 * executors as asked for, beside a thread outside that joins in. Then what
 * must hold: nothing is lost and nobody is left over (rt_free() asserts that
 * every message came back), every call got one outcome. Run by hand for
 * longer: test_runtime_process_stress SECONDS EXECUTORS.
 */
enum { PEOPLE = 500, TAG_LIVE = 1 };

static struct rt *rt;
static const struct rt_where where = {"t", "n"};
static _Atomic uint64_t people[PEOPLE]; /* ids; may be stale */
static _Atomic uint64_t asked, outcomes, replies_wanted, replies, downs;
static _Atomic uint64_t calls_outside, answers_outside;
static _Atomic bool over;

struct life {
    uint64_t random;
    uint64_t age;
    uint64_t monitor;
    uint64_t timer;
    struct plex_from owed;
};

static uint64_t
draw(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1du >> 16;
}

static struct plex_ref
anybody(uint64_t *random)
{
    return (struct plex_ref){99, atomic_load(&people[draw(random) % PEOPLE])};
}

static const struct plex_behaviour person, boxed;

static void
go_on(struct plex_ctx *ctx, struct plex_ref to)
{
    plex_send(ctx, to, TAG_LIVE, "0123456789", 10);
}

static void
ask_somebody(struct plex_ctx *ctx, struct life *life)
{
    char question[100] = {0};
    struct plex_msg answer;
    struct plex_ref to = anybody(&life->random);

    atomic_fetch_add(&asked, 1);
    (void)plex_ask(ctx, to, draw(&life->random) % 4, question, sizeof question,
                   1 + draw(&life->random) % 3, &answer);
    atomic_fetch_add(&outcomes, 1);
}

static void
call_somebody(struct plex_ctx *ctx, struct life *life)
{
    atomic_fetch_add(&replies_wanted, 1);
    plex_call_ref(ctx, anybody(&life->random), "x", 1,
                  1 + draw(&life->random) % 3, 7);
}

static void
have_child(struct plex_ctx *ctx, struct life *life)
{
    const struct plex_spawn how = {
        .behaviour = draw(&life->random) % 4 == 0 ? &boxed : &person,
        .link = draw(&life->random) % 8 == 0,
        .monitor = draw(&life->random) % 2 == 0,
        .wait = draw(&life->random) % 4 == 0,
        .name = draw(&life->random) % 8 == 0 ? "joe" : NULL};
    struct plex_ref child;

    if (plex_spawn(ctx, &how, &child) == 0) {
        atomic_store(&people[draw(&life->random) % PEOPLE], child.id);
        go_on(ctx, child);
    }
}

static bool
is_info(void *arg, const struct plex_msg *msg)
{
    (void)arg;
    return msg->kind == PLEX_MSG_INFO;
}

static void
relate(struct plex_ctx *ctx, struct life *life)
{
    struct plex_ref other = anybody(&life->random);

    switch (draw(&life->random) % 8) {
    case 0: /* rarely, or all hang together and die together */
        if (draw(&life->random) % 8 == 0)
            plex_link(ctx, other);
        break;
    case 1:
        plex_unlink(ctx, other);
        break;
    case 2:
        life->monitor = plex_monitor(ctx, other);
        break;
    case 3:
        plex_demonitor(ctx, life->monitor);
        break;
    case 4:
        plex_exit(ctx, other, draw(&life->random) % 16 ? "normal" : "kill");
        break;
    case 5:
        plex_trap_exit(ctx, draw(&life->random) % 2);
        break;
    case 6:
        (void)plex_group_join(ctx, "g");
        (void)plex_group_monitor(ctx, "g", draw(&life->random) % 2);
        break;
    default:
        (void)plex_group_leave(ctx, "g");
        (void)plex_register(ctx, "joe");
        break;
    }
}

static void
wait_or_time(struct plex_ctx *ctx, struct life *life)
{
    struct plex_msg msg;

    switch (draw(&life->random) % 6) {
    case 0:
        (void)plex_receive(ctx, is_info, NULL, draw(&life->random) % 5, &msg);
        break;
    case 1:
        plex_sleep(ctx, draw(&life->random) % 2);
        break;
    case 2:
        life->timer =
            plex_send_after(ctx, plex_self_ref(ctx), draw(&life->random) % 10,
                            draw(&life->random) % 3, 5);
        break;
    case 3:
        (void)plex_cancel_timer(ctx, life->timer);
        break;
    case 4:
        (void)plex_send_after(ctx, anybody(&life->random),
                              draw(&life->random) % 5, 0, TAG_LIVE);
        break;
    default:
        plex_timer_set(ctx, "tea", draw(&life->random) % 5, "x", 1);
        break;
    }
}

static int
live(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct life *life = plex_data(ctx);

    if (msg->kind == PLEX_MSG_DOWN)
        atomic_fetch_add(&downs, 1);
    if (msg->kind != PLEX_MSG_INFO || atomic_load(&over))
        return 0;
    switch (draw(&life->random) % 12) {
    case 0:
        ask_somebody(ctx, life);
        break;
    case 1:
        call_somebody(ctx, life);
        break;
    case 2:
        have_child(ctx, life);
        break;
    case 3:
    case 4:
    case 5:
        relate(ctx, life);
        break;
    case 6:
        wait_or_time(ctx, life);
        break;
    case 7:
        if (draw(&life->random) % 32 == 0)
            return plex_fail(ctx, "had enough");
        break;
    case 8:
        if (draw(&life->random) % 32 == 0)
            (void)plex_group_publish(ctx, "g", TAG_LIVE, "x", 1);
        break;
    case 9:
        if (life->owed.call != 0)
            (void)plex_answer(ctx, &life->owed, "late", 4);
        life->owed.call = 0;
        break;
    default:
        break;
    }
    if (++life->age > 300)
        plex_exit_self(ctx, "normal");
    if (draw(&life->random) % 3 != 0)
        go_on(ctx, anybody(&life->random));
    return 0;
}

static int
live_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct life *life = plex_data(ctx);

    switch (msg->tag) {
    case 0:
        life->owed = plex_reply_later(ctx);
        return 0;
    case 1:
        return ctx->process->forward(ctx, anybody(&life->random));
    case 2:
        plex_sleep(ctx, draw(&life->random) % 2);
        return 0;
    default:
        plex_reply(ctx, "text/plain", msg->payload, msg->len);
        return 0;
    }
}

static int
live_reply(struct plex_ctx *ctx, uint64_t tag, enum plex_result_status status,
           const void *payload, size_t len)
{
    (void)ctx, (void)status, (void)payload, (void)len;
    assert(tag == 7);
    atomic_fetch_add(&replies, 1);
    return 0;
}

static int
live_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    struct life *life = plex_data(ctx);

    (void)args, (void)len;
    life->random = plex_self_ref(ctx).id * 0x9e3779b97f4a7c15u | 1;
    return 0;
}

static const struct plex_behaviour person = {.name = "person",
                                             .init = live_init,
                                             .handle_call = live_call,
                                             .handle_info = live,
                                             .handle_cast = live,
                                             .handle_reply = live_reply,
                                             .data_size = sizeof(struct life)};
static const struct plex_behaviour boxed = {
    .name = "boxed",
    .init = live_init,
    .handle_call = live_call,
    .handle_info = live,
    .handle_cast = live,
    .handle_reply = live_reply,
    .data_size = sizeof(struct life),
    .mailbox = {.max = 4, .full = PLEX_OVERFLOW_BLOCK, .bands = true}};

static void
answered(void *arg, int status, const struct plex_msg *answer)
{
    (void)arg, (void)status, (void)answer;
    atomic_fetch_add(&answers_outside, 1);
}

static void
started(void *arg, int status, struct plex_ref ref, const char *reason)
{
    (void)reason;
    if (status == 0)
        atomic_store((_Atomic uint64_t *)arg, ref.id);
    atomic_fetch_add(&answers_outside, 1);
}

/* Keep PEOPLE alive and moving. */
static void
outside(uint64_t *random)
{
    static const struct plex_behaviour *const kinds[] = {&person, &boxed};
    const struct plex_post post = {
        .kind = PLEX_MSG_INFO, .tag = TAG_LIVE, .payload = "y", .len = 1};
    uint64_t at = draw(random) % PEOPLE;
    struct plex_ref ref = {99, atomic_load(&people[at])};
    struct rt_info info;
    uint64_t cursor = 0;

    if (rt_inspect(rt, ref, &info) != 0) {
        const struct plex_spawn how = {.behaviour = kinds[draw(random) % 2],
                                       .wait = true};

        atomic_fetch_add(&calls_outside, 1);
        if (rt_spawn(rt, where, &how, started, &people[at], NULL) != 0)
            abort();
        return;
    }
    (void)rt_send(rt, ref, &post);
    if (draw(random) % 4 == 0) {
        atomic_fetch_add(&calls_outside, 1);
        rt_call(rt, ref, &post, 5, answered, NULL);
    }
    if (draw(random) % 64 == 0)
        (void)rt_list(rt, where, &cursor, &info, 1);
}

static int
stress(double seconds, uint32_t executors)
{
    const struct rt_config config = {
        .executors = executors, .node = 99, .node_id = "x", .watchdog_ms = 50};
    uint64_t end = plex_now() + (uint64_t)(seconds * 1e9), random = 42;
    struct plex_err err;
    struct rt_stats stats;

    if (rt_create(&config, &rt, &err) != PLEX_OK) {
        printf("%s\n", err.text);
        return 1;
    }
    rt_start(rt);
    while (plex_now() < end) {
        for (int i = 0; i < 50; i++)
            outside(&random);
        usleep(100);
    }
    atomic_store(&over, true);
    rt_stop(rt);
    rt_stats(rt, &stats);
    printf("%llu spawned, %llu messages, %llu asks, %llu calls, %llu downs, "
           "%llu steals, %llu parks\n",
           (unsigned long long)stats.spawned,
           (unsigned long long)stats.messages, (unsigned long long)asked,
           (unsigned long long)replies_wanted, (unsigned long long)downs,
           (unsigned long long)stats.steals, (unsigned long long)stats.parks);
    assert(stats.processes == 0 && stats.spawned > PEOPLE);
    assert(outcomes <= asked && outcomes > 0);
    assert(replies <= replies_wanted && replies > 0);
    assert(answers_outside == calls_outside);
    rt_free(rt);
    return 0;
}

int
main(int argc, char **argv)
{
    return stress(argc > 1 ? strtod(argv[1], NULL) : 1.0,
                  argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 3);
}
