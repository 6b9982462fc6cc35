#include "services/worker/wire_place.h"

#include "common/wire.h"

#include "plexspaces/placement/v1/placement.pb-c.h"

#define PB(name) Plexspaces__Placement__V1__##name

enum plex_status
work_start_unpack(struct plex_bytes in, struct plex_arena *arena,
                  struct work_start *out, struct plex_err *err)
{
    const PB(StartRequest) * request;
    ProtobufCMessage *message;

    if (plex_wire_unpack(&plexspaces__placement__v1__start_request__descriptor,
                         in, arena, &message, err) != PLEX_OK)
        return err->status;
    request = (const void *)message;
    *out = (struct work_start){
        .tenant = request->tenant,
        .ns = request->namespace_,
        .module = request->module,
        .behaviour = request->behaviour,
        .name = request->name,
        .args = request->args,
        .request_id = request->request_id,
        .held = plex_wire_bytes_in(request->held),
    };
    if (request->request_id[0] == '\0')
        return plex_err_set(err, PLEX_INVALID, "request_id is empty");
    return PLEX_OK;
}

enum plex_status
work_started_pack(const char *process, struct plex_buf *out,
                  struct plex_err *err)
{
    PB(StartReply) reply = PLEXSPACES__PLACEMENT__V1__START_REPLY__INIT;

    reply.process = plex_wire_text(process);
    return plex_wire_pack(&reply.base, out, err);
}
