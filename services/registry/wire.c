#include "services/registry/wire.h"

#include "common/name.h"
#include "common/wire.h"
#include "services/registry/client_wire.h"
#include "services/registry/wire_tree.h"

#include <stdio.h>
#include <string.h>

#define REG(name) Plexspaces__Registry__V1__##name
#define NODE(name) Plexspaces__Node__V1__##name
#define APP(name) Plexspaces__Application__V1__##name
#define REG_TYPE(name) &plexspaces__registry__v1__##name##__descriptor
#define NODE_TYPE(name) &plexspaces__node__v1__##name##__descriptor
#define APP_TYPE(name) &plexspaces__application__v1__##name##__descriptor

enum { PAGE_DEFAULT = 50 };

/* -- requests -------------------------------------------------------------- */

static const ProtobufCMessageDescriptor *
request_type(enum reg_method method)
{
    switch (method) {
    case REG_METHOD_ANNOUNCE:
        return REG_TYPE(announce_request);
    case REG_METHOD_WITHDRAW:
        return REG_TYPE(withdraw_request);
    case REG_METHOD_WATCH:
        return REG_TYPE(watch_request);
    case REG_METHOD_LIST_NODES:
        return NODE_TYPE(list_nodes_request);
    case REG_METHOD_GET_NODE:
        return NODE_TYPE(get_node_request);
    case REG_METHOD_DEPLOY:
        return APP_TYPE(deploy_application_request);
    case REG_METHOD_LIST_APPS:
        return APP_TYPE(list_applications_request);
    case REG_METHOD_GET_APP:
        return APP_TYPE(get_application_status_request);
    case REG_METHOD_STOP_APP:
        return APP_TYPE(stop_application_request);
    case REG_METHOD_START_APP:
        return APP_TYPE(start_application_request);
    case REG_METHOD_UNDEPLOY:
        return APP_TYPE(undeploy_application_request);
    }
    return NULL;
}

static enum plex_status
page_in(uint32_t page_size, const char *token, struct reg_request *out,
        struct plex_err *err)
{
    if (page_size > REG_PAGE_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "page_size is %u, it must be 1 to %d", page_size,
                            REG_PAGE_MAX);
    out->page_size = page_size == 0 ? PAGE_DEFAULT : page_size;
    out->page_token = token;
    return PLEX_OK;
}

static enum plex_status
claims_in(const REG(AnnounceRequest) * in, struct plex_arena *arena,
          struct reg_request *out, struct plex_err *err)
{
    struct reg_claim *claims =
        plex_wire_array(arena, in->n_trees, sizeof *claims);

    if (claims == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < in->n_trees; i++)
        claims[i] =
            (struct reg_claim){in->trees[i]->tenant, in->trees[i]->namespace_,
                               in->trees[i]->application, in->trees[i]->epoch};
    out->node.claims = claims;
    out->node.n_claims = in->n_trees;
    out->node.without_trees = in->without_trees;
    return PLEX_OK;
}

static enum plex_status
node_request(const ProtobufCMessage *message, struct plex_arena *arena,
             struct reg_request *out, struct plex_err *err)
{
    const REG(AnnounceRequest) *announce = (const void *)message;
    const REG(WithdrawRequest) *withdraw = (const void *)message;
    const NODE(ListNodesRequest) *list = (const void *)message;

    switch (out->method) {
    case REG_METHOD_ANNOUNCE:
        if (announce->node == NULL)
            return plex_err_set(err, PLEX_INVALID, "node is missing");
        reg_pb_node_in(announce->node, &out->node);
        return claims_in(announce, arena, out, err);
    case REG_METHOD_WITHDRAW:
        out->node_id = withdraw->node_id;
        out->incarnation = withdraw->incarnation;
        return PLEX_OK;
    case REG_METHOD_LIST_NODES:
        out->kind = list->kind;
        return page_in(list->page_size, list->page_token, out, err);
    default:
        out->node_id = ((const NODE(GetNodeRequest) *)message)->node_id;
        return plex_name_plain("node_id", out->node_id, strlen(out->node_id),
                               err);
    }
}

/* The four requests that only name an application look the same. */
static enum plex_status
named_request(const ProtobufCMessage *message, struct reg_request *out,
              struct plex_err *err)
{
    const APP(GetApplicationStatusRequest) *named = (const void *)message;

    _Static_assert(
        offsetof(APP(StopApplicationRequest), namespace_) ==
                offsetof(APP(GetApplicationStatusRequest), namespace_) &&
            offsetof(APP(StartApplicationRequest), namespace_) ==
                offsetof(APP(GetApplicationStatusRequest), namespace_) &&
            offsetof(APP(UndeployApplicationRequest), namespace_) ==
                offsetof(APP(GetApplicationStatusRequest), namespace_),
        "requests that name an application have one layout");
    out->name = named->name;
    out->ns = named->namespace_[0] == '\0' ? "default" : named->namespace_;
    if (plex_name_plain("name", out->name, strlen(out->name), err) != PLEX_OK)
        return err->status;
    return plex_name_namespace(out->ns, strlen(out->ns), err);
}

