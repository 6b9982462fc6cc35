#ifndef SERVICES_GATEWAY_PARSE_H
#define SERVICES_GATEWAY_PARSE_H

#include "common/arena.h"
#include "services/gateway/core.h"
#include "services/gateway/route.h"
#include "services/gateway/send_path.h"

/*
 * An HTTP request to an actor, understood: docs/http.md says what is accepted.
 * Pure: no clock, no randomness; everything made lies in the arena, everything
 * else is borrowed from the input.
 */
enum {
    GATE_PATH_MAX = 4096,   /* bytes, as sent */
    GATE_QUERY_MAX = 16384, /* bytes, as sent */
    GATE_DELAY_MAX_H = 24 * 366,
    /* What parsing one request may put into the arena: copies of path, query
     * (twice, and once as JSON at six bytes each) and key. */
    GATE_PARSE_ARENA = 4 << 20,
    GATE_TTL_KEYED_MS = 24 * 3600 * 1000,
    GATE_TTL_MS = 10 * 60 * 1000,
};

struct gate_rules {
    const char *tenant; /* the caller's */
    uint32_t deadline_default_ms;
    uint32_t deadline_max_ms;
};

struct gate_input {
    const char *method;
    /* What the path has been found to be, served by "actor", "run" or
     * "message"; NULL: a call to an actor, and the path begins with
     * GATE_ACTORS_PREFIX. */
    const struct gate_route *route;
    const struct gate_vars *vars;
    const char *path;                  /* as sent */
    const char *query;                 /* as sent, without '?' */
    const struct work_header *headers; /* all of them */
    size_t n_headers;
    struct plex_bytes body;
    uint8_t id[16]; /* new: the request's, and the message's when unkeyed */
    uint64_t now_ns;
};

struct gate_request {
    struct plex_context context;
    struct work_message message;
    uint32_t wait_ms; /* asked again until it has ended; 0: not */
    bool key_missing; /* neither in the path nor as ?key=; to.key is "-" */
    char request_id[27];
    uint8_t id[16];
    struct work_header *headers; /* message.headers, in the arena */
    bool sends;                  /* SendMessage, which says: */
    struct gate_send send;
};

#define GATE_ACTORS_PREFIX "/api/v1/actors/"

/*
 * How many segments follow the prefix: 2 and more are calls to actors, less
 * are REST. 0 when the path does not begin with it.
 */
size_t gate_path_segments(const char *path);

/* False: `problem` says what is wrong with the request. */
bool gate_parse(const struct gate_rules *rules, const struct gate_input *input,
                struct plex_arena *arena, struct gate_request *out,
                struct gate_problem *problem);

#endif
