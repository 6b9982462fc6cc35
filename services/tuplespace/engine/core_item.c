/* Tuples in memory: from packed bytes to a place in their space and back. */
#include "services/tuplespace/engine/core_private.h"

#include <assert.h>

enum {
    BODY_HEAD = 16 /* written and expiry, before the packed tuple */
};

/* -- one tuple ------------------------------------------------------------- */

static uint32_t
text_bytes(const struct lease_text *text)
{
    if (text->owner.len == 0 && text->meta.len == 0)
        return 0;
    return (uint32_t)(1 + text->owner.len + 2 + text->meta.len);
}

struct item *
item_make(struct tspace_core *core, struct plex_bytes packed,
          uint64_t expires_ms, const struct lease_text *text)
{
    const uint32_t tail = text_bytes(text);
    /* Not calloc, which is several times slower. */
    struct item *item = plex_reallocarray(
        NULL, 1, offsetof(struct item, packed) + packed.len + tail);
    uint8_t *out;

    memset(item, 0, offsetof(struct item, packed));
    item->refs = 1;
    item->body_bytes = (uint32_t)(BODY_HEAD + packed.len + tail);
    item->written_ms = core->now.wall_ms;
    item->expires_ms = expires_ms;
    memcpy(item->packed, packed.data, packed.len);
    if (tail == 0)
        return item;
    out = item->packed + packed.len;
    *out++ = (uint8_t)text->owner.len;
    if (text->owner.len > 0)
        memcpy(out, text->owner.data, text->owner.len);
    out += text->owner.len;
    *out++ = (uint8_t)text->meta.len;
    *out++ = (uint8_t)(text->meta.len >> 8);
    if (text->meta.len > 0)
        memcpy(out, text->meta.data, text->meta.len);
    return item;
}

struct lease_text
item_text(const struct item *item)
{
    const uint32_t packed = tspace_packed_length(item->packed);
    const uint8_t *tail = item->packed + packed;
    struct lease_text text = {{NULL, 0}, {NULL, 0}};

    if (item->body_bytes == BODY_HEAD + packed)
        return text;
    text.owner = (struct plex_bytes){tail + 1, tail[0]};
    tail += 1 + tail[0];
    text.meta =
        (struct plex_bytes){tail + 2, (size_t)tail[0] | (size_t)tail[1] << 8};
    return text;
}

void
item_unref(struct item *item)
{
    if (item == NULL || --item->refs > 0)
        return;
    assert(item->hold == NULL);
    free(item);
}

bool
item_expired(const struct tspace_core *core, const struct item *item)
{
    return item->expires_ms != 0 && item->expires_ms <= core->now.wall_ms;
}

/* -- by id ----------------------------------------------------------------- */

/* Linear hashing by the id itself: ids count up, so new tuples are neighbours
 * here. */
static struct item **
id_bucket(const struct tspace_core *core, uint64_t id)
{
    uint32_t bucket = (uint32_t)id & core->id_mask;

    if (bucket >= core->n_id_buckets)
        bucket &= core->id_mask >> 1;
    return rows_at(&core->ids, bucket);
}

struct item *
core_item_find(const struct tspace_core *core, uint64_t id)
{
    struct item *item;

    if (core->n_id_buckets == 0 || id == 0)
        return NULL;
    item = *id_bucket(core, id);
    while (item != NULL && item->id != id)
        item = item->id_next;
    return item;
}

static void
id_split(struct tspace_core *core)
{
    const uint32_t added = core->n_id_buckets;
    struct item **from, **to, *item;

    if (added == core->ids.room)
        rows_grow(&core->ids);
    core->n_id_buckets++;
    if (added == 0)
        return;
    if (added > core->id_mask)
        core->id_mask = core->id_mask * 2 + 1;
    from = rows_at(&core->ids, added & core->id_mask >> 1);
    to = rows_at(&core->ids, added);
    item = *from;
    *from = *to = NULL;
    while (item != NULL) {
        struct item **bucket =
            ((uint32_t)item->id & core->id_mask) == added ? to : from;
        struct item *next = item->id_next;

        item->id_next = *bucket;
        *bucket = item;
        item = next;
    }
}

static void
id_add(struct tspace_core *core, struct item *item)
{
    struct item **bucket;

    if (++core->n_ids > core->n_id_buckets)
        id_split(core);
    bucket = id_bucket(core, item->id);
    item->id_next = *bucket;
    *bucket = item;
}

