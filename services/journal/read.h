#ifndef SERVICES_JOURNAL_READ_H
#define SERVICES_JOURNAL_READ_H

#include "services/journal/core.h"

/* Read what a request of the core asks for from the store, and append the
 * encoded answer to `out`. *newest_epoch is set with PLEX_FENCED. */
PLEX_MUST_USE enum plex_status journal_read(
    struct journal_store *store, const struct journal_request *request,
    uint64_t wall_ms, struct plex_arena *arena, struct plex_buf *out,
    uint64_t *newest_epoch, struct plex_err *err);

/* Loads that are read together. */
struct journal_reads {
    struct journal_loading loadings[JOURNAL_LOADS_MAX];
    struct journal_request *requests[JOURNAL_LOADS_MAX];
    size_t n;
};
/* True when they are to be run before another comes. */
bool journal_reads_add(struct journal_reads *reads,
                       struct journal_request *request,
                       struct plex_arena *arena);
/* `done` is called for each, in their order; on PLEX_OK `out` has its encoded
 * answer, else err says why there is none. */
typedef void (*journal_read_fn)(void *arg, struct journal_request *request,
                                uint64_t newest_epoch,
                                const struct plex_err *err);
void journal_reads_run(struct journal_reads *reads, struct journal_store *store,
                       uint64_t wall_ms, struct plex_buf *out,
                       journal_read_fn done, void *arg);

#endif
