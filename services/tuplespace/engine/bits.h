#ifndef SERVICES_TUPLESPACE_ENGINE_BITS_H
#define SERVICES_TUPLESPACE_ENGINE_BITS_H

/* What only the engine's own files share about values. */

#include "services/tuplespace/engine/tuple.h"

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

static inline uint64_t
tspace_mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ull;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ull;
    return x ^ (x >> 32);
}

#endif
