#include "runtime/core.h"

#include "common/mem.h"
#include "sdk/c/include/plexspaces/process.h"

#include <stdlib.h>
#include <string.h>

/* -- payloads -- */

void
rt_msg_payload(struct rt_msg *msg, const void *payload, size_t len)
{
    bool extra = (msg->flags & RT_MSG_EXTRA) != 0;
    unsigned char *into = extra ? msg->extra.bytes : msg->bytes;

    if (len > (extra ? RT_INLINE_EXTRA : RT_INLINE_MAX)) {
        into = plex_calloc(1, len);
        msg->flags |= RT_MSG_OWNED;
    }
    if (len > 0)
        memcpy(into, payload, len);
    if ((msg->flags & RT_MSG_OWNED) != 0)
        msg->release = NULL;
    msg->payload = into;
    msg->len = (uint32_t)len;
}

void
rt_msg_reason(struct rt_msg *msg, const char *reason)
{
    size_t len = strlen(reason);

    rt_msg_payload(msg, reason, len < 4096 ? len + 1 : 4096);
    if (len >= 4096)
        ((char *)(uintptr_t)msg->payload)[4095] = '\0';
}

const char *
rt_msg_reason_of(const struct rt_msg *msg)
{
    return msg->len == 0 ? "" : msg->payload;
}

struct rt_msg *
rt_msg_post(struct rt_exec *exec, const struct plex_post *post,
            enum rt_kind kind)
{
    struct rt_msg *msg;

    if (post->len > RT_PAYLOAD_MAX) {
        if (post->release != NULL)
            post->release((void *)(uintptr_t)post->payload, post->len);
        return NULL;
    }
    msg = rt_msg_new(exec, kind);
    msg->priority = (uint8_t)(post->priority & 3);
    msg->tag = post->tag;
    if (post->ttl_ms != 0 || post->id != 0) {
        msg->flags |= RT_MSG_EXTRA;
        msg->extra.release = NULL;
        msg->extra.id = post->id;
        msg->extra.expires_ns =
            post->ttl_ms == 0 || post->ttl_ms > UINT64_MAX / 2000000
                ? UINT64_MAX
                : rt_now(exec) + post->ttl_ms * 1000000;
    }
    if (post->release != NULL) {
        msg->flags |= RT_MSG_OWNED;
        msg->release = post->release;
        msg->payload = post->payload;
        msg->len = (uint32_t)post->len;
    } else if (post->len > 0) {
        rt_msg_payload(msg, post->payload, post->len);
    }
    return msg;
}

const char *const rt_content_types[] = {
    "application/octet-stream",
    "application/json",
    "application/problem+json",
    "text/plain",
    "text/html",
    "application/x-protobuf",
};
_Static_assert(sizeof rt_content_types / sizeof *rt_content_types ==
                   RT_CONTENT_TYPES,
               "as many as core.h says");

uint8_t
rt_content_code(const char *type)
{
    if (type == NULL)
        return 0;
    for (uint8_t i = 0; i < RT_CONTENT_TYPES; i++) {
        if (type == rt_content_types[i] ||
            strcmp(type, rt_content_types[i]) == 0)
            return i;
    }
    return 0;
}

int
rt_http_answer_make(struct rt_exec *exec, const struct plex_http_answer *answer,
                    struct rt_msg **out)
{
    const char *type = answer->content_type == NULL ? "application/json"
                                                    : answer->content_type;
    struct rt_http_parts parts = {.content_type = type,
                                  .headers = answer->headers,
                                  .body = answer->payload,
                                  .len = answer->len};
    const char *const *header = answer->headers;
    struct plex_post post = {0};

