/* What a configuration may say, facet by facet, and what that does. */
#include "runtime/facets/facets.h"
#include "tests/unit/facets/helper.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define PAIRS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* -- rows -------------------------------------------------------------------
 */

/* Bands: security from 1000, logs and traces from 900, metrics from 800, the
 * domain from 100, persistence below. */
static const struct {
    const char *type;
    uint32_t priority;
} bands[] = {
    {"virtual_actor", 100},   {"timer", 50},
    {"metrics", 800},         {"logging", 900},
    {"tracing", 920},         {"event_emitter", 60},
    {"key_value", 30},        {"http_client", 20},
    {"caching", 150},         {"retry", 120},
    {"circuit_breaker", 200}, {"rate_limit", 950},
    {"fallback", 110},
};

START_TEST(each_facet_has_its_priority)
{
    const struct plex_facet_type *type = rt_facet_type(NULL, bands[_i].type);

    ck_assert_ptr_nonnull(type);
    ck_assert_uint_eq(type->priority, bands[_i].priority);
}
END_TEST

/* `why` NULL: it is taken. */
static const struct {
    const char *type, *pairs[4], *why;
} rows[] = {
    {"virtual_actor", {"idle_timeout=300s"}, NULL},
    {"virtual_actor", {"idle_timeout_seconds=300"}, NULL},
    {"virtual_actor", {"deactivation_timeout=5m"}, NULL},
    {"virtual_actor",
     {"idle_timeout=5m", "idle_timeout_seconds=3"},
     "config.idle_timeout_seconds says the same as config.idle_timeout"},
    {"virtual_actor", {"idle_timeout_seconds=5m"}, "not a number of seconds"},
    {"virtual_actor", {"idle_timeout_seconds=9999999"}, "0 to 2592000"},
    {"timer", {"timers=beat=1s", "max_timers=3"}, NULL},
    {"timer", {"timers=beat, sweep once", "default_period=1m"}, NULL},
    {"timer", {"timers=beat"}, "NAME=INTERVAL"},
    {"timer",
     {"timers=[{\"id\":\"beat\",\"interval_ms\":5,\"repeating\":false}]"},
     NULL},
    {"timer", {"timers=[{\"id\":\"beat\"}]", "default_period=1m"}, NULL},
    {"timer", {"timers=[{\"id\":\"beat\"}]"}, "number 1 is not like"},
    {"timer",
     {"timers=[{\"id\":\"a\",\"interval_ms\":5,\"often\":1}]"},
     "number 1 is not like"},
    {"timer", {"timers=[{]"}, "no JSON array"},
    {"timer",
     {"timers=[{\"id\":\"a\",\"interval_ms\":5},"
      "{\"id\":\"a\",\"interval_ms\":5}]"},
     "there twice"},
    {"metrics",
     {"namespace=shop", "push_interval=10s", "export_format=prometheus"},
     NULL},
    {"metrics", {"export_format=json"}, NULL},
    {"metrics", {"export_format=xml"}, "prometheus|json"},
    {"logging", {"level=info", "format=json", "output=file"}, NULL},
    {"logging", {"output=syslog"}, NULL},
    {"tracing",
     {"sampler=ratio", "ratio=0.5", "exporter=jaeger", "service_name=x"},
     NULL},
    {"tracing", {"sampler=sometimes"}, "always|never|ratio|parent"},
    {"event_emitter",
     {"max_subscribers=10", "async_emit=true", "buffer_size=10",
      "log_events=true"},
     NULL},
    {"event_emitter", {"filter=a.*"}, NULL},
    {"key_value", {"store_type=registry", "default_ttl=1h"}, NULL},
    {"key_value", {"store_type=redis"}, "the registry keeps the keys of all"},
    {"key_value", {"connection_string=x"}, "config.connection_string"},
    {"key_value", {"enable_cache=true"}, "others change keys too"},
    {"http_client",
     {"base_url=http://h", "timeout_seconds=3", "retry_policy=none",
      "request_logging=true"},
     NULL},
    {"http_client",
     {"timeout=3s", "timeout_seconds=3"},
     "says the same as config.timeout"},
    {"http_client", {"circuit_breaker=true", "failure_threshold=3"}, NULL},
    {"caching", {"ttl_seconds=300"}, NULL},
    {"caching", {"ttl=5m"}, NULL},
    {"caching", {"ttl=5m", "ttl_seconds=3"}, "the same as config.ttl"},
};

START_TEST(each_key_is_taken_or_refused)
{
    const char *pairs[5] = {NULL};

    memcpy(pairs, rows[_i].pairs, sizeof rows[_i].pairs);
    if (rows[_i].why == NULL)
        facet_start(rows[_i].type, pairs);
    else
        facet_refused(rows[_i].type, pairs, rows[_i].why);
}
END_TEST

/* -- what they do -------------------------------------------------------------
 */

START_TEST(timers_of_json_fire_as_those_of_words)
{
    facet_start("timer",
                PAIRS("timers=[{\"id\":\"beat\",\"interval_ms\":100},"
                      "{\"id\":\"once\",\"interval_ms\":150,\"repeating\":"
                      "false},{\"id\":\"soon\",\"interval_ms\":1000,"
                      "\"delay_ms\":10}]"));
    rt_facets_init_complete(chain, when);
    later(10);
    ck_assert_str_eq(facet_action(), "tick soon 1");
    later(90);
    ck_assert_str_eq(facet_action(), "tick beat 1");
    later(50);
    ck_assert_str_eq(facet_action(), "tick once 1");
    later(50);
    ck_assert_str_eq(facet_action(), "tick beat 2");
    ck_assert_str_eq(facet_action(), "");
}
END_TEST