static enum plex_status
app_request(const ProtobufCMessage *message, struct plex_arena *arena,
            struct reg_request *out, struct plex_err *err)
{
    const APP(DeployApplicationRequest) *deploy = (const void *)message;
    const APP(ListApplicationsRequest) *list = (const void *)message;

    if (out->method == REG_METHOD_DEPLOY) {
        if (deploy->application == NULL)
            return plex_err_set(err, PLEX_INVALID, "application is missing");
        if (reg_pb_children_types(deploy->application, arena, err) != PLEX_OK)
            return err->status;
        return reg_pb_app_in(deploy->application, arena, &out->app, err);
    }
    if (out->method != REG_METHOD_LIST_APPS)
        return named_request(message, out, err);
    out->ns = list->namespace_;
    if (out->ns[0] != '\0' &&
        plex_name_namespace(out->ns, strlen(out->ns), err) != PLEX_OK)
        return err->status;
    return page_in(list->page_size, list->page_token, out, err);
}

enum plex_status
reg_wire_request(enum reg_method method, struct plex_bytes in,
                 struct plex_arena *arena, struct reg_request *out,
                 struct plex_err *err)
{
    ProtobufCMessage *message;

    *out = (struct reg_request){.method = method};
    if (plex_wire_unpack(request_type(method), in, arena, &message, err) !=
        PLEX_OK)
        return err->status;
    if (method == REG_METHOD_WATCH) {
        const REG(WatchRequest) *watch = (const void *)message;

        out->have_version = watch->have_version;
        out->timeout_ms = watch->timeout_ms;
        return PLEX_OK;
    }
    if (method < REG_METHOD_DEPLOY)
        return node_request(message, arena, out, err);
    return app_request(message, arena, out, err);
}

/* -- answers about nodes --------------------------------------------------- */

enum plex_status
reg_wire_announced(uint64_t lease_ms, uint64_t version, struct plex_buf *out,
                   struct plex_err *err)
{
    REG(AnnounceReply) reply = PLEXSPACES__REGISTRY__V1__ANNOUNCE_REPLY__INIT;