    for (; header != NULL && header[0] != NULL; header += 2)
        if (++parts.n_headers > RT_HTTP_REPLY_HEADERS ||
            !rt_http_header_ok(header[0], header[1]))
            return -PLEX_INVALID;
    if (answer->status < 200 || answer->status > 599 ||
        !rt_http_value_ok(type, 255))
        return -PLEX_INVALID;
    if (answer->len > RT_PAYLOAD_MAX || !rt_http_post(&parts, &post))
        return -PLEX_LIMIT;
    *out = rt_msg_post(exec, &post, RT_KIND_ANSWER);
    (*out)->tag = answer->status;
    (*out)->content = rt_content_code(type);
    return 0;
}

void
rt_msg_view_reason(const struct rt_msg *msg, struct plex_msg *out)
{
    out->reason = rt_msg_reason_of(msg);
    out->payload = "";
    out->len = 0;
}

/* -- pushing -- */

static inline bool
push(struct rt_exec *exec, struct rt_proc *proc, uint32_t generation,
     struct rt_msg *msg)
{
    uintptr_t head;

    exec->spent++;
    if (atomic_load_explicit(&proc->generation, memory_order_relaxed) !=
        generation)
        return false;
    msg->generation = generation;
    head = atomic_load_explicit(&proc->inbox, memory_order_relaxed);
    do {
        if (head == RT_DEAD)
            return false;
        msg->next = head == RT_ASLEEP ? NULL : (struct rt_msg *)head;
    } while (!atomic_compare_exchange_weak_explicit(
        &proc->inbox, &head, (uintptr_t)msg, memory_order_acq_rel,
        memory_order_relaxed));
    if (head == RT_ASLEEP)
        rt_schedule(exec, proc);
    return true;
}

bool
rt_push(struct rt_exec *exec, struct plex_ref to, struct rt_msg *msg)
{
    struct rt_proc *proc = rt_slot(exec->rt, to.id);

    return proc != NULL && push(exec, proc, (uint32_t)(to.id >> 32), msg);
}

bool
rt_route(struct rt_exec *exec, struct plex_ref to, struct rt_msg *msg)
{
    if (!rt_is_local(exec->rt, to)) {
        if (to.id != 0)
            return rt_remote_send(exec, to, msg);
    } else if (rt_push(exec, to, msg)) {
        return true;
    }
    rt_bounce(exec, to, msg, NULL);
    return false;
}

void
rt_bounce(struct rt_exec *exec, struct plex_ref to, struct rt_msg *msg,
          const char *reason)
{
    const struct plex_from from = {msg->from, msg->number};
    bool away = to.id != 0 && (to.node != exec->rt->config.node ||
                               rt_alias_at(exec->rt, to, ""));
    const char *nobody = away ? "noconnection" : "noproc";
    int status = away ? -PLEX_UNAVAILABLE : -PLEX_NOT_FOUND;

    switch (msg->kind) {
    case PLEX_MSG_CALL:
    case RT_KIND_ENGINE:
        rt_answer_status(exec, &from, to,
                         reason == NULL ? status : -PLEX_FAILED,
                         reason == NULL ? nobody : reason);
        break;
    case RT_KIND_ANSWER: /* a child that nobody waits for any more */
        if ((msg->flags & RT_MSG_SPAWNED) != 0 && msg->code == 0)
            rt_signal(exec, msg->from, RT_KIND_SIG_EXIT, to, 0, "kill", false);
        break;
    case RT_KIND_LINK:
        rt_signal(exec, msg->from, RT_KIND_SIG_EXIT, to, 0, nobody, true);
        break;
    case RT_KIND_UNLINK:
        rt_signal(exec, msg->from, RT_KIND_UNLINKED, to, 0, NULL, false);
        break;
    case RT_KIND_MONITOR:
        rt_signal(exec, msg->from, RT_KIND_SIG_DOWN, to, msg->number, nobody,
                  false);
        break;
    case RT_KIND_SPACE: /* let it send, and see for itself */
        rt_answer_status(exec, &from, to, 0, "");
        break;
    case PLEX_MSG_TIMER:
    case RT_KIND_NAMED_TIMER:
    case RT_KIND_WAKE:
        (void)rt_timer_claim(exec, msg->number);
        break;
    default:
        break;
    }
    rt_count(&exec->dropped);
    rt_msg_free(exec, msg);
}

