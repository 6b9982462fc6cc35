#ifndef SERVICES_GATEWAY_ROUTE_H
#define SERVICES_GATEWAY_ROUTE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One public rpc over HTTP; the table is made from proto/public at build time
 * by scripts/gen_routes.py. A path of NULL ends it. */
struct gate_route {
    const char *verb;
    const char *path; /* "/api/v1/nodes/{node_id}:drain" */
    const char *rpc;  /* "NodeService.DrainNode" */
    const char *served_by;
    uint32_t number; /* of the method on links */
    bool body;       /* the JSON body is the request */
    const ProtobufCMessageDescriptor *request;
    const ProtobufCMessageDescriptor *response;
    /* Of served_by "actor" and "run" (api/v1/http.proto); else NULL. */
    const char *actor, *key, *action, *new_id;
};
extern const struct gate_route gate_routes[];

/* What a path gave to the {fields} of a template: percent-encoded, borrowed
 * from template and path. */
enum { GATE_VARS_MAX = 4, GATE_ALLOW_MAX = 48 };
struct gate_vars {
    struct {
        const char *name;
        size_t name_len;
        const char *value;
        size_t value_len;
    } at[GATE_VARS_MAX];
    size_t n;
};

/* The route of `verb` and `path` (HEAD finds GET's). NULL when there is none;
 * `allow` then holds the verbs that the path does serve, for a 405, or "" for
 * a 404. */
const struct gate_route *gate_route_find(const struct gate_route *routes,
                                         const char *verb, const char *path,
                                         struct gate_vars *vars,
                                         char allow[GATE_ALLOW_MAX]);

#endif
