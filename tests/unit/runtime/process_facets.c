/* Facets around the callbacks of processes: every verdict, life, and what is
 * attached while they run. */
#include "runtime/process_facets.h"

#include "sdk/c/include/plexspaces/facet.h"
#include "tests/unit/runtime/stage.h"

#include <check.h>
#include <stdlib.h>

/* -- a facet that does as its configuration says ------------------------------
 */

struct config {
    uint32_t before, after, error;
    const char *text;
    uint64_t attempts, backoff;
};
enum { NOTHING, REPLACE, SHORT, PROBLEM };
enum { PROPAGATE, RETRY, DEFAULT, TRANSFORM };
#define KEY(field, kind, initial, choices)                                     \
    {                                                                          \
#field, PLEX_FACET_##kind, offsetof(struct config, field), initial, 0, \
            0, choices                                                         \
    }
static const struct plex_facet_key keys[] = {
    KEY(before, CHOICE, "continue", "continue|replace|short|problem"),
    KEY(after, CHOICE, "continue", "continue|replace"),
    KEY(error, CHOICE, "propagate", "propagate|retry|default|transform"),
    KEY(text, TEXT, "", NULL),
    KEY(attempts, NUMBER, "2", NULL),
    KEY(backoff, NUMBER, "0", NULL),
    {0},
};

static void
out_text(const struct config *config, struct plex_facet_out *out)
{
    out->payload = config->text;
    out->len = strlen(config->text) + (config->text[0] != '{');
}

static enum plex_facet_verdict
before(struct plex_facet *facet, const struct plex_msg *msg,
       struct plex_facet_out *out)
{
    static const enum plex_facet_verdict verdicts[] = {
        PLEX_FACET_CONTINUE, PLEX_FACET_REPLACE, PLEX_FACET_SHORT_CIRCUIT,
        PLEX_FACET_SHORT_CIRCUIT};
    const struct config *config = facet->config;

    say("before(%u)", msg->kind);
    out_text(config, out);
    if (config->before == PROBLEM) {
        out->text = config->text;
        out->http_status = 429;
    }
    return verdicts[config->before];
}

static enum plex_facet_verdict
after(struct plex_facet *facet, const struct plex_msg *msg,
      const struct plex_facet_result *result, struct plex_facet_out *out)
{
    const struct config *config = facet->config;

    (void)msg;
    say("after(%u,%.*s)", result->http_status, (int)result->len,
        result->len == 0 ? "" : (const char *)result->payload);
    out_text(config, out);
    return config->after == NOTHING ? PLEX_FACET_CONTINUE : PLEX_FACET_REPLACE;
}

static enum plex_facet_verdict
error(struct plex_facet *facet, const struct plex_msg *msg, const char *text,
      struct plex_facet_out *out)
{
    static const enum plex_facet_verdict verdicts[] = {
        PLEX_FACET_PROPAGATE, PLEX_FACET_RETRY, PLEX_FACET_DEFAULT,
        PLEX_FACET_TRANSFORM};
    const struct config *config = facet->config;

    (void)msg;
    say("error(%s)", text);
    out_text(config, out);
    if (config->error == TRANSFORM)
        out->text = config->text;
    out->max_attempts = (uint32_t)config->attempts;
    out->backoff_ms = config->backoff;
    return verdicts[config->error];
}

static int
attach(struct plex_facet *facet)
{
    say("attach(%s)", facet->actor);
    return strcmp(((const struct config *)facet->config)->text, "refuse") == 0;
}

static void
detach(struct plex_facet *facet)
{
    (void)facet;
    say("detach");
}

static void
init_complete(struct plex_facet *facet)
{
    (void)facet;
    say("init");
}

static void
terminate_start(struct plex_facet *facet, const char *reason)
{
    (void)facet;
    say("end(%s)", reason);
}

static void
heard_exit(struct plex_facet *facet, struct plex_ref who, const char *reason)
{
    (void)facet, (void)who;
    say("exit(%s)", reason);
}

static void
heard_down(struct plex_facet *facet, struct plex_ref who, const char *reason)
{
    (void)facet, (void)who;
    say("down(%s)", reason);
}

