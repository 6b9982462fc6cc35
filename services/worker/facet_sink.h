#ifndef SERVICES_WORKER_FACET_SINK_H
#define SERVICES_WORKER_FACET_SINK_H

#include "common/service.h"
#include "runtime/facet.h"

/*
 * What facets do to the outside, from any executor to the loop: metrics (at
 * most 1,000 series, then the rest is dropped and counted), spans, and lines of
 * logging that go elsewhere than into the worker's log.
 */
struct work_facet_sink;

/* Files of logging facets are in `log_dir`/`node`; log_dir "": there are
 * none. */
struct work_facet_sink *work_facet_sink_create(const struct plex_host *host,
                                               const char *log_dir,
                                               const char *node);
/* On the loop: what became of an actor, for its events. */
typedef void (*work_facet_event_fn)(void *arg, const char *actor,
                                    const char *text);
void work_facet_sink_events(struct work_facet_sink *sink,
                            work_facet_event_fn event, void *arg);
/* Any thread. */
void work_facet_sink_act(void *sink, const struct plex_facet_action *action);
/* Executors have ended; the loop runs tasks once more after this. What waits
 * goes out. */
void work_facet_sink_stop(struct work_facet_sink *sink);
/* After the loop's tasks have ended; lines still go out. Accepts NULL. */
void work_facet_sink_free(struct work_facet_sink *sink);

#endif
