#ifndef SERVICES_WORKER_NODE_PRIVATE_H
#define SERVICES_WORKER_NODE_PRIVATE_H

#include "common/arena.h"
#include "common/name.h"
#include "services/placement/client.h"
#include "services/worker/node.h"
#include "services/worker/node_place.h"
#include "services/worker/node_queue.h"

#include <stdio.h>

/* What node.c (life, hooks, catalogue), node_tree.c (supervision trees),
 * node_build.c (behaviours made of manifests), node_event.c (what happened)
 * and node_console.c (what is asked about processes) share. */

/* -- from executors to the loop -------------------------------------------- */

enum node_note_kind {
    NOTE_EVENT = 1, /* node_event.c */
    NOTE_TREE,      /* node_tree.c: a keeper says how its tree is */
    NOTE_CONSOLE,   /* node_console.c: a request is done */
    NOTE_ERRAND,    /* node_invoke.c: a call from outside is done */
    NOTE_PLACE,     /* node_place.c: a start that asks for a worker */
    NOTE_ENDED,     /* node_hold.c: a process that may hold something */
    NOTE_MOVED,     /* node_move.c: a child has been started elsewhere */
    NOTE_FACETS,    /* node_facets.c: a request about facets is done */
    NOTE_GROUP,     /* node_group.c: a process has joined or left */
    NOTE_SCHEDULED, /* node_schedule.c: a process that people asked for runs */
};
struct node_note {
    struct work_link link;
    enum node_note_kind kind;
};

/* -- trees ----------------------------------------------------------------- */

enum tree_state {
    TREE_STARTING = 1,
    TREE_RUNNING,
    TREE_STOPPING,
    TREE_WAITING, /* it ended by itself, or did not start: to be tried again */
};
struct work_tree {
    struct work_tree *next;
    struct work_node *node;
    char *tenant, *ns, *app;
    uint64_t revision, epoch;
    enum tree_state state;
    struct plex_ref keeper, root;
    uint64_t again_at; /* WAITING */
    unsigned failures; /* in a row */
    uint64_t since;    /* RUNNING */
    struct node_plan *plan;
};

/* -- events ---------------------------------------------------------------- */

struct node_event {
    struct node_note note;
    enum rt_event_kind kind;
    bool hidden;       /* others tell of it */
    uint64_t sequence; /* given when it is kept */
    uint64_t wall_ms, count, ns;
    struct plex_ref process, supervisor;
    /* In text, each with its NUL. */
    const char *tenant, *ns_name, *name, *child, *behaviour, *reason;
    char *supervisor_name; /* owned, NULL: none known */
    char text[];
};
struct node_waiter {
    struct node_waiter *next;
    struct plex_call *call;
    uint64_t after;
    uint32_t limit;
    uint64_t deadline;
    char tenant[65];
};

/* -- behaviours by name ---------------------------------------------------- */

/* Read by executors, added to by the loop; never removed. */
struct node_found {
    struct node_found *next;
    const struct plex_behaviour *behaviour;
    struct node_plan *plan; /* owned, NULL: none */
    char name[];
};
enum { NODE_FOUND_MAX = 10000 };

struct work_node {
    struct work_node_config config;
    struct rt *rt;
    struct work_dist *dist;
    struct reg_catalog *catalog;
    bool has_plain;   /* types that are not virtual */
    uint64_t workers; /* those who are there, as one number */
    bool draining, allowed, evicted, stopping;
    struct work_queue notes;
    struct plex_task task;
    _Atomic uint32_t events_waiting;
    _Atomic uint64_t events_lost;
    uint64_t actors_since; /* the second in which */
    uint32_t actors_told;  /* so many events were of virtual actors */
    struct work_tree *trees;
    struct reg_claim *claims;
    size_t claims_cap;
    struct plex_timer *timer; /* trees to be tried again, waiters */
    struct node_event **ring; /* WORK_EVENTS_MAX, by sequence */
    uint64_t newest;          /* sequence; 0: none yet */
    struct node_waiter *waiters;
    struct node_type *types; /* node_invoke.c: who runs, by type */
    struct node_path {       /* names of supervisors, by hash of ref */
        struct plex_ref ref;
        char *text;
    } paths[256];
    struct node_ends *ends;  /* node_event.c */
    struct node_book *books; /* node_stats.c: by supervisor */
    struct console *consoles;
    unsigned n_consoles;
    _Atomic(struct node_found *) found;
    unsigned n_found;
    struct node_plan *retired;
    struct node_setup *setups; /* node_facets.c */
    struct plex_arena arena;
    struct plex_buf scratch;
    struct node_series *series; /* metrics, by behaviour */
    unsigned n_series;
    struct ask *asks; /* node_place.c */
    _Atomic uint32_t n_asks;
    uint64_t ask_ids;
    struct node_holds *holds;      /* node_hold.c */
    struct node_moves *moves;      /* node_move.c */
    struct start *starts;          /* node_schedule.c */
    struct node_lattice *lattices; /* node_lattice.c */
};

