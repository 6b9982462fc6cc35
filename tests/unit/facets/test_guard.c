/* Facets that keep messages from the handler, or errors from callers: caching,
 * circuit_breaker, rate_limit, retry, fallback. */
#include "tests/unit/facets/helper.h"

#include <check.h>
#include <string.h>

#define PAIRS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* -- caching --------------------------------------------------------------- */

START_TEST(the_same_question_is_answered_once_in_a_while)
{
    const struct plex_msg get = facet_msg("GET", "a");
    struct plex_msg other = facet_msg("GET", "a");

    facet_start("caching", PAIRS("ttl=1s"));
    ck_assert_str_eq(facet_send(&get, "", 200, "one"), "run 200 one");
    ck_assert_str_eq(facet_send(&get, "", 200, "two"), "200 one");
    ck_assert_str_eq(facet_header(), "X-Cache: hit");
    other.subpath = "x";
    ck_assert_str_eq(facet_send(&other, "", 200, "three"), "run 200 three");
    other.subpath = "";
    other.query = "q=1";
    ck_assert_str_eq(facet_send(&other, "", 200, "four"), "run 200 four");
    later(999);
    ck_assert_str_eq(facet_send(&get, "", 200, "two"), "200 one");
    later(1);
    ck_assert_str_eq(facet_send(&get, "", 200, "two"), "run 200 two");
}
END_TEST

START_TEST(errors_refusals_and_casts_are_not_kept)
{
    const struct plex_msg get = facet_msg("GET", "a");
    struct plex_msg cast = facet_msg("GET", "a");

    facet_start("caching", NULL);
    ck_assert_str_eq(facet_send(&get, "", 0, "bad"), "run fail bad");
    ck_assert_str_eq(facet_send(&get, "", 404, "no"), "run 404 no");
    ck_assert_str_eq(facet_send(&get, "", 200, "yes"), "run 200 yes");
    cast.is_cast = true;
    ck_assert_str_eq(facet_send(&cast, "", 200, "cast"), "run 200 cast");
}
END_TEST

START_TEST(a_write_empties_the_cache_also_under_a_question)
{
    const struct plex_msg get = facet_msg("GET", "a");
    const struct plex_msg post = facet_msg("POST", "a");
    const struct plex_facet_result old = {200, "text/plain", "old", 3, 0};
    struct rt_facet_call call = {0};

    facet_start("caching", NULL);
    (void)facet_send(&get, "", 200, "one");
    ck_assert_str_eq(facet_send(&post, "", 200, "ok"), "run 200 ok");
    ck_assert_str_eq(facet_send(&get, "", 200, "two"), "run 200 two");
    /* What a question found out before a write is old after it. */
    (void)facet_invoke("clear", "", NULL);
    (void)rt_facets_before(chain, &call, &get, when);
    (void)facet_send(&post, "", 200, "ok");
    (void)rt_facets_after(chain, &call, &old, when);
    rt_facets_end(chain, &call);
    ck_assert_str_eq(facet_send(&get, "", 200, "three"), "run 200 three");
}
END_TEST

START_TEST(the_cache_has_room_for_so_many)
{
    const char *stats;

    facet_start("caching", PAIRS("max_entries=2"));
    for (int i = 0; i < 3; i++) {
        const char payload[] = {(char)('a' + i), '\0'};
        const struct plex_msg get = facet_msg("GET", payload);

        (void)facet_send(&get, "", 200, payload);
    }
    ck_assert_int_eq(facet_invoke("stats", "", &stats), 0);
    ck_assert_ptr_nonnull(strstr(stats, "\"entries\":2"));
    {
        const struct plex_msg first = facet_msg("GET", "a");
        const struct plex_msg last = facet_msg("GET", "c");

        ck_assert_str_eq(facet_send(&last, "", 200, "x"), "200 c");
        ck_assert_str_eq(facet_send(&first, "", 200, "x"), "run 200 x");
    }
    facet_start("caching", PAIRS("max_bytes=1024"));
    for (int i = 0; i < 20; i++) {
        const char payload[] = {(char)('a' + i), '\0'};
        const struct plex_msg get = facet_msg("GET", payload);

        (void)facet_send(&get, "", 200, payload);
    }
    (void)facet_invoke("stats", "", &stats);
    ck_assert_ptr_null(strstr(stats, "\"entries\":20"));
    facet_refused("caching", PAIRS("ttl=1s", "ttl_seconds=1"),
                  "says the same as config.ttl");
}
END_TEST

