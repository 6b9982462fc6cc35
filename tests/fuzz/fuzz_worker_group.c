/* Requests about process groups, as they arrive on a link: the first byte
 * chooses which. */
#include "services/worker/wire_group.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct work_group_request request;
    struct plex_arena arena;
    struct plex_err err;
    uint32_t method;

    if (size == 0)
        return 0;
    method = WORK_GROUP_LIST + data[0] % 5;
    plex_arena_init(&arena, 16 << 20);
    if (work_group_request_unpack(method,
                                  (struct plex_bytes){data + 1, size - 1},
                                  &arena, &request, &err) == PLEX_OK) {
        /* What was accepted is what the handlers rely on. */
        if (request.ns[0] == '\0' || strlen(request.group) > 255 ||
            (method != WORK_GROUP_LIST && request.group[0] == '\0') ||
            (method == WORK_GROUP_LIST && request.page_size == 0) ||
            (method == WORK_GROUP_JOIN && request.process[0] == '\0') ||
            request.payload.len > WORK_GROUP_PAYLOAD_MAX)
            abort();
    }
    plex_arena_fini(&arena);
    return 0;
}
