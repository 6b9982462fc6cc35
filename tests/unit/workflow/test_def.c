#include "workflow/def.h"
#include "workflow/text.h"
#include "workflow/when.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *text, *error;
} wrong[] = {
    {"", "1:1: the definition is empty"},
    {"id: a", "1:1: steps: should be a list of steps"},
    {"id: a\nsteps: []", "2:8: steps: should be a list"},
    {"steps:\n- {id: t, actor: x}", "1:1: 'id' is missing"},
    {"id: a b\nsteps:\n- {id: t, actor: x}", "1:5: id: an id has letters"},
    {"id: a\nversion: 1.0\nsteps:\n- {id: t, actor: x}",
     "2:10: version: should be a text"},
    {"id: a\nversion: '1.0'\nsteps:\n- {id: t, actor: x}",
     "2:10: version: should be a version like"},
    {"id: a\nstep:\n- {id: t, actor: x}",
     "3:1: step: unknown field 'step'; did you mean 'steps'?"},
    {"id: a\nsteps:\n- {actor: x}", "3:3: steps[0]: 'id' is missing"},
    {"id: a\nsteps:\n- {id: t}", "3:3: steps[0]: 'type' is missing"},
    {"id: a\nsteps:\n- {id: t, type: tusk}",
     "3:17: steps[0].type: should be task"},
    {"id: a\nsteps:\n- {id: t, actor: x, retri: 1}",
     "3:28: steps[0].retri: unknown field 'retri'; did you mean 'retry'?"},
    {"id: a\nsteps:\n- {id: t, actor: x}\n- {id: t, actor: x}",
     "4:3: steps[1]: there are two steps 't'"},
    {"id: a\nsteps:\n- {id: t, actor: x, depends_on: [u]}",
     "there is no step 'u'"},
    {"id: a\nsteps:\n- {id: t, actor: x, depends_on: [t]}",
     "the steps form a cycle: t -> t"},
    {"id: a\nsteps:\n- {id: a, actor: x, depends_on: [c]}\n"
     "- {id: b, actor: x, depends_on: [a]}\n"
     "- {id: c, actor: x, depends_on: [b]}\n- {id: d, actor: x}",
     "the steps form a cycle: "},
    {"id: a\nsteps:\n- {id: t, actor: x, on_error: t}", "form a cycle"},
    {"id: a\nsteps:\n- {id: t, actor: x, on_error: u}",
     "3:31: steps[0].on_error: there is no step 'u'"},
    {"id: a\nsteps:\n- {id: t, actor: X}", "3:18: steps[0].actor: actor type"},
    {"id: a\nsteps:\n- {id: t, actor: [x]}", "should be \"TYPE/KEY\""},
    {"id: a\nsteps:\n- {id: t, actor: x, input: '${input.a +}'}",
     "3:28: steps[0].input: in the expression, 1:10: an expression is "
     "expected"},
    {"id: a\nsteps:\n- {id: t, actor: x, input: {a: ['${foo}']}}",
     "3:33: steps[0].input.a[0]: in the expression, 1:1: unknown name 'foo'"},
    {"id: a\nsteps:\n- {id: t, actor: x, input: 'a ${b'}",
     "\"${\" without its \"}\" at byte 3"},
    {"id: a\nsteps:\n- {id: t, actor: x, input: '${steps.u}'}",
     "there is no step 'u'"},
    {"id: a\nsteps:\n- {id: t, actor: x}\n- {id: u, actor: x, input: "
     "'${steps.t}'}",
     "steps.t is used here, but step 'u' does not depend on it"},
    {"id: a\nsteps:\n- {id: t, actor: x, input: '${item}'}",
     "'item' is not known here"},
    {"id: a\nsteps:\n- {id: t, actor: x, input: '${result}'}",
     "'result' is not known here"},
    {"id: a\nsteps:\n- {id: t, actor: x, timeout: 2h}",
     "3:30: steps[0].timeout: should be from 1 ms to 3600000 ms"},
    {"id: a\nsteps:\n- {id: t, actor: x, timeout: soon}",
     "should be a duration"},
    {"id: a\nsteps:\n- {id: t, actor: x, timeout: 1s, timeout_ms: 5}",
     "give either 'timeout' or 'timeout_ms'"},
    {"id: a\ndefault_timeout: 25h\nsteps:\n- {id: t, actor: x}",
     "2:18: default_timeout: should be from 1 ms to 86400000 ms"},
    {"id: a\nsteps:\n- {id: t, actor: x, retry: {max_attempts: 0}}",
     "whole number from 1 to 1000"},
    {"id: a\nsteps:\n- {id: t, actor: x, retry: {backoff_rate: 11}}",
     "number from 1 to 10"},
    {"id: a\nsteps:\n- {id: t, actor: x, retry: {jitter: some}}",
     "should be true or false"},
    {"id: a\nsteps:\n- {id: t, choices: []}", "at least one choice"},
    {"id: a\nsteps:\n- {id: t, choices: [{when: '${true}'}]}",
     "'next' is missing"},
    {"id: a\nsteps:\n- {id: t, choices: [{next: u}]}\n- {id: u, actor: x}",
     "give 'when'"},
    {"id: a\nsteps:\n- {id: t, choices: [{variable: $.a, operator: '~', "
     "value: 1, next: u}]}\n- {id: u, actor: x}",
     "should be ==, !="},
    {"id: a\nsteps:\n- {id: t, type: wait}", "give one of duration"},
    {"id: a\nsteps:\n- {id: t, duration: 1s, until: '2026-01-01T00:00:00Z'}",
     "give one of duration"},
    {"id: a\nsteps:\n- {id: t, until: tomorrow}", "should be a time like"},
    {"id: a\nsteps:\n- {id: t, branches: [{steps: [{id: s, actor: x}]}]}",
     "'id' is missing"},
    {"id: a\nsteps:\n- {id: t, items: '${[]}'}", "'each' is missing"},
    {"id: a\nsteps:\n- {id: t, items: '${[]}', each: {steps: [{id: s, actor: "
     "x, depends_on: [t]}]}}",
     "there is no step 't' at this level"},
    {"id: a\nsteps:\n- {id: t, actor: x, compensate: {input: 1}}",
     "should be \"TYPE/KEY\""},
    {"id: a\nsteps:\n- {id: t, signal: s, timeout: 400d}",
     "should be from 1 ms to"},
    {"id: a\nid: b\nsteps: []", "not YAML: the same key twice"},
    {"id: &x a\nsteps: [*x]", "not YAML: anchors and aliases"},
    {"id: !!str a", "not YAML: tags are not allowed"},
    {"id: a\n<<: {b: 1}", "not YAML: merge keys"},
    {"---\nid: a\n---\nid: b", "not YAML: more than one document"},
    {"a: [1", "not YAML"},
    {"\tid: a", "not YAML"},
    {"{\"id\":\"a\",\n \"id\":\"b\"}", "2:5: not JSON: duplicate object key"},
    {"{\"id\":\"a\",\"steps\":\n  [{\"id\":\"t\",\n   \"actor\": 5}]}",
     "3:13: steps[0].actor: should be"},
    {"{\"id\":\"a\"} x", "not JSON"},
    {"[]", "1:1: should be an object"},
    {"id: \"\\xff\"", ""},
    {"id: a\nupdates: {u: {check: '${true}'}}\nsteps:\n- {id: t, actor: x}",
     "2:14: updates.u: 'set' is missing"},
    {"id: a\nqueries: {q: '${steps.z}'}\nsteps:\n- {id: t, actor: x}",
     "there is no step 'z'"},
    {"id: a\non_failure: retry\nsteps:\n- {id: t, actor: x}",
     "2:13: on_failure: should be 'fail' or 'park'"},
    {"id: a\nlabels: {a: 1}\nsteps:\n- {id: t, actor: x}",
     "2:13: labels.a: should be a text"},
};

