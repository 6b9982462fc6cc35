#include "runtime/supervisor_code.h"
#include "sdk/c/include/plexspaces/event.h"
#include "tests/unit/runtime/nodes.h"

/* Requests to a supervisor on another node: as to one here. */

static int
idle_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    (void)msg;
    plex_reply(ctx, "text/plain", "ok", 2);
    return 0;
}

static int
slow_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    (void)args, (void)len;
    plex_sleep(ctx, 1000);
    return 0;
}

static const struct plex_behaviour slow = {
    .name = "slow", .init = slow_init, .handle_call = idle_call};
static const struct plex_behaviour unknown = {.name = "unknown",
                                              .handle_call = idle_call};
static const struct plex_child first[] = {
    {.id = "first", .behaviour = &node_doer, .shutdown_ms = 100}, {0}};
static const struct plex_supervisor plan = {
    .strategy = PLEX_ONE_FOR_ONE, .intensity = 3, .children = first};
static const struct plex_supervisor crowd_plan = {
    .strategy = PLEX_SIMPLE_ONE_FOR_ONE, .intensity = 3, .children = first};
static const struct plex_behaviour behaviours[] = {
    {.name = "sup", .supervisor = &plan, .trap_exit = true},
    {.name = "crowd", .supervisor = &crowd_plan, .trap_exit = true},
    {.name = "slow", .init = slow_init, .handle_call = idle_call},
    {0},
};
static struct plex_ref sup, crowd;

static struct plex_ref
supervisor_start(const struct plex_behaviour *behaviour, const char *name)
{
    const struct plex_spawn how = {.behaviour = behaviour, .name = name};
    struct plex_ref ref;

    ck_assert_int_eq(rt_spawn(node_rt[1], node_where, &how, NULL, NULL, &ref),
                     0);
    return ref;
}

static void
setup(void)
{
    node_setup();
    node_behaviours = behaviours;
    sup = supervisor_start(&behaviours[0], "sup");
    crowd = supervisor_start(&behaviours[1], "crowd");
    node_run_ms(0);
}

static void
count(struct plex_ctx *ctx, struct plex_ref to)
{
    struct plex_child_count got = {9, 9, 9, 9};
    const int status = plex_count_children(ctx, to, &got);

    node_say("count%d:%u/%u/%u/%u;", status, got.specs, got.active,
             got.supervisors, got.workers);
}

static void
which(struct plex_ctx *ctx, struct plex_ref to)
{
    struct plex_child_info infos[4] = {0};
    const int n = plex_which_children(ctx, to, infos, 4);

    node_say("which%d:", n);
    for (int i = 0; i < n && i < 4; i++)
        node_say("%s/%llu/%d/%d%d%d/%u,", infos[i].id,
                 (unsigned long long)infos[i].ref.node, infos[i].restart,
                 infos[i].is_supervisor, infos[i].restarting,
                 infos[i].significant, infos[i].restarts);
    node_say(";");
}

static struct plex_ref
add(struct plex_ctx *ctx, struct plex_ref to, const char *id,
    const struct plex_behaviour *behaviour, const char *args)
{
    const struct plex_child child = {.id = id,
                                     .behaviour = behaviour,
                                     .args = args,
                                     .args_len = strlen(args),
                                     .name = id,
                                     .restart = PLEX_TRANSIENT,
                                     .shutdown_ms = 100};
    struct plex_ref ref = {7, 7};
    const int status = plex_start_child(ctx, to, &child, &ref);

    node_say("add%d:%llu;", status, (unsigned long long)ref.node);
    return ref;
}

static void
change(struct plex_ctx *ctx, struct plex_ref to, const char *id)
{
    const struct plex_child child = {
        .id = id, .behaviour = &node_doer, .shutdown_ms = 100};
    struct plex_plan next = {.set = PLEX_PLAN_INTENSITY, .intensity = 7};
    const int status = plex_supervisor_plan(ctx, to, &next);

    node_say("plan%d:%d/%u;", status, next.strategy, next.intensity);
    node_say("change%d;", plex_change_child(ctx, to, &child));
}

