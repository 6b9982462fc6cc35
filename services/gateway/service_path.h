#ifndef SERVICES_GATEWAY_SERVICE_PATH_H
#define SERVICES_GATEWAY_SERVICE_PATH_H

#include "common/arena.h"
#include "services/gateway/query.h"
#include "services/gateway/route.h"
#include "services/worker/client.h"

/*
 * Services that actors provide (routes with served_by "actor"): a request
 * becomes a message to a virtual actor, whose reply is the answer. What may be
 * in it is what the proto declares; the actor gets the fields that were sent,
 * under the proto's names, as one JSON object with `action` in it. Pure.
 */
struct gate_service_in {
    const struct gate_route *route;
    const struct gate_vars *vars;
    struct gate_params *params; /* all are taken */
    struct plex_bytes body;
    const char *new_id; /* for what the request leaves unnamed */
};

bool gate_is_service(const struct gate_route *route);

/* to.tenant of `out` is the caller's. Sets to.ns, to.type, to.key, kind and
 * payload of `out`, in the arena, and *wait_ms, how long the client waits for
 * an end (0: it does not). INVALID, TOO_LARGE: err says what is wrong. */
PLEX_MUST_USE enum plex_status gate_service_path(
    const struct gate_service_in *in, struct plex_arena *arena,
    struct work_message *out, uint32_t *wait_ms, struct plex_err *err);

/* How Json (proto/public/plexspaces/api/v1/json.proto) is read and written. */
extern const struct plex_json_form gate_json_form;

#endif
