/* Consumer groups: what waits, what is in flight, who waits for it. */
#include "services/channel-broker/core_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct group *
broker_group_find(const struct channel *channel, const char *name)
{
    struct group *group;

    TAILQ_FOREACH(group, &channel->groups, next)
    {
        if (strcmp(group->name, name) == 0)
            return group;
    }
    return NULL;
}

struct group *
broker_group_make(struct broker_core *core, struct channel *channel,
                  const char *name, uint64_t from_seq)
{
    struct group *group = plex_calloc(1, sizeof *group);
    struct held *held;

    (void)core;
    group->channel = channel;
    group->name = plex_strdup(name);
    group->from_seq = from_seq;
    for (int i = 0; i < 3; i++)
        TAILQ_INIT(&group->lists[i]);
    TAILQ_INIT(&group->waiters);
    TAILQ_INSERT_TAIL(&channel->groups, group, next);
    channel->n_groups++;
    TAILQ_FOREACH(held, &channel->messages, next)
    {
        if (held->message.seq >= from_seq)
            (void)broker_delivery_add(group, held);
    }
    return group;
}

/* -- keys in flight -------------------------------------------------------- */

static struct busy_key *
busy_find(const struct group *group, const char *key)
{
    struct busy_key *busy;

    HASH_FIND(hh, group->busy, key, strlen(key), busy);
    return busy;
}

static void
busy_set(struct group *group, const char *key)
{
    const size_t len = strlen(key);
    struct busy_key *busy;

    if (len == 0)
        return;
    busy = plex_calloc(1, sizeof *busy + len + 1);
    busy->len = len;
    memcpy(busy->text, key, len);
    HASH_ADD_KEYPTR(hh, group->busy, busy->text, len, busy);
}

static void
busy_clear(struct group *group, const char *key)
{
    struct busy_key *busy = key[0] != '\0' ? busy_find(group, key) : NULL;

    if (busy == NULL)
        return;
    HASH_DEL(group->busy, busy);
    free(busy);
}

/* -- deliveries ------------------------------------------------------------ */

/* Lists are in order of sending: what comes back goes to its old place, which
 * is near the head. */
static void
list_insert(struct delivery_list *list, struct delivery *delivery)
{
    struct delivery *at;

    at = TAILQ_LAST(list, delivery_list);
    if (at == NULL || at->held->message.seq < delivery->held->message.seq) {
        TAILQ_INSERT_TAIL(list, delivery, next);
        return;
    }
    TAILQ_FOREACH(at, list, next)
    {
        if (at->held->message.seq > delivery->held->message.seq)
            break;
    }
    TAILQ_INSERT_BEFORE(at, delivery, next);
}

struct delivery *
broker_delivery_add(struct group *group, struct held *held)
{
    struct delivery *delivery = plex_calloc(1, sizeof *delivery);

    delivery->group = group;
    delivery->held = held;
    delivery->place = READY;
    held->pending++;
    HASH_ADD_KEYPTR(hh, group->by_id, held->message.id, BROKER_ID_BYTES,
                    delivery);
    list_insert(&group->lists[READY], delivery);
    group->counts[READY]++;
    return delivery;
}

void
broker_delivery_place(struct broker_core *core, struct delivery *delivery,
                      enum place place)
{
    struct group *group = delivery->group;

    TAILQ_REMOVE(&group->lists[delivery->place], delivery, next);
    group->counts[delivery->place]--;
    if (delivery->place == IN_FLIGHT)
        busy_clear(group, delivery->held->message.key);
    if (place == IN_FLIGHT)
        busy_set(group, delivery->held->message.key);
    if (place == DEAD)
        core->totals.dead_letters++;
    delivery->place = place;
    list_insert(&group->lists[place], delivery);
    group->counts[place]++;
}

static void
delivery_free(struct delivery *delivery)
{
    struct group *group = delivery->group;

    TAILQ_REMOVE(&group->lists[delivery->place], delivery, next);
    group->counts[delivery->place]--;
    if (delivery->place == IN_FLIGHT)
        busy_clear(group, delivery->held->message.key);
    HASH_DEL(group->by_id, delivery);
    free(delivery);
}

static void
delivery_store(struct broker_core *core, const struct delivery *delivery,
               enum broker_delivery_state state)
{
    struct output *output =
        broker_output_add(core, BROKER_DELIVERY, delivery->group->channel);

    output->held = delivery->held;
    output->held->refs++;
    output->action.group = delivery->group->name;
    output->action.state = state;
    output->action.count = delivery->count;
}

void
broker_delivery_done(struct broker_core *core, struct delivery *delivery,
                     bool store)
{
    struct held *held = delivery->held;

    assert(held->pending > 0);
    held->pending--;
    if (held->pending == 0)
        broker_held_remove(core, held);
    else if (store)
        delivery_store(core, delivery, BROKER_ACKED);
    delivery_free(delivery);
    if (held->pending == 0)
        broker_held_unref(held);
}

