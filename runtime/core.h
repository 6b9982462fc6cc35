#ifndef RUNTIME_CORE_H
#define RUNTIME_CORE_H

#include "runtime/ext.h"
#include "runtime/http.h"

/* Functions that the files of the core have for each other. */

/* -- refs (name.c) -- */

#define RT_ALIAS ((uint64_t)1 << 63) /* of ref.id: a name to be resolved */

static inline struct plex_ref
rt_ref(const struct rt *rt, const struct rt_proc *proc)
{
    return (struct plex_ref){
        rt->config.node,
        ((uint64_t)atomic_load_explicit(&proc->generation, memory_order_relaxed)
         << 32) |
            proc->slot};
}
static inline struct plex_ref
rt_proc_parent(const struct rt_proc *proc)
{
    return (struct plex_ref){
        atomic_load_explicit(&proc->parent_node, memory_order_relaxed),
        atomic_load_explicit(&proc->parent_id, memory_order_relaxed)};
}
static inline bool
rt_is_local(const struct rt *rt, struct plex_ref ref)
{
    return ref.node == rt->config.node && (ref.id & RT_ALIAS) == 0;
}
static inline bool
rt_ref_is(struct plex_ref a, struct plex_ref b)
{
    return a.id == b.id && a.node == b.node;
}

/* -- sending (send.c) -- */

/* Takes msg. False: nobody is there, and msg is still the caller's. */
bool rt_push(struct rt_exec *exec, struct plex_ref to, struct rt_msg *msg);
/* To anybody, also elsewhere; nobody there: whoever sent it is told, as its
 * kind demands. Takes msg; false when nobody is known to be there. */
bool rt_route(struct rt_exec *exec, struct plex_ref to, struct rt_msg *msg);
/* msg was for somebody who is gone for `reason` (NULL: never was there). */
void rt_bounce(struct rt_exec *exec, struct plex_ref to, struct rt_msg *msg,
               const char *reason);
/* A signal without or with a reason (copied). */
void rt_signal(struct rt_exec *exec, struct plex_ref to, enum rt_kind kind,
               struct plex_ref from, uint64_t number, const char *reason,
               bool linked);
/* An answer to a call: 0, or a status and the reason. */
void rt_answer_status(struct rt_exec *exec, const struct plex_from *to,
                      struct plex_ref from, int status, const char *reason);
/* How a start ended. */
void rt_answer_start(struct rt_exec *exec, const struct plex_from *to,
                     struct plex_ref from, int status, const char *reason);
/* NULL: too long (-LIMIT). */
struct rt_msg *rt_msg_post(struct rt_exec *exec, const struct plex_post *post,
                           enum rt_kind kind);
void rt_msg_payload(struct rt_msg *msg, const void *payload, size_t len);
void rt_msg_reason(struct rt_msg *msg, const char *reason);
const char *rt_msg_reason_of(const struct rt_msg *msg);
extern const char *const rt_content_types[];
enum { RT_CONTENT_TYPES = 6 };
void rt_msg_view_reason(const struct rt_msg *msg, struct plex_msg *out);
/* What varies; sender and the like are the caller's. */
static inline void
rt_msg_view(const struct rt_msg *msg, struct plex_msg *out)
{
    out->content_type = rt_content_types[msg->content];
    out->payload = msg->payload;
    out->len = msg->len;
    out->is_cast = msg->kind != PLEX_MSG_CALL && msg->kind != RT_KIND_ENGINE;
    out->kind = msg->kind;
    out->priority = msg->priority;
    out->tag = msg->tag;
    out->from = msg->from;
    out->reason = "";
    if (msg->kind == PLEX_MSG_EXIT || msg->kind == PLEX_MSG_DOWN ||
        (msg->kind == RT_KIND_ANSWER && msg->code != 0))
        rt_msg_view_reason(msg, out);
}
uint8_t rt_content_code(const char *type); /* unknown: octets */
/* What came with it by HTTP; NULL: nothing did. */
static inline const struct rt_http *
rt_msg_http(const struct rt_msg *msg)
{
    return (msg->flags & RT_MSG_OWNED) != 0 && msg->release == rt_http_release
               ? rt_http_behind(msg->payload, msg->len)
               : NULL;
}
/* rt_msg_view(), with that. */
static inline void
rt_msg_view_all(const struct rt_msg *msg, struct plex_msg *out)
{
    const struct rt_http *http = rt_msg_http(msg);

    rt_msg_view(msg, out);
    if (http != NULL)
        rt_http_view(http, out);
}
/* An answer of plex_answer_http(): 0, -INVALID, -LIMIT. */
int rt_http_answer_make(struct rt_exec *exec,
                        const struct plex_http_answer *answer,
                        struct rt_msg **out);
