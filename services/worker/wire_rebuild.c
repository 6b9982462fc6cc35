#include "services/worker/wire_rebuild.h"

#include "common/wire.h"
#include "plexspaces/worker/v1/worker.pb-c.h"
#include "services/journal/client.h"

#define PB(name) Plexspaces__Worker__V1__##name

enum plex_status
work_rebuild_pack(const struct work_rebuild *rebuild, struct plex_buf *out,
                  struct plex_err *err)
{
    PB(RebuildRequest) pb = PLEXSPACES__WORKER__V1__REBUILD_REQUEST__INIT;
    struct plex_arena arena;
    enum plex_status status;
    PB(RebuildRecord) * *rows, *space;

    plex_arena_init(&arena, PLEX_WIRE_BYTES_MAX);
    rows = plex_arena_alloc(&arena, (rebuild->n_records + 1) * sizeof *rows);
    space = plex_arena_alloc(&arena, (rebuild->n_records + 1) * sizeof *space);
    if (rows == NULL || space == NULL) {
        plex_arena_fini(&arena);
        return plex_err_set(err, PLEX_TOO_LARGE, "%zu records do not fit",
                            rebuild->n_records);
    }
    pb.tenant = plex_wire_text(rebuild->actor.tenant);
    pb.namespace_ = plex_wire_text(rebuild->actor.ns);
    pb.type = plex_wire_text(rebuild->actor.type);
    pb.key = plex_wire_text(rebuild->actor.key);
    pb.has_state = rebuild->has_state;
    pb.state = plex_wire_bytes(rebuild->state);
    pb.schema_version = rebuild->schema_version;
    for (size_t i = 0; i < rebuild->n_records; i++) {
        const struct journal_record *record = &rebuild->records[i];

        plexspaces__worker__v1__rebuild_record__init(&space[i]);
        space[i].sequence = record->seq;
        space[i].at_ms = record->at_ms;
        space[i].schema_version = record->schema_version;
        space[i].record = plex_wire_bytes(record->bytes);
        rows[i] = &space[i];
    }
    pb.records = rows;
    pb.n_records = rebuild->n_records;
    status = plex_wire_pack(&pb.base, out, err);
    plex_arena_fini(&arena);
    return status;
}

enum plex_status
work_rebuild_unpack(struct plex_bytes in, struct plex_arena *arena,
                    struct work_rebuild *out, struct plex_err *err)
{
    const PB(RebuildRequest) * pb;
    struct journal_record *records;
    ProtobufCMessage *base;

    if (plex_wire_unpack(&plexspaces__worker__v1__rebuild_request__descriptor,
                         in, arena, &base, err) != PLEX_OK)
        return err->status;
    pb = (const void *)base;
    if (pb->n_records > JOURNAL_HISTORY_MAX ||
        pb->state.len > JOURNAL_STATE_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "a rebuild of %zu records onto %zu bytes; at most "
                            "%d and %d are allowed",
                            pb->n_records, pb->state.len, JOURNAL_HISTORY_MAX,
                            JOURNAL_STATE_MAX);
    records = plex_arena_alloc(arena, (pb->n_records + 1) * sizeof *records);
    if (records == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE, "the records do not fit");
    for (size_t i = 0; i < pb->n_records; i++)
        records[i] = (struct journal_record){
            .seq = pb->records[i]->sequence,
            .at_ms = pb->records[i]->at_ms,
            .schema_version = pb->records[i]->schema_version,
            .bytes = plex_wire_bytes_in(pb->records[i]->record),
        };
    *out = (struct work_rebuild){
        .actor = {pb->tenant, pb->namespace_, pb->type, pb->key},
        .has_state = pb->has_state,
        .state = plex_wire_bytes_in(pb->state),
        .schema_version = pb->schema_version,
        .records = records,
        .n_records = pb->n_records,
    };
    return plex_name_actor(&out->actor, err);
}

enum plex_status
work_rebuilt_pack(const struct work_rebuilt *rebuilt, struct plex_buf *out,
                  struct plex_err *err)
{
    PB(RebuildReply) pb = PLEXSPACES__WORKER__V1__REBUILD_REPLY__INIT;

    pb.has_state = rebuilt->has_state;
    pb.state = plex_wire_bytes(rebuilt->state);
    pb.schema_version = rebuilt->schema_version;
    return plex_wire_pack(&pb.base, out, err);
}

enum plex_status
work_rebuilt_unpack(struct plex_bytes in, struct plex_arena *arena,
                    struct work_rebuilt *out, struct plex_err *err)
{
    const PB(RebuildReply) * pb;
    ProtobufCMessage *base;

    if (plex_wire_unpack(&plexspaces__worker__v1__rebuild_reply__descriptor, in,
                         arena, &base, err) != PLEX_OK)
        return err->status;
    pb = (const void *)base;
    *out = (struct work_rebuilt){
        .has_state = pb->has_state,
        .state = plex_wire_bytes_in(pb->state),
        .schema_version = pb->schema_version,
    };
    return PLEX_OK;
}
