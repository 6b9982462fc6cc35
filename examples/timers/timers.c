/*
 * Two ways with time: a clock that counts ticks of a timer, and a traffic light
 * whose states have timeouts.
 *
 * Calls to clock:
 *   {"action":"start","ms":20}   tick every 20 ms, without drift
 *   {"action":"stop"}            no tick after the answer to this
 *   {"action":"look"}            {"ticks":..., "late_us":...}: the latest one
 * Calls to light: anything; it answers {"state":"red","changes":...}.
 */
#include <plexspaces/fsm.h>

enum { TICK = 1 };

struct clock {
    uint64_t timer; /* 0: stopped */
    uint64_t began_ns, interval_ns, ticks, late_ns;
};

static int
clock_info(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct clock *own = plex_data(ctx);
    uint64_t due;

    if (msg->kind != PLEX_MSG_TIMER || msg->tag != TICK)
        return 0;
    due = own->began_ns + ++own->ticks * own->interval_ns;
    own->late_ns = plex_monotonic_ns(ctx) - due;
    return 0;
}

static void
clock_start(struct plex_ctx *ctx, struct clock *own)
{
    int64_t ms;

    if (plex_json_int(ctx, "ms", &ms) != 1 || ms < 1 || ms > 60000) {
        plex_reply_problem(ctx, 400, "ms is a number from 1 to 60000");
        return;
    }
    if (own->timer != 0)
        (void)plex_cancel_timer(ctx, own->timer);
    *own = (struct clock){.began_ns = plex_monotonic_ns(ctx),
                          .interval_ns = (uint64_t)ms * 1000000};
    own->timer = plex_send_after(ctx, plex_self_ref(ctx), (uint64_t)ms,
                                 (uint64_t)ms, TICK);
    plex_reply_json(ctx, "{\"ms\":%lld}", (long long)ms);
}

static int
clock_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct clock *own = plex_data(ctx);
    const char *action;

    (void)msg;
    if (plex_json_text(ctx, "action", &action) != 1)
        action = "look";
    if (strcmp(action, "start") == 0) {
        clock_start(ctx, own);
        return 0;
    }
    if (strcmp(action, "stop") == 0 && own->timer != 0) {
        (void)plex_cancel_timer(ctx, own->timer);
        own->timer = 0;
    }
    plex_reply_json(ctx, "{\"ticks\":%llu,\"late_us\":%llu}",
                    (unsigned long long)own->ticks,
                    (unsigned long long)own->late_ns / 1000);
    return 0;
}

/* -- the light: each state says how long it lasts when it is entered -- */

static int
light(struct plex_ctx *ctx, const struct plex_fsm_event *event,
      const char *name, uint64_t ms, const char *next)
{
    uint64_t *changes = plex_data(ctx);

    switch (event->kind) {
    case PLEX_FSM_ENTER:
        ++*changes;
        return plex_fsm_state_timeout(ctx, ms, 0);
    case PLEX_FSM_STATE_TIMEOUT:
        return plex_fsm_goto(ctx, next);
    case PLEX_FSM_CALL:
        plex_reply_json(ctx, "{\"state\":\"%s\",\"changes\":%llu}", name,
                        (unsigned long long)*changes);
        return 0;
    default:
        return 0;
    }
}
static int
in_red(struct plex_ctx *ctx, const struct plex_fsm_event *event)
{
    return light(ctx, event, "red", 60, "green");
}
static int
in_green(struct plex_ctx *ctx, const struct plex_fsm_event *event)
{
    return light(ctx, event, "green", 60, "yellow");
}
static int
in_yellow(struct plex_ctx *ctx, const struct plex_fsm_event *event)
{
    return light(ctx, event, "yellow", 20, "red");
}
static const struct plex_fsm_state light_states[] = {
    {.name = "red", .handle = in_red, .enter = true},
    {.name = "green", .handle = in_green, .enter = true},
    {.name = "yellow", .handle = in_yellow, .enter = true},
    {0},
};
static const struct plex_fsm light_fsm = {light_states};

static const struct plex_behaviour behaviours[] = {
    {.name = "clock",
     .handle_call = clock_call,
     .handle_info = clock_info,
     .data_size = sizeof(struct clock)},
    {.name = "light", .fsm = &light_fsm, .data_size = sizeof(uint64_t)},
    {0},
};
PLEX_MODULE(behaviours);
