/*
 * What happens to processes: the workers keep it, each its own; here their
 * lists become one, as an answer or as server-sent events. A cursor says how
 * far each worker has been read: "node=incarnation.sequence,...".
 */
#include "common/json_pb.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/wire.h"
#include "services/gateway/event_filter.h"
#include "services/gateway/rest.h"
#include "services/gateway/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plexspaces/actor/v1/actor.pb-c.h"
#include "plexspaces/worker/v1/worker.pb-c.h"

#define ACTOR(name) Plexspaces__Actor__V1__##name
#define WORKER(name) Plexspaces__Worker__V1__##name

enum {
    LEGS_MAX = 256, /* workers */
    STREAMS_MAX = 1000,
    ARENA_MAX = 32 << 20,
    BUFFER_MAX = 256 << 10, /* of what is being written; the queue is more */
    BEAT_MS = 10000,
    POLL_MS = 20000,
    WAIT_MS_MAX = 30000,
    LIMIT_DEFAULT = 100,
    LIMIT_MAX = 1000,
    LOOK_MS = 500, /* for new workers */
    AGAIN_MS = 20, /* when the client is slow */
    CURSOR_MAX = 16384,
};

struct gate_events;
struct leg {
    struct gate_events *events;
    char node_id[65];
    uint64_t incarnation, after, lost;
    bool calling;
    uint64_t link_id;
};
struct gate_events {
    struct gate *gate;
    struct gate_events *next, **at;  /* of gate->events */
    struct gate_rest *rest;          /* an answer is wanted */
    struct plex_http_stream *stream; /* or a stream */
    struct plex_context context;
    struct plex_arena arena;
    struct plex_timer *timer;
    struct gate_event_filter filter;
    struct gate_event_queue queue; /* of a stream */
    uint32_t limit, wait_ms;
    bool waited, closed, tail;
    json_t *list; /* of an answer */
    unsigned calling;
    struct leg *legs[LEGS_MAX];
    size_t n_legs;
};

static void poll_all(struct gate_events *e);

static void
release(struct gate_events *e)
{
    if (!e->closed || e->calling > 0)
        return;
    if (e->rest == NULL)
        e->gate->n_events--;
    *e->at = e->next;
    if (e->next != NULL)
        e->next->at = e->at;
    for (size_t i = 0; i < e->n_legs; i++)
        free(e->legs[i]);
    plex_timer_free(e->timer);
    json_decref(e->list);
    plex_arena_fini(&e->arena);
    gate_event_filter_fini(&e->filter);
    gate_queue_fini(&e->queue);
    free(e);
}

/* -- cursors ---------------------------------------------------------------
 */

static struct leg *
leg_get(struct gate_events *e, const char *node_id)
{
    for (size_t i = 0; i < e->n_legs; i++)
        if (strcmp(e->legs[i]->node_id, node_id) == 0)
            return e->legs[i];
    if (e->n_legs == LEGS_MAX)
        return NULL;
    e->legs[e->n_legs] = plex_calloc(1, sizeof(struct leg));
    e->legs[e->n_legs]->events = e;
    (void)snprintf(e->legs[e->n_legs]->node_id, sizeof e->legs[0]->node_id,
                   "%s", node_id);
    return e->legs[e->n_legs++];
}

static bool
cursor_read(struct gate_events *e, const char *text)
{
    while (*text != '\0') {
        char node_id[65];
        uint64_t incarnation, after;
        struct leg *leg;
        int n = 0;

        if (sscanf(text, "%64[^=]=%" SCNu64 ".%" SCNu64 "%n", node_id,
                   &incarnation, &after, &n) != 3 ||
            n == 0 || (text[n] != '\0' && text[n] != ',') ||
            (leg = leg_get(e, node_id)) == NULL)
            return false;
        leg->incarnation = incarnation;
        leg->after = after;
        text += n + (text[n] == ',');
    }
    return true;
}