/* plex_post(): bounded mailboxes, moves and all. */
int rt_post(struct rt_turn *turn, struct plex_ref to,
            const struct plex_post *post, struct plex_from as);

/* -- mailbox (mailbox.c) -- */

/* Take what is in the inbox; signals take effect. */
void rt_mail_take(struct rt_exec *exec, struct rt_proc *proc);
void rt_mail_add(struct rt_exec *exec, struct rt_proc *proc,
                 struct rt_msg *msg);
/* Before all others but those that came here before it. */
void rt_mail_front(struct rt_proc *proc, struct rt_msg *msg);
struct rt_msg *rt_mail_pop(struct rt_exec *exec, struct rt_proc *proc);
/* The first that matches, taken out; NULL: none. */
struct rt_msg *rt_mail_match(struct rt_exec *exec, struct rt_proc *proc,
                             plex_match_fn match, void *arg);
/* Whether anything waits. */
bool rt_mail_any(const struct rt_proc *proc);
/* Drop those for which `gone` is true. */
void rt_mail_purge(struct rt_exec *exec, struct rt_proc *proc,
                   bool (*gone)(const void *arg, const struct rt_msg *msg),
                   const void *arg);
void rt_mail_setup(struct rt_exec *exec, struct rt_proc *proc,
                   const struct plex_mailbox *mailbox);
/* All of it, of one that is gone. */
void rt_mail_bounce(struct rt_exec *exec, struct rt_proc *proc,
                    struct plex_ref self, const char *reason);
/* A place became free in a bounded mailbox. */
void rt_mail_space(struct rt_exec *exec, struct rt_proc *proc);
/* Whether msg may be sent: then it counts. Else it was freed and *status is
 * what plex_post() returns. May suspend (turn NULL: never). */
bool rt_mail_admit(struct rt_turn *turn, struct rt_exec *exec,
                   struct plex_ref to, struct rt_msg *msg, int *status);

/* -- signals (signal.c) -- */

void rt_signal_apply(struct rt_exec *exec, struct rt_proc *proc,
                     struct rt_msg *msg);
/* hosted.c: FOUND; and whom a link to an alias is with by now. */
void rt_found_apply(struct rt_exec *exec, struct rt_proc *proc,
                    const struct rt_msg *msg);
void rt_found_far(struct rt_exec *exec, const struct rt_signal *signal);
struct plex_ref rt_link_behind(const struct rt_proc *proc,
                               struct plex_ref alias);
void rt_link(struct rt_exec *exec, struct rt_proc *proc, struct plex_ref other);
void rt_unlink(struct rt_exec *exec, struct rt_proc *proc,
               struct plex_ref other);
void rt_link_add(struct rt_exec *exec, struct rt_proc *proc,
                 struct plex_ref other);
void rt_link_remove(struct rt_exec *exec, struct rt_proc *proc,
                    struct plex_ref other);
uint64_t rt_monitor(struct rt_exec *exec, struct rt_proc *proc,
                    struct plex_ref other);
void rt_demonitor(struct rt_exec *exec, struct rt_proc *proc, uint64_t number);
/* An exit signal has come. */
void rt_exit_signal(struct rt_exec *exec, struct rt_proc *proc,
                    struct rt_msg *msg);
void rt_die(struct rt_exec *exec, struct rt_proc *proc, const char *reason,
            uint8_t flags);

/* The process is due at that time at the latest. */
void rt_wake_at(struct rt_exec *exec, struct rt_proc *proc,
                uint64_t deadline_ns);

/* -- life (life.c) -- */

struct rt_facet_plan;
struct rt_start {
    const struct plex_spawn *how;
    uint32_t scope;
    struct rt_turn *turn;       /* of the spawner; NULL: none here */
    const char *child;          /* supervised, under this id; NULL: not */
    struct plex_ref parent;     /* when there is no turn */
    bool linked;                /* to that one */
    struct plex_from starter;   /* waits for init; call 0: nobody */
    void *engine_state;         /* made already; NULL: not */
    struct rt_facet_plan *plan; /* taken; NULL */
};
int rt_start_proc(struct rt_exec *exec, const struct rt_start *start,
                  struct plex_ref *out);
/* After its last callback: tell everybody, give everything back. */
void rt_end_proc(struct rt_exec *exec, struct rt_turn *turn,
                 struct rt_proc *proc);
void rt_event_of(struct rt_exec *exec, struct rt_proc *proc,
                 enum rt_event_kind kind, const char *reason);

/* -- turns (turn.c) -- */

void rt_turn_init(struct rt_turn *turn, struct rt_fiber *fiber,
                  struct rt_proc *proc);