/* Any thread. */
void node_note_push(struct work_node *node, struct node_note *note);
/* Nobody will look at it any more: node_event.c. */
void node_note_drop(struct node_note *note);
/* Something that waits for a time has come or gone: node.c. */
void node_timer_arm(struct work_node *node);

/* node_tree.c */
void node_trees_look(struct work_node *node);
/* Those that wait need not any more. */
void node_trees_again(struct work_node *node);
void node_tree_noted(struct work_node *node, struct node_note *note);
/* A process ended: a keeper that could not say so itself? */
void node_tree_ended(struct work_node *node, struct plex_ref process,
                     const char *reason);
void node_trees_free(struct work_node *node);
/* ns until one is to be tried again; UINT64_MAX: none. */
uint64_t node_trees_due(const struct work_node *node, uint64_t now);

/* node_build.c: the behaviours of a tree, as plexspaces/supervisor.h wants
 * them. They live as long as the plan. */
struct node_plan;
PLEX_MUST_USE enum plex_status node_plan_make(struct work_node *node,
                                              const struct reg_app *app,
                                              struct node_plan **out,
                                              struct plex_err *err);
void node_plan_free(struct node_plan *plan); /* accepts NULL */
/* Free it when no process can be using it any more: at the end. */
void node_plan_retire(struct work_node *node, struct node_plan *plan);
void node_plans_free(struct work_node *node);
/* The n-th supervisor in the order of declaration, 0 the root; NULL. */
const struct plex_behaviour *node_plan_supervisor(const struct node_plan *plan,
                                                  size_t n);
/* A behaviour of a module, named so that another worker finds it. */
PLEX_MUST_USE enum plex_status node_behaviour_far(
    struct work_node *node, const char *module, const char *behaviour,
    const struct plex_behaviour **out, struct plex_err *err);
/* That of a type of the catalogue which is not virtual, with its facets, named
 * so that every worker finds it, and calls to the type do. */
PLEX_MUST_USE enum plex_status node_behaviour_typed(
    struct work_node *node, const char *tenant, const char *ns,
    const char *type, const struct plex_behaviour **out, struct plex_err *err);
/* See to it that find() knows what another worker asks for. */
void node_before_spawn(struct work_node *node, const struct rt_signal *signal);
const struct plex_behaviour *node_find(void *arg, const char *name);
bool node_name_of(void *arg, const struct plex_behaviour *behaviour,
                  bool is_child, char *out, size_t size);
void node_found_free(struct work_node *node);
/* What people see of a behaviour's name: up to '='. */
size_t node_label(const char *behaviour);

/* node_facets.c */
/* The behaviour with the facets of its type; itself when there are none. NULL:
 * they cannot be made. */
const struct plex_behaviour *node_faceted(
    struct work_node *node, const struct reg_actor_type *type,
    const struct plex_behaviour *behaviour, struct plex_err *err);
void node_setups_free(struct work_node *node);
/* How another worker is told of them, behind the behaviour's name:
 * "?tenant/namespace/application/revision/type"; "" without. */
size_t node_facets_suffix(const struct reg_app *app,
                          const struct reg_actor_type *type, char *out,
                          size_t size);
/* The same without the '?'. */
PLEX_MUST_USE enum plex_status node_facets_find(
    struct work_node *node, const char *path, const struct reg_actor_type **out,
    struct plex_err *err);

/* node_event.c */
void node_event_take(void *arg, const struct rt_event *event); /* any thread */
void node_event_noted(struct work_node *node, struct node_note *note);
void node_events_tick(struct work_node *node, uint64_t now);
uint64_t node_events_due(const struct work_node *node);
void node_events_drain(struct work_node *node);
/* How a process ended, as long as that is kept: borrowed. NULL: unknown. */
const char *node_events_end(const struct work_node *node,
                            struct plex_ref process);
