#include "services/placement/wire.h"

#include "common/name.h"
#include "common/wire.h"
#include "services/placement/client_wire.h"

#include "plexspaces/node/v1/node.pb-c.h"

#include <string.h>

#define PB(name) Plexspaces__Placement__V1__##name
#define TYPE(name) &plexspaces__placement__v1__##name##__descriptor

/* -- requests -------------------------------------------------------------- */

static enum plex_status
heartbeat_in(const PB(HeartbeatRequest) * in, struct place_request *out,
             struct plex_err *err)
{
    (void)err;
    out->heartbeat = (struct place_heartbeat){
        .node_id = in->node_id,
        .url = in->url,
        .incarnation = in->incarnation,
        .pool = in->pool,
        .applied_version = in->applied_version,
        .load = in->load,
        .draining = in->draining,
    };
    return PLEX_OK;
}

static enum plex_status
drain_in(const Plexspaces__Node__V1__DrainNodeRequest *in,
         struct place_request *out, struct plex_err *err)
{
    out->node_id = in->node_id;
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
        return heartbeat_in((const void *)message, out, err);
    case PLACE_METHOD_WATCH:
        watch = (const void *)message;
        out->pool = watch->pool;
        out->have_version = watch->have_version;
        out->timeout_ms = watch->timeout_ms;
        return PLEX_OK;
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
place_wire_heartbeat(uint64_t lease_ms, uint64_t version, struct plex_buf *out,
                     struct plex_err *err)
{
    PB(HeartbeatReply) reply = PLEXSPACES__PLACEMENT__V1__HEARTBEAT_REPLY__INIT;

    reply.lease_ms = lease_ms;
    reply.version = version;
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
