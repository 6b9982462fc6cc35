/* The compact form of values and of what else a state consists of. */
#include "common/mem.h"
#include "common/utf8.h"
#include "workflow/limits.h"
#include "workflow/value.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* On disk: never renumber. */
enum tag {
    TAG_NONE,
    TAG_NULL,
    TAG_TRUE,
    TAG_FALSE,
    TAG_INTEGER,
    TAG_REAL,
    TAG_TEXT,
    TAG_ARRAY,
    TAG_OBJECT,
    TAG_SHARED, /* the n-th container, counted from 0 as they began */
};

enum {
    READ_DEPTH_MAX = 2 * FLOW_DEPTH_MAX,
    READ_VALUE_MAX = FLOW_STATE_MAX,
};

/* Open addressing by pointer; a power of two, never more than half full. */
struct flow_seen {
    size_t count, cap;
    struct seen_slot {
        const json_t *value;
        size_t index;
    } * slots;
};

static void
put_bytes(struct flow_writer *w, const void *bytes, size_t len)
{
    uint8_t *out = w->full ? NULL : plex_buf_grow(w->buf, len);

    if (out == NULL)
        w->full = true;
    else if (len > 0)
        memcpy(out, bytes, len);
}

void
flow_put_u(struct flow_writer *w, uint64_t number)
{
    uint8_t bytes[10];
    size_t len = 0;

    while (number >= 0x80) {
        bytes[len++] = (uint8_t)(number | 0x80);
        number >>= 7;
    }
    bytes[len++] = (uint8_t)number;
    put_bytes(w, bytes, len);
}

void
flow_put_i(struct flow_writer *w, int64_t number)
{
    const uint64_t twice = (uint64_t)number << 1;

    flow_put_u(w, number < 0 ? ~twice : twice);
}

void
flow_put_text(struct flow_writer *w, const char *text)
{
    const size_t len = text != NULL ? strlen(text) : 0;

    flow_put_u(w, text != NULL ? len + 1 : 0);
    put_bytes(w, text != NULL ? text : "", len);
}

static size_t
slot_of(const struct flow_seen *seen, const json_t *value)
{
    const uint64_t hash = (uint64_t)(uintptr_t)value * 0x9E3779B97F4A7C15ULL;
    size_t at = (size_t)(hash >> 20) & (seen->cap - 1);

    while (seen->slots[at].value != NULL && seen->slots[at].value != value)
        at = (at + 1) & (seen->cap - 1);
    return at;
}

static void
seen_grow(struct flow_seen *seen)
{
    struct flow_seen larger = {.count = seen->count,
                               .cap = seen->cap ? 2 * seen->cap : 32};

    larger.slots = plex_calloc(larger.cap, sizeof *larger.slots);
    for (size_t i = 0; i < seen->cap; i++) {
        if (seen->slots[i].value != NULL)
            larger.slots[slot_of(&larger, seen->slots[i].value)] =
                seen->slots[i];
    }
    free(seen->slots);
    *seen = larger;
}

/* Was it written before? Then refer to that. */
static bool
put_shared(struct flow_writer *w, const json_t *value)
{
    struct flow_seen *seen = w->seen;
    size_t at;

    if (seen == NULL)
        seen = w->seen = plex_calloc(1, sizeof *seen);
    if (2 * (seen->count + 1) > seen->cap)
        seen_grow(seen);
    at = slot_of(seen, value);
    if (seen->slots[at].value == value) {
        flow_put_u(w, TAG_SHARED);
        flow_put_u(w, seen->slots[at].index);
        return true;
    }
    seen->slots[at] = (struct seen_slot){value, seen->count++};
    return false;
}

static void
put_real(struct flow_writer *w, double real)
{
    uint64_t bits;
    uint8_t bytes[8];

    memcpy(&bits, &real, sizeof bits);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(bits >> (8 * i));
    put_bytes(w, bytes, sizeof bytes);
}

