#include "runtime/runtime.h"
#include "sdk/c/include/plexspaces/group.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Two runtimes that are connected by a list of signals, in one thread. What
 * happens is written into a log that the tests compare. */

enum { NODES = 2, WIRE_MAX = 4096 };

struct wired { /* a signal on its way, with copies of what it points to */
    struct rt_signal signal;
    char tenant[32], ns[32], name[64], text[64], reason[64], payload[64];
};
static struct rt *rt[NODES];
static struct wired wire[WIRE_MAX];
static size_t wire_count;
static bool cut; /* signals are lost, senders are told */
static uint64_t now;
static char said[8192];
static const struct rt_where where = {"t", "n"};

__attribute__((format(printf, 1, 2))) static void
say(const char *fmt, ...)
{
    size_t len = strlen(said);
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(said + len, sizeof said - len, fmt, args);
    va_end(args);
}

static void
copy(char *out, size_t size, const char *text)
{
    (void)snprintf(out, size, "%s", text == NULL ? "" : text);
}

static bool
on_remote(void *arg, const struct rt_signal *signal)
{
    struct wired *w = &wire[wire_count];

    (void)arg;
    if (cut)
        return false;
    ck_assert_uint_lt(wire_count, WIRE_MAX);
    ck_assert_uint_le(signal->post.len, sizeof w->payload);
    w->signal = *signal;
    copy(w->tenant, sizeof w->tenant, signal->where.tenant);
    copy(w->ns, sizeof w->ns, signal->where.ns);
    copy(w->name, sizeof w->name, signal->name);
    copy(w->text, sizeof w->text, signal->text);
    copy(w->reason, sizeof w->reason, signal->reason);
    if (signal->post.len > 0)
        memcpy(w->payload, signal->post.payload, signal->post.len);
    wire_count++;
    return true;
}

static void
carry(void)
{
    size_t count = wire_count;
    struct wired *batch = calloc(count + 1, sizeof *batch);

    memcpy(batch, wire, count * sizeof *batch);
    wire_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct wired *w = &batch[i];
        struct rt *to = rt[0];

        w->signal.where = (struct rt_where){w->tenant, w->ns};
        w->signal.name = w->name;
        w->signal.text = w->text;
        w->signal.reason = w->reason;
        w->signal.post.payload = w->payload;
        if (w->signal.to.node == 2 || strstr(w->name, "@n2") != NULL ||
            strcmp(w->reason, "n2") == 0 ||
            (w->signal.to.id == 0 && w->signal.from.node == 1))
            to = rt[1];
        if (w->signal.kind == RT_SPAWN)
            w->reason[0] = '\0';
        rt_deliver(to, &w->signal);
    }
    free(batch);
}

static void
run_ms(uint64_t ms)
{
    for (uint64_t i = 0; i <= ms; i++) {
        bool more = true;

        while (more) {
            more = wire_count > 0;
            carry();
            for (int n = 0; n < NODES; n++)
                more |= rt_step(rt[n], now, 1, 1000) > 0;
        }
        if (i < ms)
            now += 1000000;
    }
}

/* -- a process that does what it is told -- */

typedef void (*deed_fn)(struct plex_ctx *ctx);
static struct plex_ref a, b;
enum { TAG_DO = 1000, TAG_STOP };

static const char *
me(struct plex_ctx *ctx)
{
    const char *name = plex_self(ctx, NULL, NULL, NULL);

    return name[0] != '\0' ? name : "?";
}

static int
doer_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    deed_fn deed;

    if (msg->kind == PLEX_MSG_INFO && msg->tag == TAG_DO) {
        memcpy(&deed, msg->payload, sizeof deed);
        deed(ctx);
        return 0;
    }
    if (msg->kind == PLEX_MSG_INFO && msg->tag == TAG_STOP)
        return plex_fail(ctx, "crash");
    say("%s:%s%llu%s;", me(ctx),
        (const char *[]){"", "", "cast", "info", "exit", "down", "timer",
                         "group"}[msg->kind],
        msg->kind == PLEX_MSG_DOWN ? 0ull : (unsigned long long)msg->tag,
        msg->reason);
    return 0;
}

static int
doer_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    if (msg->tag == 14)
        (void)plex_reply_later(ctx);
    else
        plex_reply_json(ctx, "%llu", (unsigned long long)msg->tag * 2);
    return 0;
}

