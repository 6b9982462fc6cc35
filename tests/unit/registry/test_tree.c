#include "common/mem.h"
#include "services/registry/tree.h"
#include "tests/unit/registry/helper.h"

#include <stdio.h>
#include <stdlib.h>
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

#define NOTHING                                                        \
    .type = "", .module = "", .behaviour = "", .name = "", .args = "", \
    .node = "", .shutdown_ms = 0xfffffffeU

static const struct reg_actor_type types[] = {
    {.name = "plain", .module = "counter"},
    {.name = "keyed", .module = "counter", .is_virtual = true},
};

static struct reg_app_full
app_of(const struct reg_supervisor *tree)
{
    return (struct reg_app_full){
        .app = {.tenant = "default",
                .ns = "",
                .name = "shop",
                .version = "1.0.0",
                .types = types,
                .n_types = 2,
                .supervisor = tree},
    };
}

static struct reg_supervisor
tree_of(const struct reg_child *children, size_t n)
{
    return (struct reg_supervisor){.strategy = 1,
                                   .intensity = 1,
                                   .period_ms = 5000,
                                   .children = children,
                                   .n_children = n};
}

static void
refused(const struct reg_supervisor *tree, const char *why)
{
    const struct reg_app_full app = app_of(tree);
    const struct answer answer = helper_deploy(&h, &app);

    ck_assert_int_eq(answer.kind, REG_ACTION_FAIL);
    ck_assert_int_eq(answer.status, PLEX_INVALID);
    ck_assert_str_eq(answer.text, why);
}

START_TEST(a_tree_is_kept_as_deployed)
{
    const struct reg_child inner[] = {{.id = "w", NOTHING}};
    const struct reg_supervisor below = tree_of(inner, 1);
    const struct reg_child children[] = {
        {.id = "a", NOTHING},
        {.id = "b", NOTHING},
    };
    struct reg_child set[2];
    struct reg_child leaf = inner[0];
    struct reg_supervisor sub = below, tree;
    struct reg_app_full app;
    const struct reg_app *got;

    memcpy(set, children, sizeof set);
    leaf.module = "counter";
    sub.children = &leaf;
    sub.intensity = 0;
    set[0].type = "plain";
    set[0].name = "front";
    set[1].supervisor = &sub;
    tree = tree_of(set, 2);
    app = app_of(&tree);
    ck_assert_int_eq(helper_deploy(&h, &app).kind, REG_ACTION_APP);
    got = &reg_core_app(h.core, 0)->full.app;
    ck_assert_uint_eq(got->supervisor->n_children, 2);
    ck_assert_str_eq(got->supervisor->children[0].name, "front");
    ck_assert_uint_eq(got->supervisor->children[1].supervisor->intensity, 0);
    ck_assert_str_eq(
        got->supervisor->children[1].supervisor->children[0].behaviour,
        "counter");
    /* The same again is no new revision, another intensity is. */
    ck_assert_uint_eq(helper_deploy(&h, &app).revision, 1);
    sub.intensity = 1;
    ck_assert_uint_eq(helper_deploy(&h, &app).revision, 2);
}
END_TEST