    reply.lease_ms = lease_ms;
    reply.version = version;
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
reg_wire_unchanged(uint64_t version, struct plex_buf *out, struct plex_err *err)
{
    REG(WatchReply) reply = PLEXSPACES__REGISTRY__V1__WATCH_REPLY__INIT;

    reply.version = version;
    reply.unchanged = true;
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
reg_wire_catalog(const struct reg_core *core, uint64_t now_ns,
                 struct plex_arena *arena, struct plex_buf *out,
                 struct plex_err *err)
{
    REG(WatchReply) reply = PLEXSPACES__REGISTRY__V1__WATCH_REPLY__INIT;
    const size_t n_nodes = reg_core_nodes(core);
    const size_t n_apps = reg_core_apps(core);
    NODE(Node) *nodes = plex_wire_array(arena, n_nodes, sizeof *nodes);

    reply.version = reg_core_version(core);
    reply.nodes = plex_wire_array(arena, n_nodes, sizeof *reply.nodes);
    reply.applications =
        plex_wire_array(arena, n_apps, sizeof *reply.applications);
    if (nodes == NULL || reply.nodes == NULL || reply.applications == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < n_nodes; i++) {
        const struct reg_node node = reg_core_node(core, i, now_ns);

        reg_pb_node_out(&node, &nodes[i]);
        reply.nodes[i] = &nodes[i];
    }
    for (size_t i = 0; i < n_apps; i++)
        if (reg_pb_app_out(&reg_core_app(core, i)->full, arena,
                           &reply.applications[i], err) != PLEX_OK)
            return err->status;
    reply.n_nodes = n_nodes;
    reply.n_applications = n_apps;
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
reg_wire_nodes(const struct reg_core *core, const struct reg_request *request,
               uint64_t now_ns, struct plex_arena *arena, struct plex_buf *out,
               struct plex_err *err)
{
    NODE(ListNodesResponse)
    reply = PLEXSPACES__NODE__V1__LIST_NODES_RESPONSE__INIT;
    NODE(Node) *nodes =
        plex_wire_array(arena, request->page_size, sizeof *nodes);
    size_t n = 0;

    reply.nodes =
        plex_wire_array(arena, request->page_size, sizeof *reply.nodes);
    if (nodes == NULL || reply.nodes == NULL)
        return plex_wire_no_room(err);
    for (size_t i = reg_core_node_seek(core, request->page_token);
         i < reg_core_nodes(core); i++) {
        const struct reg_node node = reg_core_node(core, i, now_ns);

        if (request->kind[0] != '\0' && strcmp(node.kind, request->kind) != 0)
            continue;
        if (n == request->page_size) {
            reply.next_page_token = (char *)(uintptr_t)node.node_id;
            break;
        }
        reg_pb_node_out(&node, &nodes[n]);
        reply.nodes[n] = &nodes[n];
        n++;
    }
    reply.n_nodes = n;
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
reg_wire_node(const struct reg_node *node, struct plex_buf *out,
              struct plex_err *err)
{
    NODE(GetNodeResponse)
    reply = PLEXSPACES__NODE__V1__GET_NODE_RESPONSE__INIT;
    NODE(Node) pb;

    reg_pb_node_out(node, &pb);
    reply.node = &pb;
    return plex_wire_pack(&reply.base, out, err);
}

/* -- answers about applications -------------------------------------------- */

/* A token is the "namespace/name" to begin with. */
static enum plex_status
apps_begin(const struct reg_core *core, const char *tenant,
           const struct reg_request *request, size_t *first,
           struct plex_err *err)
{
    char ns[PLEX_NAMESPACE_MAX + 1];
    const char *token = request->page_token;
    const char *slash = strchr(token, '/');

    if (token[0] == '\0') {
        *first = reg_core_app_seek(core, tenant, request->ns, "");
        return PLEX_OK;
    }
    if (slash == NULL || (size_t)(slash - token) > PLEX_NAMESPACE_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "page_token is not one that a list gave");
    snprintf(ns, sizeof ns, "%.*s", (int)(slash - token), token);
    *first = reg_core_app_seek(core, tenant, ns, slash + 1);
    return PLEX_OK;
}

static char *
apps_token(const struct reg_app *app, struct plex_arena *arena)
{
    char token[PLEX_NAMESPACE_MAX + PLEX_TENANT_MAX + 2];

    snprintf(token, sizeof token, "%s/%s", app->ns, app->name);
    return plex_arena_strndup(arena, token, strlen(token));
}

enum plex_status
reg_wire_apps(const struct reg_core *core, const char *tenant,
              const struct reg_request *request, struct plex_arena *arena,
              struct plex_buf *out, struct plex_err *err)
{
    APP(ListApplicationsResponse)
    reply = PLEXSPACES__APPLICATION__V1__LIST_APPLICATIONS_RESPONSE__INIT;
    size_t i = 0;

    if (apps_begin(core, tenant, request, &i, err) != PLEX_OK)
        return err->status;
    reply.applications =
        plex_wire_array(arena, request->page_size, sizeof *reply.applications);
    if (reply.applications == NULL)
        return plex_wire_no_room(err);
    for (; i < reg_core_apps(core); i++) {
        const struct reg_app_full *full = &reg_core_app(core, i)->full;

        if (strcmp(full->app.tenant, tenant) != 0 ||
            (request->ns[0] != '\0' && strcmp(full->app.ns, request->ns) != 0))
            break;
        if (reply.n_applications == request->page_size) {
            reply.next_page_token = apps_token(&full->app, arena);
            if (reply.next_page_token == NULL)
                return plex_wire_no_room(err);
            break;
        }
        if (reg_pb_app_out(full, arena,
                           &reply.applications[reply.n_applications],
                           err) != PLEX_OK)
            return err->status;
        reply.n_applications++;
    }
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
reg_wire_app(enum reg_method method, const struct reg_app_full *app,
             struct plex_arena *arena, struct plex_buf *out,
             struct plex_err *err)
{
    APP(DeployApplicationResponse)
    reply = PLEXSPACES__APPLICATION__V1__DEPLOY_APPLICATION_RESPONSE__INIT;

    /* All four responses are one application in field 1. */
    (void)method;
    if (reg_pb_app_out(app, arena, &reply.application, err) != PLEX_OK)
        return err->status;
    return plex_wire_pack(&reply.base, out, err);
}

/* -- the store ------------------------------------------------------------- */

enum plex_status
reg_wire_body_out(const struct reg_app_full *app, struct plex_arena *arena,
                  struct plex_buf *out, struct plex_err *err)
{
    APP(Application) * pb;

    if (reg_pb_app_out(app, arena, &pb, err) != PLEX_OK)
        return err->status;
    return plex_wire_pack(&pb->base, out, err);
}

enum plex_status
reg_wire_body_in(struct plex_bytes in, struct plex_arena *arena,
                 struct reg_app_full *out, struct plex_err *err)
{
    ProtobufCMessage *message;

    if (plex_wire_unpack(APP_TYPE(application), in, arena, &message, err) !=
            PLEX_OK ||
        reg_pb_app_in((APP(Application) *)message, arena, out, err) != PLEX_OK)
        return err->status = PLEX_CORRUPT;
    return PLEX_OK;
}
