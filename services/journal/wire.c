#include "services/journal/wire.h"

#include "common/wire.h"
#include "services/journal/methods.h"

#include <assert.h>
#include <string.h>

#include "plexspaces/journal/v1/journal.pb-c.h"

#define PB(name) Plexspaces__Journal__V1__##name
#define TYPE(name) &plexspaces__journal__v1__##name##__descriptor

#define SAME_METHOD(name)                                                       \
    static_assert(                                                              \
        JOURNAL_METHOD_##name ==                                                \
            (int)                                                               \
                PLEXSPACES__JOURNAL__V1__JOURNAL_METHOD__JOURNAL_METHOD_##name, \
        "methods.h and journal.proto disagree")
SAME_METHOD(APPEND);
SAME_METHOD(LOAD);
SAME_METHOD(FENCE);
SAME_METHOD(LOOKUP);
SAME_METHOD(PENDING);
SAME_METHOD(HISTORY);
SAME_METHOD(AT);
SAME_METHOD(VERIFY);
SAME_METHOD(SHRED);
SAME_METHOD(TRUNCATE);
SAME_METHOD(BACKUP_CREATE);
SAME_METHOD(BACKUP_LIST);
SAME_METHOD(BACKUP_RESTORE);
SAME_METHOD(ANSWERS);

/* -- requests -------------------------------------------------------------- */

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

static enum plex_status
settled_in(const ProtobufCBinaryData *in, size_t n, struct plex_arena *arena,
           struct journal_entry *out, struct plex_err *err)
{
    struct plex_bytes *settled;

    if (n == 0)
        return PLEX_OK;
    settled = plex_arena_alloc(arena, n * sizeof *settled);
    if (settled == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < n; i++)
        settled[i] = plex_wire_bytes_in(in[i]);
    out->settled = settled;
    out->n_settled = n;
    return PLEX_OK;
}

static enum plex_status
pending_in(const PB(Turn) * in, struct plex_arena *arena,
           struct journal_entry *out, struct plex_err *err)
{
    struct journal_pending *pending;

    if (in->n_pending == 0)
        return PLEX_OK;
    pending = plex_arena_alloc(arena, in->n_pending * sizeof *pending);
    if (pending == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < in->n_pending; i++)
        pending[i] = (struct journal_pending){
            .id = plex_wire_bytes_in(in->pending[i]->id),
            .due_ms = in->pending[i]->due_ms,
            .message = plex_wire_bytes_in(in->pending[i]->message),
        };
    out->pending = pending;
    out->n_pending = in->n_pending;
    return PLEX_OK;
}

static enum plex_status
turn_in(const PB(Turn) * in, struct plex_arena *arena,
        struct journal_entry *out, struct plex_err *err)
{
    *out = (struct journal_entry){
        .kind = JOURNAL_TURN,
        .shard = in->shard,
        .epoch = in->epoch,
        .seq = in->seq,
        .message_id = plex_wire_bytes_in(in->message_id),
        .request_hash = in->request_hash,
        .expires_ms = in->expires_ms,
        .at_ms = in->at_ms,
        .reply = plex_wire_bytes_in(in->reply),
        .has_state = in->has_state != 0,
        .state = plex_wire_bytes_in(in->state),
        .schema_version = in->schema_version,
        .record = plex_wire_bytes_in(in->record),
        .rebuilds = in->rebuilds != 0,
    };
    if (actor_in(in->actor, &out->actor, err) != PLEX_OK ||
        pending_in(in, arena, out, err) != PLEX_OK)
        return err->status;
    return settled_in(in->settled, in->n_settled, arena, out, err);
}

static enum plex_status
entry_in(const PB(Entry) * in, struct plex_arena *arena,
         struct journal_entry *out, struct plex_err *err)
{
    if (in->kind_case == PLEXSPACES__JOURNAL__V1__ENTRY__KIND_TURN)
        return turn_in(in->turn, arena, out, err);
    if (in->kind_case == PLEXSPACES__JOURNAL__V1__ENTRY__KIND_SETTLE) {
        const PB(Settle) *settle = in->settle;

        *out = (struct journal_entry){.kind = JOURNAL_SETTLE,
                                      .shard = settle->shard,
                                      .epoch = settle->epoch};
        if (actor_in(settle->actor, &out->actor, err) != PLEX_OK)
            return err->status;
        return settled_in(settle->settled, settle->n_settled, arena, out, err);
    }
    if (in->kind_case == PLEXSPACES__JOURNAL__V1__ENTRY__KIND_SNAPSHOT) {
        const PB(Snapshot) *snapshot = in->snapshot;

        *out =
            (struct journal_entry){.kind = JOURNAL_SNAPSHOT,
                                   .shard = snapshot->shard,
                                   .epoch = snapshot->epoch,
                                   .seq = snapshot->seq,
                                   .has_state = true,
                                   .state = plex_wire_bytes_in(snapshot->state),
                                   .schema_version = snapshot->schema_version};
        return actor_in(snapshot->actor, &out->actor, err);
    }
    return plex_err_set(err, PLEX_INVALID,
                        "kind is missing, it must be turn, settle or snapshot");
}

