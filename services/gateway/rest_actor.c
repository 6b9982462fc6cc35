/*
 * Actors that are made by request: a process of a type becomes a child of a
 * supervisor that runs, by what StartChild does; a virtual actor gets its
 * state, if one is given, and comes into memory.
 */
#include "services/gateway/rest_actor.h"

#include "common/mem.h"
#include "common/wire.h"
#include "sdk/c/include/plexspaces/supervisor.h"
#include "services/gateway/rest_find.h"
#include "services/gateway/rest_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plexspaces/actor/v1/actor.pb-c.h"

#define ACTOR(name) PLEXSPACES__ACTOR__V1__ACTOR_METHOD__ACTOR_METHOD_##name
typedef Plexspaces__Actor__V1__CreateActorRequest pb_create;
typedef Plexspaces__Actor__V1__SpawnActorRequest pb_spawn;

enum { NAME_MAX_BYTES = 127 }; /* as the runtime has it for children's ids */

/* Either request; lives in the request's arena. */
struct making {
    struct gate_rest *rest;
    const char *ns, *type, *id;
    const pb_create *create; /* what they have in common is in both */
    struct plex_actor_id actor;
    const char *owner;       /* its worker's url; of a virtual actor */
    struct plex_bytes start; /* StartChildRequest; of a process */
    const char *supervisor;
    bool many; /* it starts by a template */
};

static const char *
text_or(const char *text, const char *fallback)
{
    return text[0] == '\0' ? fallback : text;
}

/* -- processes --------------------------------------------------------------
 */

static const char *
node_of(const struct gate *gate, const char *ref)
{
    const uint64_t incarnation =
        ref[0] == '<' ? strtoull(ref + 1, NULL, 10) : 0;
    size_t n = 0;
    const struct reg_catalog *catalog = gate_core_catalog_now(gate->core);
    const struct reg_node *nodes =
        catalog == NULL ? NULL : reg_catalog_nodes(catalog, &n);

    for (size_t i = 0; i < n; i++)
        if (nodes[i].incarnation == incarnation)
            return nodes[i].node_id;
    return "";
}

static void
started(void *arg, const struct plex_link_result *result)
{
    struct making *making = arg;
    struct gate_rest *rest = making->rest;
    const Plexspaces__Actor__V1__StartChildResponse *reply;
    ProtobufCMessage *message;
    char name[700];
    struct plex_err err;
    const char *node;
    json_t *json;

    if (result->status != PLEX_OK) {
        gate_rest_failed(rest, "worker", result->status, result->text,
                         result->outcome_unknown);
        return;
    }
    if (plex_wire_unpack(
            &plexspaces__actor__v1__start_child_response__descriptor,
            result->payload, &rest->arena, &message, &err) != PLEX_OK) {
        gate_rest_problem(rest, 500, "BAD_ANSWER", "gateway", "%s", err.text);
        return;
    }
    reply = (const void *)message;
    node = node_of(rest->gate, reply->ref);
    (void)snprintf(name, sizeof name, "%s%s%s", making->id,
                   node[0] == '\0' ? "" : "@", node);
    json = json_object();
    json_object_set_new(json, "actorRef", json_string(name));
    json_object_set_new(json, "process", json_string(reply->ref));
    json_object_set_new(json, "nodeId", json_string(node));
    gate_rest_answer(rest, json);
}

static void
start_at(struct making *making, const char *url)
{
    const struct plex_link_request request = {
        .peer = url,
        .method = ACTOR(START_CHILD),
        .context = &making->rest->context,
        .payload = making->start,
        .done = started,
        .arg = making,
    };

    (void)plex_link_call(making->rest->gate->host->link, &request);
}

static void
on_found(void *arg, const struct gate_found *found)
{
    struct making *making = arg;
    struct gate_rest *rest = making->rest;

    if (found->failed != PLEX_OK)
        gate_rest_failed(rest, "worker", found->failed, found->failed_text,
                         false);
    else if (found->n == 0)
        gate_rest_problem(rest, 404, "PROCESS_NOT_FOUND", "gateway",
                          "no worker has a supervisor \"%.120s\" in that "
                          "namespace",
                          making->supervisor);
    else if (found->n > 1)
        gate_rest_problem(rest, 409, "NAME_AMBIGUOUS", "gateway",
                          "several workers have a supervisor of that name, "
                          "say which:%s",
                          found->nodes);
    else
        start_at(making, found->url);
}

