/* Ties the core to links, store and clock. Everything that one iteration of
 * the loop asked for is stored in one transaction and answered after it. */
#include "common/arena.h"
#include "common/log.h"
#include "common/name.h"
#include "common/replies.h"
#include "services/registry/client.h"
#include "services/tuplespace/core.h"
#include "services/tuplespace/service.h"
#include "services/tuplespace/store.h"
#include "services/tuplespace/wire.h"

#include <string.h>

enum {
    ARENA_MAX = 256 << 20,
    REPLY_MAX = 16 << 20,
    REOPEN_MS = 1000, /* between attempts to get a lost store back */
};
enum { METHOD_WRITE = 801, METHOD_READ, METHOD_TAKE, METHOD_COUNT };

struct config {
    struct plex_base_config base;
    const char *store_dsn;
    uint64_t spaces_max;
    uint64_t tuples_max;
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
        "sqlite:plexspaces-tuplespace.db",
        "where tuples are kept: mem: or sqlite:FILE", 0, 0),
    ROW("spaces_max", PLEX_OPTION_U64, spaces_max, "100000",
        "spaces ever named, over all tenants", 1, 0),
    ROW("tuples_max", PLEX_OPTION_U64, tuples_max, "1000000",
        "tuples held at once", 1, 0),
    ROW("memory_max_bytes", PLEX_OPTION_U64, memory_max_bytes, "268435456",
        "memory for tuples", 1 << 20, 0),
    ROW("waiters_max", PLEX_OPTION_U32, waiters_max, "10000",
        "callers that wait at once", 1, 0),
    ROW("requests_max", PLEX_OPTION_U32, requests_max, "100000",
        "request ids remembered for ten minutes", 1, 0),
    {0},
};

struct state {
    const struct plex_host *host;
    struct config config;
    struct tspace_core *core; /* NULL while the store is lost */
    struct tspace_store *store;
    struct reg_client *registry;
    struct plex_timer *timer;
    struct plex_task commit;
    bool committing; /* `commit` is deferred */
    struct plex_arena arena;
    struct plex_counter *written, *taken, *commits, *failures;
};

static struct tspace_now
now(void)
{
    return (struct tspace_now){plex_now(), plex_wall_ms()};
}

static uint64_t
read_tuples(void *arg)
{
    const struct state *state = arg;

    return state->core != NULL ? tspace_core_stats(state->core).tuples : 0;
}

static uint64_t
read_waiters(void *arg)
{
    const struct state *state = arg;

    return state->core != NULL ? tspace_core_stats(state->core).waiters : 0;
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
    const struct tspace_config config = {
        .spaces_max = state->config.spaces_max,
        .tuples_max = state->config.tuples_max,
        .bytes_max = state->config.memory_max_bytes,
        .waiters_max = state->config.waiters_max,
        .requests_max = state->config.requests_max,
        .gone = caller_gone,
    };

    if (tspace_store_open(&state->store, state->config.store_dsn, err) !=
        PLEX_OK)
        return err->status;
    state->core = tspace_core_create(&config);
    if (tspace_store_load(state->store, state->core, err) == PLEX_OK)
        return PLEX_OK;
    tspace_core_free(state->core);
    state->core = NULL;
    tspace_store_close(state->store);
    state->store = NULL;
    return plex_err_wrap(err, "could not load \"%s\"", state->config.store_dsn);
}

static void
timer_arm(struct state *state)
{
    const uint64_t wait = state->core == NULL
                              ? REOPEN_MS
                              : tspace_core_wait_ms(state->core, now());

    if (wait == UINT64_MAX)
        plex_timer_stop(state->timer);
    else
        plex_timer_start(state->timer, wait);
}

/* -- one commit per iteration ---------------------------------------------- */

static void
reply_make(struct state *state, const struct tspace_action *action,
           struct plex_replies *replies)
{
    struct plex_reply *reply = plex_replies_add(
        replies, action->call, action->status, action->text, REPLY_MAX);

    if (action->status != PLEX_OK)
        return;
    plex_arena_reset(&state->arena);
    reply->status = tspace_wire_answer(action->answer, &state->arena,
                                       &reply->payload, &reply->err);
}

static void
count_action(struct state *state, const struct tspace_action *action)
{
    if (action->kind == TSPACE_PUT)
        state->written->value++;
    else if (action->kind == TSPACE_REMOVE)
        state->taken->value++;
}

static enum plex_status
actions_apply(struct state *state, struct plex_replies *replies,
              struct plex_err *err)
{
    enum plex_status status = PLEX_OK;
    struct tspace_action action;

    while (tspace_core_next(state->core, &action)) {
        if (action.kind == TSPACE_REPLY) {
            reply_make(state, &action, replies);
            continue;
        }
        count_action(state, &action);
        if (status == PLEX_OK)
            status = tspace_store_apply(state->store, &action, err);
    }
    return status;
}

