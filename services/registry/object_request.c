#include "services/registry/object_private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const type_names[REG_OBJECT_TYPES + 1] = {
    "object", "ACTOR",       "TUPLESPACE", "SERVICE",
    "VM",     "APPLICATION", "WORKFLOW",   "NODE"};

/* -- answers --------------------------------------------------------------- */

static struct reg_object_answer *
answer(struct reg_objects *objects, void *call,
       const struct reg_object_request *request)
{
    struct reg_keep_action *action =
        reg_keep_push(&objects->queue, REG_KEEP_REPLY);
    struct reg_object_answer *out = plex_calloc(1, sizeof *out);

    out->op = request->op;
    action->call = call;
    action->answer = out;
    return out;
}

static void
answer_object(struct reg_objects *objects, void *call,
              const struct reg_object_request *request,
              const struct reg_object_entry *entry, struct reg_when when)
{
    struct reg_object_answer *out = answer(objects, call, request);

    out->objects = plex_calloc(1, sizeof(void *));
    out->objects[out->n_objects++] = reg_object_now(entry, when);
}

static void
refuse_managed(const struct reg_object_entry *entry, struct plex_err *err)
{
    (void)plex_err_set(err, PLEX_CONFLICT,
                       "%s \"%.100s\" is kept by the suite itself",
                       type_names[entry->info->type], entry->info->id);
}

/* The entry of that name, or NULL and why. */
static struct reg_object_entry *
named(const struct reg_objects *objects,
      const struct reg_object_request *request,
      const struct reg_object_name *name, struct plex_err *err)
{
    struct reg_object_entry *found = NULL;
    const uint32_t first = name->type == 0 ? 1 : name->type;
    const uint32_t last = name->type == 0 ? REG_OBJECT_TYPES : name->type;

    for (uint32_t type = first; type <= last; type++) {
        struct reg_object_entry *entry = reg_object_find(
            objects, request->tenant, request->ns, type, name->id);

        if (found != NULL && entry != NULL) {
            (void)plex_err_set(err, PLEX_CONFLICT,
                               "\"%.100s\" is a %s and a %s: say object_type",
                               name->id, type_names[found->info->type],
                               type_names[type]);
            return NULL;
        }
        if (entry != NULL)
            found = entry;
    }
    if (found == NULL)
        (void)plex_err_set(err, PLEX_NOT_FOUND,
                           "no %s \"%.100s\" is registered in namespace "
                           "\"%.64s\"",
                           type_names[name->type], name->id, request->ns);
    return found;
}

/* -- operations ------------------------------------------------------------ */

static enum plex_status
room_check(const struct reg_objects *objects,
           const struct reg_object_entry *entry, const struct reg_object *info,
           struct plex_err *err)
{
    const size_t had = entry == NULL ? 0 : entry->size;

    if (entry == NULL && objects->by_name.n >= objects->config.objects_max)
        return plex_err_set(err, PLEX_LIMIT,
                            "%zu objects are registered, as many as may "
                            "(objects_max)",
                            objects->by_name.n);
    if (objects->bytes - had + reg_object_entry_size(info) >
        objects->config.bytes_max)
        return plex_err_set(err, PLEX_LIMIT,
                            "the registered objects take %" PRIu64
                            " bytes, at most %" PRIu64
                            " are allowed (objects_memory_max_bytes)",
                            objects->bytes, objects->config.bytes_max);
    return PLEX_OK;
}

static void
object_register(struct reg_objects *objects, void *call,
                const struct reg_object_request *request, struct reg_when when)
{
    struct reg_object info = request->object;
    struct reg_object_entry *entry = reg_object_find(
        objects, request->tenant, request->ns, info.type, info.id);
    struct plex_err err = {0};

    if (entry != NULL && entry->info->managed)
        refuse_managed(entry, &err);
    else
        err.status = room_check(objects, entry, &info, &err);
    if (err.status != PLEX_OK) {
        reg_keep_fail(&objects->queue, call, &err);
        return;
    }
    info.tenant = request->tenant;
    info.ns = request->ns;
    info.managed = false;
    info.left_ms = 0;
    info.created_ms = entry == NULL ? when.wall_ms : entry->info->created_ms;
    info.heartbeats = entry == NULL ? 0 : entry->info->heartbeats;
    info.updated_ms = info.heartbeat_ms = when.wall_ms;
    info.revision = ++objects->revision;
    if (entry == NULL)
        entry = reg_object_add(objects, reg_object_copy(&info));
    else
        reg_object_replace(objects, entry, reg_object_copy(&info));
    reg_object_ttl(objects, entry, when);
    reg_object_row_push(objects, entry, false, when);
    answer_object(objects, call, request, entry, when);
}

