#include "services/journal/wire.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte says which request; what decodes must also survive the
 * core's checks. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct journal_request request = {0};
    struct journal_core *core;
    struct journal_action action;
    struct plex_arena arena;
    struct plex_err err;

    if (size == 0)
        return 0;
    plex_arena_init(&arena, 1 << 20);
    core = journal_core_create(&(struct journal_core_config){0});
    if (journal_wire_request((enum journal_request_kind)(
                                 1 + data[0] % (JOURNAL_REQUEST_KINDS - 1)),
                             (struct plex_bytes){data + 1, size - 1}, &arena,
                             &request, &err) == PLEX_OK) {
        journal_core_submit(core, &request);
        if (journal_core_next(core, 1, &action) &&
            action.kind == JOURNAL_DO_COMMIT)
            journal_core_committed(core, PLEX_OK, "");
    }
    journal_core_free(core);
    plex_arena_fini(&arena);
    return 0;
}
