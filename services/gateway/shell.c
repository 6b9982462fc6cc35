/* Start, stop and the wiring: HTTP in, catalogue and table into the core. */
#include "common/log.h"
#include "services/gateway/gate.h"
#include "services/gateway/local.h"
#include "services/gateway/rest.h"
#include "services/gateway/service.h"

#include <string.h>
#include <strings.h>

#define ROW(name, type, field, def, help, ...)                      \
    {                                                               \
        name, type, offsetof(struct gate_config, field), def, help, \
            __VA_ARGS__                                             \
    }
static const struct plex_option options[] = {
    ROW("http_addr", PLEX_OPTION_STRING, http_addr, "127.0.0.1:8080",
        "HOST:PORT where clients are served", 0, 0),
    ROW("body_max_bytes", PLEX_OPTION_U32, body_max_bytes, "5242880",
        "bytes of a request's body; more is answered 413", 1, WORK_PAYLOAD_MAX),
    ROW("deadline_default_ms", PLEX_OPTION_U32, deadline_default_ms, "30000",
        "for calls that do not say X-Request-Deadline-Ms", 1, 3600000),
    ROW("deadline_max_ms", PLEX_OPTION_U32, deadline_max_ms, "3600000",
        "the longest deadline a client may ask for", 1, 3600000),
    ROW("inflight_max", PLEX_OPTION_U32, inflight_max, "10000",
        "calls in service at once; more are answered 503", 1, 65536),
    ROW("connections_max", PLEX_OPTION_U32, connections_max, "10000",
        "client connections at once", 1, 1000000),
    ROW("idle_s", PLEX_OPTION_U32, idle_s, "60",
        "seconds until an idle or stalled connection is closed", 1, 86400),
    ROW("allow_open", PLEX_OPTION_BOOL, allow_open, "false",
        "serve clients on other addresses than loopback although nobody has "
        "to authenticate",
        0, 0),
    {0},
};

/* -- configuration ----------------------------------------------------------
 */

static enum plex_status
check(const void *config, struct plex_err *err)
{
    const struct gate_config *c = config;

    if (!c->allow_open && !gate_is_local(c->http_addr))
        return plex_err_set(
            err, PLEX_INVALID,
            "http_addr \"%.60s\" is not a loopback address, and clients do "
            "not authenticate yet: use 127.0.0.1:PORT, or set allow_open=true "
            "if everyone who can reach it may do everything",
            c->http_addr);
    if (c->deadline_default_ms > c->deadline_max_ms)
        return plex_err_set(err, PLEX_INVALID,
                            "deadline_default_ms %u is more than "
                            "deadline_max_ms %u",
                            c->deadline_default_ms, c->deadline_max_ms);
    return PLEX_OK;
}

/* -- events -----------------------------------------------------------------
 */

/* A browser that was sent here by somebody else's page. */
static bool
refuse_foreign(const struct gate *gate, struct plex_http_exchange *ex)
{
    const char *host = plex_http_request_header(ex, "Host");
    const char *origin = plex_http_request_header(ex, "Origin");
    struct plex_http_problem problem = {
        .status = 403, .source = "gateway", .request_id = ""};

    if (gate->config.allow_open)
        return false;
    if (origin != NULL && !gate_is_local(origin)) {
        problem.code = "ORIGIN_REFUSED";
        problem.detail = "development mode serves pages of this machine only, "
                         "and Origin names another";
    } else if (host != NULL && !gate_is_local(host)) {
        problem.code = "HOST_REFUSED";
        problem.detail = "development mode is addressed as localhost or by a "
                         "loopback address, and Host says otherwise";
    } else {
        return false;
    }
    plex_http_respond_problem(ex, &problem, NULL);
    return true;
}

/* An actor's id as one segment ("tenant%2Fnamespace%2F..."): no call, which
 * has names there. */
