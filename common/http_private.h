#ifndef COMMON_HTTP_PRIVATE_H
#define COMMON_HTTP_PRIVATE_H

#include "common/http.h"

#include <microhttpd.h>
#include <uv.h>

/* What http*.c share. */

/* One TCP connection. */
struct http_connection {
    struct http_connection *prev, *next;
    int fd;
    bool busy; /* a request has begun and is not finished */
};

enum exchange_state {
    EXCHANGE_NEW,      /* request line seen */
    EXCHANGE_READING,  /* headers seen, body coming */
    EXCHANGE_HANDLING, /* inside the handler's call */
    EXCHANGE_WAITING,  /* suspended, the handler will answer */
    EXCHANGE_ANSWERED, /* a response is queued */
    EXCHANGE_DROPPED,  /* could not be answered: cut the connection */
};

struct plex_http_exchange {
    struct plex_http *http;
    struct plex_http_exchange *prev, *next; /* live; `next` also pooled */
    struct http_connection *connection;
    struct MHD_Connection *mhd;
    enum exchange_state state;
    const char *method;
    char *uri; /* a copy: libmicrohttpd takes its own to pieces */
    size_t uri_cap;
    const char *query; /* into uri */
    struct plex_buf body;
    bool ambiguous;                  /* the length of its body is said twice */
    size_t discarded;                /* bytes of a body that is too large */
    struct plex_http_stream *stream; /* while its answer goes on */
    struct http_watch *watch;        /* for a client that leaves */
    void *user;
};

struct plex_http {
    struct plex_loop *loop;
    struct MHD_Daemon *mhd;
    uv_poll_t poll;
    struct plex_timer *timer;
    uint64_t timer_due; /* plex_now() scale, ns; 0: not armed */
    struct plex_task run_task;
    bool run_deferred;
    bool closed; /* free when neither libuv nor the task holds it */
    bool poll_open;
    bool draining;
    struct plex_http_config config;
    char addr[128];
    size_t pending;
    struct plex_http_exchange *live;
    struct plex_http_exchange *pool;
    size_t pooled;
    struct http_connection *connections;
};

/* Let libmicrohttpd work at the end of this iteration. */
void http_run_later(struct plex_http *http);
/* A listening socket; `real` gets the address with its real port. */
enum plex_status http_listen(const char *addr, int *fd, char *real,
                             size_t real_size, struct plex_err *err);

/* Queue `response`, which is then libmicrohttpd's. */
void http_respond(struct plex_http_exchange *ex, unsigned status,
                  const char *content_type,
                  const struct plex_http_header *headers,
                  struct MHD_Response *response);
/* -- http_gone.c: of an exchange that is watched -------------------------- */
void http_watch_end(struct plex_http_exchange *ex);
/* -- http_stream.c: of an exchange that has a stream ---------------------- */
void http_stream_drain(struct plex_http_exchange *ex);
/* Not suspended from here on: the server is about to stop. */
void http_stream_resume(struct plex_http_exchange *ex);
void http_stream_completed(struct plex_http_exchange *ex);

#endif
