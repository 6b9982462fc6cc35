/*
 * Random definitions under random events, answers in random order: with a
 * crash after every event everything is as without, no run is ever stuck
 * without a reason, and what a run that failed had done is undone, in reverse
 * order. FLOW_SEEDS is how many are tried, FLOW_SEED one of them alone.
 */
#include "tests/unit/workflow/dice.h"
#include "tests/unit/workflow/world.h"
#include "workflow/value.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* -- definitions
 * ----------------------------------------------------------------------- */

static json_t *make_steps(struct dice *dice, unsigned depth);

static json_t *
step_name(unsigned i)
{
    return json_sprintf("s%u", i);
}

static void
make_task(struct dice *dice, json_t *step)
{
    static const char *const types[] = {"echo",  "echo", "work",
                                        "flaky", "fail", "never"};
    const char *type = types[roll(dice, 6)];

    json_object_set_new(step, "actor", json_string(type));
    json_object_set_new(step, "timeout_ms", json_integer(1 + roll(dice, 9000)));
    if (strcmp(type, "flaky") == 0)
        json_object_set_new(step, "input",
                            json_pack("{s:i}", "ok_at", 1 + roll(dice, 4)));
    if (roll(dice, 3) == 0)
        json_object_set_new(step, "retry",
                            json_pack("{s:i, s:i, s:b}", "max_attempts",
                                      1 + roll(dice, 3), "initial_interval_ms",
                                      1 + roll(dice, 2000), "jitter",
                                      roll(dice, 2)));
}

static json_t *
make_branches(struct dice *dice, unsigned depth)
{
    const unsigned count = 1 + roll(dice, 3);
    json_t *list = json_array();

    for (unsigned i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:o, s:o}", "id",
                                              json_sprintf("b%u", i), "steps",
                                              make_steps(dice, depth + 1)));
    return list;
}

static void
make_kind(struct dice *dice, json_t *step, unsigned i, unsigned count,
          unsigned depth)
{
    const unsigned later = count - i - 1;

    switch (roll(dice, 12)) {
    case 0:
        json_object_set_new(step, "type", json_string("pass"));
        break;
    case 1:
        json_object_set_new(step, "duration_ms",
                            json_integer(roll(dice, 5000)));
        break;
    case 2:
        json_object_set_new(step, "signal", json_string("go"));
        json_object_set_new(step, "timeout", json_string("10s"));
        break;
    case 3:
        json_object_set_new(step, "approval", json_string("well?"));
        json_object_set_new(step, "timeout", json_string("20s"));
        break;
    case 4:
        if (depth < 3) {
            json_object_set_new(step, "branches", make_branches(dice, depth));
            break;
        }
        make_task(dice, step);
        break;
    case 5:
        if (depth < 3) {
            json_object_set_new(step, "items",
                                json_sprintf("${range(0, %u)}", roll(dice, 5)));
            json_object_set_new(step, "max_concurrency",
                                json_integer(roll(dice, 3)));
            json_object_set_new(step, "tolerated_failures",
                                json_integer(roll(dice, 3)));
            json_object_set_new(
                step, "each",
                json_pack("{s:o}", "steps", make_steps(dice, depth + 1)));
            break;
        }
        make_task(dice, step);
        break;
    case 6:
        if (later > 0) {
            json_object_set_new(
                step, "choices",
                json_pack("[{s:s, s:o}]", "when", "${random() < 0.5}", "next",
                          step_name(i + 1 + roll(dice, later))));
            json_object_set_new(step, "default",
                                step_name(i + 1 + roll(dice, later)));
            break;
        }
        make_task(dice, step);
        break;
    case 7:
        if (roll(dice, 6) == 0) {
            json_object_set_new(step, "error", json_string("GAVE_UP"));
            break;
        }
        json_object_set_new(step, "workflow", json_string("child"));
        break;
    default:
        make_task(dice, step);
    }
}

