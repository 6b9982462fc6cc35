/* Ties the core to links, store and clock. Everything that one iteration of
 * the loop asked for is stored in one transaction and answered after it. */
#include "common/arena.h"
#include "common/log.h"
#include "common/name.h"
#include "common/replies.h"
#include "services/channel-broker/core.h"
#include "services/channel-broker/service.h"
#include "services/channel-broker/store.h"
#include "services/channel-broker/wire.h"
#include "services/registry/client.h"

#include <string.h>

enum {
    ARENA_MAX = 256 << 20,
    REPLY_MAX = 16 << 20,
    REOPEN_MS = 1000, /* between attempts to get a lost store back */
};
enum {
    METHOD_SEND = 901,
    METHOD_RECEIVE,
    METHOD_ACK,
    METHOD_NACK,
    METHOD_GET_STATS,
};

struct config {
    struct plex_base_config base;
    const char *store_dsn;
    uint64_t channels_max;
    uint64_t groups_max;
    uint64_t messages_max;
    uint64_t memory_max_bytes;
    uint32_t waiters_max;
    uint32_t requests_max;
};
#define ROW(name, type, field, def, help, ...)                             \
    {                                                                      \
        name, type, offsetof(struct config, field), def, help, __VA_ARGS__ \
    }
static const struct plex_option options[] = {
    ROW("store_dsn", PLEX_OPTION_STRING, store_dsn,
        "sqlite:plexspaces-channel-broker.db",
        "where messages are kept: mem: or sqlite:FILE", 0, 0),
    ROW("channels_max", PLEX_OPTION_U64, channels_max, "100000",
        "channels ever named, over all tenants", 1, 0),
    ROW("groups_max", PLEX_OPTION_U64, groups_max, "1000",
        "consumer groups of one channel", 1, 0),
    ROW("messages_max", PLEX_OPTION_U64, messages_max, "1000000",
        "messages held at once", 1, 0),
    ROW("memory_max_bytes", PLEX_OPTION_U64, memory_max_bytes, "268435456",
        "memory for messages", 1 << 20, 0),
    ROW("waiters_max", PLEX_OPTION_U32, waiters_max, "10000",
        "callers that wait at once", 1, 0),
    ROW("requests_max", PLEX_OPTION_U32, requests_max, "100000",
        "request ids remembered for ten minutes", 1, 0),
    {0},
};

struct state {
    const struct plex_host *host;
    struct config config;
    struct broker_core *core; /* NULL while the store is lost */
    struct broker_store *store;
    struct reg_client *registry;
    struct plex_timer *timer;
    struct plex_task commit;
    bool committing; /* `commit` is deferred */
    struct plex_arena arena;
    struct plex_counter *sent, *removed, *commits, *failures;
};

static struct broker_now
now(void)
{
    return (struct broker_now){plex_now(), plex_wall_ms()};
}

static uint64_t
read_messages(void *arg)
{
    const struct state *state = arg;

    return state->core != NULL ? broker_core_totals(state->core).messages : 0;
}

static uint64_t
read_waiters(void *arg)
{
    const struct state *state = arg;

    return state->core != NULL ? broker_core_totals(state->core).waiters : 0;
}

static bool
caller_gone(void *arg, void *call)
{
    (void)arg;
    return plex_call_abandoned(call);
}

static enum plex_status
store_open(struct state *state, struct plex_err *err)
{
    const struct broker_config config = {
        .channels_max = state->config.channels_max,
        .groups_max = state->config.groups_max,
        .messages_max = state->config.messages_max,
        .bytes_max = state->config.memory_max_bytes,
        .waiters_max = state->config.waiters_max,
        .requests_max = state->config.requests_max,
        .gone = caller_gone,
    };

    if (broker_store_open(&state->store, state->config.store_dsn, err) !=
        PLEX_OK)
        return err->status;
    state->core = broker_core_create(&config);
    if (broker_store_load(state->store, state->core, err) == PLEX_OK)
        return PLEX_OK;
    broker_core_free(state->core);
    state->core = NULL;
    broker_store_close(state->store);
    state->store = NULL;
    return plex_err_wrap(err, "could not load \"%s\"", state->config.store_dsn);
}

static void
timer_arm(struct state *state)
{
    const uint64_t wait = state->core == NULL
                              ? REOPEN_MS
                              : broker_core_wait_ms(state->core, now());

    if (wait == UINT64_MAX)
        plex_timer_stop(state->timer);
    else
        plex_timer_start(state->timer, wait);
}

/* -- one commit per iteration ---------------------------------------------- */

static void
reply_make(struct state *state, const struct broker_action *action,
           struct plex_replies *replies)
{
    struct plex_reply *reply = plex_replies_add(
        replies, action->call, action->status, action->text, REPLY_MAX);

