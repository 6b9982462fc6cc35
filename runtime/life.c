#include "runtime/around.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 255 };

/* -- what most processes never need -- */

struct rt_ext *
rt_ext(struct rt_exec *exec, struct rt_proc *proc)
{
    struct rt_ext *ext;

    if (proc->ext != NULL)
        return proc->ext;
    ext = plex_calloc(1, sizeof *ext);
    pthread_mutex_lock(&exec->rt->stripes[proc->slot % RT_STRIPES]);
    proc->ext = ext;
    pthread_mutex_unlock(&exec->rt->stripes[proc->slot % RT_STRIPES]);
    return ext;
}

void
rt_ext_free(struct rt_exec *exec, struct rt_proc *proc)
{
    struct rt_ext *ext = proc->ext;

    if (ext == NULL)
        return;
    pthread_mutex_lock(&exec->rt->stripes[proc->slot % RT_STRIPES]);
    proc->ext = NULL;
    pthread_mutex_unlock(&exec->rt->stripes[proc->slot % RT_STRIPES]);
    while (ext->named != NULL) {
        struct rt_named_timer *named = ext->named;

        ext->named = named->next;
        (void)rt_timer_cancel(exec, named->timer);
        free(named);
    }
    if (ext->wake_timer != 0)
        (void)rt_timer_cancel(exec, ext->wake_timer);
    rt_msg_free(exec, ext->answer);
    rt_rels_fini(&ext->rels);
    free(ext->reason);
    free(ext->name);
    free(ext->child);
    free(ext->label);
    free(ext->bands);
    free(ext->waiters);
    free(ext->waiter_calls);
    free(ext->seen);
    free(ext->state);
    free(ext->engine_state);
    free(ext);
}

/* -- events -- */

void
rt_event_of(struct rt_exec *exec, struct rt_proc *proc, enum rt_event_kind kind,
            const char *reason)
{
    struct rt *rt = exec->rt;
    const struct plex_behaviour *behaviour = atomic_load(&proc->behaviour);
    struct rt_event event = {
        .kind = kind,
        .wall_ms = rt_wall(exec),
        .process = rt_ref(rt, proc),
        .name =
            proc->ext != NULL && proc->ext->name != NULL ? proc->ext->name : "",
        .child = proc->ext != NULL && proc->ext->child != NULL
                     ? proc->ext->child
                     : "",
        .behaviour = behaviour->name,
        .reason = reason,
    };

    /* What becomes of a child its supervisor tells. */
    if (rt->config.on_event == NULL ||
        ((proc->flags & RT_PROC_SUPERVISED) != 0 && kind != RT_FACET))
        return;
    event.where = rt_scope_text(rt, proc->scope);
    event.sequence = atomic_fetch_add(&rt->sequence, 1) + 1;
    rt->config.on_event(rt->config.arg, &event);
}

/* -- starting -- */

static int
check(const struct plex_spawn *how)
{
    const struct plex_behaviour *behaviour = how->behaviour;

    if (behaviour == NULL || behaviour->name == NULL)
        return -PLEX_INVALID;
    if ((behaviour->fsm != NULL) + (behaviour->events != NULL) +
            (behaviour->supervisor != NULL) >
        1)
        return -PLEX_INVALID;
    if (how->args_len > RT_PAYLOAD_MAX)
        return -PLEX_LIMIT;
    if (how->name != NULL &&
        (how->name[0] == '\0' || strlen(how->name) > NAME_MAX_BYTES ||
         strchr(how->name, '@') != NULL))
        return -PLEX_INVALID;
    return 0;
}

static const struct rt_engine *
engine_of(const struct plex_behaviour *behaviour)
{
    if (behaviour == &rt_outside_behaviour)
        return &rt_engine_outside;
    if (behaviour->fsm != NULL)
        return &rt_engine_fsm;
    if (behaviour->events != NULL)
        return &rt_engine_events;
    return behaviour->supervisor != NULL ? &rt_engine_supervisor : NULL;
}

