/* Records of turns as they lie in the journal: what unpacks must pack and
 * unpack to the same. */
#include "services/worker/record.h"

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
    struct work_record record, again;
    struct plex_err err;

    plex_arena_init(&arena, 16 << 20);
    plex_arena_init(&second, 16 << 20);
    if (work_record_unpack((struct plex_bytes){data, size}, &arena, &record,
                           &err) == PLEX_OK &&
        work_record_pack(&record, &buf, &err) == PLEX_OK) {
        if (work_record_unpack((struct plex_bytes){buf.data, buf.len}, &second,
                               &again, &err) != PLEX_OK ||
            record.n_events != again.n_events || record.at_ms != again.at_ms)
            abort();
        for (size_t i = 0; i < record.n_events; i++)
            if (strcmp(record.events[i].type, again.events[i].type) != 0 ||
                record.events[i].data.len != again.events[i].data.len)
                abort();
    }
    plex_buf_free(&buf);
    plex_arena_fini(&arena);
    plex_arena_fini(&second);
    return 0;
}
