#include "runtime/core.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

/*
 * Links, monitors and exits. Unlinking is final: what the other side had
 * already sent through the link is recognised, because the answer to UNLINK
 * comes after it.
 */

/* -- dying -- */

void
rt_die(struct rt_exec *exec, struct rt_proc *proc, const char *reason,
       uint8_t flags)
{
    struct rt_ext *ext = rt_ext(exec, proc);

    if ((proc->flags & RT_PROC_DYING) != 0 &&
        ((proc->flags & RT_PROC_KILLED) != 0 || (flags & RT_PROC_KILLED) == 0))
        return; /* the first reason stands */
    free(ext->reason);
    ext->reason = plex_strdup(reason);
    proc->flags |= (uint8_t)(RT_PROC_DYING | flags);
}

static void
to_mailbox(struct rt_exec *exec, struct rt_proc *proc, struct rt_msg *msg,
           unsigned kind)
{
    msg->kind = (uint8_t)kind;
    rt_mail_add(exec, proc, msg);
}

void
rt_exit_signal(struct rt_exec *exec, struct rt_proc *proc, struct rt_msg *msg)
{
    const char *reason = rt_msg_reason_of(msg);
    bool linked = (msg->flags & RT_MSG_LINKED) != 0;
    bool own = rt_ref_is(msg->from, rt_ref(exec->rt, proc));

    if (linked) {
        struct rt_rels *rels = &rt_ext(exec, proc)->rels;

        if (rt_rel_find(rels, RT_REL_LINK, msg->from, 0) == NULL ||
            rt_rel_find(rels, RT_REL_UNLINKING, msg->from, 0) != NULL) {
            rt_msg_free(exec, msg);
            return;
        }
        rt_link_remove(exec, proc, msg->from);
    }
    if ((msg->flags & RT_MSG_FINAL) != 0) {
        rt_die(exec, proc, reason, RT_PROC_KILLED);
    } else if (!linked && strcmp(reason, "kill") == 0) {
        rt_die(exec, proc, "killed", RT_PROC_KILLED);
    } else if ((proc->flags & RT_PROC_TRAP) != 0) {
        to_mailbox(exec, proc, msg, PLEX_MSG_EXIT);
        return;
    } else if ((proc->flags & RT_PROC_ENDING) == 0 &&
               (strcmp(reason, "normal") != 0 || (own && !linked))) {
        rt_die(exec, proc, reason, 0);
    }
    rt_msg_free(exec, msg);
}

/* -- links -- */

void
rt_link_add(struct rt_exec *exec, struct rt_proc *proc, struct plex_ref other)
{
    struct rt_ext *ext = rt_ext(exec, proc);

    if (rt_rel_find(&ext->rels, RT_REL_LINK, other, 0) != NULL)
        return;
    (void)rt_rel_add(&ext->rels, RT_REL_LINK, other, 0);
    if (!rt_is_local(exec->rt, other))
        atomic_store(&proc->remote, 1);
    atomic_fetch_add_explicit(&ext->links, 1, memory_order_relaxed);
}

void
rt_link_remove(struct rt_exec *exec, struct rt_proc *proc,
               struct plex_ref other)
{
    struct rt_ext *ext = rt_ext(exec, proc);
    struct rt_rel *row = rt_rel_find(&ext->rels, RT_REL_LINK, other, 0);

    if (row == NULL)
        return;
    rt_rel_remove(&ext->rels, row);
    atomic_fetch_sub_explicit(&ext->links, 1, memory_order_relaxed);
}

void
rt_link(struct rt_exec *exec, struct rt_proc *proc, struct plex_ref other)
{
    struct plex_ref self = rt_ref(exec->rt, proc);
    uint64_t number = 0;

    if (rt_ref_is(other, self))
        return;
    if (other.id == 0) { /* whereis() found nobody */
        rt_signal(exec, self, RT_KIND_SIG_EXIT, other, 0, "noproc", false);
        return;
    }
    if (rt_rel_find(&rt_ext(exec, proc)->rels, RT_REL_LINK, other, 0) != NULL)
        return;
    rt_link_add(exec, proc, other);
    if (rt_alias_at(exec->rt, other, "")) { /* which FOUND it is for */
        number = rt_number(exec);
        rt_rel_find(&proc->ext->rels, RT_REL_LINK, other, 0)->aux = number;
    }
    rt_signal(exec, other, RT_KIND_LINK, self, number, NULL, true);
}

