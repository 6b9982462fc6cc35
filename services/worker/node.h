#ifndef SERVICES_WORKER_NODE_H
#define SERVICES_WORKER_NODE_H

#include "services/worker/dist.h"
#include "services/worker/module.h"
#include "services/worker/service.h"

/*
 * The worker as a node of processes: the runtime's hooks, the supervision trees
 * of applications, signals to and from other workers, and what is said about
 * processes. Everything is of the loop thread.
 */
struct work_node;
struct work_facet_setup;

struct work_node_config {
    const struct plex_host *host;
    struct work_modules *modules;
    uint32_t watchdog_ms; /* the runtime's: set by work_node_hooks() */
    /* A message of a process to a virtual actor, name "type/key". Borrowed. */
    void (*to_actor)(void *arg, const struct rt_signal *signal);
    /* A message to PLEX_SERVICE_NODE, on any executor; false: nobody. Borrowed;
     * may be NULL. */
    bool (*to_service)(void *arg, const struct rt_signal *signal);
    /* Every event, on any executor; true: it is not for the stream. May be
     * NULL. */
    bool (*on_event)(void *arg, const struct rt_event *event);
    const char *(*placement_url)(void *arg); /* NULL: not known */
    /* What the type declares, ready to run; NULL and PLEX_OK: nothing. And
     * what facets of processes do to the outside, on any executor. */
    enum plex_status (*facets_setup)(void *arg,
                                     const struct reg_actor_type *type,
                                     struct work_facet_setup **out,
                                     struct plex_err *err);
    void (*facets_free)(struct work_facet_setup *setup);
    void (*on_facet)(void *arg, const struct plex_facet_action *action);
    /* What processes have reserved here has changed; may be NULL. */
    void (*held_changed)(void *arg);
    /* What is claimed has changed: announce it. */
    void (*claims_changed)(void *arg);
    void *arg;
};

enum {
    WORK_EVENTS_MAX = 65536,     /* kept */
    WORK_EVENTS_WAITING = 65536, /* on their way from the executors */
    WORK_EVENTS_ACTORS = 1000,   /* of virtual actors, a second */
    WORK_CONSOLES_MAX = 256,     /* requests to supervisors under way */
    /* So long after the registry's lease has run out trees go on: it gives
     * them to another worker only later (reg_core_config.hold_ms). */
    WORK_TREE_SLACK_MS = 800,
    WORK_TREE_AGAIN_MS = 1000, /* doubles, up to */
    WORK_TREE_AGAIN_MAX_MS = 60000,
};

struct work_node *work_node_create(const struct work_node_config *config);
/* Set all hooks of the runtime that is to be created, and its `arg`. */
void work_node_hooks(struct work_node *node, struct rt_config *config);
/* It has been created. Borrowed until work_node_free(). */
void work_node_begin(struct work_node *node, struct rt *rt);
/* rt_stop() has been called; the loop's tasks may still run. Accepts NULL. */
void work_node_end(struct work_node *node);
/* They have run (plex_loop_flush()). Accepts NULL. */
void work_node_free(struct work_node *node);

/* Every catalogue; kept until the next. */
void work_node_catalog(struct work_node *node, struct reg_catalog *catalog);
/* Twice a second or so; the end of the registry's lease. */
void work_node_tick(struct work_node *node, uint64_t lease_end);
/* Trees that run or are being stopped, borrowed until the next call. */
size_t work_node_claims(struct work_node *node, const struct reg_claim **out);
/* Is there such a type, as far as this worker knows? */
bool work_node_type_known(const struct work_node *node,
                          const struct plex_actor_id *actor);
/* RT_ACTIVATED, RT_DEACTIVATED or RT_FACET. */
void work_node_actor_event(struct work_node *node, enum rt_event_kind kind,
                           const struct plex_actor_id *actor,
                           struct plex_ref process, const char *reason);
/* To a process here or elsewhere. */
void work_node_signal(struct work_node *node, const struct rt_signal *signal);
/* A message from outside to a type that is not virtual: true, and the call is
 * or will be answered. */
struct work_message;
bool work_node_invoke(struct work_node *node, struct plex_call *call,
                      const struct work_message *message);
/* Placement has renewed the lease; `hold`: it asks what is held here. */
void work_node_leased(struct work_node *node, bool hold);
/* What processes have reserved here; what virtual actors have. */
struct place_amounts work_node_held(const struct work_node *node);
void work_node_actors_hold(struct work_node *node,
                           const struct place_amounts *amounts);
