/* Replies, as they arrive on a link and lie in the journal. */
#include "services/worker/wire.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct plex_bytes in = {data, size};
    struct plex_arena arena, second;
    struct plex_buf buf = {.max = 16 << 20};
    struct work_reply r, again;
    struct work_actor *actors, actor;
    struct plex_err err;
    size_t n;

    plex_arena_init(&arena, 16 << 20);
    plex_arena_init(&second, 16 << 20);
    if (work_reply_unpack(in, &arena, &r, &err) == PLEX_OK) {
        uint8_t marks[WORK_REPLY_MARKS_MAX];
        uint8_t *at;

        if (work_reply_pack(&r, &buf, &err) != PLEX_OK)
            abort();
        n = work_reply_marks(true, true, marks);
        at = plex_buf_grow(&buf, n);
        if (at == NULL)
            abort();
        for (size_t i = 0; i < n; i++)
            at[i] = marks[i];
        if (work_reply_unpack((struct plex_bytes){buf.data, buf.len}, &second,
                              &again, &err) != PLEX_OK ||
            !again.replayed || !again.recorded ||
            again.http_status != r.http_status ||
            again.payload.len != r.payload.len || again.failed != r.failed)
            abort();
    }
    if (work_list_reply_unpack(in, &arena, &actors, &n, &err) != PLEX_OK ||
        work_inspect_reply_unpack(in, &arena, &actor, &err) != PLEX_OK)
        (void)0; /* refused with a reason, which is all that is asked */
    plex_buf_free(&buf);
    plex_arena_fini(&arena);
    plex_arena_fini(&second);
    return 0;
}
