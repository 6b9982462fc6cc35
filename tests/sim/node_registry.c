/* plex-registry: the catalogue's core, and a disk for applications. */
#include "services/registry/core.h"
#include "tests/sim/sim.h"

#include "common/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { APPS_MAX = 4 };

struct disk {
    struct reg_app_rec *apps[APPS_MAX];
    size_t n;
    uint64_t revision;
};
struct registry {
    struct reg_core *core;
    struct reg_app_rec *storing;
    bool deleting;
};

static void pump(struct sim *sim, struct sim_node *node);

static void
disk_put(struct disk *disk, struct reg_app_rec *app)
{
    size_t i = 0;

    while (i < disk->n &&
           strcmp(disk->apps[i]->full.app.name, app->full.app.name) != 0)
        i++;
    assert(i < APPS_MAX);
    if (i == disk->n)
        disk->n++;
    else
        reg_app_rec_unref(disk->apps[i]);
    disk->apps[i] = reg_app_rec_ref(app);
    if (app->full.app.revision > disk->revision)
        disk->revision = app->full.app.revision;
}

static void
on_stored(struct sim *sim, struct sim_node *node, void *arg)
{
    struct registry *registry = node->state;

    (void)arg;
    disk_put(node->disk, registry->storing);
    reg_app_rec_unref(registry->storing);
    registry->storing = NULL;
    reg_core_stored(registry->core, PLEX_OK, "", sim_mono(sim, node));
    pump(sim, node);
}

static struct reg_catalog *
catalog_make(struct sim *sim, struct sim_node *node)
{
    const struct reg_core *core = ((struct registry *)node->state)->core;
    struct reg_node nodes[SIM_NODES_MAX];
    struct reg_app apps[APPS_MAX];
    const size_t n_nodes = reg_core_nodes(core), n_apps = reg_core_apps(core);

    assert(n_nodes <= SIM_NODES_MAX && n_apps <= APPS_MAX);
    for (size_t i = 0; i < n_nodes; i++)
        nodes[i] = reg_core_node(core, i, sim_mono(sim, node));
    for (size_t i = 0; i < n_apps; i++)
        apps[i] = reg_core_app(core, i)->full.app;
    return reg_catalog_make(reg_core_version(core), nodes, n_nodes, apps,
                            n_apps);
}

static void
answer(struct sim *sim, struct sim_node *node, const struct reg_action *action)
{
    const uint64_t call = (uint64_t)(uintptr_t)action->call;
    struct sim_msg *reply;

    if (action->kind == REG_ACTION_FAIL) {
        sim_refuse(sim, call, action->status, action->text);
        return;
    }
    reply = sim_msg_make();
    reply->lease_ms = action->lease_ms;
    reply->version = action->version;
    if (action->kind == REG_ACTION_CATALOG && !action->unchanged)
        reply->catalog = catalog_make(sim, node);
    sim_answer(sim, call, reply);
}

static void
pump(struct sim *sim, struct sim_node *node)
{
    struct registry *registry = node->state;
    struct reg_action action;

    while (reg_core_next(registry->core, &action)) {
        if (action.kind == REG_ACTION_PUT || action.kind == REG_ACTION_DELETE) {
            assert(registry->storing == NULL);
            registry->storing = reg_app_rec_ref(action.app);
            sim_after(sim, node, sim_between(sim, 200 * SIM_US, 5 * SIM_MS),
                      on_stored, NULL, NULL);
        } else if (action.kind == REG_ACTION_NOTE) {
            sim_trace(sim, -1, node, "%s", action.text);
        } else {
            answer(sim, node, &action);
        }
        reg_app_rec_unref(action.app);
    }
    sim_wake_at(sim, node, reg_core_wake(registry->core));
}

static void
wake(struct sim *sim, struct sim_node *node)
{
    struct registry *registry = node->state;

    reg_core_tick(registry->core, sim_mono(sim, node));
    pump(sim, node);
}

