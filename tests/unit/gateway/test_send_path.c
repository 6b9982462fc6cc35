/* SendMessage: what a message says, to whom, and which are refused. */
#include "sdk/c/include/plexspaces/runtime.h"
#include "services/gateway/parse.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct gate_rules rules = {"default", 30000, 3600000};
static struct plex_arena arena;
static struct gate_request request;
static struct gate_problem problem;

static void
setup(void)
{
    plex_arena_init(&arena, GATE_PARSE_ARENA);
}

static void
teardown(void)
{
    plex_arena_fini(&arena);
}

static bool
sent(const char *path, const char *body)
{
    struct gate_input input = {.method = "POST",
                               .path = path,
                               .query = "",
                               .body = {(const uint8_t *)body, strlen(body)},
                               .now_ns = 5000000};
    char allow[GATE_ALLOW_MAX];
    struct gate_vars vars;

    memcpy(input.id, "0123456789abcdef", 16);
    plex_arena_reset(&arena);
    problem = (struct gate_problem){0};
    input.vars = &vars;
    input.route = gate_route_find(gate_routes, "POST", path, &vars, allow);
    ck_assert_ptr_nonnull(input.route);
    return gate_parse(&rules, &input, &arena, &request, &problem);
}

#define A "/api/v1/actors/"
#define P "/api/v1/processes/"
#define EMPTY "{\"message\":{}}"
static const struct {
    const char *path, *body, *ns, *type, *key, *process;
} whom[] = {
    {A "cart%2Fann/messages", EMPTY, "default", "cart", "ann", NULL},
    {A "shop%2Fcart%2Fann/messages", EMPTY, "shop", "cart", "ann", NULL},
    {A "default%2Fshop%2Fcart%2Fann/messages", EMPTY, "shop", "cart", "ann",
     NULL},
    {A "cart%2Fann/messages", "{\"message\":{},\"namespace\":\"shop\"}", "shop",
     "cart", "ann", NULL},
    {A "cart%2Fann/messages", "{\"message\":{\"receiverId\":\"cart/ann\"}}",
     "default", "cart", "ann", NULL},
    {A "bob@worker-2/messages", EMPTY, "default", "process", "-",
     "bob@worker-2"},
    {A "%3C1.2.3%3E/messages", EMPTY, "default", "process", "-", "<1.2.3>"},
    {P "chat%2Ffar%2Fbob/messages", "{\"message\":{},\"namespace\":\"n\"}", "n",
     "process", "-", "chat/far/bob"},
    {P "bob/messages", EMPTY, "default", "process", "-", "bob"},
};

START_TEST(a_path_names_the_receiver)
{
    const struct plex_actor_id *to = &request.message.to;

    ck_assert_msg(sent(whom[_i].path, whom[_i].body), "%s", problem.detail);
    ck_assert(request.sends);
    ck_assert_str_eq(to->tenant, "default");
    ck_assert_str_eq(to->ns, whom[_i].ns);
    ck_assert_str_eq(to->type, whom[_i].type);
    ck_assert_str_eq(to->key, whom[_i].key);
    ck_assert_pstr_eq(request.send.process, whom[_i].process);
}
END_TEST

/* Of what, waited for? */
static const struct {
    const char *path, *body;
    enum work_kind kind;
    uint32_t process_kind;
    const char *timer;
} kinds[] = {
    {A "c%2Fa/messages", "{\"message\":{\"json\":1}}", WORK_CAST, PLEX_MSG_CAST,
     ""},
    {A "c%2Fa/messages", "{\"message\":{},\"waitForResponse\":true}", WORK_CALL,
     PLEX_MSG_CALL, ""},
    {A "c%2Fa/messages", "{\"message\":{\"message_type\":\"info\"}}", WORK_INFO,
     PLEX_MSG_INFO, ""},
    {P "c/messages", "{\"message\":{\"message_type\":\"info\"}}", WORK_CAST,
     PLEX_MSG_INFO, ""},
    {A "c%2Fa/messages",
     "{\"message\":{\"message_type\":\"workflow_signal:go on\"}}", WORK_RESOLVE,
     PLEX_MSG_CAST, "signal:go on"},
};

START_TEST(its_type_says_how_it_comes)
{
    ck_assert_msg(sent(kinds[_i].path, kinds[_i].body), "%s", problem.detail);
    ck_assert_int_eq(request.message.kind, kinds[_i].kind);
    ck_assert_uint_eq(request.message.process_kind, kinds[_i].process_kind);
    ck_assert_str_eq(request.message.timer, kinds[_i].timer);
}
END_TEST

static const struct {
    const char *priority;
    enum plex_priority band;
} bands[] = {
    {"", PLEX_PRIORITY_NORMAL},
    {"\"priority\":0,", PLEX_PRIORITY_LOW},
    {"\"priority\":24,", PLEX_PRIORITY_LOW},
    {"\"priority\":25,", PLEX_PRIORITY_NORMAL},
    {"\"priority\":50,", PLEX_PRIORITY_HIGH},
    {"\"priority\":75,", PLEX_PRIORITY_SYSTEM},
    {"\"priority\":100,", PLEX_PRIORITY_SYSTEM},
};

START_TEST(a_priority_is_a_band_of_the_mailbox)
{
    char body[200];

    (void)snprintf(body, sizeof body, "{\"message\":{%s\"ttl_ms\":70}}",
                   bands[_i].priority);
    ck_assert_msg(sent(P "c/messages", body), "%s", problem.detail);
    ck_assert_uint_eq(request.message.tag, bands[_i].band);
    ck_assert_uint_eq(request.message.ttl_ms, 70);
}
END_TEST

