#ifndef TESTS_UNIT_FACETS_HELPER_H
#define TESTS_UNIT_FACETS_HELPER_H

#include "runtime/facet.h"

/* One built-in facet in a chain of its own, and messages through it. */
enum { MS = 1000000 };
extern struct rt_facets *chain;
extern struct rt_facet_when when; /* test's clock */

/* "key=value" pairs; the chain is made anew. Fails the test when refused. */
void facet_start(const char *type, const char *const *pairs);
/* The same, expecting a refusal that says `why`. */
void facet_refused(const char *type, const char *const *pairs, const char *why);
void facet_stop(void);
void later(uint64_t ms);

struct plex_msg facet_msg(const char *method, const char *payload);
/* The handler answers `reply` with `status`; status 0: it fails with `reply`.
 * Returns "run 200 text" or "429 text" without "run" when it did not run. */
const char *facet_send(const struct plex_msg *msg, const char *client,
                       unsigned status, const char *reply);
/* The header of the last one, "" for none. */
const char *facet_header(void);
/* Pops one action as "log1 text", "count name{labels} n", "tick name n",
 * "publish group payload", ...; "" for none. What goes elsewhere than into the
 * log or to standard output begins with where. */
const char *facet_action(void);
int facet_invoke(const char *op, const char *in, const char **answer);

#endif
