#include "tests/unit/runtime/nodes.h"

/* -- the tests -- */

static void
link_and_crash(struct plex_ctx *ctx)
{
    plex_link(ctx, node_b);
    plex_send(ctx, node_b, TAG_STOP, NULL, 0);
}

START_TEST(a_link_between_nodes_carries_the_exit)
{
    node_tell(0, node_a, link_and_crash);
    node_run_ms(1);
    ck_assert_str_eq(node_said, "a:exit0crash;");
}
END_TEST

static void
unlink_after_crash(struct plex_ctx *ctx)
{
    link_and_crash(ctx);
    plex_unlink(ctx, node_b);
}

START_TEST(unlinking_is_final_between_nodes)
{
    node_tell(0, node_a, unlink_after_crash);
    node_run_ms(1);
    ck_assert_str_eq(node_said, "");
}
END_TEST

static void
monitor_b(struct plex_ctx *ctx)
{
    (void)plex_monitor(ctx, node_b);
}

static void
link_b(struct plex_ctx *ctx)
{
    plex_link(ctx, node_b);
}

START_TEST(a_monitor_between_nodes_gives_down)
{
    node_tell(0, node_a, monitor_b);
    node_run_ms(1);
    rt_exit(node_rt[1], node_b, "kill");
    node_run_ms(1);
    node_tell(0, node_a, monitor_b);
    node_run_ms(1);
    ck_assert_str_eq(node_said, "a:down0killed;a:down0noproc;");
}
END_TEST

static void
ask_n2(struct plex_ctx *ctx)
{
    struct plex_msg answer;
    int status =
        plex_ask(ctx, plex_whereis(ctx, "b@n2"), 4, NULL, 0, 0, &answer);

    node_say("ask%d(%.*s);", status, (int)answer.len,
             (const char *)answer.payload);
    status = plex_ask(ctx, plex_whereis(ctx, "c@n2"), 4, NULL, 0, 0, &answer);
    node_say("ask%d;", status);
    status = plex_ask(ctx, node_b, 14, NULL, 0, 0, &answer);
    node_say("ask%d%s;", status, answer.reason);
}

START_TEST(calls_go_to_names_on_other_nodes_and_end_with_the_node)
{
    node_tell(0, node_a, ask_n2);
    node_run_ms(1);
    ck_assert_str_eq(node_said, "ask0(8);ask-2;");
    node_down();
    ck_assert_str_eq(node_said, "ask0(8);ask-2;ask-7noconnection;");
}
END_TEST

START_TEST(the_loss_of_a_node_is_noconnection)
{
    node_tell(0, node_a, monitor_b);
    node_tell(0, node_a, link_b);
    node_run_ms(1);
    node_down();
    ck_assert(strstr(node_said, "a:down0noconnection;") != NULL);
    ck_assert(strstr(node_said, "a:exit0noconnection;") != NULL);
    node_said[0] = '\0';
    node_tell(0, node_a, link_b);
    node_run_ms(1);
    ck_assert_str_eq(node_said, "a:exit0noconnection;");
}
END_TEST

static void
spawn_there(struct plex_ctx *ctx)
{
    struct plex_spawn how = {.behaviour = &node_doer,
                             .node = "n2",
                             .name = "kid",
                             .link = true,
                             .wait = true};
    struct plex_ref ref;
    int status = plex_spawn(ctx, &how, &ref);

    node_say("spawn%d/%llu;", status, (unsigned long long)ref.node);
    node_b = ref;
    how.name = NULL;
    how.args = "no";
    how.args_len = 2;
    node_say("spawn%d;", plex_spawn(ctx, &how, &ref));
}

START_TEST(a_process_started_on_another_node_is_linked)
{
    node_tell(0, node_a, spawn_there);
    node_run_ms(1);
    ck_assert_str_eq(node_said, "spawn0/2;spawn-16;");
    rt_exit(node_rt[1], node_b, "kill");
    node_run_ms(1);
    ck_assert_str_eq(node_said, "spawn0/2;spawn-16;a:exit0killed;");
}
END_TEST

START_TEST(the_end_of_who_started_it_ends_a_process_elsewhere)
{
    node_tell(0, node_a, spawn_there);
    node_run_ms(1);
    ck_assert(!plex_ref_none(rt_whereis(node_rt[1], node_where, "kid")));
    rt_exit(node_rt[0], node_a, "kill");
    node_run_ms(1);
    ck_assert(plex_ref_none(rt_whereis(node_rt[1], node_where, "kid")));
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

    node_say("%zu,%zu,", plex_group_members(ctx, "g", false, members, 4),
             plex_group_members(ctx, "g", true, members, 4));
    node_say("%zu;", plex_group_publish(ctx, "g", 9, NULL, 0));
}

static void
announce(void *arg, const struct rt_signal *signal)
{
    (void)arg;
    node_say("+%s;", signal->text);
}

