/* Services of actors: to whom a request goes, with what, and which are
 * refused, by the routes that the protos declare. */
#include "services/gateway/parse.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct gate_rules rules = {"default", 30000, 3600000};
static struct plex_arena arena;
static struct gate_request request;
static struct gate_problem problem;
static char payload[4096];

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

/* "/path?query"; as the shell does it: what is not found is not parsed. */
static bool
parse(const char *method, const char *target, const char *key, const char *body)
{
    const struct work_header header = {"idempotency-key", key};
    char path[512], allow[GATE_ALLOW_MAX];
    const char *query = strchr(target, '?');
    struct gate_input input = {.method = method,
                               .path = path,
                               .query = query == NULL ? "" : query + 1,
                               .headers = &header,
                               .n_headers = key == NULL ? 0 : 1,
                               .now_ns = 5000000};
    struct gate_vars vars;
    bool ok;

    (void)snprintf(path, sizeof path, "%.*s", (int)strcspn(target, "?"),
                   target);
    memcpy(input.id, "0123456789abcdef", 16);
    input.body = (struct plex_bytes){(const uint8_t *)body, strlen(body)};
    plex_arena_reset(&arena);
    problem = (struct gate_problem){0};
    input.vars = &vars;
    input.route = gate_route_find(gate_routes, method, path, &vars, allow);
    if (input.route == NULL || input.route->action == NULL) {
        problem.status = allow[0] == '\0' ? 404 : 405;
        return false;
    }
    ok = gate_parse(&rules, &input, &arena, &request, &problem);
    if (ok)
        (void)snprintf(payload, sizeof payload, "%.*s",
                       (int)request.message.payload.len,
                       (const char *)request.message.payload.data);
    return ok;
}

#define W "/api/v1/workflows/"
#define A "/api/v1/actors/default%2Fspace%2Flog%2Fa.b/"
static const struct {
    const char *method, *path, *body, *to, *payload;
} good[] = {
    {"POST", "/api/v1/actor-groups", "{\"group_id\":\"g\"}", "actor-group/g",
     "{\"group_id\":\"g\",\"action\":\"create\"}"},
    {"GET", "/api/v1/actor-groups?actor_type=x", "", "actor-group-index/groups",
     "{\"actor_type\":\"x\",\"action\":\"list\"}"},
    {"GET", "/api/v1/actor-groups/g", "", "actor-group/g",
     "\"action\":\"get\""},
    {"DELETE", "/api/v1/actor-groups/g%20h", "", "actor-group/g h",
     "\"action\":\"delete\""},
    {"POST", "/api/v1/actor-groups/g:scale", "{\"shardCount\":3}",
     "actor-group/g", "\"shard_count\":3,"},
    {"POST", "/api/v1/actor-groups/g/shards:send",
     "{\"group_id\":\"x\",\"wait_for_response\":false}", "actor-group-call/",
     "{\"group_id\":\"g\",\"wait_for_response\":false,\"request_id\":"},
    {"POST", "/api/v1/actor-groups/g:scatterGather", "", "actor-group-call/",
     "\"action\":\"scatterGather\""},
    {"POST", W "definitions", "{\"text\":\"id: a\"}",
     "workflow-catalog/definitions",
     "{\"text\":\"id: a\",\"action\":\"create\"}"},
    {"GET", W "definitions/a/versions/1.0.0", "",
     "workflow-catalog/definitions",
     "{\"id\":\"a\",\"version\":\"1.0.0\",\"action\":\"get\"}"},
    {"POST", W "executions",
     "{\"definition\":\"a\",\"input\":{\"n\":[1,null,\"x\"]},"
     "\"labels\":{\"k\":\"v\"},\"signal\":{\"name\":\"s\",\"value\":7}}",
     "workflow/",
     "{\"definition\":\"a\",\"input\":{\"n\":[1,null,\"x\"]},"
     "\"labels\":{\"k\":\"v\"},\"signal\":{\"name\":\"s\",\"value\":7},"
     "\"execution_id\":"},
    {"POST", W "executions", "{\"execution_id\":\"r\",\"input\":null}",
     "workflow/r", "\"input\":null"},
    {"GET", W "executions?labels=a=b&started_after_ms=5", "",
     "workflow-index/0",
     "{\"labels\":\"a=b\",\"started_after_ms\":5,\"action\":\"list\"}"},
    {"GET", W "executions?page_token=7", "", "workflow-index/7",
     "\"page_token\":\"7\""},
    {"GET", W "executions/r/why", "", "workflow/r", "\"action\":\"why\""},
    {"GET", W "executions/r?wait_ms=5000", "", "workflow/r",
     "\"action\":\"get\",\"wait\":true"},
    {"POST", W "executions/r/signals", "{\"name\":\"go\",\"value\":null}",
     "workflow/r",
     "{\"name\":\"go\",\"value\":null,\"execution_id\":\"r\","
     "\"action\":\"signal\"}"},
    {"POST", W "executions/r/approve", "{\"name\":\"s\",\"ok\":false}",
     "workflow/r", "\"ok\":false"},
    {"POST", W "executions/r/approve", "{\"name\":\"s\"}", "workflow/r",
     "{\"name\":\"s\",\"execution_id\":\"r\",\"action\":\"approve\"}"},
    {"POST", W "executions/r/fork?namespace=n", "{\"step\":\"s\"}",
     "workflow/r", "{\"step\":\"s\",\"from_id\":\"r\",\"execution_id\":"},
    {"POST", "/api/v1/schedules", "{\"id\":\"d\",\"everyMs\":\"5\"}",
     "schedule/d", "{\"id\":\"d\",\"every_ms\":5,\"action\":\"create\"}"},
    {"GET", "/api/v1/schedules?page_size=3", "", "schedule-index/schedules",
     "{\"page_size\":3,\"action\":\"list\"}"},
    {"POST", "/api/v1/schedules/d/trigger", "", "schedule/d",
     "\"action\":\"trigger\""},
    {"POST", A "timers", "{\"timer_name\":\"t\",\"delayMs\":\"5\"}",
     "actor-timers/log.a.b", "\"action\":\"timer.register\""},
    {"POST", A "events", "{\"events\":[{\"eventType\":\"a\"}]}",
     "event-stream/log.a.b", "\"event_type\":\"a\""},
    {"POST", A "journal/promises/p/resolve", "{\"result\":null}",
     "event-stream/log.a.b", "\"action\":\"record.promise_resolved\""},
    {"POST", "/api/v1/lattices/likes/p:update",
     "{\"op\":\"add\",\"value\":[1],\"path\":[\"a\"]}", "likes/p",
     "{\"op\":\"add\",\"value\":[1],\"path\":[\"a\"],\"type\":\"likes\","
     "\"key\":\"p\",\"action\":\"update\"}"},
    {"DELETE", A "reminders/r", "", "actor-timers/log.a.b",
     "\"reminder_name\":\"r\",\"action\":\"reminder.unregister\""},
};

