/* The catalogue as its readers hold it: immutable, with an index of types. */
#include "services/registry/client.h"
#include "services/registry/tree.h"

#include "common/arena.h"
#include "common/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct type_slot {
    const struct reg_app *app; /* NULL: free */
    const struct reg_actor_type *type;
};
struct reg_catalog {
    unsigned refs;
    uint64_t version;
    struct plex_arena memory;
    struct reg_node *nodes;
    size_t n_nodes;
    struct reg_app *apps;
    size_t n_apps;
    struct type_slot *slots;
    size_t mask;
};

static uint64_t
hash_text(uint64_t hash, const char *text)
{
    /* FNV-1a, the final NUL included so that parts do not run together. */
    do {
        hash = (hash ^ (uint8_t)*text) * 0x100000001b3U;
    } while (*text++ != '\0');
    return hash;
}

static size_t
hash_type(const char *tenant, const char *ns, const char *type)
{
    return (size_t)hash_text(
        hash_text(hash_text(0xcbf29ce484222325U, tenant), ns), type);
}

static const char *
text_copy(struct reg_catalog *catalog, const char *text)
{
    const char *copy;

    if (text == NULL || text[0] == '\0')
        return "";
    copy = plex_arena_strndup(&catalog->memory, text, strlen(text));
    assert(copy != NULL);
    return copy;
}

static void *
array(struct reg_catalog *catalog, size_t count, size_t size)
{
    void *copy = plex_arena_alloc(&catalog->memory, (count + 1) * size);

    assert(copy != NULL);
    memset(copy, 0, (count + 1) * size);
    return copy;
}

static void
nodes_copy(struct reg_catalog *catalog, const struct reg_node *nodes, size_t n)
{
    catalog->nodes = array(catalog, n, sizeof *nodes);
    catalog->n_nodes = n;
    for (size_t i = 0; i < n; i++) {
        struct reg_node *node = &catalog->nodes[i];

        *node = nodes[i];
        node->node_id = text_copy(catalog, nodes[i].node_id);
        node->kind = text_copy(catalog, nodes[i].kind);
        node->url = text_copy(catalog, nodes[i].url);
        node->admin_addr = text_copy(catalog, nodes[i].admin_addr);
        node->version = text_copy(catalog, nodes[i].version);
        node->reason = text_copy(catalog, nodes[i].reason);
        node->store = text_copy(catalog, nodes[i].store);
    }
}

static const struct reg_facet *
facets_copy(struct reg_catalog *catalog, const struct reg_facet *from, size_t n)
{
    struct reg_facet *facets = array(catalog, n, sizeof *facets);

    for (size_t i = 0; i < n; i++) {
        struct reg_pair *pairs =
            array(catalog, from[i].n_config, sizeof *pairs);

        for (size_t p = 0; p < from[i].n_config; p++) {
            pairs[p].key = text_copy(catalog, from[i].config[p].key);
            pairs[p].value = text_copy(catalog, from[i].config[p].value);
        }
        facets[i] = from[i];
        facets[i].type = text_copy(catalog, from[i].type);
        facets[i].config = pairs;
    }
    return facets;
}

static void
types_copy(struct reg_catalog *catalog, struct reg_app *app,
           const struct reg_actor_type *types)
{
    struct reg_actor_type *copy = array(catalog, app->n_types, sizeof *copy);

    for (size_t i = 0; i < app->n_types; i++) {
        copy[i] = types[i];
        copy[i].name = text_copy(catalog, types[i].name);
        copy[i].module = text_copy(catalog, types[i].module);
        copy[i].behaviour = text_copy(catalog, types[i].behaviour);
        copy[i].pool = text_copy(catalog, types[i].pool);
        copy[i].facets =
            facets_copy(catalog, types[i].facets, types[i].n_facets);
    }
    app->types = copy;
}

static size_t
apps_copy(struct reg_catalog *catalog, const struct reg_app *apps, size_t n)
{
    size_t n_types = 0;

    catalog->apps = array(catalog, n, sizeof *apps);
    catalog->n_apps = n;
    for (size_t i = 0; i < n; i++) {
        struct reg_app *app = &catalog->apps[i];

        *app = apps[i];
        app->tenant = text_copy(catalog, apps[i].tenant);
        app->ns = text_copy(catalog, apps[i].ns);
        app->name = text_copy(catalog, apps[i].name);
        app->version = text_copy(catalog, apps[i].version);
        app->description = text_copy(catalog, apps[i].description);
        types_copy(catalog, app, apps[i].types);
        app->supervisor = reg_tree_copy(&catalog->memory, apps[i].supervisor);
        app->root.node_id = text_copy(catalog, apps[i].root.node_id);
        n_types += app->n_types;
    }
    return n_types;
}

