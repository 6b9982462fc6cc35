/* Counts and times messages by type of actor; never by actor, so that there are
 * as many series as types. */
#include "runtime/facets/facets.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { OK, REFUSED, FAILED, OUTCOMES };
static const char *const outcomes[] = {"ok", "refused", "failed"};

struct config {
    const char *namespace;
    bool per_method;
    uint32_t export_format; /* 0 prometheus: whoever collects them; 1 json */
    uint64_t push_interval; /* of lines of JSON */
};
struct data { /* since the last line */
    uint64_t messages[OUTCOMES], took_ns;
};

static const struct plex_facet_key keys[] = {
    RT_FACET_KEY(namespace, TEXT, "plexspaces", 1, 64),
    RT_FACET_KEY(per_method, BOOL, "false", 0, 0),
    RT_FACET_KEY_OF(export_format, "prometheus", "prometheus|json"),
    RT_FACET_KEY(push_interval, DURATION, "10s", 100, 0),
    {0},
};

static int
check(void *values, char *why, size_t size)
{
    const struct config *config = values;

    if (strspn(config->namespace, "abcdefghijklmnopqrstuvwxyz0123456789_") ==
        strlen(config->namespace))
        return 0;
    (void)snprintf(why, size,
                   "config.namespace \"%.32s\" must be lower-case letters, "
                   "digits and '_'",
                   config->namespace);
    return -1;
}

/* HTTP's methods and the kinds of messages only: nobody's own words. */
static const char *
method_label(const struct plex_msg *msg)
{
    static const char *const known[] = {"GET",  "POST", "PUT",  "DELETE",
                                        "HEAD", "call", "cast", "info",
                                        "exit", "down", "timer"};
    const char *method = rt_facet_method(msg);

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i], method) == 0)
            return method;
    return "other";
}

static uint64_t
waiting(const struct data *data)
{
    uint64_t n = 0;

    for (int i = 0; i < OUTCOMES; i++)
        n += data->messages[i];
    return n;
}

/* A line of what there was since the last one. */
static void
push(struct plex_facet *facet)
{
    const struct config *config = facet->config;
    struct data *data = facet->data;
    struct plex_facet_action action = {.kind = PLEX_FACET_SPAN};

    if (waiting(data) == 0)
        return;
    action.text = rt_facet_text(
        facet,
        "{\"time_ms\":%" PRIu64 ",\"metrics\":\"%s\",\"type\":\"%s\","
        "\"actor\":\"%s\",\"ok\":%" PRIu64 ",\"refused\":%" PRIu64
        ",\"failed\":%" PRIu64 ",\"took_us\":%" PRIu64 "}",
        facet->wall_ms, config->namespace, rt_facet_json(facet, facet->family),
        rt_facet_json(facet, facet->actor), data->messages[OK],
        data->messages[REFUSED], data->messages[FAILED], data->took_ns / 1000);
    plex_facet_act(facet, &action);
    *data = (struct data){.took_ns = 0};
}

static void
last(struct plex_facet *facet, const char *reason)
{
    (void)reason;
    push(facet);
}

static void
report(struct plex_facet *facet, const struct plex_msg *msg, int which,
       uint64_t took_ns)
{
    const struct config *config = facet->config;
    const char *outcome = outcomes[which];
    const char *labels =
        config->per_method
            ? rt_facet_text(facet, "type=\"%s\",method=\"%s\",outcome=\"%s\"",
                            rt_facet_json(facet, facet->family),
                            method_label(msg), outcome)
            : rt_facet_text(facet, "type=\"%s\",outcome=\"%s\"",
                            rt_facet_json(facet, facet->family), outcome);
    struct plex_facet_action action = {
        .kind = PLEX_FACET_COUNT,
        .name =
            rt_facet_text(facet, "%s_actor_messages_total", config->namespace),
        .labels = labels,
        .number = 1,
    };
    struct data *data = facet->data;

    if (config->export_format == 1) {
        if (waiting(data) == 0)
            plex_facet_wake_at(facet, facet->now_ns +
                                          config->push_interval * RT_FACET_MS);
        data->messages[which]++;
        data->took_ns += took_ns;
        return;
    }
    plex_facet_act(facet, &action);
    action.kind = PLEX_FACET_OBSERVE;
    action.name =
        rt_facet_text(facet, "%s_actor_message_seconds", config->namespace);
    action.number = took_ns;
    plex_facet_act(facet, &action);
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
    report(facet, msg,
           result->http_status >= 500   ? FAILED
           : result->http_status >= 400 ? REFUSED
                                        : OK,
           facet->now_ns - facet->token);
    return PLEX_FACET_CONTINUE;
}

static enum plex_facet_verdict
error(struct plex_facet *facet, const struct plex_msg *msg, const char *text,
      struct plex_facet_out *out)
{
    (void)text;
    (void)out;
    report(facet, msg, FAILED, facet->now_ns - facet->token);
    return PLEX_FACET_PROPAGATE;
}

const struct plex_facet_type rt_facet_metrics = {
    .name = "metrics",
    .priority = 800,
    .keys = keys,
    .config_size = sizeof(struct config),
    .data_size = sizeof(struct data),
    .check = check,
    .terminate_start = last,
    .wake = push,
    .before = before,
    .after = after,
    .error = error,
};
