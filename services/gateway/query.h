#ifndef SERVICES_GATEWAY_QUERY_H
#define SERVICES_GATEWAY_QUERY_H

#include "common/arena.h"

enum { GATE_PARAMS_MAX = 100 };

struct gate_param {
    const char *name;
    const char *value; /* "" without '=' */
    bool taken;        /* the gateway's own: not for the actor */
};
struct gate_params {
    struct gate_param at[GATE_PARAMS_MAX];
    size_t n;
};

/*
 * Decode "a=1&b=x%20y" ('+' is a space) into the arena. Errors, PLEX_INVALID:
 * bad escapes, NUL, bytes that are not UTF-8, an empty name, the same name
 * twice, too many.
 */
PLEX_MUST_USE enum plex_status gate_params_parse(const char *query,
                                                 struct plex_arena *arena,
                                                 struct gate_params *out,
                                                 struct plex_err *err);
/* NULL when there is none; otherwise it is taken. */
const char *gate_params_take(struct gate_params *params, const char *name);
/* A JSON object of strings of those not taken. */
struct plex_bytes gate_params_json(const struct gate_params *params,
                                   struct plex_arena *arena);

#endif