/* Handle one message; may suspend. False: the process is gone. */
bool rt_turn_handle(struct rt_turn *turn, struct rt_msg *msg);
/* End a process that was told to die outside of a callback. */
void rt_turn_die(struct rt_turn *turn);
/* A suspended callback that never goes on: what its turn held. */
void rt_turn_abandon(struct rt_exec *exec, struct rt_turn *turn,
                     const char *reason);
void rt_turn_json_free(struct rt_turn *turn);
/* What fields are read from, instead of the message's own payload. */
void rt_turn_json_set(struct rt_turn *turn, const void *payload, size_t len);
/* A message to the behaviour's own callbacks. */
int rt_turn_deliver(struct rt_turn *turn, const struct plex_msg *msg);

/* then.c: plex_continue(), plex_idle_after(); whether the message is the idle
 * timer's, which is now a PLEX_MSG_IDLE, and whether it still counts. */
int rt_continue(struct plex_ctx *ctx, uint64_t tag, const void *payload,
                size_t len);
int rt_idle_after(struct plex_ctx *ctx, uint64_t ms, uint64_t tag);
bool rt_idle_fired(struct rt_turn *turn, bool *is_due);

/* Number for an answer that the turn waits for next. */
uint64_t rt_expect(struct rt_turn *turn, struct plex_ref to);
/* Wait for it: its code, or -TIMEOUT; the turn keeps the message. */
int rt_await(struct rt_turn *turn, uint64_t deadline, struct plex_msg *answer,
             struct plex_ref *from);
int rt_op_spawn(struct plex_ctx *ctx, const struct plex_spawn *how,
                struct plex_ref *out);
/* What another node finds it by (spawn.c). */
enum { RT_BEHAVIOUR_TEXT = 1000 };
void rt_behaviour_text(struct rt *rt, const struct plex_behaviour *behaviour,
                       bool is_child, char *out, size_t size);

extern const struct plex_process_ops rt_process_ops;
extern const struct plex_ctx_ops rt_ctx_ops;

/* -- names and groups (name.c, group.c) -- */

struct rt_names *rt_names_create(void);
void rt_names_free(struct rt_names *names);
/* UINT32_MAX: too many. */
uint32_t rt_scope_of(struct rt *rt, struct rt_where where);
struct rt_where rt_scope_text(struct rt *rt, uint32_t scope);
int rt_name_set(struct rt *rt, uint32_t scope, const char *name,
                struct plex_ref ref);
void rt_name_clear(struct rt *rt, uint32_t scope, const char *name);
struct plex_ref rt_name_find(struct rt *rt, uint32_t scope, const char *name);
struct plex_ref rt_alias(struct rt *rt, uint32_t scope, const char *name);
struct plex_ref rt_whereis_in(struct rt *rt, uint32_t scope, const char *name);
size_t rt_ref_text(struct rt *rt, struct plex_ref ref, char *out, size_t size);
/* It is an alias "name@node_id"; "": of any node. */
bool rt_alias_at(struct rt *rt, struct plex_ref ref, const char *node_id);
/* The text and scope of an alias; NULL: unknown. */
const char *rt_alias_text(struct rt *rt, struct plex_ref ref, uint32_t *scope);

struct rt_groups *rt_groups_create(void);
void rt_groups_free(struct rt_groups *groups);
int rt_group_change(struct rt_exec *exec, struct rt_proc *proc,
                    const char *group, bool join);
/* rt_group_ask(), in the process that it is about. */
void rt_group_asked(struct rt_exec *exec, struct rt_proc *proc,
                    const struct rt_msg *msg);
void rt_group_leave_all(struct rt_exec *exec, struct rt_proc *proc,
                        const struct rt_rel *rel);
void rt_group_remote(struct rt_exec *exec, const struct rt_signal *signal);
void rt_group_node_down(struct rt_exec *exec, uint64_t node);
size_t rt_group_members(struct rt *rt, uint32_t scope, const char *group,
                        bool local_only, struct plex_ref *out, size_t max);
int rt_group_monitor(struct rt_exec *exec, struct rt_proc *proc,
                     const char *group, bool on);
void rt_group_unwatch(struct rt_exec *exec, uint64_t id,
                      struct plex_ref watcher);

/* -- outside (outside.c) -- */

/* Processes that wait on behalf of who is no process. */
extern const struct plex_behaviour rt_outside_behaviour;
extern const struct rt_engine rt_engine_outside;

/* -- elsewhere (remote.c) -- */

/* Takes msg; false: nobody. */
bool rt_remote_send(struct rt_exec *exec, struct plex_ref to,
                    struct rt_msg *msg);

#endif
