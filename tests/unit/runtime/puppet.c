#include "tests/unit/runtime/puppet.h"

#include <assert.h>

#include "sdk/c/include/plexspaces/group.h"

enum { KNOWN_MAX = 256, ARG_MAX_BYTES = 256 };

static struct {
    char name[16];
    struct plex_ref ref;
    uint64_t monitor, timer;
    struct plex_from later;
} known[KNOWN_MAX];
static size_t known_count;

static size_t
known_find(const char *name)
{
    size_t i;

    for (i = 0; i < known_count; i++) {
        if (strcmp(known[i].name, name) == 0)
            return i;
    }
    assert(known_count < KNOWN_MAX);
    (void)snprintf(known[known_count].name, 16, "%s", name);
    known[known_count].ref = (struct plex_ref){0, 0};
    return known_count++;
}

struct plex_ref
puppet_ref(const char *name)
{
    return known[known_find(name)].ref;
}

const char *
puppet_name(struct plex_ref ref)
{
    size_t i = known_count;

    while (i-- > 0) {
        if (ref.id != 0 && plex_ref_is(known[i].ref, ref))
            return known[i].name;
    }
    return ref.id == 0 ? "nobody" : "?";
}

void
puppet_know(const char *name, struct plex_ref ref)
{
    known[known_find(name)].ref = ref;
}

static const char *
own_name(struct plex_ctx *ctx)
{
    return puppet_name(plex_self_ref(ctx));
}

/* -- what a puppet can do -- */

struct op {
    struct plex_ctx *ctx;
    const struct plex_msg *msg;
    char one[64], two[64];
    const char *rest; /* from the first argument on */
    const char *rest2;
    int failed;
};
static void ops_do(struct plex_ctx *ctx, const struct plex_msg *msg,
                   const char *text, int *failed);

static void
result(int status)
{
    if (status < 0)
        say("%s", plex_status_name((enum plex_status) - status));
}

static void
do_link(struct op *op)
{
    plex_link(op->ctx, puppet_ref(op->one));
}
static void
do_unlink(struct op *op)
{
    plex_unlink(op->ctx, puppet_ref(op->one));
}
static void
do_monitor(struct op *op)
{
    known[known_find(op->one)].monitor =
        plex_monitor(op->ctx, puppet_ref(op->one));
}
static void
do_demonitor(struct op *op)
{
    plex_demonitor(op->ctx, known[known_find(op->one)].monitor);
}
static void
do_trap(struct op *op)
{
    plex_trap_exit(op->ctx, strcmp(op->one, "off") != 0);
}
static void
do_exit(struct op *op)
{
    plex_exit_self(op->ctx, op->rest);
}
static void
do_kill(struct op *op)
{
    plex_exit(op->ctx, puppet_ref(op->one), op->rest2);
}
static void
do_fail(struct op *op)
{
    op->failed = plex_fail(op->ctx, op->rest);
}

/* Operations inside of operations are separated by '+'. */
static void
nested(char *text)
{
    for (; *text != '\0'; text++)
        *text = *text == '+' ? ',' : *text;
}

/* spawn NAME FLAGS OPS: FLAGS of link+monitor+wait+name or -. */
static void
do_spawn(struct op *op)
{
    const char *flags = op->two;
    const char *init = op->rest2 + strlen(flags);
    char text[ARG_MAX_BYTES];
    uint64_t monitor = 0;
    struct plex_ref ref;
    struct plex_spawn how = {.behaviour = &puppet_behaviour,
                             .link = strstr(flags, "link") != NULL,
                             .monitor = strstr(flags, "monitor") != NULL,
                             .wait = strstr(flags, "wait") != NULL,
                             .monitor_out = &monitor};
    size_t id = known_find(op->one);
    int status;

    init += strspn(init, " ");
    (void)snprintf(text, sizeof text, "%s %s", op->one, init);
    nested(text);
    how.args = text;
    how.args_len = strlen(text) + 1;
    if (strstr(flags, "name") != NULL)
        how.name = op->one;
    status = plex_spawn(op->ctx, &how, &ref);
    if (status == 0)
        known[id].ref = ref;
    known[id].monitor = monitor;
    result(status);
}

