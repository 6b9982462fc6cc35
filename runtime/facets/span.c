#include "runtime/facets/span.h"

#include <inttypes.h>
#include <stdio.h>

/* `key` and the id of the parent, or nothing. */
static const char *
parent(struct plex_facet *facet, const struct rt_span *span, const char *key)
{
    return span->parent == 0
               ? ""
               : rt_facet_text(facet, "\"%s\":\"%016" PRIx64 "\",", key,
                               span->parent);
}

static const char *
name(struct plex_facet *facet, const struct rt_span *span)
{
    return rt_facet_text(facet, "%s %s", rt_facet_json(facet, facet->family),
                         rt_facet_json(facet, span->method));
}

const char *
rt_span_console(struct plex_facet *facet, const struct rt_span *span)
{
    char above[17] = "";

    if (span->parent != 0)
        (void)snprintf(above, sizeof above, "%016" PRIx64, span->parent);
    return rt_facet_text(
        facet,
        "{\"traceId\":\"%016" PRIx64 "%016" PRIx64 "\",\"spanId\":\"%016" PRIx64
        "\",\"parentSpanId\":\"%s\",\"name\":\"%s\","
        "\"kind\":\"SPAN_KIND_SERVER\",\"startTimeUnixNano\":\"%" PRIu64
        "\",\"endTimeUnixNano\":\"%" PRIu64
        "\",\"attributes\":{\"service.name\":\"%s\","
        "\"plexspaces.actor\":\"%s\",\"plexspaces.message_id\":\"%s\","
        "\"http.response.status_code\":%u},"
        "\"status\":{\"code\":\"%s\",\"message\":\"%s\"}}",
        span->trace[0], span->trace[1], span->id, above, name(facet, span),
        span->begin_ns, span->end_ns, rt_facet_json(facet, span->service),
        rt_facet_json(facet, facet->actor),
        rt_facet_json(facet, span->message_id), span->http_status,
        span->error != NULL ? "STATUS_CODE_ERROR" : "STATUS_CODE_OK",
        span->error != NULL ? rt_facet_json(facet, span->error) : "");
}

const char *
rt_span_otlp(struct plex_facet *facet, const struct rt_span *span)
{
    return rt_facet_text(
        facet,
        "{\"traceId\":\"%016" PRIx64 "%016" PRIx64 "\",\"spanId\":\"%016" PRIx64
        "\",%s\"name\":\"%s\",\"kind\":2,\"startTimeUnixNano\":\"%" PRIu64
        "\",\"endTimeUnixNano\":\"%" PRIu64 "\",\"attributes\":["
        "{\"key\":\"plexspaces.actor\",\"value\":{\"stringValue\":\"%s\"}},"
        "{\"key\":\"plexspaces.message_id\","
        "\"value\":{\"stringValue\":\"%s\"}},"
        "{\"key\":\"http.response.status_code\","
        "\"value\":{\"intValue\":\"%u\"}}],"
        "\"status\":{\"code\":%d,\"message\":\"%s\"}}",
        span->trace[0], span->trace[1], span->id,
        parent(facet, span, "parentSpanId"), name(facet, span), span->begin_ns,
        span->end_ns, rt_facet_json(facet, facet->actor),
        rt_facet_json(facet, span->message_id), span->http_status,
        span->error != NULL ? 2 : 1,
        span->error != NULL ? rt_facet_json(facet, span->error) : "");
}

const char *
rt_span_zipkin(struct plex_facet *facet, const struct rt_span *span)
{
    const uint64_t us = (span->end_ns - span->begin_ns) / 1000;

    return rt_facet_text(
        facet,
        "{\"traceId\":\"%016" PRIx64 "%016" PRIx64 "\",\"id\":\"%016" PRIx64
        "\",%s\"name\":\"%s\",\"kind\":\"SERVER\",\"timestamp\":%" PRIu64
        ",\"duration\":%" PRIu64
        ",\"localEndpoint\":{\"serviceName\":\"%s\"},\"tags\":{"
        "\"plexspaces.actor\":\"%s\",\"plexspaces.message_id\":\"%s\","
        "\"http.status_code\":\"%u\"%s%s%s}}",
        span->trace[0], span->trace[1], span->id,
        parent(facet, span, "parentId"), name(facet, span),
        span->begin_ns / 1000, us == 0 ? 1 : us,
        rt_facet_json(facet, span->service), rt_facet_json(facet, facet->actor),
        rt_facet_json(facet, span->message_id), span->http_status,
        span->error != NULL ? ",\"error\":\"" : "",
        span->error != NULL ? rt_facet_json(facet, span->error) : "",
        span->error != NULL ? "\"" : "");
}