static void
all_requests(struct plex_ctx *ctx)
{
    struct plex_ref ref = {0, 0};

    count(ctx, sup);
    which(ctx, sup);
    ref = add(ctx, sup, "second", &node_doer, "");
    node_say("ask%d;",
             plex_ask(ctx, ref, 4, NULL, 0, 0, &(struct plex_msg){0}));
    (void)add(ctx, sup, "second", &node_doer, "");
    which(ctx, sup);
    change(ctx, sup, "second");
    change(ctx, sup, "nobody");
    node_say("delete%d;", plex_delete_child(ctx, sup, "second"));
    node_say("end%d;", plex_terminate_child(ctx, sup, "second"));
    node_say("end%d;", plex_terminate_child(ctx, sup, "nobody"));
    ref = (struct plex_ref){0, 0};
    node_say("again%d:", plex_restart_child(ctx, sup, "second", &ref));
    node_say("%llu;", (unsigned long long)ref.node);
    node_say("again%d;", plex_restart_child(ctx, sup, "second", &ref));
    node_say("end%d;", plex_terminate_child(ctx, sup, "second"));
    node_say("delete%d;", plex_delete_child(ctx, sup, "second"));
    count(ctx, sup);
}

static const char *const all_said =
    "count0:1/1/0/1;which1:first/2/0/000/0,;add0:2;ask0;add-3:7;"
    "which2:first/2/0/000/0,second/2/1/000/0,;"
    "plan0:1/7;change0;plan0:1/7;change-2;delete-4;end0;end-2;"
    "again0:2;again-4;end0;delete0;count0:1/1/0/1;";

START_TEST(every_request_does_there_what_it_does_here)
{
    struct plex_ref there = sup;

    node_tell(0, node_a, all_requests);
    node_run_ms(10);
    ck_assert_str_eq(node_said, all_said);
    node_said[0] = '\0';
    node_tell(1, node_b, all_requests);
    node_run_ms(10);
    ck_assert(plex_ref_is(there, sup));
    ck_assert_str_eq(node_said, all_said);
}
END_TEST

static void
by_name(struct plex_ctx *ctx)
{
    count(ctx, plex_whereis(ctx, "sup@n2"));
    count(ctx, plex_whereis(ctx, "nobody@n2"));
    count(ctx, plex_whereis(ctx, "b@n2"));
    count(ctx, plex_whereis(ctx, "sup@x3"));
    count(ctx, plex_whereis(ctx, "type/key"));
}

START_TEST(a_supervisor_is_found_by_its_name_and_node)
{
    node_tell(0, node_a, by_name);
    node_run_ms(1);
    ck_assert_str_eq(node_said, "count0:1/1/0/1;count-2:9/9/9/9;"
                                "count-1:9/9/9/9;count-7:9/9/9/9;"
                                "count-1:9/9/9/9;");
}
END_TEST

static void
bad_children(struct plex_ctx *ctx)
{
    const struct plex_child significant = {.id = "x",
                                           .behaviour = &node_doer,
                                           .restart = PLEX_TRANSIENT,
                                           .significant = true};

    (void)add(ctx, sup, "x", &node_doer, "no");
    (void)add(ctx, sup, "x", &unknown, "");
    node_say("bad%d;", plex_start_child(ctx, sup, &significant, NULL));
    node_say("bad%d;", plex_start_child(ctx, sup, NULL, NULL));
    count(ctx, sup);
}

START_TEST(a_child_that_cannot_start_there_is_refused_as_here)
{
    node_tell(0, node_a, bad_children);
    node_run_ms(1);
    ck_assert_str_eq(node_said, "add-16:7;add-2:7;bad-1;bad-1;count0:1/1/0/1;");
}
END_TEST

static void
crowd_requests(struct plex_ctx *ctx)
{
    const struct plex_child named = {.name = "dave"};
    struct plex_ref one = {0, 0}, two = {0, 0};
    const struct plex_supervisor_request end = {.verb = PLEX_SUP_TERMINATE,
                                                .ref = one};
    struct plex_supervisor_request by_ref = end;

    node_say("start%d;", plex_start_child(ctx, crowd, NULL, &one));
    node_say("start%d;", plex_start_child(ctx, crowd, &named, &two));
    node_say("ask%d;", plex_ask(ctx, plex_whereis(ctx, "dave@n2"), 1, NULL, 0,
                                0, &(struct plex_msg){0}));
    by_ref.ref = one;
    node_say("end%d;", plex_supervisor_call(ctx, crowd, &by_ref));
    node_say("end%d;", plex_supervisor_call(ctx, crowd, &by_ref));
    node_say("delete%d;", plex_delete_child(ctx, crowd, "first"));
    count(ctx, crowd);
}

