/* A link's life, its clock, and the frames that come in. */
#include "common/link_impl.h"
#include "common/log.h"
#include "common/mem.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NS_PER_MS = 1000000, NS_PER_S = 1000000000 };

const struct plex_transport *
plex_transport_find(const char *url)
{
    static const struct plex_transport *const transports[] = {
        &plex_transport_inproc, &plex_transport_tcp, &plex_transport_ipc};

    for (size_t i = 0; i < sizeof transports / sizeof transports[0]; i++)
        if (strncmp(url, transports[i]->scheme,
                    strlen(transports[i]->scheme)) == 0)
            return transports[i];
    return NULL;
}

/* -- incoming
 * ------------------------------------------------------------------ */

/* A peer that sends rubbish must not fill the disk with our complaints. */
static void
log_bad(struct plex_link *link, const struct plex_err *err)
{
    const uint64_t now = plex_now();

    link->metrics.frames_bad->value++;
    if (link->bad_logged_at != 0 && now - link->bad_logged_at < NS_PER_S)
        return;
    link->bad_logged_at = now;
    plex_log(PLEX_LOG_WARN, "link-frame-bad", "frame dropped: %s", err->text);
}

/* What a frame's head says about its sender. True: what we sent before may be
 * lost. */
static bool
note_sender(struct link_peer *peer, const struct plex_frame_head *head,
            uint64_t conn)
{
    bool lost = false;

    if (peer->conn != conn) {
        if (peer->conn != 0) {
            link_served_abandon(peer);
            lost = true;
        }
        peer->conn = conn;
    }
    if (peer->incarnation != head->incarnation) {
        if (peer->incarnation != 0) {
            link_served_abandon(peer);
            lost = lost || !peer->may_restart;
        }
        peer->incarnation = head->incarnation;
        peer->may_restart = false;
        link_peer_cut(peer); /* frames name the incarnation they are for */
    }
    return lost;
}

static void
dispatch(struct link_peer *peer, const struct plex_envelope *envelope,
         bool for_us)
{
    switch (envelope->kind) {
    case PLEX_ENVELOPE_REQUEST:
    case PLEX_ENVELOPE_EVENT:
        link_serve_request(peer, envelope);
        break;
    case PLEX_ENVELOPE_REPLY:
        if (for_us)
            link_call_reply(peer->link, envelope);
        break;
    case PLEX_ENVELOPE_CANCEL:
        link_serve_cancel(peer, envelope->id);
        break;
    }
}

static void
on_frame(void *arg, uint64_t conn, struct plex_bytes bytes)
{
    struct plex_link *link = arg;
    struct plex_frame_reader frame;
    struct plex_envelope envelope;
    struct link_peer *peer;
    struct plex_err err;
    enum plex_status status;
    uint64_t handed;
    bool lost, for_us;

    link->metrics.frames_received->value++;
    link->metrics.bytes_received->value += bytes.len;
    if (plex_frame_open(&frame, bytes, &err) != PLEX_OK ||
        (peer = link_peer_get(link, (const char *)frame.head.from.data,
                              frame.head.from.len, &err)) == NULL) {
        log_bad(link, &err);
        return;
    }
    handed = peer->handed;
    lost = note_sender(peer, &frame.head, conn);
    for_us = frame.head.to_incarnation == 0 ||
             frame.head.to_incarnation == link->incarnation;
    while ((status = plex_frame_next(&frame, &envelope, &err)) == PLEX_OK) {
        link->metrics.envelopes_received->value++;
        dispatch(peer, &envelope, for_us);
    }
    if (status != PLEX_NOT_FOUND)
        log_bad(link, &err);
    /* Last, so that answers which did arrive count. */
    if (lost)
        link_calls_lost(peer, handed, "restarted or lost its connection");
}

static void
on_conn_lost(void *arg, uint64_t conn)
{
    struct plex_link *link = arg;
    struct link_peer *peer;

    for (size_t i = 0; i < link->peer_buckets; i++)
        for (peer = link->peers[i]; peer != NULL; peer = peer->next) {
            if (peer->conn != conn)
                continue;
            peer->conn = 0;
            peer->may_restart = true;
            link_served_abandon(peer);
            link_calls_lost(peer, peer->handed, "was lost");
            link->reap = true;
        }
    if (link->reap)
        link_defer_flush(link);
}

