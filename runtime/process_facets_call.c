/* Messages through the chain of a process, and what its facets do. */
#include "runtime/process_facets_private.h"

#include "common/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- what facets do ---------------------------------------------------------
 */

static int
tick(struct plex_ctx *ctx, const char *timer)
{
    const struct plex_behaviour *behaviour = rt_behaviour(ctx);
    char name[256];

    if (behaviour->handle_timer == NULL || rt_turn_of(ctx)->failed)
        return 0;
    /* The callback may ask facets: the action's own text would go. */
    (void)snprintf(name, sizeof name, "%s", timer);
    return behaviour->handle_timer(ctx, name, NULL, 0);
}

static int
action_do(struct plex_ctx *ctx, const struct plex_facet_action *action)
{
    const struct plex_post post = {.kind = PLEX_MSG_INFO,
                                   .tag = PLEX_FACET_EVENT_TAG,
                                   .payload = action->payload,
                                   .len = action->len};
    const struct rt_config *config = &rt_around_exec(ctx)->rt->config;

    switch (action->kind) {
    case PLEX_FACET_TICK:
        return tick(ctx, action->name);
    case PLEX_FACET_LOG:
        if (action->name != NULL)
            break; /* elsewhere than into the log */
        ctx->ops->log(ctx, action->level, action->text);
        return 0;
    case PLEX_FACET_JOIN:
        rt_facet_join(ctx, action);
        return 0;
    case PLEX_FACET_LEAVE:
        (void)ctx->process->group_leave(ctx, action->name);
        return 0;
    case PLEX_FACET_PUBLISH:
        (void)ctx->process->group_publish(ctx, action->name, &post);
        return 0;
    case PLEX_FACET_EVENT:
        rt_event_of(rt_around_exec(ctx), rt_turn_of(ctx)->proc, RT_FACET,
                    action->text);
        return 0;
    default:
        break;
    }
    if (config->on_facet != NULL)
        config->on_facet(config->arg, action);
    return 0;
}

int
rt_around_act(struct plex_ctx *ctx, struct rt_around *around)
{
    struct plex_facet_action action;
    int rc = 0;

    while (rt_facets_next(around->chain, &action))
        if (action_do(ctx, &action) != 0)
            rc = -1;
    return rc;
}

/* -- messages ---------------------------------------------------------------
 */

static bool
dying(const struct rt_turn *turn)
{
    return (turn->proc->flags & RT_PROC_DYING) != 0;
}

static void
reason_set(struct rt_turn *turn, const char *reason)
{
    char *copy = reason == NULL ? NULL : plex_strdup(reason);

    free(turn->reason);
    turn->reason = copy;
}

static void
reply_drop(struct rt_turn *turn)
{
    rt_msg_free(turn->fiber->exec, turn->reply);
    turn->reply = NULL;
}

/* As if the attempt had not failed. */
static void
failure_drop(struct rt_turn *turn)
{
    reason_set(turn, NULL);
    turn->failed = false;
    turn->exiting = false;
    reply_drop(turn);
}

static struct plex_facet_result
result_of(const struct rt_turn *turn)
{
    struct plex_msg view = {.content_type = "", .payload = NULL};
    uint32_t status = 200;

    if (turn->reply != NULL) {
        rt_msg_view_all(turn->reply, &view);
        status = turn->reply->tag == 0 ? 200 : (uint32_t)turn->reply->tag;
    }
    return (struct plex_facet_result){.http_status = status,
                                      .content_type = view.content_type,
                                      .payload = view.payload,
                                      .len = view.len};
}

/* The chain's answer in place of the handler's, if anybody waits for it. */
static void
result_reply(struct plex_ctx *ctx, const struct rt_facet_call *call)
{
    const struct plex_facet_result *result = &call->result;
    struct rt_turn *turn = rt_turn_of(ctx);
    char *type;
    void *copy;

    if (turn->from.call == 0)
        return;
    /* They may lie in the reply that this replaces. */
    type =
        plex_strdup(result->content_type == NULL ? "" : result->content_type);
    copy = plex_calloc(1, result->len + 1);
    if (result->len > 0)
        memcpy(copy, result->payload, result->len);
    reply_drop(turn);
    if (call->problem != NULL)
        ctx->ops->problem(ctx,
                          result->http_status < 400 ? 500 : result->http_status,
                          call->problem);
    else
        ctx->ops->reply(ctx, result->http_status, type, copy, result->len);
    if (call->header != NULL)
        ctx->ops->reply_header(ctx, call->header, call->header_value);
    free(copy);
    free(type);
}

/* -- the host of a chain --------------------------------------------------- */

struct passage {
    struct plex_ctx *ctx;
    struct rt_around *around;
    const struct rt_around_use *use;
    int rc;
};

