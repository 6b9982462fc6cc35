/* A token bucket for the actor, or one for each of its clients. */
#include "runtime/facets/facets.h"

#include "common/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

struct config {
    uint64_t refill_rate; /* tokens a second */
    uint64_t burst_size;
    bool per_client;
    uint64_t max_clients; /* buckets kept: the fullest go first */
};
struct bucket {
    UT_hash_handle hh;
    /* In nanotokens, so that whole numbers suffice. */
    uint64_t level;
    uint64_t at_ns;
    char client[];
};
struct data {
    struct bucket *buckets;
};
#define NANO ((uint64_t)1000000000)

static const struct plex_facet_key keys[] = {
    RT_FACET_KEY(refill_rate, NUMBER, "100", 1, 1000000),
    RT_FACET_KEY(burst_size, NUMBER, "100", 1, 1000000),
    RT_FACET_KEY(per_client, BOOL, "false", 0, 0),
    RT_FACET_KEY(max_clients, NUMBER, "1000", 1, 100000),
    {0},
};

static void
bucket_fill(struct bucket *bucket, const struct config *config, uint64_t now_ns)
{
    const uint64_t full = config->burst_size * NANO;
    const uint64_t past = now_ns - bucket->at_ns;

    bucket->at_ns = now_ns;
    if (past >= (full - bucket->level) / config->refill_rate)
        bucket->level = full;
    else
        bucket->level += past * config->refill_rate;
}

/* One whose client has asked for nothing lately: to forget it changes least. */
static void
bucket_drop(struct data *data)
{
    struct bucket *bucket, *next, *oldest = NULL;

    HASH_ITER(hh, data->buckets, bucket, next)
    if (oldest == NULL || bucket->at_ns < oldest->at_ns)
        oldest = bucket;
    HASH_DEL(data->buckets, oldest);
    free(oldest);
}

static struct bucket *
bucket_of(struct plex_facet *facet, const char *client)
{
    const struct config *config = facet->config;
    struct data *data = facet->data;
    struct bucket *bucket;

    HASH_FIND_STR(data->buckets, client, bucket);
    if (bucket != NULL)
        return bucket;
    if (HASH_COUNT(data->buckets) >= config->max_clients)
        bucket_drop(data);
    bucket = plex_calloc(1, sizeof *bucket + strlen(client) + 1);
    memcpy(bucket->client, client, strlen(client) + 1);
    bucket->level = config->burst_size * NANO;
    bucket->at_ns = facet->now_ns;
    HASH_ADD_STR(data->buckets, client, bucket);
    return bucket;
}

static enum plex_facet_verdict
before(struct plex_facet *facet, const struct plex_msg *msg,
       struct plex_facet_out *out)
{
    const struct config *config = facet->config;
    const char *client = "";
    struct bucket *bucket;
    uint64_t wait_ns;

    if (config->per_client)
        client = msg->sender != NULL && msg->sender[0] != '\0' ? msg->sender
                                                               : facet->client;
    bucket = bucket_of(facet, client);
    bucket_fill(bucket, config, facet->now_ns);
    if (bucket->level >= NANO) {
        bucket->level -= NANO;
        return PLEX_FACET_CONTINUE;
    }
    wait_ns = (NANO - bucket->level) / config->refill_rate;
    out->http_status = 429;
    out->text = rt_facet_text(facet,
                              "more than %" PRIu64
                              " messages a second (%" PRIu64 " at once)%s",
                              config->refill_rate, config->burst_size,
                              config->per_client ? " from this client" : "");
    out->header = "Retry-After";
    out->header_value = rt_facet_text(facet, "%" PRIu64, wait_ns / NANO + 1);
    return PLEX_FACET_SHORT_CIRCUIT;
}

static void
fini(void *memory)
{
    struct data *data = memory;
    struct bucket *bucket, *next;

    HASH_ITER(hh, data->buckets, bucket, next)
    {
        HASH_DEL(data->buckets, bucket);
        free(bucket);
    }
}

const struct plex_facet_type rt_facet_rate_limit = {
    .name = "rate_limit",
    .priority = 950,
    .keys = keys,
    .config_size = sizeof(struct config),
    .data_size = sizeof(struct data),
    .before = before,
    .fini = fini,
};
