#include "runtime/around.h"
#include "runtime/circle.h"

#include "common/mem.h"
#include "sdk/c/include/plexspaces/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* struct plex_process_ops: what process.h and group.h call. */

enum { ASK_MS = 5000 };

static struct rt_exec *
exec_of(struct plex_ctx *ctx)
{
    return rt_turn_of(ctx)->fiber->exec;
}

static struct plex_ref
self_of(struct plex_ctx *ctx)
{
    return rt_ref(exec_of(ctx)->rt, rt_turn_of(ctx)->proc);
}

static uint64_t
deadline_of(struct rt_exec *exec, uint64_t timeout_ms)
{
    return timeout_ms > UINT64_MAX / 2000000
               ? UINT64_MAX
               : rt_now(exec) + timeout_ms * 1000000;
}

struct rt *
rt_of(struct plex_ctx *ctx)
{
    return exec_of(ctx)->rt;
}

void *
rt_engine_state(struct plex_ctx *ctx)
{
    struct rt_ext *ext = rt_turn_of(ctx)->proc->ext;

    return ext == NULL ? NULL : ext->engine_state;
}

const struct plex_behaviour *
rt_behaviour(struct plex_ctx *ctx)
{
    return atomic_load_explicit(&rt_turn_of(ctx)->proc->behaviour,
                                memory_order_relaxed);
}

struct plex_ref
rt_parent(struct plex_ctx *ctx)
{
    return rt_proc_parent(rt_turn_of(ctx)->proc);
}

void
rt_emit(struct plex_ctx *ctx, const struct rt_event *event)
{
    struct rt_exec *exec = exec_of(ctx);
    struct rt *rt = exec->rt;
    struct rt_event full = *event;

    if (rt->config.on_event == NULL ||
        atomic_load_explicit(&rt->stopping, memory_order_relaxed))
        return;
    if (full.process.id == 0)
        full.process = self_of(ctx);
    full.wall_ms = rt_wall(exec);
    full.where = rt_scope_text(rt, rt_turn_of(ctx)->proc->scope);
    full.name = full.name == NULL ? "" : full.name;
    full.child = full.child == NULL ? "" : full.child;
    full.behaviour = full.behaviour == NULL ? "" : full.behaviour;
    full.reason = full.reason == NULL ? "" : full.reason;
    full.sequence = atomic_fetch_add(&rt->sequence, 1) + 1;
    rt->config.on_event(rt->config.arg, &full);
}

/* -- being -- */

static void *
op_data(struct plex_ctx *ctx)
{
    return rt_turn_of(ctx)->proc->data;
}

static uint64_t
op_now_ns(struct plex_ctx *ctx)
{
    return rt_now(exec_of(ctx));
}

static void
op_exit_self(struct plex_ctx *ctx, const char *reason)
{
    struct rt_turn *turn = rt_turn_of(ctx);

    if (turn->reason == NULL)
        turn->reason = plex_strdup(reason == NULL ? "normal" : reason);
    turn->exiting = true;
}

static void
op_exit(struct plex_ctx *ctx, struct plex_ref whom, const char *reason)
{
    struct rt_exec *exec = exec_of(ctx);
    struct plex_ref self = self_of(ctx);
    struct rt_msg *msg;

    if (!rt_ref_is(whom, self)) {
        rt_signal(exec, whom, RT_KIND_SIG_EXIT, self, 0, reason, false);
        return;
    }
    /* To oneself it takes effect at once, that is, when the callback ends. */
    msg = rt_msg_new(exec, RT_KIND_SIG_EXIT);
    msg->from = self;
    rt_msg_reason(msg, reason);
    rt_exit_signal(exec, rt_turn_of(ctx)->proc, msg);
}

static void
op_link(struct plex_ctx *ctx, struct plex_ref other)
{
    rt_link(exec_of(ctx), rt_turn_of(ctx)->proc, other);
}

static void
op_unlink(struct plex_ctx *ctx, struct plex_ref other)
{
    rt_unlink(exec_of(ctx), rt_turn_of(ctx)->proc, other);
}

