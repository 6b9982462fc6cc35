#ifndef RUNTIME_INTERNAL_H
#define RUNTIME_INTERNAL_H

#include "runtime/runtime.h"
#include "sdk/c/include/plexspaces/event.h"
#include "sdk/c/include/plexspaces/fsm.h"
#include "sdk/c/include/plexspaces/group.h"

#include <stdatomic.h>

/*
 * What the files of the runtime share: processes, messages, turns, and the
 * interface between the core and the behaviour engines (behaviour_*.c).
 *
 * Who runs a process owns it: everything here without _Atomic belongs to the
 * executor that took the process from a run queue.
 */
struct rt_around;
struct rt_exec;  /* sched.h */
struct rt_fiber; /* fiber.h */
struct rt_ext;   /* ext.h: what most processes never need */

/* -- messages ------------------------------------------------------------ */

enum rt_kind {
    /* 1..9: enum plex_msg_kind, delivered to callbacks */
    RT_KIND_ENGINE = 16, /* rt_ask_engine(): to the engine's handle only */
    RT_KIND_START,       /* init with the payload */
    RT_KIND_REPLY,       /* to handle_reply: number, tag, code */
    RT_KIND_STARTED,     /* to engine->started: as above, from: the child */
    RT_KIND_NAMED_TIMER, /* to handle_timer; number */
    /* Signals: take effect when they are taken from the inbox. */
    RT_KIND_SIGNALS = 32,
    RT_KIND_ANSWER, /* to call `number`; code, payload or reason */
    RT_KIND_LINK,
    RT_KIND_UNLINK,
    RT_KIND_UNLINKED,
    RT_KIND_SIG_EXIT, /* payload: reason; linked */
    RT_KIND_MONITOR,  /* number */
    RT_KIND_DEMONITOR,
    RT_KIND_SIG_DOWN,  /* number; payload: reason */
    RT_KIND_WAKE,      /* a wait's time is up; number: which wait */
    RT_KIND_SPACE,     /* from wants to send to a full mailbox; number */
    RT_KIND_NODE_DOWN, /* number: the node */
    RT_KIND_HURRY,     /* look at the flags */
    RT_KIND_FOUND,     /* hosted.h; from; number; payload: the alias */
    RT_KIND_LOOK,      /* circle.h; number: the call */
    RT_KIND_GROUP,     /* rt_group_ask(); payload: what is asked, OWNED */
};
enum rt_msg_flag {
    RT_MSG_OWNED = 1,    /* payload: out of line, to be released */
    RT_MSG_EXTRA = 2,    /* extra.* is in use, inline payload 40 bytes */
    RT_MSG_LINKED = 4,   /* SIG_EXIT: through a link */
    RT_MSG_COUNTED = 8,  /* in the receiver's bounded mailbox */
    RT_MSG_SPAWNED = 16, /* ANSWER: to a start */
    RT_MSG_FINAL = 32,   /* SIG_EXIT: cannot be trapped, whatever the reason */
    RT_MSG_FAR = 64      /* ENGINE: from another node, in its wire form. FOUND:
                            it knows of us already */
};
enum { RT_INLINE_MAX = 64, RT_INLINE_EXTRA = 40 };

struct rt_msg { /* 128 bytes, from pools */
    struct rt_msg *next;
    uint32_t generation; /* of the receiver */
    uint8_t kind;
    uint8_t priority;
    uint8_t flags;
    uint8_t content; /* type of an answer's payload */
    struct plex_ref from;
    uint64_t number; /* of the call, monitor, timer */
    uint64_t tag;
    const void *payload; /* inline, or out of line */
    uint32_t len;
    int32_t code; /* answers: 0 or a negative status */
    union {
        unsigned char bytes[RT_INLINE_MAX];
        void (*release)(void *payload, size_t len); /* of an OWNED payload */
        struct {
            void (*release)(void *payload, size_t len);
            uint64_t expires_ns;
            uint64_t id;
            unsigned char bytes[RT_INLINE_EXTRA];
        } extra;
    };
};
_Static_assert(sizeof(struct rt_msg) == 128, "a message is two lines");

struct rt_list {
    struct rt_msg *head, *tail;
};

/* -- processes ----------------------------------------------------------- */

#define RT_ASLEEP ((uintptr_t)1) /* inbox: empty, and nobody looks */
#define RT_DEAD ((uintptr_t)2)   /* inbox: nobody */

