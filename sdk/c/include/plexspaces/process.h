#ifndef PLEXSPACES_PROCESS_H
#define PLEXSPACES_PROCESS_H

#include "actor.h"

/*
 * Processes: what an OTP programmer expects of an actor. A process runs one
 * callback at a time on one of the worker's executors; it lives until it exits.
 * A virtual actor has a process while it is active, so all of this is at its
 * service too (a durable one: docs/actors.md says what is recorded).
 *
 * Signals (messages, exits, link and monitor requests, DOWNs) from one process
 * to another arrive in the order in which they were sent, local or remote.
 * Sending never fails: what is sent to nobody is dropped, as in Erlang. Calls
 * that return int give 0, or a PLEX_E_ of status.h for what the caller could
 * have known (text in the log at debug).
 *
 * Waiting (plex_ask, plex_receive, plex_sleep, a synchronous start) suspends
 * the callback on a stack of its own, 64 KiB; other processes run meanwhile.
 * Messages that arrive meanwhile wait in the mailbox; those of a reentrant
 * virtual actor may get their turns (docs/actors.md).
 */

/* -- being -- */

static inline struct plex_ref
plex_self_ref(struct plex_ctx *ctx)
{
    return ctx->process->self(ctx);
}
static inline bool
plex_ref_is(struct plex_ref a, struct plex_ref b)
{
    return a.node == b.node && a.id == b.id;
}
static inline bool
plex_ref_none(struct plex_ref ref)
{
    return ref.id == 0;
}
/* The behaviour's data_size zeroed bytes of this process: plain memory that
 * dies with it. NULL when data_size is 0. */
static inline void *
plex_data(struct plex_ctx *ctx)
{
    return ctx->process->data(ctx);
}
/* Monotonic nanoseconds: deadlines, measuring. */
static inline uint64_t
plex_monotonic_ns(struct plex_ctx *ctx)
{
    return ctx->process->now_ns(ctx);
}

/* -- starting and ending -- */

/*
 * Start a process. `how->behaviour` (a row of a module's table) runs its init
 * with the arguments; args are copied. Without `how->wait` this returns at
 * once and a failing init is an exit; with it, it returns when init has, and a
 * failing init is a negative status with its reason in the log, and no link
 * and no process remain. Errors: PLEX_E_LIMIT (processes_max), PLEX_E_EXISTS
 * (name), PLEX_E_NOT_FOUND (node), PLEX_E_INVALID.
 */
static inline int
plex_spawn(struct plex_ctx *ctx, const struct plex_spawn *how,
           struct plex_ref *out)
{
    return ctx->process->spawn(ctx, how, out);
}
/* This process ends with `reason` ("normal", "shutdown", or what is wrong)
 * when the callback returns. */
static inline void
plex_exit_self(struct plex_ctx *ctx, const char *reason)
{
    ctx->process->exit_self(ctx, reason);
}
/* An exit signal as of OTP's exit/2: "kill" cannot be trapped and arrives at
 * links as "killed"; "normal" is ignored by a process that does not trap,
 * unless sent to itself. */
static inline void
plex_exit(struct plex_ctx *ctx, struct plex_ref whom, const char *reason)
{
    ctx->process->exit(ctx, whom, reason);
}
/* When this process or `other` ends abnormally, the other gets the exit
 * signal. Linking to nobody: exit signal "noproc". Idempotent. */
static inline void
plex_link(struct plex_ctx *ctx, struct plex_ref other)
{
    ctx->process->link(ctx, other);
}
/* After this returns no exit signal through that link arrives any more. */
static inline void
plex_unlink(struct plex_ctx *ctx, struct plex_ref other)
{
    ctx->process->unlink(ctx, other);
}
/* One PLEX_MSG_DOWN with this number as tag when `other` ends, at once with
 * "noproc" when it is nobody, with "noconnection" when its worker is lost. */
