/* What ends by itself. */
#include "services/tuplespace/engine/core_private.h"

enum {
    BUILD_MAX = 5000 /* tuples put into an index by one tick */
};

static void
item_due(struct tspace_core *core, struct item *item)
{
    /* One that is not to be seen now is looked at when it is shown. */
    if (item->linked && (item->hold == NULL || item->hold->writer == NULL))
        core_item_end(core, item, TSPACE_EXPIRED);
}

static void
wall_due(struct tspace_core *core, struct due due)
{
    struct subscription *subscription;

    due_remove(&core->wall, due.place);
    switch (due.kind) {
    case DUE_ITEM:
        item_due(core, container_of(due.place, struct item, due_at));
        break;
    case DUE_CLAIM:
        core_claim_lapse(core,
                         container_of(due.place, struct claim, due_place));
        break;
    default:
        subscription =
            container_of(due.place, struct subscription, expiry_place);
        core_subscription_end(core, subscription, true);
    }
}

static void
mono_due(struct tspace_core *core, struct due due)
{
    due_remove(&core->mono, due.place);
    switch (due.kind) {
    case DUE_WAITER:
        core_waiter_end(core, container_of(due.place, struct waiter, due_place),
                        PLEX_OK, "");
        break;
    case DUE_TX:
        core_tx_abort(core, container_of(due.place, struct tx, due_place),
                      OUTCOME_TIMED_OUT);
        break;
    default:
        core_subscription_redeliver(
            core,
            container_of(due.place, struct subscription, redeliver_place));
    }
}

void
tspace_core_tick(struct tspace_core *core, struct tspace_now now)
{
    const struct due_heap *wall = &core->wall, *mono = &core->mono;
    struct request *request;
    uint32_t left = TICK_MAX;

    core_now(core, now);
    if (core->building != NULL && !shape_build(core->building, BUILD_MAX))
        core->building = NULL;
    while (left > 0 && mono->n > 0 && mono->dues[0].at <= core->now.mono_ns) {
        mono_due(core, mono->dues[0]);
        left--;
    }
    while (left > 0 && wall->n > 0 && wall->dues[0].at <= core->now.wall_ms) {
        wall_due(core, wall->dues[0]);
        left--;
    }
    while (left > 0 && (request = TAILQ_FIRST(&core->by_age)) != NULL &&
           request->expires_ms <= core->now.wall_ms) {
        core_memory_free(core, request, true);
        left--;
    }
}

static uint64_t
until(uint64_t at, uint64_t now)
{
    return at > now ? at - now : 0;
}

uint64_t
tspace_core_wait_ms(const struct tspace_core *core, struct tspace_now now)
{
    const struct request *request = TAILQ_FIRST(&core->by_age);
    uint64_t wait = UINT64_MAX, ms;

    if (core->building != NULL)
        return 1;
    if (core->mono.n > 0)
        wait = (until(core->mono.dues[0].at, now.mono_ns) + 999999) / 1000000;
    if (core->wall.n > 0) {
        ms = until(core->wall.dues[0].at, now.wall_ms);
        wait = ms < wait ? ms : wait;
    }
    if (request != NULL) {
        ms = until(request->expires_ms, now.wall_ms);
        wait = ms < wait ? ms : wait;
    }
    return wait;
}