START_TEST(the_state_of_a_facet_is_read_and_put_back)
{
    const char *state;
    char kept[256];

    facet_start("timer", PAIRS("timers=beat=100ms, once=150ms once"));
    rt_facets_init_complete(chain, when);
    later(30);
    ck_assert_int_eq(facet_invoke("get_state", "", &state), 0);
    ck_assert_str_eq(state, "beat=100 after 70, once=1 once after 120");
    strcpy(kept, state);
    facet_start("timer", PAIRS("timers=other=1ms"));
    rt_facets_init_complete(chain, when);
    ck_assert_int_eq(facet_invoke("set_state", kept, NULL), 0);
    later(69);
    ck_assert_str_eq(facet_action(), "");
    later(1);
    ck_assert_str_eq(facet_action(), "tick beat 1");
    later(50);
    ck_assert_str_eq(facet_action(), "tick once 1");
    ck_assert_int_eq(facet_invoke("set_state", "no such", NULL), -PLEX_INVALID);
    later(50);
    ck_assert_str_eq(facet_action(), "tick beat 2"); /* as it was */
    facet_start("logging", NULL);
    ck_assert_int_eq(facet_invoke("get_state", "", NULL), -PLEX_UNSUPPORTED);
}
END_TEST

START_TEST(metrics_are_pushed_as_lines)
{
    const struct plex_msg get = facet_msg("GET", "");

    facet_start("metrics", PAIRS("export_format=json", "push_interval=1s"));
    ck_assert_uint_eq(rt_facets_due_ns(chain), UINT64_MAX);
    (void)facet_send(&get, "", 200, "x");
    (void)facet_send(&get, "", 404, "x");
    (void)facet_send(&get, "", 0, "no");
    ck_assert_str_eq(facet_action(), "");
    later(1000);
    ck_assert_str_eq(facet_action(),
                     "span {\"time_ms\":1700000001000,\"metrics\":"
                     "\"plexspaces\",\"type\":\"counter\",\"actor\":"
                     "\"t/n/counter/a\",\"ok\":1,\"refused\":1,\"failed\":1,"
                     "\"took_us\":0}");
    ck_assert_uint_eq(rt_facets_due_ns(chain), UINT64_MAX);
    (void)facet_send(&get, "", 200, "x");
    rt_facets_terminate(chain, "shutdown", when);
    ck_assert_ptr_nonnull(strstr(facet_action(), "\"ok\":1,\"refused\":0"));
    ck_assert_str_eq(facet_action(), "");
}
END_TEST

START_TEST(events_wait_for_the_end_of_the_callback)
{
    facet_start("event_emitter", PAIRS("async_emit=true", "buffer_size=2"));
    ck_assert_int_eq(facet_invoke("emit", "a\n1", NULL), 0);
    ck_assert_int_eq(facet_invoke("emit", "b\n2", NULL), 0);
    ck_assert_int_eq(facet_invoke("emit", "c\n3", NULL), -PLEX_LIMIT);
    ck_assert_str_eq(facet_action(), "");
    later(0);
    ck_assert_str_eq(facet_action(), "publish event:a a\n1");
    ck_assert_str_eq(facet_action(), "publish event:b b\n2");
    ck_assert_str_eq(facet_action(), "");
    ck_assert_int_eq(facet_invoke("emit", "c\n3", NULL), 0);
    facet_stop(); /* what waits is given back */
}
END_TEST

START_TEST(a_filter_keeps_events_from_the_handler)
{
    struct plex_msg event = facet_msg("", "orders.new\n{}");
    struct plex_msg plain = facet_msg("", "orders.new\n{}");

    event.kind = PLEX_MSG_INFO;
    event.tag = PLEX_FACET_EVENT_TAG;
    plain.kind = PLEX_MSG_INFO;
    facet_start("event_emitter", PAIRS("filter=orders.old, alarms"));
    ck_assert_ptr_null(strstr(facet_send(&event, "", 200, "x"), "run"));
    ck_assert_ptr_nonnull(strstr(facet_send(&plain, "", 200, "x"), "run"));
    ck_assert_int_eq(facet_invoke("filter", "orders.*", NULL), 0);
    ck_assert_ptr_nonnull(strstr(facet_send(&event, "", 200, "x"), "run"));
    ck_assert_int_eq(facet_invoke("filter", "", NULL), -PLEX_INVALID);
}
END_TEST

START_TEST(topics_have_so_many_subscribers)
{
    struct plex_facet_action action;

    facet_start("event_emitter", PAIRS("on=a", "max_subscribers=3"));
    rt_facets_init_complete(chain, when);
    ck_assert(rt_facets_next(chain, &action));
    ck_assert_int_eq(action.kind, PLEX_FACET_JOIN);
    ck_assert_uint_eq(action.number, 3);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("keys");
    TCase *all = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(all, NULL, facet_stop);
    tcase_add_loop_test(all, each_facet_has_its_priority, 0,
                        (int)(sizeof bands / sizeof bands[0]));
    tcase_add_loop_test(all, each_key_is_taken_or_refused, 0,
                        (int)(sizeof rows / sizeof rows[0]));
    tcase_add_test(all, timers_of_json_fire_as_those_of_words);
    tcase_add_test(all, the_state_of_a_facet_is_read_and_put_back);
    tcase_add_test(all, metrics_are_pushed_as_lines);
    tcase_add_test(all, events_wait_for_the_end_of_the_callback);
    tcase_add_test(all, a_filter_keeps_events_from_the_handler);
    tcase_add_test(all, topics_have_so_many_subscribers);
    suite_add_tcase(suite, all);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
