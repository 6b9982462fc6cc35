#include "runtime/around.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

/* One message at a time: choose the callback, then settle what it left. */

void
rt_turn_init(struct rt_turn *turn, struct rt_fiber *fiber, struct rt_proc *proc)
{
    turn->ctx = (struct plex_ctx){&rt_ctx_ops, &rt_process_ops, NULL};
    turn->fiber = fiber;
    turn->proc = proc;
    turn->msg = NULL;
    turn->reply = NULL;
    turn->answer = NULL;
    turn->received = NULL;
    turn->sending = NULL;
    turn->scratch = NULL;
    turn->timer = NULL;
    turn->from = (struct plex_from){{0, 0}, 0};
    turn->taken = (struct plex_from){{0, 0}, 0};
    turn->reason = NULL;
    turn->json = NULL;
    turn->exiting = false;
    turn->failed = false;
    turn->view = (struct plex_msg){.sender = "",
                                   .id = "",
                                   .method = "",
                                   .path = "",
                                   .subpath = "",
                                   .query = ""};
}

static const struct plex_behaviour *
behaviour_of(const struct rt_proc *proc)
{
    return atomic_load_explicit(&proc->behaviour, memory_order_relaxed);
}

/* -- settling -- */

static void
send_reply(struct rt_turn *turn)
{
    struct rt_exec *exec = turn->fiber->exec;
    struct rt_msg *reply = turn->reply;
    struct plex_from to = turn->from;

    turn->reply = NULL;
    turn->from.call = 0;
    if (to.call == 0) {
        rt_msg_free(exec, reply);
        return;
    }
    if (reply == NULL)
        reply = rt_msg_new(exec, RT_KIND_ANSWER);
    reply->from = rt_ref(exec->rt, turn->proc);
    reply->number = to.call;
    (void)rt_route(exec, to.ref, reply);
}

static void
refuse(struct rt_turn *turn, int status, const char *reason)
{
    struct rt_exec *exec = turn->fiber->exec;

    rt_answer_status(exec, &turn->from, rt_ref(exec->rt, turn->proc), status,
                     reason);
    turn->from.call = 0;
    rt_msg_free(exec, turn->reply);
    turn->reply = NULL;
}

static void
turn_release_rest(struct rt_turn *turn)
{
    struct rt_exec *exec = turn->fiber->exec;

    rt_msg_free(exec, turn->received);
    turn->received = NULL;
    rt_msg_free(exec, turn->answer);
    turn->answer = NULL;
    if (turn->json != NULL)
        rt_turn_json_free(turn);
}

/* Most have nothing but the message. */
static inline void
turn_release(struct rt_turn *turn)
{
    rt_msg_free(turn->fiber->exec, turn->msg);
    turn->msg = NULL;
    if (turn->received != NULL || turn->answer != NULL || turn->json != NULL)
        turn_release_rest(turn);
}

void
rt_settle(struct plex_ctx *ctx)
{
    struct rt_turn *turn = rt_turn_of(ctx);

    send_reply(turn);
    rt_msg_free(turn->fiber->exec, turn->msg);
    turn->msg = NULL;
}

struct rt_msg *
rt_keep(struct plex_ctx *ctx)
{
    struct rt_turn *turn = rt_turn_of(ctx);
    struct rt_msg *msg = turn->msg;

    rt_msg_free(turn->fiber->exec, turn->reply);
    turn->reply = NULL;
    turn->from.call = 0;
    turn->msg = NULL;
    return msg;
}

static void
adopt(struct rt_turn *turn, struct rt_msg *msg)
{
    turn->msg = msg;
    turn->from.call = 0;
    if (msg->kind == PLEX_MSG_CALL || msg->kind == RT_KIND_ENGINE)
        turn->from = (struct plex_from){msg->from, msg->number};
}

void
rt_recall(struct plex_ctx *ctx, struct rt_msg *kept, struct plex_msg *out)
{
    struct rt_turn *turn = rt_turn_of(ctx);

    rt_settle(ctx);
    adopt(turn, kept);
    *out = (struct plex_msg){.sender = "",
                             .id = "",
                             .method = "",
                             .path = "",
                             .subpath = "",
                             .query = ""};
    rt_msg_view_all(kept, out);
}

void
rt_drop(struct plex_ctx *ctx, struct rt_msg *kept)
{
    struct rt_turn *turn = rt_turn_of(ctx);
    struct rt_exec *exec = turn->fiber->exec;
    const char *reason =
        turn->proc->ext != NULL && turn->proc->ext->reason != NULL
            ? turn->proc->ext->reason
            : "dropped";

    rt_bounce(exec, rt_ref(exec->rt, turn->proc), kept, reason);
}

/* -- ending -- */

/* The process ends by itself: terminate, then everybody is told. Takes the
 * reason: terminate may wait, and be killed meanwhile. */
