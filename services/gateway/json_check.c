#include "services/gateway/json_check.h"

#include "common/utf8.h"

#include <string.h>

struct scan {
    const uint8_t *at, *end, *start;
    const char *wrong; /* set at the first error */
};

static bool
scan_fail(struct scan *s, const char *wrong)
{
    s->wrong = wrong;
    return false;
}

static void
skip_space(struct scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' ||
                              *s->at == '\n' || *s->at == '\r'))
        s->at++;
}

static bool
is_digit(const struct scan *s)
{
    return s->at < s->end && *s->at >= '0' && *s->at <= '9';
}

static int
hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* After "\u": four digits, and for a high surrogate the low one. */
static bool
scan_unicode(struct scan *s)
{
    for (int half = 0; half < 2; half++) {
        unsigned code = 0;

        for (int i = 0; i < 4; i++, s->at++) {
            const int digit = s->at < s->end ? hex_digit(*s->at) : -1;

            if (digit < 0)
                return scan_fail(s, "\\u needs four hexadecimal digits");
            code = code << 4 | (unsigned)digit;
        }
        if (half == 0 && (code < 0xd800 || code > 0xdfff))
            return true;
        if (half == 1)
            return (code >= 0xdc00 && code <= 0xdfff) ||
                   scan_fail(s, "a lone surrogate is no character");
        if (code > 0xdbff || s->end - s->at < 2 || s->at[0] != '\\' ||
            s->at[1] != 'u')
            return scan_fail(s, "a lone surrogate is no character");
        s->at += 2;
    }
    return true;
}

static bool
scan_escape(struct scan *s)
{
    if (s->at == s->end)
        return scan_fail(s, "the text ends inside a string");
    if (*s->at == 'u') {
        s->at++;
        return scan_unicode(s);
    }
    if (*s->at == '\0' || strchr("\"\\/bfnrt", *s->at) == NULL)
        return scan_fail(s, "no such escape");
    s->at++;
    return true;
}

/* After the opening quote. */
static bool
scan_string(struct scan *s)
{
    while (s->at < s->end) {
        const uint8_t c = *s->at;

        if (c == '"') {
            s->at++;
            return true;
        }
        if (c < 0x20)
            return scan_fail(s, "control characters must be escaped");
        if (c == '\\') {
            s->at++;
            if (!scan_escape(s))
                return false;
        } else if (c < 0x80) {
            s->at++;
        } else {
            const size_t n = plex_utf8_char(s->at, (size_t)(s->end - s->at));

            if (n == 0)
                return scan_fail(s, "not UTF-8");
            s->at += n;
        }
    }
    return scan_fail(s, "the text ends inside a string");
}

static bool
scan_digits(struct scan *s)
{
    if (!is_digit(s))
        return scan_fail(s, "a digit is missing in a number");
    while (is_digit(s))
        s->at++;
    return true;
}

static bool
scan_number(struct scan *s)
{
    if (*s->at == '-')
        s->at++;
    if (s->at < s->end && *s->at == '0')
        s->at++;
    else if (!scan_digits(s))
        return false;
    if (is_digit(s))
        return scan_fail(s, "a number has a leading zero");
    if (s->at < s->end && *s->at == '.') {
        s->at++;
        if (!scan_digits(s))
            return false;
    }
    if (s->at < s->end && (*s->at | 0x20) == 'e') {
        s->at++;
        if (s->at < s->end && (*s->at == '+' || *s->at == '-'))
            s->at++;
        return scan_digits(s);
    }
    return true;
}

static bool
scan_word(struct scan *s, const char *word)
{
    const size_t len = strlen(word);

    if ((size_t)(s->end - s->at) < len || memcmp(s->at, word, len) != 0)
        return scan_fail(s, "no JSON value begins like this");
    s->at += len;
    return true;
}

static bool
scan_scalar(struct scan *s)
{
    switch (*s->at) {
    case '"':
        s->at++;
        return scan_string(s);
    case 't':
        return scan_word(s, "true");
    case 'f':
        return scan_word(s, "false");
    case 'n':
        return scan_word(s, "null");
    default:
        if (*s->at == '-' || is_digit(s))
            return scan_number(s);
        return scan_fail(s, "no JSON value begins like this");
    }
}

/* A member's name and its colon. */
static bool
scan_name(struct scan *s)
{
    skip_space(s);
    if (s->at == s->end || *s->at != '"')
        return scan_fail(s, "a member's name in double quotes is missing");
    s->at++;
    if (!scan_string(s))
        return false;
    skip_space(s);
    if (s->at == s->end || *s->at != ':')
        return scan_fail(s, "':' is missing after a member's name");
    s->at++;
    return true;
}

static bool
scan_text(struct scan *s)
{
    char close[GATE_JSON_DEPTH_MAX]; /* what ends each open value */
    size_t depth = 0;

    for (;;) {
        skip_space(s);
        if (s->at == s->end)
            return scan_fail(s, "the text ends where a value should be");
        if (*s->at == '{' || *s->at == '[') {
            const char end = *s->at == '{' ? '}' : ']';

            if (depth == GATE_JSON_DEPTH_MAX)
                return scan_fail(s, "nested too deeply");
            s->at++;
            close[depth++] = end;
            skip_space(s);
            if (s->at == s->end || *s->at != (uint8_t)end) {
                if (end == '}' && !scan_name(s))
                    return false;
                continue;
            }
        } else if (!scan_scalar(s)) {
            return false;
        }
        for (;;) { /* after a value, or before the end of an empty one */
            skip_space(s);
            if (depth == 0)
                return s->at == s->end ||
                       scan_fail(s, "something follows the value");
            if (s->at == s->end)
                return scan_fail(s, "the text ends inside a value");
            if (*s->at == (uint8_t)close[depth - 1]) {
                s->at++;
                depth--;
                continue;
            }
            if (*s->at != ',')
                return scan_fail(s, "',' or the end of the value is missing");
            s->at++;
            if (close[depth - 1] == '}' && !scan_name(s))
                return false;
            break;
        }
    }
}

enum plex_status
gate_json_check(struct plex_bytes text, struct plex_err *err)
{
    struct scan s = {text.data, text.data + text.len, text.data, NULL};

    if (scan_text(&s))
        return PLEX_OK;
    return plex_err_set(err, PLEX_INVALID, "not JSON at byte %zu: %s",
                        (size_t)(s.at - s.start) + 1, s.wrong);
}
