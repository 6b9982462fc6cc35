/* What is made of the answers of a group's shards. */
#include "runtime/group_core.h"

#include "common/mem.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAITING = 0, ANSWERED, LOST };

struct slot {
    uint8_t state;
    uint8_t *data;
    size_t len;
};
struct rt_gather {
    struct rt_gather_config config;
    struct slot *slots;
    uint32_t answered, lost;
    size_t bytes;
    enum rt_gather_state state;
    uint8_t *result;
    size_t result_len;
    struct plex_err err;
};

enum plex_status
rt_gather_create(const struct rt_gather_config *config, struct rt_gather **out,
                 struct plex_err *err)
{
    struct rt_gather *gather;

    if (config->shards < 1 || config->min_responses > config->shards)
        return plex_err_set(err, PLEX_INVALID,
                            "min_responses is %u of %u shards, it must be at "
                            "most as many",
                            config->min_responses, config->shards);
    if (config->aggregate < RT_AGGREGATE_CONCAT ||
        config->aggregate > RT_AGGREGATE_MAJORITY)
        return plex_err_set(err, PLEX_INVALID,
                            "aggregation must be concat, merge, reduce, first "
                            "or majority");
    gather = plex_calloc(1, sizeof *gather);
    gather->config = *config;
    if (config->min_responses == 0)
        gather->config.min_responses =
            config->aggregate == RT_AGGREGATE_FIRST ? 1 : config->shards;
    gather->slots = plex_calloc(config->shards, sizeof *gather->slots);
    *out = gather;
    return PLEX_OK;
}

void
rt_gather_free(struct rt_gather *gather)
{
    if (gather == NULL)
        return;
    for (uint32_t i = 0; i < gather->config.shards; i++)
        free(gather->slots[i].data);
    free(gather->slots);
    free(gather->result);
    free(gather);
}

/* -- results --------------------------------------------------------------- */

static void
result_set(struct rt_gather *gather, const void *data, size_t len)
{
    gather->result = plex_calloc(1, len + 1);
    if (len > 0)
        memcpy(gather->result, data, len);
    gather->result_len = len;
    gather->state = RT_GATHER_DONE;
}

static void
fail(struct rt_gather *gather, const char *why, uint32_t shard)
{
    gather->state = RT_GATHER_FAILED;
    (void)plex_err_set(&gather->err, PLEX_FAILED, "the answer of shard %u %s",
                       shard, why);
}

static void
concat(struct rt_gather *gather)
{
    uint8_t *all = plex_calloc(1, gather->bytes + 1), *at = all;

    for (uint32_t i = 0; i < gather->config.shards; i++)
        if (gather->slots[i].len > 0) {
            memcpy(at, gather->slots[i].data, gather->slots[i].len);
            at += gather->slots[i].len;
        }
    result_set(gather, all, (size_t)(at - all));
    free(all);
}

static void
merge(struct rt_gather *gather)
{
    json_t *all = json_object();
    char *text;

    for (uint32_t i = 0; i < gather->config.shards; i++) {
        const struct slot *slot = &gather->slots[i];
        json_t *one;

        if (slot->state != ANSWERED)
            continue;
        one = json_loadb((const char *)slot->data, slot->len,
                         JSON_REJECT_DUPLICATES, NULL);
        if (!json_is_object(one)) {
            json_decref(one);
            json_decref(all);
            fail(gather, "is no JSON object", i);
            return;
        }
        (void)json_object_update(all, one);
        json_decref(one);
    }
    text = json_dumps(all, JSON_COMPACT);
    result_set(gather, text, strlen(text));
    free(text);
    json_decref(all);
}

static void
reduce(struct rt_gather *gather)
{
    int64_t sum = 0;
    char text[24], *end;

    for (uint32_t i = 0; i < gather->config.shards; i++) {
        const struct slot *slot = &gather->slots[i];
        long long number;

        if (slot->state != ANSWERED)
            continue;
        (void)snprintf(text, sizeof text, "%.*s", (int)slot->len,
                       slot->data == NULL ? "" : (const char *)slot->data);
        number = strtoll(text, &end, 10);
        if (slot->len == 0 || slot->len >= sizeof text || *end != '\0' ||
            strspn(text, "-0123456789") != slot->len) {
            fail(gather, "is no whole number", i);
            return;
        }
        if (__builtin_add_overflow(sum, number, &sum)) {
            fail(gather, "makes the sum leave 64 bits", i);
            return;
        }
    }
    (void)snprintf(text, sizeof text, "%" PRId64, sum);
    result_set(gather, text, strlen(text));
}

static uint32_t
votes_for(const struct rt_gather *gather, const struct slot *choice)
{
    uint32_t votes = 0;

    for (uint32_t i = 0; i < gather->config.shards; i++) {
        const struct slot *slot = &gather->slots[i];

        votes += slot->state == ANSWERED && slot->len == choice->len &&
                 (slot->len == 0 ||
                  memcmp(slot->data, choice->data, slot->len) == 0);
    }
    return votes;
}

