/* A definition of either language: parsed, and if it is one, run with every
 * kind of event. The first byte chooses the language. */
#include "workflow/run.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TURNS = 40, ACTS = 12 };

static void
drain(struct flow_run *run)
{
    struct flow_command command;
    struct flow_history past;

    while (flow_run_command(run, &command))
        ;
    while (flow_run_history(run, &past))
        ;
}

static void
event(struct flow_run *run, struct flow_event *e, struct flow_now *now)
{
    struct plex_err err;

    now->ms += 60000;
    now->seed++;
    (void)!flow_run_event(run, e, now, &err);
    drain(run);
}

static void
play(struct flow_def *def)
{
    struct flow_run *run = flow_run_create(def, "fuzz");
    struct flow_now now = {1700000000000, 1};
    json_t *input = json_pack("{s:i, s:[i, i]}", "a", 1, "list", 1, 2);
    struct plex_err err;

    (void)!flow_run_start(run, input, &now, &err);
    drain(run);
    for (unsigned turn = 0; turn < TURNS; turn++) {
        struct flow_event e = {.kind = FLOW_EVENT_TASK_DONE,
                               .id = 1 + turn % ACTS,
                               .attempt = 1 + turn / ACTS,
                               .ok = turn % 5 != 0,
                               .code = "UNAVAILABLE",
                               .cause = "fuzz",
                               .name = "go",
                               .value = input};

        event(run, &e, &now);
        if (turn % 3 == 0) {
            e.kind = (enum flow_event_kind)(turn / 3 % 6 + 1);
            event(run, &e, &now);
        }
    }
    json_decref(flow_run_query(run, "why", now.ms, &err));
    json_decref(flow_run_query(run, "context", now.ms, &err));
    json_decref(input);
    flow_run_free(run);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct flow_asl_options options = {"fuzz", NULL, NULL};
    struct flow_def *def = NULL;
    enum plex_status status;
    struct plex_err err;

    if (size == 0)
        return 0;
    status = data[0] == 'A'
                 ? flow_asl_parse((const char *)data + 1, size - 1, &options,
                                  &def, &err)
                 : flow_def_parse((const char *)data + 1, size - 1, &def, &err);
    if (status != PLEX_OK) {
        if (strlen(err.text) == 0)
            abort(); /* every refusal says why */
        return 0;
    }
    json_decref(flow_def_outline(def));
    play(def);
    flow_def_unref(def);
    return 0;
}
