/* Facets of processes: what manifests declare for the types of children, and
 * requests about those that run. */
#include "services/worker/node_private.h"

#include "common/mem.h"
#include "runtime/process_facets.h"
#include "services/worker/handler.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* As long as the worker: processes may have them until then. */
struct node_setup {
    struct node_setup *next;
    struct work_facet_setup *setup;
    struct rt_faceted faceted;
};

const struct plex_behaviour *
node_faceted(struct work_node *node, const struct reg_actor_type *type,
             const struct plex_behaviour *behaviour, struct plex_err *err)
{
    struct work_facet_setup *setup = NULL;
    struct node_setup *kept;

    if (type->n_facets == 0)
        return behaviour;
    if (node->config.facets_setup(node->config.arg, type, &setup, err) !=
        PLEX_OK)
        return NULL;
    if (setup == NULL)
        return behaviour;
    kept = plex_calloc(1, sizeof *kept);
    kept->setup = setup;
    kept->next = node->setups;
    node->setups = kept;
    if (rt_faceted_init(&kept->faceted, behaviour, setup->plan, &setup->types,
                        err) == PLEX_OK)
        return &kept->faceted.is;
    (void)plex_err_wrap(err, "type %s", type->name);
    return NULL;
}

void
node_setups_free(struct work_node *node)
{
    struct node_setup *kept;

    while ((kept = node->setups) != NULL) {
        node->setups = kept->next;
        node->config.facets_free(kept->setup);
        free(kept);
    }
}

size_t
node_facets_suffix(const struct reg_app *app, const struct reg_actor_type *type,
                   char *out, size_t size)
{
    out[0] = '\0';
    if (type == NULL || type->n_facets == 0)
        return 0;
    return (size_t)snprintf(out, size, "?%s/%s/%s/%" PRIu64 "/%s", app->tenant,
                            app->ns, app->name, app->revision, type->name);
}

enum plex_status
node_facets_find(struct work_node *node, const char *path,
                 const struct reg_actor_type **out, struct plex_err *err)
{
    char tenant[65], ns[33], app[65], type[129];
    size_t n = 0;
    const struct reg_app *apps =
        node->catalog == NULL ? NULL : reg_catalog_apps(node->catalog, &n);
    uint64_t revision;

    if (sscanf(path, "%64[^/]/%32[^/]/%64[^/]/%" SCNu64 "/%128[^/]", tenant, ns,
               app, &revision, type) != 5)
        return plex_err_set(err, PLEX_INVALID, "\"%.80s\" names no type", path);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(apps[i].tenant, tenant) != 0 ||
            strcmp(apps[i].ns, ns) != 0 || strcmp(apps[i].name, app) != 0 ||
            apps[i].revision != revision)
            continue;
        for (size_t t = 0; t < apps[i].n_types; t++)
            if (strcmp(apps[i].types[t].name, type) == 0) {
                *out = &apps[i].types[t];
                return PLEX_OK;
            }
    }
    return plex_err_set(err, PLEX_NOT_FOUND, "no type %.80s in the catalogue",
                        path);
}