START_TEST(a_wrong_definition_is_refused_with_its_place)
{
    struct flow_def *def = NULL;
    struct plex_err err = {0};

    ck_assert_msg(flow_def_parse(wrong[_i].text, strlen(wrong[_i].text), &def,
                                 &err) != PLEX_OK,
                  "%s", wrong[_i].text);
    ck_assert_msg(strstr(err.text, wrong[_i].error) != NULL,
                  "%s\nwant %s\ngot  %s", wrong[_i].text, wrong[_i].error,
                  err.text);
    ck_assert_ptr_null(def);
}
END_TEST

static char *
many_steps(int count, bool chain)
{
    char *text = NULL;
    size_t len;
    FILE *file = open_memstream(&text, &len);

    fputs("id: a\nsteps:\n", file);
    for (int i = 0; i < count; i++) {
        (void)fprintf(file, "- {id: s%d, type: pass", i);
        if (chain && i > 0)
            (void)fprintf(file, ", depends_on: [s%d]", i - 1);
        fputs("}\n", file);
    }
    (void)fclose(file);
    return text;
}

START_TEST(a_thousand_steps_are_the_most)
{
    struct flow_def *def = NULL;
    struct plex_err err = {0};
    char *text = many_steps(1000, true);

    ck_assert_msg(flow_def_parse(text, strlen(text), &def, &err) == PLEX_OK,
                  "%s", err.text);
    flow_def_unref(def);
    free(text);
    text = many_steps(1001, false);
    ck_assert_int_eq(flow_def_parse(text, strlen(text), &def, &err),
                     PLEX_INVALID);
    ck_assert_msg(strstr(err.text, "at most 1000 steps") != NULL, "%s",
                  err.text);
    free(text);
}
END_TEST

