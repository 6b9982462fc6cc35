/* What a daemon tells operators: admin HTTP, and its metrics over the link. */
#include "common/service_private.h"

#include "common/json_text.h"
#include "common/wire.h"
#include "plexspaces/system/v1/system.pb-c.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    ADMIN_PAGE_MAX = 8 << 20, /* bytes */
    ADMIN_HEADER_MAX = 8 << 10,
    ADMIN_BODY_MAX = 4 << 10, /* none is ever used */
    ADMIN_CONNECTIONS_MAX = 64,
    ADMIN_IDLE_S = 30,
};

static struct plex_bytes
text_bytes(const char *text)
{
    return (struct plex_bytes){(const uint8_t *)text, strlen(text)};
}

static void
refuse(const struct plex_instance *instance, struct plex_http_exchange *ex,
       unsigned status, const char *code, const char *detail)
{
    static const struct plex_http_header allow[] = {{"Allow", "GET, HEAD"},
                                                    {0}};
    const struct plex_http_problem problem = {
        .status = status,
        .code = code,
        .detail = detail,
        .source = instance->service->name,
        .request_id = "",
    };

    plex_http_respond_problem(ex, &problem, status == 405 ? allow : NULL);
}

static void
answer_readyz(struct plex_instance *instance, struct plex_http_exchange *ex)
{
    char page[6 * SERVICE_REASON_MAX + 64];
    size_t used, n;

    used = (size_t)snprintf(page, sizeof page, "{\"ready\":%s,\"reason\":\"",
                            instance->ready ? "true" : "false");
    n = plex_json_escape(page + used, sizeof page - used - 4, instance->reason,
                         strlen(instance->reason));
    assert(n != SIZE_MAX);
    used += n;
    memcpy(page + used, "\"}\n", 3);
    plex_http_respond(ex, instance->ready ? 200 : 503, "application/json", NULL,
                      (struct plex_bytes){(uint8_t *)page, used + 3});
}

static void
answer_startupz(struct plex_instance *instance, struct plex_http_exchange *ex)
{
    plex_http_respond(ex, instance->was_ready ? 200 : 503,
                      "text/plain; charset=utf-8", NULL,
                      text_bytes(instance->was_ready ? "ok" : "starting"));
}

static enum plex_status
render_metrics(void *arg, struct plex_buf *out, struct plex_err *err)
{
    return plex_metrics_render(arg, out, err);
}

static void
answer_route(struct plex_instance *instance, struct plex_http_exchange *ex,
             const struct service_route *route)
{
    struct plex_buf page = {.max = ADMIN_PAGE_MAX};
    struct plex_err err;

    if (route->render(route->arg, &page, &err) == PLEX_OK)
        plex_http_respond(ex, 200, route->content_type, NULL,
                          (struct plex_bytes){page.data, page.len});
    else
        refuse(instance, ex, (unsigned)plex_status_http(err.status),
               plex_status_name(err.status), err.text);
    plex_buf_free(&page);
}

static void
on_request(void *arg, struct plex_http_exchange *ex)
{
    struct plex_instance *instance = arg;
    const char *method = plex_http_method(ex), *path = plex_http_path(ex);
    const struct service_route metrics = {
        "/metrics", "text/plain; version=0.0.4; charset=utf-8", render_metrics,
        instance->host.metrics};

    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        refuse(instance, ex, 405, "METHOD_NOT_ALLOWED",
               "this address answers GET and HEAD only");
        return;
    }
    if (strcmp(path, "/healthz") == 0) {
        plex_http_respond(ex, 200, "text/plain; charset=utf-8", NULL,
                          text_bytes("ok"));
        return;
    }
    if (strcmp(path, "/readyz") == 0) {
        answer_readyz(instance, ex);
        return;
    }
    if (strcmp(path, "/startupz") == 0) {
        answer_startupz(instance, ex);
        return;
    }
    if (strcmp(path, metrics.path) == 0) {
        answer_route(instance, ex, &metrics);
        return;
    }
    for (size_t i = 0; i < instance->n_routes; i++) {
        if (strcmp(path, instance->routes[i].path) == 0) {
            answer_route(instance, ex, &instance->routes[i]);
            return;
        }
    }
    refuse(instance, ex, 404, "ROUTE_NOT_FOUND",
           "there is /healthz, /readyz, /startupz and /metrics here");
}

enum plex_status
service_admin_open(struct plex_instance *instance, struct plex_err *err)
{
    const struct plex_http_config config = {
        .addr = instance->base->admin_addr,
        .body_max = ADMIN_BODY_MAX,
        .header_max = ADMIN_HEADER_MAX,
        .connections_max = ADMIN_CONNECTIONS_MAX,
        .idle_s = ADMIN_IDLE_S,
        .source = "admin",
        .handle = on_request,
        .arg = instance,
    };

    if (instance->base->admin_addr[0] == '\0')
        return PLEX_OK;
    if (plex_http_open(&instance->admin, instance->host.loop, &config, err) !=
        PLEX_OK)
        return plex_err_wrap(err, "opening the admin address");
    instance->base->admin_addr = plex_http_addr(instance->admin);
    return PLEX_OK;
}

/* The page becomes the response's text, so it needs a final NUL. */
static enum plex_status
pack_metrics(const struct plex_metrics *metrics, struct plex_buf *out,
             struct plex_err *err)
{
    Plexspaces__System__V1__GetMetricsResponse response =
        PLEXSPACES__SYSTEM__V1__GET_METRICS_RESPONSE__INIT;
    struct plex_buf page = {.max = ADMIN_PAGE_MAX};
    enum plex_status status = plex_metrics_render(metrics, &page, err);
    uint8_t *end;

    if (status == PLEX_OK) {
        end = plex_buf_grow(&page, 1);
        if (end == NULL) {
            status = plex_err_set(err, PLEX_TOO_LARGE,
                                  "metrics do not fit in %zu bytes", page.max);
        } else {
            *end = '\0';
            response.text = (char *)page.data;
            status = plex_wire_pack(&response.base, out, err);
        }
    }
    plex_buf_free(&page);
    return status;
}

static void
serve_metrics(void *state, struct plex_call *call)
{
    struct plex_instance *instance = service_of_state(state);
    struct plex_buf out = {.max = ADMIN_PAGE_MAX + 16};
    struct plex_err err;
    const enum plex_status status =
        pack_metrics(instance->host.metrics, &out, &err);

    plex_call_answer(call, status, &out, &err);
    plex_buf_free(&out);
}

const struct plex_method service_metrics_method = {
    .id = PLEXSPACES__SYSTEM__V1__SYSTEM_METHOD__SYSTEM_METHOD_GET_METRICS,
    .name = "GetMetrics",
    .handle = serve_metrics,
};
