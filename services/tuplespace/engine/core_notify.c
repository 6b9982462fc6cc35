/* Subscriptions: who is told what happened to tuples. */
#include "services/tuplespace/engine/core_private.h"
#include "services/tuplespace/engine/record.h"

enum { REDELIVER_MS = 5000, REDELIVER_MAX_MS = 300000 };

static struct plex_bytes
event_key(const struct subscription *subscription, uint64_t number,
          uint8_t key[16])
{
    core_id_key(subscription->id, key);
    core_id_key(number, key + 8);
    return (struct plex_bytes){key, 16};
}

/* -- events ---------------------------------------------------------------- */

/* `event` is NULL when it is not guaranteed. */
static void
event_tell(struct tspace_core *core, struct subscription *subscription,
           struct item *item, enum tspace_event kind, struct event *event)
{
    const struct plex_bytes target = subscription->target;
    struct output *output = core_output(core, TSPACE_NOTIFY);
    const struct event *before;

    output->subscription_id = subscription->id;
    if (event != NULL) {
        output->number = event->number;
        output->lost = event->lost;
        before = TAILQ_PREV(event, event_list, next);
        output->previous = before == NULL ? 0 : before->number;
    }
    output->event = (uint8_t)kind;
    output->guaranteed = subscription->guaranteed;
    output->space = subscription->space;
    output->space->outputs++;
    output->item = item;
    item->refs++;
    output->body_len = (uint32_t)target.len;
    if (target.len > 0) {
        output->owned = plex_calloc(1, target.len);
        memcpy(output->owned, target.data, target.len);
    }
}

static void
event_free(struct tspace_core *core, struct subscription *subscription,
           struct event *event, bool durable)
{
    uint8_t key[16];

    if (durable)
        core_record(core, TSPACE_RECORD_EVENT, subscription->space, NULL,
                    event_key(subscription, event->number, key), NULL);
    TAILQ_REMOVE(&subscription->waiting, event, next);
    subscription->n_events--;
    core->stats.events--;
    item_unref(event->item);
    free(event);
}

static void
redeliver_arm(struct tspace_core *core, struct subscription *subscription)
{
    due_add(&core->mono,
            core->now.mono_ns + subscription->redeliver_ms * 1000000ull,
            &subscription->redeliver_place, DUE_SUBSCRIPTION);
}

void
core_event_add(struct tspace_core *core, struct subscription *subscription,
               struct event *event)
{
    struct event *before = TAILQ_LAST(&subscription->waiting, event_list);

    /* A store gives them back in any order. */
    while (before != NULL && before->number > event->number)
        before = TAILQ_PREV(before, event_list, next);
    if (before == NULL)
        TAILQ_INSERT_HEAD(&subscription->waiting, event, next);
    else
        TAILQ_INSERT_AFTER(&subscription->waiting, before, event, next);
    subscription->n_events++;
    core->stats.events++;
    if (event->number >= subscription->next_number)
        subscription->next_number = event->number + 1;
    if (subscription->redeliver_place == 0)
        redeliver_arm(core, subscription);
}

static void
event_keep(struct tspace_core *core, struct subscription *subscription,
           struct item *item, enum tspace_event kind)
{
    struct plex_buf body = {.max = TSPACE_BODY_MAX};
    const uint32_t max = core->config.events_max;
    struct event *event = plex_calloc(1, sizeof *event);
    uint8_t key[16];

    while (max != 0 && subscription->n_events >= max) {
        struct event *oldest = TAILQ_FIRST(&subscription->waiting);

        subscription->lost += 1 + oldest->lost;
        event_free(core, subscription, oldest, true);
    }
    event->number = subscription->next_number;
    event->lost = subscription->lost;
    subscription->lost = 0;
    event->kind = kind;
    event->item = item;
    item->refs++;
    core_event_add(core, subscription, event);
    if (!core->config.transient) {
        record_put_event(&body, event);
        core_record(core, TSPACE_RECORD_EVENT, subscription->space, NULL,
                    event_key(subscription, event->number, key), &body);
        plex_buf_free(&body);
    }
    event_tell(core, subscription, item, kind, event);
}

static void
subscription_tell(struct tspace_core *core, struct subscription *subscription,
                  struct item *item, enum tspace_event kind)
{
    if (!(subscription->events & kind))
        return;
    if (subscription->guaranteed)
        event_keep(core, subscription, item, kind);
    else
        event_tell(core, subscription, item, kind, NULL);
}