static void
do_send(struct op *op)
{
    plex_send(op->ctx, puppet_ref(op->one), strtoull(op->two, NULL, 10), NULL,
              0);
}
static void
do_cast(struct op *op)
{
    char text[ARG_MAX_BYTES];

    (void)snprintf(text, sizeof text, "%s", op->rest2);
    nested(text);
    plex_cast_ref(op->ctx, puppet_ref(op->one), 0, text, strlen(text) + 1);
}

/* ask NAME MS OPS */
static void
do_ask(struct op *op)
{
    const char *ops = op->rest2 + strlen(op->two);
    char text[ARG_MAX_BYTES];
    struct plex_msg answer;
    int status;

    (void)snprintf(text, sizeof text, "%s", ops + strspn(ops, " "));
    nested(text);
    status = plex_ask(op->ctx, puppet_ref(op->one), 0, text, strlen(text) + 1,
                      strtoull(op->two, NULL, 10), &answer);
    if (status == 0)
        say("%s=%.*s", own_name(op->ctx), (int)answer.len,
            answer.len == 0 ? "" : (const char *)answer.payload);
    else if (strncmp(answer.reason, "deadlock", 8) == 0)
        say("%s=%s", own_name(op->ctx), answer.reason);
    else
        say("%s=%s", own_name(op->ctx),
            plex_status_name((enum plex_status) - status));
}

/* request NAME TAG OPS: a call whose outcome comes to handle_reply */
static void
do_request(struct op *op)
{
    const char *ops = op->rest2 + strlen(op->two);
    char text[ARG_MAX_BYTES];

    (void)snprintf(text, sizeof text, "%s", ops + strspn(ops, " "));
    nested(text);
    plex_call_ref(op->ctx, puppet_ref(op->one), text, strlen(text) + 1, 1000,
                  strtoull(op->two, NULL, 10));
}
static void
do_reply(struct op *op)
{
    plex_reply(op->ctx, "text/plain", op->rest, strlen(op->rest));
}
static void
do_later(struct op *op)
{
    known[known_find(op->one)].later = plex_reply_later(op->ctx);
}
static void
do_answer(struct op *op)
{
    result(plex_answer(op->ctx, &known[known_find(op->one)].later, op->rest2,
                       strlen(op->rest2)));
}
static void
do_forward(struct op *op)
{
    if (strcmp(own_name(op->ctx), op->one) == 0)
        plex_reply(op->ctx, "text/plain", op->one, strlen(op->one));
    else
        result(plex_forward(op->ctx, puppet_ref(op->one)));
}
static void
do_sleep(struct op *op)
{
    plex_sleep(op->ctx, strtoull(op->one, NULL, 10));
    say("%s:awake", own_name(op->ctx));
}

static bool
has_tag(void *arg, const struct plex_msg *msg)
{
    return msg->kind == PLEX_MSG_INFO && msg->tag == *(uint64_t *)arg;
}

/* receive TAG MS */
static void
do_receive(struct op *op)
{
    uint64_t tag = strtoull(op->one, NULL, 10);
    struct plex_msg msg;
    int status =
        plex_receive(op->ctx, has_tag, &tag, strtoull(op->two, NULL, 10), &msg);

    if (status == 0)
        say("%s:got%lu", own_name(op->ctx), (unsigned long)msg.tag);
    else
        say("%s:%s", own_name(op->ctx),
            plex_status_name((enum plex_status) - status));
}