/* What the core holds was not stored: forget it and start from the store. */
static void
store_lost(struct state *state, struct plex_replies *replies,
           const struct plex_err *err)
{
    struct tspace_action action;

    plex_log(PLEX_LOG_ERROR, "store_lost", "%s", err->text);
    state->failures->value++;
    tspace_store_rollback(state->store);
    tspace_core_fail_waiters(state->core, err->text);
    while (tspace_core_next(state->core, &action))
        if (action.kind == TSPACE_REPLY)
            reply_make(state, &action, replies);
    plex_replies_send(replies, err);
    tspace_core_free(state->core);
    state->core = NULL;
    tspace_store_close(state->store);
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
        status = tspace_store_commit(state->store, &err);
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
    tspace_core_tick(state->core, now());
    commit_defer(state);
}

/* -- methods --------------------------------------------------------------- */

/* Readies the arena; false when the call was answered already. */
static bool
call_begin(struct state *state, struct plex_call *call,
           struct tspace_where *where)
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
on_write(void *arg, struct plex_call *call)
{
    struct state *state = arg;
    struct tspace_where where;
    struct tspace_write write;
    struct plex_err err = {0};

    if (!call_begin(state, call, &where))
        return;
    if (tspace_wire_write(plex_call_payload(call), &state->arena, &write,
                          &err) != PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    write.where.tenant = where.tenant;
    write.where.ns = where.ns;
    plex_id_make(write.first_id, plex_wall_ms());
    tspace_core_write(state->core, now(), call, &write);
    commit_defer(state);
}

static void
read_or_take(struct state *state, struct plex_call *call, bool take)
{
    struct tspace_where where;
    struct tspace_read read;
    struct plex_err err = {0};

    if (!call_begin(state, call, &where))
        return;
    if (tspace_wire_read(plex_call_payload(call), take, &state->arena, &read,
                         &err) != PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    read.where.tenant = where.tenant;
    read.where.ns = where.ns;
    tspace_core_read(state->core, now(), call, &read);
    commit_defer(state);
}

static void
on_read(void *arg, struct plex_call *call)
{
    read_or_take(arg, call, false);
}

static void
on_take(void *arg, struct plex_call *call)
{
    read_or_take(arg, call, true);
}

static void
on_count(void *arg, struct plex_call *call)
{
    struct state *state = arg;
    struct plex_buf reply = {.max = 64};
    struct tspace_where where;
    struct tspace_read read;
    struct plex_err err = {0};
    uint64_t count;

    if (!call_begin(state, call, &where))
        return;
    if (tspace_wire_count(plex_call_payload(call), &state->arena, &read,
                          &err) != PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    where.space = read.where.space;
    count = tspace_core_count(state->core, now(), &where, read.patterns,
                              read.n_patterns);
    plex_call_answer(call, tspace_wire_count_reply(count, &reply, &err), &reply,
                     &err);
    plex_buf_free(&reply);
}

static const struct plex_method methods[] = {
    {METHOD_WRITE, "tuplespace.write", on_write},
    {METHOD_READ, "tuplespace.read", on_read},
    {METHOD_TAKE, "tuplespace.take", on_take},
    {METHOD_COUNT, "tuplespace.count", on_count},
    {0},
};

/* -- life ------------------------------------------------------------------ */

static void
metrics_make(struct state *state)
{
    struct plex_metrics *metrics = state->host->metrics;

    state->written = plex_metrics_counter(
        metrics, "plexspaces_tuplespace_written_total", "Tuples stored", "");
    state->taken =
        plex_metrics_counter(metrics, "plexspaces_tuplespace_removed_total",
                             "Tuples taken or expired", "");
    state->commits = plex_metrics_counter(
        metrics, "plexspaces_tuplespace_commits_total", "Transactions", "");
    state->failures = plex_metrics_counter(
        metrics, "plexspaces_tuplespace_store_failures_total",
        "Transactions that failed", "");
    plex_metrics_observe(metrics, "plexspaces_tuplespace_tuples", "Tuples held",
                         "", read_tuples, state);
    plex_metrics_observe(metrics, "plexspaces_tuplespace_waiters",
                         "Callers waiting", "", read_waiters, state);
}

static enum plex_status
check(const void *config, struct plex_err *err)
{
    return tspace_store_check(((const struct config *)config)->store_dsn, err);
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
        .kind = "tuplespace",
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
    tspace_core_fail_waiters(state->core, "the tuple space is shutting down");
    commit_defer(state);
}

static void
stop(void *arg)
{
    struct state *state = arg;

    reg_client_stop(state->registry);
    plex_timer_free(state->timer);
    tspace_core_free(state->core);
    tspace_store_close(state->store);
    plex_arena_fini(&state->arena);
}

const struct plex_service tspace_service = {
    .name = "tuplespace",
    .summary = "a Linda tuple space: write, read, take",
    .options = options,
    .config_size = sizeof(struct config),
    .state_size = sizeof(struct state),
    .methods = methods,
    .check = check,
    .start = start,
    .drain = drain,
    .stop = stop,
};
