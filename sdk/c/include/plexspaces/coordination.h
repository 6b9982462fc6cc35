#ifndef PLEXSPACES_COORDINATION_H
#define PLEXSPACES_COORDINATION_H

/*
 * Coordination over the tuple space, for handlers and processes on any worker
 * (docs/coordination.md). All of it is tuples that anybody may read; every
 * function waits without blocking an executor, and survives a restart of the
 * tuple space (its store permitting) within the time of the call, about eight
 * seconds. They return 0 or a PLEX_E_ of status.h, -14 and -17 as of
 * tuple_request.h.
 *
 * In a durable actor they go inside plex_run(): a replay would repeat them
 * elsewhere.
 */
#include "barrier.h"
#include "collective.h"
#include "election.h"
#include "latch.h"
#include "semaphore.h"
#include "work_queue.h"

#endif
