/* Ties the core to links, store and clock, and keeps the leader's lease. */
#include "services/placement/shell.h"

#include "common/log.h"
#include "common/mem.h"
#include "services/placement/service.h"
#include "services/placement/wire.h"
#include "services/placement/wire_schedule.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    LEADER_RETRY_MS = 200,
    RELEARN_MS = 100,
};

#define ROW(name, type, field, def, help, ...)                       \
    {                                                                \
        name, type, offsetof(struct place_config, field), def, help, \
            __VA_ARGS__                                              \
    }
static const struct plex_option options[] = {
    ROW("listen_url", PLEX_OPTION_STRING, base.listen_url,
        "tcp://127.0.0.1:7402", "where other daemons reach this one", 0, 0),
    ROW("admin_addr", PLEX_OPTION_STRING, base.admin_addr, "127.0.0.1:9102",
        "HTTP address of /healthz, /readyz, /startupz and /metrics; empty: "
        "none",
        0, 0),
    ROW("store_dsn", PLEX_OPTION_SECRET, store_dsn,
        "sqlite:plexspaces-placement.db",
        "where shard tables are kept: mem:, sqlite:FILE or postgres://...", 0,
        0),
    ROW("lease_ms", PLEX_OPTION_U32, lease_ms, "1500",
        "a worker that has not been heard of for so long loses its shards", 600,
        60000),
    ROW("settle_ms", PLEX_OPTION_U32, settle_ms, "2000",
        "from an uneven split to moving shards for it", 0, 600000),
    ROW("leader_ms", PLEX_OPTION_U32, leader_ms, "3000",
        "lease of the leading placement in the store", 1000, 60000),
    {0},
};

/* -- leading --------------------------------------------------------------- */

struct loaded {
    struct place_state *state;
    struct place_table *tables[64];
    size_t n;
};

static enum plex_status
load_one(void *arg, const char *pool, uint64_t version, struct plex_bytes body,
         struct plex_err *err)
{
    struct loaded *loaded = arg;
    struct place_table *table;

    if (loaded->n == sizeof loaded->tables / sizeof loaded->tables[0])
        return plex_err_set(err, PLEX_LIMIT, "more than %zu pools are stored",
                            loaded->n);
    plex_arena_reset(&loaded->state->arena);
    if (place_wire_body_in(body, &loaded->state->arena, &table, err) != PLEX_OK)
        return plex_err_wrap(err, "stored table of pool %s", pool);
    loaded->tables[loaded->n++] = table;
    if (strcmp(table->pool, pool) != 0 || table->version != version)
        return plex_err_set(err, PLEX_CORRUPT,
                            "the stored table of pool %s is that of pool %s, "
                            "version %" PRIu64,
                            pool, table->pool, table->version);
    return PLEX_OK;
}

static enum plex_status
lead(struct place_state *state, struct plex_err *err)
{
    const uint64_t asked = plex_now();
    struct loaded loaded = {.state = state};
    uint64_t epoch;
    enum plex_status status;

    if (place_store_lead(state->store, state->config.base.node, plex_wall_ms(),
                         state->config.leader_ms, &epoch, err) != PLEX_OK)
        return err->status;
    status = place_store_load(state->store, load_one, &loaded, err);
    if (status == PLEX_OK) {
        state->leader_epoch = epoch;
        place_core_lead(state->core, epoch,
                        asked + state->config.leader_ms * UINT64_C(1000000),
                        loaded.tables, loaded.n, plex_now());
    }
    for (size_t i = 0; i < loaded.n; i++)
        place_table_unref(loaded.tables[i]);
    return status;
}

static enum plex_status
renew(struct place_state *state, struct plex_err *err)
{
    const uint64_t asked = plex_now();

    if (place_store_renew(state->store, state->leader_epoch, plex_wall_ms(),
                          state->config.leader_ms, err) != PLEX_OK)
        return err->status;
    place_core_renewed(state->core,
                       asked + state->config.leader_ms * UINT64_C(1000000));
    return PLEX_OK;
}

/* Says whether we can serve, when that changes. */
static void
status_say(struct place_state *state, const char *reason)
{
    if (state->registry == NULL || state->draining)
        return;
    if (place_core_leads(state->core))
        reg_client_status(state->registry, REG_NODE_READY, "");
    else
        reg_client_status(state->registry, REG_NODE_STARTING, reason);
}

