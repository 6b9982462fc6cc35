/*
 * Options, start and stop, and which namespaces are served here. Over a store
 * that several may share, the catalogue says who owns which shard; two that
 * believe to own one are told apart by its epoch in the store.
 */
#include "common/log.h"
#include "common/mem.h"
#include "common/name.h"
#include "services/tuplespace/client.h"
#include "services/tuplespace/route.h"
#include "services/tuplespace/service.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SHARD_ARENA_MAX = 256 << 20 };

#define ROW(name, type, field, def, help, ...)                              \
    {                                                                       \
        name, type, offsetof(struct tspace_shell_config, field), def, help, \
            __VA_ARGS__                                                     \
    }
static const struct plex_option options[] = {
    ROW("store_dsn", PLEX_OPTION_STRING, store_dsn,
        "sqlite:plexspaces-tuplespace.db",
        "where tuples are kept: mem:, sqlite:FILE, postgres://... or "
        "redis://...",
        0, 0),
    ROW("webhook_allow", PLEX_OPTION_STRING, webhook_allow, "any",
        "where subscriptions may post events: any, public (no loopback or "
        "private address) or none",
        0, 0),
    ROW("spaces_max", PLEX_OPTION_U64, spaces_max, "100000",
        "spaces ever named, over all tenants", 1, 0),
    ROW("tuples_max", PLEX_OPTION_U64, tuples_max, "10000000",
        "tuples held at once", 1, 0),
    ROW("memory_max_bytes", PLEX_OPTION_U64, memory_max_bytes, "2147483648",
        "memory for tuples", 1 << 20, 0),
    ROW("tenant_tuples_max", PLEX_OPTION_U64, tenant_tuples_max, "5000000",
        "tuples of one tenant; 0: no limit of its own", 0, 0),
    ROW("tenant_bytes_max", PLEX_OPTION_U64, tenant_bytes_max, "1073741824",
        "memory for tuples of one tenant; 0: no limit of its own", 0, 0),
    ROW("tenant_waiters_max", PLEX_OPTION_U32, tenant_waiters_max, "100000",
        "callers of one tenant that wait at once; 0: no limit of its own", 0,
        0),
    ROW("tenant_spaces_max", PLEX_OPTION_U32, tenant_spaces_max, "50000",
        "spaces of one tenant; 0: no limit of its own", 0, 0),
    ROW("tenant_transactions_max", PLEX_OPTION_U32, tenant_transactions_max,
        "5000", "open transactions of one tenant; 0: no limit of its own", 0,
        0),
    ROW("tenant_subscriptions_max", PLEX_OPTION_U32, tenant_subscriptions_max,
        "5000", "subscriptions of one tenant; 0: no limit of its own", 0, 0),
    ROW("tenant_requests_max", PLEX_OPTION_U32, tenant_requests_max, "500000",
        "request ids remembered of one tenant; 0: no limit of its own", 0, 0),
    ROW("tenant_remember_max_bytes", PLEX_OPTION_U64, tenant_remember_max_bytes,
        "134217728",
        "memory for tuples in remembered answers of one tenant; 0: no limit of "
        "its own",
        0, 0),
    ROW("waiters_max", PLEX_OPTION_U32, waiters_max, "200000",
        "callers that wait at once", 1, 0),
    ROW("requests_max", PLEX_OPTION_U32, requests_max, "1000000",
        "request ids remembered for ten minutes", 1, 0),
    ROW("remember_max_bytes", PLEX_OPTION_U64, remember_max_bytes, "268435456",
        "memory for tuples in remembered answers", 1 << 20, 0),
    ROW("transactions_max", PLEX_OPTION_U32, transactions_max, "10000",
        "transactions open at once", 1, 0),
    ROW("subscriptions_max", PLEX_OPTION_U32, subscriptions_max, "10000",
        "subscriptions to events", 1, 0),
    ROW("events_max", PLEX_OPTION_U32, events_max, "10000",
        "events of one guaranteed subscription that are not acknowledged; "
        "past it the oldest are dropped",
        1, 0),
    ROW("redeliver_ms", PLEX_OPTION_U32, redeliver_ms, "5000",
        "until a guaranteed event is told again, at first", 10, 3600000),
    {0},
};

/* -- who serves what ---------------------------------------------------------
 */

static enum plex_status
caller_check(const struct tspace_server *server,
             const struct plex_context *context, struct plex_err *err)
{
    if (plex_name_tenant(context->tenant, strlen(context->tenant), err) !=
            PLEX_OK ||
        plex_name_namespace(context->ns, strlen(context->ns), err) != PLEX_OK)
        return err->status;
    if (server->draining)
        return plex_err_set(err, PLEX_UNAVAILABLE,
                            "the tuple space is shutting down");
    return PLEX_OK;
}

