#include "runtime/runtime.h"
#include "sdk/c/include/plexspaces/group.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Processes under rt_step(): one thread, a given clock. What happens is
 * written into a log that the tests compare. */

static struct rt *rt;
static uint64_t now;
static char said[65536];

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
setup_with(struct rt_config config)
{
    struct plex_err err;

    config.node = 77;
    config.node_id = "here";
    now = 1000000000;
    said[0] = '\0';
    ck_assert_int_eq(rt_create(&config, &rt, &err), PLEX_OK);
}

static void
setup(void)
{
    setup_with((struct rt_config){.seed = 1});
}

static void
teardown(void)
{
    rt_stop(rt);
    rt_free(rt);
}

static void
run_ms(uint64_t ms)
{
    uint64_t end = now + ms * 1000000;

    for (;;) {
        uint64_t due;

        while (rt_step(rt, now, 1000 + now / 1000000, 1000) > 0) {
        }
        due = rt_due_ns(rt);
        if (due > end)
            break;
        now = due > now ? due : now;
    }
    now = end;
    (void)rt_step(rt, now, 1000 + now / 1000000, 1000000);
}

/* A process that runs a script: what it is told is a function to call. */
typedef void (*deed_fn)(struct plex_ctx *ctx);
struct doer {
    const char *name;
    struct plex_ref peer;
    uint64_t number;
    int count;
};

static const char *
me(struct plex_ctx *ctx)
{
    const char *name = plex_self(ctx, NULL, NULL, NULL);

    return name[0] != '\0' ? name : "?";
}

static int
doer_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    (void)args, (void)len;
    if (len > 0 && strcmp(args, "refuse") == 0)
        return plex_fail(ctx, "will not");
    return 0;
}

enum { TAG_DO = 1000, TAG_STOP };

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
    struct doer *data = plex_data(ctx);

    say("%s:call%llu;", me(ctx), (unsigned long long)msg->tag);
    if (msg->tag == 13)
        return plex_fail(ctx, "unlucky");
    if (msg->tag == 14) { /* never answers */
        (void)plex_reply_later(ctx);
        return 0;
    }
    if (msg->tag == 15) {
        ck_assert_int_eq(ctx->process->forward(ctx, data->peer), 0);
        return 0;
    }
    plex_reply_json(ctx, "%llu", (unsigned long long)msg->tag * 2);
    return 0;
}

static int
doer_reply(struct plex_ctx *ctx, uint64_t tag, enum plex_result_status status,
           const void *payload, size_t len)
{
    say("%s:reply%llu/%d%.*s;", me(ctx), (unsigned long long)tag, (int)status,
        status == PLEX_CALL_OK ? (int)len : 0, (const char *)payload);
    return 0;
}

static void
doer_terminate(struct plex_ctx *ctx, const char *reason)
{
    say("%s:end(%s);", me(ctx), reason);
}

static int
doer_timer(struct plex_ctx *ctx, const char *timer, const void *payload,
           size_t len)
{
    say("%s:%s(%.*s);", me(ctx), timer, (int)len, (const char *)payload);
    return 0;
}

static const struct plex_behaviour doer = {
    .name = "doer",
    .init = doer_init,
    .handle_call = doer_call,
    .handle_cast = doer_info,
    .handle_info = doer_info,
    .handle_reply = doer_reply,
    .handle_timer = doer_timer,
    .terminate = doer_terminate,
    .data_size = sizeof(struct doer),
};
static const struct plex_behaviour trapper = {
    .name = "trapper",
    .init = doer_init,
    .handle_call = doer_call,
    .handle_info = doer_info,
    .terminate = doer_terminate,
    .data_size = sizeof(struct doer),
    .trap_exit = true,
};

static struct plex_ref
start(const struct plex_behaviour *behaviour, const char *name)
{
    const struct plex_spawn how = {.behaviour = behaviour, .name = name};
    struct plex_ref ref;

    ck_assert_int_eq(
        rt_spawn(rt, (struct rt_where){"t", "n"}, &how, NULL, NULL, &ref), 0);
    return ref;
}

static void
tell(struct plex_ref who, deed_fn deed)
{
    const struct plex_post post = {.kind = PLEX_MSG_INFO,
                                   .tag = TAG_DO,
                                   .payload = &deed,
                                   .len = sizeof deed};

    ck_assert_int_eq(rt_send(rt, who, &post), 0);
}

static void
crash(struct plex_ref who)
{
    const struct plex_post post = {.kind = PLEX_MSG_INFO, .tag = TAG_STOP};

    ck_assert_int_eq(rt_send(rt, who, &post), 0);
}