static const struct plex_facet_type types[] = {
    {.name = "s",
     .priority = 500,
     .keys = keys,
     .config_size = sizeof(struct config),
     .attach = attach,
     .detach = detach,
     .init_complete = init_complete,
     .terminate_start = terminate_start,
     .exit = heard_exit,
     .down = heard_down,
     .before = before,
     .after = after,
     .error = error},
    {0},
};
static const struct rt_facet_module module = {"t", types};
static const struct rt_facet_types known = {&module, 1};

/* -- a process ---------------------------------------------------------------
 */

struct memory {
    int calls, fails;
    struct plex_from later;
};

static int
act(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct memory *memory = plex_data(ctx);
    const char *text = msg->payload == NULL ? "" : msg->payload;
    const struct plex_facet_pair pair = {"text", "x"};
    struct plex_facet_request list = {.verb = PLEX_FACET_LIST};
    struct plex_ref other;
    int64_t number;

    memory->calls++;
    say("run(%s)", msg->kind == PLEX_MSG_EXIT || msg->kind == PLEX_MSG_DOWN
                       ? msg->reason
                       : text);
    if (strncmp(text, "fail ", 5) == 0)
        return plex_fail(ctx, text + 5);
    if (strncmp(text, "once ", 5) == 0 && memory->fails++ == 0)
        return plex_fail(ctx, text + 5);
    if (strcmp(text, "exit") == 0)
        plex_exit_self(ctx, "normal");
    else if (strcmp(text, "sleep") == 0)
        plex_sleep(ctx, 1000000);
    else if (strcmp(text, "later") == 0)
        memory->later = plex_reply_later(ctx);
    else if (strcmp(text, "attach") == 0)
        say("%d", plex_facet_attach(ctx, "logging", 0, NULL, 0));
    else if (strcmp(text, "wrong") == 0)
        say("%d", plex_facet_attach(ctx, "logging", 0, &pair, 1));
    else if (strcmp(text, "detach") == 0)
        say("%d", plex_facet_detach(ctx, "logging"));
    else if (strcmp(text, "list") == 0 && plex_facet_do(ctx, &list) == 0)
        say("[%.*s]", (int)list.answer_len,
            list.answer == NULL ? "" : (const char *)list.answer);
    else if (strncmp(text, "watch ", 6) == 0 &&
             !plex_ref_none(other = plex_whereis(ctx, text + 6)))
        (void)plex_monitor(ctx, other);
    else if (text[0] == '{' && plex_json_int(ctx, "n", &number) == 1)
        say("n=%lld", (long long)number);
    if (msg->kind == PLEX_MSG_CALL && strcmp(text, "later") != 0)
        plex_reply(ctx, "text/plain", "ok", 3);
    return 0;
}

static int
begin(struct plex_ctx *ctx, const void *args, size_t len)
{
    (void)ctx, (void)len;
    say("begin");
    if (args != NULL && strcmp(args, "timer") == 0)
        say("%d", plex_facet_attach(
                      ctx, "timer", 0,
                      &(struct plex_facet_pair){"timers", "beat=10ms"}, 1));
    return args != NULL && strcmp(args, "bad") == 0 ? plex_fail(ctx, "bad") : 0;
}

static int
named(struct plex_ctx *ctx, const char *timer, const void *payload, size_t len)
{
    (void)ctx, (void)payload, (void)len;
    say("tick(%s)", timer);
    return 0;
}

static void
last(struct plex_ctx *ctx, const char *reason)
{
    (void)ctx;
    say("terminate(%s)", reason);
}

static const struct plex_behaviour plain = {
    .name = "plain",
    .init = begin,
    .handle_call = act,
    .handle_cast = act,
    .handle_info = act,
    .handle_timer = named,
    .terminate = last,
    .data_size = sizeof(struct memory),
    .trap_exit = true,
};

/* -- playing -----------------------------------------------------------------
 */

static struct rt_faceted faceted;
static struct rt_facet_plan *plan;

static const char *
said(void)
{
    static char copy[sizeof stage.trace];

    memcpy(copy, stage.trace, sizeof copy);
    stage.trace[0] = '\0';
    return copy;
}

