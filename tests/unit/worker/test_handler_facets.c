/* Each verdict of a facet around the turns of a virtual actor, and facets that
 * come and go while it is in memory. */
#include "runtime/facet_request.h"
#include "services/worker/handler.h"
#include "tests/unit/runtime/faceted.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- a virtual actor ---------------------------------------------------------
 */

/* Counts its runs in its state, so that what was undone is seen. */
static int
act(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *text = msg->payload == NULL ? "" : msg->payload;
    struct plex_facet_request list = {.verb = PLEX_FACET_LIST};
    static int fails;
    int64_t runs = 0, number;

    say("run(%s)", text);
    (void)plex_state_get(ctx, &runs, sizeof runs);
    runs++;
    plex_state_put(ctx, &runs, sizeof runs);
    if (strncmp(text, "fail ", 5) == 0)
        return plex_fail(ctx, text + 5);
    if (strncmp(text, "once ", 5) == 0 && fails++ == 0)
        return plex_fail(ctx, text + 5);
    fails = 0;
    if (text[0] == '{' && plex_json_int(ctx, "n", &number) == 1)
        say("n=%lld", (long long)number);
    if (strncmp(text, "attach ", 7) == 0)
        say("%d", plex_facet_attach(ctx, text + 7, 0, NULL, 0));
    if (strncmp(text, "detach ", 7) == 0)
        say("%d", plex_facet_detach(ctx, text + 7));
    if (strcmp(text, "list") == 0 && plex_facet_do(ctx, &list) == 0)
        say("[%.*s]", (int)list.answer_len,
            list.answer == NULL ? "" : (const char *)list.answer);
    plex_reply(ctx, "text/plain", "ok", 3);
    return 0;
}

static int
tick(struct plex_ctx *ctx, const char *timer, const void *payload, size_t len)
{
    (void)ctx, (void)payload, (void)len;
    say("tick(%s)", timer);
    return 0;
}

static const struct plex_behaviour behaviour = {
    .name = "x", .handle_call = act, .handle_timer = tick};

static struct {
    struct work_handler *handler;
    struct work_facet_setup setup;
    struct rt_facets *chain;
    struct work_outcome outcome;
    struct plex_arena arena;
    struct work_reply reply;
} b;

static void
on_act(void *arg, const struct plex_facet_action *action)
{
    (void)arg, (void)action;
}

static void
open(void)
{
    memset(&b, 0, sizeof b);
    b.handler = work_handler_create();
    b.setup = (struct work_facet_setup){.types = faceted_types, .act = on_act};
    plex_arena_init(&b.arena, 1 << 20);
    (void)said();
}

static void
close(void)
{
    work_facets_end(&b.setup, b.chain, "shutdown");
    work_handler_free(b.handler);
    plex_arena_fini(&b.arena);
}

static void
run(struct work_message *message)
{
    const struct plex_actor_id actor = {"acme", "default", "x", "k"};
    const struct work_action action = {.kind = WORK_DO_RUN,
                                       .run = {.actor = &actor,
                                               .message = message,
                                               .request_id = "r",
                                               .epoch = 1}};
    struct plex_err err;

    message->to = actor;
    message->id = (struct plex_bytes){(const uint8_t *)"i", 1};
    message->method = message->path = message->subpath = message->query = "";
    message->content_type = message->sender = "";
    if (message->timer == NULL)
        message->timer = "";
    work_handler_run(b.handler,
                     &(struct work_turn){.behaviour = &behaviour,
                                         .run = &action,
                                         .wall_ms = 1234,
                                         .facets = &b.setup,
                                         .chain = &b.chain},
                     &b.outcome);
    ck_assert_int_eq(
        work_reply_unpack(b.outcome.reply, &b.arena, &b.reply, &err), PLEX_OK);
}

static void
send(const char *text)
{
    struct work_message message = {
        .kind = WORK_CALL,
        .payload = {(const uint8_t *)text, strlen(text) + 1}};

    run(&message);
}

/* -- verdicts ----------------------------------------------------------------
 */

static const struct {
    const char *says, *config, *payload, *heard, *reply;
    bool fails, stateless; /* nothing that the handler did has lasted */
} verdicts[] = {
    {"continue", "", "a", "before(1) run(a) after(200,ok)", "ok", false, false},
    {"before replaces the payload", "before=replace text=b", "a",
     "before(1) run(b) after(200,ok)", "ok", false, false},
    {"fields are read from the replaced payload",
     "before=replace text={\"n\":7}", "a",
     "before(1) run({\"n\":7}) n=7 after(200,ok)", "ok", false, false},
    {"short-circuit: the actor does not see it", "before=short text=no", "a",
     "before(1)", "no", false, true},
    {"short-circuit with a problem", "before=problem text=slow", "a",
     "before(1)",
     "{\"status\":429,\"title\":\"the actor refused\",\"code\":"
     "\"ACTOR_REFUSED\"",
     false, true},
    {"after replaces the result", "after=replace text=new", "a",
     "before(1) run(a) after(200,ok)", "new", false, false},
    {"propagate", "", "fail no", "before(1) run(fail no) error(no)", "no", true,
     true},
    {"retry", "error=retry", "once no",
     "before(1) run(once no) error(no) run(once no) after(200,ok)", "ok", false,
     false},
    {"retry, but not for ever", "error=retry attempts=3", "fail no",
     "before(1) run(fail no) error(no) run(fail no) error(no) run(fail no) "
     "error(no)",
     "no", true, true},
    {"default: there was no failure", "error=default text=else", "fail no",
     "before(1) run(fail no) error(no)", "else", false, true},
    {"transform: another error", "error=transform text=other", "fail no",
     "before(1) run(fail no) error(no)", "other", true, true},
};

