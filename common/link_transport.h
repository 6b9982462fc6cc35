#ifndef COMMON_LINK_TRANSPORT_H
#define COMMON_LINK_TRANSPORT_H

#include "common/link_frame.h"
#include "common/loop.h"

/*
 * What moves frames for a link: chosen by the scheme of a URL. Private to
 * common/link*.c.
 *
 * All functions and events belong to the loop thread. Events never run inside
 * one of the functions. After a close no event runs any more.
 */
struct plex_inbox;
struct plex_outbox;

struct plex_inbox_events {
    /* `conn` names the sender's connection, unique in the process' life and
     * never 0. `frame` is borrowed for the call. */
    void (*frame)(void *arg, uint64_t conn, struct plex_bytes frame);
    /* That connection ended. May overtake its last frames. */
    void (*conn_lost)(void *arg, uint64_t conn);
};

struct plex_outbox_events {
    /* Frames may be sent now. */
    void (*connected)(void *arg);
    /* Frames sent so far may not have arrived. Dialling goes on by itself,
     * unless the outbox is closed: that is allowed in here. */
    void (*lost)(void *arg);
    /* plex_outbox_send may be used again. */
    void (*writable)(void *arg);
};

/* The first member of every implementation's struct. */
struct plex_inbox {
    const struct plex_transport *transport;
};
struct plex_outbox {
    const struct plex_transport *transport;
};

struct plex_transport {
    const char *scheme; /* "tcp://" */
    /* Errors: PLEX_INVALID (URL), PLEX_UNAVAILABLE (address in use). */
    enum plex_status (*inbox_open)(struct plex_inbox **out,
                                   struct plex_loop *loop, const char *url,
                                   const struct plex_inbox_events *events,
                                   void *arg, struct plex_err *err);
    /* As peers reach it: with the port the system chose for port 0. */
    const char *(*inbox_url)(const struct plex_inbox *inbox);
    void (*inbox_close)(struct plex_inbox *inbox);

    /* Starts dialling and never stops. Errors: PLEX_INVALID (URL). */
    enum plex_status (*outbox_open)(struct plex_outbox **out,
                                    struct plex_loop *loop, const char *url,
                                    const struct plex_outbox_events *events,
                                    void *arg, struct plex_err *err);
    /* While connected and writable. Takes the frame. False: it was taken, but
     * no more until writable() or lost(). */
    bool (*outbox_send)(struct plex_outbox *outbox, struct plex_frame *frame);
    /* Frames sent before are still delivered if the peer can take them. */
    void (*outbox_close)(struct plex_outbox *outbox);
};

/* By the scheme of `url`, NULL if there is none for it. */
const struct plex_transport *plex_transport_find(const char *url);

extern const struct plex_transport plex_transport_inproc;
extern const struct plex_transport plex_transport_tcp;
extern const struct plex_transport plex_transport_ipc;

#endif
