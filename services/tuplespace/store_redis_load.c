/* Reading a shard's records back from Redis, a page at a time. */
#include "services/tuplespace/store_redis.h"

#include "common/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

static enum plex_status
load_field(const redisReply *field, const redisReply *body, tspace_load_fn each,
           void *arg, struct plex_err *err)
{
    const char *at = field->str + 1, *end = field->str + field->len;
    const char *names[3];

    for (int i = 0; i < 3; i++) {
        const char *nul = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;

        if (nul == NULL)
            return plex_err_set(err, PLEX_CORRUPT,
                                "a field of the records is malformed");
        names[i] = at;
        at = nul + 1;
    }
    return each(
        arg, &(struct tspace_where){names[0], names[1], names[2]},
        (enum tspace_record)(uint8_t)field->str[0],
        (struct plex_bytes){(const uint8_t *)at, (size_t)(end - at)},
        (struct plex_bytes){(const uint8_t *)body->str, (size_t)body->len},
        err);
}

/* HSCAN may show a field twice. */
struct seen {
    XXH128_hash_t *slots; /* both halves 0: free */
    size_t n, size;
};

static bool
seen_put(struct seen *seen, XXH128_hash_t hash)
{
    size_t at = hash.low64 & (seen->size - 1);

    while (seen->slots[at].low64 != 0 || seen->slots[at].high64 != 0) {
        if (XXH128_isEqual(seen->slots[at], hash))
            return false;
        at = (at + 1) & (seen->size - 1);
    }
    seen->slots[at] = hash;
    return true;
}

/* False: it was there before. */
static bool
seen_add(struct seen *seen, const redisReply *field)
{
    const XXH128_hash_t hash = XXH3_128bits(field->str, field->len);
    struct seen larger;

    if (2 * (seen->n + 1) > seen->size) {
        larger = (struct seen){.n = seen->n,
                               .size = seen->size == 0 ? 1024 : seen->size * 2};
        larger.slots = plex_calloc(larger.size, sizeof *larger.slots);
        for (size_t i = 0; i < seen->size; i++)
            if (seen->slots[i].low64 != 0 || seen->slots[i].high64 != 0)
                (void)seen_put(&larger, seen->slots[i]);
        free(seen->slots);
        *seen = larger;
    }
    if (!seen_put(seen, hash))
        return false;
    seen->n++;
    return true;
}

/* One page of HSCAN into `each`. */
static enum plex_status
load_page(struct redis_store *store, char cursor[32], struct seen *seen,
          tspace_load_fn each, void *arg, struct plex_err *err)
{
    enum plex_status status = PLEX_OK;
    redisReply *r =
        tspace_redis_reply(store,
                           redisCommand(store->redis, "HSCAN %s %s COUNT 2000",
                                        store->records_key, cursor),
                           REDIS_REPLY_ARRAY, err);
    const redisReply *list;

    if (r == NULL)
        return err->status;
    (void)snprintf(cursor, 32, "%s", r->element[0]->str);
    list = r->element[1];
    for (size_t i = 0; status == PLEX_OK && i + 1 < list->elements; i += 2)
        if (seen_add(seen, list->element[i]))
            status = load_field(list->element[i], list->element[i + 1], each,
                                arg, err);
    freeReplyObject(r);
    return status;
}

enum plex_status
tspace_redis_load(struct tspace_store *base, tspace_load_fn each, void *arg,
                  struct plex_err *err)
{
    struct redis_store *store = (struct redis_store *)base;
    enum plex_status status;
    struct seen seen = {0};
    char cursor[32] = "0";

    do {
        status = load_page(store, cursor, &seen, each, arg, err);
    } while (status == PLEX_OK && strcmp(cursor, "0") != 0);
    free(seen.slots);
    return status;
}
