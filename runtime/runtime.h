#ifndef RUNTIME_RUNTIME_H
#define RUNTIME_RUNTIME_H

#include "common/err.h"
#include "sdk/c/include/plexspaces/supervisor.h"

/*
 * The actor runtime: processes, mailboxes, links, monitors, names, groups and
 * supervisors over a scheduler of its own. It knows no daemon: plex-worker
 * embeds it, the benchmarks and the simulator use it alone.
 *
 * Two ways to run it. With executors (threads): rt_start(). Without (0
 * executors): rt_step() runs everything on the caller's thread, in an order
 * that a seed decides, under a clock that the caller gives: deterministic.
 *
 * Threads: functions marked (any) may be called from any thread; the others
 * from the one that created it, before rt_start() or after rt_stop().
 */
struct rt;
struct plex_facet_action;

struct rt_event; /* what happened to a process, below */
struct rt_signal;

struct rt_config {
    uint32_t executors;        /* threads; 0: rt_step() */
    uint32_t processes_max;    /* alive at once; 0: 16 Mi */
    uint64_t node;             /* incarnation of this worker: ref.node */
    const char *node_id;       /* its name, for texts; copied */
    uint64_t seed;             /* order of things under rt_step() */
    uint32_t stack_bytes;      /* of a suspended callback; 0: 64 KiB */
    uint32_t waiting_max;      /* suspended callbacks; 0: as many as the kernel
                                  has mappings for */
    uint32_t budget;           /* messages received + sent per turn at the
                                  executor; 0: 200 */
    uint32_t watchdog_ms;      /* a callback that runs longer is reported
                                  (RT_STUCK); 0: never */
    bool watchdog_spare;       /* and its executor gets a stand-in */
    uint32_t watchdog_last_ms; /* one that runs as long as this is reported
                                  once more (event.last); 0: never */
    /* All called on any executor; must not block. `arg` first. */
    void (*on_event)(void *arg, const struct rt_event *event);
    /* To another node, a name there, or a virtual actor. False: nobody. */
    bool (*on_remote)(void *arg, const struct rt_signal *signal);
    void (*on_log)(void *arg, const char *process, int level, const char *text);
    /* What facets of processes count, observe and export (process_facets.h). */
    void (*on_facet)(void *arg, const struct plex_facet_action *action);
    /* The behaviour of a spawn or request that came from another node. */
    const struct plex_behaviour *(*find)(void *arg, const char *behaviour);
    /* What another node is to find it by; false (or NULL): its name. is_child:
     * of a supervisor here. */
    bool (*name_of)(void *arg, const struct plex_behaviour *behaviour,
                    bool is_child, char *out, size_t size);
    void *arg;
};

PLEX_MUST_USE enum plex_status rt_create(const struct rt_config *config,
                                         struct rt **out, struct plex_err *err);
void rt_start(struct rt *rt);
/* Kills every process and joins the threads. */
void rt_stop(struct rt *rt);
void rt_free(struct rt *rt); /* accepts NULL; stopped */

/* Without executors: run what can run until nothing can or `max` callbacks
 * have run; returns how many did. */
size_t rt_step(struct rt *rt, uint64_t now_ns, uint64_t wall_ms, size_t max);
/* When the next timer is due, UINT64_MAX: none. */
uint64_t rt_due_ns(const struct rt *rt);

/* -- from outside (any) -------------------------------------------------------
 */

struct rt_where { /* "" where there is none; copied */
    const char *tenant;
    const char *ns;
};
/* As plex_spawn(), without a parent. With how->wait the result comes to
 * `started` on an executor: status 0 and the ref, or a negative one. */
typedef void (*rt_started_fn)(void *arg, int status, struct plex_ref ref,
                              const char *reason);
int rt_spawn(struct rt *rt, struct rt_where where, const struct plex_spawn *how,
             rt_started_fn started, void *arg, struct plex_ref *out);
/* As plex_post(). Bounded mailboxes that BLOCK refuse instead: -LIMIT. */
int rt_send(struct rt *rt, struct plex_ref to, const struct plex_post *post);
/* A call from outside; answered(...) once, on an executor: 0 and the answer,
 * or a negative status as of plex_ask(). */
typedef void (*rt_answer_fn)(void *arg, int status,
                             const struct plex_msg *answer);
void rt_call(struct rt *rt, struct plex_ref to, const struct plex_post *post,
             uint64_t timeout_ms, rt_answer_fn answered, void *arg);
void rt_exit(struct rt *rt, struct plex_ref whom, const char *reason);
struct plex_ref rt_whereis(struct rt *rt, struct rt_where where,
                           const char *name);

/* -- other nodes (any) ---------------------------------------------------- */