/* "before=replace text=x": the facet's configuration. */
static struct plex_ref
start(const char *config, const char *args)
{
    char text[256], *rest = text, *word;
    struct plex_facet_pair pairs[8];
    struct rt_facet_spec spec = {"t/s", 0, pairs, 0};
    struct plex_err err = {0};

    snprintf(text, sizeof text, "%s", config);
    while ((word = strsep(&rest, " ")) != NULL && *word != '\0') {
        char *value = strchr(word, '=');

        *value = '\0';
        pairs[spec.n_config++] = (struct plex_facet_pair){word, value + 1};
    }
    rt_facet_plan_free(plan);
    ck_assert_msg(rt_facet_plan_create(&known, &spec, 1, &plan, &err) ==
                      PLEX_OK,
                  "%s", err.text);
    ck_assert(rt_faceted_init(&faceted, &plain, plan, &known, &err) == PLEX_OK);
    return stage_spawn(&faceted.is, "p", args);
}

static void
open(void)
{
    stage_open(1);
}

static void
close(void)
{
    stage_close();
    rt_facet_plan_free(plan);
    plan = NULL;
}

static const struct {
    const char *says, *config, *payload, *heard;
    bool lives;
} verdicts[] = {
    {"continue", "", "a", "before(1) run(a) after(200,ok) =ok", true},
    {"before replaces the payload", "before=replace text=b", "a",
     "before(1) run(b) after(200,ok) =ok", true},
    {"fields are read from the replaced payload",
     "before=replace text={\"n\":7}", "a",
     "before(1) run({\"n\":7}) n=7 after(200,ok) =ok", true},
    {"short-circuit: the process does not see it", "before=short text=no", "a",
     "before(1) =no", true},
    {"short-circuit with a problem", "before=problem text=slow", "a",
     "before(1) ={\"type\":\"about:blank\",\"status\":429,\"title\":\"the "
     "actor "
     "refused\",\"code\":\"ACTOR_REFUSED\",\"detail\":\"slow\",\"source\":"
     "\"actor\"}",
     true},
    {"after replaces the result", "after=replace text=new", "a",
     "before(1) run(a) after(200,ok) =new", true},
    {"propagate: a failing handler is a crash", "", "fail no",
     "before(1) run(fail no) error(no) =failed terminate(no)", false},
    {"retry", "error=retry", "once no",
     "before(1) run(once no) error(no) run(once no) after(200,ok) =ok", true},
    {"retry, but not for ever", "error=retry attempts=3", "fail no",
     "before(1) run(fail no) error(no) run(fail no) error(no) run(fail no) "
     "error(no)",
     false},
    {"default: there was no failure", "error=default text=else", "fail no",
     "before(1) run(fail no) error(no) =else", true},
    {"transform: another reason", "error=transform text=other", "fail no",
     "before(1) run(fail no) error(no)", false},
    {"a later answer has no result", "after=replace text=new", "later",
     "before(1) run(later) after(200,)", true},
    {"an exit is no failure", "", "exit", "before(1) run(exit) after(200,ok)",
     false},
};

START_TEST(verdicts_hold)
{
    const char *heard;

    (void)start(verdicts[_i].config, NULL);
    stage_run();
    ck_assert_str_eq(said(), "attach(t/n/plain/p) begin init");
    stage_call("p", 0, verdicts[_i].payload);
    stage_run();
    heard = said();
    ck_assert_msg(strncmp(heard, verdicts[_i].heard,
                          verdicts[_i].lives
                              ? sizeof stage.trace
                              : strcspn(verdicts[_i].heard, "=")) == 0,
                  "%s: %s", verdicts[_i].says, heard);
    ck_assert_msg((stage_whereis("p").id != 0) == verdicts[_i].lives, "%s",
                  verdicts[_i].says);
    if (!verdicts[_i].lives)
        ck_assert_ptr_nonnull(strstr(heard, "detach"));
}
END_TEST