static void
turn_stop(struct rt_turn *turn, char *reason)
{
    struct rt_proc *proc = turn->proc;
    struct rt_ext *ext = rt_ext(turn->fiber->exec, proc);
    const struct plex_behaviour *behaviour = behaviour_of(proc);
    bool started = (proc->flags & RT_PROC_INIT_DONE) != 0;

    free(ext->reason);
    ext->reason = reason;
    proc->flags |= RT_PROC_ENDING;
    free(turn->reason);
    turn->reason = NULL;
    turn->exiting = false;
    if (started && proc->engine != NULL && proc->engine->terminate != NULL)
        proc->engine->terminate(&turn->ctx, reason);
    else if (started && proc->engine == NULL && behaviour->terminate != NULL)
        behaviour->terminate(&turn->ctx, reason);
    send_reply(turn);
    turn_release(turn);
    free(turn->reason);
    turn->reason = NULL;
    rt_end_proc(turn->fiber->exec, turn, proc);
}

void
rt_turn_die(struct rt_turn *turn)
{
    rt_end_proc(turn->fiber->exec, turn, turn->proc);
}

void
rt_turn_abandon(struct rt_exec *exec, struct rt_turn *turn, const char *reason)
{
    turn->fiber->exec = exec;
    refuse(turn, -PLEX_FAILED, reason);
    rt_msg_free(exec, turn->sending);
    free(turn->scratch);
    free(turn->timer);
    turn_release(turn);
    free(turn->reason);
    turn->reason = NULL;
}

/* -- callbacks -- */

static int
call_init(struct rt_turn *turn)
{
    struct rt_proc *proc = turn->proc;
    const struct plex_behaviour *behaviour = behaviour_of(proc);
    struct rt_exec *exec = turn->fiber->exec;
    int rc = 0;

    if (behaviour->data_size > 0)
        proc->data = plex_calloc(1, behaviour->data_size);
    if (proc->engine != NULL) {
        if (proc->engine->state_size > 0 &&
            rt_ext(exec, proc)->engine_state == NULL)
            rt_ext(exec, proc)->engine_state =
                plex_calloc(1, proc->engine->state_size);
        if (proc->engine->init != NULL)
            rc = proc->engine->init(&turn->ctx, turn->msg->payload,
                                    turn->msg->len);
    } else if (behaviour->init != NULL) {
        rc = behaviour->init(&turn->ctx, turn->msg->payload, turn->msg->len);
    }
    if (rc != 0 || turn->failed || (proc->flags & RT_PROC_DYING) != 0)
        return rc;
    if (turn->exiting && proc->ext != NULL && proc->ext->starter.call != 0)
        return -1; /* asked to wait for a start that did not take place */
    if (proc->ext != NULL && proc->ext->around != NULL &&
        (rt_around_begun(turn) != 0 || (proc->flags & RT_PROC_DYING) != 0))
        return -1;
    exec = turn->fiber->exec;
    proc->flags |= RT_PROC_INIT_DONE;
    if (proc->ext != NULL && proc->ext->starter.call != 0) {
        rt_answer_start(exec, &proc->ext->starter, rt_ref(exec->rt, proc), 0,
                        "");
        proc->ext->starter.call = 0;
    }
    rt_event_of(exec, proc, RT_STARTED, "");
    return 0;
}

static int
call_reply(struct rt_turn *turn)
{
    struct rt_proc *proc = turn->proc;
    const struct plex_behaviour *behaviour = behaviour_of(proc);
    const struct rt_msg *msg = turn->msg;
    enum plex_result_status status = PLEX_CALL_OK;

    if (msg->code == -PLEX_TIMEOUT)
        status = PLEX_CALL_TIMEOUT;
    else if (msg->code == -PLEX_NOT_FOUND || msg->code == -PLEX_UNAVAILABLE)
        status = PLEX_CALL_UNREACHABLE;
    else if (msg->code != 0)
        status = PLEX_CALL_FAILED;
    if (proc->engine != NULL)
        return proc->engine->reply == NULL
                   ? 0
                   : proc->engine->reply(&turn->ctx, msg->tag, status,
                                         msg->payload, msg->len);
    if (behaviour->handle_reply == NULL)
        return 0;
    return behaviour->handle_reply(&turn->ctx, msg->tag, status, msg->payload,
                                   msg->len);
}

static inline int
deliver(struct rt_turn *turn, const struct plex_msg *view)
{
    const struct plex_behaviour *behaviour = behaviour_of(turn->proc);
    int (*handle)(struct plex_ctx *, const struct plex_msg *);

    switch (view->kind) {
    case PLEX_MSG_CALL:
        handle = behaviour->handle_call;
        break;
    case PLEX_MSG_CAST:
        handle = behaviour->handle_cast != NULL ? behaviour->handle_cast
                                                : behaviour->handle_call;
        break;
    case RT_KIND_ENGINE:
        if (view->tag == RT_FACETS_TAG)
            return rt_around_asked(turn);
        handle = NULL;
        break;
    default:
        handle = behaviour->handle_info;
        break;
    }
    if (handle != NULL)
        return handle(&turn->ctx, view);
    if (turn->from.call != 0)
        refuse(turn,
               view->kind == RT_KIND_ENGINE ? -PLEX_INVALID : -PLEX_FAILED,
               view->kind == RT_KIND_ENGINE ? "it has no such engine"
                                            : "it answers no calls");
    return 0;
}

