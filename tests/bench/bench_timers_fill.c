#include "common/bytes.h"
#include "common/loop.h"
#include "services/journal/store.h"
#include "services/placement/client.h"
#include "services/worker/core_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Timers of actors of the type `ticks` into the journal of a suite that does
 * not run: what workers would have written, by the journal's own commits. Each
 * actor has one turn, which sets its timers.
 * Usage: bench_timers_fill DSN PREFIX ACTORS TIMERS DUE_IN_MS SPAN_MS AGAIN_MS
 * They are due within SPAN_MS from DUE_IN_MS on; AGAIN_MS: set again after
 * that, 0: not.
 */
enum { BATCH = 512, TIMERS_MAX = 64, MESSAGE_MAX = 256 };

struct filling {
    struct journal_store *store;
    struct journal_epochs epochs;
    const char *prefix;
    uint64_t actors, timers, now_ms, due_ms, span_ms, random;
    uint32_t again_ms;
};
struct turn {
    char key[64], id[64], timers[TIMERS_MAX][16];
    uint8_t ids[TIMERS_MAX][WORK_TIMER_ID_LEN];
    uint8_t messages[TIMERS_MAX][MESSAGE_MAX];
    struct journal_pending pendings[TIMERS_MAX];
    struct journal_entry entry;
    struct journal_result result;
};

static void
fail(const char *what, const struct plex_err *err)
{
    (void)fprintf(stderr, "%s: %s\n", what, err->text);
    exit(1);
}

static uint64_t
random_next(struct filling *f)
{
    f->random = f->random * 6364136223846793005U + 1442695040888963407U;
    return f->random >> 24;
}

static void
timer_fill(struct filling *f, struct turn *turn, size_t i, uint64_t hash)
{
    char id[80];
    struct work_message m = {
        .to = turn->entry.actor,
        .kind = WORK_TIMER,
        .ttl_ms = WORK_TTL_MS,
        .method = "",
        .path = "",
        .subpath = "",
        .query = "",
        .content_type = "application/json",
        .payload = {(const uint8_t *)&f->again_ms, f->again_ms == 0 ? 0 : 4},
        .sender = "",
        .timer = turn->timers[i],
    };
    struct plex_buf buf = {.max = MESSAGE_MAX};
    struct plex_err err;

    (void)snprintf(turn->timers[i], sizeof turn->timers[i], "t%u", (unsigned)i);
    m.id.len = (size_t)snprintf(id, sizeof id, "%016" PRIx64 ":1:%zu", hash, i);
    m.id.data = (const uint8_t *)id;
    if (work_message_pack(&m, &buf, &err) != PLEX_OK)
        fail("pack", &err);
    memcpy(turn->messages[i], buf.data, buf.len);
    work_timer_id(turn->timers[i], turn->ids[i]);
    turn->pendings[i] =
        (struct journal_pending){{turn->ids[i], WORK_TIMER_ID_LEN},
                                 f->due_ms + random_next(f) % f->span_ms,
                                 {turn->messages[i], buf.len}};
    plex_buf_free(&buf);
}

static void
turn_fill(struct filling *f, struct turn *turn, uint64_t n)
{
    const struct plex_actor_id id = {"default", "default", "ticks", turn->key};
    uint64_t hash;

    (void)snprintf(turn->key, sizeof turn->key, "%s%" PRIu64, f->prefix, n);
    (void)snprintf(turn->id, sizeof turn->id, "fill-%s%" PRIu64, f->prefix, n);
    hash = plex_actor_hash(&id);
    turn->entry = (struct journal_entry){
        .kind = JOURNAL_TURN,
        .actor = id,
        .shard = plex_shard_of(hash, PLACE_SHARD_BITS),
        .seq = 1,
        .message_id = {(const uint8_t *)turn->id, strlen(turn->id)},
        .expires_ms = f->now_ms + WORK_TTL_MS,
        .at_ms = f->now_ms,
        .schema_version = 1,
        .pending = turn->pendings,
        .n_pending = f->timers,
    };
    turn->entry.epoch = journal_epochs_get(&f->epochs, turn->entry.shard);
    for (size_t i = 0; i < f->timers; i++)
        timer_fill(f, turn, i, hash);
}

static void
batch_write(struct filling *f, uint64_t first)
{
    static struct turn turns[BATCH];
    static const struct journal_entry *entries[BATCH];
    static struct journal_result *results[BATCH];
    struct journal_commit commit = {
        .entries = entries, .results = results, .wall_ms = f->now_ms};
    struct plex_err err = {0};

    while (commit.n_entries < BATCH && first + commit.n_entries < f->actors) {
        struct turn *turn = &turns[commit.n_entries];

        turn_fill(f, turn, first + commit.n_entries);
        entries[commit.n_entries] = &turn->entry;
        results[commit.n_entries++] = &turn->result;
    }
    if (journal_store_commit(f->store, &commit, &err) != PLEX_OK)
        fail("commit", &err);
    for (size_t i = 0; i < commit.n_entries; i++)
        if (turns[i].result.status != PLEX_OK)
            (void)plex_err_set(&err, turns[i].result.status,
                               "actor %s was refused", turns[i].key),
                fail("commit", &err);
}

int
main(int argc, char **argv)
{
    const struct journal_store_config config = {.dsn = argv[1]};
    const uint64_t start = plex_now();
    struct filling f = {.random = start};
    struct plex_err err = {0};

    if (argc != 8 || strtoull(argv[4], NULL, 10) > TIMERS_MAX) {
        (void)fputs("usage: bench_timers_fill DSN PREFIX ACTORS TIMERS "
                    "DUE_IN_MS SPAN_MS AGAIN_MS\n",
                    stderr);
        return 100;
    }
    f.prefix = argv[2];
    f.actors = strtoull(argv[3], NULL, 10);
    f.timers = strtoull(argv[4], NULL, 10);
    f.now_ms = plex_wall_ms();
    f.due_ms = f.now_ms + strtoull(argv[5], NULL, 10);
    f.span_ms = strtoull(argv[6], NULL, 10) + 1;
    f.again_ms = (uint32_t)strtoul(argv[7], NULL, 10);
    if (journal_store_open(&f.store, &config, &err) != PLEX_OK ||
        journal_store_epochs(f.store, &f.epochs, &err) != PLEX_OK)
        fail("open", &err);
    for (uint64_t n = 0; n < f.actors; n += BATCH)
        batch_write(&f, n);
    printf("%" PRIu64 " timers of %" PRIu64 " actors written: %.0f timers/s\n",
           f.actors * f.timers, f.actors,
           (double)(f.actors * f.timers) * 1e9 / (double)(plex_now() - start));
    journal_epochs_fini(&f.epochs);
    journal_store_close(f.store);
    return 0;
}
