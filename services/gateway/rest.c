/* REST: any public rpc, transcoded by descriptors and sent to the daemon that
 * serves it. */
#include "services/gateway/rest.h"

#include "common/mem.h"
#include "services/gateway/openapi.h"
#include "services/gateway/rest_actor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SETTLE_MS = 1000 };

/* -- ends -------------------------------------------------------------------
 */

static void
rest_unlink(struct gate_rest *rest, struct gate_rest **head)
{
    if (rest->prev != NULL)
        rest->prev->next = rest->next;
    else
        *head = rest->next;
    if (rest->next != NULL)
        rest->next->prev = rest->prev;
}

static void
rest_free(struct gate_rest *rest)
{
    struct gate *gate = rest->gate;

    if (rest->settling || rest->again)
        rest_unlink(rest, rest->settling ? &gate->settling : &gate->again);
    if (rest->waits)
        gate->n_waits--;
    else
        gate->n_rest--;
    plex_timer_free(rest->timer);
    json_decref(rest->json);
    free(rest->actors);
    plex_arena_fini(&rest->arena);
    free(rest);
}

void
gate_rest_answer(struct gate_rest *rest, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);
    const struct plex_http_header headers[] = {{"Cache-Control", "no-store"},
                                               {0}};

    json_decref(json);
    gate_answer(rest->gate, rest->ex, 200, "application/json", headers,
                (struct plex_bytes){(const uint8_t *)text, strlen(text)});
    free(text);
    rest_free(rest);
}

