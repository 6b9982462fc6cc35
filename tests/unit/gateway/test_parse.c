#include "services/gateway/parse.h"

#include <check.h>
#include <stdio.h>
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

/* "METHOD /path?query" with up to two headers and a body. */
static bool
parse(const char *method, const char *target, const struct work_header *headers,
      size_t n, const char *body)
{
    static char path[20000];
    struct gate_input input = {.method = method,
                               .path = path,
                               .query = "",
                               .headers = headers,
                               .n_headers = n,
                               .now_ns = 5000000};
    char *query;

    (void)snprintf(path, sizeof path, "%s", target);
    query = strchr(path, '?');
    if (query != NULL) {
        *query = '\0';
        input.query = query + 1;
    }
    memcpy(input.id, "0123456789abcdef", 16);
    input.body = (struct plex_bytes){(const uint8_t *)body, strlen(body)};
    plex_arena_reset(&arena);
    problem = (struct gate_problem){0};
    return gate_parse(&rules, &input, &arena, &request, &problem);
}

static bool
get(const char *target)
{
    return parse("GET", target, NULL, 0, "");
}

static bool
with(const char *method, const char *target, const char *name,
     const char *value)
{
    const struct work_header header = {name, value};

    return parse(method, target, &header, 1, "");
}

static void
refused(unsigned status, const char *code, const char *words)
{
    ck_assert_uint_eq(problem.status, status);
    ck_assert_str_eq(problem.code, code);
    ck_assert_msg(strstr(problem.detail, words) != NULL, "detail is \"%s\"",
                  problem.detail);
}

static void
payload_is(const char *want)
{
    ck_assert_uint_eq(request.message.payload.len, strlen(want));
    ck_assert_mem_eq(request.message.payload.data, want, strlen(want));
}

START_TEST(a_full_path_names_the_actor)
{
    ck_assert(get("/api/v1/actors/default/shop/cart/user:42/items/7?a=1"));
    ck_assert_str_eq(request.message.to.tenant, "default");
    ck_assert_str_eq(request.message.to.ns, "shop");
    ck_assert_str_eq(request.message.to.type, "cart");
    ck_assert_str_eq(request.message.to.key, "user:42");
    ck_assert_str_eq(request.message.subpath, "items/7");
    ck_assert_str_eq(request.context.tenant, "default");
    ck_assert_str_eq(request.context.ns, "shop");
    ck_assert_int_eq(request.message.kind, WORK_CALL);
    ck_assert_uint_eq(request.context.deadline, 5000000 + 30000000000ULL);
    ck_assert_uint_eq(request.message.id.len, 16);
    ck_assert_str_eq(request.message.content_type, "application/json");
    payload_is("{\"a\":\"1\"}");
}
END_TEST

START_TEST(a_short_path_takes_the_key_from_the_query)
{
    ck_assert(get("/api/v1/actors/shop/cart?key=u%201&x=2"));
    ck_assert_str_eq(request.message.to.tenant, "default");
    ck_assert_str_eq(request.message.to.key, "u 1");
    ck_assert(!request.key_missing);
    payload_is("{\"x\":\"2\"}");
    ck_assert(get("/api/v1/actors/shop/cart"));
    ck_assert(request.key_missing);
    payload_is("{}");
    ck_assert(get("/api/v1/actors/default/shop/cart?key=k"));
    ck_assert_str_eq(request.message.to.key, "k");
    ck_assert(get("/api/v1/actors/default/shop/cart/k?key=other"));
    ck_assert_str_eq(request.message.to.key, "k");
    payload_is("{\"key\":\"other\"}");
}
END_TEST

START_TEST(another_tenant_is_403)
{
    ck_assert(!get("/api/v1/actors/acme/shop/cart/k"));
    refused(403, "TENANT_FORBIDDEN", "acme");
}
END_TEST

