/* err, bytes, arena, name, option, context, log, metrics. */
#include "common/arena.h"
#include "common/context.h"
#include "common/log.h"
#include "common/metrics.h"
#include "common/name.h"
#include "common/option.h"

#include <check.h>
#include <jansson.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct plex_err err;

/* -- err --------------------------------------------------------------------
 */

START_TEST(wrapping_puts_the_context_first_and_keeps_the_status)
{
    ck_assert_int_eq(plex_err_set(&err, PLEX_NOT_FOUND, "no \"%s\"", "x"),
                     PLEX_NOT_FOUND);
    ck_assert_int_eq(plex_err_wrap(&err, "opening %d", 7), PLEX_NOT_FOUND);
    ck_assert_str_eq(err.text, "opening 7: no \"x\"");
}
END_TEST

START_TEST(long_texts_are_cut_not_overrun)
{
    char lots[1000];

    memset(lots, 'x', sizeof lots - 1);
    lots[sizeof lots - 1] = '\0';
    plex_err_set(&err, PLEX_INVALID, "%s", lots);
    ck_assert_uint_eq(strlen(err.text), PLEX_ERR_TEXT_MAX - 1);
    plex_err_wrap(&err, "%s", lots);
    ck_assert_uint_eq(strlen(err.text), PLEX_ERR_TEXT_MAX - 1);
}
END_TEST

START_TEST(statuses_from_the_wire_are_known_or_internal)
{
    ck_assert_int_eq(plex_status_from_wire(11), PLEX_NOT_OWNER);
    ck_assert_int_eq(plex_status_from_wire(9999), PLEX_INTERNAL);
    ck_assert_str_eq(plex_status_name(PLEX_TOO_LARGE), "TOO_LARGE");
    ck_assert_str_eq(plex_status_name((enum plex_status)77), "UNRECOGNIZED");
    ck_assert_int_eq(plex_status_http(PLEX_LIMIT), 429);
    ck_assert(plex_status_retryable(PLEX_UNAVAILABLE));
    ck_assert(!plex_status_retryable(PLEX_INVALID));
}
END_TEST

/* -- bytes, arena -----------------------------------------------------------
 */

START_TEST(a_buffer_grows_to_its_maximum_and_no_further)
{
    struct plex_buf buf = {.max = 100};

    ck_assert_ptr_nonnull(plex_buf_grow(&buf, 60));
    memset(buf.data, 'a', 60);
    ck_assert_ptr_nonnull(plex_buf_grow(&buf, 40));
    ck_assert_int_eq(buf.data[59], 'a');
    ck_assert_ptr_null(plex_buf_grow(&buf, 1));
    ck_assert_ptr_null(plex_buf_grow(&buf, SIZE_MAX));
    ck_assert_uint_eq(buf.len, 100);
    plex_buf_free(&buf);
    ck_assert_uint_eq(buf.max, 100);
}
END_TEST

START_TEST(an_arena_aligns_and_stops_at_its_ceiling)
{
    struct plex_arena arena;
    char *text;

    plex_arena_init(&arena, 100000);
    for (size_t i = 1; i < 200; i++) {
        void *ptr = plex_arena_alloc(&arena, i);

        ck_assert_ptr_nonnull(ptr);
        ck_assert_uint_eq((uintptr_t)ptr % 16, 0);
        memset(ptr, 0xff, i);
    }
    text = plex_arena_strndup(&arena, "abcdef", 3);
    ck_assert_str_eq(text, "abc");
    ck_assert(plex_arena_owns(&arena, text));
    ck_assert(!plex_arena_owns(&arena, &arena));
    ck_assert_ptr_null(plex_arena_alloc(&arena, 100000));
    ck_assert_ptr_null(plex_arena_alloc(&arena, SIZE_MAX));
    ck_assert_ptr_null(plex_arena_strndup(&arena, "x", SIZE_MAX));
    plex_arena_reset(&arena);
    ck_assert_uint_eq(arena.used, 0);
    ck_assert_ptr_nonnull(plex_arena_alloc(&arena, 99999));
    plex_arena_fini(&arena);
}
END_TEST

