#ifndef PLEXSPACES_SOURCED_H
#define PLEXSPACES_SOURCED_H

#include "actor.h"

/*
 * Event-sourced actors: durable actors whose state is what their events made
 * of it. A behaviour with an `apply` does not put its state: its callbacks
 * persist events, and apply() makes the state of them, one after the other,
 * when they are persisted and again whenever the actor comes into memory. The
 * events of a turn are written together, as the record of the turn, before
 * anything leaves it; when the turn fails, they and the state are undone.
 *
 *     static int
 *     cart_apply(struct plex_ctx *ctx, const struct plex_event *event)
 *     {
 *         struct cart cart = {0};
 *
 *         (void)plex_state_get(ctx, &cart, sizeof cart);
 *         if (strcmp(event->type, "added") == 0)
 *             cart.items++;
 *         plex_state_put(ctx, &cart, sizeof cart);
 *         return 0;
 *     }
 *
 * The worker writes a snapshot of the state from time to time
 * (snapshot_every of the manifest, snapshot_bytes and snapshot_ms of the
 * behaviour), so that few events are gone through again.
 *
 * apply() must do the same whenever it is run: it sees the event and the state
 * and puts the state. The time is the event's; plex_json_text() and
 * plex_json_int() read the event. Everything else fails it, and so does an
 * event that it refuses: the actor then does not come into memory, callers are
 * told why, and nothing is lost. Events are kept as they were written for ever:
 * when the schema_version of the behaviour rises, apply() still gets older ones
 * and sees it in event->schema_version; `migrate` is for snapshots.
 */
struct plex_event {
    const char *type;
    const void *data;
    size_t len;
    uint64_t at_ms;          /* plex_turn_ms() of the turn */
    uint32_t schema_version; /* of the behaviour that persisted it */
};

/* At most 1000 a turn, together 2 MiB; the type is 1 to 255 bytes of text,
 * `data` at most 1 MiB and copied. plex_state() is with the event when this
 * returns 0. Otherwise the turn has failed: return. */
static inline int
plex_persist(struct plex_ctx *ctx, const char *type, const void *data,
             size_t len)
{
    if (ctx->ops->persist != NULL)
        return ctx->ops->persist(ctx, type, data, len);
    (void)ctx->ops->fail(ctx, "only keyed actors persist events");
    return PLEX_E_UNSUPPORTED;
}
/* JSON, formatted; at most 4 KiB. */
__attribute__((format(printf, 3, 4))) static inline int
plex_persist_json(struct plex_ctx *ctx, const char *type, const char *fmt, ...)
{
    char text[4096];
    va_list args;
    int len;

    va_start(args, fmt);
    len = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof text) {
        (void)ctx->ops->fail(ctx, "an event is larger than 4 KiB of JSON");
        return PLEX_E_TOO_LARGE;
    }
    return plex_persist(ctx, type, text, (size_t)len);
}

#endif
