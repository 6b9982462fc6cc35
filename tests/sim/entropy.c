/* What handlers draw (ids of promises, seeds of records) comes out of the run's
 * seed as well, or it would not be the same run again. */
#include "tests/sim/engine.h"

#include "common/context.h"

#include <string.h>
#include <sys/random.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

static uint64_t seed, drawn;

void
sim_entropy_seed(uint64_t of_run)
{
    uint8_t byte;

    seed = of_run;
    drawn = 0;
    while (drawn == 0) /* what the run before has left in a buffer goes first */
        plex_random(&byte, sizeof byte);
}

/* In place of the system's, for all of this program. */
ssize_t
getrandom(void *out, size_t len, unsigned flags)
{
    uint8_t *at = out;

    (void)flags;
    for (size_t left = len; left > 0;) {
        const uint64_t n = ++drawn;
        const uint64_t bits = XXH3_64bits_withSeed(&n, sizeof n, seed);
        const size_t some = left < sizeof bits ? left : sizeof bits;

        memcpy(at, &bits, some);
        at += some;
        left -= some;
    }
    return (ssize_t)len;
}
