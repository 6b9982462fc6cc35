#include "services/gateway/wire.h"

#include "common/http.h"
#include "common/json_pb.h"
#include "common/mem.h"
#include "common/wire.h"
#include "plexspaces/actor/v1/actor.pb-c.h"
#include "plexspaces/application/v1/application.pb-c.h"
#include "plexspaces/facet/v1/facet.pb-c.h"
#include "plexspaces/system/v1/system.pb-c.h"
#include "services/tuplespace/client.h"

#include <stdlib.h>
#include <string.h>

typedef Plexspaces__Application__V1__Application pb_app;
typedef Plexspaces__Actor__V1__Actor pb_actor;

#define APP(name) PLEXSPACES__APPLICATION__V1__APPLICATION_METHOD__##name
#define ACTOR(name) PLEXSPACES__ACTOR__V1__ACTOR_METHOD__##name
#define FACET(name) PLEXSPACES__FACET__V1__FACET_METHOD__##name
#define SYSTEM(name) PLEXSPACES__SYSTEM__V1__SYSTEM_METHOD__##name

/* The tuple space's messages have a JSON form of their own. */
static const struct plex_json_form *
form_of(const struct gate_route *route)
{
    return strcmp(route->served_by, "tuplespace") == 0 ? &tspace_json_form
                                                       : NULL;
}

/* -- transcoding ------------------------------------------------------------
 */

static enum plex_status
request_body(const struct gate_route *route, struct plex_bytes body,
             struct plex_arena *arena, ProtobufCMessage **out,
             struct plex_err *err)
{
    enum plex_status status;
    json_error_t wrong;
    json_t *json = json_loadb((const char *)body.data, body.len,
                              JSON_REJECT_DUPLICATES, &wrong);

    if (json == NULL)
        return plex_err_set(err, PLEX_INVALID,
                            "the body is not JSON: line %d, column %d: %.100s",
                            wrong.line, wrong.column, wrong.text);
    status = plex_json_to_pb_as(form_of(route), json, route->request, arena,
                                out, err);
    json_decref(json);
    return status;
}

static enum plex_status
request_empty(const struct gate_route *route, struct plex_arena *arena,
              ProtobufCMessage **out, struct plex_err *err)
{
    *out = plex_arena_alloc(arena, route->request->sizeof_message);
    if (*out == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE, "the request is too large");
    route->request->message_init(*out);
    return PLEX_OK;
}

static enum plex_status
request_vars(const struct plex_json_form *form, ProtobufCMessage *message,
             const struct gate_vars *vars, struct plex_arena *arena,
             struct plex_err *err)
{
    for (size_t i = 0; i < vars->n; i++) {
        const char *name =
            plex_arena_strndup(arena, vars->at[i].name, vars->at[i].name_len);
        char *value = plex_arena_alloc(arena, vars->at[i].value_len + 1);

        if (name == NULL || value == NULL)
            return plex_err_set(err, PLEX_TOO_LARGE,
                                "the request is too large");
        if (plex_http_unescape(vars->at[i].value, vars->at[i].value_len, false,
                               value, err) != PLEX_OK)
            return plex_err_wrap(err, "%s in the path", name);
        if (value[0] == '\0')
            return plex_err_set(err, PLEX_INVALID, "%s in the path is empty",
                                name);
        if (plex_pb_set_text_as(form, message, name, value, arena, err) !=
            PLEX_OK)
            return err->status;
    }
    return PLEX_OK;
}

enum plex_status
gate_wire_request(const struct gate_route *route, struct plex_bytes body,
                  const struct gate_params *params,
                  const struct gate_vars *vars, struct plex_arena *arena,
                  ProtobufCMessage **out, struct plex_err *err)
{
    enum plex_status status;

    *out = NULL;
    status = body.len > 0 ? request_body(route, body, arena, out, err)
                          : request_empty(route, arena, out, err);
    for (size_t i = 0; status == PLEX_OK && i < params->n; i++)
        status = plex_pb_set_text_as(form_of(route), *out, params->at[i].name,
                                     params->at[i].value, arena, err);
    return status == PLEX_OK
               ? request_vars(form_of(route), *out, vars, arena, err)
               : status;
}

