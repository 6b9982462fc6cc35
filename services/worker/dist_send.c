/* From the queue of the executors to batches on the link. */
#include "services/worker/dist_private.h"

#include "common/log.h"
#include "common/mem.h"

#include <stdlib.h>
#include <string.h>

/* -- batches --------------------------------------------------------------- */

struct flight {
    struct dist_peer *peer;
    uint64_t session;
    size_t bytes;
};

static void
on_taken(void *arg, const struct plex_link_result *result)
{
    struct flight *flight = arg;
    struct dist_peer *peer = flight->peer;
    struct dist_slot *slot = &peer->dist->slots[peer->slot];

    peer->flights--;
    atomic_fetch_sub(&slot->bytes, flight->bytes);
    if (flight->session == peer->session && peer->open) {
        if (result->status != PLEX_OK)
            dist_break(peer, result->text);
        else
            dist_flush(peer);
    }
    free(flight);
}

static void
batch_begin(struct dist_peer *peer)
{
    struct work_dist *dist = peer->dist;
    const bool first = peer->out_sequence == 0;
    const struct work_batch batch = {
        .node = dist->self,
        .session = peer->session,
        .sequence = ++peer->out_sequence,
        .node_id = first ? dist->config.host->base->node : "",
        .url = first ? plex_link_url(dist->config.host->link) : "",
    };
    uint8_t *at;

    dist->frame.len = 0;
    at = plex_buf_grow(&dist->frame, WORK_BATCH_HEAD_MAX);
    dist->frame.len = work_batch_write(&batch, at);
}

static void
batch_send(struct dist_peer *peer, size_t bytes)
{
    struct work_dist *dist = peer->dist;
    struct plex_context context = plex_context_none;
    struct flight *flight = plex_calloc(1, sizeof *flight);
    const struct plex_link_request request = {
        .peer = peer->url,
        .method = WORK_METHOD_SIGNALS,
        .context = &context,
        .payload = {dist->frame.data, dist->frame.len},
        .done = on_taken,
        .arg = flight,
    };

    context.deadline = plex_now() + WORK_DIST_ANSWER_MS * UINT64_C(1000000);
    *flight = (struct flight){peer, peer->session, bytes};
    peer->flights++;
    dist->stats.batches++;
    (void)plex_link_call(dist->config.host->link, &request);
}

void
dist_greet(struct dist_peer *peer)
{
    batch_begin(peer);
    batch_send(peer, 0);
}

void
dist_flush(struct dist_peer *peer)
{
    struct work_dist *dist = peer->dist;

    while (peer->open && peer->out != NULL &&
           peer->flights < WORK_DIST_FLIGHTS) {
        size_t bytes = 0;

        batch_begin(peer);
        while (peer->out != NULL &&
               (bytes == 0 || bytes + peer->out->len <= WORK_DIST_BATCH)) {
            struct dist_item *item = peer->out;
            uint8_t *at = plex_buf_grow(&dist->frame, item->len);

            peer->out = item->next;
            memcpy(at, item->data, item->len);
            bytes += item->len;
            dist->stats.sent++;
            free(item);
        }
        if (peer->out == NULL)
            peer->out_tail = &peer->out;
        batch_send(peer, bytes);
    }
}

/* -- starts ---------------------------------------------------------------- */

void
dist_start_fail(struct work_dist *dist, const struct plex_from *starter)
{
    const struct rt_signal answer = {
        .kind = RT_SPAWNED,
        .to = starter->ref,
        .where = {"", ""},
        .name = "",
        .text = "",
        .reason = "noconnection",
        .call = starter->call,
        .status = -PLEX_UNAVAILABLE,
    };

    if (dist->rt != NULL)
        rt_deliver(dist->rt, &answer);
}

