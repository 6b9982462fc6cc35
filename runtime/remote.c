#include "runtime/core.h"

#include "common/mem.h"
#include "runtime/supervisor_code.h"

#include <string.h>

/* Signals between nodes: messages out of the runtime and into it. */

/* -- out -- */

static bool
kind_out(const struct rt_msg *msg, struct rt_signal *out)
{
    switch (msg->kind) {
    case RT_KIND_ANSWER:
        out->kind = (msg->flags & RT_MSG_SPAWNED) != 0 ? RT_SPAWNED : RT_ANSWER;
        out->status = msg->code;
        break;
    case RT_KIND_LINK:
        out->kind = RT_LINK;
        break;
    case RT_KIND_UNLINK:
        out->kind = RT_UNLINK;
        break;
    case RT_KIND_UNLINKED:
        out->kind = RT_UNLINKED;
        break;
    case RT_KIND_SIG_EXIT:
        out->kind = RT_EXIT;
        out->linked = (msg->flags & RT_MSG_LINKED) != 0;
        break;
    case RT_KIND_MONITOR:
        out->kind = RT_MONITOR;
        break;
    case RT_KIND_DEMONITOR:
        out->kind = RT_DEMONITOR;
        break;
    case RT_KIND_SIG_DOWN:
        out->kind = RT_DOWN;
        break;
    case RT_KIND_ENGINE:
        out->kind = RT_REQUEST;
        out->text = rt_sup_request_behaviour(msg->payload, msg->len);
        break;
    default:
        if (msg->kind > PLEX_MSG_GROUP)
            return false;
        out->kind = RT_SEND;
        out->post.kind = msg->kind;
        break;
    }
    return true;
}

/* Clocks of nodes differ, so what is left of it. */
static uint64_t
ttl_left(struct rt_exec *exec, const struct rt_msg *msg)
{
    const uint64_t now = rt_now(exec), end = msg->extra.expires_ns;

    if (end == UINT64_MAX)
        return 0;
    return end > now ? (end - now + 999999) / 1000000 : 1;
}

bool
rt_remote_send(struct rt_exec *exec, struct plex_ref to, struct rt_msg *msg)
{
    struct rt *rt = exec->rt;
    struct rt_signal signal = {.from = msg->from,
                               .to = to,
                               .where = {"", ""},
                               .name = "",
                               .text = "",
                               .reason = "",
                               .call = msg->number};
    uint32_t scope;
    const char *alias = rt_alias_text(rt, to, &scope);
    bool sent = false;

    exec->spent++;
    if (msg->kind == PLEX_MSG_TIMER) {
        (void)rt_timer_claim(exec, msg->number);
        signal.call = 0;
    }
    if (alias != NULL) {
        signal.to = (struct plex_ref){0, 0};
        signal.name = alias;
        signal.where = rt_scope_text(rt, scope);
    }
    if (rt->config.on_remote != NULL && kind_out(msg, &signal)) {
        signal.post.tag = msg->tag;
        signal.post.priority = msg->priority;
        if (msg->kind == RT_KIND_SIG_EXIT || msg->kind == RT_KIND_SIG_DOWN ||
            (msg->kind == RT_KIND_ANSWER && msg->code != 0)) {
            signal.reason = rt_msg_reason_of(msg);
        } else {
            signal.post.payload = msg->payload;
            signal.post.len = msg->len;
            if (rt_msg_http(msg) != NULL && /* actors get the body */
                (alias == NULL || strchr(alias, '@') != NULL)) {
                signal.is_http = true;
                signal.post.payload =
                    rt_http_bytes(rt_msg_http(msg), &signal.post.len);
            }
        }
        if ((msg->flags & RT_MSG_EXTRA) != 0) {
            signal.post.id = msg->extra.id;
            signal.post.ttl_ms = ttl_left(exec, msg);
        }
        sent = rt->config.on_remote(rt->config.arg, &signal);
    }
    if (sent)
        rt_msg_free(exec, msg);
    else
        rt_bounce(exec, to, msg, NULL);
    return sent;
}

/* -- in -- */

static struct rt_msg *
msg_in(struct rt_exec *exec, const struct rt_signal *signal)
{
    static const enum rt_kind kinds[] = {
        [RT_ANSWER] = RT_KIND_ANSWER,       [RT_LINK] = RT_KIND_LINK,
        [RT_UNLINK] = RT_KIND_UNLINK,       [RT_UNLINKED] = RT_KIND_UNLINKED,
        [RT_EXIT] = RT_KIND_SIG_EXIT,       [RT_MONITOR] = RT_KIND_MONITOR,
        [RT_DEMONITOR] = RT_KIND_DEMONITOR, [RT_DOWN] = RT_KIND_SIG_DOWN,
        [RT_SPAWNED] = RT_KIND_ANSWER,      [RT_REQUEST] = RT_KIND_ENGINE};
    const char *reason = signal->reason == NULL ? "" : signal->reason;
    struct plex_post post = signal->post;
    struct rt_msg *msg;

    if (signal->is_http &&
        !rt_http_read(signal->post.payload, signal->post.len, &post))
        return NULL;
    if (signal->kind == RT_SEND) {
        uint32_t kind = signal->post.kind;

        if (kind < PLEX_MSG_CALL || kind > PLEX_MSG_TIMER)
            kind = PLEX_MSG_INFO;
        if (kind == PLEX_MSG_TIMER) /* not one of this node's timers */
            kind = PLEX_MSG_INFO;
        msg = rt_msg_post(exec, &post, (enum rt_kind)kind);
    } else if (signal->kind < RT_SEND || signal->kind > RT_REQUEST ||
               kinds[signal->kind] == 0) {
        return NULL;
    } else {
        msg = rt_msg_post(exec, &post, kinds[signal->kind]);
    }
    if (msg == NULL)
        return NULL;
    msg->from = signal->from;
    msg->number = signal->call;
    if (signal->kind == RT_EXIT || signal->kind == RT_DOWN ||
        ((signal->kind == RT_ANSWER || signal->kind == RT_SPAWNED) &&
         signal->status != 0)) {
        msg->code = signal->status;
        rt_msg_reason(msg, reason);
    }
    if (signal->linked)
        msg->flags |= RT_MSG_LINKED;
    if (signal->kind == RT_SPAWNED)
        msg->flags |= RT_MSG_SPAWNED;
    if (signal->kind == RT_REQUEST) {
        msg->flags |= RT_MSG_FAR;
        if (msg->tag > PLEX_SUP_COUNT) /* of this node's own */
            msg->tag = 0;
    }
    return msg;
}

