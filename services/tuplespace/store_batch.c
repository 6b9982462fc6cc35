#include "services/tuplespace/store_batch.h"

#include "common/mem.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    BATCH_BYTES_MAX = 1 << 30,
    BATCH_BYTES_KEPT = 16 << 20, /* of the buffer, after a large batch */
    BATCH_SLOTS_MIN = 256,
    PLACE_BUCKETS_MIN = 64,
};

/* Bytes are named by where they are in the buffer, which may move. */
struct entry {
    struct tspace_place *place;
    enum tspace_record record;
    bool remove;
    uint64_t hash;
    size_t key_at, body_at;
    uint32_t key_len, body_len;
};

struct tspace_batch {
    struct tspace_place **places;
    size_t place_buckets, n_places;
    struct entry *entries;
    size_t n, cap;
    uint32_t *slots; /* 1 + index of an entry, by the hash of its record */
    size_t n_slots;
    struct plex_buf bytes;
    struct tspace_change *changes;
    size_t changes_cap;
};

struct tspace_batch *
tspace_batch_create(void)
{
    struct tspace_batch *batch = plex_calloc(1, sizeof *batch);

    batch->bytes.max = BATCH_BYTES_MAX;
    batch->n_slots = BATCH_SLOTS_MIN;
    batch->slots = plex_calloc(batch->n_slots, sizeof *batch->slots);
    batch->place_buckets = PLACE_BUCKETS_MIN;
    batch->places = plex_calloc(batch->place_buckets, sizeof *batch->places);
    return batch;
}

void
tspace_batch_free(struct tspace_batch *batch)
{
    if (batch == NULL)
        return;
    for (size_t i = 0; i < batch->place_buckets; i++)
        for (struct tspace_place *place = batch->places[i], *next;
             place != NULL; place = next) {
            next = place->next;
            free(place);
        }
    free(batch->places);
    free(batch->entries);
    free(batch->slots);
    free(batch->changes);
    plex_buf_free(&batch->bytes);
    free(batch);
}

/* -- places ------------------------------------------------------------------
 */

static uint64_t
where_hash(const struct tspace_where *where)
{
    uint64_t hash = XXH3_64bits(where->tenant, strlen(where->tenant) + 1);

    hash = XXH3_64bits_withSeed(where->ns, strlen(where->ns) + 1, hash);
    return XXH3_64bits_withSeed(where->space, strlen(where->space) + 1, hash);
}

static void
places_grow(struct tspace_batch *batch)
{
    const size_t old = batch->place_buckets;
    struct tspace_place **from = batch->places, *place;

    batch->place_buckets = old * 2;
    batch->places = plex_calloc(batch->place_buckets, sizeof *batch->places);
    for (size_t i = 0; i < old; i++)
        while ((place = from[i]) != NULL) {
            const size_t to = place->hash & (batch->place_buckets - 1);

            from[i] = place->next;
            place->next = batch->places[to];
            batch->places[to] = place;
        }
    free(from);
}

static char *
name_put(char *at, const char *name, const char **out)
{
    const size_t size = strlen(name) + 1;

    memcpy(at, name, size);
    *out = at;
    return at + size;
}

struct tspace_place *
tspace_batch_place(struct tspace_batch *batch, const struct tspace_where *where)
{
    const uint64_t hash = where_hash(where);
    struct tspace_place *place =
        batch->places[hash & (batch->place_buckets - 1)];
    size_t to;
    char *at;

    while (place != NULL && (place->hash != hash ||
                             strcmp(place->where.tenant, where->tenant) != 0 ||
                             strcmp(place->where.ns, where->ns) != 0 ||
                             strcmp(place->where.space, where->space) != 0))
        place = place->next;
    if (place != NULL)
        return place;
    if (batch->n_places++ == batch->place_buckets)
        places_grow(batch);
    place = plex_calloc(1, sizeof *place + strlen(where->tenant) +
                               strlen(where->ns) + strlen(where->space) + 3);
    at = name_put((char *)(place + 1), where->tenant, &place->where.tenant);
    at = name_put(at, where->ns, &place->where.ns);
    (void)name_put(at, where->space, &place->where.space);
    place->hash = hash;
    to = hash & (batch->place_buckets - 1);
    place->next = batch->places[to];
    batch->places[to] = place;
    return place;
}

/* -- changes -----------------------------------------------------------------
 */

