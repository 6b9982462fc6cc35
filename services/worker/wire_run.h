#ifndef SERVICES_WORKER_WIRE_RUN_H
#define SERVICES_WORKER_WIRE_RUN_H

#include "plexspaces/worker/v1/worker.pb-c.h"
#include "services/worker/run_log.h"

/* Shared by wire_*.c only: steps of runs, and what a stretch added. */

/* False: they do not fit into `arena`. */
bool work_wire_steps_out(const struct work_step *steps, size_t n,
                         struct plex_arena *arena,
                         Plexspaces__Worker__V1__RunStep ***out);
enum plex_status work_wire_steps_in(Plexspaces__Worker__V1__RunStep **rows,
                                    size_t n, struct plex_arena *arena,
                                    const struct work_step **out,
                                    struct plex_err *err);
bool work_wire_delta_out(const struct work_run_delta *delta,
                         struct plex_arena *arena,
                         Plexspaces__Worker__V1__RunDelta *out);
enum plex_status work_wire_delta_in(const Plexspaces__Worker__V1__RunDelta *pb,
                                    struct plex_arena *arena,
                                    struct work_run_delta *out,
                                    struct plex_err *err);

#endif
