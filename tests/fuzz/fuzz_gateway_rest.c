/* REST requests: the first byte chooses the route, the first line is the
 * query, the rest the body; and the same bytes as a daemon's answer. */
#include "services/gateway/wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gate_vars none;
    size_t n_routes = 0;
    const struct gate_route *route;
    struct plex_arena arena;
    struct plex_bytes body = {0}, packed;
    struct gate_params params;
    struct plex_err err;
    ProtobufCMessage *message;
    json_t *json;
    char *query, *end;

    if (size < 1 || size > 64 << 10)
        return 0;
    while (gate_routes[n_routes].path != NULL)
        n_routes++;
    route = &gate_routes[data[0] % n_routes];
    query = malloc(size);
    memcpy(query, data + 1, size - 1);
    query[size - 1] = '\0';
    end = strchr(query, '\n');
    if (end != NULL) {
        *end = '\0';
        body.len = size - 1 - (size_t)(end + 1 - query);
        body.data = data + (size - body.len);
    }
    plex_arena_init(&arena, 4 << 20);
    if (strlen(query) <= 16384 &&
        gate_params_parse(query, &arena, &params, &err) == PLEX_OK &&
        gate_wire_request(route, body, &params, &none, &arena, &message,
                          &err) == PLEX_OK)
        (void)!gate_wire_pack(message, &arena, &packed, &err);
    if (gate_wire_response(route, body, &arena, &message, &json, &err) ==
        PLEX_OK)
        json_decref(json);
    plex_arena_fini(&arena);
    free(query);
    return 0;
}
