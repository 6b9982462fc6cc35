#ifndef PLEXSPACES_RUNTIME_H
#define PLEXSPACES_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

/*
 * The table through which an actor module reaches the runtime that loaded it.
 * Modules use the functions of actor.h; only runtimes fill this in. Members
 * are only ever added at the end, within one PLEX_ABI.
 */
struct plex_ctx;
struct plex_facet_request;
struct plex_facet_use;
struct plex_durable_ops;
struct plex_fsm;
struct plex_event_manager;
struct plex_supervisor;

struct plex_ctx_ops {
    uint32_t abi;
    const char *(*self)(struct plex_ctx *ctx, const char **tenant,
                        const char **ns, const char **type);
    uint64_t (*now_ms)(struct plex_ctx *ctx);
    uint64_t (*epoch)(struct plex_ctx *ctx);
    void (*random)(struct plex_ctx *ctx, void *out, size_t len);
    const void *(*state)(struct plex_ctx *ctx, size_t *len);
    void (*state_put)(struct plex_ctx *ctx, const void *state, size_t len);
    void (*reply)(struct plex_ctx *ctx, uint32_t http_status,
                  const char *content_type, const void *payload, size_t len);
    void (*reply_header)(struct plex_ctx *ctx, const char *name,
                         const char *value);
    int (*fail)(struct plex_ctx *ctx, const char *reason);
    void (*send)(struct plex_ctx *ctx, bool is_call, uint64_t tag,
                 uint64_t timeout_ms, const char *type, const char *key,
                 const void *payload, size_t len);
    void (*timer_set)(struct plex_ctx *ctx, const char *name, uint64_t delay_ms,
                      const void *payload, size_t len);
    void (*timer_cancel)(struct plex_ctx *ctx, const char *name);
    void (*log)(struct plex_ctx *ctx, int level, const char *text);
    /* Fields of a JSON object payload; for GET and DELETE the runtime makes
     * that object from the query parameters. 1 found, 0 absent, -1 there but
     * of another type (or the payload is no JSON object). */
    int (*json_text)(struct plex_ctx *ctx, const char *field, const char **out);
    int (*json_int)(struct plex_ctx *ctx, const char *field, int64_t *out);
    const char *(*header)(struct plex_ctx *ctx, const char *name);
    /* As reply, with an RFC 9457 problem made of `text`. */
    void (*problem)(struct plex_ctx *ctx, uint32_t http_status,
                    const char *text);
    /* facet.h; NULL: no facets here. */
    int (*facet)(struct plex_ctx *ctx, struct plex_facet_request *request);
    const struct plex_durable_ops *durable; /* durable.h; NULL: not here */
    /* sourced.h; NULL: no events here. */
    int (*persist)(struct plex_ctx *ctx, const char *type, const void *data,
                   size_t len);
};

/* The state is of schema version `from`, older than the behaviour's: put the
 * new one (plex_state_put). Nothing else may be done. */
typedef int (*plex_migrate_fn)(struct plex_ctx *ctx, uint32_t from);
struct plex_event;
typedef int (*plex_apply_fn)(struct plex_ctx *ctx,
                             const struct plex_event *event);

/* -- processes (process.h) -- */

/* Who a message goes to: plain data. A process on any worker, or a name as
 * plex_whereis() gave it (that one is good on this worker only). All zero is
 * nobody. `node` is the worker's incarnation. */
struct plex_ref {
    uint64_t node;
    uint64_t id;
};
/* A caller that waits. */
struct plex_from {
    struct plex_ref ref;
    uint64_t call;
};
struct plex_behaviour;
struct plex_msg;
struct plex_supervisor_request;
struct plex_http_answer;
struct plex_event_request;

enum plex_msg_kind {
    PLEX_MSG_CALL = 1, /* handle_call */
    PLEX_MSG_CAST,     /* handle_cast */
    PLEX_MSG_INFO,     /* handle_info, as all below */
    PLEX_MSG_EXIT,     /* of a linked process; this one traps exits */
    PLEX_MSG_DOWN,     /* of a monitored process; tag: the monitor */
    PLEX_MSG_TIMER,    /* plex_send_after(); tag */
    PLEX_MSG_GROUP,    /* plex_group_monitor() */
    PLEX_MSG_CONTINUE, /* plex_continue(); tag */
    PLEX_MSG_IDLE,     /* plex_idle_after(); tag */
};
enum plex_priority { /* bands of the mailbox; within one, order of arrival */
                     PLEX_PRIORITY_NORMAL = 0,
                     PLEX_PRIORITY_LOW,
                     PLEX_PRIORITY_HIGH,
                     PLEX_PRIORITY_SYSTEM,
};
struct plex_post {
    uint32_t kind;     /* PLEX_MSG_CALL, CAST or INFO */
    uint32_t priority; /* counts only where the mailbox has bands */
    uint64_t tag;
    const void *payload;
    size_t len; /* at most 5 MiB */
    /* NULL: the payload is copied. Else it is handed over: the receiver reads
     * the very bytes, and release(payload, len) runs once, on any thread. */
    void (*release)(void *payload, size_t len);
    uint64_t ttl_ms; /* not handled when older; 0: no limit */
    uint64_t id;     /* not 0: dropped when this sender sent it before */
};
enum plex_overflow {
    PLEX_OVERFLOW_BLOCK = 0, /* the sender waits, at most 5 s; one that cannot
                                (elsewhere, outside): ERROR */
    PLEX_OVERFLOW_DROP_OLDEST,
    PLEX_OVERFLOW_DROP_NEWEST,
    PLEX_OVERFLOW_ERROR,
};
struct plex_mailbox {
    uint32_t max;            /* messages; 0: unbounded */
    enum plex_overflow full; /* what happens to one more */
    bool bands;              /* higher priorities first */
    uint32_t dedup;          /* ids remembered; 0: none */
};
struct plex_spawn {
    const struct plex_behaviour *behaviour;
    const void *args;
    size_t args_len;
    const char *name; /* registered before init; NULL: none */
    const char *node; /* another worker, or what it needs, "{\"cpu_cores\":1}"
                         (docs/placement.md); NULL: this one. The behaviour is
                         then found there by its module's and its own name */
    bool link;        /* to the caller, atomically */
    bool monitor;     /* by the caller; *monitor_out */
    bool wait;        /* for init */
    uint64_t *monitor_out;
    const struct plex_mailbox *mailbox; /* NULL: the behaviour's */
};
typedef bool (*plex_match_fn)(void *arg, const struct plex_msg *msg);

