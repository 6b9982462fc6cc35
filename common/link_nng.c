/*
 * tcp:// over nng: one PULL socket per inbox, one PUSH socket per
 * outbox. nng's threads note what happened under a lock and post one task;
 * everything else is done by the loop. Nothing is given to nng unless a pipe
 * is up and idle or at most one frame waits, so the link knows what surely
 * never left. PUSH's own send buffer stays at 0 for the same reason.
 */
#include "common/link_transport.h"

#include "common/link.h"
#include "common/log.h"
#include "common/mem.h"

#include <assert.h>
#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    RECONNECT_MIN_MS = 10,
    RECONNECT_MAX_MS = 100,
    LAST_FRAME_MS = 100, /* a frame under way is waited for when closing */
};

/* A message that came in, or the end of a pipe when `msg` is NULL. */
struct nng_item {
    nng_msg *msg;
    uint64_t conn;
};

struct nng_items {
    struct nng_item *at;
    size_t count;
    size_t cap;
    size_t bytes;
};

struct nng_inbox {
    struct plex_inbox base;
    struct plex_loop *loop;
    const struct plex_inbox_events *events;
    void *arg;
    char *url;
    nng_socket socket;
    nng_aio *aio;
    struct nng_items taken; /* loop thread */
    pthread_mutex_t lock;   /* guards the rest */
    struct nng_items queue;
    bool paused; /* the queue is full: no receive is under way */
    bool posted;
    bool closed;
    struct plex_task task;
};

struct nng_outbox {
    struct plex_outbox base;
    struct plex_loop *loop;
    const struct plex_outbox_events *events;
    void *arg;
    nng_socket socket;
    nng_aio *aio;
    bool up;              /* loop thread: what the link was told */
    bool sending;         /* loop thread: aio holds a frame */
    pthread_cond_t done;  /* aio came back */
    pthread_mutex_t lock; /* guards the rest */
    int pipe;             /* id of the one that is up, 0: none */
    int gone;             /* id of the one that ended last */
    bool lost;            /* a pipe ended since the task last ran */
    bool sent;            /* aio came back since then */
    bool posted;
    bool closed;
    struct plex_task task;
};

static enum plex_status
open_error(struct plex_err *err, const char *doing, const char *url, int rv)
{
    const bool bad_url =
        rv == NNG_EADDRINVAL || rv == NNG_EINVAL || rv == NNG_ENOTSUP;

    return plex_err_set(err, bad_url ? PLEX_INVALID : PLEX_UNAVAILABLE,
                        "could not %s %.150s: %s", doing, url,
                        nng_strerror(rv));
}

/* -- inbox --------------------------------------------------------------- */

/* Under the lock. */
static void
inbox_push(struct nng_inbox *inbox, nng_msg *msg, uint64_t conn)
{
    struct nng_items *queue = &inbox->queue;

    if (queue->count == queue->cap) {
        queue->cap = queue->cap == 0 ? 64 : queue->cap * 2;
        queue->at =
            plex_reallocarray(queue->at, queue->cap, sizeof queue->at[0]);
    }
    queue->at[queue->count++] = (struct nng_item){msg, conn};
    queue->bytes += msg == NULL ? 0 : nng_msg_len(msg);
    if (!inbox->posted) {
        inbox->posted = true;
        plex_loop_post(inbox->loop, &inbox->task);
    }
}

static uint64_t
msg_conn(nng_msg *msg)
{
    return (uint64_t)nng_pipe_id(nng_msg_get_pipe(msg));
}

/* nng thread. */
static void
inbox_received(void *arg)
{
    struct nng_inbox *inbox = arg;
    nng_msg *msg;
    bool more;

    if (nng_aio_result(inbox->aio) != 0)
        return; /* closed or stopped: nothing else fails a receive */
    msg = nng_aio_get_msg(inbox->aio);
    pthread_mutex_lock(&inbox->lock);
    inbox_push(inbox, msg, msg_conn(msg));
    more = inbox->queue.bytes < PLEX_LINK_QUEUE_MAX;
    inbox->paused = !more;
    pthread_mutex_unlock(&inbox->lock);
    if (more)
        nng_recv_aio(inbox->socket, inbox->aio);
}

