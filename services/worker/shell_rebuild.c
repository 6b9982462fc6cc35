/* States of event-sourced actors at some turn. */
#include "services/worker/shell_past.h"
#include "services/worker/wire_rebuild.h"

#include <string.h>

struct rebuild {
    struct work_past past; /* first */
    struct work_rebuild of;
};

static void
rebuilt(struct work_past *past, const struct work_outcome *outcome)
{
    const struct work_rebuild *of = &((struct rebuild *)(void *)past)->of;
    struct work_state *state = past->state;
    const struct work_rebuilt rebuilt = {
        .has_state = outcome->state_changed || of->has_state,
        .state = outcome->state_changed ? outcome->state : of->state,
        .schema_version = past->bound.behaviour->schema_version,
    };
    const char *text = "the state could not be rebuilt";
    struct work_reply reply;
    struct plex_err err;

    state->scratch.len = 0;
    if (outcome->failed) {
        if (work_reply_unpack(outcome->reply, &past->arena, &reply, &err) ==
                PLEX_OK &&
            reply.error[0] != '\0')
            text = reply.error;
        work_past_fail(past, PLEX_FAILED, text);
    } else if (work_rebuilt_pack(&rebuilt, &state->scratch, &err) != PLEX_OK) {
        work_past_fail(past, err.status, err.text);
    } else {
        plex_call_reply(past->call, (struct plex_bytes){state->scratch.data,
                                                        state->scratch.len});
        work_past_end(past);
    }
}

void
work_rebuild_begin(void *arg, struct plex_call *call)
{
    struct rebuild *rebuild =
        (void *)work_past_make(arg, call, sizeof *rebuild);
    const char *tenant = plex_call_context(call)->tenant;
    struct work_past *past = &rebuild->past;
    struct work_rebuild *of = &rebuild->of;
    struct work_action action = {.run = {.how = WORK_RUN_RESTORE}};
    struct plex_err err;
    enum plex_status status =
        work_rebuild_unpack(plex_call_payload(call), &past->arena, of, &err);

    if (status == PLEX_OK && tenant[0] != '\0' &&
        strcmp(tenant, of->actor.tenant) != 0)
        status = plex_err_set(&err, PLEX_DENIED,
                              "the actor belongs to another tenant");
    if (status == PLEX_OK)
        status = work_past_bind(past, &of->actor, &err);
    if (status != PLEX_OK) {
        work_past_fail(past, status, err.text);
        return;
    }
    past->ran = rebuilt;
    action.run.actor = &of->actor;
    action.run.state = of->state;
    action.run.has_state = of->has_state;
    action.run.schema_version = of->schema_version;
    action.run.records = of->records;
    action.run.n_records = of->n_records;
    work_past_run(past, &action);
}