struct plex_process_ops {
    struct plex_ref (*self)(struct plex_ctx *ctx);
    void *(*data)(struct plex_ctx *ctx);
    uint64_t (*now_ns)(struct plex_ctx *ctx);
    int (*spawn)(struct plex_ctx *ctx, const struct plex_spawn *how,
                 struct plex_ref *out);
    void (*exit_self)(struct plex_ctx *ctx, const char *reason);
    void (*exit)(struct plex_ctx *ctx, struct plex_ref whom,
                 const char *reason);
    void (*link)(struct plex_ctx *ctx, struct plex_ref other);
    void (*unlink)(struct plex_ctx *ctx, struct plex_ref other);
    uint64_t (*monitor)(struct plex_ctx *ctx, struct plex_ref other);
    void (*demonitor)(struct plex_ctx *ctx, uint64_t monitor);
    void (*trap_exit)(struct plex_ctx *ctx, bool on);
    int (*send)(struct plex_ctx *ctx, struct plex_ref to,
                const struct plex_post *post);
    int (*ask)(struct plex_ctx *ctx, struct plex_ref to,
               const struct plex_post *post, uint64_t timeout_ms,
               struct plex_msg *answer);
    void (*call)(struct plex_ctx *ctx, struct plex_ref to,
                 const struct plex_post *post, uint64_t timeout_ms);
    struct plex_from (*reply_later)(struct plex_ctx *ctx);
    int (*answer)(struct plex_ctx *ctx, const struct plex_from *to,
                  const void *payload, size_t len);
    int (*forward)(struct plex_ctx *ctx, struct plex_ref to);
    int (*receive)(struct plex_ctx *ctx, plex_match_fn match, void *arg,
                   uint64_t timeout_ms, struct plex_msg *out);
    uint64_t (*send_after)(struct plex_ctx *ctx, struct plex_ref to,
                           uint64_t delay_ms, uint64_t interval_ms,
                           uint64_t tag);
    bool (*cancel_timer)(struct plex_ctx *ctx, uint64_t timer);
    int (*become)(struct plex_ctx *ctx, const struct plex_behaviour *next);
    void (*hibernate)(struct plex_ctx *ctx);
    int (*name_set)(struct plex_ctx *ctx, const char *name);
    int (*name_clear)(struct plex_ctx *ctx, const char *name);
    struct plex_ref (*whereis)(struct plex_ctx *ctx, const char *name);
    int (*group_join)(struct plex_ctx *ctx, const char *group);
    int (*group_leave)(struct plex_ctx *ctx, const char *group);
    size_t (*group_members)(struct plex_ctx *ctx, const char *group,
                            bool local_only, struct plex_ref *out, size_t max);
    size_t (*group_publish)(struct plex_ctx *ctx, const char *group,
                            const struct plex_post *post);
    int (*group_monitor)(struct plex_ctx *ctx, const char *group, bool on);
    size_t (*ref_text)(struct plex_ctx *ctx, struct plex_ref ref, char *out,
                       size_t size);
    /* fsm.h: verb is enum plex_fsm_verb. */
    int (*fsm)(struct plex_ctx *ctx, int verb, const char *text,
               uint64_t number, uint64_t tag);
    /* event.h: 1 add, 2 add supervised, 3 remove, 4 swap */
    int (*event)(struct plex_ctx *ctx, struct plex_ref manager, int verb,
                 const char *handler, const char *id, const char *old_id);
    int (*supervisor)(struct plex_ctx *ctx, struct plex_ref supervisor,
                      const struct plex_supervisor_request *request);
    /* facet.h */
    int (*spawn_faceted)(struct plex_ctx *ctx, const struct plex_spawn *how,
                         const struct plex_facet_use *facets, size_t n,
                         struct plex_ref *out);
    /* supervisor.h */
    int (*supervisor_within)(struct plex_ctx *ctx, struct plex_ref supervisor,
                             const struct plex_supervisor_request *request,
                             uint64_t timeout_ms);
    int (*answer_http)(struct plex_ctx *ctx, const struct plex_from *to,
                       const struct plex_http_answer *answer);
    const char *(*fsm_state)(struct plex_ctx *ctx); /* fsm.h */
    int (*then)(struct plex_ctx *ctx, uint64_t tag, const void *payload,
                size_t len);
    int (*idle_after)(struct plex_ctx *ctx, uint64_t ms, uint64_t tag);
    /* event.h */
    int (*event_request)(struct plex_ctx *ctx, struct plex_ref manager,
                         const struct plex_event_request *request,
                         struct plex_msg *answer);
};

/* What a callback gets. The worker makes one for each turn of a virtual actor,
 * the runtime one for each process; `process` is NULL only where no process
 * stands behind it (tests of single turns). */
struct plex_ctx {
    const struct plex_ctx_ops *ops;
    const struct plex_process_ops *process;
    void *of; /* the runtime's */
};

#endif
