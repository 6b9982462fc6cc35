#ifndef SERVICES_WORKER_CORE_WAKE_H
#define SERVICES_WORKER_CORE_WAKE_H

/* A part of core_private.h, which includes it: between loading an actor and
 * its first turn; and what it writes. */

/* core_restore.c: states that are made by the behaviour before the first turn
 */
/* What was loaded needs that: it has been taken, and the rest follows. */
bool work_restore_begin(struct work_core *core, struct actor *actor,
                        const struct journal_loaded *loaded);
/* One more page. */
void work_restore_page(struct work_core *core, struct actor *actor,
                       const struct journal_loaded *loaded);
bool work_restore_action(struct work_core *core, struct actor *actor,
                         uint64_t token, struct work_action *out);
void work_restore_ran(struct work_core *core, struct actor *actor,
                      const struct work_outcome *outcome);
void work_restore_free(struct work_core *core, struct actor *actor);

/* core_fold.c */
/* What was loaded is an open run with records to be added to its log: they
 * have been taken or asked for, and the rest follows. */
bool work_fold_begin(struct work_core *core, struct actor *actor,
                     const struct journal_loaded *loaded);
void work_fold_page(struct work_core *core, struct actor *actor,
                    const struct journal_loaded *loaded);
void work_fold_free(struct actor *actor);

/* core_append.c */
void work_write_queue(struct work_core *core, struct write *write);
void work_snapshot_queue(struct work_core *core, struct actor *actor);
void work_batch_free(struct batch *batch);
void work_batch_action(const struct batch *batch, struct work_action *out);

/* Of the newest call with that tag that has no answer yet; NULL: none. */
struct pend *work_pend_call(const struct actor *actor, uint64_t tag);

#endif
