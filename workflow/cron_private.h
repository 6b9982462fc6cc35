#ifndef WORKFLOW_CRON_PRIVATE_H
#define WORKFLOW_CRON_PRIVATE_H

#include "workflow/cron.h"

/* Seconds since 1970 on the clock on the wall, after `local_s`. */
int64_t flow_cron_next_local(const struct flow_cron *cron, int64_t local_s);
/* The next moment at which the offset may change; INT64_MAX: never. */
int64_t flow_zone_next_change(const struct flow_zone *zone, int64_t utc_s);
/* When the wall shows `local_s`: the first time if twice; where it never
 * does, the moment of the change. */
int64_t flow_zone_utc(const struct flow_zone *zone, int64_t local_s);

#endif
