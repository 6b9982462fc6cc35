/* The state of a run, from a store that cannot be trusted: what is read comes
 * back the same, and no event does harm. The input follows the head that every
 * state of the definition has; the first byte chooses the definition. */
#include "workflow/run.h"
#include "workflow/value.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char native[] =
    "id: a\nvars: {n: 1}\nupdates: {u: {set: {n: 2}}}\nsteps:\n"
    "- {id: t, actor: x, compensate: {actor: y}, retry: {}, on_error: h}\n"
    "- {id: h, type: pass}\n"
    "- {id: c, choices: [{when: '${true}', next: w}], default: s}\n"
    "- {id: w, duration: 1h}\n- {id: s, signal: go}\n"
    "- {id: p, branches: [{id: x, steps: [{id: i, actor: x, compensate: "
    "{actor: y}}, {id: j, approval: ok}]}]}\n"
    "- {id: m, items: '${[1,2,3]}', tolerated_failures: 1,\n"
    "   each: {steps: [{id: i, workflow: x}]}}\n"
    "- {id: u, url: 'http://x', depends_on: [m]}\n";
static const char asl[] =
    "{\"StartAt\":\"P\",\"States\":{\"P\":{\"Type\":\"Parallel\",\"Branches\":"
    "[{\"StartAt\":\"A\",\"States\":{\"A\":{\"Type\":\"Task\",\"Resource\":"
    "\"actor:x\",\"End\":true}}}],\"Catch\":[{\"ErrorEquals\":[\"States.ALL\"]"
    ",\"Next\":\"M\"}],\"Next\":\"M\"},\"M\":{\"Type\":\"Map\",\"ItemsPath\":"
    "\"$.l\",\"Iterator\":{\"StartAt\":\"W\",\"States\":{\"W\":{\"Type\":"
    "\"Wait\",\"Seconds\":5,\"End\":true}}},\"End\":true}}}";

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
disturb(struct flow_run *run)
{
    struct flow_now now = {1800000000000, 1};
    json_t *value = json_pack("{s:i}", "v", 1);
    struct plex_err err;

    json_decref(flow_run_query(run, "why", now.ms, &err));
    json_decref(flow_run_query(run, "steps", now.ms, &err));
    for (unsigned i = 0; i < 48; i++) {
        struct flow_event e = {.kind = (enum flow_event_kind)(i % 12),
                               .id = 1 + i / 12,
                               .attempt = 1,
                               .ok = i % 7 != 0,
                               .name = i % 2 ? "go" : "u",
                               .code = "X",
                               .cause = "y",
                               .value = value};

        if (e.kind == FLOW_EVENT_TERMINATE && i < 40)
            e.kind = FLOW_EVENT_TASK_DONE;
        now.ms += 100;
        (void)!flow_run_event(run, &e, &now, &err);
        drain(run);
    }
    json_decref(value);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct flow_asl_options options = {"a", NULL, NULL};
    struct plex_buf state = {.max = 1 << 22}, again = {.max = 1 << 22};
    struct flow_writer w = {.buf = &state};
    struct flow_def *def = NULL;
    struct flow_run *run = NULL;
    struct plex_err err;
    uint8_t *rest;

    if (size == 0 || size > 1 << 20)
        return 0;
    if ((data[0] & 1
             ? flow_asl_parse(asl, strlen(asl), &options, &def, &err)
             : flow_def_parse(native, strlen(native), &def, &err)) != PLEX_OK)
        abort();
    flow_put_u(&w, 1);
    flow_put_u(&w, flow_def_digest(def));
    rest = plex_buf_grow(&state, size - 1);
    memcpy(rest, data + 1, size - 1);
    if (flow_run_decode(def, (struct plex_bytes){state.data, state.len}, &run,
                        &err) == PLEX_OK) {
        struct flow_run *back = NULL;

        if (flow_run_encode(run, &again, &err) != PLEX_OK ||
            flow_run_decode(def, (struct plex_bytes){again.data, again.len},
                            &back, &err) != PLEX_OK)
            abort(); /* what can be read can be written and read */
        flow_run_free(back);
        disturb(run);
        flow_run_free(run);
    }
    plex_buf_free(&state);
    plex_buf_free(&again);
    flow_def_unref(def);
    return 0;
}
