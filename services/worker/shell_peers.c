/* Registry, placement, catalogue: what the worker is told to do. */
#include "common/log.h"
#include "common/mem.h"
#include "services/worker/shell.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* -- types
 * ----------------------------------------------------------------------- */

static struct plex_counter *
series(struct work_state *state, const char *type)
{
    char label[PLEX_TYPE_MAX + 16];

    if (state->n_series >= WORK_TYPE_SERIES_MAX)
        return state->other_turns;
    state->n_series++;
    (void)snprintf(label, sizeof label, "type=\"%s\"", type);
    return plex_metrics_counter(state->host->metrics,
                                "plexspaces_worker_turns_total", "Turns run.",
                                label);
}

/* NULL: its facets cannot be made. */
static struct work_bound *
bind(struct work_state *state, const struct reg_app *app,
     const struct reg_actor_type *from, const struct plex_behaviour *behaviour,
     struct plex_err *err)
{
    const char *type = from->name;
    const uint64_t digest = work_facets_digest(from);
    struct work_facet_setup *facets;
    struct work_bound *bound;

    for (bound = state->bounds; bound != NULL; bound = bound->next)
        if (bound->behaviour == behaviour && strcmp(bound->type, type) == 0 &&
            bound->facets_digest == digest && strcmp(bound->ns, app->ns) == 0 &&
            strcmp(bound->tenant, app->tenant) == 0)
            return bound;
    if (work_facets_setup(state, from, &facets, err) != PLEX_OK)
        return NULL;
    bound = plex_calloc(1, sizeof *bound);
    bound->facets = facets;
    bound->facets_digest = digest;
    bound->tenant = plex_strdup(app->tenant);
    bound->ns = plex_strdup(app->ns);
    bound->type = plex_strdup(type);
    bound->behaviour = behaviour;
    bound->turns = series(state, type);
    bound->next = state->bounds;
    state->bounds = bound;
    return bound;
}

/* Once, not with every catalogue: those change with every node. */
static void
broken_log(struct work_state *state, const struct reg_app *app,
           const char *type, const char *why)
{
    char line[PLEX_ACTOR_NAME_MAX + PLEX_ERR_TEXT_MAX];
    struct work_broken *broken;

    (void)snprintf(line, sizeof line, "type %s/%s/%s: %s", app->tenant, app->ns,
                   type, why);
    for (broken = state->broken; broken != NULL; broken = broken->next)
        if (strcmp(broken->line, line) == 0)
            return;
    if (state->n_broken < WORK_TYPE_SERIES_MAX) {
        broken = plex_calloc(1, sizeof *broken);
        broken->line = plex_strdup(line);
        broken->next = state->broken;
        state->broken = broken;
        state->n_broken++;
    }
    plex_log(PLEX_LOG_ERROR, "worker.module", "%s", line);
}

/* The reason is in the arena: long enough. */
static void
broken_set(struct work_state *state, const struct reg_app *app,
           struct work_type *out, const struct plex_err *err)
{
    out->broken =
        plex_arena_strndup(&state->arena, err->text, strlen(err->text));
    if (out->broken == NULL)
        out->broken = "the module could not be loaded";
    broken_log(state, app, out->name, err->text);
}

enum plex_status
work_virtual_of(const struct reg_actor_type *type, struct plex_arena *arena,
                struct rt_facet_virtual *out, struct plex_err *err)
{
    struct plex_facet_pair *pairs;
    struct rt_facet_plan *plan;
    struct rt_facet_spec spec = {.type = "virtual_actor"};
    const struct reg_facet *facet = NULL;

    *out = (struct rt_facet_virtual){.prewarm_keys = ""};
    for (size_t i = 0; i < type->n_facets; i++)
        if (strcmp(type->facets[i].type, spec.type) == 0)
            facet = &type->facets[i];
    if (facet == NULL)
        return PLEX_OK;
    pairs = plex_calloc(facet->n_config + 1, sizeof *pairs);
    for (size_t i = 0; i < facet->n_config; i++)
        pairs[i] = (struct plex_facet_pair){facet->config[i].key,
                                            facet->config[i].value};
    spec.config = pairs;
    spec.n_config = facet->n_config;
    err->status = rt_facet_plan_create(NULL, &spec, 1, &plan, err);
    free(pairs);
    if (err->status != PLEX_OK)
        return err->status;
    *out =
        *(const struct rt_facet_virtual *)rt_facet_plan_config(plan, spec.type);
    out->prewarm_keys =
        plex_arena_strndup(arena, out->prewarm_keys, strlen(out->prewarm_keys));
    rt_facet_plan_free(plan);
    if (out->prewarm_keys == NULL)
        return plex_err_set(err, PLEX_LIMIT, "too many types");
    return PLEX_OK;
}

/* What the facet virtual_actor says, if there is one. */
static enum plex_status
virtual_set(struct work_state *state, const struct reg_actor_type *from,
            struct work_type *out, struct plex_err *err)
{
    struct rt_facet_virtual is;

