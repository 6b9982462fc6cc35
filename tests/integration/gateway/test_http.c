/* The gateway's HTTP side with the other services faked: fake_clients.c. */
#include "common/context.h"
#include "services/gateway/service.h"
#include "services/gateway/text.h"
#include "tests/integration/gateway/http_client.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACTORS "/api/v1/actors/default/default/counter/"
#define VOLATILE "/api/v1/actors/default/default/volatile/"

static struct plex_instance *instance;
static const char *addr = "127.0.0.1:18480";
static struct http_answer answer;

static void
start(void)
{
    static const struct plex_setting given[] = {
        {"http_addr", "127.0.0.1:18480"},
        {"node", "gateway-test"},
        {"listen_url", "inproc://gateway-test"},
        {"admin_addr", ""},
        {"log_level", "error"},
        {"body_max_bytes", "100000"},
        {0}};
    struct plex_err err;

    if (plex_instance_start(&instance, &gate_service, given, &err) != PLEX_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    ck_assert(plex_instance_wait_ready(instance, 5000));
}

static void
stop(void)
{
    plex_instance_stop(instance);
}

static void
get(const char *target)
{
    http_do(addr, "GET", target, "", NULL, &answer);
}

static void
is(int status, const char *words)
{
    ck_assert_msg(answer.status == status, "%s%s", answer.head, answer.body);
    ck_assert_msg(strstr(answer.body, words) != NULL, "%s", answer.body);
}

static void
header_is(const char *name, const char *want)
{
    const char *value = http_header(&answer, name);

    ck_assert_msg(value != NULL && strcmp(value, want) == 0, "%s: %s", name,
                  answer.head);
}

START_TEST(a_get_is_a_call_with_the_query_as_object)
{
    get(ACTORS "echo?action=get&n=5");
    is(200, "{\"action\":\"get\",\"n\":\"5\"}");
    header_is("Content-Type", "application/json");
    header_is("X-Plexspaces-Actor", "default/default/counter/echo");
    ck_assert_uint_eq(strlen(http_header(&answer, "X-Plexspaces-Message-Id")),
                      26);
    ck_assert_ptr_null(http_header(&answer, "Idempotency-Replayed"));
}
END_TEST

START_TEST(a_post_is_a_cast_with_a_place_to_look)
{
    char want[100];

    http_do(addr, "POST", ACTORS "echo", "", "{\"a\":1}", &answer);
    is(202, "\"status\":\"accepted\"");
    (void)snprintf(want, sizeof want, "/api/v1/invocations/%s",
                   http_header(&answer, "X-Plexspaces-Message-Id"));
    header_is("Location", want);
    http_do(addr, "POST", ACTORS "echo?delay=10s", "", "{}", &answer);
    is(202, "\"due_ms\":1700000000000");
}
END_TEST

START_TEST(a_post_that_waits_is_a_call)
{
    http_do(addr, "POST", ACTORS "echo", "Prefer: wait=5\r\n", "{\"a\":1}",
            &answer);
    is(200, "{\"a\":1}");
    http_do(addr, "POST", ACTORS "meta/x/y?invocation=call",
            "Authorization: Bearer b\r\nX-Two: 2\r\n", "{}", &answer);
    is(200, "{\"method\":\"POST\",\"subpath\":\"x/y\",\"kind\":1,\"headers\":2,"
            "\"delay\":0}");
}
END_TEST

START_TEST(an_actor_chooses_status_type_and_headers)
{
    get(ACTORS "status");
    is(201, "made");
    header_is("Content-Type", "text/plain");
    header_is("X-Mine", "yes");
}
END_TEST

START_TEST(a_failing_actor_is_500_with_its_reason)
{
    get(ACTORS "fail");
    is(500, "\"detail\":\"it \\\"broke\\\"\"");
    is(500, "\"source\":\"actor\"");
    header_is("Content-Type", "application/problem+json");
    http_do(addr, "POST", ACTORS "fail", "", "{}", &answer);
    is(202, "accepted");
}
END_TEST

START_TEST(idempotency_keys_are_answered_as_the_draft_says)
{
    http_do(addr, "GET", ACTORS "replay", "Idempotency-Key: \"k1\"\r\n", NULL,
            &answer);
    is(200, "{}");
    header_is("Idempotency-Replayed", "true");
    ck_assert(
        strncmp(http_header(&answer, "X-Plexspaces-Message-Id"), "k-", 2) == 0);
    http_do(addr, "GET", ACTORS "busy", "Idempotency-Key: k1\r\n", NULL,
            &answer);
    is(409, "IDEMPOTENCY_KEY_IN_FLIGHT");
    http_do(addr, "GET", ACTORS "reused", "Idempotency-Key: k1\r\n", NULL,
            &answer);
    is(422, "IDEMPOTENCY_KEY_REUSED");
    http_do(addr, "GET", ACTORS "echo", "Idempotency-Key:\r\n", NULL, &answer);
    is(400, "Idempotency-Key must be");
}
END_TEST

START_TEST(failures_of_workers_become_their_status)
{
    get(VOLATILE "lost");
    is(503, "\"outcome_unknown\":true");
    is(503, "OUTCOME_UNKNOWN");
    get(ACTORS "full");
    is(429, "LIMIT");
    header_is("Retry-After", "1");
    get(ACTORS "twice");
    is(200, "{}");
    http_do(addr, "GET", ACTORS "away", "X-Request-Deadline-Ms: 50\r\n", NULL,
            &answer);
    is(503, "\"code\":\"UNAVAILABLE\"");
    is(503, "\"outcome_unknown\":false");
    http_do(addr, "GET", ACTORS "hang", "X-Request-Deadline-Ms: 50\r\n", NULL,
            &answer);
    is(504, "\"outcome_unknown\":true");
    http_do(addr, "GET", ACTORS "lost", "X-Request-Deadline-Ms: 50\r\n", NULL,
            &answer);
    is(504, "\"outcome_unknown\":true");
}
END_TEST

START_TEST(bad_requests_say_what_is_wrong)
{
    get("/api/v1/actors/default/default/nope/x");
    is(404, "ACTOR_TYPE_NOT_FOUND");
    get("/api/v1/actors/default/default/daemon/x");
    is(404, "NO_LIVE_INSTANCE");
    get("/api/v1/actors/default/counter");
    is(400, "ACTOR_KEY_MISSING");
    get("/api/v1/actors/default/counter?key=echo");
    is(200, "{}");
    get("/api/v1/actors/default/nope");
    is(404, "ACTOR_TYPE_NOT_FOUND");
    get("/api/v1/actors/acme/default/counter/x");
    is(403, "TENANT_FORBIDDEN");
    get(ACTORS "a%2Fb");
    is(400, "actor key");
    http_do(addr, "PATCH", ACTORS "x", "", "{}", &answer);
    is(405, "METHOD_NOT_ALLOWED");
    header_is("Allow", "GET, POST, PUT, DELETE");
    http_do(addr, "POST", ACTORS "x", "", "{", &answer);
    is(400, "INVALID_JSON");
}
END_TEST

START_TEST(too_large_a_body_is_413)
{
    char *body = calloc(1, 200001);

    memset(body, ' ', 200000);
    http_do(addr, "POST", ACTORS "x", "", body, &answer);
    is(413, "\"status\":413");
    free(body);
}
END_TEST

START_TEST(a_trace_comes_back)
{
    http_do(addr, "GET", ACTORS "echo",
            "traceparent: "
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
            NULL, &answer);
    ck_assert(strstr(http_header(&answer, "traceparent"),
                     "0af7651916cd43dd8448eb211c80319c") != NULL);
}
END_TEST

START_TEST(actors_are_listed_in_pages)
{
    char target[300];
    const char *token;

    get("/api/v1/actors?page_size=2");
    is(200, "counter/a");
    is(200, "counter/b");
    ck_assert_ptr_null(strstr(answer.body, "counter/c"));
    token = strstr(answer.body, "\"nextPageToken\":\"");
    ck_assert_ptr_nonnull(token);
    token += strlen("\"nextPageToken\":\"");
    (void)snprintf(target, sizeof target,
                   "/api/v1/actors?page_size=2&page_token=%.*s",
                   (int)strcspn(token, "\""), token);
    get(target);
    is(200, "counter/c");
    is(200, "\"nextPageToken\":\"\"");
    ck_assert_ptr_null(strstr(answer.body, "counter/b"));
    get("/api/v1/actors?page_size=1001");
    is(400, "at most 1000");
    get("/api/v1/actors?page_token=%21");
    is(400, "page_token");
    get("/api/v1/actors?colour=red");
    is(400, "colour");
}
END_TEST

START_TEST(an_actor_is_looked_at)
{
    get("/api/v1/actors/default%2Fdefault%2Fcounter%2Fb");
    is(200, "\"actorId\":\"default/default/counter/b\"");
    get("/api/v1/actors/default%2Fdefault%2Fcounter%2Fz");
    is(404, "ACTOR_NOT_FOUND");
    get("/api/v1/actors/acme%2Fdefault%2Fcounter%2Fz");
    is(403, "TENANT_FORBIDDEN");
    get("/api/v1/actors/counter");
    is(400, "tenant/namespace/type/key");
}
END_TEST

START_TEST(health_names_what_is_missing)
{
    get("/api/v1/system/health");
    is(200, "\"HEALTH_STATUS_UNHEALTHY\"");
    is(200, "none is ready");
    get("/api/v1/system/info");
    is(200, "\"shardCount\":4096");
    get("/api/v1/system/metrics/nobody");
    is(404, "NODE_NOT_FOUND");
    get("/api/v1/system/metrics/worker-1");
    is(503, "NODE_LOST");
}
END_TEST

START_TEST(unknown_routes_and_methods_are_told_apart)
{
    get("/nope");
    is(404, "ROUTE_NOT_FOUND");
    http_do(addr, "POST", "/api/v1/system/info", "", "{}", &answer);
    is(405, "METHOD_NOT_ALLOWED");
    header_is("Allow", "GET, HEAD");
    get("/");
    is(200, "plexspaces");
    http_do(addr, "POST", "/api/v1/nodes/x:drain", "", NULL, &answer);
    is(503, "no placement is registered");
    http_do(addr, "POST", "/api/v1/applications", "Content-Type: text/x\r\n",
            "{}", &answer);
    is(415, "application/json");
    http_do(addr, "POST", "/api/v1/applications", "", "{\"app\":{}}", &answer);
    is(400, "app");
    http_do(addr, "POST", "/api/v1/applications", "", "{", &answer);
    is(400, "line 1");
}
END_TEST

START_TEST(the_surface_describes_itself)
{
    json_error_t err;
    json_t *document;

    get("/openapi.json");
    is(200, "\"openapi\":\"3.1.0\"");
    document = json_loads(answer.body, JSON_REJECT_DUPLICATES, &err);
    ck_assert_ptr_nonnull(document);
    ck_assert_ptr_nonnull(
        json_object_get(json_object_get(json_object_get(document, "paths"),
                                        "/api/v1/nodes/{node_id}:drain"),
                        "post"));
    json_decref(document);
}
END_TEST

static void
invocation_of(const char *key, char *target, size_t size)
{
    static const struct plex_actor_id actor = {"default", "default", "counter",
                                               "a"};
    char text[GATE_ID_TEXT_MAX + 1];
    struct plex_arena arena;

    plex_arena_init(&arena, 4096);
    gate_id_format(gate_id_of_key(&actor, key, &arena), text);
    (void)snprintf(target, size, "/api/v1/invocations/%s", text);
    plex_arena_fini(&arena);
}

START_TEST(invocations_are_looked_up)
{
    char target[600];

    invocation_of("done", target, sizeof target);
    get(target);
    is(200, "\"status\":\"succeeded\"");
    is(200, "\"reply\":{\"count\":3}");
    is(200, "\"actor\":\"default/default/counter/a\"");
    invocation_of("binary", target, sizeof target);
    get(target);
    is(200, "\"reply_base64url\":\"__4\"");
    invocation_of("unknown", target, sizeof target);
    get(target);
    is(404, "INVOCATION_NOT_FOUND");
    invocation_of("scheduled", target, sizeof target);
    get(target);
    is(200, "\"status\":\"scheduled\",\"due_ms\":7");
    strcat(target, "?wait=50ms");
    get(target);
    is(200, "scheduled");
    get("/api/v1/invocations/abc");
    is(400, "invocation id");
    get("/api/v1/invocations/01ARZ3NDEKTSV4RRFFQ69G5FAV?wait=x");
    is(400, "wait must be");
}
END_TEST

START_TEST(another_address_than_loopback_is_refused)
{
    static const struct plex_setting given[] = {
        {"http_addr", "0.0.0.0:0"},
        {"listen_url", "inproc://gateway-open"},
        {"admin_addr", ""},
        {0}};
    struct plex_instance *open;
    struct plex_err err;

    ck_assert_int_eq(plex_instance_start(&open, &gate_service, given, &err),
                     PLEX_INVALID);
    ck_assert(strstr(err.text, "allow_open") != NULL);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("gateway.http");
    TCase *tc = tcase_create("http");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_unchecked_fixture(tc, start, stop);
    tcase_add_test(tc, a_get_is_a_call_with_the_query_as_object);
    tcase_add_test(tc, a_post_is_a_cast_with_a_place_to_look);
    tcase_add_test(tc, a_post_that_waits_is_a_call);
    tcase_add_test(tc, an_actor_chooses_status_type_and_headers);
    tcase_add_test(tc, a_failing_actor_is_500_with_its_reason);
    tcase_add_test(tc, idempotency_keys_are_answered_as_the_draft_says);
    tcase_add_test(tc, failures_of_workers_become_their_status);
    tcase_add_test(tc, bad_requests_say_what_is_wrong);
    tcase_add_test(tc, too_large_a_body_is_413);
    tcase_add_test(tc, a_trace_comes_back);
    tcase_add_test(tc, actors_are_listed_in_pages);
    tcase_add_test(tc, an_actor_is_looked_at);
    tcase_add_test(tc, health_names_what_is_missing);
    tcase_add_test(tc, unknown_routes_and_methods_are_told_apart);
    tcase_add_test(tc, the_surface_describes_itself);
    tcase_add_test(tc, invocations_are_looked_up);
    tcase_add_test(tc, another_address_than_loopback_is_refused);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
