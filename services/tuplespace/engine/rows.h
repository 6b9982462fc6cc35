#ifndef SERVICES_TUPLESPACE_ENGINE_ROWS_H
#define SERVICES_TUPLESPACE_ENGINE_ROWS_H

/*
 * An array that grows without ever moving much: small ones double, large ones
 * get another chunk. Rows are zeroed when they appear.
 */
#include "common/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS_CHUNK_BITS = 12,
    ROWS_CHUNK = 1 << ROWS_CHUNK_BITS,
    ROWS_FIRST = 8
};

struct rows {
    uint8_t **chunks;
    uint32_t n_chunks;
    uint32_t room; /* rows there are */
    uint32_t row_bytes;
};

static inline void *
rows_at(const struct rows *rows, uint32_t i)
{
    return rows->chunks[i >> ROWS_CHUNK_BITS] +
           (size_t)(i & (ROWS_CHUNK - 1)) * rows->row_bytes;
}

static inline void
rows_grow(struct rows *rows)
{
    if (rows->room >= ROWS_CHUNK || rows->room == 0) {
        const uint32_t more = rows->room == 0 ? ROWS_FIRST : ROWS_CHUNK;

        rows->chunks = plex_reallocarray(rows->chunks, rows->n_chunks + 1,
                                         sizeof *rows->chunks);
        rows->chunks[rows->n_chunks++] = plex_calloc(more, rows->row_bytes);
        rows->room += more;
        return;
    }
    rows->chunks[0] =
        plex_reallocarray(rows->chunks[0], rows->room * 2, rows->row_bytes);
    memset(rows->chunks[0] + (size_t)rows->room * rows->row_bytes, 0,
           (size_t)rows->room * rows->row_bytes);
    rows->room *= 2;
}

static inline void
rows_free(struct rows *rows)
{
    for (uint32_t i = 0; i < rows->n_chunks; i++)
        free(rows->chunks[i]);
    free(rows->chunks);
}

static inline uint64_t
rows_bytes(const struct rows *rows)
{
    return (uint64_t)rows->room * rows->row_bytes;
}

#endif
