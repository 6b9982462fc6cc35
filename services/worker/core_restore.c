/* States that the behaviour makes before the first turn: of a snapshot and the
 * records after it, page by page, or of a state that an older schema wrote. */
#include "services/worker/core_private.h"
#include "services/worker/run_log.h"

#include "common/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void
work_restore_free(struct work_core *core, struct actor *actor)
{
    if (actor->restore == NULL)
        return;
    core->stats.bytes -= actor->restore->bytes;
    free(actor->restore);
    actor->restore = NULL;
}

/* A copy of a page of records, in one block. */
static void
page_take(struct work_core *core, struct actor *actor,
          const struct journal_loaded *loaded)
{
    const size_t n = loaded->n_records;
    size_t bytes = sizeof(struct restore) + n * sizeof *loaded->records;
    struct restore *restore;
    uint8_t *at;

    for (size_t i = 0; i < n; i++)
        bytes += loaded->records[i].bytes.len;
    work_restore_free(core, actor);
    restore = plex_reallocarray(NULL, 1, bytes);
    *restore =
        (struct restore){.next = loaded->next_record,
                         .out = true,
                         .bytes = bytes,
                         .n = n,
                         .records = (struct journal_record *)(restore + 1)};
    at = (uint8_t *)(restore->records + n);
    for (size_t i = 0; i < n; i++) {
        struct journal_record *record = &restore->records[i];

        *record = loaded->records[i];
        if (record->bytes.len > 0)
            memcpy(at, record->bytes.data, record->bytes.len);
        record->bytes.data = at;
        at += record->bytes.len;
        actor->bytes_since_snapshot += record->bytes.len;
    }
    actor->since_snapshot += (uint32_t)n;
    if (n > 0 && actor->snapshot_ms == 0)
        actor->snapshot_ms = restore->records[0].at_ms;
    core->stats.bytes += bytes;
    actor->restore = restore;
}

static bool
of_newer_code(const struct actor *actor, const struct journal_loaded *loaded)
{
    for (size_t i = 0; i < loaded->n_records; i++)
        if ((loaded->records[i].schema_version & WORK_SCHEMA_MASK) >
            actor->type->info.schema_version)
            return true;
    return false;
}

static void
page_run(struct work_core *core, struct actor *actor,
         const struct journal_loaded *loaded)
{
    if (of_newer_code(actor, loaded)) {
        work_actor_drop(core, actor, false, PLEX_UNSUPPORTED,
                        "the stored events have a newer schema version than "
                        "the module");
        return;
    }
    page_take(core, actor, loaded);
    work_todo_push(core, TODO_RUN, work_actor_token_new(core, actor), NULL);
}

bool
work_restore_begin(struct work_core *core, struct actor *actor,
                   const struct journal_loaded *loaded)
{
    const struct work_type *type = &actor->type->info;
    const bool old = type->migrates && actor->has_data &&
                     actor->schema_version < type->schema_version;

    if ((actor->schema_version & WORK_SCHEMA_OPEN) != 0 ||
        (loaded->n_records == 0 && loaded->next_record == 0 && !old))
        return false;
    actor->activation = ++core->tokens;
    actor->snapshot_ms = 0;
    page_run(core, actor, loaded);
    return true;
}

void
work_restore_page(struct work_core *core, struct actor *actor,
                  const struct journal_loaded *loaded)
{
    page_run(core, actor, loaded);
}

bool
work_restore_action(struct work_core *core, struct actor *actor, uint64_t token,
                    struct work_action *out)
{
    const struct restore *restore = actor->restore;
    const struct work_outcome nothing = {0};

    if (!restore->out)
        return false;
    if (actor->state == ACTOR_DROPPED) {
        work_restore_ran(core, actor, &nothing);
        return false;
    }
    actor->hosted = true;
    *out = (struct work_action){
        .kind = WORK_DO_RUN,
        .token = token,
        .run = {.how = WORK_RUN_RESTORE,
                .activation = actor->activation,
                .settled = true,
                .durable = actor->durable,
                .actor = &actor->id,
                .user = actor->type->info.user,
                .request_id = "",
                .state = {actor->data, actor->data_len},
                .has_state = actor->has_data,
                .schema_version = actor->schema_version,
                .records = restore->records,
                .n_records = restore->n,
                .epoch = actor->epoch},
    };
    return true;
}

/* What the behaviour said of why it cannot. */
static void
fails(struct work_core *core, struct actor *actor,
      const struct work_outcome *outcome)
{
    const char *text = "the actor's state could not be rebuilt";
    struct plex_arena arena;
    struct work_reply reply;
    struct plex_err err;

    plex_arena_init(&arena, 1 << 20);
    if (work_reply_unpack(outcome->reply, &arena, &reply, &err) == PLEX_OK &&
        reply.error[0] != '\0')
        text = reply.error;
    work_actor_drop(core, actor, false, PLEX_FAILED, text);
    plex_arena_fini(&arena);
}

void
work_restore_ran(struct work_core *core, struct actor *actor,
                 const struct work_outcome *outcome)
{
    struct restore *restore = actor->restore;

    if (!restore->out)
        return;
    restore->out = false;
    if (actor->state == ACTOR_DROPPED) {
        work_actor_drop_continue(core, actor);
        return;
    }
    if (outcome->failed) {
        fails(core, actor, outcome);
        return;
    }
    if (outcome->state_changed)
        work_actor_state_set(actor, outcome->state);
    actor->schema_version = actor->type->info.schema_version;
    if (restore->next != 0) {
        work_todo_push(core, TODO_LOAD, work_actor_token_new(core, actor),
                       NULL);
        return;
    }
    work_restore_free(core, actor);
    work_actor_restored(core, actor);
}
