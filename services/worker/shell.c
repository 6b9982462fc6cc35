/* Ties the core to link, journal, clock and modules. */
#include "services/worker/shell.h"
#include "services/worker/shell_past.h"

#include "common/log.h"
#include "common/mem.h"
#include "common/wire.h"
#include "services/worker/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ACTIONS_AT_ONCE = 4096 };

#define ROW(name, type, field, def, help, ...)                      \
    {                                                               \
        name, type, offsetof(struct work_config, field), def, help, \
            __VA_ARGS__                                             \
    }
static const struct plex_option options[] = {
    ROW("module_dir", PLEX_OPTION_STRING, module_dir, "modules",
        "folder of native actor modules; nothing is loaded from elsewhere", 0,
        0),
    ROW("facet_log_dir", PLEX_OPTION_STRING, facet_log_dir, "",
        "folder for files of logging facets, in one named as the node; \"\": "
        "their lines go into the worker's log",
        0, 0),
    ROW("pool", PLEX_OPTION_STRING, pool, "default",
        "pool whose actor types this worker runs", 0, 0),
    ROW("activations_max", PLEX_OPTION_U32, activations_max, "1000000",
        "actors in memory; idle ones make room", 1, 0),
    ROW("messages_max", PLEX_OPTION_U32, messages_max, "200000",
        "messages waiting, running or not yet durable", 1, 0),
    ROW("memory_max_bytes", PLEX_OPTION_U64, memory_max_bytes, "536870912",
        "memory for those messages and their turns", 16 << 20, 0),
    ROW("unreleased_max", PLEX_OPTION_U32, unreleased_max, "1024",
        "turns of one actor that may run ahead of the journal", 1, 65536),
    ROW("recent_max", PLEX_OPTION_U32, recent_max, "32",
        "recorded answers kept per actor in memory", 1, JOURNAL_RECENT_MAX),
    ROW("appends_max", PLEX_OPTION_U32, appends_max, "8",
        "batches on their way to the journal", 1, 1024),
    ROW("executors", PLEX_OPTION_U32, executors, "0",
        "threads that run actors; 0: as many as there are cores", 0, 1024),
    ROW("processes_max", PLEX_OPTION_U32, processes_max, "16777216",
        "processes alive at once", 1024, 0),
    ROW("watchdog_ms", PLEX_OPTION_U32, watchdog_ms, "1000",
        "a callback that runs longer is reported, and another thread takes "
        "its executor's place; 0: never",
        0, 0),
    ROW("watchdog_exit_ms", PLEX_OPTION_U32, watchdog_exit_ms, "0",
        "a callback that runs for so long ends the worker: what runs here "
        "starts elsewhere; 0: never",
        0, 0),
    ROW("labels", PLEX_OPTION_STRING, offer.labels, "",
        "what placements may ask of this worker: zone=a,disk=ssd", 0, 0),
    ROW("cpu_cores", PLEX_OPTION_U32, offer.cpu_cores, "0",
        "cores that processes may reserve; 0: as many as there are", 0,
        1000000),
    ROW("memory_bytes", PLEX_OPTION_U64, offer.memory_bytes, "0",
        "memory that they may reserve; 0: what the machine has", 0, 0),
    ROW("disk_bytes", PLEX_OPTION_U64, offer.disk_bytes, "0",
        "disk that they may reserve; 0: not counted", 0, 0),
    ROW("io_bytes", PLEX_OPTION_U64, offer.io_bytes, "0",
        "reading and writing a second, likewise", 0, 0),
    ROW("network_bytes", PLEX_OPTION_U64, offer.network_bytes, "0",
        "sending and receiving a second, likewise", 0, 0),
    ROW("gpus", PLEX_OPTION_U32, offer.gpus, "0", "devices", 0, 1000000),
    {0},
};

struct work_time
work_now(void)
{
    return (struct work_time){plex_now(), plex_wall_ms()};
}

/* -- running ------------------------------------------------------------------
 */

static void
run(struct work_state *state, const struct work_action *action)
{
    const struct work_bound *bound = action->run.user;

    work_host_run(state->turns, bound->behaviour, bound->facets, action);
}

