#include "sdk/c/include/plexspaces/event.h"
#include "tests/unit/runtime/puppet.h"

/* gen_event: a manager m, handlers that say what they get, and a process u
 * that adds and removes them. Events: tag 1 is said, 2 fails the handler called
 * "bad", 3 makes the handler "quits" leave. */

struct handler {
    char id[16];
    int seen;
};

static int
loud_init(struct plex_ctx *ctx, void *data, const void *args, size_t len)
{
    struct handler *own = data;
    const struct handler *before = args;

    (void)ctx;
    if (len == sizeof *own)
        own->seen = before->seen;
    return 0;
}
static int
bad_start(struct plex_ctx *ctx, void *data, const void *args, size_t len)
{
    (void)data;
    (void)args;
    (void)len;
    return plex_fail(ctx, "no");
}

static int
said(struct plex_ctx *ctx, void *data, const struct plex_msg *msg,
     const char *name)
{
    struct handler *own = data;

    own->seen++;
    say("%s%s%lu", name, msg->kind == PLEX_MSG_INFO ? "<" : ":",
        (unsigned long)msg->tag);
    if (msg->tag == 2 && strcmp(name, "bad") == 0)
        return plex_fail(ctx, "broken");
    if (msg->tag == 3 && strcmp(name, "quits") == 0)
        plex_exit_self(ctx, "enough");
    return 0;
}

#define HANDLER(name)                                                 \
    static int name##_event(struct plex_ctx *ctx, void *data,         \
                            const struct plex_msg *msg)               \
    {                                                                 \
        return said(ctx, data, msg, #name);                           \
    }                                                                 \
    static int name##_call(struct plex_ctx *ctx, void *data,          \
                           const struct plex_msg *msg)                \
    {                                                                 \
        char text[64];                                                \
        int len = snprintf(text, sizeof text, #name "%d(%s)",         \
                           ((struct handler *)data)->seen,            \
                           (const char *)msg->payload);               \
        if (msg->tag == 9)                                            \
            return plex_fail(ctx, "cannot");                          \
        plex_reply(ctx, "text/plain", text, (size_t)len + 1);         \
        return 0;                                                     \
    }                                                                 \
    static void name##_end(struct plex_ctx *ctx, void *data,          \
                           const char *reason)                        \
    {                                                                 \
        (void)ctx;                                                    \
        say(#name "!%s(%d)", reason, ((struct handler *)data)->seen); \
    }
HANDLER(x)
HANDLER(y)
HANDLER(bad)
HANDLER(quits)

#define ROW(name)                                                            \
    {                                                                        \
#name, sizeof(struct handler), loud_init, name##_event, name##_call, \
            name##_event, name##_end                                         \
    }
static const struct plex_event_handler handlers[] = {
    ROW(x),
    ROW(y),
    ROW(bad),
    ROW(quits),
    {"refuses", 0, bad_start, NULL, NULL, NULL, NULL},
    {0},
};
static const char *const initial[] = {"x", "y", NULL};
static const struct plex_event_manager empty_manager = {handlers, NULL};
static const struct plex_event_manager full_manager = {handlers, initial};
static const struct plex_behaviour empty = {.name = "empty",
                                            .events = &empty_manager};
static const struct plex_behaviour full = {.name = "full",
                                           .events = &full_manager};

static void
say_which(struct plex_ctx *ctx, struct plex_ref m, int *status)
{
    struct plex_msg answer;
    const char *at, *end;

    *status = plex_event_which(ctx, m, &answer);
    if (*status < 0)
        return;
    say("%d", *status);
    for (at = answer.payload, end = at + answer.len; at < end;
         at += strlen(at) + 1)
        say("%s", at);
    *status = 0;
}

/* u: "add x ID", "addsup x ID", "addwith x N", "remove ID", "swap ID y ID",
 * "swapsup ID y ID", "ask ID TAG", "which", "sync TAG" */
static int
user_cast(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const struct plex_ref m = puppet_ref("m");
    char verb[16] = "", one[16] = "", two[16] = "", three[16] = "";
    struct plex_msg answer;
    int status;

    (void)sscanf(msg->payload, "%15s %15s %15s %15s", verb, one, two, three);
    if (strcmp(verb, "addwith") == 0) {
        const struct handler args = {"", atoi(two)};
        const struct plex_event_request with = {.verb = PLEX_EVENT_ADD,
                                                .handler = one,
                                                .args = &args,
                                                .len = sizeof args};

        status = plex_event_request(ctx, m, &with, NULL);
    } else if (strcmp(verb, "which") == 0)
        say_which(ctx, m, &status);
    else if (strcmp(verb, "sync") == 0) {
        status = plex_event_sync(ctx, m, strtoull(one, NULL, 10), "q", 2, 1000);
        say("synced");
    } else if (strcmp(verb, "swapsup") == 0)
        status = plex_event_swap_supervised(ctx, m, one, two, three);
    else if (strncmp(verb, "add", 3) == 0)
        status = plex_event_add(ctx, m, one, *two == '\0' ? NULL : two,
                                strcmp(verb, "addsup") == 0);
    else if (strcmp(verb, "remove") == 0)
        status = plex_event_remove(ctx, m, one);
    else if (strcmp(verb, "swap") == 0)
        status = plex_event_swap(ctx, m, one, two, three);
    else if (strcmp(verb, "ask") == 0) {
        status = plex_event_call(ctx, m, one, strtoull(two, NULL, 10), "q", 2,
                                 1000, &answer);
        if (status == 0)
            say("=%s", (const char *)answer.payload);
    } else {
        plex_exit_self(ctx, one);
        status = 0;
    }
    if (status != 0)
        say("%s", plex_status_name((enum plex_status) - status));
    return 0;
}
static int
user_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *id = msg->payload;

    (void)ctx;
    if (msg->tag == PLEX_EVENT_HANDLER_GONE)
        say("u<gone(%s,%s)", id, id + strlen(id) + 1);
    else if (msg->kind == PLEX_MSG_EXIT)
        say("u<EXIT(%s)", msg->reason);
    return 0;
}
static const struct plex_behaviour user = {.name = "user",
                                           .handle_call = user_cast,
                                           .handle_info = user_info,
                                           .trap_exit = true};

