/* The catalogue as services/registry/client.h promises it, in the simplest
 * form: the gateway's unit tests need no other service. */
#include "common/mem.h"
#include "services/registry/client.h"

#include <stdlib.h>
#include <string.h>

struct reg_catalog {
    unsigned refs;
    uint64_t version;
    const struct reg_node *nodes;
    size_t n_nodes;
    const struct reg_app *apps;
    size_t n_apps;
};

struct reg_catalog *
reg_catalog_make(uint64_t version, const struct reg_node *nodes,
                 size_t n_nodes, const struct reg_app *apps, size_t n_apps)
{
    struct reg_catalog *c = plex_calloc(1, sizeof *c);

    *c = (struct reg_catalog){1, version, nodes, n_nodes, apps, n_apps};
    return c;
}

struct reg_catalog *
reg_catalog_ref(struct reg_catalog *catalog)
{
    catalog->refs++;
    return catalog;
}

void
reg_catalog_unref(struct reg_catalog *catalog)
{
    if (catalog != NULL && --catalog->refs == 0)
        free(catalog);
}

const struct reg_actor_type *
reg_catalog_type(const struct reg_catalog *catalog, const char *tenant,
                 const char *ns, const char *type, const struct reg_app **app)
{
    for (size_t i = 0; i < catalog->n_apps; i++) {
        const struct reg_app *a = &catalog->apps[i];

        if (strcmp(a->tenant, tenant) != 0 || strcmp(a->ns, ns) != 0)
            continue;
        for (size_t j = 0; j < a->n_types; j++)
            if (strcmp(a->types[j].name, type) == 0) {
                if (app != NULL)
                    *app = a;
                return &a->types[j];
            }
    }
    return NULL;
}
