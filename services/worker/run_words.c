/* An open run in words. */
#include "services/worker/run_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int
work_run_sleep_text(const struct work_step *step, char *out, size_t size)
{
    const size_t prefix = strlen(WORK_STEP_RETRY);
    char why[256];
    uint32_t n;

    if (strncmp(step->name, WORK_STEP_RETRY, prefix) != 0)
        return snprintf(out, size, "%s until %" PRIu64 " ms", step->name,
                        step->due_ms);
    work_retry_read(step, &n, why, sizeof why);
    return snprintf(out, size,
                    "another attempt of effect \"%s\" until %" PRIu64
                    " ms, after %" PRIu32 ": %s",
                    step->name + prefix, step->due_ms, n, why);
}

void
work_retry_read(const struct work_step *step, uint32_t *n, char *why,
                size_t size)
{
    size_t len = step->result.len;

    *n = 0;
    why[0] = '\0';
    if (len < sizeof *n)
        return;
    memcpy(n, step->result.data, sizeof *n);
    len -= sizeof *n;
    if (len >= size)
        len = size - 1;
    memcpy(why, step->result.data + sizeof *n, len);
    why[len] = '\0';
}

const char *
work_run_remedy(bool parked, const char *waits_for)
{
    if (parked)
        return "mend the cause, then POST /api/v1/runs/{actor}:resume, or "
               ":cancel";
    if (strncmp(waits_for, "promise", 7) == 0)
        return "POST /api/v1/promises/{id}:resolve, or :reject";
    if (strncmp(waits_for, "signal", 6) == 0)
        return "POST /api/v1/runs/{actor}/signals/{name}";
    if (strncmp(waits_for, "sleep", 5) == 0 ||
        strncmp(waits_for, "timeout", 7) == 0)
        return "it goes on by itself at that time";
    if (strncmp(waits_for, "another attempt", 15) == 0)
        return "it is tried again at that time; mend the cause, or POST "
               "/api/v1/runs/{actor}:cancel";
    if (strncmp(waits_for, "call", 4) == 0)
        return "look at the actor that was called";
    return "";
}

static const char *
kind_word(const struct work_step *step)
{
    switch (step->kind) {
    case WORK_STEP_CALL:
        return "call";
    case WORK_STEP_SLEEP:
        return "sleep";
    case WORK_STEP_PROMISE:
        return "promise";
    case WORK_STEP_SIGNAL:
        return "signal";
    case WORK_STEP_UPDATE:
    case WORK_STEP_ANSWER:
        return "update";
    case WORK_STEP_EFFECT:
    case WORK_STEP_VERSION:
    case WORK_STEP_KINDS:
        break;
    }
    return "effect";
}

void
work_run_describe(const struct work_run *run, struct work_run_words *out)
{
    const struct work_step *waits = NULL;

    *out = (struct work_run_words){.state = "waiting",
                                   .since_ms = run->started_ms};
    for (size_t i = 0; i < run->n_steps; i++) {
        if (!run->steps[i].done)
            waits = &run->steps[i];
        if (run->steps[i].done && run->steps[i].at_ms > out->since_ms)
            out->since_ms = run->steps[i].at_ms;
    }
    if (run->parked[0] != '\0') {
        out->state = "parked";
        (void)snprintf(out->waits_for, sizeof out->waits_for, "%s",
                       run->parked);
    } else if (waits == NULL) {
        (void)snprintf(out->waits_for, sizeof out->waits_for,
                       "a worker to go on");
    } else if (waits->kind == WORK_STEP_SLEEP) {
        (void)work_run_sleep_text(waits, out->waits_for, sizeof out->waits_for);
    } else {
        (void)snprintf(out->waits_for, sizeof out->waits_for, "%s %s",
                       kind_word(waits), waits->name);
    }
    out->remedy = work_run_remedy(run->parked[0] != '\0', out->waits_for);
}
