/* The JSON form of the tuple space's messages, and templates as text. */
#include "common/wire.h"
#include "services/tuplespace/client.h"

#include <assert.h>
#include <string.h>

#include "plexspaces/tuplespace/v1/tuplespace.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const types[] = {
    &plexspaces__tuplespace__v1__write_request__descriptor,
    &plexspaces__tuplespace__v1__read_request__descriptor,
    &plexspaces__tuplespace__v1__subscribe_request__descriptor,
    &plexspaces__tuplespace__v1__read_reply__descriptor,
};

/* What was accepted can be packed and unpacked, and written again. */
static void
request(const json_t *json, const ProtobufCMessageDescriptor *type,
        struct plex_arena *arena)
{
    struct plex_buf packed = {.max = 1 << 20};
    ProtobufCMessage *message;
    struct plex_err err;

    plex_arena_reset(arena);
    if (plex_json_to_pb_as(&tspace_json_form, json, type, arena, &message,
                           &err) != PLEX_OK) {
        assert(err.text[0] != '\0');
        return;
    }
    if (plex_wire_pack(message, &packed, &err) == PLEX_OK &&
        plex_wire_unpack(type, (struct plex_bytes){packed.data, packed.len},
                         arena, &message, &err) == PLEX_OK)
        json_decref(plex_json_from_pb_as(&tspace_json_form, message));
    plex_buf_free(&packed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *json = json_loadb((const char *)data, size, 0, NULL);
    struct plex_arena arena;
    struct plex_err err;
    char *text;

    plex_arena_init(&arena, 1 << 20);
    for (size_t i = 0; json != NULL && i < sizeof types / sizeof types[0]; i++)
        request(json, types[i], &arena);
    json_decref(json);
    plex_arena_reset(&arena);
    text = plex_arena_strndup(&arena, (const char *)data, size);
    if (text != NULL) {
        json = tspace_text_template(text, &err);
        assert(json != NULL || err.text[0] != '\0');
        json_decref(json);
    }
    plex_arena_fini(&arena);
    return 0;
}
