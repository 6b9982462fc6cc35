#ifndef SERVICES_GATEWAY_RUN_PATH_H
#define SERVICES_GATEWAY_RUN_PATH_H

#include "common/arena.h"
#include "services/gateway/route.h"
#include "services/worker/client.h"

/*
 * Requests to a run that waits (docs/durable.md; routes with served_by "run",
 * proto/public/plexspaces/run/v1/run.proto). {actor_id} is
 * tenant/namespace/type/key in one percent-encoded segment, {id} what
 * plex_start_promise() gave, likewise. Pure.
 */
bool gate_is_run(const struct gate_route *route);

/* Sets to, kind, timer, method and reply_status of `out`; texts are in the
 * arena. INVALID: err says what is wrong. */
PLEX_MUST_USE enum plex_status gate_run_path(const struct gate_route *route,
                                             const struct gate_vars *vars,
                                             struct plex_arena *arena,
                                             struct work_message *out,
                                             struct plex_err *err);

#endif
