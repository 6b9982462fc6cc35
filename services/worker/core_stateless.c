/*
 * Types without state of their own: any worker runs them, in as many
 * activations as work asks for. They are actors of a shard that is always
 * ours, named after the worker and a number.
 */
#include "common/mem.h"
#include "common/spread.h"
#include "services/worker/core_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct type *
work_stateless_type(const struct work_core *core,
                    const struct plex_actor_id *actor)
{
    struct type *type;

    if (core->n_stateless == 0)
        return NULL;
    type = work_type_find(core, actor->tenant, actor->ns, actor->type);
    return type != NULL && type->info.max_local > 0 ? type : NULL;
}

bool
work_core_stateless(const struct work_core *core,
                    const struct plex_actor_id *actor)
{
    return work_stateless_type(core, actor) != NULL;
}

void
work_core_drain(struct work_core *core, struct work_time t)
{
    core->t = t;
    core->draining = true;
}

/* "NODE~3" */
static void
name_of(const struct work_core *core, size_t at, char out[PLEX_KEY_MAX + 1])
{
    (void)snprintf(out, PLEX_KEY_MAX + 1, "%s~%zu", core->node_id, at);
}

/* The one with exactly that name, which others know from its messages. */
static struct actor *
named(const struct type *type, const char *key)
{
    for (size_t i = 0; i < type->n_locals; i++)
        if (type->locals[i] != NULL &&
            strcmp(type->locals[i]->id.key, key) == 0)
            return type->locals[i];
    return NULL;
}

static uint32_t
load_of(const struct actor *actor)
{
    const size_t load =
        actor->mailbox_n + actor->unreleased_n + (actor->running != NULL);

    return load < PLEX_SPREAD_NOT ? (uint32_t)load : PLEX_SPREAD_NOT - 1;
}

/* Loads of those in memory; of the idle ones only when there are any. The
 * place of one that is not there is *vacant, n when all are. */
static void
loads_take(const struct type *type, uint32_t *loads, size_t *vacant)
{
    const size_t n = type->info.max_local;
    bool idle = false;

    *vacant = n;
    for (size_t i = 0; i < n; i++) {
        const struct actor *actor = type->locals[i];

        loads[i] = actor == NULL || actor->state == ACTOR_COLD ? PLEX_SPREAD_NOT
                                                               : load_of(actor);
        idle = idle || loads[i] == 0;
        if (loads[i] == PLEX_SPREAD_NOT && i < *vacant)
            *vacant = i;
    }
    for (size_t i = 0; idle && i < n; i++)
        if (loads[i] != 0)
            loads[i] = PLEX_SPREAD_NOT;
    if (idle)
        *vacant = n;
}

static struct actor *
local_make(struct work_core *core, struct type *type, size_t at)
{
    char key[PLEX_KEY_MAX + 1];
    const struct plex_actor_id id = {type->info.tenant, type->info.ns,
                                     type->info.name, key};
    struct actor *actor = type->locals[at];

    if (actor != NULL)
        return actor;
    name_of(core, at, key);
    actor = work_actor_local(core, &id);
    actor->type = type;
    TAILQ_INSERT_TAIL(&type->actors, actor, of_type);
    type->locals[at] = actor;
    return actor;
}

/* The same request is under way in one of them. */
static struct actor *
under_way(struct work_core *core, const struct type *type,
          const struct work_message *message)
{
    if (!message->keyed || message->id.len == 0)
        return NULL;
    for (size_t i = 0; i < type->n_locals; i++)
        if (type->locals[i] != NULL &&
            work_id_find(core, type->locals[i], message->id, NULL) != NULL)
            return type->locals[i];
    return NULL;
}

static uint64_t
random_next(struct work_core *core)
{
    uint64_t value =
        core->config.hash_seed + ++core->tokens * UINT64_C(0x9e3779b97f4a7c15);

    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

static struct actor *
pick(struct work_core *core, struct type *type,
     const struct work_message *message)
{
    struct actor *actor = named(type, message->to.key);
    const size_t n = type->info.max_local;
    uint32_t *loads;
    size_t at, vacant;

    if (actor == NULL)
        actor = under_way(core, type, message);
    if (actor != NULL)
        return actor;
    loads = plex_reallocarray(NULL, n, sizeof *loads);
    loads_take(type, loads, &vacant);
    at = vacant < n ? vacant
                    : plex_spread_pick(type->info.route, loads, n,
                                       &type->last_local, random_next(core));
    if (at != vacant && loads[at] >= type->info.mailbox_max)
        at = plex_spread_pick(PLEX_SPREAD_LEAST_LOADED, loads, n,
                              &type->last_local, 0);
    free(loads);
    return local_make(core, type, at);
}

/* What may only go to the one that is named. */
static bool
is_personal(const struct item *item)
{
    return item->from != NULL || item->message.kind == WORK_REPLY ||
           item->message.kind == WORK_TIMER ||
           item->message.kind == WORK_DEACTIVATE ||
           item->message.kind == WORK_FACETS ||
           item->message.kind == WORK_RESOLVE;
}

struct actor *
work_stateless_actor(struct work_core *core, struct item *item,
                     struct type *type, const struct plex_actor_id *to)
{
    const char *text = "";
    enum plex_status status = work_type_check(type, &text);
    struct actor *actor = NULL;

    if (status == PLEX_OK && core->shards == NULL) {
        status = PLEX_UNAVAILABLE;
        text = "the worker is starting";
    } else if (status == PLEX_OK && is_personal(item)) {
        actor = named(type, to->key);
        if (actor == NULL) {
            status = PLEX_NOT_FOUND;
            text = "the type is stateless: only an activation has a name, and "
                   "there is none of this one here";
        }
    } else if (status == PLEX_OK && core->draining) {
        status = PLEX_UNAVAILABLE;
        text = "the worker is draining";
    }
    if (status != PLEX_OK) {
        work_item_finish(core, item, status, text);
        return NULL;
    }
    return actor != NULL ? actor : pick(core, type, &item->message);
}

/* -- the type ---------------------------------------------------------------
 */

void
work_stateless_room(struct type *type)
{
    const size_t n = type->info.max_local;

    if (n <= type->n_locals)
        return; /* what is above the new bound goes when it is idle */
    type->locals = plex_reallocarray(type->locals, n, sizeof(struct actor *));
    memset(&type->locals[type->n_locals], 0,
           (n - type->n_locals) * sizeof(struct actor *));
    type->n_locals = n;
}

void
work_stateless_forget(struct actor *actor)
{
    struct type *type = actor->type;

    for (size_t i = 0; type != NULL && i < type->n_locals; i++)
        if (type->locals[i] == actor)
            type->locals[i] = NULL;
}

const char *
work_stateless_owner(const struct work_core *core)
{
    size_t others = 0, at;

    if (!core->draining)
        return "";
    for (size_t i = 0; i < core->n_urls; i++)
        others += (int32_t)i != core->self;
    if (others == 0)
        return NULL;
    at = (size_t)(core->tokens % others);
    for (size_t i = 0; i < core->n_urls; i++)
        if ((int32_t)i != core->self && at-- == 0)
            return core->urls[i];
    return NULL;
}

void
work_stateless_stats(const struct work_core *core, struct work_core_stats *out)
{
    const struct type *type;

    TAILQ_FOREACH(type, &core->types, link)
    for (size_t i = 0; i < type->n_locals; i++) {
        const struct actor *actor = type->locals[i];

        if (actor == NULL || actor->state == ACTOR_COLD)
            continue;
        out->stateless++;
        out->stateless_waiting += actor->mailbox_n;
    }
}