enum plex_status
gate_wire_pack(const ProtobufCMessage *message, struct plex_arena *arena,
               struct plex_bytes *out, struct plex_err *err)
{
    const size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *data = plex_arena_alloc(arena, size + 1);

    if (data == NULL || size > PLEX_WIRE_BYTES_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "the request has %zu bytes, at most %d are "
                            "allowed",
                            size, PLEX_WIRE_BYTES_MAX);
    (void)protobuf_c_message_pack(message, data);
    *out = (struct plex_bytes){data, size};
    return PLEX_OK;
}

enum plex_status
gate_wire_response(const struct gate_route *route, struct plex_bytes payload,
                   struct plex_arena *arena, ProtobufCMessage **message,
                   json_t **json, struct plex_err *err)
{
    if (plex_wire_unpack(route->response, payload, arena, message, err) !=
        PLEX_OK)
        return plex_err_wrap(err, "answer of %s", route->served_by);
    *json = plex_json_from_pb_as(form_of(route), *message);
    return PLEX_OK;
}

/* -- catching up ------------------------------------------------------------
 */

static bool
app_settled(const struct reg_catalog *catalog, const char *tenant,
            const pb_app *want)
{
    size_t n;
    const struct reg_app *apps = reg_catalog_apps(catalog, &n);

    for (size_t i = 0; i < n; i++)
        if (strcmp(apps[i].tenant, tenant) == 0 &&
            strcmp(apps[i].ns, want->namespace_) == 0 &&
            strcmp(apps[i].name, want->name) == 0)
            return apps[i].revision > want->revision ||
                   (apps[i].revision == want->revision &&
                    (int)apps[i].state == (int)want->state);
    return false;
}

static bool
app_gone(const struct reg_catalog *catalog, const char *tenant,
         const Plexspaces__Application__V1__UndeployApplicationRequest *request)
{
    const char *ns =
        request->namespace_[0] == '\0' ? "default" : request->namespace_;
    size_t n;
    const struct reg_app *apps = reg_catalog_apps(catalog, &n);

    for (size_t i = 0; i < n; i++)
        if (strcmp(apps[i].tenant, tenant) == 0 &&
            strcmp(apps[i].ns, ns) == 0 &&
            strcmp(apps[i].name, request->name) == 0)
            return false;
    return true;
}

bool
gate_wire_settled(const struct gate_route *route, const char *tenant,
                  const ProtobufCMessage *request,
                  const ProtobufCMessage *response,
                  const struct reg_catalog *catalog)
{
    const pb_app *app = NULL;

    switch (route->number) {
    case APP(APPLICATION_METHOD_DEPLOY_APPLICATION):
        app = ((const Plexspaces__Application__V1__DeployApplicationResponse *)
                   response)
                  ->application;
        break;
    case APP(APPLICATION_METHOD_STOP_APPLICATION):
        app = ((const Plexspaces__Application__V1__StopApplicationResponse *)
                   response)
                  ->application;
        break;
    case APP(APPLICATION_METHOD_START_APPLICATION):
        app = ((const Plexspaces__Application__V1__StartApplicationResponse *)
                   response)
                  ->application;
        break;
    case APP(APPLICATION_METHOD_UNDEPLOY_APPLICATION):
        return catalog != NULL &&
               app_gone(catalog, tenant, (const void *)request);
    default:
        return true;
    }
    return app == NULL ||
           (catalog != NULL && app_settled(catalog, tenant, app));
}

/* -- local ------------------------------------------------------------------
 */

