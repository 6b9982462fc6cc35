/* Events of the tuple space as server-sent events: a subscription, asked for
 * its events over and over. */
#include "common/log.h"
#include "common/mem.h"
#include "common/wire.h"
#include "services/gateway/rest.h"
#include "services/gateway/text.h"
#include "services/tuplespace/client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plexspaces/tuplespace/v1/tuplespace.pb-c.h"

#define PB(name) Plexspaces__Tuplespace__V1__##name
#define METHOD(name) \
    PLEXSPACES__TUPLESPACE__V1__TUPLE_SPACE_METHOD__TUPLE_SPACE_METHOD_##name

enum {
    EVENTS_STREAMS_MAX = 1000,
    EVENTS_ARENA_MAX = 20 << 20,
    EVENTS_BUFFER_MAX = 4 << 20, /* bytes a slow client may leave unread */
    EVENTS_POLL_MS = 20000,
    EVENTS_BEAT_MS = 10000,
    EVENTS_CALL_MS = 10000,
};

/* Alive until neither the client nor a call needs it. */
struct gate_tuple_events {
    struct gate *gate;
    struct plex_http_exchange *ex; /* until it became a stream */
    struct plex_http_stream *stream;
    struct plex_context context;
    char request_id[27];
    char ns[PLEX_NAMESPACE_MAX + 1];
    struct plex_arena arena;
    uint64_t subscription;
    bool owned;   /* unsubscribe at the end */
    bool calling; /* a call is under way */
    bool closed;
    uint64_t link_id;
    uint64_t after;       /* numbers up to here were sent */
    uint64_t acknowledge; /* and up to here received: the client said so */
};

static void poll_send(struct gate_tuple_events *e);

static void
events_release(struct gate_tuple_events *e)
{
    if (!e->closed || e->calling)
        return;
    e->gate->n_events--;
    plex_arena_fini(&e->arena);
    free(e);
}

static void
call(struct gate_tuple_events *e, uint32_t method, ProtobufCMessage *message,
     uint64_t more_ms, plex_link_fn done)
{
    struct gate *gate = e->gate;
    struct plex_buf out = {.max = PLEX_WIRE_BYTES_MAX};
    struct plex_link_request request = {
        .peer = tspace_client_url(reg_client_catalog(gate->registry),
                                  e->context.tenant, e->ns),
        .method = method,
        .context = &e->context,
        .done = done,
        .arg = e,
    };
    struct plex_err err;

    e->context.deadline =
        plex_loop_now(gate->host->loop) + (EVENTS_CALL_MS + more_ms) * 1000000;
    if (request.peer == NULL)
        request.peer = ""; /* reported by `done` */
    if (plex_wire_pack(message, &out, &err) != PLEX_OK)
        out.len = 0; /* cannot be: it was smaller as text */
    request.payload = (struct plex_bytes){out.data, out.len};
    e->calling = true;
    e->link_id = plex_link_call(gate->host->link, &request);
    plex_buf_free(&out);
}

/* -- the end -----------------------------------------------------------------
 */

static void
on_unsubscribed(void *arg, const struct plex_link_result *result)
{
    struct gate_tuple_events *e = arg;

    (void)result;
    e->calling = false;
    events_release(e);
}

/* A subscription that could not be ended is dropped by the tuple space when
 * nobody asks for its events. */
static void
unsubscribe(struct gate_tuple_events *e)
{
    PB(UnsubscribeRequest)
    m = PLEXSPACES__TUPLESPACE__V1__UNSUBSCRIBE_REQUEST__INIT;

    m.subscription_id = e->subscription;
    e->owned = false;
    call(e, METHOD(UNSUBSCRIBE), &m.base, 0, on_unsubscribed);
}

static void
on_closed(void *arg)
{
    struct gate_tuple_events *e = arg;

    e->stream = NULL;
    e->closed = true;
    if (e->calling && !e->gate->stopped)
        plex_link_cancel(e->gate->host->link, e->link_id);
    else if (e->owned && !e->gate->stopped)
        unsubscribe(e);
    events_release(e);
}

static void
events_end(struct gate_tuple_events *e)
{
    plex_http_stream_end(e->stream);
    on_closed(e);
}

void
gate_tuple_events_fini(struct gate *gate)
{
    /* Calls have ended with the link; the streams end with the server. */
    gate->stopped = true;
}

/* -- events ------------------------------------------------------------------
 */

