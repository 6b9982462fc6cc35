#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "runtime/behaviour.h"
#include "runtime/core.h"

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
handler_swap(struct plex_ctx *ctx, struct events *events, const char *old_id,
             const char *name, const char *id)
{
    struct handler **at = handler_find(events, old_id), *old = *at;
    struct plex_ref owner = {0};
    void *data = NULL;
    size_t len = 0;
    int status;

    if (row_named(ctx, name) == NULL)
        return -PLEX_NOT_FOUND;
    if (old != NULL) {
        owner = old->owner;
        len = old->row->data_size;
        if (old->row->terminate != NULL)
            old->row->terminate(ctx, old->data, "swap");
        (void)verdict(ctx, 0, (char[8]){0}, 8);
        data = old->data;
        old->data = NULL;
        *at = old->next;
        events->count--;
    }
    status = handler_add(ctx, events, name, id, owner, data, len);
    if (old != NULL) {
        if (status != 0 && !plex_ref_none(owner)) {
            tell_gone(ctx, old, "swap failed");
            if (!owns_any(events, owner))
                plex_unlink(ctx, owner);
        }
        handler_free(old);
    }
    free(data);
    return status;
}

struct request {
    unsigned char verb;
    const char *handler, *id, *old_id;
};

/* verb, then three texts. */
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
    return at == end;
}

static void
request_do(struct plex_ctx *ctx, struct events *events,
           const struct plex_msg *msg)
{
    const struct plex_from from = plex_reply_later(ctx);
    struct plex_ref nobody = {0};
    struct request request;
    int32_t status = -PLEX_INVALID;

    if (request_parse(msg, &request)) {
        switch (request.verb) {
        case 1:
        case 2:
            status =
                handler_add(ctx, events, request.handler, request.id,
                            request.verb == 2 ? msg->from : nobody, NULL, 0);
            break;
        case 3:
            status = handler_delete(ctx, events, request.id);
            break;
        case 4:
            status = handler_swap(ctx, events, request.old_id, request.handler,
                                  request.id);
            break;
        default:
            break;
        }
    }
    (void)plex_answer(ctx, &from, &status, sizeof status);
}

int
rt_event_request(struct plex_ctx *ctx, struct plex_ref manager, int verb,
                 const char *handler, const char *id, const char *old_id)
{
    const char *texts[] = {handler, id, old_id};
    char bytes[1 + 3 * (ID_MAX + 1)];
    size_t len = 1, i, size;
    struct plex_msg answer;
    int32_t result;
    int status;

    bytes[0] = (char)verb;
    for (i = 0; i < 3; i++) {
        if (texts[i] == NULL)
            texts[i] = "";
        size = strlen(texts[i]) + 1;
        if (size > ID_MAX + 1)
            return -PLEX_INVALID;
        memcpy(bytes + len, texts[i], size);
        len += size;
    }
    status =
        plex_ask(ctx, manager, RT_EVENT_REQUEST_TAG, bytes, len, 5000, &answer);
    if (status != 0)
        return status;
    if (answer.len != sizeof result)
        return -PLEX_INVALID; /* it is no event manager */
    memcpy(&result, answer.payload, sizeof result);
    return result;
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
        if (handle != NULL &&
            verdict(ctx, handle(ctx, (*at)->data, msg), why, sizeof why)) {
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
    if (verdict(ctx, (*at)->row->handle_call(ctx, (*at)->data, &said), why,
                sizeof why)) {
        handler_remove(ctx, events, at, why, true);
        rt_engine_refuse(ctx, -PLEX_FAILED, why);
    }
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
        request_do(ctx, events, msg);
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