enum rt_signal_kind {
    RT_SEND = 1, /* post: kind, tag, payload, ...; call: when it is a call */
    RT_ANSWER,   /* to a call; status, post */
    RT_LINK,
    RT_UNLINK,
    RT_UNLINKED, /* the answer to UNLINK */
    RT_EXIT,     /* reason; linked: through a link */
    RT_MONITOR,  /* call: the monitor */
    RT_DEMONITOR,
    RT_DOWN,    /* call: the monitor; reason */
    RT_SPAWN,   /* text: behaviour; name; post: args; call; linked,
                   monitored */
    RT_SPAWNED, /* to the spawner; call; status, reason; from: the process */
    RT_JOIN,    /* text: group; from joined (call: how often) */
    RT_LEAVE,
    RT_REQUEST, /* to a supervisor: post; call; text: the behaviour of a child
                   to start, "" */
    RT_FOUND,   /* to who sent a LINK (linked) or MONITOR to a name on another
                   node: its call; name; from: who has it, none: nobody */
};
struct rt_signal {
    enum rt_signal_kind kind;
    struct plex_ref from;
    struct plex_ref to;    /* none when it is for `name` */
    struct rt_where where; /* of the sender */
    const char *name;      /* "name@node" or "type/key"; "" */
    const char *text;
    const char *reason;
    uint64_t call;
    int status;
    bool linked, monitored;
    bool is_http; /* SEND, ANSWER: the payload is an rt_http (http.h) */
    struct plex_post post;
    /* SPAWN by a supervisor, NULL: its id there. For on_remote; not sent. */
    const char *child;
};
/* A signal from another node, in the order in which that node sent them. */
void rt_deliver(struct rt *rt, const struct rt_signal *signal);
/* The same for a SPAWN, also one of this node's own: the process, none if it
 * could not be made. The spawner hears of both. */
struct plex_ref rt_deliver_start(struct rt *rt, const struct rt_signal *signal);
/* Everything that is linked to, monitors, or waits for a process there, or a
 * name there (`node_id`), gets "noconnection"; group members there leave. */
void rt_node_down(struct rt *rt, uint64_t node, const char *node_id);
/* A JOIN for every local member of every group: what a node that has just been
 * connected has to know. emit must not call the runtime. */
void rt_groups_announce(struct rt *rt,
                        void (*emit)(void *arg, const struct rt_signal *signal),
                        void *arg);

/* -- groups from outside (any) ------------------------------------------------
 */

/* A process of this node joins or leaves, as if it had said so itself. done()
 * runs once, on an executor or here: 0, -NOT_FOUND (it has ended; it is no
 * member), -INVALID (no name of a group). */
typedef void (*rt_group_fn)(void *arg, int status);
void rt_group_ask(struct rt *rt, struct plex_ref whom, const char *group,
                  bool join, rt_group_fn done, void *arg);
struct rt_group_info {
    char name[256];
    size_t members, local;
};
/* Groups by name, those behind `after` that begin with `prefix`; returns how
 * many were written, at most `max`; *more: there are others. */
size_t rt_group_list(struct rt *rt, struct rt_where where, const char *prefix,
                     const char *after, struct rt_group_info *out, size_t max,
                     bool *more);
struct rt_member_info {
    struct plex_ref ref;
    uint64_t joined; /* how often: so often it has to leave */
};
/* In order of refs; returns how many there are. */
size_t rt_group_look(struct rt *rt, struct rt_where where, const char *group,
                     struct rt_member_info *out, size_t max);

/* -- looking (any) -----------------------------------------------------------
 */

enum rt_event_kind {
    RT_STARTED = 1,
    RT_STOPPED,   /* reason */
    RT_RESTARTED, /* by its supervisor; count: how often */
    RT_GAVE_UP,   /* a supervisor: intensity exceeded */
    RT_STUCK,     /* ns: for how long */
    RT_RESUMED,   /* it was stuck */
    /* Told by the host, of what its processes stand for; reason: */
    RT_ACTIVATED,
    RT_DEACTIVATED,
    RT_FACET, /* a facet of it says so; reason: what */
};
/* Per supervisor in the order in which things happened. Strings are borrowed
 * for the call. */
struct rt_event {
    enum rt_event_kind kind;
    uint64_t sequence;
    uint64_t wall_ms;
    struct plex_ref process;
    struct plex_ref supervisor; /* or none */
    struct rt_where where;
    const char *name;  /* registered, "" */
    const char *child; /* id under its supervisor, "" */
    const char *behaviour;
    const char *reason; /* "" */
    uint64_t count;
    uint64_t ns;
    bool last; /* RT_STUCK: it has run for watchdog_last_ms */
};
struct rt_info {
    struct plex_ref ref, parent, supervisor;
    struct rt_where where;
    char name[256];
    char child[128];
    char behaviour[128];
    const char *state; /* "starting", "idle", "ready", "running", "waiting" */
    uint32_t mailbox, links, monitors;
    uint64_t messages, bytes;
    uint64_t running_ns; /* its callback, as far as the watchdog saw */
    bool trap_exit, is_supervisor;
    bool of_many; /* a supervisor whose children have one id */
};
/* A snapshot that may be a moment old. 0, or -NOT_FOUND. */
int rt_inspect(struct rt *rt, struct plex_ref ref, struct rt_info *out);
/* Processes by slot after `*cursor` (0 at first); returns how many; fewer than
 * `max` at the end. ns "" for all of the tenant, tenant "" for all. */
size_t rt_list(struct rt *rt, struct rt_where where, uint64_t *cursor,
               struct rt_info *out, size_t max);
struct rt_stats {
    uint64_t processes, spawned, exited, messages, steals, parks, wakes;
    uint64_t timers, dropped, stuck, bytes;
    uint64_t waiting; /* callbacks: for answers, messages, times */
};
void rt_stats(const struct rt *rt, struct rt_stats *out);

#endif