static void
cursor_write(const struct gate_events *e, char out[CURSOR_MAX])
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < e->n_legs && used + 128 < CURSOR_MAX; i++)
        if (e->legs[i]->incarnation != 0)
            used += (size_t)snprintf(
                out + used, CURSOR_MAX - used, "%s%s=%" PRIu64 ".%" PRIu64,
                used == 0 ? "" : ",", e->legs[i]->node_id,
                e->legs[i]->incarnation, e->legs[i]->after);
}

/* -- filters ---------------------------------------------------------------
 */

static bool
passes(const struct gate_events *e, const ACTOR(Event) * event)
{
    const struct gate_event_view view = {
        .type = event->type,
        .reason = event->reason,
        .name = event->name,
        .child = event->child,
        .process = event->process,
        .node_id = event->node_id,
        .ns = event->namespace_,
        .behaviour = event->behaviour,
        .supervisor = event->supervisor,
    };

    return gate_event_wanted(&e->filter, &view);
}

/* -- out -------------------------------------------------------------------
 */

static uint64_t
wall_of(const json_t *event)
{
    const json_t *wall = json_object_get(event, "wallMs");

    return json_is_string(wall) ? strtoull(json_string_value(wall), NULL, 10)
                                : (uint64_t)json_integer_value(wall);
}

/* By time; those of one worker stay as they are. */
static json_t *
sorted(json_t *list)
{
    json_t *out = json_array();
    size_t n = json_array_size(list);

    for (size_t i = 0; i < n; i++) {
        json_t *event = json_array_get(list, i);
        size_t at = json_array_size(out);

        while (at > 0 && wall_of(json_array_get(out, at - 1)) > wall_of(event))
            at--;
        json_array_insert(out, at, event);
    }
    return out;
}

static void
answer(struct gate_events *e)
{
    json_t *json = json_object();
    uint64_t lost = 0;
    char *cursor = plex_calloc(1, CURSOR_MAX), text[24];

    cursor_write(e, cursor);
    for (size_t i = 0; i < e->n_legs; i++)
        lost += e->legs[i]->lost;
    (void)snprintf(text, sizeof text, "%" PRIu64, lost);
    json_object_set_new(json, "events", sorted(e->list));
    json_object_set_new(json, "next", json_string(cursor));
    json_object_set_new(json, "lost", json_string(text));
    free(cursor);
    gate_rest_answer(e->rest, json);
    plex_timer_stop(e->timer);
    e->closed = true;
}

static void
stream_push(struct gate_events *e, const ACTOR(Event) * event)
{
    json_t *json = plex_json_from_pb(&event->base);
    char *text = json_dumps(json, JSON_COMPACT), *frame = NULL;
    char *cursor = plex_calloc(1, CURSOR_MAX);

    cursor_write(e, cursor);
    if (asprintf(&frame, "id: %s\nevent: %s\ndata: %s\n\n", cursor, event->type,
                 text) < 0)
        abort(); /* out of memory */
    gate_queue_push(&e->queue, frame);
    free(cursor);
    free(text);
    json_decref(json);
}

/* What was dropped, where it is missing. */
static void
dropped_push(struct gate_events *e)
{
    const uint64_t n = e->queue.dropped;
    char frame[80];
    int len;

    if (n == 0)
        return;
    len = snprintf(frame, sizeof frame,
                   "event: dropped\ndata: {\"dropped\":%" PRIu64 "}\n\n", n);
    if (plex_http_stream_write(
            e->stream,
            (struct plex_bytes){(const uint8_t *)frame, (size_t)len}))
        (void)gate_queue_dropped(&e->queue);
}

/* As much as the client takes; false: more is left. */
static bool
stream_flush(struct gate_events *e)
{
    const char *frame;

    while ((frame = gate_queue_first(&e->queue)) != NULL) {
        dropped_push(e);
        if (!plex_http_stream_write(
                e->stream,
                (struct plex_bytes){(const uint8_t *)frame, strlen(frame)}))
            return false;
        gate_queue_pop(&e->queue);
    }
    return true;
}