static void
on_ran(void *arg, const struct work_host_ran *ran)
{
    struct work_state *state = arg;
    const struct work_bound *bound = ran->user;

    if (state->core == NULL)
        return; /* stopped meanwhile */
    if (bound->past != NULL) {
        bound->past->ran(bound->past, &ran->outcomes[0]);
        return;
    }
    for (size_t i = 0; i < ran->n && ran->times != NULL; i++) {
        if (ran->outcomes[i].phase == WORK_WAKES)
            continue;
        bound->turns->value++;
        plex_histogram_record(state->wait_us, ran->times[i].wait_ns / 1000);
        plex_histogram_record(state->turn_us, ran->times[i].run_ns / 1000);
    }
    work_core_ran_ahead(state->core, work_now(), ran->token, ran->outcomes,
                        ran->n);
}

static void
on_ran_all(void *arg)
{
    struct work_state *state = arg;

    if (state->core != NULL)
        work_pump(state);
}

struct sending {
    struct work_state *state;
    uint64_t token;
};

static void
on_sent(void *arg, enum plex_status status, const char *text,
        const struct work_reply *reply)
{
    struct sending *sending = arg;
    struct work_state *state = sending->state;

    (void)text;
    if (status == PLEX_NOT_OWNER && reply != NULL && state->watch != NULL)
        place_watch_hint(state->watch, reply->table_version);
    work_core_sent(state->core, work_now(), sending->token, status,
                   status == PLEX_OK ? reply : NULL);
    free(sending);
    work_pump(state);
}

static void
send(struct work_state *state, const struct work_action *action)
{
    const struct work_message *m = action->send.message;
    struct plex_context context = plex_context_none;
    struct sending *sending = plex_calloc(1, sizeof *sending);
    char id[PLEX_REQUEST_ID_MAX + 1];

    /* The same for each attempt: the receiver then knows a repetition from a
     * second message. */
    (void)snprintf(id, sizeof id, "%.*s", (int)m->id.len,
                   (const char *)m->id.data);
    sending->state = state;
    sending->token = action->token;
    context.tenant = m->to.tenant;
    context.ns = m->to.ns;
    context.request_id = id;
    context.deadline = plex_now() + action->send.timeout_ms * UINT64_C(1000000);
    (void)work_client_invoke(state->host->link, action->send.url, &context, m,
                             on_sent, sending);
}

static void
timer_arm(struct work_state *state)
{
    const struct work_time t = work_now();
    const uint64_t in = work_core_due_in(state->core, t);
    uint64_t at;

    if (in == UINT64_MAX)
        return;
    at = t.now_ns + in;
    /* A timer that fires too early only looks and is armed again. */
    if (at >= state->timer_at)
        return;
    state->timer_at = at;
    plex_timer_start(state->timer, (in + 999999) / 1000000);
}

/* Actors that keep each other busy must not keep the loop from its peers:
 * after a while the rest is posted. True when something was done. */
static bool
actions(struct work_state *state)
{
    struct work_action action;
    size_t n = 0;

    while (n < ACTIONS_AT_ONCE && work_core_next(state->core, &action)) {
        n++;
        switch (action.kind) {
        case WORK_DO_RUN:
            run(state, &action);
            break;
        case WORK_DO_ANSWER:
            work_answer(state, &action);
            break;
        case WORK_DO_SEND:
            send(state, &action);
            break;
        case WORK_DO_ABANDON:
            work_host_abandon(state->turns, action.abandon.activation,
                              action.abandon.reason);
            break;
        case WORK_DO_REVOKE:
            work_host_revoke(state->turns, action.revoke.activation);
            break;
        case WORK_DO_LOAD:
        case WORK_DO_APPEND:
        case WORK_DO_FENCE:
        case WORK_DO_LOOKUP:
        case WORK_DO_PENDINGS:
            work_journal(state, &action);
            break;
        }
    }
    if (n == ACTIONS_AT_ONCE && !state->resuming) {
        state->resuming = true;
        plex_loop_post(state->host->loop, &state->resume);
    }
    return n > 0 && n < ACTIONS_AT_ONCE;
}

