/* Whatever a run waits for, it can say what, since when and what would help. */
#include "common/mem.h"
#include "tests/unit/workflow/script.h"

static const struct {
    const char *steps, *state, *waits_for;
} waits[] = {
    {"{id: s, actor: never}", "WAITING_ANSWER", "an answer of never/run-1"},
    {"{id: s, url: 'http://x/'}", "WAITING_ANSWER", "http://x/"},
    {"{id: s, workflow: other}", "WAITING_ANSWER", "the run of workflow other"},
    {"{id: s, duration: 1h}", "WAITING", "the time to come"},
    {"{id: s, signal: go}", "WAITING_SIGNAL", "go"},
    {"{id: s, approval: really?}", "WAITING_APPROVAL", "a decision"},
    {"{id: s, actor: fail, retry: {initial_interval: 60s}}", "RETRYING",
     "FAILED"},
    {"{id: s, items: [1], each: {steps: [{id: w, signal: in}]}}",
     "WAITING_SIGNAL", "in"},
    {"{id: s, branches: [{id: b, steps: [{id: w, duration: 2h}]}]}", "WAITING",
     "the time to come"},
};

static const char *
text_of(const json_t *object, const char *field)
{
    const char *text = json_string_value(json_object_get(object, field));

    return text == NULL ? "" : text;
}

/* Every step under way says all of it; the first one. */
static json_t *
why_checked(void)
{
    json_t *why = flow_run_query(w.run, "why", w.now.ms, &err), *step;
    size_t i;

    ck_assert_msg(why != NULL, "%s", err.text);
    json_array_foreach(json_object_get(why, "steps"), i, step)
    {
        ck_assert_str_ne(text_of(step, "waits_for"), "");
        ck_assert_str_ne(text_of(step, "since"), "");
        ck_assert_str_ne(text_of(step, "remedy"), "");
    }
    ck_assert_uint_gt(i, 0);
    return why;
}

START_TEST(each_kind_of_waiting_has_a_reason)
{
    char text[300];
    json_t *why, *step;
    unsigned turns = 0;

    (void)snprintf(text, sizeof text, "id: a\nsteps:\n- %s\n", waits[_i].steps);
    begin(text, "null", 1);
    /* Answers only: no time passes. */
    while (strcmp(waits[_i].state, "RETRYING") == 0 && turns++ < 1)
        (void)world_step(&w);
    why = why_checked();
    step = json_array_get(json_object_get(why, "steps"), 0);
    ck_assert_str_eq(text_of(step, "state"), waits[_i].state);
    ck_assert_msg(strstr(text_of(step, "waits_for"), waits[_i].waits_for) !=
                      NULL,
                  "%s", text_of(step, "waits_for"));
    json_decref(why);
    world_close(&w);
}
END_TEST

START_TEST(a_parked_run_says_why_and_that_it_is_resumed)
{
    json_t *why;

    begin("id: a\non_failure: park\nsteps:\n- {id: s, actor: fail, retry: "
          "{max_attempts: 1}}",
          "null", 1);
    world_pump(&w, 5);
    is(FLOW_PARKED);
    why = why_checked();
    ck_assert_str_eq(text_of(why, "status"), "PARKED");
    ck_assert_str_ne(text_of(why, "reason"), "");
    json_decref(why);
    world_close(&w);
}
END_TEST

START_TEST(a_compensation_that_is_under_way_has_a_reason_too)
{
    json_t *why;

    begin("id: a\nsteps:\n- {id: s, actor: hotel, compensate: {actor: never}}\n"
          "- {id: f, depends_on: [s], type: fail, error: NO}",
          "null", 1);
    (void)world_step(&w);
    why = why_checked();
    ck_assert(json_is_true(json_object_get(
        json_array_get(json_object_get(why, "steps"), 0), "compensating")));
    json_decref(why);
    world_close(&w);
}
END_TEST

START_TEST(a_paused_run_says_that_it_is_resumed)
{
    json_t *why;

    begin("id: a\nsteps:\n- {id: s, duration: 1h}", "null", 1);
    ck_assert_int_eq(send(FLOW_EVENT_PAUSE, "holidays", NULL), PLEX_OK);
    why = why_checked();
    ck_assert_str_eq(text_of(why, "reason"), "holidays");
    ck_assert_str_ne(text_of(why, "remedy"), "");
    json_decref(why);
    world_close(&w);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("why");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_loop_test(tcase, each_kind_of_waiting_has_a_reason, 0,
                        sizeof waits / sizeof *waits);
    tcase_add_test(tcase, a_parked_run_says_why_and_that_it_is_resumed);
    tcase_add_test(tcase, a_compensation_that_is_under_way_has_a_reason_too);
    tcase_add_test(tcase, a_paused_run_says_that_it_is_resumed);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
