/* Options, opening and losing the store, start and stop. */
#include "services/tuplespace/shell.h"

#include "common/log.h"
#include "services/tuplespace/service.h"

#include <string.h>

enum { REOPEN_MS = 1000 /* between attempts to get a lost store back */ };

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
    ROW("spaces_max", PLEX_OPTION_U64, spaces_max, "100000",
        "spaces ever named, over all tenants", 1, 0),
    ROW("tuples_max", PLEX_OPTION_U64, tuples_max, "10000000",
        "tuples held at once", 1, 0),
    ROW("memory_max_bytes", PLEX_OPTION_U64, memory_max_bytes, "2147483648",
        "memory for tuples", 1 << 20, 0),
    ROW("tenant_tuples_max", PLEX_OPTION_U64, tenant_tuples_max, "0",
        "tuples of one tenant; 0: no limit of its own", 0, 0),
    ROW("tenant_bytes_max", PLEX_OPTION_U64, tenant_bytes_max, "0",
        "memory for tuples of one tenant; 0: no limit of its own", 0, 0),
    ROW("tenant_waiters_max", PLEX_OPTION_U32, tenant_waiters_max, "0",
        "callers of one tenant that wait at once; 0: no limit of its own", 0,
        0),
    ROW("waiters_max", PLEX_OPTION_U32, waiters_max, "200000",
        "callers that wait at once", 1, 0),
    ROW("requests_max", PLEX_OPTION_U32, requests_max, "1000000",
        "request ids remembered for ten minutes", 1, 0),
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

struct tspace_now
tspace_shell_now(void)
{
    return (struct tspace_now){plex_now(), plex_wall_ms()};
}

static bool
caller_gone(void *arg, void *call)
{
    const struct tspace_request *request = call;

    (void)arg;
    return request->call != NULL && plex_call_abandoned(request->call);
}

/* -- the store ---------------------------------------------------------------
 */

static struct tspace_core *
core_make(struct tspace_shell *shell, uint64_t epoch)
{
    const struct tspace_shell_config *c = &shell->config;
    struct tspace_config config = {
        .epoch = epoch,
        .spaces_max = c->spaces_max,
        .tuples_max = c->tuples_max,
        .bytes_max = c->memory_max_bytes,
        .tenant_tuples_max = c->tenant_tuples_max,
        .tenant_bytes_max = c->tenant_bytes_max,
        .tenant_waiters_max = c->tenant_waiters_max,
        .waiters_max = c->waiters_max,
        .requests_max = c->requests_max,
        .tx_max = c->transactions_max,
        .subscriptions_max = c->subscriptions_max,
        .events_max = c->events_max,
        .redeliver_ms = c->redeliver_ms,
        .transient = shell->transient,
        .gone = caller_gone,
    };

    plex_random(&config.hash_seed, sizeof config.hash_seed);
    return tspace_core_create(&config);
}

enum plex_status
tspace_shell_open(struct tspace_shell *shell, struct plex_err *err)
{
    uint64_t epoch;

    if (tspace_store_open(&shell->store, shell->config.store_dsn, &epoch,
                          err) != PLEX_OK)
        return err->status;
    shell->transient = tspace_store_is_transient(shell->store);
    shell->core = core_make(shell, epoch);
    if (tspace_store_load(shell->store, shell->core, tspace_shell_now(), err) ==
        PLEX_OK) {
        tspace_shell_commit_later(shell); /* events that are told again */
        return PLEX_OK;
    }
    tspace_core_free(shell->core);
    shell->core = NULL;
    tspace_store_close(shell->store);
    shell->store = NULL;
    return err->status;
}

void
tspace_shell_lost(struct tspace_shell *shell, const struct plex_err *err)
{
    plex_log(PLEX_LOG_ERROR, "store_lost", "%s", err->text);
    shell->failures->value++;
    tspace_events_reset(shell, err->text);
    tspace_core_free(shell->core);
    shell->core = NULL;
    tspace_store_close(shell->store);
    shell->store = NULL;
    if (err->status == PLEX_FENCED)
        plex_service_abort(shell->host, err);
    else
        reg_client_status(shell->registry, REG_NODE_STARTING, "store is lost");
}

