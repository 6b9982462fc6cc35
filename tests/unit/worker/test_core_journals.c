/* Several journals that share the shards, and pages of what they keep. */
#include "services/worker/core_journals.h"
#include "tests/unit/worker/test_core.h"
#include "tests/unit/worker/world.h"

#include <stdio.h>
#include <string.h>

enum { KEYS = 32 };

static struct world *
started(uint32_t journals)
{
    struct work_core_config config = work_core_defaults;
    struct world *world;

    config.node_id = "w1";
    config.incarnation = 7;
    config.appends_max = 1;
    world = world_create(&config);
    world_start(world);
    work_core_journals(world->core, journals);
    return world;
}

static void
post_all(struct world *world)
{
    char key[8];

    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(key, sizeof key, "k%d", i);
        (void)world_post(world,
                         (struct world_send){.key = key, .payload = "inc"});
    }
    world_go(world);
}

/* Of which journal all entries of the held append are. */
static uint32_t
journal_of(const struct world *world, size_t held)
{
    const struct work_action *a = &world->held[held].action;
    const uint32_t journal =
        work_core_journal_of(world->core, a->append.entries[0].shard);

    ck_assert_int_eq(a->kind, WORK_DO_APPEND);
    for (size_t i = 1; i < a->append.n; i++)
        ck_assert_uint_eq(
            work_core_journal_of(world->core, a->append.entries[i].shard),
            journal);
    return journal;
}

static size_t
answered(const struct world *world, const char *payload)
{
    size_t n = 0;

    for (uint64_t i = 1; i <= world->calls; i++)
        n += world->answers[i].given &&
             strcmp(world->answers[i].payload, payload) == 0;
    return n;
}

START_TEST(each_journal_has_batches_of_its_own)
{
    struct world *world = started(2);

    world->hold_appends = true;
    post_all(world);
    ck_assert_uint_eq(world->n_held, 2);
    ck_assert_uint_eq(journal_of(world, 0), 0);
    ck_assert_uint_eq(journal_of(world, 1), 1);
    ck_assert_uint_eq(
        world->held[0].action.append.n + world->held[1].action.append.n, KEYS);
    /* The one that hangs keeps only its own shards waiting. */
    world_unhold(world, 1);
    ck_assert_uint_eq(answered(world, "1"), world->held[1].action.append.n);
    ck_assert_uint_gt(answered(world, "1"), 0);
    world_unhold(world, 0);
    ck_assert_uint_eq(answered(world, "1"), KEYS);
    world_free(world);
}
END_TEST

START_TEST(ranges_change_when_all_that_is_out_is_answered)
{
    struct world *world = started(2);

    world->hold_appends = true;
    post_all(world);
    post_all(world); /* waits behind: a batch at a time */
    ck_assert_uint_eq(world->n_held, 2);
    work_core_journals(world->core, 3);
    world_go(world);
    world_unhold(world, 0);
    ck_assert_uint_eq(world->n_held, 2);
    world_unhold(world, 1);
    ck_assert_uint_eq(answered(world, "1"), KEYS);
    ck_assert_uint_eq(world->n_held, 5);
    for (size_t i = 2; i < 5; i++)
        ck_assert_uint_eq(journal_of(world, i), i - 2);
    for (size_t i = 2; i < 5; i++)
        world_unhold(world, i);
    ck_assert_uint_eq(answered(world, "2"), KEYS);
    ck_assert_uint_eq(world_stats(world).appends, 0);
    world_free(world);
}
END_TEST

START_TEST(what_waits_when_ranges_change_can_be_thrown_away)
{
    struct world *world = started(3);

    world->hold_appends = true;
    post_all(world);
    post_all(world);
    ck_assert_uint_eq(world->n_held, 3);
    work_core_journals(world->core, 1);
    for (size_t i = 0; i < 3; i++)
        world_fail_append(world, i, PLEX_UNAVAILABLE);
    world->hold_appends = false;
    while (world->n_held > 3)
        world_unhold(world, --world->n_held);
    world_go(world);
    ck_assert_uint_eq(answered(world, "2"), KEYS);
    world_free(world);
}
END_TEST

static void
steps(struct world *world, int ms)
{
    for (; ms > 0; ms -= 10)
        world_wait(world, 10);
}

/* Keys that are all in one shard. */
static void
keys_of_one_shard(char keys[][16], size_t n)
{
    uint32_t shard = 0;

    for (size_t found = 0, i = 0; found < n; i++) {
        struct plex_actor_id id = {"acme", "default", "counter", keys[found]};
        uint32_t at;

        (void)snprintf(keys[found], sizeof keys[0], "s%zu", i);
        at = plex_shard_of(plex_actor_hash(&id), 12);
        if (found == 0)
            shard = at;
        found += at == shard;
    }
}

START_TEST(what_is_due_in_one_shard_is_read_in_as_many_pages_as_it_takes)
{
    enum { TIMERS = 7 };
    struct world *world = started(1), *next = world_create(NULL);
    char keys[TIMERS][16], payload[32];

    keys_of_one_shard(keys, TIMERS);
    for (int i = 0; i < TIMERS; i++) { /* two of them due at once */
        (void)snprintf(payload, sizeof payload, "timer %d", 5000 + i / 2);
        (void)world_call(
            world, (struct world_send){.key = keys[i], .payload = payload});
    }
    next->page_max = 2;
    memcpy(next->actors, world->actors, sizeof next->actors);
    next->n_actors = world->n_actors;
    memcpy(next->pendings, world->pendings, sizeof next->pendings);
    memset(world->pendings, 0, sizeof world->pendings);
    next->ranges[0].epoch = 2;
    next->table.version = 2;
    world_start(next);
    steps(next, 4990);
    for (int i = 0; i < TIMERS; i++)
        ck_assert_int_eq(world_stored(next, keys[i]), 0);
    steps(next, 100);
    for (int i = 0; i < TIMERS; i++)
        ck_assert_int_eq(world_stored(next, keys[i]), 100);
    ck_assert_uint_ge(next->n_pages, 4);
    ck_assert_uint_eq(world_pending(next), 0);
    steps(next, 100000);
    for (int i = 0; i < TIMERS; i++)
        ck_assert_int_eq(world_stored(next, keys[i]), 100);
    world_free(world);
    world_free(next);
}
END_TEST

TCase *
core_journals_tests(void)
{
    TCase *tests = tcase_create("journals");

    tcase_add_test(tests, each_journal_has_batches_of_its_own);
    tcase_add_test(tests, ranges_change_when_all_that_is_out_is_answered);
    tcase_add_test(tests, what_waits_when_ranges_change_can_be_thrown_away);
    tcase_add_test(
        tests, what_is_due_in_one_shard_is_read_in_as_many_pages_as_it_takes);
    return tests;
}
