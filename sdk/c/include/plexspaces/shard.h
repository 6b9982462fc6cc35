#ifndef PLEXSPACES_SHARD_H
#define PLEXSPACES_SHARD_H

#include "durable.h"

/*
 * Groups of virtual actors: shard i of group "orders" of type "cart" is the
 * actor cart/orders~i. Which shard a key belongs to follows from this struct
 * alone, so everybody who fills it alike agrees, the service under
 * /api/v1/actor-groups included (docs/groups.md).
 */
enum plex_partition { /* never changes */
                      PLEX_PARTITION_HASH = 1,
                      PLEX_PARTITION_RANGE,
                      PLEX_PARTITION_CONSISTENT,
                      PLEX_PARTITION_CUSTOM, /* `place` says it */
};
enum { PLEX_SHARDS_MAX = 10000, PLEX_SHARD_POINTS = 64 };

struct plex_shards {
    const char *type;  /* of the shards */
    const char *group; /* [A-Za-z0-9._-], so that "~" parts it from the rest */
    uint32_t shards;   /* 1 .. PLEX_SHARDS_MAX */
    enum plex_partition partition;
    uint64_t seed; /* 0 unless said otherwise */
    /* RANGE: shards - 1 keys, ascending; shard i has those below bounds[i] */
    const char *const *bounds;
    /* HASH, CONSISTENT: the share of each shard, "100,80,120", as a group that
     * is balanced has them (docs/groups.md); NULL or "": all alike. */
    const char *weights;
    /* CUSTOM: a number below g->shards. */
    uint32_t (*place)(const struct plex_shards *g, const void *key, size_t len);
    void *arg; /* the caller's */
};

/* -- where a key is -------------------------------------------------------- */

