#ifndef RUNTIME_FACET_H
#define RUNTIME_FACET_H

#include "common/err.h"
#include "sdk/c/include/plexspaces/facet.h"

/*
 * Chains of facets, for whoever runs handlers: the runtime for processes, the
 * worker for turns of virtual actors. Pure: time and randomness come in, what
 * must happen outside is popped with rt_facets_next() after each call.
 *
 * A message:
 *
 *     struct rt_facet_call call = {.client = principal};
 *     rt_facets_pass(chain, &call, msg, &host, arg);
 *     rt_facets_end(chain, &call);
 *
 * which asks the host to run the handler, to run it again, to answer something
 * else or to fail, as the facets say.
 *
 * Threads: a plan is immutable and may be shared; a chain belongs to one
 * thread at a time (its actor's executor).
 */
struct rt_facet_plan;
struct rt_facets;

enum {
    RT_FACETS_MAX = 16,  /* per chain */
    RT_FACET_PAIRS = 32, /* of one facet's configuration */
    RT_FACET_VALUE_MAX = 4096,
    RT_FACET_ACTIONS_MAX = 1024, /* waiting to be popped; more are dropped and
                                    counted */
    RT_FACET_PRIORITY_MAX = 10000,
};

/* -- types ----------------------------------------------------------------- */

/* The built-in ones; a NULL ends. */
extern const struct plex_facet_type *const rt_facet_builtin[];
/* More of them, those of modules: found as "<module>/<name>". */
struct rt_facet_module {
    const char *module;
    const struct plex_facet_type *types; /* a row without a name ends */
};
struct rt_facet_types {
    const struct rt_facet_module *modules;
    size_t n_modules;
};
/* `types` may be NULL: the built-in ones. NULL: unknown. */
const struct plex_facet_type *rt_facet_type(const struct rt_facet_types *types,
                                            const char *name);

struct rt_facet_spec {
    const char *type;
    uint32_t priority; /* 0: the type's own */
    const struct plex_facet_pair *config;
    size_t n_config;
};
/* Everything that is wrong with it, without a chain. PLEX_INVALID names the
 * facet or key, the nearest known one, or the range. A facet of a module that
 * is not among `types` is checked for form only when `lenient`. */
PLEX_MUST_USE enum plex_status rt_facet_check(
    const struct rt_facet_types *types, const struct rt_facet_spec *spec,
    bool lenient, struct plex_err *err);
/* "5m" and the like, as PLEX_FACET_DURATION; at most 30 days. */
PLEX_MUST_USE enum plex_status rt_facet_duration(const char *text, uint64_t *ms,
                                                 struct plex_err *err);

/* -- plans: what a type of actors declares, checked and parsed once -------- */

/* Errors: those of rt_facet_check(); PLEX_EXISTS for a type given twice;
 * PLEX_LIMIT. Everything is copied but the types' own tables. */
PLEX_MUST_USE enum plex_status rt_facet_plan_create(
    const struct rt_facet_types *types, const struct rt_facet_spec *specs,
    size_t n, struct rt_facet_plan **out, struct plex_err *err);
/* After every chain made from it. Accepts NULL. */
void rt_facet_plan_free(struct rt_facet_plan *plan);
/* The parsed configuration of a facet (virtual_actor: below), or NULL. */
const void *rt_facet_plan_config(const struct rt_facet_plan *plan,
                                 const char *type);

/* virtual_actor only configures: the host does what it says. */
struct rt_facet_virtual {
    uint64_t idle_timeout_ms;
    uint32_t activation;      /* 0 lazy, 1 eager, 2 prewarm */
    uint64_t max_active;      /* of the type on one worker; 0: no bound */
    uint64_t memory_max;      /* bytes of their states there; 0: no bound */
    uint32_t eviction;        /* 0 lru, 1 memory_pressure */
    bool persist;             /* on deactivation */
    uint32_t reentrancy;      /* 0 none, 1 call_chain, 2 always */
    const char *prewarm_keys; /* comma-separated */
};

/* -- chains ---------------------------------------------------------------- */

struct rt_facet_when {
    uint64_t now_ns;
    uint64_t wall_ms;
    uint64_t random; /* seeds what this call hands to hooks */
};
/* `plan` may be NULL: an empty chain. `actor` and `family` are copied. Attach
 * hooks run; one that fails is PLEX_FAILED and there is no chain. */
PLEX_MUST_USE enum plex_status rt_facets_create(
    const struct rt_facet_plan *plan, const char *actor, const char *family,
    struct rt_facet_when when, struct rt_facets **out, struct plex_err *err);
/* Without detach hooks: the actor was killed. Accepts NULL. */
void rt_facets_free(struct rt_facets *chain);
/* At run time; PLEX_EXISTS, PLEX_INVALID, PLEX_LIMIT, PLEX_FAILED. During a
 * call it takes part from the next message on. */
PLEX_MUST_USE enum plex_status rt_facets_attach(
    struct rt_facets *chain, const struct rt_facet_types *types,
    const struct rt_facet_spec *spec, struct rt_facet_when when,
    struct plex_err *err);
/* PLEX_NOT_FOUND. During a call its after and error hooks are left out. */
PLEX_MUST_USE enum plex_status rt_facets_detach(struct rt_facets *chain,
                                                const char *type,
                                                struct rt_facet_when when,
                                                struct plex_err *err);
struct rt_facet_info {
    const char *type;
    uint32_t priority;
};
/* In order of the chain; returns how many there are. */
size_t rt_facets_list(const struct rt_facets *chain, struct rt_facet_info *out,
                      size_t max);

