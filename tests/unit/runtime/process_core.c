#include "tests/unit/runtime/doer.h"

/* Starting and ending, links, monitors, calls. */

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

static bool
never(void *arg, const struct plex_msg *msg)
{
    (void)arg, (void)msg;
    return false;
}

static void
wait_long(struct plex_ctx *ctx)
{
    struct plex_msg msg;

    say("%d;", plex_receive(ctx, never, NULL, 10, &msg));
}

START_TEST(more_waiting_callbacks_than_stacks_are_refused)
{
    teardown();
    setup_with((struct rt_config){.seed = 1, .waiting_max = 3});
    for (int i = 0; i < 6; i++)
        tell(start(&doer, NULL), wait_long);
    run_ms(5);
    ck_assert_str_eq(said, "-6;-6;-6;");
    run_ms(10);
    ck_assert_str_eq(said, "-6;-6;-6;-8;-8;-8;");
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("process");
    TCase *c = tcase_create("process");

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
    tcase_add_test(c, a_start_that_waits_tells_how_init_went);
    tcase_add_test(c, a_start_from_outside_can_wait_too);
    tcase_add_test(c, a_call_from_outside_gets_one_answer);
    tcase_add_test(c, more_waiting_callbacks_than_stacks_are_refused);
    suite_add_tcase(s, c);
    return play(s);
}