enum rt_wait { /* of a suspended callback, for what */
               RT_WAIT_NONE = 0,
               RT_WAIT_ANSWER,  /* to ext->wait_number */
               RT_WAIT_MESSAGE, /* any */
               RT_WAIT_TIME,
};
enum rt_state { /* what rt_inspect() says */
                RT_FREE = 0,
                RT_STARTING,
                RT_IDLE,
                RT_READY,
                RT_RUNNING,
                RT_WAITING,
};
enum rt_proc_flag {
    RT_PROC_TRAP = 1,
    RT_PROC_DYING = 2, /* by a signal: ends without terminate */
    RT_PROC_KILLED = 4,
    RT_PROC_QUIET = 8, /* its start failed: no EXIT to the starter */
    RT_PROC_INIT_DONE = 16,
    RT_PROC_DUE = 32,        /* what its wait is for has come */
    RT_PROC_SUPERVISED = 64, /* its supervisor emits its events */
    RT_PROC_ENDING = 128     /* in terminate; only a kill counts */
};

struct rt_proc { /* a slot: two lines, never another type's memory */
    /* Read, and the inbox written, by anybody. */
    _Alignas(128) _Atomic uintptr_t
        inbox; /* messages, newest first, or a tag above */
    _Atomic uint32_t generation;
    uint32_t slot;
    _Atomic uint32_t count; /* of a bounded mailbox */
    _Atomic uint32_t max;   /* 0: not bounded */
    _Atomic uint8_t full;   /* enum plex_overflow */
    _Atomic uint8_t state;  /* enum rt_state */
    _Atomic uint8_t remote; /* has to do with other nodes */
    _Atomic uint8_t exec;   /* that ran it last */
    _Atomic uint32_t scope; /* tenant and namespace, interned */
    _Atomic(const struct plex_behaviour *) behaviour;
    struct rt_proc *next; /* in a queue or free list */
    _Atomic uint64_t messages;
    /* The owner's. */
    struct rt_list queue; /* taken from the inbox, oldest first */
    void *data;
    struct rt_ext *ext; /* NULL for most; changed under its stripe */
    const struct rt_engine *engine;
    _Atomic uint64_t parent_node, parent_id;
    uint8_t wait;
    uint8_t flags;
    _Atomic uint64_t awaits; /* id of whom here it waits for, 0; circle.c */
};
_Static_assert(sizeof(struct rt_proc) == 128, "a process is two lines");

/* -- turns --------------------------------------------------------------- */

/* One callback's run; ctx is its first member. Lives on the fiber's stack. */
struct rt_turn {
    struct plex_ctx ctx;
    struct rt_fiber *fiber;
    struct rt_proc *proc;
    struct rt_msg *msg;      /* being handled */
    struct rt_msg *reply;    /* made, not yet sent */
    struct rt_msg *answer;   /* of the latest plex_ask() */
    struct rt_msg *received; /* by the latest plex_receive() */
    struct rt_msg *sending;  /* waits for room with its receiver */
    void *scratch;           /* of a callback that may be left for good */
    void *timer;             /* the named one being handled */
    struct plex_from from;   /* whom a reply goes to; call 0: nobody */
    struct plex_from taken;  /* the latest call plex_receive gave */
    char *reason;            /* plex_fail() or plex_exit_self() */
    void *json;
    bool exiting, failed;
    struct plex_msg view; /* of msg, as the callback sees it */
};

static inline struct rt_turn *
rt_turn_of(struct plex_ctx *ctx)
{
    return (struct rt_turn *)(ctx->of != NULL ? ctx->of : (void *)ctx);
}
struct rt *rt_of(struct plex_ctx *ctx);

/* -- behaviour engines ---------------------------------------------------- */

/*
 * An engine runs a process in the place of the behaviour's own callbacks; it
 * is chosen by behaviour->fsm, ->events or ->supervisor. Functions run as
 * callbacks do: they may wait, send, spawn, set timers through ctx->process.
 * Returning other than 0 ends the process with the reason given to
 * plex_fail(). NULL members are skipped.
 */