START_TEST(groups_reach_over_nodes)
{
    node_tell(0, node_a, watch);
    node_run_ms(1);
    node_tell(1, node_b, join);
    node_tell(0, node_a, join);
    node_run_ms(1);
    node_tell(0, node_a, publish);
    node_run_ms(1);
    ck_assert(strstr(node_said, "2,1,2;") != NULL);
    ck_assert(strstr(node_said, "b:cast9;") != NULL);
    ck_assert(strstr(node_said, "a:cast9;") != NULL);
    node_said[0] = '\0';
    rt_groups_announce(node_rt[1], announce, NULL);
    ck_assert_str_eq(node_said, "+g;");
    node_down();
    node_tell(0, node_a, publish);
    node_run_ms(1);
    ck_assert_str_eq(node_said, "+g;a:group0;1,1,1;a:cast9;");
}
END_TEST

static void
busy(struct plex_ctx *ctx)
{
    plex_sleep(ctx, 20);
}

static void
send_aging(struct plex_ctx *ctx)
{
    const uint64_t ttls[] = {10, 0, 100};
    struct plex_post post = {.kind = PLEX_MSG_INFO};

    for (size_t i = 0; i < 3; i++) {
        post.tag = i;
        post.ttl_ms = ttls[i];
        ck_assert_int_eq(plex_post(ctx, node_b, &post), 0);
    }
}

START_TEST(what_is_too_old_is_not_handled_on_another_node_either)
{
    node_tell(1, node_b, busy);
    node_run_ms(1);
    node_tell(0, node_a, send_aging);
    node_run_ms(30);
    ck_assert_str_eq(node_said, "b:info1;b:info2;");
}
END_TEST

static void
send_twice(struct plex_ctx *ctx)
{
    struct plex_post post = {.kind = PLEX_MSG_CAST, .tag = 1, .id = 77};

    (void)plex_post(ctx, plex_whereis(ctx, "once@n2"), &post);
    post.tag = 2;
    (void)plex_post(ctx, plex_whereis(ctx, "once@n2"), &post);
    post.id = 78;
    (void)plex_post(ctx, plex_whereis(ctx, "once@n2"), &post);
}

START_TEST(ids_are_remembered_for_senders_of_another_node)
{
    const struct plex_mailbox mailbox = {.dedup = 8};
    const struct plex_spawn how = {
        .behaviour = &node_doer, .name = "once", .mailbox = &mailbox};

    ck_assert_int_eq(rt_spawn(node_rt[1], node_where, &how, NULL, NULL, NULL),
                     0);
    node_tell(0, node_a, send_twice);
    node_run_ms(1);
    ck_assert_str_eq(node_said, "once:cast1;once:cast2;");
}
END_TEST

static void
fill(struct plex_ctx *ctx)
{
    struct plex_msg answer;

    for (uint64_t i = 0; i < 4; i++)
        plex_cast_ref(ctx, plex_whereis(ctx, "small@n2"), i, NULL, 0);
    node_say("ask%d;", plex_ask(ctx, plex_whereis(ctx, "small@n2"), 9, NULL, 0,
                                0, &answer));
}

START_TEST(a_full_mailbox_is_full_for_senders_of_another_node)
{
    static const enum plex_overflow full[] = {
        PLEX_OVERFLOW_BLOCK, PLEX_OVERFLOW_ERROR, PLEX_OVERFLOW_DROP_NEWEST,
        PLEX_OVERFLOW_DROP_OLDEST};
    /* Nobody can wait there: a call is refused. */
    static const char *const want[] = {
        "ask-6;small:cast0;small:cast1;", "ask-6;small:cast0;small:cast1;",
        "small:cast0;small:cast1;ask-8;", "small:cast3;ask0;"};

    for (size_t i = 0; i < 4; i++) {
        const struct plex_mailbox mailbox = {.max = 2, .full = full[i]};
        const struct plex_spawn how = {
            .behaviour = &node_doer, .name = "small", .mailbox = &mailbox};
        struct plex_ref small;

        node_said[0] = '\0';
        ck_assert_int_eq(
            rt_spawn(node_rt[1], node_where, &how, NULL, NULL, &small), 0);
        node_run_ms(0);
        node_tell(1, small, busy);
        node_run_ms(0);
        node_tell(0, node_a, fill);
        node_run_ms(6000);
        ck_assert_str_eq(node_said, want[i]);
        rt_exit(node_rt[1], small, "kill");
        node_run_ms(1);
    }
}
END_TEST

static void
leave(struct plex_ctx *ctx)
{
    (void)plex_group_leave(ctx, "g");
}

START_TEST(members_of_another_node_leave_and_end)
{
    const struct plex_ref c = node_start(1, "c");

    node_tell(0, node_a, watch);
    node_run_ms(1);
    node_tell(1, node_b, join);
    node_tell(1, c, join);
    node_run_ms(1);
    ck_assert_str_eq(node_said, "a:group1;a:group1;");
    node_tell(1, node_b, leave);
    node_run_ms(1);
    rt_exit(node_rt[1], c, "kill");
    node_run_ms(1);
    ck_assert_str_eq(node_said, "a:group1;a:group1;a:group0;a:group0;");
    node_said[0] = '\0';
    node_tell(0, node_a, publish);
    node_run_ms(1);
    ck_assert_str_eq(node_said, "0,0,0;");
}
END_TEST

