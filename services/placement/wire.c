#include "services/placement/wire.h"

#include "common/name.h"
#include "common/wire.h"
#include "services/placement/client_wire.h"

#include "plexspaces/node/v1/node.pb-c.h"

#include <stdio.h>
#include <string.h>

/* 16 labels, a name, amounts. */
enum { HELD_BYTES_MAX = 8192 };

#define PB(name) Plexspaces__Placement__V1__##name
#define TYPE(name) &plexspaces__placement__v1__##name##__descriptor

/* -- requests -------------------------------------------------------------- */

static enum plex_status
heartbeat_in(const PB(HeartbeatRequest) * in, struct plex_arena *arena,
             struct place_request *out, struct plex_err *err)
{
    struct place_offer *offer = plex_wire_array(arena, 1, sizeof *offer);

    if (offer == NULL)
        return plex_wire_no_room(err);
    out->heartbeat = (struct place_heartbeat){
        .node_id = in->node_id,
        .url = in->url,
        .incarnation = in->incarnation,
        .pool = in->pool,
        .applied_version = in->applied_version,
        .load = in->load,
        .draining = in->draining,
    };
    if (in->capacity == NULL)
        return PLEX_OK;
    offer->amounts = place_pb_amounts_in(in->capacity);
    offer->labels = place_pb_labels_in(in->labels, in->n_labels, arena);
    offer->n_labels = in->n_labels;
    out->heartbeat.offer = offer;
    return offer->labels == NULL ? plex_wire_no_room(err) : PLEX_OK;
}

static enum plex_status
reserve_in(const PB(ReserveRequest) * in, struct plex_arena *arena,
           struct place_request *out, struct plex_err *err)
{
    char actor[PLACE_BOOK_NAME_MAX + 1];
    struct place_need need;

    if (in->ttl_ms == 0 || in->ttl_ms > PLACE_TTL_MAX_MS)
        return plex_err_set(err, PLEX_INVALID, "ttl_ms must be 1 to %d",
                            PLACE_TTL_MAX_MS);
    if (in->n_unreachable > PLACE_NODES_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "%zu workers are unreachable, at most %d are read",
                            in->n_unreachable, PLACE_NODES_MAX);
    if (place_pb_need_in(plex_wire_bytes_in(in->placement), in->tenant,
                         in->namespace_, arena, &need, err) != PLEX_OK)
        return err->status;
    if (snprintf(actor, sizeof actor, "%s/%s/%s", in->tenant, in->namespace_,
                 in->actor) >= (int)sizeof actor)
        return plex_err_set(err, PLEX_INVALID,
                            "the actor's name has more than %d bytes",
                            PLACE_BOOK_NAME_MAX);
    out->ask = (struct place_ask){
        .request_id = in->request_id,
        .actor = plex_arena_strndup(arena, actor, strlen(actor)),
        .marks = need.marks,
        .n_marks = need.n_marks,
        .need = need.need,
        .alone = in->alone && in->actor[0] != '\0',
    };
    out->ask.need.local = in->node_id;
    out->ask.need.unreachable = (const char *const *)in->unreachable;
    out->ask.need.n_unreachable = in->n_unreachable;
    out->ttl_ms = in->ttl_ms;
    return out->ask.actor == NULL ? plex_wire_no_room(err) : PLEX_OK;
}

static enum plex_status
hold_in(const PB(HoldRequest) * in, struct plex_arena *arena,
        struct place_request *out, struct plex_err *err)
{
    struct place_holding *held =
        plex_wire_array(arena, in->n_held, sizeof *held);

