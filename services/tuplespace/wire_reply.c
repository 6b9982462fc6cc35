/* Replies and events. */
#include "common/wire.h"

#include "services/tuplespace/client.h"
#include "services/tuplespace/wire_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define INIT(name) PLEXSPACES__TUPLESPACE__V1__##name##__INIT

static enum plex_status
write_out(const struct tspace_answer *answer, struct plex_arena *arena,
          struct plex_buf *out, struct plex_err *err)
{
    PB(WriteReply) reply = INIT(WRITE_REPLY);

    reply.n_ids = answer->n;
    reply.ids = plex_wire_array(arena, answer->n, sizeof *reply.ids);
    if (reply.ids == NULL)
        return plex_wire_no_room(err);
    for (uint32_t i = 0; i < answer->n; i++)
        reply.ids[i] = answer->first_id + i;
    return plex_wire_pack(&reply.base, out, err);
}

static PB(Tuple) * answer_tuple(const struct tspace_answer *answer, uint32_t i,
                                struct plex_arena *arena)
{
    struct tspace_tuple tuple;

    tspace_answer_tuple(answer, i, &tuple);
    return tspace_wire_tuple(&tuple, arena);
}

static enum plex_status
read_out(const struct tspace_answer *answer, struct plex_arena *arena,
         struct plex_buf *out, struct plex_err *err)
{
    PB(ReadReply) reply = INIT(READ_REPLY);

    reply.cursor = answer->cursor;
    reply.n_tuples = answer->n;
    reply.tuples = plex_wire_array(arena, answer->n, sizeof *reply.tuples);
    if (reply.tuples == NULL)
        return plex_wire_no_room(err);
    for (uint32_t i = 0; i < answer->n; i++)
        if ((reply.tuples[i] = answer_tuple(answer, i, arena)) == NULL)
            return plex_wire_no_room(err);
    return plex_wire_pack(&reply.base, out, err);
}

static enum plex_status
swap_out(const struct tspace_answer *answer, struct plex_arena *arena,
         struct plex_buf *out, struct plex_err *err)
{
    PB(SwapReply) reply = INIT(SWAP_REPLY);

    reply.swapped = answer->n > 0;
    if (answer->n > 0 && (reply.tuple = answer_tuple(answer, 0, arena)) == NULL)
        return plex_wire_no_room(err);
    return plex_wire_pack(&reply.base, out, err);
}

static enum plex_status
lease_out(const struct tspace_answer *answer, struct plex_arena *arena,
          struct plex_buf *out, struct plex_err *err)
{
    PB(LeaseReply) reply = INIT(LEASE_REPLY);

    if (answer->n > 0 && (reply.tuple = answer_tuple(answer, 0, arena)) == NULL)
        return plex_wire_no_room(err);
    return plex_wire_pack(&reply.base, out, err);
}

static enum plex_status
count_out(uint64_t count, struct plex_buf *out, struct plex_err *err)
{
    PB(CountReply) reply = INIT(COUNT_REPLY);

    reply.count = count;
    return plex_wire_pack(&reply.base, out, err);
}

static enum plex_status
exists_out(bool exists, struct plex_buf *out, struct plex_err *err)
{
    PB(ExistsReply) reply = INIT(EXISTS_REPLY);

    reply.exists = exists;
    return plex_wire_pack(&reply.base, out, err);
}

static enum plex_status
begin_out(uint64_t id, struct plex_buf *out, struct plex_err *err)
{
    PB(BeginTransactionReply) reply = INIT(BEGIN_TRANSACTION_REPLY);

    reply.transaction_id = id;
    return plex_wire_pack(&reply.base, out, err);
}

