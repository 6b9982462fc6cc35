/* Runs on stacks of their own, by the handlers of the SDK. */
#include "tests/sim/flow.h"
#include "tests/sim/asked.h"
#include "tests/sim/boundary.h"

#include "runtime/fiber.h"
#include "sdk/c/include/plexspaces/durable.h"
#include "sdk/c/include/plexspaces/sourced.h"
#include "services/worker/handler.h"
#include "services/worker/run_log.h"

#include "common/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum { STACK_BYTES = 128 << 10, LIST_MAX = 4096, PATIENCE_MS = 3000 };

enum stop { STOP_OVER, STOP_WAITS, STOP_EFFECT };
/* One turn, from RUN to its end, and its stack. */
struct live {
    TAILQ_ENTRY(live) next; /* of the living or the spare */
    struct sim_flows *flows;
    struct rt_fiber *fiber;
    struct work_handler *handler;
    struct plex_ctx process; /* how callbacks find us */
    struct plex_arena arena; /* of a run that is begun again: unsafe */
    struct work_action run;
    struct work_turn turn;
    struct work_outcome outcome;
    enum stop stop;
    uint64_t born;
    int key;
    int version;
    uint32_t number;
    bool replayed;
    bool revoked;
};
TAILQ_HEAD(lives, live);
struct sim_flows {
    struct sim *sim;
    struct sim_node *node;
    struct work_core *core;
    void (*pump)(struct sim *sim, struct sim_node *node);
    struct rt_fiber host;
    struct lives living, spare;
    uint64_t births;
};

static struct work_time
now(const struct sim_flows *flows)
{
    return (struct work_time){sim_mono(flows->sim, flows->node),
                              sim_wall(flows->sim, flows->node)};
}

/* -- the flow's code ---------------------------------------------------------
 */

/* It takes its time, in which the worker may die. */
static int
effect(struct plex_ctx *ctx, void *arg)
{
    const enum sim_effect what = (enum sim_effect)(uintptr_t)arg;
    struct live *live = ctx->of;
    struct sim *sim = live->flows->sim;
    unsigned times = 0;
    uint32_t result = 0;

    if (!sim_boundary(sim, live->flows->node, NULL, SIM_AT_EFFECT, SIM_INVOKE))
        return 1; /* the worker has died: nobody will know */
    result = sim_flow_effect(sim, live->key, live->number, what, &times);

    sim_trace(sim, live->key, live->flows->node,
              "carries out %s of run %" PRIu32 ", the %u. time",
              sim_effect_name(what), live->number, times);
    live->stop = STOP_EFFECT;
    rt_fiber_switch(live->fiber, &live->flows->host);
    if (what == SIM_CHARGE && live->number % 17 == 0) {
        plex_effect_error(ctx, "not this one");
        return 3;
    }
    if (what == SIM_CHARGE && live->number % 29 == 0 && times < 8)
        return 4; /* all attempts are used up: the run is parked */
    plex_effect_result(ctx, &result, sizeof result);
    return 0;
}

static int
carry_out(struct plex_ctx *ctx, enum sim_effect what, struct plex_value *out)
{
    static const int fatal[] = {3, 0};
    static const struct plex_retry retry = {.fatal = fatal};

    return plex_run(ctx, sim_effect_name(what), effect, (void *)(uintptr_t)what,
                    &retry, out);
}

static int
promise_await(struct plex_ctx *ctx)
{
    struct live *live = ctx->of;
    struct plex_value value;
    char id[1200];
    const int future = plex_start_promise(ctx, id, sizeof id);

    if (future < 0)
        return future;
    sim_flow_promise(live->flows->sim, live->key, id);
    return plex_wait(ctx, future, PATIENCE_MS, &value);
}

static int
steps(struct plex_ctx *ctx, struct plex_saga *saga, uint32_t *result)
{
    const struct live *live = ctx->of;
    const struct sim_payload payload = {SIM_INCREMENT, live->number};
    struct plex_value value;
    int status;

    plex_cast(ctx, "tally", "t0", &payload, sizeof payload);
    status = carry_out(ctx, SIM_RESERVE, &value);
    if (status != 0)
        return status;
    memcpy(result, value.data, sizeof *result);
    (void)plex_saga_add(saga, "release", effect,
                        (void *)(uintptr_t)SIM_RELEASE);
    status = plex_durable_sleep(ctx, 20 + live->number % 180);
    if (status == 0)
        status = plex_call_wait(ctx, "bank", "b0", &payload, sizeof payload,
                                60000, &value);
    if (status == 0)
        status = carry_out(ctx, SIM_CHARGE, &value);
    if (status != 0)
        return status;
    (void)plex_saga_add(saga, "refund", effect, (void *)(uintptr_t)SIM_REFUND);
    plex_cast(ctx, "tally", "t1", &payload, sizeof payload);
    if (live->number % 3 == 0)
        status = promise_await(ctx);
    if (status == 0 && plex_code_version(ctx, "more", live->version) > 0)
        status = carry_out(ctx, SIM_MORE, &value);
    return status;
}