/* Not acknowledged: once more, or after the last time to the dead letters. */
static void
delivery_return(struct broker_core *core, struct delivery *delivery)
{
    const bool dead = delivery->count >= BROKER_DELIVERIES_MAX;

    broker_delivery_place(core, delivery, dead ? DEAD : READY);
    delivery_store(core, delivery, dead ? BROKER_DEAD : BROKER_WAITING);
}

/* -- receiving ------------------------------------------------------------- */

static size_t
messages_collect(struct broker_core *core, struct group *group,
                 struct broker_now now, uint64_t visibility_ms,
                 struct broker_delivered *out, uint32_t max)
{
    struct delivery *delivery, *next;
    size_t n = 0, bytes = 0;

    for (delivery = TAILQ_FIRST(&group->lists[READY]);
         delivery != NULL && n < max; delivery = next) {
        struct held *held = delivery->held;

        next = TAILQ_NEXT(delivery, next);
        if (held->message.key[0] != '\0' &&
            busy_find(group, held->message.key) != NULL)
            continue;
        bytes += held->bytes;
        if (n > 0 && bytes > REPLY_BYTES_MAX)
            break;
        delivery->count++;
        delivery->until_ns = now.mono_ns + visibility_ms * 1000000U;
        if (delivery->until_ns < core->due_ns)
            core->due_ns = delivery->until_ns;
        broker_delivery_place(core, delivery, IN_FLIGHT);
        held->refs++;
        out[n++] = (struct broker_delivered){&held->message, delivery->count};
    }
    return n;
}

/* True: something was there, and the caller is answered. */
static bool
group_deliver(struct broker_core *core, struct group *group,
              struct broker_now now, void *call, uint32_t max,
              uint64_t visibility_ms)
{
    const uint64_t waiting = group->counts[READY];
    struct broker_delivered *out;
    struct output *output;
    size_t n;

    if (waiting == 0)
        return false;
    max = waiting < max ? (uint32_t)waiting : max;
    out = plex_calloc(max, sizeof *out);
    n = messages_collect(core, group, now, visibility_ms, out, max);
    if (n == 0) {
        free(out);
        return false;
    }
    output = broker_output_add(core, BROKER_REPLY, group->channel);
    output->delivered = out;
    output->action.call = call;
    output->action.answer = BROKER_MESSAGES;
    output->action.delivered = out;
    output->action.n = (uint32_t)n;
    return true;
}

static void
waiter_free(struct broker_core *core, struct waiter *waiter)
{
    TAILQ_REMOVE(&waiter->group->waiters, waiter, next);
    core->totals.waiters--;
    free(waiter);
}

void
broker_group_serve(struct broker_core *core, struct group *group,
                   struct broker_now now)
{
    struct waiter *waiter;

    while ((waiter = TAILQ_FIRST(&group->waiters)) != NULL) {
        if (group->counts[READY] == 0)
            return;
        if (core->config.gone != NULL &&
            core->config.gone(core->config.arg, waiter->call))
            broker_output_refuse(core, waiter->call, PLEX_CANCELLED,
                                 "caller left");
        else if (!group_deliver(core, group, now, waiter->call, waiter->max,
                                waiter->visibility_ms))
            return;
        waiter_free(core, waiter);
    }
}

static void
output_nothing(struct broker_core *core, void *call)
{
    struct output *output = broker_output_add(core, BROKER_REPLY, NULL);

    output->action.call = call;
    output->action.answer = BROKER_MESSAGES;
}

static void
waiter_add(struct broker_core *core, struct group *group, struct broker_now now,
           void *call, const struct broker_receive *receive)
{
    struct waiter *waiter;

    if (core->totals.waiters >= core->config.waiters_max) {
        broker_output_refuse(core, call, PLEX_LIMIT,
                             "too many callers are waiting");
        return;
    }
    waiter = plex_calloc(1, sizeof *waiter);
    waiter->group = group;
    waiter->call = call;
    waiter->max = receive->max;
    waiter->visibility_ms = receive->visibility_ms;
    waiter->deadline_ns = now.mono_ns + receive->timeout_ms * 1000000U;
    if (waiter->deadline_ns < core->due_ns)
        core->due_ns = waiter->deadline_ns;
    TAILQ_INSERT_TAIL(&group->waiters, waiter, next);
    core->totals.waiters++;
}

void
broker_core_receive(struct broker_core *core, struct broker_now now, void *call,
                    const struct broker_receive *receive)
{
    struct channel *channel = broker_channel_use(core, &receive->where, call);
    struct group *group;

    assert(receive->max > 0 && receive->max <= BROKER_RECEIVE_MAX);
    if (channel == NULL)
        return;
    group = broker_group_find(channel, receive->group);
    if (group == NULL) {
        struct output *output;

        if (channel->n_groups >= core->config.groups_max) {
            broker_output_refuse(core, call, PLEX_LIMIT,
                                 "the channel has too many groups");
            return;
        }
        group = broker_group_make(core, channel, receive->group, 0);
        output = broker_output_add(core, BROKER_GROUP, channel);
        output->action.group = group->name;
    }
    if (TAILQ_EMPTY(&group->waiters) &&
        group_deliver(core, group, now, call, receive->max,
                      receive->visibility_ms))
        return;
    if (receive->timeout_ms > 0)
        waiter_add(core, group, now, call, receive);
    else
        output_nothing(core, call);
}

