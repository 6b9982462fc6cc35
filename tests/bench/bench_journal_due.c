#include "common/context.h"
#include "common/loop.h"
#include "common/mem.h"
#include "services/journal/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Timers of many idle actors: set N of them over 4096 shards, then read what
 * is due within windows of a second and what comes next, set and settle some
 * more. Usage: bench_journal_due DSN [timers]
 */
enum { SHARDS = 4096, BATCH = 500, SPAN_MS = 86400000, WINDOWS = 20 };

static struct journal_store *store;
static uint64_t next_actor;

static double
seconds_since(uint64_t start)
{
    return (double)(plex_now() - start) / 1e9;
}

static void
fail(const char *what, const struct plex_err *err)
{
    (void)fprintf(stderr, "%s: %s\n", what, err->text);
    exit(1);
}

/* One turn each of BATCH new actors, which sets a timer. */
static void
timers_set(uint64_t base_ms, bool settle)
{
    static struct journal_entry entries[BATCH];
    static struct journal_result results[BATCH];
    static struct journal_pending pendings[BATCH];
    static const struct journal_entry *list[BATCH];
    static struct journal_result *out[BATCH];
    static char keys[BATCH][24];
    static const struct plex_bytes id = {(const uint8_t *)"t/remind", 8};
    struct journal_commit commit = {.entries = list,
                                    .results = out,
                                    .n_entries = BATCH,
                                    .wall_ms = base_ms};
    struct plex_err err = {0};

    for (size_t i = 0; i < BATCH; i++) {
        uint32_t random;

        plex_random(&random, sizeof random);
        (void)snprintf(keys[i], sizeof keys[i], "user-%llu",
                       (unsigned long long)next_actor++);
        pendings[i] = (struct journal_pending){
            id, base_ms + random % SPAN_MS, {(const uint8_t *)"wake up", 7}};
        entries[i] =
            (struct journal_entry){.kind = JOURNAL_TURN,
                                   .actor = {"acme", "prod", "user", keys[i]},
                                   .shard = random >> 20,
                                   .epoch = 1,
                                   .seq = 1,
                                   .at_ms = base_ms,
                                   .pending = &pendings[i],
                                   .n_pending = 1};
        if (settle) {
            entries[i].settled = &id;
            entries[i].n_settled = 1;
        }
        list[i] = &entries[i];
        out[i] = &results[i];
    }
    if (journal_store_commit(store, &commit, &err) != PLEX_OK)
        fail("commit", &err);
}

static uint64_t
window_read(uint64_t until_ms, uint64_t *next_due_ms)
{
    struct journal_page page = {.last = SHARDS - 1, .limit = 10000};
    struct journal_paged paged;
    struct plex_arena arena;
    struct plex_err err = {0};
    uint64_t n = 0;

    plex_arena_init(&arena, 64 << 20);
    page.until_ms = until_ms;
    do {
        if (journal_store_pending(store, &page, &arena, &paged, &err) !=
            PLEX_OK)
            fail("pending", &err);
        n += paged.n;
        page.after = paged.next;
    } while (paged.next.len > 0);
    *next_due_ms = paged.next_due_ms;
    plex_arena_fini(&arena);
    return n;
}

int
main(int argc, char **argv)
{
    const struct journal_store_config config = {.dsn = argc > 1 ? argv[1]
                                                                : "mem:"};
    const uint64_t timers = argc > 2 ? strtoull(argv[2], NULL, 10) : 100000;
    const uint64_t base_ms = plex_wall_ms();
    uint64_t start = plex_now(), due = 0, next = 0;
    struct plex_err err = {0};

    if (journal_store_open(&store, &config, &err) != PLEX_OK)
        fail("open", &err);
    for (uint64_t n = 0; n < timers; n += BATCH)
        timers_set(base_ms, false);
    printf("%llu timers set: %.0f/s\n", (unsigned long long)timers,
           (double)timers / seconds_since(start));
    start = plex_now();
    for (int i = 1; i <= WINDOWS; i++)
        due += window_read(base_ms + (uint64_t)i * 1000, &next);
    printf("windows of the next second to %d s: %.2f ms each, %llu found, next "
           "in %lld ms\n",
           WINDOWS, seconds_since(start) * 1000 / WINDOWS,
           (unsigned long long)due, (long long)(next - base_ms));
    start = plex_now();
    for (int i = 0; i < 20; i++)
        timers_set(base_ms, true);
    printf("more turns with one settled and one set: %.0f/s\n",
           20 * BATCH / seconds_since(start));
    journal_store_close(store);
    return 0;
}