static void
asked(void *arg, int status)
{
    (void)arg;
    node_say("asked%d;", status);
}

START_TEST(others_can_make_a_process_join_and_leave_and_look_at_groups)
{
    const struct plex_ref nobody = {node_b.node, 999};
    struct rt_member_info members[4];
    struct rt_group_info groups[4];
    bool more;

    rt_group_ask(node_rt[1], node_b, "g", true, asked, NULL);
    rt_group_ask(node_rt[1], node_b, "g", true, asked, NULL);
    rt_group_ask(node_rt[0], node_a, "g", true, asked, NULL);
    rt_group_ask(node_rt[0], node_a, "f", true, asked, NULL);
    rt_group_ask(node_rt[1], nobody, "g", true, asked, NULL);
    rt_group_ask(node_rt[1], node_b, "h", false, asked, NULL);
    rt_group_ask(node_rt[1], node_b, "", true, asked, NULL);
    node_run_ms(1);
    ck_assert_uint_eq(strlen(node_said), strlen("asked0;") * 4 +
                                             strlen("asked-2;") * 2 +
                                             strlen("asked-1;"));
    ck_assert_uint_eq(rt_group_look(node_rt[0], node_where, "g", members, 4),
                      2);
    ck_assert(plex_ref_is(members[0].ref, node_a));
    ck_assert_uint_eq(members[0].joined, 1);
    ck_assert(plex_ref_is(members[1].ref, node_b));
    ck_assert_uint_eq(members[1].joined, 2);
    ck_assert_uint_eq(
        rt_group_list(node_rt[1], node_where, "", "", groups, 1, &more), 1);
    ck_assert(more);
    ck_assert_str_eq(groups[0].name, "f");
    ck_assert_uint_eq(
        rt_group_list(node_rt[1], node_where, "", "f", groups, 4, &more), 1);
    ck_assert(!more);
    ck_assert_str_eq(groups[0].name, "g");
    ck_assert_uint_eq(groups[0].members, 2);
    ck_assert_uint_eq(groups[0].local, 1);
    rt_group_ask(node_rt[1], node_b, "g", false, asked, NULL);
    node_run_ms(1);
    ck_assert_uint_eq(rt_group_look(node_rt[0], node_where, "g", members, 4),
                      2);
    /* What it was made to join it leaves when it ends, like its own. */
    rt_exit(node_rt[1], node_b, "kill");
    node_run_ms(1);
    ck_assert_uint_eq(rt_group_look(node_rt[0], node_where, "g", members, 4),
                      1);
    ck_assert_uint_eq(rt_group_look(node_rt[1], node_where, "g", members, 4),
                      1);
}
END_TEST

static int
name_type(struct plex_ctx *ctx, const void *args, size_t len)
{
    const char *type = "";

    (void)args, (void)len;
    (void)plex_self(ctx, NULL, NULL, &type);
    node_say("%s;", type);
    (void)plex_self(ctx, NULL, NULL, &type);
    node_say("%s;", type);
    return 0;
}

START_TEST(who_was_started_from_afar_knows_its_type_by_the_short_name)
{
    static const struct plex_behaviour far = {.name = "guest=room/guest",
                                              .init = name_type};
    static const struct plex_behaviour near = {.name = "guest",
                                               .init = name_type};
    const struct plex_spawn one = {.behaviour = &far};
    const struct plex_spawn two = {.behaviour = &near};

    ck_assert_int_eq(rt_spawn(node_rt[0], node_where, &one, NULL, NULL, NULL),
                     0);
    ck_assert_int_eq(rt_spawn(node_rt[0], node_where, &two, NULL, NULL, NULL),
                     0);
    node_run_ms(1);
    ck_assert_str_eq(node_said, "guest;guest;guest;guest;");
}
END_TEST

static Suite *
suite(void)
{
    Suite *s = suite_create("remote");
    TCase *c = tcase_create("two nodes");

    tcase_add_checked_fixture(c, node_setup, node_teardown);
    tcase_add_test(c, a_link_between_nodes_carries_the_exit);
    tcase_add_test(c, unlinking_is_final_between_nodes);
    tcase_add_test(c, a_monitor_between_nodes_gives_down);
    tcase_add_test(c, calls_go_to_names_on_other_nodes_and_end_with_the_node);
    tcase_add_test(c, the_loss_of_a_node_is_noconnection);
    tcase_add_test(c, a_process_started_on_another_node_is_linked);
    tcase_add_test(c, the_end_of_who_started_it_ends_a_process_elsewhere);
    tcase_add_test(c, groups_reach_over_nodes);
    tcase_add_test(c,
                   others_can_make_a_process_join_and_leave_and_look_at_groups);
    tcase_add_test(c,
                   who_was_started_from_afar_knows_its_type_by_the_short_name);
    tcase_add_test(c, members_of_another_node_leave_and_end);
    tcase_add_test(c, what_is_too_old_is_not_handled_on_another_node_either);
    tcase_add_test(c, ids_are_remembered_for_senders_of_another_node);
    tcase_add_test(c, a_full_mailbox_is_full_for_senders_of_another_node);
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
