#include "common/spread.h"

#include <string.h>

static const char *const words[] = {"", "round_robin", "least_loaded",
                                    "random"};

enum plex_spread
plex_spread_parse(const char *text)
{
    for (int i = PLEX_SPREAD_ROUND_ROBIN; i <= PLEX_SPREAD_RANDOM; i++)
        if (strcmp(words[i], text) == 0)
            return (enum plex_spread)i;
    return (enum plex_spread)0;
}

const char *
plex_spread_text(enum plex_spread how)
{
    return words[how];
}

/* The k-th that may, from 0; there are more than k. */
static size_t
nth(const uint32_t *load, uint64_t k)
{
    size_t at = 0;

    while (load[at] == PLEX_SPREAD_NOT || k-- > 0)
        at++;
    return at;
}

size_t
plex_spread_pick(enum plex_spread how, const uint32_t *load, size_t n,
                 size_t *last, uint64_t random)
{
    size_t best = PLEX_SPREAD_NOBODY, may = 0;

    for (size_t i = 1; i <= n; i++) {
        const size_t at = *last == SIZE_MAX ? i - 1 : (*last + i) % n;

        if (load[at] == PLEX_SPREAD_NOT)
            continue;
        may++;
        if (best == PLEX_SPREAD_NOBODY ||
            (how == PLEX_SPREAD_LEAST_LOADED && load[at] < load[best]))
            best = at;
    }
    if (may > 0 && how == PLEX_SPREAD_RANDOM)
        best = nth(load, random % may);
    if (may > 0)
        *last = best;
    return best;
}
