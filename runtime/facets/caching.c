/*
 * Answers what was asked before without the handler, for a while: the same
 * method, path, query and payload get the same reply. Only successful replies
 * to calls are kept; casts pass, and with clear_on_write so do the methods
 * that are not among `methods`, emptying the cache.
 */
#include "common/mem.h"
#include "runtime/facets/facets.h"

#include <stdlib.h>
#include <string.h>

#define HASH_FUNCTION HASH_FNV
#include <uthash.h>

struct config {
    uint64_t ttl;
    uint64_t max_entries;
    uint64_t max_bytes;
    const char *methods;
    bool clear_on_write;
};
struct entry {
    UT_hash_handle hh; /* in order of their making: the first is the oldest */
    uint64_t until_ns;
    uint32_t http_status;
    char *content_type;
    size_t len, key_len;
    unsigned char *payload;
    unsigned char key[];
};
struct data {
    struct entry *entries;
    uint64_t bytes, hits, misses;
    uint64_t era; /* of the cache: what was asked before a write is not kept */
};

static const struct plex_facet_key keys[] = {
    RT_FACET_KEY(ttl, DURATION, "300s", 1, 0),
    {"ttl_seconds", PLEX_FACET_SECONDS, offsetof(struct config, ttl),
     PLEX_FACET_ALIAS, 1, 2592000, NULL},
    RT_FACET_KEY(max_entries, NUMBER, "1000", 1, 100000),
    RT_FACET_KEY(max_bytes, NUMBER, "1048576", 1024, 1073741824),
    RT_FACET_KEY(methods, TEXT, "GET, call", 1, 256),
    RT_FACET_KEY(clear_on_write, BOOL, "true", 0, 0),
    {0},
};

/* -- entries --------------------------------------------------------------- */

static unsigned char *
part_add(unsigned char *at, const void *part, size_t len)
{
    memcpy(at, &len, sizeof len);
    if (len > 0)
        memcpy(at + sizeof len, part, len);
    return at + sizeof len + len;
}

/* In the memory of the call; each part after its length. */
static unsigned char *
key_make(struct plex_facet *facet, const struct plex_msg *msg, size_t *len)
{
    const char *const texts[] = {rt_facet_method(msg), msg->subpath, msg->query,
                                 msg->content_type};
    unsigned char *key, *at;

    *len = sizeof(size_t) * 6 + msg->len + sizeof msg->tag;
    for (size_t i = 0; i < 4; i++)
        *len += texts[i] == NULL ? 0 : strlen(texts[i]);
    key = at = plex_facet_alloc(facet, *len);
    for (size_t i = 0; i < 4; i++)
        at = part_add(at, texts[i], texts[i] == NULL ? 0 : strlen(texts[i]));
    at = part_add(at, &msg->tag, sizeof msg->tag);
    at = part_add(at, msg->payload, msg->payload == NULL ? 0 : msg->len);
    *len = (size_t)(at - key);
    return key;
}

static uint64_t
entry_bytes(const struct entry *entry)
{
    return sizeof *entry + entry->key_len + entry->len + 64;
}

static void
entry_drop(struct data *data, struct entry *entry)
{
    data->bytes -= entry_bytes(entry);
    HASH_DEL(data->entries, entry);
    free(entry->content_type);
    free(entry->payload);
    free(entry);
}

static void
clear(struct data *data)
{
    data->era++;
    while (data->entries != NULL)
        entry_drop(data, data->entries);
}

