/* The facets that manifests declare, made ready for turns. */
#include "common/mem.h"
#include "services/worker/shell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* What the suite does itself to the type, not as links of its chain. */
static bool
is_link(const struct reg_facet *facet)
{
    return strcmp(facet->type, "durability") != 0 &&
           strcmp(facet->type, "reminder") != 0;
}

static uint64_t
text_digest(uint64_t digest, const char *text)
{
    return XXH3_64bits_withSeed(text, strlen(text) + 1, digest);
}

uint64_t
work_facets_digest(const struct reg_actor_type *type)
{
    uint64_t digest = 0;

    for (size_t i = 0; i < type->n_facets; i++) {
        const struct reg_facet *facet = &type->facets[i];

        digest = text_digest(digest + facet->priority, facet->type);
        for (size_t p = 0; p < facet->n_config; p++) {
            digest = text_digest(digest, facet->config[p].key);
            digest = text_digest(digest, facet->config[p].value);
        }
    }
    return digest;
}

/* The tables of the modules whose facets are named; `out` has room for all. */
static enum plex_status
modules_find(struct work_state *state, const struct reg_actor_type *type,
             struct rt_facet_module *out, size_t *n, struct plex_err *err)
{
    for (size_t i = 0; i < type->n_facets; i++) {
        const char *slash = strchr(type->facets[i].type, '/');
        char *name;

        if (slash == NULL)
            continue;
        name = plex_strdup(type->facets[i].type);
        name[slash - type->facets[i].type] = '\0';
        out[*n].module = name;
        (*n)++;
        if (work_modules_facets(state->modules, name, &out[*n - 1].types,
                                err) != PLEX_OK)
            return err->status;
    }
    return PLEX_OK;
}

/* Those of the type's own module may be attached while its actors run. */
static void
module_own(struct work_state *state, const struct reg_actor_type *type,
           struct rt_facet_module *out, size_t *n)
{
    struct plex_err err;

    for (size_t i = 0; i < *n; i++)
        if (strcmp(out[i].module, type->module) == 0)
            return;
    if (work_modules_facets(state->modules, type->module, &out[*n].types,
                            &err) == PLEX_OK)
        out[(*n)++].module = plex_strdup(type->module);
}

static enum plex_status
plan_make(const struct reg_actor_type *type, struct work_facet_setup *setup,
          struct plex_err *err)
{
    struct rt_facet_spec specs[RT_FACETS_MAX];
    struct plex_facet_pair *pairs;
    struct rt_facet_plan *plan = NULL;
    size_t n = 0, n_pairs = 0;

    for (size_t i = 0; i < type->n_facets; i++)
        n_pairs += type->facets[i].n_config;
    pairs = plex_calloc(n_pairs + 1, sizeof *pairs);
    n_pairs = 0;
    for (size_t i = 0; i < type->n_facets && n < RT_FACETS_MAX; i++) {
        const struct reg_facet *facet = &type->facets[i];

        if (!is_link(facet))
            continue;
        specs[n++] = (struct rt_facet_spec){facet->type, facet->priority,
                                            &pairs[n_pairs], facet->n_config};
        for (size_t p = 0; p < facet->n_config; p++)
            pairs[n_pairs++] = (struct plex_facet_pair){facet->config[p].key,
                                                        facet->config[p].value};
    }
    err->status = rt_facet_plan_create(&setup->types, specs, n, &plan, err);
    setup->plan = plan;
    free(pairs);
    return err->status;
}

enum plex_status
work_facets_setup(struct work_state *state, const struct reg_actor_type *type,
                  struct work_facet_setup **out, struct plex_err *err)
{
    struct work_facet_setup *setup = plex_calloc(1, sizeof *setup);
    struct rt_facet_module *modules =
        plex_calloc(type->n_facets + 1, sizeof *modules);
    size_t links = 0;

    *out = NULL;
    /* One that only says how the actor is activated needs no chain. */
    for (size_t i = 0; i < type->n_facets; i++)
        links += is_link(&type->facets[i]) &&
                 strcmp(type->facets[i].type, "virtual_actor") != 0;
    setup->types.modules = modules;
    setup->act = work_facet_sink_act;
    setup->arg = state->facets;
    if (modules_find(state, type, modules, &setup->types.n_modules, err) !=
            PLEX_OK ||
        (links > 0 && plan_make(type, setup, err) != PLEX_OK)) {
        work_facets_free(setup);
        return plex_err_wrap(err, "facets");
    }
    module_own(state, type, modules, &setup->types.n_modules);
    *out = setup;
    return PLEX_OK;
}

void
work_facets_free(struct work_facet_setup *setup)
{
    if (setup == NULL)
        return;
    rt_facet_plan_free((struct rt_facet_plan *)(uintptr_t)setup->plan);
    for (size_t i = 0; i < setup->types.n_modules; i++)
        free((char *)(uintptr_t)setup->types.modules[i].module);
    free((struct rt_facet_module *)(uintptr_t)setup->types.modules);
    free(setup);
}
