/* Cron expressions and time zone files. The first byte chooses. */
#include "workflow/cron.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
use_zone(const struct flow_zone *zone, const struct flow_cron *cron)
{
    int64_t at = 1700000000000, next;

    for (int i = 0; i < 20; i++) {
        next = flow_cron_next(cron, zone, at);
        if (next <= at)
            abort();
        if (next == INT64_MAX)
            break;
        at = next;
    }
    (void)flow_zone_offset(zone, INT64_MIN / 4000);
    (void)flow_zone_offset(zone, INT64_MAX / 4000);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flow_zone *zone = NULL;
    struct flow_cron cron;
    struct plex_err err;
    char *text;

    if (size == 0)
        return 0;
    if (data[0] == 'Z') {
        if (flow_zone_parse(data + 1, size - 1, &zone, &err) != PLEX_OK)
            return 0;
        for (int i = 0; i < 2; i++) {
            if (flow_cron_parse(i ? "30 2 * * *" : "15,45 * * * *", &cron,
                                &err) != PLEX_OK)
                abort();
            use_zone(zone, &cron);
        }
        flow_zone_free(zone);
        return 0;
    }
    text = strndup((const char *)data + 1, size - 1);
    if (flow_cron_parse(text, &cron, &err) == PLEX_OK &&
        flow_zone_fixed("+01:00", &zone, &err) == PLEX_OK)
        use_zone(zone, &cron);
    flow_zone_free(zone);
    free(text);
    return 0;
}
