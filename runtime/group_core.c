#include "runtime/group_core.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

struct point {
    uint64_t hash;
    uint32_t shard;
};
struct rt_group_map {
    enum rt_partition partition;
    uint32_t shards;
    uint64_t seed;
    char **bounds;        /* RANGE: shards - 1 */
    struct point *points; /* CONSISTENT: in order of the hash */
    size_t n_points;
    uint64_t *ends; /* HASH with weights: of all up to each */
};

static int
key_compare(struct plex_bytes key, const char *bound)
{
    const size_t len = strlen(bound);
    const size_t both = key.len < len ? key.len : len;
    const int order = both == 0 ? 0 : memcmp(key.data, bound, both);

    if (order != 0)
        return order;
    return key.len == len ? 0 : key.len < len ? -1 : 1;
}

static enum plex_status
bounds_copy(struct rt_group_map *map, const struct rt_group_config *config,
            struct plex_err *err)
{
    map->bounds = plex_calloc(config->shards, sizeof *map->bounds);
    if (config->shards > 1 && config->bounds == NULL)
        return plex_err_set(err, PLEX_INVALID,
                            "a range partition of %u shards needs %u bounds",
                            config->shards, config->shards - 1);
    for (uint32_t i = 0; i + 1 < config->shards; i++) {
        map->bounds[i] = plex_strdup(config->bounds[i]);
        if (i > 0 && strcmp(map->bounds[i - 1], map->bounds[i]) >= 0)
            return plex_err_set(err, PLEX_INVALID,
                                "bounds[%u] \"%.40s\" must be greater than "
                                "bounds[%u] \"%.40s\"",
                                i, map->bounds[i], i - 1, map->bounds[i - 1]);
    }
    return PLEX_OK;
}

static int
point_compare(const void *left, const void *right)
{
    const struct point *a = left, *b = right;

    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return a->shard < b->shard ? -1 : a->shard > b->shard;
}

static uint32_t
weight_of(const struct rt_group_config *config, uint32_t shard)
{
    return config->weights == NULL ? 100 : config->weights[shard];
}

/* A shard's points do not depend on how many others there are: so only what
 * falls to new points moves. */
static void
ring_make(struct rt_group_map *map, const struct rt_group_config *config)
{
    size_t n = 0;

    map->points = plex_calloc((size_t)map->shards * RT_GROUP_POINTS *
                                  RT_GROUP_WEIGHT_MAX / 100,
                              sizeof *map->points);
    for (uint32_t shard = 0; shard < map->shards; shard++)
        for (uint32_t i = 0;
             i < RT_GROUP_POINTS * weight_of(config, shard) / 100; i++) {
            const uint32_t name[2] = {shard, i};

            map->points[n++] =
                (struct point){XXH64(name, sizeof name, map->seed), shard};
        }
    map->n_points = n;
    qsort(map->points, n, sizeof *map->points, point_compare);
}

static enum plex_status
weights_check(const struct rt_group_config *config, struct plex_err *err)
{
    for (uint32_t i = 0; config->weights != NULL && i < config->shards; i++)
        if (config->weights[i] < RT_GROUP_WEIGHT_MIN ||
            config->weights[i] > RT_GROUP_WEIGHT_MAX)
            return plex_err_set(
                err, PLEX_INVALID, "weights[%u] is %u, it must be %d to %d", i,
                config->weights[i], RT_GROUP_WEIGHT_MIN, RT_GROUP_WEIGHT_MAX);
    return PLEX_OK;
}

static void
ends_make(struct rt_group_map *map, const struct rt_group_config *config)
{
    uint64_t end = 0;

    map->ends = plex_calloc(map->shards, sizeof *map->ends);
    for (uint32_t i = 0; i < map->shards; i++)
        map->ends[i] = end += weight_of(config, i);
}

enum plex_status
rt_group_create(const struct rt_group_config *config, struct rt_group_map **out,
                struct plex_err *err)
{
    struct rt_group_map *map;

