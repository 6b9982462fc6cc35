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
