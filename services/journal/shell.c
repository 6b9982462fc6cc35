/* Ties the core to links, store and clock. What one iteration of the loop
 * asked for is committed in one transaction and answered after it. */
#include "common/log.h"
#include "common/mem.h"
#include "services/journal/core.h"
#include "services/journal/methods.h"
#include "services/journal/policy.h"
#include "services/journal/read.h"
#include "services/journal/ready.h"
#include "services/journal/service.h"
#include "services/journal/shell_backup.h"
#include "services/journal/wire.h"

#include <stdlib.h>
#include <string.h>

enum {
    REQUEST_ARENA_MAX = 64 << 20,
    REPLY_MAX = 16 << 20,
    SPARE_MAX = 256,       /* idle requests kept for reuse */
    REOPEN_MS = 1000,      /* between attempts to reach the store */
    RETAIN_AGAIN_MS = 100, /* at most, while there is more to remove */
    RETAIN_SHARE = 10,     /* of the thread's time, for removing: one in ten */
};

struct config {
    struct plex_base_config base;
    const char *store_dsn;
    const char *history;
    const char *master_key_file;
    const char *backup_folder;
    uint32_t compress_bytes;
    uint32_t commit_entries_max;
    uint32_t commit_bytes_max;
    uint32_t queue_entries_max;
    uint32_t queue_bytes_max;
    uint32_t checkpoint_pages;
    uint64_t pages_max;
    uint32_t retain_ms;
    uint32_t retain_rows;
};
#define ROW(name, type, def, help, min, max)                            \
    {                                                                   \
#name, type, offsetof(struct config, name), def, help, min, max \
    }
static const struct plex_option options[] = {
    ROW(store_dsn, PLEX_OPTION_SECRET, "sqlite:plexspaces-journal.db",
        "where turns are kept: mem:, sqlite:<path> or postgres://...", 0, 0),
    ROW(history, PLEX_OPTION_STRING, "3600000,event-stream=3153600000000",
        "how long turns are kept: [TYPE=]MS[/TURNS],...", 0, 0),
    ROW(master_key_file, PLEX_OPTION_STRING, "",
        "keys to seal what is stored with; empty: it is not sealed", 0, 0),
    ROW(backup_folder, PLEX_OPTION_STRING, "plexspaces-backups",
        "where backups are kept; empty: there are none", 0, 0),
    ROW(compress_bytes, PLEX_OPTION_U32, "4096",
        "states of turns from this size on are compressed", 64, 1 << 30),
    ROW(commit_entries_max, PLEX_OPTION_U32, "4096",
        "entries in one transaction", 1, 65536),
    ROW(commit_bytes_max, PLEX_OPTION_U32, "16777216",
        "bytes in one transaction", 1 << 20, 1 << 30),
    ROW(queue_entries_max, PLEX_OPTION_U32, "65536",
        "entries waiting; more are refused", 1, 1 << 24),
    ROW(queue_bytes_max, PLEX_OPTION_U32, "67108864",
        "bytes waiting; more are refused", 1 << 20, 1U << 31),
    ROW(checkpoint_pages, PLEX_OPTION_U32, "4000",
        "SQLite: pages in the log before it is moved into the database", 100,
        1 << 24),
    ROW(pages_max, PLEX_OPTION_U64, "0",
        "SQLite: largest size of the database in pages of 4 KiB; 0: no limit",
        0, 0),
    ROW(retain_ms, PLEX_OPTION_U32, "10000",
        "time between looks for what has expired", 10, 86400000),
    ROW(retain_rows, PLEX_OPTION_U32, "500", "rows removed in one go", 1, 1024),
    {0},
};

/* One request of a link, from its arrival to its answer. */
struct request {
    struct journal_request core;
    struct plex_call *call;
    struct plex_arena arena; /* holds all that `core` points to */
    struct request *spare_next;
};

struct state {
    const struct plex_host *host;
    struct config config;
    struct journal_core *core;
    struct journal_store *store; /* NULL: not open yet */
    struct reg_client *registry;
    struct journal_ready ready;
    struct backups *backups;
    struct plex_timer *reopen, *retain;
    struct plex_task work;
    bool work_deferred, retain_armed, failing;
    struct request *spare;
    size_t n_spare;
    struct plex_buf reply;
    struct journal_reads reads;
    struct plex_counter *commits, *commit_failures, *removed;
    struct plex_counter *entries[4]; /* OK, FENCED, CONFLICT, EXISTS */
    struct plex_histogram *commit_time;
};

/* -- requests -------------------------------------------------------------- */

