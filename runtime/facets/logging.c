/* A line for each message, and for the actor's beginning and end. */
#include "runtime/facets/facets.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ERROR, WARN, INFO, DEBUG }; /* levels as logs have them */
enum { TO_LOG, TO_STDOUT, TO_FILE, TO_SYSLOG };
enum { FILE_NAME_MAX = 64 };

struct config {
    uint32_t level;  /* lines above it are not written */
    uint32_t format; /* 0 text, 1 json */
    bool payload;
    uint32_t output;
    const char *file; /* its name: the folder is the worker's */
};

static const struct plex_facet_key keys[] = {
    RT_FACET_KEY_OF(level, "info", "error|warn|info|debug"),
    RT_FACET_KEY_OF(format, "text", "text|json"),
    RT_FACET_KEY(payload, BOOL, "false", 0, 0),
    RT_FACET_KEY_OF(output, "log", "log|stdout|file|syslog"),
    RT_FACET_KEY(file, TEXT, "", 0, FILE_NAME_MAX),
    {0},
};

static int
check(void *values, char *why, size_t size)
{
    struct config *config = values;
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    const char *file = config->file;

    if (file[0] == '\0') {
        config->file = "facets.log";
        return 0;
    }
    if (config->output != TO_FILE) {
        (void)snprintf(why, size, "config.file wants output file");
        return -1;
    }
    if (file[0] != '.' && file[strspn(file, letters)] == '\0')
        return 0;
    (void)snprintf(why, size,
                   "config.file \"%.64s\" must be a name without a folder: "
                   "letters, digits and _ - .",
                   file);
    return -1;
}

static bool
wanted(const struct plex_facet *facet, int level)
{
    return level <= (int)((const struct config *)facet->config)->level;
}

/* Elsewhere than in the log a line says itself when it was, and how bad. */
static void
write_line(struct plex_facet *facet, int level, const char *text)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    static const char *const outputs[] = {NULL, "stdout", "file", "syslog"};
    const struct config *config = facet->config;
    struct plex_facet_action action = {.kind = PLEX_FACET_LOG,
                                       .level = level,
                                       .name = outputs[config->output],
                                       .labels = config->file,
                                       .text = text};

    if (config->output != TO_LOG)
        action.text =
            config->format == 0
                ? rt_facet_text(facet, "%" PRIu64 ".%03" PRIu64 " %s %s",
                                facet->wall_ms / 1000, facet->wall_ms % 1000,
                                names[level], text)
                : rt_facet_text(facet,
                                "{\"time_ms\":%" PRIu64 ",\"level\":\"%s\",%s",
                                facet->wall_ms, names[level], text + 1);
    plex_facet_act(facet, &action);
}

static void
life(struct plex_facet *facet, int level, const char *what, const char *reason)
{
    const struct config *config = facet->config;

    if (!wanted(facet, level))
        return;
    write_line(facet, level,
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
        write_line(facet, level,
                   rt_facet_text(facet,
                                 "%s %s from %s: %u in %" PRIu64 ".%03" PRIu64
                                 " ms%s%s%s%s",
                                 facet->actor, method,
                                 from[0] == '\0' ? "outside" : from, status,
                                 took_ns / 1000000, took_ns / 1000 % 1000,
                                 text[0] == '\0' ? "" : ": ", text,
                                 data[0] == '\0' ? "" : " payload ", data));
    else
        write_line(facet, level,
                   rt_facet_text(
                       facet,
                       "{\"actor\":\"%s\",\"method\":\"%s\",\"from\":\"%s\","
                       "\"id\":\"%s\",\"status\":%u,\"took_us\":%" PRIu64
                       ",\"error\":\"%s\",\"payload\":\"%s\"}",
                       rt_facet_json(facet, facet->actor),
                       rt_facet_json(facet, method), rt_facet_json(facet, from),
                       rt_facet_json(facet, msg->id == NULL ? "" : msg->id),
                       status, took_ns / 1000, rt_facet_json(facet, text),
                       data));
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
    .check = check,
    .init_complete = init_complete,
    .terminate_start = terminate_start,
    .exit = heard_exit,
    .down = heard_down,
    .before = before,
    .after = after,
    .error = error,
};