static int
list_reply(struct plex_ctx *ctx, uint32_t number, bool add)
{
    uint32_t list[LIST_MAX];
    size_t len;
    const void *state = plex_state(ctx, &len);
    struct sim_count count = {0, number};

    assert(len + sizeof number <= sizeof list);
    if (len > 0)
        memcpy(list, state, len);
    if (add) {
        list[len / sizeof number] = number;
        len += sizeof number;
        plex_state_put(ctx, list, len);
    }
    count.count = (uint32_t)(len / sizeof number);
    plex_reply(ctx, "", &count, sizeof count);
    return 0;
}

/* -- what it is asked while it waits -- */

static int
list_query(struct plex_ctx *ctx, const struct plex_msg *msg, void *arg)
{
    const struct sim_applied *applied = arg;
    const struct live *live = ctx->of;
    const struct sim_count count = {applied->n, live->number};

    (void)msg;
    plex_reply(ctx, "", &count, sizeof count);
    return 0;
}

static int
add_check(struct plex_ctx *ctx, const struct plex_msg *msg, void *arg)
{
    const struct sim_applied *applied = arg;
    struct sim_payload payload;

    memcpy(&payload, msg->payload, sizeof payload);
    if (applied->n == SIM_ASKED_MAX)
        return plex_fail(ctx, "the run has had enough");
    if (sim_asked_refused(payload.number))
        plex_reply_problem(ctx, 409, "not this one");
    return 0;
}

/* Some take their time. */
static int
add_update(struct plex_ctx *ctx, const struct plex_msg *msg, void *arg)
{
    const struct live *live = ctx->of;
    struct sim_applied *applied = arg;
    struct sim_payload payload;
    struct sim_count count;

    memcpy(&payload, msg->payload, sizeof payload);
    if (live->replayed && live->flows->sim->config.unsafe_updates_lost)
        return 0;
    applied->numbers[applied->n++] = payload.number;
    count = (struct sim_count){applied->n, payload.number};
    if (payload.number % 3 == 0)
        (void)plex_durable_sleep(ctx, 5 + payload.number % 300);
    plex_reply(ctx, "", &count, sizeof count);
    return 0;
}

static struct sim_applied *
asked_begin(struct plex_ctx *ctx)
{
    struct sim_applied *applied = plex_keep(ctx, sizeof *applied);

    assert(applied != NULL);
    (void)plex_on_query(ctx, "list", list_query, applied);
    (void)plex_on_update(ctx, "add", add_check, add_update, applied);
    return applied;
}

static int
flow_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct live *live = ctx->of;
    struct plex_saga saga = {0};
    struct sim_applied *applied;
    struct sim_payload payload;
    uint32_t result = 0;
    int status;

    memcpy(&payload, msg->payload, sizeof payload);
    if (payload.what != SIM_INCREMENT)
        return list_reply(ctx, payload.number, false);
    live->number = payload.number;
    applied = asked_begin(ctx);
    status = steps(ctx, &saga, &result);
    if (status == 0 && live->number % 5 != 0) {
        sim_asked_ended(live->flows->sim, live->key, live->number, applied);
        sim_flow_ended(live->flows->sim, live->key, live->number, result);
        return list_reply(ctx, payload.number, true);
    }
    if (!live->flows->sim->config.unsafe_no_undo || !live->replayed)
        (void)plex_saga_undo(ctx, &saga);
    return plex_fail(ctx, "it was not to be");
}

/* Some bookings take their time, and are left when nobody wants them. */
static int
bank_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    const struct live *live = ctx->of;
    struct sim_payload payload;

    memcpy(&payload, msg->payload, sizeof payload);
    if (payload.number % 2 == 0 &&
        plex_durable_sleep(ctx, 20 + payload.number % 400) != 0) {
        sim_flow_unwanted(live->flows->sim, live->key, payload.number);
        return plex_fail(ctx, "nobody wants it");
    }
    return list_reply(ctx, payload.number, true);
}

