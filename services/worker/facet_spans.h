#ifndef SERVICES_WORKER_FACET_SPANS_H
#define SERVICES_WORKER_FACET_SPANS_H

#include "common/service.h"

/*
 * Spans on their way to collectors: OTLP over HTTP as JSON, and Zipkin's v2.
 * In batches of one service each, sent when there are enough or a quarter of a
 * second has passed, by a thread of libcurl's; what does not fit in memory
 * meanwhile, and what the collector does not take, is dropped and counted:
 * plexspaces_worker_spans_total by `outcome`. Threads: the loop's.
 */
struct work_facet_spans;

struct work_facet_span {
    bool zipkin; /* else OTLP */
    const char *url;
    const char *service; /* as the inside of a JSON string */
    const char *json;
};

struct work_facet_spans *work_facet_spans_create(const struct plex_host *host);
void work_facet_spans_add(struct work_facet_spans *spans,
                          const struct work_facet_span *span);
/* Sends what waits, and gives it a second. The loop still runs what is posted
 * after this. */
void work_facet_spans_stop(struct work_facet_spans *spans);
/* Accepts NULL. */
void work_facet_spans_free(struct work_facet_spans *spans);

#endif