static enum plex_status
append_in(const PB(AppendRequest) * in, struct plex_arena *arena,
          struct journal_request *out, struct plex_err *err)
{
    struct journal_entry *entries;

    if (in->n_entries == 0 || in->n_entries > JOURNAL_ENTRIES_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "entries has %zu items, 1 to %d are allowed",
                            in->n_entries, JOURNAL_ENTRIES_MAX);
    entries = plex_arena_alloc(arena, in->n_entries * sizeof *entries);
    out->results =
        plex_arena_alloc(arena, in->n_entries * sizeof *out->results);
    if (entries == NULL || out->results == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < in->n_entries; i++)
        if (entry_in(in->entries[i], arena, &entries[i], err) != PLEX_OK)
            return plex_err_wrap(err, "entries[%zu]", i);
    out->entries = entries;
    out->n_entries = in->n_entries;
    return PLEX_OK;
}

static enum plex_status
fence_in(const PB(FenceRequest) * in, struct plex_arena *arena,
         struct journal_request *out, struct plex_err *err)
{
    struct journal_fence *ranges;

    if (in->pool[0] != '\0' && strcmp(in->pool, "default") != 0)
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "pool is \"%.64s\", only \"default\" is kept",
                            in->pool);
    if (in->n_ranges == 0 || in->n_ranges > JOURNAL_ENTRIES_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "ranges has %zu items, 1 to %d are allowed",
                            in->n_ranges, JOURNAL_ENTRIES_MAX);
    ranges = plex_arena_alloc(arena, in->n_ranges * sizeof *ranges);
    if (ranges == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < in->n_ranges; i++)
        ranges[i] = (struct journal_fence){
            in->ranges[i]->first, in->ranges[i]->last, in->ranges[i]->epoch};
    out->ranges = ranges;
    out->n_ranges = in->n_ranges;
    return PLEX_OK;
}

static enum plex_status
lookup_in(const PB(LookupRequest) * in, struct journal_request *out,
          struct plex_err *err)
{
    out->tenant = in->tenant;
    out->message_id = plex_wire_bytes_in(in->message_id);
    return plex_name_tenant(in->tenant, strlen(in->tenant), err);
}

static enum plex_status
answers_in(const PB(AnswersRequest) * in, struct plex_arena *arena,
           struct journal_request *out, struct plex_err *err)
{
    struct journal_asked *asked;

    if (in->n_asked > JOURNAL_ASKED_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "asked has %zu items, 1 to %d are allowed",
                            in->n_asked, JOURNAL_ASKED_MAX);
    asked = plex_arena_alloc(arena, in->n_asked * sizeof *asked + 1);
    if (asked == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < in->n_asked; i++) {
        asked[i].message_id = plex_wire_bytes_in(in->asked[i]->message_id);
        if (actor_in(in->asked[i]->actor, &asked[i].actor, err) != PLEX_OK)
            return plex_err_wrap(err, "asked[%zu]", i);
    }
    out->asked = asked;
    out->n_asked = in->n_asked;
    return PLEX_OK;
}

static enum plex_status
history_in(const PB(HistoryRequest) * in, struct journal_history *out,
           struct plex_err *err)
{
    *out = (struct journal_history){.first_seq = in->first_seq,
                                    .last_seq = in->last_seq,
                                    .from_ms = in->from_ms,
                                    .to_ms = in->to_ms,
                                    .limit = in->limit,
                                    .with_state = in->with_state != 0};
    return actor_in(in->actor, &out->actor, err);
}

static enum plex_status
verify_in(const PB(VerifyRequest) * in, struct journal_verify *out,
          struct plex_err *err)
{
    *out = (struct journal_verify){.actor = {"", "", "", ""},
                                   .after = plex_wire_bytes_in(in->after),
                                   .limit = in->limit,
                                   .tenant = in->tenant};
    if (in->tenant[0] != '\0' &&
        plex_name_tenant(in->tenant, strlen(in->tenant), err) != PLEX_OK)
        return err->status;
    return in->actor == NULL ? PLEX_OK : actor_in(in->actor, &out->actor, err);
}

