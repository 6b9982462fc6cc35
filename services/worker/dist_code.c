#include "services/worker/dist_code.h"

#include <string.h>

/* Fields of Signals. */
enum {
    BATCH_SESSION = 1,
    BATCH_SEQUENCE = 2,
    BATCH_NODE = 3,
    BATCH_NODE_ID = 4,
    BATCH_URL = 5,
    BATCH_SIGNAL = 6,
};
/* Fields of Signal. */
enum {
    SIG_KIND = 1,
    SIG_FROM = 2,
    SIG_FROM_NODE = 3,
    SIG_TO = 4,
    SIG_NAME = 5,
    SIG_TEXT = 6,
    SIG_REASON = 7,
    SIG_CALL = 8,
    SIG_STATUS = 9,
    SIG_FLAGS = 10,
    SIG_TENANT = 11,
    SIG_NAMESPACE = 12,
    SIG_POST_KIND = 13,
    SIG_PRIORITY = 14,
    SIG_TAG = 15,
    SIG_PAYLOAD = 16,
    SIG_TTL = 17,
    SIG_ID = 18,
};
enum { FLAG_LINKED = 1, FLAG_MONITORED = 2, FLAG_HTTP = 4 };
enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

/* -- writing --------------------------------------------------------------- */

static size_t
varint_size(uint64_t value)
{
    return value == 0 ? 1 : (size_t)(70 - __builtin_clzll(value)) / 7;
}

static uint8_t *
varint_write(uint64_t value, uint8_t *at)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

static uint8_t *
tag_write(unsigned field, unsigned type, uint8_t *at)
{
    return varint_write((uint64_t)field << 3 | type, at);
}

/* Every writer leaves out what is 0 or "", as protobuf does. With `at` NULL
 * only the size counts. */
struct writer {
    uint8_t *at;
    size_t size;
};

static void
put_number(struct writer *w, unsigned field, uint64_t value)
{
    if (value == 0)
        return;
    w->size += varint_size((uint64_t)field << 3) + varint_size(value);
    if (w->at != NULL)
        w->at = varint_write(value, tag_write(field, WIRE_VARINT, w->at));
}

static void
put_fixed(struct writer *w, unsigned field, uint64_t value)
{
    if (value == 0)
        return;
    w->size += varint_size((uint64_t)field << 3) + 8;
    if (w->at == NULL)
        return;
    w->at = tag_write(field, WIRE_64, w->at);
    for (int i = 0; i < 8; i++)
        *w->at++ = (uint8_t)(value >> (8 * i));
}

static void
put_bytes(struct writer *w, unsigned field, const void *data, size_t len)
{
    if (len == 0)
        return;
    w->size += varint_size((uint64_t)field << 3) + varint_size(len) + len;
    if (w->at == NULL)
        return;
    w->at = varint_write(len, tag_write(field, WIRE_BYTES, w->at));
    memcpy(w->at, data, len);
    w->at += len;
}

static void
put_text(struct writer *w, unsigned field, const char *text)
{
    if (text != NULL)
        put_bytes(w, field, text, strlen(text));
}

static void
put_signal(struct writer *w, const struct rt_signal *s, uint64_t node)
{
    const struct plex_post *post = &s->post;

    put_number(w, SIG_KIND, s->kind);
    put_fixed(w, SIG_FROM, s->from.id);
    if (s->from.node != node)
        put_fixed(w, SIG_FROM_NODE, s->from.node);
    put_fixed(w, SIG_TO, s->to.id);
    put_text(w, SIG_NAME, s->name);
    put_text(w, SIG_TEXT, s->text);
    put_text(w, SIG_REASON, s->reason);
    put_number(w, SIG_CALL, s->call);
    put_number(w, SIG_STATUS,
               (uint64_t)(s->status < 0 ? -s->status : s->status));
    put_number(w, SIG_FLAGS,
               (s->linked ? FLAG_LINKED : 0U) |
                   (s->monitored ? FLAG_MONITORED : 0U) |
                   (s->is_http ? FLAG_HTTP : 0U));
    put_text(w, SIG_TENANT, s->where.tenant);
    put_text(w, SIG_NAMESPACE, s->where.ns);
    put_number(w, SIG_POST_KIND, post->kind);
    put_number(w, SIG_PRIORITY, post->priority);
    put_number(w, SIG_TAG, post->tag);
    put_bytes(w, SIG_PAYLOAD, post->payload, post->len);
    put_number(w, SIG_TTL, post->ttl_ms);
    put_number(w, SIG_ID, post->id);
}

