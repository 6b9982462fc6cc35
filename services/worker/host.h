#ifndef SERVICES_WORKER_HOST_H
#define SERVICES_WORKER_HOST_H

#include "common/loop.h"
#include "runtime/runtime.h"
#include "services/worker/handler.h"

/*
 * Runs the turns of virtual actors on processes of the runtime: one process
 * for each activation, made when its first turn comes, so that turns run on
 * any executor, may wait, and have a ref. The core stays with the loop: a RUN
 * goes out as a message to the process, what became of it comes back posted.
 *
 * Everything is of the loop thread unless it says otherwise.
 */
struct work_host;

/* Before and in the callback. */
struct work_host_times {
    uint64_t wait_ns, run_ns;
};
/* Of the RUN, and of the first n - 1 messages that went along with it. */
struct work_host_ran {
    uint64_t token; /* of the RUN */
    const void *user;
    const struct work_outcome *outcomes; /* borrowed for the call, as: */
    const struct work_host_times *times; /* NULL: nothing was run */
    size_t n;
};
/* A message to the process of an activation from another process: the
 * actor's inbox is the core's. */
enum work_inbound_kind {
    WORK_IN_MESSAGE = 1, /* post; call: somebody waits for the answer */
    WORK_IN_REPLY,       /* the outcome of a call of ours: post.tag; status */
    WORK_IN_ENDED,       /* the process has ended: so has the activation */
};
struct work_inbound {
    enum work_inbound_kind kind;
    struct plex_actor_id actor; /* borrowed for the call */
    struct plex_ref from;
    uint64_t call;
    int status;
    struct plex_post post; /* EXIT, DOWN: the payload is the reason */
};
struct work_host_config {
    struct plex_loop *loop;
    struct rt *rt;
    bool stepped; /* rt has no executors: turns run inside work_host_run() */
    /* May call work_host_run() again. */
    void (*ran)(void *arg, const struct work_host_ran *ran);
    /* Several of them have been handed over: time to look at the core. */
    void (*pump)(void *arg);
    /* Borrowed for the call. */
    void (*inbound)(void *arg, const struct work_inbound *in);
    /* RT_ACTIVATED: an activation has its process; RT_DEACTIVATED. */
    void (*lived)(void *arg, enum rt_event_kind kind,
                  const struct plex_actor_id *actor, struct plex_ref process,
                  const char *reason);
    /* To a process anywhere. */
    void (*answer)(void *arg, const struct rt_signal *signal);
    void *arg;
};
struct work_host *work_host_create(const struct work_host_config *config);
/* After the runtime has been stopped. Accepts NULL. */
void work_host_free(struct work_host *host);

/* `run` is WORK_DO_RUN; what it points to stays valid until it is answered.
 * `facets` (NULL: none) must stay as long as the host, and be the same for all
 * turns of an activation. */
void work_host_run(struct work_host *host,
                   const struct plex_behaviour *behaviour,
                   const struct work_facet_setup *facets,
                   const struct work_action *run);
/* The worker's lease: no effect begins later. Without one: they all may. */
void work_host_lease(struct work_host *host, uint64_t until_ns);
/* WORK_DO_REVOKE. */
void work_host_revoke(struct work_host *host, uint64_t activation);
/* WORK_DO_ABANDON; those who are linked to it or monitor it hear `reason`. */
void work_host_abandon(struct work_host *host, uint64_t activation,
                       const char *reason);
/* The process of an activation, made if it has none; none when there cannot
 * be one more. */
struct plex_ref work_host_process(struct work_host *host, uint64_t activation,
                                  const struct plex_actor_id *actor);
/* Whose process is it? NULL: not one of ours. Borrowed until the next call. */
const struct plex_actor_id *work_host_actor(const struct work_host *host,
                                            struct plex_ref ref);
/* What the process waits for that `from` is of is part of this chain of calls
 * (chain.h). NOT_FOUND: no turn runs there; LIMIT: it is too long. */
enum plex_status work_host_chain(const struct work_host *host,
                                 struct plex_ref from, char *out);
enum { WORK_INBOUND_MAX = 65536 }; /* on their way from processes */

/* Any thread: a process has stopped, or is stuck (rt_config.on_event). One of
 * ours that was killed in its turn fails it; a turn that is stuck is logged
 * with its actor. */
void work_host_on_event(struct work_host *host, const struct rt_event *event);
/* After the log has said who is stuck for longer than may be. */
_Noreturn void work_stuck_exit(void);
struct work_host_stats {
    size_t activations; /* with a process */
    size_t running;     /* turns that are out, or wait */
};
void work_host_stats(const struct work_host *host, struct work_host_stats *out);

#endif
