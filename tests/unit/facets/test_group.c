/* Groups: where keys are, what scaling moves, what is made of answers; pools:
 * checkouts, scaling, draining, with a random history against its rules. */
#include "runtime/group_core.h"
#include "runtime/pool_core.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 20000, MS = 1000000 };

static struct plex_bytes
bytes(const char *text)
{
    return (struct plex_bytes){(const uint8_t *)text, strlen(text)};
}

static struct rt_group_map *
group(enum rt_partition partition, uint32_t shards, const char *const *bounds)
{
    const struct rt_group_config config = {partition, shards, 7, bounds};
    struct rt_group_map *map = NULL;
    struct plex_err err;

    ck_assert_msg(rt_group_create(&config, &map, &err) == PLEX_OK, "%s",
                  err.text);
    return map;
}

static uint32_t
shard_of(const struct rt_group_map *map, int key)
{
    char text[16];

    snprintf(text, sizeof text, "key-%d", key);
    return rt_group_shard(map, bytes(text));
}

START_TEST(keys_are_spread_evenly)
{
    struct rt_group_map *map = group((enum rt_partition)_i, 8, NULL);
    int counts[8] = {0};

    for (int i = 0; i < KEYS; i++)
        counts[shard_of(map, i)]++;
    for (int i = 0; i < 8; i++) {
        ck_assert_int_gt(counts[i], KEYS / 8 / 2);
        ck_assert_int_lt(counts[i], KEYS / 8 * 2);
    }
    rt_group_free(map);
}
END_TEST

START_TEST(a_ring_moves_only_what_new_shards_get)
{
    struct rt_group_map *before = group(RT_PARTITION_CONSISTENT, 8, NULL);
    struct rt_group_map *after = group(RT_PARTITION_CONSISTENT, 9, NULL);
    int moved = 0;

    for (int i = 0; i < KEYS; i++) {
        const uint32_t was = shard_of(before, i), is = shard_of(after, i);

        ck_assert(was == is || is == 8);
        moved += was != is;
    }
    ck_assert_int_gt(moved, KEYS / 9 / 2);
    ck_assert_int_lt(moved, KEYS / 9 * 2);
    rt_group_free(before);
    rt_group_free(after);
}
END_TEST

START_TEST(ranges_are_cut_at_their_bounds)
{
    static const char *const bounds[] = {"g", "n"};
    static const char *const unordered[] = {"n", "g"};
    struct rt_group_map *map = group(RT_PARTITION_RANGE, 3, bounds);
    const struct rt_group_config bad = {RT_PARTITION_RANGE, 3, 7, unordered};
    struct plex_err err;

    ck_assert_uint_eq(rt_group_shard(map, bytes("")), 0);
    ck_assert_uint_eq(rt_group_shard(map, bytes("fzz")), 0);
    ck_assert_uint_eq(rt_group_shard(map, bytes("g")), 1);
    ck_assert_uint_eq(rt_group_shard(map, bytes("mzz")), 1);
    ck_assert_uint_eq(rt_group_shard(map, bytes("n")), 2);
    ck_assert_uint_eq(rt_group_shard(map, bytes("zz")), 2);
    rt_group_free(map);
    ck_assert_int_eq(rt_group_create(&bad, &map, &err), PLEX_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "must be greater"));
}
END_TEST

/* -- gathering ------------------------------------------------------------- */

/* Shards answer in order; NULL: that one fails; "": still open. Then time is
 * up. Returns the result or the error's text. */
static const char *
gather(enum rt_aggregate how, uint32_t min, const char *const *answers,
       uint32_t shards)
{
    const struct rt_gather_config config = {how, shards, min, 1024};
    static char text[PLEX_ERR_TEXT_MAX];
    struct rt_gather *gather;
    struct plex_bytes result;
    struct plex_err err;

    ck_assert_int_eq(rt_gather_create(&config, &gather, &err), PLEX_OK);
    for (uint32_t i = 0; i < shards; i++) {
        if (answers[i] == NULL)
            (void)rt_gather_failure(gather, i);
        else if (answers[i][0] != '\0')
            (void)rt_gather_answer(gather, i, bytes(answers[i]));
    }
    (void)rt_gather_end(gather);
    if (rt_gather_result(gather, &result, &err) == PLEX_OK)
        snprintf(text, sizeof text, "%.*s", (int)result.len,
                 (const char *)result.data);
    else
        snprintf(text, sizeof text, "%s", err.text);
    rt_gather_free(gather);
    return text;
}

