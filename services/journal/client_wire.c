#include "services/journal/client_wire.h"

#include "common/wire.h"

#include <string.h>

#include "plexspaces/journal/v1/journal.pb-c.h"

#define PB(name) Plexspaces__Journal__V1__##name
#define TYPE(name) &plexspaces__journal__v1__##name##__descriptor

static void
actor_out(const struct plex_actor_id *id, PB(ActorId) * out)
{
    plexspaces__journal__v1__actor_id__init(out);
    out->tenant = (char *)(uintptr_t)id->tenant;
    out->namespace_ = (char *)(uintptr_t)id->ns;
    out->type = (char *)(uintptr_t)id->type;
    out->key = (char *)(uintptr_t)id->key;
}

static enum plex_status
actor_in(const PB(ActorId) * in, struct plex_actor_id *out,
         struct plex_err *err)
{
    if (in == NULL)
        return plex_err_set(err, PLEX_INVALID, "actor is missing");
    *out =
        (struct plex_actor_id){in->tenant, in->namespace_, in->type, in->key};
    return plex_name_actor(out, err);
}

/* -- requests -------------------------------------------------------------- */

/* Everything one entry needs, in one block. */
struct entry_pb {
    PB(Entry) entry;
    PB(ActorId) actor;
    union {
        PB(Turn) turn;
        PB(Settle) settle;
        PB(Snapshot) snapshot;
    } u;
};

static bool
settled_out(const struct journal_entry *entry, struct plex_arena *arena,
            size_t *n, ProtobufCBinaryData **out)
{
    *n = entry->n_settled;
    if (*n == 0)
        return true;
    *out = plex_arena_alloc(arena, *n * sizeof **out);
    for (size_t i = 0; *out != NULL && i < *n; i++)
        (*out)[i] = plex_wire_bytes(entry->settled[i]);
    return *out != NULL;
}

static bool
pending_out(const struct journal_entry *entry, struct plex_arena *arena,
            PB(Turn) * out)
{
    const size_t n = entry->n_pending;
    PB(Pending) * items;

    if (n == 0)
        return true;
    items = plex_arena_alloc(arena, n * sizeof *items);
    out->pending = plex_arena_alloc(arena, n * sizeof *out->pending);
    if (items == NULL || out->pending == NULL)
        return false;
    for (size_t i = 0; i < n; i++) {
        plexspaces__journal__v1__pending__init(&items[i]);
        items[i].id = plex_wire_bytes(entry->pending[i].id);
        items[i].due_ms = entry->pending[i].due_ms;
        items[i].message = plex_wire_bytes(entry->pending[i].message);
        out->pending[i] = &items[i];
    }
    out->n_pending = n;
    return true;
}

static bool
turn_out(const struct journal_entry *entry, struct plex_arena *arena,
         struct entry_pb *pb)
{
    PB(Turn) *turn = &pb->u.turn;

    plexspaces__journal__v1__turn__init(turn);
    pb->entry.kind_case = PLEXSPACES__JOURNAL__V1__ENTRY__KIND_TURN;
    pb->entry.turn = turn;
    turn->actor = &pb->actor;
    turn->shard = entry->shard;
    turn->epoch = entry->epoch;
    turn->seq = entry->seq;
    turn->message_id = plex_wire_bytes(entry->message_id);
    turn->request_hash = entry->request_hash;
    turn->expires_ms = entry->expires_ms;
    turn->at_ms = entry->at_ms;
    turn->has_state = entry->has_state;
    turn->schema_version = entry->schema_version;
    turn->record = plex_wire_bytes(entry->record);
    turn->rebuilds = entry->rebuilds;
    turn->reply = plex_wire_bytes(entry->reply);
    if (entry->has_state)
        turn->state = plex_wire_bytes(entry->state);
    return pending_out(entry, arena, turn) &&
           settled_out(entry, arena, &turn->n_settled, &turn->settled);
}