bool
tspace_server_begin(struct tspace_server *server, struct tspace_asked *asked)
{
    const struct plex_context *context = plex_call_context(asked->call);
    struct tspace_shell *shell = asked->shell;
    struct plex_err err = {0};
    enum plex_status status = caller_check(server, context, &err);

    if (status == PLEX_OK && shell == NULL)
        shell =
            server->shells +
            (server->shared ? tspace_client_shard(context->tenant, context->ns)
                            : 0);
    if (status == PLEX_OK && !shell->owned)
        status = plex_err_set(&err, PLEX_NOT_OWNER,
                              "namespace \"%s\" is served by another tuple "
                              "space",
                              context->ns);
    else if (status == PLEX_OK && shell->core == NULL)
        status = plex_err_set(&err, PLEX_UNAVAILABLE, "the store is lost");
    if (status != PLEX_OK) {
        plex_call_refuse(asked->call, &err);
        return false;
    }
    tspace_wire_reset(&shell->wire);
    asked->shell = shell;
    asked->where = (struct tspace_where){context->tenant, context->ns, ""};
    return true;
}

void
tspace_server_status(struct tspace_server *server)
{
    unsigned owned = 0, lost = 0;

    if (server->registry == NULL || server->draining)
        return;
    for (uint32_t i = 0; i < server->n_shells; i++) {
        owned += server->shells[i].owned;
        lost += server->shells[i].owned && server->shells[i].core == NULL;
    }
    if (lost > 0 && lost == owned)
        reg_client_status(server->registry, REG_NODE_STARTING, "store is lost");
    else
        reg_client_status(server->registry, REG_NODE_READY, "");
}

/* A new owner opens in an event of its own: restoring takes its time. */
static void
on_catalog(void *arg, struct reg_catalog *catalog)
{
    struct tspace_server *server = arg;

    for (uint32_t i = 0; server->shared && i < server->n_shells; i++) {
        struct tspace_shell *shell = &server->shells[i];
        const struct reg_node *owner = tspace_client_owner(catalog, i);
        const bool own = owner != NULL && !server->draining &&
                         strcmp(owner->node_id, server->host->base->node) == 0;

        if (own == shell->owned)
            continue;
        if (own) {
            shell->owned = true;
            plex_timer_start(shell->timer, 0);
            continue;
        }
        plex_log(PLEX_LOG_INFO, "shard_released", "shard %u moves to %s", i,
                 owner != NULL ? owner->node_id : "nobody");
        tspace_shell_release(shell, "the namespace moves to another owner");
    }
}

void
tspace_server_stats(const struct tspace_server *server,
                    struct tspace_stats *out)
{
    *out = (struct tspace_stats){0};
    for (uint32_t i = 0; i < server->n_shells; i++) {
        const struct tspace_core *core = server->shells[i].core;
        struct tspace_stats one = {0};

        if (core == NULL)
            continue;
        one = tspace_core_stats(core);
        out->tuples += one.tuples;
        out->bytes += one.bytes;
        out->spaces += one.spaces;
        out->waiters += one.waiters;
        out->requests += one.requests;
        out->transactions += one.transactions;
        out->claims += one.claims;
        out->subscriptions += one.subscriptions;
        out->events += one.events;
        out->indexes += one.indexes;
        out->index_bytes += one.index_bytes;
        out->written += one.written;
        out->taken += one.taken;
        out->expired += one.expired;
        out->scanned += one.scanned;
    }
}

/* -- metrics -----------------------------------------------------------------
 */

#define READ(name, field)                  \
    static uint64_t read_##name(void *arg) \
    {                                      \
        struct tspace_stats stats;         \
                                           \
        tspace_server_stats(arg, &stats);  \
        return stats.field;                \
    }
READ(tuples, tuples)
READ(bytes, bytes)
READ(spaces, spaces)
READ(waiters, waiters)
READ(transactions, transactions)
READ(claims, claims)
READ(subscriptions, subscriptions)
READ(unacknowledged, events)
READ(written, written)
READ(taken, taken)
READ(expired, expired)
READ(scanned, scanned)

