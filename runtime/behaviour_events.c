#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "runtime/around.h"
#include "runtime/behaviour.h"

/*
 * Event managers in the manner of gen_event: handlers that come and go, the
 * newest first. One that fails is removed alone. Who added one as supervised is
 * linked to the manager: it is told when the handler goes, and when it ends its
 * handlers go.
 *
 * Requests are calls with a tag of their own and texts as payload, so they
 * work between workers, too.
 */
struct handler {
    struct handler *next;
    const struct plex_event_handler *row;
    char *id;
    void *data;
    struct plex_ref owner; /* none: not supervised */
};
struct events {
    struct handler *handlers;
    uint32_t count;
};
enum { HANDLERS_MAX = 10000, ID_MAX = 255 };

static const struct plex_event_handler *
row_named(struct plex_ctx *ctx, const char *name)
{
    const struct plex_event_handler *row = rt_behaviour(ctx)->events->handlers;

    for (; row != NULL && row->name != NULL; row++) {
        if (strcmp(row->name, name) == 0)
            return row;
    }
    return NULL;
}

static struct handler **
handler_find(struct events *events, const char *id)
{
    struct handler **at = &events->handlers;

    while (*at != NULL && strcmp((*at)->id, id) != 0)
        at = &(*at)->next;
    return at;
}

static void
handler_free(struct handler *handler)
{
    free(handler->id);
    free(handler->data);
    free(handler);
}

static bool
owns_any(const struct events *events, struct plex_ref owner)
{
    const struct handler *handler;

    for (handler = events->handlers; handler != NULL; handler = handler->next) {
        if (plex_ref_is(handler->owner, owner))
            return true;
    }
    return false;
}

/* Tell who wants to know: "id\0reason\0". */
static void
tell_gone(struct plex_ctx *ctx, const struct handler *handler,
          const char *reason)
{
    char text[ID_MAX + PLEX_ERR_TEXT_MAX + 2];
    int id = snprintf(text, ID_MAX + 1, "%s", handler->id);
    int why = snprintf(text + id + 1, PLEX_ERR_TEXT_MAX, "%s", reason);

    if (why >= PLEX_ERR_TEXT_MAX)
        why = PLEX_ERR_TEXT_MAX - 1;
    plex_send(ctx, handler->owner, PLEX_EVENT_HANDLER_GONE, text,
              (size_t)(id + why + 2));
}

/* What a handler has done to the turn is its own affair: failing and ending
 * concern the handler, not the manager. True: it is to go, `why` is filled. */
static bool
verdict(struct plex_ctx *ctx, int failed, char *why, size_t size)
{
    struct rt_turn *turn = rt_turn_of(ctx);
    bool goes = failed != 0 || turn->failed || turn->exiting;

    if (goes)
        (void)snprintf(why, size, "%s",
                       turn->reason != NULL ? turn->reason : "failed");
    turn->failed = turn->exiting = false;
    free(turn->reason);
    turn->reason = NULL;
    return goes;
}

/* Unlink it from the list first: its terminate may do anything. `said` is what
 * its terminate and its owner hear. */
static void
handler_remove(struct plex_ctx *ctx, struct events *events, struct handler **at,
               const char *said, bool tell)
{
    struct handler *handler = *at;
    char why[PLEX_ERR_TEXT_MAX];

    *at = handler->next;
    events->count--;
    if (handler->row->terminate != NULL)
        handler->row->terminate(ctx, handler->data, said);
    (void)verdict(ctx, 0, why, sizeof why);
    if (!plex_ref_none(handler->owner)) {
        if (tell)
            tell_gone(ctx, handler, said);
        if (!owns_any(events, handler->owner))
            plex_unlink(ctx, handler->owner);
    }
    handler_free(handler);
}

/* -- requests -- */

struct request {
    unsigned char verb;
    const char *handler, *id, *old_id;
    const void *args;
    size_t len;
};

/* verb, then three texts, then arguments. */
static bool
request_parse(const struct plex_msg *msg, struct request *out)
{
    const char *at = msg->payload, *end = at + msg->len;
    const char **texts[] = {&out->handler, &out->id, &out->old_id};
    size_t i;

    if (msg->len < 4)
        return false;
    out->verb = (unsigned char)*at++;
    for (i = 0; i < 3; i++) {
        const char *zero = memchr(at, '\0', (size_t)(end - at));

        if (zero == NULL)
            return false;
        *texts[i] = at;
        at = zero + 1;
    }
    out->args = at;
    out->len = (size_t)(end - at);
    return true;
}