static size_t
body_size(const struct rt_signal *signal, uint64_t node)
{
    struct writer sizing = {0};

    put_signal(&sizing, signal, node);
    return sizing.size;
}

size_t
work_signal_size(const struct rt_signal *signal, uint64_t node)
{
    const size_t body = body_size(signal, node);

    return body > WORK_SIGNAL_MAX ? 0 : 1 + varint_size(body) + body;
}

uint8_t *
work_signal_write(const struct rt_signal *signal, uint64_t node, uint8_t *out)
{
    struct writer w = {
        .at = varint_write(body_size(signal, node),
                           tag_write(BATCH_SIGNAL, WIRE_BYTES, out))};

    put_signal(&w, signal, node);
    return w.at;
}

size_t
work_batch_write(const struct work_batch *batch, uint8_t *out)
{
    struct writer w = {.at = out};

    put_number(&w, BATCH_SESSION, batch->session);
    put_number(&w, BATCH_SEQUENCE, batch->sequence);
    put_fixed(&w, BATCH_NODE, batch->node);
    put_text(&w, BATCH_NODE_ID, batch->node_id);
    put_text(&w, BATCH_URL, batch->url);
    return w.size;
}

/* -- reading --------------------------------------------------------------- */

struct field {
    unsigned number;
    unsigned type;
    uint64_t value; /* or the length of data */
    const uint8_t *data;
};

static bool
varint_read(const uint8_t **at, const uint8_t *end, uint64_t *out)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
        const uint8_t byte = *(*at)++;

        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return false;
}

static bool
field_read(const uint8_t **at, const uint8_t *end, struct field *out)
{
    uint64_t tag;

    if (!varint_read(at, end, &tag) || tag >> 3 == 0 || tag > UINT32_MAX)
        return false;
    out->number = (unsigned)(tag >> 3);
    out->type = tag & 7;
    out->data = NULL;
    switch (out->type) {
    case WIRE_VARINT:
        return varint_read(at, end, &out->value);
    case WIRE_64:
        if (end - *at < 8)
            return false;
        out->value = 0;
        for (int i = 0; i < 8; i++)
            out->value |= (uint64_t)(*at)[i] << (8 * i);
        *at += 8;
        return true;
    case WIRE_BYTES:
        if (!varint_read(at, end, &out->value) ||
            out->value > (uint64_t)(end - *at))
            return false;
        out->data = *at;
        *at += out->value;
        return true;
    default:
        return false;
    }
}

static enum plex_status
malformed(struct plex_err *err)
{
    return plex_err_set(err, PLEX_INVALID,
                        "a batch of signals is truncated or malformed");
}

/* Into the arena; NULL for what is no text, or where there is no room. */
static const char *
text_of(const struct field *field, struct plex_arena *arena)
{
    if (field->type != WIRE_BYTES ||
        memchr(field->data, 0, field->value) != NULL)
        return NULL;
    return plex_arena_strndup(arena, (const char *)field->data, field->value);
}

enum plex_status
work_batch_open(struct work_batch_reader *reader, struct plex_bytes in,
                uint64_t own_node, struct plex_arena *arena,
                struct plex_err *err)
{
    struct work_batch *batch = &reader->batch;

