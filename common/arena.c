#include "common/arena.h"

#include "common/mem.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum {
    ARENA_ALIGN = 16,
    ARENA_CHUNK_MIN = 4 << 10,
    ARENA_CHUNK_KEPT_MAX = 256 << 10, /* what a reset may hold on to */
};

struct plex_arena_chunk {
    struct plex_arena_chunk *next;
    size_t size; /* of data */
    size_t used;
    alignas(ARENA_ALIGN) unsigned char data[];
};

void
plex_arena_init(struct plex_arena *arena, size_t max_bytes)
{
    *arena = (struct plex_arena){.max = max_bytes};
}

void
plex_arena_fini(struct plex_arena *arena)
{
    struct plex_arena_chunk *chunk;

    while ((chunk = arena->chunks) != NULL) {
        arena->chunks = chunk->next;
        free(chunk);
    }
    arena->used = 0;
}

void
plex_arena_reset(struct plex_arena *arena)
{
    struct plex_arena_chunk *kept = NULL, *chunk;

    while ((chunk = arena->chunks) != NULL) {
        arena->chunks = chunk->next;
        if (chunk->size <= ARENA_CHUNK_KEPT_MAX &&
            (kept == NULL || chunk->size > kept->size)) {
            free(kept);
            kept = chunk;
        } else {
            free(chunk);
        }
    }
    if (kept != NULL) {
        kept->next = NULL;
        kept->used = 0;
    }
    arena->chunks = kept;
    arena->used = 0;
}

/* Each chunk doubles the one before, so that a large message needs few. */
static void
add_chunk(struct plex_arena *arena, size_t size)
{
    struct plex_arena_chunk *chunk;
    size_t room = arena->chunks ? arena->chunks->size * 2 : ARENA_CHUNK_MIN;

    if (room > ARENA_CHUNK_KEPT_MAX)
        room = ARENA_CHUNK_KEPT_MAX;
    if (room < size)
        room = size;
    chunk = plex_reallocarray(NULL, sizeof *chunk + room, 1);
    chunk->next = arena->chunks;
    chunk->size = room;
    chunk->used = 0;
    arena->chunks = chunk;
}

void *
plex_arena_alloc(struct plex_arena *arena, size_t size)
{
    struct plex_arena_chunk *chunk = arena->chunks;
    void *ptr;

    if (size > arena->max) /* also keeps the rounding from overflowing */
        return NULL;
    size = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if (arena->used > arena->max || size > arena->max - arena->used)
        return NULL;
    if (chunk == NULL || size > chunk->size - chunk->used) {
        add_chunk(arena, size);
        chunk = arena->chunks;
    }
    ptr = chunk->data + chunk->used;
    chunk->used += size;
    arena->used += size;
    return ptr;
}

char *
plex_arena_strndup(struct plex_arena *arena, const char *text, size_t len)
{
    char *copy;

    if (len >= arena->max)
        return NULL;
    copy = plex_arena_alloc(arena, len + 1);
    if (copy == NULL)
        return NULL;
    if (len > 0)
        memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

bool
plex_arena_owns(const struct plex_arena *arena, const void *ptr)
{
    const uintptr_t at = (uintptr_t)ptr;

    for (const struct plex_arena_chunk *chunk = arena->chunks; chunk != NULL;
         chunk = chunk->next)
        if (at >= (uintptr_t)chunk->data &&
            at < (uintptr_t)chunk->data + chunk->used)
            return true;
    return false;
}
