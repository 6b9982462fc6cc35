#include "common/utf8.h"

#include <string.h>

size_t
plex_utf8_char(const uint8_t *s, size_t len)
{
    size_t n;
    uint32_t min, code;

    if (s[0] < 0x80)
        return 1;
    if ((s[0] & 0xe0) == 0xc0)
        n = 2, min = 0x80, code = s[0] & 0x1fU;
    else if ((s[0] & 0xf0) == 0xe0)
        n = 3, min = 0x800, code = s[0] & 0x0fU;
    else if ((s[0] & 0xf8) == 0xf0)
        n = 4, min = 0x10000, code = s[0] & 0x07U;
    else
        return 0;
    if (n > len)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (s[i] & 0x3fU);
    }
    if (code < min || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    return n;
}

bool
plex_utf8_valid(const uint8_t *s, size_t len)
{
    size_t i = 0, n;
    uint64_t word;

    while (i < len) {
        /* Nearly all text is ASCII: look at eight bytes at once. */
        if (len - i >= sizeof word) {
            memcpy(&word, s + i, sizeof word);
            if ((word & 0x8080808080808080U) == 0) {
                i += sizeof word;
                continue;
            }
        }
        n = plex_utf8_char(s + i, len - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}
