/* Facets that look on or act on their own: timer, metrics, logging, tracing,
 * event_emitter, virtual_actor, key_value, http_client. */
#include "sdk/c/include/plexspaces/http.h"
#include "tests/unit/facets/helper.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAIRS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* -- timer ----------------------------------------------------------------- */

START_TEST(declared_timers_fire_without_drift)
{
    facet_start("timer", PAIRS("timers=beat=100ms, once=250ms once, "
                               "late=100ms after 1s"));
    ck_assert_uint_eq(rt_facets_due_ns(chain), UINT64_MAX);
    rt_facets_init_complete(chain, when);
    ck_assert_uint_eq(rt_facets_due_ns(chain), when.now_ns + 100 * MS);
    later(99);
    ck_assert_str_eq(facet_action(), "");
    later(1);
    ck_assert_str_eq(facet_action(), "tick beat 1");
    later(130); /* 30 ms late: the next is due as if it were not */
    ck_assert_str_eq(facet_action(), "tick beat 2");
    later(20);
    ck_assert_str_eq(facet_action(), "tick once 1");
    ck_assert_str_eq(facet_action(), "");
    later(50);
    ck_assert_str_eq(facet_action(), "tick beat 3");
    later(900); /* what was missed is not made up for */
    ck_assert_str_eq(facet_action(), "tick beat 4");
    ck_assert_str_eq(facet_action(), "tick late 1");
    ck_assert_str_eq(facet_action(), "");
    later(100);
    ck_assert_str_eq(facet_action(), "tick beat 5");
    ck_assert_str_eq(facet_action(), "tick late 2");
}
END_TEST

START_TEST(timers_are_set_and_cancelled_at_run_time)
{
    const char *answer;

    facet_start("timer", PAIRS("max_timers=2"));
    rt_facets_init_complete(chain, when);
    ck_assert_int_eq(facet_invoke("set", "a=10ms", NULL), 0);
    ck_assert_int_eq(facet_invoke("set", "b=20ms once", NULL), 0);
    ck_assert_int_eq(facet_invoke("set", "c=30ms", NULL), -PLEX_LIMIT);
    ck_assert_int_eq(facet_invoke("set", "c", NULL), -PLEX_INVALID);
    ck_assert_int_eq(facet_invoke("set", "a=50ms", NULL), 0);
    later(20);
    ck_assert_str_eq(facet_action(), "tick b 1");
    ck_assert_int_eq(facet_invoke("list", "", &answer), 0);
    ck_assert_str_eq(answer, "a\n");
    ck_assert_int_eq(facet_invoke("cancel", "a", NULL), 0);
    ck_assert_int_eq(facet_invoke("cancel", "a", NULL), -PLEX_NOT_FOUND);
    ck_assert_uint_eq(rt_facets_due_ns(chain), UINT64_MAX);
}
END_TEST

START_TEST(timers_that_cannot_be_read_are_refused)
{
    facet_refused("timer", PAIRS("timers=beat"), "NAME=INTERVAL");
    facet_refused("timer", PAIRS("timers=beat=0s"), "NAME=INTERVAL");
    facet_refused("timer", PAIRS("timers=a=1s, a=2s"), "twice");
    facet_refused("timer", PAIRS("timers=a=1s, b=2s", "max_timers=1"),
                  "max_timers");
    facet_refused("timer", PAIRS("timers=a=1s sometimes"), "NAME=INTERVAL");
}
END_TEST

/* -- metrics --------------------------------------------------------------- */

