/* The SDK's side of a turn, with a module that uses all of it. */
#include "services/worker/handler.h"
#include "services/worker/json_field.h"
#include "services/worker/module.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct bench {
    struct work_modules *modules;
    struct work_handler *handler;
    const struct plex_behaviour *behaviour;
    struct plex_actor_id actor;
    struct work_message message;
    struct work_header header;
    struct work_action action;
    struct work_outcome outcome;
    struct plex_arena arena;
    struct work_reply reply;
};

static const char *
module_dir(void)
{
    const char *dir = getenv("TEST_MODULES");

    ck_assert_ptr_nonnull(dir);
    return dir;
}

static void
setup(struct bench *b)
{
    struct plex_err err;

    memset(b, 0, sizeof *b);
    b->modules = work_modules_create(module_dir());
    b->handler = work_handler_create();
    plex_arena_init(&b->arena, 1 << 20);
    ck_assert_int_eq(work_modules_find(b->modules, "kitchen", "kitchen",
                                       &b->behaviour, &err),
                     PLEX_OK);
    b->actor = (struct plex_actor_id){"acme", "default", "kitchen", "k"};
    b->header = (struct work_header){"x-test", "yes"};
    b->message = (struct work_message){.to = b->actor,
                                       .kind = WORK_CALL,
                                       .id = {(const uint8_t *)"\x01\xab", 2},
                                       .method = "POST",
                                       .path = "",
                                       .subpath = "",
                                       .query = "",
                                       .content_type = "",
                                       .sender = "",
                                       .timer = "",
                                       .headers = &b->header,
                                       .n_headers = 1};
    b->action.kind = WORK_DO_RUN;
    b->action.run.actor = &b->actor;
    b->action.run.message = &b->message;
    b->action.run.request_id = "r";
    b->action.run.epoch = 9;
}

static void
teardown(struct bench *b)
{
    work_handler_free(b->handler);
    work_modules_free(b->modules);
    plex_arena_fini(&b->arena);
}

static void
run(struct bench *b, const char *payload)
{
    struct plex_err err;

    b->message.payload =
        (struct plex_bytes){(const uint8_t *)payload, strlen(payload)};
    work_handler_run(b->handler,
                     &(struct work_turn){.behaviour = b->behaviour,
                                         .run = &b->action,
                                         .wall_ms = 1234},
                     &b->outcome);
    ck_assert_int_eq(
        work_reply_unpack(b->outcome.reply, &b->arena, &b->reply, &err),
        PLEX_OK);
    ck_assert_int_eq(b->outcome.failed, b->reply.failed);
}

START_TEST(a_handler_sees_its_actor_and_message)
{
    struct bench b;
    static const char expected[] =
        "{\"self\":\"acme/default/kitchen/k\",\"id\":\"01ab\",\"method\":"
        "\"POST\",\"header\":\"yes\",\"ms\":1234,\"epoch\":9}";

    setup(&b);
    run(&b, "{\"do\":\"self\"}");
    ck_assert(!b.outcome.failed && !b.outcome.state_changed);
    ck_assert_uint_eq(b.reply.payload.len, strlen(expected));
    ck_assert_mem_eq(b.reply.payload.data, expected, strlen(expected));
    ck_assert_str_eq(b.reply.content_type, "application/json");
    ck_assert_uint_eq(b.reply.n_headers, 1);
    ck_assert_str_eq(b.reply.headers[0].value, "kitchen");
    teardown(&b);
}
END_TEST

START_TEST(messages_and_timers_are_handed_over_in_order)
{
    struct bench b;

    setup(&b);
    run(&b, "{\"do\":\"send\"}");
    ck_assert_uint_eq(b.outcome.n_outputs, 4);
    ck_assert_int_eq(b.outcome.outputs[0].kind, WORK_OUT_CAST);
    ck_assert_str_eq(b.outcome.outputs[0].key, "other");
    ck_assert_int_eq(b.outcome.outputs[1].kind, WORK_OUT_CALL);
    ck_assert_uint_eq(b.outcome.outputs[1].tag, 42);
    ck_assert_uint_eq(b.outcome.outputs[1].delay_ms, 1000);
    ck_assert_int_eq(b.outcome.outputs[2].kind, WORK_OUT_TIMER_SET);
    ck_assert_uint_eq(b.outcome.outputs[2].payload.len, 1);
    ck_assert_int_eq(b.outcome.outputs[3].kind, WORK_OUT_TIMER_CANCEL);
    ck_assert_str_eq(b.outcome.outputs[3].timer, "u");
    run(&b, "{\"do\":\"self\"}");
    ck_assert_uint_eq(b.outcome.n_outputs, 0);
    teardown(&b);
}
END_TEST

