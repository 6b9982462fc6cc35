/* One behaviour for virtual actors and for processes: it does what it is told
 * and writes down what comes. */
#include <plexspaces/supervisor.h>

enum { LOG_MAX = 4000 };

static int
note(struct plex_ctx *ctx, const char *what, const char *text, size_t len)
{
    char log[LOG_MAX];
    size_t old;
    const char *before = plex_state(ctx, &old);
    int n = 0;

    if (old > LOG_MAX / 2)
        old = 0;
    if (old > 0)
        memcpy(log, before, old);
    n = snprintf(log + old, LOG_MAX - old, "%s %.*s\n", what,
                 len > 200 ? 200 : (int)len, text);
    plex_state_put(ctx, log, old + (size_t)n);
    return 0;
}

static const char *
field(struct plex_ctx *ctx, const char *name)
{
    const char *text = "";

    return plex_json_text(ctx, name, &text) == 1 ? text : "";
}

static struct plex_ref
whom(struct plex_ctx *ctx)
{
    return plex_whereis(ctx, field(ctx, "whom"));
}

static int
ask(struct plex_ctx *ctx)
{
    const char *text = field(ctx, "text");
    struct plex_msg answer = {.payload = ""};
    const int status =
        plex_ask(ctx, whom(ctx), 7, text, strlen(text), 5000, &answer);

    plex_reply_json(ctx, "{\"status\":%d,\"answer\":\"%.*s\"}", status,
                    status == 0 ? (int)answer.len : 0,
                    status == 0 ? (const char *)answer.payload : "");
    return 0;
}

/* Asks `next` to ask on, which asks `then` to ask `whom`. */
static int
circle(struct plex_ctx *ctx)
{
    const char *next = field(ctx, "next"), *then = field(ctx, "then");
    struct plex_msg answer = {.payload = "", .reason = ""};
    char text[300];
    int status;

    if (next[0] == '\0') {
        plex_reply_json(ctx, "{\"end\":true}");
        return 0;
    }
    (void)snprintf(text, sizeof text, "{\"do\":\"circle\",\"next\":\"%s\"}",
                   then);
    status = plex_ask(ctx, plex_whereis(ctx, next), 0, text, strlen(text), 5000,
                      &answer);
    if (status != 0)
        return plex_fail(ctx, answer.reason);
    plex_reply(ctx, "application/json", answer.payload, answer.len);
    return 0;
}

static const struct plex_behaviour behaviours[];
enum { PARTY, FRAIL };

static int
which(struct plex_ctx *ctx, struct plex_ref supervisor)
{
    struct plex_child_info rows[10];
    char text[2000] = "";
    size_t len = 0;
    const int n = plex_which_children(ctx, supervisor, rows, 10);

    for (int i = 0; i < n && i < 10; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s:%s",
                                i == 0 ? "" : " ", rows[i].id,
                                plex_ref_none(rows[i].ref) ? "no" : "yes");
    plex_reply_json(ctx, "{\"status\":%d,\"children\":\"%s\"}", n, text);
    return 0;
}

/* Asks the supervisor `whom` about its child `id`. */
static int
supervise(struct plex_ctx *ctx, const char *what)
{
    const struct plex_ref to = whom(ctx);
    const char *id = field(ctx, "id"), *node = field(ctx, "node");
    const char *init = field(ctx, "text");
    const struct plex_child child = {
        .id = id,
        .behaviour = &behaviours[FRAIL],
        .args = init,
        .args_len = strlen(init),
        .name = id,
        .node = node[0] == '\0' ? NULL : node,
        .shutdown_ms = PLEX_SHUTDOWN_DEFAULT,
    };
    const struct plex_supervisor_request start = {.verb = PLEX_SUP_START,
                                                  .child = &child};
    struct plex_child_count count = {0};
    struct plex_ref ref = {0};
    char name[512] = "";
    int64_t ms;
    int status;

    if (strcmp(what, "sup_which") == 0)
        return which(ctx, to);
    if (strcmp(what, "sup_count") == 0)
        status = plex_count_children(ctx, to, &count);
    else if (plex_json_int(ctx, "within", &ms) == 1)
        status = plex_supervisor_call_within(ctx, to, &start, (uint64_t)ms);
    else if (strcmp(what, "sup_start") == 0)
        status = plex_start_child(ctx, to, &child, &ref);
    else if (strcmp(what, "sup_stop") == 0)
        status = plex_terminate_child(ctx, to, id);
    else if (strcmp(what, "sup_again") == 0)
        status = plex_restart_child(ctx, to, id, &ref);
    else
        status = plex_delete_child(ctx, to, id);
    if (!plex_ref_none(ref))
        (void)plex_ref_text(ctx, ref, name, sizeof name);
    plex_reply_json(ctx, "{\"status\":%d,\"active\":%u,\"ref\":\"%s\"}", status,
                    count.active, name);
    return 0;
}