static uint64_t
op_monitor(struct plex_ctx *ctx, struct plex_ref other)
{
    return rt_monitor(exec_of(ctx), rt_turn_of(ctx)->proc, other);
}

static void
op_demonitor(struct plex_ctx *ctx, uint64_t monitor)
{
    rt_demonitor(exec_of(ctx), rt_turn_of(ctx)->proc, monitor);
}

static void
op_trap_exit(struct plex_ctx *ctx, bool on)
{
    struct rt_proc *proc = rt_turn_of(ctx)->proc;

    if (on)
        proc->flags |= RT_PROC_TRAP;
    else
        proc->flags &= (uint8_t)~RT_PROC_TRAP;
}

/* -- messages -- */

static int
op_send(struct plex_ctx *ctx, struct plex_ref to, const struct plex_post *post)
{
    return rt_post(rt_turn_of(ctx), to, post,
                   (struct plex_from){self_of(ctx), 0});
}

/* All wait for one another: an answer that says so. */
static struct rt_msg *
circle_answer(struct rt_turn *turn, uint64_t deadline)
{
    struct rt_msg *msg;
    char *why;

    if (!rt_circle_await(turn, deadline, &why))
        return NULL;
    msg = rt_msg_new(turn->fiber->exec, RT_KIND_ANSWER);
    msg->code = -PLEX_FAILED;
    rt_msg_reason(msg, why);
    free(why);
    return msg;
}

int
rt_await(struct rt_turn *turn, uint64_t deadline, struct plex_msg *answer,
         struct plex_ref *from)
{
    struct rt_ext *ext = rt_ext(turn->fiber->exec, turn->proc);
    enum rt_waited waited = rt_suspend(turn, RT_WAIT_ANSWER, deadline);
    struct rt_msg *msg = ext->answer;

    /* Woken to look (circle.c), not because the time is up. */
    while (msg == NULL && waited == RT_WAITED_DUE) {
        msg = circle_answer(turn, deadline);
        if (msg == NULL && ext->answer == NULL)
            waited = rt_suspend(turn, RT_WAIT_ANSWER, deadline);
        if (msg == NULL)
            msg = ext->answer;
    }
    ext->awaited = 0;
    ext->answer = NULL;
    if (msg == NULL)
        return waited == RT_WAITED_LIMIT ? -PLEX_LIMIT : -PLEX_TIMEOUT;
    if (answer != NULL)
        rt_msg_view_all(msg, answer);
    *from = msg->from;
    turn->answer = msg;
    return msg->code;
}

uint64_t
rt_expect(struct rt_turn *turn, struct plex_ref to)
{
    struct rt_ext *ext = rt_ext(turn->fiber->exec, turn->proc);

    rt_msg_free(turn->fiber->exec, turn->answer); /* of the ask before */
    turn->answer = NULL;
    ext->awaited = ++ext->calls;
    ext->awaited_of = to;
    if (!rt_is_local(turn->fiber->exec->rt, to))
        atomic_store(&turn->proc->remote, 1);
    return ext->awaited;
}

static int
ask(struct rt_turn *turn, struct plex_ref to, struct rt_msg *msg,
    uint64_t timeout_ms, struct plex_msg *answer)
{
    struct rt_exec *exec = turn->fiber->exec;
    uint64_t deadline =
        deadline_of(exec, timeout_ms == 0 ? ASK_MS : timeout_ms);
    struct plex_ref from;
    int status;

    *answer = (struct plex_msg){.sender = "",
                                .id = "",
                                .method = "",
                                .path = "",
                                .subpath = "",
                                .query = "",
                                .content_type = "",
                                .payload = "",
                                .reason = ""};
    msg->from = rt_ref(exec->rt, turn->proc);
    if (to.id == 0 || rt_ref_is(to, msg->from)) {
        rt_msg_free(exec, msg);
        return to.id == 0 ? -PLEX_NOT_FOUND : -PLEX_INVALID;
    }
    if (!rt_mail_admit(turn, exec, to, msg, &status)) {
        if (status == 0) /* dropped without a word: nobody will answer */
            status = -PLEX_TIMEOUT;
        return status;
    }
    exec = turn->fiber->exec;
    msg->number = rt_expect(turn, to);
    rt_awaits_set(exec->rt, turn->proc, to);
    (void)rt_route(exec, to, msg);
    status = rt_await(turn, deadline, answer, &from);
    rt_awaits_end(turn->proc);
    return status;
}

