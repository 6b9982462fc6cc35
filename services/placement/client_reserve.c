/* Reservations over a link. */
#include "services/placement/client.h"

#include "common/log.h"
#include "common/mem.h"
#include "common/wire.h"
#include "services/placement/client_wire.h"

#include <stdlib.h>

#define PB(name) Plexspaces__Placement__V1__##name
#define TYPE(name) &plexspaces__placement__v1__##name##__descriptor

enum {
    METHOD_RESERVE = 404,
    METHOD_RELEASE = 405,
    METHOD_HOLD = 406,
    REPLY_ARENA_MAX = 64 << 10,
    HELD_ARENA_MAX = 64 << 10,
    REQUEST_BYTES_MAX = 8 << 20,
    TIMEOUT_MS = 5000,
};
#define NUMBER(name) \
    (int)PLEXSPACES__PLACEMENT__V1__PLACEMENT_METHOD__PLACEMENT_METHOD_##name
_Static_assert((int)METHOD_RESERVE == NUMBER(RESERVE) &&
                   (int)METHOD_RELEASE == NUMBER(RELEASE) &&
                   (int)METHOD_HOLD == NUMBER(HOLD),
               "the numbers of placement.proto");
#undef NUMBER

static void
send(struct plex_link *link, struct plex_link_request *request,
     const ProtobufCMessage *message, uint64_t timeout_ms)
{
    struct plex_context context = plex_context_none;
    struct plex_buf payload = {.max = REQUEST_BYTES_MAX};
    struct plex_err err;

    context.deadline = plex_now() + timeout_ms * UINT64_C(1000000);
    if (plex_wire_pack(message, &payload, &err) != PLEX_OK)
        plex_log(PLEX_LOG_ERROR, "placement-request", "%s", err.text);
    request->context = &context;
    request->payload = (struct plex_bytes){payload.data, payload.len};
    (void)plex_link_call(link, request);
    plex_buf_free(&payload);
}

static enum plex_status
reply_in(const struct plex_link_result *result,
         const ProtobufCMessageDescriptor *type, struct plex_arena *arena,
         ProtobufCMessage **out, struct plex_err *err)
{
    if (result->status != PLEX_OK)
        return plex_err_set(err, result->status, "%s", result->text);
    return plex_wire_unpack(type, result->payload, arena, out, err);
}

/* -- reserving ------------------------------------------------------------- */

struct reserve_call {
    place_reserve_fn done;
    void *arg;
};

static void
reserve_done(void *arg, const struct plex_link_result *result)
{
    struct reserve_call *call = arg;
    struct plex_arena arena;
    struct plex_err err = {0};
    ProtobufCMessage *message = NULL;
    enum plex_status status;

    plex_arena_init(&arena, REPLY_ARENA_MAX);
    status = reply_in(result, TYPE(reserve_reply), &arena, &message, &err);
    if (status == PLEX_OK) {
        const PB(ReserveReply) *reply = (const void *)message;
        const struct place_reserved got = {reply->node_id, reply->incarnation,
                                           plex_wire_bytes_in(reply->held)};

        call->done(call->arg, status, "", &got);
    } else {
        call->done(call->arg, status, err.text, NULL);
    }
    plex_arena_fini(&arena);
    free(call);
}

void
place_client_reserve(struct plex_link *link, const char *url,
                     const struct place_reserve *reserve, uint64_t timeout_ms,
                     place_reserve_fn done, void *arg)
{
    PB(ReserveRequest)
    message = PLEXSPACES__PLACEMENT__V1__RESERVE_REQUEST__INIT;
    struct reserve_call *call = plex_calloc(1, sizeof *call);
    struct plex_link_request request = {.peer = url,
                                        .method = METHOD_RESERVE,
                                        .retry = true,
                                        .done = reserve_done,
                                        .arg = call};

    *call = (struct reserve_call){done, arg};
    message.request_id = plex_wire_text(reserve->request_id);
    message.tenant = plex_wire_text(reserve->tenant);
    message.namespace_ = plex_wire_text(reserve->ns);
    message.actor = plex_wire_text(reserve->actor);
    message.placement = plex_wire_bytes(reserve->placement);
    message.node_id = plex_wire_text(reserve->node_id);
    message.ttl_ms = reserve->ttl_ms;
    message.n_unreachable = reserve->n_unreachable;
    message.alone = reserve->alone;
    message.unreachable = (char **)(uintptr_t)reserve->unreachable;
    send(link, &request, &message.base, timeout_ms);
}