/* The actor's life, each in order of the chain; detach in the opposite one. */
void rt_facets_init_complete(struct rt_facets *chain,
                             struct rt_facet_when when);
void rt_facets_terminate(struct rt_facets *chain, const char *reason,
                         struct rt_facet_when when);
void rt_facets_exit(struct rt_facets *chain, struct plex_ref who,
                    const char *reason, struct rt_facet_when when);
void rt_facets_down(struct rt_facets *chain, struct plex_ref who,
                    const char *reason, struct rt_facet_when when);
/* All detach hooks; the chain is empty then. */
void rt_facets_detach_all(struct rt_facets *chain, struct rt_facet_when when);

enum rt_facets_verdict {
    RT_FACETS_RUN = 1, /* the handler, with call.msg */
    RT_FACETS_RESULT,  /* answer call.result */
    RT_FACETS_RETRY,   /* run it again after call.backoff_ms */
    RT_FACETS_FAIL,    /* with call.error */
};
struct rt_facet_call {
    /* Set before rt_facets_before(); NULL: not known. */
    const char *client;
    const char *traceparent;
    struct plex_msg msg; /* with the payload that the handler gets */
    struct plex_facet_result result;
    const char *header, *header_value; /* one more of the result, or NULL */
    const char *problem; /* not NULL: the result is a problem with this detail
                            and result.http_status; no payload then */
    const char *error;
    uint64_t backoff_ms;
    uint32_t attempts; /* of the handler, so far */
    /* The chain's. */
    uint64_t started_ns;
    size_t n;
    struct rt_facet_slot {
        uint64_t serial, token;
    } passed[RT_FACETS_MAX];
    void *memory;
};
/* Calls of one actor may nest (a handler that waits lets others in), each with
 * a struct of its own. `msg` is copied, what it points to is borrowed until
 * rt_facets_end(). */
enum rt_facets_verdict rt_facets_before(struct rt_facets *chain,
                                        struct rt_facet_call *call,
                                        const struct plex_msg *msg,
                                        struct rt_facet_when when);
/* The handler succeeded with this result (took_ns is filled in): RESULT with
 * call.result, changed or not. */
enum rt_facets_verdict rt_facets_after(struct rt_facets *chain,
                                       struct rt_facet_call *call,
                                       const struct plex_facet_result *result,
                                       struct rt_facet_when when);
/* It failed: RETRY, RESULT (a default), or FAIL. */
enum rt_facets_verdict rt_facets_error(struct rt_facets *chain,
                                       struct rt_facet_call *call,
                                       const char *error,
                                       struct rt_facet_when when);
/* What came of running the handler once. */
struct rt_facet_attempt {
    bool gone;         /* with the actor: nobody is to hear of it */
    bool lasts;        /* what it did cannot be undone: it is not run again */
    const char *error; /* NULL: it succeeded, with */
    struct plex_facet_result result;
};
/* Who runs handlers; each function gets the `arg` of rt_facets_pass(). */
struct rt_facet_host {
    struct rt_facet_when (*when)(void *arg);
    /* The handler is to read fields from this message, not the one sent. */
    void (*replaced)(void *arg, const struct plex_msg *msg);
    void (*attempt)(void *arg, const struct plex_msg *msg,
                    struct rt_facet_attempt *out);
    /* Undo the attempt and let the pause pass; false: nothing can be run any
     * more. */
    bool (*again)(void *arg, uint64_t backoff_ms);
    /* call->result in place of whatever the attempt has left, if any. */
    void (*answer)(void *arg, const struct rt_facet_call *call);
    void (*failed)(void *arg, const char *error);
};
/* A message through the chain, to the end; answer() or failed() or neither is
 * called: then the attempt stands as it is. */
void rt_facets_pass(struct rt_facets *chain, struct rt_facet_call *call,
                    const struct plex_msg *msg,
                    const struct rt_facet_host *host, void *arg);
/* Always, once per rt_facets_before(); also when the actor was killed. */
void rt_facets_end(struct rt_facets *chain, struct rt_facet_call *call);

/* plex_facet_invoke(): 0 or a negative plex_status. The answer is valid until
 * the chain's next call. */
int rt_facets_invoke(struct rt_facets *chain, const char *type, const char *op,
                     const void *in, size_t len, const void **answer,
                     size_t *answer_len, struct rt_facet_when when);
/* ops->facet as a whole, for the handler's context. */
int rt_facets_request(struct rt_facets *chain,
                      const struct rt_facet_types *types,
                      struct plex_facet_request *request,
                      struct rt_facet_when when);

/* When rt_facets_tick() is due; UINT64_MAX: never. */
uint64_t rt_facets_due_ns(const struct rt_facets *chain);
void rt_facets_tick(struct rt_facets *chain, struct rt_facet_when when);
/* Pop an action; its texts are valid until the next call of this chain. False
 * when there is none. */
bool rt_facets_next(struct rt_facets *chain, struct plex_facet_action *out);
uint64_t rt_facets_dropped(const struct rt_facets *chain);

/* What the facets keep over a passivation, as one blob (*len 0: nothing);
 * valid until the next call. Restore right after create; what does not fit is
 * ignored. */
const void *rt_facets_save(struct rt_facets *chain, size_t *len,
                           struct rt_facet_when when);
void rt_facets_restore(struct rt_facets *chain, const void *blob, size_t len,
                       struct rt_facet_when when);

#endif
