#ifndef PLEXSPACES_HTTP_H
#define PLEXSPACES_HTTP_H

#include "kv.h"

/*
 * HTTP requests of an actor through its facet http_client (docs/facets.md):
 * base URL, time-out, retries and circuit breaker are the facet's. A call
 * waits; the executor runs others meanwhile.
 */
/* What goes to the worker: this, method, url, content type, headers, body. */
struct plex_http_wire {
    uint32_t method_len, url_len, type_len, headers_len, body_len;
    uint32_t retries;
    uint64_t timeout_ms, backoff_ms, max_bytes;
    uint64_t ticket; /* the facet's own */
};
/* And back: this, content type, body, and the rest is headers as "name:
 * value\n", names in lower case. With a status other than 0 the body is a text
 * that says why. */
struct plex_http_wire_answer {
    int32_t status;
    uint32_t http_status;
    uint32_t type_len, body_len;
};
/* To the facet's op "result". */
struct plex_http_wire_result {
    uint64_t ticket;
    uint64_t failed;
};

struct plex_http_call {
    const char *method; /* NULL: GET, or POST with a body */
    const char *url;    /* absolute, or a path after the facet's base_url */
    const char *content_type; /* NULL: application/json */
    const char *headers;      /* "Name: value" lines, NULL */
    const void *body;
    size_t len;
    uint64_t timeout_ms; /* 0: the facet's */
};
struct plex_http_reply { /* borrowed until this actor asks, waits or returns */
    uint32_t status;
    const char *content_type; /* not NUL-terminated */
    size_t type_len;
    const void *body;
    size_t len;
    const char *headers; /* "name: value\n", names in lower case; 16 KiB */
    size_t headers_len;
};

static inline void *
plex_http_pack(const struct plex_http_call *call, size_t *size)
{
    const char *const method = call->method != NULL ? call->method
                               : call->len > 0      ? "POST"
                                                    : "GET";
    const char *const type =
        call->content_type != NULL ? call->content_type : "application/json";
    const char *const headers = call->headers != NULL ? call->headers : "";
    const struct plex_http_wire wire = {
        .method_len = (uint32_t)strlen(method),
        .url_len = (uint32_t)strlen(call->url),
        .type_len = (uint32_t)strlen(type),
        .headers_len = (uint32_t)strlen(headers),
        .body_len = (uint32_t)call->len,
        .timeout_ms = call->timeout_ms,
    };
    unsigned char *bytes, *at;

    *size = sizeof wire + wire.method_len + wire.url_len + wire.type_len +
            wire.headers_len + call->len;
    if (wire.url_len > 8192 || wire.headers_len > 32768 ||
        call->len > (4u << 20))
        return NULL;
    bytes = at = (unsigned char *)malloc(*size);
    if (bytes == NULL)
        return NULL;
    at = (unsigned char *)memcpy(at, &wire, sizeof wire) + sizeof wire;
    at = (unsigned char *)memcpy(at, method, wire.method_len) + wire.method_len;
    at = (unsigned char *)memcpy(at, call->url, wire.url_len) + wire.url_len;
    at = (unsigned char *)memcpy(at, type, wire.type_len) + wire.type_len;
    at = (unsigned char *)memcpy(at, headers, wire.headers_len) +
         wire.headers_len;
    if (call->len > 0)
        memcpy(at, call->body, call->len);
    return bytes;
}

/* 0: there is a reply, of whatever status. -NOT_FOUND: the facet is not
 * attached; -UNAVAILABLE: its circuit breaker is open, or nobody answered;
 * -TIMEOUT; -DENIED: a host that it does not allow; -INVALID; -TOO_LARGE. */
static inline int
plex_http_request(struct plex_ctx *ctx, const struct plex_http_call *call,
                  struct plex_http_reply *out)
{
    struct plex_http_wire_answer back;
    struct plex_http_wire_result result = {0, 1};
    struct plex_msg answer;
    const void *passed = NULL;
    size_t size = 0;
    void *bytes = plex_http_pack(call, &size);
    int status;

    *out = (struct plex_http_reply){0};
    if (bytes == NULL)
        return -1;
    status = plex_facet_invoke(ctx, "http_client", "request", bytes, size,
                               &passed, &size);
    free(bytes);
    if (status != 0)
        return status;
    memcpy(&result.ticket,
           (const unsigned char *)passed +
               offsetof(struct plex_http_wire, ticket),
           sizeof result.ticket);
    /* The worker keeps the time-out; this one only guards against its loss. */
    status = ctx->process == NULL ? -19
                                  : plex_ask(ctx, PLEX_SERVICE_HTTP, 0, passed,
                                             size, 3700000, &answer);
    if (status == 0 && answer.len < sizeof back)
        status = -9;
    if (status == 0) {
        memcpy(&back, answer.payload, sizeof back);
        status = back.status;
        out->status = back.http_status;
        out->content_type = (const char *)answer.payload + sizeof back;
        out->type_len = back.type_len;
        out->body = out->content_type + back.type_len;
        out->len = back.body_len;
        out->headers = (const char *)out->body + back.body_len;
        out->headers_len =
            answer.len - sizeof back - back.type_len - back.body_len;
    }
    result.failed = status != 0 || out->status >= 500;
    (void)plex_facet_invoke(ctx, "http_client", "result", &result,
                            sizeof result, NULL, NULL);
    return status;
}
static inline int
plex_http_get(struct plex_ctx *ctx, const char *url,
              struct plex_http_reply *out)
{
    const struct plex_http_call call = {.url = url};

    return plex_http_request(ctx, &call, out);
}

#endif
