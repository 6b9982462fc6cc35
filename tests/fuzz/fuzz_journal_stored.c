#include "services/journal/policy.h"
#include "services/journal/store_backend.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
texts(const uint8_t *data, size_t size)
{
    char *text = calloc(1, size + 1);
    struct journal_policy policy = {0};
    struct journal_keyring ring;
    struct plex_err err;
    enum plex_status status;

    memcpy(text, data, size);
    status = journal_policy_parse(text, &policy, &err);
    journal_policy_fini(&policy);
    status = journal_keyring_parse(text, &ring, &err);
    (void)status;
    free(text);
}

/* The first byte says whether the rest are texts a person wrote, or which
 * piece of a row it is that comes back from the database. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct journal_store_config config = {.dsn = "mem:"};
    struct journal_coding coding = {.name = "t/n/c/k", .name_len = 7};
    struct journal_store *store;
    struct plex_arena arena;
    struct plex_bytes out;
    struct plex_err err;

    if (size < 2)
        return 0;
    if (data[0] == 0) {
        texts(data + 1, size - 1);
        return 0;
    }
    if (journal_store_open(&store, &config, &err) != PLEX_OK)
        return 0;
    plex_arena_init(&arena, 16 << 20);
    coding.piece = (enum journal_piece)(1 + data[0] % 4);
    coding.flags = data[1];
    if (journal_decode(store, &coding, (struct plex_bytes){data + 2, size - 2},
                       &arena, &out, &err) == PLEX_OK &&
        out.len > JOURNAL_STATE_MAX && (coding.flags & JOURNAL_FLAG_ZSTD) != 0)
        abort();
    plex_arena_fini(&arena);
    journal_store_close(store);
    return 0;
}