static json_t *
make_step(struct dice *dice, unsigned i, unsigned count, unsigned depth)
{
    json_t *step = json_pack("{s:o}", "id", step_name(i));
    json_t *deps = json_array();
    const unsigned later = count - i - 1;

    for (unsigned d = 0; d < i; d++) {
        if (roll(dice, i) == 0)
            json_array_append_new(deps, step_name(d));
    }
    json_object_set_new(step, "depends_on", deps);
    make_kind(dice, step, i, count, depth);
    if (later > 0 && roll(dice, 4) == 0)
        json_object_set_new(step, "on_error",
                            step_name(i + 1 + roll(dice, later)));
    if (roll(dice, 3) == 0 && json_object_get(step, "choices") == NULL &&
        json_object_get(step, "error") == NULL)
        json_object_set_new(step, "compensate",
                            json_pack("{s:s, s:s, s:s}", "actor", "undo",
                                      "method", "undo", "input", "${result}"));
    return step;
}

static json_t *
make_steps(struct dice *dice, unsigned depth)
{
    const unsigned count = 1 + roll(dice, depth == 0 ? 8 : 3);
    json_t *steps = json_array();

    for (unsigned i = 0; i < count; i++)
        json_array_append_new(steps, make_step(dice, i, count, depth));
    return steps;
}

static struct flow_def *
make_def(uint64_t seed)
{
    struct dice dice = {seed * 977 + 5};
    json_t *value;
    struct flow_def *def;
    char *text;

    (void)roll(&dice, 2);
    value =
        json_pack("{s:s, s:o}", "id", "random", "steps", make_steps(&dice, 0));
    if (roll(&dice, 5) == 0)
        json_object_set_new(value, "on_failure", json_string("park"));
    if (roll(&dice, 3) == 0)
        json_object_set_new(value, "default_timeout", json_string("30s"));
    text = flow_value_text(value);
    def = world_def(text);
    free(text);
    json_decref(value);
    return def;
}

static struct flow_def *
make_machine(uint64_t seed)
{
    const struct flow_asl_options options = {"random", NULL, NULL};
    struct dice dice = {seed * 977 + 5};
    json_t *value = dice_machine(&dice, 0);
    struct flow_def *def = NULL;
    struct plex_err err = {0};
    char *text;

    if (roll(&dice, 3) == 0)
        json_object_set_new(value, "TimeoutSeconds", json_integer(20));
    text = flow_value_text(value);
    ck_assert_msg(flow_asl_parse(text, strlen(text), &options, &def, &err) ==
                      PLEX_OK,
                  "%s\n%s", err.text, text);
    free(text);
    json_decref(value);
    return def;
}

/* -- what comes from outside
 * -------------------------------------------------------------- */

static void
disturb(struct world *w, struct dice *dice)
{
    static const enum flow_event_kind kinds[] = {
        FLOW_EVENT_SIGNAL, FLOW_EVENT_SIGNAL, FLOW_EVENT_APPROVAL,
        FLOW_EVENT_PAUSE,  FLOW_EVENT_RESUME, FLOW_EVENT_RESUME,
        FLOW_EVENT_TIMER,  FLOW_EVENT_RESET,  FLOW_EVENT_CANCEL};
    const unsigned which = roll(dice, 40);
    struct flow_event event = {.cause = "dice", .name = "go"};
    const char letter = flow_def_language(w->def) == FLOW_ASL ? 'S' : 's';
    char step[8];
    struct plex_err err;

    if (which >= sizeof kinds / sizeof *kinds)
        return;
    event.kind = kinds[which];
    if (event.kind == FLOW_EVENT_APPROVAL) {
        event.id = w->asked_id;
        event.ok = roll(dice, 3) != 0;
        if (w->asked_id == 0)
            return;
    } else if (event.kind == FLOW_EVENT_RESET) {
        (void)snprintf(step, sizeof step, "%c%u", letter, roll(dice, 4));
        event.name = step;
        if (roll(dice, 4) != 0)
            return;
    } else if (event.kind == FLOW_EVENT_CANCEL && roll(dice, 4) != 0) {
        return;
    } else if (event.kind == FLOW_EVENT_TIMER) {
        w->timer_ms = 0;
    }
    (void)!world_event(w, &event, &err);
}

