#ifndef SERVICES_REGISTRY_WIRE_LOCK_H
#define SERVICES_REGISTRY_WIRE_LOCK_H

#include "common/arena.h"
#include "services/registry/lock.h"

/* locks.v1 and the rows of locks as plain structs; as wire_kv.h. */
enum { REG_LOCK_METHOD_FIRST = 1601, REG_LOCK_METHOD_LAST = 1606 };

/* All but the tenant and new_version; `ns` is "" when the request says none. */
PLEX_MUST_USE enum plex_status reg_wire_lock_request(
    uint32_t method, struct plex_bytes in, struct plex_arena *arena,
    struct reg_lock_request *out, struct plex_err *err);
PLEX_MUST_USE enum plex_status reg_wire_lock_answer(
    const struct reg_lock_answer *answer, struct plex_arena *arena,
    struct plex_buf *out, struct plex_err *err);

PLEX_MUST_USE enum plex_status reg_wire_lock_row_out(
    const struct reg_lock_info *lock, struct plex_buf *out,
    struct plex_err *err);
/* All but the names; in the arena. */
PLEX_MUST_USE enum plex_status reg_wire_lock_row_in(struct plex_bytes in,
                                                    struct plex_arena *arena,
                                                    struct reg_lock_info *out,
                                                    struct plex_err *err);

#endif