static void
setup(struct rt_exec *exec, struct rt_proc *proc, uint32_t scope,
      const struct plex_spawn *how)
{
    const struct plex_behaviour *behaviour = how->behaviour;
    const struct plex_mailbox *mailbox =
        how->mailbox != NULL ? how->mailbox : &behaviour->mailbox;

    proc->scope = scope;
    atomic_store_explicit(&proc->behaviour, behaviour, memory_order_relaxed);
    atomic_store_explicit(&proc->messages, 0, memory_order_relaxed);
    atomic_store_explicit(&proc->remote, 0, memory_order_relaxed);
    atomic_store_explicit(&proc->state, RT_STARTING, memory_order_relaxed);
    proc->queue = (struct rt_list){NULL, NULL};
    proc->data = NULL;
    proc->engine = engine_of(behaviour);
    proc->wait = RT_WAIT_NONE;
    atomic_store_explicit(&proc->awaits, 0, memory_order_relaxed);
    proc->flags = behaviour->trap_exit || behaviour->supervisor != NULL
                      ? RT_PROC_TRAP
                      : 0;
    if (behaviour == &rt_outside_behaviour)
        proc->flags |= RT_PROC_SUPERVISED; /* nobody's business */
    atomic_store_explicit(&proc->max, 0, memory_order_relaxed);
    if (mailbox->max != 0 || mailbox->bands || mailbox->dedup != 0)
        rt_mail_setup(exec, proc, mailbox);
    if (behaviour->migrate == rt_around_mark)
        rt_around_start(exec, proc, NULL);
}

/* Both ends of a link and a monitor, before anybody else knows the child. */
static void
relate(struct rt_exec *exec, struct rt_turn *turn, struct rt_proc *proc,
       const struct plex_spawn *how, bool supervised)
{
    struct plex_ref self = rt_ref(exec->rt, turn->proc);
    struct plex_ref child = rt_ref(exec->rt, proc);
    uint64_t number;

    if (how->link || supervised) {
        rt_link_add(exec, turn->proc, child);
        rt_link_add(exec, proc, self);
    }
    if (how->monitor) {
        number = rt_number(exec);
        rt_rel_add(&rt_ext(exec, turn->proc)->rels, RT_REL_WATCH, child,
                   number);
        atomic_fetch_add_explicit(&turn->proc->ext->monitors, 1,
                                  memory_order_relaxed);
        rt_rel_add(&rt_ext(exec, proc)->rels, RT_REL_WATCHED, self, number);
        if (how->monitor_out != NULL)
            *how->monitor_out = number;
    }
}

/* Whoever finds it by its name, which it has already, may look at these. */
static void
label(struct rt_exec *exec, struct rt_proc *proc, const struct rt_start *start,
      struct plex_ref parent)
{
    pthread_mutex_t *stripe = &exec->rt->stripes[proc->slot % RT_STRIPES];
    const char *name = start->how->name, *child = start->child;
    struct rt_ext *ext;

    if (name == NULL && child == NULL)
        return;
    ext = rt_ext(exec, proc);
    pthread_mutex_lock(stripe);
    if (name != NULL)
        ext->name = plex_strdup(name);
    if (child != NULL) {
        ext->child = plex_strdup(child);
        ext->supervisor = parent;
    }
    pthread_mutex_unlock(stripe);
}

int
rt_start_proc(struct rt_exec *exec, const struct rt_start *start,
              struct plex_ref *out)
{
    const struct plex_spawn *how = start->how;
    struct plex_ref parent = start->parent;
    struct rt_proc *proc;
    struct rt_msg *msg;
    int status = check(how);

    *out = (struct plex_ref){0, 0};
    if (status != 0)
        return status;
    proc = rt_slot_new(exec);
    if (proc == NULL)
        return -PLEX_LIMIT;
    if (how->name != NULL) {
        status = rt_name_set(exec->rt, start->scope, how->name,
                             rt_ref(exec->rt, proc));
        if (status != 0) {
            rt_slot_free(exec, proc);
            return status;
        }
    }
    setup(exec, proc, start->scope, how);
    if (start->starter.call != 0)
        rt_ext(exec, proc)->starter = start->starter;
    if (start->turn != NULL)
        parent = rt_ref(exec->rt, start->turn->proc);
    label(exec, proc, start, parent);
    atomic_store_explicit(&proc->parent_node, parent.node,
                          memory_order_relaxed);
    atomic_store_explicit(&proc->parent_id, parent.id, memory_order_relaxed);
    if (start->turn != NULL) {
        relate(exec, start->turn, proc, how, start->child != NULL);
    } else if (start->linked) {
        rt_link_add(exec, proc, start->parent);
    }
    if (start->engine_state != NULL)
        rt_ext(exec, proc)->engine_state = start->engine_state;
    if (start->plan != NULL)
        rt_around_start(exec, proc, start->plan);
    if (start->child != NULL)
        proc->flags |= RT_PROC_SUPERVISED;
    *out = rt_ref(exec->rt, proc);
    msg = rt_msg_new(exec, RT_KIND_START);
    msg->generation = (uint32_t)(out->id >> 32);
    if (how->args_len > 0)
        rt_msg_payload(msg, how->args, how->args_len);
    rt_count(&exec->spawned);
    exec->spent++;
    atomic_store_explicit(&proc->inbox, (uintptr_t)msg, memory_order_release);
    rt_schedule(exec, proc);
    return 0;
}

