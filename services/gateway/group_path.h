#ifndef SERVICES_GATEWAY_GROUP_PATH_H
#define SERVICES_GATEWAY_GROUP_PATH_H

#include "services/gateway/workflow_path.h"

/*
 * Groups of actors: requests under /api/v1/actor-groups become messages to the
 * actors that keep groups and ask shards (services/worker/builtin_group.h),
 * whose replies are the answers. docs/groups.md lists the paths. Pure.
 */
bool gate_is_group_path(const char *path);

/* As gate_workflow_path(). in->new_id names a request to shards: the same again
 * is the same request. */
PLEX_MUST_USE enum plex_status gate_group_path(
    const struct gate_workflow_in *in, struct plex_arena *arena,
    struct work_message *out, struct plex_err *err);

#endif
