#include "services/worker/shell_past.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

struct work_past *
work_past_make(struct work_state *state, struct plex_call *call, size_t size)
{
    struct work_past *past = plex_calloc(1, size);

    state->n_pasts++;
    past->state = state;
    past->call = call;
    /* Numbers that the core does not get to. */
    past->activation = UINT64_MAX - state->pasts++;
    plex_arena_init(&past->arena, WORK_PAST_ARENA_MAX);
    return past;
}

enum plex_status
work_past_bind(struct work_past *past, const struct plex_actor_id *actor,
               struct plex_err *err)
{
    const struct work_bound *bound = past->state->bounds;

    if (past->state->n_pasts > WORK_PASTS_MAX)
        return plex_err_set(err, PLEX_LIMIT,
                            "%d turns of the past are run here already",
                            WORK_PASTS_MAX);
    while (bound != NULL && (strcmp(bound->type, actor->type) != 0 ||
                             strcmp(bound->ns, actor->ns) != 0 ||
                             strcmp(bound->tenant, actor->tenant) != 0))
        bound = bound->next;
    if (bound == NULL)
        return plex_err_set(err, PLEX_NOT_FOUND,
                            "no code for the type \"%s\" runs here",
                            actor->type);
    past->bound =
        (struct work_bound){.behaviour = bound->behaviour, .past = past};
    return PLEX_OK;
}

void
work_past_run(struct work_past *past, struct work_action *action)
{
    action->kind = WORK_DO_RUN;
    action->token = past->activation;
    action->run.activation = past->activation;
    action->run.settled = action->run.durable = true;
    action->run.user = past;
    action->run.request_id = "";
    work_host_run(past->state->turns, past->bound.behaviour, NULL, action);
}

void
work_past_end(struct work_past *past)
{
    work_host_abandon(past->state->turns, past->activation, "normal");
    past->state->n_pasts--;
    plex_arena_fini(&past->arena);
    free(past);
}

void
work_past_fail(struct work_past *past, enum plex_status status,
               const char *text)
{
    plex_call_fail(past->call, status, text, (struct plex_bytes){0});
    work_past_end(past);
}