static void
setup(const char *text)
{
    puppet_setup(NULL);
    puppet_know("m", stage_spawn(*text == 'x' ? &full : &empty, "m", NULL));
    puppet_know("u", stage_spawn(&user, "u", NULL));
}

static void
input(char *line)
{
    unsigned long tag = 0;

    if (sscanf(line, "event %lu", &tag) == 1)
        stage_send("m", PLEX_MSG_CAST, tag, NULL);
    else if (sscanf(line, "info %lu", &tag) == 1)
        stage_send("m", PLEX_MSG_INFO, tag, NULL);
    else if (strncmp(line, "stop ", 5) == 0)
        rt_exit(stage.rt, puppet_ref("m"), line + 5);
    else
        stage_send("u", PLEX_MSG_CAST, 0, line);
    stage_run();
}

static const struct stage_rule rules[] = {
    {"a manager without handlers lets events pass", "", {{"event 1", ""}}},
    {"an event goes to every handler, the latest first",
     "",
     {{"add x | add y | event 1", "y:1 x:1"}}},
    {"handlers can be there from the start", "x", {{"event 1", "y:1 x:1"}}},
    {"other messages go to handle_info", "", {{"add x | info 5", "x<5"}}},
    {"one kind can be added several times under different ids",
     "",
     {{"add x one | add x two | event 1", "x:1 x:1"}}},
    {"an id is taken once", "", {{"add x | add x", "EXISTS"}}},
    {"a kind that the manager does not know", "", {{"add zzz", "NOT_FOUND"}}},
    {"a handler whose init fails is not added",
     "",
     {{"add refuses | event 1", "FAILED"}}},
    {"removing calls terminate; it is gone",
     "",
     {{"add x | event 1 | remove x | event 1", "x:1 x!normal(1)"},
      {"remove x", "NOT_FOUND"}}},
    {"a handler that fails is removed alone, through terminate",
     "",
     {{"add x | add bad | add y | event 2 | event 1",
       "y:2 bad:2 bad!broken(1) x:2 y:1 x:1"}}},
    {"a handler may leave by itself",
     "",
     {{"add x | add quits | event 3 | event 1",
       "quits:3 quits!enough(1) x:3 x:1"}}},
    {"swapping gives the old one's data to the new one",
     "",
     {{"add x | event 1 | event 1 | swap x y y2", "x:1 x:1 x!swap(2)"},
      {"ask y2 0", "=y2(q)"}}},
    {"swapping one that is not there adds the new one",
     "",
     {{"swap nobody y y | event 1", "y:1"}}},
    {"a call goes to the handler of that id",
     "",
     {{"add x | add y | event 1 | ask x 0", "y:1 x:1 =x1(q)"},
      {"ask z 0", "NOT_FOUND"}}},
    {"a call that fails removes the handler and fails",
     "",
     {{"add x | ask x 9 | event 1", "x!cannot(0) FAILED"}}},
    {"who added it supervised hears why it went: removed",
     "",
     {{"addsup x | remove x", "x!normal(0) u<gone(x,normal)"}}},
    {"who added it supervised hears why it went: failed",
     "",
     {{"addsup bad | event 2", "bad:2 bad!broken(1) u<gone(bad,broken)"}}},
    {"who added it without hears nothing",
     "",
     {{"add bad | event 2", "bad:2 bad!broken(1)"}}},
    {"when who supervises ends, its handlers go; others stay",
     "",
     {{"addsup x | add y | quit crash | event 1", "x!crash(0) y:1"}}},
    {"who supervises is linked: it hears of the manager's end",
     "",
     {{"addsup x | stop kill", "u<EXIT(killed)"}}},
    {"after the last handler is gone the link is gone",
     "",
     {{"addsup x | remove x | stop kill", "x!normal(0) u<gone(x,normal)"}}},
    {"a handler's init may be given something",
     "",
     {{"addwith x 40 | event 1 | ask x 0", "x:1 =x41(q)"}}},
    {"which handlers there are, the latest first",
     "",
     {{"which", "0"}, {"add x | add y z | which", "2 z x"}}},
    {"sync_notify returns when all handlers have handled it",
     "",
     {{"add x | add y | sync 5", "y:5 x:5 synced"},
      {"stop kill | sync 6", "synced NOT_FOUND"}}},
    {"a handler that fails in one is removed, and the others get it",
     "",
     {{"add x | add bad | sync 2 | which", "bad:2 bad!broken(1) x:2 synced 1 "
                                           "x"}}},
    {"who swaps supervised gets to hear of the new one",
     "",
     {{"add x | swapsup x bad b | event 2",
       "x!swap(0) bad:2 bad!broken(1) u<gone(b,broken)"}}},
    {"swapping keeps who supervised the old one",
     "",
     {{"addsup x | swap x bad b | event 2",
       "x!swap(0) bad:2 bad!broken(1) u<gone(b,broken)"}}},
    {"after a supervised swap that fails nobody is linked any more",
     "",
     {{"addsup x | swapsup x refuses r | stop kill",
       "x!swap(0) FAILED u<gone(x,swap failed)"}}},
    {"an ended manager is nobody", "", {{"stop kill | add x", "NOT_FOUND"}}},
};

int
main(void)
{
    return stage_main("otp_event", rules, sizeof rules / sizeof *rules, setup,
                      input);
}
