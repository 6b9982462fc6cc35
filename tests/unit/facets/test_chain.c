/* The order of a chain, every verdict, and life; with facets that write down
 * what they are asked and answer what the test says. */
#include "runtime/facet.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char journal[1024];
/* What the scripted facets answer: "b2" is before of f2. */
static struct {
    enum plex_facet_verdict before, after, error;
    struct plex_facet_out out;
    bool refuse;
} script[4];
static struct rt_facets *chain;
static struct rt_facet_when when;

static void
note(const char *what, const struct plex_facet *facet, const char *detail)
{
    const size_t len = strlen(journal);

    snprintf(journal + len, sizeof journal - len, "%s%s%s%s ", what,
             facet->type->name + 1, detail[0] == '\0' ? "" : ":", detail);
}

static int
number(const struct plex_facet *facet)
{
    return facet->type->name[1] - '0';
}

static int
attach(struct plex_facet *facet)
{
    note("attach", facet, "");
    return script[number(facet)].refuse ? -1 : 0;
}

static void
detach(struct plex_facet *facet)
{
    note("detach", facet, "");
}

static void
init_complete(struct plex_facet *facet)
{
    note("init", facet, "");
}

static void
terminate_start(struct plex_facet *facet, const char *reason)
{
    note("end", facet, reason);
}

static void
heard_exit(struct plex_facet *facet, struct plex_ref who, const char *reason)
{
    ck_assert_uint_eq(who.id, 7);
    note("exit", facet, reason);
}

static void
heard_down(struct plex_facet *facet, struct plex_ref who, const char *reason)
{
    ck_assert_uint_eq(who.id, 8);
    note("down", facet, reason);
}

static void
payload_text(char *out, size_t size, const void *payload, size_t len)
{
    snprintf(out, size, "%.*s", (int)len, (const char *)payload);
}

static enum plex_facet_verdict
before(struct plex_facet *facet, const struct plex_msg *msg,
       struct plex_facet_out *out)
{
    char text[32];

    payload_text(text, sizeof text, msg->payload, msg->len);
    note("b", facet, text);
    facet->token = (uint64_t)number(facet) * 10;
    if (script[number(facet)].before != PLEX_FACET_CONTINUE)
        *out = script[number(facet)].out;
    return script[number(facet)].before;
}

static enum plex_facet_verdict
after(struct plex_facet *facet, const struct plex_msg *msg,
      const struct plex_facet_result *result, struct plex_facet_out *out)
{
    char text[32];

    (void)msg;
    payload_text(text, sizeof text, result->payload, result->len);
    note("a", facet, text);
    ck_assert_uint_eq(facet->token, (uint64_t)number(facet) * 10);
    if (script[number(facet)].after != PLEX_FACET_CONTINUE)
        *out = script[number(facet)].out;
    return script[number(facet)].after;
}

static enum plex_facet_verdict
error(struct plex_facet *facet, const struct plex_msg *msg, const char *text,
      struct plex_facet_out *out)
{
    (void)msg;
    note("e", facet, text);
    ck_assert_uint_eq(facet->token, (uint64_t)number(facet) * 10);
    if (script[number(facet)].error != PLEX_FACET_PROPAGATE)
        *out = script[number(facet)].out;
    return script[number(facet)].error;
}

static const void *
save(struct plex_facet *facet, size_t *len)
{
    *len = 2;
    return facet->type->name;
}

static int
restore(struct plex_facet *facet, const void *state, size_t len)
{
    char text[32];

    payload_text(text, sizeof text, state, len);
    note("restore", facet, text);
    return 0;
}

static int
invoke(struct plex_facet *facet, const char *op, const void *in, size_t len,
       struct plex_facet_out *out)
{
    char *copy = plex_facet_alloc(facet, len + 1);

    memcpy(copy, in, len);
    note("op", facet, op);
    out->payload = copy;
    out->len = len;
    return 0;
}

static void
wake(struct plex_facet *facet)
{
    note("wake", facet, "");
}

#define FACET(text, prio)                                                   \
    {                                                                       \
        .name = text, .priority = prio, .attach = attach, .detach = detach, \
        .init_complete = init_complete, .terminate_start = terminate_start, \
        .exit = heard_exit, .down = heard_down, .before = before,           \
        .after = after, .error = error, .save = save, .restore = restore,   \
        .invoke = invoke, .wake = wake                                      \
    }
