#include "common/context.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    TRACE_TEXT_LEN = 55,
    ID_TEXT_LEN = 26,
    RANDOM_BUFFERED = 512, /* bytes taken from the kernel at once */
};

static const char hex_digits[] = "0123456789abcdef";
static const char base32_digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

const struct plex_context plex_context_none = {
    .tenant = "",
    .ns = "",
    .principal = "",
    .roles = "",
    .request_id = "",
};

static void
fill_from_kernel(void *out, size_t len)
{
    uint8_t *bytes = out;

    while (len > 0) {
        const ssize_t n = getrandom(bytes, len, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            abort(); /* no kernel we run on does that */
        bytes += n;
        len -= (size_t)n;
    }
}

void
plex_random(void *out, size_t len)
{
    static _Thread_local uint8_t buffered[RANDOM_BUFFERED];
    static _Thread_local size_t left;

    if (len > sizeof buffered) {
        fill_from_kernel(out, len);
        return;
    }
    if (left < len) {
        fill_from_kernel(buffered, sizeof buffered);
        left = sizeof buffered;
    }
    left -= len;
    memcpy(out, buffered + left, len);
    memset(buffered + left, 0, len); /* given out once */
}

static bool
all_zero(const uint8_t *bytes, size_t len)
{
    uint8_t any = 0;

    for (size_t i = 0; i < len; i++)
        any |= bytes[i];
    return any == 0;
}

/* Lower-case only, as the trace context specification asks. */
static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

static bool
hex_decode(const char *text, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const int high = hex_value(text[2 * i]);
        const int low = hex_value(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static char *
hex_encode(const uint8_t *bytes, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++) {
        *out++ = hex_digits[bytes[i] >> 4];
        *out++ = hex_digits[bytes[i] & 15];
    }
    return out;
}

enum plex_status
plex_trace_parse(const char *text, struct plex_trace *out)
{
    struct plex_trace trace;

    if (strnlen(text, TRACE_TEXT_LEN + 1) != TRACE_TEXT_LEN ||
        memcmp(text, "00-", 3) != 0 || text[35] != '-' || text[52] != '-')
        return PLEX_INVALID;
    if (!hex_decode(text + 3, trace.trace_id, sizeof trace.trace_id) ||
        !hex_decode(text + 36, trace.span_id, sizeof trace.span_id) ||
        !hex_decode(text + 53, &trace.flags, 1))
        return PLEX_INVALID;
    if (all_zero(trace.trace_id, sizeof trace.trace_id) ||
        all_zero(trace.span_id, sizeof trace.span_id))
        return PLEX_INVALID;
    *out = trace;
    return PLEX_OK;
}

void
plex_trace_format(const struct plex_trace *trace, char out[56])
{
    char *end;

    memcpy(out, "00-", 3);
    end = hex_encode(trace->trace_id, sizeof trace->trace_id, out + 3);
    *end++ = '-';
    end = hex_encode(trace->span_id, sizeof trace->span_id, end);
    *end++ = '-';
    end = hex_encode(&trace->flags, 1, end);
    *end = '\0';
}

static void
random_nonzero(uint8_t *out, size_t len)
{
    do
        plex_random(out, len);
    while (all_zero(out, len)); /* zero means "none" */
}

struct plex_trace
plex_trace_child(const struct plex_trace *parent)
{
    struct plex_trace child = {0};

    if (parent != NULL && !all_zero(parent->trace_id, sizeof parent->trace_id))
        child = *parent;
    else
        random_nonzero(child.trace_id, sizeof child.trace_id);
    random_nonzero(child.span_id, sizeof child.span_id);
    return child;
}

void
plex_id_make(uint8_t out[16], uint64_t wall_ms)
{
    for (int i = 0; i < 6; i++)
        out[i] = (uint8_t)(wall_ms >> (40 - 8 * i));
    plex_random(out + 6, 10);
}

/* 26 digits carry 130 bits: the first one only three of them. */
void
plex_id_format(const uint8_t id[16], char out[27])
{
    unsigned __int128 value = 0;

    for (int i = 0; i < 16; i++)
        value = value << 8 | id[i];
    for (int i = ID_TEXT_LEN - 1; i >= 0; i--) {
        out[i] = base32_digits[(unsigned)(value & 31)];
        value >>= 5;
    }
    out[ID_TEXT_LEN] = '\0';
}

static int
base32_value(char c)
{
    const char *at;

    if (c >= 'a' && c <= 'z')
        c = (char)(c - 'a' + 'A');
    at = c != '\0' ? strchr(base32_digits, c) : NULL;
    return at != NULL ? (int)(at - base32_digits) : -1;
}

enum plex_status
plex_id_parse(const char *text, uint8_t out[16], struct plex_err *err)
{
    unsigned __int128 value = 0;

    if (strnlen(text, ID_TEXT_LEN + 1) != ID_TEXT_LEN)
        return plex_err_set(err, PLEX_INVALID,
                            "id \"%.40s\" is not 26 characters long", text);
    for (int i = 0; i < ID_TEXT_LEN; i++) {
        const int digit = base32_value(text[i]);

        if (digit < 0 || (i == 0 && digit > 7))
            return plex_err_set(err, PLEX_INVALID,
                                "id \"%s\" is wrong at character %d; digits "
                                "and letters but I, L, O, U are right, the "
                                "first at most 7",
                                text, i + 1);
        value = value << 5 | (unsigned)digit;
    }
    for (int i = 15; i >= 0; i--) {
        out[i] = (uint8_t)value;
        value >>= 8;
    }
    return PLEX_OK;
}
