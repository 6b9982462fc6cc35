#include "services/tuplespace/engine/record.h"

/* -- writing: a buffer that overflowed has max 0 --------------------------- */

static void
put(struct plex_buf *out, const void *data, size_t len)
{
    uint8_t *room = plex_buf_grow(out, len);

    if (room == NULL)
        out->max = 0;
    else if (len > 0)
        memcpy(room, data, len);
}

static void
put_u8(struct plex_buf *out, unsigned value)
{
    const uint8_t byte = (uint8_t)value;

    put(out, &byte, 1);
}

static void
put_u32(struct plex_buf *out, uint32_t value)
{
    put(out, &value, sizeof value);
}

static void
put_u64(struct plex_buf *out, uint64_t value)
{
    put(out, &value, sizeof value);
}

static void
put_bytes(struct plex_buf *out, struct plex_bytes bytes)
{
    put_u32(out, (uint32_t)bytes.len);
    put(out, bytes.data, bytes.len);
}

static void
put_item(struct plex_buf *out, const struct item *item)
{
    put_u64(out, item->id);
    put_bytes(out, (struct plex_bytes){(const uint8_t *)&item->written_ms,
                                       item->body_bytes});
}

void
record_put_request(struct plex_buf *out, const struct request *request)
{
    const struct tspace_answer *answer = &request->answer->pub;

    put_u8(out, RECORD_VERSION);
    put_u8(out, request->outcome);
    put_u8(out, answer->is_write);
    put_u64(out, request->expires_ms);
    put_u64(out, request->fingerprint);
    put_u64(out, answer->first_id);
    put_u64(out, answer->number);
    put_u64(out, answer->cursor);
    put_u32(out, answer->n);
    if (!answer->is_write)
        for (uint32_t i = 0; i < answer->n; i++)
            put_item(out, request->answer->items[i]);
}

void
record_put_options(struct plex_buf *out, const struct tspace_options *options)
{
    put_u8(out, RECORD_VERSION);
    put_u64(out, options->tuples_max);
    put_u64(out, options->bytes_max);
    put_u32(out, options->waiters_max);
    put_u64(out, options->default_ttl_ms);
    put_u32(out, options->partition_field);
    put_u32(out, options->n_indexes);
    for (uint32_t i = 0; i < options->n_indexes; i++) {
        put_u32(out, options->indexes[i].fields);
        put_u64(out, options->indexes[i].exact);
        put_u64(out, options->indexes[i].types);
        put_u32(out, options->indexes[i].ordered);
    }
}

void
record_put_tx(struct plex_buf *out, const struct tx *tx)
{
    const struct tx_entry *entry;

    put_u8(out, RECORD_VERSION);
    put_u32(out, tx->n_entries);
    TAILQ_FOREACH(entry, &tx->entries, of_tx)
    {
        const char *space = entry->item->shape->space->where.space;

        put_u8(out, entry->kind);
        if (entry->kind != ENTRY_WRITTEN) {
            put_u64(out, entry->item->id);
            continue;
        }
        put_bytes(out,
                  (struct plex_bytes){(const uint8_t *)space, strlen(space)});
        put_item(out, entry->item);
    }
}

void
record_put_claim(struct plex_buf *out, const struct claim *claim)
{
    put_u8(out, RECORD_VERSION);
    put_u8(out, RECORD_CLAIM_TERMS);
    put_u64(out, claim->expires_ms);
}

void
record_put_member(struct plex_buf *out)
{
    put_u8(out, RECORD_VERSION);
    put_u8(out, RECORD_CLAIM_MEMBER);
}

void
record_put_subscription(struct plex_buf *out,
                        const struct subscription *subscription)
{
    struct plex_buf template = {.max = 4 * TSPACE_TUPLE_MAX};
    struct plex_err err;

    if (tspace_template_pack(subscription->listener.template, &template,
                             &err) != PLEX_OK)
        template.len = 0;
    put_u8(out, RECORD_VERSION);
    put_u8(out, subscription->events);
    put_u8(out, subscription->guaranteed);
    put_u64(out, subscription->expires_ms);
    put_u64(out, subscription->acknowledged);
    put_bytes(out, subscription->target);
    put_bytes(out, (struct plex_bytes){template.data, template.len});
    plex_buf_free(&template);
}

void
record_put_event(struct plex_buf *out, const struct event *event)
{
    put_u8(out, RECORD_VERSION);
    put_u8(out, event->kind);
    put_u64(out, event->lost);
    put_item(out, event->item);
}

/* -- reading --------------------------------------------------------------- */

static void
get(struct record_reader *reader, void *out, size_t len)
{
    memset(out, 0, len);
    if (reader->left < len) {
        reader->bad = true;
        reader->left = 0;
        return;
    }
    memcpy(out, reader->at, len);
    reader->at += len;
    reader->left -= len;
}

uint8_t
record_u8(struct record_reader *reader)
{
    uint8_t value;

    get(reader, &value, sizeof value);
    return value;
}

uint32_t
record_u32(struct record_reader *reader)
{
    uint32_t value;

    get(reader, &value, sizeof value);
    return value;
}

uint64_t
record_u64(struct record_reader *reader)
{
    uint64_t value;

    get(reader, &value, sizeof value);
    return value;
}

struct plex_bytes
record_bytes(struct record_reader *reader)
{
    const uint32_t len = record_u32(reader);
    struct plex_bytes bytes = {reader->at, len};

    if (len > reader->left) {
        reader->bad = true;
        reader->left = 0;
        return (struct plex_bytes){NULL, 0};
    }
    reader->at += len;
    reader->left -= len;
    return bytes;
}

/* What follows the packed tuple: nothing, or owner and metadata. */
static bool
text_get(struct plex_bytes tail, struct lease_text *text)
{
    size_t owner, meta;

    *text = (struct lease_text){{NULL, 0}, {NULL, 0}};
    if (tail.len == 0)
        return true;
    owner = tail.data[0];
    if (tail.len < 3 + owner)
        return false;
    meta = (size_t)tail.data[1 + owner] | (size_t)tail.data[2 + owner] << 8;
    if (tail.len != 3 + owner + meta || meta > TSPACE_META_MAX ||
        owner + meta == 0)
        return false;
    text->owner = (struct plex_bytes){tail.data + 1, owner};
    text->meta = (struct plex_bytes){tail.data + 3 + owner, meta};
    return true;
}

struct item *
record_body(struct tspace_core *core, uint64_t id, struct plex_bytes body)
{
    struct plex_bytes packed, tail;
    struct lease_text text;
    struct item *item;
    struct plex_err err;
    uint64_t times[2];

    if (id == 0 || body.len < sizeof times + 8)
        return NULL;
    memcpy(times, body.data, sizeof times);
    packed.data = body.data + sizeof times;
    packed.len = tspace_packed_length(packed.data);
    if (packed.len > body.len - sizeof times ||
        tspace_packed_check(packed, &err) != PLEX_OK)
        return NULL;
    tail.data = packed.data + packed.len;
    tail.len = body.len - sizeof times - packed.len;
    if (!text_get(tail, &text))
        return NULL;
    item = item_make(core, packed, times[1], &text);
    item->written_ms = times[0];
    item->id = id;
    return item;
}

struct item *
record_item(struct tspace_core *core, struct record_reader *reader)
{
    const uint64_t id = record_u64(reader);
    struct item *item = record_body(core, id, record_bytes(reader));

    if (item == NULL)
        reader->bad = true;
    return item;
}
