/* Equality, order and hashes of values. */
#include "services/tuplespace/engine/bits.h"

#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum tspace_class
tspace_type_class(enum tspace_type type)
{
    switch (type) {
    case TSPACE_NULL:
        return TSPACE_CLASS_NULL;
    case TSPACE_BOOLEAN:
        return TSPACE_CLASS_BOOLEAN;
    case TSPACE_INTEGER:
    case TSPACE_FLOAT:
        return TSPACE_CLASS_NUMBER;
    case TSPACE_STRING:
        return TSPACE_CLASS_STRING;
    case TSPACE_BINARY:
        return TSPACE_CLASS_BINARY;
    case TSPACE_TUPLE:
        break;
    }
    return TSPACE_CLASS_TUPLE;
}

static bool
packed_equal(const uint8_t *a, const uint8_t *b)
{
    const uint32_t n = packed_fields(a);
    struct tspace_value x, y;

    if (tspace_packed_length(a) != tspace_packed_length(b) ||
        packed_fields(b) != n)
        return false;
    if (memcmp(a, b, tspace_packed_length(a)) == 0)
        return true;
    for (uint32_t i = 0; i < n; i++) {
        packed_get(a, i, &x);
        packed_get(b, i, &y);
        if (!tspace_value_equal(&x, &y))
            return false;
    }
    return true;
}

bool
tspace_value_equal(const struct tspace_value *a, const struct tspace_value *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case TSPACE_NULL:
        return true;
    case TSPACE_INTEGER:
    case TSPACE_BOOLEAN:
        return a->integer == b->integer;
    case TSPACE_FLOAT:
        return a->real >= b->real && a->real <= b->real;
    case TSPACE_STRING:
    case TSPACE_BINARY:
        return a->bytes.len == b->bytes.len &&
               (a->bytes.len == 0 ||
                memcmp(a->bytes.data, b->bytes.data, a->bytes.len) == 0);
    case TSPACE_TUPLE:
        break;
    }
    return packed_equal(a->bytes.data, b->bytes.data);
}

/* -- order ----------------------------------------------------------------- */

static uint64_t
real_order(double real)
{
    uint64_t bits;

    real += 0.0; /* -0.0 becomes 0.0 */
    memcpy(&bits, &real, sizeof bits);
    return bits >> 63 ? ~bits : bits | 1ull << 63;
}

/* An integer is its nearest double and the rest to it, which makes integers
 * and doubles comparable without loss. */
static struct tspace_key
number_key(const struct tspace_value *value)
{
    struct tspace_key key = {0, 1ull << 63};
    double real = value->real;

    if (value->type == TSPACE_INTEGER) {
        real = (double)value->integer;
        key.low +=
            (uint64_t)(int64_t)((__int128)value->integer - (__int128)real);
    }
    key.high = real_order(real);
    return key;
}

static uint64_t
bytes_order(const uint8_t *data, size_t len)
{
    uint64_t word = 0;

    if (len > 0)
        memcpy(&word, data, len < 8 ? len : 8);
    return __builtin_bswap64(word);
}

struct tspace_key
tspace_value_key(const struct tspace_value *value)
{
    const struct plex_bytes bytes = value->bytes;

    switch (tspace_type_class(value->type)) {
    case TSPACE_CLASS_NUMBER:
        return number_key(value);
    case TSPACE_CLASS_BOOLEAN:
        return (struct tspace_key){(uint64_t)value->integer, 0};
    case TSPACE_CLASS_STRING:
    case TSPACE_CLASS_BINARY:
        return (struct tspace_key){
            bytes_order(bytes.data, bytes.len),
            bytes.len > 8 ? bytes_order(bytes.data + 8, bytes.len - 8) : 0,
        };
    default:
        return (struct tspace_key){0, 0};
    }
}

static int
sign(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int
bytes_compare(struct plex_bytes a, struct plex_bytes b)
{
    const size_t len = a.len < b.len ? a.len : b.len;
    const int order = len > 0 ? memcmp(a.data, b.data, len) : 0;

    return order != 0 ? order : sign(a.len, b.len);
}

static int
packed_compare(const uint8_t *a, const uint8_t *b)
{
    const uint32_t n_a = packed_fields(a), n_b = packed_fields(b);
    struct tspace_value x, y;

    for (uint32_t i = 0; i < n_a && i < n_b; i++) {
        packed_get(a, i, &x);
        packed_get(b, i, &y);
        const int order = tspace_value_compare(&x, &y);

        if (order != 0)
            return order;
    }
    return sign(n_a, n_b);
}

int
tspace_value_worth(const struct tspace_value *a, const struct tspace_value *b)
{
    const enum tspace_class class = tspace_type_class(a->type);
    const enum tspace_class other = tspace_type_class(b->type);
    struct tspace_key x, y;

    if (a->type == TSPACE_INTEGER && b->type == TSPACE_INTEGER)
        return (a->integer > b->integer) - (a->integer < b->integer);
    if (class != other)
        return class < other ? -1 : 1;
    if (class == TSPACE_CLASS_STRING || class == TSPACE_CLASS_BINARY)
        return bytes_compare(a->bytes, b->bytes);
    if (class == TSPACE_CLASS_TUPLE)
        return packed_compare(a->bytes.data, b->bytes.data);
    x = tspace_value_key(a);
    y = tspace_value_key(b);
    return x.high != y.high ? sign(x.high, y.high) : sign(x.low, y.low);
}

int
tspace_value_compare(const struct tspace_value *a, const struct tspace_value *b)
{
    const int order = tspace_value_worth(a, b);

    return order != 0 ? order : (a->type > b->type) - (a->type < b->type);
}

/* -- hash ------------------------------------------------------------------ */

/* Short strings are most of them: two words that cover all their bytes. */
static uint64_t
short_hash(const uint8_t *data, size_t len, uint64_t seed)
{
    uint64_t first = 0, last = 0;
    uint32_t half;

    if (len >= 8) {
        memcpy(&first, data, 8);
        memcpy(&last, data + len - 8, 8);
    } else if (len >= 4) {
        memcpy(&half, data, 4);
        first = half;
        memcpy(&half, data + len - 4, 4);
        last = half;
    } else if (len > 0) {
        first = data[0] | (uint64_t)data[len / 2] << 8 |
                (uint64_t)data[len - 1] << 16;
    }
    return tspace_fold(first ^ seed,
                       last ^ (seed >> 32 | seed << 32) ^ len << 56) ^
           seed;
}

uint64_t
tspace_value_hash(const struct tspace_value *value, uint64_t seed)
{
    struct tspace_value field;
    uint64_t hash = seed ^ (uint64_t)value->type << 56;

    switch (value->type) {
    case TSPACE_NULL:
        return tspace_mix(hash);
    case TSPACE_INTEGER:
    case TSPACE_BOOLEAN:
        return tspace_mix(hash ^ (uint64_t)value->integer);
    case TSPACE_FLOAT:
        return tspace_mix(hash ^ real_order(value->real));
    case TSPACE_STRING:
    case TSPACE_BINARY:
        if (value->bytes.len <= 16)
            return short_hash(value->bytes.data, value->bytes.len, hash);
        return XXH3_64bits_withSeed(value->bytes.data, value->bytes.len, hash);
    case TSPACE_TUPLE:
        break;
    }
    for (uint32_t i = 0; i < packed_fields(value->bytes.data); i++) {
        packed_get(value->bytes.data, i, &field);
        hash = tspace_mix(hash + tspace_value_hash(&field, seed));
    }
    return hash;
}
