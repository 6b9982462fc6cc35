/* Replicas of lattices: one process for each type that is declared so, on every
 * worker, as long as it is declared (builtin_lattice_replica.h). */
#include "services/worker/node_private.h"

#include "common/log.h"
#include "common/mem.h"
#include "services/worker/builtin_lattice_replica.h"

#include <stdlib.h>
#include <string.h>

enum { DRAIN_MS = 2000 }; /* an owner that does not answer then is left */

struct node_lattice {
    struct node_lattice *next;
    uint64_t drained_by; /* ns; by then it has, or not */
    char *tenant, *ns;
    struct plex_ref ref; /* none: not started, or stopped */
    struct work_lattice_site site;
};

/* Is it a type with replicas? Those of an application that is stopped stay:
 * what they have is in memory. */
static bool
declared(const struct reg_actor_type *type, struct lattice_declared *out)
{
    struct plex_err err;

    return type->stateless && strcmp(type->module, "builtin") == 0 &&
           lattice_declared_parse(type->behaviour, out, &err) == PLEX_OK &&
           out->consistency != LATTICE_LINEARIZABLE;
}

static bool
is_of(const struct node_lattice *lattice, const struct reg_app *app,
      const struct reg_actor_type *type)
{
    return strcmp(lattice->site.type, type->name) == 0 &&
           strcmp(lattice->ns, app->ns) == 0 &&
           strcmp(lattice->tenant, app->tenant) == 0;
}

static bool
same(const struct lattice_declared *a, const struct lattice_declared *b)
{
    return a->consistency == b->consistency &&
           strcmp(a->kinds, b->kinds) == 0 &&
           strcmp(a->kept_in, b->kept_in) == 0;
}

/* Other workers that will have one. */
static size_t
others(const struct work_node *node)
{
    size_t n, count = 0;
    const struct reg_node *nodes = reg_catalog_nodes(node->catalog, &n);

    for (size_t i = 0; i < n; i++)
        if (strcmp(nodes[i].kind, "worker") == 0 &&
            nodes[i].status == REG_NODE_READY &&
            nodes[i].incarnation != node->config.host->incarnation)
            count++;
    return count;
}

static void
start(struct work_node *node, struct node_lattice *lattice)
{
    struct work_lattice_site *site = &lattice->site;
    char name[WORK_LATTICE_GROUP_MAX];
    const struct plex_spawn how = {
        .behaviour = &work_lattice_replica_behaviour,
        .name = name,
        .args = &site,
        .args_len = sizeof site,
    };

    work_lattice_group(site->type, name);
    atomic_store(&site->busy, false);
    site->others = others(node);
    if (rt_spawn(node->rt, (struct rt_where){lattice->tenant, lattice->ns},
                 &how, NULL, NULL, &lattice->ref) != 0) {
        lattice->ref = (struct plex_ref){0};
        return; /* the next look tries again */
    }
    plex_log(PLEX_LOG_INFO, "worker.lattice", "a replica of %s/%s/%s runs here",
             lattice->tenant, lattice->ns, site->type);
}

static bool
runs(const struct work_node *node, const struct node_lattice *lattice)
{
    struct rt_info info;

    return lattice->ref.id != 0 &&
           rt_inspect(node->rt, lattice->ref, &info) == 0;
}

static struct node_lattice *
make(struct work_node *node, const struct reg_app *app, const char *type)
{
    struct node_lattice *lattice = plex_calloc(1, sizeof *lattice);

    lattice->tenant = plex_strdup(app->tenant);
    lattice->ns = plex_strdup(app->ns);
    (void)snprintf(lattice->site.type, sizeof lattice->site.type, "%s", type);
    lattice->next = node->lattices;
    node->lattices = lattice;
    return lattice;
}

/* One that is to be: started, unless its forerunner still has to go. */
static void
want(struct work_node *node, const struct reg_app *app,
     const struct reg_actor_type *type, const struct lattice_declared *is)
{
    struct node_lattice *lattice = node->lattices;

    while (lattice != NULL && !is_of(lattice, app, type))
        lattice = lattice->next;
    if (lattice == NULL)
        lattice = make(node, app, type->name);
    else if (runs(node, lattice))
        return;
    lattice->site.declared = *is;
    start(node, lattice);
}

