#include "common/context.h"
#include "common/loop.h"
#include "common/mem.h"
#include "services/journal/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A journal of many turns: what reading one actor and finding the next due
 * timer cost when it has a million, and when it has N. Everything goes in by
 * the journal's own commits, 500 turns each; an actor has 100 turns, and each
 * of them a timer that the next one replaces. Usage: bench_journal_big DSN N
 */
enum {
    SHARDS = 4096,
    BATCH = 500,
    TURNS = 100, /* of an actor */
    FIRST = 1000000,
    SAMPLES = 400,
};
#define DAY_MS UINT64_C(86400000)

static struct journal_store *store;
static uint64_t base_ms, turns_total;

static void
fail(const char *what, const struct plex_err *err)
{
    (void)fprintf(stderr, "%s: %s\n", what, err->text);
    exit(1);
}

/* Its place, the same each time it is asked for. */
static uint32_t
mix(uint64_t n)
{
    n = (n ^ n >> 31) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(n >> 32);
}

static struct plex_actor_id
actor_of(uint64_t n, char key[24])
{
    (void)snprintf(key, 24, "user-%" PRIu64, n);
    return (struct plex_actor_id){"acme", "prod", "user", key};
}

/* Turn `seq` of BATCH actors from `first` on. */
static void
turns_add(uint64_t first, uint64_t seq)
{
    static struct journal_entry entries[BATCH];
    static struct journal_result results[BATCH];
    static struct journal_pending pendings[BATCH];
    static const struct journal_entry *list[BATCH];
    static struct journal_result *out[BATCH];
    static char keys[BATCH][24], ids[BATCH][16];
    static const struct plex_bytes timer = {(const uint8_t *)"t/remind", 8};
    static const uint8_t state[200], reply[50];
    struct journal_commit commit = {.entries = list,
                                    .results = out,
                                    .n_entries = BATCH,
                                    .wall_ms = base_ms};
    struct plex_err err = {0};

    for (size_t i = 0; i < BATCH; i++) {
        const uint64_t turn = turns_total + i;

        memcpy(ids[i], &turn, sizeof turn);
        memcpy(ids[i] + 8, &base_ms, 8);
        pendings[i] = (struct journal_pending){
            timer, base_ms + mix(turn) % DAY_MS, {(const uint8_t *)"wake", 4}};
        entries[i] = (struct journal_entry){
            .kind = JOURNAL_TURN,
            .actor = actor_of(first + i, keys[i]),
            .shard = mix(first + i) % SHARDS,
            .epoch = 1,
            .seq = seq,
            .message_id = {(const uint8_t *)ids[i], 16},
            .expires_ms = base_ms + DAY_MS,
            .at_ms = base_ms,
            .reply = {reply, sizeof reply},
            .has_state = true,
            .state = {state, sizeof state},
            .pending = &pendings[i],
            .n_pending = 1,
            .settled = &timer,
            .n_settled = 1,
        };
        list[i] = &entries[i];
        out[i] = &results[i];
    }
    if (journal_store_commit(store, &commit, &err) != PLEX_OK)
        fail("commit", &err);
    if (results[0].status != PLEX_OK)
        (void)plex_err_set(&err, results[0].status, "a turn was refused"),
            fail("commit", &err);
    turns_total += BATCH;
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
reads_measure(void)
{
    const uint64_t actors = turns_total / TURNS;
    uint64_t load_ns[SAMPLES], past_ns[SAMPLES], due_ns[SAMPLES], newest;
    struct journal_loaded loaded;
    struct journal_paged paged;
    struct journal_past past;
    struct plex_arena arena;
    struct plex_err err = {0};
    char key[24];

    plex_arena_init(&arena, 64 << 20);
    for (uint32_t i = 0; i < SAMPLES; i++) {
        const uint64_t n = mix(i * 7919 + turns_total) % actors;
        const struct plex_actor_id actor = actor_of(n, key);
        const struct journal_load load = {.actor = actor,
                                          .shard = mix(n) % SHARDS,
                                          .epoch = 1,
                                          .recent_max = 20};
        const struct journal_history want = {
            .actor = actor, .limit = 20, .with_state = true};
        const struct journal_page page = {.first = mix(i) % SHARDS,
                                          .last = mix(i) % SHARDS,
                                          .limit = 1,
                                          .until_ms = INT64_MAX};
        const uint64_t start = plex_now();

        if (journal_store_load(store, &load, base_ms, &arena, &loaded, &newest,
                               &err) != PLEX_OK ||
            loaded.last_seq != TURNS)
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
    printf("at %" PRIu64 " turns of %" PRIu64 " actors:\n", turns_total,
           actors);
    print("load of an actor, 20 answers", load_ns);
    print("its newest 20 turns", past_ns);
    print("next due timer of a shard", due_ns);
    (void)fflush(stdout);
}

int
main(int argc, char **argv)
{
    const struct journal_store_config config = {.dsn = argc > 1 ? argv[1]
                                                                : "mem:"};
    const uint64_t wanted = argc > 2 ? strtoull(argv[2], NULL, 10) : FIRST;
    uint64_t start = plex_now(), first = 0;
    struct plex_err err = {0};
    bool at_first = false;

    base_ms = plex_wall_ms();
    if (journal_store_open(&store, &config, &err) != PLEX_OK)
        fail("open", &err);
    while (turns_total < wanted) {
        for (uint64_t seq = 1; seq <= TURNS; seq++)
            turns_add(first, seq);
        first += BATCH;
        if (at_first || turns_total < FIRST)
            continue;
        at_first = true;
        reads_measure();
    }
    printf("%" PRIu64 " turns written: %.0f/s, %.1f GB\n", turns_total,
           (double)turns_total * 1e9 / (double)(plex_now() - start),
           (double)journal_store_bytes(store) / 1e9);
    reads_measure();
    journal_store_close(store);
    return 0;
}