START_TEST(verdicts_hold)
{
    const char *text;

    b.setup.plan = faceted_plan(verdicts[_i].config);
    send(verdicts[_i].payload);
    text = said();
    ck_assert_msg(strncmp(text, "attach(acme/default/x/k) init ", 30) == 0,
                  "%s", text);
    ck_assert_msg(strcmp(text + 30, verdicts[_i].heard) == 0, "%s: %s",
                  verdicts[_i].says, text);
    ck_assert_int_eq(b.reply.failed, verdicts[_i].fails);
    if (b.reply.failed)
        ck_assert_str_eq(b.reply.error, verdicts[_i].reply);
    else
        ck_assert_mem_eq(b.reply.payload.data, verdicts[_i].reply,
                         strlen(verdicts[_i].reply));
    ck_assert_int_eq(b.outcome.state_changed, !verdicts[_i].stateless);
    if (b.outcome.state_changed) /* once, whatever was tried before */
        ck_assert_mem_eq(b.outcome.state.data, &(int64_t){1}, 8);
}
END_TEST

/* -- while it is in memory ----------------------------------------------------
 */

START_TEST(code_attaches_to_an_actor_of_a_type_without_any)
{
    send("list");
    ck_assert_str_eq(said(), "run(list) []");
    ck_assert_ptr_null(b.chain); /* and costs nothing until then */
    send("detach t/s");
    ck_assert_str_eq(said(), "run(detach t/s) -2");
    send("attach t/s");
    ck_assert_str_eq(said(), "run(attach t/s) attach(acme/default/x/k) init 0");
    send("list");
    ck_assert_str_eq(said(), "before(1) run(list) [t/s\n] after(200,ok)");
    send("attach t/s");
    ck_assert_str_eq(said(), "before(1) run(attach t/s) -3 after(200,ok)");
    send("attach virtual_actor");
    ck_assert_str_eq(said(), "before(1) run(attach virtual_actor) -1 "
                             "after(200,ok)");
    send("detach t/s");
    ck_assert_str_eq(said(), "before(1) run(detach t/s) detach 0");
    send("list");
    ck_assert_str_eq(said(), "run(list) []");
}
END_TEST

/* The answer's status, then its text. */
static const char *
ask(enum plex_facet_verb verb, const char *facet, const char *key,
    const char *value)
{
    static char text[512];
    const struct plex_facet_pair pair = {key, value};
    const struct plex_facet_request request = {
        .verb = verb, .facet = facet, .config = &pair, .n_config = key != NULL};
    struct work_message message = {.kind = WORK_FACETS};
    struct plex_buf packed = {.max = 4096};

    rt_facets_pack(&request, &packed);
    message.payload = (struct plex_bytes){packed.data, packed.len};
    run(&message);
    plex_buf_free(&packed);
    ck_assert_uint_gt(b.reply.payload.len, 0);
    snprintf(text, sizeof text, "%d:%.*s", b.reply.payload.data[0],
             (int)b.reply.payload.len - 1,
             (const char *)b.reply.payload.data + 1);
    return text;
}

START_TEST(others_attach_detach_and_list)
{
    struct work_message timer = {.kind = WORK_TIMER, .timer = "$facets"};

    ck_assert_str_eq(ask(PLEX_FACET_LIST, "", NULL, NULL), "0:");
    ck_assert_str_eq(ask(PLEX_FACET_DETACH, "timer", NULL, NULL),
                     "2:facet timer is not attached");
    ck_assert_ptr_null(b.chain);
    ck_assert_str_eq(ask(PLEX_FACET_ATTACH, "timer", "timers", "beat=10ms"),
                     "0:50 timer\n");
    ck_assert_uint_eq(b.outcome.n_outputs, 1); /* its wake-up */
    ck_assert_str_eq(b.outcome.outputs[0].timer, "$facets");
    ck_assert_ptr_nonnull(
        strstr(ask(PLEX_FACET_ATTACH, "timer", "timers", "beat=10ms"), "3:"));
    ck_assert_ptr_nonnull(strstr(ask(PLEX_FACET_ATTACH, "logging", "levl", "x"),
                                 "nearest is \"level\""));
    ck_assert_ptr_nonnull(
        strstr(ask(PLEX_FACET_ATTACH, "durability", NULL, NULL), "1:facet"));
    ck_assert_str_eq(ask(PLEX_FACET_ATTACH, "t/s", "text", "x"),
                     "0:500 t/s\n50 timer\n");
    ck_assert_str_eq(ask(PLEX_FACET_DETACH, "timer", NULL, NULL),
                     "0:500 t/s\n");
    (void)said();
    run(&timer); /* of one that is not there any more */
    ck_assert_str_eq(said(), "");
}
END_TEST

START_TEST(what_is_no_request_is_refused)
{
    struct work_message message = {.kind = WORK_FACETS};

    run(&message);
    ck_assert_int_eq(b.reply.payload.data[0], PLEX_INVALID);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("facets around turns");
    TCase *all = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(all, open, close);
    tcase_add_loop_test(all, verdicts_hold, 0,
                        (int)(sizeof verdicts / sizeof verdicts[0]));
    tcase_add_test(all, code_attaches_to_an_actor_of_a_type_without_any);
    tcase_add_test(all, others_attach_detach_and_list);
    tcase_add_test(all, what_is_no_request_is_refused);
    suite_add_tcase(suite, all);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
