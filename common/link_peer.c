/*
 * Peers and their outboxes. Envelopes are written straight into the frame
 * that leaves at the end of the loop iteration; while a peer is not connected
 * or not keeping up, frames wait here, where what is in them can still be
 * taken back. An outbox exists only while there is something to send or a
 * connection to keep: nothing dials a dead peer for ever.
 */
#include "common/link_impl.h"
#include "common/mem.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { NS_PER_MS = 1000000 };

static void peer_connected(void *arg);
static void peer_lost(void *arg);
static void peer_writable(void *arg);
static void peer_unreachable(struct link_deadline *deadline);

static const struct plex_outbox_events outbox_events = {
    .connected = peer_connected,
    .lost = peer_lost,
    .writable = peer_writable,
};

/* -- table ----------------------------------------------------------------- */

static void
peers_grow(struct plex_link *link)
{
    const size_t buckets =
        link->peer_buckets == 0 ? 16 : link->peer_buckets * 2;
    struct link_peer **table = plex_calloc(buckets, sizeof *table);
    struct link_peer *peer;

    for (size_t i = 0; i < link->peer_buckets; i++)
        while ((peer = link->peers[i]) != NULL) {
            link->peers[i] = peer->next;
            peer->next = table[peer->hash & (buckets - 1)];
            table[peer->hash & (buckets - 1)] = peer;
        }
    free(link->peers);
    link->peers = table;
    link->peer_buckets = buckets;
}

static struct link_peer *
peer_create(struct plex_link *link, const char *url, size_t len, uint64_t hash)
{
    struct link_peer *peer = plex_calloc(1, sizeof *peer);

    peer->link = link;
    peer->hash = hash;
    peer->url = plex_calloc(len + 1, 1);
    memcpy(peer->url, url, len);
    peer->url_len = len;
    peer->calls_tail = &peer->calls;
    peer->connect.expired = peer_unreachable;
    if (link->peer_count >= link->peer_buckets)
        peers_grow(link);
    peer->next = link->peers[hash & (link->peer_buckets - 1)];
    link->peers[hash & (link->peer_buckets - 1)] = peer;
    link->peer_count++;
    return peer;
}

static bool
peer_is(const struct link_peer *peer, const char *url, size_t len)
{
    return peer->url_len == len && memcmp(peer->url, url, len) == 0;
}

struct link_peer *
link_peer_get(struct plex_link *link, const char *url, size_t len,
              struct plex_err *err)
{
    struct link_peer *peer = link->recent;
    char text[PLEX_FRAME_URL_MAX + 1];
    uint64_t hash;

    if (peer != NULL && peer_is(peer, url, len))
        return peer;
    hash = XXH3_64bits(url, len);
    peer = link->peer_buckets == 0
               ? NULL
               : link->peers[hash & (link->peer_buckets - 1)];
    while (peer != NULL && !peer_is(peer, url, len))
        peer = peer->next;
    if (peer == NULL) {
        if (len > PLEX_FRAME_URL_MAX) {
            (void)plex_err_set(err, PLEX_INVALID,
                               "address has %zu bytes, at most %d are allowed",
                               len, PLEX_FRAME_URL_MAX);
            return NULL;
        }
        memcpy(text, url, len);
        text[len] = '\0';
        if (plex_transport_find(text) == NULL) {
            (void)plex_err_set(err, PLEX_INVALID,
                               "address \"%.100s\" does not begin with "
                               "inproc://, ipc:// or tcp://",
                               text);
            return NULL;
        }
        if (link->peer_count >= LINK_PEERS_MAX) {
            (void)plex_err_set(err, PLEX_LIMIT, "over %d peers",
                               LINK_PEERS_MAX);
            return NULL;
        }
        peer = peer_create(link, url, len, hash);
    }
    link->recent = peer;
    return peer;
}

static void
frames_drop(struct link_peer *peer)
{
    struct plex_frame *frame;

    while ((frame = peer->frames) != NULL) {
        peer->frames = frame->next;
        plex_frame_free(frame);
    }
    peer->last = NULL;
    peer->queued = 0;
}

static void
outbox_close(struct link_peer *peer)
{
    if (peer->outbox != NULL)
        peer->outbox->transport->outbox_close(peer->outbox);
    peer->outbox = NULL;
    peer->connected = false;
    peer->writable = false;
    link_heap_remove(&peer->link->heap, &peer->connect);
    peer->link->reap = true;
    link_defer_flush(peer->link);
}

static void
peer_free(struct link_peer *peer)
{
    frames_drop(peer);
    free(peer->url);
    free(peer);
}

void
link_peers_reap(struct plex_link *link)
{
    struct link_peer **at, *peer;

    link->reap = false;
    link->recent = NULL;
    for (size_t i = 0; i < link->peer_buckets; i++)
        for (at = &link->peers[i]; (peer = *at) != NULL;) {
            if (peer->outbox != NULL || peer->pending > 0 ||
                peer->serving > 0 || peer->conn != 0 || peer->dirty) {
                at = &peer->next;
                continue;
            }
            *at = peer->next;
            link->peer_count--;
            peer_free(peer);
        }
}