static void
object_beat(struct reg_objects *objects, struct reg_object_entry *entry,
            const struct reg_object_beat *beat, struct reg_when when)
{
    struct reg_object info = *entry->info;
    struct reg_object *old = entry->info;
    const bool changed =
        beat->health != 0 &&
        (beat->health != info.health || strcmp(beat->reason, info.reason) != 0);
    struct plex_err err;

    if (changed) {
        if (beat->health != info.health)
            reg_object_index_health(objects, entry, beat->health);
        info.health = beat->health;
        info.reason = beat->reason;
        info.updated_ms = when.wall_ms;
        info.revision = ++objects->revision;
    }
    if (beat->n_metrics > 0) {
        info.metrics = beat->metrics;
        info.n_metrics = beat->n_metrics;
    }
    /* That it lives matters more than its numbers. */
    if (room_check(objects, entry, &info, &err) != PLEX_OK)
        info.n_metrics = 0;
    info.heartbeats++;
    info.heartbeat_ms = when.wall_ms;
    entry->info = reg_object_copy(&info);
    free(old);
    objects->bytes -= entry->size;
    entry->size = reg_object_entry_size(entry->info);
    objects->bytes += entry->size;
    reg_object_ttl(objects, entry, when);
    if (changed || when.wall_ms - entry->stored_ms >= REG_OBJECT_STORE_MS)
        reg_object_row_push(objects, entry, false, when);
}

static void
heartbeat(struct reg_objects *objects, void *call,
          const struct reg_object_request *request, struct reg_when when)
{
    struct plex_err err = {0};
    struct reg_object_entry *entry =
        named(objects, request, &request->beats[0].name, &err);

    if (entry != NULL && entry->info->managed)
        refuse_managed(entry, &err);
    if (err.status != PLEX_OK) {
        reg_keep_fail(&objects->queue, call, &err);
        return;
    }
    object_beat(objects, entry, &request->beats[0], when);
    answer_object(objects, call, request, entry, when);
}

/* Those that there are hear of it; of the others the caller does. */
static void
heartbeats(struct reg_objects *objects, void *call,
           const struct reg_object_request *request, struct reg_when when)
{
    struct reg_object_answer *out = answer(objects, call, request);
    struct plex_err err;

    out->missing = plex_calloc(request->n_beats + 1, sizeof *out->missing);
    for (size_t i = 0; i < request->n_beats; i++) {
        const struct reg_object_beat *beat = &request->beats[i];
        struct reg_object_entry *entry =
            named(objects, request, &beat->name, &err);

        if (entry != NULL && !entry->info->managed) {
            object_beat(objects, entry, beat, when);
            out->accepted++;
        } else {
            out->missing[out->n_missing++] = (struct reg_object_name){
                beat->name.type, plex_strdup(beat->name.id)};
        }
    }
}

static void
look_or_remove(struct reg_objects *objects, void *call,
               const struct reg_object_request *request, struct reg_when when)
{
    struct plex_err err = {0};
    struct reg_object_entry *entry =
        named(objects, request, &request->name, &err);

    if (entry != NULL && request->op == REG_OBJECT_UNREGISTER &&
        entry->info->managed)
        refuse_managed(entry, &err);
    if (err.status != PLEX_OK) {
        reg_keep_fail(&objects->queue, call, &err);
        return;
    }
    if (request->op == REG_OBJECT_LOOKUP) {
        answer_object(objects, call, request, entry, when);
        return;
    }
    objects->revision++;
    reg_object_row_push(objects, entry, true, when);
    reg_object_remove(objects, entry);
    (void)answer(objects, call, request);
}

void
reg_objects_request(struct reg_objects *objects, void *call,
                    const struct reg_object_request *request,
                    struct reg_when when)
{
    reg_objects_tick(objects, when);
    switch (request->op) {
    case REG_OBJECT_REGISTER:
        object_register(objects, call, request, when);
        return;
    case REG_OBJECT_HEARTBEAT:
        heartbeat(objects, call, request, when);
        return;
    case REG_OBJECT_HEARTBEATS:
        heartbeats(objects, call, request, when);
        return;
    case REG_OBJECT_DISCOVER:
        reg_object_discover(objects, request, answer(objects, call, request),
                            when);
        return;
    case REG_OBJECT_COUNT:
        reg_object_count(objects, request, answer(objects, call, request));
        return;
    default:
        look_or_remove(objects, call, request, when);
    }
}
