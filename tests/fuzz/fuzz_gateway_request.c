/* A whole request to an actor, or to a service of actors: method, path, query,
 * headers and body, one per line, the body last and free to hold anything. */
#include "services/gateway/parse.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next line, NUL-terminated; "" at the end. */
static char *
line_take(char **at)
{
    char *line = *at, *end = strchr(line, '\n');

    if (end == NULL) {
        *at = line + strlen(line);
    } else {
        *end = '\0';
        *at = end + 1;
    }
    return line;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gate_rules rules = {"default", 30000, 3600000};
    struct work_header headers[110];
    struct gate_input input = {.headers = headers, .now_ns = 1};
    struct gate_request request;
    struct gate_problem problem;
    char allow[GATE_ALLOW_MAX];
    struct gate_vars vars;
    struct plex_arena arena;
    bool is_call;
    char *text = malloc(size + 1), *at = text, *query, *name;

    memcpy(text, data, size);
    text[size] = '\0';
    plex_arena_init(&arena, GATE_PARSE_ARENA);
    input.method = line_take(&at);
    input.path = line_take(&at);
    query = strchr(input.path, '?');
    if (query != NULL)
        *query++ = '\0';
    input.query = query == NULL ? "" : query;
    while (*(name = line_take(&at)) != '\0' && input.n_headers < 110) {
        char *value = strchr(name, ':');

        if (value != NULL)
            *value++ = '\0';
        headers[input.n_headers++] =
            (struct work_header){name, value == NULL ? "" : value};
    }
    input.body = (struct plex_bytes){(const uint8_t *)at, strlen(at)};
    is_call = gate_path_segments(input.path) >= 2 &&
              !gate_send_names(input.path + sizeof GATE_ACTORS_PREFIX - 1);
    if (!is_call) {
        input.vars = &vars;
        input.route = gate_route_find(gate_routes, input.method, input.path,
                                      &vars, allow);
    }
    if (!is_call && (input.route == NULL || input.route->action == NULL)) {
        /* REST: not parsed here. */
    } else if (gate_parse(&rules, &input, &arena, &request, &problem)) {
        struct plex_err err;

        assert(plex_name_actor(&request.message.to, &err) == PLEX_OK);
        assert(request.context.deadline > 1);
        assert(request.message.id.len > 0 && request.message.id.len <= 300);
    } else {
        assert(problem.status >= 400 && problem.status < 500);
        assert(problem.detail[0] != '\0');
    }
    plex_arena_fini(&arena);
    free(text);
    return 0;
}
