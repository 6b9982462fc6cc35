#include "tests/unit/runtime/stage.h"

#include <assert.h>
#include <check.h>

struct stage stage;

void
say(const char *fmt, ...)
{
    size_t len = strlen(stage.trace);
    va_list args;

    va_start(args, fmt);
    if (len > 0 && len + 1 < sizeof stage.trace)
        stage.trace[len++] = ' ';
    (void)vsnprintf(stage.trace + len, sizeof stage.trace - len, fmt, args);
    va_end(args);
}

static void
on_event(void *arg, const struct rt_event *event)
{
    static const char marks[] = "?+-^!?";
    const char *who = *event->child != '\0' ? event->child : event->name;

    (void)arg;
    if (!stage.events)
        return;
    if (event->kind == RT_STOPPED || event->kind == RT_GAVE_UP)
        say("%c%s:%s", marks[event->kind], who, event->reason);
    else
        say("%c%s", marks[event->kind], who);
}

void
stage_open(uint64_t seed)
{
    const struct rt_config config = {
        .node = 7, .node_id = "here", .seed = seed, .on_event = on_event};
    struct plex_err err;
    enum plex_status status = rt_create(&config, &stage.rt, &err);

    assert(status == PLEX_OK);
    stage.now_ns = 1000000000;
    stage.trace[0] = '\0';
    stage.events = false;
}

void
stage_close(void)
{
    rt_stop(stage.rt);
    rt_free(stage.rt);
    stage.rt = NULL;
}

void
stage_run(void)
{
    while (rt_step(stage.rt, stage.now_ns, stage.now_ns / 1000000, 1000) > 0)
        ;
}

void
stage_after(uint64_t ms)
{
    uint64_t until = stage.now_ns + ms * 1000000, due;

    stage_run();
    while ((due = rt_due_ns(stage.rt)) <= until) {
        if (due > stage.now_ns)
            stage.now_ns = due;
        else
            stage.now_ns += 1000;
        stage_run();
    }
    stage.now_ns = until;
    stage_run();
}

struct plex_ref
stage_spawn(const struct plex_behaviour *behaviour, const char *name,
            const char *args)
{
    const struct plex_spawn how = {.behaviour = behaviour,
                                   .args = args,
                                   .args_len =
                                       args == NULL ? 0 : strlen(args) + 1,
                                   .name = name};
    struct plex_ref ref;

    if (rt_spawn(stage.rt, (struct rt_where){"t", "n"}, &how, NULL, NULL,
                 &ref) != 0)
        return (struct plex_ref){0, 0};
    return ref;
}

struct plex_ref
stage_whereis(const char *name)
{
    return rt_whereis(stage.rt, (struct rt_where){"t", "n"}, name);
}

void
stage_send(const char *name, uint32_t kind, uint64_t tag, const char *payload)
{
    const struct plex_post post = {
        .kind = kind,
        .tag = tag,
        .payload = payload,
        .len = payload == NULL ? 0 : strlen(payload) + 1};

    (void)rt_send(stage.rt, stage_whereis(name), &post);
}

static void
on_answer(void *arg, int status, const struct plex_msg *answer)
{
    (void)arg;
    if (status == 0)
        say("=%.*s", (int)answer->len, (const char *)answer->payload);
    else
        say("=%s", plex_status_name((enum plex_status) - status));
}

void
stage_call(const char *name, uint64_t tag, const char *payload)
{
    const struct plex_post post = {
        .kind = PLEX_MSG_CALL,
        .tag = tag,
        .payload = payload,
        .len = payload == NULL ? 0 : strlen(payload) + 1};

    rt_call(stage.rt, stage_whereis(name), &post, 3600000, on_answer, NULL);
}

void
stage_each(const char *text, char sep, void (*each)(char *piece))
{
    const char separators[2] = {sep, '\0'};
    char piece[512];

    while (*text != '\0') {
        size_t len = strcspn(text, separators);
        char *at = piece;

        assert(len < sizeof piece);
        memcpy(piece, text, len);
        piece[len] = '\0';
        while (len > 0 && piece[len - 1] == ' ')
            piece[--len] = '\0';
        at += strspn(at, " ");
        if (*at != '\0')
            each(at);
        text += strcspn(text, separators);
        text += *text == sep;
    }
}

void
stage_play(const struct stage_rule *rule, void (*setup)(const char *text),
           void (*input)(char *line))
{
    size_t i;

    stage_open(1);
    setup(rule->setup);
    stage_run();
    for (i = 0; i < 8 && rule->steps[i].in != NULL; i++) {
        stage.trace[0] = '\0';
        stage_each(rule->steps[i].in, '|', input);
        stage_run();
        ck_assert_msg(strcmp(stage.trace, rule->steps[i].out) == 0,
                      "%s: after '%s'\n  expected %s\n  got      %s",
                      rule->says, rule->steps[i].in, rule->steps[i].out,
                      stage.trace);
    }
    stage_close();
}

static const struct stage_rule *the_rules;
static void (*the_setup)(const char *text);
static void (*the_input)(char *line);

START_TEST(the_rule_holds)
{
    stage_play(&the_rules[_i], the_setup, the_input);
}
END_TEST

int
stage_main(const char *name, const struct stage_rule *rules, size_t n,
           void (*setup)(const char *text), void (*input)(char *line))
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create("rules");
    SRunner *runner;
    int failed;

    the_rules = rules;
    the_setup = setup;
    the_input = input;
    tcase_add_loop_test(tcase, the_rule_holds, 0, (int)n);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
