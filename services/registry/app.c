/* Applications as objects: deep copies and comparison. app_check.c says which
 * are acceptable. */
#include "services/registry/core_private.h"
#include "services/registry/tree.h"

#include "common/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct reg_app_rec *
reg_app_rec_ref(struct reg_app_rec *rec)
{
    assert(rec->refs > 0);
    rec->refs++;
    return rec;
}

void
reg_app_rec_unref(struct reg_app_rec *rec)
{
    if (rec == NULL)
        return;
    assert(rec->refs > 0);
    if (--rec->refs > 0)
        return;
    plex_arena_fini(rec->memory);
    free(rec->memory);
    free(rec);
}

/* What is copied has met its limits before. */
static void *
array(struct plex_arena *memory, size_t count, size_t size)
{
    void *copy = plex_arena_alloc(memory, (count + 1) * size);

    assert(copy != NULL);
    memset(copy, 0, (count + 1) * size);
    return copy;
}

static const char *
text(struct plex_arena *memory, const char *from)
{
    const char *copy = "";

    if (from != NULL && from[0] != '\0')
        copy = plex_arena_strndup(memory, from, strlen(from));
    assert(copy != NULL);
    return copy;
}

static int
by_key(const void *left, const void *right)
{
    return strcmp(((const struct reg_pair *)left)->key,
                  ((const struct reg_pair *)right)->key);
}

static const struct reg_facet *
facets_copy(struct plex_arena *memory, const struct reg_type_extra *from)
{
    struct reg_facet *facets = array(memory, from->n_facets, sizeof *facets);

    for (size_t i = 0; i < from->n_facets; i++) {
        const struct reg_facet *facet = &from->facets[i];
        struct reg_pair *pairs = array(memory, facet->n_config, sizeof *pairs);

        for (size_t p = 0; p < facet->n_config; p++) {
            pairs[p].key = text(memory, facet->config[p].key);
            pairs[p].value = text(memory, facet->config[p].value);
        }
        /* Maps have no order; a fixed one makes equal things look equal. */
        qsort(pairs, facet->n_config, sizeof *pairs, by_key);
        facets[i] = *facet;
        facets[i].type = text(memory, facet->type);
        facets[i].config = pairs;
    }
    return facets;
}

static void
types_copy(struct plex_arena *memory, struct reg_app_full *to,
           const struct reg_app_full *from)
{
    const size_t n = from->app.n_types;
    struct reg_actor_type *types = array(memory, n, sizeof *types);
    struct reg_type_extra *extras = array(memory, n, sizeof *extras);

    for (size_t i = 0; i < n; i++) {
        types[i] = from->app.types[i];
        types[i].name = text(memory, types[i].name);
        types[i].module = text(memory, types[i].module);
        types[i].behaviour = text(memory, types[i].behaviour);
        types[i].pool = text(memory, types[i].pool);
        types[i].facets = NULL;
        types[i].n_facets = 0;
        if (from->extras == NULL)
            continue;
        extras[i] = from->extras[i];
        extras[i].facets = facets_copy(memory, &from->extras[i]);
        types[i].facets = extras[i].facets;
        types[i].n_facets = extras[i].n_facets;
    }
    to->app.types = types;
    to->extras = extras;
}

struct reg_app_rec *
reg_app_copy(const struct reg_app_full *in)
{
    struct reg_app_rec *rec = plex_calloc(1, sizeof *rec);

    rec->refs = 1;
    rec->memory = plex_calloc(1, sizeof *rec->memory);
    plex_arena_init(rec->memory, SIZE_MAX / 2);
    rec->full.app = in->app;
    rec->full.app.tenant = text(rec->memory, in->app.tenant);
    rec->full.app.ns = text(rec->memory, in->app.ns);
    rec->full.app.name = text(rec->memory, in->app.name);
    rec->full.app.version = text(rec->memory, in->app.version);
    rec->full.app.description = text(rec->memory, in->app.description);
    types_copy(rec->memory, &rec->full, in);
    rec->full.app.supervisor = reg_tree_copy(rec->memory, in->app.supervisor);
    rec->full.app.root = (struct reg_root){.node_id = ""};
    return rec;
}

/* -- comparison ------------------------------------------------------------ */

static bool
extra_same(const struct reg_type_extra *a, const struct reg_type_extra *b)
{
    if (a->n_facets != b->n_facets || a->memory_bytes != b->memory_bytes ||
        a->cpu_cores < b->cpu_cores || a->cpu_cores > b->cpu_cores)
        return false;
    for (size_t i = 0; i < a->n_facets; i++) {
        const struct reg_facet *x = &a->facets[i], *y = &b->facets[i];

        if (strcmp(x->type, y->type) != 0 || x->priority != y->priority ||
            x->n_config != y->n_config)
            return false;
        for (size_t p = 0; p < x->n_config; p++)
            if (strcmp(x->config[p].key, y->config[p].key) != 0 ||
                strcmp(x->config[p].value, y->config[p].value) != 0)
                return false;
    }
    return true;
}

static bool
type_same(const struct reg_actor_type *a, const struct reg_actor_type *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->module, b->module) == 0 &&
           strcmp(a->behaviour, b->behaviour) == 0 &&
           a->is_virtual == b->is_virtual && a->durable == b->durable &&
           a->idle_timeout_ms == b->idle_timeout_ms &&
           a->mailbox_max == b->mailbox_max && a->stateless == b->stateless &&
           a->max_local == b->max_local && a->route == b->route &&
           a->snapshot_every == b->snapshot_every &&
           strcmp(a->pool, b->pool) == 0;
}

bool
reg_app_same(const struct reg_app_rec *a, const struct reg_app_rec *b)
{
    const struct reg_app *x = &a->full.app, *y = &b->full.app;

    if (strcmp(x->tenant, y->tenant) != 0 || strcmp(x->ns, y->ns) != 0 ||
        strcmp(x->name, y->name) != 0 || strcmp(x->version, y->version) != 0 ||
        strcmp(x->description, y->description) != 0 || x->n_types != y->n_types)
        return false;
    for (size_t i = 0; i < x->n_types; i++)
        if (!type_same(&x->types[i], &y->types[i]) ||
            !extra_same(&a->full.extras[i], &b->full.extras[i]))
            return false;
    return reg_tree_same(x->supervisor, y->supervisor);
}
