/* Requests about facets as bytes: what was read packs into the same again. */
#include "runtime/facet_request.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plex_buf out = {.max = 1 << 20}, lines = {.max = 1 << 16};
    struct rt_facets_asked asked;
    struct rt_facets *chain = NULL;
    struct plex_err err;

    if (!rt_facets_unpack(data, size, &asked))
        return 0;
    rt_facets_pack(&asked.request, &out);
    if (out.len != size || memcmp(out.data, data, size) != 0)
        abort();
    if (rt_facets_create(NULL, "t/n/x/k", "x", (struct rt_facet_when){0},
                         &chain, &err) != PLEX_OK)
        abort();
    (void)(rt_facets_change(chain, NULL, &asked.request,
                            (struct rt_facet_when){0}, &lines,
                            &err) == PLEX_OK);
    rt_facets_free(chain);
    plex_buf_free(&out);
    plex_buf_free(&lines);
    return 0;
}