START_TEST(state_is_read_back_as_it_was_put)
{
    struct bench b;
    int64_t n = 0;

    setup(&b);
    run(&b, "{\"do\":\"put\",\"n\":\"-12\"}");
    ck_assert(b.outcome.state_changed);
    ck_assert_uint_eq(b.outcome.state.len, sizeof n);
    memcpy(&n, b.outcome.state.data, sizeof n);
    ck_assert_int_eq(n, -12);
    b.action.run.message = NULL; /* activated */
    run(&b, "");
    memcpy(&n, b.outcome.state.data, sizeof n);
    ck_assert_int_eq(n, 7);
    teardown(&b);
}
END_TEST

START_TEST(timers_and_replies_reach_their_callbacks)
{
    struct bench b;

    setup(&b);
    b.message.kind = WORK_TIMER;
    b.message.timer = "t";
    run(&b, "x");
    ck_assert_mem_eq(b.outcome.state.data, "timer", 5);
    b.message.kind = WORK_REPLY;
    b.message.tag = 42;
    b.message.reply_status = PLEX_TIMEOUT;
    run(&b, "");
    ck_assert_mem_eq(b.outcome.state.data, "reply", 5);
    teardown(&b);
}
END_TEST

START_TEST(a_refusal_is_a_problem_and_no_failure)
{
    struct bench b;

    setup(&b);
    run(&b, "{\"do\":\"refuse\"}");
    ck_assert(!b.outcome.failed);
    ck_assert_uint_eq(b.reply.http_status, 409);
    ck_assert_str_eq(b.reply.content_type, "application/problem+json");
    ck_assert_ptr_nonnull(strstr((const char *)b.reply.payload.data,
                                 "\"detail\":\"not \\\"today\\\"\""));
    run(&b, "{\"do\":\"long\"}");
    ck_assert_uint_eq(b.reply.payload.len, 2002);
    teardown(&b);
}
END_TEST

START_TEST(what_a_handler_must_not_do_fails_the_turn)
{
    static const char *const cases[][2] = {
        {"{\"do\":\"twice\"}", "replied twice"},
        {"{\"do\":\"split\"}", "header"},
        {"{\"do\":\"badkey\"}", "actor key"},
        {"{\"do\":\"badtime\"}", "timeout"},
        {"{\"do\":\"flood\"}", "1000 messages"},
        {"{\"do\":\"silent\"}", "without saying why"},
        {"{\"do\":\"put\",\"n\":1.5}", "n is no integer"},
        {"{\"do\":7}", "nothing to do"},
        {"[]", "nothing to do"},
        {"", "nothing to do"},
        {"{\"do\":\"self\"", "nothing to do"},
    };
    struct bench b;

    setup(&b);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        run(&b, cases[i][0]);
        ck_assert_msg(b.outcome.failed, "%s", cases[i][0]);
        ck_assert_msg(strstr(b.reply.error, cases[i][1]) != NULL, "%s: %s",
                      cases[i][0], b.reply.error);
    }
    teardown(&b);
}
END_TEST

START_TEST(bad_modules_are_refused_with_the_reason)
{
    static const struct {
        const char *module, *behaviour;
        enum plex_status status;
        const char *text;
    } cases[] = {
        {"../kitchen", "kitchen", PLEX_INVALID, "lower-case"},
        {"", "x", PLEX_INVALID, "module name"},
        {"absent", "x", PLEX_NOT_FOUND, "absent.so"},
        {"kitchen", "sink", PLEX_NOT_FOUND, "no behaviour \"sink\""},
        {"other_abi", "x", PLEX_UNSUPPORTED, "ABI 4"},
        {"no_table", "x", PLEX_UNSUPPORTED, "plex_module"},
        {"twice", "same", PLEX_INVALID, "twice"},
        {"mute", "mute", PLEX_INVALID, "neither"},
        {"text", "x", PLEX_UNSUPPORTED, "could not be loaded"},
        {"outside", "x", PLEX_DENIED, "out of the module folder"},
    };
    struct work_modules *modules = work_modules_create(module_dir());
    const struct plex_behaviour *behaviour;
    struct plex_err err;
    char path[4096];
    FILE *file;

    snprintf(path, sizeof path, "%s/text.so", module_dir());
    file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs("no shared object", file);
    fclose(file);
    snprintf(path, sizeof path, "%s/outside.so", module_dir());
    unlink(path);
    ck_assert_int_eq(symlink("/etc/passwd", path), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const enum plex_status status = work_modules_find(
            modules, cases[i].module, cases[i].behaviour, &behaviour, &err);

        ck_assert_msg(status == cases[i].status, "%s: %s", cases[i].module,
                      err.text);
        ck_assert_msg(strstr(err.text, cases[i].text) != NULL, "%s", err.text);
    }
    work_modules_free(modules);
}
END_TEST