static const struct plex_facet_type facets[] = {
    FACET("f1", 100), FACET("f2", 200), FACET("f3", 300), {0}};
static const struct rt_facet_module modules[] = {{"m", facets}};
static const struct rt_facet_types types = {modules, 1};
static const struct rt_facet_spec specs[] = {
    {"m/f1", 0, NULL, 0}, {"m/f3", 0, NULL, 0}, {"m/f2", 0, NULL, 0}};
static struct rt_facet_plan *plan;

static void
setup(void)
{
    struct plex_err err;

    memset(script, 0, sizeof script);
    journal[0] = '\0';
    when = (struct rt_facet_when){1000, 5, 9};
    ck_assert_int_eq(rt_facet_plan_create(&types, specs, 3, &plan, &err),
                     PLEX_OK);
    ck_assert_int_eq(rt_facets_create(plan, "a", "t", when, &chain, &err),
                     PLEX_OK);
}

static void
teardown(void)
{
    rt_facets_free(chain);
    rt_facet_plan_free(plan);
}

static const char *
journal_take(void)
{
    static char taken[sizeof journal];

    snprintf(taken, sizeof taken, "%s", journal);
    if (taken[0] != '\0')
        taken[strlen(taken) - 1] = '\0';
    journal[0] = '\0';
    return taken;
}

static struct plex_msg
message(const char *payload)
{
    return (struct plex_msg){.sender = "",
                             .id = "",
                             .method = "",
                             .path = "",
                             .subpath = "",
                             .query = "",
                             .content_type = "",
                             .payload = payload,
                             .len = strlen(payload),
                             .reason = ""};
}

/* A handler that answers "r", or fails with `fails` as often as it says. The
 * story of one message, then what came of it. */
static const char *
run(const char *fails, int times)
{
    const struct plex_msg msg = message("in");
    struct rt_facet_call call = {0};
    enum rt_facets_verdict verdict;
    static char story[1200];
    char text[64];

    journal[0] = '\0';
    verdict = rt_facets_before(chain, &call, &msg, when);
    while (verdict == RT_FACETS_RUN || verdict == RT_FACETS_RETRY) {
        payload_text(text, sizeof text, call.msg.payload, call.msg.len);
        snprintf(journal + strlen(journal), sizeof journal - strlen(journal),
                 "run:%s ", text);
        if (times-- > 0) {
            verdict = rt_facets_error(chain, &call, fails, when);
        } else {
            const struct plex_facet_result result = {200, "x", "r", 1, 0};

            verdict = rt_facets_after(chain, &call, &result, when);
        }
    }
    if (verdict == RT_FACETS_FAIL)
        snprintf(text, sizeof text, "fail:%s", call.error);
    else if (call.problem != NULL)
        snprintf(text, sizeof text, "%u:%s", call.result.http_status,
                 call.problem);
    else
        snprintf(text, sizeof text, "%u=%.*s", call.result.http_status,
                 (int)call.result.len, (const char *)call.result.payload);
    snprintf(story, sizeof story, "%s-> %s", journal, text);
    rt_facets_end(chain, &call);
    journal[0] = '\0';
    return story;
}

START_TEST(before_runs_from_the_highest_priority_and_after_back)
{
    ck_assert_str_eq(journal_take(), "attach3 attach2 attach1");
    ck_assert_str_eq(run("", 0),
                     "b3:in b2:in b1:in run:in a1:r a2:r a3:r -> 200=r");
}
END_TEST

START_TEST(arguments_and_results_are_replaced)
{
    script[2].before = PLEX_FACET_REPLACE;
    script[2].out = (struct plex_facet_out){.payload = "new", .len = 3};
    ck_assert_str_eq(run("", 0),
                     "b3:in b2:in b1:new run:new a1:r a2:r a3:r -> 200=r");
    script[2].before = PLEX_FACET_CONTINUE;
    script[2].after = PLEX_FACET_REPLACE;
    ck_assert_str_eq(run("", 0),
                     "b3:in b2:in b1:in run:in a1:r a2:r a3:new -> 200=new");
}
END_TEST

