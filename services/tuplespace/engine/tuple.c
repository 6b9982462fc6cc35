#include "services/tuplespace/engine/tuple.h"

#include "common/utf8.h"
#include "services/tuplespace/engine/bits.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { HEADER_BYTES = 8, SLOT_BYTES = 8 };

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "packed tuples are little endian and read in place");

static uint32_t
slots_at(uint32_t n_fields)
{
    return HEADER_BYTES + ((n_fields + 7) & ~7u);
}

static uint32_t
heap_at(uint32_t n_fields)
{
    return slots_at(n_fields) + n_fields * SLOT_BYTES;
}

static uint32_t
u32_at(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof value);
    return value;
}

static uint64_t
u64_at(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof value);
    return value;
}

static bool
has_bytes(enum tspace_type type)
{
    return type == TSPACE_STRING || type == TSPACE_BINARY ||
           type == TSPACE_TUPLE;
}

/* -- packing --------------------------------------------------------------- */

static enum plex_status packed_check(struct plex_bytes packed, unsigned depth,
                                     struct plex_err *err);

/* Most strings are short and ASCII. */
static bool
is_ascii(struct plex_bytes bytes)
{
    uint64_t word, seen = 0;
    size_t at = 0;

    for (; at + 8 <= bytes.len; at += 8) {
        memcpy(&word, bytes.data + at, 8);
        seen |= word;
    }
    for (; at < bytes.len; at++)
        seen |= bytes.data[at];
    return (seen & 0x8080808080808080ull) == 0;
}

static enum plex_status
utf8_check(struct plex_bytes bytes, struct plex_err *err)
{
    if (!is_ascii(bytes) && !plex_utf8_valid(bytes.data, bytes.len))
        return plex_err_set(err, PLEX_INVALID, "the string is not valid UTF-8");
    return PLEX_OK;
}

enum plex_status
tspace_value_size(const struct tspace_value *value, unsigned depth,
                  uint64_t *size, struct plex_err *err)
{
    *size = 0;
    switch (value->type) {
    case TSPACE_INTEGER:
    case TSPACE_NULL:
        return PLEX_OK;
    case TSPACE_BOOLEAN:
        if (value->integer != 0 && value->integer != 1)
            return plex_err_set(err, PLEX_INVALID,
                                "a boolean is 0 or 1, not %lld",
                                (long long)value->integer);
        return PLEX_OK;
    case TSPACE_FLOAT:
        if (isnan(value->real))
            return plex_err_set(err, PLEX_INVALID,
                                "NaN equals nothing and is no field");
        return PLEX_OK;
    case TSPACE_STRING:
        *size = value->bytes.len;
        return utf8_check(value->bytes, err);
    case TSPACE_BINARY:
        *size = value->bytes.len;
        return PLEX_OK;
    case TSPACE_TUPLE:
        if (value->fields != NULL)
            return tspace_packed_size(value->fields, value->n_fields, depth + 1,
                                      size, err);
        *size = value->bytes.len;
        return packed_check(value->bytes, depth + 1, err);
    }
    return plex_err_set(err, PLEX_INVALID, "%d is no type of field",
                        (int)value->type);
}

static enum plex_status
shape_check(uint32_t n_fields, unsigned depth, struct plex_err *err)
{
    if (depth > TSPACE_DEPTH_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "tuples may be nested %d deep, no deeper",
                            TSPACE_DEPTH_MAX);
    if (n_fields < 1 || n_fields > TSPACE_FIELDS_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "a tuple has 1 to %d fields, not %u",
                            TSPACE_FIELDS_MAX, n_fields);
    return PLEX_OK;
}

enum plex_status
tspace_packed_size(const struct tspace_value *fields, uint32_t n_fields,
                   unsigned depth, uint64_t *size, struct plex_err *err)
{
    uint64_t total;

    if (shape_check(n_fields, depth, err) != PLEX_OK)
        return err->status;
    total = heap_at(n_fields);
    for (uint32_t i = 0; i < n_fields; i++) {
        uint64_t bytes;

        if (tspace_value_size(&fields[i], depth, &bytes, err) != PLEX_OK)
            return plex_err_wrap(err, "field %u", i + 1);
        total += bytes;
        if (total > TSPACE_TUPLE_MAX)
            return plex_err_set(err, PLEX_TOO_LARGE,
                                "a tuple has at most %d bytes",
                                TSPACE_TUPLE_MAX);
    }
    *size = total;
    return PLEX_OK;
}

uint32_t
tspace_pack_into(const struct tspace_value *fields, uint32_t n_fields,
                 uint8_t *out)
{
    const uint16_t count = (uint16_t)n_fields;
    uint8_t *slot = out + slots_at(n_fields);
    uint32_t heap = heap_at(n_fields);

    memset(out, 0, heap);
    out[0] = TSPACE_PACK_VERSION;
    memcpy(out + 2, &count, sizeof count);
    for (uint32_t i = 0; i < n_fields; i++, slot += SLOT_BYTES) {
        const struct tspace_value *value = &fields[i];

        out[HEADER_BYTES + i] = (uint8_t)value->type;
        if (has_bytes(value->type)) {
            uint32_t len = (uint32_t)value->bytes.len;

            if (value->type == TSPACE_TUPLE && value->fields != NULL)
                len = tspace_pack_into(value->fields, value->n_fields,
                                       out + heap);
            else if (len > 0)
                memcpy(out + heap, value->bytes.data, len);
            memcpy(slot, &heap, 4);
            memcpy(slot + 4, &len, 4);
            heap += len;
        } else if (value->type == TSPACE_FLOAT) {
            memcpy(slot, &value->real, 8);
        } else if (value->type != TSPACE_NULL) {
            memcpy(slot, &value->integer, 8);
        }
    }
    memcpy(out + 4, &heap, 4);
    return heap;
}

