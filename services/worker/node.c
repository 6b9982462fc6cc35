/* The runtime in the worker: life, hooks, and what is asked of it. */
#include "services/worker/node_private.h"

#include "common/log.h"
#include "common/mem.h"
#include "sdk/c/include/plexspaces/kv.h"

#include <stdlib.h>
#include <string.h>

/* -- hooks, on executors --------------------------------------------------- */

void
node_note_push(struct work_node *node, struct node_note *note)
{
    if (work_queue_push(&node->notes, &note->link))
        plex_loop_post(node->config.host->loop, &node->task);
}

static bool
on_remote(void *arg, const struct rt_signal *signal)
{
    struct work_node *node = arg;

    if (signal->kind == RT_SPAWN && node_is_need(signal->reason))
        return node_place_take(node, signal);
    if (signal->to.node == PLEX_SERVICE_NODE && node->config.to_service != NULL)
        return node->config.to_service(node->config.arg, signal);
    return work_dist_push(node->dist, signal);
}

void
work_node_signal(struct work_node *node, const struct rt_signal *signal)
{
    if (signal->to.node == node->config.host->incarnation)
        rt_deliver(node->rt, signal);
    else
        (void)work_dist_push(node->dist, signal);
}

static void
on_event(void *arg, const struct rt_event *event)
{
    struct work_node *node = arg;

    if (node->config.on_event != NULL &&
        node->config.on_event(node->config.arg, event))
        return;
    node_hold_event(node, event);
    node_event_take(node, event);
}

static void
on_facet(void *arg, const struct plex_facet_action *action)
{
    struct work_node *node = arg;

    node->config.on_facet(node->config.arg, action);
}

static void
on_log(void *arg, const char *process, int level, const char *text)
{
    static const enum plex_log_level levels[] = {PLEX_LOG_ERROR, PLEX_LOG_WARN,
                                                 PLEX_LOG_INFO, PLEX_LOG_DEBUG};
    struct work_node *node = arg;

    /* Executors belong to no service until they say something. */
    plex_log_bind("worker", node->config.host->base->node);
    plex_log(level >= 0 && level <= 3 ? levels[level] : PLEX_LOG_INFO,
             "process", "%s: %s", process, text);
}

/* -- the loop's side ------------------------------------------------------- */

void
node_timer_arm(struct work_node *node)
{
    const uint64_t trees = node_trees_due(node, plex_now());
    const uint64_t events = node_events_due(node);
    const uint64_t due = trees < events ? trees : events;

    if (due == UINT64_MAX)
        plex_timer_stop(node->timer);
    else
        plex_timer_start(node->timer, due / 1000000 + 1);
}

static void
on_timer(void *arg)
{
    struct work_node *node = arg;

    node_trees_look(node);
    node_events_tick(node, plex_now());
    node_timer_arm(node);
}

static void
on_notes(struct plex_task *task)
{
    struct work_node *node = plex_container_of(task, struct work_node, task);
    struct work_link *link = work_queue_take(&node->notes);

    while (link != NULL) {
        struct node_note *note =
            plex_container_of(link, struct node_note, link);

        link = link->next;
        if (node->stopping)
            node_note_drop(note);
        else if (note->kind == NOTE_TREE)
            node_tree_noted(node, note);
        else if (note->kind == NOTE_EVENT)
            node_event_noted(node, note);
        else if (note->kind == NOTE_ERRAND)
            node_errand_noted(node, note);
        else if (note->kind == NOTE_PLACE)
            node_place_noted(node, note);
        else if (note->kind == NOTE_ENDED)
            node_hold_noted(node, note);
        else if (note->kind == NOTE_MOVED)
            node_moves_noted(node, note);
        else if (note->kind == NOTE_SCHEDULED)
            node_schedule_noted(node, note);
        else if (note->kind == NOTE_FACETS)
            node_facets_noted(node, note);
        else if (note->kind == NOTE_GROUP)
            node_group_noted(node, note);
        else
            node_console_noted(node, note);
    }
    if (node->stopping)
        return;
    node_events_tick(node, plex_now());
    node_timer_arm(node);
}

/* Changes with every worker that comes or goes. */
static uint64_t
workers_mark(const struct reg_catalog *catalog)
{
    size_t n;
    const struct reg_node *nodes = reg_catalog_nodes(catalog, &n);
    uint64_t mark = 0;

    for (size_t i = 0; i < n; i++)
        if (strcmp(nodes[i].kind, "worker") == 0 &&
            nodes[i].status == REG_NODE_READY)
            mark ^= nodes[i].incarnation;
    return mark;
}

static bool
has_plain(const struct reg_catalog *catalog)
{
    size_t n;
    const struct reg_app *apps = reg_catalog_apps(catalog, &n);

    for (size_t i = 0; i < n; i++)
        for (size_t t = 0; t < apps[i].n_types; t++)
            if (!apps[i].types[t].is_virtual)
                return true;
    return false;
}

