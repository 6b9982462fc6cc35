/* docs/asl.md: every row of its tables holds, and what there is, is on it. */
#include "common/mem.h"
#include "tests/unit/workflow/world.h"
#include "workflow/value.h"

#include <check.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

enum { CELLS_MAX = 8 };
static char *page;

static void
read_page(void)
{
    FILE *file = fopen(ASL_PAGE, "rb");

    page = plex_calloc(1, 1 << 18);
    ck_assert_msg(file != NULL, "%s", ASL_PAGE);
    ck_assert_uint_gt(fread(page, 1, (1 << 18) - 1, file), 0);
    (void)fclose(file);
}

static void
free_page(void)
{
    free(page);
}

/* The part after "<!-- test NAME -->", as a copy. */
static char *
part(const char *name)
{
    char mark[64];
    const char *at, *end;

    (void)snprintf(mark, sizeof mark, "<!-- test %s -->", name);
    at = strstr(page, mark);
    ck_assert_msg(at != NULL, "%s", mark);
    end = strstr(at, "\n## ");
    return end == NULL ? strdup(at) : strndup(at, (size_t)(end - at));
}

/* The texts in backticks of the last `n` cells of a row. False: no row. */
static bool
row(char *line, char *cells[CELLS_MAX], size_t n)
{
    char *found[CELLS_MAX * 2];
    size_t count = 0;

    if (line[0] != '|')
        return false;
    for (char *at = strchr(line, '`'); at != NULL && count < CELLS_MAX * 2;) {
        char *end = strchr(at + 1, '`');

        if (end == NULL)
            break;
        *end = '\0';
        found[count++] = at + 1;
        at = strchr(end + 1, '`');
    }
    if (count < n)
        return false;
    memcpy(cells, found + count - n, n * sizeof *cells);
    return true;
}

/* A machine as it is, or around one state, or around several. */
static enum plex_status
machine(const char *text, struct flow_def **def, struct plex_err *err)
{
    const struct flow_asl_options options = {"machine", NULL, NULL};
    json_t *json = json_loads(text, 0, NULL);
    const char *before = "{\"StartAt\":\"S\",\"States\":", *after = "}";
    const size_t size = strlen(text) + 64;
    char *whole = plex_calloc(1, size);
    enum plex_status status;

    ck_assert_msg(json != NULL, "%s", text);
    if (json_object_get(json, "StartAt") != NULL) {
        before = after = "";
    } else if (json_object_get(json, "Type") != NULL) {
        before = "{\"StartAt\":\"S\",\"States\":{\"S\":";
        after = "}}";
    }
    (void)snprintf(whole, size, "%s%s%s", before, text, after);
    status = flow_asl_parse(whole, strlen(whole), &options, def, err);
    json_decref(json);
    free(whole);
    return status;
}

static bool
same(const char *want, const char *got)
{
    json_t *value = json_loads(want, JSON_DECODE_ANY, NULL);
    char *text = value == NULL ? NULL : flow_value_text(value);
    const bool is = text != NULL && strcmp(text, got) == 0;

    free(text);
    json_decref(value);
    return is;
}

static void
check(const char *text, const char *input, const char *gives, bool crash)
{
    static struct world w;
    struct flow_def *def = NULL;
    struct plex_err err = {0};
    json_t *value = json_loads(input, JSON_DECODE_ANY, NULL);
    char *output;

    ck_assert_msg(machine(text, &def, &err) == PLEX_OK, "%s\n%s", err.text,
                  text);
    ck_assert_msg(value != NULL, "%s", input);
    world_open(&w, def);
    w.crash = crash;
    ck_assert_int_eq(world_start(&w, value, &err), PLEX_OK);
    world_pump(&w, 2000);
    if (strncmp(gives, "fails ", 6) == 0) {
        ck_assert_msg(strcmp(w.code, gives + 6) == 0, "%s: %s: %s", text,
                      w.code, w.cause);
    } else {
        output = flow_value_text(w.output);
        ck_assert_msg(flow_run_status(w.run) == FLOW_COMPLETED &&
                          same(gives, output),
                      "%s\n%s: %s %s", text, output, w.code, w.cause);
        free(output);
    }
    world_close(&w);
    json_decref(value);
    flow_def_unref(def);
}

