#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the well-formed UTF-8 character at `s`, of which `len` >= 1 bytes
 * may be read; 0 if there is none (over-long forms, surrogates, > U+10FFFF). */
size_t plex_utf8_char(const uint8_t *s, size_t len);
/* Are all `len` bytes well-formed UTF-8? NUL counts as a character. */
bool plex_utf8_valid(const uint8_t *s, size_t len);

#endif
