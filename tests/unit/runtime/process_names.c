#include "tests/unit/runtime/nodes.h"

/* Links and monitors to "name@node". */

static uint64_t monitor;
static struct plex_ref third;

static void
link_name(struct plex_ctx *ctx)
{
    plex_link(ctx, plex_whereis(ctx, "b@n2"));
}

static void
unlink_name(struct plex_ctx *ctx)
{
    plex_unlink(ctx, plex_whereis(ctx, "b@n2"));
}

static void
monitor_name(struct plex_ctx *ctx)
{
    monitor = plex_monitor(ctx, plex_whereis(ctx, "b@n2"));
}

static void
demonitor(struct plex_ctx *ctx)
{
    plex_demonitor(ctx, monitor);
}

static void
crash(struct plex_ctx *ctx)
{
    (void)plex_fail(ctx, "crash");
}

static void
told(node_deed_fn deed)
{
    node_tell(0, node_a, deed);
    node_run_ms(1);
}

static void
b_crashes(void)
{
    node_tell(1, node_b, crash);
    node_run_ms(1);
}

START_TEST(the_reason_of_who_has_the_name_comes_through_the_link)
{
    told(link_name);
    b_crashes();
    ck_assert_str_eq(node_said, "a:exit0crash;");
}
END_TEST

START_TEST(and_the_reason_of_who_linked_goes_the_other_way)
{
    told(link_name);
    node_tell(0, node_a, crash);
    node_run_ms(1);
    ck_assert_str_eq(node_said, "b:exit0crash;");
}
END_TEST

static void
link_and_crash(struct plex_ctx *ctx)
{
    link_name(ctx);
    crash(ctx);
}

START_TEST(also_when_it_ends_before_it_hears_who_has_the_name)
{
    told(link_and_crash);
    ck_assert_str_eq(node_said, "b:exit0crash;");
}
END_TEST

static void
link_and_kill(struct plex_ctx *ctx)
{
    link_name(ctx);
    plex_exit(ctx, plex_whereis(ctx, "b@n2"), "kill");
}

START_TEST(what_follows_the_link_at_once_counts)
{
    told(link_and_kill);
    ck_assert_str_eq(node_said, "a:exit0killed;");
}
END_TEST

static void
nobodies(struct plex_ctx *ctx)
{
    plex_link(ctx, plex_whereis(ctx, "nobody@n2"));
    (void)plex_monitor(ctx, plex_whereis(ctx, "nobody@n2"));
    plex_link(ctx, plex_whereis(ctx, "nobody"));
    (void)plex_monitor(ctx, plex_whereis(ctx, "nobody"));
    plex_link(ctx, plex_whereis(ctx, "nobody@n1"));
}

START_TEST(nobody_of_that_name_is_noproc)
{
    told(nobodies);
    ck_assert_str_eq(node_said, "a:exit0noproc;a:down0noproc;a:exit0noproc;"
                                "a:exit0noproc;a:down0noproc;");
}
END_TEST

static void
nowhere(struct plex_ctx *ctx)
{
    plex_link(ctx, plex_whereis(ctx, "b@x9"));
    (void)plex_monitor(ctx, plex_whereis(ctx, "b@x9"));
}

START_TEST(a_node_that_is_not_known_is_noconnection)
{
    told(nowhere);
    ck_assert_str_eq(node_said, "a:exit0noconnection;a:down0noconnection;");
}
END_TEST

static void
both(struct plex_ctx *ctx)
{
    link_name(ctx);
    monitor_name(ctx);
}

START_TEST(the_loss_of_its_node_is_noconnection)
{
    told(both);
    node_down();
    ck_assert(strstr(node_said, "a:exit0noconnection;") != NULL);
    ck_assert(strstr(node_said, "a:down0noconnection;") != NULL);
    ck_assert_uint_eq(strlen(node_said),
                      strlen("a:exit0noconnection;a:down0noconnection;"));
}
END_TEST

static bool
lose_found(const struct rt_signal *signal)
{
    return signal->kind == RT_FOUND;
}

START_TEST(also_when_nobody_has_said_yet_who_has_the_name)
{
    node_lose = lose_found;
    told(both);
    node_down();
    ck_assert(strstr(node_said, "a:exit0noconnection;") != NULL);
    ck_assert(strstr(node_said, "a:down0noconnection;") != NULL);
}
END_TEST

START_TEST(the_loss_of_another_node_is_nothing)
{
    node_lose = lose_found;
    told(both);
    rt_node_down(node_rt[0], 3, "n3");
    node_run_ms(1);
    ck_assert_str_eq(node_said, "");
}
END_TEST

START_TEST(who_monitors_a_name_hears_how_it_ended)
{
    told(monitor_name);
    rt_exit(node_rt[1], node_b, "kill");
    node_run_ms(1);
    ck_assert_str_eq(node_said, "a:down0killed;");
}
END_TEST

