#ifndef COMMON_PARK_H
#define COMMON_PARK_H

#include <stdatomic.h>
#include <stdint.h>

/* A thread that sleeps until a word of memory is changed (a futex). */

/* Sleep while *word is `value`, at most until deadline_ns (monotonic;
 * UINT64_MAX: without limit). May return early for no reason. */
void plex_park_wait(_Atomic uint32_t *word, uint32_t value,
                    uint64_t deadline_ns, uint64_t now_ns);
/* Wake one that sleeps on it; the word was changed before. */
void plex_park_wake(_Atomic uint32_t *word);

#endif