static struct plex_ref a, b;

/* -- links and exits -- */

static void
link_b(struct plex_ctx *ctx)
{
    plex_link(ctx, b);
}

START_TEST(the_crash_of_one_is_the_end_of_who_is_linked)
{
    a = start(&doer, "a");
    b = start(&doer, "b");
    tell(a, link_b);
    run_ms(1);
    crash(b);
    run_ms(1);
    ck_assert_str_eq(said, "b:end(crash);");
    ck_assert(plex_ref_none(rt_whereis(rt, (struct rt_where){"t", "n"}, "a")));
}
END_TEST

START_TEST(who_traps_exits_gets_a_message)
{
    a = start(&trapper, "a");
    b = start(&doer, "b");
    tell(a, link_b);
    run_ms(1);
    crash(b);
    run_ms(1);
    ck_assert_str_eq(said, "b:end(crash);a:exit0crash;");
}
END_TEST

START_TEST(linking_to_nobody_is_noproc)
{
    a = start(&trapper, "a");
    b = start(&doer, "b");
    crash(b);
    run_ms(1);
    tell(a, link_b);
    run_ms(1);
    ck_assert_str_eq(said, "b:end(crash);a:exit0noproc;");
}
END_TEST

static void
link_and_crash_then_unlink(struct plex_ctx *ctx)
{
    const struct plex_post post = {.kind = PLEX_MSG_INFO, .tag = TAG_STOP};

    plex_link(ctx, b);
    (void)plex_post(ctx, b, &post);
    plex_sleep(ctx, 5); /* its EXIT is in the mailbox by now */
    plex_unlink(ctx, b);
}

START_TEST(unlink_is_final)
{
    a = start(&trapper, "a");
    b = start(&doer, "b");
    tell(a, link_and_crash_then_unlink);
    run_ms(10);
    ck_assert_str_eq(said, "b:end(crash);");
}
END_TEST

static void
kill_b(struct plex_ctx *ctx)
{
    plex_exit(ctx, b, "kill");
}

static void
exit_b_normal(struct plex_ctx *ctx)
{
    plex_exit(ctx, b, "normal");
}

static void
exit_self_signal(struct plex_ctx *ctx)
{
    plex_exit(ctx, plex_self_ref(ctx), "normal");
}

START_TEST(kill_cannot_be_trapped_and_arrives_as_killed)
{
    struct plex_ref c;

    a = start(&trapper, "a");
    b = start(&trapper, "b");
    c = start(&doer, "c");
    tell(a, link_b);
    tell(c, kill_b);
    run_ms(1);
    ck_assert_str_eq(said, "a:exit0killed;");
}
END_TEST

START_TEST(an_exit_signal_normal_is_ignored_unless_sent_to_oneself)
{
    a = start(&doer, "a");
    b = start(&doer, "b");
    tell(a, exit_b_normal);
    run_ms(1);
    ck_assert(!plex_ref_none(rt_whereis(rt, (struct rt_where){"t", "n"}, "b")));
    tell(b, exit_self_signal);
    run_ms(1);
    ck_assert(plex_ref_none(rt_whereis(rt, (struct rt_where){"t", "n"}, "b")));
    ck_assert_str_eq(said, "");
}
END_TEST

/* -- monitors -- */

static void
monitor_b(struct plex_ctx *ctx)
{
    struct doer *data = plex_data(ctx);

    data->number = plex_monitor(ctx, b);
}

static void
demonitor_late(struct plex_ctx *ctx)
{
    struct doer *data = plex_data(ctx);
    const struct plex_post post = {.kind = PLEX_MSG_INFO, .tag = TAG_STOP};

    (void)plex_post(ctx, b, &post);
    plex_sleep(ctx, 5);
    plex_demonitor(ctx, data->number);
}

START_TEST(a_monitor_gives_one_down)
{
    a = start(&doer, "a");
    b = start(&doer, "b");
    tell(a, monitor_b);
    run_ms(1);
    crash(b);
    run_ms(1);
    ck_assert_str_eq(said, "b:end(crash);a:down0crash;");
    tell(a, monitor_b);
    run_ms(1);
    ck_assert_str_eq(said, "b:end(crash);a:down0crash;a:down0noproc;");
}
END_TEST

START_TEST(demonitor_is_final)
{
    a = start(&doer, "a");
    b = start(&doer, "b");
    tell(a, monitor_b);
    tell(a, demonitor_late);
    run_ms(10);
    ck_assert_str_eq(said, "b:end(crash);");
}
END_TEST

