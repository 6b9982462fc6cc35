/* From the whole log of a run and what was added to it to the whole log. */
#include "services/worker/record.h"
#include "services/worker/run_log.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

enum { FOLD_ARENA = 64 << 20 };

static enum plex_status
no_continuation(struct plex_err *err)
{
    return plex_err_set(err, PLEX_CORRUPT,
                        "the records of an open run do not continue each "
                        "other");
}

/* A copy of `rows` with room for `max`. */
static struct work_step *
rows_copy(const struct work_step *rows, size_t n, size_t max,
          struct plex_arena *arena)
{
    struct work_step *copy = plex_arena_alloc(arena, (max + 1) * sizeof *copy);

    if (copy != NULL && n > 0)
        memcpy(copy, rows, n * sizeof *copy);
    return copy;
}

static enum plex_status
apply_one(struct work_run *run, const struct work_run_delta *delta,
          struct plex_err *err)
{
    if (delta->first_step != run->n_steps ||
        delta->first_signal != run->n_signals)
        return no_continuation(err);
    for (size_t i = 0; i < delta->n_changed; i++) {
        if (delta->changed[i] >= run->n_steps)
            return no_continuation(err);
        run->steps[delta->changed[i]] = delta->changes[i];
    }
    for (size_t i = 0; i < delta->n_steps; i++)
        run->steps[run->n_steps++] = delta->steps[i];
    for (size_t i = 0; i < delta->n_signals; i++)
        run->signals[run->n_signals++] = delta->signals[i];
    for (size_t i = 0; i < delta->n_used; i++) {
        if (delta->used[i] >= run->n_signals)
            return no_continuation(err);
        run->signals[delta->used[i]].used = true;
    }
    run->parked = delta->parked;
    run->cancelled = delta->cancelled;
    if (delta->told > run->told) /* records of older workers have none */
        run->told = delta->told;
    run->order = delta->order;
    return PLEX_OK;
}

enum plex_status
work_run_apply(struct work_run *run, const struct work_run_delta *const *deltas,
               size_t n, struct plex_arena *arena, struct plex_err *err)
{
    size_t steps = run->n_steps, signals = run->n_signals;

    for (size_t i = 0; i < n; i++) {
        steps += deltas[i]->n_steps;
        signals += deltas[i]->n_signals;
    }
    if (steps > WORK_STEPS_MAX || signals > WORK_STEPS_MAX)
        return no_continuation(err);
    run->steps = rows_copy(run->steps, run->n_steps, steps, arena);
    run->signals = rows_copy(run->signals, run->n_signals, signals, arena);
    if (run->steps == NULL || run->signals == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "the steps of an open run do not fit");
    for (size_t i = 0; i < n; i++)
        if (apply_one(run, deltas[i], err) != PLEX_OK)
            return err->status;
    return PLEX_OK;
}

enum plex_status
work_run_fold(struct plex_bytes packed, const struct plex_bytes *records,
              size_t n, struct plex_buf *out, struct plex_err *err)
{
    const struct work_run_delta **deltas =
        plex_calloc(n + 1, sizeof(struct work_run_delta *));
    enum plex_status status;
    struct plex_arena arena;
    struct work_run run;
    size_t n_deltas = 0;

    plex_arena_init(&arena, FOLD_ARENA);
    status = work_run_unpack(packed, &arena, &run, err);
    for (size_t i = 0; i < n && status == PLEX_OK; i++) {
        struct work_record record;

        status = work_record_unpack(records[i], &arena, &record, err);
        if (status == PLEX_OK && record.run != NULL)
            deltas[n_deltas++] = record.run;
    }
    if (status == PLEX_OK)
        status = work_run_apply(&run, deltas, n_deltas, &arena, err);
    if (status == PLEX_OK)
        status = work_run_pack(&run, out, err);
    plex_arena_fini(&arena);
    free(deltas);
    return status;
}
