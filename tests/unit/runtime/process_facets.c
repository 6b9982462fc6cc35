/* Facets around the callbacks of processes: every verdict, life, and what is
 * attached while they run. */
#include "tests/unit/runtime/faceted.h"

#include <check.h>
#include <stdlib.h>

/* -- verdicts ----------------------------------------------------------------
 */

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

    (void)faceted_start(&faceted_plain, verdicts[_i].config, NULL);
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
    (void)faceted_start(&faceted_plain, "error=transform text=other", NULL);
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
    static const struct plex_behaviour other = {
        .name = "other",
        .handle_cast = faceted_act,
        .data_size = sizeof(struct faceted_memory)};

    (void)faceted_start(&faceted_plain, "error=retry backoff=50", NULL);
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
    static const struct plex_behaviour other = {
        .name = "other",
        .handle_cast = faceted_act,
        .data_size = sizeof(struct faceted_memory)};

    (void)faceted_start(&faceted_plain, "", NULL);
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
    (void)faceted_start(&faceted_plain, "", NULL);
    stage_run();
    (void)said();
    stage_send("p", PLEX_MSG_CAST, 0, "sleep"); /* in the middle of a call */
    stage_run();
    rt_exit(stage.rt, stage_whereis("p"), "kill");
    stage_run();
    ck_assert_str_eq(said(), "before(2) run(sleep)"); /* nobody is told */
    ck_assert_uint_eq(stage_whereis("p").id, 0);
    (void)faceted_start(&faceted_plain, "", "bad");
    stage_run();
    ck_assert_str_eq(said(), "attach(t/n/plain/p) begin end(bad) detach");
    (void)faceted_start(&faceted_plain, "text=refuse", NULL);
    stage_run();
    ck_assert_ptr_nonnull(strstr(said(), "attach(t/n/plain/p)"));
    ck_assert_uint_eq(stage_whereis("p").id, 0);
}
END_TEST

START_TEST(facets_come_and_go_while_it_runs)
{
    (void)stage_spawn(&faceted_plain, "p", NULL);
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

    (void)stage_spawn(&faceted_plain, "p", NULL);
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

    (void)stage_spawn(&faceted_plain, "p", NULL);
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
    (void)stage_spawn(&faceted_plain, "p", "timer");
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
    const struct plex_spawn how = {.behaviour = &faceted_plain, .name = "p"};
    const struct plex_spawn far = {.behaviour = &faceted_plain,
                                   .node = "there"};
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

    tcase_add_checked_fixture(tcase, faceted_open, faceted_close);
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