static bool
start_pack(struct making *making)
{
    Plexspaces__Actor__V1__StartChildRequest m =
        PLEXSPACES__ACTOR__V1__START_CHILD_REQUEST__INIT;
    const pb_create *create = making->create;
    struct gate_rest *rest = making->rest;
    struct plex_err err;

    m.supervisor = plex_wire_text(making->supervisor);
    m.namespace_ = plex_wire_text(making->ns);
    m.id = plex_wire_text(making->many ? "" : making->id);
    m.type = plex_wire_text(making->many ? "" : making->type);
    m.name = plex_wire_text(making->id);
    m.args = create->args;
    m.restart = plex_wire_text(text_or(create->restart, "temporary"));
    m.shutdown = create->shutdown;
    m.node = create->node_id;
    m.placement = create->placement;
    if (gate_wire_pack(&m.base, &rest->arena, &making->start, &err) == PLEX_OK)
        return true;
    gate_rest_problem(rest, 413, "TOO_LARGE", "gateway", "%s", err.text);
    return false;
}

/* Under the root of its application? */
static bool
by_root(struct making *making, const struct reg_app *app)
{
    const struct reg_supervisor *root = app->supervisor;
    struct gate_rest *rest = making->rest;

    if (root == NULL) {
        gate_rest_problem(rest, 409, "CONFLICT", "gateway",
                          "application \"%s\" has no supervisor to start "
                          "actors under: declare one, which may be as short "
                          "as \"supervisor: {}\", or name one",
                          app->name);
        return false;
    }
    making->many = root->strategy == PLEX_SIMPLE_ONE_FOR_ONE;
    if (making->many && (root->n_children == 0 ||
                         strcmp(root->children[0].type, making->type) != 0)) {
        gate_rest_problem(rest, 409, "CONFLICT", "gateway",
                          "the supervisor of application \"%s\" starts what "
                          "its template says, which is not of type \"%s\"",
                          app->name, making->type);
        return false;
    }
    making->supervisor = app->name;
    return true;
}

static void
make_process(struct making *making, const struct reg_app *app)
{
    struct gate_rest *rest = making->rest;

    if (making->create->base.descriptor ==
            &plexspaces__actor__v1__create_actor_request__descriptor &&
        (making->create->initial_state.len > 0 ||
         making->create->initial_state_text[0] != '\0')) {
        gate_rest_problem(rest, 400, "INVALID", "gateway",
                          "type \"%s\" is of processes, which make their "
                          "state of args",
                          making->type);
        return;
    }
    if (strlen(making->id) > NAME_MAX_BYTES ||
        strpbrk(making->id, "/@<") != NULL) {
        gate_rest_problem(rest, 400, "INVALID", "gateway",
                          "actor_id is the name of a process: at most %d "
                          "bytes without \"/@<\"",
                          NAME_MAX_BYTES);
        return;
    }
    making->supervisor = making->create->supervisor;
    if (making->supervisor[0] == '\0' && !by_root(making, app))
        return;
    if (making->id[0] == '\0')
        making->id = rest->request_id;
    rest->once = true;
    if (start_pack(making))
        gate_find_process(rest->gate, &rest->context, making->ns,
                          making->supervisor, on_found, making);
}

/* -- virtual actors ---------------------------------------------------------
 */

static void
seen(void *arg, enum plex_status status, const char *text,
     const struct work_actor *actors, size_t n)
{
    struct making *making = arg;
    struct gate_rest *rest = making->rest;
    json_t *json;

    if (status != PLEX_OK || n == 0) {
        gate_rest_failed(rest, "worker",
                         status == PLEX_OK ? PLEX_INTERNAL : status, text,
                         false);
        return;
    }
    json = gate_wire_actor(&actors[0]);
    json_object_set_new(json, "actorRef", json_string(actors[0].actor_id));
    json_object_set_new(json, "process", json_string(""));
    json_object_set_new(json, "nodeId", json_string(actors[0].node_id));
    gate_rest_answer(rest, json);
}

static struct work_message
message_to(const struct making *making, enum work_kind kind)
{
    return (struct work_message){
        .to = making->actor,
        .kind = kind,
        .method = "",
        .path = "",
        .subpath = "",
        .query = "",
        .content_type = "",
        .sender = "",
        .timer = "",
    };
}

static void
activated(void *arg, enum plex_status status, const char *text,
          const struct work_reply *reply)
{
    struct making *making = arg;
    struct gate_rest *rest = making->rest;

    (void)reply;
    if (status == PLEX_OK)
        work_client_inspect(rest->gate->host->link, making->owner,
                            &rest->context, &making->actor, seen, making);
    else
        gate_rest_failed(rest, "worker", status, text, false);
}

static void
activate(struct making *making)
{
    const struct work_message message = message_to(making, WORK_ACTIVATE);
    struct gate_rest *rest = making->rest;

    (void)work_client_invoke(rest->gate->host->link, making->owner,
                             &rest->context, &message, activated, making);
}

static void
stated(void *arg, enum plex_status status, const char *text,
       const struct work_reply *reply)
{
    struct making *making = arg;
    struct gate_rest *rest = making->rest;

    if (status != PLEX_OK)
        gate_rest_failed(rest, "worker", status, text,
                         status == PLEX_UNKNOWN || status == PLEX_TIMEOUT);
    else if (reply->failed)
        gate_rest_problem(rest, 500, "ACTOR_FAILED", "actor", "%.500s",
                          reply->error);
    else if (reply->http_status >= 400)
        gate_rest_problem(rest, 409, "EXISTS", "actor",
                          "actor \"%s/%s\" has a state already", making->type,
                          making->id);
    else
        activate(making);
}

