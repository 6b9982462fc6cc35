#ifndef SERVICES_CHANNEL_BROKER_STORE_H
#define SERVICES_CHANNEL_BROKER_STORE_H

#include "services/channel-broker/core.h"

/*
 * What plex-channel-broker keeps across restarts: messages, groups and the
 * answers to request ids. `mem:` keeps nothing; `sqlite:/path/file.db` keeps
 * what was committed. Belongs to the loop thread; calls block.
 */
struct broker_store;

/* Errors: PLEX_INVALID (DSN), PLEX_UNAVAILABLE (cannot be opened, in use),
 * PLEX_CORRUPT, PLEX_UNSUPPORTED (made by a newer version). */
PLEX_MUST_USE enum plex_status broker_store_open(struct broker_store **out,
                                                 const char *dsn,
                                                 struct plex_err *err);
/* Only the form of the DSN. */
PLEX_MUST_USE enum plex_status broker_store_check(const char *dsn,
                                                  struct plex_err *err);
void broker_store_close(struct broker_store *store); /* accepts NULL */

/* Write `action` (any kind but BROKER_REPLY) in the open transaction, which
 * the first call begins. After a failure nothing more is written until
 * broker_store_rollback(). */
PLEX_MUST_USE enum plex_status broker_store_apply(
    struct broker_store *store, const struct broker_action *action,
    struct plex_err *err);
/* On PLEX_OK everything applied since the last commit is durable. On failure
 * nothing of it is. */
PLEX_MUST_USE enum plex_status broker_store_commit(struct broker_store *store,
                                                   struct plex_err *err);
void broker_store_rollback(struct broker_store *store);

/* Restore everything into an empty core. PLEX_CORRUPT for a row that does not
 * decode. */
PLEX_MUST_USE enum plex_status broker_store_load(struct broker_store *store,
                                                 struct broker_core *core,
                                                 struct plex_err *err);

#endif