static inline uint64_t
plex_shard_rotate_(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}
static inline uint64_t
plex_shard_round_(uint64_t sum, uint64_t input)
{
    return plex_shard_rotate_(sum + input * 0xC2B2AE3D27D4EB4FULL, 31) *
           0x9E3779B185EBCA87ULL;
}
static inline uint64_t
plex_shard_word_(const unsigned char *at, size_t n)
{
    uint64_t value = 0;

    for (size_t i = n; i-- > 0;)
        value = value << 8 | at[i];
    return value;
}
static inline uint64_t
plex_shard_tail_(uint64_t hash, const unsigned char *at, size_t left)
{
    const uint64_t p1 = 0x9E3779B185EBCA87ULL, p2 = 0xC2B2AE3D27D4EB4FULL,
                   p3 = 0x165667B19E3779F9ULL, p4 = 0x85EBCA77C2B2AE63ULL,
                   p5 = 0x27D4EB2F165667C5ULL;

    for (; left >= 8; at += 8, left -= 8)
        hash = plex_shard_rotate_(
                   hash ^ plex_shard_round_(0, plex_shard_word_(at, 8)), 27) *
                   p1 +
               p4;
    if (left >= 4) {
        hash =
            plex_shard_rotate_(hash ^ plex_shard_word_(at, 4) * p1, 23) * p2 +
            p3;
        at += 4;
        left -= 4;
    }
    for (; left > 0; at++, left--)
        hash = plex_shard_rotate_(hash ^ *at * p5, 11) * p1;
    hash = (hash ^ hash >> 33) * p2;
    hash = (hash ^ hash >> 29) * p3;
    return hash ^ hash >> 32;
}
/* XXH64, as its specification has it. */
static inline uint64_t
plex_shard_hash(const void *key, size_t len, uint64_t seed)
{
    const uint64_t p1 = 0x9E3779B185EBCA87ULL, p2 = 0xC2B2AE3D27D4EB4FULL,
                   p4 = 0x85EBCA77C2B2AE63ULL;
    const unsigned char *at = (const unsigned char *)key;
    uint64_t sums[4] = {seed + p1 + p2, seed + p2, seed, seed - p1};
    uint64_t hash = seed + 0x27D4EB2F165667C5ULL;
    size_t left = len;

    if (len >= 32) {
        for (; left >= 32; left -= 32)
            for (int i = 0; i < 4; i++, at += 8)
                sums[i] = plex_shard_round_(sums[i], plex_shard_word_(at, 8));
        hash = plex_shard_rotate_(sums[0], 1) + plex_shard_rotate_(sums[1], 7) +
               plex_shard_rotate_(sums[2], 12) +
               plex_shard_rotate_(sums[3], 18);
        for (int i = 0; i < 4; i++)
            hash = (hash ^ plex_shard_round_(0, sums[i])) * p1 + p4;
    }
    return plex_shard_tail_(hash + len, at, left);
}
/* The next number of a list; 100 when there is none. */
static inline uint32_t
plex_shard_weight_(const char **list)
{
    uint32_t weight = 0;

    if (*list == NULL || **list == '\0')
        return 100;
    for (; **list >= '0' && **list <= '9' && weight < 1000; (*list)++)
        weight = weight * 10 + (uint32_t)(**list - '0');
    *list += **list == ',';
    return weight;
}
static inline uint32_t
plex_shard_weighted_(const struct plex_shards *g, uint64_t hash)
{
    const char *list = g->weights;
    uint64_t total = 0, at, end = 0;
    uint32_t shard = 0;

    for (uint32_t i = 0; i < g->shards; i++)
        total += plex_shard_weight_(&list);
    at = ((hash >> 32) * total + ((hash & 0xffffffffU) * total >> 32)) >> 32;
    for (list = g->weights; shard + 1 < g->shards; shard++)
        if (at < (end += plex_shard_weight_(&list)))
            break;
    return shard;
}
static inline uint32_t
plex_shard_ring_(const struct plex_shards *g, uint64_t hash)
{
    uint64_t next = UINT64_MAX, first = UINT64_MAX;
    uint32_t at = 0, around = 0;
    const char *list = g->weights;
    bool found = false;

    for (uint32_t shard = 0; shard < g->shards; shard++)
        for (uint32_t i = 0,
                      n = PLEX_SHARD_POINTS * plex_shard_weight_(&list) / 100;
             i < n; i++) {
            unsigned char name[8] = {0};
            uint64_t point;

            for (int k = 0; k < 4; k++) {
                name[k] = (unsigned char)(shard >> 8 * k);
                name[4 + k] = (unsigned char)(i >> 8 * k);
            }
            point = plex_shard_hash(name, sizeof name, g->seed);
            if (point < first) {
                first = point;
                around = shard;
            }
            if (point >= hash && (!found || point < next)) {
                found = true;
                next = point;
                at = shard;
            }
        }
    return found ? at : around;
}
static inline uint32_t
plex_shard_range_(const struct plex_shards *g, const void *key, size_t len)
{
    uint32_t shard = 0;

    for (; shard + 1 < g->shards; shard++) {
        const size_t n = strlen(g->bounds[shard]);
        const size_t both = n < len ? n : len;
        const int order = both == 0 ? 0 : memcmp(key, g->bounds[shard], both);

        if (order < 0 || (order == 0 && len < n))
            break;
    }
    return shard;
}
/* Which shard has `key`. CONSISTENT: about a microsecond for each shard. */
static inline uint32_t
plex_shard_of(const struct plex_shards *g, const void *key, size_t len)
{
    uint64_t hash;

    if (g->shards <= 1)
        return 0;
    if (g->partition == PLEX_PARTITION_RANGE)
        return plex_shard_range_(g, key, len);
    if (g->partition == PLEX_PARTITION_CUSTOM)
        return g->place(g, key, len) % g->shards;
    hash = plex_shard_hash(key, len, g->seed);
    if (g->partition == PLEX_PARTITION_CONSISTENT)
        return plex_shard_ring_(g, hash);
    if (g->weights != NULL && g->weights[0] != '\0')
        return plex_shard_weighted_(g, hash);
    /* The high half of hash * shards, in 64 bits. */
    return (uint32_t)(((hash >> 32) * g->shards +
                       ((hash & 0xffffffffU) * g->shards >> 32)) >>
                      32);
}
/* The key of a shard's actor: "GROUP~SHARD"; false when it does not fit. */
static inline bool
plex_shard_key(const struct plex_shards *g, uint32_t shard, char out[256])
{
    const int n = snprintf(out, 256, "%s~%u", g->group, (unsigned)shard);

    return n > 0 && n < 256;
}

