/* What callers get when the handler fails: another reply, or another text. */
#include "runtime/facets/facets.h"

#include <stdio.h>
#include <string.h>

struct config {
    const char *errors; /* patterns of errors that are hidden */
    const char *reply;
    uint64_t status; /* of the reply */
    const char *content_type;
    const char *error_text; /* or this in the error's place */
};

static const struct plex_facet_key keys[] = {
    RT_FACET_KEY(errors, TEXT, "*", 1, 1024),
    RT_FACET_KEY(reply, TEXT, "", 0, 4096),
    RT_FACET_KEY(status, NUMBER, "200", 200, 599),
    RT_FACET_KEY(content_type, TEXT, "application/json", 1, 128),
    RT_FACET_KEY(error_text, TEXT, "", 0, 512),
    {0},
};

static int
check(void *values, char *why, size_t size)
{
    const struct config *config = values;

    if ((config->reply[0] != '\0') != (config->error_text[0] != '\0'))
        return 0;
    (void)snprintf(why, size, "give config.reply or config.error_text");
    return -1;
}

static enum plex_facet_verdict
error(struct plex_facet *facet, const struct plex_msg *msg, const char *text,
      struct plex_facet_out *out)
{
    const struct config *config = facet->config;

    (void)msg;
    if (!rt_facet_glob(config->errors, text))
        return PLEX_FACET_PROPAGATE;
    rt_facet_log(
        facet, 1,
        rt_facet_text(facet, "%s: hidden by fallback: %s", facet->actor, text));
    if (config->error_text[0] != '\0') {
        out->text = config->error_text;
        return PLEX_FACET_TRANSFORM;
    }
    out->http_status = (uint32_t)config->status;
    out->content_type = config->content_type;
    out->payload = config->reply;
    out->len = strlen(config->reply);
    return PLEX_FACET_DEFAULT;
}

const struct plex_facet_type rt_facet_fallback = {
    .name = "fallback",
    .priority = 110,
    .keys = keys,
    .config_size = sizeof(struct config),
    .check = check,
    .error = error,
};
