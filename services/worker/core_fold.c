/* An open run that is loaded: its log is what was written last as a whole, and
 * what the records of the turns since then have added to it. */
#include "services/worker/core_private.h"
#include "services/worker/run_log.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

/* The journal gives no more of them than a log may be long. */
enum { FOLD_BYTES_MAX = 64 << 20 };

void
work_fold_free(struct actor *actor)
{
    struct fold *fold = actor->fold;

    if (fold == NULL)
        return;
    for (size_t i = 0; i < fold->n; i++)
        free((void *)(uintptr_t)fold->records[i].data);
    free(fold->records);
    free(fold);
    actor->fold = NULL;
}

static void
records_take(struct fold *fold, const struct journal_loaded *loaded)
{
    fold->records = plex_reallocarray(
        fold->records, fold->n + loaded->n_records + 1, sizeof *fold->records);
    for (size_t i = 0; i < loaded->n_records; i++) {
        const struct plex_bytes from = loaded->records[i].bytes;
        uint8_t *copy = plex_reallocarray(NULL, 1, from.len + 1);

        if (from.len > 0)
            memcpy(copy, from.data, from.len);
        fold->records[fold->n++] = (struct plex_bytes){copy, from.len};
        fold->bytes += from.len;
    }
    fold->next = loaded->next_record;
}

static void
fold_all(struct work_core *core, struct actor *actor)
{
    struct plex_buf whole = {.max = JOURNAL_STATE_MAX};
    struct fold *fold = actor->fold;
    enum plex_status status = PLEX_OK;
    struct plex_err err;

    actor->delta_bytes = fold->bytes;
    if (fold->n > 0)
        status =
            work_run_fold((struct plex_bytes){actor->data, actor->data_len},
                          fold->records, fold->n, &whole, &err);
    if (fold->n > 0 && status == PLEX_OK)
        work_actor_state_set(actor, (struct plex_bytes){whole.data, whole.len});
    plex_buf_free(&whole);
    work_fold_free(actor);
    if (status != PLEX_OK)
        work_actor_drop(core, actor, false, PLEX_CORRUPT, err.text);
    else
        work_actor_restored(core, actor);
}

void
work_fold_page(struct work_core *core, struct actor *actor,
               const struct journal_loaded *loaded)
{
    records_take(actor->fold, loaded);
    if (actor->fold->bytes > FOLD_BYTES_MAX) {
        work_actor_drop(core, actor, false, PLEX_CORRUPT,
                        "the records of the open run are larger than 64 MiB");
        return;
    }
    if (actor->fold->next == 0)
        fold_all(core, actor);
    else
        work_todo_push(core, TODO_LOAD, work_actor_token_new(core, actor),
                       NULL);
}

bool
work_fold_begin(struct work_core *core, struct actor *actor,
                const struct journal_loaded *loaded)
{
    actor->delta_bytes = 0;
    if ((actor->schema_version & WORK_SCHEMA_OPEN) == 0 ||
        loaded->state_seq >= loaded->last_seq)
        return false;
    actor->fold = plex_calloc(1, sizeof *actor->fold);
    if (loaded->n_records > 0 || loaded->next_record != 0) {
        work_fold_page(core, actor, loaded); /* they were asked for at once */
        return true;
    }
    actor->fold->next = loaded->state_seq + 1;
    work_todo_push(core, TODO_LOAD, work_actor_token_new(core, actor), NULL);
    return true;
}
