/* The SDK's header and the runtime agree on where keys are. */
#include "runtime/group_core.h"
#include "sdk/c/include/plexspaces/shard.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

START_TEST(the_hash_is_xxh64)
{
    unsigned char bytes[200];

    for (size_t len = 0; len < sizeof bytes; len++) {
        bytes[len] = (unsigned char)(len * 37 + 11);
        for (uint64_t seed = 0; seed < 3; seed++)
            ck_assert_uint_eq(plex_shard_hash(bytes, len, seed << 40 | seed),
                              XXH64(bytes, len, seed << 40 | seed));
    }
}
END_TEST

static bool
weights_read(const struct plex_shards *g, uint16_t *out)
{
    const char *at = g->weights;

    if (at == NULL)
        return false;
    for (uint32_t i = 0; i < g->shards; i++) {
        char *end;

        out[i] = (uint16_t)strtoul(at, &end, 10);
        at = end + (*end == ',');
    }
    return true;
}

static void
agree(const struct plex_shards *g)
{
    uint16_t weights[100];
    const bool weighted = weights_read(g, weights);
    const struct rt_group_config config = {(enum rt_partition)g->partition,
                                           g->shards, g->seed, g->bounds,
                                           weighted ? weights : NULL};
    struct rt_group_map *map = NULL;
    struct plex_err err;
    char key[40];

    ck_assert_msg(rt_group_create(&config, &map, &err) == PLEX_OK, "%s",
                  err.text);
    for (int i = 0; i < 300; i++) {
        const int len = snprintf(key, sizeof key, "%x-key-%.*s", i * 7919,
                                 i % 30, "abcdefghijklmnopqrstuvwxyzabcdefg");
        const struct plex_bytes bytes = {(const uint8_t *)key, strlen(key)};
        const uint32_t shard = plex_shard_of(g, key, bytes.len);

        ck_assert_int_gt(len, 0);
        ck_assert_uint_lt(shard, g->shards);
        ck_assert_msg(shard == rt_group_shard(map, bytes),
                      "%s of %u shards, partition %d: %u and %u", key,
                      g->shards, (int)g->partition, shard,
                      rt_group_shard(map, bytes));
    }
    rt_group_free(map);
}

START_TEST(header_and_core_put_every_key_into_the_same_shard)
{
    static const uint32_t counts[] = {1, 2, 3, 8, 31, 100};
    static const char *const bounds[] = {"1", "17", "3", "a", "c", "c0", "f"};

    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        for (uint64_t seed = 0; seed < 2; seed++) {
            agree(&(struct plex_shards){.shards = counts[i],
                                        .partition = PLEX_PARTITION_HASH,
                                        .seed = seed * 99});
            agree(&(struct plex_shards){.shards = counts[i],
                                        .partition = PLEX_PARTITION_CONSISTENT,
                                        .seed = seed * 99});
        }
    agree(&(struct plex_shards){.shards = 10000,
                                .partition = PLEX_PARTITION_HASH});
    agree(&(struct plex_shards){
        .shards = 8, .partition = PLEX_PARTITION_RANGE, .bounds = bounds});
}
END_TEST

START_TEST(with_shares_too)
{
    for (int partition = PLEX_PARTITION_HASH;
         partition <= PLEX_PARTITION_CONSISTENT; partition += 2) {
        agree(&(struct plex_shards){.shards = 4,
                                    .partition = (enum plex_partition)partition,
                                    .weights = "100,10,400,57"});
        agree(&(struct plex_shards){.shards = 2,
                                    .partition = (enum plex_partition)partition,
                                    .seed = 7,
                                    .weights = "150,50"});
    }
}
END_TEST

START_TEST(equal_shares_are_as_good_as_none)
{
    struct plex_shards g = {.shards = 5, .partition = PLEX_PARTITION_HASH};
    char key[16];

    for (int i = 0; i < 1000; i++) {
        const size_t len = (size_t)snprintf(key, sizeof key, "key-%d", i);
        uint32_t shard;

        g.weights = NULL;
        shard = plex_shard_of(&g, key, len);
        g.weights = "100,100,100,100,100";
        ck_assert_uint_eq(plex_shard_of(&g, key, len), shard);
        g.partition = PLEX_PARTITION_HASH;
    }
}
END_TEST

static uint32_t
by_length(const struct plex_shards *g, const void *key, size_t len)
{
    (void)key;
    return (uint32_t)len + *(const uint32_t *)g->arg;
}