START_TEST(integers_may_be_decimal_strings_and_nothing_else)
{
    static const struct {
        const char *json;
        int found;
        int64_t value;
    } cases[] = {
        {"{\"n\":5}", 1, 5},
        {"{\"n\":\"-9223372036854775808\"}", 1, INT64_MIN},
        {"{\"n\":9223372036854775807}", 1, INT64_MAX},
        {"{\"n\":9223372036854775808}", -1, 0},
        {"{\"n\":\"9223372036854775808\"}", -1, 0},
        {"{\"n\":\" 5\"}", -1, 0},
        {"{\"n\":\"5x\"}", -1, 0},
        {"{\"n\":\"\"}", -1, 0},
        {"{\"n\":true}", -1, 0},
        {"{\"m\":1}", 0, 0},
        {"{\"n\":1,\"n\":2}", -1, 0},
        {"nonsense", -1, 0},
        {"", 0, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct work_json json;
        int64_t value = 0;

        work_json_init(&json,
                       (struct plex_bytes){(const uint8_t *)cases[i].json,
                                           strlen(cases[i].json)});
        ck_assert_msg(work_json_int(&json, "n", &value) == cases[i].found, "%s",
                      cases[i].json);
        ck_assert_int_eq(value, cases[i].value);
        work_json_fini(&json);
    }
}
END_TEST

/* An edit; the HTTP status of its reply. */
static unsigned
edit(struct bench *b, const char *what, uint64_t tag, const char *state)
{
    b->message.kind = WORK_EDIT;
    b->message.method = what;
    b->message.tag = tag;
    run(b, state);
    return b->reply.http_status;
}

START_TEST(a_state_is_edited_without_a_callback)
{
    static const uint8_t before[8] = {7};
    struct bench b;

    setup(&b);
    ck_assert_uint_eq(edit(&b, WORK_EDIT_PUT, 0, "twelve b"), 409);
    ck_assert(!b.outcome.state_changed); /* the actor is not durable */
    b.action.run.durable = true;
    ck_assert_uint_lt(edit(&b, WORK_EDIT_PUT, 0, "twelve b"), 400);
    ck_assert(b.outcome.state_changed && !b.outcome.failed);
    ck_assert_mem_eq(b.outcome.state.data, "twelve b", 8);
    ck_assert_uint_eq(edit(&b, WORK_EDIT_KEEP, 0, ""), 409);
    b.action.run.has_state = true;
    b.action.run.state = (struct plex_bytes){before, sizeof before};
    ck_assert_uint_eq(edit(&b, WORK_EDIT_CREATE, 0, "twelve b"), 409);
    ck_assert(!b.outcome.state_changed);
    ck_assert_uint_eq(edit(&b, WORK_EDIT_PUT, 1000, "twelve b"), 409);
    ck_assert(!b.outcome.state_changed); /* of a newer schema */
    ck_assert_uint_lt(edit(&b, WORK_EDIT_KEEP, 0, ""), 400);
    ck_assert_mem_eq(b.outcome.state.data, before, sizeof before);
    ck_assert_uint_lt(edit(&b, WORK_EDIT_FORGET, 0, ""), 400);
    ck_assert(b.outcome.state_changed);
    ck_assert_uint_eq(b.outcome.state.len, 0);
    ck_assert_uint_eq(edit(&b, "melt", 0, ""), 409);
    teardown(&b);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("worker handler");
    TCase *tests = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_test(tests, a_handler_sees_its_actor_and_message);
    tcase_add_test(tests, messages_and_timers_are_handed_over_in_order);
    tcase_add_test(tests, state_is_read_back_as_it_was_put);
    tcase_add_test(tests, a_state_is_edited_without_a_callback);
    tcase_add_test(tests, timers_and_replies_reach_their_callbacks);
    tcase_add_test(tests, a_refusal_is_a_problem_and_no_failure);
    tcase_add_test(tests, what_a_handler_must_not_do_fails_the_turn);
    tcase_add_test(tests, bad_modules_are_refused_with_the_reason);
    tcase_add_test(tests, integers_may_be_decimal_strings_and_nothing_else);
    suite_add_tcase(suite, tests);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
