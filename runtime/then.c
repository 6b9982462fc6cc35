#include "runtime/around.h"

#include "sdk/c/include/plexspaces/process.h"

/*
 * gen_server's handle_continue and timeouts: what a callback wants to happen
 * next. A continuation goes to the very front of the mailbox. An idle timeout
 * is a timer that means nothing any more when another message was handled
 * since it was set, so messages need not look for it.
 */

static bool
has_callbacks(const struct rt_proc *proc)
{
    return proc->engine == NULL || proc->engine == &rt_engine_around;
}

int
rt_continue(struct plex_ctx *ctx, uint64_t tag, const void *payload, size_t len)
{
    const struct plex_post post = {.tag = tag, .payload = payload, .len = len};
    struct rt_turn *turn = rt_turn_of(ctx);
    struct rt_exec *exec = turn->fiber->exec;
    struct rt_msg *msg;

    if (!has_callbacks(turn->proc))
        return -PLEX_INVALID;
    msg = rt_msg_post(exec, &post, (enum rt_kind)PLEX_MSG_CONTINUE);
    if (msg == NULL)
        return -PLEX_LIMIT;
    msg->from = rt_ref(exec->rt, turn->proc);
    msg->generation = (uint32_t)(msg->from.id >> 32);
    rt_mail_front(turn->proc, msg);
    return 0;
}

static uint64_t
handled(const struct rt_proc *proc)
{
    return atomic_load_explicit(&proc->messages, memory_order_relaxed);
}

int
rt_idle_after(struct plex_ctx *ctx, uint64_t ms, uint64_t tag)
{
    struct rt_turn *turn = rt_turn_of(ctx);
    struct rt_exec *exec = turn->fiber->exec;
    struct rt_ext *ext = rt_ext(exec, turn->proc);
    struct rt_timer_set set = {.to = rt_ref(exec->rt, turn->proc),
                               .kind = RT_KIND_NAMED_TIMER,
                               .tag = tag};

    if (!has_callbacks(turn->proc))
        return -PLEX_INVALID;
    if (ext->idle_timer != 0)
        (void)rt_timer_cancel(exec, ext->idle_timer);
    ext->idle_timer = 0;
    if (ms > UINT64_MAX / 2000000)
        return 0;
    set.from = set.to;
    set.deadline_ns = rt_now(exec) + ms * 1000000;
    ext->idle_timer = rt_timer_set(exec, &set);
    ext->idle_since = handled(turn->proc);
    return ext->idle_timer == 0 ? -PLEX_LIMIT : 0;
}

bool
rt_idle_fired(struct rt_turn *turn, bool *is_due)
{
    struct rt_ext *ext = turn->proc->ext;

    if (ext->idle_timer == 0 || ext->idle_timer != turn->msg->number)
        return false;
    ext->idle_timer = 0;
    /* The timer's own message counts, too. */
    *is_due = handled(turn->proc) == ext->idle_since + 1;
    turn->msg->kind = PLEX_MSG_IDLE;
    return true;
}
