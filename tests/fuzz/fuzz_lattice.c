/* A lattice's encoding: what is read is canonical, and merges with itself and
 * what it is changed to as lattices do. */
#include "lattice/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
same_bytes(const struct lattice *lattice, const uint8_t *data, size_t size)
{
    struct plex_buf out = {.max = LATTICE_BYTES_MAX};
    struct plex_err err;

    if (lattice_encode(lattice, &out, &err) != PLEX_OK || out.len != size ||
        memcmp(out.data, data, size) != 0)
        abort();
    plex_buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lattice *half, *whole, *again;
    struct plex_err err;

    if (lattice_decode((struct plex_bytes){data, size}, &whole, &err) !=
        PLEX_OK) {
        if (whole != NULL || err.text[0] == '\0')
            abort();
    } else {
        json_decref(lattice_view(whole));
        same_bytes(whole, data, size);
        again = lattice_clone(whole);
        if (lattice_merge(again, whole))
            abort();
        same_bytes(again, data, size);
        lattice_free(again);
        lattice_free(whole);
    }
    /* Two of them: whichever way they are merged, it is the same. */
    for (size_t cut = 1; cut < size && cut < 64; cut++) {
        if (lattice_decode((struct plex_bytes){data, cut}, &half, &err) !=
            PLEX_OK)
            continue;
        if (lattice_decode((struct plex_bytes){data + cut, size - cut}, &whole,
                           &err) == PLEX_OK) {
            struct plex_buf out = {.max = SIZE_MAX};

            again = lattice_clone(whole);
            (void)lattice_merge(again, half);
            (void)lattice_merge(half, whole);
            if (lattice_encode(half, &out, &err) != PLEX_OK)
                abort();
            same_bytes(again, out.data, out.len);
            plex_buf_free(&out);
            lattice_free(again);
            lattice_free(whole);
        }
        lattice_free(half);
    }
    return 0;
}
