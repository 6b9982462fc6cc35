#include "services/worker/wire_tuple.h"

#include "common/wire.h"
#include "services/tuplespace/client.h"

#include <string.h>

#include "plexspaces/tuplespace/v1/tuplespace.pb-c.h"

#define DESCRIPTOR(name) &plexspaces__tuplespace__v1__##name##__descriptor
#define METHOD(name) \
    PLEXSPACES__TUPLESPACE__V1__TUPLE_SPACE_METHOD__TUPLE_SPACE_METHOD_##name

enum { TUPLE_WAIT_MAX_MS = 3600000 };

/* What actors may ask for: nothing that outlives them unseen. */
static const struct method {
    uint32_t number;
    const ProtobufCMessageDescriptor *in, *out;
} methods[] = {
    {METHOD(WRITE), DESCRIPTOR(write_request), DESCRIPTOR(write_reply)},
    {METHOD(READ), DESCRIPTOR(read_request), DESCRIPTOR(read_reply)},
    {METHOD(TAKE), DESCRIPTOR(read_request), DESCRIPTOR(read_reply)},
    {METHOD(COUNT), DESCRIPTOR(count_request), DESCRIPTOR(count_reply)},
    {METHOD(EXISTS), DESCRIPTOR(count_request), DESCRIPTOR(exists_reply)},
    {METHOD(COMPARE_AND_SWAP), DESCRIPTOR(swap_request),
     DESCRIPTOR(swap_reply)},
    {METHOD(CLEAR), DESCRIPTOR(clear_request), DESCRIPTOR(count_reply)},
    {METHOD(RENEW_LEASE), DESCRIPTOR(lease_request), DESCRIPTOR(lease_reply)},
    {METHOD(CANCEL_LEASE), DESCRIPTOR(lease_request), DESCRIPTOR(lease_reply)},
    {METHOD(CONFIRM_CLAIM), DESCRIPTOR(claim_request), DESCRIPTOR(count_reply)},
    {METHOD(RELEASE_CLAIM), DESCRIPTOR(claim_request), DESCRIPTOR(count_reply)},
    {METHOD(RENEW_CLAIM), DESCRIPTOR(claim_request), DESCRIPTOR(count_reply)},
};

static const struct method *
find(uint32_t number)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (methods[i].number == number)
            return &methods[i];
    return NULL;
}

static void *
member(ProtobufCMessage *message, const char *name)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(message->descriptor,
                                                        name);

    return field == NULL ? NULL : (char *)message + field->offset;
}

static enum plex_status
pack(ProtobufCMessage *message, const struct work_tuple_ask *ask,
     struct plex_arena *arena, struct plex_bytes *out, uint64_t *timeout_ms,
     struct plex_err *err)
{
    const uint64_t *wait = member(message, "timeout_ms");
    ProtobufCBinaryData *id = member(message, "request_id");
    char **ns = member(message, "namespace");
    uint8_t *bytes;

    *timeout_ms = wait == NULL ? 0 : *wait;
    if (*timeout_ms > TUPLE_WAIT_MAX_MS)
        return plex_err_set(err, PLEX_INVALID,
                            "timeout_ms is over %d, which is an hour",
                            TUPLE_WAIT_MAX_MS);
    if (ns != NULL && (*ns)[0] != '\0')
        return plex_err_set(err, PLEX_INVALID,
                            "namespace is the actor's own, leave it out");
    if (id != NULL && ask->id.len > 0)
        *id = plex_wire_bytes(ask->id);
    out->len = protobuf_c_message_get_packed_size(message);
    bytes = plex_arena_alloc(arena, out->len + 1);
    if (bytes == NULL)
        return plex_wire_no_room(err);
    protobuf_c_message_pack(message, bytes);
    out->data = bytes;
    return PLEX_OK;
}

enum plex_status
work_tuple_pack(const struct work_tuple_ask *ask, struct plex_arena *arena,
                struct plex_bytes *out, uint64_t *timeout_ms,
                struct plex_err *err)
{
    const struct method *method = find(ask->method);
    ProtobufCMessage *message = NULL;
    json_error_t wrong;
    json_t *json;

    if (method == NULL)
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "method %u of the tuple space is not for actors",
                            ask->method);
    json = json_loadb((const char *)ask->json.data, ask->json.len,
                      JSON_REJECT_DUPLICATES, &wrong);
    if (json == NULL)
        return plex_err_set(err, PLEX_INVALID,
                            "the request is not JSON: %.150s at byte %d",
                            wrong.text, wrong.position);
    if (plex_json_to_pb_as(&tspace_json_form, json, method->in, arena, &message,
                           err) == PLEX_OK)
        err->status = pack(message, ask, arena, out, timeout_ms, err);
    json_decref(json);
    return err->status;
}

enum plex_status
work_tuple_unpack(uint32_t number, struct plex_bytes in,
                  struct plex_arena *arena, char **out, struct plex_err *err)
{
    const struct method *method = find(number);
    ProtobufCMessage *message = NULL;
    json_t *json;

    if (method == NULL)
        return plex_err_set(err, PLEX_UNSUPPORTED, "unknown method %u", number);
    if (plex_wire_unpack(method->out, in, arena, &message, err) != PLEX_OK)
        return err->status;
    json = plex_json_from_pb_as(&tspace_json_form, message);
    *out = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(json);
    return *out == NULL ? plex_err_set(err, PLEX_INTERNAL,
                                       "the answer could not be written")
                        : PLEX_OK;
}

bool
work_tuple_is_reading(uint32_t method)
{
    return method == METHOD(READ) || method == METHOD(COUNT) ||
           method == METHOD(EXISTS);
}