START_TEST(a_template_there_is_used_as_here)
{
    node_tell(0, node_a, crowd_requests);
    node_run_ms(5);
    ck_assert_str_eq(node_said,
                     "start0;start0;ask0;end0;end-2;delete-1;count0:1/1/0/1;");
}
END_TEST

static void
slow_start(struct plex_ctx *ctx)
{
    const struct plex_child child = {.id = "slow", .behaviour = &slow};
    const struct plex_supervisor_request request = {.verb = PLEX_SUP_START,
                                                    .child = &child};

    node_say("start%d;", plex_supervisor_call_within(ctx, sup, &request, 20));
    count(ctx, sup);
}

START_TEST(a_request_that_takes_too_long_times_out_and_is_done)
{
    node_tell(0, node_a, slow_start);
    node_run_ms(500);
    ck_assert_str_eq(node_said, "start-8;");
    node_run_ms(600);
    ck_assert_str_eq(node_said, "start-8;count0:2/2/0/2;");
}
END_TEST

START_TEST(who_waits_for_a_supervisor_that_is_lost_hears_noconnection)
{
    node_tell(0, node_a, slow_start);
    node_run_ms(1);
    node_down();
    ck_assert_str_eq(node_said, "start-7;count-7:9/9/9/9;");
}
END_TEST

static void
name_lost(struct plex_ctx *ctx)
{
    const struct plex_child child = {.id = "slow", .behaviour = &slow};

    node_say("start%d;",
             plex_start_child(ctx, plex_whereis(ctx, "sup@n2"), &child, NULL));
}

START_TEST(also_when_it_was_found_by_its_name)
{
    node_tell(0, node_a, name_lost);
    node_run_ms(1);
    node_down();
    ck_assert_str_eq(node_said, "start-7;");
}
END_TEST

START_TEST(who_asked_and_died_is_not_waited_for)
{
    node_tell(0, node_a, slow_start);
    node_run_ms(1);
    rt_exit(node_rt[0], node_a, "kill");
    node_run_ms(1100);
    node_tell(1, node_b, all_requests);
    node_run_ms(10);
    ck_assert(strstr(node_said, "count0:2/2/0/2;which2:") == node_said);
}
END_TEST

static void
node_away(struct plex_ctx *ctx)
{
    const struct plex_child child = {
        .id = "home", .behaviour = &node_doer, .node = "n1", .shutdown_ms = 50};
    struct plex_ref ref = {0, 0};

    node_say("start%d:", plex_start_child(ctx, sup, &child, &ref));
    node_say("%llu;", (unsigned long long)ref.node);
    which(ctx, sup);
    node_say("end%d;", plex_terminate_child(ctx, sup, "home"));
}

START_TEST(a_child_of_a_supervisor_there_may_run_here)
{
    node_tell(0, node_a, node_away);
    node_run_ms(5);
    ck_assert_str_eq(node_said,
                     "start0:1;which2:first/2/0/000/0,home/1/0/000/0,;end0;");
}
END_TEST

/* -- event managers there -- */

static int
loud_event(struct plex_ctx *ctx, void *data, const struct plex_msg *msg)
{
    (void)data;
    node_say("event%llu;", (unsigned long long)msg->tag);
    return msg->tag == 2 ? plex_fail(ctx, "broken") : 0;
}

static int
loud_call(struct plex_ctx *ctx, void *data, const struct plex_msg *msg)
{
    (void)data;
    plex_reply(ctx, "text/plain", msg->payload, msg->len);
    return 0;
}

static void
loud_end(struct plex_ctx *ctx, void *data, const char *reason)
{
    (void)ctx, (void)data;
    node_say("end %s;", reason);
}

static const struct plex_event_handler handlers[] = {
    {.name = "loud",
     .handle_event = loud_event,
     .handle_call = loud_call,
     .terminate = loud_end},
    {0},
};
static const struct plex_event_manager managing = {handlers, NULL};
static const struct plex_behaviour manager = {.name = "manager",
                                              .events = &managing};

static void
manage(struct plex_ctx *ctx)
{
    const struct plex_ref to = plex_whereis(ctx, "manager@n2");
    struct plex_msg answer = {.payload = ""};

    node_say("add%d;", plex_event_add(ctx, to, "loud", "one", false));
    node_say("add%d;", plex_event_add(ctx, to, "loud", "one", false));
    node_say("add%d;", plex_event_add(ctx, to, "quiet", NULL, false));
    plex_event_notify(ctx, to, 1, NULL, 0);
    node_say("call%d:",
             plex_event_call(ctx, to, "one", 3, "hi", 2, 0, &answer));
    node_say("%.*s;", (int)answer.len, (const char *)answer.payload);
    node_say("swap%d;", plex_event_swap(ctx, to, "one", "loud", "two"));
    node_say("remove%d;", plex_event_remove(ctx, to, "one"));
    node_say("remove%d;", plex_event_remove(ctx, to, "two"));
}