    if (config->shards < 1 || config->shards > RT_GROUP_SHARDS_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "shards is %u, it must be 1 to %d", config->shards,
                            RT_GROUP_SHARDS_MAX);
    if (config->partition < RT_PARTITION_HASH ||
        config->partition > RT_PARTITION_CONSISTENT)
        return plex_err_set(err, PLEX_INVALID,
                            "partition must be hash, range or consistent");
    if (weights_check(config, err) != PLEX_OK)
        return err->status;
    map = plex_calloc(1, sizeof *map);
    map->partition = config->partition;
    map->shards = config->shards;
    map->seed = config->seed;
    if (config->partition == RT_PARTITION_RANGE &&
        bounds_copy(map, config, err) != PLEX_OK) {
        rt_group_free(map);
        return err->status;
    }
    if (config->partition == RT_PARTITION_CONSISTENT)
        ring_make(map, config);
    if (config->partition == RT_PARTITION_HASH && config->weights != NULL)
        ends_make(map, config);
    *out = map;
    return PLEX_OK;
}

void
rt_group_free(struct rt_group_map *map)
{
    if (map == NULL)
        return;
    for (uint32_t i = 0; map->bounds != NULL && i < map->shards; i++)
        free(map->bounds[i]);
    free(map->bounds);
    free(map->points);
    free(map->ends);
    free(map);
}

uint32_t
rt_group_shards(const struct rt_group_map *map)
{
    return map->shards;
}

static uint32_t
range_shard(const struct rt_group_map *map, struct plex_bytes key)
{
    uint32_t low = 0, high = map->shards - 1;

    while (low < high) {
        const uint32_t middle = (low + high) / 2;

        if (key_compare(key, map->bounds[middle]) < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static uint32_t
weighted_shard(const struct rt_group_map *map, uint64_t hash)
{
    const uint64_t at =
        (uint64_t)(((unsigned __int128)hash * map->ends[map->shards - 1]) >>
                   64);
    uint32_t low = 0, high = map->shards - 1;

    while (low < high) {
        const uint32_t middle = (low + high) / 2;

        if (at < map->ends[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* The first point at or after the hash, around the ring. */
static uint32_t
ring_shard(const struct rt_group_map *map, uint64_t hash)
{
    size_t low = 0, high = map->n_points;

    while (low < high) {
        const size_t middle = (low + high) / 2;

        if (map->points[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return map->points[low == map->n_points ? 0 : low].shard;
}

uint32_t
rt_group_shard(const struct rt_group_map *map, struct plex_bytes key)
{
    uint64_t hash;

    if (map->partition == RT_PARTITION_RANGE)
        return range_shard(map, key);
    hash = XXH64(key.data, key.len, map->seed);
    if (map->partition == RT_PARTITION_CONSISTENT)
        return ring_shard(map, hash);
    if (map->ends != NULL)
        return weighted_shard(map, hash);
    /* Its share of the hashes' range: even, and without a division. */
    return (uint32_t)(((unsigned __int128)hash * map->shards) >> 64);
}

/* -- balancing --------------------------------------------------------------
 */

static uint64_t
within(uint64_t value, uint64_t least, uint64_t most)
{
    return value < least ? least : value > most ? most : value;
}

bool
rt_group_balance(const uint64_t *load, uint16_t *weights, uint32_t shards)
{
    uint64_t total = 0, most = 0, sum = 0;
    uint64_t *wanted;
    bool changed = false;

    for (uint32_t i = 0; i < shards; i++) {
        total += load[i];
        most = load[i] > most ? load[i] : most;
    }
    if (shards < 2 || total < (uint64_t)shards * RT_GROUP_LOAD_MIN ||
        most * shards * 4 <= total * 5)
        return false;
    wanted = plex_calloc(shards, sizeof *wanted);
    for (uint32_t i = 0; i < shards; i++) {
        /* In thousandths; at most twice or half as much. */
        const uint64_t factor =
            load[i] == 0 ? 2000
                         : within(total * 1000 / shards / load[i], 500, 2000);

        wanted[i] = (uint64_t)weights[i] * (1000 + factor) / 2;
        sum += wanted[i];
    }
    for (uint32_t i = 0; i < shards; i++) {
        const uint16_t weight =
            (uint16_t)within(wanted[i] * 100 * shards / sum,
                             RT_GROUP_WEIGHT_MIN, RT_GROUP_WEIGHT_MAX);

        changed |= weight > weights[i] + 1 || weight + 1 < weights[i];
        wanted[i] = weight;
    }
    for (uint32_t i = 0; changed && i < shards; i++)
        weights[i] = (uint16_t)wanted[i];
    free(wanted);
    return changed;
}