static struct rt_facet_when
passage_when(void *arg)
{
    return rt_around_when(((struct passage *)arg)->ctx);
}

static void
replaced(void *arg, const struct plex_msg *msg)
{
    rt_turn_json_set(rt_turn_of(((struct passage *)arg)->ctx), msg->payload,
                     msg->len);
}

static void
attempt(void *arg, const struct plex_msg *msg, struct rt_facet_attempt *out)
{
    struct passage *p = arg;
    struct rt_turn *turn = rt_turn_of(p->ctx);

    p->rc = p->use->deliver(p->ctx, msg, p->use->arg);
    if (!dying(turn) && rt_around_act(p->ctx, p->around) != 0)
        p->rc = -1;
    out->gone = dying(turn);
    if (out->gone)
        return;
    if (p->rc != 0 || turn->failed)
        out->error = turn->reason == NULL ? "failed" : turn->reason;
    else
        out->result = result_of(turn);
}

static void
failure_undo(struct passage *p)
{
    failure_drop(rt_turn_of(p->ctx));
    if (p->use->undo != NULL)
        p->use->undo(p->ctx, p->use->arg);
}

static bool
again(void *arg, uint64_t backoff_ms)
{
    struct passage *p = arg;

    failure_undo(p);
    p->rc = -1;
    if (rt_around_act(p->ctx, p->around) != 0 || rt_turn_of(p->ctx)->failed)
        return false;
    if (backoff_ms > 0)
        (void)plex_sleep(p->ctx, backoff_ms);
    return !dying(rt_turn_of(p->ctx));
}

static void
answer(void *arg, const struct rt_facet_call *call)
{
    struct passage *p = arg;

    if (p->rc != 0 || rt_turn_of(p->ctx)->failed)
        failure_undo(p);
    p->rc = 0;
    result_reply(p->ctx, call);
}

static void
failed(void *arg, const char *error)
{
    struct passage *p = arg;

    reason_set(rt_turn_of(p->ctx), error);
    p->rc = -1;
}

static const struct rt_facet_host host = {passage_when, replaced, attempt,
                                          again,        answer,   failed};

/* Who sent it; the principal of a request from outside, NULL for nobody. */
static const char *
client_of(struct plex_ctx *ctx, struct rt_around *around,
          const struct plex_msg *msg)
{
    struct rt *rt = rt_around_exec(ctx)->rt;
    struct rt_proc *proc =
        rt_is_local(rt, msg->from) ? rt_slot(rt, msg->from.id) : NULL;

    if (msg->from.id == 0 || (proc != NULL && atomic_load(&proc->behaviour) ==
                                                  &rt_outside_behaviour))
        return ctx->ops->header(ctx, "X-Plexspaces-Principal");
    (void)rt_ref_text(rt, msg->from, around->client, sizeof around->client);
    return around->client;
}

int
rt_around_run(struct plex_ctx *ctx, const struct plex_msg *msg,
              const struct rt_around_use *use)
{
    struct rt_turn *turn = rt_turn_of(ctx);
    struct rt_around *around = rt_around_of(ctx);
    struct passage passage = {ctx, around, use, 0};

    if (around == NULL || around->chain == NULL || around->calling)
        return use->deliver(ctx, msg, use->arg);
    around->call.client = client_of(ctx, around, msg);
    around->call.traceparent = ctx->ops->header(ctx, "traceparent");
    around->calling = true;
    rt_facets_pass(around->chain, &around->call, msg, &host, &passage);
    if (dying(turn))
        return passage.rc; /* rt_around_end() does the rest */
    if (rt_around_act(ctx, around) != 0 && passage.rc == 0)
        passage.rc = -1;
    around->calling = false;
    rt_facets_end(around->chain, &around->call);
    if (!dying(turn))
        rt_around_arm(ctx, around);
    return passage.rc;
}

static int
own_callback(struct plex_ctx *ctx, const struct plex_msg *msg, void *arg)
{
    (void)arg;
    return rt_turn_deliver(rt_turn_of(ctx), msg);
}

int
rt_around_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    static const struct rt_around_use own = {.deliver = own_callback};
    struct rt_around *around = rt_around_of(ctx);

    if (msg->kind == PLEX_MSG_EXIT)
        rt_facets_exit(around->chain, msg->from, msg->reason,
                       rt_around_when(ctx));
    else if (msg->kind == PLEX_MSG_DOWN)
        rt_facets_down(around->chain, msg->from, msg->reason,
                       rt_around_when(ctx));
    if (around->inner != NULL)
        return around->inner->handle(ctx, msg);
    if (msg->kind == RT_KIND_ENGINE)
        return own_callback(ctx, msg, NULL); /* refused */
    return rt_around_run(ctx, msg, &own);
}