void node_events_free(struct work_node *node);
void node_on_events(struct work_node *node, struct plex_call *call);

/* node_lattice.c: what is declared runs */
void node_lattices_look(struct work_node *node);
/* What they know goes to others and to owners now; and: it has. */
void node_lattices_drain(struct work_node *node);
bool node_lattices_drained(const struct work_node *node);
void node_lattices_metrics(struct work_node *node);
void node_lattices_free(struct work_node *node);

/* node_invoke.c */
void node_instances_note(struct work_node *node,
                         const struct node_event *event);
void node_instances_free(struct work_node *node);
void node_errand_noted(struct work_node *node, struct node_note *note);
void node_errand_drop(struct node_note *note);
void node_on_post(struct work_node *node, struct plex_call *call);

/* node_facets.c */
void node_facets_noted(struct work_node *node, struct node_note *note);
void node_facets_drop(struct node_note *note);
void node_on_facets(struct work_node *node, struct plex_call *call);
void node_on_attach_facet(struct work_node *node, struct plex_call *call);
void node_on_detach_facet(struct work_node *node, struct plex_call *call);
void node_on_invoke_facet(struct work_node *node, struct plex_call *call);

/* node_group.c */
void node_group_noted(struct work_node *node, struct node_note *note);
void node_group_drop(struct node_note *note);
void node_on_groups(struct work_node *node, struct plex_call *call);
void node_on_group_members(struct work_node *node, struct plex_call *call);
void node_on_group_join(struct work_node *node, struct plex_call *call);
void node_on_group_leave(struct work_node *node, struct plex_call *call);
void node_on_group_publish(struct work_node *node, struct plex_call *call);

/* node_console.c */
/* Unpacks a request about a process that is here; else it is refused. */
struct work_process_request;
bool node_request_begin(struct work_node *node, struct plex_call *call,
                        uint32_t method, struct work_process_request *request,
                        struct plex_ref *process);
/* The process that a name, "name@node", path or ref names, if it is here. */
PLEX_MUST_USE enum plex_status node_process_find(
    struct work_node *node, const struct plex_call *call, const char *ns,
    const char *process, struct plex_ref *out, struct plex_err *err);
/* One that nobody has written: of an activation, of a request. */
bool node_is_internal(const struct rt_info *info);
void node_console_noted(struct work_node *node, struct node_note *note);
/* After the runtime has been stopped. */
void node_consoles_free(struct work_node *node);
void node_on_list(struct work_node *node, struct plex_call *call);
void node_on_get(struct work_node *node, struct plex_call *call);
void node_on_exit(struct work_node *node, struct plex_call *call);
void node_on_link(struct work_node *node, struct plex_call *call);
void node_on_unlink(struct work_node *node, struct plex_call *call);
void node_on_monitor(struct work_node *node, struct plex_call *call);
/* 714 to 719. */
void node_on_children(struct work_node *node, struct plex_call *call);
void node_on_count(struct work_node *node, struct plex_call *call);
void node_on_start(struct work_node *node, struct plex_call *call);
void node_on_terminate(struct work_node *node, struct plex_call *call);
void node_on_restart(struct work_node *node, struct plex_call *call);
void node_on_delete(struct work_node *node, struct plex_call *call);
/* node_stats.c */
void node_on_stats(struct work_node *node, struct plex_call *call);
/* 731 to 733. */
void node_on_plan(struct work_node *node, struct plex_call *call);
void node_on_change_plan(struct work_node *node, struct plex_call *call);
void node_on_change_child(struct work_node *node, struct plex_call *call);

/* "<node.slot.generation>" */
enum { NODE_REF_TEXT = 64 };
static inline const char *
node_ref_text(struct plex_ref ref, char out[NODE_REF_TEXT])
{
    out[0] = '\0';
    if (ref.id != 0)
        (void)snprintf(out, NODE_REF_TEXT, "<%llu.%u.%u>",
                       (unsigned long long)ref.node, (unsigned)ref.id,
                       (unsigned)(ref.id >> 32));
    return out;
}
bool node_ref_parse(const char *text, struct plex_ref *out);

#endif
