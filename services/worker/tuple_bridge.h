#ifndef SERVICES_WORKER_TUPLE_BRIDGE_H
#define SERVICES_WORKER_TUPLE_BRIDGE_H

#include "common/service.h"
#include "runtime/runtime.h"
#include "services/registry/client.h"

/*
 * What actors ask of the tuple space (sdk's tuplespace.h): a call that comes as
 * a signal on an executor goes over a link to the service that owns the
 * actor's namespace, and its answer is a signal again: nobody blocks.
 */
struct work_tuple_bridge;

struct work_tuple_bridge *work_tuple_bridge_create(const struct plex_host *host,
                                                   struct rt *rt);
/* Loop thread: whose catalogue says who owns what; NULL: not any more. */
void work_tuple_bridge_registry(struct work_tuple_bridge *bridge,
                                const struct reg_client *registry);
/* Any thread. False: too much waits for the tuple space. */
bool work_tuple_bridge_take(struct work_tuple_bridge *bridge,
                            const struct rt_signal *signal);
/* Nothing is answered any more. */
void work_tuple_bridge_stop(struct work_tuple_bridge *bridge);
/* After the loop's tasks and calls have ended. */
void work_tuple_bridge_free(struct work_tuple_bridge *bridge);

#endif
