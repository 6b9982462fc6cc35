/*
 * A span for each message, in the trace that it came with or a new one. A span
 * that is over is written for its exporter; the host sends it there.
 */
#include "runtime/facets/span.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SAMPLE_ALWAYS, SAMPLE_NEVER, SAMPLE_RATIO, SAMPLE_PARENT };
enum { EXPORT_CONSOLE, EXPORT_OTLP, EXPORT_JAEGER, EXPORT_ZIPKIN };
enum { SPANS_MAX = 64 }; /* of messages in service at once */

struct config {
    uint32_t sampler;
    double ratio;
    uint32_t exporter;
    const char *endpoint; /* "": where the exporter's server listens here */
    const char *service_name;
};
struct span {
    uint64_t id, parent; /* 0: free; none */
    uint64_t trace[2];
    uint64_t started_ns, started_ms;
    bool sampled;
};
struct data {
    struct span spans[SPANS_MAX];
    struct span *latest;
};

static const struct plex_facet_key keys[] = {
    RT_FACET_KEY_OF(sampler, "parent", "always|never|ratio|parent"),
    RT_FACET_KEY(ratio, RATIO, "0.1", 0, 0),
    RT_FACET_KEY_OF(exporter, "console", "console|otlp|jaeger|zipkin"),
    RT_FACET_KEY(endpoint, TEXT, "", 0, 1024),
    RT_FACET_KEY(service_name, TEXT, "plexspaces", 1, 128),
    {0},
};

/* Jaeger takes OTLP. */
static const char *const endpoints[] = {
    [EXPORT_CONSOLE] = "",
    [EXPORT_OTLP] = "http://127.0.0.1:4318/v1/traces",
    [EXPORT_JAEGER] = "http://127.0.0.1:4318/v1/traces",
    [EXPORT_ZIPKIN] = "http://127.0.0.1:9411/api/v2/spans",
};

static int
check(void *values, char *why, size_t size)
{
    struct config *config = values;
    const char *at = config->endpoint;

    if (at[0] == '\0') {
        config->endpoint = endpoints[config->exporter];
        return 0;
    }
    if (config->exporter == EXPORT_CONSOLE) {
        (void)snprintf(why, size,
                       "config.endpoint wants exporter otlp, jaeger or "
                       "zipkin");
        return -1;
    }
    if ((strncmp(at, "http://", 7) == 0 || strncmp(at, "https://", 8) == 0) &&
        strpbrk(at, " \t\r\n") == NULL)
        return 0;
    (void)snprintf(why, size,
                   "config.endpoint \"%.60s\" must be a URL that begins with "
                   "http:// or https://",
                   at);
    return -1;
}

static bool
hex_parse(const char *text, size_t digits, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < digits; i++) {
        const char *at =
            text[i] == '\0' ? NULL : strchr("0123456789abcdef", text[i]);

        if (at == NULL)
            return false;
        *out = *out << 4 | (uint64_t)(*at <= '9' ? *at - '0' : *at - 'a' + 10);
    }
    return true;
}

/* W3C: "00-<32>-<16>-<2>"; false: none, or not to be trusted. */
static bool
parent_parse(const char *text, struct span *span, bool *sampled)
{
    uint64_t version, flags;

    if (strlen(text) < 55 || !hex_parse(text, 2, &version) || version == 0xff ||
        text[2] != '-' || text[35] != '-' || text[52] != '-' ||
        !hex_parse(text + 3, 16, &span->trace[0]) ||
        !hex_parse(text + 19, 16, &span->trace[1]) ||
        !hex_parse(text + 36, 16, &span->parent) ||
        !hex_parse(text + 53, 2, &flags) || (version == 0 && text[55] != '\0'))
        return false;
    *sampled = (flags & 1) != 0;
    return (span->trace[0] | span->trace[1]) != 0 && span->parent != 0;
}

static uint64_t
mix(uint64_t value)
{
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9U;
    value = (value ^ value >> 27) * 0x94d049bb133111ebU;
    value ^= value >> 31;
    return value == 0 ? 1 : value;
}

static struct span *
span_free(struct data *data)
{
    for (int i = 0; i < SPANS_MAX; i++)
        if (data->spans[i].id == 0)
            return &data->spans[i];
    return NULL;
}

static bool
sample(const struct config *config, const struct span *span, bool has_parent,
       bool parent)
{
    switch (config->sampler) {
    case SAMPLE_ALWAYS:
        return true;
    case SAMPLE_NEVER:
        return false;
    case SAMPLE_RATIO:
        /* By the trace, so that all of a trace's spans fare alike. */
        return (double)(span->trace[1] >> 11) <
               config->ratio * (double)(1ULL << 53);
    default:
        return has_parent ? parent : true;
    }
}