void
tspace_shell_arm(struct tspace_shell *shell)
{
    const uint64_t wait =
        shell->core == NULL
            ? REOPEN_MS
            : tspace_core_wait_ms(shell->core, tspace_shell_now());

    if (wait == UINT64_MAX)
        plex_timer_stop(shell->timer);
    else
        plex_timer_start(shell->timer, wait);
}

static void
on_timer(void *arg)
{
    struct tspace_shell *shell = arg;
    struct plex_err err = {0};

    if (shell->core == NULL) {
        if (shell->draining)
            return;
        if (tspace_shell_open(shell, &err) == PLEX_OK)
            reg_client_status(shell->registry, REG_NODE_READY, "");
        else
            plex_log(PLEX_LOG_WARN, "store_unavailable", "%s", err.text);
        tspace_shell_arm(shell);
        return;
    }
    tspace_core_tick(shell->core, tspace_shell_now());
    tspace_shell_commit_later(shell);
}

/* -- metrics -----------------------------------------------------------------
 */

#define READ(name, field)                                                      \
    static uint64_t read_##name(void *arg)                                     \
    {                                                                          \
        const struct tspace_shell *shell = arg;                                \
                                                                               \
        return shell->core != NULL ? tspace_core_stats(shell->core).field : 0; \
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
metrics_make(struct tspace_shell *shell)
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
    struct plex_metrics *metrics = shell->host->metrics;

    for (size_t i = 0; i < sizeof observed / sizeof observed[0]; i++)
        plex_metrics_observe(metrics, observed[i].name, observed[i].help, "",
                             observed[i].read, shell);
    shell->commits = plex_metrics_counter(
        metrics, "plexspaces_tuplespace_commits_total", "Transactions", "");
    shell->failures = plex_metrics_counter(
        metrics, "plexspaces_tuplespace_store_failures_total",
        "Transactions that failed", "");
    shell->events =
        plex_metrics_counter(metrics, "plexspaces_tuplespace_events_total",
                             "Events told to subscriptions", "");
    shell->commit_time = plex_metrics_histogram(
        metrics, "plexspaces_tuplespace_commit_duration_seconds",
        "From the begin of a transaction to its being durable", "");
}

/* -- life --------------------------------------------------------------------
 */

static enum plex_status
check(const void *config, struct plex_err *err)
{
    return tspace_store_check(
        ((const struct tspace_shell_config *)config)->store_dsn, err);
}

static enum plex_status
start(void *arg, const void *config, const struct plex_host *host,
      struct plex_err *err)
{
    struct tspace_shell *shell = arg;

    shell->host = host;
    shell->config = *(const struct tspace_shell_config *)config;
    tspace_shell_commit_init(shell);
    tspace_wire_init(&shell->wire);
    if (tspace_shell_open(shell, err) != PLEX_OK) {
        tspace_wire_fini(&shell->wire);
        return err->status;
    }
    metrics_make(shell);
    shell->timer = plex_timer_create(host->loop, on_timer, shell);
    tspace_events_init(shell);
    shell->registry = reg_client_start(&(struct reg_client_config){
        .host = host,
        .kind = "tuplespace",
    });
    reg_client_status(shell->registry, REG_NODE_READY, "");
    tspace_shell_arm(shell);
    return PLEX_OK;
}

/* Waiting callers would hold up the drain: they may wait elsewhere. */
static void
drain(void *arg)
{
    struct tspace_shell *shell = arg;

    shell->draining = true;
    reg_client_status(shell->registry, REG_NODE_DRAINING, "draining");
    tspace_events_reset(shell, "the tuple space is shutting down");
    if (shell->core == NULL)
        return;
    tspace_core_fail_waiters(shell->core, "the tuple space is shutting down");
    tspace_shell_commit_later(shell);
}

static void
stop(void *arg)
{
    struct tspace_shell *shell = arg;

    reg_client_stop(shell->registry);
    tspace_events_fini(shell);
    plex_timer_free(shell->timer);
    tspace_core_free(shell->core);
    tspace_store_close(shell->store);
    tspace_wire_fini(&shell->wire);
    tspace_shell_commit_fini(shell);
}

const struct plex_service tspace_service = {
    .name = "tuplespace",
    .summary = "a Linda tuple space: write, read, take, transactions, events",
    .options = options,
    .config_size = sizeof(struct tspace_shell_config),
    .state_size = sizeof(struct tspace_shell),
    .methods = tspace_shell_methods,
    .check = check,
    .start = start,
    .drain = drain,
    .stop = stop,
};