static void
slots_grow(struct tspace_batch *batch)
{
    free(batch->slots);
    batch->n_slots *= 2;
    batch->slots = plex_calloc(batch->n_slots, sizeof *batch->slots);
    for (size_t i = 0; i < batch->n; i++) {
        size_t at = batch->entries[i].hash & (batch->n_slots - 1);

        while (batch->slots[at] != 0)
            at = (at + 1) & (batch->n_slots - 1);
        batch->slots[at] = (uint32_t)i + 1;
    }
}

/* The entry of that record, or where a new one belongs. */
static uint32_t *
slot_find(struct tspace_batch *batch, const struct entry *want,
          struct plex_bytes key)
{
    size_t at = want->hash & (batch->n_slots - 1);

    for (; batch->slots[at] != 0; at = (at + 1) & (batch->n_slots - 1)) {
        const struct entry *e = &batch->entries[batch->slots[at] - 1];

        if (e->hash == want->hash && e->place == want->place &&
            e->record == want->record && e->key_len == key.len &&
            memcmp(batch->bytes.data + e->key_at, key.data, key.len) == 0)
            break;
    }
    return &batch->slots[at];
}

static struct entry *
entry_new(struct tspace_batch *batch)
{
    if (batch->n == batch->cap) {
        batch->cap = batch->cap == 0 ? BATCH_SLOTS_MIN : batch->cap * 2;
        batch->entries = plex_reallocarray(batch->entries, batch->cap,
                                           sizeof *batch->entries);
    }
    return &batch->entries[batch->n++];
}

enum plex_status
tspace_batch_add(struct tspace_batch *batch, const struct tspace_action *action,
                 struct plex_err *err)
{
    const struct plex_bytes key = action->key, body = action->body;
    const bool remove = action->kind == TSPACE_REMOVE;
    struct entry entry = {
        .place = tspace_batch_place(batch, &action->where),
        .record = action->record,
        .remove = remove,
        .key_len = (uint32_t)key.len,
        .body_len = remove ? 0 : (uint32_t)body.len,
    };
    uint8_t *to = plex_buf_grow(&batch->bytes, key.len + entry.body_len + 1);
    uint32_t *slot;

    if (to == NULL)
        return plex_err_set(err, PLEX_LIMIT,
                            "one transaction has more than %d bytes",
                            BATCH_BYTES_MAX);
    entry.key_at = (size_t)(to - batch->bytes.data);
    entry.body_at = entry.key_at + key.len;
    memcpy(to, key.data, key.len);
    if (entry.body_len > 0)
        memcpy(to + key.len, body.data, entry.body_len);
    entry.hash = XXH3_64bits_withSeed(
        key.data, key.len, entry.place->hash + (uint64_t)entry.record);
    if (2 * (batch->n + 1) > batch->n_slots)
        slots_grow(batch);
    slot = slot_find(batch, &entry, key);
    if (*slot != 0) {
        batch->entries[*slot - 1] = entry;
        return PLEX_OK;
    }
    *entry_new(batch) = entry;
    *slot = (uint32_t)batch->n;
    return PLEX_OK;
}

size_t
tspace_batch_bytes(const struct tspace_batch *batch)
{
    return batch->bytes.len;
}

const struct tspace_change *
tspace_batch_changes(struct tspace_batch *batch, size_t *n)
{
    if (batch->changes_cap < batch->n) {
        batch->changes_cap = batch->cap;
        batch->changes = plex_reallocarray(batch->changes, batch->changes_cap,
                                           sizeof *batch->changes);
    }
    for (size_t i = 0; i < batch->n; i++) {
        const struct entry *e = &batch->entries[i];

        batch->changes[i] = (struct tspace_change){
            .place = e->place,
            .record = e->record,
            .remove = e->remove,
            .key = {batch->bytes.data + e->key_at, e->key_len},
            .body = {batch->bytes.data + e->body_at, e->body_len},
        };
    }
    *n = batch->n;
    return batch->changes;
}

void
tspace_batch_clear(struct tspace_batch *batch)
{
    if (batch->n > 0 && batch->n_slots > 16 * BATCH_SLOTS_MIN &&
        batch->n < batch->n_slots / 16) {
        free(batch->slots);
        batch->n_slots = BATCH_SLOTS_MIN;
        batch->slots = plex_calloc(batch->n_slots, sizeof *batch->slots);
    } else if (batch->n > 0) {
        memset(batch->slots, 0, batch->n_slots * sizeof *batch->slots);
    }
    batch->n = 0;
    batch->bytes.len = 0;
    if (batch->bytes.cap > BATCH_BYTES_KEPT)
        plex_buf_free(&batch->bytes);
}