/* False: the client does not read fast enough. */
static bool
event_write(struct gate_tuple_events *e, const PB(TupleEvent) * event)
{
    json_t *json = plex_json_from_pb_as(&tspace_json_form, &event->base);
    const char *kind = json_string_value(json_object_get(json, "event"));
    char *text = json_dumps(json, JSON_COMPACT), *frame = NULL, id[32] = "";
    int len;
    bool written;

    if (event->number != 0)
        (void)snprintf(id, sizeof id, "id: %" PRIu64 "\n", event->number);
    len = asprintf(&frame, "%sevent: %s\ndata: %s\n\n", id,
                   kind != NULL ? kind : "event", text);
    if (len < 0)
        abort(); /* out of memory */
    written = plex_http_stream_write(
        e->stream, (struct plex_bytes){(const uint8_t *)frame, (size_t)len});
    free(frame);
    free(text);
    json_decref(json);
    return written;
}

static bool
events_write(struct gate_tuple_events *e, struct plex_bytes payload)
{
    ProtobufCMessage *message;
    const PB(PollEventsReply) * reply;
    struct plex_err err;

    plex_arena_reset(&e->arena);
    if (plex_wire_unpack(
            &plexspaces__tuplespace__v1__poll_events_reply__descriptor, payload,
            &e->arena, &message, &err) != PLEX_OK) {
        plex_log(PLEX_LOG_WARN, "tuple-events", "bad answer: %s", err.text);
        return false;
    }
    reply = (const void *)message;
    for (size_t i = 0; i < reply->n_events; i++) {
        if (!event_write(e, reply->events[i]))
            return false;
        if (reply->events[i]->number > e->after)
            e->after = reply->events[i]->number;
    }
    return true;
}

static void
on_polled(void *arg, const struct plex_link_result *result)
{
    struct gate_tuple_events *e = arg;

    e->calling = false;
    if (e->closed) {
        if (e->owned && !e->gate->stopped)
            unsubscribe(e);
        events_release(e);
    } else if (result->status != PLEX_OK || !events_write(e, result->payload)) {
        events_end(e); /* the client comes again */
    } else {
        poll_send(e);
    }
}

static void
poll_send(struct gate_tuple_events *e)
{
    PB(PollEventsRequest)
    m = PLEXSPACES__TUPLESPACE__V1__POLL_EVENTS_REQUEST__INIT;

    m.subscription_id = e->subscription;
    m.timeout_ms = EVENTS_POLL_MS;
    m.after = e->after;
    m.acknowledge = e->acknowledge;
    call(e, METHOD(POLL_EVENTS), &m.base, EVENTS_POLL_MS, on_polled);
}

static void
stream_begin(struct gate_tuple_events *e)
{
    static const struct plex_http_header headers[] = {
        {"Cache-Control", "no-store"}, {0}};
    const struct plex_http_stream_config config = {
        .buffer_max = EVENTS_BUFFER_MAX,
        .beat = ":\n\n",
        .beat_ms = EVENTS_BEAT_MS,
        .closed = on_closed,
        .arg = e,
    };
    char hello[96];
    const int len =
        snprintf(hello, sizeof hello, ": subscription_id %" PRIu64 "\n\n",
                 e->subscription);

    e->gate->metrics.answers[2]->value++;
    e->stream = plex_http_stream_begin(e->ex, 200, "text/event-stream", headers,
                                       &config);
    e->ex = NULL;
    (void)plex_http_stream_write(
        e->stream, (struct plex_bytes){(const uint8_t *)hello, (size_t)len});
    poll_send(e);
}

/* -- the beginning -----------------------------------------------------------
 */

static void
refuse(struct gate_tuple_events *e, enum plex_status status, const char *source,
       const char *text)
{
    gate_answer_error(e->gate, e->ex, (unsigned)plex_status_http(status),
                      plex_status_name(status), source, e->request_id, "%s",
                      text[0] != '\0' ? text : plex_status_text(status));
    e->closed = true;
    events_release(e);
}

static void
on_subscribed(void *arg, const struct plex_link_result *result)
{
    struct gate_tuple_events *e = arg;
    ProtobufCMessage *message;
    struct plex_err err;

    e->calling = false;
    plex_arena_reset(&e->arena);
    if (result->status != PLEX_OK) {
        refuse(e, result->status, "tuplespace", result->text);
    } else if (plex_wire_unpack(
                   &plexspaces__tuplespace__v1__subscribe_reply__descriptor,
                   result->payload, &e->arena, &message, &err) != PLEX_OK) {
        refuse(e, PLEX_INTERNAL, "gateway", err.text);
    } else {
        e->subscription = ((const PB(SubscribeReply) *)(const void *)message)
                              ->subscription_id;
        stream_begin(e);
    }
}

