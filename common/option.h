#ifndef COMMON_OPTION_H
#define COMMON_OPTION_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

enum plex_option_type {
    PLEX_OPTION_STRING, /* const char * */
    PLEX_OPTION_U32,    /* uint32_t */
    PLEX_OPTION_U64,    /* uint64_t */
    PLEX_OPTION_BOOL,   /* bool; "true" | "false" | "1" | "0" */
    PLEX_OPTION_SECRET, /* const char *, never printed or logged */
};

/* One row per setting: the only place its name, default and help live. */
struct plex_option {
    const char *name; /* lower_snake, unit last: "drain_ms"; NULL ends */
    enum plex_option_type type;
    size_t offset; /* of the target in the configuration struct */
    const char *def;
    const char *help;
    uint64_t min, max; /* inclusive, of numbers; max 0: no limit but the type */
};

/* Values given by hand: name=value pairs as lower_snake; name NULL ends. */
struct plex_setting {
    const char *name;
    const char *value;
};

/*
 * Fill every target in `config`: the default, then the environment variable
 * PLEXSPACES_<SERVICE>_<NAME>, then `given` (may be NULL). Strings are
 * borrowed from the environment or `given`.
 *
 * Errors: PLEX_INVALID naming where the value came from, the value, and what
 * would be right.
 */
PLEX_MUST_USE enum plex_status plex_options_load(
    const struct plex_option *options, const char *service,
    const struct plex_setting *given, void *config, struct plex_err *err);

/* "--name value" and "--name=value", '-' or '_' inside names, into `given`
 * (room for `max` plus the end). Boolean options need no value. Unknown names
 * are PLEX_INVALID and name the nearest known one. `tables` is a
 * NULL-terminated list of option tables. */
PLEX_MUST_USE enum plex_status plex_options_argv(
    const struct plex_option *const *tables, int argc, char **argv,
    struct plex_setting *given, size_t max, struct plex_err *err);

/* PLEX_INVALID, naming the nearest known one, if `given` (may be NULL) holds a
 * name that is in none of `tables`: plex_options_load() ignores such. */
PLEX_MUST_USE enum plex_status plex_options_known(
    const struct plex_option *const *tables, const struct plex_setting *given,
    struct plex_err *err);

/* Print name, environment variable, default and help of each row. */
void plex_options_help(const struct plex_option *options, const char *service);

#endif
