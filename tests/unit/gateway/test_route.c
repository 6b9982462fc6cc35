#include "services/gateway/route.h"

#include <check.h>
#include <string.h>

static const struct gate_route routes[] = {
    {.verb = "GET", .path = "/api/v1/nodes", .rpc = "list"},
    {.verb = "GET", .path = "/api/v1/nodes/{node_id}", .rpc = "get"},
    {.verb = "DELETE", .path = "/api/v1/nodes/{node_id}", .rpc = "delete"},
    {.verb = "POST", .path = "/api/v1/nodes/{node_id}:drain", .rpc = "drain"},
    {.verb = "GET", .path = "/api/v1/a/{x}/b/{y}", .rpc = "two"},
    {0},
};
static struct gate_vars vars;
static char allow[GATE_ALLOW_MAX];

static const char *
find(const char *verb, const char *path)
{
    const struct gate_route *r =
        gate_route_find(routes, verb, path, &vars, allow);

    return r == NULL ? "" : r->rpc;
}

START_TEST(paths_find_their_rpc)
{
    ck_assert_str_eq(find("GET", "/api/v1/nodes"), "list");
    ck_assert_str_eq(find("HEAD", "/api/v1/nodes"), "list");
    ck_assert_str_eq(find("GET", "/api/v1/nodes/w-1"), "get");
    ck_assert_uint_eq(vars.n, 1);
    ck_assert_uint_eq(vars.at[0].name_len, strlen("node_id"));
    ck_assert_mem_eq(vars.at[0].name, "node_id", 7);
    ck_assert_uint_eq(vars.at[0].value_len, 3);
    ck_assert_mem_eq(vars.at[0].value, "w-1", 3);
}
END_TEST

START_TEST(a_verb_after_a_colon_is_not_part_of_the_field)
{
    ck_assert_str_eq(find("POST", "/api/v1/nodes/w-1:drain"), "drain");
    ck_assert_uint_eq(vars.at[0].value_len, 3);
    ck_assert_str_eq(find("DELETE", "/api/v1/nodes/w-1:drain"), "");
    ck_assert_str_eq(allow, "POST");
    ck_assert_str_eq(find("GET", "/api/v1/nodes/user:42"), "get");
    ck_assert_uint_eq(vars.at[0].value_len, 7);
    ck_assert_str_eq(find("POST", "/api/v1/nodes/:drain"), "");
}
END_TEST

START_TEST(several_fields_are_filled)
{
    ck_assert_str_eq(find("GET", "/api/v1/a/1/b/22"), "two");
    ck_assert_uint_eq(vars.n, 2);
    ck_assert_uint_eq(vars.at[1].value_len, 2);
}
END_TEST

START_TEST(other_methods_are_told_which_are_allowed)
{
    ck_assert_str_eq(find("POST", "/api/v1/nodes/w-1"), "");
    ck_assert_str_eq(allow, "GET, HEAD, DELETE");
}
END_TEST

START_TEST(other_paths_are_unknown)
{
    const char *const unknown[] = {"/",
                                   "",
                                   "/api/v1/nodes/",
                                   "/api/v1/node",
                                   "/api/v1/nodes/a/b",
                                   "/api/v1/a/1/b",
                                   "//api/v1/nodes"};

    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        ck_assert_str_eq(find("GET", unknown[i]), "");
        ck_assert_str_eq(allow, "");
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("gateway.route");
    TCase *tc = tcase_create("route");
    SRunner *runner;
    int failed;

    tcase_add_test(tc, paths_find_their_rpc);
    tcase_add_test(tc, a_verb_after_a_colon_is_not_part_of_the_field);
    tcase_add_test(tc, several_fields_are_filled);
    tcase_add_test(tc, other_methods_are_told_which_are_allowed);
    tcase_add_test(tc, other_paths_are_unknown);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
