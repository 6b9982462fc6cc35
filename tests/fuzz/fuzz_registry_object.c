/* Requests and stored rows of objects, through their state machine. The first
 * byte chooses what the rest is. */
#include "services/registry/wire_object.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { METHODS = REG_OBJECT_METHOD_LAST - REG_OBJECT_METHOD_FIRST + 1 };
static const struct reg_when when = {1, 1700000000000};

/* What is written must be readable again. */
static void
row_again(const struct reg_object_row *row, struct plex_arena *arena)
{
    struct plex_buf out = {.max = 1 << 20};
    struct reg_object object;
    struct plex_err err;

    if (reg_wire_object_row_out(row->object, arena, &out, &err) != PLEX_OK ||
        reg_wire_object_row_in((struct plex_bytes){out.data, out.len}, arena,
                               &object, &err) != PLEX_OK)
        abort();
    plex_buf_free(&out);
}

static void
answers(struct reg_objects *objects, struct plex_arena *arena)
{
    struct reg_keep_action action;
    struct plex_err err;

    while (reg_objects_next(objects, &action)) {
        struct plex_buf out = {.max = 1 << 20};

        if (action.kind == REG_KEEP_ROW)
            row_again(action.answer, arena);
        else if (action.status == PLEX_OK &&
                 reg_wire_object_answer(action.answer, arena, &out, &err) !=
                     PLEX_OK)
            abort();
        plex_buf_free(&out);
        reg_object_action_free(&action);
    }
}

static void
request_one(uint32_t method, struct plex_bytes in, struct plex_arena *arena)
{
    struct reg_objects *objects = reg_objects_create(&reg_object_defaults);
    const struct reg_object there = {.type = 3,
                                     .health = REG_HEALTH_HEALTHY,
                                     .tenant = "t",
                                     .ns = "n",
                                     .id = "x",
                                     .category = "",
                                     .node_id = "",
                                     .address = "",
                                     .version = "",
                                     .reason = ""};
    struct reg_object_request request;
    struct plex_err err;

    reg_objects_load(objects, &there, when);
    if (reg_wire_object_request(method, in, arena, &request, &err) == PLEX_OK) {
        request.tenant = "t";
        if (request.ns[0] != '*')
            request.ns = "n";
        reg_objects_request(objects, NULL, &request, when);
        reg_objects_request(objects, NULL, &request, when);
        answers(objects, arena);
    }
    reg_objects_free(objects);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reg_object object;
    struct plex_arena arena;
    struct plex_bytes in;
    struct plex_err err;
    uint32_t which;

    if (size == 0)
        return 0;
    which = data[0] % (METHODS + 1);
    in = (struct plex_bytes){data + 1, size - 1};
    plex_arena_init(&arena, 32 << 20);
    if (which < METHODS)
        request_one(REG_OBJECT_METHOD_FIRST + which, in, &arena);
    else if (reg_wire_object_row_in(in, &arena, &object, &err) == PLEX_OK)
        free(reg_object_copy(&object));
    plex_arena_fini(&arena);
    return 0;
}
