#include <plexspaces/actor.h>

static int
answer(struct plex_ctx *ctx, const struct plex_msg *msg)
{
    (void)ctx;
    (void)msg;
    return 0;
}

static const struct plex_behaviour behaviours[] = {
    {.name = "same", .handle_call = answer},
    {.name = "same", .handle_call = answer},
    {0},
};
PLEX_MODULE(behaviours);
