/* Workers, sessions with them, and what comes from them. */
#include "services/worker/dist_private.h"

#include "common/log.h"
#include "common/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- peers ----------------------------------------------------------------- */

static bool
begins_sessions(const struct dist_peer *peer)
{
    return peer->dist->self < peer->node;
}

static struct dist_peer *
peer_of_node(struct work_dist *dist, uint64_t node)
{
    const unsigned n = atomic_load(&dist->n_slots);

    for (unsigned i = 0; node != 0 && i < n; i++)
        if (dist->peers[i]->node == node)
            return dist->peers[i];
    return NULL;
}

static struct dist_peer *
peer_find(struct work_dist *dist, const char *node_id)
{
    const unsigned n = atomic_load(&dist->n_slots);

    for (unsigned i = 0; i < n; i++)
        if (strcmp(dist->slots[i].node_id, node_id) == 0)
            return dist->peers[i];
    return NULL;
}

static void on_retry(void *arg);

static struct dist_peer *
peer_get(struct work_dist *dist, const char *node_id)
{
    const unsigned n = atomic_load(&dist->n_slots);
    struct dist_peer *peer = peer_find(dist, node_id);

    if (peer != NULL)
        return peer;
    if (n == WORK_DIST_PEERS_MAX) {
        plex_log(PLEX_LOG_ERROR, "worker.peers",
                 "%d names of workers have been seen, %s is one too many: "
                 "restart this worker",
                 n, node_id);
        return NULL;
    }
    peer = plex_calloc(1, sizeof *peer);
    peer->dist = dist;
    peer->slot = n;
    peer->out_tail = &peer->out;
    peer->retry = plex_timer_create(dist->config.host->loop, on_retry, peer);
    (void)snprintf(dist->slots[n].node_id, sizeof dist->slots[n].node_id, "%s",
                   node_id);
    dist->peers[n] = peer;
    atomic_store(&dist->n_slots, n + 1); /* after all that it announces */
    return peer;
}

/* Nothing that was sent until now leaves any more; the runtime hears of it. */
static void
session_end(struct dist_peer *peer)
{
    struct work_dist *dist = peer->dist;
    struct dist_slot *slot = &dist->slots[peer->slot];
    const uint64_t node = peer->node, attach = peer->attach;

    /* In this order: who finds the node here after it was told that it is
     * down uses the new generation. */
    atomic_store(&slot->node, 0);
    atomic_fetch_add(&slot->generation, 1);
    if (peer->open)
        dist->stats.peers--;
    peer->open = false;
    peer->out_sequence = peer->in_sequence = 0;
    dist_forget(peer);
    peer->attach = 0;
    if (attach != 0)
        plex_link_cancel(dist->config.host->link, attach);
    if (dist->rt != NULL)
        rt_node_down(dist->rt, node, slot->node_id);
}

static void
peer_down(struct dist_peer *peer, const char *why)
{
    if (peer->node == 0)
        return;
    plex_log(PLEX_LOG_INFO, "worker.peer", "worker %s is %s",
             peer->dist->slots[peer->slot].node_id, why);
    session_end(peer);
    plex_timer_stop(peer->retry);
    peer->node = 0;
    peer->listed = false;
}

/* -- sessions -------------------------------------------------------------- */

static void
session_open(struct dist_peer *peer)
{
    peer->open = true;
    peer->dist->stats.peers++;
    dist_joins_send(peer);
    dist_flush(peer);
}

static struct plex_bytes
head_of(struct dist_peer *peer, uint8_t out[WORK_BATCH_HEAD_MAX])
{
    struct work_dist *dist = peer->dist;
    const struct work_batch batch = {
        .node = dist->self,
        .session = peer->session == 0 ? 1 : peer->session,
        .sequence = peer->session == 0 ? 2 : 1, /* 2: there was none yet */
        .node_id = dist->config.host->base->node,
        .url = plex_link_url(dist->config.host->link),
    };

    return (struct plex_bytes){out, work_batch_write(&batch, out)};
}

