#include "common/loop.h"
#include "common/mem.h"
#include "services/journal/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Raw commit throughput of one back end, without links or workers: turns of
 * 1000 actors with states of 200 bytes, a message id and a reply of 50, so
 * many per commit. Usage: bench_journal_store DSN [seconds per row]
 */
enum { ACTORS = 1000, STATE = 200, REPLY = 50, BATCH_MAX = 1024 };

struct bench {
    struct journal_store *store;
    char keys[ACTORS][16];
    uint64_t seq[ACTORS];
    uint64_t next_id, rng;
    uint8_t state[STATE], reply[REPLY];
    uint8_t ids[BATCH_MAX][16];
    struct journal_entry entries[BATCH_MAX];
    struct journal_result results[BATCH_MAX];
    const struct journal_entry *entry_list[BATCH_MAX];
    struct journal_result *result_list[BATCH_MAX];
    uint64_t took_us[1 << 20];
    size_t n_took;
};

static void
turn_make(struct bench *b, size_t i)
{
    struct journal_entry *entry = &b->entries[i];
    uint64_t id = b->next_id++;
    size_t actor;

    /* Time first, as the gateway's ids are. */
    for (int k = 7; k >= 0; k--, id >>= 8)
        b->ids[i][k] = (uint8_t)id;
    b->rng = b->rng * 6364136223846793005U + 1442695040888963407U;
    memcpy(b->ids[i] + 8, &b->rng, 8);
    actor = (b->rng >> 33) % ACTORS;
    *entry = (struct journal_entry){
        .kind = JOURNAL_TURN,
        .actor = {"acme", "prod", "counter", b->keys[actor]},
        .shard = (uint32_t)actor,
        .epoch = 1,
        .seq = ++b->seq[actor],
        .message_id = {b->ids[i], 16},
        .request_hash = b->rng,
        .expires_ms = plex_wall_ms() + 600000,
        .at_ms = plex_wall_ms(),
        .reply = {b->reply, REPLY},
        .has_state = true,
        .state = {b->state, STATE},
    };
    b->entry_list[i] = entry;
    b->result_list[i] = &b->results[i];
}

static int
compare_u64(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void
commit_batch(struct bench *b, size_t n)
{
    struct journal_commit commit = {.entries = b->entry_list,
                                    .results = b->result_list,
                                    .n_entries = n,
                                    .wall_ms = plex_wall_ms()};
    struct plex_err err = {0};
    uint64_t start;

    for (size_t i = 0; i < n; i++)
        turn_make(b, i);
    start = plex_now();
    if (journal_store_commit(b->store, &commit, &err) != PLEX_OK) {
        fprintf(stderr, "commit: %s\n", err.text);
        exit(1);
    }
    for (size_t i = 0; i < n; i++) {
        if (b->results[i].status != PLEX_OK) {
            fprintf(stderr, "entry %zu: %s\n", i,
                    plex_status_name(b->results[i].status));
            exit(1);
        }
    }
    if (b->n_took < sizeof b->took_us / sizeof *b->took_us)
        b->took_us[b->n_took++] = (plex_now() - start) / 1000;
}

static void
row(struct bench *b, size_t batch, double seconds)
{
    const uint64_t start = plex_now();
    const uint64_t end = start + (uint64_t)(seconds * 1e9);
    uint64_t turns = 0;
    double took;

    b->n_took = 0;
    while (plex_now() < end) {
        commit_batch(b, batch);
        turns += batch;
    }
    took = (double)(plex_now() - start) / 1e9;
    qsort(b->took_us, b->n_took, sizeof *b->took_us, compare_u64);
    printf("%6zu per commit: %9.0f turns/s, commit p50 %6llu us, p99 %6llu "
           "us, max %6llu us\n",
           batch, (double)turns / took,
           (unsigned long long)b->took_us[b->n_took / 2],
           (unsigned long long)b->took_us[b->n_took * 99 / 100],
           (unsigned long long)b->took_us[b->n_took - 1]);
}

int
main(int argc, char **argv)
{
    static const size_t batches[] = {1, 16, 64, 256, 1024};
    const double seconds = argc > 2 ? atof(argv[2]) : 2;
    struct bench *b = plex_calloc(1, sizeof *b);
    struct journal_store_config config = {.dsn = argc > 1 ? argv[1] : "mem:"};
    struct plex_err err;

    b->rng = plex_wall_ms();
    b->next_id = plex_wall_ms() << 20;
    for (int i = 0; i < ACTORS; i++)
        (void)snprintf(b->keys[i], sizeof b->keys[i], "%llu-%d",
                       (unsigned long long)b->rng % 100000000, i);
    if (journal_store_open(&b->store, &config, &err) != PLEX_OK) {
        fprintf(stderr, "open: %s\n", err.text);
        return 1;
    }
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++)
        row(b, batches[i], seconds);
    journal_store_close(b->store);
    free(b);
    return 0;
}
