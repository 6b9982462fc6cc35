/*
 * Facets around the turns of a virtual actor: messages go through the chain of
 * the activation, which its first turn makes. Runs that are replayed do not:
 * their message has passed it before.
 */
#include "services/worker/handler_private.h"

#include "common/loop.h"
#include "common/name.h"
#include "runtime/facet_request.h"
#include "sdk/c/include/plexspaces/group.h"
#include "sdk/c/include/plexspaces/process.h"

#include <stdio.h>
#include <string.h>

static struct rt_facet_when
when(void)
{
    struct rt_facet_when now = {plex_now(), plex_wall_ms(), 0};

    plex_random(&now.random, sizeof now.random);
    return now;
}

/* -- what facets do -------------------------------------------------------- */

static int
action_do(struct work_handler *h, const struct plex_behaviour *behaviour,
          const struct plex_facet_action *action)
{
    const struct plex_post post = {.kind = PLEX_MSG_INFO,
                                   .tag = PLEX_FACET_EVENT_TAG,
                                   .payload = action->payload,
                                   .len = action->len};
    char name[WORK_TIMER_NAME_MAX + 1];

    switch (action->kind) {
    case PLEX_FACET_LOG:
        if (action->name != NULL)
            break; /* elsewhere than into the log */
        h->ctx.ops->log(&h->ctx, action->level, action->text);
        return 0;
    case PLEX_FACET_TICK:
        if (behaviour == NULL || behaviour->handle_timer == NULL || h->failed)
            return 0;
        /* The callback may ask facets: the action's own text would go. */
        (void)snprintf(name, sizeof name, "%s", action->name);
        return behaviour->handle_timer(&h->ctx, name, NULL, 0);
    case PLEX_FACET_JOIN:
        if (h->ctx.process != NULL)
            rt_facet_join(&h->ctx, action);
        return 0;
    case PLEX_FACET_LEAVE:
        return h->ctx.process == NULL
                   ? 0
                   : (plex_group_leave(&h->ctx, action->name), 0);
    case PLEX_FACET_PUBLISH:
        if (h->ctx.process != NULL)
            (void)h->ctx.process->group_publish(&h->ctx, action->name, &post);
        return 0;
    default:
        break;
    }
    h->turn->facets->act(h->turn->facets->arg, action);
    return 0;
}

static int
actions_do(struct work_handler *h, const struct plex_behaviour *behaviour)
{
    struct plex_facet_action action;
    int status = 0;

    while (rt_facets_next(h->facets, &action))
        if (action_do(h, behaviour, &action) != 0)
            status = -1;
    return status;
}

/* -- life ------------------------------------------------------------------ */

static bool
chain_make(struct work_handler *h, struct plex_err *err)
{
    const struct work_turn *turn = h->turn;
    char name[PLEX_ACTOR_NAME_MAX + 1];

    plex_actor_format(h->run->run.actor, name, sizeof name);
    if (rt_facets_create(turn->facets->plan, name, h->run->run.actor->type,
                         when(), turn->chain, err) != PLEX_OK)
        return false;
    h->facets = *turn->chain;
    /* Else after the callback: that is the activation. */
    if (h->message != NULL)
        rt_facets_init_complete(h->facets, when());
    return true;
}

bool
work_facets_begin(struct work_handler *h)
{
    const struct work_turn *turn = h->turn;
    struct plex_err err;

    if (turn->facets == NULL || turn->chain == NULL)
        return true;
    h->facets = *turn->chain;
    if (h->facets == NULL && turn->facets->plan == NULL)
        return true; /* until one is attached */
    if (h->facets == NULL && !chain_make(h, &err)) {
        (void)work_handler_fail(&h->ctx, err.text);
        return false;
    }
    (void)actions_do(h, NULL);
    return true;
}

/* One timer of the actor stands for all of its facets'. */
static void
timer_arm(struct work_handler *h)
{
    const uint64_t due = rt_facets_due_ns(h->facets), now = plex_now();

    if (due == UINT64_MAX || h->open.is_open)
        return;
    h->ctx.ops->timer_set(&h->ctx, WORK_FACETS_TIMER,
                          due <= now ? 0 : (due - now + 999999) / 1000000, NULL,
                          0);
}

void
work_facets_after(struct work_handler *h)
{
    if (h->facets == NULL || h->failed)
        return;
    if (h->message == NULL)
        rt_facets_init_complete(h->facets, when());
    (void)actions_do(h, NULL);
    timer_arm(h);
}

int
work_facets_tick(struct work_handler *h, const struct plex_behaviour *behaviour)
{
    if (h->facets == NULL)
        return 0; /* of some that an earlier activation had */
    rt_facets_tick(h->facets, when());
    return actions_do(h, behaviour);
}

/* -- at run time ----------------------------------------------------------- */

/* To attach something: with a chain from now on. */
static enum plex_status
chain_ready(struct work_handler *h, const char *facet, struct plex_err *err)
{
    if (rt_facet_attach_check(facet, err) != PLEX_OK)
        return err->status;
    if (h->facets != NULL)
        return PLEX_OK;
    if (h->turn->facets == NULL || h->turn->chain == NULL)
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "facets are not run here: nothing is attached");
    return chain_make(h, err) ? PLEX_OK : err->status;
}

int
work_facets_request(struct plex_ctx *ctx, struct plex_facet_request *request)
{
    struct work_handler *h = work_handler_of(ctx);
    struct plex_err err;
    int status;

    if (request->verb == PLEX_FACET_ATTACH &&
        chain_ready(h, request->facet, &err) != PLEX_OK) {
        ctx->ops->log(ctx, 1, err.text);
        return -(int)err.status;
    }
    if (h->facets == NULL)
        return request->verb == PLEX_FACET_LIST ? 0 : -PLEX_NOT_FOUND;
    status =
        rt_facets_request(h->facets, &h->turn->facets->types, request, when());
    (void)actions_do(h, NULL);
    return status;
}