static int
op_ask(struct plex_ctx *ctx, struct plex_ref to, const struct plex_post *post,
       uint64_t timeout_ms, struct plex_msg *answer)
{
    struct rt_msg *msg =
        rt_msg_post(exec_of(ctx), post, (enum rt_kind)PLEX_MSG_CALL);
    struct plex_msg ignored;

    if (msg == NULL)
        return -PLEX_LIMIT;
    return ask(rt_turn_of(ctx), to, msg, timeout_ms,
               answer == NULL ? &ignored : answer);
}

int
rt_ask_engine(struct plex_ctx *ctx, struct plex_ref to, uint64_t tag,
              const void *payload, size_t len, uint64_t timeout_ms,
              struct plex_msg *answer)
{
    const struct plex_post post = {.tag = tag, .payload = payload, .len = len};
    struct rt_msg *msg = rt_msg_post(exec_of(ctx), &post, RT_KIND_ENGINE);
    uint32_t scope;
    const char *alias = rt_alias_text(rt_of(ctx), to, &scope);

    if (msg == NULL)
        return -PLEX_LIMIT;
    if (alias != NULL && strchr(alias, '@') == NULL) {
        rt_msg_free(exec_of(ctx), msg);
        return -PLEX_INVALID;
    }
    return ask(rt_turn_of(ctx), to, msg, timeout_ms, answer);
}

static void
op_call(struct plex_ctx *ctx, struct plex_ref to, const struct plex_post *post,
        uint64_t timeout_ms)
{
    struct rt_turn *turn = rt_turn_of(ctx);
    struct rt_exec *exec = exec_of(ctx);
    struct rt_ext *ext = rt_ext(exec, turn->proc);
    struct plex_ref self = self_of(ctx);
    uint64_t number = ++ext->calls;
    const struct plex_from own = {self, number};
    struct rt_timer_set set = {.to = self, .kind = RT_KIND_WAKE, .tag = number};
    struct rt_rel *row;
    struct rt_msg *msg = rt_msg_post(exec, post, (enum rt_kind)PLEX_MSG_CALL);
    int status = -PLEX_LIMIT;

    row = rt_rel_add(&ext->rels, RT_REL_CALL, to, number);
    row->aux = post->tag;
    if (!rt_is_local(exec->rt, to))
        atomic_store(&turn->proc->remote, 1);
    set.deadline_ns = deadline_of(exec, timeout_ms == 0 ? ASK_MS : timeout_ms);
    if (set.deadline_ns != UINT64_MAX)
        row->timer = rt_timer_set(exec, &set);
    if (msg == NULL) {
        rt_answer_status(exec, &own, self, -PLEX_FAILED, "too long");
        return;
    }
    msg->from = self;
    msg->number = number;
    if (to.id == 0) {
        rt_bounce(exec, to, msg, NULL);
    } else if (rt_mail_admit(turn, exec, to, msg, &status)) {
        (void)rt_route(exec_of(ctx), to, msg);
    } else if (status != 0) {
        rt_answer_status(exec_of(ctx), &own, self, status,
                         "the mailbox is full");
    }
}

static struct plex_from
op_reply_later(struct plex_ctx *ctx)
{
    struct rt_turn *turn = rt_turn_of(ctx);
    struct plex_from from = turn->taken.call != 0 ? turn->taken : turn->from;

    if (from.call == 0)
        return from;
    if (turn->taken.call != 0) {
        turn->taken.call = 0; /* owed since it was received */
        return from;
    }
    (void)rt_rel_add(&rt_ext(exec_of(ctx), turn->proc)->rels, RT_REL_OWED,
                     from.ref, from.call);
    turn->from.call = 0;
    return from;
}

