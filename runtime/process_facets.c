/*
 * Facets around the callbacks of a process: an engine of its own, which runs
 * the behaviour's callbacks through the chain. So a process without facets
 * does not even look whether it has any.
 */
#include "runtime/process_facets.h"

#include "runtime/around.h"
#include "sdk/c/include/plexspaces/facet.h"

#include "common/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ACTOR_MAX = 1024, CLIENT_MAX = 300 };

struct rt_around {
    struct rt_facets *chain; /* NULL: not made yet */
    const struct rt_facet_plan *plan;
    struct rt_facet_plan *own; /* the same, when it is this process's alone */
    const struct rt_facet_types *types;
    /* Callbacks do not nest: one message is on its way. Kept here, since a
     * callback that waits may never come back. */
    struct rt_facet_call call;
    bool calling;
    char client[CLIENT_MAX];
    uint64_t timer, due_ns; /* of the facets' wake-ups; 0, UINT64_MAX: none */
    bool told;              /* that the end begins */
};

static struct rt_exec *
exec_of(struct plex_ctx *ctx)
{
    return rt_turn_of(ctx)->fiber->exec;
}

static struct rt_around *
around_of(struct plex_ctx *ctx)
{
    const struct rt_ext *ext = rt_turn_of(ctx)->proc->ext;

    return ext == NULL ? NULL : ext->around;
}

static struct rt_facet_when
when_of(struct rt_exec *exec)
{
    return (struct rt_facet_when){rt_now(exec), rt_wall(exec),
                                  exec->noise += 0x9e3779b97f4a7c15u};
}

static struct rt_facet_when
when(struct plex_ctx *ctx)
{
    return when_of(exec_of(ctx));
}

/* -- which ------------------------------------------------------------------
 */

/* Never called: a behaviour whose `migrate` this is, is the first member of a
 * struct rt_faceted. Processes have no use for that callback. */
int
rt_around_mark(struct plex_ctx *ctx, uint32_t from)
{
    (void)ctx, (void)from;
    return -1;
}

static bool
has_engine(const struct plex_behaviour *behaviour)
{
    return behaviour->fsm != NULL || behaviour->events != NULL ||
           behaviour->supervisor != NULL;
}

enum plex_status
rt_faceted_init(struct rt_faceted *out, const struct plex_behaviour *from,
                const struct rt_facet_plan *plan,
                const struct rt_facet_types *types, struct plex_err *err)
{
    if (has_engine(from))
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "facets stand around callbacks; behaviour %s is a "
                            "%s, which has none",
                            from->name,
                            from->fsm != NULL      ? "state machine"
                            : from->events != NULL ? "event manager"
                                                   : "supervisor");
    *out = (struct rt_faceted){*from, plan, types};
    out->is.migrate = rt_around_mark;
    return PLEX_OK;
}

enum plex_status
rt_facet_process_check(const char *type, struct plex_err *err)
{
    if (strcmp(type, "virtual_actor") == 0)
        return plex_err_set(err, PLEX_INVALID,
                            "facet virtual_actor says how an actor is "
                            "activated; a process is started");
    return PLEX_OK;
}

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
    const struct plex_post post = {
        .kind = PLEX_MSG_INFO, .payload = action->payload, .len = action->len};
    const struct rt_config *config = &exec_of(ctx)->rt->config;

    switch (action->kind) {
    case PLEX_FACET_TICK:
        return tick(ctx, action->name);
    case PLEX_FACET_LOG:
        ctx->ops->log(ctx, action->level, action->text);
        return 0;
    case PLEX_FACET_JOIN:
        (void)ctx->process->group_join(ctx, action->name);
        return 0;
    case PLEX_FACET_LEAVE:
        (void)ctx->process->group_leave(ctx, action->name);
        return 0;
    case PLEX_FACET_PUBLISH:
        (void)ctx->process->group_publish(ctx, action->name, &post);
        return 0;
    default:
        if (config->on_facet != NULL)
            config->on_facet(config->arg, action);
        return 0;
    }
}