/* A run that does not go on by itself has to say what it waits for. */
static void
check_not_stuck(struct world *w, uint64_t seed)
{
    const enum flow_status status = flow_run_status(w->run);
    struct plex_err err;
    json_t *why;

    if (flow_status_final(status))
        return;
    why = flow_run_query(w->run, "why", w->now.ms, &err);
    ck_assert_msg(json_array_size(json_object_get(why, "steps")) > 0 ||
                      status == FLOW_PAUSED || status == FLOW_PARKED,
                  "seed %llu: stuck without a reason\n%s",
                  (unsigned long long)seed, world_past(w));
    json_decref(why);
}

static void
play(struct world *w, uint64_t seed)
{
    struct flow_event resume = {.kind = FLOW_EVENT_RESUME};
    struct flow_event cancel = {.kind = FLOW_EVENT_CANCEL, .cause = "the end"};
    json_t *input = json_pack("{s:[i, i, i]}", "list", 7, 8, 9);
    struct dice dice = {seed};
    struct plex_err err;

    w->shuffle = true;
    w->random = seed;
    w->now.seed = seed;
    ck_assert_int_eq(world_start(w, input, &err), PLEX_OK);
    json_decref(input);
    for (int i = 0; i < 300; i++) {
        disturb(w, &dice);
        if (!world_step(w)) {
            check_not_stuck(w, seed);
            if (flow_status_final(flow_run_status(w->run)))
                break;
            (void)!world_event(w, &resume, &err);
        }
    }
    /* Then everything has to come to an end. */
    for (int i = 0; i < 20 && !flow_status_final(flow_run_status(w->run));
         i++) {
        (void)!world_event(w, &resume, &err);
        (void)!world_event(w, &cancel, &err);
        world_pump(w, 200);
    }
    ck_assert_msg(flow_status_final(flow_run_status(w->run)),
                  "seed %llu: does not end\n%s", (unsigned long long)seed,
                  world_past(w));
    ck_assert_int_eq(w->timer_ms, 0);
}

/* -- checks
 * ----------------------------------------------------------------------------------
 */

/* The steps completed with a compensation, in order, against the ones undone:
 * every step of the history that was completed and is compensated must come
 * in reverse among the undone, if the run did not complete. */
static bool
undone_in_reverse(struct world *w, const json_t *compensated)
{
    const enum flow_status status = flow_run_status(w->run);
    char *copy = strdup(world_past(w)), *rest = copy, *line;
    const char *done[4096];
    size_t n = 0;
    bool ok = true;

    while (ok && (line = strsep(&rest, "\n")) != NULL) {
        char *what = strsep(&line, " "), *step = strsep(&line, " ");

        if (step == NULL)
            continue;
        if (strcmp(what, "STEP_COMPLETED") == 0 &&
            json_object_get(compensated, step) != NULL && n < 4096)
            done[n++] = step;
        else if (strcmp(what, "STEP_COMPENSATING") == 0)
            ok = n > 0 && strcmp(done[--n], step) == 0;
    }
    if (status != FLOW_COMPLETED && status != FLOW_TERMINATED)
        ok = ok && n == 0;
    free(copy);
    return ok;
}

static void
find_compensated(json_t *steps, const char *prefix, json_t *out)
{
    json_t *step, *branch;
    size_t i, b;

    json_array_foreach(steps, i, step)
    {
        const char *id = json_string_value(json_object_get(step, "id"));
        json_t *path = json_sprintf("%s%s", prefix, id), *inner;

        if (json_object_get(step, "compensate") != NULL)
            json_object_set_new(out, json_string_value(path), json_true());
        json_array_foreach(json_object_get(step, "branches"), b, branch)
        {
            inner =
                json_sprintf("%s.%s/", json_string_value(path),
                             json_string_value(json_object_get(branch, "id")));
            find_compensated(json_object_get(branch, "steps"),
                             json_string_value(inner), out);
            json_decref(inner);
        }
        inner = json_sprintf("%s/", json_string_value(path));
        find_compensated(
            json_object_get(json_object_get(step, "each"), "steps"),
            json_string_value(inner), out);
        json_decref(inner);
        json_decref(path);
    }
}