enum gate_local
gate_wire_local(const struct gate_route *route)
{
    switch (route->number) {
    case ACTOR(ACTOR_METHOD_LIST_ACTORS):
        return GATE_LOCAL_LIST_ACTORS;
    case ACTOR(ACTOR_METHOD_GET_ACTOR):
        return GATE_LOCAL_GET_ACTOR;
    case ACTOR(ACTOR_METHOD_ACTIVATE_ACTOR):
        return GATE_LOCAL_ACTIVATE_ACTOR;
    case ACTOR(ACTOR_METHOD_DEACTIVATE_ACTOR):
        return GATE_LOCAL_DEACTIVATE_ACTOR;
    case ACTOR(ACTOR_METHOD_CHECK_ACTOR_EXISTS):
        return GATE_LOCAL_ACTOR_EXISTS;
    case ACTOR(ACTOR_METHOD_GET_OR_ACTIVATE_ACTOR):
        return GATE_LOCAL_GET_OR_ACTIVATE;
    case SYSTEM(SYSTEM_METHOD_GET_SYSTEM_INFO):
        return GATE_LOCAL_SYSTEM_INFO;
    case SYSTEM(SYSTEM_METHOD_GET_HEALTH):
        return GATE_LOCAL_HEALTH;
    case SYSTEM(SYSTEM_METHOD_GET_METRICS):
        return GATE_LOCAL_METRICS;
    case ACTOR(ACTOR_METHOD_LIST_EVENTS):
        return GATE_LOCAL_EVENTS;
    case FACET(FACET_METHOD_LIST_ACTOR_FACETS):
    case FACET(FACET_METHOD_ATTACH_ACTOR_FACET):
    case FACET(FACET_METHOD_DETACH_ACTOR_FACET):
    case FACET(FACET_METHOD_INVOKE_ACTOR_FACET):
        return GATE_LOCAL_FACETS;
    default:
        return GATE_LOCAL_NONE;
    }
}

struct gate_list_request
gate_wire_list_request(const ProtobufCMessage *message)
{
    const Plexspaces__Actor__V1__ListActorsRequest *m = (const void *)message;

    return (struct gate_list_request){m->namespace_, m->type,
                                      m->page_token, m->node_id,
                                      m->page_size,  m->state};
}

/* All of them have the same one field. */
const char *
gate_wire_actor_id(const ProtobufCMessage *message)
{
    return ((const Plexspaces__Actor__V1__GetActorRequest *)message)->actor_id;
}

const char *
gate_wire_node_id(const ProtobufCMessage *message)
{
    return ((const Plexspaces__System__V1__GetMetricsRequest *)message)
        ->node_id;
}

/* protobuf-c's strings are not const, but packing and printing only read. */
static char *
text_of(const char *text)
{
    return (char *)(uintptr_t)text;
}

static void
actor_fill(pb_actor *out, const struct work_actor *a)
{
    *out = (pb_actor)PLEXSPACES__ACTOR__V1__ACTOR__INIT;
    out->actor_id = text_of(a->actor_id);
    out->state = (Plexspaces__Actor__V1__ActorState)a->state;
    out->node_id = text_of(a->node_id);
    out->shard = a->shard;
    out->epoch = a->epoch;
    out->durable = a->durable;
    out->sequence = a->sequence;
    out->mailbox_length = a->mailbox_length;
    out->idle_ms = a->idle_ms;
    out->messages_total = a->messages_total;
    out->state_bytes = a->state_bytes;
    out->run = plex_wire_text(a->run);
    out->waits_for = plex_wire_text(a->waits_for);
    out->waits_since_ms = a->waits_since_ms;
    out->remedy = plex_wire_text(a->remedy);
    out->last_activated_ms = a->last_activated_ms;
    out->last_accessed_ms = a->last_accessed_ms;
    out->idle_timeout_ms = a->idle_timeout_ms;
    out->is_activating = a->state == WORK_ACTOR_ACTIVATING;
}

