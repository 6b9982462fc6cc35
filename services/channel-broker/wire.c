#include "services/channel-broker/wire.h"

#include "common/name.h"
#include "common/wire.h"

#include <string.h>

#include "plexspaces/channel/v1/channel.pb-c.h"

#define PB(name) Plexspaces__Channel__V1__##name

static enum plex_status
check_names(const char *channel, const char **group, struct plex_err *err)
{
    if (plex_name_plain("channel", channel, strlen(channel), err) != PLEX_OK)
        return err->status;
    if (group == NULL)
        return PLEX_OK;
    if (**group == '\0')
        *group = "default";
    return plex_name_plain("group", *group, strlen(*group), err);
}

static enum plex_status
message_in(const PB(Message) * in, struct plex_arena *arena,
           struct broker_message *out, struct plex_err *err)
{
    struct broker_header *headers;

    if (strlen(in->key) > BROKER_KEY_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "key has %zu bytes, at most %d are allowed",
                            strlen(in->key), BROKER_KEY_MAX);
    if (in->payload.len > BROKER_PAYLOAD_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "payload has %zu bytes, at most %d are allowed",
                            in->payload.len, BROKER_PAYLOAD_MAX);
    if (in->n_headers > BROKER_HEADERS_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "there are %zu headers, at most %d are allowed",
                            in->n_headers, BROKER_HEADERS_MAX);
    headers = plex_arena_alloc(arena, in->n_headers * sizeof *headers);
    if (headers == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < in->n_headers; i++)
        headers[i] =
            (struct broker_header){in->headers[i]->key, in->headers[i]->value};
    *out = (struct broker_message){
        .key = in->key,
        .payload = {in->payload.data, in->payload.len},
        .headers = headers,
        .n_headers = (uint32_t)in->n_headers,
    };
    return PLEX_OK;
}

enum plex_status
broker_wire_send(struct plex_bytes in, struct plex_arena *arena,
                 struct broker_send *out, struct plex_err *err)
{
    ProtobufCMessage *message;
    const PB(SendRequest) * pb;
    struct broker_message *messages;

    if (plex_wire_unpack(&plexspaces__channel__v1__send_request__descriptor, in,
                         arena, &message, err) != PLEX_OK)
        return err->status;
    pb = (const void *)message;
    *out = (struct broker_send){
        .where.channel = pb->channel,
        .n = (uint32_t)pb->n_messages,
        .request_id = {pb->request_id.data, pb->request_id.len},
    };
    if (check_names(pb->channel, NULL, err) != PLEX_OK)
        return err->status;
    if (pb->request_id.len != 0 && pb->request_id.len != BROKER_ID_BYTES)
        return plex_err_set(err, PLEX_INVALID,
                            "request_id has %zu bytes, it must have %d or none",
                            pb->request_id.len, BROKER_ID_BYTES);
    if (pb->n_messages == 0 || pb->n_messages > BROKER_SEND_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "messages has %zu entries, 1 to %d are allowed",
                            pb->n_messages, BROKER_SEND_MAX);
    messages = plex_arena_alloc(arena, pb->n_messages * sizeof *messages);
    if (messages == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < pb->n_messages; i++)
        if (message_in(pb->messages[i], arena, &messages[i], err) != PLEX_OK)
            return plex_err_wrap(err, "messages[%zu]", i);
    out->messages = messages;
    return PLEX_OK;
}

enum plex_status
broker_wire_receive(struct plex_bytes in, struct plex_arena *arena,
                    struct broker_receive *out, struct plex_err *err)
{
    ProtobufCMessage *message;
    const PB(ReceiveRequest) * pb;

    if (plex_wire_unpack(&plexspaces__channel__v1__receive_request__descriptor,
                         in, arena, &message, err) != PLEX_OK)
        return err->status;
    pb = (const void *)message;
    *out = (struct broker_receive){
        .where.channel = pb->channel,
        .group = pb->group,
        .max = pb->max_messages == 0 ? 1 : pb->max_messages,
        .timeout_ms = pb->timeout_ms,
        .visibility_ms =
            pb->visibility_ms == 0 ? BROKER_VISIBILITY_MS : pb->visibility_ms,
    };
    if (check_names(pb->channel, &out->group, err) != PLEX_OK)
        return err->status;
    if (out->max > BROKER_RECEIVE_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "max_messages is %u, 1 to %d are allowed", out->max,
                            BROKER_RECEIVE_MAX);
    if (out->timeout_ms > BROKER_WAIT_MAX_MS)
        return plex_err_set(err, PLEX_INVALID,
                            "timeout_ms is more than 3600000 (one hour)");
    if (out->visibility_ms > BROKER_VISIBILITY_MAX_MS)
        return plex_err_set(err, PLEX_INVALID,
                            "visibility_ms is more than 43200000 (12 hours)");
    return PLEX_OK;
}

enum plex_status
broker_wire_settle(struct plex_bytes in, bool ack, struct plex_arena *arena,
                   struct broker_settle *out, struct plex_err *err)
{
    /* The two requests have the same fields under the same numbers. */
    ProtobufCMessage *message;
    const PB(AckRequest) * pb;
    struct plex_bytes *ids;