/* Answered when they drain; failed when they are lost. */
static void
on_attached(void *arg, const struct plex_link_result *result)
{
    struct dist_peer *peer = arg;

    if (result->status == PLEX_CANCELLED)
        return;
    peer->attach = 0;
    if (result->status != PLEX_OK && peer->node != 0 && peer->open)
        dist_break(peer, result->text);
}

static void
attach(struct dist_peer *peer)
{
    struct plex_context context = plex_context_none;
    uint8_t head[WORK_BATCH_HEAD_MAX];
    const struct plex_link_request request = {
        .peer = peer->url,
        .method = WORK_METHOD_ATTACH,
        .context = &context,
        .payload = head_of(peer, head),
        .done = on_attached,
        .arg = peer,
    };

    context.deadline = plex_now() + WORK_DIST_ATTACH_MS * UINT64_C(1000000);
    peer->attach = plex_link_call(peer->dist->config.host->link, &request);
}

static void
session_begin(struct dist_peer *peer)
{
    peer->session++;
    dist_greet(peer);
    session_open(peer);
    attach(peer);
}

/* Begin a session, or ask for one, until there is one. */
static void
on_retry(void *arg)
{
    struct dist_peer *peer = arg;
    struct work_dist *dist = peer->dist;
    uint8_t head[WORK_BATCH_HEAD_MAX];

    if (peer->node == 0 || peer->open || dist->rt == NULL)
        return;
    if (begins_sessions(peer)) {
        session_begin(peer);
        return;
    }
    plex_link_event(dist->config.host->link, peer->url, WORK_METHOD_RECONNECT,
                    &plex_context_none, head_of(peer, head));
    plex_timer_start(peer->retry, WORK_DIST_RETRY_MS);
}

void
dist_break(struct dist_peer *peer, const char *why)
{
    struct dist_slot *slot = &peer->dist->slots[peer->slot];

    plex_log(PLEX_LOG_WARN, "worker.peer",
             "lost the session with worker %s: %s", slot->node_id, why);
    peer->dist->stats.broken++;
    session_end(peer);
    atomic_store(&slot->node, peer->node); /* what comes now waits */
    plex_timer_start(peer->retry, WORK_DIST_RETRY_MS);
}

/*
 * We have heard of it, from the catalogue or from itself. When a worker is
 * started anew both lives may be heard of for a while; whom we talk with is
 * alive. NULL: not now.
 */
static struct dist_peer *
peer_met(struct work_dist *dist, const char *node_id, uint64_t node,
         const char *url)
{
    struct dist_peer *peer;

    if (strcmp(node_id, dist->config.host->base->node) == 0)
        return NULL; /* an earlier life of ourselves */
    peer = peer_get(dist, node_id);
    if (peer == NULL || peer->node == node)
        return peer;
    if (peer->open)
        return NULL;
    peer_down(peer, "another one now");
    peer->node = node;
    /* Should it be back, it remembers how many sessions there were. */
    if (peer->last != node)
        peer->session = 0;
    peer->last = node;
    free(peer->url);
    peer->url = plex_strdup(url);
    atomic_store(&dist->slots[peer->slot].node, node);
    plex_timer_start(peer->retry, 0);
    return peer;
}

/* -- the catalogue --------------------------------------------------------- */

void
work_dist_catalog(struct work_dist *dist, const struct reg_catalog *catalog)
{
    size_t n;
    const struct reg_node *nodes = reg_catalog_nodes(catalog, &n);
    bool there[WORK_DIST_PEERS_MAX] = {false};
    unsigned n_slots;

    for (size_t i = 0; i < n; i++) {
        struct dist_peer *peer;

        if (strcmp(nodes[i].kind, "worker") != 0 ||
            nodes[i].incarnation == dist->self ||
            nodes[i].status == REG_NODE_LOST)
            continue;
        peer = peer_find(dist, nodes[i].node_id);
        if (peer != NULL && peer->listed && peer->node != nodes[i].incarnation)
            peer_down(peer, "replaced");
        peer = peer_met(dist, nodes[i].node_id, nodes[i].incarnation,
                        nodes[i].url);
        if (peer == NULL)
            continue;
        peer->listed = true;
        there[peer->slot] = true;
    }
    n_slots = atomic_load(&dist->n_slots);
    for (unsigned i = 0; i < n_slots; i++)
        if (!there[i] && dist->peers[i]->listed)
            peer_down(dist->peers[i], "gone");
}

