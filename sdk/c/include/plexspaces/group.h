#ifndef PLEXSPACES_GROUP_H
#define PLEXSPACES_GROUP_H

#include "process.h"

/* Process groups, as of OTP's pg: of this tenant and namespace, on all workers;
 * each worker's view follows the others' in the order of what they did. */

/* A process may join several times and must leave as often. A group exists
 * while it has members, on all workers. */
static inline int
plex_group_join(struct plex_ctx *ctx, const char *group)
{
    return ctx->process->group_join(ctx, group);
}
static inline int
plex_group_leave(struct plex_ctx *ctx, const char *group)
{
    return ctx->process->group_leave(ctx, group);
}
/* Up to `max` members into `out`; returns how many there are. */
static inline size_t
plex_group_members(struct plex_ctx *ctx, const char *group, bool local_only,
                   struct plex_ref *out, size_t max)
{
    return ctx->process->group_members(ctx, group, local_only, out, max);
}
/* A PLEX_MSG_CAST to every member; returns to how many. */
static inline size_t
plex_group_publish(struct plex_ctx *ctx, const char *group, uint64_t tag,
                   const void *payload, size_t len)
{
    const struct plex_post post = {
        .kind = PLEX_MSG_CAST, .tag = tag, .payload = payload, .len = len};
    return ctx->process->group_publish(ctx, group, &post);
}
/* PLEX_MSG_GROUP to handle_info when a process joins (tag 1) or leaves (tag 0)
 * from now on; msg->from is the process, the payload the group's name. */
static inline int
plex_group_monitor(struct plex_ctx *ctx, const char *group, bool on)
{
    return ctx->process->group_monitor(ctx, group, on);
}

#endif
