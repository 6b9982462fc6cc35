#ifndef SERVICES_JOURNAL_BACKUP_H
#define SERVICES_JOURNAL_BACKUP_H

#include "services/journal/backup_file.h"

/*
 * Backup of a journal that is running, and restore into an empty one. Calls
 * block, may take minutes, and use connections of their own: they belong on a
 * thread beside the loop. The backup is what was committed at one moment.
 *
 * A restore leaves the epochs of the store as they are: the workers that the
 * backup knew of are not to come back. What was sealed stays so: the master
 * keys of the time are needed.
 */
struct journal_backup_info {
    uint32_t backend; /* BACKUP_SQLITE, BACKUP_POSTGRES */
    uint32_t schema;
    uint64_t at_ms; /* wall clock of the moment */
    uint64_t bytes; /* of the file */
};

/* PLEX_EXISTS: the file is there. PLEX_UNSUPPORTED: mem:. PLEX_LIMIT: full. */
PLEX_MUST_USE enum plex_status journal_backup_create(
    const char *dsn, const char *path, uint64_t wall_ms,
    struct journal_backup_info *out, struct plex_err *err);
/* Read all of it and check it. PLEX_NOT_FOUND, PLEX_CORRUPT. */
PLEX_MUST_USE enum plex_status journal_backup_check(
    const char *path, struct journal_backup_info *out, struct plex_err *err);
/* Only the header. */
PLEX_MUST_USE enum plex_status journal_backup_peek(
    const char *path, struct journal_backup_info *out, struct plex_err *err);
/* The whole file is checked before anything is written, and all of it is
 * written or nothing. The store must not be open (SQLite). PLEX_CONFLICT: there
 * are actors in it; PLEX_UNSUPPORTED: of another back end or a newer schema. */
PLEX_MUST_USE enum plex_status journal_backup_restore(const char *dsn,
                                                      const char *path,
                                                      struct plex_err *err);

/* -- backup_sqlite.c, backup_pg.c: what is behind the scheme */
struct journal_backup_ops {
    const char *scheme;
    uint32_t backend;
    enum plex_status (*create)(const char *dsn, const char *path,
                               uint64_t wall_ms, struct plex_err *err);
    /* `r` is at its first chunk. */
    enum plex_status (*restore)(const char *dsn, struct backup_reader *r,
                                struct plex_err *err);
};
extern const struct journal_backup_ops journal_backup_sqlite;
extern const struct journal_backup_ops journal_backup_pg;

#endif