/* -- name -------------------------------------------------------------------
 */

static bool
key_ok(const char *key, size_t len)
{
    return plex_name_key(key, len, &err) == PLEX_OK;
}

START_TEST(names_follow_their_rules)
{
    char long_key[300];

    memset(long_key, 'k', sizeof long_key);
    ck_assert_int_eq(plex_name_tenant("a-1", 3, &err), PLEX_OK);
    ck_assert_int_eq(plex_name_tenant("-a", 2, &err), PLEX_INVALID);
    ck_assert_int_eq(plex_name_tenant("a-", 2, &err), PLEX_INVALID);
    ck_assert_int_eq(plex_name_tenant("A", 1, &err), PLEX_INVALID);
    ck_assert_int_eq(plex_name_tenant("", 0, &err), PLEX_INVALID);
    ck_assert_int_eq(plex_name_tenant("a\0b", 3, &err), PLEX_INVALID);
    ck_assert_int_eq(plex_name_namespace(long_key, 33, &err), PLEX_INVALID);
    ck_assert_int_eq(plex_name_type("a_b-9", 5, &err), PLEX_OK);
    ck_assert_int_eq(plex_name_type("9a", 2, &err), PLEX_INVALID);
    ck_assert_int_eq(plex_name_plain("node", "n_1.x", 5, &err), PLEX_OK);
    ck_assert(key_ok("J\xc3\xb6rg 7", 7));
    ck_assert(key_ok(long_key, 255));
    ck_assert(!key_ok(long_key, 256));
    ck_assert(!key_ok("a/b", 3));
    ck_assert(!key_ok("a\0b", 3));
    ck_assert(!key_ok("\xc3", 1));
    ck_assert(!key_ok("\xc0\x80", 2));         /* over-long NUL */
    ck_assert(!key_ok("\xed\xa0\x80", 3));     /* surrogate */
    ck_assert(!key_ok("\xf4\x90\x80\x80", 4)); /* past U+10FFFF */
    ck_assert(!key_ok("a\x7f", 2));
}
END_TEST

START_TEST(an_actor_name_splits_and_joins)
{
    char text[] = "acme/prod/counter/k1", out[PLEX_ACTOR_NAME_MAX + 1];
    char few[] = "acme/prod/counter", slash[] = "a/b/c/d/e";
    struct plex_actor_id id;

    ck_assert_int_eq(plex_actor_parse(text, &id, &err), PLEX_OK);
    ck_assert_str_eq(id.type, "counter");
    plex_actor_format(&id, out, sizeof out);
    ck_assert_str_eq(out, "acme/prod/counter/k1");
    ck_assert_int_eq(plex_actor_parse(few, &id, &err), PLEX_INVALID);
    ck_assert_int_eq(plex_actor_parse(slash, &id, &err), PLEX_INVALID);
}
END_TEST

START_TEST(the_hash_of_an_actor_never_changes)
{
    const struct plex_actor_id id = {"default", "default", "counter", "alice"};
    const struct plex_actor_id shifted = {"default", "default", "countera",
                                          "lice"};

    /* A new value here means that every journal on disk is lost. */
    ck_assert_uint_eq(plex_actor_hash(&id), UINT64_C(0x18628e0aeeb4ce52));
    ck_assert_uint_ne(plex_actor_hash(&id), plex_actor_hash(&shifted));
    ck_assert_uint_eq(plex_shard_of(UINT64_C(0xfff0000000000000), 12), 4095);
    ck_assert_uint_eq(plex_shard_of(UINT64_C(0x0010000000000000), 12), 1);
    ck_assert_uint_eq(plex_shard_of(UINT64_MAX, 0), 0);
}
END_TEST

