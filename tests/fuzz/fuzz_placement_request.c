/* Placement's requests and stored tables, through a core. The first byte
 * chooses what the rest is. */
#include "services/placement/core.h"
#include "services/placement/wire.h"
#include "services/placement/wire_schedule.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
core_lead(struct place_table *table)
{
    struct place_core_config config = place_core_defaults;
    struct place_core *core;
    struct place_action action;

    config.workers_max = 8;
    core = place_core_create(&config);
    place_core_lead(core, 1, UINT64_MAX, &table, table == NULL ? 0 : 1, 5);
    place_core_tick(core, UINT64_C(2000000005), 1700000000000U);
    while (place_core_next(core, &action)) {
        if (action.kind == PLACE_ACTION_SAVE)
            place_core_saved(core, action.table->pool, action.version, PLEX_OK,
                             UINT64_C(2000000006), 1700000000000U);
        place_table_unref(action.table);
    }
    place_core_free(core);
}

static void
table_in(struct plex_bytes in, struct plex_arena *arena)
{
    struct place_table *table;
    struct plex_err err;

    if (place_wire_body_in(in, arena, &table, &err) != PLEX_OK)
        return;
    if (table->shard_bits > 0 && table->shard_bits <= 12)
        core_lead(table);
    place_table_unref(table);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum place_method methods[] = {
        PLACE_METHOD_DRAIN_NODE, PLACE_METHOD_HEARTBEAT, PLACE_METHOD_WATCH,
        PLACE_METHOD_LEAVE,      PLACE_METHOD_RESERVE,   PLACE_METHOD_HOLD};
    struct place_request request;
    struct plex_arena arena;
    struct plex_err err;
    struct plex_bytes in;
    enum plex_status status;

    if (size == 0)
        return 0;
    in = (struct plex_bytes){data + 1, size - 1};
    plex_arena_init(&arena, 8 << 20);
    if (data[0] % 11 == 4) {
        table_in(in, &arena);
    } else if (data[0] % 11 > 6) {
        struct place_schedule schedule;

        status = place_wire_schedule(PLACE_METHOD_SCHEDULE + data[0] % 11U - 7U,
                                     "tenant", in, &arena, &schedule, &err);
        assert(status == PLEX_OK || err.text[0] != '\0');
    } else {
        status = place_wire_request(
            methods[data[0] % 11 < 4 ? data[0] % 11 : data[0] % 11 - 1], in,
            &arena, &request, &err);
        assert(status == PLEX_OK || err.text[0] != '\0');
    }
    plex_arena_fini(&arena);
    return 0;
}