json_t *
gate_wire_actors(const struct work_actor *actors, size_t n,
                 const char *next_page_token)
{
    Plexspaces__Actor__V1__ListActorsResponse m =
        PLEXSPACES__ACTOR__V1__LIST_ACTORS_RESPONSE__INIT;
    pb_actor *items = plex_calloc(n + 1, sizeof *items);
    json_t *json;

    m.actors = plex_calloc(n + 1, sizeof *m.actors);
    m.n_actors = n;
    m.next_page_token = text_of(next_page_token);
    for (size_t i = 0; i < n; i++) {
        actor_fill(&items[i], &actors[i]);
        m.actors[i] = &items[i];
    }
    json = plex_json_from_pb(&m.base);
    free(m.actors);
    free(items);
    return json;
}

json_t *
gate_wire_actor(const struct work_actor *actor)
{
    Plexspaces__Actor__V1__GetActorResponse m =
        PLEXSPACES__ACTOR__V1__GET_ACTOR_RESPONSE__INIT;
    pb_actor item;

    actor_fill(&item, actor);
    m.actor = &item;
    return plex_json_from_pb(&m.base);
}

json_t *
gate_wire_activated(const struct work_actor *actor, bool now)
{
    Plexspaces__Actor__V1__GetOrActivateActorResponse m =
        PLEXSPACES__ACTOR__V1__GET_OR_ACTIVATE_ACTOR_RESPONSE__INIT;
    pb_actor item;

    actor_fill(&item, actor);
    m.actor = &item;
    m.was_activated = now;
    m.actor_ref = item.actor_id;
    return plex_json_from_pb(&m.base);
}

json_t *
gate_wire_deactivated(enum work_actor_state state)
{
    Plexspaces__Actor__V1__DeactivateActorResponse m =
        PLEXSPACES__ACTOR__V1__DEACTIVATE_ACTOR_RESPONSE__INIT;

    m.state = (Plexspaces__Actor__V1__ActorState)state;
    return plex_json_from_pb(&m.base);
}

json_t *
gate_wire_exists(bool exists, bool active)
{
    Plexspaces__Actor__V1__CheckActorExistsResponse m =
        PLEXSPACES__ACTOR__V1__CHECK_ACTOR_EXISTS_RESPONSE__INIT;

    m.exists = exists;
    m.active = active;
    return plex_json_from_pb(&m.base);
}

json_t *
gate_wire_info(const char *version, const char *mode, uint32_t shard_count,
               uint64_t table_version)
{
    Plexspaces__System__V1__GetSystemInfoResponse m =
        PLEXSPACES__SYSTEM__V1__GET_SYSTEM_INFO_RESPONSE__INIT;

    m.version = text_of(version);
    m.mode = text_of(mode);
    m.shard_count = shard_count;
    m.table_version = table_version;
    return plex_json_from_pb(&m.base);
}

json_t *
gate_wire_health(enum gate_health status,
                 const struct gate_component *components, size_t n)
{
    Plexspaces__System__V1__GetHealthResponse m =
        PLEXSPACES__SYSTEM__V1__GET_HEALTH_RESPONSE__INIT;
    Plexspaces__System__V1__ComponentHealth *items =
        plex_calloc(n + 1, sizeof *items);
    json_t *json;

    m.status = (Plexspaces__System__V1__HealthStatus)status;
    m.components = plex_calloc(n + 1, sizeof *m.components);
    m.n_components = n;
    for (size_t i = 0; i < n; i++) {
        items[i] = (Plexspaces__System__V1__ComponentHealth)
            PLEXSPACES__SYSTEM__V1__COMPONENT_HEALTH__INIT;
        items[i].kind = text_of(components[i].kind);
        items[i].node_id = text_of(components[i].node_id);
        items[i].reason = text_of(components[i].reason);
        items[i].status =
            (Plexspaces__System__V1__HealthStatus)components[i].status;
        m.components[i] = &items[i];
    }
    json = plex_json_from_pb(&m.base);
    free(m.components);
    free(items);
    return json;
}