static const struct plex_inbox_events inbox_events = {
    .frame = on_frame,
    .conn_lost = on_conn_lost,
};

/* -- clock and deferred work
 * ----------------------------------------------------- */

void
link_timer_update(struct plex_link *link)
{
    const struct link_deadline *first;
    uint64_t now;

    if (link->heap.count == 0)
        return; /* an armed timer fires once for nothing, then never again */
    first = link->heap.at[0];
    if (link->timer_at != 0 && link->timer_at <= first->at)
        return;
    link->timer_at = first->at;
    now = plex_now();
    plex_timer_start(
        link->timer,
        first->at <= now ? 0 : (first->at - now + NS_PER_MS - 1) / NS_PER_MS);
}

static void
on_timer(void *arg)
{
    struct plex_link *link = arg;
    const uint64_t now = plex_now();

    link->timer_at = 0;
    while (link->heap.count > 0 && link->heap.at[0]->at <= now) {
        struct link_deadline *first = link->heap.at[0];

        link_heap_remove(&link->heap, first);
        first->expired(first);
    }
    link_timer_update(link);
}

static void
link_free(struct plex_link *link)
{
    if (!link->closed || link->deferred || link->posted)
        return; /* the last of the tasks does it */
    free(link->heap.at);
    link_calls_free(link);
    free(link);
}

static void
run_flush(struct plex_task *task)
{
    struct plex_link *link = plex_container_of(task, struct plex_link, flush);
    struct link_peer *peer;

    link->deferred = false;
    if (link->closed) {
        link_free(link);
        return;
    }
    while ((peer = link->dirty) != NULL) {
        link->dirty = peer->next_dirty;
        peer->dirty = false;
        link_peer_flush(peer);
    }
    if (link->reap)
        link_peers_reap(link);
}

void
link_defer_flush(struct plex_link *link)
{
    if (link->deferred)
        return;
    link->deferred = true;
    plex_loop_defer(link->loop, &link->flush);
}

static void
run_finish(struct plex_task *task)
{
    struct plex_link *link = plex_container_of(task, struct plex_link, finish);

    link->posted = false;
    if (link->closed)
        link_free(link);
    else
        (void)link_calls_finish(link);
}

/* -- life
 * ---------------------------------------------------------------------- */

static struct plex_counter *
counter(struct plex_link *link, struct plex_metrics *metrics, const char *name,
        const char *help)
{
    if (metrics == NULL)
        return &link->no_counter;
    return plex_metrics_counter(metrics, name, help, "");
}

static void
calls_metrics_init(struct plex_link *link, struct plex_metrics *metrics)
{
    char labels[64];

    for (unsigned i = 0; i < LINK_STATUSES; i++) {
        const enum plex_status status = plex_status_from_wire(i);

        link->metrics.calls[i] = &link->no_counter;
        if (metrics == NULL || (unsigned)status != i)
            continue;
        (void)snprintf(labels, sizeof labels, "status=\"%s\"",
                       plex_status_name(status));
        for (char *c = labels; *c != '\0'; c++)
            *c = (char)tolower((unsigned char)*c);
        link->metrics.calls[i] = plex_metrics_counter(
            metrics, "plexspaces_link_calls_total",
            "Calls to other services that ended, by status.", labels);
    }
}