static void
own_handlers(struct plex_ctx *ctx)
{
    const struct plex_ref to = plex_whereis(ctx, "manager@n2");

    node_say("add%d;", plex_event_add(ctx, to, "loud", "one", true));
    node_say("add%d;", plex_event_add(ctx, to, "loud", "two", true));
}

static void
notify_bad(struct plex_ctx *ctx)
{
    plex_event_notify(ctx, plex_whereis(ctx, "manager@n2"), 2, NULL, 0);
}

START_TEST(event_managers_there_are_as_here)
{
    (void)supervisor_start(&manager, "manager");
    node_tell(0, node_a, manage);
    node_run_ms(5);
    ck_assert_str_eq(node_said, "add0;add-3;add-2;event1;call0:hi;end swap;"
                                "swap0;remove-2;end normal;remove0;");
}
END_TEST

START_TEST(who_supervises_handlers_there_hears_of_them)
{
    struct plex_ref to = supervisor_start(&manager, "manager");

    node_tell(0, node_a, own_handlers);
    node_run_ms(5);
    node_tell(0, node_a, notify_bad);
    node_run_ms(5);
    ck_assert_str_eq(node_said, "add0;add0;event2;end broken;event2;end broken;"
                                "a:info1735356005;a:info1735356005;");
    node_said[0] = '\0';
    node_tell(0, node_a, own_handlers);
    node_run_ms(5);
    rt_exit(node_rt[1], to, "kill");
    node_run_ms(5);
    ck_assert_str_eq(node_said, "add0;add0;a:exit0killed;");
}
END_TEST

START_TEST(handlers_go_with_who_supervises_them_from_there)
{
    (void)supervisor_start(&manager, "manager");
    node_tell(0, node_a, own_handlers);
    node_run_ms(5);
    node_said[0] = '\0';
    rt_node_down(node_rt[1], 1, "n1");
    node_run_ms(5);
    ck_assert_str_eq(node_said, "end noconnection;end noconnection;");
}
END_TEST

/* -- the wire form -- */

START_TEST(a_request_arrives_as_it_was_written)
{
    const struct plex_child child = {.id = "i",
                                     .args = "\0x",
                                     .args_len = 2,
                                     .name = "n",
                                     .node = "w",
                                     .restart = PLEX_TEMPORARY,
                                     .shutdown_ms = PLEX_SHUTDOWN_INFINITY,
                                     .significant = true};
    const struct plex_supervisor_request in = {.verb = PLEX_SUP_START,
                                               .id = "id",
                                               .ref = {1, UINT64_MAX},
                                               .child = &child,
                                               .out_max = RT_SUP_ROWS_MAX};
    struct rt_sup_read read;
    const struct plex_supervisor_request *out = &read.request;
    const struct plex_child *got = &read.child;
    const char *behaviour;
    size_t len;
    char *bytes = rt_sup_request_write(&in, "m/b", &len);

    ck_assert(rt_sup_request_read(bytes, len, &read, &behaviour));
    ck_assert_int_eq(out->verb, in.verb);
    ck_assert_str_eq(out->id, "id");
    ck_assert(plex_ref_is(out->ref, in.ref));
    ck_assert_uint_eq(out->out_max, in.out_max);
    ck_assert_ptr_eq(out->child, got);
    ck_assert_str_eq(behaviour, "m/b");
    ck_assert_str_eq(got->id, "i");
    ck_assert_uint_eq(got->args_len, 2);
    ck_assert_mem_eq(got->args, "\0x", 2);
    ck_assert_str_eq(got->name, "n");
    ck_assert_str_eq(got->node, "w");
    ck_assert_int_eq(got->restart, PLEX_TEMPORARY);
    ck_assert_uint_eq(got->shutdown_ms, PLEX_SHUTDOWN_INFINITY);
    ck_assert(got->significant);
    for (size_t n = 0; n < len; n++) /* whatever is cut off */
        (void)rt_sup_request_read(bytes, n, &read, &behaviour);
    ck_assert(!rt_sup_request_read(bytes, len - 1, &read, &behaviour));
    bytes[4] = (char)0xff; /* a field that reaches beyond the end */
    ck_assert(!rt_sup_request_read(bytes, len, &read, &behaviour));
    free(bytes);
}
END_TEST

