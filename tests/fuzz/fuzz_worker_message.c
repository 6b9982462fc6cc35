/* Messages to actors, as they arrive on a link and lie in the journal: what
 * unpacks must pack and unpack to the same. */
#include "services/worker/wire.h"

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
    struct work_message m, again;
    struct plex_actor_id id;
    struct work_list_request list;
    struct plex_err err;

    plex_arena_init(&arena, 16 << 20);
    plex_arena_init(&second, 16 << 20);
    if (work_message_unpack((struct plex_bytes){data, size}, &arena, &m,
                            &err) == PLEX_OK) {
        if (work_message_pack(&m, &buf, &err) != PLEX_OK ||
            work_message_unpack((struct plex_bytes){buf.data, buf.len}, &second,
                                &again, &err) != PLEX_OK ||
            !plex_actor_equal(&m.to, &again.to) ||
            m.payload.len != again.payload.len || m.id.len != again.id.len ||
            m.n_headers != again.n_headers || m.kind != again.kind)
            abort();
    }
    if (work_inspect_request_unpack((struct plex_bytes){data, size}, &arena,
                                    &id, &err) != PLEX_OK ||
        work_list_request_unpack((struct plex_bytes){data, size}, &arena, &list,
                                 &err) != PLEX_OK)
        (void)0; /* refused with a reason, which is all that is asked */
    plex_buf_free(&buf);
    plex_arena_fini(&arena);
    plex_arena_fini(&second);
    return 0;
}