void
work_node_catalog(struct work_node *node, struct reg_catalog *catalog)
{
    struct reg_catalog *old = node->catalog;
    const uint64_t mark = workers_mark(catalog);

    node->catalog = reg_catalog_ref(catalog);
    node->has_plain = has_plain(catalog);
    reg_catalog_unref(old);
    work_dist_catalog(node->dist, catalog);
    if (mark != node->workers) {
        node->workers = mark;
        node_trees_again(node); /* it may be the one that was missed */
    }
    node_lattices_look(node);
    node_trees_look(node);
    node_timer_arm(node);
}

bool
work_node_type_known(const struct work_node *node,
                     const struct plex_actor_id *actor)
{
    return node->catalog != NULL &&
           reg_catalog_type(node->catalog, actor->tenant, actor->ns,
                            actor->type, NULL) != NULL;
}

void
work_node_tick(struct work_node *node, uint64_t lease_end)
{
    const bool allowed =
        lease_end != 0 &&
        plex_now() < lease_end + WORK_TREE_SLACK_MS * UINT64_C(1000000);

    if (node->lattices != NULL)
        node_lattices_look(node);
    if (allowed == node->allowed)
        return;
    node->allowed = allowed;
    if (!allowed && node->trees != NULL)
        plex_log(PLEX_LOG_WARN, "worker.tree",
                 "the lease at the registry has lapsed: another worker may "
                 "run our processes now, so they are stopped");
    node_trees_look(node);
    node_timer_arm(node);
}

void
work_node_evict(struct work_node *node, bool evicted)
{
    if (evicted == node->evicted)
        return;
    node->evicted = evicted;
    node_trees_look(node);
    node_timer_arm(node);
    node->config.claims_changed(node->config.arg);
}

bool
work_node_evicted(const struct work_node *node)
{
    return node->evicted;
}

void
work_node_drain(struct work_node *node)
{
    node->draining = true;
    node_lattices_drain(node);
    node_events_drain(node);
    work_dist_drain(node->dist);
    node_hold_drain(node);
    node_trees_look(node);
}

bool
work_node_drained(const struct work_node *node)
{
    return node->trees == NULL && node_hold_count(node) == 0 &&
           node_lattices_drained(node);
}

void
work_node_leased(struct work_node *node, bool hold)
{
    size_t n = 0;
    const struct reg_node *nodes =
        node->catalog == NULL ? NULL : reg_catalog_nodes(node->catalog, &n);

    if (node->stopping)
        return;
    node_hold_tick(node, hold);
    for (size_t i = 0; i < n; i++)
        if (strcmp(nodes[i].kind, "worker") == 0 &&
            nodes[i].status == REG_NODE_DRAINING)
            node_moves_drained(node, nodes[i].node_id);
}

void
work_node_peer_drains(struct work_node *node, const char *node_id)
{
    if (!node->stopping)
        node_moves_drained(node, node_id);
}

/* -- metrics --------------------------------------------------------------- */

#define READ(name, expression)              \
    static uint64_t read_##name(void *arg)  \
    {                                       \
        const struct work_node *node = arg; \
        struct rt_stats stats;              \
                                            \
        rt_stats(node->rt, &stats);         \
        return (expression);                \
    }
READ(processes, stats.processes)
READ(spawned, stats.spawned)
READ(exited, stats.exited)
READ(messages, stats.messages)
READ(timers, stats.timers)
READ(waiting, stats.waiting)
READ(dropped, stats.dropped)
READ(steals, stats.steals)
READ(parks, stats.parks)
READ(wakes, stats.wakes)
#undef READ

#define READ(name, expression)               \
    static uint64_t read_##name(void *arg)   \
    {                                        \
        const struct work_node *node = arg;  \
        struct work_dist_stats stats;        \
                                             \
        work_dist_stats(node->dist, &stats); \
        return (expression);                 \
    }
READ(peers, stats.peers)
READ(sent, stats.sent)
READ(received, stats.received)
READ(batches, stats.batches)
READ(refused, stats.refused)
READ(broken, stats.broken)
READ(queued, stats.queued_bytes)
#undef READ

static uint64_t
read_lost(void *arg)
{
    return atomic_load(&((struct work_node *)arg)->events_lost);
}

