#ifndef SERVICES_JOURNAL_WIRE_H
#define SERVICES_JOURNAL_WIRE_H

#include "services/journal/core.h"

/*
 * Between bytes and the core's structs: decoding of requests, encoding of
 * replies. Results of decoding live in `arena`. Errors: PLEX_INVALID naming
 * the field, PLEX_TOO_LARGE.
 */

/* Decode a request of that kind into an empty *out. */
PLEX_MUST_USE enum plex_status journal_wire_request(
    enum journal_request_kind kind, struct plex_bytes in,
    struct plex_arena *arena, struct journal_request *out,
    struct plex_err *err);

/* Append the reply to `out`; scratch memory comes from `arena`. */
PLEX_MUST_USE enum plex_status journal_wire_results(
    const struct journal_result *results, size_t n, struct plex_arena *arena,
    struct plex_buf *out, struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_wire_loaded(
    const struct journal_loaded *loaded, struct plex_arena *arena,
    struct plex_buf *out, struct plex_err *err);
/* Also the payload of an answer with status FENCED. */
PLEX_MUST_USE enum plex_status journal_wire_fenced(uint64_t newest_epoch,
                                                   struct plex_buf *out,
                                                   struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_wire_lookup(
    const struct journal_lookup *found, struct plex_buf *out,
    struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_wire_paged(
    const struct journal_paged *paged, struct plex_arena *arena,
    struct plex_buf *out, struct plex_err *err);

/* -- wire_past.c */
/* *name is in `arena`. */
PLEX_MUST_USE enum plex_status journal_wire_backup_in(struct plex_bytes in,
                                                      struct plex_arena *arena,
                                                      const char **name,
                                                      struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_wire_backups(
    const struct journal_backup *backups, size_t n, struct plex_arena *arena,
    struct plex_buf *out, struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_wire_truncated(
    const struct journal_truncated *truncated, struct plex_buf *out,
    struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_wire_shredded(uint64_t keys,
                                                     struct plex_buf *out,
                                                     struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_wire_past(
    const struct journal_past *past, struct plex_arena *arena,
    struct plex_buf *out, struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_wire_was(const struct journal_was *was,
                                                struct plex_buf *out,
                                                struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_wire_verified(
    const struct journal_verified *verified, struct plex_arena *arena,
    struct plex_buf *out, struct plex_err *err);

#endif
