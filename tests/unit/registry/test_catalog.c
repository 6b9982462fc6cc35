#include "services/registry/client.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static const struct reg_actor_type types[] = {
    {.name = "counter", .module = "m", .durable = true},
    {.name = "cart", .module = "m"},
};
static const struct reg_app apps[] = {
    {.tenant = "default",
     .ns = "default",
     .name = "a",
     .types = types,
     .n_types = 2},
    {.tenant = "acme",
     .ns = "default",
     .name = "a",
     .types = types,
     .n_types = 1},
};

START_TEST(types_are_found_by_tenant_namespace_and_name)
{
    struct reg_catalog *catalog = reg_catalog_make(5, NULL, 0, apps, 2);
    const struct reg_app *app;
    size_t n;

    ck_assert_uint_eq(reg_catalog_version(catalog), 5);
    ck_assert_ptr_nonnull(
        reg_catalog_type(catalog, "default", "default", "cart", &app));
    ck_assert_str_eq(app->tenant, "default");
    ck_assert(
        reg_catalog_type(catalog, "acme", "default", "counter", &app)->durable);
    ck_assert_str_eq(app->tenant, "acme");
    ck_assert_ptr_null(
        reg_catalog_type(catalog, "acme", "default", "cart", &app));
    ck_assert_ptr_null(
        reg_catalog_type(catalog, "default", "other", "cart", NULL));
    (void)reg_catalog_apps(catalog, &n);
    ck_assert_uint_eq(n, 2);
    reg_catalog_unref(reg_catalog_ref(catalog));
    reg_catalog_unref(catalog);
    reg_catalog_unref(NULL);
}
END_TEST

START_TEST(a_ready_service_is_preferred)
{
    const struct reg_node nodes[] = {
        {.node_id = "j1", .kind = "journal", .status = REG_NODE_LOST},
        {.node_id = "j2", .kind = "journal", .status = REG_NODE_STARTING},
        {.node_id = "j3", .kind = "journal", .status = REG_NODE_READY},
        {.node_id = "p1", .kind = "placement", .status = REG_NODE_STARTING},
        {.node_id = "w1", .kind = "worker", .status = REG_NODE_DRAINING},
    };
    struct reg_catalog *catalog = reg_catalog_make(1, nodes, 5, NULL, 0);

    ck_assert_str_eq(reg_catalog_service(catalog, "journal")->node_id, "j3");
    ck_assert_str_eq(reg_catalog_service(catalog, "placement")->node_id, "p1");
    ck_assert_ptr_null(reg_catalog_service(catalog, "worker"));
    ck_assert_ptr_null(reg_catalog_service(catalog, "registry"));
    reg_catalog_unref(catalog);
}
END_TEST

START_TEST(only_ready_nodes_with_the_same_store_share_work)
{
    const struct reg_node nodes[] = {
        {.node_id = "j1",
         .kind = "journal",
         .status = REG_NODE_STARTING,
         .store = "a"},
        {.node_id = "j2",
         .kind = "journal",
         .status = REG_NODE_READY,
         .store = "a"},
        {.node_id = "j3",
         .kind = "journal",
         .status = REG_NODE_READY,
         .store = "b"},
        {.node_id = "j4",
         .kind = "journal",
         .status = REG_NODE_LOST,
         .store = "a"},
        {.node_id = "j5",
         .kind = "journal",
         .status = REG_NODE_READY,
         .store = "a"},
        {.node_id = "k1", .kind = "other", .status = REG_NODE_READY},
        {.node_id = "k2", .kind = "other", .status = REG_NODE_READY},
        {.node_id = "p1",
         .kind = "placement",
         .status = REG_NODE_STARTING,
         .store = "a"},
    };
    struct reg_catalog *catalog = reg_catalog_make(1, nodes, 8, NULL, 0);
    const struct reg_node *found[4];

    ck_assert_uint_eq(reg_catalog_replicas(catalog, "journal", found, 4), 2);
    ck_assert_str_eq(found[0]->node_id, "j2");
    ck_assert_str_eq(found[1]->node_id, "j5");
    ck_assert_uint_eq(reg_catalog_replicas(catalog, "journal", found, 1), 1);
    ck_assert_uint_eq(reg_catalog_replicas(catalog, "other", found, 4), 1);
    ck_assert_uint_eq(reg_catalog_replicas(catalog, "placement", found, 4), 1);
    ck_assert_uint_eq(reg_catalog_replicas(catalog, "none", found, 4), 0);
    reg_catalog_unref(catalog);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("registry.catalog");
    TCase *tc = tcase_create("catalog");
    SRunner *runner;
    int failed;

    tcase_add_test(tc, types_are_found_by_tenant_namespace_and_name);
    tcase_add_test(tc, a_ready_service_is_preferred);
    tcase_add_test(tc, only_ready_nodes_with_the_same_store_share_work);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