static struct type_slot *
slot_find(const struct reg_catalog *catalog, const char *tenant, const char *ns,
          const char *type)
{
    size_t at = hash_type(tenant, ns, type) & catalog->mask;

    for (;; at = (at + 1) & catalog->mask) {
        struct type_slot *slot = &catalog->slots[at];

        if (slot->app == NULL || (strcmp(slot->type->name, type) == 0 &&
                                  strcmp(slot->app->ns, ns) == 0 &&
                                  strcmp(slot->app->tenant, tenant) == 0))
            return slot;
    }
}

static void
types_index(struct reg_catalog *catalog, size_t n_types)
{
    size_t size = 16;

    while (size < n_types * 2)
        size *= 2;
    catalog->mask = size - 1;
    catalog->slots = array(catalog, size, sizeof *catalog->slots);
    for (size_t i = 0; i < catalog->n_apps; i++) {
        const struct reg_app *app = &catalog->apps[i];

        for (size_t t = 0; t < app->n_types; t++)
            *slot_find(catalog, app->tenant, app->ns, app->types[t].name) =
                (struct type_slot){app, &app->types[t]};
    }
}

struct reg_catalog *
reg_catalog_make(uint64_t version, const struct reg_node *nodes, size_t n_nodes,
                 const struct reg_app *apps, size_t n_apps)
{
    struct reg_catalog *catalog = plex_calloc(1, sizeof *catalog);

    catalog->refs = 1;
    catalog->version = version;
    /* What is copied has already met its limits. */
    plex_arena_init(&catalog->memory, SIZE_MAX / 2);
    nodes_copy(catalog, nodes, n_nodes);
    types_index(catalog, apps_copy(catalog, apps, n_apps));
    return catalog;
}

struct reg_catalog *
reg_catalog_ref(struct reg_catalog *catalog)
{
    assert(catalog->refs > 0);
    catalog->refs++;
    return catalog;
}

void
reg_catalog_unref(struct reg_catalog *catalog)
{
    if (catalog == NULL)
        return;
    assert(catalog->refs > 0);
    if (--catalog->refs > 0)
        return;
    plex_arena_fini(&catalog->memory);
    free(catalog);
}

uint64_t
reg_catalog_version(const struct reg_catalog *catalog)
{
    return catalog->version;
}

const struct reg_node *
reg_catalog_nodes(const struct reg_catalog *catalog, size_t *n)
{
    *n = catalog->n_nodes;
    return catalog->nodes;
}

const struct reg_app *
reg_catalog_apps(const struct reg_catalog *catalog, size_t *n)
{
    *n = catalog->n_apps;
    return catalog->apps;
}

const struct reg_actor_type *
reg_catalog_type(const struct reg_catalog *catalog, const char *tenant,
                 const char *ns, const char *type, const struct reg_app **app)
{
    const struct type_slot *slot = slot_find(catalog, tenant, ns, type);

    if (app != NULL)
        *app = slot->app;
    return slot->app == NULL ? NULL : slot->type;
}

const struct reg_node *
reg_catalog_service(const struct reg_catalog *catalog, const char *kind)
{
    const struct reg_node *starting = NULL;

    for (size_t i = 0; i < catalog->n_nodes; i++) {
        const struct reg_node *node = &catalog->nodes[i];

        if (strcmp(node->kind, kind) != 0)
            continue;
        if (node->status == REG_NODE_READY)
            return node;
        if (node->status == REG_NODE_STARTING && starting == NULL)
            starting = node;
    }
    return starting;
}

size_t
reg_catalog_replicas(const struct reg_catalog *catalog, const char *kind,
                     const struct reg_node **out, size_t max)
{
    const struct reg_node *first = reg_catalog_service(catalog, kind);
    size_t n = 0;

    if (first == NULL || max == 0)
        return 0;
    out[n++] = first;
    if (first->status != REG_NODE_READY || first->store[0] == '\0')
        return n;
    /* The first READY one is what was found: the others come after it. */
    for (const struct reg_node *node = first + 1;
         node < catalog->nodes + catalog->n_nodes && n < max; node++)
        if (node->status == REG_NODE_READY && strcmp(node->kind, kind) == 0 &&
            strcmp(node->store, first->store) == 0)
            out[n++] = node;
    return n;
}