START_TEST(each_path_goes_to_its_actor)
{
    const struct work_message *m = &request.message;
    char to[300];

    ck_assert_msg(parse(good[_i].method, good[_i].path, NULL, good[_i].body),
                  "%s", problem.detail);
    (void)snprintf(to, sizeof to, "%s/%s", m->to.type, m->to.key);
    ck_assert_msg(strncmp(to, good[_i].to, strlen(good[_i].to)) == 0, "%s", to);
    ck_assert_msg(strstr(payload, good[_i].payload) != NULL, "%s", payload);
    ck_assert_int_eq(m->kind, WORK_CALL);
}
END_TEST

static const struct {
    const char *method, *path, *body;
    unsigned status;
    const char *detail;
} bad[] = {
    {"PUT", "/api/v1/actor-groups", "{}", 405, ""},
    {"POST", "/api/v1/actor-groups/g", "{}", 405, ""},
    {"GET", "/api/v1/actor-groups/g:scale", "", 405, ""},
    {"GET", "/api/v1/actor-groups/g/shards:send", "", 405, ""},
    {"POST", "/api/v1/actor-groups/", "{}", 404, ""},
    {"POST", "/api/v1/actor-groups/g:scale", "[]", 400, "a JSON object"},
    {"POST", "/api/v1/actor-groups/g:scale", "{\"a\":1,\"a\":2}", 400, "dupl"},
    {"POST", "/api/v1/actor-groups/g:scale", "{\"action\":\"delete\"}", 400,
     "action"},
    {"POST", "/api/v1/actor-groups/g:scale", "{\"shard_count\":\"x\"}", 400,
     "shard_count"},
    {"POST", "/api/v1/actor-groups", "{\"group_id\":\"a/b\"}", 400, ""},
    {"POST", W "executions/r/melt", "{}", 404, ""},
    {"PUT", W "executions/r", "", 405, ""},
    {"GET", W "executions?when=now", "", 400, "\"when\" is not known"},
    {"GET", W "executions?started_after_ms=soon", "", 400, "started_after_ms"},
    {"GET", W "executions/r", "{}", 400, "not from a body"},
    {"GET", W "executions/r?wait_ms=3600001", "", 400, "an hour"},
    {"POST", W "executions", "{\"parent\":{}}", 400, "parent"},
    {"POST", W "executions?namespace=a/b", "{}", 400, ""},
    {"POST", W "executions", "{\"input\":", 400, "line 1"},
    {"POST", "/api/v1/schedules", "{\"id\":\"s\",\"evry\":\"5s\"}", 400,
     "evry"},
    {"POST", "/api/v1/actors/other%2Fspace%2Flog%2Fa/timers", "{}", 403,
     "belongs to tenant \"other\""},
    {"POST", "/api/v1/actors/default%2Fspace%2Flog/timers", "{}", 400, ""},
    {"GET", A "timers?timer=x", "", 400, "timer"},
    {"POST", A "timers", "{\"every\":\"1s\"}", 400, "every"},
    {"GET", "/api/v1/lattices/Likes/p", "", 400, "lower-case"},
    {"POST", "/api/v1/lattices/likes/p:update", "{\"by\":\"x\"}", 400, "by"},
};

