/* Any path against templates like the real ones. */
#include "services/gateway/route.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct gate_route routes[] = {
    {.verb = "GET", .path = "/api/v1/nodes"},
    {.verb = "GET", .path = "/api/v1/nodes/{node_id}"},
    {.verb = "POST", .path = "/api/v1/nodes/{node_id}:drain"},
    {.verb = "GET", .path = "/api/v1/{a}/{b}/{c}/{d}"},
    {.verb = "DELETE", .path = "/api/v1/applications/{name}/status"},
    {0},
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const verbs[] = {"GET", "POST", "DELETE", "HEAD"};
    char *path = malloc(size + 1), allow[GATE_ALLOW_MAX];
    struct gate_vars vars;

    memcpy(path, data, size);
    path[size] = '\0';
    for (size_t i = 0; i < 4; i++)
        (void)gate_route_find(routes, verbs[i], path, &vars, allow);
    free(path);
    return 0;
}
