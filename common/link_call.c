/*
 * Calls we make. A call is found by its id: the slot of a pooled object and
 * a generation, so that a late answer finds nothing. Failures are noted and
 * told by a posted task, so that done() never runs inside plex_link_call and
 * lists can be walked in peace; answers are told at once.
 */
#include "common/link_impl.h"
#include "common/mem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLOT_BITS = 24,
    BLOCK_BITS = 8, /* calls are allocated by 256 */
    BLOCK = 1 << BLOCK_BITS,
    NS_PER_MS = 1000000,
};

/* What a call needs to be sent again. */
struct link_copy {
    struct plex_context context;
    struct plex_bytes payload;
    char bytes[];
};

/* -- pool --------------------------------------------------------------------
 */

static void call_expired(struct link_deadline *deadline);

static void
calls_grow(struct plex_link *link)
{
    const size_t blocks = link->slot_count >> BLOCK_BITS;
    struct link_call *block = plex_calloc(BLOCK, sizeof *block);

    assert(link->slot_count + BLOCK <= (size_t)1 << SLOT_BITS);
    link->slots =
        plex_reallocarray(link->slots, blocks + 1, sizeof link->slots[0]);
    link->slots[blocks] = block;
    for (size_t i = BLOCK; i-- > 0;) {
        block[i].link = link;
        block[i].slot = (uint32_t)(link->slot_count + i);
        block[i].deadline.expired = call_expired;
        block[i].next = link->free_calls;
        link->free_calls = &block[i];
    }
    link->slot_count += BLOCK;
}

static struct link_call *
call_alloc(struct plex_link *link)
{
    struct link_call *call;

    if (link->free_calls == NULL)
        calls_grow(link);
    call = link->free_calls;
    link->free_calls = call->next;
    call->generation++;
    call->id = (uint64_t)call->generation << SLOT_BITS | call->slot;
    call->attempt = 0;
    call->ever_sent = false;
    return call;
}

static void
call_free(struct link_call *call)
{
    free(call->copy);
    free(call->text);
    call->copy = NULL;
    call->text = NULL;
    call->id = 0;
    call->next = call->link->free_calls;
    call->link->free_calls = call;
}

static struct link_call *
call_find(struct plex_link *link, uint64_t id)
{
    const size_t slot = id & (((uint64_t)1 << SLOT_BITS) - 1);
    struct link_call *call;

    if (slot >= link->slot_count)
        return NULL;
    call = &link->slots[slot >> BLOCK_BITS][slot & (BLOCK - 1)];
    return call->id == id && id != 0 ? call : NULL;
}

void
link_calls_free(struct plex_link *link)
{
    for (size_t i = 0; i < link->slot_count >> BLOCK_BITS; i++)
        free(link->slots[i]);
    free(link->slots);
}

/* -- states ------------------------------------------------------------------
 */

static bool
call_unsent(const struct link_call *call)
{
    return call->frame > call->peer->handed;
}

static void
call_attach(struct link_call *call, struct link_peer *peer)
{
    call->peer = peer;
    call->next = NULL;
    call->prev = peer->calls_tail;
    *peer->calls_tail = call;
    peer->calls_tail = &call->next;
    peer->pending++;
    call->link->metrics.pending->value++;
}

static void
call_detach(struct link_call *call)
{
    struct link_peer *peer = call->peer;

    *call->prev = call->next;
    if (call->next != NULL)
        call->next->prev = call->prev;
    else
        peer->calls_tail = call->prev;
    if (--peer->pending == 0 && peer->outbox == NULL)
        call->link->reap = true;
    call->link->metrics.pending->value--;
    link_heap_remove(&call->link->heap, &call->deadline);
    call->peer = NULL;
}

static void
call_count(struct plex_link *link, enum plex_status status)
{
    link->metrics.calls[(unsigned)status % LINK_STATUSES]->value++;
}

/* The call has failed; done() is told later. `what` follows the peer. */
static void call_fail(struct link_call *call, enum plex_status status,
                      bool unknown, const char *fmt, ...) PLEX_PRINTF(4, 5);

static void
call_fail(struct link_call *call, enum plex_status status, bool unknown,
          const char *fmt, ...)
{
    struct plex_link *link = call->link;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&call->text, fmt, ap) < 0)
        call->text = plex_strdup("");
    va_end(ap);
    call->status = status;
    call->outcome_unknown = unknown;
    if (call->peer != NULL)
        call_detach(call);
    call->id = 0;
    call->next = NULL;
    *link->finished_tail = call;
    link->finished_tail = &call->next;
    if (!link->posted) {
        link->posted = true;
        plex_loop_post(link->loop, &link->finish);
    }
}