int
rt_turn_deliver(struct rt_turn *turn, const struct plex_msg *msg)
{
    return deliver(turn, msg);
}

static inline int
to_callbacks(struct rt_turn *turn)
{
    const struct rt_engine *engine = turn->proc->engine;
    struct plex_msg *view = &turn->view;

    if (engine == NULL)
        return deliver(turn, view);
    if (view->kind == RT_KIND_ENGINE && view->tag == RT_FACETS_TAG)
        return rt_around_asked(turn);
    return engine->handle(&turn->ctx, view);
}

/* With the strings of the request, which the next message does not have. */
static int
call_http(struct rt_turn *turn, const struct rt_http *http)
{
    struct plex_msg *view = &turn->view;
    int rc;

    rt_http_view(http, view);
    rc = to_callbacks(turn);
    view->method = view->path = view->subpath = view->query = "";
    view->content_type = "";
    return rc;
}

static int
call_message(struct rt_turn *turn)
{
    const struct rt_http *http = rt_msg_http(turn->msg);

    rt_msg_view(turn->msg, &turn->view);
    return __builtin_expect(http != NULL, 0) ? call_http(turn, http)
                                             : to_callbacks(turn);
}

static int
call_timer(struct rt_turn *turn)
{
    const struct plex_behaviour *behaviour = behaviour_of(turn->proc);
    struct rt_ext *ext = rt_ext(turn->fiber->exec, turn->proc);
    bool is_due;
    int rc = 0;

    for (struct rt_named_timer **at = &ext->named; *at != NULL;
         at = &(*at)->next) {
        struct rt_named_timer *named = *at;

        if (named->timer != turn->msg->number)
            continue;
        *at = named->next;
        turn->timer = named; /* should the callback never come back */
        if (behaviour->handle_timer != NULL)
            rc = behaviour->handle_timer(&turn->ctx, named->name,
                                         named->payload, named->len);
        turn->timer = NULL;
        free(named);
        return rc;
    }
    if (rt_idle_fired(turn, &is_due))
        return is_due ? call_message(turn) : 0;
    if (ext->around != NULL)
        (void)rt_around_timer(turn, &rc);
    return rc;
}

static int
call_started(struct rt_turn *turn)
{
    struct rt_proc *proc = turn->proc;
    const struct rt_msg *msg = turn->msg;
    const char *reason = msg->code == 0 ? "" : rt_msg_reason_of(msg);

    if (proc->engine == NULL || proc->engine->started == NULL)
        return 0;
    return proc->engine->started(&turn->ctx, msg->tag, msg->code, msg->from,
                                 reason);
}

static int
dispatch(struct rt_turn *turn)
{
    switch (turn->msg->kind) {
    case RT_KIND_START:
        return call_init(turn);
    case RT_KIND_REPLY:
        return call_reply(turn);
    case RT_KIND_NAMED_TIMER:
        return call_timer(turn);
    case RT_KIND_STARTED:
        return call_started(turn);
    case PLEX_MSG_EXIT:
        /* As gen_server: the end of who started us is our end. */
        if (turn->msg->from.id != 0 &&
            rt_ref_is(turn->msg->from, rt_proc_parent(turn->proc)) &&
            (turn->proc->engine == NULL || !turn->proc->engine->parent_exits)) {
            turn->exiting = true;
            free(turn->reason);
            turn->reason = plex_strdup(rt_msg_reason_of(turn->msg));
            return 0;
        }
        return call_message(turn);
    default:
        return call_message(turn);
    }
}

bool
rt_turn_handle(struct rt_turn *turn, struct rt_msg *msg)
{
    struct rt_exec *exec = turn->fiber->exec;
    struct rt_proc *proc = turn->proc;
    char *reason;
    int rc;

    rt_count(&exec->handled);
    exec->spent++;
    atomic_store_explicit(
        &proc->messages,
        atomic_load_explicit(&proc->messages, memory_order_relaxed) + 1,
        memory_order_relaxed);
    adopt(turn, msg);
    rc = dispatch(turn);
    if ((proc->flags & RT_PROC_DYING) != 0) {
        refuse(turn, -PLEX_FAILED, proc->ext->reason);
        turn_release(turn);
        free(turn->reason);
        turn->reason = NULL;
        rt_turn_die(turn);
        return false;
    }
    if (rc == 0 && !turn->failed && !turn->exiting) {
        if (turn->from.call != 0 || turn->reply != NULL)
            send_reply(turn);
        turn->taken.call = 0;
        turn_release(turn);
        return true;
    }
    reason = turn->reason != NULL ? turn->reason : plex_strdup("failed");
    turn->reason = NULL;
    if (rc != 0 || turn->failed || turn->reply == NULL)
        refuse(turn, -PLEX_FAILED, reason);
    else
        send_reply(turn);
    turn_stop(turn, reason);
    return false;
}
