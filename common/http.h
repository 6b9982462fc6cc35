#ifndef COMMON_HTTP_H
#define COMMON_HTTP_H

#include "common/bytes.h"
#include "common/loop.h"

/*
 * HTTP/1.1 server over libmicrohttpd, driven by the service's own loop (its
 * epoll descriptor is watched; no thread of its own). Requests wait suspended
 * until they are answered, so a handler returns at once.
 */
struct plex_http;
struct plex_http_exchange; /* one request and its response */

struct plex_http_header {
    const char *name;
    const char *value;
};

/* Called once per request, when its body is complete. Answer now or later. */
typedef void (*plex_http_fn)(void *arg, struct plex_http_exchange *exchange);

struct plex_http_config {
    const char *addr;  /* "127.0.0.1:8080", "[::1]:0" */
    size_t body_max;   /* bytes; more is answered 413 (problem+json) */
    size_t header_max; /* bytes of request line and headers, e.g. 32 KiB */
    uint32_t connections_max;
    uint32_t idle_s;    /* keep-alive and slow-request timeout */
    const char *source; /* of problems made here: the daemon's name; borrowed */
    plex_http_fn handle;
    void *arg;
};

PLEX_MUST_USE enum plex_status plex_http_open(struct plex_http **out,
                                              struct plex_loop *loop,
                                              const struct plex_http_config *c,
                                              struct plex_err *err);
/* Refuse new connections and close idle ones; requests go on, streams end. */
void plex_http_drain(struct plex_http *http);
size_t plex_http_pending(const struct plex_http *http);
/* Every exchange must have been answered or is dropped. Accepts NULL. */
void plex_http_close(struct plex_http *http);
/* "127.0.0.1:8080", with the real port. */
const char *plex_http_addr(const struct plex_http *http);

/* The request, borrowed until answered. */
const char *plex_http_method(const struct plex_http_exchange *ex);
/* As sent, percent-encoding untouched: path without query; query without '?'
 * ("" when none). Length-checked by header_max. */
const char *plex_http_path(const struct plex_http_exchange *ex);
const char *plex_http_query(const struct plex_http_exchange *ex);
/* NULL when absent; the first when repeated. Case-insensitive. */
const char *plex_http_request_header(const struct plex_http_exchange *ex,
                                     const char *name);
void plex_http_each_header(const struct plex_http_exchange *ex,
                           void (*each)(void *arg, const char *name,
                                        const char *value),
                           void *arg);
struct plex_bytes plex_http_body(const struct plex_http_exchange *ex);
/* True once the client is gone. */
bool plex_http_gone(const struct plex_http_exchange *ex);
/* Be told of it, once, as long as the exchange is not answered; which it must
 * be, then too. At most once per exchange. */
void plex_http_on_gone(struct plex_http_exchange *ex, void (*fn)(void *arg),
                       void *arg);
/* A word of the handler's own, NULL at first. */
void **plex_http_user(struct plex_http_exchange *ex);

/* Answer; the exchange is then gone. Body and headers are copied. `headers`
 * ends with a NULL name and may be NULL. */
void plex_http_respond(struct plex_http_exchange *ex, unsigned status,
                       const char *content_type,
                       const struct plex_http_header *headers,
                       struct plex_bytes body);
/* RFC 9457 application/problem+json. */
struct plex_http_problem {
    unsigned status;
    const char *code;       /* "ACTOR_TYPE_NOT_FOUND" */
    const char *detail;     /* UTF-8 */
    const char *source;     /* "gateway" | "actor" | the daemon's name */
    const char *request_id; /* "" leaves it out */
};
void plex_http_respond_problem(struct plex_http_exchange *ex,
                               const struct plex_http_problem *problem,
                               const struct plex_http_header *headers);

/*
 * An answer without an end: what is written goes out as chunks at once, e.g.
 * server-sent events. `closed` is called once, when the client has gone, the
 * server drains or closes; from then on the stream is not to be used. A client
 * that says nothing any more is noticed at a beat.
 */
struct plex_http_stream;
struct plex_http_stream_config {
    size_t buffer_max; /* bytes waiting for a slow client */
    const char *beat;  /* written in silence, ":\n\n"; static; NULL: none */
    uint32_t beat_ms;
    void (*closed)(void *arg);
    void *arg;
};
/* Instead of plex_http_respond(): the exchange is then gone. */
struct plex_http_stream *plex_http_stream_begin(
    struct plex_http_exchange *ex, unsigned status, const char *content_type,
    const struct plex_http_header *headers,
    const struct plex_http_stream_config *config);
/* All of `bytes`, or false: the client is too slow, nothing was written. */
bool plex_http_stream_write(struct plex_http_stream *stream,
                            struct plex_bytes bytes);
/* Send what was written and finish; closed() is not called, and the stream is
 * gone. Not from inside closed(). */
void plex_http_stream_end(struct plex_http_stream *stream);

/* Percent-decode `len` bytes of `text` into `out` (room for len + 1), NUL
 * terminated. '+' stays '+' unless `plus_is_space`. PLEX_INVALID for a bad
 * escape or a decoded NUL. */
PLEX_MUST_USE enum plex_status plex_http_unescape(const char *text, size_t len,
                                                  bool plus_is_space, char *out,
                                                  struct plex_err *err);

#endif
