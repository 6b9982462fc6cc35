/*
 * Calls we answer. Each is remembered under its peer, the peer's incarnation
 * and its id until it is answered, so that a request which is sent again
 * while it is being served is not handled twice: its one answer goes to
 * whoever asked last.
 */
#include "common/link_impl.h"
#include "common/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { NS_PER_MS = 1000000 };

/* -- table -------------------------------------------------------------------
 */

static size_t
served_bucket(const struct plex_link *link, const struct link_peer *peer,
              uint64_t id)
{
    return (size_t)(((id ^ peer->hash) * 0x9e3779b97f4a7c15U) >> 32) &
           (link->served_buckets - 1);
}

static void
served_grow(struct plex_link *link)
{
    const size_t old = link->served_buckets;
    struct plex_call **table = link->served, *call;

    link->served_buckets = old == 0 ? 64 : old * 2;
    link->served = plex_calloc(link->served_buckets, sizeof *link->served);
    for (size_t i = 0; i < old; i++)
        while ((call = table[i]) != NULL) {
            const size_t to = served_bucket(link, call->peer, call->id);

            table[i] = call->next_hash;
            call->next_hash = link->served[to];
            link->served[to] = call;
        }
    free(table);
}

static struct plex_call *
served_find(const struct link_peer *peer, uint64_t id)
{
    const struct plex_link *link = peer->link;
    struct plex_call *call;

    if (link->served_buckets == 0)
        return NULL;
    call = link->served[served_bucket(link, peer, id)];
    while (call != NULL &&
           (call->id != id || call->peer != peer || call->event ||
            call->incarnation != peer->incarnation))
        call = call->next_hash;
    return call;
}

static struct plex_call *
served_add(struct link_peer *peer, uint64_t id)
{
    struct plex_link *link = peer->link;
    struct plex_call *call = link->free_served;
    size_t bucket;

    if (call == NULL)
        call = plex_calloc(1, sizeof *call);
    else
        link->free_served = call->next;
    if (link->serving >= link->served_buckets)
        served_grow(link);
    call->link = link;
    call->peer = peer;
    call->id = id;
    call->incarnation = peer->incarnation;
    call->abandoned = false;
    call->on_abandon = NULL;
    bucket = served_bucket(link, peer, id);
    call->next_hash = link->served[bucket];
    link->served[bucket] = call;
    call->next = peer->served;
    call->prev = &peer->served;
    if (call->next != NULL)
        call->next->prev = &call->next;
    peer->served = call;
    peer->serving++;
    link->serving++;
    link->metrics.serving->value++;
    return call;
}

static void
served_remove(struct plex_call *call)
{
    struct plex_link *link = call->link;
    struct link_peer *peer = call->peer;
    struct plex_call **at = &link->served[served_bucket(link, peer, call->id)];

    while (*at != call)
        at = &(*at)->next_hash;
    *at = call->next_hash;
    *call->prev = call->next;
    if (call->next != NULL)
        call->next->prev = call->prev;
    if (--peer->serving == 0 && peer->outbox == NULL)
        link->reap = true;
    link->serving--;
    link->metrics.serving->value--;
    if (link->current == call)
        link->current = NULL;
    free(call->long_strings);
    call->long_strings = NULL;
    call->next = link->free_served;
    link->free_served = call;
}

void
link_served_free(struct plex_link *link)
{
    struct plex_call *call;

    for (size_t i = 0; i < link->served_buckets; i++)
        while (link->served[i] != NULL)
            served_remove(link->served[i]);
    while ((call = link->free_served) != NULL) {
        link->free_served = call->next;
        free(call);
    }
    free(link->served);
    link->served = NULL;
    link->served_buckets = 0;
}

/* -- requests ----------------------------------------------------------------
 */

static const char *
keep_text(char **at, struct plex_bytes text)
{
    char *start = *at;

    if (text.len > 0)
        memcpy(start, text.data, text.len);
    start[text.len] = '\0';
    *at += text.len + 1;
    return start;
}

static void
call_keep_context(struct plex_call *call, const struct plex_envelope *envelope)
{
    const struct plex_envelope_context *from = &envelope->context;
    const size_t size = from->tenant.len + from->ns.len + from->principal.len +
                        from->roles.len + from->request_id.len + 5;
    char *at = call->strings;

    if (size > sizeof call->strings)
        at = call->long_strings = plex_calloc(size, 1);
    call->context.tenant = keep_text(&at, from->tenant);
    call->context.ns = keep_text(&at, from->ns);
    call->context.principal = keep_text(&at, from->principal);
    call->context.roles = keep_text(&at, from->roles);
    call->context.request_id = keep_text(&at, from->request_id);
    call->context.trace = from->trace;
}

static void
call_set_deadline(struct plex_call *call, const struct plex_envelope *envelope)
{
    call->context.deadline =
        envelope->timeout_ms == 0
            ? 0
            : plex_now() + envelope->timeout_ms * NS_PER_MS;
}

static const struct plex_method *
method_find(const struct plex_link *link, uint32_t id)
{
    const struct plex_method *method = link->config.methods;

    while (method != NULL && method->id != 0 && method->id != id)
        method++;
    return method == NULL || method->id == 0 ? NULL : method;
}

static void
call_refuse(struct plex_call *call, enum plex_status status, const char *text)
{
    plex_call_fail(call, status, text, (struct plex_bytes){0});
}

