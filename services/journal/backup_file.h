#ifndef SERVICES_JOURNAL_BACKUP_FILE_H
#define SERVICES_JOURNAL_BACKUP_FILE_H

#include "common/bytes.h"

#include <stdbool.h>
#include <stdio.h>

/*
 * The file of a backup. All numbers little endian:
 *
 *   header  "PLXJBAK1", back end (4 bytes: 1 SQLite, 2 Postgres), schema
 *           version (4), wall clock in ms (8), XXH3-64 of these 24 bytes (8)
 *   chunk   part (4), length (4, at most 1 MiB), XXH3-64 of the data, seeded
 *           with (part << 32) xor the chunk's number (8), the data
 *   end     a chunk of part 0xffffffff whose data is the number of chunks
 *           before it (8)
 *
 * SQLite: part 1 is the database file. Postgres: a part per table, in binary
 * COPY format.
 */
enum {
    BACKUP_SQLITE = 1,
    BACKUP_POSTGRES = 2,
    BACKUP_CHUNK_MAX = 1 << 20,
};

struct backup_header {
    uint32_t backend, schema;
    uint64_t at_ms;
};

struct backup_writer {
    FILE *file;
    char *path, *part_path;
    uint64_t chunks;
};
/* Writes beside `path` and renames at the end; mode 0600. PLEX_EXISTS. */
PLEX_MUST_USE enum plex_status backup_create(struct backup_writer *w,
                                             const char *path,
                                             const struct backup_header *header,
                                             struct plex_err *err);
/* Any length: it is cut. */
PLEX_MUST_USE enum plex_status backup_write(struct backup_writer *w,
                                            uint32_t part,
                                            struct plex_bytes data,
                                            struct plex_err *err);
/* On disk when it returns. With a status but PLEX_OK, which it returns, what
 * was written is removed. */
enum plex_status backup_finish(struct backup_writer *w, enum plex_status status,
                               struct plex_err *err);

struct backup_reader {
    FILE *file;
    struct backup_header header;
    uint64_t chunks;
    uint8_t *data; /* of the chunk, BACKUP_CHUNK_MAX */
};
/* PLEX_NOT_FOUND, PLEX_CORRUPT, PLEX_UNSUPPORTED. Close it in any case. */
PLEX_MUST_USE enum plex_status backup_open(struct backup_reader *r,
                                           const char *path,
                                           struct plex_err *err);
/* Takes the file over. */
PLEX_MUST_USE enum plex_status backup_open_file(struct backup_reader *r,
                                                FILE *file,
                                                struct plex_err *err);
/* The next chunk, valid until the next call; *end: there is none. */
PLEX_MUST_USE enum plex_status backup_read(struct backup_reader *r, bool *end,
                                           uint32_t *part,
                                           struct plex_bytes *data,
                                           struct plex_err *err);
void backup_close(struct backup_reader *r);

#endif
