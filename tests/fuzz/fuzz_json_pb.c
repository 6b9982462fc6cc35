/* JSON text to protobuf and back; parameters to fields. */
#include "common/json_pb.h"
#include "common/wire.h"

#include <assert.h>
#include <string.h>

#include "plexspaces/application/v1/application.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const type =
    &plexspaces__application__v1__deploy_application_request__descriptor;

/* A message that was read is written so that it reads the same. */
static void
round_trip(const ProtobufCMessage *message, struct plex_arena *arena)
{
    struct plex_buf one = {.max = 1 << 20}, two = {.max = 1 << 20};
    json_t *json = plex_json_from_pb(message);
    ProtobufCMessage *again;
    struct plex_err err;

    assert(json != NULL);
    if (plex_json_to_pb(json, type, arena, &again, &err) == PLEX_OK) {
        assert(plex_wire_pack(message, &one, &err) == PLEX_OK);
        assert(plex_wire_pack(again, &two, &err) == PLEX_OK);
        assert(one.len == two.len);
    } else {
        assert(err.status == PLEX_TOO_LARGE); /* only memory may be short */
    }
    plex_buf_free(&one);
    plex_buf_free(&two);
    json_decref(json);
}

/* "name=value" */
static void
parameter(const uint8_t *data, size_t size, struct plex_arena *arena)
{
    Plexspaces__Application__V1__DeployApplicationRequest request =
        PLEXSPACES__APPLICATION__V1__DEPLOY_APPLICATION_REQUEST__INIT;
    char *text = plex_arena_strndup(arena, (const char *)data, size);
    struct plex_err err;
    char *equals;

    if (text == NULL || (equals = strchr(text, '=')) == NULL)
        return;
    *equals = '\0';
    for (int i = 0; i < 3; i++) {
        if (plex_pb_set_text(&request.base, text, equals + 1, arena, &err) !=
            PLEX_OK)
            assert(err.text[0] != '\0');
    }
    json_decref(plex_json_from_pb(&request.base));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *json = json_loadb((const char *)data, size, 0, NULL);
    struct plex_arena arena;
    ProtobufCMessage *message;
    struct plex_err err;

    plex_arena_init(&arena, 256 << 10);
    if (json != NULL &&
        plex_json_to_pb(json, type, &arena, &message, &err) == PLEX_OK)
        round_trip(message, &arena);
    json_decref(json);
    plex_arena_reset(&arena);
    parameter(data, size, &arena);
    plex_arena_fini(&arena);
    return 0;
}