static void
metrics_make(struct work_node *node)
{
    static const struct {
        const char *name, *help;
        uint64_t (*read)(void *arg);
    } rows[] = {
        {"plexspaces_processes", "Processes alive.", read_processes},
        {"plexspaces_processes_spawned_total", "Processes started.",
         read_spawned},
        {"plexspaces_processes_exited_total", "Processes ended.", read_exited},
        {"plexspaces_processes_messages_total", "Messages handled.",
         read_messages},
        {"plexspaces_processes_timers", "Timers set.", read_timers},
        {"plexspaces_turns_waiting",
         "Callbacks of processes and actors that wait in their middle: for an "
         "answer, a message, a time.",
         read_waiting},
        {"plexspaces_processes_dropped_total",
         "Messages dropped: full mailboxes, time to live, repetitions.",
         read_dropped},
        {"plexspaces_executors_steals_total",
         "Times an executor took another's work.", read_steals},
        {"plexspaces_executors_parks_total", "Times an executor slept.",
         read_parks},
        {"plexspaces_executors_wakes_total", "Times one was woken.",
         read_wakes},
        {"plexspaces_peers", "Workers with an open session.", read_peers},
        {"plexspaces_signals_sent_total", "Signals to other workers.",
         read_sent},
        {"plexspaces_signals_received_total", "Signals from other workers.",
         read_received},
        {"plexspaces_signal_batches_total", "Batches of signals sent.",
         read_batches},
        {"plexspaces_signals_refused_total",
         "Signals to workers that do not keep up.", read_refused},
        {"plexspaces_sessions_broken_total", "Sessions with workers lost.",
         read_broken},
        {"plexspaces_signals_queued_bytes", "Waiting for other workers.",
         read_queued},
        {"plexspaces_process_events_lost_total",
         "Events that came faster than they could be kept.", read_lost},
    };
    struct plex_metrics *m = node->config.host->metrics;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        plex_metrics_observe(m, rows[i].name, rows[i].help, "", rows[i].read,
                             node);
}

/* -- life ------------------------------------------------------------------ */

static void
to_actor(void *arg, const struct rt_signal *signal)
{
    struct work_node *node = arg;

    node->config.to_actor(node->config.arg, signal);
}

static void
spawn(void *arg, const struct rt_signal *signal)
{
    node_spawn(arg, signal);
}

static void
request(void *arg, const struct rt_signal *signal)
{
    if (signal->text[0] != '\0')
        node_before_spawn(arg, signal);
}

struct work_node *
work_node_create(const struct work_node_config *config)
{
    struct work_node *node = plex_calloc(1, sizeof *node);
    const struct work_dist_config dist = {.host = config->host,
                                          .to_actor = to_actor,
                                          .spawn = spawn,
                                          .request = request,
                                          .arg = node};

    node->config = *config;
    node->task.run = on_notes;
    node->scratch.max = 16 << 20;
    plex_arena_init(&node->arena, 64 << 20);
    node->ring = plex_calloc(WORK_EVENTS_MAX, sizeof(void *));
    node_holds_create(node);
    node_moves_create(node);
    node->dist = work_dist_create(&dist);
    node->timer = plex_timer_create(config->host->loop, on_timer, node);
    return node;
}

void
work_node_hooks(struct work_node *node, struct rt_config *config)
{
    node->config.watchdog_ms = config->watchdog_ms;
    config->on_event = on_event;
    config->on_remote = on_remote;
    config->on_log = on_log;
    config->on_facet = on_facet;
    config->find = node_find;
    config->name_of = node_name_of;
    config->arg = node;
}

void
work_node_begin(struct work_node *node, struct rt *rt)
{
    node->rt = rt;
    metrics_make(node);
    node_lattices_metrics(node);
    work_dist_begin(node->dist, rt);
}

void
work_node_end(struct work_node *node)
{
    if (node == NULL)
        return;
    node->stopping = true;
    work_dist_end(node->dist);
}

void
work_node_free(struct work_node *node)
{
    if (node == NULL)
        return;
    plex_timer_free(node->timer);
    node_consoles_free(node);
    node_trees_free(node);
    node_lattices_free(node);
    node_asks_free(node);
    node_moves_free(node);
    node_holds_free(node);
    node_events_free(node);
    node_instances_free(node);
    work_dist_free(node->dist);
    node_found_free(node);
    node_plans_free(node);
    node_setups_free(node);
    reg_catalog_unref(node->catalog);
    plex_arena_fini(&node->arena);
    plex_buf_free(&node->scratch);
    free(node->claims);
    free(node);
}

/* -- methods --------------------------------------------------------------- */

static void
node_on_signals(struct work_node *node, struct plex_call *call)
{
    work_dist_on_signals(node->dist, call);
}

static void
node_on_attach(struct work_node *node, struct plex_call *call)
{
    work_dist_on_attach(node->dist, call);
}

static void
node_on_reconnect(struct work_node *node, struct plex_call *call)
{
    work_dist_on_reconnect(node->dist, call);
}

#define METHOD(name)                                              \
    void work_node_on_##name(void *state, struct plex_call *call) \
    {                                                             \
        node_on_##name(*(struct work_node **)state, call);        \
    }
METHOD(signals)
METHOD(attach)
METHOD(events)
METHOD(reconnect)
METHOD(post)
METHOD(start_placed)
METHOD(list)
METHOD(get)
METHOD(exit)
METHOD(link)
METHOD(unlink)
METHOD(monitor)
METHOD(stats)
METHOD(children)
METHOD(count)
METHOD(start)
METHOD(terminate)
METHOD(restart)
METHOD(delete)
METHOD(plan)
METHOD(change_plan)
METHOD(change_child)
METHOD(facets)
METHOD(attach_facet)
METHOD(detach_facet)
METHOD(invoke_facet)
METHOD(groups)
METHOD(group_members)
METHOD(group_join)
METHOD(group_leave)
METHOD(group_publish)
#undef METHOD