static struct request *
request_take(struct state *state, struct plex_call *call)
{
    struct request *request = state->spare;

    if (request != NULL) {
        state->spare = request->spare_next;
        state->n_spare--;
        memset(&request->core, 0, sizeof request->core);
    } else {
        request = plex_calloc(1, sizeof *request);
        plex_arena_init(&request->arena, REQUEST_ARENA_MAX);
    }
    request->call = call;
    return request;
}

static void
request_give(struct state *state, struct request *request)
{
    if (state->n_spare == SPARE_MAX) {
        plex_arena_fini(&request->arena);
        free(request);
        return;
    }
    plex_arena_reset(&request->arena);
    request->spare_next = state->spare;
    state->spare = request;
    state->n_spare++;
}

static void
request_fail(struct state *state, struct request *request,
             enum plex_status status, const char *text, uint64_t newest_epoch)
{
    struct plex_err err;

    state->reply.len = 0;
    if (status == PLEX_FENCED &&
        journal_wire_fenced(newest_epoch, &state->reply, &err) != PLEX_OK)
        state->reply.len = 0;
    plex_call_fail(request->call, status, text,
                   (struct plex_bytes){state->reply.data, state->reply.len});
    request_give(state, request);
}

/* Answers with what was encoded, or with why it could not be. */
static void
request_answer(struct state *state, struct request *request,
               enum plex_status status, const struct plex_err *err)
{
    if (status != PLEX_OK) {
        request_fail(state, request, status, err->text, 0);
        return;
    }
    plex_call_reply(request->call,
                    (struct plex_bytes){state->reply.data, state->reply.len});
    request_give(state, request);
}

/* -- reads ----------------------------------------------------------------- */

static void
on_read(void *arg, struct journal_request *core, uint64_t newest_epoch,
        const struct plex_err *err)
{
    struct request *request = plex_container_of(core, struct request, core);

    if (err->status == PLEX_CORRUPT)
        plex_log(PLEX_LOG_ERROR, "journal-corrupt", "%s", err->text);
    if (err->status == PLEX_FENCED)
        request_fail(arg, request, PLEX_FENCED, err->text, newest_epoch);
    else
        request_answer(arg, request, err->status, err);
}

static void
loads_run(struct state *state)
{
    journal_reads_run(&state->reads, state->store, plex_wall_ms(),
                      &state->reply, on_read, state);
}

static void
do_read(struct state *state, struct request *request)
{
    struct plex_err err = {0};
    uint64_t newest = 0;

    if (plex_call_abandoned(request->call)) {
        request_fail(state, request, PLEX_CANCELLED, "nobody waits", 0);
    } else if (request->core.kind == JOURNAL_LOAD) {
        if (journal_reads_add(&state->reads, &request->core, &request->arena))
            loads_run(state);
    } else {
        state->reply.len = 0;
        err.status =
            journal_read(state->store, &request->core, plex_wall_ms(),
                         &request->arena, &state->reply, &newest, &err);
        on_read(state, &request->core, newest, &err);
    }
}

/* -- commits --------------------------------------------------------------- */

static void
retain_arm(struct state *state, uint64_t delay_ms)
{
    if (state->retain_armed)
        return;
    state->retain_armed = true;
    plex_timer_start(state->retain, delay_ms);
}

static void
count_results(struct state *state, const struct journal_commit *commit)
{
    for (size_t i = 0; i < commit->n_entries; i++) {
        switch (commit->results[i]->status) {
        case PLEX_OK:
            state->entries[0]->value++;
            break;
        case PLEX_FENCED:
            state->entries[1]->value++;
            break;
        case PLEX_CONFLICT:
            state->entries[2]->value++;
            break;
        default:
            state->entries[3]->value++;
        }
    }
}

/* Said once when it begins and once when it ends. */
static void
store_health(struct state *state, enum plex_status status, const char *text)
{
    const bool failing = status != PLEX_OK;

    if (failing == state->failing)
        return;
    state->failing = failing;
    if (failing)
        plex_log(PLEX_LOG_ERROR, "journal-store-failing", "commits fail: %s",
                 text);
    else
        plex_log(PLEX_LOG_INFO, "journal-store-recovered",
                 "commits work again");
}

static void
do_commit(struct state *state, struct journal_commit *commit)
{
    const uint64_t start = plex_now();
    struct plex_err err = {0};
    const enum plex_status status =
        journal_store_commit(state->store, commit, &err);

    store_health(state, status, err.text);
    if (status == PLEX_OK) {
        state->commits->value++;
        plex_histogram_record(state->commit_time, (plex_now() - start) / 1000);
        count_results(state, commit);
        retain_arm(state, state->config.retain_ms);
    } else {
        state->commit_failures->value++;
    }
    journal_core_committed(state->core, status, err.text);
}