void
broker_core_settle(struct broker_core *core, struct broker_now now, void *call,
                   const struct broker_settle *settle)
{
    struct channel *channel = broker_channel_find(core, &settle->where);
    struct group *group =
        channel != NULL ? broker_group_find(channel, settle->group) : NULL;
    struct output *output;
    uint32_t count = 0;

    for (uint32_t i = 0; group != NULL && i < settle->n; i++) {
        struct delivery *delivery;

        HASH_FIND(hh, group->by_id, settle->ids[i].data, settle->ids[i].len,
                  delivery);
        if (delivery == NULL || delivery->place != IN_FLIGHT)
            continue;
        count++;
        if (settle->ack) {
            channel->acked_total++;
            broker_delivery_done(core, delivery, true);
        } else {
            delivery_return(core, delivery);
        }
    }
    output = broker_output_add(core, BROKER_REPLY, NULL);
    output->action.call = call;
    output->action.answer = BROKER_COUNT;
    output->action.count = count;
    if (group != NULL)
        broker_group_serve(core, group, now);
}

/* -- time ------------------------------------------------------------------ */

static void
due_keep(struct broker_core *core, uint64_t at_ns)
{
    if (at_ns < core->due_ns)
        core->due_ns = at_ns;
}

static void
group_tick(struct broker_core *core, struct group *group, struct broker_now now)
{
    struct delivery *delivery, *next;
    struct waiter *waiter, *after;

    for (delivery = TAILQ_FIRST(&group->lists[IN_FLIGHT]); delivery != NULL;
         delivery = next) {
        next = TAILQ_NEXT(delivery, next);
        if (delivery->until_ns <= now.mono_ns)
            delivery_return(core, delivery);
        else
            due_keep(core, delivery->until_ns);
    }
    broker_group_serve(core, group, now);
    for (waiter = TAILQ_FIRST(&group->waiters); waiter != NULL;
         waiter = after) {
        after = TAILQ_NEXT(waiter, next);
        if (waiter->deadline_ns > now.mono_ns) {
            due_keep(core, waiter->deadline_ns);
            continue;
        }
        output_nothing(core, waiter->call);
        waiter_free(core, waiter);
    }
}

void
broker_core_tick(struct broker_core *core, struct broker_now now)
{
    struct channel *channel;
    struct group *group;

    while (!TAILQ_EMPTY(&core->by_age) &&
           TAILQ_FIRST(&core->by_age)->expires_ms <= now.wall_ms)
        broker_request_forget(core, TAILQ_FIRST(&core->by_age));
    if (core->due_ns > now.mono_ns)
        return;
    core->due_ns = UINT64_MAX;
    for (channel = core->channels; channel != NULL; channel = channel->hh.next)
        TAILQ_FOREACH(group, &channel->groups, next)
    group_tick(core, group, now);
}

void
broker_core_fail_waiters(struct broker_core *core, const char *text)
{
    struct channel *channel;
    struct group *group;

    for (channel = core->channels; channel != NULL; channel = channel->hh.next)
        TAILQ_FOREACH(group, &channel->groups, next)
    while (!TAILQ_EMPTY(&group->waiters)) {
        struct waiter *waiter = TAILQ_FIRST(&group->waiters);

        broker_output_refuse(core, waiter->call, PLEX_UNAVAILABLE, text);
        waiter_free(core, waiter);
    }
}

void
broker_group_free(struct broker_core *core, struct group *group)
{
    while (!TAILQ_EMPTY(&group->waiters))
        waiter_free(core, TAILQ_FIRST(&group->waiters));
    for (int i = 0; i < 3; i++)
        while (!TAILQ_EMPTY(&group->lists[i]))
            delivery_free(TAILQ_FIRST(&group->lists[i]));
    TAILQ_REMOVE(&group->channel->groups, group, next);
    free(group->name);
    free(group);
}

bool
broker_core_restore_delivery(struct broker_core *core, uint64_t seq,
                             const char *name, enum broker_delivery_state state,
                             uint32_t count)
{
    struct delivery *delivery;
    struct group *group;
    struct held *held;

    HASH_FIND(hh, core->by_seq, &seq, sizeof seq, held);
    if (held == NULL ||
        (group = broker_group_find(held->channel, name)) == NULL)
        return false;
    HASH_FIND(hh, group->by_id, held->message.id, BROKER_ID_BYTES, delivery);
    if (delivery == NULL)
        return false;
    delivery->count = count;
    if (state == BROKER_DEAD)
        broker_delivery_place(core, delivery, DEAD);
    else if (state == BROKER_ACKED)
        broker_delivery_done(core, delivery, false);
    return true;
}
