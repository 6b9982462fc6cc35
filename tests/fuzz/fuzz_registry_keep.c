/* Requests and stored rows of keys and locks, through their state machines.
 * The first byte chooses what the rest is. */
#include "services/registry/wire_kv.h"
#include "services/registry/wire_lock.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KV = REG_KV_METHOD_LAST - REG_KV_METHOD_FIRST + 1, LOCK = 6, ROWS = 4 };
static const struct reg_when when = {1, 1700000000000};

static void
kv_answers(struct reg_kv *kv, struct plex_arena *arena)
{
    struct reg_keep_action action;
    struct plex_err err;

    while (reg_kv_next(kv, &action)) {
        struct plex_buf out = {.max = 32 << 20};

        if (action.kind == REG_KEEP_REPLY && action.status == PLEX_OK &&
            reg_wire_kv_answer(action.answer, "mem", arena, &out, &err) !=
                PLEX_OK)
            abort();
        plex_buf_free(&out);
        reg_kv_action_free(&action);
    }
}

static void
kv_one(uint32_t method, struct plex_bytes in, struct plex_arena *arena)
{
    struct reg_kv *kv = reg_kv_create(&reg_kv_defaults);
    struct reg_kv_request request;
    struct plex_err err;

    reg_kv_loaded(kv, 0, when);
    if (reg_wire_kv_request(method, in, arena, &request, &err) == PLEX_OK) {
        request.tenant = "t";
        request.ns = "n";
        reg_kv_request(kv, NULL, &request, when);
        reg_kv_request(kv, NULL, &request, when);
        reg_kv_dismiss(kv, "over");
        kv_answers(kv, arena);
    }
    reg_kv_free(kv);
}

static void
lock_one(uint32_t method, struct plex_bytes in, struct plex_arena *arena)
{
    struct reg_locks *locks = reg_locks_create(&reg_lock_defaults);
    struct reg_keep_action action;
    struct reg_lock_request request;
    struct plex_err err;

    if (reg_wire_lock_request(method, in, arena, &request, &err) == PLEX_OK) {
        request.tenant = "t";
        request.ns = "n";
        request.new_version = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
        reg_locks_request(locks, NULL, &request, when);
        reg_locks_request(locks, NULL, &request, when);
        while (reg_locks_next(locks, &action)) {
            struct plex_buf out = {.max = 1 << 20};

            if (action.kind == REG_KEEP_REPLY && action.status == PLEX_OK &&
                reg_wire_lock_answer(action.answer, arena, &out, &err) !=
                    PLEX_OK)
                abort();
            plex_buf_free(&out);
            reg_lock_action_free(&action);
        }
    }
    reg_locks_free(locks);
}

static enum plex_status
row_one(int which, struct plex_bytes in, struct plex_arena *arena)
{
    struct reg_kv_rec rec = {0};
    struct reg_kv_row row = {0};
    struct reg_lock_info lock = {0};
    struct plex_err err;
    uint64_t number;

    if (which == 0)
        return reg_wire_kv_value_in(in, arena, &rec, &err);
    if (which == 1)
        return reg_wire_kv_request_in(in, arena, &row, &err);
    if (which == 2)
        return reg_wire_lock_row_in(in, arena, &lock, &err);
    return reg_wire_counter_in(in, arena, &number, &err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plex_arena arena;
    struct plex_bytes in;
    int which;

    if (size == 0)
        return 0;
    which = data[0] % (KV + LOCK + ROWS);
    in = (struct plex_bytes){data + 1, size - 1};
    plex_arena_init(&arena, 32 << 20);
    if (which < KV)
        kv_one(REG_KV_METHOD_FIRST + (uint32_t)which, in, &arena);
    else if (which < KV + LOCK)
        lock_one(REG_LOCK_METHOD_FIRST + (uint32_t)(which - KV), in, &arena);
    else if (row_one(which - KV - LOCK, in, &arena) == PLEX_OK)
        plex_arena_reset(&arena);
    plex_arena_fini(&arena);
    return 0;
}