void
rt_signal(struct rt_exec *exec, struct plex_ref to, enum rt_kind kind,
          struct plex_ref from, uint64_t number, const char *reason,
          bool linked)
{
    struct rt_msg *msg;

    if (to.id == 0)
        return;
    msg = rt_msg_new(exec, kind);
    msg->from = from;
    msg->number = number;
    if (linked)
        msg->flags |= RT_MSG_LINKED;
    if (reason != NULL)
        rt_msg_reason(msg, reason);
    (void)rt_route(exec, to, msg);
}

void
rt_answer_status(struct rt_exec *exec, const struct plex_from *to,
                 struct plex_ref from, int status, const char *reason)
{
    struct rt_msg *msg;

    if (to->call == 0 || to->ref.id == 0)
        return;
    msg = rt_msg_new(exec, RT_KIND_ANSWER);
    msg->from = from;
    msg->number = to->call;
    msg->code = status;
    if (status != 0)
        rt_msg_reason(msg, reason);
    (void)rt_route(exec, to->ref, msg);
}

void
rt_answer_start(struct rt_exec *exec, const struct plex_from *to,
                struct plex_ref from, int status, const char *reason)
{
    struct rt_msg *msg = rt_msg_new(exec, RT_KIND_ANSWER);

    msg->flags |= RT_MSG_SPAWNED;
    msg->from = from;
    msg->number = to->call;
    msg->code = status;
    if (status != 0)
        rt_msg_reason(msg, reason);
    (void)rt_route(exec, to->ref, msg);
}

/* The common case without detours: somebody here, unbounded, short. */
static inline bool
post_short(struct rt_turn *turn, struct rt_exec *exec, struct plex_ref to,
           const struct plex_post *post, struct plex_from as)
{
    struct rt_proc *proc;
    struct rt_msg *msg;

    if (!rt_is_local(exec->rt, to) || post->len > RT_INLINE_MAX ||
        post->release != NULL || (post->ttl_ms | post->id) != 0 ||
        post->kind - PLEX_MSG_CALL > PLEX_MSG_INFO - PLEX_MSG_CALL)
        return false;
    proc = rt_slot(exec->rt, to.id);
    if (proc == NULL ||
        atomic_load_explicit(&proc->max, memory_order_relaxed) != 0)
        return false;
    msg = rt_msg_new(exec, (enum rt_kind)post->kind);
    msg->priority = (uint8_t)(post->priority & 3);
    msg->tag = post->tag;
    msg->from = as.ref;
    msg->number = as.call;
    if (post->len > 0) {
        memcpy(msg->bytes, post->payload, post->len);
        msg->len = (uint32_t)post->len;
    }
    if (proc != turn->proc)
        exec->last_to = proc;
    if (!push(exec, proc, (uint32_t)(to.id >> 32), msg))
        rt_bounce(exec, to, msg, NULL);
    return true;
}

int
rt_post(struct rt_turn *turn, struct plex_ref to, const struct plex_post *post,
        struct plex_from as)
{
    struct rt_exec *exec = turn->fiber->exec;
    struct rt_msg *msg;
    enum rt_kind kind = (enum rt_kind)post->kind;
    int status;

    if (post_short(turn, exec, to, post, as))
        return 0;
    if (post->kind < PLEX_MSG_CALL || post->kind > PLEX_MSG_INFO)
        kind = (enum rt_kind)PLEX_MSG_INFO;
    msg = rt_msg_post(exec, post, kind);
    if (msg == NULL)
        return -PLEX_LIMIT;
    msg->from = as.ref;
    msg->number = as.call;
    if (!rt_mail_admit(turn, exec, to, msg, &status))
        return status;
    (void)rt_route(turn->fiber->exec, to, msg);
    return 0;
}
