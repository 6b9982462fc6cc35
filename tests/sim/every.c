/* Each boundary of a scripted run, with each strike. */
#include "tests/sim/config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { PAIR_APART = 80 }; /* boundaries between two strikes, at most */

struct tally {
    const struct sim_every *every;
    struct sim_config config;
    time_t began;
    uint64_t runs, random;
};

static void
told(const struct tally *tally, const struct sim_outcome *outcome)
{
    const struct sim_config *c = &tally->config;

    printf("FAIL seed %" PRIu64 ": %s\n     replay: plex-sim --seeds %" PRIu64,
           c->seed, outcome->failure, c->seed);
    for (int i = 0; i < SIM_STRIKES_MAX; i++)
        if (c->strikes[i].at != 0)
            printf(" --strike %s@%" PRIu64, sim_strike_name(c->strikes[i].kind),
                   c->strikes[i].at);
    printf(" --trace\n");
}

static bool
try_one(struct tally *tally)
{
    struct sim_outcome outcome;

    tally->runs++;
    if (sim_run(&tally->config, &outcome))
        return true;
    told(tally, &outcome);
    return false;
}

static bool
over(const struct tally *tally)
{
    return tally->every->seconds != 0 &&
           time(NULL) - tally->began >= (time_t)tally->every->seconds;
}

/* How many boundaries it has when nothing strikes. */
static uint64_t
boundaries(struct tally *tally)
{
    struct sim_outcome outcome;

    for (int i = 0; i < SIM_STRIKES_MAX; i++)
        tally->config.strikes[i].at = 0;
    if (sim_run(&tally->config, &outcome))
        return outcome.boundaries;
    told(tally, &outcome);
    return 0;
}

static bool
singles(struct tally *tally, uint64_t n)
{
    const uint64_t stride = tally->every->stride;

    for (int kind = 0; kind < SIM_STRIKES; kind++)
        for (uint64_t at = 1 + (tally->config.seed + (uint64_t)kind) % stride;
             at <= n && !over(tally); at += stride) {
            tally->config.strikes[0] =
                (struct sim_strike){at, (enum sim_strike_kind)kind};
            if (!try_one(tally))
                return false;
        }
    return true;
}

static uint64_t
some(struct tally *tally, uint64_t below)
{
    tally->random = tally->random * UINT64_C(6364136223846793005) +
                    UINT64_C(1442695040888963407);
    return (tally->random >> 33) % below;
}

/* The second strikes while what the first did is mended. */
static bool
pairs(struct tally *tally, uint64_t n)
{
    tally->random = tally->config.seed;
    for (uint64_t i = 0; i < tally->every->pairs && !over(tally); i++) {
        uint64_t at = 1 + some(tally, n);

        for (int s = 0; s < SIM_STRIKES_MAX; s++) {
            tally->config.strikes[s] = (struct sim_strike){
                at, (enum sim_strike_kind)some(tally, SIM_STRIKES)};
            at += 1 + some(tally, PAIR_APART);
        }
        if (!try_one(tally))
            return false;
    }
    return true;
}

int
sim_every(const struct sim_config *config, const struct sim_every *every)
{
    struct tally tally = {
        .every = every, .config = *config, .began = time(NULL)};
    uint64_t n = 0;

    tally.config.script = true;
    for (uint64_t seed = every->first; seed <= every->last; seed++) {
        if (over(&tally))
            break;
        tally.config.seed = seed;
        n = boundaries(&tally);
        if (n == 0 || !singles(&tally, n))
            return 1;
        tally.config.strikes[1].at = 0;
        if (!pairs(&tally, n))
            return 1;
    }
    printf("ok: seeds from %" PRIu64 ", %" PRIu64 " boundaries in the last, "
           "%" PRIu64 " runs struck\n",
           every->first, n, tally.runs);
    return 0;
}