START_TEST(the_reason_of_a_crash_is_the_transformed_one)
{
    (void)start("error=transform text=other", NULL);
    stage_run();
    stage.events = true;
    (void)said();
    stage_send("p", PLEX_MSG_CAST, 0, "fail no");
    stage_run();
    ck_assert_str_eq(said(), "before(2) run(fail no) error(no) end(other) "
                             "terminate(other) detach -p:other");
}
END_TEST

START_TEST(a_pause_before_a_retry_lets_time_pass_and_others_run)
{
    static const struct plex_behaviour other = {.name = "other",
                                                .handle_cast = act,
                                                .data_size =
                                                    sizeof(struct memory)};

    (void)start("error=retry backoff=50", NULL);
    (void)stage_spawn(&other, "o", NULL);
    stage_run();
    (void)said();
    stage_call("p", 0, "once no");
    stage_run();
    stage_send("o", PLEX_MSG_CAST, 0, "hello");
    stage_after(49);
    ck_assert_str_eq(said(), "before(1) run(once no) error(no) run(hello)");
    stage_after(1);
    ck_assert_str_eq(said(), "run(once no) after(200,ok) =ok");
}
END_TEST

START_TEST(casts_infos_exits_and_downs_go_through)
{
    static const struct plex_behaviour other = {.name = "other",
                                                .handle_cast = act,
                                                .data_size =
                                                    sizeof(struct memory)};

    (void)start("", NULL);
    (void)stage_spawn(&other, "o", NULL);
    stage_run();
    stage_send("p", PLEX_MSG_CAST, 0, "a");
    stage_send("p", PLEX_MSG_INFO, 0, "b");
    stage_send("p", PLEX_MSG_CAST, 0, "watch o");
    stage_run();
    (void)said();
    stage_send("o", PLEX_MSG_CAST, 0, "exit");
    stage_run();
    ck_assert_str_eq(said(), "run(exit) down(normal) before(5) run(normal) "
                             "after(200,)");
    rt_exit(stage.rt, stage_whereis("p"), "go");
    stage_run();
    ck_assert_str_eq(said(), "exit(go) before(4) run(go) after(200,)");
}
END_TEST

START_TEST(ends_of_all_kinds_release_everything)
{
    (void)start("", NULL);
    stage_run();
    (void)said();
    stage_send("p", PLEX_MSG_CAST, 0, "sleep"); /* in the middle of a call */
    stage_run();
    rt_exit(stage.rt, stage_whereis("p"), "kill");
    stage_run();
    ck_assert_str_eq(said(), "before(2) run(sleep)"); /* nobody is told */
    ck_assert_uint_eq(stage_whereis("p").id, 0);
    (void)start("", "bad");
    stage_run();
    ck_assert_str_eq(said(), "attach(t/n/plain/p) begin end(bad) detach");
    (void)start("text=refuse", NULL);
    stage_run();
    ck_assert_ptr_nonnull(strstr(said(), "attach(t/n/plain/p)"));
    ck_assert_uint_eq(stage_whereis("p").id, 0);
}
END_TEST

START_TEST(facets_come_and_go_while_it_runs)
{
    (void)stage_spawn(&plain, "p", NULL);
    stage_run();
    (void)said();
    stage_send("p", PLEX_MSG_CAST, 0, "list");
    stage_send("p", PLEX_MSG_CAST, 0, "detach");
    stage_send("p", PLEX_MSG_CAST, 0, "attach");
    stage_send("p", PLEX_MSG_CAST, 0, "list");
    stage_send("p", PLEX_MSG_CAST, 0, "attach");
    stage_send("p", PLEX_MSG_CAST, 0, "detach");
    stage_send("p", PLEX_MSG_CAST, 0, "list");
    stage_send("p", PLEX_MSG_CAST, 0, "wrong");
    stage_run();
    ck_assert_str_eq(said(), "run(list) [] run(detach) -2 run(attach) 0 "
                             "run(list) [logging\n] run(attach) -3 "
                             "run(detach) 0 run(list) [] run(wrong) -1");
}
END_TEST

static void
on_asked(void *arg, int status, const struct plex_msg *answer)
{
    (void)arg;
    say("%d:%.*s%s", status, (int)answer->len,
        answer->len == 0 ? "" : (const char *)answer->payload, answer->reason);
}