/* -- calls -- */

static void
ask_tag(struct plex_ctx *ctx, uint64_t tag)
{
    struct plex_msg answer;
    int status = plex_ask(ctx, b, tag, NULL, 0, 100, &answer);

    say("%s:ask=%d(%.*s%s);", me(ctx), status, (int)answer.len,
        (const char *)answer.payload, answer.reason);
}

static void
ask_b(struct plex_ctx *ctx)
{
    ask_tag(ctx, 21);
    ask_tag(ctx, 22);
}

static void
ask_b_unlucky(struct plex_ctx *ctx)
{
    ask_tag(ctx, 13);
    ask_tag(ctx, 21);
}

static void
ask_b_silent(struct plex_ctx *ctx)
{
    ask_tag(ctx, 14);
}

static void
call_b(struct plex_ctx *ctx)
{
    plex_call_ref(ctx, b, NULL, 0, 100, 1);
    plex_call_ref(ctx, b, NULL, 0, 100, 13);
    plex_call_ref(ctx, b, NULL, 0, 100, 2);
}

START_TEST(a_call_gets_its_answer)
{
    a = start(&doer, "a");
    b = start(&doer, "b");
    tell(a, ask_b);
    run_ms(1);
    ck_assert_str_eq(said, "b:call21;a:ask=0(42);b:call22;a:ask=0(44);");
}
END_TEST

START_TEST(a_call_to_one_that_crashes_says_why_and_to_nobody_too)
{
    a = start(&doer, "a");
    b = start(&doer, "b");
    tell(a, ask_b_unlucky);
    run_ms(1);
    ck_assert_str_eq(said, "b:call13;b:end(unlucky);a:ask=-16(unlucky);"
                           "a:ask=-2(noproc);");
}
END_TEST

START_TEST(a_call_that_is_never_answered_times_out)
{
    a = start(&doer, "a");
    b = start(&doer, "b");
    tell(a, ask_b_silent);
    run_ms(99);
    ck_assert_str_eq(said, "b:call14;");
    run_ms(2);
    ck_assert_str_eq(said, "b:call14;a:ask=-8();");
    rt_exit(rt, b, "kill"); /* owes an answer still */
    run_ms(1);
    ck_assert_str_eq(said, "b:call14;a:ask=-8();");
}
END_TEST

START_TEST(a_call_without_waiting_comes_back_as_a_reply)
{
    a = start(&doer, "a");
    b = start(&doer, "b");
    tell(a, call_b);
    run_ms(200);
    ck_assert(strstr(said, "b:call1;") != NULL);
    ck_assert(strstr(said, "a:reply1/02;") != NULL);
    ck_assert(strstr(said, "b:call13;b:end(unlucky);") != NULL);
    ck_assert(strstr(said, "a:reply13/1;a:reply2/1;") != NULL);
}
END_TEST

/* -- timers -- */

static void
timers_a(struct plex_ctx *ctx)
{
    struct doer *data = plex_data(ctx);

    plex_send_after(ctx, plex_self_ref(ctx), 30, 0, 3);
    plex_send_after(ctx, plex_self_ref(ctx), 10, 0, 1);
    data->number = plex_send_after(ctx, plex_self_ref(ctx), 20, 0, 2);
    plex_send_after(ctx, plex_self_ref(ctx), 15, 10, 9);
    plex_timer_set(ctx, "tea", 12, "milk", 4);
}

static void
cancel_a(struct plex_ctx *ctx)
{
    struct doer *data = plex_data(ctx);

    say("%d;", plex_cancel_timer(ctx, data->number));
}

START_TEST(timers_fire_in_order_and_can_be_cancelled)
{
    a = start(&doer, "a");
    tell(a, timers_a);
    run_ms(5);
    tell(a, cancel_a);
    run_ms(40);
    ck_assert_str_eq(said, "1;a:timer1;a:tea(milk);a:timer9;a:timer9;a:timer3;"
                           "a:timer9;a:timer9;");
    crash(a);
    run_ms(100);
    ck_assert_uint_eq(rt_due_ns(rt), UINT64_MAX);
}
END_TEST

/* -- starting -- */

