#include "services/registry/client_wire.h"

#include "common/wire.h"
#include "services/registry/wire_tree.h"

#include <string.h>

#define APP(name) Plexspaces__Application__V1__##name

/* -- nodes ----------------------------------------------------------------- */

void
reg_pb_node_out(const struct reg_node *in, Plexspaces__Node__V1__Node *out)
{
    plexspaces__node__v1__node__init(out);
    out->node_id = plex_wire_text(in->node_id);
    out->kind = plex_wire_text(in->kind);
    out->status = (Plexspaces__Node__V1__NodeStatus)in->status;
    out->url = plex_wire_text(in->url);
    out->admin_addr = plex_wire_text(in->admin_addr);
    out->incarnation = in->incarnation;
    out->version = plex_wire_text(in->version);
    out->started_ms = in->started_ms;
    out->heartbeat_age_ms = in->heartbeat_age_ms;
    out->lease_left_ms = in->lease_left_ms;
    out->reason = plex_wire_text(in->reason);
    out->shards = in->shards;
    out->activations = in->activations;
    out->resident_bytes = in->resident_bytes;
    out->store = plex_wire_text(in->store);
}

void
reg_pb_node_in(const Plexspaces__Node__V1__Node *in, struct reg_node *out)
{
    *out = (struct reg_node){
        .node_id = in->node_id,
        .kind = in->kind,
        .status = (enum reg_node_status)in->status,
        .url = in->url,
        .admin_addr = in->admin_addr,
        .incarnation = in->incarnation,
        .version = in->version,
        .started_ms = in->started_ms,
        .heartbeat_age_ms = in->heartbeat_age_ms,
        .lease_left_ms = in->lease_left_ms,
        .reason = in->reason,
        .shards = in->shards,
        .activations = in->activations,
        .resident_bytes = in->resident_bytes,
        .store = in->store,
    };
}

/* -- applications out ------------------------------------------------------ */

static bool
facet_out(const struct reg_facet *in, struct plex_arena *arena,
          APP(Facet) * out)
{
    APP(Facet__ConfigEntry) *entries =
        plex_wire_array(arena, in->n_config, sizeof *entries);

    plexspaces__application__v1__facet__init(out);
    out->type = plex_wire_text(in->type);
    out->priority = in->priority;
    out->config = plex_wire_array(arena, in->n_config, sizeof *out->config);
    if (entries == NULL || out->config == NULL)
        return false;
    out->n_config = in->n_config;
    for (size_t i = 0; i < in->n_config; i++) {
        plexspaces__application__v1__facet__config_entry__init(&entries[i]);
        entries[i].key = plex_wire_text(in->config[i].key);
        entries[i].value = plex_wire_text(in->config[i].value);
        out->config[i] = &entries[i];
    }
    return true;
}

static bool
extra_out(const struct reg_type_extra *in, struct plex_arena *arena,
          APP(ActorType) * out)
{
    APP(Facet) *facets = plex_wire_array(arena, in->n_facets, sizeof *facets);

    out->facets = plex_wire_array(arena, in->n_facets, sizeof *out->facets);
    if (facets == NULL || out->facets == NULL)
        return false;
    out->n_facets = in->n_facets;
    for (size_t i = 0; i < in->n_facets; i++) {
        if (!facet_out(&in->facets[i], arena, &facets[i]))
            return false;
        out->facets[i] = &facets[i];
    }
    if (in->cpu_cores > 0 || in->memory_bytes > 0) {
        out->resources = plex_wire_array(arena, 1, sizeof *out->resources);
        if (out->resources == NULL)
            return false;
        plexspaces__application__v1__resources__init(out->resources);
        out->resources->cpu_cores = in->cpu_cores;
        out->resources->memory_bytes = in->memory_bytes;
    }
    return true;
}