START_TEST(messages_are_counted_by_type_and_outcome)
{
    const struct plex_msg get = facet_msg("GET", "");

    facet_start("metrics", PAIRS("per_method=true"));
    (void)facet_send(&get, "", 200, "x");
    ck_assert_str_eq(facet_action(),
                     "count plexspaces_actor_messages_total{type=\"counter\","
                     "method=\"GET\",outcome=\"ok\"} 1");
    ck_assert_str_eq(facet_action(),
                     "observe plexspaces_actor_message_seconds{type="
                     "\"counter\",method=\"GET\",outcome=\"ok\"} 0");
    facet_start("metrics", PAIRS("namespace=shop"));
    (void)facet_send(&get, "", 0, "bad");
    ck_assert_str_eq(facet_action(), "count shop_actor_messages_total{type="
                                     "\"counter\",outcome=\"failed\"} 1");
    facet_refused("metrics", PAIRS("namespace=Shop-1"), "lower-case");
}
END_TEST

/* -- logging --------------------------------------------------------------- */

START_TEST(messages_are_logged_at_their_level)
{
    struct plex_msg get = facet_msg("GET", "{\"a\":1}");

    facet_start("logging", NULL);
    (void)facet_send(&get, "bob", 200, "x");
    ck_assert_str_eq(facet_action(),
                     "log2 t/n/counter/a GET from bob: 200 in 0.000 ms");
    get.sender = "t/n/other/b";
    (void)facet_send(&get, "bob", 0, "bad");
    ck_assert_str_eq(
        facet_action(),
        "log0 t/n/counter/a GET from t/n/other/b: 500 in 0.000 ms: bad");
    facet_start("logging", PAIRS("level=error", "format=json", "payload=true"));
    (void)facet_send(&get, "", 200, "x");
    ck_assert_str_eq(facet_action(), "");
    (void)facet_send(&get, "", 0, "b\"ad");
    ck_assert_str_eq(
        facet_action(),
        "log0 {\"actor\":\"t/n/counter/a\",\"method\":\"GET\",\"from\":"
        "\"t/n/other/b\",\"id\":\"m1\",\"status\":500,\"took_us\":0,\"error\":"
        "\"b\\\"ad\",\"payload\":\"{\\\"a\\\":1}\"}");
    facet_start("logging", PAIRS("level=debug"));
    rt_facets_init_complete(chain, when);
    ck_assert_str_eq(facet_action(), "log3 t/n/counter/a started");
    rt_facets_terminate(chain, "shutdown", when);
    ck_assert_str_eq(facet_action(), "log3 t/n/counter/a ends: shutdown");
}
END_TEST

/* -- tracing --------------------------------------------------------------- */

static const char *
traced(const char *traceparent, const char *part, size_t len)
{
    static char found[64];
    const struct plex_msg get = facet_msg("GET", "");
    const struct plex_facet_result result = {200, "x", "", 0, 0};
    struct rt_facet_call call = {.traceparent = traceparent};
    const char *line, *at;

    when.random++;
    (void)rt_facets_before(chain, &call, &get, when);
    (void)rt_facets_after(chain, &call, &result, when);
    rt_facets_end(chain, &call);
    line = facet_action();
    at = strstr(line, part);
    snprintf(found, sizeof found, "%.*s", (int)len,
             at == NULL ? "" : at + strlen(part) + 3);
    return found;
}

START_TEST(spans_continue_the_trace_they_come_with)
{
    static const char parent[] =
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    static const char unsampled[] =
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    char first[64];

    facet_start("tracing", NULL);
    ck_assert_str_eq(traced(parent, "traceId", 32),
                     "0af7651916cd43dd8448eb211c80319c");
    ck_assert_str_eq(traced(parent, "parentSpanId", 16), "b7ad6b7169203331");
    ck_assert_str_eq(traced(unsampled, "traceId", 32), "");
    snprintf(first, sizeof first, "%s", traced(NULL, "traceId", 32));
    ck_assert_uint_eq(strlen(first), 32);
    ck_assert_str_ne(traced(NULL, "traceId", 32), first);
    ck_assert_uint_eq(strlen(traced("nonsense", "traceId", 32)), 32);
    facet_start("tracing", PAIRS("sampler=never"));
    ck_assert_str_eq(traced(parent, "traceId", 32), "");
    facet_start("tracing", PAIRS("sampler=always"));
    ck_assert_uint_eq(strlen(traced(unsampled, "traceId", 32)), 32);
}
END_TEST