    *reader = (struct work_batch_reader){.at = in.data,
                                         .end = in.data + in.len,
                                         .to = own_node,
                                         .batch = {.node_id = "", .url = ""}};
    while (reader->at < reader->end) {
        const uint8_t *at = reader->at;
        struct field field;

        if (!field_read(&at, reader->end, &field))
            return malformed(err);
        if (field.number == BATCH_SIGNAL)
            break;
        reader->at = at;
        if (field.number == BATCH_SESSION)
            batch->session = field.value;
        else if (field.number == BATCH_SEQUENCE)
            batch->sequence = field.value;
        else if (field.number == BATCH_NODE)
            batch->node = field.value;
        else if (field.number == BATCH_NODE_ID)
            batch->node_id = text_of(&field, arena);
        else if (field.number == BATCH_URL)
            batch->url = text_of(&field, arena);
        if (batch->node_id == NULL || batch->url == NULL)
            return malformed(err);
    }
    if (batch->node == 0 || batch->session == 0 || batch->sequence == 0)
        return malformed(err);
    return PLEX_OK;
}

static bool
text_set(const struct field *field, struct plex_arena *arena, const char **out)
{
    *out = text_of(field, arena);
    return *out != NULL;
}

static bool
numbers_set(const struct field *field, struct rt_signal *out, uint64_t *to)
{
    const uint64_t value = field->value;

    if (field->type == WIRE_BYTES)
        return field->number > SIG_ID; /* not known to us, so not wrong */
    switch (field->number) {
    case SIG_KIND:
        out->kind = value <= RT_FOUND ? (enum rt_signal_kind)value : 0;
        return out->kind != 0;
    case SIG_FROM:
        out->from.id = value;
        return true;
    case SIG_FROM_NODE:
        out->from.node = value;
        return true;
    case SIG_TO:
        *to = value;
        return true;
    case SIG_CALL:
        out->call = value;
        return true;
    case SIG_STATUS:
        out->status = -(int)plex_status_from_wire((unsigned)value);
        return true;
    case SIG_FLAGS:
        out->linked = (value & FLAG_LINKED) != 0;
        out->monitored = (value & FLAG_MONITORED) != 0;
        out->is_http = (value & FLAG_HTTP) != 0;
        return true;
    case SIG_POST_KIND:
        out->post.kind = (uint32_t)value;
        return value <= PLEX_MSG_GROUP;
    case SIG_PRIORITY:
        out->post.priority = (uint32_t)value;
        return value <= PLEX_PRIORITY_SYSTEM;
    case SIG_TAG:
        out->post.tag = value;
        return true;
    case SIG_TTL:
        out->post.ttl_ms = value;
        return true;
    case SIG_ID:
        out->post.id = value;
        return true;
    default:
        return field->number > SIG_ID;
    }
}

static bool
field_set(const struct field *field, struct plex_arena *arena,
          struct rt_signal *out, uint64_t *to)
{
    switch (field->number) {
    case SIG_NAME:
        return text_set(field, arena, &out->name);
    case SIG_TEXT:
        return text_set(field, arena, &out->text);
    case SIG_REASON:
        return text_set(field, arena, &out->reason);
    case SIG_TENANT:
        return text_set(field, arena, &out->where.tenant);
    case SIG_NAMESPACE:
        return text_set(field, arena, &out->where.ns);
    case SIG_PAYLOAD:
        out->post.payload = field->data;
        out->post.len = field->value;
        return field->type == WIRE_BYTES;
    default:
        return numbers_set(field, out, to);
    }
}

enum plex_status
work_batch_next(struct work_batch_reader *reader, struct plex_arena *arena,
                struct rt_signal *out, bool *more, struct plex_err *err)
{
    struct field outer, field;
    const uint8_t *at, *end;
    uint64_t to = 0;

    *more = reader->at < reader->end;
    if (!*more)
        return PLEX_OK;
    if (!field_read(&reader->at, reader->end, &outer) ||
        outer.number != BATCH_SIGNAL || outer.type != WIRE_BYTES)
        return malformed(err);
    *out = (struct rt_signal){.from = {.node = reader->batch.node},
                              .where = {"", ""},
                              .name = "",
                              .text = "",
                              .reason = "",
                              .post = {.payload = ""}};
    at = outer.data;
    end = at + outer.value;
    while (at < end)
        if (!field_read(&at, end, &field) ||
            !field_set(&field, arena, out, &to))
            return malformed(err);
    if (out->kind == 0)
        return malformed(err);
    if (to != 0)
        out->to = (struct plex_ref){reader->to, to};
    if (out->from.id == 0)
        out->from.node = 0;
    return PLEX_OK;
}
