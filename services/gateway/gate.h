#ifndef SERVICES_GATEWAY_GATE_H
#define SERVICES_GATEWAY_GATE_H

#include "common/http.h"
#include "common/service.h"
#include "services/gateway/core.h"
#include "services/gateway/parse.h"
#include "services/gateway/route.h"

/* What the files of the shell share: one instance of the gateway. */
enum {
    GATE_HEADER_BYTES_MAX = 32 << 10,
    GATE_HEADERS_IN_MAX = 200, /* of one request */
    GATE_WORKS_POOLED_MAX = 1024,
    GATE_REST_MAX = 1024, /* REST requests in service */
    GATE_REST_MS = 10000, /* the longest one takes */
    GATE_REST_ARENA = 64 << 20,
    GATE_TUPLE_WAITS_MAX = 50000,         /* requests that wait for tuples */
    GATE_TUPLE_WAIT_MAX_MS = 3600 * 1000, /* the longest one waits */
    GATE_CALL_WAITS_MAX = 10000, /* requests that wait for an actor's end */
    GATE_TUPLE_KEY_MAX = 64,     /* of an Idempotency-Key there */
};

struct gate_config {
    struct plex_base_config base;
    const char *http_addr;
    uint32_t body_max_bytes;
    uint32_t deadline_default_ms;
    uint32_t deadline_max_ms;
    uint32_t inflight_max;
    uint32_t connections_max;
    uint32_t idle_s;
    bool allow_open;
};

struct gate_metrics {
    struct plex_counter *answers[6]; /* by status class, 1xx unused */
    struct plex_histogram *calls;
};

struct gate_work;
struct gate_attempt;
struct gate_rest;
struct gate_lookup;

struct gate {
    const struct plex_host *host;
    struct gate_config config;
    struct gate_rules rules;
    struct gate_core *core;
    struct reg_client *registry;
    struct place_watch *watch;
    struct plex_http *http;
    struct plex_timer *timer; /* the core's deadline */
    uint64_t timer_at;        /* plex_now() scale; UINT64_MAX: not armed */
    bool running;             /* inside gate_calls_run */
    bool stopped;
    struct gate_work *works; /* pooled */
    size_t n_works;
    struct gate_work *waiting; /* for an end */
    size_t n_waiting;
    bool draining;
    struct gate_attempt *attempts; /* pooled */
    struct gate_rest *settling;    /* wait for the catalogue to catch up */
    struct gate_lookup *lookups;
    size_t n_rest; /* of both, and those under way */
    size_t n_waits;
    struct gate_rest *again;    /* wait to be sent again */
    size_t n_events;            /* streams of them */
    struct gate_events *events; /* of processes: streams and long polls */
    char *openapi;              /* made when first asked for */
    struct gate_metrics metrics;
};

/* -- calls.c: /api/v1/actors/... --------------------------------------------
 */
/* `route` is of a service of actors, or to a run, with what its path holds;
 * NULL: a path of an actor. */
void gate_call_begin(struct gate *gate, struct plex_http_exchange *ex,
                     const struct gate_route *route,
                     const struct gate_vars *vars);
/* Do what the core wants done; after every input to it. */
void gate_calls_run(struct gate *gate);
/* Nobody waits any more for what has not ended. */
void gate_calls_drain(struct gate *gate);
/* When the link has ended: answers what is left, frees the pools. */
void gate_calls_fini(struct gate *gate);

/* -- invocations.c: /api/v1/invocations/{id} ---------------------------------
 */
#define GATE_INVOCATIONS_PREFIX "/api/v1/invocations/"
void gate_invocation_begin(struct gate *gate, struct plex_http_exchange *ex);
/* When the link has ended. */
void gate_invocations_fini(struct gate *gate);

/* -- rest.c: everything else -------------------------------------------------
 */
void gate_rest_begin(struct gate *gate, struct plex_http_exchange *ex);
/* The catalogue has changed. */
void gate_rest_catalog(struct gate *gate);
/* When the link has ended. */
void gate_rest_fini(struct gate *gate);

/* -- rest_tuple.c ------------------------------------------------------------
 */
/* When the link has ended. */
void gate_rest_tuple_fini(struct gate *gate);

/* -- rest_tuple_events.c ------------------------------------------------------
 */
/* When the link is about to end: no calls any more. */
void gate_tuple_events_fini(struct gate *gate);

/* -- answer.c ----------------------------------------------------------------
 */

/* Answer and count. `headers` ends with a NULL name and may be NULL. */
void gate_answer(struct gate *gate, struct plex_http_exchange *ex,
                 unsigned status, const char *content_type,
                 const struct plex_http_header *headers,
                 struct plex_bytes body);
/* `headers` as above; Retry-After is added. */
void gate_answer_problem(struct gate *gate, struct plex_http_exchange *ex,
                         const struct gate_problem *problem,
                         const char *request_id,
                         const struct plex_http_header *headers);
/* For failures that no call to an actor is behind. `source` is static. */
void gate_answer_error(struct gate *gate, struct plex_http_exchange *ex,
                       unsigned status, const char *code, const char *source,
                       const char *request_id, const char *fmt, ...)
    PLEX_PRINTF(7, 8);

#endif
