#ifndef SERVICES_GATEWAY_REST_STATE_H
#define SERVICES_GATEWAY_REST_STATE_H

#include "services/gateway/rest_fold.h"

/* What rest_journal.c and rest_state.c share. */

/* rest_state.c: states that are put, restored, forked, kept and forgotten. */
void gate_rest_state(struct gate_rest *rest, struct journal_client *journal);

/* rest_stream.c: ReplayEventsFrom. */
void gate_rest_stream(struct gate_rest *rest);

/* rest_journal.c: the parts of the name are in the arena. False: it was
 * answered with a problem. */
bool gate_rest_actor(struct gate_rest *rest, const char *actor_id,
                     struct plex_actor_id *out);
/* Answers with what was. */
void gate_rest_was(struct gate_rest *rest, enum plex_status status,
                   const char *text, const struct journal_was *was);

#endif