START_TEST(nesting_is_bounded)
{
    char text[8000] = "{\"id\":\"a\",\"steps\":[";
    struct flow_def *def = NULL;
    struct plex_err err = {0};

    for (int i = 0; i < 17; i++)
        strcat(text, "{\"id\":\"m\",\"items\":[],\"each\":{\"steps\":[");
    strcat(text, "{\"id\":\"s\",\"type\":\"pass\"}");
    for (int i = 0; i < 17; i++)
        strcat(text, "]}}");
    strcat(text, "]}");
    ck_assert_int_eq(flow_def_parse(text, strlen(text), &def, &err),
                     PLEX_INVALID);
    ck_assert_msg(strstr(err.text, "nest") != NULL, "%s", err.text);
}
END_TEST

START_TEST(what_a_definition_says_can_be_read)
{
    static const char text[] = "id: order\nname: Orders\nversion: 2.1.0-rc.1\n"
                               "labels: {team: sales}\nsteps:\n"
                               "- {id: a, actor: x}\n"
                               "- {id: b, actor: x, depends_on: [a]}\n";
    struct flow_def *def = NULL, *other = NULL;
    struct plex_err err = {0};
    json_t *outline;
    size_t len;

    ck_assert_int_eq(flow_def_parse(text, strlen(text), &def, &err), PLEX_OK);
    ck_assert_str_eq(flow_def_id(def), "order");
    ck_assert_str_eq(flow_def_name(def), "Orders");
    ck_assert_str_eq(flow_def_version(def), "2.1.0-rc.1");
    ck_assert_str_eq(flow_def_text(def, &len), text);
    ck_assert_uint_eq(len, strlen(text));
    ck_assert_str_eq(
        json_string_value(json_object_get(flow_def_labels(def), "team")),
        "sales");
    outline = flow_def_outline(def);
    ck_assert_uint_eq(json_array_size(outline), 2);
    json_decref(outline);
    ck_assert_int_eq(flow_def_parse(text, strlen(text) - 1, &other, &err),
                     PLEX_OK);
    ck_assert_uint_ne(flow_def_digest(def), flow_def_digest(other));
    flow_def_unref(def);
    flow_def_unref(other);
}
END_TEST

START_TEST(versions_are_ordered_as_semver_says)
{
    static const char *const order[] = {
        "0.9.0",      "1.0.0-alpha",  "1.0.0-alpha.1", "1.0.0-alpha.beta",
        "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1",
        "1.0.0",      "1.0.1",        "1.2.0",         "1.10.0",
        "2.0.0"};
    static const char *const not [] = {"1",      "1.0",   "01.0.0", "1.0.0-",
                                       "1.0.0+", "a.b.c", "1.0.0 ", ""};
    const size_t count = sizeof order / sizeof *order;

    for (size_t i = 0; i < count; i++) {
        ck_assert_msg(flow_semver_valid(order[i]), "%s", order[i]);
        for (size_t j = 0; j < count; j++) {
            const int c = flow_semver_compare(order[i], order[j]);

            ck_assert_msg((c > 0) - (c < 0) == (i > j) - (i < j), "%s %s %d",
                          order[i], order[j], c);
        }
    }
    for (size_t i = 0; i < sizeof not / sizeof *not ; i++)
        ck_assert_msg(!flow_semver_valid(not [i]), "%s", not [i]);
    ck_assert_int_eq(flow_semver_compare("1.0.0+a", "1.0.0+b"), 0);
}
END_TEST

START_TEST(dates_go_there_and_back)
{
    char text[FLOW_TIME_TEXT];

    for (int64_t ms = -62135596800000; ms < 253402300000000;
         ms += 86400000LL * 97 + 12345) {
        const struct flow_date date = flow_date_of(ms);
        int64_t back;

        ck_assert_int_eq(flow_date_ms(&date), ms);
        flow_time_format(ms, text);
        ck_assert_msg(flow_time_parse(text, &back) && back == ms, "%s", text);
    }
    ck_assert_int_eq(flow_date_of(0).weekday, 4);
    ck_assert_int_eq(flow_date_of(-86400000).weekday, 3);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("def");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tc, a_wrong_definition_is_refused_with_its_place, 0,
                        sizeof wrong / sizeof *wrong);
    tcase_add_test(tc, a_thousand_steps_are_the_most);
    tcase_add_test(tc, nesting_is_bounded);
    tcase_add_test(tc, what_a_definition_says_can_be_read);
    tcase_add_test(tc, versions_are_ordered_as_semver_says);
    tcase_add_test(tc, dates_go_there_and_back);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