static json_t *
compensated_of(const struct flow_def *def)
{
    json_t *out = json_object(), *value;
    size_t len;
    const char *text = flow_def_text(def, &len);

    value = json_loadb(text, len, 0, NULL);
    find_compensated(json_object_get(value, "steps"), "", out);
    json_decref(value);
    return out;
}

static uint64_t
seeds(void)
{
    const char *text = getenv("FLOW_SEEDS");

    return text != NULL ? strtoull(text, NULL, 10) : 1000;
}

static void
one_seed(uint64_t seed, bool machine, uint64_t *statuses, uint64_t *turns)
{
    struct flow_def *def = machine ? make_machine(seed) : make_def(seed);
    json_t *compensated = compensated_of(def);
    static struct world live, crashing;

    world_open(&live, def);
    world_open(&crashing, def);
    crashing.crash = true;
    play(&live, seed);
    play(&crashing, seed);
    ck_assert_msg(strcmp(world_past(&live), world_past(&crashing)) == 0,
                  "seed %llu\n%s\n--- with crashes:\n%s",
                  (unsigned long long)seed, world_past(&live),
                  world_past(&crashing));
    ck_assert_msg(strcmp(world_log(&live), world_log(&crashing)) == 0,
                  "seed %llu\n%s\n--- with crashes:\n%s",
                  (unsigned long long)seed, world_log(&live),
                  world_log(&crashing));
    ck_assert_msg(undone_in_reverse(&live, compensated),
                  "seed %llu: not undone in reverse\n%s",
                  (unsigned long long)seed, world_past(&live));
    statuses[flow_run_status(live.run)]++;
    *turns += live.turns;
    world_close(&live);
    world_close(&crashing);
    json_decref(compensated);
    flow_def_unref(def);
}

START_TEST(a_crash_at_any_point_changes_nothing)
{
    const char *one = getenv("FLOW_SEED");
    uint64_t statuses[FLOW_TIMED_OUT + 1] = {0}, turns = 0;

    if (one != NULL) {
        one_seed(strtoull(one, NULL, 10), _i != 0, statuses, &turns);
        return;
    }
    for (uint64_t seed = 1; seed <= seeds(); seed++)
        one_seed(seed, _i != 0, statuses, &turns);
    printf("%s: %llu seeds, %llu turns:", _i ? "machines" : "definitions",
           (unsigned long long)seeds(), (unsigned long long)turns);
    for (int i = 0; i <= FLOW_TIMED_OUT; i++) {
        if (statuses[i] > 0)
            printf(" %s %llu", flow_status_name((enum flow_status)i),
                   (unsigned long long)statuses[i]);
    }
    printf("\n");
    /* A test that never saw these would prove little. */
    ck_assert_uint_gt(statuses[FLOW_COMPLETED], 0);
    ck_assert_uint_gt(statuses[FLOW_FAILED], 0);
    ck_assert_uint_gt(statuses[FLOW_CANCELLED], 0);
}
END_TEST

START_TEST(the_check_sees_an_engine_that_skips_compensation)
{
    unsigned seen = 0;

    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct flow_def *def = make_def(seed);
        json_t *compensated = compensated_of(def);
        static struct world w;

        world_open(&w, def);
        w.bug = FLOW_BUG_SKIP_COMPENSATION;
        play(&w, seed);
        seen += !undone_in_reverse(&w, compensated);
        world_close(&w);
        json_decref(compensated);
        flow_def_unref(def);
    }
    ck_assert_uint_gt(seen, 10);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("random");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tc, 0);
    tcase_add_loop_test(tc, a_crash_at_any_point_changes_nothing, 0, 2);
    tcase_add_test(tc, the_check_sees_an_engine_that_skips_compensation);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
