#include "services/channel-broker/core.h"

#include "services/channel-broker/core_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct broker_core *
broker_core_create(const struct broker_config *config)
{
    struct broker_core *core = plex_calloc(1, sizeof *core);

    core->config = *config;
    TAILQ_INIT(&core->by_age);
    STAILQ_INIT(&core->outputs);
    core->next_seq = 1;
    core->due_ns = UINT64_MAX;
    return core;
}

/* -- outputs --------------------------------------------------------------- */

struct output *
broker_output_add(struct broker_core *core, enum broker_action_kind kind,
                  const struct channel *channel)
{
    struct output *output = plex_calloc(1, sizeof *output);

    output->action.kind = kind;
    output->action.text = "";
    if (channel != NULL)
        output->action.where = channel->where;
    STAILQ_INSERT_TAIL(&core->outputs, output, next);
    return output;
}

void
broker_output_refuse(struct broker_core *core, void *call,
                     enum plex_status status, const char *text)
{
    struct output *output = broker_output_add(core, BROKER_REPLY, NULL);

    output->action.call = call;
    output->action.status = status;
    output->action.text = text;
}

static void
output_free(struct output *output)
{
    if (output == NULL)
        return;
    if (output->held != NULL)
        broker_held_unref(output->held);
    for (uint32_t i = 0; output->delivered != NULL && i < output->action.n; i++)
        broker_held_unref((struct held *)output->delivered[i].message);
    free(output->delivered);
    free(output);
}

bool
broker_core_next(struct broker_core *core, struct broker_action *out)
{
    struct output *output = STAILQ_FIRST(&core->outputs);

    output_free(core->popped);
    core->popped = output;
    if (output == NULL)
        return false;
    STAILQ_REMOVE_HEAD(&core->outputs, next);
    *out = output->action;
    out->request_id = (struct plex_bytes){output->request_id, BROKER_ID_BYTES};
    if (output->held != NULL)
        out->message = &output->held->message;
    return true;
}

/* -- messages -------------------------------------------------------------- */

void
broker_held_unref(struct held *held)
{
    if (--held->refs == 0)
        free(held);
}

static char *
copy_text(char **at, const char *text)
{
    const size_t len = strlen(text) + 1;
    char *copy = memcpy(*at, text, len);

    *at += len;
    return copy;
}

static struct held *
held_make(const struct broker_message *message)
{
    size_t size = sizeof(struct held) +
                  message->n_headers * sizeof(struct broker_header) +
                  strlen(message->key) + 1 + message->payload.len;
    struct broker_header *headers;
    struct held *held;
    char *at;

    for (uint32_t i = 0; i < message->n_headers; i++)
        size += strlen(message->headers[i].name) +
                strlen(message->headers[i].value) + 2;
    held = plex_calloc(1, size);
    held->refs = 1;
    held->bytes = size;
    held->message = *message;
    headers = (struct broker_header *)(void *)(held + 1);
    held->message.headers = headers;
    at = (char *)(headers + message->n_headers);
    held->message.key = copy_text(&at, message->key);
    for (uint32_t i = 0; i < message->n_headers; i++) {
        headers[i].name = copy_text(&at, message->headers[i].name);
        headers[i].value = copy_text(&at, message->headers[i].value);
    }
    held->message.payload.data = (const uint8_t *)at;
    if (message->payload.len > 0)
        memcpy(at, message->payload.data, message->payload.len);
    return held;
}

static void
held_add(struct broker_core *core, struct channel *channel, struct held *held)
{
    struct group *group;

    held->channel = channel;
    TAILQ_INSERT_TAIL(&channel->messages, held, next);
    HASH_ADD(hh, core->by_seq, message.seq, sizeof held->message.seq, held);
    channel->n_messages++;
    core->totals.messages++;
    core->totals.bytes += held->bytes;
    TAILQ_FOREACH(group, &channel->groups, next)
    {
        if (held->message.seq >= group->from_seq)
            (void)broker_delivery_add(group, held);
    }
}

