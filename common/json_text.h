#ifndef COMMON_JSON_TEXT_H
#define COMMON_JSON_TEXT_H

#include <stddef.h>

/*
 * Write the `len` bytes of `text` as the inside of a JSON string, without its
 * quotes, into `out` of `size` bytes; no NUL is added. Bytes that are not
 * UTF-8 become U+FFFD. Returns the bytes written, or SIZE_MAX if they do not
 * fit: 6 * len always do.
 */
size_t plex_json_escape(char *out, size_t size, const char *text, size_t len);

#endif
