/*
 * inproc://name: frames handed over as heap buffers between loops of one
 * process, or to the same loop. One mutex guards the registry and all queues:
 * it is held for a few instructions per frame, never while code of others
 * runs. A receiver is woken once for all frames it has not looked at yet.
 */
#include "common/link_transport.h"

#include "common/link.h"
#include "common/mem.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct inproc_outbox;

struct inproc_inbox {
    struct plex_inbox base;
    struct plex_loop *loop;
    const struct plex_inbox_events *events;
    void *arg;
    char *url;
    struct inproc_inbox *next; /* in the registry */
    /* Guarded by the registry's lock. */
    struct plex_frame *head; /* a frame without data: its conn is lost */
    struct plex_frame **tail;
    size_t bytes;
    struct inproc_outbox *outboxes; /* connected ones */
    bool posted;
    bool closed;
    struct plex_task task;
};

struct inproc_outbox {
    struct plex_outbox base;
    struct plex_loop *loop;
    const struct plex_outbox_events *events;
    void *arg;
    char *url;
    bool up;                    /* loop thread: what the link was told */
    struct inproc_outbox *next; /* of the inbox, or of those that dial */
    /* Guarded by the registry's lock. */
    struct inproc_inbox *inbox; /* NULL: dialling */
    uint64_t conn;              /* 0: dialling */
    bool lost;                  /* since the task last ran */
    bool blocked;               /* wants writable() */
    bool posted;
    bool closed;
    struct plex_task task;
};

/* The one thing of the suite that a process has only one of. */
static struct {
    pthread_mutex_t lock;
    struct inproc_inbox *inboxes;
    struct inproc_outbox *dialling;
    uint64_t last_conn;
} registry = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Under the lock. */
static void
outbox_post(struct inproc_outbox *outbox)
{
    if (outbox->posted)
        return;
    outbox->posted = true;
    plex_loop_post(outbox->loop, &outbox->task);
}

/* Under the lock; returns who is to be woken without it. */
static struct plex_loop *
inbox_push(struct inproc_inbox *inbox, struct plex_frame *frame)
{
    frame->next = NULL;
    *inbox->tail = frame;
    inbox->tail = &frame->next;
    inbox->bytes += frame->len;
    if (inbox->posted)
        return NULL;
    inbox->posted = true;
    return plex_loop_put(inbox->loop, &inbox->task);
}

static struct inproc_inbox *
inbox_find(const char *url)
{
    struct inproc_inbox *inbox = registry.inboxes;

    while (inbox != NULL && strcmp(inbox->url, url) != 0)
        inbox = inbox->next;
    return inbox;
}

/* Under the lock. */
static void
outbox_attach(struct inproc_outbox *outbox, struct inproc_inbox *inbox)
{
    outbox->inbox = inbox;
    outbox->conn = ++registry.last_conn;
    outbox->next = inbox->outboxes;
    inbox->outboxes = outbox;
    outbox_post(outbox);
}

/* Under the lock. */
static void
outbox_dial(struct inproc_outbox *outbox)
{
    struct inproc_inbox *inbox = inbox_find(outbox->url);

    if (inbox != NULL) {
        outbox_attach(outbox, inbox);
        return;
    }
    outbox->next = registry.dialling;
    registry.dialling = outbox;
}

static void
outbox_unlink(struct inproc_outbox *outbox)
{
    struct inproc_outbox **at =
        outbox->inbox != NULL ? &outbox->inbox->outboxes : &registry.dialling;

    while (*at != outbox)
        at = &(*at)->next;
    *at = outbox->next;
}

static void
inbox_free(struct inproc_inbox *inbox)
{
    struct plex_frame *next;

    for (struct plex_frame *frame = inbox->head; frame != NULL; frame = next) {
        next = frame->next;
        plex_frame_free(frame);
    }
    free(inbox->url);
    free(inbox);
}

