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
    free((char *)(uintptr_t)info->warm_keys);
}

static void
info_copy(struct work_type *out, const struct work_type *in)
{
    *out = *in;
    out->tenant = plex_strdup(in->tenant);
    out->ns = plex_strdup(in->ns);
    out->name = plex_strdup(in->name);
    out->broken = in->broken == NULL ? NULL : plex_strdup(in->broken);
    out->warm_keys = in->warm_keys == NULL ? NULL : plex_strdup(in->warm_keys);
}

static struct type *
type_add(struct work_core *core, const struct work_type *info)
{
    struct type *type = plex_calloc(1, sizeof *type);

    info_copy(&type->info, info);
    TAILQ_INIT(&type->actors);
    TAILQ_INIT(&type->idle);
    type->last_local = SIZE_MAX;
    work_stateless_room(type);
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
        const bool stays =
            work_actor_is_local(core, actor) == (type->info.max_local > 0);

        next = TAILQ_NEXT(actor, of_type);
        if (actor->state == ACTOR_COLD)
            continue;
        if (status == PLEX_OK && !stays)
            work_actor_drop(core, actor, false, PLEX_UNAVAILABLE,
                            "the type is another one now");
        else
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
                       old.has_activated != info->has_activated ||
                       old.persist != info->persist ||
                       (old.max_local > 0) != (info->max_local > 0);
    const bool stops = info->state != WORK_TYPE_RUNNING || info->broken != NULL;

    info_copy(&type->info, info);
    type->gone = false;
    work_room_changed(core, type, &old.needs);
    work_stateless_room(type);
    if (other || stops)
        type_drop(core, type);
    info_free(&(struct work_type){.tenant = old.tenant,
                                  .ns = old.ns,
                                  .name = old.name,
                                  .broken = old.broken,
                                  .warm_keys = old.warm_keys});
}

void
work_core_types(struct work_core *core, struct work_time t,
                const struct work_type *types, size_t n)
{
    struct type *type;

    core->t = t;
    core->warms = false;
    core->n_stateless = 0;
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
        core->warms |= types[i].warm_keys != NULL;
        core->n_stateless += types[i].max_local > 0;
    }
    TAILQ_FOREACH(type, &core->types, link)
    {
        if (type->seen || type->gone)
            continue;
        type->gone = true;
        type_drop(core, type);
    }
    work_types_warm_soon(core);
}

/* -- making room ----------------------------------------------------------- */

struct actor *
work_type_victim(const struct type *type)
{
    struct actor *victim = TAILQ_FIRST(&type->idle), *actor = victim;

    if (!type->info.evict_largest)
        return victim;
    for (int i = 0; i < WORK_EVICT_LOOK && actor != NULL; i++) {
        if (actor->data_len > victim->data_len)
            victim = actor;
        actor = TAILQ_NEXT(actor, idle);
    }
    return victim;
}

bool
work_type_admits(struct work_core *core, struct type *type)
{
    struct actor *victim;

    if (type->info.max_active == 0 || type->active < type->info.max_active)
        return true;
    victim = work_type_victim(type);
    if (victim == NULL)
        return false;
    core->stats.evicted_total++;
    work_actor_leave(core, victim);
    return true;
}

/* Between inputs: nobody holds on to an actor then. */
void
work_types_shrink(struct work_core *core)
{
    struct actor *victim;
    struct type *type;

    if (!core->over_memory)
        return;
    core->over_memory = false;
    TAILQ_FOREACH(type, &core->types, link)
    while (type->info.memory_max > 0 && type->bytes > type->info.memory_max &&
           (victim = work_type_victim(type)) != NULL) {
        core->stats.evicted_total++;
        work_actor_leave(core, victim);
    }
}

/* -- actors that are in memory before anybody asks ------------------------- */

void
work_types_warm_soon(struct work_core *core)
{
    if (core->warms)
        core->warm_next = core->t.now_ns;
}

/* False: it should be tried again. */
static bool
warm(struct work_core *core, const struct type *type, const char *key)
{
    const struct plex_actor_id id = {type->info.tenant, type->info.ns,
                                     type->info.name, key};
    const struct work_message message = {
        .to = id,
        .kind = WORK_ACTIVATE,
        .method = "",
        .path = "",
        .subpath = "",
        .query = "",
        .content_type = "",
        .sender = "",
        .timer = "",
    };
    const uint64_t hash = plex_actor_hash(&id);
    const struct shard *shard =
        work_shard_get(core, plex_shard_of(hash, core->shard_bits));
    struct actor *actor = work_actor_find(core, &id, hash);
    struct plex_err err;

    if (plex_name_key(key, strlen(key), &err) != PLEX_OK || shard == NULL ||
        shard->state != SHARD_SERVING)
        return true; /* whoever serves it does this */
    if (actor == NULL || actor->state == ACTOR_COLD)
        work_item_deliver(
            core, work_item_make(core, &plex_context_none, &message), &id);
    actor = work_actor_find(core, &id, hash);
    if (actor == NULL || actor->state == ACTOR_COLD)
        return false;
    actor->pinned = type->info.pinned;
    work_actor_settle_down(core, actor);
    return true;
}

static bool
type_warm(struct work_core *core, const struct type *type)
{
    char *keys = plex_strdup(type->info.warm_keys), *rest = keys;
    bool all = true;
    char *key, *end;

    while ((key = strsep(&rest, ",")) != NULL) {
        key += strspn(key, " ");
        for (end = key + strlen(key); end > key && end[-1] == ' '; end--)
            end[-1] = '\0';
        if (key[0] != '\0' && !warm(core, type, key))
            all = false;
    }
    free(keys);
    return all;
}

void
work_types_warm(struct work_core *core)
{
    const uint64_t again_ns = 1000 * WORK_MS;
    const char *text = "";
    struct type *type;

    if (core->t.now_ns < core->warm_next)
        return;
    core->warm_next = UINT64_MAX;
    TAILQ_FOREACH(type, &core->types, link)
    if (type->info.warm_keys != NULL && !type->gone &&
        work_type_check(type, &text) == PLEX_OK && !type_warm(core, type))
        core->warm_next = core->t.now_ns + again_ns;
}

void
work_types_free(struct work_core *core)
{
    struct type *type;

    while ((type = TAILQ_FIRST(&core->types)) != NULL) {
        TAILQ_REMOVE(&core->types, type, link);
        info_free(&type->info);
        free(type->locals);
        free(type);
    }
    work_htab_fini(&core->types_by_name);
}