static bool
entry_out(const struct journal_entry *entry, struct plex_arena *arena,
          struct entry_pb *pb)
{
    plexspaces__journal__v1__entry__init(&pb->entry);
    actor_out(&entry->actor, &pb->actor);
    if (entry->kind == JOURNAL_TURN)
        return turn_out(entry, arena, pb);
    if (entry->kind == JOURNAL_SETTLE) {
        PB(Settle) *settle = &pb->u.settle;

        plexspaces__journal__v1__settle__init(settle);
        pb->entry.kind_case = PLEXSPACES__JOURNAL__V1__ENTRY__KIND_SETTLE;
        pb->entry.settle = settle;
        settle->actor = &pb->actor;
        settle->shard = entry->shard;
        settle->epoch = entry->epoch;
        return settled_out(entry, arena, &settle->n_settled, &settle->settled);
    }
    plexspaces__journal__v1__snapshot__init(&pb->u.snapshot);
    pb->entry.kind_case = PLEXSPACES__JOURNAL__V1__ENTRY__KIND_SNAPSHOT;
    pb->entry.snapshot = &pb->u.snapshot;
    pb->u.snapshot.actor = &pb->actor;
    pb->u.snapshot.shard = entry->shard;
    pb->u.snapshot.epoch = entry->epoch;
    pb->u.snapshot.seq = entry->seq;
    pb->u.snapshot.state = plex_wire_bytes(entry->state);
    pb->u.snapshot.schema_version = entry->schema_version;
    return true;
}

static enum plex_status
append_out(const struct journal_entry *entries, size_t n,
           struct plex_arena *arena, struct plex_buf *out, struct plex_err *err)
{
    PB(AppendRequest) request = PLEXSPACES__JOURNAL__V1__APPEND_REQUEST__INIT;
    struct entry_pb *pbs = plex_arena_alloc(arena, n * sizeof *pbs);

    request.n_entries = n;
    request.entries = plex_arena_alloc(arena, n * sizeof *request.entries);
    if (pbs == NULL || request.entries == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < n; i++) {
        if (!entry_out(&entries[i], arena, &pbs[i]))
            return plex_wire_no_room(err);
        request.entries[i] = &pbs[i].entry;
    }
    return plex_wire_pack(&request.base, out, err);
}

enum plex_status
journal_pack_append(const struct journal_entry *entries, size_t n,
                    struct plex_buf *out, struct plex_err *err)
{
    struct plex_arena arena;
    enum plex_status status;

    plex_arena_init(&arena, 64 << 20);
    status = append_out(entries, n, &arena, out, err);
    plex_arena_fini(&arena);
    return status;
}

enum plex_status
journal_pack_load(const struct journal_load *load, struct plex_buf *out,
                  struct plex_err *err)
{
    PB(LoadRequest) request = PLEXSPACES__JOURNAL__V1__LOAD_REQUEST__INIT;
    PB(ActorId) actor;

    actor_out(&load->actor, &actor);
    request.actor = &actor;
    request.shard = load->shard;
    request.epoch = load->epoch;
    request.recent_max = load->recent_max;
    request.records = load->records;
    request.records_from = load->records_from;
    return plex_wire_pack(&request.base, out, err);
}

enum plex_status
journal_pack_fence(const struct journal_fence *ranges, size_t n,
                   struct plex_buf *out, struct plex_err *err)
{
    PB(FenceRequest) request = PLEXSPACES__JOURNAL__V1__FENCE_REQUEST__INIT;
    struct plex_arena arena;
    PB(FenceRange) * items;
    enum plex_status status;

    plex_arena_init(&arena, 16 << 20);
    request.n_ranges = n;
    request.ranges = plex_arena_alloc(&arena, n * sizeof *request.ranges);
    items = plex_arena_alloc(&arena, n * sizeof *items);
    if (items == NULL || request.ranges == NULL) {
        plex_arena_fini(&arena);
        return plex_wire_no_room(err);
    }
    for (size_t i = 0; i < n; i++) {
        plexspaces__journal__v1__fence_range__init(&items[i]);
        items[i].first = ranges[i].first;
        items[i].last = ranges[i].last;
        items[i].epoch = ranges[i].epoch;
        request.ranges[i] = &items[i];
    }
    status = plex_wire_pack(&request.base, out, err);
    plex_arena_fini(&arena);
    return status;
}

