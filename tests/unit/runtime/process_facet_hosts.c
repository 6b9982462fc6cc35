/* Each verdict of a facet, around a state machine and around event handlers:
 * what stands around plain processes is in process_facets.c. */
#include "sdk/c/include/plexspaces/event.h"
#include "sdk/c/include/plexspaces/fsm.h"
#include "tests/unit/runtime/faceted.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* -- hosts ------------------------------------------------------------------
 */

/* "go" changes the state, "fail go" asks for it and fails, "put off" postpones,
 * "soon" sets a timeout. */
static int
on_event(struct plex_ctx *ctx, const struct plex_fsm_event *event)
{
    const char *text = event->msg == NULL || event->msg->payload == NULL
                           ? ""
                           : event->msg->payload;

    if (event->kind > PLEX_FSM_INFO) {
        say("%s:%s", plex_fsm_state(ctx),
            event->kind == PLEX_FSM_ENTER ? "enter" : "timeout");
        return 0;
    }
    if (strstr(text, "go") != NULL)
        (void)plex_fsm_goto(ctx, "off");
    if (strcmp(text, "put off") == 0 && strcmp(plex_fsm_state(ctx), "on") == 0)
        (void)plex_fsm_postpone(ctx);
    if (strcmp(text, "soon") == 0)
        (void)plex_fsm_state_timeout(ctx, 10, 0);
    return faceted_act(ctx, event->msg);
}

static const struct plex_fsm_state states[] = {
    {.name = "on", .handle = on_event},
    {.name = "off", .handle = on_event, .enter = true},
    {0},
};
static const struct plex_fsm fsm = {.states = states};
static const struct plex_behaviour machine = {
    .name = "machine",
    .fsm = &fsm,
    .data_size = sizeof(struct faceted_memory),
    .trap_exit = true,
};

static int
on_notice(struct plex_ctx *ctx, void *data, const struct plex_msg *msg)
{
    (void)data;
    return faceted_act(ctx, msg);
}

static void
on_removal(struct plex_ctx *ctx, void *data, const char *reason)
{
    (void)ctx, (void)data;
    say("removed(%s)", reason);
}

static const struct plex_event_handler handlers[] = {
    {.name = "h",
     .handle_event = on_notice,
     .handle_call = on_notice,
     .handle_info = on_notice,
     .terminate = on_removal},
    {0},
};
static const char *const initial[] = {"h", NULL};
static const struct plex_event_manager events = {.handlers = handlers,
                                                 .initial = initial};
static const struct plex_behaviour manager = {
    .name = "manager",
    .events = &events,
    .data_size = sizeof(struct faceted_memory),
};

static void
on_answer(void *arg, int status, const struct plex_msg *answer)
{
    (void)arg;
    if (status == 0)
        say("=%.*s", (int)answer->len,
            answer->len == 0 ? "" : (const char *)answer->payload);
    else
        say("=failed");
}

/* Of an event manager: to its handler. */
static void
call(const struct plex_behaviour *host, const char *text)
{
    char bytes[128] = "h";
    const size_t len = strlen(text) + 1;
    struct plex_post post = {.kind = PLEX_MSG_CALL, .payload = bytes};

    post.len = host == &manager ? len + 2 : len;
    memcpy(bytes + (host == &manager ? 2 : 0), text, len);
    rt_call(stage.rt, stage_whereis("p"), &post, 3600000, on_answer, NULL);
    stage_run();
}

/* -- verdicts ----------------------------------------------------------------
 */

