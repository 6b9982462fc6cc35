#ifndef SERVICES_WORKER_FACET_SINK_H
#define SERVICES_WORKER_FACET_SINK_H

#include "common/service.h"
#include "runtime/facet.h"

/*
 * What facets do to the outside, from any executor to the loop: metrics (at
 * most 1,000 series, then the rest is dropped and counted), spans (a line of
 * standard output each) and what is left of logging.
 */
struct work_facet_sink;

struct work_facet_sink *work_facet_sink_create(const struct plex_host *host);
/* Any thread. */
void work_facet_sink_act(void *sink, const struct plex_facet_action *action);
/* After executors and the loop's tasks have ended. Accepts NULL. */
void work_facet_sink_free(struct work_facet_sink *sink);

#endif