void
link_peers_free(struct plex_link *link)
{
    struct link_peer *peer;

    for (size_t i = 0; i < link->peer_buckets; i++)
        while ((peer = link->peers[i]) != NULL) {
            link->peers[i] = peer->next;
            link_peer_flush(peer);
            outbox_close(peer);
            peer_free(peer);
        }
    free(link->peers);
}

/* -- queue -------------------------------------------------------------------
 */

enum plex_status
link_peer_dial(struct link_peer *peer, struct plex_err *err)
{
    const struct plex_transport *transport;

    if (peer->outbox != NULL)
        return PLEX_OK;
    transport = plex_transport_find(peer->url);
    return transport->outbox_open(&peer->outbox, peer->link->loop, peer->url,
                                  &outbox_events, peer, err);
}

static void
frame_begin(struct link_peer *peer)
{
    const char *url = plex_link_url(peer->link);
    const struct plex_frame_head head = {
        .from = {(const uint8_t *)url, strlen(url)},
        .incarnation = peer->link->incarnation,
        .to_incarnation = peer->incarnation,
    };
    struct plex_frame *frame = plex_frame_create(&head, peer->hint);

    frame->number = ++peer->frame_number;
    if (peer->frames == NULL)
        peer->frames = frame;
    else
        peer->last->next = frame;
    peer->last = frame;
    peer->full = false;
    peer->queued += frame->len;
}

static void
peer_mark_dirty(struct link_peer *peer)
{
    struct plex_link *link = peer->link;

    if (peer->dirty)
        return;
    peer->dirty = true;
    peer->next_dirty = link->dirty;
    link->dirty = peer;
    link_defer_flush(link);
}

void
link_peer_queue(struct link_peer *peer, const struct plex_envelope *envelope,
                size_t size, uint64_t *frame, size_t *offset)
{
    if (peer->last == NULL || peer->full ||
        peer->last->len + size > PLEX_LINK_BATCH_BYTES)
        frame_begin(peer);
    *offset = plex_frame_append(peer->last, envelope, size);
    *frame = peer->last->number;
    peer->queued += size;
    peer->link->metrics.envelopes_sent->value++;
    if (peer->last->len >= PLEX_LINK_BATCH_BYTES / 2) {
        /* Let the peer begin while we go on. */
        peer->full = true;
        link_peer_flush(peer);
    }
    peer_mark_dirty(peer);
}

void
link_peer_withdraw(struct link_peer *peer, uint64_t number, size_t offset)
{
    struct plex_frame *frame = peer->frames;

    while (frame != NULL && frame->number != number)
        frame = frame->next;
    if (frame != NULL) /* else it was dropped already */
        plex_frame_withdraw(frame, offset);
}

void
link_peer_cut(struct link_peer *peer)
{
    peer->full = true;
}

void
link_peer_flush(struct link_peer *peer)
{
    struct link_metrics *metrics = &peer->link->metrics;
    struct plex_frame *frame;

    while (peer->writable && (frame = peer->frames) != NULL) {
        peer->frames = frame->next;
        if (peer->frames == NULL)
            peer->last = NULL;
        frame->next = NULL;
        peer->handed = frame->number;
        peer->queued -= frame->len;
        peer->hint = frame->len > 65536 ? 65536 : frame->len + 256;
        metrics->frames_sent->value++;
        metrics->bytes_sent->value += frame->len;
        peer->writable =
            peer->outbox->transport->outbox_send(peer->outbox, frame);
    }
    if (!peer->connected && peer->frames != NULL && peer->connect.index == 0 &&
        !peer->link->closing) {
        peer->connect.at =
            plex_now() + (uint64_t)PLEX_LINK_CONNECT_MS * NS_PER_MS;
        link_heap_add(&peer->link->heap, &peer->connect);
        link_timer_update(peer->link);
    }
}

/* -- events ------------------------------------------------------------------
 */

static void
peer_connected(void *arg)
{
    struct link_peer *peer = arg;

    peer->connected = true;
    peer->writable = true;
    link_heap_remove(&peer->link->heap, &peer->connect);
    link_peer_flush(peer);
}

static void
peer_writable(void *arg)
{
    struct link_peer *peer = arg;

    peer->writable = true;
    link_peer_flush(peer);
}

static void
peer_lost(void *arg)
{
    struct link_peer *peer = arg;
    struct plex_err err;

    peer->connected = false;
    peer->writable = false;
    peer->may_restart = true;
    peer->link->metrics.peers_lost->value++;
    link_calls_lost(peer, peer->handed, "was lost");
    /* Begin afresh: a PUSH socket of nng may give the next frame to the pipe
     * that just died and drop it without a word. */
    outbox_close(peer);
    if (peer->frames != NULL && link_peer_dial(peer, &err) == PLEX_OK)
        link_peer_flush(peer); /* limits the time to connect again */
}

static void
peer_unreachable(struct link_deadline *deadline)
{
    struct link_peer *peer =
        plex_container_of(deadline, struct link_peer, connect);

    frames_drop(peer);
    link_calls_unreachable(peer);
    if (peer->frames == NULL)
        outbox_close(peer);
    else
        link_peer_flush(peer);
}
