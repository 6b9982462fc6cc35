#ifndef TESTS_SIM_ASIDE_H
#define TESTS_SIM_ASIDE_H

#include "services/worker/core.h"
#include "tests/sim/sim.h"

/*
 * Handlers of reentrant actors (counter-volatile): their code takes its time,
 * and they wait up to three times, in the middle of their turns. Each
 * operation is appended to the state once, before one of the waits or at the
 * end.
 *
 * Checked: no two stretches of one activation run at once, and each begins
 * with the state that the one before it left.
 */
struct sim_asides;
struct sim_asides *sim_asides_create(struct sim *sim, struct sim_node *node,
                                     struct work_core *core,
                                     void (*pump)(struct sim *sim,
                                                  struct sim_node *node));
void sim_asides_free(struct sim_asides *asides); /* with what waits */
void sim_asides_run(struct sim_asides *asides, const struct work_action *run);
/* Of node_worker.c. */
struct sim_asides *sim_worker_asides(const struct sim_node *node);
void sim_asides_abandon(struct sim_asides *asides, uint64_t activation);

#endif