static void
make_state(struct making *making, bool durable)
{
    struct work_message message = message_to(making, WORK_EDIT);
    const pb_create *create = making->create;
    struct gate_rest *rest = making->rest;

    message.method = WORK_EDIT_CREATE;
    message.id = (struct plex_bytes){(const uint8_t *)rest->request_id,
                                     strlen(rest->request_id)};
    message.payload =
        create->initial_state.len > 0
            ? (struct plex_bytes){create->initial_state.data,
                                  create->initial_state.len}
            : (struct plex_bytes){(const uint8_t *)create->initial_state_text,
                                  strlen(create->initial_state_text)};
    if (!durable)
        gate_rest_problem(rest, 409, "UNSUPPORTED", "gateway",
                          "type \"%s\" is not durable: its actors make their "
                          "state themselves",
                          making->type);
    else if (message.payload.len > WORK_PAYLOAD_MAX)
        gate_rest_problem(rest, 413, "TOO_LARGE", "gateway",
                          "the state has %zu bytes; %d can be put",
                          message.payload.len, WORK_PAYLOAD_MAX);
    else
        (void)work_client_invoke(rest->gate->host->link, making->owner,
                                 &rest->context, &message, stated, making);
}

static void
make_virtual(struct making *making, const struct reg_actor_type *type)
{
    struct gate_rest *rest = making->rest;
    const struct place_table *table = gate_core_table_now(rest->gate->core);
    const struct place_worker *owner = NULL;
    const pb_create *create = making->create;
    char name[PLEX_ACTOR_NAME_MAX + 2];

    if (rest->route->number == ACTOR(SPAWN_ACTOR) || type->stateless) {
        gate_rest_problem(rest, 409, "UNSUPPORTED", "gateway",
                          "type \"%s\" is %s: its actors are made by their "
                          "first message%s",
                          making->type,
                          type->stateless ? "stateless" : "virtual",
                          type->stateless ? "" : ", or by CreateActor");
        return;
    }
    if (create->initial_state.len > 0 &&
        create->initial_state_text[0] != '\0') {
        gate_rest_problem(rest, 400, "INVALID", "gateway",
                          "give initial_state or initial_state_text, not both");
        return;
    }
    (void)snprintf(name, sizeof name, "%s/%.32s/%.128s/%.256s",
                   rest->context.tenant, making->ns, making->type,
                   text_or(making->id, rest->request_id));
    if (!gate_rest_actor(rest, name, &making->actor))
        return;
    rest->context.ns = making->actor.ns;
    making->id = making->actor.key;
    if (table != NULL)
        owner = place_table_owner(
            table,
            plex_shard_of(plex_actor_hash(&making->actor), table->shard_bits));
    if (owner == NULL) {
        gate_rest_problem(rest, 503, "NO_OWNER", "gateway",
                          "no worker owns this actor's shard at the moment");
        return;
    }
    making->owner =
        plex_arena_strndup(&rest->arena, owner->url, strlen(owner->url));
    if (create->initial_state.len > 0 || create->initial_state_text[0] != '\0')
        make_state(making, type->durable);
    else
        activate(making);
}

/* -- the beginning ----------------------------------------------------------
 */

bool
gate_rest_actor_new(struct gate_rest *rest)
{
    const struct reg_catalog *catalog = gate_core_catalog_now(rest->gate->core);
    const struct reg_app *app = NULL;
    const struct reg_actor_type *type = NULL;
    struct making *making;

    _Static_assert(offsetof(pb_create, placement) ==
                       offsetof(pb_spawn, placement),
                   "SpawnActor's fields begin CreateActor's");
    if (rest->route->number != ACTOR(CREATE_ACTOR) &&
        rest->route->number != ACTOR(SPAWN_ACTOR))
        return false;
    making = plex_arena_alloc(&rest->arena, sizeof *making);
    if (making == NULL) {
        gate_rest_problem(rest, 413, "TOO_LARGE", "gateway",
                          "the request is too large");
        return true;
    }
    *making =
        (struct making){.rest = rest, .create = (const void *)rest->request};
    making->ns = text_or(making->create->namespace_, "default");
    making->type = making->create->actor_type;
    making->id = making->create->actor_id;
    if (catalog != NULL)
        type = reg_catalog_type(catalog, rest->context.tenant, making->ns,
                                making->type, &app);
    if (type == NULL)
        gate_rest_problem(rest, 404, "ACTOR_TYPE_NOT_FOUND", "gateway",
                          "actor type \"%.128s\" is not deployed in %s/%s",
                          making->type, rest->context.tenant, making->ns);
    else if (type->is_virtual)
        make_virtual(making, type);
    else
        make_process(making, app);
    return true;
}
