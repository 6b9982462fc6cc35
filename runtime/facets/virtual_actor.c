/* Configures only: whoever hosts virtual actors does what it says. */
#include "runtime/facets/facets.h"

#include <stdio.h>
#include <string.h>

struct config {
    struct rt_facet_virtual is; /* the host reads it */
};
#define KEY(key, field, value, def, lo, hi)                                  \
    {                                                                        \
        key, PLEX_FACET_##value, offsetof(struct config, is.field), def, lo, \
            hi, NULL                                                         \
    }
#define CHOICE(key, field, def, values)                                       \
    {                                                                         \
        key, PLEX_FACET_CHOICE, offsetof(struct config, is.field), def, 0, 0, \
            values                                                            \
    }

static const struct plex_facet_key keys[] = {
    KEY("idle_timeout", idle_timeout_ms, DURATION, "0", 0, 0),
    {"idle_timeout_seconds", PLEX_FACET_SECONDS,
     offsetof(struct config, is.idle_timeout_ms), PLEX_FACET_ALIAS, 0, 2592000,
     NULL},
    KEY("deactivation_timeout", idle_timeout_ms, DURATION, PLEX_FACET_ALIAS, 0,
        0),
    CHOICE("activation_strategy", activation, "lazy", "lazy|eager|prewarm"),
    KEY("max_active", max_active, NUMBER, "0", 0, 100000000),
    KEY("memory_max", memory_max, NUMBER, "0", 0, UINT64_C(1) << 50),
    CHOICE("eviction", eviction, "lru", "lru|memory_pressure"),
    KEY("persist_on_deactivation", persist, BOOL, "true", 0, 0),
    CHOICE("reentrancy", reentrancy, "none", "none|call_chain|always"),
    KEY("prewarm_keys", prewarm_keys, TEXT, "", 0, 4096),
    {0},
};

static int
check(void *values, char *why, size_t size)
{
    struct config *config = values;
    const bool keys_given = config->is.prewarm_keys[0] != '\0';

    if (config->is.activation != 0 && !keys_given) {
        (void)snprintf(why, size,
                       "config.prewarm_keys is missing: which keys are to be "
                       "activated before anybody asks?");
        return -1;
    }
    if (config->is.activation == 0 && keys_given) {
        (void)snprintf(why, size,
                       "config.prewarm_keys wants activation_strategy eager or "
                       "prewarm");
        return -1;
    }
    return 0;
}

const struct plex_facet_type rt_facet_virtual_actor = {
    .name = "virtual_actor",
    .priority = 100,
    .keys = keys,
    .config_size = sizeof(struct config),
    .check = check,
};
