#ifndef SERVICES_JOURNAL_KEYRING_H
#define SERVICES_JOURNAL_KEYRING_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

/*
 * The master keys of a file that only its owner may read: lines of a number
 * from 1 and 64 hexadecimal digits, '#' begins a comment. The largest number
 * is the current one. To rotate: add a line with a larger number, restart; the
 * keys of tenants are wrapped anew, and the old line can go.
 */
enum { JOURNAL_KEY_BYTES = 32, JOURNAL_KEYRING_MAX = 64 };

struct journal_keyring {
    size_t n;
    struct journal_master_key {
        uint32_t id;
        uint8_t bytes[JOURNAL_KEY_BYTES];
    } keys[JOURNAL_KEYRING_MAX]; /* by id, rising */
};

/* PLEX_INVALID names the line and never says what it holds. */
PLEX_MUST_USE enum plex_status journal_keyring_parse(
    const char *text, struct journal_keyring *out, struct plex_err *err);
/* The same from a file. PLEX_INVALID also for one that others may read. */
PLEX_MUST_USE enum plex_status journal_keyring_read(const char *path,
                                                    struct journal_keyring *out,
                                                    struct plex_err *err);
void journal_keyring_wipe(struct journal_keyring *ring);
/* NULL when it is not there. */
const struct journal_master_key *journal_keyring_find(
    const struct journal_keyring *ring, uint32_t id);
/* NULL for an empty one. */
const struct journal_master_key *journal_keyring_current(
    const struct journal_keyring *ring);

#endif