void
core_notify(struct tspace_core *core, struct item *item, enum tspace_event kind)
{
    struct shape *shape = item->shape;
    struct subscription *subscription;
    struct listener_walk walk;
    struct listener *listener;
    bool gave_up = false;

    if (shape->space->subscriptions == 0)
        return;
    TAILQ_FOREACH(subscription, &shape->space->watchers, of_space)
    {
        subscription_tell(core, subscription, item, kind);
    }
    if (shape->subscriptions.n == 0)
        return;
    listener_walk_start(&walk, &shape->subscriptions, shape->seed,
                        item->packed);
    while ((listener = listener_walk_next(&walk)) != NULL)
        if (tspace_template_match(listener->template, item->packed, &gave_up))
            subscription_tell(
                core, container_of(listener, struct subscription, listener),
                item, kind);
}

void
core_subscription_redeliver(struct tspace_core *core,
                            struct subscription *subscription)
{
    struct event *event;

    TAILQ_FOREACH(event, &subscription->waiting, next)
    {
        event_tell(core, subscription, event->item, event->kind, event);
    }
    if (TAILQ_EMPTY(&subscription->waiting))
        return;
    if (subscription->redeliver_ms < REDELIVER_MAX_MS)
        subscription->redeliver_ms *= 2;
    redeliver_arm(core, subscription);
}

/* -- life ------------------------------------------------------------------ */

static uint32_t
redeliver_first(const struct tspace_core *core)
{
    return core->config.redeliver_ms != 0 ? core->config.redeliver_ms
                                          : REDELIVER_MS;
}

struct subscription *
core_subscription_find(const struct tspace_core *core, uint64_t id)
{
    struct subscription *subscription;

    HASH_FIND(hh, core->subscriptions, &id, sizeof id, subscription);
    return subscription;
}

struct subscription *
core_subscription_make(struct tspace_core *core, struct space *space,
                       uint64_t id, struct tspace_template *template)
{
    const uint32_t n_fields = tspace_template_fields(template);
    struct subscription *subscription = plex_calloc(1, sizeof *subscription);
    struct shape *shape;

    subscription->id = id;
    subscription->space = space;
    subscription->next_number = 1;
    subscription->redeliver_ms = redeliver_first(core);
    TAILQ_INIT(&subscription->waiting);
    if (n_fields == 0) {
        subscription->listener.template = tspace_template_ref(template);
        TAILQ_INSERT_TAIL(&space->watchers, subscription, of_space);
    } else {
        shape = core_shape_get(core, space, n_fields);
        listener_add(core, &shape->subscriptions, shape,
                     &subscription->listener, template);
    }
    HASH_ADD(hh, core->subscriptions, id, sizeof subscription->id,
             subscription);
    space->subscriptions++;
    space->realm->tenant->subscriptions++;
    core->stats.subscriptions++;
    return subscription;
}

void
core_subscription_end(struct tspace_core *core,
                      struct subscription *subscription, bool durable)
{
    struct listener *listener = &subscription->listener;
    uint8_t key[8];

    while (!TAILQ_EMPTY(&subscription->waiting))
        event_free(core, subscription, TAILQ_FIRST(&subscription->waiting),
                   durable);
    if (durable && subscription->guaranteed)
        core_record(core, TSPACE_RECORD_SUBSCRIPTION, subscription->space, NULL,
                    core_id_key(subscription->id, key), NULL);
    if (listener->shape == NULL) {
        TAILQ_REMOVE(&subscription->space->watchers, subscription, of_space);
        tspace_template_unref(listener->template);
    } else {
        listener_remove(&listener->shape->subscriptions, listener);
    }
    due_remove(&core->wall, &subscription->expiry_place);
    due_remove(&core->mono, &subscription->redeliver_place);
    HASH_DEL(core->subscriptions, subscription);
    subscription->space->subscriptions--;
    subscription->space->realm->tenant->subscriptions--;
    core->stats.subscriptions--;
    free((uint8_t *)subscription->target.data);
    free(subscription);
}

static void
subscription_store(struct tspace_core *core,
                   const struct subscription *subscription)
{
    struct plex_buf body = {.max = TSPACE_BODY_MAX};
    uint8_t key[8];

    if (core->config.transient || !subscription->guaranteed)
        return;
    record_put_subscription(&body, subscription);
    core_record(core, TSPACE_RECORD_SUBSCRIPTION, subscription->space, NULL,
                core_id_key(subscription->id, key), &body);
    plex_buf_free(&body);
}

/* -- requests -------------------------------------------------------------- */

