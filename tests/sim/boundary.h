#ifndef TESTS_SIM_BOUNDARY_H
#define TESTS_SIM_BOUNDARY_H

#include "tests/sim/sim.h"

/*
 * Scripted runs: a few calls, and a strike at one numbered boundary, so that
 * every place where something leaves or reaches a node in the course of a turn
 * can be tried one after the other. Heartbeats and tables are none.
 */
enum sim_boundary {
    SIM_AT_SEND,    /* `node` sends to `peer` */
    SIM_AT_ARRIVAL, /* what `peer` sent reaches `node` */
    SIM_AT_WRITE,   /* the journal writes */
    SIM_AT_WRITTEN, /* has written and has not said so */
    SIM_AT_EFFECT,  /* a run is about to carry out an effect */
    SIM_AT_CARRIED, /* has done so and does not have the result yet */
};
/* False: it does not come about, the node is dead or the packet lost. */
bool sim_boundary(struct sim *sim, struct sim_node *node, struct sim_node *peer,
                  enum sim_boundary at, enum sim_method method);
/* After each event. */
void sim_boundary_after(struct sim *sim);

/* faults.c: set its wall clock that much off. */
void sim_clock_set(struct sim *sim, struct sim_node *node, int64_t offset_ms);
/* node_journal.c: the newest snapshots do not match their checksums. */
void sim_journal_damage(struct sim *sim, struct sim_node *node);

#endif
