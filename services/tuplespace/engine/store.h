#ifndef SERVICES_TUPLESPACE_ENGINE_STORE_H
#define SERVICES_TUPLESPACE_ENGINE_STORE_H

#include "services/tuplespace/engine/action.h"

/*
 * What plex-tuplespace keeps across restarts: the map that action.h describes,
 * and one epoch. Opening raises the epoch, and from then on a commit under an
 * older one is refused: two services may both believe that the data is theirs,
 * only one can commit. `mem:` keeps nothing (and needs a transient core).
 */
struct tspace_store;

/* *epoch is the one raised to, for tspace_config. Errors: PLEX_INVALID (DSN),
 * PLEX_UNAVAILABLE (cannot be opened, in use), PLEX_CORRUPT, PLEX_UNSUPPORTED
 * (made by a newer version). */
PLEX_MUST_USE enum plex_status tspace_store_open(struct tspace_store **out,
                                                 const char *dsn,
                                                 uint64_t *epoch,
                                                 struct plex_err *err);
/* Only the form of the DSN. */
PLEX_MUST_USE enum plex_status tspace_store_check(const char *dsn,
                                                  struct plex_err *err);
void tspace_store_close(struct tspace_store *store); /* accepts NULL */

/* Take `action` (PUT or REMOVE) into the open transaction, which the first
 * call begins; its bytes are copied or written. After a failure nothing more
 * is written until tspace_store_rollback(). */
PLEX_MUST_USE enum plex_status tspace_store_apply(
    struct tspace_store *store, const struct tspace_action *action,
    struct plex_err *err);
/* On PLEX_OK everything applied since the last commit is durable. On failure
 * nothing of it is, but for PLEX_UNKNOWN. PLEX_FENCED: a newer epoch exists. */
PLEX_MUST_USE enum plex_status tspace_store_commit(struct tspace_store *store,
                                                   struct plex_err *err);
void tspace_store_rollback(struct tspace_store *store);

/* Restore everything into a new core, tspace_core_restored() included. */
PLEX_MUST_USE enum plex_status tspace_store_load(struct tspace_store *store,
                                                 struct tspace_core *core,
                                                 struct tspace_now now,
                                                 struct plex_err *err);

#endif