static void
on_leader_timer(void *arg)
{
    struct place_state *state = arg;
    struct plex_err err = {0};
    enum plex_status status;

    if (place_core_leads(state->core)) {
        status = renew(state, &err);
        if (status == PLEX_FENCED)
            place_core_resign(state->core, err.text);
    } else {
        status = lead(state, &err);
    }
    /* Once per outage, not once per attempt. */
    if (status != PLEX_OK && !state->lead_failed)
        plex_log(PLEX_LOG_WARN, "leader", "%s", err.text);
    state->lead_failed = status != PLEX_OK;
    place_pump(state);
    status_say(state, err.text);
    plex_timer_start(state->leader_timer, status == PLEX_OK
                                              ? state->config.leader_ms / 3
                                              : LEADER_RETRY_MS);
}

/* -- actions --------------------------------------------------------------- */

static void
save(struct place_state *state, const struct place_action *action)
{
    struct plex_buf body = {.max = PLACE_BODY_MAX};
    struct plex_err err = {0};
    struct place_save what = {
        .pool = action->table->pool,
        .expect_version = action->expect_version,
        .version = action->version,
        .leader_epoch = action->leader_epoch,
    };
    enum plex_status status;

    plex_arena_reset(&state->arena);
    status = place_wire_body_out(action->table, &state->arena, &body, &err);
    if (status == PLEX_OK) {
        what.body = (struct plex_bytes){body.data, body.len};
        status = place_store_save(state->store, &what, &err);
    }
    plex_buf_free(&body);
    if (status != PLEX_OK)
        plex_log(PLEX_LOG_ERROR, "table-save", "%s", err.text);
    else
        state->saves->value++;
    place_core_saved(state->core, action->table->pool, action->version, status,
                     plex_now(), plex_wall_ms());
    if (!place_core_leads(state->core)) {
        status_say(state, "a table could not be saved");
        plex_timer_start(state->leader_timer, RELEARN_MS);
    }
}

static enum plex_status
answer_pack(struct place_state *state, const struct place_action *action,
            struct plex_buf *out, struct plex_err *err)
{
    switch (action->kind) {
    case PLACE_ACTION_HEARTBEAT:
        return place_wire_heartbeat(action->lease_ms, action->version,
                                    action->hold, out, err);
    case PLACE_ACTION_TABLE:
        plex_arena_reset(&state->arena);
        return place_wire_watch(action->version, action->table, &state->arena,
                                out, err);
    case PLACE_ACTION_DRAIN:
        return place_wire_drain(action->shards_left, out, err);
    case PLACE_ACTION_FAIL:
        return plex_err_set(err, action->status, "%s", action->text);
    default: /* an empty message */
        return PLEX_OK;
    }
}

static void
answer(struct place_state *state, const struct place_action *action)
{
    struct plex_buf out = {.max = PLACE_REPLY_MAX};
    struct plex_err err = {0};
    const enum plex_status status = answer_pack(state, action, &out, &err);

    plex_call_answer(action->call, status, &out, &err);
    plex_buf_free(&out);
}

static void
timer_arm(struct place_state *state)
{
    const uint64_t wake = place_core_wake(state->core);
    const uint64_t now = plex_now();

    /* A heartbeat only puts the next end of a lease off; waking for the old
     * one costs less than moving the timer each time. */
    if (wake >= state->timer_ns)
        return;
    state->timer_ns = wake;
    plex_timer_start(state->timer,
                     wake <= now ? 0 : (wake - now + 999999U) / 1000000U);
}

void
place_pump(struct place_state *state)
{
    struct place_action action;

    while (place_core_next(state->core, &action)) {
        if (action.kind == PLACE_ACTION_SAVE)
            save(state, &action);
        else if (action.kind == PLACE_ACTION_NOTE)
            plex_log(PLEX_LOG_INFO, "shards", "%s", action.text);
        else
            answer(state, &action);
        place_table_unref(action.table);
    }
    timer_arm(state);
}

static void
on_timer(void *arg)
{
    struct place_state *state = arg;

    state->timer_ns = UINT64_MAX;
    place_core_tick(state->core, plex_now(), plex_wall_ms());
    place_pump(state);
}

/* -- requests -------------------------------------------------------------- */

static bool
decode(struct place_state *state, struct plex_call *call,
       enum place_method method, struct place_request *request)
{
    struct plex_err err;

    plex_arena_reset(&state->arena);
    if (place_wire_request(method, plex_call_payload(call), &state->arena,
                           request, &err) == PLEX_OK)
        return true;
    plex_call_refuse(call, &err);
    return false;
}

static void
on_heartbeat(void *arg, struct plex_call *call)
{
    struct place_state *state = arg;
    struct place_request request;

    if (!decode(state, call, PLACE_METHOD_HEARTBEAT, &request))
        return;
    place_core_heartbeat(state->core, call, &request.heartbeat, plex_now(),
                         plex_wall_ms());
    place_pump(state);
}

