#include "common/context.h"
#include "common/loop.h"
#include "common/mem.h"
#include "services/journal/store.h"
#include "tests/bench/journal_fill.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A journal of many turns: what reading one actor and finding the next due
 * timer cost when it has a million, and when it has N. Everything goes in by
 * the journal's own commits, 500 turns each; an actor has 100 turns, and each
 * of them a timer that the next one replaces. Usage: bench_journal_big DSN N
 * ["copy" | "read"]: only fill a Postgres with the same rows, by COPY; only
 * read what was filled.
 */
enum { FIRST = 1000000, SAMPLES = 400 };

static struct journal_store *store;
static struct fill fill = {.state_bytes = 200, .reply_bytes = 50};
static uint64_t turns_total;

static void
fail(const char *what, const struct plex_err *err)
{
    (void)fprintf(stderr, "%s: %s\n", what, err->text);
    exit(1);
}

/* Turn `seq` of the actors from `first` on. */
static void
turns_add(uint64_t first, uint64_t seq)
{
    static struct journal_entry entries[FILL_ACTORS];
    static struct journal_result results[FILL_ACTORS];
    static struct journal_pending pendings[FILL_ACTORS];
    static const struct journal_entry *list[FILL_ACTORS];
    static struct journal_result *out[FILL_ACTORS];
    static char keys[FILL_ACTORS][32];
    static uint8_t ids[FILL_ACTORS][16];
    struct journal_commit commit = {.entries = list,
                                    .results = out,
                                    .n_entries = FILL_ACTORS,
                                    .wall_ms = fill.base_ms};
    struct plex_err err = {0};

    for (size_t i = 0; i < FILL_ACTORS; i++) {
        entries[i] = fill_turn(&fill, first + i, seq, turns_total + i, keys[i],
                               ids[i], &pendings[i]);
        list[i] = &entries[i];
        out[i] = &results[i];
    }
    if (journal_store_commit(store, &commit, &err) != PLEX_OK)
        fail("commit", &err);
    if (results[0].status != PLEX_OK)
        (void)plex_err_set(&err, results[0].status, "a turn was refused"),
            fail("commit", &err);
    turns_total += FILL_ACTORS;
}

static int
by_size(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void
print(const char *what, uint64_t *ns)
{
    qsort(ns, SAMPLES, sizeof *ns, by_size);
    printf("  %-34s p50 %8.1f us  p99 %8.1f us\n", what,
           (double)ns[SAMPLES / 2] / 1e3, (double)ns[SAMPLES * 99 / 100] / 1e3);
}

static void
reads_measure(const char *how)
{
    const uint64_t actors = turns_total / FILL_TURNS;
    uint64_t load_ns[SAMPLES], past_ns[SAMPLES], due_ns[SAMPLES], newest;
    struct journal_loaded loaded;
    struct journal_paged paged;
    struct journal_past past;
    struct plex_arena arena;
    struct plex_err err = {0};
    char key[32];

    plex_arena_init(&arena, 64 << 20);
    for (uint32_t i = 0; i < SAMPLES; i++) {
        const uint64_t n = fill_mix(i * 7919 + turns_total) % actors;
        const struct plex_actor_id actor = fill_actor(n, key);
        const struct journal_load load = {.actor = actor,
                                          .shard = fill_mix(n) % FILL_SHARDS,
                                          .epoch = 1,
                                          .recent_max = 20};
        const struct journal_history want = {
            .actor = actor, .limit = 20, .with_state = true};
        const struct journal_page page = {.first = fill_mix(i) % FILL_SHARDS,
                                          .last = fill_mix(i) % FILL_SHARDS,
                                          .limit = 1,
                                          .until_ms = INT64_MAX};
        const uint64_t start = plex_now();

        if (journal_store_load(store, &load, fill.base_ms, &arena, &loaded,
                               &newest, &err) != PLEX_OK ||
            loaded.last_seq != FILL_TURNS)
            fail("load", &err);
        load_ns[i] = plex_now() - start;
        if (journal_store_history(store, &want, &arena, &past, &err) !=
                PLEX_OK ||
            past.n != 20)
            fail("history", &err);
        past_ns[i] = plex_now() - start - load_ns[i];
        if (journal_store_pending(store, &page, &arena, &paged, &err) !=
            PLEX_OK)
            fail("pending", &err);
        due_ns[i] = plex_now() - start - load_ns[i] - past_ns[i];
        plex_arena_reset(&arena);
    }
    plex_arena_fini(&arena);
    printf("at %" PRIu64 " turns of %" PRIu64 " actors%s:\n", turns_total,
           actors, how);
    print("load of an actor, 20 answers", load_ns);
    print("its newest 20 turns", past_ns);
    print("next due timer of a shard", due_ns);
    (void)fflush(stdout);
}

/* Written by the journal itself. */
static void
commits_measure(uint64_t wanted)
{
    const uint64_t start = plex_now();
    bool at_first = false;

    for (uint64_t first = 0; turns_total < wanted; first += FILL_ACTORS) {
        for (uint64_t seq = 1; seq <= FILL_TURNS; seq++)
            turns_add(first, seq);
        if (at_first || turns_total < FIRST)
            continue;
        at_first = true;
        reads_measure("");
    }
    printf("%" PRIu64 " turns written: %.0f/s, %.1f GB\n", turns_total,
           (double)turns_total * 1e9 / (double)(plex_now() - start),
           (double)journal_store_bytes(store) / 1e9);
    reads_measure("");
}

int
main(int argc, char **argv)
{
    const struct journal_store_config config = {.dsn = argc > 1 ? argv[1]
                                                                : "mem:"};
    const uint64_t wanted = argc > 2 ? strtoull(argv[2], NULL, 10) : FIRST;
    const char *how = argc > 3 ? argv[3] : "";
    struct plex_err err = {0};

    fill.base_ms = plex_wall_ms();
    if (journal_store_open(&store, &config, &err) != PLEX_OK)
        fail("open", &err);
    if (strcmp(how, "copy") == 0) {
        fill.state_bytes = fill.reply_bytes = 8; /* 100 million fit 40 GB */
        fill_postgres(&fill, argv[1], wanted);
    } else if (strcmp(how, "read") == 0) {
        turns_total = wanted;
        reads_measure(", first time");
        reads_measure(", again");
    } else {
        commits_measure(wanted);
    }
    journal_store_close(store);
    return 0;
}
