/*
 * Random workers on an unreliable network against the core and a store that
 * sometimes fails. Each worker keeps its own view (table, lease counted from
 * when it sent), and after every step the views are compared: two workers
 * that would serve the same shard at the same moment are a failure.
 */
#include "services/placement/table.h"
#include "tests/unit/placement/cluster.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* check writes a record for every assertion it passes: too slow in a loop. */
#define EXPECT(condition, ...)         \
    do {                               \
        if (!(condition))              \
            ck_abort_msg(__VA_ARGS__); \
    } while (0)

enum { WORKERS = 5, BITS = 6, SHARDS = 1 << BITS, MARGIN_MS = 100 };

struct worker {
    char name[16];
    uint64_t incarnation; /* 0: not running */
    struct place_table *table;
    uint64_t lease_end;
    bool draining;
    bool stuck; /* sees nothing, says nothing */
};

static struct cluster c;
static struct worker workers[WORKERS];
static uint64_t incarnations;
static uint64_t epochs[SHARDS];      /* highest published */
static uint64_t epoch_owner[SHARDS]; /* incarnation it was published for */
static uint64_t rng;

static uint32_t
chance(uint32_t n)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (uint32_t)(rng >> 33) % n;
}

static bool
serves(const struct worker *w, uint32_t shard)
{
    const struct place_worker *owner;

    if (w->incarnation == 0 || w->table == NULL || c.now >= w->lease_end)
        return false;
    owner = place_table_owner(w->table, shard);
    return owner != NULL && owner->incarnation == w->incarnation &&
           strcmp(owner->node_id, w->name) == 0;
}

static void
check_views(int seed, int step)
{
    for (uint32_t shard = 0; shard < SHARDS; shard++) {
        int serving = 0;

        for (int i = 0; i < WORKERS; i++)
            serving += serves(&workers[i], shard);
        EXPECT(serving <= 1,
               "seed %d step %d: shard %u is served by %d workers", seed, step,
               shard, serving);
    }
}

static void
check_table(int seed, int step)
{
    const struct place_table *table = place_core_table(c.core, "default");
    struct plex_err err = {0};

    if (table == NULL)
        return;
    EXPECT(place_table_check(table, &err) == PLEX_OK, "%s", err.text);
    for (uint32_t shard = 0; shard < SHARDS; shard++) {
        const struct place_range *range = place_table_find(table, shard);
        const struct place_worker *owner = place_table_owner(table, shard);

        EXPECT(range->epoch >= epochs[shard],
               "seed %d step %d: the epoch of shard %u went back", seed, step,
               shard);
        if (range->epoch > epochs[shard])
            epoch_owner[shard] = 0;
        epochs[shard] = range->epoch;
        if (owner == NULL)
            continue;
        EXPECT(epoch_owner[shard] == 0 ||
                   epoch_owner[shard] == owner->incarnation,
               "seed %d step %d: an epoch of shard %u has two owners", seed,
               step, shard);
        epoch_owner[shard] = owner->incarnation;
    }
}

static void
worker_forget(struct worker *w)
{
    place_table_unref(w->table);
    w->table = NULL;
    w->incarnation = 0;
    w->lease_end = 0;
    w->draining = false;
    w->stuck = false;
}

/* The heartbeat is on its way for some time, so is the answer, which may be
 * lost; meanwhile the worker may have died and restarted. */
static void
worker_beat(struct worker *w)
{
    const uint64_t sent = c.now;
    const uint64_t incarnation = w->incarnation;
    const struct place_heartbeat heartbeat = {
        .node_id = w->name,
        .url = "inproc://somewhere",
        .incarnation = w->incarnation,
        .pool = "default",
        .applied_version = w->table == NULL ? 0 : w->table->version,
        .load = chance(100),
        .draining = w->draining,
    };
    struct cluster_answer answer;

    if (chance(10) == 0)
        return;
    if (chance(4) == 0)
        cluster_run(&c, chance(200));
    answer = cluster_beat_as(&c, &heartbeat);
    if (chance(10) == 0 || w->incarnation != incarnation ||
        answer.kind != PLACE_ACTION_HEARTBEAT)
        return;
    if (answer.lease_ms > 0)
        w->lease_end = sent + (answer.lease_ms - MARGIN_MS) * 1000000U;
}