START_TEST(spans_are_written_as_their_exporter_wants_them)
{
    struct plex_msg get = facet_msg("GET", "");

    get.id = "m1";
    facet_start("tracing", PAIRS("exporter=otlp", "service_name=a\"b"));
    (void)facet_send(&get, NULL, 200, "x");
    ck_assert_msg(
        strstr(facet_action(),
               "\"name\":\"counter GET\",\"kind\":2,\"startTimeUnixNano\":"
               "\"1700000000000000000\",\"endTimeUnixNano\":"
               "\"1700000000000000000\",\"attributes\":[{\"key\":"
               "\"plexspaces.actor\",\"value\":{\"stringValue\":"
               "\"t/n/counter/a\"}},{\"key\":\"plexspaces.message_id\","
               "\"value\":{\"stringValue\":\"m1\"}},{\"key\":"
               "\"http.response.status_code\",\"value\":{\"intValue\":"
               "\"200\"}}],\"status\":{\"code\":1,\"message\":\"\"}}") != NULL,
        "OTLP");
    facet_start("tracing", PAIRS("exporter=jaeger"));
    (void)facet_send(&get, NULL, 0, "no");
    ck_assert_ptr_nonnull(
        strstr(facet_action(), "\"status\":{\"code\":2,\"message\":\"no\"}}"));
    facet_start("tracing", PAIRS("exporter=zipkin"));
    (void)facet_send(&get, NULL, 0, "no");
    ck_assert_ptr_nonnull(
        strstr(facet_action(),
               "\"name\":\"counter GET\",\"kind\":\"SERVER\",\"timestamp\":"
               "1700000000000000,\"duration\":1,\"localEndpoint\":{"
               "\"serviceName\":\"plexspaces\"},\"tags\":{\"plexspaces.actor\":"
               "\"t/n/counter/a\",\"plexspaces.message_id\":\"m1\","
               "\"http.status_code\":\"500\",\"error\":\"no\"}}"));
}
END_TEST

START_TEST(spans_go_where_the_configuration_says)
{
    static const struct {
        const char *exporter, *endpoint, *where;
    } rows[] = {
        {"exporter=console", NULL, "span {"},
        {"exporter=otlp", NULL, "http://127.0.0.1:4318/v1/traces span {"},
        {"exporter=jaeger", NULL, "http://127.0.0.1:4318/v1/traces span {"},
        {"exporter=zipkin", NULL, "http://127.0.0.1:9411/api/v2/spans span {"},
        {"exporter=otlp", "endpoint=https://h/x", "https://h/x span {"},
    };
    const struct plex_msg get = facet_msg("GET", "");

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *action;

        facet_start("tracing", PAIRS(rows[i].exporter, rows[i].endpoint));
        (void)facet_send(&get, NULL, 200, "x");
        action = facet_action();
        ck_assert_msg(strncmp(action, rows[i].where, strlen(rows[i].where)) ==
                          0,
                      "%s: %s", rows[i].exporter, action);
    }
    facet_refused("tracing", PAIRS("endpoint=http://h/"),
                  "config.endpoint wants exporter");
    facet_refused("tracing", PAIRS("exporter=otlp", "endpoint=h:4318"),
                  "must be a URL that begins with http://");
}
END_TEST