/* Is it declared as it runs? */
static bool
wanted(const struct work_node *node, const struct node_lattice *lattice)
{
    const struct reg_actor_type *type;
    struct lattice_declared is;

    type = reg_catalog_type(node->catalog, lattice->tenant, lattice->ns,
                            lattice->site.type, NULL);
    return type != NULL && declared(type, &is) &&
           same(&is, &lattice->site.declared);
}

static void
tell(struct work_node *node, const struct node_lattice *lattice, uint64_t what)
{
    const struct plex_post post = {
        .kind = PLEX_MSG_CAST, .tag = what, .payload = ""};

    (void)rt_send(node->rt, lattice->ref, &post);
}

void
node_lattices_look(struct work_node *node)
{
    struct lattice_declared is;
    size_t n = 0;
    const struct reg_app *apps =
        node->catalog == NULL ? NULL : reg_catalog_apps(node->catalog, &n);

    if (node->stopping || node->draining || node->catalog == NULL)
        return;
    for (struct node_lattice *l = node->lattices; l != NULL; l = l->next)
        if (runs(node, l) && !wanted(node, l))
            tell(node, l, WORK_LATTICE_STOP);
    for (size_t i = 0; i < n; i++)
        for (size_t t = 0; t < apps[i].n_types; t++)
            if (declared(&apps[i].types[t], &is))
                want(node, &apps[i], &apps[i].types[t], &is);
}

void
node_lattices_drain(struct work_node *node)
{
    for (struct node_lattice *l = node->lattices; l != NULL; l = l->next) {
        atomic_store(&l->site.hurry, true);
        l->drained_by = plex_now() + DRAIN_MS * UINT64_C(1000000);
        tell(node, l, WORK_LATTICE_HURRY);
    }
}

bool
node_lattices_drained(const struct work_node *node)
{
    for (const struct node_lattice *l = node->lattices; l != NULL; l = l->next)
        if (atomic_load(&l->site.busy) && plex_now() < l->drained_by &&
            runs(node, l))
            return false;
    return true;
}

/* -- metrics --------------------------------------------------------------- */

static uint64_t
read_cells(void *arg)
{
    const struct work_node *node = arg;
    uint64_t cells = 0;

    for (const struct node_lattice *l = node->lattices; l != NULL; l = l->next)
        cells += atomic_load(&l->site.cells);
    return cells;
}

static uint64_t
read_refused(void *arg)
{
    const struct work_node *node = arg;
    uint64_t refused = 0;

    for (const struct node_lattice *l = node->lattices; l != NULL; l = l->next)
        refused += atomic_load(&l->site.refused);
    return refused;
}

static uint64_t
read_busy(void *arg)
{
    const struct work_node *node = arg;
    uint64_t busy = 0;

    for (const struct node_lattice *l = node->lattices; l != NULL; l = l->next)
        busy += atomic_load(&l->site.busy);
    return busy;
}

void
node_lattices_metrics(struct work_node *node)
{
    struct plex_metrics *m = node->config.host->metrics;

    plex_metrics_observe(m, "plexspaces_lattice_cells",
                         "Cells that replicas here have.", "", read_cells,
                         node);
    plex_metrics_observe(m, "plexspaces_lattice_refused",
                         "Cells from other workers that did not fit, of "
                         "replicas that run.",
                         "", read_refused, node);
    plex_metrics_observe(m, "plexspaces_lattice_busy",
                         "Types whose replica has something to tell or to "
                         "have kept.",
                         "", read_busy, node);
}

void
node_lattices_free(struct work_node *node)
{
    struct node_lattice *lattice;

    while ((lattice = node->lattices) != NULL) {
        node->lattices = lattice->next;
        work_lattice_site_fini(&lattice->site);
        free(lattice->tenant);
        free(lattice->ns);
        free(lattice);
    }
}