void
gate_rest_problem(struct gate_rest *rest, unsigned http, const char *code,
                  const char *source, const char *fmt, ...)
{
    char text[PLEX_ERR_TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    gate_answer_error(rest->gate, rest->ex, http, code, source,
                      rest->request_id, "%s", text);
    rest_free(rest);
}

void
gate_rest_failed(struct gate_rest *rest, const char *source,
                 enum plex_status status, const char *text,
                 bool outcome_unknown)
{
    struct gate_problem problem = {
        .status = (unsigned)plex_status_http(status),
        .code = plex_status_name(status),
        .source = source,
        .outcome_unknown = outcome_unknown,
    };

    problem.retry_after_s =
        problem.status == 503 || problem.status == 429 ? 1 : 0;
    (void)snprintf(problem.detail, sizeof problem.detail, "%s",
                   text[0] == '\0' ? plex_status_text(status) : text);
    gate_answer_problem(rest->gate, rest->ex, &problem, rest->request_id, NULL);
    rest_free(rest);
}

/* -- read your writes --------------------------------------------------------
 *
 * An application that the registry has just confirmed must be callable through
 * this gateway: its own catalogue may be a moment behind. */

static void
settle_timeout(void *arg)
{
    struct gate_rest *rest = arg;
    json_t *json = rest->json;

    rest->json = NULL;
    gate_rest_answer(rest, json);
}

static bool
rest_settled(const struct gate_rest *rest)
{
    return gate_wire_settled(rest->route, rest->context.tenant, rest->request,
                             rest->response,
                             gate_core_catalog_now(rest->gate->core));
}

static void
rest_settle(struct gate_rest *rest, json_t *json)
{
    struct gate *gate = rest->gate;

    if (rest_settled(rest)) {
        gate_rest_answer(rest, json);
        return;
    }
    rest->json = json;
    rest->settling = true;
    rest->prev = NULL;
    rest->next = gate->settling;
    if (rest->next != NULL)
        rest->next->prev = rest;
    gate->settling = rest;
    rest->timer = plex_timer_create(gate->host->loop, settle_timeout, rest);
    plex_timer_start(rest->timer, SETTLE_MS);
}

void
gate_rest_catalog(struct gate *gate)
{
    for (struct gate_rest *rest = gate->settling, *next; rest != NULL;
         rest = next) {
        next = rest->next;
        if (rest_settled(rest))
            settle_timeout(rest);
    }
}

void
gate_rest_fini(struct gate *gate)
{
    while (gate->settling != NULL)
        settle_timeout(gate->settling);
    gate_rest_tuple_fini(gate);
    free(gate->openapi);
    gate->openapi = NULL;
}

/* -- forwarding -------------------------------------------------------------
 */

static void
forward_done(void *arg, const struct plex_link_result *result)
{
    struct gate_rest *rest = arg;
    struct plex_err err;
    json_t *json = NULL;

    if (gate_rest_tuple_again(rest, result))
        return;
    if (result->status != PLEX_OK)
        gate_rest_failed(rest, rest->route->served_by, result->status,
                         result->text, result->outcome_unknown);
    else if (gate_wire_response(rest->route, result->payload, &rest->arena,
                                &rest->response, &json, &err) != PLEX_OK)
        gate_rest_problem(rest, 500, "BAD_ANSWER", "gateway", "%s", err.text);
    else
        rest_settle(rest, json);
}

void
gate_rest_forward(struct gate_rest *rest, const char *url)
{
    struct plex_link_request request = {
        .peer = url,
        .method = rest->route->number,
        .context = &rest->context,
        /* All of these are idempotent by content, but a second deletion says
         * NOT_FOUND. */
        .retry = !rest->once && strcmp(rest->route->verb, "DELETE") != 0,
        .done = forward_done,
        .arg = rest,
    };
    struct plex_err err;

    if (gate_wire_pack(rest->request, &rest->arena, &request.payload, &err) !=
        PLEX_OK) {
        gate_rest_problem(rest, 413, "TOO_LARGE", "gateway", "%s", err.text);
        return;
    }
    rest->link_id = plex_link_call(rest->gate->host->link, &request);
    gate_rest_tuple_sent(rest);
}

static void
rest_route(struct gate_rest *rest)
{
    struct gate *gate = rest->gate;
    const enum gate_local local = gate_wire_local(rest->route);
    const char *url;

    if (strcmp(rest->route->served_by, "tuplespace") == 0) {
        if (gate_rest_tuple(rest))
            gate_rest_tuple_send(rest);
        return;
    }
    if (strcmp(rest->route->served_by, "worker") == 0) {
        gate_rest_process(rest);
        return;
    }
    if (gate_rest_delete(rest))
        return;
    if (strcmp(rest->route->served_by, "journal") == 0) {
        gate_rest_journal(rest);
        return;
    }
    if (gate_rest_actor_new(rest) || gate_rest_link(rest))
        return;
    if (local != GATE_LOCAL_NONE) {
        gate_rest_local(rest, local);
        return;
    }
    url = strcmp(rest->route->served_by, "registry") == 0
              ? gate->config.base.registry_url
              : reg_client_url(gate->registry, rest->route->served_by);
    if (url == NULL)
        gate_rest_problem(rest, 503, "UNAVAILABLE", "gateway",
                          "no %s is registered", rest->route->served_by);
    else
        gate_rest_forward(rest, url);
}

/* -- requests ---------------------------------------------------------------
 */

static bool
is_json(const char *content_type)
{
    static const char json[] = "application/json";
    const size_t len = sizeof json - 1;

    return content_type == NULL ||
           (strncasecmp(content_type, json, len) == 0 &&
            (content_type[len] == '\0' || content_type[len] == ';' ||
             content_type[len] == ' '));
}

static struct gate_rest *
rest_create(struct gate *gate, struct plex_http_exchange *ex,
            const struct gate_route *route)
{
    struct gate_rest *rest = plex_calloc(1, sizeof *rest);
    uint8_t id[16];

    gate->n_rest++;
    rest->gate = gate;
    rest->ex = ex;
    rest->route = route;
    plex_arena_init(&rest->arena, GATE_REST_ARENA);
    plex_id_make(id, plex_wall_ms());
    plex_id_format(id, rest->request_id);
    rest->context = plex_context_none;
    rest->context.tenant = gate->rules.tenant;
    rest->context.request_id = rest->request_id;
    rest->context.deadline =
        plex_loop_now(gate->host->loop) + (uint64_t)GATE_REST_MS * 1000000;
    return rest;
}

static void
rest_start(struct gate_rest *rest, const struct gate_vars *vars)
{
    struct plex_http_exchange *ex = rest->ex;
    const struct plex_bytes body = plex_http_body(ex);
    struct gate_params params;
    struct plex_err err;

    if (body.len > 0 && strcmp(rest->route->verb, "GET") == 0)
        gate_rest_problem(rest, 400, "INVALID_BODY", "gateway",
                          "GET takes its arguments from the query, not from "
                          "a body");
    else if (body.len > 0 &&
             !is_json(plex_http_request_header(ex, "Content-Type")))
        gate_rest_problem(rest, 415, "UNSUPPORTED_MEDIA_TYPE", "gateway",
                          "send the body as application/json");
    else if (strlen(plex_http_query(ex)) > GATE_QUERY_MAX)
        gate_rest_problem(rest, 414, "URI_TOO_LONG", "gateway",
                          "the query may have %d bytes", GATE_QUERY_MAX);
    else if (gate_params_parse(plex_http_query(ex), &rest->arena, &params,
                               &err) != PLEX_OK)
        gate_rest_problem(rest, 400, "INVALID_QUERY", "gateway", "%s",
                          err.text);
    else if (gate_wire_request(rest->route, body, &params, vars, &rest->arena,
                               &rest->request, &err) != PLEX_OK)
        gate_rest_problem(rest, (unsigned)plex_status_http(err.status),
                          plex_status_name(err.status), "gateway", "%s",
                          err.text);
    else
        rest_route(rest);
}

static void
answer_hello(struct gate *gate, struct plex_http_exchange *ex)
{
    static const char hello[] =
        "{\"name\":\"plexspaces\",\"version\":\"" PLEX_VERSION "\",\"links\":{"
        "\"actors\":\"/api/v1/actors\","
        "\"applications\":\"/api/v1/applications\","
        "\"nodes\":\"/api/v1/nodes\","
        "\"tuplespace\":\"/api/v1/tuplespace/stats\","
        "\"health\":\"/api/v1/system/health\","
        "\"info\":\"/api/v1/system/info\","
        "\"openapi\":\"/openapi.json\"}}\n";

    gate_answer(gate, ex, 200, "application/json", NULL,
                (struct plex_bytes){(const uint8_t *)hello, sizeof hello - 1});
}

static void
answer_openapi(struct gate *gate, struct plex_http_exchange *ex)
{
    if (gate->openapi == NULL)
        gate->openapi = gate_openapi_text();
    gate_answer(gate, ex, 200, "application/json", NULL,
                (struct plex_bytes){(const uint8_t *)gate->openapi,
                                    strlen(gate->openapi)});
}

static void
answer_no_route(struct gate *gate, struct plex_http_exchange *ex,
                const char *allow)
{
    const struct plex_http_header headers[] = {{"Allow", allow}, {0}};
    struct gate_problem problem = {
        .status = 404, .code = "ROUTE_NOT_FOUND", .source = "gateway"};

    (void)snprintf(problem.detail, sizeof problem.detail,
                   "nothing is served at this path; actors are at "
                   "/api/v1/actors/{tenant}/{namespace}/{type}/{key}");
    if (allow[0] != '\0') {
        problem.status = 405;
        problem.code = "METHOD_NOT_ALLOWED";
        (void)snprintf(problem.detail, sizeof problem.detail,
                       "this path takes %s", allow);
    }
    gate_answer_problem(gate, ex, &problem, "",
                        allow[0] == '\0' ? NULL : headers);
}

void
gate_rest_begin(struct gate *gate, struct plex_http_exchange *ex)
{
    const char *path = plex_http_path(ex);
    const char *verb = plex_http_method(ex);
    char allow[GATE_ALLOW_MAX];
    struct gate_vars vars;
    const struct gate_route *route;

    if (strcmp(path, "/") == 0 || strcmp(path, "/openapi.json") == 0) {
        if (strcmp(verb, "GET") != 0 && strcmp(verb, "HEAD") != 0)
            answer_no_route(gate, ex, "GET, HEAD");
        else if (path[1] == '\0')
            answer_hello(gate, ex);
        else
            answer_openapi(gate, ex);
        return;
    }
    if (strcmp(path, GATE_EVENTS) == 0 && strcmp(verb, "GET") == 0) {
        gate_events_stream(gate, ex);
        return;
    }
    if (strcmp(path, GATE_TUPLE_EVENTS) == 0 && strcmp(verb, "GET") == 0) {
        gate_tuple_events_begin(gate, ex);
        return;
    }
    if (strlen(path) > GATE_PATH_MAX) {
        gate_answer_error(gate, ex, 414, "URI_TOO_LONG", "gateway", "",
                          "the path may have %d bytes", GATE_PATH_MAX);
        return;
    }
    route = gate_route_find(gate_routes, verb, path, &vars, allow);
    if (route == NULL)
        answer_no_route(gate, ex, allow);
    else if (route->action != NULL)
        gate_call_begin(gate, ex, route, &vars);
    else if (gate->n_rest >= GATE_REST_MAX)
        gate_answer_error(gate, ex, 503, "OVERLOADED", "gateway", "",
                          "%d requests are in service, which is the limit",
                          GATE_REST_MAX);
    else
        rest_start(rest_create(gate, ex, route), &vars);
}