START_TEST(lines_go_where_the_configuration_says)
{
    const struct plex_msg get = facet_msg("GET", "");

    facet_start("logging", PAIRS("output=stdout"));
    (void)facet_send(&get, NULL, 200, "x");
    ck_assert_str_eq(facet_action(), "stdout log2 1700000000.000 info "
                                     "t/n/counter/a GET from outside: 200 in "
                                     "0.000 ms");
    facet_start("logging", PAIRS("output=file", "file=a.log", "format=json"));
    (void)facet_send(&get, NULL, 200, "x");
    ck_assert_ptr_nonnull(strstr(facet_action(),
                                 "file log2 {\"time_ms\":1700000000000,"
                                 "\"level\":\"info\",\"actor\":"));
    facet_start("logging", PAIRS("output=syslog", "level=error"));
    (void)facet_send(&get, NULL, 200, "x");
    ck_assert_str_eq(facet_action(), "");
    facet_refused("logging", PAIRS("output=file", "file=../x"),
                  "must be a name without a folder");
    facet_refused("logging", PAIRS("file=x"), "config.file wants output file");
    facet_refused("logging", PAIRS("output=printer"), "log|stdout|file|syslog");
}
END_TEST

START_TEST(a_ratio_samples_about_so_many)
{
    int sampled = 0;

    facet_start("tracing", PAIRS("sampler=ratio", "ratio=0.25"));
    for (int i = 0; i < 4000; i++)
        sampled += traced(NULL, "traceId", 32)[0] != '\0';
    ck_assert_int_gt(sampled, 800);
    ck_assert_int_lt(sampled, 1200);
}
END_TEST

