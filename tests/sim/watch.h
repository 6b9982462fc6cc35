#ifndef TESTS_SIM_WATCH_H
#define TESTS_SIM_WATCH_H

#include "tests/sim/sim.h"

/* A long poll for ever, as place_watch and reg_client do it: workers and
 * gateways each have one for the table and one for the catalogue. */
struct sim_watch {
    struct sim_node *node;
    struct sim_node *of; /* placement or registry */
    enum sim_method method;
    uint64_t have;
    uint64_t rpc; /* under way; 0 none */
    void (*changed)(struct sim *sim, struct sim_node *node,
                    const struct sim_msg *reply);
};
void sim_watch_start(struct sim *sim, struct sim_watch *watch);
/* Somebody has seen `version`: ask at once if that is news. */
void sim_watch_hint(struct sim *sim, struct sim_watch *watch, uint64_t version);

#endif