/* A call with `payload`; what a failing one leads to differs. */
static const struct {
    const char *says, *config, *payload, *heard;
    bool fails;
} verdicts[] = {
    {"continue", "", "a", "before(1) run(a) after(200,ok) =ok", false},
    {"before replaces the payload", "before=replace text=b", "a",
     "before(1) run(b) after(200,ok) =ok", false},
    {"fields are read from the replaced payload",
     "before=replace text={\"n\":7}", "a",
     "before(1) run({\"n\":7}) n=7 after(200,ok) =ok", false},
    {"short-circuit: nobody sees it", "before=short text=no", "a",
     "before(1) =no", false},
    {"short-circuit with a problem", "before=problem text=slow", "a",
     "before(1) ={\"type\":\"about:blank\",\"status\":429,\"title\":\"the "
     "actor "
     "refused\",\"code\":\"ACTOR_REFUSED\",\"detail\":\"slow\",\"source\":"
     "\"actor\"}",
     false},
    {"after replaces the result", "after=replace text=new", "a",
     "before(1) run(a) after(200,ok) =new", false},
    {"propagate", "", "fail no", "before(1) run(fail no) error(no)", true},
    {"retry", "error=retry", "once no",
     "before(1) run(once no) error(no) run(once no) after(200,ok) =ok", false},
    {"retry, but not for ever", "error=retry attempts=3", "fail no",
     "before(1) run(fail no) error(no) run(fail no) error(no) run(fail no) "
     "error(no)",
     true},
    {"default: there was no failure", "error=default text=else", "fail no",
     "before(1) run(fail no) error(no) =else", false},
    {"transform: another reason", "error=transform text=other", "fail no",
     "before(1) run(fail no) error(no)", true},
    {"a later answer has no result", "after=replace text=new", "later",
     "before(1) run(later) after(200,)", false},
};
enum { VERDICTS = sizeof verdicts / sizeof verdicts[0] };

/* A failing machine ends; a failing event handler is removed. */
START_TEST(verdicts_hold)
{
    static const struct plex_behaviour *const hosts[] = {&machine, &manager};
    const struct plex_behaviour *host = hosts[_i / VERDICTS];
    const char *heard;
    char tail[64] = "";

    (void)faceted_start(host, verdicts[_i % VERDICTS].config, NULL);
    stage_run();
    (void)said();
    call(host, verdicts[_i % VERDICTS].payload);
    if (verdicts[_i % VERDICTS].fails)
        snprintf(tail, sizeof tail,
                 host == &manager ? " removed(%s) =failed"
                                  : " end(%s) detach =failed",
                 strstr(verdicts[_i % VERDICTS].config, "transform") != NULL
                     ? "other"
                     : "no");
    heard = said();
    ck_assert_msg(strncmp(heard, verdicts[_i % VERDICTS].heard,
                          strlen(verdicts[_i % VERDICTS].heard)) == 0 &&
                      strncmp(heard + strlen(verdicts[_i % VERDICTS].heard),
                              tail, strlen(tail)) == 0,
                  "%s of a %s: %s", verdicts[_i % VERDICTS].says, host->name,
                  heard);
    ck_assert((stage_whereis("p").id != 0) ==
              (host == &manager || !verdicts[_i % VERDICTS].fails));
}
END_TEST

/* -- state machines ----------------------------------------------------------
 */

START_TEST(a_state_machine_begins_and_ends_inside_its_facets)
{
    (void)faceted_start(&machine, "", NULL);
    stage_run();
    ck_assert_str_eq(said(), "attach(t/n/machine/p) init");
    stage_send("p", PLEX_MSG_CAST, 0, "go");
    stage_run();
    ck_assert_str_eq(said(), "before(2) run(go) after(200,) off:enter");
    stage_send("p", PLEX_MSG_CAST, 0, "exit");
    stage_run();
    ck_assert_str_eq(said(), "before(2) run(exit) after(200,) end(normal) "
                             "detach");
}
END_TEST

START_TEST(a_failed_attempt_changes_no_state)
{
    (void)faceted_start(&machine, "error=retry", NULL);
    stage_run();
    (void)said();
    call(&machine, "once go");
    ck_assert_str_eq(said(), "before(1) run(once go) error(go) run(once go) "
                             "after(200,ok) off:enter =ok");
    faceted_close();
    faceted_open();
    (void)faceted_start(&machine, "error=default text=no", NULL);
    stage_run();
    (void)said();
    call(&machine, "fail go");
    ck_assert_str_eq(said(), "before(1) run(fail go) error(go) =no");
}
END_TEST

