/* The tuple space's requests, carried out, and its stored forms. The first
 * byte chooses what the rest is. */
#include "services/tuplespace/tuple.h"
#include "services/tuplespace/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct tspace_now now = {1, 1};

static void
carry_out(struct tspace_core *core, struct plex_arena *arena)
{
    struct plex_buf out = {.max = 1 << 20};
    struct tspace_action action;
    struct plex_err err;

    while (tspace_core_next(core, &action)) {
        out.len = 0;
        if (action.kind == TSPACE_REPLY && action.status == PLEX_OK)
            (void)!tspace_wire_answer(action.answer, arena, &out, &err);
        else if (action.kind == TSPACE_PUT)
            (void)!tspace_tuple_encode(action.tuple, &out, &err);
    }
    plex_buf_free(&out);
}

static void
request(unsigned kind, struct plex_bytes in, struct plex_arena *arena)
{
    const struct tspace_config config = {100, 20000, 1 << 24, 100,
                                         100, NULL,  NULL};
    struct tspace_core *core = tspace_core_create(&config);
    struct tspace_write write;
    struct tspace_read read;
    struct plex_err err;

    if (kind == 0 && tspace_wire_write(in, arena, &write, &err) == PLEX_OK) {
        write.where.tenant = write.where.ns = "default";
        tspace_core_write(core, now, NULL, &write);
    } else if ((kind == 1 || kind == 2) &&
               tspace_wire_read(in, kind == 2, arena, &read, &err) == PLEX_OK) {
        read.where.tenant = read.where.ns = "default";
        tspace_core_read(core, now, NULL, &read);
    } else if (kind == 3 &&
               tspace_wire_count(in, arena, &read, &err) == PLEX_OK) {
        read.where.tenant = read.where.ns = "default";
        (void)tspace_core_count(core, now, &read.where, read.patterns,
                                read.n_patterns);
    }
    carry_out(core, arena);
    tspace_core_free(core);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tspace_answer answer;
    struct tspace_tuple tuple;
    struct plex_arena arena;
    struct plex_bytes in;
    struct plex_err err;

    if (size == 0)
        return 0;
    in = (struct plex_bytes){data + 1, size - 1};
    plex_arena_init(&arena, 16 << 20);
    if (data[0] % 6 < 4)
        request(data[0] % 6, in, &arena);
    else if (data[0] % 6 == 4)
        (void)!tspace_tuple_decode(in, &arena, &tuple, &err);
    else
        (void)!tspace_answer_decode(in, &arena, &answer, &err);
    plex_arena_fini(&arena);
    return 0;
}
