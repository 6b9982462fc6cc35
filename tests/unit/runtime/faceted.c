/* A facet and a process for tests, which say what happens to them. */
#include "tests/unit/runtime/faceted.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

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
const struct rt_facet_types faceted_types = {&module, 1};

/* -- a process ---------------------------------------------------------------
 */

int
faceted_act(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct faceted_memory *memory = plex_data(ctx);
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

const struct plex_behaviour faceted_plain = {
    .name = "plain",
    .init = begin,
    .handle_call = faceted_act,
    .handle_cast = faceted_act,
    .handle_info = faceted_act,
    .handle_timer = named,
    .terminate = last,
    .data_size = sizeof(struct faceted_memory),
    .trap_exit = true,
};

/* -- playing -----------------------------------------------------------------
 */

static struct rt_faceted faceted;
static struct rt_facet_plan *plan;

const char *
said(void)
{
    static char copy[sizeof stage.trace];

    memcpy(copy, stage.trace, sizeof copy);
    stage.trace[0] = '\0';
    return copy;
}

const struct rt_facet_plan *
faceted_plan(const char *config)
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
    ck_assert_msg(rt_facet_plan_create(&faceted_types, &spec, 1, &plan, &err) ==
                      PLEX_OK,
                  "%s", err.text);
    return plan;
}

struct plex_ref
faceted_start(const struct plex_behaviour *behaviour, const char *config,
              const char *args)
{
    struct plex_err err = {0};

    ck_assert(rt_faceted_init(&faceted, behaviour, faceted_plan(config),
                              &faceted_types, &err) == PLEX_OK);
    return stage_spawn(&faceted.is, "p", args);
}

void
faceted_open(void)
{
    stage_open(1);
}

void
faceted_close(void)
{
    stage_close();
    rt_facet_plan_free(plan);
    plan = NULL;
}
