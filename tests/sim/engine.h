#ifndef TESTS_SIM_ENGINE_H
#define TESTS_SIM_ENGINE_H

#include "tests/sim/sim.h"

/* What run.c needs of engine.c. */
#define SIM_WALL_START_MS UINT64_C(1760000000000)

void sim_random_seed(struct sim *sim, uint64_t seed);
/* entropy.c: the same for what the cores' handlers draw. */
void sim_entropy_seed(uint64_t of_run);
/* Do the next event; false when there is none. */
bool sim_step(struct sim *sim);
struct sim_node *sim_node_add(struct sim *sim, const struct sim_kind *kind,
                              int number);
void sim_engine_fini(struct sim *sim);
void sim_print_trace(const struct sim *sim, int key, size_t most);

#endif