/* nng thread. */
static void
inbox_pipe(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct nng_inbox *inbox = arg;

    (void)event; /* only NNG_PIPE_EV_REM_POST is asked for */
    pthread_mutex_lock(&inbox->lock);
    if (!inbox->closed)
        inbox_push(inbox, NULL, (uint64_t)nng_pipe_id(pipe));
    pthread_mutex_unlock(&inbox->lock);
}

static void
items_clear(struct nng_items *items)
{
    for (size_t i = 0; i < items->count; i++)
        if (items->at[i].msg != NULL)
            nng_msg_free(items->at[i].msg);
    items->count = 0;
    items->bytes = 0;
}

static void
inbox_free(struct nng_inbox *inbox)
{
    items_clear(&inbox->queue);
    free(inbox->queue.at);
    free(inbox->taken.at);
    pthread_mutex_destroy(&inbox->lock);
    free(inbox->url);
    free(inbox);
}

static void
inbox_run(struct plex_task *task)
{
    struct nng_inbox *inbox = plex_container_of(task, struct nng_inbox, task);
    const struct nng_items spare = inbox->taken;
    bool closed, paused;

    pthread_mutex_lock(&inbox->lock);
    inbox->posted = false;
    closed = inbox->closed;
    paused = inbox->paused;
    inbox->paused = false;
    if (!closed) {
        inbox->taken = inbox->queue;
        inbox->queue = spare;
    }
    pthread_mutex_unlock(&inbox->lock);
    if (closed) {
        inbox_free(inbox);
        return;
    }
    if (paused)
        nng_recv_aio(inbox->socket, inbox->aio);
    for (size_t i = 0; i < inbox->taken.count; i++) {
        const struct nng_item *item = &inbox->taken.at[i];

        if (item->msg == NULL) {
            inbox->events->conn_lost(inbox->arg, item->conn);
            continue;
        }
        inbox->events->frame(inbox->arg, item->conn,
                             (struct plex_bytes){nng_msg_body(item->msg),
                                                 nng_msg_len(item->msg)});
    }
    items_clear(&inbox->taken);
}

/* The URL given, or with the port the system chose. */
static char *
listener_url(nng_listener listener, const char *url)
{
    char text[PLEX_FRAME_URL_MAX + 1];
    const char *colon = strrchr(url, ':');
    int port = 0;

    if (strncmp(url, "tcp://", 6) != 0 || strcmp(colon, ":0") != 0 ||
        nng_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port) != 0)
        return plex_strdup(url);
    (void)snprintf(text, sizeof text, "%.*s:%d", (int)(colon - url), url, port);
    return plex_strdup(text);
}

static int
inbox_listen(struct nng_inbox *inbox, const char *url)
{
    nng_listener listener;
    int rv;

    if ((rv = nng_pull0_open(&inbox->socket)) != 0)
        return rv;
    if ((rv = nng_socket_set_size(inbox->socket, NNG_OPT_RECVMAXSZ,
                                  PLEX_LINK_FRAME_MAX)) != 0 ||
        (rv = nng_pipe_notify(inbox->socket, NNG_PIPE_EV_REM_POST, inbox_pipe,
                              inbox)) != 0 ||
        (rv = nng_aio_alloc(&inbox->aio, inbox_received, inbox)) != 0 ||
        (rv = nng_listen(inbox->socket, url, &listener, 0)) != 0) {
        nng_close(inbox->socket);
        if (inbox->aio != NULL)
            nng_aio_free(inbox->aio);
        return rv;
    }
    inbox->url = listener_url(listener, url);
    return 0;
}

static enum plex_status
nng_inbox_open(struct plex_inbox **out, struct plex_loop *loop, const char *url,
               const struct plex_inbox_events *events, void *arg,
               struct plex_err *err)
{
    struct nng_inbox *inbox = plex_calloc(1, sizeof *inbox);
    int rv;

    inbox->base.transport = plex_transport_find(url);
    inbox->loop = loop;
    inbox->events = events;
    inbox->arg = arg;
    inbox->task.run = inbox_run;
    pthread_mutex_init(&inbox->lock, NULL);
    if ((rv = inbox_listen(inbox, url)) != 0) {
        inbox_free(inbox);
        return open_error(err, "listen on", url, rv);
    }
    nng_recv_aio(inbox->socket, inbox->aio);
    *out = &inbox->base;
    return PLEX_OK;
}