static void
put_container(struct flow_writer *w, json_t *value)
{
    const char *key;
    json_t *item;
    size_t i;

    if (put_shared(w, value))
        return;
    if (json_is_array(value)) {
        flow_put_u(w, TAG_ARRAY);
        flow_put_u(w, json_array_size(value));
        json_array_foreach(value, i, item) flow_put_value(w, item);
        return;
    }
    flow_put_u(w, TAG_OBJECT);
    flow_put_u(w, json_object_size(value));
    json_object_foreach(value, key, item)
    {
        flow_put_text(w, key);
        flow_put_value(w, item);
    }
}

void
flow_put_value(struct flow_writer *w, json_t *value)
{
    if (value == NULL) {
        flow_put_u(w, TAG_NONE);
        return;
    }
    switch (json_typeof(value)) {
    case JSON_NULL:
        flow_put_u(w, TAG_NULL);
        break;
    case JSON_TRUE:
        flow_put_u(w, TAG_TRUE);
        break;
    case JSON_FALSE:
        flow_put_u(w, TAG_FALSE);
        break;
    case JSON_INTEGER:
        flow_put_u(w, TAG_INTEGER);
        flow_put_i(w, json_integer_value(value));
        break;
    case JSON_REAL:
        flow_put_u(w, TAG_REAL);
        put_real(w, json_real_value(value));
        break;
    case JSON_STRING:
        flow_put_u(w, TAG_TEXT);
        flow_put_u(w, json_string_length(value));
        put_bytes(w, json_string_value(value), json_string_length(value));
        break;
    default:
        put_container(w, value);
    }
}

void
flow_writer_fini(struct flow_writer *w)
{
    if (w->seen != NULL)
        free(w->seen->slots);
    free(w->seen);
    w->seen = NULL;
}

/* -- reading ------------------------------------------------------------------
 */

struct flow_found {
    size_t count, cap;
    struct found_one {
        json_t *value; /* a reference */
        size_t size;   /* written out in full; SIZE_MAX while being read */
    } * list;
};

uint64_t
flow_get_u(struct flow_reader *r)
{
    uint64_t number = 0;
    unsigned shift = 0;

    while (!r->bad && r->at < r->end && shift < 64) {
        const uint8_t byte = *r->at++;

        if (shift == 63 && byte > 1)
            break;
        number |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return number;
        shift += 7;
    }
    r->bad = true;
    return 0;
}

uint64_t
flow_get_max(struct flow_reader *r, uint64_t max)
{
    const uint64_t number = flow_get_u(r);

    if (number > max)
        r->bad = true;
    return r->bad ? 0 : number;
}

int64_t
flow_get_i(struct flow_reader *r)
{
    const uint64_t twice = flow_get_u(r);

    return (int64_t)(twice >> 1) ^ -(int64_t)(twice & 1);
}

/* `len` bytes that are there, valid UTF-8 and free of NUL; or NULL. */
static const char *
get_bytes(struct flow_reader *r, size_t len)
{
    const char *bytes = (const char *)r->at;

    if (r->bad || len > (size_t)(r->end - r->at) ||
        memchr(bytes, 0, len) != NULL || !plex_utf8_valid(r->at, len)) {
        r->bad = true;
        return NULL;
    }
    r->at += len;
    return bytes;
}

char *
flow_get_text(struct flow_reader *r, size_t max)
{
    const uint64_t more = flow_get_max(r, (uint64_t)max + 1);
    const char *bytes;
    char *text;

    if (r->bad || more == 0)
        return NULL;
    bytes = get_bytes(r, (size_t)more - 1);
    if (bytes == NULL)
        return NULL;
    text = plex_calloc(1, (size_t)more);
    memcpy(text, bytes, (size_t)more - 1);
    return text;
}

static size_t
found_add(struct flow_reader *r, json_t *value)
{
    struct flow_found *found = r->found;

    if (found == NULL)
        found = r->found = plex_calloc(1, sizeof *found);
    if (found->count == found->cap) {
        found->cap = found->cap ? 2 * found->cap : 16;
        found->list =
            plex_reallocarray(found->list, found->cap, sizeof *found->list);
    }
    found->list[found->count] =
        (struct found_one){json_incref(value), SIZE_MAX};
    return found->count++;
}

static json_t *get_at(struct flow_reader *r, unsigned depth, size_t *size);

