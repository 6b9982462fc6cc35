#include "runtime/http.h"
#include "tests/unit/runtime/nodes.h"

#include "sdk/c/include/plexspaces/process.h"

/* Processes that answer HTTP. */

static struct plex_ref web, other; /* on node 1, on node 2 */
static struct plex_from owed;

static void
say_request(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *header = plex_header(ctx, "X-COLOUR");

    node_say("%s %s|%s|%s|%s|%s|%.*s;", msg->method, msg->path, msg->subpath,
             msg->query, msg->content_type, header == NULL ? "none" : header,
             (int)msg->len, (const char *)msg->payload);
}

static bool
is(const struct plex_msg *msg, const char *text)
{
    return msg->len == strlen(text) &&
           memcmp(msg->payload, text, msg->len) == 0;
}

static void
many_headers(struct plex_ctx *ctx, int n)
{
    for (int i = 0; i < n; i++)
        plex_reply_header(ctx, "X-N", "v");
}

static int
web_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    say_request(ctx, msg);
    if (is(msg, "plain")) {
        plex_reply_json(ctx, "{}");
    } else if (is(msg, "page")) {
        plex_reply_header(ctx, "X-First", "1");
        plex_reply_status(ctx, 201, "image/png", "png", 3);
        plex_reply_header(ctx, "X-Second", "2");
    } else if (is(msg, "only")) {
        plex_reply_header(ctx, "X-Only", "1");
    } else if (is(msg, "bad header")) {
        plex_reply_header(ctx, "X:", "1");
    } else if (is(msg, "bad value")) {
        plex_reply_header(ctx, "X", "a\r\nb");
    } else if (is(msg, "bad status")) {
        plex_reply_status(ctx, 99, "text/plain", "", 0);
    } else if (is(msg, "32")) {
        many_headers(ctx, 32);
    } else if (is(msg, "33")) {
        many_headers(ctx, 33);
    } else if (is(msg, "later")) {
        owed = plex_reply_later(ctx);
    } else if (is(msg, "forward") &&
               strcmp(plex_self(ctx, NULL, NULL, NULL), "web") == 0) {
        ck_assert_int_eq(plex_forward(ctx, plex_whereis(ctx, "other@n2")), 0);
    } else if (is(msg, "refuse")) {
        plex_reply_problem(ctx, 404, "no such page");
    }
    return 0;
}

static int
web_cast(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    say_request(ctx, msg);
    return 0;
}

static int
web_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    static const char *const headers[] = {"X-Late", "yes", NULL};
    static const char *const bad[] = {"X Late", "yes", NULL};
    struct plex_http_answer answer = {.status = 202,
                                      .content_type = "text/csv",
                                      .headers = bad,
                                      .payload = "a,b",
                                      .len = 3};

    if (msg->tag != 5) {
        say_request(ctx, msg);
        return 0;
    }
    node_say("%d", plex_answer_http(ctx, &owed, &answer));
    answer.headers = headers;
    node_say("%d", plex_answer_http(ctx, &owed, &answer));
    node_say("%d;", plex_answer_http(ctx, &owed, &answer));
    return 0;
}

static const struct plex_behaviour web_behaviour = {
    .name = "web",
    .handle_call = web_call,
    .handle_cast = web_cast,
    .handle_info = web_info,
};

static void
setup(void)
{
    const struct plex_spawn how = {.behaviour = &web_behaviour, .name = "web"};
    const struct plex_spawn two = {.behaviour = &web_behaviour,
                                   .name = "other"};

    node_setup();
    ck_assert_int_eq(rt_spawn(node_rt[0], node_where, &how, NULL, NULL, &web),
                     0);
    ck_assert_int_eq(rt_spawn(node_rt[1], node_where, &two, NULL, NULL, &other),
                     0);
    node_run_ms(0);
}

static struct plex_post
post_of(const char *body, uint32_t kind)
{
    static const char *const headers[] = {"x-colour", "red", "X-Other", ""};
    const struct rt_http_parts parts = {.method = "POST",
                                        .path = "/a/b",
                                        .subpath = "b",
                                        .query = "q=1",
                                        .content_type = "text/x-test",
                                        .headers = headers,
                                        .n_headers = 2,
                                        .body = body,
                                        .len = strlen(body)};
    struct plex_post post = {.kind = kind};

    ck_assert(rt_http_post(&parts, &post));
    return post;
}