static int
handler_add(struct plex_ctx *ctx, struct events *events, const char *name,
            const char *id, struct plex_ref owner, const void *args, size_t len)
{
    const struct plex_event_handler *row = row_named(ctx, name);
    struct handler *handler;
    char why[PLEX_ERR_TEXT_MAX];
    int failed = 0;

    if (row == NULL)
        return -PLEX_NOT_FOUND;
    if (*id == '\0')
        id = name;
    if (strlen(id) > ID_MAX)
        return -PLEX_INVALID;
    if (*handler_find(events, id) != NULL)
        return -PLEX_EXISTS;
    if (events->count == HANDLERS_MAX)
        return -PLEX_LIMIT;
    handler = plex_calloc(1, sizeof *handler);
    handler->row = row;
    handler->id = plex_strdup(id);
    handler->data = plex_calloc(1, row->data_size + 1);
    handler->owner = owner;
    if (row->init != NULL)
        failed = row->init(ctx, handler->data, args, len);
    if (verdict(ctx, failed, why, sizeof why)) {
        plex_logf(ctx, 1, "event handler %s did not start: %s", id, why);
        handler_free(handler);
        return -PLEX_FAILED;
    }
    handler->next = events->handlers;
    events->handlers = handler;
    events->count++;
    if (!plex_ref_none(owner))
        plex_link(ctx, owner);
    return 0;
}

static int
handler_delete(struct plex_ctx *ctx, struct events *events, const char *id)
{
    struct handler **at = handler_find(events, id);

    if (*at == NULL)
        return -PLEX_NOT_FOUND;
    handler_remove(ctx, events, at, "normal", true);
    return 0;
}

/* An old one that is not there is no obstacle, as in OTP: the new one's init
 * gets nothing then. */
static int
handler_swap(struct plex_ctx *ctx, struct events *events,
             const struct request *request, struct plex_ref owner)
{
    struct handler **at = handler_find(events, request->old_id), *old = *at;
    struct plex_ref before = {0};
    void *data = NULL;
    size_t len = 0;
    int status;

    if (row_named(ctx, request->handler) == NULL)
        return -PLEX_NOT_FOUND;
    if (old != NULL) {
        before = old->owner;
        if (plex_ref_none(owner))
            owner = before;
        len = old->row->data_size;
        if (old->row->terminate != NULL)
            old->row->terminate(ctx, old->data, "swap");
        (void)verdict(ctx, 0, (char[8]){0}, 8);
        data = old->data;
        old->data = NULL;
        *at = old->next;
        events->count--;
    }
    status = handler_add(ctx, events, request->handler, request->id, owner,
                         data, len);
    if (old != NULL) {
        if (status != 0 && !plex_ref_none(before))
            tell_gone(ctx, old, "swap failed");
        if (!plex_ref_none(before) && !owns_any(events, before))
            plex_unlink(ctx, before);
        handler_free(old);
    }
    free(data);
    return status;
}

/* -- events -- */

typedef int (*handle_fn)(struct plex_ctx *ctx, void *data,
                         const struct plex_msg *msg);

static handle_fn
function_for(const struct handler *handler, const struct plex_msg *msg)
{
    if (msg->kind == PLEX_MSG_CAST)
        return handler->row->handle_event;
    return handler->row->handle_info;
}

struct callback {
    handle_fn handle;
    void *data;
};

static int
deliver(struct plex_ctx *ctx, const struct plex_msg *msg, void *arg)
{
    const struct callback *callback = arg;

    return callback->handle(ctx, callback->data, msg);
}

/* Through the manager's facets, if it has some. */
static int
call_handler(struct plex_ctx *ctx, const struct handler *handler,
             handle_fn handle, const struct plex_msg *msg)
{
    struct callback callback = {handle, handler->data};

    if (rt_turn_of(ctx)->proc->engine != &rt_engine_around)
        return handle(ctx, handler->data, msg);
    return rt_around_run(
        ctx, msg,
        &(struct rt_around_use){.deliver = deliver, .arg = &callback});
}

/* To each that is there now; one that goes takes nobody with it. */
static void
tell_all(struct plex_ctx *ctx, struct events *events,
         const struct plex_msg *msg)
{
    struct handler **at = &events->handlers;
    char why[PLEX_ERR_TEXT_MAX];
    handle_fn handle;

    while (*at != NULL) {
        handle = function_for(*at, msg);
        if (handle != NULL && verdict(ctx, call_handler(ctx, *at, handle, msg),
                                      why, sizeof why)) {
            plex_logf(ctx, 1, "event handler %s is removed: %s", (*at)->id,
                      why);
            handler_remove(ctx, events, at, why, true);
        } else {
            at = &(*at)->next;
        }
    }
}

