#ifndef TESTS_UNIT_RUNTIME_FACETED_H
#define TESTS_UNIT_RUNTIME_FACETED_H

#include "runtime/process_facets.h"
#include "sdk/c/include/plexspaces/facet.h"
#include "tests/unit/runtime/stage.h"

/*
 * A facet "t/s" that says what it hears and does as its configuration says
 * (before, after, error, text, attempts, backoff), and what a process does with
 * texts: "fail WHY", "once WHY", "exit", "sleep", "later", "attach", "list",
 * ...
 */
struct faceted_memory { /* plex_data() */
    int calls, fails;
    struct plex_from later;
};
int faceted_act(struct plex_ctx *ctx, const struct plex_msg *msg);
extern const struct plex_behaviour faceted_plain;
extern const struct rt_facet_types faceted_types;

/* Fixtures. */
void faceted_open(void);
void faceted_close(void);
/* The facet configured so; until the next one. */
const struct rt_facet_plan *faceted_plan(const char *config);
/* As "p", with the facet configured by "before=replace text=x". */
struct plex_ref faceted_start(const struct plex_behaviour *behaviour,
                              const char *config, const char *args);
/* What was said since the last time. */
const char *said(void);

#endif
