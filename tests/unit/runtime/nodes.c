#include "tests/unit/runtime/nodes.h"

#include <stdarg.h>
#include <stdio.h>

enum { WIRE_MAX = 1024 };

struct wired { /* a signal on its way, with copies of what it points to */
    struct rt_signal signal;
    int to;
    char tenant[32], ns[32], name[64], text[64], reason[64], payload[4096];
};
struct rt *node_rt[NODES];
struct plex_ref node_a, node_b;
const struct rt_where node_where = {"t", "n"};
char node_said[8192];
const struct plex_behaviour *node_behaviours;
bool (*node_lose)(const struct rt_signal *signal);
static struct wired wire[WIRE_MAX];
static size_t wire_count;
static bool cut; /* signals are lost, senders are told */
static uint64_t now;

void
node_say(const char *fmt, ...)
{
    size_t len = strlen(node_said);
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(node_said + len, sizeof node_said - len, fmt, args);
    va_end(args);
}

static void
copy(char *out, size_t size, const char *text)
{
    (void)snprintf(out, size, "%s", text == NULL ? "" : text);
}

static bool
on_remote(void *arg, const struct rt_signal *signal)
{
    struct wired *w = &wire[wire_count];
    const char *at = strchr(signal->name, '@');

    if (cut || (at != NULL && at[1] != 'n'))
        return false;
    ck_assert_uint_lt(wire_count, WIRE_MAX);
    ck_assert_uint_le(signal->post.len, sizeof w->payload);
    w->signal = *signal;
    w->to = 1 - *(const int *)arg;
    copy(w->tenant, sizeof w->tenant, signal->where.tenant);
    copy(w->ns, sizeof w->ns, signal->where.ns);
    copy(w->name, sizeof w->name, signal->name);
    copy(w->text, sizeof w->text, signal->text);
    copy(w->reason, sizeof w->reason, signal->reason);
    if (signal->post.len > 0)
        memcpy(w->payload, signal->post.payload, signal->post.len);
    wire_count++;
    return true;
}

static void
carry(void)
{
    size_t count = wire_count;
    struct wired *batch = calloc(count + 1, sizeof *batch);

    memcpy(batch, wire, count * sizeof *batch);
    wire_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct wired *w = &batch[i];

        w->signal.where = (struct rt_where){w->tenant, w->ns};
        w->signal.name = w->name;
        w->signal.text = w->text;
        w->signal.reason = w->reason;
        w->signal.post.payload = w->payload;
        if (w->signal.kind == RT_SPAWN)
            w->reason[0] = '\0';
        if (node_lose == NULL || !node_lose(&w->signal))
            rt_deliver(node_rt[w->to], &w->signal);
    }
    free(batch);
}

void
node_run_ms(uint64_t ms)
{
    for (uint64_t i = 0; i <= ms; i++) {
        bool more = true;

        while (more) {
            more = wire_count > 0;
            carry();
            for (int n = 0; n < NODES; n++)
                more |= rt_step(node_rt[n], now, 1, 1000) > 0;
        }
        if (i < ms)
            now += 1000000;
    }
}

/* -- a process that does what it is told -- */

static const char *
me(struct plex_ctx *ctx)
{
    const char *name = plex_self(ctx, NULL, NULL, NULL);

    return name[0] != '\0' ? name : "?";
}

static int
doer_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    node_deed_fn deed;

    if (msg->kind == PLEX_MSG_INFO && msg->tag == TAG_DO) {
        memcpy(&deed, msg->payload, sizeof deed);
        deed(ctx);
        return 0;
    }
    if (msg->kind == PLEX_MSG_INFO && msg->tag == TAG_STOP)
        return plex_fail(ctx, "crash");
    node_say("%s:%s%llu%s;", me(ctx),
             (const char *[]){"", "", "cast", "info", "exit", "down", "timer",
                              "group"}[msg->kind],
             msg->kind == PLEX_MSG_DOWN ? 0ull : (unsigned long long)msg->tag,
             msg->reason);
    return 0;
}

static int
doer_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    if (msg->tag == 14)
        (void)plex_reply_later(ctx);
    else
        plex_reply_json(ctx, "%llu", (unsigned long long)msg->tag * 2);
    return 0;
}

static int
doer_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    return len > 0 && memcmp(args, "no", 2) == 0 ? plex_fail(ctx, "will not")
                                                 : 0;
}

const struct plex_behaviour node_doer = {.name = "doer",
                                         .init = doer_init,
                                         .handle_call = doer_call,
                                         .handle_cast = doer_info,
                                         .handle_info = doer_info,
                                         .trap_exit = true};

static const struct plex_behaviour *
find(void *arg, const char *behaviour)
{
    const struct plex_behaviour *row = node_behaviours;

    (void)arg;
    for (; row != NULL && row->name != NULL; row++)
        if (strcmp(behaviour, row->name) == 0)
            return row;
    return strcmp(behaviour, "doer") == 0 ? &node_doer : NULL;
}

struct plex_ref
node_start(int node, const char *name)
{
    const struct plex_spawn how = {.behaviour = &node_doer, .name = name};
    struct plex_ref ref;

    ck_assert_int_eq(
        rt_spawn(node_rt[node], node_where, &how, NULL, NULL, &ref), 0);
    return ref;
}

void
node_tell(int node, struct plex_ref who, node_deed_fn deed)
{
    const struct plex_post post = {.kind = PLEX_MSG_INFO,
                                   .tag = TAG_DO,
                                   .payload = &deed,
                                   .len = sizeof deed};

    ck_assert_int_eq(rt_send(node_rt[node], who, &post), 0);
}

void
node_setup(void)
{
    static int index[NODES] = {0, 1};
    struct plex_err err;

    node_said[0] = '\0';
    wire_count = 0;
    cut = false;
    node_lose = NULL;
    node_behaviours = NULL;
    now = 1;
    for (uint64_t n = 0; n < NODES; n++) {
        const struct rt_config config = {.node = n + 1,
                                         .node_id = n == 0 ? "n1" : "n2",
                                         .on_remote = on_remote,
                                         .find = find,
                                         .arg = &index[n]};

        ck_assert_int_eq(rt_create(&config, &node_rt[n], &err), PLEX_OK);
    }
    node_a = node_start(0, "a");
    node_b = node_start(1, "b");
    node_run_ms(0);
}

void
node_teardown(void)
{
    for (int n = 0; n < NODES; n++)
        rt_stop(node_rt[n]);
    for (int n = 0; n < NODES; n++)
        rt_free(node_rt[n]);
}

void
node_down(void)
{
    cut = true;
    wire_count = 0;
    rt_node_down(node_rt[0], 2, "n2");
    node_run_ms(1);
}

void
node_up(void)
{
    cut = false;
}
