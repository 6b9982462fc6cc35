/* The step by which a run waits for another attempt of an effect. */
#include "services/worker/handler_private.h"

#include <stdio.h>
#include <string.h>

static void
retry_name(const char *effect, char out[WORK_STEP_NAME_MAX + 1])
{
    (void)snprintf(out, WORK_STEP_NAME_MAX + 1, WORK_STEP_RETRY "%s", effect);
}

static bool
is_retry_of(const struct work_step *step, const char *effect)
{
    char name[WORK_STEP_NAME_MAX + 1];

    retry_name(effect, name);
    return step->kind == WORK_STEP_SLEEP && strcmp(step->name, name) == 0;
}

int
work_retry_find(struct work_handler *h, const char *effect, uint32_t *n)
{
    struct work_handler_run *open = &h->open;
    char why[8];

    *n = 0;
    if (effect == NULL || open->cursor >= open->log.n_steps ||
        !is_retry_of(&open->log.steps[open->cursor], effect))
        return -1;
    work_retry_read(&open->log.steps[open->cursor], n, why, sizeof why);
    return (int)open->cursor++;
}

static struct plex_bytes
result_of(struct work_handler *h, uint32_t n, const char *why)
{
    uint8_t space[300];
    const size_t len = strnlen(why, sizeof space - sizeof n);

    memcpy(space, &n, sizeof n);
    memcpy(space + sizeof n, why, len);
    return (struct plex_bytes){work_run_keep(h, space, sizeof n + len),
                               sizeof n + len};
}

int
work_retry_put(struct work_handler *h, const char *effect, int at, uint32_t n,
               uint64_t due_ms, const char *why)
{
    char name[WORK_STEP_NAME_MAX + 1];
    struct work_step *step;

    retry_name(effect, name);
    step = at >= 0 ? &h->open.log.steps[at]
                   : work_step_add(h, WORK_STEP_SLEEP, name);
    if (step == NULL)
        return -1;
    step->done = false;
    step->unsaved = true;
    step->status = PLEX_OK;
    step->due_ms = due_ms;
    step->result = result_of(h, n, why);
    h->open.dirty = true;
    return (int)(step - h->open.log.steps);
}

void
work_retry_reset(struct work_handler *h, int at, uint32_t *n)
{
    *n = 0;
    if (at < 0)
        return;
    h->open.log.steps[at].result = result_of(h, 0, "");
    h->open.log.steps[at].unsaved = true;
    h->open.dirty = true;
}

const struct work_step *
work_retry_again(const struct work_handler *h, const char *effect, int at)
{
    const struct work_run_delta *delta = h->turn->again->run;
    const size_t n = h->open.log.n_steps;
    const struct work_step *step = NULL;

    if (delta == NULL)
        return NULL;
    if (at < 0 && n >= delta->first_step &&
        n - delta->first_step < delta->n_steps)
        step = &delta->steps[n - delta->first_step];
    for (size_t i = 0; at >= 0 && i < delta->n_changed; i++)
        if (delta->changed[i] == (uint32_t)at)
            step = &delta->changes[i];
    if (at >= 0 && (size_t)at >= delta->first_step &&
        (size_t)at - delta->first_step < delta->n_steps)
        step = &delta->steps[(size_t)at - delta->first_step];
    return step != NULL && !step->done && is_retry_of(step, effect) ? step
                                                                    : NULL;
}
