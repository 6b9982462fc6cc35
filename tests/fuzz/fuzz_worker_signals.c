/* Batches of signals from other workers: what is read must be written and read
 * to the same. */
#include "services/worker/dist_code.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
again(const struct rt_signal *signal, uint64_t node)
{
    const size_t size = work_signal_size(signal, node);
    const struct work_batch head = {.node = node, .session = 1, .sequence = 1};
    uint8_t *bytes = malloc(WORK_BATCH_HEAD_MAX + size);
    struct work_batch_reader reader;
    struct plex_arena arena;
    struct rt_signal got;
    struct plex_err err;
    bool more;
    size_t len;

    plex_arena_init(&arena, 16 << 20);
    len = work_batch_write(&head, bytes);
    len = (size_t)(work_signal_write(signal, node, bytes + len) - bytes);
    if (work_batch_open(&reader, (struct plex_bytes){bytes, len}, 7, &arena,
                        &err) != PLEX_OK ||
        work_batch_next(&reader, &arena, &got, &more, &err) != PLEX_OK ||
        !more || got.kind != signal->kind || got.call != signal->call ||
        got.from.id != signal->from.id || got.to.id != signal->to.id ||
        got.post.len != signal->post.len ||
        strcmp(got.name, signal->name) != 0 ||
        strcmp(got.reason, signal->reason) != 0)
        abort();
    plex_arena_fini(&arena);
    free(bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct work_batch_reader reader;
    struct plex_arena arena;
    struct rt_signal signal;
    struct plex_err err;
    bool more = true;

    plex_arena_init(&arena, 16 << 20);
    if (work_batch_open(&reader, (struct plex_bytes){data, size}, 7, &arena,
                        &err) == PLEX_OK)
        while (work_batch_next(&reader, &arena, &signal, &more, &err) ==
                   PLEX_OK &&
               more)
            again(&signal, reader.batch.node);
    plex_arena_fini(&arena);
    return 0;
}
