/* plex_wire_unpack, with a little memory, as the types clients can send. */
#include "common/wire.h"

#include <assert.h>
#include <stdlib.h>

#include "plexspaces/application/v1/application.pb-c.h"
#include "plexspaces/journal/v1/journal.pb-c.h"
#include "plexspaces/worker/v1/worker.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_type(const ProtobufCMessageDescriptor *type, struct plex_bytes in)
{
    struct plex_buf out = {.max = 1 << 20};
    struct plex_arena arena;
    ProtobufCMessage *message;
    struct plex_err err;

    plex_arena_init(&arena, 256 << 10);
    if (plex_wire_unpack(type, in, &arena, &message, &err) == PLEX_OK) {
        /* What was accepted can be sent on and is accepted again. */
        assert(plex_wire_pack(message, &out, &err) == PLEX_OK);
        plex_arena_fini(&arena);
        plex_arena_init(&arena, 1 << 20);
        assert(plex_wire_unpack(type, (struct plex_bytes){out.data, out.len},
                                &arena, &message, &err) == PLEX_OK);
    }
    plex_buf_free(&out);
    plex_arena_fini(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ProtobufCMessageDescriptor *const types[] = {
        &plexspaces__application__v1__deploy_application_request__descriptor,
        &plexspaces__journal__v1__append_request__descriptor,
        &plexspaces__worker__v1__invoke_request__descriptor,
    };

    if (size == 0)
        return 0;
    try_type(types[data[0] % 3], (struct plex_bytes){data + 1, size - 1});
    return 0;
}