void
dist_started(struct dist_peer *peer, const struct rt_signal *signal)
{
    for (struct dist_start **at = &peer->starts; *at != NULL;
         at = &(*at)->next) {
        struct dist_start *start = *at;

        if (start->starter.call != signal->call ||
            start->starter.ref.id != signal->to.id)
            continue;
        *at = start->next;
        free(start);
        return;
    }
}

static void
start_note(struct dist_peer *peer, const struct dist_item *item)
{
    struct dist_start *start = plex_calloc(1, sizeof *start);

    start->starter = item->starter;
    start->next = peer->starts;
    peer->starts = start;
}

/* -- queues ---------------------------------------------------------------- */

void
dist_queue(struct dist_peer *peer, struct dist_item *item)
{
    if (item->is_start)
        start_note(peer, item);
    item->next = NULL;
    *peer->out_tail = item;
    peer->out_tail = &item->next;
}

void
dist_forget(struct dist_peer *peer)
{
    struct dist_slot *slot = &peer->dist->slots[peer->slot];
    struct dist_item *item;

    while ((item = peer->out) != NULL) {
        peer->out = item->next;
        atomic_fetch_sub(&slot->bytes, item->len);
        free(item);
    }
    peer->out_tail = &peer->out;
    while (peer->starts != NULL) {
        struct dist_start *start = peer->starts;

        peer->starts = start->next;
        dist_start_fail(peer->dist, &start->starter);
        free(start);
    }
}

/* -- sorting --------------------------------------------------------------- */

/* Our own packing, so it must be readable. */
static void
unpack(struct work_dist *dist, const struct dist_item *item,
       struct rt_signal *out)
{
    struct work_batch_reader reader = {
        .at = item->data,
        .end = item->data + item->len,
        .batch = {.node = dist->self},
        .to = dist->self,
    };
    struct plex_err err;
    bool more;

    plex_arena_reset(&dist->arena);
    if (work_batch_next(&reader, &dist->arena, out, &more, &err) != PLEX_OK)
        plex_log(PLEX_LOG_ERROR, "worker.signals", "%s", err.text);
}

static void
to_all(struct work_dist *dist, struct dist_item *item)
{
    const unsigned n = atomic_load(&dist->n_slots);
    struct rt_signal signal = {0};

    unpack(dist, item, &signal);
    dist_join_note(dist, &signal);
    for (unsigned i = 0; i < n; i++) {
        struct dist_item *copy;

        if (!dist->peers[i]->open)
            continue; /* it will be told everything when it is */
        copy = plex_calloc(1, sizeof *copy + item->len);
        copy->len = item->len;
        memcpy(copy->data, item->data, item->len);
        atomic_fetch_add(&dist->slots[i].bytes, item->len);
        dist_queue(dist->peers[i], copy);
    }
    free(item);
}

static void
to_peer(struct work_dist *dist, struct dist_item *item)
{
    struct dist_slot *slot = &dist->slots[item->to];

    if (item->generation == atomic_load(&slot->generation)) {
        dist_queue(dist->peers[item->to], item);
        return;
    }
    atomic_fetch_sub(&slot->bytes, item->len);
    if (item->is_start)
        dist_start_fail(dist, &item->starter);
    free(item);
}

void
dist_task(struct plex_task *task)
{
    struct work_dist *dist = plex_container_of(task, struct work_dist, task);
    struct work_link *link = work_queue_take(&dist->queue);
    struct rt_signal signal = {0};
    unsigned n;

    while (link != NULL) {
        struct dist_item *item =
            plex_container_of(link, struct dist_item, link);

        link = link->next;
        if (dist->rt == NULL) {
            free(item);
        } else if (item->to == DIST_ALL) {
            to_all(dist, item);
        } else if (item->to == DIST_ACTOR) {
            unpack(dist, item, &signal);
            dist->config.to_actor(dist->config.arg, &signal);
            free(item);
        } else {
            to_peer(dist, item);
        }
    }
    n = atomic_load(&dist->n_slots);
    for (unsigned i = 0; i < n; i++)
        dist_flush(dist->peers[i]);
}