START_TEST(bad_names_are_400_and_say_which)
{
    ck_assert(!get("/api/v1/actors/default/Shop/cart/k"));
    refused(400, "INVALID_PATH", "namespace");
    ck_assert(!get("/api/v1/actors/default/shop/9cart/k"));
    refused(400, "INVALID_PATH", "actor type");
    ck_assert(!get("/api/v1/actors/default/shop/cart/a%2Fb"));
    refused(400, "INVALID_PATH", "actor key");
    ck_assert(!get("/api/v1/actors/default/shop/cart/a%00b"));
    refused(400, "INVALID_PATH", "actor key");
    ck_assert(!get("/api/v1/actors/default/shop/cart/a%0ab"));
    refused(400, "INVALID_PATH", "actor key");
    ck_assert(!get("/api/v1/actors/default/shop/cart/%zz"));
    refused(400, "INVALID_PATH", "actor key");
    ck_assert(!get("/api/v1/actors/default/shop/cart/%ff"));
    refused(400, "INVALID_PATH", "UTF-8");
    ck_assert(!get("/api/v1/actors/default/shop/cart/\xff"));
    refused(400, "INVALID_PATH", "UTF-8");
    ck_assert(!get("/api/v1/actors/default/shop/cart/"));
    refused(400, "INVALID_PATH", "actor key is empty");
    ck_assert(!get("/api/v1/actors//cart"));
    refused(400, "INVALID_PATH", "namespace is empty");
    ck_assert(!get("/api/v1/actors/shop/cart?key="));
    refused(400, "INVALID_QUERY", "actor key is empty");
}
END_TEST

START_TEST(an_over_long_key_or_path_is_refused)
{
    char target[6000] = "/api/v1/actors/default/shop/cart/";

    memset(target + strlen(target), 'x', 256);
    ck_assert(!get(target));
    refused(400, "INVALID_PATH", "255");
    memset(target + strlen(target), 'x', 5000);
    ck_assert(!get(target));
    refused(414, "URI_TOO_LONG", "4096");
}
END_TEST

START_TEST(methods_decide_between_call_and_cast)
{
    const char *path = "/api/v1/actors/default/shop/cart/k";
    char target[100];

    ck_assert(parse("POST", path, NULL, 0, "{}"));
    ck_assert_int_eq(request.message.kind, WORK_CAST);
    ck_assert(parse("PUT", path, NULL, 0, "{}"));
    ck_assert_int_eq(request.message.kind, WORK_CAST);
    ck_assert(parse("DELETE", path, NULL, 0, ""));
    ck_assert_int_eq(request.message.kind, WORK_CALL);
    (void)snprintf(target, sizeof target, "%s?invocation=call", path);
    ck_assert(parse("POST", target, NULL, 0, "{}"));
    ck_assert_int_eq(request.message.kind, WORK_CALL);
    ck_assert_str_eq(request.message.query, "invocation=call");
    (void)snprintf(target, sizeof target, "%s?invocation=cast&a=1", path);
    ck_assert(get(target));
    ck_assert_int_eq(request.message.kind, WORK_CAST);
    payload_is("{\"a\":\"1\"}");
    (void)snprintf(target, sizeof target, "%s?invocation=later", path);
    ck_assert(!get(target));
    refused(400, "INVALID_QUERY", "later");
    ck_assert(!parse("PATCH", path, NULL, 0, "{}"));
    refused(405, "METHOD_NOT_ALLOWED", "GET, POST");
}
END_TEST

START_TEST(prefer_decides_too_and_bounds_the_wait)
{
    const char *path = "/api/v1/actors/default/shop/cart/k";

    ck_assert(with("POST", path, "Prefer", "return=minimal, Wait=7"));
    ck_assert_int_eq(request.message.kind, WORK_CALL);
    ck_assert_uint_eq(request.context.deadline, 5000000 + 7000000000ULL);
    ck_assert(with("GET", path, "prefer", "respond-async"));
    ck_assert_int_eq(request.message.kind, WORK_CAST);
    ck_assert_uint_eq(request.message.n_headers, 0);
    ck_assert(!with("GET", path, "prefer", "wait=soon"));
    refused(400, "INVALID_HEADER", "wait=10");
}
END_TEST

