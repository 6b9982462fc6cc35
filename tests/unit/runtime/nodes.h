#ifndef TESTS_UNIT_RUNTIME_NODES_H
#define TESTS_UNIT_RUNTIME_NODES_H

#include "runtime/runtime.h"
#include "sdk/c/include/plexspaces/group.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Two runtimes that are connected by a list of signals, in one thread. What
 * happens is written into a log that the tests compare. Node 1 is "n1" with
 * the process a, node 2 "n2" with b: doers, which trap exits. */

enum { NODES = 2, TAG_DO = 1000, TAG_STOP };
extern struct rt *node_rt[NODES];
extern struct plex_ref node_a, node_b;
extern const struct rt_where node_where;
extern char node_said[8192];
/* What find() gives besides the doer, by name: up to a row without one. */
extern const struct plex_behaviour *node_behaviours;
/* Runs when a signal is carried: true holds it back for good. */
extern bool (*node_lose)(const struct rt_signal *signal);

void node_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void node_setup(void);
void node_teardown(void);
/* Everything that runs, for so long. */
void node_run_ms(uint64_t ms);
/* Node 2 is lost, for node 1. */
void node_down(void);
/* Node 2 is found anew, as the same. */
void node_up(void);

/* A process that does what it is told. */
typedef void (*node_deed_fn)(struct plex_ctx *ctx);
extern const struct plex_behaviour node_doer;
struct plex_ref node_start(int node, const char *name);
void node_tell(int node, struct plex_ref who, node_deed_fn deed);

#endif
