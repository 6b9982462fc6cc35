/* The broker's requests, carried out. The first byte chooses which. */
#include "services/channel-broker/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct broker_now now = {1, 1};

static void
carry_out(struct broker_core *core, struct plex_arena *arena)
{
    struct plex_buf out = {.max = 1 << 20};
    struct broker_action action;
    struct plex_err err;

    while (broker_core_next(core, &action)) {
        out.len = 0;
        if (action.kind == BROKER_REPLY && action.status == PLEX_OK)
            (void)!broker_wire_answer(&action, arena, &out, &err);
    }
    plex_buf_free(&out);
}

static void
request(struct broker_core *core, unsigned kind, struct plex_bytes in,
        struct plex_arena *arena)
{
    struct broker_receive receive;
    struct broker_settle settle;
    struct broker_where where = {"default", "default", ""};
    struct broker_send send;
    const char *group;
    struct plex_err err;

    if (kind == 0 && broker_wire_send(in, arena, &send, &err) == PLEX_OK) {
        send.where.tenant = send.where.ns = "default";
        broker_core_send(core, now, NULL, &send);
    } else if (kind == 1 &&
               broker_wire_receive(in, arena, &receive, &err) == PLEX_OK) {
        receive.where.tenant = receive.where.ns = "default";
        broker_core_receive(core, now, NULL, &receive);
    } else if ((kind == 2 || kind == 3) &&
               broker_wire_settle(in, kind == 2, arena, &settle, &err) ==
                   PLEX_OK) {
        settle.where.tenant = settle.where.ns = "default";
        broker_core_settle(core, now, NULL, &settle);
    } else if (kind == 4 &&
               broker_wire_stats(in, arena, &where, &group, &err) == PLEX_OK) {
        (void)broker_core_stats(core, &where, group);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct broker_config config = {100, 10,  2000, 1 << 24,
                                         100, 100, NULL, NULL};
    struct broker_core *core;
    struct plex_arena arena;

    if (size == 0)
        return 0;
    core = broker_core_create(&config);
    plex_arena_init(&arena, 16 << 20);
    request(core, data[0] % 5, (struct plex_bytes){data + 1, size - 1}, &arena);
    carry_out(core, &arena);
    plex_arena_fini(&arena);
    broker_core_free(core);
    return 0;
}
