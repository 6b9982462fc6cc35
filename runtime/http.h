#ifndef RUNTIME_HTTP_H
#define RUNTIME_HTTP_H

#include "runtime/runtime.h"

/*
 * A message that came by HTTP, or the answer to one: the body is the payload,
 * and what else belongs to it stands behind it, in one counted block that
 * nobody changes. Between nodes it travels as it is.
 */
struct rt_http;
enum {
    RT_HTTP_HEADERS_MAX = 200,
    RT_HTTP_REPLY_HEADERS = 32,
    RT_HTTP_TEXT_MAX = 1 << 20
};

struct rt_http_parts { /* NULL: "" */
    const char *method, *path, *subpath, *query, *content_type;
    const char *const *headers; /* name, value, name, ... */
    size_t n_headers;           /* pairs */
    const void *body;
    size_t len;
};
/* The post's payload from now on, which takes care of it; false: the texts
 * are too long. (any) */
bool rt_http_post(const struct rt_http_parts *parts, struct plex_post *post);
/* The answer that an rt_answer_fn was given, during the call; NULL: it has a
 * content type only. */
const struct rt_http *rt_http_answer(const struct plex_msg *answer);
extern const char rt_http_mark[]; /* its `sender`, when it has more */
/* The i-th header; false: there are fewer. */
bool rt_http_header_at(const struct rt_http *http, size_t i, const char **name,
                       const char **value);

/* -- within the runtime -- */

/* The `release` of such payloads, by which they are known. */
void rt_http_release(void *payload, size_t len);
const struct rt_http *rt_http_behind(const void *payload, size_t len);
/* Strings are the block's. */
void rt_http_view(const struct rt_http *http, struct plex_msg *out);
/* NULL: absent. The name may be in any case. */
const char *rt_http_header(const struct rt_http *http, const char *name);
/* Another payload like it, for as many releases. */
void rt_http_share(const struct rt_http *http);
/* The answer's, with what `old` (NULL: nothing) had of headers and one more
 * (NULL: none). */
bool rt_http_reply(const struct rt_http *old, const char *content_type,
                   const char *const header[2], const void *body, size_t len,
                   struct plex_post *post);

/* Whether HTTP allows it. */
bool rt_http_value_ok(const char *value, size_t max);
bool rt_http_header_ok(const char *name, const char *value);

/* As it travels. */
const void *rt_http_bytes(const struct rt_http *http, size_t *len);
/* False: malformed. */
bool rt_http_read(const void *bytes, size_t len, struct plex_post *post);

#endif