static int
ledger_apply(struct plex_ctx *ctx, const struct plex_event *event)
{
    uint32_t list[LIST_MAX];
    size_t len;
    const void *state = plex_state(ctx, &len);

    assert(len + event->len <= sizeof list);
    if (len > 0)
        memcpy(list, state, len);
    memcpy((uint8_t *)list + len, event->data, event->len);
    plex_state_put(ctx, list, len + event->len);
    return 0;
}

static int
ledger_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct sim_payload payload;

    memcpy(&payload, msg->payload, sizeof payload);
    if (payload.what == SIM_INCREMENT &&
        plex_persist(ctx, "added", &payload.number, sizeof payload.number) != 0)
        return -1;
    return list_reply(ctx, payload.number, false);
}

static const struct plex_behaviour behaviours[SIM_BEHAVIOURS] = {
    [SIM_FLOW] = {.name = "flow",
                  .schema_version = 1,
                  .handle_call = flow_handle},
    [SIM_BANK] = {.name = "bank",
                  .schema_version = 1,
                  .handle_call = bank_handle},
    [SIM_LEDGER] = {.name = "ledger",
                    .schema_version = 1,
                    .handle_call = ledger_handle,
                    .apply = ledger_apply},
};

bool
sim_flow_sourced(enum sim_behaviour behaviour)
{
    return behaviours[behaviour].apply != NULL;
}

/* -- stacks ------------------------------------------------------------------
 */

static void
fiber_entry(struct rt_fiber *fiber)
{
    const struct sim_flows *flows = (void *)fiber->exec;
    struct live *live;

    TAILQ_FOREACH(live, &flows->living, next)
    if (live->fiber == fiber)
        break;
    for (;;) {
        work_handler_run(live->handler, &live->turn, &live->outcome);
        live->stop = STOP_OVER;
        rt_fiber_switch(fiber, &live->flows->host);
    }
}

static const struct work_action *
live_wait(void *arg, uint64_t *wall_ms)
{
    struct live *live = arg;

    live->stop = STOP_WAITS;
    rt_fiber_switch(live->fiber, &live->flows->host);
    *wall_ms = sim_wall(live->flows->sim, live->flows->node);
    return &live->run;
}

static bool
live_may(void *arg)
{
    const struct live *live = arg;
    const struct sim_flows *flows = live->flows;

    return !live->revoked &&
           work_core_lease_holds(flows->core,
                                 sim_mono(flows->sim, flows->node));
}

static struct live *
live_take(struct sim_flows *flows)
{
    struct live *live = TAILQ_FIRST(&flows->spare);

    if (live != NULL) {
        TAILQ_REMOVE(&flows->spare, live, next);
    } else {
        live = plex_calloc(1, sizeof *live);
        live->flows = flows;
        live->handler = work_handler_create();
        live->fiber = rt_fiber_create(STACK_BYTES, fiber_entry);
        assert(live->fiber != NULL);
        live->process.of = live;
        plex_arena_init(&live->arena, 8 << 20);
    }
    live->born = ++flows->births;
    live->revoked = false;
    TAILQ_INSERT_TAIL(&flows->living, live, next);
    return live;
}

static void
live_give(struct live *live)
{
    TAILQ_REMOVE(&live->flows->living, live, next);
    TAILQ_INSERT_HEAD(&live->flows->spare, live, next);
    live->born = 0;
}

static void
live_free(struct lives *of, struct live *live)
{
    TAILQ_REMOVE(of, live, next);
    rt_fiber_free(live->fiber);
    work_handler_free(live->handler);
    plex_arena_fini(&live->arena);
    free(live);
}

struct sim_flows *
sim_flows_create(struct sim *sim, struct sim_node *node, struct work_core *core,
                 void (*pump)(struct sim *sim, struct sim_node *node))
{
    struct sim_flows *flows = plex_calloc(1, sizeof *flows);

    flows->sim = sim;
    flows->node = node;
    flows->core = core;
    flows->pump = pump;
    TAILQ_INIT(&flows->living);
    TAILQ_INIT(&flows->spare);
    rt_fiber_host(&flows->host);
    flows->host.exec = (void *)flows; /* what a fiber finds itself by */
    return flows;
}

void
sim_flows_free(struct sim_flows *flows)
{
    while (!TAILQ_EMPTY(&flows->living))
        live_free(&flows->living, TAILQ_FIRST(&flows->living));
    while (!TAILQ_EMPTY(&flows->spare))
        live_free(&flows->spare, TAILQ_FIRST(&flows->spare));
    free(flows);
}

/* -- runs --------------------------------------------------------------------
 */

struct busy {
    struct sim_flows *flows;
    struct live *live;
    uint64_t born;
};

static void live_go(struct live *live);

