#ifndef SERVICES_WORKER_WIRE_GROUP_H
#define SERVICES_WORKER_WIRE_GROUP_H

#include "services/worker/node_private.h"

/* process_group.v1 as plain structs. Decoded strings are in the arena. */
enum {
    WORK_GROUP_LIST = 1901,
    WORK_GROUP_MEMBERS = 1902,
    WORK_GROUP_JOIN = 1903,
    WORK_GROUP_LEAVE = 1904,
    WORK_GROUP_PUBLISH = 1905,
};
enum {
    WORK_GROUP_PAGE = 1000,
    WORK_GROUP_MEMBERS_MAX = 10000,
    WORK_GROUP_PAYLOAD_MAX = 1 << 20,
};

/* What a request does not have is "" or 0. */
struct work_group_request {
    const char *ns; /* never "" */
    const char *group, *process, *node_id;
    const char *prefix, *after; /* LIST */
    uint32_t page_size;
    struct plex_bytes payload; /* PUBLISH */
    uint64_t tag, ttl_ms;
};
PLEX_MUST_USE enum plex_status work_group_request_unpack(
    uint32_t method, struct plex_bytes in, struct plex_arena *arena,
    struct work_group_request *out, struct plex_err *err);

PLEX_MUST_USE enum plex_status work_groups_pack(
    const struct rt_group_info *groups, size_t n, bool more,
    struct plex_arena *arena, struct plex_buf *out, struct plex_err *err);
struct work_group_member {
    struct plex_ref ref;
    const char *node_id, *name;
    uint64_t joined;
};
PLEX_MUST_USE enum plex_status work_group_members_pack(
    const struct work_group_member *members, size_t n, bool truncated,
    struct plex_arena *arena, struct plex_buf *out, struct plex_err *err);
/* Of JOIN and LEAVE. */
PLEX_MUST_USE enum plex_status work_group_member_pack(
    const struct work_group_member *member, struct plex_arena *arena,
    struct plex_buf *out, struct plex_err *err);
struct work_group_delivery {
    uint64_t node; /* its incarnation */
    const char *node_id;
    uint64_t recipients, failures;
};
PLEX_MUST_USE enum plex_status work_group_published_pack(
    const struct work_group_delivery *nodes, size_t n, struct plex_arena *arena,
    struct plex_buf *out, struct plex_err *err);

#endif
