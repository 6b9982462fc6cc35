#ifndef COMMON_DSN_H
#define COMMON_DSN_H

#include "common/err.h"

/* Where a service keeps its data: "scheme:rest". */

/* What follows "scheme:", or NULL when `dsn` is of another scheme.
 * "postgresql" is another spelling of "postgres". */
const char *plex_dsn_rest(const char *dsn, const char *scheme);

/* PLEX_INVALID, saying how the option store_dsn begins and what it may be:
 * `known` is as "mem: or sqlite:PATH". The rest of the DSN is not shown, it
 * may hold a password. */
enum plex_status plex_dsn_unknown(const char *dsn, const char *known,
                                  struct plex_err *err);

#endif
