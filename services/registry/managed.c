#include "services/registry/managed.h"

#include <inttypes.h>
#include <stdio.h>

enum { REFRESH_MS = 500, NUMBER_MAX = 24 };

static uint32_t
node_health(enum reg_node_status status)
{
    switch (status) {
    case REG_NODE_STARTING:
        return REG_HEALTH_STARTING;
    case REG_NODE_READY:
        return REG_HEALTH_HEALTHY;
    case REG_NODE_DRAINING:
        return REG_HEALTH_STOPPING;
    case REG_NODE_LOST:
        break;
    }
    return REG_HEALTH_UNHEALTHY;
}

static struct reg_object
object_of(uint32_t type, const char *tenant, const char *ns, const char *id)
{
    return (struct reg_object){.type = type,
                               .tenant = tenant,
                               .ns = ns,
                               .id = id,
                               .category = "",
                               .node_id = "",
                               .address = "",
                               .version = "",
                               .reason = ""};
}

static void
node_take(struct reg_objects *objects, const struct reg_node *node,
          struct reg_when when)
{
    const struct reg_metric metrics[] = {
        {"activations", (double)node->activations},
        {"resident_bytes", (double)node->resident_bytes},
        {"shards", (double)node->shards},
    };
    const struct reg_pair metadata = {"admin_addr", node->admin_addr};
    struct reg_object object = object_of(REG_OBJECT_NODE, REG_MANAGED_TENANT,
                                         REG_MANAGED_NS, node->node_id);

    object.category = node->kind;
    object.node_id = node->node_id;
    object.address = node->url;
    object.version = node->version;
    object.health = node_health(node->status);
    object.reason = node->reason;
    object.metadata = &metadata;
    object.n_metadata = node->admin_addr[0] == '\0' ? 0 : 1;
    object.metrics = metrics;
    object.n_metrics = sizeof metrics / sizeof metrics[0];
    object.left_ms = node->lease_left_ms;
    object.created_ms = node->started_ms;
    object.heartbeat_ms = when.wall_ms > node->heartbeat_age_ms
                              ? when.wall_ms - node->heartbeat_age_ms
                              : 0;
    object.updated_ms = object.heartbeat_ms;
    reg_objects_managed(objects, &object);
}

static void
app_take(struct reg_objects *objects, const struct reg_app *app)
{
    char revision[NUMBER_MAX];
    const struct reg_pair metadata = {"revision", revision};
    struct reg_object object =
        object_of(REG_OBJECT_APPLICATION, app->tenant, app->ns, app->name);

    (void)snprintf(revision, sizeof revision, "%" PRIu64, app->revision);
    object.version = app->version;
    object.node_id = app->root.node_id;
    object.health =
        app->state == REG_APP_RUNNING ? REG_HEALTH_HEALTHY : REG_HEALTH_UNKNOWN;
    object.reason = app->state == REG_APP_RUNNING ? "" : "stopped";
    object.metadata = &metadata;
    object.n_metadata = 1;
    object.created_ms = object.updated_ms = app->deployed_ms;
    reg_objects_managed(objects, &object);
}

void
reg_managed_refresh(struct reg_objects *objects, const struct reg_core *core,
                    uint64_t *last_ns, struct reg_when when)
{
    const uint64_t version = reg_core_version(core);

    const bool changed = version != reg_objects_managed_version(objects);

    if (!changed && when.now_ns - *last_ns < (uint64_t)REFRESH_MS * 1000000U)
        return;
    *last_ns = when.now_ns;
    if (changed)
        reg_objects_managed_begin(objects, version);
    for (size_t i = 0; i < reg_core_nodes(core); i++) {
        const struct reg_node node = reg_core_node(core, i, when.now_ns);

        node_take(objects, &node, when);
    }
    if (!changed)
        return;
    for (size_t i = 0; i < reg_core_apps(core); i++)
        app_take(objects, &reg_core_app(core, i)->full.app);
    reg_objects_managed_end(objects);
}
