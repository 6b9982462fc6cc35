#ifndef PLEXSPACES_FACET_H
#define PLEXSPACES_FACET_H

#include "actor.h"

/*
 * Facets: what stands around an actor's handler. A facet sees every message
 * before the handler and every result or error after it, and may change them;
 * it hears of the actor's life; it may keep data, set wake-ups, log and count.
 * The manifest says which facets a type has; plex_facet_attach() adds one at
 * run time. At most one of each type per actor.
 *
 * The facets of an actor form a chain in order of priority, higher first
 * (1000 and more security, 900-999 logging and tracing, 800-899 metrics,
 * 100-500 the domain, 1-99 persistence). `before` runs in that order, `after`
 * and `error` in the opposite one, for those facets whose `before` let the
 * message pass. So a facet encloses all that have lower priorities.
 *
 * Hooks are pure: they know no clock but facet->now_ns, must not block, and
 * do everything to the outside by plex_facet_act(). They run on the actor's
 * executor, one at a time. Bytes and texts that a hook puts into `out` must
 * live until the call ends: constants, the facet's config or data, or
 * plex_facet_alloc().
 */
struct plex_facet;
struct plex_facet_action;

enum plex_facet_verdict {
    PLEX_FACET_CONTINUE = 0,  /* as if the facet were not there */
    PLEX_FACET_PROPAGATE = 0, /* the same, of errors */
    PLEX_FACET_REPLACE,       /* before: the payload; after: the result */
    PLEX_FACET_SHORT_CIRCUIT, /* before: this is the result; the handler and
                                 the facets below do not see the message */
    PLEX_FACET_RETRY,     /* error: the handler again, after out->backoff_ms,
                             at most out->max_attempts times in all */
    PLEX_FACET_DEFAULT,   /* error: this is the result, there was no error */
    PLEX_FACET_TRANSFORM, /* error: out->text is the error from here on */
};
/* What a verdict needs; zeroed before the hook. */
struct plex_facet_out {
    uint32_t http_status;     /* of a result; 0 means 200 */
    const char *content_type; /* NULL: application/json */
    const void *payload;
    size_t len;
    const char *header, *header_value; /* one more header, or NULL */
    const char *text; /* not NULL with SHORT_CIRCUIT and DEFAULT: an
                         application/problem+json of this status and detail */
    uint32_t max_attempts;
    uint64_t backoff_ms;
};
/* What `after` sees. */
struct plex_facet_result {
    uint32_t http_status;
    const char *content_type;
    const void *payload;
    size_t len;
    uint64_t took_ns; /* since the first facet saw the message */
};

/* -- configuration: text in the manifest, a struct for the hooks -- */

enum plex_facet_value {
    PLEX_FACET_TEXT = 1, /* const char *; min..max bytes */
    PLEX_FACET_NUMBER,   /* uint64_t; min..max */
    PLEX_FACET_DURATION, /* uint64_t, ms; "250ms", "30s", "5m", "2h", "1d" or
                            a number of ms; min..max ms */
    PLEX_FACET_BOOL,     /* bool; "true" or "false" */
    PLEX_FACET_RATIO,    /* double; 0 to 1 */
    PLEX_FACET_CHOICE,   /* uint32_t; which of `choices`, from 0 */
    PLEX_FACET_SECONDS,  /* uint64_t, ms; a number of seconds; min..max s */
};
/* As `initial`: another name of the key above it that has the same offset. */
#define PLEX_FACET_ALIAS "="
struct plex_facet_key {
    const char *name;
    enum plex_facet_value kind;
    size_t offset;       /* of the value in the config struct */
    const char *initial; /* the default; NULL: must be given */
    uint64_t min, max;   /* max 0: none */
    const char *choices; /* "lazy|eager" */
};

/* -- a facet type -- */

/* Every hook may be NULL. */
struct plex_facet_type {
    const char *name; /* [a-z][a-z0-9_]* */
    uint32_t priority;
    const struct plex_facet_key *keys; /* a row without a name ends; NULL */
    size_t config_size;
    size_t data_size;
    /* What the keys alone cannot say: 0, or -1 with a text in `why`. */
    int (*check)(void *config, char *why, size_t size);

