/* What others ask of the worker. */
#include "services/worker/shell.h"
#include "services/worker/wire.h"
#include "services/worker/wire_rebuild.h"

#include <string.h>

static void
call_fail(struct plex_call *call, const struct plex_err *err)
{
    plex_call_fail(call, err->status, err->text, (struct plex_bytes){0});
}

static void
on_invoke(void *arg, struct plex_call *call)
{
    struct work_state *state = arg;
    struct work_message message;
    struct plex_err err;

    plex_arena_reset(&state->arena);
    if (work_message_unpack(plex_call_payload(call), &state->arena, &message,
                            &err) != PLEX_OK) {
        call_fail(call, &err);
        return;
    }
    if (message.kind != WORK_CALL && message.kind != WORK_CAST &&
        message.kind != WORK_RESOLVE && message.kind != WORK_ACTIVATE &&
        message.kind != WORK_DEACTIVATE && message.kind != WORK_INFO &&
        message.kind != WORK_FIND && message.kind != WORK_EDIT &&
        message.kind != WORK_FACETS && message.kind != WORK_QUERY &&
        message.kind != WORK_UPDATE) {
        plex_call_fail(call, PLEX_INVALID,
                       "timers and replies come from the actor's own worker",
                       (struct plex_bytes){0});
        return;
    }
    if (work_node_invoke(state->node, call, &message))
        return;
    if (message.kind == WORK_QUERY)
        work_asked_keep(state, call);
    if (message.kind == WORK_FIND)
        work_mail_find(state, call, &message);
    else
        work_core_deliver(state->core, work_now(), (uint64_t)(uintptr_t)call,
                          plex_call_context(call), &message);
    work_pump(state);
}

static void
answer_not_owner(struct work_state *state, struct plex_call *call,
                 const struct work_action *action)
{
    const struct work_reply reply = {.content_type = "",
                                     .error = "",
                                     .table_version =
                                         action->answer.table_version};
    struct plex_err err;

    state->scratch.len = 0;
    if (work_reply_pack(&reply, &state->scratch, &err) != PLEX_OK)
        state->scratch.len = 0;
    plex_call_fail(
        call, PLEX_NOT_OWNER, action->answer.text,
        (struct plex_bytes){state->scratch.data, state->scratch.len});
}

void
work_answer(struct work_state *state, const struct work_action *action)
{
    struct plex_call *call =
        (struct plex_call *)(uintptr_t)action->token; /* given to deliver */
    const struct plex_bytes reply = action->answer.reply;
    uint8_t marks[WORK_REPLY_MARKS_MAX];
    uint8_t *out;
    size_t n;

    if ((action->token & WORK_ERRAND) != 0) {
        work_errand_answer(state, action);
        return;
    }
    if (state->asks != NULL &&
        work_asked_answers(state, call, action->answer.status))
        return;
    if (action->answer.status == PLEX_NOT_OWNER) {
        answer_not_owner(state, call, action);
        return;
    }
    if (action->answer.status != PLEX_OK) {
        plex_call_fail(call, action->answer.status, action->answer.text,
                       (struct plex_bytes){0});
        return;
    }
    /* Asked with a fresh clock: this process may just have been stopped and
     * resumed. */
    if (action->answer.needs_lease &&
        !work_core_lease_holds(state->core, plex_now())) {
        plex_call_fail(call, PLEX_UNKNOWN, "the worker's lease has lapsed",
                       (struct plex_bytes){0});
        return;
    }
    n = work_reply_marks(action->answer.replayed, action->answer.recorded,
                         marks);
    if (n == 0) {
        plex_call_reply(call, reply);
        return;
    }
    state->scratch.len = 0;
    out = plex_buf_grow(&state->scratch, reply.len + n);
    if (out == NULL) {
        plex_call_fail(call, PLEX_TOO_LARGE, "the reply is too large",
                       (struct plex_bytes){0});
        return;
    }
    memcpy(out, reply.data, reply.len);
    memcpy(out + reply.len, marks, n);
    plex_call_reply(call, (struct plex_bytes){out, reply.len + n});
}

/* -- looking
 * ------------------------------------------------------------------- */

static bool
tenant_allowed(struct plex_call *call, const char *tenant)
{
    const char *own = plex_call_context(call)->tenant;

    if (own[0] == '\0' || strcmp(own, tenant) == 0)
        return true;
    plex_call_fail(call, PLEX_DENIED, "the actors belong to another tenant",
                   (struct plex_bytes){0});
    return false;
}

static void
reply_scratch(struct work_state *state, struct plex_call *call,
              enum plex_status packed, const struct plex_err *err)
{
    if (packed != PLEX_OK)
        call_fail(call, err);
    else
        plex_call_reply(
            call, (struct plex_bytes){state->scratch.data, state->scratch.len});
}

static void
on_list(void *arg, struct plex_call *call)
{
    struct work_state *state = arg;
    struct work_list_request request;
    struct work_core_filter filter;
    struct work_actor *actors;
    struct plex_err err;
    size_t n;

    plex_arena_reset(&state->arena);
    if (work_list_request_unpack(plex_call_payload(call), &state->arena,
                                 &request, &err) != PLEX_OK) {
        call_fail(call, &err);
        return;
    }
    if (!tenant_allowed(call, request.tenant))
        return;
    actors =
        plex_arena_alloc(&state->arena, (request.limit + 1) * sizeof *actors);
    if (actors == NULL) {
        plex_call_fail(call, PLEX_LIMIT, "the list does not fit",
                       (struct plex_bytes){0});
        return;
    }
    filter = (struct work_core_filter){request.tenant, request.ns, request.type,
                                       request.after};
    n = work_core_list(state->core, work_now(), &filter, request.limit,
                       &state->arena, actors);
    state->scratch.len = 0;
    reply_scratch(state, call,
                  work_list_reply_pack(actors, n, &state->scratch, &err), &err);
}

static void
on_inspect(void *arg, struct plex_call *call)
{
    struct work_state *state = arg;
    struct plex_actor_id id;
    struct work_actor actor;
    struct plex_err err;

    plex_arena_reset(&state->arena);
    if (work_inspect_request_unpack(plex_call_payload(call), &state->arena, &id,
                                    &err) != PLEX_OK) {
        call_fail(call, &err);
        return;
    }
    if (!tenant_allowed(call, id.tenant))
        return;
    if (!work_core_inspect(state->core, work_now(), &id, &state->arena,
                           &actor)) {
        work_inspect_journal(state, call, &id);
        return;
    }
    if (actor.waits_for != NULL && strcmp(actor.waits_for, "journal") == 0)
        actor.waits_for = work_journal_name(state, actor.shard);
    state->scratch.len = 0;
    reply_scratch(state, call,
                  work_inspect_reply_pack(&actor, &state->scratch, &err), &err);
}

const struct plex_method work_methods[] = {
    {WORK_METHOD_INVOKE, "worker.invoke", on_invoke},
    {WORK_METHOD_LIST, "worker.list", on_list},
    {WORK_METHOD_INSPECT, "worker.inspect", on_inspect},
    {WORK_METHOD_REBUILD, "worker.rebuild", work_rebuild_begin},
    WORK_NODE_METHODS,
    {0},
};
