#ifndef SERVICES_WORKER_CORE_ASK_H
#define SERVICES_WORKER_CORE_ASK_H

#include "services/worker/core_types.h"

/* core_ask.c: queries and updates of runs that wait */
/* Is it one of them? */
bool work_ask_is(const struct item *item);
/* May the open run be asked now? */
bool work_ask_takes(const struct actor *actor, const struct item *item);
/* Has it to be refused, as long as the run is parked? */
bool work_ask_parked(const struct actor *actor, const struct item *item);
/* WORK_ANSWERS: nothing has changed. */
void work_ask_answered(struct work_core *core, struct actor *actor,
                       struct item *item, const struct work_outcome *outcome);
/* An update that the run has taken gets its answer, or, while its handler
 * waits, that it was accepted. */
void work_ask_accepted(struct work_core *core, struct actor *actor,
                       struct item *item, const struct work_outcome *outcome);
/* An update may have ended with the stretch that is queued. */
void work_ask_done(struct work_core *core, struct actor *actor,
                   const struct work_outcome *outcome);
/* The run is closed; `item` (NULL: none) was what it was given last. */
void work_ask_closed(struct work_core *core, struct actor *actor,
                     struct item *item);
/* Its turn is written: true when it stays, for its answer. */
bool work_ask_released(struct work_core *core, struct item *item);
/* The activation is dropped: an update to be asked again, or NULL. */
struct item *work_ask_dropped(struct actor *actor);
/* What is recorded for it says no more than that it was accepted. */
bool work_ask_wants_more(const struct actor *actor, const struct item *item,
                         struct plex_bytes recorded);
/* True: answered as the one of that id that is under way. */
bool work_ask_joins(struct work_core *core, const struct item *first,
                    struct item *item);

#endif