static bool
is_linked_exit(const void *arg, const struct rt_msg *msg)
{
    return msg->kind == PLEX_MSG_EXIT && (msg->flags & RT_MSG_LINKED) != 0 &&
           rt_ref_is(*(const struct plex_ref *)arg, msg->from);
}

void
rt_unlink(struct rt_exec *exec, struct rt_proc *proc, struct plex_ref other)
{
    struct rt_ext *ext = proc->ext;

    if (ext == NULL)
        return;
    other = rt_link_behind(proc, other);
    rt_mail_purge(exec, proc, is_linked_exit, &other);
    if (rt_rel_find(&ext->rels, RT_REL_LINK, other, 0) == NULL)
        return;
    rt_link_remove(exec, proc, other);
    if (rt_alias_at(exec->rt, other, "")) /* FOUND will find no link */
        return;
    if (rt_rel_find(&ext->rels, RT_REL_UNLINKING, other, 0) == NULL)
        rt_rel_add(&ext->rels, RT_REL_UNLINKING, other, 0);
    rt_rel_find(&ext->rels, RT_REL_UNLINKING, other, 0)->aux++;
    rt_signal(exec, other, RT_KIND_UNLINK, rt_ref(exec->rt, proc), 0, NULL,
              false);
}

static void
unlinked(struct rt_exec *exec, struct rt_proc *proc, const struct rt_msg *msg)
{
    struct rt_rel *row =
        rt_rel_find(&rt_ext(exec, proc)->rels, RT_REL_UNLINKING, msg->from, 0);

    if (row != NULL && --row->aux == 0)
        rt_rel_remove(&proc->ext->rels, row);
}

/* -- monitors -- */

uint64_t
rt_monitor(struct rt_exec *exec, struct rt_proc *proc, struct plex_ref other)
{
    struct rt_ext *ext = rt_ext(exec, proc);
    uint64_t number = rt_number(exec);

    rt_rel_add(&ext->rels, RT_REL_WATCH, other, number);
    if (!rt_is_local(exec->rt, other))
        atomic_store(&proc->remote, 1);
    atomic_fetch_add_explicit(&ext->monitors, 1, memory_order_relaxed);
    if (other.id == 0) { /* whereis() found nobody */
        struct rt_msg *msg = rt_msg_new(exec, RT_KIND_SIG_DOWN);

        msg->number = number;
        rt_msg_reason(msg, "noproc");
        (void)rt_route(exec, rt_ref(exec->rt, proc), msg);
    } else {
        rt_signal(exec, other, RT_KIND_MONITOR, rt_ref(exec->rt, proc), number,
                  NULL, false);
    }
    return number;
}

static bool
is_down(const void *arg, const struct rt_msg *msg)
{
    return msg->kind == PLEX_MSG_DOWN && msg->number == *(const uint64_t *)arg;
}

static bool
watch_remove(struct rt_proc *proc, uint64_t number, struct plex_ref *whom)
{
    struct rt_ext *ext = proc->ext;
    struct rt_rel *row = ext == NULL
                             ? NULL
                             : rt_rel_find(&ext->rels, RT_REL_WATCH,
                                           (struct plex_ref){0, 0}, number);

    if (row == NULL)
        return false;
    *whom = row->ref;
    rt_rel_remove(&ext->rels, row);
    atomic_fetch_sub_explicit(&ext->monitors, 1, memory_order_relaxed);
    return true;
}

void
rt_demonitor(struct rt_exec *exec, struct rt_proc *proc, uint64_t number)
{
    struct plex_ref whom;

    if (watch_remove(proc, number, &whom))
        rt_signal(exec, whom, RT_KIND_DEMONITOR, rt_ref(exec->rt, proc), number,
                  NULL, false);
    else
        rt_mail_purge(exec, proc, is_down, &number);
}

static void
down(struct rt_exec *exec, struct rt_proc *proc, struct rt_msg *msg)
{
    struct plex_ref whom;

    if (!watch_remove(proc, msg->number, &whom)) {
        rt_msg_free(exec, msg);
        return;
    }
    if (msg->from.id == 0)
        msg->from = whom;
    msg->tag = msg->number;
    to_mailbox(exec, proc, msg, PLEX_MSG_DOWN);
}

/* -- answers -- */

