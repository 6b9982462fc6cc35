#include "runtime/http.h"

#include "common/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What travels: how many headers, bytes of text and of the body, then the
 * texts (each ends with 0), then the body. */
enum { HEAD = 12, TEXTS = 5 };

struct rt_http {
    _Atomic uint32_t refs;
    uint32_t n_headers;
    size_t len; /* of bytes, but the address of this at their end */
    const char *texts[TEXTS];
    const char *headers;
    uint8_t bytes[];
};
enum { METHOD, PATH, SUBPATH, QUERY, CONTENT_TYPE };

const char rt_http_mark[] = "";

static void
number_put(uint8_t *at, size_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static size_t
number_get(const uint8_t *at)
{
    return (size_t)at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 |
           (size_t)at[3] << 24;
}

static struct rt_http *
make(size_t text_len, size_t body_len)
{
    struct rt_http *http = plex_calloc(1, sizeof *http + HEAD + text_len +
                                              body_len + sizeof(void *));

    http->len = HEAD + text_len + body_len;
    atomic_init(&http->refs, 1);
    memcpy(http->bytes + http->len, &http, sizeof(void *));
    return http;
}

/* The bytes are there: where the texts are. */
static void
index_texts(struct rt_http *http)
{
    const char *at = (const char *)http->bytes + HEAD;

    http->n_headers = (uint32_t)number_get(http->bytes);
    for (int i = 0; i < TEXTS; i++) {
        http->texts[i] = at;
        at += strlen(at) + 1;
    }
    http->headers = at;
}

static void
post_fill(struct rt_http *http, struct plex_post *post)
{
    post->len = number_get(http->bytes + 8);
    post->payload = http->bytes + http->len - post->len;
    post->release = rt_http_release;
}

static const char *
text_or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

static uint8_t *
text_put(uint8_t *at, const char *text)
{
    const size_t len = strlen(text) + 1;

    memcpy(at, text, len);
    return at + len;
}

bool
rt_http_post(const struct rt_http_parts *parts, struct plex_post *post)
{
    const char *const texts[TEXTS] = {
        text_or_empty(parts->method), text_or_empty(parts->path),
        text_or_empty(parts->subpath), text_or_empty(parts->query),
        text_or_empty(parts->content_type)};
    size_t text_len = TEXTS;
    struct rt_http *http;
    uint8_t *at;

    for (int i = 0; i < TEXTS; i++)
        text_len += strlen(texts[i]);
    for (size_t i = 0; i < 2 * parts->n_headers; i++)
        text_len += strlen(parts->headers[i]) + 1;
    if (parts->n_headers > RT_HTTP_HEADERS_MAX || text_len > RT_HTTP_TEXT_MAX ||
        parts->len > UINT32_MAX)
        return false;
    http = make(text_len, parts->len);
    number_put(http->bytes, parts->n_headers);
    number_put(http->bytes + 4, text_len);
    number_put(http->bytes + 8, parts->len);
    at = http->bytes + HEAD;
    for (int i = 0; i < TEXTS; i++)
        at = text_put(at, texts[i]);
    for (size_t i = 0; i < 2 * parts->n_headers; i++)
        at = text_put(at, parts->headers[i]);
    if (parts->len > 0)
        memcpy(at, parts->body, parts->len);
    index_texts(http);
    post_fill(http, post);
    return true;
}

const struct rt_http *
rt_http_behind(const void *payload, size_t len)
{
    const struct rt_http *http;

    memcpy(&http, (const uint8_t *)payload + len, sizeof(void *));
    return http;
}

const struct rt_http *
rt_http_answer(const struct plex_msg *answer)
{
    return answer->sender == rt_http_mark
               ? rt_http_behind(answer->payload, answer->len)
               : NULL;
}

void
rt_http_release(void *payload, size_t len)
{
    struct rt_http *http =
        (struct rt_http *)(uintptr_t)rt_http_behind(payload, len);

    if (atomic_fetch_sub(&http->refs, 1) == 1)
        free(http);
}

void
rt_http_share(const struct rt_http *http)
{
    atomic_fetch_add(&((struct rt_http *)(uintptr_t)http)->refs, 1);
}

void
rt_http_view(const struct rt_http *http, struct plex_msg *out)
{
    out->method = http->texts[METHOD];
    out->path = http->texts[PATH];
    out->subpath = http->texts[SUBPATH];
    out->query = http->texts[QUERY];
    out->content_type = http->texts[CONTENT_TYPE];
}

bool
rt_http_header_at(const struct rt_http *http, size_t i, const char **name,
                  const char **value)
{
    const char *at = http->headers;

    if (i >= http->n_headers)
        return false;
    for (size_t skip = 2 * i; skip > 0; skip--)
        at += strlen(at) + 1;
    *name = at;
    *value = at + strlen(at) + 1;
    return true;
}

const char *
rt_http_header(const struct rt_http *http, const char *name)
{
    const char *at = http->headers;

    for (uint32_t i = 0; i < http->n_headers; i++) {
        const char *value = at + strlen(at) + 1;

        if (strcasecmp(at, name) == 0)
            return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
}

bool
rt_http_reply(const struct rt_http *old, const char *content_type,
              const char *const header[2], const void *body, size_t len,
              struct plex_post *post)
{
    const char *headers[2 * RT_HTTP_HEADERS_MAX];
    struct rt_http_parts parts = {.content_type = content_type,
                                  .headers = headers,
                                  .body = body,
                                  .len = len};
    size_t n = 0;

    while (old != NULL && n < RT_HTTP_HEADERS_MAX - 1 &&
           rt_http_header_at(old, n, &headers[2 * n], &headers[2 * n + 1]))
        n++;
    if (header != NULL) {
        headers[2 * n] = header[0];
        headers[2 * n + 1] = header[1];
        n++;
    }
    parts.n_headers = n;
    return rt_http_post(&parts, post);
}

bool
rt_http_value_ok(const char *value, size_t max)
{
    if (value == NULL || strlen(value) > max)
        return false;
    for (const char *at = value; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return false;
    return true;
}

bool
rt_http_header_ok(const char *name, const char *value)
{
    return name != NULL && name[0] != '\0' && strlen(name) <= 64 &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyz"
                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")] ==
               '\0' &&
           rt_http_value_ok(value, 4096);
}

/* -- between nodes -- */

const void *
rt_http_bytes(const struct rt_http *http, size_t *len)
{
    *len = http->len;
    return http->bytes;
}

bool
rt_http_read(const void *bytes, size_t len, struct plex_post *post)
{
    const uint8_t *at = bytes;
    size_t n_headers, text_len, body_len, ends = 0;
    struct rt_http *http;

    if (len < HEAD)
        return false;
    n_headers = number_get(at);
    text_len = number_get(at + 4);
    body_len = number_get(at + 8);
    if (n_headers > RT_HTTP_HEADERS_MAX || text_len > RT_HTTP_TEXT_MAX ||
        len - HEAD < text_len || len - HEAD - text_len != body_len ||
        text_len == 0 || at[HEAD + text_len - 1] != 0)
        return false;
    for (size_t i = 0; i < text_len; i++)
        ends += at[HEAD + i] == 0;
    if (ends != TEXTS + 2 * n_headers)
        return false;
    http = make(text_len, body_len);
    memcpy(http->bytes, bytes, len);
    index_texts(http);
    post_fill(http, post);
    return true;
}
