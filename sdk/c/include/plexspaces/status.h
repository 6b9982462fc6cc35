#ifndef PLEXSPACES_STATUS_H
#define PLEXSPACES_STATUS_H

/* What functions of the SDK that return int give when it is not 0 or a count.
 */
enum plex_error {
    PLEX_E_INVALID = -1,
    PLEX_E_NOT_FOUND = -2,
    PLEX_E_EXISTS = -3,
    PLEX_E_CONFLICT = -4,
    PLEX_E_DENIED = -5,
    PLEX_E_LIMIT = -6,
    PLEX_E_UNAVAILABLE = -7,
    PLEX_E_TIMEOUT = -8,
    PLEX_E_CANCELLED = -15,
    PLEX_E_FAILED = -16,
    PLEX_E_TOO_LARGE = -18,
    PLEX_E_UNSUPPORTED = -19,
};

#endif