static void
worker_fetch(struct worker *w)
{
    struct place_table *table = place_core_table(c.core, "default");

    if (table == NULL || (w->table != NULL && table == w->table))
        return;
    if (w->table != NULL && w->table->version > table->version)
        return;
    place_table_unref(w->table);
    w->table = place_table_ref(table);
}

static void
worker_step(struct worker *w)
{
    if (w->incarnation == 0) {
        if (chance(4) == 0)
            w->incarnation = ++incarnations;
        return;
    }
    if (w->stuck) {
        w->stuck = chance(5) != 0;
        return;
    }
    if (chance(2) == 0)
        worker_fetch(w);
    if (chance(4) != 0)
        worker_beat(w);
    switch (chance(80)) {
    case 0: /* kill -9 */
        worker_forget(w);
        break;
    case 1: /* a clean end */
        (void)cluster_leave(&c, w->name, w->incarnation);
        worker_forget(w);
        break;
    case 2:
        w->draining = !w->draining;
        break;
    case 3:
        w->stuck = true;
        break;
    case 4:
        (void)cluster_drain(&c, w->name);
        break;
    default:
        break;
    }
}

static void
placement_step(void)
{
    if (c.hold_saves && chance(3) == 0) {
        c.hold_saves = false;
        cluster_release(&c, chance(5) == 0 ? PLEX_UNAVAILABLE : PLEX_OK);
    }
    if (chance(20) == 0)
        c.hold_saves = true;
    if (!place_core_leads(c.core) || chance(60) == 0) {
        c.hold_saves = false;
        cluster_restart(&c);
    }
    if (chance(50) == 0)
        c.wall += chance(2) == 0 ? 5000 : (uint64_t)-3000;
}

/* Faults end; everything must come to rest, evenly. */
static void
calm(int seed)
{
    c.hold_saves = false;
    cluster_restart(&c);
    for (int i = 0; i < WORKERS; i++)
        worker_forget(&workers[i]);
    cluster_run(&c, 2000);
    for (int i = 0; i < WORKERS; i++)
        workers[i].incarnation = ++incarnations;
    for (int round = 0; round < 30; round++) {
        for (int i = 0; i < WORKERS; i++) {
            (void)cluster_beat(&c, workers[i].name, workers[i].incarnation,
                               cluster_version(&c));
            check_table(seed, round);
        }
        cluster_run(&c, 500);
    }
    for (int i = 0; i < WORKERS; i++) {
        const unsigned owned = cluster_owned(&c, workers[i].name);

        EXPECT(owned == SHARDS / WORKERS || owned == SHARDS / WORKERS + 1,
               "seed %d: %s ends with %u of %d shards", seed, workers[i].name,
               owned, SHARDS);
    }
    ck_assert_uint_eq(cluster_moving(&c), 0);
}

START_TEST(no_shard_is_ever_served_twice)
{
    const int seed = _i + 1;

    rng = (uint64_t)seed * 0x9e3779b97f4a7c15U;
    memset(epochs, 0, sizeof epochs);
    memset(epoch_owner, 0, sizeof epoch_owner);
    incarnations = 0;
    cluster_open(&c, BITS);
    for (int i = 0; i < WORKERS; i++)
        snprintf(workers[i].name, sizeof workers[i].name, "w%d", i);
    for (int step = 0; step < 1500; step++) {
        worker_step(&workers[chance(WORKERS)]);
        check_table(seed, step);
        check_views(seed, step);
        placement_step();
        cluster_run(&c, chance(150));
        check_table(seed, step);
        check_views(seed, step);
    }
    calm(seed);
    for (int i = 0; i < WORKERS; i++)
        worker_forget(&workers[i]);
    cluster_close(&c);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("placement.random");
    TCase *tc = tcase_create("random");
    SRunner *runner;
    int failed;

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, no_shard_is_ever_served_twice, 0, 60);
    suite_add_tcase(suite, tc);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