START_TEST(what_cannot_be_is_refused)
{
    ck_assert(!parse(bad[_i].method, bad[_i].path, NULL, bad[_i].body));
    ck_assert_msg(problem.status == bad[_i].status, "%u: %s", problem.status,
                  problem.detail);
    ck_assert_msg(strstr(problem.detail, bad[_i].detail) != NULL, "%s",
                  problem.detail);
}
END_TEST

START_TEST(the_same_key_names_the_same_request)
{
    static const char *const paths[] = {"/api/v1/actor-groups/g/shards:send",
                                        W "executions"};
    char first[64];

    ck_assert(parse("POST", paths[_i], "\"k1\"", "{}"));
    (void)snprintf(first, sizeof first, "%s", request.message.to.key);
    ck_assert(parse("POST", paths[_i], "\"k1\"", "{}"));
    ck_assert_str_eq(request.message.to.key, first);
    ck_assert(parse("POST", paths[_i], "\"k2\"", "{}"));
    ck_assert_str_ne(request.message.to.key, first);
}
END_TEST

/* As a fork of another run under the same key is another fork. */
START_TEST(one_key_on_two_paths_names_two_things)
{
    char first[sizeof payload];

    ck_assert(parse("POST", W "executions/a/fork", "\"k\"", "{}"));
    memcpy(first, strstr(payload, "execution_id"), 50);
    ck_assert(parse("POST", W "executions/a/fork", "\"k\"", "{}"));
    ck_assert_mem_eq(first, strstr(payload, "execution_id"), 40);
    ck_assert(parse("POST", W "executions/b/fork", "\"k\"", "{}"));
    ck_assert_mem_ne(first, strstr(payload, "execution_id"), 40);
}
END_TEST

START_TEST(who_waits_is_known_and_for_how_long)
{
    ck_assert(parse("GET", W "executions/r?wait_ms=1500", NULL, ""));
    ck_assert_uint_eq(request.wait_ms, 1500);
    ck_assert_ptr_null(strstr(payload, "wait_ms"));
    ck_assert(parse("GET", W "executions/r", NULL, ""));
    ck_assert_uint_eq(request.wait_ms, 0);
}
END_TEST

/* -- runs -------------------------------------------------------------------
 */

static const struct {
    const char *path, *to, *timer;
    enum plex_status status;
} runs[] = {
    {"/api/v1/promises/default%2Fshop%2Forder%2Fa~b~1f~3:resolve", "a~b",
     "promise:1f:3", PLEX_OK},
    {"/api/v1/promises/default%2Fs%2Fo%2Fk~1~0:reject", "k", "promise:1:0",
     PLEX_FAILED},
    {"/api/v1/runs/default%2Fs%2Fo%2Fk/signals/go%20on", "k", "signal:go on",
     PLEX_OK},
    {"/api/v1/runs/default%2Fs%2Fo%2Fk:cancel", "k", "cancel", PLEX_OK},
    {"/api/v1/runs/default%2Fs%2Fo%2Fk:resume", "k", "resume", PLEX_OK},
};

