/* Messages between replicas: protobuf as of lattice.v1 Gossip. */
#include "lattice/replica_private.h"

#include "common/utf8.h"

#include <string.h>

enum {
    GOSSIP_FLIGHT = 1,
    GOSSIP_ALL,
    GOSSIP_SEEN,
    GOSSIP_CONFIRM,
    GOSSIP_HAS_DIGEST,
    GOSSIP_DIGEST,
    GOSSIP_HEAD,
    GOSSIP_CELL,
};
enum { CELL_KEY = 1, CELL_LATTICE };
enum { WIRE_VARINT = 0, WIRE_BYTES = 2 };

static size_t
varint_size(uint64_t value)
{
    return value == 0 ? 1 : (size_t)(70 - __builtin_clzll(value)) / 7;
}

static bool
varint_put(struct plex_buf *out, uint64_t value)
{
    uint8_t *at = plex_buf_grow(out, varint_size(value));

    for (; at != NULL && value >= 0x80; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    if (at != NULL)
        *at = (uint8_t)value;
    return at != NULL;
}

static bool
number_put(struct plex_buf *out, unsigned field, uint64_t value)
{
    return value == 0 || (varint_put(out, field << 3 | WIRE_VARINT) &&
                          varint_put(out, value));
}

static bool
lattice_put(struct plex_buf *out, unsigned field, const struct lattice *lattice)
{
    struct plex_err err;

    return varint_put(out, field << 3 | WIRE_BYTES) &&
           varint_put(out, lattice_bytes(lattice)) &&
           lattice_encode(lattice, out, &err) == PLEX_OK;
}

bool
lattice_gossip_write(const struct gossip *gossip, struct plex_buf *out)
{
    return number_put(out, GOSSIP_FLIGHT, gossip->flight) &&
           number_put(out, GOSSIP_ALL, gossip->all) &&
           (gossip->seen == NULL ||
            lattice_put(out, GOSSIP_SEEN, gossip->seen)) &&
           number_put(out, GOSSIP_CONFIRM, gossip->confirm) &&
           number_put(out, GOSSIP_HAS_DIGEST, gossip->has_digest) &&
           number_put(out, GOSSIP_DIGEST, gossip->digest) &&
           number_put(out, GOSSIP_HEAD, gossip->head);
}

size_t
lattice_gossip_cell_bytes(const struct gossip_cell *cell)
{
    const size_t bytes = lattice_bytes(cell->lattice);

    return 1 + varint_size(cell->len) + cell->len + 1 + varint_size(bytes) +
           bytes;
}

bool
lattice_gossip_cell_write(const struct gossip_cell *cell, struct plex_buf *out)
{
    uint8_t *at;

    if (!varint_put(out, GOSSIP_CELL << 3 | WIRE_BYTES) ||
        !varint_put(out, lattice_gossip_cell_bytes(cell)) ||
        !varint_put(out, CELL_KEY << 3 | WIRE_BYTES) ||
        !varint_put(out, cell->len))
        return false;
    at = plex_buf_grow(out, cell->len);
    if (at == NULL)
        return false;
    memcpy(at, cell->key, cell->len);
    return lattice_put(out, CELL_LATTICE, cell->lattice);
}

/* -- reading --------------------------------------------------------------- */

static bool
varint_get(struct plex_bytes *in, uint64_t *out)
{
    *out = 0;
    for (unsigned i = 0; i < 10 && in->len > 0; i++) {
        const uint8_t byte = *in->data++;

        in->len--;
        *out |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80)
            return i < 9 || byte <= 1;
    }
    return false;
}

static bool
next_is(struct plex_bytes *in, unsigned field, unsigned type)
{
    if (in->len == 0 || *in->data != (field << 3 | type))
        return false;
    in->data++;
    in->len--;
    return true;
}

static bool
number_get(struct plex_bytes *in, unsigned field, uint64_t *out)
{
    *out = 0;
    return !next_is(in, field, WIRE_VARINT) || varint_get(in, out);
}

static bool
bytes_get(struct plex_bytes *in, unsigned field, struct plex_bytes *out)
{
    uint64_t len;

    if (!next_is(in, field, WIRE_BYTES) || !varint_get(in, &len) ||
        len > in->len)
        return false;
    *out = (struct plex_bytes){in->data, (size_t)len};
    in->data += len;
    in->len -= (size_t)len;
    return true;
}

static bool
seen_get(struct plex_bytes *in, struct gossip *out)
{
    struct plex_bytes bytes;
    struct plex_err err;

    if (in->len == 0 || *in->data != (GOSSIP_SEEN << 3 | WIRE_BYTES))
        return true;
    return bytes_get(in, GOSSIP_SEEN, &bytes) &&
           lattice_decode(bytes, &out->seen, &err) == PLEX_OK &&
           lattice_kind_of(out->seen) == LATTICE_VECTOR_CLOCK;
}

enum plex_status
lattice_gossip_read(struct plex_bytes in, struct gossip *out,
                    struct plex_bytes *cells, struct plex_err *err)
{
    uint64_t all, has_digest;

    *out = (struct gossip){0};
    if (in.len > LATTICE_GOSSIP_MAX ||
        !number_get(&in, GOSSIP_FLIGHT, &out->flight) ||
        !number_get(&in, GOSSIP_ALL, &all) || !seen_get(&in, out) ||
        !number_get(&in, GOSSIP_CONFIRM, &out->confirm) ||
        !number_get(&in, GOSSIP_HAS_DIGEST, &has_digest) ||
        !number_get(&in, GOSSIP_DIGEST, &out->digest) ||
        !number_get(&in, GOSSIP_HEAD, &out->head))
        return plex_err_set(err, PLEX_INVALID,
                            "a message of a replica is malformed");
    out->all = all != 0;
    out->has_digest = has_digest != 0;
    *cells = in;
    return PLEX_OK;
}

bool
lattice_gossip_cell_read(struct plex_bytes *cells, const char **key,
                         size_t *len, struct lattice **lattice)
{
    struct plex_bytes at = *cells, cell, name, bytes;
    struct plex_err err;

    *lattice = NULL;
    if (!bytes_get(&at, GOSSIP_CELL, &cell) ||
        !bytes_get(&cell, CELL_KEY, &name) ||
        !bytes_get(&cell, CELL_LATTICE, &bytes) || cell.len != 0 ||
        name.len == 0 || name.len > LATTICE_KEY_MAX ||
        !plex_utf8_valid(name.data, name.len) ||
        memchr(name.data, '\0', name.len) != NULL)
        return false;
    *cells = at;
    *key = (const char *)name.data;
    *len = name.len;
    if (lattice_decode(bytes, lattice, &err) != PLEX_OK)
        *lattice = NULL;
    return true;
}
