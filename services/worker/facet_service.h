#ifndef SERVICES_WORKER_FACET_SERVICE_H
#define SERVICES_WORKER_FACET_SERVICE_H

#include "common/service.h"
#include "runtime/runtime.h"
#include "services/registry/client.h"

/*
 * What processes ask of the worker itself (refs of PLEX_SERVICE_NODE): keys of
 * the registry, requests to the outside over HTTP, and tuples (tuple_bridge.h).
 * A call that comes as a signal on an executor is answered as one: nobody
 * blocks.
 */
struct work_facet_service;

struct work_facet_service *work_facet_service_create(
    const struct plex_host *host, struct rt *rt);
/* Loop thread: whose catalogue says where tuples are. */
void work_facet_service_registry(struct work_facet_service *service,
                                 const struct reg_client *registry);
/* Any thread. False: there is no such service, or too much waits for it. */
bool work_facet_service_take(struct work_facet_service *service,
                             const struct rt_signal *signal);
/* Nothing is answered any more. Accepts NULL. */
void work_facet_service_stop(struct work_facet_service *service);
/* After the loop's tasks and calls have ended. Accepts NULL. */
void work_facet_service_free(struct work_facet_service *service);

#endif
