/* The registry's requests and stored bodies, through validation. The first
 * byte chooses what the rest is. */
#include "services/registry/core.h"
#include "services/registry/wire.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
accepted(const struct reg_request *request)
{
    struct reg_app_rec *rec = NULL;
    struct plex_err err;

    if (request->method != REG_METHOD_DEPLOY ||
        reg_app_resolve(&request->app, &rec, &err) != PLEX_OK)
        return;
    reg_app_rec_unref(rec);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum reg_method methods[] = {
        REG_METHOD_ANNOUNCE,   REG_METHOD_WITHDRAW, REG_METHOD_WATCH,
        REG_METHOD_LIST_NODES, REG_METHOD_GET_NODE, REG_METHOD_DEPLOY,
        REG_METHOD_LIST_APPS,  REG_METHOD_GET_APP,  REG_METHOD_STOP_APP,
        REG_METHOD_START_APP,  REG_METHOD_UNDEPLOY,
    };
    const size_t n = sizeof methods / sizeof methods[0];
    struct reg_request request;
    struct reg_app_full full;
    struct plex_arena arena;
    struct plex_err err;
    struct plex_bytes in;

    if (size == 0)
        return 0;
    in = (struct plex_bytes){data + 1, size - 1};
    plex_arena_init(&arena, 8 << 20);
    if (data[0] % (n + 1) == n) {
        if (reg_wire_body_in(in, &arena, &full, &err) == PLEX_OK) {
            struct plex_buf out = {.max = 8 << 20};

            if (reg_wire_body_out(&full, &arena, &out, &err) != PLEX_OK)
                out.len = 0;
            plex_buf_free(&out);
        }
    } else if (reg_wire_request(methods[data[0] % (n + 1)], in, &arena,
                                &request, &err) == PLEX_OK) {
        accepted(&request);
    }
    plex_arena_fini(&arena);
    return 0;
}
