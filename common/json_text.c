#include "common/json_text.h"

#include "common/utf8.h"

#include <stdio.h>
#include <string.h>

/* The escape of one character that may not stand for itself; its length. */
static size_t
escape(unsigned char c, char out[8])
{
    if (c == '"' || c == '\\')
        return (size_t)snprintf(out, 8, "\\%c", c);
    if (c == '\n')
        return (size_t)snprintf(out, 8, "\\n");
    return (size_t)snprintf(out, 8, "\\u%04x", c);
}

size_t
plex_json_escape(char *out, size_t size, const char *text, size_t len)
{
    const uint8_t *s = (const uint8_t *)text;
    size_t used = 0;
    char escaped[8];

    for (size_t i = 0, n, m; i < len; i += n) {
        const char *from = text + i;

        n = m = plex_utf8_char(s + i, len - i);
        if (n == 0) {
            n = 1;
            from = "\\ufffd";
            m = 6;
        } else if (s[i] < 0x20 || s[i] == '"' || s[i] == '\\' || s[i] == 0x7f) {
            from = escaped;
            m = escape(s[i], escaped);
        }
        if (m > size - used)
            return SIZE_MAX;
        memcpy(out + used, from, m);
        used += m;
    }
    return used;
}
