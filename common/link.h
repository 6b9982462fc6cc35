#ifndef COMMON_LINK_H
#define COMMON_LINK_H

#include "common/bytes.h"
#include "common/context.h"
#include "common/loop.h"
#include "common/metrics.h"

/*
 * Links between daemons: one inbox per service instance, one outbox per peer,
 * frames of many envelopes (docs/wire.md, proto link.v1). Everything here
 * belongs to the loop thread of the instance.
 *
 * Delivery: an envelope is sent at most once per attempt and envelopes to one
 * peer stay in order. A call ends exactly once: with the reply, an error, its
 * deadline, its cancellation, or the loss of the peer.
 */
struct plex_link;

/* -- serving ------------------------------------------------------------- */

/* One request being served. Valid until it is answered; if its peer is lost
 * or cancels meanwhile, answering is still required and goes nowhere. */
struct plex_call;

typedef void (*plex_method_fn)(void *state, struct plex_call *call);

struct plex_method {
    uint32_t id;      /* value of the method enum in proto/ */
    const char *name; /* for logs and metrics only, never dispatched on */
    plex_method_fn handle;
};

/* Borrowed until the call is answered. */
const struct plex_context *plex_call_context(const struct plex_call *call);
/* Borrowed until the handler returns, then gone: decode at once. */
struct plex_bytes plex_call_payload(const struct plex_call *call);
/* True once the caller gave up (cancel, deadline, lost): work may be skipped.
 */
bool plex_call_abandoned(const struct plex_call *call);
/* Be told, once, when the caller cancels or is lost (not of its deadline, for
 * which the handler has the context's). `fn` may answer; so must somebody. */
void plex_call_on_abandon(struct plex_call *call,
                          void (*fn)(void *arg, struct plex_call *call),
                          void *arg);
/* Answer, any time after the handler was called; the call is then gone.
 * `payload` is copied. A status but PLEX_OK carries `text` instead, and may
 * carry a payload too (e.g. the newer table version). */
void plex_call_reply(struct plex_call *call, struct plex_bytes payload);
void plex_call_fail(struct plex_call *call, enum plex_status status,
                    const char *text, struct plex_bytes payload);
void plex_call_refuse(struct plex_call *call, const struct plex_err *err);
/* With what was packed into `out`, or, when that or what came before it was
 * not PLEX_OK, with `err`. */
void plex_call_answer(struct plex_call *call, enum plex_status status,
                      const struct plex_buf *out, const struct plex_err *err);

/* -- calling ------------------------------------------------------------- */

struct plex_link_result {
    enum plex_status status;
    const char *text;          /* "" when ok */
    struct plex_bytes payload; /* borrowed until the function returns */
    /* With a status but PLEX_OK: may the peer have acted? False when the
     * request surely never left or the peer itself answered. */
    bool outcome_unknown;
};

/* Runs exactly once per call, on the loop, never inside plex_link_call. */
typedef void (*plex_link_fn)(void *arg, const struct plex_link_result *result);

struct plex_link_request {
    const char *peer; /* URL of the peer's inbox; copied */
    uint32_t method;
    const struct plex_context *context; /* copied; its deadline bounds the
                                           call; none means 30 s */
    struct plex_bytes payload;          /* copied */
    /* Send again, with the same envelope id, whenever the peer was lost,
     * restarted or could not be reached, until the deadline. Only for methods
     * that are idempotent by content: then outcomes are never unknown before
     * the deadline. */
    bool retry;
    plex_link_fn done;
    void *arg;
};

/* Returns an id for plex_link_cancel. A full queue or an impossible URL is
 * reported through done() (PLEX_LIMIT, PLEX_INVALID). */
uint64_t plex_link_call(struct plex_link *link,
                        const struct plex_link_request *request);
/* done() then runs with PLEX_CANCELLED; unknown ids are ignored. */
void plex_link_cancel(struct plex_link *link, uint64_t id);
/* One way, no answer; dropped silently if the peer is lost: hints only. */
void plex_link_event(struct plex_link *link, const char *peer, uint32_t method,
                     const struct plex_context *context,
                     struct plex_bytes payload);

/* -- life ---------------------------------------------------------------- */

enum {
    PLEX_LINK_FRAME_MAX = 17
                          << 20, /* bytes; larger frames are dropped unread */
    PLEX_LINK_BATCH_BYTES = 256 << 10, /* an outbox flushes at this size */
    PLEX_LINK_INFLIGHT_MAX = 65536,    /* pending calls per peer */
    PLEX_LINK_QUEUE_MAX = 64 << 20,    /* bytes waiting per peer */
    PLEX_LINK_CONNECT_MS = 1000, /* unsent calls fail UNAVAILABLE after this */
};

struct plex_link_config {
    const char *listen_url; /* inproc://, ipc://, tcp://; also our name to
                               peers, so it must be reachable by them */
    const struct plex_method *methods; /* id 0 ends */
    void *state;                       /* first argument of every handler */
    struct plex_metrics *metrics;      /* may be NULL */
};

/* Errors: PLEX_INVALID (URL), PLEX_UNAVAILABLE (address in use). */
PLEX_MUST_USE enum plex_status plex_link_open(struct plex_link **out,
                                              struct plex_loop *loop,
                                              const struct plex_link_config *c,
                                              struct plex_err *err);
/* Refuse new requests (UNAVAILABLE), keep answering old ones and calling. */
void plex_link_drain(struct plex_link *link);
/* Drain, and fail every pending call with PLEX_CANCELLED now: their done() has
 * run when this returns. Used by the service skeleton before a service's
 * stop(), which may still send events and cancel calls; a call made there ends
 * in plex_link_close(). Not from inside a handler. */
void plex_link_end(struct plex_link *link);
/* Requests received and not yet answered. */
size_t plex_link_serving(const struct plex_link *link);
/* Fails what is pending with PLEX_CANCELLED, then releases everything.
 * Accepts NULL. Unanswered plex_calls become invalid. */
void plex_link_close(struct plex_link *link);

/* The URL peers reach us by: the real port where tcp://...:0 was given. */
const char *plex_link_url(const struct plex_link *link);

#endif
