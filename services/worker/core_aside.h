#ifndef SERVICES_WORKER_CORE_ASIDE_H
#define SERVICES_WORKER_CORE_ASIDE_H

#include "services/worker/core_types.h"

/*
 * Reentrant actors: a turn that waits stands aside, and others of the actor
 * run meanwhile. One has the floor (actor.running) at a time; who wants to go
 * on asks for it, and has it before any message of the mailbox.
 */

void work_asides_init(struct actor *actor);
/* The turn answered its RUN `token` with WORK_YIELDS. */
void work_aside_yields(struct work_core *core, struct actor *actor,
                       struct item *item, uint64_t token,
                       const struct work_outcome *outcome);
/* What a turn that stands aside says: WORK_WAKES, or it has failed. Ignores
 * tokens of others. */
void work_aside_ran(struct work_core *core, uint64_t token,
                    const struct work_outcome *outcome);
/* Nobody has the floor, and somebody stands aside: the next one. False: nobody
 * may run. */
bool work_aside_next(struct work_core *core, struct actor *actor);
/* Is the message of a chain of calls that a turn of the actor waits for, or
 * may, and is the type one that lets it in? */
bool work_aside_leads_to(const struct actor *actor, const struct item *item);
/* Into the mailbox, before those that are not let in. */
void work_aside_let_in(struct actor *actor, struct item *item);
/* The activation is dropped: all of them, to the end of `out`. */
void work_asides_take(struct actor *actor, struct item_list *out);
/* One of those: it never goes on, nor is it run again. */
void work_aside_cut(struct work_core *core, struct item *item);

/* -- what these need of the core's other files ------------------------------
 */

/* core_actor.c: its turn begins; and what may keep it from that. */
void work_item_run(struct work_core *core, struct actor *actor,
                   struct item *item);
void work_item_begin(struct work_core *core, struct actor *actor,
                     struct item *item);
/* core_actor.c: it is not idle; it has no state. */
void work_actor_busy(struct actor *actor);
void work_actor_clear(struct work_core *core, struct actor *actor);
/* core_turn.c: state and outputs of one that is not durable take effect. */
void work_turn_effects(struct work_core *core, struct actor *actor,
                       struct item *item, const struct work_outcome *outcome);
/* core_deliver.c: was the item sent, through others, by that very turn? */
bool work_chain_has(const struct actor *actor, const struct item *waiter,
                    const struct item *item);

#endif