static void
answered(void *arg, int status, const struct plex_msg *answer)
{
    const struct rt_http *http = status == 0 ? rt_http_answer(answer) : NULL;
    const char *name, *value;

    (void)arg;
    node_say("=%d", status);
    if (status == 0)
        node_say(" %u %s %.*s", (unsigned)answer->tag, answer->content_type,
                 (int)answer->len, (const char *)answer->payload);
    for (size_t i = 0;
         http != NULL && i < 3 && rt_http_header_at(http, i, &name, &value);
         i++)
        node_say(" %s:%s", name, value);
    node_say(";");
}

static void
call(struct plex_ref to, const char *body)
{
    const struct plex_post post = post_of(body, PLEX_MSG_CALL);

    rt_call(node_rt[0], to, &post, 1000, answered, NULL);
    node_run_ms(1);
}

#define SEEN(body) "POST /a/b|b|q=1|text/x-test|red|" body ";"

START_TEST(a_process_sees_all_of_a_request)
{
    const struct plex_post post = post_of("hello", PLEX_MSG_CAST);

    call(web, "plain");
    ck_assert_str_eq(node_said, SEEN("plain") "=0 200 application/json {};");
    node_said[0] = '\0';
    ck_assert_int_eq(rt_send(node_rt[0], web, &post), 0);
    node_run_ms(1);
    ck_assert_str_eq(node_said, SEEN("hello"));
}
END_TEST

static void
send_plain(struct plex_ctx *ctx)
{
    plex_send(ctx, plex_whereis(ctx, "web"), 1, "x", 1);
}

START_TEST(what_comes_next_has_nothing_of_it)
{
    call(web, "plain");
    node_said[0] = '\0';
    node_tell(0, node_a, send_plain);
    node_run_ms(1);
    ck_assert_str_eq(node_said, " |||application/octet-stream|none|x;");
}
END_TEST

START_TEST(it_answers_with_a_status_any_type_and_headers)
{
    call(web, "page");
    ck_assert_str_eq(node_said,
                     SEEN("page") "=0 201 image/png png X-First:1 X-Second:2;");
    node_said[0] = '\0';
    call(web, "only");
    ck_assert_str_eq(node_said, SEEN("only") "=0 0   X-Only:1;");
    node_said[0] = '\0';
    call(web, "refuse");
    ck_assert(strstr(node_said, "=0 404 application/problem+json {") != NULL);
    ck_assert(strstr(node_said, "\"detail\":\"no such page\"") != NULL);
}
END_TEST

START_TEST(what_http_does_not_allow_is_a_failure)
{
    static const char *const bodies[] = {"bad header", "bad value",
                                         "bad status", "33"};
    const struct plex_spawn how = {.behaviour = &web_behaviour};

    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        ck_assert_int_eq(
            rt_spawn(node_rt[0], node_where, &how, NULL, NULL, &web), 0);
        node_said[0] = '\0';
        call(web, bodies[i]);
        ck_assert_msg(strstr(node_said, "=-16;") != NULL, "%s: %s", bodies[i],
                      node_said);
    }
    ck_assert_int_eq(rt_spawn(node_rt[0], node_where, &how, NULL, NULL, &web),
                     0);
    call(web, "32");
    ck_assert(strstr(node_said, "=0 0   X-N:v X-N:v X-N:v;") != NULL);
}
END_TEST

START_TEST(a_process_of_another_node_sees_and_answers_the_same)
{
    call(other, "page");
    ck_assert_str_eq(node_said,
                     SEEN("page") "=0 201 image/png png X-First:1 X-Second:2;");
}
END_TEST

START_TEST(it_may_answer_later)
{
    const struct plex_post go = {.kind = PLEX_MSG_INFO, .tag = 5};

    call(web, "later");
    ck_assert_str_eq(node_said, SEEN("later"));
    ck_assert_int_eq(rt_send(node_rt[0], web, &go), 0);
    node_run_ms(1);
    ck_assert_str_eq(node_said,
                     SEEN("later") "-10-3;=0 202 text/csv a,b X-Late:yes;");
}
END_TEST