/* -- circuit_breaker ------------------------------------------------------- */

static const char *
ask(unsigned status)
{
    const struct plex_msg get = facet_msg("GET", "");

    return facet_send(&get, "", status, status == 0 ? "bad" : "ok");
}

static const char *
state(void)
{
    const char *answer;

    ck_assert_int_eq(facet_invoke("state", "", &answer), 0);
    return answer;
}

START_TEST(failures_in_a_row_open_the_circuit)
{
    facet_start("circuit_breaker",
                PAIRS("failure_threshold=3", "timeout=5s",
                      "max_half_open_requests=1", "success_threshold=2"));
    for (int i = 0; i < 2; i++)
        (void)ask(0);
    (void)ask(200); /* breaks the row */
    for (int i = 0; i < 2; i++)
        (void)ask(0);
    ck_assert_str_eq(state(), "closed");
    (void)ask(503);
    ck_assert_str_eq(state(), "open");
    ck_assert_ptr_nonnull(strstr(facet_action(), "closed -> open"));
    later(1000);
    ck_assert_str_eq(ask(200), "503 the circuit breaker is open: the last "
                               "calls have failed");
    ck_assert_str_eq(facet_header(), "Retry-After: 5");
    later(4000);
    ck_assert_str_eq(ask(200), "run 200 ok");
    ck_assert_str_eq(state(), "half_open");
    ck_assert_str_eq(ask(200), "run 200 ok");
    ck_assert_str_eq(state(), "closed");
}
END_TEST

START_TEST(one_failure_half_open_opens_again_and_few_are_let_in)
{
    const struct plex_msg get = facet_msg("GET", "");
    const struct plex_facet_result ok = {200, "x", "", 0, 0};
    struct rt_facet_call call = {0};

    facet_start("circuit_breaker", PAIRS("failure_threshold=1", "timeout=1s",
                                         "success_threshold=1"));
    (void)ask(0);
    later(1000);
    ck_assert_int_eq(rt_facets_before(chain, &call, &get, when), RT_FACETS_RUN);
    ck_assert_int_eq(strncmp(ask(200), "503", 3), 0);
    (void)rt_facets_error(chain, &call, "bad", when);
    rt_facets_end(chain, &call);
    ck_assert_str_eq(state(), "open");
    later(1000);
    (void)rt_facets_before(chain, &call, &get, when);
    (void)rt_facets_after(chain, &call, &ok, when);
    rt_facets_end(chain, &call);
    ck_assert_str_eq(state(), "closed");
}
END_TEST

START_TEST(what_began_before_does_not_count_after)
{
    const struct plex_msg get = facet_msg("GET", "");
    struct rt_facet_call call = {0};

    facet_start("circuit_breaker", PAIRS("failure_threshold=1"));
    (void)rt_facets_before(chain, &call, &get, when);
    ck_assert_int_eq(facet_invoke("trip", "", NULL), 0);
    ck_assert_int_eq(facet_invoke("reset", "", NULL), 0);
    (void)rt_facets_error(chain, &call, "bad", when);
    rt_facets_end(chain, &call);
    ck_assert_str_eq(state(), "closed");
    ck_assert_int_eq(facet_invoke("disable", "", NULL), 0);
    (void)ask(0);
    (void)ask(0);
    ck_assert_str_eq(state(), "disabled");
}
END_TEST