/* "id\0" and what the handler gets. */
static void
call_one(struct plex_ctx *ctx, struct events *events,
         const struct plex_msg *msg)
{
    const char *id = msg->payload;
    const char *zero = msg->len == 0 ? NULL : memchr(id, '\0', msg->len);
    struct plex_msg said = *msg;
    struct handler **at;
    char why[PLEX_ERR_TEXT_MAX];

    at = zero == NULL ? NULL : handler_find(events, id);
    if (at == NULL || *at == NULL) {
        rt_engine_refuse(ctx, -PLEX_NOT_FOUND,
                         "there is no such event handler");
        return;
    }
    said.payload = zero + 1;
    said.len = msg->len - (size_t)(zero + 1 - id);
    if ((*at)->row->handle_call == NULL) {
        rt_engine_refuse(ctx, -PLEX_UNSUPPORTED,
                         "the event handler takes no calls");
        return;
    }
    if (verdict(ctx, call_handler(ctx, *at, (*at)->row->handle_call, &said),
                why, sizeof why)) {
        handler_remove(ctx, events, at, why, true);
        rt_engine_refuse(ctx, -PLEX_FAILED, why);
    }
}

/* Ids, the latest first. For free(). */
static char *
which(const struct events *events, size_t *len)
{
    const struct handler *handler;
    char *text, *at;

    *len = sizeof(int32_t);
    for (handler = events->handlers; handler != NULL; handler = handler->next)
        *len += strlen(handler->id) + 1;
    text = plex_calloc(1, *len);
    memcpy(text, &(int32_t){(int32_t)events->count}, sizeof(int32_t));
    at = text + sizeof(int32_t);
    for (handler = events->handlers; handler != NULL; handler = handler->next)
        at = stpcpy(at, handler->id) + 1;
    return text;
}

/* An event by call: its tag, and what it says. */
static int32_t
sync_event(struct plex_ctx *ctx, struct events *events,
           const struct request *request, const struct plex_msg *msg)
{
    struct plex_msg said = *msg;

    if (request->len < sizeof said.tag)
        return -PLEX_INVALID;
    memcpy(&said.tag, request->args, sizeof said.tag);
    said.kind = PLEX_MSG_CAST;
    said.is_cast = true;
    said.payload = (const char *)request->args + sizeof said.tag;
    said.len = request->len - sizeof said.tag;
    tell_all(ctx, events, &said);
    return 0;
}

static int32_t
request_do(struct plex_ctx *ctx, struct events *events,
           const struct request *request, const struct plex_msg *msg)
{
    const struct plex_ref nobody = {0};

    switch (request->verb) {
    case PLEX_EVENT_ADD:
    case PLEX_EVENT_ADD_SUPERVISED:
        return handler_add(ctx, events, request->handler, request->id,
                           request->verb == PLEX_EVENT_ADD ? nobody : msg->from,
                           request->args, request->len);
    case PLEX_EVENT_REMOVE:
        return handler_delete(ctx, events, request->id);
    case PLEX_EVENT_SWAP:
        return handler_swap(ctx, events, request, nobody);
    case PLEX_EVENT_SWAP_SUPERVISED:
        return handler_swap(ctx, events, request, msg->from);
    case PLEX_EVENT_SYNC:
        return sync_event(ctx, events, request, msg);
    default:
        return -PLEX_INVALID;
    }
}

static void
requested(struct plex_ctx *ctx, struct events *events,
          const struct plex_msg *msg)
{
    const struct plex_from from = plex_reply_later(ctx);
    struct request request = {0};
    int32_t status = -PLEX_INVALID;
    char *text;
    size_t len;

    if (request_parse(msg, &request) && request.verb == PLEX_EVENT_WHICH) {
        text = which(events, &len);
        (void)plex_answer(ctx, &from, text, len);
        free(text);
        return;
    }
    if (request.verb != 0) {
        /* Behind texts they may lie anywhere: who gets them may read them as
         * a struct. Freed also when a handler waits and we are killed. */
        text = plex_calloc(1, request.len + 1);
        memcpy(text, request.len == 0 ? "" : request.args, request.len);
        request.args = text;
        rt_turn_of(ctx)->scratch = text;
        status = request_do(ctx, events, &request, msg);
        rt_turn_of(ctx)->scratch = NULL;
        free(text);
    }
    (void)plex_answer(ctx, &from, &status, sizeof status);
}

/* In its wire form, which ask() then owns; NULL: texts too long. */
static char *
request_pack(const struct plex_event_request *request, size_t *len)
{
    const char *texts[] = {request->handler, request->id, request->old_id};
    size_t sizes[3], i, tag = request->verb == PLEX_EVENT_SYNC ? 8 : 0;
    char *bytes, *at;

    *len = 1 + tag + request->len;
    for (i = 0; i < 3; i++) {
        texts[i] = texts[i] == NULL ? "" : texts[i];
        sizes[i] = strlen(texts[i]) + 1;
        if (sizes[i] > ID_MAX + 1)
            return NULL;
        *len += sizes[i];
    }
    at = bytes = plex_calloc(1, *len);
    *at++ = (char)request->verb;
    for (i = 0; i < 3; i++)
        at = (char *)memcpy(at, texts[i], sizes[i]) + sizes[i];
    memcpy(at, &request->tag, tag);
    if (request->len > 0)
        memcpy(at + tag, request->args, request->len);
    return bytes;
}

