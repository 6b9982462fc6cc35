/* What an actor may ask of others over HTTP (sdk's http.h): base URL, hosts,
 * time-out, retries, circuit breaker. The worker does it. */
#include "runtime/facets/breaker.h"
#include "runtime/facets/facets.h"
#include "sdk/c/include/plexspaces/http.h"

#include <stdio.h>
#include <string.h>

struct config {
    const char *base_url;
    const char *hosts; /* patterns */
    uint64_t timeout;
    uint64_t retries;
    uint64_t retry_backoff;
    uint64_t max_bytes;
    bool log_requests;
    uint32_t retry_policy; /* 0 exponential, 1 none */
    struct rt_breaker_config breaker;
    bool use_breaker;
};
#define KEY(key, field, value, def, lo, hi)                                   \
    {                                                                         \
        key, PLEX_FACET_##value, offsetof(struct config, field), def, lo, hi, \
            NULL                                                              \
    }

static const struct plex_facet_key keys[] = {
    RT_FACET_KEY(base_url, TEXT, "", 0, 1024),
    RT_FACET_KEY(hosts, TEXT, "*", 1, 1024),
    RT_FACET_KEY(timeout, DURATION, "30s", 1, 3600000),
    KEY("timeout_seconds", timeout, SECONDS, PLEX_FACET_ALIAS, 1, 3600),
    RT_FACET_KEY(retries, NUMBER, "2", 0, 10),
    RT_FACET_KEY(retry_backoff, DURATION, "100ms", 1, 60000),
    RT_FACET_KEY(max_bytes, NUMBER, "4194304", 1, 4194304),
    RT_FACET_KEY(log_requests, BOOL, "false", 0, 0),
    KEY("request_logging", log_requests, BOOL, PLEX_FACET_ALIAS, 0, 0),
    RT_FACET_KEY_OF(retry_policy, "exponential", "exponential|none"),
    KEY("circuit_breaker", use_breaker, BOOL, "true", 0, 0),
    {"breaker_mode", PLEX_FACET_CHOICE, offsetof(struct config, breaker.mode),
     "consecutive", 0, 0, "consecutive|sliding_window|error_rate"},
    KEY("failure_threshold", breaker.failures, NUMBER, "5", 1, 256),
    KEY("error_rate", breaker.rate, RATIO, "0.5", 0, 0),
    KEY("window_calls", breaker.window_calls, NUMBER, "256", 1,
        RT_BREAKER_WINDOW_MAX),
    KEY("minimum_requests", breaker.minimum_calls, NUMBER, "10", 1,
        RT_BREAKER_WINDOW_MAX),
    KEY("open_timeout", breaker.open_ms, DURATION, "30s", 1, 0),
    KEY("max_half_open_requests", breaker.half_open_calls, NUMBER, "1", 1,
        1000),
    KEY("success_threshold", breaker.successes, NUMBER, "1", 1, 1000),
    {0},
};

static bool
is_absolute(const char *url)
{
    return strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
}

static int
check(void *values, char *why, size_t size)
{
    struct config *config = values;

    if (config->retry_policy == 1)
        config->retries = 0;
    if (config->base_url[0] == '\0' || is_absolute(config->base_url))
        return 0;
    (void)snprintf(why, size,
                   "config.base_url \"%.60s\" must begin with http:// or "
                   "https://",
                   config->base_url);
    return -1;
}

/* The host of an absolute URL, without user and port, in lower case; NULL:
 * there is none, or it is written so that others might read another. */
static const char *
host_of(struct plex_facet *facet, const char *url)
{
    const char *at = strstr(url, "://") + 3;
    size_t len = strcspn(at, "/?#");
    char *host;

    if (strcspn(at, "@\\") < len)
        return NULL;
    if (at[0] == '[')
        len = strcspn(at, "]") + 1;
    else
        len = strcspn(at, ":/?#");
    if (len == 0 || len > 255)
        return NULL;
    host = rt_facet_text(facet, "%.*s", (int)len, at);
    for (char *c = host; *c != '\0'; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    return host;
}

static bool
is_clean(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text <= 0x20 || *text == 0x7f)
            return false;
    return true;
}