static void
do_answer(struct state *state, const struct journal_action *action)
{
    struct request *request =
        plex_container_of(action->request, struct request, core);
    struct plex_err err = {0};
    enum plex_status status;

    if (action->status != PLEX_OK) {
        request_fail(state, request, action->status, action->text,
                     action->newest_epoch);
        return;
    }
    state->reply.len = 0;
    if (request->core.kind == JOURNAL_APPEND)
        status =
            journal_wire_results(request->core.results, request->core.n_entries,
                                 &request->arena, &state->reply, &err);
    else
        status = journal_wire_fenced(0, &state->reply, &err);
    request_answer(state, request, status, &err);
}

static void
work_run(struct plex_task *task)
{
    struct state *state = plex_container_of(task, struct state, work);
    struct journal_action action;

    state->work_deferred = false;
    while (journal_core_next(state->core, plex_wall_ms(), &action)) {
        switch (action.kind) {
        case JOURNAL_DO_COMMIT:
            loads_run(state); /* were asked for before */
            do_commit(state, action.commit);
            break;
        case JOURNAL_DO_READ:
            do_read(state,
                    plex_container_of(action.request, struct request, core));
            break;
        case JOURNAL_DO_ANSWER:
            do_answer(state, &action);
            break;
        }
    }
    loads_run(state);
}

/* -- methods --------------------------------------------------------------- */

static void
on_request(struct state *state, struct plex_call *call,
           enum journal_request_kind kind)
{
    struct request *request = request_take(state, call);
    struct plex_err err = {0};

    if (state->store == NULL) {
        request_fail(state, request, PLEX_UNAVAILABLE,
                     "the journal's store is not open yet", 0);
        return;
    }
    if (journal_wire_request(kind, plex_call_payload(call), &request->arena,
                             &request->core, &err) != PLEX_OK) {
        request_fail(state, request, err.status, err.text, 0);
        return;
    }
    journal_core_submit(state->core, &request->core);
    if (state->work_deferred)
        return;
    state->work_deferred = true;
    plex_loop_defer(state->host->loop, &state->work);
}

#define ON(name, kind)                                    \
    static void name(void *state, struct plex_call *call) \
    {                                                     \
        on_request(state, call, kind);                    \
    }
ON(on_append, JOURNAL_APPEND)
ON(on_load, JOURNAL_LOAD)
ON(on_fence, JOURNAL_FENCE)
ON(on_lookup, JOURNAL_LOOKUP)
ON(on_answers, JOURNAL_ANSWERS)
ON(on_history, JOURNAL_HISTORY)
ON(on_at, JOURNAL_AT)
ON(on_verify, JOURNAL_VERIFY)
ON(on_shred, JOURNAL_SHRED)
ON(on_truncate, JOURNAL_TRUNCATE)
ON(on_pending, JOURNAL_PENDING)
#undef ON

static void
on_backup_create(void *arg, struct plex_call *call)
{
    backups_call(((struct state *)arg)->backups, BACKUPS_CREATE, call);
}

static void
on_backup_list(void *arg, struct plex_call *call)
{
    backups_call(((struct state *)arg)->backups, BACKUPS_LIST, call);
}

static void
on_backup_restore(void *arg, struct plex_call *call)
{
    backups_call(((struct state *)arg)->backups, BACKUPS_RESTORE, call);
}

static const struct plex_method methods[] = {
    {JOURNAL_METHOD_APPEND, "journal.append", on_append},
    {JOURNAL_METHOD_LOAD, "journal.load", on_load},
    {JOURNAL_METHOD_FENCE, "journal.fence", on_fence},
    {JOURNAL_METHOD_LOOKUP, "journal.lookup", on_lookup},
    {JOURNAL_METHOD_ANSWERS, "journal.answers", on_answers},
    {JOURNAL_METHOD_PENDING, "journal.pending", on_pending},
    {JOURNAL_METHOD_HISTORY, "journal.history", on_history},
    {JOURNAL_METHOD_AT, "journal.at", on_at},
    {JOURNAL_METHOD_VERIFY, "journal.verify", on_verify},
    {JOURNAL_METHOD_SHRED, "journal.shred", on_shred},
    {JOURNAL_METHOD_TRUNCATE, "journal.truncate", on_truncate},
    {JOURNAL_METHOD_BACKUP_CREATE, "journal.backup_create", on_backup_create},
    {JOURNAL_METHOD_BACKUP_LIST, "journal.backup_list", on_backup_list},
    {JOURNAL_METHOD_BACKUP_RESTORE, "journal.backup_restore",
     on_backup_restore},
    {0},
};