static void
ask(enum plex_facet_verb verb, const char *facet,
    const struct plex_facet_pair *pairs, size_t n)
{
    const struct plex_facet_request request = {
        .verb = verb, .facet = facet, .config = pairs, .n_config = n};

    rt_facets_ask(stage.rt, stage_whereis("p"), &request, 1000, on_asked, NULL);
    stage_run();
}

START_TEST(others_attach_detach_and_list)
{
    const struct plex_facet_pair timers = {"timers", "beat=10ms"};
    const struct plex_facet_pair wrong = {"timrs", "beat=10ms"};

    (void)stage_spawn(&plain, "p", NULL);
    stage_run();
    (void)said();
    ask(PLEX_FACET_LIST, "", NULL, 0);
    ck_assert_str_eq(said(), "0:");
    ask(PLEX_FACET_ATTACH, "timer", &timers, 1);
    ck_assert_str_eq(said(), "0:50 timer\n");
    ask(PLEX_FACET_LIST, "", NULL, 0);
    ck_assert_str_eq(said(), "0:50 timer\n");
    stage_after(25);
    ck_assert_str_eq(said(), "tick(beat) tick(beat)");
    ask(PLEX_FACET_ATTACH, "timer", &timers, 1);
    ck_assert_str_eq(said(), "-3:facet timer is attached already");
    ask(PLEX_FACET_DETACH, "timer", NULL, 0);
    stage_after(50);
    ck_assert_str_eq(said(), "0:");
    ask(PLEX_FACET_ATTACH, "timer", &wrong, 1);
    ck_assert_ptr_nonnull(strstr(said(), "timers"));
    ask(PLEX_FACET_ATTACH, "virtual_actor", NULL, 0);
    ck_assert_ptr_nonnull(strstr(said(), "-1:facet virtual_actor says"));
    ask(PLEX_FACET_DETACH, "logging", NULL, 0);
    ck_assert_str_eq(said(), "-2:facet logging is not attached");
    rt_exit(stage.rt, stage_whereis("p"), "kill");
    stage_run();
    ask(PLEX_FACET_LIST, "", NULL, 0);
    ck_assert_str_eq(said(), "-2:");
}
END_TEST

START_TEST(a_cached_answer_is_given_without_the_handler)
{
    const struct plex_facet_pair calls = {"methods", "call"};

    (void)stage_spawn(&plain, "p", NULL);
    stage_run();
    (void)said();
    ask(PLEX_FACET_ATTACH, "caching", &calls, 1);
    ck_assert_str_eq(said(), "0:150 caching\n");
    stage_call("p", 0, "a");
    stage_run();
    ck_assert_str_eq(said(), "run(a) =ok");
    stage_call("p", 0, "a");
    stage_run();
    ck_assert_str_eq(said(), "=ok");
    ask(PLEX_FACET_DETACH, "caching", NULL, 0);
    stage_call("p", 0, "a");
    stage_run();
    ck_assert_str_eq(said(), "0: run(a) =ok");
}
END_TEST

START_TEST(its_own_init_attaches_some)
{
    (void)stage_spawn(&plain, "p", "timer");
    stage_run();
    ck_assert_str_eq(said(), "begin 0");
    stage_after(10);
    ck_assert_str_eq(said(), "tick(beat)");
}
END_TEST

START_TEST(a_supervisor_has_none)
{
    static const struct plex_child none[] = {{0}};
    static const struct plex_supervisor flags = {.strategy = PLEX_ONE_FOR_ONE,
                                                 .children = none};
    static const struct plex_behaviour behaviour = {.name = "sup",
                                                    .supervisor = &flags};
    struct rt_faceted with;
    struct plex_err err = {0};

    (void)stage_spawn(&behaviour, "p", NULL);
    stage_run();
    ask(PLEX_FACET_ATTACH, "logging", NULL, 0);
    ck_assert_ptr_nonnull(strstr(said(), "-19:facets stand around callbacks"));
    ck_assert(rt_faceted_init(&with, &behaviour, NULL, NULL, &err) ==
              PLEX_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "sup is a supervisor"));
}
END_TEST

/* -- started from code -------------------------------------------------------
 */

