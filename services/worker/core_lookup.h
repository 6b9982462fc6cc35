#ifndef SERVICES_WORKER_CORE_LOOKUP_H
#define SERVICES_WORKER_CORE_LOOKUP_H

#include "services/worker/core_types.h"

/* A part of core_private.h, which includes it: what is asked of the journal
 * before a turn, and what goes along with one. */

/* Questions for recorded answers (core_lookup.c). */
struct lookup {
    TAILQ_ENTRY(lookup) link;
    uint64_t token;
    size_t n;
    uint64_t actors[JOURNAL_ASKED_MAX]; /* their tokens */
};
struct lookups {
    uint64_t *waiting; /* tokens of actors that are in no question yet */
    size_t n, cap;
    TAILQ_HEAD(, lookup) out;
    size_t n_out; /* with those that are still in the action queue */
    struct journal_asked asked[JOURNAL_ASKED_MAX]; /* of the last LOOKUP */
};
#include "services/worker/core_window.h" // IWYU pragma: export

/* core_lookup.c: was a run's message perhaps answered long ago? */
/* Its id may be known to the journal and not to us. */
bool work_lookup_wanted(const struct work_core *core, const struct actor *actor,
                        const struct item *item);
/* The first stretch waits for the answer. */
void work_lookup_begin(struct work_core *core, struct actor *actor,
                       const struct work_outcome *first);
/* At the end of an iteration: what waits is asked. */
void work_lookups_flush(struct work_core *core);
bool work_lookup_action(struct work_core *core, struct work_action *out);
void work_lookups_free(struct work_core *core);

/* core_ahead.c */
/* What of the mailbox goes along with this RUN. */
void work_ahead_take(struct work_core *core, struct actor *actor,
                     struct work_action *out);

#endif
