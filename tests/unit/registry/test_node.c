#include "tests/unit/registry/helper.h"

#include <string.h>

static struct helper h;

static void
setup(void)
{
    helper_open(&h);
}

static void
teardown(void)
{
    helper_close(&h);
}

START_TEST(a_node_is_listed_with_its_lease)
{
    struct answer answer = helper_announce(&h, "w1", 7, REG_NODE_READY);
    struct reg_node node;

    ck_assert_int_eq(answer.kind, REG_ACTION_ANNOUNCED);
    ck_assert_uint_eq(answer.lease_ms, 1500);
    helper_run(&h, 400);
    ck_assert_uint_eq(reg_core_nodes(h.core), 1);
    node = reg_core_node(h.core, 0, h.now);
    ck_assert_str_eq(node.node_id, "w1");
    ck_assert_int_eq(node.status, REG_NODE_READY);
    ck_assert_uint_eq(node.heartbeat_age_ms, 400);
    ck_assert_uint_eq(node.lease_left_ms, 1100);
}
END_TEST

START_TEST(a_heartbeat_alone_makes_no_new_version)
{
    uint64_t version;

    (void)helper_announce(&h, "w1", 7, REG_NODE_READY);
    version = reg_core_version(h.core);
    helper_run(&h, 500);
    ck_assert_uint_eq(helper_announce(&h, "w1", 7, REG_NODE_READY).version,
                      version);
    ck_assert_uint_eq(helper_announce(&h, "w1", 7, REG_NODE_DRAINING).version,
                      version + 1);
}
END_TEST

START_TEST(a_second_node_of_the_name_is_refused_while_the_first_lives)
{
    struct answer answer;

    (void)helper_announce(&h, "w1", 7, REG_NODE_READY);
    answer = helper_announce(&h, "w1", 8, REG_NODE_READY);
    ck_assert_int_eq(answer.status, PLEX_EXISTS);
    ck_assert_ptr_nonnull(strstr(answer.text, "tcp://127.0.0.1:7406"));
    helper_run(&h, 1500);
    answer = helper_announce(&h, "w1", 8, REG_NODE_READY);
    ck_assert_int_eq(answer.kind, REG_ACTION_ANNOUNCED);
    ck_assert_uint_eq(reg_core_nodes(h.core), 1);
}
END_TEST

START_TEST(a_lapsed_node_is_lost_then_forgotten)
{
    uint64_t version;

    (void)helper_announce(&h, "w1", 7, REG_NODE_READY);
    version = reg_core_version(h.core);
    helper_run(&h, 1500);
    ck_assert_uint_eq(reg_core_version(h.core), version + 1);
    ck_assert_int_eq(reg_core_node(h.core, 0, h.now).status, REG_NODE_LOST);
    ck_assert_uint_eq(reg_core_node(h.core, 0, h.now).lease_left_ms, 0);
    helper_run(&h, 599000);
    ck_assert_uint_eq(reg_core_version(h.core), version + 1);
    helper_run(&h, 2000);
    ck_assert_uint_eq(reg_core_nodes(h.core), 0);
}
END_TEST

START_TEST(a_lost_node_comes_back)
{
    (void)helper_announce(&h, "w1", 7, REG_NODE_READY);
    helper_run(&h, 3000);
    (void)helper_announce(&h, "w1", 7, REG_NODE_READY);
    ck_assert_int_eq(reg_core_node(h.core, 0, h.now).status, REG_NODE_READY);
}
END_TEST

START_TEST(a_registry_that_slept_does_not_lose_everybody)
{
    (void)helper_announce(&h, "w1", 7, REG_NODE_READY);
    h.now += 5000000000U;
    reg_core_tick(h.core, h.now);
    ck_assert_int_eq(reg_core_node(h.core, 0, h.now).status, REG_NODE_READY);
    helper_run(&h, 1500);
    ck_assert_int_eq(reg_core_node(h.core, 0, h.now).status, REG_NODE_LOST);
}
END_TEST

START_TEST(withdrawing_removes_only_that_life)
{
    (void)helper_announce(&h, "w1", 7, REG_NODE_READY);
    reg_core_withdraw(h.core, (void *)1, "w1", 6, h.now);
    ck_assert_int_eq(helper_take(&h).kind, REG_ACTION_WITHDRAWN);
    ck_assert_uint_eq(reg_core_nodes(h.core), 1);
    reg_core_withdraw(h.core, (void *)1, "w1", 7, h.now);
    ck_assert_int_eq(helper_take(&h).kind, REG_ACTION_WITHDRAWN);
    ck_assert_uint_eq(reg_core_nodes(h.core), 0);
    ck_assert_int_eq(helper_announce(&h, "w1", 8, REG_NODE_READY).kind,
                     REG_ACTION_ANNOUNCED);
}
END_TEST

