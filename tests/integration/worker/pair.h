#ifndef TESTS_INTEGRATION_WORKER_PAIR_H
#define TESTS_INTEGRATION_WORKER_PAIR_H

#include "services/worker/dist.h"

#include <pthread.h>
#include <stdatomic.h>

/*
 * Two workers without the rest of the daemon: a runtime, a link and the
 * distribution between them each, on a loop thread of its own.
 */
struct side {
    const char *name; /* "a", "b" */
    struct plex_base_config base;
    struct plex_host host;
    struct rt *rt;
    struct work_dist *dist;
    pthread_t thread;
};
struct pair {
    struct side a, b; /* the incarnation of a is the lower one */
};

/* `scheme`: "inproc" or "ipc". The sides know each other. */
void pair_start(struct pair *pair, const char *scheme, uint32_t executors);
void pair_stop(struct pair *pair);
/* Run fn(side) on its loop; returns when it has. */
void side_run(struct side *side, void (*fn)(struct side *side, void *arg),
              void *arg);
struct work_dist_stats side_stats(struct side *side);
/* Each has a session with the other. */
bool pair_is_open(struct pair *pair);
/* Tell `side` that the other one is there, or that it is lost. */
void side_hear(struct side *side, const struct side *other, bool there);

/* What find() knows; a row without a name ends. */
extern const struct plex_behaviour pair_behaviours[];
/* A process of that behaviour, registered as `name` when not NULL. */
struct plex_ref pair_spawn(struct side *side, const char *behaviour,
                           const char *name);
/* Call it from outside: the answer as a number, or its negative status. */
int64_t pair_call(struct side *side, struct plex_ref to, uint64_t tag,
                  const char *text);
/* The same in two steps. */
struct asked {
    atomic_bool done;
    int64_t value;
};
void pair_ask(struct side *side, struct plex_ref to, uint64_t tag,
              const char *text, struct asked *asked);
int64_t pair_answer(struct asked *asked);
/* Until fn(arg) is true; false after 10 s. */
bool pair_until(bool (*fn)(void *arg), void *arg);

#endif
