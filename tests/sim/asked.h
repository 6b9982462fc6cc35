#ifndef TESTS_SIM_ASKED_H
#define TESTS_SIM_ASKED_H

#include "tests/sim/sim.h"

/*
 * Flows are asked while they wait: the update "add" carries a number, which the
 * run puts into a list; some take their time, some are refused by their check;
 * they are sent again until they are answered, and after that. The query
 * "list" says how long the list is.
 *
 * G1  an update is recorded once, in one run; its answer names the place at
 *     which it is recorded there; who asks again gets the same one; a run that
 *     ends has carried out all that are recorded in it, in that order.
 * G4  an update that was answered is committed; none that was refused is.
 *     A query knows of nothing that is not, and of all that was answered.
 */
enum { SIM_ASKED_MAX = 200 }; /* of one run */
struct sim_applied {
    uint32_t n;
    uint32_t numbers[SIM_ASKED_MAX];
};
static inline bool
sim_asked_refused(uint32_t number)
{
    return number % 11 == 0;
}

struct sim_asked;
struct sim_asked *sim_asked_create(void);
void sim_asked_free(struct sim_asked *asked);
/* An update, a new one or again one of before, or a query. */
void sim_asked_send(struct sim *sim, int key);
struct work_step;
/* The `at`th step of that run is in the journal. */
void sim_asked_seen(struct sim *sim, int key, uint32_t run, size_t at,
                    const struct work_step *step);
/* Its code has come to its end. */
void sim_asked_ended(struct sim *sim, int key, uint32_t run,
                     const struct sim_applied *applied);
/* That is in the journal. */
void sim_asked_closed(struct sim *sim, int key, uint32_t run);

#endif
