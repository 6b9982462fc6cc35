#include "runtime/circle.h"

#include "common/mem.h"

#include <stdlib.h>

enum { BANDS = 4, WAITERS_MAX = 65536, BLOCK_MS = 5000 };

static void
list_add(struct rt_list *list, struct rt_msg *msg)
{
    msg->next = NULL;
    if (list->head == NULL)
        list->head = msg;
    else
        list->tail->next = msg;
    list->tail = msg;
}

/* From the highest band down; without bands there is only the queue. */
static struct rt_list *
band(struct rt_proc *proc, unsigned rank)
{
    static const uint8_t order[BANDS] = {
        PLEX_PRIORITY_SYSTEM, PLEX_PRIORITY_HIGH, PLEX_PRIORITY_NORMAL,
        PLEX_PRIORITY_LOW};

    if (proc->ext == NULL || proc->ext->bands == NULL)
        return rank == 0 ? &proc->queue : NULL;
    return rank < BANDS ? &proc->ext->bands[order[rank]] : NULL;
}

bool
rt_mail_any(const struct rt_proc *proc)
{
    if (proc->queue.head != NULL)
        return true;
    if (proc->ext == NULL || proc->ext->bands == NULL)
        return false;
    for (unsigned i = 0; i < BANDS; i++) {
        if (proc->ext->bands[i].head != NULL)
            return true;
    }
    return false;
}

/* -- bounds -- */

static void
uncount(struct rt_exec *exec, struct rt_proc *proc, struct rt_msg *msg)
{
    if ((msg->flags & RT_MSG_COUNTED) == 0)
        return;
    msg->flags &= (uint8_t)~RT_MSG_COUNTED;
    atomic_fetch_sub_explicit(&proc->count, 1, memory_order_relaxed);
    if (proc->ext != NULL && proc->ext->waiter_count > 0)
        rt_mail_space(exec, proc);
}

/* A message that is not handled: its caller is told. */
static void
refuse(struct rt_exec *exec, struct rt_proc *proc, struct rt_msg *msg)
{
    const struct plex_from from = {msg->from, msg->number};

    if (msg->kind == PLEX_MSG_CALL)
        rt_answer_status(exec, &from, rt_ref(exec->rt, proc), -PLEX_LIMIT,
                         "the mailbox is full");
    rt_count(&exec->dropped);
    rt_msg_free(exec, msg);
}

void
rt_mail_space(struct rt_exec *exec, struct rt_proc *proc)
{
    struct rt_ext *ext = proc->ext;
    int32_t count = (int32_t)atomic_load(&proc->count);
    int32_t room = (int32_t)atomic_load(&proc->max) - count;
    uint32_t granted = 0;

    for (; room > 0 && granted < ext->waiter_count; room--, granted++) {
        const struct plex_from from = {ext->waiters[granted],
                                       ext->waiter_calls[granted]};

        rt_answer_status(exec, &from, rt_ref(exec->rt, proc), 0, "");
    }
    ext->waiter_count -= granted;
    for (uint32_t i = 0; i < ext->waiter_count && granted > 0; i++) {
        ext->waiters[i] = ext->waiters[i + granted];
        ext->waiter_calls[i] = ext->waiter_calls[i + granted];
    }
}

/* SPACE: somebody wants to send to a full mailbox. */
static void
want_space(struct rt_exec *exec, struct rt_proc *proc, struct rt_msg *msg)
{
    struct rt_ext *ext = rt_ext(exec, proc);

    if (ext->waiter_count == ext->waiter_max && ext->waiter_max < WAITERS_MAX) {
        ext->waiter_max = ext->waiter_max == 0 ? 8 : ext->waiter_max * 2;
        ext->waiters = plex_reallocarray(ext->waiters, ext->waiter_max,
                                         sizeof *ext->waiters);
        ext->waiter_calls = plex_reallocarray(
            ext->waiter_calls, ext->waiter_max, sizeof *ext->waiter_calls);
    }
    if (ext->waiter_count < ext->waiter_max) {
        ext->waiters[ext->waiter_count] = msg->from;
        ext->waiter_calls[ext->waiter_count++] = msg->number;
    }
    rt_mail_space(exec, proc);
    rt_msg_free(exec, msg);
}