static int
actions_do(struct plex_ctx *ctx, struct rt_around *around)
{
    struct plex_facet_action action;
    int rc = 0;

    while (rt_facets_next(around->chain, &action))
        if (action_do(ctx, &action) != 0)
            rc = -1;
    return rc;
}

/* One timer of the process stands for all of its facets'. */
static void
timer_arm(struct plex_ctx *ctx, struct rt_around *around)
{
    const uint64_t due = rt_facets_due_ns(around->chain);
    struct rt_exec *exec = exec_of(ctx);
    const struct rt_timer_set set = {
        .to = rt_ref(exec->rt, rt_turn_of(ctx)->proc),
        .kind = RT_KIND_NAMED_TIMER,
        .deadline_ns = due,
    };

    if (due == around->due_ns)
        return;
    if (around->timer != 0)
        (void)rt_timer_cancel(exec, around->timer);
    around->due_ns = due;
    around->timer = due == UINT64_MAX ? 0 : rt_timer_set(exec, &set);
}

bool
rt_around_timer(struct rt_turn *turn, int *rc)
{
    struct plex_ctx *ctx = &turn->ctx;
    struct rt_around *around = around_of(ctx);

    if (around == NULL || around->timer != turn->msg->number)
        return false;
    around->timer = 0;
    around->due_ns = UINT64_MAX;
    rt_facets_tick(around->chain, when(ctx));
    *rc = actions_do(ctx, around);
    if ((turn->proc->flags & RT_PROC_DYING) == 0)
        timer_arm(ctx, around);
    return true;
}

/* -- life -------------------------------------------------------------------
 */

static struct rt_around *
around_make(struct plex_ctx *ctx)
{
    struct rt_turn *turn = rt_turn_of(ctx);
    struct rt_ext *ext = rt_ext(exec_of(ctx), turn->proc);

    if (ext->around == NULL) {
        ext->around = plex_calloc(1, sizeof *ext->around);
        ext->around->due_ns = UINT64_MAX;
    }
    turn->proc->engine = &rt_engine_around;
    return ext->around;
}

/* "tenant/namespace/behaviour/name", and the behaviour as people know it. */
static enum plex_status
chain_make(struct plex_ctx *ctx, struct rt_around *around, struct plex_err *err)
{
    const struct rt_proc *proc = rt_turn_of(ctx)->proc;
    struct rt *rt = exec_of(ctx)->rt;
    const struct rt_where where =
        rt_scope_text(rt, atomic_load(&rt_turn_of(ctx)->proc->scope));
    const char *behaviour = rt_behaviour(ctx)->name;
    char actor[ACTOR_MAX], family[256], ref[300];

    (void)snprintf(family, sizeof family, "%.*s", (int)strcspn(behaviour, "="),
                   behaviour);
    if (proc->ext->name != NULL)
        (void)snprintf(ref, sizeof ref, "%s", proc->ext->name);
    else if (proc->ext->child != NULL && proc->ext->child[0] != '\0')
        (void)snprintf(ref, sizeof ref, "%s", proc->ext->child);
    else
        (void)rt_ref_text(rt, rt_ref(rt, proc), ref, sizeof ref);
    (void)snprintf(actor, sizeof actor, "%s/%s/%s/%s", where.tenant, where.ns,
                   family, ref);
    return rt_facets_create(around->plan, actor, family, when(ctx),
                            &around->chain, err);
}

void
rt_around_start(struct rt_exec *exec, struct rt_proc *proc,
                struct rt_facet_plan *own)
{
    const struct rt_faceted *of =
        (const struct rt_faceted *)(const void *)atomic_load(&proc->behaviour);
    struct rt_around *around = plex_calloc(1, sizeof *around);

    around->due_ns = UINT64_MAX;
    around->own = own;
    around->plan = own;
    if (own == NULL) {
        around->plan = of->plan;
        around->types = of->types;
    }
    rt_ext(exec, proc)->around = around;
    proc->engine = &rt_engine_around;
}

