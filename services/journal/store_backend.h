#ifndef SERVICES_JOURNAL_STORE_BACKEND_H
#define SERVICES_JOURNAL_STORE_BACKEND_H

#include "services/journal/store.h"

/*
 * What a back end implements: all of it. Contracts are in store.h; store.c
 * has checked the arguments. The base struct comes first in each store, so
 * another one can wrap it (the simulator does, to crash in between).
 */
struct journal_store_ops {
    const char *scheme; /* of the DSN, up to the colon */
    enum plex_status (*open)(struct journal_store **out,
                             const struct journal_store_config *config,
                             struct plex_err *err);
    void (*close)(struct journal_store *store);
    enum plex_status (*epochs)(struct journal_store *store,
                               struct journal_epochs *out,
                               struct plex_err *err);
    enum plex_status (*commit)(struct journal_store *store,
                               struct journal_commit *commit,
                               struct plex_err *err);
    enum plex_status (*load)(struct journal_store *store,
                             const struct journal_load *load, uint64_t wall_ms,
                             struct plex_arena *arena,
                             struct journal_loaded *out, uint64_t *newest_epoch,
                             struct plex_err *err);
    enum plex_status (*lookup)(struct journal_store *store, const char *tenant,
                               struct plex_bytes message_id, uint64_t wall_ms,
                               struct plex_arena *arena,
                               struct journal_lookup *out,
                               struct plex_err *err);
    enum plex_status (*pending)(struct journal_store *store,
                                const struct journal_page *page,
                                struct plex_arena *arena,
                                struct journal_paged *out,
                                struct plex_err *err);
    enum plex_status (*retain)(struct journal_store *store, uint64_t wall_ms,
                               uint32_t limit, struct journal_retained *out,
                               struct plex_err *err);
    uint64_t (*bytes)(struct journal_store *store);
};

struct journal_store {
    const struct journal_store_ops *ops;
};

extern const struct journal_store_ops journal_store_mem;
extern const struct journal_store_ops journal_store_sqlite;
extern const struct journal_store_ops journal_store_pg;

#endif
