#include "common/dsn.h"

#include <stddef.h>
#include <string.h>

const char *
plex_dsn_rest(const char *dsn, const char *scheme)
{
    const size_t len = strlen(scheme);

    if (strncmp(dsn, scheme, len) == 0 && dsn[len] == ':')
        return dsn + len + 1;
    if (strcmp(scheme, "postgres") == 0)
        return plex_dsn_rest(dsn, "postgresql");
    return NULL;
}

enum plex_status
plex_dsn_unknown(const char *dsn, const char *known, struct plex_err *err)
{
    const size_t len = strcspn(dsn, ":");

    return plex_err_set(err, PLEX_INVALID,
                        "store_dsn begins with \"%.*s\", it must be %s",
                        len > 32 ? 32 : (int)len, dsn, known);
}
