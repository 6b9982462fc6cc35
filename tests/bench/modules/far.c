/*
 * Calls between two workers: the process `driver` on one has processes that
 * call one on the other, each waiting for its answer. Call:
 *
 *   {"calls": 600000, "flying": 64, "node": "worker-2"}
 *
 * Answer: {"calls": ..., "failed": ..., "ns": ...}.
 */
#include <plexspaces/process.h>

#include <inttypes.h>

enum { FLYING_MAX = 1024 };

/* -- who is called -- */

static int
echo_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    plex_reply(ctx, "application/octet-stream", msg->payload, msg->len);
    return 0;
}

/* -- who calls -- */

struct order {
    struct plex_ref echo, driver;
    uint64_t calls;
};

static int
caller_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct order order;
    struct plex_msg answer;
    uint64_t failed = 0;

    memcpy(&order, msg->payload, sizeof order);
    for (uint64_t i = 0; i < order.calls; i++)
        if (plex_ask(ctx, order.echo, 0, &i, sizeof i, 5000, &answer) != 0 ||
            answer.len != sizeof i || memcmp(answer.payload, &i, 8) != 0)
            failed++;
    plex_send(ctx, order.driver, failed, NULL, 0);
    plex_exit_self(ctx, "normal");
    return 0;
}

static const struct plex_behaviour behaviours[];

/* -- who has them call -- */

struct driver {
    struct plex_from asker; /* call 0: nobody */
    struct plex_ref echo;
    uint64_t calls, failed, left, began_ns;
};

static void
begin(struct plex_ctx *ctx, uint64_t flying)
{
    struct driver *own = plex_data(ctx);
    const struct plex_spawn how = {.behaviour = &behaviours[1]};
    const struct order order = {own->echo, plex_self_ref(ctx),
                                own->calls / flying};
    struct plex_ref caller;

    own->calls = order.calls * flying;
    own->failed = 0;
    own->left = flying;
    own->began_ns = plex_monotonic_ns(ctx);
    for (uint64_t i = 0; i < flying; i++) {
        if (plex_spawn(ctx, &how, &caller) == 0)
            plex_send(ctx, caller, 0, &order, sizeof order);
        else
            plex_send(ctx, plex_self_ref(ctx), order.calls, NULL, 0);
    }
}

static int
driver_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct driver *own = plex_data(ctx);
    struct plex_spawn far = {.behaviour = &behaviours[0], .wait = true};
    int64_t calls = 0, flying = 0;

    (void)msg;
    if (own->asker.call != 0) {
        plex_reply_problem(ctx, 409, "it is at work");
        return 0;
    }
    if (plex_json_int(ctx, "calls", &calls) != 1 ||
        plex_json_int(ctx, "flying", &flying) != 1 || flying < 1 ||
        flying > FLYING_MAX || calls < flying ||
        plex_json_text(ctx, "node", &far.node) != 1) {
        plex_reply_problem(ctx, 400, "calls, flying and node are wanted");
        return 0;
    }
    if (plex_ref_none(own->echo) && plex_spawn(ctx, &far, &own->echo) != 0) {
        plex_reply_problem(ctx, 503, "nobody starts on that node");
        return 0;
    }
    own->calls = (uint64_t)calls;
    own->asker = plex_reply_later(ctx);
    begin(ctx, (uint64_t)flying);
    return 0;
}

/* A caller is done; tag: how many calls failed. */
static int
driver_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct driver *own = plex_data(ctx);
    char text[128];
    int len;

    own->failed += msg->tag;
    if (own->left == 0 || --own->left > 0)
        return 0;
    len = snprintf(
        text, sizeof text,
        "{\"calls\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"ns\":%" PRIu64 "}",
        own->calls, own->failed, plex_monotonic_ns(ctx) - own->began_ns);
    (void)plex_answer(ctx, &own->asker, text, (size_t)len);
    own->asker.call = 0;
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "echo", .handle_call = echo_call},
    {.name = "caller", .handle_info = caller_info},
    {.name = "driver",
     .handle_call = driver_call,
     .handle_info = driver_info,
     .data_size = sizeof(struct driver)},
    {0},
};
PLEX_MODULE(behaviours);