START_TEST(a_short_circuit_skips_the_handler_and_what_is_below)
{
    script[2].before = PLEX_FACET_SHORT_CIRCUIT;
    script[2].out = (struct plex_facet_out){.payload = "s", .len = 1};
    ck_assert_str_eq(run("", 0), "b3:in b2:in a3:s -> 200=s");
    script[2].out =
        (struct plex_facet_out){.http_status = 429, .text = "too much"};
    ck_assert_str_eq(run("", 0), "b3:in b2:in a3 -> 429:too much");
}
END_TEST

START_TEST(an_error_goes_out_through_all)
{
    ck_assert_str_eq(run("bad", 1),
                     "b3:in b2:in b1:in run:in e1:bad e2:bad e3:bad -> "
                     "fail:bad");
    script[1].error = PLEX_FACET_TRANSFORM;
    script[1].out.text = "worse";
    ck_assert_str_eq(run("bad", 1),
                     "b3:in b2:in b1:in run:in e1:bad e2:worse e3:worse -> "
                     "fail:worse");
}
END_TEST

START_TEST(a_default_is_a_result_for_those_above)
{
    script[2].error = PLEX_FACET_DEFAULT;
    script[2].out = (struct plex_facet_out){.payload = "d", .len = 1};
    ck_assert_str_eq(run("bad", 1),
                     "b3:in b2:in b1:in run:in e1:bad e2:bad a3:d -> 200=d");
}
END_TEST

START_TEST(a_retry_runs_the_handler_again_until_it_is_enough)
{
    script[2].error = PLEX_FACET_RETRY;
    script[2].out.max_attempts = 3;
    ck_assert_str_eq(run("bad", 1),
                     "b3:in b2:in b1:in run:in e1:bad e2:bad run:in a1:r a2:r "
                     "a3:r -> 200=r");
    ck_assert_str_eq(run("bad", 9),
                     "b3:in b2:in b1:in run:in e1:bad e2:bad run:in e1:bad "
                     "e2:bad run:in e1:bad e2:bad e3:bad -> fail:bad");
}
END_TEST

START_TEST(life_is_heard_in_order)
{
    (void)journal_take();
    rt_facets_init_complete(chain, when);
    rt_facets_exit(chain, (struct plex_ref){1, 7}, "x", when);
    rt_facets_down(chain, (struct plex_ref){1, 8}, "y", when);
    rt_facets_terminate(chain, "normal", when);
    rt_facets_detach_all(chain, when);
    ck_assert_str_eq(journal_take(),
                     "init3 init2 init1 exit3:x exit2:x exit1:x down3:y "
                     "down2:y down1:y end3:normal end2:normal end1:normal "
                     "detach1 detach2 detach3");
    ck_assert_uint_eq(rt_facets_list(chain, NULL, 0), 0);
}
END_TEST

START_TEST(a_facet_that_cannot_attach_undoes_the_others)
{
    struct rt_facets *none = NULL;
    struct plex_err err;

    (void)journal_take();
    script[1].refuse = true;
    ck_assert_int_eq(rt_facets_create(plan, "a", "t", when, &none, &err),
                     PLEX_FAILED);
    ck_assert_ptr_null(none);
    ck_assert_str_eq(journal_take(), "attach3 attach2 attach1 detach2 detach3");
}
END_TEST

START_TEST(facets_come_and_go_at_run_time)
{
    const struct rt_facet_spec again = {"m/f2", 50, NULL, 0};
    struct rt_facet_info list[4];
    struct plex_err err;

    ck_assert_int_eq(rt_facets_attach(chain, &types, &again, when, &err),
                     PLEX_EXISTS);
    ck_assert_int_eq(rt_facets_detach(chain, "m/f2", when, &err), PLEX_OK);
    ck_assert_int_eq(rt_facets_detach(chain, "m/f2", when, &err),
                     PLEX_NOT_FOUND);
    ck_assert_str_eq(run("", 0), "b3:in b1:in run:in a1:r a3:r -> 200=r");
    ck_assert_int_eq(rt_facets_attach(chain, &types, &again, when, &err),
                     PLEX_OK);
    ck_assert_str_eq(run("", 0),
                     "b3:in b1:in b2:in run:in a2:r a1:r a3:r -> 200=r");
    ck_assert_uint_eq(rt_facets_list(chain, list, 4), 3);
    ck_assert_str_eq(list[2].type, "m/f2");
    ck_assert_uint_eq(list[2].priority, 50);
}
END_TEST