/* Take all frames and let blocked senders go on. */
static struct plex_frame *
inbox_take(struct inproc_inbox *inbox, bool *closed)
{
    struct plex_frame *frames;

    pthread_mutex_lock(&registry.lock);
    inbox->posted = false;
    *closed = inbox->closed;
    frames = inbox->closed ? NULL : inbox->head;
    if (!inbox->closed) {
        inbox->head = NULL;
        inbox->tail = &inbox->head;
        inbox->bytes = 0;
        for (struct inproc_outbox *o = inbox->outboxes; o != NULL; o = o->next)
            if (o->blocked)
                outbox_post(o);
    }
    pthread_mutex_unlock(&registry.lock);
    return frames;
}

static void
inbox_run(struct plex_task *task)
{
    struct inproc_inbox *inbox =
        plex_container_of(task, struct inproc_inbox, task);
    struct plex_frame *frame, *next;
    bool closed;

    frame = inbox_take(inbox, &closed);
    if (closed) {
        inbox_free(inbox);
        return;
    }
    for (; frame != NULL; frame = next) {
        next = frame->next;
        if (frame->data == NULL)
            inbox->events->conn_lost(inbox->arg, frame->conn);
        else
            inbox->events->frame(inbox->arg, frame->conn,
                                 (struct plex_bytes){frame->data, frame->len});
        plex_frame_free(frame);
    }
}

static enum plex_status
inproc_inbox_open(struct plex_inbox **out, struct plex_loop *loop,
                  const char *url, const struct plex_inbox_events *events,
                  void *arg, struct plex_err *err)
{
    struct inproc_inbox *inbox;
    struct inproc_outbox *outbox, *next, *dialling;

    pthread_mutex_lock(&registry.lock);
    if (inbox_find(url) != NULL) {
        pthread_mutex_unlock(&registry.lock);
        return plex_err_set(err, PLEX_UNAVAILABLE,
                            "could not listen on %.150s: address in use", url);
    }
    inbox = plex_calloc(1, sizeof *inbox);
    inbox->base.transport = &plex_transport_inproc;
    inbox->loop = loop;
    inbox->events = events;
    inbox->arg = arg;
    inbox->url = plex_strdup(url);
    inbox->tail = &inbox->head;
    inbox->task.run = inbox_run;
    inbox->next = registry.inboxes;
    registry.inboxes = inbox;
    dialling = registry.dialling;
    registry.dialling = NULL;
    for (outbox = dialling; outbox != NULL; outbox = next) {
        next = outbox->next;
        outbox_dial(outbox);
    }
    pthread_mutex_unlock(&registry.lock);
    *out = &inbox->base;
    return PLEX_OK;
}

static const char *
inproc_inbox_url(const struct plex_inbox *base)
{
    return plex_container_of(base, struct inproc_inbox, base)->url;
}

static void
inproc_inbox_close(struct plex_inbox *base)
{
    struct inproc_inbox *inbox =
        plex_container_of(base, struct inproc_inbox, base);
    struct inproc_inbox **at;
    struct inproc_outbox *outbox;
    bool posted;

    pthread_mutex_lock(&registry.lock);
    for (at = &registry.inboxes; *at != inbox; at = &(*at)->next)
        ;
    *at = inbox->next;
    while ((outbox = inbox->outboxes) != NULL) {
        inbox->outboxes = outbox->next;
        outbox->inbox = NULL;
        outbox->conn = 0;
        outbox->lost = true;
        outbox_dial(outbox);
        outbox_post(outbox);
    }
    inbox->closed = true;
    posted = inbox->posted;
    pthread_mutex_unlock(&registry.lock);
    if (!posted) /* else the task frees it */
        inbox_free(inbox);
}

static void
outbox_free(struct inproc_outbox *outbox)
{
    free(outbox->url);
    free(outbox);
}