static bool
number_of(const char *text, uint64_t *out)
{
    return text == NULL || gate_uint_parse(text, strlen(text), UINT64_MAX, out);
}

/* "written,taken" is a list of two. */
static enum plex_status
set_param(struct gate_tuple_events *e, ProtobufCMessage *message,
          const struct gate_param *param, struct plex_err *err)
{
    const char *at = param->value;

    if (strcmp(param->name, "events") != 0)
        return plex_pb_set_text_as(&tspace_json_form, message, param->name, at,
                                   &e->arena, err);
    for (size_t len; *at != '\0'; at += len + (at[len] == ',')) {
        const char *one;

        len = strcspn(at, ",");
        one = plex_arena_strndup(&e->arena, at, len);
        if (one == NULL)
            return plex_err_set(err, PLEX_TOO_LARGE, "events is too long");
        if (plex_pb_set_text_as(&tspace_json_form, message, "events", one,
                                &e->arena, err) != PLEX_OK)
            return err->status;
    }
    return PLEX_OK;
}

static enum plex_status
subscribe_fill(struct gate_tuple_events *e, struct gate_params *params,
               PB(SubscribeRequest) * m, struct plex_err *err)
{
    const char *again = plex_http_request_header(e->ex, "Last-Event-ID");
    const char *id = gate_params_take(params, "subscription_id");

    if (!number_of(again, &e->after) || !number_of(id, &e->subscription))
        return plex_err_set(err, PLEX_INVALID,
                            "subscription_id and Last-Event-ID are numbers");
    e->acknowledge = e->after;
    for (size_t i = 0; i < params->n; i++)
        if (!params->at[i].taken &&
            set_param(e, &m->base, &params->at[i], err) != PLEX_OK)
            return err->status;
    if (e->subscription != 0 && (m->space[0] != '\0' || m->template_ != NULL))
        return plex_err_set(err, PLEX_INVALID,
                            "subscription_id names a subscription that has "
                            "its space and template already");
    if (m->target[0] != '\0')
        return plex_err_set(err, PLEX_INVALID,
                            "target is for POST "
                            "/api/v1/tuplespace/subscriptions");
    (void)snprintf(e->ns, sizeof e->ns, "%s",
                   m->namespace_[0] != '\0' ? m->namespace_ : "default");
    return plex_name_namespace(e->ns, strlen(e->ns), err);
}

static void
subscribe(struct gate_tuple_events *e)
{
    PB(SubscribeRequest)
    m = PLEXSPACES__TUPLESPACE__V1__SUBSCRIBE_REQUEST__INIT;
    const char *query = plex_http_query(e->ex);
    struct gate_params params;
    struct plex_err err;

    if (strlen(query) > GATE_QUERY_MAX) {
        gate_answer_error(e->gate, e->ex, 414, "URI_TOO_LONG", "gateway",
                          e->request_id, "the query may have %d bytes",
                          GATE_QUERY_MAX);
        e->closed = true;
        events_release(e);
    } else if (gate_params_parse(query, &e->arena, &params, &err) != PLEX_OK ||
               subscribe_fill(e, &params, &m, &err) != PLEX_OK) {
        refuse(e, err.status, "gateway", err.text);
    } else if (e->subscription != 0) {
        stream_begin(e);
    } else {
        /* A guaranteed one waits for the client to come again. */
        e->owned = !m.guaranteed;
        call(e, METHOD(SUBSCRIBE), &m.base, 0, on_subscribed);
    }
}

void
gate_tuple_events_begin(struct gate *gate, struct plex_http_exchange *ex)
{
    struct gate_tuple_events *e;
    uint8_t id[16];

    if (gate->n_events >= EVENTS_STREAMS_MAX) {
        gate_answer_error(gate, ex, 503, "OVERLOADED", "gateway", "",
                          "%d streams are open, which is the limit",
                          EVENTS_STREAMS_MAX);
        return;
    }
    e = plex_calloc(1, sizeof *e);
    gate->n_events++;
    e->gate = gate;
    e->ex = ex;
    plex_arena_init(&e->arena, EVENTS_ARENA_MAX);
    plex_id_make(id, plex_wall_ms());
    plex_id_format(id, e->request_id);
    e->context = plex_context_none;
    e->context.tenant = gate->rules.tenant;
    e->context.ns = e->ns;
    e->context.request_id = e->request_id;
    subscribe(e);
}