static void
take(struct leg *leg, struct plex_bytes payload)
{
    struct gate_events *e = leg->events;
    ProtobufCMessage *message;
    const WORKER(EventsReply) * reply;
    struct plex_err err;

    plex_arena_reset(&e->arena);
    if (plex_wire_unpack(&plexspaces__worker__v1__events_reply__descriptor,
                         payload, &e->arena, &message, &err) != PLEX_OK) {
        plex_log(PLEX_LOG_WARN, "events", "bad answer: %s", err.text);
        return;
    }
    reply = (const void *)message;
    leg->incarnation = reply->incarnation;
    leg->lost = reply->lost;
    for (size_t i = 0; i < reply->n_events; i++) {
        const ACTOR(Event) *event = reply->events[i];

        leg->after = event->sequence;
        if (!passes(e, event))
            continue;
        if (e->rest != NULL)
            json_array_append_new(e->list, plex_json_from_pb(&event->base));
        else
            stream_push(e, event);
    }
    leg->after = reply->next;
    if (e->rest == NULL && !stream_flush(e))
        plex_timer_start(e->timer, AGAIN_MS);
}

/* -- asking ----------------------------------------------------------------
 */

static void
on_closed(void *arg)
{
    struct gate_events *e = arg;

    e->stream = NULL;
    e->closed = true;
    plex_timer_stop(e->timer);
    for (size_t i = 0; i < e->n_legs && !e->gate->stopped; i++)
        if (e->legs[i]->calling)
            plex_link_cancel(e->gate->host->link, e->legs[i]->link_id);
    release(e);
}

static void
cancel_rest(struct gate_events *e)
{
    for (size_t i = 0; i < e->n_legs; i++)
        if (e->legs[i]->calling)
            plex_link_cancel(e->gate->host->link, e->legs[i]->link_id);
}

static void
on_polled(void *arg, const struct plex_link_result *result)
{
    struct leg *leg = arg;
    struct gate_events *e = leg->events;

    leg->calling = false;
    e->calling--;
    if (!e->closed && result->status == PLEX_OK)
        take(leg, result->payload);
    if (e->closed) {
        release(e);
    } else if (e->rest == NULL) {
        if (result->status == PLEX_OK)
            poll_all(e);
        /* else at the next look */
    } else if (e->calling > 0) {
        if (e->waited && json_array_size(e->list) > 0)
            cancel_rest(e);
    } else if (json_array_size(e->list) > 0 || e->wait_ms == 0 || e->waited) {
        answer(e);
        release(e);
    } else {
        e->waited = true;
        poll_all(e);
    }
}

/* Of one answer: who waits until there is room asks for no more than fits. */
static uint32_t
limit_of(const struct gate_events *e)
{
    const size_t room =
        (e->queue.max - e->queue.n) / (e->n_legs == 0 ? 1 : e->n_legs);

    if (e->rest != NULL || e->queue.drop != GATE_DROP_BLOCK || room > e->limit)
        return e->limit;
    return room == 0 ? 1 : (uint32_t)room;
}

static void
poll_leg(struct gate_events *e, struct leg *leg, const char *url)
{
    WORKER(EventsRequest) m = PLEXSPACES__WORKER__V1__EVENTS_REQUEST__INIT;
    struct plex_buf out = {.max = 4096};
    struct plex_link_request request = {
        .peer = url,
        .method = PLEXSPACES__WORKER__V1__WORKER_METHOD__WORKER_METHOD_EVENTS,
        .context = &e->context,
        .done = on_polled,
        .arg = leg,
    };
    struct plex_err err;

    m.incarnation = leg->incarnation;
    m.after = leg->after;
    m.limit = limit_of(e);
    m.tenant = (char *)(uintptr_t)e->context.tenant;
    m.tail = e->tail && leg->incarnation == 0;
    if (e->rest == NULL)
        m.wait_ms = POLL_MS;
    else if (e->waited)
        m.wait_ms = e->wait_ms;
    e->context.deadline = plex_now() + (m.wait_ms + 5000) * UINT64_C(1000000);
    if (plex_wire_pack(&m.base, &out, &err) != PLEX_OK)
        out.len = 0; /* cannot be: it is small */
    request.payload = (struct plex_bytes){out.data, out.len};
    leg->calling = true;
    e->calling++;
    leg->link_id = plex_link_call(e->gate->host->link, &request);
    plex_buf_free(&out);
}