static void
start_wait(struct plex_ctx *ctx)
{
    struct plex_spawn how = {
        .behaviour = &doer, .name = "kid", .link = true, .wait = true};
    struct plex_ref ref;
    int status = plex_spawn(ctx, &how, &ref);

    say("%d%s;", status, plex_ref_none(ref) ? "none" : "kid");
    how.args = "refuse";
    how.args_len = 7;
    say("%d;", plex_spawn(ctx, &how, &ref));
    how.name = NULL;
    status = plex_spawn(ctx, &how, &ref);
    say("%d%s;", status, plex_ref_none(ref) ? "none" : "kid");
}

START_TEST(a_start_that_waits_tells_how_init_went)
{
    struct rt_info info;

    a = start(&trapper, "a");
    tell(a, start_wait);
    run_ms(1);
    ck_assert_str_eq(said, "0kid;-3;-16none;");
    ck_assert_int_eq(rt_inspect(rt, a, &info), 0);
    ck_assert_uint_eq(info.links, 1);
    ck_assert_str_eq(info.name, "a");
}
END_TEST

static void
started(void *arg, int status, struct plex_ref ref, const char *reason)
{
    (void)arg;
    say("%d%s(%s);", status, plex_ref_none(ref) ? "none" : "ref", reason);
}

START_TEST(a_start_from_outside_can_wait_too)
{
    struct plex_spawn how = {.behaviour = &doer, .name = "x", .wait = true};
    struct plex_ref ref;

    rt_spawn(rt, (struct rt_where){"t", "n"}, &how, started, NULL, &ref);
    run_ms(1);
    how.name = NULL;
    how.args = "refuse";
    how.args_len = 7;
    rt_spawn(rt, (struct rt_where){"t", "n"}, &how, started, NULL, &ref);
    run_ms(1);
    ck_assert_str_eq(said, "0ref();-16none(will not);");
    ck_assert(!plex_ref_none(rt_whereis(rt, (struct rt_where){"t", "n"}, "x")));
}
END_TEST

static void
outside_answer(void *arg, int status, const struct plex_msg *answer)
{
    (void)arg;
    say("%d %.*s%s;", status, (int)answer->len, (const char *)answer->payload,
        answer->reason);
}

START_TEST(a_call_from_outside_gets_one_answer)
{
    struct plex_post post = {.kind = PLEX_MSG_CALL, .tag = 4};

    b = start(&doer, "b");
    rt_call(rt, b, &post, 50, outside_answer, NULL);
    run_ms(1);
    post.tag = 14;
    rt_call(rt, b, &post, 50, outside_answer, NULL);
    run_ms(60);
    ck_assert_str_eq(said, "b:call4;0 8;b:call14;-8 ;");
    rt_call(rt, b, &post, 50, outside_answer, NULL);
    rt_stop(rt);
    ck_assert_str_eq(said, "b:call4;0 8;b:call14;-8 ;-7 stopped;");
}
END_TEST

/* -- selective receive -- */

static bool
is_tag_2(void *arg, const struct plex_msg *msg)
{
    (void)arg;
    return msg->tag == 2;
}

static void
receive_2(struct plex_ctx *ctx)
{
    struct plex_msg msg;
    int status = plex_receive(ctx, is_tag_2, NULL, 50, &msg);

    say("got%d/%llu;", status, (unsigned long long)msg.tag);
    status = plex_receive(ctx, is_tag_2, NULL, 50, &msg);
    say("got%d;", status);
}

static void
send_tags(uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i <= to; i++) {
        const struct plex_post post = {.kind = PLEX_MSG_INFO, .tag = i};

        ck_assert_int_eq(rt_send(rt, a, &post), 0);
    }
}

START_TEST(a_selective_receive_leaves_the_others_in_order)
{
    a = start(&doer, "a");
    tell(a, receive_2);
    send_tags(1, 3);
    run_ms(100);
    ck_assert_str_eq(said, "got0/2;got-8;a:info1;a:info3;");
}
END_TEST

START_TEST(who_waits_can_be_killed)
{
    a = start(&doer, "a");
    b = start(&trapper, "b");
    tell(a, receive_2);
    run_ms(1);
    tell(b, monitor_b); /* of itself: nothing */
    rt_exit(rt, a, "boom");
    run_ms(100);
    ck_assert_str_eq(said, "");
    ck_assert(plex_ref_none(rt_whereis(rt, (struct rt_where){"t", "n"}, "a")));
}
END_TEST

/* -- mailboxes -- */

static struct plex_ref
start_boxed(struct plex_mailbox box)
{
    const struct plex_spawn how = {
        .behaviour = &doer, .name = "a", .mailbox = &box};
    struct plex_ref ref;

    ck_assert_int_eq(
        rt_spawn(rt, (struct rt_where){"t", "n"}, &how, NULL, NULL, &ref), 0);
    run_ms(1);
    return ref;
}