static inline uint64_t
plex_monitor(struct plex_ctx *ctx, struct plex_ref other)
{
    return ctx->process->monitor(ctx, other);
}
/* After this returns no DOWN of it is delivered (also none that waits). */
static inline void
plex_demonitor(struct plex_ctx *ctx, uint64_t monitor)
{
    ctx->process->demonitor(ctx, monitor);
}
/* Exit signals of others become PLEX_MSG_EXIT messages to handle_info. */
static inline void
plex_trap_exit(struct plex_ctx *ctx, bool on)
{
    ctx->process->trap_exit(ctx, on);
}

/* -- messages -- */

/* To handle_info, kind PLEX_MSG_INFO. The payload is copied. */
static inline void
plex_send(struct plex_ctx *ctx, struct plex_ref to, uint64_t tag,
          const void *payload, size_t len)
{
    const struct plex_post post = {
        .kind = PLEX_MSG_INFO, .tag = tag, .payload = payload, .len = len};
    ctx->process->send(ctx, to, &post);
}
/* To handle_cast. */
static inline void
plex_cast_ref(struct plex_ctx *ctx, struct plex_ref to, uint64_t tag,
              const void *payload, size_t len)
{
    const struct plex_post post = {
        .kind = PLEX_MSG_CAST, .tag = tag, .payload = payload, .len = len};
    ctx->process->send(ctx, to, &post);
}
/* All options: priority, ttl, id, and moving a payload instead of copying it
 * (post->release). 0, or PLEX_E_LIMIT when the receiver's bounded mailbox
 * refuses (ERROR), or PLEX_E_TIMEOUT when BLOCK waited in vain. */
static inline int
plex_post(struct plex_ctx *ctx, struct plex_ref to,
          const struct plex_post *post)
{
    return ctx->process->send(ctx, to, post);
}
/*
 * Call and wait. 0 and the answer (borrowed until the callback returns or asks
 * again), or PLEX_E_TIMEOUT (a late answer is dropped), PLEX_E_NOT_FOUND
 * (nobody), PLEX_E_FAILED (it ended before it answered, or all wait for one
 * another; answer->reason says how), PLEX_E_UNAVAILABLE (its worker is unknown,
 * or was lost). timeout_ms 0: 5,000; UINT64_MAX: none.
 */
static inline int
plex_ask(struct plex_ctx *ctx, struct plex_ref to, uint64_t tag,
         const void *payload, size_t len, uint64_t timeout_ms,
         struct plex_msg *answer)
{
    const struct plex_post post = {
        .kind = PLEX_MSG_CALL, .tag = tag, .payload = payload, .len = len};
    return ctx->process->ask(ctx, to, &post, timeout_ms, answer);
}
/* Call; the outcome comes to handle_reply with this tag. */
static inline void
plex_call_ref(struct plex_ctx *ctx, struct plex_ref to, const void *payload,
              size_t len, uint64_t timeout_ms, uint64_t tag)
{
    const struct plex_post post = {
        .kind = PLEX_MSG_CALL, .tag = tag, .payload = payload, .len = len};
    ctx->process->call(ctx, to, &post, timeout_ms);
}
/* Reply later: take who asked, return without a reply from handle_call (it
 * must call this), answer with plex_answer() from any later callback. */
static inline struct plex_from
plex_reply_later(struct plex_ctx *ctx)
{
    return ctx->process->reply_later(ctx);
}
/* PLEX_E_EXISTS when that caller has been answered already. */
static inline int
plex_answer(struct plex_ctx *ctx, const struct plex_from *to,
            const void *payload, size_t len)
{
    return ctx->process->answer(ctx, to, payload, len);
}
/* The same to a caller from outside, as plex_reply_status() and
 * plex_reply_header() would: processes that asked get the payload. */
