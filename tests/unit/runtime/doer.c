#include "tests/unit/runtime/doer.h"

struct plex_ref a, b;
struct rt *rt;
uint64_t now;
char said[65536];

void
say(const char *fmt, ...)
{
    size_t len = strlen(said);
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(said + len, sizeof said - len, fmt, args);
    va_end(args);
}

void
setup_with(struct rt_config config)
{
    struct plex_err err;

    config.node = 77;
    config.node_id = "here";
    now = 1000000000;
    said[0] = '\0';
    ck_assert_int_eq(rt_create(&config, &rt, &err), PLEX_OK);
}

void
setup(void)
{
    setup_with((struct rt_config){.seed = 1});
}

void
teardown(void)
{
    rt_stop(rt);
    rt_free(rt);
}

void
run_ms(uint64_t ms)
{
    uint64_t end = now + ms * 1000000;

    for (;;) {
        uint64_t due;

        while (rt_step(rt, now, 1000 + now / 1000000, 1000) > 0) {
        }
        due = rt_due_ns(rt);
        if (due > end)
            break;
        now = due > now ? due : now;
    }
    now = end;
    (void)rt_step(rt, now, 1000 + now / 1000000, 1000000);
}

const char *
me(struct plex_ctx *ctx)
{
    const char *name = plex_self(ctx, NULL, NULL, NULL);

    return name[0] != '\0' ? name : "?";
}

static int
doer_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    (void)args, (void)len;
    if (len > 0 && strcmp(args, "refuse") == 0)
        return plex_fail(ctx, "will not");
    return 0;
}

static int
doer_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    deed_fn deed;

    if (msg->kind == PLEX_MSG_INFO && msg->tag == TAG_DO) {
        memcpy(&deed, msg->payload, sizeof deed);
        deed(ctx);
        return 0;
    }
    if (msg->kind == PLEX_MSG_INFO && msg->tag == TAG_STOP)
        return plex_fail(ctx, "crash");
    say("%s:%s%llu%s;", me(ctx),
        (const char *[]){"", "", "cast", "info", "exit", "down", "timer",
                         "group"}[msg->kind],
        msg->kind == PLEX_MSG_DOWN ? 0ull : (unsigned long long)msg->tag,
        msg->reason);
    return 0;
}

static int
doer_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct doer *data = plex_data(ctx);

    say("%s:call%llu;", me(ctx), (unsigned long long)msg->tag);
    if (msg->tag == 13)
        return plex_fail(ctx, "unlucky");
    if (msg->tag == 14) { /* never answers */
        (void)plex_reply_later(ctx);
        return 0;
    }
    if (msg->tag == 15) {
        ck_assert_int_eq(ctx->process->forward(ctx, data->peer), 0);
        return 0;
    }
    plex_reply_json(ctx, "%llu", (unsigned long long)msg->tag * 2);
    return 0;
}

static int
doer_reply(struct plex_ctx *ctx, uint64_t tag, enum plex_result_status status,
           const void *payload, size_t len)
{
    say("%s:reply%llu/%d%.*s;", me(ctx), (unsigned long long)tag, (int)status,
        status == PLEX_CALL_OK ? (int)len : 0, (const char *)payload);
    return 0;
}

static void
doer_terminate(struct plex_ctx *ctx, const char *reason)
{
    say("%s:end(%s);", me(ctx), reason);
}

static int
doer_timer(struct plex_ctx *ctx, const char *timer, const void *payload,
           size_t len)
{
    say("%s:%s(%.*s);", me(ctx), timer, (int)len, (const char *)payload);
    return 0;
}

const struct plex_behaviour doer = {
    .name = "doer",
    .init = doer_init,
    .handle_call = doer_call,
    .handle_cast = doer_info,
    .handle_info = doer_info,
    .handle_reply = doer_reply,
    .handle_timer = doer_timer,
    .terminate = doer_terminate,
    .data_size = sizeof(struct doer),
};
const struct plex_behaviour trapper = {
    .name = "trapper",
    .init = doer_init,
    .handle_call = doer_call,
    .handle_info = doer_info,
    .terminate = doer_terminate,
    .data_size = sizeof(struct doer),
    .trap_exit = true,
};

struct plex_ref
start(const struct plex_behaviour *behaviour, const char *name)
{
    const struct plex_spawn how = {.behaviour = behaviour, .name = name};
    struct plex_ref ref;

    ck_assert_int_eq(
        rt_spawn(rt, (struct rt_where){"t", "n"}, &how, NULL, NULL, &ref), 0);
    return ref;
}

void
tell(struct plex_ref who, deed_fn deed)
{
    const struct plex_post post = {.kind = PLEX_MSG_INFO,
                                   .tag = TAG_DO,
                                   .payload = &deed,
                                   .len = sizeof deed};

    ck_assert_int_eq(rt_send(rt, who, &post), 0);
}

void
crash(struct plex_ref who)
{
    const struct plex_post post = {.kind = PLEX_MSG_INFO, .tag = TAG_STOP};

    ck_assert_int_eq(rt_send(rt, who, &post), 0);
}

void
ask_tag(struct plex_ctx *ctx, uint64_t tag)
{
    struct plex_msg answer;
    int status = plex_ask(ctx, b, tag, NULL, 0, 100, &answer);

    say("%s:ask=%d(%.*s%s);", me(ctx), status, (int)answer.len,
        (const char *)answer.payload, answer.reason);
}

void
send_tags(uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i <= to; i++) {
        const struct plex_post post = {.kind = PLEX_MSG_INFO, .tag = i};

        ck_assert_int_eq(rt_send(rt, a, &post), 0);
    }
}

int
play(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    int failed;

    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
