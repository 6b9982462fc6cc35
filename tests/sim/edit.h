#ifndef TESTS_SIM_EDIT_H
#define TESTS_SIM_EDIT_H

#include "tests/sim/sim.h"

/*
 * Somebody who operates the suite has the bank and the ledger write their state
 * once more, as it is (WORK_EDIT): a turn like others, in order with them,
 * which must leave the list of operations as it was. It may be refused
 * while a run is open, or when there is no state yet; nothing else.
 */
void sim_edit_send(struct sim *sim, uint32_t number);

#endif