    if (held == NULL)
        return plex_wire_no_room(err);
    if (in->n_held > PLACE_HELD_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "%zu are held, at most %d are allowed", in->n_held,
                            PLACE_HELD_MAX);
    for (size_t i = 0; i < in->n_held; i++) {
        ProtobufCMessage *message;
        const PB(Held) * one;

        if (plex_wire_unpack(TYPE(held), plex_wire_bytes_in(in->held[i]), arena,
                             &message, err) != PLEX_OK)
            return plex_err_wrap(err, "held[%zu]", i);
        one = (const void *)message;
        held[i] = (struct place_holding){
            .request_id = one->request_id,
            .actor = one->actor,
            .marks = place_pb_labels_in(one->marks, one->n_marks, arena),
            .n_marks = one->n_marks,
        };
        if (one->amounts != NULL)
            held[i].amounts = place_pb_amounts_in(one->amounts);
        if (held[i].marks == NULL)
            return plex_wire_no_room(err);
    }
    out->holds = (struct place_holds){
        .node_id = in->node_id,
        .incarnation = in->incarnation,
        .sequence = in->sequence,
        .full = in->full,
        .held = held,
        .n_held = in->n_held,
        .ended = (const char *const *)in->ended,
        .n_ended = in->n_ended,
    };
    return PLEX_OK;
}

static enum plex_status
drain_in(const Plexspaces__Node__V1__DrainNodeRequest *in,
         struct place_request *out, struct plex_err *err)
{
    out->node_id = in->node_id;
    out->force = in->force;
    return plex_name_plain("node_id", in->node_id, strlen(in->node_id), err);
}

static const ProtobufCMessageDescriptor *
request_type(enum place_method method)
{
    switch (method) {
    case PLACE_METHOD_DRAIN_NODE:
        return &plexspaces__node__v1__drain_node_request__descriptor;
    case PLACE_METHOD_HEARTBEAT:
        return TYPE(heartbeat_request);
    case PLACE_METHOD_WATCH:
        return TYPE(watch_table_request);
    case PLACE_METHOD_LEAVE:
        return TYPE(leave_request);
    case PLACE_METHOD_RESERVE:
        return TYPE(reserve_request);
    case PLACE_METHOD_RELEASE:
        return TYPE(release_request);
    case PLACE_METHOD_HOLD:
        return TYPE(hold_request);
    }
    return NULL;
}

enum plex_status
place_wire_request(enum place_method method, struct plex_bytes in,
                   struct plex_arena *arena, struct place_request *out,
                   struct plex_err *err)
{
    ProtobufCMessage *message;
    const PB(WatchTableRequest) * watch;
    const PB(LeaveRequest) * leave;

    *out = (struct place_request){.method = method};
    if (plex_wire_unpack(request_type(method), in, arena, &message, err) !=
        PLEX_OK)
        return err->status;
    switch (method) {
    case PLACE_METHOD_DRAIN_NODE:
        return drain_in((const void *)message, out, err);
    case PLACE_METHOD_HEARTBEAT:
        return heartbeat_in((const void *)message, arena, out, err);
    case PLACE_METHOD_WATCH:
        watch = (const void *)message;
        out->pool = watch->pool;
        out->have_version = watch->have_version;
        out->timeout_ms = watch->timeout_ms;
        return PLEX_OK;
    case PLACE_METHOD_RESERVE:
        return reserve_in((const void *)message, arena, out, err);
    case PLACE_METHOD_RELEASE:
        out->request_id =
            ((const PB(ReleaseRequest) *)(const void *)message)->request_id;
        return PLEX_OK;
    case PLACE_METHOD_HOLD:
        return hold_in((const void *)message, arena, out, err);
    case PLACE_METHOD_LEAVE:
        break;
    }
    leave = (const void *)message;
    out->node_id = leave->node_id;
    out->incarnation = leave->incarnation;
    return PLEX_OK;
}

/* -- replies --------------------------------------------------------------- */

enum plex_status
place_wire_heartbeat(uint64_t lease_ms, uint64_t version, bool hold,
                     struct plex_buf *out, struct plex_err *err)
{
    PB(HeartbeatReply) reply = PLEXSPACES__PLACEMENT__V1__HEARTBEAT_REPLY__INIT;

    reply.lease_ms = lease_ms;
    reply.version = version;
    reply.hold = hold;
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
place_wire_watch(uint64_t version, const struct place_table *table,
                 struct plex_arena *arena, struct plex_buf *out,
                 struct plex_err *err)
{
    PB(WatchTableReply)
    reply = PLEXSPACES__PLACEMENT__V1__WATCH_TABLE_REPLY__INIT;