static int
spawner(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const struct plex_facet_pair burst[] = {{"burst_size", "1"},
                                            {"refill_rate", "1"}};
    const struct plex_facet_use uses[] = {
        {.facet = "rate_limit", .config = burst, .n_config = 2}};
    const struct plex_facet_use virtual[] = {{.facet = "virtual_actor"}};
    const struct plex_spawn how = {.behaviour = &plain, .name = "p"};
    const struct plex_spawn far = {.behaviour = &plain, .node = "there"};
    struct plex_ref ref;

    (void)msg;
    say("%d", plex_spawn_faceted(ctx, &far, uses, 1, &ref));
    say("%d", plex_spawn_faceted(ctx, &how, virtual, 1, &ref));
    say("%d", plex_spawn_faceted(ctx, &how, uses, 1, &ref));
    say("%d", plex_spawn_faceted(ctx, &how, uses, 1, &ref));
    return 0;
}

START_TEST(code_starts_processes_with_facets)
{
    static const struct plex_behaviour behaviour = {.name = "code",
                                                    .handle_cast = spawner};

    (void)stage_spawn(&behaviour, "c", NULL);
    stage_send("c", PLEX_MSG_CAST, 0, "");
    stage_run();
    ck_assert_str_eq(said(), "-19 -1 0 -3 begin");
    stage_call("p", 0, "a");
    stage_run();
    ck_assert_str_eq(said(), "run(a) =ok");
    stage_call("p", 0, "a");
    stage_run();
    ck_assert_ptr_nonnull(strstr(said(), "429"));
    stage_after(1100);
    stage_call("p", 0, "a");
    stage_run();
    ck_assert_str_eq(said(), "run(a) =ok");
}
END_TEST

START_TEST(requests_of_others_are_read_with_care)
{
    const struct plex_facet_pair pairs[] = {{"a", "1"}, {"b", ""}};
    const struct plex_facet_request request = {.verb = PLEX_FACET_ATTACH,
                                               .facet = "m/f",
                                               .priority = 0x01020304,
                                               .config = pairs,
                                               .n_config = 2};
    struct plex_buf buf = {.max = 4096};
    struct rt_facets_asked asked;

    rt_facets_pack(&request, &buf);
    ck_assert(rt_facets_unpack(buf.data, buf.len, &asked));
    ck_assert_str_eq(asked.request.facet, "m/f");
    ck_assert_uint_eq(asked.request.priority, 0x01020304);
    ck_assert_uint_eq(asked.request.n_config, 2);
    ck_assert_str_eq(asked.pairs[1].key, "b");
    for (size_t len = 0; len < buf.len; len++) {
        uint8_t *cut = malloc(len + 1); /* the sanitizer watches its end */

        memcpy(cut, buf.data, len);
        cut[len] = 1;
        (void)rt_facets_unpack(cut, len, &asked);
        free(cut);
    }
    ck_assert(!rt_facets_unpack(buf.data, buf.len - 1, &asked));
    ck_assert(!rt_facets_unpack(NULL, 0, &asked));
    plex_buf_free(&buf);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("process facets");
    TCase *tcase = tcase_create("core");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, open, close);
    tcase_add_loop_test(tcase, verdicts_hold, 0,
                        (int)(sizeof verdicts / sizeof verdicts[0]));
    tcase_add_test(tcase, the_reason_of_a_crash_is_the_transformed_one);
    tcase_add_test(tcase, a_pause_before_a_retry_lets_time_pass_and_others_run);
    tcase_add_test(tcase, casts_infos_exits_and_downs_go_through);
    tcase_add_test(tcase, ends_of_all_kinds_release_everything);
    tcase_add_test(tcase, facets_come_and_go_while_it_runs);
    tcase_add_test(tcase, others_attach_detach_and_list);
    tcase_add_test(tcase, a_cached_answer_is_given_without_the_handler);
    tcase_add_test(tcase, its_own_init_attaches_some);
    tcase_add_test(tcase, a_supervisor_has_none);
    tcase_add_test(tcase, code_starts_processes_with_facets);
    tcase_add_test(tcase, requests_of_others_are_read_with_care);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
