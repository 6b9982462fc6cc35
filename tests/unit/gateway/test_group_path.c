/* Paths of groups: to whom a request goes, and which are refused. */
#include "services/gateway/parse.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct gate_rules rules = {"default", 30000, 3600000};
static struct plex_arena arena;
static struct gate_request request;
static struct gate_problem problem;

static void
setup(void)
{
    plex_arena_init(&arena, GATE_PARSE_ARENA);
}

static void
teardown(void)
{
    plex_arena_fini(&arena);
}

static bool
parse(const char *method, const char *path, const char *key, const char *body)
{
    const struct work_header header = {"idempotency-key", key};
    struct gate_input input = {.method = method,
                               .path = path,
                               .query = "",
                               .headers = &header,
                               .n_headers = key == NULL ? 0 : 1,
                               .now_ns = 5000000};

    memcpy(input.id, "0123456789abcdef", 16);
    input.body = (struct plex_bytes){(const uint8_t *)body, strlen(body)};
    plex_arena_reset(&arena);
    problem = (struct gate_problem){0};
    return gate_parse(&rules, &input, &arena, &request, &problem);
}

static const struct {
    const char *method, *path, *body, *to, *payload;
} good[] = {
    {"POST", "/api/v1/actor-groups", "{\"group_id\":\"g\"}", "actor-group/g",
     "\"action\":\"create\""},
    {"GET", "/api/v1/actor-groups", "", "actor-group-index/groups",
     "\"action\":\"list\""},
    {"GET", "/api/v1/actor-groups/g", "", "actor-group/g",
     "\"action\":\"get\""},
    {"DELETE", "/api/v1/actor-groups/g%20h", "", "actor-group/g h",
     "\"action\":\"delete\""},
    {"POST", "/api/v1/actor-groups/g:scale", "{\"action\":\"delete\"}",
     "actor-group/g", "{\"action\":\"scale\"}"},
    {"POST", "/api/v1/actor-groups/g/shards:send", "{\"group_id\":\"x\"}",
     "actor-group-call/", "\"group_id\":\"g\""},
    {"POST", "/api/v1/actor-groups/g:scatterGather", "", "actor-group-call/",
     "\"action\":\"scatterGather\""},
};

START_TEST(each_path_goes_to_its_actor)
{
    const struct work_message *m = &request.message;
    char to[300], payload[500];

    ck_assert_msg(parse(good[_i].method, good[_i].path, NULL, good[_i].body),
                  "%s", problem.detail);
    (void)snprintf(to, sizeof to, "%s/%s", m->to.type, m->to.key);
    ck_assert_msg(strncmp(to, good[_i].to, strlen(good[_i].to)) == 0, "%s", to);
    (void)snprintf(payload, sizeof payload, "%.*s", (int)m->payload.len,
                   (const char *)m->payload.data);
    ck_assert_msg(strstr(payload, good[_i].payload) != NULL, "%s", payload);
}
END_TEST

static const struct {
    const char *method, *path, *body;
    unsigned status;
} bad[] = {
    {"PUT", "/api/v1/actor-groups", "{}", 405},
    {"POST", "/api/v1/actor-groups/g", "{}", 405},
    {"GET", "/api/v1/actor-groups/g:scale", "", 405},
    {"GET", "/api/v1/actor-groups/g/shards:send", "", 405},
    {"POST", "/api/v1/actor-groups/g:melt", "{}", 404},
    {"POST", "/api/v1/actor-groups/", "{}", 404},
    {"POST", "/api/v1/actor-groups/g:scale", "[]", 400},
    {"POST", "/api/v1/actor-groups/g:scale", "{\"a\":1,\"a\":2}", 400},
    {"POST", "/api/v1/actor-groups", "{\"group_id\":\"a/b\"}", 400},
};

START_TEST(what_cannot_be_is_refused)
{
    ck_assert(!parse(bad[_i].method, bad[_i].path, NULL, bad[_i].body));
    ck_assert_msg(problem.status == bad[_i].status, "%u: %s", problem.status,
                  problem.detail);
}
END_TEST

START_TEST(the_same_key_names_the_same_request)
{
    const char *path = "/api/v1/actor-groups/g/shards:send";
    char first[64];

    ck_assert(parse("POST", path, "\"k1\"", "{}"));
    (void)snprintf(first, sizeof first, "%s", request.message.to.key);
    ck_assert(parse("POST", path, "\"k1\"", "{}"));
    ck_assert_str_eq(request.message.to.key, first);
    ck_assert(parse("POST", path, "\"k2\"", "{}"));
    ck_assert_str_ne(request.message.to.key, first);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("group_path");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, each_path_goes_to_its_actor, 0,
                        sizeof good / sizeof *good);
    tcase_add_loop_test(tcase, what_cannot_be_is_refused, 0,
                        sizeof bad / sizeof *bad);
    tcase_add_test(tcase, the_same_key_names_the_same_request);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
