/* Actors may run on stacks of 64 KiB: the worst that definitions, values and
 * states may ask for has to fit, with room to spare. */
#include "common/mem.h"
#include "tests/unit/workflow/world.h"
#include "workflow/expr.h"
#include "workflow/value.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { STACK = 56 << 10 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static char *
repeat(const char *before, const char *middle, const char *after, int count)
{
    const size_t size =
        (strlen(before) + strlen(after)) * (size_t)count + strlen(middle) + 1;
    char *text = plex_calloc(1, size), *at = text;

    for (int i = 0; i < count; i++)
        at = stpcpy(at, before);
    at = stpcpy(at, middle);
    for (int i = 0; i < count; i++)
        at = stpcpy(at, after);
    return text;
}

static json_t *
root(void *ctx, enum flow_root which, const char *name)
{
    (void)which;
    (void)name;
    return ctx;
}

/* Returns NULL if all went as it should: no check in a thread. */
static const char *
expression(const char *text)
{
    json_t *world = json_object(), *value;
    uint64_t random = 1;
    const struct flow_env env = {root, world, 0, &random};
    const char *problem = NULL;
    struct flow_expr *x = NULL;
    struct flow_fault fault;
    struct flow_pool pool;
    struct plex_err err;

    flow_pool_init(&pool, 4 << 20);
    if (flow_expr_parse(&pool, text, strlen(text), ~0U, &x, &err) != PLEX_OK)
        problem = "an expression was refused";
    else if ((value = flow_expr_eval(x, &env, &fault)) == NULL)
        problem = "an expression failed";
    else
        json_decref(value);
    flow_pool_fini(&pool);
    json_decref(world);
    return problem;
}

static void *
deep_expressions(void *unused)
{
    static const char *const parts[][3] = {
        {"[", "1", "]"},    {"(", "1", ")"},          {"{a:", "1", "}"},
        {"-", "1", ""},     {"map([1],x,", "1", ")"}, {"length([", "1", "])"},
        {"1 ? ", "1", ":2"}};
    const char *problem = NULL;

    (void)unused;
    for (size_t i = 0; i < sizeof parts / sizeof *parts && !problem; i++) {
        char *text =
            repeat(parts[i][0], parts[i][1], parts[i][2], i == 5 ? 30 : 60);

        problem = expression(text);
        free(text);
    }
    return (void *)(uintptr_t)problem;
}

static void
ignore(struct flow_run *run)
{
    struct flow_command command;
    struct flow_history past;

    while (flow_run_command(run, &command) || flow_run_history(run, &past))
        ;
}

/* Start a run, answer its calls so, write it down and read it. */
static const char *
play(const char *text, bool ok)
{
    struct flow_event done = {
        .kind = FLOW_EVENT_TASK_DONE, .id = 1, .attempt = 1, .ok = ok};
    struct plex_buf buf = {.max = 1 << 22};
    struct flow_now now = {1, 1};
    struct flow_run *run, *back = NULL;
    struct flow_def *def = NULL;
    const char *problem = NULL;
    struct plex_err err;

    if (flow_def_parse(text, strlen(text), &def, &err) != PLEX_OK)
        return "a definition was refused";
    run = flow_run_create(def, "r");
    if (flow_run_start(run, json_null(), &now, &err) != PLEX_OK)
        problem = "a run did not start";
    ignore(run);
    for (done.id = 1; done.id < 40; done.id++) {
        (void)!flow_run_event(run, &done, &now, &err);
        ignore(run);
    }
    if (flow_run_encode(run, &buf, &err) != PLEX_OK ||
        flow_run_decode(def, (struct plex_bytes){buf.data, buf.len}, &back,
                        &err) != PLEX_OK)
        problem = "a state did not come back";
    if (!flow_status_final(flow_run_status(run)))
        problem = "a run did not end";
    json_decref(flow_run_query(run, "context", 1, &err));
    flow_run_free(back);
    flow_run_free(run);
    flow_def_unref(def);
    plex_buf_free(&buf);
    return problem;
}

static void *
deep_definitions(void *unused)
{
    char *nested = repeat("{\"id\":\"m\",\"items\":[1],\"each\":{\"steps\":[",
                          "{\"id\":\"s\",\"actor\":\"x\"}", "]}}", 15);
    char *values = repeat("[", "1", "]", 55);
    const char *problem = NULL;
    char *text = NULL;

    (void)unused;
    if (asprintf(&text, "{\"id\":\"a\",\"steps\":[%s]}", nested) < 0)
        abort();
    for (int ok = 0; ok < 2 && problem == NULL; ok++)
        problem = play(text, ok);
    free(text);
    if (asprintf(&text,
                 "{\"id\":\"a\",\"steps\":[{\"id\":\"s\",\"type\":\"pass\","
                 "\"input\":%s}]}",
                 values) < 0)
        abort();
    if (problem == NULL)
        problem = play(text, true);
    free(text);
    free(nested);
    free(values);
    return (void *)(uintptr_t)problem;
}

static void *
long_definitions(void *unused)
{
    const char *problem;
    char *text = NULL;
    size_t len;
    FILE *file = open_memstream(&text, &len);

    (void)unused;
    fputs("id: a\nsteps:\n- {id: c, choices: [{when: '${false}', next: s0}], "
          "default: end}\n- {id: end, type: pass}\n- {id: s0, actor: x}\n",
          file);
    for (int i = 1; i < 990; i++)
        (void)fprintf(file, "- {id: s%d, actor: x, depends_on: [s%d]}\n", i,
                      i - 1);
    (void)fclose(file);
    problem = play(text, true);
    free(text);
    return (void *)(uintptr_t)problem;
}

static void *
deep_texts(void *unused)
{
    char *deep = repeat("[", "1", "]", 100000);
    struct flow_def *def = NULL;
    const char *problem = NULL;
    struct plex_err err;

    (void)unused;
    if (flow_def_parse(deep, strlen(deep), &def, &err) == PLEX_OK)
        problem = "a text of any depth was taken";
    free(deep);
    return (void *)(uintptr_t)problem;
}

static void *(*const bodies[])(void *) = {deep_expressions, deep_definitions,
                                          long_definitions, deep_texts};

START_TEST(the_deepest_fits_on_a_small_stack)
{
    pthread_attr_t attr;
    pthread_t thread;
    void *problem;

    if (SANITIZED) {
        if (_i == 0)
            printf("SKIP: a sanitizer takes stack of its own\n");
        return;
    }
    pthread_attr_init(&attr);
    ck_assert_int_eq(pthread_attr_setstacksize(&attr, STACK), 0);
    ck_assert_int_eq(pthread_create(&thread, &attr, bodies[_i], NULL), 0);
    pthread_join(thread, &problem);
    ck_assert_msg(problem == NULL, "%s", (const char *)problem);
    pthread_attr_destroy(&attr);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("stack");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(tc, the_deepest_fits_on_a_small_stack, 0,
                        sizeof bodies / sizeof *bodies);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