START_TEST(a_request_is_forwarded_whole)
{
    call(web, "forward");
    ck_assert_str_eq(node_said,
                     SEEN("forward")
                         SEEN("forward") "=0 0 application/octet-stream ;");
}
END_TEST

START_TEST(nobody_is_an_error)
{
    call((struct plex_ref){0, 0}, "x");
    ck_assert_str_eq(node_said, "=-2;");
    node_said[0] = '\0';
    rt_exit(node_rt[0], web, "kill");
    node_run_ms(1);
    call(web, "x");
    ck_assert_str_eq(node_said, "=-2;");
}
END_TEST

static int
ask_web_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    (void)msg;
    plex_reply_status(ctx, 200, "image/png", "png", 3);
    plex_reply_header(ctx, "X", "y");
    return 0;
}

static const struct plex_behaviour drawing = {.name = "drawing",
                                              .handle_call = ask_web_call};
static struct plex_ref drawer;

static void
ask_drawer(struct plex_ctx *ctx)
{
    struct plex_msg answer;

    node_say("%d ", plex_ask(ctx, drawer, 0, "", 0, 0, &answer));
    node_say("%.*s;", (int)answer.len, (const char *)answer.payload);
}

START_TEST(a_process_that_asks_gets_the_payload)
{
    const struct plex_spawn how = {.behaviour = &drawing};

    ck_assert_int_eq(
        rt_spawn(node_rt[0], node_where, &how, NULL, NULL, &drawer), 0);
    node_tell(0, node_a, ask_drawer);
    node_run_ms(1);
    ck_assert_str_eq(node_said, "0 png;");
}
END_TEST

START_TEST(bytes_of_another_node_are_checked)
{
    const struct plex_post post = post_of("body", PLEX_MSG_CALL);
    struct plex_post read;
    size_t len;
    const void *sent =
        rt_http_bytes(rt_http_behind(post.payload, post.len), &len);
    uint8_t *bytes = malloc(len);

    memcpy(bytes, sent, len);
    ck_assert(rt_http_read(bytes, len, &read));
    ck_assert_uint_eq(read.len, 4);
    ck_assert_mem_eq(read.payload, "body", 4);
    read.release((void *)(uintptr_t)read.payload, read.len);
    for (size_t n = 0; n < len; n++)
        ck_assert(!rt_http_read(bytes, n, &read));
    bytes[0]++; /* a header that is not there */
    ck_assert(!rt_http_read(bytes, len, &read));
    bytes[0] = 0xff;
    bytes[1] = 0xff;
    ck_assert(!rt_http_read(bytes, len, &read));
    free(bytes);
    post.release((void *)(uintptr_t)post.payload, post.len);
}
END_TEST

START_TEST(texts_without_bounds_are_refused)
{
    char *text = malloc(RT_HTTP_TEXT_MAX + 1);
    const struct rt_http_parts parts = {.query = text};
    struct plex_post post;

    memset(text, 'x', RT_HTTP_TEXT_MAX);
    text[RT_HTTP_TEXT_MAX] = '\0';
    ck_assert(!rt_http_post(&parts, &post));
    free(text);
}
END_TEST

int
main(void)
{
    Suite *s = suite_create("http");
    TCase *c = tcase_create("processes");
    SRunner *runner;
    int failed;

    tcase_add_checked_fixture(c, setup, node_teardown);
    tcase_add_test(c, a_process_sees_all_of_a_request);
    tcase_add_test(c, what_comes_next_has_nothing_of_it);
    tcase_add_test(c, it_answers_with_a_status_any_type_and_headers);
    tcase_add_test(c, what_http_does_not_allow_is_a_failure);
    tcase_add_test(c, a_process_of_another_node_sees_and_answers_the_same);
    tcase_add_test(c, it_may_answer_later);
    tcase_add_test(c, a_request_is_forwarded_whole);
    tcase_add_test(c, nobody_is_an_error);
    tcase_add_test(c, a_process_that_asks_gets_the_payload);
    tcase_add_test(c, bytes_of_another_node_are_checked);
    tcase_add_test(c, texts_without_bounds_are_refused);
    suite_add_tcase(s, c);
    runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