/* -- store ----------------------------------------------------------------- */

static enum plex_status
store_open(struct state *state, struct plex_err *err)
{
    const struct journal_store_config config = {
        .dsn = state->config.store_dsn,
        .checkpoint_pages = state->config.checkpoint_pages,
        .pages_max = state->config.pages_max,
        .history = state->config.history,
        .master_key_file = state->config.master_key_file,
        .compress_bytes = state->config.compress_bytes,
    };
    struct journal_epochs epochs = {0};

    if (journal_store_open(&state->store, &config, err) != PLEX_OK)
        return err->status;
    if (journal_store_epochs(state->store, &epochs, err) != PLEX_OK) {
        journal_store_close(state->store);
        state->store = NULL;
        return err->status;
    }
    journal_core_epochs(state->core, &epochs);
    journal_epochs_fini(&epochs);
    return PLEX_OK;
}

static void
on_reopen(void *arg)
{
    struct state *state = arg;
    struct plex_err err = {0};

    if (store_open(state, &err) == PLEX_OK) {
        plex_log(PLEX_LOG_INFO, "journal-store-open", "the store is open");
        journal_ready_open(&state->ready, state->store);
        retain_arm(state, state->config.retain_ms);
    } else if (err.status == PLEX_UNAVAILABLE) {
        plex_timer_start(state->reopen, REOPEN_MS);
    } else {
        plex_service_abort(state->host, &err);
    }
}

/* Requests are refused until the store is open again. */
static enum plex_status
on_restore_begin(void *arg, struct plex_err *err)
{
    struct state *state = arg;
    bool empty;

    if (state->store == NULL)
        return plex_err_set(err, PLEX_UNAVAILABLE,
                            "the journal's store is not open yet");
    if (journal_core_queued(state->core) > 0)
        return plex_err_set(err, PLEX_CONFLICT, "the journal is being written");
    if (journal_store_empty(state->store, &empty, err) != PLEX_OK)
        return err->status;
    if (!empty)
        return plex_err_set(
            err, PLEX_CONFLICT,
            "the store is not empty; restore into an empty one");
    journal_ready_closed(&state->ready, "restoring a backup");
    journal_store_close(state->store);
    state->store = NULL;
    return PLEX_OK;
}

static void
on_restore_end(void *arg)
{
    on_reopen(arg);
}

static void
on_retain(void *arg)
{
    struct state *state = arg;
    const uint64_t now = plex_wall_ms(), start = plex_now();
    struct journal_retained kept;
    struct plex_err err = {0};
    uint64_t wait;

    state->retain_armed = false;
    if (state->store == NULL)
        return; /* opening it arms the timer again */
    if (journal_store_retain(state->store, now, state->config.retain_rows,
                             &kept, &err) != PLEX_OK) {
        plex_log(PLEX_LOG_WARN, "journal-retain-failed", "%s", err.text);
        retain_arm(state, state->config.retain_ms);
        return;
    }
    state->removed->value += kept.removed;
    if (kept.more) {
        wait = (plex_now() - start) / 1000000 * (RETAIN_SHARE - 1);
        wait = wait < RETAIN_SHARE ? RETAIN_SHARE : wait;
        retain_arm(state, wait < RETAIN_AGAIN_MS ? wait : RETAIN_AGAIN_MS);
    } else if (kept.next_ms > 0) {
        wait = kept.next_ms > now ? kept.next_ms - now : 0;
        if (wait < state->config.retain_ms)
            wait = state->config.retain_ms;
        retain_arm(state, wait);
    }
}

/* -- life ------------------------------------------------------------------ */

static uint64_t
read_bytes(void *arg)
{
    struct state *state = arg;

    return state->store == NULL ? 0 : journal_store_bytes(state->store);
}