static int
init(struct plex_ctx *ctx, const void *args, size_t len)
{
    struct rt_around *around = around_of(ctx);
    const struct plex_behaviour *behaviour = rt_behaviour(ctx);
    struct plex_err err = {0};

    if (chain_make(ctx, around, &err) != PLEX_OK)
        return ctx->ops->fail(ctx, err.text);
    return behaviour->init == NULL ? 0 : behaviour->init(ctx, args, len);
}

int
rt_around_begun(struct rt_turn *turn)
{
    struct plex_ctx *ctx = &turn->ctx;
    struct rt_around *around = around_of(ctx);

    rt_facets_init_complete(around->chain, when(ctx));
    if (actions_do(ctx, around) != 0 || turn->failed)
        return -1;
    if ((turn->proc->flags & RT_PROC_DYING) == 0)
        timer_arm(ctx, around);
    return 0;
}

static void
terminate(struct plex_ctx *ctx, const char *reason)
{
    struct rt_around *around = around_of(ctx);
    const struct plex_behaviour *behaviour = rt_behaviour(ctx);

    around->told = true;
    if (around->chain != NULL) {
        rt_facets_terminate(around->chain, reason, when(ctx));
        (void)actions_do(ctx, around);
    }
    if (behaviour->terminate != NULL)
        behaviour->terminate(ctx, reason);
}

/* The process is past acting: what goes to the outside still does. */
static void
last_actions(struct rt_exec *exec, const struct rt_proc *proc,
             struct rt_facets *chain)
{
    const struct rt_config *config = &exec->rt->config;
    struct plex_facet_action action;
    char name[512];

    while (rt_facets_next(chain, &action)) {
        if (action.kind == PLEX_FACET_LOG && config->on_log != NULL) {
            (void)rt_ref_text(exec->rt, rt_ref(exec->rt, proc), name,
                              sizeof name);
            config->on_log(config->arg, name, action.level, action.text);
        } else if (config->on_facet != NULL &&
                   (action.kind == PLEX_FACET_COUNT ||
                    action.kind == PLEX_FACET_OBSERVE ||
                    action.kind == PLEX_FACET_GAUGE ||
                    action.kind == PLEX_FACET_SPAN)) {
            config->on_facet(config->arg, &action);
        }
    }
}