static void
release_done(void *arg, const struct plex_link_result *result)
{
    (void)arg;
    (void)result;
}

void
place_client_release(struct plex_link *link, const char *url,
                     const char *request_id)
{
    PB(ReleaseRequest)
    message = PLEXSPACES__PLACEMENT__V1__RELEASE_REQUEST__INIT;
    struct plex_link_request request = {.peer = url,
                                        .method = METHOD_RELEASE,
                                        .retry = true,
                                        .done = release_done};

    message.request_id = plex_wire_text(request_id);
    send(link, &request, &message.base, TIMEOUT_MS);
}

/* -- holding --------------------------------------------------------------- */

struct hold_call {
    place_hold_fn done;
    void *arg;
};

static void
hold_done(void *arg, const struct plex_link_result *result)
{
    struct hold_call *call = arg;
    struct plex_arena arena;
    struct plex_err err;
    ProtobufCMessage *message = NULL;
    enum plex_status status;
    bool again = false;

    plex_arena_init(&arena, REPLY_ARENA_MAX);
    status = reply_in(result, TYPE(hold_reply), &arena, &message, &err);
    if (status == PLEX_OK)
        again = ((const PB(HoldReply) *)(const void *)message)->again;
    call->done(call->arg, status, again);
    plex_arena_fini(&arena);
    free(call);
}

void
place_client_hold(struct plex_link *link, const char *url,
                  const struct place_hold *hold, place_hold_fn done, void *arg)
{
    PB(HoldRequest) message = PLEXSPACES__PLACEMENT__V1__HOLD_REQUEST__INIT;
    ProtobufCBinaryData *held = plex_calloc(hold->n_held + 1, sizeof *held);
    struct hold_call *call = plex_calloc(1, sizeof *call);
    struct plex_link_request request = {
        .peer = url, .method = METHOD_HOLD, .done = hold_done, .arg = call};

    *call = (struct hold_call){done, arg};
    for (size_t i = 0; i < hold->n_held; i++)
        held[i] = plex_wire_bytes(hold->held[i]);
    message.node_id = plex_wire_text(hold->node_id);
    message.incarnation = hold->incarnation;
    message.sequence = hold->sequence;
    message.full = hold->full;
    message.held = held;
    message.n_held = hold->n_held;
    message.ended = (char **)(uintptr_t)hold->ended;
    message.n_ended = hold->n_ended;
    send(link, &request, &message.base, TIMEOUT_MS);
    free(held);
}

struct place_amounts
place_client_held_amounts(struct plex_bytes held)
{
    struct place_amounts amounts = {0};
    struct plex_arena arena;
    ProtobufCMessage *message;
    struct plex_err err;

    plex_arena_init(&arena, HELD_ARENA_MAX);
    if (plex_wire_unpack(TYPE(held), held, &arena, &message, &err) == PLEX_OK) {
        const PB(Held) *in = (const void *)message;

        if (in->amounts != NULL)
            amounts = place_pb_amounts_in(in->amounts);
    }
    plex_arena_fini(&arena);
    return amounts;
}

enum plex_status
place_client_held_make(const char *request_id,
                       const struct place_amounts *amounts,
                       struct plex_buf *out, struct plex_err *err)
{
    PB(Held) pb = PLEXSPACES__PLACEMENT__V1__HELD__INIT;
    PB(Amounts) all;

    place_pb_amounts_out(amounts, &all);
    pb.request_id = plex_wire_text(request_id);
    pb.amounts = &all;
    return plex_wire_pack(&pb.base, out, err);
}