/* timer NAME MS [INTERVAL]: a timer called NAME, with its length as tag */
static void
do_timer(struct op *op)
{
    unsigned long ms = 0, interval = 0;

    (void)sscanf(op->rest2, "%lu %lu", &ms, &interval);
    known[known_find(op->one)].timer =
        plex_send_after(op->ctx, plex_self_ref(op->ctx), ms, interval, ms);
}
static void
do_cancel(struct op *op)
{
    say(plex_cancel_timer(op->ctx, known[known_find(op->one)].timer) ? "true"
                                                                     : "false");
}
/* continue TAG [TEXT]; idle MS */
static void
do_continue(struct op *op)
{
    result(plex_continue(op->ctx, strtoull(op->one, NULL, 10), op->rest2,
                         strlen(op->rest2) + 1));
}
static void
do_idle(struct op *op)
{
    uint64_t ms = *op->one == '-' ? UINT64_MAX : strtoull(op->one, NULL, 10);

    result(plex_idle_after(op->ctx, ms, ms));
}
static void
do_register(struct op *op)
{
    result(plex_register(op->ctx, op->one));
}
static void
do_unregister(struct op *op)
{
    result(plex_unregister(op->ctx, op->one));
}
static void
do_whereis(struct op *op)
{
    say("%s", puppet_name(plex_whereis(op->ctx, op->one)));
}
static void
do_join(struct op *op)
{
    result(plex_group_join(op->ctx, op->one));
}
static void
do_leave(struct op *op)
{
    result(plex_group_leave(op->ctx, op->one));
}
static void
do_members(struct op *op)
{
    struct plex_ref members[16];
    size_t n = plex_group_members(op->ctx, op->one, false, members, 16), i;

    say("{");
    for (i = 0; i < n && i < 16; i++)
        say("%s", puppet_name(members[i]));
    say("}");
}
static void
do_publish(struct op *op)
{
    say("%zu", plex_group_publish(op->ctx, op->one, 0, op->rest2,
                                  strlen(op->rest2) + 1));
}
static void
do_gmonitor(struct op *op)
{
    result(plex_group_monitor(op->ctx, op->one, strcmp(op->two, "off") != 0));
}
static void
do_say(struct op *op)
{
    say("%s:%s", own_name(op->ctx), op->rest);
}
static void
do_hibernate(struct op *op)
{
    plex_hibernate(op->ctx);
}

static int
other_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    (void)msg;
    say("%s:other", own_name(ctx));
    return plex_unbecome(ctx);
}
static const struct plex_behaviour other = {.name = "other",
                                            .handle_call = other_call};
static void
do_become(struct op *op)
{
    result(plex_become(op->ctx, &other));
}
static void
do_unbecome(struct op *op)
{
    result(plex_unbecome(op->ctx));
}

static const struct {
    const char *name;
    void (*run)(struct op *op);
} table[] = {
    {"link", do_link},
    {"unlink", do_unlink},
    {"monitor", do_monitor},
    {"demonitor", do_demonitor},
    {"trap", do_trap},
    {"exit", do_exit},
    {"kill", do_kill},
    {"fail", do_fail},
    {"spawn", do_spawn},
    {"send", do_send},
    {"cast", do_cast},
    {"ask", do_ask},
    {"request", do_request},
    {"reply", do_reply},
    {"later", do_later},
    {"answer", do_answer},
    {"forward", do_forward},
    {"sleep", do_sleep},
    {"receive", do_receive},
    {"timer", do_timer},
    {"cancel", do_cancel},
    {"continue", do_continue},
    {"idle", do_idle},
    {"register", do_register},
    {"unregister", do_unregister},
    {"whereis", do_whereis},
    {"join", do_join},
    {"leave", do_leave},
    {"members", do_members},
    {"publish", do_publish},
    {"gmonitor", do_gmonitor},
    {"say", do_say},
    {"hibernate", do_hibernate},
    {"become", do_become},
    {"unbecome", do_unbecome},
};

static void
op_do(struct op *op, const char *text)
{
    char verb[32] = "";
    size_t i;

    op->one[0] = op->two[0] = '\0';
    (void)sscanf(text, "%31s %63s %63s", verb, op->one, op->two);
    op->rest = text + strlen(verb);
    op->rest += strspn(op->rest, " ");
    op->rest2 = op->rest + strlen(op->one);
    op->rest2 += strspn(op->rest2, " ");
    for (i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(table[i].name, verb) == 0) {
            table[i].run(op);
            return;
        }
    }
    (void)fprintf(stderr, "no such operation: %s\n", text);
    abort();
}

static void
ops_do(struct plex_ctx *ctx, const struct plex_msg *msg, const char *text,
       int *failed)
{
    struct op op = {.ctx = ctx, .msg = msg};
    char piece[ARG_MAX_BYTES];
    size_t len;

    for (; *text != '\0' && op.failed == 0; text += *text == ',') {
        text += strspn(text, " ");
        len = strcspn(text, ",");
        if (len == 0)
            continue;
        assert(len < sizeof piece);
        memcpy(piece, text, len);
        piece[len] = '\0';
        while (len > 0 && piece[len - 1] == ' ')
            piece[--len] = '\0';
        op_do(&op, piece);
        text += strcspn(text, ",");
    }
    *failed = op.failed;
}

/* -- callbacks -- */

