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

static void
agree(const struct plex_shards *g)
{
    const struct rt_group_config config = {(enum rt_partition)g->partition,
                                           g->shards, g->seed, g->bounds};
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
    tcase_add_test(tcase, a_shards_actor_is_named_after_its_group);
    suite_add_tcase(suite, tcase);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