int
work_facets_asked(struct work_handler *h)
{
    const struct plex_bytes in = h->message->payload;
    const struct work_facet_setup *setup = h->turn->facets;
    struct plex_buf out = {.max = 1 << 16};
    struct rt_facets_asked asked;
    struct plex_err err;

    *plex_buf_grow(&out, 1) = 0;
    if (!rt_facets_unpack(in.data, in.len, &asked))
        (void)plex_err_set(&err, PLEX_INVALID, "no request about facets");
    else if (asked.request.verb != PLEX_FACET_ATTACH ||
             chain_ready(h, asked.request.facet, &err) == PLEX_OK)
        err.status =
            rt_facets_change(h->facets, setup == NULL ? NULL : &setup->types,
                             &asked.request, when(), &out, &err);
    if (err.status != PLEX_OK) {
        const size_t len = strlen(err.text);

        out.len = 1;
        out.data[0] = (uint8_t)err.status;
        memcpy(plex_buf_grow(&out, len), err.text, len);
    }
    h->ctx.ops->reply(&h->ctx, 200, "text/plain", out.data, out.len);
    plex_buf_free(&out);
    return 0;
}

void
work_facets_end(const struct work_facet_setup *setup, struct rt_facets *chain,
                const char *reason)
{
    struct plex_facet_action action;

    if (chain == NULL)
        return;
    rt_facets_terminate(chain, reason, when());
    rt_facets_detach_all(chain, when());
    while (rt_facets_next(chain, &action))
        if (action.kind != PLEX_FACET_JOIN && action.kind != PLEX_FACET_LEAVE)
            setup->act(setup->arg, &action);
    rt_facets_free(chain);
}

/* -- messages -------------------------------------------------------------- */

static void
result_reply(struct work_handler *h, const struct rt_facet_call *call)
{
    const struct plex_facet_result *result = &call->result;

    h->replied = false;
    h->reply = (struct work_reply){
        .content_type = "", .error = "", .headers = h->headers};
    if (call->problem != NULL)
        h->ctx.ops->problem(
            &h->ctx, result->http_status < 400 ? 500 : result->http_status,
            call->problem);
    else
        h->ctx.ops->reply(&h->ctx, result->http_status, result->content_type,
                          result->payload, result->len);
    if (call->header != NULL)
        h->ctx.ops->reply_header(&h->ctx, call->header, call->header_value);
}

/* -- the host of the chain ------------------------------------------------- */

struct passage {
    struct work_handler *h;
    const struct plex_behaviour *behaviour;
};

static struct rt_facet_when
passage_when(void *arg)
{
    (void)arg;
    return when();
}

/* Fields are read from the new payload. */
static void
replaced(void *arg, const struct plex_msg *msg)
{
    struct work_handler *h = ((struct passage *)arg)->h;

    work_json_fini(&h->json);
    work_json_init(&h->json, (struct plex_bytes){msg->payload, msg->len});
}

static void
attempt(void *arg, const struct plex_msg *msg, struct rt_facet_attempt *out)
{
    const struct passage *p = arg;
    struct work_handler *h = p->h;

    if (work_handler_deliver(h, p->behaviour, msg) != 0 && !h->failed)
        (void)work_handler_fail(&h->ctx,
                                "the behaviour failed without saying why");
    (void)actions_do(h, NULL);
    /* What a run has waited for is recorded, and what a reentrant turn did
     * before a wait has taken effect: it cannot be undone. */
    out->lasts = h->open.is_open || h->yielded;
    out->error = h->failed ? h->error : NULL;
    out->result = (struct plex_facet_result){
        .http_status = h->reply.http_status == 0 ? 200 : h->reply.http_status,
        .content_type = h->reply.content_type,
        .payload = h->reply.payload.data,
        .len = h->reply.payload.len,
    };
}

static bool
again(void *arg, uint64_t backoff_ms)
{
    struct work_handler *h = ((struct passage *)arg)->h;

    (void)actions_do(h, NULL);
    if (backoff_ms > 0 && h->ctx.process != NULL)
        plex_sleep(&h->ctx, backoff_ms);
    work_handler_reset(h);
    return true;
}

static void
answer(void *arg, const struct rt_facet_call *call)
{
    struct work_handler *h = ((struct passage *)arg)->h;

    if (h->failed)
        work_handler_reset(h);
    result_reply(h, call);
}

static void
failed(void *arg, const char *error)
{
    struct work_handler *h = ((struct passage *)arg)->h;

    if (error != h->error)
        (void)snprintf(h->error, sizeof h->error, "%s", error);
}

static const struct rt_facet_host host = {passage_when, replaced, attempt,
                                          again,        answer,   failed};

int
work_facets_message(struct work_handler *h,
                    const struct plex_behaviour *behaviour,
                    const struct plex_msg *msg)
{
    struct rt_facet_call call = {
        .client = h->ctx.ops->header(&h->ctx, "X-Plexspaces-Principal"),
        .traceparent = h->ctx.ops->header(&h->ctx, "traceparent"),
    };
    struct passage passage = {h, behaviour};

    if (h->facets == NULL || h->run->run.how == WORK_RUN_REPLAY)
        return work_handler_deliver(h, behaviour, msg);
    rt_facets_pass(h->facets, &call, msg, &host, &passage);
    (void)actions_do(h, NULL);
    rt_facets_end(h->facets, &call);
    return h->failed ? -1 : 0;
}