START_TEST(the_deadline_header_is_a_number_in_range)
{
    const char *path = "/api/v1/actors/default/shop/cart/k";
    const char *const bad[] = {
        "0", "3600001", "-1", "1s", "", " 5", "99999999999999999999"};

    ck_assert(with("GET", path, "X-Request-Deadline-Ms", "250"));
    ck_assert_uint_eq(request.context.deadline, 5000000 + 250000000ULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert(!with("GET", path, "X-Request-Deadline-Ms", bad[i]));
        refused(400, "INVALID_HEADER", "1 to 3600000");
    }
}
END_TEST

START_TEST(a_delay_is_for_casts)
{
    const char *path = "/api/v1/actors/default/shop/cart/k";
    char target[100];

    (void)snprintf(target, sizeof target, "%s?delay=10s", path);
    ck_assert(parse("POST", target, NULL, 0, ""));
    ck_assert_uint_eq(request.message.delay_ms, 10000);
    ck_assert(!get(target));
    refused(400, "INVALID_QUERY", "casts");
    (void)snprintf(target, sizeof target, "%s?delay=10d", path);
    ck_assert(!parse("POST", target, NULL, 0, ""));
    refused(400, "INVALID_QUERY", "10s");
}
END_TEST

START_TEST(an_idempotency_key_makes_the_id_and_the_hash)
{
    const char *path = "/api/v1/actors/default/shop/cart/k?a=1";
    uint64_t hash;
    uint8_t id[64];
    size_t len;

    ck_assert(with("GET", path, "Idempotency-Key", "\"a \\\"b\\\"\""));
    ck_assert(request.message.keyed);
    ck_assert_uint_eq(request.message.ttl_ms, GATE_TTL_KEYED_MS);
    len = request.message.id.len;
    ck_assert_uint_eq(len, 18 + 5);
    ck_assert_mem_eq(request.message.id.data + 18, "a \"b\"", 5);
    memcpy(id, request.message.id.data, len);
    hash = request.message.request_hash;
    ck_assert(hash != 0);
    ck_assert(with("GET", path, "Idempotency-Key", "\"a \\\"b\\\"\""));
    ck_assert_uint_eq(request.message.request_hash, hash);
    ck_assert_mem_eq(request.message.id.data, id, len);
    ck_assert(with("DELETE", path, "Idempotency-Key", "abc"));
    ck_assert_uint_eq(request.message.id.len, 18 + 3);
    ck_assert(request.message.request_hash != hash);
    ck_assert(get(path));
    ck_assert(!request.message.keyed);
    ck_assert_uint_eq(request.message.request_hash, 0);
}
END_TEST

START_TEST(bad_idempotency_keys_are_400)
{
    const char *path = "/api/v1/actors/default/shop/cart/k";
    const char *const bad[] = {"",       "\"\"",    "a b",  "\"a",
                               "\"a\"b", "\"\\n\"", "\x01", "\xc3\xa4"};
    char longest[257] = "";
    const struct work_header twice[] = {{"Idempotency-Key", "a"},
                                        {"Idempotency-Key", "b"}};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert(!with("GET", path, "Idempotency-Key", bad[i]));
        refused(400, "INVALID_HEADER", "Idempotency-Key");
    }
    memset(longest, 'k', 255);
    ck_assert(with("GET", path, "Idempotency-Key", longest));
    ck_assert_uint_le(request.message.id.len, 300);
    memset(longest, 'k', 256);
    ck_assert(!with("GET", path, "Idempotency-Key", longest));
    ck_assert(!parse("GET", path, twice, 2, ""));
    refused(400, "INVALID_HEADER", "twice");
}
END_TEST

START_TEST(headers_for_the_actor_pass_and_others_do_not)
{
    static const struct work_header headers[] = {
        {"Accept", "text/plain"},
        {"Authorization", "Bearer x"},
        {"Connection", "keep-alive"},
        {"X-Tenant-Id", "acme"},
        {"X-Plexspaces-Actor", "z"},
        {"X-Mine", "1"},
        {"Cookie", "c"},
        {"Content-Type", "text/plain"},
    };

    ck_assert(parse("POST", "/api/v1/actors/default/shop/cart/k", headers, 8,
                    "not json"));
    ck_assert_uint_eq(request.message.n_headers, 2);
    ck_assert_str_eq(request.message.headers[0].name, "Accept");
    ck_assert_str_eq(request.message.headers[1].name, "X-Mine");
    ck_assert_str_eq(request.message.content_type, "text/plain");
    payload_is("not json");
    ck_assert(!with("GET", "/api/v1/actors/shop/cart?key=k", "X-Mine", "\xff"));
    refused(400, "INVALID_HEADER", "X-Mine");
}
END_TEST

