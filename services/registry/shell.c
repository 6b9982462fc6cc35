/* Ties the core to links, store and clock. */
#include "common/arena.h"
#include "common/log.h"
#include "common/mem.h"
#include "services/registry/client.h"
#include "services/registry/core.h"
#include "services/registry/service.h"
#include "services/registry/shell_keep.h"
#include "services/registry/store.h"
#include "services/registry/wire.h"

#include <stdlib.h>
#include <string.h>

enum { ARENA_MAX = 256 << 20, REPLY_MAX = 16 << 20 };

struct config {
    struct plex_base_config base;
    const char *store_dsn;
    uint32_t lease_ms;
    struct reg_keep_config keep;
};
#define ROW(name, type, field, def, help, ...)                             \
    {                                                                      \
        name, type, offsetof(struct config, field), def, help, __VA_ARGS__ \
    }
static const struct plex_option options[] = {
    ROW("listen_url", PLEX_OPTION_STRING, base.listen_url,
        "tcp://127.0.0.1:7401", "where other daemons reach this one", 0, 0),
    ROW("admin_addr", PLEX_OPTION_STRING, base.admin_addr, "127.0.0.1:9101",
        "HTTP address of /healthz, /readyz, /startupz and /metrics; empty: "
        "none",
        0, 0),
    ROW("store_dsn", PLEX_OPTION_SECRET, store_dsn,
        "sqlite:plexspaces-registry.db",
        "where applications are kept: mem:, sqlite:FILE or postgres://...", 0,
        0),
    ROW("lease_ms", PLEX_OPTION_U32, lease_ms, "1500",
        "a node that has not been heard of for so long is lost", 600, 60000),
    ROW("kv_dsn", PLEX_OPTION_SECRET, keep.kv_dsn, "",
        "where keys are kept: as store_dsn, or redis://HOST:PORT; empty: in "
        "store_dsn",
        0, 0),
    ROW("lock_dsn", PLEX_OPTION_SECRET, keep.lock_dsn, "",
        "where locks are kept: as kv_dsn; empty: in store_dsn", 0, 0),
    ROW("object_dsn", PLEX_OPTION_SECRET, keep.object_dsn, "",
        "where registered objects are kept: as kv_dsn; empty: in store_dsn", 0,
        0),
    ROW("kv_keys_max", PLEX_OPTION_U64, keep.kv_keys_max, "1000000",
        "keys at once, over all tenants", 1, 0),
    ROW("kv_memory_max_bytes", PLEX_OPTION_U64, keep.kv_memory_max_bytes,
        "536870912", "memory for keys and values", 1 << 20, 0),
    ROW("locks_max", PLEX_OPTION_U64, keep.locks_max, "100000",
        "locks held at once", 1, 0),
    ROW("lock_waiters_max", PLEX_OPTION_U32, keep.lock_waiters_max, "10000",
        "callers that wait for locks at once", 1, 0),
    ROW("objects_max", PLEX_OPTION_U64, keep.objects_max, "200000",
        "registered objects at once, over all tenants", 1, 0),
    ROW("objects_memory_max_bytes", PLEX_OPTION_U64,
        keep.objects_memory_max_bytes, "268435456",
        "memory for registered objects", 1 << 20, 0),
    {0},
};

struct state {
    struct reg_keep *keep; /* first: shell_keep.h */
    const struct plex_host *host;
    struct config config;
    struct reg_core *core;
    struct reg_store *store;
    struct reg_client *self;
    struct plex_timer *timer;
    uint64_t timer_ns; /* when it fires; UINT64_MAX: never */
    struct plex_arena arena;
    /* The packed catalogue, for all who ask for the same version. */
    struct plex_buf catalog;
    uint64_t catalog_version;
    bool draining;
};

/* -- actions --------------------------------------------------------------- */

static enum plex_status
put(struct state *state, const struct reg_app_rec *rec, struct plex_err *err)
{
    struct plex_buf body = {.max = REG_BODY_MAX};
    struct reg_store_app app = {
        .tenant = rec->full.app.tenant,
        .ns = rec->full.app.ns,
        .name = rec->full.app.name,
        .revision = rec->full.app.revision,
    };

    plex_arena_reset(&state->arena);
    if (reg_wire_body_out(&rec->full, &state->arena, &body, err) == PLEX_OK) {
        app.body = (struct plex_bytes){body.data, body.len};
        err->status = reg_store_put(state->store, &app, err);
    }
    plex_buf_free(&body);
    return err->status;
}

