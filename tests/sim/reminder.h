#ifndef TESTS_SIM_REMINDER_H
#define TESTS_SIM_REMINDER_H

#include "services/worker/core.h"
#include "tests/sim/check.h"

/*
 * Two of the counters also set, replace and cancel timers by name, and leave
 * memory soon after.
 *
 * G6  a timer comes once, not before it is due by the clock of the worker that
 *     runs it; one that was cancelled or replaced never does; each other one
 *     does.
 */
struct sim_reminders;
struct sim_reminders *sim_reminders_create(void);
void sim_reminders_free(struct sim_reminders *reminders);

bool sim_reminder_is(int key);
/* What the operation does besides. False: nothing. */
bool sim_reminder_output(uint32_t number, struct work_output *out);
/* A timer comes to its handler on `node`. */
void sim_reminder_came(struct sim *sim, const struct sim_node *node, int key,
                       const struct work_message *message);
void sim_reminder_committed(struct sim *sim, int key,
                            const struct journal_entry *entry);
/* Have all timers come that are to? */
bool sim_reminders_quiet(const struct sim *sim);
void sim_reminders_end(struct sim *sim);

#endif