    if (plex_wire_unpack(&plexspaces__channel__v1__ack_request__descriptor, in,
                         arena, &message, err) != PLEX_OK)
        return err->status;
    pb = (const void *)message;
    *out = (struct broker_settle){
        .where.channel = pb->channel,
        .group = pb->group,
        .n = (uint32_t)pb->n_ids,
        .ack = ack,
    };
    if (check_names(pb->channel, &out->group, err) != PLEX_OK)
        return err->status;
    if (pb->n_ids == 0 || pb->n_ids > BROKER_RECEIVE_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "ids has %zu entries, 1 to %d are allowed",
                            pb->n_ids, BROKER_RECEIVE_MAX);
    ids = plex_arena_alloc(arena, pb->n_ids * sizeof *ids);
    if (ids == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < pb->n_ids; i++) {
        ids[i] = (struct plex_bytes){pb->ids[i].data, pb->ids[i].len};
        if (ids[i].len != BROKER_ID_BYTES)
            return plex_err_set(err, PLEX_INVALID,
                                "ids[%zu] has %zu bytes, it must have %d", i,
                                ids[i].len, BROKER_ID_BYTES);
    }
    out->ids = ids;
    return PLEX_OK;
}

enum plex_status
broker_wire_stats(struct plex_bytes in, struct plex_arena *arena,
                  struct broker_where *where, const char **group,
                  struct plex_err *err)
{
    ProtobufCMessage *message;
    const PB(GetStatsRequest) * pb;

    if (plex_wire_unpack(
            &plexspaces__channel__v1__get_stats_request__descriptor, in, arena,
            &message, err) != PLEX_OK)
        return err->status;
    pb = (const void *)message;
    where->channel = pb->channel;
    *group = pb->group;
    return check_names(pb->channel, group, err);
}

/* -- replies --------------------------------------------------------------- */

static enum plex_status
ids_out(const struct broker_action *action, struct plex_arena *arena,
        struct plex_buf *out, struct plex_err *err)
{
    PB(SendReply) reply = PLEXSPACES__CHANNEL__V1__SEND_REPLY__INIT;

    reply.n_ids = action->n;
    reply.ids = plex_arena_alloc(arena, action->n * sizeof *reply.ids);
    if (reply.ids == NULL)
        return plex_wire_no_room(err);
    for (uint32_t i = 0; i < action->n; i++) {
        uint8_t *id = plex_arena_alloc(arena, BROKER_ID_BYTES);

        if (id == NULL)
            return plex_wire_no_room(err);
        broker_id_at(action->first_id, i, id);
        reply.ids[i] =
            plex_wire_bytes((struct plex_bytes){id, BROKER_ID_BYTES});
    }
    return plex_wire_pack(&reply.base, out, err);
}

static PB(Message) *
    message_out(const struct broker_delivered *in, struct plex_arena *arena)
{
    const struct broker_message *from = in->message;
    PB(Message) *out = plex_arena_alloc(arena, sizeof *out);
    PB(Message__HeadersEntry) *entries =
        plex_arena_alloc(arena, from->n_headers * sizeof *entries);
    PB(Message__HeadersEntry) **list =
        plex_arena_alloc(arena, from->n_headers * sizeof *list);

    if (out == NULL || entries == NULL || list == NULL)
        return NULL;
    plexspaces__channel__v1__message__init(out);
    out->id = plex_wire_bytes((struct plex_bytes){from->id, BROKER_ID_BYTES});
    out->key = plex_wire_text(from->key);
    out->payload = plex_wire_bytes(from->payload);
    out->delivery_count = in->count;
    out->sent_ms = from->sent_ms;
    out->n_headers = from->n_headers;
    out->headers = list;
    for (uint32_t i = 0; i < from->n_headers; i++) {
        list[i] = &entries[i];
        plexspaces__channel__v1__message__headers_entry__init(&entries[i]);
        entries[i].key = plex_wire_text(from->headers[i].name);
        entries[i].value = plex_wire_text(from->headers[i].value);
    }
    return out;
}

static enum plex_status
messages_out(const struct broker_action *action, struct plex_arena *arena,
             struct plex_buf *out, struct plex_err *err)
{
    PB(ReceiveReply) reply = PLEXSPACES__CHANNEL__V1__RECEIVE_REPLY__INIT;

    reply.n_messages = action->n;
    if (action->n > 0) {
        reply.messages =
            plex_arena_alloc(arena, action->n * sizeof *reply.messages);
        if (reply.messages == NULL)
            return plex_wire_no_room(err);
    }
    for (uint32_t i = 0; i < action->n; i++)
        if ((reply.messages[i] = message_out(&action->delivered[i], arena)) ==
            NULL)
            return plex_wire_no_room(err);
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
broker_wire_answer(const struct broker_action *action, struct plex_arena *arena,
                   struct plex_buf *out, struct plex_err *err)
{
    /* AckReply and NackReply have the same field. */
    PB(AckReply) reply = PLEXSPACES__CHANNEL__V1__ACK_REPLY__INIT;

    if (action->answer == BROKER_IDS)
        return ids_out(action, arena, out, err);
    if (action->answer == BROKER_MESSAGES)
        return messages_out(action, arena, out, err);
    reply.acked = action->count;
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
broker_wire_stats_reply(const struct broker_stats *stats, struct plex_buf *out,
                        struct plex_err *err)
{
    PB(GetStatsReply) reply = PLEXSPACES__CHANNEL__V1__GET_STATS_REPLY__INIT;

    reply.waiting = stats->waiting;
    reply.in_flight = stats->in_flight;
    reply.dead_letters = stats->dead_letters;
    reply.sent_total = stats->sent_total;
    reply.acked_total = stats->acked_total;
    return plex_wire_pack(&reply.base, out, err);
}