/* Wait until the receiver says that there may be room; false: in vain. */
static bool
wait_for_space(struct rt_turn *turn, struct plex_ref to, uint64_t deadline)
{
    struct rt_exec *exec = turn->fiber->exec;
    struct rt_proc *proc = turn->proc;
    struct rt_ext *ext = rt_ext(exec, proc);
    uint64_t number = ++ext->calls;
    bool due;

    ext->awaited = number;
    ext->awaited_of = (struct plex_ref){0, 0};
    rt_signal(exec, to, RT_KIND_SPACE, rt_ref(exec->rt, proc), number, NULL,
              false);
    due = rt_suspend(turn, RT_WAIT_ANSWER, deadline) == RT_WAITED_DUE;
    ext->awaited = 0;
    if (ext->answer != NULL) {
        rt_msg_free(turn->fiber->exec, ext->answer);
        ext->answer = NULL;
    }
    return due;
}

bool
rt_mail_admit(struct rt_turn *turn, struct rt_exec *exec, struct plex_ref to,
              struct rt_msg *msg, int *status)
{
    uint64_t deadline = 0;

    *status = 0;
    while (rt_is_local(exec->rt, to)) {
        struct rt_proc *proc = rt_slot(exec->rt, to.id);
        int32_t count, max;
        uint8_t full;
        bool room;

        if (proc == NULL ||
            atomic_load_explicit(&proc->generation, memory_order_relaxed) !=
                (uint32_t)(to.id >> 32))
            return true;
        max = (int32_t)atomic_load_explicit(&proc->max, memory_order_relaxed);
        if (max == 0)
            return true;
        full = atomic_load_explicit(&proc->full, memory_order_relaxed);
        count = (int32_t)atomic_fetch_add_explicit(&proc->count, 1,
                                                   memory_order_relaxed);
        /* The receiver drops the oldest when it looks; a receiver that does
         * not look for long must not fill the memory meanwhile. */
        if (count < max || (full == PLEX_OVERFLOW_DROP_OLDEST &&
                            count < (int64_t)2 * max + 1024)) {
            msg->flags |= RT_MSG_COUNTED;
            return true;
        }
        atomic_fetch_sub_explicit(&proc->count, 1, memory_order_relaxed);
        if (full == PLEX_OVERFLOW_BLOCK && turn != NULL && proc != turn->proc) {
            if (deadline == 0)
                deadline = rt_now(exec) + (uint64_t)BLOCK_MS * 1000000;
            turn->sending = msg;
            room = wait_for_space(turn, to, deadline);
            turn->sending = NULL;
            exec = turn->fiber->exec;
            if (room)
                continue;
            *status = -PLEX_TIMEOUT;
        } else if (full == PLEX_OVERFLOW_ERROR || full == PLEX_OVERFLOW_BLOCK) {
            *status = -PLEX_LIMIT;
        }
        rt_count(&exec->dropped);
        rt_msg_free(exec, msg);
        return false;
    }
    return true;
}

void
rt_mail_setup(struct rt_exec *exec, struct rt_proc *proc,
              const struct plex_mailbox *mailbox)
{
    atomic_store_explicit(&proc->count, 0, memory_order_relaxed);
    atomic_store_explicit(
        &proc->max, mailbox->max > INT32_MAX / 4 ? INT32_MAX / 4 : mailbox->max,
        memory_order_relaxed);
    atomic_store_explicit(&proc->full, (uint8_t)mailbox->full,
                          memory_order_relaxed);
    if (mailbox->bands)
        rt_ext(exec, proc)->bands = plex_calloc(BANDS, sizeof(struct rt_list));
    if (mailbox->dedup > 0) {
        struct rt_ext *ext = rt_ext(exec, proc);

        ext->dedup = mailbox->dedup > 1u << 20 ? 1u << 20 : mailbox->dedup;
        ext->seen = plex_calloc(ext->dedup, sizeof *ext->seen);
    }
}

/* -- arriving -- */

/* Whether this sender's id was here before; remembers it. */
static bool
seen_before(struct rt_ext *ext, const struct rt_msg *msg)
{
    struct plex_from *oldest = &ext->seen[ext->dedup_next];
    struct rt_rel *row;

    if (rt_rel_find(&ext->rels, RT_REL_SEEN, msg->from, msg->extra.id) != NULL)
        return true;
    if (oldest->call != 0) {
        row = rt_rel_find(&ext->rels, RT_REL_SEEN, oldest->ref, oldest->call);
        rt_rel_remove(&ext->rels, row);
    }
    oldest->ref = msg->from;
    oldest->call = msg->extra.id;
    ext->dedup_next = (ext->dedup_next + 1) % ext->dedup;
    (void)rt_rel_add(&ext->rels, RT_REL_SEEN, msg->from, msg->extra.id);
    return false;
}

