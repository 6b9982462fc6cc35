/* What tuple spaces over one store send each other: requests for one shard, and
 * what several shards answered to one request. */
#include "common/wire.h"

#include "services/tuplespace/wire_private.h"

#include "plexspaces/tuplespace/v1/shard.pb-c.h"

#define INIT(name) PLEXSPACES__TUPLESPACE__V1__##name##__INIT
#define UNPACK(name, type)                                                  \
    ProtobufCMessage *message;                                              \
    PB(type) * pb;                                                          \
    if (plex_wire_unpack(&plexspaces__tuplespace__v1__##name##__descriptor, \
                         in, arena, &message, err) != PLEX_OK)              \
        return err->status;                                                 \
    pb = (void *)message

enum plex_status
tspace_wire_shard_out(const struct tspace_wire_shard *in, struct plex_buf *out,
                      struct plex_err *err)
{
    PB(ShardRequest) request = INIT(SHARD_REQUEST);

    request.shard = in->shard;
    request.method = in->method;
    request.payload = plex_wire_bytes(in->payload);
    return plex_wire_pack(&request.base, out, err);
}

enum plex_status
tspace_wire_shard(struct plex_bytes in, struct plex_arena *arena,
                  struct tspace_wire_shard *out, struct plex_err *err)
{
    UNPACK(shard_request, ShardRequest);
    *out = (struct tspace_wire_shard){
        .shard = pb->shard,
        .method = pb->method,
        .payload = plex_wire_bytes_in(pb->payload),
    };
    return PLEX_OK;
}

enum plex_status
tspace_wire_read_part(struct plex_bytes in, const struct tspace_wire_part *part,
                      struct plex_arena *arena, struct plex_buf *out,
                      struct plex_err *err)
{
    PB(Claim) claim = INIT(CLAIM);

    UNPACK(read_request, ReadRequest);
    pb->max_results = part->max_results;
    pb->cursor = part->cursor;
    pb->timeout_ms = part->timeout_ms;
    if (part->claim_owner != NULL) {
        claim.owner = plex_wire_text(part->claim_owner);
        claim.lease_ms = part->claim_lease_ms;
        pb->claim = &claim;
    }
    return plex_wire_pack(&pb->base, out, err);
}

enum plex_status
tspace_wire_claim_part(const char *owner, struct plex_buf *out,
                       struct plex_err *err)
{
    PB(ClaimRequest) request = INIT(CLAIM_REQUEST);

    request.owner = plex_wire_text(owner);
    return plex_wire_pack(&request.base, out, err);
}

enum plex_status
tspace_wire_read_counted(struct plex_bytes in, struct plex_arena *arena,
                         struct tspace_wire_counted *out, struct plex_err *err)
{
    UNPACK(read_reply, ReadReply);
    *out = (struct tspace_wire_counted){pb->n_tuples, pb->cursor};
    return PLEX_OK;
}

enum plex_status
tspace_wire_number_counted(struct plex_bytes in, struct plex_arena *arena,
                           struct tspace_wire_counted *out,
                           struct plex_err *err)
{
    UNPACK(count_reply, CountReply);
    *out = (struct tspace_wire_counted){pb->count, 0};
    return PLEX_OK;
}

enum plex_status
tspace_wire_exists_counted(struct plex_bytes in, struct plex_arena *arena,
                           struct tspace_wire_counted *out,
                           struct plex_err *err)
{
    UNPACK(exists_reply, ExistsReply);
    *out = (struct tspace_wire_counted){pb->exists ? 1 : 0, 0};
    return PLEX_OK;
}

enum plex_status
tspace_wire_space_counted(struct plex_bytes in, struct plex_arena *arena,
                          struct tspace_space_stats *out, struct plex_err *err)
{
    UNPACK(space, Space);
    out->tuples += pb->tuples;
    out->bytes += pb->bytes;
    out->waiters += pb->waiters;
    out->indexes += pb->indexes;
    return PLEX_OK;
}

enum plex_status
tspace_wire_cursor_out(uint64_t cursor, struct plex_buf *out,
                       struct plex_err *err)
{
    PB(ReadReply) reply = INIT(READ_REPLY);

    reply.cursor = cursor;
    return plex_wire_pack(&reply.base, out, err);
}
