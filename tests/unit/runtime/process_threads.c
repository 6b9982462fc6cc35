#include "common/loop.h"
#include "runtime/runtime.h"
#include "sdk/c/include/plexspaces/group.h"

#include <check.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Processes on threads: order, timers, callbacks that run too long, memory. */

static struct rt *rt;
static const struct rt_where where = {"t", "n"};
static _Atomic uint64_t arrived, early, out_of_order, stuck, resumed, refused;
static _Atomic uint64_t last;

static void
create(struct rt_config config)
{
    struct plex_err err;

    config.node = 7;
    atomic_store(&arrived, 0);
    ck_assert_int_eq(rt_create(&config, &rt, &err), PLEX_OK);
    rt_start(rt);
}

static void
destroy(void)
{
    rt_stop(rt);
    rt_free(rt);
}

static void
wait_for(const _Atomic uint64_t *counter, uint64_t value)
{
    uint64_t deadline = plex_now() + 60000000000;

    while (atomic_load(counter) < value) {
        ck_assert_uint_lt(plex_now(), deadline);
        usleep(1000);
    }
}

static struct plex_ref
start(const struct plex_behaviour *behaviour)
{
    const struct plex_spawn how = {.behaviour = behaviour};
    struct plex_ref ref;

    ck_assert_int_eq(rt_spawn(rt, where, &how, NULL, NULL, &ref), 0);
    return ref;
}

static void
send(struct plex_ref to, uint64_t tag, const void *payload, size_t len)
{
    const struct plex_post post = {
        .kind = PLEX_MSG_INFO, .tag = tag, .payload = payload, .len = len};

    ck_assert_int_eq(rt_send(rt, to, &post), 0);
}

/* -- order -- */

enum { SENDERS = 4, EACH = 20000 };

struct sink {
    uint64_t latest[SENDERS];
};

static int
sink_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct sink *sink = plex_data(ctx);
    uint64_t who = msg->tag >> 32, number = (uint32_t)msg->tag;

    if (number != ++sink->latest[who])
        atomic_fetch_add(&out_of_order, 1);
    atomic_fetch_add(&arrived, 1);
    return 0;
}

static const struct plex_behaviour sink_behaviour = {
    .name = "sink", .handle_info = sink_info, .data_size = sizeof(struct sink)};

static int
sender_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct plex_ref to;

    memcpy(&to, msg->payload, sizeof to);
    for (uint64_t i = 1; i <= EACH; i++)
        plex_send(ctx, to, msg->tag << 32 | i, NULL, 0);
    return 0;
}

static const struct plex_behaviour sender_behaviour = {
    .name = "sender", .handle_info = sender_info};

START_TEST(messages_of_one_sender_arrive_in_order)
{
    struct plex_ref sink;

    create((struct rt_config){.executors = 3});
    sink = start(&sink_behaviour);
    for (uint64_t i = 0; i < SENDERS; i++)
        send(start(&sender_behaviour), i, &sink, sizeof sink);
    wait_for(&arrived, (uint64_t)SENDERS * EACH);
    ck_assert_uint_eq(out_of_order, 0);
    destroy();
}
END_TEST

/* -- timers -- */

enum { TIMERS = 5000 };

static int
timer_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    uint64_t now = plex_monotonic_ns(ctx);

    if (msg->kind == PLEX_MSG_TIMER) {
        if (now < msg->tag)
            atomic_fetch_add(&early, 1);
        atomic_fetch_add(&arrived, 1);
        return 0;
    }
    for (uint64_t i = 0; i < TIMERS; i++)
        plex_send_after(ctx, plex_self_ref(ctx), i % 200, 0,
                        now + i % 200 * 1000000);
    return 0;
}

static const struct plex_behaviour timer_behaviour = {
    .name = "timer", .handle_info = timer_info};

START_TEST(no_timer_is_early_and_none_is_lost)
{
    create((struct rt_config){.executors = 2});
    for (int i = 0; i < 4; i++)
        send(start(&timer_behaviour), 0, NULL, 0);
    wait_for(&arrived, (uint64_t)4 * TIMERS);
    ck_assert_uint_eq(early, 0);
    destroy();
}
END_TEST

/* -- callbacks that run too long -- */

static _Atomic uint64_t go_on;
static struct plex_ref looper; /* on a busy machine others may look stuck */

static int
loop_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    uint64_t deadline = plex_monotonic_ns(ctx) + 30000000000;

    if (msg->tag == 1) {
        while (atomic_load(&go_on) == 0 && plex_monotonic_ns(ctx) < deadline) {
        }
    } else {
        atomic_fetch_add(&arrived, 1);
    }
    return 0;
}

static const struct plex_behaviour loop_behaviour = {.name = "loop",
                                                     .handle_info = loop_info};

static void
on_event(void *arg, const struct rt_event *event)
{
    (void)arg;
    if (!plex_ref_is(event->process, looper))
        return;
    if (event->kind == RT_STUCK && strcmp(event->behaviour, "loop") == 0 &&
        event->ns >= 30000000 && !event->last)
        atomic_fetch_add(&stuck, 1);
    if (event->kind == RT_STUCK && event->last && event->ns >= 60000000)
        atomic_fetch_add(&last, 1);
    if (event->kind == RT_RESUMED)
        atomic_fetch_add(&resumed, 1);
}