static bool
subscribe_good(struct tspace_core *core, const struct tenant *tenant,
               const struct tspace_subscribe *subscribe)
{
    const uint32_t of_tenant = core->config.tenant_subscriptions_max;
    void *call = subscribe->op.call;
    const uint32_t max = core->config.subscriptions_max;

    if (subscribe->events == 0 ||
        (subscribe->events & ~(unsigned)TSPACE_EVENTS_ALL) != 0 ||
        subscribe->ttl_ms > TSPACE_TTL_MAX_MS ||
        subscribe->target.len > TSPACE_TARGET_MAX)
        core_refuse(core, call, PLEX_INVALID,
                    "a subscription is to known events, lasts at most 30 days "
                    "and has a target of at most %d bytes",
                    TSPACE_TARGET_MAX);
    else if (subscribe->op.tx != 0)
        core_refuse(core, call, PLEX_UNSUPPORTED,
                    "this is not possible within a transaction");
    else if (max != 0 && core->stats.subscriptions >= max)
        core_refuse(core, call, PLEX_LIMIT, "there are %u subscriptions", max);
    else if (of_tenant != 0 && tenant->subscriptions >= of_tenant)
        core_refuse(core, call, PLEX_LIMIT, "the tenant has %u subscriptions",
                    of_tenant);
    else
        return true;
    return false;
}

void
core_subscription_terms(struct tspace_core *core,
                        struct subscription *subscription,
                        struct plex_bytes target, uint64_t expires_ms)
{
    uint8_t *copy;

    if (target.len > 0) {
        copy = plex_calloc(1, target.len);
        memcpy(copy, target.data, target.len);
        subscription->target = (struct plex_bytes){copy, target.len};
    }
    subscription->expires_ms = expires_ms;
    if (expires_ms != 0)
        due_add(&core->wall, expires_ms, &subscription->expiry_place,
                DUE_SUBSCRIPTION);
}

void
tspace_core_subscribe(struct tspace_core *core, struct tspace_now now,
                      const struct tspace_subscribe *subscribe)
{
    struct subscription *subscription;
    struct answer *answer;
    struct scope scope;

    if (!core_begin(core, now, &subscribe->op, true, &scope) ||
        !subscribe_good(core, scope.realm->tenant, subscribe))
        return;
    subscription = core_subscription_make(core, scope.space, core->next_id++,
                                          subscribe->template);
    subscription->events = subscribe->events;
    subscription->guaranteed = subscribe->guaranteed;
    core_subscription_terms(
        core, subscription, subscribe->target,
        subscribe->ttl_ms == 0 ? 0 : core->now.wall_ms + subscribe->ttl_ms);
    subscription_store(core, subscription);
    answer = core_answer(core, 0);
    answer->pub.number = subscription->id;
    core_finish(core, &scope, answer);
}

static void
acknowledge(struct tspace_core *core, struct subscription *subscription,
            uint64_t up_to)
{
    struct event *event;

    while ((event = TAILQ_FIRST(&subscription->waiting)) != NULL &&
           event->number <= up_to)
        event_free(core, subscription, event, true);
    if (up_to >= subscription->next_number)
        up_to = subscription->next_number - 1;
    if (up_to <= subscription->acknowledged)
        return;
    subscription->acknowledged = up_to;
    subscription->redeliver_ms = redeliver_first(core);
    if (event == NULL)
        due_remove(&core->mono, &subscription->redeliver_place);
    else
        redeliver_arm(core, subscription);
    subscription_store(core, subscription);
}

void
tspace_core_subscription(struct tspace_core *core, struct tspace_now now,
                         const struct tspace_subscription *request)
{
    struct subscription *subscription;
    struct scope scope;

    if (!core_begin(core, now, &request->op, false, &scope))
        return;
    subscription = core_subscription_find(core, request->id);
    if (subscription == NULL || subscription->space->realm != scope.realm) {
        core_refuse(core, request->op.call, PLEX_NOT_FOUND,
                    "there is no subscription %llu",
                    (unsigned long long)request->id);
        return;
    }
    if (request->verb == TSPACE_UNSUBSCRIBE) {
        core_subscription_end(core, subscription, true);
    } else if (request->verb == TSPACE_ACKNOWLEDGE) {
        acknowledge(core, subscription, request->up_to);
    } else {
        subscription->redeliver_ms = redeliver_first(core);
        core_subscription_redeliver(core, subscription);
    }
    core_finish(core, &scope, core_answer(core, 0));
}
