#ifndef SERVICES_JOURNAL_CLIENT_WIRE_H
#define SERVICES_JOURNAL_CLIENT_WIRE_H

#include "common/arena.h"
#include "services/journal/client.h"
#include "services/journal/export.h"

/* The caller's half of the wire: encoding of requests, decoding of replies,
 * whose results live in `arena`. Private to client.c and its tests. */
struct journal_replied_page {
    const struct journal_pending_item *items;
    size_t n;
    struct plex_bytes next;
    uint64_t next_due_ms;
};

PLEX_MUST_USE enum plex_status journal_pack_append(
    const struct journal_entry *entries, size_t n, struct plex_buf *out,
    struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_pack_load(
    const struct journal_load *load, struct plex_buf *out,
    struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_pack_fence(
    const struct journal_fence *ranges, size_t n, struct plex_buf *out,
    struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_pack_lookup(const char *tenant,
                                                   struct plex_bytes id,
                                                   struct plex_buf *out,
                                                   struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_pack_answers(
    const struct journal_asked *asked, size_t n, struct plex_buf *out,
    struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_pack_pending(
    uint32_t first, uint32_t last, struct plex_bytes after, uint32_t limit,
    struct plex_buf *out, struct plex_err *err);

PLEX_MUST_USE enum plex_status journal_pack_due(const struct journal_due *want,
                                                struct plex_buf *out,
                                                struct plex_err *err);

/* Of APPEND and ANSWERS. `n` is what was asked for: another number of results
 * is PLEX_INVALID. */
PLEX_MUST_USE enum plex_status journal_unpack_append(
    struct plex_bytes in, size_t n, struct plex_arena *arena,
    struct journal_result **out, struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_unpack_load(struct plex_bytes in,
                                                   struct plex_arena *arena,
                                                   struct journal_loaded *out,
                                                   struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_unpack_fence(struct plex_bytes in,
                                                    struct plex_arena *arena,
                                                    uint64_t *newest_epoch,
                                                    struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_unpack_lookup(struct plex_bytes in,
                                                     struct plex_arena *arena,
                                                     struct journal_lookup *out,
                                                     struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_unpack_pending(
    struct plex_bytes in, struct plex_arena *arena,
    struct journal_replied_page *out, struct plex_err *err);

/* -- client_wire_past.c */
/* Of export.c. */
PLEX_MUST_USE enum plex_status journal_pack_past_turn(
    const struct journal_past_turn *turn, struct plex_buf *out,
    struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_unpack_past_turn(
    struct plex_bytes in, struct plex_arena *arena,
    struct journal_past_turn *out, struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_pack_export_head(
    const struct journal_export_head *head, struct plex_buf *out,
    struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_unpack_export_head(
    struct plex_bytes in, struct plex_arena *arena,
    struct journal_export_head *out, struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_pack_backup(const char *name,
                                                   struct plex_buf *out,
                                                   struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_unpack_backups(
    struct plex_bytes in, struct plex_arena *arena,
    const struct journal_backup **out, size_t *n, struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_pack_truncate(
    const struct journal_truncate *want, struct plex_buf *out,
    struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_unpack_truncated(
    struct plex_bytes in, struct plex_arena *arena,
    struct journal_truncated *out, struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_pack_shred(const char *tenant,
                                                  struct plex_buf *out,
                                                  struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_unpack_shredded(struct plex_bytes in,
                                                       struct plex_arena *arena,
                                                       uint64_t *keys,
                                                       struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_pack_history(
    const struct journal_history *want, struct plex_buf *out,
    struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_pack_at(const struct journal_at *want,
                                               struct plex_buf *out,
                                               struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_pack_verify(
    const struct journal_verify *want, struct plex_buf *out,
    struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_unpack_past(struct plex_bytes in,
                                                   struct plex_arena *arena,
                                                   struct journal_past *out,
                                                   struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_unpack_was(struct plex_bytes in,
                                                  struct plex_arena *arena,
                                                  struct journal_was *out,
                                                  struct plex_err *err);
PLEX_MUST_USE enum plex_status journal_unpack_verified(
    struct plex_bytes in, struct plex_arena *arena,
    struct journal_verified *out, struct plex_err *err);

#endif
