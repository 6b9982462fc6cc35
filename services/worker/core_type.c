/* What is deployed, as the catalogue says. */
#include "services/worker/core_private.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

static uint64_t
type_hash(const struct work_core *core, const char *tenant, const char *ns,
          const char *name)
{
    uint64_t hash = core->config.hash_seed;

    hash = XXH3_64bits_withSeed(tenant, strlen(tenant), hash);
    hash = XXH3_64bits_withSeed(ns, strlen(ns), hash);
    return XXH3_64bits_withSeed(name, strlen(name), hash);
}

struct type *
work_type_find(const struct work_core *core, const char *tenant, const char *ns,
               const char *name)
{
    struct hnode *node = work_htab_first(&core->types_by_name,
                                         type_hash(core, tenant, ns, name));

    for (; node != NULL; node = work_htab_next(node)) {
        struct type *type = plex_container_of(node, struct type, node);

        if (strcmp(type->info.name, name) == 0 &&
            strcmp(type->info.ns, ns) == 0 &&
            strcmp(type->info.tenant, tenant) == 0)
            return type;
    }
    return NULL;
}

enum plex_status
work_type_check(const struct type *type, const char **text)
{
    if (type == NULL) {
        /* The gateway has checked its own catalogue: ours may be older. */
        *text = "the actor type is not known to this worker yet";
        return PLEX_UNAVAILABLE;
    }
    if (type->gone) {
        *text = "the actor type is not deployed any more";
        return PLEX_NOT_FOUND;
    }
    if (type->info.state == WORK_TYPE_STOPPED) {
        *text = "application stopped";
        return PLEX_UNAVAILABLE;
    }
    if (type->info.broken != NULL) {
        *text = type->info.broken;
        return PLEX_NOT_FOUND;
    }
    return PLEX_OK;
}

static void
info_free(struct work_type *info)
{
    free((char *)(uintptr_t)info->tenant);
    free((char *)(uintptr_t)info->ns);
    free((char *)(uintptr_t)info->name);
    free((char *)(uintptr_t)info->broken);
}

static void
info_copy(struct work_type *out, const struct work_type *in)
{
    *out = *in;
    out->tenant = plex_strdup(in->tenant);
    out->ns = plex_strdup(in->ns);
    out->name = plex_strdup(in->name);
    out->broken = in->broken == NULL ? NULL : plex_strdup(in->broken);
}

static struct type *
type_add(struct work_core *core, const struct work_type *info)
{
    struct type *type = plex_calloc(1, sizeof *type);

    info_copy(&type->info, info);
    TAILQ_INIT(&type->actors);
    TAILQ_INIT(&type->idle);
    TAILQ_INSERT_TAIL(&core->types, type, link);
    work_htab_put(&core->types_by_name, &type->node,
                  type_hash(core, info->tenant, info->ns, info->name));
    return type;
}

/* Every activation of the type goes. The texts of work_type_check are literals
 * or belong to the type, which stays. */
static void
type_drop(struct work_core *core, struct type *type)
{
    const char *text = "";
    const enum plex_status status = work_type_check(type, &text);
    struct actor *actor, *next;

    for (actor = TAILQ_FIRST(&type->actors); actor != NULL; actor = next) {
        next = TAILQ_NEXT(actor, of_type);
        if (actor->state != ACTOR_COLD)
            work_actor_drop(core, actor, status == PLEX_OK, status, text);
    }
}

static void
type_update(struct work_core *core, struct type *type,
            const struct work_type *info)
{
    const struct work_type old = type->info;
    const bool other = old.user != info->user || old.durable != info->durable ||
                       old.schema_version != info->schema_version ||
                       old.has_activated != info->has_activated;
    const bool stops = info->state != WORK_TYPE_RUNNING || info->broken != NULL;

    info_copy(&type->info, info);
    type->gone = false;
    if (other || stops)
        type_drop(core, type);
    info_free(&(struct work_type){.tenant = old.tenant,
                                  .ns = old.ns,
                                  .name = old.name,
                                  .broken = old.broken});
}

void
work_core_types(struct work_core *core, struct work_time t,
                const struct work_type *types, size_t n)
{
    struct type *type;

    core->t = t;
    TAILQ_FOREACH(type, &core->types, link)
    type->seen = false;
    for (size_t i = 0; i < n; i++) {
        type =
            work_type_find(core, types[i].tenant, types[i].ns, types[i].name);
        if (type == NULL)
            type = type_add(core, &types[i]);
        else
            type_update(core, type, &types[i]);
        type->seen = true;
    }
    TAILQ_FOREACH(type, &core->types, link)
    {
        if (type->seen || type->gone)
            continue;
        type->gone = true;
        type_drop(core, type);
    }
}

void
work_types_free(struct work_core *core)
{
    struct type *type;

    while ((type = TAILQ_FIRST(&core->types)) != NULL) {
        TAILQ_REMOVE(&core->types, type, link);
        info_free(&type->info);
        free(type);
    }
    work_htab_fini(&core->types_by_name);
}