START_TEST(each_rule_names_the_child_and_what_would_be_right)
{
    struct reg_child set[2] = {{.id = "a", NOTHING}, {.id = "b", NOTHING}};
    struct reg_supervisor tree = tree_of(set, 2);

    refused(&tree, "supervisor.children[0] has none of type, module and "
                   "supervisor; give exactly one");
    set[0].module = "counter";
    set[1].type = "missing";
    refused(&tree, "supervisor.children[1].type \"missing\" is not one of this "
                   "application's actor_types");
    set[1].type = "keyed";
    refused(&tree, "supervisor.children[1].type \"keyed\" is virtual: such "
                   "actors are activated by messages, not supervised");
    set[1].type = "plain";
    set[1].id = "a";
    refused(&tree, "supervisor has two children with the id \"a\"");
    set[1].id = "";
    refused(&tree, "supervisor.children[1].id \"\" must be 1 to 127 bytes "
                   "without control characters or '/'");
    set[1].id = "b";
    set[0].name = set[1].name = "same";
    refused(&tree, "supervisor registers the name \"same\" twice (the root has "
                   "the application's)");
    set[1].name = "shop";
    refused(&tree, "supervisor registers the name \"shop\" twice (the root has "
                   "the application's)");
    set[1].name = "x@y";
    refused(&tree, "supervisor.children[1].name \"x@y\" must be at most 255 "
                   "bytes without control characters or \"/@<\"");
    set[1].name = "";
    set[1].significant = true;
    refused(&tree, "supervisor.children[1].significant is for transient and "
                   "temporary children of a supervisor with auto_shutdown");
    set[1].significant = false;
    tree.strategy = 4;
    refused(&tree, "supervisor has 2 children; simple_one_for_one takes one, "
                   "the template");
    tree.strategy = 1;
    tree.intensity = 2000000;
    refused(&tree, "supervisor.intensity is 2000000, the most is 1000000");
    tree.intensity = 0;
    tree.period_ms = 3600001;
    refused(&tree, "supervisor.period_ms must be 1 to 3600000");
}
END_TEST

START_TEST(depth_and_size_are_bounded)
{
    static struct reg_supervisor levels[REG_TREE_DEPTH_MAX + 1];
    static struct reg_child down[REG_TREE_DEPTH_MAX + 1];
    struct reg_child *many;
    struct reg_app_full app;
    struct reg_supervisor tree;

    for (int i = REG_TREE_DEPTH_MAX; i >= 0; i--) {
        down[i] = (struct reg_child){.id = "c", NOTHING};
        if (i == REG_TREE_DEPTH_MAX)
            down[i].module = "counter";
        else
            down[i].supervisor = &levels[i + 1];
        levels[i] = tree_of(&down[i], 1);
    }
    refused(&levels[0], "supervisor is nested deeper than 32");
    app = app_of(&levels[1]);
    ck_assert_int_eq(helper_deploy(&h, &app).kind, REG_ACTION_APP);

    many = plex_calloc(REG_TREE_CHILDREN_MAX + 1, sizeof *many);
    tree = tree_of(many, REG_TREE_CHILDREN_MAX + 1);
    refused(&tree, "supervisor has more than 100000 children in all");
    free(many);
}
END_TEST

START_TEST(words_are_checked_and_written_back)
{
    struct plex_err err;
    uint32_t ms;
    uint8_t word;
    char text[24];

    ck_assert_int_eq(
        reg_word_parse(REG_WORD_STRATEGY, "ONE_FOR_ALL", &word, &err), PLEX_OK);
    ck_assert_uint_eq(word, 2);
    ck_assert_str_eq(reg_word_text(REG_WORD_STRATEGY, word), "one_for_all");
    ck_assert_int_eq(reg_word_parse(REG_WORD_RESTART, "", &word, &err),
                     PLEX_OK);
    ck_assert_uint_eq(word, 0);
    ck_assert_int_eq(reg_word_parse(REG_WORD_RESTART, "always", &word, &err),
                     PLEX_INVALID);
    ck_assert_str_eq(err.text, "restart \"always\" is unknown; it is "
                               "permanent, transient, temporary");
    ck_assert_int_eq(reg_shutdown_parse("2s", &ms, &err), PLEX_OK);
    ck_assert_uint_eq(ms, 2000);
    reg_shutdown_text(ms, text);
    ck_assert_str_eq(text, "2000ms");
    ck_assert_int_eq(reg_shutdown_parse("brutal_kill", &ms, &err), PLEX_OK);
    ck_assert_uint_eq(ms, 0);
    ck_assert_int_eq(reg_shutdown_parse("2h", &ms, &err), PLEX_INVALID);
}
END_TEST

/* -- who runs it -------------------------------------------------------------
 */

static void
deploy_shop(void)
{
    static struct reg_child child = {.id = "a", NOTHING};
    static struct reg_supervisor tree;
    struct reg_app_full app;

    child.module = "counter";
    tree = tree_of(&child, 1);
    app = app_of(&tree);
    ck_assert_int_eq(helper_deploy(&h, &app).kind, REG_ACTION_APP);
}

