#ifndef SERVICES_WORKER_HANDLER_H
#define SERVICES_WORKER_HANDLER_H

#include "sdk/c/include/plexspaces/actor.h"
#include "services/worker/core.h"

/*
 * Runs a module's callbacks: the SDK's plex_ctx on one side, the core's RUN
 * and outcome on the other. One handler serves one thread, one turn at a time.
 */
enum {
    WORK_OUTPUTS_MAX = 1000,   /* messages and timers of one turn */
    WORK_TIMER_NAME_MAX = 128, /* bytes */
    WORK_TIMER_DELAY_MAX_DAYS = 3650,
};
struct work_handler;

struct work_handler *work_handler_create(void);
void work_handler_free(struct work_handler *handler); /* accepts NULL */

/*
 * The callback wants to wait: the outcome of `out` below is filled for
 * work_core_ran(), and is borrowed until this returns with the next RUN of the
 * activation (RESULT or CONTINUE) and its time. Need not return at all.
 */
typedef const struct work_action *(*work_wait_fn)(void *arg, uint64_t *wall_ms);

struct work_turn {
    const struct plex_behaviour *behaviour;
    const struct work_action *run; /* MESSAGE or REPLAY */
    uint64_t wall_ms;
    const struct plex_ctx *process; /* of the process it runs on; NULL */
    work_wait_fn wait;              /* NULL: callbacks cannot wait */
    void *wait_arg;
};
/* Run the callback of `turn->run` (kind WORK_DO_RUN). The outcome is borrowed
 * until the next run. */
void work_handler_run(struct work_handler *handler,
                      const struct work_turn *turn, struct work_outcome *out);

#endif