static int
command(struct plex_ctx *ctx, const char *what)
{
    const char *text = field(ctx, "text");
    size_t len;

    if (strcmp(what, "log") == 0) {
        const void *log = plex_state(ctx, &len);

        plex_reply(ctx, "text/plain", len == 0 ? "" : log, len);
        return 0;
    }
    if (strcmp(what, "ask") == 0)
        return ask(ctx);
    if (strcmp(what, "circle") == 0)
        return circle(ctx);
    if (strncmp(what, "sup_", 4) == 0)
        return supervise(ctx, what);
    if (strcmp(what, "send") == 0)
        plex_send(ctx, whom(ctx), 5, text, strlen(text));
    else if (strcmp(what, "cast") == 0)
        plex_cast_ref(ctx, whom(ctx), 6, text, strlen(text));
    else if (strcmp(what, "callref") == 0)
        plex_call_ref(ctx, whom(ctx), text, strlen(text), 5000, 9);
    else if (strcmp(what, "monitor") == 0)
        (void)plex_monitor(ctx, whom(ctx));
    else if (strcmp(what, "link") == 0)
        plex_link(ctx, whom(ctx));
    else if (strcmp(what, "unlink") == 0)
        plex_unlink(ctx, whom(ctx));
    else if (strcmp(what, "exit") == 0)
        plex_exit(ctx, whom(ctx), text);
    else if (strcmp(what, "later") == 0)
        (void)plex_send_after(ctx, plex_self_ref(ctx), 20, 0, 77);
    else if (strcmp(what, "end") == 0)
        plex_exit_self(ctx, text);
    else
        return plex_fail(ctx, "no such command");
    plex_reply_json(ctx, "{\"done\":\"%s\"}", what);
    return 0;
}

static int
call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *what;

    if (plex_json_text(ctx, "do", &what) == 1)
        return command(ctx, what);
    note(ctx, "call", msg->payload, msg->len);
    plex_reply(ctx, "text/plain", "pong", 4);
    return 0;
}

static int
cast(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    char what[32];

    (void)snprintf(what, sizeof what, "cast %u", (unsigned)msg->tag);
    return note(ctx, what, msg->payload, msg->len);
}

static int
info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    static const char *const kinds[] = {
        [PLEX_MSG_INFO] = "info",   [PLEX_MSG_EXIT] = "exit",
        [PLEX_MSG_DOWN] = "down",   [PLEX_MSG_TIMER] = "timer",
        [PLEX_MSG_GROUP] = "group",
    };
    char what[32];

    if (msg->kind == PLEX_MSG_EXIT || msg->kind == PLEX_MSG_DOWN)
        return note(ctx, kinds[msg->kind], msg->reason, strlen(msg->reason));
    if (msg->len == 4 && memcmp(msg->payload, "ping", 4) == 0)
        plex_send(ctx, msg->from, 8, "pong to you", 11);
    if (msg->len == 4 && memcmp(msg->payload, "link", 4) == 0)
        plex_link(ctx, msg->from);
    (void)snprintf(what, sizeof what, "%s %u",
                   msg->kind <= PLEX_MSG_GROUP ? kinds[msg->kind] : "?",
                   (unsigned)msg->tag);
    return note(ctx, what, msg->payload, msg->len);
}

static int
reply(struct plex_ctx *ctx, uint64_t tag, enum plex_result_status status,
      const void *payload, size_t len)
{
    char what[48];

    (void)snprintf(what, sizeof what, "reply %u status %d", (unsigned)tag,
                   (int)status);
    return note(ctx, what, payload, len);
}

/* Does not start when it is told "no", late when it is told "late". */
static int
frail_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    if (len == 2 && memcmp(args, "no", 2) == 0)
        return plex_fail(ctx, "told not to");
    if (len == 4 && memcmp(args, "late", 4) == 0)
        plex_sleep(ctx, 60000);
    if (len == 4 && memcmp(args, "slow", 4) == 0)
        plex_sleep(ctx, 1000);
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "party",
     .handle_call = call,
     .handle_cast = cast,
     .handle_info = info,
     .handle_reply = reply,
     .trap_exit = true},
    {.name = "frail",
     .init = frail_init,
     .handle_call = call,
     .handle_cast = cast,
     .handle_info = info,
     .handle_reply = reply},
    {0},
};
PLEX_MODULE(behaviours);