/* -- option ------------------------------------------------------------------
 */

struct config {
    const char *text;
    uint32_t small;
    uint64_t big;
    bool on;
    const char *secret;
};
static const struct plex_option options[] = {
    {"text", PLEX_OPTION_STRING, offsetof(struct config, text), "def", "t"},
    {"small_ms", PLEX_OPTION_U32, offsetof(struct config, small), "5", "s", 1,
     100},
    {"big", PLEX_OPTION_U64, offsetof(struct config, big), "6", "b"},
    {"on", PLEX_OPTION_BOOL, offsetof(struct config, on), "false", "o"},
    {"secret", PLEX_OPTION_SECRET, offsetof(struct config, secret), "", "x"},
    {0},
};
static const struct plex_option *const tables[] = {options, NULL};

START_TEST(given_values_win_over_environment_and_default)
{
    static const struct plex_setting given[] = {{"small_ms", "7"}, {0}};
    struct config config = {0};

    ck_assert_int_eq(setenv("PLEXSPACES_MY_TEST_SMALL_MS", "8", 1), 0);
    ck_assert_int_eq(setenv("PLEXSPACES_MY_TEST_BIG", "9", 1), 0);
    ck_assert_int_eq(
        plex_options_load(options, "my-test", given, &config, &err), PLEX_OK);
    ck_assert_str_eq(config.text, "def");
    ck_assert_uint_eq(config.small, 7);
    ck_assert_uint_eq(config.big, 9);
    ck_assert(!config.on);
    (void)unsetenv("PLEXSPACES_MY_TEST_SMALL_MS");
    (void)unsetenv("PLEXSPACES_MY_TEST_BIG");
}
END_TEST

START_TEST(bad_numbers_are_refused_naming_source_and_range)
{
    static const char *const bad[] = {
        "",    "-1", "+1", " 1",  "1 ",
        "0x1", "1k", "0",  "101", "99999999999999999999"};
    struct plex_setting given[] = {{"small_ms", NULL}, {0}};
    struct config config;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        given[0].value = bad[i];
        ck_assert_int_eq(plex_options_load(options, "t", given, &config, &err),
                         PLEX_INVALID);
        ck_assert_ptr_nonnull(strstr(err.text, "small_ms"));
        ck_assert_ptr_nonnull(strstr(err.text, "from 1 to 100"));
    }
    given[0] = (struct plex_setting){"on", "yes"};
    ck_assert_int_eq(plex_options_load(options, "t", given, &config, &err),
                     PLEX_INVALID);
    ck_assert_int_eq(setenv("PLEXSPACES_T_BIG", "x", 1), 0);
    ck_assert_int_eq(plex_options_load(options, "t", NULL, &config, &err),
                     PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "PLEXSPACES_T_BIG"));
    (void)unsetenv("PLEXSPACES_T_BIG");
}
END_TEST

static enum plex_status
parse(struct plex_setting *given, size_t max, int argc, ...)
{
    char *argv[8] = {0};
    va_list ap;

    va_start(ap, argc);
    for (int i = 0; i < argc; i++)
        argv[i] = va_arg(ap, char *);
    va_end(ap);
    return plex_options_argv(tables, argc, argv, given, max, &err);
}

START_TEST(command_lines_become_settings)
{
    struct plex_setting given[9];

    ck_assert_int_eq(parse(given, 8, 6, "prog", "--small-ms", "3", "--on",
                           "--text=a=b", "--big=1"),
                     PLEX_OK);
    ck_assert_str_eq(given[0].name, "small_ms");
    ck_assert_str_eq(given[0].value, "3");
    ck_assert_str_eq(given[1].value, "true");
    ck_assert_str_eq(given[2].value, "a=b");
    ck_assert_ptr_null(given[4].name);
    ck_assert_int_eq(parse(given, 8, 2, "prog", "--smal-ms=3"), PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "\"small_ms\""));
    ck_assert_int_eq(parse(given, 8, 2, "prog", "--text"), PLEX_INVALID);
    ck_assert_int_eq(parse(given, 8, 2, "prog", "text"), PLEX_INVALID);
    ck_assert_int_eq(parse(given, 8, 2, "prog", "--"), PLEX_INVALID);
    ck_assert_int_eq(parse(given, 1, 3, "prog", "--on", "--on"), PLEX_INVALID);
}
END_TEST

