#ifndef PLEXSPACES_EVENT_H
#define PLEXSPACES_EVENT_H

#include "process.h"

/*
 * An event manager as OTP's gen_event: a process that passes every event to
 * handlers that come and go. A behaviour whose `events` points here is one. A
 * handler that fails is removed alone; who added it with `supervised` gets a
 * PLEX_MSG_INFO with tag PLEX_EVENT_HANDLER_GONE and the handler's id and
 * reason as payload ("id\0reason\0"). A handler that calls plex_exit_self()
 * removes itself, with that reason.
 */
enum { PLEX_EVENT_HANDLER_GONE = 0x676f6e65 };

struct plex_event_handler {
    const char *name; /* a row without a name ends the table */
    size_t data_size; /* zeroed memory of one handler, `data` below */
    int (*init)(struct plex_ctx *ctx, void *data, const void *args, size_t len);
    int (*handle_event)(struct plex_ctx *ctx, void *data,
                        const struct plex_msg *msg);
    /* plex_event_call(); answers with plex_reply(). */
    int (*handle_call)(struct plex_ctx *ctx, void *data,
                       const struct plex_msg *msg);
    int (*handle_info)(struct plex_ctx *ctx, void *data,
                       const struct plex_msg *msg);
    void (*terminate)(struct plex_ctx *ctx, void *data, const char *reason);
};
struct plex_event_manager {
    const struct plex_event_handler *handlers; /* what may be added */
    /* Names of handlers added at the start, ended by NULL; or NULL. */
    const char *const *initial;
};

enum plex_event_verb {
    PLEX_EVENT_ADD = 1,        /* handler, id, args */
    PLEX_EVENT_ADD_SUPERVISED, /* the same */
    PLEX_EVENT_REMOVE,         /* id */
    PLEX_EVENT_SWAP,           /* old_id, handler, id */
    PLEX_EVENT_SWAP_SUPERVISED,
    PLEX_EVENT_WHICH, /* the answer's payload: each id and a 0, latest first */
    PLEX_EVENT_SYNC,  /* tag, args: an event; answered when all handled it */
};
struct plex_event_request {
    enum plex_event_verb verb;
    const char *handler, *id, *old_id; /* NULL: "" */
    const void *args; /* at most 5 MiB; init of the handler gets them */
    size_t len;
    uint64_t tag;
    uint64_t timeout_ms; /* as of plex_ask() */
};
/* 0 or more, or as below, or as plex_ask(). `answer` may be NULL. */
static inline int
plex_event_request(struct plex_ctx *ctx, struct plex_ref manager,
                   const struct plex_event_request *request,
                   struct plex_msg *answer)
{
    return ctx->process->event_request(ctx, manager, request, answer);
}

/* All of these wait for the manager, at most 5 s. `id` distinguishes handlers
 * of one kind; NULL: its name. Negative: PLEX_E_NOT_FOUND (manager, handler
 * name or id), PLEX_E_EXISTS (id), PLEX_E_FAILED (init). */
static inline int
plex_event_add(struct plex_ctx *ctx, struct plex_ref manager,
               const char *handler, const char *id, bool supervised)
{
    return ctx->process->event(ctx, manager, supervised ? 2 : 1, handler, id,
                               NULL);
}
static inline int
plex_event_remove(struct plex_ctx *ctx, struct plex_ref manager, const char *id)
{
    return ctx->process->event(ctx, manager, 3, "", id, NULL);
}
/* The old one's terminate gets "swap"; the new one's init gets its data. */
static inline int
plex_event_swap(struct plex_ctx *ctx, struct plex_ref manager,
                const char *old_id, const char *handler, const char *id)
{
    return ctx->process->event(ctx, manager, 4, handler, id, old_id);
}
/* The same, and the caller supervises the new one in place of whoever did the
 * old one. */
static inline int
plex_event_swap_supervised(struct plex_ctx *ctx, struct plex_ref manager,
                           const char *old_id, const char *handler,
                           const char *id)
{
    const struct plex_event_request request = {.verb =
                                                   PLEX_EVENT_SWAP_SUPERVISED,
                                               .handler = handler,
                                               .id = id,
                                               .old_id = old_id};

    return plex_event_request(ctx, manager, &request, NULL);
}
/* The number of handlers; answer->payload: their ids, each with its 0, the
 * latest first. */
static inline int
plex_event_which(struct plex_ctx *ctx, struct plex_ref manager,
                 struct plex_msg *answer)
{
    const struct plex_event_request request = {.verb = PLEX_EVENT_WHICH};

    return plex_event_request(ctx, manager, &request, answer);
}
/* sync_notify: returns when all handlers have handled it. */
static inline int
plex_event_sync(struct plex_ctx *ctx, struct plex_ref manager, uint64_t tag,
                const void *payload, size_t len, uint64_t timeout_ms)
{
    const struct plex_event_request request = {.verb = PLEX_EVENT_SYNC,
                                               .args = payload,
                                               .len = len,
                                               .tag = tag,
                                               .timeout_ms = timeout_ms};

    return plex_event_request(ctx, manager, &request, NULL);
}
static inline void
plex_event_call_free(void *payload, size_t len)
{
    (void)len;
    free(payload);
}
/* To one handler; as plex_ask(). PLEX_E_NOT_FOUND also when no handler has that
 * id, PLEX_E_FAILED also when it failed (and is gone). */
static inline int
plex_event_call(struct plex_ctx *ctx, struct plex_ref manager, const char *id,
                uint64_t tag, const void *payload, size_t len,
                uint64_t timeout_ms, struct plex_msg *answer)
{
    size_t id_len = strlen(id) + 1;
    struct plex_post post = {.kind = PLEX_MSG_CALL, .tag = tag};
    char small[512], *bytes = small;

    if (id_len + len > sizeof small) { /* handed over: nothing to free here */
        if (len > 5u << 20 || (bytes = (char *)malloc(id_len + len)) == NULL)
            return PLEX_E_LIMIT;
        post.release = plex_event_call_free;
    }
    memcpy(bytes, id, id_len);
    if (len > 0)
        memcpy(bytes + id_len, payload, len);
    post.payload = bytes;
    post.len = id_len + len;
    return ctx->process->ask(ctx, manager, &post, timeout_ms, answer);
}
/* To all handlers, without waiting. */
static inline void
plex_event_notify(struct plex_ctx *ctx, struct plex_ref manager, uint64_t tag,
                  const void *payload, size_t len)
{
    plex_cast_ref(ctx, manager, tag, payload, len);
}

#endif