static void
on_watch(void *arg, struct plex_call *call)
{
    struct place_state *state = arg;
    struct place_request request;

    if (!decode(state, call, PLACE_METHOD_WATCH, &request))
        return;
    if (state->draining) {
        plex_call_fail(call, PLEX_UNAVAILABLE, "plex-placement stops",
                       (struct plex_bytes){0});
        return;
    }
    place_core_watch(state->core, call, request.pool, request.have_version,
                     request.timeout_ms, plex_now());
    place_pump(state);
}

static void
on_leave(void *arg, struct plex_call *call)
{
    struct place_state *state = arg;
    struct place_request request;

    if (!decode(state, call, PLACE_METHOD_LEAVE, &request))
        return;
    place_core_leave(state->core, call, request.node_id, request.incarnation,
                     plex_now(), plex_wall_ms());
    place_pump(state);
}

/* Answers that are known at once. */
void
place_answer(struct place_state *state, struct plex_call *call,
             enum plex_status status, struct plex_buf *out,
             struct plex_err *err)
{
    plex_call_answer(call, status, out, err);
    plex_buf_free(out);
    place_pump(state);
}

static void
on_reserve(void *arg, struct plex_call *call)
{
    struct place_state *state = arg;
    const uint64_t now = plex_now();
    struct plex_buf out = {.max = PLACE_REPLY_MAX};
    struct place_request request;
    struct place_granted got;
    struct plex_err err;
    enum plex_status status;

    if (!decode(state, call, PLACE_METHOD_RESERVE, &request))
        return;
    request.ask.until_ns = now + request.ttl_ms * UINT64_C(1000000);
    plex_random(&request.ask.need.randomness,
                sizeof request.ask.need.randomness);
    status = place_core_reserve(state->core, &request.ask, now, &got, &err);
    if (status == PLEX_OK)
        status = place_wire_reserved(&request.ask, &got.held, &state->arena,
                                     &out, &err);
    place_answer(state, call, status, &out, &err);
}

static void
on_release(void *arg, struct plex_call *call)
{
    struct place_state *state = arg;
    struct plex_buf out = {.max = PLACE_REPLY_MAX};
    struct place_request request;
    struct plex_err err;
    enum plex_status status;
    bool was = false;

    if (!decode(state, call, PLACE_METHOD_RELEASE, &request))
        return;
    status = place_core_release(state->core, request.request_id, plex_now(),
                                &was, &err);
    if (status == PLEX_OK)
        status = place_wire_released(was, &out, &err);
    place_answer(state, call, status, &out, &err);
}

static void
on_hold(void *arg, struct plex_call *call)
{
    struct place_state *state = arg;
    struct plex_buf out = {.max = PLACE_REPLY_MAX};
    struct place_request request;
    struct plex_err err;
    enum plex_status status;
    bool again = false;

    if (!decode(state, call, PLACE_METHOD_HOLD, &request))
        return;
    status =
        place_core_hold(state->core, &request.holds, plex_now(), &again, &err);
    if (status == PLEX_OK)
        status = place_wire_hold(again, &out, &err);
    place_answer(state, call, status, &out, &err);
}

static void
on_drain_node(void *arg, struct plex_call *call)
{
    struct place_state *state = arg;
    struct place_request request;

    if (!decode(state, call, PLACE_METHOD_DRAIN_NODE, &request))
        return;
    place_core_drain(state->core, call, request.node_id, request.force,
                     plex_now(), plex_wall_ms());
    place_pump(state);
}

static const struct plex_method methods[] = {
    {PLACE_METHOD_DRAIN_NODE, "drain_node", on_drain_node},
    {PLACE_METHOD_HEARTBEAT, "heartbeat", on_heartbeat},
    {PLACE_METHOD_WATCH, "watch_table", on_watch},
    {PLACE_METHOD_LEAVE, "leave", on_leave},
    {PLACE_METHOD_RESERVE, "reserve", on_reserve},
    {PLACE_METHOD_RELEASE, "release", on_release},
    {PLACE_METHOD_HOLD, "hold", on_hold},
    {PLACE_METHOD_SCHEDULE, "schedule_actor", place_on_schedule},
    {PLACE_METHOD_STATUS, "get_scheduling_status", place_on_status},
    {PLACE_METHOD_CAPACITY, "get_node_capacity", place_on_capacity},
    {PLACE_METHOD_CAPACITIES, "list_node_capacities", place_on_capacities},
    {0},
};