static void
call_handle(struct plex_call *call, const struct plex_envelope *envelope)
{
    struct plex_link *link = call->link;
    const struct plex_method *method = method_find(link, envelope->method);

    if (link->draining) {
        call_refuse(call, PLEX_UNAVAILABLE, "service is draining");
        return;
    }
    if (call->peer->serving > PLEX_LINK_INFLIGHT_MAX) {
        call_refuse(call, PLEX_LIMIT, "too many requests in service");
        return;
    }
    if (method == NULL) {
        call_refuse(call, PLEX_UNSUPPORTED, "service has no such method");
        return;
    }
    call->payload = envelope->payload;
    link->current = call;
    method->handle(link->config.state, call);
    if (link->current != NULL) /* else it is answered and gone */
        link->current->payload = (struct plex_bytes){0};
    link->current = NULL;
}

void
link_serve_request(struct link_peer *peer, const struct plex_envelope *envelope)
{
    const bool event = envelope->kind == PLEX_ENVELOPE_EVENT;
    struct plex_call *call = event ? NULL : served_find(peer, envelope->id);

    if (call != NULL) {
        call->abandoned = false;
        call_set_deadline(call, envelope);
        return;
    }
    call = served_add(peer, envelope->id);
    call->event = event;
    call_keep_context(call, envelope);
    call_set_deadline(call, envelope);
    call_handle(call, envelope);
}

/* The call may be answered, and gone, when this returns. */
static void
call_abandon(struct plex_call *call)
{
    void (*const tell)(void *arg, struct plex_call *call) = call->on_abandon;

    call->abandoned = true;
    call->on_abandon = NULL;
    if (tell != NULL)
        tell(call->on_abandon_arg, call);
}

void
link_serve_cancel(struct link_peer *peer, uint64_t id)
{
    struct plex_call *call = served_find(peer, id);

    if (call != NULL)
        call_abandon(call);
}

void
link_served_abandon(struct link_peer *peer)
{
    for (struct plex_call *call = peer->served, *next; call != NULL;
         call = next) {
        next = call->next;
        call_abandon(call);
    }
}

/* -- what a handler may do
 * ----------------------------------------------------- */

const struct plex_context *
plex_call_context(const struct plex_call *call)
{
    return &call->context;
}

struct plex_bytes
plex_call_payload(const struct plex_call *call)
{
    return call->payload;
}

bool
plex_call_abandoned(const struct plex_call *call)
{
    return call->abandoned || call->incarnation != call->peer->incarnation ||
           (call->context.deadline != 0 &&
            call->context.deadline <= plex_now());
}

void
plex_call_on_abandon(struct plex_call *call,
                     void (*fn)(void *arg, struct plex_call *call), void *arg)
{
    call->on_abandon = fn;
    call->on_abandon_arg = arg;
}

/* Cut to what fits, not inside a UTF-8 character. */
static struct plex_bytes
text_cut(const char *text)
{
    size_t len = strnlen(text, PLEX_FRAME_TEXT_MAX + 1);

    if (len > PLEX_FRAME_TEXT_MAX) {
        len = PLEX_FRAME_TEXT_MAX;
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
            len--;
    }
    return (struct plex_bytes){(const uint8_t *)text, len};
}

static void
call_answer(struct plex_call *call, struct plex_envelope *envelope)
{
    struct link_peer *peer = call->peer;
    struct plex_err err;
    uint64_t frame;
    size_t size, offset;

    if (envelope->payload.len > PLEX_FRAME_PAYLOAD_MAX) {
        envelope->status = PLEX_TOO_LARGE;
        envelope->text = text_cut("answer is too large");
        envelope->payload = (struct plex_bytes){0};
    }
    envelope->id = call->id;
    envelope->kind = PLEX_ENVELOPE_REPLY;
    if (peer->queued + envelope->payload.len > LINK_QUEUE_REPLY_MAX) {
        envelope->status = PLEX_UNKNOWN;
        envelope->text = text_cut("answer dropped: too much waits already");
        envelope->payload = (struct plex_bytes){0};
    }
    size = plex_envelope_size(envelope);
    /* An answer nobody waits for is dropped. A deadline that passed a moment
     * ago is the caller's to judge. */
    if (!call->event && !call->abandoned &&
        call->incarnation == peer->incarnation &&
        peer->queued + size <= LINK_QUEUE_REPLY_MAX + PLEX_LINK_FRAME_MAX &&
        link_peer_dial(peer, &err) == PLEX_OK)
        link_peer_queue(peer, envelope, size, &frame, &offset);
    served_remove(call);
}

void
plex_call_reply(struct plex_call *call, struct plex_bytes payload)
{
    struct plex_envelope envelope = {.payload = payload};

    call_answer(call, &envelope);
}

void
plex_call_fail(struct plex_call *call, enum plex_status status,
               const char *text, struct plex_bytes payload)
{
    struct plex_envelope envelope = {
        .status = (uint32_t)status,
        .text = text_cut(text),
        .payload = payload,
    };

    assert(status != PLEX_OK);
    call_answer(call, &envelope);
}

void
plex_call_refuse(struct plex_call *call, const struct plex_err *err)
{
    plex_call_fail(call, err->status, err->text, (struct plex_bytes){0});
}

void
plex_call_answer(struct plex_call *call, enum plex_status status,
                 const struct plex_buf *out, const struct plex_err *err)
{
    if (status == PLEX_OK)
        plex_call_reply(call, (struct plex_bytes){out->data, out->len});
    else
        plex_call_fail(call, status, err->text, (struct plex_bytes){0});
}