static void
entry_add(struct plex_facet *facet, const struct plex_msg *msg,
          const struct plex_facet_result *result)
{
    const struct config *config = facet->config;
    struct data *data = facet->data;
    struct entry *entry, *old;
    size_t len;
    const unsigned char *key = key_make(facet, msg, &len);

    HASH_FIND(hh, data->entries, key, len, old);
    if (old != NULL)
        entry_drop(data, old);
    if (sizeof *entry + len + result->len + 64 > config->max_bytes)
        return;
    entry = plex_calloc(1, sizeof *entry + len);
    memcpy(entry->key, key, len);
    entry->key_len = len;
    entry->until_ns = facet->now_ns + config->ttl * RT_FACET_MS;
    entry->http_status = result->http_status;
    entry->content_type =
        plex_strdup(result->content_type == NULL ? "application/json"
                                                 : result->content_type);
    entry->payload = plex_calloc(1, result->len + 1);
    entry->len = result->len;
    if (result->len > 0)
        memcpy(entry->payload, result->payload, result->len);
    HASH_ADD_KEYPTR(hh, data->entries, entry->key, len, entry);
    data->bytes += entry_bytes(entry);
    while (data->bytes > config->max_bytes ||
           HASH_COUNT(data->entries) > config->max_entries)
        entry_drop(data, data->entries);
}

/* -- hooks ----------------------------------------------------------------- */

enum { PASS = 0, ASKED = 1 }; /* token: the era times two, plus this */

static enum plex_facet_verdict
before(struct plex_facet *facet, const struct plex_msg *msg,
       struct plex_facet_out *out)
{
    const struct config *config = facet->config;
    struct data *data = facet->data;
    struct entry *entry;
    unsigned char *key, *copy;
    size_t len;

    facet->token = PASS;
    if (!rt_facet_is_call(msg) ||
        !rt_facet_glob(config->methods, rt_facet_method(msg))) {
        if (config->clear_on_write)
            clear(data);
        return PLEX_FACET_CONTINUE;
    }
    facet->token = data->era * 2 + ASKED;
    key = key_make(facet, msg, &len);
    HASH_FIND(hh, data->entries, key, len, entry);
    if (entry != NULL && entry->until_ns <= facet->now_ns) {
        entry_drop(data, entry);
        entry = NULL;
    }
    if (entry == NULL) {
        data->misses++;
        return PLEX_FACET_CONTINUE;
    }
    data->hits++;
    /* Copied: another message may drop the entry while this answer waits. */
    copy = plex_facet_alloc(facet, entry->len + 1);
    memcpy(copy, entry->payload, entry->len);
    out->http_status = entry->http_status;
    out->content_type = rt_facet_text(facet, "%s", entry->content_type);
    out->payload = copy;
    out->len = entry->len;
    out->header = "X-Cache";
    out->header_value = "hit";
    return PLEX_FACET_SHORT_CIRCUIT;
}

static enum plex_facet_verdict
after(struct plex_facet *facet, const struct plex_msg *msg,
      const struct plex_facet_result *result, struct plex_facet_out *out)
{
    const struct data *data = facet->data;

    (void)out;
    if (facet->token == data->era * 2 + ASKED && result->http_status == 200)
        entry_add(facet, msg, result);
    return PLEX_FACET_CONTINUE;
}

/* "clear"; "stats": hits, misses, entries, bytes as JSON. */
static int
invoke(struct plex_facet *facet, const char *op, const void *in, size_t len,
       struct plex_facet_out *out)
{
    struct data *data = facet->data;

    (void)in;
    (void)len;
    if (strcmp(op, "clear") == 0) {
        clear(data);
        return 0;
    }
    if (strcmp(op, "stats") != 0)
        return -PLEX_UNSUPPORTED;
    out->payload = rt_facet_text(
        facet, "{\"hits\":%llu,\"misses\":%llu,\"entries\":%u,\"bytes\":%llu}",
        (unsigned long long)data->hits, (unsigned long long)data->misses,
        HASH_COUNT(data->entries), (unsigned long long)data->bytes);
    out->len = strlen(out->payload);
    return 0;
}

static void
fini(void *data)
{
    clear(data);
}

const struct plex_facet_type rt_facet_caching = {
    .name = "caching",
    .priority = 150,
    .keys = keys,
    .config_size = sizeof(struct config),
    .data_size = sizeof(struct data),
    .before = before,
    .after = after,
    .invoke = invoke,
    .fini = fini,
};
