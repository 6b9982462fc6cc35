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

/* Run the callback of `run` (kind WORK_DO_RUN). The outcome is borrowed until
 * the next run. */
void work_handler_run(struct work_handler *handler,
                      const struct plex_behaviour *behaviour,
                      const struct work_action *run, uint64_t wall_ms,
                      struct work_outcome *out);

#endif
