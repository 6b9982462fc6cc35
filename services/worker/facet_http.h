#ifndef SERVICES_WORKER_FACET_HTTP_H
#define SERVICES_WORKER_FACET_HTTP_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Requests over HTTP, many at once, on a thread of their own (libcurl's multi
 * interface). Redirects are not followed: whoever may ask one host may not be
 * led to another.
 */
struct work_http;

struct work_http_request { /* copied */
    const char *method, *url, *content_type;
    const char *headers; /* lines, "" for none */
    const void *body;
    size_t len;
    uint64_t timeout_ms; /* of all attempts together */
    uint32_t retries;    /* of what may be done twice, or never began */
    uint64_t backoff_ms; /* doubles */
    uint64_t max_bytes;  /* of the body that comes */
};
struct work_http_answer {
    enum plex_status status;
    const char *text; /* why, when it is not PLEX_OK */
    uint32_t http_status;
    const char *content_type;
    const void *body;
    size_t len;
    const void *headers; /* "name: value\n", names in lower case; at most 16
                            KiB: what is more is left out */
    size_t headers_len;
};
/* On that thread, once per request. */
typedef void (*work_http_fn)(void *arg, const struct work_http_answer *answer);

struct work_http *work_http_create(void);
/* Any thread. False: too many requests wait. */
bool work_http_send(struct work_http *http,
                    const struct work_http_request *request, work_http_fn done,
                    void *arg);
/* What is under way ends with PLEX_CANCELLED. Accepts NULL. */
void work_http_free(struct work_http *http);

#endif