static void
store_action(struct state *state, const struct reg_action *action)
{
    const struct reg_app *app = &action->app->full.app;
    struct plex_err err = {0};
    enum plex_status status;

    if (action->kind == REG_ACTION_PUT)
        status = put(state, action->app, &err);
    else
        status = reg_store_delete(state->store, app->tenant, app->ns, app->name,
                                  &err);
    if (status != PLEX_OK)
        plex_log(PLEX_LOG_ERROR, "store-write", "%s", err.text);
    reg_core_stored(state->core, status, err.text, plex_now());
}

static enum plex_status
catalog_pack(struct state *state, struct plex_err *err)
{
    const uint64_t version = reg_core_version(state->core);

    if (state->catalog_version == version)
        return PLEX_OK;
    state->catalog.len = 0;
    state->catalog_version = 0;
    plex_arena_reset(&state->arena);
    if (reg_wire_catalog(state->core, plex_now(), &state->arena,
                         &state->catalog, err) != PLEX_OK)
        return err->status;
    state->catalog_version = version;
    return PLEX_OK;
}

static enum plex_status
answer_pack(struct state *state, const struct reg_action *action,
            struct plex_buf *out, struct plex_err *err)
{
    switch (action->kind) {
    case REG_ACTION_ANNOUNCED:
        return reg_wire_announced(action->lease_ms, action->version, out, err);
    case REG_ACTION_CATALOG:
        return reg_wire_unchanged(action->version, out, err);
    case REG_ACTION_APP:
        plex_arena_reset(&state->arena);
        return reg_wire_app(REG_METHOD_DEPLOY, &action->app->full,
                            &state->arena, out, err);
    case REG_ACTION_FAIL:
        return plex_err_set(err, action->status, "%s", action->text);
    default: /* empty messages */
        return PLEX_OK;
    }
}

static void
answer(struct state *state, const struct reg_action *action)
{
    struct plex_buf out = {.max = REPLY_MAX};
    struct plex_err err = {0};
    enum plex_status status;

    if (action->kind == REG_ACTION_CATALOG && !action->unchanged) {
        status = catalog_pack(state, &err);
        plex_call_answer(action->call, status, &state->catalog, &err);
        return;
    }
    status = answer_pack(state, action, &out, &err);
    plex_call_answer(action->call, status, &out, &err);
    plex_buf_free(&out);
}

static void
timer_arm(struct state *state)
{
    const uint64_t wake = reg_core_wake(state->core);
    const uint64_t now = plex_now();

    /* A heartbeat only puts the next end of a lease off; waking for the old
     * one costs less than moving the timer each time. */
    if (wake >= state->timer_ns)
        return;
    state->timer_ns = wake;
    plex_timer_start(state->timer,
                     wake <= now ? 0 : (wake - now + 999999U) / 1000000U);
}

static void
pump(struct state *state)
{
    struct reg_action action;

    while (reg_core_next(state->core, &action)) {
        if (action.kind == REG_ACTION_PUT || action.kind == REG_ACTION_DELETE)
            store_action(state, &action);
        else if (action.kind == REG_ACTION_NOTE)
            plex_log(PLEX_LOG_INFO, "catalogue", "%s", action.text);
        else
            answer(state, &action);
        reg_app_rec_unref(action.app);
    }
    timer_arm(state);
}

static void
on_timer(void *arg)
{
    struct state *state = arg;

    state->timer_ns = UINT64_MAX;
    reg_core_tick(state->core, plex_now());
    pump(state);
}

/* -- requests -------------------------------------------------------------- */

static bool
decode(struct state *state, struct plex_call *call, enum reg_method method,
       struct reg_request *request)
{
    struct plex_err err;

    plex_arena_reset(&state->arena);
    if (reg_wire_request(method, plex_call_payload(call), &state->arena,
                         request, &err) == PLEX_OK)
        return true;
    plex_call_refuse(call, &err);
    return false;
}