static enum plex_facet_verdict
before(struct plex_facet *facet, const struct plex_msg *msg,
       struct plex_facet_out *out)
{
    struct data *data = facet->data;
    struct span *span = span_free(data);
    bool parent = false, has_parent;

    (void)msg;
    (void)out;
    facet->token = 0;
    if (span == NULL)
        return PLEX_FACET_CONTINUE;
    *span = (struct span){0};
    has_parent = parent_parse(facet->trace, span, &parent);
    if (!has_parent) {
        span->parent = 0;
        span->trace[0] = mix(facet->random + 1);
        span->trace[1] = mix(facet->random + 2);
    }
    span->id = mix(facet->random + 3);
    span->sampled = sample(facet->config, span, has_parent, parent);
    span->started_ns = facet->now_ns;
    span->started_ms = facet->wall_ms;
    data->latest = span;
    facet->token = (uint64_t)(span - data->spans) + 1;
    return PLEX_FACET_CONTINUE;
}

static void
span_export(struct plex_facet *facet, const struct rt_span *span)
{
    const struct config *config = facet->config;
    struct plex_facet_action action = {.kind = PLEX_FACET_SPAN};

    if (config->exporter == EXPORT_CONSOLE) {
        action.text = rt_span_console(facet, span);
    } else {
        const char *service = rt_facet_json(facet, span->service);

        action.name = config->exporter == EXPORT_ZIPKIN ? "zipkin" : "otlp";
        action.labels = config->endpoint;
        action.text = config->exporter == EXPORT_ZIPKIN
                          ? rt_span_zipkin(facet, span)
                          : rt_span_otlp(facet, span);
        action.payload = service;
        action.len = strlen(service);
    }
    plex_facet_act(facet, &action);
}

/* Under its actor's clock: the begin by the wall, the length by the monotonic
 * one. */
static void
span_end(struct plex_facet *facet, const struct plex_msg *msg,
         unsigned http_status, const char *error)
{
    const struct config *config = facet->config;
    struct data *data = facet->data;
    struct span *span;
    uint64_t begin;

    if (facet->token == 0)
        return;
    span = &data->spans[facet->token - 1];
    begin = span->started_ms * 1000000;
    if (span->sampled)
        span_export(facet,
                    &(struct rt_span){
                        .trace = {span->trace[0], span->trace[1]},
                        .id = span->id,
                        .parent = span->parent,
                        .begin_ns = begin,
                        .end_ns = begin + (facet->now_ns - span->started_ns),
                        .method = rt_facet_method(msg),
                        .message_id = msg->id == NULL ? "" : msg->id,
                        .service = config->service_name,
                        .http_status = http_status,
                        .error = error,
                    });
    if (data->latest == span)
        data->latest = NULL;
    span->id = 0;
}

static enum plex_facet_verdict
after(struct plex_facet *facet, const struct plex_msg *msg,
      const struct plex_facet_result *result, struct plex_facet_out *out)
{
    (void)out;
    span_end(facet, msg, result->http_status,
             result->http_status >= 500 ? "the reply says so" : NULL);
    return PLEX_FACET_CONTINUE;
}

static enum plex_facet_verdict
error(struct plex_facet *facet, const struct plex_msg *msg, const char *text,
      struct plex_facet_out *out)
{
    (void)out;
    span_end(facet, msg, 500, text);
    return PLEX_FACET_PROPAGATE;
}

/* "traceparent": of the span that began last, for what the handler calls. */
static int
invoke(struct plex_facet *facet, const char *op, const void *in, size_t len,
       struct plex_facet_out *out)
{
    const struct span *span = ((struct data *)facet->data)->latest;

    (void)in;
    (void)len;
    if (strcmp(op, "traceparent") != 0)
        return -PLEX_UNSUPPORTED;
    if (span == NULL)
        return -PLEX_NOT_FOUND;
    out->payload = rt_facet_text(
        facet, "00-%016" PRIx64 "%016" PRIx64 "-%016" PRIx64 "-%02x",
        span->trace[0], span->trace[1], span->id, span->sampled ? 1 : 0);
    out->len = 55;
    return 0;
}

const struct plex_facet_type rt_facet_tracing = {
    .name = "tracing",
    .priority = 920,
    .keys = keys,
    .config_size = sizeof(struct config),
    .data_size = sizeof(struct data),
    .check = check,
    .before = before,
    .after = after,
    .error = error,
    .invoke = invoke,
};
