/* Looking at what is in memory. */
#include "services/worker/core_private.h"
#include "services/worker/run_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { OVERDUE_MS = 60000 };

static enum work_actor_state
state_of(const struct actor *actor)
{
    switch (actor->state) {
    case ACTOR_COLD:
        return WORK_ACTOR_INACTIVE;
    case ACTOR_LOADING:
        return WORK_ACTOR_ACTIVATING;
    case ACTOR_DROPPED:
        return WORK_ACTOR_DEACTIVATING;
    case ACTOR_ACTIVE:
        break;
    }
    return WORK_ACTOR_ACTIVE;
}

static uint64_t
wall_of(struct work_time t, uint64_t at_ns)
{
    const uint64_t ago_ms = (t.now_ns - at_ns) / WORK_MS;

    return t.wall_ms > ago_ms ? t.wall_ms - ago_ms : 0;
}

static void
times_fill(struct work_time t, const struct actor *actor,
           struct work_actor *out)
{
    if (actor->state != ACTOR_ACTIVE)
        return;
    out->last_activated_ms = wall_of(t, actor->activated_at);
    out->last_accessed_ms =
        actor->is_idle ? wall_of(t, actor->last_used) : t.wall_ms;
    if (actor->type != NULL)
        out->idle_timeout_ms = actor->type->info.idle_timeout_ms;
}

static bool
describe(const struct work_core *core, struct work_time t,
         const struct actor *actor, struct plex_arena *arena,
         struct work_actor *out)
{
    char name[PLEX_ACTOR_NAME_MAX + 1];

    plex_actor_format(&actor->id, name, sizeof name);
    *out = (struct work_actor){
        .actor_id = plex_arena_strndup(arena, name, strlen(name)),
        .state = state_of(actor),
        .node_id = core->node_id,
        .shard = work_actor_is_local(core, actor) ? 0 : actor->shard,
        .epoch = work_actor_is_local(core, actor) ? 0 : actor->epoch,
        .durable = actor->durable,
        .sequence = actor->committed,
        .mailbox_length = (uint32_t)actor->mailbox_n,
        .idle_ms = actor->is_idle ? (t.now_ns - actor->last_used) / WORK_MS : 0,
        .messages_total = actor->messages,
        .state_bytes = actor->data_len,
    };
    times_fill(t, actor, out);
    if (actor->open != NULL) {
        const char *waits_for =
            actor->waits_for == NULL ? "" : actor->waits_for;
        const bool parked = actor->phase == OPEN_PARKED;

        out->run = parked                         ? "parked"
                   : actor->phase == OPEN_WAITING ? "waiting"
                                                  : "running";
        out->waits_for =
            plex_arena_strndup(arena, waits_for, strlen(waits_for));
        out->waits_since_ms = actor->waits_since;
        out->remedy = work_run_remedy(parked, waits_for);
    } else if (actor->writing > 0 || actor->state == ACTOR_LOADING) {
        out->waits_for = "journal";
    }
    return out->actor_id != NULL;
}

/* As the names compare, without writing them: '/' sorts by part here, and
 * every page uses the same order. */
static int
id_compare(const struct plex_actor_id *a, const struct plex_actor_id *b)
{
    int order = strcmp(a->tenant, b->tenant);

    if (order == 0)
        order = strcmp(a->ns, b->ns);
    if (order == 0)
        order = strcmp(a->type, b->type);
    return order != 0 ? order : strcmp(a->key, b->key);
}

static bool
wanted(const struct actor *actor, const struct work_core_filter *filter,
       const struct plex_actor_id *after)
{
    return actor->state != ACTOR_COLD &&
           strcmp(actor->id.tenant, filter->tenant) == 0 &&
           (filter->ns[0] == '\0' || strcmp(actor->id.ns, filter->ns) == 0) &&
           (filter->type[0] == '\0' ||
            strcmp(actor->id.type, filter->type) == 0) &&
           (after == NULL || id_compare(&actor->id, after) > 0);
}

/* Keep the `limit` smallest in order: pages are short. */
static size_t
insert(const struct actor **found, size_t n, uint32_t limit,
       const struct actor *actor)
{
    size_t at = n;

    if (n == limit && id_compare(&actor->id, &found[n - 1]->id) > 0)
        return n;
    if (n == limit)
        at = n - 1;
    for (; at > 0 && id_compare(&actor->id, &found[at - 1]->id) < 0; at--)
        found[at] = found[at - 1];
    found[at] = actor;
    return n < limit ? n + 1 : n;
}

size_t
work_core_list(const struct work_core *core, struct work_time t,
               const struct work_core_filter *filter, uint32_t limit,
               struct plex_arena *arena, struct work_actor *out)
{
    const struct actor **found =
        plex_arena_alloc(arena, (limit + 1) * sizeof(struct actor *));
    char *text =
        plex_arena_strndup(arena, filter->after, strlen(filter->after));
    struct plex_actor_id after;
    struct plex_err err;
    bool has_after;
    size_t n = 0;

    if (found == NULL || text == NULL || limit == 0)
        return 0;
    has_after =
        text[0] != '\0' && plex_actor_parse(text, &after, &err) == PLEX_OK;
    for (uint32_t i = 0; i < core->n_slots; i++)
        if (core->slots[i] != NULL &&
            wanted(core->slots[i], filter, has_after ? &after : NULL))
            n = insert(found, n, limit, core->slots[i]);
    for (size_t i = 0; i < n; i++)
        if (!describe(core, t, found[i], arena, &out[i]))
            return i;
    return n;
}

bool
work_core_inspect(const struct work_core *core, struct work_time t,
                  const struct plex_actor_id *id, struct plex_arena *arena,
                  struct work_actor *out)
{
    const struct actor *actor = work_actor_find(core, id, plex_actor_hash(id));

    return actor != NULL && actor->state != ACTOR_COLD &&
           describe(core, t, actor, arena, out);
}

/* "sleep until 1700000000000 ms" */
static bool
is_overdue(const char *waits_for, uint64_t wall_ms)
{
    const char *until = strstr(waits_for, " until ");
    uint64_t due_ms;

    return until != NULL &&
           sscanf(until, " until %" SCNu64 " ms", &due_ms) == 1 &&
           due_ms + OVERDUE_MS < wall_ms;
}

void
work_core_runs(const struct work_core *core, struct work_time t,
               struct work_core_runs *out)
{
    *out = (struct work_core_runs){0};
    for (uint32_t i = 0; i < core->n_slots; i++) {
        const struct actor *actor = core->slots[i];
        const char *waits_for;

        if (actor == NULL || actor->open == NULL)
            continue;
        waits_for = actor->waits_for == NULL ? "" : actor->waits_for;
        out->open++;
        out->parked += actor->phase == OPEN_PARKED;
        out->waiting += actor->phase == OPEN_WAITING;
        if (actor->phase == OPEN_PARKED || actor->phase == OPEN_WAITING)
            out->unexplained +=
                waits_for[0] == '\0' || is_overdue(waits_for, t.wall_ms);
    }
}

uint64_t
work_core_activation(struct work_core *core, const struct plex_actor_id *id)
{
    struct actor *actor = work_actor_find(core, id, plex_actor_hash(id));

    if (actor == NULL || actor->state != ACTOR_ACTIVE)
        return 0;
    actor->hosted = true;
    return actor->activation;
}