static struct rt_msg *
take_counted(struct rt_proc *proc)
{
    struct rt_list *list;

    /* The oldest of the lowest band. */
    for (unsigned rank = BANDS; rank-- > 0;) {
        struct rt_msg *prior = NULL;

        if ((list = band(proc, rank)) == NULL)
            continue;
        for (struct rt_msg *msg = list->head; msg != NULL;
             prior = msg, msg = msg->next) {
            if ((msg->flags & RT_MSG_COUNTED) == 0)
                continue;
            if (prior == NULL)
                list->head = msg->next;
            else
                prior->next = msg->next;
            if (list->tail == msg)
                list->tail = prior;
            return msg;
        }
    }
    return NULL;
}

void
rt_mail_add(struct rt_exec *exec, struct rt_proc *proc, struct rt_msg *msg)
{
    struct rt_ext *ext = proc->ext;

    if (proc->wait == RT_WAIT_MESSAGE)
        proc->flags |= RT_PROC_DUE;
    else if (proc->wait == RT_WAIT_ANSWER &&
             (msg->kind == PLEX_MSG_CALL || msg->kind == RT_KIND_ENGINE))
        rt_circle_called(exec, proc, msg);
    if (ext != NULL && ext->dedup > 0 && (msg->flags & RT_MSG_EXTRA) != 0 &&
        msg->extra.id != 0 && seen_before(ext, msg)) {
        uncount(exec, proc, msg);
        rt_count(&exec->dropped);
        rt_msg_free(exec, msg);
        return;
    }
    if (ext != NULL && ext->bands != NULL)
        list_add(&ext->bands[msg->priority], msg);
    else
        list_add(&proc->queue, msg);
    if ((msg->flags & RT_MSG_COUNTED) == 0 ||
        atomic_load_explicit(&proc->full, memory_order_relaxed) !=
            PLEX_OVERFLOW_DROP_OLDEST)
        return;
    while (atomic_load_explicit(&proc->count, memory_order_relaxed) >
           atomic_load_explicit(&proc->max, memory_order_relaxed)) {
        msg = take_counted(proc);
        if (msg == NULL)
            return;
        uncount(exec, proc, msg);
        refuse(exec, proc, msg);
    }
}

/* One that is more than a message for this process's callbacks. */
static bool
special(const struct rt_msg *msg, uint32_t generation)
{
    return msg->generation != generation || msg->kind > RT_KIND_SIGNALS ||
           (msg->flags & RT_MSG_COUNTED) != 0;
}

static void
take_each(struct rt_exec *exec, struct rt_proc *proc, struct rt_msg *first,
          uint32_t generation)
{
    struct rt_msg *next;

    for (struct rt_msg *msg = first; msg != NULL; msg = next) {
        next = msg->next;
        if (msg->generation != generation)
            rt_bounce(exec, (struct plex_ref){0, 0}, msg, NULL);
        else if (msg->kind == RT_KIND_SPACE)
            want_space(exec, proc, msg);
        else if (msg->kind > RT_KIND_SIGNALS)
            rt_signal_apply(exec, proc, msg);
        else if (proc->ext == NULL && (msg->flags & RT_MSG_COUNTED) == 0)
            list_add(&proc->queue, msg);
        else
            rt_mail_add(exec, proc, msg);
    }
}

void
rt_mail_take(struct rt_exec *exec, struct rt_proc *proc)
{
    uint32_t generation =
        atomic_load_explicit(&proc->generation, memory_order_relaxed);
    struct rt_msg *msg, *next, *first = NULL, *last;
    bool each = proc->ext != NULL;

    if (atomic_load_explicit(&proc->inbox, memory_order_relaxed) == 0)
        return;
    last = (struct rt_msg *)atomic_exchange_explicit(&proc->inbox, 0,
                                                     memory_order_acquire);
    for (msg = last; msg != NULL; msg = next) {
        next = msg->next;
        each |= special(msg, generation);
        msg->next = first;
        first = msg;
    }
    if (each) {
        take_each(exec, proc, first, generation);
        return;
    }
    if (proc->queue.head == NULL)
        proc->queue.head = first;
    else
        proc->queue.tail->next = first;
    proc->queue.tail = last;
}

