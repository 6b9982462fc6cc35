#ifndef SERVICES_GATEWAY_REST_FIND_H
#define SERVICES_GATEWAY_REST_FIND_H

#include "services/gateway/gate.h"

/*
 * Which worker has a process: a ref or "name@node" says it; of any other name
 * all workers are asked.
 */
struct gate_found {
    unsigned n; /* how many have it */
    char url[256];
    char nodes[200];         /* " NAME@worker-1 NAME@worker-2" */
    enum plex_status failed; /* a worker could not be asked */
    char failed_text[200];
};
typedef void (*gate_found_fn)(void *arg, const struct gate_found *found);
/* done() runs once, perhaps within the call; the context is borrowed until
 * then. */
void gate_find_process(struct gate *gate, const struct plex_context *context,
                       const char *ns, const char *process, gate_found_fn done,
                       void *arg);

/* A worker that answers. */
bool gate_is_worker(const struct reg_node *node);

#endif