static bool
is_call(const char *path)
{
    return gate_path_segments(path) >= 2 &&
           !gate_send_names(path + sizeof GATE_ACTORS_PREFIX - 1);
}

static void
on_request(void *arg, struct plex_http_exchange *ex)
{
    struct gate *gate = arg;
    const char *path = plex_http_path(ex);

    if (refuse_foreign(gate, ex))
        return;
    if (is_call(path))
        gate_call_begin(gate, ex, NULL, NULL);
    else if (strncmp(path, GATE_INVOCATIONS_PREFIX,
                     sizeof GATE_INVOCATIONS_PREFIX - 1) == 0)
        gate_invocation_begin(gate, ex);
    else
        gate_rest_begin(gate, ex);
}

static void
status_update(struct gate *gate)
{
    if (gate->registry == NULL)
        return;
    if (gate_core_catalog_now(gate->core) == NULL)
        reg_client_status(gate->registry, REG_NODE_STARTING,
                          "waiting for the catalogue");
    else if (gate_core_table_now(gate->core) == NULL)
        reg_client_status(gate->registry, REG_NODE_STARTING,
                          "waiting for the shard table");
    else
        reg_client_status(gate->registry, REG_NODE_READY, "");
}

static void
on_catalog(void *arg, struct reg_catalog *catalog)
{
    struct gate *gate = arg;

    gate_core_catalog(gate->core, catalog);
    gate_rest_catalog(gate);
    status_update(gate);
}

static void
on_table(void *arg, struct place_table *table)
{
    struct gate *gate = arg;

    gate_core_table(gate->core, table, plex_loop_now(gate->host->loop));
    gate_calls_run(gate);
    status_update(gate);
}

static const char *
placement_url(void *arg)
{
    struct gate *gate = arg;

    return reg_client_url(gate->registry, "placement");
}

static void
on_tick(void *arg)
{
    struct gate *gate = arg;

    gate->timer_at = UINT64_MAX;
    /* The loop's time may be a moment older than the timer's. */
    gate_core_tick(gate->core, plex_now());
    gate_calls_run(gate);
}

/* -- metrics ----------------------------------------------------------------
 */

static uint64_t
read_calls(void *arg)
{
    return gate_core_calls(((struct gate *)arg)->core);
}

static uint64_t
read_attempts(void *arg)
{
    return gate_core_stats(((struct gate *)arg)->core)->attempts;
}

static uint64_t
read_retries(void *arg)
{
    return gate_core_stats(((struct gate *)arg)->core)->retries;
}

static uint64_t
read_unknown(void *arg)
{
    return gate_core_stats(((struct gate *)arg)->core)->unknown;
}

static uint64_t
read_waits(void *arg)
{
    return gate_core_stats(((struct gate *)arg)->core)->waits;
}

static void
metrics_init(struct gate *gate)
{
    static const char *const classes[] = {"status=\"1xx\"", "status=\"1xx\"",
                                          "status=\"2xx\"", "status=\"3xx\"",
                                          "status=\"4xx\"", "status=\"5xx\""};
    struct plex_metrics *m = gate->host->metrics;

    for (size_t i = 0; i < 6; i++)
        gate->metrics.answers[i] = plex_metrics_counter(
            m, "plexspaces_gateway_http_answers_total",
            "HTTP requests answered, by status class.", classes[i]);
    gate->metrics.calls =
        plex_metrics_histogram(m, "plexspaces_gateway_call_duration_seconds",
                               "From a call to an actor to its answer.", "");
    plex_metrics_observe(m, "plexspaces_gateway_calls",
                         "Calls to actors in service.", "", read_calls, gate);
    plex_metrics_observe(m, "plexspaces_gateway_attempts_total",
                         "Messages sent to workers for calls.", "",
                         read_attempts, gate);
    plex_metrics_observe(m, "plexspaces_gateway_retries_total",
                         "Messages sent again.", "", read_retries, gate);
    plex_metrics_observe(m, "plexspaces_gateway_unknown_total",
                         "Messages whose outcome was unknown.", "",
                         read_unknown, gate);
    plex_metrics_observe(m, "plexspaces_gateway_owner_waits_total",
                         "Times a call waited for its shard's owner.", "",
                         read_waits, gate);
}