/* Everything behind the gateway takes the tenant from the context. */
static const char *
tenant_of(const struct plex_call *call)
{
    const char *tenant = plex_call_context(call)->tenant;

    return tenant[0] == '\0' ? "default" : tenant;
}

static void
on_announce(void *arg, struct plex_call *call)
{
    struct state *state = arg;
    struct reg_request request;

    if (!decode(state, call, REG_METHOD_ANNOUNCE, &request))
        return;
    reg_core_announce(state->core, call, &request.node, plex_now());
    pump(state);
}

static void
on_withdraw(void *arg, struct plex_call *call)
{
    struct state *state = arg;
    struct reg_request request;

    if (!decode(state, call, REG_METHOD_WITHDRAW, &request))
        return;
    reg_core_withdraw(state->core, call, request.node_id, request.incarnation,
                      plex_now());
    pump(state);
}

static void
on_watch(void *arg, struct plex_call *call)
{
    struct state *state = arg;
    struct reg_request request;

    if (!decode(state, call, REG_METHOD_WATCH, &request))
        return;
    if (state->draining) {
        plex_call_fail(call, PLEX_UNAVAILABLE, "plex-registry stops",
                       (struct plex_bytes){0});
        return;
    }
    reg_core_watch(state->core, call, request.have_version, request.timeout_ms,
                   plex_now());
    pump(state);
}

static void
on_list_nodes(void *arg, struct plex_call *call)
{
    struct state *state = arg;
    struct plex_buf out = {.max = REPLY_MAX};
    struct reg_request request;
    struct plex_err err = {0};
    enum plex_status status;

    if (!decode(state, call, REG_METHOD_LIST_NODES, &request))
        return;
    status = reg_wire_nodes(state->core, &request, plex_now(), &state->arena,
                            &out, &err);
    plex_call_answer(call, status, &out, &err);
    plex_buf_free(&out);
}

static enum plex_status
get_node(struct state *state, const char *node_id, struct plex_buf *out,
         struct plex_err *err)
{
    const size_t at = reg_core_node_seek(state->core, node_id);
    struct reg_node node;

    if (at < reg_core_nodes(state->core)) {
        node = reg_core_node(state->core, at, plex_now());
        if (strcmp(node.node_id, node_id) == 0)
            return reg_wire_node(&node, out, err);
    }
    return plex_err_set(err, PLEX_NOT_FOUND, "no node \"%s\" is known",
                        node_id);
}

static void
on_get_node(void *arg, struct plex_call *call)
{
    struct state *state = arg;
    struct plex_buf out = {.max = REPLY_MAX};
    struct reg_request request;
    struct plex_err err = {0};

    if (!decode(state, call, REG_METHOD_GET_NODE, &request))
        return;
    plex_call_answer(call, get_node(state, request.node_id, &out, &err), &out,
                     &err);
    plex_buf_free(&out);
}

static void
on_deploy(void *arg, struct plex_call *call)
{
    struct state *state = arg;
    struct reg_request request;

    if (!decode(state, call, REG_METHOD_DEPLOY, &request))
        return;
    request.app.app.tenant = tenant_of(call);
    reg_core_deploy(state->core, call, &request.app, plex_now(),
                    plex_wall_ms());
    pump(state);
}

static void
on_list_apps(void *arg, struct plex_call *call)
{
    struct state *state = arg;
    struct plex_buf out = {.max = REPLY_MAX};
    struct reg_request request;
    struct plex_err err = {0};
    enum plex_status status;

    if (!decode(state, call, REG_METHOD_LIST_APPS, &request))
        return;
    status = reg_wire_apps(state->core, tenant_of(call), &request,
                           &state->arena, &out, &err);
    plex_call_answer(call, status, &out, &err);
    plex_buf_free(&out);
}

static enum plex_status
get_app(struct state *state, const char *tenant,
        const struct reg_request *request, struct plex_buf *out,
        struct plex_err *err)
{
    const size_t at =
        reg_core_app_seek(state->core, tenant, request->ns, request->name);