static void
announce(const char *node_id, uint64_t incarnation, enum reg_node_status status,
         uint64_t claim)
{
    const struct reg_claim shop = {"default", "default", "shop", claim};
    const struct reg_node node = {
        .node_id = node_id,
        .kind = "worker",
        .status = status,
        .url = "tcp://127.0.0.1:7406",
        .incarnation = incarnation,
        .claims = &shop,
        .n_claims = claim == 0 ? 0 : 1,
    };

    reg_core_announce(h.core, (void *)1, &node, h.now);
    ck_assert_int_eq(helper_take(&h).kind, REG_ACTION_ANNOUNCED);
}

static const struct reg_root *
root(void)
{
    return &reg_core_app(h.core, 0)->full.app.root;
}

START_TEST(the_first_ready_worker_gets_the_root_and_keeps_it)
{
    uint64_t epoch;

    announce("w2", 22, REG_NODE_STARTING, 0);
    helper_run(&h, 1000);
    announce("w2", 22, REG_NODE_READY, 0);
    deploy_shop();
    ck_assert_str_eq(root()->node_id, ""); /* others may still announce it */
    helper_run(&h, 700);
    ck_assert_str_eq(root()->node_id, "w2");
    ck_assert_uint_eq(root()->incarnation, 22);
    epoch = root()->epoch;
    ck_assert_uint_gt(epoch, 0);
    announce("w1", 11, REG_NODE_READY, 0);
    ck_assert_str_eq(root()->node_id, "w2");
    ck_assert_uint_eq(root()->epoch, epoch);
}
END_TEST

START_TEST(a_lost_worker_is_waited_for_and_then_replaced)
{
    uint64_t epoch;

    helper_run(&h, 1500);
    announce("w1", 11, REG_NODE_READY, 0);
    deploy_shop();
    epoch = root()->epoch;
    ck_assert_str_eq(root()->node_id, "w1");
    announce("w1", 11, REG_NODE_READY, epoch);
    for (int i = 0; i < 6; i++) {
        helper_run(&h, 400);
        announce("w2", 22, REG_NODE_READY, 0);
    }
    ck_assert_str_eq(root()->node_id, "w1"); /* lost, but it may still run */
    for (int i = 0; i < 2; i++) {
        helper_run(&h, 400);
        announce("w2", 22, REG_NODE_READY, 0);
    }
    ck_assert_str_eq(root()->node_id, "w2");
    ck_assert_uint_gt(root()->epoch, epoch);
    /* The old one comes back and hears that it has it no more. */
    announce("w1", 11, REG_NODE_READY, epoch);
    ck_assert_str_eq(root()->node_id, "w2");
}
END_TEST

START_TEST(a_new_life_of_the_worker_is_another_worker)
{
    uint64_t epoch;

    helper_run(&h, 1500);
    announce("w1", 11, REG_NODE_READY, 0);
    deploy_shop();
    epoch = root()->epoch;
    reg_core_withdraw(h.core, (void *)1, "w1", 11, h.now);
    (void)helper_take(&h);
    ck_assert_str_eq(root()->node_id, "");
    announce("w1", 12, REG_NODE_READY, 0);
    ck_assert_str_eq(root()->node_id, "w1");
    ck_assert_uint_eq(root()->incarnation, 12);
    ck_assert_uint_gt(root()->epoch, epoch);
}
END_TEST

START_TEST(a_new_life_of_a_lost_worker_waits_for_the_old_one)
{
    helper_run(&h, 1500);
    announce("w1", 11, REG_NODE_READY, 0);
    deploy_shop();
    announce("w1", 11, REG_NODE_READY, root()->epoch);
    helper_run(&h, 1600);
    announce("w1", 12, REG_NODE_READY, 0);
    ck_assert_str_eq(root()->node_id, "");
    for (int i = 0; i < 3; i++) {
        helper_run(&h, 500);
        announce("w1", 12, REG_NODE_READY, 0);
    }
    ck_assert_str_eq(root()->node_id, "w1");
    ck_assert_uint_eq(root()->incarnation, 12);
}
END_TEST