static bool
type_out(const struct reg_actor_type *in, struct plex_arena *arena,
         APP(ActorType) * out)
{
    plexspaces__application__v1__actor_type__init(out);
    out->name = plex_wire_text(in->name);
    out->module = plex_wire_text(in->module);
    out->behaviour = plex_wire_text(in->behaviour);
    out->virtual_ = in->is_virtual;
    out->durable = in->durable;
    out->idle_timeout_ms = in->idle_timeout_ms;
    out->mailbox_max = in->mailbox_max;
    out->snapshot_every = in->snapshot_every;
    out->pool = plex_wire_text(in->pool);
    if (!in->stateless)
        return true;
    out->stateless = plex_wire_array(arena, 1, sizeof *out->stateless);
    if (out->stateless == NULL)
        return false;
    plexspaces__application__v1__stateless__init(out->stateless);
    out->stateless->max_local = in->max_local;
    out->stateless->route = plex_wire_text(plex_spread_text(in->route));
    return true;
}

static bool
types_out(const struct reg_app_full *in, struct plex_arena *arena,
          APP(Application) * out)
{
    const size_t n = in->app.n_types;
    APP(ActorType) *types = plex_wire_array(arena, n, sizeof *types);

    out->actor_types = plex_wire_array(arena, n, sizeof *out->actor_types);
    if (types == NULL || out->actor_types == NULL)
        return false;
    out->n_actor_types = n;
    for (size_t i = 0; i < n; i++) {
        if (!type_out(&in->app.types[i], arena, &types[i]))
            return false;
        if (in->extras != NULL && !extra_out(&in->extras[i], arena, &types[i]))
            return false;
        out->actor_types[i] = &types[i];
    }
    return true;
}

enum plex_status
reg_pb_app_out(const struct reg_app_full *in, struct plex_arena *arena,
               APP(Application) * *out, struct plex_err *err)
{
    APP(Application) *app = plex_wire_array(arena, 1, sizeof *app);

    if (app == NULL)
        return plex_wire_no_room(err);
    plexspaces__application__v1__application__init(app);
    app->name = plex_wire_text(in->app.name);
    app->version = plex_wire_text(in->app.version);
    app->namespace_ = plex_wire_text(in->app.ns);
    app->description = plex_wire_text(in->app.description);
    app->state = (APP(ApplicationState))in->app.state;
    app->deployed_ms = in->app.deployed_ms;
    app->tenant = plex_wire_text(in->app.tenant);
    app->revision = in->app.revision;
    if (in->app.root.node_id != NULL && in->app.root.node_id[0] != '\0') {
        app->root = plex_wire_array(arena, 1, sizeof *app->root);
        if (app->root == NULL)
            return plex_wire_no_room(err);
        plexspaces__application__v1__tree_root__init(app->root);
        app->root->node_id = plex_wire_text(in->app.root.node_id);
        app->root->incarnation = in->app.root.incarnation;
        app->root->epoch = in->app.root.epoch;
    }
    if (reg_pb_tree_out(in->app.supervisor, arena, &app->supervisor, err) !=
        PLEX_OK)
        return err->status;
    if (!types_out(in, arena, app))
        return plex_wire_no_room(err);
    *out = app;
    return PLEX_OK;
}

/* -- applications in ------------------------------------------------------- */

static enum plex_status
facet_in(const APP(Facet) * in, struct plex_arena *arena, struct reg_facet *out,
         struct plex_err *err)
{
    struct reg_pair *pairs;

    if (in->n_config > REG_CONFIG_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "config has %zu entries, at most %d", in->n_config,
                            REG_CONFIG_MAX);
    pairs = plex_wire_array(arena, in->n_config, sizeof *pairs);
    if (pairs == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < in->n_config; i++) {
        pairs[i].key = in->config[i]->key;
        pairs[i].value = in->config[i]->value;
    }
    out->type = in->type;
    out->priority = in->priority;
    out->config = pairs;
    out->n_config = in->n_config;
    return PLEX_OK;
}

static enum plex_status
extra_in(const APP(ActorType) * in, struct plex_arena *arena,
         struct reg_type_extra *out, struct plex_err *err)
{
    struct reg_facet *facets;

    if (in->n_facets > REG_FACETS_MAX)
        return plex_err_set(err, PLEX_INVALID, "facets are %zu, at most %d",
                            in->n_facets, REG_FACETS_MAX);
    facets = plex_wire_array(arena, in->n_facets, sizeof *facets);
    if (facets == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < in->n_facets; i++)
        if (facet_in(in->facets[i], arena, &facets[i], err) != PLEX_OK)
            return plex_err_wrap(err, "facets[%zu]", i);
    out->facets = facets;
    out->n_facets = in->n_facets;
    if (in->resources != NULL) {
        out->cpu_cores = in->resources->cpu_cores;
        out->memory_bytes = in->resources->memory_bytes;
    }
    return PLEX_OK;
}

