#include "tests/bench/load.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned
bucket_of(uint64_t us)
{
    unsigned shift;

    if (us < 64)
        return (unsigned)us;
    shift = 58u - (unsigned)__builtin_clzll(us);
    return 32u * shift + (unsigned)(us >> shift);
}

static uint64_t
bucket_top(unsigned bucket)
{
    unsigned shift;

    if (bucket < 64)
        return bucket;
    shift = bucket / 32 - 1;
    return (((uint64_t)(bucket % 32) + 33) << shift) - 1;
}

void
load_stats_latency(struct load_stats *stats, uint64_t us)
{
    unsigned bucket = bucket_of(us);

    stats->buckets[bucket < LOAD_BUCKETS ? bucket : LOAD_BUCKETS - 1]++;
    stats->count++;
    if (us > stats->max_us)
        stats->max_us = us;
}

uint64_t
load_stats_quantile(const struct load_stats *stats, double q)
{
    uint64_t below = 0;
    uint64_t rank = (uint64_t)ceil((double)stats->count * q);

    for (unsigned i = 0; i < LOAD_BUCKETS; i++) {
        below += stats->buckets[i];
        if (below >= rank && below > 0)
            return bucket_top(i) < stats->max_us ? bucket_top(i)
                                                 : stats->max_us;
    }
    return stats->max_us;
}

uint64_t
load_stats_errors(const struct load_stats *stats)
{
    uint64_t errors = stats->refused + stats->lost + stats->timeouts;

    for (unsigned i = 300; i < 600; i++)
        errors += stats->statuses[i];
    return errors;
}

void
load_ledger_init(struct load_ledger *ledger, uint32_t keys)
{
    ledger->entries = calloc(keys, sizeof *ledger->entries);
    if (ledger->entries == NULL)
        abort();
    ledger->count = keys;
}

void
load_ledger_free(struct load_ledger *ledger)
{
    for (uint32_t i = 0; i < ledger->count; i++)
        free(ledger->entries[i].seen);
    free(ledger->entries);
}

/* Increments by one, so every acknowledged one must see a count of its own. */
void
load_ledger_ack(struct load_ledger *ledger, uint32_t key, uint64_t count)
{
    struct load_entry *entry = &ledger->entries[key];
    uint64_t bit = count - entry->base - 1;
    size_t word = (size_t)(bit / 64);

    entry->acked++;
    if (count <= entry->base || word >= (1u << 24)) {
        ledger->repeated++;
        return;
    }
    if (word >= entry->seen_words) {
        size_t words = word * 2 + 4;

        entry->seen = realloc(entry->seen, words * sizeof *entry->seen);
        if (entry->seen == NULL)
            abort();
        for (size_t i = entry->seen_words; i < words; i++)
            entry->seen[i] = 0;
        entry->seen_words = words;
    }
    if ((entry->seen[word] >> (bit % 64) & 1) != 0)
        ledger->repeated++;
    entry->seen[word] |= (uint64_t)1 << (bit % 64);
}

struct load_verdict
load_ledger_verdict(const struct load_ledger *ledger, const char *prefix)
{
    struct load_verdict verdict = {.twice = ledger->repeated};
    unsigned printed = 0;

    for (uint32_t i = 0; i < ledger->count; i++) {
        const struct load_entry *entry = &ledger->entries[i];
        uint64_t least = entry->base + entry->acked;
        uint64_t most = least + entry->unknown;

        verdict.acked += entry->acked;
        verdict.unknown += entry->unknown;
        if (entry->final < least)
            verdict.lost += least - entry->final;
        if (entry->final > most)
            verdict.twice += entry->final - most;
        if ((entry->final < least || entry->final > most) && printed++ < 20)
            (void)fprintf(stderr,
                          "plex-load: %s-%" PRIu32 " was %" PRIu64 ", %" PRIu64
                          " acknowledged, %" PRIu64 " unknown, is %" PRIu64
                          "\n",
                          prefix, i, entry->base, entry->acked, entry->unknown,
                          entry->final);
    }
    return verdict;
}