    if (at < reg_core_apps(state->core)) {
        const struct reg_app_full *full = &reg_core_app(state->core, at)->full;

        if (strcmp(full->app.tenant, tenant) == 0 &&
            strcmp(full->app.ns, request->ns) == 0 &&
            strcmp(full->app.name, request->name) == 0)
            return reg_wire_app(REG_METHOD_GET_APP, full, &state->arena, out,
                                err);
    }
    return plex_err_set(err, PLEX_NOT_FOUND,
                        "no application \"%s\" in namespace \"%s\"",
                        request->name, request->ns);
}

static void
on_get_app(void *arg, struct plex_call *call)
{
    struct state *state = arg;
    struct plex_buf out = {.max = REPLY_MAX};
    struct reg_request request;
    struct plex_err err = {0};
    enum plex_status status;

    if (!decode(state, call, REG_METHOD_GET_APP, &request))
        return;
    status = get_app(state, tenant_of(call), &request, &out, &err);
    plex_call_answer(call, status, &out, &err);
    plex_buf_free(&out);
}

static void
app_state(struct state *state, struct plex_call *call, enum reg_method method,
          enum reg_app_state to)
{
    struct reg_request request;

    if (!decode(state, call, method, &request))
        return;
    reg_core_set_state(state->core, call, tenant_of(call), request.ns,
                       request.name, to, plex_now());
    pump(state);
}

static void
on_stop_app(void *arg, struct plex_call *call)
{
    app_state(arg, call, REG_METHOD_STOP_APP, REG_APP_STOPPED);
}

static void
on_start_app(void *arg, struct plex_call *call)
{
    app_state(arg, call, REG_METHOD_START_APP, REG_APP_RUNNING);
}

static void
on_undeploy(void *arg, struct plex_call *call)
{
    struct state *state = arg;
    struct reg_request request;

    if (!decode(state, call, REG_METHOD_UNDEPLOY, &request))
        return;
    reg_core_undeploy(state->core, call, tenant_of(call), request.ns,
                      request.name, plex_now());
    pump(state);
}

static const struct plex_method methods[] = {
    {REG_METHOD_ANNOUNCE, "announce", on_announce},
    {REG_METHOD_WITHDRAW, "withdraw", on_withdraw},
    {REG_METHOD_WATCH, "watch", on_watch},
    {REG_METHOD_LIST_NODES, "list_nodes", on_list_nodes},
    {REG_METHOD_GET_NODE, "get_node", on_get_node},
    {REG_METHOD_DEPLOY, "deploy_application", on_deploy},
    {REG_METHOD_LIST_APPS, "list_applications", on_list_apps},
    {REG_METHOD_GET_APP, "get_application_status", on_get_app},
    {REG_METHOD_STOP_APP, "stop_application", on_stop_app},
    {REG_METHOD_START_APP, "start_application", on_start_app},
    {REG_METHOD_UNDEPLOY, "undeploy_application", on_undeploy},
    REG_KEEP_METHODS(REG_KEEP_METHOD_ROW){0},
};

/* -- life ------------------------------------------------------------------ */

static enum plex_status
load_one(void *arg, const struct reg_store_app *app, struct plex_err *err)
{
    struct state *state = arg;
    struct reg_app_full full;

    plex_arena_reset(&state->arena);
    if (reg_wire_body_in(app->body, &state->arena, &full, err) != PLEX_OK)
        return plex_err_wrap(err, "stored application %s/%s/%s", app->tenant,
                             app->ns, app->name);
    full.app.tenant = app->tenant;
    full.app.ns = app->ns;
    full.app.name = app->name;
    return reg_core_load(state->core, &full, err);
}

static enum plex_status
store_open(struct state *state, struct plex_err *err)
{
    uint64_t revision;

    if (reg_store_open(&state->store, state->config.store_dsn, err) !=
            PLEX_OK ||
        reg_store_load(state->store, load_one, state, &revision, err) !=
            PLEX_OK)
        return err->status;
    reg_core_load_revision(state->core, revision);
    return PLEX_OK;
}

static uint64_t
read_nodes(void *arg)
{
    return reg_core_stats(((struct state *)arg)->core).nodes_live;
}

static uint64_t
read_lost(void *arg)
{
    return reg_core_stats(((struct state *)arg)->core).nodes_lost;
}

static uint64_t
read_types(void *arg)
{
    return reg_core_stats(((struct state *)arg)->core).types;
}

