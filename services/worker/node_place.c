/*
 * Starting processes that are placed by what they need (docs/placement.md,
 * node_need.c): we ask placement for room, then send the start to the worker
 * that has it, perhaps this one, with the reservation behind the worker's name:
 * "worker-2?ID?HEX". That worker holds it (node_hold.c).
 */
#include "services/worker/node_private.h"

#include "common/log.h"
#include "common/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    ASKS_MAX = 65536,
    ALL_MS = 5000, /* so long is asked for one */
    AGAIN_MS = 200,
    UNREACHABLE_MS = 50,
    TTL_MS = 15000, /* from the answer until its worker holds it */
    ID_BYTES = 48,
    ADDRESS_BYTES_MAX = 40000,
};

/* A start on its way to a worker. Texts are its own. */
struct ask {
    struct node_note note;
    struct ask *next, **at; /* of node->asks */
    struct work_node *node;
    struct rt_signal signal;
    struct plex_timer *timer;
    uint64_t deadline;
    char id[ID_BYTES];
    const char *address;   /* what it was sent to */
    struct node_need need; /* `placement` is not kept */
    char *unreachable[PLACE_NODES_MAX];
    size_t n_unreachable;
    char why[PLEX_ERR_TEXT_MAX];
    char text[];
};

/* -- on executors ---------------------------------------------------------- */

static const char *
put(char **at, const char *text)
{
    char *copy = *at;
    const size_t size = strlen(text) + 1;

    memcpy(copy, text, size);
    *at += size;
    return copy;
}

bool
node_place_take(struct work_node *node, const struct rt_signal *signal)
{
    const struct rt_signal *s = signal;
    struct ask *ask;
    char *at;

    if (atomic_fetch_add(&node->n_asks, 1) >= ASKS_MAX) {
        atomic_fetch_sub(&node->n_asks, 1);
        return false;
    }
    ask = plex_calloc(
        1, sizeof *ask + strlen(s->where.tenant) + strlen(s->where.ns) +
               strlen(s->name) + strlen(s->text) + strlen(s->reason) +
               (s->child == NULL ? 0 : strlen(s->child)) + 6 + s->post.len);
    at = ask->text;
    ask->note.kind = NOTE_PLACE;
    ask->node = node;
    ask->signal = *s;
    ask->signal.where.tenant = put(&at, s->where.tenant);
    ask->signal.where.ns = put(&at, s->where.ns);
    ask->signal.name = put(&at, s->name);
    ask->signal.text = put(&at, s->text);
    ask->signal.reason = ask->address = put(&at, s->reason);
    if (s->child != NULL)
        ask->signal.child = put(&at, s->child);
    if (s->post.len > 0)
        memcpy(at, s->post.payload, s->post.len);
    ask->signal.post.payload = at;
    node_note_push(node, &ask->note);
    return true;
}

/* -- ends ------------------------------------------------------------------ */

static void
ask_free(struct ask *ask)
{
    if (ask->at != NULL) {
        *ask->at = ask->next;
        if (ask->next != NULL)
            ask->next->at = ask->at;
    }
    plex_timer_free(ask->timer);
    for (size_t i = 0; i < ask->n_unreachable; i++)
        free(ask->unreachable[i]);
    atomic_fetch_sub(&ask->node->n_asks, 1);
    free(ask);
}

void
node_place_drop(struct node_note *note)
{
    ask_free(plex_container_of(note, struct ask, note));
}

static void
ask_fail(struct ask *ask, enum plex_status status, const char *why)
{
    const struct rt_signal *s = &ask->signal;
    const struct rt_signal answer = {
        .kind = RT_SPAWNED,
        .to = s->from,
        .where = {"", ""},
        .name = "",
        .text = "",
        .reason = why,
        .call = s->call,
        .status = -(int)status,
    };

    plex_log(PLEX_LOG_WARN, "worker.place", "no worker for %s/%s/%s: %s",
             s->where.tenant, s->where.ns,
             ask->need.actor[0] == '\0' ? "a process" : ask->need.actor, why);
    rt_deliver(ask->node->rt, &answer);
    ask_free(ask);
}

/* -- asking ---------------------------------------------------------------- */

static void ask_send(void *arg);

static void
ask_again(struct ask *ask, enum plex_status status, const char *why,
          uint64_t ms)
{
    if (plex_now() >= ask->deadline) {
        ask_fail(ask, status, why);
        return;
    }
    plex_timer_start(ask->timer, ms);
}

