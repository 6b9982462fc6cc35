#ifndef SERVICES_TUPLESPACE_ENGINE_BITS_H
#define SERVICES_TUPLESPACE_ENGINE_BITS_H

/* What only the engine's own files share about values. */

#include "services/tuplespace/engine/tuple.h"

#include <string.h>

/* Check, and how many bytes it will be. `depth` is 1 for an outer tuple. */
PLEX_MUST_USE enum plex_status tspace_packed_size(
    const struct tspace_value *fields, uint32_t n_fields, unsigned depth,
    uint64_t *size, struct plex_err *err);
/* Check one value of a tuple at `depth`, and how many bytes it has besides its
 * slot. */
PLEX_MUST_USE enum plex_status tspace_value_size(
    const struct tspace_value *value, unsigned depth, uint64_t *size,
    struct plex_err *err);
/* Pack what was checked; returns the bytes written. */
uint32_t tspace_pack_into(const struct tspace_value *fields, uint32_t n_fields,
                          uint8_t *out);

/* As tspace_value_compare, but an integer may equal a double. */
int tspace_value_worth(const struct tspace_value *a,
                       const struct tspace_value *b);

/* -- reading what was checked, on the hot paths ---------------------------- */

static inline uint32_t
packed_fields(const uint8_t *packed)
{
    uint16_t count;

    memcpy(&count, packed + 2, sizeof count);
    return count;
}

static inline uint32_t
packed_slots(uint32_t n_fields)
{
    return 8 + ((n_fields + 7) & ~7u);
}

static inline void
packed_get(const uint8_t *packed, uint32_t field, struct tspace_value *out)
{
    const uint8_t *slot =
        packed + packed_slots(packed_fields(packed)) + (size_t)field * 8;
    uint32_t place[2];

    out->type = packed[8 + field];
    out->n_fields = 0;
    out->fields = NULL;
    memcpy(&out->integer, slot, 8);
    memcpy(&out->real, slot, 8);
    memcpy(place, slot, 8);
    if (out->type == TSPACE_STRING || out->type == TSPACE_BINARY ||
        out->type == TSPACE_TUPLE)
        out->bytes = (struct plex_bytes){packed + place[0], place[1]};
    else
        out->bytes = (struct plex_bytes){NULL, 0};
}

/* A product of 128 bits folded into 64. The constants keep it from being 0 for
 * all values of one side. */
static inline uint64_t
tspace_fold(uint64_t a, uint64_t b)
{
    const unsigned __int128 product =
        (unsigned __int128)(a ^ 0x9e3779b97f4a7c15ull) *
        (b ^ 0xbf58476d1ce4e5b9ull);

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t
tspace_mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ull;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ull;
    return x ^ (x >> 32);
}

static inline uint64_t
tspace_integer_hash(int64_t integer, uint64_t seed)
{
    return tspace_mix(seed ^ (uint64_t)TSPACE_INTEGER << 56 ^
                      (uint64_t)integer);
}

#endif
