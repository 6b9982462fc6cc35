#ifndef TESTS_BENCH_JOURNAL_FILL_H
#define TESTS_BENCH_JOURNAL_FILL_H

#include "services/journal/types.h"

/* What bench_journal_big writes, one way or another. */
enum { FILL_SHARDS = 4096, FILL_ACTORS = 500, FILL_TURNS = 100 };
#define FILL_DAY_MS UINT64_C(86400000)

struct fill {
    uint64_t base_ms;
    size_t state_bytes, reply_bytes;
};
uint32_t fill_mix(uint64_t n);
struct plex_actor_id fill_actor(uint64_t n, char key[32]);
/* Turn `seq` of actor `n`, the `turn`th of all; `id` and `pending` are what it
 * points to. */
struct journal_entry fill_turn(const struct fill *fill, uint64_t n,
                               uint64_t seq, uint64_t turn, char key[32],
                               uint8_t id[16], struct journal_pending *pending);

/* Rows as the journal would have written them for so many turns, in the same
 * order, into empty tables of its own, by COPY; indexes are made afterwards.
 * Prints how long it took; exits when something fails. */
void fill_postgres(const struct fill *fill, const char *dsn, uint64_t turns);

#endif