static void
on_effect(struct sim *sim, struct sim_node *node, void *arg)
{
    const struct busy busy = *(const struct busy *)arg;

    free(arg);
    if (busy.live->born != busy.born ||
        !sim_boundary(sim, node, NULL, SIM_AT_CARRIED, SIM_INVOKE))
        return;
    live_go(busy.live);
    busy.flows->pump(sim, node);
}

/* On its stack, until it waits, is busy with an effect, or has ended. */
static void
live_go(struct live *live)
{
    struct sim_flows *flows = live->flows;
    struct busy *busy;

    rt_fiber_switch(&flows->host, live->fiber);
    if (live->stop == STOP_EFFECT) {
        busy = plex_calloc(1, sizeof *busy);
        *busy = (struct busy){flows, live, live->born};
        sim_after(flows->sim, flows->node,
                  sim_between(flows->sim, 10 * SIM_US, 20 * SIM_MS), on_effect,
                  busy, free);
        return;
    }
    work_core_ran(flows->core, now(flows), live->run.token, &live->outcome);
    if (live->stop == STOP_OVER)
        live_give(live);
}

static struct live *
live_find(struct sim_flows *flows, uint64_t activation)
{
    struct live *live;

    TAILQ_FOREACH(live, &flows->living, next)
    if (live->run.run.activation == activation)
        return live;
    return NULL;
}

/* The log is forgotten: the checkers must notice. */
static void
log_forget(struct live *live)
{
    struct work_run log;
    struct plex_err err;

    plex_arena_reset(&live->arena);
    if (work_run_unpack(live->run.run.state, &live->arena, &log, &err) !=
        PLEX_OK)
        abort();
    live->run.run.how = WORK_RUN_MESSAGE;
    live->run.run.state = log.state;
    live->run.run.has_state = log.has_state;
    live->run.run.settled = true;
}

/* That its messages have left is forgotten. */
static void
told_forget(struct live *live)
{
    struct plex_buf packed = {.max = 8 << 20};
    struct work_run log;
    struct plex_err err;
    uint8_t *state;

    plex_arena_reset(&live->arena);
    if (work_run_unpack(live->run.run.state, &live->arena, &log, &err) !=
        PLEX_OK)
        abort();
    log.told = 0;
    if (work_run_pack(&log, &packed, &err) != PLEX_OK)
        abort();
    state = plex_arena_alloc(&live->arena, packed.len);
    assert(state != NULL);
    memcpy(state, packed.data, packed.len);
    live->run.run.state = (struct plex_bytes){state, packed.len};
    plex_buf_free(&packed);
}

static void
result_check(struct sim_flows *flows, int key, const struct work_action *run)
{
    if (run->run.message != NULL && run->run.message->kind == WORK_TIMER)
        sim_flow_timer(flows->sim, flows->node, key, run->run.message->timer);
}

void
sim_flows_run(struct sim_flows *flows, const struct work_action *run,
              enum sim_behaviour behaviour, int version)
{
    const bool begins =
        run->run.how != WORK_RUN_RESULT && run->run.how != WORK_RUN_CONTINUE;
    const int key = sim_key_of(run->run.actor);
    struct live *live;

    live = begins ? live_take(flows) : live_find(flows, run->run.activation);
    assert(live != NULL);
    live->run = *run;
    if (!begins) {
        result_check(flows, key, run);
        live_go(live);
        return;
    }
    live->key = key;
    live->version = version;
    live->replayed = run->run.how == WORK_RUN_REPLAY;
    sim_trace(flows->sim, key, flows->node,
              "runs %s/%s, how %d (epoch %" PRIu64 ")", run->run.actor->type,
              run->run.actor->key, (int)run->run.how, run->run.epoch);
    if (live->replayed && flows->sim->config.unsafe_effects_again)
        log_forget(live);
    if (live->replayed && flows->sim->config.unsafe_casts_again)
        told_forget(live);
    live->turn = (struct work_turn){
        .behaviour = &behaviours[behaviour],
        .run = &live->run,
        .wall_ms = sim_wall(flows->sim, flows->node),
        .process = &live->process,
        .wait = behaviour == SIM_LEDGER ? NULL : live_wait,
        .wait_arg = live,
        .may = live_may,
    };
    live_go(live);
}

void
sim_flows_revoke(struct sim_flows *flows, uint64_t activation)
{
    struct live *live = live_find(flows, activation);

    if (live != NULL)
        live->revoked = true;
}

void
sim_flows_abandon(struct sim_flows *flows, uint64_t activation)
{
    struct live *live = live_find(flows, activation);

    if (live == NULL)
        return;
    rt_fiber_reset(live->fiber);
    live_give(live);
}
