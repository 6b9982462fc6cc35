#ifndef SERVICES_GATEWAY_REST_FOLD_H
#define SERVICES_GATEWAY_REST_FOLD_H

#include "services/gateway/rest.h"
#include "services/journal/client.h"

/* `was` is valid until done() returns. */
typedef void (*gate_rest_was_fn)(struct gate_rest *rest,
                                 enum plex_status status, const char *text,
                                 const struct journal_was *was);
/*
 * Ask the journal for what turns since was->state_seq have added to an open
 * run; anything else is handed on as it is. `actor` stays valid with `rest`.
 */
void gate_rest_fold(struct gate_rest *rest, const struct plex_actor_id *actor,
                    const struct journal_was *was, gate_rest_was_fn done);
/*
 * The same of an event-sourced actor's state, in rest_rebuild.c: a worker makes
 * it of the events since was->state_seq.
 */
void gate_rest_rebuild(struct gate_rest *rest,
                       const struct plex_actor_id *actor,
                       const struct journal_was *was, gate_rest_was_fn done);

#endif
