#ifndef SERVICES_REGISTRY_WIRE_KV_H
#define SERVICES_REGISTRY_WIRE_KV_H

#include "common/arena.h"
#include "services/registry/kv.h"

/*
 * keyvalue.v1 and the rows of keys as plain structs. Decoded texts and values
 * live in the arena or the input. Encoders append to `out`.
 *
 * Errors of decoders: PLEX_INVALID for people, PLEX_TOO_LARGE; of rows:
 * PLEX_CORRUPT. Of encoders: PLEX_TOO_LARGE.
 */
enum { REG_KV_METHOD_FIRST = 1501, REG_KV_METHOD_LAST = 1517 };

/* All but the tenant; `ns` is "" when the request says none. */
PLEX_MUST_USE enum plex_status reg_wire_kv_request(uint32_t method,
                                                   struct plex_bytes in,
                                                   struct plex_arena *arena,
                                                   struct reg_kv_request *out,
                                                   struct plex_err *err);
PLEX_MUST_USE enum plex_status reg_wire_kv_answer(
    const struct reg_kv_answer *answer, const char *backend,
    struct plex_arena *arena, struct plex_buf *out, struct plex_err *err);

PLEX_MUST_USE enum plex_status reg_wire_kv_row_out(const struct reg_kv_row *row,
                                                   struct plex_buf *out,
                                                   struct plex_err *err);
/* A VALUE: value, version and times; a REQUEST: all but its names. */
PLEX_MUST_USE enum plex_status reg_wire_kv_value_in(struct plex_bytes in,
                                                    struct plex_arena *arena,
                                                    struct reg_kv_rec *out,
                                                    struct plex_err *err);
PLEX_MUST_USE enum plex_status reg_wire_kv_request_in(struct plex_bytes in,
                                                      struct plex_arena *arena,
                                                      struct reg_kv_row *out,
                                                      struct plex_err *err);

/* A counter's row, of keys or locks. */
PLEX_MUST_USE enum plex_status reg_wire_counter_out(uint64_t value,
                                                    struct plex_buf *out,
                                                    struct plex_err *err);
PLEX_MUST_USE enum plex_status reg_wire_counter_in(struct plex_bytes in,
                                                   struct plex_arena *arena,
                                                   uint64_t *value,
                                                   struct plex_err *err);

/* Checks of texts, for keys and locks: `what` names the field. */
PLEX_MUST_USE enum plex_status reg_wire_text_check(const char *what,
                                                   const char *text, size_t min,
                                                   size_t max,
                                                   struct plex_err *err);
PLEX_MUST_USE enum plex_status reg_wire_ns_check(const char *ns,
                                                 struct plex_err *err);
PLEX_MUST_USE enum plex_status reg_wire_page_check(uint32_t given,
                                                   uint32_t *page_size,
                                                   struct plex_err *err);

#endif
