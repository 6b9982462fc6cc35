/* Open runs as they lie in the journal: what unpacks must pack and unpack to
 * the same. */
#include "services/worker/run_log.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plex_arena arena, second;
    struct plex_buf buf = {.max = 16 << 20};
    struct work_run run, again;
    struct plex_err err;

    plex_arena_init(&arena, 16 << 20);
    plex_arena_init(&second, 16 << 20);
    if (work_run_unpack((struct plex_bytes){data, size}, &arena, &run, &err) ==
            PLEX_OK &&
        work_run_pack(&run, &buf, &err) == PLEX_OK) {
        if (work_run_unpack((struct plex_bytes){buf.data, buf.len}, &second,
                            &again, &err) != PLEX_OK ||
            run.n_steps != again.n_steps || run.n_signals != again.n_signals ||
            run.state.len != again.state.len ||
            strcmp(run.parked, again.parked) != 0)
            abort();
        for (size_t i = 0; i < run.n_steps; i++)
            if (strcmp(run.steps[i].name, again.steps[i].name) != 0 ||
                run.steps[i].kind != again.steps[i].kind ||
                run.steps[i].result.len != again.steps[i].result.len)
                abort();
    }
    plex_buf_free(&buf);
    plex_arena_fini(&arena);
    plex_arena_fini(&second);
    return 0;
}
