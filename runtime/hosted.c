#include "runtime/hosted.h"

#include "runtime/core.h"

#include <string.h>

struct plex_from
rt_take_call(struct plex_ctx *ctx)
{
    struct rt_turn *turn = rt_turn_of(ctx);
    const struct plex_from from = turn->from;

    turn->from.call = 0;
    return from;
}

void
rt_end(struct rt *rt, struct plex_ref whom, const char *reason)
{
    struct rt_exec *exec = rt_outside_enter(rt);
    struct rt_msg *msg = rt_msg_new(exec, RT_KIND_SIG_EXIT);

    msg->from = (struct plex_ref){0, 0};
    msg->flags |= RT_MSG_FINAL;
    rt_msg_reason(msg, reason);
    (void)rt_route(exec, whom, msg);
    rt_outside_leave(exec);
}

static void
found_route(struct rt_exec *exec, const struct rt_found *found, uint8_t flags)
{
    struct rt *rt = exec->rt;
    const uint32_t scope = rt_scope_of(rt, found->where);
    struct plex_ref alias = {0, 0};
    struct rt_msg *msg;

    if (scope != UINT32_MAX)
        alias = rt_whereis_in(rt, scope, found->name);
    if (alias.id == 0)
        return;
    msg = rt_msg_new(exec, RT_KIND_FOUND);
    msg->from = found->found;
    msg->number = found->monitor;
    msg->flags |= flags;
    rt_msg_payload(msg, &alias, sizeof alias);
    (void)rt_route(exec, found->watcher, msg);
}

void
rt_name_found(struct rt *rt, const struct rt_found *found)
{
    struct rt_exec *exec = rt_outside_enter(rt);

    found_route(exec, found, found->monitor == 0 ? RT_MSG_LINKED : 0);
    rt_outside_leave(exec);
}

void
rt_found_far(struct rt_exec *exec, const struct rt_signal *signal)
{
    const struct rt_found found = {.watcher = signal->to,
                                   .where = signal->where,
                                   .name = signal->name,
                                   .found = signal->from,
                                   .monitor = signal->call};

    if (rt_is_local(exec->rt, signal->to))
        found_route(
            exec, &found,
            (uint8_t)(RT_MSG_FAR | (signal->linked ? RT_MSG_LINKED : 0)));
}

/* -- on the watcher's executor ----------------------------------------------
 */

static void
link_found(struct rt_exec *exec, struct rt_proc *proc, struct plex_ref alias,
           struct plex_ref other)
{
    struct rt_rel *row;

    if (rt_rel_find(&rt_ext(exec, proc)->rels, RT_REL_LINK, alias, 0) == NULL)
        return; /* unlinked meanwhile */
    rt_link_remove(exec, proc, alias);
    rt_link(exec, proc, other);
    row = rt_rel_find(&proc->ext->rels, RT_REL_LINK, other, 0);
    if (row != NULL)
        row->aux = alias.id;
}

/* On another node: whoever has the name has the link, too. */
static void
link_found_far(struct rt_exec *exec, struct rt_proc *proc,
               struct plex_ref alias, const struct rt_msg *msg)
{
    const struct plex_ref other = msg->from;
    struct rt_rels *rels = &rt_ext(exec, proc)->rels;
    struct rt_rel *row = rt_rel_find(rels, RT_REL_LINK, alias, 0);
    const bool wanted = row != NULL && row->aux == msg->number;

    if (!wanted) { /* unlinked meanwhile */
        if (other.id != 0 && rt_rel_find(rels, RT_REL_LINK, other, 0) == NULL) {
            rt_link_add(exec, proc, other);
            rt_unlink(exec, proc, other);
        }
        return;
    }
    if (other.id == 0) {
        struct rt_msg *end = rt_msg_new(exec, RT_KIND_SIG_EXIT);

        end->from = alias;
        end->flags |= RT_MSG_LINKED;
        rt_msg_reason(end, "noproc");
        rt_exit_signal(exec, proc, end);
        return;
    }
    rt_link_remove(exec, proc, alias);
    if (rt_rel_find(rels, RT_REL_UNLINKING, other, 0) != NULL)
        rt_link(exec, proc, other); /* that has undone this one, too */
    else
        rt_link_add(exec, proc, other);
    rt_rel_find(&proc->ext->rels, RT_REL_LINK, other, 0)->aux = alias.id;
}

static void
monitor_found(struct rt_exec *exec, struct rt_proc *proc,
              const struct rt_msg *msg)
{
    const struct plex_ref other = msg->from, self = rt_ref(exec->rt, proc);
    const bool far = (msg->flags & RT_MSG_FAR) != 0;
    struct rt_rel *row = rt_rel_find(&rt_ext(exec, proc)->rels, RT_REL_WATCH,
                                     (struct plex_ref){0, 0}, msg->number);

    if (row == NULL) { /* not monitored any more */
        if (far)
            rt_signal(exec, other, RT_KIND_DEMONITOR, self, msg->number, NULL,
                      false);
        return;
    }
    row->ref = other;
    if (other.node != exec->rt->config.node)
        atomic_store(&proc->remote, 1);
    if (!far)
        rt_signal(exec, other, RT_KIND_MONITOR, self, msg->number, NULL, false);
}

void
rt_found_apply(struct rt_exec *exec, struct rt_proc *proc,
               const struct rt_msg *msg)
{
    struct plex_ref alias;

    memcpy(&alias, msg->payload, sizeof alias);
    if ((msg->flags & RT_MSG_LINKED) == 0)
        monitor_found(exec, proc, msg);
    else if ((msg->flags & RT_MSG_FAR) != 0)
        link_found_far(exec, proc, alias, msg);
    else
        link_found(exec, proc, alias, msg->from);
}

struct plex_ref
rt_link_behind(const struct rt_proc *proc, struct plex_ref alias)
{
    const struct rt_rels *rels = &proc->ext->rels;

    if ((alias.id & RT_ALIAS) == 0 ||
        rt_rel_find(rels, RT_REL_LINK, alias, 0) != NULL)
        return alias;
    for (uint32_t i = 0; rels->rows != NULL && i <= rels->mask; i++)
        if (rels->rows[i].kind == RT_REL_LINK && rels->rows[i].aux == alias.id)
            return rels->rows[i].ref;
    return alias;
}