/* A spawn that another node asked for. */
static struct plex_ref
spawn_in(struct rt_exec *exec, const struct rt_signal *signal)
{
    struct rt *rt = exec->rt;
    const struct plex_behaviour *behaviour =
        rt->config.find == NULL ? NULL
                                : rt->config.find(rt->config.arg, signal->text);
    const struct plex_spawn how = {
        .behaviour = behaviour,
        .args = signal->post.payload,
        .args_len = signal->post.len,
        .name = signal->name == NULL || signal->name[0] == '\0' ? NULL
                                                                : signal->name,
    };
    const struct rt_start start = {
        .how = &how,
        .scope = rt_scope_of(rt, signal->where),
        .parent = signal->from,
        .linked = signal->linked,
        .starter = {signal->from, signal->call},
    };
    struct plex_ref ref = {0, 0};
    int status = behaviour == NULL || start.scope == UINT32_MAX
                     ? -PLEX_NOT_FOUND
                     : rt_start_proc(exec, &start, &ref);

    if (status != 0)
        rt_answer_status(exec, &start.starter, ref, status,
                         behaviour == NULL
                             ? "no such behaviour"
                             : plex_status_text((enum plex_status) - status));
    return ref;
}

struct plex_ref
rt_deliver_start(struct rt *rt, const struct rt_signal *signal)
{
    struct rt_exec *exec = rt_outside_enter(rt);
    struct plex_ref ref = spawn_in(exec, signal);

    rt_outside_leave(exec);
    return ref;
}

/* Who has the name. Who links to it or monitors it is told first: the end will
 * be told by who ends. (To monitor nobody is answered by itself.) */
static struct plex_ref
named(struct rt_exec *exec, const struct rt_signal *signal)
{
    struct rt *rt = exec->rt;
    const uint32_t scope = rt_scope_of(rt, signal->where);
    struct plex_ref to = {0, 0};
    struct rt_signal found = {.kind = RT_FOUND,
                              .to = signal->from,
                              .where = signal->where,
                              .name = signal->name,
                              .text = "",
                              .reason = "",
                              .call = signal->call,
                              .linked = signal->kind == RT_LINK};

    if (scope != UINT32_MAX)
        to = rt_whereis_in(rt, scope, signal->name);
    if (!rt_is_local(rt, to))
        to = (struct plex_ref){0, 0};
    found.from = to;
    if ((signal->kind == RT_LINK ||
         (signal->kind == RT_MONITOR && to.id != 0)) &&
        rt->config.on_remote != NULL && signal->from.node != rt->config.node)
        (void)rt->config.on_remote(rt->config.arg, &found);
    return to;
}

void
rt_deliver(struct rt *rt, const struct rt_signal *signal)
{
    struct rt_exec *exec = rt_outside_enter(rt);
    const struct plex_from from = {signal->from, signal->call};
    struct plex_ref to = signal->to;
    struct rt_msg *msg;
    bool is_call;
    int status;

    if (signal->kind == RT_JOIN || signal->kind == RT_LEAVE) {
        rt_group_remote(exec, signal);
    } else if (signal->kind == RT_SPAWN) {
        (void)spawn_in(exec, signal);
    } else if (signal->kind == RT_FOUND) {
        rt_found_far(exec, signal);
    } else if ((msg = msg_in(exec, signal)) != NULL) {
        if (to.id == 0 && signal->name != NULL && signal->name[0] != '\0')
            to = named(exec, signal);
        if (!rt_is_local(rt, to)) /* not to be passed on for ever */
            to = (struct plex_ref){0, 0};
        is_call = msg->kind == PLEX_MSG_CALL;
        if (msg->kind > PLEX_MSG_INFO ||
            rt_mail_admit(NULL, exec, to, msg, &status))
            (void)rt_route(exec, to, msg);
        else if (is_call && status != 0)
            rt_answer_status(exec, &from, to, status, "the mailbox is full");
    }
    rt_outside_leave(exec);
}

void
rt_node_down(struct rt *rt, uint64_t node, const char *node_id)
{
    struct rt_exec *exec = rt_outside_enter(rt);

    rt_group_node_down(exec, node);
    for (size_t c = 0; c < rt->chunk_count; c++) {
        struct rt_proc *chunk = atomic_load(&rt->chunks[c]);

        if (chunk == NULL)
            break;
        for (uint32_t i = 0; i < RT_CHUNK; i++) {
            struct rt_msg *msg;

            if (atomic_load(&chunk[i].remote) == 0 ||
                atomic_load(&chunk[i].inbox) == RT_DEAD)
                continue;
            msg = rt_msg_new(exec, RT_KIND_NODE_DOWN);
            msg->number = node;
            rt_msg_reason(msg, node_id);
            (void)rt_route(exec, rt_ref(rt, &chunk[i]), msg);
        }
    }
    rt_outside_leave(exec);
}