/* -- metrics --------------------------------------------------------------- */

static uint64_t
read_workers(void *arg)
{
    return place_core_stats(((struct place_state *)arg)->core).workers_live;
}

static uint64_t
read_unowned(void *arg)
{
    return place_core_stats(((struct place_state *)arg)->core).shards_unowned;
}

static uint64_t
read_lapses(void *arg)
{
    return place_core_stats(((struct place_state *)arg)->core).lapses;
}

static uint64_t
read_moves(void *arg)
{
    return place_core_stats(((struct place_state *)arg)->core).moves;
}

static uint64_t
read_reservations(void *arg)
{
    return place_core_stats(((struct place_state *)arg)->core).reservations;
}

static uint64_t
read_refused(void *arg)
{
    return place_core_stats(((struct place_state *)arg)->core).refused;
}

static uint64_t
read_leads(void *arg)
{
    return place_core_leads(((struct place_state *)arg)->core);
}

static void
metrics_open(struct place_state *state)
{
    struct plex_metrics *metrics = state->host->metrics;

    plex_metrics_observe(metrics, "plexspaces_placement_workers",
                         "Workers with a live lease.", "", read_workers, state);
    plex_metrics_observe(metrics, "plexspaces_placement_shards_unowned",
                         "Shards that no worker has.", "", read_unowned, state);
    plex_metrics_observe(metrics, "plexspaces_placement_lapses_total",
                         "Workers' leases that ran out.", "", read_lapses,
                         state);
    plex_metrics_observe(metrics, "plexspaces_placement_moves_total",
                         "Shards taken from a living worker.", "", read_moves,
                         state);
    plex_metrics_observe(metrics, "plexspaces_placement_reservations",
                         "What processes have reserved.", "", read_reservations,
                         state);
    plex_metrics_observe(metrics, "plexspaces_placement_refused_total",
                         "Processes for which no worker had room.", "",
                         read_refused, state);
    plex_metrics_observe(metrics, "plexspaces_placement_leader",
                         "1 while this placement leads.", "", read_leads,
                         state);
    state->saves = plex_metrics_counter(
        metrics, "plexspaces_placement_saves_total", "Tables saved.", "");
}

/* -- life ------------------------------------------------------------------ */

static void
place_stop(void *arg)
{
    struct place_state *state = arg;

    reg_client_stop(state->registry);
    plex_timer_free(state->timer);
    plex_timer_free(state->leader_timer);
    place_core_free(state->core);
    place_store_close(state->store);
    plex_arena_fini(&state->arena);
}

static enum plex_status
place_start(void *arg, const void *config, const struct plex_host *host,
            struct plex_err *err)
{
    struct place_state *state = arg;
    struct place_core_config core = place_core_defaults;

    state->host = host;
    state->config = *(const struct place_config *)config;
    core.lease_ms = state->config.lease_ms;
    core.settle_ms = state->config.settle_ms;
    state->core = place_core_create(&core);
    plex_arena_init(&state->arena, PLACE_ARENA_MAX);
    if (place_store_open(&state->store, state->config.store_dsn, err) !=
        PLEX_OK) {
        place_stop(state);
        /* Trying again will not mend it: PLEX_EXIT_CONFIG, for a person. */
        if (err->status == PLEX_CORRUPT)
            err->status = PLEX_INVALID;
        return err->status;
    }
    state->timer = plex_timer_create(host->loop, on_timer, state);
    state->timer_ns = UINT64_MAX;
    state->leader_timer = plex_timer_create(host->loop, on_leader_timer, state);
    metrics_open(state);
    state->registry = reg_client_start(
        &(struct reg_client_config){.host = host, .kind = "placement"});
    on_leader_timer(state);
    return PLEX_OK;
}

/* Who waits for a table is told to ask again, elsewhere or later. */
static void
place_drain(void *arg)
{
    struct place_state *state = arg;

    state->draining = true;
    reg_client_status(state->registry, REG_NODE_DRAINING, "stopping");
    place_core_dismiss(state->core, "plex-placement stops");
    place_pump(state);
}

static enum plex_status
place_check(const void *arg, struct plex_err *err)
{
    return place_store_check(((const struct place_config *)arg)->store_dsn,
                             err);
}

const struct plex_service place_service = {
    .name = "placement",
    .summary = "who runs what: shards, leases, epochs",
    .options = options,
    .config_size = sizeof(struct place_config),
    .state_size = sizeof(struct place_state),
    .methods = methods,
    .check = place_check,
    .start = place_start,
    .drain = place_drain,
    .stop = place_stop,
};
