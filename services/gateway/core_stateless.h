#ifndef SERVICES_GATEWAY_CORE_STATELESS_H
#define SERVICES_GATEWAY_CORE_STATELESS_H

#include "services/gateway/core.h"

/*
 * The workers that may get calls to stateless types, and how many calls each
 * has of ours. A part of the gateway's core: pure. Zeroed but for `last`,
 * which is SIZE_MAX at first.
 */
struct gate_spot {
    const struct place_worker *worker; /* of the table */
    uint64_t incarnation;
    bool ready;
    uint32_t flying;
};
struct gate_spots {
    struct gate_spot *at;
    size_t n;
    uint32_t *loads; /* scratch */
    size_t last;
    uint64_t picks;
};

/* Another catalogue or table; either may be NULL. The table is borrowed until
 * the next. */
void gate_spots_set(struct gate_spots *spots, const struct reg_catalog *catalog,
                    const struct place_table *table);
void gate_spots_fini(struct gate_spots *spots);
/* Who gets a call: not `refused` (an incarnation; 0: nobody) while there is
 * another. NULL: nobody is there. Its call counts until gate_spots_leave(). */
const struct place_worker *gate_spots_pick(struct gate_spots *spots,
                                           enum plex_spread route,
                                           const struct work_message *message,
                                           uint64_t refused);
void gate_spots_leave(struct gate_spots *spots, uint64_t incarnation);
/* NULL: not there any more. */
const struct place_worker *gate_spots_find(const struct gate_spots *spots,
                                           uint64_t incarnation);
bool gate_spots_any(const struct gate_spots *spots);

#endif