static const ProtobufCMessageDescriptor *
request_type(enum journal_request_kind kind)
{
    switch (kind) {
    case JOURNAL_APPEND:
        return TYPE(append_request);
    case JOURNAL_FENCE:
        return TYPE(fence_request);
    case JOURNAL_LOAD:
        return TYPE(load_request);
    case JOURNAL_LOOKUP:
        return TYPE(lookup_request);
    case JOURNAL_ANSWERS:
        return TYPE(answers_request);
    case JOURNAL_HISTORY:
        return TYPE(history_request);
    case JOURNAL_AT:
        return TYPE(at_request);
    case JOURNAL_VERIFY:
        return TYPE(verify_request);
    case JOURNAL_SHRED:
        return TYPE(shred_request);
    case JOURNAL_TRUNCATE:
        return TYPE(truncate_request);
    default:
        return TYPE(pending_request);
    }
}

enum plex_status
journal_wire_request(enum journal_request_kind kind, struct plex_bytes in,
                     struct plex_arena *arena, struct journal_request *out,
                     struct plex_err *err)
{
    ProtobufCMessage *message;
    const void *pb;

    if (plex_wire_unpack(request_type(kind), in, arena, &message, err) !=
        PLEX_OK)
        return err->status;
    pb = message;
    out->kind = kind;
    switch (kind) {
    case JOURNAL_APPEND:
        return append_in(pb, arena, out, err);
    case JOURNAL_FENCE:
        return fence_in(pb, arena, out, err);
    case JOURNAL_LOOKUP:
        return lookup_in(pb, out, err);
    case JOURNAL_ANSWERS:
        return answers_in(pb, arena, out, err);
    case JOURNAL_LOAD: {
        const PB(LoadRequest) *load = pb;

        out->load = (struct journal_load){.shard = load->shard,
                                          .epoch = load->epoch,
                                          .recent_max = load->recent_max,
                                          .records = load->records,
                                          .records_from = load->records_from};
        return actor_in(load->actor, &out->load.actor, err);
    }
    case JOURNAL_PENDING: {
        const PB(PendingRequest) *page = pb;

        out->page = (struct journal_page){page->first_shard, page->last_shard,
                                          plex_wire_bytes_in(page->after),
                                          page->limit, page->until_ms};
        return PLEX_OK;
    }
    case JOURNAL_HISTORY:
        return history_in(pb, &out->history, err);
    case JOURNAL_AT: {
        const PB(AtRequest) *at = pb;

        out->at = (struct journal_at){.seq = at->seq, .at_ms = at->at_ms};
        return actor_in(at->actor, &out->at.actor, err);
    }
    case JOURNAL_TRUNCATE: {
        const PB(TruncateRequest) *truncate = pb;

        out->at = (struct journal_at){.seq = truncate->seq};
        return actor_in(truncate->actor, &out->at.actor, err);
    }
    case JOURNAL_SHRED:
        out->tenant = ((const PB(ShredRequest) *)pb)->tenant;
        return plex_name_tenant(out->tenant, strlen(out->tenant), err);
    case JOURNAL_VERIFY:
        return verify_in(pb, &out->verify, err);
    default:
        return plex_err_set(err, PLEX_INTERNAL, "unknown kind of request");
    }
}

/* -- replies --------------------------------------------------------------- */

enum plex_status
journal_wire_results(const struct journal_result *results, size_t n,
                     struct plex_arena *arena, struct plex_buf *out,
                     struct plex_err *err)
{
    PB(AppendReply) reply = PLEXSPACES__JOURNAL__V1__APPEND_REPLY__INIT;
    PB(EntryResult) * items;

    reply.n_results = n;
    reply.results = plex_arena_alloc(arena, n * sizeof *reply.results);
    items = plex_arena_alloc(arena, n * sizeof *items);
    if (reply.results == NULL || items == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < n; i++) {
        plexspaces__journal__v1__entry_result__init(&items[i]);
        items[i].status = results[i].status;
        items[i].newest_epoch = results[i].newest_epoch;
        items[i].request_hash = results[i].request_hash;
        items[i].reply = plex_wire_bytes(results[i].reply);
        reply.results[i] = &items[i];
    }
    return plex_wire_pack(&reply.base, out, err);
}

static enum plex_status
records_out(const struct journal_loaded *loaded, struct plex_arena *arena,
            PB(LoadReply) * reply, struct plex_err *err)
{
    const size_t n = loaded->n_records;
    PB(RebuildRecord) *items = plex_arena_alloc(arena, n * sizeof *items + 1);

    reply->next_record = loaded->next_record;
    reply->n_records = n;
    reply->records = plex_arena_alloc(arena, n * sizeof *reply->records + 1);
    if (reply->records == NULL || items == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < n; i++) {
        const struct journal_record *r = &loaded->records[i];

        plexspaces__journal__v1__rebuild_record__init(&items[i]);
        items[i].seq = r->seq;
        items[i].at_ms = r->at_ms;
        items[i].schema_version = r->schema_version;
        items[i].record = plex_wire_bytes(r->bytes);
        reply->records[i] = &items[i];
    }
    return PLEX_OK;
}