/* -- life -------------------------------------------------------------------
 */

static enum plex_status
http_start(struct gate *gate, struct plex_err *err)
{
    const struct plex_http_config http = {
        .addr = gate->config.http_addr,
        .body_max = gate->config.body_max_bytes,
        .header_max = GATE_HEADER_BYTES_MAX,
        .connections_max = gate->config.connections_max,
        .idle_s = gate->config.idle_s,
        .source = "gateway",
        .handle = on_request,
        .arg = gate,
    };

    if (plex_http_open(&gate->http, gate->host->loop, &http, err) != PLEX_OK)
        return plex_err_wrap(err, "could not serve clients");
    plex_log(PLEX_LOG_INFO, "http", "serving clients at http://%s",
             plex_http_addr(gate->http));
    if (!gate_is_local(gate->config.http_addr))
        plex_log(PLEX_LOG_WARN, "open",
                 "DEVELOPMENT MODE ON AN OPEN ADDRESS: everyone who can reach "
                 "%s may call, deploy and stop everything",
                 plex_http_addr(gate->http));
    else
        plex_log(PLEX_LOG_WARN, "development-mode",
                 "development mode: no credentials are asked for, every "
                 "caller is tenant \"default\"");
    return PLEX_OK;
}

static enum plex_status
start(void *state, const void *config, const struct plex_host *host,
      struct plex_err *err)
{
    struct gate *gate = state;
    const struct reg_client_config client = {
        .host = host, .kind = "gateway", .changed = on_catalog, .arg = gate};
    struct gate_core_config core = {0};

    gate->host = host;
    gate->config = *(const struct gate_config *)config;
    gate->rules = (struct gate_rules){
        .tenant = "default",
        .deadline_default_ms = gate->config.deadline_default_ms,
        .deadline_max_ms = gate->config.deadline_max_ms};
    gate->timer_at = UINT64_MAX;
    core.calls_max = gate->config.inflight_max;
    if (http_start(gate, err) != PLEX_OK)
        return err->status;
    gate->core = gate_core_create(&core);
    gate->timer = plex_timer_create(host->loop, on_tick, gate);
    metrics_init(gate);
    gate->registry = reg_client_start(&client);
    gate->watch = place_watch_start(host->link, host->loop, "default",
                                    placement_url, on_table, gate);
    status_update(gate);
    return PLEX_OK;
}

static void
drain(void *state)
{
    struct gate *gate = state;

    reg_client_status(gate->registry, REG_NODE_DRAINING, "draining");
    gate_events_drain(gate);
    gate_calls_drain(gate);
    plex_http_drain(gate->http);
}

static bool
drained(void *state)
{
    return plex_http_pending(((struct gate *)state)->http) == 0;
}

static void
stop(void *state)
{
    struct gate *gate = state;

    gate_calls_fini(gate);
    gate_tuple_events_fini(gate);
    gate_rest_fini(gate);
    gate_invocations_fini(gate);
    place_watch_stop(gate->watch);
    reg_client_stop(gate->registry);
    plex_http_close(gate->http);
    plex_timer_free(gate->timer);
    gate_core_free(gate->core);
}

static const struct plex_method methods[] = {{0}};

const struct plex_service gate_service = {
    .name = "gateway",
    .summary = "HTTP front door: calls to actors, REST, retries, deadlines",
    .options = options,
    .config_size = sizeof(struct gate_config),
    .state_size = sizeof(struct gate),
    .methods = methods,
    .check = check,
    .start = start,
    .drain = drain,
    .drained = drained,
    .stop = stop,
};