static void
answered(struct rt_exec *exec, struct rt_proc *proc, struct rt_msg *msg)
{
    struct rt_ext *ext = rt_ext(exec, proc);
    const struct plex_ref any = {0, 0};
    struct rt_rel *row;

    if (ext->awaited != 0 && msg->number == ext->awaited) {
        ext->awaited = 0;
        if (ext->start_link && msg->code == 0) /* before its EXIT comes */
            rt_link_add(exec, proc, msg->from);
        ext->start_link = false;
        rt_msg_free(exec, ext->answer);
        ext->answer = msg;
        proc->flags |= RT_PROC_DUE;
        return;
    }
    row = rt_rel_find(&ext->rels, RT_REL_CALL, any, msg->number);
    if (row != NULL) {
        (void)rt_timer_cancel(exec, row->timer);
        /* Its tag is the caller's from now on; what the answer carried as tag
         * (an HTTP status) takes the place of what has done its service. */
        msg->generation = (uint32_t)msg->tag;
        msg->tag = row->aux;
        rt_rel_remove(&ext->rels, row);
        to_mailbox(exec, proc, msg, RT_KIND_REPLY);
        return;
    }
    row = rt_rel_find(&ext->rels, RT_REL_START, any, msg->number);
    if (row != NULL) {
        const struct plex_ref child = row->ref;

        msg->tag = row->aux;
        rt_rel_remove(&ext->rels, row);
        if (msg->code != 0) /* changes the rows, too */
            rt_link_remove(exec, proc, child);
        else
            rt_link_add(exec, proc, msg->from);
        to_mailbox(exec, proc, msg, RT_KIND_STARTED);
        return;
    }
    rt_bounce(exec, rt_ref(exec->rt, proc), msg, NULL); /* too late */
}

static void
wake(struct rt_exec *exec, struct rt_proc *proc, struct rt_msg *msg)
{
    struct rt_ext *ext = rt_ext(exec, proc);
    uint64_t tag = msg->tag;

    if (!rt_timer_claim(exec, msg->number)) {
        rt_msg_free(exec, msg);
        return;
    }
    if (tag != 0) { /* of a call that did not wait */
        struct rt_rel *row =
            rt_rel_find(&ext->rels, RT_REL_CALL, (struct plex_ref){0, 0}, tag);

        if (row == NULL) {
            rt_msg_free(exec, msg);
            return;
        }
        msg->tag = row->aux;
        msg->code = -PLEX_TIMEOUT;
        rt_rel_remove(&ext->rels, row);
        to_mailbox(exec, proc, msg, RT_KIND_REPLY);
        return;
    }
    ext->wake_timer = 0;
    if (proc->wait != RT_WAIT_NONE && ext->deadline_ns != UINT64_MAX) {
        if (ext->deadline_ns <= rt_now(exec))
            proc->flags |= RT_PROC_DUE;
        else
            rt_wake_at(exec, proc, ext->deadline_ns);
    }
    rt_msg_free(exec, msg);
}

/* One timer per process serves all its waits: it is moved forward only when
 * it fires, so waits that end in time cost nothing. */
void
rt_wake_at(struct rt_exec *exec, struct rt_proc *proc, uint64_t deadline_ns)
{
    struct rt_ext *ext = rt_ext(exec, proc);
    const struct rt_timer_set set = {.to = rt_ref(exec->rt, proc),
                                     .kind = RT_KIND_WAKE,
                                     .deadline_ns = deadline_ns};

    if (ext->wake_timer != 0) {
        if (ext->wake_ns <= deadline_ns)
            return;
        (void)rt_timer_cancel(exec, ext->wake_timer);
    }
    ext->wake_timer = rt_timer_set(exec, &set);
    ext->wake_ns = deadline_ns;
}

/* -- a node is gone -- */

static void
lost(struct rt_exec *exec, struct rt_proc *proc, const struct rt_rel *rel)
{
    struct plex_ref self = rt_ref(exec->rt, proc);
    const struct plex_from call = {self, rel->number};

    switch (rel->kind) {
    case RT_REL_LINK:
        rt_signal(exec, self, RT_KIND_SIG_EXIT, rel->ref, 0, "noconnection",
                  true);
        break;
    case RT_REL_UNLINKING:
        rt_signal(exec, self, RT_KIND_UNLINKED, rel->ref, 0, NULL, false);
        break;
    case RT_REL_WATCH:
        rt_signal(exec, self, RT_KIND_SIG_DOWN, rel->ref, rel->number,
                  "noconnection", false);
        break;
    case RT_REL_CALL:
    case RT_REL_START:
        rt_answer_status(exec, &call, rel->ref, -PLEX_UNAVAILABLE,
                         "noconnection");
        break;
    default:
        break;
    }
}