START_TEST(a_callback_that_loops_is_named_and_others_go_on)
{
    struct plex_ref other;
    struct rt_info info;

    create((struct rt_config){.executors = 1,
                              .watchdog_ms = 30,
                              .watchdog_spare = true,
                              .watchdog_last_ms = 60,
                              .on_event = on_event});
    looper = start(&loop_behaviour);
    other = start(&loop_behaviour);
    send(looper, 1, NULL, 0);
    wait_for(&stuck, 1);
    ck_assert_int_eq(rt_inspect(rt, looper, &info), 0);
    ck_assert_uint_ge(info.running_ns, 30000000);
    ck_assert_str_eq(info.state, "running");
    ck_assert_int_eq(rt_inspect(rt, other, &info), 0);
    ck_assert_uint_eq(info.running_ns, 0);
    send(other, 2, NULL, 0);
    wait_for(&arrived, 1); /* while the other one loops */
    wait_for(&last, 1);
    ck_assert_uint_eq(resumed, 0);
    atomic_store(&go_on, 1);
    wait_for(&resumed, 1);
    ck_assert_uint_eq(stuck, 1);
    ck_assert_uint_eq(last, 1);
    destroy();
}
END_TEST

/* -- memory -- */

/* A million of them. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { LIVES = 100000, ROUNDS = 3 };
#else
enum { LIVES = 100000, ROUNDS = 10 };
#endif

static int
short_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    (void)args, (void)len;
    plex_exit_self(ctx, "normal");
    return 0;
}

static const struct plex_behaviour short_behaviour = {
    .name = "short", .init = short_init, .data_size = 40};

/* Ends with all that a process can leave behind. */
static int
rich_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    const char text[200] = "too long for a message's own memory";
    struct plex_ref self = plex_self_ref(ctx);

    (void)args, (void)len;
    (void)plex_send_after(ctx, self, 3600000, 0, 1);
    (void)plex_group_join(ctx, "rich");
    (void)plex_monitor(ctx, (struct plex_ref){self.node, 1});
    plex_call_ref(ctx, self, text, sizeof text, 60000, 1);
    plex_send(ctx, self, 2, text, sizeof text);
    plex_exit_self(ctx, "normal");
    return 0;
}

static const struct plex_behaviour rich_behaviour = {
    .name = "rich", .init = rich_init, .data_size = 4000};

static int
maker_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct plex_spawn how = {0};
    struct plex_ref ref;

    if (msg->kind == PLEX_MSG_DOWN)
        return 0;
    for (uint64_t i = 0; i < 100 && i < msg->tag; i++) {
        how.behaviour = i % 8 == 3 ? &rich_behaviour : &short_behaviour;
        how.link = i % 8 == 1 || i % 8 == 3;
        how.monitor = i % 8 == 2 || i % 8 == 3;
        atomic_fetch_add(&refused, plex_spawn(ctx, &how, &ref) != 0);
    }
    if (msg->tag > 100)
        plex_send(ctx, plex_self_ref(ctx), msg->tag - 100, NULL, 0);
    return 0;
}

static const struct plex_behaviour maker_behaviour = {
    .name = "maker", .handle_info = maker_info};

static void
live_and_die(struct plex_ref maker, uint64_t rounds)
{
    struct rt_stats stats;

    rt_stats(rt, &stats);
    send(maker, LIVES, NULL, 0);
    for (int i = 0; i < 60000; i++) {
        rt_stats(rt, &stats);
        if (stats.exited >= rounds * LIVES)
            return;
        usleep(1000);
    }
    ck_abort_msg("%llu have ended", (unsigned long long)stats.exited);
}

static long
resident_pages(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long size, resident;

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%ld %ld", &size, &resident), 2);
    (void)fclose(file);
    return resident;
}

START_TEST(starting_and_ending_leaves_nothing_behind)
{
    struct plex_ref maker;
    const char *text = getenv("PLEX_LIVES");
    uint64_t rounds = text == NULL ? ROUNDS : strtoull(text, NULL, 10) / LIVES;
    long before = 0;

    create((struct rt_config){.executors = 2});
    maker = start(&maker_behaviour);
    for (uint64_t round = 1; round <= rounds; round++) {
        live_and_die(maker, round);
        if (round == 2)
            before = resident_pages();
    }
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)before; /* sanitizers keep what was freed */
#else
    ck_assert_int_lt(resident_pages() - before, 2048); /* 8 MiB */
#endif
    ck_assert_uint_eq(refused, 0);
    destroy();
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("threads");
    TCase *c = tcase_create("threads");
    SRunner *runner;
    int failed;

    tcase_set_timeout(c, 240);
    tcase_add_test(c, messages_of_one_sender_arrive_in_order);
    tcase_add_test(c, no_timer_is_early_and_none_is_lost);
    tcase_add_test(c, a_callback_that_loops_is_named_and_others_go_on);
    tcase_add_test(c, starting_and_ending_leaves_nothing_behind);
    suite_add_tcase(s, c);
    runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