static void
on_resume(struct plex_task *task)
{
    struct work_state *state =
        plex_container_of(task, struct work_state, resume);

    state->resuming = false;
    if (state->core != NULL) /* NULL: stopped meanwhile */
        work_pump(state);
}

static void
on_flush(struct plex_task *task)
{
    struct work_state *state =
        plex_container_of(task, struct work_state, flush);

    state->flushing = false;
    if (state->core == NULL)
        return; /* stopped meanwhile */
    do
        work_core_flush(state->core);
    while (actions(state));
    work_status(state);
    timer_arm(state);
}

void
work_pump(struct work_state *state)
{
    (void)actions(state);
    if (!state->flushing) {
        state->flushing = true;
        plex_loop_defer(state->host->loop, &state->flush);
    }
}

static void
on_timer(void *arg)
{
    struct work_state *state = arg;

    state->timer_at = UINT64_MAX;
    work_core_tick(state->core, work_now());
    work_pump(state);
}

/* -- metrics
 * -------------------------------------------------------------------- */

#define READ(name, expression)                \
    static uint64_t read_##name(void *arg)    \
    {                                         \
        const struct work_state *state = arg; \
        struct work_core_stats stats;         \
                                              \
        work_core_stats(state->core, &stats); \
        return (expression);                  \
    }
READ(activations, stats.activations)
READ(stateless, stats.stateless)
READ(stateless_waiting, stats.stateless_waiting)
READ(messages, stats.messages)
READ(bytes, stats.bytes)
READ(appends, stats.appends)
READ(pendings, stats.pendings)
READ(shards, stats.shards)
READ(replays, stats.replays_total)
READ(fenced, stats.fenced_total)
READ(dropped, stats.dropped_total)
READ(lost, stats.lost_total)
READ(activated, stats.activated_total)
READ(passivated, stats.passivated_total)
#undef READ

#define READ(name)                                      \
    static uint64_t read_runs_##name(void *arg)         \
    {                                                   \
        const struct work_state *state = arg;           \
        struct work_core_runs runs;                     \
                                                        \
        work_core_runs(state->core, work_now(), &runs); \
        return runs.name;                               \
    }
READ(open)
READ(parked)
READ(unexplained)
#undef READ

static void
metrics_make(struct work_state *state)
{
    static const struct {
        const char *name;
        const char *help;
        uint64_t (*read)(void *arg);
    } rows[] = {
        {"plexspaces_worker_activations", "Actors in memory.",
         read_activations},
        {"plexspaces_worker_stateless_activations",
         "Of those, of stateless types.", read_stateless},
        {"plexspaces_worker_stateless_waiting",
         "Messages that wait for one of them.", read_stateless_waiting},
        {"plexspaces_worker_messages",
         "Messages waiting, running or not yet durable.", read_messages},
        {"plexspaces_worker_message_bytes", "Memory of those messages.",
         read_bytes},
        {"plexspaces_worker_appends_in_flight",
         "Batches on their way to the journal.", read_appends},
        {"plexspaces_worker_pendings",
         "Timers, delayed casts and messages under way.", read_pendings},
        {"plexspaces_worker_shards", "Shards served.", read_shards},
        {"plexspaces_worker_replays_total",
         "Messages answered from the record.", read_replays},
        {"plexspaces_worker_fenced_total",
         "Entries refused because of a newer epoch.", read_fenced},
        {"plexspaces_worker_dropped_total",
         "Activations thrown away to be rebuilt.", read_dropped},
        {"plexspaces_worker_commits_lost_total",
         "Times that the store had less than it had confirmed: must be 0.",
         read_lost},
        {"plexspaces_worker_runs_open", "Runs in memory that are not over.",
         read_runs_open},
        {"plexspaces_worker_runs_parked",
         "Of those, runs that wait to be resumed.", read_runs_parked},
        {"plexspaces_worker_runs_unexplained",
         "Of those, runs that nobody could say why they wait: must be 0.",
         read_runs_unexplained},
        {"plexspaces_worker_activated_total", "Actors brought into memory.",
         read_activated},
        {"plexspaces_worker_passivated_total", "Idle actors put out of memory.",
         read_passivated},
    };
    struct plex_metrics *m = state->host->metrics;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        plex_metrics_observe(m, rows[i].name, rows[i].help, "", rows[i].read,
                             state);
    state->other_turns = plex_metrics_counter(
        m, "plexspaces_worker_turns_total", "Turns run.", "type=\"other\"");
    state->wait_us = plex_metrics_histogram(
        m, "plexspaces_worker_mailbox_wait_seconds",
        "From the arrival of a message to its turn.", "");
    state->turn_us =
        plex_metrics_histogram(m, "plexspaces_worker_turn_seconds",
                               "Time in a handler, with its context.", "");
}

