#include "services/journal/client_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte says which reply. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plex_bytes in;
    struct journal_result *results;
    struct journal_loaded loaded;
    struct journal_lookup found;
    struct journal_replied_page page;
    struct journal_past past;
    struct journal_was was;
    struct journal_verified verified;
    struct journal_truncated truncated;
    struct plex_arena arena;
    struct plex_err err;
    enum plex_status status;
    uint64_t newest;

    if (size == 0)
        return 0;
    in = (struct plex_bytes){data + 1, size - 1};
    plex_arena_init(&arena, 1 << 20);
    switch (data[0] % 10) {
    case 0:
        status = journal_unpack_append(in, 1, &arena, &results, &err);
        break;
    case 1:
        status = journal_unpack_load(in, &arena, &loaded, &err);
        break;
    case 2:
        status = journal_unpack_fence(in, &arena, &newest, &err);
        break;
    case 3:
        status = journal_unpack_lookup(in, &arena, &found, &err);
        break;
    case 5:
        status = journal_unpack_past(in, &arena, &past, &err);
        break;
    case 6:
        status = journal_unpack_was(in, &arena, &was, &err);
        break;
    case 7:
        status = journal_unpack_verified(in, &arena, &verified, &err);
        break;
    case 8:
        status = journal_unpack_shredded(in, &arena, &newest, &err);
        break;
    case 9:
        status = journal_unpack_truncated(in, &arena, &truncated, &err);
        break;
    default:
        status = journal_unpack_pending(in, &arena, &page, &err);
    }
    (void)status;
    plex_arena_fini(&arena);
    return 0;
}
