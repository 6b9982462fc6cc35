#ifndef SERVICES_TUPLESPACE_STORE_BATCH_H
#define SERVICES_TUPLESPACE_STORE_BATCH_H

#include "services/tuplespace/store_backend.h"

/*
 * The changes of one transaction: the last one of each record counts, so what
 * is written and taken within it is not stored at all but for its removal.
 */
struct tspace_batch *tspace_batch_create(void);
void tspace_batch_free(struct tspace_batch *batch); /* accepts NULL */
struct tspace_place *tspace_batch_place(struct tspace_batch *batch,
                                        const struct tspace_where *where);
/* PLEX_LIMIT when it is too large. */
PLEX_MUST_USE enum plex_status tspace_batch_add(
    struct tspace_batch *batch, const struct tspace_action *action,
    struct plex_err *err);
size_t tspace_batch_bytes(const struct tspace_batch *batch);
/* Borrowed until the next add or clear. */
const struct tspace_change *tspace_batch_changes(struct tspace_batch *batch,
                                                 size_t *n);
void tspace_batch_clear(struct tspace_batch *batch);

#endif