START_TEST(each_machine_gives_what_the_page_says)
{
    char *text = part("states"), *rest = text, *line, *cells[CELLS_MAX];
    int rows = 0;

    while ((line = strsep(&rest, "\n")) != NULL)
        if (row(line, cells, 3)) {
            check(cells[0], cells[1], cells[2], _i != 0);
            rows++;
        }
    ck_assert_int_ge(rows, 55);
    free(text);
}
END_TEST

START_TEST(each_rule_holds_as_the_page_says)
{
    char *text = part("rules"), *rest = text, *line, *cells[CELLS_MAX];
    char states[2000];
    int rows = 0;

    while ((line = strsep(&rest, "\n")) != NULL)
        if (row(line, cells, 3)) {
            (void)snprintf(
                states, sizeof states,
                "{\"S\":{\"Type\":\"Choice\",\"Choices\":[%.*s,\"Next\":\"Y\"}]"
                ",\"Default\":\"N\"},\"Y\":{\"Type\":\"Pass\",\"Result\":"
                "\"yes\",\"End\":true},\"N\":{\"Type\":\"Pass\",\"Result\":"
                "\"no\",\"End\":true}}",
                (int)strlen(cells[0]) - 1, cells[0]);
            check(states, cells[1],
                  strcmp(cells[2], "yes") == 0 ? "\"yes\"" : "\"no\"", false);
            rows++;
        }
    ck_assert_int_ge(rows, 60);
    free(text);
}
END_TEST

START_TEST(each_function_gives_what_the_page_says)
{
    char *text = part("functions"), *rest = text, *line, *cells[CELLS_MAX];
    char *input = strstr(text, "With the input `") + 16, state[2000];
    char *kept = strndup(input, strcspn(input, "`"));
    int rows = 0;

    while ((line = strsep(&rest, "\n")) != NULL)
        if (row(line, cells, 2)) {
            static struct world w;
            struct flow_def *def = NULL;
            struct plex_err err = {0};
            json_t *value = json_loads(kept, 0, NULL);
            json_t *expression = json_string(cells[0]), *got;
            char *quoted = json_dumps(expression, JSON_ENCODE_ANY), *output;

            (void)snprintf(state, sizeof state,
                           "{\"Type\":\"Pass\",\"Parameters\":{\"v.$\":%s},"
                           "\"End\":true}",
                           quoted);
            ck_assert_msg(machine(state, &def, &err) == PLEX_OK, "%s\n%s",
                          err.text, state);
            world_open(&w, def);
            ck_assert_int_eq(world_start(&w, value, &err), PLEX_OK);
            got = json_object_get(w.output, "v");
            ck_assert_msg(got != NULL, "%s: %s %s", cells[0], w.code, w.cause);
            output = flow_value_text(got);
            ck_assert_msg(same(cells[1], output) ||
                              (strchr(cells[1], '?') != NULL &&
                               fnmatch(cells[1], output, 0) == 0),
                          "%s: %s", cells[0], output);
            free(output);
            free(quoted);
            world_close(&w);
            json_decref(expression);
            json_decref(value);
            flow_def_unref(def);
            rows++;
        }
    ck_assert_int_ge(rows, 24);
    free(kept);
    free(text);
}
END_TEST

