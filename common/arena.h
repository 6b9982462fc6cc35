#ifndef COMMON_ARENA_H
#define COMMON_ARENA_H

#include "common/bytes.h"

#include <stddef.h>

/*
 * A bump allocator with a ceiling: the memory limit of decoding.
 *
 * plex_arena_pb() in wire.h is a protobuf-c allocator over an arena. Its free
 * does nothing; the whole arena is reset at once, so free_unpacked is not
 * called. Past the ceiling the allocator returns NULL, and protobuf-c's unpack
 * then returns NULL: to the caller the message does not decode.
 */
struct plex_arena {
    struct plex_arena_chunk *chunks; /* newest first */
    size_t used;                     /* bytes handed out since the reset */
    size_t max;
};

void plex_arena_init(struct plex_arena *arena, size_t max_bytes);
void plex_arena_fini(struct plex_arena *arena);
/* Keeps one chunk for reuse; gives the others back. */
void plex_arena_reset(struct plex_arena *arena);
/* 16-byte aligned, uninitialised; NULL past the ceiling. */
void *plex_arena_alloc(struct plex_arena *arena, size_t size) PLEX_MUST_USE;
/* NUL-terminated copy; NULL past the ceiling. */
char *plex_arena_strndup(struct plex_arena *arena, const char *text, size_t len)
    PLEX_MUST_USE;

/* Does it lie in what was handed out since the reset? */
bool plex_arena_owns(const struct plex_arena *arena, const void *ptr)
    PLEX_MUST_USE;

#endif