START_TEST(a_handler_learns_what_to_pass_on)
{
    const struct plex_msg get = facet_msg("GET", "");
    struct rt_facet_call call = {
        .traceparent =
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"};
    const char *answer;

    facet_start("tracing", NULL);
    (void)rt_facets_before(chain, &call, &get, when);
    ck_assert_int_eq(facet_invoke("traceparent", "", &answer), 0);
    ck_assert_int_eq(
        strncmp(answer, "00-0af7651916cd43dd8448eb211c80319c-", 36), 0);
    ck_assert_ptr_null(strstr(answer, "b7ad6b7169203331"));
    ck_assert_str_eq(answer + 52, "-01");
    (void)rt_facets_error(chain, &call, "bad", when);
    rt_facets_end(chain, &call);
    ck_assert_ptr_nonnull(strstr(facet_action(), "STATUS_CODE_ERROR"));
    ck_assert_int_eq(facet_invoke("traceparent", "", &answer), -PLEX_NOT_FOUND);
}
END_TEST

/* -- event_emitter --------------------------------------------------------- */

START_TEST(events_go_to_groups)
{
    facet_start("event_emitter",
                PAIRS("on=orders.new, orders.old", "topics=orders.*, alarms"));
    ck_assert_str_eq(facet_action(), "");
    rt_facets_init_complete(chain, when);
    ck_assert_str_eq(facet_action(), "join event:orders.new");
    ck_assert_str_eq(facet_action(), "join event:orders.old");
    ck_assert_int_eq(facet_invoke("emit", "alarms\nfire", NULL), 0);
    ck_assert_str_eq(facet_action(), "publish event:alarms alarms\nfire");
    ck_assert_int_eq(facet_invoke("emit", "secrets\nx", NULL), -PLEX_DENIED);
    ck_assert_int_eq(facet_invoke("on", "bad topic", NULL), -PLEX_INVALID);
    ck_assert_int_eq(facet_invoke("off", "orders.new", NULL), 0);
    ck_assert_str_eq(facet_action(), "leave event:orders.new");
    ck_assert_int_eq(facet_invoke("off", "orders.new", NULL), -PLEX_NOT_FOUND);
    rt_facets_detach_all(chain, when);
    ck_assert_str_eq(facet_action(), "leave event:orders.old");
    facet_refused("event_emitter", PAIRS("on=a b,c!d"), "no topic");
    facet_refused("event_emitter", PAIRS("on=a", "topics=b"), "among");
}
END_TEST

/* -- virtual_actor --------------------------------------------------------- */

START_TEST(a_virtual_actors_words_become_the_hosts)
{
    static const struct plex_facet_pair pairs[] = {
        {"idle_timeout", "5m"},       {"activation_strategy", "eager"},
        {"max_active", "100"},        {"eviction", "memory_pressure"},
        {"reentrancy", "call_chain"}, {"prewarm_keys", "a,b"}};
    const struct rt_facet_spec spec = {"virtual_actor", 0, pairs, 6};
    const struct rt_facet_virtual *is;
    struct rt_facet_plan *plan;
    struct plex_err err;

    ck_assert_int_eq(rt_facet_plan_create(NULL, &spec, 1, &plan, &err),
                     PLEX_OK);
    is = rt_facet_plan_config(plan, "virtual_actor");
    ck_assert_uint_eq(is->idle_timeout_ms, 300000);
    ck_assert_uint_eq(is->activation, 1);
    ck_assert_uint_eq(is->max_active, 100);
    ck_assert_uint_eq(is->eviction, 1);
    ck_assert_uint_eq(is->reentrancy, 1);
    ck_assert(is->persist);
    ck_assert_str_eq(is->prewarm_keys, "a,b");
    rt_facet_plan_free(plan);
    facet_refused("virtual_actor",
                  PAIRS("idle_timeout=5m", "idle_timeout_seconds=3"),
                  "says the same as config.idle_timeout");
    facet_refused("virtual_actor", PAIRS("activation_strategy=eager"),
                  "prewarm_keys is missing");
    facet_refused("virtual_actor", PAIRS("idle_timout=5m"),
                  "nearest is \"idle_timeout\"");
}
END_TEST

/* -- key_value and http_client: what goes to the worker -------------------- */

static int
kv_pass(uint32_t op, const char *key, struct plex_kv_wire *out,
        const char **rest)
{
    struct plex_kv_wire wire = {.op = op, .key_len = (uint32_t)strlen(key)};
    static unsigned char bytes[256];
    static char text[256];
    const void *answer;
    size_t len;
    int status;

    memcpy(bytes, &wire, sizeof wire);
    memcpy(bytes + sizeof wire, key, strlen(key));
    status = rt_facets_invoke(chain, "key_value", "request", bytes,
                              sizeof wire + strlen(key), &answer, &len, when);
    if (status != 0)
        return status;
    memcpy(out, answer, sizeof *out);
    snprintf(text, sizeof text, "%.*s", (int)(len - sizeof *out),
             (const char *)answer + sizeof *out);
    *rest = text;
    return 0;
}

START_TEST(keys_get_their_prefix_and_ttl)
{
    struct plex_kv_wire wire;
    const char *rest;

    facet_start("key_value", PAIRS("prefix=shop/", "default_ttl=1h"));
    ck_assert_int_eq(kv_pass(PLEX_KV_PUT, "a", &wire, &rest), 0);
    ck_assert_str_eq(rest, "shop/at/n");
    ck_assert_uint_eq(wire.strip, 5);
    ck_assert_uint_eq(wire.ttl_ms, 3600000);
    ck_assert_int_eq(kv_pass(99, "a", &wire, &rest), -PLEX_INVALID);
    facet_start("key_value", PAIRS("read_only=true"));
    ck_assert_int_eq(kv_pass(PLEX_KV_GET, "a", &wire, &rest), 0);
    ck_assert_int_eq(kv_pass(PLEX_KV_DELETE, "a", &wire, &rest), -PLEX_DENIED);
}
END_TEST

static int
http_pass(const char *url, struct plex_http_wire *out, const char **rest)
{
    const struct plex_http_call call = {.url = url, .body = "B", .len = 1};
    static char text[512];
    const void *answer;
    size_t size, len;
    void *bytes = plex_http_pack(&call, &size);
    const int status = rt_facets_invoke(chain, "http_client", "request", bytes,
                                        size, &answer, &len, when);

    free(bytes);
    if (status != 0)
        return status;
    memcpy(out, answer, sizeof *out);
    snprintf(text, sizeof text, "%.*s", (int)(len - sizeof *out),
             (const char *)answer + sizeof *out);
    *rest = text;
    return 0;
}

START_TEST(requests_get_base_url_and_limits)
{
    struct plex_http_wire wire;
    const char *rest;

    facet_start("http_client",
                PAIRS("base_url=http://api.example.com:80/v1", "timeout=5s",
                      "retries=3", "hosts=*.example.com, localhost"));
    ck_assert_int_eq(http_pass("/users", &wire, &rest), 0);
    ck_assert_str_eq(rest, "POSThttp://api.example.com:80/v1/users"
                           "application/jsonB");
    ck_assert_uint_eq(wire.timeout_ms, 5000);
    ck_assert_uint_eq(wire.retries, 3);
    ck_assert_int_eq(http_pass("https://LOCALHOST:1/x", &wire, &rest), 0);
    ck_assert_int_eq(http_pass("http://evil.org/", &wire, &rest), -PLEX_DENIED);
    ck_assert_int_eq(http_pass("http://localhost@evil.org/", &wire, &rest),
                     -PLEX_INVALID);
    ck_assert_int_eq(http_pass("http://localhost\\@evil.org/", &wire, &rest),
                     -PLEX_INVALID);
    ck_assert_int_eq(http_pass("http://localhost/a b", &wire, &rest),
                     -PLEX_INVALID);
}
END_TEST

START_TEST(an_open_breaker_lets_no_request_out)
{
    struct plex_http_wire_result result = {0, 1};
    struct plex_http_wire wire;
    const void *answer;
    const char *rest;
    size_t len;

    facet_start("http_client",
                PAIRS("failure_threshold=2", "open_timeout=10s"));
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(http_pass("http://a/", &wire, &rest), 0);
        result.ticket = wire.ticket;
        ck_assert_int_eq(rt_facets_invoke(chain, "http_client", "result",
                                          &result, sizeof result, &answer, &len,
                                          when),
                         0);
    }
    ck_assert_int_eq(http_pass("http://a/", &wire, &rest), -PLEX_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(facet_action(), "closed -> open"));
    later(10000);
    ck_assert_int_eq(http_pass("http://a/", &wire, &rest), 0);
    ck_assert_int_eq(facet_invoke("trip", "", NULL), 0);
    ck_assert_int_eq(http_pass("http://a/", &wire, &rest), -PLEX_UNAVAILABLE);
    later(10000);
    ck_assert_int_eq(http_pass("http://a/", &wire, &rest), 0);
    ck_assert_int_eq(http_pass("http://a/", &wire, &rest), -PLEX_UNAVAILABLE);
    result.ticket = wire.ticket;
    result.failed = 0;
    (void)rt_facets_invoke(chain, "http_client", "result", &result,
                           sizeof result, &answer, &len, when);
    ck_assert_int_eq(http_pass("http://a/", &wire, &rest), 0);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("builtin");
    TCase *all = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(all, NULL, facet_stop);
    tcase_add_test(all, declared_timers_fire_without_drift);
    tcase_add_test(all, timers_are_set_and_cancelled_at_run_time);
    tcase_add_test(all, timers_that_cannot_be_read_are_refused);
    tcase_add_test(all, messages_are_counted_by_type_and_outcome);
    tcase_add_test(all, messages_are_logged_at_their_level);
    tcase_add_test(all, spans_continue_the_trace_they_come_with);
    tcase_add_test(all, spans_are_written_as_their_exporter_wants_them);
    tcase_add_test(all, spans_go_where_the_configuration_says);
    tcase_add_test(all, lines_go_where_the_configuration_says);
    tcase_add_test(all, a_ratio_samples_about_so_many);
    tcase_add_test(all, a_handler_learns_what_to_pass_on);
    tcase_add_test(all, events_go_to_groups);
    tcase_add_test(all, a_virtual_actors_words_become_the_hosts);
    tcase_add_test(all, keys_get_their_prefix_and_ttl);
    tcase_add_test(all, requests_get_base_url_and_limits);
    tcase_add_test(all, an_open_breaker_lets_no_request_out);
    suite_add_tcase(suite, all);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
