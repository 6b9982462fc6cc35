#include "services/worker/wire.h"

#include "common/wire.h"
#include "plexspaces/worker/v1/worker.pb-c.h"
#include "services/journal/client.h"
#include "services/worker/record.h"

#include <string.h>

typedef Plexspaces__Worker__V1__InvokeRequest pb_request;
typedef Plexspaces__Worker__V1__InvokeReply pb_reply;
typedef Plexspaces__Worker__V1__Header pb_header;
typedef Plexspaces__Actor__V1__Actor pb_actor;

static enum plex_status
headers_out(const struct work_header *headers, size_t n, pb_header *space,
            pb_header **rows, struct plex_err *err)
{
    if (n > WORK_HEADERS_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "%zu headers, at most %d are allowed", n,
                            WORK_HEADERS_MAX);
    for (size_t i = 0; i < n; i++) {
        plexspaces__worker__v1__header__init(&space[i]);
        space[i].name = plex_wire_text(headers[i].name);
        space[i].value = plex_wire_text(headers[i].value);
        rows[i] = &space[i];
    }
    return PLEX_OK;
}

static enum plex_status
headers_in(pb_header **rows, size_t n, struct plex_arena *arena,
           const struct work_header **out, struct plex_err *err)
{
    struct work_header *headers;

    *out = NULL;
    if (n > WORK_HEADERS_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "%zu headers, at most %d are allowed", n,
                            WORK_HEADERS_MAX);
    if (n == 0)
        return PLEX_OK;
    headers = plex_arena_alloc(arena, n * sizeof *headers);
    if (headers == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE, "headers do not fit");
    for (size_t i = 0; i < n; i++)
        headers[i] = (struct work_header){rows[i]->name, rows[i]->value};
    *out = headers;
    return PLEX_OK;
}

/* -- messages -----------------------------------------------------------------
 */

enum plex_status
work_message_pack(const struct work_message *m, struct plex_buf *out,
                  struct plex_err *err)
{
    pb_request pb = PLEXSPACES__WORKER__V1__INVOKE_REQUEST__INIT;
    pb_header space[WORK_HEADERS_MAX], *rows[WORK_HEADERS_MAX];

    if (headers_out(m->headers, m->n_headers, space, rows, err) != PLEX_OK)
        return err->status;
    pb.tenant = plex_wire_text(m->to.tenant);
    pb.namespace_ = plex_wire_text(m->to.ns);
    pb.type = plex_wire_text(m->to.type);
    pb.key = plex_wire_text(m->to.key);
    pb.kind = (Plexspaces__Worker__V1__MessageKind)m->kind;
    pb.message_id = plex_wire_bytes(m->id);
    pb.keyed = m->keyed;
    pb.fresh = m->fresh;
    pb.request_hash = m->request_hash;
    pb.ttl_ms = m->ttl_ms;
    pb.delay_ms = m->delay_ms;
    pb.method = plex_wire_text(m->method);
    pb.path = plex_wire_text(m->path);
    pb.subpath = plex_wire_text(m->subpath);
    pb.query = plex_wire_text(m->query);
    pb.content_type = plex_wire_text(m->content_type);
    pb.headers = rows;
    pb.n_headers = m->n_headers;
    pb.payload = plex_wire_bytes(m->payload);
    pb.sender = plex_wire_text(m->sender);
    pb.tag = m->tag;
    pb.reply_status = m->reply_status;
    pb.timer = plex_wire_text(m->timer);
    pb.chain = plex_wire_text(m->chain == NULL ? "" : m->chain);
    pb.process_kind = m->process_kind;
    pb.from_node = m->from_node;
    pb.from_id = m->from_id;
    pb.sent_ms = m->sent_ms;
    return plex_wire_pack(&pb.base, out, err);
}

static enum plex_status
message_check(const pb_request *pb, struct plex_err *err)
{
    if ((int)pb->kind < WORK_CALL || (int)pb->kind > WORK_UPDATE)
        return plex_err_set(err, PLEX_INVALID,
                            "message kind %d is unknown: 1 to 14 are",
                            (int)pb->kind);
    if (pb->message_id.len > JOURNAL_ID_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "message id is %zu bytes long, at most %d are "
                            "allowed",
                            pb->message_id.len, JOURNAL_ID_MAX);
    if (pb->payload.len > WORK_PAYLOAD_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "payload is %zu bytes long, at most %d are "
                            "allowed",
                            pb->payload.len, WORK_PAYLOAD_MAX);
    if (strlen(pb->chain) >= WORK_CHAIN_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "chain of calls is longer than %d bytes",
                            WORK_CHAIN_MAX - 1);
    return PLEX_OK;
}