    if (action->status != PLEX_OK)
        return;
    plex_arena_reset(&state->arena);
    reply->status =
        broker_wire_answer(action, &state->arena, &reply->payload, &reply->err);
}

static void
count_action(struct state *state, const struct broker_action *action)
{
    if (action->kind == BROKER_PUT)
        state->sent->value++;
    else if (action->kind == BROKER_REMOVE)
        state->removed->value++;
}

static enum plex_status
actions_apply(struct state *state, struct plex_replies *replies,
              struct plex_err *err)
{
    enum plex_status status = PLEX_OK;
    struct broker_action action;

    while (broker_core_next(state->core, &action)) {
        if (action.kind == BROKER_REPLY) {
            reply_make(state, &action, replies);
            continue;
        }
        count_action(state, &action);
        if (status == PLEX_OK)
            status = broker_store_apply(state->store, &action, err);
    }
    return status;
}

/* What the core holds was not stored: forget it and start from the store. */
static void
store_lost(struct state *state, struct plex_replies *replies,
           const struct plex_err *err)
{
    struct broker_action action;

    plex_log(PLEX_LOG_ERROR, "store_lost", "%s", err->text);
    state->failures->value++;
    broker_store_rollback(state->store);
    broker_core_fail_waiters(state->core, err->text);
    while (broker_core_next(state->core, &action))
        if (action.kind == BROKER_REPLY)
            reply_make(state, &action, replies);
    plex_replies_send(replies, err);
    broker_core_free(state->core);
    state->core = NULL;
    broker_store_close(state->store);
    state->store = NULL;
    reg_client_status(state->registry, REG_NODE_STARTING, "store is lost");
}

static void
commit_run(struct plex_task *task)
{
    struct state *state = plex_container_of(task, struct state, commit);
    struct plex_replies replies = {0};
    struct plex_err err = {0};
    enum plex_status status;

    state->committing = false;
    if (state->core == NULL)
        return;
    status = actions_apply(state, &replies, &err);
    if (status == PLEX_OK)
        status = broker_store_commit(state->store, &err);
    state->commits->value++;
    if (status == PLEX_OK)
        plex_replies_send(&replies, NULL);
    else
        store_lost(state, &replies, &err);
    timer_arm(state);
}

static void
commit_defer(struct state *state)
{
    if (state->committing)
        return;
    state->committing = true;
    plex_loop_defer(state->host->loop, &state->commit);
}

static void
on_timer(void *arg)
{
    struct state *state = arg;
    struct plex_err err = {0};

    if (state->core == NULL) {
        if (store_open(state, &err) == PLEX_OK)
            reg_client_status(state->registry, REG_NODE_READY, "");
        else
            plex_log(PLEX_LOG_WARN, "store_unavailable", "%s", err.text);
        timer_arm(state);
        return;
    }
    broker_core_tick(state->core, now());
    commit_defer(state);
}

/* -- methods --------------------------------------------------------------- */

/* Readies the arena; false when the call was answered already. */
static bool
call_begin(struct state *state, struct plex_call *call,
           struct broker_where *where)
{
    const struct plex_context *context = plex_call_context(call);
    struct plex_err err = {0};
    enum plex_status status;

    status = plex_name_tenant(context->tenant, strlen(context->tenant), &err);
    if (status == PLEX_OK)
        status = plex_name_namespace(context->ns, strlen(context->ns), &err);
    if (status == PLEX_OK && state->core == NULL)
        status = plex_err_set(&err, PLEX_UNAVAILABLE, "the store is lost");
    if (status != PLEX_OK) {
        plex_call_refuse(call, &err);
        return false;
    }
    plex_arena_reset(&state->arena);
    where->tenant = context->tenant;
    where->ns = context->ns;
    return true;
}

