#ifndef SERVICES_WORKER_WIRE_H
#define SERVICES_WORKER_WIRE_H

#include "services/worker/client.h"

/*
 * The wire form of what client.h does not show: method numbers, lists of
 * actors, and the marks put on a reply that is already packed.
 */
enum {
    WORK_METHOD_INVOKE = 601,
    WORK_METHOD_LIST = 602,
    WORK_METHOD_INSPECT = 603,
};
enum { WORK_REPLY_MARKS_MAX = 4 }; /* bytes */

/* Bytes that, put behind a packed reply, set these flags in it. */
size_t work_reply_marks(bool replayed, bool recorded,
                        uint8_t out[WORK_REPLY_MARKS_MAX]);

struct work_list_request {
    const char *tenant;
    const char *ns;
    const char *type;
    const char *after;
    uint32_t limit;
};
PLEX_MUST_USE enum plex_status work_list_request_pack(
    const struct work_list_request *request, struct plex_buf *out,
    struct plex_err *err);
PLEX_MUST_USE enum plex_status work_list_request_unpack(
    struct plex_bytes in, struct plex_arena *arena,
    struct work_list_request *out, struct plex_err *err);
PLEX_MUST_USE enum plex_status work_list_reply_pack(
    const struct work_actor *actors, size_t n, struct plex_buf *out,
    struct plex_err *err);
/* *out is in `arena`. */
PLEX_MUST_USE enum plex_status work_list_reply_unpack(struct plex_bytes in,
                                                      struct plex_arena *arena,
                                                      struct work_actor **out,
                                                      size_t *n,
                                                      struct plex_err *err);

PLEX_MUST_USE enum plex_status work_inspect_request_pack(
    const struct plex_actor_id *actor, struct plex_buf *out,
    struct plex_err *err);
PLEX_MUST_USE enum plex_status work_inspect_request_unpack(
    struct plex_bytes in, struct plex_arena *arena, struct plex_actor_id *out,
    struct plex_err *err);
PLEX_MUST_USE enum plex_status work_inspect_reply_pack(
    const struct work_actor *actor, struct plex_buf *out, struct plex_err *err);
PLEX_MUST_USE enum plex_status work_inspect_reply_unpack(
    struct plex_bytes in, struct plex_arena *arena, struct work_actor *out,
    struct plex_err *err);

#endif