/* -- life
 * -------------------------------------------------------------------------- */

static enum plex_status
check(const void *arg, struct plex_err *err)
{
    const struct work_config *config = arg;
    struct stat info;

    if (plex_name_plain("pool", config->pool, strlen(config->pool), err) !=
        PLEX_OK)
        return err->status;
    if (stat(config->module_dir, &info) == 0 && !S_ISDIR(info.st_mode))
        return plex_err_set(err, PLEX_INVALID,
                            "module_dir \"%.150s\" is not a folder",
                            config->module_dir);
    return work_capacity_check(&config->offer, err);
}

bool
work_shell_event(void *arg, const struct rt_event *event)
{
    struct work_state *state = arg;
    const bool is_actor = strcmp(event->behaviour, "virtual-actor") == 0;

    if (state->turns != NULL)
        work_host_on_event(state->turns, event);
    if (event->last && !is_actor) {
        plex_log(PLEX_LOG_WARN, "worker.stuck",
                 "a callback of %s %s has run for %llu ms", event->behaviour,
                 event->name, (unsigned long long)(event->ns / 1000000));
        work_stuck_exit();
    }
    return is_actor;
}

static void
on_actor_lived(void *arg, enum rt_event_kind kind,
               const struct plex_actor_id *actor, struct plex_ref process,
               const char *reason)
{
    struct work_state *state = arg;

    if (state->core != NULL) /* NULL: stopped meanwhile */
        work_node_actor_event(state->node, kind, actor, process, reason);
}

/* Of a virtual actor; processes tell theirs themselves. */
static void
on_facet_event(void *arg, const char *name, const char *text)
{
    struct work_state *state = arg;
    char copy[PLEX_ACTOR_NAME_MAX + 1];
    struct plex_actor_id actor;
    struct plex_err err;

    (void)snprintf(copy, sizeof copy, "%s", name);
    if (state->core != NULL && plex_actor_parse(copy, &actor, &err) == PLEX_OK)
        work_node_actor_event(state->node, RT_FACET, &actor,
                              (struct plex_ref){0}, text);
}

static void
on_process_answer(void *arg, const struct rt_signal *signal)
{
    struct work_state *state = arg;

    if (state->core != NULL) /* NULL: stopped meanwhile */
        work_node_signal(state->node, signal);
}

static enum plex_status
turns_start(struct work_state *state, struct plex_err *err)
{
    struct work_host_config host = {.loop = state->host->loop,
                                    .ran = on_ran,
                                    .pump = on_ran_all,
                                    .inbound = work_mail_inbound,
                                    .answer = on_process_answer,
                                    .lived = on_actor_lived,
                                    .arg = state};
    struct rt_config rt = {.executors =
                               state->config.executors == 0
                                   ? (uint32_t)sysconf(_SC_NPROCESSORS_ONLN)
                                   : state->config.executors,
                           .node = state->host->incarnation,
                           .node_id = state->host->base->node,
                           .watchdog_ms = state->config.watchdog_ms,
                           .watchdog_spare = true,
                           .watchdog_last_ms = state->config.watchdog_exit_ms,
                           .processes_max = state->config.processes_max};

    work_shell_node_create(state);
    work_node_hooks(state->node, &rt);
    if (rt_create(&rt, &state->rt, err) != PLEX_OK)
        return err->status;
    state->services = work_facet_service_create(state->host, state->rt);
    host.rt = state->rt;
    state->turns = work_host_create(&host);
    work_node_begin(state->node, state->rt);
    rt_start(state->rt);
    return PLEX_OK;
}