enum plex_status
journal_pack_lookup(const char *tenant, struct plex_bytes id,
                    struct plex_buf *out, struct plex_err *err)
{
    PB(LookupRequest) request = PLEXSPACES__JOURNAL__V1__LOOKUP_REQUEST__INIT;

    request.tenant = (char *)(uintptr_t)tenant;
    request.message_id = plex_wire_bytes(id);
    return plex_wire_pack(&request.base, out, err);
}

static enum plex_status
answers_out(const struct journal_asked *asked, size_t n,
            struct plex_arena *arena, struct plex_buf *out,
            struct plex_err *err)
{
    PB(AnswersRequest)
    request = PLEXSPACES__JOURNAL__V1__ANSWERS_REQUEST__INIT;
    struct item {
        PB(AnswersRequest__Asked) asked;
        PB(ActorId) actor;
    } *items = plex_arena_alloc(arena, n * sizeof *items + 1);

    request.n_asked = n;
    request.asked = plex_arena_alloc(arena, n * sizeof *request.asked + 1);
    if (items == NULL || request.asked == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < n; i++) {
        plexspaces__journal__v1__answers_request__asked__init(&items[i].asked);
        actor_out(&asked[i].actor, &items[i].actor);
        items[i].asked.actor = &items[i].actor;
        items[i].asked.message_id = plex_wire_bytes(asked[i].message_id);
        request.asked[i] = &items[i].asked;
    }
    return plex_wire_pack(&request.base, out, err);
}

enum plex_status
journal_pack_answers(const struct journal_asked *asked, size_t n,
                     struct plex_buf *out, struct plex_err *err)
{
    struct plex_arena arena;
    enum plex_status status;

    plex_arena_init(&arena, 1 << 20);
    status = answers_out(asked, n, &arena, out, err);
    plex_arena_fini(&arena);
    return status;
}

enum plex_status
journal_pack_pending(uint32_t first, uint32_t last, struct plex_bytes after,
                     uint32_t limit, struct plex_buf *out, struct plex_err *err)
{
    PB(PendingRequest)
    request = PLEXSPACES__JOURNAL__V1__PENDING_REQUEST__INIT;

    request.first_shard = first;
    request.last_shard = last;
    request.after = plex_wire_bytes(after);
    request.limit = limit;
    return plex_wire_pack(&request.base, out, err);
}

enum plex_status
journal_pack_due(const struct journal_due *want, struct plex_buf *out,
                 struct plex_err *err)
{
    PB(PendingRequest)
    request = PLEXSPACES__JOURNAL__V1__PENDING_REQUEST__INIT;

    request.first_shard = want->first;
    request.last_shard = want->last;
    request.after = plex_wire_bytes(want->after);
    request.limit = want->limit;
    request.until_ms = want->until_ms;
    return plex_wire_pack(&request.base, out, err);
}

/* -- replies --------------------------------------------------------------- */

enum plex_status
journal_unpack_append(struct plex_bytes in, size_t n, struct plex_arena *arena,
                      struct journal_result **out, struct plex_err *err)
{
    ProtobufCMessage *message;
    const PB(AppendReply) * reply;
    struct journal_result *results;

    if (plex_wire_unpack(TYPE(append_reply), in, arena, &message, err) !=
        PLEX_OK)
        return err->status;
    reply = (const void *)message;
    if (reply->n_results != n)
        return plex_err_set(err, PLEX_INVALID,
                            "the journal answered %zu of %zu entries",
                            reply->n_results, n);
    results = plex_arena_alloc(arena, n * sizeof *results + 1);
    if (results == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < n; i++) {
        const PB(EntryResult) *item = reply->results[i];

        results[i] = (struct journal_result){
            .status = plex_status_from_wire(item->status),
            .newest_epoch = item->newest_epoch,
            .request_hash = item->request_hash,
            .reply = plex_wire_bytes_in(item->reply),
        };
    }
    *out = results;
    return PLEX_OK;
}

static enum plex_status
records_in(const PB(LoadReply) * reply, struct plex_arena *arena,
           struct journal_loaded *out, struct plex_err *err)
{
    const size_t n = reply->n_records;
    struct journal_record *records =
        plex_arena_alloc(arena, n * sizeof *records + 1);

