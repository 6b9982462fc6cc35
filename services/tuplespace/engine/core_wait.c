/* Those who wait, and what a tuple that can be seen does to them. */
#include "services/tuplespace/engine/core_private.h"
#include "services/tuplespace/engine/query.h"

/* -- coming and going ------------------------------------------------------ */

static bool
wait_room(struct tspace_core *core, const struct scope *scope)
{
    const struct tenant *tenant = scope->realm->tenant;
    const struct tspace_config *config = &core->config;
    const uint32_t space_max = scope->space->options.waiters_max;

    if (core->stats.waiters >= config->waiters_max)
        core_refuse(core, scope->op->call, PLEX_LIMIT,
                    "%u callers wait already", config->waiters_max);
    else if (config->tenant_waiters_max != 0 &&
             tenant->waiters >= config->tenant_waiters_max)
        core_refuse(core, scope->op->call, PLEX_LIMIT,
                    "%u callers of the tenant wait already",
                    config->tenant_waiters_max);
    else if (space_max != 0 && scope->space->waiters >= space_max)
        core_refuse(core, scope->op->call, PLEX_LIMIT,
                    "%u callers wait in the space already", space_max);
    else
        return true;
    return false;
}

void
core_wait(struct tspace_core *core, const struct scope *scope,
          const struct tspace_read *read)
{
    const uint32_t n_fields = tspace_template_fields(read->template);
    const struct plex_bytes owner = read->claim.owner;
    struct shape *shape;
    struct waiter *waiter;
    uint8_t *copy;

    if (!wait_room(core, scope))
        return;
    shape = core_shape_get(core, scope->space, n_fields);
    waiter = plex_calloc(1, sizeof *waiter);
    waiter->call = scope->op->call;
    waiter->take = read->take;
    waiter->id = read->id;
    waiter->after = read->after;
    waiter->claim_turn = read->claim.turn;
    waiter->claim_ms = read->claim.lease_ms;
    if (owner.len > 0) {
        copy = plex_calloc(1, owner.len);
        memcpy(copy, owner.data, owner.len);
        waiter->claim_owner = (struct plex_bytes){copy, owner.len};
    }
    waiter->request = core_memory_pending(core, scope);
    listener_add(core, &shape->waiters, shape, &waiter->listener,
                 read->template);
    HASH_ADD_PTR(core->waiting, call, waiter);
    TAILQ_INSERT_TAIL(&core->waiters, waiter, of_core);
    due_add(&core->mono, core->now.mono_ns + read->timeout_ms * 1000000,
            &waiter->due_place, DUE_WAITER);
    core->stats.waiters++;
    scope->space->waiters++;
    scope->realm->tenant->waiters++;
    if (scope->tx == NULL)
        return;
    waiter->tx = scope->tx;
    TAILQ_INSERT_TAIL(&scope->tx->waiters, waiter, of_tx);
    if (core_tx_deadlocked(core, scope->tx))
        core_tx_abort(core, scope->tx, OUTCOME_DEADLOCK);
}

void
core_waiter_free(struct tspace_core *core, struct waiter *waiter)
{
    struct shape *shape = waiter->listener.shape;

    if (waiter->tx != NULL)
        TAILQ_REMOVE(&waiter->tx->waiters, waiter, of_tx);
    if (waiter->request != NULL)
        core_memory_free(core, waiter->request, false);
    listener_remove(&shape->waiters, &waiter->listener);
    HASH_DEL(core->waiting, waiter);
    TAILQ_REMOVE(&core->waiters, waiter, of_core);
    due_remove(&core->mono, &waiter->due_place);
    core->stats.waiters--;
    shape->space->waiters--;
    shape->space->realm->tenant->waiters--;
    free((uint8_t *)waiter->claim_owner.data);
    free(waiter);
}

void
core_waiter_end(struct tspace_core *core, struct waiter *waiter,
                enum plex_status status, const char *text)
{
    struct answer *answer;

    if (status != PLEX_OK) {
        core_refuse(core, waiter->call, status, "%s", text);
        core_waiter_free(core, waiter);
        return;
    }
    /* In time there was nothing. */
    answer = core_answer(core, 0);
    if (waiter->request != NULL)
        core_memory_complete(core, waiter->request, answer);
    waiter->request = NULL;
    core_reply(core, waiter->call, answer);
    core_answer_unref(core, answer);
    core_waiter_free(core, waiter);
}

void
tspace_core_fail_waiters(struct tspace_core *core, const char *text)
{
    while (!TAILQ_EMPTY(&core->waiters))
        core_waiter_end(core, TAILQ_FIRST(&core->waiters), PLEX_UNAVAILABLE,
                        text);
}

bool
tspace_core_cancel(struct tspace_core *core, void *call)
{
    struct waiter *waiter;

    HASH_FIND_PTR(core->waiting, &call, waiter);
    if (waiter == NULL)
        return false;
    core_waiter_free(core, waiter);
    return true;
}

/* -- being served ---------------------------------------------------------- */

static void
waiter_serve(struct tspace_core *core, struct waiter *waiter, struct item *item)
{
    struct taking taking = {waiter->tx, waiter->take, waiter->claim_owner,
                            waiter->claim_turn, waiter->claim_ms};
    struct answer *answer = core_answer(core, 1);

    if (core->config.unsafe & TSPACE_UNSAFE_TAKEN_TWICE)
        taking.take = false;
    core_answer_add(answer, item);
    core_obtain(core, item, waiter->listener.shape->space->realm, &taking);
    if (waiter->request != NULL)
        core_memory_complete(core, waiter->request, answer);
    waiter->request = NULL;
    core_reply(core, waiter->call, answer);
    core_answer_unref(core, answer);
    core_waiter_free(core, waiter);
}

/* Does this waiter get it? Callers that gave up and searches that cannot end
 * are ended on the way. */
static bool
waiter_wants(struct tspace_core *core, struct waiter *waiter,
             const struct item *item)
{
    bool gave_up = false;

    if ((waiter->id != 0 && waiter->id != item->id) ||
        item->id <= waiter->after ||
        !query_visible(core, item, waiter->tx, waiter->take))
        return false;
    if (!tspace_template_match(waiter->listener.template, item->packed,
                               &gave_up)) {
        if (gave_up)
            core_waiter_end(core, waiter, PLEX_LIMIT,
                            "the regular expression takes too long");
        return false;
    }
    if (core->config.gone != NULL &&
        core->config.gone(core->config.arg, waiter->call)) {
        core_waiter_end(core, waiter, PLEX_CANCELLED, "the caller gave up");
        return false;
    }
    return true;
}

void
core_offer(struct tspace_core *core, struct item *item)
{
    struct shape *shape = item->shape;
    struct listener_walk walk;
    struct listener *listener;

    item->refs++;
    listener_walk_start(&walk, &shape->waiters, shape->seed, item->packed);
    while (!item->gone && item->linked &&
           (listener = listener_walk_next(&walk)) != NULL) {
        struct waiter *waiter = container_of(listener, struct waiter, listener);

        if (waiter_wants(core, waiter, item))
            waiter_serve(core, waiter, item);
    }
    item_unref(item);
}