uint64_t
work_dist_node(const struct work_dist *dist, const char *node_id)
{
    const unsigned n = atomic_load(&dist->n_slots);

    for (unsigned i = 0; i < n; i++)
        if (strcmp(dist->slots[i].node_id, node_id) == 0)
            return dist->peers[i]->node;
    return 0;
}

const char *
work_dist_name(const struct work_dist *dist, uint64_t node)
{
    const unsigned n = atomic_load(&dist->n_slots);

    for (unsigned i = 0; node != 0 && i < n; i++)
        if (dist->peers[i]->node == node)
            return dist->slots[i].node_id;
    return "";
}

/* -- methods --------------------------------------------------------------- */

static void
refuse(struct plex_call *call, enum plex_status status, const char *text)
{
    plex_call_fail(call, status, text, (struct plex_bytes){0});
}

static enum plex_status
deliver(struct dist_peer *peer, struct work_batch_reader *reader,
        struct plex_err *err)
{
    struct work_dist *dist = peer->dist;
    struct rt_signal signal;
    bool more;

    while (work_batch_next(reader, &dist->arena, &signal, &more, err) ==
           PLEX_OK) {
        if (!more)
            return PLEX_OK;
        if (signal.kind == RT_SPAWNED)
            dist_started(peer, &signal);
        if (signal.kind == RT_REQUEST)
            dist->config.request(dist->config.arg, &signal);
        if (signal.kind == RT_SPAWN)
            dist->config.spawn(dist->config.arg, &signal);
        else
            rt_deliver(dist->rt, &signal);
        dist->stats.received++;
    }
    return err->status;
}

/* A session that the other one has begun. */
static void
session_accept(struct dist_peer *peer, uint64_t session)
{
    struct dist_slot *slot = &peer->dist->slots[peer->slot];

    if (peer->open) {
        session_end(peer);
        atomic_store(&slot->node, peer->node);
    }
    plex_timer_stop(peer->retry);
    peer->session = session;
    peer->out_sequence = peer->in_sequence = 0;
    session_open(peer);
    attach(peer);
}

/* May this batch be taken? */
static bool
next_batch(struct dist_peer *peer, const struct work_batch *batch)
{
    if (batch->sequence == 1 && !begins_sessions(peer) &&
        batch->session > peer->session)
        session_accept(peer, batch->session);
    if (!peer->open || batch->session != peer->session ||
        batch->sequence != peer->in_sequence + 1)
        return false;
    peer->in_sequence++;
    return true;
}

void
work_dist_on_signals(struct work_dist *dist, struct plex_call *call)
{
    const struct plex_bytes in = plex_call_payload(call);
    struct work_batch_reader reader;
    struct dist_peer *peer;
    struct plex_err err;

    plex_arena_reset(&dist->arena);
    if (work_batch_open(&reader, in, dist->self, &dist->arena, &err) !=
        PLEX_OK) {
        plex_call_refuse(call, &err);
        return;
    }
    if (dist->rt == NULL) {
        refuse(call, PLEX_UNAVAILABLE, "the worker is not ready for signals");
        return;
    }
    peer = peer_of_node(dist, reader.batch.node);
    if (peer == NULL && reader.batch.url[0] != '\0')
        peer = peer_met(dist, reader.batch.node_id, reader.batch.node,
                        reader.batch.url);
    if (peer == NULL || !next_batch(peer, &reader.batch)) {
        refuse(call, PLEX_CONFLICT, "not the next batch of this session");
        return;
    }
    if (deliver(peer, &reader, &err) != PLEX_OK) {
        plex_log(PLEX_LOG_ERROR, "worker.signals", "%s", err.text);
        plex_call_refuse(call, &err);
        return;
    }
    plex_call_reply(call, (struct plex_bytes){0});
}

/* Those who gave up are let go of: the list stays as long as there are
 * workers. */
