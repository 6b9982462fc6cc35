#ifndef TESTS_SIM_FLOW_H
#define TESTS_SIM_FLOW_H

#include "services/worker/core.h"
#include "tests/sim/check.h"

/*
 * Actors whose turns are run by the SDK's own code (services/worker/handler*.c)
 * on stacks of their own: `flow` waits in the middle of its work, `bank` is
 * called by it, `tally` is told twice by it, `ledger` is event-sourced.
 *
 * A flow's operation: a cast to one tally, effect "reserve", a sleep, a call to
 * the bank, effect "charge", a cast to the other, for some a promise that a
 * client keeps, a version of the code, for newer code effect "more"; then its
 * number is in the state. Some fail or are cancelled: what was reserved is
 * released and what was charged refunded.
 *
 * G1  a run is answered once, with what the journal has of it; the bank books
 *     it once.
 * G2  the tallies hear of a run once, and of each that has ended well.
 * G4  what a run answers, tells, and that it failed, is committed before.
 * G2  a call is cancelled only when the run that made it is.
 * G5  an effect whose result is in the journal is not carried out again, nor
 *     one of a run that has ended; its result stays what it was. What was done
 *     is undone when a run fails.
 * G6  no timer comes before it is due by the clock of the worker that runs it.
 */
enum sim_effect {
    SIM_RESERVE,
    SIM_CHARGE,
    SIM_MORE,
    SIM_RELEASE,
    SIM_REFUND,
    SIM_EFFECTS,
};
const char *sim_effect_name(enum sim_effect effect);

/* -- flow.c: the runs of one life of a worker -- */

struct sim_flows;
/* `pump` is called when the core may have something to do. */
struct sim_flows *sim_flows_create(struct sim *sim, struct sim_node *node,
                                   struct work_core *core,
                                   void (*pump)(struct sim *sim,
                                                struct sim_node *node));
void sim_flows_free(struct sim_flows *flows);
/* Any RUN of the three; `version` is of the flow's code. */
void sim_flows_run(struct sim_flows *flows, const struct work_action *run,
                   enum sim_behaviour behaviour, int version);
void sim_flows_revoke(struct sim_flows *flows, uint64_t activation);
void sim_flows_abandon(struct sim_flows *flows, uint64_t activation);
/* For the registration of types. */
bool sim_flow_sourced(enum sim_behaviour behaviour);

/* -- flow_check.c -- */

struct sim_flow_check;
struct sim_flow_check *sim_flow_check_create(void);
void sim_flow_check_free(struct sim_flow_check *check);
/* It is carried out, now; how often so far in *times. Its result. */
uint32_t sim_flow_effect(struct sim *sim, int key, uint32_t number,
                         enum sim_effect effect, unsigned *times);
/* The code has come to its end, with what "reserve" gave it. */
void sim_flow_ended(struct sim *sim, int key, uint32_t number, uint32_t result);
/* It waits for this promise, "actor~nonce~index". */
void sim_flow_promise(struct sim *sim, int key, const char *id);
/* A timer of the flow comes to it on `node`. */
void sim_flow_timer(struct sim *sim, const struct sim_node *node, int key,
                    const char *name);
/* Before the histories hear of it. */
void sim_flow_committed(struct sim *sim, int key,
                        const struct journal_entry *entry);
/* A tally has committed what the run told it. */
void sim_flow_told(struct sim *sim, int key, uint32_t number);
/* Its call is cancelled at the bank. */
void sim_flow_unwanted(struct sim *sim, int key, uint32_t number);
/* The client heard that it failed. */
void sim_flow_failed(struct sim *sim, int key, uint32_t number);
/* What to send to a flow: WORK_RESOLVE's words for the newest promise; ""
 * without one. */
const char *sim_flow_to_keep(const struct sim *sim, int key);

#endif
