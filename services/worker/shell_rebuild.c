/* States of the past, made by the code that runs here, beside the live actor:
 * turns that belong to no activation, and of which only the caller hears. */
#include "services/worker/wire_rebuild.h"

#include "common/mem.h"
#include "services/worker/shell.h"

#include <stdlib.h>
#include <string.h>

enum { REBUILDS_MAX = 16, ARENA_MAX = 64 << 20 };

struct work_past {
    struct work_bound bound; /* first: what its RUN has for `user` */
    struct work_state *state;
    struct plex_call *call;
    struct plex_arena arena; /* of the request */
    struct work_rebuild of;
    uint64_t activation;
};

static const struct work_bound *
bound_find(const struct work_state *state, const struct plex_actor_id *actor)
{
    const struct work_bound *bound = state->bounds;

    while (bound != NULL && (strcmp(bound->type, actor->type) != 0 ||
                             strcmp(bound->ns, actor->ns) != 0 ||
                             strcmp(bound->tenant, actor->tenant) != 0))
        bound = bound->next;
    return bound;
}

static void
past_free(struct work_past *past)
{
    past->state->n_pasts--;
    plex_arena_fini(&past->arena);
    free(past);
}

static void
run(struct work_past *past)
{
    const struct work_rebuild *of = &past->of;
    const struct work_action action = {
        .kind = WORK_DO_RUN,
        .token = past->activation,
        .run = {.how = WORK_RUN_RESTORE,
                .activation = past->activation,
                .settled = true,
                .durable = true,
                .actor = &past->of.actor,
                .user = past,
                .request_id = "",
                .state = of->state,
                .has_state = of->has_state,
                .schema_version = of->schema_version,
                .records = of->records,
                .n_records = of->n_records},
    };

    work_host_run(past->state->turns, past->bound.behaviour, NULL, &action);
}

void
work_rebuild_begin(void *arg, struct plex_call *call)
{
    struct work_state *state = arg;
    struct work_past *past = plex_calloc(1, sizeof *past);
    const struct plex_context *context = plex_call_context(call);
    const struct work_bound *bound = NULL;
    struct plex_err err;
    enum plex_status status;

    state->n_pasts++;
    past->state = state;
    past->call = call;
    /* Numbers that the core does not get to. */
    past->activation = UINT64_MAX - state->pasts++;
    plex_arena_init(&past->arena, ARENA_MAX);
    status = work_rebuild_unpack(plex_call_payload(call), &past->arena,
                                 &past->of, &err);
    if (status == PLEX_OK && context->tenant[0] != '\0' &&
        strcmp(context->tenant, past->of.actor.tenant) != 0)
        status = plex_err_set(&err, PLEX_DENIED,
                              "the actor belongs to another tenant");
    if (status == PLEX_OK && state->n_pasts > REBUILDS_MAX)
        status = plex_err_set(&err, PLEX_LIMIT,
                              "%d states are being rebuilt here already",
                              REBUILDS_MAX);
    if (status == PLEX_OK &&
        (bound = bound_find(state, &past->of.actor)) == NULL)
        status = plex_err_set(&err, PLEX_NOT_FOUND,
                              "no code for the type \"%s\" runs here",
                              past->of.actor.type);
    if (status != PLEX_OK) {
        plex_call_fail(call, status, err.text, (struct plex_bytes){0});
        past_free(past);
        return;
    }
    past->bound =
        (struct work_bound){.behaviour = bound->behaviour, .past = past};
    run(past);
}

void
work_rebuild_ran(struct work_past *past, const struct work_outcome *outcome)
{
    struct work_state *state = past->state;
    const struct work_rebuilt rebuilt = {
        .has_state = outcome->state_changed || past->of.has_state,
        .state = outcome->state_changed ? outcome->state : past->of.state,
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
        plex_call_fail(past->call, PLEX_FAILED, text, (struct plex_bytes){0});
    } else if (work_rebuilt_pack(&rebuilt, &state->scratch, &err) != PLEX_OK) {
        plex_call_fail(past->call, err.status, err.text,
                       (struct plex_bytes){0});
    } else {
        plex_call_reply(past->call, (struct plex_bytes){state->scratch.data,
                                                        state->scratch.len});
    }
    work_host_abandon(state->turns, past->activation, "normal");
    past_free(past);
}