static json_t *
get_shared(struct flow_reader *r, size_t *size)
{
    const uint64_t index = flow_get_u(r);
    const struct found_one *one;

    if (r->bad || r->found == NULL || index >= r->found->count) {
        r->bad = true;
        return NULL;
    }
    one = &r->found->list[index];
    if (one->size == SIZE_MAX || one->size > READ_VALUE_MAX) {
        r->bad = true; /* inside itself */
        return NULL;
    }
    *size += one->size;
    return json_incref(one->value);
}

static void
get_members(struct flow_reader *r, json_t *object, uint64_t count,
            unsigned depth, size_t *size)
{
    for (uint64_t i = 0; i < count && !r->bad; i++) {
        char *key = flow_get_text(r, FLOW_VALUE_MAX);
        json_t *item = key != NULL ? get_at(r, depth + 1, size) : NULL;

        if (item == NULL || json_object_get(object, key) != NULL ||
            json_object_set(object, key, item) != 0)
            r->bad = true;
        else
            *size += strlen(key);
        json_decref(item);
        free(key);
    }
}

static json_t *
get_container(struct flow_reader *r, bool is_array, unsigned depth,
              size_t *size)
{
    /* Every item takes a byte at least. */
    const uint64_t count = flow_get_max(r, (uint64_t)(r->end - r->at));
    json_t *value = is_array ? json_array() : json_object();
    const size_t index = found_add(r, value);
    size_t own = 2;

    if (depth > READ_DEPTH_MAX)
        r->bad = true;
    if (is_array) {
        for (uint64_t i = 0; i < count && !r->bad; i++) {
            json_t *item = get_at(r, depth + 1, &own);

            if (item == NULL || json_array_append_new(value, item) != 0)
                r->bad = true;
        }
    } else {
        get_members(r, value, count, depth, &own);
    }
    r->found->list[index].size = own;
    *size += own;
    return value;
}

static json_t *
get_real(struct flow_reader *r)
{
    uint64_t bits = 0;
    double real;

    if (r->end - r->at < 8) {
        r->bad = true;
        return NULL;
    }
    for (unsigned i = 0; i < 8; i++)
        bits |= (uint64_t)*r->at++ << (8 * i);
    memcpy(&real, &bits, sizeof real);
    if (!isfinite(real)) {
        r->bad = true;
        return NULL;
    }
    return json_real(real);
}

static json_t *
get_string(struct flow_reader *r, size_t *size)
{
    const size_t len = (size_t)flow_get_max(r, (uint64_t)(r->end - r->at));
    const char *bytes = get_bytes(r, len);

    *size += len;
    return bytes != NULL ? json_stringn(bytes, len) : NULL;
}

/* NULL: there is none, or the reader is bad. */
static json_t *
get_at(struct flow_reader *r, unsigned depth, size_t *size)
{
    const uint64_t tag = flow_get_max(r, TAG_SHARED);
    json_t *value = NULL;

    *size += 1;
    if (r->bad || tag == TAG_NONE)
        return NULL;
    if (tag == TAG_NULL)
        value = json_null();
    else if (tag == TAG_TRUE || tag == TAG_FALSE)
        value = json_boolean(tag == TAG_TRUE);
    else if (tag == TAG_INTEGER)
        value = json_integer(flow_get_i(r));
    else if (tag == TAG_REAL)
        value = get_real(r);
    else if (tag == TAG_TEXT)
        value = get_string(r, size);
    else if (tag == TAG_SHARED)
        value = get_shared(r, size);
    else
        value = get_container(r, tag == TAG_ARRAY, depth, size);
    if (value == NULL || *size > READ_VALUE_MAX)
        r->bad = true;
    return value;
}

json_t *
flow_get_value(struct flow_reader *r)
{
    size_t size = 0;
    json_t *value = get_at(r, 0, &size);

    if (r->bad) {
        json_decref(value);
        return NULL;
    }
    return value;
}

void
flow_reader_fini(struct flow_reader *r)
{
    if (r->found != NULL) {
        for (size_t i = 0; i < r->found->count; i++)
            json_decref(r->found->list[i].value);
        free(r->found->list);
    }
    free(r->found);
    r->found = NULL;
}
