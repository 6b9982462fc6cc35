#ifndef RUNTIME_GROUP_CORE_H
#define RUNTIME_GROUP_CORE_H

#include "common/bytes.h"

/*
 * Actor groups: which shard of a group a key belongs to, what moves when the
 * group is scaled, and what is made of the answers of all shards. Pure.
 *
 * Placement depends on the group's seed, the kind of partition and the number
 * of shards only, so that everybody who knows these agrees.
 */
struct rt_group_map;

enum rt_partition { /* in manifests and stores: never changes */
                    RT_PARTITION_HASH =
                        1, /* by the hash, evenly; scaling moves most keys */
                    RT_PARTITION_RANGE, /* by order of the keys, at given bounds
                                         */
                    RT_PARTITION_CONSISTENT, /* by a ring of points; scaling
                                                moves 1/n */
};
enum {
    RT_GROUP_SHARDS_MAX = 10000,
    RT_GROUP_POINTS = 64, /* of each shard on the ring, of weight 100 */
};

struct rt_group_config {
    enum rt_partition partition;
    uint32_t shards; /* 1..RT_GROUP_SHARDS_MAX */
    uint64_t seed;
    /* RANGE: shards - 1 keys in ascending order; shard i has the keys below
     * bounds[i], the last one the rest. Copied. */
    const char *const *bounds;
    /* HASH and CONSISTENT: the share of each shard, RT_GROUP_WEIGHT_MIN to
     * _MAX, 100 on average; NULL: all alike. */
    const uint16_t *weights;
};

/* PLEX_INVALID says what is wrong and what would be right. */
PLEX_MUST_USE enum plex_status rt_group_create(
    const struct rt_group_config *config, struct rt_group_map **out,
    struct plex_err *err);
void rt_group_free(struct rt_group_map *map); /* accepts NULL */
uint32_t rt_group_shards(const struct rt_group_map *map);
uint32_t rt_group_shard(const struct rt_group_map *map, struct plex_bytes key);

/*
 * Shares by which `load`, what each shard got, would have been more even:
 * `weights` are those by which it got it, and become the new ones. Half of the
 * way at a time, because a key that is hot by itself cannot be parted. False:
 * it is even (no shard got more than a quarter above the average), too little
 * to say, or as even as it gets; then weights stay as they are.
 */
enum {
    RT_GROUP_WEIGHT_MIN = 10,
    RT_GROUP_WEIGHT_MAX = 400,
    RT_GROUP_LOAD_MIN = 20, /* to each shard on average */
};
bool rt_group_balance(const uint64_t *load, uint16_t *weights, uint32_t shards);

/* -- scattering and gathering ---------------------------------------------- */

enum rt_aggregate {
    RT_AGGREGATE_CONCAT = 1, /* all answers in order of their shards */
    RT_AGGREGATE_MERGE,      /* JSON objects: one with the members of all, of
                                equal names that of the highest shard */
    RT_AGGREGATE_REDUCE,     /* whole numbers as text: their sum */
    RT_AGGREGATE_FIRST,      /* the one that came first */
    RT_AGGREGATE_MAJORITY, /* the one that more than half of all shards gave */
};
struct rt_gather_config {
    enum rt_aggregate aggregate;
    uint32_t shards;
    uint32_t min_responses; /* 0: all (FIRST: 1) */
    size_t bytes_max;       /* of all answers together */
};
enum rt_gather_state {
    RT_GATHER_OPEN = 0,
    RT_GATHER_DONE,   /* there is a result */
    RT_GATHER_FAILED, /* there will not be one */
};
struct rt_gather;

PLEX_MUST_USE enum plex_status rt_gather_create(
    const struct rt_gather_config *config, struct rt_gather **out,
    struct plex_err *err);
void rt_gather_free(struct rt_gather *gather); /* accepts NULL */
/* Shard `shard` answered; copied. A second answer of a shard is ignored, as is
 * what comes after the end. */
enum rt_gather_state rt_gather_answer(struct rt_gather *gather, uint32_t shard,
                                      struct plex_bytes answer);
/* Shard `shard` will not answer. */
enum rt_gather_state rt_gather_failure(struct rt_gather *gather,
                                       uint32_t shard);
/* Nobody will: the time is up. What min_responses allow is the result. */
enum rt_gather_state rt_gather_end(struct rt_gather *gather);
/* With DONE the result, valid as long as `gather`; else `err` says how many
 * answered and failed, or which answer could not be used. */
PLEX_MUST_USE enum plex_status rt_gather_result(const struct rt_gather *gather,
                                                struct plex_bytes *out,
                                                struct plex_err *err);

#endif