static void
held_prune(struct work_dist *dist)
{
    struct dist_held **at = &dist->held;

    while (*at != NULL) {
        struct dist_held *held = *at;

        if (!plex_call_abandoned(held->call)) {
            at = &held->next;
            continue;
        }
        *at = held->next;
        plex_call_reply(held->call, (struct plex_bytes){0});
        free(held);
    }
}

void
work_dist_on_attach(struct work_dist *dist, struct plex_call *call)
{
    struct dist_held *held;

    held_prune(dist);

    if (dist->draining) {
        plex_call_reply(call, (struct plex_bytes){0});
        return;
    }
    held = plex_calloc(1, sizeof *held);
    held->call = call;
    held->next = dist->held;
    dist->held = held;
}

void
work_dist_on_reconnect(struct work_dist *dist, struct plex_call *call)
{
    struct work_batch_reader reader;
    struct dist_peer *peer;
    struct plex_err err;

    plex_arena_reset(&dist->arena);
    if (work_batch_open(&reader, plex_call_payload(call), dist->self,
                        &dist->arena, &err) == PLEX_OK &&
        dist->rt != NULL) {
        peer = peer_of_node(dist, reader.batch.node);
        if (peer == NULL && reader.batch.url[0] != '\0')
            (void)peer_met(dist, reader.batch.node_id, reader.batch.node,
                           reader.batch.url);
        else if (peer != NULL && begins_sessions(peer) && peer->open &&
                 reader.batch.sequence == 1 &&
                 reader.batch.session >= peer->session)
            dist_break(peer, "it asks for another");
    }
    plex_call_reply(call, (struct plex_bytes){0});
}

static void
held_answer(struct work_dist *dist)
{
    struct dist_held *held;

    while ((held = dist->held) != NULL) {
        dist->held = held->next;
        plex_call_reply(held->call, (struct plex_bytes){0});
        free(held);
    }
}

/* -- life ------------------------------------------------------------------ */

struct work_dist *
work_dist_create(const struct work_dist_config *config)
{
    struct work_dist *dist = plex_calloc(1, sizeof *dist);

    dist->config = *config;
    dist->self = config->host->incarnation;
    dist->task.run = dist_task;
    dist->frame.max = PLEX_LINK_FRAME_MAX;
    plex_arena_init(&dist->arena, PLEX_LINK_FRAME_MAX * 4);
    return dist;
}

void
work_dist_begin(struct work_dist *dist, struct rt *rt)
{
    const unsigned n = atomic_load(&dist->n_slots);

    dist->rt = rt;
    for (unsigned i = 0; i < n; i++)
        plex_timer_start(dist->peers[i]->retry, 0);
}

void
work_dist_drain(struct work_dist *dist)
{
    dist->draining = true;
    held_answer(dist);
}

void
work_dist_end(struct work_dist *dist)
{
    const unsigned n = atomic_load(&dist->n_slots);

    dist->rt = NULL;
    for (unsigned i = 0; i < n; i++)
        dist->peers[i]->open = false;
}

void
work_dist_free(struct work_dist *dist)
{
    struct dist_held *held;
    unsigned n;

    if (dist == NULL)
        return;
    while ((held = dist->held) != NULL) {
        dist->held = held->next;
        free(held); /* their calls end with the link */
    }
    n = atomic_load(&dist->n_slots);
    for (unsigned i = 0; i < n; i++) {
        dist_forget(dist->peers[i]);
        plex_timer_free(dist->peers[i]->retry);
        free(dist->peers[i]->url);
        free(dist->peers[i]);
    }
    dist_joins_free(dist);
    plex_arena_fini(&dist->arena);
    plex_buf_free(&dist->frame);
    free(dist);
}

void
work_dist_stats(const struct work_dist *dist, struct work_dist_stats *out)
{
    const unsigned n = atomic_load(&dist->n_slots);

    *out = dist->stats;
    out->refused = atomic_load(&dist->refused);
    for (unsigned i = 0; i < n; i++)
        out->queued_bytes += atomic_load(&dist->slots[i].bytes);
}