START_TEST(windows_and_rates_count_what_they_say)
{
    facet_start(
        "circuit_breaker",
        PAIRS("mode=sliding_window", "failure_threshold=3", "window_calls=5"));
    for (int i = 0; i < 12; i++) /* two of any five */
        (void)ask(i % 5 < 2 ? 0 : 200);
    ck_assert_str_eq(state(), "closed");
    (void)ask(0);
    (void)ask(0);
    ck_assert_str_eq(state(), "open");
    facet_start("circuit_breaker",
                PAIRS("mode=error_rate", "error_rate=0.5", "window_calls=10",
                      "minimum_requests=4"));
    for (int i = 0; i < 3; i++)
        (void)ask(0);
    ck_assert_str_eq(state(), "closed");
    (void)ask(0);
    ck_assert_str_eq(state(), "open");
    facet_refused("circuit_breaker",
                  PAIRS("mode=sliding_window", "failure_threshold=30"),
                  "window_calls");
}
END_TEST

START_TEST(half_open_lets_a_sample_or_a_share_through)
{
    facet_start("circuit_breaker",
                PAIRS("failure_threshold=1", "timeout=1s", "half_open=sample",
                      "half_open_sample=3", "success_threshold=3"));
    (void)ask(0);
    later(1000);
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(strncmp(ask(200), i % 3 == 0 ? "run" : "503", 3), 0);
    ck_assert_str_eq(state(), "half_open");
    (void)ask(200);
    ck_assert_str_eq(state(), "closed");
    facet_start("circuit_breaker",
                PAIRS("failure_threshold=1", "timeout=1s",
                      "half_open=percentage", "half_open_percentage=40",
                      "success_threshold=100"));
    (void)ask(0);
    later(1000);
    for (int i = 0, run = 0; i < 100; i++) {
        run += strncmp(ask(200), "run", 3) == 0;
        ck_assert_int_le(abs(run * 100 - (i + 1) * 40), 100);
    }
    ck_assert_str_eq(state(), "half_open");
}
END_TEST

START_TEST(what_takes_too_long_has_failed)
{
    const struct plex_msg get = facet_msg("GET", "");
    const struct plex_facet_result ok = {200, "x", "", 0, 0};
    struct rt_facet_call call = {0};

    facet_start("circuit_breaker", PAIRS("failure_threshold=1", "timeout=1s",
                                         "request_timeout=100ms"));
    (void)rt_facets_before(chain, &call, &get, when);
    later(100);
    (void)rt_facets_after(chain, &call, &ok, when);
    rt_facets_end(chain, &call);
    ck_assert_str_eq(state(), "closed");
    (void)rt_facets_before(chain, &call, &get, when);
    later(101);
    (void)rt_facets_after(chain, &call, &ok, when);
    rt_facets_end(chain, &call);
    ck_assert_str_eq(state(), "open");
    /* One that does not come back does not keep it half open. */
    later(1000);
    ck_assert_int_eq(rt_facets_before(chain, &call, &get, when), RT_FACETS_RUN);
    ck_assert_str_eq(state(), "half_open");
    later(101);
    ck_assert_int_eq(strncmp(ask(200), "503", 3), 0);
    ck_assert_str_eq(state(), "open");
    (void)rt_facets_error(chain, &call, "bad", when);
    rt_facets_end(chain, &call);
    ck_assert_str_eq(state(), "open");
}
END_TEST

START_TEST(transitions_are_events)
{
    struct plex_facet_action action;
    bool event = false, told = false;

    facet_start("circuit_breaker", PAIRS("failure_threshold=1"));
    (void)ask(0);
    (void)facet_action(); /* the line of the log */
    while (rt_facets_next(chain, &action)) {
        event = event ||
                (action.kind == PLEX_FACET_EVENT &&
                 strcmp(action.text, "circuit_breaker: closed -> open") == 0);
        told = told || (action.kind == PLEX_FACET_PUBLISH &&
                        strcmp(action.name, "event:circuit_breaker") == 0 &&
                        strstr(action.payload, "\"to\":\"open\"") != NULL);
    }
    ck_assert(event);
    ck_assert(told);
}
END_TEST

/* -- rate_limit ------------------------------------------------------------ */