static const char *
nng_inbox_url(const struct plex_inbox *base)
{
    return plex_container_of(base, struct nng_inbox, base)->url;
}

static void
nng_inbox_close(struct plex_inbox *base)
{
    struct nng_inbox *inbox = plex_container_of(base, struct nng_inbox, base);
    bool posted;

    nng_aio_stop(inbox->aio);
    nng_close(inbox->socket); /* returns when all pipes are gone */
    nng_aio_free(inbox->aio);
    pthread_mutex_lock(&inbox->lock);
    inbox->closed = true;
    posted = inbox->posted;
    pthread_mutex_unlock(&inbox->lock);
    if (!posted) /* else the task frees it */
        inbox_free(inbox);
}

/* -- outbox -------------------------------------------------------------- */

/* Under the lock. */
static void
outbox_post(struct nng_outbox *outbox)
{
    if (outbox->posted)
        return;
    outbox->posted = true;
    plex_loop_post(outbox->loop, &outbox->task);
}

/* nng thread. */
static void
outbox_pipe(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct nng_outbox *outbox = arg;
    const int id = nng_pipe_id(pipe);

    pthread_mutex_lock(&outbox->lock);
    /* Two threads of nng: a pipe's end may be told before its beginning. */
    if (event == NNG_PIPE_EV_ADD_POST) {
        if (id != outbox->gone)
            outbox->pipe = id;
    } else {
        outbox->gone = id;
        if (outbox->pipe == id) {
            outbox->pipe = 0;
            outbox->lost = true;
        }
    }
    outbox_post(outbox);
    pthread_mutex_unlock(&outbox->lock);
}

/* nng thread. */
static void
outbox_sent(void *arg)
{
    struct nng_outbox *outbox = arg;

    pthread_mutex_lock(&outbox->lock);
    outbox->sent = true;
    pthread_cond_signal(&outbox->done);
    outbox_post(outbox);
    pthread_mutex_unlock(&outbox->lock);
}

static void
outbox_free(struct nng_outbox *outbox)
{
    pthread_cond_destroy(&outbox->done);
    pthread_mutex_destroy(&outbox->lock);
    free(outbox);
}

/* The aio is back on the loop: a failed send left us the message. */
static void
outbox_reclaim(struct nng_outbox *outbox)
{
    if (!outbox->sending)
        return;
    outbox->sending = false;
    if (nng_aio_result(outbox->aio) != 0)
        nng_msg_free(nng_aio_get_msg(outbox->aio));
    nng_aio_set_msg(outbox->aio, NULL);
}

/* Tell the link how things stand now; what happened in between collapses. */
static void
outbox_run(struct plex_task *task)
{
    struct nng_outbox *outbox =
        plex_container_of(task, struct nng_outbox, task);
    bool closed, lost, sent, up;

    pthread_mutex_lock(&outbox->lock);
    outbox->posted = false;
    closed = outbox->closed;
    lost = outbox->lost;
    sent = outbox->sent;
    up = outbox->pipe != 0;
    outbox->lost = false;
    outbox->sent = false;
    if (!closed && lost && outbox->up && up)
        outbox_post(outbox); /* connected() next time */
    pthread_mutex_unlock(&outbox->lock);
    if (closed) {
        outbox_free(outbox);
        return;
    }
    if (sent)
        outbox_reclaim(outbox);
    if (lost && outbox->up) {
        if (outbox->sending) {
            /* The frame counts as lost: it must not reach a new pipe. */
            nng_aio_cancel(outbox->aio);
            nng_aio_wait(outbox->aio);
            outbox_reclaim(outbox);
            pthread_mutex_lock(&outbox->lock);
            outbox->sent = false; /* of the frame just reclaimed */
            pthread_mutex_unlock(&outbox->lock);
        }
        outbox->up = false;
        outbox->events->lost(outbox->arg);
    } else if (up && !outbox->up) {
        outbox->up = true;
        outbox->events->connected(outbox->arg);
    } else if (up && sent) {
        outbox->events->writable(outbox->arg);
    }
}

