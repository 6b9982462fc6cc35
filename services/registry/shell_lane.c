#include "services/registry/shell_lane.h"

#include "services/registry/wire_kv.h"
#include "services/registry/wire_lock.h"
#include "services/registry/wire_object.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool
caller_gone(void *call)
{
    return plex_call_abandoned(call);
}

/* -- keys ------------------------------------------------------------------ */

static void *
kv_create(const struct reg_keep_config *config)
{
    struct reg_kv_config kv = reg_kv_defaults;

    kv.keys_max = config->kv_keys_max;
    kv.bytes_max = config->kv_memory_max_bytes;
    kv.gone = caller_gone;
    return reg_kv_create(&kv);
}

static void
kv_free(void *core)
{
    reg_kv_free(core);
}

static enum plex_status
kv_load(struct reg_lane *lane, const struct reg_row *row, struct plex_err *err)
{
    struct reg_kv_rec rec = {0};
    struct reg_kv_row seen = {0};

    if (row->kind == REG_ROW_VALUE) {
        if (reg_wire_kv_value_in(row->body, &lane->arena, &rec, err) != PLEX_OK)
            return err->status;
        reg_kv_load(lane->core, row->tenant, row->ns, row->name, &rec);
        return PLEX_OK;
    }
    if (reg_wire_kv_request_in(row->body, &lane->arena, &seen, err) != PLEX_OK)
        return err->status;
    seen.tenant = (char *)(uintptr_t)row->tenant;
    seen.ns = (char *)(uintptr_t)row->ns;
    seen.id = (char *)(uintptr_t)row->name;
    reg_kv_load_request(lane->core, &seen);
    return PLEX_OK;
}

static void
kv_loaded(void *core, uint64_t counter, struct reg_when when)
{
    reg_kv_loaded(core, counter, when);
}

static bool
kv_next(void *core, struct reg_keep_action *out)
{
    return reg_kv_next(core, out);
}

static enum plex_status
kv_row(struct reg_lane *lane, const struct reg_keep_action *action,
       struct reg_row *row, struct plex_buf *body, struct plex_err *err)
{
    (void)lane;
    const struct reg_kv_row *from = action->answer;
    const bool value = from->kind == REG_ROW_VALUE;

    row->kind = from->kind;
    row->tenant = value ? from->rec->tenant : from->tenant;
    row->ns = value ? from->rec->ns : from->ns;
    row->name = value ? from->rec->key : from->id;
    row->gone = from->gone;
    return row->gone ? PLEX_OK : reg_wire_kv_row_out(from, body, err);
}

static enum plex_status
kv_answer(struct reg_lane *lane, const struct reg_keep_action *action,
          struct plex_buf *out, struct plex_err *err)
{
    return reg_wire_kv_answer(action->answer, reg_rows_backend(lane->rows),
                              &lane->arena, out, err);
}

static uint64_t
kv_counter(void *core)
{
    return reg_kv_revision(core);
}

static uint64_t
kv_wake(void *core)
{
    return reg_kv_wake(core);
}

static void
kv_tick(void *core, struct reg_when when)
{
    reg_kv_tick(core, when);
}

static void
kv_dismiss(void *core, const char *why)
{
    reg_kv_dismiss(core, why);
}

const struct reg_lane_ops reg_lane_kv = {
    .area = "kv",
    .counter_name = "revision",
    .create = kv_create,
    .free = kv_free,
    .load = kv_load,
    .loaded = kv_loaded,
    .next = kv_next,
    .action_free = reg_kv_action_free,
    .row = kv_row,
    .answer = kv_answer,
    .counter = kv_counter,
    .wake = kv_wake,
    .tick = kv_tick,
    .dismiss = kv_dismiss,
};

/* -- locks ----------------------------------------------------------------- */

static void *
lock_create(const struct reg_keep_config *config)
{
    struct reg_lock_config lock = reg_lock_defaults;

    lock.locks_max = config->locks_max;
    lock.waiters_max = config->lock_waiters_max;
    lock.gone = caller_gone;
    return reg_locks_create(&lock);
}

static void
lock_free(void *core)
{
    reg_locks_free(core);
}

static enum plex_status
lock_load(struct reg_lane *lane, const struct reg_row *row,
          struct plex_err *err)
{
    struct reg_lock_info info = {0};

    if (reg_wire_lock_row_in(row->body, &lane->arena, &info, err) != PLEX_OK)
        return err->status;
    info.tenant = (char *)(uintptr_t)row->tenant;
    info.ns = (char *)(uintptr_t)row->ns;
    info.key = (char *)(uintptr_t)row->name;
    reg_locks_load(lane->core, &info, reg_lane_now());
    return PLEX_OK;
}

static void
lock_loaded(void *core, uint64_t counter, struct reg_when when)
{
    (void)when;
    reg_locks_loaded(core, counter);
}

