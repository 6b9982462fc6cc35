#ifndef SERVICES_WORKER_HOST_PRIVATE_H
#define SERVICES_WORKER_HOST_PRIVATE_H

#include "services/worker/host.h"
#include "services/worker/node_queue.h"
#include "services/worker/tables.h"

/* What host.c (the loop's side) and host_process.c (the executors') share. */
enum { TAG_TURN = 1, TAG_RESUME = 2, SPARE_MAX = 256 };

/* One turn, from RUN to its end; between waits too. The executor that runs it
 * owns it from the message until job_done(), then the loop does. */
struct job {
    struct work_link link;
    struct work_link yield; /* of host.yields: `link` may follow before the
                               loop has looked */
    struct job *next;       /* spare, or an orphan */
    struct work_host *host;
    struct work_handler *handler;
    const struct plex_behaviour *behaviour;
    struct plex_ctx *ctx; /* of the process, while it runs */
    struct work_action run;
    struct work_outcome outcome;
    struct work_outcome so_far; /* when it last stood aside */
    uint64_t sent_ns, began_ns, ended_ns;
    uint64_t activation;
    const struct work_facet_setup *facets;
    struct rt_facets *chain; /* the activation's, while the job is its */
    /* A visit: turns of one activation in a row. `follow` is the next one, to
     * be run only after this one, and only when this one chains. */
    struct job *follow;
    struct job *head;       /* the first of the visit: it comes back for all */
    struct job *last;       /* head: the last that was run, or waits */
    _Atomic uint32_t n_ran; /* head: those that are over */
    bool over;
    bool wakes;          /* it stood aside, and wants to go on */
    bool out;            /* the executor has it */
    bool aside;          /* between WORK_YIELDS and RESUME */
    struct plex_ref ref; /* of an orphan: the process that may still use it */
    _Atomic bool revoked;
};
/* A process of an activation, and the turn on it. */
struct lane {
    struct hnode ref_node;
    struct plex_ref ref;
    struct job *job; /* NULL: between turns */
    struct hosted *hosted;
    struct lane *next;
    bool holds; /* a turn has made links or monitors */
};
/* An activation with a process. */
struct hosted {
    struct hnode node;
    struct lane front; /* then those of turns that are let in while it waits:
                          they stay, for links and messages, to the end */
    uint64_t activation;
    const struct plex_behaviour *behaviour; /* NULL: no turn yet */
    const struct work_facet_setup *facets;
    struct rt_facets *chain; /* NULL: none yet, or the job has it */
    bool told;               /* that it was activated */
    struct plex_actor_id actor;
    char names[];
};
/* On its way to the loop. */
struct inbound {
    struct work_link link;
    struct plex_ref self;
    struct work_inbound in;
    char bytes[];
};
/* A process of ours has gone, or does not come to an end. */
struct gone {
    struct work_link link;
    struct plex_ref ref;
    uint64_t stuck_ns; /* 0: gone */
    bool last;         /* it has been stuck for too long */
};

struct work_host {
    struct plex_behaviour turns; /* of its processes */
    struct work_host_config config;
    struct htab by_activation;
    struct htab by_ref; /* lanes, by ref.id */
    struct job *spare;
    struct job *orphans; /* stood aside when their activation ended */
    size_t n_spare, n_running;
    struct work_queue done;
    struct work_queue yields;
    struct work_queue gone;
    struct work_queue inbound;
    _Atomic uint32_t n_inbound;
    struct plex_task task;
    _Atomic bool posted;
    _Atomic uint64_t lease_until;
    bool draining; /* work_host_run() inside ran(): the outer loop goes on */
};

/* host.c */
struct hosted *work_host_find(const struct work_host *host,
                              uint64_t activation);

/* host_job.c */
void work_job_begin(struct work_host *host, struct lane *lane,
                    const struct plex_behaviour *behaviour,
                    const struct work_facet_setup *facets,
                    const struct work_action *run);
/* The one of the visit whose turn it is. Accepts NULL. */
const struct job *work_job_now(const struct job *head);
/* To whoever wants to know what came of it. */
void work_job_report(struct work_host *host, struct job *head);
/* The turn cannot be run, or was cut short. */
void work_job_fails(struct work_host *host, struct lane *lane);
/* What it has of the activation goes back, or ends. */
void work_job_chain_back(struct job *job, struct hosted *hosted);
void work_job_give(struct work_host *host, struct job *job);
/* With those that follow it. Accepts NULL. */
void work_job_free(struct job *job);
/* Its activation ended while it stood aside: nobody uses it any more. */
void work_job_orphan_end(struct work_host *host, struct job *job);
void work_job_came(struct work_host *host, struct work_link *link);

/* host_lane.c */
struct lane *work_lane_find(const struct work_host *host, struct plex_ref ref);
/* The one that the job is on; NULL: on none of these. */
struct lane *work_lane_of(struct hosted *hosted, const struct job *job);
/* For another turn. Where none waits that is always the front. */
struct lane *work_lane_free(struct hosted *hosted);
/* The turn that yielded to the RUN `token`; NULL: its process has gone. */
struct lane *work_lane_aside(struct hosted *hosted, uint64_t token);
bool work_lane_start(struct work_host *host, struct lane *lane);
void work_lane_forget(struct work_host *host, struct lane *lane);
/* Has the activation links or monitors? `made`: this lane's turn made some.
 * Those that never made any are not asked. */
bool work_lane_holds(struct work_host *host, struct lane *lane, bool made);

/* Any thread: the loop looks at the queues. */
void work_host_wake(struct work_host *host);
/* Of the processes; `turns` of each host is a copy. */
extern const struct plex_behaviour work_host_turns;

#endif
