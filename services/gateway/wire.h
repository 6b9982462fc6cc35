#ifndef SERVICES_GATEWAY_WIRE_H
#define SERVICES_GATEWAY_WIRE_H

#include "services/gateway/query.h"
#include "services/gateway/route.h"
#include "services/registry/client.h"
#include "services/worker/client.h"

#include <jansson.h>

/*
 * REST <-> protobuf, by descriptors; and the few messages that the gateway
 * itself answers. All requests and packed bytes lie in the arena.
 */

/*
 * The request message from a JSON body (empty: none), query parameters and
 * path variables, the later overriding the earlier. PLEX_INVALID says which
 * field is wrong.
 */
PLEX_MUST_USE enum plex_status gate_wire_request(
    const struct gate_route *route, struct plex_bytes body,
    const struct gate_params *params, const struct gate_vars *vars,
    struct plex_arena *arena, ProtobufCMessage **out, struct plex_err *err);
PLEX_MUST_USE enum plex_status gate_wire_pack(const ProtobufCMessage *message,
                                              struct plex_arena *arena,
                                              struct plex_bytes *out,
                                              struct plex_err *err);
/* A daemon's answer; both results are given. */
PLEX_MUST_USE enum plex_status gate_wire_response(
    const struct gate_route *route, struct plex_bytes payload,
    struct plex_arena *arena, ProtobufCMessage **message, json_t **json,
    struct plex_err *err);

/*
 * Does the catalogue show what this mutating call to the registry did?
 * `response` may be NULL. True for other routes.
 */
bool gate_wire_settled(const struct gate_route *route, const char *tenant,
                       const ProtobufCMessage *request,
                       const ProtobufCMessage *response,
                       const struct reg_catalog *catalog);

/* -- what the gateway answers itself ----------------------------------------
 */

enum gate_local {
    GATE_LOCAL_NONE,
    GATE_LOCAL_LIST_ACTORS,
    GATE_LOCAL_GET_ACTOR,
    GATE_LOCAL_ACTIVATE_ACTOR,
    GATE_LOCAL_DEACTIVATE_ACTOR,
    GATE_LOCAL_ACTOR_EXISTS,
    GATE_LOCAL_GET_OR_ACTIVATE,
    GATE_LOCAL_SYSTEM_INFO,
    GATE_LOCAL_HEALTH,
    GATE_LOCAL_METRICS,
    GATE_LOCAL_EVENTS,
    GATE_LOCAL_FACETS,
};
enum gate_local gate_wire_local(const struct gate_route *route);

struct gate_list_request {
    const char *ns, *type, *page_token, *node_id;
    uint32_t page_size, state; /* of ActorState; 0: all */
};
struct gate_list_request gate_wire_list_request(
    const ProtobufCMessage *message);
/* actor_id of GetActor and its like, GetMetrics' node_id. */
const char *gate_wire_actor_id(const ProtobufCMessage *message);
const char *gate_wire_node_id(const ProtobufCMessage *message);

/* New references. */
json_t *gate_wire_actors(const struct work_actor *actors, size_t n,
                         const char *next_page_token);
json_t *gate_wire_actor(const struct work_actor *actor);
json_t *gate_wire_activated(const struct work_actor *actor, bool now);
json_t *gate_wire_deactivated(enum work_actor_state state);
json_t *gate_wire_exists(bool exists, bool active);
json_t *gate_wire_info(const char *version, const char *mode,
                       uint32_t shard_count, uint64_t table_version);

/* Values of HealthStatus. */
enum gate_health {
    GATE_HEALTHY = 1,
    GATE_DEGRADED = 2,
    GATE_UNHEALTHY = 3,
};
struct gate_component {
    const char *kind, *node_id, *reason;
    enum gate_health status;
};
json_t *gate_wire_health(enum gate_health status,
                         const struct gate_component *components, size_t n);

#endif