/* -- context -----------------------------------------------------------------
 */

START_TEST(traces_parse_and_format)
{
    static const char good[] =
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    static const char *const bad[] = {
        "",
        "00",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
        "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
    };
    struct plex_trace trace, child;
    char out[56];

    ck_assert_int_eq(plex_trace_parse(good, &trace), PLEX_OK);
    plex_trace_format(&trace, out);
    ck_assert_str_eq(out, good);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(plex_trace_parse(bad[i], &trace), PLEX_INVALID);
    child = plex_trace_child(&trace);
    ck_assert_mem_eq(child.trace_id, trace.trace_id, 16);
    ck_assert_mem_ne(child.span_id, trace.span_id, 8);
    child = plex_trace_child(NULL);
    plex_trace_format(&child, out);
    ck_assert_int_eq(plex_trace_parse(out, &trace), PLEX_OK);
}
END_TEST

START_TEST(ids_sort_by_time_and_come_back)
{
    uint8_t a[16], b[16], back[16];
    char ta[27], tb[27], zero[27];

    plex_id_make(a, 1000);
    plex_id_make(b, 1001);
    plex_id_format(a, ta);
    plex_id_format(b, tb);
    ck_assert_int_lt(strcmp(ta, tb), 0);
    ck_assert_int_eq(plex_id_parse(ta, back, &err), PLEX_OK);
    ck_assert_mem_eq(a, back, 16);
    memset(a, 0xff, sizeof a);
    plex_id_format(a, ta);
    ck_assert_str_eq(ta, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    ck_assert_int_eq(plex_id_parse("8ZZZZZZZZZZZZZZZZZZZZZZZZZ", back, &err),
                     PLEX_INVALID);
    ck_assert_int_eq(plex_id_parse("", back, &err), PLEX_INVALID);
    memset(zero, 'U', 26);
    zero[26] = '\0';
    ck_assert_int_eq(plex_id_parse(zero, back, &err), PLEX_INVALID);
}
END_TEST

START_TEST(random_bytes_differ)
{
    uint8_t a[16] = {0}, b[16] = {0}, large[2000] = {0};

    plex_random(a, sizeof a);
    plex_random(b, sizeof b);
    ck_assert_mem_ne(a, b, sizeof a);
    plex_random(large, sizeof large);
    ck_assert_mem_ne(large, large + 1000, 1000);
}
END_TEST

/* -- log ----------------------------------------------------------------------
 */

/* What one call writes to stderr, as JSON. */
static json_t *
logged(const char *event, const struct plex_log_field *fields,
       const char *message)
{
    static char line[16384];
    const int saved = dup(STDERR_FILENO);
    FILE *file = tmpfile();
    size_t n;

    ck_assert_ptr_nonnull(file);
    (void)dup2(fileno(file), STDERR_FILENO);
    plex_log_with(PLEX_LOG_INFO, event, fields, "%s", message);
    (void)dup2(saved, STDERR_FILENO);
    (void)close(saved);
    rewind(file);
    n = fread(line, 1, sizeof line, file);
    (void)fclose(file);
    if (n == 0)
        return NULL;
    ck_assert_int_eq(line[n - 1], '\n');
    ck_assert_ptr_eq(memchr(line, '\n', n), line + n - 1);
    return json_loadb(line, n, 0, NULL);
}

static const char *
member(const json_t *json, const char *name)
{
    return json_string_value(json_object_get(json, name));
}

START_TEST(a_log_line_is_one_json_object)
{
    const struct plex_log_field fields[] = {PLEX_F_TEXT("who", "a\x01\xff"),
                                            PLEX_F_U64("n", INT64_MAX),
                                            PLEX_F_I64("m", -5),
                                            {0}};
    json_t *json;

    plex_log_bind("svc", "n1");
    json = logged("thing-done", fields, "line\n\"two\"\t\\");
    ck_assert_ptr_nonnull(json);
    ck_assert_str_eq(member(json, "service"), "svc");
    ck_assert_str_eq(member(json, "node"), "n1");
    ck_assert_str_eq(member(json, "level"), "info");
    ck_assert_str_eq(member(json, "event"), "thing-done");
    ck_assert_str_eq(member(json, "msg"), "line\n\"two\"\t\\");
    ck_assert_str_eq(member(json, "who"), "a\x01\xef\xbf\xbd");
    ck_assert_int_eq(json_integer_value(json_object_get(json, "m")), -5);
    ck_assert_uint_eq(strlen(member(json, "ts")), 24);
    json_decref(json);
}
END_TEST

START_TEST(a_log_line_that_is_too_long_is_still_json)
{
    char lots[5000];
    const struct plex_log_field fields[] = {PLEX_F_TEXT("a", lots),
                                            PLEX_F_TEXT("b", lots),
                                            PLEX_F_TEXT("c", lots),
                                            PLEX_F_U64("end", 1),
                                            {0}};
    json_t *json;

    memset(lots, 1, sizeof lots - 1);
    lots[sizeof lots - 1] = '\0';
    json = logged("e", fields, lots);
    ck_assert_ptr_nonnull(json);
    ck_assert_str_eq(member(json, "event"), "e");
    json_decref(json);
}
END_TEST

START_TEST(levels_filter)
{
    enum plex_log_level level;

    ck_assert_int_eq(plex_log_level_parse("error", &level, &err), PLEX_OK);
    plex_log_level_set(level);
    ck_assert_ptr_null(logged("e", NULL, "x"));
    plex_log_level_set(PLEX_LOG_INFO);
    ck_assert_int_eq(plex_log_level_parse("loud", &level, &err), PLEX_INVALID);
}
END_TEST

/* -- metrics
 * ------------------------------------------------------------------- */

static const char *
rendered(const struct plex_metrics *metrics)
{
    static struct plex_buf out = {.max = 1 << 20};

    out.len = 0;
    ck_assert_int_eq(plex_metrics_render(metrics, &out, &err), PLEX_OK);
    *plex_buf_grow(&out, 1) = '\0';
    return (const char *)out.data;
}

static uint64_t
read_42(void *arg)
{
    (void)arg;
    return 42;
}

START_TEST(metrics_render_as_prometheus_text)
{
    struct plex_metrics *m = plex_metrics_create();
    struct plex_buf tiny = {.max = 10};
    struct plex_counter *c =
        plex_metrics_counter(m, "x_total", "Things.", "status=\"ok\"");

    plex_metrics_gauge(m, "g", "A gauge.", "")->value = -3;
    c->value = 5;
    ck_assert_ptr_eq(
        plex_metrics_counter(m, "x_total", "Things.", "status=\"ok\""), c);
    plex_metrics_counter(m, "x_total", "Things.", "status=\"bad\"")->value = 1;
    plex_metrics_observe(m, "o", "Observed.", "", read_42, NULL);
    plex_metrics_process(m);
    ck_assert_ptr_nonnull(strstr(
        rendered(m), "# HELP x_total Things.\n# TYPE x_total counter\n"
                     "x_total{status=\"ok\"} 5\nx_total{status=\"bad\"} 1\n"
                     "# HELP g A gauge.\n# TYPE g gauge\ng -3\n"
                     "# HELP o Observed.\n# TYPE o gauge\no 42\n"));
    ck_assert_ptr_nonnull(strstr(rendered(m), "\nprocess_open_fds "));
    ck_assert_ptr_nonnull(
        strstr(rendered(m), "# TYPE process_cpu_seconds_total counter\n"));
    ck_assert_int_eq(plex_metrics_render(m, &tiny, &err), PLEX_TOO_LARGE);
    plex_buf_free(&tiny);
    plex_metrics_free(m);
}
END_TEST

START_TEST(histograms_count_sum_and_rank)
{
    struct plex_metrics *m = plex_metrics_create();
    struct plex_histogram *h =
        plex_metrics_histogram(m, "h_seconds", "Time.", "a=\"b\"");
    const char *text;

    ck_assert_uint_eq(plex_histogram_quantile(h, 0.5), 0);
    for (uint64_t us = 1; us <= 1000; us++)
        plex_histogram_record(h, us);
    for (int i = 0; i <= 100; i += 10) {
        const double want = (double)(i == 0 ? 1 : i * 10);
        const double got = (double)plex_histogram_quantile(h, i / 100.0);

        ck_assert_msg(got >= want && got <= want * 1.07, "%d: %f", i, got);
    }
    text = rendered(m);
    ck_assert_ptr_nonnull(strstr(text, "# TYPE h_seconds histogram\n"));
    /* 64 us: the values 1 to 63. */
    ck_assert_ptr_nonnull(
        strstr(text, "h_seconds_bucket{a=\"b\",le=\"0.000064\"} 63\n"));
    ck_assert_ptr_nonnull(
        strstr(text, "h_seconds_bucket{a=\"b\",le=\"0.000512\"} 511\n"));
    ck_assert_ptr_nonnull(
        strstr(text, "h_seconds_bucket{a=\"b\",le=\"+Inf\"} 1000\n"));
    ck_assert_ptr_nonnull(strstr(text, "h_seconds_sum{a=\"b\"} 0.500500\n"));
    ck_assert_ptr_nonnull(strstr(text, "h_seconds_count{a=\"b\"} 1000\n"));
    plex_histogram_record(h, UINT64_C(1) << 62); /* off the scale: the last */
    plex_histogram_record(h, 0);
    ck_assert_uint_ge(plex_histogram_quantile(h, 1.0), 100 * 1000000);
    plex_metrics_free(m);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("basics");
    TCase *tcase = tcase_create("basics");
    SRunner *runner;
    int failed;

    tcase_add_test(tcase, wrapping_puts_the_context_first_and_keeps_the_status);
    tcase_add_test(tcase, long_texts_are_cut_not_overrun);
    tcase_add_test(tcase, statuses_from_the_wire_are_known_or_internal);
    tcase_add_test(tcase, a_buffer_grows_to_its_maximum_and_no_further);
    tcase_add_test(tcase, an_arena_aligns_and_stops_at_its_ceiling);
    tcase_add_test(tcase, names_follow_their_rules);
    tcase_add_test(tcase, an_actor_name_splits_and_joins);
    tcase_add_test(tcase, the_hash_of_an_actor_never_changes);
    tcase_add_test(tcase, given_values_win_over_environment_and_default);
    tcase_add_test(tcase, bad_numbers_are_refused_naming_source_and_range);
    tcase_add_test(tcase, command_lines_become_settings);
    tcase_add_test(tcase, traces_parse_and_format);
    tcase_add_test(tcase, ids_sort_by_time_and_come_back);
    tcase_add_test(tcase, random_bytes_differ);
    tcase_add_test(tcase, a_log_line_is_one_json_object);
    tcase_add_test(tcase, a_log_line_that_is_too_long_is_still_json);
    tcase_add_test(tcase, levels_filter);
    tcase_add_test(tcase, metrics_render_as_prometheus_text);
    tcase_add_test(tcase, histograms_count_sum_and_rank);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