START_TEST(a_bucket_gives_its_burst_and_then_its_rate)
{
    facet_start("rate_limit", PAIRS("refill_rate=10", "burst_size=3"));
    for (int i = 0; i < 3; i++)
        ck_assert_str_eq(ask(200), "run 200 ok");
    ck_assert_str_eq(ask(200),
                     "429 more than 10 messages a second (3 at once)");
    ck_assert_str_eq(facet_header(), "Retry-After: 1");
    later(99);
    ck_assert_int_eq(strncmp(ask(200), "429", 3), 0);
    later(1);
    ck_assert_str_eq(ask(200), "run 200 ok");
    ck_assert_int_eq(strncmp(ask(200), "429", 3), 0);
    later(86400000);
    for (int i = 0; i < 3; i++)
        ck_assert_str_eq(ask(200), "run 200 ok");
    ck_assert_int_eq(strncmp(ask(200), "429", 3), 0);
}
END_TEST

START_TEST(clients_have_buckets_of_their_own)
{
    const struct plex_msg get = facet_msg("GET", "");

    facet_start("rate_limit", PAIRS("refill_rate=1", "burst_size=1",
                                    "per_client=true", "max_clients=2"));
    ck_assert_str_eq(facet_send(&get, "a", 200, "ok"), "run 200 ok");
    ck_assert_int_eq(strncmp(facet_send(&get, "a", 200, "ok"), "429", 3), 0);
    later(10);
    ck_assert_str_eq(facet_send(&get, "b", 200, "ok"), "run 200 ok");
    /* A third client takes the place of who asked longest ago. */
    later(10);
    ck_assert_str_eq(facet_send(&get, "c", 200, "ok"), "run 200 ok");
    ck_assert_int_eq(strncmp(facet_send(&get, "b", 200, "ok"), "429", 3), 0);
}
END_TEST

/* -- retry and fallback ---------------------------------------------------- */

START_TEST(a_handler_is_tried_again_with_growing_pauses)
{
    const uint64_t began =
        (facet_start("retry", PAIRS("max_attempts=4", "backoff=100ms",
                                    "max_backoff=300ms", "errors=time*, bad")),
         when.now_ns);

    ck_assert_str_eq(ask(0), "run fail bad");
    ck_assert_uint_eq(when.now_ns - began, (100 + 200 + 300) * (uint64_t)MS);
    {
        const struct plex_msg get = facet_msg("GET", "");
        const uint64_t now = when.now_ns;

        ck_assert_str_eq(facet_send(&get, "", 0, "other"), "run fail other");
        ck_assert_uint_eq(when.now_ns, now);
    }
}
END_TEST

START_TEST(a_fallback_hides_errors)
{
    facet_start("fallback", PAIRS("reply={\"from\":\"cache\"}"));
    ck_assert_str_eq(ask(0), "run 200 {\"from\":\"cache\"}");
    ck_assert_ptr_nonnull(strstr(facet_action(), "hidden by fallback: bad"));
    facet_start("fallback", PAIRS("error_text=try later", "errors=b*"));
    ck_assert_str_eq(ask(0), "run fail try later");
    facet_start("fallback", PAIRS("reply=x", "errors=other"));
    ck_assert_str_eq(ask(0), "run fail bad");
    facet_refused("fallback", NULL, "give config.reply or");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("guard");
    TCase *all = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(all, NULL, facet_stop);
    tcase_add_test(all, the_same_question_is_answered_once_in_a_while);
    tcase_add_test(all, errors_refusals_and_casts_are_not_kept);
    tcase_add_test(all, a_write_empties_the_cache_also_under_a_question);
    tcase_add_test(all, the_cache_has_room_for_so_many);
    tcase_add_test(all, failures_in_a_row_open_the_circuit);
    tcase_add_test(all, one_failure_half_open_opens_again_and_few_are_let_in);
    tcase_add_test(all, what_began_before_does_not_count_after);
    tcase_add_test(all, windows_and_rates_count_what_they_say);
    tcase_add_test(all, half_open_lets_a_sample_or_a_share_through);
    tcase_add_test(all, what_takes_too_long_has_failed);
    tcase_add_test(all, transitions_are_events);
    tcase_add_test(all, a_bucket_gives_its_burst_and_then_its_rate);
    tcase_add_test(all, clients_have_buckets_of_their_own);
    tcase_add_test(all, a_handler_is_tried_again_with_growing_pauses);
    tcase_add_test(all, a_fallback_hides_errors);
    suite_add_tcase(suite, all);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