static int
doer_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    return len > 0 && memcmp(args, "no", 2) == 0 ? plex_fail(ctx, "will not")
                                                 : 0;
}

static const struct plex_behaviour doer = {.name = "doer",
                                           .init = doer_init,
                                           .handle_call = doer_call,
                                           .handle_cast = doer_info,
                                           .handle_info = doer_info,
                                           .trap_exit = true};

static const struct plex_behaviour *
find(void *arg, const char *behaviour)
{
    (void)arg;
    return strcmp(behaviour, "doer") == 0 ? &doer : NULL;
}

static struct plex_ref
start(int node, const char *name)
{
    const struct plex_spawn how = {.behaviour = &doer, .name = name};
    struct plex_ref ref;

    ck_assert_int_eq(rt_spawn(rt[node], where, &how, NULL, NULL, &ref), 0);
    return ref;
}

static void
tell(int node, struct plex_ref who, deed_fn deed)
{
    const struct plex_post post = {.kind = PLEX_MSG_INFO,
                                   .tag = TAG_DO,
                                   .payload = &deed,
                                   .len = sizeof deed};

    ck_assert_int_eq(rt_send(rt[node], who, &post), 0);
}

static void
setup(void)
{
    struct plex_err err;

    said[0] = '\0';
    wire_count = 0;
    cut = false;
    now = 1;
    for (uint64_t n = 0; n < NODES; n++) {
        const struct rt_config config = {.node = n + 1,
                                         .node_id = n == 0 ? "n1" : "n2",
                                         .on_remote = on_remote,
                                         .find = find};

        ck_assert_int_eq(rt_create(&config, &rt[n], &err), PLEX_OK);
    }
    a = start(0, "a");
    b = start(1, "b");
    run_ms(0);
}

static void
teardown(void)
{
    for (int n = 0; n < NODES; n++)
        rt_stop(rt[n]);
    for (int n = 0; n < NODES; n++)
        rt_free(rt[n]);
}

static void
down(void)
{
    cut = true;
    wire_count = 0;
    rt_node_down(rt[0], 2);
    run_ms(1);
}

/* -- the tests -- */

static void
link_and_crash(struct plex_ctx *ctx)
{
    plex_link(ctx, b);
    plex_send(ctx, b, TAG_STOP, NULL, 0);
}

START_TEST(a_link_between_nodes_carries_the_exit)
{
    tell(0, a, link_and_crash);
    run_ms(1);
    ck_assert_str_eq(said, "a:exit0crash;");
}
END_TEST

static void
unlink_after_crash(struct plex_ctx *ctx)
{
    link_and_crash(ctx);
    plex_unlink(ctx, b);
}

START_TEST(unlinking_is_final_between_nodes)
{
    tell(0, a, unlink_after_crash);
    run_ms(1);
    ck_assert_str_eq(said, "");
}
END_TEST

static void
monitor_b(struct plex_ctx *ctx)
{
    (void)plex_monitor(ctx, b);
}

static void
link_b(struct plex_ctx *ctx)
{
    plex_link(ctx, b);
}

START_TEST(a_monitor_between_nodes_gives_down)
{
    tell(0, a, monitor_b);
    run_ms(1);
    rt_exit(rt[1], b, "kill");
    run_ms(1);
    tell(0, a, monitor_b);
    run_ms(1);
    ck_assert_str_eq(said, "a:down0killed;a:down0noproc;");
}
END_TEST

static void
ask_n2(struct plex_ctx *ctx)
{
    struct plex_msg answer;
    int status =
        plex_ask(ctx, plex_whereis(ctx, "b@n2"), 4, NULL, 0, 0, &answer);

    say("ask%d(%.*s);", status, (int)answer.len, (const char *)answer.payload);
    status = plex_ask(ctx, plex_whereis(ctx, "c@n2"), 4, NULL, 0, 0, &answer);
    say("ask%d;", status);
    status = plex_ask(ctx, b, 14, NULL, 0, 0, &answer);
    say("ask%d%s;", status, answer.reason);
}

START_TEST(calls_go_to_names_on_other_nodes_and_end_with_the_node)
{
    tell(0, a, ask_n2);
    run_ms(1);
    ck_assert_str_eq(said, "ask0(8);ask-2;");
    down();
    ck_assert_str_eq(said, "ask0(8);ask-2;ask-7noconnection;");
}
END_TEST

