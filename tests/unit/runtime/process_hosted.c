#include "runtime/hosted.h"
#include "sdk/c/include/plexspaces/process.h"

#include <check.h>
#include <string.h>

/* Links and monitors to a name that the host resolves, here to a process of
 * the same runtime; and ends that cannot be trapped. */

static struct rt *rt;
static uint64_t now;
static char said[1024];
static struct rt_signal asked; /* the newest signal to the name */
static struct plex_ref watcher, target;
static uint64_t monitor;
static const struct rt_where where = {"t", "n"};

static bool
on_remote(void *arg, const struct rt_signal *signal)
{
    (void)arg;
    ck_assert_str_eq(signal->name, "box/a");
    asked = *signal;
    return true;
}

static int
watcher_cast(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const struct plex_ref box = plex_whereis(ctx, "box/a");

    if (msg->tag == 'm')
        monitor = plex_monitor(ctx, box);
    else if (msg->tag == 'd')
        plex_demonitor(ctx, monitor);
    else if (msg->tag == 'l')
        plex_link(ctx, box);
    else
        plex_unlink(ctx, box);
    return 0;
}

static int
watcher_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    (void)ctx;
    (void)strcat(said, msg->kind == PLEX_MSG_DOWN ? "down " : "exit ");
    (void)strcat(strcat(said, msg->reason), "\n");
    return 0;
}

static const struct plex_behaviour watching = {
    .name = "watcher",
    .handle_cast = watcher_cast,
    .handle_info = watcher_info,
    .trap_exit = true,
};

static int
target_cast(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    (void)msg;
    plex_sleep(ctx, UINT64_MAX / 2000000);
    return 0;
}

static const struct plex_behaviour trapping = {
    .name = "target", .handle_cast = target_cast, .trap_exit = true};

static void
run(void)
{
    while (rt_step(rt, ++now, 1, 1000) > 0)
        ;
}

static void
tell(struct plex_ref to, uint64_t tag)
{
    const struct plex_post post = {.kind = PLEX_MSG_CAST, .tag = tag};

    ck_assert_int_eq(rt_send(rt, to, &post), 0);
    run();
}

static void
setup(void)
{
    const struct rt_config config = {
        .node = 1, .node_id = "n1", .on_remote = on_remote};
    const struct plex_spawn a = {.behaviour = &watching};
    const struct plex_spawn b = {.behaviour = &trapping};
    struct plex_err err;

    ck_assert_int_eq(rt_create(&config, &rt, &err), PLEX_OK);
    ck_assert_int_eq(rt_spawn(rt, where, &a, NULL, NULL, &watcher), 0);
    ck_assert_int_eq(rt_spawn(rt, where, &b, NULL, NULL, &target), 0);
    said[0] = '\0';
    asked = (struct rt_signal){0};
    run();
}

static void
teardown(void)
{
    rt_stop(rt);
    rt_free(rt);
}

static void
found(uint64_t number)
{
    rt_name_found(rt, &(struct rt_found){.watcher = watcher,
                                         .where = where,
                                         .name = "box/a",
                                         .found = target,
                                         .monitor = number});
    run();
}

START_TEST(who_monitors_a_name_hears_of_the_process_behind_it)
{
    tell(watcher, 'm');
    ck_assert_int_eq(asked.kind, RT_MONITOR);
    found(asked.call);
    ck_assert_str_eq(said, "");
    rt_end(rt, target, "moved");
    run();
    ck_assert_str_eq(said, "down moved\n");
}
END_TEST

START_TEST(who_has_demonitored_a_name_meanwhile_hears_nothing)
{
    tell(watcher, 'm');
    tell(watcher, 'd');
    found(monitor);
    rt_end(rt, target, "moved");
    run();
    ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(a_link_to_a_name_is_a_link_to_the_process_behind_it)
{
    tell(watcher, 'l');
    ck_assert_int_eq(asked.kind, RT_LINK);
    found(0);
    rt_end(rt, target, "dropped");
    run();
    ck_assert_str_eq(said, "exit dropped\n");
}
END_TEST

START_TEST(it_is_unlinked_by_the_name_too)
{
    tell(watcher, 'l');
    found(0);
    tell(watcher, 'u');
    rt_end(rt, target, "dropped");
    run();
    ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(an_unlinked_name_that_is_found_later_is_not_linked)
{
    tell(watcher, 'l');
    tell(watcher, 'u');
    found(0);
    rt_end(rt, target, "dropped");
    run();
    ck_assert_str_eq(said, "");
}
END_TEST

START_TEST(an_end_is_not_trapped_and_wakes_nobody)
{
    struct rt_info info;

    tell(target, 0); /* it sleeps in its callback */
    rt_exit(rt, target, "please");
    run();
    ck_assert_int_eq(rt_inspect(rt, target, &info), 0);
    rt_end(rt, target, "normal");
    run();
    ck_assert_int_ne(rt_inspect(rt, target, &info), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("runtime.hosted");
    TCase *tc = tcase_create("hosted");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, who_monitors_a_name_hears_of_the_process_behind_it);
    tcase_add_test(tc, who_has_demonitored_a_name_meanwhile_hears_nothing);
    tcase_add_test(tc, a_link_to_a_name_is_a_link_to_the_process_behind_it);
    tcase_add_test(tc, it_is_unlinked_by_the_name_too);
    tcase_add_test(tc, an_unlinked_name_that_is_found_later_is_not_linked);
    tcase_add_test(tc, an_end_is_not_trapped_and_wakes_nobody);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