static enum plex_status
message_in(struct plex_bytes in, struct plex_arena *arena,
           struct work_message *out, struct plex_err *err)
{
    ProtobufCMessage *base;
    const pb_request *pb;

    if (plex_wire_unpack(&plexspaces__worker__v1__invoke_request__descriptor,
                         in, arena, &base, err) != PLEX_OK)
        return err->status;
    pb = (const pb_request *)(const void *)base;
    *out = (struct work_message){
        .to = {pb->tenant, pb->namespace_, pb->type, pb->key},
        .kind = (enum work_kind)pb->kind,
        .id = plex_wire_bytes_in(pb->message_id),
        .keyed = pb->keyed,
        .fresh = pb->fresh,
        .request_hash = pb->request_hash,
        .ttl_ms = pb->ttl_ms,
        .delay_ms = pb->delay_ms,
        .method = pb->method,
        .path = pb->path,
        .subpath = pb->subpath,
        .query = pb->query,
        .content_type = pb->content_type,
        .n_headers = pb->n_headers,
        .payload = plex_wire_bytes_in(pb->payload),
        .sender = pb->sender,
        .tag = pb->tag,
        .reply_status = plex_status_from_wire(pb->reply_status),
        .timer = pb->timer,
        .chain = pb->chain[0] == '\0' ? NULL : pb->chain,
        .process_kind = pb->process_kind,
        .from_node = pb->from_node,
        .from_id = pb->from_id,
        .sent_ms = pb->sent_ms,
    };
    if (message_check(pb, err) != PLEX_OK)
        return err->status;
    return headers_in(pb->headers, pb->n_headers, arena, &out->headers, err);
}

enum plex_status
work_message_unpack(struct plex_bytes in, struct plex_arena *arena,
                    struct work_message *out, struct plex_err *err)
{
    if (message_in(in, arena, out, err) != PLEX_OK)
        return err->status;
    return plex_name_actor(&out->to, err);
}

enum plex_status
work_record_input(struct plex_bytes in, struct plex_arena *arena,
                  struct work_message *out, struct plex_err *err)
{
    if (message_in(in, arena, out, err) == PLEX_OK)
        return PLEX_OK;
    err->status = PLEX_CORRUPT;
    return plex_err_wrap(err, "the record of a turn");
}

/* -- replies
 * ---------------------------------------------------------------------- */

enum plex_status
work_reply_pack(const struct work_reply *r, struct plex_buf *out,
                struct plex_err *err)
{
    pb_reply pb = PLEXSPACES__WORKER__V1__INVOKE_REPLY__INIT;
    pb_header space[WORK_HEADERS_MAX], *rows[WORK_HEADERS_MAX];

    if (headers_out(r->headers, r->n_headers, space, rows, err) != PLEX_OK)
        return err->status;
    pb.http_status = r->http_status;
    pb.content_type = plex_wire_text(r->content_type);
    pb.headers = rows;
    pb.n_headers = r->n_headers;
    pb.payload = plex_wire_bytes(r->payload);
    pb.replayed = r->replayed;
    pb.failed = r->failed;
    pb.error = plex_wire_text(r->error);
    pb.recorded = r->recorded;
    pb.due_ms = r->due_ms;
    pb.table_version = r->table_version;
    return plex_wire_pack(&pb.base, out, err);
}

enum plex_status
work_reply_unpack(struct plex_bytes in, struct plex_arena *arena,
                  struct work_reply *out, struct plex_err *err)
{
    ProtobufCMessage *base;
    const pb_reply *pb;

    if (plex_wire_unpack(&plexspaces__worker__v1__invoke_reply__descriptor, in,
                         arena, &base, err) != PLEX_OK)
        return err->status;
    pb = (const pb_reply *)(const void *)base;
    *out = (struct work_reply){
        .http_status = pb->http_status,
        .content_type = pb->content_type,
        .n_headers = pb->n_headers,
        .payload = plex_wire_bytes_in(pb->payload),
        .replayed = pb->replayed,
        .failed = pb->failed,
        .error = pb->error,
        .recorded = pb->recorded,
        .due_ms = pb->due_ms,
        .table_version = pb->table_version,
    };
    return headers_in(pb->headers, pb->n_headers, arena, &out->headers, err);
}

