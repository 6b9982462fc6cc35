#ifndef SERVICES_WORKER_HANDLER_H
#define SERVICES_WORKER_HANDLER_H

#include "runtime/facet.h"
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
struct work_run_delta;
struct work_command;
/* An output as it is recorded. Borrowed. */
void work_command_of(const struct work_output *from, struct work_command *to);

/* The turn cancels the run that answers the call of that tag, if any. */
void work_handler_call_cancel(struct plex_ctx *ctx, uint64_t tag);

struct work_handler *work_handler_create(void);
void work_handler_free(struct work_handler *handler); /* accepts NULL */

/*
 * The callback wants to wait: the outcome of `out` below is filled for
 * work_core_ran(), and is borrowed until this returns with the next RUN of the
 * activation (RESULT or CONTINUE) and its time. Need not return at all.
 */
typedef const struct work_action *(*work_wait_fn)(void *arg, uint64_t *wall_ms);
/* May an effect begin now? Not without a lease by a clock read at that moment,
 * nor once the core has dropped the activation. Any thread. */
typedef bool (*work_may_fn)(void *arg);

/*
 * The callback of a reentrant actor (run.yields) waits, and others of the
 * actor may run meanwhile: this is what it did so far (WORK_YIELDS), borrowed
 * until the second one, which returns with RESUME and its time. Need not return
 * at all.
 */
typedef void (*work_leave_fn)(void *arg, const struct work_outcome *so_far);
typedef const struct work_action *(*work_back_fn)(void *arg, uint64_t *wall_ms);

/* The facets of a type, and where what they do to the outside goes. */
struct work_facet_setup {
    const struct rt_facet_plan *plan; /* NULL: it declares none */
    struct rt_facet_types types;
    void (*act)(void *arg, const struct plex_facet_action *action);
    void *arg;
};

/* A turn that was recorded is run again, to see whether it does the same:
 * nothing is carried out. */
struct work_again {
    struct plex_bytes seed;           /* of the record */
    const struct work_run_delta *run; /* with its effects' results; NULL */
};
struct work_turn {
    const struct plex_behaviour *behaviour;
    const struct work_action *run; /* MESSAGE or REPLAY */
    uint64_t wall_ms;
    const struct plex_ctx *process; /* of the process it runs on; NULL */
    work_wait_fn wait;              /* NULL: callbacks cannot wait */
    work_may_fn may;                /* with wait_arg; NULL: always */
    work_leave_fn leave;            /* with wait_arg; NULL: it never does */
    work_back_fn back;
    void *wait_arg;
    const struct work_facet_setup *facets; /* NULL: none are run */
    const struct work_again *again;        /* NULL: it is a new one */
    struct rt_facets **chain; /* the activation's, NULL in it: none yet */
};
/* The activation ends: its facets hear it, and are freed. Accepts NULL. */
void work_facets_end(const struct work_facet_setup *setup,
                     struct rt_facets *chain, const char *reason);
/* Run the callback of `turn->run` (kind WORK_DO_RUN). The outcome is borrowed
 * until the next run. */
void work_handler_run(struct work_handler *handler,
                      const struct work_turn *turn, struct work_outcome *out);

#endif