static void
poll_all(struct gate_events *e)
{
    const struct reg_catalog *catalog = gate_core_catalog_now(e->gate->core);
    size_t n = 0;
    const struct reg_node *nodes =
        catalog == NULL ? NULL : reg_catalog_nodes(catalog, &n);

    if (e->rest == NULL && e->queue.drop == GATE_DROP_BLOCK &&
        gate_queue_full(&e->queue))
        return; /* the timer looks again */
    for (size_t i = 0; i < n; i++) {
        struct leg *leg;

        if (strcmp(nodes[i].kind, "worker") != 0 ||
            nodes[i].status == REG_NODE_LOST ||
            !gate_event_node(&e->filter, nodes[i].node_id))
            continue;
        leg = leg_get(e, nodes[i].node_id);
        if (leg != NULL && !leg->calling)
            poll_leg(e, leg, nodes[i].url);
    }
    e->tail = e->tail && e->n_legs == 0; /* later ones from their start */
}

/* Answer a long poll with what there is. */
static void
wait_end(struct gate_events *e)
{
    e->wait_ms = 0;
    e->waited = true;
    cancel_rest(e); /* the answer follows */
}

void
gate_events_drain(struct gate *gate)
{
    for (struct gate_events *e = gate->events; e != NULL; e = e->next)
        if (e->rest != NULL && !e->closed)
            wait_end(e);
}

static void
on_look(void *arg)
{
    struct gate_events *e = arg;
    uint32_t again_ms = LOOK_MS;

    if (e->closed || e->gate->stopped)
        return;
    if (e->rest == NULL) {
        if (!stream_flush(e))
            again_ms = AGAIN_MS;
        poll_all(e);
    } else if (plex_http_gone(e->rest->ex))
        wait_end(e);
    plex_timer_start(e->timer, again_ms);
}

/* -- the beginning ---------------------------------------------------------
 */

static struct gate_events *
events_new(struct gate *gate)
{
    struct gate_events *e = plex_calloc(1, sizeof *e);

    e->gate = gate;
    e->context = plex_context_none;
    e->context.tenant = gate->rules.tenant;
    e->limit = LIMIT_MAX;
    plex_arena_init(&e->arena, ARENA_MAX);
    e->timer = plex_timer_create(gate->host->loop, on_look, e);
    e->next = gate->events;
    e->at = &gate->events;
    if (e->next != NULL)
        e->next->at = &e->next;
    gate->events = e;
    return e;
}

void
gate_rest_events(struct gate_rest *rest)
{
    const ACTOR(ListEventsRequest) *m = (const void *)rest->request;
    const struct gate_event_wish wish = {
        .types = m->type,
        .name_pattern = m->name_pattern,
        .node_id = m->node_id,
        .actor_pattern = m->actor_id_pattern,
        .node_pattern = m->node_id_pattern,
        .tags = m->required_tags,
    };
    struct gate_events *e;
    struct plex_err err;

    if (m->limit > LIMIT_MAX || m->wait_ms > WAIT_MS_MAX) {
        gate_rest_problem(rest, 400, "INVALID", "gateway",
                          "limit is at most %d, wait_ms at most %d", LIMIT_MAX,
                          WAIT_MS_MAX);
        return;
    }
    e = events_new(rest->gate);
    e->rest = rest;
    e->list = json_array();
    e->limit = m->limit == 0 ? LIMIT_DEFAULT : m->limit;
    e->wait_ms = m->wait_ms;
    if (gate_event_filter_init(&e->filter, &wish, &err) != PLEX_OK) {
        gate_rest_problem(rest, 400, "INVALID", "gateway", "%s", err.text);
        e->closed = true;
    } else if (!cursor_read(e, m->after)) {
        gate_rest_problem(rest, 400, "INVALID", "gateway",
                          "after is not the `next` of an earlier answer");
        e->closed = true;
    } else {
        poll_all(e);
        plex_timer_start(e->timer, LOOK_MS);
        if (e->calling == 0)
            answer(e);
    }
    release(e);
}