START_TEST(during_a_message_the_chain_may_change)
{
    const struct plex_msg msg = message("in");
    const struct plex_facet_result result = {200, "x", "r", 1, 0};
    const struct rt_facet_spec again = {"m/f2", 0, NULL, 0};
    struct rt_facet_call call = {0};
    struct plex_err err;

    (void)rt_facets_before(chain, &call, &msg, when);
    ck_assert_int_eq(rt_facets_detach(chain, "m/f2", when, &err), PLEX_OK);
    ck_assert_int_eq(rt_facets_attach(chain, &types, &again, when, &err),
                     PLEX_OK);
    (void)journal_take();
    (void)rt_facets_after(chain, &call, &result, when);
    ck_assert_str_eq(journal_take(), "a1:r a3:r");
    rt_facets_end(chain, &call);
}
END_TEST

START_TEST(messages_may_nest)
{
    const struct plex_msg outer = message("o"), inner = message("i");
    const struct plex_facet_result result = {200, "x", "r", 1, 0};
    struct rt_facet_call calls[2] = {0};

    (void)rt_facets_before(chain, &calls[0], &outer, when);
    (void)rt_facets_before(chain, &calls[1], &inner, when);
    (void)rt_facets_error(chain, &calls[1], "bad", when);
    rt_facets_end(chain, &calls[1]);
    (void)journal_take();
    (void)rt_facets_after(chain, &calls[0], &result, when);
    ck_assert_str_eq(journal_take(), "a1:r a2:r a3:r");
    ck_assert_uint_eq(calls[0].msg.len, 1);
    rt_facets_end(chain, &calls[0]);
}
END_TEST

START_TEST(what_facets_keep_is_given_back)
{
    static const unsigned char odd[] = {4, 'm', '/', 'f', '1', 9, 0, 0, 0, 1};
    size_t len;
    const void *blob = rt_facets_save(chain, &len, when);
    char *copy = malloc(len);

    memcpy(copy, blob, len);
    (void)journal_take();
    rt_facets_restore(chain, copy, len, when);
    ck_assert_str_eq(journal_take(), "restore3:f3 restore2:f2 restore1:f1");
    for (size_t cut = 0; cut < len; cut++)
        rt_facets_restore(chain, copy, cut, when);
    rt_facets_restore(chain, odd, sizeof odd, when);
    free(copy);
}
END_TEST

START_TEST(requests_of_the_actor_do_all_of_it)
{
    const struct plex_facet_pair pair = {"rate", "1"};
    struct plex_facet_request request = {.verb = PLEX_FACET_LIST};
    struct plex_facet_action action;

    ck_assert_int_eq(rt_facets_request(chain, &types, &request, when), 0);
    ck_assert_uint_eq(request.answer_len, 15);
    ck_assert_int_eq(memcmp(request.answer, "m/f3\nm/f2\nm/f1\n", 15), 0);
    request = (struct plex_facet_request){.verb = PLEX_FACET_INVOKE,
                                          .facet = "m/f1",
                                          .op = "x",
                                          .payload = "abc",
                                          .len = 3};
    ck_assert_int_eq(rt_facets_request(chain, &types, &request, when), 0);
    ck_assert_int_eq(memcmp(request.answer, "abc", 3), 0);
    request.facet = "m/f9";
    ck_assert_int_eq(rt_facets_request(chain, &types, &request, when),
                     -PLEX_NOT_FOUND);
    request = (struct plex_facet_request){.verb = PLEX_FACET_ATTACH,
                                          .facet = "rate_limit",
                                          .config = &pair,
                                          .n_config = 1};
    ck_assert_int_eq(rt_facets_request(chain, &types, &request, when),
                     -PLEX_INVALID);
    ck_assert(rt_facets_next(chain, &action));
    ck_assert_ptr_nonnull(strstr(action.text, "nearest is \"refill_rate\""));
    ck_assert(!rt_facets_next(chain, &action));
}
END_TEST