/* Tell the link how things stand now; what happened in between collapses. */
static void
outbox_run(struct plex_task *task)
{
    struct inproc_outbox *outbox =
        plex_container_of(task, struct inproc_outbox, task);
    bool closed, lost, up, writable;

    pthread_mutex_lock(&registry.lock);
    outbox->posted = false;
    closed = outbox->closed;
    lost = outbox->lost;
    outbox->lost = false;
    up = outbox->inbox != NULL;
    writable = outbox->blocked;
    outbox->blocked = false;
    pthread_mutex_unlock(&registry.lock);
    if (closed) {
        outbox_free(outbox);
        return;
    }
    /* Of these at most one may close the outbox: lost(), which returns. */
    if (lost && outbox->up) {
        outbox->up = false;
        if (up) {
            pthread_mutex_lock(&registry.lock);
            outbox_post(outbox); /* connected() next time */
            pthread_mutex_unlock(&registry.lock);
        }
        outbox->events->lost(outbox->arg);
    } else if (up && !outbox->up) {
        outbox->up = true;
        outbox->events->connected(outbox->arg);
    } else if (up && writable) {
        outbox->events->writable(outbox->arg);
    }
}

static enum plex_status
inproc_outbox_open(struct plex_outbox **out, struct plex_loop *loop,
                   const char *url, const struct plex_outbox_events *events,
                   void *arg, struct plex_err *err)
{
    struct inproc_outbox *outbox = plex_calloc(1, sizeof *outbox);

    (void)err;
    outbox->base.transport = &plex_transport_inproc;
    outbox->loop = loop;
    outbox->events = events;
    outbox->arg = arg;
    outbox->url = plex_strdup(url);
    outbox->task.run = outbox_run;
    pthread_mutex_lock(&registry.lock);
    outbox_dial(outbox);
    pthread_mutex_unlock(&registry.lock);
    *out = &outbox->base;
    return PLEX_OK;
}

static bool
inproc_outbox_send(struct plex_outbox *base, struct plex_frame *frame)
{
    struct inproc_outbox *outbox =
        plex_container_of(base, struct inproc_outbox, base);
    struct inproc_inbox *inbox;
    struct plex_loop *asleep = NULL;
    bool more = false;

    pthread_mutex_lock(&registry.lock);
    inbox = outbox->inbox;
    /* Lost and back again since the link was told: also lost to it. */
    if (inbox != NULL && !outbox->lost) {
        frame->conn = outbox->conn;
        asleep = inbox_push(inbox, frame);
        frame = NULL;
        more = inbox->bytes < PLEX_LINK_QUEUE_MAX;
        outbox->blocked = !more;
    }
    pthread_mutex_unlock(&registry.lock);
    plex_loop_wake(asleep);
    plex_frame_free(frame);
    return more;
}

static void
inproc_outbox_close(struct plex_outbox *base)
{
    struct inproc_outbox *outbox =
        plex_container_of(base, struct inproc_outbox, base);
    struct plex_frame *end;
    struct plex_loop *asleep = NULL;
    bool posted;

    pthread_mutex_lock(&registry.lock);
    outbox_unlink(outbox);
    if (outbox->inbox != NULL) {
        end = plex_calloc(1, sizeof *end);
        end->conn = outbox->conn;
        asleep = inbox_push(outbox->inbox, end);
    }
    outbox->closed = true;
    posted = outbox->posted;
    pthread_mutex_unlock(&registry.lock);
    plex_loop_wake(asleep);
    if (!posted) /* else the task frees it */
        outbox_free(outbox);
}

const struct plex_transport plex_transport_inproc = {
    .scheme = "inproc://",
    .inbox_open = inproc_inbox_open,
    .inbox_url = inproc_inbox_url,
    .inbox_close = inproc_inbox_close,
    .outbox_open = inproc_outbox_open,
    .outbox_send = inproc_outbox_send,
    .outbox_close = inproc_outbox_close,
};
