#ifndef SERVICES_JOURNAL_EXPORT_H
#define SERVICES_JOURNAL_EXPORT_H

#include "common/arena.h"
#include "services/journal/types.h"

#include <stdio.h>

/*
 * The journal of one actor as a file, to look at and replay elsewhere. Numbers
 * are little endian, messages as in proto/internal/.../journal.proto:
 *
 *   "PLXJEXP1"
 *   record*    length of the body (4 bytes, at most 17 MiB), kind (4), XXH3-64
 *              of the body, seeded with the record's number (8), chain (32),
 *              the body
 *
 * The first record is of kind 1, an ExportHead; then a PastTurn each (kind 2),
 * by sequence; the last one (kind 3) has the number of turns (8 bytes). The
 * chain is SHA-256 over the chain of the record before (32 zero bytes for the
 * first), the kind (4) and the body. What was sealed in the journal is in the
 * clear here.
 */
struct journal_export_head {
    struct plex_actor_id actor;
    uint64_t at_ms;                  /* wall clock of the export */
    uint64_t oldest_seq, newest_seq; /* that the journal had */
    bool has_base;
    struct journal_was base; /* the actor before the first turn here */
};

struct journal_export_file; /* private */

/* Takes `file` over; finish() closes it. */
PLEX_MUST_USE enum plex_status journal_export_create(
    struct journal_export_file **out, FILE *file,
    const struct journal_export_head *head, struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_export_turn(
    struct journal_export_file *file, const struct journal_past_turn *turn,
    struct plex_err *err);
/* Accepts NULL. With a status but PLEX_OK, which it returns, the file is not
 * ended and no reader will take it for a whole one. */
enum plex_status journal_export_finish(struct journal_export_file *file,
                                       enum plex_status status,
                                       struct plex_err *err);

/* Takes `file` over, also when it fails. *head is allocated in the file:
 * PLEX_CORRUPT, PLEX_UNSUPPORTED (newer format). */
PLEX_MUST_USE enum plex_status journal_export_open(
    struct journal_export_file **out, FILE *file,
    struct journal_export_head *head, struct plex_err *err);
/* The next turn, valid until the next call; *end: there was none. PLEX_CORRUPT
 * names the record: changed, exchanged, missing or cut off. */
PLEX_MUST_USE enum plex_status journal_export_next(
    struct journal_export_file *file, bool *end, struct journal_past_turn *turn,
    struct plex_err *err);
void journal_export_close(struct journal_export_file *file); /* accepts NULL */

#endif