    if (work_virtual_of(from, &state->arena, &is, err) != PLEX_OK)
        return err->status;
    if (is.reentrancy != WORK_REENTRANT_NONE && from->durable)
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "facet virtual_actor: reentrancy is for types that "
                            "are not durable");
    out->reentrancy = (enum work_reentrancy)is.reentrancy;
    out->max_active = is.max_active;
    out->memory_max = is.memory_max;
    out->evict_largest = is.eviction == 1;
    out->persist = is.persist && !from->durable;
    out->pinned = is.activation == 1;
    if (from->stateless)
        out->persist = false;
    if (is.activation != 0)
        out->warm_keys = is.prewarm_keys;
    return PLEX_OK;
}

/* What only the module shows. */
static enum plex_status
stateless_check(const struct reg_actor_type *type,
                const struct plex_behaviour *behaviour, struct plex_err *err)
{
    if (!type->stateless || behaviour->apply == NULL)
        return PLEX_OK;
    return plex_err_set(err, PLEX_UNSUPPORTED,
                        "behaviour %s makes its state of events, and the type "
                        "is stateless",
                        behaviour->name);
}

static uint32_t
cores(void)
{
    const long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n > 0 ? (uint32_t)n : 1;
}

static void
type_of(struct work_state *state, const struct reg_app *app,
        const struct reg_actor_type *from, struct work_type *out)
{
    const struct plex_behaviour *behaviour = NULL;
    struct plex_err err;

    *out = (struct work_type){
        .tenant = app->tenant,
        .ns = app->ns,
        .name = from->name,
        .state = app->state == REG_APP_RUNNING ? WORK_TYPE_RUNNING
                                               : WORK_TYPE_STOPPED,
        .durable = from->durable,
        .idle_timeout_ms = from->idle_timeout_ms,
        .mailbox_max = from->mailbox_max,
        .snapshot_every = from->snapshot_every,
        .max_local = !from->stateless      ? 0
                     : from->max_local > 0 ? from->max_local
                                           : cores(),
        .route = from->route,
        .needs = {(uint64_t)ceil(from->cpu_cores * 1000 - 1e-6),
                  from->memory_bytes},
    };
    if (work_modules_find(state->modules, from->module, from->behaviour,
                          &behaviour, &err) != PLEX_OK ||
        stateless_check(from, behaviour, &err) != PLEX_OK ||
        virtual_set(state, from, out, &err) != PLEX_OK) {
        broken_set(state, app, out, &err);
        return;
    }
    out->schema_version = behaviour->schema_version;
    out->has_activated = behaviour->activated != NULL;
    out->sourced = behaviour->apply != NULL && from->durable;
    out->migrates = behaviour->migrate != NULL;
    out->snapshot_bytes = behaviour->snapshot_bytes;
    out->snapshot_ms = behaviour->snapshot_ms;
    out->user = bind(state, app, from, behaviour, &err);
    if (out->user == NULL)
        broken_set(state, app, out, &err);
}

static void
on_catalog(void *arg, struct reg_catalog *catalog)
{
    struct work_state *state = arg;
    struct work_type *types = NULL;
    size_t n_apps, n = 0, cap = 0;
    const struct reg_app *apps = reg_catalog_apps(catalog, &n_apps);

    plex_arena_reset(&state->arena);
    for (size_t i = 0; i < n_apps; i++)
        for (size_t j = 0; j < apps[i].n_types; j++) {
            const struct reg_actor_type *type = &apps[i].types[j];

            if (strcmp(type->pool, state->config.pool) != 0)
                continue;
            if (n == cap) {
                cap = cap == 0 ? 64 : cap * 2;
                types = plex_reallocarray(types, cap, sizeof *types);
            }
            type_of(state, &apps[i], type, &types[n++]);
        }
    work_journals_catalog(state, catalog);
    work_core_types(state->core, work_now(), types, n);
    free(types);
    state->catalogued = true;
    work_node_catalog(state->node, catalog);
    work_pump(state);
}

/* -- placement
 * --------------------------------------------------------------------- */

static const char *
placement_url(void *arg)
{
    const struct work_state *state = arg;

    return reg_client_url(state->registry, "placement");
}

static void
on_heartbeat(void *arg, enum plex_status status, const char *text,
             const struct place_lease *lease)
{
    struct work_state *state = arg;

    if (status != PLEX_OK) {
        if (!state->refused_logged)
            plex_log(PLEX_LOG_WARN, "worker.lease",
                     "placement did not renew the lease: %s", text);
        state->refused_logged = true;
        return;
    }
    state->refused_logged = false;
    state->granted = true;
    if (lease->lease_ms > WORK_LEASE_MARGIN_MS) {
        const uint64_t until =
            lease->sent +
            (lease->lease_ms - WORK_LEASE_MARGIN_MS) * UINT64_C(1000000);

        work_host_lease(state->turns, until);
        work_core_lease(state->core, work_now(), until, lease->version);
    }
    if (lease->version > work_core_applied_version(state->core))
        place_watch_hint(state->watch, lease->version);
    work_node_leased(state->node, lease->hold);
    work_room_tell(state);
    work_pump(state);
}