START_TEST(a_full_mailbox_does_as_it_is_told)
{
    const struct plex_post post = {.kind = PLEX_MSG_INFO, .tag = 9};

    a = start_boxed((struct plex_mailbox){2, PLEX_OVERFLOW_DROP_OLDEST, 0, 0});
    send_tags(1, 4);
    run_ms(1);
    ck_assert_str_eq(said, "a:info3;a:info4;");
    rt_exit(rt, a, "kill");
    run_ms(1);
    a = start_boxed((struct plex_mailbox){2, PLEX_OVERFLOW_DROP_NEWEST, 0, 0});
    send_tags(5, 8);
    run_ms(1);
    ck_assert_str_eq(said, "a:info3;a:info4;a:info5;a:info6;");
    rt_exit(rt, a, "kill");
    run_ms(1);
    a = start_boxed((struct plex_mailbox){2, PLEX_OVERFLOW_ERROR, 0, 0});
    send_tags(1, 2);
    ck_assert_int_eq(rt_send(rt, a, &post), -PLEX_LIMIT);
    run_ms(1);
    ck_assert_int_eq(rt_send(rt, a, &post), 0);
}
END_TEST

static void
flood_a(struct plex_ctx *ctx)
{
    int status[6];

    for (uint64_t i = 0; i < 6; i++) {
        const struct plex_post post = {.kind = PLEX_MSG_INFO, .tag = i};

        status[i] = plex_post(ctx, a, &post);
    }
    say("sent");
    for (int i = 0; i < 6; i++)
        say("%d", status[i]);
    say(";");
}

static void
nap(struct plex_ctx *ctx)
{
    plex_sleep(ctx, 60000);
}

START_TEST(a_sender_waits_for_room)
{
    a = start_boxed((struct plex_mailbox){2, PLEX_OVERFLOW_BLOCK, 0, 0});
    b = start(&doer, "b");
    tell(b, flood_a);
    run_ms(1);
    ck_assert(strstr(said, "sent000000;") != NULL);
    ck_assert(strstr(said, "a:info5;") != NULL);
    said[0] = '\0';
    tell(a, nap);
    run_ms(1);
    tell(b, flood_a);
    run_ms(19000);
    ck_assert(strstr(said, "sent") == NULL);
    run_ms(2000); /* the first two had room, the others waited 5 s each */
    ck_assert_str_eq(said, "sent00-8-8-8-8;");
}
END_TEST

START_TEST(bands_go_first_and_duplicates_never)
{
    a = start_boxed((struct plex_mailbox){0, 0, true, 8});
    for (uint64_t i = 0; i < 4; i++) {
        const struct plex_post post = {.kind = PLEX_MSG_INFO,
                                       .tag = i,
                                       .priority = (uint32_t)i,
                                       .id = 100 + i / 3};

        ck_assert_int_eq(rt_send(rt, a, &post), 0);
        ck_assert_int_eq(rt_send(rt, a, &post), 0);
    }
    run_ms(1);
    ck_assert_str_eq(said, "a:info3;a:info0;");
}
END_TEST

START_TEST(what_is_too_old_is_not_handled)
{
    const struct plex_post post = {
        .kind = PLEX_MSG_INFO, .tag = 1, .ttl_ms = 10};

    a = start(&doer, "a");
    tell(a, receive_2);
    run_ms(1);
    ck_assert_int_eq(rt_send(rt, a, &post), 0);
    run_ms(200);
    ck_assert_str_eq(said, "got-8/0;got-8;");
}
END_TEST

static int releases;

static void
released(void *payload, size_t len)
{
    ck_assert_uint_eq(len, 100);
    releases++;
    free(payload);
}

START_TEST(a_payload_handed_over_is_released_once)
{
    for (int i = 0; i < 3; i++) {
        const struct plex_post post = {.kind = PLEX_MSG_INFO,
                                       .payload = calloc(1, 100),
                                       .len = 100,
                                       .release = released};

        if (i == 0)
            a = start(&doer, "a");
        ck_assert_int_eq(rt_send(rt, a, &post), 0);
        if (i == 1)
            crash(a);
        run_ms(1);
    }
    ck_assert_int_eq(releases, 3);
}
END_TEST

/* -- becoming, forwarding, groups, names -- */

static int
other_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    say("other%llu;", (unsigned long long)msg->tag);
    say("%d;", plex_unbecome(ctx));
    return 0;
}

