/* States of the past that a worker is to make, and what it made. */
#include "services/worker/wire_rebuild.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct plex_bytes in = {data, size};
    struct plex_buf buf = {.max = 16 << 20};
    struct work_rebuild of, again;
    struct plex_arena arena;
    struct work_rebuilt out;
    struct plex_err err;

    plex_arena_init(&arena, 32 << 20);
    if (work_rebuild_unpack(in, &arena, &of, &err) == PLEX_OK &&
        (work_rebuild_pack(&of, &buf, &err) != PLEX_OK ||
         work_rebuild_unpack((struct plex_bytes){buf.data, buf.len}, &arena,
                             &again, &err) != PLEX_OK ||
         again.n_records != of.n_records || again.state.len != of.state.len))
        abort();
    buf.len = 0;
    if (work_rebuilt_unpack(in, &arena, &out, &err) == PLEX_OK &&
        work_rebuilt_pack(&out, &buf, &err) != PLEX_OK)
        abort();
    plex_buf_free(&buf);
    plex_arena_fini(&arena);
    return 0;
}