enum plex_status
journal_wire_loaded(const struct journal_loaded *loaded,
                    struct plex_arena *arena, struct plex_buf *out,
                    struct plex_err *err)
{
    PB(LoadReply) reply = PLEXSPACES__JOURNAL__V1__LOAD_REPLY__INIT;
    const size_t n = loaded->n_recent;
    PB(Recorded) * items;

    reply.last_seq = loaded->last_seq;
    reply.has_state = loaded->has_state;
    reply.state = plex_wire_bytes(loaded->state);
    reply.schema_version = loaded->schema_version;
    reply.state_seq = loaded->state_seq;
    reply.n_recent = n;
    reply.recent = plex_arena_alloc(arena, n * sizeof *reply.recent + 1);
    items = plex_arena_alloc(arena, n * sizeof *items + 1);
    if (reply.recent == NULL || items == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < n; i++) {
        const struct journal_recorded *r = &loaded->recent[i];

        plexspaces__journal__v1__recorded__init(&items[i]);
        items[i].message_id = plex_wire_bytes(r->message_id);
        items[i].request_hash = r->request_hash;
        items[i].expires_ms = r->expires_ms;
        items[i].reply = plex_wire_bytes(r->reply);
        items[i].seq = r->seq;
        reply.recent[i] = &items[i];
    }
    if (records_out(loaded, arena, &reply, err) != PLEX_OK)
        return err->status;
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
journal_wire_fenced(uint64_t newest_epoch, struct plex_buf *out,
                    struct plex_err *err)
{
    PB(FenceReply) reply = PLEXSPACES__JOURNAL__V1__FENCE_REPLY__INIT;

    reply.newest_epoch = newest_epoch;
    return plex_wire_pack(&reply.base, out, err);
}

static void
actor_out(const struct plex_actor_id *id, PB(ActorId) * out)
{
    plexspaces__journal__v1__actor_id__init(out);
    out->tenant = (char *)(uintptr_t)id->tenant;
    out->namespace_ = (char *)(uintptr_t)id->ns;
    out->type = (char *)(uintptr_t)id->type;
    out->key = (char *)(uintptr_t)id->key;
}

enum plex_status
journal_wire_lookup(const struct journal_lookup *found, struct plex_buf *out,
                    struct plex_err *err)
{
    PB(LookupReply) reply = PLEXSPACES__JOURNAL__V1__LOOKUP_REPLY__INIT;
    PB(ActorId) actor;

    actor_out(&found->actor, &actor);
    reply.actor = &actor;
    reply.waiting = found->waiting;
    reply.due_ms = found->due_ms;
    reply.at_ms = found->at_ms;
    reply.reply = plex_wire_bytes(found->reply);
    return plex_wire_pack(&reply.base, out, err);
}

enum plex_status
journal_wire_paged(const struct journal_paged *paged, struct plex_arena *arena,
                   struct plex_buf *out, struct plex_err *err)
{
    PB(PendingReply) reply = PLEXSPACES__JOURNAL__V1__PENDING_REPLY__INIT;
    const size_t n = paged->n;
    struct item {
        PB(PendingReply__Item) item;
        PB(ActorId) owner;
        PB(Pending) pending;
    } * items;

    reply.next = plex_wire_bytes(paged->next);
    reply.next_due_ms = paged->next_due_ms;
    reply.n_items = n;
    reply.items = plex_arena_alloc(arena, n * sizeof *reply.items + 1);
    items = plex_arena_alloc(arena, n * sizeof *items + 1);
    if (reply.items == NULL || items == NULL)
        return plex_wire_no_room(err);
    for (size_t i = 0; i < n; i++) {
        const struct journal_pending_item *from = &paged->items[i];

        plexspaces__journal__v1__pending_reply__item__init(&items[i].item);
        plexspaces__journal__v1__pending__init(&items[i].pending);
        actor_out(&from->owner, &items[i].owner);
        items[i].pending.id = plex_wire_bytes(from->pending.id);
        items[i].pending.due_ms = from->pending.due_ms;
        items[i].pending.message = plex_wire_bytes(from->pending.message);
        items[i].item.owner = &items[i].owner;
        items[i].item.pending = &items[i].pending;
        reply.items[i] = &items[i].item;
    }
    return plex_wire_pack(&reply.base, out, err);
}