/* protobuf's last value of a scalar wins, so the flags can follow. */
size_t
work_reply_marks(bool replayed, bool recorded,
                 uint8_t out[WORK_REPLY_MARKS_MAX])
{
    size_t n = 0;

    if (replayed) {
        out[n++] = 5 << 3;
        out[n++] = 1;
    }
    if (recorded) {
        out[n++] = 8 << 3;
        out[n++] = 1;
    }
    return n;
}

/* -- lists
 * ------------------------------------------------------------------------- */

enum plex_status
work_list_request_pack(const struct work_list_request *request,
                       struct plex_buf *out, struct plex_err *err)
{
    Plexspaces__Worker__V1__ListRequest pb =
        PLEXSPACES__WORKER__V1__LIST_REQUEST__INIT;

    pb.tenant = plex_wire_text(request->tenant);
    pb.namespace_ = plex_wire_text(request->ns);
    pb.type = plex_wire_text(request->type);
    pb.after = plex_wire_text(request->after);
    pb.limit = request->limit;
    return plex_wire_pack(&pb.base, out, err);
}

enum plex_status
work_list_request_unpack(struct plex_bytes in, struct plex_arena *arena,
                         struct work_list_request *out, struct plex_err *err)
{
    const Plexspaces__Worker__V1__ListRequest *pb;
    ProtobufCMessage *base;

    if (plex_wire_unpack(&plexspaces__worker__v1__list_request__descriptor, in,
                         arena, &base, err) != PLEX_OK)
        return err->status;
    pb = (const Plexspaces__Worker__V1__ListRequest *)(const void *)base;
    if (pb->limit == 0 || pb->limit > WORK_LIST_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "limit is %u, 1 to %d are allowed", pb->limit,
                            WORK_LIST_MAX);
    *out = (struct work_list_request){pb->tenant, pb->namespace_, pb->type,
                                      pb->after, pb->limit};
    return PLEX_OK;
}

static void
actor_out(const struct work_actor *actor, pb_actor *pb)
{
    plexspaces__actor__v1__actor__init(pb);
    pb->actor_id = plex_wire_text(actor->actor_id);
    pb->state = (Plexspaces__Actor__V1__ActorState)actor->state;
    pb->node_id = plex_wire_text(actor->node_id);
    pb->shard = actor->shard;
    pb->epoch = actor->epoch;
    pb->durable = actor->durable;
    pb->sequence = actor->sequence;
    pb->mailbox_length = actor->mailbox_length;
    pb->idle_ms = actor->idle_ms;
    pb->messages_total = actor->messages_total;
    pb->state_bytes = actor->state_bytes;
    pb->run = plex_wire_text(actor->run);
    pb->waits_for = plex_wire_text(actor->waits_for);
    pb->waits_since_ms = actor->waits_since_ms;
    pb->remedy = plex_wire_text(actor->remedy);
    pb->last_activated_ms = actor->last_activated_ms;
    pb->last_accessed_ms = actor->last_accessed_ms;
    pb->idle_timeout_ms = actor->idle_timeout_ms;
}

static void
actor_in(const pb_actor *pb, struct work_actor *actor)
{
    *actor = (struct work_actor){
        .actor_id = pb->actor_id,
        .state = (enum work_actor_state)pb->state,
        .node_id = pb->node_id,
        .shard = pb->shard,
        .epoch = pb->epoch,
        .durable = pb->durable,
        .sequence = pb->sequence,
        .mailbox_length = pb->mailbox_length,
        .idle_ms = pb->idle_ms,
        .messages_total = pb->messages_total,
        .state_bytes = pb->state_bytes,
        .run = pb->run,
        .waits_for = pb->waits_for,
        .waits_since_ms = pb->waits_since_ms,
        .remedy = pb->remedy,
        .last_activated_ms = pb->last_activated_ms,
        .last_accessed_ms = pb->last_accessed_ms,
        .idle_timeout_ms = pb->idle_timeout_ms,
    };
}

