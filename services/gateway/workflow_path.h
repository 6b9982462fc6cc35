#ifndef SERVICES_GATEWAY_WORKFLOW_PATH_H
#define SERVICES_GATEWAY_WORKFLOW_PATH_H

#include "common/arena.h"
#include "services/gateway/query.h"
#include "services/worker/client.h"

/*
 * The workflow service: requests under /api/v1/workflows/ and /api/v1/schedules
 * become messages to the actors that run workflows (services/worker/builtin.h),
 * whose replies are the answers. docs/workflows.md lists the paths. Pure.
 */
bool gate_is_workflow_path(const char *path);

struct gate_workflow_in {
    const char *method;
    const char *path;
    struct gate_params *params; /* namespace and filters are taken out */
    struct plex_bytes body;
    const char *new_id; /* for an execution that names none */
};
/* Sets to.ns, to.type, to.key, kind and payload of `out`, in the arena.
 * INVALID; NOT_FOUND: no such path; UNSUPPORTED: not with that method. */
PLEX_MUST_USE enum plex_status gate_workflow_path(
    const struct gate_workflow_in *in, struct plex_arena *arena,
    struct work_message *out, struct plex_err *err);

#endif