static int
on_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    const char *text = args;
    char name[16] = "";
    int failed;

    assert(len > 0);
    (void)sscanf(text, "%15s", name);
    puppet_know(name, plex_self_ref(ctx));
    ops_do(ctx, NULL, text + strlen(name), &failed);
    return failed;
}

static int
on_message(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    int failed;

    ops_do(ctx, msg, msg->len == 0 ? "" : msg->payload, &failed);
    return failed;
}

static int
on_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const char *name = own_name(ctx);

    switch (msg->kind) {
    case PLEX_MSG_EXIT:
        say("%s<EXIT(%s,%s)", name, puppet_name(msg->from), msg->reason);
        break;
    case PLEX_MSG_DOWN:
        say("%s<DOWN(%s,%s)", name, puppet_name(msg->from), msg->reason);
        break;
    case PLEX_MSG_TIMER:
        say("%s<timer%lu", name, (unsigned long)msg->tag);
        break;
    case PLEX_MSG_CONTINUE:
        say("%s<then%lu%s", name, (unsigned long)msg->tag,
            (const char *)msg->payload);
        break;
    case PLEX_MSG_IDLE:
        say("%s<idle%lu", name, (unsigned long)msg->tag);
        break;
    case PLEX_MSG_GROUP:
        say("%s<%s(%s)", name, msg->tag == 1 ? "joined" : "left",
            puppet_name(msg->from));
        break;
    default:
        say("%s<%lu", name, (unsigned long)msg->tag);
    }
    return 0;
}

static int
on_reply(struct plex_ctx *ctx, uint64_t tag, enum plex_result_status status,
         const void *payload, size_t len)
{
    static const char *const texts[] = {"", "failed", "timeout", "unreachable"};

    say("%s<reply%lu:%s%.*s", own_name(ctx), (unsigned long)tag, texts[status],
        (int)len, len == 0 ? "" : (const char *)payload);
    return 0;
}

static void
on_terminate(struct plex_ctx *ctx, const char *reason)
{
    say("%s!end:%s", own_name(ctx), reason);
}

const struct plex_behaviour puppet_behaviour = {
    .name = "puppet",
    .init = on_init,
    .handle_call = on_message,
    .handle_cast = on_message,
    .handle_info = on_info,
    .handle_reply = on_reply,
    .terminate = on_terminate,
};

/* -- the strings -- */

void
puppet_setup(const char *text)
{
    known_count = 0;
    if (text != NULL)
        stage_each(text, '|', puppet_input);
}

static void
spawn_from_outside(const char *rest)
{
    char name[16] = "";

    (void)sscanf(rest, "%15s", name);
    puppet_know(name, stage_spawn(&puppet_behaviour, name, rest));
}

static void
post(const char *name, uint32_t kind, uint64_t tag, const char *payload)
{
    const struct plex_post message = {.kind = kind,
                                      .tag = tag,
                                      .payload = payload,
                                      .len = strlen(payload) + 1};

    (void)rt_send(stage.rt, puppet_ref(name), &message);
}

static void
waiting(void)
{
    struct rt_stats stats;

    rt_stats(stage.rt, &stats);
    say("%lu wait", (unsigned long)stats.waiting);
}

void
puppet_input(char *line)
{
    char verb[32] = "", name[16] = "";
    const char *rest = line + strcspn(line, " ");

    rest += strspn(rest, " ");
    (void)sscanf(line, "%31s %15s", verb, name);
    const char *rest2 = rest + strlen(name);

    rest2 += strspn(rest2, " ");
    if (strcmp(verb, "spawn") == 0)
        spawn_from_outside(rest);
    else if (strcmp(verb, "send") == 0)
        post(name, PLEX_MSG_INFO, strtoull(rest2, NULL, 10), "");
    else if (strcmp(verb, "call") == 0)
        stage_call(name, 0, rest2);
    else if (strcmp(verb, "exit") == 0)
        rt_exit(stage.rt, puppet_ref(name), rest2);
    else if (strcmp(verb, "after") == 0)
        stage_after(strtoull(name, NULL, 10));
    else if (strcmp(verb, "run") == 0)
        stage_run();
    else if (strcmp(verb, "waiting") == 0)
        waiting();
    else if (strcmp(verb, "events") == 0)
        stage.events = true;
    else {
        assert(verb[strlen(verb) - 1] == ':');
        verb[strlen(verb) - 1] = '\0';
        post(verb, PLEX_MSG_CAST, 0, rest);
    }
}