START_TEST(what_is_refused_is_refused_with_its_place)
{
    char *text = part("refused"), *rest = text, *line, *cells[CELLS_MAX];
    struct flow_def *def = NULL;
    unsigned at_line, at_column;
    struct plex_err err;
    int rows = 0;

    while ((line = strsep(&rest, "\n")) != NULL)
        if (row(line, cells, 2)) {
            ck_assert_msg(machine(cells[0], &def, &err) != PLEX_OK, "%s",
                          cells[0]);
            ck_assert_msg(strstr(err.text, cells[1]) != NULL, "%s: %s",
                          cells[0], err.text);
            ck_assert_msg(sscanf(err.text, "%u:%u:", &at_line, &at_column) == 2,
                          "%s: %s", cells[0], err.text);
            rows++;
        }
    ck_assert_int_ge(rows, 16);
    free(text);
}
END_TEST

static const char *const names[] = {
    "States.Format(",
    "States.StringToJson(",
    "States.JsonToString(",
    "States.Array(",
    "States.ArrayPartition(",
    "States.ArrayContains(",
    "States.ArrayRange(",
    "States.ArrayGetItem(",
    "States.ArrayLength(",
    "States.ArrayUnique(",
    "States.Base64Encode(",
    "States.Base64Decode(",
    "States.Hash(",
    "States.JsonMerge(",
    "States.MathRandom(",
    "States.MathAdd(",
    "States.StringSplit(",
    "States.UUID(",
    "\"InputPath\"",
    "\"OutputPath\"",
    "\"Parameters\"",
    "\"ResultSelector\"",
    "\"ResultPath\"",
    "\"Retry\"",
    "\"Catch\"",
    "\"Next\"",
    "\"End\"",
    "\"Result\"",
    "\"Choices\"",
    "\"Default\"",
    "\"Seconds\"",
    "\"SecondsPath\"",
    "\"Timestamp\"",
    "\"TimestampPath\"",
    "\"Error\"",
    "\"ErrorPath\"",
    "\"Cause\"",
    "\"CausePath\"",
    "\"Branches\"",
    "\"Iterator\"",
    "\"ItemProcessor\"",
    "\"ItemsPath\"",
    "\"ItemSelector\"",
    "\"MaxConcurrency\"",
    "\"MaxConcurrencyPath\"",
    "\"ToleratedFailureCount\"",
    "\"ToleratedFailurePercentage\"",
    "\"Label\"",
    "\"TimeoutSeconds\"",
    "\"TimeoutSecondsPath\"",
    "\"HeartbeatSeconds\"",
    "\"HeartbeatSecondsPath\"",
    "\"Credentials\"",
    "\"IntervalSeconds\"",
    "\"BackoffRate\"",
    "\"MaxAttempts\"",
    "\"MaxDelaySeconds\"",
    "\"JitterStrategy\"",
    "\"IsNull\"",
    "\"IsPresent\"",
    "\"IsNumeric\"",
    "\"IsString\"",
    "\"IsBoolean\"",
    "\"IsTimestamp\"",
    "\"StringMatches\"",
    "\"And\"",
    "\"Or\"",
    "\"Not\"",
};

START_TEST(every_function_field_and_comparison_is_on_the_page)
{
    static const char *const kinds[] = {"String", "Numeric", "Timestamp"};
    static const char *const ways[] = {"Equals", "LessThan", "LessThanEquals",
                                       "GreaterThan", "GreaterThanEquals"};
    char name[64];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        ck_assert_msg(strstr(page, names[i]) != NULL, "%s", names[i]);
    for (size_t i = 0; i < 3 * 5 * 2; i++) {
        (void)snprintf(name, sizeof name, "\"%s%s%s\"", kinds[i % 3],
                       ways[i / 3 % 5], i / 15 == 0 ? "" : "Path");
        ck_assert_msg(strstr(page, name) != NULL, "%s", name);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("asl_page");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_unchecked_fixture(tcase, read_page, free_page);
    tcase_add_loop_test(tcase, each_machine_gives_what_the_page_says, 0, 2);
    tcase_add_test(tcase, each_rule_holds_as_the_page_says);
    tcase_add_test(tcase, each_function_gives_what_the_page_says);
    tcase_add_test(tcase, what_is_refused_is_refused_with_its_place);
    tcase_add_test(tcase, every_function_field_and_comparison_is_on_the_page);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