static void
id_remove(struct tspace_core *core, struct item *item)
{
    struct item **link = id_bucket(core, item->id);

    while (*link != item)
        link = &(*link)->id_next;
    *link = item->id_next;
    core->n_ids--;
}

/* -- in a space ------------------------------------------------------------ */

/* `tuples` is 1 or -1. */
static void
count(struct tspace_core *core, struct space *space, const struct item *item,
      int tuples)
{
    const uint64_t bytes =
        (uint64_t)tuples *
        (offsetof(struct item, written_ms) + item->body_bytes);
    struct tenant *tenant = space->realm->tenant;

    core->stats.tuples += (uint64_t)tuples;
    space->tuples += (uint64_t)tuples;
    tenant->tuples += (uint64_t)tuples;
    core->stats.bytes += bytes;
    space->bytes += bytes;
    tenant->bytes += bytes;
}

void
core_item_add(struct tspace_core *core, struct space *space, struct item *item)
{
    struct shape *shape =
        core_shape_get(core, space, tspace_packed_fields(item->packed));

    item->shape = shape;
    shape_place(shape, item);
    id_add(core, item);
    count(core, space, item, 1);
    if (item->expires_ms != 0)
        due_add(&core->wall, item->expires_ms, &item->due_at, DUE_ITEM);
}

void
core_item_drop(struct tspace_core *core, struct item *item)
{
    struct shape *shape = item->shape;

    if (item->linked)
        shape_unlink(shape, item);
    id_remove(core, item);
    shape_unplace(shape, item);
    count(core, shape->space, item, -1);
    due_remove(&core->wall, &item->due_at);
    item->gone = true;
    item_unref(item);
}

void
core_item_end(struct tspace_core *core, struct item *item,
              enum tspace_event event)
{
    core_remove_item(core, item);
    core_notify(core, item, event);
    if (event == TSPACE_TAKEN)
        core->stats.taken++;
    else if (event == TSPACE_EXPIRED)
        core->stats.expired++;
    core_item_drop(core, item);
}

void
core_item_lease(struct tspace_core *core, struct item *item,
                uint64_t expires_ms)
{
    item->expires_ms = expires_ms;
    if (expires_ms != 0)
        due_add(&core->wall, expires_ms, &item->due_at, DUE_ITEM);
    else
        due_remove(&core->wall, &item->due_at);
}

void
core_item_show(struct tspace_core *core, struct item *item, bool written)
{
    /* It may have lain in a transaction or a claim until now. */
    if (item_expired(core, item)) {
        core_item_end(core, item, TSPACE_EXPIRED);
        return;
    }
    if (!item->linked)
        shape_link(item->shape, item);
    if (written) {
        core->stats.written++;
        core_notify(core, item, TSPACE_WRITTEN);
    }
    if (item->shape->waiters.n > 0)
        core_offer(core, item);
}

struct hold *
item_hold(struct item *item)
{
    if (item->hold == NULL) {
        item->hold = plex_calloc(1, sizeof *item->hold);
        LIST_INIT(&item->hold->entries);
        item->hold->item = item;
    }
    return item->hold;
}

void
item_hold_trim(struct item *item)
{
    const struct hold *hold = item->hold;

    if (hold == NULL || hold->writer != NULL || hold->taker != NULL ||
        hold->claim != NULL || !LIST_EMPTY(&hold->entries))
        return;
    free(item->hold);
    item->hold = NULL;
}

void
core_item_swap(struct tspace_core *core, struct item *from, struct item *to)
{
    struct shape *shape = from->shape;
    struct space *space = shape->space;

    to->id = from->id;
    to->written_ms = from->written_ms;
    if (tspace_packed_fields(to->packed) != shape->n_fields) {
        core_item_drop(core, from);
        core_item_add(core, space, to);
        shape_link(to->shape, to);
        return;
    }
    to->shape = shape;
    shape_replace(shape, from, to);
    id_remove(core, from);
    id_add(core, to);
    count(core, space, from, -1);
    count(core, space, to, 1);
    due_remove(&core->wall, &from->due_at);
    if (to->expires_ms != 0)
        due_add(&core->wall, to->expires_ms, &to->due_at, DUE_ITEM);
    from->gone = true;
    item_unref(from);
}