static const struct reg_actor_type types[] = {
    {.name = "counter",
     .module = "counter",
     .behaviour = "counter",
     .is_virtual = true,
     .durable = true,
     .idle_timeout_ms = 3000,
     .mailbox_max = 100,
     .snapshot_every = 20},
    {.name = "counter-volatile",
     .module = "counter",
     .behaviour = "counter",
     .is_virtual = true,
     .idle_timeout_ms = 3000,
     .mailbox_max = 100},
    {.name = "relay",
     .module = "relay",
     .behaviour = "relay",
     .is_virtual = true,
     .durable = true,
     .idle_timeout_ms = 3000,
     .mailbox_max = 100},
    {.name = "sink",
     .module = "sink",
     .behaviour = "sink",
     .is_virtual = true,
     .durable = true,
     .idle_timeout_ms = 3000,
     .mailbox_max = 100},
    {.name = "tally",
     .module = "tally",
     .behaviour = "tally",
     .is_virtual = true,
     .durable = true,
     .idle_timeout_ms = 3000,
     .mailbox_max = 100},
    {.name = "flow",
     .module = "flow",
     .behaviour = "flow",
     .is_virtual = true,
     .durable = true,
     .idle_timeout_ms = 200,
     .mailbox_max = 100},
    {.name = "bank",
     .module = "bank",
     .behaviour = "bank",
     .is_virtual = true,
     .durable = true,
     .idle_timeout_ms = 3000,
     .mailbox_max = 100},
    {.name = "ledger",
     .module = "ledger",
     .behaviour = "ledger",
     .is_virtual = true,
     .durable = true,
     .idle_timeout_ms = 200,
     .mailbox_max = 100,
     .snapshot_every = 7},
};

static void
deploy(struct sim *sim, struct sim_node *node, struct sim_call *call)
{
    struct registry *registry = node->state;
    char version[16];
    const struct reg_app_full app = {
        .app = {.tenant = "default",
                .ns = "default",
                .name = "demo",
                .version = version,
                .description = "",
                .types = types,
                .n_types = sizeof types / sizeof types[0]}};

    (void)snprintf(version, sizeof version, "1.0.%d", call->msg->app);
    reg_core_deploy(registry->core, (void *)(uintptr_t)call->id, &app,
                    sim_mono(sim, node), sim_wall(sim, node));
}

static void
serve(struct sim *sim, struct sim_node *node, struct sim_call *call)
{
    struct registry *registry = node->state;
    void *token = (void *)(uintptr_t)call->id;
    const uint64_t now = sim_mono(sim, node);

    if (call->method == SIM_ANNOUNCE)
        reg_core_announce(registry->core, token, &call->msg->node, now);
    else if (call->method == SIM_CATALOG)
        reg_core_watch(registry->core, token, call->msg->version, 2000, now);
    else
        deploy(sim, node, call);
    pump(sim, node);
}

static void
start(struct sim *sim, struct sim_node *node)
{
    struct registry *registry = plex_calloc(1, sizeof *registry);
    struct disk *disk = node->disk;
    struct plex_err err = {0};

    if (disk == NULL)
        node->disk = disk = plex_calloc(1, sizeof *disk);
    node->state = registry;
    registry->core = reg_core_create(&reg_core_defaults, sim_mono(sim, node),
                                     sim_wall(sim, node));
    for (size_t i = 0; i < disk->n; i++)
        if (reg_core_load(registry->core, &disk->apps[i]->full, &err) !=
            PLEX_OK)
            sim_fail(sim, -1, "G4: a stored application is refused: %s",
                     err.text);
    reg_core_load_revision(registry->core, disk->revision);
    pump(sim, node);
}

static void
stop(struct sim *sim, struct sim_node *node)
{
    struct registry *registry = node->state;

    /* The write under way is complete or lost. */
    if (registry->storing != NULL && sim_chance(sim, 50))
        disk_put(node->disk, registry->storing);
    reg_app_rec_unref(registry->storing);
    reg_core_free(registry->core);
    free(registry);
}

void
sim_registry_disk_free(struct sim_node *node)
{
    struct disk *disk = node->disk;

    for (size_t i = 0; disk != NULL && i < disk->n; i++)
        reg_app_rec_unref(disk->apps[i]);
    free(disk);
    node->disk = NULL;
}

const struct sim_kind sim_kind_registry = {
    .name = "registry",
    .start = start,
    .stop = stop,
    .serve = serve,
    .wake = wake,
};
