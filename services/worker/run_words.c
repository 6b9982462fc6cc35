/* An open run in words. */
#include "services/worker/run_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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
    case WORK_STEP_EFFECT:
    case WORK_STEP_VERSION:
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
        (void)snprintf(out->waits_for, sizeof out->waits_for,
                       "%s until %" PRIu64 " ms", waits->name, waits->due_ms);
    } else {
        (void)snprintf(out->waits_for, sizeof out->waits_for, "%s %s",
                       kind_word(waits), waits->name);
    }
    out->remedy = work_run_remedy(run->parked[0] != '\0', out->waits_for);
}