static struct plex_http_stream *
stream_open(struct gate_events *e, struct plex_http_exchange *ex)
{
    static const struct plex_http_header headers[] = {
        {"Cache-Control", "no-store"}, {0}};
    const struct plex_http_stream_config config = {
        .buffer_max = BUFFER_MAX,
        .beat = ":\n\n",
        .beat_ms = BEAT_MS,
        .closed = on_closed,
        .arg = e,
    };

    e->gate->metrics.answers[2]->value++;
    return plex_http_stream_begin(ex, 200, "text/event-stream", headers,
                                  &config);
}

/* What the query of a stream asks for. */
static enum plex_status
stream_ask(struct gate_events *e, const char *query, struct plex_arena *arena,
           const char **after, struct plex_err *err)
{
    struct gate_event_wish wish = {0};
    struct gate_params params;
    const char *size, *drop;
    enum gate_drop policy;
    uint64_t max = GATE_QUEUE_DEFAULT;

    if (gate_params_parse(query, arena, &params, err) != PLEX_OK)
        return err->status;
    *after = gate_params_take(&params, "after");
    if (*after == NULL)
        *after = "";
    wish.types = gate_params_take(&params, "type");
    wish.name_pattern = gate_params_take(&params, "name_pattern");
    wish.node_id = gate_params_take(&params, "node_id");
    wish.actor_pattern = gate_params_take(&params, "actor_id_pattern");
    wish.node_pattern = gate_params_take(&params, "node_id_pattern");
    wish.tags = gate_params_take(&params, "required_tags");
    size = gate_params_take(&params, "buffer_size");
    drop = gate_params_take(&params, "drop_policy");
    if (size != NULL &&
        (!gate_uint_parse(size, strlen(size), GATE_QUEUE_MAX, &max) ||
         max == 0))
        return plex_err_set(err, PLEX_INVALID,
                            "buffer_size must be a number from 1 to %d",
                            GATE_QUEUE_MAX);
    if (gate_drop_parse(drop == NULL ? "" : drop, &policy, err) != PLEX_OK)
        return err->status;
    gate_queue_init(&e->queue, (size_t)max, policy);
    return gate_event_filter_init(&e->filter, &wish, err);
}

void
gate_events_stream(struct gate *gate, struct plex_http_exchange *ex)
{
    const char *again = plex_http_request_header(ex, "Last-Event-ID");
    const char *after = "";
    struct plex_arena arena;
    struct gate_events *e;
    struct plex_err err;

    if (gate->n_events >= STREAMS_MAX) {
        gate_answer_error(gate, ex, 503, "OVERLOADED", "gateway", "",
                          "%d streams are open, which is the limit",
                          STREAMS_MAX);
        return;
    }
    plex_arena_init(&arena, 1 << 20);
    e = events_new(gate);
    gate->n_events++;
    if (stream_ask(e, plex_http_query(ex), &arena, &after, &err) != PLEX_OK) {
        gate_answer_error(gate, ex, 400, "INVALID_QUERY", "gateway", "", "%s",
                          err.text);
        e->closed = true;
        release(e);
        plex_arena_fini(&arena);
        return;
    }
    if (after[0] == '\0')
        after = again == NULL ? "" : again;
    e->tail = after[0] == '\0';
    if (!cursor_read(e, after)) {
        gate_answer_error(gate, ex, 400, "INVALID_QUERY", "gateway", "",
                          "after is not the id of an event");
        e->closed = true;
        release(e);
    } else {
        e->stream = stream_open(e, ex);
        plex_timer_start(e->timer, LOOK_MS);
        poll_all(e);
    }
    plex_arena_fini(&arena);
}
