/* docs/workflows.md: every definition on the page is parsed and run, and does
 * what the comment after it says; the tables of expressions and functions
 * hold. */
#include "common/mem.h"
#include "tests/unit/workflow/world.h"
#include "workflow/expr.h"
#include "workflow/value.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static char *page;

static void
read_page(void)
{
    FILE *file = fopen(WORKFLOWS_PAGE, "rb");
    char *text = plex_calloc(1, 1 << 18);

    ck_assert_msg(file != NULL, "%s", WORKFLOWS_PAGE);
    ck_assert_uint_gt(fread(text, 1, (1 << 18) - 1, file), 0);
    (void)fclose(file);
    page = text;
}

static void
free_page(void)
{
    free(page);
}

/* The next fenced block from *at on, as a copy; its note, if one follows. */
static char *
next_block(const char **at, char *note, size_t size, bool *json)
{
    const char *start = strstr(*at, "\n```"), *end, *line;
    char *text;

    if (start == NULL)
        return NULL;
    *json = strncmp(start + 4, "json", 4) == 0;
    start = strchr(start + 1, '\n') + 1;
    end = strstr(start, "\n```");
    ck_assert_ptr_nonnull(end);
    text = strndup(start, (size_t)(end - start) + 1);
    line = strchr(end + 1, '\n') + 1;
    note[0] = '\0';
    if (strncmp(line, "<!-- run ", 9) == 0) {
        const char *close = strstr(line, " -->");

        (void)snprintf(note, size, "%.*s", (int)(close - line - 9), line + 9);
    }
    *at = line;
    return text;
}

static struct flow_def *
parse(const char *text, bool json)
{
    const struct flow_asl_options options = {"machine", NULL, NULL};
    struct flow_def *def = NULL;
    struct plex_err err = {0};
    const bool asl = json && strstr(text, "\"StartAt\"") != NULL;

    ck_assert_msg(
        (asl ? flow_asl_parse(text, strlen(text), &options, &def, &err)
             : flow_def_parse(text, strlen(text), &def, &err)) == PLEX_OK,
        "%s\n%s", err.text, text);
    return def;
}

/* Cut `text` at `word`; what follows it, or NULL. */
static char *
cut(char *text, const char *word)
{
    char *at = text != NULL ? strstr(text, word) : NULL;

    if (at == NULL)
        return NULL;
    *at = '\0';
    return at + strlen(word);
}

static void
send_signal(struct world *w, char *signal)
{
    char *value = cut(signal, " ");
    struct flow_event event = {.kind = FLOW_EVENT_SIGNAL, .name = signal};
    struct plex_err err;

    event.value = json_loads(value, JSON_DECODE_ANY, NULL);
    ck_assert_int_eq(world_event(w, &event, &err), PLEX_OK);
    json_decref(event.value);
}

/* "INPUT [signal NAME VALUE] gives VALUE", or "... fails CODE after CALLS". */
static void
run(struct flow_def *def, char *note)
{
    char *gives = cut(note, " gives "), *fails = cut(note, " fails ");
    char *signal = cut(note, " signal "), *calls = cut(fails, " after ");
    json_t *input = json_loads(note, JSON_DECODE_ANY, NULL);
    static struct world w;
    struct plex_err err = {0};
    char *text, *one;

    ck_assert_msg(input != NULL, "%s", note);
    world_open(&w, def);
    w.crash = true;
    ck_assert_int_eq(world_start(&w, input, &err), PLEX_OK);
    if (signal != NULL)
        send_signal(&w, signal);
    world_pump(&w, 100);
    if (gives != NULL) {
        text = flow_value_text(w.output);
        ck_assert_msg(flow_run_status(w.run) == FLOW_COMPLETED &&
                          strcmp(text, gives) == 0,
                      "want %s, got %s\n%s", gives, text, world_past(&w));
        free(text);
    } else {
        ck_assert_msg(fails != NULL && strcmp(w.code, fails) == 0, "%s: %s",
                      w.code, w.cause);
    }
    while (calls != NULL && (one = strsep(&calls, " ")) != NULL) {
        char want[80];
        const char *name = one + 1;

        /* "~type.method": the key is the run's id. */
        (void)snprintf(want, sizeof want, "~%.*s/run-1%s(",
                       (int)strcspn(name, "."), name,
                       name + strcspn(name, "."));
        ck_assert_msg(strstr(world_log(&w), want) != NULL, "no %s in\n%s", want,
                      world_log(&w));
    }
    world_close(&w);
    json_decref(input);
}

START_TEST(the_definitions_do_what_the_page_says)
{
    const char *at = page;
    char note[1000], *text;
    int blocks = 0, runs = 0;
    bool json;

    while ((text = next_block(&at, note, sizeof note, &json)) != NULL) {
        struct flow_def *def = parse(text, json);

        blocks++;
        if (note[0] != '\0') {
            run(def, note);
            runs++;
        }
        flow_def_unref(def);
        free(text);
    }
    ck_assert_int_ge(blocks, 7);
    ck_assert_int_eq(runs, blocks);
}
END_TEST

static json_t *
root(void *ctx, enum flow_root which, const char *name)
{
    (void)name;
    return which == FLOW_ROOT_INPUT ? ctx : NULL;
}

static void
check_row(json_t *input, char *expression, char *want)
{
    uint64_t random = 1;
    const struct flow_env env = {root, input, 0, &random};
    struct flow_expr *x = NULL;
    struct flow_fault fault = {0};
    struct flow_pool pool;
    struct plex_err err = {0};
    json_t *value = NULL;
    char *text = NULL;

    flow_pool_init(&pool, 1 << 20);
    ck_assert_msg(flow_expr_parse(&pool, expression, strlen(expression), ~0U,
                                  &x, &err) == PLEX_OK,
                  "%s: %s", expression, err.text);
    value = flow_expr_eval(x, &env, &fault);
    ck_assert_msg(value != NULL, "%s: %s", expression, fault.text);
    text = flow_value_text(value);
    ck_assert_msg(strcmp(text, want) == 0, "%s: want %s, got %s", expression,
                  want, text);
    free(text);
    json_decref(value);
    flow_pool_fini(&pool);
}

START_TEST(the_expressions_have_the_values_on_the_page)
{
    char *copy = plex_strdup(page);
    char *at = strstr(copy, "With the input `"), *end, *row;
    json_t *input;
    int rows = 0;

    ck_assert_ptr_nonnull(at);
    at += strlen("With the input `");
    end = strchr(at, '`');
    *end = '\0';
    input = json_loads(at, 0, NULL);
    ck_assert_ptr_nonnull(input);
    at = strstr(end + 1, "|---|---|\n") + strlen("|---|---|\n");
    while (strncmp(at, "| `", 3) == 0) {
        row = strsep(&at, "\n");
        end = strstr(row, "` | `");
        ck_assert_msg(end != NULL, "%s", row);
        *end = '\0';
        *strrchr(end + 5, '`') = '\0';
        check_row(input, row + 3, end + 5);
        rows++;
    }
    ck_assert_int_ge(rows, 8);
    json_decref(input);
    free(copy);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("docs");
    TCase *tc = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tc, read_page, free_page);
    tcase_add_test(tc, the_definitions_do_what_the_page_says);
    tcase_add_test(tc, the_expressions_have_the_values_on_the_page);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