static struct reg_actor_type
type_in(const APP(ActorType) * in)
{
    return (struct reg_actor_type){
        .name = in->name,
        .module = in->module,
        .behaviour = in->behaviour,
        .is_virtual = in->virtual_,
        .durable = in->durable,
        .idle_timeout_ms = in->idle_timeout_ms,
        .mailbox_max = in->mailbox_max,
        .snapshot_every = in->snapshot_every,
        .pool = in->pool,
    };
}

static enum plex_status
stateless_in(const APP(Stateless) * in, struct reg_actor_type *out,
             struct plex_err *err)
{
    if (in == NULL)
        return PLEX_OK;
    out->stateless = true;
    out->is_virtual = true;
    out->max_local = in->max_local;
    out->route = in->route[0] == '\0' ? PLEX_SPREAD_ROUND_ROBIN
                                      : plex_spread_parse(in->route);
    if (out->route == 0)
        return plex_err_set(err, PLEX_INVALID,
                            "stateless.route \"%.40s\" is none of "
                            "round_robin, least_loaded and random",
                            in->route);
    return PLEX_OK;
}

enum plex_status
reg_pb_app_in(const APP(Application) * in, struct plex_arena *arena,
              struct reg_app_full *out, struct plex_err *err)
{
    struct reg_actor_type *types;
    struct reg_type_extra *extras;

    if (in->n_actor_types > REG_TYPES_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "actor_types must be 1 to %d, not %zu",
                            REG_TYPES_MAX, in->n_actor_types);
    types = plex_wire_array(arena, in->n_actor_types, sizeof *types);
    extras = plex_wire_array(arena, in->n_actor_types, sizeof *extras);
    if (types == NULL || extras == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < in->n_actor_types; i++) {
        types[i] = type_in(in->actor_types[i]);
        if (stateless_in(in->actor_types[i]->stateless, &types[i], err) !=
                PLEX_OK ||
            extra_in(in->actor_types[i], arena, &extras[i], err) != PLEX_OK)
            return plex_err_wrap(err, "actor_types[%zu]", i);
        types[i].facets = extras[i].facets;
        types[i].n_facets = extras[i].n_facets;
        types[i].cpu_cores = extras[i].cpu_cores;
        types[i].memory_bytes = extras[i].memory_bytes;
    }
    out->app = (struct reg_app){
        .tenant = in->tenant,
        .ns = in->namespace_,
        .name = in->name,
        .version = in->version,
        .description = in->description,
        .state = (enum reg_app_state)in->state,
        .deployed_ms = in->deployed_ms,
        .revision = in->revision,
        .types = types,
        .n_types = in->n_actor_types,
        .root = {.node_id = ""},
    };
    if (in->root != NULL)
        out->app.root = (struct reg_root){
            in->root->node_id, in->root->incarnation, in->root->epoch};
    if (reg_pb_tree_in(in->supervisor, arena, &out->app.supervisor, err) !=
        PLEX_OK)
        return err->status;
    out->extras = extras;
    return PLEX_OK;
}

/* -- the catalogue --------------------------------------------------------- */

enum plex_status
reg_pb_catalog_in(const Plexspaces__Registry__V1__WatchReply *in,
                  struct plex_arena *arena, struct reg_catalog **out,
                  struct plex_err *err)
{
    struct reg_node *nodes = plex_wire_array(arena, in->n_nodes, sizeof *nodes);
    struct reg_app *apps =
        plex_wire_array(arena, in->n_applications, sizeof *apps);

    if (nodes == NULL || apps == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < in->n_nodes; i++)
        reg_pb_node_in(in->nodes[i], &nodes[i]);
    for (size_t i = 0; i < in->n_applications; i++) {
        struct reg_app_full full;

        if (reg_pb_app_in(in->applications[i], arena, &full, err) != PLEX_OK)
            return plex_err_wrap(err, "applications[%zu]", i);
        apps[i] = full.app;
    }
    *out = reg_catalog_make(in->version, nodes, in->n_nodes, apps,
                            in->n_applications);
    return PLEX_OK;
}