static enum plex_status
subscribe_out(uint64_t id, struct plex_buf *out, struct plex_err *err)
{
    PB(SubscribeReply) reply = INIT(SUBSCRIBE_REPLY);

    reply.subscription_id = id;
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
tspace_wire_answer(enum tspace_reply kind, const struct tspace_answer *answer,
                   struct plex_arena *arena, struct plex_buf *out,
                   struct plex_err *err)
{
    switch (kind) {
    case TSPACE_REPLY_WRITE:
        return write_out(answer, arena, out, err);
    case TSPACE_REPLY_READ:
        return read_out(answer, arena, out, err);
    case TSPACE_REPLY_EXISTS:
        return exists_out(answer->n > 0, out, err);
    case TSPACE_REPLY_COUNT:
        return count_out(answer->number, out, err);
    case TSPACE_REPLY_SWAP:
        return swap_out(answer, arena, out, err);
    case TSPACE_REPLY_LEASE:
        return lease_out(answer, arena, out, err);
    case TSPACE_REPLY_BEGIN:
        return begin_out(answer->number, out, err);
    case TSPACE_REPLY_SUBSCRIBE:
        return subscribe_out(answer->number, out, err);
    case TSPACE_REPLY_EMPTY:
        break;
    }
    return PLEX_OK; /* an empty message has no bytes */
}

/* -- spaces ------------------------------------------------------------------
 */

static uint32_t *
bits_out(uint64_t bits, struct plex_arena *arena, size_t *n)
{
    uint32_t *fields = plex_wire_array(arena, 64, sizeof *fields);

    *n = 0;
    for (uint32_t i = 0; fields != NULL && i < 64; i++)
        if ((bits >> i & 1) != 0)
            fields[(*n)++] = i;
    return fields;
}

static PB(Index) *
    index_out(const struct tspace_index *in, struct plex_arena *arena)
{
    PB(Index) *out = plex_arena_alloc(arena, sizeof *out);

    if (out == NULL)
        return NULL;
    plexspaces__tuplespace__v1__index__init(out);
    out->arity = in->fields;
    out->exact = bits_out(in->exact, arena, &out->n_exact);
    out->types = bits_out(in->types, arena, &out->n_types);
    out->ordered = plex_wire_array(arena, 1, sizeof *out->ordered);
    if (out->exact == NULL || out->types == NULL || out->ordered == NULL)
        return NULL;
    out->n_ordered = in->ordered > 0;
    out->ordered[0] = in->ordered - (in->ordered > 0);
    return out;
}

enum plex_status
tspace_wire_space_reply(const char *space,
                        const struct tspace_space_stats *stats,
                        struct plex_arena *arena, struct plex_buf *out,
                        struct plex_err *err)
{
    PB(SpaceOptions) options = INIT(SPACE_OPTIONS);
    PB(Space) reply = INIT(SPACE);

    reply.space = plex_wire_text(space);
    reply.options = &options;
    reply.tuples = stats->tuples;
    reply.bytes = stats->bytes;
    reply.waiters = stats->waiters;
    reply.indexes = stats->indexes;
    options.tuples_max = stats->options.tuples_max;
    options.bytes_max = stats->options.bytes_max;
    options.waiters_max = stats->options.waiters_max;
    options.default_ttl_ms = stats->options.default_ttl_ms;
    if (stats->options.partition_field == TSPACE_PARTITION_OWN) {
        options.partition_case =
            PLEXSPACES__TUPLESPACE__V1__SPACE_OPTIONS__PARTITION_OWN_SHARD;
        options.own_shard = true;
    } else if (stats->options.partition_field != 0) {
        options.partition_case =
            PLEXSPACES__TUPLESPACE__V1__SPACE_OPTIONS__PARTITION_PARTITION_FIELD;
        options.partition_field = stats->options.partition_field - 1;
    }
    options.n_indexes = stats->options.n_indexes;
    options.indexes =
        plex_wire_array(arena, options.n_indexes, sizeof *options.indexes);
    if (options.indexes == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < options.n_indexes; i++)
        if ((options.indexes[i] =
                 index_out(&stats->options.indexes[i], arena)) == NULL)
            return plex_wire_no_room(err);
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
tspace_wire_list_reply(const char *const *names, uint32_t n, bool more,
                       struct plex_buf *out, struct plex_err *err)
{
    PB(ListSpacesReply) reply = INIT(LIST_SPACES_REPLY);

    reply.n_spaces = n;
    reply.spaces = (char **)(uintptr_t)names;
    if (more && n > 0)
        reply.next_page_token = plex_wire_text(names[n - 1]);
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
tspace_wire_stats_reply(const struct tspace_stats *stats, struct plex_buf *out,
                        struct plex_err *err)
{
    PB(GetStatsReply) reply = INIT(GET_STATS_REPLY);

    reply.tuples = stats->tuples;
    reply.bytes = stats->bytes;
    reply.spaces = stats->spaces;
    reply.waiters = stats->waiters;
    reply.transactions = stats->transactions;
    reply.claims = stats->claims;
    reply.subscriptions = stats->subscriptions;
    reply.events = stats->events;
    reply.requests = stats->requests;
    reply.indexes = stats->indexes;
    reply.index_bytes = stats->index_bytes;
    reply.written_total = stats->written;
    reply.taken_total = stats->taken;
    reply.expired_total = stats->expired;
    return plex_wire_pack(&reply.base, out, err);
}

/* -- events ------------------------------------------------------------------
 */

enum plex_status
tspace_wire_event(const struct tspace_notice *notice, struct plex_arena *arena,
                  struct plex_buf *out, struct plex_err *err)
{
    PB(TupleEvent) event = INIT(TUPLE_EVENT);

    event.event = (PB(Event))notice->event;
    event.number = notice->number;
    event.lost = notice->lost;
    event.tuple = tspace_wire_tuple(&notice->tuple, arena);
    if (event.tuple == NULL)
        return plex_wire_no_room(err);
    return plex_wire_pack(&event.base, out, err);
}

static size_t
put_varint(uint8_t out[10], uint64_t value)
{
    size_t n = 0;

    for (; value >= 0x80; value >>= 7)
        out[n++] = (uint8_t)(value | 0x80);
    out[n++] = (uint8_t)value;
    return n;
}

/* Events are packed already: each is field 1, a message, of the reply. */
enum plex_status
tspace_wire_events_reply(const struct plex_bytes *events, size_t n,
                         struct plex_buf *out, struct plex_err *err)
{
    uint8_t head[11] = {1 << 3 | 2};

    for (size_t i = 0; i < n; i++) {
        const size_t len = 1 + put_varint(head + 1, events[i].len);
        uint8_t *to = plex_buf_grow(out, len + events[i].len);

        if (to == NULL)
            return plex_err_set(err, PLEX_TOO_LARGE,
                                "the events have more than %zu bytes",
                                out->max);
        memcpy(to, head, len);
        memcpy(to + len, events[i].data, events[i].len);
    }
    return PLEX_OK;
}

char *
tspace_wire_event_json(struct plex_bytes event, uint64_t subscription)
{
    PB(TupleEvent) *message = plexspaces__tuplespace__v1__tuple_event__unpack(
        NULL, event.len, event.data);
    char id[24];
    json_t *json;
    char *text;

    if (message == NULL)
        return NULL;
    json = plex_json_from_pb_as(&tspace_json_form, &message->base);
    (void)snprintf(id, sizeof id, "%" PRIu64, subscription);
    (void)json_object_set_new(json, "subscription_id", json_string(id));
    text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    plexspaces__tuplespace__v1__tuple_event__free_unpacked(message, NULL);
    return text;
}
