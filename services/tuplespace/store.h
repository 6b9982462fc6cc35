#ifndef SERVICES_TUPLESPACE_STORE_H
#define SERVICES_TUPLESPACE_STORE_H

#include "services/tuplespace/core.h"

/*
 * What plex-tuplespace keeps across restarts: tuples and the answers to
 * request ids. `mem:` keeps nothing; `sqlite:/path/file.db` keeps what was
 * committed. Belongs to the loop thread; calls block.
 */
struct tspace_store;

/* Errors: PLEX_INVALID (DSN), PLEX_UNAVAILABLE (cannot be opened, in use),
 * PLEX_CORRUPT, PLEX_UNSUPPORTED (made by a newer version). */
PLEX_MUST_USE enum plex_status tspace_store_open(struct tspace_store **out,
                                                 const char *dsn,
                                                 struct plex_err *err);
/* Only the form of the DSN. */
PLEX_MUST_USE enum plex_status tspace_store_check(const char *dsn,
                                                  struct plex_err *err);
void tspace_store_close(struct tspace_store *store); /* accepts NULL */

/* Write `action` (any kind but TSPACE_REPLY) in the open transaction, which
 * the first call begins. After a failure nothing more is written until
 * tspace_store_rollback(). */
PLEX_MUST_USE enum plex_status tspace_store_apply(
    struct tspace_store *store, const struct tspace_action *action,
    struct plex_err *err);
/* On PLEX_OK everything applied since the last commit is durable. On failure
 * nothing of it is. */
PLEX_MUST_USE enum plex_status tspace_store_commit(struct tspace_store *store,
                                                   struct plex_err *err);
void tspace_store_rollback(struct tspace_store *store);

/* Restore everything into an empty core. PLEX_CORRUPT for a row that does not
 * decode. */
PLEX_MUST_USE enum plex_status tspace_store_load(struct tspace_store *store,
                                                 struct tspace_core *core,
                                                 struct plex_err *err);

#endif
