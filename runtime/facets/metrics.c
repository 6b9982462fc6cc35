/* Counts and times messages by type of actor; never by actor, so that there are
 * as many series as types. */
#include "runtime/facets/facets.h"

#include <stdio.h>
#include <string.h>

struct config {
    const char *namespace;
    bool per_method;
};

static const struct plex_facet_key keys[] = {
    RT_FACET_KEY(namespace, TEXT, "plexspaces", 1, 64),
    RT_FACET_KEY(per_method, BOOL, "false", 0, 0),
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

static void
report(struct plex_facet *facet, const struct plex_msg *msg,
       const char *outcome, uint64_t took_ns)
{
    const struct config *config = facet->config;
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
           result->http_status >= 500   ? "failed"
           : result->http_status >= 400 ? "refused"
                                        : "ok",
           facet->now_ns - facet->token);
    return PLEX_FACET_CONTINUE;
}

static enum plex_facet_verdict
error(struct plex_facet *facet, const struct plex_msg *msg, const char *text,
      struct plex_facet_out *out)
{
    (void)text;
    (void)out;
    report(facet, msg, "failed", facet->now_ns - facet->token);
    return PLEX_FACET_PROPAGATE;
}

const struct plex_facet_type rt_facet_metrics = {
    .name = "metrics",
    .priority = 800,
    .keys = keys,
    .config_size = sizeof(struct config),
    .check = check,
    .before = before,
    .after = after,
    .error = error,
};
