#include "services/gateway/text.h"

#include "common/context.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char digits64[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuv"
    "wxyz0123456789-_";

void *
gate_alloc(struct plex_arena *arena, size_t size)
{
    void *memory = plex_arena_alloc(arena, size);

    assert(memory != NULL);
    return memory;
}

bool
gate_uint_parse(const char *text, size_t len, uint64_t max, uint64_t *out)
{
    uint64_t n = 0;

    if (len == 0 || len > 19)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(text[i] - '0');
    }
    *out = n;
    return n <= max;
}

bool
gate_duration_parse(const char *text, uint64_t max_ms, uint64_t *out_ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    const size_t len = strspn(text, "0123456789");
    uint64_t n;

    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(text + len, units[i].unit) != 0)
            continue;
        if (!gate_uint_parse(text, len, max_ms / units[i].ms, &n))
            return false;
        *out_ms = n * units[i].ms;
        return true;
    }
    return false;
}

/* After the opening quote; NULL when it is not one well-formed string. */
static const char *
key_unquote(const char *value, size_t len, struct plex_arena *arena)
{
    char *out = gate_alloc(arena, len + 1);
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        char c = value[i];

        if (c == '"') {
            out[n] = '\0';
            return i + 1 == len ? out : NULL;
        }
        if (c == '\\') {
            c = ++i < len ? value[i] : '\0';
            if (c != '"' && c != '\\')
                return NULL;
        }
        if (c < 0x20 || c > 0x7e)
            return NULL;
        out[n++] = c;
    }
    return NULL;
}

const char *
gate_key_parse(const char *value, struct plex_arena *arena,
               struct plex_err *err)
{
    size_t len;
    const char *key;

    value += strspn(value, " \t");
    len = strlen(value);
    while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
        len--;
    if (len > 2 * GATE_KEY_MAX + 2) {
        key = NULL;
    } else if (value[0] == '"') {
        key = key_unquote(value + 1, len - 1, arena);
    } else {
        char *copy = gate_alloc(arena, len + 1);

        memcpy(copy, value, len);
        copy[len] = '\0';
        key = copy;
        for (size_t i = 0; i < len; i++)
            if (copy[i] < 0x21 || copy[i] > 0x7e)
                key = NULL;
    }
    if (key != NULL && key[0] != '\0' && strlen(key) <= GATE_KEY_MAX)
        return key;
    (void)plex_err_set(err, PLEX_INVALID,
                       "Idempotency-Key must be 1 to %d visible ASCII "
                       "characters, bare or as a quoted string",
                       GATE_KEY_MAX);
    return NULL;
}

struct plex_bytes
gate_id_of_key(const struct plex_actor_id *actor, const char *key,
               struct plex_arena *arena)
{
    const size_t len = 18 + strlen(key);
    char *id = gate_alloc(arena, len + 1);

    (void)snprintf(id, len + 1, "k%016" PRIx64 ":%s", plex_actor_hash(actor),
                   key);
    return (struct plex_bytes){(const uint8_t *)id, len};
}

/* Returns the number of digits; no NUL. */
static size_t
encode64(const uint8_t *data, size_t len, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i += 3) {
        const size_t left = len - i;
        const uint32_t bits = (uint32_t)data[i] << 16 |
                              (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
                              (left > 2 ? (uint32_t)data[i + 2] : 0);

        out[n++] = digits64[bits >> 18 & 63];
        out[n++] = digits64[bits >> 12 & 63];
        if (left > 1)
            out[n++] = digits64[bits >> 6 & 63];
        if (left > 2)
            out[n++] = digits64[bits & 63];
    }
    return n;
}

/* Returns the number of bytes, SIZE_MAX if it is no base64url. */
static size_t
decode64(const char *text, size_t len, uint8_t *out)
{
    size_t n = 0;
    uint32_t bits = 0, have = 0;

    for (size_t i = 0; i < len; i++) {
        const char *digit = strchr(digits64, text[i]);

        if (digit == NULL || text[i] == '\0')
            return SIZE_MAX;
        bits = bits << 6 | (uint32_t)(digit - digits64);
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[n++] = (uint8_t)(bits >> have);
        }
    }
    if (have >= 6 || (bits & ((1U << have) - 1)) != 0)
        return SIZE_MAX;
    return n;
}

const char *
gate_base64url(struct plex_bytes bytes, struct plex_arena *arena)
{
    char *out = gate_alloc(arena, (bytes.len + 2) / 3 * 4 + 1);

    out[encode64(bytes.data, bytes.len, out)] = '\0';
    return out;
}

bool
gate_base64url_text(const char *text, struct plex_arena *arena,
                    const char **out)
{
    const size_t len = strlen(text);
    char *raw = gate_alloc(arena, len + 1);
    const size_t n = decode64(text, len, (uint8_t *)raw);

    if (n == SIZE_MAX || memchr(raw, '\0', n) != NULL)
        return false;
    raw[n] = '\0';
    *out = raw;
    return true;
}

void
gate_id_format(struct plex_bytes id, char out[GATE_ID_TEXT_MAX + 1])
{
    if (id.len == 16) {
        plex_id_format(id.data, out);
        return;
    }
    assert(id.len > 1 && id.len <= 18 + GATE_KEY_MAX);
    memcpy(out, "k-", 2);
    out[2 + encode64(id.data + 1, id.len - 1, out + 2)] = '\0';
}

static enum plex_status
key_id_parse(const char *text, struct plex_arena *arena, struct plex_bytes *out,
             struct plex_err *err)
{
    const size_t len = strlen(text);
    uint8_t *id = gate_alloc(arena, len + 1);
    const size_t n = decode64(text, len, id + 1);

    if (n == SIZE_MAX || n < 18)
        return plex_err_set(err, PLEX_INVALID,
                            "invocation id is cut off or altered");
    id[0] = 'k';
    *out = (struct plex_bytes){id, n + 1};
    return PLEX_OK;
}

enum plex_status
gate_id_parse(const char *text, struct plex_arena *arena,
              struct plex_bytes *out, struct plex_err *err)
{
    if (strlen(text) > GATE_ID_TEXT_MAX)
        return plex_err_set(err, PLEX_INVALID,
                            "invocation id is longer than %d characters",
                            GATE_ID_TEXT_MAX);
    if (text[0] == 'k' && text[1] == '-')
        return key_id_parse(text + 2, arena, out, err);

    uint8_t *id = gate_alloc(arena, 16);

    if (plex_id_parse(text, id, err) != PLEX_OK)
        return plex_err_wrap(err, "invocation id");
    *out = (struct plex_bytes){id, 16};
    return PLEX_OK;
}
