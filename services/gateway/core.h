#ifndef SERVICES_GATEWAY_CORE_H
#define SERVICES_GATEWAY_CORE_H

#include "common/context.h"
#include "services/placement/client.h"
#include "services/registry/client.h"
#include "services/worker/client.h"

/*
 * The gateway's mind: where a call to an actor goes, when it is tried again,
 * and what the client is told. A pure state machine: time comes in as
 * plex_now() nanoseconds, everything to be done outside comes out of
 * gate_core_next(). Same inputs in the same order, same actions.
 *
 * Rules. A call goes to the owner of its shard. Without an owner it waits for
 * a table that has one. NOT_OWNER, FENCED and UNAVAILABLE mean "surely not
 * done": it is tried again after a pause that doubles, or at once when a newer
 * table came. UNKNOWN (the worker was lost) means "perhaps done": a durable
 * type's call is sent again with the same id, which its journal deduplicates;
 * any other call ends with 503 OUTCOME_UNKNOWN and is never sent twice. Calls
 * to stateless types go to any ready worker of the pool instead, by their
 * route, and again to another one than has surely not done it. A
 * durable call in flight to a worker that no longer owns the shard is sent to
 * the new owner at once, so a worker that hangs costs a lease, not a deadline;
 * a call to another type gets GATE_GRACE_MS more and then ends as unknown.
 * All of it inside the context's deadline.
 */
enum {
    GATE_BACKOFF_MIN_MS = 2,
    GATE_BACKOFF_MAX_MS = 100,
    GATE_GRACE_MS = 1000,
    /* How long a worker may not know a type that the catalogue has. */
    GATE_TYPE_LAG_MS = 2000,
};

/* What the client is told instead of a reply: one RFC 9457 problem. */
struct gate_problem {
    unsigned status;        /* HTTP */
    const char *code;       /* "NO_OWNER"; static */
    const char *source;     /* "gateway" | "worker" | "actor"; static */
    bool outcome_unknown;   /* it may have been done */
    unsigned retry_after_s; /* 0: no such header */
    char detail[PLEX_ERR_TEXT_MAX];
};

/*
 * One call. The caller owns the memory, fills the first part (all borrowed
 * until the RESPOND action was popped) and zeroes the rest. context->deadline
 * must be set. message->id must be set: every attempt carries the same.
 */
struct gate_call {
    const struct plex_context *context;
    const struct work_message *message;

    /* The core's own. */
    struct gate_call *next, *prev; /* its list: in flight or waiting */
    struct gate_call *todo_next;   /* queue of actions */
    unsigned char state;
    unsigned char todo; /* bits of actions to come */
    bool queued;        /* for actions */
    bool durable;
    enum plex_spread route; /* of a stateless type; 0: it has keys */
    uint64_t worker;        /* stateless: incarnation of the newest target */
    uint64_t refused;       /* the same, that surely did not do it */
    bool maybe_done;        /* some attempt ended unknown */
    unsigned char why;      /* what it waits for */
    uint32_t attempt;       /* the newest; 0: none yet */
    uint32_t abandoned;     /* the one to be abandoned */
    const struct place_worker *target; /* of the newest attempt */
    uint32_t pauses;                   /* in a row, for the backoff */
    uint32_t shard;
    uint64_t epoch;    /* of the newest attempt's target */
    uint64_t accepted; /* now_ns when it came */
    uint64_t wake;     /* now_ns */
    size_t heap_at;    /* 1-based; 0: not in the heap */
    uint64_t order;
    const struct work_reply *reply;
    struct gate_problem problem; /* set when responding without reply */
};

struct gate_core_config {
    uint32_t calls_max; /* in service at once; more end 503 OVERLOADED */
};

struct gate_core;
struct gate_core *gate_core_create(const struct gate_core_config *config);
/* Calls still in service are forgotten, not answered. Accepts NULL. */
void gate_core_free(struct gate_core *core);

/* -- inputs ----------------------------------------------------------------
 * The core keeps a reference of its own. Tables with an older or the same
 * version as the one it has are ignored. */
void gate_core_catalog(struct gate_core *core, struct reg_catalog *catalog);
void gate_core_table(struct gate_core *core, struct place_table *table,
                     uint64_t now_ns);
/* A new call; it ends with exactly one RESPOND action. */
void gate_core_call(struct gate_core *core, struct gate_call *call,
                    uint64_t now_ns);
/*
 * What became of attempt `attempt` of a call that has not been answered yet,
 * as work_invoke_fn says. Results of abandoned attempts are ignored. `reply`
 * (may be NULL unless OK) and `text` are borrowed, the reply until the RESPOND
 * action was popped: pop all actions before letting go of it.
 *
 * An attempt must end by the context's deadline (TIMEOUT, as links do): the
 * core keeps no timer for calls in flight.
 */
void gate_core_result(struct gate_core *core, struct gate_call *call,
                      uint32_t attempt, enum plex_status status,
                      const char *text, const struct work_reply *reply,
                      uint64_t now_ns);
/* Do what is due. */
void gate_core_tick(struct gate_core *core, uint64_t now_ns);
/* When the next tick is needed; UINT64_MAX: not before another input. */
uint64_t gate_core_deadline(const struct gate_core *core);

/* -- outputs ----------------------------------------------------------------
 */

enum gate_action_kind {
    /* Send call->message under call->context to `url` (borrowed until the
     * next gate_core_table) as attempt number `attempt`. */
    GATE_INVOKE = 1,
    /* Attempt number `attempt` does not matter any more: cancel it. Its result
     * may still be given to gate_core_result, unless the call was answered. */
    GATE_ABANDON,
    /* Somebody knows a newer table (at least `version`; 0: not said). */
    GATE_REFRESH,
    /* Answer: `reply` as it is (reply->failed: the handler failed, which
     * call->problem then also says), or call->problem when it is NULL. The
     * call is the caller's again. */
    GATE_RESPOND,
};
struct gate_action {
    enum gate_action_kind kind;
    struct gate_call *call;
    uint32_t attempt;
    const char *url;
    const char *node_id;
    uint64_t version;
    const struct work_reply *reply;
};
/* Pop one; false when there is none. */
bool gate_core_next(struct gate_core *core, struct gate_action *out);

/* Calls in service (accepted, RESPOND not yet popped). */
uint32_t gate_core_calls(const struct gate_core *core);
/* Borrowed; NULL before the first. */
const struct reg_catalog *gate_core_catalog_now(const struct gate_core *core);
const struct place_table *gate_core_table_now(const struct gate_core *core);

/* Counted since the start. */
struct gate_core_stats {
    uint64_t attempts;
    uint64_t retries; /* attempts after a call's first */
    uint64_t waits;   /* for an owner */
    uint64_t unknown; /* attempts whose outcome is unknown */
    uint64_t moved;   /* calls in flight sent on after a table change */
};
const struct gate_core_stats *gate_core_stats(const struct gate_core *core);

#endif