void
rt_around_end(struct rt_exec *exec, struct rt_proc *proc, const char *reason)
{
    struct rt_around *around = proc->ext->around;

    proc->ext->around = NULL;
    if (around->timer != 0)
        (void)rt_timer_cancel(exec, around->timer);
    if (around->chain != NULL) {
        if (around->calling)
            rt_facets_end(around->chain, &around->call);
        if ((proc->flags & RT_PROC_KILLED) == 0) {
            if (!around->told)
                rt_facets_terminate(around->chain, reason, when_of(exec));
            rt_facets_detach_all(around->chain, when_of(exec));
        }
        last_actions(exec, proc, around->chain);
        rt_facets_free(around->chain);
    }
    rt_facet_plan_free(around->own);
    free(around);
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

/* The handler once; what comes of it. RUN: as it is. */
static enum rt_facets_verdict
attempt(struct plex_ctx *ctx, struct rt_around *around, int *rc)
{
    struct rt_turn *turn = rt_turn_of(ctx);
    struct rt_facet_call *call = &around->call;
    struct plex_facet_result result;
    enum rt_facets_verdict verdict;

    *rc = rt_turn_deliver(turn, &call->msg);
    if (dying(turn))
        return RT_FACETS_RUN;
    if (actions_do(ctx, around) != 0)
        *rc = -1;
    if (dying(turn))
        return RT_FACETS_RUN;
    if (*rc != 0 || turn->failed)
        return rt_facets_error(around->chain, call,
                               turn->reason == NULL ? "failed" : turn->reason,
                               when(ctx));
    result = result_of(turn);
    verdict = rt_facets_after(around->chain, call, &result, when(ctx));
    if (call->problem == NULL && call->header == NULL &&
        call->result.payload == result.payload &&
        call->result.len == result.len &&
        call->result.http_status == result.http_status)
        return RT_FACETS_RUN;
    return verdict;
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

static int
through(struct plex_ctx *ctx, struct rt_around *around,
        const struct plex_msg *msg)
{
    struct rt_turn *turn = rt_turn_of(ctx);
    struct rt_facet_call *call = &around->call;
    enum rt_facets_verdict verdict =
        rt_facets_before(around->chain, call, msg, when(ctx));
    int rc = 0;

    if (call->msg.payload != msg->payload || call->msg.len != msg->len)
        rt_turn_json_set(turn, call->msg.payload, call->msg.len);
    if (verdict == RT_FACETS_RUN)
        verdict = attempt(ctx, around, &rc);
    while (verdict == RT_FACETS_RETRY) {
        failure_drop(turn);
        if (actions_do(ctx, around) != 0 || turn->failed)
            return -1;
        if (call->backoff_ms > 0)
            (void)plex_sleep(ctx, call->backoff_ms);
        verdict = attempt(ctx, around, &rc);
    }
    if (dying(turn))
        return rc;
    if (verdict == RT_FACETS_RESULT) {
        if (rc != 0 || turn->failed)
            failure_drop(turn);
        rc = 0;
        result_reply(ctx, call);
    } else if (verdict == RT_FACETS_FAIL && call->error != NULL) {
        reason_set(turn, call->error);
        rc = -1;
    }
    return rc;
}

/* Who sent it; the principal of a request from outside, NULL for nobody. */
static const char *
client_of(struct plex_ctx *ctx, struct rt_around *around,
          const struct plex_msg *msg)
{
    struct rt *rt = exec_of(ctx)->rt;
    struct rt_proc *proc =
        rt_is_local(rt, msg->from) ? rt_slot(rt, msg->from.id) : NULL;

    if (msg->from.id == 0 || (proc != NULL && atomic_load(&proc->behaviour) ==
                                                  &rt_outside_behaviour))
        return ctx->ops->header(ctx, "X-Plexspaces-Principal");
    (void)rt_ref_text(rt, msg->from, around->client, sizeof around->client);
    return around->client;
}

static int
handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct rt_turn *turn = rt_turn_of(ctx);
    struct rt_around *around = around_of(ctx);
    int rc;

    if (msg->kind == RT_KIND_ENGINE)
        return rt_turn_deliver(turn, msg); /* refused */
    if (msg->kind == PLEX_MSG_EXIT)
        rt_facets_exit(around->chain, msg->from, msg->reason, when(ctx));
    else if (msg->kind == PLEX_MSG_DOWN)
        rt_facets_down(around->chain, msg->from, msg->reason, when(ctx));
    around->call.client = client_of(ctx, around, msg);
    around->call.traceparent = ctx->ops->header(ctx, "traceparent");
    around->calling = true;
    rc = through(ctx, around, msg);
    if (dying(turn))
        return rc; /* rt_around_end() does the rest */
    if (actions_do(ctx, around) != 0 && rc == 0)
        rc = -1;
    around->calling = false;
    rt_facets_end(around->chain, &around->call);
    if (!dying(turn))
        timer_arm(ctx, around);
    return rc;
}

static int
reply(struct plex_ctx *ctx, uint64_t tag, enum plex_result_status status,
      const void *payload, size_t len)
{
    const struct plex_behaviour *behaviour = rt_behaviour(ctx);

    return behaviour->handle_reply == NULL
               ? 0
               : behaviour->handle_reply(ctx, tag, status, payload, len);
}

const struct rt_engine rt_engine_around = {
    .init = init,
    .handle = handle,
    .reply = reply,
    .terminate = terminate,
};

/* -- at run time ------------------------------------------------------------
 */

/* Whether the process may have facets; then with a chain. */
static enum plex_status
chain_ready(struct plex_ctx *ctx, struct plex_err *err)
{
    const struct rt_engine *engine = rt_turn_of(ctx)->proc->engine;
    struct rt_around *around = around_of(ctx);

    if (engine != NULL && engine != &rt_engine_around)
        return plex_err_set(err, PLEX_UNSUPPORTED,
                            "facets stand around callbacks; a supervisor, "
                            "state machine or event manager has none");
    if (around == NULL)
        around = around_make(ctx);
    if (around->chain != NULL)
        return PLEX_OK;
    if (chain_make(ctx, around, err) != PLEX_OK)
        return err->status;
    if ((rt_turn_of(ctx)->proc->flags & RT_PROC_INIT_DONE) != 0)
        rt_facets_init_complete(around->chain, when(ctx));
    return PLEX_OK;
}

static bool
changes(const struct plex_facet_request *request)
{
    return request->verb == PLEX_FACET_ATTACH ||
           request->verb == PLEX_FACET_DETACH;
}

int
rt_op_facet(struct plex_ctx *ctx, struct plex_facet_request *request)
{
    struct rt_around *around = around_of(ctx);
    struct plex_err err = {0};
    int status;

    request->answer = NULL;
    request->answer_len = 0;
    if (request->verb == PLEX_FACET_ATTACH) {
        if (rt_facet_process_check(request->facet, &err) != PLEX_OK ||
            chain_ready(ctx, &err) != PLEX_OK) {
            ctx->ops->log(ctx, 1, err.text);
            return -(int)err.status;
        }
        around = around_of(ctx);
    }
    if (around == NULL || around->chain == NULL)
        return request->verb == PLEX_FACET_LIST ? 0 : -PLEX_NOT_FOUND;
    status =
        rt_facets_request(around->chain, around->types, request, when(ctx));
    if (actions_do(ctx, around) != 0)
        (void)ctx->ops->fail(ctx, "a timer of a facet failed");
    if (changes(request) && (rt_turn_of(ctx)->proc->flags & RT_PROC_INIT_DONE))
        timer_arm(ctx, around);
    return status;
}

static enum plex_status
asked_do(struct plex_ctx *ctx, const struct plex_facet_request *request,
         struct plex_buf *out, struct plex_err *err)
{
    const struct rt_facet_spec spec = {request->facet, request->priority,
                                       request->config, request->n_config};
    struct rt_around *around = around_of(ctx);

    err->status = PLEX_OK;
    if (request->verb == PLEX_FACET_LIST) {
        if (around != NULL && around->chain != NULL)
            rt_facets_describe(around->chain, out);
        return PLEX_OK;
    }
    if (request->verb == PLEX_FACET_ATTACH) {
        if (rt_facet_process_check(request->facet, err) != PLEX_OK ||
            chain_ready(ctx, err) != PLEX_OK)
            return err->status;
        around = around_of(ctx);
        err->status = rt_facets_attach(around->chain, around->types, &spec,
                                       when(ctx), err);
    } else if (around == NULL || around->chain == NULL) {
        return plex_err_set(err, PLEX_NOT_FOUND, "facet %.64s is not attached",
                            request->facet);
    } else {
        err->status =
            rt_facets_detach(around->chain, request->facet, when(ctx), err);
    }
    (void)actions_do(ctx, around);
    timer_arm(ctx, around);
    if (err->status == PLEX_OK)
        rt_facets_describe(around->chain, out);
    return err->status;
}

int
rt_around_asked(struct rt_turn *turn)
{
    struct plex_ctx *ctx = &turn->ctx;
    struct rt_facets_asked asked;
    struct plex_buf out = {.max = 1 << 16};
    struct plex_err err = {0};

    if (!rt_facets_unpack(turn->msg->payload, turn->msg->len, &asked) ||
        asked.request.verb == PLEX_FACET_INVOKE)
        (void)plex_err_set(&err, PLEX_INVALID, "no request about facets");
    else
        (void)asked_do(ctx, &asked.request, &out, &err);
    if (err.status == PLEX_OK) {
        ctx->ops->reply(ctx, 200, "text/plain", out.data, out.len);
    } else {
        rt_answer_status(exec_of(ctx), &turn->from,
                         rt_ref(exec_of(ctx)->rt, turn->proc), -(int)err.status,
                         err.text);
        turn->from.call = 0;
    }
    plex_buf_free(&out);
    return 0;
}