START_TEST(a_draining_worker_is_waited_for_until_it_has_stopped_them)
{
    uint64_t epoch;

    helper_run(&h, 1500);
    announce("w1", 11, REG_NODE_READY, 0);
    deploy_shop();
    epoch = root()->epoch;
    announce("w1", 11, REG_NODE_READY, epoch);
    announce("w2", 22, REG_NODE_READY, 0);
    announce("w1", 11, REG_NODE_DRAINING, epoch);
    ck_assert_str_eq(root()->node_id, "");
    announce("w1", 11, REG_NODE_DRAINING, 0);
    ck_assert_str_eq(root()->node_id, "w2");
}
END_TEST

START_TEST(a_worker_that_is_drained_by_an_operator_gives_them_away)
{
    const struct reg_claim shop = {"default", "default", "shop", 0};
    struct reg_claim claim = shop;
    struct reg_node node = {
        .node_id = "w1",
        .kind = "worker",
        .status = REG_NODE_READY,
        .url = "tcp://127.0.0.1:7406",
        .incarnation = 11,
        .claims = &claim,
        .n_claims = 1,
        .without_trees = true,
    };

    helper_run(&h, 1500);
    announce("w1", 11, REG_NODE_READY, 0);
    announce("w2", 22, REG_NODE_READY, 0);
    deploy_shop();
    claim.epoch = root()->epoch;
    reg_core_announce(h.core, (void *)1, &node, h.now);
    (void)helper_take(&h);
    ck_assert_str_eq(root()->node_id, ""); /* it still stops them */
    node.n_claims = 0;
    reg_core_announce(h.core, (void *)1, &node, h.now);
    (void)helper_take(&h);
    ck_assert_str_eq(root()->node_id, "w2");
}
END_TEST

START_TEST(a_new_registry_leaves_it_where_it_runs)
{
    deploy_shop(); /* as if loaded: nobody has announced anything yet */
    announce("w1", 11, REG_NODE_READY, 0);
    announce("w2", 22, REG_NODE_READY, 77);
    ck_assert_str_eq(root()->node_id, "w2");
    ck_assert_uint_eq(root()->epoch, 77);
    helper_run(&h, 1400);
    ck_assert_str_eq(root()->node_id, "w2");
}
END_TEST

START_TEST(stopping_the_application_takes_it_away)
{
    helper_run(&h, 1500);
    announce("w1", 11, REG_NODE_READY, 0);
    deploy_shop();
    reg_core_set_state(h.core, (void *)1, "default", "", "shop",
                       REG_APP_STOPPED, h.now);
    ck_assert_int_eq(helper_take(&h).kind, REG_ACTION_APP);
    ck_assert_str_eq(root()->node_id, "");
    reg_core_set_state(h.core, (void *)1, "default", "", "shop",
                       REG_APP_RUNNING, h.now);
    ck_assert_int_eq(helper_take(&h).kind, REG_ACTION_APP);
    ck_assert_str_eq(root()->node_id, "w1");
    reg_core_undeploy(h.core, (void *)1, "default", "", "shop", h.now);
    ck_assert_int_eq(helper_take(&h).kind, REG_ACTION_GONE);
}
END_TEST

int
main(void)
{
    TCase *tc = tcase_create("all");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_tree_is_kept_as_deployed);
    tcase_add_test(tc, each_rule_names_the_child_and_what_would_be_right);
    tcase_add_test(tc, depth_and_size_are_bounded);
    tcase_add_test(tc, words_are_checked_and_written_back);
    tcase_add_test(tc, the_first_ready_worker_gets_the_root_and_keeps_it);
    tcase_add_test(tc, a_lost_worker_is_waited_for_and_then_replaced);
    tcase_add_test(tc, a_new_life_of_the_worker_is_another_worker);
    tcase_add_test(tc, a_new_life_of_a_lost_worker_waits_for_the_old_one);
    tcase_add_test(tc,
                   a_draining_worker_is_waited_for_until_it_has_stopped_them);
    tcase_add_test(tc, a_worker_that_is_drained_by_an_operator_gives_them_away);
    tcase_add_test(tc, a_new_registry_leaves_it_where_it_runs);
    tcase_add_test(tc, stopping_the_application_takes_it_away);
    return helper_main(tc, "registry.tree");
}
