#ifndef PLEXSPACES_ACTOR_H
#define PLEXSPACES_ACTOR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

/*
 * PlexSpaces SDK for C: the whole of what an actor module needs.
 *
 * A module is a shared object that defines a table of behaviours and names it
 * with PLEX_MODULE(). plex-worker loads it from its module folder. A behaviour
 * is a set of callbacks; the runtime calls them for one actor at a time, one
 * message at a time. One message handled is one turn: everything that the
 * callback did through `ctx` takes effect together when it returns 0, and not
 * at all when it returns anything else. For a durable actor, "takes effect"
 * means: written to the journal; replies and messages leave only afterwards.
 *
 * Callbacks must not block, keep pointers beyond their return, or keep state
 * of actors in variables of their own: an actor can be passivated after any
 * turn and come back on another worker.
 *
 * Nothing is linked: all calls go through a table that the runtime passes in,
 * so a module built against this header works with every runtime of the same
 * PLEX_ABI.
 */
#define PLEX_ABI 3u

struct plex_ctx; /* the turn: valid during the callback only */

/* The message being handled. Strings are never NULL. */
struct plex_msg {
    const char *sender;       /* "tenant/ns/type/key" of an actor, "" outside */
    const char *id;           /* message id, printable */
    const char *method;       /* "GET", "POST", ...; "" when not from HTTP */
    const char *path;         /* request path */
    const char *subpath;      /* what follows the key, no leading '/' */
    const char *query;        /* raw query string */
    const char *content_type; /* of the payload */
    const void *payload;
    size_t len;
    bool is_cast;      /* nobody waits for a reply */
    uint32_t kind;     /* enum plex_msg_kind */
    uint32_t priority; /* enum plex_priority */
    uint64_t tag;      /* the sender's */
    struct plex_ref from;
    const char *reason; /* EXIT and DOWN: why; "" */
};

/* Outcome of a call this actor made. */
enum plex_result_status {
    PLEX_CALL_OK = 0,
    PLEX_CALL_FAILED = 1,      /* the callee's handler failed */
    PLEX_CALL_TIMEOUT = 2,     /* it may still have been carried out */
    PLEX_CALL_UNREACHABLE = 3, /* no such type, or nobody owns it */
};

/* Callbacks return 0, or anything else to fail the turn (plex_fail does both).
 * Only `name` and one of the two handle_ functions are required. */
struct plex_behaviour {
    const char *name;        /* [a-z][a-z0-9_-]*; manifests refer to it */
    uint32_t schema_version; /* of the state; newer than this is refused */

    /* After activation, before the first message; the state is loaded. */
    int (*activated)(struct plex_ctx *ctx);
    /* Somebody waits: reply before returning, or the reply is empty. */
    int (*handle_call)(struct plex_ctx *ctx, const struct plex_msg *msg);
    /* Nobody waits. NULL: handle_call is used and its reply is recorded. */
    int (*handle_cast)(struct plex_ctx *ctx, const struct plex_msg *msg);
    int (*handle_timer)(struct plex_ctx *ctx, const char *timer,
                        const void *payload, size_t len);
    /* The outcome of a plex_call() of this actor. */
    int (*handle_reply)(struct plex_ctx *ctx, uint64_t tag,
                        enum plex_result_status status, const void *payload,
                        size_t len);

    /* -- processes (process.h) -- */
    /* First of all, with the arguments of plex_spawn(); failing: no start. */
    int (*init)(struct plex_ctx *ctx, const void *args, size_t len);
    /* Every message that is neither call nor cast. NULL: dropped. */
    int (*handle_info)(struct plex_ctx *ctx, const struct plex_msg *msg);
    /* Last of all, unless it was killed. It may still send. */
    void (*terminate)(struct plex_ctx *ctx, const char *reason);
    size_t data_size; /* of plex_data() */
    bool trap_exit;   /* from the start */
    struct plex_mailbox mailbox;
    /* At most one; the callbacks above are then the engine's own. */
    const struct plex_fsm *fsm;               /* fsm.h */
    const struct plex_event_manager *events;  /* event.h */
    const struct plex_supervisor *supervisor; /* supervisor.h */

    plex_migrate_fn migrate; /* NULL: an older state is used as it is */
    plex_apply_fn apply;     /* event-sourced: sourced.h */
    uint64_t snapshot_bytes; /* then: of events between snapshots; 0: any */
    uint64_t snapshot_ms;    /* and the time; the manifest says how many */
};

struct plex_module {
    uint32_t abi;
    const struct plex_behaviour *behaviours; /* a row without a name ends */
};

/* Put this at the end of a module, once. */
#define PLEX_MODULE(table)                       \
    extern const struct plex_module plex_module; \
    const struct plex_module plex_module         \
        __attribute__((visibility("default"))) = {PLEX_ABI, (table)}

/* -- who and when -- */

/* The key of this actor; the others may be NULL. */
static inline const char *
plex_self(struct plex_ctx *ctx, const char **tenant, const char **ns,
          const char **type)
{
    return ctx->ops->self(ctx, tenant, ns, type);
}
/* Wall clock of the turn, ms since 1970: the same during the whole turn. */
static inline uint64_t
plex_turn_ms(struct plex_ctx *ctx)
{
    return ctx->ops->now_ms(ctx);
}
/* The epoch under which this actor runs: a fencing token for others. */
static inline uint64_t
plex_fencing_token(struct plex_ctx *ctx)
{
    return ctx->ops->epoch(ctx);
}
static inline void
plex_turn_random(struct plex_ctx *ctx, void *out, size_t len)
{
    ctx->ops->random(ctx, out, len);
}