    if (records == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < n; i++) {
        const PB(RebuildRecord) *item = reply->records[i];

        records[i] = (struct journal_record){
            .seq = item->seq,
            .at_ms = item->at_ms,
            .schema_version = item->schema_version,
            .bytes = plex_wire_bytes_in(item->record),
        };
    }
    out->records = records;
    out->n_records = n;
    out->next_record = reply->next_record;
    return PLEX_OK;
}

enum plex_status
journal_unpack_load(struct plex_bytes in, struct plex_arena *arena,
                    struct journal_loaded *out, struct plex_err *err)
{
    ProtobufCMessage *message;
    const PB(LoadReply) * reply;
    struct journal_recorded *recent;

    if (plex_wire_unpack(TYPE(load_reply), in, arena, &message, err) != PLEX_OK)
        return err->status;
    reply = (const void *)message;
    recent = plex_arena_alloc(arena, reply->n_recent * sizeof *recent + 1);
    if (recent == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < reply->n_recent; i++) {
        const PB(Recorded) *item = reply->recent[i];

        recent[i] = (struct journal_recorded){
            .message_id = plex_wire_bytes_in(item->message_id),
            .request_hash = item->request_hash,
            .expires_ms = item->expires_ms,
            .reply = plex_wire_bytes_in(item->reply),
            .seq = item->seq,
        };
    }
    *out = (struct journal_loaded){
        .last_seq = reply->last_seq,
        .has_state = reply->has_state != 0,
        .state = plex_wire_bytes_in(reply->state),
        .schema_version = reply->schema_version,
        .state_seq = reply->state_seq,
        .recent = recent,
        .n_recent = reply->n_recent,
    };
    return records_in(reply, arena, out, err);
}

enum plex_status
journal_unpack_fence(struct plex_bytes in, struct plex_arena *arena,
                     uint64_t *newest_epoch, struct plex_err *err)
{
    ProtobufCMessage *message;

    if (plex_wire_unpack(TYPE(fence_reply), in, arena, &message, err) !=
        PLEX_OK)
        return err->status;
    *newest_epoch =
        ((const PB(FenceReply) *)(const void *)message)->newest_epoch;
    return PLEX_OK;
}

enum plex_status
journal_unpack_lookup(struct plex_bytes in, struct plex_arena *arena,
                      struct journal_lookup *out, struct plex_err *err)
{
    ProtobufCMessage *message;
    const PB(LookupReply) * reply;

    if (plex_wire_unpack(TYPE(lookup_reply), in, arena, &message, err) !=
        PLEX_OK)
        return err->status;
    reply = (const void *)message;
    *out = (struct journal_lookup){
        .waiting = reply->waiting != 0,
        .due_ms = reply->due_ms,
        .at_ms = reply->at_ms,
        .reply = plex_wire_bytes_in(reply->reply),
    };
    return actor_in(reply->actor, &out->actor, err);
}

enum plex_status
journal_unpack_pending(struct plex_bytes in, struct plex_arena *arena,
                       struct journal_replied_page *out, struct plex_err *err)
{
    ProtobufCMessage *message;
    const PB(PendingReply) * reply;
    struct journal_pending_item *items;

    if (plex_wire_unpack(TYPE(pending_reply), in, arena, &message, err) !=
        PLEX_OK)
        return err->status;
    reply = (const void *)message;
    items = plex_arena_alloc(arena, reply->n_items * sizeof *items + 1);
    if (items == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < reply->n_items; i++) {
        const PB(Pending) *pending = reply->items[i]->pending;

        if (pending == NULL)
            return plex_err_set(err, PLEX_INVALID,
                                "items[%zu]: pending is missing", i);
        items[i].pending = (struct journal_pending){
            plex_wire_bytes_in(pending->id), pending->due_ms,
            plex_wire_bytes_in(pending->message)};
        if (actor_in(reply->items[i]->owner, &items[i].owner, err) != PLEX_OK)
            return plex_err_wrap(err, "items[%zu]", i);
    }
    *out = (struct journal_replied_page){items, reply->n_items,
                                         plex_wire_bytes_in(reply->next),
                                         reply->next_due_ms};
    return PLEX_OK;
}