    reply.version = version;
    reply.unchanged = table == NULL;
    if (table != NULL &&
        place_pb_table_out(table, arena, &reply.table, err) != PLEX_OK)
        return err->status;
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
place_wire_drain(uint32_t shards_left, struct plex_buf *out,
                 struct plex_err *err)
{
    Plexspaces__Node__V1__DrainNodeResponse reply =
        PLEXSPACES__NODE__V1__DRAIN_NODE_RESPONSE__INIT;

    reply.shards_left = shards_left;
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
place_wire_held(const struct place_ask *ask, const struct place_held *held,
                struct plex_arena *arena, struct plex_buf *out,
                struct plex_err *err)
{
    PB(Held) pb = PLEXSPACES__PLACEMENT__V1__HELD__INIT;
    PB(Amounts) amounts;
    PB(Label) *marks = plex_wire_array(arena, ask->n_marks, sizeof *marks);

    pb.marks = plex_wire_array(arena, ask->n_marks, sizeof *pb.marks);
    if (marks == NULL || pb.marks == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < ask->n_marks; i++) {
        plexspaces__placement__v1__label__init(&marks[i]);
        marks[i].key = plex_wire_text(ask->marks[i].key);
        marks[i].value = plex_wire_text(ask->marks[i].value);
        pb.marks[i] = &marks[i];
    }
    place_pb_amounts_out(&held->amounts, &amounts);
    pb.request_id = plex_wire_text(ask->request_id);
    pb.actor = plex_wire_text(ask->actor);
    pb.amounts = &amounts;
    pb.n_marks = ask->n_marks;
    return plex_wire_pack(&pb.base, out, err);
}

enum plex_status
place_wire_reserved(const struct place_ask *ask, const struct place_held *held,
                    struct plex_arena *arena, struct plex_buf *out,
                    struct plex_err *err)
{
    PB(ReserveReply) reply = PLEXSPACES__PLACEMENT__V1__RESERVE_REPLY__INIT;
    struct plex_buf packed = {.max = HELD_BYTES_MAX};
    enum plex_status status;

    status = place_wire_held(ask, held, arena, &packed, err);
    reply.node_id = plex_wire_text(held->node_id);
    reply.incarnation = held->incarnation;
    reply.held = plex_wire_bytes((struct plex_bytes){packed.data, packed.len});
    if (status == PLEX_OK)
        status = plex_wire_pack(&reply.base, out, err);
    plex_buf_free(&packed);
    return status;
}

enum plex_status
place_wire_released(bool was, struct plex_buf *out, struct plex_err *err)
{
    PB(ReleaseReply) reply = PLEXSPACES__PLACEMENT__V1__RELEASE_REPLY__INIT;

    reply.released = was;
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
place_wire_hold(bool again, struct plex_buf *out, struct plex_err *err)
{
    PB(HoldReply) reply = PLEXSPACES__PLACEMENT__V1__HOLD_REPLY__INIT;

    reply.again = again;
    return plex_wire_pack(&reply.base, out, err);
}

/* -- the store ------------------------------------------------------------- */

enum plex_status
place_wire_body_out(const struct place_table *table, struct plex_arena *arena,
                    struct plex_buf *out, struct plex_err *err)
{
    PB(Table) * pb;

    if (place_pb_table_out(table, arena, &pb, err) != PLEX_OK)
        return err->status;
    return plex_wire_pack(&pb->base, out, err);
}

enum plex_status
place_wire_body_in(struct plex_bytes in, struct plex_arena *arena,
                   struct place_table **out, struct plex_err *err)
{
    ProtobufCMessage *message;

    if (plex_wire_unpack(TYPE(table), in, arena, &message, err) != PLEX_OK ||
        place_pb_table_in((PB(Table) *)message, arena, out, err) != PLEX_OK)
        return err->status = PLEX_CORRUPT;
    return PLEX_OK;
}
