/* One core and its store: opening, losing, letting go. */
#include "services/tuplespace/shell.h"

#include "common/log.h"

#include <string.h>

enum { REOPEN_MS = 1000 /* between attempts to get a lost store back */ };

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
    const struct tspace_shell_config *c = shell->config;
    struct tspace_config config = {
        .epoch = epoch,
        .shard = shell->shard,
        .spaces_max = c->spaces_max,
        .tuples_max = c->tuples_max,
        .bytes_max = c->memory_max_bytes,
        .tenant_tuples_max = c->tenant_tuples_max,
        .tenant_bytes_max = c->tenant_bytes_max,
        .tenant_waiters_max = c->tenant_waiters_max,
        .tenant_spaces_max = c->tenant_spaces_max,
        .tenant_tx_max = c->tenant_transactions_max,
        .tenant_subscriptions_max = c->tenant_subscriptions_max,
        .tenant_requests_max = c->tenant_requests_max,
        .remember_bytes_max = c->remember_max_bytes,
        .tenant_remember_bytes_max = c->tenant_remember_max_bytes,
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

static void
store_close(struct tspace_shell *shell)
{
    tspace_core_free(shell->core);
    shell->core = NULL;
    tspace_store_close(shell->store);
    shell->store = NULL;
}

enum plex_status
tspace_shell_open(struct tspace_shell *shell, struct plex_err *err)
{
    uint64_t epoch;

    if (tspace_store_open_shard(&shell->store, shell->config->store_dsn,
                                shell->shard, &epoch, err) != PLEX_OK)
        return err->status;
    shell->transient = tspace_store_is_transient(shell->store);
    shell->core = core_make(shell, epoch);
    if (tspace_store_load(shell->store, shell->core, tspace_shell_now(), err) ==
        PLEX_OK) {
        tspace_shell_commit_later(shell); /* events that are told again */
        return PLEX_OK;
    }
    store_close(shell);
    return err->status;
}

void
tspace_shell_lost(struct tspace_shell *shell, const struct plex_err *err)
{
    plex_log(PLEX_LOG_ERROR, "store_lost", "%s", err->text);
    shell->counters->failures->value++;
    tspace_events_reset(shell, err->text);
    store_close(shell);
    tspace_server_status(shell->server);
}

void
tspace_shell_release(struct tspace_shell *shell, const char *text)
{
    shell->owned = false;
    tspace_events_reset(shell, text);
    if (shell->core == NULL)
        return;
    tspace_core_fail_waiters(shell->core, text);
    tspace_shell_commit(shell);
    store_close(shell);
    plex_timer_stop(shell->timer);
}

void
tspace_shell_arm(struct tspace_shell *shell)
{
    uint64_t wait = UINT64_MAX;

    if (shell->core != NULL)
        wait = tspace_core_wait_ms(shell->core, tspace_shell_now());
    else if (shell->owned)
        wait = REOPEN_MS;
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

    if (shell->core != NULL) {
        tspace_core_tick(shell->core, tspace_shell_now());
        tspace_shell_commit_later(shell);
        return;
    }
    if (!shell->owned)
        return;
    if (tspace_shell_open(shell, &err) == PLEX_OK)
        plex_log(PLEX_LOG_INFO, "shard_owned", "shard %u is served here",
                 shell->shard);
    else
        plex_log(PLEX_LOG_WARN, "store_unavailable", "%s", err.text);
    tspace_server_status(shell->server);
    tspace_shell_arm(shell);
}

/* -- life --------------------------------------------------------------------
 */

void
tspace_shell_init(struct tspace_shell *shell, struct tspace_server *server,
                  uint32_t shard)
{
    shell->server = server;
    shell->host = server->host;
    shell->config = &server->config;
    shell->counters = &server->counters;
    shell->shard = shard;
    tspace_shell_commit_init(shell);
    tspace_wire_init(&shell->wire);
    shell->timer = plex_timer_create(server->host->loop, on_timer, shell);
    tspace_events_init(shell);
}

void
tspace_shell_fini(struct tspace_shell *shell)
{
    tspace_events_fini(shell);
    plex_timer_free(shell->timer);
    store_close(shell);
    tspace_wire_fini(&shell->wire);
    tspace_shell_commit_fini(shell);
}