static int
op_answer(struct plex_ctx *ctx, const struct plex_from *to, const void *payload,
          size_t len)
{
    struct rt_turn *turn = rt_turn_of(ctx);
    struct rt_exec *exec = exec_of(ctx);
    struct rt_ext *ext = rt_ext(exec, turn->proc);
    struct rt_rel *row =
        rt_rel_find(&ext->rels, RT_REL_OWED, to->ref, to->call);
    struct rt_msg *msg;

    if (len > RT_PAYLOAD_MAX)
        return -PLEX_LIMIT;
    if (row == NULL)
        return -PLEX_EXISTS;
    rt_rel_remove(&ext->rels, row);
    msg = rt_msg_new(exec, RT_KIND_ANSWER);
    msg->from = self_of(ctx);
    msg->number = to->call;
    if (len > 0)
        rt_msg_payload(msg, payload, len);
    (void)rt_route(exec, to->ref, msg);
    return 0;
}

static int
op_answer_http(struct plex_ctx *ctx, const struct plex_from *to,
               const struct plex_http_answer *answer)
{
    struct rt_exec *exec = exec_of(ctx);
    struct rt_ext *ext = rt_ext(exec, rt_turn_of(ctx)->proc);
    struct rt_rel *row =
        rt_rel_find(&ext->rels, RT_REL_OWED, to->ref, to->call);
    struct rt_msg *msg;
    int status;

    if (row == NULL)
        return -PLEX_EXISTS;
    status = rt_http_answer_make(exec, answer, &msg);
    if (status != 0)
        return status;
    rt_rel_remove(&ext->rels, row);
    msg->from = self_of(ctx);
    msg->number = to->call;
    (void)rt_route(exec, to->ref, msg);
    return 0;
}

static int
op_forward(struct plex_ctx *ctx, struct plex_ref to)
{
    struct rt_turn *turn = rt_turn_of(ctx);
    struct rt_msg *msg = turn->msg, *copy;

    if (msg == NULL || msg->kind > PLEX_MSG_INFO)
        return -PLEX_INVALID;
    if (msg->kind == PLEX_MSG_CALL && turn->from.call == 0)
        return -PLEX_EXISTS; /* answered, or to be answered later */
    copy = rt_msg_new(exec_of(ctx), (enum rt_kind)msg->kind);
    copy->priority = msg->priority;
    copy->from = msg->from;
    copy->number = msg->number;
    copy->tag = msg->tag;
    copy->content = msg->content;
    if (rt_msg_http(msg) != NULL) {
        rt_http_share(rt_msg_http(msg));
        copy->flags |= RT_MSG_OWNED;
        copy->release = rt_http_release;
        copy->payload = msg->payload;
        copy->len = msg->len;
    } else if (msg->len > 0) {
        rt_msg_payload(copy, msg->payload, msg->len);
    }
    turn->from.call = 0;
    rt_msg_free(exec_of(ctx), turn->reply);
    turn->reply = NULL;
    if (msg->kind == PLEX_MSG_CALL)
        rt_awaits_forward(rt_of(ctx), msg->from, self_of(ctx), to);
    (void)rt_route(exec_of(ctx), to, copy);
    return 0;
}

static int
op_receive(struct plex_ctx *ctx, plex_match_fn match, void *arg,
           uint64_t timeout_ms, struct plex_msg *out)
{
    struct rt_turn *turn = rt_turn_of(ctx);
    struct rt_proc *proc = turn->proc;
    uint64_t deadline = deadline_of(exec_of(ctx), timeout_ms);
    struct rt_msg *msg = NULL;

    if (match == NULL && out == NULL) { /* plex_sleep() */
        while (rt_now(exec_of(ctx)) < deadline) {
            if (rt_suspend(turn, RT_WAIT_TIME, deadline) == RT_WAITED_LIMIT)
                return -PLEX_LIMIT; /* no stack */
        }
        return 0;
    }
    rt_mail_take(exec_of(ctx), proc);
    while ((proc->flags & RT_PROC_DYING) != 0 ||
           (msg = rt_mail_match(exec_of(ctx), proc, match, arg)) == NULL) {
        if (rt_now(exec_of(ctx)) >= deadline)
            return -PLEX_TIMEOUT;
        if (rt_suspend(turn, RT_WAIT_MESSAGE, deadline) == RT_WAITED_LIMIT)
            return -PLEX_LIMIT; /* no stack */
    }
    if (out != NULL) {
        *out = (struct plex_msg){.sender = "",
                                 .id = "",
                                 .method = "",
                                 .path = "",
                                 .subpath = "",
                                 .query = ""};
        rt_msg_view_all(msg, out);
    }
    if (msg->kind == PLEX_MSG_CALL) {
        turn->taken = (struct plex_from){msg->from, msg->number};
        (void)rt_rel_add(&rt_ext(exec_of(ctx), proc)->rels, RT_REL_OWED,
                         msg->from, msg->number);
    }
    rt_msg_free(exec_of(ctx), turn->received);
    turn->received = msg;
    return 0;
}