START_TEST(answers_are_put_together)
{
    static const struct {
        enum rt_aggregate how;
        uint32_t min;
        const char *answers[3];
        const char *result;
    } cases[] = {
        {RT_AGGREGATE_CONCAT, 0, {"a", "b", "c"}, "abc"},
        {RT_AGGREGATE_CONCAT, 0, {"a", NULL, "c"}, "1 of 3 shards answered"},
        {RT_AGGREGATE_CONCAT, 2, {"a", NULL, "c"}, "ac"},
        {RT_AGGREGATE_CONCAT, 2, {"a", "", "c"}, "ac"},
        {RT_AGGREGATE_CONCAT, 2, {"a", "", ""}, "1 of 3 shards answered"},
        {RT_AGGREGATE_MERGE,
         0,
         {"{\"a\":1}", "{\"b\":2}", "{\"a\":3}"},
         "{\"a\":3,\"b\":2}"},
        {RT_AGGREGATE_MERGE, 0, {"{}", "[]", "{}"}, "is no JSON object"},
        {RT_AGGREGATE_REDUCE, 0, {"1", "20", "-300"}, "-279"},
        {RT_AGGREGATE_REDUCE, 0, {"1", "x", "2"}, "is no whole number"},
        {RT_AGGREGATE_REDUCE,
         0,
         {"9223372036854775807", "1", "2"},
         "leave 64 bits"},
        {RT_AGGREGATE_FIRST, 0, {NULL, "b", "c"}, "b"},
        {RT_AGGREGATE_FIRST, 0, {NULL, NULL, NULL}, "0 of 3 shards answered"},
        {RT_AGGREGATE_MAJORITY, 0, {"x", "y", "x"}, "x"},
        {RT_AGGREGATE_MAJORITY,
         0,
         {"x", "y", NULL},
         "no answer has a majority"},
        {RT_AGGREGATE_MAJORITY, 0, {"x", "", "x"}, "x"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *result =
            gather(cases[i].how, cases[i].min, cases[i].answers, 3);

        ck_assert_msg(strstr(result, cases[i].result) != NULL, "case %zu: %s",
                      i, result);
    }
}
END_TEST

START_TEST(too_large_and_too_often_are_noticed)
{
    const struct rt_gather_config config = {RT_AGGREGATE_CONCAT, 2, 0, 3};
    const struct rt_gather_config absurd = {RT_AGGREGATE_CONCAT, 2, 3, 3};
    struct rt_gather *gather;
    struct plex_bytes result;
    struct plex_err err;

    ck_assert_int_eq(rt_gather_create(&absurd, &gather, &err), PLEX_INVALID);
    ck_assert_int_eq(rt_gather_create(&config, &gather, &err), PLEX_OK);
    ck_assert_int_eq(rt_gather_answer(gather, 0, bytes("ab")), RT_GATHER_OPEN);
    ck_assert_int_eq(rt_gather_answer(gather, 0, bytes("x")), RT_GATHER_OPEN);
    ck_assert_int_eq(rt_gather_answer(gather, 1, bytes("cd")),
                     RT_GATHER_FAILED);
    ck_assert_int_eq(rt_gather_result(gather, &result, &err), PLEX_TOO_LARGE);
    rt_gather_free(gather);
}
END_TEST

/* -- pools ----------------------------------------------------------------- */

static struct rt_pool *pool;
static uint64_t now_ns, ids;
static char story[2048];

static void
pool_make(struct rt_pool_config config)
{
    struct plex_err err;

    now_ns = 1000ULL * MS;
    ids = 0;
    ck_assert_msg(rt_pool_create(&config, now_ns, &pool, &err) == PLEX_OK, "%s",
                  err.text);
}

/* Pops all; starts succeed at once with the next number. */
static const char *
happened(void)
{
    struct rt_pool_action a;

    story[0] = '\0';
    while (rt_pool_next(pool, &a)) {
        const size_t len = strlen(story);
        char *to = story + len;
        const size_t size = sizeof story - len;

        if (a.kind == RT_POOL_START) {
            snprintf(to, size, "start ");
            rt_pool_started(pool, ++ids, now_ns);
        } else if (a.kind == RT_POOL_STOP) {
            snprintf(to, size, "stop%d ", (int)a.worker);
        } else if (a.kind == RT_POOL_GIVE) {
            snprintf(to, size, "give%d:%s#%d ", (int)a.worker,
                     (const char *)a.call, (int)a.checkout);
        } else if (a.kind == RT_POOL_REFUSE) {
            snprintf(to, size, "refuse:%s=%d ", (const char *)a.call, a.status);
        } else {
            snprintf(to, size, "drained ");
        }
    }
    return story;
}

static void
later(uint64_t ms)
{
    now_ns += ms * MS;
    rt_pool_tick(pool, now_ns);
}

static void
checkin(uint64_t checkout, bool healthy, enum plex_status want)
{
    struct plex_err err;

    ck_assert_int_eq(rt_pool_checkin(pool, checkout, healthy, now_ns, &err),
                     want);
}

START_TEST(workers_are_lent_in_turn)
{
    struct rt_pool_config config = rt_pool_defaults;

    config.waiters_max = 2;
    pool_make(config);
    ck_assert_str_eq(happened(), "start ");
    rt_pool_checkout(pool, "a", now_ns);
    rt_pool_checkout(pool, "b", now_ns);
    rt_pool_checkout(pool, "c", now_ns);
    rt_pool_checkout(pool, "d", now_ns);
    ck_assert_str_eq(happened(), "give1:a#1 refuse:d=6 ");
    checkin(1, true, PLEX_OK);
    checkin(1, true, PLEX_NOT_FOUND);
    ck_assert_str_eq(happened(), "give1:b#2 ");
    checkin(2, false, PLEX_OK); /* unwell: stopped and replaced */
    ck_assert_str_eq(happened(), "stop1 start give2:c#3 ");
    rt_pool_lost(pool, 2, now_ns);
    ck_assert_str_eq(happened(), "start ");
    checkin(3, true, PLEX_NOT_FOUND);
    rt_pool_checkout(pool, "e", now_ns);
    rt_pool_checkout(pool, "f", now_ns);
    (void)happened();
    later(4999);
    ck_assert_str_eq(happened(), "");
    later(1);
    ck_assert_str_eq(happened(), "refuse:f=8 ");
    rt_pool_free(pool);
}
END_TEST

START_TEST(pools_grow_and_shrink_with_their_use)
{
    struct rt_pool_config config = rt_pool_defaults;
    struct rt_pool_stats stats;

    config.max = 6;
    config.initial = 2;
    config.strategy = RT_POOL_EXPONENTIAL;
    config.cooldown_ms = 15000;
    pool_make(config);
    (void)happened();
    rt_pool_checkout(pool, "a", now_ns);
    rt_pool_checkout(pool, "b", now_ns);
    (void)happened();
    later(10000);
    ck_assert_str_eq(happened(), "start start ");
    rt_pool_checkout(pool, "c", now_ns);
    rt_pool_checkout(pool, "d", now_ns);
    (void)happened();
    later(10000); /* too soon after the last change */
    ck_assert_str_eq(happened(), "");
    later(10000);
    ck_assert_str_eq(happened(), "start start "); /* not more than max */
    rt_pool_pause(pool, true);
    for (uint64_t i = 1; i <= 4; i++)
        checkin(i, true, PLEX_OK);
    later(60000);
    ck_assert_str_eq(happened(), "");
    rt_pool_pause(pool, false);
    later(10000);
    rt_pool_stats(pool, &stats);
    ck_assert_uint_eq(stats.workers, 3);
    rt_pool_scale(pool, 100, now_ns);
    rt_pool_stats(pool, &stats);
    ck_assert_uint_eq(stats.target, 6);
    rt_pool_free(pool);
}
END_TEST

START_TEST(a_drained_pool_waits_for_who_is_out)
{
    struct rt_pool_config config = rt_pool_defaults;

    config.initial = 2;
    pool_make(config);
    (void)happened();
    rt_pool_checkout(pool, "a", now_ns);
    (void)happened();
    rt_pool_drain(pool, now_ns);
    ck_assert_str_eq(happened(), "stop2 ");
    rt_pool_checkout(pool, "b", now_ns);
    ck_assert_str_eq(happened(), "refuse:b=7 ");
    checkin(1, true, PLEX_OK);
    ck_assert_str_eq(happened(), "stop1 drained ");
    ck_assert_uint_eq(rt_pool_wake(pool), UINT64_MAX);
    rt_pool_free(pool);
}
END_TEST

START_TEST(absurd_pools_are_refused)
{
    struct rt_pool_config config = rt_pool_defaults;
    struct plex_err err;

    config.min = 20;
    ck_assert_int_eq(rt_pool_create(&config, 0, &pool, &err), PLEX_INVALID);
    config = rt_pool_defaults;
    config.scale_down = 0.9;
    ck_assert_int_eq(rt_pool_create(&config, 0, &pool, &err), PLEX_INVALID);
    config = rt_pool_defaults;
    config.step = 0;
    ck_assert_int_eq(rt_pool_create(&config, 0, &pool, &err), PLEX_INVALID);
}
END_TEST

START_TEST(random_use_keeps_the_counts_right)
{
    struct rt_pool_config config = rt_pool_defaults;
    struct rt_pool_stats stats;
    uint64_t seed = (uint64_t)_i + 1, next = 1;

    config.min = 1;
    config.max = 20;
    config.step = 3;
    config.cooldown_ms = 0;
    config.check_ms = 100;
    pool_make(config);
    for (int i = 0; i < 5000; i++) {
        struct plex_err err;
        unsigned dice;

        seed = seed * 6364136223846793005U + 1442695040888963407U;
        dice = (unsigned)(seed >> 40) % 10;
        if (dice < 4)
            rt_pool_checkout(pool, "x", now_ns);
        else if (dice < 7)
            (void)!rt_pool_checkin(pool, next++, dice != 6, now_ns, &err);
        else if (dice == 7)
            rt_pool_lost(pool, ids > 0 ? (seed >> 20) % ids + 1 : 1, now_ns);
        else
            later((seed >> 50) % 200);
        (void)happened();
        rt_pool_stats(pool, &stats);
        ck_assert_uint_eq(stats.idle + stats.out, stats.workers);
        ck_assert_uint_le(stats.workers, 20);
        ck_assert_uint_ge(stats.target, 1);
        ck_assert(stats.waiting == 0 || stats.idle == 0);
        if (next > stats.checkouts)
            next = stats.checkouts > 10 ? stats.checkouts - 10 : 1;
    }
    rt_pool_free(pool);
}
END_TEST

START_TEST(the_next_worker_is_picked_fairly)
{
    const uint32_t load[] = {3, 1, 1, 2};
    size_t last = SIZE_MAX;

    for (size_t i = 0; i < 8; i++)
        ck_assert_uint_eq(rt_pool_pick(RT_PICK_ROUND_ROBIN, load, 4, &last, 0),
                          i % 4);
    ck_assert_uint_eq(rt_pool_pick(RT_PICK_LEAST_LOADED, load, 4, &last, 0), 1);
    ck_assert_uint_eq(rt_pool_pick(RT_PICK_LEAST_LOADED, load, 4, &last, 0), 2);
    ck_assert_uint_eq(rt_pool_pick(RT_PICK_LEAST_LOADED, load, 4, &last, 0), 1);
    ck_assert_uint_eq(rt_pool_pick(RT_PICK_RANDOM, load, 4, &last, 11), 3);
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("group");
    TCase *all = tcase_create("all");
    SRunner *runner;
    int failed;

    tcase_add_loop_test(all, keys_are_spread_evenly, RT_PARTITION_HASH,
                        RT_PARTITION_HASH + 1);
    tcase_add_loop_test(all, keys_are_spread_evenly, RT_PARTITION_CONSISTENT,
                        RT_PARTITION_CONSISTENT + 1);
    tcase_add_test(all, a_ring_moves_only_what_new_shards_get);
    tcase_add_test(all, ranges_are_cut_at_their_bounds);
    tcase_add_test(all, answers_are_put_together);
    tcase_add_test(all, too_large_and_too_often_are_noticed);
    tcase_add_test(all, workers_are_lent_in_turn);
    tcase_add_test(all, pools_grow_and_shrink_with_their_use);
    tcase_add_test(all, a_drained_pool_waits_for_who_is_out);
    tcase_add_test(all, absurd_pools_are_refused);
    tcase_add_loop_test(all, random_use_keeps_the_counts_right, 0, 20);
    tcase_add_test(all, the_next_worker_is_picked_fairly);
    suite_add_tcase(suite, all);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