/* Only the newest answer can have made a majority. True: it has. */
static bool
majority(struct rt_gather *gather, uint32_t newest)
{
    const struct slot *slot = &gather->slots[newest];

    if (votes_for(gather, slot) * 2 <= gather->config.shards)
        return false;
    result_set(gather, slot->data, slot->len);
    return true;
}

static void
counts_fail(struct rt_gather *gather)
{
    gather->state = RT_GATHER_FAILED;
    if (gather->config.aggregate == RT_AGGREGATE_MAJORITY)
        (void)plex_err_set(&gather->err, PLEX_FAILED,
                           "no answer has a majority of %u shards: %u "
                           "answered, %u failed",
                           gather->config.shards, gather->answered,
                           gather->lost);
    else
        (void)plex_err_set(&gather->err, PLEX_UNAVAILABLE,
                           "%u of %u shards answered, %u failed; %u are "
                           "needed",
                           gather->answered, gather->config.shards,
                           gather->lost, gather->config.min_responses);
}

static void
aggregate(struct rt_gather *gather)
{
    switch (gather->config.aggregate) {
    case RT_AGGREGATE_CONCAT:
        concat(gather);
        break;
    case RT_AGGREGATE_MERGE:
        merge(gather);
        break;
    case RT_AGGREGATE_REDUCE:
        reduce(gather);
        break;
    case RT_AGGREGATE_FIRST: /* has it since it came */
    case RT_AGGREGATE_MAJORITY:
        counts_fail(gather);
        break;
    }
}

/* Is there nothing more to wait for? Those who are not needed are waited for
 * all the same, until rt_gather_end(): more answers are a better result. */
static enum rt_gather_state
look(struct rt_gather *gather, bool over)
{
    const struct rt_gather_config *config = &gather->config;
    const uint32_t open = config->shards - gather->answered - gather->lost;

    if (gather->state != RT_GATHER_OPEN)
        return gather->state;
    if (config->aggregate == RT_AGGREGATE_MAJORITY) {
        if (over || open == 0)
            counts_fail(gather);
    } else if (gather->answered + open < config->min_responses ||
               (over && gather->answered < config->min_responses)) {
        counts_fail(gather);
    } else if (over || open == 0) {
        aggregate(gather);
    }
    return gather->state;
}

/* -- inputs ---------------------------------------------------------------- */

enum rt_gather_state
rt_gather_answer(struct rt_gather *gather, uint32_t shard,
                 struct plex_bytes answer)
{
    struct slot *slot;

    if (gather->state != RT_GATHER_OPEN || shard >= gather->config.shards ||
        gather->slots[shard].state != WAITING)
        return gather->state;
    if (answer.len > gather->config.bytes_max - gather->bytes) {
        gather->state = RT_GATHER_FAILED;
        (void)plex_err_set(&gather->err, PLEX_TOO_LARGE,
                           "the answers have more than %zu bytes together",
                           gather->config.bytes_max);
        return gather->state;
    }
    slot = &gather->slots[shard];
    slot->state = ANSWERED;
    slot->len = answer.len;
    slot->data = plex_calloc(1, answer.len + 1);
    if (answer.len > 0)
        memcpy(slot->data, answer.data, answer.len);
    gather->bytes += answer.len;
    gather->answered++;
    if (gather->config.aggregate == RT_AGGREGATE_FIRST) {
        if (gather->result == NULL)
            result_set(gather, answer.data, answer.len);
        gather->state = gather->answered >= gather->config.min_responses
                            ? RT_GATHER_DONE
                            : RT_GATHER_OPEN;
    } else if (gather->config.aggregate == RT_AGGREGATE_MAJORITY &&
               majority(gather, shard)) {
        return gather->state;
    }
    return look(gather, false);
}

enum rt_gather_state
rt_gather_failure(struct rt_gather *gather, uint32_t shard)
{
    if (gather->state != RT_GATHER_OPEN || shard >= gather->config.shards ||
        gather->slots[shard].state != WAITING)
        return gather->state;
    gather->slots[shard].state = LOST;
    gather->lost++;
    return look(gather, false);
}

enum rt_gather_state
rt_gather_end(struct rt_gather *gather)
{
    return look(gather, true);
}

enum plex_status
rt_gather_result(const struct rt_gather *gather, struct plex_bytes *out,
                 struct plex_err *err)
{
    if (gather->state == RT_GATHER_DONE) {
        *out = (struct plex_bytes){gather->result, gather->result_len};
        return PLEX_OK;
    }
    if (gather->state == RT_GATHER_OPEN)
        return plex_err_set(err, PLEX_IN_FLIGHT, "%u of %u shards answered",
                            gather->answered, gather->config.shards);
    *err = gather->err;
    return err->status;
}
