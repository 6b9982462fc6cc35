#ifndef SERVICES_GATEWAY_CALLS_H
#define SERVICES_GATEWAY_CALLS_H

#include "services/gateway/gate.h"

/* What calls.c and calls_direct.c share. */

/* One request to an actor, pooled. */
struct gate_work {
    struct gate_work *next;  /* in the pool, or of those that wait */
    struct gate_work **link; /* what points to it there; NULL: not waiting */
    struct plex_timer *timer;
    uint64_t wait_until; /* plex_now() scale */
    uint32_t pause_ms;
    struct gate *gate;
    struct plex_http_exchange *ex;
    struct plex_arena arena;
    struct gate_request request;
    struct gate_call call;
    struct gate_attempt *attempt; /* the newest, while it is open */
    unsigned attempts;            /* open ones */
    bool sent;                    /* once, at least */
    bool answered;
    /* Of a call to a type that is not keyed: the worker asked first, and how
     * many of the others, from which on, have been looked at since. */
    uint64_t direct_first;
    uint32_t direct_turn, direct_tried;
    uint64_t started;
    size_t n_headers;
    bool too_many_headers;
    struct work_header headers[GATE_HEADERS_IN_MAX];
};

/* The answer: the reply, or work->call.problem when it is NULL or failed. */
void gate_work_answer(struct gate_work *work, const struct work_reply *reply);
/* Once it is answered and no attempt is open. */
void gate_work_release(struct gate_work *work);
/* calls_direct.c: true: it is none for the core, and has been sent. */
bool gate_call_directly(struct gate_work *work);

#endif