    int (*attach)(struct plex_facet *facet); /* not 0: is not attached */
    void (*detach)(struct plex_facet *facet);
    /* The actor's init or activated has succeeded; at once when the facet is
     * attached after that. */
    void (*init_complete)(struct plex_facet *facet);
    void (*terminate_start)(struct plex_facet *facet, const char *reason);
    /* Of another process: through a link, of a monitor. */
    void (*exit)(struct plex_facet *facet, struct plex_ref who,
                 const char *reason);
    void (*down)(struct plex_facet *facet, struct plex_ref who,
                 const char *reason);

    enum plex_facet_verdict (*before)(struct plex_facet *facet,
                                      const struct plex_msg *msg,
                                      struct plex_facet_out *out);
    enum plex_facet_verdict (*after)(struct plex_facet *facet,
                                     const struct plex_msg *msg,
                                     const struct plex_facet_result *result,
                                     struct plex_facet_out *out);
    enum plex_facet_verdict (*error)(struct plex_facet *facet,
                                     const struct plex_msg *msg,
                                     const char *error,
                                     struct plex_facet_out *out);
    /* A PLEX_FACET_WAKE is due. */
    void (*wake)(struct plex_facet *facet);
    /* plex_facet_invoke(): 0, or a negative plex_status. out->payload is the
     * answer. */
    int (*invoke)(struct plex_facet *facet, const char *op, const void *in,
                  size_t len, struct plex_facet_out *out);
    /* Data that outlives the activation: bytes out (plex_facet_alloc), bytes
     * in (0, or not 0: unusable, start anew). */
    const void *(*save)(struct plex_facet *facet, size_t *len);
    int (*restore)(struct plex_facet *facet, const void *state, size_t len);
    /* Frees what `data` points to; after detach, also when attach failed. */
    void (*fini)(void *data);
};

/* A module's own: put this beside PLEX_MODULE. The manifest names them
 * "<module>/<facet>". A row without a name ends the table. */
#define PLEX_MODULE_FACETS(table)                                  \
    extern const struct plex_facet_type *const plex_module_facets; \
    const struct plex_facet_type *const plex_module_facets         \
        __attribute__((visibility("default"))) = (table)

/* -- for hooks -- */

enum plex_facet_act {
    PLEX_FACET_LOG = 1, /* level; text; with name "stdout", "syslog" or "file"
                           (labels: its name) there, else in the log */
    PLEX_FACET_COUNT,   /* name, labels; number is added */
    PLEX_FACET_OBSERVE, /* name, labels; number (ns) goes to a histogram */
    PLEX_FACET_GAUGE,   /* name, labels; number is set */
    PLEX_FACET_SPAN,    /* text: a line of standard output; with name "otlp" or
                           "zipkin": for the URL `labels`, service `payload` */
    PLEX_FACET_TICK,    /* handle_timer with name; number: which firing */
    PLEX_FACET_PUBLISH, /* to group `name`, tagged as below: payload */
    PLEX_FACET_JOIN,    /* group `name`, of at most `number` members; 0: any */
    PLEX_FACET_LEAVE,
    PLEX_FACET_EVENT, /* text: what became of the actor `labels`, for events */
};
#define PLEX_FACET_EVENT_TAG UINT64_C(0x706c65782d657674)
struct plex_facet_action { /* copied */
    enum plex_facet_act kind;
    int level;          /* 0 error .. 3 debug */
    const char *name;   /* a metric's full name, a timer, a group */
    const char *labels; /* "method=\"GET\"", or NULL */
    const char *text;
    uint64_t number;
    const void *payload;
    size_t len;
};
struct plex_facet_ops { /* filled in by the chain */
    void (*act)(struct plex_facet *facet,
                const struct plex_facet_action *action);
    void *(*alloc)(struct plex_facet *facet, size_t size);
    void (*wake_at)(struct plex_facet *facet, uint64_t due_ns);
};
struct plex_facet {
    const struct plex_facet_ops *ops;
    const struct plex_facet_type *type;
    const void *config;
    void *data;         /* data_size bytes, zeroed at attach */
    const char *actor;  /* "tenant/namespace/type/key" or the process's name */
    const char *family; /* the actor type: a label of bounded cardinality */
    const char *client; /* whose message it is, "" when nobody said */
    const char *trace;  /* its W3C traceparent, "" */
    uint64_t now_ns;    /* monotonic */
    uint64_t wall_ms;
    uint64_t random; /* fresh for each hook */
    uint64_t token;  /* what `before` leaves here, `after` and `error` of the
                        same message find */
    void *of;        /* the chain's */
};
static inline void
plex_facet_act(struct plex_facet *facet, const struct plex_facet_action *action)
{
    facet->ops->act(facet, action);
}
/* Zeroed, until the call ends (outside of calls: until the next hook). */
static inline void *
plex_facet_alloc(struct plex_facet *facet, size_t size)
{
    return facet->ops->alloc(facet, size);
}
/* wake() runs once, not before due_ns; the last one set counts; UINT64_MAX:
 * none. */