static uint64_t
read_watchers(void *arg)
{
    return reg_core_stats(((struct state *)arg)->core).watchers;
}

static void
metrics_open(struct state *state)
{
    struct plex_metrics *metrics = state->host->metrics;

    plex_metrics_observe(metrics, "plexspaces_registry_nodes",
                         "Nodes of the catalogue by state of their lease.",
                         "lease=\"live\"", read_nodes, state);
    plex_metrics_observe(metrics, "plexspaces_registry_nodes",
                         "Nodes of the catalogue by state of their lease.",
                         "lease=\"lost\"", read_lost, state);
    plex_metrics_observe(metrics, "plexspaces_registry_actor_types",
                         "Actor types deployed.", "", read_types, state);
    plex_metrics_observe(metrics, "plexspaces_registry_watchers",
                         "Requests that wait for a new catalogue.", "",
                         read_watchers, state);
}

static void
reg_stop(void *arg)
{
    struct state *state = arg;

    reg_client_stop(state->self);
    reg_keep_stop(state->keep);
    plex_timer_free(state->timer);
    reg_core_free(state->core);
    reg_store_close(state->store);
    plex_buf_free(&state->catalog);
    plex_arena_fini(&state->arena);
}

/* With what is said nowhere else. */
static struct reg_keep_config
keep_config(const struct config *config)
{
    struct reg_keep_config keep = config->keep;

    if (keep.kv_dsn[0] == '\0')
        keep.kv_dsn = config->store_dsn;
    if (keep.lock_dsn[0] == '\0')
        keep.lock_dsn = config->store_dsn;
    if (keep.object_dsn[0] == '\0')
        keep.object_dsn = config->store_dsn;
    return keep;
}

static enum plex_status
reg_start(void *arg, const void *config, const struct plex_host *host,
          struct plex_err *err)
{
    struct state *state = arg;
    struct reg_core_config core = reg_core_defaults;
    struct reg_keep_config keep;

    state->host = host;
    state->config = *(const struct config *)config;
    keep = keep_config(&state->config);
    core.lease_ms = state->config.lease_ms;
    core.grace_ms = state->config.lease_ms;
    core.hold_ms = state->config.lease_ms;
    state->core = reg_core_create(&core, plex_now(), plex_wall_ms());
    keep.catalogue = state->core;
    state->catalog.max = REPLY_MAX;
    plex_arena_init(&state->arena, ARENA_MAX);
    if (store_open(state, err) != PLEX_OK ||
        reg_keep_start(&state->keep, &keep, host, err) != PLEX_OK) {
        reg_stop(state);
        /* Trying again will not mend it: PLEX_EXIT_CONFIG, for a person. */
        if (err->status == PLEX_CORRUPT)
            err->status = PLEX_INVALID;
        return err->status;
    }
    state->timer = plex_timer_create(host->loop, on_timer, state);
    state->timer_ns = UINT64_MAX;
    metrics_open(state);
    state->self = reg_client_start(
        &(struct reg_client_config){.host = host, .kind = "registry"});
    reg_client_status(state->self, REG_NODE_READY, "");
    return PLEX_OK;
}

/* Who waits for news is told to ask again, elsewhere or later. */
static void
reg_drain(void *arg)
{
    struct state *state = arg;

    state->draining = true;
    reg_client_status(state->self, REG_NODE_DRAINING, "stopping");
    reg_core_dismiss(state->core, "plex-registry stops");
    reg_keep_drain(state->keep);
    pump(state);
}

static enum plex_status
reg_check(const void *arg, struct plex_err *err)
{
    const struct config *config = arg;
    const struct reg_keep_config keep = keep_config(config);

    if (reg_store_check(config->store_dsn, err) != PLEX_OK)
        return err->status;
    return reg_keep_check(&keep, err);
}

const struct plex_service reg_service = {
    .name = "registry",
    .summary = "who and what exists: nodes, applications, actor types",
    .options = options,
    .config_size = sizeof(struct config),
    .state_size = sizeof(struct state),
    .methods = methods,
    .check = reg_check,
    .start = reg_start,
    .drain = reg_drain,
    .stop = reg_stop,
};
