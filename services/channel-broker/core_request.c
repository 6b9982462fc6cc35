/* Request ids of sends: the same again sends nothing new. */
#include "services/channel-broker/core_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static size_t
request_key(const struct channel *channel, struct plex_bytes id, uint8_t *key)
{
    assert(id.len == BROKER_ID_BYTES);
    memcpy(key, channel->name, channel->name_len);
    memcpy(key + channel->name_len, id.data, id.len);
    return channel->name_len + id.len;
}

struct request *
broker_request_find(const struct broker_core *core,
                    const struct channel *channel, struct plex_bytes id,
                    struct broker_now now)
{
    uint8_t key[NAME_BYTES_MAX + BROKER_ID_BYTES];
    const size_t len = request_key(channel, id, key);
    struct request *request;

    HASH_FIND(hh, core->requests, key, len, request);
    return request != NULL && request->expires_ms > now.wall_ms ? request
                                                                : NULL;
}

void
broker_request_free(struct broker_core *core, struct request *request)
{
    HASH_DEL(core->requests, request);
    TAILQ_REMOVE(&core->by_age, request, next);
    core->totals.requests--;
    free(request);
}

void
broker_request_forget(struct broker_core *core, struct request *request)
{
    struct output *output =
        broker_output_add(core, BROKER_FORGET, request->channel);

    memcpy(output->request_id,
           request->key + request->key_len - BROKER_ID_BYTES, BROKER_ID_BYTES);
    broker_request_free(core, request);
}

static void
request_add(struct broker_core *core, struct channel *channel,
            struct plex_bytes id, struct request *request)
{
    struct request *old;

    request->channel = channel;
    request->key_len = request_key(channel, id, request->key);
    HASH_FIND(hh, core->requests, request->key, request->key_len, old);
    if (old != NULL)
        broker_request_free(core, old);
    HASH_ADD(hh, core->requests, key, request->key_len, request);
    TAILQ_INSERT_TAIL(&core->by_age, request, next);
    core->totals.requests++;
}

void
broker_request_remember(struct broker_core *core, struct channel *channel,
                        struct broker_now now, const struct broker_send *send)
{
    struct request *request;
    struct output *output;

    if (core->totals.requests >= core->config.requests_max)
        broker_request_forget(core, TAILQ_FIRST(&core->by_age));
    request = plex_calloc(1, sizeof *request);
    request->expires_ms = now.wall_ms + BROKER_REMEMBER_MS;
    request->n = send->n;
    memcpy(request->first_id, send->first_id, BROKER_ID_BYTES);
    request_add(core, channel, send->request_id, request);
    output = broker_output_add(core, BROKER_REMEMBER, channel);
    memcpy(output->request_id, send->request_id.data, BROKER_ID_BYTES);
    memcpy(output->action.first_id, send->first_id, BROKER_ID_BYTES);
    output->action.n = send->n;
    output->action.expires_ms = request->expires_ms;
}

void
broker_core_restore_request(struct broker_core *core,
                            const struct broker_where *where,
                            struct plex_bytes request_id, uint64_t expires_ms,
                            const uint8_t first_id[BROKER_ID_BYTES], uint32_t n)
{
    struct request *request = plex_calloc(1, sizeof *request);

    request->expires_ms = expires_ms;
    request->n = n;
    memcpy(request->first_id, first_id, BROKER_ID_BYTES);
    request_add(core, broker_channel_get(core, where), request_id, request);
}