/* -- timers -- */

static uint64_t
op_send_after(struct plex_ctx *ctx, struct plex_ref to, uint64_t delay_ms,
              uint64_t interval_ms, uint64_t tag)
{
    struct rt_exec *exec = exec_of(ctx);
    const struct rt_timer_set set = {
        .to = to,
        .from = self_of(ctx),
        .kind = PLEX_MSG_TIMER,
        .deadline_ns = deadline_of(exec, delay_ms),
        .interval_ns =
            interval_ms > UINT64_MAX / 2000000 ? 0 : interval_ms * 1000000,
        .tag = tag};

    return to.id == 0 ? 0 : rt_timer_set(exec, &set);
}

static bool
op_cancel_timer(struct plex_ctx *ctx, uint64_t timer)
{
    return rt_timer_cancel(exec_of(ctx), timer);
}

/* -- becoming -- */

static int
op_become(struct plex_ctx *ctx, const struct plex_behaviour *next)
{
    struct rt_proc *proc = rt_turn_of(ctx)->proc;
    struct rt_ext *ext = rt_ext(exec_of(ctx), proc);

    if (proc->engine != NULL && proc->engine != &rt_engine_around)
        return -PLEX_INVALID;
    if (next == NULL) {
        if (ext->before_count == 0)
            return -PLEX_INVALID;
        atomic_store(&proc->behaviour, ext->before[--ext->before_count]);
        return 0;
    }
    if (next->fsm != NULL || next->events != NULL || next->supervisor != NULL)
        return -PLEX_INVALID;
    if (ext->before_count == RT_BECOME_MAX)
        return -PLEX_LIMIT;
    ext->before[ext->before_count++] = rt_behaviour(ctx);
    atomic_store(&proc->behaviour, next);
    return 0;
}

static void
op_hibernate(struct plex_ctx *ctx)
{
    struct rt_ext *ext = rt_turn_of(ctx)->proc->ext;

    if (ext == NULL)
        return;
    if (ext->rels.count == 0)
        rt_rels_fini(&ext->rels);
    if (ext->waiter_count == 0) {
        free(ext->waiters);
        free(ext->waiter_calls);
        ext->waiters = NULL;
        ext->waiter_calls = NULL;
        ext->waiter_max = 0;
    }
}

/* -- names and groups -- */

static int
op_name_set(struct plex_ctx *ctx, const char *name)
{
    struct rt_proc *proc = rt_turn_of(ctx)->proc;
    struct rt_exec *exec = exec_of(ctx);
    struct rt_ext *ext = rt_ext(exec, proc);
    int status;

    if (name == NULL || name[0] == '\0' || strlen(name) > 255 ||
        strchr(name, '@') != NULL || ext->name != NULL)
        return -PLEX_INVALID;
    status = rt_name_set(exec->rt, proc->scope, name, self_of(ctx));
    if (status == 0) {
        pthread_mutex_lock(&exec->rt->stripes[proc->slot % RT_STRIPES]);
        ext->name = plex_strdup(name);
        pthread_mutex_unlock(&exec->rt->stripes[proc->slot % RT_STRIPES]);
    }
    return status;
}

