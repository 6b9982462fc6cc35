#ifndef SERVICES_GATEWAY_REST_H
#define SERVICES_GATEWAY_REST_H

#include "services/gateway/gate.h"
#include "services/gateway/wire.h"

/* One REST request in service; what rest*.c share. */
struct gate_rest {
    struct gate_rest *next, *prev; /* gate->settling */
    struct gate *gate;
    struct plex_http_exchange *ex;
    const struct gate_route *route;
    struct plex_arena arena;
    struct plex_context context;
    char request_id[27];
    ProtobufCMessage *request;
    uint64_t link_id;     /* of the call that carries it */
    bool once;            /* must not be sent a second time */
    bool waits;           /* counted in gate->n_waits */
    bool watched;         /* the client may leave while it waits */
    bool gone;            /* and has left */
    bool again;           /* in gate->again, until its timer */
    uint64_t again_until; /* plex_loop_now() scale; 0: not tried again yet */
    /* Waiting for the catalogue. */
    bool settling;
    ProtobufCMessage *response;
    json_t *json; /* owned */
    struct plex_timer *timer;
    /* Listing actors. */
    struct gate_list_request list;
    struct work_actor *actors;
    size_t n_actors;
    bool was_active; /* before it was activated */
    unsigned open;   /* calls under way */
    enum plex_status failed;
    char failed_text[128];
};

/* Each answers, which ends the request. `json` is taken. */
void gate_rest_answer(struct gate_rest *rest, json_t *json);
void gate_rest_problem(struct gate_rest *rest, unsigned http, const char *code,
                       const char *source, const char *fmt, ...)
    PLEX_PRINTF(5, 6);
/* A status of a daemon, with its own code and text. */
void gate_rest_failed(struct gate_rest *rest, const char *source,
                      enum plex_status status, const char *text,
                      bool outcome_unknown);
/* Send the request to a daemon and answer with its reply. */
void gate_rest_forward(struct gate_rest *rest, const char *url);

/* rest_tuple.c: a request to the tuple space before it is sent; false: it was
 * refused and is gone. And once it is sent. */
bool gate_rest_tuple(struct gate_rest *rest);
/* Send it to the owner of its namespace. */
void gate_rest_tuple_send(struct gate_rest *rest);
/* True: it was sent to one that does not own the namespace, and will be sent
 * again. */
bool gate_rest_tuple_again(struct gate_rest *rest,
                           const struct plex_link_result *result);
void gate_rest_tuple_sent(struct gate_rest *rest);

/* rest_tuple_events.c: GET GATE_TUPLE_EVENTS, server-sent events. */
#define GATE_TUPLE_EVENTS "/api/v1/tuplespace/subscribe"
void gate_tuple_events_begin(struct gate *gate, struct plex_http_exchange *ex);

/* rest_process.c: what workers serve. */
void gate_rest_process(struct gate_rest *rest);

/* rest_events.c: GET /api/v1/events, and GATE_EVENTS as a stream. */
#define GATE_EVENTS "/api/v1/events/stream"
void gate_rest_events(struct gate_rest *rest);
void gate_events_stream(struct gate *gate, struct plex_http_exchange *ex);
/* Long polls end now. */
void gate_events_drain(struct gate *gate);

/* rest_journal.c: the past of actors, and backups. */
void gate_rest_journal(struct gate_rest *rest);

/* rest_facets.c: of a virtual actor. */
void gate_rest_facets(struct gate_rest *rest);

/* rest_local.c */
/* The actor that the request names, and who has it. NULL: it was answered with
 * a problem. The id's parts lie in the arena. */
const struct place_worker *gate_rest_owner(struct gate_rest *rest,
                                           struct plex_actor_id *actor);
void gate_rest_local(struct gate_rest *rest, enum gate_local what);

#endif