START_TEST(plans_refuse_what_is_wrong)
{
    static const struct rt_facet_spec twice[] = {{"metrics", 0, NULL, 0},
                                                 {"metrics", 0, NULL, 0}};
    static const struct plex_facet_pair pairs[] = {
        {"level", "loud"},       {"levl", "info"},
        {"payload", "yes"},      {"idle_timeout", "5 minutes"},
        {"refill_rate", "0"},    {"error_rate", "1.5"},
        {"timers", "x"},         {"sampler", "maybe"},
        {"base_url", "ftp://x"}, {"refill_rate", "1000001"}};
    static const struct {
        const char *type;
        int pair;
        const char *why;
    } wrong[] = {
        {"loging", -1,
         "facet \"loging\" is unknown; the nearest is \"logging\""},
        {"m/f9", -1, "not in any loaded module"},
        {"logging", 0,
         "config.level: \"loud\" is none of its values: "
         "error|warn|info|debug"},
        {"logging", 1,
         "config.levl is unknown to logging; the nearest is "
         "\"level\""},
        {"logging", 2, "config.payload: \"yes\" is not \"true\" or \"false\""},
        {"virtual_actor", 3, "\"5 minutes\" is not a duration"},
        {"rate_limit", 4, "0 is out of range, it must be 1 to 1000000"},
        {"rate_limit", 9, "1000001 is out of range"},
        {"circuit_breaker", 5, "not a number from 0 to 1"},
        {"timer", 6, "NAME=INTERVAL"},
        {"tracing", 7, "always|never|ratio|parent"},
        {"http_client", 8, "must begin with http://"},
        {"m/f1", 0, "f1 knows no configuration"},
    };
    struct rt_facet_plan *none;
    struct plex_err err;

    ck_assert_int_eq(rt_facet_plan_create(NULL, twice, 2, &none, &err),
                     PLEX_EXISTS);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const struct rt_facet_spec spec = {
            wrong[i].type, 0, wrong[i].pair < 0 ? NULL : &pairs[wrong[i].pair],
            wrong[i].pair < 0 ? 0 : 1};

        ck_assert_int_eq(rt_facet_check(&types, &spec, false, &err),
                         PLEX_INVALID);
        ck_assert_msg(strstr(err.text, wrong[i].why) != NULL, "%s: %s",
                      wrong[i].type, err.text);
    }
}
END_TEST

START_TEST(a_modules_facet_may_be_unknown_to_who_is_lenient)
{
    struct rt_facet_spec spec = {"other/thing", 0, NULL, 0};
    struct plex_err err;

    ck_assert_int_eq(rt_facet_check(NULL, &spec, true, &err), PLEX_OK);
    spec.type = "other/";
    ck_assert_int_eq(rt_facet_check(NULL, &spec, true, &err), PLEX_INVALID);
    spec.type = "O/x";
    ck_assert_int_eq(rt_facet_check(NULL, &spec, true, &err), PLEX_INVALID);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("chain");
    TCase *all = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, before_runs_from_the_highest_priority_and_after_back);
    tcase_add_test(all, arguments_and_results_are_replaced);
    tcase_add_test(all, a_short_circuit_skips_the_handler_and_what_is_below);
    tcase_add_test(all, an_error_goes_out_through_all);
    tcase_add_test(all, a_default_is_a_result_for_those_above);
    tcase_add_test(all, a_retry_runs_the_handler_again_until_it_is_enough);
    tcase_add_test(all, life_is_heard_in_order);
    tcase_add_test(all, a_facet_that_cannot_attach_undoes_the_others);
    tcase_add_test(all, facets_come_and_go_at_run_time);
    tcase_add_test(all, during_a_message_the_chain_may_change);
    tcase_add_test(all, messages_may_nest);
    tcase_add_test(all, what_facets_keep_is_given_back);
    tcase_add_test(all, requests_of_the_actor_do_all_of_it);
    tcase_add_test(all, plans_refuse_what_is_wrong);
    tcase_add_test(all, a_modules_facet_may_be_unknown_to_who_is_lenient);
    suite_add_tcase(suite, all);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
