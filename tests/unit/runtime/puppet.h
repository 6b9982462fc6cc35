#ifndef TESTS_UNIT_RUNTIME_PUPPET_H
#define TESTS_UNIT_RUNTIME_PUPPET_H

#include "tests/unit/runtime/stage.h"

/*
 * Processes on strings: each does what it is told and says what happens to it.
 * Inputs, one a line:
 *   spawn NAME [OPS]      from outside; OPS are its init's
 *   NAME: OPS             a cast: it does OPS in turn
 *   call NAME OPS         from outside
 *   send NAME TAG         an info from outside
 *   exit NAME REASON      from outside
 *   after MS | run | events | waiting (says how many callbacks wait)
 * OPS, separated by commas: see the table in puppet.c.
 */
extern const struct plex_behaviour puppet_behaviour;
void puppet_setup(const char *text);
void puppet_input(char *line);
struct plex_ref puppet_ref(const char *name);
const char *puppet_name(struct plex_ref ref);
void puppet_know(const char *name, struct plex_ref ref);

#endif