/* -- to one shard ---------------------------------------------------------- */

/* To the shard that has `key`; from any actor. */
static inline void
plex_shard_cast(struct plex_ctx *ctx, const struct plex_shards *g,
                const char *key, const void *payload, size_t len)
{
    char actor[256];

    if (plex_shard_key(g, plex_shard_of(g, key, strlen(key)), actor))
        plex_cast(ctx, g->type, actor, payload, len);
    else
        (void)plex_fail(ctx, "the group's name is too long");
}
/* A call to the shard that has `key`; from a durable actor. A future. */
static inline int
plex_shard_start_call(struct plex_ctx *ctx, const struct plex_shards *g,
                      const char *key, const void *payload, size_t len,
                      uint64_t timeout_ms)
{
    char actor[256];

    if (!plex_shard_key(g, plex_shard_of(g, key, strlen(key)), actor))
        return PLEX_E_INVALID;
    return plex_start_call(ctx, g->type, actor, payload, len, timeout_ms);
}

/* -- to all of them -------------------------------------------------------- */

enum { PLEX_SCATTER_MAX = 256 }; /* shards asked by one callback */

/* Shard `shard` has answered (0), or will not (PLEX_E_*); true: that is
 * enough. The value is borrowed until the callback of the actor returns. */
typedef bool (*plex_gather_fn)(void *arg, uint32_t shard, int status,
                               const struct plex_value *value,
                               uint64_t after_ms);

/*
 * Ask shards `from` up to but without `to`, at most PLEX_SCATTER_MAX, and hand
 * over what they answer as it comes, until `each` has enough or all have
 * answered, failed or had timeout_ms. From a durable actor: answers are in its
 * record, so `each` sees the same in every replay. 0, or PLEX_E_CANCELLED,
 * -INVALID, -UNSUPPORTED.
 */
static inline int
plex_scatter(struct plex_ctx *ctx, const struct plex_shards *g, uint32_t from,
             uint32_t to, const void *payload, size_t len, uint64_t timeout_ms,
             plex_gather_fn each, void *arg)
{
    int futures[PLEX_SCATTER_MAX];
    uint32_t shards[PLEX_SCATTER_MAX];
    const uint64_t started_ms = plex_turn_ms(ctx);
    size_t n = 0;

    if (from > to || to > g->shards || to - from > PLEX_SCATTER_MAX)
        return PLEX_E_INVALID;
    for (uint32_t shard = from; shard < to; shard++, n++) {
        char actor[256];

        if (!plex_shard_key(g, shard, actor))
            return PLEX_E_INVALID;
        shards[n] = shard;
        futures[n] =
            plex_start_call(ctx, g->type, actor, payload, len, timeout_ms);
        if (futures[n] < 0)
            return futures[n];
    }
    while (n > 0) {
        struct plex_value value = {NULL, 0};
        size_t which = n;
        const int status = plex_wait_any(ctx, futures, n, 0, &which, &value);
        uint64_t now_ms;

        if (which >= n) /* it was none of them */
            return status < 0 ? status : PLEX_E_FAILED;
        now_ms = plex_turn_ms(ctx);
        if (each(arg, shards[which], status, &value,
                 now_ms > started_ms ? now_ms - started_ms : 0))
            return 0;
        n--;
        memmove(futures + which, futures + which + 1,
                (n - which) * sizeof *futures);
        memmove(shards + which, shards + which + 1,
                (n - which) * sizeof *shards);
    }
    return 0;
}

#endif