struct rt_engine {
    size_t state_size; /* zeroed; rt_engine_state() */
    int (*init)(struct plex_ctx *ctx, const void *args, size_t len);
    /* Every message that goes to handle_call, _cast or _info, and
     * RT_KIND_ENGINE. */
    int (*handle)(struct plex_ctx *ctx, const struct plex_msg *msg);
    /* handle() gets the EXIT of the parent, too, and ends by itself; else that
     * is the end, as in gen_server. */
    bool parent_exits;
    /* The outcome of a plex_call_ref(). */
    int (*reply)(struct plex_ctx *ctx, uint64_t tag,
                 enum plex_result_status status, const void *payload,
                 size_t len);
    /* The outcome of rt_spawn_child() with a tag: ref and 0, or a status. */
    int (*started)(struct plex_ctx *ctx, uint64_t tag, int status,
                   struct plex_ref ref, const char *reason);
    /* As the behaviour's, and in its place. */
    void (*terminate)(struct plex_ctx *ctx, const char *reason);
    /* Always, last of all, also when killed: release what `state` holds. No
     * callbacks of the behaviour from here; may rt_drop(). */
    void (*fini)(struct plex_ctx *ctx, void *state);
};
extern const struct rt_engine rt_engine_fsm, rt_engine_events,
    rt_engine_supervisor;
/* plex_process_ops' fsm, event and supervisor. */
int rt_fsm(struct plex_ctx *ctx, int verb, const char *text, uint64_t number,
           uint64_t tag);
const char *rt_fsm_state(struct plex_ctx *ctx);
int rt_event_request(struct plex_ctx *ctx, struct plex_ref manager, int verb,
                     const char *handler, const char *id, const char *old_id);
int rt_event_ask(struct plex_ctx *ctx, struct plex_ref manager,
                 const struct plex_event_request *request,
                 struct plex_msg *answer);
int rt_supervisor_request(struct plex_ctx *ctx, struct plex_ref supervisor,
                          const struct plex_supervisor_request *request);
int rt_supervisor_within(struct plex_ctx *ctx, struct plex_ref supervisor,
                         const struct plex_supervisor_request *request,
                         uint64_t timeout_ms);

void *rt_engine_state(struct plex_ctx *ctx); /* of this process's engine */
/* The behaviour of this process (the current one after plex_become). */
const struct plex_behaviour *rt_behaviour(struct plex_ctx *ctx);
struct plex_ref rt_parent(struct plex_ctx *ctx);

/*
 * As plex_spawn(), for supervisors: the child is linked to and supervised by
 * the caller; `child` is its id for events and rt_inspect(). Waits for init
 * when `tag` is 0 (and then fills `reason`, when not NULL, with why it did not
 * start); else returns at once, *out is the child (none when it is for another
 * node) and engine->started() is called with the tag when init has ended. A
 * child whose start failed sends no EXIT.
 */
struct rt_child_start {
    const struct plex_spawn *how; /* link and wait are ignored */
    const char *child;
    uint64_t tag;
    char *reason;
    size_t reason_size;
};
int rt_spawn_child(struct plex_ctx *ctx, const struct rt_child_start *start,
                   struct plex_ref *out);

/* Ask a process's engine: its handle() gets kind RT_KIND_ENGINE and answers as
 * a call; on another node with RT_MSG_FAR. As plex_ask(); -INVALID when it has
 * none, as virtual actors. */
int rt_ask_engine(struct plex_ctx *ctx, struct plex_ref to, uint64_t tag,
                  const void *payload, size_t len, uint64_t timeout_ms,
                  struct plex_msg *answer);

/*
 * Keeping messages beyond the callback (postponing). rt_keep() takes the one
 * being handled out of the turn: nothing is replied. rt_recall() makes a kept
 * one the one being handled, so that replies go to its sender; the one before
 * is settled first (its reply, also an empty one, leaves). It then belongs to
 * the turn again. rt_drop() forgets it; its caller is told that we failed.
 * While it is kept, its `next` is the engine's to use.
 */
struct rt_msg *rt_keep(struct plex_ctx *ctx);
void rt_recall(struct plex_ctx *ctx, struct rt_msg *kept, struct plex_msg *out);
void rt_drop(struct plex_ctx *ctx, struct rt_msg *kept);
/* When the engine lets go of the message being handled before its callback
 * returns: the reply leaves now. */
void rt_settle(struct plex_ctx *ctx);

/* Emit an event; the runtime fills in sequence, wall_ms and where. Unless it
 * says otherwise, process is this one. Events of supervised children are
 * emitted by their supervisor (STARTED, STOPPED, RESTARTED), those of other
 * processes, and GAVE_UP aside nothing else, by the runtime. */
void rt_emit(struct plex_ctx *ctx, const struct rt_event *event);

#endif
