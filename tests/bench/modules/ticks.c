/* Actors that count their timers. A timer's payload is the number of ms after
 * which it is set again, 4 bytes in the machine's order; none: it is not. */
#include <plexspaces/actor.h>

#include <inttypes.h>
#include <string.h>

static int
ticks_call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    int64_t count = 0;

    (void)msg;
    (void)plex_state_get(ctx, &count, sizeof count);
    plex_reply_json(ctx, "{\"count\":%" PRId64 "}", count);
    return 0;
}

static int
ticks_timer(struct plex_ctx *ctx, const char *name, const void *payload,
            size_t len)
{
    uint32_t again_ms;
    int64_t count = 0;

    (void)plex_state_get(ctx, &count, sizeof count);
    count++;
    plex_state_put(ctx, &count, sizeof count);
    if (len == sizeof again_ms) {
        memcpy(&again_ms, payload, sizeof again_ms);
        plex_timer_set(ctx, name, again_ms, payload, len);
    }
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "ticks", .handle_call = ticks_call, .handle_timer = ticks_timer},
    {0},
};
PLEX_MODULE(behaviours);