static void
held_forget(struct broker_core *core, struct held *held)
{
    TAILQ_REMOVE(&held->channel->messages, held, next);
    HASH_DEL(core->by_seq, held);
    held->channel->n_messages--;
    core->totals.messages--;
    core->totals.bytes -= held->bytes;
}

void
broker_held_remove(struct broker_core *core, struct held *held)
{
    struct output *output =
        broker_output_add(core, BROKER_REMOVE, held->channel);

    output->held = held;
    held->refs++;
    held_forget(core, held);
}

void
broker_id_at(const uint8_t first[BROKER_ID_BYTES], uint32_t index,
             uint8_t out[BROKER_ID_BYTES])
{
    uint64_t carry = index;

    for (int i = BROKER_ID_BYTES - 1; i >= 0; i--) {
        carry += first[i];
        out[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

/* -- channels -------------------------------------------------------------- */

static size_t
where_key(const struct broker_where *where, char key[NAME_BYTES_MAX])
{
    const char *parts[] = {where->tenant, where->ns, where->channel};
    size_t len = 0;

    for (size_t i = 0; i < 3; i++) {
        const size_t part = strlen(parts[i]) + 1;

        assert(len + part <= NAME_BYTES_MAX);
        memcpy(key + len, parts[i], part);
        len += part;
    }
    return len;
}

struct channel *
broker_channel_find(const struct broker_core *core,
                    const struct broker_where *where)
{
    char key[NAME_BYTES_MAX];
    const size_t len = where_key(where, key);
    struct channel *channel;

    HASH_FIND(hh, core->channels, key, len, channel);
    return channel;
}

struct channel *
broker_channel_get(struct broker_core *core, const struct broker_where *where)
{
    struct channel *channel = broker_channel_find(core, where);
    char key[NAME_BYTES_MAX];

    if (channel != NULL)
        return channel;
    channel = plex_calloc(1, sizeof *channel);
    channel->name_len = where_key(where, key);
    channel->name = plex_calloc(1, channel->name_len);
    memcpy(channel->name, key, channel->name_len);
    channel->where.tenant = channel->name;
    channel->where.ns = channel->name + strlen(channel->name) + 1;
    channel->where.channel = channel->where.ns + strlen(channel->where.ns) + 1;
    TAILQ_INIT(&channel->messages);
    TAILQ_INIT(&channel->groups);
    HASH_ADD_KEYPTR(hh, core->channels, channel->name, channel->name_len,
                    channel);
    core->totals.channels++;
    return channel;
}

struct channel *
broker_channel_use(struct broker_core *core, const struct broker_where *where,
                   void *call)
{
    if (core->totals.channels < core->config.channels_max ||
        broker_channel_find(core, where) != NULL)
        return broker_channel_get(core, where);
    broker_output_refuse(core, call, PLEX_LIMIT, "there are too many channels");
    return NULL;
}

static void
output_ids(struct broker_core *core, void *call,
           const uint8_t first_id[BROKER_ID_BYTES], uint32_t n)
{
    struct output *output = broker_output_add(core, BROKER_REPLY, NULL);

    output->action.call = call;
    output->action.answer = BROKER_IDS;
    output->action.n = n;
    memcpy(output->action.first_id, first_id, BROKER_ID_BYTES);
}

static size_t
send_bytes(const struct broker_send *send)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < send->n; i++)
        bytes += sizeof(struct held) + send->messages[i].payload.len;
    return bytes;
}

void
broker_core_send(struct broker_core *core, struct broker_now now, void *call,
                 const struct broker_send *send)
{
    struct channel *channel = broker_channel_use(core, &send->where, call);
    struct request *known = NULL;
    struct group *group;

    if (channel == NULL)
        return;
    if (send->request_id.len > 0)
        known = broker_request_find(core, channel, send->request_id, now);
    if (known != NULL) {
        output_ids(core, call, known->first_id, known->n);
        return;
    }
    if (core->totals.messages + send->n > core->config.messages_max ||
        core->totals.bytes + send_bytes(send) > core->config.bytes_max) {
        broker_output_refuse(
            core, call, PLEX_LIMIT,
            "the broker is full: receive and acknowledge first");
        return;
    }
    for (uint32_t i = 0; i < send->n; i++) {
        struct held *held = held_make(&send->messages[i]);
        struct output *output = broker_output_add(core, BROKER_PUT, channel);

        broker_id_at(send->first_id, i, held->message.id);
        held->message.seq = core->next_seq++;
        held->message.sent_ms = now.wall_ms;
        held_add(core, channel, held);
        output->held = held;
        held->refs++;
    }
    channel->sent_total += send->n;
    if (send->request_id.len > 0)
        broker_request_remember(core, channel, now, send);
    output_ids(core, call, send->first_id, send->n);
    TAILQ_FOREACH(group, &channel->groups, next)
    broker_group_serve(core, group, now);
}

struct broker_stats
broker_core_stats(const struct broker_core *core,
                  const struct broker_where *where, const char *name)
{
    const struct channel *channel = broker_channel_find(core, where);
    const struct group *group;
    struct broker_stats stats = {0};

    if (channel == NULL)
        return stats;
    stats.sent_total = channel->sent_total;
    stats.acked_total = channel->acked_total;
    group = broker_group_find(channel, name);
    if (group == NULL) {
        stats.waiting = channel->n_messages;
        return stats;
    }
    stats.waiting = group->counts[READY];
    stats.in_flight = group->counts[IN_FLIGHT];
    stats.dead_letters = group->counts[DEAD];
    return stats;
}

uint64_t
broker_core_wait_ms(const struct broker_core *core, struct broker_now now)
{
    uint64_t wait = UINT64_MAX;

    if (core->due_ns != UINT64_MAX)
        wait = core->due_ns <= now.mono_ns
                   ? 0
                   : (core->due_ns - now.mono_ns + 999999) / 1000000;
    if (!TAILQ_EMPTY(&core->by_age)) {
        const uint64_t at = TAILQ_FIRST(&core->by_age)->expires_ms;
        const uint64_t left = at > now.wall_ms ? at - now.wall_ms : 0;

        if (left < wait)
            wait = left;
    }
    return wait;
}

void
broker_core_restore_group(struct broker_core *core,
                          const struct broker_where *where, const char *group,
                          uint64_t from_seq)
{
    (void)broker_group_make(core, broker_channel_get(core, where), group,
                            from_seq);
}

void
broker_core_restore_message(struct broker_core *core,
                            const struct broker_where *where,
                            const struct broker_message *message)
{
    held_add(core, broker_channel_get(core, where), held_make(message));
    if (message->seq >= core->next_seq)
        core->next_seq = message->seq + 1;
}

struct broker_totals
broker_core_totals(const struct broker_core *core)
{
    return core->totals;
}

void
broker_core_free(struct broker_core *core)
{
    struct channel *channel, *next;

    if (core == NULL)
        return;
    while (!TAILQ_EMPTY(&core->by_age))
        broker_request_free(core, TAILQ_FIRST(&core->by_age));
    while (!STAILQ_EMPTY(&core->outputs)) {
        struct output *output = STAILQ_FIRST(&core->outputs);

        STAILQ_REMOVE_HEAD(&core->outputs, next);
        output_free(output);
    }
    output_free(core->popped);
    HASH_ITER(hh, core->channels, channel, next)
    {
        while (!TAILQ_EMPTY(&channel->groups))
            broker_group_free(core, TAILQ_FIRST(&channel->groups));
        while (!TAILQ_EMPTY(&channel->messages)) {
            struct held *held = TAILQ_FIRST(&channel->messages);

            held_forget(core, held);
            broker_held_unref(held);
        }
        HASH_DEL(core->channels, channel);
        free(channel->name);
        free(channel);
    }
    free(core);
}
