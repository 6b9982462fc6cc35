#include "services/worker/wire_tuple.h"

#include "common/wire.h"
#include "services/tuplespace/client.h"

#include <stdlib.h>
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

/* A take that waits may find its actor gone when a tuple comes: it is claimed,
 * so that it can be given back. */
static bool
claim_set(ProtobufCMessage *message, const struct work_tuple_ask *ask,
          struct plex_arena *arena)
{
    Plexspaces__Tuplespace__V1__ReadRequest *read = (void *)message;
    Plexspaces__Tuplespace__V1__Claim *made;

    if (ask->method != METHOD(TAKE) || ask->owner.len == 0 ||
        read->timeout_ms == 0 || read->claim != NULL ||
        read->request_id.len > 0 || read->transaction_id != 0)
        return false;
    made = plex_arena_alloc(arena, sizeof *made);
    if (made == NULL)
        return false; /* then there is no room to pack it either */
    plexspaces__tuplespace__v1__claim__init(made);
    made->owner = (char *)(uintptr_t)ask->owner.data;
    made->turn = ask->turn;
    made->lease_ms = ask->lease_ms;
    read->claim = made;
    read->request_id = plex_wire_bytes(ask->own_id);
    return true;
}

static enum plex_status
packed(const ProtobufCMessage *message, struct plex_arena *arena,
       struct plex_bytes *out, struct plex_err *err)
{
    uint8_t *bytes;

    out->len = protobuf_c_message_get_packed_size(message);
    bytes = plex_arena_alloc(arena, out->len + 1);
    if (bytes == NULL)
        return plex_wire_no_room(err);
    protobuf_c_message_pack(message, bytes);
    out->data = bytes;
    return PLEX_OK;
}

static enum plex_status
pack(ProtobufCMessage *message, const struct work_tuple_ask *ask,
     struct plex_arena *arena, struct work_tuple_packed *out,
     struct plex_err *err)
{
    const uint64_t *wait = member(message, "timeout_ms");
    ProtobufCBinaryData *id = member(message, "request_id");
    char **ns = member(message, "namespace");

    out->timeout_ms = wait == NULL ? 0 : *wait;
    if (out->timeout_ms > TUPLE_WAIT_MAX_MS)
        return plex_err_set(err, PLEX_INVALID,
                            "timeout_ms is over %d, which is an hour",
                            TUPLE_WAIT_MAX_MS);
    if (ns != NULL && (*ns)[0] != '\0')
        return plex_err_set(err, PLEX_INVALID,
                            "namespace is the actor's own, leave it out");
    if (id != NULL && ask->id.len > 0)
        *id = plex_wire_bytes(ask->id);
    out->claimed = claim_set(message, ask, arena);
    return packed(message, arena, &out->bytes, err);
}

enum plex_status
work_tuple_pack(const struct work_tuple_ask *ask, struct plex_arena *arena,
                struct work_tuple_packed *out, struct plex_err *err)
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
        err->status = pack(message, ask, arena, out, err);
    json_decref(json);
    return err->status;
}

enum plex_status
work_tuple_pack_claim(const struct work_tuple_ask *ask,
                      struct plex_arena *arena, struct plex_bytes *out,
                      struct plex_err *err)
{
    Plexspaces__Tuplespace__V1__ClaimRequest request =
        PLEXSPACES__TUPLESPACE__V1__CLAIM_REQUEST__INIT;

    request.owner = (char *)(uintptr_t)ask->owner.data;
    request.turn = ask->turn;
    return packed(&request.base, arena, out, err);
}

/* -- giving back ----------------------------------------------------------- */

bool
work_tuple_some(const char *answer)
{
    static const char none[] = "{\"tuples\":[]";

    return strncmp(answer, none, sizeof none - 1) != 0;
}

/* Numbers of 64 bits are texts in JSON. */
static uint64_t
number_of(const json_t *json)
{
    return json_is_string(json) ? strtoull(json_string_value(json), NULL, 10)
                                : (uint64_t)json_integer_value(json);
}

char *
work_tuple_again(struct plex_bytes request, const char *answer, size_t i,
                 uint64_t wall_ms)
{
    json_t *asked =
        json_loadb((const char *)request.data, request.len, 0, NULL);
    json_t *got = json_loads(answer, 0, NULL), *write = NULL;
    json_t *tuple = json_array_get(json_object_get(got, "tuples"), i);
    const uint64_t expires = number_of(json_object_get(tuple, "expires_ms"));
    char *text = NULL;

    if (tuple != NULL && (expires == 0 || expires > wall_ms) &&
        json_object_get(asked, "claim") == NULL &&
        json_object_get(asked, "transaction_id") == NULL) {
        write = json_pack("{s:O, s:[{s:O}], s:O*, s:O*}", "space",
                          json_object_get(asked, "space"), "tuples", "fields",
                          json_object_get(tuple, "fields"), "owner",
                          json_object_get(tuple, "owner"), "metadata",
                          json_object_get(tuple, "metadata"));
        if (expires > 0)
            (void)json_object_set_new(
                write, "ttl_ms", json_integer((json_int_t)(expires - wall_ms)));
        text = json_dumps(write, JSON_COMPACT);
    }
    json_decref(write);
    json_decref(got);
    json_decref(asked);
    return text;
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