START_TEST(a_postponed_event_goes_through_again_when_it_is_due)
{
    (void)faceted_start(&machine, "after=replace text=new", NULL);
    stage_run();
    (void)said();
    call(&machine, "put off");
    ck_assert_str_eq(said(), "before(1) run(put off) after(200,ok)");
    stage_send("p", PLEX_MSG_CAST, 0, "go");
    stage_run();
    ck_assert_str_eq(said(),
                     "before(2) run(go) after(200,) off:enter before(1) "
                     "run(put off) after(200,ok) =new");
}
END_TEST

START_TEST(timeouts_of_a_machine_do_not_pass)
{
    (void)faceted_start(&machine, "", NULL);
    stage_run();
    stage_send("p", PLEX_MSG_CAST, 0, "soon");
    stage_run();
    (void)said();
    stage_after(10);
    ck_assert_str_eq(said(), "on:timeout");
}
END_TEST

/* -- event managers ----------------------------------------------------------
 */

START_TEST(each_handler_of_an_event_is_a_message_of_its_own)
{
    (void)faceted_start(&manager, "", NULL);
    stage_run();
    ck_assert_str_eq(said(), "attach(t/n/manager/p) init");
    stage_send("p", PLEX_MSG_CAST, 0, "a");
    stage_run();
    ck_assert_str_eq(said(), "before(2) run(a) after(200,)");
    stage_send("p", PLEX_MSG_CAST, 0, "fail no");
    stage_run();
    ck_assert_str_eq(said(), "before(2) run(fail no) error(no) removed(no)");
    stage_send("p", PLEX_MSG_CAST, 0, "a"); /* nobody is there */
    stage_run();
    ck_assert_str_eq(said(), "");
}
END_TEST

/* -- while they run ----------------------------------------------------------
 */

static void
on_asked(void *arg, int status, const struct plex_msg *answer)
{
    (void)arg, (void)answer;
    say("%d", status);
}

START_TEST(they_come_and_go_while_these_run)
{
    const struct plex_facet_pair calls = {"methods", "call"};
    struct plex_facet_request request = {.verb = PLEX_FACET_ATTACH,
                                         .facet = "caching",
                                         .config = &calls,
                                         .n_config = 1};

    (void)stage_spawn(&machine, "p", NULL);
    stage_run();
    rt_facets_ask(stage.rt, stage_whereis("p"), &request, 1000, on_asked, NULL);
    stage_run();
    call(&machine, "a");
    call(&machine, "a");
    ck_assert_str_eq(said(), "0 run(a) =ok =ok");
    request.verb = PLEX_FACET_DETACH;
    rt_facets_ask(stage.rt, stage_whereis("p"), &request, 1000, on_asked, NULL);
    stage_run();
    call(&machine, "a");
    ck_assert_str_eq(said(), "0 run(a) =ok");
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("facets of state machines and event managers");
    TCase *tcase = tcase_create("core");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(tcase, faceted_open, faceted_close);
    tcase_add_loop_test(tcase, verdicts_hold, 0, 2 * VERDICTS);
    tcase_add_test(tcase, a_state_machine_begins_and_ends_inside_its_facets);
    tcase_add_test(tcase, a_failed_attempt_changes_no_state);
    tcase_add_test(tcase, a_postponed_event_goes_through_again_when_it_is_due);
    tcase_add_test(tcase, timeouts_of_a_machine_do_not_pass);
    tcase_add_test(tcase, each_handler_of_an_event_is_a_message_of_its_own);
    tcase_add_test(tcase, they_come_and_go_while_these_run);
    suite_add_tcase(suite, tcase);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