enum plex_status
work_list_reply_pack(const struct work_actor *actors, size_t n,
                     struct plex_buf *out, struct plex_err *err)
{
    Plexspaces__Worker__V1__ListReply pb =
        PLEXSPACES__WORKER__V1__LIST_REPLY__INIT;
    struct plex_arena arena;
    enum plex_status status;
    pb_actor **rows, *space;

    plex_arena_init(&arena, PLEX_WIRE_BYTES_MAX);
    rows = plex_arena_alloc(&arena, (n + 1) * sizeof(pb_actor *));
    space = plex_arena_alloc(&arena, (n + 1) * sizeof *space);
    if (rows == NULL || space == NULL) {
        plex_arena_fini(&arena);
        return plex_err_set(err, PLEX_TOO_LARGE, "list of %zu actors", n);
    }
    for (size_t i = 0; i < n; i++) {
        actor_out(&actors[i], &space[i]);
        rows[i] = &space[i];
    }
    pb.actors = rows;
    pb.n_actors = n;
    status = plex_wire_pack(&pb.base, out, err);
    plex_arena_fini(&arena);
    return status;
}

enum plex_status
work_list_reply_unpack(struct plex_bytes in, struct plex_arena *arena,
                       struct work_actor **out, size_t *n, struct plex_err *err)
{
    const Plexspaces__Worker__V1__ListReply *pb;
    ProtobufCMessage *base;

    if (plex_wire_unpack(&plexspaces__worker__v1__list_reply__descriptor, in,
                         arena, &base, err) != PLEX_OK)
        return err->status;
    pb = (const Plexspaces__Worker__V1__ListReply *)(const void *)base;
    *n = pb->n_actors;
    *out = plex_arena_alloc(arena, (*n + 1) * sizeof **out);
    if (*out == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE, "list of %zu actors", *n);
    for (size_t i = 0; i < *n; i++)
        actor_in(pb->actors[i], &(*out)[i]);
    return PLEX_OK;
}

/* -- one actor
 * ----------------------------------------------------------------------- */

enum plex_status
work_inspect_request_pack(const struct plex_actor_id *actor,
                          struct plex_buf *out, struct plex_err *err)
{
    Plexspaces__Worker__V1__InspectRequest pb =
        PLEXSPACES__WORKER__V1__INSPECT_REQUEST__INIT;

    pb.tenant = plex_wire_text(actor->tenant);
    pb.namespace_ = plex_wire_text(actor->ns);
    pb.type = plex_wire_text(actor->type);
    pb.key = plex_wire_text(actor->key);
    return plex_wire_pack(&pb.base, out, err);
}

enum plex_status
work_inspect_request_unpack(struct plex_bytes in, struct plex_arena *arena,
                            struct plex_actor_id *out, struct plex_err *err)
{
    const Plexspaces__Worker__V1__InspectRequest *pb;
    ProtobufCMessage *base;

    if (plex_wire_unpack(&plexspaces__worker__v1__inspect_request__descriptor,
                         in, arena, &base, err) != PLEX_OK)
        return err->status;
    pb = (const Plexspaces__Worker__V1__InspectRequest *)(const void *)base;
    *out =
        (struct plex_actor_id){pb->tenant, pb->namespace_, pb->type, pb->key};
    return plex_name_actor(out, err);
}

enum plex_status
work_inspect_reply_pack(const struct work_actor *actor, struct plex_buf *out,
                        struct plex_err *err)
{
    Plexspaces__Worker__V1__InspectReply pb =
        PLEXSPACES__WORKER__V1__INSPECT_REPLY__INIT;
    pb_actor space;

    actor_out(actor, &space);
    pb.actor = &space;
    return plex_wire_pack(&pb.base, out, err);
}

enum plex_status
work_inspect_reply_unpack(struct plex_bytes in, struct plex_arena *arena,
                          struct work_actor *out, struct plex_err *err)
{
    const Plexspaces__Worker__V1__InspectReply *pb;
    ProtobufCMessage *base;

    if (plex_wire_unpack(&plexspaces__worker__v1__inspect_reply__descriptor, in,
                         arena, &base, err) != PLEX_OK)
        return err->status;
    pb = (const Plexspaces__Worker__V1__InspectReply *)(const void *)base;
    if (pb->actor == NULL)
        return plex_err_set(err, PLEX_INVALID, "inspect reply without actor");
    actor_in(pb->actor, out);
    return PLEX_OK;
}
