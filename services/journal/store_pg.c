#include "services/journal/store_backend.h"

static enum plex_status
pg_open(struct journal_store **out, const struct journal_store_config *config,
        struct plex_err *err)
{
    (void)out;
    (void)config;
    return plex_err_set(err, PLEX_UNSUPPORTED, "not yet");
}

const struct journal_store_ops journal_store_pg = {.scheme = "postgres",
                                                   .open = pg_open};