static bool
is_of(struct rt *rt, struct plex_ref ref, uint64_t node, const char *node_id)
{
    if ((ref.id & RT_ALIAS) != 0 && ref.node == rt->config.node)
        return rt_alias_at(rt, ref, node_id);
    return ref.node == node;
}

static void
node_down(struct rt_exec *exec, struct rt_proc *proc, struct rt_msg *msg)
{
    struct rt_ext *ext = rt_ext(exec, proc);
    uint64_t node = msg->number;
    const struct plex_from call = {rt_ref(exec->rt, proc), ext->awaited};
    struct rt_rel *rels;
    uint32_t count = 0;

    if (ext->awaited != 0 &&
        is_of(exec->rt, ext->awaited_of, node, rt_msg_reason_of(msg)))
        rt_answer_status(exec, &call, (struct plex_ref){node, 0},
                         -PLEX_UNAVAILABLE, "noconnection");
    /* They change while they are told: so a copy. */
    rels = plex_calloc(ext->rels.count + 1, sizeof *rels);
    for (uint32_t i = 0; ext->rels.rows != NULL && i <= ext->rels.mask; i++) {
        if (ext->rels.rows[i].kind != 0 &&
            is_of(exec->rt, ext->rels.rows[i].ref, node, rt_msg_reason_of(msg)))
            rels[count++] = ext->rels.rows[i];
    }
    for (uint32_t i = 0; i < count; i++) {
        if (rels[i].kind == RT_REL_WATCHED || rels[i].kind == RT_REL_OWED)
            rt_rel_remove(&ext->rels,
                          rt_rel_find(&ext->rels,
                                      (enum rt_rel_kind)rels[i].kind,
                                      rels[i].ref, rels[i].number));
        else
            lost(exec, proc, &rels[i]);
    }
    free(rels);
    rt_msg_free(exec, msg);
}

void
rt_signal_apply(struct rt_exec *exec, struct rt_proc *proc, struct rt_msg *msg)
{
    struct rt_rels *rels = &rt_ext(exec, proc)->rels;
    struct rt_rel *row;

    switch (msg->kind) {
    case RT_KIND_ANSWER:
        answered(exec, proc, msg);
        return;
    case RT_KIND_SIG_EXIT:
        rt_exit_signal(exec, proc, msg);
        return;
    case RT_KIND_SIG_DOWN:
        down(exec, proc, msg);
        return;
    case RT_KIND_WAKE:
        wake(exec, proc, msg);
        return;
    case RT_KIND_NODE_DOWN:
        node_down(exec, proc, msg);
        return;
    case RT_KIND_LINK:
        if (rt_rel_find(rels, RT_REL_UNLINKING, msg->from, 0) == NULL)
            rt_link_add(exec, proc, msg->from);
        break;
    case RT_KIND_UNLINK:
        rt_link_remove(exec, proc, msg->from);
        rt_signal(exec, msg->from, RT_KIND_UNLINKED, rt_ref(exec->rt, proc), 0,
                  NULL, false);
        break;
    case RT_KIND_UNLINKED:
        unlinked(exec, proc, msg);
        break;
    case RT_KIND_MONITOR:
        if (rt_rel_find(rels, RT_REL_WATCHED, msg->from, msg->number) == NULL)
            rt_rel_add(rels, RT_REL_WATCHED, msg->from, msg->number);
        if (msg->from.node != exec->rt->config.node)
            atomic_store(&proc->remote, 1);
        break;
    case RT_KIND_DEMONITOR:
        row = rt_rel_find(rels, RT_REL_WATCHED, msg->from, msg->number);
        if (row != NULL)
            rt_rel_remove(rels, row);
        break;
    case RT_KIND_FOUND:
        rt_found_apply(exec, proc, msg);
        break;
    case RT_KIND_LOOK:
        if (proc->wait == RT_WAIT_ANSWER && proc->ext->awaited == msg->number)
            proc->flags |= RT_PROC_DUE;
        break;
    case RT_KIND_GROUP:
        rt_group_asked(exec, proc, msg);
        break;
    default:
        break;
    }
    rt_msg_free(exec, msg);
}
