#ifndef CLI_REPLAY_MODULE_H
#define CLI_REPLAY_MODULE_H

#include "cli/print.h"
#include "common/err.h"

/* The code that recorded turns are run with, in processes of their own. */
struct replay_code {
    const char *module;    /* its file */
    const char *behaviour; /* "": it is called like the actor's type */
};
/*
 * Run all turns of the exported journal `file`, whose views are in `turns`:
 * each gets "verdict" ("same", "differs", "skipped", "crashes") and "why". A
 * turn that crashes does not keep those after it from being run.
 */
PLEX_MUST_USE enum plex_status replay_module(const struct replay_code *code,
                                             const char *file, json_t *turns,
                                             struct plex_err *err);

#endif