START_TEST(the_loss_of_a_node_is_noconnection)
{
    tell(0, a, monitor_b);
    tell(0, a, link_b);
    run_ms(1);
    down();
    ck_assert(strstr(said, "a:down0noconnection;") != NULL);
    ck_assert(strstr(said, "a:exit0noconnection;") != NULL);
    said[0] = '\0';
    tell(0, a, link_b);
    run_ms(1);
    ck_assert_str_eq(said, "a:exit0noconnection;");
}
END_TEST

static void
spawn_there(struct plex_ctx *ctx)
{
    struct plex_spawn how = {.behaviour = &doer,
                             .node = "n2",
                             .name = "kid",
                             .link = true,
                             .wait = true};
    struct plex_ref ref;
    int status = plex_spawn(ctx, &how, &ref);

    say("spawn%d/%llu;", status, (unsigned long long)ref.node);
    b = ref;
    how.name = NULL;
    how.args = "no";
    how.args_len = 2;
    say("spawn%d;", plex_spawn(ctx, &how, &ref));
}

START_TEST(a_process_started_on_another_node_is_linked)
{
    tell(0, a, spawn_there);
    run_ms(1);
    ck_assert_str_eq(said, "spawn0/2;spawn-16;");
    rt_exit(rt[1], b, "kill");
    run_ms(1);
    ck_assert_str_eq(said, "spawn0/2;spawn-16;a:exit0killed;");
}
END_TEST

START_TEST(the_end_of_who_started_it_ends_a_process_elsewhere)
{
    tell(0, a, spawn_there);
    run_ms(1);
    ck_assert(!plex_ref_none(rt_whereis(rt[1], where, "kid")));
    rt_exit(rt[0], a, "kill");
    run_ms(1);
    ck_assert(plex_ref_none(rt_whereis(rt[1], where, "kid")));
}
END_TEST

static void
join(struct plex_ctx *ctx)
{
    (void)plex_group_join(ctx, "g");
}

static void
watch(struct plex_ctx *ctx)
{
    (void)plex_group_monitor(ctx, "g", true);
}

static void
publish(struct plex_ctx *ctx)
{
    struct plex_ref members[4];

    say("%zu,%zu,", plex_group_members(ctx, "g", false, members, 4),
        plex_group_members(ctx, "g", true, members, 4));
    say("%zu;", plex_group_publish(ctx, "g", 9, NULL, 0));
}

static void
announce(void *arg, const struct rt_signal *signal)
{
    (void)arg;
    say("+%s;", signal->text);
}

START_TEST(groups_reach_over_nodes)
{
    tell(0, a, watch);
    run_ms(1);
    tell(1, b, join);
    tell(0, a, join);
    run_ms(1);
    tell(0, a, publish);
    run_ms(1);
    ck_assert(strstr(said, "2,1,2;") != NULL);
    ck_assert(strstr(said, "b:cast9;") != NULL);
    ck_assert(strstr(said, "a:cast9;") != NULL);
    said[0] = '\0';
    rt_groups_announce(rt[1], announce, NULL);
    ck_assert_str_eq(said, "+g;");
    down();
    tell(0, a, publish);
    run_ms(1);
    ck_assert_str_eq(said, "+g;a:group0;1,1,1;a:cast9;");
}
END_TEST

static Suite *
suite(void)
{
    Suite *s = suite_create("remote");
    TCase *c = tcase_create("two nodes");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_link_between_nodes_carries_the_exit);
    tcase_add_test(c, unlinking_is_final_between_nodes);
    tcase_add_test(c, a_monitor_between_nodes_gives_down);
    tcase_add_test(c, calls_go_to_names_on_other_nodes_and_end_with_the_node);
    tcase_add_test(c, the_loss_of_a_node_is_noconnection);
    tcase_add_test(c, a_process_started_on_another_node_is_linked);
    tcase_add_test(c, the_end_of_who_started_it_ends_a_process_elsewhere);
    tcase_add_test(c, groups_reach_over_nodes);
    suite_add_tcase(s, c);
    return s;
}

int
main(void)
{
    SRunner *runner = srunner_create(suite());
    int failed;

    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