static int
op_name_clear(struct plex_ctx *ctx, const char *name)
{
    struct rt_proc *proc = rt_turn_of(ctx)->proc;
    struct rt_exec *exec = exec_of(ctx);
    struct rt_ext *ext = proc->ext;

    if (ext == NULL || ext->name == NULL || strcmp(ext->name, name) != 0)
        return -PLEX_NOT_FOUND;
    rt_name_clear(exec->rt, proc->scope, name);
    pthread_mutex_lock(&exec->rt->stripes[proc->slot % RT_STRIPES]);
    free(ext->name);
    ext->name = NULL;
    pthread_mutex_unlock(&exec->rt->stripes[proc->slot % RT_STRIPES]);
    return 0;
}

static struct plex_ref
op_whereis(struct plex_ctx *ctx, const char *name)
{
    return rt_whereis_in(rt_of(ctx), rt_turn_of(ctx)->proc->scope, name);
}

static int
op_group_join(struct plex_ctx *ctx, const char *group)
{
    return rt_group_change(exec_of(ctx), rt_turn_of(ctx)->proc, group, true);
}

static int
op_group_leave(struct plex_ctx *ctx, const char *group)
{
    return rt_group_change(exec_of(ctx), rt_turn_of(ctx)->proc, group, false);
}

static size_t
op_group_members(struct plex_ctx *ctx, const char *group, bool local_only,
                 struct plex_ref *out, size_t max)
{
    return rt_group_members(rt_of(ctx), rt_turn_of(ctx)->proc->scope, group,
                            local_only, out, max);
}

static size_t
op_group_publish(struct plex_ctx *ctx, const char *group,
                 const struct plex_post *post)
{
    struct rt_turn *turn = rt_turn_of(ctx);
    struct plex_post each = *post;
    size_t max = 64, count, sent = 0;
    struct plex_ref *members = plex_calloc(max, sizeof *members);

    while ((count = op_group_members(ctx, group, false, members, max)) > max) {
        max = count + 64;
        members = plex_reallocarray(members, max, sizeof *members);
    }
    each.kind = PLEX_MSG_CAST;
    each.release = NULL; /* every member gets a copy */
    turn->scratch = members;
    for (size_t i = 0; i < count; i++)
        sent += op_send(ctx, members[i], &each) == 0;
    turn->scratch = NULL;
    free(members);
    if (post->release != NULL)
        post->release((void *)(uintptr_t)post->payload, post->len);
    return sent;
}

static int
op_group_monitor(struct plex_ctx *ctx, const char *group, bool on)
{
    return rt_group_monitor(exec_of(ctx), rt_turn_of(ctx)->proc, group, on);
}

static size_t
op_ref_text(struct plex_ctx *ctx, struct plex_ref ref, char *out, size_t size)
{
    return rt_ref_text(rt_of(ctx), ref, out, size);
}

const struct plex_process_ops rt_process_ops = {
    .self = self_of,
    .data = op_data,
    .now_ns = op_now_ns,
    .spawn = rt_op_spawn,
    .exit_self = op_exit_self,
    .exit = op_exit,
    .link = op_link,
    .unlink = op_unlink,
    .monitor = op_monitor,
    .demonitor = op_demonitor,
    .trap_exit = op_trap_exit,
    .send = op_send,
    .ask = op_ask,
    .call = op_call,
    .reply_later = op_reply_later,
    .answer = op_answer,
    .forward = op_forward,
    .receive = op_receive,
    .send_after = op_send_after,
    .cancel_timer = op_cancel_timer,
    .become = op_become,
    .hibernate = op_hibernate,
    .name_set = op_name_set,
    .name_clear = op_name_clear,
    .whereis = op_whereis,
    .group_join = op_group_join,
    .group_leave = op_group_leave,
    .group_members = op_group_members,
    .group_publish = op_group_publish,
    .group_monitor = op_group_monitor,
    .ref_text = op_ref_text,
    .fsm = rt_fsm,
    .event = rt_event_request,
    .supervisor = rt_supervisor_request,
    .spawn_faceted = rt_op_spawn_faceted,
    .supervisor_within = rt_supervisor_within,
    .answer_http = op_answer_http,
    .fsm_state = rt_fsm_state,
    .then = rt_continue,
    .idle_after = rt_idle_after,
    .event_request = rt_event_ask,
};