START_TEST(what_is_said_arrives)
{
    const struct work_message *m = &request.message;

    ck_assert_msg(sent(A "c%2Fa/messages",
                       "{\"message\":{\"id\":\"m\",\"sender_id\":\"me\","
                       "\"message_type\":\"greet\",\"json\":{\"b\":[1]},"
                       "\"headers\":{\"X-A\":\"b\"},\"uri_path\":\"/x\","
                       "\"uri_method\":\"PUT\"},\"timeout_ms\":7}"),
                  "%s", problem.detail);
    ck_assert_mem_eq(m->payload.data, "{\"b\":[1]}", 9);
    ck_assert_uint_eq(m->payload.len, 9);
    ck_assert_str_eq(m->content_type, "application/json");
    ck_assert_str_eq(m->path, "/x");
    ck_assert_str_eq(m->method, "PUT");
    ck_assert_uint_eq(m->n_headers, 3);
    ck_assert_str_eq(m->headers[0].name, "X-A");
    ck_assert_str_eq(m->headers[1].name, "sender-id");
    ck_assert_str_eq(m->headers[2].value, "greet");
    ck_assert(m->keyed); /* by its id */
    ck_assert_str_eq(request.send.id, "m");
    ck_assert_uint_eq(request.context.deadline, 5000000 + 7000000);
    ck_assert(sent(A "c%2Fa/messages", "{\"message\":{\"payload\":\"AAE=\"}}"));
    ck_assert_mem_eq(m->payload.data, "\0\1", 2);
    ck_assert_str_eq(m->content_type, "application/octet-stream");
    ck_assert(!m->keyed);
    ck_assert(sent(A "c%2Fa/messages", "{\"message\":{\"json\":null}}"));
    ck_assert_mem_eq(m->payload.data, "null", 4);
}
END_TEST

static const struct {
    const char *path, *body, *detail;
    unsigned status;
} bad[] = {
    {A "c%2Fa/messages", "", "no JSON", 400},
    {A "c%2Fa/messages", "[]", "with a message", 400},
    {A "c%2Fa/messages", "{\"message\":1}", "with a message", 400},
    {A "c%2Fa/messages", "{\"message\":{},\"wait\":true}", "wait", 400},
    {A "c%2Fa/messages", "{\"message\":{},\"namespace\":\"A\"}", "namespace",
     400},
    {A "C%2Fa/messages", EMPTY, "type", 400},
    {A "a%2Fb%2Fc%2Fd%2Fe/messages", EMPTY, "", 400},
    {A "x%2Fy%2Fc%2Fa/messages", EMPTY, "tenant", 403},
    {P "%FF/messages", EMPTY, "UTF-8", 400},
    {A "c%2Fa/messages", "{\"message\":{\"message_type\":\"workflow_run\"}}",
     "/api/v1/workflows", 400},
    {P "c/messages", "{\"message\":{\"message_type\":\"workflow_signal:a\"}}",
     "virtual actor", 400},
    {A "c%2Fa/messages", "{\"message\":{\"uri_method\":\"A B\"}}", "uri_method",
     400},
    {A "c%2Fa/messages", "{\"message\":{\"headers\":{\"a b\":\"\"}}}", "header",
     400},
    {A "c%2Fa/messages", "{\"message\":{\"sender_id\":\"a\\nb\"}}", "sender_id",
     400},
    {A "c%2Fa/messages", "{\"message\":{\"id\":\"\\u00fc\"}}", "ASCII", 400},
};

START_TEST(what_is_no_message_is_refused)
{
    ck_assert(!sent(bad[_i].path, bad[_i].body));
    ck_assert_msg(problem.status == bad[_i].status, "%u: %s", problem.status,
                  problem.detail);
    ck_assert_msg(strstr(problem.detail, bad[_i].detail) != NULL, "%s",
                  problem.detail);
}
END_TEST

START_TEST(texts_have_their_lengths)
{
    static const struct {
        const char *field;
        size_t max;
    } fields[] = {{"id", 255},           {"sender_id", 512},
                  {"message_type", 128}, {"idempotency_key", 255},
                  {"uri_method", 16},    {"uri_path", 4096}};
    char body[5000];

    for (size_t more = 0; more < 2; more++) {
        size_t len =
            (size_t)sprintf(body, "{\"message\":{\"%s\":\"", fields[_i].field);

        memset(body + len, 'a', fields[_i].max + more);
        (void)strcpy(body + len + fields[_i].max + more, "\"}}");
        ck_assert_msg(sent(A "c%2Fa/messages", body) == (more == 0), "%s: %s",
                      fields[_i].field, problem.detail);
    }
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("send_path");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, a_path_names_the_receiver, 0,
                        sizeof whom / sizeof *whom);
    tcase_add_loop_test(tcase, its_type_says_how_it_comes, 0,
                        sizeof kinds / sizeof *kinds);
    tcase_add_loop_test(tcase, a_priority_is_a_band_of_the_mailbox, 0,
                        sizeof bands / sizeof *bands);
    tcase_add_test(tcase, what_is_said_arrives);
    tcase_add_loop_test(tcase, what_is_no_message_is_refused, 0,
                        sizeof bad / sizeof *bad);
    tcase_add_loop_test(tcase, texts_have_their_lengths, 0, 6);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
