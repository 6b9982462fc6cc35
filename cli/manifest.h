#ifndef CLI_MANIFEST_H
#define CLI_MANIFEST_H

#include "common/bytes.h"

#include <jansson.h>

/*
 * An application's manifest: YAML text to the JSON of application.v1's
 * Application. Checks structure and types, so that each mistake is named by
 * line and column; what values may be is the registry's to say.
 */
enum {
    MANIFEST_BYTES_MAX = 4 << 20,
    MANIFEST_NODES_MAX = 100000, /* also through aliases */
    MANIFEST_DEPTH_MAX = 100,    /* mappings and lists in each other */
};

/* PLEX_INVALID: "NAME:LINE:COLUMN: what is wrong; what would be right". */
PLEX_MUST_USE enum plex_status manifest_parse(struct plex_bytes text,
                                              const char *name, json_t **out,
                                              struct plex_err *err);
PLEX_MUST_USE enum plex_status manifest_load(const char *path, json_t **out,
                                             struct plex_err *err);

#endif
