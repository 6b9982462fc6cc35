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

void
rt_name_found(struct rt *rt, const struct rt_found *found)
{
    struct rt_exec *exec = rt_outside_enter(rt);
    const uint32_t scope = rt_scope_of(rt, found->where);
    struct plex_ref alias = {0, 0};
    struct rt_msg *msg;

    if (scope != UINT32_MAX)
        alias = rt_whereis_in(rt, scope, found->name);
    if (alias.id != 0) {
        msg = rt_msg_new(exec, RT_KIND_FOUND);
        msg->from = found->found;
        msg->number = found->monitor;
        rt_msg_payload(msg, &alias, sizeof alias);
        (void)rt_route(exec, found->watcher, msg);
    }
    rt_outside_leave(exec);
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

void
rt_found_apply(struct rt_exec *exec, struct rt_proc *proc,
               const struct rt_msg *msg)
{
    const struct plex_ref other = msg->from;
    struct plex_ref alias;
    struct rt_rel *row;

    memcpy(&alias, msg->payload, sizeof alias);
    if (msg->number == 0) {
        link_found(exec, proc, alias, other);
        return;
    }
    row = rt_rel_find(&rt_ext(exec, proc)->rels, RT_REL_WATCH,
                      (struct plex_ref){0, 0}, msg->number);
    if (row == NULL)
        return; /* not monitored any more */
    row->ref = other;
    if (other.node != exec->rt->config.node)
        atomic_store(&proc->remote, 1);
    rt_signal(exec, other, RT_KIND_MONITOR, rt_ref(exec->rt, proc), msg->number,
              NULL, false);
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