static void
metrics_make(struct state *state)
{
    static const char *const labels[] = {"result=\"ok\"", "result=\"fenced\"",
                                         "result=\"conflict\"",
                                         "result=\"exists\""};
    struct plex_metrics *metrics = state->host->metrics;

    for (int i = 0; i < 4; i++)
        state->entries[i] = plex_metrics_counter(
            metrics, "plexspaces_journal_entries_total",
            "Entries that reached the store, by result", labels[i]);
    state->commits = plex_metrics_counter(
        metrics, "plexspaces_journal_commits_total", "Transactions", "");
    state->commit_failures = plex_metrics_counter(
        metrics, "plexspaces_journal_commit_failures_total",
        "Transactions that failed", "");
    state->removed = plex_metrics_counter(
        metrics, "plexspaces_journal_removed_total",
        "Turns removed after their message id expired", "");
    state->commit_time =
        plex_metrics_histogram(metrics, "plexspaces_journal_commit_seconds",
                               "Time of one transaction", "");
    plex_metrics_observe(metrics, "plexspaces_journal_store_bytes",
                         "Size of the store", "", read_bytes, state);
}

static enum plex_status
check(const void *config, struct plex_err *err)
{
    const struct config *c = config;
    struct journal_policy policy = {0};
    enum plex_status status = journal_policy_parse(c->history, &policy, err);

    journal_policy_fini(&policy);
    return status == PLEX_OK ? journal_store_check(c->store_dsn, err) : status;
}

/* A database server may come later; anything else wrong is for a person. */
static bool
may_come_later(const struct state *state, const struct plex_err *err)
{
    return err->status == PLEX_UNAVAILABLE &&
           strncmp(state->config.store_dsn, "postgres", 8) == 0;
}

static void
describe(void *arg, struct reg_node *node)
{
    const struct state *state = arg;

    node->store =
        state->store == NULL ? "" : journal_store_shared(state->store);
}

static void
on_catalog(void *arg, struct reg_catalog *catalog)
{
    journal_ready_catalog(&((struct state *)arg)->ready, catalog);
}

static enum plex_status
start(void *arg, const void *config, const struct plex_host *host,
      struct plex_err *err)
{
    struct state *state = arg;
    const struct config *c = config;

    state->host = host;
    state->config = *c;
    state->work.run = work_run;
    state->reply.max = REPLY_MAX;
    state->core = journal_core_create(&(struct journal_core_config){
        .commit_entries_max = c->commit_entries_max,
        .commit_bytes_max = c->commit_bytes_max,
        .queue_entries_max = c->queue_entries_max,
        .queue_bytes_max = c->queue_bytes_max,
    });
    if (store_open(state, err) != PLEX_OK && !may_come_later(state, err)) {
        journal_core_free(state->core);
        /* Trying again will not mend it: PLEX_EXIT_CONFIG, for a person. */
        if (err->status == PLEX_CORRUPT)
            err->status = PLEX_INVALID;
        return err->status;
    }
    metrics_make(state);
    state->reopen = plex_timer_create(host->loop, on_reopen, state);
    state->retain = plex_timer_create(host->loop, on_retain, state);
    state->backups = backups_create(
        &(struct backups_config){.loop = host->loop,
                                 .dsn = c->store_dsn,
                                 .folder = c->backup_folder,
                                 .restore_begin = on_restore_begin,
                                 .restore_end = on_restore_end,
                                 .arg = state});
    state->registry =
        reg_client_start(&(struct reg_client_config){.host = host,
                                                     .kind = "journal",
                                                     .describe = describe,
                                                     .changed = on_catalog,
                                                     .arg = state});
    journal_ready_init(&state->ready, state->registry, host->base->node);
    if (state->store != NULL) {
        journal_ready_open(&state->ready, state->store);
        retain_arm(state, c->retain_ms);
    } else {
        plex_log(PLEX_LOG_WARN, "journal-store-unavailable", "%s", err->text);
        journal_ready_closed(&state->ready, err->text);
        plex_timer_start(state->reopen, REOPEN_MS);
    }
    return PLEX_OK;
}

static void
drain(void *arg)
{
    struct state *state = arg;

    journal_ready_drain(&state->ready);
}

static void
stop(void *arg)
{
    struct state *state = arg;
    struct request *request;

    reg_client_stop(state->registry);
    backups_free(state->backups);
    plex_timer_free(state->reopen);
    plex_timer_free(state->retain);
    journal_core_free(state->core);
    journal_store_close(state->store);
    while ((request = state->spare) != NULL) {
        state->spare = request->spare_next;
        plex_arena_fini(&request->arena);
        free(request);
    }
    plex_buf_free(&state->reply);
}

const struct plex_service journal_service = {
    .name = "journal",
    .summary = "keeps the turns of durable actors",
    .options = options,
    .config_size = sizeof(struct config),
    .state_size = sizeof(struct state),
    .methods = methods,
    .check = check,
    .start = start,
    .drain = drain,
    .stop = stop,
};
