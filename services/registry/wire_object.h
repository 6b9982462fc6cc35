#ifndef SERVICES_REGISTRY_WIRE_OBJECT_H
#define SERVICES_REGISTRY_WIRE_OBJECT_H

#include "common/arena.h"
#include "services/registry/object.h"

/* object_registry.v1 and the rows of objects as plain structs; as wire_kv.h. */
enum { REG_OBJECT_METHOD_FIRST = 1701, REG_OBJECT_METHOD_LAST = 1707 };
enum { REG_OBJECT_BEATS_MAX = 1000 };

/* All but the tenant; `ns` is "" when the request says none. */
PLEX_MUST_USE enum plex_status reg_wire_object_request(
    uint32_t method, struct plex_bytes in, struct plex_arena *arena,
    struct reg_object_request *out, struct plex_err *err);
PLEX_MUST_USE enum plex_status reg_wire_object_answer(
    const struct reg_object_answer *answer, struct plex_arena *arena,
    struct plex_buf *out, struct plex_err *err);

PLEX_MUST_USE enum plex_status reg_wire_object_row_out(
    const struct reg_object *object, struct plex_arena *arena,
    struct plex_buf *out, struct plex_err *err);
/* All but tenant and namespace; in the arena. */
PLEX_MUST_USE enum plex_status reg_wire_object_row_in(struct plex_bytes in,
                                                      struct plex_arena *arena,
                                                      struct reg_object *out,
                                                      struct plex_err *err);

#endif