START_TEST(nodes_are_in_order)
{
    const char *const names[] = {"m", "a", "z", "k"};

    for (int i = 0; i < 4; i++)
        (void)helper_announce(&h, names[i], 1, REG_NODE_READY);
    ck_assert_str_eq(reg_core_node(h.core, 0, h.now).node_id, "a");
    ck_assert_str_eq(reg_core_node(h.core, 3, h.now).node_id, "z");
    ck_assert_uint_eq(reg_core_node_seek(h.core, "l"), 2);
    ck_assert_uint_eq(reg_core_node_seek(h.core, "zz"), 4);
}
END_TEST

START_TEST(bad_announcements_say_what_is_wrong)
{
    static const struct {
        struct reg_node node;
        const char *text;
    } bad[] = {
        {{.node_id = "", .kind = "worker", .url = "tcp://a"}, "node_id"},
        {{.node_id = "W", .kind = "worker", .url = "tcp://a"}, "node_id"},
        {{.node_id = "w", .kind = "", .url = "tcp://a"}, "kind"},
        {{.node_id = "w", .kind = "worker", .url = "http://a"}, "ipc://"},
        {{.node_id = "w", .kind = "worker", .url = "tcp://a"}, "incarnation"},
        {{.node_id = "w",
          .kind = "worker",
          .url = "tcp://a",
          .incarnation = 1,
          .status = REG_NODE_LOST},
         "status"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct answer answer;

        reg_core_announce(h.core, (void *)1, &bad[i].node, h.now);
        answer = helper_take(&h);
        ck_assert_int_eq(answer.status, PLEX_INVALID);
        ck_assert_msg(strstr(answer.text, bad[i].text) != NULL, "%s",
                      answer.text);
    }
    ck_assert_uint_eq(reg_core_nodes(h.core), 0);
}
END_TEST

START_TEST(a_watch_is_answered_by_the_next_change)
{
    reg_core_watch(h.core, (void *)2, 0, 10000, h.now);
    helper_pump(&h);
    ck_assert_int_eq(h.answers[1].kind, REG_ACTION_CATALOG);
    reg_core_watch(h.core, (void *)3, h.answers[1].version, 10000, h.now);
    helper_pump(&h);
    ck_assert_int_eq(h.answers[2].kind, 0);
    (void)helper_announce(&h, "w1", 7, REG_NODE_READY);
    ck_assert_int_eq(h.answers[2].kind, REG_ACTION_CATALOG);
    ck_assert(!h.answers[2].unchanged);
    ck_assert_uint_eq(h.answers[2].version, reg_core_version(h.core));
}
END_TEST

START_TEST(a_watch_times_out_unchanged)
{
    reg_core_watch(h.core, (void *)2, reg_core_version(h.core), 300, h.now);
    helper_run(&h, 299);
    ck_assert_int_eq(h.answers[1].kind, 0);
    helper_run(&h, 1);
    ck_assert(h.answers[1].unchanged);
    ck_assert_uint_eq(h.answers[1].version, reg_core_version(h.core));
}
END_TEST

START_TEST(a_watcher_of_an_earlier_life_waits_for_the_nodes_to_come_back)
{
    /* Older and, after a clock that went back, newer than this life. */
    reg_core_watch(h.core, (void *)2, h.wall - 5000, 10000, h.now);
    reg_core_watch(h.core, (void *)3, h.wall + 5000, 10000, h.now);
    (void)helper_announce(&h, "w1", 7, REG_NODE_READY);
    ck_assert_int_eq(h.answers[1].kind, 0);
    helper_run(&h, 1000);
    (void)helper_announce(&h, "w1", 7, REG_NODE_READY);
    helper_run(&h, 499);
    ck_assert_int_eq(h.answers[1].kind, 0);
    helper_run(&h, 1);
    ck_assert_int_eq(h.answers[1].kind, REG_ACTION_CATALOG);
    ck_assert_int_eq(h.answers[2].kind, REG_ACTION_CATALOG);
    ck_assert(!h.answers[2].unchanged);
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("node");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_node_is_listed_with_its_lease);
    tcase_add_test(tc, a_heartbeat_alone_makes_no_new_version);
    tcase_add_test(tc,
                   a_second_node_of_the_name_is_refused_while_the_first_lives);
    tcase_add_test(tc, a_lapsed_node_is_lost_then_forgotten);
    tcase_add_test(tc, a_lost_node_comes_back);
    tcase_add_test(tc, a_registry_that_slept_does_not_lose_everybody);
    tcase_add_test(tc, withdrawing_removes_only_that_life);
    tcase_add_test(tc, nodes_are_in_order);
    tcase_add_test(tc, bad_announcements_say_what_is_wrong);
    tcase_add_test(tc, a_watch_is_answered_by_the_next_change);
    tcase_add_test(tc, a_watch_times_out_unchanged);
    tcase_add_test(
        tc, a_watcher_of_an_earlier_life_waits_for_the_nodes_to_come_back);
    return helper_main(tc, "registry.node");
}
