/* What activations reserve on this worker, by what their types need. Idle
 * actors make room: those of the type first, then those of other types. */
#include "services/worker/core_private.h"

#include <inttypes.h>
#include <stdio.h>

static bool
needs_any(const struct work_needs *needs)
{
    return needs->cpu_millis > 0 || needs->memory_bytes > 0;
}

static bool
fits(const struct work_core *core, const struct work_needs *needs,
     const struct work_needs *leaving)
{
    const struct work_needs *used = &core->room.reserved,
                            *room = &core->room.max;

    return used->cpu_millis - leaving->cpu_millis + needs->cpu_millis <=
               room->cpu_millis &&
           used->memory_bytes - leaving->memory_bytes + needs->memory_bytes <=
               room->memory_bytes;
}

/* The longest unused of those that reserve something. */
static struct actor *
victim_of_others(const struct work_core *core)
{
    struct actor *oldest = NULL;
    struct type *type;

    TAILQ_FOREACH(type, &core->types, link)
    {
        struct actor *victim =
            needs_any(&type->info.needs) ? work_type_victim(type) : NULL;

        if (victim != NULL &&
            (oldest == NULL || victim->last_used < oldest->last_used))
            oldest = victim;
    }
    return oldest;
}

bool
work_room_admits(struct work_core *core, struct type *type)
{
    const struct work_needs *needs = &type->info.needs;
    struct work_needs leaving = {0}; /* when their states are written */
    struct actor *victim;

    if (!needs_any(needs))
        return true;
    if (needs->cpu_millis > core->room.max.cpu_millis ||
        needs->memory_bytes > core->room.max.memory_bytes)
        return false; /* nobody has to go for nothing */
    while (!fits(core, needs, &leaving)) {
        victim = work_type_victim(type);
        if (victim == NULL)
            victim = victim_of_others(core);
        if (victim == NULL)
            return false;
        core->stats.evicted_total++;
        if (victim->dirty) {
            leaving.cpu_millis += victim->type->info.needs.cpu_millis;
            leaving.memory_bytes += victim->type->info.needs.memory_bytes;
        }
        work_actor_leave(core, victim);
    }
    return true;
}

void
work_room_take(struct work_core *core, const struct type *type)
{
    core->room.reserved.cpu_millis += type->info.needs.cpu_millis;
    core->room.reserved.memory_bytes += type->info.needs.memory_bytes;
}

void
work_room_give(struct work_core *core, const struct type *type)
{
    core->room.reserved.cpu_millis -= type->info.needs.cpu_millis;
    core->room.reserved.memory_bytes -= type->info.needs.memory_bytes;
}

void
work_room_changed(struct work_core *core, const struct type *type,
                  const struct work_needs *old)
{
    const struct work_needs *needs = &type->info.needs;

    core->room.reserved.cpu_millis +=
        type->active * (needs->cpu_millis - old->cpu_millis);
    core->room.reserved.memory_bytes +=
        type->active * (needs->memory_bytes - old->memory_bytes);
}

const char *
work_room_why(struct work_core *core, const struct type *type)
{
    const struct work_needs *needs = &type->info.needs, *room = &core->room.max,
                            *used = &core->room.reserved;
    const bool cpu = used->cpu_millis + needs->cpu_millis > room->cpu_millis;
    const uint64_t need = cpu ? needs->cpu_millis : needs->memory_bytes;
    const uint64_t max = cpu ? room->cpu_millis : room->memory_bytes;
    const uint64_t taken = cpu ? used->cpu_millis : used->memory_bytes;

    if (!needs_any(needs) || fits(core, needs, &(struct work_needs){0}))
        return NULL;
    (void)snprintf(core->room.why, sizeof core->room.why,
                   "the worker has no room for an actor of the type, and none "
                   "is idle: it needs %" PRIu64 " %s, of %" PRIu64
                   " for actors %" PRIu64 " are left",
                   need, cpu ? "thousandths of a core" : "bytes of memory", max,
                   taken < max ? max - taken : 0);
    return core->room.why;
}

void
work_core_room(struct work_core *core, const struct work_needs *room)
{
    core->room.max = *room;
}