static const char *
address(struct ask *ask, const struct place_reserved *got)
{
    struct plex_buf *out = &ask->node->scratch;
    static const char digits[] = "0123456789abcdef";
    const size_t size =
        strlen(got->node_id) + strlen(ask->id) + got->held.len * 2 + 3;
    char *text;
    int at;

    if (size > ADDRESS_BYTES_MAX)
        return NULL;
    out->len = 0;
    text = (char *)plex_buf_grow(out, size);
    at = snprintf(text, size, "%s?%s?", got->node_id, ask->id);
    for (size_t i = 0; i < got->held.len; i++) {
        text[at++] = digits[got->held.data[i] >> 4];
        text[at++] = digits[got->held.data[i] & 15];
    }
    text[at] = '\0';
    return text;
}

static bool
start_send(struct ask *ask, const struct place_reserved *got)
{
    struct work_node *node = ask->node;

    ask->signal.reason = address(ask, got);
    if (ask->signal.reason == NULL)
        return false;
    if (got->incarnation == node->config.host->incarnation) {
        node_spawn(node, &ask->signal);
        return true;
    }
    return work_dist_node(node->dist, got->node_id) == got->incarnation &&
           work_dist_push(node->dist, &ask->signal);
}

/* It is alive for placement and not for us: somebody else, for now. */
static void
unreachable(struct ask *ask, const struct place_reserved *got)
{
    const char *url = ask->node->config.placement_url(ask->node->config.arg);
    char why[128];

    (void)snprintf(why, sizeof why, "worker %s cannot be reached",
                   got->node_id);
    if (url != NULL)
        place_client_release(ask->node->config.host->link, url, ask->id);
    if (ask->n_unreachable < PLACE_NODES_MAX)
        ask->unreachable[ask->n_unreachable++] = plex_strdup(got->node_id);
    ask_again(ask, PLEX_UNAVAILABLE, why, UNREACHABLE_MS);
}

static struct node_start
start_of(const struct ask *ask)
{
    return (struct node_start){ask->signal.where, ask->signal.from,
                               ask->signal.child, ask->address};
}

static void
on_reserved(void *arg, enum plex_status status, const char *text,
            const struct place_reserved *got)
{
    struct ask *ask = arg;
    const struct node_start start = start_of(ask);

    if (status == PLEX_CANCELLED || ask->node->stopping) {
        ask_free(ask);
    } else if (status == PLEX_OK) {
        if (start_send(ask, got)) {
            if (start.child != NULL)
                node_moves_note(ask->node, &start, &ask->need, got);
            ask_free(ask);
            return;
        }
        unreachable(ask, got);
    } else if (plex_status_retryable(status)) {
        ask_again(ask, status, text, AGAIN_MS);
    } else {
        ask_fail(ask, status, text);
    }
}

static void
ask_send(void *arg)
{
    struct ask *ask = arg;
    struct work_node *node = ask->node;
    const struct plex_host *host = node->config.host;
    const char *url = node->config.placement_url(node->config.arg);
    const struct node_start start = start_of(ask);
    struct place_reserve reserve = {
        .request_id = ask->id,
        .tenant = ask->signal.where.tenant,
        .ns = ask->signal.where.ns,
        .node_id = host->base->node,
        .ttl_ms = TTL_MS,
        .unreachable = (const char *const *)ask->unreachable,
        .n_unreachable = ask->n_unreachable,
    };
    struct plex_err err;

    plex_arena_reset(&node->arena);
    if (node_need_of(node, &start, &node->arena, &ask->need, &err) != PLEX_OK) {
        ask_fail(ask, err.status, err.text);
        return;
    }
    if (url == NULL) {
        ask_again(ask, PLEX_UNAVAILABLE, "placement is not known", AGAIN_MS);
        return;
    }
    reserve.actor = ask->need.actor;
    reserve.placement = ask->need.placement;
    reserve.alone = ask->need.alone;
    place_client_reserve(host->link, url, &reserve, ALL_MS / 2, on_reserved,
                         ask);
}

void
node_place_noted(struct work_node *node, struct node_note *note)
{
    struct ask *ask = plex_container_of(note, struct ask, note);
    const struct plex_host *host = node->config.host;

    ask->next = node->asks;
    ask->at = &node->asks;
    if (ask->next != NULL)
        ask->next->at = &ask->next;
    node->asks = ask;
    ask->timer = plex_timer_create(host->loop, ask_send, ask);
    ask->deadline = plex_now() + ALL_MS * UINT64_C(1000000);
    (void)snprintf(ask->id, sizeof ask->id, "%" PRIx64 "-%" PRIx64,
                   host->incarnation, ++node->ask_ids);
    ask_send(ask);
}

void
node_asks_free(struct work_node *node)
{
    while (node->asks != NULL)
        ask_free(node->asks);
}