static const struct plex_behaviour other = {.name = "other",
                                            .handle_info = other_info};

static void
become_other(struct plex_ctx *ctx)
{
    say("%d;", plex_become(ctx, &other));
}

START_TEST(become_and_unbecome)
{
    a = start(&doer, "a");
    tell(a, become_other);
    send_tags(1, 2);
    run_ms(1);
    ck_assert_str_eq(said, "0;other1;0;a:info2;");
}
END_TEST

static void
set_peer_a(struct plex_ctx *ctx)
{
    ((struct doer *)plex_data(ctx))->peer = a;
}

static void
ask_forwarded(struct plex_ctx *ctx)
{
    ask_tag(ctx, 15);
}

static int
echo_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    plex_reply(ctx, "text/plain", msg->tag == 15 ? "fifteen" : "???????", 7);
    return 0;
}

static const struct plex_behaviour echo = {.name = "echo",
                                           .handle_call = echo_call};

START_TEST(a_forwarded_call_is_answered_by_who_got_it)
{
    struct plex_ref c = start(&doer, "c");

    a = start(&echo, "a");
    b = start(&doer, "b");
    tell(b, set_peer_a);
    tell(c, ask_forwarded);
    run_ms(1);
    ck_assert_str_eq(said, "b:call15;c:ask=0(fifteen);");
}
END_TEST

static void
join(struct plex_ctx *ctx)
{
    say("%d;", plex_group_join(ctx, "g"));
}

static void
watch_group(struct plex_ctx *ctx)
{
    say("%d;", plex_group_monitor(ctx, "g", true));
}

static void
publish(struct plex_ctx *ctx)
{
    struct plex_ref members[4];

    say("%zu", plex_group_members(ctx, "g", false, members, 4));
    say("/%zu;", plex_group_publish(ctx, "g", 5, NULL, 0));
}

START_TEST(groups_have_members_and_watchers)
{
    a = start(&trapper, "a");
    b = start(&doer, "b");
    tell(a, watch_group);
    run_ms(1);
    tell(b, join);
    run_ms(1);
    ck_assert_str_eq(said, "0;0;a:group1;");
    tell(a, publish);
    run_ms(1);
    ck_assert_str_eq(said, "0;0;a:group1;1/1;b:cast5;");
    crash(b);
    run_ms(1);
    tell(a, publish);
    run_ms(1);
    ck_assert_str_eq(said, "0;0;a:group1;1/1;b:cast5;b:end(crash);a:group0;"
                           "0/0;");
}
END_TEST

static Suite *
suite(void)
{
    Suite *s = suite_create("process");
    TCase *c = tcase_create("core");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, the_crash_of_one_is_the_end_of_who_is_linked);
    tcase_add_test(c, who_traps_exits_gets_a_message);
    tcase_add_test(c, linking_to_nobody_is_noproc);
    tcase_add_test(c, unlink_is_final);
    tcase_add_test(c, kill_cannot_be_trapped_and_arrives_as_killed);
    tcase_add_test(c, an_exit_signal_normal_is_ignored_unless_sent_to_oneself);
    tcase_add_test(c, a_monitor_gives_one_down);
    tcase_add_test(c, demonitor_is_final);
    tcase_add_test(c, a_call_gets_its_answer);
    tcase_add_test(c, a_call_to_one_that_crashes_says_why_and_to_nobody_too);
    tcase_add_test(c, a_call_that_is_never_answered_times_out);
    tcase_add_test(c, a_call_without_waiting_comes_back_as_a_reply);
    tcase_add_test(c, timers_fire_in_order_and_can_be_cancelled);
    tcase_add_test(c, a_start_that_waits_tells_how_init_went);
    tcase_add_test(c, a_start_from_outside_can_wait_too);
    tcase_add_test(c, a_call_from_outside_gets_one_answer);
    tcase_add_test(c, a_selective_receive_leaves_the_others_in_order);
    tcase_add_test(c, who_waits_can_be_killed);
    tcase_add_test(c, a_full_mailbox_does_as_it_is_told);
    tcase_add_test(c, a_sender_waits_for_room);
    tcase_add_test(c, bands_go_first_and_duplicates_never);
    tcase_add_test(c, what_is_too_old_is_not_handled);
    tcase_add_test(c, a_payload_handed_over_is_released_once);
    tcase_add_test(c, become_and_unbecome);
    tcase_add_test(c, a_forwarded_call_is_answered_by_who_got_it);
    tcase_add_test(c, groups_have_members_and_watchers);
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