static int
outbox_dial(struct nng_outbox *outbox, const char *url)
{
    int rv;

    if ((rv = nng_push0_open(&outbox->socket)) != 0)
        return rv;
    if ((rv = nng_socket_set_ms(outbox->socket, NNG_OPT_RECONNMINT,
                                RECONNECT_MIN_MS)) != 0 ||
        (rv = nng_socket_set_ms(outbox->socket, NNG_OPT_RECONNMAXT,
                                RECONNECT_MAX_MS)) != 0 ||
        (rv = nng_pipe_notify(outbox->socket, NNG_PIPE_EV_ADD_POST, outbox_pipe,
                              outbox)) != 0 ||
        (rv = nng_pipe_notify(outbox->socket, NNG_PIPE_EV_REM_POST, outbox_pipe,
                              outbox)) != 0 ||
        (rv = nng_aio_alloc(&outbox->aio, outbox_sent, outbox)) != 0 ||
        (rv = nng_dial(outbox->socket, url, NULL, NNG_FLAG_NONBLOCK)) != 0) {
        nng_close(outbox->socket);
        if (outbox->aio != NULL)
            nng_aio_free(outbox->aio);
        return rv;
    }
    return 0;
}

static enum plex_status
nng_outbox_open(struct plex_outbox **out, struct plex_loop *loop,
                const char *url, const struct plex_outbox_events *events,
                void *arg, struct plex_err *err)
{
    struct nng_outbox *outbox = plex_calloc(1, sizeof *outbox);
    int rv;

    outbox->base.transport = plex_transport_find(url);
    outbox->loop = loop;
    outbox->events = events;
    outbox->arg = arg;
    outbox->task.run = outbox_run;
    pthread_cond_init(&outbox->done, NULL);
    pthread_mutex_init(&outbox->lock, NULL);
    if ((rv = outbox_dial(outbox, url)) != 0) {
        outbox_free(outbox);
        return open_error(err, "connect to", url, rv);
    }
    *out = &outbox->base;
    return PLEX_OK;
}

static bool
nng_outbox_send(struct plex_outbox *base, struct plex_frame *frame)
{
    struct nng_outbox *outbox =
        plex_container_of(base, struct nng_outbox, base);
    nng_msg *msg;

    assert(outbox->up && !outbox->sending);
    if (nng_msg_alloc(&msg, frame->len) != 0) {
        plex_log(PLEX_LOG_ERROR, "out-of-memory", "exiting");
        _exit(111);
    }
    memcpy(nng_msg_body(msg), frame->data, frame->len);
    plex_frame_free(frame);
    /* The usual case costs no hand-over to another thread. */
    if (nng_sendmsg(outbox->socket, msg, NNG_FLAG_NONBLOCK) == 0)
        return true;
    nng_aio_set_msg(outbox->aio, msg);
    outbox->sending = true;
    nng_send_aio(outbox->socket, outbox->aio);
    return false;
}

/* Let a frame that waits for the pipe go, if it can soon. */
static void
outbox_linger(struct nng_outbox *outbox)
{
    struct timespec until;

    if (!outbox->sending || !outbox->up)
        return;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += LAST_FRAME_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&outbox->lock);
    while (!outbox->sent &&
           pthread_cond_clockwait(&outbox->done, &outbox->lock, CLOCK_MONOTONIC,
                                  &until) == 0)
        ;
    pthread_mutex_unlock(&outbox->lock);
}

static void
nng_outbox_close(struct plex_outbox *base)
{
    struct nng_outbox *outbox =
        plex_container_of(base, struct nng_outbox, base);
    bool posted;

    outbox_linger(outbox);
    nng_aio_stop(outbox->aio);
    outbox_reclaim(outbox);
    nng_close(outbox->socket); /* returns when its pipe is gone */
    nng_aio_free(outbox->aio);
    pthread_mutex_lock(&outbox->lock);
    outbox->closed = true;
    posted = outbox->posted;
    pthread_mutex_unlock(&outbox->lock);
    if (!posted) /* else the task frees it */
        outbox_free(outbox);
}

const struct plex_transport plex_transport_tcp = {
    .scheme = "tcp://",
    .inbox_open = nng_inbox_open,
    .inbox_url = nng_inbox_url,
    .inbox_close = nng_inbox_close,
    .outbox_open = nng_outbox_open,
    .outbox_send = nng_outbox_send,
    .outbox_close = nng_outbox_close,
};