static void
metrics_make(struct tspace_server *server)
{
    static const struct {
        const char *name, *help;
        uint64_t (*read)(void *arg);
    } observed[] = {
        {"plexspaces_tuplespace_tuples", "Tuples held", read_tuples},
        {"plexspaces_tuplespace_tuple_bytes", "Memory of tuples", read_bytes},
        {"plexspaces_tuplespace_spaces", "Spaces", read_spaces},
        {"plexspaces_tuplespace_waiters", "Callers waiting", read_waiters},
        {"plexspaces_tuplespace_transactions", "Open transactions",
         read_transactions},
        {"plexspaces_tuplespace_claims", "Claims not confirmed", read_claims},
        {"plexspaces_tuplespace_subscriptions", "Subscriptions",
         read_subscriptions},
        {"plexspaces_tuplespace_unacknowledged",
         "Guaranteed events not acknowledged", read_unacknowledged},
        {"plexspaces_tuplespace_written_total", "Tuples written", read_written},
        {"plexspaces_tuplespace_taken_total", "Tuples taken", read_taken},
        {"plexspaces_tuplespace_expired_total", "Leases that ran out",
         read_expired},
        {"plexspaces_tuplespace_scanned_total",
         "Tuples looked at in search of a match", read_scanned},
    };
    struct plex_metrics *metrics = server->host->metrics;
    struct tspace_counters *counters = &server->counters;

    for (size_t i = 0; i < sizeof observed / sizeof observed[0]; i++)
        plex_metrics_observe(metrics, observed[i].name, observed[i].help, "",
                             observed[i].read, server);
    counters->commits = plex_metrics_counter(
        metrics, "plexspaces_tuplespace_commits_total", "Transactions", "");
    counters->failures = plex_metrics_counter(
        metrics, "plexspaces_tuplespace_store_failures_total",
        "Transactions that failed", "");
    counters->events =
        plex_metrics_counter(metrics, "plexspaces_tuplespace_events_total",
                             "Events told to subscriptions", "");
    counters->undelivered = plex_metrics_counter(
        metrics, "plexspaces_tuplespace_undelivered_total",
        "Events that their target did not accept; guaranteed ones are tried "
        "again",
        "");
    counters->commit_time = plex_metrics_histogram(
        metrics, "plexspaces_tuplespace_commit_duration_seconds",
        "From the begin of a transaction to its being durable", "");
}

/* -- life --------------------------------------------------------------------
 */

static enum plex_status
check(const void *config, struct plex_err *err)
{
    const struct tspace_shell_config *c = config;

    if (tspace_targets_check(c->webhook_allow, err) != PLEX_OK)
        return err->status;
    return tspace_store_check(c->store_dsn, err);
}

static void
stop(void *arg)
{
    struct tspace_server *server = arg;

    reg_client_stop(server->registry);
    for (uint32_t i = 0; i < server->n_shells; i++)
        tspace_shell_fini(&server->shells[i]);
    tspace_spreads_stop(server);
    tspace_targets_stop(server);
    plex_arena_fini(&server->arena);
    plex_arena_fini(&server->parts);
    free(server->shells);
}

static enum plex_status
start(void *arg, const void *config, const struct plex_host *host,
      struct plex_err *err)
{
    struct tspace_server *server = arg;

    server->host = host;
    server->config = *(const struct tspace_shell_config *)config;
    plex_arena_init(&server->arena, SHARD_ARENA_MAX);
    plex_arena_init(&server->parts, SHARD_ARENA_MAX);
    server->shared = tspace_store_is_shared(server->config.store_dsn);
    server->n_shells = server->shared ? TSPACE_SHARDS : 1;
    server->shells = plex_calloc(server->n_shells, sizeof *server->shells);
    metrics_make(server);
    tspace_targets_start(server);
    for (uint32_t i = 0; i < server->n_shells; i++)
        tspace_shell_init(&server->shells[i], server, i);
    if (!server->shared) {
        server->shells[0].owned = true;
        if (tspace_shell_open(&server->shells[0], err) != PLEX_OK) {
            stop(server);
            return err->status;
        }
        tspace_shell_arm(&server->shells[0]);
    }
    server->registry = reg_client_start(&(struct reg_client_config){
        .host = host,
        .kind = "tuplespace",
        .changed = on_catalog,
        .arg = server,
    });
    reg_client_status(server->registry, REG_NODE_READY, "");
    return PLEX_OK;
}

/* Waiting callers would hold up the drain: they may wait elsewhere. */
static void
drain(void *arg)
{
    static const char text[] = "the tuple space is shutting down";
    struct tspace_server *server = arg;

    server->draining = true;
    reg_client_status(server->registry, REG_NODE_DRAINING, "draining");
    for (uint32_t i = 0; i < server->n_shells; i++)
        tspace_shell_release(&server->shells[i], text);
}

const struct plex_service tspace_service = {
    .name = "tuplespace",
    .summary = "a Linda tuple space: write, read, take, transactions, events",
    .options = options,
    .config_size = sizeof(struct tspace_shell_config),
    .state_size = sizeof(struct tspace_server),
    .methods = tspace_server_methods,
    .check = check,
    .start = start,
    .drain = drain,
    .stop = stop,
};