void
rt_mail_front(struct rt_proc *proc, struct rt_msg *msg)
{
    struct rt_list *list = band(proc, 0);
    struct rt_msg *prior = NULL;

    for (struct rt_msg *at = list->head;
         at != NULL && at->kind == PLEX_MSG_CONTINUE; at = at->next)
        prior = at;
    if (prior == NULL) {
        msg->next = list->head;
        list->head = msg;
    } else {
        msg->next = prior->next;
        prior->next = msg;
    }
    if (msg->next == NULL)
        list->tail = msg;
}

/* -- leaving -- */

static bool
expired(struct rt_exec *exec, const struct rt_msg *msg)
{
    return (msg->flags & RT_MSG_EXTRA) != 0 &&
           msg->extra.expires_ns != UINT64_MAX &&
           msg->extra.expires_ns <= rt_now(exec);
}

/* Whether it may be delivered; else it is freed. */
static bool
deliverable(struct rt_exec *exec, struct rt_proc *proc, struct rt_msg *msg)
{
    uncount(exec, proc, msg);
    if (msg->kind == PLEX_MSG_TIMER || msg->kind == RT_KIND_NAMED_TIMER) {
        if (rt_timer_claim(exec, msg->number))
            return true;
    } else if (!expired(exec, msg)) {
        return true;
    }
    rt_count(&exec->dropped);
    rt_msg_free(exec, msg);
    return false;
}

struct rt_msg *
rt_mail_pop(struct rt_exec *exec, struct rt_proc *proc)
{
    struct rt_list *list;

    for (unsigned rank = 0; (list = band(proc, rank)) != NULL; rank++) {
        while (list->head != NULL) {
            struct rt_msg *msg = list->head;

            list->head = msg->next;
            __builtin_prefetch(msg->next);
            if ((msg->flags & (RT_MSG_COUNTED | RT_MSG_EXTRA)) == 0 &&
                msg->kind != PLEX_MSG_TIMER && msg->kind != RT_KIND_NAMED_TIMER)
                return msg;
            if (deliverable(exec, proc, msg))
                return msg;
        }
    }
    return NULL;
}

struct rt_msg *
rt_mail_match(struct rt_exec *exec, struct rt_proc *proc, plex_match_fn match,
              void *arg)
{
    struct rt_list *list;

    for (unsigned rank = 0; (list = band(proc, rank)) != NULL; rank++) {
        struct rt_msg *prior = NULL, *next;

        for (struct rt_msg *msg = list->head; msg != NULL; msg = next) {
            struct plex_msg view = {.sender = "",
                                    .id = "",
                                    .method = "",
                                    .path = "",
                                    .subpath = "",
                                    .query = ""};

            next = msg->next;
            rt_msg_view(msg, &view);
            if (msg->kind > PLEX_MSG_GROUP ||
                (match != NULL && !match(arg, &view))) {
                prior = msg;
                continue;
            }
            if (prior == NULL)
                list->head = next;
            else
                prior->next = next;
            if (list->tail == msg)
                list->tail = prior;
            if (deliverable(exec, proc, msg))
                return msg;
        }
    }
    return NULL;
}

void
rt_mail_purge(struct rt_exec *exec, struct rt_proc *proc,
              bool (*gone)(const void *arg, const struct rt_msg *msg),
              const void *arg)
{
    struct rt_list *list;

    for (unsigned rank = 0; (list = band(proc, rank)) != NULL; rank++) {
        struct rt_msg *prior = NULL, *next;

        for (struct rt_msg *msg = list->head; msg != NULL; msg = next) {
            next = msg->next;
            if (!gone(arg, msg)) {
                prior = msg;
                continue;
            }
            if (prior == NULL)
                list->head = next;
            else
                prior->next = next;
            if (list->tail == msg)
                list->tail = prior;
            rt_msg_free(exec, msg);
        }
    }
}

void
rt_mail_bounce(struct rt_exec *exec, struct rt_proc *proc, struct plex_ref self,
               const char *reason)
{
    struct rt_list *list;

    for (unsigned rank = 0; (list = band(proc, rank)) != NULL; rank++) {
        while (list->head != NULL) {
            struct rt_msg *msg = list->head;

            list->head = msg->next;
            rt_bounce(exec, self, msg, reason);
        }
    }
}
