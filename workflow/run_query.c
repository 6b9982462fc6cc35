/* Questions about a run. */
#include "common/mem.h"
#include "workflow/run_private.h"
#include "workflow/when.h"

#include <stdlib.h>
#include <string.h>

static json_t *
time_text(int64_t ms)
{
    char text[FLOW_TIME_TEXT];

    if (ms == 0)
        return json_null();
    flow_time_format(ms, text);
    return json_string(text);
}

static const char *
phase_name(const struct act *act)
{
    static const char *const names[] = {"READY",
                                        "WAITING_ANSWER",
                                        "WAITING",
                                        "WAITING_SIGNAL",
                                        "WAITING_APPROVAL",
                                        "RUNNING",
                                        "RETRYING",
                                        "PARKED"};

    return names[act->phase];
}

static json_t *
status_of(const struct flow_run *run)
{
    json_t *value =
        json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "run_id", run->id,
                  "definition", run->def->id, "version", run->def->version,
                  "status", flow_status_name(run->status), "started_at",
                  time_text(run->started_ms), "since", time_text(run->since_ms),
                  "ended_at", time_text(run->ended_ms));

    if (run->ending != 0 && !flow_status_final(run->status))
        json_object_set_new(value, "ending",
                            json_string(flow_status_name(run->ending)));
    if (run->code != NULL)
        json_object_set_new(value, "error",
                            json_pack("{s:s, s:s}", "code", run->code, "cause",
                                      run->cause != NULL ? run->cause : ""));
    if (run->reason != NULL)
        json_object_set_new(value, "reason", json_string(run->reason));
    if (run->output != NULL)
        json_object_set(value, "output", run->output);
    return value;
}

static json_t *
act_value(const struct act *act)
{
    json_t *value =
        json_pack("{s:s, s:I, s:i, s:s, s:o}", "step", act->node->path, "id",
                  (json_int_t)act->id, "attempt", (int)act->attempt, "state",
                  phase_name(act), "since", time_text(act->since_ms));

    if (act->frame != NULL && act->frame->item != NULL)
        json_object_set_new(value, "index",
                            json_integer((json_int_t)act->frame->slot));
    if (act->frame == NULL)
        json_object_set_new(value, "compensating", json_true());
    return value;
}

static json_t *
current_steps(const struct flow_run *run)
{
    json_t *list = json_array();
    struct act *act;

    TAILQ_FOREACH(act, &run->acts, link)
    json_array_append_new(list, act_value(act));
    return list;
}

static const char *
remedy(const struct act *act)
{
    switch (act->phase) {
    case ACT_SIGNAL:
        return "send the signal";
    case ACT_ASKED:
        return "approve or reject";
    case ACT_PARKED:
        return "resume the run once the reason is removed, or cancel it";
    case ACT_CALLED:
        return "nothing, until its timeout";
    default:
        return "nothing: it goes on by itself";
    }
}

/* What every step under way waits for, since when, and what would help. */
static json_t *
why(const struct flow_run *run)
{
    json_t *list = json_array(), *value;
    struct act *act;

    TAILQ_FOREACH(act, &run->acts, link)
    {
        if (act->phase == ACT_SPLIT)
            continue;
        value = act_value(act);
        json_object_set_new(value, "waits_for",
                            json_string(act->phase == ACT_READY ? "its turn"
                                        : act->what != NULL     ? act->what
                                                                : ""));
        if (act->due_ms > 0)
            json_object_set_new(value, "until", time_text(act->due_ms));
        if (act->limit_ms > 0)
            json_object_set_new(value, "timeout_at", time_text(act->limit_ms));
        json_object_set_new(value, "remedy", json_string(remedy(act)));
        json_array_append_new(list, value);
    }
    value = json_pack("{s:s, s:I, s:s, s:o}", "status",
                      flow_status_name(run->status), "since_ms",
                      (json_int_t)run->since_ms, "reason",
                      run->reason != NULL ? run->reason : "", "steps", list);
    if (run->status == FLOW_PAUSED)
        json_object_set_new(value, "remedy", json_string("resume the run"));
    return value;
}

static const char *
node_state_name(enum node_state state)
{
    static const char *const names[] = {"PENDING",  "RUNNING", "COMPLETED",
                                        "CAUGHT",   "SKIPPED", "FAILED",
                                        "CANCELLED"};

    return names[state];
}

static json_t *
steps(const struct flow_run *run)
{
    json_t *list = json_array();
    const struct frame *root = run->root;

    for (uint32_t i = 0; root != NULL && i < root->scope->n_nodes; i++) {
        const struct flow_node *node = run->def->nodes[root->scope->nodes[i]];
        json_t *value = json_pack("{s:s, s:s}", "step", node->path, "type",
                                  flow_kind_name(node->kind));

        if (root->nodes != NULL) {
            const struct node_run *state = &root->nodes[i];

            json_object_set_new(value, "status",
                                json_string(node_state_name(state->state)));
            if (state->output != NULL)
                json_object_set(value, "output", state->output);
            if (state->code != NULL)
                json_object_set_new(
                    value, "error",
                    json_pack("{s:s, s:s}", "code", state->code, "cause",
                              state->cause ? state->cause : ""));
        } else {
            json_object_set_new(
                value, "status",
                json_string(root->entries[i] != NULL ? "ENTERED" : "PENDING"));
            if (root->entries[i] != NULL)
                json_object_set(value, "input", root->entries[i]);
        }
        json_array_append_new(list, value);
    }
    return list;
}

static json_t *
context(const struct flow_run *run)
{
    return json_pack("{s:O?, s:O?, s:o, s:o}", "input", run->input, "vars",
                     run->vars, "steps", steps(run), "signals_waiting",
                     json_integer((json_int_t)run->n_signals));
}

json_t *
flow_run_query(struct flow_run *run, const char *name, int64_t now_ms,
               struct plex_err *err)
{
    static const struct {
        const char *name;
        json_t *(*answer)(const struct flow_run *run);
    } known[] = {{"status", status_of},
                 {"current_steps", current_steps},
                 {"current_step", current_steps},
                 {"context", context},
                 {"steps", steps},
                 {"why", why}};
    struct flow_fault fault;
    int64_t kept;
    uint64_t random;
    json_t *value;

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, name) == 0)
            return known[i].answer(run);
    }
    for (uint32_t i = 0; i < run->def->n_queries; i++) {
        if (strcmp(run->def->queries[i].name, name) != 0)
            continue;
        /* A question changes nothing, not even the clock. */
        kept = run->now_ms;
        random = run->random;
        run->now_ms = now_ms > kept ? now_ms : kept;
        value = flow_eval_in(run, run->root, NULL, NULL, NULL,
                             run->def->queries[i].value, &fault);
        run->now_ms = kept;
        run->random = random;
        if (value == NULL)
            plex_err_set(err, PLEX_FAILED, "query '%s': %s", name, fault.text);
        return value;
    }
    plex_err_set(err, PLEX_NOT_FOUND, "workflow '%s' has no query '%.128s'",
                 run->def->id, name);
    return NULL;
}