/* Another worker is to be empty: what we have started there goes elsewhere. */
void work_node_peer_drains(struct work_node *node, const char *node_id);
/* An operator drains the worker: trees go elsewhere, the rest goes on. */
void work_node_evict(struct work_node *node, bool evicted);
bool work_node_evicted(const struct work_node *node);
/* Stop all trees, in order; true when none is left. */
void work_node_drain(struct work_node *node);
bool work_node_drained(const struct work_node *node);

/*
 * Methods: rows of the service's table. The state must begin with a pointer to
 * the node.
 */
void work_node_on_signals(void *state, struct plex_call *call);
void work_node_on_attach(void *state, struct plex_call *call);
void work_node_on_events(void *state, struct plex_call *call);
void work_node_on_reconnect(void *state, struct plex_call *call);
void work_node_on_post(void *state, struct plex_call *call);
void work_node_on_start_placed(void *state, struct plex_call *call);
void work_node_on_list(void *state, struct plex_call *call);
void work_node_on_get(void *state, struct plex_call *call);
void work_node_on_exit(void *state, struct plex_call *call);
void work_node_on_children(void *state, struct plex_call *call);
void work_node_on_count(void *state, struct plex_call *call);
void work_node_on_start(void *state, struct plex_call *call);
void work_node_on_terminate(void *state, struct plex_call *call);
void work_node_on_restart(void *state, struct plex_call *call);
void work_node_on_delete(void *state, struct plex_call *call);
void work_node_on_plan(void *state, struct plex_call *call);
void work_node_on_change_plan(void *state, struct plex_call *call);
void work_node_on_change_child(void *state, struct plex_call *call);
void work_node_on_facets(void *state, struct plex_call *call);
void work_node_on_attach_facet(void *state, struct plex_call *call);
void work_node_on_detach_facet(void *state, struct plex_call *call);
void work_node_on_invoke_facet(void *state, struct plex_call *call);
void work_node_on_groups(void *state, struct plex_call *call);
void work_node_on_group_members(void *state, struct plex_call *call);
void work_node_on_group_join(void *state, struct plex_call *call);
void work_node_on_group_leave(void *state, struct plex_call *call);
void work_node_on_group_publish(void *state, struct plex_call *call);
void work_node_on_link(void *state, struct plex_call *call);
void work_node_on_unlink(void *state, struct plex_call *call);
void work_node_on_monitor(void *state, struct plex_call *call);
void work_node_on_stats(void *state, struct plex_call *call);
#define WORK_NODE_METHODS                                           \
    {620, "worker.signals", work_node_on_signals},                  \
        {621, "worker.attach", work_node_on_attach},                \
        {622, "worker.events", work_node_on_events},                \
        {623, "worker.reconnect", work_node_on_reconnect},          \
        {WORK_POST_METHOD, "worker.post", work_node_on_post},       \
        {627, "worker.start-placed", work_node_on_start_placed},    \
        {710, "worker.list-processes", work_node_on_list},          \
        {711, "worker.get-process", work_node_on_get},              \
        {712, "worker.exit-process", work_node_on_exit},            \
        {714, "worker.list-children", work_node_on_children},       \
        {715, "worker.count-children", work_node_on_count},         \
        {716, "worker.start-child", work_node_on_start},            \
        {717, "worker.terminate-child", work_node_on_terminate},    \
        {718, "worker.restart-child", work_node_on_restart},        \
        {719, "worker.delete-child", work_node_on_delete},          \
        {720, "worker.list-facets", work_node_on_facets},           \
        {727, "worker.link", work_node_on_link},                    \
        {728, "worker.unlink", work_node_on_unlink},                \
        {729, "worker.monitor", work_node_on_monitor},              \
        {735, "worker.invoke-facet", work_node_on_invoke_facet},    \
        {1901, "worker.groups", work_node_on_groups},               \
        {1902, "worker.group-members", work_node_on_group_members}, \
        {1903, "worker.group-join", work_node_on_group_join},       \
        {1904, "worker.group-leave", work_node_on_group_leave},     \
        {1905, "worker.group-publish", work_node_on_group_publish}, \
        {721, "worker.attach-facet", work_node_on_attach_facet},    \
        {730, "worker.stats", work_node_on_stats},                  \
        {731, "worker.get-plan", work_node_on_plan},                \
        {732, "worker.change-plan", work_node_on_change_plan},      \
        {733, "worker.change-child", work_node_on_change_child},    \
    {                                                               \
        722, "worker.detach-facet", work_node_on_detach_facet       \
    }

#endif