struct plex_http_answer {
    uint32_t status;            /* 200..599 */
    const char *content_type;   /* NULL: application/json */
    const char *const *headers; /* name, value, ..., NULL; NULL: none */
    const void *payload;
    size_t len;
};
/* PLEX_E_INVALID: a status or header that HTTP does not have. */
static inline int
plex_answer_http(struct plex_ctx *ctx, const struct plex_from *to,
                 const struct plex_http_answer *answer)
{
    return ctx->process->answer_http(ctx, to, answer);
}
/* The message being handled, unchanged, to another: sender and caller stay. */
static inline int
plex_forward(struct plex_ctx *ctx, struct plex_ref to)
{
    return ctx->process->forward(ctx, to);
}
/* Selective receive: the first message in the mailbox, or the next to come,
 * for which `match` is true. Others stay, in order. *out is borrowed until the
 * next one or until the callback returns; a call is answered with
 * plex_reply_later() and plex_answer(). PLEX_E_TIMEOUT. */
static inline int
plex_receive(struct plex_ctx *ctx, plex_match_fn match, void *arg,
             uint64_t timeout_ms, struct plex_msg *out)
{
    return ctx->process->receive(ctx, match, arg, timeout_ms, out);
}
static inline void
plex_sleep(struct plex_ctx *ctx, uint64_t ms)
{
    (void)ctx->process->receive(ctx, NULL, NULL, ms, NULL);
}

/* -- timers: never early; they die with the process they are for -- */

/* PLEX_MSG_TIMER with `tag` to `to` after delay_ms, then, when interval_ms is
 * not 0, every interval_ms, without drift. Returns a number to cancel by. */
static inline uint64_t
plex_send_after(struct plex_ctx *ctx, struct plex_ref to, uint64_t delay_ms,
                uint64_t interval_ms, uint64_t tag)
{
    return ctx->process->send_after(ctx, to, delay_ms, interval_ms, tag);
}
/* True when it had not fired. Its message is not delivered after this. */
static inline bool
plex_cancel_timer(struct plex_ctx *ctx, uint64_t timer)
{
    return ctx->process->cancel_timer(ctx, timer);
}

/* -- becoming -- */

/* Messages go to the callbacks of `behaviour` from the next one on (stack of
 * at most 16); data stays. PLEX_E_LIMIT. */
static inline int
plex_become(struct plex_ctx *ctx, const struct plex_behaviour *behaviour)
{
    return ctx->process->become(ctx, behaviour);
}
/* PLEX_E_INVALID at the bottom. */
static inline int
plex_unbecome(struct plex_ctx *ctx)
{
    return ctx->process->become(ctx, NULL);
}
/* Give back what can be allocated again until the next message. */
static inline void
plex_hibernate(struct plex_ctx *ctx)
{
    ctx->process->hibernate(ctx);
}

/* -- names: of this tenant and namespace -- */

/* On this worker: 1..255 bytes, no '@'. PLEX_E_EXISTS, or PLEX_E_INVALID when
 * this process has a name already. It goes when the process ends. */
static inline int
plex_register(struct plex_ctx *ctx, const char *name)
{
    return ctx->process->name_set(ctx, name);
}
static inline int
plex_unregister(struct plex_ctx *ctx, const char *name)
{
    return ctx->process->name_clear(ctx, name);
}
/* "name": here; "name@node": there (the name is looked up there when a message
 * arrives; links and monitors stay with who had it then); "type/key": a virtual
 * actor. A ref to send to; none when nobody has that local name. */
static inline struct plex_ref
plex_whereis(struct plex_ctx *ctx, const char *name)
{
    return ctx->process->whereis(ctx, name);
}
/* Text of a ref: "name@node", "type/key" or "<node.slot.generation>": the form
 * in which to hand one to somebody. At most 512 bytes with the final 0. */
static inline size_t
plex_ref_text(struct plex_ctx *ctx, struct plex_ref ref, char *out, size_t size)
{
    return ctx->process->ref_text(ctx, ref, out, size);
}

#include "server.h"

#endif