void
link_metrics_init(struct plex_link *link, struct plex_metrics *metrics)
{
    struct link_metrics *m = &link->metrics;

    m->frames_sent = counter(link, metrics, "plexspaces_link_frames_sent_total",
                             "Frames handed to the transport.");
    m->frames_received =
        counter(link, metrics, "plexspaces_link_frames_received_total",
                "Frames received, bad ones included.");
    m->envelopes_sent =
        counter(link, metrics, "plexspaces_link_envelopes_sent_total",
                "Envelopes queued for peers.");
    m->envelopes_received =
        counter(link, metrics, "plexspaces_link_envelopes_received_total",
                "Envelopes received.");
    m->bytes_sent = counter(link, metrics, "plexspaces_link_sent_bytes_total",
                            "Bytes of frames handed to the transport.");
    m->bytes_received =
        counter(link, metrics, "plexspaces_link_received_bytes_total",
                "Bytes of frames received.");
    m->frames_bad = counter(link, metrics, "plexspaces_link_frames_bad_total",
                            "Frames dropped because they did not decode.");
    m->peers_lost = counter(link, metrics, "plexspaces_link_peers_lost_total",
                            "Connections to peers that ended.");
    m->pending = &link->no_gauge;
    m->serving = &link->no_gauge;
    if (metrics != NULL) {
        m->pending =
            plex_metrics_gauge(metrics, "plexspaces_link_calls_pending",
                               "Calls to peers not yet ended.", "");
        m->serving =
            plex_metrics_gauge(metrics, "plexspaces_link_requests_serving",
                               "Requests of peers not yet answered.", "");
    }
    calls_metrics_init(link, metrics);
}

enum plex_status
plex_link_open(struct plex_link **out, struct plex_loop *loop,
               const struct plex_link_config *config, struct plex_err *err)
{
    const struct plex_transport *transport =
        plex_transport_find(config->listen_url);
    struct plex_link *link;

    if (transport == NULL ||
        strlen(config->listen_url) > PLEX_FRAME_URL_MAX - 5)
        return plex_err_set(err, PLEX_INVALID,
                            "listen address \"%.100s\" is not inproc://, "
                            "ipc:// or tcp:// with at most %d bytes",
                            config->listen_url, PLEX_FRAME_URL_MAX - 5);
    link = plex_calloc(1, sizeof *link);
    link->loop = loop;
    link->config = *config;
    link->flush.run = run_flush;
    link->finish.run = run_finish;
    link->finished_tail = &link->finished;
    if (transport->inbox_open(&link->inbox, loop, config->listen_url,
                              &inbox_events, link, err) != PLEX_OK) {
        free(link);
        return err->status;
    }
    plex_random(&link->incarnation, sizeof link->incarnation);
    link->incarnation |= 1; /* never 0 */
    link_metrics_init(link, config->metrics);
    link->timer = plex_timer_create(loop, on_timer, link);
    *out = link;
    return PLEX_OK;
}

void
plex_link_event(struct plex_link *link, const char *url, uint32_t method,
                const struct plex_context *context, struct plex_bytes payload)
{
    struct plex_envelope envelope = {
        .kind = PLEX_ENVELOPE_EVENT, .method = method, .payload = payload};
    struct link_peer *peer;
    struct plex_err err;
    uint64_t frame;
    size_t size, offset;

    if (link->closing || payload.len > PLEX_FRAME_PAYLOAD_MAX ||
        plex_envelope_set_context(&envelope, context, &err) != PLEX_OK)
        return;
    peer = link_peer_get(link, url, strlen(url), &err);
    size = plex_envelope_size(&envelope);
    if (peer == NULL || peer->queued + size > PLEX_LINK_QUEUE_MAX ||
        link_peer_dial(peer, &err) != PLEX_OK)
        return;
    link_peer_queue(peer, &envelope, size, &frame, &offset);
}

void
plex_link_drain(struct plex_link *link)
{
    link->draining = true;
}

size_t
plex_link_serving(const struct plex_link *link)
{
    return link->serving;
}

const char *
plex_link_url(const struct plex_link *link)
{
    return link->inbox->transport->inbox_url(link->inbox);
}

void
plex_link_close(struct plex_link *link)
{
    if (link == NULL)
        return;
    assert(link->current == NULL); /* not from inside a handler */
    link->closing = true;
    for (size_t i = 0; i < link->peer_buckets; i++)
        for (struct link_peer *p = link->peers[i]; p != NULL; p = p->next)
            link_calls_cancel_all(p);
    while (link_calls_finish(link))
        ; /* done() may call again, and is told again */
    link_served_free(link);
    link_peers_free(link);
    link->inbox->transport->inbox_close(link->inbox);
    plex_timer_free(link->timer);
    link->closed = true;
    link_free(link);
}