/* -- ending -- */

static void
release(struct rt_exec *exec, struct rt_proc *proc, struct plex_ref self,
        const struct rt_rel *rel, const char *reason)
{
    const struct plex_from owed = {rel->ref, rel->number};

    switch (rel->kind) {
    case RT_REL_LINK:
        if ((proc->flags & RT_PROC_QUIET) == 0 ||
            !rt_ref_is(rel->ref, proc->ext->starter.ref))
            rt_signal(exec, rel->ref, RT_KIND_SIG_EXIT, self, 0, reason, true);
        break;
    case RT_REL_WATCHED:
        rt_signal(exec, rel->ref, RT_KIND_SIG_DOWN, self, rel->number, reason,
                  false);
        break;
    case RT_REL_WATCH:
        rt_signal(exec, rel->ref, RT_KIND_DEMONITOR, self, rel->number, NULL,
                  false);
        break;
    case RT_REL_OWED:
        rt_answer_status(exec, &owed, self, -PLEX_FAILED, reason);
        break;
    case RT_REL_CALL:
        (void)rt_timer_cancel(exec, rel->timer);
        break;
    case RT_REL_GROUP:
        rt_group_leave_all(exec, proc, rel);
        break;
    case RT_REL_GROUP_WATCH:
        rt_group_unwatch(exec, rel->number, self);
        break;
    default:
        break;
    }
}

/* Nobody finds it any more; who had sent something is told. */
static void
close_inbox(struct rt_exec *exec, struct rt_proc *proc, struct plex_ref self,
            const char *reason)
{
    struct rt_msg *msg, *next, *first = NULL;
    uint32_t generation = (uint32_t)(self.id >> 32);

    msg = (struct rt_msg *)atomic_exchange_explicit(&proc->inbox, RT_DEAD,
                                                    memory_order_acq_rel);
    rt_mail_bounce(exec, proc, self, reason);
    for (; msg != NULL; msg = next) {
        next = msg->next;
        msg->next = first;
        first = msg;
    }
    for (msg = first; msg != NULL; msg = next) {
        next = msg->next;
        rt_bounce(exec, self, msg,
                  msg->generation == generation ? reason : NULL);
    }
}

static void
release_all(struct rt_exec *exec, struct rt_proc *proc, struct plex_ref self,
            const char *reason)
{
    struct rt_ext *ext = proc->ext;

    if (ext == NULL)
        return;
    if (ext->starter.call != 0) /* init has not ended */
        rt_answer_start(exec, &ext->starter, self, -PLEX_FAILED, reason);
    for (uint32_t i = 0; ext->rels.rows != NULL && i <= ext->rels.mask; i++) {
        if (ext->rels.rows[i].kind != 0)
            release(exec, proc, self, &ext->rels.rows[i], reason);
    }
    ext->waiter_count = 0;
}

void
rt_end_proc(struct rt_exec *exec, struct rt_turn *turn, struct rt_proc *proc)
{
    struct rt_ext *ext = proc->ext;
    struct plex_ref self = rt_ref(exec->rt, proc);
    const char *reason =
        ext != NULL && ext->reason != NULL ? ext->reason : "normal";
    uint32_t generation = (uint32_t)(self.id >> 32);

    if (proc->engine != NULL && proc->engine->fini != NULL && ext != NULL &&
        ext->engine_state != NULL)
        proc->engine->fini(&turn->ctx, ext->engine_state);
    if (ext != NULL && ext->around != NULL)
        rt_around_end(exec, proc, reason);
    if (ext != NULL && ext->starter.call != 0)
        proc->flags |= RT_PROC_QUIET;
    /* The name first: who hears of the end may use it again. */
    if (ext != NULL && ext->name != NULL)
        rt_name_clear(exec->rt, proc->scope, ext->name);
    if ((proc->flags & RT_PROC_INIT_DONE) != 0)
        rt_event_of(exec, proc, RT_STOPPED, reason);
    close_inbox(exec, proc, self, reason);
    release_all(exec, proc, self, reason);
    free(proc->data);
    proc->data = NULL;
    atomic_store_explicit(&proc->state, RT_FREE, memory_order_relaxed);
    generation = (generation + 1) & 0x7fffffffu; /* the bit above: aliases */
    atomic_store_explicit(&proc->generation, generation == 0 ? 1 : generation,
                          memory_order_relaxed);
    rt_ext_free(exec, proc);
    rt_count(&exec->exited);
    rt_slot_free(exec, proc);
}
