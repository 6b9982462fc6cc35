#ifndef TESTS_SIM_VISIT_H
#define TESTS_SIM_VISIT_H

#include "services/worker/core.h"
#include "tests/sim/check.h"
#include "tests/sim/sim.h"

/* Actors whose state is a list, in the hands of an executor: some messages are
 * handled at once, some after a while, and with them what went along. */
struct sim_visitor {
    struct work_core *core;
    void (*pump)(struct sim *sim, struct sim_node *node);
    enum sim_behaviour behaviour;
};
void sim_visit_run(struct sim *sim, struct sim_node *node,
                   const struct work_action *run,
                   const struct sim_visitor *visitor);

#endif