static bool
lock_next(void *core, struct reg_keep_action *out)
{
    return reg_locks_next(core, out);
}

static enum plex_status
lock_row(struct reg_lane *lane, const struct reg_keep_action *action,
         struct reg_row *row, struct plex_buf *body, struct plex_err *err)
{
    (void)lane;
    const struct reg_lock_row *from = action->answer;

    row->kind = REG_ROW_LOCK;
    row->tenant = from->lock.tenant;
    row->ns = from->lock.ns;
    row->name = from->lock.key;
    row->gone = from->gone;
    return row->gone ? PLEX_OK : reg_wire_lock_row_out(&from->lock, body, err);
}

static enum plex_status
lock_answer(struct reg_lane *lane, const struct reg_keep_action *action,
            struct plex_buf *out, struct plex_err *err)
{
    return reg_wire_lock_answer(action->answer, &lane->arena, out, err);
}

static uint64_t
lock_counter(void *core)
{
    return reg_locks_token(core);
}

static uint64_t
lock_wake(void *core)
{
    return reg_locks_wake(core);
}

static void
lock_tick(void *core, struct reg_when when)
{
    reg_locks_tick(core, when);
}

static void
lock_dismiss(void *core, const char *why)
{
    reg_locks_dismiss(core, why);
}

const struct reg_lane_ops reg_lane_lock = {
    .area = "lock",
    .counter_name = "token",
    .create = lock_create,
    .free = lock_free,
    .load = lock_load,
    .loaded = lock_loaded,
    .next = lock_next,
    .action_free = reg_lock_action_free,
    .row = lock_row,
    .answer = lock_answer,
    .counter = lock_counter,
    .wake = lock_wake,
    .tick = lock_tick,
    .dismiss = lock_dismiss,
};

/* -- objects --------------------------------------------------------------- */

static void *
object_create(const struct reg_keep_config *config)
{
    const struct reg_object_config object = {
        .objects_max = config->objects_max,
        .bytes_max = config->objects_memory_max_bytes,
    };

    return reg_objects_create(&object);
}

static void
object_free(void *core)
{
    reg_objects_free(core);
}

static enum plex_status
object_load(struct reg_lane *lane, const struct reg_row *row,
            struct plex_err *err)
{
    struct reg_object object;

    if (reg_wire_object_row_in(row->body, &lane->arena, &object, err) !=
        PLEX_OK)
        return err->status;
    object.tenant = row->tenant;
    object.ns = row->ns;
    reg_objects_load(lane->core, &object, reg_lane_now());
    return PLEX_OK;
}

static void
object_loaded(void *core, uint64_t counter, struct reg_when when)
{
    (void)when;
    reg_objects_loaded(core, counter);
}

static bool
object_next(void *core, struct reg_keep_action *out)
{
    return reg_objects_next(core, out);
}

static enum plex_status
object_row(struct reg_lane *lane, const struct reg_keep_action *action,
           struct reg_row *row, struct plex_buf *body, struct plex_err *err)
{
    const struct reg_object_row *from = action->answer;
    const struct reg_object *object = from->object;
    char name[REG_OBJECT_ID_MAX + 16];

    (void)snprintf(name, sizeof name, "%" PRIu32 "/%s", object->type,
                   object->id);
    plex_arena_reset(&lane->arena);
    row->kind = REG_ROW_OBJECT;
    row->tenant = object->tenant;
    row->ns = object->ns;
    row->name = plex_arena_strndup(&lane->arena, name, strlen(name));
    row->gone = from->gone;
    if (row->name == NULL)
        return plex_err_set(err, PLEX_LIMIT, "no room for a row's name");
    return row->gone ? PLEX_OK
                     : reg_wire_object_row_out(object, &lane->arena, body, err);
}

static enum plex_status
object_answer(struct reg_lane *lane, const struct reg_keep_action *action,
              struct plex_buf *out, struct plex_err *err)
{
    return reg_wire_object_answer(action->answer, &lane->arena, out, err);
}

static uint64_t
object_counter(void *core)
{
    return reg_objects_revision(core);
}

static uint64_t
object_wake(void *core)
{
    return reg_objects_wake(core);
}

static void
object_tick(void *core, struct reg_when when)
{
    reg_objects_tick(core, when);
}

/* Nobody waits. */
static void
object_dismiss(void *core, const char *why)
{
    (void)core;
    (void)why;
}

const struct reg_lane_ops reg_lane_object = {
    .area = "object",
    .counter_name = "revision",
    .create = object_create,
    .free = object_free,
    .load = object_load,
    .loaded = object_loaded,
    .next = object_next,
    .action_free = reg_object_action_free,
    .row = object_row,
    .answer = object_answer,
    .counter = object_counter,
    .wake = object_wake,
    .tick = object_tick,
    .dismiss = object_dismiss,
};