static void
load_measure(struct work_state *state)
{
    const uint64_t now = plex_now();
    struct work_core_stats stats;
    uint64_t ms;

    work_core_stats(state->core, &stats);
    if (stats.lost_total != state->lost_reported)
        plex_log(PLEX_LOG_ERROR, "commits-lost",
                 "%s; that is the %" PRIu64 ". loss seen", stats.lost,
                 stats.lost_total);
    state->lost_reported = stats.lost_total;
    ms = (now - state->heartbeat_at) / 1000000;
    if (ms < 100)
        return; /* too short to say anything */
    state->load = (stats.turns_total - state->turns_reported) * 1000 / ms;
    state->turns_reported = stats.turns_total;
    state->heartbeat_at = now;
}

void
work_heartbeat(struct work_state *state)
{
    const char *url = placement_url(state);
    struct place_heartbeat heartbeat = {
        .node_id = state->host->base->node,
        .url = plex_link_url(state->host->link),
        .incarnation = state->host->incarnation,
        .pool = state->config.pool,
        .applied_version = work_core_applied_version(state->core),
        .draining = state->draining,
        .offer = &state->capacity.offer,
    };

    if (url == NULL || state->leaving)
        return;
    load_measure(state);
    heartbeat.load = state->load;
    place_client_heartbeat(state->host->link, url, &heartbeat,
                           WORK_HEARTBEAT_MS * 2, on_heartbeat, state);
}

static void
on_heartbeat_timer(void *arg)
{
    struct work_state *state = arg;

    work_heartbeat(state);
    work_node_tick(state->node, reg_client_lease_end(state->registry));
    work_status(state); /* a lease that lapsed is news, too */
    plex_timer_start(state->heartbeat, state->granted
                                           ? WORK_HEARTBEAT_MS
                                           : WORK_HEARTBEAT_FIRST_MS);
}

static void
on_table(void *arg, struct place_table *table)
{
    struct work_state *state = arg;

    for (size_t i = 0; i < table->n_workers; i++)
        if (table->workers[i].incarnation == state->host->incarnation)
            work_node_evict(state->node, table->workers[i].draining);
        else if (table->workers[i].draining)
            work_node_peer_drains(state->node, table->workers[i].node_id);
    work_core_table(state->core, work_now(), table);
    work_pump(state);
    work_heartbeat(state); /* who waits for our shards may go on */
}

static void
on_left(void *arg, enum plex_status status)
{
    struct work_state *state = arg;

    (void)status;
    state->left = true;
}

/* Say goodbye once; true when placement knows. */
bool
work_leave(struct work_state *state)
{
    const char *url = placement_url(state);

    if (state->left || url == NULL)
        return true;
    if (!state->leaving) {
        state->leaving = true;
        place_client_leave(state->host->link, url, state->host->base->node,
                           state->host->incarnation, on_left, state);
    }
    return state->left;
}

/* -- announcing
 * ----------------------------------------------------------------------- */

static void
describe(void *arg, struct reg_node *node)
{
    const struct work_state *state = arg;
    struct work_core_stats stats;

    node->n_claims = work_node_claims(state->node, &node->claims);
    node->without_trees = work_node_evicted(state->node);
    work_core_stats(state->core, &stats);
    node->shards = stats.shards;
    node->activations = stats.activations;
}

static const char *
why_not_ready(struct work_state *state)
{
    struct work_core_stats stats;

    if (!state->catalogued)
        return "waiting for the catalogue";
    if (!state->granted)
        return "waiting for placement";
    if (!work_core_lease_holds(state->core, plex_now()))
        return "the lease has lapsed";
    if (state->status == REG_NODE_READY)
        return NULL; /* new shards are taken over in passing */
    work_core_stats(state->core, &stats);
    return stats.shards_taking > 0 ? "taking over shards" : NULL;
}

void
work_status(struct work_state *state)
{
    const char *why = why_not_ready(state);
    enum reg_node_status status = REG_NODE_STARTING;

    if (state->draining) {
        status = REG_NODE_DRAINING;
        why = "draining";
    } else if (why == NULL) {
        status = REG_NODE_READY;
        why = "";
    }
    if (state->registry == NULL ||
        (status == state->status && strcmp(why, state->reason) == 0))
        return;
    state->status = status;
    (void)snprintf(state->reason, sizeof state->reason, "%s", why);
    reg_client_status(state->registry, status, why);
}

void
work_peers_start(struct work_state *state)
{
    const struct reg_client_config config = {
        .host = state->host,
        .kind = "worker",
        .describe = describe,
        .changed = on_catalog,
        .arg = state,
    };

    state->registry = reg_client_start(&config);
    state->watch =
        place_watch_start(state->host->link, state->host->loop,
                          state->config.pool, placement_url, on_table, state);
    state->heartbeat =
        plex_timer_create(state->host->loop, on_heartbeat_timer, state);
    plex_timer_start(state->heartbeat, 0);
    work_status(state);
}

void
work_peers_stop(struct work_state *state)
{
    plex_timer_free(state->heartbeat);
    place_watch_stop(state->watch);
    reg_client_stop(state->registry);
}
