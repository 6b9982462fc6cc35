/* A line for each message, and for the actor's beginning and end. */
#include "runtime/facets/facets.h"

#include <inttypes.h>

enum { ERROR, WARN, INFO, DEBUG }; /* levels as logs have them */

struct config {
    uint32_t level;  /* lines above it are not written */
    uint32_t format; /* 0 text, 1 json */
    bool payload;
};

static const struct plex_facet_key keys[] = {
    RT_FACET_KEY_OF(level, "info", "error|warn|info|debug"),
    RT_FACET_KEY_OF(format, "text", "text|json"),
    RT_FACET_KEY(payload, BOOL, "false", 0, 0),
    {0},
};

static bool
wanted(const struct plex_facet *facet, int level)
{
    return level <= (int)((const struct config *)facet->config)->level;
}

static void
life(struct plex_facet *facet, int level, const char *what, const char *reason)
{
    const struct config *config = facet->config;

    if (!wanted(facet, level))
        return;
    rt_facet_log(facet, level,
                 config->format == 0
                     ? rt_facet_text(facet, "%s %s%s%s", facet->actor, what,
                                     reason[0] == '\0' ? "" : ": ", reason)
                     : rt_facet_text(facet,
                                     "{\"actor\":\"%s\",\"event\":\"%s\","
                                     "\"reason\":\"%s\"}",
                                     rt_facet_json(facet, facet->actor), what,
                                     rt_facet_json(facet, reason)));
}

static void
init_complete(struct plex_facet *facet)
{
    life(facet, DEBUG, "started", "");
}

static void
terminate_start(struct plex_facet *facet, const char *reason)
{
    life(facet, DEBUG, "ends", reason);
}

static void
heard_exit(struct plex_facet *facet, struct plex_ref who, const char *reason)
{
    (void)who;
    life(facet, DEBUG, "hears of an exit", reason);
}

static void
heard_down(struct plex_facet *facet, struct plex_ref who, const char *reason)
{
    (void)who;
    life(facet, DEBUG, "hears of a DOWN", reason);
}

static const char *
payload_text(struct plex_facet *facet, const struct plex_msg *msg)
{
    const struct config *config = facet->config;
    const int len = msg->len > 256 ? 256 : (int)msg->len;

    if (!config->payload || msg->payload == NULL)
        return "";
    return rt_facet_json(
        facet, rt_facet_text(facet, "%.*s", len, (const char *)msg->payload));
}

static void
line(struct plex_facet *facet, int level, const struct plex_msg *msg,
     unsigned status, uint64_t took_ns, const char *text)
{
    const struct config *config = facet->config;
    const char *method = rt_facet_method(msg), *data;
    const char *from = msg->sender == NULL || msg->sender[0] == '\0'
                           ? facet->client
                           : msg->sender;

    if (!wanted(facet, level))
        return;
    data = payload_text(facet, msg);
    if (config->format == 0)
        rt_facet_log(facet, level,
                     rt_facet_text(facet,
                                   "%s %s from %s: %u in %" PRIu64 ".%03" PRIu64
                                   " ms%s%s%s%s",
                                   facet->actor, method,
                                   from[0] == '\0' ? "outside" : from, status,
                                   took_ns / 1000000, took_ns / 1000 % 1000,
                                   text[0] == '\0' ? "" : ": ", text,
                                   data[0] == '\0' ? "" : " payload ", data));
    else
        rt_facet_log(
            facet, level,
            rt_facet_text(
                facet,
                "{\"actor\":\"%s\",\"method\":\"%s\",\"from\":\"%s\","
                "\"id\":\"%s\",\"status\":%u,\"took_us\":%" PRIu64
                ",\"error\":\"%s\",\"payload\":\"%s\"}",
                rt_facet_json(facet, facet->actor),
                rt_facet_json(facet, method), rt_facet_json(facet, from),
                rt_facet_json(facet, msg->id == NULL ? "" : msg->id), status,
                took_ns / 1000, rt_facet_json(facet, text), data));
}

static enum plex_facet_verdict
before(struct plex_facet *facet, const struct plex_msg *msg,
       struct plex_facet_out *out)
{
    (void)msg;
    (void)out;
    facet->token = facet->now_ns;
    return PLEX_FACET_CONTINUE;
}

static enum plex_facet_verdict
after(struct plex_facet *facet, const struct plex_msg *msg,
      const struct plex_facet_result *result, struct plex_facet_out *out)
{
    (void)out;
    line(facet, result->http_status >= 500 ? WARN : INFO, msg,
         result->http_status, facet->now_ns - facet->token, "");
    return PLEX_FACET_CONTINUE;
}

static enum plex_facet_verdict
error(struct plex_facet *facet, const struct plex_msg *msg, const char *text,
      struct plex_facet_out *out)
{
    (void)out;
    line(facet, ERROR, msg, 500, facet->now_ns - facet->token, text);
    return PLEX_FACET_PROPAGATE;
}

const struct plex_facet_type rt_facet_logging = {
    .name = "logging",
    .priority = 900,
    .keys = keys,
    .config_size = sizeof(struct config),
    .init_complete = init_complete,
    .terminate_start = terminate_start,
    .exit = heard_exit,
    .down = heard_down,
    .before = before,
    .after = after,
    .error = error,
};
