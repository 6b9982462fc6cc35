/* Remembers how many events it was told of, and the last one. */
#include <plexspaces/actor.h>

#include <string.h>

struct heard {
    unsigned count;
    unsigned len;
    char last[1000];
};

static int
cast(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct heard heard = {0};

    (void)plex_state_get(ctx, &heard, sizeof heard);
    heard.count++;
    heard.len = msg->len < sizeof heard.last ? (unsigned)msg->len : 0;
    memcpy(heard.last, msg->payload, heard.len);
    plex_state_put(ctx, &heard, sizeof heard);
    return 0;
}

static int
call(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    struct heard heard = {0};

    (void)msg;
    (void)plex_state_get(ctx, &heard, sizeof heard);
    plex_reply_json(ctx, "{\"count\":%u,\"last\":%.*s}", heard.count,
                    heard.len == 0 ? 4 : (int)heard.len,
                    heard.len == 0 ? "null" : heard.last);
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "heard", .handle_call = call, .handle_cast = cast},
    {0},
};
PLEX_MODULE(behaviours);
