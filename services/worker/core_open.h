#ifndef SERVICES_WORKER_CORE_OPEN_H
#define SERVICES_WORKER_CORE_OPEN_H

#include "services/worker/core_types.h"

/* core_open.c: runs, that is, turns whose handler waits */
void work_open_ran(struct work_core *core, struct actor *actor,
                   struct item *item, const struct work_outcome *outcome);
/* What the open run takes next: out of the mailbox, or its own; or NULL. */
struct item *work_open_next(struct work_core *core, struct actor *actor);
/* True when the item was for a run that is not open: it is finished. */
bool work_open_stray(struct work_core *core, struct item *item);
/* The stored state is an open run: it goes on. False: it does not decode. */
bool work_open_restore(struct work_core *core, struct actor *actor);
/* The activation is dropped. The item whose run it was, to be queued again or
 * refused, or NULL. */
struct item *work_open_dropped(struct work_core *core, struct actor *actor);
/* May it be passivated as far as its run goes? Then do what that takes. */
bool work_open_idle(const struct actor *actor);
void work_open_passivate(struct work_core *core, struct actor *actor);
/* Its reply: 202, nothing more to say. */
void work_open_accepted(struct work_core *core, struct item *item);
enum work_run_how work_open_how(const struct actor *actor);
/* The process of this activation is of no use any more. */
void work_open_abandon(struct work_core *core, struct actor *actor);

#endif
