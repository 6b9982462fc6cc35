#ifndef SERVICES_JOURNAL_READ_H
#define SERVICES_JOURNAL_READ_H

#include "services/journal/core.h"

/* Read what a request of the core asks for from the store, and append the
 * encoded answer to `out`. *newest_epoch is set with PLEX_FENCED. */
PLEX_MUST_USE enum plex_status journal_read(
    struct journal_store *store, const struct journal_request *request,
    uint64_t wall_ms, struct plex_arena *arena, struct plex_buf *out,
    uint64_t *newest_epoch, struct plex_err *err);

#endif