enum plex_status
tspace_pack(const struct tspace_value *fields, uint32_t n_fields,
            struct plex_buf *out, struct plex_err *err)
{
    uint64_t size;
    uint8_t *room;

    if (tspace_packed_size(fields, n_fields, 1, &size, err) != PLEX_OK)
        return err->status;
    room = plex_buf_grow(out, size);
    if (room == NULL)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "the tuples together are over %zu bytes", out->max);
    tspace_pack_into(fields, n_fields, room);
    return PLEX_OK;
}

/* -- checking -------------------------------------------------------------- */

/* Field `i` of bytes whose slots are all there; *heap is where its bytes, if
 * it has any, must be. */
static enum plex_status
field_check(struct plex_bytes packed, uint32_t i, unsigned depth,
            uint32_t *heap, struct plex_err *err)
{
    const enum tspace_type type = packed.data[HEADER_BYTES + i];
    const uint8_t *slot = packed.data +
                          slots_at(tspace_packed_fields(packed.data)) +
                          (size_t)i * SLOT_BYTES;
    struct plex_bytes bytes;
    double real;

    switch (type) {
    case TSPACE_INTEGER:
        return PLEX_OK;
    case TSPACE_FLOAT:
        memcpy(&real, slot, 8);
        if (isnan(real))
            return plex_err_set(err, PLEX_INVALID,
                                "NaN equals nothing and is no field");
        return PLEX_OK;
    case TSPACE_BOOLEAN:
    case TSPACE_NULL:
        if (u64_at(slot) > (type == TSPACE_BOOLEAN))
            return plex_err_set(err, PLEX_INVALID, "the slot is not canonical");
        return PLEX_OK;
    case TSPACE_STRING:
    case TSPACE_BINARY:
    case TSPACE_TUPLE:
        break;
    default:
        return plex_err_set(err, PLEX_INVALID, "%d is no type of field",
                            (int)type);
    }
    bytes.len = u32_at(slot + 4);
    if (u32_at(slot) != *heap || bytes.len > packed.len - *heap)
        return plex_err_set(err, PLEX_INVALID,
                            "the field's bytes are not where they belong");
    bytes.data = packed.data + *heap;
    *heap += (uint32_t)bytes.len;
    if (type == TSPACE_STRING)
        return utf8_check(bytes, err);
    return type == TSPACE_TUPLE ? packed_check(bytes, depth + 1, err) : PLEX_OK;
}

static enum plex_status
packed_check(struct plex_bytes packed, unsigned depth, struct plex_err *err)
{
    uint32_t n, heap;

    if (packed.len < HEADER_BYTES)
        return plex_err_set(err, PLEX_INVALID, "the packed tuple is cut short");
    if (packed.data[0] != TSPACE_PACK_VERSION || packed.data[1] != 0)
        return plex_err_set(err, PLEX_INVALID,
                            "packed tuples of version %d.%d are not known",
                            packed.data[0], packed.data[1]);
    if (packed.len > TSPACE_TUPLE_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE, "a tuple has at most %d bytes",
                            TSPACE_TUPLE_MAX);
    n = tspace_packed_fields(packed.data);
    if (shape_check(n, depth, err) != PLEX_OK)
        return err->status;
    heap = heap_at(n);
    if (packed.len < heap || tspace_packed_length(packed.data) != packed.len)
        return plex_err_set(err, PLEX_INVALID,
                            "the packed tuple's length is not its length");
    for (uint32_t i = HEADER_BYTES + n; i < slots_at(n); i++)
        if (packed.data[i] != 0)
            return plex_err_set(err, PLEX_INVALID, "the padding is not zero");
    for (uint32_t i = 0; i < n; i++)
        if (field_check(packed, i, depth, &heap, err) != PLEX_OK)
            return plex_err_wrap(err, "field %u", i + 1);
    if (heap != packed.len)
        return plex_err_set(err, PLEX_INVALID,
                            "the packed tuple has bytes that no field has");
    return PLEX_OK;
}

enum plex_status
tspace_packed_check(struct plex_bytes packed, struct plex_err *err)
{
    return packed_check(packed, 1, err);
}

/* -- reading --------------------------------------------------------------- */

uint32_t
tspace_packed_length(const uint8_t *packed)
{
    return u32_at(packed + 4);
}

uint32_t
tspace_packed_fields(const uint8_t *packed)
{
    uint16_t count;

    memcpy(&count, packed + 2, sizeof count);
    return count;
}

enum tspace_type
tspace_packed_type(const uint8_t *packed, uint32_t field)
{
    return packed[HEADER_BYTES + field];
}

void
tspace_packed_get(const uint8_t *packed, uint32_t field,
                  struct tspace_value *out)
{
    packed_get(packed, field, out);
}
