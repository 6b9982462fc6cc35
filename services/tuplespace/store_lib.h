#ifndef SERVICES_TUPLESPACE_STORE_LIB_H
#define SERVICES_TUPLESPACE_STORE_LIB_H

#include "services/tuplespace/engine/store.h"

/* What the shell wants of a store beyond what the engine does. */

/* Like tspace_store_open(), for one of several services over one database:
 * each shard has records and an epoch of its own. */
PLEX_MUST_USE enum plex_status tspace_store_open_shard(
    struct tspace_store **out, const char *dsn, uint32_t shard, uint64_t *epoch,
    struct plex_err *err);
/* Keeps nothing: its core is to be transient. */
bool tspace_store_is_transient(const struct tspace_store *store);
/* Others may take over: by shards, each with its epoch. */
bool tspace_store_is_shared(const char *dsn);
/* An answer that changed nothing stands on the epoch being the newest still,
 * after it was made: PLEX_FENCED, PLEX_UNAVAILABLE. Free where nobody can take
 * over. */
PLEX_MUST_USE enum plex_status tspace_store_verify(struct tspace_store *store,
                                                   struct plex_err *err);
/*
 * tspace_store_commit() in two halves, so that the databases of several shards
 * work at the same time: send what is to be committed (or, when that is
 * nothing, ask what tspace_store_verify() asks), then wait. After a failure of
 * the first there is nothing to wait for.
 */
PLEX_MUST_USE enum plex_status tspace_store_send(struct tspace_store *store,
                                                 struct plex_err *err);
PLEX_MUST_USE enum plex_status tspace_store_finish(struct tspace_store *store,
                                                   struct plex_err *err);
/* Bytes of the open transaction, about. */
size_t tspace_store_waiting(const struct tspace_store *store);

#endif