static bool
breaker_begin(struct plex_facet *facet, uint64_t *ticket)
{
    const struct config *config = facet->config;
    struct rt_breaker *breaker = facet->data;
    const enum rt_breaker_state was = breaker->state;
    const bool may =
        rt_breaker_begin(breaker, &config->breaker, facet->now_ns, ticket);

    rt_facet_breaker_say(facet, was);
    return may;
}

static int
request(struct plex_facet *facet, const unsigned char *in, size_t len,
        struct plex_facet_out *out)
{
    const struct config *config = facet->config;
    struct plex_http_wire wire;
    const char *url, *host;
    unsigned char *to;
    size_t old_url;

    if (len < sizeof wire)
        return -PLEX_INVALID;
    memcpy(&wire, in, sizeof wire);
    if (len - sizeof wire != (size_t)wire.method_len + wire.url_len +
                                 wire.type_len + wire.headers_len +
                                 wire.body_len)
        return -PLEX_INVALID;
    old_url = wire.url_len;
    url = rt_facet_text(facet, "%.*s", (int)old_url,
                        (const char *)in + sizeof wire + wire.method_len);
    if (!is_absolute(url))
        url = rt_facet_text(facet, "%s%s", config->base_url, url);
    if (!is_absolute(url) || !is_clean(url) || strlen(url) > 8192 ||
        (host = host_of(facet, url)) == NULL)
        return -PLEX_INVALID;
    if (!rt_facet_glob(config->hosts, host))
        return -PLEX_DENIED;
    if (config->use_breaker && !breaker_begin(facet, &wire.ticket))
        return -PLEX_UNAVAILABLE;
    if (wire.timeout_ms == 0 || wire.timeout_ms > config->timeout)
        wire.timeout_ms = config->timeout;
    wire.retries = (uint32_t)config->retries;
    wire.backoff_ms = config->retry_backoff;
    wire.max_bytes = config->max_bytes;
    wire.url_len = (uint32_t)strlen(url);
    out->len = len - old_url + wire.url_len;
    out->payload = to = plex_facet_alloc(facet, out->len);
    memcpy(to, &wire, sizeof wire);
    memcpy(to + sizeof wire, in + sizeof wire, wire.method_len);
    memcpy(to + sizeof wire + wire.method_len, url, wire.url_len);
    memcpy(to + sizeof wire + wire.method_len + wire.url_len,
           in + sizeof wire + wire.method_len + old_url,
           len - sizeof wire - wire.method_len - old_url);
    if (config->log_requests)
        rt_facet_log(facet, 2,
                     rt_facet_text(facet, "%s: %.*s %s", facet->actor,
                                   (int)wire.method_len,
                                   (const char *)in + sizeof wire, url));
    return 0;
}

static int
result(struct plex_facet *facet, const void *in, size_t len)
{
    const struct config *config = facet->config;
    struct rt_breaker *breaker = facet->data;
    const enum rt_breaker_state was = breaker->state;
    struct plex_http_wire_result wire;

    if (len != sizeof wire)
        return -PLEX_INVALID;
    memcpy(&wire, in, sizeof wire);
    if (!config->use_breaker)
        return 0;
    rt_breaker_done(breaker, &config->breaker, facet->now_ns, wire.ticket,
                    wire.failed != 0);
    rt_facet_breaker_say(facet, was);
    return 0;
}

/* "request" and "result": http.h; others: of the circuit breaker. */
static int
invoke(struct plex_facet *facet, const char *op, const void *in, size_t len,
       struct plex_facet_out *out)
{
    if (strcmp(op, "request") == 0)
        return request(facet, in, len, out);
    if (strcmp(op, "result") == 0)
        return result(facet, in, len);
    return rt_facet_breaker_invoke(facet, op, out);
}

const struct plex_facet_type rt_facet_http_client = {
    .name = "http_client",
    .priority = 20,
    .keys = keys,
    .config_size = sizeof(struct config),
    .data_size = sizeof(struct rt_breaker),
    .check = check,
    .invoke = invoke,
};