bool
link_calls_finish(struct plex_link *link)
{
    struct link_call *call = link->finished, *next;

    if (call == NULL)
        return false;
    link->finished = NULL;
    link->finished_tail = &link->finished;
    for (; call != NULL; call = next) {
        const struct plex_link_result result = {
            .status = call->status,
            .text = call->text,
            .outcome_unknown = call->outcome_unknown,
        };

        next = call->next;
        call_count(link, call->status);
        call->done(call->arg, &result);
        call_free(call);
    }
    return true;
}

/* -- sending -----------------------------------------------------------------
 */

static uint64_t
timeout_ms(uint64_t deadline, uint64_t now)
{
    const uint64_t ms = (deadline - now + NS_PER_MS - 1) / NS_PER_MS;

    return ms > PLEX_FRAME_TIMEOUT_MAX_MS ? PLEX_FRAME_TIMEOUT_MAX_MS : ms;
}

static char *
copy_text(char **at, const char *text)
{
    const size_t size = strlen(text) + 1;
    char *start = *at;

    memcpy(start, text, size);
    *at += size;
    return start;
}

static struct link_copy *
copy_create(const struct plex_context *from, struct plex_bytes payload)
{
    const size_t size = strlen(from->tenant) + strlen(from->ns) +
                        strlen(from->principal) + strlen(from->roles) +
                        strlen(from->request_id) + 5 + payload.len;
    struct link_copy *copy = plex_calloc(1, sizeof *copy + size);
    char *at = copy->bytes;

    copy->context = *from;
    copy->context.tenant = copy_text(&at, from->tenant);
    copy->context.ns = copy_text(&at, from->ns);
    copy->context.principal = copy_text(&at, from->principal);
    copy->context.roles = copy_text(&at, from->roles);
    copy->context.request_id = copy_text(&at, from->request_id);
    copy->payload = (struct plex_bytes){(const uint8_t *)at, payload.len};
    if (payload.len > 0)
        memcpy(at, payload.data, payload.len);
    return copy;
}

static enum plex_status
call_queue(struct link_call *call, struct link_peer *peer,
           const struct plex_context *context, struct plex_bytes payload,
           struct plex_err *err)
{
    struct plex_envelope envelope = {
        .id = call->id,
        .kind = PLEX_ENVELOPE_REQUEST,
        .method = call->method,
        .timeout_ms = timeout_ms(call->deadline.at, plex_now()),
        .payload = payload,
        .attempt = call->attempt,
    };
    size_t size;

    if (plex_envelope_set_context(&envelope, context, err) != PLEX_OK ||
        link_peer_dial(peer, err) != PLEX_OK)
        return err->status;
    size = plex_envelope_size(&envelope);
    if (peer->queued + size > PLEX_LINK_QUEUE_MAX)
        return plex_err_set(err, PLEX_LIMIT, "%d bytes wait for %.120s already",
                            PLEX_LINK_QUEUE_MAX, peer->url);
    link_peer_queue(peer, &envelope, size, &call->frame, &call->offset);
    return PLEX_OK;
}

static void
call_requeue(struct link_call *call)
{
    const struct link_copy *copy = call->copy;
    struct plex_err err;

    if (call->deadline.at <= plex_now())
        return; /* its deadline comes next */
    if (call_queue(call, call->peer, &copy->context, copy->payload, &err) !=
        PLEX_OK)
        call_fail(call, err.status, call->ever_sent, "%s", err.text);
}

static enum plex_status
call_check(const struct plex_link *link, const struct link_peer *peer,
           const struct plex_link_request *request, struct plex_err *err)
{
    if (link->closing)
        return plex_err_set(err, PLEX_CANCELLED, "link is closing");
    if (request->payload.len > PLEX_FRAME_PAYLOAD_MAX)
        return plex_err_set(err, PLEX_TOO_LARGE,
                            "payload has %zu bytes, at most %d are allowed",
                            request->payload.len, PLEX_FRAME_PAYLOAD_MAX);
    if (peer->pending >= PLEX_LINK_INFLIGHT_MAX)
        return plex_err_set(err, PLEX_LIMIT, "%d calls to %.120s are pending",
                            PLEX_LINK_INFLIGHT_MAX, peer->url);
    return PLEX_OK;
}

static enum plex_status
call_start(struct link_call *call, const struct plex_link_request *request,
           struct plex_err *err)
{
    struct plex_link *link = call->link;
    const uint64_t now = plex_now();
    struct link_peer *peer =
        link_peer_get(link, request->peer, strlen(request->peer), err);

