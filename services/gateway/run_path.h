#ifndef SERVICES_GATEWAY_RUN_PATH_H
#define SERVICES_GATEWAY_RUN_PATH_H

#include "common/arena.h"
#include "services/worker/client.h"

/*
 * Requests to a run that waits (docs/durable.md), each with POST:
 *
 *   /api/v1/promises/{id}:resolve     the body is what the promise gives
 *   /api/v1/promises/{id}:reject      the body says why not
 *   /api/v1/runs/{actor}/signals/{name}
 *   /api/v1/runs/{actor}:cancel
 *   /api/v1/runs/{actor}:resume
 *
 * {actor} is tenant/namespace/type/key in one percent-encoded segment, {id}
 * what plex_start_promise() gave, likewise. Pure.
 */
bool gate_is_run_path(const char *path);

/* Sets to, timer and reply_status of `out`; texts are in the arena. INVALID:
 * err says what is wrong. */
PLEX_MUST_USE enum plex_status gate_run_path(const char *path,
                                             struct plex_arena *arena,
                                             struct work_message *out,
                                             struct plex_err *err);

#endif