START_TEST(more_headers_than_an_actor_may_get_are_431)
{
    struct work_header many[101];

    for (int i = 0; i < 101; i++)
        many[i] = (struct work_header){"x", "y"};
    ck_assert(!parse("GET", "/api/v1/actors/shop/cart?key=k", many, 101, ""));
    refused(431, "TOO_MANY_HEADERS", "100");
}
END_TEST

START_TEST(a_trace_is_carried_and_a_bad_one_dropped)
{
    const char *path = "/api/v1/actors/shop/cart?key=k";

    ck_assert(with("GET", path, "traceparent",
                   "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    ck_assert_uint_eq(request.context.trace.trace_id[0], 0x0a);
    ck_assert(with("GET", path, "traceparent", "00-zz"));
    ck_assert_uint_eq(request.context.trace.trace_id[0], 0);
}
END_TEST

START_TEST(bodies_that_claim_json_are_checked)
{
    const char *path = "/api/v1/actors/default/shop/cart/k";
    const struct work_header json = {"Content-Type",
                                     "Application/JSON; charset=utf-8"};

    ck_assert(!parse("POST", path, NULL, 0, "{\"a\":}"));
    refused(400, "INVALID_JSON", "byte 6");
    ck_assert(!parse("POST", path, &json, 1, "{"));
    refused(400, "INVALID_JSON", "byte 2");
    ck_assert(parse("POST", path, NULL, 0, ""));
    ck_assert(!parse("GET", path, NULL, 0, "{}"));
    refused(400, "INVALID_BODY", "GET");
}
END_TEST

START_TEST(a_query_that_cannot_be_an_object_is_400)
{
    const char *const bad[] = {"a=1&a=2", "a=%zz", "%00=1", "=1", "a=%ff"};
    char target[1500] = "/api/v1/actors/shop/cart?key=k";

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        (void)snprintf(target, sizeof target,
                       "/api/v1/actors/shop/cart?key=k&%s", bad[i]);
        ck_assert(!get(target));
        refused(400, "INVALID_QUERY", "query parameter");
    }
    ck_assert(get("/api/v1/actors/shop/cart?key=k&q=a%22b%5C%01+c&&e"));
    payload_is("{\"q\":\"a\\\"b\\\\\\u0001 c\",\"e\":\"\"}");
    target[strlen("/api/v1/actors/shop/cart?key=k")] = '\0';
    for (int i = 0; i < 100; i++)
        (void)snprintf(target + strlen(target), sizeof target - strlen(target),
                       "&p%d=1", i);
    ck_assert(!get(target));
    refused(400, "INVALID_QUERY", "more than 100");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("gateway.parse");
    TCase *tc = tcase_create("parse");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_full_path_names_the_actor);
    tcase_add_test(tc, a_short_path_takes_the_key_from_the_query);
    tcase_add_test(tc, another_tenant_is_403);
    tcase_add_test(tc, bad_names_are_400_and_say_which);
    tcase_add_test(tc, an_over_long_key_or_path_is_refused);
    tcase_add_test(tc, methods_decide_between_call_and_cast);
    tcase_add_test(tc, prefer_decides_too_and_bounds_the_wait);
    tcase_add_test(tc, the_deadline_header_is_a_number_in_range);
    tcase_add_test(tc, a_delay_is_for_casts);
    tcase_add_test(tc, an_idempotency_key_makes_the_id_and_the_hash);
    tcase_add_test(tc, bad_idempotency_keys_are_400);
    tcase_add_test(tc, headers_for_the_actor_pass_and_others_do_not);
    tcase_add_test(tc, more_headers_than_an_actor_may_get_are_431);
    tcase_add_test(tc, a_trace_is_carried_and_a_bad_one_dropped);
    tcase_add_test(tc, bodies_that_claim_json_are_checked);
    tcase_add_test(tc, a_query_that_cannot_be_an_object_is_400);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