int
rt_event_ask(struct plex_ctx *ctx, struct plex_ref manager,
             const struct plex_event_request *request, struct plex_msg *answer)
{
    struct plex_msg own;
    int32_t result;
    size_t len;
    char *bytes;
    int status;

    if (request->len > RT_PAYLOAD_MAX)
        return -PLEX_LIMIT;
    bytes = request_pack(request, &len);
    if (bytes == NULL)
        return -PLEX_INVALID;
    if (answer == NULL)
        answer = &own;
    rt_turn_of(ctx)->scratch = bytes; /* freed also when we are killed */
    status = plex_ask(ctx, manager, RT_EVENT_REQUEST_TAG, bytes, len,
                      request->timeout_ms, answer);
    rt_turn_of(ctx)->scratch = NULL;
    free(bytes);
    if (status != 0)
        return status;
    if (answer->len < sizeof result)
        return -PLEX_INVALID; /* it is no event manager */
    memcpy(&result, answer->payload, sizeof result);
    answer->payload = (const char *)answer->payload + sizeof result;
    answer->len -= sizeof result;
    return result;
}

int
rt_event_request(struct plex_ctx *ctx, struct plex_ref manager, int verb,
                 const char *handler, const char *id, const char *old_id)
{
    const struct plex_event_request request = {.verb =
                                                   (enum plex_event_verb)verb,
                                               .handler = handler,
                                               .id = id,
                                               .old_id = old_id};

    return rt_event_ask(ctx, manager, &request, NULL);
}

static void
owner_gone(struct plex_ctx *ctx, struct events *events, struct plex_ref owner,
           const char *reason)
{
    struct handler **at = &events->handlers;

    while (*at != NULL) {
        if (plex_ref_is((*at)->owner, owner))
            handler_remove(ctx, events, at, reason, false);
        else
            at = &(*at)->next;
    }
}

/* -- the engine -- */

static int
engine_init(struct plex_ctx *ctx, const void *args, size_t len)
{
    struct events *events = rt_engine_state(ctx);
    const struct plex_behaviour *behaviour = rt_behaviour(ctx);
    const char *const *name = behaviour->events->initial;
    int status = 0;

    plex_trap_exit(ctx, true);
    if (behaviour->init != NULL && behaviour->init(ctx, args, len) != 0)
        return -1;
    for (; name != NULL && *name != NULL && status == 0; name++)
        status = handler_add(ctx, events, *name, "", (struct plex_ref){0}, args,
                             len);
    return status == 0 ? 0 : plex_fail(ctx, "an event handler did not start");
}

static int
engine_handle(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct events *events = rt_engine_state(ctx);

    if (msg->kind == RT_KIND_ENGINE) {
        rt_engine_refuse(ctx, -PLEX_INVALID, "it is no supervisor");
    } else if (msg->kind == PLEX_MSG_CALL && msg->tag == RT_EVENT_REQUEST_TAG) {
        requested(ctx, events, msg);
    } else if (msg->kind == PLEX_MSG_CALL) {
        call_one(ctx, events, msg);
    } else if (msg->kind == PLEX_MSG_EXIT && owns_any(events, msg->from)) {
        owner_gone(ctx, events, msg->from, msg->reason);
    } else if (msg->kind == PLEX_MSG_EXIT &&
               plex_ref_is(msg->from, rt_parent(ctx))) {
        plex_exit_self(ctx, msg->reason);
    } else {
        tell_all(ctx, events, msg);
    }
    return 0;
}

/* Each handler hears that the manager ends. */
static void
engine_terminate(struct plex_ctx *ctx, const char *reason)
{
    struct events *events = rt_engine_state(ctx);
    const struct plex_behaviour *behaviour = rt_behaviour(ctx);
    char said[PLEX_ERR_TEXT_MAX];

    (void)snprintf(said, sizeof said, "%s", reason);
    while (events->handlers != NULL)
        handler_remove(ctx, events, &events->handlers, said, true);
    if (behaviour->terminate != NULL)
        behaviour->terminate(ctx, said);
}

static void
engine_fini(struct plex_ctx *ctx, void *state)
{
    struct events *events = state;
    struct handler *handler;

    (void)ctx;
    while ((handler = events->handlers) != NULL) {
        events->handlers = handler->next;
        handler_free(handler);
    }
}

const struct rt_engine rt_engine_events = {
    .state_size = sizeof(struct events),
    .init = engine_init,
    .handle = engine_handle,
    .terminate = engine_terminate,
    .fini = engine_fini,
};