static enum plex_status
start(void *arg, const void *config, const struct plex_host *host,
      struct plex_err *err)
{
    struct work_state *state = arg;
    struct work_core_config core = work_core_defaults;

    if (check(config, err) != PLEX_OK)
        return err->status;
    state->host = host;
    state->config = *(const struct work_config *)config;
    work_capacity_init(&state->capacity, &state->config.offer);
    core.node_id = host->base->node;
    core.incarnation = host->incarnation;
    core.activations_max = state->config.activations_max;
    core.messages_max = state->config.messages_max;
    core.bytes_max = state->config.memory_max_bytes;
    core.unreleased_max = state->config.unreleased_max;
    core.recent_max = state->config.recent_max;
    core.appends_max = state->config.appends_max;
    core.ahead_max = WORK_AHEAD_MAX;
    plex_random(&core.hash_seed, sizeof core.hash_seed);
    state->core = work_core_create(&core);
    state->modules = work_modules_create(state->config.module_dir);
    state->facets = work_facet_sink_create(host, state->config.facet_log_dir,
                                           host->base->node);
    work_facet_sink_events(state->facets, on_facet_event, state);
    plex_arena_init(&state->arena, PLEX_LINK_FRAME_MAX * 2);
    state->scratch.max = PLEX_WIRE_BYTES_MAX;
    state->flush.run = on_flush;
    state->resume.run = on_resume;
    state->timer = plex_timer_create(host->loop, on_timer, state);
    state->timer_at = UINT64_MAX;
    metrics_make(state);
    if (turns_start(state, err) != PLEX_OK)
        return err->status;
    work_journals_start(state);
    work_peers_start(state);
    work_facet_service_registry(state->services, state->registry);
    return PLEX_OK;
}

static void
drain(void *arg)
{
    struct work_state *state = arg;

    state->draining = true;
    work_core_drain(state->core, work_now());
    work_node_drain(state->node);
    work_status(state);
    work_heartbeat(state);
}

static bool
drained(void *arg)
{
    struct work_state *state = arg;
    struct work_core_stats stats;

    work_core_stats(state->core, &stats);
    if (stats.shards + stats.shards_taking > 0 || stats.messages > 0 ||
        !work_node_drained(state->node))
        return false;
    return work_leave(state);
}

static void
stop(void *arg)
{
    struct work_state *state = arg;
    struct work_broken *broken;
    struct work_bound *bound;

    work_peers_stop(state);
    plex_timer_free(state->timer);
    rt_stop(state->rt);
    work_facet_service_stop(state->services);
    work_facet_sink_stop(state->facets);
    work_shell_node_end(state);
    work_core_free(state->core);
    state->core = NULL;
    work_journals_free(state);
    work_asked_free(state);
    plex_loop_flush(state->host->loop);
    work_host_free(state->turns);
    work_facet_sink_free(state->facets);
    work_facet_service_free(state->services);
    work_node_free(state->node);
    rt_free(state->rt);
    work_modules_free(state->modules);
    work_capacity_fini(&state->capacity);
    while ((bound = state->bounds) != NULL) {
        state->bounds = bound->next;
        free(bound->tenant);
        free(bound->ns);
        free(bound->type);
        work_facets_free(bound->facets);
        free(bound);
    }
    while ((broken = state->broken) != NULL) {
        state->broken = broken->next;
        free(broken->line);
        free(broken);
    }
    plex_arena_fini(&state->arena);
    plex_buf_free(&state->scratch);
}

const struct plex_service work_service = {
    .name = "worker",
    .summary = "runs actors",
    .options = options,
    .config_size = sizeof(struct work_config),
    .state_size = sizeof(struct work_state),
    .methods = work_methods,
    .check = check,
    .start = start,
    .drain = drain,
    .drained = drained,
    .stop = stop,
};
