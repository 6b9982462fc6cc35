#ifndef COMMON_SPREAD_H
#define COMMON_SPREAD_H

#include <stddef.h>
#include <stdint.h>

/*
 * Which of several who may all have the next piece of work gets it: instances
 * of a stateless type, workers that run them. Pure.
 */
enum plex_spread {
    PLEX_SPREAD_ROUND_ROBIN = 1,
    PLEX_SPREAD_LEAST_LOADED, /* of equal ones the one after *last */
    PLEX_SPREAD_RANDOM,
};
/* load[i] of those that may not; and the answer when nobody may. */
#define PLEX_SPREAD_NOT UINT32_MAX
#define PLEX_SPREAD_NOBODY SIZE_MAX

/* *last is the caller's memory, SIZE_MAX at first; `random` a fresh number. */
size_t plex_spread_pick(enum plex_spread how, const uint32_t *load, size_t n,
                        size_t *last, uint64_t random);

/* "round_robin"; 0 for what is none, "" for what has none. */
enum plex_spread plex_spread_parse(const char *text);
const char *plex_spread_text(enum plex_spread how);

#endif