static void
on_send(void *arg, struct plex_call *call)
{
    struct state *state = arg;
    struct broker_where where;
    struct broker_send send;
    struct plex_err err = {0};

    if (!call_begin(state, call, &where))
        return;
    if (broker_wire_send(plex_call_payload(call), &state->arena, &send, &err) !=
        PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    send.where.tenant = where.tenant;
    send.where.ns = where.ns;
    plex_id_make(send.first_id, plex_wall_ms());
    broker_core_send(state->core, now(), call, &send);
    commit_defer(state);
}

static void
on_receive(void *arg, struct plex_call *call)
{
    struct state *state = arg;
    struct broker_where where;
    struct broker_receive receive;
    struct plex_err err = {0};

    if (!call_begin(state, call, &where))
        return;
    if (broker_wire_receive(plex_call_payload(call), &state->arena, &receive,
                            &err) != PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    receive.where.tenant = where.tenant;
    receive.where.ns = where.ns;
    broker_core_receive(state->core, now(), call, &receive);
    commit_defer(state);
}

static void
settle(struct state *state, struct plex_call *call, bool ack)
{
    struct broker_where where;
    struct broker_settle request;
    struct plex_err err = {0};

    if (!call_begin(state, call, &where))
        return;
    if (broker_wire_settle(plex_call_payload(call), ack, &state->arena,
                           &request, &err) != PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    request.where.tenant = where.tenant;
    request.where.ns = where.ns;
    broker_core_settle(state->core, now(), call, &request);
    commit_defer(state);
}

static void
on_ack(void *arg, struct plex_call *call)
{
    settle(arg, call, true);
}

static void
on_nack(void *arg, struct plex_call *call)
{
    settle(arg, call, false);
}

static void
on_get_stats(void *arg, struct plex_call *call)
{
    struct state *state = arg;
    struct plex_buf reply = {.max = 256};
    struct broker_where where;
    struct broker_stats stats;
    struct plex_err err = {0};
    const char *group;

    if (!call_begin(state, call, &where))
        return;
    if (broker_wire_stats(plex_call_payload(call), &state->arena, &where,
                          &group, &err) != PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    stats = broker_core_stats(state->core, &where, group);
    plex_call_answer(call, broker_wire_stats_reply(&stats, &reply, &err),
                     &reply, &err);
    plex_buf_free(&reply);
}

static const struct plex_method methods[] = {
    {METHOD_SEND, "channel.send", on_send},
    {METHOD_RECEIVE, "channel.receive", on_receive},
    {METHOD_ACK, "channel.ack", on_ack},
    {METHOD_NACK, "channel.nack", on_nack},
    {METHOD_GET_STATS, "channel.get_stats", on_get_stats},
    {0},
};

/* -- life ------------------------------------------------------------------ */

static void
metrics_make(struct state *state)
{
    struct plex_metrics *metrics = state->host->metrics;

    state->sent = plex_metrics_counter(metrics, "plexspaces_channel_sent_total",
                                       "Messages stored", "");
    state->removed =
        plex_metrics_counter(metrics, "plexspaces_channel_removed_total",
                             "Messages acknowledged by every group", "");
    state->commits = plex_metrics_counter(
        metrics, "plexspaces_channel_commits_total", "Transactions", "");
    state->failures =
        plex_metrics_counter(metrics, "plexspaces_channel_store_failures_total",
                             "Transactions that failed", "");
    plex_metrics_observe(metrics, "plexspaces_channel_messages",
                         "Messages held", "", read_messages, state);
    plex_metrics_observe(metrics, "plexspaces_channel_waiters",
                         "Callers waiting", "", read_waiters, state);
}

static enum plex_status
check(const void *config, struct plex_err *err)
{
    return broker_store_check(((const struct config *)config)->store_dsn, err);
}

static enum plex_status
start(void *arg, const void *config, const struct plex_host *host,
      struct plex_err *err)
{
    struct state *state = arg;

    state->host = host;
    state->config = *(const struct config *)config;
    state->commit.run = commit_run;
    plex_arena_init(&state->arena, ARENA_MAX);
    if (store_open(state, err) != PLEX_OK) {
        plex_arena_fini(&state->arena);
        return err->status;
    }
    metrics_make(state);
    state->timer = plex_timer_create(host->loop, on_timer, state);
    state->registry = reg_client_start(&(struct reg_client_config){
        .host = host,
        .kind = "channel-broker",
    });
    reg_client_status(state->registry, REG_NODE_READY, "");
    timer_arm(state);
    return PLEX_OK;
}

/* Waiting callers would hold up the drain: they may wait elsewhere. */
static void
drain(void *arg)
{
    struct state *state = arg;

    reg_client_status(state->registry, REG_NODE_DRAINING, "draining");
    if (state->core == NULL)
        return;
    broker_core_fail_waiters(state->core, "the broker is shutting down");
    commit_defer(state);
}

static void
stop(void *arg)
{
    struct state *state = arg;

    reg_client_stop(state->registry);
    plex_timer_free(state->timer);
    broker_core_free(state->core);
    broker_store_close(state->store);
    plex_arena_fini(&state->arena);
}

const struct plex_service broker_service = {
    .name = "channel-broker",
    .summary = "channels: send, receive, acknowledge",
    .options = options,
    .config_size = sizeof(struct config),
    .state_size = sizeof(struct state),
    .methods = methods,
    .check = check,
    .start = start,
    .drain = drain,
    .stop = stop,
};