    if (peer == NULL || call_check(link, peer, request, err) != PLEX_OK)
        return err->status;
    call->deadline.at = request->context->deadline;
    if (call->deadline.at == 0)
        call->deadline.at = now + (uint64_t)LINK_CALL_TIMEOUT_MS * NS_PER_MS;
    if (call->deadline.at <= now)
        return plex_err_set(err, PLEX_TIMEOUT,
                            "deadline had passed before the call");
    if (call_queue(call, peer, request->context, request->payload, err) !=
        PLEX_OK) {
        link->reap = true;
        return err->status;
    }
    if (call->retry)
        call->copy = copy_create(request->context, request->payload);
    call_attach(call, peer);
    link_heap_add(&link->heap, &call->deadline);
    link_timer_update(link);
    return PLEX_OK;
}

uint64_t
plex_link_call(struct plex_link *link, const struct plex_link_request *request)
{
    struct link_call *call = call_alloc(link);
    const uint64_t id = call->id;
    struct plex_err err;

    call->done = request->done;
    call->arg = request->arg;
    call->method = request->method;
    call->retry = request->retry;
    if (call_start(call, request, &err) != PLEX_OK)
        call_fail(call, err.status, false, "%s", err.text);
    return id;
}

/* Tell the peer that nobody waits any more, or take the request back. */
static void
call_revoke(struct link_call *call)
{
    struct link_peer *peer = call->peer;
    const struct plex_envelope envelope = {.id = call->id,
                                           .kind = PLEX_ENVELOPE_CANCEL};
    uint64_t frame;
    size_t offset;

    if (call_unsent(call)) {
        link_peer_withdraw(peer, call->frame, call->offset);
        if (!call->ever_sent)
            return;
    }
    if (peer->connected && peer->queued < PLEX_LINK_QUEUE_MAX)
        link_peer_queue(peer, &envelope, plex_envelope_size(&envelope), &frame,
                        &offset);
}

void
plex_link_cancel(struct plex_link *link, uint64_t id)
{
    struct link_call *call = call_find(link, id);
    bool sent;

    if (call == NULL)
        return;
    sent = call->ever_sent || !call_unsent(call);
    call_revoke(call);
    call_fail(call, PLEX_CANCELLED, sent, "call was cancelled");
}

static void
call_expired(struct link_deadline *deadline)
{
    struct link_call *call =
        plex_container_of(deadline, struct link_call, deadline);
    const bool sent = call->ever_sent || !call_unsent(call);

    call_revoke(call);
    call_fail(call, PLEX_TIMEOUT, sent,
              sent ? "no answer from %.120s in time"
                   : "could not reach %.120s in time",
              call->peer->url);
}

/* -- what happens to them
 * ------------------------------------------------------ */

void
link_call_reply(struct plex_link *link, const struct plex_envelope *envelope)
{
    struct link_call *call = call_find(link, envelope->id);
    char text[PLEX_FRAME_TEXT_MAX + 1];
    struct plex_link_result result = {
        .status = plex_status_from_wire(envelope->status),
        .text = text,
        .payload = envelope->payload,
    };
    plex_link_fn done;
    void *arg;

    if (call == NULL)
        return; /* cancelled, late, or answered twice */
    result.outcome_unknown = result.status == PLEX_UNKNOWN;
    if (call_unsent(call)) /* the answer to an earlier attempt */
        link_peer_withdraw(call->peer, call->frame, call->offset);
    if (envelope->text.len > 0)
        memcpy(text, envelope->text.data, envelope->text.len);
    text[envelope->text.len] = '\0';
    done = call->done;
    arg = call->arg;
    call_detach(call);
    call_free(call);
    call_count(link, result.status);
    done(arg, &result);
}

void
link_calls_lost(struct link_peer *peer, uint64_t until, const char *why)
{
    struct link_call *call = peer->calls, *next;
    size_t left = peer->pending; /* those queued again come last */

    for (; left > 0; left--, call = next) {
        next = call->next;
        if (call->frame > until || call->frame > peer->handed)
            continue;
        if (!call->retry) {
            call_fail(call, PLEX_UNKNOWN, true, "%.120s %s during the call",
                      peer->url, why);
            continue;
        }
        call->ever_sent = true;
        call->attempt++;
        call_requeue(call);
    }
}

void
link_calls_unreachable(struct link_peer *peer)
{
    struct link_call *call = peer->calls, *next;

    for (; call != NULL; call = next) {
        next = call->next;
        call->frame = UINT64_MAX; /* its frame was dropped */
        if (call->retry)
            call_requeue(call);
        else
            call_fail(call, PLEX_UNAVAILABLE, false, "could not connect to %s",
                      peer->url);
    }
}

void
link_calls_cancel_all(struct link_peer *peer)
{
    while (peer->calls != NULL) {
        struct link_call *call = peer->calls;
        const bool sent = call->ever_sent || !call_unsent(call);

        call_revoke(call);
        call_fail(call, PLEX_CANCELLED, sent, "link was closed");
    }
}