START_TEST(a_program_may_place_keys_by_itself)
{
    uint32_t more = 1;
    const struct plex_shards g = {.shards = 3,
                                  .partition = PLEX_PARTITION_CUSTOM,
                                  .place = by_length,
                                  .arg = &more};

    ck_assert_uint_eq(plex_shard_of(&g, "a", 1), 2);
    ck_assert_uint_eq(plex_shard_of(&g, "ab", 2), 0);
}
END_TEST

/* Keys come as `hot` says; what each shard gets. */
static void
load_make(const uint16_t *weights, uint32_t shards, uint64_t *load)
{
    const struct rt_group_config config = {
        .partition = RT_PARTITION_HASH, .shards = shards, .weights = weights};
    struct rt_group_map *map = NULL;
    struct plex_err err;
    char key[32];

    ck_assert(rt_group_create(&config, &map, &err) == PLEX_OK);
    memset(load, 0, shards * sizeof *load);
    for (int i = 0; i < 4000; i++) {
        const size_t len = (size_t)snprintf(key, sizeof key, "k%d", i);
        const uint32_t shard =
            rt_group_shard(map, (struct plex_bytes){(const uint8_t *)key, len});
        const uint32_t even =
            (uint32_t)(((unsigned __int128)XXH64(key, len, 0) * 4) >> 64);

        /* Keys of the first quarter are asked for five times as often. */
        load[shard] += even == 0 ? 5 : 1;
    }
    rt_group_free(map);
}

START_TEST(shares_follow_the_load_until_it_is_even)
{
    uint16_t weights[4] = {100, 100, 100, 100};
    uint64_t load[4], total = 0, most = 0;
    int rounds = 0;

    for (; rounds < 20; rounds++) {
        load_make(weights, 4, load);
        if (!rt_group_balance(load, weights, 4))
            break;
    }
    ck_assert_int_lt(rounds, 20);
    ck_assert_int_gt(rounds, 0);
    for (int i = 0; i < 4; i++) {
        total += load[i];
        most = load[i] > most ? load[i] : most;
    }
    ck_assert_msg(most * 16 <= total * 5, "%lu of %lu", most, total);
}
END_TEST

START_TEST(one_hot_key_does_not_keep_shards_moving)
{
    uint16_t weights[3] = {100, 100, 100};
    const uint64_t load[3] = {1000, 10, 10};
    int rounds = 0;

    while (rounds < 50 && rt_group_balance(load, weights, 3))
        rounds++;
    ck_assert_int_lt(rounds, 20);
    for (int i = 0; i < 3; i++)
        ck_assert(weights[i] >= RT_GROUP_WEIGHT_MIN &&
                  weights[i] <= RT_GROUP_WEIGHT_MAX);
}
END_TEST

START_TEST(little_or_even_load_moves_nothing)
{
    uint16_t weights[2] = {100, 100};

    ck_assert(!rt_group_balance((uint64_t[]){30, 0}, weights, 2));
    ck_assert(!rt_group_balance((uint64_t[]){1100, 900}, weights, 2));
    ck_assert(rt_group_balance((uint64_t[]){1300, 700}, weights, 2));
    ck_assert_uint_lt(weights[0], 100);
    ck_assert_uint_gt(weights[1], 100);
}
END_TEST

START_TEST(a_shards_actor_is_named_after_its_group)
{
    struct plex_shards g = {.group = "orders", .shards = 3};
    char key[256], long_name[300];

    ck_assert(plex_shard_key(&g, 2, key));
    ck_assert_str_eq(key, "orders~2");
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    g.group = long_name;
    ck_assert(!plex_shard_key(&g, 2, key));
}
END_TEST

int
main(void)
{
    Suite *suite = suite_create("shard");
    TCase *tcase = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_test(tcase, the_hash_is_xxh64);
    tcase_add_test(tcase, header_and_core_put_every_key_into_the_same_shard);
    tcase_add_test(tcase, with_shares_too);
    tcase_add_test(tcase, equal_shares_are_as_good_as_none);
    tcase_add_test(tcase, a_program_may_place_keys_by_itself);
    tcase_add_test(tcase, shares_follow_the_load_until_it_is_even);
    tcase_add_test(tcase, one_hot_key_does_not_keep_shards_moving);
    tcase_add_test(tcase, little_or_even_load_moves_nothing);
    tcase_add_test(tcase, a_shards_actor_is_named_after_its_group);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
