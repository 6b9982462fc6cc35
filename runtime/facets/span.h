#ifndef RUNTIME_FACETS_SPAN_H
#define RUNTIME_FACETS_SPAN_H

#include "runtime/facets/facets.h"

/* A span that is over, and how it is written for whom. */
struct rt_span {
    uint64_t trace[2], id, parent; /* parent 0: none */
    uint64_t begin_ns, end_ns;     /* wall clock */
    const char *method, *message_id;
    const char *service;
    unsigned http_status;
    const char *error; /* NULL: it went well */
};

/* One JSON object each, in the memory of the call: a line for people and
 * collectors of lines; a span of OTLP/HTTP's JSON; one of Zipkin's v2. */
const char *rt_span_console(struct plex_facet *facet,
                            const struct rt_span *span);
const char *rt_span_otlp(struct plex_facet *facet, const struct rt_span *span);
const char *rt_span_zipkin(struct plex_facet *facet,
                           const struct rt_span *span);

#endif
