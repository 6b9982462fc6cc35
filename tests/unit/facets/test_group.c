/* Groups: where keys are, what scaling moves, what is made of answers. */
#include "runtime/group_core.h"

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
    suite_add_tcase(suite, all);
    runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