static void
forget_name(struct plex_ctx *ctx)
{
    (void)plex_unregister(ctx, "b");
}

START_TEST(the_monitor_stays_with_who_had_the_name)
{
    told(monitor_name);
    node_tell(1, node_b, forget_name);
    node_run_ms(1);
    third = node_start(1, "b");
    node_run_ms(1);
    rt_exit(node_rt[1], third, "kill");
    node_run_ms(1);
    ck_assert_str_eq(node_said, "");
    rt_exit(node_rt[1], node_b, "kill");
    node_run_ms(1);
    ck_assert_str_eq(node_said, "a:down0killed;");
}
END_TEST

START_TEST(who_has_demonitored_hears_nothing)
{
    told(monitor_name);
    told(demonitor);
    b_crashes();
    ck_assert_str_eq(node_said, "");
}
END_TEST

static void
monitor_and_not(struct plex_ctx *ctx)
{
    monitor_name(ctx);
    demonitor(ctx);
}

START_TEST(nor_who_did_so_before_it_heard_who_has_the_name)
{
    told(monitor_and_not);
    b_crashes();
    ck_assert_str_eq(node_said, "");
}
END_TEST

START_TEST(unlinking_by_the_name_is_final)
{
    told(link_name);
    told(unlink_name);
    b_crashes();
    ck_assert_str_eq(node_said, "");
}
END_TEST

static void
link_and_not(struct plex_ctx *ctx)
{
    link_name(ctx);
    unlink_name(ctx);
}

START_TEST(also_before_it_was_heard_who_has_the_name)
{
    told(link_and_not);
    b_crashes();
    ck_assert_str_eq(node_said, "");
}
END_TEST

static void
link_not_and_yes(struct plex_ctx *ctx)
{
    link_name(ctx);
    unlink_name(ctx);
    link_name(ctx);
}

START_TEST(linked_again_it_is_linked)
{
    told(link_not_and_yes);
    b_crashes();
    ck_assert_str_eq(node_said, "a:exit0crash;");
    told(link_and_not); /* nobody has the name */
    told(link_not_and_yes);
    ck_assert_str_eq(node_said, "a:exit0crash;a:exit0noproc;");
}
END_TEST

static void
link_twice_unlink_name(struct plex_ctx *ctx)
{
    link_name(ctx);
    unlink_name(ctx);
    plex_link(ctx, node_b);
}

START_TEST(a_link_by_ref_outlives_one_by_name)
{
    told(link_twice_unlink_name);
    b_crashes();
    ck_assert_str_eq(node_said, "a:exit0crash;");
}
END_TEST

static void
links_nobody(struct plex_ctx *ctx)
{
    plex_trap_exit(ctx, false);
    plex_link(ctx, plex_whereis(ctx, "nobody@n2"));
}

START_TEST(who_does_not_trap_ends_with_noproc)
{
    node_tell(1, node_b, monitor_name); /* itself, by name: of b, on n2 */
    node_run_ms(1);
    told(link_name);
    told(links_nobody);
    ck_assert_str_eq(node_said, "b:exit0noproc;");
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("names");
    TCase *c = tcase_create("name@node");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(c, node_setup, node_teardown);
    tcase_add_test(c, the_reason_of_who_has_the_name_comes_through_the_link);
    tcase_add_test(c, and_the_reason_of_who_linked_goes_the_other_way);
    tcase_add_test(c, also_when_it_ends_before_it_hears_who_has_the_name);
    tcase_add_test(c, what_follows_the_link_at_once_counts);
    tcase_add_test(c, nobody_of_that_name_is_noproc);
    tcase_add_test(c, a_node_that_is_not_known_is_noconnection);
    tcase_add_test(c, the_loss_of_its_node_is_noconnection);
    tcase_add_test(c, also_when_nobody_has_said_yet_who_has_the_name);
    tcase_add_test(c, the_loss_of_another_node_is_nothing);
    tcase_add_test(c, who_monitors_a_name_hears_how_it_ended);
    tcase_add_test(c, the_monitor_stays_with_who_had_the_name);
    tcase_add_test(c, who_has_demonitored_hears_nothing);
    tcase_add_test(c, nor_who_did_so_before_it_heard_who_has_the_name);
    tcase_add_test(c, unlinking_by_the_name_is_final);
    tcase_add_test(c, also_before_it_was_heard_who_has_the_name);
    tcase_add_test(c, linked_again_it_is_linked);
    tcase_add_test(c, a_link_by_ref_outlives_one_by_name);
    tcase_add_test(c, who_does_not_trap_ends_with_noproc);
    suite_add_tcase(s, c);
    runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
