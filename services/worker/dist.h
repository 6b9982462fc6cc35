#ifndef SERVICES_WORKER_DIST_H
#define SERVICES_WORKER_DIST_H

#include "common/service.h"
#include "runtime/runtime.h"
#include "services/registry/client.h"

/*
 * Distribution: signals of the runtime to other workers and theirs to it, in
 * order per pair of workers, in batches. A worker that is lost, that does not
 * keep up or whose link broke is "down" for the runtime (rt_node_down) and then
 * begun anew with: within a session nothing is lost.
 *
 * Everything is of the loop thread but work_dist_push().
 */
struct work_dist;

enum {
    WORK_DIST_PEERS_MAX = 1024,     /* names of workers ever seen */
    WORK_DIST_QUEUE_MAX = 64 << 20, /* bytes waiting for one worker */
    WORK_DIST_SEND_MAX = 32 << 20,  /* from here on messages are refused */
    WORK_DIST_BATCH = 256 << 10,    /* bytes */
    WORK_DIST_FLIGHTS = 4,          /* batches not yet answered */
    WORK_DIST_ANSWER_MS = 10000,    /* who is slower is lost */
    WORK_DIST_RETRY_MS = 200,
    WORK_DIST_ATTACH_MS = 3600000,
};

struct work_dist_config {
    const struct plex_host *host;
    /* For a virtual actor: name is "type/key". Borrowed for the call. */
    void (*to_actor)(void *arg, const struct rt_signal *signal);
    /* A signal that starts a process: it is to be delivered. */
    void (*spawn)(void *arg, const struct rt_signal *signal);
    /* One to a supervisor, which is delivered next: its `text` is wanted. */
    void (*request)(void *arg, const struct rt_signal *signal);
    void *arg;
};
struct work_dist *work_dist_create(const struct work_dist_config *config);
/* To whom signals are delivered, once. */
void work_dist_begin(struct work_dist *dist, struct rt *rt);
/* As of rt_config.on_remote: any thread. */
bool work_dist_push(struct work_dist *dist, const struct rt_signal *signal);
/* Who else is there. */
void work_dist_catalog(struct work_dist *dist,
                       const struct reg_catalog *catalog);
/* We go: tell those who wait for it. */
void work_dist_drain(struct work_dist *dist);
/* The runtime has been stopped: nothing is sent or delivered any more. */
void work_dist_end(struct work_dist *dist);
/* After that, and after the loop's tasks have run. Accepts NULL. */
void work_dist_free(struct work_dist *dist);

/* The incarnation of a live worker of that name, 0; and the name of one, "". */
uint64_t work_dist_node(const struct work_dist *dist, const char *node_id);
const char *work_dist_name(const struct work_dist *dist, uint64_t node);

enum {
    WORK_METHOD_SIGNALS = 620,
    WORK_METHOD_ATTACH = 621,
    WORK_METHOD_RECONNECT = 623,
};
void work_dist_on_signals(struct work_dist *dist, struct plex_call *call);
void work_dist_on_attach(struct work_dist *dist, struct plex_call *call);
void work_dist_on_reconnect(struct work_dist *dist, struct plex_call *call);

struct work_dist_stats {
    uint64_t peers; /* with an open session */
    uint64_t sent, received, batches, refused, broken;
    uint64_t queued_bytes;
};
void work_dist_stats(const struct work_dist *dist, struct work_dist_stats *out);

#endif
