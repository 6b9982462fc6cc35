/* Runs a handler that failed again. */
#include "runtime/facets/facets.h"

struct config {
    uint64_t max_attempts; /* in all */
    uint64_t backoff;
    uint64_t multiplier;
    uint64_t max_backoff;
    const char *errors; /* patterns of errors worth it */
};

static const struct plex_facet_key keys[] = {
    RT_FACET_KEY(max_attempts, NUMBER, "3", 1, 100),
    RT_FACET_KEY(backoff, DURATION, "100ms", 1, 3600000),
    RT_FACET_KEY(multiplier, NUMBER, "2", 1, 10),
    RT_FACET_KEY(max_backoff, DURATION, "10s", 1, 3600000),
    RT_FACET_KEY(errors, TEXT, "*", 1, 1024),
    {0},
};

static enum plex_facet_verdict
error(struct plex_facet *facet, const struct plex_msg *msg, const char *text,
      struct plex_facet_out *out)
{
    const struct config *config = facet->config;
    uint64_t backoff = config->backoff;

    (void)msg;
    if (!rt_facet_glob(config->errors, text))
        return PLEX_FACET_PROPAGATE;
    /* The token counts the failures of this message. */
    for (uint64_t i = 0; i < facet->token && backoff < config->max_backoff; i++)
        backoff *= config->multiplier;
    facet->token++;
    out->max_attempts = (uint32_t)config->max_attempts;
    out->backoff_ms =
        backoff < config->max_backoff ? backoff : config->max_backoff;
    return PLEX_FACET_RETRY;
}

const struct plex_facet_type rt_facet_retry = {
    .name = "retry",
    .priority = 120,
    .keys = keys,
    .config_size = sizeof(struct config),
    .error = error,
};