static inline void
plex_facet_wake_at(struct plex_facet *facet, uint64_t due_ns)
{
    facet->ops->wake_at(facet, due_ns);
}

/* -- for actors -- */

struct plex_facet_pair {
    const char *key, *value;
};
enum plex_facet_verb {
    PLEX_FACET_ATTACH = 1,
    PLEX_FACET_DETACH,
    PLEX_FACET_LIST,
    PLEX_FACET_INVOKE,
};
struct plex_facet_request { /* runtime.h: ops->facet */
    enum plex_facet_verb verb;
    const char *facet;
    uint32_t priority; /* 0: the type's own */
    const struct plex_facet_pair *config;
    size_t n_config;
    const char *op;
    const void *payload;
    size_t len;
    /* Results, borrowed until this actor asks again, waits or returns. LIST:
     * names, one a line. */
    const void *answer;
    size_t answer_len;
};
static inline int
plex_facet_do(struct plex_ctx *ctx, struct plex_facet_request *request)
{
    return ctx->ops->facet == NULL ? -19 : ctx->ops->facet(ctx, request);
}
/* 0, -EXISTS, -INVALID (unknown facet, wrong configuration; the log says what
 * would be right), -UNSUPPORTED (this runtime has no facets), each a negative
 * plex_status. */
static inline int
plex_facet_attach(struct plex_ctx *ctx, const char *facet, uint32_t priority,
                  const struct plex_facet_pair *config, size_t n)
{
    struct plex_facet_request request = {.verb = PLEX_FACET_ATTACH,
                                         .facet = facet,
                                         .priority = priority,
                                         .config = config,
                                         .n_config = n};
    return plex_facet_do(ctx, &request);
}
/* The facets of a process to be started, as a manifest would declare them. */
struct plex_facet_use {
    const char *facet;
    uint32_t priority; /* 0: the type's own */
    const struct plex_facet_pair *config;
    size_t n_config;
};
/*
 * As plex_spawn(), with facets around the callbacks from the first message on;
 * docs/facets.md says what is different on processes. Also -UNSUPPORTED: on
 * another worker (there the process attaches them itself, in its init), or a
 * behaviour without callbacks; -INVALID as of plex_facet_attach().
 */
static inline int
plex_spawn_faceted(struct plex_ctx *ctx, const struct plex_spawn *how,
                   const struct plex_facet_use *facets, size_t n,
                   struct plex_ref *out)
{
    return ctx->process->spawn_faceted(ctx, how, facets, n, out);
}
/* 0, -NOT_FOUND. */
static inline int
plex_facet_detach(struct plex_ctx *ctx, const char *facet)
{
    struct plex_facet_request request = {.verb = PLEX_FACET_DETACH,
                                         .facet = facet};
    return plex_facet_do(ctx, &request);
}
/* Ask an attached facet for something; what, its page in docs/facets.md says.
 * -NOT_FOUND: not attached. */
static inline int
plex_facet_invoke(struct plex_ctx *ctx, const char *facet, const char *op,
                  const void *in, size_t len, const void **answer,
                  size_t *answer_len)
{
    struct plex_facet_request request = {.verb = PLEX_FACET_INVOKE,
                                         .facet = facet,
                                         .op = op,
                                         .payload = in,
                                         .len = len};
    const int status = plex_facet_do(ctx, &request);

    if (answer != NULL) {
        *answer = request.answer;
        *answer_len = request.answer_len;
    }
    return status;
}

#endif