START_TEST(what_a_run_waits_for_goes_to_its_actor)
{
    ck_assert_msg(parse("POST", runs[_i].path, NULL, "{\"ok\":true}"), "%s",
                  problem.detail);
    ck_assert_int_eq(request.message.kind, WORK_RESOLVE);
    ck_assert_str_eq(request.message.to.key, runs[_i].to);
    ck_assert_str_eq(request.message.timer, runs[_i].timer);
    ck_assert_int_eq(request.message.reply_status, runs[_i].status);
    ck_assert_uint_eq(request.message.payload.len, 11);
}
END_TEST

static const struct {
    const char *path;
    enum work_kind kind;
    uint64_t tag;
} asks[] = {
    {"/api/v1/runs/default%2Fs%2Fo%2Fk/query/how%20far", WORK_QUERY, 0},
    {"/api/v1/runs/default%2Fs%2Fo%2Fk/update/how%20far", WORK_UPDATE,
     WORK_UPDATE_COMPLETED},
    {"/api/v1/runs/default%2Fs%2Fo%2Fk/update/how%20far?wait_for=completed",
     WORK_UPDATE, WORK_UPDATE_COMPLETED},
    {"/api/v1/runs/default%2Fs%2Fo%2Fk/update/how%20far?wait_for=accepted",
     WORK_UPDATE, WORK_UPDATE_ACCEPTED},
};

START_TEST(what_is_asked_of_a_run_goes_to_its_actor)
{
    ck_assert_msg(parse("POST", asks[_i].path, NULL, "{\"n\":1}"), "%s",
                  problem.detail);
    ck_assert_int_eq(request.message.kind, asks[_i].kind);
    ck_assert_str_eq(request.message.to.key, "k");
    ck_assert_str_eq(request.message.method, "how far");
    ck_assert_uint_eq(request.message.tag, asks[_i].tag);
    ck_assert_uint_eq(request.message.payload.len, 7);
}
END_TEST

START_TEST(an_update_is_answered_in_ways_that_are_known)
{
    ck_assert(!parse("POST",
                     "/api/v1/runs/default%2Fs%2Fo%2Fk/update/u?wait_for=ever",
                     NULL, "{}"));
    ck_assert_uint_eq(problem.status, 400);
    ck_assert_str_eq(problem.code, "INVALID_QUERY");
}
END_TEST

static const struct {
    const char *method, *path;
    unsigned status;
} bad_runs[] = {
    {"GET", "/api/v1/runs/default%2Fs%2Fo%2Fk:cancel", 405},
    {"POST", "/api/v1/promises/nonsense:resolve", 400},
    {"POST", "/api/v1/promises/a~123456789~1:resolve", 400},
    {"POST", "/api/v1/runs/default%2Fs:cancel", 400},
    {"POST", "/api/v1/runs/default%2Fs%2Fo%2Fk:stop", 404},
    {"POST", "/api/v1/runs/other%2Fs%2Fo%2Fk:cancel", 403},
    {"POST", "/api/v1/runs/default%2Fs%2Fo%2Fk/signals/", 404},
};

START_TEST(what_no_run_can_wait_for_is_refused)
{
    ck_assert(!parse(bad_runs[_i].method, bad_runs[_i].path, NULL, ""));
    ck_assert_msg(problem.status == bad_runs[_i].status, "%u: %s",
                  problem.status, problem.detail);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("service_path");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, each_path_goes_to_its_actor, 0,
                        sizeof good / sizeof *good);
    tcase_add_loop_test(tcase, what_cannot_be_is_refused, 0,
                        sizeof bad / sizeof *bad);
    tcase_add_loop_test(tcase, the_same_key_names_the_same_request, 0, 2);
    tcase_add_test(tcase, one_key_on_two_paths_names_two_things);
    tcase_add_test(tcase, who_waits_is_known_and_for_how_long);
    tcase_add_loop_test(tcase, what_a_run_waits_for_goes_to_its_actor, 0,
                        sizeof runs / sizeof *runs);
    tcase_add_loop_test(tcase, what_is_asked_of_a_run_goes_to_its_actor, 0,
                        sizeof asks / sizeof *asks);
    tcase_add_test(tcase, an_update_is_answered_in_ways_that_are_known);
    tcase_add_loop_test(tcase, what_no_run_can_wait_for_is_refused, 0,
                        sizeof bad_runs / sizeof *bad_runs);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