/* -- state: bytes of at most 8 MiB, kept by the runtime -- */

/* Borrowed until the next put or the end of the turn; NULL and 0 at first. */
static inline const void *
plex_state(struct plex_ctx *ctx, size_t *len)
{
    return ctx->ops->state(ctx, len);
}
/* Copy the state into a struct; false (and `out` untouched) when there is
 * none or it has another size. */
static inline bool
plex_state_get(struct plex_ctx *ctx, void *out, size_t size)
{
    size_t len;
    const void *state = ctx->ops->state(ctx, &len);

    if (state == NULL || len != size)
        return false;
    memcpy(out, state, size);
    return true;
}
/* The state from now on; copied. Undone when the turn fails. */
static inline void
plex_state_put(struct plex_ctx *ctx, const void *state, size_t len)
{
    ctx->ops->state_put(ctx, state, len);
}

/* -- answering -- */

/* At most once a turn; a second reply fails the turn. Copied. */
static inline void
plex_reply(struct plex_ctx *ctx, const char *content_type, const void *payload,
           size_t len)
{
    ctx->ops->reply(ctx, 200, content_type, payload, len);
}
static inline void
plex_reply_status(struct plex_ctx *ctx, uint32_t http_status,
                  const char *content_type, const void *payload, size_t len)
{
    ctx->ops->reply(ctx, http_status, content_type, payload, len);
}
static inline void
plex_reply_header(struct plex_ctx *ctx, const char *name, const char *value)
{
    ctx->ops->reply_header(ctx, name, value);
}
/* application/json, formatted. */
__attribute__((format(printf, 2, 3))) static inline void
plex_reply_json(struct plex_ctx *ctx, const char *fmt, ...)
{
    char small[512], *text = small;
    va_list args;
    int len;

    va_start(args, fmt);
    len = vsnprintf(small, sizeof small, fmt, args);
    va_end(args);
    if (len >= (int)sizeof small &&
        (text = (char *)malloc((size_t)len + 1)) != NULL) {
        va_start(args, fmt);
        (void)vsnprintf(text, (size_t)len + 1, fmt, args);
        va_end(args);
    }
    if (len < 0 || text == NULL)
        (void)ctx->ops->fail(ctx, "could not format the reply");
    else
        ctx->ops->reply(ctx, 200, "application/json", text, (size_t)len);
    if (text != small)
        free(text);
}
/* A refusal (400..599): application/problem+json with `source: actor`. The
 * turn itself succeeds. The text is cut at 512 bytes. */
__attribute__((format(printf, 3, 4))) static inline void
plex_reply_problem(struct plex_ctx *ctx, uint32_t http_status, const char *fmt,
                   ...)
{
    char text[512];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    ctx->ops->problem(ctx, http_status, text);
}
/* Fail the turn: nothing of it is kept and the caller gets 500. Returns -1. */
static inline int
plex_fail(struct plex_ctx *ctx, const char *reason)
{
    return ctx->ops->fail(ctx, reason);
}

/* -- messages and timers: they leave when the turn takes effect -- */

/* To `key` of `type` in this actor's tenant and namespace. Copied. */
static inline void
plex_cast(struct plex_ctx *ctx, const char *type, const char *key,
          const void *payload, size_t len)
{
    ctx->ops->send(ctx, false, 0, 0, type, key, payload, len);
}
/* The outcome comes later, as handle_reply with this tag. 1 ms .. 1 h. */
static inline void
plex_call(struct plex_ctx *ctx, const char *type, const char *key,
          const void *payload, size_t len, uint64_t timeout_ms, uint64_t tag)
{
    ctx->ops->send(ctx, true, tag, timeout_ms, type, key, payload, len);
}
/* handle_timer runs once, not before `delay_ms`. The same name again replaces
 * it. A durable actor's timers survive everything; others live as long as the
 * activation, which a timer keeps in memory. */
static inline void
plex_timer_set(struct plex_ctx *ctx, const char *name, uint64_t delay_ms,
               const void *payload, size_t len)
{
    ctx->ops->timer_set(ctx, name, delay_ms, payload, len);
}
static inline void
plex_timer_cancel(struct plex_ctx *ctx, const char *name)
{
    ctx->ops->timer_cancel(ctx, name);
}

/* -- reading the request -- */

/* 1 found, 0 absent, -1 not text. Borrowed until the callback returns. */
static inline int
plex_json_text(struct plex_ctx *ctx, const char *field, const char **out)
{
    return ctx->ops->json_text(ctx, field, out);
}
/* Integers, also written as decimal strings (query parameters are strings). */
static inline int
plex_json_int(struct plex_ctx *ctx, const char *field, int64_t *out)
{
    return ctx->ops->json_int(ctx, field, out);
}
/* A header of the request being handled, case-insensitive; NULL: absent. */
static inline const char *
plex_header(struct plex_ctx *ctx, const char *name)
{
    return ctx->ops->header(ctx, name);
}
/* level: 0 error, 1 warn, 2 info, 3 debug. Cut at 1024 bytes. */
__attribute__((format(printf, 3, 4))) static inline void
plex_logf(struct plex_ctx *ctx, int level, const char *fmt, ...)
{
    char text[1024];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    ctx->ops->log(ctx, level, text);
}

#endif