START_TEST(a_plan_arrives_as_it_was_written)
{
    struct plex_plan sent = {.set = PLEX_PLAN_STRATEGY | PLEX_PLAN_BACKOFF,
                             .strategy = PLEX_REST_FOR_ONE,
                             .intensity = 3,
                             .period_ms = 4,
                             .auto_shutdown = PLEX_AUTO_ALL_SIGNIFICANT,
                             .backoff_initial_ms = 5,
                             .backoff_max_ms = UINT32_MAX};
    const struct plex_supervisor_request in = {.verb = PLEX_SUP_PLAN,
                                               .out = &sent};
    struct rt_sup_answer said = {.plan = sent}, *answer;
    struct rt_sup_read read;
    const char *behaviour;
    size_t len, rows;
    void *bytes = rt_sup_request_write(&in, "", &len);

    ck_assert(rt_sup_request_read(bytes, len, &read, &behaviour));
    ck_assert_ptr_eq(read.request.out, &read.plan);
    ck_assert_mem_eq(&read.plan, &sent, sizeof sent);
    free(bytes);
    bytes = rt_sup_answer_write(&said, 0, &len);
    answer = rt_sup_answer_read(bytes, len, &rows);
    ck_assert_ptr_nonnull(answer);
    ck_assert_mem_eq(&answer->plan, &sent, sizeof sent);
    free(answer);
    free(bytes);
}
END_TEST

START_TEST(an_answer_of_too_many_or_wrong_rows_is_none)
{
    struct rt_sup_answer *in =
        calloc(1, sizeof *in + 2 * sizeof(struct plex_child_info));
    struct rt_sup_answer *out;
    size_t len, rows;
    char *bytes;

    in->status = -PLEX_CONFLICT;
    (void)strcpy(in->infos[0].id, "one");
    (void)memset(in->infos[1].id, 'x', sizeof in->infos[1].id - 1);
    in->infos[1].significant = true;
    in->infos[1].restarts = 9;
    bytes = rt_sup_answer_write(in, 2, &len);
    out = rt_sup_answer_read(bytes, len, &rows);
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(rows, 2);
    ck_assert_int_eq(out->status, -PLEX_CONFLICT);
    ck_assert_str_eq(out->infos[1].id, in->infos[1].id);
    ck_assert(out->infos[1].significant && !out->infos[0].significant);
    ck_assert_uint_eq(out->infos[1].restarts, 9);
    free(out);
    ck_assert_ptr_null(rt_sup_answer_read(bytes, len - 1, &rows));
    free(bytes);
    bytes = calloc(RT_SUP_ROWS_MAX + 1, 5);
    for (size_t i = 0; i <= RT_SUP_ROWS_MAX; i++)
        bytes[i * 5] = 9; /* a row, empty */
    ck_assert_ptr_null(
        rt_sup_answer_read(bytes, (RT_SUP_ROWS_MAX + 1) * 5, &rows));
    free(bytes);
    free(in);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("far");
    TCase *c = tcase_create("supervisors");
    TCase *w = tcase_create("wire");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(c, setup, node_teardown);
    tcase_add_test(c, every_request_does_there_what_it_does_here);
    tcase_add_test(c, a_supervisor_is_found_by_its_name_and_node);
    tcase_add_test(c, a_child_that_cannot_start_there_is_refused_as_here);
    tcase_add_test(c, a_template_there_is_used_as_here);
    tcase_add_test(c, a_request_that_takes_too_long_times_out_and_is_done);
    tcase_add_test(c,
                   who_waits_for_a_supervisor_that_is_lost_hears_noconnection);
    tcase_add_test(c, also_when_it_was_found_by_its_name);
    tcase_add_test(c, who_asked_and_died_is_not_waited_for);
    tcase_add_test(c, a_child_of_a_supervisor_there_may_run_here);
    tcase_add_test(c, event_managers_there_are_as_here);
    tcase_add_test(c, who_supervises_handlers_there_hears_of_them);
    tcase_add_test(c, handlers_go_with_who_supervises_them_from_there);
    tcase_add_test(w, a_request_arrives_as_it_was_written);
    tcase_add_test(w, a_plan_arrives_as_it_was_written);
    tcase_add_test(w, an_answer_of_too_many_or_wrong_rows_is_none);
    suite_add_tcase(s, c);
    suite_add_tcase(s, w);
    runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
